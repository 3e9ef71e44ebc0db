package io.dualwrite.simulation;

import java.time.Duration;

/** What the simulation configures and holds the product to. */
final class Bounds {

  private Bounds() {}

  /** {@code dualwrite.mirror.flush-timeout}. */
  static final Duration FLUSH = Duration.ofMillis(500);

  /** {@code dualwrite.mirror.connection-timeout}. */
  static final Duration CONNECTION = Duration.ofMillis(250);

  /**
   * The longest that a commit may take because of the target: a connection, a flush, the wait for
   * other commits before the second one, that one; and as much as a busy machine takes for itself.
   */
  static final Duration COMMIT =
      CONNECTION.multipliedBy(2).plus(FLUSH.multipliedBy(3)).plus(Duration.ofSeconds(4));

  /** How long the drain at the end may take, with nothing in its way. */
  static final Duration DRAIN = Duration.ofSeconds(60);
}
