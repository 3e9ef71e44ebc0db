package io.dualwrite.simulation;

import java.lang.management.ManagementFactory;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * How busy the machine is with other things: how many times longer than alone some work takes. What
 * a busy machine delays is nobody's defect.
 */
final class Machine implements AutoCloseable {

  private static final long CYCLE = TimeUnit.MILLISECONDS.toNanos(400);
  private static final long WORK = TimeUnit.MILLISECONDS.toNanos(8);

  private final Map<Long, Double> slowness = new ConcurrentSkipListMap<>();
  private final Thread thread;
  private volatile boolean closed;

  /** Begins to measure. */
  Machine() {
    thread = new Thread(this::measure, "machine");
    thread.setDaemon(true);
    thread.start();
  }

  private void measure() {
    var threads = ManagementFactory.getThreadMXBean();
    while (!closed) {
      long start = System.nanoTime();
      long cpu = threads.getCurrentThreadCpuTime();
      long used;
      do {
        used = threads.getCurrentThreadCpuTime() - cpu;
      } while (used < WORK);
      long took = System.nanoTime() - start;
      slowness.put(System.currentTimeMillis(), Math.max(1.0, (double) took / used));
      LockSupport.parkNanos(CYCLE);
    }
  }

  /** The most between two times. */
  double slowness(long from, long to) {
    return slowness.entrySet().stream()
        .filter(e -> e.getKey() >= from - 1000 && e.getKey() <= to + 1000)
        .mapToDouble(Map.Entry::getValue)
        .max()
        .orElse(1);
  }

  @Override
  public void close() {
    closed = true;
    LockSupport.unpark(thread);
  }
}
