package io.dualwrite.benchmarks;

import io.dualwrite.embedded.Installation;
import io.dualwrite.embedded.PgServer;
import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * The backfill beside what a person would use instead: psql's COPY into psql's COPY, pgcopydb, and
 * the servers' own hash query. Every contender is a process as a user starts it, the time is that
 * from its start to its end, and dualwrite has a heap of 256 MB. In turns, several rounds; ratios
 * are medians over the rounds.
 */
final class BackfillRun implements AutoCloseable {

  private static final String DATABASE = "backfill";
  private static final String EMPTY = "empty";
  private static final String HEAP = "-Xmx256m";
  private static final int TABLES = 4;

  private final Installation installation;
  private final boolean timescale;
  private final PgServer source;
  private final PgServer target;
  private final long megabytes;
  private final int rounds;
  private final Path scratch;
  private final Processes processes;
  private final Set<String> only;
  private final List<Contest> contests = new ArrayList<>();

  /** One way to do a piece of work: what stands before it is not timed. */
  private record Contender(String name, Work before, Work work) {}

  private interface Work {
    Processes.Run run() throws IOException, InterruptedException, SQLException;
  }

  private record Measured(double seconds, double sourceSeconds, double peak) {}

  /** Contenders at one piece of work; all are compared with the first. */
  private static final class Contest {
    final String title;
    final double goal;
    final long bytes;
    final long rows;
    final Map<String, List<Measured>> results = new LinkedHashMap<>();

    Contest(String title, double goal, long bytes, long rows) {
      this.title = title;
      this.goal = goal;
      this.bytes = bytes;
      this.rows = rows;
    }

    /** How often as fast as the first, median over the rounds. */
    double ratio(String name) {
      List<Measured> first = results.values().iterator().next();
      List<Measured> mine = results.get(name);
      return WholeRun.median(
          IntStream.range(0, mine.size())
              .mapToObj(i -> first.get(i).seconds / mine.get(i).seconds)
              .toList());
    }
  }

  /**
   * Starts the servers of a PostgreSQL installation of this machine, with TimescaleDB if one has
   * it.
   *
   * @param megabytes the size of the data, roughly
   * @param only the contests to run; empty for all
   */
  BackfillRun(long megabytes, int rounds, Set<String> only) {
    installation =
        Installation.offering("timescaledb")
            .or(Installation::any)
            .orElseThrow(() -> new IllegalStateException(Installation.NONE));
    timescale = Installation.offering("timescaledb").isPresent();
    this.megabytes = megabytes;
    this.rounds = rounds;
    this.only = only;
    String[] settings =
        Stream.concat(
                Stream.of(
                    "fsync=on",
                    "shared_buffers=512MB",
                    "max_wal_size=8GB",
                    "checkpoint_timeout=1h",
                    "autovacuum=off"),
                timescale
                    ? Stream.of(
                        "shared_preload_libraries=timescaledb", "timescaledb.telemetry_level=off")
                    : Stream.of())
            .toArray(String[]::new);
    source = installation.start(settings);
    target = installation.start(settings);
    scratch = Scratch.directory();
    processes = new Processes(scratch);
  }

  @Override
  public void close() {
    source.close();
    target.close();
  }

  /** What runs where. */
  String versions() throws SQLException {
    try (Connection c = source.connect("postgres")) {
      String postgres = c.getMetaData().getDatabaseProductVersion();
      if (!timescale) {
        return postgres + ", without TimescaleDB";
      }
      try (Statement s = c.createStatement();
          ResultSet r =
              s.executeQuery(
                  "select default_version from pg_available_extensions where name = 'timescaledb'")) {
        r.next();
        return postgres + ", TimescaleDB " + r.getString(1);
      }
    }
  }

  /** Runs everything. */
  void run() throws SQLException, IOException, InterruptedException {
    source.createDatabase(DATABASE);
    target.createDatabase(DATABASE);
    if (wanted("keyless")) {
      keyless();
    }
    if (wanted("keyed") || wanted("verify")) {
      keyed();
    }
    if (wanted("wide")) {
      wide();
    }
    if (timescale && (wanted("chunk") || wanted("compressed"))) {
      execute(true, "create extension timescaledb");
      execute(false, "create extension timescaledb");
      if (wanted("chunk")) {
        chunk();
      }
      if (wanted("compressed")) {
        compressed();
      }
    }
  }

