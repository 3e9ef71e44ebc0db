package io.dualwrite.shadow;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;

/**
 * What the shadow reads have found so far. Immutable.
 *
 * @param queries one entry per SQL text, most compared first
 */
public record ShadowReport(List<Query> queries) {

  /** Copies the list. */
  public ShadowReport {
    queries = List.copyOf(queries);
  }

  /**
   * One SQL text.
   *
   * @param sql the text
   * @param equal how often the mirror gave the same rows, {@code late} ones included
   * @param late how often it did so only when looked at again: it was behind
   * @param different how often it gave other rows, looked at again when nothing was pending
   * @param undecided mismatches that wait to be looked at again
   * @param skipped how often a sampled read was not compared, by reason
   * @param errors how often the mirror failed where the primary did not
   * @param lastError the mirror's last error, or null
   * @param differences the first rows that differ, of the first reads that do
   * @param primary how long the primary took
   * @param mirror how long the mirror took, for the same reads
   */
  public record Query(
      String sql,
      long equal,
      long late,
      long different,
      long undecided,
      Map<String, Long> skipped,
      long errors,
      String lastError,
      List<Difference> differences,
      Latency primary,
      Latency mirror) {

    /** How many reads were compared to the end. */
    public long compared() {
      return equal + different;
    }

    long skips() {
      return skipped.values().stream().mapToLong(Long::longValue).sum();
    }
  }

  /**
   * A row that differs.
   *
   * @param row its number from 1, or 0 where the result has no order; -1: the names of the columns
   * @param primary its values on the primary, or null if the primary has no such row
   * @param mirror its values on the mirror, or null if the mirror has no such row
   */
  public record Difference(long row, List<String> primary, List<String> mirror) {

    Difference(long row, String[] primary, String[] mirror) {
      this(
          row,
          primary == null ? null : Arrays.asList(primary.clone()),
          mirror == null ? null : Arrays.asList(mirror.clone()));
    }

    /** The row's number and both versions, long values cut. */
    @Override
    public String toString() {
      return (row > 0 ? "row " + row : row < 0 ? "columns" : "a row")
          + ": primary "
          + text(primary)
          + ", mirror "
          + text(mirror);
    }

    private static String text(List<String> values) {
      if (values == null) {
        return "has none";
      }
      StringBuilder s = new StringBuilder("(");
      for (String v : values) {
        s.append(s.length() == 1 ? "" : ", ");
        s.append(v == null ? "NULL" : "'" + cut(v, 40) + "'");
      }
      return s.append(')').toString();
    }
  }

  /**
   * A distribution of times.
   *
   * @param count how many
   * @param p50 the median
   * @param p99 what 99 % do not exceed
   */
  public record Latency(long count, Duration p50, Duration p99) {}

  /** The share of compared reads for which the mirror gave the same rows; empty if none was. */
  public OptionalDouble consistency() {
    long equal = sum(Query::equal);
    long compared = sum(Query::compared);
    return compared == 0 ? OptionalDouble.empty() : OptionalDouble.of((double) equal / compared);
  }

  private long sum(java.util.function.ToLongFunction<Query> what) {
    return queries.stream().mapToLong(what).sum();
  }

  /** A table for people: a summary, a line per query, and what is wrong in detail. */
  @Override
  public String toString() {
    StringBuilder s = new StringBuilder();
    OptionalDouble rate = consistency();
    s.append(
        rate.isEmpty()
            ? "no read compared yet"
            : String.format(
                Locale.ROOT,
                "%s %% of %d reads are the same on the mirror",
                percent(rate.getAsDouble()),
                sum(Query::compared)));
    s.append(
        String.format(
            Locale.ROOT,
            "; %d different, %d late, %d undecided, %d skipped, %d errors%n",
            sum(Query::different),
            sum(Query::late),
            sum(Query::undecided),
            sum(Query::skips),
            sum(Query::errors)));
    List<String[]> lines = new ArrayList<>();
    lines.add(
        new String[] {
          "equal",
          "different",
          "late",
          "undecided",
          "skipped",
          "errors",
          "primary p50",
          "p99",
          "mirror p50",
          "p99",
          "query"
        });
    List<Query> sorted = new ArrayList<>(queries);
    sorted.sort(
        Comparator.comparingLong(Query::different)
            .thenComparingLong(Query::errors)
            .thenComparingLong(Query::compared)
            .reversed());
    for (Query q : sorted) {
      lines.add(
          new String[] {
            Long.toString(q.equal),
            Long.toString(q.different),
            Long.toString(q.late),
            Long.toString(q.undecided),
            Long.toString(q.skips()),
            Long.toString(q.errors),
            millis(q.primary, q.primary.p50),
            millis(q.primary, q.primary.p99),
            millis(q.mirror, q.mirror.p50),
            millis(q.mirror, q.mirror.p99),
            cut(q.sql.strip().replaceAll("\\s+", " "), 80)
          });
    }
    int[] widths = new int[lines.get(0).length];
    for (String[] line : lines) {
      for (int i = 0; i < widths.length; i++) {
        widths[i] = Math.max(widths[i], line[i].length());
      }
    }
    for (String[] line : lines) {
      for (int i = 0; i < widths.length - 1; i++) {
        s.append(" ".repeat(widths[i] - line[i].length())).append(line[i]).append("  ");
      }
      s.append(line[widths.length - 1]).append(System.lineSeparator());
    }
    for (Query q : sorted) {
      if (q.different > 0 || q.errors > 0 || !q.skipped.isEmpty()) {
        s.append(System.lineSeparator())
            .append(cut(q.sql.strip(), 400))
            .append(System.lineSeparator());
        q.differences.forEach(d -> s.append("  ").append(d).append(System.lineSeparator()));
        q.skipped.forEach(
            (why, n) ->
                s.append("  skipped ")
                    .append(n)
                    .append(": ")
                    .append(why)
                    .append(System.lineSeparator()));
        if (q.lastError != null) {
          s.append("  last error: ").append(cut(q.lastError, 200)).append(System.lineSeparator());
        }
      }
    }
    return s.toString();
  }

  /** Rounded down: 100 means all. */
  private static String percent(double share) {
    return String.format(Locale.ROOT, "%.2f", Math.floor(share * 10_000) / 100);
  }

  private static String millis(Latency l, Duration d) {
    return l.count == 0 ? "-" : String.format(Locale.ROOT, "%.2f ms", d.toNanos() / 1e6);
  }

  private static String cut(String text, int length) {
    return text.length() <= length ? text : text.substring(0, length - 1) + "…";
  }
}
