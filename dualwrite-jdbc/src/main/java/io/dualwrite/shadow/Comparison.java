package io.dualwrite.shadow;

import java.math.BigDecimal;
import java.time.OffsetTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeFormatterBuilder;
import java.time.format.DateTimeParseException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Pattern;

/**
 * Compares two results given as text. The driver writes some types differently according to whether
 * the server sent them as text or in binary; those are compared by value.
 */
final class Comparison {

  private static final Pattern NUMBER =
      Pattern.compile("-?(?:[0-9]+\\.?[0-9]*(?:[eE][+-]?[0-9]+)?|Infinity)|NaN");

  /** Rows that no exact partner has are compared with each other; not beyond this effort. */
  private static final long MAX_PAIRS = 10_000_000;

  private enum Kind {
    TEXT,
    NUMERIC,
    FLOAT4,
    FLOAT8,
    TIMETZ,
    /** Several numbers in one text. */
    GEOMETRIC;

    static Kind of(String type) {
      return switch (type) {
        case "numeric" -> NUMERIC;
        case "float4" -> FLOAT4;
        case "float8" -> FLOAT8;
        case "timetz" -> TIMETZ;
        case "point", "box", "lseg", "path", "polygon", "circle", "line" -> GEOMETRIC;
        default -> TEXT;
      };
    }
  }

  private static final DateTimeFormatter TIME_WITH_ZONE =
      new DateTimeFormatterBuilder()
          .append(DateTimeFormatter.ISO_LOCAL_TIME)
          .appendOffset("+HH:mm:ss", "+00")
          .toFormatter(Locale.ROOT);

  /** Of the column, or of its elements. */
  private final Kind[] kinds;

  private final boolean[] arrays;
  private final double tolerance;

  /**
   * @param types PostgreSQL's names of the columns' types
   * @param tolerance relative difference up to which floats are equal
   */
  Comparison(String[] types, double tolerance) {
    this.kinds = new Kind[types.length];
    this.arrays = new boolean[types.length];
    for (int i = 0; i < types.length; i++) {
      arrays[i] = types[i].startsWith("_");
      kinds[i] = Kind.of(arrays[i] ? types[i].substring(1) : types[i]);
    }
    this.tolerance = tolerance;
  }

  /**
   * The first differences, or none if the results are equal.
   *
   * @param complete whether {@code expected} is the whole result; if not, only as many rows as it
   *     has are compared
   * @param limit how many differences are enough
   */
  List<ShadowReport.Difference> differences(
      List<String[]> expected,
      List<String[]> actual,
      boolean ordered,
      boolean complete,
      int limit) {
    return ordered
        ? inOrder(expected, actual, complete, limit)
        : asMultisets(expected, actual, limit);
  }

  private List<ShadowReport.Difference> inOrder(
      List<String[]> expected, List<String[]> actual, boolean complete, int limit) {
    List<ShadowReport.Difference> found = new ArrayList<>();
    int n = complete ? Math.max(expected.size(), actual.size()) : expected.size();
    for (int i = 0; i < n && found.size() < limit; i++) {
      String[] e = i < expected.size() ? expected.get(i) : null;
      String[] a = i < actual.size() ? actual.get(i) : null;
      if (e == null || a == null || !equal(e, a)) {
        found.add(new ShadowReport.Difference(i + 1L, e, a));
      }
    }
    return found;
  }

  private List<ShadowReport.Difference> asMultisets(
      List<String[]> expected, List<String[]> actual, int limit) {
    Map<List<String>, Deque<String[]>> unmatched = new LinkedHashMap<>();
    for (String[] e : expected) {
      unmatched.computeIfAbsent(canonical(e), k -> new ArrayDeque<>(1)).add(e);
    }
    List<String[]> extra = new ArrayList<>();
    for (String[] a : actual) {
      List<String> key = canonical(a);
      Deque<String[]> same = unmatched.get(key);
      if (same == null) {
        extra.add(a);
        continue;
      }
      same.remove();
      if (same.isEmpty()) {
        unmatched.remove(key);
      }
    }
    List<String[]> missing = new ArrayList<>();
    unmatched.values().forEach(missing::addAll);
    if (tolerance > 0 && (long) missing.size() * extra.size() <= MAX_PAIRS) {
      missing.removeIf(
          e -> {
            for (Iterator<String[]> i = extra.iterator(); i.hasNext(); ) {
              if (equal(e, i.next())) {
                i.remove();
                return true;
              }
            }
            return false;
          });
    }
    List<ShadowReport.Difference> found = new ArrayList<>();
    for (int i = 0; i < Math.max(missing.size(), extra.size()) && i < limit; i++) {
      found.add(
          new ShadowReport.Difference(
              0,
              i < missing.size() ? missing.get(i) : null,
              i < extra.size() ? extra.get(i) : null));
    }
    return found;
  }

