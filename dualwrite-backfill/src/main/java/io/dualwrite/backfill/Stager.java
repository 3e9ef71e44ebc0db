package io.dualwrite.backfill;

import io.dualwrite.backfill.Hypertables.Chunk;
import io.dualwrite.backfill.Hypertables.Hypertable;
import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.control.Incarnation;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Divides the source's tables into tasks. */
final class Stager {

  private static final Logger LOG = LoggerFactory.getLogger(Stager.class);

  /** A chunk of wide rows is bounded by its size, so that its row locks are not held for long. */
  private static final long CHUNK_BYTES = 64L << 20;

  private final Connection source;
  private final Connection target;
  private final Catalog sourceCatalog;
  private final Catalog targetCatalog;
  private Map<TableName, Set<TableName>> unloggedHere;
  private Map<TableName, Set<TableName>> unloggedThere;

  Stager(Connection source, Connection target, Catalog sourceCatalog, Catalog targetCatalog) {
    this.source = source;
    this.target = target;
    this.sourceCatalog = sourceCatalog;
    this.targetCatalog = targetCatalog;
  }

  /** What of the source's tables the backfill is about. */
  static Scope scope(
      Connection source, Catalog catalog, Predicate<TableName> filter, boolean up, boolean down)
      throws SQLException {
    Scope scope = look(source, catalog, filter, up, down);
    if (!scope.refused.isEmpty()) {
      throw new BackfillException(
          "cannot backfill: "
              + String.join("; ", scope.refused)
              + ". Leave such tables out with --filter and move them by other means");
    }
    return scope;
  }

  /**
   * The source's tables that the filter lets through.
   *
   * @param roots those that can be backfilled, partitions and chunks left out; for a continuous
   *     aggregate the hypertable that it is materialized in
   * @param hypertables those of them that are hypertables, by name
   * @param refused a sentence for each of the others
   */
  record Scope(List<Table> roots, Map<TableName, Hypertable> hypertables, List<String> refused) {}

