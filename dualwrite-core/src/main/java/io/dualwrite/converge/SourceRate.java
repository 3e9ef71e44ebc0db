package io.dualwrite.converge;

import java.sql.SQLException;
import java.sql.SQLTransientException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * Bounds how many rows per second an engine reads from the primary, in all its threads together.
 * What was read is booked where it is read, without waiting; who is about to begin waits until all
 * that was booked by then is paid for. So nobody waits while he holds locks on the mirror, and a
 * burst is at most one batch per thread. Thread-safe.
 */
final class SourceRate {

  /** Time, so that tests need not wait for it. */
  interface Clock {
    long nanos();

    /** Waits for about so long, or less. */
    void park(long nanos);
  }

  private static final Clock SYSTEM =
      new Clock() {
        @Override
        public long nanos() {
          return System.nanoTime();
        }

        @Override
        public void park(long nanos) {
          LockSupport.parkNanos(nanos);
        }
      };

  private final long rowsPerSecond;
  private final Clock clock;
  private final AtomicLong paid; // when all that was booked is paid for
  private volatile boolean lifted;

  /** At most that many rows per second; 0 for no limit. */
  SourceRate(long rowsPerSecond) {
    this(rowsPerSecond, SYSTEM);
  }

  SourceRate(long rowsPerSecond, Clock clock) {
    this.rowsPerSecond = rowsPerSecond;
    this.clock = clock;
    this.paid = new AtomicLong(clock.nanos());
  }

  private boolean bounded() {
    return rowsPerSecond > 0 && !lifted;
  }

  /** As long as it is lifted there is no limit. */
  void lift(boolean value) {
    lifted = value;
  }

  /** How many rows to take at a time: no more than a quarter of a second's. */
  int batch(int most) {
    return bounded() ? (int) Math.max(1, Math.min(most, rowsPerSecond / 4)) : most;
  }

  /** Rows were read, or looked for in vain. */
  void book(long rows) {
    if (bounded() && rows > 0) {
      long now = clock.nanos();
      long cost = (long) (rows * 1e9 / rowsPerSecond);
      paid.updateAndGet(p -> (p - now < 0 ? now : p) + cost);
    }
  }

  /**
   * Waits until what is booked by now is paid for.
   *
   * @throws SQLException if interrupted
   */
  void await() throws SQLException {
    long until = paid.get();
    for (long left = until - clock.nanos(); left > 0 && bounded(); left = until - clock.nanos()) {
      if (Thread.currentThread().isInterrupted()) {
        throw new SQLTransientException("interrupted", "57014");
      }
      clock.park(Math.min(left, 100_000_000)); // it may be lifted meanwhile
    }
  }
}
