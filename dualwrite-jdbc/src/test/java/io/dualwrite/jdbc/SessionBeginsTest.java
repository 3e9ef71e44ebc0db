package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import io.dualwrite.control.Phase;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Sessions do not all begin alike, and nobody tells: not the server, and not the application. */
class SessionBeginsTest {

  private Fixture fixture;
  private int id;
  private volatile String tenant = "public";

  @BeforeEach
  void start() throws SQLException {
    fixture =
        Fixture.shared(
                """
                create table t(id int primary key, v text);
                create schema app; create table app.t(id int primary key, v text);
                """)
            .ready();
  }

  @AfterEach
  void stop() {
    fixture.close();
  }

  private HikariDataSource pool(String url, boolean autoCommit) {
    HikariConfig c = new HikariConfig();
    c.setJdbcUrl(url);
    c.setUsername("postgres");
    c.setPassword("postgres");
    c.setAutoCommit(autoCommit);
    return new HikariDataSource(c);
  }

  private void write(Connection c) throws SQLException {
    try (PreparedStatement s = c.prepareStatement("insert into t values (?, 'x')")) {
      s.setInt(1, ++id);
      s.executeUpdate();
    }
    try (PreparedStatement s = c.prepareStatement("update t set v = 'y' where id = ?")) {
      s.setInt(1, id);
      s.executeUpdate();
    }
  }

  /** While the application runs. */
  @Test
  void inASchemaThatTheOperatorSets() throws SQLException {
    try (Connection before = fixture.connect()) {
      write(before);
      fixture.pair.executeSource(
          "alter database " + fixture.pair.database() + " set search_path = app, public");
      try (Connection after = fixture.connect()) {
        write(after);
        write(before);
        write(after);
      }
    }
    fixture.assertEqual();
  }

  /** As applications do that have a schema for each of their tenants. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void inASchemaThatADataSourceSets(boolean autoCommit) throws SQLException {
    try (HikariDataSource pool = pool(fixture.pair.sourceUrl(), autoCommit)) {
      fixture
          .open(
              b ->
                  b.source(
                      new Connections(
                          () -> {
                            Connection c = pool.getConnection();
                            c.setSchema(tenant);
                            return c;
                          })))
          .ready();
      for (String t : List.of("public", "app", "public", "app")) {
        tenant = t;
        try (Connection c = fixture.connect()) {
          write(c);
          if (!autoCommit) {
            c.rollback(); // the schema, too
            write(c);
            c.commit();
          }
          write(c);
          if (!autoCommit) {
            c.commit();
          }
        }
      }
      fixture.assertEqual();
      fixture.ds.close();
    }
  }

  /** As Spring advises for Hibernate. */
  @Test
  void withoutAutocommit() throws SQLException {
    try (HikariDataSource source = pool(fixture.pair.sourceUrl(), false);
        HikariDataSource target = pool(fixture.pair.targetUrl(), false)) {
      fixture.open(b -> b.source(source).target(target)).ready();
      try (Connection c = fixture.connect()) {
        assertFalse(c.getAutoCommit());
        write(c);
        c.rollback();
        write(c);
        c.commit();
        write(c);
      } // as the pool's own, which rolls back
      try (Connection c = fixture.pair.source()) {
        assertEquals("1", Fixture.value(c, "select count(*) from t"));
      }
      fixture.assertEqual();
      try (Connection c = fixture.connect();
          Connection d = fixture.connect();
          Statement s = d.createStatement()) {
        d.setAutoCommit(true);
        s.execute("set search_path = app");
        fixture.ds.cutover(Duration.ofSeconds(30));
        fixture.ds.phase(Phase.TARGET_ONLY);
        assertFalse(c.getAutoCommit());
        write(c);
        c.rollback();
        write(c);
        c.commit();
        write(d);
      }
      try (Connection c = fixture.pair.target()) {
        assertEquals("2", Fixture.value(c, "select count(*) from t"));
        assertEquals("1", Fixture.value(c, "select count(*) from app.t"));
        assertEquals("target-only", Fixture.value(c, "select phase from dualwrite.control"));
      }
      fixture.ds.close();
    }
  }

