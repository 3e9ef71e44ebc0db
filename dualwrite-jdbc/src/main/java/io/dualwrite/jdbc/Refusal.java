package io.dualwrite.jdbc;

import java.sql.SQLFeatureNotSupportedException;

/** What is said to an application that asks for something which dualwrite refuses. */
final class Refusal {

  /**
   * Of class 0A, "feature not supported", and not 0A000 itself: HikariCP takes that one for the
   * sign of a broken connection and throws the connection away.
   */
  static final String SQLSTATE = "0AD01";

  private Refusal() {}

  /** A refusal in one sentence: what is refused, why, and what to do instead. */
  static SQLFeatureNotSupportedException of(String sentence) {
    return new SQLFeatureNotSupportedException(sentence, SQLSTATE);
  }

  /** Something of the driver's own through which a write could leave. */
  static SQLFeatureNotSupportedException handOut(Class<?> type) {
    return of(
        "dualwrite does not hand out "
            + type.getName()
            + ": what is written through it would not be mirrored");
  }

  /** As {@link #of}, where the method's signature has no SQLException. */
  static UnsupportedOperationException unchecked(String sentence) {
    return new UnsupportedOperationException(sentence);
  }
}
