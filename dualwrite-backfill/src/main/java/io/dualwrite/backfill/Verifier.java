package io.dualwrite.backfill;

import io.dualwrite.backfill.Hypertables.Hypertable;
import io.dualwrite.backfill.VerifyResult.Difference;
import io.dualwrite.backfill.VerifyResult.TableResult;
import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.control.ControlSchema;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;

/** Compares every table, range by range, on several connections to each side. */
final class Verifier {

  /**
   * Chunks of a table that are compared at once, at most: a question for each would cost a tenth.
   */
  private static final int TOGETHER = 8;

  /** But so that each worker has so many ranges of the table. */
  private static final int RANGES_EACH = 4;

  private final Sessions sources;
  private final Sessions targets;
  private final Catalog sourceCatalog;
  private final Catalog targetCatalog;
  private final Healer healer;
  private final VerifyOptions options;

  private final Map<TableName, Tally> tallies = new TreeMap<>();
  private final AtomicLong done = new AtomicLong();
  private final AtomicLong different = new AtomicLong();
  private final LongAdder rows = new LongAdder();
  private final RangeCheck.Turns turns;
  private final RateLimit limit;
  private final Queue<Lines> idle = new ConcurrentLinkedQueue<>();

  Verifier(
      Sessions sources,
      Sessions targets,
      Catalog sourceCatalog,
      Catalog targetCatalog,
      Healer healer,
      VerifyOptions options) {
    this.sources = sources;
    this.targets = targets;
    this.sourceCatalog = sourceCatalog;
    this.targetCatalog = targetCatalog;
    this.healer = healer;
    this.options = options;
    limit = new RateLimit(options.maxRate());
    turns =
        new RangeCheck.Turns(
            new RangeCheck.Turn(options.parallelism()), new RangeCheck.Turn(options.parallelism()));
  }

  /** What was found of one table so far. */
  private final class Tally {
    private final ReentrantLock lock = new ReentrantLock();
    private final TableName table;
    private long sourceRows;
    private long targetRows;
    private long differing;
    private long repaired;
    private final List<Difference> differences = new ArrayList<>();
    private String error;

    Tally(TableName table) {
      this.table = table;
    }

    void add(RangeCheck.Outcome o) {
      lock.lock();
      try {
        sourceRows += o.sourceRows();
        targetRows += o.targetRows();
        differing += o.differences().size() + (o.more() ? 1 : 0);
        repaired += o.repaired();
        for (Difference d : o.differences()) {
          if (differences.size() < options.maxDifferences()) {
            differences.add(d);
          }
        }
        if (o.error() != null && error == null) {
          error = o.error();
        }
      } finally {
        lock.unlock();
      }
    }

    void count(long here, long there) {
      lock.lock();
      try {
        sourceRows += here;
        targetRows += there;
      } finally {
        lock.unlock();
      }
    }

    void fail(String message) {
      lock.lock();
      try {
        error = error == null ? message : error;
      } finally {
        lock.unlock();
      }
    }

    TableResult result() {
      lock.lock();
      try {
        return new TableResult(
            table,
            sourceRows,
            targetRows,
            differing,
            repaired,
            differences,
            Optional.ofNullable(error));
      } finally {
        lock.unlock();
      }
    }
  }

  VerifyResult verify(Progress listener) throws SQLException {
    long began = System.nanoTime();
    if (options.repair()) {
      try (Connection t = targets.getConnection()) {
        ControlSchema.install(t); // a recopy records its snapshot there
      }
    }
    List<RangeCheck.Range> ranges = ranges();
    long skipped = 0;
    try (Connection t = targets.getConnection()) {
      if (TaskStore.installed(t)) {
        Set<Long> equal = TaskStore.beginVerify(t, options.method().name(), options.resume());
        long all = ranges.size();
        ranges.removeIf(r -> !r.tasks().isEmpty() && equal.containsAll(r.tasks()));
        skipped = all - ranges.size();
      }
    }
    ProgressMeter meter = new ProgressMeter();
    // one more than each side has turns: neither side waits for the other to end with a range
    int threads = options.parallelism() + 1;
    ExecutorService workers = Executors.newFixedThreadPool(threads, daemons("dualwrite-verify"));
    ExecutorService others =
        Executors.newFixedThreadPool(threads, daemons("dualwrite-verify-target"));
    try {
      List<Future<?>> futures = new ArrayList<>();
      for (RangeCheck.Range range : ranges) {
        futures.add(workers.submit(() -> check(range, others)));
      }
      for (Future<?> f : futures) {
        while (!finished(f)) {
          listener.update(snapshot(meter, ranges.size()));
        }
      }
    } finally {
      workers.shutdownNow();
      others.shutdownNow();
      for (Lines l = idle.poll(); l != null; l = idle.poll()) {
        l.close();
      }
    }
    listener.update(snapshot(meter, ranges.size()));
    return new VerifyResult(
        tallies.values().stream().map(Tally::result).toList(),
        skipped,
        Duration.ofNanos(System.nanoTime() - began));
  }

