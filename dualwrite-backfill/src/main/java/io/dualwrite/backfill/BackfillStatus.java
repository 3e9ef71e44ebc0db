package io.dualwrite.backfill;

import java.util.List;

/**
 * Where the backfill stands, as the target's task table says.
 *
 * @param staged whether anything was staged
 * @param until the completion points, as typed
 * @param tasks how many chunks there are
 * @param done how many are copied
 * @param failed those that are parked
 * @param verifiedEqual how many were found equal by the last verify that looked at them
 * @param verifiedDifferent how many were found different
 * @param rows rows copied
 * @param bytes bytes copied
 */
public record BackfillStatus(
    boolean staged,
    List<String> until,
    long tasks,
    long done,
    List<FailedTask> failed,
    long verifiedEqual,
    long verifiedDifferent,
    long rows,
    long bytes) {
  /** Copies the lists. */
  public BackfillStatus {
    until = List.copyOf(until);
    failed = List.copyOf(failed);
  }

  /** Whether something was staged and every chunk of it is copied. */
  public boolean complete() {
    return staged && done == tasks;
  }
}
