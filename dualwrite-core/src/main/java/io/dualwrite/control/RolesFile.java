package io.dualwrite.control;

import io.dualwrite.journal.JournalException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.Properties;

/**
 * What a journal's directory knows of roles and phase: those under which its units of work and
 * suspects were written. Older journals have none, and were never part of a cutover.
 *
 * @param roles the roles
 * @param leaving whether an exchange had begun and its end is not known: the control row's word
 *     holds
 * @param phase the phase; null in files that do not tell
 * @param mirrored whether writes have ever been mirrored
 */
public record RolesFile(Roles roles, boolean leaving, Phase phase, boolean mirrored) {

  private static final String NAME = "roles.properties";

  /**
   * Reads it; empty if there is none.
   *
   * @throws JournalException if it cannot be read
   */
  public static Optional<RolesFile> read(Path journal) {
    Path file = journal.resolve(NAME);
    if (!Files.exists(file)) {
      return Optional.empty();
    }
    Properties p = new Properties();
    try (var in = Files.newBufferedReader(file)) {
      p.load(in);
      return Optional.of(
          new RolesFile(
              new Roles(Long.parseLong(p.getProperty("epoch"))),
              Boolean.parseBoolean(p.getProperty("leaving")),
              p.getProperty("phase") == null ? null : Phase.parse(p.getProperty("phase")),
              Boolean.parseBoolean(p.getProperty("mirrored"))));
    } catch (IOException | IllegalArgumentException e) {
      throw new JournalException("the roles cannot be read from " + file + ": " + e, e);
    }
  }

  /** Writes it, the whole or nothing. */
  public void write(Path journal) throws IOException {
    Path next = journal.resolve(NAME + ".new");
    String text =
        "epoch="
            + roles.epoch()
            + "\nleaving="
            + leaving
            + (phase == null ? "" : "\nphase=" + phase)
            + "\nmirrored="
            + mirrored
            + "\n";
    try (FileChannel c =
        FileChannel.open(
            next,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE)) {
      ByteBuffer bytes = StandardCharsets.UTF_8.encode(text);
      while (bytes.hasRemaining()) {
        c.write(bytes);
      }
      c.force(true); // it has to be there after a machine's crash, too
    }
    Files.move(
        next,
        journal.resolve(NAME),
        StandardCopyOption.ATOMIC_MOVE,
        StandardCopyOption.REPLACE_EXISTING);
  }
}
