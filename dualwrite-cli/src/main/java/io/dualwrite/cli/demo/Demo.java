package io.dualwrite.cli.demo;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import io.dualwrite.backfill.Backfill;
import io.dualwrite.backfill.CopyOptions;
import io.dualwrite.backfill.CopyResult;
import io.dualwrite.backfill.StageOptions;
import io.dualwrite.backfill.StageResult;
import io.dualwrite.backfill.VerifyOptions;
import io.dualwrite.backfill.VerifyResult;
import io.dualwrite.cli.ExitCode;
import io.dualwrite.cli.ProgressBar;
import io.dualwrite.cli.Terminal;
import io.dualwrite.cli.UserError;
import io.dualwrite.config.Setting;
import io.dualwrite.control.Phase;
import io.dualwrite.embedded.PgServer;
import io.dualwrite.jdbc.CutoverReport;
import io.dualwrite.jdbc.DualWriteDataSource;
import io.dualwrite.jdbc.Status;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;

/** Goes through the method step by step, says what it does and what it measured. */
final class Demo implements AutoCloseable {

  private static final String DATABASE = "demo";
  private static final int WIDTH = 116;
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  /** How long the demo watches the application in each step. */
  private final Duration look;

  private final Terminal terminal;
  private final long seed;
  private final double scale;
  private final Meter meter = new Meter();
  private final long started = System.nanoTime();
  private PgServer source;
  private PgServer target;
  private Path journal;
  private DualWriteDataSource dualWrite;
  private HikariDataSource pool;
  private Application application;
  private final List<List<String>> outages = laps(); // before, during, after
  private long backlog; // the most units of work that ever waited

  Demo(Terminal terminal, long seed, double scale, Duration look) {
    this.terminal = terminal;
    this.seed = seed;
    this.scale = scale;
    this.look = look;
  }

  /**
   * Runs it all.
   *
   * @param keep whether both servers stay up at the end, until the process is interrupted
   */
  int run(boolean keep) throws SQLException, IOException, InterruptedException {
    Dataset data = prepare();
    sourceAlone(data);
    dualWrite();
    outage();
    backfill();
    boolean verified = verify();
    shadow();
    cutover();
    int code = compare(verified, keep);
    if (keep) {
      new CountDownLatch(1).await();
    }
    return code;
  }

  // ----------------------------------------------------------------------------------------------
  // the steps

  private Dataset prepare() throws SQLException, IOException {
    terminal.println(
        terminal.bold("dualwrite demo")
            + "  a live application moves to another PostgreSQL, and back, without a stop");
    terminal.println();
    terminal.status("    starting two servers ...");
    source = PgServer.embedded();
    target = PgServer.embedded();
    source.createDatabase(DATABASE);
    target.createDatabase(DATABASE);
    Dataset data = Dataset.load(seed);
    String version;
    try (Connection s = source.connect(DATABASE);
        Connection t = target.connect(DATABASE)) {
      Schema.create(s);
      Schema.create(t);
      Schema.load(s, data);
      version = s.getMetaData().getDatabaseProductVersion();
    }
    journal = Files.createTempDirectory("dualwrite-demo-journal");
    Runtime.getRuntime().addShutdownHook(new Thread(this::interrupted, "demo-interrupted"));
    terminal.status("");
    List<List<String>> rows = Terminal.rows("", "PostgreSQL " + version.split(" ", 2)[0]);
    rows.add(List.of("source", uri(source)));
    rows.add(List.of("target", uri(target) + "  (schema restored, no rows)"));
    rows.add(
        List.of(
            "data",
            String.format(
                Locale.ROOT,
                "%,d airports, %,d flights, %,d earthquakes; half of it is history, half comes live",
                data.airports().size(),
                data.oldFlights().size() + data.liveFlights().size(),
                1707)));
    terminal.table(rows);
    return data;
  }

