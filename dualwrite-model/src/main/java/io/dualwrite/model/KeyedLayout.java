package io.dualwrite.model;

/**
 * Where a state of a {@link Keyed} system keeps what: first the transactions, then the rows of two
 * keys on two databases, then three actors of the engine (one resync for each writer, and one for
 * the backfill or the suspect table), then what there is one of.
 */
final class KeyedLayout {

  static final int P = 0;
  static final int M = 1;

  /** A row's value: a number below, and this bit. */
  static final int TAKEN = 32;

  // ---- a transaction: the writer's next step, what the two servers know of it, its intent
  // (0 none, 1 pending, 2 resolved); whether its flush failed; for each statement the mask of keys
  // that it changed and the image that it left; whether a statement waits (1) or has waited in
  // vain (2) for a row that is deleted and inserted again; whether the flush was tried before
  static final int STEP = 0;
  static final int ON_PRIMARY = 1;
  static final int ON_MIRROR = 2;
  static final int JOURNAL = 3;
  static final int FAILED = 4;
  static final int CHANGED = 5;
  static final int IMAGE = 7;
  static final int AWAITS = 9;
  static final int TRIED = 10;
  static final int TRANSACTION = 11;

  // ---- a writer's next step, named for what is reached by it: the names of
  // io.dualwrite.jdbc.CommitStep, with the flush of two changes as two steps. ASKED is reached with
  // the last statement.
  static final int NEW = 0;
  static final int EXECUTED_1 = 1;
  static final int EXECUTED_2 = 2;
  static final int FLUSHED_1 = 3;
  static final int FLUSHED_2 = 4;
  static final int INTENT_APPENDED = 5;
  static final int PRIMARY_COMMITTED = 6;
  static final int MIRROR_COMMITTED = 7;
  static final int RESOLVED_APPENDED = 8;
  static final int ENDED = 9;
  static final int ROLLED_BACK_TO = 10;
  static final int SUSPECT_OPENED = 11;

  // ---- a row: committed; its holder; the holder's version; whether the holder deleted it and
  // inserted it again, and whether it is locked FOR UPDATE by the holder
  static final int PRESENT = 0;
  static final int VALUE = 1;
  static final int HOLDER = 2;
  static final int HELD_PRESENT = 3;
  static final int HELD_VALUE = 4;
  static final int REBORN = 5;
  static final int FOR_UPDATE = 6;
  static final int ROW = 7;

  // ---- an actor: its next step, what it works for (transaction + 1), its mirror transaction, the
  // mask of mirror transactions it waits for, AWAITS as above, what a dead one left on the mirror,
  // and the suspects that it will close
  static final int ACTOR_STEP = 0;
  static final int TARGET = 1;
  static final int ACTOR_ON_MIRROR = 2;
  static final int IN_FLIGHT = 3;
  static final int ACTOR_AWAITS = 5;
  static final int DEAD = 6;
  static final int CLOSES = 7;
  static final int KEYS = 8;

  // ---- an actor's key: whether it has to be written; as it was read on the primary; whether it
  // moved there since; whether a delete found nothing; whether a second look is being taken;
  // whether the mirror's row is held (1 written, 2 deleted); whether it exchanges its value
  static final int WORK = 0;
  static final int READ_PRESENT = 1;
  static final int READ_VALUE = 2;
  static final int MOVED = 3;
  static final int ZERO = 4;
  static final int WAITED = 5;
  static final int HELD = 6;
  static final int SWAP = 7;
  static final int KEY = 8;

  static final int ACTOR = KEYS + 2 * KEY;

  // ---- an actor's next step
  static final int IDLE = 0;
  static final int READ_PRIMARY = 1;
  static final int WRITE_MIRROR_0 = 2;
  static final int WRITE_MIRROR_1 = 3;
  static final int READ_AGAIN = 4;
  static final int COMMIT = 5;
  static final int WAIT_IN_FLIGHT = 6;
  static final int DONE = 7;
  static final int HELD_OFF = 8;
  static final int COPY_CLAIM = 9;
  static final int COPY_READ = 10;
  static final int COPY_INSERT_0 = 11;
  static final int COPY_INSERT_1 = 12;
  static final int LIST_MIRROR = 13;
  static final int LIST_PRIMARY = 14;
  static final int LIST_WAIT = 15;

  /** The actor that copies, or heals a suspect table; the others are the writers' resyncs. */
  static final int WORKER = 2;

  static final int ACTORS = 3;

  // ---- what there is one of: faults left, whether the backfill is done, holders of a share of
  // k0's row on either side, suspects by transaction
  static final int FAULTS = 0;
  static final int BACKFILLED = 1;
  static final int SHARE = 2;
  static final int SUSPECTS = 6;

  private final int rows;
  private final int actors;
  final int global;
  final int size;

  KeyedLayout(int transactions) {
    rows = transactions * TRANSACTION;
    actors = rows + 4 * ROW;
    global = actors + ACTORS * ACTOR;
    size = (global + 7 + 7) / 8 * 8;
  }

  int tx(int t) {
    return t * TRANSACTION;
  }

  int row(int database, int key) {
    return rows + (database * 2 + key) * ROW;
  }

  int actor(int r) {
    return actors + r * ACTOR;
  }

  int key(int r, int k) {
    return actor(r) + KEYS + k * KEY;
  }

  int share(byte[] s, int database) {
    return mask(s, global + SHARE + 2 * database);
  }

  void share(byte[] s, int database, int holders) {
    mask(s, global + SHARE + 2 * database, holders);
  }

  static int mask(byte[] s, int at) {
    return (s[at] & 255) | ((s[at + 1] & 255) << 8);
  }

  static void mask(byte[] s, int at, int v) {
    s[at] = (byte) v;
    s[at + 1] = (byte) (v >> 8);
  }

  static byte[] with(byte[] s, int at, int v) {
    byte[] n = s.clone();
    n[at] = (byte) v;
    return n;
  }

  // ---- holders of rows: transactions from 1, actors 10 to 12, what dead actors left 13 to 15

  static int holder(int t) {
    return 1 + t;
  }

  static int actorHolder(int r) {
    return 10 + r;
  }

  static int deadHolder(int r) {
    return 13 + r;
  }

  static String actorName(int r, boolean backfill) {
    return r < WORKER ? "RESYNC" + r : backfill ? "BACKFILL" : "TABLE RESYNC";
  }
}
