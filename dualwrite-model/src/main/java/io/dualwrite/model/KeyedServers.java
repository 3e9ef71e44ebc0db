package io.dualwrite.model;

import static io.dualwrite.model.KeyedLayout.*;
import static io.dualwrite.model.ServerSide.live;

import io.dualwrite.model.Statement.Op;

/**
 * The two PostgreSQL servers at READ COMMITTED, as far as two rows can show: row locks to the end
 * of the transaction; UPDATE and DELETE neither see nor wait for an uncommitted INSERT; unique
 * indexes are waited for; a waiter on a row that one transaction deletes and inserts again finds
 * nothing; a foreign key's check does not wait for a parent in flight.
 */
final class KeyedServers {

  // what a statement answers instead of a count
  static final int BLOCK = -1;
  static final int DUPLICATE = -2;
  static final int NO_PARENT = -3;

  private final Workload w;
  private final KeyedLayout l;

  KeyedServers(Workload w, KeyedLayout l) {
    this.w = w;
    this.l = l;
  }

  private static void hold(byte[] s, int row, int by, boolean present, int value) {
    if (s[row + HOLDER] != by) {
      s[row + HOLDER] = (byte) by;
      s[row + REBORN] = 0;
      s[row + FOR_UPDATE] = 0;
    }
    s[row + HELD_PRESENT] = (byte) (present ? 1 : 0);
    s[row + HELD_VALUE] = (byte) (present ? value : 0);
  }

  /** Whether a transaction sees the row: its own version, or the committed one. */
  boolean sees(byte[] s, int database, int key, int by) {
    int r = l.row(database, key);
    return s[r + HOLDER] == by ? s[r + HELD_PRESENT] != 0 : s[r + PRESENT] != 0;
  }

  /** The foreign key's check for child k1: 1 if fine. */
  private int parent(byte[] s, int database, int by) {
    int r = l.row(database, 0);
    int h = s[r + HOLDER];
    if (h == by) {
      return s[r + HELD_PRESENT] != 0 ? 1 : NO_PARENT;
    }
    if (s[r + PRESENT] == 0) {
      return NO_PARENT; // a parent in flight is neither seen nor waited for
    }
    boolean going = s[r + HELD_PRESENT] == 0 || s[r + REBORN] != 0 || s[r + FOR_UPDATE] != 0;
    return h != 0 && going ? BLOCK : 1;
  }

  /** The unique index on the value: 1 if the row may have it. */
  private int unique(byte[] s, int database, int key, int by, int value) {
    int r = l.row(database, 1 - key);
    int h = s[r + HOLDER];
    boolean committed = s[r + PRESENT] != 0 && s[r + VALUE] == value;
    boolean held = h != 0 && s[r + HELD_PRESENT] != 0 && s[r + HELD_VALUE] == value;
    if (h == by) {
      return held ? DUPLICATE : 1;
    }
    if (h != 0) {
      return committed || held ? BLOCK : 1; // how its transaction ends decides
    }
    return committed ? DUPLICATE : 1;
  }

  /** Runs one statement; the count, or what it answers instead. */
  int run(byte[] s, int database, int key, int by, Op op, int value) {
    int r = l.row(database, key);
    int h = s[r + HOLDER];
    boolean mine = h == by;
    boolean others = h != 0 && !mine;
    boolean committed = s[r + PRESENT] != 0;
    boolean visible = mine ? s[r + HELD_PRESENT] != 0 : committed;
    int now = mine ? s[r + HELD_VALUE] : s[r + VALUE];
    switch (op) {
      case UPDATE, DELETE, READY, TAKE, SET, REKEY -> {
        if (others) {
          return committed ? BLOCK : 0;
        }
        if (!visible) {
          return 0;
        }
        if (op == Op.DELETE) {
          return delete(s, database, key, by);
        }
        if (op == Op.REKEY) {
          return rekey(s, database, key, by, value >= 0 ? value : now);
        }
        int to =
            switch (op) {
              case UPDATE -> now + 1;
              case READY -> now & ~TAKEN;
              case TAKE -> now | TAKEN;
              default -> value;
            };
        int unique = w.uniqueValues ? unique(s, database, key, by, to) : 1;
        if (unique == 1) {
          hold(s, r, by, true, to);
        }
        return unique;
      }
      case INSERT, UPSERT, UPSERT_PART -> {
        if (others) {
          return BLOCK;
        }
        if (visible && op == Op.INSERT) {
          return DUPLICATE;
        }
        int to = value;
        if (op == Op.UPSERT_PART) {
          to = (value & ~TAKEN) | (visible ? now & TAKEN : 0);
        }
        int unique = w.uniqueValues ? unique(s, database, key, by, to) : 1;
        if (unique != 1) {
          return unique;
        }
        if (visible) {
          hold(s, r, by, true, to);
          return 1;
        }
        if (w.foreignKey && key == 1) {
          int p = parent(s, database, by);
          if (p != 1) {
            return p;
          }
          l.share(s, database, l.share(s, database) | (1 << by));
        }
        put(s, r, by, to);
        return 1;
      }
      default -> throw new AssertionError(op);
    }
  }

  /** Inserts; a row that the same transaction deleted is born again. */
  private static void put(byte[] s, int row, int by, int value) {
    boolean again = s[row + HOLDER] == by && s[row + PRESENT] != 0;
    hold(s, row, by, true, value);
    if (again) {
      s[row + REBORN] = 1;
    }
  }

