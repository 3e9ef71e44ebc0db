package io.dualwrite.sql;

/**
 * Cuts a text into tokens as PostgreSQL's scanner does (src/backend/parser/scan.l of version 18),
 * with the JDBC parameter {@code ?} and its escape {@code ??} as pgjdbc reads them. The tokens,
 * blanks and comments among them, join to the text again. Each character is looked at a bounded
 * number of times; no text makes it throw.
 *
 * <p>Where server versions differ the newest is followed, as long as an older one refuses the text.
 */
final class Lexer {

  // ---- what a character below 128 can be

  private static final byte NAME_START = 1;
  private static final byte DIGIT = 2;
  private static final byte NAME_PART = 4;
  private static final byte BLANK = 8;
  private static final byte OPERATOR = 16;
  private static final byte[] CLASSES = new byte[128];

  static {
    for (char c = 0; c < CLASSES.length; c++) {
      boolean letter = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_';
      boolean digit = c >= '0' && c <= '9';
      int is = letter ? NAME_START : 0;
      is |= digit ? DIGIT : 0;
      is |= letter || digit || c == '$' ? NAME_PART : 0;
      is |= c == ' ' || c >= '\t' && c <= '\r' ? BLANK : 0;
      is |= "+-*/<>=~!@#%^&|`".indexOf(c) >= 0 ? OPERATOR : 0;
      CLASSES[c] = (byte) is;
    }
  }

  private final String text;
  private final int length;

  /** The text, and two zeros, which no rule looks for. */
  private final char[] chars;

  private final boolean standardStrings;

  /** Until here only signs follow that the operator rule left to be single tokens. */
  private int signs;

  /** The current token. */
  Token token = Token.BLANK;

  /** Where the current token begins. */
  int start;

  /** Where the current token ends. */
  int end;

  /** What the current token is if it is a {@link Token#WORD}. */
  Word word = Word.NONE;

  /**
   * @param standardStrings whether a backslash in {@code '…'} means itself
   *     (standard_conforming_strings)
   */
  Lexer(String text, boolean standardStrings) {
    this.text = text;
    this.length = text.length();
    this.chars = new char[length + 2];
    text.getChars(0, length, chars, 0);
    this.standardStrings = standardStrings;
  }

  /** Moves to the next token that is no blank. */
  void nextVisible() {
    int i = end;
    while (isBlank(chars[i])) {
      i++;
    }
    end = i;
    next();
  }

  /** Moves to the next token; {@link Token#END} again and again after the last. */
  void next() {
    start = end;
    word = Word.NONE;
    if (start == length) {
      token = Token.END;
      return;
    }
    char c = at(start);
    switch (c) {
      case ' ', '\t', '\n', '\r', '\f', '\u000b' -> blank();
      case '\'' -> string(start, standardStrings ? Token.STRING : Token.ESCAPED);
      case '"' -> quoted(start);
      case '$' -> dollar();
      case '(', '[', '{' -> one(Token.OPEN);
      case ')', ']', '}' -> one(Token.CLOSE);
      case ',' -> one(Token.COMMA);
      case ';' -> one(Token.SEMICOLON);
      case ':' -> colon();
      case '.' -> {
        if (isDigit(at(start + 1))) {
          number();
        } else {
          one(Token.DOT);
        }
      }
      case '-' -> {
        if (at(start + 1) == '-') {
          lineComment();
        } else {
          operator();
        }
      }
      case '/' -> {
        if (at(start + 1) == '*') {
          blockComment();
        } else {
          operator();
        }
      }
      case '?' -> {
        if (at(start + 1) == '?') {
          operator();
        } else {
          one(Token.PARAMETER);
        }
      }
      default -> {
        if (isDigit(c)) {
          number();
        } else if (isNameStart(c)) {
          name(c);
        } else if (isOperator(c)) {
          operator();
        } else {
          one(Token.JUNK);
        }
      }
    }
  }

  private void one(Token kind) {
    take(kind, start + 1);
  }

  private void take(Token kind, int to) {
    token = kind;
    end = to;
  }

  /** The character there; 0 past the end. */
  private char at(int i) {
    return chars[i];
  }

