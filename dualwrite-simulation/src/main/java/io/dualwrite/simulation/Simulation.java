package io.dualwrite.simulation;

import io.dualwrite.embedded.TcpProxy;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

/** One run: a seed, everything that follows from it, and what came of it. */
final class Simulation implements AutoCloseable {

  /**
   * What came of it.
   *
   * @param failures empty if both databases are equal and the application was not disturbed
   * @param wrong those of them that say that rows differ, or that the application was answered what
   *     is not so; the others may be a busy machine's
   * @param story what to read after a failure
   * @param acknowledged how many transactions were acknowledged
   * @param faults how many faults there were
   * @param deaths how many processes were killed
   */
  record Result(
      List<String> failures,
      List<String> wrong,
      List<String> story,
      int acknowledged,
      int faults,
      int deaths) {}

  /** Seconds that a process may take to begin or to end, on a machine that has much else to do. */
  private static final int START = 180;

  /** Transactions, without which a run says nothing. */
  private static final int AT_LEAST = 150;

  private static final int SHOWN = 6;
  private static final int LINES = 120;
  private static final long AROUND = 3000; // milliseconds

  /** So much room has no disk: it is full from the beginning. */
  private static final String FULL = "1000000GB";

  private final Servers servers;
  private final Processes processes;
  private final long seed;
  private final Duration length;
  private final int busy;
  private final Profile profile;
  private final Teeth.Aim aim;
  private final Path directory;
  private final Timeline timeline = new Timeline();
  private final Machine machine = Machine.here();
  private final CountDownLatch stop = new CountDownLatch(1);
  private final AtomicInteger total = new AtomicInteger(); // transactions that began
  private final Queue<String> failures = new ConcurrentLinkedQueue<>();
  private final Queue<String> wrong = new ConcurrentLinkedQueue<>();
  private final List<TcpProxy> toSource = new ArrayList<>();
  private final List<TcpProxy> toTarget = new ArrayList<>();
  private final List<WriterLives> writers = new ArrayList<>();
  private final boolean preloaded;
  private final boolean ddl;
  private final boolean repairs;
  private final int gapTarget; // milliseconds between two faults, at most
  private final int gapSource;
  private String database;

  /** Whether everybody said that there is nothing left to bring over: then rows may not differ. */
  private volatile boolean finished = true;

  /**
   * A run.
   *
   * @param length how long writers and faults go on; up to four times as long until there were
   *     enough transactions
   * @param busy how much of that time the writers write, in hundredths
   * @param aim what it is most about; null: what the seed says
   */
  Simulation(
      Servers servers, Processes processes, long seed, Duration length, int busy, Teeth.Aim aim)
      throws IOException {
    this.servers = servers;
    this.processes = processes;
    this.seed = seed;
    this.length = length;
    this.busy = busy;
    directory = Files.createTempDirectory("dualwrite-simulation");
    Dice dice = Dice.of(seed, "plan");
    Profile drawn = Profile.draw(dice);
    profile = aim == null ? drawn : aim.profile();
    this.aim = aim;
    ddl = dice.percent(25) && profile == Profile.ALL;
    boolean left = aim != null && aim.left();
    preloaded = dice.percent(40) || ddl || left;
    repairs = dice.percent(30) && !left;
    gapTarget = dice.of(List.of(600, 2000, 5000)) / (brief() ? 2 : 1);
    gapSource = dice.of(List.of(1500, 5000, 15000)) / (brief() ? 3 : 1);
  }

  private boolean brief() {
    return length.toSeconds() < 60;
  }

  private int writerCount() {
    return profile == Profile.LONELY ? 1 : brief() ? 2 : 3;
  }

