package io.dualwrite.jdbc;

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.io.Reader;
import java.io.StringReader;
import java.math.BigDecimal;
import java.net.URL;
import java.nio.charset.StandardCharsets;
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
import java.sql.SQLXML;
import java.sql.Statement;
import java.sql.Time;
import java.sql.Timestamp;
import java.sql.Types;
import java.util.Arrays;
import java.util.Calendar;
import java.util.Locale;
import java.util.Map;
import org.postgresql.util.GT;
import org.postgresql.util.PSQLException;
import org.postgresql.util.PSQLState;

/** A result whose last columns the application did not ask for and cannot see. */
final class TrimmedResultSet extends DwResultSet {

  private final int columns;

  /** How much of a field the application wants to see, where we wanted all of it; 0: all. */
  private final int fieldSize;

  TrimmedResultSet(ResultSet raw, Statement owner, int columns) throws SQLException {
    super(raw, owner);
    this.columns = columns;
    fieldSize = owner.getMaxFieldSize();
  }

  /** The value as the driver would cut it off. */
  @SuppressWarnings("unchecked") // of the same type
  private <T> T cut(int index, T value) throws SQLException {
    if (fieldSize == 0 || value == null) {
      return value;
    }
    if (value instanceof String s && s.length() > fieldSize && limited(index)) {
      return (T) s.substring(0, fieldSize);
    }
    if (value instanceof byte[] b && b.length > fieldSize && limited(index)) {
      return (T) Arrays.copyOf(b, fieldSize);
    }
    return value;
  }

  private boolean limited(int index) throws SQLException {
    return switch (raw.getMetaData().getColumnType(index)) {
      case Types.CHAR,
          Types.VARCHAR,
          Types.LONGVARCHAR,
          Types.BINARY,
          Types.VARBINARY,
          Types.LONGVARBINARY ->
          true;
      default -> false;
    };
  }

  /** The index, if it is from 1 to the number of columns that are visible. */
  private int visible(int index) throws SQLException {
    if (Integer.compareUnsigned(index - 1, columns) >= 0) {
      throw outOfRange(index);
    }
    return index;
  }

  private SQLException outOfRange(int index) {
    try {
      // what else is wrong (closed, no row) the driver says first
      raw.getObject(Integer.MAX_VALUE);
    } catch (SQLException e) {
      if (!PSQLState.INVALID_PARAMETER_VALUE.getState().equals(e.getSQLState())) {
        return e;
      }
    }
    return outOfRange(index, columns);
  }

  /** The driver's own error, in its words and its language. */
  static PSQLException outOfRange(int index, int columns) {
    return new PSQLException(
        GT.tr("The column index is out of range: {0}, number of columns: {1}.", index, columns),
        PSQLState.INVALID_PARAMETER_VALUE);
  }

  @Override
  public int findColumn(String columnLabel) throws SQLException {
    int index = raw.findColumn(columnLabel);
    if (index <= columns) {
      return index;
    }
    // The driver looks for the name as it is, then in lower, then in upper case, and the first
    // column of that name counts; so a hidden one can be in the way only of another spelling.
    ResultSetMetaData all = raw.getMetaData();
    for (String name :
        new String[] {
          columnLabel, columnLabel.toLowerCase(Locale.US), columnLabel.toUpperCase(Locale.US)
        }) {
      for (int i = 1; i <= columns; i++) {
        if (all.getColumnLabel(i).equals(name)) {
          return i;
        }
      }
    }
    throw new PSQLException(
        GT.tr("The column name {0} was not found in this ResultSet.", columnLabel),
        PSQLState.UNDEFINED_COLUMN);
  }

  @Override
  public ResultSetMetaData getMetaData() throws SQLException {
    return new DwResultSetMetaData(raw.getMetaData(), columns);
  }

  @Override
  public String getString(int columnIndex) throws SQLException {
    return cut(columnIndex, super.getString(visible(columnIndex)));
  }

  @Override
  public boolean getBoolean(int columnIndex) throws SQLException {
    return super.getBoolean(visible(columnIndex));
  }

  @Override
  public byte getByte(int columnIndex) throws SQLException {
    return super.getByte(visible(columnIndex));
  }

  @Override
  public short getShort(int columnIndex) throws SQLException {
    return super.getShort(visible(columnIndex));
  }

  @Override
  public int getInt(int columnIndex) throws SQLException {
    return super.getInt(visible(columnIndex));
  }

  @Override
  public long getLong(int columnIndex) throws SQLException {
    return super.getLong(visible(columnIndex));
  }

  @Override
  public float getFloat(int columnIndex) throws SQLException {
    return super.getFloat(visible(columnIndex));
  }

