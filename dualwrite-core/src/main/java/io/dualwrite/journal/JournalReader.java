package io.dualwrite.journal;

import io.dualwrite.catalog.TableName;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.function.Predicate;

/**
 * Reads a journal from outside of the application that writes it: {@link #readOnly} looks at it, in
 * use or not; {@link #open} takes over that of an application which is stopped, to resolve what is
 * in it. Holds where the units are, not the units: a large journal can be read in little memory.
 * Not thread-safe.
 */
public final class JournalReader implements AutoCloseable {

  /** How often a file may vanish while a journal in use is read, before its unit is passed over. */
  private static final int AGAIN = 5;

  private final JournalDirectory directory;
  private final String usedBy;
  private final ChronicleJournal journal;
  private final List<Suspect> suspects;
  private final long resolved;
  private final List<JournalEntry.Damaged> unsound;
  private final Scan scan;

  private JournalReader(
      JournalDirectory directory,
      String usedBy,
      ChronicleJournal journal,
      List<Suspect> suspects,
      long resolved,
      List<JournalEntry.Damaged> unsound,
      Scan scan) {
    this.directory = directory;
    this.usedBy = usedBy;
    this.journal = journal;
    this.suspects = suspects;
    this.resolved = resolved;
    this.unsound = unsound;
    this.scan = scan;
  }

  /** Whether there is a journal in the directory, sound or not. */
  public static boolean isJournal(Path directory) {
    return Files.exists(directory.resolve("journal.properties"))
        || Files.isDirectory(directory.resolve("runs"))
        || Files.exists(directory.resolve("journal.state"));
  }

  /**
   * Takes over the journal of an application that is stopped: {@link #journal} is it.
   *
   * @throws JournalException in one sentence: there is no journal, it is in use, or as {@link
   *     ChronicleJournal#open} says
   */
  public static JournalReader open(Path path) {
    JournalDirectory directory = JournalDirectory.view(path.toAbsolutePath().normalize());
    directory.refuseOther();
    return new JournalReader(
        directory,
        null,
        ChronicleJournal.open(directory.path, JournalOptions.defaults()),
        null,
        0,
        List.of(),
        null);
  }

  /**
   * Looks at a journal as it is now, without its lock and without changing anything; needs no JVM
   * flags. If it is {@link #usedBy in use}, what is said of it is already past: what is counted as
   * pending may be in flight, or be resolved the next moment.
   *
   * @throws JournalException in one sentence: there is no journal, or it cannot be read
   */
  public static JournalReader readOnly(Path path) {
    JournalDirectory directory = JournalDirectory.view(path.toAbsolutePath().normalize());
    String usedBy = directory.usedBy();
    List<Suspect> suspects = List.of();
    long resolved = 0;
    List<JournalEntry.Damaged> unsound = new ArrayList<>();
    boolean crashed = false;
    boolean synced = false;
    List<TableName> lately = List.of();
    try {
      if (!directory.known()) {
        unsound.add(unsound("journal.properties", "missing: the journal's identity is lost"));
      }
      if (Files.exists(directory.state())) {
        try (StateFile state = StateFile.open(directory.state(), true)) {
          suspects = state.suspects();
          resolved = state.resolved();
          crashed = usedBy == null && state.use().crashed(JournalDirectory.currentBoot());
          synced = state.use().synced();
          lately = state.written();
          // of a journal in use a half may be in the middle of being written
          if (state.damaged(crashed || usedBy != null)) {
            unsound.add(unsound("journal.state", "damaged: suspects may be lost"));
          }
        }
      } else {
        unsound.add(unsound("journal.state", "missing: the suspects are lost"));
      }
      Scan scan = Scan.of(directory, resolved, crashed, usedBy != null);
      boolean excused = scan.damages.values().removeIf(d -> d.excused() && d.sequence() < 0);
      if (crashed && !lately.isEmpty() && (excused || !synced)) {
        unsound.add(new JournalEntry.Damaged("journal.state", 0, StateFile.LATELY, lately, false));
      }
      return new JournalReader(directory, usedBy, null, suspects, resolved, unsound, scan);
    } catch (IOException e) {
      throw unreadable(directory, e);
    }
  }

