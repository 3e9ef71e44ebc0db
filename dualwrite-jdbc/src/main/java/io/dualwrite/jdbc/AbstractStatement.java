package io.dualwrite.jdbc;

import io.dualwrite.shadow.Capture;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Statement;
import org.postgresql.PGStatement;

/**
 * What plain and prepared statements share: the driver's statement of the moment, options, results.
 */
abstract class AbstractStatement extends ForwardingStatement implements PGStatement {

  final DwConnection connection;
  final int type;
  final int concurrency;

  /** 0: the connection's. */
  final int holdability;

  final StatementState state = new StatementState();
  private Statement raw;
  private long rawEpoch;
  private TeeResultSet teed;

  /**
   * closeOnCompletion(): the driver sees to the results of its own, we to those of captured writes.
   */
  private boolean closesOnCompletion;

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
      if (closesOnCompletion) {
        raw.closeOnCompletion();
      }
    }
    return raw;
  }

  /** Whether a read is compared with the mirror. */
  boolean samples(Plan plan) throws SQLException {
    return concurrency == ResultSet.CONCUR_READ_ONLY
        && connection.samples(plan)
        && raw().getMaxFieldSize() == 0; // else it is not all of a value that is compared
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
  public void closeOnCompletion() throws SQLException {
    raw().closeOnCompletion();
    closesOnCompletion = true;
  }

  /** After the application closed a result. */
  void resultClosed() throws SQLException {
    if (closesOnCompletion && state.captured() && !state.resultOpen()) {
      close();
    }
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
    throw Refusal.handOut(iface);
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

  // ---- what the driver offers beyond JDBC

  @Override
  public long getLastOID() throws SQLException {
    return raw().unwrap(PGStatement.class).getLastOID();
  }

  @SuppressWarnings("deprecation")
  @Override
  public void setUseServerPrepare(boolean on) throws SQLException {
    state.option(
        "prepareThreshold", s -> s.unwrap(PGStatement.class).setUseServerPrepare(on), raw());
  }

  @Override
  public boolean isUseServerPrepare() {
    return quietly(false, PGStatement::isUseServerPrepare);
  }

  @Override
  public void setPrepareThreshold(int executions) throws SQLException {
    state.option(
        "prepareThreshold",
        s -> s.unwrap(PGStatement.class).setPrepareThreshold(executions),
        raw());
  }

  @Override
  public int getPrepareThreshold() {
    return quietly(0, PGStatement::getPrepareThreshold);
  }

  @Override
  public void setAdaptiveFetch(boolean on) {
    quietly(
        null,
        now -> {
          state.option(
              "adaptiveFetch", s -> s.unwrap(PGStatement.class).setAdaptiveFetch(on), null);
          now.setAdaptiveFetch(on);
          return null;
        });
  }

  @Override
  public boolean getAdaptiveFetch() {
    return quietly(false, PGStatement::getAdaptiveFetch);
  }

  @FunctionalInterface
  private interface OnDriver<T> {
    T on(PGStatement driver) throws SQLException;
  }

  /** For methods that throw nothing: on a closed statement there is a default. */
  private <T> T quietly(T closed, OnDriver<T> what) {
    try {
      return what.on(raw().unwrap(PGStatement.class));
    } catch (SQLException e) {
      return closed;
    }
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
    return getMoreResults(CLOSE_CURRENT_RESULT);
  }

  @Override
  public boolean getMoreResults(int current) throws SQLException {
    state.checkOpen();
    if (!state.captured()) {
      return raw().getMoreResults(current);
    }
    boolean closes = closesOnCompletion;
    closesOnCompletion = false; // going on is no completion
    try {
      return state.moreResults(current != KEEP_CURRENT_RESULT);
    } finally {
      closesOnCompletion = closes;
    }
  }

  @Override
  public ResultSet getGeneratedKeys() throws SQLException {
    state.checkOpen();
    return state.captured() && state.keys() != null ? state.keys() : super.getGeneratedKeys();
  }
}
