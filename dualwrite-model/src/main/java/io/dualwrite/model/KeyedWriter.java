package io.dualwrite.model;

import static io.dualwrite.model.KeyedLayout.*;
import static io.dualwrite.model.KeyedServers.BLOCK;
import static io.dualwrite.model.KeyedServers.DUPLICATE;
import static io.dualwrite.model.ServerSide.COMMITTED;
import static io.dualwrite.model.ServerSide.GONE;
import static io.dualwrite.model.ServerSide.NONE;
import static io.dualwrite.model.ServerSide.OPEN;
import static io.dualwrite.model.ServerSide.ORPHAN;
import static io.dualwrite.model.ServerSide.ZOMBIE;
import static io.dualwrite.model.ServerSide.live;

import io.dualwrite.model.Statement.Op;
import java.util.Arrays;

/**
 * A writer's transaction: its statements on the primary, then the steps of the commit. With a rule
 * off the steps come in another order, or one is left out.
 */
final class KeyedWriter {

  private final Workload w;
  private final KeyedLayout l;
  private final KeyedServers db;

  KeyedWriter(Workload w, KeyedLayout l, KeyedServers db) {
    this.w = w;
    this.l = l;
    this.db = db;
  }

  private String name(int t) {
    return w.writer(t);
  }

  /** The step after the one just reached. */
  private int after(int t, int step) {
    boolean two = w.two(t);
    boolean flushLate = !w.on(Rule.FLUSH_BEFORE_COMMIT);
    boolean intentLate = !w.on(Rule.INTENT_BEFORE_COMMIT);
    if (w.early && two) {
      switch (step) {
        case EXECUTED_1 -> {
          return FLUSHED_1;
        }
        case FLUSHED_1 -> {
          return EXECUTED_2;
        }
        case EXECUTED_2 -> {
          return FLUSHED_2;
        }
        default -> {}
      }
    }
    if (w.large[t]) {
      boolean before = w.on(Rule.SUSPECT_BEFORE_COMMIT);
      switch (step) {
        case EXECUTED_2 -> {
          return before ? SUSPECT_OPENED : PRIMARY_COMMITTED;
        }
        case SUSPECT_OPENED -> {
          return before ? PRIMARY_COMMITTED : ENDED;
        }
        case PRIMARY_COMMITTED -> {
          return before ? ENDED : SUSPECT_OPENED;
        }
        default -> {}
      }
    }
    return switch (step) {
      case EXECUTED_1 -> two ? EXECUTED_2 : after(t, EXECUTED_2);
      case EXECUTED_2 -> flushLate ? (intentLate ? PRIMARY_COMMITTED : INTENT_APPENDED) : FLUSHED_1;
      case FLUSHED_1 -> two ? FLUSHED_2 : after(t, FLUSHED_2);
      case FLUSHED_2 ->
          flushLate ? MIRROR_COMMITTED : intentLate ? PRIMARY_COMMITTED : INTENT_APPENDED;
      case INTENT_APPENDED ->
          intentLate ? (flushLate ? FLUSHED_1 : MIRROR_COMMITTED) : PRIMARY_COMMITTED;
      case PRIMARY_COMMITTED ->
          intentLate ? INTENT_APPENDED : flushLate ? FLUSHED_1 : MIRROR_COMMITTED;
      default -> throw new AssertionError(step);
    };
  }

  // ---- what the servers do by themselves

  /** The end of transactions whose client is gone. */
  void orphans(byte[] s, int t, Successors out) {
    int b = l.tx(t);
    for (int d : new int[] {P, M}) {
      int at = b + (d == P ? ON_PRIMARY : ON_MIRROR);
      String side = d == P ? "primary" : "mirror";
      if (s[at] == ZOMBIE) {
        byte[] n = with(s, at, COMMITTED);
        db.end(n, d, holder(t), true);
        out.step(n, () -> side + " carries out " + name(t) + "'s COMMIT, late");
      }
      if (s[at] == ZOMBIE || s[at] == ORPHAN) {
        byte[] n = with(s, at, GONE);
        db.end(n, d, holder(t), false);
        out.step(n, () -> side + " rolls " + name(t) + " back (client gone)");
      }
    }
  }

  // ---- the next step

