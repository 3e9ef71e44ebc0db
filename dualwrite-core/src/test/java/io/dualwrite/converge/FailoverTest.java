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
import io.dualwrite.journal.RowChange;
import io.dualwrite.journal.RowChange.Kind;
import io.dualwrite.journal.Suspect;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The source's or the target's server is lost, and a standby of it takes over. */
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
  }

  @AfterEach
  void close() throws SQLException {
    if (promoted != null) {
      promoted.close();
    }
    if (standby != null) {
      standby.close();
    }
    if (f != null) {
      f.close();
    }
  }

  /** The source goes, once the standby has all that it wrote. */
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
    }
    promote();
    engine = new Convergence(promoted, f.engine.mirror(), new Catalog(), f.mirrorCatalog);
  }

  private void promote() throws SQLException {
    try (Connection s = standby.connect(f.pair.database())) {
      // the checkpoint after it is spread over minutes where there is much to write
      assertEquals("t", value(s, "select pg_promote()"));
    }
    promoted = Fixture.pool(standby.url(f.pair.database()), standby.user(), standby.password());
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
    standby = f.pair.sourceServer().standby();
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
    standby = f.pair.sourceServer().standby();
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
    standby = f.pair.sourceServer().standby();
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
    standby = f.pair.sourceServer().standby();
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

  /** The target's standby takes over without what came last, which nobody has in a journal. */
  @Test
  void whatAStandbyOfTheTargetLacksIsSuspect() throws Exception {
    try (Replayer r = f.replayer()) {
      r.heartbeat(true);
      r.heartbeat(true);
      assertEquals(List.of(), f.journal.suspects());
      standby = f.pair.targetServer().standby();
      standby.stop();
      pending(f.primary(), "1");
      assertTrue(r.drain(Duration.ofSeconds(30)), () -> "not drained: " + r.stats());
    }
    f.assertEqual("k");
    f.pair.targetServer().kill();
    standby.restart();
    promote();
    engine = new Convergence(f.engine.primary(), promoted, f.primaryCatalog, new Catalog());
    try (Replayer r = new Replayer(f.journal, () -> engine, ReplayerOptions.DEFAULT)) {
      r.heartbeat(true);
      assertEquals(
          List.of(RowChange.NO_TABLE), f.journal.suspects().stream().map(Suspect::table).toList());
      assertEquals(1, new Reconcile(engine, f.journal).run());
      r.heartbeat(true);
      assertEquals(List.of(), f.journal.suspects());
    }
    try (Connection p = f.pair.source();
        Connection m = promoted.getConnection()) {
      assertEquals(List.of("{\"a\": 1}|"), rows(m, "k"));
      assertEquals(rows(p, "k"), rows(m, "k"));
    }
  }

  @Test
  void aSchemaOfAFormerVersionHasAHeartbeatTheSame() throws Exception {
    f.pair.executeTarget("drop table dualwrite.timeline");
    try (Replayer r = f.replayer()) {
      r.heartbeat(true);
    }
    try (Connection m = f.pair.target()) {
      assertEquals("t", value(m, "select goodbye from dualwrite.writer"));
    }
  }

  /** Nor has it what the first heartbeat wrote. */
  @Test
  void aTargetThatForgotTheWriterIsSuspect() throws Exception {
    try (Replayer r = f.replayer()) {
      r.heartbeat(true);
      f.pair.executeTarget("delete from dualwrite.timeline; delete from dualwrite.writer");
      r.heartbeat(true);
    }
    assertEquals(
        List.of(RowChange.NO_TABLE), f.journal.suspects().stream().map(Suspect::table).toList());
  }
}
