package io.dualwrite.backfill;

import io.dualwrite.catalog.TableName;
import java.util.List;

/**
 * What {@link Backfill#refreshAggregates} did.
 *
 * @param aggregates the continuous aggregates it looked at, in the order of their refresh
 */
public record RefreshResult(List<Aggregate> aggregates) {

  /**
   * One continuous aggregate.
   *
   * @param view its name
   * @param from where the refresh began, as text; null if there was nothing to refresh
   * @param to where it ended: as far as the source's is materialized
   * @param note why nothing was refreshed, or only a part; empty if there is nothing to say
   */
  public record Aggregate(TableName view, String from, String to, String note) {}

  /** Copies the list. */
  public RefreshResult {
    aggregates = List.copyOf(aggregates);
  }
}
