package io.dualwrite.journal;

import io.dualwrite.catalog.TableName;
import java.util.Arrays;
import java.util.List;

/**
 * Rows that one statement of the application wrote, as the primary has them: values, never the
 * statement. Values are text in the form that the type's input function reads; null is NULL.
 * Immutable by agreement: the arrays are not copied, whoever builds one gives them away.
 *
 * @param kind what is done with the rows
 * @param table the table
 * @param columns the columns of each row. {@code DELETE}: the key's columns. {@code REKEY}: the
 *     key's columns (old values) first, then all columns written (new values), so key columns stand
 *     there twice
 * @param types for each column the type that the value has as shipped, if the server has to convert
 *     it as it did on the primary (a {@code float8} parameter stored in a {@code numeric} column);
 *     null where the text is that of the column's own type
 * @param keyColumns the table's key; empty for a keyless table
 * @param rows the rows: {@code rows[i][j]} is the value of {@code columns[j]}
 */
@SuppressWarnings("ArrayRecordComponent") // bulk values on the hot path; see equals
public record RowChange(
    Kind kind,
    TableName table,
    List<String> columns,
    List<String> types,
    List<String> keyColumns,
    String[][] rows) {

  /** What is done with the rows. */
  public enum Kind {
    /**
     * Keyed: the row with this key is this row from now on, whether it was there or not. All
     * columns that can be written are given.
     */
    UPSERT,
    /** Keyless: one more row. */
    INSERT,
    /** Keyed: the row with this key goes. */
    DELETE,
    /** Keyless: one row that is equal to this in every column goes. */
    REMOVE,
    /** Keyed: the row with the old key becomes this row, with a new key. */
    REKEY,
    /**
     * The table is empty from here on. Its only row is {@code snapshot, incarnation}: the primary's
     * snapshot right after the TRUNCATE, which sees the end of everybody who wrote before. Changes
     * of this kind that follow each other are one TRUNCATE.
     */
    TRUNCATE,
    /**
     * A statement that travels as text: DDL. The table is {@link #NO_TABLE}; see {@link
     * #statement}.
     */
    STATEMENT
  }

  /** A range of what nobody compares row by row: a continuous aggregate. */
  public static final String NO_ROWS = "false";

  /** Stands for a table where a change has none. */
  public static final TableName NO_TABLE = new TableName("*", "*");

  private static final List<String> STATEMENT_COLUMNS =
      List.of("sql", "search_path", "role", "alone");

  private static final List<String> RANGE_COLUMNS =
      List.of("sql", "search_path", "role", "alone", "table_schema", "table_name", "range");

  /**
   * A statement that travels as text.
   *
   * @param sql the text
   * @param searchPath the search path under which it ran
   * @param role the role that SET ROLE had chosen; null if none
   * @param alone whether the server runs it in no transaction (CREATE INDEX CONCURRENTLY)
   */
  public static RowChange statement(String sql, String searchPath, String role, boolean alone) {
    return new RowChange(
        Kind.STATEMENT,
        NO_TABLE,
        STATEMENT_COLUMNS,
        null,
        List.of(),
        new String[][] {{sql, searchPath, role, alone ? "true" : "false"}});
  }

  /**
   * The same, made to take a range of a table away that the primary has nothing of any more.
   *
   * @param sql the text, which runs under no search path of its own
   * @param table the table
   * @param range the range, as a condition over its columns; what is of it on the primary when a
   *     replay has run the text came there since
   */
  public static RowChange range(String sql, TableName table, String range) {
    return new RowChange(
        Kind.STATEMENT,
        NO_TABLE,
        RANGE_COLUMNS,
        null,
        List.of(),
        new String[][] {{sql, "pg_catalog", null, "false", table.schema(), table.name(), range}});
  }

  /** A table that was truncated; see {@link Kind#TRUNCATE}. */
  public static RowChange truncate(TableName table, String snapshot, String incarnation) {
    return new RowChange(
        Kind.TRUNCATE,
        table,
        List.of("snapshot", "incarnation"),
        null,
        List.of(),
        new String[][] {{snapshot, incarnation}});
  }

  /** Of a {@link Kind#STATEMENT}: whether it runs in no transaction. */
  public boolean alone() {
    return kind == Kind.STATEMENT && "true".equals(rows[0][3]);
  }

  /** Of a {@link Kind#STATEMENT}: whether it is an ALTER. */
  public boolean alters() {
    return kind == Kind.STATEMENT
        && rows[0][0].stripLeading().regionMatches(true, 0, "alter", 0, 5);
  }

  /** Of a {@link #range}: the table; else null. */
  public TableName rangeOf() {
    return kind == Kind.STATEMENT && rows[0].length > 4
        ? new TableName(rows[0][4], rows[0][5])
        : null;
  }

  /** Copies the lists of names, not the rows. */
  public RowChange {
    columns = List.copyOf(columns);
    types =
        types == null
            ? null
            : java.util.Collections.unmodifiableList(Arrays.asList(types.toArray(new String[0])));
    keyColumns = List.copyOf(keyColumns);
  }

  /** The type that column {@code j} was shipped as, or null for the column's own. */
  public String type(int j) {
    return types == null ? null : types.get(j);
  }

  /**
   * Whether the table has no key: such rows are applied exactly once, guarded by the unit's marker.
   */
  public boolean keyless() {
    return kind == Kind.INSERT;
  }

  /** Rough size in memory and in the journal, in bytes. */
  public long size() {
    long n = 64;
    for (String[] row : rows) {
      n += 24;
      for (String v : row) {
        n += v == null ? 4 : 60 + v.length(); // a String is two objects with headers
      }
    }
    return n;
  }

  @Override
  public boolean equals(Object o) {
    return o instanceof RowChange r
        && kind == r.kind
        && table.equals(r.table)
        && columns.equals(r.columns)
        && java.util.Objects.equals(types, r.types)
        && keyColumns.equals(r.keyColumns)
        && Arrays.deepEquals(rows, r.rows);
  }

  @Override
  public int hashCode() {
    return table.hashCode() * 31 + Arrays.deepHashCode(rows);
  }

  /** For people: kind, table and number of rows, no values (they may be secrets). */
  @Override
  public String toString() {
    return kind + " " + table + " x" + rows.length;
  }
}