  @Override
  public double getDouble(int columnIndex) throws SQLException {
    return super.getDouble(visible(columnIndex));
  }

  @SuppressWarnings("deprecation")
  @Override
  public BigDecimal getBigDecimal(int columnIndex, int scale) throws SQLException {
    return super.getBigDecimal(visible(columnIndex), scale);
  }

  @Override
  public byte[] getBytes(int columnIndex) throws SQLException {
    return cut(columnIndex, super.getBytes(visible(columnIndex)));
  }

  @Override
  public Date getDate(int columnIndex) throws SQLException {
    return super.getDate(visible(columnIndex));
  }

  @Override
  public Time getTime(int columnIndex) throws SQLException {
    return super.getTime(visible(columnIndex));
  }

  @Override
  public Timestamp getTimestamp(int columnIndex) throws SQLException {
    return super.getTimestamp(visible(columnIndex));
  }

  @Override
  public InputStream getAsciiStream(int columnIndex) throws SQLException {
    if (fieldSize == 0) {
      return super.getAsciiStream(visible(columnIndex));
    }
    String value = getString(columnIndex);
    return value == null
        ? null
        : new ByteArrayInputStream(value.getBytes(StandardCharsets.US_ASCII));
  }

  @SuppressWarnings("deprecation")
  @Override
  public InputStream getUnicodeStream(int columnIndex) throws SQLException {
    if (fieldSize == 0) {
      return super.getUnicodeStream(visible(columnIndex));
    }
    String value = getString(columnIndex);
    return value == null ? null : new ByteArrayInputStream(value.getBytes(StandardCharsets.UTF_8));
  }

  @Override
  public InputStream getBinaryStream(int columnIndex) throws SQLException {
    if (fieldSize == 0) {
      return super.getBinaryStream(visible(columnIndex));
    }
    byte[] value = getBytes(columnIndex);
    return value == null ? null : new ByteArrayInputStream(value);
  }

  @Override
  public String getString(String columnLabel) throws SQLException {
    return getString(findColumn(columnLabel));
  }

  @Override
  public boolean getBoolean(String columnLabel) throws SQLException {
    return super.getBoolean(findColumn(columnLabel));
  }

  @Override
  public byte getByte(String columnLabel) throws SQLException {
    return super.getByte(findColumn(columnLabel));
  }

  @Override
  public short getShort(String columnLabel) throws SQLException {
    return super.getShort(findColumn(columnLabel));
  }

  @Override
  public int getInt(String columnLabel) throws SQLException {
    return super.getInt(findColumn(columnLabel));
  }

  @Override
  public long getLong(String columnLabel) throws SQLException {
    return super.getLong(findColumn(columnLabel));
  }

  @Override
  public float getFloat(String columnLabel) throws SQLException {
    return super.getFloat(findColumn(columnLabel));
  }

  @Override
  public double getDouble(String columnLabel) throws SQLException {
    return super.getDouble(findColumn(columnLabel));
  }

  @SuppressWarnings("deprecation")
  @Override
  public BigDecimal getBigDecimal(String columnLabel, int scale) throws SQLException {
    return super.getBigDecimal(findColumn(columnLabel), scale);
  }

  @Override
  public byte[] getBytes(String columnLabel) throws SQLException {
    return getBytes(findColumn(columnLabel));
  }

  @Override
  public Date getDate(String columnLabel) throws SQLException {
    return super.getDate(findColumn(columnLabel));
  }

  @Override
  public Time getTime(String columnLabel) throws SQLException {
    return super.getTime(findColumn(columnLabel));
  }

  @Override
  public Timestamp getTimestamp(String columnLabel) throws SQLException {
    return super.getTimestamp(findColumn(columnLabel));
  }

  @Override
  public InputStream getAsciiStream(String columnLabel) throws SQLException {
    return getAsciiStream(findColumn(columnLabel));
  }

  @SuppressWarnings("deprecation")
  @Override
  public InputStream getUnicodeStream(String columnLabel) throws SQLException {
    return getUnicodeStream(findColumn(columnLabel));
  }

  @Override
  public InputStream getBinaryStream(String columnLabel) throws SQLException {
    return getBinaryStream(findColumn(columnLabel));
  }

  @Override
  public Object getObject(int columnIndex) throws SQLException {
    return cut(columnIndex, super.getObject(visible(columnIndex)));
  }

  @Override
  public Object getObject(String columnLabel) throws SQLException {
    return getObject(findColumn(columnLabel));
  }

  @Override
  public Reader getCharacterStream(int columnIndex) throws SQLException {
    if (fieldSize == 0) {
      return super.getCharacterStream(visible(columnIndex));
    }
    String value = getString(columnIndex);
    return value == null ? null : new StringReader(value);
  }

