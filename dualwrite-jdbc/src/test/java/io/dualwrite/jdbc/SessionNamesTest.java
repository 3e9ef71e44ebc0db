package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.StringReader;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Timestamp;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PGTimestamp;

/**
 * One text on one connection that means one table first and another one later, and statements that
 * the application has set limits for.
 */
class SessionNamesTest {

  private static final String INSERT = "insert into t values (?, ?)";

  private Fixture fixture;
  private int id;

  @BeforeEach
  void start() throws SQLException {
    fixture =
        Fixture.shared(
                """
                create table t(id int primary key, v text);
                create schema a;
                create table a.t(id int primary key, v text);
                create table log(id int primary key);
                create table moved(id int primary key, v int);
                create table at_time(t timestamptz primary key);
                create function tenant(s text) returns text language plpgsql as 'begin return set_config(''search_path'', s, false); end';
                create function log_it(n int) returns int language plpgsql as 'begin insert into log values (n); return n; end';
                """)
            .ready();
  }

  @AfterEach
  void stop() {
    fixture.close();
  }

  private void insert(Connection c) throws SQLException {
    try (PreparedStatement s = c.prepareStatement(INSERT)) {
      s.setInt(1, ++id);
      s.setString(2, "x");
      s.executeUpdate();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "set local search_path = a",
        "set search_path = a",
        "select set_config('search_path', 'a', false)",
        "select tenant('a')",
        "do $$ begin perform set_config('search_path', 'a', false); end $$",
        "do $$ begin create temp table t(id int primary key, v text); end $$",
        "create temp table t(id int primary key, v text) on commit drop",
      })
  void namesThatATransactionChanges(String change) throws SQLException {
    for (String end :
        new String[] {"commit", "rollback", "rollback to", "discard all", "reset all"}) {
      try (Connection c = fixture.connect();
          Statement s = c.createStatement()) {
        insert(c); // as everybody plans it
        c.setAutoCommit(false);
        Savepoint before = c.setSavepoint();
        s.execute(change);
        insert(c);
        insert(c);
        if (end.equals("rollback to")) {
          c.rollback(before);
          insert(c);
          c.commit();
        } else if (end.equals("rollback")) {
          c.rollback();
        } else {
          c.commit();
        }
        c.setAutoCommit(true);
        insert(c);
        if (end.endsWith("all")) {
          s.execute(end);
        }
        insert(c);
      }
      fixture.assertEqual();
    }
    assertEquals(0, fixture.ds.status().parked().size());
  }

  @Test
  void limitsOfTheApplicationAreNotThoseOfTheCapture() throws SQLException {
    try (Connection c = fixture.connect()) {
      for (boolean autoCommit : new boolean[] {true, false}) {
        c.setAutoCommit(autoCommit);
        try (PreparedStatement s =
            c.prepareStatement(
                "insert into t values (?, 'a'), (?, 'b')", Statement.RETURN_GENERATED_KEYS)) {
          s.setFetchSize(2);
          s.setInt(1, ++id);
          s.setInt(2, ++id);
          assertEquals(2, s.executeUpdate());
        }
        try (Statement s = c.createStatement()) {
          s.setMaxRows(1);
          assertEquals(
              1,
              s.executeUpdate(
                  "insert into t values (" + ++id + ", 'c')", Statement.RETURN_GENERATED_KEYS));
          assertEquals(1, s.getMaxRows());
        }
        try (PreparedStatement s = c.prepareStatement("update t set v = ? where id >= ?")) {
          s.setMaxRows(1);
          for (int i = 1; i <= 2; i++) {
            s.setString(1, "batch " + i);
            s.setInt(2, i);
            s.addBatch();
          }
          s.executeBatch();
        }
        if (!autoCommit) {
          c.commit();
        }
      }
    }
    fixture.assertEqual();
  }

  /** The driver by itself reads all rows at once in autocommit, whatever the fetch size. */
  @Test
  void aFunctionRunsForEveryRow() throws SQLException {
    try (Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      s.setFetchSize(2);
      try (ResultSet r = s.executeQuery("select log_it(n) from generate_series(1, 5) n")) {
        r.next();
      }
      assertEquals(2, s.getFetchSize());
      assertEquals("5", Fixture.value(c, "select count(*) from log"));
    }
    fixture.assertEqual();
  }

  /** What another one inserts meanwhile is not this one's to delete. */
  @Test
  void aDeleteThatFoundNothingIsNotShipped() throws SQLException {
    try (Connection c = fixture.connect();
        Connection other = fixture.connect();
        PreparedStatement s = c.prepareStatement("delete from t where id = ? returning v")) {
      c.setAutoCommit(false);
      other.setAutoCommit(false);
      insert(other);
      s.setInt(1, id);
      try (ResultSet r = s.executeQuery()) {
        assertEquals(false, r.next());
      }
      other.commit();
      fixture.assertDrained();
      c.commit();
    }
    fixture.assertEqual();
    assertEquals(0, fixture.counter("units.left-to-replay"));
  }

