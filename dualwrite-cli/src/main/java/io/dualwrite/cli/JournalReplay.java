package io.dualwrite.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.dualwrite.converge.Convergence;
import io.dualwrite.converge.Preview;
import io.dualwrite.converge.ReplayResult;
import io.dualwrite.converge.ReplayStats;
import io.dualwrite.converge.Replayer;
import io.dualwrite.journal.Journal;
import io.dualwrite.journal.JournalReader;
import io.dualwrite.journal.JournalUnit;
import io.dualwrite.journal.Pending;
import io.dualwrite.journal.Suspect;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code dualwrite journal replay}. */
@Command(
    name = "replay",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header = "Brings to the mirror what stopped applications' journals still hold.",
    description = {
      "",
      "For processes that will not start again: a machine is replaced, or the application has been"
          + " scaled down. A running application does the same by itself, and holds its journal"
          + " locked. Rows with a key are made what the primary's rows are now, so nothing newer is"
          + " overwritten; rows without a key are inserted exactly once. Units in any order, and any"
          + " part of them: filters choose some. Once nothing is pending, parked or suspect there, the"
          + " process it belonged to is in no cutover's way any more.",
      "",
      "--dry-run tells for each unit what would become of it. What differs is written to the mirror in"
          + " transactions that are rolled back, so that it also tells what the mirror would refuse."
          + " The journal is not touched; it may be in use.",
      "",
      "Exit code 1 if a unit is parked or a table suspect afterwards; 130 if interrupted.",
    },
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExamples:%n",
    footer = {
      "  dualwrite journal replay /var/lib/shop/journals/* --config app.properties",
      "  dualwrite journal replay /var/lib/shop/journal --retry-parked --dry-run",
    })
final class JournalReplay implements Callable<Integer> {

  private static final int ROUND = 500;
  private static final int SHOWN = 20;
  private static final long QUIET_NANOS = TimeUnit.SECONDS.toNanos(5);
  private static final long PLAIN_NANOS = TimeUnit.SECONDS.toNanos(10);

  @Mixin private Selection selection;

  @Mixin private Databases databases;

  @Option(
      names = {"-n", "--dry-run"},
      order = 20,
      description = "Only tell what would happen.")
  private boolean dryRun;

  @Option(
      names = "--retry-parked",
      order = 21,
      description = "Take up the units again that failed for good and were parked.")
  private boolean retryParked;

  @Option(
      names = "--limit",
      paramLabel = "N",
      order = 22,
      defaultValue = "0",
      description = "With --dry-run: look at so many units of each journal at most (default: all).")
  private int limit;

  @Option(
      names = "--max-rate",
      paramLabel = "ROWS",
      order = 23,
      description =
          "Rows a second to read from the primary at most (else dualwrite.reconcile.max-rate of"
              + " --config; default: no limit).")
  private Integer maxRate;

  @Mixin private Json json;

  @Spec private CommandSpec spec;

  private Terminal terminal;
  private boolean several;

  @Override
  public Integer call() throws SQLException {
    terminal = Terminal.standard();
    List<Path> journals = selection.journals(databases.journal());
    several = journals.size() > 1;
    if (dryRun) {
      try (Databases.Engine engine = databases.engine(maxRate)) {
        return JournalCommand.each(spec, journals, j -> preview(j, engine.convergence()));
      }
    }
    if (!several) {
      // a journal in use is refused before a database is asked
      try (JournalReader reader = JournalReader.open(journals.get(0));
          Databases.Engine engine = databases.engine(maxRate)) {
        return replay(journals.get(0), reader, engine.convergence());
      }
    }
    try (Databases.Engine engine = databases.engine(maxRate)) {
      return JournalCommand.each(
          spec,
          journals,
          j -> {
            try (JournalReader reader = JournalReader.open(j)) {
              return replay(j, reader, engine.convergence());
            }
          });
    }
  }

  // ---- what would happen

  /** What a dry run adds up. */
  private static final class Sum {
    final Map<Preview.Fate, Long> fates = new EnumMap<>(Preview.Fate.class);
    long units;
    long keys;
    long rows;
  }

  private int preview(Path directory, Convergence engine) throws SQLException {
    try (JournalReader reader = JournalCommand.look(directory, terminal, json, several)) {
      UUID writer = reader.writer() == null ? new UUID(0, 0) : reader.writer();
      Preview preview = new Preview(engine, writer);
      Sum sum = new Sum();
      List<JournalUnit> page = new ArrayList<>();
      long[] bytes = {0};
      SQLException[] failure = {null};
      reader.units(
          false,
          u -> {
            if (!wanted(u)) {
              return true;
            }
            if (limit > 0 && sum.units + page.size() == limit) {
              return false;
            }
            page.add(u);
            bytes[0] += u.intent().changes().stream().mapToLong(c -> c.size()).sum();
            if (page.size() == ROUND || bytes[0] > 8L << 20) {
              try {
                judge(directory, preview, page, sum);
              } catch (SQLException e) {
                failure[0] = e;
                return false;
              }
              bytes[0] = 0;
            }
            return true;
          });
      if (failure[0] != null) {
        throw failure[0];
      }
      judge(directory, preview, page, sum);
      summary(directory, sum);
      return sum.fates.containsKey(Preview.Fate.FAILS) ? ExitCode.FAILED : ExitCode.DONE;
    }
  }

