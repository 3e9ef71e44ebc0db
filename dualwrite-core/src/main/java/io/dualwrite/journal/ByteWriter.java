package io.dualwrite.journal;

import java.util.Arrays;

/** A growing buffer with the journal's number and text formats. Not thread-safe. */
final class ByteWriter {

  private static final int KEEP = 1 << 20;

  private byte[] buffer = new byte[4096];
  private int position;

  byte[] buffer() {
    return buffer;
  }

  int position() {
    return position;
  }

  /** Starts over; gives back a buffer that one large record made large. */
  void clear() {
    position = 0;
    if (buffer.length > KEEP) {
      buffer = new byte[4096];
    }
  }

  void skip(int bytes) {
    room(bytes);
    position += bytes;
  }

  void u8(int value) {
    room(1);
    buffer[position++] = (byte) value;
  }

  void bytes(byte[] b, int from, int length) {
    room(length);
    System.arraycopy(b, from, buffer, position, length);
    position += length;
  }

  /** An unsigned number, seven bits to the byte; a negative one takes ten bytes. */
  void number(long value) {
    room(10);
    position = varint(buffer, position, value);
  }

  /** A text, or null. */
  void text(String s) {
    if (s == null) {
      number(0);
      return;
    }
    int n = s.length();
    room(n + 5L);
    int p = varint(buffer, position, n + 1L);
    byte[] b = buffer;
    int i = 0;
    while (i < n) {
      char c = s.charAt(i);
      if (c >= 0x80) {
        break;
      }
      b[p++] = (byte) c;
      i++;
    }
    if (i == n) {
      position = p;
    } else {
      wide(s);
    }
  }

  /**
   * UTF-8, where a surrogate without its partner is written as three bytes (WTF-8): what the
   * application gave comes back as it was.
   */
  private void wide(String s) {
    int n = s.length();
    long bytes = 0;
    for (int i = 0; i < n; i++) {
      char c = s.charAt(i);
      if (c < 0x80) {
        bytes++;
      } else if (c < 0x800) {
        bytes += 2;
      } else if (pair(s, i)) {
        bytes += 4;
        i++;
      } else {
        bytes += 3;
      }
    }
    room(bytes + 5);
    int p = varint(buffer, position, bytes + 1);
    byte[] b = buffer;
    for (int i = 0; i < n; i++) {
      char c = s.charAt(i);
      if (c < 0x80) {
        b[p++] = (byte) c;
      } else if (c < 0x800) {
        b[p++] = (byte) (0xC0 | (c >> 6));
        b[p++] = (byte) (0x80 | (c & 0x3F));
      } else if (pair(s, i)) {
        int cp = Character.toCodePoint(c, s.charAt(++i));
        b[p++] = (byte) (0xF0 | (cp >> 18));
        b[p++] = (byte) (0x80 | ((cp >> 12) & 0x3F));
        b[p++] = (byte) (0x80 | ((cp >> 6) & 0x3F));
        b[p++] = (byte) (0x80 | (cp & 0x3F));
      } else {
        b[p++] = (byte) (0xE0 | (c >> 12));
        b[p++] = (byte) (0x80 | ((c >> 6) & 0x3F));
        b[p++] = (byte) (0x80 | (c & 0x3F));
      }
    }
    position = p;
  }

  private static boolean pair(String s, int i) {
    return Character.isHighSurrogate(s.charAt(i))
        && i + 1 < s.length()
        && Character.isLowSurrogate(s.charAt(i + 1));
  }

  private static int varint(byte[] b, int at, long value) {
    int p = at;
    long v = value;
    while ((v & ~0x7FL) != 0) {
      b[p++] = (byte) (v | 0x80);
      v >>>= 7;
    }
    b[p++] = (byte) v;
    return p;
  }

  private void room(long more) {
    long need = position + more;
    if (need > buffer.length) {
      if (need > Records.LARGEST) {
        throw new TooLargeException();
      }
      buffer = Arrays.copyOf(buffer, (int) Math.min(Records.LARGEST, Math.max(need, need * 3 / 2)));
    }
  }

  /** The record is larger than a record may be. */
  static final class TooLargeException extends RuntimeException {
    private static final long serialVersionUID = 1;
  }
}