  private void sourceAlone(Dataset data) {
    title(1, "The application, on the source alone");
    say(
        "Six threads over HikariCP over DualWriteDataSource, phase off: departures (single, batch,");
    say(
        "savepoint, rollback), an earthquake feed (upserts, late data, alerts with generated keys),");
    say("a desk (updates and deletes, old rows too) and a board that reads.");
    dualWrite =
        DualWriteDataSource.builder()
            .source(source.url(DATABASE), source.user(), source.password())
            .target(target.url(DATABASE), target.user(), target.password())
            .journal(journal)
            .phase(Phase.OFF)
            .mirror("sync")
            .set(Setting.SHADOW_SAMPLE_RATE, "1")
            .build();
    HikariConfig config = new HikariConfig();
    config.setDataSource(dualWrite);
    config.setMaximumPoolSize(8);
    pool = new HikariDataSource(config);
    application = new Application(pool, data, seed, scale, meter);
    application.start();
    watch(look.dividedBy(2), "warming up");
    meter.lap();
    watch(look, "source alone");
    measured("source alone");
  }

  private void dualWrite() throws SQLException {
    title(2, "Dual-write on");
    say(
        "One call, no restart. From here on every unit of work is in the journal before it commits,");
    say("and reaches the target in the same breath. The target lacks the history still.");
    dualWrite.phase(Phase.DUAL_WRITE);
    watch(look.dividedBy(2), "dual-write");
    meter.lap();
    watch(look, "dual-write");
    Meter.Lap lap = meter.lap();
    List<List<String>> rows = laps();
    rows.add(row("dual-write", lap));
    terminal.table(rows);
    outages.add(row("before", lap));
  }

  private void outage() {
    title(3, "The target is killed");
    say("kill -9 for every process of the target. The application must not notice.");
    long before = meter.errors();
    long waited = dualWrite.status().pending();
    target.kill();
    watch(look, "target is dead");
    Meter.Lap during = meter.lap();
    Status status = dualWrite.status();
    outages.add(row("target dead", during));
    terminal.table(outages);
    say(
        "Errors in the application: "
            + Terminal.number(meter.errors() - before)
            + ". In the journal wait "
            + units(status.pending())
            + ", before it was "
            + Terminal.number(waited)
            + ".");
    title(4, "The target returns");
    say("It recovers from its crash; the journal drains; nobody has to do anything.");
    long start = System.nanoTime();
    target.restart();
    long up = System.nanoTime();
    drain("the journal drains");
    say(
        String.format(
            Locale.ROOT,
            "Server up after %.1f s; at most %s waited; drained %.1f s later.",
            (up - start) / 1e9,
            units(backlog),
            (System.nanoTime() - up) / 1e9));
    meter.lap();
    watch(look, "after");
    outages.add(row("after", meter.lap()));
    terminal.table(outages);
  }

  private void backfill() throws SQLException {
    title(5, "Backfill: completion point, stage, copy");
    String until = completionPoint();
    say("Every writer dual-writes, so flights from T = " + until + " on come by themselves;");
    say(
        "what is older, and every row of the keyed tables, is copied while the application goes on.");
    Backfill backfill = openBackfill();
    StageResult staged = backfill.stage(stageOptions(until));
    ProgressBar bar = new ProgressBar(terminal, "copy");
    CopyResult copied = backfill.copy(CopyOptions.defaults().withParallelism(2), bar::update);
    bar.close();
    say(
        String.format(
            Locale.ROOT,
            "%d tables in %d chunks; %,d rows copied in %s.",
            staged.staged().size(),
            staged.tasks(),
            copied.rows(),
            Terminal.time(copied.elapsed())));
    if (!copied.complete()) {
      throw new UserError("the copy is not complete; parked: " + copied.failed());
    }
    drain("the journal drains");
    measured("while copying");
  }

  private boolean verify() throws SQLException {
    title(6, "Verify, by content");
    say("Counts and two 64-bit sums of row hashes per range, computed in the servers, while the");
    say("application goes on; what differs is looked at again once its writes have arrived.");
    ProgressBar bar = new ProgressBar(terminal, "verify");
    VerifyResult result =
        openBackfill()
            .verify(
                VerifyOptions.defaults().withParallelism(2).settled(this::settled), bar::update);
    bar.close();
    List<List<String>> rows = Terminal.rows("table", "source", "target", "result");
    for (VerifyResult.TableResult t : result.tables()) {
      rows.add(
          List.of(
              t.table().toString(),
              Terminal.number(t.sourceRows()),
              Terminal.number(t.targetRows()),
              t.equal() ? "equal" : t.error().orElse(t.differing() + " differ")));
    }
    terminal.table(rows);
    meter.lap();
    return result.equal();
  }