  private boolean wanted(String contest) {
    return only.isEmpty() || only.contains(contest);
  }

  // ----------------------------------------------------------------------------------------------
  // the contests

  private static final String ROW =
      "(i % 1000)::int, timestamptz '2024-01-01Z' + i * interval '1 second', (i::bigint * 7919 % 100000) / 100.0, md5(i::text)";

  private void keyless() throws SQLException, IOException, InterruptedException {
    String table = "create table events(device int, at timestamptz, v double precision, note text)";
    execute(true, table);
    execute(false, table);
    long rows = 3 * megabytes * 10_000; // so that the start of a process is no matter
    execute(true, "insert into events select " + ROW + " from generate_series(1, " + rows + ") i");
    execute(true, "vacuum analyze events");
    Work clear = () -> fresh("truncate events");
    contest(
        "a table without a key or index, one stream",
        1,
        bytes("events"),
        rows,
        new Contender("psql, binary COPY into binary COPY", clear, () -> pipe("events")),
        ours("dualwrite copy -p 1", "events", clear, 1));
    execute(true, "drop table events");
    execute(false, "drop table events");
  }

  private static String orders(int n) {
    return "orders_" + n;
  }

  private void keyed() throws SQLException, IOException, InterruptedException {
    long rows = megabytes * 7_000 / TABLES;
    long bytes = 0;
    StringBuilder truncate = new StringBuilder("truncate ");
    StringBuilder count = new StringBuilder();
    for (int n = 1; n <= TABLES; n++) {
      String table =
          "create table "
              + orders(n)
              + "(id bigint primary key, customer int not null, at timestamptz not null, total numeric(12, 2), note text)";
      String index = "create index on " + orders(n) + "(customer)";
      execute(true, table);
      execute(true, index);
      execute(false, table);
      execute(false, index);
      execute(
          true,
          "insert into "
              + orders(n)
              + " select i, "
              + ROW
              + " from generate_series(1, "
              + rows
              + ") i");
      execute(true, "vacuum analyze " + orders(n));
      bytes += bytes(orders(n));
      truncate.append(n == 1 ? "" : ", ").append(orders(n));
      count.append(n == 1 ? "" : " + ").append("(select count(*) from " + orders(n) + ")");
    }
    String clear = truncate.toString();
    String counts = "select " + count;
    if (wanted("keyed")) {
      contest(
          "one table with a key and an index, in place on the target, one stream",
          1,
          bytes / TABLES,
          rows,
          new Contender(
              "psql, binary COPY into binary COPY", () -> fresh(clear), () -> pipe(orders(1))),
          ours("dualwrite copy -p 1", orders(1), () -> fresh(clear), 1));
      List<Contender> scaled = new ArrayList<>();
      for (int p : new int[] {1, 2, 4}) {
        scaled.add(ours("dualwrite copy -p " + p, "orders", () -> fresh(clear), p));
      }
      contest(
          TABLES + " such tables, more streams",
          0,
          bytes,
          rows * TABLES,
          scaled.toArray(Contender[]::new));
      if (Processes.installed("pgcopydb")) {
        contest(
            TABLES + " such tables, everything: schema, rows, indexes, statistics; 4 at a time",
            1.2,
            bytes,
            rows * TABLES,
            new Contender("pgcopydb clone", this::freshDatabase, this::cloneAll),
            new Contender(
                "dualwrite schema, stage --defer-indexes and copy -p 4",
                this::freshDatabase,
                this::move));
        contest(
            TABLES + " such tables, in place on the target, 4 at a time",
            1.2,
            bytes,
            rows * TABLES,
            new Contender("pgcopydb copy table-data", () -> fresh(clear), this::tableData),
            ours("dualwrite copy -p 4", "orders", () -> fresh(clear), 4),
            new Contender(
                "dualwrite copy -p 4, staged with --defer-indexes",
                () -> {
                  fresh(clear);
                  return dualwrite("stage", "--defer-indexes", "--filter", "orders");
                },
                () -> dualwrite("copy", "-p", "4")));
      }
      same(counts);
    } else {
      fresh(clear);
      stage("orders");
      dualwrite("copy", "-p", "4");
    }
    if (wanted("verify")) {
      execute(false, "vacuum analyze");
      Work nothing = () -> null;
      contest(
          "the same rows on both sides, compared",
          1 / 1.3,
          bytes,
          rows * TABLES,
          new Contender(
              "psql, count and two sums of hashes, both servers at once", nothing, this::hash),
          new Contender("dualwrite verify -p 1", nothing, () -> dualwrite("verify", "-p", "1")));
    }
    fresh(clear.replace("truncate", "drop table"));
    execute(true, clear.replace("truncate", "drop table"));
  }

