package io.dualwrite.simulation;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Processes for one run after another: who was not killed goes on in the next one, and whoever is
 * killed has a successor that has started already. Thread-safe.
 */
final class Processes implements AutoCloseable {

  private final List<String> properties;
  private final Path directory;
  private final Deque<Child> idle = new ArrayDeque<>();
  private final Set<Child> busy = new HashSet<>();
  private final ReentrantLock lock = new ReentrantLock();
  private int started;

  /**
   * None runs yet.
   *
   * @param properties of every process, as {@code name=value}
   */
  Processes(List<String> properties) {
    this.properties = List.copyOf(properties);
    try {
      directory = Files.createTempDirectory("dualwrite-processes");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A process that does what the arguments say ({@link Host}). */
  Child take(Map<String, String> arguments) {
    lock.lock();
    try {
      Child child = idle.poll();
      while (child != null && !child.alive()) {
        child = idle.poll();
      }
      if (child == null) {
        child = start();
      }
      if (idle.isEmpty()) {
        idle.add(start());
      }
      busy.add(child);
      child.tell(Child.line(arguments));
      return child;
    } finally {
      lock.unlock();
    }
  }

  /** It is done with that, and can do something else. */
  void give(Child child) {
    lock.lock();
    try {
      if (busy.remove(child) && child.alive()) {
        idle.addFirst(child); // it is warm
      }
    } finally {
      lock.unlock();
    }
  }

  private Child start() {
    return new Child(properties, directory.resolve("process-" + ++started + ".err"));
  }

  @Override
  public void close() {
    lock.lock();
    try {
      busy.forEach(Child::kill);
      idle.forEach(Child::kill);
      Simulation.delete(directory);
    } finally {
      lock.unlock();
    }
  }
}
