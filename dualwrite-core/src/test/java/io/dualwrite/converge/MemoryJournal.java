package io.dualwrite.converge;

import io.dualwrite.journal.Intent;
import io.dualwrite.journal.Journal;
import io.dualwrite.journal.Outcome;
import io.dualwrite.journal.Pending;
import io.dualwrite.journal.Suspect;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;

/** A journal that forgets everything with the process. */
final class MemoryJournal implements Journal {

  private final UUID writer = UUID.randomUUID();
  private final Map<Long, Intent> intents = new TreeMap<>();
  private final Map<Long, Outcome> released = new TreeMap<>();
  private final Map<Long, String> parked = new TreeMap<>();
  private final TreeSet<Long> unparked = new TreeSet<>();
  private final TreeSet<Long> resolved = new TreeSet<>();
  private final List<Suspect> suspects = new ArrayList<>();
  private long sequence;
  private long version;

  /** How many units were asked for last. */
  volatile int asked;

  /** How often units were asked for. */
  final AtomicInteger rounds = new AtomicInteger();

  @Override
  public UUID writer() {
    return writer;
  }

  @Override
  public synchronized long nextSequence() {
    return ++sequence;
  }

  @Override
  public synchronized boolean append(Intent intent) {
    intents.put(intent.sequence(), intent);
    return true;
  }

  @Override
  public synchronized void resolved(long s) {
    intents.remove(s);
    released.remove(s);
    parked.remove(s);
    resolved.add(s);
  }

  @Override
  public synchronized void release(long s, Outcome outcome) {
    released.put(s, outcome);
  }

  @Override
  public synchronized List<Pending> pending(long after, int limit) {
    asked = limit;
    rounds.incrementAndGet();
    return released.entrySet().stream()
        .filter(e -> e.getKey() > after && !parked.containsKey(e.getKey()))
        .limit(limit)
        .map(e -> new Pending(intents.get(e.getKey()), e.getValue()))
        .toList();
  }

  @Override
  public synchronized long pendingCount() {
    return released.keySet().stream().filter(s -> !parked.containsKey(s)).count();
  }

  @Override
  public synchronized long inFlightCount() {
    return (long) intents.size() - released.size();
  }

  @Override
  public synchronized long oldestInFlight() {
    return intents.keySet().stream()
        .filter(s -> !released.containsKey(s))
        .mapToLong(Long::longValue)
        .min()
        .orElse(Long.MAX_VALUE);
  }

  @Override
  public synchronized NavigableSet<Long> barriers() {
    return intents.values().stream()
        .filter(i -> i.barrier() && !parked.containsKey(i.sequence()))
        .map(Intent::sequence)
        .collect(Collectors.toCollection(TreeSet::new));
  }

  @Override
  public synchronized boolean overtaken(long s) {
    return unparked.contains(s);
  }

  @Override
  public synchronized long resolvedThrough() {
    long through = 0;
    while (resolved.contains(through + 1)) {
      through++;
    }
    return through;
  }

  @Override
  public synchronized void suspect(Suspect suspect) {
    suspects.removeIf(s -> s.table().equals(suspect.table()));
    suspects.add(
        new Suspect(
            suspect.table(),
            suspect.reason(),
            suspect.sinceMicros(),
            suspect.incarnation(),
            suspect.xid(),
            ++version));
  }

  @Override
  public synchronized List<Suspect> suspects() {
    return List.copyOf(suspects);
  }

  @Override
  public synchronized boolean closeSuspect(Suspect suspect) {
    return suspects.remove(suspect);
  }

  @Override
  public synchronized void park(long s, String error) {
    parked.put(s, error);
  }

  @Override
  public synchronized List<Parked> parked() {
    return parked.entrySet().stream().map(e -> new Parked(e.getKey(), e.getValue())).toList();
  }

  @Override
  public synchronized void unpark(long s) {
    if (parked.remove(s) != null) {
      unparked.add(s);
    }
  }

  @Override
  public synchronized long size() {
    return 0;
  }

  @Override
  public void close() {}
}