  /** The server would run it in COMMIT, behind everything that is looked at. */
  @Test
  void aCursorThatWritesWhenTheTransactionCommitsIsRefused() throws SQLException {
    try (Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      c.setAutoCommit(false);
      SQLException e =
          assertThrows(
              SQLException.class,
              () ->
                  s.execute(
                      "declare held cursor with hold for select log_it(n) from generate_series(1, 3) n"));
      assertTrue(e.getMessage().contains("WITH HOLD"), e.getMessage());
      s.execute("declare cut cursor for select log_it(n) from generate_series(1, 3) n");
      s.execute("fetch 2 from cut");
      s.execute("declare held cursor with hold for select n from generate_series(1, 3) n");
      c.commit();
    }
    fixture.assertEqual();
    assertEquals("2", value("select count(*) from log"));
  }

  /** By another process, in a schema that the name is looked up in before. */
  @Test
  void aTableThatTakesANameOver() throws SQLException {
    for (String change :
        new String[] {
          INSERT,
          "update t set id = ?, v = ? where id > 1000",
          "insert into t values (?, ?) returning id"
        }) {
      fixture.pair.execute("create schema if not exists b; insert into t values (1001, 'old')");
      try (Connection c = fixture.connect();
          Statement s = c.createStatement()) {
        s.execute("set search_path = b, public");
        try (PreparedStatement p = c.prepareStatement(change)) {
          for (int i = 0; i < 4; i++) {
            boolean alone = i != 2;
            c.setAutoCommit(alone);
            p.setInt(1, 1001 + ++id);
            p.setString(2, "x");
            p.execute();
            if (i == 1) {
              fixture.pair.execute(
                  "create table b.t(id int primary key, v text); insert into b.t values (1001, 'new')");
            } else if (!alone) {
              s.execute("set local search_path = public");
              c.commit();
            }
          }
        }
      }
      Fixture.await(
          "reconciled",
          () -> {
            fixture.ds.reconcile(); // the background rests long on a slow machine
            return fixture.ds.status().suspects().isEmpty();
          });
      fixture.assertEqual();
      assertEquals(
          source("select array_agg(t order by id)::text from b.t t"),
          value("select array_agg(t order by id)::text from b.t t"));
      fixture.pair.execute("drop table b.t; delete from t");
    }
  }

  private String source(String query) throws SQLException {
    try (Connection s = fixture.pair.source()) {
      return Fixture.value(s, query);
    }
  }

  private String value(String query) throws SQLException {
    try (Connection t = fixture.pair.target()) {
      return Fixture.value(t, query);
    }
  }

  /** Values without names, when somebody has put the columns into another order. */
  @Test
  void aKeyThatChangesItsPlace() throws SQLException, IOException {
    try (Connection c = fixture.connect()) {
      String sql = "copy moved from stdin";
      CopyManager copies = c.unwrap(PGConnection.class).getCopyAPI();
      assertEquals(1, copies.copyIn(sql, new StringReader("1\t10\n")));
      fixture.assertDrained();
      fixture.pair.execute(
          "delete from moved; alter table moved drop column id; alter table moved add column id int primary key");
      assertEquals(1, copies.copyIn(sql, new StringReader("20\t2\n")));
    }
    Fixture.await("reconciled", () -> fixture.ds.status().suspects().isEmpty());
    fixture.assertEqual();
    assertEquals("20 2", value("select v || ' ' || id from moved"));
  }

  /** From there on it is not known what was written. */
  @Test
  void aFunctionThatStopsTheCounting() throws SQLException {
    try (Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      s.execute(
          "do $$ begin insert into log values (1); perform set_config('track_counts', 'off', true); insert into log values (2); end $$");
    }
    Fixture.await("reconciled", () -> fixture.ds.status().suspects().isEmpty());
    fixture.assertEqual();
    assertEquals("2", value("select count(*) from log"));
  }

  /** By which RETURNING would show the row as it was. */
  @Test
  void aTableThatIsCalledOld() throws SQLException {
    try (Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      for (int i = 0; i < 3; i++) {
        insert(c);
      }
      s.executeUpdate("update t as old set id = id + 1000 where id = 1");
      s.executeUpdate("update t set id = t.id + 1000 from (select 2 as n) as OLD where id = n");
    }
    Fixture.await("reconciled", () -> fixture.ds.status().suspects().isEmpty());
    fixture.assertEqual();
    assertEquals(0, fixture.ds.status().parked().size());
  }

  @Test
  void aTimestampWithACalendarOfItsOwn() throws SQLException {
    try (Connection c = fixture.connect();
        Statement s = c.createStatement();
        PreparedStatement p = c.prepareStatement("insert into at_time values (?)")) {
      s.execute("set time zone 'Asia/Kathmandu'");
      p.setTimestamp(1, new PGTimestamp(Timestamp.valueOf("2026-01-02 03:04:05").getTime()));
      p.executeUpdate();
    }
    fixture.assertEqual();
  }
}