  private void shadow() throws SQLException {
    title(7, "Shadow reads");
    say("The application's reads run on the target too, off its threads, and are compared.");
    dualWrite.phase(Phase.SHADOW);
    watch(look, "shadow reads");
    measured("shadow reads");
    String report = dualWrite.shadowReport().toString();
    report
        .lines()
        .map(l -> l.length() > WIDTH ? l.substring(0, WIDTH - 3) + "..." : l)
        .forEach(l -> terminal.println("    " + l));
  }

  private void cutover() throws SQLException {
    title(8, "Cutover, and back");
    CutoverReport there = dualWrite.cutover(Duration.ofSeconds(10));
    report(there);
    watch(look, "on the target");
    measured("target primary");
    say("The source went on being written all the time; so the way back is the same thing again.");
    CutoverReport back = dualWrite.cutoverBack(Duration.ofSeconds(10));
    report(back);
    watch(look, "on the source");
    measured("source primary");
  }

  private void report(CutoverReport r) {
    List<List<String>> rows = Terminal.rows("", "");
    rows.add(List.of("primary is now", "the " + r.roles().primary()));
    rows.add(
        List.of(
            "transactions held back",
            String.format(Locale.ROOT, "%.0f ms", r.pause().toNanos() / 1e6)));
    rows.add(List.of("drained in that time", units(r.drained())));
    rows.add(List.of("sequences set", Integer.toString(r.sequences())));
    terminal.table(rows.subList(1, rows.size()));
  }

