package io.dualwrite.journal;

import java.util.Map;
import java.util.TreeMap;

/**
 * What the journal remembers of every sequence that is not settled: where its record is and what
 * state it is in. Sequences are handed out densely, so this is pages of parallel arrays, ordered by
 * sequence: about 14 bytes for each entry, and the oldest is found at once. Not thread-safe.
 */
final class IntentIndex {

  static final byte NONE = 0;

  /** Handed out, not appended yet: its unit may still come to nothing. */
  static final byte RESERVED = 1;

  static final byte IN_FLIGHT = 2;
  static final byte PENDING_UNKNOWN = 3;
  static final byte PENDING_COMMITTED = 4;
  static final byte PARKED_UNKNOWN = 5;
  static final byte PARKED_COMMITTED = 6;

  private static final int SHIFT = 8;
  private static final int PAGE = 1 << SHIFT;

  private static final class Page {
    final long[] location = new long[PAGE];
    final int[] length = new int[PAGE];
    final byte[] state = new byte[PAGE];
    int used;
  }

  private final TreeMap<Long, Page> pages = new TreeMap<>();
  private final long[] counts = new long[PARKED_COMMITTED + 1];
  private long lastNumber = -1;
  private Page last;

  byte state(long sequence) {
    Page p = page(sequence);
    return p == null ? NONE : p.state[slot(sequence)];
  }

  long location(long sequence) {
    return page(sequence).location[slot(sequence)];
  }

  int length(long sequence) {
    return page(sequence).length[slot(sequence)];
  }

  /** Adds an entry or replaces it. */
  void put(long sequence, long location, int length, byte state) {
    Page p = page(sequence);
    if (p == null) {
      Map.Entry<Long, Page> top = pages.lastEntry();
      if (top != null && top.getValue().used == 0) {
        p = top.getValue();
        pages.remove(top.getKey());
      } else {
        p = new Page();
      }
      lastNumber = sequence >> SHIFT;
      last = p;
      pages.put(lastNumber, p);
    }
    int i = slot(sequence);
    byte old = p.state[i];
    if (old == NONE) {
      p.used++;
    } else {
      counts[old]--;
    }
    counts[state]++;
    p.location[i] = location;
    p.length[i] = length;
    p.state[i] = state;
  }

  /** Changes the state of an entry that is there. */
  void state(long sequence, byte state) {
    Page p = page(sequence);
    int i = slot(sequence);
    counts[p.state[i]]--;
    counts[state]++;
    p.state[i] = state;
  }

  void remove(long sequence) {
    Page p = page(sequence);
    if (p == null) {
      return;
    }
    int i = slot(sequence);
    if (p.state[i] == NONE) {
      return;
    }
    counts[p.state[i]]--;
    p.state[i] = NONE;
    // the highest page stays, empty or not: one unit after the other is put into it and taken out
    if (--p.used == 0 && sequence >> SHIFT != pages.lastKey()) {
      pages.remove(sequence >> SHIFT);
      last = null;
      lastNumber = -1;
    }
  }

  long count(byte state) {
    return counts[state];
  }

  /** The lowest sequence above {@code after} with any state, or -1. */
  long next(long after) {
    return next(after, RESERVED, PARKED_COMMITTED);
  }

  /** The lowest sequence above {@code after} with a state between two, or -1. */
  long next(long after, byte low, byte high) {
    long from = Math.max(0, after + 1); // callers begin with Long.MIN_VALUE
    for (Map.Entry<Long, Page> e : pages.tailMap(from >> SHIFT, true).entrySet()) {
      Page p = e.getValue();
      long base = e.getKey() << SHIFT;
      for (int i = (int) Math.max(0, from - base); i < PAGE; i++) {
        if (p.state[i] >= low && p.state[i] <= high) {
          return base + i;
        }
      }
    }
    return -1;
  }

  private Page page(long sequence) {
    long number = sequence >> SHIFT;
    if (number != lastNumber) {
      Page p = pages.get(number);
      if (p == null) {
        return null;
      }
      last = p;
      lastNumber = number;
    }
    return last;
  }

  private static int slot(long sequence) {
    return (int) sequence & (PAGE - 1);
  }
}
