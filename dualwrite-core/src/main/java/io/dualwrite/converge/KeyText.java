package io.dualwrite.converge;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.time.LocalDate;
import java.util.Locale;

/**
 * One spelling for values of a key that are equal: a parameter's text and the server's own may be
 * two of one value ({@code 1} and {@code 1.00}, a moment in two time zones). Only for comparing;
 * what is not understood is left as it is.
 */
final class KeyText {

  private static final int LONGEST_NUMBER = 200;
  private static final int DATE = "2001-02-03".length();
  private static final int MINUTES = "2001-02-03 04:05".length();
  private static final long MICROS = 1_000_000;

  private KeyText() {}

  /** Whether all texts of equal values of the type are the same. */
  static boolean unique(String type) {
    return switch (type) {
      case "numeric",
          "real",
          "double precision",
          "boolean",
          "uuid",
          "bpchar",
          "date",
          "timestamp without time zone",
          "timestamp with time zone" ->
          false;
      default -> true;
    };
  }

  /**
   * The one spelling.
   *
   * @param declared the type with length and precision, to which a value is rounded
   */
  static String of(String type, String declared, String text) {
    if (text == null || text.isEmpty()) {
      return text;
    }
    return switch (type) {
      case "numeric" -> number(text, declared);
      case "real" -> isNumber(text) ? Float.toString(Float.parseFloat(text) + 0f) : text;
      case "double precision" ->
          isNumber(text) ? Double.toString(Double.parseDouble(text) + 0d) : text;
      case "boolean" -> text.equals("true") ? "t" : text.equals("false") ? "f" : text;
      case "uuid" -> text.toLowerCase(Locale.ROOT);
      case "bpchar" -> withoutSpaces(text);
      case "date" -> isDate(text) ? text.substring(0, DATE) : text;
      case "timestamp without time zone" -> moment(text, false);
      case "timestamp with time zone" -> moment(text, true);
      default -> text;
    };
  }

  private static String number(String text, String declared) {
    if (!isNumber(text)) {
      return text;
    }
    BigDecimal n = new BigDecimal(text);
    int comma = declared.indexOf(',');
    if (comma > 0) {
      int scale = Integer.parseInt(declared, comma + 1, declared.length() - 1, 10);
      n = n.scale() > scale ? n.setScale(scale, RoundingMode.HALF_UP) : n;
    }
    return n.signum() == 0 ? "0" : n.stripTrailingZeros().toString();
  }

  private static String withoutSpaces(String text) {
    int end = text.length();
    while (end > 0 && text.charAt(end - 1) == ' ') { // and nothing else
      end--;
    }
    return text.substring(0, end);
  }

  private static boolean isNumber(String text) {
    if (text.length() > LONGEST_NUMBER) {
      return false;
    }
    boolean digits = false;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c >= '0' && c <= '9') {
        digits = true;
      } else if (!(c == '.' && text.indexOf('.') == i)
          && !(c == '-' && (i == 0 || (text.charAt(i - 1) | 32) == 'e'))
          && !(c == '+' && i > 0 && (text.charAt(i - 1) | 32) == 'e')
          && !((c | 32) == 'e' && digits && i + 1 < text.length() && onlyExponent(text, i))) {
        return false;
      }
    }
    return digits;
  }

  /** Whether nothing but up to four digits and their sign follows. */
  private static boolean onlyExponent(String text, int e) {
    int i = e + 1;
    if (text.charAt(i) == '-' || text.charAt(i) == '+') {
      i++;
    }
    return number(text, i, text.length()) >= 0 && text.length() - i <= 4;
  }

  private static boolean isDate(String text) {
    return text.length() >= DATE
        && !text.endsWith("BC")
        && text.charAt(4) == '-'
        && text.charAt(7) == '-'
        && number(text, 0, 4) >= 0
        && number(text, 5, 7) >= 0
        && number(text, 8, 10) >= 0;
  }

  /** Microseconds since 1970, as a text. */
  private static String moment(String text, boolean zoned) {
    if (text.length() < MINUTES || !isDate(text)) {
      return text;
    }
    long hours = number(text, 11, 13);
    long minutes = number(text, 14, 16);
    int at = MINUTES;
    long seconds = 0;
    if (at < text.length() && text.charAt(at) == ':') {
      seconds = number(text, 17, 19);
      at += 3;
    }
    long month = number(text, 5, 7);
    long day = number(text, 8, 10);
    if (hours < 0
        || minutes < 0
        || seconds < 0
        || month < 1
        || month > 12
        || day < 1
        || day > LocalDate.of((int) number(text, 0, 4), (int) month, 1).lengthOfMonth()) {
      return text;
    }
    long micros = 0;
    if (at < text.length() && text.charAt(at) == '.') {
      at++;
      for (long unit = MICROS / 10; at < text.length() && isDigit(text.charAt(at)); at++) {
        if (unit == 0) {
          return text; // the server rounds
        }
        micros += unit * (text.charAt(at) - '0');
        unit /= 10;
      }
    }
    long offset = 0;
    if (zoned && text.endsWith("Z") && at == text.length() - 1) {
      at = text.length();
    } else if (at < text.length()) {
      char sign = text.charAt(at);
      if (!zoned || sign != '+' && sign != '-') {
        return text;
      }
      for (long unit = 3600; at < text.length(); unit /= 60) { // +hh[:mm[:ss]]
        long n = number(text, at + 1, at + 3);
        if (n < 0 || unit == 0 || at + 3 < text.length() && text.charAt(at + 3) != ':') {
          return text;
        }
        offset += n * unit;
        at += 3;
      }
      offset = sign == '-' ? -offset : offset;
    } else if (zoned) {
      return text;
    }
    long days = LocalDate.of((int) number(text, 0, 4), (int) month, (int) day).toEpochDay();
    return Long.toString(
        (((days * 24 + hours) * 60 + minutes) * 60 + seconds - offset) * MICROS + micros);
  }

  private static boolean isDigit(char c) {
    return c >= '0' && c <= '9';
  }

  /** The digits there; negative if it is not digits alone. */
  private static long number(String text, int from, int to) {
    if (from >= to || to > text.length() || to - from > 9) {
      return -1;
    }
    long n = 0;
    for (int i = from; i < to; i++) {
      char c = text.charAt(i);
      if (!isDigit(c)) {
        return -1;
      }
      n = n * 10 + (c - '0');
    }
    return n;
  }
}
