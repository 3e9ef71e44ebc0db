package io.dualwrite.cli;

import io.dualwrite.journal.JournalReader;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code dualwrite journal}. */
@Command(
    name = "journal",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    synopsisSubcommandLabel = "COMMAND",
    header = "Looks into the journal of a stopped application, and replays it.",
    description = {
      "",
      "A journal is the directory that dualwrite.journal.dir names: one per process of the"
          + " application. It holds the units of work that the mirror may lack.",
    },
    optionListHeading = "%nOptions:%n",
    commandListHeading = "%nCommands:%n",
    footerHeading = "%nExamples:%n",
    footer = {
      "  dualwrite journal status /var/lib/shop/journal",
      "  dualwrite journal replay /var/lib/shop/journal --config app.properties",
    },
    subcommands = {
      JournalStatus.class,
      JournalList.class,
      JournalShow.class,
      JournalReplay.class,
      JournalReconcile.class,
    })
final class JournalCommand implements Callable<Integer> {

  @Spec private CommandSpec spec;

  @Override
  public Integer call() {
    throw new ParameterException(
        spec.commandLine(), "which command? 'dualwrite journal --help' lists them");
  }

  /**
   * Looks at a journal without touching it; says so if a process uses it.
   *
   * @throws io.dualwrite.journal.JournalException if it is none, or cannot be read
   */
  static JournalReader look(Path directory, Terminal terminal) {
    JournalReader reader = JournalReader.readOnly(directory);
    if (reader.usedBy() != null) {
      terminal.println(
          terminal.bad("in use")
              + " by "
              + reader.usedBy()
              + ": what follows is already past; units at hand are shown as pending");
    }
    return reader;
  }
}
