package io.dualwrite.jdbc;

import io.dualwrite.converge.Background;
import io.dualwrite.converge.Reconcile;
import io.dualwrite.journal.RowChange;
import java.sql.SQLException;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
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
    thread = Background.thread("dualwrite-reconcile", this::work);
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
    return run(new AtomicReference<>());
  }

  /**
   * Goes through the open suspects once.
   *
   * @param with gets the one whose work it is
   */
  private int run(AtomicReference<Reconcile> with) throws SQLException {
    running.lock();
    try {
      // the roles of now: they are not exchanged while this holds the lock
      Reconcile reconcile = new Reconcile(writer.now().convergence(), writer.journal);
      with.set(reconcile);
      return reconcile
          // while a routine runs that commits by itself, everything may become different once more
          .run(
          s -> !s.table().equals(RowChange.NO_TABLE) || !writer.routineRuns(),
          (suspect, table, rows) -> {});
    } finally {
      running.unlock();
    }
  }

  /** Something that is done while nothing is made equal. */
  interface Exchange<T> {
    T run() throws SQLException;
  }

  /**
   * Does it while nothing is made equal.
   *
   * @throws SQLException also if what is being made equal is not done in time
   */
  <T> T without(Duration patience, Exchange<T> work) throws SQLException {
    boolean held;
    try {
      held = running.tryLock(patience.toNanos(), TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      held = false;
    }
    if (!held) {
      throw new SQLException(
          "no change of roles: a suspect table is still being made equal; see status", "55000");
    }
    try {
      return work.run();
    } finally {
      running.unlock();
    }
  }

  private void work() {
    boolean told = false;
    while (true) {
      long rest = SHORTEST;
      if (!writer.journal.suspects().isEmpty()
          && writer.now().capturing()
          && writer.ready()
          && !writer.isHalted()) {
        long start = System.nanoTime();
        AtomicReference<Reconcile> with = new AtomicReference<>();
        try {
          run(with);
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
        Reconcile reconcile = with.get();
        long waited = reconcile == null ? 0 : reconcile.waited().toNanos();
        long worked = System.nanoTime() - start - waited;
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
