package io.dualwrite.cli;

import io.dualwrite.converge.Convergence;
import io.dualwrite.converge.Reconcile;
import io.dualwrite.journal.JournalReader;
import io.dualwrite.journal.Suspect;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code dualwrite journal reconcile}. */
@Command(
    name = "reconcile",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header = "Makes a stopped application's suspect tables equal and closes the suspects.",
    description = {
      "",
      "A suspect is a table that may differ in rows whose keys are not known: after a machine's crash"
          + " with dualwrite.journal.sync=none, for instance. Its rows are all compared by key, or"
          + " copied anew where there is no key, while other processes go on writing. A running"
          + " application does the same with DualWriteDataSource.reconcile(). Replay first what is"
          + " pending: 'dualwrite journal replay'.",
    },
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExample:%n",
    footer = {"  dualwrite journal reconcile /var/lib/shop/journal --config app.properties"})
final class JournalReconcile implements Callable<Integer> {

  @Parameters(paramLabel = "DIR", description = "The journal's directory.")
  private Path directory;

  @Mixin private Databases databases;

  @Override
  public Integer call() throws SQLException {
    Terminal terminal = Terminal.standard();
    try (JournalReader reader = JournalReader.open(directory)) {
      if (reader.suspects().isEmpty()) {
        terminal.println("no table is suspect");
        return ExitCode.DONE;
      }
      Convergence engine = databases.convergence();
      for (Suspect s : reader.suspects()) {
        terminal.println("suspect " + s.table() + ": " + s.reason());
      }
      int closed = new Reconcile(engine, reader.journal()).run();
      List<Suspect> left = reader.suspects();
      terminal.println(Terminal.number(closed) + " closed, " + left.size() + " left");
      for (Suspect s : left) {
        terminal.println(
            terminal.bad("left: ")
                + s.table()
                + ": the transaction that opened it has not ended; run this again when it has");
      }
      return left.isEmpty() ? ExitCode.DONE : ExitCode.FAILED;
    }
  }
}
