package io.dualwrite.converge;

import io.dualwrite.catalog.TableName;

/**
 * The mirror changed another number of rows than the primary did. The mirror transaction is still
 * open and has to be rolled back; the whole unit stays pending.
 */
public final class CountMismatchException extends Exception {

  private final transient TableName table;
  private final long expected;
  private final long actual;

  /** The mirror changed {@code actual} rows of the table where {@code expected} were due. */
  public CountMismatchException(TableName table, long expected, long actual) {
    super(
        "the mirror changed "
            + actual
            + " rows of "
            + table
            + " where the primary changed "
            + expected);
    this.table = table;
    this.expected = expected;
    this.actual = actual;
  }

  /** The table. */
  public TableName table() {
    return table;
  }

  /** How many rows the primary changed. */
  public long expected() {
    return expected;
  }

  /** How many rows the mirror changed. */
  public long actual() {
    return actual;
  }
}
