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
 * @param maxRate how many rows per second an engine reads from the primary, in all its threads
 *     together; a key that is looked up twice counts twice; default 0, no limit
 */
public record ConvergenceOptions(
    int batchKeys,
    ApplyLimits resyncLimits,
    Duration recopyLockTimeout,
    int attempts,
    Duration settleTimeout,
    int maxRate) {

  /** The defaults. */
  public static final ConvergenceOptions DEFAULT =
      new ConvergenceOptions(
          1000,
          new ApplyLimits(Duration.ofMillis(500), Duration.ofSeconds(60), Duration.ofSeconds(60)),
          Duration.ofMillis(200),
          20,
          Duration.ofSeconds(60),
          0);

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if one is not positive, or the rate negative
   */
  public ConvergenceOptions {
    if (batchKeys < 1 || attempts < 1) {
      throw new IllegalArgumentException("batchKeys and attempts are at least 1");
    }
    if (maxRate < 0) {
      throw new IllegalArgumentException("maxRate is " + maxRate + "; it is 0 (no limit) or more");
    }
  }

  /** Without a limit of the rate. */
  public ConvergenceOptions(
      int batchKeys,
      ApplyLimits resyncLimits,
      Duration recopyLockTimeout,
      int attempts,
      Duration settleTimeout) {
    this(batchKeys, resyncLimits, recopyLockTimeout, attempts, settleTimeout, 0);
  }

  /** How many rows that refer to others are held in memory at a time. */
  int family() {
    return (int) Math.min(10_000_000, 10L * batchKeys);
  }

  /** The same with another {@link #maxRate()}. */
  public ConvergenceOptions withMaxRate(int rowsPerSecond) {
    return new ConvergenceOptions(
        batchKeys, resyncLimits, recopyLockTimeout, attempts, settleTimeout, rowsPerSecond);
  }
}
