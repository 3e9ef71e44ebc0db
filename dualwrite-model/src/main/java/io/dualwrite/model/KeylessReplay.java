package io.dualwrite.model;

import static io.dualwrite.model.KeylessTable.*;
import static io.dualwrite.model.ServerSide.COMMITTED;
import static io.dualwrite.model.ServerSide.GONE;
import static io.dualwrite.model.ServerSide.NONE;
import static io.dualwrite.model.ServerSide.OPEN;
import static io.dualwrite.model.ServerSide.ZOMBIE;
import static io.dualwrite.model.ServerSide.live;

/**
 * A writer's replay of pending keyless units: claim the marker, lock the table, ask the recorded
 * snapshot, insert, commit.
 */
final class KeylessReplay {

  // the next step
  static final int IDLE = 0;
  static final int CLAIM = 1;
  static final int SECOND = 2;
  static final int THIRD = 3;
  static final int INSERT = 4;
  static final int COMMIT = 5;
  static final int DONE = 6;

  private final KeylessTable l;

  KeylessReplay(KeylessTable l) {
    this.l = l;
  }

  private static String name(int v) {
    return "REPLAY" + v;
  }

  void next(byte[] s, int v, Successors out) {
    int r = l.replay(v);
    if (s[r + DEAD] != NONE) {
      if (s[r + DEAD] == ZOMBIE) {
        byte[] n = s.clone();
        l.endDead(n, v, true);
        out.step(n, () -> "mirror carries out a dead " + name(v) + "'s COMMIT, late");
      }
      byte[] n = s.clone();
      l.endDead(n, v, false);
      out.step(n, () -> "mirror rolls a dead " + name(v) + " back");
    }
    int i = s[r + OF];
    boolean lockFirst = l.on(Rule.LOCK_BEFORE_VISIBILITY);
    switch (s[r + REPLAY_STEP]) {
      case IDLE -> {
        for (int k = 0; k < l.count; k++) {
          take(s, v, k, out);
        }
      }
      case CLAIM -> claim(s, v, out);
      case SECOND -> {
        if (lockFirst) {
          lock(s, v, THIRD, out);
        } else {
          look(s, v, THIRD, out);
        }
      }
      case THIRD -> {
        if (lockFirst) {
          look(s, v, INSERT, out);
        } else {
          lock(s, v, INSERT, out);
        }
      }
      case INSERT -> {
        boolean insert = s[r + VISIBLE] == 1;
        byte[] n = s.clone();
        n[r + ROWS] = (byte) (insert ? 1 : 0);
        n[r + REPLAY_STEP] = COMMIT;
        out.step(
            n,
            () ->
                name(v)
                    + (insert
                        ? " inserts the row"
                        : " skips the row: it was in the recopy's snapshot"));
      }
      case COMMIT -> {
        byte[] n = s.clone();
        l.endReplay(n, v, true);
        n[r + REPLAY_LOCK] = 0;
        n[r + VISIBLE] = 0;
        n[r + ROWS] = 0;
        n[r + REPLAY_STEP] = DONE;
        out.step(n, () -> name(v) + " commits");
      }
      case DONE -> {
        byte[] n = with(s, l.unit(i) + JOURNAL, 2);
        n[r + REPLAY_STEP] = IDLE;
        n[r + OF] = 0;
        out.step(n, () -> name(v) + " appends resolved for " + l.name(i));
      }
      default -> {}
    }
  }

  /** Takes a pending unit up, if it may: or finds that it did not commit, or cannot know. */
  private void take(byte[] s, int v, int k, Successors out) {
    int b = l.unit(k);
    if (l.units.get(k).writer() != v || s[b + JOURNAL] != 1 || s[b + STEP] != ENDED) {
      return;
    }
    int state = s[b + ON_PRIMARY];
    boolean doubt = s[b + KNOWN] == 0;
    boolean mistaken = false;
    if (doubt && s[b + INCARNATION] != s[l.global + PRIMARY_INCARNATION]) { // crashed since
      if (l.on(Rule.INCARNATION)) {
        byte[] n = s.clone();
        l.suspect(n, k);
        n[b + JOURNAL] = 2;
        out.step(
            n,
            () -> name(v) + ": " + l.name(k) + " in doubt across a crash of the primary: suspect");
        return;
      }
      for (int x = 0; x < l.count; x++) {
        if (s[l.unit(x) + XID_OF] == k + 1) {
          state = s[l.unit(x) + ON_PRIMARY];
          mistaken = true;
        }
      }
    }
    if (doubt && live(state)) {
      if (l.on(Rule.WAIT_ENDED)) {
        return;
      }
      state = GONE; // taken as not committed
    }
    byte[] n = s.clone();
    String how = mistaken ? " (another's xid)" : "";
    if (state != COMMITTED) {
      n[b + JOURNAL] = 2;
      out.step(n, () -> name(v) + ": " + l.name(k) + " did not commit" + how + ": resolved");
    } else if (!l.inserts(k)) {
      l.suspect(n, k);
      n[b + JOURNAL] = 2;
      out.step(n, () -> name(v) + ": " + l.name(k) + " is a TRUNCATE: suspect");
    } else {
      n[l.replay(v) + REPLAY_STEP] = CLAIM;
      n[l.replay(v) + OF] = (byte) k;
      out.step(n, () -> name(v) + " takes " + l.name(k) + " (committed" + how + ")");
    }
  }

