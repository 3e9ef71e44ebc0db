/**
 * The examination of both databases before a move: what would block it, what to know, what to do
 * about it. Here are the checks and their sentences. They read, they change nothing on either side,
 * and what a command of the backfill would refuse they learn from that command's own code ({@link
 * io.dualwrite.backfill.StageCheck}); the catalogs' meaning for tables is {@code
 * io.dualwrite.catalog}'s.
 */
package io.dualwrite.backfill.doctor;
