package io.dualwrite.cli;

import io.dualwrite.journal.Intent;
import io.dualwrite.journal.JournalEntry;
import io.dualwrite.journal.JournalReader;
import io.dualwrite.journal.RowChange;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code dualwrite journal list}. */
@Command(
    name = "list",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header = "Lists a journal's units of work: what each wrote, and whether the mirror has it.",
    description = {
      "",
      "Without --all only those that the mirror may lack. Resolved ones are kept for a while, until"
          + " their file is given back. Values are not shown; 'journal show' shows them.",
    },
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExample:%n",
    footer = {"  dualwrite journal list /var/lib/shop/dualwrite --limit 20"})
final class JournalList implements Callable<Integer> {

  @Parameters(paramLabel = "DIR", description = "The journal's directory.")
  private Path directory;

  @Option(names = "--all", description = "The resolved ones too.")
  private boolean all;

  @Option(
      names = "--limit",
      paramLabel = "N",
      defaultValue = "50",
      description = "At most so many (default: ${DEFAULT-VALUE}).")
  private int limit;

  /**
   * What is known of a unit; the intent without its rows, so that a large journal can be listed.
   */
  private record Unit(long micros, long xid, long epoch, String wrote, String state) {
    Unit with(String newState) {
      return new Unit(micros, xid, epoch, wrote, newState);
    }
  }

  @Override
  public Integer call() {
    Terminal terminal = Terminal.standard();
    Map<Long, Unit> units = new TreeMap<>();
    try (JournalReader reader = JournalCommand.look(directory, terminal)) {
      reader.forEach(e -> take(units, e));
    }
    List<List<String>> rows = Terminal.rows("sequence", "when", "xid", "state", "wrote");
    int left = 0;
    for (Map.Entry<Long, Unit> e : units.entrySet()) {
      Unit u = e.getValue();
      if (!all && u.state().equals("resolved")) {
        continue;
      }
      if (rows.size() > limit) {
        left++;
        continue;
      }
      rows.add(
          List.of(
              e.getKey().toString(),
              JournalStatus.time(u.micros()),
              Long.toString(u.xid()),
              u.state(),
              u.wrote()));
    }
    if (rows.size() == 1) {
      terminal.println(all ? "no unit of work" : "no unit of work that the mirror may lack");
      return ExitCode.DONE;
    }
    terminal.table(rows);
    if (left > 0) {
      terminal.println("  ... and " + Terminal.number(left) + " more; --limit shows more");
    }
    return ExitCode.DONE;
  }

  private static void take(Map<Long, Unit> units, JournalEntry e) {
    if (e instanceof JournalEntry.Appended a) {
      Intent i = a.intent();
      units.putIfAbsent(
          i.sequence(), new Unit(i.wallMicros(), i.xid(), i.epoch(), wrote(i), "outcome unknown"));
    } else if (e instanceof JournalEntry.Committed c) {
      units.computeIfPresent(c.sequence(), (k, u) -> u.with("committed"));
    } else if (e instanceof JournalEntry.Resolved r) {
      units.computeIfPresent(r.sequence(), (k, u) -> u.with("resolved"));
    } else if (e instanceof JournalEntry.Parked p) {
      units.computeIfPresent(p.sequence(), (k, u) -> u.with("set aside"));
    } else if (e instanceof JournalEntry.Unparked p) {
      units.computeIfPresent(p.sequence(), (k, u) -> u.with("committed"));
    }
  }

  private static String wrote(Intent i) {
    Map<String, Integer> counts = new TreeMap<>();
    for (RowChange c : i.changes()) {
      counts.merge(JournalShow.verb(c.kind()) + " " + c.table(), c.rows().length, Integer::sum);
    }
    return counts.entrySet().stream()
        .map(e -> e.getKey() + (e.getValue() == 1 ? "" : " x" + e.getValue()))
        .collect(Collectors.joining(", "));
  }
}
