package io.dualwrite.backfill;

import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The workers of one process: one more than there may be streams, so that one can claim, look at
 * the source again and commit while the others' rows flow. Each takes a task, copies it and marks
 * it done in one transaction on the target; whatever ends that transaction early costs this one
 * chunk, which somebody takes again.
 */
final class Copier {

  private static final Logger LOG = LoggerFactory.getLogger(Copier.class);

  /** Contention passes; anything else that still fails then will fail again. */
  private static final int TRANSIENT_ATTEMPTS = 30;

  private static final int OTHER_ATTEMPTS = 5;
  private static final long IDLE = TimeUnit.MILLISECONDS.toNanos(100);

  private final Sessions sources;
  private final Sessions targets;
  private final Catalog sourceCatalog;
  private final Catalog targetCatalog;
  private final Healer healer;
  private final CopyOptions options;
  private final Steps steps;
  private final RateLimit limit;
  private final Semaphore streams;
  private final SourceLoad load;
  private final LongAdder tasks = new LongAdder();
  private final LongAdder rows = new LongAdder();
  private final LongAdder bytes = new LongAdder();
  private final AtomicReference<Throwable> fatal = new AtomicReference<>();
  private final Set<String> told = ConcurrentHashMap.newKeySet();

  /** Tables whose rows are known to have their places; guarded by the lock. */
  private final Set<TableName> placed = new TreeSet<>();

  private final ReentrantLock placing = new ReentrantLock();
  private volatile boolean stop;

  Copier(
      Sessions sources,
      Sessions targets,
      Catalog sourceCatalog,
      Catalog targetCatalog,
      Healer healer,
      CopyOptions options,
      Steps steps) {
    this.sources = sources;
    this.targets = targets;
    this.sourceCatalog = sourceCatalog;
    this.targetCatalog = targetCatalog;
    this.healer = healer;
    this.options = options;
    this.steps = steps;
    this.limit = new RateLimit(options.maxRate());
    this.load = new SourceLoad(sources, options);
    this.streams = new Semaphore(options.parallelism());
  }

  CopyResult copy(Progress listener) throws SQLException {
    long began = System.nanoTime();
    try (Connection c = targets.getConnection()) {
      if (!TaskStore.installed(c) || TaskStore.staged(c).isEmpty()) {
        throw new BackfillException("nothing is staged on the target; run stage first");
      }
      if (options.retryFailed()) {
        TaskStore.retryFailed(c);
      }
    }
    load.check();
    List<Thread> workers = new ArrayList<>();
    // who forces an order of steps counts on the number of workers
    int spare = steps == Steps.NONE ? 1 : 0;
    for (int i = 1; i <= options.parallelism() + spare; i++) {
      Thread t = new Thread(this::work, "dualwrite-copy-" + i);
      t.setDaemon(true);
      workers.add(t);
      t.start();
    }
    ProgressMeter meter = new ProgressMeter();
    boolean interrupted = false;
    for (Thread t : workers) {
      while (t.isAlive()) {
        try {
          t.join(500);
        } catch (InterruptedException e) {
          // chunks under way are finished; what is left is for the next run
          interrupted = true;
          stop = true;
        }
        report(meter, listener);
      }
    }
    try (load) {
      return result(began, meter, listener);
    } finally {
      if (interrupted) { // only now: the driver does not connect for a thread that is interrupted
        Thread.currentThread().interrupt();
      }
    }
  }

  private CopyResult result(long began, ProgressMeter meter, Progress listener)
      throws SQLException {
    Throwable failure = fatal.get();
    if (failure != null) {
      throw failure instanceof BackfillException e
          ? e
          : new BackfillException("copy stopped: " + failure.getMessage(), failure);
    }
    try (Connection c = targets.getConnection()) {
      TaskStore.Totals totals = TaskStore.totals(c);
      listener.update(snapshot(meter, totals));
      if (totals.pending() == 0 && totals.failed() == 0) {
        requireStaged(c);
      }
      return new CopyResult(
          tasks.sum(),
          rows.sum(),
          bytes.sum(),
          Duration.ofNanos(System.nanoTime() - began),
          TaskStore.failedTasks(c),
          totals.pending());
    }
  }

