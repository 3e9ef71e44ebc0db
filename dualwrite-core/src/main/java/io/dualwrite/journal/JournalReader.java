package io.dualwrite.journal;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.UUID;
import java.util.function.Consumer;

/**
 * Reads a journal from outside of the application that writes it: {@link #readOnly} looks at it, in
 * use or not; {@link #open} takes over that of an application which is stopped, to resolve what is
 * in it. Not thread-safe.
 */
public final class JournalReader implements AutoCloseable {

  private final JournalDirectory directory;
  private final String usedBy;
  private final ChronicleJournal journal;
  private final StateFile state;
  private final Scan scan;

  private JournalReader(
      JournalDirectory directory,
      String usedBy,
      ChronicleJournal journal,
      StateFile state,
      Scan scan) {
    this.directory = directory;
    this.usedBy = usedBy;
    this.journal = journal;
    this.state = state;
    this.scan = scan;
  }

  /**
   * Takes over the journal of an application that is stopped: {@link #journal} is it.
   *
   * @throws JournalException in one sentence: there is no journal, it is in use, or as {@link
   *     ChronicleJournal#open} says
   */
  public static JournalReader open(Path path) {
    JournalDirectory directory = JournalDirectory.view(path.toAbsolutePath().normalize());
    return new JournalReader(
        directory,
        null,
        ChronicleJournal.open(directory.path, JournalOptions.defaults()),
        null,
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
    try (StateFile state = StateFile.open(directory.state(), true)) {
      Scan scan = Scan.of(directory, state.resolved(), false, usedBy != null);
      return new JournalReader(directory, usedBy, null, state, scan);
    } catch (IOException e) {
      throw unreadable(directory, e);
    }
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

  /** The journal's identity. */
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
    return journal != null ? journal.suspects() : state.suspects();
  }

  /** Every sequence up to this one is resolved. */
  public long resolvedThrough() {
    return journal != null ? journal.resolvedThrough() : state.resolved();
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
    try {
      for (Path run : directory.runDirectories()) {
        List<Path> files = JournalDirectory.segments(run);
        int lastUsed = Scan.lastUsed(files);
        for (int i = 0; i < files.size(); i++) {
          Segment s = new Segment(files.get(i), 0);
          try (SegmentReader reader = new SegmentReader(s.path)) {
            reader.scan(i >= lastUsed, true, visitor(s, consumer));
          } catch (FileNotFoundException e) {
            // given back meanwhile by the application
          }
        }
      }
    } catch (IOException e) {
      throw unreadable(directory, e);
    }
    for (Suspect s : suspects()) {
      consumer.accept(new JournalEntry.Open(s));
    }
  }

  private static SegmentReader.Visitor visitor(Segment s, Consumer<JournalEntry> consumer) {
    return new SegmentReader.Visitor() {
      @Override
      public void record(
          long position, int length, Records.Header h, byte[] head, int from, byte[] body) {
        long seq = h.sequence();
        switch (h.type()) {
          case Records.INTENT -> {
            try {
              consumer.accept(
                  new JournalEntry.Appended(
                      Records.intent(
                          seq,
                          Records.head(head, from, from + h.headLength()),
                          body,
                          0,
                          body.length)));
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
        Scan.Damage d = Scan.damage(s, position, what, h, head, from, false);
        consumer.accept(new JournalEntry.Damaged(d.segment(), position, what, d.tables()));
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
