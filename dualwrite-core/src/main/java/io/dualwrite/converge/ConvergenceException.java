package io.dualwrite.converge;

/**
 * The mirror cannot be made equal without help from outside: a table or column is missing there, or
 * a constraint of the mirror forbids what the primary holds. Trying again changes nothing. The
 * message is one sentence for the operator: what, where, what to do.
 */
public final class ConvergenceException extends Exception {

  /** With a sentence for the operator. */
  public ConvergenceException(String message) {
    super(message);
  }

  /** With a sentence for the operator and the cause. */
  public ConvergenceException(String message, Throwable cause) {
    super(message, cause);
  }
}
