package io.dualwrite.converge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.control.Incarnation;
import io.dualwrite.journal.Intent;
import io.dualwrite.journal.Outcome;
import io.dualwrite.journal.RowChange;
import io.dualwrite.journal.Suspect;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

/** How much is read from the primary in a time, by a clock that goes on when it is waited for. */
final class SourceRateTest {

  private static final int RATE = 400;

  /** What one thread may read before it waits, twice a quarter of a second's keys. */
  private static final int BURST = RATE / 2;

  private static final class TestClock implements SourceRate.Clock {
    long now = 5_000_000_000L;
    Runnable parked = () -> {};

    @Override
    public long nanos() {
      return now;
    }

    @Override
    public void park(long nanos) {
      parked.run();
      now += nanos;
    }

    /** How many rows were paid for since. */
    long paid(long since) {
      return (now - since) * RATE / 1_000_000_000;
    }
  }

  private final TestClock clock = new TestClock();
  private final SourceRate rate = new SourceRate(RATE, clock);

  @Test
  void whoBeginsWaitsUntilWhatWasReadIsPaidFor() throws Exception {
    long start = clock.now;
    assertEquals(100, rate.batch(1000));
    assertEquals(10, rate.batch(10));
    rate.await();
    assertEquals(start, clock.now);
    rate.book(50);
    rate.book(150);
    assertEquals(start, clock.now);
    rate.await();
    assertEquals(200, clock.paid(start));
    clock.now += 10_000_000_000L;
    long later = clock.now; // nobody saves up
    rate.book(100);
    rate.await();
    assertEquals(100, clock.paid(later));
  }

  @Test
  void liftedInterruptedAndWithoutLimit() throws Exception {
    long start = clock.now;
    rate.book(1_000_000);
    rate.lift(true);
    rate.await();
    assertEquals(1000, rate.batch(1000));
    rate.lift(false);
    clock.parked = () -> rate.lift(true); // while somebody waits
    rate.await();
    assertEquals(RATE / 10, clock.paid(start));
    rate.lift(false);
    clock.parked = Thread.currentThread()::interrupt;
    assertThrows(SQLException.class, rate::await);
    assertTrue(Thread.interrupted());
    clock.parked = () -> assertTrue(false, "waits without a limit");
    SourceRate none = new SourceRate(0, clock);
    none.book(1_000_000);
    none.await();
  }

  @Test
  void replayReconcileAndRecopyKeepToTheRate() throws Exception {
    try (Fixture f =
            new Fixture()
                .with(
                    "create table t(a int, b text, v text, primary key (a, b))",
                    "create table k(a int)");
        Connection m = f.pair.target()) {
      f.pair.executeSource(
          "insert into t select i / 7, i::text, 'x' from generate_series(1, 400) i;"
              + "insert into k select i from generate_series(1, 400) i");
      f.pair.executeTarget(
          "insert into t select i / 7, i::text, 'y' from generate_series(1, 100) i");
      Convergence engine =
          new Convergence(
              f.engine.primary(),
              f.engine.mirror(),
              f.primaryCatalog,
              f.mirrorCatalog,
              ConvergenceOptions.DEFAULT.withMaxRate(RATE),
              rate);
      String[][] rows = new String[200][];
      for (int i = 1; i <= rows.length; i++) {
        rows[i - 1] = new String[] {Integer.toString(i / 7), Integer.toString(i), "x"};
      }
      try (Connection p = f.pair.source()) {
        p.setAutoCommit(false);
        Intent i =
            f.intent(
                p,
                Fixture.change(
                    RowChange.Kind.UPSERT, "t", List.of("a", "b", "v"), List.of("a", "b"), rows));
        f.journal.release(i.sequence(), Outcome.COMMITTED);
      }
      clock.parked = () -> assertNoLocks(m); // the application would wait with us
      long start = clock.now;
      try (Replayer r = new Replayer(f.journal, engine)) {
        assertTrue(r.drain(Duration.ofSeconds(30)));
      }
      assertPaid(400, start); // each key is read twice
      start = clock.now;
      reconcile(f, engine, "t");
      f.assertEqual("t");
      // the primary's keys, each compared, the half that differs read twice; the mirror's compared
      assertPaid(400 + 400 + 400 + 400, start);
      clock.parked = () -> {};
      start = clock.now;
      reconcile(f, engine, "k");
      f.assertEqual("k");
      assertPaid(400, start);
      start = clock.now;
      engine.liftRate(true);
      reconcile(f, engine, "t");
      assertEquals(start, clock.now);
    }
  }

  /** All but what was read last has been paid for, and nothing that was not read. */
  private void assertPaid(long rows, long since) {
    long paid = clock.paid(since);
    assertTrue(paid >= rows - BURST && paid <= rows + BURST, paid + " paid for " + rows + " read");
  }

  private static void reconcile(Fixture f, Convergence engine, String table) throws SQLException {
    try (Connection p = f.pair.source()) {
      f.journal.suspect(new Suspect(Fixture.table(table), "test", 1, Incarnation.of(p), 0));
    }
    assertEquals(1, new Reconcile(engine, f.journal).run());
  }

  private static void assertNoLocks(Connection m) {
    try {
      assertEquals(
          "0",
          Fixture.value(
              m,
              "select count(*) from pg_locks l where l.relation = 't'::regclass and l.mode = 'RowExclusiveLock'"
                  + " and l.database = (select oid from pg_database where datname = current_database())"),
          "locks are held while the rate is waited for");
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }
}
