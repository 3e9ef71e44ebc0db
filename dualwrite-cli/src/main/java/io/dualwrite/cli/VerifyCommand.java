package io.dualwrite.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.dualwrite.backfill.Backfill;
import io.dualwrite.backfill.BackfillException;
import io.dualwrite.backfill.VerifyOptions;
import io.dualwrite.backfill.VerifyResult;
import io.dualwrite.control.ControlSchema;
import io.dualwrite.control.Side;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code dualwrite verify}. */
@Command(
    name = "verify",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header = "Compares both databases by content.",
    description = {
      "",
      "Compares every table in ranges: row counts and two 64-bit sums of row hashes, computed in the"
          + " servers. A range that differs is divided until the rows are found; those are looked at"
          + " again for a while, because writes may be on their way. What still differs is named by"
          + " its key, and the exit code is 1.",
    },
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExamples:%n",
    footer = {"  dualwrite verify", "  dualwrite verify --filter flights --repair"})
final class VerifyCommand implements Callable<Integer> {

  private static final int SHOWN = 20;

  @Mixin private Databases databases;

  @Spec private CommandSpec spec;

  @Option(
      names = {"-p", "--parallelism"},
      paramLabel = "N",
      description = "Ranges at a time (default: 8).")
  private Integer parallelism;

  @Option(
      names = "--method",
      paramLabel = "M",
      description =
          "checksum (the content; default), count (numbers of rows; sees no changed value), or"
              + " estimate (the servers' statistics, which prove nothing).")
  private VerifyOptions.Method method = VerifyOptions.Method.CHECKSUM;

  @Option(
      names = "--repair",
      description =
          "Make the target's differing rows equal to the source's, and verify those again.")
  private boolean repair;

  @Option(
      names = {"-f", "--filter"},
      paramLabel = "REGEX",
      description = "Only tables whose schema.table it is found in (default: as staged).")
  private String filter;

  @Option(
      names = "--recheck",
      paramLabel = "DURATION",
      converter = DurationConverter.class,
      description =
          "Over how long a differing row is looked at again before it is reported: longer than"
              + " the target lags behind (default: 5s).")
  private Duration recheck;

  @Option(
      names = "--max-rate",
      paramLabel = "BYTES",
      converter = BytesConverter.class,
      description =
          "Bytes of rows a second that each side hashes, such as 50MB (default: no limit).")
  private Long maxRate;

  @Option(
      names = "--resume",
      description =
          "Go on with a verify that was interrupted: leave out the ranges that it found equal.")
  private boolean resume;

  @Mixin private Json json;

  @Override
  public Integer call() throws SQLException {
    Terminal terminal = Terminal.standard();
    if (repair && method != VerifyOptions.Method.CHECKSUM) {
      throw new ParameterException(
          spec.commandLine(), "--repair needs --method checksum: only it knows what to repair");
    }
    VerifyOptions options =
        VerifyOptions.defaults().withMethod(method).withRepair(repair).withFilter(filter);
    if (parallelism != null) {
      options = options.withParallelism(parallelism);
    }
    if (maxRate != null) {
      options = options.withMaxRate(maxRate);
    }
    options = options.withResume(resume);
    if (recheck != null) {
      options = options.withRecheck(recheck);
    }
    ProgressBar bar = new ProgressBar(terminal, "verify", json.wanted());
    Backfill backfill = databases.backfill();
    try (Interruption interruption = Interruption.stops(Thread.currentThread()::interrupt)) {
      VerifyResult result;
      try {
        result = backfill.verify(options, bar::update);
      } catch (BackfillException e) {
        if (!interruption.signalled()) {
          throw e;
        }
        bar.close();
        terminal.println(
            json.wanted()
                ? Json.line(Json.object("interrupted"))
                : "interrupted; 'dualwrite verify --resume' goes on");
        return interruption.exitCode(ExitCode.INTERRUPTED);
      }
      bar.close();
      if (json.wanted()) {
        json(terminal, result);
        return interruption.exitCode(result.equal() ? ExitCode.DONE : ExitCode.FAILED);
      }
      if (result.skipped() > 0) {
        terminal.println(
            Terminal.number(result.skipped())
                + " ranges were found equal by the verify that is resumed; their rows are not in the table");
      }
      table(terminal, result, method);
      differences(terminal, result);
      terminal.println(
          result.equal()
              ? terminal.good(
                  switch (method) {
                    case CHECKSUM -> "equal: every table holds the same rows";
                    case COUNT ->
                        "every table holds as many rows on both sides; values were not compared: a"
                            + " changed row, or one for another, is not seen";
                    case ESTIMATE ->
                        "every table holds about as many rows on both sides, by the servers'"
                            + " statistics: a tenth of them may be missing, and values were not"
                            + " compared";
                  })
              : terminal.bad("DIFFERENT") + (repair ? "" : remedy()));
      return interruption.exitCode(result.equal() ? ExitCode.DONE : ExitCode.FAILED);
    }
  }

