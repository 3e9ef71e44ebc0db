package io.dualwrite.embedded;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** PostgreSQL as it is installed on this machine: with pg_dump and extensions. */
final class LocalServer extends PgServer {

  private final Path bin;
  private final Path data;
  private final int port;
  private final Thread atExit = new Thread(this::destroy, "local-postgres-exit");

  LocalServer(Path bin, String... settings) {
    this.bin = bin;
    try {
      port = freePort();
      data = Files.createTempDirectory("dualwrite-local");
      run(
          "initdb",
          "-D",
          data.toString(),
          "-U",
          "postgres",
          "-A",
          "trust",
          "-E",
          "UTF8",
          "--no-locale",
          "--no-sync");
      List<String> lines =
          new ArrayList<>(
              List.of(
                  "port = " + port,
                  "listen_addresses = 'localhost'",
                  "unix_socket_directories = ''",
                  "max_connections = 100"));
      for (String s : settings) {
        int eq = s.indexOf('=');
        lines.add(s.substring(0, eq) + " = '" + s.substring(eq + 1) + "'");
      }
      Files.writeString(data.resolve("postgresql.auto.conf"), String.join("\n", lines) + "\n");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    restart();
    Runtime.getRuntime().addShutdownHook(atExit);
  }

  @Override
  public int port() {
    return port;
  }

  private void run(String program, String... arguments) {
    List<String> command = new ArrayList<>();
    if (ProcessHandle.current().info().user().orElse("").equals("root")) {
      command.addAll(List.of("unshare", "-U")); // the server refuses root
    }
    command.add(bin.resolve(program).toString());
    command.addAll(List.of(arguments));
    try {
      Path out = Files.createTempFile("dualwrite-local", ".out");
      try {
        Process p =
            new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(out.toFile())
                .start();
        if (!p.waitFor(2, TimeUnit.MINUTES) || p.exitValue() != 0) {
          throw new IllegalStateException(
              program + " of " + bin + " failed: " + Files.readString(out));
        }
      } finally {
        Files.deleteIfExists(out);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void restart() {
    run(
        "pg_ctl",
        "-D",
        data.toString(),
        "-l",
        data.resolve("log").toString(),
        "-w",
        "-t",
        "90",
        "start");
  }

  @Override
  public void stop() {
    run("pg_ctl", "-D", data.toString(), "-m", "fast", "-w", "stop");
  }

  @Override
  public void kill() {
    run("pg_ctl", "-D", data.toString(), "-m", "immediate", "-w", "stop");
  }

  @Override
  public void freeze() {
    throw new UnsupportedOperationException("a local installation's server is not frozen");
  }

  @Override
  public void thaw() {
    throw new UnsupportedOperationException("a local installation's server is not frozen");
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
    if (Files.exists(data.resolve("postmaster.pid"))) {
      kill();
    }
    delete(data);
  }
}