  void next(byte[] s, int t, Successors out) {
    orphans(s, t, out);
    int b = l.tx(t);
    switch (s[b + STEP]) {
      case NEW -> {
        int before = t % w.perWriter == 0 ? ENDED : s[l.tx(t - 1) + STEP];
        // the mirror's commit is off the application's thread
        if (before == MIRROR_COMMITTED || before == RESOLVED_APPENDED || before == ENDED) {
          execute(s, t, 0, out);
        }
      }
      case EXECUTED_1 -> execute(s, t, 0, out);
      case EXECUTED_2 -> execute(s, t, 1, out);
      case ROLLED_BACK_TO -> rollbackTo(s, t, out);
      case FLUSHED_1 -> flush(s, t, 0, out);
      case FLUSHED_2 -> flush(s, t, 1, out);
      case INTENT_APPENDED -> {
        byte[] n = with(s, b + JOURNAL, 1);
        n[b + STEP] = (byte) after(t, INTENT_APPENDED);
        settle(n, t);
        out.step(n, () -> name(t) + " INTENT_APPENDED");
      }
      case SUSPECT_OPENED -> {
        byte[] n = with(s, l.global + SUSPECTS, s[l.global + SUSPECTS] | (1 << t));
        n[b + STEP] = (byte) after(t, SUSPECT_OPENED);
        out.step(n, () -> name(t) + " opens a suspect");
      }
      case PRIMARY_COMMITTED -> {
        byte[] n = s.clone();
        if (s[b + ON_PRIMARY] == OPEN) {
          n[b + ON_PRIMARY] = COMMITTED;
          db.end(n, P, holder(t), true);
          n[b + STEP] = (byte) after(t, PRIMARY_COMMITTED);
          settle(n, t);
          out.step(n, () -> name(t) + " PRIMARY_COMMITTED");
        } else { // it restarted under us: the outcome is not known to the client
          unknown(n, t);
          out.step(n, () -> name(t) + " loses the primary's connection at COMMIT");
        }
      }
      case MIRROR_COMMITTED -> {
        byte[] n = s.clone();
        boolean open = s[b + ON_MIRROR] == OPEN;
        if (open) {
          n[b + ON_MIRROR] = COMMITTED;
          db.end(n, M, holder(t), true);
        }
        n[b + STEP] = (byte) (open && s[b + FAILED] == 0 ? RESOLVED_APPENDED : ENDED);
        out.step(
            n, () -> name(t) + (open ? " MIRROR_COMMITTED" : " finds its mirror transaction gone"));
      }
      case RESOLVED_APPENDED -> {
        byte[] n = with(s, b + JOURNAL, 2);
        n[b + STEP] = ENDED;
        out.step(n, () -> name(t) + " RESOLVED_APPENDED");
      }
      default -> {}
    }
  }

  /** COMMIT on the primary got no answer: the mirror is rolled back, the intent stays. */
  void unknown(byte[] n, int t) {
    int b = l.tx(t);
    dropMirror(n, t);
    if (!w.on(Rule.INTENT_BEFORE_COMMIT)) {
      n[b + JOURNAL] = 1;
    }
    n[b + STEP] = ENDED;
  }

  void dropMirror(byte[] n, int t) {
    if (live(n[l.tx(t) + ON_MIRROR])) {
      db.end(n, M, holder(t), false);
      n[l.tx(t) + ON_MIRROR] = GONE;
    }
  }

  /** Nothing left to commit on the mirror. */
  void settle(byte[] n, int t) {
    int b = l.tx(t);
    if (n[b + STEP] == MIRROR_COMMITTED && n[b + ON_MIRROR] != OPEN) {
      n[b + STEP] = ENDED;
    }
  }

  // ---- the application's statements

  private void rollBack(byte[] n, int t) {
    n[l.tx(t) + ON_PRIMARY] = GONE;
    db.end(n, P, holder(t), false);
    dropMirror(n, t);
    n[l.tx(t) + STEP] = ENDED;
  }

  private boolean primaryGone(byte[] s, int t, Successors out) {
    if (s[l.tx(t) + ON_PRIMARY] != GONE) {
      return false;
    }
    byte[] n = s.clone();
    dropMirror(n, t);
    n[l.tx(t) + STEP] = ENDED;
    out.step(n, () -> name(t) + " is told that the primary is gone");
    return true;
  }

