package io.dualwrite.model;

import static io.dualwrite.model.KeylessTable.*;
import static io.dualwrite.model.ServerSide.GONE;
import static io.dualwrite.model.ServerSide.NONE;
import static io.dualwrite.model.ServerSide.OPEN;
import static io.dualwrite.model.ServerSide.ORPHAN;
import static io.dualwrite.model.ServerSide.ZOMBIE;
import static io.dualwrite.model.ServerSide.live;

import java.util.List;
import java.util.Set;

/**
 * Units of work on one keyless table: each inserts one row of its own, or truncates the table.
 * Markers, replay by snapshot visibility, recopy, suspects, and xids that are handed out again
 * after a crash of the primary. Equal means: the same number of each row.
 */
final class Keyless implements TransitionSystem {

  private final KeylessTable l;
  private final KeylessReplay replay;
  private final Recopy recopy;
  private final int recopies;
  private final int faults;

  Keyless(List<Unit> units, Set<Rule> off, int recopies, int faults) {
    this.recopies = recopies;
    this.faults = faults;
    l = new KeylessTable(units, off);
    replay = new KeylessReplay(l);
    recopy = new Recopy(l);
  }

  @Override
  public byte[] init() {
    byte[] s = new byte[l.size];
    s[l.global + FAULTS] = (byte) faults;
    s[l.recopy + OWED] = (byte) recopies;
    return s;
  }

  @Override
  public void next(byte[] s, Successors out) {
    for (int i = 0; i < l.count; i++) {
      orphans(s, i, out);
      unit(s, i, out);
    }
    for (int v = 0; v < WRITERS; v++) {
      replay.next(s, v, out);
    }
    recopy.next(s, out);
    if (s[l.global + FAULTS] > 0) {
      faults(s, out);
    }
  }

  // ---- a writer's unit of work

  private void orphans(byte[] s, int i, Successors out) {
    int b = l.unit(i);
    if (s[b + ON_PRIMARY] == ZOMBIE) {
      byte[] n = s.clone();
      l.endPrimary(n, i, true);
      out.step(n, () -> "primary carries out " + l.name(i) + "'s COMMIT, late");
    }
    if (s[b + ON_PRIMARY] == ZOMBIE || s[b + ON_PRIMARY] == ORPHAN) {
      byte[] n = s.clone();
      l.endPrimary(n, i, false);
      out.step(n, () -> "primary rolls " + l.name(i) + " back (client gone)");
    }
    if (s[b + ON_MIRROR] == ZOMBIE) {
      byte[] n = s.clone();
      l.endMirror(n, i, true);
      out.step(n, () -> "mirror carries out " + l.name(i) + "'s COMMIT, late");
    }
    if (s[b + ON_MIRROR] == ZOMBIE || s[b + ON_MIRROR] == ORPHAN) {
      byte[] n = s.clone();
      l.endMirror(n, i, false);
      out.step(n, () -> "mirror rolls " + l.name(i) + " back (client gone)");
    }
  }

  private void unit(byte[] s, int i, Successors out) {
    int b = l.unit(i);
    switch (s[b + STEP]) {
      case NEW -> execute(s, i, out);
      case FLUSHED -> flush(s, i, out);
      case INTENT_APPENDED -> {
        byte[] n = with(s, b + JOURNAL, 1);
        n[b + STEP] = PRIMARY_COMMITTED;
        // no keys: a failure opens a suspect, durable before the commit
        boolean suspect = !l.inserts(i) && s[b + FAILED] != 0;
        if (suspect) {
          l.suspect(n, i);
          n[b + JOURNAL] = 2;
        }
        out.step(n, () -> l.name(i) + (suspect ? " opens a suspect" : " INTENT_APPENDED"));
      }
      case PRIMARY_COMMITTED -> {
        byte[] n = s.clone();
        if (s[b + ON_PRIMARY] == OPEN) {
          l.endPrimary(n, i, true);
          n[b + KNOWN] = 1;
          n[b + STEP] = (byte) (s[b + ON_MIRROR] == OPEN ? MIRROR_COMMITTED : ENDED);
          out.step(n, () -> l.name(i) + " PRIMARY_COMMITTED");
        } else {
          unknown(n, i);
          out.step(n, () -> l.name(i) + " loses the primary's connection at COMMIT");
        }
      }
      case MIRROR_COMMITTED -> {
        byte[] n = s.clone();
        boolean open = s[b + ON_MIRROR] == OPEN;
        if (open) {
          l.endMirror(n, i, true);
        }
        n[b + STEP] = (byte) (open ? RESOLVED_APPENDED : ENDED);
        out.step(
            n,
            () -> l.name(i) + (open ? " MIRROR_COMMITTED" : " finds its mirror transaction gone"));
      }
      case RESOLVED_APPENDED -> {
        byte[] n = with(s, b + JOURNAL, 2);
        n[b + STEP] = ENDED;
        out.step(n, () -> l.name(i) + " RESOLVED_APPENDED");
      }
      default -> {}
    }
  }