  private String remedy() throws SQLException {
    try (Connection target = databases.dataSource(Side.TARGET).getConnection()) {
      return ControlSchema.targetIsPrimary(target)
          ? "; the target is the primary: 'dualwrite reconcile' makes the source equal"
          : "; 'dualwrite verify --repair' makes the target equal";
    }
  }

  /** One row per table. */
  private static void table(Terminal terminal, VerifyResult result, VerifyOptions.Method method) {
    String equal =
        switch (method) {
          case CHECKSUM -> "equal";
          case COUNT -> "as many rows";
          case ESTIMATE -> "about as many rows";
        };
    List<List<String>> rows =
        Terminal.rows("table", "source", "target", "differing", "repaired", "result");
    for (VerifyResult.TableResult t : result.tables()) {
      rows.add(
          List.of(
              t.table().toString(),
              Terminal.number(t.sourceRows()),
              Terminal.number(t.targetRows()),
              Terminal.number(t.differing()),
              Terminal.number(t.repaired()),
              t.error().orElse(t.equal() ? equal : "DIFFERENT")));
    }
    terminal.table(rows);
  }

  private static void differences(Terminal terminal, VerifyResult result) {
    for (VerifyResult.TableResult t : result.tables()) {
      int shown = 0;
      for (VerifyResult.Difference d : t.differences()) {
        if (shown++ == SHOWN) {
          terminal.println("    ... and " + Terminal.number(t.differing() - SHOWN) + " more");
          break;
        }
        terminal.println(
            "    "
                + t.table()
                + " "
                + (d.kind() == VerifyResult.Kind.TWICE
                    ? "more than once on a side: "
                    : d.kind().name().toLowerCase(Locale.ROOT) + " on the target: ")
                + String.join(", ", d.key())
                + (d.columns().isEmpty() ? "" : " (" + String.join(", ", d.columns()) + ")")
                + (d.count() == 1 ? "" : " x" + d.count()));
      }
    }
  }

  /** An object for each table, one for each difference, and one for the whole. */
  private static void json(Terminal terminal, VerifyResult result) {
    for (VerifyResult.TableResult t : result.tables()) {
      ObjectNode o =
          Json.object("table")
              .put("table", t.table().toString())
              .put("equal", t.equal())
              .put("sourceRows", t.sourceRows())
              .put("targetRows", t.targetRows())
              .put("differing", t.differing())
              .put("repaired", t.repaired());
      t.error().ifPresent(e -> o.put("error", e));
      terminal.println(Json.line(o));
      for (VerifyResult.Difference d : t.differences()) {
        ObjectNode x =
            Json.object("difference")
                .put("table", t.table().toString())
                .put("kind", d.kind().name().toLowerCase(Locale.ROOT))
                .put("count", d.count());
        d.key().forEach(x.putArray("key")::add);
        d.columns().forEach(x.putArray("columns")::add);
        terminal.println(Json.line(x));
      }
    }
    terminal.println(
        Json.line(
            Json.object("verified")
                .put("equal", result.equal())
                .put("skipped", result.skipped())
                .put("seconds", result.elapsed().toMillis() / 1000.0)));
  }
}
