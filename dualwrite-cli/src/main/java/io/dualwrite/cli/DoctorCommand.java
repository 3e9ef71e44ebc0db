package io.dualwrite.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.dualwrite.backfill.doctor.Doctor;
import io.dualwrite.backfill.doctor.DoctorOptions;
import io.dualwrite.backfill.doctor.Finding;
import io.dualwrite.backfill.doctor.Finding.Severity;
import io.dualwrite.config.Setting;
import io.dualwrite.config.Settings;
import io.dualwrite.control.Side;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code dualwrite doctor}. */
@Command(
    name = "doctor",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header = "Examines both databases before anything is touched.",
    description = {
      "",
      "Looks at versions, settings, privileges, room, tables and the differences between both"
          + " schemas, says what each finding means and what to do about it. Nothing is changed on"
          + " either side. Use the role that the application will use.",
      "",
      "block: the move cannot go on or would lose something; exit code 1.  warn: decide that it"
          + " may.  info: good to know.",
    },
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExamples:%n",
    footer = {
      "  dualwrite doctor --source postgres://app@old/shop --target postgres://app@new/shop",
      "  dualwrite doctor --config application.properties --accept large-objects",
      "  dualwrite doctor --json | jq '.findings[] | select(.severity == \"block\")'",
    })
final class DoctorCommand implements Callable<Integer> {

  /** So many objects of a finding are named; {@code --json} has them all. */
  private static final int SHOWN = 5;

  private static final int INDENT = 17;

  @Mixin private Databases databases;

  @Option(
      names = {"-f", "--filter"},
      paramLabel = "REGEX",
      description = "Only tables whose schema.table it is found in, as for stage.")
  private String filter;

  @Option(
      names = "--accept",
      paramLabel = "CODE",
      split = ",",
      description =
          "What was decided about: findings of that code (in brackets) warn and do not block.")
  private Set<String> accepted = new LinkedHashSet<>();

  @Option(names = "--json", description = "One JSON object, with all objects of each finding.")
  private boolean json;

  @Override
  public Integer call() throws JsonProcessingException {
    Settings settings = databases.settings();
    Path journal =
        settings.isSet(Setting.JOURNAL_DIR) ? Path.of(settings.string(Setting.JOURNAL_DIR)) : null;
    DoctorOptions options =
        new DoctorOptions(
            filter,
            accepted,
            settings.integer(Setting.MIRROR_POOL_SIZE),
            settings.duration(Setting.MIRROR_FLUSH_TIMEOUT),
            Optional.ofNullable(journal),
            settings.bytes(Setting.JOURNAL_MAX_BYTES)
                + settings.bytes(Setting.JOURNAL_MIN_FREE_BYTES));
    List<Finding> findings =
        Doctor.examine(
            databases.dataSource(Side.SOURCE), databases.dataSource(Side.TARGET), options);
    boolean blocked = count(findings, Severity.BLOCK) > 0;
    if (json) {
      System.out.println(json(findings));
    } else {
      print(Terminal.standard(), findings);
    }
    return blocked ? ExitCode.FAILED : ExitCode.DONE;
  }

  private static long count(List<Finding> findings, Severity severity) {
    return findings.stream().filter(f -> f.severity() == severity).count();
  }

  private static String json(List<Finding> findings) throws JsonProcessingException {
    Map<String, Object> top = new LinkedHashMap<>();
    for (Severity s : Severity.values()) {
      top.put(lower(s), count(findings, s));
    }
    List<Map<String, Object>> all = new ArrayList<>();
    for (Finding f : findings) {
      Map<String, Object> one = new LinkedHashMap<>();
      one.put("severity", lower(f.severity()));
      one.put("topic", lower(f.topic()));
      one.put("side", side(f));
      one.put("code", f.code());
      one.put("meaning", f.meaning());
      one.put("action", f.action());
      one.put("objects", f.objects());
      all.add(one);
    }
    top.put("findings", all);
    return new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).writeValueAsString(top);
  }

  private static String lower(Enum<?> e) {
    return e.name().toLowerCase(Locale.ROOT);
  }

  private static String side(Finding f) {
    return f.side().map(Side::toString).orElse("both");
  }

  private static void print(Terminal terminal, List<Finding> findings) {
    Finding.Topic topic = null;
    for (Finding f : findings) {
      if (f.topic() != topic) {
        if (topic != null) {
          terminal.println();
        }
        topic = f.topic();
        terminal.println(terminal.bold(heading(topic)));
      }
      String severity = String.format("%-5s", lower(f.severity()));
      String head =
          "  "
              + switch (f.severity()) {
                case BLOCK -> terminal.bad(severity);
                case WARN -> terminal.bold(severity);
                case INFO -> terminal.dim(severity);
              }
              + String.format("  %-6s  ", side(f));
      String text =
          f.severity() == Severity.INFO ? f.meaning() : f.meaning() + " [" + f.code() + "]";
      List<String> lines = new ArrayList<>(Terminal.wrap(text, Terminal.WIDTH - INDENT));
      int shown = Math.min(f.objects().size(), f.objects().size() == SHOWN + 1 ? SHOWN + 1 : SHOWN);
      for (String o : f.objects().subList(0, shown)) {
        List<String> wrapped = Terminal.wrap(o, Terminal.WIDTH - INDENT - 2);
        for (int i = 0; i < wrapped.size(); i++) {
          lines.add((i == 0 ? "- " : "  ") + wrapped.get(i));
        }
      }
      if (shown < f.objects().size()) {
        lines.add("  and " + Terminal.number(f.objects().size() - shown) + " more; --json has all");
      }
      for (int i = 0; i < lines.size(); i++) {
        terminal.println((i == 0 ? head : " ".repeat(INDENT)) + lines.get(i));
      }
      if (!f.action().isEmpty()) {
        List<String> action = Terminal.wrap(f.action(), Terminal.WIDTH - INDENT - 3);
        for (int i = 0; i < action.size(); i++) {
          terminal.println(
              " ".repeat(INDENT) + terminal.dim((i == 0 ? "-> " : "   ") + action.get(i)));
        }
      }
    }
    long blocking = count(findings, Severity.BLOCK);
    terminal.println();
    terminal.println(
        (blocking == 0
                ? terminal.good("nothing blocks")
                : terminal.bad(blocking == 1 ? "1 finding blocks" : blocking + " findings block"))
            + String.format(
                ", %d to decide about, %d good to know",
                count(findings, Severity.WARN), count(findings, Severity.INFO)));
  }

  private static String heading(Finding.Topic topic) {
    return switch (topic) {
      case SERVER -> "Servers";
      case SETTINGS -> "Settings";
      case PRIVILEGES -> "Privileges";
      case RESOURCES -> "Resources";
      case OBJECTS -> "What is in them";
      case SCHEMA -> "Differences between both schemas";
      case TIMESCALEDB -> "TimescaleDB";
    };
  }
}
