package io.dualwrite.cli;

import io.dualwrite.backfill.Backfill;
import io.dualwrite.control.Side;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code dualwrite clean}. */
@Command(
    name = "clean",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header = "Removes the backfill's tasks from the target.",
    description = {
      "",
      "After the move, or to stage anew. Copied rows stay, and so does what the writers need: the"
          + " application may go on dual-writing. It refuses while indexes that 'stage"
          + " --defer-indexes' dropped are not built.",
    },
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExample:%n",
    footer = {"  dualwrite clean --target postgres://new/shop"})
final class CleanCommand implements Callable<Integer> {

  @Mixin private Databases databases;

  @Override
  public Integer call() {
    Backfill.clean(databases.dataSource(Side.TARGET));
    Terminal.standard().println("the backfill's tasks are gone from the target");
    return ExitCode.DONE;
  }
}