  private boolean wanted(JournalUnit u) {
    return (u.state() == JournalUnit.State.PENDING
            || retryParked && u.state() == JournalUnit.State.PARKED)
        && selection.test(u);
  }

  private void judge(Path directory, Preview preview, List<JournalUnit> page, Sum sum)
      throws SQLException {
    if (page.isEmpty()) {
      return;
    }
    List<Pending> units = page.stream().map(u -> new Pending(u.intent(), u.outcome())).toList();
    List<Preview.Verdict> verdicts = preview.of(units);
    for (int i = 0; i < verdicts.size(); i++) {
      Preview.Verdict v = verdicts.get(i);
      boolean parked = page.get(i).state() == JournalUnit.State.PARKED;
      sum.units++;
      sum.fates.merge(v.fate(), 1L, Long::sum);
      sum.keys += v.keys();
      sum.rows += v.rows();
      if (json.wanted()) {
        terminal.println(Json.line(json(directory, v, parked)));
      } else {
        terminal.println(
            String.format(Locale.ROOT, "    %10d  %s", v.sequence(), words(v, parked)));
      }
    }
    page.clear();
  }

  private String words(Preview.Verdict v, boolean parked) {
    String doubt = v.doubtful() ? " (nobody knows whether it committed)" : "";
    return switch (v.fate()) {
      case ABORTED -> "aborted on the primary: nothing to do";
      case WAITS -> "has to wait: " + Units.firstLine(v.why());
      case EQUAL -> "already equal" + (v.equal() > 0 ? " (" + keys(v.equal()) + ")" : "") + doubt;
      case WRITES -> writes(v) + doubt;
      case FAILS ->
          terminal.bad(parked ? "parked again: " : "fails, and would be parked: ")
              + Units.firstLine(v.why());
    };
  }

  private static String writes(Preview.Verdict v) {
    List<String> parts = new ArrayList<>();
    if (v.keys() > 0) {
      parts.add(
          keys(v.keys()) + " to resync" + (v.equal() > 0 ? ", " + keys(v.equal()) + " equal" : ""));
    }
    if (v.rows() > 0) {
      parts.add(Terminal.count(v.rows(), "keyless row") + " to insert");
    }
    if (v.statements() > 0) {
      parts.add(Terminal.count(v.statements(), "statement") + " to run");
    }
    if (!v.suspects().isEmpty()) {
      parts.add("suspect then: " + Units.tables(v.suspects()));
    }
    return String.join(", ", parts);
  }

  private static String keys(long n) {
    return Terminal.count(n, "key");
  }

  private static ObjectNode json(Path directory, Preview.Verdict v, boolean parked) {
    ObjectNode o = Json.object("verdict").put("journal", directory.toString());
    o.put("sequence", v.sequence());
    o.put("fate", v.fate().name().toLowerCase(Locale.ROOT));
    o.put("parkedNow", parked);
    o.put("doubtful", v.doubtful());
    o.put("keysEqual", v.equal());
    o.put("keysToResync", v.keys());
    o.put("rowsToInsert", v.rows());
    o.put("statementsToRun", v.statements());
    v.suspects().forEach(t -> o.withArray("suspects").add(t.toString()));
    if (!v.why().isEmpty()) {
      o.put("why", v.why());
    }
    return o;
  }

  private void summary(Path directory, Sum sum) {
    if (json.wanted()) {
      ObjectNode o = Json.object("summary").put("journal", directory.toString());
      o.put("dryRun", true).put("units", sum.units);
      ObjectNode fates = o.putObject("fates");
      sum.fates.forEach((f, n) -> fates.put(f.name().toLowerCase(Locale.ROOT), n));
      o.put("keysToResync", sum.keys).put("rowsToInsert", sum.rows);
      terminal.println(Json.line(o));
      return;
    }
    List<String> parts = new ArrayList<>();
    sum.fates.forEach(
        (f, n) ->
            parts.add(
                Terminal.number(n)
                    + switch (f) {
                      case ABORTED -> " aborted";
                      case WAITS -> " to wait";
                      case EQUAL -> " already equal";
                      case WRITES -> " to write";
                      case FAILS -> " would be parked";
                    }));
    terminal.println(
        "    "
            + Terminal.count(sum.units, "unit")
            + " of work"
            + (parts.isEmpty() ? "" : ": " + String.join(", ", parts)));
    terminal.println("    dry run: nothing was changed");
  }

  // ---- replay

