package io.dualwrite.sql;

/** A value in VALUES or in a predicate, as far as the text alone tells it. */
public sealed interface Operand {

  /**
   * A lone parameter.
   *
   * @param index counted from 1 over the whole text
   */
  record Parameter(int index) implements Operand {}

  /**
   * A lone constant.
   *
   * @param text its value as the server would read it from a string; null for NULL
   * @param type {@code int4}, {@code int8}, {@code numeric} or {@code bool} as the server types it;
   *     null for a string (the server's {@code unknown}) and for NULL
   */
  record Literal(String text, String type) implements Operand {}

  /** {@code DEFAULT}. */
  record Default() implements Operand {}

  /** Anything else: a cast, a function, an expression. */
  record Other() implements Operand {}
}