  /** The application goes on as it was written. */
  @Test
  void withoutAutocommitOnTheTargetAlone() throws SQLException {
    try (HikariDataSource target = pool(fixture.pair.targetUrl(), false)) {
      fixture.open(b -> b.target(target)).ready();
      fixture.ds.cutover(Duration.ofSeconds(30));
      for (Phase phase : List.of(Phase.TARGET_PRIMARY, Phase.TARGET_ONLY)) {
        fixture.ds.phase(phase);
        try (Connection c = fixture.connect()) {
          assertTrue(c.getAutoCommit());
          write(c);
        }
      }
      try (Connection c = fixture.pair.target()) {
        assertEquals("2", Fixture.value(c, "select count(*) from t"));
      }
      fixture.ds.close();
    }
  }

  private void sourceBegins(String setting) throws SQLException {
    fixture.pair.executeSource(
        "alter database " + fixture.pair.database() + " " + setting.replace(";", ""));
  }

  /** As databases do that were brought over from before PostgreSQL 12. */
  @Test
  void withFewerDigits() throws SQLException {
    fixture.pair.execute(
        """
        create table digits(id int primary key, v float8, w real);
        create table of_digits(v float8 primary key, w int);
        create table bag(v float8);
        create table plain(v text)
        """);
    sourceBegins("set extra_float_digits = 0");
    try (Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      s.executeUpdate("insert into plain select 'x'");
      fixture.assertDrained();
      assertEquals(0, fixture.counter("suspects.opened"));
      s.executeUpdate("insert into digits select 1, 0.1::float8 + 0.2::float8, 1");
      s.executeUpdate("update digits set w = w / 3 where id = 1");
      s.executeUpdate("insert into of_digits select 0.1::float8 + 0.2::float8, 1");
      s.executeUpdate("update of_digits set w = 2");
      s.executeUpdate("insert into of_digits select 1::float8 / 3, 1");
      s.executeUpdate("delete from of_digits where v > 0.32");
      s.executeUpdate("insert into bag select 1::float8 / 3");
    }
    sourceBegins("reset extra_float_digits");
    Fixture.await(
        "reconciled",
        () -> {
          fixture.ds.reconcile(); // the background rests long on a slow machine
          return fixture.ds.status().suspects().isEmpty();
        });
    fixture.assertEqual();
  }

  /** Raw, a transaction in autocommit never idles, nor does one whose COMMIT was sent. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "set idle_in_transaction_session_timeout = '100ms'",
        "set local idle_in_transaction_session_timeout = 100",
        "select set_config('idle_in_transaction_session_timeout', '100ms', false)"
      })
  void withTransactionsThatMayNotIdle(String set) throws SQLException {
    fixture.pair.execute("insert into t values (0, '')");
    if (set.isEmpty()) {
      sourceBegins("set idle_in_transaction_session_timeout = '100ms'");
    }
    try (Connection lock = fixture.pair.target();
        Statement l = lock.createStatement();
        Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      lock.setAutoCommit(false);
      l.execute("select from t for update"); // the mirror waits for that, and then gives up
      for (boolean autoCommit : new boolean[] {true, false}) {
        c.setAutoCommit(autoCommit);
        if (!set.isEmpty()) {
          s.execute(set);
        }
        assertEquals(1, s.executeUpdate("update t set v = v || 'x' where id = 0"));
        if (!autoCommit) {
          c.commit();
        }
      }
      assertEquals(
          set.contains("local") ? "0" : "100ms",
          Fixture.value(c, "show idle_in_transaction_session_timeout"));
      lock.commit();
    }
    fixture.assertEqual();
  }
}
