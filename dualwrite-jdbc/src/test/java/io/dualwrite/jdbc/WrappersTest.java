package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.InputStream;
import java.io.Reader;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.SQLFeatureNotSupportedException;
import java.sql.Statement;
import java.util.Arrays;
import java.util.Calendar;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.postgresql.PGConnection;
import org.postgresql.PGRefCursorResultSet;
import org.postgresql.PGResultSetMetaData;
import org.postgresql.PGStatement;
import org.postgresql.core.BaseConnection;
import org.postgresql.jdbc.AutoSave;
import org.postgresql.jdbc.PgArray;
import org.postgresql.jdbc.PgConnection;
import org.postgresql.jdbc.PgResultSet;

class WrappersTest {

  private static Connection raw;
  private static Fixture fixture;
  private static Connection connection;

  @BeforeAll
  static void connect() throws SQLException {
    fixture =
        Fixture.shared(
            "create table t(id int primary key, v text, a int[]); insert into t values (1, 'one', '{1,2}'), (2, null, null)");
    raw = fixture.pair.source();
    connection = fixture.connect();
  }

  @AfterAll
  static void close() throws SQLException {
    connection.close();
    raw.close();
    fixture.close();
  }

  // ---------------------------------------------------------------- the same answers as the driver

  private static final String ROW =
      "select 1 as n, 'x' as s, 1.50 as d, true as b, timestamptz '2024-01-02 03:04:05.6+00' as ts,"
          + " date '2024-01-02' as day, '\\x0102'::bytea as bytes, '{1,2}'::int[] as arr, null::text"
          + " as nil, '<a/>'::xml as x, 7.25::float8 as f";

  @Test
  void everyGetterAnswersAsTheDrivers() throws Exception {
    try (Statement rawStatement = raw.createStatement();
        Statement statement = connection.createStatement();
        ResultSet expected = rawStatement.executeQuery(ROW);
        ResultSet plain = statement.executeQuery(ROW);
        Statement other = raw.createStatement();
        ResultSet trimmed =
            DwResultSet.of(other.executeQuery(ROW + ", 8 as hidden"), statement, 11)) {
      Set<String> compared = new java.util.TreeSet<>();
      assertTrue(expected.next() && plain.next() && trimmed.next());
      String[] labels = {
        "n", "s", "d", "b", "ts", "day", "bytes", "arr", "nil", "x", "f", "hidden"
      };
      for (Method m : ResultSet.class.getMethods()) {
        if (!m.getName().startsWith("get")
            || m.getParameterCount() == 0
            || Set.of("getBlob", "getClob").contains(m.getName())) { // refused
          continue;
        }
        boolean index = m.getParameterTypes()[0] == int.class;
        for (int i = 0; i <= 12; i++) {
          Object column = index ? (Object) i : (i == 0 ? "NoSuch" : labels[i - 1]);
          Object[] args = arguments(m, column);
          String answer = answer(m, expected, args);
          assertEquals(answer, answer(m, plain, args), m + " " + column);
          if (!answer.startsWith(ArrayIndexOutOfBoundsException.class.getName())
              && !answer.startsWith(SQLFeatureNotSupportedException.class.getName())) {
            // where the driver does not check the index (getObject(index, Class), or what it has
            // not implemented), we do
            assertEquals(answer, answer(m, trimmed, args), m + " " + column + " trimmed");
          }
          compared.add(m.toString());
        }
      }
      assertTrue(compared.size() >= 60, compared.size() + " methods compared");
      for (Method m : ResultSetMetaData.class.getMethods()) {
        for (int i = 1; i <= 11 && !ENDS.contains(m.getName()); i++) {
          Object[] args = m.getParameterCount() == 0 ? new Object[0] : new Object[] {i};
          assertEquals(
              answer(m, expected.getMetaData(), args),
              answer(m, trimmed.getMetaData(), args),
              "" + m);
        }
      }
      assertEquals(
          ((PGResultSetMetaData) expected.getMetaData()).getFormat(1),
          trimmed.getMetaData().unwrap(PGResultSetMetaData.class).getFormat(1));
    }
  }

  private static final Set<String> ENDS =
      Set.of("close", "abort", "cancel", "free", "unwrap", "isWrapperFor", "beginRequest");

