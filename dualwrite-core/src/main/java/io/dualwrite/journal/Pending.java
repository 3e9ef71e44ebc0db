package io.dualwrite.journal;

/**
 * An intent that is not resolved and that no commit is working on any more.
 *
 * @param intent the intent
 * @param outcome what is known of its primary transaction
 */
public record Pending(Intent intent, Outcome outcome) {}