  private int replay(Path directory, JournalReader reader, Convergence engine) throws SQLException {
    try (Interruption interruption = Interruption.stops(Thread.currentThread()::interrupt)) {
      Journal journal = select(reader);
      long before = journal.pendingCount();
      long parkedBefore = journal.parked().size();
      if (!json.wanted()) {
        if (several) {
          terminal.println(terminal.bold(directory.toString()));
        }
        terminal.println("    " + Terminal.count(before, "unit") + " of work pending");
      }
      try (Replayer replayer = new Replayer(journal, engine)) {
        if (replay(journal, replayer, before)) {
          goodbye(reader, engine);
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      terminal.status("");
      return interruption.exitCode(result(directory, journal, before, parkedBefore));
    }
  }

  /** With what is left of the whole journal, also if only a part was asked for. */
  static void goodbye(JournalReader reader, Convergence engine) throws SQLException {
    try (Replayer whole = new Replayer(reader.journal(), engine)) {
      whole.heartbeat(true);
    }
  }

  /** The journal, or that part of it which was asked for; what was parked is pending again. */
  private Journal select(JournalReader reader) {
    Journal journal = reader.journal();
    if (!selection.any()) {
      if (retryParked) {
        journal.parked().forEach(p -> journal.unpark(p.sequence()));
      }
      return journal;
    }
    SelectedJournal some = new SelectedJournal(journal);
    reader.units(
        false,
        u -> {
          if (wanted(u)) {
            some.select(u.intent().sequence());
            if (u.state() == JournalUnit.State.PARKED) {
              journal.unpark(u.intent().sequence());
            }
          }
          return true;
        });
    some.leaveBehind();
    return some;
  }

  /** Returns false if it was interrupted before nothing was left to do. */
  private boolean replay(Journal journal, Replayer replayer, long before)
      throws SQLException, InterruptedException {
    long progress = System.nanoTime();
    long said = System.nanoTime();
    while (journal.pendingCount() > 0) {
      if (Thread.currentThread().isInterrupted()) {
        return false;
      }
      ReplayResult round = replayer.replayOnce(ROUND);
      long left = journal.pendingCount();
      long now = System.nanoTime();
      boolean moved = round.resolved() > 0 || round.parked() > 0 || round.keys() > 0;
      if (moved) {
        progress = now;
      }
      boolean stuck = now - progress > QUIET_NANOS;
      String line =
          "    replayed "
              + Terminal.number(before - left)
              + " of "
              + Terminal.number(before)
              + rate(replayer.stats(), left)
              + (stuck ? waits(replayer.stats(), round.waiting()) : "");
      terminal.status(line);
      if (!terminal.interactive() && !json.wanted() && now - said > PLAIN_NANOS) {
        said = now;
        terminal.println(line);
      }
      if (!moved) {
        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(50));
      }
    }
    return true;
  }

  private static String rate(ReplayStats stats, long left) {
    double rate = stats.unitsPerSecond();
    return rate < 1
        ? ""
        : "  "
            + Terminal.number(Math.round(rate))
            + "/s  "
            + Terminal.seconds(Math.round(left / rate))
            + " left";
  }

  private static String waits(ReplayStats stats, int units) {
    String who =
        !stats.waitingForPrimary().isEmpty()
            ? "transactions of the primary: process " + stats.waitingForPrimary()
            : !stats.waitingForMirror().isEmpty()
                ? "transactions of the mirror: process " + stats.waitingForMirror()
                : stats.waitingForStatements() > 0
                    ? "the statements of unit " + stats.waitingForStatements() + why(stats)
                    : "another try" + why(stats);
    return "  " + Terminal.number(units) + " wait for " + who;
  }

  private static String why(ReplayStats stats) {
    return stats.lastError() == null ? "" : ": " + Units.firstLine(stats.lastError());
  }

  private int result(Path directory, Journal journal, long before, long parkedBefore) {
    long left = journal.pendingCount();
    List<Journal.Parked> parked = journal.parked();
    List<Suspect> suspects = journal.suspects();
    long replayed = before - left - Math.max(0, parked.size() - parkedBefore);
    if (json.wanted()) {
      ObjectNode o = Json.object("summary").put("journal", directory.toString());
      o.put("dryRun", false).put("replayed", replayed).put("left", left);
      ArrayNode p = o.putArray("parked");
      parked.forEach(x -> p.addObject().put("sequence", x.sequence()).put("error", x.error()));
      ArrayNode s = o.putArray("suspects");
      suspects.forEach(x -> s.add(JournalStatus.suspect(x)));
      terminal.println(Json.line(o));
    } else {
      terminal.println(
          "    "
              + Terminal.number(replayed)
              + " replayed, "
              + Terminal.number(parked.size())
              + " parked, "
              + Terminal.number(left)
              + " left");
      parked.stream()
          .limit(SHOWN)
          .forEach(p -> Units.print(terminal, "parked", Long.toString(p.sequence()), p.error()));
      if (parked.size() > SHOWN) {
        terminal.println(
            "    ... and "
                + Terminal.number(parked.size() - SHOWN)
                + " more; 'journal list --parked'");
      }
      suspects.forEach(s -> Units.print(terminal, "suspect", Units.name(s.table()), s.reason()));
    }
    if (left > 0) {
      return ExitCode.INTERRUPTED;
    }
    return parked.isEmpty() && suspects.isEmpty() ? ExitCode.DONE : ExitCode.FAILED;
  }
}
