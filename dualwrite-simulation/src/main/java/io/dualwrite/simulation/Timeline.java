package io.dualwrite.simulation;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;

/** What was done to whom, and when. Thread-safe. */
final class Timeline {

  /** An event at a moment. */
  record Event(long millis, String actor, String what) {}

  /** A time in which a side was not itself; the end is {@link Long#MAX_VALUE} while it lasts. */
  static final class Window {
    final long from = System.currentTimeMillis();
    volatile long to = Long.MAX_VALUE;

    void end() {
      to = System.currentTimeMillis();
    }
  }

  private final long start = System.currentTimeMillis();
  private final List<Event> events = new CopyOnWriteArrayList<>();
  private final AtomicInteger deaths = new AtomicInteger();
  private final List<Window> sourceFaults = new CopyOnWriteArrayList<>();

  void add(String actor, String what) {
    add(System.currentTimeMillis(), actor, what);
  }

  /** What happened at another time than now. */
  void add(long millis, String actor, String what) {
    events.add(new Event(millis, actor, what));
  }

  /** A process was killed, or killed itself. */
  void death(String actor, String what) {
    deaths.incrementAndGet();
    add(actor, what);
  }

  int deaths() {
    return deaths.get();
  }

  int faults() {
    return (int) events.stream().filter(e -> e.what.equals("well")).count();
  }

  /** From now on the source, or the way to it, is disturbed. */
  Window sourceFault() {
    Window w = new Window();
    sourceFaults.add(w);
    return w;
  }

  /** Whether the source was disturbed at some time between. */
  boolean sourceDisturbed(long from, long to) {
    return sourceFaults.stream().anyMatch(w -> w.from <= to && w.to >= from);
  }

  /** In order, with what others noted; only what was between two times. */
  List<String> lines(List<Event> others, long from, long to) {
    List<Event> all = new ArrayList<>(events);
    all.addAll(others);
    all.sort(Comparator.comparingLong(Event::millis));
    return all.stream()
        .filter(e -> e.millis >= from && e.millis <= to)
        .map(
            e ->
                String.format(
                    Locale.ROOT, "%8.3f s  %-10s %s", (e.millis - start) / 1000.0, e.actor, e.what))
        .toList();
  }
}
