package io.dualwrite.jdbc;

import java.io.InputStream;
import java.io.Reader;
import java.math.BigDecimal;
import java.net.URL;
import java.sql.Array;
import java.sql.Blob;
import java.sql.Clob;
import java.sql.Date;
import java.sql.NClob;
import java.sql.Ref;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.RowId;
import java.sql.SQLException;
import java.sql.SQLType;
import java.sql.SQLWarning;
import java.sql.SQLXML;
import java.sql.Statement;
import java.sql.Time;
import java.sql.Timestamp;
import java.util.Calendar;
import java.util.Map;
import org.postgresql.PGRefCursorResultSet;
import org.postgresql.jdbc.PgArray;

/**
 * A result of the primary: everything is handed on as it is, but nothing leads from it to the raw
 * connection, and rows are changed through an {@link UpdatableResultSet} only, since the driver
 * would write them past us.
 *
 * <p>What is called per row and per value does nothing beyond the call. As thread-safe as the
 * driver's own.
 */
class DwResultSet implements ResultSet {

  ResultSet raw; // a chain of results goes from one to the next
  final Statement owner;

  DwResultSet(ResultSet raw, Statement owner) {
    this.raw = raw;
    this.owner = owner;
  }

  /** The result, or null if there is none. */
  static ResultSet of(ResultSet raw, Statement owner) {
    if (raw == null) {
      return null;
    }
    return owner instanceof AbstractStatement a && a.concurrency == CONCUR_UPDATABLE
        ? new UpdatableResultSet(raw, a)
        : new DwResultSet(raw, owner);
  }

  /**
   * The result without its last columns, which we asked for and the application did not.
   *
   * @param visibleColumns how many columns remain; negative: all
   */
  static ResultSet of(ResultSet raw, Statement owner, int visibleColumns) throws SQLException {
    return raw == null || visibleColumns < 0
        ? of(raw, owner)
        : new TrimmedResultSet(raw, owner, visibleColumns);
  }

  /** What a driver returned as an object: arrays and cursors lead to a statement, so wrapped. */
  static Object ours(Object value, Statement owner) throws SQLException {
    if (value instanceof PgArray a) {
      return DwArray.of(a, owner.getConnection());
    }
    if (value instanceof ResultSet r) {
      return new DwResultSet(r, new DetachedStatement(r.getStatement(), owner.getConnection()));
    }
    return value;
  }

  /** As {@link #ours(Object, Statement)}, where the application said what it expects. */
  static <T> T ours(Class<T> type, T value, Statement owner) throws SQLException {
    Object ours = ours(value, owner);
    return type.isInstance(ours) ? type.cast(ours) : value;
  }

  /**
   * The raw result for a method that changes rows. One that is read only refuses by itself, in the
   * driver's words; any other is an {@link UpdatableResultSet}.
   */
  ResultSet writable() throws SQLException {
    if (raw.getConcurrency() != CONCUR_READ_ONLY) {
      throw Refusal.of("dualwrite refuses to change rows through this ResultSet");
    }
    return raw;
  }

  /** Past here a large object is the operator's choice; throws if it is refused. */
  private ResultSet largeObjects() throws SQLException {
    owner.getConnection().unwrap(DwConnection.class).largeObjects(c -> null);
    return raw;
  }

  @Override
  public boolean next() throws SQLException {
    return raw.next();
  }

  @Override
  public void close() throws SQLException {
    raw.close();
    if (owner instanceof AbstractStatement s) {
      s.resultClosed();
    }
  }

  @Override
  public boolean wasNull() throws SQLException {
    return raw.wasNull();
  }

  @Override
  public String getString(int columnIndex) throws SQLException {
    return raw.getString(columnIndex);
  }

  @Override
  public boolean getBoolean(int columnIndex) throws SQLException {
    return raw.getBoolean(columnIndex);
  }

  @Override
  public byte getByte(int columnIndex) throws SQLException {
    return raw.getByte(columnIndex);
  }

  @Override
  public short getShort(int columnIndex) throws SQLException {
    return raw.getShort(columnIndex);
  }

  @Override
  public int getInt(int columnIndex) throws SQLException {
    return raw.getInt(columnIndex);
  }

  @Override
  public long getLong(int columnIndex) throws SQLException {
    return raw.getLong(columnIndex);
  }

