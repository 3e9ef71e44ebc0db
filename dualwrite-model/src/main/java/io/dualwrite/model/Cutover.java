package io.dualwrite.model;

import java.util.Set;

/**
 * Two writers, one orchestrator, one exchange of the roles. Each write is a token; it is lost if
 * the application was told that it committed and the primary of the end does not have it. Mixed
 * means that a write committed on the old primary after one began on the new.
 */
final class Cutover implements TransitionSystem {

  // ---- a writer: its gate (1 shut), the role it believes the source has, whether it reaches the
  // target, its transaction with the primary it began on and whether that ended its session, its
  // pending intents, writes left, whether it was taken for dead, whether it acknowledged, and its
  // mirror transaction (1 open, 2 replayed by another)
  private static final int GATE = 0;
  private static final int PHASE = 1;
  private static final int REACHES = 2;
  private static final int STEP = 3;
  private static final int PRIMARY = 4;
  private static final int SESSION_ENDED = 5;
  private static final int PENDING = 6;
  private static final int LEFT = 7;
  private static final int DEAD = 8;
  private static final int ACKNOWLEDGED = 9;
  private static final int MIRROR = 10;
  private static final int WRITER = 11;

  // ---- a writer's next step, named for what is reached by it, as in io.dualwrite.jdbc.CommitStep
  private static final int BEGUN = 0;
  private static final int ASKED = 1;
  private static final int FLUSHED = 2;
  private static final int INTENT_APPENDED = 3;
  private static final int PRIMARY_COMMITTED = 4;
  private static final int MIRROR_COMMITTED = 5;

  // ---- what there is one of: the control row on the target, the orchestrator, the fence, faults
  // left, what went wrong, whether a write began on the target, whether a pause was asked for
  private static final int CONTROL = 0;
  private static final int ORCHESTRATOR = 1;
  private static final int FENCED = 2;
  private static final int FAULTS = 3;
  private static final int LOST = 4;
  private static final int MIXED = 5;
  private static final int NEW_SIDE = 6;
  private static final int ASKED_FOR = 7;

  // ---- the control row
  private static final int SOURCE_PRIMARY = 0;
  private static final int PAUSED = 1;
  private static final int TARGET_PRIMARY = 2;

  // ---- the orchestrator's next step
  private static final int PAUSE = 0;
  private static final int WAIT = 1;
  private static final int DRAIN = 2;
  private static final int CUT_OFF = 3;
  private static final int FLIP = 4;
  private static final int OVER = 5;

  private static final int SOURCE = 0;
  private static final int TARGET = 1;

  private static final int WRITERS = 2;
  private static final int GLOBAL = WRITERS * WRITER;
  private static final int SIZE = (GLOBAL + 8 + 7) / 8 * 8;

  private final Set<Rule> off;
  private final int writes;
  private final int faults;

  Cutover(Set<Rule> off, int writes, int faults) {
    this.off = off;
    this.writes = writes;
    this.faults = faults;
  }

  private boolean on(Rule r) {
    return !off.contains(r);
  }

  private static int writer(int w) {
    return w * WRITER;
  }

  private static byte[] with(byte[] s, int at, int v) {
    byte[] n = s.clone();
    n[at] = (byte) v;
    return n;
  }

  @Override
  public byte[] init() {
    byte[] s = new byte[SIZE];
    for (int w = 0; w < WRITERS; w++) {
      s[writer(w) + REACHES] = 1;
      s[writer(w) + LEFT] = (byte) writes;
    }
    s[GLOBAL + FAULTS] = (byte) faults;
    return s;
  }

  @Override
  public void next(byte[] s, Successors out) {
    for (int w = 0; w < WRITERS; w++) {
      reach(s, w, out);
      write(s, w, out);
      replay(s, w, out);
      obey(s, w, out);
      deadline(s, w, out);
    }
    orchestrator(s, out);
    if (s[GLOBAL + FAULTS] > 0) {
      faults(s, out);
    }
  }

  // ---- the orchestrator

