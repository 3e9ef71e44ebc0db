package io.dualwrite.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.dualwrite.backfill.StageOptions;
import io.dualwrite.backfill.StageResult;
import io.dualwrite.catalog.TableName;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code dualwrite stage}. */
@Command(
    name = "stage",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header = "Plans the copy: divides the source's tables into chunks.",
    description = {
      "",
      "Run it once every writer of the application dual-writes. It waits until the transactions that"
          + " were open then have ended, checks that both databases have the same tables and"
          + " columns, and writes one task per chunk into the target's schema 'dualwrite'. It copies"
          + " nothing yet, and a second run adds only what is new.",
      "",
      "The completion point T (--until) is for time series: rows of that time and later came by"
          + " dual-write already, so only older ones are copied. It must lie after the moment when"
          + " the last writer began to dual-write. Without it everything is copied. Tables with a"
          + " key are always copied whole, unless they are hypertables or partitioned by time.",
    },
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExamples:%n",
    footer = {
      "  dualwrite stage --until 2026-03-01T00:00Z --time-column flights=departed_at",
      "  dualwrite stage --filter '^public\\.' --config application.properties",
    })
final class StageCommand implements Callable<Integer> {

  @Mixin private Databases databases;

  @Option(
      names = {"-u", "--until"},
      paramLabel = "T",
      description =
          "Completion point; once per type of time column: 2026-03-01T00:00Z (timestamptz,"
              + " uuid of version 7), 2026-03-01T00:00 (timestamp), 2026-03-01 (date), 4711"
              + " (integer).")
  private List<String> until = new ArrayList<>();

  @Option(
      names = {"-F", "--from"},
      paramLabel = "T",
      description =
          "Where the copy begins, that moment included; typed like --until. For hypertables and"
              + " partitioned tables.")
  private List<String> from = new ArrayList<>();

  @Option(
      names = {"-f", "--filter"},
      paramLabel = "REGEX",
      description =
          "Only tables whose schema.table, or continuous aggregates whose schema.view, it is found"
              + " in, in any case.")
  private String filter;

  @Option(
      names = {"-U", "--cascade-up"},
      description = "And the continuous aggregates that read what --filter finds.")
  private boolean cascadeUp;

  @Option(
      names = {"-D", "--cascade-down"},
      description = "And the hypertables that are read by what --filter finds.")
  private boolean cascadeDown;

  @Option(
      names = "--skip-untyped",
      description =
          "Leave out tables whose time column no --until or --from has the type of, with a warning,"
              + " instead of refusing.")
  private boolean skipUntyped;

  @Option(
      names = "--time-column",
      paramLabel = "TABLE=COLUMN",
      description = "The column that T limits in a table without a key.")
  private Map<String, String> timeColumns = new LinkedHashMap<>();

  @Option(
      names = "--chunk-rows",
      paramLabel = "N",
      description = "Rows per chunk of a table with a key (default: 50000).")
  private Integer chunkRows;

  @Option(
      names = "--order",
      paramLabel = "O",
      description = "Which chunks of a hypertable are copied first: newest (default) or oldest.")
  private StageOptions.First order = StageOptions.First.NEWEST;

  @Mixin private Json json;

  @Option(
      names = "--defer-indexes",
      description =
          "Drop the target's indexes that only queries need, and build them again when their table"
              + " is copied, which is faster. Not unique ones, nor those under a foreign key or of a"
              + " continuous aggregate.")
  private boolean deferIndexes;

  @Override
  public Integer call() {
    Terminal terminal = Terminal.standard();
    StageOptions options =
        StageOptions.defaults()
            .withUntil(until)
            .withFrom(from)
            .withFilter(filter)
            .withCascade(cascadeUp, cascadeDown)
            .withSkipUntyped(skipUntyped)
            .withTimeColumns(timeColumns)
            .withDeferIndexes(deferIndexes)
            .withFirst(order);
    if (chunkRows != null) {
      options = options.withChunkRows(chunkRows);
    }
    StageResult result = databases.backfill().stage(options);
    if (json.wanted()) {
      terminal.println(Json.line(json(result)));
      return ExitCode.DONE;
    }
    result.warnings().forEach(w -> terminal.println(terminal.bad("warning: ") + w));
    for (TableName t : result.already()) {
      terminal.println(t + " was staged before");
    }
    for (TableName t : result.leftOut()) {
      terminal.println(t + " lies wholly outside --from and --until and is left out");
    }
    for (TableName t : result.indexes()) {
      terminal.println("index " + t + " was dropped and is built when its table is copied");
    }
    terminal.println(
        String.format(
            "%d tables in %d chunks: %s",
            result.staged().size(),
            result.tasks(),
            result.staged().stream().map(TableName::toString).collect(Collectors.joining(", "))));
    terminal.println(terminal.dim("next: dualwrite copy"));
    return ExitCode.DONE;
  }

  private static ObjectNode json(StageResult result) {
    ObjectNode o = Json.object("staged").put("tasks", result.tasks());
    names(o, "tables", result.staged());
    names(o, "already", result.already());
    names(o, "leftOut", result.leftOut());
    names(o, "indexes", result.indexes());
    ArrayNode warnings = o.putArray("warnings");
    result.warnings().forEach(warnings::add);
    return o;
  }

  private static void names(ObjectNode o, String field, List<TableName> names) {
    ArrayNode array = o.putArray(field);
    names.forEach(n -> array.add(n.toString()));
  }
}
