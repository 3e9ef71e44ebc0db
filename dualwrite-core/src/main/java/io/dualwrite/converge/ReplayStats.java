package io.dualwrite.converge;

import java.util.Set;

/**
 * What a replayer has done since it was made.
 *
 * @param units units resolved
 * @param keys keys resynced
 * @param rows keyless rows inserted
 * @param parked units parked
 * @param unitsPerSecond over the last rounds that found work
 * @param lastError the last error's message; null if the last round had none
 * @param waitingForPrimary process ids on the primary whose transactions have not ended
 * @param waitingForMirror process ids on the mirror whose transactions may yet bring a key
 * @param waitingForStatements the unit whose statements (DDL) have yet to run on the mirror, while
 *     all that comes later in the journal waits for them; 0 if there is none
 */
public record ReplayStats(
    long units,
    long keys,
    long rows,
    long parked,
    double unitsPerSecond,
    String lastError,
    Set<Integer> waitingForPrimary,
    Set<Integer> waitingForMirror,
    long waitingForStatements) {

  /** Copies the sets. */
  public ReplayStats {
    waitingForPrimary = Set.copyOf(waitingForPrimary);
    waitingForMirror = Set.copyOf(waitingForMirror);
  }
}