  /** Calls without arguments, or with one column or name, on two objects of the same state. */
  private static int compare(Class<?> type, Object expected, Object actual, Object argument) {
    int n = 0;
    for (Method m : type.getMethods()) {
      // the driver forgot to refuse this one, with a text, on a prepared statement
      boolean forgotten =
          type == PreparedStatement.class
              && m.getName().equals("executeLargeUpdate")
              && m.getParameterCount() == 1;
      if (forgotten
          || ENDS.contains(m.getName())
          || m.getParameterCount() > 1
          || (m.getParameterCount() == 1
              && (argument == null || !m.getParameterTypes()[0].isInstance(argument)))) {
        continue;
      }
      Object[] args = m.getParameterCount() == 0 ? new Object[0] : new Object[] {argument};
      assertEquals(answer(m, expected, args), answer(m, actual, args), "" + m);
      n++;
    }
    return n;
  }

  @Test
  void statementsAndMetadataAnswerAsTheDrivers() throws Exception {
    // two connections, so that both go through the same states
    try (Connection one = fixture.pair.source();
        Connection wrapped = fixture.connect()) {
      assertTrue(
          compare(DatabaseMetaData.class, one.getMetaData(), wrapped.getMetaData(), null) > 130);
      assertTrue(compare(Connection.class, one, wrapped, null) > 15);
      try (Statement e = one.createStatement();
          Statement a = wrapped.createStatement()) {
        assertTrue(compare(Statement.class, e, a, "select 1") > 20);
      }
      try (PreparedStatement e = one.prepareStatement("select ?::int, 2");
          PreparedStatement a = wrapped.prepareStatement("select ?::int, 2")) {
        e.setInt(1, 7);
        a.setInt(1, 7);
        assertEquals(e.toString(), a.toString());
        assertTrue(compare(PreparedStatement.class, e, a, "select 1") > 20);
      }
    }
  }

  private static Object[] arguments(Method m, Object column) {
    Object[] args = new Object[m.getParameterCount()];
    args[0] = column;
    for (int i = 1; i < args.length; i++) {
      Class<?> t = m.getParameterTypes()[i];
      if (t == int.class) {
        args[i] = 2;
      } else if (t == Class.class) {
        args[i] = String.class;
      } else if (t == Map.class) {
        args[i] = Map.of();
      } else if (t == Calendar.class) {
        args[i] = Calendar.getInstance();
      } else {
        throw new AssertionError("no argument for " + m);
      }
    }
    return args;
  }

  /** What a call answers or throws, as text. */
  private static String answer(Method m, Object on, Object... args) {
    try {
      return text(m.invoke(on, args));
    } catch (InvocationTargetException e) {
      Throwable t = e.getCause();
      return t.getClass().getName()
          + ": "
          + t.getMessage()
          + (t instanceof SQLException s ? " " + s.getSQLState() : "");
    } catch (ReflectiveOperationException e) {
      throw new LinkageError(e.getMessage(), e);
    }
  }

  private static String text(Object o) {
    try {
      if (o instanceof InputStream i) {
        return Arrays.toString(i.readAllBytes());
      }
      if (o instanceof Reader r) {
        java.io.StringWriter w = new java.io.StringWriter();
        r.transferTo(w);
        return w.toString();
      }
      if (o instanceof java.sql.SQLXML x) {
        return x.getString();
      }
      if (o instanceof ResultSet r) {
        int n = 0;
        while (r.next()) {
          n++;
        }
        return "result " + n;
      }
      if (o instanceof ResultSetMetaData m) {
        return "columns " + m.getColumnCount();
      }
    } catch (Exception e) {
      return e.toString();
    }
    if (o instanceof Connection || o instanceof Statement || o instanceof DatabaseMetaData) {
      return "an object";
    }
    if (o instanceof java.sql.ParameterMetaData
        || o instanceof java.sql.Savepoint
        || o instanceof java.sql.Blob
        || o instanceof java.sql.Clob) {
      return "an object";
    }
    if (o instanceof Object[] a) {
      return Arrays.deepToString(a);
    }
    if (o instanceof byte[] b) {
      return Arrays.toString(b);
    }
    if (o instanceof int[] b) {
      return Arrays.toString(b);
    }
    if (o instanceof long[] b) {
      return Arrays.toString(b);
    }
    if (o instanceof Map<?, ?> m) {
      Map<String, String> sorted = new TreeMap<>();
      new HashMap<>(m).forEach((k, v) -> sorted.put("" + k, "" + v));
      return sorted.toString();
    }
    return String.valueOf(o);
  }

  // ---------------------------------------------------------------- nothing leads to the raw
  // connection

