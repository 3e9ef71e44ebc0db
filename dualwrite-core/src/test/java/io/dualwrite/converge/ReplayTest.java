package io.dualwrite.converge;

import static io.dualwrite.converge.Fixture.change;
import static io.dualwrite.converge.Fixture.delete;
import static io.dualwrite.converge.Fixture.execute;
import static io.dualwrite.converge.Fixture.finish;
import static io.dualwrite.converge.Fixture.row;
import static io.dualwrite.converge.Fixture.table;
import static io.dualwrite.converge.Fixture.upsert;
import static io.dualwrite.converge.Fixture.value;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.zaxxer.hikari.HikariDataSource;
import io.dualwrite.catalog.TableName;
import io.dualwrite.control.Incarnation;
import io.dualwrite.converge.Rules.Rule;
import io.dualwrite.embedded.PgPair;
import io.dualwrite.embedded.PgServer;
import io.dualwrite.journal.Intent;
import io.dualwrite.journal.Outcome;
import io.dualwrite.journal.RowChange;
import io.dualwrite.journal.RowChange.Kind;
import io.dualwrite.journal.Suspect;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import javax.sql.DataSource;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.postgresql.ds.PGSimpleDataSource;

class ReplayTest {

  private Fixture f;

  @BeforeEach
  void open() {
    f = new Fixture();
  }

  @AfterEach
  void close() throws SQLException {
    f.close();
  }

  private static RowChange insert(String table, String... values) {
    String[][] rows = Arrays.stream(values).map(v -> new String[] {v}).toArray(String[][]::new);
    return change(Kind.INSERT, table, List.of("a"), List.of(), rows);
  }

  private static final List<String> IV = List.of("id", "v");

  /** A unit that reached the primary only. */
  private Intent pending(String sql, Outcome outcome, RowChange... changes) throws SQLException {
    Connection p = f.primary();
    execute(p, sql);
    Intent i = f.intent(p, changes);
    p.commit();
    f.journal.release(i.sequence(), outcome);
    return i;
  }

  private void onPrimary(String sql) throws SQLException {
    Connection p = f.primary();
    execute(p, sql);
    p.commit();
  }

  private void drain() throws Exception {
    try (Replayer r = f.replayer()) {
      assertTrue(r.drain(Duration.ofSeconds(30)), () -> "not drained: " + r.stats());
    }
  }

  private String mirror(String sql) throws SQLException {
    try (Connection m = f.pair.target()) {
      return value(m, sql);
    }
  }

  // ----------------------------------------------------------------------------------------------
  // keyed

  @Test
  void pendingUnitsOfAllKindsReachTheMirror() throws Exception {
    f.with(
        "create table t(id int primary key, v text)",
        "create table k(a int)",
        "insert into t values (1,'a'),(2,'b'),(3,'c')");
    pending(
        "update t set v = 'x' where id = 1",
        Outcome.COMMITTED,
        upsert("t", IV, row("1", "old image")));
    pending("delete from t where id = 2", Outcome.UNKNOWN, delete("t", "id", "2"));
    pending(
        "update t set id = 30 where id = 3; insert into k values (1),(1)",
        Outcome.COMMITTED,
        change(Kind.REKEY, "t", List.of("id", "id", "v"), List.of("id"), row("3", "30", "c")),
        insert("k", "1", "1"));
    try (Replayer r = f.replayer()) {
      ReplayResult result = r.replayOnce(100);
      assertEquals(new ReplayResult(3, 4, 2, 0, 0), result);
      assertEquals(3, r.stats().units());
      assertNull(r.stats().lastError());
    }
    f.assertEqual("t", "k");
    assertEquals(0, f.journal.pendingCount());
  }

  @Test
  void keysOfAnotherTypeAndInAnotherOrder() throws Exception {
    f.with("create table t(a bigint, b text, v int, primary key (a, b))");
    f.pair.executeSource("insert into t values (7,'x',1)");
    pending(
        "update t set v = 2",
        Outcome.COMMITTED,
        new RowChange(
            Kind.UPSERT,
            table("t"),
            List.of("v", "b", "a"),
            Arrays.asList(null, null, "double precision"),
            List.of("b", "a"),
            new String[][] {row("1", "x", "7e0")}));
    drain();
    f.assertEqual("t");
  }

  @Test
  void aParentsNewKeyTakesItsChildrenAlong() throws Exception {
    for (String action : List.of("", "on delete cascade")) {
      f.with(
          "create table par(id int primary key, v text)",
          "create table chi(id int primary key, p int references par on update cascade "
              + action
              + ")",
          "insert into par values (1,'a')",
          "insert into chi values (1,1),(2,1)");
      pending(
          "update par set id = 2",
          Outcome.COMMITTED,
          change(Kind.REKEY, "par", List.of("id", "id", "v"), List.of("id"), row("1", "2", "a")));
      drain();
      f.assertEqual("par", "chi");
      f.with("drop table chi, par");
      f.primaryCatalog.invalidate();
      f.mirrorCatalog.invalidate();
    }
  }

  /** Nothing on the mirror says that there will be rows under the new key. */
  @Test
  void theParentsKeyIsPartOfItsChildrens() throws Exception {
    f.with(
        "create table par(id int primary key, v text)",
        "create table chi(p int references par on update cascade on delete cascade, n int, primary key (p, n))",
        "create table gra(p int, n int, m int, primary key (p, n, m), foreign key (p, n) references chi on update cascade)",
        "create table loo(p int references par on update cascade on delete cascade)",
        "insert into par values (1,'a')",
        "insert into chi values (1,1),(1,2)",
        "insert into gra values (1,1,1),(1,2,7)",
        "insert into loo values (1)");
    pending(
        "update par set id = 2",
        Outcome.COMMITTED,
        change(Kind.REKEY, "par", List.of("id", "id", "v"), List.of("id"), row("1", "2", "a")));
    drain();
    f.assertEqual("par", "chi", "gra");
    assertEquals(List.of(table("loo")), f.journal.suspects().stream().map(x -> x.table()).toList());
  }

  /** Neither the keys that follow nor the rows that are left under the old one are held at once. */
  @Test
  void aLargeFamilyThatTakesAnotherKeyIsGoneThroughInPages() throws Exception {
    f.with(
        "create table par(id int primary key, v text)",
        "create table chi(p int references par on update cascade on delete cascade, n int, primary key (p, n))",
        "insert into par values (1,'a')",
        "insert into chi select 1, i from generate_series(1, 100) i");
    f.pair.executeTarget(
        "create table gone(x xid8, n int);"
            + "create function gone() returns trigger language plpgsql as"
            + " 'begin insert into public.gone values (pg_current_xact_id(), old.n); return old; end';"
            + "create trigger gone after delete on chi for each row execute function gone()");
    pending(
        "update par set id = 2",
        Outcome.COMMITTED,
        change(Kind.REKEY, "par", List.of("id", "id", "v"), List.of("id"), row("1", "2", "a")));
    ConvergenceOptions o = ConvergenceOptions.DEFAULT;
    Convergence small =
        new Convergence(
            f.engine.primary(),
            f.engine.mirror(),
            f.primaryCatalog,
            f.mirrorCatalog,
            new ConvergenceOptions(
                2, o.resyncLimits(), o.recopyLockTimeout(), o.attempts(), o.settleTimeout()));
    boolean[] first = {true};
    small.hook =
        step -> {
          if (step == Step.COMMITTED && first[0]) {
            first[0] = false; // what comes while the first page is written is in a later one
            onPrimary("insert into chi values (2, 1000)");
          }
        };
    try (Replayer r = new Replayer(f.journal, small)) {
      assertTrue(r.drain(Duration.ofSeconds(30)));
    }
    f.assertEqual("par", "chi");
    try (Connection m = f.pair.target()) {
      assertEquals("100", value(m, "select count(*) from gone"));
      int most =
          Integer.parseInt(
              value(m, "select max(n) from (select count(*) as n from gone group by x) g"));
      assertTrue(most <= 20, most + " rows were deleted at once");
    }
  }

  /** A page of the family may hold a row that is in the way of itself. */
  @Test
  void aLargeFamilyOfRowsThatReferToThemselves() throws Exception {
    f.with(
        "create table tree(a int, n int, up int, primary key (a, n),"
            + " foreign key (a, up) references tree on update cascade on delete cascade)",
        "insert into tree select 1, i, 1 from generate_series(1, 100) i");
    pending(
        "update tree set a = 2 where n = 1",
        Outcome.COMMITTED,
        change(
            Kind.REKEY,
            "tree",
            List.of("a", "n", "a", "n", "up"),
            List.of("a", "n"),
            row("1", "1", "2", "1", "1")));
    ConvergenceOptions o = ConvergenceOptions.DEFAULT;
    Convergence small =
        new Convergence(
            f.engine.primary(),
            f.engine.mirror(),
            f.primaryCatalog,
            f.mirrorCatalog,
            new ConvergenceOptions(
                2, o.resyncLimits(), o.recopyLockTimeout(), o.attempts(), o.settleTimeout()));
    try (Replayer r = new Replayer(f.journal, small)) {
      assertTrue(r.drain(Duration.ofSeconds(30)));
    }
    f.assertEqual("tree");
  }

  @Test
  void whatAbortedIsResolvedWithoutAWrite() throws Exception {
    f.with("create table t(id int primary key, v text)", "create table k(a int)");
    Connection p = f.primary();
    execute(p, "insert into t values (1,'x')");
    Intent i = f.intent(p, upsert("t", IV, row("1", "x")), insert("k", "1"));
    p.rollback();
    f.journal.release(i.sequence(), Outcome.UNKNOWN);
    drain();
    assertEquals(
        "0,0", mirror("select (select count(*) from t) || ',' || (select count(*) from k)"));
  }

  /** Its client is gone, its COMMIT is on its way: nobody may say yet what became of it. */
  private void notEnded() throws Exception {
    f.with("create table t(id int primary key, v text)", "insert into t values (1,'a')");
    Connection p = f.primary();
    execute(p, "update t set v = 'b'");
    Intent i = f.intent(p, upsert("t", IV, row("1", "b")));
    f.journal.release(i.sequence(), Outcome.UNKNOWN);
    try (Replayer r = f.replayer()) {
      for (int n = 0; n < 3; n++) {
        r.replayOnce(10);
      }
      if (Rules.on(Rule.WAIT_ENDED)) {
        assertEquals(Set.of(i.pid()), r.stats().waitingForPrimary());
        assertEquals(1, f.journal.pendingCount());
        assertFalse(r.drain(Duration.ofMillis(20)));
      }
      p.commit();
      assertTrue(r.drain(Duration.ofSeconds(30)));
    }
  }

  @Test
  void aTransactionThatHasNotEndedIsWaitedForAndNamed() throws Exception {
    notEnded();
    f.assertEqual("t");
  }

