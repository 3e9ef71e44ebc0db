package io.dualwrite.journal;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Another process with the class path of this one, for what cannot be survived. */
final class ChildJvm {

  static final List<String> FLAGS =
      List.of(
          "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED",
          "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED");

  /** Without a warning on standard error. */
  static final List<String> QUIET =
      List.of(FLAGS.get(0), FLAGS.get(1), "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED");

  private ChildJvm() {}

  static Process start(List<String> before, List<String> flags, Class<?> main, String... arguments)
      throws IOException {
    List<String> command = new ArrayList<>(before);
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(flags);
    if (Runtime.version().feature()
        >= 24) { // or the JVM's own warnings come before what the child says
      command.addAll(
          List.of("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"));
    }
    command.addAll(List.of("-Xmx256m", "-XX:TieredStopAtLevel=1", "-Xshare:auto"));
    command.add("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), main.getName()));
    command.addAll(Arrays.asList(arguments));
    return new ProcessBuilder(command).redirectErrorStream(true).start();
  }

  static Process start(Class<?> main, String... arguments) throws IOException {
    return start(List.of(), QUIET, main, arguments);
  }

  /** Waits for the end of the process; what it said. */
  static String output(Process p) throws IOException, InterruptedException {
    try (InputStream in = p.getInputStream()) {
      String s = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      if (!p.waitFor(60, TimeUnit.SECONDS)) {
        p.destroyForcibly();
        throw new IOException("did not end: " + s);
      }
      return s;
    }
  }
}