  private int onPrimary(byte[] n, int t, int i) {
    Statement q = w.transactions[t][i];
    int value = q.value() >= 0 ? q.value() : q.op() == Op.REKEY ? -1 : 2 + 2 * t + i;
    return q.op() == Op.TAKE_READY
        ? db.takeReady(n, P, holder(t))
        : db.run(n, P, q.key(), holder(t), q.op(), value);
  }

  private void execute(byte[] s, int t, int i, Successors out) {
    int b = l.tx(t);
    Statement q = w.transactions[t][i];
    if (primaryGone(s, t, out)) {
      return;
    }
    byte[] n = s.clone();
    n[b + ON_PRIMARY] = OPEN;
    int c;
    if (s[b + AWAITS] == 2) {
      c = 0;
      n[b + AWAITS] = 0;
    } else if (s[b + AWAITS] == 1) {
      return;
    } else {
      c = onPrimary(n, t, i);
    }
    int step = i == 0 ? EXECUTED_1 : EXECUTED_2;
    if (c == BLOCK) {
      if (w.two(t) && s[b + STEP] != NEW) { // may be a deadlock
        byte[] f = s.clone();
        rollBack(f, t);
        out.step(f, () -> name(t) + " fails on the primary (deadlock or timeout): rollback");
      }
      if (Statement.findsRow(q.op()) && waitsForRebirth(s, P, t, q.key())) {
        byte[] f = with(s, b + AWAITS, 1);
        f[b + ON_PRIMARY] = OPEN;
        f[b + STEP] = (byte) step;
        out.step(f, () -> name(t) + " waits on the primary for k" + q.key());
      }
      return;
    }
    if (c < 0 && !q.undone()) { // the application's own error
      n = s.clone();
      rollBack(n, t);
      out.step(n, () -> name(t) + " " + q + " fails on the primary: rollback");
      return;
    }
    int mask = changed(q, Math.max(0, c));
    n[b + CHANGED + i] = (byte) mask;
    if (mask != 0 && q.op() != Op.TAKE_READY && q.op() != Op.DELETE) {
      n[b + IMAGE + i] = n[l.row(P, q.op() == Op.REKEY ? 1 - q.key() : q.key()) + HELD_VALUE];
    }
    int next = q.undone() ? ROLLED_BACK_TO : after(t, step);
    n[b + STEP] = (byte) next;
    out.step(
        n,
        () ->
            name(t)
                + " on the primary: "
                + q
                + (c < 0 ? " fails" : " -> " + counted(q, mask))
                + (next == EXECUTED_2 || next == ROLLED_BACK_TO ? "" : ", ASKED"));
  }

  private boolean waitsForRebirth(byte[] s, int database, int t, int key) {
    int r = l.row(database, key);
    return s[r + REBORN] != 0
        && s[r + PRESENT] != 0
        && s[r + HOLDER] != holder(t)
        && s[l.tx(t) + AWAITS] == 0;
  }

  /** The mask of keys that a statement changed. */
  private static int changed(Statement q, int answer) {
    return switch (q.op()) {
      case TAKE_READY -> answer;
      case REKEY -> answer == 1 ? 3 : 0;
      default -> answer == 1 ? 1 << q.key() : 0;
    };
  }

  /** The count that the primary gave for it. */
  private static int counted(Statement q, int mask) {
    return q.op() == Op.REKEY ? mask & 1 : Integer.bitCount(mask);
  }

  /** ROLLBACK TO the savepoint before the statement that is undone. */
  private void rollbackTo(byte[] s, int t, Successors out) {
    if (primaryGone(s, t, out)) {
      return;
    }
    int b = l.tx(t);
    int i = w.undone(t);
    byte[] n = s.clone();
    // what came before the savepoint is held without a break: done again, the same as kept
    db.end(n, P, holder(t), false);
    if (i == 1) {
      onPrimary(n, t, 0);
    }
    if (w.on(Rule.ROLLBACK_TO_TRUNCATES)) {
      n[b + CHANGED + i] = 0;
      n[b + IMAGE + i] = 0;
    }
    if (!w.on(Rule.ROLLBACK_TO_KEEPS)) {
      n[b + CHANGED] = 0;
    }
    n[b + STEP] = (byte) after(t, i == 0 ? EXECUTED_1 : EXECUTED_2);
    out.step(n, () -> name(t) + " rolls back to the savepoint before " + w.transactions[t][i]);
  }

