package io.dualwrite.simulation;

import java.io.IOException;
import java.io.PrintWriter;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;

/**
 * Runs of the simulation, one seed after another, on two embedded servers that are started for
 * them. Not thread-safe.
 */
public final class Runs implements AutoCloseable {

  /** Writers that write all the time. */
  public static final int ALWAYS = 100;

  private final Servers servers = new Servers();
  private final Processes processes;
  private final PrintWriter out;
  private String wrong = "";

  /** Starts the servers; what came of each run is printed. */
  public Runs(PrintWriter out) {
    this(out, "");
  }

  /** With rules of the protocol switched off, by name. */
  Runs(PrintWriter out, String off) {
    this.out = out;
    processes = new Processes(off.isEmpty() ? List.of() : List.of("dualwrite.test.off=" + off));
  }

  /**
   * One run. After a failure prints the seed, what differs, what was done to whom and when, and
   * where the processes' files are, which are kept then.
   *
   * @param length how long the application and the faults go on
   * @return whether both databases are equal, nothing acknowledged is missing, and the application
   *     was not disturbed by the target
   * @throws SQLException if a server cannot be reached where nothing is wrong with it
   */
  public boolean run(long seed, Duration length)
      throws IOException, SQLException, InterruptedException {
    return run(seed, length, ALWAYS, null);
  }

  /** With what it is most about; null: as the seed says. */
  boolean run(long seed, Duration length, int busy, Teeth.Aim aim)
      throws IOException, SQLException, InterruptedException {
    long start = System.nanoTime();
    StringBuilder text = new StringBuilder();
    Simulation.Result r;
    try (Simulation s = new Simulation(servers, processes, seed, length, busy, aim)) {
      r = s.run();
      wrong = r.wrong().isEmpty() ? "" : r.wrong().get(0);
      text.append(
          String.format(
              Locale.ROOT,
              "seed %d: %s; %d transactions acknowledged, %d faults, %d processes killed, %.1f s%n",
              seed,
              r.failures().isEmpty() ? "equal" : "FAILED",
              r.acknowledged(),
              r.faults(),
              r.deaths(),
              (System.nanoTime() - start) / 1e9));
      if (r.failures().isEmpty() && !Boolean.getBoolean("dualwrite.test.simulation.keep")) {
        s.delete();
      } else {
        r.failures().forEach(f -> text.append("  ").append(f).append('\n'));
        r.story().forEach(l -> text.append("    ").append(l).append('\n'));
        text.append("  files: ").append(s.directory()).append('\n');
      }
    }
    out.print(text); // at once: others print too
    out.flush();
    return r.failures().isEmpty();
  }

  /**
   * Runs of several seeds, some at a time, each of these on servers of its own.
   *
   * @param from the first seed
   * @param count how many seeds
   * @param sideBySide how many at a time: a run waits for much of its time
   * @param busy how much of its time the writers of a run write, all at once and in bursts, in
   *     hundredths: the less, the more runs a machine can do side by side
   * @param enough no run begins after so long
   * @return how many failed
   */
  public static int all(
      PrintWriter out,
      long from,
      int count,
      int sideBySide,
      Duration length,
      int busy,
      Duration enough)
      throws InterruptedException {
    long begin = System.nanoTime();
    BooleanSupplier more = () -> System.nanoTime() - begin < enough.toNanos();
    AtomicLong next = new AtomicLong(from);
    AtomicInteger failed = new AtomicInteger();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < Math.min(count, sideBySide); i++) {
      Thread t =
          new Thread(() -> lane(out, next, from + count, length, busy, more, failed), "runs-" + i);
      t.start();
      threads.add(t);
    }
    for (Thread t : threads) {
      t.join();
    }
    return failed.get();
  }

  private static void lane(
      PrintWriter out,
      AtomicLong next,
      long end,
      Duration length,
      int busy,
      BooleanSupplier more,
      AtomicInteger failed) {
    long seed = next.getAndIncrement();
    while (seed < end && more.getAsBoolean()) {
      try (Runs runs = new Runs(out)) {
        for (; seed < end && more.getAsBoolean(); seed = next.getAndIncrement()) {
          if (!runs.run(seed, length, busy, null)) {
            failed.incrementAndGet();
          }
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return;
      } catch (IOException | SQLException | RuntimeException e) {
        out.println("seed " + seed + ": BROKEN, " + e);
        failed.incrementAndGet();
        seed = next.getAndIncrement(); // with other servers
      }
    }
  }

  /**
   * How rows differed after the last run, or what the application was answered that is not so;
   * empty if there was nothing of that kind, whatever else may have failed.
   */
  String wrong() {
    return wrong;
  }

  /** Stops the servers. */
  @Override
  public void close() {
    processes.close();
    servers.close();
  }
}
