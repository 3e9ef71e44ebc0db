package io.dualwrite.model;

import static io.dualwrite.model.KeyedLayout.*;
import static io.dualwrite.model.ServerSide.GONE;
import static io.dualwrite.model.ServerSide.NONE;
import static io.dualwrite.model.ServerSide.live;

/**
 * Two keys of keyed tables, two writers, their journals, resync, backfill: what a {@link Workload}
 * does on them, in every order and with every fault. In the end both databases must be equal.
 */
final class Keyed implements TransitionSystem {

  private final Workload w;
  private final KeyedLayout l;
  private final KeyedServers db;
  private final KeyedWriter writer;
  private final KeyedEngine engine;
  private final KeyedWorker worker;

  Keyed(Workload w) {
    this.w = w;
    l = new KeyedLayout(w.count());
    db = new KeyedServers(w, l);
    writer = new KeyedWriter(w, l, db);
    engine = new KeyedEngine(w, l, db);
    worker = new KeyedWorker(w, l, db, engine);
  }

  @Override
  public byte[] init() {
    byte[] s = new byte[l.size];
    for (int k = 0; k < 2; k++) {
      for (int d = 0; d < 2; d++) {
        int v = w.start[k * 2 + d];
        if (v >= 0) {
          s[l.row(d, k) + PRESENT] = 1;
          s[l.row(d, k) + VALUE] = (byte) v;
        }
      }
    }
    s[l.global + FAULTS] = (byte) w.faults;
    worker.begin(s);
    return s;
  }

  @Override
  public void next(byte[] s, Successors out) {
    for (int t = 0; t < w.count(); t++) {
      writer.next(s, t, out);
    }
    for (int r = 0; r < ACTORS; r++) {
      engine.next(s, r, out);
    }
    worker.next(s, out);
    if (s[l.global + FAULTS] > 0) {
      faults(s, out);
    }
  }

  @Override
  public void canon(byte[] s) {
    writer.canon(s);
  }

  // ---- faults

  private void faults(byte[] s, Successors out) {
    byte[] f = with(s, l.global + FAULTS, s[l.global + FAULTS] - 1);
    for (int t = 0; t < w.count(); t++) {
      writer.faults(s, f, t, out);
    }
    for (int r = 0; r < ACTORS; r++) {
      engine.faults(s, f, r, out);
    }
    for (int i = 0; i < Workload.WRITERS; i++) {
      int who = i;
      boolean busy = s[l.actor(i) + ACTOR_STEP] != IDLE || writer.busy(s, i);
      if (busy && s[l.actor(i) + DEAD] == NONE) {
        byte[] n = f.clone();
        writer.die(n, i);
        engine.die(n, i);
        out.fault(n, () -> "writer " + who + " is killed and restarts");
      }
    }
    if (worker.working(s)) {
      byte[] n = f.clone();
      engine.die(n, WORKER);
      out.fault(n, () -> actorName(WORKER, w.backfill) + " is killed and restarts");
    }
    mirrorRestarts(s, f, out);
    primaryRestarts(s, f, out);
  }

  private void mirrorRestarts(byte[] s, byte[] f, Successors out) {
    byte[] n = f.clone();
    boolean any = false;
    for (int t = 0; t < w.count(); t++) {
      if (live(s[l.tx(t) + ON_MIRROR])) {
        any = true;
        writer.loseMirror(n, t);
      }
    }
    for (int r = 0; r < ACTORS; r++) {
      any |= engine.mirrorRestarts(n, r);
    }
    if (any) {
      out.fault(n, () -> "the mirror server restarts");
    }
  }

  private void primaryRestarts(byte[] s, byte[] f, Successors out) {
    byte[] n = f.clone();
    boolean any = false;
    for (int t = 0; t < w.count(); t++) {
      int b = l.tx(t);
      if (live(s[b + ON_PRIMARY])) {
        any = true;
        db.end(n, P, holder(t), false);
        n[b + ON_PRIMARY] = GONE;
        n[b + AWAITS] = 0;
      }
    }
    if (any) {
      out.fault(n, () -> "the primary server restarts");
    }
  }

  // ---- what is right

  @Override
  public String judge(byte[] s) {
    for (int t = 0; t < w.count(); t++) {
      if (s[l.tx(t) + STEP] != ENDED) {
        return "stuck: " + w.writer(t) + " never ends";
      }
    }
    for (int t = 0; t < w.count(); t++) {
      if (s[l.tx(t) + JOURNAL] == 1) {
        return "stuck: " + w.writer(t) + "'s intent is never resolved";
      }
    }
    if (w.backfill && s[l.global + BACKFILLED] == 0) {
      return "stuck: the backfill never ends";
    }
    if (s[l.global + SUSPECTS] != 0) {
      return "stuck: the suspect is never closed";
    }
    for (int k = 0; k < 2; k++) {
      int p = l.row(P, k);
      int m = l.row(M, k);
      if (s[p + PRESENT] != s[m + PRESENT]) {
        return "k"
            + k
            + (s[p + PRESENT] != 0 ? " lost on the mirror" : " exists on the mirror only");
      }
      if (s[p + PRESENT] != 0 && s[p + VALUE] != s[m + VALUE]) {
        return "k" + k + " differs";
      }
    }
    return null;
  }

  // ---- for people

  private String cell(byte[] s, int database, int key) {
    int r = l.row(database, key);
    String c = s[r + PRESENT] != 0 ? "" + s[r + VALUE] : "-";
    int h = s[r + HOLDER];
    if (h == 0) {
      return c;
    }
    String by =
        h < actorHolder(0)
            ? w.writer(h - 1)
            : h < deadHolder(0)
                ? actorName(h - actorHolder(0), w.backfill)
                : "dead " + actorName(h - deadHolder(0), w.backfill);
    return c + "(" + (s[r + HELD_PRESENT] != 0 ? "" + s[r + HELD_VALUE] : "-") + " by " + by + ")";
  }

  @Override
  public String show(byte[] s) {
    StringBuilder x = new StringBuilder();
    for (int d : new int[] {P, M}) {
      x.append(d == P ? "| P" : " | M");
      for (int k = 0; k < 2; k++) {
        x.append(" k").append(k).append('=').append(cell(s, d, k));
      }
    }
    x.append(" | pending:");
    for (int t = 0; t < w.count(); t++) {
      if (s[l.tx(t) + JOURNAL] == 1) {
        x.append(' ').append(w.writer(t));
      }
    }
    return x.append(s[l.global + SUSPECTS] != 0 ? " suspect" : "").toString();
  }

  @Override
  public String title() {
    return w.title();
  }
}
