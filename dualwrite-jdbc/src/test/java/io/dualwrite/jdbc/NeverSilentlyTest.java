package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.catalog.TableName;
import io.dualwrite.config.Setting;
import io.dualwrite.control.Incarnation;
import io.dualwrite.control.Phase;
import io.dualwrite.control.Side;
import io.dualwrite.embedded.PgServer;
import io.dualwrite.journal.RowChange;
import io.dualwrite.journal.Suspect;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLFeatureNotSupportedException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.postgresql.PGConnection;
import org.postgresql.core.BaseConnection;
import org.postgresql.core.BaseStatement;
import org.postgresql.ds.PGSimpleDataSource;
import org.postgresql.fastpath.Fastpath;
import org.postgresql.jdbc.PgConnection;

/**
 * G5: what cannot be mirrored faithfully is refused before it happens, or recorded; never passed in
 * silence.
 */
class NeverSilentlyTest {

  private static final String DDL =
      """
      create table t(id int primary key, v int);
      create table nokey(v int);
      create table audited(id int primary key, v int);
      create table audit(v int);
      create function note() returns trigger language plpgsql as 'begin insert into audit values (1); return null; end';
      create trigger note after insert or update or delete on audited for each row execute function note();
      create table parent(id int primary key);
      create table child(id int primary key, p int references parent on delete cascade);
      create trigger note after delete on child for each row execute function note();
      create table parts(id int, primary key (id)) partition by range (id);
      create table parts_1 partition of parts for values from (0) to (100);
      create trigger note after insert on parts_1 for each row execute function note();
      create function next_number() returns int language sql as 'insert into audit values (2); select 1';
      create function harmless() returns int stable language sql as 'select 1';
      create table numbered(id int primary key, n int default next_number());
      create table ruled(id int primary key);
      create rule r as on insert to ruled do also insert into audit values (3);
      create view seen as select * from t;
      create view sneaky as select next_number() as n;
      create procedure work() language sql as 'insert into audit values (4)';
      create table base(id int primary key);
      create table derived() inherits (base);
      insert into t values (1, 1), (2, 2);
      insert into nokey values (1);
      insert into parent values (1);
      insert into child values (1, 1);
      """;

  private static Fixture fixture;

  @BeforeAll
  static void start() throws SQLException {
    fixture = Fixture.shared(DDL);
    fixture
        .open(
            b -> {
              for (Unmirrored kind : Unmirrored.values()) {
                b.set(kind.policy(), "reject");
              }
            })
        .ready();
    // as the operator is told to
    fixture.pair.executeTarget(
        "alter table audited disable trigger user; alter table child disable trigger user; alter table parts_1 disable trigger user");
  }