  @Test
  void withoutWaitingForItsEndItIsLost() throws Exception {
    Rules.off(Rule.WAIT_ENDED);
    notEnded();
    assertFalse(f.equal("t"), "the switch has no effect");
  }

  @Test
  void aUnitWhoseKeysWaitForTheMirrorDoesNotHoldUpTheRest() throws Exception {
    f.with(
        "create table t(id int primary key, v text)", "create table u(id int primary key, v text)");
    Connection p0 = f.primary();
    Connection m0 = f.mirror();
    execute(p0, "insert into t values (1,'x')");
    f.flush(m0, null, upsert("t", IV, row("1", "x")));
    p0.commit();
    pending("delete from t where id = 1", Outcome.COMMITTED, delete("t", "id", "1"));
    try (Replayer r = f.replayer()) {
      assertEquals(1, r.replayOnce(10).waiting());
      assertEquals(
          Set.of(Integer.parseInt(value(m0, "select pg_backend_pid()"))),
          r.stats().waitingForMirror());
      pending("insert into u values (1,'x')", Outcome.COMMITTED, upsert("u", IV, row("1", "x")));
      assertEquals(1, r.replayOnce(10).resolved());
      f.assertEqual("u");
      assertEquals(1, f.journal.pendingCount());
      m0.commit();
      assertTrue(r.drain(Duration.ofSeconds(30)));
    }
    f.assertEqual("t");
  }

  @Test
  void aPoisonUnitIsFoundAndParkedAndTheRestGoesOn() throws Exception {
    f.with("create table t(id int primary key, v text)", "create table k(a int)");
    f.pair.executeTarget("alter table t add check (v <> 'bad'); alter table k add check (a < 100)");
    List<Intent> bad = new ArrayList<>();
    for (int i = 1; i <= 40; i++) {
      String v = i == 17 ? "bad" : "v";
      Intent u =
          pending(
              "insert into t values (" + i + ",'" + v + "')",
              Outcome.COMMITTED,
              upsert("t", IV, row("" + i, v)));
      if (i == 17) {
        bad.add(u);
      }
      int a = i == 23 ? 100 : i;
      u = pending("insert into k values (" + a + ")", Outcome.COMMITTED, insert("k", "" + a));
      if (i == 23) {
        bad.add(u);
      }
    }
    try (Replayer r = f.replayer()) {
      assertFalse(r.drain(Duration.ofSeconds(30)), "parked units are not drained");
      assertEquals(2, r.stats().parked());
      assertEquals(78, r.stats().units());
    }
    assertEquals(
        bad.stream().map(Intent::sequence).toList(),
        f.journal.parked().stream().map(x -> x.sequence()).toList());
    assertTrue(f.journal.parked().get(0).error().contains("t_v_check"));
    f.pair.executeTarget(
        "alter table t drop constraint t_v_check; alter table k drop constraint k_a_check");
    f.journal.parked().forEach(x -> f.journal.unpark(x.sequence()));
    drain();
    f.assertEqual("t", "k");
  }

  /** What is the server's fault, or somebody else's, parks nothing, however long it takes. */
  @Test
  void anOutageParksNothing() throws Exception {
    f.with("create table t(id int primary key, v text)", "create table k(a int)");
    f.pair.executeTarget(
        "create table fault(state text);"
            + "create function hit() returns boolean language plpgsql as $$"
            + " declare s text := (select state from public.fault);"
            + " begin if s is not null then raise exception 'no' using errcode = s; end if; return true; end $$;"
            + "alter table t add constraint c check (public.hit())");
    int n = 0;
    // full, out of memory or connections, read-only, I/O, shut down, canceled, locked, deadlocked,
    // wrong password, role not let in, no such database
    for (String state :
        List.of(
            "53100", "53200", "53300", "25006", "58030", "57P01", "57014", "55P03", "40001",
            "40P01", "28P01", "28000", "3D000")) {
      String id = Integer.toString(++n);
      f.pair.executeTarget("insert into fault values ('" + state + "')");
      pending(
          "insert into t values (" + id + ", 'x')",
          Outcome.COMMITTED,
          upsert("t", IV, row(id, "x")));
      pending("insert into k values (" + id + ")", Outcome.COMMITTED, insert("k", id));
      try (Replayer r = hasty()) {
        for (int i = 0; i < 6; i++) {
          try {
            r.replayOnce(10);
          } catch (SQLException e) {
            assertEquals(state, e.getSQLState());
          }
        }
        assertEquals(List.of(), f.journal.parked(), state);
        f.pair.executeTarget("delete from fault");
        assertTrue(r.drain(Duration.ofSeconds(30)), state);
      }
    }
    f.assertEqual("t", "k");
  }

  /** A database that allows no connections (55000), and a role that may not connect (42501). */
  @Test
  void aConnectionThatIsRefusedParksNothing() throws Exception {
    f.with("create table t(id int primary key, v text)", "create table k(a int)");
    pending("insert into t values (1, 'x')", Outcome.UNKNOWN, upsert("t", IV, row("1", "x")));
    pending("insert into k values (1)", Outcome.COMMITTED, insert("k", "1"));
    f.pair.execute("create role guest_" + f.pair.database() + " login password 'guest'");
    for (boolean mirror : new boolean[] {true, false}) {
      PgServer server = mirror ? f.pair.targetServer() : f.pair.sourceServer();
      for (boolean role : new boolean[] {true, false}) {
        PGSimpleDataSource refused = new PGSimpleDataSource();
        refused.setUrl(server.url(f.pair.database()));
        refused.setUser(role ? "guest_" + f.pair.database() : server.user());
        refused.setPassword(role ? "guest" : server.password());
        String on = " on database \"" + f.pair.database() + "\" ";
        String allow = "alter database \"" + f.pair.database() + "\" allow_connections ";
        try (Connection c = server.connect("postgres");
            Statement s = c.createStatement()) {
          s.execute(role ? "revoke connect" + on + "from public" : allow + "false");
          try (Replayer r =
              hasty(mirror ? f.engine.primary() : refused, mirror ? refused : f.engine.mirror())) {
            for (int i = 0; i < 5; i++) {
              assertEquals(
                  "08001",
                  assertThrows(SQLException.class, () -> r.replayOnce(10)).getSQLState(),
                  role + " " + mirror);
            }
          } finally {
            s.execute(role ? "grant connect" + on + "to public" : allow + "true");
          }
        }
        assertEquals(List.of(), f.journal.parked());
      }
    }
    drain();
    f.assertEqual("t", "k");
  }

  private Replayer hasty() {
    return hasty(f.engine.primary(), f.engine.mirror());
  }

  /** Parks what fails twice, and does not try for long. */
  private Replayer hasty(DataSource primary, DataSource mirror) {
    ConvergenceOptions o = ConvergenceOptions.DEFAULT;
    Convergence engine =
        new Convergence(
            primary,
            mirror,
            f.primaryCatalog,
            f.mirrorCatalog,
            new ConvergenceOptions(
                10, o.resyncLimits(), o.recopyLockTimeout(), 2, o.settleTimeout()));
    return new Replayer(
        f.journal,
        () -> engine,
        new ReplayerOptions(10, 2, Duration.ofNanos(1), Duration.ofMillis(100)));
  }

  @Test
  void contentionIsTriedAgainForAsLongAsItTakes() throws Exception {
    f.with("create table t(id int primary key, v text)", "insert into t values (1,'a')");
    pending("update t set v = 'b'", Outcome.COMMITTED, upsert("t", IV, row("1", "b")));
    Connection m = f.mirror();
    execute(m, "lock table t");
    ConvergenceOptions o =
        new ConvergenceOptions(
            10,
            new ApplyLimits(Duration.ofMillis(5), Duration.ZERO, Duration.ZERO),
            Duration.ofMillis(5),
            2,
            Duration.ofMillis(5));
    Convergence hasty =
        new Convergence(
            f.engine.primary(), f.engine.mirror(), f.primaryCatalog, f.mirrorCatalog, o);
    try (Replayer r =
        new Replayer(
            f.journal,
            () -> hasty,
            new ReplayerOptions(10, 1, Duration.ofMillis(1), Duration.ofMillis(100)))) {
      for (int i = 0; i < 5; i++) {
        r.replayOnce(10);
      }
      assertEquals(List.of(), f.journal.parked());
      m.rollback();
      assertTrue(r.drain(Duration.ofSeconds(30)));
    }
    f.assertEqual("t");
  }

  @Test
  void theBackgroundThreadDrainsAndBeatsAndSurvivesAnOutage() throws Exception {
    f.close();
    f = new Fixture(PgPair.own());
    try {
      f.with("create table t(id int primary key, v text)", "create table k(a int)");
      try (Replayer r = f.replayer()) {
        r.start();
        pending("insert into t values (1,'x')", Outcome.COMMITTED, upsert("t", IV, row("1", "x")));
        pending("insert into k values (1)", Outcome.COMMITTED, insert("k", "1"));
        r.wake();
        Fixture.await("drained", () -> f.journal.pendingCount() == 0);
        String w =
            "select resolved_through || ',' || pending || ',' || goodbye from dualwrite.writer";
        Fixture.await("watermark", () -> "2,0,false".equals(mirrorOrNull(w)));
        assertEquals("0", mirror("select count(*) from dualwrite.marker"));
        f.pair.targetServer().kill();
        pending("insert into t values (2,'x')", Outcome.COMMITTED, upsert("t", IV, row("2", "x")));
        r.wake();
        Fixture.await("error", () -> r.stats().lastError() != null);
        f.pair.targetServer().restart();
        Fixture.await("drained", () -> f.journal.pendingCount() == 0);
        f.assertEqual("t", "k");
        assertEquals(List.of(), f.journal.parked());
        Suspect open = new Suspect(TableName.parse("k"), "because", 1, "", 0);
        f.journal.suspect(open);
        r.heartbeat(true);
        assertEquals("3,0,false", mirror(w), "while something is owed it is no goodbye");
        f.journal.suspects().forEach(f.journal::closeSuspect);
        r.heartbeat(true);
        assertEquals("3,0,true", mirror(w));
      }
    } finally {
      f.close();
      f = new Fixture();
    }
  }

