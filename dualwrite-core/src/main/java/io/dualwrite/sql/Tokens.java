package io.dualwrite.sql;

import java.util.Arrays;

/** The tokens of a text without blanks and comments, with matching parentheses linked. */
final class Tokens {

  final String text;

  /** Whether no server accepts the text: an open quote or parenthesis, a stray character. */
  boolean broken;

  /** Whether a semicolon stands in parentheses. */
  boolean nestedSemicolon;

  int size;

  /** How many {@code ?} there are, and the highest {@code $n}. */
  private int questionMarks;

  private int highestNumber;

  private Token[] kinds;
  private Word[] words;

  /** Of each token three: where it begins, where it ends, its link. */
  private int[] places;

  Tokens(String text, boolean standardStrings) {
    this.text = text;
    int capacity = text.length() / 5 + 8;
    kinds = new Token[capacity];
    words = new Word[capacity];
    places = new int[3 * capacity];
    read(new Lexer(text, standardStrings));
  }

  private void read(Lexer lexer) {
    int open = -1;
    for (lexer.nextVisible(); lexer.token != Token.END; lexer.nextVisible()) {
      int link = -1;
      switch (lexer.token) {
        case COMMENT -> {
          continue;
        }
        case PARAMETER -> link = ++questionMarks;
        case NUMBERED -> {
          link = number(lexer.start + 1, lexer.end);
          highestNumber = Math.max(highestNumber, link);
        }
        case JUNK -> broken = true;
        case SEMICOLON -> nestedSemicolon |= open >= 0;
        case OPEN -> {
          // Until its partner is found the link leads to the parenthesis around it.
          link = open;
          open = size;
        }
        case CLOSE -> {
          if (open < 0) {
            broken = true;
          } else {
            broken |= !pair(text.charAt(start(open)), text.charAt(lexer.start));
            int outer = link(open);
            places[3 * open + 2] = size;
            link = open;
            open = outer;
          }
        }
        default -> {}
      }
      add(lexer, link);
    }
    while (open >= 0) {
      broken = true;
      int outer = link(open);
      places[3 * open + 2] = -1;
      open = outer;
    }
  }

  private void add(Lexer lexer, int link) {
    if (size == kinds.length) {
      int capacity = size * 2;
      kinds = Arrays.copyOf(kinds, capacity);
      words = Arrays.copyOf(words, capacity);
      places = Arrays.copyOf(places, 3 * capacity);
    }
    int i = size++;
    kinds[i] = lexer.token;
    // Behind a dot even a reserved word is a name.
    words[i] = i > 0 && kinds[i - 1] == Token.DOT ? Word.NONE : lexer.word;
    int[] p = places;
    int at = 3 * i;
    p[at + 2] = link;
    p[at + 1] = lexer.end;
    p[at] = lexer.start;
  }

  private static boolean pair(char open, char close) {
    return switch (open) {
      case '(' -> close == ')';
      case '[' -> close == ']';
      default -> close == '}';
    };
  }

  private int number(int from, int to) {
    int n = 0;
    for (int i = from; i < to; i++) {
      n = n * 10 + (text.charAt(i) - '0');
      if (n > 65_535) {
        // more than the protocol knows
        broken = true;
        return 0;
      }
    }
    return n;
  }

  Token kind(int i) {
    return kinds[i];
  }

  Word word(int i) {
    return words[i];
  }

  int start(int i) {
    return places[3 * i];
  }

  int end(int i) {
    return places[3 * i + 1];
  }

  /** Of a parenthesis its partner or -1, of a parameter its number. */
  int link(int i) {
    return places[3 * i + 2];
  }

  /** Whether the token is this single character. */
  boolean is(int i, char c) {
    int start = start(i);
    return end(i) - start == 1 && text.charAt(start) == c;
  }

  /** Whether the token can be part of a name: a word or a quoted identifier. */
  boolean isIdentifier(int i) {
    return kinds[i] == Token.WORD || kinds[i] == Token.QUOTED;
  }

  /** The token as written. */
  String string(int i) {
    return text.substring(start(i), end(i));
  }

  /** The identifier's name as the catalog has it. */
  String name(int i) {
    return Names.catalog(text, start(i), end(i));
  }

  /** The last token of the group that begins there, or the token itself. */
  int skip(int i) {
    return kinds[i] == Token.OPEN && link(i) > i ? link(i) : i;
  }

  /** How many {@code ?} are between two tokens, or the highest {@code $n}. */
  int parameters(int from, int to) {
    int count = questionMarks(from, to);
    if (count > 0 || highestNumber == 0) {
      return count;
    }
    if (isAll(from, to)) {
      return highestNumber;
    }
    int highest = 0;
    for (int i = from; i < to; i++) {
      if (kinds[i] == Token.NUMBERED) {
        highest = Math.max(highest, link(i));
      }
    }
    return highest;
  }

  /** How many {@code ?} are between two tokens. */
  int questionMarks(int from, int to) {
    if (questionMarks == 0 || isAll(from, to)) {
      return questionMarks;
    }
    int count = 0;
    for (int i = from; i < to; i++) {
      if (kinds[i] == Token.PARAMETER) {
        count++;
      }
    }
    return count;
  }

  private boolean isAll(int from, int to) {
    return from == 0 && to >= size - 1 && (to == size || kinds[to] == Token.SEMICOLON);
  }
}
