package io.dualwrite.catalog;

import java.util.List;
import java.util.Optional;

/**
 * A table as one database's catalog describes it at one moment. Immutable.
 *
 * @param name its name
 * @param oid its oid in that database
 * @param kind what it is
 * @param temporary whether it is a temporary table: such tables are never mirrored
 * @param root the partitioned table at the top, if this is a partition
 * @param partitionPredicate for a partition: the condition its rows meet ({@code
 *     pg_get_partition_constraintdef})
 * @param columns its live columns in their order
 * @param key the columns of the primary key, or of the smallest usable unique not-null index; empty
 *     for a keyless table
 * @param keyDeferrable whether the key is deferrable, and so no arbiter for ON CONFLICT
 * @param uniques the columns of every other unique index on plain columns without a predicate
 *     (NULLs allowed)
 * @param deferrable whether any of its constraints is deferrable: checked at COMMIT, perhaps
 * @param references its foreign keys to other tables
 * @param referencedBy the foreign keys of other tables to it
 * @param userTriggers the names of its triggers that may fire and are not the server's own
 * @param rules whether it has rewrite rules
 * @param rowSecurity whether row security is on
 * @param compresses whether it is a hypertable that TimescaleDB may compress the chunks of
 * @param version tells this state of the table, its columns, defaults and triggers from any other
 */
public record Table(
    TableName name,
    long oid,
    Kind kind,
    boolean temporary,
    Optional<TableName> root,
    Optional<String> partitionPredicate,
    List<Column> columns,
    List<String> key,
    boolean keyDeferrable,
    List<List<String>> uniques,
    boolean deferrable,
    List<ForeignKey> references,
    List<ForeignKey> referencedBy,
    List<String> userTriggers,
    boolean rules,
    boolean rowSecurity,
    boolean compresses,
    String version) {

  /** What a relation is. */
  public enum Kind {
    /** A plain table with its own rows, not a partition. */
    PLAIN,
    /** A partitioned table: it has no rows of its own. */
    PARTITIONED,
    /** A partition that holds rows. */
    PARTITION,
    /** A view or materialized view. */
    VIEW,
    /** A foreign table. */
    FOREIGN,
    /** A table that has children by inheritance, or is such a child. */
    INHERITED
  }

  /** Copies the lists. */
  public Table {
    columns = List.copyOf(columns);
    key = List.copyOf(key);
    uniques = uniques.stream().map(List::copyOf).toList();
    references = List.copyOf(references);
    referencedBy = List.copyOf(referencedBy);
    userTriggers = List.copyOf(userTriggers);
  }

  /** Whether rows can be told apart by a key. */
  public boolean keyed() {
    return !key.isEmpty();
  }

  /**
   * The table in SQL where its own rows are read, updated or deleted: without those of tables that
   * inherit from it, whose keys are others'.
   */
  public String own() {
    return kind == Kind.INHERITED ? "only " + name.sql() : name.sql();
  }

  /** The column of that name, if there is one. */
  public Optional<Column> column(String column) {
    for (Column c : columns) {
      if (c.name().equals(column)) {
        return Optional.of(c);
      }
    }
    return Optional.empty();
  }

  /** The columns that can be written: all but the generated ones. */
  public List<Column> writableColumns() {
    return columns.stream().filter(c -> !c.generated()).toList();
  }
}
