package io.dualwrite.cli.demo;

import io.dualwrite.cli.Terminal;
import java.time.Duration;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code dualwrite demo}. */
@Command(
    name = "demo",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header = "Shows the whole method on two throw-away PostgreSQL servers, in about a minute.",
    description = {
      "",
      "Starts two embedded servers and an application with real data (airports, flights,"
          + " earthquakes) that writes, updates and deletes on several threads all the time. Then it"
          + " goes through a move step by step: dual-write, an outage of the target, backfill,"
          + " verification, shadow reads, cutover and back. At the end it compares both databases"
          + " row by row, with code that shares nothing with the product.",
      "",
      "Needs no database, no network and no privileges. Exit code 0 only if both databases are"
          + " identical and the application saw no error.",
    },
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExamples:%n",
    footer = {
      "  dualwrite demo",
      "  dualwrite demo --scale 4 --seed 7",
      "  dualwrite demo --keep        then look into both with psql",
    })
public final class DemoCommand implements Callable<Integer> {

  /** How long each step watches the application. */
  private static final Duration LOOK = Duration.ofSeconds(5);

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "1",
      description = "Seed of what the application does (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(
      names = "--scale",
      paramLabel = "X",
      defaultValue = "1",
      description = "Multiplies the application's load (default: ${DEFAULT-VALUE}).")
  private double scale;

  @Option(
      names = "--keep",
      description = "Leave both servers up at the end, print their URLs, wait for Ctrl-C.")
  private boolean keep;

  @Spec private CommandSpec spec;

  @Override
  public Integer call() throws Exception {
    if (!(scale > 0 && scale <= 1000)) {
      throw new ParameterException(
          spec.commandLine(), "--scale is " + scale + "; it must be above 0 and at most 1000");
    }
    try (Demo demo = new Demo(Terminal.standard(), seed, scale, LOOK)) {
      return demo.run(keep);
    }
  }
}
