package io.dualwrite.frameworks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The pool in front: what it resets, checks and rolls back when a connection comes back. */
class HikariTest {

  private TwoDatabases both;
  private HikariDataSource pool;

  @BeforeEach
  void start() throws Exception {
    both =
        TwoDatabases.with(
            """
            create schema app;
            create table account(id int primary key, balance bigint not null);
            create table app.account(id int primary key, balance bigint not null);
            insert into account select g, 100 from generate_series(1, 20) g;
            """);
    pool = pool(1);
  }

  private HikariDataSource pool(int size) {
    HikariConfig config = new HikariConfig();
    config.setDataSource(both.process());
    config.setMaximumPoolSize(size);
    config.setConnectionTimeout(5_000);
    config.setSchema("public");
    return new HikariDataSource(config);
  }

  @AfterEach
  void stop() {
    pool.close();
    both.close();
  }

  @Test
  void aTransactionThatIsNotFinishedIsRolledBackWhenTheConnectionComesBack() throws Exception {
    try (Connection c = pool.getConnection()) {
      c.setAutoCommit(false);
      assertEquals(1, update(c, "update account set balance = 0 where id = 1"));
    }
    try (Connection c = pool.getConnection()) {
      assertTrue(c.getAutoCommit(), "the pool gives every connection the state it began with");
      assertEquals(100, balance(c, 1));
      assertEquals(1, update(c, "update account set balance = 99 where id = 2"));
    }
    assertEquals(
        List.of("100", "99"), both.stored("select balance from account where id < 3 order by id"));
    both.assertEqual();
  }

  @Test
  void whatAUserSetsOnAConnectionIsGoneForTheNext() throws Exception {
    try (Connection c = pool.getConnection()) {
      c.setReadOnly(true);
      c.setSchema("app");
      c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
      c.setNetworkTimeout(Runnable::run, 10_000);
      c.setAutoCommit(false);
      assertEquals("app", c.getSchema());
      SQLException e =
          assertThrows(SQLException.class, () -> update(c, "insert into account values (1, 1)"));
      assertEquals("25006", e.getSQLState());
      c.rollback();
    }
    try (Connection c = pool.getConnection()) {
      assertFalse(c.isReadOnly());
      assertEquals("public", c.getSchema());
      assertEquals(Connection.TRANSACTION_READ_COMMITTED, c.getTransactionIsolation());
      assertEquals(0, c.getNetworkTimeout());
      assertEquals(1, update(c, "insert into account values (21, 1)"));
      c.setSchema("app");
      assertEquals(1, update(c, "insert into account values (1, 7)"));
    }
    try (Connection c = pool.getConnection()) {
      assertEquals(100, balance(c, 1));
    }
    assertEquals(List.of("(1,7)"), both.rows().get("app.account"));
    both.assertEqual();
  }

  @Test
  void anErrorLeavesAUsableConnection() throws Exception {
    try (Connection c = pool.getConnection()) {
      assertTrue(c.isValid(1));
      c.setAutoCommit(false);
      update(c, "update account set balance = 1 where id = 1");
      SQLException e =
          assertThrows(SQLException.class, () -> update(c, "insert into account values (1, 1)"));
      assertEquals("23505", e.getSQLState());
      assertEquals("25P02", assertThrows(SQLException.class, () -> balance(c, 1)).getSQLState());
      assertTrue(c.isValid(1));
      c.rollback();
      update(c, "update account set balance = 2 where id = 1");
      c.commit();
    }
    assertEquals(List.of("2"), both.stored("select balance from account where id = 1"));
    both.assertEqual();
  }

  @Test
  void aConnectionWhoseServerProcessWasEndedIsReplaced() throws Exception {
    try (Connection c = pool.getConnection()) {
      c.setAutoCommit(false);
      update(c, "update account set balance = 5 where id = 3");
      int pid = number(c, "select pg_backend_pid()");
      assertEquals(List.of("t"), both.stored("select pg_terminate_backend(" + pid + ", 5000)"));
      SQLException e = assertThrows(SQLException.class, () -> number(c, "select 1"));
      assertTrue(
          e.getSQLState().startsWith("57P01") || e.getSQLState().startsWith("08"), e::toString);
    }
    try (Connection c = pool.getConnection()) {
      assertEquals(100, balance(c, 3));
      update(c, "update account set balance = 6 where id = 4");
    }
    assertEquals(
        List.of("100", "6"),
        both.stored("select balance from account where id in (3, 4) order by id"));
    both.assertEqual();
  }

  @Test
  void transfersFromManyThreadsKeepTheSum() throws Exception {
    pool.close();
    pool = pool(6);
    ExecutorService threads = Executors.newFixedThreadPool(6);
    List<Future<Integer>> all = new ArrayList<>();
    for (int t = 0; t < 6; t++) {
      int first = t;
      all.add(
          threads.submit(
              () -> {
                int done = 0;
                for (int i = 0; i < 60; i++) {
                  int from = 1 + (first * 7 + i * 3) % 20;
                  int to = 1 + (first * 11 + i * 5) % 20;
                  if (from != to && transfer(from, to, 1 + i % 5)) {
                    done++;
                  }
                }
                return done;
              }));
    }
    int done = 0;
    for (Future<Integer> f : all) {
      done += f.get(60, TimeUnit.SECONDS);
    }
    threads.shutdown();
    assertTrue(done > 200, "only " + done + " transfers");
    assertEquals(List.of("2000"), both.stored("select sum(balance) from account"));
    both.assertEqual();
  }

  private boolean transfer(int from, int to, int amount) throws SQLException {
    try (Connection c = pool.getConnection()) {
      c.setAutoCommit(false);
      try (PreparedStatement lock =
              c.prepareStatement(
                  "select id from account where id in (?, ?) order by id for update");
          PreparedStatement move =
              c.prepareStatement("update account set balance = balance + ? where id = ?")) {
        lock.setInt(1, from);
        lock.setInt(2, to);
        lock.executeQuery().close();
        move.setInt(1, -amount);
        move.setInt(2, from);
        assertEquals(1, move.executeUpdate());
        if (balance(c, from) < 90) {
          return false; // the pool rolls it back
        }
        move.setInt(1, amount);
        move.setInt(2, to);
        assertEquals(1, move.executeUpdate());
        c.commit();
        return true;
      }
    }
  }

  private static int balance(Connection c, int id) throws SQLException {
    return number(c, "select balance from account where id = " + id);
  }

  private static int number(Connection c, String query) throws SQLException {
    try (Statement s = c.createStatement();
        ResultSet r = s.executeQuery(query)) {
      assertTrue(r.next());
      return r.getInt(1);
    }
  }

  private static int update(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement()) {
      return s.executeUpdate(sql);
    }
  }
}