  /**
   * Where a partition that was staged is gone, one that was made since may hold rows of its. That
   * it holds none is not looked for: to stage and copy it costs little.
   */
  private void requireStaged(Connection target) throws SQLException {
    TaskStore.Staged staged = TaskStore.staged(target).orElseThrow();
    Until until = Until.parse("--until", staged.until());
    Until since = Until.parse("--from", staged.since());
    List<TableName> come = new ArrayList<>();
    try (Connection source = sources.getConnection()) {
      for (TaskStore.Parts parts : TaskStore.parts(target)) {
        Connection side = parts.keyed() ? source : target;
        Optional<Table> root =
            (parts.keyed() ? sourceCatalog : targetCatalog).table(side, parts.table());
        if (root.isEmpty() || root.get().kind() != Table.Kind.PARTITIONED) {
          continue;
        }
        List<List<String>> leaves =
            Sql.rows(
                side,
                "select n.nspname, c.relname, c.oid from pg_catalog.pg_partition_tree("
                    + Sql.literal(root.get().name().sql())
                    + ") p join pg_catalog.pg_class c on c.oid = p.relid join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
                    + " where p.isleaf and c.relkind = 'r' order by 1, 2");
        Set<Long> now = new HashSet<>();
        leaves.forEach(leaf -> now.add(Long.valueOf(leaf.get(2))));
        if (now.containsAll(parts.oids())) {
          continue; // what came since holds what came since
        }
        for (List<String> leaf : leaves) {
          TableName name = new TableName(leaf.get(0), leaf.get(1));
          if (!parts.relations().contains(name)
              && !parts.oids().contains(Long.valueOf(leaf.get(2)))
              && Stager.copied(side, root.get(), name, since, until)
              && Sql.value(side, "select exists (select from " + name.sql() + ")").equals("t")) {
            come.add(name);
          }
        }
      }
    }
    if (!come.isEmpty()) {
      throw new BackfillException(
          "all that was staged is copied, but not what lay in "
              + come.stream().map(TableName::toString).collect(Collectors.joining(", "))
              + " before the application began to dual-write, as that was attached since then; run stage again, then copy");
    }
  }

  private void report(ProgressMeter meter, Progress listener) {
    try (Connection c = targets.getConnection()) {
      listener.update(snapshot(meter, TaskStore.totals(c)));
    } catch (SQLException e) {
      LOG.debug("no progress to report: {}", e.getMessage()); // the workers say what is wrong
    }
  }

  private Progress.Snapshot snapshot(ProgressMeter meter, TaskStore.Totals t) {
    return meter
        .at(t.done(), t.tasks(), t.failed(), rows.sum(), bytes.sum(), t.share())
        .withWaiting(Optional.ofNullable(load.latest()));
  }

  // ----------------------------------------------------------------------------------------------
  // a worker

  /** A worker's connections, opened when needed, thrown away when in doubt. */
  private final class Worker implements AutoCloseable {
    final String name =
        host() + "/" + ProcessHandle.current().pid() + "/" + Thread.currentThread().getName();
    final KeyedCopy keyed =
        new KeyedCopy(sourceCatalog, targetCatalog, limit, bytes::add, this::streamed, steps);
    final ChunkCopy chunks =
        new ChunkCopy(sourceCatalog, targetCatalog, told, keyed, healer, limit, bytes::add, steps);
    Connection source;
    Connection target;
    private boolean streams;

    /** Waits for its turn; before it claims, so that nobody waits for what it holds. */
    boolean turn() throws InterruptedException {
      streams = Copier.this.streams.tryAcquire(IDLE, TimeUnit.NANOSECONDS);
      return streams;
    }

    /** Its rows are through, or there are none: the next one's turn. */
    void streamed() {
      if (streams) {
        streams = false;
        Copier.this.streams.release();
      }
    }

    void open() throws SQLException {
      if (source == null) {
        source = sources.getConnection();
      }
      if (target == null) {
        target = targets.getConnection();
        Sql.execute(target, "set lock_timeout = " + options.lockTimeout().toMillis());
        target.setAutoCommit(false);
      }
    }

    @Override
    public void close() {
      discard();
    }

    void discard() {
      for (Connection c : new Connection[] {source, target}) {
        if (c != null) {
          try {
            c.close();
          } catch (SQLException e) {
            LOG.debug("closing: {}", e.getMessage()); // it was in doubt
          }
        }
      }
      source = null;
      target = null;
    }
  }

