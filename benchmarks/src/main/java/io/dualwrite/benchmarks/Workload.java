package io.dualwrite.benchmarks;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import org.postgresql.PGConnection;

/** What one transaction of a whole run does. */
enum Workload {
  /** One INSERT in autocommit. */
  AUTOCOMMIT("one INSERT, autocommit", 1) {
    @Override
    void run(Connection[] on, String table, long id) throws SQLException {
      insert(on, table, id);
    }
  },

  /** One INSERT and a commit. */
  ONE("one INSERT", 1) {
    @Override
    void run(Connection[] on, String table, long id) throws SQLException {
      insert(on, table, id);
      commit(on);
    }
  },

  /** Six INSERTs, three UPDATEs and a DELETE of earlier rows, and a commit. */
  TEN("ten statements", 6) {
    @Override
    void run(Connection[] on, String table, long id) throws SQLException {
      for (int i = 0; i < 6; i++) {
        insert(on, table, id + i);
      }
      for (int i = 1; i <= 3; i++) {
        for (Connection c : on) {
          try (PreparedStatement s =
              c.prepareStatement(
                  "update " + table + " set total = total + ?, note = ? where id = ?")) {
            s.setBigDecimal(1, BigDecimal.ONE);
            s.setString(2, "changed");
            s.setLong(3, id - i);
            s.executeUpdate();
          }
        }
      }
      for (Connection c : on) {
        try (PreparedStatement s = c.prepareStatement("delete from " + table + " where id = ?")) {
          s.setLong(1, id - 6);
          s.executeUpdate();
        }
      }
      commit(on);
    }
  },

  /** A batch of a thousand INSERTs and a commit. */
  BATCH("batch of 1,000", 1000) {
    @Override
    void run(Connection[] on, String table, long id) throws SQLException {
      for (Connection c : on) {
        try (PreparedStatement s = c.prepareStatement(insertInto(table))) {
          for (int i = 0; i < 1000; i++) {
            bind(s, id + i);
            s.addBatch();
          }
          s.executeBatch();
        }
      }
      commit(on);
    }
  },

  /** COPY of a thousand rows and a commit. */
  COPY("COPY of 1,000", 1000) {
    @Override
    void run(Connection[] on, String table, long id) throws SQLException {
      StringBuilder rows = new StringBuilder(60_000);
      for (int i = 0; i < 1000; i++) {
        rows.append(id + i).append('\t').append(17).append('\t').append(AT).append('\t');
        rows.append(TOTAL).append('\t').append(NOTE).append('\n');
      }
      byte[] bytes = rows.toString().getBytes(StandardCharsets.UTF_8);
      for (Connection c : on) {
        try {
          c.unwrap(PGConnection.class)
              .getCopyAPI()
              .copyIn("copy " + table + " from stdin", new ByteArrayInputStream(bytes));
        } catch (IOException e) {
          throw new SQLException(e.getMessage(), "58030", e);
        }
      }
      commit(on);
    }
  };

  private static final OffsetDateTime AT =
      OffsetDateTime.of(2026, 3, 1, 12, 0, 0, 0, ZoneOffset.UTC);
  private static final BigDecimal TOTAL = new BigDecimal("129.95");
  private static final String NOTE = "leave it with the neighbours";

  /** As the tables name it. */
  final String label;

  /** How many ids a transaction takes. */
  final int rows;

  Workload(String label, int rows) {
    this.label = label;
    this.rows = rows;
  }

  /** The DDL of a table. */
  static String table(String name) {
    return "create table "
        + name
        + " (id bigint primary key, customer bigint not null, placed timestamptz not null,"
        + " total numeric(12,2) not null, note text)";
  }

  /**
   * One transaction.
   *
   * @param on every connection that it is done on, statement by statement
   * @param id the first of its ids
   */
  abstract void run(Connection[] on, String table, long id) throws SQLException;

  private static String insertInto(String table) {
    return "insert into " + table + " (id, customer, placed, total, note) values (?, ?, ?, ?, ?)";
  }

  private static void bind(PreparedStatement s, long id) throws SQLException {
    s.setLong(1, id);
    s.setLong(2, 17);
    s.setObject(3, AT);
    s.setBigDecimal(4, TOTAL);
    s.setString(5, NOTE);
  }

  private static void insert(Connection[] on, String table, long id) throws SQLException {
    for (Connection c : on) {
      try (PreparedStatement s = c.prepareStatement(insertInto(table))) {
        bind(s, id);
        s.executeUpdate();
      }
    }
  }

  private static void commit(Connection[] on) throws SQLException {
    for (Connection c : on) {
      c.commit();
    }
  }
}