  /** Rows of a megabyte, eight at a time: what the heap has to hold. */
  private void wide() throws SQLException, IOException, InterruptedException {
    String table = "create table wide(id int primary key, x bytea)";
    execute(true, table);
    execute(false, table);
    long rows = megabytes;
    execute(true, "alter table wide alter x set storage external");
    execute(
        true,
        "insert into wide select i, decode(repeat(md5(i::text), 32768), 'hex') from generate_series(1, "
            + 2 * rows
            + ") i");
    Work clear = () -> fresh("truncate wide");
    contest(
        "rows of half a megabyte",
        0,
        bytes("wide"),
        2 * rows,
        new Contender("psql, binary COPY into binary COPY", clear, () -> pipe("wide")),
        ours("dualwrite copy -p 8", "wide", clear, 8));
    execute(true, "drop table wide");
    execute(false, "drop table wide");
  }

  private static final String METRICS =
      "create table metrics(ts timestamptz not null, device int not null, v double precision, w double precision, n int, primary key (ts, device))";

  private void hypertable(boolean there, String interval, String more) throws SQLException {
    execute(there, "drop table if exists metrics");
    execute(there, METRICS);
    execute(
        there,
        "select create_hypertable('metrics', 'ts', chunk_time_interval => interval '"
            + interval
            + "')");
    execute(
        there,
        "alter table metrics set (timescaledb.compress, timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 'ts')");
    if (!more.isEmpty()) {
      execute(there, more);
    }
  }

  private static String metrics(long rows, int days) {
    return "insert into metrics select timestamptz '2024-01-01Z' + (i / 100) * (interval '"
        + days
        + " days' / "
        + (rows / 100 + 1)
        + "), i % 100, (i::bigint * 7919 % 1000) / 10.0, i % 50, i % 7 from generate_series(0, "
        + (rows - 1)
        + ") i";
  }

  private void chunk() throws SQLException, IOException, InterruptedException {
    long rows = 2 * megabytes * 7_000;
    hypertable(true, "1000 days", "");
    execute(true, metrics(rows, 20));
    execute(true, "vacuum analyze metrics");
    Work clear =
        () -> {
          hypertable(false, "1000 days", "");
          // the same first chunk, empty
          execute(false, "insert into metrics values ('2024-01-01Z', 0, 0, 0, 0)");
          execute(false, "delete from metrics");
          return fresh("select 1");
        };
    clear.run();
    String from = value(true, "select show_chunks('metrics')::text");
    contest(
        "a chunk of a hypertable, one stream",
        1,
        bytes(from),
        rows,
        new Contender(
            "psql, binary COPY into binary COPY",
            clear,
            () ->
                pipe(
                    "(select * from " + from + ")",
                    value(false, "select show_chunks('metrics')::text"))),
        ours("dualwrite copy -p 1", "metrics", clear, 1),
        new Contender(
            "dualwrite copy -p 1, staged with --defer-indexes",
            () -> {
              clear.run();
              return dualwrite("stage", "--defer-indexes", "--filter", "metrics");
            },
            () -> dualwrite("copy", "-p", "1")));
  }

  private void compressed() throws SQLException, IOException, InterruptedException {
    long rows = megabytes * 5_000;
    int days = 8;
    hypertable(true, "1 day", "");
    execute(true, metrics(rows, days));
    execute(true, "select compress_chunk(c) from show_chunks('metrics') c");
    execute(true, "vacuum analyze metrics");
    long bytes =
        Long.parseLong(
            value(
                true,
                "select pg_catalog.sum(total_bytes)::bigint from chunks_detailed_size('metrics')"));
    contest(
        "compressed chunks, one stream",
        3,
        bytes,
        rows,
        ours(
            "dualwrite copy -p 1, as rows (the target has another check)",
            "metrics",
            () -> {
              hypertable(false, "1 day", "alter table metrics add check (n >= 0)");
              return fresh("select 1");
            },
            1),
        ours(
            "dualwrite copy -p 1, as they are",
            "metrics",
            () -> {
              hypertable(false, "1 day", "");
              return fresh("select 1");
            },
            1));
    same(
        "select count(*)::text || ' ' || sum(hashtextextended(m::text, 0)::numeric) from metrics m");
  }

