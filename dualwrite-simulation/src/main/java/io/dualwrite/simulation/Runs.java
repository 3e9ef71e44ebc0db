package io.dualwrite.simulation;

import java.io.IOException;
import java.io.PrintWriter;
import java.sql.SQLException;
import java.time.Duration;
import java.util.Locale;

/**
 * Runs of the simulation, one seed after another, on two embedded servers that are started for
 * them. Not thread-safe.
 */
public final class Runs implements AutoCloseable {

  private final Servers servers = new Servers();
  private final PrintWriter out;
  private final String off;
  private String reason = "";

  /** Starts the servers; what came of each run is printed. */
  public Runs(PrintWriter out) {
    this(out, "");
  }

  /** With rules of the protocol switched off, by name. */
  Runs(PrintWriter out, String off) {
    this.out = out;
    this.off = off;
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
    long start = System.nanoTime();
    Simulation.Result r;
    try (Simulation s = new Simulation(servers, seed, length, off)) {
      r = s.run();
      out.printf(
          Locale.ROOT,
          "seed %d: %s; %d transactions acknowledged, %d faults, %d processes killed, %.1f s%n",
          seed,
          r.failures().isEmpty() ? "equal" : "FAILED",
          r.acknowledged(),
          r.faults(),
          r.deaths(),
          (System.nanoTime() - start) / 1e9);
      if (r.failures().isEmpty()) {
        if (Boolean.getBoolean("dualwrite.test.simulation.keep")) {
          out.println("  files: " + s.directory());
        } else {
          s.delete();
        }
      } else {
        reason = r.failures().get(0);
        r.failures().forEach(f -> out.println("  " + f));
        r.story().forEach(l -> out.println("    " + l));
        out.println("  files: " + s.directory());
      }
      out.flush();
    }
    return r.failures().isEmpty();
  }

  /** The first thing that was wrong in the last run that failed. */
  String reason() {
    return reason;
  }

  /** Stops the servers. */
  @Override
  public void close() {
    servers.close();
  }
}
