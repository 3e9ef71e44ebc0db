package io.dualwrite.jdbc;

import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import org.postgresql.PGResultSetMetaData;

/** The description of a result without its last columns. */
final class DwResultSetMetaData implements ResultSetMetaData, PGResultSetMetaData {

  /** Asks the server what the application's own text returns. */
  @FunctionalInterface
  interface Description {
    ResultSetMetaData ask() throws SQLException;
  }

  private final ResultSetMetaData raw;
  private final int columns;
  private final Description description;
  private ResultSetMetaData described;

  DwResultSetMetaData(ResultSetMetaData raw, int columns) {
    this(raw, columns, null);
  }

  /**
   * @param description where the columns come from, if the result itself does not tell; null if it
   *     does
   */
  DwResultSetMetaData(ResultSetMetaData raw, int columns, Description description) {
    this.raw = raw;
    this.columns = columns;
    this.description = description;
  }

  /** For what depends on the table's column behind the result's. */
  private ResultSetMetaData origin() {
    if (description == null) {
      return raw;
    }
    if (described == null) {
      try {
        described = description.ask();
      } catch (SQLException e) {
        described = null; // the transaction has failed, or the table is gone
      }
      if (described == null) {
        described = raw;
      }
    }
    return described;
  }

  private int visible(int column) throws SQLException {
    if (Integer.compareUnsigned(column - 1, columns) >= 0) {
      throw TrimmedResultSet.outOfRange(column, columns);
    }
    return column;
  }

  private PGResultSetMetaData driver() throws SQLException {
    return origin().unwrap(PGResultSetMetaData.class);
  }

  @Override
  public int getColumnCount() throws SQLException {
    return columns;
  }

  @Override
  public boolean isAutoIncrement(int column) throws SQLException {
    return origin().isAutoIncrement(visible(column));
  }

  @Override
  public boolean isCaseSensitive(int column) throws SQLException {
    return raw.isCaseSensitive(visible(column));
  }

  @Override
  public boolean isSearchable(int column) throws SQLException {
    return raw.isSearchable(visible(column));
  }

  @Override
  public boolean isCurrency(int column) throws SQLException {
    return raw.isCurrency(visible(column));
  }

  @Override
  public int isNullable(int column) throws SQLException {
    return origin().isNullable(visible(column));
  }

  @Override
  public boolean isSigned(int column) throws SQLException {
    return raw.isSigned(visible(column));
  }

  @Override
  public int getColumnDisplaySize(int column) throws SQLException {
    return origin().getColumnDisplaySize(visible(column));
  }

  @Override
  public String getColumnLabel(int column) throws SQLException {
    return raw.getColumnLabel(visible(column));
  }

  @Override
  public String getColumnName(int column) throws SQLException {
    return raw.getColumnName(visible(column));
  }

  @Override
  public String getSchemaName(int column) throws SQLException {
    return origin().getSchemaName(visible(column));
  }

  @Override
  public int getPrecision(int column) throws SQLException {
    return origin().getPrecision(visible(column));
  }

  @Override
  public int getScale(int column) throws SQLException {
    return origin().getScale(visible(column));
  }

  @Override
  public String getTableName(int column) throws SQLException {
    return origin().getTableName(visible(column));
  }

  @Override
  public String getCatalogName(int column) throws SQLException {
    return raw.getCatalogName(visible(column));
  }

  @Override
  public int getColumnType(int column) throws SQLException {
    return origin().getColumnType(visible(column));
  }

  @Override
  public String getColumnTypeName(int column) throws SQLException {
    return origin().getColumnTypeName(visible(column));
  }

  @Override
  public boolean isReadOnly(int column) throws SQLException {
    return raw.isReadOnly(visible(column));
  }

  @Override
  public boolean isWritable(int column) throws SQLException {
    return raw.isWritable(visible(column));
  }

  @Override
  public boolean isDefinitelyWritable(int column) throws SQLException {
    return raw.isDefinitelyWritable(visible(column));
  }

  @Override
  public String getColumnClassName(int column) throws SQLException {
    return origin().getColumnClassName(visible(column));
  }

  @Override
  public String getBaseColumnName(int column) throws SQLException {
    return driver().getBaseColumnName(visible(column));
  }

  @Override
  public String getBaseTableName(int column) throws SQLException {
    return driver().getBaseTableName(visible(column));
  }

  @Override
  public String getBaseSchemaName(int column) throws SQLException {
    return driver().getBaseSchemaName(visible(column));
  }

  @Override
  public int getFormat(int column) throws SQLException {
    return raw.unwrap(PGResultSetMetaData.class).getFormat(visible(column));
  }

  @Override
  public <T> T unwrap(Class<T> iface) throws SQLException {
    return iface.isInstance(this) ? iface.cast(this) : raw.unwrap(iface);
  }

  @Override
  public boolean isWrapperFor(Class<?> iface) throws SQLException {
    return iface.isInstance(this) || raw.isWrapperFor(iface);
  }
}
