package io.dualwrite.jdbc;

/**
 * The rules of the protocol that the write path carries, by the names that its model gives them.
 * Each can be switched off for a test that shows what breaks without it: the system property {@code
 * dualwrite.test.off} names those that are off from the start.
 */
enum Rules {
  /** The intent is durable before the primary commits. */
  INTENT_BEFORE_COMMIT,
  /** The mirror is flushed before the primary commits. */
  FLUSH_BEFORE_COMMIT,
  /**
   * The mirror changes the keys that the primary returned, never what the predicate finds there.
   */
  KEYS_NOT_PREDICATES,
  /** What was rolled back to a savepoint leaves the unit of work. */
  ROLLBACK_TO_TRUNCATES,
  /** What came before the savepoint stays in the unit of work. */
  ROLLBACK_TO_KEEPS,
  /** A key change is shipped as an UPDATE by the old key, not as the new row alone. */
  REKEY_BY_OLD_KEY,
  /** The suspects of a transaction are durable before the primary commits. */
  SUSPECT_BEFORE_COMMIT;

  private final boolean on =
      !("," + System.getProperty("dualwrite.test.off", "") + ",").contains("," + name() + ",");

  boolean on() {
    return on;
  }
}
