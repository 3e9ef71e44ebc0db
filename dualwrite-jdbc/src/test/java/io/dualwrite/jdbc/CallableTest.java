package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.config.Setting;
import io.dualwrite.converge.Reconcile;
import io.dualwrite.embedded.TcpProxy;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.math.BigDecimal;
import java.sql.Array;
import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.JDBCType;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Calendar;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Calls of routines: what comes back is the driver's, what they write is on both sides. */
class CallableTest {

  private static final String DDL =
      """
      create table t(id int primary key, v int);
      create table nokey(v int);
      create function add(a int, b int) returns int language plpgsql as
        'begin insert into t values (a, b); return a + b; end';
      create function total(a int, b int) returns int stable language sql as 'select a + b';
      create function outs(a int, out x int, out y text) language plpgsql as
        'begin insert into nokey values (a); x := a + 1; y := ''y'' || a; end';
      create function inout_one(inout a int) language plpgsql as
        'begin insert into nokey values (a); a := a * 2; end';
      create procedure put(a int, inout b int) language plpgsql as
        'begin insert into t values (a, b); b := b * 10; end';
      create procedure plain(a int) language sql as 'insert into t values (a, 0)';
      create procedure commits(a int) language plpgsql as
        'begin insert into t values (a, 1); commit; perform pg_sleep(1.1); insert into t values (a + 1, 2); commit; end';
      create procedure outlives(a int) language plpgsql as
        'begin insert into t values (a, 1); commit; perform pg_advisory_lock(4711); insert into t values (a + 1, 2); commit; end';
      create function fails(a int) returns int language plpgsql as
        'begin insert into t values (a, a); raise exception ''no''; end';
      create function cursor_of() returns refcursor language plpgsql as
        'declare c refcursor; begin insert into nokey values (99); open c for select id, v from t order by id; return c; end';
      create function typed(out b boolean, out s smallint, out l bigint, out r real, out d double precision, out n numeric, out c varchar, out da date, out ti time, out ts timestamp, out by bytea, out ar int[]) stable language sql as
        'select true, 2::smallint, 3::bigint, 1.5::real, 2.5::float8, 1.25::numeric, ''x''::varchar, date ''2024-01-02'', time ''03:04:05'', timestamp ''2024-01-02 03:04:05'', ''\\x01''::bytea, ''{1,2}''::int[]';
      create function makes(a int, out b int) language plpgsql as
        'begin execute ''create table made_'' || a || ''(id int primary key)''; execute ''insert into made_'' || a || '' values (7)''; b := a; end';
      create procedure makes_too(a int, inout b int) language plpgsql as
        'begin execute ''create table made_'' || a || ''(id int primary key)''; b := a; end';
      """;

  private Fixture fixture;

  @BeforeEach
  void start() throws SQLException {
    fixture = Fixture.shared(DDL).ready();
  }

  @AfterEach
  void stop() {
    fixture.close();
  }

  private void assertMirrored() throws SQLException {
    fixture.assertEqual();
    assertEquals(List.of(), fixture.ds.status().suspects());
    assertEquals(List.of(), fixture.ds.status().parked());
  }

  @FunctionalInterface
  private interface Use {
    Object of(CallableStatement s) throws SQLException;
  }

  /** What it answers, or the error. */
  private static String seen(Connection c, String sql, Use use) {
    try (CallableStatement s = c.prepareCall(sql)) {
      return String.valueOf(use.of(s));
    } catch (SQLException e) {
      return e.getClass().getSimpleName() + " " + e.getSQLState() + " " + e.getMessage();
    }
  }

