package io.dualwrite.simulation;

import java.io.FileOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;

/**
 * What a process saw, one line each, in a file that survives its SIGKILL: once written the
 * operating system has it, and only processes die here. Thread-safe.
 */
final class Notes implements AutoCloseable {

  /**
   * One line.
   *
   * @param millis when, since 1970
   * @param kind what it is about, one word
   * @param text the rest
   */
  record Note(long millis, String kind, String text) {}

  private final ReentrantLock lock = new ReentrantLock();
  private final FileOutputStream out;

  Notes(Path file) {
    try {
      out = new FileOutputStream(file.toFile(), true);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  void add(String kind, String text) {
    byte[] line =
        (System.currentTimeMillis() + " " + kind + " " + text.replace('\n', ' ') + "\n")
            .getBytes(StandardCharsets.UTF_8);
    lock.lock();
    try {
      out.write(line);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      lock.unlock();
    }
  }

  /** The lines so far, without one that the end of the process cut off. */
  static List<Note> read(Path file) {
    List<Note> notes = new ArrayList<>();
    try {
      String all = Files.exists(file) ? Files.readString(file) : "";
      for (String line : all.substring(0, all.lastIndexOf('\n') + 1).split("\n", -1)) {
        String[] parts = line.split(" ", 3);
        if (parts.length == 3) {
          notes.add(new Note(Long.parseLong(parts[0]), parts[1], parts[2]));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return notes;
  }

  @Override
  public void close() {
    try {
      out.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
