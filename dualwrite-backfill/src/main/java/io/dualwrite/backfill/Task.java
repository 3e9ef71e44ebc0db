package io.dualwrite.backfill;

import io.dualwrite.catalog.TableName;
import java.util.List;
import java.util.Locale;

/**
 * A chunk: the rows that one claim copies.
 *
 * @param id its number and its place in the queue
 * @param table the table as the target has it: the root, for a partition
 * @param from keyed: what is read on the source; keyless: what is replaced on the target: the table
 *     itself or one of its partitions; of a hypertable: the source's chunk; of an index: its name
 * @param kind how it is copied
 * @param low keyed: the key the range begins with, or null
 * @param high keyed: the key the range ends before, or null
 * @param predicate which rows of the range are copied: {@code true}, or those before T; of an
 *     index: its definition
 * @param rows how many rows it may have
 * @param bytes how many bytes it may have
 * @param attempts how often it was tried and failed
 * @param resync keys that have to be resynced before the chunk is done; empty if it has yet to be
 *     copied
 * @param cycle the cycle of foreign keys that the table is in, or null
 * @param finish a chunk of a hypertable that is copied: schema and name of the target's chunk, then
 *     what is left to do with it: {@code compress}, {@code freeze}; else empty
 * @param oid keyed or keyless: what {@code from} was when it was staged, whatever it is called now;
 *     or null
 * @param slices of a hypertable: the chunk's place when it was staged; or null
 */
record Task(
    long id,
    TableName table,
    TableName from,
    Kind kind,
    List<String> low,
    List<String> high,
    String predicate,
    long rows,
    long bytes,
    int attempts,
    List<List<String>> resync,
    String cycle,
    List<String> finish,
    Long oid,
    String slices) {

  /** How a chunk is copied. */
  enum Kind {
    /** Insert what is missing, read again, correct. */
    KEYED,
    /** Replace the range under a lock. */
    KEYLESS,
    /** A chunk of a hypertable: as its state on both sides demands when it is copied. */
    CHUNK,
    /** No rows, but an index of the target that is built once its table has them. */
    INDEX;

    String label() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** The same rows, where they are now. */
  Task at(TableName name) {
    return new Task(
        id, table, name, kind, low, high, predicate, rows, bytes, attempts, resync, cycle, finish,
        oid, slices);
  }

  /** Which rows, for people. */
  String describe() {
    if (kind == Kind.INDEX) {
      return "index " + from + " of " + table;
    }
    StringBuilder out = new StringBuilder(from.toString());
    if (kind == Kind.CHUNK) {
      out.append(" of ").append(table);
    }
    if (low != null) {
      out.append(" from ").append(String.join(",", low));
    }
    if (high != null) {
      out.append(" to ").append(String.join(",", high));
    }
    if (!predicate.equals("true")) {
      out.append(" where ").append(predicate);
    }
    return out.toString();
  }
}
