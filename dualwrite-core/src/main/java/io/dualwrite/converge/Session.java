package io.dualwrite.converge;

import io.dualwrite.catalog.Table;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Collection;
import java.util.TreeSet;
import javax.sql.DataSource;

/**
 * The settings under which values travel as text, the same on both sides and set for the
 * transaction alone, so that a pooled connection is given back as it was.
 */
final class Session {

  /** Two parts of a select list. Neither has a parameter. */
  private static final String FORMATS =
      "set_config('DateStyle', 'ISO, MDY', true), set_config('IntervalStyle', 'postgres', true),"
          + " set_config('TimeZone', 'UTC', true), set_config('extra_float_digits', '3', true),"
          + " set_config('bytea_output', 'hex', true), set_config('xmloption', 'content', true),"
          + " set_config('lc_monetary', 'C', true), set_config('standard_conforming_strings', 'on', true),"
          // rows hidden by a policy would be lost in silence: an error in their place
          + " set_config('row_security', 'off', true)";

  /**
   * One select with four parameters: lock_timeout, statement_timeout,
   * idle_in_transaction_session_timeout (milliseconds as text), search_path. synchronous_commit:
   * rule 4, a mirror that loses acknowledged commits in a crash would lose rows.
   */
  static final String PINS =
      "select set_config('lock_timeout', ?, true), set_config('statement_timeout', ?, true),"
          + " set_config('idle_in_transaction_session_timeout', ?, true), set_config('search_path', ?, true),"
          + " set_config('synchronous_commit', 'on', true), "
          + FORMATS;

  /**
   * For reads of the users' rows: a plan that was made before TimescaleDB (2.17) took the first
   * rows out of a chunk's batches does not look for them outside, and finds them no more.
   */
  static final String PLANNED_ANEW = ", set_config('plan_cache_mode', 'force_custom_plan', true)";

  /** Look-ups by keys go through the key's index, whatever the statistics say. */
  static final String BY_KEY =
      ", set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)";

  /**
   * A statement that lifts TimescaleDB's bound on how many compressed rows a statement may touch,
   * where there is TimescaleDB: what is made equal has no other way.
   */
  static final String UNBOUNDED =
      "select set_config(name, '0', true) from (values ('timescaledb.max_tuples_decompressed_per_dml_transaction')) s(name)"
          + " where current_setting(name, true) is not null";

  private Session() {}

  /**
   * The search path for statements on these tables: the server's own schema, and those of their
   * columns' types, whose operators compare keys ({@code citext}).
   */
  static String searchPath(Collection<Table> tables) {
    TreeSet<String> schemas = new TreeSet<>();
    tables.forEach(t -> t.columns().forEach(c -> schemas.addAll(c.operators())));
    return schemas.isEmpty() ? "pg_catalog" : "pg_catalog, " + String.join(", ", schemas);
  }

  /**
   * A connection, in a transaction.
   *
   * @throws SQLException if there is none: always one of {@link Failure#DOWN}, as no unit of work
   *     is to blame (42501 for CONNECT that was revoked, 55000 for a database that allows none)
   */
  static Connection open(DataSource from) throws SQLException {
    Connection c;
    try {
      c = from.getConnection();
    } catch (SQLException e) {
      throw Failure.of(e) == Failure.DOWN ? e : new SQLException(e.getMessage(), "08001", e);
    }
    try {
      c.setAutoCommit(false);
      return c;
    } catch (SQLException e) {
      c.close();
      throw e;
    }
  }

  /** Rolls back and gives the connection back as it came. */
  static void close(Connection c) {
    if (c == null) {
      return;
    }
    try (c) {
      c.rollback();
      c.setAutoCommit(true);
    } catch (SQLException e) {
      // broken: the server rolls back, and whoever broke it was told by the statement before
    }
  }

  /** Sets it again, as it was. */
  static void networkTimeout(Connection c, int millis) {
    try {
      c.setNetworkTimeout(Runnable::run, millis);
    } catch (SQLException e) {
      // broken: whoever broke it was told
    }
  }

  /** Rolls back after an error that is reported anyway. */
  static void rollback(Connection c) {
    try {
      c.rollback();
    } catch (SQLException e) {
      // broken: the next statement says so
    }
  }
}
