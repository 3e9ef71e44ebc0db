package io.dualwrite.journal;

/**
 * A unit of work as a journal's files have it, for tools: see {@link JournalReader#units}.
 *
 * @param intent the unit
 * @param state what became of it
 * @param outcome what the journal knows of its primary transaction; of a resolved one it does not
 *     matter any more
 * @param error why it was parked; null if it is not
 */
public record JournalUnit(Intent intent, State state, Outcome outcome, String error) {

  /** What became of a unit. */
  public enum State {
    /** The mirror may lack it. In a journal in use a commit may be working on it. */
    PENDING,
    /** It failed for good and was set aside. */
    PARKED,
    /** The mirror has it, or its transaction aborted, or it was skipped. */
    RESOLVED
  }
}
