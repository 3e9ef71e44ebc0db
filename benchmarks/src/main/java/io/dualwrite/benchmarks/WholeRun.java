package io.dualwrite.benchmarks;

import io.dualwrite.benchmarks.Contender.Way;
import io.dualwrite.embedded.TcpProxy;
import io.dualwrite.embedded.TcpProxy.Direction;
import java.io.PrintStream;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLFeatureNotSupportedException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import org.HdrHistogram.Histogram;

/**
 * Transactions of one client on two servers, the target behind a delay: the source alone, both by
 * hand, and dualwrite, in turns. What is reported are ratios to the source alone in the same round,
 * medians over the rounds.
 */
final class WholeRun {

  static final String DATABASE = "whole";

  /** One slot: a contender's transactions of one kind, for a while. */
  private static final class Slot {
    final Histogram micros = new Histogram(60_000_000L, 3);
    long transactions;
    long nanos;
    long requests;
    long left;
    long drainNanos;

    double rate() {
      return transactions / (nanos / 1e9);
    }

    double p50() {
      return micros.getValueAtPercentile(50);
    }
  }

  /** All rounds of a contender's transactions of one kind at one delay. */
  private static final class Result {
    final List<Slot> rounds = new ArrayList<>();
    String refused;

    double median(ToDoubleFunction<Slot> f) {
      return WholeRun.median(rounds.stream().map(f::applyAsDouble).collect(Collectors.toList()));
    }

    /** The median over rounds of the ratio to the same round of another. */
    double ratio(Result to, ToDoubleFunction<Slot> f) {
      List<Double> all = new ArrayList<>();
      for (int i = 0; i < rounds.size(); i++) {
        all.add(f.applyAsDouble(rounds.get(i)) / f.applyAsDouble(to.rounds.get(i)));
      }
      return WholeRun.median(all);
    }

    /** Of all rounds together: one round has too few transactions for it. */
    double p99() {
      Histogram all = new Histogram(60_000_000L, 3);
      rounds.forEach(s -> all.add(s.micros));
      return all.getValueAtPercentile(99);
    }

    double perTransaction(ToDoubleFunction<Slot> f) {
      return rounds.stream().mapToDouble(f).sum()
          / rounds.stream().mapToLong(s -> s.transactions).sum();
    }
  }

  private final Servers servers;
  private final long slotNanos;
  private final int rounds;
  private final int[] roundTripMillis;
  private final Map<Integer, Map<Workload, Map<Way, Result>>> results = new TreeMap<>();

  /**
   * Prepares a run.
   *
   * @param slot how long a contender has its turn
   * @param rounds how many turns each has of each kind
   * @param roundTripMillis the round trips to the target that the proxy makes; 0 first, the longest
   *     last
   */
  WholeRun(Servers servers, Duration slot, int rounds, int... roundTripMillis) {
    this.servers = servers;
    this.slotNanos = slot.toNanos();
    this.rounds = rounds;
    this.roundTripMillis = roundTripMillis.clone();
  }

  /** Runs everything. */
  void run() throws SQLException {
    StringBuilder ddl = new StringBuilder();
    for (Way w : Way.values()) {
      ddl.append(Workload.table(Contender.table(w))).append(";\n");
    }
    servers.create(DATABASE, ddl.toString());
    try (TcpProxy proxy = new TcpProxy("localhost", servers.target.port())) {
      List<Contender> contenders = new ArrayList<>();
      try {
        String target = "jdbc:postgresql://localhost:" + proxy.port() + "/" + DATABASE;
        for (Way w : Way.values()) {
          contenders.add(new Contender(w, servers.source.url(DATABASE), target));
        }
        for (int round = -1; round < rounds; round++) { // the first warms up
          round(contenders, proxy, round >= 0);
          System.err.println("whole run: round " + (round + 1) + " of " + rounds);
          Collections.rotate(contenders, 1); // nobody always comes after the same
        }
        proxy.delay(Direction.TO_SERVER, Duration.ZERO);
        proxy.delay(Direction.TO_CLIENT, Duration.ZERO);
        for (Contender c : contenders) {
          c.back();
          c.drain();
        }
        compare();
      } finally {
        for (Contender c : contenders) {
          c.close();
        }
      }
    }
  }

