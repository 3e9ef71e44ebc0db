package io.dualwrite.jdbc;

import java.math.BigDecimal;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * An application with one connection, which writes down everything that it can observe. What
 * differs from run to run is told by the column's label and reduced to whether it is null.
 */
final class App {

  /** Labels of columns whose values are made by clocks, chance and counters of transactions. */
  static final Set<String> VOLATILE = Set.of("at", "rnd", "uid", "xid", "pid", "clock");

  private static final Pattern TIME =
      Pattern.compile("\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d[.0-9]*([+-]\\d\\d)?");
  private static final Pattern UUID =
      Pattern.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}");

  final Connection c;
  final List<String> seen = new ArrayList<>();

  /** Whether texts are executed as prepared statements. */
  private final boolean prepared;

  private final String schema;

  App(Connection c, boolean prepared, String schema) {
    this.c = c;
    this.prepared = prepared;
    this.schema = schema;
  }

  /** The text with the schema in place of {@code §}. */
  String text(String sql) {
    return sql.replace("§", schema + ".");
  }

  String schema() {
    return schema;
  }

  void see(Object o) {
    seen.add(o instanceof int[] a ? Arrays.toString(a) : String.valueOf(o));
  }

  /** Does something whose error is part of what is observed. */
  void attempt(Kind.Body body) throws Exception {
    try {
      body.run(this);
    } catch (SQLException e) {
      error(e);
    }
  }

  private void error(SQLException e) {
    String message = TIME.matcher(String.valueOf(e.getMessage())).replaceAll("(time)");
    message = UUID.matcher(message).replaceAll("(uuid)");
    see("! " + e.getClass().getSimpleName() + " " + e.getSQLState() + " " + message);
    if (e instanceof BatchUpdateException b) {
      see(b.getUpdateCounts());
      if (b.getNextException() != null) {
        see("next " + b.getNextException().getSQLState());
      }
    }
  }

  boolean sawError() {
    return seen.stream().anyMatch(s -> s.startsWith("! "));
  }

  /** Executes a text and observes all its results. */
  void sql(String sql, Object... parameters) throws Exception {
    attempt(
        a -> {
          String text = text(sql);
          if (prepared || !literal(parameters)) {
            try (PreparedStatement s = c.prepareStatement(text)) {
              bind(s, parameters);
              results(s, s.execute());
            }
          } else {
            try (Statement s = c.createStatement()) {
              results(s, s.execute(inline(text, parameters)));
            }
          }
        });
  }

  /** Executes a text as a simple Statement, whatever the variant. */
  void plain(String sql) throws Exception {
    attempt(
        a -> {
          try (Statement s = c.createStatement()) {
            results(s, s.execute(text(sql)));
          }
        });
  }

  /** Executes a prepared statement, whatever the variant. */
  void bound(String sql, Object... parameters) throws Exception {
    attempt(
        a -> {
          try (PreparedStatement s = c.prepareStatement(text(sql))) {
            bind(s, parameters);
            results(s, s.execute());
          }
        });
  }

  /** executeUpdate with generated keys, of these columns or of all. */
  void keys(String[] columns, String sql, Object... parameters) throws Exception {
    attempt(
        a -> {
          String text = text(sql);
          if (prepared || !literal(parameters)) {
            try (PreparedStatement s =
                columns == null
                    ? c.prepareStatement(text, Statement.RETURN_GENERATED_KEYS)
                    : c.prepareStatement(text, columns)) {
              bind(s, parameters);
              see(s.executeUpdate());
              rows(s.getGeneratedKeys());
            }
          } else {
            try (Statement s = c.createStatement()) {
              String whole = inline(text, parameters);
              see(
                  columns == null
                      ? s.executeUpdate(whole, Statement.RETURN_GENERATED_KEYS)
                      : s.executeUpdate(whole, columns));
              rows(s.getGeneratedKeys());
            }
          }
        });
  }

  /** A batch of one text with several rows of parameters. */
  void batch(String sql, Object[]... rows) throws Exception {
    attempt(
        a -> {
          if (prepared || rows.length > 0 && !literal(rows[0])) {
            try (PreparedStatement s = c.prepareStatement(text(sql))) {
              for (Object[] r : rows) {
                bind(s, r);
                s.addBatch();
              }
              see(s.executeBatch());
            }
          } else {
            try (Statement s = c.createStatement()) {
              for (Object[] r : rows) {
                s.addBatch(inline(text(sql), r));
              }
              see(s.executeBatch());
            }
          }
        });
  }

  private static void bind(PreparedStatement s, Object... parameters) throws SQLException {
    for (int i = 0; i < parameters.length; i++) {
      s.setObject(i + 1, parameters[i]);
    }
  }

  private static boolean literal(Object... parameters) {
    return Arrays.stream(parameters)
        .allMatch(
            p ->
                p == null
                    || p instanceof String
                    || p instanceof Integer
                    || p instanceof Long
                    || p instanceof Boolean
                    || p instanceof BigDecimal);
  }

  private static String inline(String sql, Object... parameters) {
    StringBuilder b = new StringBuilder();
    int from = 0;
    for (Object p : parameters) {
      int at = sql.indexOf('?', from);
      b.append(sql, from, at);
      b.append(p instanceof String t ? "'" + t.replace("'", "''") + "'" : String.valueOf(p));
      from = at + 1;
    }
    return b.append(sql.substring(from)).toString();
  }

  /** Every result of a statement that was executed, and its warnings. */
  void results(Statement s, boolean first) throws SQLException {
    boolean isRows = first;
    while (true) {
      if (isRows) {
        rows(s.getResultSet());
      } else {
        int n = s.getUpdateCount();
        if (n < 0) {
          break;
        }
        see(n);
      }
      isRows = s.getMoreResults();
    }
    for (SQLWarning w = s.getWarnings(); w != null; w = w.getNextWarning()) {
      see("warning " + w.getSQLState() + " " + w.getMessage());
    }
  }

  /** The rows of a result to its end; closes it. */
  void rows(ResultSet r) throws SQLException {
    try (r) {
      ResultSetMetaData m = r.getMetaData();
      StringBuilder head = new StringBuilder("columns");
      for (int i = 1; i <= m.getColumnCount(); i++) {
        head.append(' ')
            .append(m.getColumnLabel(i))
            .append(':')
            .append(m.getColumnTypeName(i))
            .append(':')
            .append(m.getColumnClassName(i))
            .append(':')
            .append(m.getPrecision(i))
            .append(':')
            .append(m.getScale(i));
      }
      see(head);
      while (r.next()) {
        List<String> row = new ArrayList<>();
        for (int i = 1; i <= m.getColumnCount(); i++) {
          String v = r.getString(i);
          row.add(v != null && VOLATILE.contains(m.getColumnLabel(i)) ? "(some)" : v);
        }
        see(row);
      }
    }
  }
}