  private static JournalEntry.Damaged unsound(String file, String what) {
    return new JournalEntry.Damaged(file, 0, what, List.of(StateFile.ALL), false);
  }

  private static JournalException unreadable(JournalDirectory directory, IOException e) {
    return new JournalException(
        "The journal in "
            + directory.path
            + " cannot be read ("
            + JournalDirectory.reason(e)
            + "): check the path, your permission and the disk's health.",
        e);
  }

  /** The journal, to resolve, park and close suspects; null if it was opened read-only. */
  public Journal journal() {
    return journal;
  }

  /**
   * The process that uses the journal, as its lock names it ({@code pid 4711 since ...}); null if
   * no other does.
   */
  public String usedBy() {
    return usedBy;
  }

  /** The journal's directory. */
  public Path path() {
    return directory.path;
  }

  /** The journal's identity; null if it is lost. */
  public UUID writer() {
    return journal != null ? journal.writer() : directory.writer;
  }

  /** How many intents are pending; of a journal in use, with those in flight. */
  public long pendingCount() {
    return journal != null
        ? journal.pendingCount()
        : scan.index.count(IntentIndex.PENDING_UNKNOWN)
            + scan.index.count(IntentIndex.PENDING_COMMITTED);
  }

  /** The parked intents with their errors. */
  public List<Journal.Parked> parked() {
    if (journal != null) {
      return journal.parked();
    }
    List<Journal.Parked> list = new ArrayList<>();
    new TreeMap<>(scan.parkErrors)
        .forEach((seq, error) -> list.add(new Journal.Parked(seq, error)));
    return list;
  }

  /** The open suspects. */
  public List<Suspect> suspects() {
    return journal != null ? journal.suspects() : suspects;
  }

  /** Every sequence up to this one is resolved. */
  public long resolvedThrough() {
    return journal != null ? journal.resolvedThrough() : resolved;
  }

  /**
   * The damage that nobody dealt with yet: it becomes suspects when the application starts next, or
   * a tool takes the journal over.
   */
  public List<JournalEntry.Damaged> damage() {
    List<JournalEntry.Damaged> list = new ArrayList<>(unsound);
    if (scan != null) {
      for (Scan.Damage d : scan.damages.values()) {
        list.add(new JournalEntry.Damaged(d.segment(), d.position(), d.what(), d.tables(), false));
      }
    }
    return list;
  }

  /**
   * Gives units of work, one at a time: those that are not resolved in order of their sequence;
   * with the resolved ones that are still in the files, in the order in which they were written.
   * Units whose records are damaged are passed over; {@link #damage} has them.
   *
   * @param resolvedToo whether the resolved ones are wanted too
   * @param each takes a unit; returns whether to go on
   * @throws JournalException if a file cannot be read
   */
  public void units(boolean resolvedToo, Predicate<JournalUnit> each) {
    try {
      if (resolvedToo) {
        everyUnit(view(), each);
      } else {
        unresolved(view(), each);
      }
    } catch (IOException e) {
      throw unreadable(directory, e);
    }
  }

  private Scan view() throws IOException {
    return scan != null ? scan : Scan.of(directory, resolvedThrough(), false, true);
  }

  private void unresolved(Scan first, Predicate<JournalUnit> each) throws IOException {
    Scan s = first;
    int again = 0;
    try (IntentReader reads = new IntentReader()) {
      for (long seq = next(s, -1); seq >= 0; seq = next(s, seq)) {
        long location = s.index.location(seq);
        Segment segment = s.segments.get(Segment.ordinal(location));
        IntentReader.Found f = reads.read(segment, location, seq);
        if (f.intent() != null) {
          again = 0;
          if (!each.test(unit(s, f.intent()))) {
            return;
          }
        } else if (!Files.exists(segment.path) && again++ < AGAIN) {
          // given back just now: what still mattered there was written once more elsewhere
          s = Scan.of(directory, resolved, false, true);
          seq--;
        }
      }
    }
  }

