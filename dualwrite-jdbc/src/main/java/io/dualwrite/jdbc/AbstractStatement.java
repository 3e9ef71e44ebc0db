package io.dualwrite.jdbc;

import io.dualwrite.shadow.Capture;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLFeatureNotSupportedException;
import java.sql.SQLWarning;
import java.sql.Statement;

/**
 * What plain and prepared statements share: the driver's statement of the moment, options, results.
 */
abstract class AbstractStatement extends ForwardingStatement {

  final DwConnection connection;
  final int type;
  final int concurrency;

  /** 0: the connection's. */
  final int holdability;

  final StatementState state = new StatementState();
  private Statement raw;
  private long rawEpoch;
  private TeeResultSet teed;

  AbstractStatement(DwConnection connection, int type, int concurrency, int holdability) {
    this.connection = connection;
    this.type = type;
    this.concurrency = concurrency;
    this.holdability = holdability;
  }

  /** A new statement of the driver's, as the application asked for it. */
  abstract Statement open(Connection on) throws SQLException;

  @Override
  protected Statement raw() throws SQLException {
    state.checkOpen();
    if (raw == null || rawEpoch != connection.rawEpoch()) {
      raw = state.configure(open(connection.raw()));
      rawEpoch = connection.rawEpoch();
    }
    return raw;
  }

  /** A result whose rows are recorded for comparison; what was recorded before it is finished. */
  ResultSet tee(ResultSet rows, Capture capture) {
    teed = new TeeResultSet(rows, this, capture);
    return teed;
  }

  /** Before every execution and at the end: the driver closes the result of the one before. */
  void finishTee() {
    if (teed != null) {
      teed.finish();
      teed = null;
    }
  }

  @Override
  public Connection getConnection() throws SQLException {
    state.checkOpen();
    return connection;
  }

  @Override
  public void close() throws SQLException {
    if (state.closed()) {
      return;
    }
    finishTee();
    state.close();
    if (raw != null) {
      raw.close();
    }
  }

  @Override
  public boolean isClosed() throws SQLException {
    return state.closed() || raw != null && rawEpoch == connection.rawEpoch() && raw.isClosed();
  }

  @Override
  public void cancel() throws SQLException {
    state.checkOpen();
    state.cancel();
  }

  @Override
  public <T> T unwrap(Class<T> iface) throws SQLException {
    if (iface.isInstance(this)) {
      return iface.cast(this);
    }
    throw new SQLFeatureNotSupportedException(
        "dualwrite does not hand out "
            + iface.getName()
            + ": what is written through it would not be mirrored",
        "0A000");
  }

  @Override
  public boolean isWrapperFor(Class<?> iface) {
    return iface.isInstance(this);
  }

  @Override
  public SQLWarning getWarnings() throws SQLException {
    state.checkOpen();
    return state.last() != null ? state.last().getWarnings() : raw().getWarnings();
  }

  @Override
  public void clearWarnings() throws SQLException {
    state.checkOpen();
    if (state.last() != null) {
      state.last().clearWarnings();
    }
    raw().clearWarnings();
  }

  // ---- options

  @Override
  public void setMaxFieldSize(int max) throws SQLException {
    state.option("maxFieldSize", s -> s.setMaxFieldSize(max), raw());
  }

  @Override
  public void setMaxRows(int max) throws SQLException {
    state.option("maxRows", s -> s.setMaxRows(max), raw());
  }

  @Override
  public void setLargeMaxRows(long max) throws SQLException {
    state.option("maxRows", s -> s.setLargeMaxRows(max), raw());
  }

  @Override
  public void setEscapeProcessing(boolean enable) throws SQLException {
    state.option("escapeProcessing", s -> s.setEscapeProcessing(enable), raw());
  }

  @Override
  public void setQueryTimeout(int seconds) throws SQLException {
    state.option("queryTimeout", s -> s.setQueryTimeout(seconds), raw());
  }

  @Override
  public void setFetchDirection(int direction) throws SQLException {
    state.option("fetchDirection", s -> s.setFetchDirection(direction), raw());
  }

  @Override
  public void setFetchSize(int rows) throws SQLException {
    state.option("fetchSize", s -> s.setFetchSize(rows), raw());
  }

  @Override
  public void setPoolable(boolean poolable) throws SQLException {
    state.option("poolable", s -> s.setPoolable(poolable), raw());
  }

  // ---- results

  @Override
  public ResultSet getResultSet() throws SQLException {
    state.checkOpen();
    return state.captured() ? state.result() : super.getResultSet();
  }

  @Override
  public long getLargeUpdateCount() throws SQLException {
    state.checkOpen();
    return state.captured() ? state.updateCount() : raw().getLargeUpdateCount();
  }

  @Override
  public int getUpdateCount() throws SQLException {
    return Counts.toInt(getLargeUpdateCount());
  }

  @Override
  public boolean getMoreResults() throws SQLException {
    state.checkOpen();
    return state.captured() ? state.moreResults(true) : raw().getMoreResults();
  }

  @Override
  public boolean getMoreResults(int current) throws SQLException {
    state.checkOpen();
    return state.captured()
        ? state.moreResults(current != KEEP_CURRENT_RESULT)
        : raw().getMoreResults(current);
  }

  @Override
  public ResultSet getGeneratedKeys() throws SQLException {
    state.checkOpen();
    return state.captured() && state.keys() != null ? state.keys() : super.getGeneratedKeys();
  }
}
