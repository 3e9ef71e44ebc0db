package io.dualwrite.benchmarks;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;

/**
 * A connection that answers {@link Stub}'s statements from memory and leaves everything else (the
 * catalog above all) to a real one. {@link Stub} fills in the missing methods.
 */
abstract class StubConnection implements Connection {

  final Connection real;

  /** Whether it plays the mirror, and answers the flush of a unit of work from memory too. */
  final boolean mirror;

  /** As a driver keeps it: what it made is not optimised away. */
  StubStatement last;

  private boolean autoCommit = true;

  StubConnection(Connection real, boolean mirror) {
    this.real = real;
    this.mirror = mirror;
  }

  @Override
  public PreparedStatement prepareStatement(String sql) throws SQLException {
    int columns = Stub.columns(sql);
    return columns >= 0 || mirror && Stub.flushes(sql)
        ? Stub.statement(this, columns, null)
        : real.prepareStatement(sql);
  }

  @Override
  public PreparedStatement prepareStatement(String sql, int type, int concurrency)
      throws SQLException {
    int columns = Stub.columns(sql);
    return columns >= 0
        ? Stub.statement(this, columns, null)
        : real.prepareStatement(sql, type, concurrency);
  }

  @Override
  public PreparedStatement prepareStatement(String sql, int type, int concurrency, int holdability)
      throws SQLException {
    return prepareStatement(sql, type, concurrency);
  }

  @Override
  public Statement createStatement() throws SQLException {
    return Stub.statement(this, 0, real);
  }

  @Override
  public void setAutoCommit(boolean on) {
    autoCommit = on;
  }

  @Override
  public boolean getAutoCommit() {
    return autoCommit;
  }

  @Override
  public void commit() {}

  @Override
  public void rollback() {}

  @Override
  public boolean isReadOnly() {
    return false;
  }

  @Override
  public boolean isClosed() {
    return false;
  }

  @Override
  public boolean isValid(int timeout) {
    return true;
  }

  @Override
  public void clearWarnings() {}

  @Override
  public void close() throws SQLException {
    Stub.closed(this);
  }
}
