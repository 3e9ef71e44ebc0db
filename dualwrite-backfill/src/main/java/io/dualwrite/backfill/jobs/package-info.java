/**
 * TimescaleDB's background jobs on the target: disabled while its data is incomplete, caught up
 * with afterwards, and put back exactly as they were. What was scheduled is kept in {@code
 * dualwrite.job_state}. Nothing here touches the source.
 */
package io.dualwrite.backfill.jobs;