  static Scope look(
      Connection source, Catalog catalog, Predicate<TableName> filter, boolean up, boolean down)
      throws SQLException {
    List<String> refused = new ArrayList<>();
    Set<TableName> names = new HashSet<>();
    Map<TableName, Hypertable> hypertables = new LinkedHashMap<>();
    if (Hypertables.present(source)) {
      names.addAll(Hypertables.names(source));
      if (Hypertables.usable(source)) {
        hypertables.putAll(hypertables(source, filter, up, down));
      } else {
        names.stream()
            .filter(filter)
            .forEach(
                n ->
                    refused.add(
                        n
                            + " is a hypertable of a TimescaleDB that is older than 2.17, or no TimescaleDB at all"));
      }
    }
    List<Table> roots = new ArrayList<>();
    for (Table t : catalog.tables(source)) {
      if (t.root().isPresent() || names.contains(t.name()) || !filter.test(t.name())) {
        continue;
      }
      if ((t.kind() == Table.Kind.PLAIN || t.kind() == Table.Kind.PARTITIONED)
          && t.writableColumns().isEmpty()
          && Sql.value(source, "select exists (select from " + t.name().sql() + ")").equals("t")) {
        refused.add(t.name() + " has rows, but no column that can be written");
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
    for (TableName h : hypertables.keySet()) {
      roots.add(Sql.known(catalog.table(source, h), h));
    }
    return new Scope(roots, hypertables, refused);
  }

  /** The hypertables to backfill: those that the filter finds, with what hangs on them. */
  private static Map<TableName, Hypertable> hypertables(
      Connection source, Predicate<TableName> filter, boolean up, boolean down)
      throws SQLException {
    List<Hypertable> all = Hypertables.all(source); // what is read stands before its readers
    Set<TableName> chosen = new HashSet<>();
    for (Hypertable h : all) {
      if (filter.test(h.known()) || up && chosen.contains(h.of())) {
        chosen.add(h.name());
      }
    }
    for (int i = all.size() - 1; down && i >= 0; i--) {
      if (all.get(i).of() != null && chosen.contains(all.get(i).name())) {
        chosen.add(all.get(i).of());
      }
    }
    Map<TableName, Hypertable> result = new LinkedHashMap<>();
    for (Hypertable h : all) {
      if (chosen.contains(h.name())) {
        result.put(h.name(), h);
      }
    }
    return result;
  }

  /** When the first writer began to dual-write; null if none did. */
  private String began() throws SQLException {
    return Sql.value(target, "select pg_catalog.to_regclass('dualwrite.writer')") == null
        ? null
        : Sql.value(
            target, "select min(started)::text from dualwrite.writer where isfinite(started)");
  }

  StageResult stage(StageOptions options) throws SQLException {
    // What was open now may have begun before the last writer dual-wrote: remember it first
    Set<String> open = openTransactions();
    String snapshot = Sql.value(source, "select pg_catalog.pg_current_snapshot()::text");

    Optional<TaskStore.Staged> before =
        TaskStore.installed(target) ? TaskStore.staged(target) : Optional.empty();
    Until until = Until.parse(options.until());
    Until since = Until.parse("--from", options.from());
    if (before.isPresent()) {
      until = Until.parse(before.get().until()).plus(until);
      since = Until.parse("--from", before.get().since()).plus(since);
    }
    checkPoints(until);
    checkPoints(since);
    TableFilter filter = TableFilter.of(options.filter());
    // before anything is listed: the chunks and partitions that they make are not visible yet
    awaitEnd(open, options.patience());
    sourceCatalog.invalidate();
    targetCatalog.invalidate();
    Scope scope = scope(source, sourceCatalog, filter, options.cascadeUp(), options.cascadeDown());
    List<Table> roots = scope.roots();
    Map<TableName, TableName> there = targets(scope);
    Map<TableName, Table> all = new HashMap<>();
    for (Table t : sourceCatalog.tables(source)) {
      all.put(t.name(), t);
    }
    checkSchema(scope, there, since);
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
                Comparator.comparing((Table t) -> order.level(t.name()))
                    // what continuous aggregates read is copied before them
                    .thenComparing(t -> List.copyOf(scope.hypertables().keySet()).indexOf(t.name()))
                    .thenComparing(Table::name))
            .toList();

    List<TaskStore.Draft> drafts = new ArrayList<>();
    List<TableName> already = new ArrayList<>();
    List<TableName> leftOut = new ArrayList<>();
    List<String> warnings = new ArrayList<>();
    Map<TableName, List<String>> places = new LinkedHashMap<>();
    String began = began();
    if (began != null
        && until.moment().isPresent()
        && Sql.value(
                target,
                "select "
                    + Sql.literal(until.moment().get())
                    + "::timestamptz < "
                    + Sql.literal(began)
                    + "::timestamptz")
            .equals("t")) {
      warnings.add(
          "--until "
              + until.moment().get()
              + " lies before the first writer began to dual-write ("
              + began
              + "): rows of the time in between are neither copied nor mirrored; clean, and stage with a later one");
    }
    for (Table root : roots) {
      List<TaskStore.Draft> mine = new ArrayList<>();
      Sql.execute(source, Sessions.searchPath(root));
      Hypertable hypertable = scope.hypertables().get(root.name());
      TableName name = hypertable == null ? root.name() : hypertable.known();
      TableName into = there.get(root.name());
      boolean some = false;
      try {
        if (hypertable != null) {
          List<String> slices = new ArrayList<>();
          for (ChunkPart c : chunks(root, hypertable, since, until, leftOut)) {
            if (known.contains(List.of(into, c.chunk.name()))) {
              some = true;
            } else {
              mine.add(draft(root, into, c, order));
              slices.add(c.chunk.slices());
            }
          }
          if (options.first() == StageOptions.First.OLDEST) {
            Collections.reverse(mine);
          }
          places.put(into, slices);
        } else {
          for (Part part : parts(root, since, until, all, timeColumns, leftOut)) {
            if (known.contains(List.of(root.name(), part.from.name()))) {
              some = true;
            } else {
              mine.addAll(split(root, part, order, options.chunkRows()));
            }
          }
        }
      } catch (Until.Untyped e) {
        if (!options.skipUntyped()) {
          throw new BackfillException(e.getMessage(), e);
        }
        warnings.add(name + " is left out: " + e.getMessage());
        continue;
      }
      if (some) {
        already.add(name);
      } else if (!mine.isEmpty()
          && hypertable == null
          && began == null
          && Sql.value(target, "select exists (select from " + root.name().sql() + ")")
              .equals("t")) {
        warnings.add(
            "table "
                + name
                + " is not empty on the target; rows that differ are resynced, but rows that the source does not have are found by verify only");
      }
      drafts.addAll(mine);
    }

    Sql.execute(source, Sessions.searchPath(null));
    for (Until points : List.of(until, since)) {
      for (String unused : points.unused()) {
        warnings.add(
            points.option()
                + " "
                + unused
                + " limits no table: none of those staged is divided by such a column");
      }
    }
    if (scope.hypertables().values().stream().anyMatch(h -> h.view() != null)
        && !Hypertables.quiet(target)) {
      warnings.add(
          "the target's version of TimescaleDB logs every copied row as changed for its continuous aggregates; their next refresh will take longer");
    }
    places.forEach(this::makePlaces);

    TaskStore.install(target);
    Set<TableName> hypertables =
        scope.hypertables().values().stream()
            .filter(h -> h.view() == null)
            .map(h -> there.get(h.name()))
            .collect(Collectors.toSet());
    List<TaskStore.Draft> indexes;
    target.setAutoCommit(false);
    try {
      Sql.execute(target, "lock table dualwrite.backfill in share row exclusive mode");
      Set<List<TableName>> now = new HashSet<>(TaskStore.relations(target));
      // somebody else may have staged the same while we looked
      drafts.removeIf(d -> now.contains(List.of(d.table(), d.from())));
      TaskStore.saveStaged(
          target,
          until.texts(),
          since.texts(),
          either(before, options.filter()),
          snapshot,
          Incarnation.of(source));
      TaskStore.add(target, drafts);
      indexes = options.deferIndexes() ? Indexes.defer(target, drafts, hypertables) : List.of();
      TaskStore.add(target, indexes);
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
        drafts.stream().map(d -> people(d.table(), scope, there)).distinct().toList(),
        drafts.size(),
        already,
        leftOut,
        indexes.stream().filter(d -> d.level() == 0).map(TaskStore.Draft::from).toList(),
        warnings);
  }

  /** The name that people know a table of the target by. */
  private static TableName people(TableName table, Scope scope, Map<TableName, TableName> there) {
    for (Hypertable h : scope.hypertables().values()) {
      if (table.equals(there.get(h.name()))) {
        return h.known();
      }
    }
    return table;
  }

  /**
   * The target's table for each of the source's: of the same name, and for a continuous aggregate
   * what it is materialized in there. None for one that is missing.
   */
  Map<TableName, TableName> targets(Scope scope) throws SQLException {
    Map<TableName, TableName> views = new HashMap<>();
    if (!scope.hypertables().isEmpty()
        && Hypertables.present(target)
        && Hypertables.usable(target)) {
      for (Hypertable h : Hypertables.all(target)) {
        views.put(h.known(), h.name());
      }
    }
    Map<TableName, TableName> result = new HashMap<>();
    for (Table t : scope.roots()) {
      Hypertable h = scope.hypertables().get(t.name());
      if (h == null) {
        result.put(t.name(), t.name());
      } else if (views.containsKey(h.known())) {
        result.put(t.name(), views.get(h.known()));
      }
    }
    return result;
  }

  /** Makes the target's chunks, so that the workers do not wait for each other to do it. */
  private void makePlaces(TableName hypertable, List<String> slices) {
    for (String place : slices) {
      try {
        Hypertables.create(target, hypertable, place);
      } catch (SQLException e) {
        throw new BackfillException(
            "nothing staged: the target's hypertable "
                + hypertable
                + " takes no chunk for "
                + place
                + ": "
                + e.getMessage()
                + ". If its chunks are cut otherwise there, drop those that are empty, or create the hypertable anew from the source's schema",
            e);
      }
    }
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

  private void checkPoints(Until points) throws SQLException {
    for (Map.Entry<String, String> e : points.literals().entrySet()) {
      try {
        Sql.value(source, "select " + e.getValue());
      } catch (SQLException x) {
        throw new BackfillException(
            points.option()
                + " "
                + e.getKey()
                + " is not understood by the source: "
                + x.getMessage(),
            x);
      }
    }
  }

  private void checkSchema(Scope scope, Map<TableName, TableName> there, Until since)
      throws SQLException {
    Map<TableName, List<String>> problems = new TreeMap<>();
    for (Table t : scope.roots()) {
      Hypertable h = scope.hypertables().get(t.name());
      List<String> p = new ArrayList<>(schemaProblems(t, h, there.get(t.name()), since));
      enabledTriggers(t).forEach((table, names) -> p.add(Schema.triggers(table, names)));
      if (!p.isEmpty()) {
        problems.put(h == null ? t.name() : h.known(), p);
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

  /**
   * Why the target's table cannot take the rows of the source's; triggers aside.
   *
   * @param h what it is, if it is a hypertable
   * @param name the target's table, or null if there is none
   * @param since where the rows begin that are copied
   */
  List<String> schemaProblems(Table t, Hypertable h, TableName name, Until since)
      throws SQLException {
    if (h != null && name == null) {
      return targetCatalog.table(target, h.known()).isEmpty()
          ? List.of("is missing on the target")
          : List.of(
              h.view() == null
                  ? "is no hypertable on the target"
                  : "is no continuous aggregate on the target");
    }
    Optional<Table> there = targetCatalog.table(target, name);
    if (h != null) {
      Hypertable other =
          Hypertables.all(target).stream()
              .filter(x -> x.name().equals(name))
              .findFirst()
              .orElseThrow();
      if (!other.column().equals(h.column())) {
        return List.of(
            "is divided by "
                + h.column()
                + " on the source and by "
                + other.column()
                + " on the target");
      }
    }
    List<String> p = new ArrayList<>(Schema.problems(t, there.orElse(null)));
    if (there.isPresent()) {
      boolean alike =
          source.getMetaData().getDatabaseMajorVersion()
              == target.getMetaData().getDatabaseMajorVersion();
      p.addAll(Schema.typesOtherwise(source, t, target, there.get(), alike));
      List<String> otherwise = Schema.computedOtherwise(source, t, target, there.get());
      if (alike) {
        p.addAll(otherwise);
      } else { // another version may write the same expression otherwise
        otherwise.forEach(o -> LOG.warn("{}: {}", name, o));
      }
    }
    List<TableName> unlogged = unlogged(t.name(), h != null, name);
    if (!unlogged.isEmpty()) {
      p.add(
          "is unlogged on the target ("
              + some(unlogged)
              + "), and a crash of that server would empty it; run ALTER TABLE … SET LOGGED there");
    }
    if (there.isPresent() && there.get().kind() == Table.Kind.PARTITIONED) {
      Map<TableName, String> mine = Partitions.constraints(source, sourceCatalog, t.name());
      Map<TableName, String> theirs = Partitions.constraints(target, targetCatalog, t.name());
      List<TableName> missing = new ArrayList<>();
      Optional<PartitionBounds> bounds =
          since.texts().isEmpty() ? Optional.empty() : PartitionBounds.of(source, t);
      Optional<String> begin = bounds.flatMap(x -> since.literal(t.name(), x.column()));
      for (TableName leaf : Partitions.missing(mine, theirs)) {
        if (begin.isEmpty()
            || bounds.get().side(source, leaf, begin.get()) != PartitionBounds.Side.BEFORE) {
          missing.add(leaf);
        }
      }
      if (!missing.isEmpty()) {
        p.add(
            "no partition of the target takes the rows of " + some(missing) + "; create it there");
      }
      if (!t.keyed()) {
        // replaced range by range: the range has to mean something on the source
        theirs.forEach(
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
    }
    return p;
  }

  private static String some(List<TableName> names) {
    return names.stream().limit(5).map(TableName::toString).collect(Collectors.joining(", "))
        + (names.size() > 5 ? " and " + (names.size() - 5) + " more" : "");
  }

  /** The target's table or parts of it, if they are unlogged, without those that are on both. */
  private List<TableName> unlogged(TableName mine, boolean hypertable, TableName theirs)
      throws SQLException {
    if (unloggedThere == null) {
      unloggedHere = unlogged(source);
      unloggedThere = unlogged(target);
    }
    Set<TableName> here = unloggedHere.getOrDefault(mine, Set.of());
    return unloggedThere.getOrDefault(theirs, Set.of()).stream()
        // each side names its chunks by itself
        .filter(n -> hypertable ? here.isEmpty() : !here.contains(n))
        .toList();
  }

  /** What is unlogged, by each table that it is, or is a part of. */
  private static Map<TableName, Set<TableName>> unlogged(Connection connection)
      throws SQLException {
    Map<TableName, Set<TableName>> result = new HashMap<>();
    for (List<String> r :
        Sql.rows(
            connection,
            "with recursive up(part, whole) as ("
                + " select c.oid, c.oid from pg_catalog.pg_class c where c.relkind = 'r' and c.relpersistence = 'u'"
                + " union all select u.part, i.inhparent from up u join pg_catalog.pg_inherits i on i.inhrelid = u.whole)"
                + " select wn.nspname, w.relname, pn.nspname, p.relname from up u"
                + " join pg_catalog.pg_class w on w.oid = u.whole join pg_catalog.pg_namespace wn on wn.oid = w.relnamespace"
                + " join pg_catalog.pg_class p on p.oid = u.part join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace")) {
      result
          .computeIfAbsent(new TableName(r.get(0), r.get(1)), k -> new TreeSet<>())
          .add(new TableName(r.get(2), r.get(3)));
    }
    return result;
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

  private record ChunkPart(Chunk chunk, String predicate) {}

  /**
   * The chunks of a hypertable between the points, newest first, each with what they leave of it.
   */
  private List<ChunkPart> chunks(
      Table root, Hypertable h, Until since, Until until, List<TableName> leftOut)
      throws SQLException {
    Column column = Sql.column(root, h.column());
    Optional<Until.Point> end = until.point(source, h.known(), column, h.function());
    Optional<Until.Point> begin = since.point(source, h.known(), column, h.function());
    String name = TableName.quote(h.column());
    List<ChunkPart> result = new ArrayList<>();
    for (Chunk c : Hypertables.chunks(source, h.name())) {
      if (!c.name().schema().startsWith("_timescaledb_")) {
        throw new BackfillException(
            "hypertable "
                + h.known()
                + " keeps its chunks in schema "
                + c.name().schema()
                + " instead of TimescaleDB's own; leave it out with --filter");
      }
      if (end.isPresent() && c.low() >= end.get().internal()
          || begin.isPresent() && c.high() <= begin.get().internal()) {
        leftOut.add(c.name());
        continue;
      }
      result.add(
          new ChunkPart(
              c,
              Sql.and(
                  end.isPresent() && c.high() > end.get().internal()
                      ? name + " < " + end.get().literal()
                      : null,
                  begin.isPresent() && c.low() < begin.get().internal()
                      ? name + " >= " + begin.get().literal()
                      : null)));
    }
    return result;
  }

  private static TaskStore.Draft draft(Table root, TableName into, ChunkPart part, Order order) {
    return new TaskStore.Draft(
        into,
        part.chunk.name(),
        Task.Kind.CHUNK,
        null,
        null,
        part.predicate,
        false,
        Math.max(part.chunk.rows(), 0),
        part.chunk.bytes(),
        order.level(root.name()),
        order.cycle(root.name()),
        null,
        part.chunk.slices());
  }

  /** The relations of a table that hold rows, each with what T leaves of it. */
  private List<Part> parts(
      Table root,
      Until since,
      Until until,
      Map<TableName, Table> all,
      Map<TableName, String> timeColumns,
      List<TableName> leftOut)
      throws SQLException {
    // rows with a key are read by the source's partitions and find their place on the target; a
    // range without one is replaced, so it is one of the target's
    Connection side = root.keyed() ? source : target;
    Table top =
        root.keyed() ? root : Sql.known(targetCatalog.table(target, root.name()), root.name());
    String predicate = "true";
    Optional<PartitionBounds> bounds = Optional.empty();
    Optional<String> t = Optional.empty();
    Optional<String> f = Optional.empty();
    if (root.kind() != Table.Kind.PLAIN) {
      bounds = PartitionBounds.of(side, top);
      if (bounds.isPresent()) {
        t = until.literal(root.name(), bounds.get().column());
        f = since.literal(root.name(), bounds.get().column());
      }
    } else if (timeColumns.containsKey(root.name())) {
      String column = timeColumns.get(root.name());
      predicate =
          Sql.and(
              until
                  .literal(root.name(), Sql.column(root, column))
                  .map(x -> before(column, x))
                  .orElse(null),
              since
                  .literal(root.name(), Sql.column(root, column))
                  .map(x -> atOrAfter(column, x))
                  .orElse(null));
    }
    List<Part> result = new ArrayList<>();
    if (top.kind() != Table.Kind.PARTITIONED) {
      return List.of(new Part(top, predicate));
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
      PartitionBounds.Side end =
          t.isEmpty() ? PartitionBounds.Side.BEFORE : bounds.get().side(side, leaf.name(), t.get());
      PartitionBounds.Side begin =
          f.isEmpty() ? PartitionBounds.Side.AFTER : bounds.get().side(side, leaf.name(), f.get());
      if (end == PartitionBounds.Side.AFTER || begin == PartitionBounds.Side.BEFORE) {
        leftOut.add(leaf.name());
        continue;
      }
      result.add(
          new Part(
              leaf,
              bounds.isEmpty()
                  ? predicate
                  : Sql.and(
                      end == PartitionBounds.Side.STRADDLES
                          ? before(bounds.get().column().name(), t.get())
                          : null,
                      begin == PartitionBounds.Side.STRADDLES
                          ? atOrAfter(bounds.get().column().name(), f.get())
                          : null)));
    }
    return result;
  }

  private static String before(String column, String literal) {
    String c = TableName.quote(column);
    return c + " < " + literal + " or " + c + " is null";
  }

  /** Which rows of a table that is replaced by ranges are copied from there on. */
  static String copied(Connection target, Table table, Until since) throws SQLException {
    Optional<PartitionBounds> bounds =
        since.texts().isEmpty() ? Optional.empty() : PartitionBounds.of(target, table);
    return bounds
        .flatMap(
            b -> since.literal(table.name(), b.column()).map(f -> atOrAfter(b.column().name(), f)))
        .orElse("true");
  }

  /** Whether a leaf holds rows that are copied. */
  static boolean copied(Connection side, Table root, TableName leaf, Until since, Until until)
      throws SQLException {
    Optional<PartitionBounds> bounds = PartitionBounds.of(side, root);
    if (bounds.isEmpty()) {
      return true;
    }
    Optional<String> t = until.literal(root.name(), bounds.get().column());
    Optional<String> f = since.literal(root.name(), bounds.get().column());
    return (t.isEmpty() || bounds.get().side(side, leaf, t.get()) != PartitionBounds.Side.AFTER)
        && (f.isEmpty() || bounds.get().side(side, leaf, f.get()) != PartitionBounds.Side.BEFORE);
  }

  private static String atOrAfter(String column, String literal) {
    String c = TableName.quote(column);
    return c + " >= " + literal + " or " + c + " is null";
  }

  private List<TaskStore.Draft> split(Table root, Part part, Order order, int chunkRows)
      throws SQLException {
    List<List<String>> size =
        Sql.rows(
            source,
            "select pg_catalog.pg_table_size(c.oid), c.reltuples::bigint, c.oid from pg_catalog.pg_class c where c.oid ="
                + " pg_catalog.to_regclass("
                + Sql.literal(part.from.name().sql())
                + ")");
    long bytes = size.isEmpty() ? 0 : Long.parseLong(size.get(0).get(0));
    long rows = size.isEmpty() ? 0 : Long.parseLong(size.get(0).get(1));
    if (!root.keyed()) {
      String into =
          Sql.value(
              target,
              "select pg_catalog.to_regclass("
                  + Sql.literal(part.from.name().sql())
                  + ")::oid::bigint");
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
              order.cycle(root.name()),
              into == null ? null : Long.valueOf(into),
              null));
    }
    Long oid = size.isEmpty() ? null : Long.valueOf(size.get(0).get(2));
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
              order.cycle(root.name()),
              oid,
              null));
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
