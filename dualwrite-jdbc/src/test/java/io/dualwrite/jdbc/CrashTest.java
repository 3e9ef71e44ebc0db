package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.embedded.PgPair;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * G2: an application process dies between any two steps of the commit sequence; after a restart
 * both databases are equal.
 */
class CrashTest {

  static Stream<Arguments> steps() {
    List<Arguments> all = new ArrayList<>();
    for (CommitStep s : CommitStep.values()) {
      all.add(Arguments.of(s, "sync"));
    }
    for (CommitStep s :
        new CommitStep[] {
          CommitStep.ASKED, CommitStep.INTENT_APPENDED, CommitStep.PRIMARY_COMMITTED
        }) {
      all.add(Arguments.of(s, "async"));
    }
    return all.stream();
  }

  @ParameterizedTest
  @MethodSource("steps")
  void diesAt(CommitStep step, String mode) throws Exception {
    PgPair pair = PgPair.shared();
    pair.execute(CrashingWriter.DDL);
    Path journal = Files.createTempDirectory("dualwrite-journal");
    List<Integer> acknowledged =
        run(pair, journal, 0, 20, mode, "-Ddualwrite.test.die-at=" + step + ":7", 137);
    assertTrue(acknowledged.size() < 20, "it died too late: " + acknowledged);
    // the next process finishes what this one left, and goes on
    acknowledged.addAll(run(pair, journal, 100, 5, mode, "-Dnothing=1", 0));
    check(pair, journal, acknowledged);
  }

  @Test
  void isKilledAnywhere() throws Exception {
    PgPair pair = PgPair.shared();
    pair.execute(CrashingWriter.DDL);
    Path journal = Files.createTempDirectory("dualwrite-journal");
    List<Integer> acknowledged = new ArrayList<>();
    for (int round = 0; round < 3; round++) {
      Process p = start(pair, journal, round * 10_000, 10_000, "sync", "-Dnothing=1");
      try (BufferedReader out =
          new BufferedReader(new InputStreamReader(p.getInputStream(), StandardCharsets.UTF_8))) {
        String line;
        int n = 0;
        while ((line = out.readLine()) != null) {
          if (line.startsWith("committed ")) {
            acknowledged.add(Integer.valueOf(line.substring(10)));
            if (++n == 50 + round * 37) {
              p.toHandle()
                  .destroyForcibly(); // unlike the process's own method it leaves the output open
            }
          }
        }
      }
      assertTrue(p.waitFor(30, TimeUnit.SECONDS));
    }
    check(pair, journal, acknowledged);
  }

  private static void check(PgPair pair, Path journal, List<Integer> acknowledged)
      throws SQLException {
    try (DualWriteDataSource ds =
        DualWriteDataSource.builder()
            .source(pair.sourceUrl(), "postgres", "postgres")
            .target(pair.targetUrl(), "postgres", "postgres")
            .journal(journal)
            .build()) {
      assertTrue(ds.drain(java.time.Duration.ofSeconds(30)), () -> "not drained: " + ds.status());
      assertEquals(List.of(), ds.status().parked());
      ds.reconcile();
      assertEquals(List.of(), ds.status().suspects());
    }
    try (Connection s = pair.source();
        Connection t = pair.target()) {
      assertEquals(Fixture.contents(s), Fixture.contents(t));
      List<Integer> there = new ArrayList<>();
      try (Statement q = s.createStatement();
          ResultSet r = q.executeQuery("select n from keyless")) {
        while (r.next()) {
          there.add(r.getInt(1));
        }
      }
      assertTrue(
          there.containsAll(acknowledged),
          () -> "acknowledged " + acknowledged + ", in the source " + there);
    }
  }

  private static List<Integer> run(
      PgPair pair, Path journal, int first, int count, String mode, String property, int exit)
      throws IOException, InterruptedException {
    Process p = start(pair, journal, first, count, mode, property);
    List<Integer> acknowledged = new ArrayList<>();
    StringBuilder all = new StringBuilder();
    try (BufferedReader out =
        new BufferedReader(new InputStreamReader(p.getInputStream(), StandardCharsets.UTF_8))) {
      String line;
      while ((line = out.readLine()) != null) {
        all.append(line).append('\n');
        if (line.startsWith("committed ")) {
          acknowledged.add(Integer.valueOf(line.substring(10)));
        }
      }
    }
    assertTrue(p.waitFor(60, TimeUnit.SECONDS), "the writer does not end");
    assertEquals(exit, p.exitValue(), all::toString);
    return acknowledged;
  }

  private static Process start(
      PgPair pair, Path journal, int first, int count, String mode, String property)
      throws IOException {
    return java(
        List.of("-Xmx256m", property),
        CrashingWriter.class,
        pair.sourceUrl(),
        pair.targetUrl(),
        journal.toString(),
        Integer.toString(first),
        Integer.toString(count),
        mode);
  }

  /** A process of its own, with the flags that the journal needs. */
  static Process java(List<String> options, Class<?> main, String... arguments) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    for (String a : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
      if (a.startsWith("--add-") || a.startsWith("--enable-native") || a.startsWith("--sun-misc")) {
        command.add(a);
      }
    }
    command.addAll(options);
    command.addAll(
        List.of(
            "-XX:TieredStopAtLevel=1",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
            main.getName()));
    command.addAll(List.of(arguments));
    return new ProcessBuilder(command).redirectErrorStream(true).start();
  }
}
