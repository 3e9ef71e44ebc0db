package io.dualwrite.sql;

/** What a statement is, as far as its text tells. */
public enum Kind {
  /**
   * SELECT, VALUES, TABLE, or EXPLAIN ANALYZE of one of them, that writes nothing except through
   * the functions it calls. A SELECT with a data-modifying WITH is {@link #UNKNOWN}, SELECT INTO is
   * {@link #DDL}.
   */
  READ,
  /** INSERT. */
  INSERT,
  /** UPDATE. */
  UPDATE,
  /** DELETE. */
  DELETE,
  /** MERGE. */
  MERGE,
  /** TRUNCATE. */
  TRUNCATE,
  /** COPY … FROM. */
  COPY_IN,
  /** COPY … TO; its query may hide a write. */
  COPY_OUT,
  /** CREATE, ALTER, DROP, GRANT, REINDEX, SELECT INTO and the like. */
  DDL,
  /** CALL, or the JDBC escape {@code {call …}}. */
  CALL,
  /** DO. */
  DO,
  /** SET, RESET, DISCARD: changes what later statements mean. */
  SESSION,
  /** BEGIN, COMMIT, SAVEPOINT and the like. */
  TRANSACTION,
  /**
   * Concerns one server only: LISTEN, NOTIFY, LOCK, VACUUM, ANALYZE, SHOW, EXPLAIN without ANALYZE,
   * cursors over reads, DEALLOCATE, CHECKPOINT, LOAD.
   */
  PRIMARY_ONLY,
  /** PREPARE name AS …. */
  PREPARE,
  /** EXECUTE name. */
  EXECUTE,
  /** None of the above for sure: has to be taken for a write. */
  UNKNOWN
}