  /** As when the rows of several units are too many for the memory, or those of a single one. */
  @Test
  void anErrorEndsNoReplay() throws Exception {
    f.with("create table k(a int)");
    for (int i = 1; i <= 6; i++) {
      pending("insert into k values (" + i + ")", Outcome.COMMITTED, insert("k", "" + i));
    }
    AtomicInteger alone = new AtomicInteger();
    CountDownLatch told = new CountDownLatch(1);
    f.engine.hook =
        s -> {
          if (s == Step.REPLAY_INSERTED && f.journal.asked > 2) { // one, and one more than that
            throw new OutOfMemoryError("a test's");
          }
          if (s == Step.REPLAY_INSERTED && alone.incrementAndGet() == 1) {
            try {
              told.await();
            } catch (InterruptedException e) {
              Thread.currentThread().interrupt();
            }
            throw new OutOfMemoryError("a test's");
          }
        };
    ReplayerOptions four = new ReplayerOptions(4, 1, Duration.ofMillis(1), Duration.ofMillis(100));
    try (Replayer r = new Replayer(f.journal, () -> f.engine, four)) {
      r.start();
      Fixture.await("one is at hand", () -> alone.get() > 0);
      assertEquals("java.lang.OutOfMemoryError: a test's", r.stats().lastError());
      f.engine.hook = s -> {};
      told.countDown();
      Fixture.await("the others are done", () -> f.journal.pendingCount() == 1);
      assertEquals("5", mirror("select count(*) from k"));
    }
    assertEquals(List.of(), f.journal.parked());
    pending("insert into k values (7)", Outcome.COMMITTED, insert("k", "7"));
    f.engine.hook =
        s -> {
          if (s == Step.REPLAY_INSERTED && f.journal.asked > 3) {
            throw new OutOfMemoryError("a test's");
          }
        };
    try (Replayer r = new Replayer(f.journal, () -> f.engine, four)) {
      assertTrue(r.drain(Duration.ofSeconds(30)), () -> "not drained: " + r.stats());
    }
    f.assertEqual("k");
  }

  private String mirrorOrNull(String sql) throws SQLException {
    try (Connection m = f.pair.target();
        var s = m.createStatement();
        var r = s.executeQuery(sql)) {
      return r.next() ? r.getString(1) : null;
    }
  }

  // ----------------------------------------------------------------------------------------------
  // keyless: exactly once

  /** The direct flush went through, but its COMMIT's answer was lost, or is still to come. */
  private void flushedAndReplayed(boolean committedBefore) throws Exception {
    f.with("create table k(a int)");
    Connection p = f.primary();
    Connection m = f.mirror();
    execute(p, "insert into k values (1)");
    RowChange c = insert("k", "1");
    Intent i = f.intent(p, c);
    f.flush(m, new Marker(f.journal.writer(), i.sequence()), c);
    p.commit();
    if (committedBefore) {
      m.commit();
    }
    f.journal.release(i.sequence(), Outcome.COMMITTED);
    Future<?> r = f.start(this::drain);
    if (!committedBefore) {
      if (Rules.on(Rule.MARKER) && Rules.on(Rule.MARKER_BY_INSERT)) {
        f.awaitBlocked();
      } else if (!Rules.on(Rule.MARKER)) {
        finish(r);
      } else {
        f.awaitBlocked(); // looked up before, inserts now
      }
      m.commit();
    }
    finish(r);
  }

  /** The text of a statement is in memory as a whole, on both ends. */
  @Test
  void largeRowsWithoutAKeyGoInSeveralStatements() throws Exception {
    f.with("create table k(a int, v text)");
    f.pair.executeTarget(
        "create table statements(n int);"
            + "create function counted() returns trigger language plpgsql as"
            + " 'begin insert into public.statements values (1); return null; end';"
            + "create trigger counted after insert on k for each statement execute function counted()");
    String large = "v".repeat(3 << 20);
    pending(
        "insert into k select i, repeat('v', 3 << 20) from generate_series(1, 3) i;"
            + " insert into k select i, 'v' from generate_series(4, 100) i",
        Outcome.COMMITTED,
        change(
            Kind.INSERT,
            "k",
            List.of("a", "v"),
            List.of(),
            row("1", large),
            row("2", large),
            row("3", large)),
        change(
            Kind.INSERT,
            "k",
            List.of("a", "v"),
            List.of(),
            IntStream.rangeClosed(4, 100)
                .mapToObj(i -> row(Integer.toString(i), "v"))
                .toArray(String[][]::new)));
    drain();
    assertEquals("2", mirror("select count(*) from statements"));
    f.assertEqual("k");
  }

  @Test
  void aUnitThatIsThereIsNotAppliedAgain() throws Exception {
    flushedAndReplayed(true);
    f.assertEqual("k");
  }

  @Test
  void aUnitWhoseCommitIsOnItsWayIsNotAppliedAgain() throws Exception {
    flushedAndReplayed(false);
    f.assertEqual("k");
  }

  @Test
  void withoutMarkerItIsAppliedTwice() throws Exception {
    Rules.off(Rule.MARKER);
    flushedAndReplayed(true);
    assertFalse(f.equal("k"), "the switch has no effect");
  }

  @Test
  void withAMarkerLookedUpItIsAppliedTwice() throws Exception {
    Rules.off(Rule.MARKER_BY_INSERT);
    flushedAndReplayed(false);
    assertFalse(f.equal("k"), "the switch has no effect");
  }

  @Test
  void aUnitUpToTheWatermarkIsThereAlthoughItsMarkerIsGone() throws Exception {
    f.with("create table k(a int)");
    Intent i = pending("insert into k values (1)", Outcome.COMMITTED, insert("k", "1"));
    f.pair.executeTarget("insert into k values (1)");
    f.pair.executeTarget(
        "insert into dualwrite.writer (writer, resolved_through) values ('"
            + f.journal.writer()
            + "', "
            + i.sequence()
            + ")");
    drain();
    f.assertEqual("k");
  }

  // ----------------------------------------------------------------------------------------------
  // keyless: recopy

  @Test
  void recopyThenReplay() throws Exception {
    f.with("create table k(a int)");
    f.pair.executeTarget("insert into k values (666)");
    Connection open = f.primary();
    execute(open, "insert into k values (3)");
    Intent late = f.intent(open, insert("k", "3"));
    pending("insert into k values (1),(2)", Outcome.COMMITTED, insert("k", "1", "2"));
    RecopyResult r = f.engine.recopy(table("k"), "true");
    assertEquals(2, r.rows());
    assertFalse(r.sees(late.xid(), late.incarnation()));
    f.assertEqual("k");
    open.commit();
    f.journal.release(late.sequence(), Outcome.COMMITTED);
    drain();
    f.assertEqual("k");
  }

  @Test
  void withoutARecordedSnapshotAReplayDoublesTheRow() throws Exception {
    Rules.off(Rule.SNAPSHOT_RECORDED);
    f.with("create table k(a int)");
    pending("insert into k values (1)", Outcome.COMMITTED, insert("k", "1"));
    f.engine.recopy(table("k"), "true");
    drain();
    assertFalse(f.equal("k"), "the switch has no effect");
  }

  @Test
  void predicatesWithNullsQuestionMarksAndOmittedColumns() throws Exception {
    f.with("create table k(a int, \"odd ?\" text, d int default 5, j jsonb)");
    List<String> cols = List.of("a", "odd ?", "j");
    pending(
        "insert into k(a, \"odd ?\", j) values (1,'x','{\"k\":1}'),(10,'y?',null),(null,null,'{}'),(2,'it''s \"{q}\\',null)",
        Outcome.COMMITTED,
        change(
            Kind.INSERT,
            "k",
            cols,
            List.of(),
            row("1", "x", "{\"k\":1}"),
            row("10", "y?", null),
            row(null, null, "{}"),
            row("2", "it's \"{q}\\", null)));
    assertEquals(1, f.engine.recopy(table("k"), "a > 5 and \"odd ?\" = 'y?'").rows());
    assertEquals(1, f.engine.recopy(table("k"), "d = 5 and j ? 'k'").rows());
    drain();
    f.assertEqual("k");
  }

  /** A recopy of the row's range commits between the replay's look and its insert. */
  private void recopyBetween(String target) throws Exception {
    pending("insert into k values (1)", Outcome.COMMITTED, insert(target, "1"));
    AtomicInteger once = new AtomicInteger();
    List<Future<?>> recopies = new ArrayList<>();
    f.engine.hook =
        s -> {
          if (s == Step.REPLAY_VISIBILITY && once.getAndIncrement() == 0) {
            Future<?> r =
                f.start(
                    () ->
                        new Convergence(
                                f.engine.primary(),
                                f.engine.mirror(),
                                f.primaryCatalog,
                                f.mirrorCatalog)
                            .recopy(table("k"), "true"));
            recopies.add(r);
            try {
              r.get(700, TimeUnit.MILLISECONDS);
            } catch (TimeoutException e) {
              // it waits for the replay's lock
            } catch (Exception e) {
              throw new SQLException(e);
            }
          }
        };
    drain();
    finish(recopies.get(0));
  }

  @Test
  void aRecopyCannotComeBetweenLookAndInsert() throws Exception {
    f.with("create table k(a int)");
    recopyBetween("k");
    f.assertEqual("k");
  }

  @Test
  void norIntoAPartition() throws Exception {
    f.with(
        "create table k(a int) partition by range (a)",
        "create table k0 partition of k for values from (0) to (10)",
        "create table kd partition of k default");
    recopyBetween("k");
    f.assertEqual("k");
  }

  @Test
  void withoutTheLockFirstTheRowIsDoubled() throws Exception {
    Rules.off(Rule.LOCK_BEFORE_VISIBILITY);
    f.with("create table k(a int)");
    recopyBetween("k");
    assertFalse(f.equal("k"), "the switch has no effect");
  }

  @Test
  void withoutTheSecondLookAPartitionsRowIsDoubled() throws Exception {
    Rules.off(Rule.LOCK_BEFORE_VISIBILITY);
    f.with(
        "create table k(a int) partition by range (a)",
        "create table k0 partition of k for values from (0) to (10)");
    recopyBetween("k");
    assertFalse(f.equal("k"), "the switch has no effect");
  }

  /** A writer flushes and commits while a recopy is on its way. */
  private void writerMeanwhile() throws Exception {
    f.with("create table k(a int)");
    Connection p = f.primary();
    Connection m = f.mirror();
    execute(p, "insert into k values (1)");
    RowChange c = insert("k", "1");
    f.flush(m, new Marker(f.journal.writer(), f.journal.nextSequence()), c);
    // flushed and not committed: the recopy has to wait, or takes its snapshot too early
    Future<?> r = f.start(() -> f.engine.recopy(table("k"), "true"));
    f.awaitBlocked();
    p.commit();
    m.commit();
    finish(r);
  }

  @Test
  void aRecopyWaitsForTheMirrorsWritersBeforeItsSnapshot() throws Exception {
    writerMeanwhile();
    f.assertEqual("k");
  }

