package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.config.Setting;
import io.dualwrite.embedded.PgServer;
import io.dualwrite.embedded.TcpProxy;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.HdrHistogram.ConcurrentHistogram;
import org.HdrHistogram.Histogram;
import org.junit.jupiter.api.Test;

/**
 * What a target does that is there and yet of no use: G1, the application sees its primary only;
 * and once the target is well again everything is there. {@link MirrorFailureTest} has those that
 * are dead.
 */
class OutageTest {

  private static final String DDL =
      "create table t(id int primary key, v int); create table line(n int);";

  private int next;

  /** Some transactions, none of which fails. */
  private void write(Fixture f, int transactions) throws SQLException {
    try (Connection c = f.connect()) {
      c.setAutoCommit(false);
      try (PreparedStatement a = c.prepareStatement("insert into t values (?, 1)");
          PreparedStatement b = c.prepareStatement("insert into line values (?)")) {
        for (int i = 0; i < transactions; i++) {
          a.setInt(1, ++next);
          assertEquals(1, a.executeUpdate());
          b.setInt(1, next);
          assertEquals(1, b.executeUpdate());
          c.commit();
        }
      }
      c.setAutoCommit(true);
    }
  }

  private static void impatient(DualWriteDataSource.Builder b) {
    b.set(Setting.BREAKER_OPEN, "100ms").set(Setting.BREAKER_MIN_CALLS, "3");
  }

  /** A target that says so itself, on rows of this table. */
  private static Fixture faulty() throws SQLException {
    Fixture f = Fixture.shared(DDL);
    f.pair.executeTarget(
        "create schema fault; create sequence fault.times; create table fault.now(state text);"
            + "create function fault.hit() returns boolean language plpgsql as $$"
            + " declare s text := (select state from fault.now);"
            + " begin"
            + " if s like 'once %' then if nextval('fault.times') > 1 then return true; end if; end if;"
            + " if s is not null then raise exception 'no' using errcode = right(s, 5); end if;"
            + " return true; end $$;"
            + "alter table t add constraint fault check (fault.hit())");
    f.open(
        b ->
            impatient(
                b.set(Setting.MIRROR_CONNECTION_TIMEOUT, "10s")
                    .set(Setting.MIRROR_FLUSH_TIMEOUT, "10s")));
    return f.ready();
  }

  /** Disk full, memory, connections, I/O, a timeout, a shutdown. */
  @Test
  void aTargetWithoutRoomLeavesEverythingInTheJournal() throws SQLException {
    try (Fixture f = faulty()) {
      for (String state : List.of("53100", "53200", "58030", "57014", "57P01")) {
        f.pair.executeTarget("insert into fault.now values ('" + state + "')");
        write(f, 8);
        assertNotEquals("closed", f.ds.status().breaker(), state);
        assertTrue(f.ds.status().pending() >= 8, state);
        f.pair.executeTarget("delete from fault.now");
        f.assertEqual();
        Fixture.await(
            "the direct way is taken again",
            () -> {
              write(f, 1);
              return f.ds.status().breaker().equals("closed");
            });
      }
      f.assertEqual();
      assertEquals(List.of(), f.ds.status().parked());
      assertEquals(List.of(), f.ds.status().suspects());
    }
  }

  @Test
  void aDeadlockIsTriedOnceMoreAtOnce() throws SQLException {
    try (Fixture f = faulty()) {
      write(f, 1);
      Fixture.await("directly", () -> f.counter("units.direct") == 1);
      f.pair.executeTarget("insert into fault.now values ('once 40P01')");
      write(f, 1);
      Fixture.await("directly in spite of it", () -> f.counter("units.direct") == 2);
      assertEquals("closed", f.ds.status().breaker());
      // one that does not end is the replayer's business, and no reason to leave the target alone
      f.pair.executeTarget("update fault.now set state = '40P01'");
      write(f, 8);
      assertEquals("closed", f.ds.status().breaker());
      assertTrue(f.ds.status().pending() > 0);
      f.pair.executeTarget("delete from fault.now");
      f.assertEqual();
      assertEquals(List.of(), f.ds.status().parked());
    }
  }

  @Test
  void aReadOnlyTarget() throws SQLException {
    try (Fixture f = Fixture.shared(DDL).open(OutageTest::impatient).ready()) {
      write(f, 3);
      f.pair.executeTarget(
          "alter database "
              + f.pair.database()
              + " set default_transaction_read_only = on; "
              + END_SESSIONS);
      write(f, 10);
      assertNotEquals("closed", f.ds.status().breaker());
      assertTrue(f.ds.status().pending() > 0);
      try (Connection c = f.pair.target();
          Statement s = c.createStatement()) {
        s.execute("set default_transaction_read_only = off");
        s.execute("alter database " + f.pair.database() + " reset default_transaction_read_only");
        s.execute(END_SESSIONS);
      }
      f.assertEqual();
      assertEquals(List.of(), f.ds.status().parked());
    }
  }

