package io.dualwrite.converge;

import java.sql.SQLException;
import java.sql.SQLNonTransientConnectionException;
import java.sql.SQLRecoverableException;
import java.sql.SQLTransientException;

/** What an SQL error means for the engine. */
enum Failure {
  /** A foreign key, unique index or exclusion is in the way: related keys have to be pulled in. */
  CONFLICT,
  /** Somebody else was in the way: try again. */
  CONTENTION,
  /** A server is gone, full, read-only or lets nobody in: back off and try again. */
  DOWN,
  /** The catalog is not what it was: read it again. */
  CATALOG,
  /** Trying again does not help. */
  PERMANENT;

  static Failure of(SQLException e) {
    String s = e.getSQLState();
    if (s == null) {
      return e instanceof SQLTransientException
              || e instanceof SQLRecoverableException
              || e instanceof SQLNonTransientConnectionException
          ? DOWN
          : PERMANENT;
    }
    return switch (s) {
      case "23001", "23503", "23505", "23P01" -> CONFLICT;
      case "40001", "40P01", "55P03", "57014" -> CONTENTION;
      // idle_in_transaction_session_timeout and transaction_timeout end the session; read-only: a
      // server in failover or behind a fence
      case "25P03", "25P04", "25006" -> DOWN;
      case "42P01", "42703", "42704", "42P10", "42804", "0A000", "26000" -> CATALOG;
      default ->
          s.startsWith("08")
                  || s.startsWith("57P")
                  || s.startsWith("53")
                  || s.startsWith("58")
                  // a password that was changed, a token that expired, a database that is renamed
                  || s.startsWith("28")
                  || s.startsWith("3D")
              ? DOWN
              : PERMANENT;
    };
  }
}
