package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.config.Setting;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Timestamp;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Rows changed through a result: by the driver, past every statement, and mirrored all the same.
 */
class UpdatableResultSetTest {

  private static final String DDL =
      """
      create table t(id int primary key, v text, n numeric(10,2), at timestamptz default clock_timestamp(), g int generated always as (id + 1) stored);
      create table serials(id serial primary key, v text);
      create table pairs(a date, b text, v int, primary key (a, b));
      create table uniq(k text not null unique, v int);
      create table bare(v int);
      create table parts(id int, v text, primary key (id)) partition by range (id);
      create table parts_1 partition of parts for values from (0) to (100);
      create table parts_2 partition of parts for values from (100) to (200);
      create table audited(id int primary key, v text);
      create table audit(n bigint generated always as identity, id int);
      create function note() returns trigger language plpgsql as 'begin insert into audit(id) values (new.id); new.v := upper(new.v); return new; end';
      create trigger note before insert or update on audited for each row execute function note();
      create view seen as select id, v from t;
      insert into t(id, v, n) select g, 'v' || g, g from generate_series(1, 9) g;
      insert into serials(v) values ('one');
      insert into pairs values ('2024-01-01', 'x', 1), ('2024-01-02', 'y', 2);
      insert into uniq values ('a', 1), ('b', 2);
      insert into bare values (1);
      insert into parts values (1, 'a'), (2, 'b'), (150, 'c');
      insert into audited values (1, 'a');
      """;

  private Fixture fixture;

  @BeforeEach
  void start() throws SQLException {
    fixture = Fixture.shared(DDL).ready();
    fixture.pair.executeTarget(
        "alter table audited disable trigger user; truncate t, serials, pairs, uniq, bare, parts, audited, audit");
    // values made by a clock differ between the databases: the mirror begins with the primary's
    // rows
    try (Connection s = fixture.pair.source();
        Connection t = fixture.pair.target();
        Statement read = s.createStatement();
        Statement write = t.createStatement()) {
      for (String[] table :
          new String[][] {
            {"t", "id, v, n, at"},
            {"serials", "id, v"},
            {"pairs", "a, b, v"},
            {"uniq", "k, v"},
            {"bare", "v"},
            {"parts", "id, v"},
            {"audited", "id, v"}
          }) {
        try (ResultSet r =
            read.executeQuery(
                "select format('insert into %1$s(%2$s) select %2$s from json_populate_recordset(null::%1$s, %%L)', '"
                    + table[0]
                    + "', '"
                    + table[1]
                    + "') , json_agg(x)::text from "
                    + table[0]
                    + " x")) {
          r.next();
          write.execute(r.getString(1).replace("%L", "'" + r.getString(2) + "'"));
        }
      }
      write.execute("insert into audit(n, id) overriding system value select 1, 1");
    }
  }

  @AfterEach
  void stop() {
    fixture.close();
  }

  private void assertMirrored() throws SQLException {
    fixture.assertEqual();
    assertEquals(List.of(), fixture.ds.status().suspects());
    assertEquals(0, fixture.counter("suspects.opened"));
  }

