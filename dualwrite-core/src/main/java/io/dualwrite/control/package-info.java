/**
 * The control plane: roles, phases, the {@code dualwrite} schema on the mirror with its markers,
 * recorded snapshots and suspects. Nothing here knows of JDBC wrappers or of the backfill's tasks.
 */
package io.dualwrite.control;