  private void orchestrator(byte[] s, Successors out) {
    byte[] n = s.clone();
    switch (s[GLOBAL + ORCHESTRATOR]) {
      case PAUSE -> {
        if (s[GLOBAL + ASKED_FOR] == 0) {
          n[GLOBAL + ORCHESTRATOR] = WAIT;
          n[GLOBAL + CONTROL] = PAUSED;
          n[GLOBAL + ASKED_FOR] = 1;
          for (int w = 0; w < WRITERS; w++) {
            n[writer(w) + ACKNOWLEDGED] = 0;
          }
          out.step(n, () -> "ORCHESTRATOR asks for the pause");
        }
      }
      case WAIT -> {
        boolean all = true;
        for (int w = 0; w < WRITERS; w++) {
          all &= s[writer(w) + ACKNOWLEDGED] != 0 || s[writer(w) + DEAD] != 0;
        }
        if (all) {
          n[GLOBAL + ORCHESTRATOR] = CUT_OFF;
          out.step(n, () -> "ORCHESTRATOR has every acknowledgement");
        }
        byte[] m = with(s, GLOBAL + ORCHESTRATOR, OVER);
        if (s[GLOBAL + CONTROL] == PAUSED) {
          m[GLOBAL + CONTROL] = SOURCE_PRIMARY;
        }
        out.step(m, () -> "ORCHESTRATOR gives up: abort");
      }
      case CUT_OFF -> {
        n[GLOBAL + ORCHESTRATOR] = DRAIN;
        boolean fence = anyDead(s) && on(Rule.FENCE);
        if (fence) {
          n[GLOBAL + FENCED] = 1;
          for (int w = 0; w < WRITERS; w++) {
            if (s[writer(w) + DEAD] != 0) {
              endSessions(n, w);
            }
          }
        }
        out.step(
            n,
            () ->
                fence
                    ? "ORCHESTRATOR fences the source: ends old sessions, new ones read-only"
                    : "ORCHESTRATOR goes on");
      }
      case DRAIN -> {
        if (clean(s)) {
          n[GLOBAL + ORCHESTRATOR] = FLIP;
          out.step(n, () -> "ORCHESTRATOR finds nothing pending");
        } else {
          for (int w = 0; w < WRITERS; w++) {
            if (s[writer(w) + DEAD] != 0) {
              drain(n, w);
            }
          }
          out.step(n, () -> "ORCHESTRATOR replays the dead writer's journal");
        }
      }
      case FLIP -> {
        n[GLOBAL + ORCHESTRATOR] = OVER;
        if (s[GLOBAL + CONTROL] == PAUSED) {
          n[GLOBAL + CONTROL] = TARGET_PRIMARY;
          out.step(n, () -> "ORCHESTRATOR flips");
          return;
        }
        if (!on(Rule.RESUME_BY_WORD)) {
          n[GLOBAL + CONTROL] = TARGET_PRIMARY; // no compare-and-set either
        }
        boolean flipped = n[GLOBAL + CONTROL] == TARGET_PRIMARY;
        if (!flipped) {
          n[GLOBAL + FENCED] = 0;
        }
        out.step(n, () -> "ORCHESTRATOR " + (flipped ? "flips" : "finds the pause aborted"));
      }
      default -> {}
    }
  }

  private static boolean anyDead(byte[] s) {
    return s[writer(0) + DEAD] != 0 || s[writer(1) + DEAD] != 0;
  }

  private boolean clean(byte[] s) {
    for (int w = 0; w < WRITERS && on(Rule.DEAD_JOURNAL); w++) {
      int b = writer(w);
      boolean mirrored = s[b + STEP] != MIRROR_COMMITTED || s[b + MIRROR] == 2;
      if (s[b + DEAD] != 0 && (s[b + PENDING] != 0 || !mirrored)) {
        return false;
      }
    }
    return true;
  }

  /** Its sessions are ended on both databases: open transactions are rolled back. */
  private static void endSessions(byte[] n, int w) {
    int b = writer(w);
    boolean open = n[b + STEP] != BEGUN && n[b + STEP] < MIRROR_COMMITTED;
    if (open && n[b + PRIMARY] == SOURCE) {
      n[b + SESSION_ENDED] = 1;
    }
    n[b + MIRROR] = 0;
  }

  /** Its journal is replayed: what it had acknowledged is on the target from here on. */
  private static void drain(byte[] n, int w) {
    n[writer(w) + PENDING] = 0;
    if (n[writer(w) + STEP] == MIRROR_COMMITTED) {
      n[writer(w) + MIRROR] = 2;
    }
  }

  // ---- a writer

  private static void reach(byte[] s, int w, Successors out) {
    int b = writer(w);
    if (s[b + REACHES] == 0) {
      out.step(with(s, b + REACHES, 1), () -> "writer " + w + " reaches the target again");
    }
  }

