package io.dualwrite.model;

import static io.dualwrite.model.KeyedLayout.*;
import static io.dualwrite.model.KeyedServers.BLOCK;
import static io.dualwrite.model.KeyedServers.DUPLICATE;
import static io.dualwrite.model.KeyedServers.NO_PARENT;
import static io.dualwrite.model.ServerSide.COMMITTED;
import static io.dualwrite.model.ServerSide.GONE;
import static io.dualwrite.model.ServerSide.NONE;
import static io.dualwrite.model.ServerSide.OPEN;
import static io.dualwrite.model.ServerSide.ORPHAN;
import static io.dualwrite.model.ServerSide.ZOMBIE;

import io.dualwrite.model.Statement.Op;
import java.util.Arrays;

/**
 * Resync in its locked form: read the primary, write the mirror, read the primary again while the
 * mirror's rows are locked, correct, commit; then, for keys that were absent on both sides, wait
 * for the mirror transactions in flight and look again. Each writer has one for its pending
 * intents; what the third actor does besides is in {@link KeyedWorker}.
 */
final class KeyedEngine {

  private final Workload w;
  private final KeyedLayout l;
  private final KeyedServers db;

  KeyedEngine(Workload w, KeyedLayout l, KeyedServers db) {
    this.w = w;
    this.l = l;
    this.db = db;
  }

  private String name(int r) {
    return actorName(r, w.backfill);
  }

  /** Back to where it began, but for what a dead one left on the mirror. */
  void clear(byte[] n, int r) {
    int a = l.actor(r);
    byte dead = n[a + DEAD];
    Arrays.fill(n, a, a + ACTOR, (byte) 0);
    n[a + DEAD] = dead;
  }

  /** Throws away this attempt's mirror transaction and starts over. */
  void restart(byte[] n, int r) {
    int a = l.actor(r);
    if (n[a + ACTOR_ON_MIRROR] == OPEN) {
      db.end(n, M, actorHolder(r), false);
    }
    n[a + ACTOR_ON_MIRROR] = NONE;
    n[a + ACTOR_AWAITS] = 0;
    boolean copying = r == WORKER && n[a + TARGET] == 0;
    n[a + ACTOR_STEP] = (byte) (copying ? COPY_CLAIM : READ_PRIMARY);
    for (int k = 0; k < 2; k++) {
      int q = l.key(r, k);
      byte work = n[q + WORK];
      byte swap = n[q + SWAP];
      Arrays.fill(n, q, q + KEY, (byte) 0);
      if (!copying) {
        n[q + WORK] = work;
        n[q + SWAP] = swap;
      }
    }
  }

  // ---- the next step

  void next(byte[] s, int r, Successors out) {
    int a = l.actor(r);
    dead(s, r, out);
    switch (s[a + ACTOR_STEP]) {
      case IDLE -> {
        if (r < WORKER) {
          takeIntent(s, r, out);
        }
      }
      case READ_PRIMARY -> {
        byte[] n = s.clone();
        for (int k = 0; k < 2; k++) {
          if (s[l.key(r, k) + WORK] != 0) {
            readPrimary(n, r, k);
          }
        }
        n[a + ACTOR_STEP] = (byte) writes(n, r, READ_PRIMARY);
        out.step(
            n,
            () ->
                name(r)
                    + (w.on(Rule.PULL_LATEST)
                        ? " reads the primary"
                        : " takes the intent's images"));
      }
      case WRITE_MIRROR_0 -> write(s, r, 0, out);
      case WRITE_MIRROR_1 -> write(s, r, 1, out);
      case READ_AGAIN -> readAgain(s, r, out);
      case COMMIT -> {
        byte[] n = s.clone();
        if (s[a + ACTOR_ON_MIRROR] == OPEN) {
          db.end(n, M, actorHolder(r), true);
        }
        n[a + ACTOR_ON_MIRROR] = NONE;
        afterCommit(n, r);
        out.step(n, () -> name(r) + " commits");
      }
      case WAIT_IN_FLIGHT -> {
        if (mask(s, a + IN_FLIGHT) == 0) {
          out.step(
              with(s, a + ACTOR_STEP, READ_PRIMARY),
              () -> name(r) + " has waited for the mirror's transactions in flight");
        }
      }
      case HELD_OFF -> {
        if (!heldOff(s, r)) {
          out.step(
              with(s, a + ACTOR_STEP, READ_PRIMARY), () -> name(r) + " tries again after 23505");
        }
      }
      case DONE -> {
        byte[] n = s.clone();
        int target = s[a + TARGET] - 1;
        if (r < WORKER) {
          n[l.tx(target) + JOURNAL] = 2;
        } else if (w.backfill) {
          n[l.global + BACKFILLED] = 1;
        } else {
          n[l.global + SUSPECTS] = (byte) (s[l.global + SUSPECTS] & ~s[a + CLOSES]);
        }
        clear(n, r);
        out.step(
            n,
            () ->
                name(r)
                    + (r < WORKER
                        ? " appends resolved for " + w.writer(target)
                        : w.backfill ? " marks its task done" : " closes the suspect"));
      }
      default -> {}
    }
  }

