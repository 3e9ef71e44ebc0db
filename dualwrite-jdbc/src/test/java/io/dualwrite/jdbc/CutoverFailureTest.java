package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.catalog.Catalog;
import io.dualwrite.config.Setting;
import io.dualwrite.control.Direction;
import io.dualwrite.control.Phase;
import io.dualwrite.control.RolesHold;
import io.dualwrite.control.Side;
import io.dualwrite.converge.Convergence;
import io.dualwrite.converge.Replayer;
import io.dualwrite.embedded.TcpProxy;
import io.dualwrite.journal.JournalException;
import io.dualwrite.journal.JournalReader;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import javax.sql.DataSource;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.postgresql.ds.PGSimpleDataSource;

/** A change of roles that fails half way, and what each side is like afterwards. */
class CutoverFailureTest {

  private static final String WATCHED =
      "create table watched(id int primary key, v int); create table other(id int primary key);"
          + " create function stamp() returns trigger language plpgsql as 'begin new.v := 1; return new; end';"
          + " create trigger stamp before insert on watched for each row execute function stamp()";

  @Test
  void triggersStayOnIfTheTargetDiesWhileItsOwnAreSwitched() throws Exception {
    try (Fixture f = Fixture.own(WATCHED).ready()) {
      Future<CutoverReport> cutover;
      ExecutorService thread = Executors.newSingleThreadExecutor();
      try (Connection t = f.pair.target();
          Statement s = t.createStatement()) {
        t.setAutoCommit(false);
        s.execute("lock table watched in share update exclusive mode"); // as VACUUM does
        cutover = thread.submit(() -> f.ds.cutover(Duration.ofSeconds(60)));
        Fixture.await("the cutover waits for the lock", () -> waits(t, "watched"));
        f.pair.targetServer().kill();
      }
      assertThrows(ExecutionException.class, () -> cutover.get(60, TimeUnit.SECONDS));
      thread.shutdown();
      assertEquals(Side.SOURCE, f.ds.status().roles().primary());
      f.execute("insert into watched values (1)");
      assertEquals("O", enabled(f.pair.source()));
      assertEquals("1", onSource(f, "select v from watched"));
      f.pair.targetServer().restart();
      f.assertEqual();
    }
  }

  @Test
  void triggersOfThePrimaryAreOnBeforeTheFirstWriteAndWithoutTheMirror() throws SQLException {
    try (Fixture f = Fixture.own(WATCHED).ready()) {
      f.ds.close();
      f.pair.executeSource(
          "create schema dualwrite;"
              + " create table dualwrite.disabled_trigger(table_schema text, table_name text, trigger_name text, enabled \"char\", primary key (table_schema, table_name, trigger_name));"
              + " insert into dualwrite.disabled_trigger values ('public', 'watched', 'stamp', 'O');"
              + " alter table watched disable trigger stamp");
      f.pair.targetServer().stop();
      f.open(b -> {});
      f.execute("insert into watched values (1)");
      assertEquals("1", onSource(f, "select v from watched"));
    }
  }

  @Test
  void anotherProcessThatComesLateTouchesNothing() throws Exception {
    try (Fixture f = Fixture.shared(WATCHED).ready()) {
      Path second = Files.createTempDirectory("dualwrite-journal");
      try (DualWriteDataSource late = second(f, second, f.pair.targetUrl())) {
        Fixture.await("catalogs compared", () -> late.writer().ready());
        f.ds.close();
        // what the cutover of a third one did
        f.pair.executeSource("alter table watched disable trigger stamp");
        f.pair.executeTarget(
            "alter table watched enable trigger stamp; delete from dualwrite.disabled_trigger;"
                + " update dualwrite.control set epoch = 1");
        SQLException e =
            assertThrows(SQLException.class, () -> late.cutover(Duration.ofSeconds(10)));
        assertTrue(e.getMessage().contains("another process"), e.getMessage());
        assertEquals("D", enabled(f.pair.source()));
        assertEquals("O", enabled(f.pair.target()));
        Fixture.await("it stops writing", () -> refused(late, "another process"));
      }
    }
  }