  @Override
  public float getFloat(int columnIndex) throws SQLException {
    return raw.getFloat(columnIndex);
  }

  @Override
  public double getDouble(int columnIndex) throws SQLException {
    return raw.getDouble(columnIndex);
  }

  @SuppressWarnings("deprecation")
  @Override
  public BigDecimal getBigDecimal(int columnIndex, int scale) throws SQLException {
    return raw.getBigDecimal(columnIndex, scale);
  }

  @Override
  public byte[] getBytes(int columnIndex) throws SQLException {
    return raw.getBytes(columnIndex);
  }

  @Override
  public Date getDate(int columnIndex) throws SQLException {
    return raw.getDate(columnIndex);
  }

  @Override
  public Time getTime(int columnIndex) throws SQLException {
    return raw.getTime(columnIndex);
  }

  @Override
  public Timestamp getTimestamp(int columnIndex) throws SQLException {
    return raw.getTimestamp(columnIndex);
  }

  @Override
  public InputStream getAsciiStream(int columnIndex) throws SQLException {
    return raw.getAsciiStream(columnIndex);
  }

  @SuppressWarnings("deprecation")
  @Override
  public InputStream getUnicodeStream(int columnIndex) throws SQLException {
    return raw.getUnicodeStream(columnIndex);
  }

  @Override
  public InputStream getBinaryStream(int columnIndex) throws SQLException {
    return raw.getBinaryStream(columnIndex);
  }

  @Override
  public String getString(String columnLabel) throws SQLException {
    return raw.getString(columnLabel);
  }

  @Override
  public boolean getBoolean(String columnLabel) throws SQLException {
    return raw.getBoolean(columnLabel);
  }

  @Override
  public byte getByte(String columnLabel) throws SQLException {
    return raw.getByte(columnLabel);
  }

  @Override
  public short getShort(String columnLabel) throws SQLException {
    return raw.getShort(columnLabel);
  }

  @Override
  public int getInt(String columnLabel) throws SQLException {
    return raw.getInt(columnLabel);
  }

  @Override
  public long getLong(String columnLabel) throws SQLException {
    return raw.getLong(columnLabel);
  }

  @Override
  public float getFloat(String columnLabel) throws SQLException {
    return raw.getFloat(columnLabel);
  }

  @Override
  public double getDouble(String columnLabel) throws SQLException {
    return raw.getDouble(columnLabel);
  }

  @SuppressWarnings("deprecation")
  @Override
  public BigDecimal getBigDecimal(String columnLabel, int scale) throws SQLException {
    return raw.getBigDecimal(columnLabel, scale);
  }

  @Override
  public byte[] getBytes(String columnLabel) throws SQLException {
    return raw.getBytes(columnLabel);
  }

  @Override
  public Date getDate(String columnLabel) throws SQLException {
    return raw.getDate(columnLabel);
  }

  @Override
  public Time getTime(String columnLabel) throws SQLException {
    return raw.getTime(columnLabel);
  }

  @Override
  public Timestamp getTimestamp(String columnLabel) throws SQLException {
    return raw.getTimestamp(columnLabel);
  }

  @Override
  public InputStream getAsciiStream(String columnLabel) throws SQLException {
    return raw.getAsciiStream(columnLabel);
  }

  @SuppressWarnings("deprecation")
  @Override
  public InputStream getUnicodeStream(String columnLabel) throws SQLException {
    return raw.getUnicodeStream(columnLabel);
  }

  @Override
  public InputStream getBinaryStream(String columnLabel) throws SQLException {
    return raw.getBinaryStream(columnLabel);
  }

  @Override
  public SQLWarning getWarnings() throws SQLException {
    return raw.getWarnings();
  }

  @Override
  public void clearWarnings() throws SQLException {
    raw.clearWarnings();
  }

  @Override
  public String getCursorName() throws SQLException {
    return raw.getCursorName();
  }

  @Override
  public ResultSetMetaData getMetaData() throws SQLException {
    return raw.getMetaData();
  }

  @Override
  public Object getObject(int columnIndex) throws SQLException {
    return ours(raw.getObject(columnIndex), owner);
  }

  @Override
  public Object getObject(String columnLabel) throws SQLException {
    return ours(raw.getObject(columnLabel), owner);
  }

  @Override
  public int findColumn(String columnLabel) throws SQLException {
    return raw.findColumn(columnLabel);
  }

