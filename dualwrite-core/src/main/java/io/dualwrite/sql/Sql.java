package io.dualwrite.sql;

import java.util.List;
import java.util.Set;

/**
 * What the text of one JDBC call tells: its statements, their kinds, the tables they write and how.
 * Immutable and thread-safe.
 *
 * <h2>How it works</h2>
 *
 * <p>A scanner after PostgreSQL's own cuts the text into tokens, once. Strings, dollar quotes,
 * quoted identifiers and nested comments are single tokens, so that nothing inside them can be
 * taken for syntax, and each parenthesis knows its partner. Statements are then parsed by their
 * leading keyword and by the clauses that stand outside of parentheses; groups are stepped over.
 * One flat pass over a statement's tokens finds what may hide at any depth: a data-modifying WITH,
 * SELECT INTO, row locks, and names that are called. Every step is linear in the text.
 *
 * <p>The question that matters is: <em>could this write?</em> A false yes costs time, a false no
 * loses rows. So the rules are one-sided. A statement is a read only if it parses as one and no
 * token in it could begin a write; what does not parse is {@link Kind#UNKNOWN}. Clauses are only
 * reported where the grammar leaves no doubt: an operand with anything beside it is {@link
 * Operand.Other}, and a predicate is a key only if nothing else stands in it. What no text can tell
 * (what a name resolves to, whether a function writes, triggers, defaults) is left to the catalog.
 *
 * <p>The text is read as PreparedStatement reads it: {@code ?} is a parameter, {@code ??} an
 * operator. A plain Statement sends {@code ?} as it is; such a text has more parameters told here
 * than it has, and is otherwise read the same.
 *
 * <h2>Why not a parser library</h2>
 *
 * <p>A full parser has to know every statement of every server version, and the useful ones for
 * Java refuse a third of valid PostgreSQL (COPY, DO, {@code E'\''}, {@code ??}) and take a hundred
 * times as long. What is needed here is less: where a statement begins and ends, what it may do,
 * and the shape of the few forms that can be captured cheaply. New syntax that is not understood
 * degrades to "may write" instead of to an error.
 */
public final class Sql {

  private final String text;
  private final List<StatementInfo> statements;
  private final int parameters;
  private final boolean standardConformingStrings;

  private Sql(
      String text,
      List<StatementInfo> statements,
      int parameters,
      boolean standardConformingStrings) {
    this.text = text;
    this.standardConformingStrings = standardConformingStrings;
    this.statements = statements;
    this.parameters = parameters;
  }

  /** Analyses a text as given to JDBC. Throws for no text but null. */
  public static Sql analyze(String text) {
    return analyze(text, true);
  }

  /**
   * Analyses a text as given to JDBC. Throws for no text but null.
   *
   * @param standardConformingStrings the session's setting of that name: whether a backslash in
   *     {@code '…'} means itself
   */
  public static Sql analyze(String text, boolean standardConformingStrings) {
    Tokens tokens = new Tokens(text, standardConformingStrings);
    return new Sql(
        text,
        Parser.statements(tokens),
        tokens.parameters(0, tokens.size),
        standardConformingStrings);
  }

  /**
   * The parts of a name with dots, as the catalog has them: without quotes, folded to lower case
   * unless quoted, cut to the server's length. Empty if it is not a name.
   */
  public static List<String> nameParts(String written) {
    return Names.parts(written);
  }

  /** What it takes of memory, in bytes, about: most of it are values of an INSERT. */
  int size() {
    long n = 2L * text.length();
    for (StatementInfo s : statements) {
      n += s.size();
    }
    return (int) Math.min(n, Integer.MAX_VALUE);
  }

  /**
   * Whether one of these names, as the catalog has them, stands anywhere in the text, outside of
   * strings and comments.
   */
  public boolean mentions(Set<String> names) {
    if (names.isEmpty()) {
      return false;
    }
    Tokens tokens = new Tokens(text, standardConformingStrings);
    for (int i = 0; i < tokens.size; i++) {
      if (tokens.isIdentifier(i) && names.contains(tokens.name(i))) {
        return true;
      }
    }
    return false;
  }

  /**
   * A text, or a part of one like this, that a plain Statement sends as it is, as a
   * PreparedStatement without parameters has to have it.
   */
  public String doubled(String text) {
    Tokens tokens = new Tokens(text, standardConformingStrings);
    StringBuilder b = new StringBuilder(text.length() + 8);
    int done = 0;
    for (int i = 0; i < tokens.size; i++) {
      if (tokens.kind(i) == Token.PARAMETER) {
        b.append(text, done, tokens.end(i)).append('?');
        done = tokens.end(i);
      }
    }
    return b.append(text, done, text.length()).toString();
  }

  /** The text that was analysed. */
  public String text() {
    return text;
  }

  /** The statements between the semicolons; empty ones are left out. */
  public List<StatementInfo> statements() {
    return statements;
  }

  /** How many {@code ?} there are, or the highest {@code $n}. */
  public int parameters() {
    return parameters;
  }

  @Override
  public String toString() {
    return statements.toString();
  }
}
