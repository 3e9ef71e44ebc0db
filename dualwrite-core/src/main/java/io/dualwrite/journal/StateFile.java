package io.dualwrite.journal;

import io.dualwrite.catalog.TableName;
import io.dualwrite.control.Incarnation;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import java.util.zip.CRC32C;

/**
 * What must be recordable when nothing else is: open suspects, which tables were written lately,
 * and how far sequences were handed out and are resolved. One small file of fixed slots, given its
 * space when it is created, so that writing needs none.
 *
 * <p>A slot is two halves of 512 bytes, each with a sum and the number of its writing. The older
 * half is overwritten, so that a torn write leaves the value before. Slot 0 holds the sequences,
 * slot 1 what has no slot of its own (the table {@code *.*}), each other slot one table.
 * Thread-safe.
 */
final class StateFile implements AutoCloseable {

  static final int SLOTS = 4096;
  private static final int HALF = 512;
  private static final int SLOT = 2 * HALF;

  /** Size of the file. */
  static final long BYTES = (long) SLOTS * SLOT;

  private static final int FIRST_TABLE = 3;

  private static final int FREE = 1;
  private static final int SEQUENCES = 2;
  private static final int TABLE = 3;
  private static final int USE = 4;

  /**
   * How the journal was opened last, and whether it was left with a clean goodbye.
   *
   * @param boot of the machine, or empty if it could not be told
   * @param sync as configured
   * @param place where the directory is, which a copy of it does not share: {@link
   *     JournalDirectory#currentPlace}; or empty
   */
  record Use(String boot, String sync, String place, boolean clean) {
    /** Whether the machine may have stopped since, as far as its boot now says. */
    boolean crashed(String now) {
      return !clean && (now.isEmpty() || !now.equals(boot));
    }

    /** Whether its records were on the device before anybody relied on them. */
    boolean synced() {
      return sync.equals(JournalOptions.Sync.COMMIT.name());
    }
  }

  /** Of tables that were written when the machine stopped, and no record says how. */
  static final String LATELY =
      "the machine stopped before the journal of what was written lately was on its device";

  /** All tables: what a record that cannot be read may have named. */
  static final TableName ALL = new TableName("*", "*");

  private static final class Slot {
    final int number;
    Suspect suspect;

    /** The period in which the table was written last; 0 if it was not since the last goodbye. */
    long written;

    Slot(int number) {
      this.number = number;
    }
  }

  private final ReentrantLock lock = new ReentrantLock();
  private final Path path;
  private final RandomAccessFile file;
  private final Map<TableName, Slot> tables = new HashMap<>();
  private final ArrayDeque<Integer> free = new ArrayDeque<>();
  private final byte[] half = new byte[HALF];
  private long writing;
  private long reserved;
  private long resolved;
  private Use use = new Use("", "", "", false);
  private volatile long period = 1;
  private boolean damaged;
  private boolean sequencesLost;
  private final List<Integer> unsound = new ArrayList<>();

  /** Positions of halves that are not sound, beside one that is. */
  private final List<Integer> torn = new ArrayList<>();

  /** Read without the lock by appends. */
  private volatile Set<TableName> writtenNow = Set.of();

  private StateFile(Path path, RandomAccessFile file) {
    this.path = path;
    this.file = file;
  }

