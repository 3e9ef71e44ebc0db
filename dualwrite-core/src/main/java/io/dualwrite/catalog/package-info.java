/**
 * What the databases' own catalogs say about tables: keys, columns, defaults, foreign keys,
 * triggers, partitions. Read-only, cached. No SQL text is analysed here (that is {@link
 * io.dualwrite.sql}) and nothing is written.
 */
package io.dualwrite.catalog;