  private void round(List<Contender> contenders, TcpProxy proxy, boolean counts)
      throws SQLException {
    for (int delay : roundTripMillis) {
      Duration half = Duration.ofNanos(delay * 500_000L);
      proxy.delay(Direction.TO_SERVER, half);
      proxy.delay(Direction.TO_CLIENT, half);
      for (Workload w : Workload.values()) {
        for (Contender c : contenders) {
          if (c.way == Way.AWAY && delay != roundTripMillis[0]) {
            continue; // it never gets there
          }
          Result r =
              results
                  .computeIfAbsent(delay, k -> new EnumMap<>(Workload.class))
                  .computeIfAbsent(w, k -> new EnumMap<>(Way.class))
                  .computeIfAbsent(c.way, k -> new Result());
          slot(c, w, proxy, r, counts);
        }
      }
    }
  }

  private void slot(Contender c, Workload w, TcpProxy proxy, Result result, boolean counts)
      throws SQLException {
    if (result.refused != null) {
      return;
    }
    Slot s = new Slot();
    long requests = proxy.requests();
    long left = c.left();
    long start = System.nanoTime();
    try {
      c.begin(w);
      long before = start;
      do {
        c.transaction(w);
        long now = System.nanoTime();
        s.micros.recordValue((now - before) / 1000);
        s.transactions++;
        before = now;
      } while (before - start < slotNanos);
      s.nanos = before - start;
    } catch (SQLFeatureNotSupportedException e) {
      result.refused = e.getMessage();
      c.rollback();
      return;
    }
    c.settle();
    long settled = proxy.requests(); // to drain makes connections of its own
    if (c.way != Way.AWAY) {
      c.drain();
    }
    s.drainNanos = System.nanoTime() - start - s.nanos;
    s.requests = (c.way == Way.SYNC ? settled : proxy.requests()) - requests;
    s.left = c.left() - left;
    if (counts) {
      result.rounds.add(s);
    }
  }

  /** A number is worth nothing if the rows are not there. */
  private void compare() throws SQLException {
    try (Connection s = servers.source.connect(DATABASE);
        Connection t = servers.target.connect(DATABASE)) {
      for (Way w : Way.values()) {
        if (w != Way.SOURCE) {
          String here = contents(s, Contender.table(w));
          String there = contents(t, Contender.table(w));
          if (!here.equals(there)) {
            throw new IllegalStateException(
                w.label + ": the source has " + here + ", the target " + there);
          }
        }
      }
    }
  }

  private static String contents(Connection c, String table) throws SQLException {
    try (Statement s = c.createStatement();
        ResultSet r =
            s.executeQuery(
                "select count(*) || ' rows, hash ' || coalesce(sum(hashtextextended(t::text, 0)), 0)"
                    + " from "
                    + table
                    + " t")) {
      r.next();
      return r.getString(1);
    }
  }

  static double median(List<Double> of) {
    List<Double> sorted = new ArrayList<>(of);
    Collections.sort(sorted);
    int n = sorted.size();
    return n % 2 == 1 ? sorted.get(n / 2) : (sorted.get(n / 2 - 1) + sorted.get(n / 2)) / 2;
  }

  // ---- what came out

  private Result result(int delay, Workload workload, Way way) {
    return results.get(delay).get(workload).get(way);
  }

  /** Writes the tables. */
  void print(PrintStream out) {
    out.println(
        """
        | round trip | transaction | source alone: tx/s, p50, p99 ms | by hand | sync | async |
        |---|---|---|---|---|---|""");
    each(
        (delay, w) -> {
          Result source = result(delay, w, Way.SOURCE);
          out.printf(
              Locale.ROOT,
              "| %d ms | %s | %,.0f, %.2f, %.2f | %s | %s | %s |%n",
              delay,
              w.label,
              source.median(Slot::rate),
              source.median(Slot::p50) / 1000,
              source.p99() / 1000,
              ratios(delay, w, Way.NAIVE),
              ratios(delay, w, Way.SYNC),
              ratios(delay, w, Way.ASYNC));
        });
    out.println(
        """

        Columns 4 to 6: throughput, p50 and p99 latency, each divided by the source's alone.

        | round trip | transaction | by hand: requests, waited | sync: requests, waited | async: requests, waited | async: drained after |
        |---|---|---|---|---|---|""");
    each(
        (delay, w) ->
            out.printf(
                Locale.ROOT,
                "| %d ms | %s | %s | %s | %s | %s |%n",
                delay,
                w.label,
                trips(delay, w, Way.NAIVE),
                trips(delay, w, Way.SYNC),
                trips(delay, w, Way.ASYNC),
                drained(delay, w)));
    out.println(
        """

        Requests: round trips on connections to the target for one transaction, whoever waited for them. Waited: how
        many of them the client waits for, that is by how much its p50 is longer than without a round trip. Drained after: how much longer than the writing itself,
        in per cent of it, it took until the target had everything.""");
  }