  @Test
  void withTheSnapshotFirstTheirRowsAreLost() throws Exception {
    Rules.off(Rule.LOCK_THEN_DELETE_THEN_SNAPSHOT);
    f.with("create table k(a int)");
    // the recopy has its snapshot and is about to lock
    Connection p = f.primary();
    Connection m = f.mirror();
    Connection r = f.mirror();
    execute(p, "insert into k values (1)");
    AtomicInteger once = new AtomicInteger();
    f.engine.hook =
        s -> {
          if (s == Step.RECOPY_LOCKED && once.getAndIncrement() == 0) {
            throw new SQLException("not reached with the lock held", "55P03");
          }
        };
    f.flush(m, null, insert("k", "1"));
    Future<?> recopy =
        f.start(
            () -> {
              f.engine.hook = s -> {};
              execute(r, "select 1");
              Convergence patient =
                  new Convergence(
                      f.engine.primary(),
                      f.engine.mirror(),
                      f.primaryCatalog,
                      f.mirrorCatalog,
                      new ConvergenceOptions(
                          100,
                          ApplyLimits.DEFAULT,
                          Duration.ofSeconds(20),
                          1,
                          Duration.ofSeconds(1)));
              patient.recopy(r, table("k"), "true");
              r.commit();
            });
    f.awaitBlocked();
    p.commit();
    m.commit();
    finish(recopy);
    assertFalse(f.equal("k"), "the switch has no effect");
  }

  @Test
  void directInsertsWaitForARecopy() throws Exception {
    f.with("create table k(a int)");
    f.pair.executeSource("insert into k select generate_series(1, 1000)");
    List<Future<?>> writers = new ArrayList<>();
    f.engine.hook =
        s -> {
          if (s == Step.RECOPY_SNAPSHOT) {
            Connection p = f.primary();
            Connection m = f.mirror();
            execute(p, "insert into k values (0)");
            writers.add(
                f.start(
                    () -> {
                      f.flush(m, null, insert("k", "0"));
                      p.commit();
                      m.commit();
                    }));
            f.awaitBlocked();
          }
        };
    f.engine.recopy(table("k"), "true");
    finish(writers.get(0));
    f.assertEqual("k");
  }

  @Test
  void partitionsOfSeveralShapes() throws Exception {
    f.pair.executeSource("create table k(a int, b text)");
    f.pair.executeTarget(
        "create table k(b text, a int) partition by list (b);"
            + "create table kx partition of k for values in ('x');"
            + "create table kn partition of k for values in (null, 'n');"
            + "create table kd partition of k default partition by hash (a);"
            + "create table kd0 partition of kd for values with (modulus 2, remainder 0);"
            + "create table kd1 partition of kd for values with (modulus 2, remainder 1)");
    List<String> ab = List.of("a", "b");
    pending(
        "insert into k values (1,'x'),(2,null),(3,'x')",
        Outcome.COMMITTED,
        change(Kind.INSERT, "k", ab, List.of(), row("1", "x"), row("2", null), row("3", "x")));
    assertEquals(1, f.engine.recopy(table("kn"), "a > 0").rows());
    assertEquals(1, f.engine.recopy(table("kx"), "a > 1").rows());
    drain();
    f.assertEqual("k");
    // a hash partition's rows can only be told by the server that has it
    SQLException hash =
        assertThrows(SQLException.class, () -> f.engine.recopy(table("kd0"), "true"));
    assertTrue(hash.getMessage().contains("hash partition"), hash.getMessage());
    f.with(
        "create table h(a int, b text) partition by hash (a)",
        "create table h0 partition of h for values with (modulus 2, remainder 0)",
        "create table h1 partition of h for values with (modulus 2, remainder 1)");
    pending(
        "insert into h select i, 'x' from generate_series(1, 6) i",
        Outcome.COMMITTED,
        change(
            Kind.INSERT,
            "h",
            ab,
            List.of(),
            row("1", "x"),
            row("2", "x"),
            row("3", "x"),
            row("4", "x"),
            row("5", "x"),
            row("6", "x")));
    f.engine.recopy(table("h1"), "true");
    drain();
    f.assertEqual("h");
    assertEquals(6, f.engine.recopy(table("h"), "true").rows());
    f.assertEqual("h");
    // what no partition of the mirror takes is not left out in silence
    f.pair.executeSource("create table g(a int); insert into g values (1),(11),(null)");
    f.pair.executeTarget(
        "create table g(a int) partition by range (a); create table g0 partition of g for values from (0) to (20)");
    SQLException gap = assertThrows(SQLException.class, () -> f.engine.recopy(table("g"), "true"));
    assertTrue(gap.getMessage().contains("no partition for some"), gap.getMessage());
    assertEquals(2, f.engine.recopy(table("g"), "a > 0").rows());
  }

  /** A hypertable as the catalog shows it: its chunks inherit, in a schema of the extension's. */
  @Test
  void chunks() throws Exception {
    f.with(
        "create table k(a int)",
        "create schema _timescaledb_internal",
        "create table _timescaledb_internal.c1(check (a >= 0 and a < 10)) inherits (k)",
        "create table _timescaledb_internal.c2(check (a >= 10 and a < 20)) inherits (k)",
        "create function route() returns trigger language plpgsql as $$ begin"
            + " if new.a < 10 then insert into _timescaledb_internal.c1 values (new.a);"
            + " else insert into _timescaledb_internal.c2 values (new.a); end if; return null; end $$",
        "create trigger route before insert on k for each row execute function route()");
    pending("insert into k values (1),(11)", Outcome.COMMITTED, insert("k", "1", "11"));
    TableName chunk = new TableName("_timescaledb_internal", "c1");
    assertEquals(1, f.engine.recopy(chunk, "true").rows());
    drain();
    f.assertEqual("_timescaledb_internal.c1", "_timescaledb_internal.c2");
  }

  @Test
  void aTableThatOthersReferToIsNotReplacedAsAWhole() throws Exception {
    f.with(
        "create table par(id int primary key)",
        "create table chi(p int references par on delete cascade)",
        "insert into par values (1)");
    SQLException e = assertThrows(SQLException.class, () -> f.engine.recopy(table("par"), "true"));
    assertTrue(e.getMessage().contains("public.chi refers to it"), e.getMessage());
  }

  /** By a unique index that allows NULL: it has no key, and yet its rows cannot just go. */
  @ParameterizedTest
  @CsvSource({"no action,", "restrict,", "cascade,", "cascade, partition by range (a)"})
  void rowsWithoutAKeyThatOthersReferToAreMadeEqual(String action, String partition)
      throws Exception {
    f.with(
        "create table kn(a int, b text, c char(3), unique (a)) "
            + (partition == null ? "" : partition),
        "create table kc(id int primary key, a int references kn(a) on delete " + action + ")");
    if (partition != null) {
      f.with("create table kn0 partition of kn default");
    }
    f.with(
        "insert into kn select i, 'b', 'c' from generate_series(1, 5) i",
        "insert into kn values (null, 'x', ''), (null, 'x', ''), (null, null, null)",
        "insert into kc values (1, 1), (2, 2)");
    f.pair.executeTarget(
        "insert into kn values (8, 'too many', null), (null, 'too many', null); delete from kn where a = 4");
    onPrimary(
        "update kn set b = '', c = null where a in (1, 3); update kn set c = 'z' where b = 'x'");
    onPrimary(
        "insert into kn values (null, 'y', null); delete from kn where a is null and b is null");
    // this one's insert is in the copy already when it is replayed
    pending(
        "insert into kn values (6, 'b')",
        Outcome.COMMITTED,
        change(Kind.INSERT, "kn", List.of("a", "b"), List.of(), row("6", "b")));
    f.journal.suspect(new Suspect(table("kn"), "test", 1, "", 0));
    assertEquals(1, new Reconcile(f.engine, f.journal).run());
    drain();
    f.assertEqual("kn", "kc");

    // a row goes whose child has gone to another one, of which the mirror knows neither
    onPrimary(
        "insert into kn values (7, 'b'); update kc set a = 7 where id = 2; delete from kn where a = 2");
    f.journal.suspect(new Suspect(table("kn"), "test", 1, "", 0));
    if (action.equals("cascade")) {
      assertEquals(2, new Reconcile(f.engine, f.journal).run()); // and the children's
    } else {
      assertThrows(SQLException.class, () -> new Reconcile(f.engine, f.journal).run());
      f.engine.resync(Map.of(table("kc"), List.of(List.of("2"))));
      assertEquals(1, new Reconcile(f.engine, f.journal).run());
    }
    f.assertEqual("kn", "kc");
  }

  @ParameterizedTest
  @CsvSource({"no action", "cascade"})
  void aRowWithoutAKeyThatOthersReferToTakesAValueOfOneThatIsGone(String action) throws Exception {
    f.with(
        "create table k(u int unique, v int unique, a text)",
        "create table ch(id int primary key, u int references k(u) on delete " + action + ")",
        "insert into k values (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c'), (null, 40, 'd'), (null, 50, 'e')",
        "insert into ch values (1, 1), (2, 2)");
    onPrimary(
        "delete from k where u = 3 or v = 40; update k set v = 30 where u = 1; update k set v = 40 where u = 2");
    f.journal.suspect(new Suspect(table("k"), "test", 1, "", 0));
    assertEquals(1, new Reconcile(f.engine, f.journal).run());
    f.assertEqual("k", "ch");
  }

  /**
   * It waits, with duplicates that the primary has no more, for the statement that makes the key.
   */
  @Test
  void aSuspectWhoseKeyTheMirrorLacksIsRecopied() throws Exception {
    f.with("create table k(a int, b text)", "insert into k values (1, 'x'), (1, 'x'), (2, 'y')");
    onPrimary("delete from k where ctid = '(0,1)'; alter table k add primary key (a)");
    try (Connection m = f.pair.target()) {
      f.mirrorCatalog.table(m, table("k"));
    }
    f.journal.suspect(new Suspect(table("k"), "test", 1, "", 0));
    assertEquals(1, new Reconcile(f.engine, f.journal).run());
    f.assertEqual("k");
    f.pair.executeTarget("alter table k add primary key (a); insert into k values (7, 'seven')");
    f.journal.suspect(new Suspect(table("k"), "test", 1, "", 0));
    f.engine.hook = s -> assertFalse(s == Step.RECOPY_LOCKED, "by its key, now that it is there");
    assertEquals(1, new Reconcile(f.engine, f.journal).run());
    f.assertEqual("k");
  }

  @Test
  void aRecopyInTheCallersTransaction() throws Exception {
    f.with("create table k(a int)", "insert into k values (1)");
    f.pair.executeTarget("delete from k");
    Connection m = f.mirror();
    f.engine.recopy(m, table("k"), "true");
    m.rollback();
    assertEquals(
        "0,0",
        mirror(
            "select (select count(*) from k) || ',' || (select count(*) from dualwrite.snapshot)"));
    m.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
    assertThrows(SQLException.class, () -> f.engine.recopy(m, table("k"), "true"));
    m.rollback();
    m.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
    f.engine.recopy(m, table("k"), "a = 1");
    m.commit();
    f.assertEqual("k");
    // a later snapshot of the whole table replaces those of its parts
    f.engine.recopy(table("k"), "true");
    assertEquals("true", mirror("select string_agg(predicate, ',') from dualwrite.snapshot"));
  }

  // ----------------------------------------------------------------------------------------------
  // suspects and incarnations

