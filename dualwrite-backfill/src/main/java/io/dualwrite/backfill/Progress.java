package io.dualwrite.backfill;

import java.time.Duration;
import java.util.Optional;

/**
 * Hears how a copy or a verify goes on: about twice a second and once at the end, always from the
 * thread that called {@code copy} or {@code verify}.
 */
@FunctionalInterface
public interface Progress {

  /** Called with the latest figures. Must return soon. */
  void update(Snapshot now);

  /** Hears nothing. */
  static Progress none() {
    return now -> {};
  }

  /**
   * The figures of one moment.
   *
   * @param done chunks finished, by all processes
   * @param total chunks there are
   * @param failed chunks parked or, while verifying, different
   * @param rows rows handled by this process
   * @param bytes bytes moved by this process; 0 while verifying
   * @param elapsed since this process began
   * @param rowsPerSecond over the last half minute
   * @param bytesPerSecond over the last half minute
   * @param remaining estimate of what is left, once there is a rate to estimate with
   * @param waiting why no further chunk is begun just now, if so
   */
  record Snapshot(
      long done,
      long total,
      long failed,
      long rows,
      long bytes,
      Duration elapsed,
      double rowsPerSecond,
      double bytesPerSecond,
      Optional<Duration> remaining,
      Optional<String> waiting) {
    Snapshot withWaiting(Optional<String> reason) {
      return new Snapshot(
          done,
          total,
          failed,
          rows,
          bytes,
          elapsed,
          rowsPerSecond,
          bytesPerSecond,
          remaining,
          reason);
    }
  }
}
