package io.dualwrite.model;

import static io.dualwrite.model.ServerSide.COMMITTED;
import static io.dualwrite.model.ServerSide.GONE;
import static io.dualwrite.model.ServerSide.NONE;
import static io.dualwrite.model.ServerSide.live;

import java.util.List;
import java.util.Set;

/**
 * A keyless table on two servers: where a state of a {@link Keyless} system keeps what, the locks
 * on the mirror's table, the primary's snapshots, and what the end of a transaction does.
 */
final class KeylessTable {

  /** A unit of work: one row of its own inserted, or the table truncated. */
  enum Kind {
    INSERT,
    TRUNCATE
  }

  /** A unit and the writer that it belongs to. */
  record Unit(int writer, Kind kind) {}

  // ---- a unit: the writer's next step, what the servers know, its intent (0 none, 1 pending,
  // 2 resolved), whether its flush failed, whether the process knows that the primary committed,
  // the primary's incarnation, the unit whose xid it was handed (+1), how often its row is on the
  // mirror, its marker, who holds the marker (1 the unit, 2 the replay, 3 a dead replay), the
  // snapshot of a TRUNCATE, and whether its row is on the primary
  static final int STEP = 0;
  static final int ON_PRIMARY = 1;
  static final int ON_MIRROR = 2;
  static final int JOURNAL = 3;
  static final int FAILED = 4;
  static final int KNOWN = 5;
  static final int INCARNATION = 6;
  static final int XID_OF = 7;
  static final int COPIES = 8;
  static final int MARKER = 9;
  static final int MARKER_HELD = 10;
  static final int TRUNCATED_AT = 11;
  static final int ROW = 12;
  static final int UNIT = 13;

  // ---- a writer's next step, named for what is reached by it, as in io.dualwrite.jdbc.CommitStep
  static final int NEW = 0;
  static final int FLUSHED = 1;
  static final int INTENT_APPENDED = 2;
  static final int PRIMARY_COMMITTED = 3;
  static final int MIRROR_COMMITTED = 4;
  static final int RESOLVED_APPENDED = 5;
  static final int ENDED = 6;

  // ---- a writer's replay: its next step, its unit, its mirror transaction, its table lock, what
  // the recorded snapshot said (1 not visible, 2 visible), the rows that it inserted; and what a
  // dead one left: its transaction, its unit, its rows
  static final int REPLAY_STEP = 0;
  static final int OF = 1;
  static final int REPLAY_ON_MIRROR = 2;
  static final int REPLAY_LOCK = 3;
  static final int VISIBLE = 4;
  static final int ROWS = 5;
  static final int DEAD = 6;
  static final int DEAD_OF = 7;
  static final int DEAD_ROWS = 8;
  static final int REPLAY = 9;

  // ---- the recopy: its next step, its mirror transaction, its lock, its snapshot, the rows that
  // it saw, for each unit how many of its rows it deleted, the suspects that it may close (bit 6:
  // a recopy for its own sake is none of those owed), and how many recopies are owed
  static final int RECOPY_STEP = 0;
  static final int RECOPY_ON_MIRROR = 1;
  static final int RECOPY_LOCK = 2;
  static final int SNAPSHOT = 3;
  static final int SEEN = 4;
  static final int DELETED = 5;
  static final int CLOSES = 8;
  static final int OWED = 9;
  static final int RECOPY = 10;

  // ---- what there is one of: faults left, the primary's incarnation, whether a snapshot is
  // recorded, which, of which incarnation, and suspects by unit
  static final int FAULTS = 0;
  static final int PRIMARY_INCARNATION = 1;
  static final int RECORDED = 2;
  static final int RECORDED_SNAPSHOT = 3;
  static final int RECORDED_INCARNATION = 4;
  static final int SUSPECTS = 5;

  static final int WRITERS = 2;

  final List<Unit> units;
  final Set<Rule> off;
  final int count;
  final int recopy;
  final int global;
  final int size;

  KeylessTable(List<Unit> units, Set<Rule> off) {
    this.units = units;
    this.off = off;
    count = units.size();
    recopy = count * UNIT + WRITERS * REPLAY;
    global = recopy + RECOPY;
    size = (global + 6 + 7) / 8 * 8;
  }

  boolean on(Rule r) {
    return !off.contains(r);
  }

  boolean inserts(int i) {
    return units.get(i).kind == Kind.INSERT;
  }

  int unit(int i) {
    return i * UNIT;
  }

  int replay(int writer) {
    return count * UNIT + writer * REPLAY;
  }

  static byte[] with(byte[] s, int at, int v) {
    byte[] n = s.clone();
    n[at] = (byte) v;
    return n;
  }

  String name(int i) {
    return "W" + units.get(i).writer + ".u" + i;
  }

  void suspect(byte[] n, int i) {
    n[global + SUSPECTS] = (byte) (n[global + SUSPECTS] | (1 << i));
  }

  // ---- locks on the mirror's table

