package io.dualwrite.backfill;

import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.control.Incarnation;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;

/** Divides the source's tables into tasks. */
final class Stager {

  /** A chunk of wide rows is bounded by its size, so that its row locks are not held for long. */
  private static final long CHUNK_BYTES = 64L << 20;

  private final Connection source;
  private final Connection target;
  private final Catalog sourceCatalog;
  private final Catalog targetCatalog;

  Stager(Connection source, Connection target, Catalog sourceCatalog, Catalog targetCatalog) {
    this.source = source;
    this.target = target;
    this.sourceCatalog = sourceCatalog;
    this.targetCatalog = targetCatalog;
  }

  /** What of the source's tables the backfill is about. */
  static List<Table> scope(Connection source, Catalog catalog, TableFilter filter)
      throws SQLException {
    Scope scope = look(source, catalog, filter);
    if (!scope.refused.isEmpty()) {
      throw new BackfillException(
          "cannot backfill: "
              + String.join("; ", scope.refused)
              + ". Leave such tables out with --filter and move them by other means");
    }
    return scope.roots;
  }

  /**
   * The source's tables that the filter lets through.
   *
   * @param roots those that can be backfilled, partitions left out
   * @param refused a sentence for each of the others
   */
  record Scope(List<Table> roots, List<String> refused) {}

  static Scope look(Connection source, Catalog catalog, TableFilter filter) throws SQLException {
    List<String> refused = new ArrayList<>();
    if (Sql.value(source, "select pg_catalog.to_regclass('timescaledb_information.hypertables')")
        != null) {
      for (List<String> r :
          Sql.rows(
              source,
              "select hypertable_schema, hypertable_name from timescaledb_information.hypertables order by 1, 2")) {
        TableName name = new TableName(r.get(0), r.get(1));
        if (filter.test(name)) {
          refused.add(name + " is a hypertable");
        }
      }
    }
    Set<String> hypertables = new HashSet<>(refused);
    List<Table> roots = new ArrayList<>();
    for (Table t : catalog.tables(source)) {
      if (t.root().isPresent()
          || !filter.test(t.name())
          || hypertables.contains(t.name() + " is a hypertable")) {
        continue;
      }
      switch (t.kind()) {
        case PLAIN -> roots.add(t);
        case PARTITIONED -> {
          roots.add(t);
          for (List<String> r :
              Sql.rows(
                  source,
                  "select c.oid::regclass from pg_catalog.pg_partition_tree("
                      + Sql.literal(t.name().sql())
                      + ") p join pg_catalog.pg_class c on c.oid = p.relid where c.relkind = 'f'")) {
            refused.add(t.name() + " has the foreign table " + r.get(0) + " as a partition");
          }
        }
        case INHERITED -> refused.add(t.name() + " uses table inheritance");
        case PARTITION, VIEW, FOREIGN -> {}
      }
    }
    return new Scope(roots, refused);
  }

