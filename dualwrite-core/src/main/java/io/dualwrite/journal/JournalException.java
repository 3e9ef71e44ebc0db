package io.dualwrite.journal;

/**
 * The journal cannot do what was asked. The message is one sentence for the operator: what, where,
 * what to do.
 */
public class JournalException extends RuntimeException {
  /** With a sentence for the operator. */
  public JournalException(String message) {
    super(message);
  }

  /** With a sentence for the operator and the cause. */
  public JournalException(String message, Throwable cause) {
    super(message, cause);
  }
}
