package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Calls of functions that a text does not show, or that only look like calls. */
class HiddenCallsTest {

  private Fixture fixture;

  @BeforeEach
  void start() throws SQLException {
    fixture =
        Fixture.shared(
                """
                create table log(n int primary key);
                create sequence numbers;
                create function next() returns int language plpgsql as
                  'declare i int := nextval(''numbers''); begin insert into log values (i); return i; end';
                create domain numbered as int default next();
                create table t(id int primary key, no int default next(), at numbered);
                create table plain(id int primary key, at numbered);
                create table old(id int primary key, at numbered default 7);
                create view writing as select id, next() as n from t;
                insert into t values (1, 0, 0);
                truncate log;
                """)
            .ready();
  }

  @AfterEach
  void stop() {
    fixture.close();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "insert into t(id) values (2)",
        "insert into t(id, no) values (2, 0)",
        "insert into plain(id) values (2)",
        "update t set no = default",
        "update t set at = default where id = 1",
        "merge into t using (select 2 as id) v on t.id = v.id when not matched then insert (id) values (v.id)",
        "insert into t values (1, 0, 0) on conflict (id) do update set no = default",
        "set standard_conforming_strings = off; select 'it\\'s', n from writing"
      })
  void ofADefault(String sql) throws SQLException {
    try (Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      for (String text : sql.split("; ", -1)) {
        s.execute(text);
      }
      assertTrue(Integer.parseInt(Fixture.value(c, "select count(*) from log")) > 0);
    }
    fixture.assertEqual();
  }

  @Test
  void notOfADefaultThatItsColumnOverrides() throws SQLException {
    long before = fixture.counter("mirrored.routine");
    fixture.execute("insert into old(id) values (1)");
    assertEquals(before, fixture.counter("mirrored.routine"));
    fixture.assertEqual();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "select * from (values (1)) v(x)",
        "select * from unnest(array[1]) u(x)",
        "select * from t a(b, c)"
      })
  void whatOnlyLooksLikeOne(String sql) throws SQLException {
    long before = fixture.counter("mirrored.routine");
    fixture.execute(sql);
    assertEquals(before, fixture.counter("mirrored.routine"));
  }

  /** By others, of which nothing tells. */
  @Test
  void ofAFunctionThatWasReplaced() throws SQLException {
    fixture.pair.execute("create function f() returns int language sql stable as 'select 1'");
    try (Connection c = fixture.connect();
        PreparedStatement s = c.prepareStatement("select f()");
        PreparedStatement later = c.prepareStatement("select * from (values (1)) made(x)")) {
      s.execute();
      later.execute();
      long before = fixture.counter("mirrored.routine");
      s.execute();
      assertEquals(before, fixture.counter("mirrored.routine"));
      fixture.pair.execute(
          "create or replace function f() returns int language plpgsql volatile as"
              + " 'begin insert into log select 1 where current_setting(''app.now'', true) = ''1''; return 1; end';"
              + " create function made(int) returns int language sql as 'select 1'");
      for (PreparedStatement p : new PreparedStatement[] {s, later}) {
        long then = fixture.counter("mirrored.routine");
        Fixture.await(
            "noticed",
            () -> {
              p.execute();
              return fixture.counter("mirrored.routine") > then;
            });
      }
      try (Statement set = c.createStatement()) {
        set.execute("set app.now = '1'");
      }
      s.execute();
      assertEquals("1", Fixture.value(c, "select count(*) from log"));
    }
    fixture.assertEqual();
  }
}
