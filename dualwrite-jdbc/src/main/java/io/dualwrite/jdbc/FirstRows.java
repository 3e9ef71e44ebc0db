package io.dualwrite.jdbc;

import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;

/**
 * The first rows and columns of a result that goes on with rows that the application must not see.
 */
final class FirstRows extends DwResultSet {

  private final TrimmedResultSet columns;
  private final long rows;
  private final ResultSetMetaData description;

  /** 0: before the first; one more than there are: behind the last. */
  private long at;

  FirstRows(ResultSet raw, Statement owner, int visibleColumns, long rows) throws SQLException {
    this(raw, owner, visibleColumns, rows, null);
  }

  /**
   * @param description see {@link DwResultSetMetaData}
   */
  FirstRows(
      ResultSet raw,
      Statement owner,
      int visibleColumns,
      long rows,
      DwResultSetMetaData.Description description)
      throws SQLException {
    super(new TrimmedResultSet(raw, owner, visibleColumns), owner);
    this.columns = (TrimmedResultSet) this.raw;
    this.rows = rows;
    this.description = new DwResultSetMetaData(raw.getMetaData(), visibleColumns, description);
  }

  @Override
  public ResultSetMetaData getMetaData() throws SQLException {
    columns.getType(); // complains if it is closed
    return description;
  }

  private boolean go(long to) throws SQLException {
    at = Math.max(0, Math.min(rows + 1, to));
    if (at == 0) {
      columns.beforeFirst();
    } else if (at > rows) {
      columns.afterLast();
    } else {
      columns.absolute((int) at);
    }
    return at >= 1 && at <= rows;
  }

  private void scrollable() throws SQLException {
    if (getType() == TYPE_FORWARD_ONLY) {
      // the driver's own complaint, which a scrollable result does not make
      throw new org.postgresql.util.PSQLException(
          org.postgresql.util.GT.tr(
              "Operation requires a scrollable ResultSet, but this ResultSet is FORWARD_ONLY."),
          org.postgresql.util.PSQLState.INVALID_CURSOR_STATE);
    }
  }

  @Override
  public int getType() throws SQLException {
    columns.getType(); // complains if it is closed
    return owner.getResultSetType();
  }

  @Override
  public boolean next() throws SQLException {
    return go(at + 1);
  }

  @Override
  public boolean previous() throws SQLException {
    scrollable();
    return go(at - 1);
  }

  @Override
  public boolean first() throws SQLException {
    scrollable();
    return rows > 0 && go(1);
  }

  @Override
  public boolean last() throws SQLException {
    scrollable();
    return rows > 0 && go(rows);
  }

  @Override
  public void beforeFirst() throws SQLException {
    scrollable();
    if (rows > 0) {
      go(0);
    }
  }

  @Override
  public void afterLast() throws SQLException {
    scrollable();
    if (rows > 0) {
      go(rows + 1);
    }
  }

  @Override
  public boolean absolute(int row) throws SQLException {
    scrollable();
    return go(row >= 0 ? row : rows + 1 + row);
  }

  @Override
  public boolean relative(int by) throws SQLException {
    scrollable();
    return go(at + by);
  }

  @Override
  public int getRow() throws SQLException {
    columns.getRow(); // complains if it is closed
    return at > rows ? 0 : (int) at;
  }

  @Override
  public boolean isBeforeFirst() throws SQLException {
    columns.getRow();
    return at == 0 && rows > 0;
  }

  @Override
  public boolean isAfterLast() throws SQLException {
    columns.getRow();
    return at > rows && rows > 0;
  }

  @Override
  public boolean isFirst() throws SQLException {
    columns.getRow();
    return at == 1 && rows > 0;
  }

  @Override
  public boolean isLast() throws SQLException {
    columns.getRow();
    return at == rows && rows > 0;
  }
}
