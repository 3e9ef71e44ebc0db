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
 * @param indexes indexes of the target that were dropped, to be built when their tables are copied
 * @param warnings what the operator should know: tables of the target that are not empty, for one
 */
public record StageResult(
    List<TableName> staged,
    int tasks,
    List<TableName> already,
    List<TableName> leftOut,
    List<TableName> indexes,
    List<String> warnings) {
  /** Copies the lists. */
  public StageResult {
    staged = List.copyOf(staged);
    already = List.copyOf(already);
    leftOut = List.copyOf(leftOut);
    indexes = List.copyOf(indexes);
    warnings = List.copyOf(warnings);
  }
}
