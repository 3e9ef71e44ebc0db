package io.dualwrite.backfill;

import io.dualwrite.catalog.ForeignKey;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * In which order tables are copied, because of their foreign keys.
 *
 * @param after for each table those that are copied before it; within a cycle there are none
 * @param levels for each table how many others stand above it
 * @param cycles for each table that is part of a cycle of several tables: the cycle's name
 */
record Order(
    Map<TableName, Set<TableName>> after,
    Map<TableName, Integer> levels,
    Map<TableName, String> cycles) {

  int level(TableName table) {
    return levels.get(table);
  }

  /** Null if the table is in none. */
  String cycle(TableName table) {
    return cycles.get(table);
  }

  static Order of(List<Table> roots, Map<TableName, Table> all) {
    Map<TableName, Set<TableName>> parents = new HashMap<>();
    for (Table t : roots) {
      parents.put(t.name(), new HashSet<>());
    }
    for (Table t : all.values()) {
      Set<TableName> mine = parents.get(t.root().orElse(t.name()));
      if (mine == null) {
        continue;
      }
      for (ForeignKey k : t.references()) {
        Table parent = all.get(k.parent());
        TableName name = parent == null ? k.parent() : parent.root().orElse(parent.name());
        if (parents.containsKey(name)) {
          mine.add(name);
        }
      }
    }
    Map<TableName, Set<TableName>> above = new HashMap<>();
    for (TableName t : parents.keySet()) {
      above.put(t, above(t, parents));
    }
    Map<TableName, Set<TableName>> after = new HashMap<>();
    Map<TableName, Integer> levels = new HashMap<>();
    Map<TableName, String> cycles = new HashMap<>();
    for (TableName t : parents.keySet()) {
      after.put(
          t,
          parents.get(t).stream()
              .filter(p -> !p.equals(t) && !above.get(p).contains(t))
              .collect(Collectors.toSet()));
      // whoever is above another has more above itself, and all of a cycle have the same
      levels.put(t, above.get(t).size());
      TreeSet<TableName> cycle = new TreeSet<>();
      for (TableName p : above.get(t)) {
        if (above.get(p).contains(t)) {
          cycle.add(p);
        }
      }
      if (cycle.size() > 1) {
        cycles.put(t, cycle.first().sql());
      }
    }
    return new Order(after, levels, cycles);
  }

  /** All that a table refers to, directly or not; itself only if it is in a cycle. */
  private static Set<TableName> above(TableName table, Map<TableName, Set<TableName>> parents) {
    Set<TableName> seen = new HashSet<>();
    ArrayDeque<TableName> queue = new ArrayDeque<>(parents.get(table));
    while (!queue.isEmpty()) {
      TableName t = queue.remove();
      if (seen.add(t)) {
        queue.addAll(parents.get(t));
      }
    }
    return seen;
  }
}
