package io.dualwrite.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.dualwrite.catalog.TableName;
import io.dualwrite.journal.Journal;
import io.dualwrite.journal.JournalEntry;
import io.dualwrite.journal.JournalReader;
import io.dualwrite.journal.JournalUnit;
import io.dualwrite.journal.RowChange;
import io.dualwrite.journal.Suspect;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code dualwrite journal status}. */
@Command(
    name = "status",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header = "Says what journals hold: pending, parked, suspects, damage.",
    description = {
      "",
      "Changes nothing and needs no database. Exit code 0 if nothing is left to do for the mirror, 1"
          + " otherwise.",
    },
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExample:%n",
    footer = {"  dualwrite journal status /var/lib/shop/journals"})
final class JournalStatus implements Callable<Integer> {

  private static final int SHOWN = 10;

  @Parameters(
      paramLabel = "DIR",
      arity = "1..*",
      description = "Directories of journals, or directories that hold journals.")
  private List<Path> places;

  @Mixin private Json json;

  @Spec private CommandSpec spec;

  /** What is unresolved, added up. */
  private static final class Sum {
    long pending;
    long oldest = Long.MAX_VALUE;
    final Map<TableName, Long> tables = new TreeMap<>();

    void add(JournalUnit u) {
      if (u.state() == JournalUnit.State.PENDING) {
        pending++;
        oldest = Math.min(oldest, u.intent().wallMicros());
      }
      Set<TableName> names = new HashSet<>();
      for (RowChange c : u.intent().changes()) {
        names.add(c.table());
      }
      names.forEach(t -> tables.merge(t, 1L, Long::sum));
    }
  }

  @Override
  public Integer call() throws SQLException {
    Terminal terminal = Terminal.standard();
    List<Path> journals = Selection.journalsAt(places);
    return JournalCommand.each(
        spec,
        journals,
        directory -> {
          if (directory != journals.get(0) && !json.wanted()) {
            terminal.println();
          }
          try (JournalReader reader = JournalCommand.look(directory, terminal, json, false)) {
            Sum sum = new Sum();
            reader.units(
                false,
                u -> {
                  sum.add(u);
                  return true;
                });
            boolean clean =
                sum.pending == 0
                    && reader.parked().isEmpty()
                    && reader.suspects().isEmpty()
                    && reader.damage().isEmpty();
            if (json.wanted()) {
              terminal.println(Json.line(json(directory, reader, sum, clean)));
            } else {
              print(terminal, directory, reader, sum, clean);
            }
            return clean ? ExitCode.DONE : ExitCode.FAILED;
          }
        });
  }

  private static void print(
      Terminal terminal, Path directory, JournalReader reader, Sum sum, boolean clean) {
    List<Journal.Parked> parked = reader.parked();
    List<JournalEntry.Damaged> damage = reader.damage();
    List<List<String>> rows = Terminal.rows("journal", reader.path().toString());
    rows.add(List.of("writer", reader.writer() == null ? "unknown" : reader.writer().toString()));
    rows.add(List.of("on disk", Terminal.bytes(reader.size())));
    rows.add(
        List.of(
            "pending",
            Terminal.count(sum.pending, "unit")
                + " of work"
                + (sum.pending == 0 ? "" : ", the oldest of " + age(sum.oldest))));
    rows.add(List.of("parked", Terminal.count(parked.size(), "unit") + " of work"));
    if (!sum.tables.isEmpty()) {
      rows.add(List.of("tables", tables(sum.tables)));
    }
    rows.add(List.of("suspects", Terminal.count(reader.suspects().size(), "table")));
    rows.add(List.of("damage", Terminal.count(damage.size(), "place")));
    terminal.table(rows);
    parked.stream()
        .limit(SHOWN)
        .forEach(p -> Units.print(terminal, "parked", Long.toString(p.sequence()), p.error()));
    if (parked.size() > SHOWN) {
      terminal.println("    ... and " + Terminal.number(parked.size() - SHOWN) + " more parked");
    }
    for (Suspect s : reader.suspects()) {
      String of = Units.name(s.table()) + " since " + Units.time(s.sinceMicros());
      Units.print(terminal, "suspect", of, s.reason());
    }
    for (JournalEntry.Damaged d : damage) {
      Units.print(terminal, "damaged", d.file() + " at byte " + d.position(), d.what());
    }
    next(directory, reader, sum, clean).forEach(l -> terminal.println("    " + l));
    if (clean) {
      terminal.println("    " + terminal.good("nothing is left to do: the mirror has it all"));
    }
  }

