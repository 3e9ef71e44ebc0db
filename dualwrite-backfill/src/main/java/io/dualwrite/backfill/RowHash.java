package io.dualwrite.backfill;

import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import java.util.List;
import java.util.stream.Collectors;

/**
 * The SQL that reduces rows to hashes, the same on both sides: a row is the text of a record of the
 * columns, in one order of names, under pinned session settings. NULL and the empty string differ
 * in it, and no two lists of values have the same text. Two hashes of 64 bits are summed as
 * numerics, so that nothing cancels and nothing overflows.
 *
 * <p>Generated columns are left out: the target computes its own, and nothing could be repaired.
 *
 * @see <a href="https://www.postgresql.org/docs/current/sql-expressions.html">row constructors</a>
 */
final class RowHash {

  private final List<String> columns;
  private final List<String> key;
  private final boolean bytes;

  /**
   * For a table.
   *
   * @param bytes hash the UTF-8 bytes: for databases that differ in their encoding
   */
  RowHash(Table source, boolean bytes) {
    columns = source.writableColumns().stream().map(Column::name).sorted().toList();
    key = source.key();
    this.bytes = bytes;
  }

  List<String> columns() {
    return columns;
  }

  List<String> key() {
    return key;
  }

  private static String row(List<String> columns) {
    return "row(" + Sql.list(columns) + ")::text";
  }

  private String hash(String text, int seed) {
    String t = bytes ? "pg_catalog.convert_to(" + text + ", 'UTF8')::text" : text;
    // deterministic and by bytes, whatever the database's collation
    return "pg_catalog.hashtextextended((" + t + ") collate \"C\", " + seed + ")";
  }

  /** {@code from … where …}; {@code offset 0} keeps the text from being made twice. */
  private String rows(String relation, String predicate, String extra) {
    return " from (select "
        + row(columns)
        + " as r"
        + extra
        + " from "
        + relation
        + " where "
        + predicate
        + " offset 0) q";
  }

  /** Count alone, in the form of {@link #sums}. */
  String count(String relation, String predicate) {
    return "select count(*), '0', '0', 0 from " + relation + " where " + predicate;
  }

  /** Count and two sums, and how much text that was, or 0. */
  String sums(String relation, String predicate, boolean bytes) {
    return "select count(*), coalesce(sum("
        + hash("r", 0)
        + "::numeric), 0)::text, coalesce(sum("
        + hash("r", 1)
        + "::numeric), 0)::text, "
        + (bytes ? "coalesce(sum(pg_catalog.octet_length(r)), 0)" : "0")
        + rows(relation, predicate, "");
  }

  private String place() {
    return key.isEmpty() ? hash("r", 0) : "h";
  }

  private String keyHash() {
    return key.isEmpty() ? "" : ", " + hash(row(key), 0) + " as h";
  }

  /** Count and sums by bucket of the key's hash (keyless: the row's). */
  String buckets(String relation, String predicate, long mask) {
    return "select "
        + place()
        + " & "
        + mask
        + ", count(*), sum("
        + hash("r", 0)
        + "::numeric)::text, sum("
        + hash("r", 1)
        + "::numeric)::text"
        + rows(relation, predicate, keyHash())
        + " group by 1";
  }

  /**
   * The rows of some buckets, in the order of the hash: keyed: hash of the key, two of the row,
   * key; keyless: hash of the row, second hash, how many.
   */
  String stream(String relation, String predicate, long mask, List<Long> buckets) {
    String some =
        " where ("
            + place()
            + " & "
            + mask
            + ") = any('{"
            + buckets.stream().map(String::valueOf).collect(Collectors.joining(","))
            + "}'::bigint[])";
    if (key.isEmpty()) {
      return "select "
          + hash("r", 0)
          + ", "
          + hash("r", 1)
          + ", count(*)"
          + rows(relation, predicate, "")
          + some
          + " group by 1, 2 order by 1, 2";
    }
    StringBuilder keys = new StringBuilder(keyHash());
    StringBuilder names = new StringBuilder();
    for (int i = 0; i < key.size(); i++) {
      keys.append(", ").append(TableName.quote(key.get(i))).append("::text as k").append(i + 1);
      names.append(", k").append(i + 1);
    }
    return "select h, "
        + hash("r", 0)
        + ", "
        + hash("r", 1)
        + names
        + rows(relation, predicate, keys.toString())
        + some
        + " order by h";
  }

  /**
   * The hash of each column, for rows found by key in a relation: number of the key, then the
   * columns. Of its text in a record, as in that of the whole row: a cast to text drops the blanks
   * of a char(n), and a composite value is not null only if none of its fields is.
   *
   * @param side gives the types
   */
  String look(Table side, String relation, List<List<String>> keys, boolean lock) {
    return "select u.n, "
        + columns.stream()
            .map(c -> hash("row(t." + TableName.quote(c) + ")::text", 0))
            .collect(Collectors.joining(", "))
        + " from "
        + Sql.keys(side, key, keys)
        + " join "
        + relation
        + " t on "
        + Sql.matches("t", key)
        + (lock ? " for share of t" : "");
  }

  /** How often rows with these hashes are there: first hash, second hash, count. */
  String counts(String relation, String predicate, List<Long> hashes) {
    return "select "
        + hash("r", 0)
        + ", "
        + hash("r", 1)
        + ", count(*)"
        + rows(relation, predicate, "")
        + " where "
        + hash("r", 0)
        + " = any('{"
        + hashes.stream().map(String::valueOf).collect(Collectors.joining(","))
        + "}'::bigint[]) group by 1, 2";
  }

  /** One row as text for each of these hashes. */
  String samples(String relation, String predicate, List<Long> hashes) {
    return "select "
        + hash("r", 0)
        + ", "
        + hash("r", 1)
        + ", min(r)"
        + rows(relation, predicate, "")
        + " where "
        + hash("r", 0)
        + " = any('{"
        + hashes.stream().map(String::valueOf).collect(Collectors.joining(","))
        + "}'::bigint[]) group by 1, 2";
  }
}
