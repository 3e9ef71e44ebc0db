package io.dualwrite.jdbc;

import io.dualwrite.converge.Reconcile;
import io.dualwrite.journal.RowChange;
import java.sql.SQLException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Closes suspects in the background as they come up, so that nobody has to. To spare the primary it
 * rests nine times as long as it worked: a table that becomes suspect again and again costs a tenth
 * of one connection's time.
 */
final class Healer implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(Healer.class);
  private static final long SHORTEST = TimeUnit.MILLISECONDS.toNanos(100);
  private static final long LONGEST = TimeUnit.MINUTES.toNanos(10);

  /** So many times as long as it worked it rests; tests have it rest less. */
  private final int times = Integer.getInteger("dualwrite.test.healer-rest", 9);

  private final DualWriter writer;
  private final ReentrantLock running = new ReentrantLock();
  private final ReentrantLock state = new ReentrantLock();
  private final Condition changed = state.newCondition();
  private final Thread thread;
  private boolean awake = true; // there may be suspects from before
  private boolean closed;

  Healer(DualWriter writer, boolean automatic) {
    this.writer = writer;
    thread = new Thread(this::work, "dualwrite-reconcile");
    thread.setDaemon(true);
    if (automatic) {
      thread.start();
    }
  }

  /** There is a new suspect. */
  void wake() {
    state.lock();
    try {
      awake = true;
      changed.signalAll();
    } finally {
      state.unlock();
    }
  }

  /** Goes through the open suspects once; returns how many were closed. */
  int run() throws SQLException {
    return run(new Reconcile(writer.now().convergence(), writer.journal));
  }

  private int run(Reconcile reconcile) throws SQLException {
    running.lock();
    try {
      return reconcile
          // while a routine runs that commits by itself, everything may become different once more
          .run(
          s -> !s.table().equals(RowChange.NO_TABLE) || !writer.routineRuns(),
          (suspect, table, rows) -> {});
    } finally {
      running.unlock();
    }
  }

  private void work() {
    boolean told = false;
    while (true) {
      long rest = SHORTEST;
      if (!writer.journal.suspects().isEmpty() && writer.now().capturing() && writer.ready()) {
        long start = System.nanoTime();
        Reconcile reconcile = new Reconcile(writer.now().convergence(), writer.journal);
        try {
          run(reconcile);
          told = false;
        } catch (SQLException | RuntimeException | Error e) {
          if (isClosed()) {
            return;
          }
          rest = TimeUnit.SECONDS.toNanos(2);
          if (!told) {
            log.warn("suspect tables stay so for now: {}", e.getMessage());
            told = true;
          }
        }
        // to wait for a transaction, of which there may always be one, costs the primary next to
        // nothing
        long worked = System.nanoTime() - start - reconcile.waited().toNanos();
        rest = Math.max(rest, Math.min(LONGEST, times * worked));
      }
      if (!sleep(rest)) {
        return;
      }
    }
  }

  /** Rests, then waits for something to do; false if closed. */
  private boolean sleep(long rest) {
    state.lock();
    try {
      long left = rest;
      while (left > 0 && !closed) {
        left = changed.awaitNanos(left);
      }
      while (!awake && !closed && writer.journal.suspects().isEmpty()) {
        changed.await(1, TimeUnit.SECONDS); // the replayer opens suspects too
      }
      awake = false;
      return !closed;
    } catch (InterruptedException e) {
      return false;
    } finally {
      state.unlock();
    }
  }

  private boolean isClosed() {
    state.lock();
    try {
      return closed;
    } finally {
      state.unlock();
    }
  }

  @Override
  public void close() {
    state.lock();
    try {
      closed = true;
      changed.signalAll();
    } finally {
      state.unlock();
    }
    thread.interrupt();
    try {
      thread.join(TimeUnit.SECONDS.toMillis(10));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