  /** Runs it. */
  Result run() throws SQLException, InterruptedException {
    database = servers.database();
    try (Connection s = servers.source.connect(database);
        Connection t = servers.target.connect(database)) {
      for (Connection c : List.of(s, t)) {
        Tables.run(c, Tables.SCHEMA);
      }
      Tables.run(s, Tables.ROWS);
      if (preloaded) {
        Tables.run(t, "alter table audited disable trigger user;" + Tables.ROWS);
      }
    }
    timeline.add(
        "plan",
        profile
            + ", preloaded "
            + preloaded
            + ", ddl "
            + ddl
            + ", repairs "
            + repairs
            + ", faults every "
            + gapTarget
            + " and "
            + gapSource
            + " ms");
    int count = writerCount();
    for (int i = 0; i <= count; i++) { // one way of each is the operator's
      toSource.add(new TcpProxy("127.0.0.1", servers.source.port()));
      toTarget.add(new TcpProxy("127.0.0.1", servers.target.port()));
    }
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      WriterLives w = new WriterLives(i);
      writers.add(w);
      threads.add(start("writer-" + i, w));
    }
    OperatorLives operator = new OperatorLives(count);
    operator.begin();
    for (WriterLives w : writers) {
      w.begun.await(START, TimeUnit.SECONDS);
    }
    threads.add(start("operator", operator));
    threads.add(start("chaos-target", chaos("target", gapTarget)));
    threads.add(start("chaos-source", chaos("source", gapSource)));
    goOn();
    stop.countDown();
    for (Thread t : threads) {
      t.join();
    }
    timeline.add("plan", "everything is well from here on");
    operator.finish();
    timeline.add("plan", "the writers drain");
    List<Thread> drains = new ArrayList<>();
    for (WriterLives w : writers) {
      drains.add(start("drain", w::drain));
    }
    for (Thread t : drains) {
      t.join();
    }
    timeline.add("plan", "both databases are compared");
    List<String> story = new ArrayList<>();
    int acknowledged;
    try (Connection s = servers.source.connect(database);
        Connection t = servers.target.connect(database)) {
      List<Comparison.Difference> differences = Comparison.differences(s, t);
      differences.forEach(d -> tell(d, story));
      acknowledged = application(s);
      operator.verify(differences.isEmpty());
    } catch (SQLException e) {
      throw failures.isEmpty() ? e : new SQLException(e.getMessage() + " " + failures, e);
    }
    operator.end();
    story.addAll(tell(events(String.join("\n", story) + "\n" + String.join("\n", wrong))));
    failures.addAll(wrong);
    return new Result(
        List.copyOf(failures),
        List.copyOf(wrong),
        story,
        acknowledged,
        timeline.faults(),
        timeline.deaths());
  }

  /** The whole timeline goes to a file; returned is what was done around those transactions. */
  private List<String> tell(List<Timeline.Event> transactions) {
    timeline.add("plan", "the end");
    for (Notes.Note n : Notes.read(directory.resolve("operator.notes"))) {
      if (n.kind().equals("ends")) {
        timeline.add(n.millis(), "operator", n.text());
      }
    }
    try {
      Files.write(
          directory.resolve("timeline.txt"), timeline.lines(transactions, 0, Long.MAX_VALUE));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    long from = transactions.stream().mapToLong(Timeline.Event::millis).min().orElse(0);
    long to = transactions.stream().mapToLong(Timeline.Event::millis).max().orElse(0);
    List<String> lines = timeline.lines(transactions, from - AROUND, to + AROUND);
    return lines.size() <= LINES ? lines : lines.subList(lines.size() - LINES, lines.size());
  }

  /** For as long as was asked for; on a slow machine until something has been written at all. */
  private void goOn() throws InterruptedException {
    long start = System.nanoTime();
    long enough = length.toNanos();
    while (System.nanoTime() - start < enough
        || (total.get() < AT_LEAST && System.nanoTime() - start < 4 * enough)) {
      if (stop.await(20, TimeUnit.MILLISECONDS)) {
        return; // something is wrong already
      }
    }
  }

  private Chaos chaos(String side, int gap) {
    boolean source = side.equals("source");
    return new Chaos(
        side,
        Dice.of(seed, "chaos", side),
        source ? servers.source : servers.target,
        source ? toSource : toTarget,
        profile.faults(!(source && ddl)), // what a lost ALTER did nobody can tell
        gap,
        stop,
        machine,
        timeline);
  }

  private Thread start(String name, Runnable task) {
    Thread t =
        new Thread(
            () -> {
              try {
                task.run();
              } catch (RuntimeException | Error e) {
                failures.add(name + " broke: " + e);
              }
            },
            name);
    t.setDaemon(true);
    t.start();
    return t;
  }

  private String url(List<TcpProxy> ways, int n, String more) {
    return "jdbc:postgresql://127.0.0.1:" + ways.get(n).port() + "/" + database + "?" + more;
  }

  // ---- the processes

  /** A writer: one process after another over one journal. */
  private final class WriterLives implements Runnable {
    final CountDownLatch begun = new CountDownLatch(1);
    private final int number;
    private final Path notes;
    private int life;
    private volatile Child child;

    WriterLives(int number) {
      this.number = number;
      notes = directory.resolve("writer-" + number + ".notes");
    }

    private String name() {
      return "writer-" + number;
    }

    private Child start(int threads, Map<String, String> steps) {
      life++;
      Dice dice = Dice.of(seed, "settings", number, life);
      Map<String, String> args = new LinkedHashMap<>(steps);
      args.put("role", "writer");
      args.put("seed", Long.toString(seed));
      args.put("number", Integer.toString(number));
      args.put("name", "w" + number + "." + life);
      // with 0 the text COMMIT, which faults wait for, is sent every time and not only once
      String prepare = "&prepareThreshold=" + dice.of(List.of(0, 0, 5));
      args.put(
          "source",
          url(
              toSource,
              number,
              "socketTimeout=30&connectTimeout=5&options=-c%20lock_timeout="
                  + Bounds.LOCK.toMillis()
                  + prepare));
      args.put("target", url(toTarget, number, "connectTimeout=5" + prepare));
      args.put("journal", directory.resolve("journal-" + number).toString());
      args.put("notes", notes.toString());
      args.put("threads", Integer.toString(threads));
      args.put("busy", Integer.toString(busy));
      args.put("profile", profile.name());
      args.put("keys", Integer.toString(keys()));
      args.put("ddl", Boolean.toString(ddl));
      boolean drawn = dice.percent(20);
      Boolean async = profile.async(number);
      args.put("mirror", (async == null ? drawn : async) ? "async" : "sync");
      args.put("unit-bytes", dice.percent(20) ? "8kB" : "64MB");
      // DDL that was neither mirrored nor recorded is for people to repeat
      boolean full = dice.percent(6) && !ddl;
      args.put(
          "free-bytes", (aim != null && aim.left() ? aim.full() == number : full) ? FULL : "1MB");
      timeline.add(
          name(),
          "life "
              + life
              + " "
              + args.get("mirror")
              + " unit "
              + args.get("unit-bytes")
              + (args.get("free-bytes").equals(FULL) ? " disk full" : "")
              + " "
              + steps);
      return processes.take(args);
    }

    @Override
    public void run() {
      try {
        while (!stopping()) {
          live();
        }
        stopped();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }

    private void live() throws InterruptedException {
      Dice dice = Dice.of(seed, "death", number, life + 1);
      int how = dice.weighted(profile.deaths());
      // soon, or later, when more has been written that may be lost
      boolean soon = dice.percent(brief() ? 70 : 30);
      String outer = dice.of(Death.COMMIT_STEPS) + ":" + dice.between(1, soon ? 30 : 600);
      String inner = dice.of(Death.CONVERGENCE_STEPS) + ":" + dice.between(1, soon ? 5 : 60);
      // whoever does not come by the step where it was to die is killed where it stands: after so
      // many transactions, however long they take, and so many milliseconds
      int transactions = soon ? dice.between(0, how == 2 ? 40 : 300) : dice.between(300, 1500);
      int after = dice.between(0, 200);
      boolean damage = dice.percent(12) && (aim == null || !aim.left());
      if (life > 0 && !ddl && damage) { // what a lost ALTER did nobody can tell
        timeline.add(name(), Damage.flip(directory.resolve("journal-" + number), dice));
      }
      Map<String, String> steps = new LinkedHashMap<>();
      String lingers = profile.commitStep(dice);
      String own = aim == null ? null : aim.commitStep(number);
      boolean aimed = own != null;
      if (own == null ? dice.percent(50) : !own.isEmpty()) {
        String often =
            ":"
                + dice.between(aimed ? 100 : 5, profile == Profile.ALL ? 150 : 300)
                + ":"
                + dice.of(aimed ? List.of(1, 2) : List.of(2, 5, 10, 30));
        String step = aimed ? own : lingers;
        steps.put("dualwrite.test.linger-at", step.contains(":") ? step : step + often);
      }
      if (aim != null && (aim.full() == number || profile == Profile.PURGED)) {
        steps.put("dualwrite.test.healer-rest", "0");
      }
      if (dice.percent(60) || aim != null) {
        linger(dice, steps);
      }
      if (aim != null && aim.dieAt() != null) {
        steps.put("dualwrite.test.die-at", aim.dieAt() + ":" + dice.between(1, 4));
      } else if (how == 0) {
        steps.put("dualwrite.test.die-at", outer);
      } else if (how == 1) {
        steps.put("dualwrite.test.die-in-convergence-at", inner);
      }
      child = start(profile == Profile.LONELY ? 1 : 2, steps);
      if (!answer("ready", START)) {
        return;
      }
      begun.countDown();
      long kill = Long.MAX_VALUE;
      while (!stopping()) {
        String line = child.next(20);
        if (Child.END.equals(line)) {
          died();
          return;
        }
        int written = line == null ? 0 : Writer.written(line);
        if (written > 0) {
          began();
        }
        if (how != 3 && kill == Long.MAX_VALUE && written >= transactions) {
          kill = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(after);
        }
        if (kill != Long.MAX_VALUE && System.nanoTime() - kill > 0) {
          child.kill();
        }
      }
    }

    private void died() throws InterruptedException {
      int status = child.await();
      timeline.death(name(), "ended " + status);
      keepErrors(child);
      if (status != 137) {
        failures.add(name() + " ended by itself in life " + life);
        stop.countDown();
        begun.countDown();
      }
    }

    /** Whether it says so; if it dies instead, that is noted. */
    private boolean answer(String expected, int seconds) throws InterruptedException {
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(seconds);
      while (System.nanoTime() - end < 0) {
        String line = child.next(100);
        if (Child.END.equals(line)) {
          died();
          return false;
        }
        if (line != null && line.startsWith(expected)) {
          timeline.add(name(), line);
          return true;
        }
        if (line != null && !line.equals("ready") && Writer.written(line) < 0) {
          finished = false;
          failures.add(name() + ": " + line);
          return true;
        }
      }
      finished = false;
      failures.add(name() + " did not say " + expected + " within " + seconds + " s");
      child.kill();
      child.await();
      return true;
    }

    /** Nothing is written any more; what may die has died. */
    private void stopped() throws InterruptedException {
      if (child.alive()) {
        child.tell("stop");
        if (answer("stopped", START)) {
          return;
        }
      }
      child = start(0, Map.of());
    }

    void drain() {
      try {
        for (int n = 0; n < 2; n++) {
          child.tell("drain");
          if (answer("drained", (int) Bounds.DRAIN.toSeconds() + START)) {
            if (child.alive() && answer(Host.IDLE, START)) {
              keepErrors(child);
              processes.give(child);
              child = null;
            }
            return;
          }
          child = start(0, Map.of()); // it was to die in its convergence, and did so now
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private void linger(Dice dice, Map<String, String> steps) {
    String drawn = profile.convergenceStep(dice);
    boolean aimed = aim != null && aim.convergenceStep() != null;
    steps.put(
        "dualwrite.test.linger-in-convergence-at",
        (aimed ? aim.convergenceStep() : drawn)
            + ":"
            + dice.between(aimed ? 100 : 5, profile == Profile.ALL ? 300 : 600)
            + ":"
            + dice.of(profile == Profile.ALL ? List.of(1, 2, 5, 20) : List.of(1, 2)));
  }

  /** A transaction began somewhere; now and then the keys move on, for all writers. */
  private void began() {
    if (total.incrementAndGet() % profile.window() == 0) {
      for (WriterLives w : writers) {
        Child c = w.child;
        if (c != null) {
          c.tell(Writer.KEYS + keys());
        }
      }
    }
  }

  private int keys() {
    return total.get() / profile.window() * (Tables.KEYS / 2);
  }

  private void keepErrors(Child child) {
    try {
      if (Files.size(child.errors()) > 0) {
        Files.copy(
            child.errors(),
            directory.resolve(child.errors().getFileName()),
            StandardCopyOption.REPLACE_EXISTING);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private boolean stopping() {
    return stop.getCount() == 0;
  }

  /** The operator: stage, copy, verify, repair, killed now and then. */
  private final class OperatorLives implements Runnable {
    private final int way;
    private int life;
    private Child child;
    private boolean staged;
    private boolean copied;

    OperatorLives(int way) {
      this.way = way;
    }

    void begin() {
      if (child == null || !child.alive()) {
        Dice dice = Dice.of(seed, "operator", ++life);
        Map<String, String> args = new LinkedHashMap<>();
        args.put("role", "operator");
        args.put("source", url(toSource, way, "connectTimeout=5"));
        args.put("target", url(toTarget, way, "connectTimeout=5"));
        args.put("notes", directory.resolve("operator.notes").toString());
        if (dice.percent(50)) {
          linger(dice, args);
        }
        child = processes.take(args);
      }
    }

    private String ask(String command, int killAfter) throws InterruptedException {
      begin();
      timeline.add("operator", command);
      child.tell(command);
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(120);
      boolean killed = false;
      long kill = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(killAfter);
      while (System.nanoTime() - end < 0) {
        String line = child.next(20);
        if (Child.END.equals(line)) {
          child.await(); // its output ends a little earlier, and the next command needs another
          return "died";
        }
        if (line != null) {
          if (line.startsWith("broken")) {
            failures.add("operator: " + command + " " + line);
          }
          return line;
        }
        if (killAfter > 0 && !killed && System.nanoTime() - kill > 0) {
          timeline.death("operator", "killed");
          child.kill();
          killed = true;
        }
      }
      child.kill();
      return "failed: no answer within two minutes";
    }

    @Override
    public void run() {
      Dice dice = Dice.of(seed, "operator");
      try {
        int rest = preloaded && !repairs ? 1000 : 3000;
        while (!stop.await(dice.between(0, rest), TimeUnit.MILLISECONDS)) {
          int kill = dice.percent(20) ? dice.between(10, 2000) : 0;
          boolean repair = dice.percent(50);
          if (!preloaded && !staged) {
            staged = ask("stage", kill).equals("done");
          } else if (!preloaded && !copied) {
            copied = ask("copy", kill).equals("done");
          } else if (repairs) {
            ask(repair ? "repair" : "verify", kill);
          }
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }

    void finish() throws InterruptedException {
      String last = "";
      for (int n = 0; n < 20 && !preloaded && !copied; n++) {
        last = ask(staged ? "copy" : "stage", 0);
        copied = staged && last.equals("done");
        staged |= last.equals("done");
      }
      if (!preloaded && !copied) {
        finished = false;
        failures.add("the backfill does not end: " + last);
      }
    }

    void verify(boolean equal) throws InterruptedException {
      String answer = ask("verify", 0);
      if (answer.equals("done") != equal) {
        failures.add(
            "verify says " + answer + ", but the databases are " + (equal ? "equal" : "not equal"));
      }
    }

    void end() throws InterruptedException {
      child.tell("end");
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
      while (System.nanoTime() - end < 0) {
        String line = child.next(100);
        if (Host.IDLE.equals(line)) {
          keepErrors(child);
          processes.give(child);
          return;
        }
        if (Child.END.equals(line)) {
          return;
        }
      }
      child.kill();
    }
  }

  // ---- the end

  private void tell(Comparison.Difference d, List<String> story) {
    (finished ? wrong : failures)
        .add(
            d.table()
                + " differs: "
                + d.onlySource().size()
                + " rows only in the source, "
                + d.onlyTarget().size()
                + " only in the target");
    story.add(d.table() + ":");
    d.onlySource().stream().limit(SHOWN).forEach(r -> story.add("  only in the source: " + r));
    d.onlyTarget().stream().limit(SHOWN).forEach(r -> story.add("  only in the target: " + r));
  }

  /** What the application saw; how many transactions were acknowledged to it. */
  private int application(Connection source) throws SQLException {
    Set<String> acknowledged = new LinkedHashSet<>();
    Set<String> undone = new LinkedHashSet<>();
    for (WriterLives w : writers) {
      for (Notes.Note n : Notes.read(w.notes)) {
        switch (n.kind()) {
          case "acknowledged" -> acknowledged.add(n.text());
          case "undone" -> undone.add(n.text());
          case "broken" -> failures.add("the application broke: " + n.text());
          case "error" -> error(n);
          case "slow" -> slow(n);
          default -> {}
        }
      }
    }
    Set<String> missing = Comparison.markers(source, acknowledged, false);
    if (!missing.isEmpty()) {
      wrong.add("acknowledged, but not in the source: " + missing);
    }
    Set<String> there = Comparison.markers(source, undone, true);
    if (!there.isEmpty()) {
      wrong.add("rolled back, but in the source: " + there);
    }
    return acknowledged.size();
  }

  private void error(Notes.Note n) {
    String[] parts =
        n.text().split(" ", 4); // state, when the connection was opened, marker, message
    String state = parts[0];
    boolean own =
        state.startsWith("23")
            || state.startsWith("40")
            || state.equals("55P03")
            || (ddl && (state.startsWith("42") || state.equals("0A000") || state.equals("XX000")));
    boolean connection =
        state.startsWith("08")
            || state.startsWith("57P")
            || state.equals("null")
            || state.isEmpty();
    if (!own && !(connection && timeline.sourceDisturbed(Long.parseLong(parts[1]), n.millis()))) {
      failures.add("the application saw an error that is not the source's: " + n.text());
    }
  }

  private void slow(Notes.Note n) {
    long millis = Long.parseLong(n.text().substring(0, n.text().indexOf(' ')));
    Duration bound = n.text().endsWith(" commit") ? Bounds.COMMIT : Bounds.CALL;
    double slowness = machine.slowness(n.millis() - millis, n.millis());
    if (millis > bound.toMillis() + Bounds.MACHINE.toMillis() * slowness
        && !timeline.sourceDisturbed(n.millis() - millis, n.millis())) {
      failures.add(
          "a call took longer than the settings allow (ms, transaction, call): "
              + n.text()
              + String.format(Locale.ROOT, " (the machine was %.1f times slower)", slowness));
    }
  }

  /** What the writers noted of the transactions whose markers the text names. */
  private List<Timeline.Event> events(String differing) {
    List<Timeline.Event> events = new ArrayList<>();
    for (WriterLives w : writers) {
      for (Notes.Note n : Notes.read(w.notes)) {
        String marker = n.text().split(" ", 2)[0];
        if (!n.kind().equals("slow") && !n.kind().equals("error") && mentions(differing, marker)) {
          events.add(new Timeline.Event(n.millis(), w.name(), n.kind() + " " + n.text()));
        }
      }
    }
    return events;
  }

  private static boolean mentions(String text, String marker) {
    for (int at = text.indexOf(marker); at >= 0; at = text.indexOf(marker, at + 1)) {
      int end = at + marker.length();
      if (end == text.length() || !Character.isDigit(text.charAt(end))) {
        return true;
      }
    }
    return false;
  }

  /** Where the processes' files are. */
  Path directory() {
    return directory;
  }

  /** Deletes the files. */
  void delete() {
    delete(directory);
  }

  /** Deletes a directory. */
  static void delete(Path directory) {
    try (Stream<Path> files = Files.walk(directory)) {
      files.sorted(Comparator.reverseOrder()).forEach(f -> f.toFile().delete());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    toSource.forEach(TcpProxy::close);
    toTarget.forEach(TcpProxy::close);
    for (WriterLives w : writers) {
      if (w.child != null) {
        w.child.kill();
      }
    }
  }
}
