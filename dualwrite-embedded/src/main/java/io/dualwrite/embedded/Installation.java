package io.dualwrite.embedded;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A PostgreSQL installation of this machine that has a server and client programs. Tests that need
 * pg_dump of the server's version, or an extension, find it here, and say so when there is none.
 *
 * @param bin its programs
 */
public record Installation(Path bin) {

  /** Why a test that needs an installation is skipped. */
  public static final String NONE =
      "skipped: no PostgreSQL installation with initdb, postgres and pg_dump on this machine (/usr/lib/postgresql/*, /usr/pgsql-*, or -Ddualwrite.test.bin=DIR)";

  /** Why a test that needs TimescaleDB is skipped. */
  public static final String NO_TIMESCALEDB =
      "skipped: no TimescaleDB: neither -Ddualwrite.test.source and -Ddualwrite.test.target, nor an installation on this machine that has it";

  /** The newest, or that of the system property {@code dualwrite.test.bin}. */
  public static Optional<Installation> any() {
    return all().stream().findFirst();
  }

  /** The newest that offers the extension. */
  public static Optional<Installation> offering(String extension) {
    return all().stream().filter(i -> i.offers(extension)).findFirst();
  }

  /** The directory that the system property {@code dualwrite.test.bin} names: for --pg-bin. */
  public static Optional<Path> given() {
    return Optional.ofNullable(System.getProperty("dualwrite.test.bin")).map(Path::of);
  }

  private static List<Installation> all() {
    Optional<Path> given = given();
    if (given.isPresent()) {
      return List.of(new Installation(given.get()));
    }
    List<Installation> result = new ArrayList<>();
    for (Path parent : List.of(Path.of("/usr/lib/postgresql"), Path.of("/usr"))) {
      try (Stream<Path> versions = Files.list(parent)) {
        versions
            .filter(v -> !parent.endsWith("usr") || v.getFileName().toString().startsWith("pgsql-"))
            .map(v -> new Installation(v.resolve("bin")))
            .filter(Installation::complete)
            .sorted(Comparator.comparing(Installation::bin).reversed())
            .forEach(result::add);
      } catch (IOException e) {
        // no such directory: nothing there
      }
    }
    return result;
  }

  private boolean complete() {
    return Stream.of("initdb", "postgres", "pg_ctl", "pg_dump", "psql")
        .allMatch(p -> Files.isExecutable(bin.resolve(p)));
  }

  private boolean offers(String extension) {
    // Debian keeps them apart from the programs
    Path debian =
        Path.of("/usr/share/postgresql")
            .resolve(bin.getParent().getFileName())
            .resolve("extension");
    Path own = bin.resolveSibling("share").resolve("extension");
    return Stream.of(debian, own)
        .anyMatch(d -> Files.isRegularFile(d.resolve(extension + ".control")));
  }

  /**
   * Starts a server of it, in a temporary directory on a free port, with the given settings ({@code
   * name=value}).
   *
   * @throws IllegalStateException if it does not start
   */
  public PgServer start(String... settings) {
    return new LocalServer(bin, settings);
  }
}
