package io.dualwrite.converge;

import java.time.Duration;

/**
 * How long a mirror transaction may take; all set for the transaction alone. Zero means no limit.
 *
 * @param lockTimeout the longest wait for one lock
 * @param statementTimeout the longest that one statement runs
 * @param idleTimeout how long the server keeps the transaction open when it hears nothing
 */
public record ApplyLimits(Duration lockTimeout, Duration statementTimeout, Duration idleTimeout) {

  /** 1 s for a lock, 5 s for a statement, 30 s idle. */
  public static final ApplyLimits DEFAULT =
      new ApplyLimits(Duration.ofSeconds(1), Duration.ofSeconds(5), Duration.ofSeconds(30));

  /**
   * Checks the values.
   *
   * @throws IllegalArgumentException if one is negative
   */
  public ApplyLimits {
    if (lockTimeout.isNegative() || statementTimeout.isNegative() || idleTimeout.isNegative()) {
      throw new IllegalArgumentException("a limit of a mirror transaction is negative");
    }
  }
}
