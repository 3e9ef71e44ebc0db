package io.dualwrite.backfill;

import java.util.List;

/**
 * What the copy of a chunk did.
 *
 * @param rows rows read from the source
 * @param bytes bytes moved
 * @param inserted rows that were not on the target
 * @param corrected rows of those that moved on the source meanwhile and were corrected
 * @param resync keys that the copy could not settle: to be resynced once the chunk is committed
 * @param finish what is left to do with the chunk of a hypertable; see {@link Task#finish}
 */
record Copied(
    long rows,
    long bytes,
    long inserted,
    long corrected,
    List<List<String>> resync,
    List<String> finish) {

  /** Nothing was read, nothing is left to do. */
  static final Copied NOTHING = new Copied(0, 0, 0, 0, List.of(), List.of());

  Copied withFinish(List<String> value) {
    return new Copied(rows, bytes, inserted, corrected, resync, value);
  }
}