  private int compare(boolean verified, boolean keep) throws SQLException {
    title(9, "Independent comparison");
    say(
        "The application stops. Every row of every table is read from both servers and compared in");
    say("this program's memory, as text and as multisets, with no code of dualwrite.");
    application.close();
    drain("the journal drains");
    boolean identical = true;
    List<List<String>> rows =
        Terminal.rows("table", "source", "target", "only source", "only target", "");
    try (Connection s = source.connect(DATABASE);
        Connection t = target.connect(DATABASE)) {
      for (Comparison c : Comparison.all(s, t)) {
        identical &= c.identical();
        rows.add(
            List.of(
                c.table(),
                Terminal.number(c.sourceRows()),
                Terminal.number(c.targetRows()),
                Terminal.number(c.onlySource()),
                Terminal.number(c.onlyTarget()),
                c.identical() ? "identical" : "DIFFERS"));
      }
    }
    terminal.table(rows);
    terminal.println();
    terminal.println(
        String.format(
            Locale.ROOT,
            "%,d transactions of the application, %,d errors; %d s in all.",
            meter.transactions(),
            meter.errors(),
            TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - started)));
    if (meter.errors() > 0) {
      terminal.println(terminal.bad("The first error: " + meter.firstError()));
    }
    if (keep) {
      terminal.println("Both servers stay up until Ctrl-C:");
      terminal.println("  " + uri(source));
      terminal.println("  " + uri(target));
    }
    boolean good = identical && meter.errors() == 0 && verified;
    terminal.println(
        identical
            ? terminal.good("identical: source and target hold the same rows in every table")
            : terminal.bad("NOT identical: source and target differ"));
    return good ? ExitCode.DONE : ExitCode.FAILED;
  }

  // ----------------------------------------------------------------------------------------------
  // what the steps are made of

  private String completionPoint() throws SQLException {
    try (Connection c = source.connect(DATABASE);
        Statement s = c.createStatement();
        ResultSet r =
            s.executeQuery(
                "select to_char((max(departed_at) + interval '1 minute') at time zone 'UTC',"
                    + " 'YYYY-MM-DD\"T\"HH24:MI\"Z\"') from flights")) {
      r.next();
      return r.getString(1);
    }
  }

  private static StageOptions stageOptions(String until) {
    return StageOptions.defaults()
        .withUntil(List.of(until))
        .withTimeColumns(Map.of("public.flights", "departed_at"))
        .withChunkRows(250);
  }

  private boolean settled() {
    Status s = dualWrite.status();
    return s.pending() == 0 && s.inFlight() == 0;
  }

  private void drain(String what) {
    await(what, () -> dualWrite.status().pending() == 0);
  }

  private void watch(Duration how, String what) {
    long end = System.nanoTime() + how.toNanos();
    tick(what, () -> System.nanoTime() >= end);
  }

  private void await(String what, BooleanSupplier condition) {
    long end = System.nanoTime() + PATIENCE.toNanos();
    tick(what, () -> condition.getAsBoolean() || System.nanoTime() >= end);
    if (!condition.getAsBoolean()) {
      Status s = dualWrite.status();
      throw new UserError(
          what
              + ": not done after "
              + Terminal.seconds(PATIENCE.toSeconds())
              + "; "
              + units(s.pending())
              + " pending, "
              + s.parked().size()
              + " parked, suspects "
              + s.suspects());
    }
  }

  private void tick(String what, BooleanSupplier done) {
    long start = System.nanoTime();
    long before = meter.transactions();
    while (!done.getAsBoolean()) {
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(50));
      long pending = dualWrite.status().pending();
      backlog = Math.max(backlog, pending);
      double seconds = (System.nanoTime() - start) / 1e9;
      terminal.status(
          String.format(
              Locale.ROOT,
              "    %s  %2.0f s  %,.0f writes/s  %d errors  %,d units wait",
              what,
              seconds,
              (meter.transactions() - before) / seconds,
              meter.errors(),
              pending));
    }
    terminal.status("");
  }

  private Backfill openBackfill() {
    return Backfill.builder()
        .source(source.url(DATABASE), source.user(), source.password())
        .target(target.url(DATABASE), target.user(), target.password())
        .build();
  }

  private void title(int number, String text) {
    terminal.println();
    terminal.println(terminal.bold(number + "  " + text));
  }

  private void say(String text) {
    terminal.println("    " + text);
  }

  private static String units(long n) {
    return Terminal.number(n) + (n == 1 ? " unit of work" : " units of work");
  }

  private static String uri(PgServer server) {
    return "postgres://"
        + server.user()
        + ":"
        + server.password()
        + "@localhost:"
        + server.port()
        + "/"
        + DATABASE;
  }

  private static List<List<String>> laps() {
    return Terminal.rows(
        "", "writes/s", "p50 ms", "p99 ms", "max ms", "reads/s", "p50 ms", "p99 ms", "errors");
  }

  private static List<String> row(String what, Meter.Lap lap) {
    return List.of(
        what,
        Terminal.number(lap.perSecond(lap.writes())),
        lap.millis(lap.writes(), 50),
        lap.millis(lap.writes(), 99),
        lap.millis(lap.writes(), 100),
        Terminal.number(lap.perSecond(lap.reads())),
        lap.millis(lap.reads(), 50),
        lap.millis(lap.reads(), 99),
        Terminal.number(lap.errors()));
  }

  private void measured(String what) {
    List<List<String>> rows = laps();
    rows.add(row(what, meter.lap()));
    terminal.table(rows);
  }

  /**
   * Ctrl-C: the servers go by themselves; nothing more is said, and the journal is cleared away.
   */
  private void interrupted() {
    terminal.mute();
    if (application != null) {
      application.close();
    }
    if (dualWrite != null) {
      dualWrite.close();
    }
    delete(journal);
  }

  @Override
  public void close() {
    if (application != null) {
      application.close();
    }
    if (pool != null) {
      pool.close();
    }
    if (dualWrite != null) {
      dualWrite.close();
    }
    if (source != null) {
      source.close();
    }
    if (target != null) {
      target.close();
    }
    if (journal != null) {
      delete(journal);
    }
  }

  private static void delete(Path directory) {
    if (!Files.exists(directory)) {
      return;
    }
    try (Stream<Path> files = Files.walk(directory)) {
      files.sorted(Comparator.reverseOrder()).map(Path::toFile).forEach(File::delete);
    } catch (IOException e) {
      // a temporary directory: the operating system's business from here on
    }
  }
}