  private static java.util.concurrent.ThreadFactory daemons(String name) {
    AtomicLong n = new AtomicLong();
    return r -> {
      Thread t = new Thread(r, name + "-" + n.incrementAndGet());
      t.setDaemon(true);
      return t;
    };
  }

  private static boolean finished(Future<?> f) throws SQLException {
    try {
      f.get(500, TimeUnit.MILLISECONDS);
      return true;
    } catch (TimeoutException e) {
      return false;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new BackfillException("verify was interrupted", e);
    } catch (ExecutionException e) {
      throw new BackfillException("verify failed: " + e.getCause(), e.getCause());
    }
  }

  private Progress.Snapshot snapshot(ProgressMeter meter, int total) {
    long d = done.get();
    return meter.at(d, total, different.get(), rows.sum(), 0, total == 0 ? 1 : (double) d / total);
  }

  /** A connection to each side, lent to one range after the other. */
  private final class Lines implements AutoCloseable {
    final Connection source;
    final Connection target;

    Lines() throws SQLException {
      source = sources.getConnection();
      try {
        target = targets.getConnection();
      } catch (SQLException | RuntimeException e) {
        source.close();
        throw e;
      }
    }

    @Override
    public void close() throws SQLException {
      try (source) {
        target.close();
      }
    }
  }

  private void check(RangeCheck.Range range, ExecutorService others) {
    Tally tally = tallies.get(range.source().name());
    try {
      Lines lines = idle.poll();
      if (lines == null) {
        lines = new Lines();
      }
      RangeCheck.Outcome o;
      try {
        RangeCheck check =
            new RangeCheck(lines.source, lines.target, healer, options, others, turns, range);
        o = check.run();
        limit.pass(check.bytes());
        if (!range.tasks().isEmpty()) {
          TaskStore.verified(lines.target, range.tasks(), o.equal());
        }
      } catch (SQLException | RuntimeException e) {
        lines.close(); // in doubt
        throw e;
      }
      idle.add(lines);
      rows.add(o.sourceRows() + o.targetRows());
      tally.add(o);
      if (!o.equal()) {
        different.incrementAndGet();
      }
    } catch (SQLException | BackfillException e) {
      different.incrementAndGet();
      tally.fail("could not be compared: " + e.getMessage());
    } finally {
      done.incrementAndGet();
    }
  }

  // ----------------------------------------------------------------------------------------------
  // what to compare

