package io.dualwrite.sql;

/** The kinds of tokens. */
enum Token {
  /** The end of the text. */
  END,
  /** Blanks and line breaks. */
  BLANK,
  /** {@code -- …} or a nested block comment. */
  COMMENT,
  /** An identifier or keyword without quotes. */
  WORD,
  /** {@code "…"} or {@code U&"…"}. */
  QUOTED,
  /** {@code '…'} in which a backslash means itself. */
  STRING,
  /** {@code E'…'}. */
  ESCAPED,
  /** {@code $tag$…$tag$}. */
  DOLLAR,
  /**
   * {@code B'…'}, {@code X'…'}, {@code N'…'}, {@code U&'…'}, or a string continued on a new line.
   */
  SPECIAL,
  /** A number without sign. */
  NUMBER,
  /** {@code ?}. */
  PARAMETER,
  /** {@code $1}. */
  NUMBERED,
  /** {@code ::}. */
  CAST,
  /** Any operator, also {@code *}, {@code =}, {@code :=} and {@code ??}. */
  OPERATOR,
  /** {@code (}, {@code [} or <code>{</code>. */
  OPEN,
  /** {@code )}, {@code ]} or <code>}</code>. */
  CLOSE,
  /** {@code ,}. */
  COMMA,
  /** {@code .}. */
  DOT,
  /** {@code ;}. */
  SEMICOLON,
  /** What no PostgreSQL text can contain there, or a quote or comment without end. */
  JUNK
}
