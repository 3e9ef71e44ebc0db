package io.dualwrite.model;

import io.dualwrite.model.Explorer.Found;
import io.dualwrite.model.Explorer.Outcome;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;

/**
 * The exploration of several systems.
 *
 * @param states how many states they have together
 * @param systems how many were explored
 * @param found the violation with the shortest trace, or null
 * @param seconds how long it took
 */
record Check(long states, int systems, Found found, double seconds) {

  /** States that one system may have; more than this is a mistake in the system. */
  private static final long LIMIT = 60_000_000;

  /**
   * Explores systems.
   *
   * @param stopAtFirst whether to leave the rest once there is a violation
   */
  static Check of(List<TransitionSystem> systems, int threads, boolean stopAtFirst) {
    long start = System.nanoTime();
    AtomicLong states = new AtomicLong();
    AtomicReference<Found> found = new AtomicReference<>();
    AtomicInteger next = new AtomicInteger();
    AtomicInteger done = new AtomicInteger();
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    try {
      List<Future<?>> all = new ArrayList<>();
      for (int i = 0; i < threads; i++) {
        all.add(
            pool.submit(
                () -> {
                  for (int k = next.getAndIncrement();
                      k < systems.size() && !(stopAtFirst && found.get() != null);
                      k = next.getAndIncrement()) {
                    TransitionSystem y = systems.get(k);
                    Outcome o = Explorer.explore(y, LIMIT);
                    if (!o.complete() && o.wrong() == null) {
                      throw new IllegalStateException(
                          "more than " + LIMIT + " states: " + y.title());
                    }
                    states.addAndGet(o.states());
                    done.incrementAndGet();
                    if (o.wrong() != null) {
                      found.accumulateAndGet(Explorer.shortest(y), Check::shorter);
                    }
                  }
                }));
      }
      for (Future<?> f : all) {
        f.get();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted", e);
    } catch (ExecutionException e) {
      throw new IllegalStateException(e.getCause());
    } finally {
      pool.shutdownNow();
    }
    return new Check(states.get(), done.get(), found.get(), (System.nanoTime() - start) / 1e9);
  }

  private static Found shorter(Found a, Found b) {
    return a == null || b.steps() < a.steps() ? b : a;
  }
}