  /** What a dead one left on the mirror ends. */
  private void dead(byte[] s, int r, Successors out) {
    int at = l.actor(r) + DEAD;
    if (s[at] == ZOMBIE) {
      byte[] n = with(s, at, NONE);
      db.end(n, M, deadHolder(r), true);
      out.step(n, () -> "mirror carries out a dead " + name(r) + "'s COMMIT, late");
    }
    if (s[at] != NONE) {
      byte[] n = with(s, at, NONE);
      db.end(n, M, deadHolder(r), false);
      out.step(n, () -> "mirror rolls a dead " + name(r) + " back");
    }
  }

  private void takeIntent(byte[] s, int r, Successors out) {
    int a = l.actor(r);
    for (int i = w.first(r); i < w.end(r); i++) {
      int t = i;
      int b = l.tx(t);
      if (s[b + JOURNAL] != 1 || s[b + STEP] != ENDED) {
        continue;
      }
      boolean ended = s[b + ON_PRIMARY] == COMMITTED || s[b + ON_PRIMARY] == GONE;
      if (w.on(Rule.WAIT_ENDED) && !ended) {
        continue;
      }
      byte[] n = s.clone();
      n[a + TARGET] = (byte) (t + 1);
      int keys = 0;
      for (int x = 0; x < w.transactions[t].length; x++) {
        Statement q = w.transactions[t][x];
        boolean both = q.op() != Op.REKEY || w.on(Rule.REKEY_TAKES_BOTH);
        keys |= both ? s[b + CHANGED + x] : s[b + CHANGED + x] & (1 << (1 - q.key()));
      }
      for (int k = 0; k < 2; k++) {
        n[l.key(r, k) + WORK] = (byte) (keys >> k & 1);
      }
      n[a + ACTOR_STEP] = (byte) (keys != 0 ? READ_PRIMARY : DONE);
      out.step(n, () -> name(r) + " takes " + w.writer(t) + "'s intent");
    }
  }

  // ---- reading

  void readPrimary(byte[] n, int r, int k) {
    int q = l.key(r, k);
    int p = l.row(P, k);
    n[q + READ_PRESENT] = n[p + PRESENT];
    n[q + READ_VALUE] = n[p + PRESENT] != 0 ? n[p + VALUE] : 0;
    n[q + MOVED] = 0;
    if (w.on(Rule.PULL_LATEST) || r == WORKER) {
      return;
    }
    int t = n[l.actor(r) + TARGET] - 1;
    for (int i = 0; i < w.transactions[t].length; i++) {
      Statement x = w.transactions[t][i];
      boolean known = x.key() == k && x.op() != Op.TAKE_READY;
      if (known && n[l.tx(t) + ON_PRIMARY] == COMMITTED) {
        boolean gone = x.op() == Op.DELETE;
        n[q + READ_PRESENT] = (byte) (gone ? 0 : 1);
        n[q + READ_VALUE] = gone ? 0 : n[l.tx(t) + IMAGE + i];
      }
    }
  }

  /** The order of the writes, by key; but what goes goes first where values are unique. */
  private int writes(byte[] s, int r, int from) {
    int q0 = l.key(r, 0);
    int q1 = l.key(r, 1);
    boolean both = s[q0 + WORK] != 0 && s[q1 + WORK] != 0;
    boolean turned =
        w.uniqueValues && both && s[q0 + READ_PRESENT] != 0 && s[q1 + READ_PRESENT] == 0;
    if (turned) {
      return switch (from) {
        case READ_PRIMARY -> WRITE_MIRROR_1;
        case WRITE_MIRROR_1 -> WRITE_MIRROR_0;
        default -> READ_AGAIN;
      };
    }
    return switch (from) {
      case READ_PRIMARY -> s[q0 + WORK] != 0 ? WRITE_MIRROR_0 : WRITE_MIRROR_1;
      case WRITE_MIRROR_0 -> s[q1 + WORK] != 0 ? WRITE_MIRROR_1 : READ_AGAIN;
      default -> READ_AGAIN;
    };
  }

