package io.dualwrite.jdbc;

import java.lang.ref.Cleaner;
import java.sql.SQLException;
import java.sql.SQLTransientException;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Lets transactions begin, or holds them back while roles or phase change.
 *
 * <p>Each connection has a {@link Pass} of its own. Beginning is two volatile accesses and touches
 * nothing that connections share: the pass is marked busy, <em>then</em> the gate is looked at
 * (Dekker's handshake: the closer shuts the gate, <em>then</em> looks at the passes; at least one
 * of them sees the other). Only while the gate is shut does anybody take the lock.
 */
final class Gate {

  /**
   * One connection's state: an odd number while a transaction is open. Written by the connection's
   * own thread only.
   */
  static final class Pass {
    private volatile long state;

    private boolean busy() {
      return (state & 1) == 1;
    }

    @SuppressWarnings("NonAtomicVolatileUpdate") // one writer
    private void busy(boolean busy) {
      if (busy() != busy) {
        state++;
      }
    }
  }

  private static final Logger log = LoggerFactory.getLogger(Gate.class);

  /** What holders leave that nobody has any more. */
  private static final Cleaner LOST = Cleaner.create();

  private final Set<Pass> passes = ConcurrentHashMap.newKeySet();
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition opened = lock.newCondition();
  private volatile boolean shut;

  /**
   * @param connection when nobody has it any more its pass is given back: its transaction cannot be
   *     committed then, and is rolled back when the driver, which has lost its own connection with
   *     it, closes that
   */
  Pass register(Object connection) {
    Pass p = new Pass();
    passes.add(p);
    onceLost(
        connection,
        () -> {
          if (p.busy()) {
            log.warn(
                "the application lost a connection with an open transaction, instead of closing it");
          }
          unregister(p);
        });
    return p;
  }

  /**
   * Does something when nobody has an object any more.
   *
   * @param then must not lead to the object
   */
  static void onceLost(Object object, Runnable then) {
    LOST.register(object, then);
  }

  void unregister(Pass pass) {
    pass.busy(false);
    passes.remove(pass);
  }

  /**
   * A transaction begins; waits while the gate is shut.
   *
   * @throws SQLException if interrupted while waiting
   */
  void enter(Pass pass) throws SQLException {
    while (true) {
      pass.busy(true);
      if (!shut) {
        return;
      }
      pass.busy(false);
      lock.lock();
      try {
        while (shut) {
          opened.await();
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new SQLTransientException(
            "interrupted while a change of roles held transactions back", "57014", e);
      } finally {
        lock.unlock();
      }
    }
  }

  /** The transaction is over. */
  void exit(Pass pass) {
    pass.busy(false);
  }

  /** Holds new transactions back. Those that are open go on. */
  void shut() {
    shut = true;
  }

  /** Whether new transactions are held back. */
  boolean isShut() {
    return shut;
  }

  /** Lets transactions begin again. */
  void open() {
    lock.lock();
    try {
      shut = false;
      opened.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** How many transactions are open. */
  int busy() {
    int n = 0;
    for (Pass p : passes) {
      if (p.busy()) {
        n++;
      }
    }
    return n;
  }

  /** Waits until the transactions that are open now have ended; false if they did not in time. */
  boolean awaitThoseOpenNow(Duration timeout) {
    long end = System.nanoTime() + timeout.toNanos();
    for (Pass p : passes) {
      long then = p.state;
      while ((then & 1) == 1 && p.state == then && passes.contains(p)) {
        if (System.nanoTime() - end >= 0 || Thread.currentThread().isInterrupted()) {
          return false;
        }
        LockSupport.parkNanos(this, TimeUnit.MICROSECONDS.toNanos(200));
      }
    }
    return true;
  }
}
