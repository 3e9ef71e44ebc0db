package io.dualwrite.config;

import java.time.DateTimeException;
import java.time.Duration;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Reads the text of a setting's value. Every method throws IllegalArgumentException. */
final class Values {

  private static final Pattern AMOUNT = Pattern.compile("([0-9]{1,18})\\s*([A-Za-z]*)");

  private Values() {}

  /**
   * The value in the form that the setting's type has in Java: String, Integer, Long (bytes),
   * Duration, Boolean, Double.
   */
  static Object parse(Setting setting, String text) {
    String t = text.trim();
    return switch (setting.type()) {
      case STRING -> t;
      case SECRET -> text;
      case URL -> {
        try {
          PgUri.parse(t);
        } catch (IllegalArgumentException e) {
          throw new IllegalArgumentException(setting.key() + ": " + e.getMessage(), e);
        }
        yield t;
      }
      case INT -> integer(setting, t);
      case BYTES -> bytes(setting, t);
      case DURATION -> duration(setting, t);
      case BOOL ->
          switch (t.toLowerCase(Locale.ROOT)) {
            case "true", "on", "yes" -> true;
            case "false", "off", "no" -> false;
            default -> throw bad(setting, t, "true or false", null);
          };
      case RATE -> rate(setting, t);
      case CHOICE -> {
        String c = t.toLowerCase(Locale.ROOT).replace('_', '-');
        if (!setting.choices().contains(c)) {
          throw bad(setting, t, "one of " + String.join(", ", setting.choices()), null);
        }
        yield c;
      }
    };
  }

  private static Integer integer(Setting setting, String text) {
    String range = "a whole number from " + setting.min() + " to " + setting.max();
    try {
      int n = Integer.parseInt(text);
      if (n >= setting.min() && n <= setting.max()) {
        return n;
      }
    } catch (NumberFormatException e) {
      throw bad(setting, text, range, e);
    }
    throw bad(setting, text, range, null);
  }

  private static Double rate(Setting setting, String text) {
    try {
      double d = Double.parseDouble(text);
      if (d >= 0 && d <= 1) {
        return d;
      }
    } catch (NumberFormatException e) {
      throw bad(setting, text, "a number from 0 to 1", e);
    }
    throw bad(setting, text, "a number from 0 to 1", null);
  }

  private static Long bytes(Setting setting, String text) {
    String allowed = "a number of bytes such as 65536, 512kB, 64MB or 1GB";
    Matcher m = AMOUNT.matcher(text);
    if (!m.matches()) {
      throw bad(setting, text, allowed, null);
    }
    long unit =
        switch (m.group(2).toLowerCase(Locale.ROOT)) {
          case "", "b" -> 1L;
          case "kb" -> 1L << 10;
          case "mb" -> 1L << 20;
          case "gb" -> 1L << 30;
          case "tb" -> 1L << 40;
          default -> throw bad(setting, text, allowed, null);
        };
    try {
      return Math.multiplyExact(Long.parseLong(m.group(1)), unit);
    } catch (ArithmeticException e) {
      throw bad(setting, text, allowed, e);
    }
  }

  private static Duration duration(Setting setting, String text) {
    String allowed = "a time above zero with its unit, such as 250ms, 5s, 2m or 1h";
    Duration d;
    try {
      Matcher m = AMOUNT.matcher(text);
      if (m.matches()) {
        long n = Long.parseLong(m.group(1));
        d =
            switch (m.group(2).toLowerCase(Locale.ROOT)) {
              case "ms" -> Duration.ofMillis(n);
              case "s" -> Duration.ofSeconds(n);
              case "m", "min" -> Duration.ofMinutes(n);
              case "h" -> Duration.ofHours(n);
              case "d" -> Duration.ofDays(n);
              default -> throw bad(setting, text, allowed, null);
            };
      } else {
        d = Duration.parse(text);
      }
      // whoever hands it to a driver, a pool or a server does so in milliseconds
      if (d.toMillis() > 0) {
        return d;
      }
    } catch (DateTimeException | ArithmeticException e) {
      throw bad(setting, text, allowed, e);
    }
    throw bad(setting, text, allowed, null);
  }

  private static IllegalArgumentException bad(
      Setting setting, String text, String allowed, Exception cause) {
    return new IllegalArgumentException(
        setting.key() + " is '" + text + "'; it must be " + allowed, cause);
  }
}
