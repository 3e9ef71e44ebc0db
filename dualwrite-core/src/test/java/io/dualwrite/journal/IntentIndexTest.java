package io.dualwrite.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

final class IntentIndexTest {

  private record Entry(long location, int length, byte state) {}

  @Test
  void likeATree() {
    long seed = System.nanoTime();
    System.out.println("seed " + seed);
    Random r = new Random(seed);
    IntentIndex index = new IntentIndex();
    TreeMap<Long, Entry> tree = new TreeMap<>();
    for (int round = 0; round < 200_000; round++) {
      long seq = r.nextInt(3000) + (r.nextInt(50) == 0 ? 1L << 40 : 0);
      switch (r.nextInt(4)) {
        case 0 -> {
          Entry e = new Entry(r.nextLong(), r.nextInt(), (byte) (1 + r.nextInt(6)));
          index.put(seq, e.location, e.length, e.state);
          tree.put(seq, e);
        }
        case 1 -> {
          index.remove(seq);
          tree.remove(seq);
        }
        case 2 -> {
          Entry e = tree.get(seq);
          assertEquals(e == null ? IntentIndex.NONE : e.state, index.state(seq));
          if (e != null) {
            assertEquals(e.location, index.location(seq));
            assertEquals(e.length, index.length(seq));
            byte state = (byte) (1 + r.nextInt(6));
            index.state(seq, state);
            tree.put(seq, new Entry(e.location, e.length, state));
          }
        }
        default -> {
          long after = seq - 1;
          Map.Entry<Long, Entry> any = tree.higherEntry(after);
          assertEquals(any == null ? -1 : any.getKey(), index.next(after));
          long pending = -1;
          if (r.nextInt(20) == 0) {
            for (Map.Entry<Long, Entry> e : tree.tailMap(after, false).entrySet()) {
              byte s = e.getValue().state;
              if (s == IntentIndex.PENDING_UNKNOWN || s == IntentIndex.PENDING_COMMITTED) {
                pending = e.getKey();
                break;
              }
            }
            assertEquals(
                pending,
                index.next(after, IntentIndex.PENDING_UNKNOWN, IntentIndex.PENDING_COMMITTED));
          }
        }
      }
    }
    for (byte s = 1; s <= IntentIndex.PARKED_COMMITTED; s++) {
      byte state = s;
      assertEquals(
          tree.values().stream().filter(e -> e.state == state).count(), index.count(state));
    }
  }

  /** A million pending intents take little of a heap of 256 MB. */
  @Test
  void small() {
    Runtime rt = Runtime.getRuntime();
    System.gc();
    long before = rt.totalMemory() - rt.freeMemory();
    IntentIndex index = new IntentIndex();
    for (long seq = 1; seq <= 1_000_000; seq++) {
      index.put(seq, seq * 500, 500, IntentIndex.PENDING_UNKNOWN);
    }
    System.gc();
    long bytes = rt.totalMemory() - rt.freeMemory() - before;
    assertEquals(1_000_000, index.count(IntentIndex.PENDING_UNKNOWN));
    assertTrue(bytes < 40_000_000, "bytes " + bytes);
  }
}