  private List<RangeCheck.Range> ranges() throws SQLException {
    try (Connection s = sources.getConnection();
        Connection t = targets.getConnection()) {
      Map<TableName, List<Task>> tasks = new HashMap<>();
      String filter = options.filter();
      if (TaskStore.installed(t)) {
        for (Task task : TaskStore.all(t)) {
          if (task.kind() == Task.Kind.INDEX) {
            continue;
          }
          tasks.computeIfAbsent(task.table(), k -> new ArrayList<>()).add(task);
        }
        if (filter == null) {
          filter = TaskStore.staged(t).map(TaskStore.Staged::filter).orElse(null);
        }
      }
      boolean bytes =
          !Sql.value(s, "show server_encoding").equals(Sql.value(t, "show server_encoding"));
      List<RangeCheck.Range> result = new ArrayList<>();
      TableFilter wanted = TableFilter.of(filter);
      Set<TableName> staged = options.filter() == null ? tasks.keySet() : Set.of();
      Stager stager = new Stager(s, t, sourceCatalog, targetCatalog);
      Stager.Scope everything = Stager.look(s, sourceCatalog, n -> true, false, false);
      Map<TableName, TableName> names = stager.targets(everything);
      Set<TableName> also = new HashSet<>();
      everything
          .hypertables()
          .values()
          .forEach(
              h -> {
                if (staged.contains(names.get(h.name()))) {
                  also.add(h.known());
                }
              });
      Stager.Scope scope =
          Stager.scope(s, sourceCatalog, n -> wanted.test(n) || also.contains(n), false, false);
      for (Table source : scope.roots()) {
        Hypertable h = scope.hypertables().get(source.name());
        TableName name = h == null ? source.name() : h.known();
        Tally tally = new Tally(name);
        tallies.put(source.name(), tally);
        Optional<Table> target =
            names.containsKey(source.name())
                ? targetCatalog.table(t, names.get(source.name()))
                : Optional.empty();
        if (target.isEmpty()) {
          tally.fail(
              h == null || targetCatalog.table(t, name).isEmpty()
                  ? "is missing on the target"
                  : "is no hypertable on the target");
          continue;
        }
        List<String> missing =
            source.writableColumns().stream()
                .map(Column::name)
                .filter(c -> target.get().column(c).isEmpty())
                .toList();
        if (!missing.isEmpty()) {
          tally.fail("column " + String.join(", ", missing) + " is missing on the target");
          continue;
        }
        if (options.method() == VerifyOptions.Method.CHECKSUM
            && source.keyed()
            && !Schema.sameKey(source, target.get())) {
          tally.fail(Schema.noKey(source)); // and its rows are compared all the same
        }
        List<Task> own = tasks.getOrDefault(target.get().name(), List.of());
        RowHash hash = new RowHash(source, bytes);
        if (options.method() == VerifyOptions.Method.ESTIMATE) {
          estimate(s, t, source, target.get(), tally);
        } else if (h != null) {
          result.addAll(chunks(s, t, source, target.get(), own, hash));
        } else {
          result.addAll(ranges(s, t, source, target.get(), own, hash));
        }
      }
      return result;
    }
  }

  private List<RangeCheck.Range> ranges(
      Connection s, Connection t, Table source, Table target, List<Task> tasks, RowHash hash)
      throws SQLException {
    Map<TableName, String> mine = leaves(s, sourceCatalog, source);
    boolean alike = mine.equals(leaves(t, targetCatalog, target));
    List<RangeCheck.Range> result = new ArrayList<>();
    if (!alike) {
      // divided differently: as a whole; to recopy, the target's own leaves count
      result.add(
          new RangeCheck.Range(
              source,
              target,
              source.name().sql(),
              target.name().sql(),
              "true",
              "true",
              target.name(),
              tasks.stream().map(Task::id).toList(),
              hash,
              List.of()));
      return result;
    }
    for (TableName leaf : mine.keySet()) {
      List<Task> own =
          tasks.stream()
              .filter(x -> x.from().equals(leaf))
              .sorted(Comparator.comparing(Task::id))
              .toList();
      String from = "only " + leaf.sql();
      Function<List<Long>, RangeCheck.Range> whole =
          ids ->
              new RangeCheck.Range(
                  source, target, from, from, "true", "true", leaf, ids, hash, List.of());
      if (source.keyed() && divided(source, own)) {
        int together =
            Math.max(1, Math.min(TOGETHER, own.size() / (RANGES_EACH * options.parallelism())));
        for (int i = 0; i < own.size(); i += together) {
          List<Task> some = own.subList(i, Math.min(i + together, own.size()));
          List<String> low = some.get(0).low();
          List<String> high = some.get(some.size() - 1).high();
          result.add(
              new RangeCheck.Range(
                  source,
                  target,
                  from,
                  from,
                  Sql.range(source, source.key(), low, high),
                  Sql.range(target, source.key(), low, high),
                  leaf,
                  some.stream().map(Task::id).toList(),
                  hash,
                  List.of()));
        }
      } else if (!source.keyed() && own.size() == 1 && !own.get(0).predicate().equals("true")) {
        String predicate = own.get(0).predicate();
        String rest = "(" + predicate + ") is not true";
        result.add(
            new RangeCheck.Range(
                source,
                target,
                from,
                from,
                predicate,
                predicate,
                leaf,
                List.of(own.get(0).id()),
                hash,
                List.of()));
        result.add(
            new RangeCheck.Range(
                source, target, from, from, rest, rest, leaf, List.of(), hash, List.of()));
      } else {
        result.add(whole.apply(own.stream().map(Task::id).toList()));
      }
    }
    return result;
  }