  private void execute(byte[] s, int i, Successors out) {
    for (int k = 0; k < i; k++) {
      boolean same = l.units.get(k).writer() == l.units.get(i).writer();
      if (same && s[l.unit(k) + STEP] < MIRROR_COMMITTED) {
        return;
      }
    }
    for (int k = 0; k < l.count; k++) {
      boolean waits = !l.inserts(k) || !l.inserts(i);
      if (k != i && live(s[l.unit(k) + ON_PRIMARY]) && waits) {
        return; // for the TRUNCATE's lock
      }
    }
    int b = l.unit(i);
    byte[] n = s.clone();
    n[b + ON_PRIMARY] = OPEN;
    n[b + STEP] = FLUSHED;
    n[b + INCARNATION] = s[l.global + PRIMARY_INCARNATION];
    String what = " on the primary: " + l.units.get(i).kind() + ", ASKED";
    out.step(n, () -> l.name(i) + what);
    for (int k = 0; k < l.count; k++) { // an xid lost in a crash is handed out again
      int lost = k;
      boolean crashed =
          s[l.unit(k) + ON_PRIMARY] == GONE
              && s[l.unit(k) + INCARNATION] < s[l.global + PRIMARY_INCARNATION];
      if (k != i && crashed && !taken(s, k)) {
        byte[] m = n.clone();
        m[b + XID_OF] = (byte) (k + 1);
        out.step(
            m,
            () ->
                l.name(i) + what + ", with the xid that " + l.name(lost) + " had before the crash");
      }
    }
  }

  private boolean taken(byte[] s, int xid) {
    for (int x = 0; x < l.count; x++) {
      if (s[l.unit(x) + XID_OF] == xid + 1) {
        return true;
      }
    }
    return false;
  }

  private void flush(byte[] s, int i, Successors out) {
    int b = l.unit(i);
    byte[] n = s.clone();
    if (s[b + ON_PRIMARY] == GONE) {
      n[b + STEP] = ENDED;
      out.step(n, () -> l.name(i) + " is told that the primary is gone");
    } else if (s[b + ON_MIRROR] == GONE) {
      fail(n, i);
      out.step(n, () -> l.name(i) + " flush fails");
    } else if (l.inserts(i) ? l.exclusive(s, i) : l.locked(s, i)) {
      fail(n, i);
      out.step(n, () -> l.name(i) + " flush: lock timeout on the mirror");
    } else {
      n[b + ON_MIRROR] = OPEN;
      n[b + STEP] = INTENT_APPENDED;
      if (l.inserts(i) && l.on(Rule.MARKER)) {
        n[b + MARKER_HELD] = 1;
      }
      if (!l.inserts(i)) {
        n[b + TRUNCATED_AT] = (byte) l.snapshot(s);
      }
      out.step(n, () -> l.name(i) + " FLUSHED");
    }
  }

  /** The flush failed: the mirror's transaction is gone, the unit stays pending. */
  private void fail(byte[] n, int i) {
    int b = l.unit(i);
    if (live(n[b + ON_MIRROR])) {
      l.endMirror(n, i, false);
    }
    n[b + ON_MIRROR] = GONE;
    n[b + FAILED] = 1;
    if (n[b + STEP] == FLUSHED) {
      n[b + STEP] = INTENT_APPENDED;
    }
    if (n[b + STEP] == MIRROR_COMMITTED) {
      n[b + STEP] = ENDED;
    }
  }

  /** COMMIT on the primary got no answer. */
  private void unknown(byte[] n, int i) {
    if (live(n[l.unit(i) + ON_MIRROR])) {
      l.endMirror(n, i, false);
    }
    n[l.unit(i) + STEP] = ENDED;
  }

  // ---- faults

  private void faults(byte[] s, Successors out) {
    byte[] f = with(s, l.global + FAULTS, s[l.global + FAULTS] - 1);
    for (int i = 0; i < l.count; i++) {
      unitFaults(s, f, i, out);
    }
    for (int v = 0; v < WRITERS; v++) {
      replay.faults(s, f, v, out);
      writerDies(s, f, v, out);
    }
    recopy.faults(s, f, out);
    primaryCrashes(s, f, out);
    mirrorRestarts(s, f, out);
  }

  private void unitFaults(byte[] s, byte[] f, int i, Successors out) {
    int b = l.unit(i);
    int step = s[b + STEP];
    boolean open = s[b + ON_MIRROR] == OPEN;
    if ((open && step != ENDED) || (step == FLUSHED && s[b + ON_MIRROR] == NONE)) {
      byte[] n = f.clone();
      fail(n, i);
      out.fault(n, () -> "the mirror loses " + l.name(i) + "'s transaction");
    }
    if (step == PRIMARY_COMMITTED && s[b + ON_PRIMARY] == OPEN) {
      byte[] n = f.clone();
      n[b + ON_PRIMARY] = ZOMBIE;
      unknown(n, i);
      out.fault(n, () -> l.name(i) + " gets no answer to COMMIT from the primary");
    }
    if (step == MIRROR_COMMITTED && open) {
      byte[] n = f.clone();
      n[b + ON_MIRROR] = ZOMBIE;
      n[b + STEP] = ENDED;
      out.fault(n, () -> l.name(i) + " gets no answer to COMMIT from the mirror");
    }
  }

