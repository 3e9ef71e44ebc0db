package io.dualwrite.benchmarks;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;

/** Directories that are deleted when the JVM ends. */
final class Scratch {

  private Scratch() {}

  /** On the disk. */
  static Path directory() {
    return in(Path.of(System.getProperty("java.io.tmpdir")));
  }

  /**
   * In memory, where there is such a file system: a loop of nothing but appends writes more than a
   * disk takes, and would measure the disk.
   */
  static Path memory() {
    Path shared = Path.of("/dev/shm");
    return Files.isWritable(shared) ? in(shared) : directory();
  }

  private static Path in(Path parent) {
    try {
      Path made = Files.createTempDirectory(parent, "dualwrite-benchmark");
      Runtime.getRuntime().addShutdownHook(new Thread(() -> delete(made), "delete-" + made));
      return made;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void delete(Path directory) {
    try (Stream<Path> files = Files.walk(directory)) {
      files.sorted(Comparator.reverseOrder()).forEach(f -> f.toFile().delete());
    } catch (IOException e) {
      // a temporary directory: the operating system's business from here on
    }
  }
}
