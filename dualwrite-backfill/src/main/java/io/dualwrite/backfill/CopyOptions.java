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
 * @param maxActive no chunk is begun while more sessions than that, others' than the backfill's,
 *     are active on the source; 0 for no limit
 * @param maxLag no chunk is begun while a replica of the source is further behind, in bytes of
 *     write-ahead log; 0 for no limit
 * @param yieldToCheckpoints whether no chunk is begun while a checkpoint is under way on the source
 *     that was asked for, by hand or because so much was written
 */
public record CopyOptions(
    int parallelism,
    long maxRate,
    boolean retryFailed,
    Duration lockTimeout,
    Duration patience,
    int maxActive,
    long maxLag,
    boolean yieldToCheckpoints) {

  /** Checks the ranges. */
  public CopyOptions {
    if (parallelism < 1) {
      throw new IllegalArgumentException("parallelism is " + parallelism + "; it is at least 1");
    }
    if (maxRate < 0) {
      throw new IllegalArgumentException("maxRate is " + maxRate + "; it is 0 (no limit) or more");
    }
    if (maxActive < 0 || maxLag < 0) {
      throw new IllegalArgumentException(
          "maxActive is " + maxActive + ", maxLag " + maxLag + "; they are 0 (no limit) or more");
    }
    if (lockTimeout.toMillis() < 1) {
      throw new IllegalArgumentException("lockTimeout is " + lockTimeout + "; it is 1 ms or more");
    }
  }

  /** Eight at a time, no rate limit, parked chunks stay parked, 250 ms per lock, five minutes. */
  public static CopyOptions defaults() {
    return new CopyOptions(8, 0, false, Duration.ofMillis(250), Duration.ofMinutes(5), 0, 0, false);
  }

  /** With this many chunks at a time. */
  public CopyOptions withParallelism(int value) {
    return new CopyOptions(
        value, maxRate, retryFailed, lockTimeout, patience, maxActive, maxLag, yieldToCheckpoints);
  }

  /** With this limit in bytes per second. */
  public CopyOptions withMaxRate(long value) {
    return new CopyOptions(
        parallelism,
        value,
        retryFailed,
        lockTimeout,
        patience,
        maxActive,
        maxLag,
        yieldToCheckpoints);
  }

  /** With parked chunks tried again, or not. */
  public CopyOptions withRetryFailed(boolean value) {
    return new CopyOptions(
        parallelism, maxRate, value, lockTimeout, patience, maxActive, maxLag, yieldToCheckpoints);
  }

  /** With this lock timeout. */
  public CopyOptions withLockTimeout(Duration value) {
    return new CopyOptions(
        parallelism, maxRate, retryFailed, value, patience, maxActive, maxLag, yieldToCheckpoints);
  }

  /** With this patience for unreachable databases. */
  public CopyOptions withPatience(Duration value) {
    return new CopyOptions(
        parallelism,
        maxRate,
        retryFailed,
        lockTimeout,
        value,
        maxActive,
        maxLag,
        yieldToCheckpoints);
  }

  /** With these limits on what the source may be at when a chunk is begun. */
  public CopyOptions withSourceLoad(int active, long lag, boolean checkpoints) {
    return new CopyOptions(
        parallelism, maxRate, retryFailed, lockTimeout, patience, active, lag, checkpoints);
  }
}