  @Override
  public Reader getCharacterStream(int columnIndex) throws SQLException {
    return raw.getCharacterStream(columnIndex);
  }

  @Override
  public Reader getCharacterStream(String columnLabel) throws SQLException {
    return raw.getCharacterStream(columnLabel);
  }

  @Override
  public BigDecimal getBigDecimal(int columnIndex) throws SQLException {
    return raw.getBigDecimal(columnIndex);
  }

  @Override
  public BigDecimal getBigDecimal(String columnLabel) throws SQLException {
    return raw.getBigDecimal(columnLabel);
  }

  @Override
  public boolean isBeforeFirst() throws SQLException {
    return raw.isBeforeFirst();
  }

  @Override
  public boolean isAfterLast() throws SQLException {
    return raw.isAfterLast();
  }

  @Override
  public boolean isFirst() throws SQLException {
    return raw.isFirst();
  }

  @Override
  public boolean isLast() throws SQLException {
    return raw.isLast();
  }

  @Override
  public void beforeFirst() throws SQLException {
    raw.beforeFirst();
  }

  @Override
  public void afterLast() throws SQLException {
    raw.afterLast();
  }

  @Override
  public boolean first() throws SQLException {
    return raw.first();
  }

  @Override
  public boolean last() throws SQLException {
    return raw.last();
  }

  @Override
  public int getRow() throws SQLException {
    return raw.getRow();
  }

  @Override
  public boolean absolute(int row) throws SQLException {
    return raw.absolute(row);
  }

  @Override
  public boolean relative(int rows) throws SQLException {
    return raw.relative(rows);
  }

  @Override
  public boolean previous() throws SQLException {
    return raw.previous();
  }

  @Override
  public void setFetchDirection(int direction) throws SQLException {
    raw.setFetchDirection(direction);
  }

  @Override
  public int getFetchDirection() throws SQLException {
    return raw.getFetchDirection();
  }

  @Override
  public void setFetchSize(int rows) throws SQLException {
    raw.setFetchSize(rows);
  }

  @Override
  public int getFetchSize() throws SQLException {
    return raw.getFetchSize();
  }

  @Override
  public int getType() throws SQLException {
    return raw.getType();
  }

  @Override
  public int getConcurrency() throws SQLException {
    return raw.getConcurrency();
  }

  @Override
  public boolean rowUpdated() throws SQLException {
    return raw.rowUpdated();
  }

  @Override
  public boolean rowInserted() throws SQLException {
    return raw.rowInserted();
  }

  @Override
  public boolean rowDeleted() throws SQLException {
    return raw.rowDeleted();
  }

  @Override
  public void updateNull(int columnIndex) throws SQLException {
    writable().updateNull(columnIndex);
  }

  @Override
  public void updateBoolean(int columnIndex, boolean x) throws SQLException {
    writable().updateBoolean(columnIndex, x);
  }

  @Override
  public void updateByte(int columnIndex, byte x) throws SQLException {
    writable().updateByte(columnIndex, x);
  }

  @Override
  public void updateShort(int columnIndex, short x) throws SQLException {
    writable().updateShort(columnIndex, x);
  }

  @Override
  public void updateInt(int columnIndex, int x) throws SQLException {
    writable().updateInt(columnIndex, x);
  }

  @Override
  public void updateLong(int columnIndex, long x) throws SQLException {
    writable().updateLong(columnIndex, x);
  }

  @Override
  public void updateFloat(int columnIndex, float x) throws SQLException {
    writable().updateFloat(columnIndex, x);
  }

  @Override
  public void updateDouble(int columnIndex, double x) throws SQLException {
    writable().updateDouble(columnIndex, x);
  }

  @Override
  public void updateBigDecimal(int columnIndex, BigDecimal x) throws SQLException {
    writable().updateBigDecimal(columnIndex, x);
  }

  @Override
  public void updateString(int columnIndex, String x) throws SQLException {
    writable().updateString(columnIndex, x);
  }

  @Override
  public void updateBytes(int columnIndex, byte[] x) throws SQLException {
    writable().updateBytes(columnIndex, x);
  }

  @Override
  public void updateDate(int columnIndex, Date x) throws SQLException {
    writable().updateDate(columnIndex, x);
  }

  @Override
  public void updateTime(int columnIndex, Time x) throws SQLException {
    writable().updateTime(columnIndex, x);
  }