  // ----------------------------------------------------------------------------------------------
  // how it is run

  private void contest(String title, double goal, long bytes, long rows, Contender... contenders)
      throws SQLException, IOException, InterruptedException {
    Contest contest = new Contest(title, goal, bytes, rows);
    contests.add(contest);
    long sourceServer = server(true);
    for (int round = 0; round <= rounds; round++) {
      for (Contender c : contenders) {
        c.before.run();
        execute(false, "checkpoint");
        Set<ProcessHandle> idle = Processes.children(sourceServer);
        double before = Processes.processorSeconds(sourceServer);
        Processes.Run run = c.work.run();
        Processes.awaitEnd(sourceServer, idle);
        double spent = Processes.processorSeconds(sourceServer) - before;
        System.err.printf(
            Locale.ROOT, "%s: %s: round %d: %.2f s%n", title, c.name, round, run.seconds());
        if (round > 0 || rounds == 0) { // the first one warms the caches
          contest
              .results
              .computeIfAbsent(c.name, n -> new ArrayList<>())
              .add(new Measured(run.seconds(), spent, run.peakMegabytes()));
        }
      }
    }
  }

  private Contender ours(String name, String filter, Work before, int parallelism) {
    return new Contender(
        name,
        () -> {
          before.run();
          return stage(filter);
        },
        () -> dualwrite("copy", "-p", Integer.toString(parallelism)));
  }

  private Processes.Run stage(String filter) throws IOException, InterruptedException {
    return dualwrite("stage", "--filter", filter);
  }

  private Processes.Run dualwrite(String... arguments) throws IOException, InterruptedException {
    return dualwriteInto(DATABASE, arguments);
  }