  /** The same calls on any connection. */
  private static List<String> calls(Connection c) throws SQLException {
    List<String> seen = new ArrayList<>();
    seen.add(
        seen(
            c,
            "{? = call add(?, ?)}",
            s -> {
              s.registerOutParameter(1, Types.INTEGER);
              s.setInt(2, 1);
              s.setInt(3, 10);
              boolean rows = s.execute();
              String first = rows + " " + s.getInt(1) + s.wasNull() + s.getUpdateCount();
              s.setInt(2, 2);
              return first + s.executeUpdate() + s.getObject(1) + s.getObject(1, Integer.class);
            }));
    seen.add(
        seen(
            c,
            "{?= call total(?, ?)}",
            s -> {
              s.registerOutParameter(1, JDBCType.INTEGER);
              s.setInt(2, 3);
              s.setInt(3, 4);
              s.execute();
              return s.getInt(1) + s.getString(1);
            }));
    seen.add(
        seen(
            c,
            "{call outs(?, ?, ?)}",
            s -> {
              s.setInt(1, 5);
              s.registerOutParameter(2, Types.INTEGER);
              s.registerOutParameter(3, Types.VARCHAR, "text");
              s.execute();
              return s.getInt(2) + s.getString(3) + s.getInt(1);
            }));
    seen.add(
        seen(
            c,
            "{call outs(?, ?, ?)}",
            s -> {
              s.setInt(1, 6);
              s.registerOutParameter(2, Types.INTEGER);
              s.registerOutParameter(3, Types.VARCHAR);
              s.execute();
              return s.getInt(2) + s.getString(3);
            }));
    seen.add(
        seen(
            c,
            "{call inout_one(?)}",
            s -> {
              s.registerOutParameter(1, Types.INTEGER, 0);
              s.setInt(1, 21);
              s.execute();
              return s.getInt(1);
            }));
    seen.add(
        seen(
            c,
            "call put(?, ?)",
            s -> {
              s.setInt(1, 30);
              s.setInt(2, 3);
              s.registerOutParameter(2, Types.INTEGER);
              s.execute();
              return s.getInt(2);
            }));
    seen.add(
        seen(
            c,
            "call plain(?)",
            s -> {
              s.setInt(1, 31);
              return s.executeUpdate();
            }));
    seen.add(
        seen(
            c,
            "call plain(?)",
            s -> {
              for (int i = 40; i < 43; i++) {
                s.setInt(1, i);
                s.addBatch();
              }
              return Arrays.toString(s.executeBatch());
            }));
    seen.add(
        seen(
            c,
            "{call add(?, ?)}",
            s -> {
              s.setInt(1, 50);
              s.setInt(2, 5);
              try (ResultSet r = s.executeQuery()) {
                return r.next() + " " + r.getInt(1);
              }
            }));
    seen.add(seen(c, "{? = call fails(?)}", CallableTest::callFails));
    seen.add(seen(c, "{? = call missing(?)}", CallableTest::callFails));
    seen.add(seen(c, "{? = call fails(?", CallableTest::callFails));
    seen.add(seen(c, "{call add(?, ?)}", CallableStatement::execute));
    seen.add(seen(c, "{call add(?, ?)}", s -> s.getInt(1)));
    seen.add(
        seen(
            c,
            "insert into t values (?, ?)",
            s -> {
              s.setInt(1, 60);
              s.setInt(2, 6);
              return s.executeUpdate();
            }));
    seen.add(
        seen(
            c,
            "update t set v = v + 1 where id > ?",
            s -> {
              s.setInt(1, 40);
              return s.executeUpdate();
            }));
    seen.add(seen(c, "select v from t where id = 60", s -> s.execute()));
    return seen;
  }

  private static Object callFails(CallableStatement s) throws SQLException {
    s.registerOutParameter(1, Types.INTEGER);
    s.setInt(2, 70);
    return s.execute();
  }

  @Test
  void callsAnswerAsTheDrivers() throws SQLException {
    List<String> theirs;
    try (Connection c = fixture.pair.source()) {
      theirs = calls(c);
    }
    fixture.close();
    start();
    try (Connection c = fixture.connect()) {
      assertEquals(String.join("\n", theirs), String.join("\n", calls(c)));
      assertTrue(fixture.counter("mirrored.routine") >= 9);
      assertTrue(fixture.counter("captured.read-back") >= 9);
    }
    assertMirrored();
  }

