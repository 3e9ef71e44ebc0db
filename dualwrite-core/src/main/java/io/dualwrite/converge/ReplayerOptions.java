package io.dualwrite.converge;

import java.time.Duration;

/**
 * How a replayer works.
 *
 * @param batchUnits how many units of work one round takes; default 500
 * @param attempts after how many failures of its own a unit is parked; contention and servers that
 *     are down do not count; default 5
 * @param firstDelay how long a unit that failed waits before it is tried again; doubled each time,
 *     at most a minute; default 200 ms
 * @param interval how often the background thread looks for work unasked, and writes its heartbeat;
 *     default 1 s
 */
public record ReplayerOptions(
    int batchUnits, int attempts, Duration firstDelay, Duration interval) {

  /** The defaults. */
  public static final ReplayerOptions DEFAULT =
      new ReplayerOptions(500, 5, Duration.ofMillis(200), Duration.ofSeconds(1));

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if one is not positive
   */
  public ReplayerOptions {
    if (batchUnits < 1 || attempts < 1 || interval.isZero() || interval.isNegative()) {
      throw new IllegalArgumentException("batchUnits, attempts and interval are positive");
    }
  }
}
