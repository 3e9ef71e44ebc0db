package io.dualwrite.benchmarks;

import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;

/** Rows that are made up as they are read. {@link Stub} fills in the missing methods. */
abstract class StubResultSet implements ResultSet {

  private static final String[] TEXTS = {"1", "23", "456", "7890", "12345", "678901", "23", "4"};

  private final StubStatement statement;
  private final int rows;
  private int row;

  StubResultSet(StubStatement statement, int rows) {
    this.statement = statement;
    this.rows = rows;
  }

  @Override
  public boolean next() {
    return row++ < rows;
  }

  @Override
  public long getLong(int column) {
    return row * 31L + column;
  }

  @Override
  public int getInt(int column) {
    return row + column;
  }

  @Override
  public String getString(int column) {
    return statement.proves() ? "4711 12 t" : TEXTS[row + column & 7];
  }

  @Override
  public ResultSetMetaData getMetaData() throws SQLException {
    return statement.description();
  }

  @Override
  public int getType() {
    return TYPE_FORWARD_ONLY;
  }

  @Override
  public int getConcurrency() {
    return CONCUR_READ_ONLY;
  }

  @Override
  public boolean wasNull() {
    return false;
  }

  @Override
  public Statement getStatement() {
    return statement;
  }

  @Override
  public boolean isClosed() {
    return false;
  }

  @Override
  public void close() {}
}
