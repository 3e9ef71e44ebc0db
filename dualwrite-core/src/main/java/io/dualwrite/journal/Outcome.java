package io.dualwrite.journal;

/** What is known of an intent's primary transaction. */
public enum Outcome {
  /**
   * Nothing: the process died before it knew, or COMMIT got no answer. The primary has to be asked.
   */
  UNKNOWN,
  /** It committed: the primary said so. */
  COMMITTED
}