  private static final String END_SESSIONS =
      "select pg_terminate_backend(pid) from pg_stat_activity"
          + " where datname = current_database() and pid <> pg_backend_pid()";

  /** Counted, not timed: what is slow is a matter of the setting. */
  @Test
  void aSlowTargetIsLeftAlone() throws Exception {
    try (Fixture f = Fixture.shared(DDL);
        TcpProxy network = new TcpProxy("localhost", f.pair.targetServer().port())) {
      network.delay(TcpProxy.Direction.TO_CLIENT, Duration.ofMillis(5));
      for (String slow : List.of("1h", "5ms")) {
        f.openTo(
                through(f, network),
                b ->
                    b.set(Setting.BREAKER_MIN_CALLS, "3")
                        .set(Setting.BREAKER_SLOW_CALL, slow)
                        .set(Setting.BREAKER_OPEN, "10m")
                        .set(Setting.MIRROR_CONNECTION_TIMEOUT, "10s")
                        .set(Setting.MIRROR_FLUSH_TIMEOUT, "10s"))
            .ready();
        write(f, 15);
        f.assertEqual();
        // slow is not failed: what was asked of it is there directly, and then nothing is asked
        assertEquals(slow.equals("1h") ? 15 : 3, f.counter("units.direct"), slow);
        assertEquals(slow.equals("1h") ? "closed" : "open", f.ds.status().breaker());
      }
    }
  }

  /** A unit's time is bounded by configuration, whatever the target does. */
  @Test
  void aTargetThatStallsCostsTheFlushTimeoutOnce() throws Exception {
    try (Fixture f = Fixture.shared(DDL);
        TcpProxy network = new TcpProxy("localhost", f.pair.targetServer().port())) {
      f.openTo(
              through(f, network),
              b ->
                  b.set(Setting.BREAKER_MIN_CALLS, "1")
                      .set(Setting.BREAKER_WINDOW, "1")
                      .set(Setting.BREAKER_OPEN, "10m"))
          .ready();
      write(f, 3);
      f.assertDrained();
      network.stall();
      write(f, 1);
      assertEquals("open", f.ds.status().breaker());
      write(f, 30);
      assertTrue(f.ds.status().pending() >= 31, () -> f.ds.status().toString());
      network.resume();
      f.assertEqual();
    }
  }

  /** The address leads somewhere else from one moment to the next. */
  @Test
  void aTargetBehindAnotherAddress() throws Exception {
    try (Fixture f = Fixture.shared(DDL);
        TcpProxy first = new TcpProxy("localhost", f.pair.targetServer().port());
        TcpProxy second = new TcpProxy("localhost", f.pair.targetServer().port())) {
      second.refuse();
      String both =
          through(f, first)
              .replace(":" + first.port(), ":" + first.port() + ",localhost:" + second.port());
      f.openTo(both, OutageTest::impatient).ready();
      write(f, 3);
      f.assertDrained();
      first.refuse();
      first.cut();
      write(f, 8);
      second.resume();
      f.assertEqual();
      long direct = f.counter("units.direct");
      Fixture.await(
          "the direct way leads to the other address",
          () -> {
            write(f, 1);
            return f.counter("units.direct") > direct;
          });
      assertTrue(second.accepted() > 0);
      f.assertEqual();
      assertEquals(List.of(), f.ds.status().suspects());
    }
  }

  /** How long the target is away; hours, where somebody wants to see hours. */
  private static final int AWAY = Integer.getInteger("dualwrite.test.outage.seconds", 3);

  /** Transactions one after another until told to stop, and how long each took. */
  private static final class Load implements AutoCloseable {
    private static final int THREADS = 4;

    private final List<Thread> threads = new ArrayList<>();
    private final Queue<Throwable> failures = new ConcurrentLinkedQueue<>();
    private final AtomicReference<Histogram> times = new AtomicReference<>(histogram());
    private volatile boolean stop;

    private static Histogram histogram() {
      return new ConcurrentHistogram(2);
    }

    Load(Fixture f) {
      for (int i = 0; i < THREADS; i++) {
        int first = 1_000_000 * (i + 1);
        threads.add(new Thread(() -> run(f, first)));
      }
      threads.forEach(Thread::start);
    }

    private void run(Fixture f, int first) {
      try (Connection c = f.connect();
          PreparedStatement a = c.prepareStatement("insert into t values (?, 1)");
          PreparedStatement b = c.prepareStatement("update t set v = v + 1 where id = ?");
          PreparedStatement l = c.prepareStatement("insert into line values (?)")) {
        c.setAutoCommit(false);
        for (int n = first; !stop; n++) {
          long start = System.nanoTime();
          a.setInt(1, n);
          a.executeUpdate();
          b.setInt(1, n - (n - first) / 2);
          b.executeUpdate();
          l.setInt(1, n);
          l.executeUpdate();
          c.commit();
          times.get().recordValue(System.nanoTime() - start);
        }
      } catch (SQLException | RuntimeException e) {
        failures.add(e);
      }
    }

    /** What it did from the last time on. */
    Histogram took() {
      return times.getAndSet(histogram());
    }

