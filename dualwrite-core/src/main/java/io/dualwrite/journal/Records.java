package io.dualwrite.journal;

import io.dualwrite.catalog.TableName;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;

/**
 * The journal's records as bytes, version 2. Little-endian:
 *
 * <pre>
 *  0  magic        u32   found again after damage by this
 *  4  version      u8
 *  5  type         u8
 *  6  more         u16   1: the body goes on in the PART records that follow
 *  8  sequence     u64
 * 16  head length  u32
 * 20  body length  u32   of the body's bytes in this record
 * 24  head crc     u32   CRC32C of the 24 bytes above and the head
 * 28  body crc     u32   CRC32C of the body's bytes
 * 32  head, body
 * </pre>
 *
 * The head has its own sum so that an intent whose rows are damaged still names its tables.
 *
 * <p>Version 1 is the same; but who reads no other may not know the kinds of change TRUNCATE,
 * STATEMENT and REMOVE and would take them for damage, where it has to refuse. A directory may hold
 * both. Whoever adds to what a record can say adds one to the version.
 */
final class Records {

  static final int MAGIC = 0x4C4A5744; // "DWJL"
  static final int VERSION = 2;
  static final int HEADER = 32;

  /** No record is larger: such a unit becomes suspects. */
  static final int LARGEST = 1 << 30;

  static final byte INTENT = 1;
  static final byte PART = 2;
  static final byte RESOLVED = 3;
  static final byte OUTCOME = 4;
  static final byte PARK = 5;
  static final byte UNPARK = 6;

  /** This damage became suspects: it is not reported again at the next start. */
  static final byte NOTED = 7;

  /** The fixed part of a record. */
  record Header(
      byte type, boolean more, long sequence, int headLength, int bodyLength, int bodyCrc) {
    int length() {
      return HEADER + headLength + bodyLength;
    }
  }

  /** What an intent's head tells. */
  record Head(long xid, String incarnation, List<TableName> tables) {}

  private Records() {}

  /** Fills in the header of the record that begins at {@code at}. */
  static void seal(
      byte[] b, int at, byte type, boolean more, long sequence, int headLength, int bodyLength) {
    u32(b, at, MAGIC);
    b[at + 4] = VERSION;
    b[at + 5] = type;
    b[at + 6] = (byte) (more ? 1 : 0);
    b[at + 7] = 0;
    u32(b, at + 8, (int) sequence);
    u32(b, at + 12, (int) (sequence >>> 32));
    u32(b, at + 16, headLength);
    u32(b, at + 20, bodyLength);
    CRC32C crc = new CRC32C();
    crc.update(b, at, 24);
    crc.update(b, at + HEADER, headLength);
    u32(b, at + 24, (int) crc.getValue());
    crc.reset();
    crc.update(b, at + HEADER + headLength, bodyLength);
    u32(b, at + 28, (int) crc.getValue());
  }

  /**
   * Reads the header at {@code at}; the head's bytes are checked, the body's are not.
   *
   * @param end end of the bytes that there are
   * @return null if no sound header and head are there
   */
  static Header header(byte[] b, int at, int end) {
    if (end - at < HEADER || u32(b, at) != MAGIC || b[at + 4] < 1 || b[at + 4] > VERSION) {
      return null;
    }
    return sealed(b, at, end);
  }

  /** Whether a later version of dualwrite wrote the record there: its sum is right, and yet. */
  static boolean newer(byte[] b, int at, int end) {
    return end - at >= HEADER
        && u32(b, at) == MAGIC
        && b[at + 4] > VERSION
        && sealed(b, at, end) != null;
  }

  private static Header sealed(byte[] b, int at, int end) {
    int head = u32(b, at + 16);
    int body = u32(b, at + 20);
    if (head < 0 || body < 0 || head > LARGEST || body > LARGEST || head > end - at - HEADER) {
      return null;
    }
    CRC32C crc = new CRC32C();
    crc.update(b, at, 24);
    crc.update(b, at + HEADER, head);
    if ((int) crc.getValue() != u32(b, at + 24)) {
      return null;
    }
    return new Header(b[at + 5], b[at + 6] != 0, u64(b, at + 8), head, body, u32(b, at + 28));
  }

  /** Whether the body's bytes, which begin at {@code at}, are what was written. */
  static boolean sound(Header h, byte[] b, int at) {
    CRC32C crc = new CRC32C();
    crc.update(b, at, h.bodyLength);
    return (int) crc.getValue() == h.bodyCrc;
  }