  private static boolean refused(DualWriteDataSource ds, String why) {
    try (Connection c = ds.getConnection();
        Statement s = c.createStatement()) {
      s.execute("insert into other select coalesce(max(id), 0) + 1 from other");
      return false;
    } catch (SQLException e) {
      return e.getMessage().contains(why);
    }
  }

  @Test
  void theDeadlineHoldsWhileAVacuumHasTheTable() throws Exception {
    try (Fixture f = Fixture.shared(WATCHED).ready()) {
      ExecutorService thread = Executors.newSingleThreadExecutor();
      for (Connection side : new Connection[] {f.pair.source(), f.pair.target()}) {
        try (side;
            Statement s = side.createStatement()) {
          side.setAutoCommit(false);
          s.execute("lock table watched in share update exclusive mode");
          Future<CutoverReport> cutover = thread.submit(() -> f.ds.cutover(Duration.ofSeconds(2)));
          ExecutionException e =
              assertThrows(ExecutionException.class, () -> cutover.get(60, TimeUnit.SECONDS));
          assertTrue(e.getMessage().contains("within 2000 ms"), e.getMessage());
          f.execute("insert into other select count(*) from other");
        }
      }
      thread.shutdown();
      assertEquals("O", enabled(f.pair.source()));
      assertEquals("D", enabled(f.pair.target()));
      assertEquals("f", onSource(f, "select paused from dualwrite.control"));
      assertEquals(Side.TARGET, f.ds.cutover(Duration.ofSeconds(20)).roles().primary());
      f.assertEqual();
    }
  }

  @Test
  void rolesThatCannotBeRecordedAreNotExchanged() throws Exception {
    try (Fixture f = Fixture.shared(WATCHED).ready()) {
      Path inTheWay = Files.createDirectory(f.journal.resolve("roles.properties.new"));
      SQLException e = assertThrows(SQLException.class, () -> f.ds.cutover(Duration.ofSeconds(10)));
      assertTrue(e.getMessage().contains("could not be written"), e.getMessage());
      assertEquals(Side.SOURCE, f.ds.status().roles().primary());
      assertEquals("0", onTarget(f, "select epoch from dualwrite.control"));
      f.execute("insert into watched values (1)");
      f.assertEqual();
      Files.delete(inTheWay);
      assertEquals(Side.TARGET, f.ds.cutover(Duration.ofSeconds(10)).roles().primary());
    }
  }