  // ---- writing

  /** Whether the unit that is resynced deleted the parent k0. */
  private boolean deletesParent(byte[] s, int r) {
    int t = s[l.actor(r) + TARGET] - 1;
    if (t < 0 || t >= w.count()) {
      return false;
    }
    for (Statement q : w.transactions[t]) {
      if (q.op() == Op.DELETE && q.key() == 0) {
        return true;
      }
    }
    return false;
  }

  private void write(byte[] s, int r, int k, Successors out) {
    int a = l.actor(r);
    int q = l.key(r, k);
    int me = actorHolder(r);
    byte[] n = s.clone();
    n[a + ACTOR_STEP] = (byte) writes(s, r, s[a + ACTOR_STEP]);
    if (s[q + HELD] != 0) {
      out.step(n, () -> name(r) + " holds k" + k + " already");
      return;
    }
    boolean parent = w.foreignKey && k == 0 && deletesParent(s, r) && w.on(Rule.CASCADE_CLOSURE);
    boolean underLock = parent && w.on(Rule.CHILDREN_UNDER_LOCK);
    if (underLock && (l.share(s, M) & ~(1 << me)) != 0) {
      return; // SELECT … FOR UPDATE waits for children in flight
    }
    boolean present = s[q + READ_PRESENT] != 0;
    if (present && s[q + SWAP] != 0 && w.on(Rule.SWAP_IN_ONE_STATEMENT)) {
      int other = l.key(r, 1 - k);
      if (s[other + READ_PRESENT] != 0) {
        swap(s, n, r, out);
        return;
      }
    }
    if (present) {
      int c = db.run(n, M, k, me, Op.UPSERT, s[q + READ_VALUE]);
      if (c < 0) {
        refused(s, r, k, c, out);
        return;
      }
    } else if (!delete(s, n, r, k, out)) {
      return;
    }
    n[a + ACTOR_ON_MIRROR] = OPEN;
    n[q + HELD] = (byte) (present ? 1 : 2);
    if (underLock) {
      n[l.row(M, k) + FOR_UPDATE] = 1;
    }
    if (parent && db.sees(s, M, 1, me)) {
      children(n, r, present);
    }
    out.step(
        n,
        () ->
            name(r)
                + (present ? " upserts k" + k + "=" + s[q + READ_VALUE] : " deletes k" + k)
                + " on the mirror");
  }

  /** Whether the row was there and is deleted now. */
  private boolean delete(byte[] s, byte[] n, int r, int k, Successors out) {
    int a = l.actor(r);
    int mirror = l.row(M, k);
    int c;
    if (s[a + ACTOR_AWAITS] == 1) {
      return false;
    } else if (s[a + ACTOR_AWAITS] == 2) {
      c = 0;
      n[a + ACTOR_AWAITS] = 0;
    } else {
      c = db.run(n, M, k, actorHolder(r), Op.DELETE, 0);
    }
    if (c == BLOCK) {
      int h = s[mirror + HOLDER];
      if (h != 0 && h != actorHolder(r) && s[mirror + REBORN] != 0 && s[mirror + PRESENT] != 0) {
        out.step(with(s, a + ACTOR_AWAITS, 1), () -> name(r) + " waits on the mirror for k" + k);
      }
      lockTimeout(s, r, out);
      return false;
    }
    if (c == 0) {
      n[l.key(r, k) + ZERO] = 1;
      out.step(n, () -> name(r) + " deletes k" + k + " on the mirror -> 0");
    }
    return c == 1;
  }

  /** The child joins: found under the parent's lock, before the parent goes. */
  private void children(byte[] n, int r, boolean present) {
    int q = l.key(r, 1);
    if (!present) {
      n[q + WORK] = 1;
      n[q + HELD] = 2;
      n[q + READ_PRESENT] = 0;
      n[q + READ_VALUE] = 0;
      n[q + MOVED] = 1;
    } else if (n[q + WORK] == 0) { // the parent is back: its former children need a look
      n[q + WORK] = 1;
      readPrimary(n, r, 1);
      n[l.actor(r) + ACTOR_STEP] = WRITE_MIRROR_1;
    }
  }

