package io.dualwrite.jdbc;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/**
 * The steps of a commit, in their order. Between any two of them the process may die; the tests
 * kill it there.
 */
enum CommitStep {
  /** The application asked for the commit; nothing has left the process but its statements. */
  ASKED,
  /** The journal names the tables that the transaction makes suspect, if there are any. */
  SUSPECTS_OPENED,
  /** The mirror has executed the unit of work; its transaction is open. */
  FLUSHED,
  /** The intent is durable. */
  INTENT_APPENDED,
  /** The primary has committed. */
  PRIMARY_COMMITTED,
  /** The mirror has committed. */
  MIRROR_COMMITTED,
  /** The journal says resolved. */
  RESOLVED_APPENDED;

  /** Told at every step. */
  @FunctionalInterface
  interface Listener {
    void at(CommitStep step);
  }

  /**
   * For tests: what the system properties say. {@code dualwrite.test.die-at} ends the process on
   * the spot at the step that it names, on its n-th time ({@code STEP} or {@code STEP:n}); {@code
   * dualwrite.test.linger-at} stays there so many milliseconds ({@code STEP:n}), every m-th time
   * ({@code STEP:n:m}), for others to come in between, until the property is cleared.
   */
  static Listener fromSystemProperty() {
    String[] die = System.getProperty("dualwrite.test.die-at", "").split(":", 2);
    String[] linger = System.getProperty("dualwrite.test.linger-at", "").split(":", 3);
    if (die[0].isEmpty() && linger[0].isEmpty()) {
      return s -> {};
    }
    int every = linger.length < 3 ? 1 : Integer.parseInt(linger[2]);
    AtomicInteger times = new AtomicInteger();
    AtomicInteger left = new AtomicInteger(die.length < 2 ? 1 : Integer.parseInt(die[1]));
    long nanos = TimeUnit.MILLISECONDS.toNanos(linger.length < 2 ? 0 : Long.parseLong(linger[1]));
    return s -> {
      if (s.name().equals(die[0]) && left.decrementAndGet() == 0) {
        Runtime.getRuntime().halt(137);
      }
      if (s.name().equals(linger[0])
          && times.incrementAndGet() % every == 0
          && System.getProperty("dualwrite.test.linger-at") != null) {
        LockSupport.parkNanos(nanos);
      }
    };
  }
}
