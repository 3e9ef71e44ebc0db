package io.dualwrite.simulation;

import java.time.Duration;

/** What the simulation configures and holds the product to. */
final class Bounds {

  private Bounds() {}

  /** {@code dualwrite.mirror.flush-timeout}. */
  static final Duration FLUSH = Duration.ofMillis(500);

  /** {@code dualwrite.mirror.connection-timeout}. */
  static final Duration CONNECTION = Duration.ofMillis(250);

  /** {@code lock_timeout} of the application's own connections. */
  static final Duration LOCK = Duration.ofMillis(1500);

  /** As much as a machine that has nothing else to do takes for itself, in the worst case. */
  static final Duration MACHINE = Duration.ofSeconds(4);

  /**
   * The longest that any other call may take: none waits for the target. The statements of one
   * operation may wait for locks of the source's, each as long as the settings allow.
   */
  static final Duration CALL = LOCK.multipliedBy(3);

  /**
   * The longest that a commit may take because of the target: a connection, a flush, the wait for
   * other commits before the second one, that one; and a lock of the source's.
   */
  static final Duration COMMIT = CONNECTION.multipliedBy(2).plus(FLUSH.multipliedBy(3)).plus(LOCK);

  /** How long the drain at the end may take, with nothing in its way but other drains. */
  static final Duration DRAIN = Duration.ofMinutes(5);
}
