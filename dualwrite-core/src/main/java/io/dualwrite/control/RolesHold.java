package io.dualwrite.control;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.concurrent.locks.ReentrantLock;
import javax.sql.DataSource;

/**
 * Keeps the roles as they are while somebody who is no writer brings rows over from the primary to
 * the mirror: an advisory lock on the target, shared by all who do, which a cutover wants alone.
 * Thread-safe.
 */
public final class RolesHold implements Direction, AutoCloseable {

  private static final long LOCK = 7233178614550361965L;

  private final DataSource target;
  private final Side primary;
  private final ReentrantLock using = new ReentrantLock();
  private Connection connection;
  private boolean closed;

  private RolesHold(DataSource target, Side primary) {
    this.target = target;
    this.primary = primary;
  }

  /**
   * Holds them.
   *
   * @param target connections to the target; one is kept until it is closed
   * @param primary the side whose rows are to be brought over
   * @throws SQLException if it is not the primary, or a cutover is under way
   */
  public static RolesHold of(DataSource target, Side primary) throws SQLException {
    RolesHold hold = new RolesHold(target, primary);
    try {
      hold.check();
      return hold;
    } catch (SQLException | RuntimeException e) {
      hold.close();
      throw e;
    }
  }

  /**
   * For a cutover: false while anybody holds the roles.
   *
   * @param target the transaction that is to exchange them
   */
  public static boolean nobodys(Connection target) throws SQLException {
    try (Statement s = target.createStatement();
        ResultSet r = s.executeQuery("select pg_catalog.pg_try_advisory_xact_lock(" + LOCK + ")")) {
      r.next();
      return r.getBoolean(1);
    }
  }

  @Override
  public Side primary() {
    return primary;
  }

  /** Looks at the control row anew; a hold whose connection was lost is taken again before. */
  @Override
  public void check() throws SQLException {
    using.lock();
    try {
      look();
    } finally {
      using.unlock();
    }
  }

  private void look() throws SQLException {
    if (closed) {
      throw new SQLException("the roles are not held any more", "55000");
    }
    if (connection != null) {
      try {
        compare();
        return;
      } catch (SQLException e) {
        if (connection.isValid(1)) {
          throw e;
        }
        drop();
      }
    }
    connection = target.getConnection();
    connection.setAutoCommit(true);
    try (Statement s = connection.createStatement();
        ResultSet r =
            s.executeQuery("select pg_catalog.pg_try_advisory_lock_shared(" + LOCK + ")")) {
      r.next();
      if (!r.getBoolean(1)) {
        throw new SQLException("a cutover is under way; try again when it is over", "55000");
      }
    } catch (SQLException e) {
      drop(); // what is kept has the lock
      throw e;
    }
    compare();
  }

  private void compare() throws SQLException {
    Side now = new Roles(Math.max(0, ControlSchema.epoch(connection))).primary();
    if (now != primary) {
      throw new SQLException(
          "the "
              + now
              + " is the primary since a cutover, and what it holds must not be overwritten with the "
              + primary
              + "'s rows",
          "55000");
    }
  }

  /** Lets go. */
  @Override
  public void close() {
    using.lock();
    try {
      closed = true;
      if (connection != null) {
        try (Statement s = connection.createStatement()) {
          // it may be pooled
          s.execute("select pg_catalog.pg_advisory_unlock_shared(" + LOCK + ")");
        } catch (SQLException e) {
          // broken: the server lets go
        }
      }
      drop();
    } finally {
      using.unlock();
    }
  }

  private void drop() {
    try {
      if (connection != null) {
        connection.close();
      }
    } catch (SQLException e) {
      // it is broken anyway
    }
    connection = null;
  }
}
