package io.dualwrite.converge;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Threads that live as long as their work: where memory is short an error may come from anywhere,
 * even from what deals with another, and nobody would notice that the thread has gone.
 */
public final class Background {

  private static final Logger LOG = LoggerFactory.getLogger(Background.class);
  private static final long REST = TimeUnit.SECONDS.toNanos(1);

  private Background() {}

  /**
   * A daemon thread, not started.
   *
   * @param work returns when there is nothing to do any more; begun anew where it throws
   */
  public static Thread thread(String name, Runnable work) {
    Thread t = new Thread(() -> toItsEnd(work), name);
    t.setDaemon(true);
    return t;
  }

  private static void toItsEnd(Runnable work) {
    while (true) {
      try {
        work.run();
        return;
      } catch (RuntimeException | Error e) {
        try {
          LOG.warn("{} begins anew", Thread.currentThread().getName(), e);
        } catch (RuntimeException | Error again) {
          // not even memory to tell it
        }
      }
      LockSupport.parkNanos(REST);
    }
  }
}