  @Override
  public void updateTimestamp(int columnIndex, Timestamp x) throws SQLException {
    writable().updateTimestamp(columnIndex, x);
  }

  @Override
  public void updateAsciiStream(int columnIndex, InputStream x, int length) throws SQLException {
    writable().updateAsciiStream(columnIndex, x, length);
  }

  @Override
  public void updateBinaryStream(int columnIndex, InputStream x, int length) throws SQLException {
    writable().updateBinaryStream(columnIndex, x, length);
  }

  @Override
  public void updateCharacterStream(int columnIndex, Reader x, int length) throws SQLException {
    writable().updateCharacterStream(columnIndex, x, length);
  }

  @Override
  public void updateObject(int columnIndex, Object x, int scaleOrLength) throws SQLException {
    writable().updateObject(columnIndex, x, scaleOrLength);
  }

  @Override
  public void updateObject(int columnIndex, Object x) throws SQLException {
    writable().updateObject(columnIndex, x);
  }

  @Override
  public void updateNull(String columnLabel) throws SQLException {
    writable().updateNull(columnLabel);
  }

  @Override
  public void updateBoolean(String columnLabel, boolean x) throws SQLException {
    writable().updateBoolean(columnLabel, x);
  }

  @Override
  public void updateByte(String columnLabel, byte x) throws SQLException {
    writable().updateByte(columnLabel, x);
  }

  @Override
  public void updateShort(String columnLabel, short x) throws SQLException {
    writable().updateShort(columnLabel, x);
  }

  @Override
  public void updateInt(String columnLabel, int x) throws SQLException {
    writable().updateInt(columnLabel, x);
  }

  @Override
  public void updateLong(String columnLabel, long x) throws SQLException {
    writable().updateLong(columnLabel, x);
  }

  @Override
  public void updateFloat(String columnLabel, float x) throws SQLException {
    writable().updateFloat(columnLabel, x);
  }

  @Override
  public void updateDouble(String columnLabel, double x) throws SQLException {
    writable().updateDouble(columnLabel, x);
  }

  @Override
  public void updateBigDecimal(String columnLabel, BigDecimal x) throws SQLException {
    writable().updateBigDecimal(columnLabel, x);
  }

  @Override
  public void updateString(String columnLabel, String x) throws SQLException {
    writable().updateString(columnLabel, x);
  }

  @Override
  public void updateBytes(String columnLabel, byte[] x) throws SQLException {
    writable().updateBytes(columnLabel, x);
  }

  @Override
  public void updateDate(String columnLabel, Date x) throws SQLException {
    writable().updateDate(columnLabel, x);
  }

  @Override
  public void updateTime(String columnLabel, Time x) throws SQLException {
    writable().updateTime(columnLabel, x);
  }

  @Override
  public void updateTimestamp(String columnLabel, Timestamp x) throws SQLException {
    writable().updateTimestamp(columnLabel, x);
  }

  @Override
  public void updateAsciiStream(String columnLabel, InputStream x, int length) throws SQLException {
    writable().updateAsciiStream(columnLabel, x, length);
  }

  @Override
  public void updateBinaryStream(String columnLabel, InputStream x, int length)
      throws SQLException {
    writable().updateBinaryStream(columnLabel, x, length);
  }

  @Override
  public void updateCharacterStream(String columnLabel, Reader reader, int length)
      throws SQLException {
    writable().updateCharacterStream(columnLabel, reader, length);
  }

  @Override
  public void updateObject(String columnLabel, Object x, int scaleOrLength) throws SQLException {
    writable().updateObject(columnLabel, x, scaleOrLength);
  }

  @Override
  public void updateObject(String columnLabel, Object x) throws SQLException {
    writable().updateObject(columnLabel, x);
  }

  @Override
  public void insertRow() throws SQLException {
    writable().insertRow();
  }

  @Override
  public void updateRow() throws SQLException {
    writable().updateRow();
  }

  @Override
  public void deleteRow() throws SQLException {
    writable().deleteRow();
  }

  @Override
  public void refreshRow() throws SQLException {
    raw.refreshRow();
  }

  @Override
  public void cancelRowUpdates() throws SQLException {
    raw.cancelRowUpdates();
  }

  @Override
  public void moveToInsertRow() throws SQLException {
    writable().moveToInsertRow();
  }