  private void swap(byte[] s, byte[] n, int r, Successors out) {
    int q0 = l.key(r, 0);
    int q1 = l.key(r, 1);
    int c = db.swap(n, M, actorHolder(r), s[q0 + READ_VALUE], s[q1 + READ_VALUE]);
    if (c == BLOCK) {
      lockTimeout(s, r, out);
      return;
    }
    n[q0 + HELD] = 1;
    n[q1 + HELD] = 1;
    n[l.actor(r) + ACTOR_ON_MIRROR] = OPEN;
    n[l.actor(r) + ACTOR_STEP] = READ_AGAIN;
    out.step(n, () -> name(r) + " deletes and inserts both rows in one statement");
  }

  /** The mirror refuses a row, or lets it wait: the holder always ends. */
  private void refused(byte[] s, int r, int k, int c, Successors out) {
    byte[] n = s.clone();
    if (c == BLOCK) {
      lockTimeout(s, r, out);
    } else if (c == NO_PARENT) { // pull the parent in and retry
      n[l.key(r, 0) + WORK] = 1;
      int target = n[l.actor(r) + TARGET];
      restart(n, r);
      out.step(
          n, () -> name(r) + (target == 0 ? " 23503, starts over" : " 23503 on k1: pulls k0 in"));
    } else if (c == DUPLICATE) {
      rival(n, r, k);
      out.step(n, () -> name(r) + " 23505 on k" + k);
    }
  }

  /** A stale row has the value: its key is taken in, and both are written by one statement. */
  private void rival(byte[] n, int r, int k) {
    int other = l.key(r, 1 - k);
    boolean news = n[other + WORK] == 0 || n[other + SWAP] == 0;
    if (w.on(Rule.PULL_RIVALS)) {
      n[other + WORK] = 1;
      n[other + SWAP] = 1;
      n[l.key(r, k) + SWAP] = 1;
    }
    restart(n, r);
    if (!news || !w.on(Rule.PULL_RIVALS)) {
      n[l.actor(r) + ACTOR_STEP] = HELD_OFF;
    }
  }

  /** Whether what it was refused for is so still: trying again would change nothing. */
  private boolean heldOff(byte[] s, int r) {
    for (int k = 0; k < 2; k++) {
      int other = 1 - k;
      int p = l.row(P, k);
      int m = l.row(M, other);
      boolean otherWritten = s[l.key(r, other) + WORK] != 0;
      boolean otherGoes = otherWritten && s[l.row(P, other) + PRESENT] == 0;
      boolean otherFirst = otherWritten && k == 1;
      if (s[l.key(r, k) + WORK] != 0
          && !otherGoes
          && !otherFirst
          && s[p + PRESENT] != 0
          && s[m + PRESENT] != 0
          && s[p + VALUE] == s[m + VALUE]) {
        return true;
      }
    }
    return false;
  }

  /** Only where two resyncs can wait for each other; else the holder always ends. */
  private void lockTimeout(byte[] s, int r, Successors out) {
    if (w.uniqueValues && s[l.actor(r) + ACTOR_ON_MIRROR] == OPEN) {
      byte[] n = s.clone();
      restart(n, r);
      out.step(n, () -> name(r) + " lock timeout on the mirror, starts over");
    }
  }

  // ---- reading again

