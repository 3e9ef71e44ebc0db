package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.sql.Array;
import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.Statement;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.postgresql.PGResultSetMetaData;
import org.postgresql.PGStatement;
import org.postgresql.core.BaseConnection;
import org.postgresql.core.QueryExecutor;

/**
 * Every method of an interface that the running JDK has must be declared in our class: a default
 * method that is not passes the driver's own by (and throws, or worse, does something else).
 */
class CompletenessTest {

  /** Our class, the interface, and the methods that an abstract class leaves to its subclasses. */
  static Stream<Arguments> classes() {
    return Stream.of(
        Arguments.of(DualWriteDataSource.class, javax.sql.DataSource.class, Set.of()),
        Arguments.of(DualWriteDriver.class, java.sql.Driver.class, Set.of()),
        Arguments.of(DwConnection.class, Connection.class, Set.of()),
        Arguments.of(DwSavepoint.class, java.sql.Savepoint.class, Set.of()),
        Arguments.of(DwStatement.class, Statement.class, Set.of()),
        Arguments.of(DwPreparedStatement.class, PreparedStatement.class, Set.of()),
        Arguments.of(DwPreparedStatement.class, PGStatement.class, Set.of()),
        Arguments.of(DwCallableStatement.class, CallableStatement.class, Set.of()),
        Arguments.of(DwDriverConnection.class, BaseConnection.class, Set.of()),
        Arguments.of(DwQueryExecutor.class, QueryExecutor.class, Set.of()),
        Arguments.of(DetachedStatement.class, Statement.class, Set.of()),
        Arguments.of(DwResultSet.class, ResultSet.class, Set.of()),
        Arguments.of(DwResultSetMetaData.class, ResultSetMetaData.class, Set.of()),
        Arguments.of(DwResultSetMetaData.class, PGResultSetMetaData.class, Set.of()),
        Arguments.of(DwDatabaseMetaData.class, DatabaseMetaData.class, Set.of()),
        Arguments.of(DwArray.class, Array.class, Set.of()));
  }

  @ParameterizedTest
  @MethodSource("classes")
  void everyMethodIsDeclared(Class<?> ours, Class<?> theirs, Set<String> left) {
    Set<String> missing = new TreeSet<>();
    for (Method m : theirs.getMethods()) {
      if (!Modifier.isStatic(m.getModifiers())
          && !left.contains(m.getName())
          && !declared(ours, m)) {
        missing.add(m.getName() + Arrays.toString(m.getParameterTypes()));
      }
    }
    assertEquals(Set.of(), missing);
  }

  /** What reads a column must check the column where some are hidden. */
  @Test
  void theTrimmedResultDeclaresEveryGetter() {
    Set<String> missing = new TreeSet<>();
    for (Method m : ResultSet.class.getMethods()) {
      if (m.getName().startsWith("get") && m.getParameterCount() > 0) {
        if (!declares(TrimmedResultSet.class, m)) {
          missing.add(m.getName() + Arrays.toString(m.getParameterTypes()));
        }
      }
    }
    assertEquals(Set.of(), missing);
  }

  private static boolean declared(Class<?> ours, Method method) {
    for (Class<?> c = ours; c != null && c != Object.class; c = c.getSuperclass()) {
      if (declares(c, method)) {
        return true;
      }
    }
    return false;
  }

  private static boolean declares(Class<?> type, Method method) {
    return Arrays.stream(type.getDeclaredMethods())
        .anyMatch(
            m ->
                !Modifier.isAbstract(m.getModifiers())
                    && m.getName().equals(method.getName())
                    && Arrays.equals(m.getParameterTypes(), method.getParameterTypes()));
  }
}
