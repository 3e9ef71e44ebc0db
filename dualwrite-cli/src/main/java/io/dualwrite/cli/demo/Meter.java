package io.dualwrite.cli.demo;

import java.sql.SQLException;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.LongAdder;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.Recorder;

/** What the application measures of itself: transactions, rows, errors, latencies. Thread-safe. */
final class Meter {

  private final Recorder writes = new Recorder(60_000_000_000L, 3);
  private final Recorder reads = new Recorder(60_000_000_000L, 3);
  private final LongAdder transactions = new LongAdder();
  private final LongAdder errors = new LongAdder();
  private final AtomicReference<String> firstError = new AtomicReference<>();
  private final AtomicLong lap = new AtomicLong(System.nanoTime());
  private long errorsBefore;

  /** A transaction that wrote, from asking for the connection to its end. */
  void wrote(long nanos) {
    transactions.increment();
    writes.recordValue(Math.min(nanos, 60_000_000_000L));
  }

  /** A read. */
  void read(long nanos) {
    reads.recordValue(Math.min(nanos, 60_000_000_000L));
  }

  /** Something that failed and that the application did not expect. */
  void error(SQLException e) {
    errors.increment();
    String state = e.getSQLState() == null ? "" : " [" + e.getSQLState() + "]";
    firstError.compareAndSet(null, e.getMessage() + state);
  }

  long errors() {
    return errors.sum();
  }

  long transactions() {
    return transactions.sum();
  }

  /** The first error's message, or null. */
  String firstError() {
    return firstError.get();
  }

  /** What happened since the last lap, and starts the next. Called by one thread only. */
  Lap lap() {
    long now = System.nanoTime();
    double seconds = (now - lap.getAndSet(now)) / 1e9;
    long all = errors.sum();
    Lap result =
        new Lap(
            seconds,
            writes.getIntervalHistogram(),
            reads.getIntervalHistogram(),
            all - errorsBefore);
    errorsBefore = all;
    return result;
  }

  /**
   * A stretch of time.
   *
   * @param seconds how long it was
   * @param writes latencies of the transactions that wrote, nanoseconds
   * @param reads latencies of the reads, nanoseconds
   * @param errors that the application saw
   */
  record Lap(double seconds, Histogram writes, Histogram reads, long errors) {

    long perSecond(Histogram of) {
      return Math.round(of.getTotalCount() / seconds);
    }

    String millis(Histogram of, double percentile) {
      return of.getTotalCount() == 0
          ? "-"
          : String.format(Locale.ROOT, "%.1f", of.getValueAtPercentile(percentile) / 1e6);
    }
  }
}
