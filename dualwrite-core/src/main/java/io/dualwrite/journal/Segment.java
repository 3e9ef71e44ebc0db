package io.dualwrite.journal;

import java.io.IOException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.locks.ReentrantLock;

/**
 * One file of the queue and what the journal knows of it. The counters are guarded by the journal's
 * lock.
 */
final class Segment {

  /** Bits of a location that hold the position within the segment. */
  private static final int POSITION_BITS = 40;

  /** What a test may put between a file and its device. */
  interface Device {
    void force(Path file, FileChannel channel) throws IOException;
  }

  static volatile Device device = (file, channel) -> channel.force(false);

  final Path path;

  /** Place in the order of all segments; not kept on disk, other at each start. */
  final int ordinal;

  /** Bytes that it takes on disk. */
  long bytes;

  /** Unsettled intents whose record is here, and the bytes of these records. */
  long live;

  long liveBytes;

  /** Where the order of segments stood when what is live here could not be moved. */
  int movedInVain = -1;

  /** The first segment that something was moved to from here; -1 if nothing was. */
  int movedTo = -1;

  private final ReentrantLock force = new ReentrantLock();
  private FileChannel channel;
  private IOException failed;

  Segment(Path path, int ordinal) {
    this.path = path;
    this.ordinal = ordinal;
  }

  /** Run and file name: the same at each start. */
  String name() {
    return path.getParent().getFileName() + "/" + path.getFileName();
  }

  long location(long position) {
    return ((long) ordinal << POSITION_BITS) | position;
  }

  static int ordinal(long location) {
    return (int) (location >>> POSITION_BITS);
  }

  static long position(long location) {
    return location & ((1L << POSITION_BITS) - 1);
  }

  /**
   * Makes everything written to the file so far durable, also what was written through the mapping.
   *
   * <p>Not {@code ExcerptAppender.sync()}: that leaves out earlier mapped blocks and the file
   * before the last roll, which are synchronised in the background when they are released, and it
   * only logs a failure.
   *
   * @throws IOException if the device fails, or failed before: asked again, the system would say
   *     that all is well, for it takes the lost pages for clean
   */
  void force() throws IOException {
    force.lock();
    try {
      if (failed != null) {
        throw new IOException(JournalDirectory.reason(failed), failed);
      }
      Uninterrupted.run(
          () -> {
            if (channel == null || !channel.isOpen()) {
              channel = FileChannel.open(path, StandardOpenOption.WRITE);
            }
            try {
              device.force(path, channel);
            } catch (ClosedChannelException e) {
              throw e; // an interrupt closed it
            } catch (IOException e) {
              failed = e;
              throw e;
            }
          });
    } finally {
      force.unlock();
    }
  }

  /** Lets go of the file. */
  void release() {
    force.lock();
    try {
      if (channel != null) {
        channel.close();
        channel = null;
      }
    } catch (IOException e) {
      // nothing is lost: everything that matters was forced before
    } finally {
      force.unlock();
    }
  }
}