  private static Statement updatable(Connection c) throws SQLException {
    return c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE);
  }

  @FunctionalInterface
  private interface Use {
    Object of(ResultSet r) throws SQLException;
  }

  private static String seen(Connection c, String sql, Use use) {
    try (Statement s = updatable(c);
        ResultSet r = s.executeQuery(sql)) {
      return "" + use.of(r);
    } catch (SQLException e) {
      return e.getClass().getSimpleName() + e.getSQLState() + e.getMessage();
    }
  }

  /** The same changes through any connection, and what is seen of them. */
  private static List<String> changes(Connection c) throws SQLException {
    List<String> seen = new ArrayList<>();
    seen.add(
        seen(
            c,
            "select id, v, n, at from t order by id",
            r -> {
              r.absolute(2);
              r.updateString("v", "changed");
              r.updateBigDecimal(3, new BigDecimal("7.25"));
              r.updateTimestamp("at", Timestamp.valueOf("2024-01-02 03:04:05.678"));
              r.updateRow();
              String row = r.getString(2) + r.getBigDecimal(3) + r.getTimestamp(4) + r.rowUpdated();
              r.next();
              r.updateString(2, "forgotten");
              r.cancelRowUpdates();
              r.updateRow();
              r.next();
              r.deleteRow();
              return row + r.getInt(1) + r.getRow() + r.getString(2);
            }));
    seen.add(
        seen(
            c,
            "select id, v, n, at from t order by id",
            r -> {
              r.moveToInsertRow();
              r.updateInt(1, 100);
              r.updateString(2, "in'serted");
              r.updateNull(3);
              r.insertRow();
              String row = r.getInt(1) + r.getString(2);
              r.moveToCurrentRow();
              return row + r.next() + r.getInt(1);
            }));
    // the key itself changes
    seen.add(
        seen(
            c,
            "select * from t where id = 5",
            r -> {
              r.next();
              r.updateInt(1, 500);
              r.updateRow();
              r.updateString("v", "again");
              r.updateRow();
              r.refreshRow();
              return r.getInt(1) + r.getString(2) + r.getInt("g");
            }));
    seen.add(
        seen(
            c,
            "select id, v from serials",
            r -> {
              r.moveToInsertRow();
              r.updateString("v", "two");
              r.insertRow();
              return r.getString(2) + r.getInt(1);
            }));
    seen.add(
        seen(
            c,
            "select a, b, v from pairs order by a",
            r -> {
              r.next();
              r.updateString("b", "z");
              r.updateInt("v", 9);
              r.updateRow();
              r.next();
              r.deleteRow();
              return r.getString(2);
            }));
    seen.add(
        seen(
            c,
            "select k, v from uniq order by k",
            r -> {
              r.next();
              r.updateInt(2, 11);
              r.updateRow();
              r.next();
              r.deleteRow();
              return r.getInt(2);
            }));
    // from one partition into another
    seen.add(
        seen(
            c,
            "select id, v from parts order by id",
            r -> {
              r.next();
              r.updateInt(1, 101);
              r.updateRow();
              r.next();
              r.deleteRow();
              r.next();
              r.updateString(2, "cc");
              r.updateRow();
              return r.getInt(1);
            }));
    seen.add(
        seen(
            c,
            "select id, v from audited",
            r -> {
              r.next();
              r.updateString(2, "lower");
              r.updateRow();
              r.moveToInsertRow();
              r.updateInt(1, 2);
              r.updateString(2, "b");
              r.insertRow();
              return r.getString(2);
            }));
    // what the driver does not do
    for (String sql :
        new String[] {"select v from t", "select v from bare", "select id, v from seen"}) {
      seen.add(
          seen(
              c,
              sql,
              r -> {
                r.next();
                r.updateString("v", "1");
                r.updateRow();
                return "done";
              }));
    }
    seen.add(seen(c, "select id, v from t", r -> delete(r)));
    seen.add(
        seen(
            c,
            "select id, v from t order by id",
            r -> {
              r.next();
              r.moveToInsertRow();
              r.updateInt(1, 1); // is there already
              r.insertRow();
              return "done";
            }));
    seen.add(
        seen(
            c,
            "select id, v from t where id = 9",
            r -> {
              try (Statement s = c.createStatement()) {
                s.executeUpdate("delete from t where id = 9");
              }
              r.next();
              r.updateString(2, "gone");
              r.updateRow();
              r.deleteRow();
              return "nothing";
            }));
    return seen;
  }

  private static Object delete(ResultSet r) throws SQLException {
    r.deleteRow(); // before the first
    return "done";
  }

  @Test
  void changesAreTheDriversAndMirrored() throws SQLException {
    List<String> theirs;
    try (Connection c = fixture.pair.source()) {
      theirs = changes(c);
    }
    fixture.close();
    start();
    try (Connection c = fixture.connect()) {
      assertEquals(String.join("\n", theirs), String.join("\n", changes(c)));
      assertTrue(c.getAutoCommit());
    }
    assertMirrored();
    assertTrue(fixture.counter("mirrored.form") >= 12);
  }

  @Test
  void inATransactionWithSavepoints() throws SQLException {
    try (Connection c = fixture.connect();
        PreparedStatement p =
            c.prepareStatement(
                "select id, v from t where id < ? order by id",
                ResultSet.TYPE_FORWARD_ONLY,
                ResultSet.CONCUR_UPDATABLE)) {
      c.setAutoCommit(false);
      p.setInt(1, 9);
      try (ResultSet r = p.executeQuery()) {
        r.next();
        r.updateString(2, "stays");
        r.updateRow();
        Savepoint s = c.setSavepoint();
        r.next();
        r.deleteRow();
        r.next();
        r.updateInt(1, 77);
        r.updateRow();
        c.rollback(s);
        r.next();
        r.deleteRow();
      }
      c.commit();
      try (ResultSet r = p.executeQuery()) {
        r.next();
        r.deleteRow();
        c.rollback();
      }
    }
    fixture.assertDrained();
    // a savepoint that took back deletions and updates leaves counts that cannot be told apart
    fixture.ds.reconcile();
    fixture.assertEqualNow();
  }

  /**
   * The driver writes the first table of the query, by columns of that name: what it did there is
   * not what the result says, so the table is suspect.
   */
  @Test
  void aJoinCannotDeceive() throws SQLException {
    fixture.open(b -> b.set(Setting.RECONCILE, "manual")).ready();
    try (Connection c = fixture.connect();
        Statement s = updatable(c);
        ResultSet r =
            s.executeQuery(
                "select s.id, s.v from t join serials s on s.id = t.id where t.id = 1")) {
      assertTrue(r.next());
      r.updateString(2, "into t");
      r.updateRow();
      r.deleteRow();
    }
    fixture.assertDrained();
    assertEquals(1, fixture.ds.status().suspects().size());
    assertEquals(1, fixture.ds.reconcile());
    fixture.assertEqualNow();
    assertMirroredCount("select count(*) from t where id = 1", 0);
  }

  private void assertMirroredCount(String sql, int n) throws SQLException {
    for (Connection c : new Connection[] {fixture.pair.source(), fixture.pair.target()}) {
      try (c;
          Statement s = c.createStatement();
          ResultSet r = s.executeQuery(sql)) {
        r.next();
        assertEquals(n, r.getInt(1));
      }
    }
  }

  @Test
  void temporaryTablesPassAndPoliciesHold() throws SQLException {
    try (Connection c = fixture.connect();
        Statement s = updatable(c)) {
      s.execute("create temp table scratch(id int primary key, v int)");
      s.execute("insert into scratch values (1, 1)");
      try (ResultSet r = s.executeQuery("select * from scratch")) {
        assertTrue(r.next());
        r.updateInt(2, 2);
        r.updateRow();
        r.deleteRow();
      }
    }
    assertMirrored();
    fixture.open(b -> b.set(Setting.POLICY_FORM, "reject")).ready();
    try (Connection c = fixture.connect();
        Statement s = updatable(c);
        ResultSet r = s.executeQuery("select id, v from t order by id")) {
      assertTrue(r.next());
      r.updateString(2, "no");
      assertEquals(Refusal.SQLSTATE, assertThrows(SQLException.class, r::updateRow).getSQLState());
      assertEquals(Refusal.SQLSTATE, assertThrows(SQLException.class, r::deleteRow).getSQLState());
    }
    assertMirrored();
    fixture.open(b -> b.set(Setting.POLICY_FORM, "primary-only")).ready();
    try (Connection c = fixture.connect();
        Statement s = updatable(c);
        ResultSet r = s.executeQuery("select id, v from t order by id")) {
      assertTrue(r.next());
      r.deleteRow();
      assertEquals(1, fixture.counter("primary-only.form"));
      assertEquals(0, fixture.counter("units"));
    }
  }

  @Test
  void aResultOfTheOldPrimaryWritesNoMore() throws SQLException {
    fixture.pair.execute("drop trigger note on audited");
    try (Connection c = fixture.connect();
        Statement s = updatable(c);
        ResultSet r = s.executeQuery("select id, v from t order by id")) {
      assertTrue(r.next());
      r.updateString(2, "late");
      fixture.ds.cutover(java.time.Duration.ofSeconds(10));
      assertThrows(SQLException.class, r::updateRow);
      try (ResultSet again = s.executeQuery("select id, v from t order by id")) {
        assertTrue(again.next());
        again.updateString(2, "new primary");
        again.updateRow();
      }
    }
    assertMirrored();
  }
}
