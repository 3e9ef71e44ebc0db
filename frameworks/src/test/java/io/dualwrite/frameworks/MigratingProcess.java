package io.dualwrite.frameworks;

import io.dualwrite.config.Setting;
import io.dualwrite.jdbc.DualWriteDataSource;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import javax.sql.DataSource;
import liquibase.exception.CommandExecutionException;
import org.postgresql.ds.PGSimpleDataSource;

/**
 * A process of an application that brings its schema up to date when it starts, while others of its
 * kind start too.
 */
final class MigratingProcess {

  private MigratingProcess() {}

  /** Arguments: flyway or liquibase, source URL, target URL or {@code none}, journal. */
  public static void main(String[] args) throws Exception {
    if (args[2].equals("none")) {
      PGSimpleDataSource plain = new PGSimpleDataSource();
      plain.setUrl(args[1]);
      plain.setUser("postgres");
      plain.setPassword("postgres");
      migrate(args[0], plain);
      return;
    }
    try (DualWriteDataSource ds =
        DualWriteDataSource.builder()
            .source(args[1], "postgres", "postgres")
            .target(args[2], "postgres", "postgres")
            .journal(Path.of(args[3]))
            .set(Setting.JOURNAL_MIN_FREE_BYTES, "1MB")
            .build()) {
      migrate(args[0], ds);
      System.out.println("drained " + ds.drain(Duration.ofSeconds(60)));
      if (!ds.status().suspects().isEmpty() || !ds.status().parked().isEmpty()) {
        System.out.println("left over " + ds.status());
      }
    }
  }

  private static void migrate(String tool, DataSource ds) throws Exception {
    System.out.println("ready");
    System.out.flush();
    // until the others are ready too
    int go = System.in.read();
    if (go < 0) {
      throw new IllegalStateException("nobody says when to start");
    }
    int done = tool.equals("flyway") ? FlywayTest.migrate(ds) : update(ds);
    System.out.println("executed " + done);
  }

  /**
   * Liquibase makes its own tables before it takes its lock. Where two do so at the same moment the
   * server refuses one of them, on one database as well: whoever watches the process starts it
   * again.
   */
  private static int update(DataSource ds) throws Exception {
    try {
      return LiquibaseTest.update(ds);
    } catch (CommandExecutionException e) {
      if (!e.getMessage().contains("databasechangelog")) {
        throw e;
      }
      return LiquibaseTest.update(ds);
    }
  }

  /**
   * Starts several of them, lets them begin together, and returns what each printed after that.
   *
   * @throws AssertionError if one does not end with 0
   */
  static List<String> together(int count, String tool, TwoDatabases both)
      throws IOException, InterruptedException {
    List<Process> all = new ArrayList<>();
    List<BufferedReader> outputs = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      List<String> command = new ArrayList<>();
      command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
      for (String a : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
        if (a.startsWith("--add-")
            || a.startsWith("--enable-native")
            || a.startsWith("--sun-misc")) {
          command.add(a);
        }
      }
      command.addAll(
          List.of(
              "-XX:TieredStopAtLevel=1",
              "-Xmx256m",
              "-Djava.util.logging.config.file="
                  + System.getProperty("java.util.logging.config.file"),
              "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
              "-cp",
              System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
              MigratingProcess.class.getName(),
              tool,
              both.pair.sourceUrl(),
              TwoDatabases.PLAIN ? "none" : both.pair.targetUrl(),
              Files.createTempDirectory("dualwrite-journal").toString()));
      Process p = new ProcessBuilder(command).redirectErrorStream(true).start();
      all.add(p);
      outputs.add(
          new BufferedReader(new InputStreamReader(p.getInputStream(), StandardCharsets.UTF_8)));
    }
    for (BufferedReader r : outputs) {
      String line;
      while ((line = r.readLine()) != null && !line.equals("ready")) {}
    }
    for (Process p : all) {
      p.getOutputStream().write('\n');
      p.getOutputStream().flush();
    }
    List<String> said = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      String text = outputs.get(i).lines().collect(Collectors.joining("\n"));
      if (all.get(i).waitFor() != 0) {
        throw new AssertionError(text);
      }
      said.add(text);
    }
    return said;
  }
}
