package io.dualwrite.jdbc;

import io.dualwrite.catalog.Column;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.sql.CallableStatement;
import java.sql.Date;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.OffsetTime;
import java.util.Arrays;
import java.util.Calendar;
import java.util.UUID;
import org.postgresql.core.BaseConnection;
import org.postgresql.util.GT;
import org.postgresql.util.PSQLException;
import org.postgresql.util.PSQLState;

/**
 * The values that an application has set on a prepared statement: kept here and handed to the
 * driver's statement when it is executed, because only then it is known which one that is (the
 * roles may have changed, a capture may need another text). Primitives are not boxed.
 */
final class Parameters {

  /** A setter that is too rare for a kind of its own. */
  @FunctionalInterface
  interface Setter {
    void set(PreparedStatement on, int index) throws SQLException;
  }

  /** Says that {@link #text} cannot tell the value's text form exactly. */
  @SuppressWarnings("StringOperationCanBeSimplified") // an identity of its own
  static final String UNKNOWN = new String("?");

  private static final byte UNSET = 0;
  private static final byte NULL = 1;
  private static final byte BOOLEAN = 2;
  private static final byte SHORT = 3;
  private static final byte INT = 4;
  private static final byte LONG = 5;
  private static final byte FLOAT = 6;
  private static final byte DOUBLE = 7;
  private static final byte DECIMAL = 8;
  private static final byte STRING = 9;
  private static final byte BYTES = 10;
  private static final byte TIMESTAMP = 11;
  private static final byte DATE = 12;
  private static final byte OBJECT = 13;
  private static final byte OTHER = 14;
  private static final byte STREAM = 15;

  private final byte[] kinds;
  private final long[] primitives;
  private final Object[] references;

  Parameters(int count) {
    kinds = new byte[count];
    primitives = new long[count];
    references = new Object[count];
  }

  private Parameters(Parameters from) {
    kinds = from.kinds.clone();
    primitives = from.primitives.clone();
    references = from.references.clone();
  }

  /** The values as they are now. */
  Parameters copy() {
    return new Parameters(this);
  }

  /** The values of one of several statements. */
  Parameters slice(int first, int count) {
    Parameters p = new Parameters(count);
    System.arraycopy(kinds, first - 1, p.kinds, 0, count);
    System.arraycopy(primitives, first - 1, p.primitives, 0, count);
    System.arraycopy(references, first - 1, p.references, 0, count);
    return p;
  }

  void clear() {
    Arrays.fill(kinds, UNSET);
    Arrays.fill(references, null);
  }

  private int slot(int index) throws SQLException {
    if (index < 1 || index > kinds.length) {
      // word for word what the driver says
      throw new PSQLException(
          "The column index is out of range: "
              + index
              + ", number of columns: "
              + kinds.length
              + ".",
          PSQLState.INVALID_PARAMETER_VALUE);
    }
    return index - 1;
  }

  private void set(int index, byte kind, long primitive, Object reference) throws SQLException {
    int i = slot(index);
    kinds[i] = kind;
    primitives[i] = primitive;
    references[i] = reference;
  }

  void setNull(int index, int sqlType) throws SQLException {
    set(index, NULL, sqlType, null);
  }

  void setBoolean(int index, boolean x) throws SQLException {
    set(index, BOOLEAN, x ? 1 : 0, null);
  }

  void setShort(int index, short x) throws SQLException {
    set(index, SHORT, x, null);
  }

  void setInt(int index, int x) throws SQLException {
    set(index, INT, x, null);
  }

  void setLong(int index, long x) throws SQLException {
    set(index, LONG, x, null);
  }

  void setFloat(int index, float x) throws SQLException {
    set(index, FLOAT, Float.floatToRawIntBits(x), null);
  }

  void setDouble(int index, double x) throws SQLException {
    set(index, DOUBLE, Double.doubleToRawLongBits(x), null);
  }

  void setDecimal(int index, BigDecimal x) throws SQLException {
    set(index, DECIMAL, 0, x);
  }

  void setString(int index, String x) throws SQLException {
    set(index, STRING, 0, x);
  }

  void setBytes(int index, byte[] x) throws SQLException {
    set(index, BYTES, 0, x == null ? null : x.clone());
  }

  void setTimestamp(int index, Timestamp x) throws SQLException {
    set(index, TIMESTAMP, 0, x == null ? null : x.clone());
  }

  void setDate(int index, Date x) throws SQLException {
    set(index, DATE, 0, x == null ? null : x.clone());
  }

