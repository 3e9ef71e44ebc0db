package io.dualwrite.model;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * Visits every state of a {@link TransitionSystem}, depth first. A state is remembered by a hash of
 * 128 bits: with the some 10^8 states of a full run, the chance that any two share one is below
 * 10^-22.
 */
final class Explorer {

  /** A violation: where, what, and the shortest way there. */
  record Found(String title, String what, List<String> trace) {
    int steps() {
      return trace.size() - 1;
    }
  }

  /**
   * What an exploration saw.
   *
   * @param states how many states
   * @param complete whether these are all: false after a violation, or past the limit
   * @param wrong the violation, or null
   */
  record Outcome(long states, boolean complete, String wrong) {}

  private Explorer() {}

  /** Explores a system up to its first violation, or until it has more than so many states. */
  static Outcome explore(TransitionSystem y, long limit) {
    Seen seen = new Seen();
    ArrayDeque<byte[]> stack = new ArrayDeque<>();
    byte[] first = y.init();
    seen.add(first);
    stack.push(first);
    Successors out = new Successors(false);
    while (!stack.isEmpty()) {
      byte[] s = stack.pop();
      String bad = expand(y, s, out);
      if (bad != null || seen.size() > limit) {
        return new Outcome(seen.size(), false, bad);
      }
      for (byte[] n : out.states()) {
        y.canon(n);
        if (seen.add(n)) {
          stack.push(n);
        }
      }
    }
    return new Outcome(seen.size(), true, null);
  }

  private static String expand(TransitionSystem y, byte[] s, Successors out) {
    out.clear();
    y.next(s, out);
    String bad = y.invariant(s);
    return bad == null && out.last() ? y.judge(s) : bad;
  }

  /**
   * Breadth first, for the shortest way to any violation.
   *
   * @param y a system in which {@link #explore} found one
   */
  static Found shortest(TransitionSystem y) {
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Node(byte[] state, Node from, String name) {}
    Seen seen = new Seen();
    ArrayDeque<Node> queue = new ArrayDeque<>();
    byte[] first = y.init();
    seen.add(first);
    queue.add(new Node(first, null, "(start)"));
    Successors out = new Successors(true);
    while (!queue.isEmpty()) {
      Node at = queue.remove();
      String bad = expand(y, at.state, out);
      if (bad != null) {
        List<String> trace = new ArrayList<>();
        for (Node x = at; x != null; x = x.from) {
          trace.add(String.format("%-66s %s", x.name, y.show(x.state)));
        }
        Collections.reverse(trace);
        return new Found(y.title(), bad, trace);
      }
      for (int i = 0; i < out.states().size(); i++) {
        byte[] n = out.states().get(i);
        y.canon(n);
        if (seen.add(n)) {
          queue.add(new Node(n, at, out.names().get(i)));
        }
      }
    }
    throw new IllegalArgumentException("nothing is wrong in " + y.title());
  }

  /** Open-addressing set of 128-bit hashes. */
  private static final class Seen {
    private static final VarHandle LONGS =
        MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    private long[] table = new long[1 << 14];
    private int size;

    int size() {
      return size;
    }

    boolean add(byte[] s) {
      long a = 0x2545F4914F6CDD1DL;
      long b = 0x9E3779B97F4A7C15L;
      for (int i = 0; i < s.length; i += 8) {
        long x = (long) LONGS.get(s, i);
        a = (a ^ x) * 0xff51afd7ed558ccdL;
        a ^= a >>> 29;
        b = (b + x) * 0xc4ceb9fe1a85ec53L;
        b ^= b >>> 31;
      }
      long high = mix(a);
      long low = mix(b ^ (a << 1));
      if (high == 0 && low == 0) {
        low = 1; // both zero is an empty place
      }
      if (size * 4L >= table.length) {
        grow();
      }
      return put(high, low);
    }

    private static long mix(long x) {
      long y = (x ^ (x >>> 32)) * 0xd6e8feb86659fd93L;
      y = (y ^ (y >>> 32)) * 0xd6e8feb86659fd93L;
      return y ^ (y >>> 32);
    }

    private boolean put(long high, long low) {
      int mask = table.length / 2 - 1;
      for (int i = (int) (low ^ (high >>> 7)) & mask; ; i = (i + 1) & mask) {
        if (table[2 * i] == 0 && table[2 * i + 1] == 0) {
          table[2 * i] = high;
          table[2 * i + 1] = low;
          size++;
          return true;
        }
        if (table[2 * i] == high && table[2 * i + 1] == low) {
          return false;
        }
      }
    }

    private void grow() {
      long[] old = table;
      table = new long[old.length * 2];
      size = 0;
      for (int i = 0; i < old.length; i += 2) {
        if (old[i] != 0 || old[i + 1] != 0) {
          put(old[i], old[i + 1]);
        }
      }
    }
  }
}
