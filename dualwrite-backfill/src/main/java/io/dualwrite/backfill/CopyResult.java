package io.dualwrite.backfill;

import java.time.Duration;
import java.util.List;

/**
 * How a copy ended.
 *
 * @param tasks chunks that this run finished
 * @param rows rows that this run read from the source
 * @param bytes bytes that this run moved
 * @param elapsed how long it took
 * @param failed all parked chunks, those of earlier runs too
 * @param left chunks that are neither done nor parked (the run was interrupted)
 */
public record CopyResult(
    long tasks, long rows, long bytes, Duration elapsed, List<FailedTask> failed, long left) {
  /** Copies the list. */
  public CopyResult {
    failed = List.copyOf(failed);
  }

  /** Whether nothing is left to copy: the one condition for exit status 0. */
  public boolean complete() {
    return failed.isEmpty() && left == 0;
  }
}
