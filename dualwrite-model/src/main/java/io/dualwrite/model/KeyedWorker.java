package io.dualwrite.model;

import static io.dualwrite.model.KeyedLayout.*;
import static io.dualwrite.model.KeyedServers.BLOCK;
import static io.dualwrite.model.ServerSide.NONE;
import static io.dualwrite.model.ServerSide.OPEN;
import static io.dualwrite.model.ServerSide.live;

import io.dualwrite.model.Statement.Op;

/**
 * What the third actor does beyond resync: it copies both keys as one backfill task (read, insert
 * what is missing, read again, correct, commit), or it lists the keys of a table that a unit too
 * large made suspect and has them resynced.
 */
final class KeyedWorker {

  private final Workload w;
  private final KeyedLayout l;
  private final KeyedServers db;
  private final KeyedEngine engine;

  KeyedWorker(Workload w, KeyedLayout l, KeyedServers db, KeyedEngine engine) {
    this.w = w;
    this.l = l;
    this.db = db;
    this.engine = engine;
  }

  private String name() {
    return actorName(WORKER, w.backfill);
  }

  void begin(byte[] s) {
    if (w.backfill) {
      s[l.actor(WORKER) + ACTOR_STEP] = COPY_CLAIM;
    }
  }

  void next(byte[] s, Successors out) {
    switch (s[l.actor(WORKER) + ACTOR_STEP]) {
      case IDLE -> takeSuspects(s, out);
      case LIST_WAIT, LIST_MIRROR, LIST_PRIMARY -> list(s, out);
      case COPY_CLAIM, COPY_READ, COPY_INSERT_0, COPY_INSERT_1 -> copy(s, out);
      default -> {} // as any resync
    }
  }

  // ---- a suspect table, resynced as a whole

  /** What closes a suspect: nothing that the transaction did is missed by the reads to come. */
  private void takeSuspects(byte[] s, Successors out) {
    int open = s[l.global + SUSPECTS];
    for (int t = 0; t < w.count() && w.on(Rule.SUSPECT_CARRIES_XID); t++) {
      if (live(s[l.tx(t) + ON_PRIMARY])) {
        open &= ~(1 << t);
      }
    }
    if (open == 0) {
      return;
    }
    byte[] n = s.clone();
    n[l.actor(WORKER) + CLOSES] = (byte) open;
    n[l.actor(WORKER) + TARGET] = (byte) (w.count() + 1);
    boolean wait = w.on(Rule.LIST_AFTER_INFLIGHT);
    if (wait) {
      mask(n, l.actor(WORKER) + IN_FLIGHT, db.inFlight(n, WORKER));
    }
    n[l.actor(WORKER) + ACTOR_STEP] = (byte) (wait ? LIST_WAIT : LIST_MIRROR);
    out.step(n, () -> name() + " takes the suspect table");
  }

  private void list(byte[] s, Successors out) {
    int a = l.actor(WORKER);
    int step = s[a + ACTOR_STEP];
    if (step == LIST_WAIT) {
      if (mask(s, a + IN_FLIGHT) == 0) {
        out.step(
            with(s, a + ACTOR_STEP, LIST_MIRROR),
            () -> name() + " has waited for the mirror's transactions in flight");
      }
      return;
    }
    int side = step == LIST_MIRROR ? M : P;
    byte[] n = s.clone();
    boolean any = false;
    for (int k = 0; k < 2; k++) {
      if (s[l.row(side, k) + PRESENT] != 0) {
        n[l.key(WORKER, k) + WORK] = 1;
      }
      any |= n[l.key(WORKER, k) + WORK] != 0;
    }
    int next = side == M ? LIST_PRIMARY : any ? READ_PRIMARY : DONE;
    n[a + ACTOR_STEP] = (byte) next;
    out.step(n, () -> name() + " lists the keys of the " + (side == M ? "mirror" : "primary"));
  }

  // ---- a backfill task

  private void copy(byte[] s, Successors out) {
    int a = l.actor(WORKER);
    int step = s[a + ACTOR_STEP];
    byte[] n = s.clone();
    if (step == COPY_CLAIM) {
      if (s[l.global + BACKFILLED] != 0) {
        engine.clear(n, WORKER);
        out.step(n, () -> name() + " finds its task done");
      } else if (s[a + DEAD] == NONE) { // else its row is locked still, by the attempt before
        n[a + ACTOR_STEP] = COPY_READ;
        out.step(n, () -> name() + " claims its task");
      }
      return;
    }
    if (step == COPY_READ) {
      for (int k = 0; k < 2; k++) {
        if (s[l.row(P, k) + PRESENT] != 0) {
          n[l.key(WORKER, k) + WORK] = 1;
          engine.readPrimary(n, WORKER, k);
        }
      }
      n[a + ACTOR_STEP] = COPY_INSERT_0;
      out.step(n, () -> name() + " reads the primary");
      return;
    }
    int k = step - COPY_INSERT_0;
    int q = l.key(WORKER, k);
    n[a + ACTOR_STEP] = (byte) (k == 0 ? COPY_INSERT_1 : READ_AGAIN);
    if (s[q + WORK] == 0 || s[q + READ_PRESENT] == 0) {
      out.step(n, () -> name() + " has no k" + k);
      return;
    }
    // INSERT … ON CONFLICT DO NOTHING
    int mirror = l.row(M, k);
    int h = s[mirror + HOLDER];
    if (h != 0 && h != actorHolder(WORKER)) {
      return; // unique-index wait
    }
    boolean there = s[mirror + PRESENT] != 0;
    if (!there) {
      int c = db.run(n, M, k, actorHolder(WORKER), Op.INSERT, s[q + READ_VALUE]);
      if (c == BLOCK) {
        return;
      }
      if (c < 0) {
        n = s.clone();
        engine.restart(n, WORKER);
        out.step(n, () -> name() + " 23503, starts over");
        return;
      }
      n[a + ACTOR_ON_MIRROR] = OPEN;
      n[q + HELD] = 1;
    }
    out.step(
        n, () -> name() + " copies k" + k + (there ? ": already there" : "=" + s[q + READ_VALUE]));
  }

  /** Whether it can be killed to some effect. */
  boolean working(byte[] s) {
    int step = s[l.actor(WORKER) + ACTOR_STEP];
    return w.backfill
        ? s[l.global + BACKFILLED] == 0 && step != COPY_CLAIM
        : step != IDLE && s[l.actor(WORKER) + DEAD] == NONE;
  }
}
