package io.dualwrite.journal;

/** Reads what {@link ByteWriter} wrote. Not thread-safe. */
final class ByteReader {

  private final byte[] buffer;
  private final int end;
  private int position;
  private char[] chars = new char[0];

  ByteReader(byte[] buffer, int from, int to) {
    this.buffer = buffer;
    this.position = from;
    this.end = to;
  }

  int u8() throws DamagedException {
    need(1);
    return buffer[position++] & 0xFF;
  }

  long number() throws DamagedException {
    long v = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      int b = u8();
      v |= (long) (b & 0x7F) << shift;
      if (b < 0x80) {
        return v;
      }
    }
    throw new DamagedException("number too long");
  }

  /** A number of things of which each takes a byte at least. */
  int count() throws DamagedException {
    long n = number();
    if (n < 0 || n > end - position) {
      throw new DamagedException("count " + n + " exceeds the record");
    }
    return (int) n;
  }

  String text() throws DamagedException {
    long coded = number();
    if (coded == 0) {
      return null;
    }
    long n = coded - 1;
    if (n < 0 || n > end - position) {
      throw new DamagedException("text of " + n + " bytes exceeds the record");
    }
    int from = position;
    int to = from + (int) n;
    position = to;
    if (chars.length < n) {
      chars = new char[(int) Math.max(n, 256)];
    }
    char[] out = chars;
    int o = 0;
    int p = from;
    while (p < to) {
      int b = buffer[p++];
      if (b >= 0) {
        out[o++] = (char) b;
      } else if ((b & 0xE0) == 0xC0 && p < to) {
        out[o++] = (char) (((b & 0x1F) << 6) | (buffer[p++] & 0x3F));
      } else if ((b & 0xF0) == 0xE0 && p + 1 < to) {
        out[o++] = (char) (((b & 0x0F) << 12) | ((buffer[p] & 0x3F) << 6) | (buffer[p + 1] & 0x3F));
        p += 2;
      } else if ((b & 0xF8) == 0xF0 && p + 2 < to) {
        int cp =
            ((b & 0x07) << 18)
                | ((buffer[p] & 0x3F) << 12)
                | ((buffer[p + 1] & 0x3F) << 6)
                | (buffer[p + 2] & 0x3F);
        p += 3;
        out[o++] = Character.highSurrogate(cp);
        out[o++] = Character.lowSurrogate(cp);
      } else {
        throw new DamagedException("text is not UTF-8");
      }
    }
    return new String(out, 0, o);
  }

  private void need(int n) throws DamagedException {
    if (end - position < n) {
      throw new DamagedException("record ends early");
    }
  }
}