  private Processes.Run dualwriteInto(String database, String... arguments)
      throws IOException, InterruptedException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                HEAP,
                "-XX:TieredStopAtLevel=1", // as the command's script has it
                "-XX:+UseSerialGC",
                "-cp",
                classPath(),
                "io.dualwrite.cli.Main"));
    command.addAll(List.of(arguments));
    command.addAll(List.of("--source", uri(true, DATABASE), "--target", uri(false, database)));
    return processes.run(command);
  }

  /** Absolute: the processes run elsewhere. */
  private static String classPath() {
    return Stream.of(System.getProperty("java.class.path").split(File.pathSeparator, -1))
        .map(p -> Path.of(p).toAbsolutePath().toString())
        .collect(Collectors.joining(File.pathSeparator));
  }

  private Processes.Run pipe(String table) throws IOException, InterruptedException {
    return pipe(table, table);
  }

  private Processes.Run pipe(String from, String into) throws IOException, InterruptedException {
    return processes.run(
        List.of(
            psql(true, "copy " + from + " to stdout (format binary)"),
            psql(false, "copy " + into + " from stdin (format binary)")),
        false);
  }

  private List<String> psql(boolean there, String sql) {
    return List.of(
        installation.bin().resolve("psql").toString(),
        "-X",
        "-q",
        "-d",
        uri(there, DATABASE),
        "-c",
        sql);
  }

  private Processes.Run hash() throws IOException, InterruptedException {
    StringBuilder sql = new StringBuilder("set jit = off;");
    for (int n = 1; n <= TABLES; n++) {
      sql.append(
          "select count(*), sum(hashtextextended(r, 0)::numeric), sum(hashtextextended(r, 1)::numeric) from (select t::text as r from "
              + orders(n)
              + " t offset 0) q;");
    }
    return processes.run(List.of(psql(true, sql.toString()), psql(false, sql.toString())), true);
  }

  private Processes.Run freshDatabase() throws SQLException {
    for (String sql : List.of("drop database if exists " + EMPTY, "create database " + EMPTY)) {
      try (Connection c = target.connect("postgres");
          Statement s = c.createStatement()) {
        s.execute(sql);
      }
    }
    return null;
  }

  private Processes.Run cloneAll() throws IOException, InterruptedException {
    return processes.run(
        List.of(
            "pgcopydb",
            "clone",
            "--source",
            uri(true, DATABASE),
            "--target",
            uri(false, EMPTY),
            "--table-jobs",
            "4",
            "--index-jobs",
            "4",
            "--dir",
            Files.createTempDirectory(scratch, "pgcopydb").toString()));
  }

  private Processes.Run tableData() throws IOException, InterruptedException {
    return processes.run(
        List.of(
            "pgcopydb",
            "copy",
            "table-data",
            "--source",
            uri(true, DATABASE),
            "--target",
            uri(false, DATABASE),
            "--table-jobs",
            "4",
            "--dir",
            Files.createTempDirectory(scratch, "pgcopydb").toString()));
  }

  private Processes.Run move() throws IOException, InterruptedException {
    double seconds = 0;
    double peak = 0;
    Path files = Files.createTempDirectory(scratch, "schema");
    for (String[] command :
        new String[][] {
          {"schema", "migrate", "--no-roles", "--output", files.toString()},
          {"stage", "--defer-indexes"},
          {"copy", "-p", "4"}
        }) {
      Processes.Run run = dualwriteInto(EMPTY, command);
      seconds += run.seconds();
      peak = Math.max(peak, run.peakMegabytes());
    }
    return new Processes.Run(seconds, peak, "");
  }

  private String uri(boolean there, String database) {
    PgServer server = there ? source : target;
    return "postgres://postgres:postgres@localhost:" + server.port() + "/" + database;
  }

  /** The target as it was before a contender had its turn. */
  private Processes.Run fresh(String sql) throws SQLException {
    execute(false, "drop schema if exists dualwrite cascade");
    execute(false, sql);
    return null;
  }

  private void execute(boolean there, String sql) throws SQLException {
    try (Connection c = (there ? source : target).connect(DATABASE);
        Statement s = c.createStatement()) {
      s.execute(sql);
    }
  }

  private String value(boolean there, String sql) throws SQLException {
    try (Connection c = (there ? source : target).connect(DATABASE);
        Statement s = c.createStatement();
        ResultSet r = s.executeQuery(sql)) {
      r.next();
      return r.getString(1);
    }
  }

  private long bytes(String table) throws SQLException {
    return Long.parseLong(value(true, "select pg_table_size('" + table + "')"));
  }

  /** A contender that leaves rows out is not fast. */
  private void same(String query) throws SQLException {
    String mine = value(true, query);
    String theirs = value(false, query);
    if (!mine.equals(theirs)) {
      throw new IllegalStateException(
          query + ": " + mine + " on the source, " + theirs + " on the target");
    }
  }

  private long server(boolean there) throws SQLException, IOException {
    try (Connection c = (there ? source : target).connect(DATABASE);
        Statement s = c.createStatement();
        ResultSet r = s.executeQuery("select pg_backend_pid()")) {
      r.next();
      return Processes.parent(r.getLong(1));
    }
  }

  // ----------------------------------------------------------------------------------------------
  // what came of it

  void print(PrintStream out) {
    for (Contest contest : contests) {
      out.printf(
          Locale.ROOT,
          "%n## %s%n%n%,d rows, %,d MB on the source's disk.%s%n%n",
          Character.toUpperCase(contest.title.charAt(0)) + contest.title.substring(1),
          contest.rows,
          contest.bytes >> 20,
          contest.goal == 0
              ? ""
              : String.format(
                  Locale.ROOT, " Goal: %.2f times as fast as the first.", contest.goal));
      out.println(
          "| | seconds | MB/s | rows/s | times as fast | processor seconds of the source's server | peak memory |");
      out.println("|---|---|---|---|---|---|---|");
      String first = contest.results.keySet().iterator().next();
      contest.results.forEach(
          (name, all) -> {
            double seconds = WholeRun.median(all.stream().map(Measured::seconds).toList());
            double ratio = contest.ratio(name);
            out.printf(
                Locale.ROOT,
                "| %s | %.2f | %.1f | %,.0f | %s | %.2f | %.0f MB |%n",
                name,
                seconds,
                contest.bytes / 1048576.0 / seconds,
                contest.rows / seconds,
                name.equals(first)
                    ? ""
                    : String.format(
                        Locale.ROOT,
                        "%.2f%s",
                        ratio,
                        contest.goal == 0 ? "" : ratio >= contest.goal ? ", met" : ", **missed**"),
                WholeRun.median(all.stream().map(Measured::sourceSeconds).toList()),
                WholeRun.median(all.stream().map(Measured::peak).toList()));
          });
    }
  }
}
