package io.dualwrite.converge;

import static io.dualwrite.converge.Fixture.change;
import static io.dualwrite.converge.Fixture.execute;
import static io.dualwrite.converge.Fixture.row;
import static io.dualwrite.converge.Fixture.rows;
import static io.dualwrite.converge.Fixture.table;
import static io.dualwrite.converge.Fixture.value;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.zaxxer.hikari.HikariDataSource;
import io.dualwrite.catalog.Catalog;
import io.dualwrite.control.Incarnation;
import io.dualwrite.embedded.PgPair;
import io.dualwrite.embedded.PgServer;
import io.dualwrite.journal.Intent;
import io.dualwrite.journal.Outcome;
import io.dualwrite.journal.RowChange.Kind;
import io.dualwrite.journal.Suspect;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The source's primary is lost, and a standby of it takes over. */
class FailoverTest {

  private Fixture f;
  private PgServer standby;
  private HikariDataSource promoted;
  private Convergence engine;

  @BeforeEach
  void open() throws SQLException {
    assumeTrue(
        System.getProperty("dualwrite.test.postgres", "embedded").equals("embedded"),
        "skipped: only an embedded server has a standby");
    f = new Fixture(PgPair.own());
    f.with("create table k(a int)");
    standby = f.pair.sourceServer().standby();
  }

  @AfterEach
  void close() throws SQLException {
    if (promoted != null) {
      promoted.close();
    }
    if (standby != null) {
      standby.close();
      f.close();
    }
  }

  /** The primary goes, once the standby has all that it wrote. */
  private void failOver() throws SQLException {
    String end;
    try (Connection c = f.pair.source()) {
      end = value(c, "select pg_current_wal_flush_lsn()");
    }
    try (Connection s = standby.connect(f.pair.database())) {
      Fixture.await(
          "the standby has caught up",
          () -> value(s, "select pg_last_wal_replay_lsn() >= '" + end + "'").equals("t"));
      f.pair.sourceServer().kill();
      // the checkpoint after it is spread over minutes where there is much to write
      assertEquals("t", value(s, "select pg_promote()"));
    }
    promoted = Fixture.pool(standby.url(f.pair.database()), standby.user(), standby.password());
    engine = new Convergence(promoted, f.engine.mirror(), new Catalog(), f.mirrorCatalog);
  }

  private Intent pending(Connection primary, String value) throws SQLException {
    primary.setAutoCommit(false);
    execute(primary, "insert into k values (" + value + ")");
    Intent i = f.intent(primary, change(Kind.INSERT, "k", List.of("a"), List.of(), row(value)));
    primary.commit();
    f.journal.release(i.sequence(), Outcome.COMMITTED);
    return i;
  }

  private void drain() throws Exception {
    try (Replayer r = new Replayer(f.journal, () -> engine, ReplayerOptions.DEFAULT)) {
      assertTrue(r.drain(Duration.ofSeconds(30)), () -> "not drained: " + r.stats());
    }
  }

  private void assertEqual(String... values) throws SQLException {
    try (Connection p = promoted.getConnection();
        Connection m = f.pair.target()) {
      assertEquals(values.length, rows(p, "k").size());
      assertEquals(rows(p, "k"), rows(m, "k"));
    }
  }

  private void suspectAndHealed(String... values) throws Exception {
    assertEquals(List.of(table("k")), f.journal.suspects().stream().map(Suspect::table).toList());
    assertEquals(1, new Reconcile(engine, f.journal).run());
    assertEqual(values);
  }

  /** The standby started before the primary it takes over from did: their times tell nothing. */
  @Test
  void aRowOfTheNewPrimaryIsNotTakenForOneThatWasCopied() throws Exception {
    f.pair.sourceServer().stop();
    f.pair.sourceServer().restart();
    f.pair.executeSource("insert into k values (1)");
    f.engine.recopy(table("k"), "true");
    failOver();
    try (Connection p = promoted.getConnection()) {
      pending(p, "2");
    }
    drain();
    suspectAndHealed("1", "2");
  }

  @Test
  void aRowOfTheOldPrimaryThatWasCopiedFromTheNewIsNotDoubled() throws Exception {
    f.pair.sourceServer().stop();
    f.pair.sourceServer().restart();
    pending(f.primary(), "1");
    failOver();
    engine.recopy(table("k"), "true");
    drain();
    suspectAndHealed("1");
  }

  /** Where times and timelines agree nothing is suspect. */
  @Test
  void aStandbyThatStartedLaterIsOrdered() throws Exception {
    standby.stop();
    standby.restart();
    f.pair.executeSource("insert into k values (1)");
    f.engine.recopy(table("k"), "true");
    Intent old = pending(f.primary(), "2");
    failOver();
    try (Connection p = promoted.getConnection()) {
      Intent now = pending(p, "3");
      assertEquals(
          Incarnation.Order.EARLIER, Incarnation.order(old.incarnation(), now.incarnation()));
    }
    drain();
    assertEquals(List.of(), f.journal.suspects());
    assertEqual("1", "2", "3");
  }

  /** The first checkpoint after a promotion ends at some time, and changes nothing. */
  @Test
  void theNewPrimaryIsTheSameBeforeAndAfterItsFirstCheckpoint() throws Exception {
    String old = Incarnation.of(f.primary());
    failOver();
    try (Connection p = promoted.getConnection()) {
      Intent before = pending(p, "1");
      assertNotEquals(old, before.incarnation());
      assertTrue(before.incarnation().contains("/00000002/"), before.incarnation());
      execute(p, "checkpoint");
      assertEquals(before.incarnation(), Incarnation.of(p));
      p.commit();
    }
    engine.recopy(table("k"), "true");
    drain();
    assertEquals(List.of(), f.journal.suspects());
    assertEqual("1");
  }
}