    @Override
    public void close() {
      stop = true;
      for (Thread t : threads) {
        while (t.isAlive()) {
          LockSupport.parkNanos(1_000_000);
        }
      }
      assertTrue(failures.isEmpty(), () -> "the application saw " + failures);
    }
  }

  private static void report(String when, Histogram h, long nanos) {
    System.out.printf(
        Locale.ROOT,
        "target %s: %.0f transactions/s, p50 %.2f ms, p99 %.2f ms%n",
        when,
        h.getTotalCount() * 1e9 / nanos,
        h.getValueAtPercentile(50) / 1e6,
        h.getValueAtPercentile(99) / 1e6);
  }

  /**
   * The application goes on as if nothing were, at full load; and what was missed arrives while it
   * still does. Figures of a long one:
   *
   * <pre>
   * ./mvnw test -pl dualwrite-jdbc -am -Dtest=OutageTest#awayAndBackUnderLoad \
   *     -Dsurefire.failIfNoSpecifiedTests=false -Ddualwrite.test.outage.seconds=600
   * </pre>
   */
  @Test
  void awayAndBackUnderLoad() throws Exception {
    try (Fixture f = Fixture.shared(DDL);
        TcpProxy network = new TcpProxy("localhost", f.pair.targetServer().port())) {
      f.openTo(through(f, network), OutageTest::impatient).ready();
      try (Load load = new Load(f)) {
        Fixture.await("directly", () -> f.counter("units.direct") > 200);
        load.took();
        long start = System.nanoTime();
        TimeUnit.SECONDS.sleep(Math.min(60, Math.max(1, AWAY / 2)));
        report("there", load.took(), System.nanoTime() - start);

        network.refuse();
        network.cut();
        start = System.nanoTime();
        TimeUnit.SECONDS.sleep(AWAY);
        Fixture.await("much is missed", () -> f.ds.status().pending() > 1000);
        report("away", load.took(), System.nanoTime() - start);
        long missed = f.ds.status().pending();
        long bytes = f.ds.status().journalBytes();
        long left = f.counter("units.left-to-replay");

        network.resume();
        start = System.nanoTime();
        Fixture.await(
            "what was missed arrives under load",
            Duration.ofMinutes(1).plusSeconds(AWAY),
            () -> f.ds.status().pending() < 100);
        long nanos = System.nanoTime() - start;
        report("back", load.took(), nanos);
        long more = f.counter("units.left-to-replay") - left;
        System.out.printf(
            Locale.ROOT,
            "%d transactions in %d MB of journal, and %d more, drained under load in %.1f s: %.0f rows/s%n",
            missed,
            bytes >> 20,
            more,
            nanos / 1e9,
            (missed + more) * 3e9 / nanos);
      }
      f.assertEqual();
      assertEquals(List.of(), f.ds.status().parked());
      assertEquals(List.of(), f.ds.status().suspects());
    }
  }

  private static String through(Fixture f, TcpProxy network) {
    return f.pair.targetUrl().replace(":" + f.pair.targetServer().port(), ":" + network.port());
  }

  @Test
  void aRoleWithoutOneTableAndWithoutConnections() throws SQLException {
    String role = "app_without";
    String ddl =
        DDL
            + "create table secret(id int primary key); create role app_without login password 'app';"
            + "grant all on t, line to app_without; do $$ begin execute"
            + " format('grant create on database %I to app_without', current_database()); end $$";
    try (Fixture f =
        Fixture.shared(
            PgServer.majors().get(0),
            ddl,
            b ->
                impatient(
                    b.set(Setting.TARGET_USERNAME, role).set(Setting.TARGET_PASSWORD, "app")))) {
      try {
        f.ready();
        f.execute("insert into secret values (1)");
        write(f, 5);
        Fixture.await("only that is parked", () -> f.ds.status().parked().size() == 1);
        assertTrue(
            f.ds.status().parked().get(0).error().contains("permission denied for table secret"),
            () -> f.ds.status().parked().toString());
        Fixture.await("the rest arrives", () -> f.ds.status().pending() == 0);
        try (Connection t = f.pair.target();
            Statement s = t.createStatement();
            ResultSet r = s.executeQuery("select count(*) from t")) {
          r.next();
          assertEquals(5, r.getInt(1));
        }
        f.pair.executeTarget("grant all on secret to " + role);
        f.ds.retryParked();
        f.assertEqual();

        f.pair.executeTarget(
            "alter role "
                + role
                + " connection limit 0; select pg_terminate_backend(pid) from pg_stat_activity"
                + " where usename = '"
                + role
                + "'");
        write(f, 8);
        assertNotEquals("closed", f.ds.status().breaker());
        assertTrue(f.ds.status().pending() > 0);
        f.pair.executeTarget("alter role " + role + " connection limit -1");
        f.assertEqual();
        assertEquals(List.of(), f.ds.status().parked());
      } finally {
        f.ds.close();
        f.pair.execute("drop owned by " + role + " cascade; drop role " + role);
      }
    }
  }
}
