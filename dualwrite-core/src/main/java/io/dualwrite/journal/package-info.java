/**
 * The journal: what was written to the primary and is not yet provably on the mirror. Records, the
 * file format, and nothing that knows a database.
 */
package io.dualwrite.journal;