  private void work() {
    long reachable = System.nanoTime();
    try (Worker w = new Worker()) {
      while (!stop) {
        Task task = null;
        try {
          w.open();
          if (load.reason() != null) {
            reachable = System.nanoTime();
            LockSupport.parkNanos(IDLE);
            continue;
          }
          if (!w.turn()) {
            reachable = System.nanoTime();
            continue;
          }
          Optional<Task> claimed = TaskStore.claim(w.target);
          reachable = System.nanoTime();
          if (claimed.isEmpty()) {
            w.streamed();
            boolean left = TaskStore.totals(w.target).pending() > 0;
            w.target.commit();
            if (!left) {
              return;
            }
            LockSupport.parkNanos(IDLE);
            continue;
          }
          task = claimed.get();
          copy(w, task);
          w.streamed();
        } catch (SQLException | RuntimeException e) {
          w.streamed();
          w.discard();
          if (task == null) {
            if (e instanceof BackfillException b) {
              throw b; // to wait does not help
            }
            if (e instanceof SQLException s
                && s.getSQLState() != null
                && s.getSQLState().startsWith("42")) {
              throw new BackfillException(
                  "copy cannot take a chunk from dualwrite.task on the target: "
                      + e.getMessage()
                      + "; grant the role its use, or stage again if it is gone",
                  e);
            }
            if (System.nanoTime() - reachable > options.patience().toNanos()) {
              throw new BackfillException(
                  "copy gave up: a database could not be reached for "
                      + options.patience()
                      + ": "
                      + e.getMessage(),
                  e);
            }
            LOG.warn("copy waits for a database: {}", e.getMessage());
            LockSupport.parkNanos(5 * IDLE);
          } else {
            reachable = System.nanoTime(); // it was until then
            note(task, e);
          }
        }
      }
    } catch (Throwable e) {
      fatal.compareAndSet(null, e);
      stop = true;
    }
  }

  private void copy(Worker w, Task task) throws SQLException {
    long began = System.nanoTime();
    steps.at(Steps.Step.CLAIMED, task);
    healer.check();
    Copied copied;
    boolean rowsCame = false;
    Columns columns = new Columns(w, task);
    if (!task.resync().isEmpty()) {
      healer.resync(task.table(), task.resync());
      copied = Copied.NOTHING.withFinish(task.finish());
    } else if (!task.finish().isEmpty()) {
      ChunkCopy.finish(w.target, task.finish());
      copied = Copied.NOTHING;
    } else if (task.kind() == Task.Kind.INDEX) {
      Indexes.build(targets, w.target, task, options.lockTimeout());
      copied = Copied.NOTHING;
    } else if (task.kind() == Task.Kind.CHUNK) {
      copied = w.chunks.run(w.source, w.target, task);
      rowsCame = true;
    } else if (task.kind() == Task.Kind.KEYED) {
      Optional<TableName> from = now(w.source, task, "source");
      copied =
          from.isEmpty()
              ? Copied.NOTHING
              : w.keyed.run(w.source, w.target, task.at(from.get()), null);
      rowsCame = true;
    } else {
      requirePlaces(w, task.table());
      Optional<TableName> into = now(w.target, task, "target");
      if (into.isEmpty() && gone(w.source, task.from())) {
        LOG.info("partition {} is on neither side any more: nothing to copy", task.from());
        copied = Copied.NOTHING;
      } else {
        copied = w.chunks.recopy(w.source, w.target, task.at(into.orElse(task.from())));
        rowsCame = true;
      }
    }
    Sql.execute(w.target, Sessions.searchPath(null));
    if (rowsCame) {
      columns.require(w, task);
    }
    TaskStore.copied(w.target, task, copied, w.name, System.nanoTime() - began);
    steps.at(Steps.Step.MARKED, task);
    w.target.commit();
    rows.add(copied.rows());
    if (copied.resync().isEmpty() && copied.finish().isEmpty()) {
      tasks.increment();
      analyze(w, task.table());
    }
  }

  /**
   * Asked once for each table, as the answer may take a look at many rows. With --from the target
   * may lack the partitions of what is left behind.
   */
  private void requirePlaces(Worker w, TableName table) throws SQLException {
    placing.lock();
    try {
      if (!placed.contains(table)) {
        List<String> from =
            TaskStore.staged(w.target).map(TaskStore.Staged::since).orElse(List.of());
        healer.requirePlaces(
            table,
            Stager.copied(
                w.target,
                Sql.known(targetCatalog.table(w.target, table), table),
                Until.parse("--from", from)));
        placed.add(table);
      }
    } finally {
      placing.unlock();
    }
  }

  private static boolean gone(Connection c, TableName name) throws SQLException {
    return Sql.value(c, "select pg_catalog.to_regclass(" + Sql.literal(name.sql()) + ")") == null;
  }

  /** Whether the tables still have the columns that they had when a task began. */
  private final class Columns {
    private final Map<TableName, List<String>> source;
    private final Map<TableName, List<String>> target;

    Columns(Worker w, Task task) throws SQLException {
      Set<TableName> names = new TreeSet<>(List.of(task.table(), task.from()));
      source = Schema.columns(w.source, names);
      target = Schema.columns(w.target, names);
      // what others read of the catalogs may be older
      if (!known(w.source, sourceCatalog, source) || !known(w.target, targetCatalog, target)) {
        forgetCatalogs();
      }
    }

