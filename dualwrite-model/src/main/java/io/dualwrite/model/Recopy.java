package io.dualwrite.model;

import static io.dualwrite.model.KeylessTable.*;
import static io.dualwrite.model.ServerSide.OPEN;
import static io.dualwrite.model.ServerSide.live;

import java.util.Arrays;

/**
 * The recopy of a keyless table: lock, delete, snapshot, copy, commit. It closes suspects that its
 * snapshot covers.
 */
final class Recopy {

  // the next step
  static final int IDLE = 0;
  static final int LOCK = 1;
  static final int DELETE = 2;
  static final int TAKE_SNAPSHOT = 3;
  static final int COPY = 4;
  static final int COMMIT = 5;

  private static final int OWN_SAKE = 1 << 6;

  private final KeylessTable l;

  Recopy(KeylessTable l) {
    this.l = l;
  }

  void next(byte[] s, Successors out) {
    int c = l.recopy;
    boolean right = l.on(Rule.LOCK_THEN_DELETE_THEN_SNAPSHOT);
    byte[] n = s.clone();
    switch (s[c + RECOPY_STEP]) {
      case IDLE -> {
        int open = s[l.global + SUSPECTS];
        for (int i = 0; i < l.count && l.on(Rule.SUSPECT_CARRIES_XID); i++) {
          if (live(s[l.unit(i) + ON_PRIMARY])) {
            open &= ~(1 << i); // not yet worth a recopy
          }
        }
        if (open == 0 && s[c + OWED] == 0) {
          return;
        }
        if (open == 0) {
          n[c + OWED]--;
        }
        n[c + CLOSES] = (byte) (open == 0 ? 0 : OWN_SAKE | s[l.global + SUSPECTS]);
        n[c + RECOPY_STEP] = (byte) (right ? LOCK : TAKE_SNAPSHOT);
        n[c + RECOPY_ON_MIRROR] = OPEN;
        out.step(n, () -> "RECOPY begins");
      }
      case LOCK -> {
        if (!l.locked(s, -1)) {
          n[c + RECOPY_LOCK] = 1;
          n[c + RECOPY_STEP] = DELETE;
          out.step(n, () -> "RECOPY locks the table");
        }
      }
      case DELETE -> {
        for (int i = 0; i < l.count; i++) {
          n[c + DELETED + i] = s[l.unit(i) + COPIES];
        }
        n[c + RECOPY_STEP] = (byte) (right ? TAKE_SNAPSHOT : COPY);
        out.step(n, () -> "RECOPY deletes the mirror's rows");
      }
      case TAKE_SNAPSHOT -> {
        int rows = 0;
        for (int i = 0; i < l.count; i++) {
          rows |= s[l.unit(i) + ROW] != 0 ? 1 << i : 0;
        }
        n[c + SNAPSHOT] = (byte) l.snapshot(s);
        n[c + SEEN] = (byte) rows;
        // the suspects that this recopy may close: those that it read before its snapshot
        int sees = l.on(Rule.SUSPECT_CARRIES_XID) ? l.snapshot(s) | l.over(s) : -1;
        n[c + CLOSES] = (byte) ((s[c + CLOSES] & OWN_SAKE) | (s[l.global + SUSPECTS] & sees & 63));
        n[c + RECOPY_STEP] = (byte) (right ? COPY : LOCK);
        out.step(n, () -> "RECOPY takes the primary's snapshot");
      }
      case COPY -> {
        n[c + RECOPY_STEP] = COMMIT;
        out.step(n, () -> "RECOPY copies");
      }
      case COMMIT -> {
        for (int i = 0; i < l.count; i++) {
          int at = l.unit(i) + COPIES;
          n[at] = (byte) (s[at] - s[c + DELETED + i] + (s[c + SEEN] >> i & 1));
        }
        n[l.global + RECORDED] = 1;
        n[l.global + RECORDED_SNAPSHOT] = s[c + SNAPSHOT];
        n[l.global + RECORDED_INCARNATION] = s[l.global + PRIMARY_INCARNATION];
        stop(n);
        n[l.global + SUSPECTS] = (byte) (s[l.global + SUSPECTS] & ~(s[c + CLOSES] & 63));
        out.step(n, () -> "RECOPY commits, its snapshot recorded");
      }
      default -> {}
    }
  }

  private void stop(byte[] n) {
    Arrays.fill(n, l.recopy, l.recopy + OWED, (byte) 0);
  }

  /** It is thrown away and owed again. */
  void abort(byte[] n) {
    if ((n[l.recopy + CLOSES] & OWN_SAKE) == 0) {
      n[l.recopy + OWED]++;
    }
    stop(n);
  }

  void faults(byte[] s, byte[] f, Successors out) {
    if (s[l.recopy + RECOPY_STEP] != IDLE) {
      byte[] n = f.clone();
      abort(n);
      out.fault(n, () -> "the recopy worker is killed");
    }
  }
}
