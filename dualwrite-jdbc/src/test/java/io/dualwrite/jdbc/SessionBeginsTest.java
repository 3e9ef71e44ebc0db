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
}
