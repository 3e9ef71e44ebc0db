package io.dualwrite.journal;

import io.dualwrite.catalog.TableName;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** What the files of a journal say, read from the first to the last. Not thread-safe. */
final class Scan {

  /**
   * Bytes that cannot be read.
   *
   * @param segment the file, below {@code runs}
   * @param tables that the lost records named, or {@link StateFile#ALL}
   * @param sequence of the intent, or -1 if it is not known
   * @param excused in what a machine's crash may have kept from the device
   */
  record Damage(
      String segment,
      long position,
      String what,
      List<TableName> tables,
      long sequence,
      long xid,
      String incarnation,
      boolean excused) {

    /** Names it in the record that says that it was dealt with. */
    String id() {
      return segment + ":" + position;
    }

    List<Suspect> suspects(long sinceMicros) {
      List<Suspect> list = new ArrayList<>();
      for (TableName t : tables) {
        boolean statements = sequence >= 0 && t.equals(RowChange.NO_TABLE);
        list.add(
            new Suspect(
                statements ? Suspect.statements(sequence) : t,
                "a journal record was damaged on disk ("
                    + segment
                    + " at "
                    + position
                    + ")"
                    + (statements ? "; compare the schemas" : ""),
                sinceMicros,
                incarnation,
                xid));
      }
      return list;
    }
  }

  final IntentIndex index = new IntentIndex();
  final Map<Long, String> parkErrors = new HashMap<>();

  /** Those that have statements, according to their heads, and were not resolved. */
  final Set<Long> statements = new HashSet<>();

  /** Those that were parked and are pending again. */
  final Set<Long> overtaken = new HashSet<>();

  final TreeMap<Integer, Segment> segments = new TreeMap<>();
  final Map<String, Damage> damages = new LinkedHashMap<>();
  long highest;
  int lastRun;
  private final long resolvedThrough;

  private Scan(long resolvedThrough) {
    this.resolvedThrough = resolvedThrough;
  }

  /**
   * Reads all files.
   *
   * @param resolvedThrough what is known to be resolved, whatever the records say
   * @param crashed whether the machine may have stopped before all was on the device
   * @param live whether the journal may be in use: files may vanish while they are read
   */
  static Scan of(JournalDirectory directory, long resolvedThrough, boolean crashed, boolean live)
      throws IOException {
    Scan scan = new Scan(resolvedThrough);
    List<Path> runs = directory.runDirectories();
    for (Path run : runs) {
      scan.lastRun = Integer.parseInt(run.getFileName().toString());
      List<Path> files = JournalDirectory.segments(run);
      int lastUsed = lastUsed(files);
      for (int i = 0; i < files.size(); i++) {
        Segment s = new Segment(files.get(i), scan.segments.size());
        boolean excused = crashed && run.equals(runs.get(runs.size() - 1));
        try (SegmentReader reader = new SegmentReader(s.path)) {
          s.bytes = reader.scan(i >= lastUsed, false, scan.visitor(s, excused));
        } catch (FileNotFoundException e) {
          if (live) {
            continue; // given back meanwhile: its intents are resolved
          }
          throw e;
        }
        scan.segments.put(s.ordinal, s);
      }
    }
    for (long seq = scan.index.next(-1); seq >= 0; seq = scan.index.next(seq)) {
      Segment s = scan.segments.get(Segment.ordinal(scan.index.location(seq)));
      s.live++;
      s.liveBytes += scan.index.length(seq);
    }
    return scan;
  }

  /**
   * The last file that anything was written to; those behind it were only prepared when their
   * process died.
   */
  static int lastUsed(List<Path> files) throws IOException {
    for (int i = files.size() - 1; i > 0; i--) {
      try (RandomAccessFile f = new RandomAccessFile(files.get(i).toFile(), "r")) {
        if (f.length() >= 4 && f.readInt() != 0) {
          return i;
        }
      } catch (FileNotFoundException e) {
        return i; // given back while we looked: then those before it are gone too
      }
    }
    return 0;
  }

