package io.dualwrite.cli;

import io.dualwrite.journal.JournalException;
import io.dualwrite.journal.JournalReader;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.List;
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
    header = "Looks into journals, and replays those of applications that are stopped.",
    description = {
      "",
      "A journal is the directory that dualwrite.journal.dir names: one per process of the"
          + " application. It holds the units of work that the mirror may lack. Every command takes"
          + " several journals, or a directory that holds them.",
      "",
      "status, list, show, export and verify change nothing and work on a journal in use; replay and"
          + " skip need one whose process is stopped.",
    },
    optionListHeading = "%nOptions:%n",
    commandListHeading = "%nCommands:%n",
    footerHeading = "%nExamples:%n",
    footer = {
      "  dualwrite journal status /var/lib/shop/journals",
      "  dualwrite journal list /var/lib/shop/journals/* --table orders --since 2h",
      "  dualwrite journal replay /var/lib/shop/journals/web-3 --config app.properties",
    },
    subcommands = {
      JournalStatus.class,
      JournalList.class,
      JournalShow.class,
      JournalReplay.class,
      JournalSkip.class,
      JournalExport.class,
      JournalVerify.class,
      ReconcileCommand.class,
    })
final class JournalCommand implements Callable<Integer> {

  @Spec private CommandSpec spec;

  @Override
  public Integer call() {
    throw new ParameterException(
        spec.commandLine(), "which command? 'dualwrite journal --help' lists them");
  }

  /** What is done with one journal. */
  interface Work {
    /** Returns an exit code. */
    int on(Path journal) throws SQLException;
  }

  /** Does it with each; one that cannot be read or is in use does not keep the others from it. */
  static int each(CommandSpec spec, List<Path> journals, Work work) throws SQLException {
    int code = ExitCode.DONE;
    for (Path journal : journals) {
      try {
        code = Math.max(code, work.on(journal));
      } catch (JournalException e) {
        if (journals.size() == 1) {
          throw e;
        }
        spec.commandLine()
            .getErr()
            .println(spec.commandLine().getColorScheme().errorText("dualwrite: " + e.getMessage()));
        code = Math.max(code, ExitCode.FAILED);
      }
      if (code == ExitCode.INTERRUPTED) {
        return code;
      }
    }
    return code;
  }

  /**
   * Looks at a journal without touching it; for people says which it is where there are several,
   * and whether a process uses it.
   *
   * @throws JournalException if it is none, or cannot be read
   */
  static JournalReader look(Path directory, Terminal terminal, Json json, boolean several) {
    JournalReader reader = JournalReader.readOnly(directory);
    if (json.wanted()) {
      return reader;
    }
    if (several) {
      terminal.println(terminal.bold(directory.toString()));
    }
    if (reader.usedBy() != null) {
      terminal.println(terminal.bad("in use") + " by " + reader.usedBy());
      terminal.println(
          terminal.dim("what follows is already past; units at hand are shown as pending"));
    }
    return reader;
  }
}
