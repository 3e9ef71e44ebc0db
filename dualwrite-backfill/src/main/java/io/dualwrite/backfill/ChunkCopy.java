package io.dualwrite.backfill;

import io.dualwrite.backfill.Hypertables.Chunk;
import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.converge.RecopyResult;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.IntConsumer;
import java.util.function.LongConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Copies a chunk of a hypertable into the target's chunk of the same place.
 *
 * <ul>
 *   <li>With a key, where the target has rows already: as any keyed range ({@link KeyedCopy}),
 *       while writers change it.
 *   <li>Where the target's chunk is empty, as it is for history, or where there is no key, or where
 *       the source's chunk is compressed: the range is replaced under a lock of the target's chunk
 *       alone, which is the fastest way. Compressed rows have no version that could be read twice
 *       and no lock that could be held. Writers that want a row of that chunk meanwhile wait for
 *       the lock timeout of their flush, after which their unit of work is pending and made good by
 *       key.
 * </ul>
 *
 * <p>The target's chunk is decompressed first if it is compressed, and compressed again, or frozen,
 * when the copy is committed: in a transaction of its own, because it locks out readers.
 *
 * <p>The invalidation logs of continuous aggregates are left alone, where the version can: their
 * materializations are copied as they are.
 *
 * <p>Not thread-safe: one per worker.
 */
final class ChunkCopy {

  private static final Logger LOG = LoggerFactory.getLogger(ChunkCopy.class);

  private final Catalog sourceCatalog;
  private final Catalog targetCatalog;
  private final Set<String> told;
  private final KeyedCopy keyed;
  private final Healer healer;
  private final RateLimit limit;
  private final LongConsumer meter;
  private final Steps steps;

  /**
   * For a worker.
   *
   * @param told why compressed chunks travelled as rows so far, of all workers
   */
  ChunkCopy(
      Catalog sourceCatalog,
      Catalog targetCatalog,
      Set<String> told,
      KeyedCopy keyed,
      Healer healer,
      RateLimit limit,
      LongConsumer meter,
      Steps steps) {
    this.sourceCatalog = sourceCatalog;
    this.targetCatalog = targetCatalog;
    this.told = told;
    this.keyed = keyed;
    this.healer = healer;
    this.limit = limit;
    this.meter = meter;
    this.steps = steps;
  }

  Copied run(Connection source, Connection target, Task task) throws SQLException {
    Sql.execute(source, Sessions.searchPath(null));
    Sql.execute(target, Sessions.searchPath(null));
    Optional<Chunk> found = Hypertables.chunk(source, task.from());
    if (task.slices() != null && !found.map(Chunk::slices).equals(Optional.of(task.slices()))) {
      TableName hypertable = hypertable(source, target, task.table());
      List<Chunk> others = Hypertables.overlapping(source, hypertable, task.slices());
      if (!others.isEmpty()) {
        return merged(target, task, hypertable, others.get(0));
      }
    }
    if (found.isEmpty()) {
      LOG.info("chunk {} is no longer on the source: nothing to copy", task.from());
      return Copied.NOTHING;
    }
    Chunk mine = found.get();
    TableName chunk = Hypertables.create(target, task.table(), mine.slices());
    Chunk theirs = thaw(target, chunk);
    Hypertables.invalidation(target, false);
    Table from = Sql.known(sourceCatalog.table(source, task.from()), task.from());
    Copied copied =
        mine.compressed() && task.attempts() < KeyedCopy.CAREFUL
            ? asItIs(source, target, task, from, theirs)
            : null;
    if (copied == null) {
      decompress(target, chunk);
      copied =
          from.keyed()
                  && !mine.compressed()
                  && (task.attempts() >= KeyedCopy.CAREFUL || some(target, chunk))
              ? keyed.run(source, target, task, chunk)
              : replace(source, target, task, chunk);
    }
    Hypertables.invalidation(target, true);
    Sql.execute(target, Sessions.searchPath(null));
    return copied.withFinish(left(target, task.table(), mine, theirs));
  }