  @Test
  void noResultLeadsToTheRawConnection() throws Exception {
    try (Statement s = connection.createStatement();
        ResultSet r = s.executeQuery("select array[1,2] as a, array[[1],[2]] as b")) {
      assertSame(s, r.getStatement());
      assertTrue(r.next());
      for (Object o :
          new Object[] {
            r.getArray(1),
            r.getArray("a"),
            r.getObject(1),
            r.getObject("a"),
            r.getObject(1, Array.class),
            r.getObject("b", Array.class),
            r.getObject(1, Map.of()),
            connection.createArrayOf("int4", new Object[] {1})
          }) {
        Array a = assertInstanceOf(DwArray.class, o);
        for (ResultSet elements :
            new ResultSet[] {
              a.getResultSet(),
              a.getResultSet(Map.of()),
              a.getResultSet(1, 1),
              a.getResultSet(1, 1, Map.of())
            }) {
          assertSame(connection, elements.getStatement().getConnection());
          assertFalse(elements.getStatement().isWrapperFor(PGStatement.class));
          assertTrue(elements.next());
        }
      }
    }
  }

  @Test
  void aCursorReadAsAnObjectIsWrapped() throws Exception {
    fixture.pair.execute(
        "create or replace function open_one() returns refcursor stable language plpgsql as $$"
            + " declare c refcursor; begin open c for select 42 as answer; return c; end $$");
    connection.setAutoCommit(false);
    try (Statement s = connection.createStatement();
        ResultSet r = s.executeQuery("select open_one()")) {
      assertTrue(r.next());
      ResultSet cursor = assertInstanceOf(DwResultSet.class, r.getObject(1));
      assertTrue(cursor.next());
      assertEquals(42, cursor.getInt("answer"));
      assertSame(connection, cursor.getStatement().getConnection());
    } finally {
      connection.rollback();
      connection.setAutoCommit(true);
    }
  }

  @Test
  void metadataLeadsToOurConnection() throws Exception {
    DatabaseMetaData m = connection.getMetaData();
    assertSame(connection, m.getConnection());
    int results = 0;
    for (Method method : DatabaseMetaData.class.getMethods()) {
      if (method.getReturnType() != ResultSet.class) {
        continue;
      }
      Object[] args = new Object[method.getParameterCount()];
      for (int i = 0; i < args.length; i++) {
        Class<?> t = method.getParameterTypes()[i];
        args[i] = t == boolean.class ? (Object) false : t == int.class ? (Object) 0 : null;
        if (t == String.class && i == 2) {
          args[i] = "t";
        }
      }
      ResultSet r;
      try {
        r = (ResultSet) method.invoke(m, args);
      } catch (InvocationTargetException e) {
        assertInstanceOf(SQLException.class, e.getCause(), "" + method);
        continue;
      }
      assertSame(connection, r.getStatement().getConnection(), "" + method);
      assertInstanceOf(DetachedStatement.class, r.getStatement());
      Statement made = r.getStatement();
      r.getStatement().close();
      assertTrue(made.isClosed());
      results++;
    }
    assertTrue(results >= 20, results + " results");
  }

  @Test
  void aDetachedStatementRunsNothing() throws Exception {
    try (ResultSet r = connection.getMetaData().getCatalogs()) {
      Statement s = r.getStatement();
      int refused = 0;
      for (Method m : Statement.class.getMethods()) {
        if (m.getName().startsWith("execute") || m.getName().equals("addBatch")) {
          Object[] args = new Object[m.getParameterCount()];
          for (int i = 0; i < args.length; i++) {
            Class<?> t = m.getParameterTypes()[i];
            args[i] =
                t == String.class
                    ? "delete from t"
                    : t == int.class ? 1 : t == int[].class ? new int[] {1} : new String[] {"id"};
          }
          assertTrue(answer(m, s, args).contains("create one from the connection"), "" + m);
          refused++;
        }
      }
      assertEquals(16, refused);
      assertThrows(SQLException.class, () -> s.unwrap(PGStatement.class));
      assertFalse(s.isWrapperFor(PGStatement.class));
    }
  }

  // ---------------------------------------------------------------- hidden columns

