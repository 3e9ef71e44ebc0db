package io.dualwrite.converge;

import java.time.Duration;

/**
 * How the engine works.
 *
 * @param batchKeys how many keys one mirror transaction resyncs, and one round trip carries;
 *     default 1000
 * @param resyncLimits of resync's transactions on both sides; its lock_timeout is shorter than the
 *     direct path's (rule 18); default 500 ms for a lock, 60 s for a statement, 60 s idle
 * @param recopyLockTimeout how long a recopy waits for its table lock at a time, because every
 *     later writer waits behind it; default 200 ms
 * @param attempts how often a transaction is tried again after contention, or after related keys
 *     were pulled in; default 20
 * @param settleTimeout how long {@link Convergence#resync} waits for mirror transactions in flight;
 *     default 60 s
 */
public record ConvergenceOptions(
    int batchKeys,
    ApplyLimits resyncLimits,
    Duration recopyLockTimeout,
    int attempts,
    Duration settleTimeout) {

  /** The defaults. */
  public static final ConvergenceOptions DEFAULT =
      new ConvergenceOptions(
          1000,
          new ApplyLimits(Duration.ofMillis(500), Duration.ofSeconds(60), Duration.ofSeconds(60)),
          Duration.ofMillis(200),
          20,
          Duration.ofSeconds(60));

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if one is not positive
   */
  public ConvergenceOptions {
    if (batchKeys < 1 || attempts < 1) {
      throw new IllegalArgumentException("batchKeys and attempts are at least 1");
    }
  }
}
