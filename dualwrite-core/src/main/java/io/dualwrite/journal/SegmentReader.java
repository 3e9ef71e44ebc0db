package io.dualwrite.journal;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * Reads the files of a Chronicle Queue without Chronicle Queue.
 *
 * <p>A file is a sequence of documents: a header of four bytes, aligned to four (bits 0 to 29:
 * length; bit 30: the queue's own data; bit 31: not complete), then the content. A header of 0 ends
 * the file; a header with both bits and no length says that it is closed. Reading them here means
 * that damage is ours to judge: the queue's own readers have no sums, wait for a document that its
 * dead writer will never complete, and need the JVM flags that a mere look should not need.
 *
 * <p>Plain reads and the writer's mapping share the page cache; the header is written after the
 * content, so that a reader of a live file sees whole documents.
 */
final class SegmentReader implements AutoCloseable {

  private static final int WINDOW = 1 << 18;
  private static final int NOT_COMPLETE = 0x80000000;
  private static final int META = 0x40000000;
  private static final int LENGTH = 0x3FFFFFFF;
  private static final int END = NOT_COMPLETE | META;

  /** What a scan finds, in order. */
  interface Visitor {
    /**
     * A record whose head is sound.
     *
     * @param position where it begins
     * @param length its bytes, with those of its parts
     * @param head bytes of the head at {@code from}
     * @param body all bytes of the body if asked for, else null
     */
    void record(
        long position, int length, Records.Header header, byte[] head, int from, byte[] body)
        throws IOException;

    /**
     * Bytes that are not what was written.
     *
     * @param header of the record, if it is sound and only the body is not; else null: any number
     *     of records may have been here
     * @param head bytes of the head at {@code from}, if {@code header} is not null
     */
    void damaged(long position, String what, Records.Header header, byte[] head, int from)
        throws IOException;
  }

  private final Path path;
  private final RandomAccessFile file;
  private final long fileLength;
  private byte[] window = new byte[WINDOW];
  private long base;
  private int filled;

  SegmentReader(Path path) throws IOException {
    this.path = path;
    this.file = new RandomAccessFile(path.toFile(), "r");
    this.fileLength = file.length();
  }

  /**
   * Visits every record.
   *
   * @param last whether a file may end without having been closed, because it is the last that its
   *     process wrote
   * @param bodies whether the visitor wants the bodies
   * @return where the records end
   */
  long scan(boolean last, boolean bodies, Visitor visitor) throws IOException {
    long pos = 0;
    long retry = -1; // the last document of the queue's own: its length is not protected by a sum
    if (fileLength == 0 && last) {
      return 0; // its process died right after it created it
    }
    while (true) {
      int h = pos + 4 <= fileLength ? word(pos) : -1;
      if (h == END) {
        return pos;
      }
      if (h == 0 || pos + 4 > fileLength || (h & NOT_COMPLETE) != 0) {
        long next = find((retry >= 0 ? retry : pos) + 4);
        if (next == pos + 4 && !sound(next)) {
          next =
              find(pos + 8); // half a record: its process died before it could say that it is there
        }
        if (next >= 0 && h == 0 && again(pos) != 0) {
          continue; // of a file in use: it was written while we looked on
        }
        if (next < 0) {
          if (!last || pos + 4 > fileLength) {
            visitor.damaged(pos, "the file ends early", null, null, 0);
          }
          return pos;
        }
        // A whole record whose process died before it could say that it is there is no damage.
        if (next != pos + 4) {
          visitor.damaged(pos, "a gap of " + (next - pos) + " bytes", null, null, 0);
        }
        retry = -1;
        pos = visit(next, headerAt(next), last, bodies, visitor);
        continue;
      }
      // a header that says so of a record of ours is not what was written
      if ((h & META) != 0 && headerAt(pos + 4) == null) {
        long next = align(pos + 4 + (h & LENGTH));
        if (next <= fileLength) {
          long hidden = find(pos + 4, next);
          if (hidden >= 0) {
            visitor.damaged(
                pos, "a document of the queue's own that has records in it", null, null, 0);
            retry = -1;
            pos = visit(hidden, headerAt(hidden), last, bodies, visitor);
            continue;
          }
          retry = pos;
          pos = next;
          continue;
        }
      } else {
        Records.Header r = headerAt(pos + 4);
        if (r != null) {
          retry = -1;
          pos = visit(pos + 4, r, last, bodies, visitor);
          continue;
        }
      }
      long next = find((retry >= 0 ? retry : pos) + 4);
      if (next < 0) {
        visitor.damaged(pos, "unreadable to its end", null, null, 0);
        return pos;
      }
      visitor.damaged(pos, "unreadable up to position " + next, null, null, 0);
      retry = -1;
      // the document's header is not trusted any more, the record's own is
      pos = visit(next, headerAt(next), last, bodies, visitor);
    }
  }

  /** Reads the whole record at a position: its body goes to the visitor. */
  void read(long position, Visitor visitor) throws IOException {
    Records.Header h = headerAt(position);
    if (h == null) {
      visitor.damaged(position, "unreadable", null, null, 0);
    } else {
      visit(position, h, false, true, visitor);
    }
  }

  @Override
  public void close() throws IOException {
    file.close();
  }

  /** Visits the record; returns where the next document begins. */
  private long visit(long position, Records.Header h, boolean last, boolean bodies, Visitor visitor)
      throws IOException {
    boolean there = fetch(position, h.length());
    long next = there ? align(position + h.length()) : fileLength;
    if (!there) {
      fetch(position, Records.HEADER + h.headLength());
    }
    byte[] head = window;
    int from = (int) (position - base) + Records.HEADER;
    int at = from + h.headLength();
    String damage =
        !there ? "cut off" : Records.sound(h, window, at) ? null : "its content changed";
    boolean whole = bodies || h.type() != Records.INTENT;
    byte[] body =
        damage == null && whole ? Arrays.copyOfRange(window, at, at + h.bodyLength()) : null;
    if (h.more()) { // what follows will take the window
      head = Arrays.copyOfRange(window, from, at);
      from = 0;
    }
    int length = h.length();
    boolean more = h.more();
    for (int part = 1; more && damage == null; part++) {
      int word = next + 4 <= fileLength ? word(next) : 0;
      if (word != 0 && (word & META) != 0 && word != END) {
        next = align(next + 4 + (word & LENGTH)); // the queue's index, between the parts
        part--;
        continue;
      }
      Records.Header p = next + 4 <= fileLength ? headerAt(next + 4) : null;
      if (p == null || p.type() != Records.PART || p.sequence() != h.sequence()) {
        if (last && find(next) < 0) {
          return next; // its process died before it was complete: nobody relied on it
        }
        damage = "part " + part + " is missing";
        break;
      }
      if (!fetch(next + 4, p.length())) {
        damage = "cut off";
        next = fileLength;
        break;
      }
      at = (int) (next + 4 - base) + Records.HEADER + p.headLength();
      if (!Records.sound(p, window, at)) {
        if (last && (word & NOT_COMPLETE) != 0 && find(next + 8) < 0) {
          return next; // the same, in the middle of a part
        }
        damage = "the content of part " + part + " changed";
      } else if (whole) {
        int old = body.length;
        body = Arrays.copyOf(body, old + p.bodyLength());
        System.arraycopy(window, at, body, old, p.bodyLength());
      }
      length += p.length();
      more = p.more();
      next = align(next + 4 + p.length());
    }
    if (h.type() == Records.PART) {
      return next; // of an intent that is damaged, and reported, or was given up by its writer
    }
    if (damage != null) {
      visitor.damaged(position, damage, h, head, from);
    } else {
      visitor.record(position, length, h, head, from, body);
    }
    return next;
  }

  /** The first place at or after {@code from} where a record with a sound head begins, or -1. */
  private long find(long from) throws IOException {
    return find(from, fileLength);
  }

  private long find(long from, long to) throws IOException {
    for (long p = align(from); p + Records.HEADER <= to; p += 4) {
      if (p < base || p + 4 > base + filled) {
        if (!fetch(p, (int) Math.min(WINDOW, fileLength - p))) {
          return -1;
        }
      }
      if (Records.u32(window, (int) (p - base)) == Records.MAGIC && headerAt(p) != null) {
        return p;
      }
    }
    return -1;
  }

  private boolean sound(long position) throws IOException {
    Records.Header h = headerAt(position);
    return fetch(position, h.length())
        && Records.sound(h, window, (int) (position - base) + Records.HEADER + h.headLength());
  }

  private Records.Header headerAt(long position) throws IOException {
    if (!fetch(position, Records.HEADER)) {
      return null;
    }
    int at = (int) (position - base);
    if (Records.u32(window, at) != Records.MAGIC) {
      return null;
    }
    long head = Records.u32(window, at + 16);
    if (head < 0 || head > fileLength - position - Records.HEADER) {
      return null;
    }
    fetch(position, (int) (Records.HEADER + head));
    at = (int) (position - base);
    if (Records.newer(window, at, filled)) {
      // not damage: to make suspects of what only has to be read by another version would be worse
      throw new JournalException(
          "The journal file "
              + path
              + " has a record of version "
              + window[at + 4]
              + ", newer than this version of dualwrite reads ("
              + Records.VERSION
              + "): use the version that wrote it, or a later one.");
    }
    return Records.header(window, at, filled);
  }

  /** The word as it is now. */
  private int again(long position) throws IOException {
    filled = 0;
    return word(position);
  }

  private int word(long position) throws IOException {
    fetch(position, 4);
    return Records.u32(window, (int) (position - base));
  }

  /** Has the bytes in the window; false if the file ends before. */
  private boolean fetch(long position, int length) throws IOException {
    if (position >= base && position + length <= base + filled) {
      return true;
    }
    if (position + length > fileLength) {
      return false;
    }
    if (length > window.length) {
      window = new byte[Math.max(length, WINDOW)];
    } else if (window.length > WINDOW && length <= WINDOW) {
      window = new byte[WINDOW];
    }
    base = position;
    filled = 0;
    file.seek(position);
    int want = (int) Math.min(window.length, fileLength - position);
    while (filled < want) {
      int n = file.read(window, filled, want - filled);
      if (n < 0) {
        break;
      }
      filled += n;
    }
    return filled >= length;
  }

  private static long align(long position) {
    return (position + 3) & ~3L;
  }
}