  private static void write(byte[] s, int w, Successors out) {
    int b = writer(w);
    byte[] n = s.clone();
    boolean onTarget = s[b + PRIMARY] == TARGET;
    boolean cutOff = onTarget && s[b + REACHES] == 0;
    switch (s[b + STEP]) {
      case BEGUN -> {
        if (s[b + LEFT] > 0 && s[b + GATE] == 0) {
          boolean target = s[b + PHASE] == TARGET;
          n[b + STEP] = ASKED;
          n[b + PRIMARY] = s[b + PHASE];
          n[b + LEFT]--;
          if (target) {
            n[GLOBAL + NEW_SIDE] = 1;
          }
          out.step(
              n,
              () -> "writer " + w + " begins a write, primary = " + (target ? "target" : "source"));
        }
      }
      case ASKED -> {
        boolean readOnly = !onTarget && s[GLOBAL + FENCED] != 0;
        if (cutOff || s[b + SESSION_ENDED] != 0 || readOnly) {
          rollback(n, w);
          out.step(n, () -> "writer " + w + "'s write fails on its primary");
        } else {
          n[b + STEP] = FLUSHED;
          out.step(n, () -> "writer " + w + " executes on its primary, ASKED");
        }
      }
      case FLUSHED -> {
        boolean flushes = onTarget || s[b + REACHES] != 0;
        n[b + STEP] = INTENT_APPENDED;
        n[b + MIRROR] = (byte) (flushes ? 1 : 0);
        out.step(n, () -> "writer " + w + (flushes ? " FLUSHED" : "'s flush fails"));
      }
      case INTENT_APPENDED -> {
        n[b + STEP] = PRIMARY_COMMITTED;
        out.step(n, () -> "writer " + w + " INTENT_APPENDED");
      }
      case PRIMARY_COMMITTED -> {
        if (s[b + SESSION_ENDED] != 0 || cutOff) {
          rollback(n, w);
          out.step(n, () -> "writer " + w + "'s COMMIT fails");
        } else {
          n[b + STEP] = MIRROR_COMMITTED;
          if (!onTarget && s[GLOBAL + NEW_SIDE] != 0) {
            n[GLOBAL + MIXED] = 1;
          }
          out.step(
              n,
              () ->
                  "writer "
                      + w
                      + " PRIMARY_COMMITTED on the "
                      + (onTarget ? "target" : "source")
                      + ": acknowledged");
        }
      }
      case MIRROR_COMMITTED -> {
        boolean mirrored = s[b + MIRROR] != 0;
        n[b + STEP] = BEGUN;
        n[b + SESSION_ENDED] = 0;
        if (!mirrored) {
          n[b + PENDING]++;
        }
        n[b + MIRROR] = 0;
        out.step(
            n,
            () -> "writer " + w + (mirrored ? " MIRROR_COMMITTED" : " leaves its intent pending"));
      }
      default -> {}
    }
  }

  private static void rollback(byte[] n, int w) {
    n[writer(w) + STEP] = BEGUN;
    n[writer(w) + SESSION_ENDED] = 0;
    n[writer(w) + MIRROR] = 0;
  }

  private static void replay(byte[] s, int w, Successors out) {
    int b = writer(w);
    if (s[b + PENDING] > 0 && s[b + REACHES] != 0) {
      byte[] n = s.clone();
      n[b + PENDING]--;
      if (s[b + PHASE] == SOURCE && s[GLOBAL + CONTROL] == TARGET_PRIMARY) {
        n[GLOBAL + LOST] = 1; // an intent of the old roles: the new primary lacks the write
      }
      out.step(n, () -> "writer " + w + " replays an intent");
    }
  }

  /** What it does on the control row's word. */
  private void obey(byte[] s, int w, Successors out) {
    int b = writer(w);
    int control = s[GLOBAL + CONTROL];
    if (s[b + REACHES] == 0) {
      return;
    }
    boolean idle = s[b + STEP] == BEGUN;
    boolean shut = s[b + GATE] != 0;
    if (control == PAUSED && s[b + ACKNOWLEDGED] == 0 && s[b + DEAD] == 0) {
      boolean drained = idle && s[b + PENDING] == 0;
      if (!shut) {
        out.step(with(s, b + GATE, 1), () -> "writer " + w + " closes its gate");
      } else if (drained || !on(Rule.ACK_WHEN_DRAINED)) {
        out.step(with(s, b + ACKNOWLEDGED, 1), () -> "writer " + w + " acknowledges");
      }
    }
    if (control == TARGET_PRIMARY && s[b + PHASE] == SOURCE && idle) {
      byte[] n = with(s, b + PHASE, TARGET);
      n[b + GATE] = 0;
      out.step(n, () -> "writer " + w + " sees the flip: primary = target");
    }
    if (control == SOURCE_PRIMARY && shut) {
      byte[] n = with(s, b + GATE, 0);
      n[b + ACKNOWLEDGED] = 0;
      out.step(n, () -> "writer " + w + " sees the abort and goes on");
    }
  }

