package io.dualwrite.simulation;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/**
 * A process of the simulation ({@link Host}), seen from the one that started it. It is told and
 * tells by lines.
 */
final class Child {

  /** Its output has ended. */
  static final String END = "";

  /** What Chronicle Queue needs of the JVM, and the class path's jar may not say. */
  private static final List<String> FLAGS =
      List.of(
          "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED",
          "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
          "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED");

  private final Process process;
  private final Path errors;
  private final BlockingQueue<String> lines = new LinkedBlockingQueue<>();

  /** Starts it; what it says on its error output goes to a file. */
  Child(List<String> properties, Path errors) {
    this.errors = errors;
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(FLAGS);
    for (String a : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
      if (a.startsWith("--enable-native") || a.startsWith("--sun-misc")) {
        command.add(a);
      }
    }
    command.addAll(
        List.of(
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-Xshare:auto",
            "-Xmx192m",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.log.net.openhft=error"));
    properties.forEach(p -> command.add("-D" + p));
    command.addAll(
        List.of(
            "-cp",
            System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
            Host.class.getName()));
    try {
      process =
          new ProcessBuilder(command)
              .redirectError(ProcessBuilder.Redirect.appendTo(errors.toFile()))
              .start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Thread reader = new Thread(this::read, "child-" + process.pid());
    reader.setDaemon(true);
    reader.start();
  }

  /** What one process is given to do, as one line. */
  static String line(Map<String, String> arguments) {
    return arguments.entrySet().stream()
        .map(e -> e.getKey() + "=" + e.getValue())
        .collect(Collectors.joining("\t"));
  }

  /** The arguments of such a line. */
  static Map<String, String> arguments(String line) {
    Map<String, String> all = new HashMap<>();
    for (String a : line.split("\t", -1)) {
      int eq = a.indexOf('=');
      all.put(a.substring(0, eq), a.substring(eq + 1));
    }
    return all;
  }

  private void read() {
    try (BufferedReader in = process.inputReader(StandardCharsets.UTF_8)) {
      String line;
      while ((line = in.readLine()) != null) {
        lines.add(line);
      }
    } catch (IOException e) {
      // killed
    } finally {
      lines.add(END);
    }
  }

  /** Tells it something; one that has ended hears nothing. */
  void tell(String line) {
    try {
      process.getOutputStream().write((line + "\n").getBytes(StandardCharsets.UTF_8));
      process.getOutputStream().flush();
    } catch (IOException e) {
      // it has ended
    }
  }

  /** The next line that it says; {@link #END} when it has ended, null when it said nothing. */
  String next(long millis) throws InterruptedException {
    return lines.poll(millis, TimeUnit.MILLISECONDS);
  }

  /** SIGKILL. */
  void kill() {
    process.toHandle().destroyForcibly(); // unlike the process's own method it leaves the output
  }

  boolean alive() {
    return process.isAlive();
  }

  /** Waits for its end; its exit status. */
  int await() throws InterruptedException {
    return process.waitFor();
  }

  /** The file that its error output went to. */
  Path errors() {
    return errors;
  }
}