  /** Whether a unit has written to the mirror and not ended there. */
  boolean written(byte[] s, int i) {
    return live(s[unit(i) + ON_MIRROR]) && s[unit(i) + STEP] != FLUSHED;
  }

  /** Whether somebody keeps a writer of rows out of the table. */
  boolean exclusive(byte[] s, int self) {
    if (s[recopy + RECOPY_LOCK] != 0) {
      return true;
    }
    for (int i = 0; i < count; i++) {
      if (i != self && !inserts(i) && written(s, i)) {
        return true;
      }
    }
    return false;
  }

  /** Whether somebody keeps a recopy or a TRUNCATE out. */
  boolean locked(byte[] s, int self) {
    if (exclusive(s, self)) {
      return true;
    }
    for (int i = 0; i < count; i++) {
      if (i != self && written(s, i)) {
        return true;
      }
    }
    for (int v = 0; v < WRITERS; v++) {
      if (s[replay(v) + REPLAY_LOCK] != 0 || s[replay(v) + DEAD] != NONE) {
        return true;
      }
    }
    return false;
  }

  // ---- the primary's transactions

  /**
   * The primary's snapshot, as the mask of xids that are over. Unit i's xid is i, or the one that
   * it was handed again after a crash.
   */
  int snapshot(byte[] s) {
    int m = 0;
    for (int i = 0; i < count; i++) {
      int b = unit(i);
      boolean now = s[b + INCARNATION] == s[global + PRIMARY_INCARNATION];
      if (s[b + ON_PRIMARY] == COMMITTED || (s[b + ON_PRIMARY] == GONE && now)) {
        m |= 1 << i;
      }
    }
    for (int i = 0; i < count; i++) {
      int of = s[unit(i) + XID_OF];
      if (of != 0 && !live(s[unit(i) + ON_PRIMARY])) {
        m |= 1 << (of - 1);
      }
    }
    for (int i = 0; i < count; i++) {
      int of = s[unit(i) + XID_OF];
      if (of != 0 && live(s[unit(i) + ON_PRIMARY])) {
        m &= ~(1 << (of - 1));
      }
    }
    return m;
  }

  /** Units that are over on the primary, whatever became of their xid. */
  int over(byte[] s) {
    int m = 0;
    for (int i = 0; i < count; i++) {
      int state = s[unit(i) + ON_PRIMARY];
      if (state == COMMITTED || state == GONE) {
        m |= 1 << i;
      }
    }
    return m;
  }

  // ---- ends of transactions

  void endPrimary(byte[] n, int i, boolean commit) {
    n[unit(i) + ON_PRIMARY] = (byte) (commit ? COMMITTED : GONE);
    if (!commit) {
      return;
    }
    if (inserts(i)) {
      n[unit(i) + ROW] = 1;
    } else {
      for (int k = 0; k < count; k++) {
        n[unit(k) + ROW] = 0;
      }
    }
  }

  void endMirror(byte[] n, int i, boolean commit) {
    int b = unit(i);
    boolean did = written(n, i);
    n[b + ON_MIRROR] = (byte) (commit ? COMMITTED : GONE);
    if (n[b + MARKER_HELD] == 1) {
      n[b + MARKER_HELD] = 0;
      if (commit) {
        n[b + MARKER] = 1;
      }
    }
    if (!commit || !did) {
      return;
    }
    if (inserts(i)) {
      n[b + COPIES]++;
      return;
    }
    for (int k = 0; k < count; k++) {
      n[unit(k) + COPIES] = 0;
    }
    if (on(Rule.TRUNCATE_RECORDS_SNAPSHOT)) {
      n[global + RECORDED] = 1;
      n[global + RECORDED_SNAPSHOT] = n[b + TRUNCATED_AT];
      n[global + RECORDED_INCARNATION] = n[b + INCARNATION];
    }
  }

  /** The replay of unit {@code i} ends, by its own hand. */
  void endReplay(byte[] n, int writer, boolean commit) {
    int r = replay(writer);
    n[r + REPLAY_ON_MIRROR] = NONE;
    endReplay(n, n[r + OF], 2, commit ? n[r + ROWS] : -1);
  }

  /** What a dead replay left ends. */
  void endDead(byte[] n, int writer, boolean commit) {
    int r = replay(writer);
    n[r + DEAD] = NONE;
    endReplay(n, n[r + DEAD_OF], 3, commit ? n[r + DEAD_ROWS] : -1);
    n[r + DEAD_OF] = 0;
    n[r + DEAD_ROWS] = 0;
  }

  private void endReplay(byte[] n, int i, int holder, int rows) {
    int b = unit(i);
    if (n[b + MARKER_HELD] == holder) {
      n[b + MARKER_HELD] = 0;
    }
    if (rows >= 0) {
      if (on(Rule.MARKER)) {
        n[b + MARKER] = 1;
      }
      n[b + COPIES] = (byte) (n[b + COPIES] + rows);
    }
  }
}
