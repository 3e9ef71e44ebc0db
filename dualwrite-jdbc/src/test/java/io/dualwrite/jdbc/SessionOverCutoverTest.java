package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;

/** What a connection has set is so on the next primary, or there is no such connection. */
class SessionOverCutoverTest {

  private static final String DDL =
      """
      create table t(id int);
      create schema app; create table app.t(id int);
      create schema b; create table b.t(id int);
      create function tenant(s text) returns void language plpgsql as
        'begin perform set_config(''app.tenant'', s, false); perform set_config(''search_path'', s, false); end';
      """;

  private static final String SESSION =
      """
      select concat_ws('|', current_setting('search_path'), current_setting('app.tenant', true),
        current_setting('App.Other', true), session_user, current_setting('role'),
        current_setting('default_transaction_isolation'), current_setting('work_mem'),
        nullif(nullif(current_setting('application_name'), 'PostgreSQL JDBC Driver'), ''), current_setting('TimeZone'), current_setting('statement_timeout'),
        (select string_agg(name || statement, ',' order by name) from pg_prepared_statements where from_sql),
        (select string_agg(c, ',') from pg_listening_channels() c))
      """;

  private interface Setup {
    void in(Connection c, Statement s) throws SQLException;
  }

  private final Map<String, Setup> setups = new LinkedHashMap<>();

  private void texts(String... texts) {
    setups.put(
        String.join("; ", texts),
        (c, s) -> {
          for (String text : texts) {
            s.execute(text);
          }
        });
  }

  private void methods(String what, Setup setup) {
    setups.put(what, setup);
  }

  @Test
  void isTheSame() throws SQLException {
    texts();
    texts(
        "set search_path = app, public",
        "set work_mem = '7MB'",
        "set time zone interval '+3' hour to minute");
    texts("set search_path = app", "reset search_path");
    texts("set search_path = app", "reset all");
    texts(
        "set app.tenant = '1'",
        "set search_path = app",
        "listen l",
        "prepare p as select 1",
        "discard all");
    texts(
        "select set_config('search_path', 'app', false), set_config('app.tenant', 'it''s', false)");
    texts("set session characteristics as transaction isolation level serializable");
    texts("set role pg_monitor", "set search_path = app");
    texts("set session authorization pg_monitor", "set role pg_read_all_settings");
    texts("set session authorization pg_monitor", "reset session authorization");
    texts("prepare p as select 1 where 'a' ~ $1", "prepare q(int) as select $1", "deallocate p");
    texts(
        "prepare p as select 1",
        "deallocate p",
        "prepare p as select 2",
        "deallocate all",
        "prepare p as select '?{d}'");
    texts("set statement_timeout = 1001");
    texts("listen l", "listen \"L 2\"", "listen m", "unlisten m");
    texts("select tenant('b')");
    texts("do $$ begin perform set_config('app.tenant', 'from a block', false); end $$");
    texts("prepare p(text) as select set_config('app.tenant', $1, false)", "execute p('x')");
    texts("begin", "set search_path = app", "set app.tenant = '1'", "rollback");
    texts(
        "begin",
        "set local search_path = app",
        "select set_config('app.tenant', '1', true)",
        "commit");
    texts(
        "set search_path = b",
        "begin",
        "set search_path = app",
        "savepoint s",
        "set search_path = public",
        "rollback to s",
        "commit");
    methods(
        "rolled back",
        (c, s) -> {
          c.setAutoCommit(false);
          s.execute("set search_path = app");
          s.execute("set role pg_monitor");
          c.setSchema("b");
          c.rollback();
        });
    methods(
        "rolled back to",
        (c, s) -> {
          c.setAutoCommit(false);
          c.setSchema("b");
          Savepoint before = c.setSavepoint();
          c.setSchema("app");
          c.rollback(before);
          c.commit();
        });
    methods(
        "a text, then a method",
        (c, s) -> {
          s.execute("set search_path = app");
          c.setSchema("b");
        });
    methods(
        "a method, then a text",
        (c, s) -> {
          c.setSchema("b");
          s.execute("set search_path = app");
        });
    methods(
        "methods",
        (c, s) -> {
          c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
          c.setClientInfo("ApplicationName", "the application");
          c.setReadOnly(true);
        });
    methods(
        "named by a parameter",
        (c, s) -> {
          try (PreparedStatement p =
              c.prepareStatement("select set_config(?, ?, false), set_config(?, ?, true)")) {
            p.setString(1, "App.Other");
            p.setString(2, "1");
            p.setString(3, "app.tenant");
            p.setString(4, "2");
            p.execute();
          }
        });
    methods(
        "a name that is gone with its transaction",
        (c, s) ->
            s.execute(
                "select set_config(k, v, true) from (values ('search_path', 'app')) x(k, v)"));

    try (Fixture f = Fixture.shared(DDL).ready()) {
      List<Connection> connections = new ArrayList<>();
      List<String> before = new ArrayList<>();
      for (Map.Entry<String, Setup> setup : setups.entrySet()) {
        Connection c = f.connect();
        connections.add(c);
        try (Statement s = c.createStatement()) {
          setup.getValue().in(c, s);
        }
        before.add(setup.getKey() + ": " + session(c));
      }
      f.ds.cutover(Duration.ofSeconds(10));
      List<String> after = new ArrayList<>();
      int i = 0;
      for (String name : setups.keySet()) {
        after.add(name + ": " + session(connections.get(i++)));
      }
      assertEquals(String.join("\n", before), String.join("\n", after));
      for (Connection c : connections) {
        if (!c.isReadOnly()
            && Fixture.value(c, "select current_setting('is_superuser')").equals("on")) {
          try (Statement s = c.createStatement()) {
            s.execute("insert into t values (1)");
          }
          end(c);
        }
        c.close();
      }
      f.assertEqual();
    }
  }