  /** The source's hypertable; that of a continuous aggregate may have another name there. */
  private static TableName hypertable(Connection source, Connection target, TableName table)
      throws SQLException {
    TableName known =
        Hypertables.all(target).stream()
            .filter(h -> h.name().equals(table))
            .findFirst()
            .orElseThrow()
            .known();
    return Hypertables.all(source).stream()
        .filter(h -> h.known().equals(known))
        .findFirst()
        .orElseThrow(() -> new BackfillException(known + " is no hypertable on the source now"))
        .name();
  }

  /**
   * What was staged as one chunk lies in others since then (merge_chunks): its place is filled from
   * them.
   */
  private Copied merged(Connection target, Task task, TableName hypertable, Chunk mine)
      throws SQLException {
    if (!hypertable.equals(task.table())) { // the range is read by the target's name
      throw new BackfillException(
          "chunk "
              + task.from()
              + " of "
              + hypertable
              + " was merged with others after it was staged, and the hypertable is called "
              + task.table()
              + " on the target; run clean, drop the target's empty chunks, and stage again");
    }
    TableName chunk = Hypertables.create(target, task.table(), task.slices());
    Chunk theirs = thaw(target, chunk);
    Hypertables.invalidation(target, false);
    decompress(target, chunk);
    RecopyResult r = healer.recopy(target, chunk, task.predicate());
    steps.at(Steps.Step.INSERTED, task);
    Hypertables.invalidation(target, true);
    Sql.execute(target, Sessions.searchPath(null));
    return new Copied(r.rows(), 0, r.rows(), 0, List.of(), List.of())
        .withFinish(left(target, task.table(), mine, theirs));
  }

  /** Compressed as it is; null if rows have to travel. */
  private Copied asItIs(Connection source, Connection target, Task task, Table from, Chunk theirs)
      throws SQLException {
    if (!task.predicate().equals("true") || !Hypertables.compression(target, task.table())) {
      return null; // T cuts it
    }
    CompressedCopy copy =
        new CompressedCopy(
            source,
            target,
            task.from(),
            Sql.known(targetCatalog.table(target, theirs.name()), theirs.name()),
            from.columns().stream().map(Column::name).toList());
    if (!copy.prepare(theirs.compressed())) {
      if (told.add(task.table() + ": " + copy.why())) {
        LOG.warn(
            "compressed chunks of {} travel as rows and are compressed again, {} for one: {}",
            task.table(),
            task.from(),
            copy.why());
      }
      return null;
    }
    return recopied(
        source,
        task,
        passing ->
            healer.recopy(
                source,
                target,
                theirs.name(),
                task.from(),
                p -> {
                  steps.at(Steps.Step.READ, task);
                  return copy.transfer(p, passing);
                }));
  }

  /** How a chunk is replaced; told how many bytes pass. */
  @FunctionalInterface
  private interface Replacement {
    RecopyResult run(IntConsumer passing) throws SQLException;
  }

  /** A range without a key, of a table or partition. */
  Copied recopy(Connection source, Connection target, Task task) throws SQLException {
    return recopied(
        source,
        task,
        passing -> healer.recopy(source, target, task.from(), task.predicate(), null, passing));
  }

  private Copied recopied(Connection source, Task task, Replacement replacement)
      throws SQLException {
    long[] bytes = {0};
    source.setAutoCommit(false);
    RecopyResult r =
        replacement.run(
            n -> {
              limit.pass(n);
              meter.accept(n);
              bytes[0] += n;
            });
    source.setAutoCommit(true);
    steps.at(Steps.Step.INSERTED, task);
    return new Copied(r.rows(), bytes[0], r.rows(), 0, List.of(), List.of());
  }

