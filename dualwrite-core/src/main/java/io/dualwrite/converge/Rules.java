package io.dualwrite.converge;

import java.util.EnumSet;
import java.util.Set;

/**
 * The rules of the protocol that this package carries, by the names that its model gives them. Each
 * can be switched off for a test that shows what breaks without it: the system property {@code
 * dualwrite.test.off} names those that are off from the start.
 */
final class Rules {

  enum Rule {
    /** A mirror transaction whose count differs is rolled back, never committed. */
    MISMATCH_ROLLS_BACK,
    /** What a statement wrote is shipped by key; without it, its text is, for what it is worth. */
    KEYS_NOT_PREDICATES,
    /** A key change that stays pending is resynced by both keys, the old and the new. */
    REKEY_TAKES_BOTH,
    /** Resync reads the primary again, under its row locks on the mirror, and corrects. */
    RECHECK,
    /** An intent is taken up only after its primary transaction is known to have ended. */
    WAIT_ENDED,
    /**
     * A key absent on both sides is settled only after the mirror transactions then in flight have
     * ended.
     */
    WAIT_INFLIGHT,
    /** A deleted key takes in the mirror's rows that refer to it by a foreign key that acts. */
    CASCADE_CLOSURE,
    /** They are looked for while the parent row is locked FOR UPDATE. */
    CHILDREN_UNDER_LOCK,
    /** A keyless unit writes its marker in the same mirror transaction. */
    MARKER,
    /** A replay claims the marker by inserting it, not by looking it up. */
    MARKER_BY_INSERT,
    /** Recopy: lock, delete, only then the snapshot. */
    LOCK_THEN_DELETE_THEN_SNAPSHOT,
    /** Recopy records its snapshot and replay respects it. */
    SNAPSHOT_RECORDED,
    /** What decides about a replayed row is read after the lock on its table was taken. */
    LOCK_BEFORE_VISIBILITY,
    /** A TRUNCATE of a table without a key records the primary's snapshot, like a recopy. */
    TRUNCATE_RECORDS_SNAPSHOT,
    /**
     * The resync of a suspect table lists its keys only after the mirror transactions then in
     * flight have ended.
     */
    LIST_AFTER_INFLIGHT,
    /** A recopy closes a suspect only if its snapshot sees the end of what opened it. */
    SUSPECT_CARRIES_XID,
    /** Transaction ids and snapshots are compared only within one incarnation of the primary. */
    INCARNATION
  }

  private static volatile Set<Rule> off = read();

  private Rules() {}

  private static Set<Rule> read() {
    EnumSet<Rule> set = EnumSet.noneOf(Rule.class);
    String off = "," + System.getProperty("dualwrite.test.off", "") + ",";
    for (Rule r : Rule.values()) { // other packages carry others
      if (off.contains("," + r.name() + ",")) {
        set.add(r);
      }
    }
    return set;
  }

  static boolean on(Rule rule) {
    return !off.contains(rule);
  }

  /** For tests. */
  static void off(Rule... rules) {
    EnumSet<Rule> set = EnumSet.noneOf(Rule.class);
    set.addAll(Set.of(rules));
    off = set;
  }
}
