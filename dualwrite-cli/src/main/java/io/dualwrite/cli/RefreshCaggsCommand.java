package io.dualwrite.cli;

import io.dualwrite.backfill.RefreshResult;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code dualwrite refresh-caggs}. */
@Command(
    name = "refresh-caggs",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header = "Refreshes the target's continuous aggregates (TimescaleDB).",
    description = {
      "",
      "Run it after copy, which brought what was materialized on the source before T. Refreshes from"
          + " there up to where the source's aggregates are materialized, those that others read"
          + " first. Never where the rows to aggregate are no longer there: retention may have"
          + " dropped them, and a refresh would remove the buckets. May be run again.",
    },
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExample:%n",
    footer = {"  dualwrite refresh-caggs --filter metrics --cascade-up"})
final class RefreshCaggsCommand implements Callable<Integer> {

  @Mixin private Databases databases;

  @Option(
      names = {"-f", "--filter"},
      paramLabel = "REGEX",
      description = "Only aggregates whose schema.view it is found in, in any case.")
  private String filter;

  @Option(
      names = {"-U", "--cascade-up"},
      description = "And the aggregates that read what --filter finds.")
  private boolean cascadeUp;

  @Option(
      names = {"-D", "--cascade-down"},
      description = "And the aggregates that are read by what --filter finds.")
  private boolean cascadeDown;

  @Override
  public Integer call() {
    Terminal terminal = Terminal.standard();
    RefreshResult result = databases.backfill().refreshAggregates(filter, cascadeUp, cascadeDown);
    if (result.aggregates().isEmpty()) {
      terminal.println("no continuous aggregate to refresh");
      return ExitCode.DONE;
    }
    List<List<String>> rows = Terminal.rows("continuous aggregate", "from", "to", "");
    for (RefreshResult.Aggregate a : result.aggregates()) {
      rows.add(
          List.of(
              a.view().toString(),
              a.from() == null ? "" : a.from(),
              a.to() == null ? "" : a.to(),
              a.note()));
    }
    terminal.table(rows);
    terminal.println(terminal.dim("next: dualwrite verify"));
    return ExitCode.DONE;
  }
}
