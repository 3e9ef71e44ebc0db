package io.dualwrite.backfill;

/** The backfill cannot go on. The message is for the operator: what, where, and what to do. */
public final class BackfillException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  BackfillException(String message) {
    super(message);
  }

  BackfillException(String message, Throwable cause) {
    super(message, cause);
  }
}