  // ---- the flush

  /**
   * The flush failed: the mirror's transaction is gone, the unit stays pending. Or it is tried once
   * more, in a new mirror transaction.
   */
  void failFlush(byte[] n, int t) {
    int b = l.tx(t);
    boolean flushing = n[b + STEP] == FLUSHED_1 || n[b + STEP] == FLUSHED_2;
    if (live(n[b + ON_MIRROR])) {
      db.end(n, M, holder(t), false);
    }
    n[b + AWAITS] = 0;
    if (w.retry && flushing && n[b + TRIED] == 0) {
      n[b + TRIED] = 1;
      n[b + ON_MIRROR] = NONE;
      if (w.on(Rule.RETRY_IS_FRESH)) {
        n[b + STEP] = FLUSHED_1;
      }
      return;
    }
    n[b + ON_MIRROR] = GONE;
    n[b + FAILED] = 1;
    if (flushing) {
      n[b + STEP] = (byte) after(t, w.early ? n[b + STEP] : FLUSHED_2);
    }
    settle(n, t);
  }

  private int onMirror(byte[] n, int t, int i) {
    int b = l.tx(t);
    Statement q = w.transactions[t][i];
    int changed = n[b + CHANGED + i];
    if (q.op() != Op.TAKE_READY) {
      int key = q.op() == Op.REKEY && w.shipped(q) != Op.REKEY ? 1 - q.key() : q.key();
      return db.run(n, M, key, holder(t), w.shipped(q), n[b + IMAGE + i]);
    }
    if (!w.on(Rule.KEYS_NOT_PREDICATES)) {
      int c = db.takeReady(n, M, holder(t));
      return c < 0 ? c : Integer.bitCount(c);
    }
    int c = 0;
    for (int k = 0; k < 2; k++) {
      if ((changed >> k & 1) != 0) {
        int x =
            w.images
                ? db.run(n, M, k, holder(t), Op.UPSERT, n[l.row(P, k) + HELD_VALUE])
                : db.run(n, M, k, holder(t), Op.TAKE, 0);
        if (x < 0) {
          return x;
        }
        c += x;
      }
    }
    return c;
  }

  private void flush(byte[] s, int t, int i, Successors out) {
    int b = l.tx(t);
    Statement q = w.transactions[t][i];
    byte[] n = s.clone();
    if (s[b + ON_MIRROR] == GONE) {
      failFlush(n, t);
      out.step(n, () -> name(t) + " flush fails");
      return;
    }
    n[b + ON_MIRROR] = OPEN;
    int want = counted(q, s[b + CHANGED + i]);
    int next = after(t, i == 0 ? FLUSHED_1 : FLUSHED_2);
    if (want == 0 && w.on(Rule.ZERO_NOT_SHIPPED)) {
      n[b + STEP] = (byte) next;
      settle(n, t);
      out.step(n, () -> name(t) + " has nothing to flush for " + q);
      return;
    }
    int c;
    if (s[b + AWAITS] == 2) {
      c = 0;
      n[b + AWAITS] = 0;
    } else {
      c = s[b + AWAITS] == 1 ? BLOCK : onMirror(n, t, i);
    }
    if (c < 0) {
      if (c != BLOCK || !w.patient) {
        byte[] f = with(s, b + ON_MIRROR, OPEN);
        failFlush(f, t);
        out.step(
            f,
            () ->
                name(t)
                    + " flush of "
                    + q
                    + (c == BLOCK
                        ? ": lock timeout on the mirror"
                        : ": " + (c == DUPLICATE ? "23505" : "23503") + " on the mirror"));
      }
      if (c == BLOCK && Statement.findsRow(w.shipped(q)) && waitsForRebirth(s, M, t, q.key())) {
        byte[] x = with(s, b + AWAITS, 1);
        x[b + ON_MIRROR] = OPEN;
        out.step(x, () -> name(t) + " waits on the mirror for k" + q.key());
      }
      return;
    }
    if (c != want) {
      if (w.on(Rule.MISMATCH_ROLLS_BACK)) {
        failFlush(n, t);
      } else {
        n[b + FAILED] = 1;
        n[b + STEP] = (byte) next;
      }
      out.step(n, () -> name(t) + " flush of " + q + " -> " + c + ", differs");
      return;
    }
    n[b + STEP] = (byte) next;
    out.step(
        n,
        () ->
            name(t)
                + (next == FLUSHED_2 || next == EXECUTED_2 ? " flushes " : " FLUSHED, ")
                + q
                + " -> "
                + c);
  }

