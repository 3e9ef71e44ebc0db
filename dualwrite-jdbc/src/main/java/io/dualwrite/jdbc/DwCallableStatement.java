package io.dualwrite.jdbc;

import java.io.InputStream;
import java.io.Reader;
import java.math.BigDecimal;
import java.net.URL;
import java.sql.Array;
import java.sql.Blob;
import java.sql.CallableStatement;
import java.sql.Clob;
import java.sql.Connection;
import java.sql.Date;
import java.sql.NClob;
import java.sql.Ref;
import java.sql.RowId;
import java.sql.SQLException;
import java.sql.SQLType;
import java.sql.SQLXML;
import java.sql.Time;
import java.sql.Timestamp;
import java.util.Calendar;
import java.util.Map;
import java.util.TreeMap;
import org.postgresql.PGStatement;

/**
 * A call of a routine, or whatever else the application prepares as one. The driver does it, with
 * its own translation of the escape syntax; what the routine writes is observed. Values go out as
 * those of any prepared statement; what comes back is the driver's.
 */
final class DwCallableStatement extends DwPreparedStatement implements CallableStatement {

  private final String call;

  /** The OUT parameters, by number, as they have to be registered on a statement of the driver. */
  private final Map<Integer, Registration> out = new TreeMap<>();

  @FunctionalInterface
  private interface Registration {
    void on(CallableStatement driver) throws SQLException;
  }

  private DwCallableStatement(
      DwConnection connection,
      String call,
      Planned planned,
      int type,
      int concurrency,
      int holdability) {
    super(connection, planned, type, concurrency, holdability);
    this.call = call;
  }

  static DwCallableStatement of(
      DwConnection connection, String call, int type, int concurrency, int holdability)
      throws SQLException {
    try (CallableStatement s = connection.raw().prepareCall(call)) {
      return new DwCallableStatement(
          connection,
          call,
          new Planned(sent(s), null, connection.parameters(call)),
          type,
          concurrency,
          holdability);
    }
  }

  /** The text that the driver sends for a call. */
  private static String sent(CallableStatement driver) throws SQLException {
    return driver.unwrap(PGStatement.class).toString();
  }

  @Override
  protected CallableStatement raw() throws SQLException {
    return (CallableStatement) super.raw();
  }

  @Override
  CallableStatement open(Connection on) throws SQLException {
    CallableStatement s =
        holdability == 0
            ? on.prepareCall(call, type, concurrency)
            : on.prepareCall(call, type, concurrency, holdability);
    for (Registration r : out.values()) {
      r.on(s);
    }
    return s;
  }

  private void register(int index, Registration how) throws SQLException {
    how.on(raw());
    out.put(index, how);
  }

  @Override
  String text(Parameters values) throws SQLException {
    try (CallableStatement s = open(connection.raw())) {
      values.apply(s);
      return out.isEmpty() ? sent(s) : withoutOut(sent(s));
    }
  }

