package io.dualwrite.journal;

import java.util.List;
import java.util.NavigableSet;
import java.util.UUID;

/**
 * A writer's durable record of what the mirror may still lack (guarantee G2). One directory, owned
 * by one process for as long as it is open. Thread-safe; appends from many threads are serialised
 * inside.
 *
 * <p>Life of an intent: {@link #append} (before the primary commits; the intent is <em>in
 * flight</em>), then either {@link #resolved} (the mirror provably holds it, or the primary
 * provably aborted), or {@link #release} (no commit works on it any more; it is <em>pending</em>,
 * and the replayer's business). After a restart every intent that is not resolved is pending.
 */
public interface Journal extends AutoCloseable {

  /** This journal's random identity: a copied or recreated directory is another writer. */
  UUID writer();

  /**
   * The next sequence number, never given twice by this journal, not even across restarts.
   *
   * <p>Every number is either given to {@link #append} or, if its unit of work comes to nothing, to
   * {@link #resolved}. Until then it is open, and {@link #resolvedThrough} stays below it: the
   * mirror's markers say "all up to here", and a unit that is appended late must not be among them.
   * A number whose process ended is settled.
   *
   * @throws JournalException if the disk failed
   */
  long nextSequence();

  /**
   * Makes an intent durable, as far as {@code dualwrite.journal.sync} says, before it returns; it
   * is in flight from then on.
   *
   * @return false if the size budget, the free-space floor or a failing disk forbids it: the intent
   *     was <em>not</em> recorded; instead every table that it names is a suspect now, durably, and
   *     the sequence is settled
   * @throws JournalException if neither could be made durable; the primary must not commit then.
   *     The sequence is settled
   * @throws IllegalArgumentException if {@link #nextSequence} did not hand the sequence out, or it
   *     was used before
   */
  boolean append(Intent intent);

  /**
   * The mirror holds the intent, or its primary transaction aborted, or the sequence was never
   * appended. Idempotent. Not durable at once: a crash may make the intent pending again.
   */
  void resolved(long sequence);

  /**
   * No commit works on the intent any more; what is known of its primary transaction is recorded.
   * Also tells later what was unknown before; {@link Outcome#COMMITTED} is never taken back.
   */
  void release(long sequence, Outcome outcome);

  /**
   * The oldest pending intents in order of their sequence, read from disk.
   *
   * @param afterSequence only those with a higher sequence
   * @param limit at most so many, and not more than about 16 MiB of them (at least one)
   */
  List<Pending> pending(long afterSequence, int limit);

  /** How many intents are pending, not counting those in flight and those parked. */
  long pendingCount();

  /** How many intents are in flight. */
  long inFlightCount();

  /** The lowest sequence of an intent in flight; {@link Long#MAX_VALUE} if there is none. */
  long oldestInFlight();

  /**
   * The intents whose statements the mirror may lack ({@link Intent#barrier}), in flight or
   * pending, but not parked: what comes after one in the journal must not reach the mirror before
   * it. In order of their sequence, a view of now that may be asked without a lock; one is there
   * before {@link #append} returns.
   */
  NavigableSet<Long> barriers();

  /** Whether the intent was parked and made pending again: later ones may have gone past it. */
  boolean overtaken(long sequence);

  /**
   * Every sequence up to and including this one is resolved. Durable: it still holds after a crash
   * of the machine. Writes to the disk if it has moved: for a heartbeat, not for every commit.
   */
  long resolvedThrough();

  /**
   * Opens a suspect, or adds to the one that the table has; durable when it returns, even on a full
   * disk. The suspect of table {@code *.*} stands for every table.
   *
   * @throws JournalException if the disk failed
   */
  void suspect(Suspect suspect);

  /** The open suspects that this journal knows, one per table. */
  List<Suspect> suspects();

  /**
   * Closes the table's suspect if it is still the one given, as {@link #suspects} gave it: one that
   * was added to meanwhile stays.
   *
   * @return whether it is closed
   */
  boolean closeSuspect(Suspect suspect);

  /**
   * Closes the suspects that stand for statements ({@link Suspect#statements()}), as people have
   * done these on the mirror. Every table is suspect then: what they did to its rows there nobody
   * can tell.
   *
   * @return how many were closed
   */
  default int statementsDone() {
    List<Suspect> these = suspects().stream().filter(Suspect::statements).toList();
    if (!these.isEmpty()) { // in this order: nothing is forgotten in between
      suspect(
          new Suspect(
              RowChange.NO_TABLE,
              "statements (DDL) were done by hand",
              System.currentTimeMillis() * 1000,
              "",
              0));
      these.forEach(this::closeSuspect);
    }
    return these.size();
  }

  /** Sets a pending intent aside after it failed for good: {@link #pending} passes it over. */
  void park(long sequence, String error);

  /** The parked intents with their errors. */
  List<Parked> parked();

  /** Makes a parked intent pending again. */
  void unpark(long sequence);

  /**
   * A parked intent.
   *
   * @param sequence its sequence
   * @param error why it was parked
   */
  record Parked(long sequence, String error) {}

  /** Bytes on disk. */
  long size();

  /**
   * Flushes and closes; says goodbye cleanly, so that the next start knows that nothing was cut
   * off.
   */
  @Override
  void close();
}
