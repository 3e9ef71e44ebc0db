package io.dualwrite.benchmarks;

import io.dualwrite.benchmarks.AnalysisBenchmark.Analyzer;
import io.dualwrite.benchmarks.CommitBenchmark.Way;
import io.dualwrite.benchmarks.Corpus.Group;
import java.io.PrintStream;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.BenchmarkResult;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.CommandLineOptions;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;

/** The JMH benchmarks: runs them and makes their tables. */
final class MicroRun {

  private static final String DATABASE = "stub";

  /** By benchmark and parameters: nanoseconds per operation, the median of all iterations. */
  private final Map<String, Double> nanos = new HashMap<>();

  /** Likewise: bytes allocated per operation. */
  private final Map<String, Double> bytes = new HashMap<>();

  /** Runs every benchmark; quick: once around, to see that they run. */
  void run(Servers servers, boolean quick) throws Exception {
    OptionsBuilder options = new OptionsBuilder();
    options
        .include(getClass().getPackageName() + ".*Benchmark.*")
        .forks(quick ? 1 : 2)
        .warmupIterations(quick ? 1 : 4)
        .warmupTime(TimeValue.milliseconds(quick ? 100 : 400))
        .measurementIterations(quick ? 1 : 10)
        .measurementTime(TimeValue.milliseconds(80))
        .param("peer", Peer.present().stream().map(Peer::name).toArray(String[]::new))
        .addProfiler(GCProfiler.class)
        .shouldFailOnError(true)
        .jvmArgsAppend(flags(servers));
    run(options);
  }

  /** Runs what JMH is told to run. */
  static void jmh(Servers servers, String... args) throws Exception {
    CommandLineOptions given = new CommandLineOptions(args);
    new Runner(new OptionsBuilder().parent(given).jvmArgsAppend(flags(servers)).build()).run();
  }

  private static String[] flags(Servers servers) throws SQLException {
    servers.create(DATABASE, Stub.DDL);
    List<String> flags = new ArrayList<>(List.of(servers.forFork(DATABASE)));
    flags.addAll(Main.journalFlags());
    if (ShardingSphere.isPresent()) {
      flags.add("-D" + ShardingSphere.PROPERTY + "=" + System.getProperty(ShardingSphere.PROPERTY));
    }
    flags.add("-Xms1g");
    flags.add("-Xmx1g");
    return flags.toArray(new String[0]);
  }

  private void run(OptionsBuilder options) throws RunnerException {
    PrintStream out = System.out;
    System.setOut(System.err); // what goes to the output is the document
    try {
      for (RunResult r : new Runner(options.build()).run()) {
        String key = key(r.getParams());
        List<Double> all = new ArrayList<>();
        List<Double> allocated = new ArrayList<>();
        for (BenchmarkResult fork : r.getBenchmarkResults()) {
          for (IterationResult i : fork.getIterationResults()) {
            all.add(i.getPrimaryResult().getScore());
            Result<?> a = i.getSecondaryResults().get("gc.alloc.rate.norm");
            if (a != null) {
              allocated.add(a.getScore());
            }
          }
        }
        nanos.put(key, WholeRun.median(all));
        bytes.put(key, allocated.isEmpty() ? Double.NaN : WholeRun.median(allocated));
      }
    } finally {
      System.setOut(out);
    }
  }

  private static String key(BenchmarkParams params) {
    String name = params.getBenchmark();
    name = name.substring(0, name.lastIndexOf('.'));
    StringBuilder key = new StringBuilder(name.substring(name.lastIndexOf('.') + 1));
    for (String p : params.getParamsKeys()) { // in order of their names
      key.append(' ').append(params.getParam(p));
    }
    return key.toString();
  }

  private static String read(Peer peer, int columns, int rows) {
    return "ReadBenchmark " + columns + " " + peer + " " + rows;
  }

  private double perRow(Peer peer, int columns) {
    return (nanos.get(read(peer, columns, 1000)) - nanos.get(read(peer, columns, 1))) / 999;
  }

  private double bytesPerRow(Peer peer, int columns) {
    return (bytes.get(read(peer, columns, 1000)) - bytes.get(read(peer, columns, 1))) / 999;
  }

