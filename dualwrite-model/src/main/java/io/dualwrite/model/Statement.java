package io.dualwrite.model;

/**
 * One statement of the application.
 *
 * @param op what it does
 * @param key 0 or 1; meaningless for {@link Op#TAKE_READY}
 * @param value what it writes; -1: a value of its own
 * @param undone whether the application then rolls back to a savepoint before it
 */
record Statement(Op op, int key, int value, boolean undone) {

  enum Op {
    INSERT,
    /** Sets v to v + 1. */
    UPDATE,
    DELETE,
    UPSERT,
    /** Sets {@code taken} in every row in which it is not set: a predicate that chooses rows. */
    TAKE_READY,
    /** Clears {@code taken}. */
    READY,
    /** Sets {@code taken} by key. */
    TAKE,
    /** Sets v to the statement's value. */
    SET,
    /** Gives the row the other key. */
    REKEY,
    /** Of the mirror only, and wrong: an upsert of v alone, without {@code taken}. */
    UPSERT_PART
  }

  static Statement of(Op op, int key) {
    return new Statement(op, key, -1, false);
  }

  static Statement of(Op op, int key, int value) {
    return new Statement(op, key, value, false);
  }

  Statement thenUndone() {
    return new Statement(op, key, value, true);
  }

  /** Whether an operation by key changes a row that is there, and else nothing. */
  static boolean findsRow(Op op) {
    return switch (op) {
      case INSERT, UPSERT, UPSERT_PART, TAKE_READY -> false;
      default -> true;
    };
  }

  @Override
  public String toString() {
    return (op == Op.TAKE_READY ? "UPDATE WHERE ready" : op + " k" + key)
        + (value >= 0 ? "=" + value : "")
        + (undone ? " undone" : "");
  }
}
