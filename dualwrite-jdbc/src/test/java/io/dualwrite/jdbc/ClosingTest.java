package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.dualwrite.config.Setting;
import io.dualwrite.control.Phase;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** G1: the DataSource is closed while the application's connections are at work. */
class ClosingTest {

  private static final String DDL =
      "create table t(id int primary key, u int unique deferrable initially deferred);";

  /** Until the other one ends, a commit with the same value waits. */
  private static Connection other(Fixture f) throws SQLException {
    Connection c = f.pair.source();
    c.setAutoCommit(false);
    write(c, 99, 7);
    return c;
  }

  private static void write(Connection c, int id, int u) throws SQLException {
    c.setAutoCommit(false);
    try (Statement s = c.createStatement()) {
      s.executeUpdate("insert into t values (" + id + ", " + u + ")");
    }
  }

  private static CompletableFuture<Void> committing(Fixture f, Connection c) {
    CompletableFuture<Void> commit = run(c::commit);
    Fixture.await(
        "the commit waits",
        () -> {
          try (Connection s = f.pair.source()) {
            return Fixture.value(
                    s,
                    "select count(*) from pg_stat_activity where query ilike 'commit%' and wait_event_type = 'Lock' and datname = current_database()")
                .equals("1");
          }
        });
    return commit;
  }

  private interface Work {
    void run() throws SQLException;
  }

  private static CompletableFuture<Void> run(Work work) {
    CompletableFuture<Void> done = new CompletableFuture<>();
    new Thread(
            () -> {
              try {
                work.run();
                done.complete(null);
              } catch (SQLException | RuntimeException | Error e) {
                done.completeExceptionally(e);
              }
            })
        .start();
    return done;
  }

  private static void assertArrives(Fixture f) throws SQLException {
    f.open(b -> {}).ready();
    f.assertEqual();
    try (Connection t = f.pair.target()) {
      assertEquals("1", Fixture.value(t, "select string_agg(id::text, ',') from t"));
    }
  }

  /** What the application is told is what became of the transaction: the rest comes later. */
  @ParameterizedTest
  @ValueSource(strings = {"sync", "async"})
  void aCommitThatOutlivesTheDataSourceSucceeds(String mirror) throws Exception {
    try (Fixture f = Fixture.shared(DDL)) {
      f.open(b -> b.set(Setting.MIRROR, mirror).set(Setting.MIRROR_FLUSH_TIMEOUT, "100ms")).ready();
      try (Connection other = other(f);
          Connection c = f.connect();
          Connection late = f.connect()) {
        write(c, 1, 7);
        write(late, 2, 8);
        CompletableFuture<Void> commit = committing(f, c);
        f.ds.close();
        other.rollback();
        commit.get(60, TimeUnit.SECONDS);
        assertEquals("58030", assertThrows(SQLException.class, late::commit).getSQLState());
      }
      assertArrives(f);
    }
  }

  /** The driver closes its own connection, too, when that is lost. */
  @Test
  void aConnectionThatIsLostIsInNobodysWay() throws Exception {
    try (Fixture f = Fixture.shared(DDL)) {
      f.open(b -> b.set(Setting.UNIT_MAX_BYTES, "1kB")).ready();
      lose(f);
      assertEquals(1, f.ds.status().transactions());
      assertEquals(1, f.counter("unit.spilled"));
      Fixture.await(
          "it is collected",
          () -> {
            System.gc();
            return f.ds.status().transactions() == 0;
          });
      f.ds.phase(Phase.SHADOW);
      f.assertEqual();
    }
  }

  @SuppressWarnings("resource")
  private static void lose(Fixture f) throws SQLException {
    Connection c = f.connect();
    c.setAutoCommit(false);
    try (Statement s = c.createStatement()) {
      s.executeUpdate("insert into t select g, g from generate_series(1, 100) g");
    }
  }

  @Test
  void closingWaitsForACommit() throws Exception {
    try (Fixture f = Fixture.shared(DDL)) {
      f.open(
              b ->
                  b.set(Setting.MIRROR_FLUSH_TIMEOUT, "30s")
                      .set(Setting.MIRROR_CONNECTION_TIMEOUT, "30s"))
          .ready();
      try (Connection other = other(f);
          Connection c = f.connect()) {
        write(c, 1, 7);
        CompletableFuture<Void> commit = committing(f, c);
        CompletableFuture<Void> close = run(f.ds::close);
        Fixture.await("closing", () -> f.ds.writer().closed());
        other.rollback();
        commit.get(60, TimeUnit.SECONDS);
        close.get(60, TimeUnit.SECONDS);
        assertEquals(1, f.counter("units.direct"));
      }
      assertArrives(f);
    }
  }
}
