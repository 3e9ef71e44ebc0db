package io.dualwrite.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.dualwrite.backfill.Backfill;
import io.dualwrite.backfill.CopyOptions;
import io.dualwrite.backfill.CopyResult;
import io.dualwrite.backfill.FailedTask;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code dualwrite copy}. */
@Command(
    name = "copy",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header = "Copies what was staged, while the application goes on writing.",
    description = {
      "",
      "Takes the staged chunks one by one; each is copied and marked done in one transaction of the"
          + " target, so whatever interrupts it costs no more than the chunks at hand, and the same"
          + " command goes on. Any number of these may run at once, on any machine. A chunk that"
          + " fails again and again is parked and named at the end; the rest goes on.",
    },
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExamples:%n",
    footer = {
      "  dualwrite copy --parallelism 4",
      "  dualwrite copy --max-rate 20MB      at most 20 MB a second",
      "  dualwrite copy --retry-failed       the parked chunks once more",
    })
final class CopyCommand implements Callable<Integer> {

  @Mixin private Databases databases;

  @Option(
      names = {"-p", "--parallelism"},
      paramLabel = "N",
      description = "Chunks at a time (default: 8).")
  private Integer parallelism;

  @Option(
      names = "--max-rate",
      paramLabel = "BYTES",
      converter = BytesConverter.class,
      description = "Bytes a second over all of this process, such as 20MB (default: no limit).")
  private Long maxRate;

  @Option(names = "--retry-failed", description = "Try the parked chunks again, too.")
  private boolean retryFailed;

  @Option(
      names = "--max-active",
      paramLabel = "N",
      description = {
        "Begin no chunk while more sessions of others are active on the source (default: no limit)."
      })
  private int maxActive;

  @Option(
      names = "--max-lag",
      paramLabel = "BYTES",
      converter = BytesConverter.class,
      description =
          "Begin no chunk while a replica of the source is further behind, such as 64MB"
              + " (default: no limit).")
  private Long maxLag;

  @Option(
      names = "--yield-to-checkpoints",
      description =
          "Begin no chunk while a checkpoint is under way on the source that was asked for, by hand"
              + " or because so much was written.")
  private boolean yieldToCheckpoints;

  @Mixin private Json json;

  @Override
  public Integer call() {
    Terminal terminal = Terminal.standard();
    CopyOptions options = CopyOptions.defaults().withRetryFailed(retryFailed);
    if (parallelism != null) {
      options = options.withParallelism(parallelism);
    }
    if (maxRate != null) {
      options = options.withMaxRate(maxRate);
    }
    options = options.withSourceLoad(maxActive, maxLag == null ? 0 : maxLag, yieldToCheckpoints);
    ProgressBar bar = new ProgressBar(terminal, "copy", json.wanted());
    CopyResult result;
    Backfill backfill = databases.backfill();
    try (Interruption interruption = Interruption.stops(Thread.currentThread()::interrupt)) {
      result = backfill.copy(options, bar::update);
      bar.close();
      if (json.wanted()) {
        terminal.println(Json.line(json(result)));
      } else {
        say(terminal, result);
      }
      if (result.left() > 0) {
        if (!json.wanted()) {
          terminal.println("interrupted; the same command goes on");
        }
        return interruption.exitCode(ExitCode.INTERRUPTED);
      }
      return interruption.exitCode(result.complete() ? ExitCode.DONE : ExitCode.FAILED);
    }
  }

  private static void say(Terminal terminal, CopyResult result) {
    double seconds = Math.max(0.001, result.elapsed().toNanos() / 1e9);
    terminal.println(
        String.format(
            "%s chunks, %s rows, %s in %s (%s/s); %s left",
            Terminal.number(result.tasks()),
            Terminal.number(result.rows()),
            Terminal.bytes(result.bytes()),
            Terminal.time(result.elapsed()),
            Terminal.bytes(Math.round(result.bytes() / seconds)),
            Terminal.number(result.left() + result.failed().size())));
    for (FailedTask f : result.failed()) {
      terminal.println(
          terminal.bad("parked: ")
              + f.chunk()
              + ", after "
              + f.attempts()
              + " attempts: "
              + f.error());
    }
    if (!result.failed().isEmpty()) {
      terminal.println("mend what the errors say, then: dualwrite copy --retry-failed");
    } else if (result.complete()) {
      terminal.println(
          terminal.dim(
              "next: dualwrite verify; with continuous aggregates dualwrite refresh-caggs first"));
    }
  }

  private static ObjectNode json(CopyResult result) {
    ObjectNode o =
        Json.object("copied")
            .put("complete", result.complete())
            .put("chunks", result.tasks())
            .put("rows", result.rows())
            .put("bytes", result.bytes())
            .put("seconds", result.elapsed().toMillis() / 1000.0)
            .put("left", result.left());
    parked(o, result.failed());
    return o;
  }

  /** The parked chunks, each with its error. */
  static void parked(ObjectNode o, List<FailedTask> failed) {
    ArrayNode parked = o.putArray("parked");
    for (FailedTask f : failed) {
      parked
          .addObject()
          .put("chunk", f.chunk())
          .put("attempts", f.attempts())
          .put("error", f.error());
    }
  }
}
