package io.dualwrite.cli;

import io.dualwrite.simulation.Runs;
import io.dualwrite.simulation.Teeth;
import java.io.PrintWriter;
import java.nio.charset.Charset;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code dualwrite simulate}. */
@Command(
    name = "simulate",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header =
        "Breaks everything at random, on throw-away servers, and looks whether a row was lost.",
    description = {
      "",
      "Applications in processes of their own write random transactions through dualwrite, while"
          + " connections are cut, stalled, delayed and swallowed, processes are killed, servers"
          + " crash and journals are damaged; backfill, verify and repair go on at the same time."
          + " Then everything is mended, and both databases are compared row by row, with code that"
          + " shares nothing with the product: equal, nothing missing that was acknowledged to the"
          + " application, and no error or wait that the target caused.",
      "",
      "All decisions follow from the seed; when which of two processes comes first does not. A"
          + " failure prints what differs and what was done to whom. Needs no database and no"
          + " privileges. Exit code 0 if all is equal, 1 if not.",
    },
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExamples:%n",
    footer = {
      "  dualwrite simulate --seed 7 --minutes 2",
      "  dualwrite simulate --seed 1 --count 200 --minutes 2 --busy 20 --side-by-side 10",
      "  dualwrite simulate --teeth --seconds 20     does it notice when a rule is switched off?",
    })
final class SimulateCommand implements Callable<Integer> {

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "1",
      description = "What everything follows from (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(
      names = "--count",
      paramLabel = "N",
      defaultValue = "1",
      description = "How many seeds to run, from --seed on (default: ${DEFAULT-VALUE}).")
  private int count;

  @Option(
      names = "--side-by-side",
      paramLabel = "N",
      defaultValue = "1",
      description =
          "How many runs at a time, each on servers of its own: a run waits for much of its time"
              + " (default: ${DEFAULT-VALUE}).")
  private int sideBySide;

  @Option(
      names = "--busy",
      paramLabel = "PERCENT",
      defaultValue = "100",
      description =
          "How much of the time the writers of a run write, all at once and in bursts: the less,"
              + " the more runs a machine can do side by side (default: ${DEFAULT-VALUE}).")
  private int busy;

  @Option(
      names = "--minutes",
      paramLabel = "M",
      defaultValue = "2",
      description = "How long each run breaks things (default: ${DEFAULT-VALUE}).")
  private double minutes;

  @Option(
      names = "--seconds",
      paramLabel = "S",
      description = "The same in seconds; goes before --minutes.")
  private Double seconds;

  @Option(
      names = "--teeth",
      description =
          "Switch off one rule of the protocol after another, and count the seeds until that is"
              + " noticed.")
  private boolean teeth;

  @Option(
      names = "--max-seeds",
      paramLabel = "N",
      defaultValue = "10",
      description = "After how many seeds --teeth gives a rule up (default: ${DEFAULT-VALUE}).")
  private int maxSeeds;

  @Option(
      names = "--rule",
      paramLabel = "RULE",
      description = "With --teeth: only this rule; may be given several times.")
  private List<String> rules = List.of();

  @Spec private CommandSpec spec;

  @Override
  public Integer call() throws InterruptedException {
    if (seconds != null) {
      minutes = seconds / 60;
    }
    if (!(minutes > 0 && minutes <= 24 * 60)) {
      throw new ParameterException(
          spec.commandLine(),
          "a run is to last " + minutes + " minutes; it must be above 0 and at most 1440");
    }
    if (count < 1 || maxSeeds < 1 || sideBySide < 1) {
      throw new ParameterException(
          spec.commandLine(), "--count, --max-seeds and --side-by-side must be at least 1");
    }
    if (busy < 1 || busy > Runs.ALWAYS) {
      throw new ParameterException(
          spec.commandLine(), "--busy is " + busy + "; it must be between 1 and 100");
    }
    for (String r : rules) {
      if (!Teeth.RULES.contains(r)) {
        throw new ParameterException(
            spec.commandLine(),
            "--rule is " + r + "; it is one of " + String.join(", ", Teeth.RULES));
      }
    }
    Duration length = Duration.ofMillis(Math.round(minutes * 60_000));
    PrintWriter out = new PrintWriter(System.out, true, Charset.defaultCharset());
    if (teeth) {
      return new Teeth(out, length, maxSeeds).run(rules, sideBySide)
          ? ExitCode.DONE
          : ExitCode.FAILED;
    }
    int failed = Runs.all(out, seed, count, sideBySide, length, busy, Duration.ofDays(365));
    if (count > 1) {
      out.println(
          failed == 0 ? count + " seeds, all equal" : failed + " of " + count + " seeds failed");
    }
    return failed == 0 ? ExitCode.DONE : ExitCode.FAILED;
  }
}