  private static String session(Connection c) throws SQLException {
    String value = Fixture.value(c, SESSION);
    end(c);
    return value;
  }

  private static void end(Connection c) throws SQLException {
    if (!c.getAutoCommit()) {
      c.commit();
    }
  }

  @Test
  void orTheConnectionIsClosed() throws SQLException {
    String compute = "select set_config(k, v, false) from (values ('app.tenant', 'b')) x(k, v)";
    texts("begin", "set role here_alone", "commit");
    texts(compute);
    texts("create temp table t as select 1 as id");
    texts("create view pg_temp.t as select 1 as id");
    texts("do $$ begin create temp table t(id int); perform pg_advisory_xact_lock(1); end $$");
    texts("select pg_advisory_lock(42)");
    texts("select pg_try_advisory_lock_shared(4, 2)");
    texts("declare c cursor with hold for select 1");
    int closed = setups.size();
    texts(compute, "reset all");
    texts(
        "create temp table t(id int)",
        "drop table t",
        "select pg_advisory_lock(43)",
        "select pg_advisory_unlock(43)");
    texts("create temp table t on commit drop as select 1 as id");
    try (Fixture f = Fixture.shared(DDL).ready()) {
      try {
        f.pair.executeSource(
            "create role here_alone; grant usage, create on schema public to here_alone");
        f.execute("insert into t values (0)");
        List<Connection> connections = new ArrayList<>();
        for (Setup setup : setups.values()) {
          Connection c = f.connect();
          connections.add(c);
          try (Statement s = c.createStatement()) {
            setup.in(c, s);
          }
        }
        f.ds.cutover(Duration.ofSeconds(10));
        int i = 0;
        for (String name : setups.keySet()) {
          Connection c = connections.get(i++);
          if (i > closed) {
            try (Statement s = c.createStatement()) {
              assertEquals(i - closed, s.executeUpdate("delete from t"), name);
              s.executeUpdate("insert into t select from generate_series(0, " + (i - closed) + ")");
            }
            c.close();
            continue;
          }
          SQLException e =
              assertThrows(
                  SQLException.class, () -> c.createStatement().execute("delete from t"), name);
          assertEquals("08006", e.getSQLState());
          assertTrue(e.getMessage().startsWith("dualwrite closed this connection"), e.getMessage());
          assertTrue(c.isClosed());
          assertEquals("08003", assertThrows(SQLException.class, c::commit).getSQLState());
        }
        f.assertEqual();
        try (Connection c = f.connect()) {
          assertEquals("4", Fixture.value(c, "select count(*) from t"));
        }
      } finally {
        f.pair.executeSource("drop owned by here_alone; drop role here_alone");
      }
    }
  }