  private SegmentReader.Visitor visitor(Segment segment, boolean excused) {
    return new SegmentReader.Visitor() {
      @Override
      public void record(
          long position, int length, Records.Header h, byte[] head, int from, byte[] body) {
        long seq = h.sequence();
        highest = Math.max(highest, seq);
        byte state = index.state(seq);
        switch (h.type()) {
          case Records.INTENT -> {
            if (seq > resolvedThrough) {
              damages.values().removeIf(d -> d.sequence == seq);
              index.put(seq, segment.location(position), length, IntentIndex.PENDING_UNKNOWN);
              if (statements(head, from, h.headLength())) {
                statements.add(seq);
              }
            }
          }
          case Records.RESOLVED -> {
            damages.values().removeIf(d -> d.sequence == seq);
            index.remove(seq);
            parkErrors.remove(seq);
            statements.remove(seq);
            overtaken.remove(seq);
          }
          case Records.OUTCOME -> {
            if (state == IntentIndex.PENDING_UNKNOWN) {
              index.state(seq, IntentIndex.PENDING_COMMITTED);
            } else if (state == IntentIndex.PARKED_UNKNOWN) {
              index.state(seq, IntentIndex.PARKED_COMMITTED);
            }
          }
          case Records.PARK -> {
            if (state != IntentIndex.NONE) {
              parkErrors.put(seq, text(body));
              index.state(seq, parked(state));
            }
          }
          case Records.UNPARK -> {
            if (state != IntentIndex.NONE) {
              parkErrors.remove(seq);
              index.state(seq, unparked(state));
              overtaken.add(seq);
            }
          }
          case Records.NOTED -> damages.remove(text(body));
          default -> damaged(position, "a record of unknown type " + h.type(), null, null, 0);
        }
      }

      @Override
      public void damaged(long position, String what, Records.Header h, byte[] head, int from) {
        if (h != null) {
          highest = Math.max(highest, h.sequence());
        }
        if (h != null && h.type() == Records.INTENT && h.sequence() <= resolvedThrough) {
          return;
        }
        if (h != null && h.type() != Records.INTENT) {
          return; // the text of a note: what it was about stands as it was before it
        }
        Damage d = damage(segment, position, what, h, head, from, excused);
        damages.put(d.id(), d);
      }
    };
  }

  private static boolean statements(byte[] head, int from, int length) {
    try {
      return Records.head(head, from, from + length).tables().contains(RowChange.NO_TABLE);
    } catch (DamagedException e) {
      return true; // its sum is right and yet it cannot be read: whoever reads the rest will tell
    }
  }

  /** Describes damage; a header says that it is an intent's, and which. */
  static Damage damage(
      Segment segment,
      long position,
      String what,
      Records.Header h,
      byte[] head,
      int from,
      boolean excused) {
    if (h != null) {
      try {
        Records.Head known = Records.head(head, from, from + h.headLength());
        return new Damage(
            segment.name(),
            position,
            what,
            known.tables(),
            h.sequence(),
            known.xid(),
            known.incarnation(),
            excused);
      } catch (DamagedException e) {
        // its sum is right and yet it cannot be read: then nothing is known of it
      }
    }
    return new Damage(segment.name(), position, what, List.of(StateFile.ALL), -1, 0, "", excused);
  }

  static byte parked(byte state) {
    return state == IntentIndex.PENDING_COMMITTED || state == IntentIndex.PARKED_COMMITTED
        ? IntentIndex.PARKED_COMMITTED
        : IntentIndex.PARKED_UNKNOWN;
  }

  static byte unparked(byte state) {
    return state == IntentIndex.PARKED_COMMITTED || state == IntentIndex.PENDING_COMMITTED
        ? IntentIndex.PENDING_COMMITTED
        : IntentIndex.PENDING_UNKNOWN;
  }

  static String text(byte[] body) {
    try {
      String s = new ByteReader(body, 0, body.length).text();
      return s == null ? "" : s;
    } catch (DamagedException e) {
      return ""; // its sum is right: written by another version
    }
  }
}