  /** What to do, from the first to the last. */
  private static List<String> next(Path directory, JournalReader reader, Sum sum, boolean clean) {
    List<String> next = new ArrayList<>();
    if (clean) {
      return next;
    }
    if (reader.usedBy() != null) {
      next.add("next: the application that uses it replays by itself; look again in a moment");
      if (!reader.parked().isEmpty()) {
        next.add("      mend what the errors name, then retryParked() there tries again");
      }
      if (!reader.suspects().isEmpty()) {
        next.add("      reconcile() there makes suspect tables equal");
      }
      if (reader.suspects().stream().anyMatch(Suspect::statements)) {
        next.add("      do on the target what the suspects say, then statementsDone() closes them");
      }
      return next;
    }
    if (sum.pending > 0 || !reader.damage().isEmpty()) {
      next.add("next: start the application again, or if it will not come back:");
      next.add("      dualwrite journal replay " + directory);
    }
    if (!reader.parked().isEmpty()) {
      next.add("next: mend what the errors name, then");
      next.add("      dualwrite journal replay --retry-parked " + directory);
    }
    if (!reader.suspects().isEmpty() || !reader.damage().isEmpty()) {
      next.add("then: dualwrite reconcile " + directory);
    }
    return next;
  }

  private static String age(long micros) {
    long seconds = Duration.between(Units.instant(micros), Instant.now()).toSeconds();
    return Units.time(micros) + (seconds < 0 ? "" : " (" + Terminal.seconds(seconds) + " ago)");
  }

  private static String name(TableName t) {
    return t.equals(RowChange.NO_TABLE) ? "statements" : Units.name(t);
  }

  /** The tables with the most units first. */
  private static String tables(Map<TableName, Long> tables) {
    String most =
        tables.entrySet().stream()
            .sorted((a, b) -> Long.compare(b.getValue(), a.getValue()))
            .limit(3)
            .map(e -> name(e.getKey()) + " (" + Terminal.number(e.getValue()) + ")")
            .collect(Collectors.joining(", "));
    return tables.size() <= 3 ? most : most + " and " + (tables.size() - 3) + " more";
  }

  private static ObjectNode json(Path directory, JournalReader reader, Sum sum, boolean clean) {
    ObjectNode o = Json.object("journal").put("journal", directory.toString());
    o.put("writer", reader.writer() == null ? null : reader.writer().toString());
    o.put("inUseBy", reader.usedBy());
    o.put("bytes", reader.size());
    o.put("pending", sum.pending);
    o.put("oldestPending", sum.pending == 0 ? null : Units.instant(sum.oldest).toString());
    o.put("parked", reader.parked().size());
    ObjectNode tables = o.putObject("tables");
    sum.tables.forEach((t, n) -> tables.put(t.toString(), n));
    ArrayNode suspects = o.putArray("suspects");
    reader.suspects().forEach(s -> suspects.add(suspect(s)));
    ArrayNode damage = o.putArray("damage");
    reader.damage().forEach(d -> damage.add(JournalVerify.json(directory, d)));
    o.put("clean", clean);
    return o;
  }

  static ObjectNode suspect(Suspect s) {
    ObjectNode o = Json.object("suspect").put("table", s.table().toString());
    o.put("since", Units.instant(s.sinceMicros()).toString());
    o.put("reason", s.reason());
    o.put("transaction", s.xid() <= Suspect.NOBODY ? null : Long.toString(s.xid()));
    return o;
  }
}
