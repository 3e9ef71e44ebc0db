package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.config.Setting;
import io.dualwrite.config.Settings;
import io.dualwrite.control.Side;
import io.dualwrite.journal.ChronicleJournal;
import io.dualwrite.journal.Journal;
import io.dualwrite.journal.JournalOptions;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

/**
 * G1: a mirror that is dead, slow, wrong or silent costs bounded time and no error; and afterwards
 * everything arrives (G2, G3).
 */
class MirrorFailureTest {

  private static final String DDL =
      "create table t(id int primary key, v int); create table line(n int, at timestamptz default clock_timestamp());";

  private static void write(Connection c, int from, int count) throws SQLException {
    c.setAutoCommit(false);
    try (PreparedStatement a = c.prepareStatement("insert into t values (?, ?)");
        PreparedStatement b = c.prepareStatement("insert into line(n) values (?)");
        PreparedStatement u = c.prepareStatement("update t set v = v + 1 where id >= ?");
        PreparedStatement d = c.prepareStatement("delete from t where id = ?")) {
      for (int i = from; i < from + count; i++) {
        a.setInt(1, i);
        a.setInt(2, i);
        assertEquals(1, a.executeUpdate());
        b.setInt(1, i);
        assertEquals(1, b.executeUpdate());
        u.setInt(1, i - 2);
        u.executeUpdate();
        d.setInt(1, i - 5);
        d.executeUpdate();
        c.commit();
      }
    } finally {
      c.setAutoCommit(true);
    }
  }

  @Test
  void targetKilledInMidTransactionAndBack() throws SQLException {
    try (Fixture f = Fixture.own(DDL).ready();
        Connection c = f.connect()) {
      write(c, 0, 10);
      f.assertEqual();
      c.setAutoCommit(false);
      try (Statement s = c.createStatement()) {
        s.executeUpdate("insert into t values (1000, 1)");
        f.pair.targetServer().kill();
        s.executeUpdate("insert into line(n) values (1000)");
      }
      c.commit();
      c.setAutoCommit(true);
      write(c, 2000, 40);
      assertTrue(f.ds.status().pending() > 0, () -> f.ds.status().toString());
      f.pair.targetServer().restart();
      f.assertEqual();
      write(c, 3000, 10);
      f.assertEqual();
      assertEquals(0, f.ds.status().suspects().size());
    }
  }

  @Test
  void targetThatIsDownAtTheStart() throws SQLException {
    try (Fixture f = Fixture.own(DDL)) {
      f.ds.close();
      f.pair.targetServer().stop();
      f.open(b -> {});
      try (Connection c = f.connect()) {
        write(c, 0, 30);
        f.pair.targetServer().restart();
        f.assertEqual();
      }
    }
  }

  @Test
  void targetThatAcceptsAndNeverAnswers() throws Exception {
    try (Fixture f = Fixture.shared(DDL);
        ServerSocket silent = new ServerSocket(0, 200, InetAddress.getLoopbackAddress())) {
      f.openTo(
          "jdbc:postgresql://localhost:" + silent.getLocalPort() + "/x",
          b -> b.set(Setting.MIRROR_FLUSH_TIMEOUT, "1s").set(Setting.BREAKER_MIN_CALLS, "3"));
      try (Connection c = f.connect()) {
        long start = System.nanoTime();
        write(c, 0, 50);
        Duration took = Duration.ofNanos(System.nanoTime() - start);
        // three calls until the circuit opens, each bounded by the pool's timeout; then none
        assertTrue(took.toSeconds() < 10, took::toString);
        assertEquals(50, f.ds.status().pending());
      }
      f.open(b -> {});
      f.assertEqual();
    }
  }

  @Test
  void targetThatFreezesAndThaws() throws SQLException {
    try (Fixture f = Fixture.own(DDL).ready();
        Connection c = f.connect()) {
      write(c, 0, 5);
      f.assertEqual();
      f.pair.targetServer().freeze();
      long slowest = 0;
      try {
        for (int i = 0; i < 30; i++) {
          long start = System.nanoTime();
          write(c, 100 + i, 1);
          slowest = Math.max(slowest, System.nanoTime() - start);
        }
      } finally {
        f.pair.targetServer().thaw();
      }
      long worst = slowest;
      assertTrue(
          Duration.ofNanos(worst).toMillis() < 5000,
          () -> "slowest transaction: " + Duration.ofNanos(worst));
      f.assertEqual();
    }
  }

  @Test
  void sourceKilledWithTransactionsInFlight() throws SQLException {
    try (Fixture f = Fixture.own(DDL).ready()) {
      try (Connection c = f.connect()) {
        write(c, 0, 10);
        c.setAutoCommit(false);
        try (Statement s = c.createStatement()) {
          s.executeUpdate("insert into t values (500, 1)");
          s.executeUpdate("insert into line(n) values (500)");
        }
        f.pair.sourceServer().kill();
        org.junit.jupiter.api.Assertions.assertThrows(SQLException.class, c::commit);
      }
      f.pair.sourceServer().restart();
      try (Connection c = f.connect()) {
        write(c, 600, 10);
      }
      f.assertEqual();
    }
  }