  /**
   * Sets a value of a usual class. Others have to be looked at, since they may change.
   *
   * @return whether it is one
   */
  boolean setObject(int index, Object x) throws SQLException {
    // what the driver itself would do with these classes, without the detour
    if (x instanceof String s) {
      setString(index, s);
    } else if (x instanceof Integer n) {
      setInt(index, n);
    } else if (x instanceof Long n) {
      setLong(index, n);
    } else if (x instanceof Boolean b) {
      setBoolean(index, b);
    } else if (x instanceof Double d) {
      setDouble(index, d);
    } else if (x instanceof BigDecimal d) {
      setDecimal(index, d);
    } else if (x instanceof Timestamp t) {
      setTimestamp(index, t);
    } else if (x instanceof byte[] b) {
      setBytes(index, b);
    } else if (x instanceof Date d) {
      setDate(index, d);
    } else if (x instanceof Float f) {
      setFloat(index, f);
    } else if (x instanceof Short n) {
      setShort(index, n);
    } else if (x == null || constant(x)) {
      set(index, OBJECT, 0, x);
    } else {
      return false;
    }
    return true;
  }

  /** Whether it cannot change, and the driver takes it. */
  private static boolean constant(Object x) {
    return x instanceof UUID
        || x instanceof OffsetDateTime
        || x instanceof LocalDateTime
        || x instanceof LocalDate
        || x instanceof LocalTime
        || x instanceof OffsetTime
        || x instanceof BigInteger
        || x instanceof Byte
        || x instanceof Character;
  }

  /** As {@link #setObject(int, Object)}, where the type says nothing that the class does not. */
  boolean setObject(int index, Object x, int sqlType) throws SQLException {
    if (x == null) {
      setNull(index, sqlType);
      return true;
    }
    boolean usual =
        switch (sqlType) {
          case Types.VARCHAR, Types.LONGVARCHAR -> x instanceof String;
          case Types.INTEGER -> x instanceof Integer;
          case Types.BIGINT -> x instanceof Long;
          case Types.SMALLINT -> x instanceof Short;
          case Types.NUMERIC, Types.DECIMAL -> x instanceof BigDecimal;
          case Types.BOOLEAN, Types.BIT -> x instanceof Boolean;
          case Types.DOUBLE, Types.FLOAT -> x instanceof Double;
          case Types.REAL -> x instanceof Float;
          case Types.TIMESTAMP -> x instanceof Timestamp || x instanceof LocalDateTime;
          case Types.TIMESTAMP_WITH_TIMEZONE -> x instanceof OffsetDateTime;
          case Types.DATE -> x instanceof Date || x instanceof LocalDate;
          case Types.BINARY, Types.VARBINARY, Types.LONGVARBINARY -> x instanceof byte[];
          case Types.OTHER -> x instanceof UUID;
          default -> false;
        };
    return usual && setObject(index, x);
  }

  void setOther(int index, Setter setter) throws SQLException {
    set(index, OTHER, 0, setter);
  }

  private boolean incomplete() {
    for (byte kind : kinds) {
      if (kind == UNSET) {
        return true;
      }
    }
    return false;
  }

  /** As the driver does, before any of several statements is executed. */
  void requireAll() throws SQLException {
    for (int i = 0; i < kinds.length; i++) {
      if (kinds[i] == UNSET) {
        throw new PSQLException(
            GT.tr("No value specified for parameter {0}.", i + 1),
            PSQLState.INVALID_PARAMETER_VALUE);
      }
    }
  }

  /** A stream, which can be read only once. */
  void setStream(int index, Setter setter) throws SQLException {
    set(index, STREAM, 0, setter);
  }

  /** Whether a second statement would get the same values. */
  boolean repeatable() {
    for (byte kind : kinds) {
      if (kind == STREAM) {
        return false;
      }
    }
    return true;
  }

  /**
   * Hands the values to a statement of the driver. Values that were never set are left for the
   * driver to complain about.
   */
  void apply(PreparedStatement to) throws SQLException {
    if (incomplete() && !(to instanceof CallableStatement)) { // OUT parameters are registered there
      to.clearParameters(); // it may have those of an execution before
    }
    for (int i = 0; i < kinds.length; i++) {
      int index = i + 1;
      Object r = references[i];
      switch (kinds[i]) {
        case UNSET -> {}
        case NULL -> to.setNull(index, (int) primitives[i]);
        case BOOLEAN -> to.setBoolean(index, primitives[i] != 0);
        case SHORT -> to.setShort(index, (short) primitives[i]);
        case INT -> to.setInt(index, (int) primitives[i]);
        case LONG -> to.setLong(index, primitives[i]);
        case FLOAT -> to.setFloat(index, Float.intBitsToFloat((int) primitives[i]));
        case DOUBLE -> to.setDouble(index, Double.longBitsToDouble(primitives[i]));
        case DECIMAL -> to.setBigDecimal(index, (BigDecimal) r);
        case STRING -> to.setString(index, (String) r);
        case BYTES -> to.setBytes(index, (byte[]) r);
        case TIMESTAMP -> to.setTimestamp(index, (Timestamp) r);
        case DATE -> to.setDate(index, (Date) r);
        case OBJECT -> to.setObject(index, r);
        default -> ((Setter) r).set(to, index);
      }
    }
  }

