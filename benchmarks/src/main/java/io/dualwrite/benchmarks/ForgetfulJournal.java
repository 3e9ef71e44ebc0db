package io.dualwrite.benchmarks;

import io.dualwrite.journal.Intent;
import io.dualwrite.journal.Journal;
import io.dualwrite.journal.Outcome;
import io.dualwrite.journal.Pending;
import io.dualwrite.journal.Suspect;
import java.util.List;
import java.util.NavigableSet;
import java.util.UUID;

/**
 * A real journal, in which a unit of work that is left to the replayer is resolved at once: so that
 * an asynchronous commit can be measured without the replay of the ones before.
 */
final class ForgetfulJournal implements Journal {

  private final Journal real;

  ForgetfulJournal(Journal real) {
    this.real = real;
  }

  @Override
  public UUID writer() {
    return real.writer();
  }

  @Override
  public long nextSequence() {
    return real.nextSequence();
  }

  @Override
  public boolean append(Intent intent) {
    return real.append(intent);
  }

  @Override
  public void resolved(long sequence) {
    real.resolved(sequence);
  }

  @Override
  public void release(long sequence, Outcome outcome) {
    real.resolved(sequence);
  }

  @Override
  public List<Pending> pending(long afterSequence, int limit) {
    return real.pending(afterSequence, limit);
  }

  @Override
  public long pendingCount() {
    return real.pendingCount();
  }

  @Override
  public long inFlightCount() {
    return real.inFlightCount();
  }

  @Override
  public long oldestInFlight() {
    return real.oldestInFlight();
  }

  @Override
  public NavigableSet<Long> barriers() {
    return real.barriers();
  }

  @Override
  public boolean overtaken(long sequence) {
    return real.overtaken(sequence);
  }

  @Override
  public long resolvedThrough() {
    return real.resolvedThrough();
  }

  @Override
  public void suspect(Suspect suspect) {
    real.suspect(suspect);
  }

  @Override
  public List<Suspect> suspects() {
    return real.suspects();
  }

  @Override
  public boolean closeSuspect(Suspect suspect) {
    return real.closeSuspect(suspect);
  }

  @Override
  public void park(long sequence, String error) {
    real.park(sequence, error);
  }

  @Override
  public List<Parked> parked() {
    return real.parked();
  }

  @Override
  public void unpark(long sequence) {
    real.unpark(sequence);
  }

  @Override
  public long size() {
    return real.size();
  }

  @Override
  public void close() {
    real.close();
  }
}