  @Test
  void hiddenColumnsAreInvisible() throws Exception {
    try (Statement s = raw.createStatement();
        ResultSet r =
            DwResultSet.of(
                s.executeQuery("select id, v, id as key, v as \"V\" from t order by id"), s, 2)) {
      assertEquals(2, r.getMetaData().getColumnCount());
      String beforeFirst = assertThrows(SQLException.class, () -> r.getInt(3)).getMessage();
      assertTrue(beforeFirst.contains("ResultSet not positioned properly"), beforeFirst);
      assertTrue(r.next());
      assertEquals(1, r.getInt("ID"));
      assertEquals("one", r.getString("V"));
      SQLException byIndex = assertThrows(SQLException.class, () -> r.getInt(3));
      assertEquals(
          "The column index is out of range: 3, number of columns: 2.", byIndex.getMessage());
      assertEquals("22023", byIndex.getSQLState());
      SQLException zero = assertThrows(SQLException.class, () -> r.getObject(0, String.class));
      assertEquals("The column index is out of range: 0, number of columns: 2.", zero.getMessage());
      SQLException byName = assertThrows(SQLException.class, () -> r.findColumn("key"));
      assertEquals("The column name key was not found in this ResultSet.", byName.getMessage());
      assertEquals("42703", byName.getSQLState());
      assertThrows(SQLException.class, () -> r.getInt("key"));
      assertThrows(SQLException.class, () -> r.getMetaData().getColumnName(3));
      assertTrue(r.next());
      assertNull(r.getString(2));
      assertTrue(r.wasNull());
      r.getStatement().close();
      String closed = assertThrows(SQLException.class, () -> r.getInt(3)).getMessage();
      assertTrue(closed.contains("closed"), closed);
    }
  }

  @Test
  void aHiddenColumnOfAnotherSpellingIsNotInTheWay() throws Exception {
    String url = raw.unwrap(PgConnection.class).getURL();
    try (Connection c =
            java.sql.DriverManager.getConnection(
                url + "?disableColumnSanitiser=true&user=postgres&password=postgres");
        Statement s = c.createStatement();
        ResultSet r = DwResultSet.of(s.executeQuery("select 1 as \"ID\", 2 as id"), s, 1)) {
      assertTrue(r.next());
      assertEquals(1, r.getInt("id"));
      assertEquals(1, r.findColumn("ID"));
    }
  }

  // ---------------------------------------------------------------- rows do not change through
  // results

  @Test
  @SuppressWarnings("deprecation")
  void aReadOnlyResultRefusesInTheDriversWords() throws Exception {
    try (Statement rawStatement = raw.createStatement();
        ResultSet expected = rawStatement.executeQuery("select 1");
        Statement s = connection.createStatement();
        ResultSet r = s.executeQuery("select 1")) {
      int refused = 0;
      assertTrue(expected.next() && r.next());
      for (Method m : ResultSet.class.getMethods()) {
        if (m.getName().startsWith("update")
            || Set.of("insertRow", "deleteRow", "moveToInsertRow").contains(m.getName())) {
          Object[] args = new Object[m.getParameterCount()];
          for (int i = 0; i < args.length; i++) {
            args[i] = some(m.getParameterTypes()[i]);
          }
          String answer = answer(m, expected, args);
          assertTrue(answer.contains("xception"), m + " " + answer);
          assertEquals(answer, answer(m, r, args), "" + m);
          refused++;
        }
      }
      assertTrue(refused > 80, refused + " methods");
      assertNull(r.unwrap(PGRefCursorResultSet.class).getRefCursor());
      assertTrue(r.isWrapperFor(PGRefCursorResultSet.class));
      assertThrows(SQLException.class, () -> r.unwrap(PgResultSet.class));
      assertFalse(r.isWrapperFor(PgResultSet.class));
      assertSame(r, r.unwrap(ResultSet.class));
    }
  }

