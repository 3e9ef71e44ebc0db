package io.dualwrite.jdbc;

import io.dualwrite.shadow.Capture;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

/** A result whose rows are recorded, as the application moves forward over them. */
final class TeeResultSet extends DwResultSet {

  private final Capture capture;

  TeeResultSet(ResultSet raw, Statement owner, Capture capture) {
    super(raw, owner);
    this.capture = capture;
    capture.open(raw);
  }

  /** The application is done with the result, though it may not have closed it. */
  void finish() {
    capture.closed();
  }

  @Override
  public boolean next() throws SQLException {
    boolean row;
    try {
      row = raw.next();
    } catch (SQLException e) {
      capture.abandon("it failed on the primary");
      throw e;
    }
    if (row) {
      capture.row(raw);
    } else {
      capture.exhausted();
    }
    return row;
  }

  @Override
  public void close() throws SQLException {
    capture.closed();
    raw.close();
  }

  private ResultSet scrolled() {
    capture.abandon("the application scrolled in it");
    return raw;
  }

  @Override
  public boolean first() throws SQLException {
    return scrolled().first();
  }

  @Override
  public boolean last() throws SQLException {
    return scrolled().last();
  }

  @Override
  public boolean absolute(int row) throws SQLException {
    return scrolled().absolute(row);
  }

  @Override
  public boolean relative(int rows) throws SQLException {
    return scrolled().relative(rows);
  }

  @Override
  public boolean previous() throws SQLException {
    return scrolled().previous();
  }

  @Override
  public void beforeFirst() throws SQLException {
    scrolled().beforeFirst();
  }

  @Override
  public void afterLast() throws SQLException {
    scrolled().afterLast();
  }
}