  private void blank() {
    int i = start + 1;
    while (isBlank(chars[i])) {
      i++;
    }
    take(Token.BLANK, i);
  }

  private void lineComment() {
    take(Token.COMMENT, lineEnd(start));
  }

  private int lineEnd(int from) {
    int i = from;
    while (i < length && at(i) != '\n' && at(i) != '\r') {
      i++;
    }
    return i;
  }

  private void blockComment() {
    int depth = 1;
    int i = start + 2;
    while (i < length) {
      char c = at(i);
      if (c == '*' && at(i + 1) == '/') {
        i += 2;
        if (--depth == 0) {
          take(Token.COMMENT, i);
          return;
        }
      } else if (c == '/' && at(i + 1) == '*') {
        i += 2;
        depth++;
      } else {
        i++;
      }
    }
    take(Token.JUNK, length);
  }

  private void name(char first) {
    char second = at(start + 1);
    if (second == '\'') {
      switch (first) {
        case 'e', 'E' -> {
          string(start + 1, Token.ESCAPED);
          return;
        }
        case 'b', 'B', 'x', 'X' -> {
          string(start + 1, Token.SPECIAL);
          return;
        }
        case 'n', 'N' -> {
          string(start + 1, standardStrings ? Token.SPECIAL : Token.ESCAPED);
          token = token == Token.JUNK ? Token.JUNK : Token.SPECIAL;
          return;
        }
        default -> {
          // a name, and a string behind it
        }
      }
    } else if (second == '&' && (first == 'u' || first == 'U')) {
      if (at(start + 2) == '\'') {
        string(start + 2, Token.SPECIAL);
        return;
      } else if (at(start + 2) == '"') {
        quoted(start + 2);
        return;
      }
    }
    char[] t = chars;
    int hash = 0;
    boolean ascii = true;
    int i = start;
    for (char c = first; ; c = t[i]) {
      if (c >= 0x80) {
        ascii = false;
      } else if ((CLASSES[c] & NAME_PART) == 0) {
        break;
      }
      hash = Word.hash(hash, c);
      i++;
    }
    if (ascii) {
      take(Token.WORD, i);
      word = Word.of(t, start, i, hash);
    } else {
      take(isWellFormed(i) ? Token.WORD : Token.JUNK, i);
    }
  }

  /**
   * Whether the text from the token's start has no half of a surrogate pair. Java sends such a half
   * to the server as a question mark, which is no part of a name.
   */
  private boolean isWellFormed(int to) {
    for (int i = start; i < to; i++) {
      char c = at(i);
      if (Character.isSurrogate(c)) {
        if (Character.isLowSurrogate(c) || !Character.isLowSurrogate(at(i + 1))) {
          return false;
        }
        i++;
      }
    }
    return true;
  }

  /** A string whose opening quote is at {@code open}. */
  private void string(int open, Token kind) {
    boolean backslashes = kind == Token.ESCAPED;
    int i = open + 1;
    boolean continued = false;
    while (i < length) {
      char c = at(i);
      if (c == '\\' && backslashes) {
        i += 2;
      } else if (c != '\'') {
        i++;
      } else if (at(i + 1) == '\'') {
        i += 2;
      } else {
        int next = continuation(i + 1);
        if (next < 0) {
          take(continued ? Token.SPECIAL : kind, i + 1);
          return;
        }
        continued = true;
        i = next + 1;
      }
    }
    take(Token.JUNK, length);
  }

  /**
   * The quote that goes on with a string after a line break, in the same quoting style, or -1. The
   * look-ahead ends at the first token that is no blank and no line comment, so that a text of many
   * strings is still read in linear time: what was looked at is either skipped or blank.
   */
  private int continuation(int from) {
    boolean newline = false;
    int i = from;
    while (i < length) {
      char c = at(i);
      if (c == '\n' || c == '\r') {
        newline = true;
        i++;
      } else if (isBlank(c)) {
        i++;
      } else if (c == '-' && at(i + 1) == '-') {
        i = lineEnd(i);
      } else {
        return c == '\'' && newline ? i : -1;
      }
    }
    return -1;
  }

  private void quoted(int open) {
    int i = open + 1;
    while (i < length) {
      if (at(i) != '"') {
        i++;
      } else if (at(i + 1) == '"') {
        i += 2;
      } else {
        take(Token.QUOTED, i + 1);
        return;
      }
    }
    take(Token.JUNK, length);
  }