  /** Its deadline has passed. */
  private void deadline(byte[] s, int w, Successors out) {
    int b = writer(w);
    if (s[b + GATE] == 0 || s[b + PHASE] != SOURCE) {
      return;
    }
    boolean acknowledged = s[b + ACKNOWLEDGED] != 0;
    boolean reaches = s[b + REACHES] != 0;
    boolean paused = s[GLOBAL + CONTROL] == PAUSED;
    // not acknowledged: nobody flips without it, unless it is taken for dead, and then fenced
    if ((!acknowledged || !on(Rule.RESUME_BY_WORD)) && (acknowledged || !reaches || !paused)) {
      byte[] n = with(s, b + GATE, 0);
      n[b + ACKNOWLEDGED] = 0;
      out.step(n, () -> "writer " + w + "'s deadline: goes on with the source");
    }
    if (reaches && paused && on(Rule.RESUME_BY_WORD)) {
      byte[] n = with(s, b + GATE, 0);
      n[b + ACKNOWLEDGED] = 0;
      n[GLOBAL + CONTROL] = SOURCE_PRIMARY;
      n[GLOBAL + FENCED] = 0;
      out.step(n, () -> "writer " + w + "'s deadline: aborts the pause by compare-and-set");
    }
  }

  // ---- faults

  private static void faults(byte[] s, Successors out) {
    byte[] f = with(s, GLOBAL + FAULTS, s[GLOBAL + FAULTS] - 1);
    int orchestrator = s[GLOBAL + ORCHESTRATOR];
    if (orchestrator != PAUSE && orchestrator != OVER) {
      out.fault(with(f, GLOBAL + ORCHESTRATOR, OVER), () -> "the orchestrator is killed");
    }
    for (int i = 0; i < WRITERS; i++) {
      int w = i;
      int b = writer(w);
      if (s[b + REACHES] != 0) {
        byte[] n = with(f, b + REACHES, 0);
        if (n[b + MIRROR] == 1) {
          n[b + MIRROR] = 0;
        }
        out.fault(n, () -> "writer " + w + " is cut off from the target");
      }
      if (s[b + DEAD] == 0 && orchestrator == WAIT) {
        out.fault(with(f, b + DEAD, 1), () -> "writer " + w + " stalls and is taken for dead");
      }
    }
  }

  // ---- what is right

  @Override
  public String invariant(byte[] s) {
    if (s[GLOBAL + MIXED] != 0) {
      return "two primaries: a write committed on the source after one began on the target";
    }
    return s[GLOBAL + LOST] != 0 ? "an acknowledged write is not on the new primary" : null;
  }

  @Override
  public String judge(byte[] s) {
    for (int w = 0; w < WRITERS; w++) {
      if (s[writer(w) + PENDING] > 0 && s[GLOBAL + CONTROL] == TARGET_PRIMARY) {
        return "an acknowledged write is not on the new primary";
      }
      if (s[writer(w) + LEFT] > 0) {
        return "stuck: writer " + w + " waits for ever";
      }
    }
    return null;
  }

  // ---- for people

  @Override
  public String show(byte[] s) {
    String[] control = {"source", "paused", "target"};
    StringBuilder x = new StringBuilder("| control: " + control[s[GLOBAL + CONTROL]]);
    for (int w = 0; w < WRITERS; w++) {
      int b = writer(w);
      x.append(" | W").append(w).append(s[b + GATE] != 0 ? " gate shut" : " open");
      x.append(s[b + ACKNOWLEDGED] != 0 ? " acked" : "");
      x.append(" pending=").append(s[b + PENDING]);
    }
    return x.toString();
  }

  @Override
  public String title() {
    return "cutover, "
        + writes
        + " writes per writer, "
        + faults
        + " faults"
        + (off.isEmpty() ? "" : "; without " + off);
  }
}
