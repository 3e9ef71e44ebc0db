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
  private Token[] kinds;
  private Word[] words;
  private int[] starts;
  private int[] ends;

  /** Of a parenthesis its partner or -1, of a parameter its number. */
  private int[] links;

  Tokens(String text, boolean standardStrings) {
    this.text = text;
    int capacity = text.length() / 5 + 8;
    kinds = new Token[capacity];
    words = new Word[capacity];
    starts = new int[capacity];
    ends = new int[capacity];
    links = new int[capacity];
    read(new Lexer(text, standardStrings));
  }

  private void read(Lexer lexer) {
    int open = -1;
    int parameters = 0;
    for (lexer.next(); lexer.token != Token.END; lexer.next()) {
      int link = -1;
      switch (lexer.token) {
        case BLANK, COMMENT -> {
          continue;
        }
        case PARAMETER -> link = ++parameters;
        case NUMBERED -> link = number(lexer.start + 1, lexer.end);
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
            broken |= !pair(text.charAt(starts[open]), text.charAt(lexer.start));
            int outer = links[open];
            links[open] = size;
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
      int outer = links[open];
      links[open] = -1;
      open = outer;
    }
  }

  private void add(Lexer lexer, int link) {
    if (size == kinds.length) {
      int capacity = size * 2;
      kinds = Arrays.copyOf(kinds, capacity);
      words = Arrays.copyOf(words, capacity);
      starts = Arrays.copyOf(starts, capacity);
      ends = Arrays.copyOf(ends, capacity);
      links = Arrays.copyOf(links, capacity);
    }
    kinds[size] = lexer.token;
    // Behind a dot even a reserved word is a name.
    words[size] = size > 0 && kinds[size - 1] == Token.DOT ? Word.NONE : lexer.word;
    starts[size] = lexer.start;
    ends[size] = lexer.end;
    links[size] = link;
    size++;
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
    return starts[i];
  }

  int end(int i) {
    return ends[i];
  }

  int link(int i) {
    return links[i];
  }

  /** Whether the token is this single character. */
  boolean is(int i, char c) {
    return ends[i] - starts[i] == 1 && text.charAt(starts[i]) == c;
  }

  /** Whether the token can be part of a name: a word or a quoted identifier. */
  boolean isIdentifier(int i) {
    return kinds[i] == Token.WORD || kinds[i] == Token.QUOTED;
  }

  /** The token as written. */
  String string(int i) {
    return text.substring(starts[i], ends[i]);
  }

  /** The identifier's name as the catalog has it. */
  String name(int i) {
    return Names.catalog(text, starts[i], ends[i]);
  }

  /** The last token of the group that begins there, or the token itself. */
  int skip(int i) {
    return kinds[i] == Token.OPEN && links[i] > i ? links[i] : i;
  }

  /** How many {@code ?} are between two tokens, or the highest {@code $n}. */
  int parameters(int from, int to) {
    int count = 0;
    int highest = 0;
    for (int i = from; i < to; i++) {
      if (kinds[i] == Token.PARAMETER) {
        count++;
      } else if (kinds[i] == Token.NUMBERED) {
        highest = Math.max(highest, links[i]);
      }
    }
    return count > 0 ? count : highest;
  }
}
