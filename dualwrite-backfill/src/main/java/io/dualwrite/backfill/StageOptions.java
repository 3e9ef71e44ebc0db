package io.dualwrite.backfill;

import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * What to stage. Immutable.
 *
 * @param until the completion point T as the user typed it, at most one per kind: {@code
 *     2001-03-01T00:00Z} (timestamptz, and uuid of version 7), {@code 2001-03-01T00:00}
 *     (timestamp), {@code 2001-03-01} (date), {@code 4711} (integers). Empty: everything is copied
 * @param from where the copy begins, typed like T, that moment included. Empty: at the beginning.
 *     For hypertables and partitioned tables; other tables are copied as if there were none
 * @param filter a regular expression, case-insensitive and unanchored, on {@code schema.table}, of
 *     a continuous aggregate on {@code schema.view}; null for all tables
 * @param cascadeUp whether continuous aggregates come with the hypertables that they read
 * @param cascadeDown whether hypertables come with the continuous aggregates that read them
 * @param skipUntyped whether hypertables and partitioned tables whose column has no T of its type
 *     are left out; otherwise they are an error, if any T is given
 * @param timeColumns for keyless plain tables: the column that T limits, by table name
 * @param patience how long to wait for the source's transactions that were open at the start to end
 * @param chunkRows rows per chunk of a keyed table, at most
 * @param deferIndexes whether indexes of the target that nothing but queries needs are dropped, and
 *     built again when their table is copied: a copy into a table without them is faster. Those of
 *     plain and partitioned tables that are not unique and whose first column is in no foreign key
 * @param first which chunks of a hypertable are copied first
 */
public record StageOptions(
    List<String> until,
    List<String> from,
    String filter,
    boolean cascadeUp,
    boolean cascadeDown,
    boolean skipUntyped,
    Map<String, String> timeColumns,
    Duration patience,
    int chunkRows,
    boolean deferIndexes,
    First first) {

  /** Which chunks of a hypertable are copied first. */
  public enum First {
    /** Those of the latest time: what the application asks for most is there soonest. */
    NEWEST,
    /** Those of the earliest time. */
    OLDEST
  }

  /** Copies the collections. */
  public StageOptions {
    until = List.copyOf(until);
    from = List.copyOf(from);
    timeColumns = Map.copyOf(timeColumns);
    if (chunkRows < 1) {
      throw new IllegalArgumentException("chunkRows is " + chunkRows + "; it is at least 1");
    }
  }

  /** Everything, no T, five minutes of waiting, chunks of 50 000 rows. */
  public static StageOptions defaults() {
    return new StageOptions(
        List.of(),
        List.of(),
        null,
        false,
        false,
        false,
        Map.of(),
        Duration.ofMinutes(5),
        50_000,
        false,
        First.NEWEST);
  }

  /** With these completion points. */
  public StageOptions withUntil(List<String> value) {
    return new StageOptions(
        value,
        from,
        filter,
        cascadeUp,
        cascadeDown,
        skipUntyped,
        timeColumns,
        patience,
        chunkRows,
        deferIndexes,
        first);
  }

  /** With these beginnings. */
  public StageOptions withFrom(List<String> value) {
    return new StageOptions(
        until,
        value,
        filter,
        cascadeUp,
        cascadeDown,
        skipUntyped,
        timeColumns,
        patience,
        chunkRows,
        deferIndexes,
        first);
  }

  /** With this table filter. */
  public StageOptions withFilter(String value) {
    return new StageOptions(
        until,
        from,
        value,
        cascadeUp,
        cascadeDown,
        skipUntyped,
        timeColumns,
        patience,
        chunkRows,
        deferIndexes,
        first);
  }

  /** With the continuous aggregates of what the filter lets through, and with what they read. */
  public StageOptions withCascade(boolean up, boolean down) {
    return new StageOptions(
        until,
        from,
        filter,
        up,
        down,
        skipUntyped,
        timeColumns,
        patience,
        chunkRows,
        deferIndexes,
        first);
  }

  /** With tables that no T fits left out, or refused. */
  public StageOptions withSkipUntyped(boolean value) {
    return new StageOptions(
        until,
        from,
        filter,
        cascadeUp,
        cascadeDown,
        value,
        timeColumns,
        patience,
        chunkRows,
        deferIndexes,
        first);
  }

  /** With these time columns. */
  public StageOptions withTimeColumns(Map<String, String> value) {
    return new StageOptions(
        until,
        from,
        filter,
        cascadeUp,
        cascadeDown,
        skipUntyped,
        value,
        patience,
        chunkRows,
        deferIndexes,
        first);
  }

  /** With this bound on the wait for open transactions. */
  public StageOptions withPatience(Duration value) {
    return new StageOptions(
        until,
        from,
        filter,
        cascadeUp,
        cascadeDown,
        skipUntyped,
        timeColumns,
        value,
        chunkRows,
        deferIndexes,
        first);
  }

  /** With this many rows per chunk. */
  public StageOptions withChunkRows(int value) {
    return new StageOptions(
        until,
        from,
        filter,
        cascadeUp,
        cascadeDown,
        skipUntyped,
        timeColumns,
        patience,
        value,
        deferIndexes,
        first);
  }

  /** With indexes that only queries need dropped for the copy, or not. */
  public StageOptions withDeferIndexes(boolean value) {
    return new StageOptions(
        until,
        from,
        filter,
        cascadeUp,
        cascadeDown,
        skipUntyped,
        timeColumns,
        patience,
        chunkRows,
        value,
        first);
  }

  /** With these chunks first. */
  public StageOptions withFirst(First value) {
    return new StageOptions(
        until,
        from,
        filter,
        cascadeUp,
        cascadeDown,
        skipUntyped,
        timeColumns,
        patience,
        chunkRows,
        deferIndexes,
        value);
  }
}
