package io.dualwrite.benchmarks;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * Runs the benchmarks and writes RESULTS.md to the standard output; progress goes to the standard
 * error. {@code micro} or {@code whole} as an argument runs that half alone, {@code quick} once
 * around; {@code jmh} hands what follows to JMH.
 */
public final class Main {

  private Main() {}

  /** The program. */
  public static void main(String[] args) throws Exception {
    if (args.length > 0 && args[0].equals("jmh")) {
      try (Servers servers = new Servers()) {
        MicroRun.jmh(servers, Arrays.copyOfRange(args, 1, args.length));
      }
      return;
    }
    if (args.length > 0 && args[0].equals("backfill")) {
      backfill(Set.copyOf(Arrays.asList(args).subList(1, args.length)));
      return;
    }
    Set<String> words = Set.copyOf(Arrays.asList(args));
    if (!Set.of("micro", "whole", "quick").containsAll(words)) {
      System.err.println(
          "usage: benchmarks [micro | whole] [quick], benchmarks backfill [contest ...] [quick], or benchmarks jmh <options of JMH>");
      System.exit(2);
    }
    boolean quick = words.contains("quick");
    MicroRun micro = words.contains("whole") ? null : new MicroRun();
    long start = System.nanoTime();
    double busy = busy();
    ByteArrayOutputStream document = new ByteArrayOutputStream();
    try (Servers servers = new Servers()) {
      WholeRun whole =
          words.contains("micro")
              ? null
              : new WholeRun(
                  servers, Duration.ofMillis(quick ? 100 : 500), quick ? 1 : 4, 0, 2, 20);
      if (micro != null) {
        micro.run(servers, quick);
      }
      if (whole != null) {
        whole.run();
      }
      try (PrintStream out = new PrintStream(document, false, StandardCharsets.UTF_8)) {
        long minutes = Duration.ofNanos(System.nanoTime() - start).toMinutes() + 1;
        print(out, micro, whole, minutes, servers.version(), busy);
      }
    }
    System.out.write(document.toByteArray());
    System.out.flush();
  }

  private static void backfill(Set<String> words) throws Exception {
    Set<String> contests = new HashSet<>(words);
    boolean quick = contests.remove("quick");
    long start = System.nanoTime();
    double busy = busy();
    ByteArrayOutputStream document = new ByteArrayOutputStream();
    try (BackfillRun run =
            new BackfillRun(
                quick ? 4 : Integer.getInteger("dualwrite.benchmarks.megabytes", 1000),
                quick ? 0 : 3,
                contests);
        PrintStream out = new PrintStream(document, false, StandardCharsets.UTF_8)) {
      run.run();
      out.printf(
          Locale.ROOT,
          """
          # How fast the backfill is

          Written by `benchmarks/run backfill > benchmarks/BACKFILL.md`, which takes about %d minutes; nothing in here is edited by hand.

          | | |
          |---|---|
          | date | %s |
          | machine | %s, %d processors, %s %s |
          | processors busy with other work before | %.0f %%%s |
          | Java | %s %s, a heap of 256 MB |
          | PostgreSQL | %s, both servers on this machine, `fsync=on`, on %s |

          Every line is a process, or two, as a user starts them; the time is that from the start to the end, that of the
          Java virtual machine's start included. Each had its turn in each of %d rounds, the target empty before it; what is
          shown are medians over the rounds, the ratios those of the same round. Servers, clients and dualwrite share the
          processors: what a client saves, the servers have.
          """,
          Duration.ofNanos(System.nanoTime() - start).toMinutes() + 1,
          LocalDate.now(ZoneOffset.UTC),
          processor(),
          Runtime.getRuntime().availableProcessors(),
          System.getProperty("os.name"),
          System.getProperty("os.arch"),
          100 * busy,
          busy > 0.1 ? ": **others were at work, and the numbers are no more than a hint**" : "",
          System.getProperty("java.vm.name"),
          Runtime.version(),
          run.versions(),
          Files.getFileStore(Path.of(System.getProperty("java.io.tmpdir"))).type(),
          quick ? 1 : 3);
      run.print(out);
    }
    System.out.write(document.toByteArray());
    System.out.flush();
  }

  /** What Chronicle Queue needs of the JVM; see journal.flags in the parent's pom.xml. */
  static List<String> journalFlags() {
    List<String> flags =
        new ArrayList<>(
            List.of(
                "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED",
                "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
                "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED"));
    if (Runtime.version().feature() >= 24) {
      flags.add("--enable-native-access=ALL-UNNAMED");
      flags.add("--sun-misc-unsafe-memory-access=allow");
    }
    return flags;
  }