  /**
   * The value as text that the column's type reads to exactly the value that the server stored when
   * it got this parameter; or {@link #UNKNOWN} where the server's conversion may do something that
   * reading the text would not (a {@code float4} widened to {@code float8}, a time zone filled in,
   * …).
   */
  String text(int index, Column column, Clock clock) throws SQLException {
    int i = index - 1;
    Object r = references[i];
    String type = column.type();
    switch (kinds[i]) {
      case NULL:
        return null;
      case BOOLEAN:
        return type.equals("boolean") ? (primitives[i] != 0 ? "true" : "false") : UNKNOWN;
      case SHORT, INT, LONG:
        return switch (type) {
          case "smallint", "integer", "bigint", "numeric" -> Long.toString(primitives[i]);
          default -> UNKNOWN;
        };
      case FLOAT:
        return type.equals("real")
            ? Float.toString(Float.intBitsToFloat((int) primitives[i]))
            : UNKNOWN;
      case DOUBLE:
        return type.equals("double precision")
            ? Double.toString(Double.longBitsToDouble(primitives[i]))
            : UNKNOWN;
      case DECIMAL:
        return r == null ? null : type.equals("numeric") ? ((BigDecimal) r).toString() : UNKNOWN;
      case STRING:
        return r == null || readsTextAlike(type) ? (String) r : UNKNOWN;
      case BYTES:
        return r == null ? null : type.equals("bytea") ? hex((byte[]) r) : UNKNOWN;
      case TIMESTAMP:
        // the driver's own class may bring a calendar along
        return r == null
            ? null
            : type.startsWith("timestamp") && r.getClass() == Timestamp.class
                ? clock.text((Timestamp) r)
                : UNKNOWN;
      case DATE:
        return r == null ? null : type.equals("date") ? clock.text((Date) r) : UNKNOWN;
      case OBJECT:
        if (r == null) {
          return null;
        }
        if (r instanceof UUID) {
          return type.equals("uuid") ? r.toString() : UNKNOWN;
        }
        if (r instanceof LocalDate d) {
          return type.equals("date") ? clock.text(d) : UNKNOWN;
        }
        if (r instanceof LocalDateTime d) {
          return type.equals("timestamp without time zone") ? clock.text(d) : UNKNOWN;
        }
        if (r instanceof OffsetDateTime d) {
          return type.equals("timestamp with time zone") ? clock.text(d) : UNKNOWN;
        }
        return UNKNOWN;
      default:
        return UNKNOWN;
    }
  }

  /**
   * Whether a string is stored as it is given, or read by a function that knows no clock, time zone
   * or style.
   */
  static boolean readsTextAlike(String type) {
    return switch (type) {
      case "text", "character varying", "bpchar", "json", "jsonb", "uuid" -> true;
      default -> false;
    };
  }

  private static String hex(byte[] bytes) {
    StringBuilder s = new StringBuilder(2 + bytes.length * 2).append("\\x");
    for (byte b : bytes) {
      s.append(Character.forDigit(b >> 4 & 15, 16)).append(Character.forDigit(b & 15, 16));
    }
    return s.toString();
  }

  /** Writes times as the driver does on this connection. */
  @SuppressWarnings("deprecation") // the driver offers no other way to its own text form
  static final class Clock {
    private final BaseConnection connection;

    Clock(BaseConnection connection) {
      this.connection = connection;
    }

    String text(Timestamp t) {
      return connection.getTimestampUtils().toString((Calendar) null, t);
    }

    String text(Date d) {
      return connection.getTimestampUtils().toString((Calendar) null, d);
    }

    String text(LocalDate d) {
      return connection.getTimestampUtils().toString(d);
    }

    String text(LocalDateTime d) {
      return connection.getTimestampUtils().toString(d);
    }

    String text(OffsetDateTime d) {
      return connection.getTimestampUtils().toString(d);
    }
  }
}
