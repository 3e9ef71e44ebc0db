package io.dualwrite.journal;

import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;

/**
 * An interrupt closes the channel under the thread that uses it. The threads here are the
 * application's, and what they do here must happen: so it is done again, with a new channel, and
 * the interrupt is left for whoever it is meant for.
 */
final class Uninterrupted {

  /** Work on a channel that it opens itself if need be. */
  interface Work {
    void run() throws IOException;
  }

  private Uninterrupted() {}

  static void run(Work work) throws IOException {
    boolean interrupted = Thread.interrupted();
    try {
      while (true) {
        try {
          work.run();
          return;
        } catch (ClosedByInterruptException e) {
          interrupted = true;
          Thread.interrupted();
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