  /** The second read, while the mirror's rows are held; corrections in place. */
  private void readAgain(byte[] s, int r, Successors out) {
    byte[] n = s.clone();
    int a = l.actor(r);
    n[a + ACTOR_STEP] = COMMIT;
    for (int k = 0; k < 2 && w.on(Rule.RECHECK); k++) {
      int key = k;
      int q = l.key(r, k);
      int p = l.row(P, k);
      if (n[q + WORK] == 0 || n[q + MOVED] == 0) {
        continue;
      }
      boolean now = n[p + PRESENT] != 0;
      n[q + MOVED] = 0;
      if (n[a + TARGET] == 0 && n[q + HELD] == 0) {
        continue; // copy, ON CONFLICT DO NOTHING: not ours
      }
      if (n[q + HELD] == 0 && !now) {
        continue; // the delete found nothing, and it is still absent
      }
      if (n[q + HELD] == 0 || (n[q + HELD] == 2 && now)) {
        byte[] back = s.clone();
        restart(back, r);
        out.step(back, () -> name(r) + " finds k" + key + " back on the primary: starts over");
        return;
      }
      int c =
          now
              ? db.run(n, M, k, actorHolder(r), Op.UPSERT, n[p + VALUE])
              : db.run(n, M, k, actorHolder(r), Op.DELETE, 0);
      if (c < 0) {
        byte[] over = s.clone();
        if (c == DUPLICATE) {
          rival(over, r, k);
        } else {
          if (c == NO_PARENT) {
            over[l.key(r, 0) + WORK] = 1;
          }
          restart(over, r);
        }
        out.step(over, () -> name(r) + " cannot correct k" + key + " in place: starts over");
        return;
      }
      n[q + READ_PRESENT] = (byte) (now ? 1 : 0);
      n[q + READ_VALUE] = now ? n[p + VALUE] : 0;
    }
    out.step(n, () -> name(r) + " reads the primary again, under its locks");
  }

  /** Keys absent on both sides are looked at once more, when what was in flight has ended. */
  private void afterCommit(byte[] n, int r) {
    int a = l.actor(r);
    boolean wait = false;
    for (int k = 0; k < 2; k++) {
      int q = l.key(r, k);
      boolean waited = n[q + WAITED] != 0;
      boolean again =
          n[q + WORK] != 0
              && n[q + ZERO] != 0
              && !waited
              && w.on(Rule.WAIT_INFLIGHT)
              && n[a + TARGET] != 0;
      Arrays.fill(n, q, q + KEY, (byte) 0);
      if (waited || again) {
        n[q + WAITED] = 1;
      }
      if (again) {
        n[q + WORK] = 1;
        wait = true;
      }
    }
    if (wait) {
      mask(n, a + IN_FLIGHT, db.inFlight(n, r));
    }
    n[a + ACTOR_STEP] = (byte) (wait ? WAIT_IN_FLIGHT : DONE);
  }

  // ---- faults

  void faults(byte[] s, byte[] f, int r, Successors out) {
    int a = l.actor(r);
    if (s[a + ACTOR_ON_MIRROR] != OPEN) {
      return;
    }
    byte[] n = f.clone();
    restart(n, r);
    out.fault(n, () -> "the mirror loses " + name(r) + "'s transaction");
    if (s[a + ACTOR_STEP] == COMMIT && s[a + DEAD] == NONE) {
      n = f.clone();
      leave(n, r);
      restart(n, r);
      out.fault(n, () -> name(r) + " gets no answer to COMMIT from the mirror");
    }
  }

  /** The process dies. */
  void die(byte[] n, int r) {
    leave(n, r);
    clear(n, r);
    if (r == WORKER && w.backfill) {
      n[l.actor(r) + ACTOR_STEP] = COPY_CLAIM;
    }
  }

  /** What a dead one leaves on the mirror. */
  private void leave(byte[] n, int r) {
    int a = l.actor(r);
    if (n[a + ACTOR_ON_MIRROR] != OPEN) {
      return;
    }
    int me = actorHolder(r);
    int dead = deadHolder(r);
    n[a + DEAD] = (byte) (n[a + ACTOR_STEP] == COMMIT ? ZOMBIE : ORPHAN);
    for (int k = 0; k < 2; k++) {
      if (n[l.row(M, k) + HOLDER] == me) {
        n[l.row(M, k) + HOLDER] = (byte) dead;
      }
    }
    l.share(n, M, rename(l.share(n, M), me, dead));
    for (int i = 0; i < ACTORS; i++) {
      int at = l.actor(i) + IN_FLIGHT;
      mask(n, at, rename(mask(n, at), me, dead));
    }
    n[a + ACTOR_ON_MIRROR] = NONE;
  }

  private static int rename(int mask, int from, int to) {
    return (mask >> from & 1) == 0 ? mask : (mask & ~(1 << from)) | (1 << to);
  }

  /** The mirror restarts: true if that did anything. */
  boolean mirrorRestarts(byte[] n, int r) {
    boolean open = n[l.actor(r) + ACTOR_ON_MIRROR] == OPEN;
    if (open) {
      restart(n, r);
    }
    if (n[l.actor(r) + DEAD] != NONE) {
      db.end(n, M, deadHolder(r), false);
      n[l.actor(r) + DEAD] = NONE;
    }
    return open;
  }
}
