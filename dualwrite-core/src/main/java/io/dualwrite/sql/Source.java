package io.dualwrite.sql;

/** Where an INSERT takes its rows from. */
public enum Source {
  /** {@code VALUES (…), (…)} and nothing more. */
  VALUES,
  /** A query, also VALUES with ORDER BY, LIMIT or UNION. */
  QUERY,
  /** {@code DEFAULT VALUES}. */
  DEFAULT_VALUES
}
