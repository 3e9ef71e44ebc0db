package io.dualwrite.journal;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.Files;

/** Reads single intents; fast if they follow each other. Not thread-safe. */
final class IntentReader implements AutoCloseable {

  /** What is at a place: an intent or damage; the other is null. */
  record Found(Intent intent, Scan.Damage damage) {}

  private Segment segment;
  private SegmentReader reader;

  /**
   * Reads the intent.
   *
   * @throws JournalException if the file is there and cannot be read now, as when the process has
   *     no file handle left: that says nothing of what is in it
   */
  Found read(Segment s, long location, long sequence) {
    long position = Segment.position(location);
    try {
      if (s == segment) {
        Found found = read(position, sequence);
        if (found.damage == null) {
          return found;
        }
        // it may have been written since the reader read ahead
      }
      close();
      reader = new SegmentReader(s.path);
      segment = s;
      return read(position, sequence);
    } catch (IOException e) {
      if (e instanceof FileNotFoundException && Files.notExists(s.path)) {
        return new Found(null, Scan.damage(s, position, "no such file", null, null, 0, false));
      }
      close();
      throw new JournalException(
          "The journal's file "
              + s.path
              + " cannot be read ("
              + JournalDirectory.reason(e)
              + "); nothing is lost by that, it is tried again: check the process's limit of open"
              + " files and the disk's health.",
          e);
    }
  }

  private Found read(long at, long sequence) throws IOException {
    Found[] found = new Found[1];
    reader.read(
        at,
        new SegmentReader.Visitor() {
          @Override
          public void record(
              long position, int length, Records.Header h, byte[] head, int from, byte[] body) {
            try {
              if (h.type() != Records.INTENT || h.sequence() != sequence) {
                throw new DamagedException("another record");
              }
              Records.Head known = Records.head(head, from, from + h.headLength());
              found[0] = new Found(Records.intent(sequence, known, body, 0, body.length), null);
            } catch (DamagedException e) {
              damaged(position, e.getMessage(), null, null, 0);
            }
          }

          @Override
          public void damaged(long position, String what, Records.Header h, byte[] head, int from) {
            found[0] = new Found(null, Scan.damage(segment, position, what, h, head, from, false));
          }
        });
    return found[0] != null
        ? found[0]
        : new Found(null, Scan.damage(segment, at, "another record", null, null, 0, false));
  }

  @Override
  public void close() {
    if (reader != null) {
      try {
        reader.close();
      } catch (IOException e) {
        // it was only read
      }
      reader = null;
      segment = null;
    }
  }
}
