package io.dualwrite.cli;

import io.dualwrite.journal.Intent;
import io.dualwrite.journal.JournalEntry;
import io.dualwrite.journal.JournalReader;
import io.dualwrite.journal.RowChange;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code dualwrite journal show}. */
@Command(
    name = "show",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header = "Shows one unit of work with its rows.",
    description = {"", "The values of the rows are printed: mind who reads along."},
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExample:%n",
    footer = {"  dualwrite journal show /var/lib/shop/dualwrite 4711"})
final class JournalShow implements Callable<Integer> {

  private static final int MAX_CHARS = 60;

  @Parameters(index = "0", paramLabel = "DIR", description = "The journal's directory.")
  private Path directory;

  @Parameters(
      index = "1",
      paramLabel = "SEQUENCE",
      description = "The unit's number, as 'journal list' shows it.")
  private long sequence;

  @Option(names = "--full", description = "Long values in full.")
  private boolean full;

  private Intent found;
  private String state = "outcome unknown";

  @Override
  public Integer call() {
    Terminal terminal = Terminal.standard();
    try (JournalReader reader = JournalCommand.look(directory, terminal)) {
      reader.forEach(this::take);
    }
    if (found == null) {
      throw new UserError(
          "the journal has no unit of work "
              + sequence
              + " any more, or never had; 'dualwrite journal list --all "
              + directory
              + "' lists those it has");
    }
    List<List<String>> rows = Terminal.rows("sequence", Long.toString(sequence));
    rows.add(List.of("when", JournalStatus.time(found.wallMicros())));
    rows.add(List.of("state", state));
    rows.add(List.of("primary", (found.epoch() & 1) == 0 ? "source" : "target"));
    rows.add(List.of("transaction", found.xid() + " of process " + found.pid()));
    terminal.table(rows);
    for (RowChange c : found.changes()) {
      terminal.println();
      terminal.println("  " + terminal.bold(verb(c.kind()) + " " + c.table()));
      List<List<String>> values = new ArrayList<>();
      values.add(c.columns());
      for (String[] row : c.rows()) {
        values.add(Arrays.stream(row).map(this::shown).toList());
      }
      terminal.table(values);
    }
    return ExitCode.DONE;
  }

  private void take(JournalEntry e) {
    if (e instanceof JournalEntry.Appended a && a.intent().sequence() == sequence) {
      found = a.intent();
    } else if (e instanceof JournalEntry.Committed c && c.sequence() == sequence) {
      state = "committed on the primary, pending";
    } else if (e instanceof JournalEntry.Resolved r && r.sequence() == sequence) {
      state = "resolved";
    } else if (e instanceof JournalEntry.Parked p && p.sequence() == sequence) {
      state = "set aside: " + p.error();
    } else if (e instanceof JournalEntry.Unparked p && p.sequence() == sequence) {
      state = "pending again";
    }
  }

  static String verb(RowChange.Kind kind) {
    return switch (kind) {
      case UPSERT -> "write";
      case INSERT -> "insert";
      case DELETE, REMOVE -> "delete";
      case REKEY -> "change key";
      case TRUNCATE -> "truncate";
      case STATEMENT -> "run";
    };
  }

  private String shown(String value) {
    if (value == null) {
      return "NULL";
    }
    String line = value.replaceAll("\\R", " ");
    return full || line.length() <= MAX_CHARS ? line : line.substring(0, MAX_CHARS - 3) + "...";
  }
}
