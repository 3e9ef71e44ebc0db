package io.dualwrite.simulation;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Both databases row by row, as multisets of texts, in this program's memory and with nothing of
 * dualwrite.
 */
final class Comparison {

  private Comparison() {}

  /** A table that differs: what each side has more often than the other. */
  record Difference(String table, List<String> onlySource, List<String> onlyTarget) {}

  /** Every table that either side has, but for the system's and dualwrite's own. */
  static List<Difference> differences(Connection source, Connection target) throws SQLException {
    TreeSet<String> tables = new TreeSet<>(tables(source));
    tables.addAll(tables(target));
    List<Difference> result = new ArrayList<>();
    for (String t : tables) {
      Map<String, Integer> rows = new TreeMap<>();
      count(source, t, rows, 1);
      count(target, t, rows, -1);
      List<String> onlySource = new ArrayList<>();
      List<String> onlyTarget = new ArrayList<>();
      rows.forEach(
          (row, n) -> {
            for (int i = 0; i < Math.abs(n); i++) {
              (n > 0 ? onlySource : onlyTarget).add(row);
            }
          });
      if (!onlySource.isEmpty() || !onlyTarget.isEmpty()) {
        result.add(new Difference(t, onlySource, onlyTarget));
      }
    }
    return result;
  }

  private static List<String> tables(Connection c) throws SQLException {
    List<String> tables = new ArrayList<>();
    try (Statement s = c.createStatement();
        ResultSet r =
            s.executeQuery(
                "select quote_ident(tablename) from pg_tables where schemaname = 'public'")) {
      while (r.next()) {
        tables.add(r.getString(1));
      }
    }
    return tables;
  }

  /** The table's columns count as a row, so that a missing table is not an empty one. */
  private static void count(Connection c, String table, Map<String, Integer> rows, int sign)
      throws SQLException {
    try (Statement s = c.createStatement()) {
      s.execute("set timezone = 'UTC'; set datestyle = 'ISO'; set extra_float_digits = 3");
      try (ResultSet there = s.executeQuery("select to_regclass('public." + table + "') is null")) {
        there.next();
        if (there.getBoolean(1)) {
          return;
        }
      }
      try (ResultSet r = s.executeQuery("select * from " + table)) {
        int n = r.getMetaData().getColumnCount();
        TreeMap<String, Integer> columns = new TreeMap<>(); // their order is nobody's business
        for (int i = 1; i <= n; i++) {
          columns.put(
              r.getMetaData().getColumnName(i) + " " + r.getMetaData().getColumnTypeName(i), i);
        }
        add(rows, "columns " + columns.keySet(), sign);
        while (r.next()) {
          StringBuilder row = new StringBuilder();
          for (Map.Entry<String, Integer> e : columns.entrySet()) {
            String value = r.getString(e.getValue());
            row.append(row.isEmpty() ? "" : ", ")
                .append(e.getKey(), 0, e.getKey().indexOf(' '))
                .append(value == null ? " is null" : "=" + value);
          }
          add(rows, row.toString(), sign);
        }
      }
    }
  }

  private static void add(Map<String, Integer> rows, String row, int sign) {
    rows.merge(row, sign, (a, b) -> a + b == 0 ? null : Integer.valueOf(a + b));
  }

  /** The given markers that are not in the database; or, if asked so, those that are. */
  static Set<String> markers(Connection c, Collection<String> given, boolean there)
      throws SQLException {
    Set<String> present = new HashSet<>();
    try (Statement s = c.createStatement();
        ResultSet r =
            s.executeQuery("select marker from done union all select marker from done_log")) {
      while (r.next()) {
        present.add(r.getString(1));
      }
    }
    Set<String> result = new TreeSet<>();
    for (String m : given) {
      if (present.contains(m) == there) {
        result.add(m);
      }
    }
    return result;
  }
}
