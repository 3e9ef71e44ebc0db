package io.dualwrite.backfill;

/** The backfill cannot go on. The message is for the operator: what, where, and what to do. */
public final class BackfillException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** With the sentence that is shown. */
  public BackfillException(String message) {
    super(message);
  }

  /** With the sentence that is shown, and its cause. */
  public BackfillException(String message, Throwable cause) {
    super(message, cause);
  }
}