  private void dollar() {
    int i = start + 1;
    if (isDigit(at(i))) {
      while (isDigit(at(i))) {
        i++;
      }
      take(Token.NUMBERED, i);
      return;
    }
    if (i < length && isNameStart(at(i))) {
      i++;
      while (i < length && isNamePart(at(i)) && at(i) != '$') {
        i++;
      }
    }
    if (at(i) != '$') {
      one(Token.JUNK);
      return;
    }
    // The server takes "1$$…$$" for a number and a string, pgjdbc takes the dollars for the rest of
    // a name.
    boolean odd = (start > 0 && isNamePart(at(start - 1))) || !isWellFormed(i);
    String tag = text.substring(start, i + 1);
    int close = text.indexOf(tag, i + 1);
    if (close < 0) {
      take(Token.JUNK, length);
    } else {
      take(odd ? Token.JUNK : Token.DOLLAR, close + tag.length());
    }
  }

  private void number() {
    int i = start;
    char second = (char) (at(i + 1) | 0x20);
    if (at(i) == '0' && (second == 'x' || second == 'o' || second == 'b')) {
      int digits = i + 2;
      int to = digits;
      while (isRadixDigit(at(to), second) || (at(to) == '_' && isRadixDigit(at(to + 1), second))) {
        to++;
      }
      if (to > digits) {
        take(Token.NUMBER, to);
        return;
      }
    }
    i = digits(i);
    // "1..2" is a number, two dots and a number
    if (at(i) == '.' && at(i + 1) != '.') {
      i = isDigit(at(i + 1)) ? digits(i + 1) : i + 1;
    }
    if (at(i) == 'e' || at(i) == 'E') {
      int exponent = at(i + 1) == '+' || at(i + 1) == '-' ? i + 2 : i + 1;
      if (isDigit(at(exponent))) {
        i = digits(exponent);
      }
    }
    take(Token.NUMBER, i);
  }

  private int digits(int from) {
    int i = from;
    while (isDigit(at(i)) || (at(i) == '_' && i > from && isDigit(at(i + 1)))) {
      i++;
    }
    return i;
  }

  private void colon() {
    if (at(start + 1) == ':') {
      take(Token.CAST, start + 2);
    } else if (at(start + 1) == '=') {
      take(Token.OPERATOR, start + 2);
    } else {
      one(Token.OPERATOR);
    }
  }

  private void operator() {
    if (start < signs) {
      one(Token.OPERATOR);
      return;
    }
    int i = start;
    boolean mayEndInSign = false;
    while (i < length) {
      char c = at(i);
      if (c == '?') {
        if (at(i + 1) != '?') {
          break;
        }
        i += 2;
        mayEndInSign = true;
      } else if (!isOperator(c)
          || (c == '-' && at(i + 1) == '-')
          || (c == '/' && at(i + 1) == '*')) {
        break;
      } else {
        mayEndInSign |= "~!@#^&|`%".indexOf(c) >= 0;
        i++;
      }
    }
    // SQL wants "a=-1" to be a comparison with -1: such a sign belongs to what follows
    signs = i;
    while (!mayEndInSign && i - start > 1 && (at(i - 1) == '-' || at(i - 1) == '+')) {
      i--;
    }
    take(Token.OPERATOR, i);
  }

  private static boolean is(char c, byte what) {
    return c < 0x80 && (CLASSES[c] & what) != 0;
  }

  private static boolean isBlank(char c) {
    return is(c, BLANK);
  }

  private static boolean isDigit(char c) {
    return is(c, DIGIT);
  }

  private static boolean isRadixDigit(char c, char radix) {
    return switch (radix) {
      case 'b' -> c == '0' || c == '1';
      case 'o' -> c >= '0' && c <= '7';
      default -> isDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    };
  }

  private static boolean isNameStart(char c) {
    return c >= 0x80 || is(c, NAME_START);
  }

  private static boolean isNamePart(char c) {
    return c >= 0x80 || is(c, NAME_PART);
  }

  private static boolean isOperator(char c) {
    return is(c, OPERATOR);
  }
}
