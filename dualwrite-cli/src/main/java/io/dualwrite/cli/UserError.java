package io.dualwrite.cli;

/** Something the operator can mend. The message is one sentence: what is wrong, and the way out. */
public final class UserError extends RuntimeException {

  /** With the sentence that is shown. */
  public UserError(String message) {
    super(message);
  }

  /** With the sentence that is shown, and the cause that {@code --verbose} shows. */
  public UserError(String message, Throwable cause) {
    super(message, cause);
  }
}
