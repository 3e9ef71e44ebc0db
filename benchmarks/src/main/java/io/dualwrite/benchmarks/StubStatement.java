package io.dualwrite.benchmarks;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** A statement that is answered from memory. {@link Stub} fills in the missing methods. */
abstract class StubStatement implements PreparedStatement {

  private static final Map<Integer, ResultSetMetaData> DESCRIPTIONS = new ConcurrentHashMap<>();

  private final StubConnection connection;

  /** How wide its result is; 0: it writes one row. */
  private final int columns;

  /** Where a text is executed that the stub has no answer to; null for a prepared statement. */
  private final Connection real;

  /** As a driver keeps it. */
  StubResultSet last;

  private Statement fallback;
  private long parameters;

  StubStatement(StubConnection connection, int columns, Connection real) {
    this.connection = connection;
    this.columns = columns;
    this.real = real;
  }

  private Statement fallback() throws SQLException {
    if (fallback == null) {
      fallback = real.createStatement();
    }
    return fallback;
  }

  @Override
  public ResultSet executeQuery() {
    return Stub.result(this, proves() ? 1 : Stub.rows);
  }

  /** What the real server says of the columns; asked for once. */
  final ResultSetMetaData description() throws SQLException {
    ResultSetMetaData known = DESCRIPTIONS.get(columns);
    if (known == null) {
      known = connection.real.prepareStatement(Stub.query(columns)).getMetaData();
      DESCRIPTIONS.put(columns, known);
    }
    return known;
  }

  final boolean proves() {
    return columns == Stub.PROOF;
  }

  @Override
  public int executeUpdate() {
    return 1;
  }

  @Override
  public long executeLargeUpdate() {
    return 1;
  }

  @Override
  public boolean execute() {
    return columns > 0;
  }

  @Override
  public ResultSet executeQuery(String sql) throws SQLException {
    return Stub.asksTransaction(sql) ? Stub.result(this, 1) : fallback().executeQuery(sql);
  }

  @Override
  public boolean execute(String sql) throws SQLException {
    return fallback().execute(sql);
  }

  @Override
  public int executeUpdate(String sql) throws SQLException {
    return fallback().executeUpdate(sql);
  }

  @Override
  public ResultSet getResultSet() throws SQLException {
    return fallback == null ? Stub.result(this, Stub.rows) : fallback.getResultSet();
  }

  @Override
  public int getUpdateCount() {
    return 1;
  }

  @Override
  public long getLargeUpdateCount() {
    return 1;
  }

  @Override
  public boolean getMoreResults() {
    return false;
  }

  @Override
  public void setMaxRows(int max) {}

  @Override
  public void setFetchSize(int rows) {}

  @Override
  public void setLong(int index, long x) {
    parameters += x;
  }

  @Override
  public void setInt(int index, int x) {
    parameters += x;
  }

  @Override
  public void setString(int index, String x) {
    parameters += x.length();
  }

  @Override
  public void setBoolean(int index, boolean x) {}

  @Override
  public void setObject(int index, Object x) {}

  @Override
  public void setArray(int index, java.sql.Array x) {}

  @Override
  public void setDouble(int index, double x) {
    parameters += (long) x;
  }

  @Override
  public void setQueryTimeout(int seconds) {}

  @Override
  public Connection getConnection() {
    return connection;
  }

  @Override
  public boolean isClosed() {
    return false;
  }

  @Override
  public void close() throws SQLException {
    if (fallback != null) {
      fallback.close();
    }
  }

  @Override
  public String toString() {
    return "stub " + parameters;
  }
}
