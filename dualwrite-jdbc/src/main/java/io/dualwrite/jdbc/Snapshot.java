package io.dualwrite.jdbc;

import java.io.IOException;
import java.io.InputStream;
import java.io.Reader;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.sql.Array;
import java.sql.Clob;
import java.sql.SQLException;
import java.sql.SQLXML;
import java.sql.Types;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
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
    if (x == null) {
      return null;
    }
    switch (sqlType) {
      case Types.CHAR, Types.VARCHAR, Types.LONGVARCHAR -> {
        return x instanceof Clob c ? c.getSubString(1, (int) c.length()) : x.toString();
      }
      case Types.DISTINCT -> {
        return x.toString();
      }
      case Types.SQLXML -> {
        return x instanceof SQLXML ? x : x.toString();
      }
      default -> {}
    }
    if (x instanceof CharSequence) {
      return x.toString(); // of a time, say
    }
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
      return x.toString(); // the driver takes it as that
    }
    if (x instanceof Number n
        && !(x instanceof BigDecimal || x instanceof BigInteger)
        && !x.getClass().getName().startsWith("java.lang.")) {
      return new Now(n);
    }
    return x.getClass().isArray() ? copy(x) : x;
  }

  /** What a number is now that may change: an {@code AtomicInteger}, say. */
  private static final class Now extends Number {
    private static final long serialVersionUID = 1;

    private final long integer;
    private final double number;
    private final String text;

    Now(Number n) {
      integer = n.longValue();
      number = n.doubleValue();
      text = n.toString();
    }

    @Override
    public int intValue() {
      return (int) integer;
    }

    @Override
    public long longValue() {
      return integer;
    }

    @Override
    public float floatValue() {
      return (float) number;
    }

    @Override
    public double doubleValue() {
      return number;
    }

    @Override
    public String toString() {
      return text;
    }
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
