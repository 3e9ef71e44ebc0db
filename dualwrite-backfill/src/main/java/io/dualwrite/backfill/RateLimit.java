package io.dualwrite.backfill;

import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * Spreads bytes over time, for all workers of a process together. Each caller books its bytes at
 * the end of what is booked and waits until that moment, so that nobody starves and a burst is at
 * most one buffer per worker. Thread-safe.
 */
final class RateLimit {

  private final long bytesPerSecond;
  private final AtomicLong booked = new AtomicLong(System.nanoTime());

  /** At most that many bytes per second; 0 for no limit. */
  RateLimit(long bytesPerSecond) {
    this.bytesPerSecond = bytesPerSecond;
  }

  void pass(long bytes) {
    if (bytesPerSecond <= 0) {
      return;
    }
    long cost = (long) (bytes * 1e9 / bytesPerSecond);
    long now = System.nanoTime();
    long end = booked.updateAndGet(b -> (b - now < 0 ? now : b) + cost);
    for (long left = end - now; left > 0; left = end - System.nanoTime()) {
      if (Thread.currentThread().isInterrupted()) {
        return; // the worker looks at it between chunks; a chunk under way is finished
      }
      LockSupport.parkNanos(left);
    }
  }
}
