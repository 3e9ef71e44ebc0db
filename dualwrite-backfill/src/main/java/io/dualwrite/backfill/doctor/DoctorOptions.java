package io.dualwrite.backfill.doctor;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;

/**
 * What the examination should take for granted. Immutable.
 *
 * @param filter only tables that this regular expression is found in, as {@code stage --filter};
 *     null for all
 * @param accepted codes of findings that somebody has decided about: they no longer block
 * @param poolSize connections to the mirror that one process of the application opens at most
 * @param flushTimeout how long a commit waits for the mirror at most
 * @param journal the journal's directory, if it is on this machine
 * @param journalBytes the room that the journal may need, in bytes
 */
public record DoctorOptions(
    String filter,
    Set<String> accepted,
    int poolSize,
    Duration flushTimeout,
    Optional<Path> journal,
    long journalBytes) {

  /** Copies the set. */
  public DoctorOptions {
    accepted = Set.copyOf(accepted);
  }

  /** Every table, nothing accepted, the library's defaults, no journal on this machine. */
  public static DoctorOptions defaults() {
    return new DoctorOptions(null, Set.of(), 10, Duration.ofSeconds(1), Optional.empty(), 0);
  }
}
