package io.dualwrite.cli;

import io.dualwrite.converge.Convergence;
import io.dualwrite.converge.ReplayResult;
import io.dualwrite.converge.Replayer;
import io.dualwrite.journal.Journal;
import io.dualwrite.journal.JournalReader;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code dualwrite journal replay}. */
@Command(
    name = "replay",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header = "Brings to the mirror what a stopped application's journal still holds.",
    description = {
      "",
      "For a process that will not start again: its machine is replaced, or the application has been"
          + " scaled down. A running application does the same by itself, and holds its journal"
          + " locked. Rows with a key are made what the primary's rows are now, so nothing newer is"
          + " overwritten; rows without a key are inserted exactly once.",
    },
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExample:%n",
    footer = {"  dualwrite journal replay /var/lib/shop/journal --config app.properties"})
final class JournalReplay implements Callable<Integer> {

  private static final int ROUND = 500;

  @Parameters(paramLabel = "DIR", description = "The journal's directory.")
  private Path directory;

  @Mixin private Databases databases;

  @Option(
      names = "--retry-parked",
      description = "Take up the units again that failed for good and were set aside.")
  private boolean retryParked;

  @Override
  public Integer call() throws SQLException {
    Terminal terminal = Terminal.standard();
    try (JournalReader reader = JournalReader.open(directory);
        Interruption interruption = Interruption.stops(Thread.currentThread()::interrupt)) {
      Journal journal = reader.journal();
      if (retryParked) {
        journal.parked().forEach(p -> journal.unpark(p.sequence()));
      }
      long before = journal.pendingCount();
      int parkedBefore = journal.parked().size();
      terminal.println(Terminal.number(before) + " units of work are pending");
      Convergence engine = databases.convergence();
      try (Replayer replayer = new Replayer(journal, engine)) {
        boolean interrupted = !replay(terminal, journal, replayer, before);
        if (!interrupted) {
          replayer.heartbeat(true);
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      terminal.status("");
      return interruption.exitCode(result(terminal, journal, before, parkedBefore));
    }
  }

  /** Returns false if it was interrupted before nothing was left to do. */
  private static boolean replay(Terminal terminal, Journal journal, Replayer replayer, long before)
      throws SQLException, InterruptedException {
    while (journal.pendingCount() > 0) {
      if (Thread.currentThread().isInterrupted()) {
        return false;
      }
      ReplayResult round = replayer.replayOnce(ROUND);
      terminal.status(
          "    replayed "
              + Terminal.number(before - journal.pendingCount())
              + " of "
              + Terminal.number(before)
              + (round.waiting() == 0
                  ? ""
                  : "  (" + Terminal.number(round.waiting()) + " wait to be tried again)"));
      if (round.resolved() == 0 && round.parked() == 0) {
        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(50));
      }
    }
    return true;
  }

  private static int result(Terminal terminal, Journal journal, long before, int parkedBefore) {
    long left = journal.pendingCount();
    terminal.println(
        Terminal.number(before - left - (journal.parked().size() - parkedBefore))
            + " replayed, "
            + Terminal.number(journal.parked().size())
            + " set aside, "
            + Terminal.number(left)
            + " left");
    journal
        .parked()
        .forEach(
            p -> terminal.println(terminal.bad("set aside: ") + p.sequence() + ": " + p.error()));
    journal
        .suspects()
        .forEach(s -> terminal.println(terminal.bad("suspect: ") + s.table() + ": " + s.reason()));
    if (left > 0) {
      return ExitCode.INTERRUPTED;
    }
    return journal.parked().isEmpty() && journal.suspects().isEmpty()
        ? ExitCode.DONE
        : ExitCode.FAILED;
  }
}
