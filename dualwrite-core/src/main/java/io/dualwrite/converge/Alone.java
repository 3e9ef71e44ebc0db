package io.dualwrite.converge;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import org.postgresql.core.BaseConnection;

/**
 * A unit's statement that runs in no transaction, on a thread of its own: an index may take hours
 * to build, and waits for whoever has a snapshot on the mirror.
 */
final class Alone {

  private static final long PATIENCE = TimeUnit.SECONDS.toNanos(5);

  final Replayer.Unit unit;
  private final Thread thread;
  private final ReentrantLock lock = new ReentrantLock();
  private Connection mirror; // while there may be something to cancel
  private boolean cancelled;
  private volatile Throwable error;

  /**
   * Nothing runs yet.
   *
   * @param ended told when it has ended
   */
  Alone(Convergence engine, Replayer.Unit unit, Runnable ended) {
    this.unit = unit;
    thread =
        new Thread(
            () -> {
              try {
                StatementReplay.alone(engine, unit.intent(), unit.doubtful(), this::on);
              } catch (SQLException | ConvergenceException | RuntimeException | Error e) {
                error = e;
              }
              ended.run();
            },
            "dualwrite-replay-alone");
    thread.setDaemon(true);
  }

  void start() {
    thread.start();
  }

  /** Whether it has ended, within that time. */
  boolean ended(long millis) throws InterruptedException {
    thread.join(millis);
    return !thread.isAlive();
  }

  /** What it failed with; null if it is done. */
  Throwable error() {
    return error;
  }

  private void on(Connection mirror) throws SQLException {
    lock.lock();
    try {
      this.mirror = mirror;
      if (cancelled && mirror != null) {
        this.mirror = null;
        throw new SQLException("the replay is closed", "57014");
      }
    } finally {
      lock.unlock();
    }
  }

  /** Cancels it, waiting for its end for at most five seconds. */
  void cancel() {
    long end = System.nanoTime() + PATIENCE;
    try {
      do { // more than once: it may be between two statements, or try to leave nothing behind
        lock.lock();
        try {
          cancelled = true;
          if (mirror != null) {
            mirror.unwrap(BaseConnection.class).cancelQuery();
          }
        } finally {
          lock.unlock();
        }
      } while (!ended(100) && System.nanoTime() - end < 0);
    } catch (SQLException e) {
      // out of reach: its connection breaks as well
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