  StageResult stage(StageOptions options) throws SQLException {
    // What was open now may have begun before the last writer dual-wrote: remember it first
    if (Sql.value(source, "select pg_catalog.pg_is_in_recovery()").equals("t")) {
      throw new BackfillException(
          "the source is a standby; give the primary: a standby may lag behind what the writers have committed");
    }
    Set<String> open = openTransactions();
    String snapshot = Sql.value(source, "select pg_catalog.pg_current_snapshot()::text");

    sourceCatalog.invalidate();
    targetCatalog.invalidate();
    Optional<TaskStore.Staged> before =
        TaskStore.installed(target) ? TaskStore.staged(target) : Optional.empty();
    Until until = Until.parse(options.until());
    if (before.isPresent()) {
      until = Until.parse(before.get().until()).plus(until);
    }
    checkPoints(until);
    TableFilter filter = TableFilter.of(options.filter());
    List<Table> roots = scope(source, sourceCatalog, filter);
    Map<TableName, Table> all = new HashMap<>();
    for (Table t : sourceCatalog.tables(source)) {
      all.put(t.name(), t);
    }
    checkSchema(roots);
    Map<TableName, String> timeColumns = timeColumns(options.timeColumns(), roots);

    Set<List<TableName>> known = new HashSet<>();
    if (before.isPresent()) {
      known.addAll(TaskStore.relations(target));
    }
    // boundaries are found by a walk of the key's index, which the planner does not always like
    Sql.execute(
        source, "set enable_seqscan = off; set enable_sort = off; set enable_bitmapscan = off");
    Order order = Order.of(roots, all);
    roots =
        roots.stream()
            .sorted(
                Comparator.comparing((Table t) -> order.level(t.name())).thenComparing(Table::name))
            .toList();

    List<TaskStore.Draft> drafts = new ArrayList<>();
    List<TableName> already = new ArrayList<>();
    List<TableName> leftOut = new ArrayList<>();
    List<String> warnings = new ArrayList<>();
    for (Table root : roots) {
      List<TaskStore.Draft> mine = new ArrayList<>();
      Sql.execute(source, Sessions.searchPath(root));
      boolean some = false;
      for (Part part : parts(root, until, all, timeColumns, leftOut)) {
        if (known.contains(List.of(root.name(), part.from.name()))) {
          some = true;
        } else {
          mine.addAll(split(root, part, order, options.chunkRows()));
        }
      }
      if (some) {
        already.add(root.name());
      } else if (!mine.isEmpty()
          && Sql.value(target, "select exists (select from " + root.name().sql() + ")")
              .equals("t")) {
        warnings.add(
            "table "
                + root.name()
                + " is not empty on the target; rows that differ are resynced, but rows that the source does not have are found by verify only");
      }
      drafts.addAll(mine);
    }

    Sql.execute(source, Sessions.searchPath(null));
    for (String unused : until.unused()) {
      warnings.add(
          "--until "
              + unused
              + " limits no table: none of those staged is divided by such a column");
    }
    awaitEnd(open, options.patience());

    TaskStore.install(target);
    target.setAutoCommit(false);
    try {
      Sql.execute(target, "lock table dualwrite.backfill in share row exclusive mode");
      Set<List<TableName>> now = new HashSet<>(TaskStore.relations(target));
      // somebody else may have staged the same while we looked
      drafts.removeIf(d -> now.contains(List.of(d.table(), d.from())));
      TaskStore.saveStaged(
          target,
          until.texts(),
          either(before, options.filter()),
          snapshot,
          Incarnation.of(source));
      TaskStore.add(target, drafts);
      for (Map.Entry<TableName, Set<TableName>> e : order.after().entrySet()) {
        for (TableName parent : e.getValue()) {
          TaskStore.addAfter(target, e.getKey(), parent);
        }
      }
      target.commit();
    } catch (SQLException | RuntimeException e) {
      target.rollback();
      throw e;
    } finally {
      target.setAutoCommit(true);
    }
    return new StageResult(
        drafts.stream().map(TaskStore.Draft::table).distinct().toList(),
        drafts.size(),
        already,
        leftOut,
        warnings);
  }

  /** The filter of all stages together. */
  private static String either(Optional<TaskStore.Staged> before, String now) {
    if (before.isEmpty()) {
      return now;
    }
    String then = before.get().filter();
    return then == null || now == null
        ? null
        : then.equals(now) ? now : "(?:" + then + ")|(?:" + now + ")";
  }

  // ----------------------------------------------------------------------------------------------
  // transactions that were open

  /**
   * The transactions of clients that are open in the source's database, with or without an id yet:
   * each holds its virtual id, or a prepared transaction's, as a lock that any role can see.
   */
  private Set<String> openTransactions() throws SQLException {
    Set<String> result = new TreeSet<>();
    for (List<String> r :
        Sql.rows(
            source,
            "select 'pid ' || l.pid || coalesce(' (' || nullif(a.application_name, '') || ')', '') || ', transaction ' || l.virtualtransaction"
                + " from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a on a.pid = l.pid"
                + " where l.locktype = 'virtualxid' and l.granted and l.virtualxid = l.virtualtransaction"
                + " and l.pid <> pg_catalog.pg_backend_pid() and a.datname = pg_catalog.current_database()"
                // null: another role's session, which may be a client; background workers have no
                // role
                + " and a.usesysid is not null and coalesce(a.backend_type, 'client backend') = 'client backend'"
                + " union all select 'prepared transaction ' || gid from pg_catalog.pg_prepared_xacts where database = pg_catalog.current_database()")) {
      result.add(r.get(0));
    }
    return result;
  }

  /**
   * No snapshot is taken before every transaction has ended that was open when dual-write began:
   * its writes reach the target by nobody else, and a snapshot would not see them yet.
   */
  private void awaitEnd(Set<String> open, Duration wait) throws SQLException {
    long deadline = System.nanoTime() + wait.toNanos();
    while (true) {
      open.retainAll(openTransactions());
      if (open.isEmpty()) {
        return;
      }
      if (System.nanoTime() - deadline > 0 || Thread.currentThread().isInterrupted()) {
        throw new BackfillException(
            "nothing staged: on the source transactions are still open that were open when stage began: "
                + String.join("; ", open)
                + ". They may have begun before dual-write did; let them end (or pg_terminate_backend them) and stage again");
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(50));
    }
  }