  @Override
  public Reader getCharacterStream(String columnLabel) throws SQLException {
    return getCharacterStream(findColumn(columnLabel));
  }

  @Override
  public BigDecimal getBigDecimal(int columnIndex) throws SQLException {
    return super.getBigDecimal(visible(columnIndex));
  }

  @Override
  public BigDecimal getBigDecimal(String columnLabel) throws SQLException {
    return super.getBigDecimal(findColumn(columnLabel));
  }

  @Override
  public Object getObject(int columnIndex, Map<String, Class<?>> map) throws SQLException {
    return cut(columnIndex, super.getObject(visible(columnIndex), map));
  }

  @Override
  public Ref getRef(int columnIndex) throws SQLException {
    return super.getRef(visible(columnIndex));
  }

  @Override
  public Blob getBlob(int columnIndex) throws SQLException {
    return super.getBlob(visible(columnIndex));
  }

  @Override
  public Clob getClob(int columnIndex) throws SQLException {
    return super.getClob(visible(columnIndex));
  }

  @Override
  public Array getArray(int columnIndex) throws SQLException {
    return super.getArray(visible(columnIndex));
  }

  @Override
  public Object getObject(String columnLabel, Map<String, Class<?>> map) throws SQLException {
    return getObject(findColumn(columnLabel), map);
  }

  @Override
  public Ref getRef(String columnLabel) throws SQLException {
    return super.getRef(findColumn(columnLabel));
  }

  @Override
  public Blob getBlob(String columnLabel) throws SQLException {
    return super.getBlob(findColumn(columnLabel));
  }

  @Override
  public Clob getClob(String columnLabel) throws SQLException {
    return super.getClob(findColumn(columnLabel));
  }

  @Override
  public Array getArray(String columnLabel) throws SQLException {
    return super.getArray(findColumn(columnLabel));
  }

  @Override
  public Date getDate(int columnIndex, Calendar cal) throws SQLException {
    return super.getDate(visible(columnIndex), cal);
  }

  @Override
  public Date getDate(String columnLabel, Calendar cal) throws SQLException {
    return super.getDate(findColumn(columnLabel), cal);
  }

  @Override
  public Time getTime(int columnIndex, Calendar cal) throws SQLException {
    return super.getTime(visible(columnIndex), cal);
  }

  @Override
  public Time getTime(String columnLabel, Calendar cal) throws SQLException {
    return super.getTime(findColumn(columnLabel), cal);
  }

  @Override
  public Timestamp getTimestamp(int columnIndex, Calendar cal) throws SQLException {
    return super.getTimestamp(visible(columnIndex), cal);
  }

  @Override
  public Timestamp getTimestamp(String columnLabel, Calendar cal) throws SQLException {
    return super.getTimestamp(findColumn(columnLabel), cal);
  }

  @Override
  public URL getURL(int columnIndex) throws SQLException {
    return super.getURL(visible(columnIndex));
  }

  @Override
  public URL getURL(String columnLabel) throws SQLException {
    return super.getURL(findColumn(columnLabel));
  }

  @Override
  public RowId getRowId(int columnIndex) throws SQLException {
    return super.getRowId(visible(columnIndex));
  }

  @Override
  public RowId getRowId(String columnLabel) throws SQLException {
    return super.getRowId(findColumn(columnLabel));
  }

  @Override
  public NClob getNClob(int columnIndex) throws SQLException {
    return super.getNClob(visible(columnIndex));
  }

  @Override
  public NClob getNClob(String columnLabel) throws SQLException {
    return super.getNClob(findColumn(columnLabel));
  }

  @Override
  public SQLXML getSQLXML(int columnIndex) throws SQLException {
    return super.getSQLXML(visible(columnIndex));
  }

  @Override
  public SQLXML getSQLXML(String columnLabel) throws SQLException {
    return super.getSQLXML(findColumn(columnLabel));
  }

  @Override
  public String getNString(int columnIndex) throws SQLException {
    return super.getNString(visible(columnIndex));
  }

  @Override
  public String getNString(String columnLabel) throws SQLException {
    return super.getNString(findColumn(columnLabel));
  }

  @Override
  public Reader getNCharacterStream(int columnIndex) throws SQLException {
    return super.getNCharacterStream(visible(columnIndex));
  }

  @Override
  public Reader getNCharacterStream(String columnLabel) throws SQLException {
    return super.getNCharacterStream(findColumn(columnLabel));
  }

  @Override
  public <T> T getObject(int columnIndex, Class<T> type) throws SQLException {
    return cut(columnIndex, super.getObject(visible(columnIndex), type));
  }

  @Override
  public <T> T getObject(String columnLabel, Class<T> type) throws SQLException {
    return getObject(findColumn(columnLabel), type);
  }
}
