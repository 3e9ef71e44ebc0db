package io.dualwrite.backfill;

import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.TableName;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.DateTimeException;
import java.time.LocalDate;
import java.time.LocalTime;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * The completion points, or where the copy begins: at most one per kind of time column. Not
 * thread-safe.
 */
final class Until {

  /** Kinds of columns that T can limit. */
  enum Kind {
    TIMESTAMPTZ("timestamptz", "2001-03-01T00:00Z"),
    TIMESTAMP("timestamp", "2001-03-01T00:00"),
    DATE("date", "2001-03-01"),
    INTEGER("integer", "4711");

    final String label;
    final String example;

    Kind(String label, String example) {
      this.label = label;
      this.example = example;
    }

    static Optional<Kind> of(Column column) {
      return switch (column.type()) {
        case "timestamp with time zone" -> Optional.of(TIMESTAMPTZ);
        case "timestamp without time zone" -> Optional.of(TIMESTAMP);
        case "date" -> Optional.of(DATE);
        case "smallint", "integer", "bigint" -> Optional.of(INTEGER);
        default -> Optional.empty();
      };
    }
  }

  private static final Pattern INTEGER = Pattern.compile("[+-]?\\d{1,19}");
  private static final Pattern TIME =
      Pattern.compile(
          "(\\d{4,6}-\\d\\d-\\d\\d)(?:[T ](\\d\\d:\\d\\d(?::\\d\\d(?:\\.\\d{1,6})?)?) ?(Z|[+-]\\d\\d(?::?\\d\\d)?)?)?");

  private final String option;
  private final Map<Kind, String> points;
  private final Set<Kind> used = EnumSet.noneOf(Kind.class);

  private Until(String option, Map<Kind, String> points) {
    this.option = option;
    this.points = points;
  }

  static Until parse(List<String> texts) {
    return parse("--until", texts);
  }

  /** As {@code option} on the command line gave them. */
  static Until parse(String option, List<String> texts) {
    Map<Kind, String> points = new EnumMap<>(Kind.class);
    for (String text : texts) {
      String t = text.trim();
      Kind kind = kind(option, t);
      String before = points.put(kind, t);
      if (before != null && !before.equals(t)) {
        throw new BackfillException(
            option
                + " is given twice for "
                + kind.label
                + " ("
                + before
                + " and "
                + t
                + "); give one per type");
      }
    }
    return new Until(option, points);
  }

  private static Kind kind(String option, String text) {
    if (INTEGER.matcher(text).matches()) {
      try {
        Long.parseLong(text);
        return Kind.INTEGER;
      } catch (NumberFormatException e) {
        throw new BackfillException(option + " " + text + " is beyond a bigint", e);
      }
    }
    Matcher m = TIME.matcher(text);
    if (m.matches()) {
      try {
        LocalDate.parse(m.group(1).length() > 10 ? "+" + m.group(1) : m.group(1));
        if (m.group(2) == null) {
          return Kind.DATE;
        }
        LocalTime.parse(m.group(2));
        return m.group(3) == null ? Kind.TIMESTAMP : Kind.TIMESTAMPTZ;
      } catch (DateTimeException e) {
        throw new BackfillException(option + " " + text + " is not a date: " + e.getMessage(), e);
      }
    }
    throw new BackfillException(
        option
            + " "
            + text
            + " is neither a time nor an integer; examples: 2001-03-01T00:00Z, 2001-03-01T00:00, 2001-03-01, 4711");
  }

  /** The option that gave them. */
  String option() {
    return option;
  }

  /** A table that is divided by a column which none of the points can be compared with. */
  static final class Untyped extends RuntimeException {
    private static final long serialVersionUID = 1;

    private Untyped(String message) {
      super(message);
    }
  }

  /** Those that no column was compared with so far. */
  List<String> unused() {
    return points.entrySet().stream()
        .filter(e -> !used.contains(e.getKey()))
        .map(Map.Entry::getValue)
        .toList();
  }