  // ----------------------------------------------------------------------------------------------
  // checks

  private void checkPoints(Until until) throws SQLException {
    for (Map.Entry<String, String> e : until.literals().entrySet()) {
      try {
        Sql.value(source, "select " + e.getValue());
      } catch (SQLException x) {
        throw new BackfillException(
            "--until " + e.getKey() + " is not understood by the source: " + x.getMessage(), x);
      }
    }
  }

  private void checkSchema(List<Table> roots) throws SQLException {
    Map<TableName, List<String>> problems = new TreeMap<>();
    for (Table t : roots) {
      List<String> p = new ArrayList<>(schemaProblems(t));
      enabledTriggers(t).forEach((table, names) -> p.add(Schema.triggers(table, names)));
      if (!p.isEmpty()) {
        problems.put(t.name(), p);
      }
    }
    if (!problems.isEmpty()) {
      throw new BackfillException(
          "nothing staged: the target's schema does not fit the source's:\n"
              + problems.entrySet().stream()
                  .map(e -> "  " + e.getKey() + ": " + String.join("; ", e.getValue()))
                  .collect(Collectors.joining("\n")));
    }
  }

  /** Why the target's table cannot take the rows of the source's; triggers aside. */
  List<String> schemaProblems(Table t) throws SQLException {
    Optional<Table> there = targetCatalog.table(target, t.name());
    List<String> p = new ArrayList<>(Schema.problems(t, there.orElse(null)));
    if (!t.keyed() && there.isPresent() && there.get().kind() == Table.Kind.PARTITIONED) {
      // replaced range by range: the range has to mean something on the source
      Map<TableName, String> mine = Partitions.constraints(source, sourceCatalog, t.name());
      Partitions.constraints(target, targetCatalog, t.name())
          .forEach(
              (leaf, constraint) -> {
                if (constraint.contains("satisfies_hash_partition")
                    && !constraint.equals(mine.get(leaf))) {
                  p.add(
                      "its partition "
                          + leaf
                          + " is divided by hash on the target and otherwise on the source, and it has no key; divide both alike");
                }
              });
    }
    return p;
  }

  /** The enabled triggers that would fire on the target for rows of that table, by table. */
  Map<TableName, List<String>> enabledTriggers(Table t) throws SQLException {
    Optional<Table> there = targetCatalog.table(target, t.name());
    Map<TableName, List<String>> result = new TreeMap<>();
    if (there.isPresent() && !there.get().userTriggers().isEmpty()) {
      result.put(t.name(), there.get().userTriggers());
    } else if (there.isPresent() && there.get().kind() == Table.Kind.PARTITIONED) {
      result.putAll(Partitions.triggers(target, targetCatalog, t.name()));
    }
    return result;
  }

  private static Map<TableName, String> timeColumns(Map<String, String> given, List<Table> roots) {
    Map<TableName, String> result = new HashMap<>();
    for (Map.Entry<String, String> e : given.entrySet()) {
      TableName name = TableName.parse(e.getKey());
      Table table =
          roots.stream()
              .filter(t -> t.name().equals(name))
              .findFirst()
              .orElseThrow(
                  () ->
                      new BackfillException(
                          "--time-column names table "
                              + name
                              + ", which is not among the tables to stage"));
      if (table.keyed()) {
        throw new BackfillException(
            "--time-column names table "
                + name
                + ", which has a key and is always copied whole; leave the option out");
      }
      if (table.kind() != Table.Kind.PLAIN) {
        throw new BackfillException(
            "--time-column names table "
                + name
                + ", whose partitions say where T is; leave the option out");
      }
      Column column = Sql.column(table, e.getValue());
      if (Until.Kind.of(column).isEmpty()) {
        throw new BackfillException(
            "--time-column names column "
                + column.name()
                + " of table "
                + name
                + ", whose type "
                + column.type()
                + " is neither a time nor an integer");
      }
      result.put(name, column.name());
    }
    return result;
  }

  // ----------------------------------------------------------------------------------------------
  // chunks

  private record Part(Table from, String predicate) {}