  @Test
  void everyGetterAndSetterIsTheDrivers() throws Exception {
    String sql = "{call typed(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)}";
    int[] types = {
      Types.BIT, Types.SMALLINT, Types.BIGINT, Types.REAL, Types.DOUBLE, Types.NUMERIC,
      Types.VARCHAR, Types.DATE, Types.TIME, Types.TIMESTAMP, Types.BINARY, Types.ARRAY
    };
    try (Connection raw = fixture.pair.source();
        Connection c = fixture.connect();
        CallableStatement theirs = raw.prepareCall(sql);
        CallableStatement ours = c.prepareCall(sql)) {
      for (int i = 0; i < types.length; i++) {
        theirs.registerOutParameter(i + 1, types[i]);
        ours.registerOutParameter(i + 1, types[i]);
      }
      assertEquals(theirs.execute(), ours.execute());
      int compared = 0;
      for (Method m : CallableStatement.class.getMethods()) {
        if (m.getDeclaringClass() != CallableStatement.class) {
          continue;
        }
        for (int i = 1; i <= types.length; i++) {
          Object[] args = new Object[m.getParameterCount()];
          for (int j = 0; j < args.length; j++) {
            Class<?> p = m.getParameterTypes()[j];
            args[j] =
                p == int.class
                    ? (Object) i
                    : p == String.class
                        ? "p" + i
                        : p == Class.class
                            ? String.class
                            : p == Map.class
                                ? Map.of()
                                : p == Calendar.class
                                    ? Calendar.getInstance()
                                    : p == BigDecimal.class ? BigDecimal.ONE : some(p);
          }
          if (m.getName().equals("registerOutParameter") && m.getParameterTypes()[0] == int.class) {
            continue;
          }
          assertEquals(answer(m, theirs, args), answer(m, ours, args), m + " " + i);
          compared++;
        }
      }
      assertTrue(compared > 1000, "" + compared);
      assertInstanceOf(DwArray.class, ours.getArray(12));
      assertInstanceOf(DwArray.class, ours.getObject(12));
      assertSame(c, ours.getConnection());
    }
  }

  private static Object some(Class<?> p) {
    return p == boolean.class
        ? (Object) true
        : p == long.class
            ? (Object) 1L
            : p == short.class
                ? (Object) (short) 1
                : p == byte.class
                    ? (Object) (byte) 1
                    : p == float.class ? (Object) 1f : p == double.class ? (Object) 1d : null;
  }

  private static String answer(Method m, Object on, Object[] args) throws Exception {
    try {
      Object o = m.invoke(on, args);
      return o instanceof byte[] b ? Arrays.toString(b) : o instanceof Array a ? "" + a : "" + o;
    } catch (InvocationTargetException e) {
      return e.getCause().getClass() + " " + e.getCause().getMessage();
    }
  }

  @Test
  void aCursorIsWrapped() throws SQLException {
    fixture.execute("insert into t values (1, 2)");
    try (Connection c = fixture.connect()) {
      c.setAutoCommit(false);
      for (int type : new int[] {Types.REF_CURSOR, Types.OTHER}) {
        try (CallableStatement s = c.prepareCall("{? = call cursor_of()}")) {
          s.registerOutParameter(1, type);
          s.execute();
          ResultSet r = assertInstanceOf(DwResultSet.class, s.getObject(1));
          assertTrue(r.next());
          assertEquals(2, r.getInt("v"));
          assertSame(c, r.getStatement().getConnection());
        }
      }
      c.commit();
    }
    assertMirrored();
  }

  @Test
  void aProcedureThatCommitsIsCalledInAutocommit() throws SQLException {
    fixture.open(b -> b.set(Setting.RECONCILE, "manual")).ready();
    try (Connection c = fixture.connect();
        CallableStatement s = c.prepareCall("call commits(?)")) {
      // it lasts so long that the server takes the session's counts away as soon as it is over
      s.setInt(1, 1);
      s.execute();
      c.setAutoCommit(false);
      s.setInt(1, 10);
      assertEquals("2D000", assertThrows(SQLException.class, s::execute).getSQLState());
      c.rollback();
    }
    assertEquals(1, fixture.ds.status().suspects().size());
    assertEquals(1, fixture.ds.reconcile());
    assertMirrored();
  }

