package io.dualwrite.cli;

import io.dualwrite.catalog.TableName;
import io.dualwrite.journal.JournalReader;
import io.dualwrite.journal.JournalUnit;
import io.dualwrite.journal.RowChange;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Stream;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Which journals, and which of their units of work. Several filters: all have to hold. */
final class Selection {

  private record Range(long from, long to) {}

  @Parameters(
      paramLabel = "DIR|SEQUENCE",
      arity = "0..*",
      description = {
        "Directories of journals, or directories that hold journals; and numbers of units of work"
            + " (4711, 4711-4720) if only those are meant."
      })
  private List<String> given = List.of();

  @Option(
      names = {"-t", "--table"},
      paramLabel = "TABLE",
      order = 10,
      description =
          "Only units that wrote to this table (schema.table; schema public if not given).")
  private List<String> tables = List.of();

  @Option(
      names = "--since",
      paramLabel = "TIME",
      order = 11,
      description = {
        "Only units of this time or later: 2026-03-01, 2026-03-01T14:00, 2026-03-01T14:00:00+01:00 (UTC"
            + " if no zone is given), or an age: 30s, 15m, 2h, 1d."
      })
  private String since;

  @Option(
      names = "--until",
      paramLabel = "TIME",
      order = 12,
      description = "Only units before this time.")
  private String until;

  @Option(
      names = "--key",
      paramLabel = "[COLUMN=]VALUE",
      order = 13,
      description = {
        "Only units with a row that has this value in its key (in any column, if its table has no"
            + " key). Several: in the same row."
      })
  private List<String> keys = List.of();

  @Option(
      names = "--error",
      paramLabel = "TEXT",
      order = 14,
      description = "Only parked units whose error contains this, in any case.")
  private String error;

  @Option(
      names = "--parked",
      order = 15,
      description = "Only parked units: those that failed for good.")
  private boolean parked;

  @Spec(Spec.Target.MIXEE)
  private CommandSpec spec;

  private boolean ready;
  private final List<Path> paths = new ArrayList<>();
  private final List<Range> ranges = new ArrayList<>();
  private final List<TableName> names = new ArrayList<>();
  private long from = Long.MIN_VALUE;
  private long to = Long.MAX_VALUE;

  private void prepare() {
    if (ready) {
      return;
    }
    ready = true;
    for (String g : given) {
      Range r = Files.exists(Path.of(g)) ? null : range(g);
      if (r == null) {
        paths.add(Path.of(g));
      } else {
        ranges.add(r);
      }
    }
    for (String t : tables) {
      try {
        names.add(TableName.parse(t));
      } catch (IllegalArgumentException e) {
        throw new ParameterException(spec.commandLine(), "--table: " + e.getMessage());
      }
    }
    from = since == null ? from : time("--since", since);
    to = until == null ? to : time("--until", until);
  }

  private static Range range(String text) {
    String[] parts = text.split("-", 2);
    try {
      long a = Long.parseLong(parts[0]);
      return new Range(a, parts.length == 1 ? a : Long.parseLong(parts[1]));
    } catch (NumberFormatException e) {
      return null;
    }
  }

  private long time(String option, String text) {
    try {
      return micros(text, Instant.now());
    } catch (DateTimeException | NumberFormatException | ArithmeticException e) {
      throw new ParameterException(
          spec.commandLine(),
          option
              + ": '"
              + text
              + "' is no time; write 2026-03-01, 2026-03-01T14:00, 2026-03-01T14:00:00Z, or an age:"
              + " 30s, 15m, 2h, 1d");
    }
  }

  /** A time in microseconds since 1970. */
  static long micros(String text, Instant now) {
    char unit = text.isEmpty() ? ' ' : text.charAt(text.length() - 1);
    Instant i;
    if ("smhd".indexOf(unit) >= 0) {
      long n = Long.parseLong(text.substring(0, text.length() - 1).strip());
      i =
          now.minus(
              switch (unit) {
                case 's' -> Duration.ofSeconds(n);
                case 'm' -> Duration.ofMinutes(n);
                case 'h' -> Duration.ofHours(n);
                default -> Duration.ofDays(n);
              });
    } else if (text.length() <= 10) {
      i = LocalDate.parse(text).atStartOfDay().toInstant(ZoneOffset.UTC);
    } else {
      String t = text.replace(' ', 'T').toUpperCase(Locale.ROOT);
      int clock = t.indexOf('T');
      boolean zoned = t.endsWith("Z") || t.indexOf('+') > clock || t.indexOf('-', clock) > clock;
      i =
          zoned
              ? OffsetDateTime.parse(t).toInstant()
              : LocalDateTime.parse(t).toInstant(ZoneOffset.UTC);
    }
    return ChronoUnit.MICROS.between(Instant.EPOCH, i);
  }

