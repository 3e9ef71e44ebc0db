package io.dualwrite.sql;

/** What a query's text says of its result: which rows, in which order. */
public enum RowOrder {
  /** The outermost query has ORDER BY: two executions give the same sequence, ties apart. */
  ORDERED,
  /** The rows are determined, their order is not. */
  UNORDERED,
  /**
   * Somewhere a LIMIT, OFFSET, FETCH, DISTINCT ON or TABLESAMPLE picks rows without an order: two
   * executions may give other rows.
   */
  ARBITRARY;

  /** Looks at one statement's text. */
  public static RowOrder of(String sql) {
    Lexer lexer = new Lexer(sql, true);
    boolean[] ordered = new boolean[16];
    int depth = 0;
    boolean outer = false;
    Word before = Word.NONE;
    for (lexer.next(); lexer.token != Token.END; lexer.next()) {
      switch (lexer.token) {
        case OPEN -> {
          if (++depth == ordered.length) {
            ordered = java.util.Arrays.copyOf(ordered, depth * 2);
          }
          ordered[depth] = false;
        }
        case CLOSE -> depth = Math.max(0, depth - 1);
        case WORD -> {
          switch (lexer.word) {
            case BY -> {
              if (before == Word.ORDER) {
                ordered[depth] = true;
                outer |= depth == 0;
              }
            }
            case LIMIT, OFFSET, FETCH -> {
              if (!ordered[depth]) {
                return ARBITRARY;
              }
            }
            case ON -> {
              if (before == Word.DISTINCT) {
                return ARBITRARY;
              }
            }
            case TABLESAMPLE -> {
              return ARBITRARY;
            }
            default -> {}
          }
          before = lexer.word;
        }
        default -> {}
      }
    }
    return outer ? ORDERED : UNORDERED;
  }
}