  /** The relations of a table that hold rows, each with what T leaves of it. */
  private List<Part> parts(
      Table root,
      Until until,
      Map<TableName, Table> all,
      Map<TableName, String> timeColumns,
      List<TableName> leftOut)
      throws SQLException {
    if (root.kind() == Table.Kind.PLAIN) {
      String column = timeColumns.get(root.name());
      Optional<String> t =
          column == null ? Optional.empty() : until.literal(root.name(), Sql.column(root, column));
      return List.of(new Part(root, t.map(x -> before(column, x)).orElse("true")));
    }
    // rows with a key are read by the source's partitions and find their place on the target; a
    // range without one is replaced, so it is one of the target's
    Connection side = root.keyed() ? source : target;
    Table top =
        root.keyed() ? root : Sql.known(targetCatalog.table(target, root.name()), root.name());
    Optional<PartitionBounds> bounds = PartitionBounds.of(side, top);
    Optional<String> t = Optional.empty();
    if (bounds.isPresent()) {
      t = until.literal(root.name(), bounds.get().column());
    }
    List<Part> result = new ArrayList<>();
    if (top.kind() != Table.Kind.PARTITIONED) {
      return List.of(new Part(top, "true"));
    }
    List<Table> leaves =
        (root.keyed() ? all.values() : targetCatalog.tables(target))
            .stream()
                .filter(
                    x ->
                        x.kind() == Table.Kind.PARTITION
                            && x.root().equals(Optional.of(root.name())))
                .sorted(Comparator.comparing(Table::name))
                .toList();
    for (Table leaf : leaves) {
      if (t.isEmpty()) {
        result.add(new Part(leaf, "true"));
        continue;
      }
      switch (bounds.get().side(side, leaf.name(), t.get())) {
        case BEFORE -> result.add(new Part(leaf, "true"));
        case STRADDLES -> result.add(new Part(leaf, before(bounds.get().column().name(), t.get())));
        case AFTER -> leftOut.add(leaf.name());
      }
    }
    return result;
  }

  private static String before(String column, String literal) {
    String c = TableName.quote(column);
    return c + " < " + literal + " or " + c + " is null";
  }

  private List<TaskStore.Draft> split(Table root, Part part, Order order, int chunkRows)
      throws SQLException {
    List<List<String>> size =
        Sql.rows(
            source,
            "select pg_catalog.pg_table_size(c.oid), c.reltuples::bigint from pg_catalog.pg_class c where c.oid ="
                + " pg_catalog.to_regclass("
                + Sql.literal(part.from.name().sql())
                + ")");
    long bytes = size.isEmpty() ? 0 : Long.parseLong(size.get(0).get(0));
    long rows = size.isEmpty() ? 0 : Long.parseLong(size.get(0).get(1));
    if (!root.keyed()) {
      return List.of(
          new TaskStore.Draft(
              root.name(),
              part.from.name(),
              Task.Kind.KEYLESS,
              null,
              null,
              part.predicate,
              false,
              Math.max(rows, 0),
              bytes,
              order.level(root.name()),
              order.cycle(root.name())));
    }
    long width = rows > 0 ? Math.max(1, bytes / rows) : 100;
    long step = Math.max(1, Math.min(chunkRows, Math.max(500, CHUNK_BYTES / width)));
    List<List<String>> boundaries = new ArrayList<>();
    boundaries.add(null);
    List<String> key = next(root, part.from, null, step);
    while (key != null) {
      boundaries.add(key);
      key = next(root, part.from, key, step);
    }
    boolean serial = root.references().stream().anyMatch(k -> k.parent().equals(root.name()));
    List<TaskStore.Draft> result = new ArrayList<>();
    for (int i = 0; i < boundaries.size(); i++) {
      boolean last = i == boundaries.size() - 1;
      result.add(
          new TaskStore.Draft(
              root.name(),
              part.from.name(),
              Task.Kind.KEYED,
              boundaries.get(i),
              last ? null : boundaries.get(i + 1),
              part.predicate,
              serial,
              last && rows >= 0 ? Math.max(0, Math.min(step, rows - i * step)) : step,
              bytes / boundaries.size(),
              order.level(root.name()),
              order.cycle(root.name())));
    }
    return result;
  }

  /**
   * The key {@code step} rows after {@code key}, by a walk of the key's index; null past the end.
   */
  private List<String> next(Table root, Table from, List<String> key, long step)
      throws SQLException {
    List<List<String>> found =
        Sql.rows(
            source,
            // qualified: a bare name in ORDER BY would be the output column, a text
            "select "
                + root.key().stream()
                    .map(k -> "t." + TableName.quote(k) + "::text")
                    .collect(Collectors.joining(", "))
                + " from only "
                + from.name().sql()
                + " t where "
                + Sql.range(root, root.key(), key, null)
                + " order by "
                + Sql.list("t", root.key())
                + " offset "
                + step
                + " limit 1");
    return found.isEmpty() ? null : found.get(0);
  }
}