  private static long next(Scan s, long after) {
    return s.index.next(after, IntentIndex.PENDING_UNKNOWN, IntentIndex.PARKED_COMMITTED);
  }

  private static JournalUnit unit(Scan s, Intent intent) {
    byte state = s.index.state(intent.sequence());
    return new JournalUnit(
        intent,
        switch (state) {
          case IntentIndex.NONE -> JournalUnit.State.RESOLVED;
          case IntentIndex.PARKED_UNKNOWN, IntentIndex.PARKED_COMMITTED -> JournalUnit.State.PARKED;
          default -> JournalUnit.State.PENDING;
        },
        state == IntentIndex.PENDING_COMMITTED || state == IntentIndex.PARKED_COMMITTED
            ? Outcome.COMMITTED
            : Outcome.UNKNOWN,
        s.parkErrors.get(intent.sequence()));
  }

  private void everyUnit(Scan s, Predicate<JournalUnit> each) throws IOException {
    IntentIndex given = new IntentIndex(); // what was moved is in the files twice
    boolean[] more = {true};
    eachFile(
        (segment, reader, last) -> {
          if (!more[0]) {
            return;
          }
          reader.scan(
              last,
              true,
              new SegmentReader.Visitor() {
                @Override
                public void record(
                    long position, int length, Records.Header h, byte[] head, int at, byte[] body) {
                  if (more[0]
                      && h.type() == Records.INTENT
                      && given.state(h.sequence()) == IntentIndex.NONE) {
                    try {
                      Intent i = intent(h, head, at, body);
                      given.put(h.sequence(), 0, 0, IntentIndex.RESERVED);
                      more[0] = each.test(unit(s, i));
                    } catch (DamagedException e) {
                      // verify() reports it
                    }
                  }
                }

                @Override
                public void damaged(long p, String what, Records.Header h, byte[] head, int at) {
                  // verify() reports it
                }
              });
        });
  }

  private static Intent intent(Records.Header h, byte[] head, int at, byte[] body)
      throws DamagedException {
    return Records.intent(
        h.sequence(), Records.head(head, at, at + h.headLength()), body, 0, body.length);
  }

  private interface EachFile {
    void file(Segment segment, SegmentReader reader, boolean last) throws IOException;
  }

  private void eachFile(EachFile each) throws IOException {
    for (Path run : directory.runDirectories()) {
      List<Path> files = JournalDirectory.segments(run);
      int lastUsed = Scan.lastUsed(files);
      for (int i = 0; i < files.size(); i++) {
        Segment s = new Segment(files.get(i), 0);
        try (SegmentReader reader = new SegmentReader(s.path)) {
          each.file(s, reader, i >= lastUsed);
        } catch (FileNotFoundException e) {
          // given back meanwhile by the application
        }
      }
    }
  }

