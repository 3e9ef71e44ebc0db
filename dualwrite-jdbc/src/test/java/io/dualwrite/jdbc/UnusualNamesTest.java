package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.catalog.Catalog;
import io.dualwrite.config.Setting;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import org.junit.jupiter.api.Test;
import org.postgresql.PGResultSetMetaData;

/** What the driver and the server take, and hardly anybody writes. */
class UnusualNamesTest {

  private static final String DDL =
      """
      create table t(id serial primary key, "Id" int default 5, v text);
      create table nothing();
      create table made(v int generated always as (1) stored);
      create function one() returns int language sql immutable as 'select 1';
      """;

  @Test
  void keysThatTheDriverDoesNotQuote() throws SQLException {
    try (Fixture f = Fixture.shared(DDL).ready()) {
      for (boolean quoted : new boolean[] {false, true}) {
        f.open(
                b ->
                    b.source(
                        f.pair.sourceUrl()
                            + (f.pair.sourceUrl().contains("?") ? "&" : "?")
                            + "quoteReturningIdentifiers="
                            + quoted,
                        "postgres",
                        "postgres"))
            .ready();
        String[] keys = quoted ? new String[] {"id", "Id"} : new String[] {"ID", "\"Id\""};
        String insert = "insert into t(v) values ('a')";
        try (Connection c = f.connect();
            Statement s = c.createStatement();
            PreparedStatement p = c.prepareStatement(insert, keys)) {
          s.executeUpdate(insert, keys);
          assertKeys(s);
          p.executeUpdate();
          assertKeys(p);
          s.executeUpdate("with n as (insert into t(v) values ('b')) " + insert, keys);
          assertKeys(s);
        }
      }
      f.assertEqual();
    }
  }

  private static void assertKeys(Statement s) throws SQLException {
    try (ResultSet r = s.getGeneratedKeys()) {
      assertTrue(r.next());
      assertTrue(r.getInt(1) > 0);
      assertEquals(5, r.getInt(2));
      assertEquals(2, r.getMetaData().getColumnCount());
    }
  }

  @Test
  void tablesWithoutAColumnToWrite() throws SQLException {
    try (Fixture f = Fixture.shared(DDL).ready()) {
      for (String t : new String[] {"nothing", "made"}) {
        for (String sql :
            new String[] {
              "insert into $ default values", "insert into $ select", "delete from $"
            }) {
          SQLException e = assertThrows(SQLException.class, () -> f.execute(sql.replace("$", t)));
          assertEquals(Refusal.SQLSTATE, e.getSQLState());
        }
      }
      f.open(b -> b.set(Setting.POLICY_RELATION, "primary-only"));
      f.execute("insert into nothing default values");
      f.execute("insert into nothing default values; delete from made");
      assertEquals(0, f.ds.status().suspects().size());
      f.assertDrained();
    }
  }

  @Test
  void functionsOfThisDatabase() throws SQLException {
    try (Fixture f = Fixture.shared(DDL).ready();
        Connection c = f.connect()) {
      String database = Fixture.value(c, "select current_database()");
      assertEquals("1", Fixture.value(c, "select " + database + ".public.one()"));
      assertEquals("1", Fixture.value(c, "select \"public\".\"one\"()"));
    }
  }

  @Test
  void unicode() throws SQLException {
    try (Fixture f = Fixture.shared(DDL).ready();
        Connection c = f.connect();
        Statement s = c.createStatement()) {
      assertEquals(1, s.executeUpdate("insert into U&\"\\0074\"(v) values ('a')"));
      assertEquals(1, s.executeUpdate("update public.u&\"t\" set v = v || 'b'"));
      f.assertEqual();
      assertEquals("ab", Fixture.value(c, "select string_agg(v, ',') from t"));
    }
  }

  /** To a plain Statement a question mark is an operator. */
  @Test
  void operatorsWithAQuestionMark() throws SQLException {
    try (Fixture f = Fixture.shared("create table t(id int primary key, j jsonb, v text)").ready();
        Connection c = f.connect();
        Statement s = c.createStatement()) {
      s.execute("insert into t select n, '{\"a\":1}', '?' from generate_series(1, 6) n");
      String writing =
          "with n as (update t set v = 'it''s ?' where j ? 'a' and id = 1 returning j ?| array['b', 'a'] as x, v)"
              + " delete from t using n where t.j ?& array['a'] and n.x and id = 2 returning t.v, t.j ? 'a' as has";
      try (ResultSet r = s.executeQuery(writing)) {
        assertEquals("has", r.getMetaData().getColumnLabel(2));
        assertEquals("text", r.getMetaData().getColumnTypeName(1));
        assertEquals("t", ((PGResultSetMetaData) r.getMetaData()).getBaseTableName(1));
        assertTrue(r.next());
        assertTrue(r.getBoolean(2));
      }
      s.execute("explain analyze delete from t where j ? 'a' and id = 3");
      assertEquals(1, s.executeUpdate("update t set j = '{}' where j ? 'a' and id = 4"));
      s.execute("select j ? 'a' from t; delete from t where j ? 'a' and id = 5");
      String prepared = "with n as (select 1) delete from t where j ?? ? and id = ?";
      for (int i = 0; i < 2; i++) {
        try (PreparedStatement p = c.prepareStatement(prepared)) {
          p.setString(1, "a");
          p.setInt(2, 6);
          assertEquals(1 - i, p.executeUpdate());
        }
      }
      assertEquals("it's ?|?", Fixture.value(c, "select string_agg(v, '|' order by id) from t"));
      Fixture.await("reconciled", () -> f.ds.status().suspects().isEmpty());
      f.assertEqual();
    }
  }

  /** That it is refused once does not mean that it is refused from there on. */
  @Test
  void aTableThatAppearsWhileItIsLookedFor() throws SQLException {
    try (Fixture f = Fixture.shared(DDL).ready();
        Connection c = f.pair.source()) {
      String sql = "insert into later values (1)";
      Connection primary =
          (Connection)
              Proxy.newProxyInstance(
                  getClass().getClassLoader(),
                  new Class<?>[] {Connection.class},
                  (p, method, args) -> {
                    if (method.getName().equals("prepareStatement") && args[0].equals(sql)) {
                      f.pair.executeSource("create table if not exists later(id int)");
                    }
                    try {
                      return method.invoke(c, args);
                    } catch (InvocationTargetException e) {
                      throw e.getCause();
                    }
                  });
      Planner planner = new Planner(new Catalog(), t -> false);
      Planned planned = new Planned(sql, null);
      var cache = Epoch.cache(10);
      assertTrue(planned.plan(planner, cache, "", primary, f.ds.writer()) instanceof Plan.Refuse);
      assertTrue(planned.plan(planner, cache, "", primary, f.ds.writer()) instanceof Plan.Rows);
    }
  }
}
