package io.dualwrite.backfill.schema;

import io.dualwrite.backfill.BackfillException;
import java.io.IOException;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Properties;

/**
 * A dumped schema: a directory with {@code roles.sql}, {@code schema.sql} and {@code
 * schema.properties}, all of it text that can be read and changed before it is restored. Immutable.
 *
 * @param directory the directory
 * @param digest of {@code schema.sql} when it was dumped: two dumps of the same schema have the
 *     same
 * @param sourceVersion the source's major version
 * @param relations how many tables, indexes, … the restore creates
 * @param timescale TimescaleDB's version on the source
 * @param extensions the source's extensions
 * @param owners whether owners and privileges of objects are in it
 */
public record SchemaFiles(
    Path directory,
    String digest,
    int sourceVersion,
    int relations,
    Optional<String> timescale,
    List<Extension> extensions,
    boolean owners) {

  /** An extension of the source. */
  public record Extension(String name, String version, String schema) {}

  private static final String FORMAT = "1";

  /** Copies the list. */
  public SchemaFiles {
    extensions = List.copyOf(extensions);
  }

  /** Everything but roles. */
  public Path schema() {
    return directory.resolve("schema.sql");
  }

  /** The roles, one statement a line; the file is missing if they were left out. */
  public Path roles() {
    return directory.resolve("roles.sql");
  }

  private static Path properties(Path directory) {
    return directory.resolve("schema.properties");
  }

  /**
   * Reads what a dump left in a directory.
   *
   * @throws BackfillException if it is none
   */
  public static SchemaFiles read(Path directory) {
    if (!Files.isRegularFile(properties(directory))) {
      throw new BackfillException(
          directory
              + " holds no dumped schema (no schema.properties); make one with 'dualwrite schema dump'");
    }
    Properties p = new Properties();
    try (Reader r = Files.newBufferedReader(properties(directory))) {
      p.load(r);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    if (!FORMAT.equals(p.getProperty("format"))) {
      throw new BackfillException(
          properties(directory)
              + " was written by another version of dualwrite; dump the schema again");
    }
    List<Extension> extensions = new ArrayList<>();
    for (int i = 1; p.containsKey("extension." + i); i++) {
      String[] parts = p.getProperty("extension." + i).split("\t", -1);
      extensions.add(new Extension(parts[0], parts[1], parts[2]));
    }
    return new SchemaFiles(
        directory,
        p.getProperty("digest"),
        Integer.parseInt(p.getProperty("source.version")),
        Integer.parseInt(p.getProperty("relations")),
        Optional.ofNullable(p.getProperty("timescaledb")),
        extensions,
        Boolean.parseBoolean(p.getProperty("owners")));
  }

  void write() throws IOException {
    Properties p = new Properties();
    p.setProperty("format", FORMAT);
    p.setProperty("digest", digest);
    p.setProperty("source.version", Integer.toString(sourceVersion));
    p.setProperty("relations", Integer.toString(relations));
    p.setProperty("owners", Boolean.toString(owners));
    timescale.ifPresent(v -> p.setProperty("timescaledb", v));
    int i = 0;
    for (Extension e : extensions) {
      p.setProperty("extension." + ++i, e.name() + "\t" + e.version() + "\t" + e.schema());
    }
    try (Writer w = Files.newBufferedWriter(properties(directory))) {
      p.store(w, "dualwrite schema dump");
    }
  }

  /** Makes an empty file that only its owner may read: it may hold passwords. */
  static void createPrivately(Path file) throws IOException {
    Files.deleteIfExists(file);
    if (file.getFileSystem().supportedFileAttributeViews().contains("posix")) {
      Files.createFile(
          file, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
    }
  }
}
