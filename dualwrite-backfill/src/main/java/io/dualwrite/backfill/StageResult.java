package io.dualwrite.backfill;

import io.dualwrite.catalog.TableName;
import java.util.List;

/**
 * What a stage did.
 *
 * @param staged tables for which tasks were made
 * @param tasks how many tasks
 * @param already tables that were staged before and were left alone
 * @param leftOut partitions that lie wholly at or after T
 * @param warnings what the operator should know: tables of the target that are not empty, for one
 */
public record StageResult(
    List<TableName> staged,
    int tasks,
    List<TableName> already,
    List<TableName> leftOut,
    List<String> warnings) {
  /** Copies the lists. */
  public StageResult {
    staged = List.copyOf(staged);
    already = List.copyOf(already);
    leftOut = List.copyOf(leftOut);
    warnings = List.copyOf(warnings);
  }
}
