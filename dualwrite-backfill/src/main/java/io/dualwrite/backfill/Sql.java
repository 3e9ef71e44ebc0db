package io.dualwrite.backfill;

import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/** Small pieces of SQL text. */
final class Sql {

  private Sql() {}

  /** A literal; {@code standard_conforming_strings} is pinned. */
  static String literal(String value) {
    return value == null ? "null" : "'" + value.replace("'", "''") + "'";
  }

  static String list(List<String> names) {
    return names.stream().map(TableName::quote).collect(Collectors.joining(", "));
  }

  static String list(String alias, List<String> names) {
    return names.stream()
        .map(n -> alias + "." + TableName.quote(n))
        .collect(Collectors.joining(", "));
  }

  static Column column(Table table, String name) {
    return table
        .column(name)
        .orElseThrow(
            () -> new BackfillException("table " + table.name() + " has no column " + name));
  }

  static Table known(Optional<Table> table, TableName name) {
    return table.orElseThrow(() -> new BackfillException("table " + name + " no longer exists"));
  }

  static List<String> writable(Table table) {
    return table.writableColumns().stream().map(Column::name).toList();
  }

  /**
   * The rows whose key lies in {@code [low, high)}: a row comparison, which an index on the key can
   * answer. Null for no bound. The types are those that {@code table} gives the key's columns.
   */
  static String range(Table table, List<String> key, List<String> low, List<String> high) {
    List<String> parts = new ArrayList<>();
    if (low != null) {
      parts.add("(" + list(key) + ") >= " + values(table, key, low));
    }
    if (high != null) {
      parts.add("(" + list(key) + ") < " + values(table, key, high));
    }
    return parts.isEmpty() ? "true" : String.join(" and ", parts);
  }

  private static String values(Table table, List<String> key, List<String> values) {
    List<String> parts = new ArrayList<>();
    for (int i = 0; i < key.size(); i++) {
      parts.add(literal(values.get(i)) + "::" + column(table, key.get(i)).type());
    }
    return "(" + String.join(", ", parts) + ")";
  }

  /** {@code (a) and (b)}, leaving out what is always true. */
  static String and(String... conditions) {
    List<String> parts = new ArrayList<>();
    for (String c : conditions) {
      if (c != null && !c.isEmpty() && !c.equals("true")) {
        parts.add("(" + c + ")");
      }
    }
    return parts.isEmpty() ? "true" : String.join(" and ", parts);
  }

  /**
   * Keys as a relation {@code u(k1, k2, …, n)} of the columns' types, for use in FROM: literals, as
   * COPY takes no parameters.
   */
  static String keys(Table table, List<String> columns, List<List<String>> keys) {
    StringBuilder out = new StringBuilder("(select ");
    for (int i = 0; i < columns.size(); i++) {
      out.append("x").append(i + 1).append("::").append(column(table, columns.get(i)).type());
      out.append(" as k").append(i + 1).append(", ");
    }
    out.append("n from unnest(");
    for (int i = 0; i < columns.size(); i++) {
      out.append(i == 0 ? "array[" : ", array[");
      for (int k = 0; k < keys.size(); k++) {
        out.append(k == 0 ? "" : ",").append(literal(keys.get(k).get(i)));
      }
      out.append("]::text[]");
    }
    out.append(") with ordinality x(");
    for (int i = 0; i < columns.size(); i++) {
      out.append("x").append(i + 1).append(", ");
    }
    return out.append("n)) u").toString();
  }

  /** {@code t.key1 = u.k1 and …} */
  static String matches(String alias, List<String> columns) {
    List<String> parts = new ArrayList<>();
    for (int i = 0; i < columns.size(); i++) {
      parts.add(alias + "." + TableName.quote(columns.get(i)) + " = u.k" + (i + 1));
    }
    return String.join(" and ", parts);
  }

  /** All rows of a query, as text. */
  static List<List<String>> rows(Connection connection, String sql) throws SQLException {
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

  /** The one value of a query, as text. */
  static String value(Connection connection, String sql) throws SQLException {
    List<List<String>> rows = rows(connection, sql);
    return rows.isEmpty() ? null : rows.get(0).get(0);
  }

  static void execute(Connection connection, String sql) throws SQLException {
    try (Statement s = connection.createStatement()) {
      s.execute(sql);
    }
  }

  static long update(Connection connection, String sql) throws SQLException {
    try (Statement s = connection.createStatement()) {
      return s.executeLargeUpdate(sql);
    }
  }
}