  private void claim(byte[] s, int v, Successors out) {
    int r = l.replay(v);
    int i = s[r + OF];
    int b = l.unit(i);
    byte[] n = s.clone();
    if (l.on(Rule.MARKER)) {
      boolean insert = l.on(Rule.MARKER_BY_INSERT);
      if (insert && s[b + MARKER_HELD] != 0) {
        return; // unique-index wait
      }
      if (s[b + MARKER] != 0) {
        n[r + REPLAY_STEP] = DONE;
        out.step(n, () -> name(v) + " finds the marker: applied already");
        return;
      }
      if (insert) {
        n[b + MARKER_HELD] = 2;
      }
    }
    n[r + REPLAY_ON_MIRROR] = OPEN;
    n[r + REPLAY_STEP] = SECOND;
    out.step(n, () -> name(v) + " claims " + l.name(i));
  }

  private void lock(byte[] s, int v, int then, Successors out) {
    if (l.exclusive(s, -1)) {
      return;
    }
    byte[] n = with(s, l.replay(v) + REPLAY_LOCK, 1);
    n[l.replay(v) + REPLAY_STEP] = (byte) then;
    out.step(n, () -> name(v) + " takes its lock on the table");
  }

  private void look(byte[] s, int v, int then, Successors out) {
    int i = s[l.replay(v) + OF];
    boolean visible = false;
    if (s[l.global + RECORDED] != 0 && l.on(Rule.SNAPSHOT_RECORDED)) {
      int of = s[l.unit(i) + INCARNATION];
      int recorded = s[l.global + RECORDED_INCARNATION];
      if (l.on(Rule.INCARNATION) && of != recorded) {
        visible = of < recorded;
      } else {
        int again = s[l.unit(i) + XID_OF];
        int xid = again != 0 ? again - 1 : i;
        visible = (s[l.global + RECORDED_SNAPSHOT] >> xid & 1) != 0;
      }
    }
    boolean was = visible;
    byte[] n = with(s, l.replay(v) + VISIBLE, visible ? 2 : 1);
    n[l.replay(v) + REPLAY_STEP] = (byte) then;
    out.step(
        n, () -> name(v) + " reads the recorded snapshot: " + (was ? "was visible" : "was not"));
  }

  // ---- faults

  void drop(byte[] n, int v) {
    int r = l.replay(v);
    if (n[r + REPLAY_ON_MIRROR] == OPEN) {
      l.endReplay(n, v, false);
    }
    n[r + REPLAY_LOCK] = 0;
    n[r + VISIBLE] = 0;
    n[r + ROWS] = 0;
    n[r + OF] = 0;
    n[r + REPLAY_STEP] = IDLE;
  }

  /** The process dies, or gets no answer; only a COMMIT on its way outlives it. */
  void leave(byte[] n, int v) {
    int r = l.replay(v);
    if (n[r + REPLAY_ON_MIRROR] == OPEN && n[r + REPLAY_STEP] == COMMIT) {
      n[r + DEAD] = ZOMBIE;
      n[r + DEAD_OF] = n[r + OF];
      n[r + DEAD_ROWS] = n[r + ROWS];
      if (n[l.unit(n[r + OF]) + MARKER_HELD] == 2) {
        n[l.unit(n[r + OF]) + MARKER_HELD] = 3;
      }
      n[r + REPLAY_ON_MIRROR] = NONE;
    }
    drop(n, v);
  }

  void faults(byte[] s, byte[] f, int v, Successors out) {
    int r = l.replay(v);
    if (s[r + REPLAY_ON_MIRROR] == OPEN) {
      byte[] n = f.clone();
      drop(n, v);
      out.fault(n, () -> "the mirror loses " + name(v) + "'s transaction");
    }
    if (s[r + REPLAY_STEP] == COMMIT && s[r + DEAD] == NONE) {
      byte[] n = f.clone();
      leave(n, v);
      out.fault(n, () -> name(v) + " gets no answer to COMMIT from the mirror");
    }
  }

  /** The mirror restarts: true if that did anything. */
  boolean mirrorRestarts(byte[] n, int v) {
    int r = l.replay(v);
    boolean open = n[r + REPLAY_ON_MIRROR] == OPEN;
    if (open) {
      drop(n, v);
    }
    if (n[r + DEAD] != NONE) {
      l.endDead(n, v, false);
    }
    return open;
  }
}
