package io.dualwrite.cli.demo;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/**
 * Compares two databases row by row, in this program's memory and with nothing of dualwrite: every
 * column of every row as text, as multisets.
 *
 * @param table the table
 * @param sourceRows rows in the source
 * @param targetRows rows in the target
 * @param onlySource rows that only the source has, counting duplicates
 * @param onlyTarget rows that only the target has, counting duplicates
 */
record Comparison(
    String table, long sourceRows, long targetRows, long onlySource, long onlyTarget) {

  boolean identical() {
    return onlySource == 0 && onlyTarget == 0;
  }

  /** Every table that either database has, but for the system's and dualwrite's own. */
  static List<Comparison> all(Connection source, Connection target) throws SQLException {
    TreeSet<String> tables = new TreeSet<>(tables(source));
    tables.addAll(tables(target));
    List<Comparison> result = new ArrayList<>();
    for (String table : tables) {
      result.add(one(table, source, target));
    }
    return result;
  }

  private static List<String> tables(Connection c) throws SQLException {
    List<String> tables = new ArrayList<>();
    try (Statement s = c.createStatement();
        ResultSet r =
            s.executeQuery(
                "select quote_ident(schemaname) || '.' || quote_ident(tablename) from pg_tables"
                    + " where schemaname not in ('pg_catalog', 'information_schema', 'dualwrite')")) {
      while (r.next()) {
        tables.add(r.getString(1));
      }
    }
    return tables;
  }

  private static Comparison one(String table, Connection source, Connection target)
      throws SQLException {
    Map<List<String>, Integer> difference = new HashMap<>();
    long sourceRows = count(table, source, difference, 1);
    long targetRows = count(table, target, difference, -1);
    long onlySource = 0;
    long onlyTarget = 0;
    for (int n : difference.values()) {
      onlySource += Math.max(0, n);
      onlyTarget += Math.max(0, -n);
    }
    return new Comparison(table, sourceRows, targetRows, onlySource, onlyTarget);
  }

  private static long count(
      String table, Connection c, Map<List<String>, Integer> difference, int sign)
      throws SQLException {
    long rows = 0;
    try (Statement s = c.createStatement()) {
      s.execute("set timezone = 'UTC'");
      s.execute("set datestyle = 'ISO'");
      s.execute("set extra_float_digits = 3");
      try (ResultSet r = s.executeQuery("select * from " + table)) {
        int columns = r.getMetaData().getColumnCount();
        List<String> names = new ArrayList<>();
        for (int i = 1; i <= columns; i++) {
          names.add(r.getMetaData().getColumnName(i));
        }
        while (r.next()) {
          List<String> row = new ArrayList<>(2 * columns);
          for (int i = 1; i <= columns; i++) {
            row.add(names.get(i - 1));
            row.add(r.getString(i));
          }
          difference.merge(row, sign, (a, b) -> a + b == 0 ? null : Integer.valueOf(a + b));
          rows++;
        }
      }
    }
    return rows;
  }
}
