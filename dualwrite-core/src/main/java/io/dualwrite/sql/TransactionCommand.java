package io.dualwrite.sql;

/**
 * A statement that controls the transaction.
 *
 * @param action what it does
 * @param name the savepoint's name as the server compares it, or the identifier of the prepared
 *     transaction; null for the others
 * @param chain whether it ends with AND CHAIN: a new transaction starts at once
 */
public record TransactionCommand(Action action, String name, boolean chain) {

  /** What a transaction statement does. */
  public enum Action {
    /** BEGIN, START TRANSACTION. */
    BEGIN,
    /** COMMIT, END. */
    COMMIT,
    /** ROLLBACK, ABORT. */
    ROLLBACK,
    /** SAVEPOINT name. */
    SAVEPOINT,
    /** RELEASE [SAVEPOINT] name. */
    RELEASE,
    /** ROLLBACK TO [SAVEPOINT] name. */
    ROLLBACK_TO,
    /** PREPARE TRANSACTION 'id'. */
    PREPARE_TRANSACTION,
    /** COMMIT PREPARED 'id'. */
    COMMIT_PREPARED,
    /** ROLLBACK PREPARED 'id'. */
    ROLLBACK_PREPARED,
    /** SET TRANSACTION …. */
    SET_TRANSACTION
  }
}