  @Test
  void whatTheDriverOffersBeyondJdbcIsItsOwn() throws Exception {
    try (Connection one = fixture.pair.source();
        Connection wrapped = fixture.connect()) {
      BaseConnection theirs = one.unwrap(BaseConnection.class);
      BaseConnection ours = wrapped.unwrap(BaseConnection.class);
      assertSame(ours, wrapped.unwrap(PGConnection.class));
      assertSame(ours, ours.unwrap(PGConnection.class));
      assertSame(wrapped, wrapped.unwrap(Connection.class));
      assertSame(wrapped, ours.createStatement().getConnection());
      assertEquals(
          theirs.createArrayOf("int4", new int[] {1, 2}).toString(),
          ours.createArrayOf("int4", new int[] {1, 2}).toString());
      assertInstanceOf(PgArray.class, DwArray.raw(ours.createArrayOf("int4", new Object[] {1, 2})));
      assertEquals(theirs.escapeIdentifier("a\"b"), ours.escapeIdentifier("a\"b"));
      assertEquals(theirs.escapeLiteral("a'b"), ours.escapeLiteral("a'b"));
      assertEquals(theirs.getParameterStatuses().keySet(), ours.getParameterStatuses().keySet());
      assertEquals(theirs.getPreferQueryMode(), ours.getPreferQueryMode());
      ours.setPrepareThreshold(1);
      assertEquals(1, ours.getPrepareThreshold());
      ours.setDefaultFetchSize(7);
      ours.setAutosave(AutoSave.CONSERVATIVE);
      ours.setAdaptiveFetch(true);
      ours.setQueryTimeout(3);
      ours.addDataType("point", MyPoint.class);
      try (PreparedStatement p = wrapped.prepareStatement("select point '(1,2)'")) {
        PGStatement driver = p.unwrap(PGStatement.class);
        assertEquals(1, driver.getPrepareThreshold());
        assertTrue(driver.isUseServerPrepare());
        driver.setPrepareThreshold(9);
        assertEquals(9, driver.getPrepareThreshold());
        assertTrue(driver.getAdaptiveFetch());
        assertEquals(7, p.getFetchSize());
        assertEquals(3, p.getQueryTimeout());
        try (ResultSet r = p.executeQuery()) {
          assertTrue(r.next());
          assertInstanceOf(MyPoint.class, r.getObject(1));
        }
      }
      ours.execSQLUpdate("listen dualwrite_wrappers");
      theirs.execSQLUpdate("notify dualwrite_wrappers, 'x'");
      assertEquals("x", ours.getNotifications(10_000)[0].getParameter());
      try (ResultSet r = ours.execSQLQuery("select pg_backend_pid()")) {
        assertTrue(r.next());
        assertEquals(r.getInt(1), ours.getBackendPID());
        assertSame(wrapped, r.getStatement().getConnection());
      }
      theirs.execSQLUpdate("select 1");
      ours.execSQLUpdate("select 1");
      assertEquals(
          assertThrows(SQLException.class, () -> theirs.execSQLQuery("set x.y = 1")).getMessage(),
          assertThrows(SQLException.class, () -> ours.execSQLQuery("set x.y = 1")).getMessage());
      ours.close();
      assertTrue(wrapped.isClosed());
      assertThrows(SQLException.class, () -> wrapped.unwrap(PGConnection.class));
    }
  }

  /** A class of the application's for a type of the server's. */
  public static final class MyPoint extends org.postgresql.geometric.PGpoint {
    private static final long serialVersionUID = 1;

    /** For the driver. */
    public MyPoint() {}
  }

  private static Object some(Class<?> t) {
    if (t == int.class) {
      return 1;
    } else if (t == long.class) {
      return 1L;
    } else if (t == short.class) {
      return (short) 1;
    } else if (t == byte.class) {
      return (byte) 1;
    } else if (t == float.class) {
      return 1f;
    } else if (t == double.class) {
      return 1d;
    } else if (t == boolean.class) {
      return true;
    } else if (t == String.class) {
      return "v";
    }
    return null;
  }

  // ---------------------------------------------------------------- parameters

  @Test
  void ourArrayIsBoundAsTheDriversOwn() throws Exception {
    try (PreparedStatement p = connection.prepareStatement("select ?::int[], ?::int[], ?::int[]")) {
      Array a = connection.createArrayOf("int4", new Object[] {1, null, 3});
      p.setArray(1, a);
      p.setObject(2, a);
      p.setObject(3, a, java.sql.Types.ARRAY);
      try (ResultSet r = p.executeQuery()) {
        assertTrue(r.next());
        for (int i = 1; i <= 3; i++) {
          assertArrayEquals(new Integer[] {1, null, 3}, (Integer[]) r.getArray(i).getArray());
        }
      }
      assertInstanceOf(PgArray.class, DwArray.raw(a));
    }
  }

  @Test
  void unwrapGivesOursFirst() throws Exception {
    assertSame(connection, connection.unwrap(Connection.class));
    // what is written through the driver's own connection would not be mirrored
    assertThrows(
        SQLFeatureNotSupportedException.class, () -> connection.unwrap(PgConnection.class));
    assertFalse(connection.isWrapperFor(PgConnection.class));
    assertTrue(connection.isWrapperFor(BaseConnection.class));
    assertTrue(connection.isWrapperFor(PGConnection.class));
    assertTrue(connection.isWrapperFor(DwConnection.class));
    try (Statement s = connection.createStatement()) {
      assertSame(s, s.unwrap(ForwardingStatement.class));
      assertFalse(s.isWrapperFor(String.class));
    }
  }
}