  private int delete(byte[] s, int database, int key, int by) {
    if (w.foreignKey && key == 0) {
      if ((l.share(s, database) & ~(1 << by)) != 0) {
        return BLOCK;
      }
      int child = l.row(database, 1);
      int h = s[child + HOLDER];
      if (h != 0 && h != by && s[child + PRESENT] != 0) {
        return BLOCK;
      }
      if (sees(s, database, 1, by)) {
        hold(s, child, by, false, 0);
      }
    }
    hold(s, l.row(database, key), by, false, 0);
    return 1;
  }

  private int rekey(byte[] s, int database, int key, int by, int value) {
    int to = l.row(database, 1 - key);
    if (s[to + HOLDER] != 0 && s[to + HOLDER] != by) {
      return BLOCK;
    }
    if (sees(s, database, 1 - key, by)) {
      return DUPLICATE;
    }
    put(s, to, by, value);
    hold(s, l.row(database, key), by, false, 0);
    return 1;
  }

  /** UPDATE … WHERE NOT taken over both keys: the mask of keys that it changed, or BLOCK. */
  int takeReady(byte[] s, int database, int by) {
    int mask = 0;
    for (int k = 0; k < 2; k++) {
      int r = l.row(database, k);
      int h = s[r + HOLDER];
      int value = h == by ? s[r + HELD_VALUE] : s[r + VALUE];
      if (!sees(s, database, k, by) || (value & TAKEN) != 0) {
        continue;
      }
      if (h != 0 && h != by) {
        return BLOCK;
      }
      mask |= 1 << k;
    }
    for (int k = 0; k < 2; k++) {
      if ((mask >> k & 1) != 0) {
        run(s, database, k, by, Op.TAKE, 0);
      }
    }
    return mask;
  }

  /** Both rows deleted and inserted by one statement, with these values. */
  int swap(byte[] s, int database, int by, int value0, int value1) {
    for (int k = 0; k < 2; k++) {
      int h = s[l.row(database, k) + HOLDER];
      if (h != 0 && h != by) {
        return BLOCK;
      }
    }
    for (int k = 0; k < 2; k++) {
      hold(s, l.row(database, k), by, false, 0);
      put(s, l.row(database, k), by, k == 0 ? value0 : value1);
    }
    return 2;
  }

  /** The transaction ends: what it held is committed or not, and free. */
  void end(byte[] s, int database, int by, boolean commit) {
    for (int k = 0; k < 2; k++) {
      int r = l.row(database, k);
      if (s[r + HOLDER] != by) {
        continue;
      }
      boolean changed = commit && (s[r + PRESENT] != 0 || s[r + HELD_PRESENT] != 0);
      if (s[r + REBORN] != 0) {
        wake(s, database, k, commit);
      }
      if (commit) {
        s[r + PRESENT] = s[r + HELD_PRESENT];
        s[r + VALUE] = s[r + HELD_VALUE];
      }
      for (int f = HOLDER; f < ROW; f++) {
        s[r + f] = 0;
      }
      for (int i = 0; i < ACTORS && changed && database == P; i++) {
        if (s[l.actor(i) + ACTOR_STEP] != IDLE && s[l.key(i, k) + WORK] != 0) {
          s[l.key(i, k) + MOVED] = 1;
        }
      }
    }
    l.share(s, database, l.share(s, database) & ~(1 << by));
    if (database == M) {
      for (int i = 0; i < ACTORS; i++) {
        int at = l.actor(i) + IN_FLIGHT;
        mask(s, at, mask(s, at) & ~(1 << by));
      }
    }
  }

  /** Those who wait for a row that is deleted and inserted again find nothing if that commits. */
  private void wake(byte[] s, int database, int key, boolean commit) {
    for (int t = 0; t < w.count(); t++) {
      int b = l.tx(t);
      int step = s[b + STEP];
      boolean here =
          database == P
              ? step == EXECUTED_1 || step == EXECUTED_2
              : step == FLUSHED_1 || step == FLUSHED_2;
      if (s[b + AWAITS] == 1 && here) {
        Statement q = w.transactions[t][step == EXECUTED_2 || step == FLUSHED_2 ? 1 : 0];
        if (q.key() == key) {
          s[b + AWAITS] = (byte) (commit ? 2 : 0);
        }
      }
    }
    for (int i = 0; i < ACTORS && database == M; i++) {
      int b = l.actor(i);
      if (s[b + ACTOR_AWAITS] == 1 && s[b + ACTOR_STEP] == WRITE_MIRROR_0 + key) {
        s[b + ACTOR_AWAITS] = (byte) (commit ? 2 : 0);
      }
    }
  }

  /** The mirror transactions that have not ended, without one's own. */
  int inFlight(byte[] s, int self) {
    int m = 0;
    for (int t = 0; t < w.count(); t++) {
      if (live(s[l.tx(t) + ON_MIRROR])) {
        m |= 1 << holder(t);
      }
    }
    for (int i = 0; i < ACTORS; i++) {
      if (s[l.actor(i) + ACTOR_ON_MIRROR] == ServerSide.OPEN && i != self) {
        m |= 1 << actorHolder(i);
      }
      if (s[l.actor(i) + DEAD] != ServerSide.NONE) {
        m |= 1 << deadHolder(i);
      }
    }
    return m;
  }
}
