package io.dualwrite.embedded;

import java.io.IOException;
import java.net.BindException;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ThreadLocalRandom;

/** A PostgreSQL server for the demo or a test. Not thread-safe. */
public abstract class PgServer implements AutoCloseable {

  /** The major version whose binaries are on the class path; the parent's pom names it too. */
  static final int ON_CLASS_PATH = 18;

  private static final String MAJORS = "dualwrite.test.pg";

  /**
   * Starts an embedded server in a temporary directory on a free port, with the given settings
   * ({@code name=value}).
   *
   * @throws IllegalStateException if it does not start; the message says why
   */
  public static PgServer embedded(String... settings) {
    return new EmbeddedServer(ON_CLASS_PATH, settings);
  }

  /**
   * The major versions that tests are to run on, from the system property {@code dualwrite.test.pg}
   * ({@code 13} or {@code 13,15,18}); default 18 and 15. The first is that of servers for which no
   * version is asked.
   */
  public static List<Integer> majors() {
    String given = System.getProperty(MAJORS, "");
    try {
      return Arrays.stream((given.isBlank() ? "18,15" : given).split(",", -1))
          .map(m -> Integer.valueOf(m.strip()))
          .toList();
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(
          MAJORS + " is '" + given + "'; it is a list of major versions such as 18 or 13,15,18", e);
    }
  }

  /**
   * Starts a server of the first of {@link #majors()}, of the kind that the system property {@code
   * dualwrite.test.postgres} names: {@code embedded} (default) or {@code testcontainers} (image in
   * {@code dualwrite.test.image}, default {@code postgres:} and the major version).
   */
  public static PgServer start(String... settings) {
    return start(majors().get(0), settings);
  }

  /**
   * As {@link #start(String...)}, of another major version.
   *
   * @throws IllegalStateException if it does not start, or there are no binaries of this version;
   *     the message says why
   */
  public static PgServer start(int major, String... settings) {
    String kind = System.getProperty("dualwrite.test.postgres", "embedded");
    return switch (kind) {
      case "embedded" -> new EmbeddedServer(major, settings);
      case "testcontainers" -> new ContainerServer(major, settings);
      default ->
          throw new IllegalArgumentException(
              "dualwrite.test.postgres is '" + kind + "'; it is embedded or testcontainers");
    };
  }

  /** The port on localhost. */
  public abstract int port();

  /** The superuser's name. */
  public String user() {
    return "postgres";
  }

  /** The superuser's password. */
  public String password() {
    return "postgres";
  }

  /** The JDBC URL of a database, without user and password. */
  public String url(String database) {
    return "jdbc:postgresql://localhost:" + port() + "/" + database;
  }

  /** Creates a database. */
  public void createDatabase(String database) throws SQLException {
    try (Connection c = connect("postgres");
        Statement s = c.createStatement()) {
      s.execute("create database \"" + database + "\"");
    }
  }

  /** Connects as superuser. */
  public Connection connect(String database) throws SQLException {
    Properties p = new Properties();
    p.setProperty("user", user());
    p.setProperty("password", password());
    return DriverManager.getConnection(url(database), p);
  }

  /**
   * Deletes a server's data, by a process of its own: after many tests it is hundreds of databases,
   * and the JVM is on its way out.
   */
  static void delete(Path data) {
    try {
      new ProcessBuilder("rm", "-rf", data.toString()).start();
    } catch (IOException e) {
      // a temporary directory: the operating system's business from here on
    }
  }

  /**
   * Starts a streaming standby of it; {@code pg_promote()} makes a primary of that. The server is
   * stopped and started again meanwhile.
   */
  public PgServer standby() {
    throw new UnsupportedOperationException("only an embedded server has a standby");
  }

  /** Kills every process of the server with SIGKILL: a crash. */
  public abstract void kill();

  /** Stops the server in good order. */
  public abstract void stop();

  /**
   * Starts a killed or stopped server again: same data, same port. Returns when it accepts
   * connections.
   */
  public abstract void restart();

  /** Freezes every process of the server (SIGSTOP): it accepts connections and never answers. */
  public abstract void freeze();

  /** Undoes {@link #freeze()}. */
  public abstract void thaw();

  /** Stops the server and deletes its data. */
  @Override
  public abstract void close();

  /**
   * A port below those that operating systems give to whoever connects: a server that was killed
   * would find its own taken by a connection that was made meanwhile.
   */
  static int freePort() throws IOException {
    for (int tries = 0; tries < 1000; tries++) {
      int port = ThreadLocalRandom.current().nextInt(12_000, 32_000);
      try (ServerSocket free = new ServerSocket(port)) {
        return free.getLocalPort();
      } catch (BindException e) {
        // another one, then
      }
    }
    throw new IOException("no free port was found between 12000 and 32000");
  }
}