  /**
   * Reads every byte: each record's sums and structure, the slots of {@code journal.state}, and
   * that both fit together.
   *
   * @param damage takes what is not as it was written
   * @throws JournalException if a file cannot be read
   */
  public JournalCheck verify(Consumer<JournalEntry.Damaged> damage) {
    long[] n = new long[5]; // files, bytes, records, units, damaged
    long[] highest = {0};
    Consumer<JournalEntry.Damaged> found =
        d -> {
          n[4]++;
          damage.accept(d);
        };
    unsound.forEach(found);
    try {
      eachFile(
          (segment, reader, last) -> {
            n[0]++;
            n[1] +=
                reader.scan(
                    last,
                    true,
                    new SegmentReader.Visitor() {
                      @Override
                      public void record(
                          long position,
                          int length,
                          Records.Header h,
                          byte[] head,
                          int at,
                          byte[] body) {
                        highest[0] = Math.max(highest[0], h.sequence());
                        try {
                          if (h.type() == Records.INTENT) {
                            intent(h, head, at, body);
                            n[3]++;
                          } else if (h.type() > Records.NOTED || h.type() < Records.INTENT) {
                            throw new DamagedException("a record of unknown type " + h.type());
                          }
                          n[2]++;
                        } catch (DamagedException e) {
                          damaged(position, e.getMessage(), null, null, 0);
                        }
                      }

                      @Override
                      public void damaged(
                          long position, String what, Records.Header h, byte[] head, int at) {
                        found.accept(entry(segment, position, what, h, head, at));
                      }
                    });
          });
      // last: the journal raises it before it hands a sequence out
      if (Files.exists(directory.state())) {
        try (StateFile state = StateFile.open(directory.state(), true)) {
          if (!state.damaged(true) && highest[0] >= state.reserved()) {
            found.accept(
                unsound(
                    "journal.state",
                    "older than the records: it knows no sequence above "
                        + (state.reserved() - 1)
                        + ", and there is "
                        + highest[0]));
          }
        }
      }
    } catch (IOException e) {
      throw unreadable(directory, e);
    }
    return new JournalCheck(n[0], n[1], n[2], n[3], n[4]);
  }

  private JournalEntry.Damaged entry(
      Segment s, long position, String what, Records.Header h, byte[] head, int at) {
    Scan.Damage d = Scan.damage(s, position, what, h, head, at, false);
    boolean settled = scan == null || !scan.damages.containsKey(d.id());
    return new JournalEntry.Damaged(d.segment(), position, what, d.tables(), settled);
  }

  /** Bytes on disk. */
  public long size() {
    if (journal != null) {
      return journal.size();
    }
    long n = StateFile.BYTES;
    for (Segment s : scan.segments.values()) {
      n += s.bytes;
    }
    return n;
  }

  /**
   * Gives everything that the files say, in the order in which it was written, one at a time; the
   * open suspects at the end. What was resolved long ago is not there any more; what was moved so
   * that a file could be given back is there twice.
   *
   * @throws JournalException if a file cannot be read
   */
  public void forEach(Consumer<JournalEntry> consumer) {
    unsound.forEach(consumer);
    try {
      eachFile((s, reader, last) -> reader.scan(last, true, visitor(s, consumer)));
    } catch (IOException e) {
      throw unreadable(directory, e);
    }
    for (Suspect s : suspects()) {
      consumer.accept(new JournalEntry.Open(s));
    }
  }

  private SegmentReader.Visitor visitor(Segment s, Consumer<JournalEntry> consumer) {
    return new SegmentReader.Visitor() {
      @Override
      public void record(
          long position, int length, Records.Header h, byte[] head, int from, byte[] body) {
        long seq = h.sequence();
        switch (h.type()) {
          case Records.INTENT -> {
            try {
              consumer.accept(new JournalEntry.Appended(intent(h, head, from, body)));
            } catch (DamagedException e) {
              damaged(position, e.getMessage(), null, null, 0);
            }
          }
          case Records.RESOLVED -> consumer.accept(new JournalEntry.Resolved(seq));
          case Records.OUTCOME -> consumer.accept(new JournalEntry.Committed(seq));
          case Records.PARK -> consumer.accept(new JournalEntry.Parked(seq, Scan.text(body)));
          case Records.UNPARK -> consumer.accept(new JournalEntry.Unparked(seq));
          case Records.NOTED -> {
            // housekeeping: the damage itself is reported where it is
          }
          default -> damaged(position, "a record of unknown type " + h.type(), null, null, 0);
        }
      }

      @Override
      public void damaged(long position, String what, Records.Header h, byte[] head, int from) {
        consumer.accept(entry(s, position, what, h, head, from));
      }
    };
  }

  /** Gives the journal back. */
  @Override
  public void close() {
    if (journal != null) {
      journal.close();
    }
  }
}
