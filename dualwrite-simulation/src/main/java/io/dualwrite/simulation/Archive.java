package io.dualwrite.simulation;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The classes that the processes of a run load, as the first of them to end left them behind: most
 * of what a process costs, which is killed before long, is to load and verify them. A class data
 * archive of the JVM's, which takes only classes out of jars; without it all is the same, slower.
 */
final class Archive {

  private static final boolean POSSIBLE =
      List.of(Child.CLASS_PATH.split(File.pathSeparator)).stream()
          .allMatch(p -> p.endsWith(".jar"));

  private static final AtomicBoolean taken = new AtomicBoolean();
  private static volatile boolean ready;

  private Archive() {}

  /** For a process that starts. */
  static List<String> flags() {
    if (!POSSIBLE) {
      return List.of();
    }
    if (ready) {
      return List.of("-XX:SharedArchiveFile=" + Place.FILE);
    }
    return taken.get() ? List.of() : List.of("-XX:ArchiveClassesAtExit=" + Place.FILE);
  }

  /** Made when the first process starts. */
  private static final class Place {
    static final Path FILE = make();

    private static Path make() {
      try {
        Path directory = Files.createTempDirectory("dualwrite-classes");
        Runtime.getRuntime().addShutdownHook(new Thread(() -> Simulation.delete(directory)));
        return directory.resolve("host.jsa");
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /** Whether a process that has nothing to do any more ends, so that its classes are there. */
  static boolean takes(Child child) {
    if (!POSSIBLE || !taken.compareAndSet(false, true)) {
      return false;
    }
    Thread t =
        new Thread(
            () -> {
              try {
                ready = child.end() == 0 && Files.exists(Place.FILE);
              } catch (IOException e) {
                // then there is none
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            },
            "archive");
    t.setDaemon(true);
    t.start();
    return true;
  }
}