  @Test
  void anExchangeWhoseCommitWasNotAnsweredHolds() throws Exception {
    try (Fixture f = Fixture.shared(WATCHED)) {
      AtomicBoolean lost = new AtomicBoolean();
      PGSimpleDataSource target = new PGSimpleDataSource();
      target.setUrl(f.pair.targetUrl());
      target.setUser("postgres");
      target.setPassword("postgres");
      List<String> told = new ArrayList<>();
      f.open(
              b ->
                  b.target(
                      losing(
                          target,
                          lost,
                          c -> {
                            told.add(onSource(f, "select paused from dualwrite.control"));
                            c.commit();
                          })))
          .ready();
      f.execute("insert into watched values (1)");
      assertEquals(Side.TARGET, f.ds.cutover(Duration.ofSeconds(10)).roles().primary());
      assertTrue(lost.get());
      assertEquals(List.of("t"), told, "should it die now, the source knows that it does not know");
      assertEquals("1 false", onSource(f, "select epoch || ' ' || paused from dualwrite.control"));
      f.execute("insert into watched values (2)");
      assertEquals("2", onTarget(f, "select count(*) from watched"));
      f.open(b -> {}).ready();
      assertEquals(Side.TARGET, f.ds.status().roles().primary());
      f.assertEqual();
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void theSourceIsToldOfTheExchangeThoughItsOwnCommitFailed(boolean back) throws Exception {
    try (Fixture f = Fixture.shared(WATCHED).ready()) {
      if (back) {
        f.ds.cutover(Duration.ofSeconds(10));
      }
      AtomicBoolean lost = new AtomicBoolean();
      f.open(b -> b.source(losing((PGSimpleDataSource) data(f.pair.sourceUrl()), lost, c -> {})))
          .ready();
      exchange(f.ds, back);
      assertTrue(lost.get());
      f.execute("insert into other values (1)");
      f.assertEqual();
      Fixture.await(
          "the source knows",
          () ->
              onSource(f, "select epoch || ' ' || phase || ' ' || paused from dualwrite.control")
                  .equals(back ? "2 dual-write false" : "1 target-primary false"));
      assertEquals(back ? "O" : "D", enabled(f.pair.source()));
    }
  }

  /** Who starts without the target, and with another journal, must not write to the source. */
  @Test
  void aCutoverThatDiedBetweenTheCommitsIsInDoubtForTheSource() throws Exception {
    try (Fixture f = Fixture.shared(WATCHED).ready()) {
      f.ds.cutover(Duration.ofSeconds(10));
      f.ds.cutoverBack(Duration.ofSeconds(10));
      f.ds.close();
      f.pair.executeSource("update dualwrite.control set paused = true");
      Path journal = Files.createTempDirectory("dualwrite-journal");
      try (DualWriteDataSource ds = second(f, journal, "jdbc:postgresql://localhost:1/nowhere")) {
        SQLException e =
            assertThrows(SQLException.class, () -> execute(ds, "insert into other values (1)"));
        assertTrue(e.getMessage().contains("is not known"), e.getMessage());
      }
      try (DualWriteDataSource ds = second(f, journal, f.pair.targetUrl())) {
        execute(ds, "insert into other values (1)");
      }
      assertEquals("f", onSource(f, "select paused from dualwrite.control"));
    }
  }

  /** Connections that are lost at the commit of an exchange, once. */
  private static DataSource losing(DataSource of, AtomicBoolean lost, Losing before) {
    return (DataSource)
        Proxy.newProxyInstance(
            DataSource.class.getClassLoader(),
            new Class<?>[] {DataSource.class},
            (p, m, args) -> {
              Object result = call(of, m, args);
              return result instanceof Connection c ? losing(c, lost, before) : result;
            });
  }

  private interface Losing {
    void at(Connection c) throws SQLException;
  }

  private static Connection losing(Connection of, AtomicBoolean lost, Losing before) {
    AtomicBoolean exchanges = new AtomicBoolean();
    return (Connection)
        Proxy.newProxyInstance(
            Connection.class.getClassLoader(),
            new Class<?>[] {Connection.class},
            (p, m, args) -> {
              if (m.getName().equals("prepareStatement")
                  && ((String) args[0]).startsWith("update dualwrite.control")) {
                exchanges.set(true);
              }
              if (m.getName().equals("commit")
                  && exchanges.get()
                  && lost.compareAndSet(false, true)) {
                before.at(of);
                of.close();
                throw new SQLException("the connection was lost", "08006");
              }
              return call(of, m, args);
            });
  }

  private static Object call(Object of, Method m, Object[] args) throws Throwable {
    try {
      return m.invoke(of, args);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }

  @Test
  void unitsOfOtherRolesAreNeverReplayedTheWrongWayRound() throws Exception {
    try (Fixture f = Fixture.shared(WATCHED).ready()) {
      f.openTo("jdbc:postgresql://localhost:1/nowhere", b -> {});
      f.execute("insert into other values (777)");
      f.ds.close();
      f.pair.executeTarget("update dualwrite.control set epoch = 1"); // another one's cutover
      JournalException e = assertThrows(JournalException.class, () -> f.open(b -> {}));
      assertTrue(e.getMessage().contains("held 1 units of work pending"), e.getMessage());
      try (JournalReader reader = JournalReader.open(f.journal);
          Replayer replayer =
              new Replayer(
                  reader.journal(),
                  new Convergence(
                          data(f.pair.targetUrl()),
                          data(f.pair.sourceUrl()),
                          new Catalog(),
                          new Catalog())
                      .in(Direction.from(Side.TARGET)))) {
        assertFalse(replayer.drain(Duration.ofSeconds(30)));
        assertTrue(
            reader.journal().parked().get(0).error().contains("while the source was primary"));
      }
      assertEquals("777", onSource(f, "select id from other"));
      f.ds = null;
    }
  }

  private static DataSource data(String url) {
    PGSimpleDataSource d = new PGSimpleDataSource();
    d.setUrl(url);
    d.setUser("postgres");
    d.setPassword("postgres");
    return d;
  }

  /** However long it has been silent, and whatever it had pending when it was heard of last. */
  @Test
  void anotherWriterIsInTheWay() throws SQLException {
    try (Fixture f = Fixture.shared(WATCHED).ready()) {
      UUID attic = UUID.randomUUID();
      f.pair.executeTarget(
          "insert into dualwrite.writer(writer, host, pending, heartbeat) values ('"
              + attic
              + "', 'attic', 3, now() - interval '1 day')");
      assertRefused(f.ds, "attic has not said goodbye; it had 3 units");
      f.pair.executeTarget("update dualwrite.writer set pending = 0 where host = 'attic'");
      assertRefused(f.ds, "attic has not said goodbye; it had 0 units");
      f.pair.executeTarget("update dualwrite.writer set heartbeat = now() where host = 'attic'");
      assertRefused(f.ds, "attic is running");
      f.pair.executeTarget("update dualwrite.writer set goodbye = true where host = 'attic'");
      assertEquals(Side.TARGET, f.ds.cutover(Duration.ofSeconds(10)).roles().primary());
      f.ds.close();
      assertEquals("0", onSource(f, "select count(*) from dualwrite.writer where not goodbye"));
      assertEquals("0", onTarget(f, "select count(*) from dualwrite.writer where not goodbye"));
    }
  }

  @Test
  void whatAJournalHeldThatIsWrittenOffIsMadeEqual() throws SQLException {
    try (Fixture f = Fixture.shared(WATCHED)) {
      f.open(b -> b.set(Setting.RECONCILE, "manual")).ready();
      UUID attic = UUID.randomUUID();
      f.pair.executeSource("insert into other values (9)"); // as it did, and died
      assertThrows(SQLException.class, () -> f.ds.writeOff(attic), "nobody knows it");
      f.pair.executeTarget("insert into dualwrite.writer(writer) values ('" + attic + "')");
      assertThrows(SQLException.class, () -> f.ds.writeOff(attic), "it runs");
      f.pair.executeTarget(
          "update dualwrite.writer set heartbeat = now() - interval '1 day' where writer = '"
              + attic
              + "'");
      f.ds.writeOff(attic);
      assertRefused(f.ds, "the journal of the writer " + attic + " was written off");
      assertEquals(1, f.ds.reconcile());
      f.assertEqual();
      assertEquals(Side.TARGET, f.ds.cutover(Duration.ofSeconds(10)).roles().primary());
    }
  }

  @Test
  void aWriterThatLeavesWithASuspectSaysNoGoodbye() throws Exception {
    try (Fixture f = Fixture.shared(WATCHED).ready()) {
      Path journal = Files.createTempDirectory("dualwrite-journal");
      try (DualWriteDataSource second = second(f, journal, f.pair.targetUrl())) {
        Fixture.await("ready", () -> second.writer().ready());
        execute(second, "insert into other select generate_series(1, 1000)");
        execute(second, "do $$ begin delete from other where id < 10; end $$");
        assertEquals(1, second.status().suspects().size());
      }
      SQLException e = assertThrows(SQLException.class, () -> f.ds.cutover(Duration.ofSeconds(10)));
      assertTrue(e.getMessage().startsWith("no change of roles: the writer"), e.getMessage());
      try (DualWriteDataSource second = second(f, journal, f.pair.targetUrl())) {
        assertEquals(1, second.reconcile());
      }
      assertEquals(Side.TARGET, f.ds.cutover(Duration.ofSeconds(10)).roles().primary());
      f.assertEqual();
    }
  }

  @Test
  void aWriterThatIsCutOffFromTheTargetHearsOfTheExchangeFromTheSource() throws Exception {
    try (Fixture f = Fixture.shared(WATCHED).ready();
        TcpProxy network = new TcpProxy("localhost", f.pair.targetServer().port());
        DualWriteDataSource second =
            second(
                f,
                Files.createTempDirectory("dualwrite-journal"),
                "jdbc:postgresql://localhost:" + network.port() + "/" + f.pair.database())) {
      Fixture.await("ready", () -> second.writer().ready());
      String others =
          "from dualwrite.writer where writer <> '" + f.ds.writer().journal.writer() + "'";
      Fixture.await("heard of", () -> onTarget(f, "select count(*) " + others).equals("1"));
      network.refuse();
      network.cut();
      execute(second, "insert into other values (1)");
      f.pair.executeTarget(
          "update dualwrite.writer set heartbeat = now() - interval '1 min' where writer = (select writer "
              + others
              + ")");
      assertRefused(f.ds, "has not said goodbye; it had 0 units");
      f.ds.writeOff(UUID.fromString(onTarget(f, "select writer " + others)));
      Fixture.await("made equal", () -> f.ds.status().suspects().isEmpty());
      assertEquals(Side.TARGET, f.ds.cutover(Duration.ofSeconds(10)).roles().primary());
      assertEquals("1", onTarget(f, "select count(*) from other"));
      Fixture.await("it stops writing", () -> refused(second, "the source knows epoch 1"));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void whatAnotherProcessDidNotMirrorKeepsTheRoles(boolean back) throws Exception {
    try (Fixture f = Fixture.shared(WATCHED).ready()) {
      f.execute("insert into other values (1)");
      if (back) {
        f.ds.cutover(Duration.ofSeconds(10));
      }
      Phase without = back ? Phase.TARGET_ONLY : Phase.OFF;
      Phase with = back ? Phase.TARGET_PRIMARY : Phase.DUAL_WRITE;
      Path journal = Files.createTempDirectory("dualwrite-journal");
      try (DualWriteDataSource second = second(f, journal, f.pair.targetUrl())) {
        Fixture.await("ready", () -> second.writer().ready());
        f.ds.phase(without);
        f.execute("insert into other values (2)");
        second.phase(with); // too early: the first one goes on without
        second.reconcile();
        f.execute("insert into other values (3)");
        f.ds.close();
        String why = "set the phase to " + without;
        SQLException e = assertThrows(SQLException.class, () -> exchange(second, back));
        assertTrue(e.getMessage().contains(why), e.getMessage());
        second.phase(with);
        e = assertThrows(SQLException.class, () -> exchange(second, back));
        assertTrue(e.getMessage().contains("*.* is suspect"), e.getMessage());
        second.reconcile();
        assertEquals(back ? Side.SOURCE : Side.TARGET, exchange(second, back).roles().primary());
        f.assertEqualNow();
      }
    }
  }

  private static CutoverReport exchange(DualWriteDataSource ds, boolean back) throws SQLException {
    return back ? ds.cutoverBack(Duration.ofSeconds(10)) : ds.cutover(Duration.ofSeconds(10));
  }

  @Test
  void aProcessThatStartsInTheMidstIsInTheWay() throws Exception {
    try (Fixture f = Fixture.shared(WATCHED).ready();
        Connection c = f.connect()) {
      c.setAutoCommit(false);
      try (Statement s = c.createStatement()) {
        s.execute("insert into other values (1)");
      }
      ExecutorService thread = Executors.newSingleThreadExecutor();
      Future<CutoverReport> cutover = thread.submit(() -> f.ds.cutover(Duration.ofSeconds(60)));
      Fixture.await("the pause", () -> f.ds.writer().gate.isShut());
      Path journal = Files.createTempDirectory("dualwrite-journal");
      try (DualWriteDataSource late = second(f, journal, f.pair.targetUrl())) {
        execute(late, "insert into other values (2)");
        assertTrue(late.drain(Duration.ofSeconds(30)));
        c.commit();
        ExecutionException e = assertThrows(ExecutionException.class, cutover::get);
        assertTrue(e.getMessage().contains("is running"), e.getMessage());
      }
      thread.shutdown();
      assertEquals(Side.SOURCE, f.ds.status().roles().primary());
      assertEquals(Side.TARGET, f.ds.cutover(Duration.ofSeconds(10)).roles().primary());
      f.assertEqual();
    }
  }

  /** Or it waits for the exchange, and begins nothing with the roles of before. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aProcessThatStartsWaitsForTheExchange(boolean withoutTarget) throws Exception {
    try (Fixture f = Fixture.shared(WATCHED).ready();
        Connection c = withoutTarget ? f.pair.source() : f.pair.target();
        Statement s = c.createStatement()) {
      f.ds.cutover(Duration.ofSeconds(10));
      f.ds.cutoverBack(Duration.ofSeconds(10)); // now the source has the row, too
      f.ds.close();
      Path journal = Files.createTempDirectory("dualwrite-journal");
      c.setAutoCommit(false);
      s.execute("update dualwrite.control set epoch = 3"); // another one's exchange
      ExecutorService thread = Executors.newSingleThreadExecutor();
      Future<Boolean> late =
          thread.submit(
              () -> {
                String target = withoutTarget ? "jdbc:postgresql://localhost:1/nowhere" : null;
                try (DualWriteDataSource ds =
                    second(f, journal, target == null ? f.pair.targetUrl() : target)) {
                  execute(ds, "insert into other values (2)");
                  return true;
                }
              });
      String waiting =
          "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
      Fixture.await(
          "it waits",
          () -> (withoutTarget ? onSource(f, waiting) : onTarget(f, waiting)).equals("1"));
      c.commit();
      ExecutionException e = assertThrows(ExecutionException.class, late::get);
      thread.shutdown();
      assertTrue(e.getMessage().contains("has exchanged the roles"), e.getMessage());
      assertEquals("0", onSource(f, "select count(*) from other"));
    }
  }

  private static DualWriteDataSource second(Fixture f, Path journal, String target) {
    return DualWriteDataSource.builder()
        .source(f.pair.sourceUrl(), "postgres", "postgres")
        .target(target, "postgres", "postgres")
        .journal(journal)
        .set(Setting.JOURNAL_MIN_FREE_BYTES, "1MB")
        .set(Setting.RECONCILE, "manual")
        .build();
  }

  private static void execute(DualWriteDataSource ds, String sql) throws SQLException {
    try (Connection c = ds.getConnection();
        Statement s = c.createStatement()) {
      s.execute(sql);
    }
  }

  private static void assertRefused(DualWriteDataSource ds, String why) {
    SQLException e = assertThrows(SQLException.class, () -> ds.cutover(Duration.ofSeconds(10)));
    assertTrue(e.getMessage().contains(why), e.getMessage());
  }

  @Test
  void aNewJournalKnowsThatTheSourceWasLeftWithoutTheTarget() throws Exception {
    try (Fixture f = Fixture.own(WATCHED).ready()) {
      f.ds.cutover(Duration.ofSeconds(10));
      f.ds.close();
      f.pair.targetServer().stop();
      Path other = Files.createTempDirectory("dualwrite-journal");
      f.open(b -> b.journal(other));
      assertEquals(Side.TARGET, f.ds.status().roles().primary());
      assertThrows(SQLException.class, () -> f.execute("insert into other values (1)"));
      assertEquals("0", onSource(f, "select count(*) from other"));
      f.pair.targetServer().restart();
      f.ready().execute("insert into other values (2)");
      f.assertEqual();
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void anotherTargetCanBeCutOverTo(boolean newJournal) throws Exception {
    try (Fixture f = Fixture.shared(WATCHED).ready()) {
      f.execute("insert into other values (1)");
      f.ds.cutover(Duration.ofSeconds(10));
      f.ds.cutoverBack(Duration.ofSeconds(10));
      f.ds.close();
      f.pair.executeTarget("drop schema dualwrite cascade");
      Path other = Files.createTempDirectory("dualwrite-journal");
      f.open(b -> b.journal(newJournal ? other : f.journal)).ready();
      f.execute("insert into other values (2)");
      assertEquals(3, f.ds.cutover(Duration.ofSeconds(10)).roles().epoch());
      f.execute("insert into other values (3)");
      assertEquals(4, f.ds.cutoverBack(Duration.ofSeconds(10)).roles().epoch());
      f.assertEqual();
    }
  }

  @Test
  void refusedWhileRowsAreBroughtOver() throws Exception {
    try (Fixture f = Fixture.shared(WATCHED).ready()) {
      try (RolesHold hold = RolesHold.of(data(f.pair.targetUrl()), Side.SOURCE)) {
        SQLException e =
            assertThrows(SQLException.class, () -> f.ds.cutover(Duration.ofSeconds(10)));
        assertTrue(e.getMessage().contains("is at work"), e.getMessage());
        f.pair.executeTarget(
            "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and mode = 'ShareLock' and database = (select oid from pg_database where datname = current_database())");
        hold.check(); // taken again
        assertThrows(SQLException.class, () -> f.ds.cutover(Duration.ofSeconds(10)));
        try (Connection cutover = f.pair.target()) {
          cutover.setAutoCommit(false);
          f.pair.executeTarget(
              "select pg_terminate_backend(pid, 10000) from pg_locks where locktype = 'advisory' and mode = 'ShareLock' and database = (select oid from pg_database where datname = current_database())");
          assertTrue(RolesHold.nobodys(cutover));
          for (int i = 0; i < 2; i++) { // not only the first time
            SQLException under = assertThrows(SQLException.class, hold::check);
            assertTrue(under.getMessage().contains("a cutover is under way"), under.getMessage());
          }
          cutover.rollback();
          hold.check();
          assertFalse(RolesHold.nobodys(cutover));
          cutover.rollback();
        }
      }
      try (RolesHold late = RolesHold.of(data(f.pair.targetUrl()), Side.SOURCE)) {
        f.pair.executeTarget(
            "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and mode = 'ShareLock' and database = (select oid from pg_database where datname = current_database())");
        Fixture.await(
            "let go",
            () ->
                onTarget(
                        f,
                        "select count(*) from pg_locks where locktype = 'advisory' and mode = 'ShareLock' and database = (select oid from pg_database where datname = current_database())")
                    .equals("0"));
        f.ds.cutover(Duration.ofSeconds(10));
        SQLException e = assertThrows(SQLException.class, late::check);
        assertTrue(e.getMessage().contains("the target is the primary"), e.getMessage());
      }
    }
  }

  private static boolean waits(Connection c, String table) throws SQLException {
    return Fixture.value(
            c,
            "select count(*) from pg_locks where not granted and relation = '"
                + table
                + "'::regclass")
        .equals("1");
  }

  private static String enabled(Connection side) throws SQLException {
    try (side) {
      return Fixture.value(
          side, "select string_agg(tgenabled::text, '') from pg_trigger where tgname = 'stamp'");
    }
  }

  private static String onTarget(Fixture f, String query) throws SQLException {
    try (Connection c = f.pair.target()) {
      return Fixture.value(c, query);
    }
  }

  private static String onSource(Fixture f, String query) throws SQLException {
    try (Connection c = f.pair.source()) {
      return Fixture.value(c, query);
    }
  }
}