  private void writerDies(byte[] s, byte[] f, int v, Successors out) {
    int r = l.replay(v);
    boolean busy = s[r + REPLAY_STEP] != KeylessReplay.IDLE;
    for (int i = 0; i < l.count; i++) {
      int step = s[l.unit(i) + STEP];
      busy |= l.units.get(i).writer() == v && step != NEW && step != ENDED;
    }
    if (!busy || s[r + DEAD] != NONE) {
      return;
    }
    byte[] n = f.clone();
    for (int i = 0; i < l.count; i++) {
      int b = l.unit(i);
      int step = s[b + STEP];
      if (l.units.get(i).writer() != v || step == NEW) {
        continue;
      }
      n[b + KNOWN] = 0; // what only the process knew
      if (step == ENDED) {
        continue;
      }
      if (s[b + ON_PRIMARY] == OPEN) {
        n[b + ON_PRIMARY] = (byte) (step == PRIMARY_COMMITTED ? ZOMBIE : ORPHAN);
      }
      if (s[b + ON_MIRROR] == OPEN) {
        n[b + ON_MIRROR] = (byte) (step == MIRROR_COMMITTED ? ZOMBIE : ORPHAN);
      }
      n[b + STEP] = ENDED;
    }
    replay.leave(n, v);
    out.fault(n, () -> "writer " + v + " is killed and restarts");
  }

  /** Even with nothing in flight: the xids of transactions that rolled back come again. */
  private void primaryCrashes(byte[] s, byte[] f, Successors out) {
    byte[] n = f.clone();
    for (int i = 0; i < l.count; i++) {
      if (live(s[l.unit(i) + ON_PRIMARY])) {
        l.endPrimary(n, i, false);
      }
    }
    n[l.global + PRIMARY_INCARNATION]++;
    if (s[l.recopy + RECOPY_STEP] > Recopy.LOCK) {
      recopy.abort(n);
    }
    out.fault(n, () -> "the primary server crashes and restarts");
  }

  private void mirrorRestarts(byte[] s, byte[] f, Successors out) {
    byte[] n = f.clone();
    boolean any = false;
    for (int i = 0; i < l.count; i++) {
      if (live(s[l.unit(i) + ON_MIRROR])) {
        any = true;
        fail(n, i);
      }
    }
    for (int v = 0; v < WRITERS; v++) {
      any |= replay.mirrorRestarts(n, v);
    }
    if (s[l.recopy + RECOPY_ON_MIRROR] == OPEN) {
      any = true;
      recopy.abort(n);
    }
    if (any) {
      out.fault(n, () -> "the mirror server restarts");
    }
  }

  // ---- what is right

  @Override
  public String judge(byte[] s) {
    for (int i = 0; i < l.count; i++) {
      if (s[l.unit(i) + STEP] != ENDED) {
        return "stuck: " + l.name(i) + " never ends";
      }
    }
    for (int i = 0; i < l.count; i++) {
      if (s[l.unit(i) + JOURNAL] == 1) {
        return "stuck: " + l.name(i) + "'s intent is never resolved";
      }
    }
    if (s[l.global + SUSPECTS] != 0) {
      return "stuck: the suspect is never closed";
    }
    for (int i = 0; i < l.count; i++) {
      int b = l.unit(i);
      if (l.inserts(i) && s[b + COPIES] != s[b + ROW]) {
        return "row of "
            + l.name(i)
            + ": "
            + s[b + ROW]
            + " on the primary, "
            + s[b + COPIES]
            + " on the mirror";
      }
    }
    return null;
  }

  // ---- for people

  @Override
  public String show(byte[] s) {
    StringBuilder x = new StringBuilder("| rows P");
    for (int i = 0; i < l.count; i++) {
      x.append(' ').append(s[l.unit(i) + ROW]);
    }
    x.append(" M");
    for (int i = 0; i < l.count; i++) {
      x.append(' ').append(s[l.unit(i) + COPIES]);
    }
    x.append(" | pending:");
    for (int i = 0; i < l.count; i++) {
      if (s[l.unit(i) + JOURNAL] == 1) {
        x.append(" u").append(i);
      }
    }
    return x.append(s[l.global + SUSPECTS] != 0 ? " suspect" : "").toString();
  }

  @Override
  public String title() {
    return "keyless, "
        + recopies
        + " recopies: "
        + l.units
        + (l.off.isEmpty() ? "" : "; without " + l.off);
  }
}
