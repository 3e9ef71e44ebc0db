/**
 * The backfill: stage, copy, verify, repair and clean. Tasks live in the target's schema {@code
 * dualwrite}, so that any number of workers on any number of machines can share them. Nothing is
 * ever created or written on the source by the backfill itself.
 */
package io.dualwrite.backfill;