  @Override
  public void moveToCurrentRow() throws SQLException {
    raw.moveToCurrentRow();
  }

  @Override
  public Statement getStatement() throws SQLException {
    raw.getStatement();
    return owner;
  }

  @Override
  public Object getObject(int columnIndex, Map<String, Class<?>> map) throws SQLException {
    return ours(raw.getObject(columnIndex, map), owner);
  }

  @Override
  public Ref getRef(int columnIndex) throws SQLException {
    return raw.getRef(columnIndex);
  }

  @Override
  public Blob getBlob(int columnIndex) throws SQLException {
    return largeObjects().getBlob(columnIndex);
  }

  @Override
  public Clob getClob(int columnIndex) throws SQLException {
    return largeObjects().getClob(columnIndex);
  }

  @Override
  public Array getArray(int columnIndex) throws SQLException {
    return DwArray.of(raw.getArray(columnIndex), owner.getConnection());
  }

  @Override
  public Object getObject(String columnLabel, Map<String, Class<?>> map) throws SQLException {
    return ours(raw.getObject(columnLabel, map), owner);
  }

  @Override
  public Ref getRef(String columnLabel) throws SQLException {
    return raw.getRef(columnLabel);
  }

  @Override
  public Blob getBlob(String columnLabel) throws SQLException {
    return largeObjects().getBlob(columnLabel);
  }

  @Override
  public Clob getClob(String columnLabel) throws SQLException {
    return largeObjects().getClob(columnLabel);
  }

  @Override
  public Array getArray(String columnLabel) throws SQLException {
    return DwArray.of(raw.getArray(columnLabel), owner.getConnection());
  }

  @Override
  public Date getDate(int columnIndex, Calendar cal) throws SQLException {
    return raw.getDate(columnIndex, cal);
  }

  @Override
  public Date getDate(String columnLabel, Calendar cal) throws SQLException {
    return raw.getDate(columnLabel, cal);
  }

  @Override
  public Time getTime(int columnIndex, Calendar cal) throws SQLException {
    return raw.getTime(columnIndex, cal);
  }

  @Override
  public Time getTime(String columnLabel, Calendar cal) throws SQLException {
    return raw.getTime(columnLabel, cal);
  }

  @Override
  public Timestamp getTimestamp(int columnIndex, Calendar cal) throws SQLException {
    return raw.getTimestamp(columnIndex, cal);
  }

  @Override
  public Timestamp getTimestamp(String columnLabel, Calendar cal) throws SQLException {
    return raw.getTimestamp(columnLabel, cal);
  }

  @Override
  public URL getURL(int columnIndex) throws SQLException {
    return raw.getURL(columnIndex);
  }

  @Override
  public URL getURL(String columnLabel) throws SQLException {
    return raw.getURL(columnLabel);
  }

  @Override
  public void updateRef(int columnIndex, Ref x) throws SQLException {
    writable().updateRef(columnIndex, x);
  }

  @Override
  public void updateRef(String columnLabel, Ref x) throws SQLException {
    writable().updateRef(columnLabel, x);
  }

  @Override
  public void updateBlob(int columnIndex, Blob x) throws SQLException {
    writable().updateBlob(columnIndex, x);
  }

  @Override
  public void updateBlob(String columnLabel, Blob x) throws SQLException {
    writable().updateBlob(columnLabel, x);
  }

  @Override
  public void updateClob(int columnIndex, Clob x) throws SQLException {
    writable().updateClob(columnIndex, x);
  }

  @Override
  public void updateClob(String columnLabel, Clob x) throws SQLException {
    writable().updateClob(columnLabel, x);
  }

  @Override
  public void updateArray(int columnIndex, Array x) throws SQLException {
    writable().updateArray(columnIndex, x);
  }

  @Override
  public void updateArray(String columnLabel, Array x) throws SQLException {
    writable().updateArray(columnLabel, x);
  }

  @Override
  public RowId getRowId(int columnIndex) throws SQLException {
    return raw.getRowId(columnIndex);
  }

  @Override
  public RowId getRowId(String columnLabel) throws SQLException {
    return raw.getRowId(columnLabel);
  }

  @Override
  public void updateRowId(int columnIndex, RowId x) throws SQLException {
    writable().updateRowId(columnIndex, x);
  }

  @Override
  public void updateRowId(String columnLabel, RowId x) throws SQLException {
    writable().updateRowId(columnLabel, x);
  }

