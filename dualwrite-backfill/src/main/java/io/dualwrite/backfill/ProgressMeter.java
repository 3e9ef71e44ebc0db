package io.dualwrite.backfill;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** Turns counts into rates and an estimate, in one place. Not thread-safe. */
final class ProgressMeter {

  private static final long WINDOW = TimeUnit.SECONDS.toNanos(30);

  private record Point(long at, long rows, long bytes, double share) {}

  private final long began = System.nanoTime();
  private final ArrayDeque<Point> points = new ArrayDeque<>();

  /**
   * The figures now.
   *
   * @param share how much of the work is done, 0 to 1, by all processes
   */
  Progress.Snapshot at(long done, long total, long failed, long rows, long bytes, double share) {
    return at(System.nanoTime(), done, total, failed, rows, bytes, share);
  }

  Progress.Snapshot at(
      long now, long done, long total, long failed, long rows, long bytes, double share) {
    points.addLast(new Point(now, rows, bytes, share));
    while (points.size() > 2 && now - points.getFirst().at > WINDOW) {
      points.removeFirst();
    }
    Point first = points.getFirst();
    double seconds = (now - first.at) / 1e9;
    double speed = seconds > 0 ? (share - first.share) / seconds : 0;
    Optional<Duration> remaining =
        share >= 1
            ? Optional.of(Duration.ZERO)
            : speed > 0
                ? Optional.of(Duration.ofMillis((long) ((1 - share) / speed * 1000)))
                : Optional.empty();
    return new Progress.Snapshot(
        done,
        total,
        failed,
        rows,
        bytes,
        Duration.ofNanos(now - began),
        seconds > 0 ? (rows - first.rows) / seconds : 0,
        seconds > 0 ? (bytes - first.bytes) / seconds : 0,
        remaining,
        Optional.empty());
  }
}
