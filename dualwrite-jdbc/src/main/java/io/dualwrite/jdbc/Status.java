package io.dualwrite.jdbc;

import io.dualwrite.control.Phase;
import io.dualwrite.control.Roles;
import io.dualwrite.converge.ReplayStats;
import io.dualwrite.journal.Journal;
import io.dualwrite.journal.Suspect;
import java.util.List;
import java.util.Map;

/**
 * How a {@link DualWriteDataSource} stands at one moment.
 *
 * @param phase the phase
 * @param roles who is primary
 * @param pending units of work that the mirror lacks and that wait for the replayer
 * @param inFlight units of work that a commit is working on
 * @param statements how many of these hold statements (DDL) that the mirror lacks: what was written
 *     after the first of them waits for it
 * @param parked units of work that failed for good, with their errors
 * @param suspects tables that may differ in rows whose keys are not known
 * @param journalBytes the journal's size on disk
 * @param breaker the circuit breaker before the mirror: closed, open, half-open
 * @param transactions open transactions of the application
 * @param replay what the replayer has done, what it waits for, and why its last round failed
 * @param counters what happened so far, by name
 */
public record Status(
    Phase phase,
    Roles roles,
    long pending,
    long inFlight,
    long statements,
    List<Journal.Parked> parked,
    List<Suspect> suspects,
    long journalBytes,
    String breaker,
    int transactions,
    ReplayStats replay,
    Map<String, Long> counters) {

  /** Copies the collections. */
  public Status {
    parked = List.copyOf(parked);
    suspects = List.copyOf(suspects);
    counters = java.util.Collections.unmodifiableMap(new java.util.LinkedHashMap<>(counters));
  }
}
