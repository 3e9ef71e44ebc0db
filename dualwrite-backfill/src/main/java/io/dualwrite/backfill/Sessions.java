package io.dualwrite.backfill;

import io.dualwrite.catalog.Table;
import io.dualwrite.control.Side;
import java.io.PrintWriter;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Set;
import java.util.TreeSet;
import java.util.logging.Logger;
import java.util.stream.Collectors;
import javax.sql.DataSource;
import org.postgresql.PGConnection;
import org.postgresql.jdbc.AutoSave;

/**
 * Opens sessions whose settings are pinned, the same on both sides, so that a value has one text
 * form and a statement one meaning. Thread-safe.
 */
final class Sessions implements DataSource {

  /** Everything that changes how a value reads as text, or how long we may take. */
  private static final String PINNED =
      "set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set extra_float_digits = 3;"
          + " set bytea_output = 'hex'; set xmlbinary = 'base64'; set lc_monetary = 'C'; set standard_conforming_strings = on;"
          // so the catalogs name every type of a user in full; see searchPath
          + " set search_path = pg_catalog; set statement_timeout = 0; set lock_timeout = '10s';"
          // a worker that is cut off must not hold its chunk, nor its row locks
          + " set idle_in_transaction_session_timeout = '5min'; set tcp_keepalives_idle = 30; set tcp_keepalives_interval = 10;"
          + " set tcp_keepalives_count = 3;"
          // a policy that hides rows must be an error, not a smaller result
          + " set row_security = off; set client_min_messages = 'warning'; set jit = off; set temp_buffers = '64MB';"
          + " set default_transaction_isolation = 'read committed'; set default_transaction_deferrable = off;"
          + " select pg_catalog.set_config(name, '0', false) from pg_catalog.pg_settings where name in ('transaction_timeout', 'idle_session_timeout',"
          // a bound on how many compressed rows a transaction may change
          + " 'timescaledb.max_tuples_decompressed_per_dml_transaction');";

  private final DataSource raw;
  private final Side side;

  Sessions(DataSource raw, Side side) {
    this.raw = raw;
    this.side = side;
  }

  Side side() {
    return side;
  }

  /**
   * A statement that sets the search path for work on that table: the server's own schema, and
   * those of its columns' types, whose operators compare keys ({@code citext}). Null: for reading
   * catalogs.
   */
  static String searchPath(Table table) {
    Set<String> schemas = new TreeSet<>();
    if (table != null) {
      table.columns().forEach(c -> schemas.addAll(c.operators()));
    }
    return "set search_path = pg_catalog"
        + schemas.stream().map(s -> ", " + s).collect(Collectors.joining());
  }

  @Override
  public Connection getConnection() throws SQLException {
    Connection c = raw.getConnection();
    try {
      c.setAutoCommit(true);
      try (Statement s = c.createStatement()) {
        s.execute(
            PINNED
                + (side == Side.SOURCE
                    ? " set default_transaction_read_only = on;"
                    : " set default_transaction_read_only = off; set synchronous_commit = on;")
                + " set application_name = 'dualwrite backfill'");
      }
      if (side == Side.SOURCE
          && Sql.value(c, "select pg_catalog.pg_is_in_recovery()").equals("t")) {
        throw new BackfillException(
            "the source is a standby, whose rows may be of a while ago; name its primary (in a URL with several hosts: targetServerType=primary)");
      }
      // a savepoint would give rows another xmin than the transaction's
      c.unwrap(PGConnection.class).setAutosave(AutoSave.NEVER);
      return c;
    } catch (SQLException | RuntimeException e) {
      try {
        c.close();
      } catch (SQLException second) {
        e.addSuppressed(second);
      }
      throw e;
    }
  }

  @Override
  public Connection getConnection(String user, String password) throws SQLException {
    throw new SQLException("the user is fixed by the settings");
  }

  @Override
  public PrintWriter getLogWriter() throws SQLException {
    return raw.getLogWriter();
  }

  @Override
  public void setLogWriter(PrintWriter out) throws SQLException {
    raw.setLogWriter(out);
  }

  @Override
  public void setLoginTimeout(int seconds) throws SQLException {
    raw.setLoginTimeout(seconds);
  }

  @Override
  public int getLoginTimeout() throws SQLException {
    return raw.getLoginTimeout();
  }

  @Override
  public Logger getParentLogger() {
    return Logger.getLogger("io.dualwrite");
  }

  @Override
  public <T> T unwrap(Class<T> type) throws SQLException {
    return type.isInstance(this) ? type.cast(this) : raw.unwrap(type);
  }

  @Override
  public boolean isWrapperFor(Class<?> type) throws SQLException {
    return type.isInstance(this) || raw.isWrapperFor(type);
  }
}