  // ---- faults

  /** Faults of one transaction; {@code f} is the state with one fault less. */
  void faults(byte[] s, byte[] f, int t, Successors out) {
    int b = l.tx(t);
    int step = s[b + STEP];
    boolean flushing = step == FLUSHED_1 || step == FLUSHED_2;
    if (s[b + ON_MIRROR] == OPEN && step != ENDED) {
      byte[] n = f.clone();
      loseMirror(n, t);
      out.fault(n, () -> "the mirror loses " + name(t) + "'s transaction");
    }
    if (flushing && s[b + ON_MIRROR] == NONE && (step == FLUSHED_1 || w.retry)) {
      byte[] n = f.clone();
      failFlush(n, t);
      out.fault(n, () -> "the mirror is down for " + name(t) + "'s flush");
    }
    if (step == PRIMARY_COMMITTED && s[b + ON_PRIMARY] == OPEN) {
      byte[] n = f.clone();
      n[b + ON_PRIMARY] = ZOMBIE;
      unknown(n, t);
      out.fault(n, () -> name(t) + " gets no answer to COMMIT from the primary");
    }
    if (step == MIRROR_COMMITTED && s[b + ON_MIRROR] == OPEN) {
      byte[] n = f.clone();
      n[b + ON_MIRROR] = ZOMBIE;
      n[b + STEP] = ENDED;
      out.fault(n, () -> name(t) + " gets no answer to COMMIT from the mirror");
    }
  }

  void loseMirror(byte[] n, int t) {
    int b = l.tx(t);
    if (n[b + STEP] == FLUSHED_1 || n[b + STEP] == FLUSHED_2) {
      failFlush(n, t);
    } else {
      db.end(n, M, holder(t), false);
      n[b + ON_MIRROR] = GONE;
      settle(n, t);
    }
  }

  boolean busy(byte[] s, int writer) {
    for (int t = w.first(writer); t < w.end(writer); t++) {
      int step = s[l.tx(t) + STEP];
      if (step != NEW && step != ENDED) {
        return true;
      }
    }
    return false;
  }

  /** The process dies: what it had open is left to the servers. */
  void die(byte[] n, int writer) {
    for (int t = w.first(writer); t < w.end(writer); t++) {
      int b = l.tx(t);
      int step = n[b + STEP];
      if (step == NEW || step == ENDED) {
        continue;
      }
      if (n[b + ON_PRIMARY] == OPEN) {
        n[b + ON_PRIMARY] = (byte) (step == PRIMARY_COMMITTED ? ZOMBIE : ORPHAN);
      }
      if (n[b + ON_MIRROR] == OPEN) {
        n[b + ON_MIRROR] = (byte) (step == MIRROR_COMMITTED ? ZOMBIE : ORPHAN);
      }
      n[b + AWAITS] = 0;
      n[b + STEP] = ENDED;
    }
  }

  // ---- equal states

  /** Forgets what is not read any more. */
  void canon(byte[] s) {
    boolean pull = w.on(Rule.PULL_LATEST);
    for (int t = 0; t < w.count(); t++) {
      int b = l.tx(t);
      int step = s[b + STEP];
      boolean flushed = step >= INTENT_APPENDED && step <= ENDED;
      if (flushed) {
        s[b + TRIED] = 0;
      }
      if (pull && w.on(Rule.FLUSH_BEFORE_COMMIT) && flushed) {
        s[b + IMAGE] = 0;
        s[b + IMAGE + 1] = 0;
      }
      if (step != ENDED || live(s[b + ON_PRIMARY]) || live(s[b + ON_MIRROR])) {
        continue;
      }
      if (s[b + JOURNAL] == 1) {
        s[b + ON_MIRROR] = GONE;
        s[b + FAILED] = 0;
        if (pull) {
          s[b + ON_PRIMARY] = GONE;
        }
      } else {
        Arrays.fill(s, b, b + TRANSACTION, (byte) 0);
        s[b + STEP] = ENDED;
        s[b + ON_PRIMARY] = GONE;
        s[b + ON_MIRROR] = GONE;
      }
    }
  }
}