  double statementOverRaw(Peer peer) {
    return nanos.get(read(peer, 2, 1)) - nanos.get(read(Peer.RAW, 2, 1));
  }

  double rowOverRaw(Peer peer, int columns) {
    return perRow(peer, columns) - perRow(Peer.RAW, columns);
  }

  double bytesPerRow() {
    return Math.max(bytesPerRow(Peer.DUALWRITE, 2), bytesPerRow(Peer.DUALWRITE, 10));
  }

  double capture() {
    return nanos.get("WriteBenchmark " + Peer.DUALWRITE) - nanos.get("WriteBenchmark " + Peer.RAW);
  }

  double commit(Way way) {
    return nanos.get("CommitBenchmark " + way) - nanos.get("CommitBenchmark " + Way.RAW);
  }

  double append() {
    return nanos.get("JournalBenchmark 3 NONE");
  }

  private double per100(Analyzer analyzer, Group group) {
    return nanos.get("AnalysisBenchmark " + analyzer + " " + group)
        * 100
        / Corpus.characters(group);
  }

  double slowestAnalysis() {
    double most = 0;
    for (Group g : Group.values()) {
      most = Math.max(most, per100(Analyzer.DUALWRITE, g));
    }
    return most;
  }

  // ---- tables

  void printReads(PrintStream out) {
    out.println(
        """
        | | one row of 2 | 100 rows of 2 | 1,000 rows of 2 | per row of 2 | per row of 10 | bytes, one row | bytes per row |
        |---|---|---|---|---|---|---|---|""");
    for (Peer p : Peer.present()) {
      out.printf(
          Locale.ROOT,
          "| %s | %,.0f | %,.0f | %,.0f | %.2f | %.2f | %,.0f | %.1f |%n",
          p.label,
          nanos.get(read(p, 2, 1)),
          nanos.get(read(p, 2, 100)),
          nanos.get(read(p, 2, 1000)),
          perRow(p, 2),
          perRow(p, 10),
          bytes.get(read(p, 2, 1)),
          Math.max(0, Math.max(bytesPerRow(p, 2), bytesPerRow(p, 10))));
    }
  }

  void printWrites(PrintStream out) {
    out.println(
        """
        | | ns | bytes |
        |---|---|---|""");
    for (Peer p : Peer.present()) {
      line(out, p.label, "WriteBenchmark " + p);
    }
    line(out, "dualwrite, committed, async", "CommitBenchmark " + Way.ASYNC);
    line(out, "dualwrite, committed, sync", "CommitBenchmark " + Way.SYNC);
  }

  void printJournal(PrintStream out) {
    out.println(
        """
        | | ns | bytes |
        |---|---|---|""");
    for (int columns : new int[] {3, 50}) {
      for (String sync : new String[] {"NONE", "COMMIT"}) {
        line(
            out,
            columns + " columns, sync=" + sync.toLowerCase(Locale.ROOT),
            "JournalBenchmark " + columns + " " + sync);
      }
    }
  }

  private void line(PrintStream out, String label, String key) {
    out.printf(Locale.ROOT, "| %s | %,.0f | %,.0f |%n", label, nanos.get(key), bytes.get(key));
  }

  void printAnalysis(PrintStream out) {
    out.println(
        """
        | statements | number, characters on average | dualwrite: ns a statement, per 100 characters | pgjdbc's parser |
        |---|---|---|---|""");
    for (Group g : Group.values()) {
      int n = Corpus.texts(g).size();
      out.printf(
          Locale.ROOT,
          "| %s | %d, %d | %,.0f, %,.0f | %,.0f, %,.0f |%n",
          g.name().toLowerCase(Locale.ROOT),
          n,
          Corpus.characters(g) / n,
          nanos.get("AnalysisBenchmark " + Analyzer.DUALWRITE + " " + g) / n,
          per100(Analyzer.DUALWRITE, g),
          nanos.get("AnalysisBenchmark " + Analyzer.PGJDBC + " " + g) / n,
          per100(Analyzer.PGJDBC, g));
    }
  }
}
