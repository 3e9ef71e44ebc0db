package io.dualwrite.converge;

import java.util.concurrent.atomic.AtomicInteger;

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
   * For tests: ends the process on the spot at the step that the system property names, on its n-th
   * time ({@code STEP} or {@code STEP:n}).
   */
  static Convergence.Hook fromSystemProperty() {
    String at = System.getProperty("dualwrite.test.die-in-convergence-at");
    if (at == null) {
      return step -> {};
    }
    int colon = at.indexOf(':');
    Step die = valueOf(colon < 0 ? at : at.substring(0, colon));
    AtomicInteger left =
        new AtomicInteger(colon < 0 ? 1 : Integer.parseInt(at.substring(colon + 1)));
    return step -> {
      if (step == die && left.decrementAndGet() == 0) {
        Runtime.getRuntime().halt(137);
      }
    };
  }
}
