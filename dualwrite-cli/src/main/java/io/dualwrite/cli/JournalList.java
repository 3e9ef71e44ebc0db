package io.dualwrite.cli;

import io.dualwrite.journal.JournalReader;
import io.dualwrite.journal.JournalUnit;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code dualwrite journal list}. */
@Command(
    name = "list",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header = "Lists units of work: what each wrote, and whether the mirror has it.",
    description = {
      "",
      "Without --all only those that the mirror may lack. Resolved ones are kept for a while, until"
          + " their file is given back. Values are not shown; 'journal show' shows them. Changes"
          + " nothing.",
    },
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExamples:%n",
    footer = {
      "  dualwrite journal list /var/lib/shop/journals --limit 20",
      "  dualwrite journal list /var/lib/shop/journals --parked --error \"violates\"",
      "  dualwrite journal list /var/lib/shop/journals --table orders --key id=4711",
    })
final class JournalList implements Callable<Integer> {

  private static final int WIDTH = 100;

  @Mixin private Selection selection;

  @Option(names = "--all", order = 20, description = "The resolved ones too.")
  private boolean all;

  @Option(
      names = "--limit",
      paramLabel = "N",
      order = 21,
      defaultValue = "50",
      description = "At most so many of each journal; 0: all (default: ${DEFAULT-VALUE}).")
  private int limit;

  @Mixin private Json json;

  @Spec private CommandSpec spec;

  @Override
  public Integer call() throws SQLException {
    Terminal terminal = Terminal.standard();
    List<Path> journals = selection.journals(null);
    return JournalCommand.each(
        spec,
        journals,
        directory -> {
          try (JournalReader reader =
              JournalCommand.look(directory, terminal, json, journals.size() > 1)) {
            list(terminal, directory, reader);
            return ExitCode.DONE;
          }
        });
  }

  private void list(Terminal terminal, Path directory, JournalReader reader) {
    long[] n = {0, 0}; // shown, left
    boolean counted = !all && !selection.any(); // then nobody has to read the rest to count it
    reader.units(
        all,
        u -> {
          if (!selection.test(u)) {
            return true;
          }
          if (limit > 0 && n[0] == limit) {
            n[1]++;
            return !counted && !json.wanted();
          }
          if (json.wanted()) {
            terminal.println(Json.line(Units.json(directory, u, null)));
          } else {
            if (n[0] == 0) {
              terminal.println(terminal.dim(line("sequence", "when", "xid", "state", "wrote")));
            }
            row(terminal, u);
          }
          n[0]++;
          return true;
        });
    if (json.wanted()) {
      return;
    }
    long left = counted ? reader.pendingCount() + reader.parked().size() - n[0] : n[1];
    if (n[0] == 0) {
      terminal.println(
          "    "
              + (all ? "no unit of work" : "no unit of work that the mirror may lack")
              + (selection.any() ? " is among those asked for" : ""));
    } else if (left > 0) {
      terminal.println("    ... and " + Terminal.number(left) + " more; --limit 0 shows all");
    }
  }

  private static String line(String sequence, String when, String xid, String state, String wrote) {
    return String.format(
        Locale.ROOT, "    %9s  %-20s  %9s  %-9s  %s", sequence, when, xid, state, wrote);
  }

  /** One unit. */
  static void row(Terminal terminal, JournalUnit u) {
    String line =
        line(
            Long.toString(u.intent().sequence()),
            Units.time(u.intent().wallMicros()),
            Long.toString(u.intent().xid()),
            Units.state(u),
            Units.wrote(u.intent()));
    terminal.println(cut(terminal, line));
    if (u.error() != null) {
      terminal.println(cut(terminal, " ".repeat(15) + Units.firstLine(u.error())));
    }
  }

  /** Lines that wrap are hard to read; what is piped on is left whole. */
  private static String cut(Terminal terminal, String line) {
    return terminal.interactive() && line.length() > WIDTH
        ? line.substring(0, WIDTH - 3) + "..."
        : line;
  }
}