  @Test
  void mirrorThatDisagreesIsPutRight() throws SQLException {
    try (Fixture f = Fixture.shared(DDL).ready();
        Connection c = f.connect()) {
      write(c, 0, 3);
      f.assertDrained();
      f.pair.executeTarget("delete from t; insert into t values (77, 1)");
      try (Statement s = c.createStatement()) {
        assertEquals(
            1,
            s.executeUpdate(
                "delete from t where id = 0")); // the mirror has no such row: counts differ
        assertEquals(2, s.executeUpdate("update t set v = -1"));
        assertEquals(1, s.executeUpdate("insert into t values (77, 2)"));
      }
      f.assertEqual();
    }
  }

  @Test
  void mirrorWithoutTheTableParksOnlyThat() throws SQLException {
    try (Fixture f = Fixture.shared(DDL + "create table gone(id int primary key);").ready();
        Connection c = f.connect()) {
      f.pair.executeTarget("drop table gone");
      try (Statement s = c.createStatement()) {
        assertEquals(1, s.executeUpdate("insert into gone values (1)"));
        assertEquals(1, s.executeUpdate("insert into t values (1, 1)"));
      }
      Fixture.await(
          "the other table arrives",
          () -> {
            try (Connection t = f.pair.target()) {
              return Fixture.contents(t).get("public.t").size() == 1;
            }
          });
      Fixture.await("parked", () -> f.ds.status().parked().size() == 1);
      assertTrue(
          f.ds.status().parked().get(0).error().contains("gone"),
          () -> f.ds.status().parked().toString());
    }
  }

  @Test
  void parentsAndChildrenInQuickSuccessionGoTheDirectWay() throws SQLException {
    try (Fixture f =
            Fixture.shared(
                    "create table p(id int primary key); create table k(id int primary key, p int references p);")
                .ready();
        Connection a = f.connect();
        Connection b = f.connect()) {
      for (int i = 0; i < 200; i++) {
        try (Statement s = a.createStatement();
            Statement t = b.createStatement()) {
          s.executeUpdate("insert into p values (" + i + ")");
          t.executeUpdate("insert into k values (" + i + "," + i + ")");
          t.executeUpdate("delete from k where id = " + i);
          s.executeUpdate("delete from p where id = " + i);
        }
      }
      f.assertEqual();
      long direct = f.counter("units.direct");
      assertTrue(direct >= 760, () -> "of 800 units went the direct way: " + direct);
    }
  }

  /** Nothing of it stays behind: no row locks on the mirror, no number that is never settled. */
  @Test
  void anIntentThatFailsRollsBothSidesBack() throws SQLException {
    try (Fixture f = Fixture.shared(DDL + "insert into t values (1, 1);")) {
      Settings settings = f.ds.writer().settings;
      f.ds.close();
      AtomicBoolean fails = new AtomicBoolean();
      Journal real =
          ChronicleJournal.open(f.journal, JournalOptions.builder().minFreeBytes(1 << 20).build());
      Journal journal =
          (Journal)
              Proxy.newProxyInstance(
                  Journal.class.getClassLoader(),
                  new Class<?>[] {Journal.class},
                  (self, method, arguments) -> {
                    if (method.getName().equals("append") && fails.getAndSet(false)) {
                      throw new OutOfMemoryError("no memory for the intent");
                    }
                    try {
                      return method.invoke(real, arguments);
                    } catch (InvocationTargetException e) {
                      throw e.getCause();
                    }
                  });
      try (DualWriter w =
          new DualWriter(
              settings,
              new Database(Side.SOURCE, settings, null),
              new Database(Side.TARGET, settings, null),
              journal,
              f.journal)) {
        Fixture.await("ready", w::ready);
        try (DwConnection c = new DwConnection(w);
            Statement s = c.createStatement()) {
          for (int i = 2; w.status().counters().get("units.direct") == 0; i++) {
            s.executeUpdate("insert into t values (" + i + ", 1)"); // until the mirror is at hand
            assertTrue(w.drain(Duration.ofSeconds(30)), () -> "not drained: " + w.status());
          }
          c.setAutoCommit(false);
          s.executeUpdate("update t set v = 2 where id = 1");
          fails.set(true);
          assertThrows(OutOfMemoryError.class, c::commit);
          try (Connection t = f.pair.target()) {
            String left =
                "select count(*) from pg_locks where mode = 'RowExclusiveLock' and relation = 't'::regclass";
            assertEquals("0", Fixture.value(t, left));
          }
          s.executeUpdate("update t set v = v + 2 where id = 1");
          c.commit();
        }
        assertTrue(w.drain(Duration.ofSeconds(30)), () -> "not drained: " + w.status());
        assertEquals(journal.nextSequence() - 1, journal.resolvedThrough());
      }
      f.assertEqualNow();
      try (Connection t = f.pair.target()) {
        assertEquals("3", Fixture.value(t, "select v from t where id = 1"));
      }
    }
  }

  @Test
  void ownServersEndEqualAfterFlapping() throws SQLException {
    try (Fixture f = Fixture.own(DDL).ready();
        Connection c = f.connect()) {
      for (int round = 0; round < 3; round++) {
        write(c, round * 1000, 10);
        f.pair.targetServer().kill();
        write(c, round * 1000 + 100, 10);
        f.pair.targetServer().restart();
      }
      f.assertEqual();
    }
  }
}
