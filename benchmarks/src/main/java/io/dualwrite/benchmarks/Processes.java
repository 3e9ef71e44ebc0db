package io.dualwrite.benchmarks;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** Programs as a user runs them, timed from their start to their end. */
final class Processes {

  /** Linux counts processor time in these. */
  private static final double TICKS = 100;

  private final Path scratch;

  Processes(Path scratch) {
    this.scratch = scratch;
  }

  /**
   * What a run took.
   *
   * @param seconds from start to end
   * @param peakMegabytes the most memory that its first process had at once
   * @param output what it said
   */
  record Run(double seconds, double peakMegabytes, String output) {}

  /** Runs a program to its end. */
  Run run(List<String> command) throws IOException, InterruptedException {
    return run(List.of(command), true);
  }

  /** Runs programs at the same time, or each one's output into the next, to their end. */
  Run run(List<List<String>> commands, boolean apart) throws IOException, InterruptedException {
    File log = scratch.resolve("log").toFile();
    Files.deleteIfExists(log.toPath());
    List<ProcessBuilder> builders =
        commands.stream()
            .map(
                c -> {
                  ProcessBuilder b = new ProcessBuilder(c);
                  b.directory(scratch.toFile());
                  b.environment().put("PGPASSWORD", "postgres");
                  b.environment().put("TMPDIR", scratch.toString());
                  b.redirectError(ProcessBuilder.Redirect.appendTo(log));
                  return b;
                })
            .toList();
    for (int i = apart ? 0 : builders.size() - 1; i < builders.size(); i++) {
      builders.get(i).redirectOutput(ProcessBuilder.Redirect.appendTo(log));
    }
    long start = System.nanoTime();
    List<Process> running =
        apart
            ? builders.stream().map(Processes::start).toList()
            : ProcessBuilder.startPipeline(builders);
    double peak = 0;
    for (Process p : running) {
      do {
        peak = Math.max(peak, peakMegabytes(running.get(0)));
      } while (!p.waitFor(20, TimeUnit.MILLISECONDS));
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    String output = log.exists() ? Files.readString(log.toPath()) : "";
    for (int i = 0; i < running.size(); i++) {
      if (running.get(i).exitValue() != 0) {
        throw new IOException(
            String.join(" ", commands.get(i))
                + " ended with "
                + running.get(i).exitValue()
                + ": "
                + output);
      }
    }
    return new Run(seconds, peak, output);
  }

  private static Process start(ProcessBuilder b) {
    try {
      return b.start();
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  private static double peakMegabytes(Process p) throws IOException {
    try {
      for (String line : Files.readAllLines(Path.of("/proc/" + p.pid() + "/status"))) {
        if (line.startsWith("VmHWM:")) {
          return Double.parseDouble(line.replaceAll("[^0-9]", "")) / 1024;
        }
      }
    } catch (java.nio.file.NoSuchFileException e) {
      // it has ended
    }
    return 0;
  }

  /** Processor seconds of a process and of its children that have ended. */
  static double processorSeconds(long pid) throws IOException {
    String[] f = afterName(Files.readString(Path.of("/proc/" + pid + "/stat")));
    return (Long.parseLong(f[11])
            + Long.parseLong(f[12])
            + Long.parseLong(f[13])
            + Long.parseLong(f[14]))
        / TICKS;
  }

  /** The processes that a process has started and that have not ended. */
  static Set<ProcessHandle> children(long pid) {
    return ProcessHandle.of(pid).stream()
        .flatMap(ProcessHandle::children)
        .collect(Collectors.toSet());
  }

  /** Waits until a process has no children but these: only then theirs is counted. */
  static void awaitEnd(long pid, Set<ProcessHandle> but) {
    for (ProcessHandle child : children(pid)) {
      if (!but.contains(child)) {
        child.onExit().orTimeout(2, TimeUnit.SECONDS).exceptionally(e -> child).join();
      }
    }
  }

  /** The parent of a process. */
  static long parent(long pid) throws IOException {
    return Long.parseLong(afterName(Files.readString(Path.of("/proc/" + pid + "/stat")))[1]);
  }

  private static String[] afterName(String stat) {
    return stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1);
  }

  /** Whether a program is on the PATH. */
  static boolean installed(String program) {
    Set<String> places = new HashSet<>(Arrays.asList(System.getenv("PATH").split(":", -1)));
    return places.stream().anyMatch(p -> Files.isExecutable(Path.of(p, program)));
  }
}
