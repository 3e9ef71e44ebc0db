package io.dualwrite.model;

/**
 * Every rule of the protocol that can be switched off, with the sentence it stands for. Code of the
 * product that carries one names it.
 */
enum Rule {
  FLUSH_BEFORE_COMMIT(Style.KEYED, "the mirror is flushed before the primary commits"),
  INTENT_BEFORE_COMMIT(Style.KEYED, "the intent is durable before the primary commits"),
  PULL_LATEST(Style.KEYED, "resync writes the primary's current rows, not the intent's images"),
  RECHECK(
      Style.KEYED,
      "resync reads the primary again before its commit, under its row locks on the mirror, and"
          + " corrects what moved"),
  WAIT_ENDED(
      Style.KEYED,
      "an intent is resynced or replayed only after its primary transaction is known to have"
          + " ended"),
  WAIT_INFLIGHT(
      Style.KEYED,
      "a key absent on both sides is settled only after the mirror transactions then in flight"
          + " have ended"),
  MISMATCH_ROLLS_BACK(
      Style.EITHER, "a mirror transaction whose count differs is rolled back, never committed"),
  ZERO_NOT_SHIPPED(
      Style.EITHER, "a statement that changed nothing on the primary is not run on the mirror"),
  KEYS_NOT_PREDICATES(
      Style.KEYED,
      "the mirror changes the keys that the primary returned, never what the predicate finds"
          + " there"),
  CASCADE_CLOSURE(
      Style.KEYED,
      "resync of a deleted key takes in the mirror's rows that refer to it by a cascading foreign"
          + " key"),
  CHILDREN_UNDER_LOCK(
      Style.KEYED,
      "they are looked for while the mirror's parent row is locked FOR UPDATE, so that none is in"
          + " flight"),
  WHOLE_IMAGE(
      Style.KEYED,
      "an UPDATE ships the whole row, not only the columns that it assigned, and the mirror"
          + " upserts it"),
  ROLLBACK_TO_TRUNCATES(Style.KEYED, "what was rolled back to a savepoint leaves the unit of work"),
  ROLLBACK_TO_KEEPS(Style.KEYED, "what came before the savepoint stays in the unit of work"),
  REKEY_BY_OLD_KEY(
      Style.KEYED, "a key change is shipped as an UPDATE by the old key, not as the new row alone"),
  REKEY_TAKES_BOTH(
      Style.KEYED, "a key change that stays pending is resynced by both keys, the old and the new"),
  PULL_RIVALS(
      Style.KEYED,
      "when a stale row holds a unique value that resync writes, its key is taken in as well"),
  SWAP_IN_ONE_STATEMENT(
      Style.KEYED, "rows that exchange unique values are deleted and inserted by one statement"),
  RETRY_IS_FRESH(
      Style.KEYED,
      "a flush that is tried again begins with its first change in a new mirror transaction"),
  SUSPECT_BEFORE_COMMIT(
      Style.KEYED,
      "the suspect that stands for a unit too large is durable before the primary commits"),
  LIST_AFTER_INFLIGHT(
      Style.KEYED,
      "the resync of a suspect table lists its keys only after the mirror transactions then in"
          + " flight have ended"),
  SUSPECT_CARRIES_XID(
      Style.KEYED_AND_KEYLESS,
      "a suspect is closed only by reads that see the end of the transaction that opened it"),
  MARKER(Style.KEYLESS, "a keyless unit writes its marker in the same mirror transaction"),
  MARKER_BY_INSERT(
      Style.KEYLESS, "a replay claims the marker by inserting it (unique), not by looking it up"),
  LOCK_THEN_DELETE_THEN_SNAPSHOT(Style.KEYLESS, "recopy: lock, delete, only then the snapshot"),
  SNAPSHOT_RECORDED(Style.KEYLESS, "recopy records its snapshot and replay respects it"),
  LOCK_BEFORE_VISIBILITY(
      Style.KEYLESS, "a replay takes its table lock before it reads the recorded snapshot"),
  TRUNCATE_RECORDS_SNAPSHOT(
      Style.KEYLESS, "a TRUNCATE of a keyless table records the primary's snapshot, like a recopy"),
  INCARNATION(
      Style.KEYLESS,
      "xids and snapshots are compared only within one incarnation of the primary; a doubt across"
          + " a crash is a suspect"),
  ACK_WHEN_DRAINED(
      Style.CUTOVER,
      "a writer acknowledges the pause only with nothing in flight and nothing pending"),
  RESUME_BY_WORD(
      Style.CUTOVER,
      "an acknowledged writer goes on only on the word of the control row (flip or abort,"
          + " compare-and-set)"),
  FENCE(
      Style.CUTOVER,
      "a writer cut off as dead is fenced: sessions ended on both databases, the old primary"
          + " read-only to the old epoch"),
  DEAD_JOURNAL(Style.CUTOVER, "a dead writer's journal is drained before the flip");

  /** What a rule is about. */
  enum Style {
    KEYED("keyed"),
    /** One of the two is enough. */
    EITHER("either"),
    KEYED_AND_KEYLESS("both"),
    KEYLESS("keyless"),
    CUTOVER("cutover");

    final String word;

    Style(String word) {
      this.word = word;
    }
  }

  final Style style;
  final String text;

  Rule(Style style, String text) {
    this.style = style;
    this.text = text;
  }
}