  @Override
  public int getHoldability() throws SQLException {
    return raw.getHoldability();
  }

  @Override
  public boolean isClosed() throws SQLException {
    return raw.isClosed();
  }

  @Override
  public void updateNString(int columnIndex, String nString) throws SQLException {
    writable().updateNString(columnIndex, nString);
  }

  @Override
  public void updateNString(String columnLabel, String nString) throws SQLException {
    writable().updateNString(columnLabel, nString);
  }

  @Override
  public void updateNClob(int columnIndex, NClob nClob) throws SQLException {
    writable().updateNClob(columnIndex, nClob);
  }

  @Override
  public void updateNClob(String columnLabel, NClob nClob) throws SQLException {
    writable().updateNClob(columnLabel, nClob);
  }

  @Override
  public NClob getNClob(int columnIndex) throws SQLException {
    return raw.getNClob(columnIndex);
  }

  @Override
  public NClob getNClob(String columnLabel) throws SQLException {
    return raw.getNClob(columnLabel);
  }

  @Override
  public SQLXML getSQLXML(int columnIndex) throws SQLException {
    return raw.getSQLXML(columnIndex);
  }

  @Override
  public SQLXML getSQLXML(String columnLabel) throws SQLException {
    return raw.getSQLXML(columnLabel);
  }

  @Override
  public void updateSQLXML(int columnIndex, SQLXML xmlObject) throws SQLException {
    writable().updateSQLXML(columnIndex, xmlObject);
  }

  @Override
  public void updateSQLXML(String columnLabel, SQLXML xmlObject) throws SQLException {
    writable().updateSQLXML(columnLabel, xmlObject);
  }

  @Override
  public String getNString(int columnIndex) throws SQLException {
    return raw.getNString(columnIndex);
  }

  @Override
  public String getNString(String columnLabel) throws SQLException {
    return raw.getNString(columnLabel);
  }

  @Override
  public Reader getNCharacterStream(int columnIndex) throws SQLException {
    return raw.getNCharacterStream(columnIndex);
  }

  @Override
  public Reader getNCharacterStream(String columnLabel) throws SQLException {
    return raw.getNCharacterStream(columnLabel);
  }

  @Override
  public void updateNCharacterStream(int columnIndex, Reader x, long length) throws SQLException {
    writable().updateNCharacterStream(columnIndex, x, length);
  }

  @Override
  public void updateNCharacterStream(String columnLabel, Reader reader, long length)
      throws SQLException {
    writable().updateNCharacterStream(columnLabel, reader, length);
  }

  @Override
  public void updateAsciiStream(int columnIndex, InputStream x, long length) throws SQLException {
    writable().updateAsciiStream(columnIndex, x, length);
  }

  @Override
  public void updateBinaryStream(int columnIndex, InputStream x, long length) throws SQLException {
    writable().updateBinaryStream(columnIndex, x, length);
  }

  @Override
  public void updateCharacterStream(int columnIndex, Reader x, long length) throws SQLException {
    writable().updateCharacterStream(columnIndex, x, length);
  }

  @Override
  public void updateAsciiStream(String columnLabel, InputStream x, long length)
      throws SQLException {
    writable().updateAsciiStream(columnLabel, x, length);
  }

  @Override
  public void updateBinaryStream(String columnLabel, InputStream x, long length)
      throws SQLException {
    writable().updateBinaryStream(columnLabel, x, length);
  }

  @Override
  public void updateCharacterStream(String columnLabel, Reader reader, long length)
      throws SQLException {
    writable().updateCharacterStream(columnLabel, reader, length);
  }

  @Override
  public void updateBlob(int columnIndex, InputStream inputStream, long length)
      throws SQLException {
    writable().updateBlob(columnIndex, inputStream, length);
  }

  @Override
  public void updateBlob(String columnLabel, InputStream inputStream, long length)
      throws SQLException {
    writable().updateBlob(columnLabel, inputStream, length);
  }

  @Override
  public void updateClob(int columnIndex, Reader reader, long length) throws SQLException {
    writable().updateClob(columnIndex, reader, length);
  }

  @Override
  public void updateClob(String columnLabel, Reader reader, long length) throws SQLException {
    writable().updateClob(columnLabel, reader, length);
  }

  @Override
  public void updateNClob(int columnIndex, Reader reader, long length) throws SQLException {
    writable().updateNClob(columnIndex, reader, length);
  }