    private static boolean known(
        Connection c, Catalog catalog, Map<TableName, List<String>> columns) throws SQLException {
      for (Map.Entry<TableName, List<String>> e : columns.entrySet()) {
        Optional<Table> t = catalog.table(c, e.getKey());
        if (t.isPresent()
            && !t.get().columns().stream().map(Column::name).toList().equals(e.getValue())) {
          return false;
        }
      }
      return true;
    }

    /**
     * One that was added since then would be left to its default, which may be another than the
     * source's rows have.
     */
    void require(Worker w, Task task) throws SQLException {
      Columns now = new Columns(w, task);
      if (!source.equals(now.source) || !target.equals(now.target)) {
        throw new SQLException(task.table() + " got other columns while it was copied", "40001");
      }
    }
  }

  private void forgetCatalogs() {
    sourceCatalog.invalidate();
    targetCatalog.invalidate();
  }

  /**
   * What a task's relation is called now; empty if it is a partition that was dropped since it was
   * staged (retention), or detached: nothing is left to copy into the table then.
   *
   * @param where the side that was staged: the source, or for rows without a key the target
   */
  private static Optional<TableName> now(Connection side, Task task, String where)
      throws SQLException {
    if (task.from().equals(task.table())) {
      return Optional.of(task.from());
    }
    String root = "pg_catalog.to_regclass(" + Sql.literal(task.table().sql()) + ")";
    String same = "c.oid = " + (task.oid() == null ? "null" : task.oid());
    List<List<String>> found =
        Sql.rows(
            side,
            "select n.nspname, c.relname, p.part from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
                // without its root it is for the copy to fail
                + " cross join lateral (select coalesce(pg_catalog.pg_partition_root(c.oid) = "
                + root
                + ", "
                + root
                + " is null) as part) p where "
                + same
                // one of that name may stand in its place
                + " or c.oid = pg_catalog.to_regclass("
                + Sql.literal(task.from().sql())
                + ") order by p.part desc, ("
                + same
                + ") desc nulls last limit 1");
    if (found.isEmpty()) {
      LOG.info("partition {} is no longer on the {}", task.from(), where);
      return Optional.empty();
    }
    TableName name = new TableName(found.get(0).get(0), found.get(0).get(1));
    if (!found.get(0).get(2).equals("t")) {
      LOG.warn(
          "{} is no longer a partition of {} on the {} and is not copied into it; stage again to copy it as a table of its own",
          name,
          task.table(),
          where);
      return Optional.empty();
    }
    return Optional.of(name);
  }

  /**
   * Once a table has no chunk left: the planner, and the operator's own checks, want statistics.
   */
  private void analyze(Worker w, TableName table) throws SQLException {
    boolean last = TaskStore.finished(w.target, table);
    w.target.commit();
    if (!last) {
      return;
    }
    try {
      w.target.setAutoCommit(true);
      Sql.execute(w.target, "analyze " + table.sql());
    } catch (SQLException e) {
      LOG.warn("analyze of {} failed: {}", table, e.getMessage());
    } finally {
      w.target.setAutoCommit(false);
    }
  }

  /** The claim is rolled back with everything else; the failure is noted apart from it. */
  private void note(Task task, Exception e) {
    String state = e instanceof SQLException s && s.getSQLState() != null ? s.getSQLState() : "";
    boolean passing =
        state.startsWith("08")
            || state.startsWith("40")
            || state.startsWith("53")
            || state.startsWith("57")
            || state.equals("55P03")
            || state.equals("23503")
            || state.equals("23505")
            || state.equals("25P03");
    forgetCatalogs(); // it may have been for what they are not any more
    int attempt = task.attempts() + 1;
    boolean park = attempt >= (passing ? TRANSIENT_ATTEMPTS : OTHER_ATTEMPTS);
    long delay =
        Math.min(10_000, 50L << Math.min(attempt, 8)) + ThreadLocalRandom.current().nextLong(100);
    String error = e.getMessage() == null ? e.toString() : e.getMessage();
    if (park) {
      LOG.error("chunk {} is parked after {} attempts: {}", task.describe(), attempt, error);
    } else {
      LOG.info("chunk {} is tried again: {}", task.describe(), error);
    }
    try (Connection c = targets.getConnection()) {
      TaskStore.failed(c, task.id(), error, park, delay);
    } catch (SQLException second) {
      // it stays pending, which is the truth; the next claim says what is wrong with the target
      LOG.warn(
          "the failure of chunk {} could not be noted: {}", task.describe(), second.getMessage());
    }
  }

  private static String host() {
    try {
      return InetAddress.getLocalHost().getHostName();
    } catch (UnknownHostException e) {
      return "localhost"; // only a label
    }
  }
}
