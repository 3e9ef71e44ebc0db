package io.dualwrite.backfill.doctor;

import io.dualwrite.control.Side;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import javax.sql.DataSource;

/** One side's connection, and what is asked of it again and again. Not thread-safe. */
final class Probe implements AutoCloseable {

  /** The oldest server that has what dualwrite needs: pg_current_xact_id and its kin. */
  static final int OLDEST = 130000;

  /**
   * A condition on {@code n} (pg_namespace): a schema of the users' own, neither the server's, nor
   * dualwrite's, nor TimescaleDB's.
   */
  static final String USERS =
      "n.nspname not in ('pg_catalog', 'information_schema', 'dualwrite') and n.nspname !~ '^(pg_toast|pg_temp_|_timescaledb_|timescaledb_)'";

  /** Whether an object belongs to no extension: the class it is listed in, and its oid. */
  static String ownObject(String catalog, String oid) {
    return "not exists (select from pg_depend d where d.classid = '"
        + catalog
        + "'::regclass and d.objid = "
        + oid
        + " and d.deptype = 'e')";
  }

  private final Side side;
  private final Connection connection;
  private final int version;
  private final Map<String, String> settings = new HashMap<>();

  private Probe(Side side, Connection connection) throws SQLException {
    this.side = side;
    this.connection = connection;
    for (List<String> r :
        rows(
            "select name, reset_val from pg_settings union all select 'server_version_num', current_setting('server_version_num')")) {
      settings.put(r.get(0), r.get(1));
    }
    version = Integer.parseInt(settings.get("server_version_num"));
    try (Statement s = connection.createStatement()) {
      // names in full in what the server writes; never in anybody's way
      s.execute(
          "set search_path = pg_catalog; set statement_timeout = '30s'; set lock_timeout = '2s';"
              + " set default_transaction_read_only = on; set client_min_messages = 'error'");
    }
  }

  static Probe open(DataSource database, Side side) throws SQLException {
    Connection c = database.getConnection();
    try {
      return new Probe(side, c);
    } catch (SQLException | RuntimeException e) {
      try {
        c.close();
      } catch (SQLException second) {
        e.addSuppressed(second);
      }
      throw e;
    }
  }

  Side side() {
    return side;
  }

  Connection connection() {
    return connection;
  }

  int version() {
    return version;
  }

  int major() {
    return version / 10000;
  }

  /**
   * What a new session of this role in this database has; null for an unknown or a secret setting.
   */
  String setting(String name) {
    return settings.get(name);
  }

  long number(String name) {
    return Long.parseLong(settings.get(name));
  }

  boolean on(String name) {
    return "on".equals(settings.get(name));
  }

  /** All rows, as text. */
  List<List<String>> rows(String sql) throws SQLException {
    List<List<String>> result = new ArrayList<>();
    try (Statement s = connection.createStatement();
        ResultSet r = s.executeQuery(sql)) {
      int n = r.getMetaData().getColumnCount();
      while (r.next()) {
        List<String> row = new ArrayList<>(n);
        for (int i = 1; i <= n; i++) {
          row.add(r.getString(i));
        }
        result.add(row);
      }
    }
    return result;
  }

  /** The first column of all rows. */
  List<String> column(String sql) throws SQLException {
    return rows(sql).stream().map(r -> r.get(0)).toList();
  }

  /** The one value, as text; null if there is no row. */
  String value(String sql) throws SQLException {
    List<List<String>> rows = rows(sql);
    return rows.isEmpty() ? null : rows.get(0).get(0);
  }

  boolean is(String condition) throws SQLException {
    return "t".equals(value("select " + condition));
  }

  boolean exists(String relation) throws SQLException {
    return is("to_regclass('" + relation + "') is not null");
  }

  /** Two columns as a map. */
  Map<String, String> map(String sql) throws SQLException {
    Map<String, String> result = new java.util.TreeMap<>();
    for (List<String> r : rows(sql)) {
      result.put(r.get(0), r.get(1));
    }
    return result;
  }

  @Override
  public void close() throws SQLException {
    connection.close();
  }
}
