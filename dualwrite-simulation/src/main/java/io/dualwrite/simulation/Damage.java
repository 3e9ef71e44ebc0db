package io.dualwrite.simulation;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** Bytes of a dead process's journal that are not what was written. */
final class Damage {

  private Damage() {}

  /**
   * Flips bits of a few bytes of the records.
   *
   * @return what was done; empty if there is no record
   */
  static String flip(Path journal, Dice dice) {
    int number = dice.below(1000);
    int bytes = dice.between(1, 4);
    try (Stream<Path> all = Files.walk(journal)) {
      List<Path> files = all.filter(f -> f.toString().endsWith(".cq4")).sorted().toList();
      if (files.isEmpty()) {
        return "";
      }
      Path file = files.get(number % files.size());
      byte[] content = Files.readAllBytes(file);
      int written = content.length;
      while (written > 0 && content[written - 1] == 0) {
        written--;
      }
      if (written == 0) {
        return "";
      }
      StringBuilder what =
          new StringBuilder("damage of ").append(journal.relativize(file)).append(" at");
      try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
        for (int i = 0; i < bytes; i++) {
          // nearer to the end, where the records are that still matter
          int at = written - 1 - dice.below(dice.below(1 << 20) % written + 1);
          f.seek(at);
          f.write(content[at] ^ (1 << dice.below(8)));
          what.append(' ').append(at);
        }
      }
      return what + " of " + written;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