  private boolean equal(String[] a, String[] b) {
    if (Arrays.equals(a, b)) {
      return true;
    }
    if (a.length != b.length) {
      return false;
    }
    for (int i = 0; i < a.length; i++) {
      if (!Objects.equals(a[i], b[i]) && !close(i, a[i], b[i])) {
        String x = canonical(i, a[i]);
        if (x == null || !x.equals(canonical(i, b[i]))) {
          return false;
        }
      }
    }
    return true;
  }

  private boolean close(int column, String a, String b) {
    if (tolerance == 0
        || a == null
        || b == null
        || arrays[column]
        || (kinds[column] != Kind.FLOAT4 && kinds[column] != Kind.FLOAT8)) {
      return false;
    }
    try {
      double x = Double.parseDouble(a);
      double y = Double.parseDouble(b);
      return Math.abs(x - y) <= tolerance * Math.max(Math.abs(x), Math.abs(y));
    } catch (NumberFormatException e) {
      return false; // the type is another one on the primary
    }
  }

  private List<String> canonical(String[] row) {
    String[] c = new String[row.length];
    for (int i = 0; i < c.length; i++) {
      c[i] = canonical(i, row[i]);
    }
    return Arrays.asList(c);
  }

  /** The one text that all texts of the same value become. */
  private String canonical(int column, String text) {
    if (text == null || column >= kinds.length) {
      return text;
    }
    return arrays[column] ? array(kinds[column], text) : scalar(kinds[column], text);
  }

  private static String scalar(Kind kind, String text) {
    try {
      return switch (kind) {
        case TEXT -> text;
        case NUMERIC ->
            text.equals("NaN") || text.endsWith("Infinity")
                ? text
                : new BigDecimal(text).toPlainString(); // the scale stays: it is seen
        case FLOAT4 -> Float.toString(Float.parseFloat(text));
        case FLOAT8 -> Double.toString(Double.parseDouble(text));
        case TIMETZ -> // in binary the driver gives it the zone of the session
            OffsetTime.parse(text, TIME_WITH_ZONE).withOffsetSameInstant(ZoneOffset.UTC).toString();
        case GEOMETRIC ->
            NUMBER.matcher(text).replaceAll(m -> Double.toString(Double.parseDouble(m.group())));
      };
    } catch (NumberFormatException | DateTimeParseException e) {
      return text; // the type is another one on the primary, or 24:00: compared as it is
    }
  }

  /**
   * An array's text with every element but NULL in quotes, which the driver and server do not agree
   * on.
   */
  private static String array(Kind kind, String text) {
    StringBuilder out = new StringBuilder(text.length() + 16);
    int n = text.length();
    int i = 0;
    while (i < n) {
      char c = text.charAt(i);
      if (c == '{' || c == '}' || c == ',' || c == ';') {
        out.append(c);
        i++;
        continue;
      }
      StringBuilder element = new StringBuilder();
      boolean quoted = c == '"';
      i += quoted ? 1 : 0;
      while (i < n && (quoted ? text.charAt(i) != '"' : "{},;".indexOf(text.charAt(i)) < 0)) {
        if (text.charAt(i) == '\\' && i + 1 < n) {
          i++;
        }
        element.append(text.charAt(i++));
      }
      i += quoted ? 1 : 0;
      if (!quoted && element.toString().equals("NULL")) {
        out.append("NULL");
      } else {
        String s = scalar(kind, element.toString());
        out.append('"').append(s.replace("\\", "\\\\").replace("\"", "\\\"")).append('"');
      }
    }
    return out.toString();
  }
}