  /** Nor does who only listens stay behind. */
  @Test
  void whatIsHeardAndWhatDescribesTheDatabaseGoOn() throws Exception {
    try (Fixture f = Fixture.shared(DDL).ready();
        Connection asks = f.connect();
        Connection waits = f.connect();
        Connection speaks = f.connect()) {
      for (Connection c : List.of(asks, waits)) {
        try (Statement s = c.createStatement()) {
          s.execute("listen l");
        }
      }
      DatabaseMetaData described = asks.getMetaData();
      PGConnection asking = asks.unwrap(PGConnection.class);
      CompletableFuture<PGNotification[]> waiting =
          CompletableFuture.supplyAsync(
              () -> {
                try {
                  return waits.unwrap(PGConnection.class).getNotifications(0);
                } catch (SQLException e) {
                  throw new IllegalStateException(e);
                }
              });
      f.ds.cutover(Duration.ofSeconds(10));
      f.pair.executeSource("create table here_alone(id int)");
      assertEquals(0, asking.getNotifications().length);
      Fixture.await(
          "what is said now",
          () -> {
            try (Statement s = speaks.createStatement()) {
              s.execute("notify l, 'now'");
            }
            return waiting.isDone();
          });
      assertEquals("now", waiting.get()[0].getParameter());
      assertEquals("now", asking.getNotifications(60_000)[0].getParameter());
      try (ResultSet r = described.getTables(null, "public", "%", new String[] {"TABLE"})) {
        assertTrue(r.next());
        assertEquals("t", r.getString("TABLE_NAME"));
        assertFalse(r.next());
      }
    }
  }

  /** With nothing set there is nothing to ask it for. */
  @Test
  void anOldPrimaryThatIsGoneIsNotMissed() throws SQLException {
    try (Fixture f = Fixture.shared(DDL).ready();
        Connection plain = f.connect();
        Connection set = f.connect();
        Connection locked = f.connect()) {
      try (Statement s = set.createStatement()) {
        s.execute("set search_path = app");
      }
      try (Statement s = locked.createStatement()) {
        s.execute("select pg_try_advisory_lock(42)");
      }
      f.ds.cutover(Duration.ofSeconds(10));
      f.pair.executeSource(
          "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = current_database()"
              + " and pid <> pg_backend_pid() and application_name = 'PostgreSQL JDBC Driver'");
      try (Statement s = plain.createStatement()) {
        assertEquals(1, s.executeUpdate("insert into t values (1)"));
      }
      for (Connection c : List.of(set, locked)) {
        assertThrows(
            SQLException.class, () -> c.createStatement().execute("insert into t values (1)"));
        assertTrue(c.isClosed());
      }
      f.assertEqual();
    }
  }

  /** Nothing was sent: it says nothing of what was before. */
  @Test
  void aCommitWithoutATransactionProvesNothing() throws SQLException {
    try (Fixture f = Fixture.shared(DDL);
        Connection c = f.pair.source()) {
      SQLException e = assertThrows(SQLException.class, c::commit);
      assertEquals("25P01", e.getSQLState());
      assertFalse(DualWriter.aborted(c, e));
      assertTrue(DualWriter.aborted(c, new SQLException("", "25P02")));
    }
  }
}
