package io.dualwrite.journal;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import net.openhft.chronicle.bytes.Bytes;
import net.openhft.chronicle.core.time.TimeProvider;
import net.openhft.chronicle.queue.ChronicleQueue;
import net.openhft.chronicle.queue.ExcerptAppender;
import net.openhft.chronicle.queue.RollCycle;
import net.openhft.chronicle.queue.RollCycles;
import net.openhft.chronicle.queue.impl.single.SingleChronicleQueueBuilder;
import net.openhft.chronicle.wire.DocumentContext;

/**
 * Writes one run: a Chronicle Queue in a directory of its own, opened for writing once, by one
 * process. Queues of earlier runs are only read ({@link SegmentReader}). So the queue never meets
 * what a dead process left: no lock held by a process id that has another owner now (in a container
 * every process is number 1), no half-written document, no damaged file.
 *
 * <p>A full disk under a mapped file kills the process. So the space behind the last record is
 * written with zeros through a plain file before the queue reaches it, which fails with an
 * exception instead; also the first piece of each new file, before the queue creates it.
 *
 * <p>Files roll by size: the queue takes its time from here, an hour (its roll cycle) for each
 * file, never backwards whatever the machine's clock does.
 *
 * <p>Not thread-safe: the journal's lock guards it.
 */
final class QueueWriter implements AutoCloseable {

  private static final RollCycle CYCLE = RollCycles.FAST_HOURLY;

  /** Written with zeros at a time. */
  private static final int STEP = 1 << 20;

  /**
   * Kept behind the last record for the queue's index, its end mark, and records like "resolved".
   */
  private static final int SLACK = 256 << 10;

  private static final byte[] ZEROS = new byte[64 << 10];

  /** What each program start has to say before it loads Chronicle. */
  static void prepare() {
    for (String property :
        new String[] {
          "chronicle.analytics.disable", // it reports usage to its vendor
          "chronicle.disk.monitor.disable", // a thread that outlives the queue; we measure
          // ourselves
          "chronicle.announcer.disable" // a banner with an advertisement
        }) {
      if (System.getProperty(property) == null) {
        System.setProperty(property, "true");
      }
    }
  }

  private static final class Clock implements TimeProvider {
    long cycle;

    @Override
    public long currentTimeMillis() {
      return cycle * CYCLE.lengthInMillis();
    }
  }

  private final Path run;
  private final long rollBytes;
  private final int largest;
  private final Clock clock = new Clock();
  private final ChronicleQueue queue;
  private final ExcerptAppender appender;
  private RandomAccessFile filler;
  private Path file;
  private long next;
  private long allocated;
  private boolean fresh;

  /** Creates the run's directory and its first file. */
  QueueWriter(Path run, JournalOptions options) throws IOException {
    this.run = run;
    this.rollBytes = options.rollBytes();
    // the queue allows a quarter of the block to one document
    this.largest = options.blockBytes() / 4 - 1024;
    Files.createDirectories(run);
    clock.cycle = options.millis().getAsLong() / CYCLE.lengthInMillis();
    ChronicleQueue q = null;
    try {
      q =
          SingleChronicleQueueBuilder.binary(run.toFile())
              .rollCycle(CYCLE)
              .timeProvider(clock)
              .blockSize(options.blockBytes())
              .timeoutMS(1000)
              .build();
      queue = q;
      appender = q.createAppender();
      appender.singleThreadedCheckDisabled(true);
      create(); // not before: the queue would wait for the header of the file that is there
    } catch (Throwable t) {
      if (q != null) {
        q.close();
      }
      throw new IOException("Chronicle Queue did not open " + run + ": " + t, t);
    }
  }

  /** The file that the next record goes to. */
  Path file() {
    return file;
  }

  /** The bytes of the present file that take space. */
  long fileBytes() {
    return allocated;
  }

  /** Bytes in one document at most. */
  int largest() {
    return largest;
  }

  /** The further bytes of the disk that a record of this size takes. */
  long growth(long bytes) {
    if (full(bytes)) {
      return bytes + 3L * SLACK;
    }
    long need = Math.max(next, SLACK) + bytes + SLACK;
    return need <= allocated ? 0 : Math.max(need - allocated, STEP);
  }

  /** Whether a record of this size should go to another file: {@link #roll}. */
  boolean full(long bytes) {
    return next > 0 && next + bytes > rollBytes;
  }

  /** Begins another file. */
  void roll() throws IOException {
    RandomAccessFile old = filler;
    Path oldFile = file;
    long oldAllocated = allocated;
    clock.cycle++;
    try {
      create();
    } catch (IOException e) {
      clock.cycle--;
      Files.deleteIfExists(file);
      filler = old;
      file = oldFile;
      allocated = oldAllocated;
      throw e;
    }
    old.close();
  }

  private void create() throws IOException {
    file =
        run.resolve(
            DateTimeFormatter.ofPattern(CYCLE.format())
                    .format(
                        Instant.ofEpochMilli(clock.currentTimeMillis()).atOffset(ZoneOffset.UTC))
                + ".cq4");
    filler = new RandomAccessFile(file.toFile(), "rw");
    allocated = 0;
    try {
      fill(2L * SLACK);
    } catch (IOException e) {
      filler.close();
      throw e;
    }
    next = 0;
    fresh = true;
  }

  /**
   * Takes the space for records of so many bytes.
   *
   * @throws IOException if there is none; nothing has changed then
   */
  void reserve(long bytes) throws IOException {
    long need = Math.max(next, SLACK) + bytes + SLACK;
    if (need > allocated) {
      try {
        fill(Math.max(need, allocated + STEP));
      } catch (IOException e) {
        if (need > allocated) {
          throw e;
        }
      }
    }
  }

  /** Whether a small record fits into the space that was taken already. */
  boolean fits(int bytes) {
    return Math.max(next, SLACK) + bytes + SLACK / 2 <= allocated;
  }

  private void fill(long to) throws IOException {
    filler.seek(allocated);
    while (allocated < to) {
      filler.write(ZEROS);
      allocated += ZEROS.length;
    }
  }

  /**
   * Writes one document, for which space was taken before.
   *
   * @return where in the file its content begins
   */
  long write(byte[] bytes, int from, int length) {
    long position;
    try (DocumentContext document = appender.writingDocument()) {
      boolean written = false;
      try {
        Bytes<?> b = document.wire().bytes();
        position = b.writePosition();
        b.write(bytes, from, length);
        written = true;
      } finally {
        if (!written) {
          document.rollbackOnClose();
        }
      }
    }
    next = position + length;
    if (fresh) {
      fresh = false;
      Path actual = appender.currentFile().toPath();
      if (!actual.equals(file)) {
        throw new IllegalStateException("the queue wrote to " + actual + " instead of " + file);
      }
    }
    return position;
  }

  /** For tests, to die in the middle of a document. */
  ExcerptAppender appender() {
    return appender;
  }

  /** The queue looks at its directory again, after files were deleted. */
  void refresh() {
    queue.refreshDirectoryListing();
  }

  @Override
  public void close() throws IOException {
    try {
      appender.close();
      queue.close();
    } finally {
      filler.close();
    }
  }
}