  /** Its client is gone, which the primary does not know: it goes on, and so does the doubt. */
  @Test
  void aProcedureThatCommitsOutlivesItsClient() throws Exception {
    try (TcpProxy network = new TcpProxy("localhost", fixture.pair.sourceServer().port());
        Connection c = fixture.pair.source();
        Statement gate = c.createStatement()) {
      gate.execute("select pg_advisory_lock(4711)");
      String url =
          fixture
              .pair
              .sourceUrl()
              .replace(":" + fixture.pair.sourceServer().port(), ":" + network.port());
      fixture
          .open(b -> b.source(url, "postgres", "postgres").set(Setting.RECONCILE, "manual"))
          .ready();
      AtomicReference<SQLException> error = new AtomicReference<>();
      Thread caller =
          new Thread(
              () -> {
                try {
                  fixture.execute("call outlives(1)");
                } catch (SQLException e) {
                  error.set(e);
                }
              });
      caller.start();
      Fixture.await("it is in its middle", () -> rows(gate) == 1);
      network.cut();
      caller.join();
      assertTrue(error.get().getSQLState().startsWith("08"), () -> error.get().toString());
      assertEquals("*", fixture.ds.status().suspects().get(0).table().name());
      AtomicInteger closed = new AtomicInteger();
      Thread reconcile =
          new Thread(
              () -> {
                try {
                  closed.set(fixture.ds.reconcile());
                } catch (SQLException e) {
                  error.set(e);
                }
              });
      reconcile.start();
      Fixture.await(
          "reconcile waits for it",
          () -> !reconcile.isAlive() || LockSupport.getBlocker(reconcile) instanceof Reconcile);
      gate.execute("select pg_advisory_unlock(4711)");
      reconcile.join();
      Fixture.await("it has ended", () -> rows(gate) == 2);
      assertEquals(1, closed.get());
      assertMirrored();
    }
  }

  private static int rows(Statement s) throws SQLException {
    try (ResultSet r = s.executeQuery("select count(*) from t")) {
      r.next();
      return r.getInt(1);
    }
  }

  @Test
  void aRoutineThatChangesTheCatalogRunsOnTheMirrorToo() throws SQLException {
    try (Connection c = fixture.connect()) {
      try (CallableStatement s = c.prepareCall("{? = call makes(?)}")) {
        s.registerOutParameter(1, Types.INTEGER);
        s.setInt(2, 1);
        s.execute();
        assertEquals(1, s.getInt(1));
      }
      try (CallableStatement s = c.prepareCall("{call makes(?, ?)}")) {
        s.setInt(1, 2);
        s.registerOutParameter(2, Types.INTEGER);
        s.execute();
        assertEquals(2, s.getInt(2));
      }
      try (CallableStatement s = c.prepareCall("call makes_too(?, ?)")) {
        s.setInt(1, 3);
        s.registerOutParameter(2, Types.INTEGER);
        s.execute();
        assertEquals(3, s.getInt(2));
      }
    }
    fixture.assertDrained();
    fixture.ds.reconcile(); // what they wrote to a new table is not captured
    assertMirrored();
    try (Connection t = fixture.pair.target();
        Statement s = t.createStatement();
        ResultSet r =
            s.executeQuery("select count(*) from pg_tables where tablename like 'made_%'")) {
      r.next();
      assertEquals(3, r.getInt(1));
    }
  }

  @Test
  void aRolledBackCallLeavesNothingAndPoliciesHold() throws SQLException {
    try (Connection c = fixture.connect()) {
      c.setAutoCommit(false);
      try (CallableStatement s = c.prepareCall("{? = call add(1, 2)}")) {
        s.registerOutParameter(1, Types.INTEGER);
        s.execute();
      }
      c.rollback();
    }
    assertMirrored();
    fixture.open(b -> b.set(Setting.POLICY_ROUTINE, "reject")).ready();
    try (Connection c = fixture.connect()) {
      try (CallableStatement s = c.prepareCall("{? = call add(1, 2)}")) {
        s.registerOutParameter(1, Types.INTEGER);
        assertEquals(Refusal.SQLSTATE, assertThrows(SQLException.class, s::execute).getSQLState());
      }
      // that one cannot write
      try (CallableStatement s = c.prepareCall("{? = call total(1, 2)}")) {
        s.registerOutParameter(1, Types.INTEGER);
        s.execute();
        assertEquals(3, s.getInt(1));
      }
    }
    assertMirrored();
  }

  @Test
  void theStatementSurvivesAChangeOfRoles() throws SQLException {
    try (Connection c = fixture.connect();
        CallableStatement s = c.prepareCall("{? = call add(?, ?)}")) {
      s.registerOutParameter(1, Types.INTEGER);
      s.setInt(2, 1);
      s.setInt(3, 1);
      s.execute();
      fixture.ds.cutover(java.time.Duration.ofSeconds(10));
      s.setInt(2, 2);
      s.execute();
      assertEquals(3, s.getInt(1));
    }
    assertMirrored();
  }
}