  /**
   * The chunks of a hypertable, by their place; those that only one side has, or that are cut
   * otherwise there, all together.
   */
  private static List<RangeCheck.Range> chunks(
      Connection s, Connection t, Table source, Table target, List<Task> tasks, RowHash hash)
      throws SQLException {
    Map<TableName, List<Long>> ids = new HashMap<>();
    for (Task task : tasks) {
      ids.computeIfAbsent(task.from(), k -> new ArrayList<>()).add(task.id());
    }
    Map<String, Hypertables.Chunk> theirs = new LinkedHashMap<>();
    for (Hypertables.Chunk c : Hypertables.chunks(t, target.name())) {
      theirs.put(c.slices(), c);
    }
    List<RangeCheck.Range> result = new ArrayList<>();
    List<RangeCheck.Place> rest = new ArrayList<>();
    List<Long> restIds = new ArrayList<>();
    for (Hypertables.Chunk c : Hypertables.chunks(s, source.name())) {
      Hypertables.Chunk same = theirs.remove(c.slices());
      RangeCheck.Place place = new RangeCheck.Place(c.slices(), c, same);
      List<Long> of = ids.getOrDefault(c.name(), List.of());
      if (same == null) {
        rest.add(place);
        restIds.addAll(of);
      } else {
        result.add(RangeCheck.Range.of(source, target, List.of(place), of, hash));
      }
    }
    theirs.values().forEach(c -> rest.add(new RangeCheck.Place(c.slices(), null, c)));
    if (!rest.isEmpty()) {
      result.add(RangeCheck.Range.of(source, target, rest, restIds, hash));
    }
    return result;
  }

  /** A tenth more or less is what the statistics may be wrong by. */
  private static void estimate(Connection s, Connection t, Table source, Table target, Tally tally)
      throws SQLException {
    long mine = estimate(s, source);
    long theirs = estimate(t, target);
    tally.count(Math.max(mine, 0), Math.max(theirs, 0));
    if (mine < 0 || theirs < 0) {
      tally.fail("has no statistics on the " + (mine < 0 ? "source" : "target") + "; ANALYZE it");
    } else if (Math.abs(mine - theirs) > Math.max(10, Math.max(mine, theirs) / 10)) {
      tally.fail("about " + mine + " rows on the source and " + theirs + " on the target");
    }
  }

  private static long estimate(Connection c, Table table) throws SQLException {
    if (table.kind() == Table.Kind.PLAIN && Hypertables.present(c)) {
      String n =
          Sql.value(
              c,
              "select case when exists (select from pg_catalog.pg_inherits where inhparent = "
                  + table.oid()
                  + ") then "
                  + Hypertables.function(c, "approximate_row_count")
                  + "("
                  + table.oid()
                  + "::oid::regclass) end");
      if (n != null) {
        return Long.parseLong(n);
      }
    }
    return Long.parseLong(
        Sql.value(
            c,
            "select case when bool_and(k.reltuples < 0) then -1 else sum(greatest(k.reltuples, 0)) end::bigint from pg_catalog.pg_class k where k.relkind = 'r' and (k.oid = "
                + table.oid()
                + " or k.oid in (select relid from pg_catalog.pg_partition_tree("
                + table.oid()
                + "::oid::regclass)))"));
  }

  /** Whether the tasks' key ranges cover all keys and mean the same rows on both sides. */
  private static boolean divided(Table source, List<Task> tasks) {
    if (tasks.size() < 2 || !Schema.ordered(source, source.key())) {
      return false;
    }
    List<String> end = null;
    for (int i = 0; i < tasks.size(); i++) {
      List<String> low = tasks.get(i).low();
      if (i == 0 ? low != null : low == null || !low.equals(end)) {
        return false;
      }
      end = tasks.get(i).high();
    }
    return end == null;
  }

  /** What holds the table's rows: itself, or its partitions with their constraints. */
  private static Map<TableName, String> leaves(Connection c, Catalog catalog, Table table)
      throws SQLException {
    return table.kind() == Table.Kind.PARTITIONED
        ? Partitions.constraints(c, catalog, table.name())
        : Map.of(table.name(), "");
  }
}
