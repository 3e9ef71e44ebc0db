package io.dualwrite.jdbc;

/**
 * Which values of a COPY travel as they are: their type's input function reads them alike on every
 * server, in every session and at every time.
 */
final class CopyValues {

  private static final int DATE = "2001-02-03".length();
  private static final int MINUTES = "2001-02-03 04:05".length();

  private CopyValues() {}

  /** Whether COPY of this type can be captured at all. */
  static boolean readable(String type) {
    return switch (type) {
      case "smallint",
          "integer",
          "bigint",
          "numeric",
          "real",
          "double precision",
          "boolean",
          "date",
          "timestamp without time zone",
          "timestamp with time zone",
          "bytea" ->
          true;
      default -> Parameters.readsTextAlike(type);
    };
  }

  /** Whether the value travels as it is; the server has taken it. */
  static boolean exact(String type, String text) {
    return switch (type) {
      case "smallint", "integer", "bigint" -> isInteger(text);
      case "numeric", "real", "double precision" -> isDecimal(text);
      case "boolean" ->
          text.equals("t") || text.equals("f") || text.equals("true") || text.equals("false");
      case "uuid" -> isUuid(text);
      case "date" -> text.length() == DATE && isDate(text);
      case "timestamp without time zone" -> isWithoutZone(text);
      case "timestamp with time zone" -> isOffset(text, isTimestamp(text));
      case "bytea" -> text.startsWith("\\x");
      default -> true;
    };
  }

  private static boolean isInteger(String text) {
    int first = text.startsWith("-") ? 1 : 0;
    return isDigits(text, first, text.length()) && (text.charAt(first) != '0' || text.equals("0"));
  }

  private static boolean isDecimal(String text) {
    int first = text.startsWith("-") ? 1 : 0;
    int point = text.indexOf('.');
    return point < 0
        ? isDigits(text, first, text.length())
        : isDigits(text, first, point) && isDigits(text, point + 1, text.length());
  }

  private static boolean isUuid(String text) {
    if (text.length() != 36) {
      return false;
    }
    for (int i = 0; i < 36; i++) {
      char c = text.charAt(i);
      boolean dash = i == 8 || i == 13 || i == 18 || i == 23;
      if (dash ? c != '-' : !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f')) {
        return false;
      }
    }
    return true;
  }

  /** Year first: no DateStyle reads that otherwise. */
  private static boolean isDate(String text) {
    return text.length() >= DATE
        && isDigits(text, 0, 4)
        && text.charAt(4) == '-'
        && isDigits(text, 5, 7)
        && text.charAt(7) == '-'
        && isDigits(text, 8, 10);
  }

  /** Where a date with a time, with seconds or without, ends; -1 if it is none. */
  private static int isTimestamp(String text) {
    if (text.length() < MINUTES
        || !isDate(text)
        || text.charAt(10) != ' ' && text.charAt(10) != 'T'
        || !isDigits(text, 11, 13)
        || text.charAt(13) != ':'
        || !isDigits(text, 14, 16)) {
      return -1;
    }
    int end = MINUTES;
    if (end < text.length() && text.charAt(end) == ':') {
      if (!isDigits(text, end + 1, end + 3)) {
        return -1;
      }
      end += 3;
      if (end < text.length() && text.charAt(end) == '.') {
        end++;
        while (end < text.length() && isDigits(text, end, end + 1)) {
          end++;
        }
      }
    }
    return end;
  }

  /** Whether it is a date with a time, and no offset from UTC. */
  static boolean isWithoutZone(String text) {
    return isTimestamp(text) == text.length();
  }

  /** Whether nothing but an offset from UTC follows: +hh, +hhmm, +hh:mm, Z. */
  private static boolean isOffset(String text, int from) {
    if (from < 0 || from == text.length()) {
      return false;
    }
    if (text.charAt(from) == 'Z') {
      return from + 1 == text.length();
    }
    if (text.charAt(from) != '+' && text.charAt(from) != '-') {
      return false;
    }
    int rest = text.length() - from - 1;
    return isDigits(text, from + 1, from + 3)
        && (rest == 2
            || rest == 5 && text.charAt(from + 3) == ':' && isDigits(text, from + 4, from + 6)
            || rest == 4 && isDigits(text, from + 3, from + 5));
  }

  private static boolean isDigits(String text, int from, int to) {
    if (from >= to || to > text.length()) {
      return false;
    }
    for (int i = from; i < to; i++) {
      if (text.charAt(i) < '0' || text.charAt(i) > '9') {
        return false;
      }
    }
    return true;
  }
}