  @Override
  public void updateNClob(String columnLabel, Reader reader, long length) throws SQLException {
    writable().updateNClob(columnLabel, reader, length);
  }

  @Override
  public void updateNCharacterStream(int columnIndex, Reader x) throws SQLException {
    writable().updateNCharacterStream(columnIndex, x);
  }

  @Override
  public void updateNCharacterStream(String columnLabel, Reader reader) throws SQLException {
    writable().updateNCharacterStream(columnLabel, reader);
  }

  @Override
  public void updateAsciiStream(int columnIndex, InputStream x) throws SQLException {
    writable().updateAsciiStream(columnIndex, x);
  }

  @Override
  public void updateBinaryStream(int columnIndex, InputStream x) throws SQLException {
    writable().updateBinaryStream(columnIndex, x);
  }

  @Override
  public void updateCharacterStream(int columnIndex, Reader x) throws SQLException {
    writable().updateCharacterStream(columnIndex, x);
  }

  @Override
  public void updateAsciiStream(String columnLabel, InputStream x) throws SQLException {
    writable().updateAsciiStream(columnLabel, x);
  }

  @Override
  public void updateBinaryStream(String columnLabel, InputStream x) throws SQLException {
    writable().updateBinaryStream(columnLabel, x);
  }

  @Override
  public void updateCharacterStream(String columnLabel, Reader reader) throws SQLException {
    writable().updateCharacterStream(columnLabel, reader);
  }

  @Override
  public void updateBlob(int columnIndex, InputStream inputStream) throws SQLException {
    writable().updateBlob(columnIndex, inputStream);
  }

  @Override
  public void updateBlob(String columnLabel, InputStream inputStream) throws SQLException {
    writable().updateBlob(columnLabel, inputStream);
  }

  @Override
  public void updateClob(int columnIndex, Reader reader) throws SQLException {
    writable().updateClob(columnIndex, reader);
  }

  @Override
  public void updateClob(String columnLabel, Reader reader) throws SQLException {
    writable().updateClob(columnLabel, reader);
  }

  @Override
  public void updateNClob(int columnIndex, Reader reader) throws SQLException {
    writable().updateNClob(columnIndex, reader);
  }

  @Override
  public void updateNClob(String columnLabel, Reader reader) throws SQLException {
    writable().updateNClob(columnLabel, reader);
  }

  @Override
  public <T> T getObject(int columnIndex, Class<T> type) throws SQLException {
    return ours(type, raw.getObject(columnIndex, type), owner);
  }

  @Override
  public <T> T getObject(String columnLabel, Class<T> type) throws SQLException {
    return ours(type, raw.getObject(columnLabel, type), owner);
  }

  @Override
  public void updateObject(int columnIndex, Object x, SQLType targetSqlType, int scaleOrLength)
      throws SQLException {
    writable().updateObject(columnIndex, x, targetSqlType, scaleOrLength);
  }

  @Override
  public void updateObject(String columnLabel, Object x, SQLType targetSqlType, int scaleOrLength)
      throws SQLException {
    writable().updateObject(columnLabel, x, targetSqlType, scaleOrLength);
  }

  @Override
  public void updateObject(int columnIndex, Object x, SQLType targetSqlType) throws SQLException {
    writable().updateObject(columnIndex, x, targetSqlType);
  }

  @Override
  public void updateObject(String columnLabel, Object x, SQLType targetSqlType)
      throws SQLException {
    writable().updateObject(columnLabel, x, targetSqlType);
  }

  /** Ours for what this is; of the driver's own what leads nowhere. */
  @SuppressWarnings("deprecation")
  @Override
  public <T> T unwrap(Class<T> iface) throws SQLException {
    if (iface.isInstance(this)) {
      return iface.cast(this);
    }
    if (iface == PGRefCursorResultSet.class) {
      PGRefCursorResultSet theirs = raw.unwrap(PGRefCursorResultSet.class);
      String cursor = theirs.getRefCursor();
      PGRefCursorResultSet ours = () -> cursor;
      return iface.cast(ours);
    }
    throw Refusal.handOut(iface);
  }

  @Override
  public boolean isWrapperFor(Class<?> iface) throws SQLException {
    return iface.isInstance(this) || iface == PGRefCursorResultSet.class;
  }
}
