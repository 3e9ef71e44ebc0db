package io.dualwrite.benchmarks;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import javax.sql.DataSource;
import net.bytebuddy.ByteBuddy;
import net.bytebuddy.dynamic.loading.ClassLoadingStrategy;
import net.bytebuddy.implementation.ExceptionMethod;
import net.bytebuddy.implementation.Implementation;
import net.bytebuddy.implementation.MethodCall;
import net.bytebuddy.matcher.ElementMatchers;

/**
 * A driver without a network: a few statements are answered from memory at once, so that what is
 * measured is the wrapper before it. The classes have hand-written methods for what the benchmarks
 * call; the rest of JDBC is filled in at run time, and forwards to a real connection or throws.
 */
final class Stub {

  /** The tables that the statements are about; a database under the stub has to have them. */
  static final String DDL =
      "create table narrow ("
          + columnList(2, " text")
          + "); create table wide ("
          + columnList(10, " text")
          + "); create table written (id bigint primary key, name text, amount double precision)";

  static final String INSERT = "insert into written (id, name, amount) values (?, ?, ?)";

  private static final Map<String, Integer> COLUMNS = Map.of(query(2), 2, query(10), 10, INSERT, 0);

  /** How many rows a query returns. */
  static int rows;

  /**
   * The mirror's connections are pooled: a commit that is handed on faster than it is done has to
   * wait somewhere.
   */
  private static final Semaphore MIRRORS = new Semaphore(8);

  private static final Queue<StubConnection> IDLE = new ConcurrentLinkedQueue<>();

  private static final MethodHandle CONNECTION =
      constructor(
          StubConnection.class,
          MethodCall.invokeSelf().onField("real").withAllArguments(),
          Connection.class,
          boolean.class);
  private static final MethodHandle STATEMENT =
      constructor(
          StubStatement.class,
          ExceptionMethod.throwing(UnsupportedOperationException.class),
          StubConnection.class,
          int.class,
          Connection.class);
  private static final MethodHandle RESULT =
      constructor(
          StubResultSet.class,
          ExceptionMethod.throwing(UnsupportedOperationException.class),
          StubStatement.class,
          int.class);

  private Stub() {}

  private static String columnList(int columns, String suffix) {
    return IntStream.rangeClosed(1, columns)
        .mapToObj(i -> "c" + i + suffix)
        .collect(Collectors.joining(", "));
  }

  /** A query of so many columns: 2 or 10. */
  static String query(int columns) {
    return "select "
        + columnList(columns, "")
        + " from "
        + (columns == 2 ? "narrow" : "wide")
        + " where c1 > ? order by c1";
  }

  /** How wide the text's result is; 0: it writes; negative: the stub has no answer to it. */
  static int columns(String sql) {
    Integer columns = COLUMNS.get(sql);
    if (columns == null) {
      return sql.startsWith(INSERT) && asksTransaction(sql) ? PROOF : -1;
    }
    return columns;
  }

  /** What {@link #columns} says of a write that also returns its transaction's number. */
  static final int PROOF = 1000;

  /** Whether it is a unit of work on its way to the mirror. */
  static boolean flushes(String sql) {
    return sql.startsWith("select set_config('lock_timeout'");
  }

  /** Whether it asks for the transaction's number. */
  static boolean asksTransaction(String sql) {
    return sql.contains("pg_current_xact_id()");
  }

  /** A source of stub connections over a database. */
  static DataSource over(DataSource real, boolean mirror) {
    return new Connecting(
        () -> {
          if (mirror) {
            MIRRORS.acquireUninterruptibly();
            StubConnection idle = IDLE.poll();
            if (idle != null) {
              return idle;
            }
          }
          return (StubConnection) CONNECTION.invokeExact(real.getConnection(), mirror);
        });
  }

  static void closed(StubConnection c) throws SQLException {
    if (c.mirror) {
      IDLE.add(c);
      MIRRORS.release();
    } else {
      c.real.close();
    }
  }

  static StubStatement statement(StubConnection connection, int columns, Connection real) {
    try {
      StubStatement s = (StubStatement) STATEMENT.invokeExact(connection, columns, real);
      connection.last = s;
      return s;
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  static StubResultSet result(StubStatement statement, int rows) {
    try {
      StubResultSet r = (StubResultSet) RESULT.invokeExact(statement, rows);
      statement.last = r;
      return r;
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  private static MethodHandle constructor(Class<?> type, Implementation rest, Class<?>... takes) {
    try {
      Class<?> filled =
          new ByteBuddy()
              .subclass(type)
              .method(ElementMatchers.isAbstract())
              .intercept(rest)
              .make()
              .load(
                  type.getClassLoader(),
                  ClassLoadingStrategy.UsingLookup.of(MethodHandles.lookup()))
              .getLoaded();
      return MethodHandles.lookup()
          .findConstructor(filled, MethodType.methodType(void.class, takes))
          .asType(MethodType.methodType(type, takes));
    } catch (ReflectiveOperationException e) {
      throw new LinkageError(e.getMessage(), e);
    }
  }
}
