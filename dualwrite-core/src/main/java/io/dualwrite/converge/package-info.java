/**
 * Makes the mirror equal to the primary: the SQL that applies rows, resync of keys, recopy of
 * keyless ranges, replay of pending intents. One engine for the direct path, the replayer, verify's
 * repair and the backfill.
 */
package io.dualwrite.converge;