  @Test
  void aSuspectIsClosedOnlyByASnapshotThatSawItsEnd() throws Exception {
    f.with("create table k(a int)");
    Connection p = f.primary();
    execute(p, "insert into k values (1)");
    String xid = value(p, "select pg_current_xact_id()");
    Suspect s = new Suspect(table("k"), "test", 0, Incarnation.of(p), Long.parseLong(xid));
    f.pair.executeTarget(
        "insert into dualwrite.suspect values ('public','k','"
            + f.journal.writer()
            + "','test','"
            + s.incarnation()
            + "','"
            + xid
            + "')");
    Connection m = f.mirror();
    assertFalse(
        f.engine.closeSuspect(m, f.journal.writer(), s, f.engine.recopy(table("k"), "true")));
    p.commit();
    assertFalse(f.equal("k"));
    Rules.off(Rule.SUSPECT_CARRIES_XID); // and this is what the rule keeps from being closed
    assertTrue(
        f.engine.closeSuspect(m, f.journal.writer(), s, f.engine.recopy(table("k"), "a < 0")));
    m.rollback();
    Rules.off();
    assertTrue(
        f.engine.closeSuspect(m, f.journal.writer(), s, f.engine.recopy(table("k"), "true")));
    m.commit();
    f.assertEqual("k");
    assertEquals("0", mirror("select count(*) from dualwrite.suspect"));
  }

  /** CREATE INDEX CONCURRENTLY that fails leaves an invalid index of the name. */
  @Test
  void anIndexThatWasBuiltHalfIsBuiltAgain() throws Exception {
    f.with("create table t(id int primary key, v int)");
    f.pair.executeSource("insert into t values (1, 1), (2, 2)");
    f.pair.executeTarget("insert into t values (1, 1), (2, 1)");
    String half = "select count(*) from pg_index where not indisvalid";
    String whole =
        "select string_agg(indexrelid::regclass::text, ',' order by 1) from pg_index"
            + " where indrelid = 't'::regclass and indisvalid and not indisprimary";
    for (String sql :
        List.of(
            "create unique index concurrently t_v on t(v)",
            "create unique index concurrently on public.t(v)")) {
      pending(
          "select pg_current_xact_id()",
          Outcome.COMMITTED,
          RowChange.statement(sql, "public", null, true));
    }
    try (Replayer r = f.replayer()) {
      do {
        assertEquals(new ReplayResult(0, 0, 0, 0, 2), r.replayOnce(10));
      } while (r.stats().lastError() == null);
      assertEquals("0", mirror(half)); // which refused rows as well
    }
    // that of a process that died at it
    try (Connection m = f.pair.target()) {
      assertThrows(
          SQLException.class, () -> execute(m, "create unique index concurrently t_v on t(v)"));
    }
    assertEquals("1", mirror(half));
    f.pair.executeTarget("update t set v = 2 where id = 2");
    drain();
    assertEquals("t_v,t_v_idx", mirror(whole));
    assertEquals("0", mirror(half));
  }

  /** Else the server goes on alone, and the next attempt builds another one. */
  @Test
  void anIndexWithoutANameTakesLongerThanAnAnswerMay() throws Exception {
    f.with("create table t(id int primary key, v int)", "create table other(id int)");
    Connection reader = f.mirror();
    execute(reader, "set transaction isolation level repeatable read");
    execute(reader, "select * from other");
    pending(
        "select pg_current_xact_id()",
        Outcome.COMMITTED,
        RowChange.statement("create index concurrently on t(v)", "public", null, true));
    PGSimpleDataSource mirror = new PGSimpleDataSource();
    mirror.setUrl(f.pair.targetUrl());
    mirror.setUser(f.pair.targetServer().user());
    mirror.setPassword(f.pair.targetServer().password());
    mirror.setSocketTimeout(1);
    Convergence engine =
        new Convergence(f.engine.primary(), mirror, f.primaryCatalog, f.mirrorCatalog);
    try (Replayer r = new Replayer(f.journal, engine)) {
      assertFalse(r.drain(Duration.ofSeconds(2)));
      reader.rollback();
      assertTrue(r.drain(Duration.ofSeconds(30)), () -> "not drained: " + r.stats());
    }
    assertEquals(
        "t_pkey,t_v_idx",
        mirror(
            "select string_agg(indexrelid::regclass::text, ',' order by 1) from pg_index where indrelid = 't'::regclass"));
  }

  /** It is cut short while it waits for a reader, or its unit is not resolved when it is done. */
  @Test
  void aPartitionThatIsDetachedHalfIsDetached() throws Exception {
    f.with(
        "create table p(id int primary key) partition by range (id)",
        "create table \"P 1\" partition of p for values from (0) to (9)",
        "create table p2 partition of p for values from (10) to (19)",
        "create table p3 partition of p for values from (20) to (29)");
    Connection reader = f.mirror();
    execute(reader, "select * from p");
    try (Connection m = f.pair.target();
        Statement s = m.createStatement()) {
      s.execute("set statement_timeout = 500");
      assertThrows(
          SQLException.class,
          () -> s.execute("alter table p detach partition \"P 1\" concurrently"));
    }
    reader.rollback();
    String parts =
        "select string_agg(inhrelid::regclass::text, ',') from pg_inherits where inhparent = 'p'::regclass";
    assertEquals("t", mirror("select bool_or(inhdetachpending) from pg_inherits"));
    f.pair.executeTarget("alter table p detach partition p2");
    for (String sql :
        List.of(
            "alter table p detach partition public.\"P 1\" concurrently;",
            "ALTER TABLE p DETACH PARTITION p2 CONCURRENTLY",
            "alter table only public.p detach partition p3 /* now */ concurrently")) {
      pending(
          "select pg_current_xact_id()",
          Outcome.COMMITTED,
          RowChange.statement(sql, "public", null, true));
    }
    drain();
    assertNull(mirror(parts));
  }

  /** However long somebody reads there, or the building takes. */
  @Test
  void nothingWaitsForAnIndexThatIsBuiltButTheStatementsAfterIt() throws Exception {
    f.with("create table t(id int primary key, v int)", "create table other(id int primary key)");
    Connection reader = f.mirror();
    execute(reader, "set transaction isolation level repeatable read");
    execute(reader, "select * from other");
    RowChange index =
        RowChange.statement("create index concurrently t_v on t(v)", "public", null, true);
    String building =
        "select count(*) from pg_stat_activity where query like 'create index concurrently t_v%' and state = 'active'";
    Intent unit = pending("select pg_current_xact_id()", Outcome.COMMITTED, index);
    Intent drop;
    long start;
    try (Replayer r = new Replayer(f.journal, () -> f.engine, hasty(2))) {
      r.start();
      Fixture.await("it is built", () -> mirror(building).equals("1"));
      pending(
          "insert into other values (1)",
          Outcome.COMMITTED,
          upsert("other", List.of("id"), row("1")));
      Fixture.await("the row is there", () -> f.equal("other"));
      String now = mirror("select now()");
      Fixture.await(
          "a heartbeat",
          () -> mirror("select heartbeat > '" + now + "' from dualwrite.writer").equals("t"));
      drop = statement("drop index if exists t_w");
      start = System.nanoTime();
      assertFalse(r.drain(Duration.ofSeconds(1)));
    } // takes the statement back
    assertTrue(System.nanoTime() - start < TimeUnit.SECONDS.toNanos(5));
    assertEquals("0", mirror(building));
    assertEquals(
        List.of(unit.sequence(), drop.sequence()),
        f.journal.pending(-1, 9).stream().map(p -> p.intent().sequence()).toList());
    try (Replayer r = f.replayer()) {
      assertFalse(r.drain(Duration.ofMillis(300)));
      assertEquals("1", mirror(building));
      reader.rollback();
      assertTrue(r.drain(Duration.ofSeconds(30)), () -> "not drained: " + r.stats());
    }
    assertEquals("t", mirror("select indisvalid from pg_index where indexrelid = 't_v'::regclass"));
  }

  /** A table's first rule changes the table's own row in the catalog, the second does not. */
  @Test
  void aReplayedRuleRestsOnTheMirror() throws Exception {
    f.with("create table t(id int primary key)", "create table log(a int)");
    for (String rule : List.of("r1", "r2")) {
      String sql = "create rule " + rule + " as on insert to t do also insert into log values (1)";
      pending(sql, Outcome.COMMITTED, RowChange.statement(sql, "public", null, false));
      drain();
    }
    assertEquals(
        "r1 D, r2 D",
        mirror(
            "select string_agg(rulename || ' ' || ev_enabled::text, ', ' order by rulename) from pg_rewrite"
                + " where ev_class = 't'::regclass"));
    try (Connection m = f.pair.target()) {
      assertEquals(2, Triggers.enableAll(m));
    }
  }

  /** What is noted of them goes along with them, to be switched on again as the primary has it. */
  @Test
  void whatRestsOnTheMirrorMayBeRenamedAndSwitched() throws Exception {
    f.with(
        "create table t(id int primary key)",
        "create table u(id int primary key)",
        "create schema s",
        "create table s.v(id int primary key)");
    String states =
        "select string_agg(concat_ws(' ', x.t, x.n, x.e), ', ' order by x.t::text, x.n) from (select tgrelid::regclass, tgname, tgenabled from pg_trigger"
            + " where not tgisinternal union all select ev_class::regclass, rulename, ev_enabled from pg_rewrite where rulename <> '_RETURN'"
            + " and ev_class::regclass::text in ('t', 'u', 'z.v')) x(t, n, e)";
    for (String sql :
        List.of(
            "create function f() returns trigger language plpgsql as 'begin return new; end'",
            "create trigger a before insert on t for each row execute function f();"
                + " alter table t enable always trigger a;"
                + " create trigger a before insert on u for each row execute function f();"
                + " create trigger b before insert on s.v for each row execute function f();"
                + " create rule r as on delete to u do also notify x",
            "alter table t rename to old; alter table u rename to t; alter table old rename to u",
            "do $$ begin alter schema s rename to z; alter trigger b on z.v rename to c; end $$",
            "alter rule r on t rename to q",
            "create trigger b before insert on z.v for each row execute function f()",
            "alter table z.v disable trigger c",
            "create trigger d before insert on z.v for each row execute function f()",
            "alter table z.v enable replica trigger d, enable always trigger b")) {
      statement(sql);
    }
    drain();
    assertEquals("t a D, t q D, u a D, z.v b D, z.v c D, z.v d R", mirror(states));
    try (Connection m = f.pair.target()) {
      assertEquals(4, Triggers.enableAll(m));
    }
    assertEquals("t a O, t q O, u a A, z.v b A, z.v c D, z.v d R", mirror(states));
  }

  private Intent statement(String sql) throws SQLException {
    return pending(sql, Outcome.COMMITTED, RowChange.statement(sql, "public", null, false));
  }

  private static ReplayerOptions hasty(int attempts) {
    return new ReplayerOptions(500, attempts, Duration.ofNanos(1), Duration.ofMillis(200));
  }