  /** That of timestamptz, which can be compared with a clock. */
  Optional<String> moment() {
    return Optional.ofNullable(points.get(Kind.TIMESTAMPTZ));
  }

  /** As typed, in a fixed order. */
  List<String> texts() {
    return List.copyOf(points.values());
  }

  /** As typed literals, each of its kind. */
  Map<String, String> literals() {
    Map<String, String> result = new LinkedHashMap<>();
    points.forEach(
        (kind, text) ->
            result.put(
                text, Sql.literal(text) + "::" + (kind == Kind.INTEGER ? "bigint" : kind.label)));
    return result;
  }

  /**
   * Both together.
   *
   * @throws BackfillException if they differ in one kind
   */
  Until plus(Until other) {
    List<String> all = new ArrayList<>();
    for (Map.Entry<Kind, String> e : points.entrySet()) {
      String theirs = other.points.get(e.getKey());
      if (theirs != null && !theirs.equals(e.getValue())) {
        throw new BackfillException(
            "already staged with "
                + option
                + " "
                + e.getValue()
                + ", now "
                + theirs
                + " is given; use the same, or run clean and stage anew");
      }
      all.add(e.getValue());
    }
    all.addAll(other.points.values());
    return parse(option, all.stream().distinct().toList());
  }

  /**
   * T for a column that divides or dates a table, as a typed literal; empty if no T was given at
   * all, or if the column is of no type that T could limit.
   *
   * @throws BackfillException if T was given, but not of this column's type
   */
  Optional<String> literal(TableName table, Column column) {
    Optional<Kind> kind = Kind.of(column);
    if (points.isEmpty() || kind.isEmpty()) {
      return Optional.empty();
    }
    return Optional.of(literal(table, column, kind.get(), column.type()));
  }

  /**
   * The same for the first dimension of a hypertable.
   *
   * @param known the name that people know it by
   * @throws BackfillException if T was given, but none that fits the column
   */
  Optional<Point> point(Connection source, TableName known, Column column, boolean function)
      throws SQLException {
    if (points.isEmpty()) {
      return Optional.empty();
    }
    boolean uuid = column.type().equals("uuid");
    Optional<Kind> kind = uuid ? Optional.of(Kind.TIMESTAMPTZ) : Kind.of(column);
    if (kind.isEmpty() || function) {
      throw new Untyped(
          "hypertable "
              + known
              + " is divided by "
              + column.name()
              + " ("
              + column.type()
              + (function ? ", by a function of its own" : "")
              + "), which no "
              + option
              + " can be compared with; leave it out with --filter or --skip-untyped, or stage without "
              + option);
    }
    String literal = literal(known, column, kind.get(), uuid ? "timestamptz" : column.type());
    String internal =
        Sql.value(
            source,
            "select "
                + (kind.get() == Kind.INTEGER
                    ? literal
                    : "_timescaledb_functions.time_to_internal(" + literal + ")"));
    if (uuid) {
      literal =
          Sql.literal(
                  Sql.value(
                      source,
                      "select "
                          + Hypertables.function(source, "to_uuidv7_boundary")
                          + "("
                          + literal
                          + ")"))
              + "::uuid";
    }
    return Optional.of(new Point(literal, Long.parseLong(internal)));
  }

  /**
   * T for a hypertable.
   *
   * @param literal as its column's values
   * @param internal as TimescaleDB counts
   */
  record Point(String literal, long internal) {}

  private String literal(TableName table, Column column, Kind kind, String type) {
    String point = points.get(kind);
    if (point == null) {
      throw new Untyped(
          "table "
              + table
              + " is divided by "
              + column.name()
              + " ("
              + column.type()
              + "), but "
              + option
              + " is "
              + points.values().stream().collect(Collectors.joining(", "))
              + "; add "
              + option
              + " of type "
              + kind.label
              + ", for example "
              + kind.example
              + ", or leave the table out with --filter");
    }
    used.add(kind);
    return Sql.literal(point) + "::" + (kind == Kind.INTEGER ? "bigint" : type);
  }
}
