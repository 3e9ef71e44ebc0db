package io.dualwrite.cli;

import io.dualwrite.journal.Intent;
import io.dualwrite.journal.Journal;
import io.dualwrite.journal.Outcome;
import io.dualwrite.journal.Pending;
import io.dualwrite.journal.Suspect;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.NavigableSet;
import java.util.TreeSet;
import java.util.UUID;

/**
 * A journal of which only some units are to be replayed: the others are not seen as pending. Holds
 * a bit for each sequence between the first and the last. Not thread-safe.
 */
final class SelectedJournal implements Journal {

  private final Journal journal;
  private final BitSet selected = new BitSet();
  private long base = -1;

  SelectedJournal(Journal journal) {
    this.journal = journal;
  }

  /** Takes a unit in; in order of their sequence. */
  void select(long sequence) {
    if (base < 0) {
      base = sequence;
    }
    selected.set(Math.toIntExact(sequence - base));
  }

  private boolean selected(long sequence) {
    long i = sequence - base;
    return base >= 0 && i >= 0 && i <= Integer.MAX_VALUE && selected.get((int) i);
  }

  private void done(long sequence) {
    long i = sequence - base;
    if (base >= 0 && i >= 0 && i <= Integer.MAX_VALUE) {
      selected.clear((int) i);
    }
  }

  @Override
  public List<Pending> pending(long afterSequence, int limit) {
    List<Pending> result = new ArrayList<>();
    long after = afterSequence;
    while (result.size() < limit) {
      int next =
          selected.nextSetBit((int) Math.max(0, Math.min(Integer.MAX_VALUE, after + 1 - base)));
      if (next < 0) {
        break;
      }
      List<Pending> page = journal.pending(base + next - 1, limit);
      if (page.isEmpty()) {
        break;
      }
      for (Pending p : page) {
        after = p.intent().sequence();
        if (result.size() < limit && selected.get(Math.toIntExact(after - base))) {
          result.add(p);
        }
        if (result.size() == limit) {
          break;
        }
      }
      if (!result.isEmpty()) {
        break; // a page is as much as fits into memory
      }
    }
    return result;
  }

  @Override
  public long pendingCount() {
    return selected.cardinality();
  }

  @Override
  public void resolved(long sequence) {
    journal.resolved(sequence);
    done(sequence);
  }

  @Override
  public void park(long sequence, String error) {
    journal.park(sequence, error);
    done(sequence);
  }

  @Override
  public void unpark(long sequence) {
    journal.unpark(sequence);
  }

  @Override
  public UUID writer() {
    return journal.writer();
  }

  @Override
  public long nextSequence() {
    return journal.nextSequence();
  }

  @Override
  public boolean append(Intent intent) {
    return journal.append(intent);
  }

  @Override
  public void release(long sequence, Outcome outcome) {
    journal.release(sequence, outcome);
  }

  @Override
  public long inFlightCount() {
    return journal.inFlightCount();
  }

  @Override
  public long oldestInFlight() {
    return journal.oldestInFlight();
  }

  /** Those that are not selected are left behind: see {@link #leaveBehind}. */
  @Override
  public NavigableSet<Long> barriers() {
    TreeSet<Long> result = new TreeSet<>(journal.barriers());
    result.removeIf(s -> !selected(s));
    return result;
  }

  @Override
  public boolean overtaken(long sequence) {
    return journal.overtaken(sequence);
  }

  /**
   * Notes of units with statements that are not selected that others go past them: what they
   * change, once they are replayed, becomes suspect.
   */
  void leaveBehind() {
    for (long s : journal.barriers()) {
      if (!selected(s)) {
        journal.park(s, "");
        journal.unpark(s);
      }
    }
  }

  @Override
  public long resolvedThrough() {
    return journal.resolvedThrough();
  }

  @Override
  public void suspect(Suspect suspect) {
    journal.suspect(suspect);
  }

  @Override
  public List<Suspect> suspects() {
    return journal.suspects();
  }

  @Override
  public boolean closeSuspect(Suspect suspect) {
    return journal.closeSuspect(suspect);
  }

  @Override
  public List<Parked> parked() {
    return journal.parked();
  }

  @Override
  public long size() {
    return journal.size();
  }

  @Override
  public void close() {
    journal.close();
  }
}