  /** However long somebody reads the table there. */
  @Test
  void whatComesAfterAStatementThatIsPendingWaitsForIt() throws Exception {
    f.with(
        "create table t(id int primary key, v text)",
        "create table other(id int primary key, v text)",
        "create table k(a int)",
        "insert into t values (1,'a')");
    Intent before =
        pending(
            "update t set v = 'b'; insert into k values (1)",
            Outcome.COMMITTED,
            upsert("t", IV, row("1", "b")),
            insert("k", "1"));
    Intent add = statement("alter table t add column c int");
    pending("insert into k values (2)", Outcome.COMMITTED, insert("k", "2"));
    Intent drop = statement("alter table t drop column v");
    List<String> ic = List.of("id", "c");
    pending("insert into t values (2, 2)", Outcome.COMMITTED, upsert("t", ic, row("2", "2")));
    pending("insert into other values (1)", Outcome.COMMITTED, upsert("other", IV, row("1", null)));
    Connection m = f.mirror();
    execute(m, "lock table t in access share mode");
    try (Replayer r = new Replayer(f.journal, () -> f.engine, hasty(2))) {
      for (int i = 0; i < 5; i++) {
        r.replayOnce(100);
        assertEquals(add.sequence(), r.stats().waitingForStatements());
      }
      assertEquals(List.of(), f.journal.parked());
      assertEquals("0", mirror("select count(*) from other"));
      assertEquals("1", mirror("select string_agg(a::text, ',') from k"));
      f.journal.suspect(new Suspect(table("other"), "for a test", 0, "", 1));
      assertEquals(0, new Reconcile(f.engine, f.journal).run());
      assertTrue(f.journal.barriers().contains(drop.sequence()));
      assertEquals(before.sequence(), f.journal.pending(-1, 1).get(0).intent().sequence());
      m.rollback();
      assertTrue(r.drain(Duration.ofSeconds(30)), () -> "not drained: " + r.stats());
      assertEquals(0, r.stats().waitingForStatements());
    }
    assertEquals(1, new Reconcile(f.engine, f.journal).run());
    assertEquals(List.of(), f.journal.suspects());
    f.assertEqual("t", "other", "k");
  }

  /** Nobody can tell what it does to rows that came here before it: they are compared. */
  /** Not each row is tried by itself, for each of the statements. */
  @Test
  void rowsBeforeAColumnIsAddedAreLeftOutTogether() throws Exception {
    f.with(
        "create table t(id int primary key, v text)",
        "create table c(id int primary key, t int references t)",
        "create table other(id int primary key, v text)");
    Connection p = f.primary();
    for (int i = 0; i < 100; i++) {
      String id = Integer.toString(i);
      for (RowChange c :
          List.of(
              upsert("t", IV, row(id, null)),
              upsert("c", List.of("id", "t"), row(id, id)),
              upsert("other", IV, row(id, null)))) {
        execute(p, "insert into " + c.table().sql() + " values (" + i + ", null)");
        execute(p, "update c set t = id where t is null");
        Intent unit = f.intent(p, c);
        p.commit();
        f.journal.release(unit.sequence(), Outcome.COMMITTED);
      }
    }
    for (String column : List.of("a", "b", "c")) {
      statement("alter table t add column " + column + " int default 1");
    }
    AtomicInteger opened = new AtomicInteger();
    try (HikariDataSource mirror =
        Fixture.pool(
            f.pair.targetUrl(), f.pair.targetServer().user(), f.pair.targetServer().password())) {
      DataSource counted =
          (DataSource)
              java.lang.reflect.Proxy.newProxyInstance(
                  getClass().getClassLoader(),
                  new Class<?>[] {DataSource.class},
                  (proxy, method, args) -> {
                    opened.incrementAndGet();
                    return method.invoke(mirror, args);
                  });
      Convergence engine =
          new Convergence(f.engine.primary(), counted, f.primaryCatalog, f.mirrorCatalog);
      try (Replayer r = new Replayer(f.journal, engine)) {
        assertTrue(r.drain(Duration.ofSeconds(60)), () -> "not drained: " + r.stats());
      }
    }
    f.assertEqual("t", "c", "other");
    assertEquals(List.of(), f.journal.parked());
    assertTrue(opened.get() < 150, () -> "transactions of the mirror: " + opened);
  }

  @Test
  void whatAParkedStatementChangesIsSuspect() throws Exception {
    f.with(
        "create table t(id int primary key, v text)",
        "create table s(id int primary key)",
        "create table same(id int primary key)",
        "insert into t values (1,'a')");
    f.pair.executeTarget("alter table t add column w int");
    Intent add = statement("alter table t add column w text; alter table s rename to moved");
    pending("update t set w = v", Outcome.COMMITTED, upsert("t", List.of("id"), row("1")));
    try (Replayer r = new Replayer(f.journal, () -> f.engine, hasty(1))) {
      assertFalse(r.drain(Duration.ofSeconds(30)));
      assertEquals(add.sequence(), f.journal.parked().get(0).sequence());
      f.pair.executeTarget("alter table t drop column w");
      f.journal.parked().forEach(x -> f.journal.unpark(x.sequence()));
      assertTrue(r.drain(Duration.ofSeconds(30)), () -> "not drained: " + r.stats());
    }
    assertEquals(
        Set.of(table("t"), table("moved")),
        f.journal.suspects().stream().map(Suspect::table).collect(Collectors.toSet()));
    assertEquals(2, new Reconcile(f.engine, f.journal).run());
    f.assertEqual("t", "moved", "same");
  }

  /** Which table had the name when they were written, nobody can tell: they are looked for. */
  @ParameterizedTest
  @CsvSource({
    "alter table k rename to o; alter table n rename to k, o",
    "alter table k set schema s; alter table n rename to k, s.k",
    "drop table n; create table s.k(a int); alter schema public rename to x; alter schema s rename to public; alter schema x rename to s, s.k"
  })
  void parkedRowsWithoutAKeyDoNotGoToAnotherTableOfTheName(String exchange, String formerly)
      throws Exception {
    f.with("create table k(a int)", "create table n(a int)", "create schema s");
    f.pair.executeTarget("alter table k add constraint odd check (a <> 1)");
    Intent parked = pending("insert into k values (1)", Outcome.COMMITTED, insert("k", "1"));
    try (Replayer r = new Replayer(f.journal, () -> f.engine, hasty(1))) {
      assertFalse(r.drain(Duration.ofSeconds(30)));
      assertEquals(parked.sequence(), f.journal.parked().get(0).sequence());
      statement(exchange);
      assertFalse(r.drain(Duration.ofSeconds(30)));
      f.pair.executeTarget(
          "do $$ declare t text; begin select conrelid::regclass into t from pg_constraint where conname = 'odd';"
              + " execute 'alter table ' || t || ' drop constraint odd'; end $$");
      f.journal.unpark(parked.sequence());
      assertTrue(r.drain(Duration.ofSeconds(30)), () -> "not drained: " + r.stats());
    }
    assertEquals("0", mirror("select count(*) from public.k"));
    new Reconcile(f.engine, f.journal).run();
    assertEquals(List.of(), f.journal.suspects());
    f.assertEqual("public.k", formerly);
  }

  /** What is read while a statement is on its way may be what it left. */
  @Test
  void aStatementThatComesWhileRowsAreBroughtBringsThemOnceMore() throws Exception {
    f.with(
        "create table t(id int primary key, a text, b text)", "insert into t values (1,'a','b')");
    pending(
        "update t set a = 'x'",
        Outcome.COMMITTED,
        upsert("t", List.of("id", "a", "b"), row("1", "x", "b")));
    Intent[] statement = new Intent[1];
    f.engine.hook =
        step -> {
          if (step == Step.FIRST_READ && statement[0] == null) {
            String sql =
                "alter table t rename a to c; alter table t rename b to a; alter table t rename c to b";
            Connection p = f.primary();
            execute(p, sql);
            statement[0] = f.intent(p, RowChange.statement(sql, "public", null, false));
            p.commit();
          }
        };
    try (Replayer r = f.replayer()) {
      r.replayOnce(100);
      assertEquals(1, f.journal.pendingCount());
      f.journal.release(statement[0].sequence(), Outcome.COMMITTED);
      assertTrue(r.drain(Duration.ofSeconds(30)), () -> "not drained: " + r.stats());
    }
    f.assertEqual("t");
  }

  /** A row that others need comes along; whether anybody asks for it again is not known. */
  @Test
  void rowsThatWereTakenAlongBeforeAStatementAreSuspect() throws Exception {
    f.with(
        "create table parent(id int primary key, v text)",
        "create table child(id int primary key, p int references parent)");
    f.pair.executeSource("insert into parent values (1, 'one')");
    pending(
        "insert into child values (1, 1)",
        Outcome.COMMITTED,
        upsert("child", List.of("id", "p"), row("1", "1")));
    statement("alter table parent add column w text");
    f.pair.executeSource("update parent set w = 'new' || v");
    statement("alter table parent drop column v");
    statement("alter table parent rename column w to v");
    drain();
    assertEquals(
        List.of(table("parent")), f.journal.suspects().stream().map(Suspect::table).toList());
    new Reconcile(f.engine, f.journal).run();
    f.assertEqual("parent", "child");
  }

  /**
   * The suspects of the transaction itself may have been closed before its statement is replayed.
   */
  @Test
  void whatAReplayedStatementWroteIsSuspect() throws Exception {
    f.with(
        "create table k(a int)",
        "create table t(id int primary key, v text)",
        "create table p(id int) partition by range (id)",
        "create table p1 partition of p for values from (0) to (100)",
        "create table quiet(a int)",
        "create function made() returns int language sql as 'create table if not exists n(a int);"
            + " insert into k values (1); insert into p values (1); select 1'");
    pending(
        "select made()",
        Outcome.COMMITTED,
        RowChange.statement("select made()", "public", null, false),
        RowChange.statement("alter table t alter v type int using v::int", "public", null, false));
    try (Replayer r = f.replayer()) {
      assertEquals(1, r.replayOnce(100).resolved());
    }
    assertEquals(
        Set.of(table("k"), table("p"), table("t")),
        f.journal.suspects().stream().map(Suspect::table).collect(Collectors.toSet()));
  }

