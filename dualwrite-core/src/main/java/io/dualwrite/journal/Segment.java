package io.dualwrite.journal;

import java.io.IOException;
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

  private final ReentrantLock force = new ReentrantLock();
  private FileChannel channel;

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
   */
  void force() throws IOException {
    force.lock();
    try {
      Uninterrupted.run(
          () -> {
            if (channel == null || !channel.isOpen()) {
              channel = FileChannel.open(path, StandardOpenOption.WRITE);
            }
            channel.force(false);
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
