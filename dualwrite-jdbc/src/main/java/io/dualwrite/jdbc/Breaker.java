package io.dualwrite.jdbc;

import io.dualwrite.config.Setting;
import io.dualwrite.config.Settings;
import io.github.resilience4j.circuitbreaker.CircuitBreaker;
import io.github.resilience4j.circuitbreaker.CircuitBreakerConfig;
import io.github.resilience4j.circuitbreaker.CircuitBreakerConfig.SlidingWindowType;
import java.sql.SQLException;
import java.util.concurrent.TimeUnit;

/**
 * The circuit breaker before the mirror, and what it makes of the mirror's errors.
 *
 * <p>Counted by calls, not by time: after a busy quarter of a minute a window of time is so full of
 * successes that a dead mirror would cost every transaction its timeout until they have aged.
 */
final class Breaker {

  private Breaker() {}

  static CircuitBreaker of(Settings s) {
    return CircuitBreaker.of(
        "dualwrite-mirror",
        CircuitBreakerConfig.custom()
            .slidingWindowType(SlidingWindowType.COUNT_BASED)
            .slidingWindowSize(s.integer(Setting.BREAKER_WINDOW))
            .minimumNumberOfCalls(s.integer(Setting.BREAKER_MIN_CALLS))
            .failureRateThreshold(s.integer(Setting.BREAKER_FAILURE_RATE))
            .slowCallDurationThreshold(s.duration(Setting.BREAKER_SLOW_CALL))
            .slowCallRateThreshold(s.integer(Setting.BREAKER_SLOW_RATE))
            .waitDurationInOpenState(s.duration(Setting.BREAKER_OPEN))
            .permittedNumberOfCallsInHalfOpenState(3)
            .build());
  }

  /**
   * Whether the error says that the mirror is unwell; data that does not fit says nothing about
   * that.
   */
  static boolean counts(SQLException e) {
    String state = e.getSQLState();
    return state == null
        || !(state.startsWith("22")
            || state.startsWith("23")
            || state.startsWith("42")
            || state.startsWith("40"));
  }

  /** Whether another unit of work that is on its way may be the reason. */
  static boolean transientConflict(SQLException e) {
    String state = e.getSQLState();
    return "23503".equals(state) || "40001".equals(state) || "40P01".equals(state);
  }

  /**
   * Whether a pooled connection had died unnoticed, and said so at once: then a fresh one is worth
   * a try.
   */
  static boolean staleConnection(SQLException e, long nanos) {
    String state = e.getSQLState();
    return state != null
        && (state.startsWith("08") || state.startsWith("57P"))
        && nanos < TimeUnit.MILLISECONDS.toNanos(100);
  }
}