  /** Writes what async costs while the target is away. */
  void printAway(PrintStream out) {
    out.println(
        """
        | transaction | async, the target away: tx/s, p50, p99, each divided by the source's alone |
        |---|---|""");
    for (Workload w : Workload.values()) {
      out.printf("| %s | %s |%n", w.label, ratios(roundTripMillis[0], w, Way.AWAY));
    }
  }

  /** A line for a kind of transaction at a delay. */
  private interface Line {
    void print(int delay, Workload workload);
  }

  private void each(Line line) {
    for (int delay : roundTripMillis) {
      for (Workload w : Workload.values()) {
        line.print(delay, w);
      }
    }
  }

  private String ratios(int delay, Workload w, Way way) {
    Result r = result(delay, w, way);
    Result source = result(delay, w, Way.SOURCE);
    if (r.refused != null) {
      return "refused";
    }
    return String.format(
        Locale.ROOT,
        "%.2f, %.2f, %.2f",
        r.ratio(source, Slot::rate),
        r.ratio(source, Slot::p50),
        r.p99() / source.p99());
  }

  private String trips(int delay, Workload w, Way way) {
    Result r = result(delay, w, way);
    if (r.refused != null) {
      return "refused";
    }
    String waited = delay == 0 ? "" : String.format(Locale.ROOT, ", %.2f", waited(delay, w, way));
    double left = r.perTransaction(s -> s.left);
    return String.format(Locale.ROOT, "%.2f%s", r.perTransaction(s -> s.requests), waited)
        + (way == Way.SYNC && left > 0.005
            ? String.format(Locale.ROOT, " (%.0f %% left to replay)", left * 100)
            : "");
  }

  /** What the delay alone adds to the median, less what it adds to the source's (noise). */
  private double waited(int delay, Workload w, Way way) {
    return (added(delay, w, way) - added(delay, w, Way.SOURCE)) / (delay * 1000.0);
  }

  private double added(int delay, Workload w, Way way) {
    return result(delay, w, way).median(Slot::p50) - result(0, w, way).median(Slot::p50);
  }

  private String drained(int delay, Workload w) {
    Result r = result(delay, w, Way.ASYNC);
    return r.refused != null
        ? "refused"
        : String.format(
            Locale.ROOT, "%.0f %%", 100 * r.median(s -> (double) s.drainNanos / s.nanos));
  }

  /** The most that a transaction waits for the target in sync, in round trips, the longest. */
  double worstWait() {
    int delay = roundTripMillis[roundTripMillis.length - 1];
    double worst = 0;
    for (Workload w : Workload.values()) {
      if (result(delay, w, Way.SYNC).refused == null) {
        worst = Math.max(worst, waited(delay, w, Way.SYNC));
      }
    }
    return worst;
  }

  /** The most that async adds to a median latency while the target is away, in per cent. */
  double awayOverhead() {
    double most = Double.NEGATIVE_INFINITY;
    for (Workload w : Workload.values()) {
      double ratio =
          result(roundTripMillis[0], w, Way.AWAY)
              .ratio(result(roundTripMillis[0], w, Way.SOURCE), Slot::p50);
      most = Math.max(most, 100 * (ratio - 1));
    }
    return most;
  }

  /** The least and the most that async adds to a median latency, in per cent. */
  double[] asyncOverhead() {
    double least = Double.POSITIVE_INFINITY;
    double most = Double.NEGATIVE_INFINITY;
    for (int delay : roundTripMillis) {
      for (Workload w : Workload.values()) {
        Result r = result(delay, w, Way.ASYNC);
        if (r.refused == null) {
          double x = 100 * (r.ratio(result(delay, w, Way.SOURCE), Slot::p50) - 1);
          least = Math.min(least, x);
          most = Math.max(most, x);
        }
      }
    }
    return new double[] {least, most};
  }
}
