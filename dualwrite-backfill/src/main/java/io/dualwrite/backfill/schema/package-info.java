/**
 * Bringing the schema over: roles, and everything that is no row of the users' tables. It is dumped
 * and restored by PostgreSQL's own programs, found on this machine; here is which of them fit, what
 * they are told, what is taken out of their output, and what has to happen on the target around it
 * (TimescaleDB's restoring mode, its jobs, the users' triggers). Rows are the backfill's.
 */
package io.dualwrite.backfill.schema;
