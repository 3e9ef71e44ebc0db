package io.dualwrite.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.model.Explorer.Found;
import io.dualwrite.model.Explorer.Outcome;
import java.util.List;
import org.junit.jupiter.api.Test;

class ExplorerTest {

  /**
   * Two counters from 0 to 3, each stepped by one; a fault sets the first back to 0, once. Wrong is
   * the state that the test names, or an end in which the first is not 3.
   */
  private record Counters(int badFirst, int badSecond) implements TransitionSystem {
    @Override
    public byte[] init() {
      return new byte[8];
    }

    @Override
    public void next(byte[] s, Successors out) {
      for (int i : new int[] {0, 1}) {
        if (s[i] < 3) {
          byte[] n = s.clone();
          n[i]++;
          out.step(n, () -> "counter " + i);
        }
      }
      if (s[0] > 0 && s[2] == 0) {
        byte[] n = s.clone();
        n[0] = 0;
        n[2] = 1;
        out.fault(n, () -> "back to 0");
      }
    }

    @Override
    public String judge(byte[] s) {
      return s[0] == 3 ? null : "ended early";
    }

    @Override
    public String invariant(byte[] s) {
      return s[0] == badFirst && s[1] == badSecond && s[2] == 1 ? "the bad state" : null;
    }

    @Override
    public String show(byte[] s) {
      return s[0] + "," + s[1];
    }

    @Override
    public String title() {
      return "counters";
    }
  }

  @Test
  void visitsEveryStateOnce() {
    Outcome o = Explorer.explore(new Counters(9, 9), 1000);
    assertNull(o.wrong());
    assertTrue(o.complete());
    assertEquals(16 + 16, o.states());
  }

  @Test
  void findsTheShortestWayToAViolation() {
    Counters y = new Counters(1, 2);
    assertEquals("the bad state", Explorer.explore(y, 1000).wrong());
    Found f = Explorer.shortest(y);
    assertEquals("the bad state", f.what());
    // one step before the fault, one after it, two of the other counter
    assertEquals(5, f.steps());
    assertEquals(1, f.trace().stream().filter(x -> x.startsWith("FAULT: back to 0")).count());
    assertTrue(f.trace().get(0).startsWith("(start)"));
    assertTrue(f.trace().get(5).endsWith("1,2"));
  }

  @Test
  void judgesOnlyStatesWithNothingLeftButFaults() {
    TransitionSystem stuck =
        new TransitionSystem() {
          @Override
          public byte[] init() {
            return new byte[8];
          }

          @Override
          public void next(byte[] s, Successors out) {
            if (s[0] == 0) {
              byte[] n = s.clone();
              n[0] = 1;
              out.fault(n, () -> "breaks");
            }
          }

          @Override
          public String judge(byte[] s) {
            return s[0] == 1 ? "broken" : null;
          }

          @Override
          public String show(byte[] s) {
            return "";
          }

          @Override
          public String title() {
            return "stuck";
          }
        };
    assertEquals("broken", Explorer.explore(stuck, 10).wrong());
  }

  @Test
  void stopsPastTheLimit() {
    assertTrue(Explorer.explore(new Counters(9, 9), 32).complete());
    Outcome o = Explorer.explore(new Counters(9, 9), 31);
    assertFalse(o.complete());
    assertNull(o.wrong());
  }

  @Test
  void asksForNoTraceWhereNothingIsWrong() {
    assertThrows(IllegalArgumentException.class, () -> Explorer.shortest(new Counters(9, 9)));
  }

  @Test
  void takesTheShortestOfSeveralViolations() {
    Check c = Check.of(List.of(new Counters(3, 3), new Counters(1, 0)), 1, false);
    assertEquals(2, c.systems());
    assertEquals(3, c.found().steps());
  }
}