  /**
   * The driver shows an OUT parameter as a question mark. A procedure is given NULL for it, a
   * function nothing.
   */
  private static String withoutOut(String text) {
    boolean procedure = text.stripLeading().regionMatches(true, 0, "call", 0, 4);
    StringBuilder s = new StringBuilder(text.length());
    char quote = 0;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (quote != 0 || c != '?') {
        quote = quote == c ? 0 : quote == 0 && (c == '\'' || c == '"') ? c : quote;
        s.append(c);
      } else if (procedure) {
        s.append("NULL");
      } else {
        int end = s.length();
        while (end > 0 && Character.isWhitespace(s.charAt(end - 1))) {
          end--;
        }
        if (end > 0 && s.charAt(end - 1) == ',') {
          s.setLength(end - 1);
        } else {
          while (i + 1 < text.length() && Character.isWhitespace(text.charAt(i + 1))) {
            i++;
          }
          i += i + 1 < text.length() && text.charAt(i + 1) == ',' ? 1 : 0;
        }
      }
    }
    return s.toString();
  }

  /** The driver's has a count of its own for a function. */
  @Override
  public int executeUpdate() throws SQLException {
    return Counts.toInt(run((s, plan) -> (long) s.executeUpdate(), Executed::update));
  }

  // ---- what the routine returned, and parameters by name

  @Override
  public Array getArray(String name) throws SQLException {
    return DwArray.of(raw().getArray(name), connection);
  }

  @Override
  public Array getArray(int index) throws SQLException {
    return DwArray.of(raw().getArray(index), connection);
  }

  @Override
  public BigDecimal getBigDecimal(String name) throws SQLException {
    return raw().getBigDecimal(name);
  }

  @SuppressWarnings("deprecation")
  @Override
  public BigDecimal getBigDecimal(int index, int scale) throws SQLException {
    return raw().getBigDecimal(index, scale);
  }

  @Override
  public BigDecimal getBigDecimal(int index) throws SQLException {
    return raw().getBigDecimal(index);
  }

  @Override
  public Blob getBlob(String name) throws SQLException {
    Blob lob = raw().getBlob(name);
    connection.largeObjects(c -> null);
    return lob;
  }

  @Override
  public Blob getBlob(int index) throws SQLException {
    Blob lob = raw().getBlob(index);
    connection.largeObjects(c -> null);
    return lob;
  }

  @Override
  public boolean getBoolean(String name) throws SQLException {
    return raw().getBoolean(name);
  }

  @Override
  public boolean getBoolean(int index) throws SQLException {
    return raw().getBoolean(index);
  }

  @Override
  public byte getByte(String name) throws SQLException {
    return raw().getByte(name);
  }

  @Override
  public byte getByte(int index) throws SQLException {
    return raw().getByte(index);
  }

  @Override
  public byte[] getBytes(String name) throws SQLException {
    return raw().getBytes(name);
  }

  @Override
  public byte[] getBytes(int index) throws SQLException {
    return raw().getBytes(index);
  }

  @Override
  public Reader getCharacterStream(String name) throws SQLException {
    return raw().getCharacterStream(name);
  }

  @Override
  public Reader getCharacterStream(int index) throws SQLException {
    return raw().getCharacterStream(index);
  }

  @Override
  public Clob getClob(String name) throws SQLException {
    Clob lob = raw().getClob(name);
    connection.largeObjects(c -> null);
    return lob;
  }

  @Override
  public Clob getClob(int index) throws SQLException {
    Clob lob = raw().getClob(index);
    connection.largeObjects(c -> null);
    return lob;
  }

  @Override
  public Date getDate(String name, Calendar calendar) throws SQLException {
    return raw().getDate(name, calendar);
  }

  @Override
  public Date getDate(String name) throws SQLException {
    return raw().getDate(name);
  }

  @Override
  public Date getDate(int index, Calendar calendar) throws SQLException {
    return raw().getDate(index, calendar);
  }

  @Override
  public Date getDate(int index) throws SQLException {
    return raw().getDate(index);
  }

  @Override
  public double getDouble(String name) throws SQLException {
    return raw().getDouble(name);
  }

  @Override
  public double getDouble(int index) throws SQLException {
    return raw().getDouble(index);
  }

  @Override
  public float getFloat(String name) throws SQLException {
    return raw().getFloat(name);
  }

  @Override
  public float getFloat(int index) throws SQLException {
    return raw().getFloat(index);
  }

  @Override
  public int getInt(String name) throws SQLException {
    return raw().getInt(name);
  }

  @Override
  public int getInt(int index) throws SQLException {
    return raw().getInt(index);
  }

  @Override
  public long getLong(String name) throws SQLException {
    return raw().getLong(name);
  }

  @Override
  public long getLong(int index) throws SQLException {
    return raw().getLong(index);
  }

  @Override
  public Reader getNCharacterStream(String name) throws SQLException {
    return raw().getNCharacterStream(name);
  }

  @Override
  public Reader getNCharacterStream(int index) throws SQLException {
    return raw().getNCharacterStream(index);
  }

  @Override
  public NClob getNClob(String name) throws SQLException {
    NClob lob = raw().getNClob(name);
    connection.largeObjects(c -> null);
    return lob;
  }

  @Override
  public NClob getNClob(int index) throws SQLException {
    NClob lob = raw().getNClob(index);
    connection.largeObjects(c -> null);
    return lob;
  }

  @Override
  public String getNString(String name) throws SQLException {
    return raw().getNString(name);
  }

  @Override
  public String getNString(int index) throws SQLException {
    return raw().getNString(index);
  }

  @Override
  public <T> T getObject(String name, Class<T> as) throws SQLException {
    return DwResultSet.ours(as, raw().getObject(name, as), this);
  }

  @Override
  public Object getObject(String name, Map<String, Class<?>> map) throws SQLException {
    return DwResultSet.ours(raw().getObject(name, map), this);
  }

  @Override
  public Object getObject(String name) throws SQLException {
    return DwResultSet.ours(raw().getObject(name), this);
  }

  @Override
  public <T> T getObject(int index, Class<T> as) throws SQLException {
    return DwResultSet.ours(as, raw().getObject(index, as), this);
  }

  @Override
  public Object getObject(int index, Map<String, Class<?>> map) throws SQLException {
    return DwResultSet.ours(raw().getObject(index, map), this);
  }

  @Override
  public Object getObject(int index) throws SQLException {
    return DwResultSet.ours(raw().getObject(index), this);
  }

  @Override
  public Ref getRef(String name) throws SQLException {
    return raw().getRef(name);
  }

  @Override
  public Ref getRef(int index) throws SQLException {
    return raw().getRef(index);
  }

  @Override
  public RowId getRowId(String name) throws SQLException {
    return raw().getRowId(name);
  }

  @Override
  public RowId getRowId(int index) throws SQLException {
    return raw().getRowId(index);
  }

  @Override
  public SQLXML getSQLXML(String name) throws SQLException {
    return raw().getSQLXML(name);
  }

  @Override
  public SQLXML getSQLXML(int index) throws SQLException {
    return raw().getSQLXML(index);
  }

  @Override
  public short getShort(String name) throws SQLException {
    return raw().getShort(name);
  }

  @Override
  public short getShort(int index) throws SQLException {
    return raw().getShort(index);
  }

  @Override
  public String getString(String name) throws SQLException {
    return raw().getString(name);
  }

  @Override
  public String getString(int index) throws SQLException {
    return raw().getString(index);
  }

  @Override
  public Time getTime(String name, Calendar calendar) throws SQLException {
    return raw().getTime(name, calendar);
  }

  @Override
  public Time getTime(String name) throws SQLException {
    return raw().getTime(name);
  }

  @Override
  public Time getTime(int index, Calendar calendar) throws SQLException {
    return raw().getTime(index, calendar);
  }

  @Override
  public Time getTime(int index) throws SQLException {
    return raw().getTime(index);
  }

  @Override
  public Timestamp getTimestamp(String name, Calendar calendar) throws SQLException {
    return raw().getTimestamp(name, calendar);
  }

  @Override
  public Timestamp getTimestamp(String name) throws SQLException {
    return raw().getTimestamp(name);
  }

  @Override
  public Timestamp getTimestamp(int index, Calendar calendar) throws SQLException {
    return raw().getTimestamp(index, calendar);
  }

  @Override
  public Timestamp getTimestamp(int index) throws SQLException {
    return raw().getTimestamp(index);
  }

  @Override
  public URL getURL(String name) throws SQLException {
    return raw().getURL(name);
  }

  @Override
  public URL getURL(int index) throws SQLException {
    return raw().getURL(index);
  }

  @Override
  public void registerOutParameter(String name, int sqlType, String typeName) throws SQLException {
    raw().registerOutParameter(name, sqlType, typeName);
  }

  @Override
  public void registerOutParameter(String name, int sqlType, int scale) throws SQLException {
    raw().registerOutParameter(name, sqlType, scale);
  }

  @Override
  public void registerOutParameter(String name, int sqlType) throws SQLException {
    raw().registerOutParameter(name, sqlType);
  }

  @Override
  public void registerOutParameter(String name, SQLType type, String typeName) throws SQLException {
    raw().registerOutParameter(name, type, typeName);
  }

  @Override
  public void registerOutParameter(String name, SQLType type, int scale) throws SQLException {
    raw().registerOutParameter(name, type, scale);
  }

  @Override
  public void registerOutParameter(String name, SQLType type) throws SQLException {
    raw().registerOutParameter(name, type);
  }

  @Override
  public void registerOutParameter(int index, int sqlType, String typeName) throws SQLException {
    register(index, s -> s.registerOutParameter(index, sqlType, typeName));
  }

  @Override
  public void registerOutParameter(int index, int sqlType, int scale) throws SQLException {
    register(index, s -> s.registerOutParameter(index, sqlType, scale));
  }

  @Override
  public void registerOutParameter(int index, int sqlType) throws SQLException {
    register(index, s -> s.registerOutParameter(index, sqlType));
  }

  @Override
  public void registerOutParameter(int index, SQLType type, String typeName) throws SQLException {
    register(index, s -> s.registerOutParameter(index, type, typeName));
  }

  @Override
  public void registerOutParameter(int index, SQLType type, int scale) throws SQLException {
    register(index, s -> s.registerOutParameter(index, type, scale));
  }

  @Override
  public void registerOutParameter(int index, SQLType type) throws SQLException {
    register(index, s -> s.registerOutParameter(index, type));
  }

  @Override
  public void setAsciiStream(String name, InputStream x, int length) throws SQLException {
    raw().setAsciiStream(name, x, length);
  }

  @Override
  public void setAsciiStream(String name, InputStream x, long length) throws SQLException {
    raw().setAsciiStream(name, x, length);
  }

  @Override
  public void setAsciiStream(String name, InputStream x) throws SQLException {
    raw().setAsciiStream(name, x);
  }

  @Override
  public void setBigDecimal(String name, BigDecimal x) throws SQLException {
    raw().setBigDecimal(name, x);
  }

  @Override
  public void setBinaryStream(String name, InputStream x, int length) throws SQLException {
    raw().setBinaryStream(name, x, length);
  }

  @Override
  public void setBinaryStream(String name, InputStream x, long length) throws SQLException {
    raw().setBinaryStream(name, x, length);
  }

  @Override
  public void setBinaryStream(String name, InputStream x) throws SQLException {
    raw().setBinaryStream(name, x);
  }

  @Override
  public void setBlob(String name, InputStream x, long length) throws SQLException {
    raw().setBlob(name, x, length);
  }

  @Override
  public void setBlob(String name, InputStream x) throws SQLException {
    raw().setBlob(name, x);
  }

  @Override
  public void setBlob(String name, Blob x) throws SQLException {
    raw().setBlob(name, x);
  }

  @Override
  public void setBoolean(String name, boolean x) throws SQLException {
    raw().setBoolean(name, x);
  }

  @Override
  public void setByte(String name, byte x) throws SQLException {
    raw().setByte(name, x);
  }

  @Override
  public void setBytes(String name, byte[] x) throws SQLException {
    raw().setBytes(name, x);
  }

  @Override
  public void setCharacterStream(String name, Reader x, int length) throws SQLException {
    raw().setCharacterStream(name, x, length);
  }

  @Override
  public void setCharacterStream(String name, Reader x, long length) throws SQLException {
    raw().setCharacterStream(name, x, length);
  }

  @Override
  public void setCharacterStream(String name, Reader x) throws SQLException {
    raw().setCharacterStream(name, x);
  }

  @Override
  public void setClob(String name, Reader x, long length) throws SQLException {
    raw().setClob(name, x, length);
  }

  @Override
  public void setClob(String name, Reader x) throws SQLException {
    raw().setClob(name, x);
  }

  @Override
  public void setClob(String name, Clob x) throws SQLException {
    raw().setClob(name, x);
  }

  @Override
  public void setDate(String name, Date x, Calendar calendar) throws SQLException {
    raw().setDate(name, x, calendar);
  }

  @Override
  public void setDate(String name, Date x) throws SQLException {
    raw().setDate(name, x);
  }

  @Override
  public void setDouble(String name, double x) throws SQLException {
    raw().setDouble(name, x);
  }

  @Override
  public void setFloat(String name, float x) throws SQLException {
    raw().setFloat(name, x);
  }

  @Override
  public void setInt(String name, int x) throws SQLException {
    raw().setInt(name, x);
  }

  @Override
  public void setLong(String name, long x) throws SQLException {
    raw().setLong(name, x);
  }

  @Override
  public void setNCharacterStream(String name, Reader x, long length) throws SQLException {
    raw().setNCharacterStream(name, x, length);
  }

  @Override
  public void setNCharacterStream(String name, Reader x) throws SQLException {
    raw().setNCharacterStream(name, x);
  }

  @Override
  public void setNClob(String name, Reader x, long length) throws SQLException {
    raw().setNClob(name, x, length);
  }

  @Override
  public void setNClob(String name, Reader x) throws SQLException {
    raw().setNClob(name, x);
  }

  @Override
  public void setNClob(String name, NClob x) throws SQLException {
    raw().setNClob(name, x);
  }

  @Override
  public void setNString(String name, String x) throws SQLException {
    raw().setNString(name, x);
  }

  @Override
  public void setNull(String name, int sqlType, String typeName) throws SQLException {
    raw().setNull(name, sqlType, typeName);
  }

  @Override
  public void setNull(String name, int sqlType) throws SQLException {
    raw().setNull(name, sqlType);
  }

  @Override
  public void setObject(String name, Object x, int sqlType, int scale) throws SQLException {
    raw().setObject(name, x, sqlType, scale);
  }

  @Override
  public void setObject(String name, Object x, int sqlType) throws SQLException {
    raw().setObject(name, x, sqlType);
  }

  @Override
  public void setObject(String name, Object x, SQLType type, int scale) throws SQLException {
    raw().setObject(name, x, type, scale);
  }

  @Override
  public void setObject(String name, Object x, SQLType type) throws SQLException {
    raw().setObject(name, x, type);
  }

  @Override
  public void setObject(String name, Object x) throws SQLException {
    raw().setObject(name, x);
  }

  @Override
  public void setRowId(String name, RowId x) throws SQLException {
    raw().setRowId(name, x);
  }

  @Override
  public void setSQLXML(String name, SQLXML x) throws SQLException {
    raw().setSQLXML(name, x);
  }

  @Override
  public void setShort(String name, short x) throws SQLException {
    raw().setShort(name, x);
  }

  @Override
  public void setString(String name, String x) throws SQLException {
    raw().setString(name, x);
  }

  @Override
  public void setTime(String name, Time x, Calendar calendar) throws SQLException {
    raw().setTime(name, x, calendar);
  }

  @Override
  public void setTime(String name, Time x) throws SQLException {
    raw().setTime(name, x);
  }

  @Override
  public void setTimestamp(String name, Timestamp x, Calendar calendar) throws SQLException {
    raw().setTimestamp(name, x, calendar);
  }

  @Override
  public void setTimestamp(String name, Timestamp x) throws SQLException {
    raw().setTimestamp(name, x);
  }

  @Override
  public void setURL(String name, URL x) throws SQLException {
    raw().setURL(name, x);
  }

  @Override
  public boolean wasNull() throws SQLException {
    return raw().wasNull();
  }
}
