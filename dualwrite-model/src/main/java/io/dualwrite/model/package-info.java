/**
 * The protocol of a unit of work, of resync, recopy, backfill and cutover as an executable model,
 * explored exhaustively: see {@link io.dualwrite.model.Main} and {@code docs/MODEL.md}. Nothing of
 * the product depends on it.
 */
package io.dualwrite.model;