  /**
   * Makes the target's chunk one that takes rows; in the transaction that does so.
   *
   * @return what it was before
   */
  private static Chunk thaw(Connection target, TableName chunk) throws SQLException {
    // whoever compresses it waits from here on
    Sql.execute(target, "lock table only " + chunk.sql() + " in row exclusive mode");
    Chunk theirs = Hypertables.chunk(target, chunk).orElseThrow();
    if (theirs.frozen()) {
      Sql.value(
          target, "select _timescaledb_functions.unfreeze_chunk(" + Sql.literal(chunk.sql()) + ")");
    }
    return theirs;
  }

  /** And one whose rows can be deleted. */
  private static void decompress(Connection target, TableName chunk) throws SQLException {
    if (Hypertables.chunk(target, chunk).orElseThrow().compressed()) {
      Sql.value(
          target,
          "select "
              + Hypertables.function(target, "decompress_chunk")
              + "("
              + Sql.literal(chunk.sql())
              + ", true)");
    }
  }

  private static boolean some(Connection target, TableName chunk) throws SQLException {
    return Sql.value(target, "select exists (select from " + chunk.sql() + ")").equals("t");
  }

  /** What is to be done with a chunk once it is filled. */
  private static List<String> left(
      Connection target, TableName hypertable, Chunk mine, Chunk theirs) throws SQLException {
    List<String> finish = new ArrayList<>();
    boolean compressed = theirs.compressed() || mine != null && mine.compressed();
    if (compressed
        && !Hypertables.chunk(target, theirs.name()).orElseThrow().wholly()
        && Hypertables.compression(target, hypertable)) {
      finish.add("compress");
    }
    if (theirs.frozen() || mine != null && mine.frozen()) {
      finish.add("freeze");
    }
    if (!finish.isEmpty()) {
      finish.addAll(0, List.of(theirs.name().schema(), theirs.name().name()));
    }
    return finish;
  }

  /**
   * Makes the target's chunk hold what the source's does, in transactions of its own.
   *
   * @param source without autocommit
   * @param there the source's hypertable; that of a continuous aggregate has another's name,
   *     perhaps
   * @param slices the chunk's place
   * @param from the source's chunk, or null if it has none there
   */
  static void repair(
      Connection source,
      Connection target,
      Healer healer,
      TableName there,
      TableName hypertable,
      String slices,
      TableName from)
      throws SQLException {
    Chunk mine = from == null ? null : Hypertables.chunk(source, from).orElse(null);
    source.commit();
    Sql.execute(target, Sessions.searchPath(null));
    TableName chunk = Hypertables.create(target, hypertable, slices);
    Chunk theirs = thaw(target, chunk);
    decompress(target, chunk);
    if (mine == null) {
      // whatever the source has of that range, wherever it is there
      healer.recopy(source, target, chunk, Hypertables.range(target, chunk), there, n -> {});
    } else {
      healer.recopy(source, target, chunk, "true", from, n -> {});
    }
    Sql.execute(target, Sessions.searchPath(null));
    List<String> left = left(target, hypertable, mine, theirs);
    target.commit();
    finish(target, left);
    target.commit();
  }

  private Copied replace(Connection source, Connection target, Task task, TableName chunk)
      throws SQLException {
    return recopied(
        source,
        task,
        passing -> healer.recopy(source, target, chunk, task.predicate(), task.from(), passing));
  }

  /** Brings the target's chunk into the state that the source's was copied in. */
  static void finish(Connection target, List<String> what) throws SQLException {
    if (what.isEmpty()) {
      return;
    }
    TableName chunk = new TableName(what.get(0), what.get(1));
    Sql.execute(target, Sessions.searchPath(null));
    if (Hypertables.chunk(target, chunk).isEmpty()) {
      return; // dropped meanwhile
    }
    if (what.contains("compress")) {
      Sql.value(
          target,
          "select "
              + Hypertables.function(target, "compress_chunk")
              + "("
              + Sql.literal(chunk.sql())
              + ", true)");
    }
    if (what.contains("freeze")) {
      Sql.value(
          target, "select _timescaledb_functions.freeze_chunk(" + Sql.literal(chunk.sql()) + ")");
    }
  }
}
