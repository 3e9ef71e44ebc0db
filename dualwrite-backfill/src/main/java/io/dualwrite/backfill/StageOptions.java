package io.dualwrite.backfill;

import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * What to stage. Immutable.
 *
 * @param until the completion point T as the user typed it, at most one per kind: {@code
 *     2001-03-01T00:00Z} (timestamptz), {@code 2001-03-01T00:00} (timestamp), {@code 2001-03-01}
 *     (date), {@code 4711} (integers). Empty: everything is copied
 * @param filter a regular expression, case-insensitive and unanchored, on {@code schema.table};
 *     null for all tables
 * @param timeColumns for keyless plain tables: the column that T limits, by table name
 * @param patience how long to wait for the source's transactions that were open at the start to end
 * @param chunkRows rows per chunk of a keyed table, at most
 */
public record StageOptions(
    List<String> until,
    String filter,
    Map<String, String> timeColumns,
    Duration patience,
    int chunkRows) {

  /** Copies the collections. */
  public StageOptions {
    until = List.copyOf(until);
    timeColumns = Map.copyOf(timeColumns);
    if (chunkRows < 1) {
      throw new IllegalArgumentException("chunkRows is " + chunkRows + "; it is at least 1");
    }
  }

  /** Everything, no T, five minutes of waiting, chunks of 50 000 rows. */
  public static StageOptions defaults() {
    return new StageOptions(List.of(), null, Map.of(), Duration.ofMinutes(5), 50_000);
  }

  /** With these completion points. */
  public StageOptions withUntil(List<String> value) {
    return new StageOptions(value, filter, timeColumns, patience, chunkRows);
  }

  /** With this table filter. */
  public StageOptions withFilter(String value) {
    return new StageOptions(until, value, timeColumns, patience, chunkRows);
  }

  /** With these time columns. */
  public StageOptions withTimeColumns(Map<String, String> value) {
    return new StageOptions(until, filter, value, patience, chunkRows);
  }

  /** With this bound on the wait for open transactions. */
  public StageOptions withPatience(Duration value) {
    return new StageOptions(until, filter, timeColumns, value, chunkRows);
  }

  /** With this many rows per chunk. */
  public StageOptions withChunkRows(int value) {
    return new StageOptions(until, filter, timeColumns, patience, value);
  }
}
