package io.dualwrite.jdbc;

import java.io.IOException;
import java.io.InputStream;
import java.io.Reader;
import java.math.BigDecimal;
import java.sql.Array;
import java.sql.SQLException;
import java.sql.Types;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.postgresql.core.BaseConnection;
import org.postgresql.core.Oid;
import org.postgresql.jdbc.PgArray;
import org.postgresql.util.GT;
import org.postgresql.util.PGobject;
import org.postgresql.util.PSQLException;
import org.postgresql.util.PSQLState;

/**
 * Parameters as they are when they are set. The driver converts them then, and an application may
 * use the object for the next row, free or close it; here they are given to the driver later.
 */
final class Snapshot {

  // what the driver says when one fails
  static final String STREAM = "Provided InputStream failed.";
  static final String READER = "Provided Reader failed.";

  private Snapshot() {}

  /**
   * @param sqlType the type that the application gave; {@link Types#NULL} if none
   */
  @SuppressWarnings("JavaUtilDate") // the application's
  static Object of(Object x, int sqlType, BaseConnection driver) throws SQLException {
    if (x instanceof PGobject o) {
      PGobject now = new PGobject();
      now.setType(o.getType());
      now.setValue(o.getValue());
      return now;
    }
    if (x instanceof Date d) {
      return d.clone();
    }
    if (x instanceof Map<?, ?> m) {
      return new LinkedHashMap<>(m);
    }
    if (x instanceof Array a) {
      return array(a, driver);
    }
    if (sqlType == Types.OTHER && !(x instanceof UUID)) {
      return x == null ? null : x.toString(); // the driver takes it as that
    }
    if (x instanceof AtomicInteger || x instanceof AtomicLong) {
      return new BigDecimal(x.toString());
    }
    return x != null && x.getClass().isArray() ? copy(x) : x;
  }

  private static Array array(Array a, BaseConnection driver) throws SQLException {
    int oid = driver.getTypeInfo().getPGArrayType(a.getBaseTypeName());
    if (oid == Oid.UNSPECIFIED) {
      return a; // the driver says so
    }
    byte[] binary = a instanceof PgArray p ? p.toBytes() : null;
    return binary != null
        ? new PgArray(driver, oid, binary)
        : new PgArray(driver, oid, a.toString());
  }

  /** Arrays of arrays, too. */
  private static Object copy(Object array) {
    int n = java.lang.reflect.Array.getLength(array);
    Class<?> of = array.getClass().getComponentType();
    Object copy = java.lang.reflect.Array.newInstance(of, n);
    if (of.isPrimitive()) {
      System.arraycopy(array, 0, copy, 0, n);
    } else {
      for (int i = 0; i < n; i++) {
        Object x = ((Object[]) array)[i];
        ((Object[]) copy)[i] = x != null && x.getClass().isArray() ? copy(x) : x;
      }
    }
    return copy;
  }

  // ---- streams

  static byte[] bytes(InputStream stream) throws SQLException {
    try {
      return stream.readAllBytes();
    } catch (IOException e) {
      throw new PSQLException(GT.tr(STREAM), PSQLState.UNEXPECTED_ERROR, e);
    }
  }

  /** So many characters, or as many as there are. */
  static String text(Reader reader, int length, String failed) throws SQLException {
    StringBuilder text = new StringBuilder();
    char[] some = new char[Math.min(length, 8192)];
    try {
      while (text.length() < length) {
        int n = reader.read(some, 0, Math.min(some.length, length - text.length()));
        if (n < 0) {
          break;
        }
        text.append(some, 0, n);
      }
    } catch (IOException e) {
      throw new PSQLException(GT.tr(failed), PSQLState.UNEXPECTED_ERROR, e);
    }
    return text.toString();
  }
}
