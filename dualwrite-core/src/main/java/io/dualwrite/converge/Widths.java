package io.dualwrite.converge;

import io.dualwrite.catalog.TableName;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * How wide the rows of each table were lately, as text: what a resync holds in memory several times
 * over is bounded by that, in each of its threads. Thread-safe.
 */
final class Widths {

  /** So many characters go into one batch, or one row. */
  static final int BATCH = 1 << 21;

  private static final int UNKNOWN = BATCH / 4;

  private final Map<TableName, Integer> widths = new ConcurrentHashMap<>();

  /** Characters per row, as far as is known. */
  int of(TableName table) {
    return widths.getOrDefault(table, UNKNOWN);
  }

  /** Notes that nobody had rows to measure: deleted ones weigh nothing, the next may. */
  void noteAbsent(TableName table) {
    widths.putIfAbsent(table, BATCH / 16);
  }

  /**
   * Notes what rows had. A table is taken for narrow step by step, as its next rows may be wider.
   */
  void note(TableName table, long rows, long chars) {
    int mean = (int) Math.min(BATCH, Math.max(1, chars / rows));
    widths.merge(table, Math.max(mean, UNKNOWN / 8), (old, now) -> Math.max(mean, old / 8));
  }
}