  /** Writes an intent as one record at the writer's position. */
  static void intent(ByteWriter w, Intent intent) {
    int start = w.position();
    w.skip(HEADER);
    Map<TableName, Integer> tables = new LinkedHashMap<>();
    for (RowChange c : intent.changes()) {
      tables.putIfAbsent(c.table(), tables.size());
    }
    w.number(intent.xid());
    w.text(intent.incarnation());
    w.number(tables.size());
    for (TableName t : tables.keySet()) {
      w.text(t.schema());
      w.text(t.name());
    }
    int head = w.position();
    w.number(intent.wallMicros());
    w.number(intent.epoch());
    w.number(intent.pid());
    w.number(intent.changes().size());
    for (RowChange c : intent.changes()) {
      w.u8(code(c.kind()));
      w.number(tables.get(c.table()));
      texts(w, c.columns());
      if (c.types() == null) {
        w.u8(0);
      } else {
        w.u8(1);
        texts(w, c.types());
      }
      texts(w, c.keyColumns());
      w.number(c.rows().length);
      for (String[] row : c.rows()) {
        w.number(row.length);
        for (String value : row) {
          w.text(value);
        }
      }
    }
    seal(
        w.buffer(),
        start,
        INTENT,
        false,
        intent.sequence(),
        head - start - HEADER,
        w.position() - head);
  }

  /** Writes an intent that was read, without looking into it. */
  static void again(ByteWriter w, long sequence, byte[] head, int from, int length, byte[] body) {
    int start = w.position();
    w.skip(HEADER);
    w.bytes(head, from, length);
    w.bytes(body, 0, body.length);
    seal(w.buffer(), start, INTENT, false, sequence, length, body.length);
  }

  /** Writes a record whose body is one text, or none if it is null, at the writer's position. */
  static void note(ByteWriter w, byte type, long sequence, String body) {
    int start = w.position();
    w.skip(HEADER);
    if (body != null) {
      w.text(body);
    }
    seal(w.buffer(), start, type, false, sequence, 0, w.position() - start - HEADER);
  }

  /** Reads an intent's head. */
  static Head head(byte[] b, int from, int to) throws DamagedException {
    ByteReader r = new ByteReader(b, from, to);
    long xid = r.number();
    String incarnation = r.text();
    int n = r.count();
    List<TableName> tables = new ArrayList<>(n);
    for (int i = 0; i < n; i++) {
      tables.add(new TableName(r.text(), r.text()));
    }
    return new Head(xid, incarnation, tables);
  }

  /** Reads an intent. */
  static Intent intent(long sequence, Head head, byte[] body, int from, int to)
      throws DamagedException {
    ByteReader r = new ByteReader(body, from, to);
    long wallMicros = r.number();
    long epoch = r.number();
    int pid = (int) r.number();
    int n = r.count();
    List<RowChange> changes = new ArrayList<>(n);
    for (int i = 0; i < n; i++) {
      RowChange.Kind kind = kind(r.u8());
      int table = (int) r.number();
      if (table < 0 || table >= head.tables.size()) {
        throw new DamagedException("unknown table");
      }
      List<String> columns = texts(r);
      List<String> types = r.u8() == 0 ? null : texts(r);
      List<String> keys = texts(r);
      String[][] rows = new String[r.count()][];
      for (int j = 0; j < rows.length; j++) {
        String[] row = new String[r.count()];
        for (int k = 0; k < row.length; k++) {
          row[k] = r.text();
        }
        rows[j] = row;
      }
      changes.add(new RowChange(kind, head.tables.get(table), columns, types, keys, rows));
    }
    return new Intent(sequence, wallMicros, epoch, head.incarnation, head.xid, pid, changes);
  }

  private static int code(RowChange.Kind kind) {
    return switch (kind) {
      case UPSERT -> 1;
      case INSERT -> 2;
      case DELETE -> 3;
      case REKEY -> 4;
      case TRUNCATE -> 5;
      case STATEMENT -> 6;
      case REMOVE -> 7;
    };
  }

  private static RowChange.Kind kind(int code) throws DamagedException {
    return switch (code) {
      case 1 -> RowChange.Kind.UPSERT;
      case 2 -> RowChange.Kind.INSERT;
      case 3 -> RowChange.Kind.DELETE;
      case 4 -> RowChange.Kind.REKEY;
      case 5 -> RowChange.Kind.TRUNCATE;
      case 6 -> RowChange.Kind.STATEMENT;
      case 7 -> RowChange.Kind.REMOVE;
      default -> throw new DamagedException("unknown kind of change");
    };
  }

  private static void texts(ByteWriter w, List<String> list) {
    w.number(list.size());
    for (String s : list) {
      w.text(s);
    }
  }

  private static List<String> texts(ByteReader r) throws DamagedException {
    int n = r.count();
    List<String> list = new ArrayList<>(n);
    for (int i = 0; i < n; i++) {
      list.add(r.text());
    }
    return list;
  }

  static int u32(byte[] b, int at) {
    return (b[at] & 0xFF)
        | ((b[at + 1] & 0xFF) << 8)
        | ((b[at + 2] & 0xFF) << 16)
        | ((b[at + 3] & 0xFF) << 24);
  }

  static long u64(byte[] b, int at) {
    return (u32(b, at) & 0xFFFFFFFFL) | ((long) u32(b, at + 4) << 32);
  }

  static void u32(byte[] b, int at, int v) {
    b[at] = (byte) v;
    b[at + 1] = (byte) (v >> 8);
    b[at + 2] = (byte) (v >> 16);
    b[at + 3] = (byte) (v >> 24);
  }
}
