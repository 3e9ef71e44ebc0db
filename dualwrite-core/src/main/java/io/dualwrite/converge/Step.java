package io.dualwrite.converge;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/**
 * The named steps at which a test may do something of its own, or end the process; and at which a
 * {@link Preview} leaves.
 */
enum Step {
  FIRST_READ,
  PARENTS_LOCKED,
  WRITTEN,
  SECOND_READ,
  CHECKED,
  COMMITTED,
  RECOPY_LOCKED,
  RECOPY_SNAPSHOT,
  RECOPY_COPIED,
  REPLAY_CLAIMED,
  REPLAY_VISIBILITY,
  REPLAY_INSERTED;

  /**
   * For tests: what the system properties say. {@code dualwrite.test.die-in-convergence-at} ends
   * the process on the spot at the step that it names, on its n-th time ({@code STEP} or {@code
   * STEP:n}); {@code dualwrite.test.linger-in-convergence-at} stays there so many milliseconds
   * ({@code STEP:n}), every m-th time ({@code STEP:n:m}), for others to come in between, until the
   * property is cleared.
   */
  static Convergence.Hook fromSystemProperty() {
    String[] die = System.getProperty("dualwrite.test.die-in-convergence-at", "").split(":", 2);
    String[] linger =
        System.getProperty("dualwrite.test.linger-in-convergence-at", "").split(":", 3);
    if (die[0].isEmpty() && linger[0].isEmpty()) {
      return step -> {};
    }
    int every = linger.length < 3 ? 1 : Integer.parseInt(linger[2]);
    AtomicInteger times = new AtomicInteger();
    AtomicInteger left = new AtomicInteger(die.length < 2 ? 1 : Integer.parseInt(die[1]));
    long nanos = TimeUnit.MILLISECONDS.toNanos(linger.length < 2 ? 0 : Long.parseLong(linger[1]));
    return step -> {
      if (step.name().equals(die[0]) && left.decrementAndGet() == 0) {
        Runtime.getRuntime().halt(137);
      }
      if (step.name().equals(linger[0])
          && times.incrementAndGet() % every == 0
          && System.getProperty("dualwrite.test.linger-in-convergence-at") != null) {
        LockSupport.parkNanos(nanos);
      }
    };
  }
}
