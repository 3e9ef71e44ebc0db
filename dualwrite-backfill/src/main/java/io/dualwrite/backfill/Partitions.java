package io.dualwrite.backfill;

import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** The leaves of a partitioned table. */
final class Partitions {

  private Partitions() {}

  /** The partitions with enabled triggers of the users, with the triggers' names. */
  static Map<TableName, List<String>> triggers(
      Connection connection, Catalog catalog, TableName root) throws SQLException {
    Map<TableName, List<String>> result = new TreeMap<>();
    for (Table t : catalog.tables(connection)) {
      if (t.root().equals(Optional.of(root)) && !t.userTriggers().isEmpty()) {
        result.put(t.name(), t.userTriggers());
      }
    }
    return result;
  }

  /** Each leaf with the condition that its rows meet, comparable between databases. */
  static Map<TableName, String> constraints(Connection connection, Catalog catalog, TableName root)
      throws SQLException {
    Map<TableName, String> result = new TreeMap<>();
    for (Table t : catalog.tables(connection)) {
      if (t.kind() == Table.Kind.PARTITION && t.root().equals(Optional.of(root))) {
        // a hash partition's constraint names its parent by oid
        result.put(
            t.name(),
            t.partitionPredicate()
                .orElse("")
                .replaceAll("satisfies_hash_partition\\('\\d+'", "satisfies_hash_partition('0'"));
      }
    }
    return result;
  }

  /**
   * Whose rows have no place on the other side. Known only where every leaf there is like one here:
   * a default partition, or another way to divide, may take them.
   */
  static List<TableName> missing(Map<TableName, String> here, Map<TableName, String> there) {
    return here.values().containsAll(there.values())
        ? here.keySet().stream().filter(leaf -> !there.containsValue(here.get(leaf))).toList()
        : List.of();
  }
}