  @AfterAll
  static void stop() {
    fixture.close();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "truncate t",
        "create table x(id int)",
        "create table x as select 1 as id",
        "select 1 as id into x",
        "alter table t add column x int",
        "drop table t",
        "create index on t(v)",
        "grant select on t to public",
        "do $$ begin insert into t values (9, 9); end $$",
        "call work()",
        "select next_number()",
        "insert into t select 9, next_number()",
        "insert into audited values (1, 1)",
        "delete from parent",
        "insert into parts values (1)",
        "insert into numbered(id) values (1)",
        "insert into ruled values (1)",
        "insert into seen values (9, 9)",
        "update seen set v = 9",
        "explain analyze insert into t values (9, 9)",
        "copy t from stdin",
        "prepare transaction 'x'",
        "select lo_creat(-1)",
        "insert into t values (1, 9) on conflict (id) do update set id = 9",
      })
  void refused(String sql) throws SQLException {
    var before = contents();
    try (Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      SQLException e = assertThrows(SQLFeatureNotSupportedException.class, () -> s.execute(sql));
      assertEquals("0AD01", e.getSQLState());
      assertTrue(e.getMessage().startsWith("dualwrite refuses"), e.getMessage());
      assertFalse(e.getMessage().contains("\n"), e.getMessage());
      if (!sql.contains("?")) {
        assertThrows(SQLFeatureNotSupportedException.class, () -> executePrepared(c, sql));
      }
      // the connection is as good as before
      try (ResultSet r = s.executeQuery("select v from t where id = 2")) {
        assertTrue(r.next());
      }
    }
    assertEquals(before, contents());
  }

  private static void executePrepared(Connection c, String sql) throws SQLException {
    try (PreparedStatement p = c.prepareStatement(sql)) {
      p.execute();
    }
  }

  private static Object contents() throws SQLException {
    try (Connection c = fixture.pair.source()) {
      return Fixture.contents(c);
    }
  }

  @Test
  @SuppressWarnings("deprecation")
  void whatLeadsPastUsIsNotHandedOut() throws SQLException {
    try (Connection c = fixture.connect();
        Statement s = c.createStatement();
        ResultSet r = s.executeQuery("select id, v from t")) {
      assertThrows(SQLException.class, () -> c.unwrap(PgConnection.class));
      assertThrows(SQLException.class, () -> s.unwrap(BaseStatement.class));
      PGConnection driver = c.unwrap(PGConnection.class);
      for (Executable x :
          new Executable[] {
            driver::getLargeObjectAPI,
            driver::getFastpathAPI,
            () -> driver.getCopyAPI().copyIn("copy t from stdin"),
            () -> c.prepareCall("call work()").execute(),
            () -> c.unwrap(BaseConnection.class).execSQLUpdate("call work()"),
            () -> c.unwrap(BaseConnection.class).execSQLQuery("select next_number()"),
            () ->
                c.unwrap(BaseConnection.class)
                    .getQueryExecutor()
                    .execute(
                        c.unwrap(BaseConnection.class)
                            .createQuery("delete from t", true, false)
                            .query,
                        null,
                        null,
                        0,
                        0,
                        0),
            () ->
                new Fastpath(c.unwrap(BaseConnection.class))
                    .fastpath(1, new org.postgresql.fastpath.FastpathArg[0]),
          }) {
        assertEquals(
            Refusal.SQLSTATE, assertThrows(SQLFeatureNotSupportedException.class, x).getSQLState());
      }
      assertThrows(UnsupportedOperationException.class, driver::getReplicationAPI);
      assertTrue(r.next());
      assertThrows(SQLException.class, () -> r.getBlob(1));
      assertThrows(
          SQLException.class,
          () -> c.prepareStatement("insert into t values (?, ?)").setBlob(1, (java.sql.Blob) null));
      assertEquals(c, c.getMetaData().getConnection());
      assertEquals(s, r.getStatement());
    }
  }

  /** The server would undo what we do not know of: in a transaction that has failed, too. */
  @Test
  void whatIsNotUnderstoodOfATransactionIsRefused() throws SQLException {
    try (Fixture f = Fixture.shared("create table t(id int primary key)").ready();
        Connection c = f.connect();
        Statement s = c.createStatement()) {
      c.setAutoCommit(false);
      s.execute("savepoint a");
      s.executeUpdate("insert into t values (1)");
      assertThrows(
          SQLFeatureNotSupportedException.class,
          () -> s.execute("rollback to U&\"!0061\" uescape '!'"));
      SQLException wrong = assertThrows(SQLException.class, () -> s.execute("rollback to"));
      assertEquals("42601", wrong.getSQLState());
      assertThrows(
          SQLFeatureNotSupportedException.class,
          () -> s.execute("rollback to U&\"#0061\" uescape '#'"));
      s.execute("rollback to a");
      s.executeUpdate("insert into t values (2)");
      c.commit();
      f.assertEqual();
    }
  }

  @Test
  void primaryOnlyByPolicyIsCounted() throws SQLException {
    try (Fixture f = Fixture.shared("create table t(id int primary key, v int)")) {
      f.open(b -> b.set(Setting.POLICY_DDL, "primary-only"));
      f.execute("create table only_here(id int primary key)");
      assertEquals(1, f.counter("primary-only.ddl"));
      assertEquals(0, f.counter("refused.ddl"));
    }
  }

  @Test
  void harmlessFunctionsAndTemporaryTablesPass() throws SQLException {
    try (Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      s.execute("select harmless()");
      s.execute("create temp table scratch(id int, v int)");
      assertEquals(2, s.executeUpdate("insert into scratch values (101, 1), (102, 2)"));
      assertEquals(2, s.executeUpdate("update scratch set v = v + 1"));
      assertEquals(2, s.executeUpdate("insert into t select * from scratch"));
      s.execute("truncate scratch");
      s.execute("alter table scratch add column w int; create index on scratch(v)");
      s.execute("create temp table t2 as select * from t");
      s.execute("drop table t2");
    }
    fixture.assertEqual();
  }

  /** A TRUNCATE changes the catalog, which is not for a function's text to repeat on the mirror. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "select add(1); truncate scratch",
        "truncate scratch; select add(1); select add(2)"
      })
  void aFunctionBesideATruncateIsNotRunOnTheMirror(String sql) throws SQLException {
    try (Fixture f =
        Fixture.shared(
                "create table t(id int primary key, at timestamptz default clock_timestamp());"
                    + " create table scratch(id int);"
                    + " create function add(i int) returns int language plpgsql as"
                    + " 'begin create temp table x(); drop table x; insert into t values (i); return 1; end'")
            .ready()) {
      f.execute("begin; " + sql + "; commit");
      f.assertEqual();
      assertEquals(sql.split("add", -1).length - 1, f.counter("captured.read-back"));
    }
  }

  /** Its snapshot does not see rows that the TRUNCATE took along; they must not come back. */
  @Test
  void aTruncateUnderAnOldSnapshot() throws Exception {
    try (Fixture f =
            Fixture.shared("create table nokey(v int); create table t(id int primary key)")
                .ready();
        Connection reader = f.pair.target();
        Connection c = f.connect();
        Statement lock = reader.createStatement();
        Statement s = c.createStatement()) {
      reader.setAutoCommit(false);
      lock.execute("lock table t in share mode");
      c.setAutoCommit(false);
      c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
      s.execute("select count(*) from t"); // takes the snapshot
      f.execute("begin; insert into nokey values (1); insert into t values (1); commit");
      assertEquals(1, f.ds.status().pending());
      s.execute("truncate nokey");
      c.commit();
      assertEquals(1, f.ds.status().pending());
      reader.rollback();
      f.assertDrained();
      Fixture.await("made equal", () -> f.ds.status().suspects().isEmpty());
      f.assertEqual();
    }
  }

  /** With IF NOT EXISTS the mirror would find the old table, and be done. */
  @ParameterizedTest
  @ValueSource(strings = {"", "if not exists "})
  void aDropThatIsPendingDoesNotDropWhatIsMadeAfterIt(String only) throws Exception {
    try (Fixture f = Fixture.shared("create table t(id int primary key)").ready();
        Connection reader = f.pair.target();
        Statement s = reader.createStatement()) {
      reader.setAutoCommit(false);
      s.execute("lock table t in access share mode");
      f.execute("drop table t");
      f.execute("create table " + only + "t(id int primary key, v text)");
      f.execute("insert into t values (1, 'x')");
      assertFalse(f.ds.drain(Duration.ofSeconds(2))); // tried more than once
      reader.rollback();
      f.assertEqual();
    }
  }

  @Test
  void aDropThatIsInFlightDoesNotDropWhatIsMadeAfterIt() throws Exception {
    Thread dropping = null;
    try (Fixture f = Fixture.shared("create table t(id int primary key)");
        Connection reader = f.pair.target();
        Statement s = reader.createStatement()) {
      System.setProperty("dualwrite.test.linger-at", "PRIMARY_COMMITTED:60000");
      f.open(b -> {}).ready();
      reader.setAutoCommit(false);
      s.execute("lock table t in access share mode"); // it does not go the direct way
      CompletableFuture<Void> dropped = new CompletableFuture<>();
      dropping =
          new Thread(
              () -> {
                try {
                  f.execute("drop table t");
                  dropped.complete(null);
                } catch (SQLException e) {
                  dropped.completeExceptionally(e);
                }
              });
      dropping.start();
      Fixture.await(
          "dropped on the primary",
          () -> {
            try (Connection c = f.pair.source();
                Statement q = c.createStatement();
                ResultSet r = q.executeQuery("select to_regclass('t') is null")) {
              return r.next() && r.getBoolean(1);
            }
          });
      Thread lingering = dropping;
      Fixture.await("lingers", () -> lingering.getState() == Thread.State.TIMED_WAITING);
      System.clearProperty("dualwrite.test.linger-at");
      f.execute("create table if not exists t(id int primary key, v text)");
      f.execute("insert into t values (1, 'x')");
      assertFalse(f.ds.drain(Duration.ofSeconds(2))); // tried more than once
      assertFalse(dropped.isDone());
      LockSupport.unpark(dropping);
      dropped.get(30, TimeUnit.SECONDS);
      reader.rollback();
      f.assertEqual();
    } finally {
      System.clearProperty("dualwrite.test.linger-at");
      LockSupport.unpark(dropping);
    }
  }

  private static final String EXCHANGED =
      "alter table ? rename a to x; alter table ? rename b to a; alter table ? rename x to b";

  static List<Arguments> definitionsAmongRows() {
    List<Arguments> result = new ArrayList<>();
    for (List<String> work :
        List.of(
            List.of(
                "alter table t add column w text",
                "update t set w = 'n' || v where id >= 0",
                "alter table t drop column v",
                "alter table t rename column w to v"),
            List.of(
                "update parts set v = 'new' where id = 1",
                "insert into parts values (3, 'three')",
                "alter table parts detach partition parts_1"),
            List.of(
                "update t set v = 'new' where id = 1",
                "alter table t rename to old",
                "create table t(id int primary key, v text)",
                "insert into t values (10, 'ten')"),
            List.of(("insert into s values (2, 3, 4); " + EXCHANGED).replace("?", "s").split("; ")),
            List.of(
                ("insert into nokey values (3, 4); "
                        + EXCHANGED
                        + "; update nokey set a = a + 100; insert into nokey values (5, 6)")
                    .replace("?", "nokey")
                    .split("; ")),
            List.of(
                "insert into t values (3, 'three')",
                "alter table t add column c int",
                "insert into nokey values (3, 4)",
                "insert into t values (4, 'four', 4)",
                "update t set c = 7 where id = 1"))) {
      result.add(Arguments.of("locked", work));
      result.add(Arguments.of("away", work));
    }
    return result;
  }

  /**
   * What is made equal is read from the primary, which has had all definitions, and written to the
   * mirror, which lacks some: those then do to it what they did to older rows on the primary.
   */
  @ParameterizedTest
  @MethodSource("definitionsAmongRows")
  void definitionsThatArePendingAndRowsKeepTheirOrder(String target, List<String> work)
      throws Exception {
    try (Fixture f =
            Fixture.shared(
                "create table t(id int primary key, v text); insert into t values (1, 'one'), (2, 'two');"
                    + "create table s(id int primary key, a int, b int); insert into s values (1, 1, 2);"
                    + "create table nokey(a int, b int); insert into nokey values (1, 2);"
                    + "create table parts(id int primary key, v text) partition by range (id);"
                    + "create table parts_1 partition of parts for values from (0) to (100);"
                    + "insert into parts values (1, 'one'), (2, 'two')");
        Connection reader = f.pair.target();
        Statement s = reader.createStatement()) {
      if (target.equals("away")) {
        f.openTo("jdbc:postgresql://localhost:1/nowhere", b -> {});
      } else {
        f.ready();
        reader.setAutoCommit(false);
        s.execute("lock table t, s, nokey, parts in access share mode");
      }
      for (String sql : work) {
        f.execute(sql);
      }
      assertFalse(f.ds.drain(Duration.ofSeconds(2))); // tried more than once
      assertEquals(List.of(), f.ds.status().parked());
      if (target.equals("away")) {
        f.open(b -> {});
      } else {
        reader.rollback();
      }
      f.assertDrained();
      Fixture.await("made equal", () -> f.ds.status().suspects().isEmpty());
      f.assertEqual();
    }
  }

  @Test
  void aTableThatComesLaterIsMirroredThoughItsStatementFailedBefore() throws SQLException {
    try (Fixture f = Fixture.shared("create table t(id int primary key)").ready();
        Connection c = f.connect();
        PreparedStatement p = c.prepareStatement("insert into later values (1)")) {
      assertEquals("42P01", assertThrows(SQLException.class, p::executeUpdate).getSQLState());
      f.pair.execute("create table later(id int primary key)");
      assertEquals(1, p.executeUpdate());
      f.assertEqual();
    }
  }

  @Test
  void aTemporaryTableHidesARealOneForItsOwnConnectionOnly() throws SQLException {
    try (Fixture f = Fixture.shared("create table t(id int primary key)").ready();
        Connection a = f.connect();
        Connection b = f.connect();
        Statement s = a.createStatement();
        PreparedStatement held = a.prepareStatement("insert into t values (1)");
        Statement u = b.createStatement()) {
      a.setAutoCommit(false);
      s.execute("create temp table t(id int primary key) on commit drop");
      assertEquals(1, held.executeUpdate());
      assertEquals(1, u.executeUpdate("insert into t values (1)")); // the real one
      a.commit();
      assertEquals(1, s.executeUpdate("insert into public.t values (2)"));
      assertEquals(1, s.executeUpdate("insert into t values (3)"));
      a.commit();
      assertEquals(1, u.executeUpdate("delete from t where id = 1"));
      assertEquals(1, held.executeUpdate()); // the real one now
      a.commit();
      f.assertEqual();
    }
  }

  @Test
  void aColumnThatIsYoungerThanTheCatalogIsSeen() throws SQLException {
    try (Fixture f = Fixture.shared("create table t(id int primary key, v int)").ready();
        Connection c = f.connect();
        Statement s = c.createStatement()) {
      s.executeUpdate("insert into t values (1, 1)");
      f.pair.execute("alter table t add column later text default 'x'");
      s.executeUpdate("insert into t(id, v, later) values (2, 2, 'given')");
      s.executeUpdate("update t set later = later || '!'");
      f.assertEqual();
    }
  }

  @Test
  void aDefaultThatNoStatementNamesIsSeen() throws SQLException {
    try (Fixture f =
            Fixture.shared("create table t(id int primary key, v int); create table nokey(v int)")
                .ready();
        Connection c = f.connect();
        PreparedStatement p = c.prepareStatement("insert into t(id, v) values (?, 1)");
        PreparedStatement q = c.prepareStatement("insert into nokey(v) values (1)")) {
      p.setInt(1, 1);
      p.executeUpdate();
      q.executeUpdate();
      f.execute("delete from t; delete from nokey");
      f.assertDrained();
      // behind our back, as another process does it
      f.pair.execute("alter table t add column at timestamptz default clock_timestamp()");
      f.pair.execute("alter table nokey add column at timestamptz default clock_timestamp()");
      p.setInt(1, 2);
      p.executeUpdate();
      q.executeUpdate();
      Fixture.await("reconciled", () -> f.ds.status().suspects().isEmpty());
      f.assertEqual();
    }
  }

  /** The server writes by what the table is now; an old snapshot shows what it was. */
  @Test
  void aColumnThatIsYoungerThanTheSnapshotIsSeen() throws SQLException {
    try (Fixture f = Fixture.shared("create table t(id int primary key, v int)").ready();
        Connection c = f.connect();
        Statement s = c.createStatement();
        PreparedStatement p = c.prepareStatement("insert into t(id, v) values (?, 1)")) {
      p.setInt(1, 1);
      p.executeUpdate();
      f.execute("delete from t");
      f.assertDrained();
      c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
      c.setAutoCommit(false);
      s.execute("select 1 from pg_class limit 1");
      f.pair.execute("alter table t add column at timestamptz default clock_timestamp()");
      p.setInt(1, 2);
      p.executeUpdate();
      c.commit();
      Fixture.await("reconciled", () -> f.ds.status().suspects().isEmpty());
      f.assertEqual();
    }
  }

  @Test
  void aTableThatIsYoungerThanTheSnapshotIsWritten() throws SQLException {
    String text = "insert into fresh values (?)";
    try (Fixture f = Fixture.shared("create table t(id int primary key)").ready();
        Connection old = f.connect();
        Connection young = f.connect();
        Statement s = old.createStatement()) {
      old.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
      old.setAutoCommit(false);
      s.execute("select count(*) from t");
      f.pair.execute("create table fresh(id int primary key)");
      int id = 0;
      for (Connection c : List.of(young, old)) {
        try (PreparedStatement p = c.prepareStatement(text)) {
          p.setInt(1, ++id);
          assertEquals(1, p.executeUpdate());
        }
      }
      old.commit();
      Fixture.await("reconciled", () -> f.ds.status().suspects().isEmpty());
      f.assertEqual();
    }
  }

  /** What a statement found out under its lock counts no more when the lock is given up. */
  @Test
  void aColumnThatIsYoungerThanASavepointIsSeen() throws SQLException {
    try (Fixture f = Fixture.shared("create table t(id int primary key, v int)").ready();
        Connection c = f.connect();
        PreparedStatement p = c.prepareStatement("insert into t(id, v) values (?, 1)")) {
      c.setAutoCommit(false);
      Savepoint s = c.setSavepoint();
      p.setInt(1, 1);
      p.executeUpdate();
      c.rollback(s);
      f.pair.execute("alter table t add column at timestamptz default clock_timestamp()");
      p.setInt(1, 2);
      p.executeUpdate();
      c.commit();
      Fixture.await("reconciled", () -> f.ds.status().suspects().isEmpty());
      f.assertEqual();
    }
  }

  @Test
  void aTriggerThatNobodyToldUsOfMakesEverythingSuspect() throws SQLException {
    try (Fixture f =
        Fixture.shared(
            "create table t(id int primary key); create table log(id serial primary key, what text)")) {
      f.open(b -> b.set(Setting.RECONCILE, "manual")).ready();
      try (Connection c = f.connect();
          PreparedStatement p = c.prepareStatement("insert into t values (?)")) {
        p.setInt(1, 1);
        p.executeUpdate();
        f.pair.executeSource(
            "create function note() returns trigger language plpgsql as 'begin insert into log(what) values (tg_op); return null; end';"
                + " create trigger note after insert on t for each row execute function note()");
        p.setInt(1, 2);
        p.executeUpdate();
        assertEquals("*.*", f.ds.status().suspects().get(0).table().toString());
        p.setInt(1, 3);
        p.executeUpdate();
      }
      assertEquals(1, f.ds.reconcile());
      f.assertEqual();
    }
  }

  /** So little that not even that can be told. */
  private static final class NoMemory extends OutOfMemoryError {
    private static final long serialVersionUID = 1;

    @Override
    public String getMessage() {
      throw this;
    }
  }

  /** As when there is no memory for a moment. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "dualwrite-reconcile",
        "dualwrite-replay",
        "dualwrite-mirror-check",
        "dualwrite-shadow"
      })
  void anErrorEndsNothingInTheBackground(String thread) throws SQLException {
    AtomicInteger thrown = new AtomicInteger();
    AtomicBoolean well = new AtomicBoolean();
    try (Fixture f = Fixture.shared("create table nokey(v int)")) {
      PGSimpleDataSource[] sides = new PGSimpleDataSource[2];
      for (int i = 0; i < 2; i++) {
        sides[i] =
            new PGSimpleDataSource() {
              private static final long serialVersionUID = 1;

              @Override
              public Connection getConnection() throws SQLException {
                if (Thread.currentThread().getName().equals(thread) && !well.get()) {
                  thrown.incrementAndGet();
                  throw new NoMemory();
                }
                return super.getConnection();
              }
            };
        sides[i].setUrl(i == 0 ? f.pair.sourceUrl() : f.pair.targetUrl());
        sides[i].setUser("postgres");
        sides[i].setPassword("postgres");
      }
      f.open(b -> b.source(sides[0]).target(sides[1]).mirror("async").shadowSampleRate(1));
      f.ds.phase(Phase.SHADOW);
      f.pair.executeSource("insert into nokey values (1)");
      f.ds
          .writer()
          .journal
          .suspect(new Suspect(new TableName("public", "nokey"), "test", 1, "", 0));
      try (Connection c = f.connect();
          Statement s = c.createStatement()) {
        s.executeUpdate("insert into nokey values (2)");
        Fixture.await(
            "there was an error",
            () -> {
              Fixture.value(c, "select v from nokey order by v");
              return thrown.get() > 0;
            });
        well.set(true);
        Fixture.await(
            "all goes on",
            () -> {
              Fixture.value(c, "select v from nokey order by v");
              Status now = f.ds.status();
              return now.suspects().isEmpty()
                  && now.pending() == 0
                  && f.ds.writer().ready()
                  && f.ds.shadowReport().queries().stream().anyMatch(q -> q.equal() > 0);
            });
      }
      f.assertEqual();
    }
  }

  /** The one that stands for the routine while it runs is opened where there is one already. */
  @Test
  void theEndOfARoutineClosesNoSuspectOfOthers() throws SQLException {
    try (Fixture f =
        Fixture.shared(
            "create table t(id int primary key); create procedure p() language plpgsql as 'begin insert into t values (1); commit; end'")) {
      f.open(b -> b.set(Setting.RECONCILE, "manual")).ready();
      try (Connection source = f.pair.source();
          Connection c = f.connect();
          Statement s = c.createStatement()) {
        s.execute("call p()");
        List<Suspect> own = f.ds.status().suspects();
        assertTrue(own.stream().noneMatch(x -> x.table().equals(RowChange.NO_TABLE)), "" + own);
        f.ds.reconcile();
        s.execute("delete from t");
        f.ds
            .writer()
            .journal
            .suspect(new Suspect(RowChange.NO_TABLE, "test", 1, Incarnation.of(source), 5));
        s.execute("call p()");
        List<Suspect> left = f.ds.status().suspects();
        assertTrue(left.stream().anyMatch(x -> x.table().equals(RowChange.NO_TABLE)), "" + left);
      }
    }
  }

  /** The second TRUNCATE in one transaction leaves no trace in the catalog. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "truncate staging",
        "truncate staging; insert into staging select -g from generate_series(1, 3) g"
      })
  void aTableThatARoutineTruncatesOnceMoreBecomesSuspect(String more) throws SQLException {
    try (Fixture f =
        Fixture.shared(
            "create table staging(id int primary key); create table fin(id int primary key);"
                + " create function prepare() returns int language sql as 'insert into fin values (0) returning id';"
                + " create procedure process() language sql as 'insert into fin select id from staging; "
                + more
                + "'")) {
      f.open(b -> b.set(Setting.RECONCILE, "manual")).ready();
      try (Connection c = f.connect();
          Statement s = c.createStatement()) {
        c.setAutoCommit(false);
        s.execute("truncate staging");
        s.execute("select prepare()");
        s.execute("insert into staging select g from generate_series(1, 3) g");
        c.commit();
        f.assertDrained();
        assertTrue(
            f.ds.status().suspects().stream()
                .noneMatch(x -> x.reason().contains("truncated or altered")));
        f.ds.reconcile();
        f.assertEqual();
        s.execute("truncate staging");
        s.execute("insert into staging select g from generate_series(1, 3) g");
        s.execute("call process()");
        c.commit();
      }
      assertEquals(1, f.ds.status().suspects().size());
      assertEquals("public.staging", f.ds.status().suspects().get(0).table().toString());
      assertEquals(1, f.ds.reconcile());
      f.assertEqual();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"delete from part where id <= 3", "update part set id = id + 1000 where id <= 3"})
  void whatAMergeInsertsHidesNothingThatAFunctionDoes(String hidden) throws SQLException {
    try (Fixture f =
        Fixture.shared(
            18,
            "create table part(id int primary key, v int) partition by range (id);"
                + " create table part_1 partition of part for values from (0) to (100);"
                + " create table part_2 partition of part for values from (100) to (9999);"
                + " create index on part(v); insert into part select g, g from generate_series(1, 9) g;"
                + " create function hide() returns void language sql as '"
                + hidden
                + "'",
            b -> b.set(Setting.RECONCILE, "manual"))) {
      f.ready();
      try (Connection c = f.connect();
          Statement s = c.createStatement()) {
        c.setAutoCommit(false);
        s.execute("select hide()");
        assertEquals(
            5,
            s.executeUpdate(
                "merge into part t using generate_series(98, 102) g on t.id = g when not matched then insert values (g, g)"));
        c.commit();
      }
      assertEquals(1, f.ds.status().suspects().size());
      assertEquals(1, f.ds.reconcile());
      f.assertEqual();
    }
  }

  @Test
  void theStyleOfIntervalsIsTheOneOfTheStatement() throws SQLException {
    try (Fixture f = Fixture.shared("create table t(id int primary key, i interval)").ready();
        Connection c = f.connect();
        Statement s = c.createStatement()) {
      c.setAutoCommit(false);
      s.execute("set local intervalstyle = 'sql_standard'");
      s.execute("insert into t values (1, interval '-1 day' + interval '-2:03:04')");
      s.execute("set local intervalstyle = 'postgres'");
      c.commit();
      f.assertEqual();
    }
  }

  /**
   * Rows are read again under the server's own search path, where such a type has no short name.
   */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "create type k as enum ('(1)', '(2)')",
        "create domain k as varchar(9)",
        "create type k as (n int)",
        "create extension ltree; create domain k as ltree"
      })
  void keysOfTypesOfTheUsersOwnAreReadAgain(String type) throws SQLException {
    String one = type.contains("ltree") ? "one" : "(1)";
    String two = type.contains("ltree") ? "two" : "(2)";
    try (Fixture f =
            Fixture.shared(
                    type
                        + "; create table t(id k primary key, i interval, c bpchar, at timestamptz default now())")
                .ready();
        Connection c = f.connect();
        Connection target = f.pair.target();
        Statement s = c.createStatement()) {
      s.execute("insert into t(id, i, c) values ('" + one + "', '1 day', 'ab  ')");
      s.execute("set intervalstyle = 'iso_8601'");
      s.execute("insert into t(id, i) values ('" + two + "', '1 day -2:03')");
      s.execute("update t set i = i + '1 year' where id = '" + one + "'::k");
      s.execute("reset intervalstyle");
      f.pair.execute("alter table t add column x int default 7");
      s.execute("update t set i = i + '1 year' where id = '" + two + "'::k");
      s.execute("truncate t; insert into t(id, c) values ('" + two + "', 'ab  ')");
      s.execute("insert into t(id) values ('" + one + "')");
      f.assertEqual();
      assertEquals(
          "ab  |",
          Fixture.value(
              target, "select string_agg(concat(c, '|'), '') from t where c is not null"));
    }
  }

  @Test
  void blanksAtTheEndOfACharacterOfNoLength() throws SQLException {
    try (Fixture f =
            Fixture.shared(
                    "create table t(id int primary key, c bpchar); create function read_back() returns void language sql as 'insert into t values (3, ''ef  '')'")
                .ready();
        Connection c = f.connect();
        Connection target = f.pair.target();
        Statement s = c.createStatement()) {
      s.execute("insert into t values (1, 'ab  '::bpchar), (2, null)");
      s.execute("update t set c = 'cd  ' where id = 2");
      s.execute("select read_back()");
      f.assertEqual();
      assertEquals(
          "ab  |cd  |ef  |",
          Fixture.value(target, "select string_agg(concat(c, '|'), '' order by id) from t"));
    }
  }

  /** RETURNING needs the privilege to read; the application's own statement does not. */
  @ParameterizedTest
  @MethodSource("majors")
  void aRoleThatMayWriteAndNotRead(int major) throws SQLException {
    try (Fixture f =
        Fixture.shared(
            major,
            "create table plain(id int primary key, v text);"
                + " create table log(id bigint generated by default as identity primary key, at timestamptz default now(), msg text);"
                + " create table part(id int primary key, v text, secret text); insert into part values (1, 'a', 'x'), (2, 'b', 'y'), (3, 'c', 'z');"
                + " create table opened(id int primary key, v text);"
                + " do $$ begin create role appends; exception when duplicate_object then null; end $$;"
                + " grant insert on plain, log, part to appends; grant select (id), update (v), delete on part to appends;"
                + " grant insert, select on opened to appends",
            b -> b.set(Setting.RECONCILE, "manual"))) {
      f.ready();
      try (Connection c = f.connect();
          Statement s = c.createStatement();
          PreparedStatement p = c.prepareStatement("insert into plain values (?, ?)")) {
        assertEquals(1, s.executeUpdate("insert into log(msg) values ('before')"));
        s.execute("set role appends");
        assertEquals(1, s.executeUpdate("insert into plain values (1, 'a')"));
        p.setInt(1, 2);
        p.setString(2, "b");
        assertEquals(1, p.executeUpdate());
        p.setInt(1, 3);
        p.addBatch();
        assertEquals(1, p.executeBatch()[0]);
        f.assertEqual(); // what the statements themselves say nobody has to read
        assertEquals("[]", f.ds.status().suspects().toString());
        for (boolean autoCommit : new boolean[] {true, false}) {
          int n = autoCommit ? 10 : 20;
          c.setAutoCommit(autoCommit);
          p.setInt(1, n);
          p.setObject(2, "b", Types.OTHER);
          assertEquals(1, p.executeUpdate());
          p.setInt(1, n + 1);
          p.addBatch();
          assertEquals(1, p.executeBatch()[0]);
          assertEquals(1, s.executeUpdate("insert into log(msg) values ('hello')"));
          assertEquals(1, s.executeUpdate("update part set v = 'q' where id = 1"));
          assertEquals(1, s.executeUpdate("delete from part where id = " + (autoCommit ? 2 : 3)));
          assertEquals(
              1,
              s.executeUpdate(
                  "insert into plain values (" + n + "+ 2, 'c') on conflict do nothing"));
          assertTrue(
              s.execute("with w as (insert into plain values (" + n + " + 3, 'i')) select 1"));
          assertEquals(
              1,
              s.executeUpdate(
                  "insert into part values ("
                      + n
                      + ", 'n', 'n'); insert into plain values ("
                      + n
                      + " + 4, 'm')"));
          assertEquals(1, s.executeUpdate("insert into opened values (" + n + ", lower('X'))"));
        }
        c.commit();
        c.setAutoCommit(true);
        f.pair.executeSource("revoke select on opened from appends");
        assertEquals(1, s.executeUpdate("insert into opened values (30, lower('X'))"));
        s.execute("set intervalstyle = iso_8601");
        assertEquals(1, s.executeUpdate("insert into plain values (30, 'style')"));
        s.execute("reset intervalstyle");
        f.assertDrained();
        assertEquals(4, f.ds.status().suspects().size());
        f.ds.reconcile();
        f.assertEqual();
        s.execute("reset role");
        assertEquals(1, s.executeUpdate("insert into log(msg) values ('hello')"));
        f.assertEqual();
        assertEquals("[]", f.ds.status().suspects().toString());
      }
    }
  }

  /** What it calls runs once, on the primary. */
  @ParameterizedTest
  @MethodSource("majors")
  void aMaterializedViewWhoseQueryWrites(int major) throws SQLException {
    try (Fixture f =
        Fixture.shared(
            major,
            "create table log(id bigserial primary key, v int); create table t(id int primary key);"
                + " create function note(n int) returns int language plpgsql as"
                + " 'begin insert into public.log(v) values (n); return n; end'",
            b -> {})) {
      f.ready();
      f.pair.executeSource("select setval('log_id_seq', 100)"); // the mirror's stays behind
      try (Connection c = f.connect();
          Statement s = c.createStatement()) {
        s.execute("insert into t values (1), (2)");
        s.execute(
            "create materialized view shown(\"The n\") with (fillfactor = 70) as select public.note(id) from t with data");
        s.execute("create materialized view plain as select id from t");
        s.execute("refresh materialized view shown");
        s.execute("refresh materialized view plain");
        assertEquals("4", Fixture.value(c, "select count(*) from log"));
        f.assertEqual();
        assertEquals("[]", f.ds.status().suspects().toString());
      }
      String made =
          "select definition || array_to_string(reloptions, '') from pg_matviews join pg_class on relname = matviewname where matviewname = 'shown'";
      try (Connection c = f.pair.source();
          Connection t = f.pair.target()) {
        assertEquals(Fixture.value(c, made), Fixture.value(t, made));
        assertEquals("2", Fixture.value(t, "select count(*) from plain"));
      }
    }
  }

  /** A row without columns is written behind a statement's text. */
  @Test
  void aTableOfWhichNothingCanBeShipped() throws SQLException {
    try (Fixture f = Fixture.shared("create table t(id int primary key); create table z()")) {
      f.open(b -> b.set(Setting.RECONCILE, "manual")).ready();
      f.execute("do $$ begin insert into z default values; end $$");
      f.execute("with x as (insert into z default values) select 1");
      f.execute("insert into t values (1)");
      f.assertDrained();
      assertEquals("public.z", f.ds.status().suspects().get(0).table().toString());
      f.ds.reconcile();
      f.assertEqual();
    }
  }

  /** RETURNING needs a policy for SELECT; the application's own statement does not. */
  @Test
  void aTableOfWhichTheRoleSeesNothing() throws SQLException {
    try (Fixture f =
        Fixture.shared(
            "create table t(id int primary key, v text); alter table t enable row level security; create policy p on t for insert with check (true);"
                + " do $$ begin create role writes_only; exception when duplicate_object then null; end $$; grant all on t to writes_only")) {
      f.open(b -> b.set(Setting.RECONCILE, "manual")).ready();
      try (Connection c = f.connect();
          Statement s = c.createStatement()) {
        s.execute("set role writes_only");
        assertEquals(1, s.executeUpdate("insert into t values (1, 'a')"));
        assertEquals(1, s.executeUpdate("insert into t values (abs(-2), 'a')"));
      }
      f.ds.reconcile();
      f.assertEqual();
    }
  }

  /** What the statement says is not what the table has, and that nobody may read. */
  @Test
  void aTriggerThatChangesWhatTheRoleMayNotSee() throws SQLException {
    try (Fixture f =
        Fixture.shared(
            "create table t(id int primary key, v text);"
                + " create function shout() returns trigger language plpgsql as 'begin new.v := upper(new.v); return new; end';"
                + " create trigger shout before insert on t for each row execute function shout();"
                + " do $$ begin create role adds; exception when duplicate_object then null; end $$;"
                + " grant insert on t to adds; grant select (id) on t to adds")) {
      f.pair.executeTarget("alter table t disable trigger user");
      f.open(b -> b.set(Setting.RECONCILE, "manual")).ready();
      try (Connection c = f.connect();
          Statement s = c.createStatement();
          PreparedStatement p = c.prepareStatement("insert into t values (?, 'b') returning id")) {
        s.execute("set role adds");
        assertEquals(1, s.executeUpdate("insert into t values (1, 'a')"));
        p.setInt(1, 2);
        p.execute();
        for (int i = 3; i < 5; i++) {
          p.setInt(1, i);
          p.addBatch();
        }
        p.executeBatch();
      }
      f.assertDrained();
      f.ds.reconcile();
      f.assertEqual();
      f.execute("alter table t disable trigger user");
      try (Connection c = f.connect();
          Statement s = c.createStatement();
          PreparedStatement p = c.prepareStatement("insert into t values (?, 'b') returning id")) {
        s.execute("set role adds");
        for (int i = 5; i < 7; i++) {
          p.setInt(1, i);
          p.addBatch();
        }
        p.executeBatch();
      }
      f.assertDrained();
      f.ds.reconcile();
      f.assertEqual();
    }
  }

  /** RETURNING needs the row to be seen; the application's own statement does not. */
  @Test
  void rowsThatTheRoleMayWriteAndNotSee() throws SQLException {
    try (Fixture f =
        Fixture.shared(
            "create table t(id int primary key, owner text, n int default 1); alter table t enable row level security;"
                + " create policy seen on t using (owner = 'a') with check (true);"
                + " create table own(id int primary key, owner text, n int default 1); alter table own enable row level security;"
                + " create policy p on own using (owner = 'a');"
                + " create table hers(id int primary key, owner text, n int default 1); alter table hers enable row level security;"
                + " create policy r on hers for select using (owner = 'a'); create policy i on hers for insert with check (owner = 'a');"
                + " create policy u on hers for update using (owner = 'a'); create policy d on hers for delete using (true);"
                + " insert into hers values (50, 'a'), (51, 'b');"
                + " do $$ begin create role owns; exception when duplicate_object then null; end $$; grant all on t, own, hers to owns")) {
      f.open(b -> b.set(Setting.RECONCILE, "manual")).ready();
      for (boolean autoCommit : new boolean[] {true, false}) {
        int n = autoCommit ? 0 : 100;
        try (Connection c = f.connect();
            Statement s = c.createStatement()) {
          s.execute("set role owns");
          c.setAutoCommit(autoCommit);
          for (String table : List.of("own", "hers")) { // what may be written is seen
            assertEquals(
                1,
                s.executeUpdate(
                    "insert into " + table + " values (" + (n + 1) + ", 'a', abs(-2))"));
            assertEquals(
                1, s.executeUpdate("update " + table + " set n = n + 1 where id = " + (n + 1)));
          }
          if (!autoCommit) {
            c.commit();
          }
          f.assertDrained();
          assertEquals("[]", f.ds.status().suspects().toString());
          assertEquals(1, s.executeUpdate("insert into t values (" + (n + 10) + ", 'b', 1)"));
          assertEquals(1, s.executeUpdate("insert into t values (" + (n + 11) + ", 'b', abs(-1))"));
          assertEquals(1, s.executeUpdate("insert into t select " + (n + 12) + ", 'a'"));
          try (PreparedStatement p = c.prepareStatement("insert into t values (?, 'c')")) {
            for (int i = 0; i < 2; i++) {
              p.setInt(1, n + 13 + i);
              p.addBatch();
            }
            assertEquals(2, p.executeBatch().length);
          }
          assertTrue(
              s.execute("with w as (insert into t values (" + (n + 16) + ", 'b')) select 1"));
          assertEquals(1, s.executeUpdate("update t set owner = 'z'"));
          assertEquals(autoCommit ? 3 : 1, s.executeUpdate("delete from hers"));
          if (!autoCommit) {
            c.commit();
          }
        }
        f.assertDrained();
        f.ds.reconcile();
        f.assertEqual();
      }
    }
  }

  @Test
  void tooLargeATransactionGoesThroughTheJournal() throws SQLException {
    try (Fixture f =
        Fixture.shared("create table t(id int primary key, v int); create table nokey(v int)")) {
      f.open(b -> b.set(Setting.UNIT_MAX_BYTES, "10kB")).ready();
      try (Connection c = f.connect();
          Statement s = c.createStatement()) {
        assertEquals(
            3000, s.executeUpdate("insert into t select g, g from generate_series(1, 3000) g"));
        assertEquals(
            3000, s.executeUpdate("insert into nokey select g from generate_series(1, 3000) g"));
        assertEquals(10, s.executeUpdate("delete from t where id <= 10"));
        c.setAutoCommit(false);
        s.executeUpdate("insert into t select g, g from generate_series(4001, 6000) g");
        s.executeUpdate("insert into nokey select g from generate_series(4001, 6000) g");
        c.rollback();
        s.executeUpdate("insert into t select g, g from generate_series(4001, 6000) g");
        Savepoint savepoint = c.setSavepoint();
        s.executeUpdate("insert into t select g, g from generate_series(7001, 9000) g");
        s.executeUpdate("insert into nokey select g from generate_series(7001, 9000) g");
        c.rollback(savepoint);
        s.executeUpdate("insert into nokey select g from generate_series(4001, 6000) g");
        c.commit();
      }
      assertTrue(f.counter("unit.spilled") > 0);
      assertEquals(0, f.ds.status().suspects().size());
      f.assertEqual();
      assertEquals(Side.TARGET, f.ds.cutover(Duration.ofSeconds(10)).roles().primary());
    }
  }

  @Test
  void aLargeTransactionWhoseConnectionIsGoneBeforeItsCommit() throws SQLException {
    try (Fixture f = Fixture.shared("create table t(id int primary key, v int)")) {
      f.open(b -> b.set(Setting.UNIT_MAX_BYTES, "10kB")).ready();
      try (Connection c = f.connect();
          Statement s = c.createStatement()) {
        c.setAutoCommit(false);
        s.executeUpdate("insert into t select g, g from generate_series(1, 3000) g");
        assertTrue(f.counter("unit.spilled") > 0);
        f.pair.executeSource(
            "select pg_terminate_backend(pid) from pg_stat_activity where state = 'idle in transaction'"
                + " and datname = current_database()");
        assertThrows(SQLException.class, c::commit);
      }
      assertEquals(0, f.ds.status().inFlight());
      f.assertEqual();
    }
  }

  @Test
  void aFullJournalLeavesSuspectsAndTheApplicationGoesOn() throws SQLException {
    try (Fixture f =
        Fixture.shared("create table t(id int primary key, v int); create table nokey(v int)")) {
      f.open(b -> b.set(Setting.JOURNAL_MIN_FREE_BYTES, "1000TB").set(Setting.RECONCILE, "manual"))
          .ready();
      try (Connection c = f.connect();
          Statement s = c.createStatement()) {
        assertEquals(1, s.executeUpdate("insert into t values (1, 1)"));
        assertEquals(1, s.executeUpdate("insert into nokey values (1)"));
      }
      assertEquals(2, f.ds.status().suspects().size());
      assertEquals(2, f.ds.reconcile());
      f.assertEqual();
    }
  }

  /** Rows can be made equal, statements are for people: until they have been there nothing is. */
  @Test
  void statementsThatAFullJournalRefusesStaySuspect() throws Exception {
    try (Fixture f = Fixture.shared("create table t(id int primary key, a int, b int)")) {
      f.execute("insert into t values (1, 1, 2)");
      f.assertEqual();
      f.openTo(
          "jdbc:postgresql://localhost:1/nowhere",
          b -> b.set(Setting.JOURNAL_MIN_FREE_BYTES, "1000TB"));
      List<String> lost =
          List.of(
              "create view seen as select * from t",
              "alter table t rename a to c",
              "alter table t rename b to a",
              "alter table t rename c to b");
      for (String sql : lost) {
        f.execute(sql);
      }
      f.execute("insert into t values (2, 3, 4)");
      f.open(b -> b.set(Setting.JOURNAL_MIN_FREE_BYTES, "1000TB")).ready();
      Fixture.await("the table is equal", () -> f.ds.status().suspects().size() == lost.size());
      assertEquals(0, f.ds.reconcile());
      String reasons = f.ds.status().suspects().toString();
      for (String sql : lost) {
        assertTrue(reasons.contains(sql), reasons);
      }
      for (String sql : lost) {
        f.pair.executeTarget(sql);
      }
      assertEquals(lost.size(), f.ds.statementsDone());
      Fixture.await("all is equal", () -> f.ds.status().suspects().isEmpty());
      f.assertEqual();
      // what reaches the target at once needs no record
      f.execute("create table direct(id int primary key)");
      Fixture.await("there at once", () -> f.ds.status().suspects().isEmpty());
      f.assertEqual();
    }
  }

  /** What made it may still be on its way from another process. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aDefinitionThatFindsWhatItMakesIsNotMadeOnTheMirror(boolean autoCommit) throws SQLException {
    String first =
        "alter table t add column late int default 7; create table made(id int primary key)";
    try (Fixture f =
        Fixture.shared("create table t(id int primary key); insert into t values (1)").ready()) {
      f.pair.executeSource(first);
      try (Connection c = f.connect();
          Statement s = c.createStatement()) {
        c.setAutoCommit(autoCommit);
        s.execute("alter table t add column if not exists late int default 8");
        s.execute("create table if not exists made(id int primary key, more int)");
        s.execute("create table if not exists made as select 1 as id");
        s.execute("drop table if exists nosuch");
        s.execute("alter table t drop column if exists nosuch");
        if (!autoCommit) {
          c.commit();
        }
      }
      f.assertDrained();
      f.pair.executeTarget(first);
      f.assertEqual();
      f.execute("insert into t(id) values (2)");
      f.assertEqual();
    }
  }

  /** With a dropped table go the counts of what was written to it. */
  @Test
  void aTableIsDroppedOnTheMirrorHoweverManyRowsItGotBefore() throws SQLException {
    StringBuilder ddl = new StringBuilder("create table t(id int primary key);");
    for (int rows = 1; rows <= 60; rows++) {
      ddl.append("create table d").append(rows).append("(v int);");
    }
    try (Fixture f = Fixture.shared(ddl.toString()).ready()) {
      try (Connection c = f.connect();
          Statement s = c.createStatement()) {
        c.setAutoCommit(false);
        for (int rows = 1; rows <= 60; rows++) {
          s.execute("insert into d" + rows + " select generate_series(1, " + rows + ")");
          s.execute("drop table d" + rows);
          c.commit();
        }
      }
      f.assertEqual();
      try (Connection c = f.pair.target();
          Statement s = c.createStatement();
          ResultSet r =
              s.executeQuery(
                  "select string_agg(relname, ' ') from pg_class where relname like 'd%' and relkind = 'r' and relnamespace = 'public'::regnamespace")) {
        r.next();
        assertEquals(null, r.getString(1));
      }
    }
  }

  @Test
  void aParkedUnitIsTriedAgainOnceItsTableIsThere() throws SQLException {
    try (Fixture f = Fixture.shared("create table t(id int primary key, v int)").ready()) {
      f.pair.executeSource("create table late(id int primary key)");
      f.execute("insert into late values (1)");
      Fixture.await("parked", () -> f.ds.status().parked().size() == 1);
      assertThrows(SQLException.class, () -> f.ds.cutover(Duration.ofSeconds(5)));
      f.pair.executeTarget("create table late(id int primary key)");
      assertEquals(1, f.ds.retryParked());
      f.assertEqual();
    }
  }

  static List<Integer> majors() {
    return PgServer.majors();
  }

  @ParameterizedTest
  @MethodSource("majors")
  void whatTurnsOutToBeTemporaryIsNotMadeOnTheMirror(int major) throws SQLException {
    try (Fixture f =
        Fixture.shared(major, "create table t(id int primary key, v int)", b -> {}).ready()) {
      for (int i = 0; i < 2; i++) { // two sessions, of which each makes its own
        try (Connection c = f.connect();
            Statement s = c.createStatement()) {
          s.execute("create table pg_temp.a(id int)");
          s.execute("create table pg_temp.b as select 1 as id");
          s.execute("create view v as select * from b");
          s.execute("create or replace view v as select * from b where id > 0");
          s.execute("create function pg_temp.f() returns int language sql as 'select 1'");
          s.execute("create temp table t(id int primary key, v int)");
          s.execute("create view pg_temp.w as select * from public.t");
          s.execute("insert into t values (5, 5)");
          s.execute("insert into public.t select 1, id from b on conflict (id) do nothing");
        }
      }
      f.execute("create view v as select * from t");
      f.assertEqual();
      assertEquals("[]", f.ds.status().suspects().toString());
      try (Connection c = f.pair.target()) {
        assertEquals(
            "0", Fixture.value(c, "select count(*) from pg_class where relpersistence = 't'"));
        assertEquals("1", Fixture.value(c, "select count(*) from v"));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("majors")
  void whatAnEventTriggerWritesIsMirrored(int major) throws SQLException {
    try (Fixture f =
        Fixture.shared(
            major,
            "create table t(id int primary key); insert into t values (1); create table ddl_log(id serial primary key, tag text);"
                + " create table parts(id int primary key) partition by range (id); create table parts_1 partition of parts for values from (0) to (100);"
                + " insert into parts values (1)",
            b -> {})) {
      f.pair.executeSource(
          "create function log_ddl() returns event_trigger language plpgsql as 'begin insert into public.ddl_log(tag) values (tg_tag); end';"
              + " create event trigger log_ddl on ddl_command_end execute function log_ddl()");
      f.ready();
      try (Connection c = f.connect();
          Statement s = c.createStatement()) {
        s.execute("create table n(id int primary key)");
        s.execute("create table m as select * from t");
        s.execute("alter table t add column v int");
        s.execute("alter table parts add column v int");
        s.execute("insert into t values (2, 2)");
        s.execute("create temp table x(id int)");
        s.execute("drop table x");
        c.setAutoCommit(false);
        s.execute("alter table t add column w int");
        s.execute("drop table n");
        s.execute("insert into t values (3, 3, 3)");
        c.commit();
        c.setAutoCommit(true);
        assertEquals("[]", f.ds.status().suspects().toString());
        assertEquals("8", Fixture.value(c, "select count(*) from ddl_log"));
        f.assertEqual();
        s.execute("create index concurrently on t(v)");
        assertEquals("9", Fixture.value(c, "select count(*) from ddl_log"));
      }
      f.assertDrained();
      Fixture.await("reconciled", () -> f.ds.status().suspects().isEmpty());
      f.assertEqual();
    }
  }

  @Test
  void theAuditFindsAWriteThatCameThroughADoorWeDoNotKnow() throws SQLException {
    try (Fixture f =
        Fixture.shared(
            DDL
                + "create function writes(int, int) returns int language sql as 'insert into audit values ($1); select $2';"
                + " create operator ### (leftarg = int, rightarg = int, function = writes)")) {
      f.open(b -> b.set(Setting.AUDIT, "true")).ready();
      try (Connection c = f.connect();
          Statement s = c.createStatement()) {
        s.execute("select * from t");
        s.execute("select nextval('s') from (select 1) x where false and 'a' = 'b'");
      } catch (SQLException noSuchSequence) {
        assertEquals("42P01", noSuchSequence.getSQLState());
      }
      assertEquals(0, f.counter("audit.uncaptured"));
      try (Connection c = f.connect();
          Statement s = c.createStatement()) {
        s.execute("select 1 ### 2");
        assertEquals(1, f.counter("audit.uncaptured"));
        c.setAutoCommit(false);
        s.execute("select * from t for update");
        c.commit();
        assertEquals(1, f.counter("audit.uncaptured"));
        s.execute("select 1 ### 2");
        c.commit();
        assertEquals(2, f.counter("audit.uncaptured"));
      }
    }
  }

  /** The driver counts none of the rows that it throws away. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "?reWriteBatchedInserts=true",
        "?preferQueryMode=simple",
        "?prepareThreshold=1",
        "?autosave=always"
      })
  void aBatchOfValuesThatReturnsRowsIsCaptured(String option) throws Exception {
    try (Fixture f =
        Fixture.shared(
            "create table k(id int primary key, v text); create table n(id int, v text); create table o(id int primary key, v text)")) {
      f.open(b -> b.source(f.pair.sourceUrl() + option, "postgres", "postgres")).ready();
      try (Connection c = f.connect()) {
        for (boolean autoCommit : new boolean[] {true, false}) {
          c.setAutoCommit(autoCommit);
          for (String sql :
              List.of(
                  "insert into k values (?, 'a') returning id",
                  "insert into n values (?, 'a') returning *",
                  "insert into o values (?, 'a') on conflict do nothing returning v",
                  "delete from k where id = ? - 1 returning v",
                  "update o set v = 'b' where id = ? - 1 returning v")) {
            try (PreparedStatement p = c.prepareStatement(sql)) {
              for (int i = 0; i < 3; i++) {
                p.setInt(1, autoCommit ? i : 10 + i);
                p.addBatch();
              }
              p.executeBatch();
            }
            if (!autoCommit) {
              c.commit();
            }
          }
        }
      }
      f.assertEqual();
      assertEquals("[]", f.ds.status().suspects().toString());
      try (Connection t = f.pair.target()) {
        assertEquals(
            "2 6 6",
            Fixture.value(
                t,
                "select concat_ws(' ', (select count(*) from k), (select count(*) from n), (select count(*) from o))"));
      }
    }
  }
}
