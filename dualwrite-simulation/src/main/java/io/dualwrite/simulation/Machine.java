package io.dualwrite.simulation;

import java.lang.management.ManagementFactory;
import java.util.NavigableMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * How busy the machine is with other things: how many times longer than alone some work takes. What
 * a busy machine delays is nobody's defect.
 */
final class Machine {

  private static final long CYCLE = TimeUnit.MILLISECONDS.toNanos(400);
  private static final long WORK = TimeUnit.MILLISECONDS.toNanos(8);

  private static final Machine HERE = new Machine();

  private final NavigableMap<Long, Double> slowness = new ConcurrentSkipListMap<>();

  private Machine() {
    Thread thread = new Thread(this::measure, "machine");
    thread.setDaemon(true);
    thread.start();
  }

  /** The one that this program runs on, measured from the first time that it is asked for. */
  static Machine here() {
    return HERE;
  }

  private void measure() {
    var threads = ManagementFactory.getThreadMXBean();
    while (true) {
      long start = System.nanoTime();
      long cpu = threads.getCurrentThreadCpuTime();
      long used;
      do {
        used = threads.getCurrentThreadCpuTime() - cpu;
      } while (used < WORK);
      long took = System.nanoTime() - start;
      long rested = System.nanoTime();
      LockSupport.parkNanos(CYCLE);
      double late = (double) (System.nanoTime() - rested) / CYCLE; // or it was suspended
      slowness.put(System.currentTimeMillis(), Math.max(1.0, Math.max(late, (double) took / used)));
    }
  }

  /** The most between two times. */
  double slowness(long from, long to) {
    return slowness.subMap(from - 1000, true, to + 1000, true).values().stream()
        .mapToDouble(Double::doubleValue)
        .max()
        .orElse(1);
  }
}
