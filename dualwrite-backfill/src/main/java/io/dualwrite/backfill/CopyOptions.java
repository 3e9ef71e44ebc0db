package io.dualwrite.backfill;

import java.time.Duration;

/**
 * How to copy. Immutable.
 *
 * @param parallelism chunks at a time in this process
 * @param maxRate bytes per second over all workers of this process; 0 for no limit
 * @param retryFailed whether parked chunks are tried again
 * @param lockTimeout how long a chunk waits for one lock on the target before it gives way and is
 *     tried again later. Shorter than the writers' flush timeout, so that they win
 * @param patience how long either database may be unreachable before the run gives up
 */
public record CopyOptions(
    int parallelism, long maxRate, boolean retryFailed, Duration lockTimeout, Duration patience) {

  /** Checks the ranges. */
  public CopyOptions {
    if (parallelism < 1) {
      throw new IllegalArgumentException("parallelism is " + parallelism + "; it is at least 1");
    }
    if (maxRate < 0) {
      throw new IllegalArgumentException("maxRate is " + maxRate + "; it is 0 (no limit) or more");
    }
    if (lockTimeout.toMillis() < 1) {
      throw new IllegalArgumentException("lockTimeout is " + lockTimeout + "; it is 1 ms or more");
    }
  }

  /** Eight at a time, no rate limit, parked chunks stay parked, 250 ms per lock, five minutes. */
  public static CopyOptions defaults() {
    return new CopyOptions(8, 0, false, Duration.ofMillis(250), Duration.ofMinutes(5));
  }

  /** With this many chunks at a time. */
  public CopyOptions withParallelism(int value) {
    return new CopyOptions(value, maxRate, retryFailed, lockTimeout, patience);
  }

  /** With this limit in bytes per second. */
  public CopyOptions withMaxRate(long value) {
    return new CopyOptions(parallelism, value, retryFailed, lockTimeout, patience);
  }

  /** With parked chunks tried again, or not. */
  public CopyOptions withRetryFailed(boolean value) {
    return new CopyOptions(parallelism, maxRate, value, lockTimeout, patience);
  }

  /** With this lock timeout. */
  public CopyOptions withLockTimeout(Duration value) {
    return new CopyOptions(parallelism, maxRate, retryFailed, value, patience);
  }

  /** With this patience for unreachable databases. */
  public CopyOptions withPatience(Duration value) {
    return new CopyOptions(parallelism, maxRate, retryFailed, lockTimeout, value);
  }
}