  /**
   * The journals that were named.
   *
   * @param otherwise the one to take if none was; may be null
   */
  List<Path> journals(Path otherwise) {
    prepare();
    List<Path> wanted = paths.isEmpty() && otherwise != null ? List.of(otherwise) : paths;
    if (wanted.isEmpty()) {
      throw new ParameterException(
          spec.commandLine(), "which journal? Name its directory (dualwrite.journal.dir)");
    }
    return journalsAt(wanted);
  }

  /** The journals at these places: each is one, or holds some. */
  static List<Path> journalsAt(List<Path> places) {
    Set<Path> result = new LinkedHashSet<>();
    for (Path place : places) {
      if (!Files.isDirectory(place)) {
        throw new UserError("there is no directory " + place + "; check the path");
      }
      if (JournalReader.isJournal(place)) {
        result.add(place);
        continue;
      }
      List<Path> inside;
      try (Stream<Path> children = Files.list(place)) {
        inside = children.filter(JournalReader::isJournal).sorted().toList();
      } catch (IOException e) {
        throw new UserError("the directory " + place + " cannot be read; check its permissions", e);
      }
      if (inside.isEmpty()) {
        throw new UserError(
            place
                + " is not a journal and holds none: a journal has a file journal.properties; check the"
                + " path");
      }
      result.addAll(inside);
    }
    return List.copyOf(result);
  }

  /** Whether sequences were named. */
  boolean sequences() {
    prepare();
    return !ranges.isEmpty();
  }

  /** Whether only some units are meant. */
  boolean any() {
    prepare();
    return !ranges.isEmpty()
        || !names.isEmpty()
        || since != null
        || until != null
        || !keys.isEmpty()
        || error != null
        || parked;
  }

  /** Whether the unit is meant. */
  boolean test(JournalUnit u) {
    prepare();
    long seq = u.intent().sequence();
    long micros = u.intent().wallMicros();
    if (!ranges.isEmpty() && ranges.stream().noneMatch(r -> seq >= r.from && seq <= r.to)) {
      return false;
    }
    if (micros < from || micros >= to) {
      return false;
    }
    boolean isParked = u.state() == JournalUnit.State.PARKED;
    if (parked && !isParked) {
      return false;
    }
    if (error != null
        && !(isParked
            && u.error() != null
            && u.error().toLowerCase(Locale.ROOT).contains(error.toLowerCase(Locale.ROOT)))) {
      return false;
    }
    if (names.isEmpty() && keys.isEmpty()) {
      return true;
    }
    for (RowChange c : u.intent().changes()) {
      if ((names.isEmpty() || names.contains(c.table())) && (keys.isEmpty() || hasKey(c))) {
        return true;
      }
    }
    return false;
  }

  private boolean hasKey(RowChange c) {
    for (String[] row : c.rows()) {
      boolean all = true;
      for (String k : keys) {
        all &= holds(c, row, k);
      }
      if (all) {
        return true;
      }
    }
    return false;
  }

  /** A value may have an equals sign in it: then both readings count. */
  private static boolean holds(RowChange c, String[] row, String key) {
    int equals = key.indexOf('=');
    String name = equals < 0 ? "" : key.substring(0, equals).strip();
    String value = key.substring(equals + 1);
    for (int j = 0; j < Math.min(row.length, c.columns().size()); j++) {
      String column = c.columns().get(j);
      if (!c.keyColumns().isEmpty() && !c.keyColumns().contains(column)) {
        continue;
      }
      if (key.equals(row[j])
          || (equals >= 0 && name.equalsIgnoreCase(column) && value.equals(row[j]))) {
        return true;
      }
    }
    return false;
  }
}