  private static void print(
      PrintStream out, MicroRun micro, WholeRun whole, long minutes, String postgres, double busy)
      throws IOException {
    out.printf(
        Locale.ROOT,
        """
        # What dualwrite costs

        Written by `benchmarks/run > benchmarks/RESULTS.md`, which takes about %d minutes; nothing in here is edited by hand.

        | | |
        |---|---|
        | date | %s |
        | machine | %s, %d processors, %s %s |
        | processors busy with other work before | %.0f %%%s |
        | Java | %s %s |
        | PostgreSQL | %s, both servers on this machine, `fsync=on`, on %s |
        | peers | HikariCP 7.1.0, datasource-proxy 1.11.0, p6spy 3.9.1, AWS advanced JDBC wrapper 4.3.0, %spgjdbc %s |

        """,
        minutes,
        LocalDate.now(ZoneOffset.UTC),
        processor(),
        Runtime.getRuntime().availableProcessors(),
        System.getProperty("os.name"),
        System.getProperty("os.arch"),
        busy * 100,
        busy > 0.05 ? ": **others were at work, and the numbers are no more than a hint**" : "",
        System.getProperty("java.vm.name"),
        Runtime.version(),
        postgres,
        Files.getFileStore(Path.of(System.getProperty("java.io.tmpdir"))).type(),
        ShardingSphere.isPresent() ? Peer.SHARDINGSPHERE.label + ", " : "",
        org.postgresql.util.DriverInfo.DRIVER_VERSION);
    out.println("## Targets\n");
    out.println("| what | target | measured | |\n|---|---|---|---|");
    if (micro != null) {
      target(out, "read, a statement over raw", 60, "ns", micro.statementOverRaw(Peer.DUALWRITE));
      target(
          out, "read, a row of 2 columns over raw", 1, "ns", micro.rowOverRaw(Peer.DUALWRITE, 2));
      target(
          out, "read, a row of 10 columns over raw", 1, "ns", micro.rowOverRaw(Peer.DUALWRITE, 10));
      target(out, "read, allocated per row", 0.1, "bytes", micro.bytesPerRow());
      target(out, "capture of a prepared INSERT over raw", 3000, "ns", micro.capture());
      target(
          out,
          "the same with its journal append and async commit, over raw",
          3000,
          "ns",
          micro.commit(CommitBenchmark.Way.ASYNC));
      target(out, "journal append, unsynchronised", 3000, "ns", micro.append());
      target(
          out,
          "analysis of an unseen statement, per 100 characters",
          1000,
          "ns",
          micro.slowestAnalysis());
    }
    if (whole != null) {
      double[] async = whole.asyncOverhead();
      target(
          out,
          "sync, added wait for the target, worst transaction",
          1.2,
          "round trips",
          whole.worstWait());
      target(out, "async, added median latency, best transaction", 5, "%", async[0]);
      target(out, "async, added median latency, worst transaction", 5, "%", async[1]);
      target(
          out,
          "the same while the target is away, worst transaction",
          5,
          "%",
          whole.awayOverhead());
    }
    if (micro != null) {
      out.println(
          """

          ## Reads

          A query in autocommit over a driver that answers from memory: prepared, executed, read, closed. Nanoseconds.
          What stands between the application and the driver is all that differs; nobody logs or listens.
          """);
      micro.printReads(out);
      out.println(
          """

          ## Writes

          An INSERT of three values over the same driver: prepared, executed, closed, and rolled back, so that of dualwrite
          it shows the capture. In the last two lines it is committed, with a real journal and databases that answer in no
          time: everything of ours that a commit has to do.
          """);
      micro.printWrites(out);
      out.println(
          """

          ## Journal

          One intent from its number to its resolution.
          """);
      micro.printJournal(out);
      out.println(
          """

          ## Analysis

          A text that was not seen before.
          """);
      micro.printAnalysis(out);
    }
    if (whole != null) {
      out.println(
          """

          ## Whole transactions

          One client, one thread, two servers; the target is behind a proxy that makes the round trip. *By hand* executes
          each statement on both connections and commits both, and has neither journal nor replay.
          """);
      whole.print(out);
      out.println(
          """

          Client, target and journal share the source's processors and disk here, so that part of what async adds is the
          target's own work. Without it, that is while the target is away and everything waits in the journal:
          """);
      whole.printAway(out);
    }
  }

  private static void target(PrintStream out, String what, double most, String unit, double is) {
    out.printf(
        Locale.ROOT,
        "| %s | %s %s | %s %s | %s |%n",
        what,
        number(most),
        unit,
        number(is),
        unit,
        is <= most ? "met" : "**missed**");
  }

  private static String number(double x) {
    return String.format(Locale.ROOT, Math.abs(x) >= 100 ? "%,.0f" : "%.2f", x)
        .replaceFirst("\\.00$", "");
  }

  /** What part of the processors others use: in two seconds in which we do nothing. */
  private static double busy() throws InterruptedException {
    var system =
        (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    system.getCpuLoad(); // it tells what was since it was asked last
    Thread.sleep(2000);
    return Math.max(0, system.getCpuLoad());
  }

  private static String processor() throws IOException {
    Path info = Path.of("/proc/cpuinfo");
    if (Files.exists(info)) {
      for (String line : Files.readAllLines(info)) {
        if (line.startsWith("model name")) {
          return line.substring(line.indexOf(':') + 1).strip();
        }
      }
    }
    return "processor unknown";
  }
}