  /** Others go by the names of the primary meanwhile, which mean something else on the mirror. */
  @Test
  void rowsThatOthersBringToANameThatMeansSomethingElseAreSuspect() throws Exception {
    f.with(
        "create table t(id int primary key, a text, b text)",
        "create table u(id int primary key)",
        "create table n(id int primary key)",
        "create table same(id int primary key)",
        "insert into u values (1)",
        "insert into n values (2)");
    f.pair.executeSource("insert into t values (1, 'a', 'b')");
    for (String sql :
        List.of(
            "alter table t rename a to c",
            "alter table t rename b to a",
            "alter table t rename c to b; create table made(id int)",
            "alter table u rename to o",
            "alter table n rename to u; alter table same add column v int")) {
      statement(sql);
    }
    // as copy and 'verify --repair' do
    f.engine.resync(
        Map.of(table("t"), List.of(List.of("1")), table("u"), List.of(List.of("1"), List.of("2"))));
    drain();
    assertEquals(
        Set.of(table("t"), table("u"), table("o")),
        f.journal.suspects().stream().map(Suspect::table).collect(Collectors.toSet()));
    assertEquals(3, new Reconcile(f.engine, f.journal).run());
    f.assertEqual("t", "u", "o", "same");
  }

  /** A range that went, replayed over what has come there since: no other one is looked at. */
  @Test
  void aRangeThatWentIsSuspectOnlyIfThePrimaryHasRowsOfIt() throws Exception {
    f.with(
        "create table k(a int)",
        "insert into k values (20)",
        "create table l(a int)",
        "insert into l values (3), (20)", // by another writer, whose units are not pending
        "create table m(a int)");
    f.pair.executeTarget("insert into k values (1), (2); insert into l values (1), (2)");
    pending(
        "select 1",
        Outcome.COMMITTED,
        insert("m", "1"),
        RowChange.range("delete from public.m where a < 10", table("m"), "a < 10"),
        RowChange.range("delete from public.k where a < 10", table("k"), "a < 10"),
        RowChange.range("delete from public.l where a < 10", table("l"), "a < 10"),
        RowChange.range("select 1", table("dropped_since"), "a < 10"));
    try (Replayer r = f.replayer()) {
      assertEquals(1, r.replayOnce(100).resolved());
    }
    assertEquals( // rows that went with a range of their own transaction, too
        Set.of(table("l"), table("m")),
        f.journal.suspects().stream().map(Suspect::table).collect(Collectors.toSet()));
    try (Connection c = f.pair.target();
        Statement s = c.createStatement()) {
      assertTrue(isTrue(s, "select array_agg(a) = '{20}' from k"));
      assertTrue(isTrue(s, "select count(*) = 0 from m"));
    }
  }

  /** While the statement runs somebody else gives another table new files. */
  @Test
  void whatAnotherOneTruncatesMeanwhileIsNotTheStatements() throws Exception {
    f.with("create table t(id int primary key, v text)");
    String sql = "do $$ begin perform pg_advisory_lock(4711); end $$";
    pending("select 1", Outcome.COMMITTED, RowChange.statement(sql, "public", null, false));
    try (Replayer r = f.replayer();
        Connection other = f.pair.target();
        Statement s = other.createStatement()) {
      s.execute("select pg_advisory_lock(4711)");
      ExecutorService thread = Executors.newSingleThreadExecutor();
      try {
        Future<Integer> resolved = thread.submit(() -> r.replayOnce(100).resolved());
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (!isTrue(
            s, "select count(*) = 1 from pg_locks where locktype = 'advisory' and not granted")) {
          assertTrue(System.nanoTime() - end < 0, "the statement does not wait");
        }
        s.execute("truncate t");
        s.execute("select pg_advisory_unlock(4711)");
        assertEquals(1, resolved.get(30, TimeUnit.SECONDS));
      } finally {
        thread.shutdownNow();
      }
    }
    assertEquals(List.of(), f.journal.suspects());
  }

  private static boolean isTrue(Statement s, String query) throws SQLException {
    try (ResultSet r = s.executeQuery(query)) {
      r.next();
      return r.getBoolean(1);
    }
  }

  @Test
  void snapshotsAreReadAsTheServerReadsThem() throws Exception {
    Random random = new Random(7);
    try (Connection c = f.pair.source()) {
      for (String text :
          List.of("10:10:", "10:20:10,14,19", "3:5:4", "4294967300:4294967303:4294967301")) {
        PrimarySnapshot s = new PrimarySnapshot(text, "1/1/");
        for (int i = 0; i < 30; i++) {
          long xid = (text.startsWith("4") ? 4294967290L : 1) + random.nextInt(24);
          assertEquals(
              value(c, "select pg_visible_in_snapshot('" + xid + "', '" + text + "')"),
              s.sees(xid, "1/1/") ? "t" : "f",
              xid + " in " + text);
        }
      }
    }
    PrimarySnapshot s = new PrimarySnapshot("10:10:", "100.5/00000001/200.5");
    assertTrue(s.sees(99, "100.5/00000001/100.5"), "an earlier incarnation is over");
    assertFalse(s.sees(1, "100.5/00000001/300.5"), "a later one had not begun");
  }

  /** A unit was lost in a crash of the primary, and its xid is another's now, who committed. */
  private void crashed() throws Exception {
    f.with("create table k(a int)", "create table t(id int primary key, v text)");
    Connection p = f.primary();
    execute(p, "create table other()");
    Intent other = f.intent(p);
    f.journal.resolved(other.sequence());
    p.commit();
    Intent lost =
        new Intent(
            f.journal.nextSequence(),
            0,
            0,
            "1.0/1/1.0",
            other.xid(),
            other.pid(),
            List.of(insert("k", "1"), upsert("t", IV, row("1", "x"))));
    f.journal.append(lost);
    f.journal.release(lost.sequence(), Outcome.UNKNOWN);
    drain();
  }

  @Test
  void aDoubtAcrossACrashIsASuspect() throws Exception {
    crashed();
    f.assertEqual("k", "t");
    assertEquals(List.of(table("k")), f.journal.suspects().stream().map(Suspect::table).toList());
  }

  @Test
  void withoutIncarnationAnothersOutcomeIsTaken() throws Exception {
    Rules.off(Rule.INCARNATION);
    crashed();
    assertFalse(f.equal("k"), "the switch has no effect");
  }

  /** The name of the server before the timeline was read from the log being written. */
  @Test
  void aTransactionThatRunsUnderTheServersFormerNameIsWaitedFor() throws Exception {
    f.with("create table k(a int)", "create table t(id int primary key, v text)");
    Connection p = f.primary();
    execute(p, "insert into t values (1, 'x'); insert into k values (1)");
    String name = Incarnation.of(p);
    Intent i =
        new Intent(
            f.journal.nextSequence(),
            0,
            0,
            name.replace("/00000001/", "/1/"),
            Long.parseLong(value(p, "select pg_current_xact_id()")),
            Integer.parseInt(value(p, "select pg_backend_pid()")),
            List.of(upsert("t", IV, row("1", "x")), insert("k", "1")));
    assertFalse(name.equals(i.incarnation()), name);
    f.journal.append(i);
    f.journal.release(i.sequence(), Outcome.UNKNOWN);
    try (Replayer r = f.replayer()) {
      assertEquals(new ReplayResult(0, 0, 0, 0, 1), r.replayOnce(10));
    }
    p.commit();
    drain();
    assertEquals(List.of(), f.journal.suspects());
    f.assertEqual("t", "k");
  }

  @Test
  void anXidOfAnotherHistoryIsADoubt() throws Exception {
    f.with("create table k(a int)", "create table t(id int primary key, v text)");
    Connection p = f.primary();
    execute(p, "insert into t values (1, 'x')");
    Intent real = f.intent(p, upsert("t", IV, row("1", "x")));
    Intent future =
        new Intent(
            f.journal.nextSequence(),
            0,
            0,
            real.incarnation(),
            real.xid() + 1_000_000,
            real.pid(),
            List.of(insert("k", "1")));
    f.journal.append(future);
    f.journal.release(future.sequence(), Outcome.UNKNOWN);
    p.commit();
    f.journal.release(real.sequence(), Outcome.UNKNOWN);
    drain();
    f.assertEqual("k", "t");
    assertEquals(List.of(table("k")), f.journal.suspects().stream().map(Suspect::table).toList());
  }

  @Test
  void keylessRowsWhoseParentsAreGoneAreSuspect() throws Exception {
    f.with("create table p(id int primary key)", "create table k(a int references p)");
    pending(
        "insert into p values (1); insert into k values (1)",
        Outcome.COMMITTED,
        upsert("p", List.of("id"), row("1")),
        insert("k", "1"));
    onPrimary("delete from k; delete from p");
    drain();
    assertEquals(List.of(), f.journal.parked());
    assertEquals(List.of(table("k")), f.journal.suspects().stream().map(Suspect::table).toList());
  }

  /** A unit that is pending while a row of {@code c} is old on the mirror. */
  private void behindASuspect(String suspect, String sql, RowChange... unit) throws Exception {
    onPrimary("update c set ref = 8, u = null"); // did not reach the mirror
    f.journal.suspect(
        new Suspect(suspect.equals("*") ? RowChange.NO_TABLE : table(suspect), "test", 1, "", 0));
    pending(sql, Outcome.COMMITTED, unit);
    ReplayerOptions often = new ReplayerOptions(500, 3, Duration.ofMillis(1), Duration.ofMillis(5));
    try (Replayer r = new Replayer(f.journal, () -> f.engine, often)) {
      r.start();
      int before = f.journal.rounds.get();
      Fixture.await(
          "many tries",
          () -> f.journal.rounds.get() > before + 50 || f.journal.pendingCount() == 0);
      if (suspect.equals("other")) {
        assertEquals(1, f.journal.parked().size());
        return;
      }
      assertEquals(List.of(), f.journal.parked());
      assertEquals(1, f.journal.pendingCount());
      assertEquals(1, new Reconcile(f.engine, f.journal).run());
      Fixture.await("replayed", () -> f.journal.pendingCount() == 0);
    }
    assertEquals(List.of(), f.journal.parked());
    f.assertEqual("p", "c", "d");
  }

  /** The old row is made new as a whole, by whoever closes the suspect. */
  @ParameterizedTest
  @CsvSource({
    "set default, c", // the column then is null, which it may not be
    "no action, c",
    "no action, *",
    "no action, other"
  })
  void anOldRowOfASuspectTableParksNoOtherTables(String action, String suspect) throws Exception {
    f.with(
        "create table p(id int primary key)",
        "create table c(a int, ref int not null references p on delete " + action + ", u int)",
        "create table d(id int primary key references p on delete cascade)",
        "create table other(a int)",
        "insert into p values (7), (8)",
        "insert into d values (7)",
        "insert into c values (1, 7, 1)");
    behindASuspect(suspect, "delete from p where id = 7", delete("p", "id", "7"));
  }

  @Test
  void anOldRowOfASuspectTableParksNoneOfItsOwn() throws Exception {
    f.with(
        "create table p(id int primary key)",
        "create table c(a int, ref int references p, u int unique)",
        "create table d(id int primary key)",
        "insert into p values (7), (8)",
        "insert into c values (1, 7, 2)");
    behindASuspect(
        "c",
        "insert into c values (2, 8, 2)",
        change(Kind.INSERT, "c", List.of("a", "ref", "u"), List.of(), row("2", "8", "2")));
  }

