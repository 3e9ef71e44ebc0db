package io.dualwrite.cli;

import io.dualwrite.journal.JournalEntry;
import io.dualwrite.journal.JournalReader;
import io.dualwrite.journal.Suspect;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code dualwrite journal status}. */
@Command(
    name = "status",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header = "Says what a journal holds: pending, set aside, suspects, damage.",
    description = {
      "",
      "Changes nothing and needs no database. Exit code 0 if nothing is left to do for the mirror, 1"
          + " otherwise.",
    },
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExample:%n",
    footer = {"  dualwrite journal status /var/lib/shop/dualwrite"})
final class JournalStatus implements Callable<Integer> {

  @Parameters(paramLabel = "DIR", description = "The journal's directory.")
  private Path directory;

  @Override
  public Integer call() {
    Terminal terminal = Terminal.standard();
    try (JournalReader reader = JournalCommand.look(directory, terminal)) {
      List<JournalEntry.Damaged> damage = new ArrayList<>();
      reader.forEach(
          e -> {
            if (e instanceof JournalEntry.Damaged d) {
              damage.add(d);
            }
          });
      List<List<String>> rows = Terminal.rows("journal", reader.path().toString());
      rows.add(List.of("writer", reader.writer().toString()));
      rows.add(List.of("on disk", Terminal.bytes(reader.size())));
      rows.add(List.of("pending", Terminal.number(reader.pendingCount()) + " units of work"));
      rows.add(List.of("set aside", Terminal.number(reader.parked().size()) + " units of work"));
      rows.add(List.of("suspects", Terminal.number(reader.suspects().size()) + " tables"));
      rows.add(List.of("damaged", Terminal.number(damage.size()) + " records"));
      terminal.table(rows);
      reader
          .parked()
          .forEach(p -> terminal.println("  set aside " + p.sequence() + ": " + p.error()));
      for (Suspect s : reader.suspects()) {
        terminal.println(
            "  suspect " + s.table() + " since " + time(s.sinceMicros()) + ": " + s.reason());
      }
      for (JournalEntry.Damaged d : damage) {
        terminal.println("  damaged " + d.file() + " at byte " + d.position() + ": " + d.what());
      }
      boolean clean =
          reader.pendingCount() == 0
              && reader.parked().isEmpty()
              && reader.suspects().isEmpty()
              && damage.isEmpty();
      terminal.println(
          clean
              ? terminal.good("nothing is left to do: the mirror has it all")
              : "next: start the application again, or if it will not come back: dualwrite journal replay "
                  + directory);
      return clean ? ExitCode.DONE : ExitCode.FAILED;
    }
  }

  static String time(long micros) {
    return Instant.EPOCH.plus(micros, ChronoUnit.MICROS).truncatedTo(ChronoUnit.SECONDS).toString();
  }
}
