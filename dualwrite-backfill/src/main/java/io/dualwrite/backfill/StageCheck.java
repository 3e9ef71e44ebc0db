package io.dualwrite.backfill;

import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What {@link Backfill#stage} would make of both databases as they are, without staging anything.
 *
 * @param tables the source's tables that can be backfilled; partitions belong to their root, and
 *     what continuous aggregates keep is not among them
 * @param refused a sentence for each table of the source that cannot
 * @param missing those of {@code tables}, and the continuous aggregates, that the target lacks
 * @param problems why the target's table could not take the rows, by table
 * @param triggers the enabled triggers that would fire on the target, by table
 */
public record StageCheck(
    List<Table> tables,
    List<String> refused,
    List<TableName> missing,
    Map<TableName, List<String>> problems,
    Map<TableName, List<String>> triggers) {

  /**
   * Looks at both. Changes nothing.
   *
   * @param filter as {@link StageOptions#filter()}; null for all tables
   * @throws BackfillException if the filter is none
   * @throws SQLException if a catalog cannot be read
   */
  public static StageCheck of(Connection source, Connection target, String filter)
      throws SQLException {
    Catalog sourceCatalog = new Catalog();
    Catalog targetCatalog = new Catalog();
    Stager.Scope scope = Stager.look(source, sourceCatalog, TableFilter.of(filter), false, false);
    Stager stager = new Stager(source, target, sourceCatalog, targetCatalog);
    List<TableName> missing = new ArrayList<>();
    Map<TableName, List<String>> problems = new TreeMap<>();
    Map<TableName, List<String>> triggers = new TreeMap<>();
    Map<TableName, TableName> there = stager.targets(scope);
    for (Table t : scope.roots()) {
      Hypertables.Hypertable h = scope.hypertables().get(t.name());
      TableName name = h == null ? t.name() : h.known();
      if (targetCatalog.table(target, name).isEmpty()) {
        missing.add(name);
        continue;
      }
      List<String> p =
          stager.schemaProblems(t, h, there.get(t.name()), Until.parse("--from", List.of()));
      if (!p.isEmpty()) {
        problems.put(name, p);
      }
      triggers.putAll(stager.enabledTriggers(t));
    }
    List<Table> tables =
        scope.roots().stream()
            .filter(
                t ->
                    !scope.hypertables().containsKey(t.name())
                        || scope.hypertables().get(t.name()).view() == null)
            .toList();
    return new StageCheck(tables, scope.refused(), missing, problems, triggers);
  }
}
