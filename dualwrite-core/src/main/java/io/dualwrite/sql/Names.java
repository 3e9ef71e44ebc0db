package io.dualwrite.sql;

import java.util.ArrayList;
import java.util.List;

/** How the server reads identifiers and constants. */
final class Names {

  /** NAMEDATALEN - 1, in the bytes of UTF-8. */
  private static final int LONGEST = 63;

  private Names() {}

  /** The catalog's name for an identifier as written. */
  static String catalog(String text, int start, int end) {
    String name;
    char first = text.charAt(start);
    if (first == '"') {
      name = text.substring(start + 1, end - 1).replace("\"\"", "\"");
    } else if ((first == 'u' || first == 'U') && end - start > 3 && text.charAt(start + 1) == '&') {
      String raw = text.substring(start + 3, end - 1).replace("\"\"", "\"");
      String decoded = unicode(raw);
      name = decoded == null ? raw : decoded;
    } else {
      name = lower(text, start, end);
    }
    return truncate(name);
  }

  /** The parts of a name with dots, as the catalog has them; empty if it is none. */
  static List<String> parts(String written) {
    Tokens t = new Tokens(written, true);
    List<String> parts = new ArrayList<>(2);
    for (int i = 0; i < t.size; i++) {
      if (i % 2 == 0 ? !t.isIdentifier(i) : t.kind(i) != Token.DOT) {
        return List.of();
      }
      if (i % 2 == 0) {
        parts.add(t.name(i));
      }
    }
    return t.size % 2 == 0 ? List.of() : List.copyOf(parts);
  }

  /**
   * Only ASCII is folded: so does the server in every multi-byte encoding. String.toLowerCase would
   * fold more.
   */
  static String lower(String text) {
    return lower(text, 0, text.length());
  }

  private static String lower(String text, int start, int end) {
    for (int i = start; i < end; i++) {
      char c = text.charAt(i);
      if (c >= 'A' && c <= 'Z') {
        StringBuilder s = new StringBuilder(end - start);
        for (int k = start; k < end; k++) {
          char d = text.charAt(k);
          s.append(d >= 'A' && d <= 'Z' ? (char) (d + 32) : d);
        }
        return s.toString();
      }
    }
    return text.substring(start, end);
  }

  /** The server cuts long names, at a character's border. */
  private static String truncate(String name) {
    if (name.length() * 3 <= LONGEST) {
      return name;
    }
    int bytes = 0;
    for (int i = 0; i < name.length(); ) {
      int point = name.codePointAt(i);
      bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
      if (bytes > LONGEST) {
        return name.substring(0, i);
      }
      i += Character.charCount(point);
    }
    return name;
  }

  /** Resolves {@code \0041} and {@code \+000041}; null if the server would refuse it. */
  private static String unicode(String raw) {
    StringBuilder s = new StringBuilder(raw.length());
    int i = 0;
    while (i < raw.length()) {
      char c = raw.charAt(i);
      if (c != '\\') {
        s.append(c);
        i++;
      } else if (i + 1 < raw.length() && raw.charAt(i + 1) == '\\') {
        s.append('\\');
        i += 2;
      } else {
        boolean six = i + 1 < raw.length() && raw.charAt(i + 1) == '+';
        int from = six ? i + 2 : i + 1;
        int to = from + (six ? 6 : 4);
        int point = hex(raw, from, to);
        if (!Character.isValidCodePoint(point)) {
          return null;
        }
        s.appendCodePoint(point);
        i = to;
      }
    }
    return s.toString();
  }

  /** The hexadecimal number there; -1 if it is none. */
  private static int hex(String s, int from, int to) {
    if (to > s.length()) {
      return -1;
    }
    int n = 0;
    for (int i = from; i < to; i++) {
      int digit = s.charAt(i) < 0x80 ? Character.digit(s.charAt(i), 16) : -1;
      if (digit < 0) {
        return -1;
      }
      n = n * 16 + digit;
    }
    return n;
  }

  /** The value of {@code '…'}. */
  static String string(String text, int start, int end) {
    return text.substring(start + 1, end - 1).replace("''", "'");
  }

  /** The value of {@code $tag$…$tag$}. */
  static String dollar(String text, int start, int end) {
    int tag = text.indexOf('$', start + 1) + 1 - start;
    return text.substring(start + tag, end - tag);
  }

  /**
   * The value of {@code E'…'}; null where it takes the server to tell: bytes outside ASCII depend
   * on its encoding.
   */
  static String escaped(String text, int start, int end) {
    int i = text.charAt(start) == '\'' ? start + 1 : start + 2;
    int last = end - 1;
    StringBuilder s = new StringBuilder(last - i);
    while (i < last) {
      char c = text.charAt(i++);
      if (c == '\'') {
        i++;
      } else if (c == '\\') {
        c = text.charAt(i++);
        int code = -1;
        switch (c) {
          case 'b' -> code = '\b';
          case 'f' -> code = '\f';
          case 'n' -> code = '\n';
          case 'r' -> code = '\r';
          case 't' -> code = '\t';
          case 'v' -> {
            // a tab for servers from 16 on, the letter for older ones
            return null;
          }
          case 'x' -> {
            int from = i;
            while (i < last && i < from + 2 && hex(text, i, i + 1) >= 0) {
              i++;
            }
            code = from == i ? c : hex(text, from, i);
            if (from != i && (code == 0 || code >= 0x80)) {
              return null;
            }
          }
          case 'u', 'U' -> {
            int to = i + (c == 'u' ? 4 : 8);
            code = to <= last ? hex(text, i, to) : -1;
            if (code == 0 || !Character.isValidCodePoint(code)) {
              return null;
            }
            i = to;
          }
          default -> {
            code = c;
            if (c >= '0' && c <= '7') {
              code = c - '0';
              for (int k = 0; k < 2 && i < last && isOctal(text.charAt(i)); k++) {
                code = code * 8 + (text.charAt(i++) - '0');
              }
              if (code == 0 || code >= 0x80) {
                return null;
              }
            }
          }
        }
        s.appendCodePoint(code);
        continue;
      }
      s.append(c);
    }
    return s.toString();
  }

  private static boolean isOctal(char c) {
    return c >= '0' && c <= '7';
  }
}