  /** Creates the file, whole or not at all, and takes its space. */
  static StateFile create(Path path, List<Suspect> suspects) throws IOException {
    Path fresh = path.resolveSibling(path.getFileName() + ".new");
    try (StateFile s = new StateFile(fresh, new RandomAccessFile(fresh.toFile(), "rw"))) {
      s.fill(0);
      for (int i = FIRST_TABLE; i < SLOTS; i++) {
        s.free.add(i);
      }
      s.reserved = 1;
      s.writeSequences();
      s.open(suspects);
    }
    Files.move(fresh, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    JournalDirectory.forceDirectory(path.toAbsolutePath().getParent());
    return open(path, false);
  }

  private void fill(long from) throws IOException {
    file.seek(from);
    byte[] zeros = new byte[SLOT * 64];
    for (long at = from; at < BYTES; ) {
      int n = (int) Math.min(zeros.length, BYTES - at);
      file.write(zeros, 0, n);
      at += n;
    }
  }

  /** Opens the file. */
  static StateFile open(Path path, boolean readOnly) throws IOException {
    StateFile s = new StateFile(path, new RandomAccessFile(path.toFile(), readOnly ? "r" : "rw"));
    try {
      s.load();
      return s;
    } catch (IOException | RuntimeException e) {
      s.close();
      throw e;
    }
  }

  private void load() throws IOException {
    byte[] all = new byte[SLOTS * SLOT];
    int n = 0;
    while (n < all.length) {
      int read = file.read(all, n, all.length - n);
      if (read < 0) {
        break;
      }
      n += read;
    }
    damaged = n < all.length;
    boolean sequences = false;
    for (int i = 0; i < SLOTS; i++) {
      int at = newest(all, i * SLOT);
      if (at < 0) {
        // Never written, or both halves gone: then it may have named any table.
        if (!zero(all, i * SLOT, SLOT)) {
          damaged = true;
          unsound.add(i);
        }
        if (i >= FIRST_TABLE) {
          free.add(i);
        }
        continue;
      }
      ByteReader r = new ByteReader(all, at + 14, at + HALF);
      try {
        switch (all[at + 12]) {
          case SEQUENCES -> {
            reserved = r.number();
            resolved = r.number();
            sequences = i == 0;
          }
          case USE -> use = new Use(r.text(), r.text(), r.text(), r.u8() == 1);
          case TABLE -> {
            TableName t = new TableName(r.text(), r.text());
            Slot s = new Slot(i);
            s.written = r.number();
            period = Math.max(period, s.written + 1);
            if (r.u8() == 1) {
              s.suspect = new Suspect(t, r.text(), r.number(), r.text(), r.number(), r.number());
            }
            tables.put(t, s);
          }
          default -> {
            if (i >= FIRST_TABLE) {
              free.add(i);
            }
          }
        }
      } catch (DamagedException e) {
        throw new IOException("slot " + i + " of " + path + " is in an unknown format", e);
      }
    }
    sequencesLost = !sequences;
    damaged |= sequencesLost;
  }

  /** The position of the slot's newest sound half, or -1; learns the number of its writing. */
  private int newest(byte[] all, int slot) {
    int best = -1;
    long bestWriting = 0;
    for (int at = slot; at < slot + SLOT; at += HALF) {
      long w = writing(all, at);
      if (w > bestWriting) {
        best = at;
        bestWriting = w;
      }
    }
    for (int at = slot; at < slot + SLOT && best >= 0; at += HALF) {
      if (writing(all, at) == 0 && !zero(all, at, HALF)) {
        torn.add(at);
      }
    }
    writing = Math.max(writing, bestWriting);
    return best;
  }

  /** The number of the half's writing, or 0 if the half is not sound. */
  private static long writing(byte[] b, int at) {
    CRC32C crc = new CRC32C();
    crc.update(b, at + 4, HALF - 4);
    if ((int) crc.getValue() != Records.u32(b, at)) {
      return 0;
    }
    return Records.u64(b, at + 4);
  }

  private static boolean zero(byte[] b, int at, int length) {
    for (int i = at; i < at + length; i++) {
      if (b[i] != 0) {
        return false;
      }
    }
    return true;
  }

  /**
   * Whether something in the file was lost: any table may have been a suspect.
   *
   * @param crashed whether the machine may have stopped in the middle of a write, which nobody
   *     relied on yet: then the half before it is what was valid. A process that ends tears nothing
   */
  boolean damaged(boolean crashed) {
    return damaged || (!crashed && !torn.isEmpty());
  }

  /** Whether it is not known which sequences were handed out. */
  boolean sequencesLost(boolean crashed) {
    return sequencesLost || (!crashed && torn.stream().anyMatch(at -> at < SLOT));
  }

  /** Sequences below this may have been handed out. */
  long reserved() {
    lock.lock();
    try {
      return reserved;
    } finally {
      lock.unlock();
    }
  }

  /** All sequences up to this are resolved. */
  long resolved() {
    lock.lock();
    try {
      return resolved;
    } finally {
      lock.unlock();
    }
  }

  /** Makes the file whole again, after what it lost has become a suspect. */
  void heal() throws IOException {
    lock.lock();
    try {
      if (file.length() < BYTES) {
        fill(file.length());
      }
      for (int i : unsound) {
        torn.add(i * SLOT);
        torn.add(i * SLOT + HALF);
      }
      unsound.clear();
      for (int at : torn) {
        byte[] now = new byte[HALF];
        file.seek(at);
        file.readFully(now);
        if (writing(now, 0) == 0) { // not written since
          file.seek(at);
          file.write(new byte[HALF]);
        }
      }
      torn.clear();
      sync();
    } finally {
      lock.unlock();
    }
  }

  /** How the journal was opened last, and left. */
  Use use() {
    lock.lock();
    try {
      return use;
    } finally {
      lock.unlock();
    }
  }

  /** Records how the journal is opened, or left; durable on return. */
  void use(Use now) throws IOException {
    lock.lock();
    try {
      use = now;
      ByteWriter w = new ByteWriter();
      w.text(cut(now.boot, 100));
      w.text(cut(now.sync, 20));
      w.text(cut(now.place, 100));
      w.u8(now.clean ? 1 : 0);
      write(2, USE, w);
      sync();
    } finally {
      lock.unlock();
    }
  }

  /** Raises what is recorded of the sequences; durable on return. */
  void sequences(long newReserved, long newResolved) throws IOException {
    lock.lock();
    try {
      reserved = Math.max(reserved, newReserved);
      resolved = Math.max(resolved, newResolved);
      writeSequences();
      sync();
    } finally {
      lock.unlock();
    }
  }

  private void writeSequences() throws IOException {
    ByteWriter w = new ByteWriter();
    w.number(reserved);
    w.number(resolved);
    write(0, SEQUENCES, w);
  }

  /**
   * Notes that the tables are being written; durable on return, and cheap when noted before.
   *
   * @return the {@link #period()} in which they are noted
   */
  long written(Set<TableName> names) throws IOException {
    long before = period; // first: a set seen after it is of this period or a later one
    if (writtenNow.containsAll(names)) {
      return before;
    }
    lock.lock();
    try {
      Set<TableName> now = new HashSet<>(writtenNow);
      boolean changed = false;
      for (TableName t : names) {
        if (!now.contains(t)) {
          // A quarter of the slots is kept for suspects.
          TableName place = tables.containsKey(t) || free.size() > SLOTS / 4 ? place(t) : ALL;
          Slot s = slot(place);
          s.written = period;
          writeTable(place, s);
          now.add(t);
          changed = true;
        }
      }
      if (changed) {
        sync();
        writtenNow = Set.copyOf(now);
      }
      return period;
    } finally {
      lock.unlock();
    }
  }

  /** The present period. */
  long period() {
    return period;
  }

  /** Begins another period: tables have to be noted again. Returns the one that ended. */
  long nextPeriod() {
    lock.lock();
    try {
      writtenNow = Set.of();
      long ended = period;
      period = ended + 1;
      return ended;
    } finally {
      lock.unlock();
    }
  }

  /** Forgets the tables that were not written after the period. */
  void forgetWritten(long upToPeriod) throws IOException {
    lock.lock();
    try {
      boolean changed = false;
      for (Map.Entry<TableName, Slot> e : List.copyOf(tables.entrySet())) {
        Slot s = e.getValue();
        if (s.written != 0 && s.written <= upToPeriod) {
          s.written = 0;
          settle(e.getKey(), s);
          changed = true;
        }
      }
      if (changed) {
        sync();
      }
    } finally {
      lock.unlock();
    }
  }

  /** The tables written since what was written was last known to be on the device. */
  List<TableName> written() {
    lock.lock();
    try {
      List<TableName> list = new ArrayList<>();
      for (Map.Entry<TableName, Slot> e : tables.entrySet()) {
        if (e.getValue().written != 0) {
          list.add(e.getKey());
        }
      }
      return list;
    } finally {
      lock.unlock();
    }
  }

  /** Opens suspects or adds to those that the tables have; durable on return. */
  void open(List<Suspect> suspects) throws IOException {
    lock.lock();
    try {
      for (Suspect given : suspects) {
        TableName place = place(given.table());
        if (given.statements() && place.equals(given.table()) && free.size() < SLOTS / 8) {
          place = Suspect.statements(0); // room is left for tables
        }
        String reason =
            place.equals(given.table()) ? given.reason() : given.table() + ": " + given.reason();
        Slot s = slot(place);
        Suspect old = s.suspect;
        long since = given.sinceMicros();
        String incarnation = given.incarnation();
        long xid = given.xid();
        if (old != null) {
          since = Math.min(since, old.sinceMicros());
          // of two transactions' ends both are to be waited for, but not in an earlier incarnation
          boolean olds = xid == Suspect.NOBODY;
          if (xid != Suspect.NOBODY && old.xid() != Suspect.NOBODY) {
            Incarnation.Order order = Incarnation.order(incarnation, old.incarnation());
            if (xid == 0 || old.xid() == 0 || order == Incarnation.Order.UNKNOWN) {
              incarnation = ""; // then for all that is under way
              xid = 0;
            } else {
              olds =
                  order == Incarnation.Order.EARLIER
                      || (order == Incarnation.Order.SAME && old.xid() > xid);
            }
          }
          if (olds) {
            incarnation = old.incarnation();
            xid = old.xid();
          }
        }
        s.suspect = new Suspect(place, reason, since, incarnation, xid, writing + 1);
        writeTable(place, s);
      }
      sync();
    } finally {
      lock.unlock();
    }
  }

  List<Suspect> suspects() {
    lock.lock();
    try {
      List<Suspect> list = new ArrayList<>();
      for (Slot s : tables.values()) {
        if (s.suspect != null) {
          list.add(s.suspect);
        }
      }
      list.sort((a, b) -> a.table().compareTo(b.table()));
      return list;
    } finally {
      lock.unlock();
    }
  }

  /** Closes the suspect if it is still the one given. */
  boolean close(Suspect suspect) throws IOException {
    lock.lock();
    try {
      Slot s = tables.get(suspect.table());
      if (s == null || s.suspect == null || s.suspect.version() != suspect.version()) {
        return false;
      }
      s.suspect = null;
      settle(suspect.table(), s);
      sync();
      return true;
    } finally {
      lock.unlock();
    }
  }

  /** The table itself, or {@link #ALL} if it does not fit or no slot is left. */
  private TableName place(TableName t) {
    if (tables.containsKey(t)) {
      return t;
    }
    int bytes = utf8(t.schema()).length + utf8(t.name()).length;
    return free.isEmpty() || bytes > 200 ? ALL : t;
  }

  private Slot slot(TableName t) {
    return tables.computeIfAbsent(t, k -> new Slot(k.equals(ALL) ? 1 : free.poll()));
  }

  /** Writes the table's slot, or frees it if there is nothing left to say. */
  private void settle(TableName t, Slot s) throws IOException {
    if (s.suspect == null && s.written == 0) {
      write(s.number, FREE, new ByteWriter());
      tables.remove(t);
      if (s.number >= FIRST_TABLE) {
        free.add(s.number);
      }
    } else {
      writeTable(t, s);
    }
  }

  private void writeTable(TableName t, Slot s) throws IOException {
    ByteWriter w = new ByteWriter();
    w.text(t.schema());
    w.text(t.name());
    w.number(s.written);
    if (s.suspect == null) {
      w.u8(0);
    } else {
      Suspect x = s.suspect;
      w.u8(1);
      ByteWriter tail = new ByteWriter();
      tail.number(x.sinceMicros());
      tail.text(cut(x.incarnation(), 100));
      tail.number(x.xid());
      tail.number(x.version());
      w.text(cut(x.reason(), HALF - 14 - w.position() - tail.position() - 3));
      for (int i = 0; i < tail.position(); i++) {
        w.u8(tail.buffer()[i]);
      }
    }
    write(s.number, TABLE, w);
  }

  /** Writes the older half of the slot; durable after {@link #sync}. */
  private void write(int number, int kind, ByteWriter content) throws IOException {
    long slot = (long) number * SLOT;
    byte[] both = new byte[SLOT];
    if (slot + SLOT <= file.length()) {
      file.seek(slot);
      file.readFully(both);
    }
    long target = writing(both, 0) <= writing(both, HALF) ? slot : slot + HALF;
    Arrays.fill(half, (byte) 0);
    long w = ++writing;
    Records.u32(half, 4, (int) w);
    Records.u32(half, 8, (int) (w >>> 32));
    half[12] = (byte) kind;
    System.arraycopy(content.buffer(), 0, half, 14, content.position());
    CRC32C crc = new CRC32C();
    crc.update(half, 4, HALF - 4);
    Records.u32(half, 0, (int) crc.getValue());
    file.seek(target);
    file.write(half);
  }

  private void sync() throws IOException {
    file.getFD().sync();
  }

  private static String cut(String s, int bytes) {
    String t = s;
    while (utf8(t).length > bytes) {
      int keep = Math.min(t.length() - 1, Math.max(bytes / 3, t.length() * 3 / 4));
      t = t.substring(0, Character.isHighSurrogate(t.charAt(keep - 1)) ? keep - 1 : keep);
    }
    return t;
  }

  private static byte[] utf8(String s) {
    return s.getBytes(StandardCharsets.UTF_8);
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