  /** No suspect is closed before statements have run; these do not wait for it in their turn. */
  @Test
  void anOldRowOfASuspectTableKeepsNoStatementsWaiting() throws Exception {
    f.with("create table c(a int, u int unique)", "insert into c values (1, 2)");
    onPrimary("update c set u = null"); // did not reach the mirror
    f.journal.suspect(new Suspect(table("c"), "test", 1, "", 0));
    Intent row =
        pending(
            "insert into c values (2, 2)",
            Outcome.COMMITTED,
            change(Kind.INSERT, "c", List.of("a", "u"), List.of(), row("2", "2")));
    statement("create table late(id int primary key)");
    ReplayerOptions often = new ReplayerOptions(500, 3, Duration.ofMillis(1), Duration.ofMillis(5));
    try (Replayer r = new Replayer(f.journal, () -> f.engine, often)) {
      r.start();
      Fixture.await("the statement has run", () -> f.journal.pendingCount() == 0);
      assertEquals(1, f.journal.parked().size());
      assertEquals(1, new Reconcile(f.engine, f.journal).run());
      f.journal.unpark(row.sequence());
      Fixture.await("replayed", () -> f.journal.pendingCount() == 0);
    }
    assertEquals(List.of(), f.journal.parked());
    f.assertEqual("c", "late");
  }

  /** The parent's own rows are copied, and its children's are left to them. */
  @Test
  void aTableWithChildrenIsMadeEqual() throws Exception {
    f.with(
        "create table k(a int, b text)",
        "create table kid(c int) inherits (k)",
        "insert into k values (1, 'x'), (2, 'x')",
        "insert into kid values (1, 'x', 3)");
    onPrimary("update only k set b = 'y' where a = 1");
    f.pair.executeTarget("insert into kid values (9, 'this side alone', 9)");
    f.journal.suspect(new Suspect(table("k"), "test", 1, "", 0));
    assertEquals(1, new Reconcile(f.engine, f.journal).run());
    f.assertEqual("only k");
    f.journal.suspect(new Suspect(table("kid"), "test", 1, "", 0));
    assertEquals(1, new Reconcile(f.engine, f.journal).run());
    f.assertEqual("kid", "k");
  }

  /** As is a unit that was parked, and is tried again by hand. */
  @Test
  void keylessRowsDoNotGoToALaterTableOfTheSameName() throws Exception {
    f.with("create table k(a int)");
    pending("insert into k values (1)", Outcome.COMMITTED, insert("k", "1"));
    f.with("drop table k; create table k(a int); insert into k values (2)");
    pending("insert into k values (3)", Outcome.COMMITTED, insert("k", "3"));
    drain();
    f.assertEqual("k");
    assertEquals(List.of(table("k")), f.journal.suspects().stream().map(Suspect::table).toList());
    assertEquals(1, new Reconcile(f.engine, f.journal).run());
    f.assertEqual("k");
  }

  @Test
  void rowsOfATableThatIsGoneParkNothing() throws Exception {
    f.with("create table k(a int)", "create table t(id int primary key, v text)");
    pending(
        "insert into k values (1); insert into t values (1, 'x')",
        Outcome.COMMITTED,
        insert("k", "1"),
        upsert("t", IV, row("1", "x")));
    onPrimary("drop table t");
    drain();
    assertEquals(List.of(), f.journal.parked());
    assertEquals(
        List.of(RowChange.NO_TABLE), f.journal.suspects().stream().map(Suspect::table).toList());
    f.assertEqual("k");
  }

  /** One that has the name now may be another one, and the rows be where no name leads to. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "alter table t drop constraint p, add primary key (id, v) | public.t",
        "alter table t drop constraint p | public.t",
        "alter table t rename id to n | public.t",
        "alter table t rename to former; create table t(n int primary key) | *.*",
        "alter table t rename to former; alter table other rename to t | *.*"
      })
  void rowsThatWereWrittenUnderAnotherKeyParkNothing(String change, String suspect)
      throws Exception {
    f.with(
        "create table other(n int primary key)",
        "create table t(id int not null, v text, constraint p primary key (id))",
        "insert into t values (1, 'a'), (2, 'b'), (3, 'c')");
    pending("insert into t values (4, 'd')", Outcome.COMMITTED, upsert("t", IV, row("4", "d")));
    pending("delete from t where id = 2", Outcome.COMMITTED, delete("t", "id", "2"));
    pending(
        "update t set id = 5 where id = 3",
        Outcome.COMMITTED,
        change(Kind.REKEY, "t", List.of("id", "id", "v"), List.of("id"), row("3", "5", "c")));
    try (Connection p = f.pair.source()) {
      f.primaryCatalog.table(p, table("t")); // as it was before another process changed it
    }
    f.with(change);
    drain();
    assertEquals(List.of(), f.journal.parked());
    assertEquals(
        List.of(suspect), f.journal.suspects().stream().map(s -> s.table().toString()).toList());
    assertEquals(1, new Reconcile(f.engine, f.journal).run());
    f.assertEqual(suspect.equals("*.*") ? "former" : "t", "t");
  }

  @Test
  void aDoubtThatTheMarkerAnswersIsNone() throws Exception {
    f.with("create table k(a int)");
    Connection p = f.primary();
    Connection m = f.mirror();
    execute(p, "insert into k values (1)");
    Intent real = f.intent(p, insert("k", "1"));
    Intent i =
        new Intent(real.sequence(), 0, 0, "1.0/1/1.0", real.xid(), real.pid(), real.changes());
    f.journal.append(i);
    f.flush(m, new Marker(f.journal.writer(), i.sequence()), insert("k", "1"));
    p.commit();
    m.commit();
    f.journal.release(i.sequence(), Outcome.UNKNOWN);
    drain();
    assertEquals(List.of(), f.journal.suspects());
    f.assertEqual("k");
  }

  // ----------------------------------------------------------------------------------------------
  // everything at once

  /**
   * Writers, half of whose flushes fail, a replayer and recopies, on tables with keys and without.
   */
  @Test
  void writersReplayerAndRecopies() throws Exception {
    long seed = System.nanoTime();
    System.out.println("seed " + seed);
    Random seeds = new Random(seed);
    f.with(
        "create table par(id int primary key, v text)",
        "create table chi(id int primary key, v text, p int references par on delete cascade)",
        "create table k(a int) partition by range (a)",
        "create table k0 partition of k for values from (0) to (50)",
        "create table k1 partition of k for values from (50) to (100)");
    try (Replayer r = f.replayer()) {
      r.start();
      List<Future<?>> all = new ArrayList<>();
      for (int w = 0; w < 3; w++) {
        Random random = new Random(seeds.nextLong());
        Connection p = f.primary();
        Connection m = f.mirror();
        all.add(
            f.start(
                () -> {
                  for (int i = 0; i < 60; i++) {
                    transaction(p, m, random);
                    r.wake();
                  }
                }));
      }
      all.add(
          f.start(
              () -> {
                for (int i = 0; i < 10; i++) {
                  f.engine.recopy(
                      table(i % 2 == 0 ? "k" : "k0"), i % 3 == 0 ? "a % 2 = 0" : "true");
                }
              }));
      for (Future<?> a : all) {
        a.get(90, TimeUnit.SECONDS);
      }
      assertTrue(r.drain(Duration.ofSeconds(60)), () -> r.stats() + " " + f.journal.parked());
    }
    f.assertEqual("par", "chi", "k");
  }

  private void transaction(Connection p, Connection m, Random random) throws SQLException {
    List<RowChange> changes = new ArrayList<>();
    int id = random.nextInt(6);
    int parent = random.nextInt(4);
    try {
      switch (random.nextInt(5)) {
        case 0 -> {
          execute(
              p,
              "insert into par values ("
                  + parent
                  + ",'"
                  + random.nextInt()
                  + "') on conflict (id) do update set v = excluded.v");
          changes.add(
              upsert(
                  "par", IV, row("" + parent, value(p, "select v from par where id = " + parent))));
        }
        case 1 -> {
          if (execute(p, "delete from par where id = " + parent) > 0) {
            changes.add(delete("par", "id", "" + parent));
          }
        }
        case 2 -> {
          if (execute(p, "delete from chi where id = " + id) > 0) {
            changes.add(delete("chi", "id", "" + id));
          }
        }
        case 3 -> {
          String v = "" + random.nextInt();
          execute(
              p,
              "insert into chi values ("
                  + id
                  + ",'"
                  + v
                  + "',"
                  + parent
                  + ") on conflict (id) do update set v = excluded.v, p = excluded.p");
          changes.add(upsert("chi", List.of("id", "v", "p"), row("" + id, v, "" + parent)));
        }
        default -> {
          int a = random.nextInt(100);
          execute(p, "insert into k values (" + a + ")");
          changes.add(insert("k", "" + a));
        }
      }
    } catch (SQLException e) {
      p.rollback(); // no such parent, or a deadlock of the test's own writers
      return;
    }
    if (changes.isEmpty()) {
      p.rollback();
      return;
    }
    Intent i = f.intent(p, changes.toArray(RowChange[]::new));
    boolean flushed = false;
    if (random.nextBoolean()) {
      try {
        f.writer.apply(
            m,
            changes,
            i.keyless() ? new Marker(f.journal.writer(), i.sequence()) : null,
            new ApplyLimits(Duration.ofMillis(200), Duration.ofSeconds(5), Duration.ZERO));
        flushed = true;
      } catch (SQLException | CountMismatchException e) {
        m.rollback();
      }
    }
    if (random.nextInt(8) == 0) {
      m.rollback();
      p.rollback();
      f.journal.release(i.sequence(), Outcome.UNKNOWN);
      return;
    }
    p.commit();
    if (flushed) {
      m.commit();
      f.journal.resolved(i.sequence());
    } else {
      f.journal.release(i.sequence(), Outcome.COMMITTED);
    }
  }

  /**
   * As of a table that was made, filled and given its key in one transaction; others refer to it.
   */
  @Test
  void rowsFromBeforeTheirTableHadAKeyAreReplayedByIt() throws Exception {
    f.with(
        "create table person(name text primary key)",
        "create table customer(id int primary key, name text references person)");
    f.pair.executeSource(
        "insert into person values ('Ada'); insert into customer values (1, 'Ada')");
    try (Connection p = f.pair.source()) {
      p.setAutoCommit(false);
      Intent i =
          f.intent(
              p,
              Fixture.change(
                  RowChange.Kind.INSERT, "person", List.of("name"), List.of(), row("Ada")),
              Fixture.upsert("customer", List.of("id", "name"), row("1", "Ada")));
      f.journal.release(i.sequence(), Outcome.COMMITTED);
      p.commit();
    }
    try (Replayer r = new Replayer(f.journal, f.engine)) {
      assertTrue(r.drain(Duration.ofSeconds(30)), () -> f.journal.parked().toString());
    }
    f.assertEqual("person", "customer");
  }
}
