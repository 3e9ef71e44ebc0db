package io.dualwrite.jdbc;

/**
 * The steps of a commit, in their order. Between any two of them the process may die; the tests
 * kill it there.
 */
enum CommitStep {
  /** The application asked for the commit; nothing has left the process but its statements. */
  ASKED,
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
   * For tests: dies on the spot at the step that the system property names, on its n-th time
   * ({@code STEP} or {@code STEP:n}).
   */
  static Listener fromSystemProperty() {
    String at = System.getProperty("dualwrite.test.die-at");
    if (at == null) {
      return s -> {};
    }
    int colon = at.indexOf(':');
    CommitStep step = valueOf(colon < 0 ? at : at.substring(0, colon));
    java.util.concurrent.atomic.AtomicInteger left =
        new java.util.concurrent.atomic.AtomicInteger(
            colon < 0 ? 1 : Integer.parseInt(at.substring(colon + 1)));
    return s -> {
      if (s == step && left.decrementAndGet() == 0) {
        Runtime.getRuntime().halt(137);
      }
    };
  }
}
