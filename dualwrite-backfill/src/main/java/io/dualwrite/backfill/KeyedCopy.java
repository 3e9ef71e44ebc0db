package io.dualwrite.backfill;

import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.Chunks;
import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.ForeignKey;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.converge.CopyPipe;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.LongConsumer;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Copies a range of a keyed table while writers change it: the locked form of the model's backfill
 * (COPYLOCK, COPYREAD, C0/C1, AGAIN, COMMIT). All of it is one transaction on the target, the one
 * that claimed the task:
 *
 * <ol>
 *   <li>read the range on the source, into a temporary table, or, where the target has nothing of
 *       the range yet, straight into the table: then a row that comes in between fails the chunk,
 *       which is tried again the other way, as does one that goes in between if each side may have
 *       an order of its own for the keys;
 *   <li>insert what is missing, ON CONFLICT DO NOTHING: what is there was put there by a writer, is
 *       newer, or is waited for while it is in flight;
 *   <li>read the range again. A version that moved meanwhile is corrected if the row is ours, which
 *       is right because we hold its lock: whoever changes the row on the source from here on has
 *       to wait for us on the target before it commits, and whoever has committed is in what we
 *       read;
 *   <li>commit, with the task done.
 * </ol>
 *
 * <p>Foreign keys stay on: without them a child could be inserted beside the uncommitted delete of
 * its parent. What the copy cannot settle is left to a resync by key after the commit: rows of the
 * target that were there and differ, rows held off by another unique key, rows whose parent stays
 * missing.
 *
 * <p>Not thread-safe: one per worker.
 */
final class KeyedCopy {

  private static final String CHUNK = "pg_temp.dualwrite_chunk";
  private static final String AGAIN = "pg_temp.dualwrite_again";
  private static final String FIXED = "pg_temp.dualwrite_fixed";

  /** From this attempt on, rows that may be the reason for the failures are left to resync. */
  static final int CAREFUL = 3;

  private final Catalog sourceCatalog;
  private final Catalog targetCatalog;
  private final RateLimit limit;
  private final LongConsumer meter;
  private final Runnable streamed;
  private final Steps steps;
  private final Map<TableName, Facts> known = new HashMap<>();

  /** What is asked once per table. */
  private record Facts(String versions, boolean binary, boolean deferrable, Set<TableName> cycle) {}

  /**
   * For a worker.
   *
   * @param streamed told when all rows of a chunk that went straight are on the target
   */
  KeyedCopy(
      Catalog sourceCatalog,
      Catalog targetCatalog,
      RateLimit limit,
      LongConsumer meter,
      Runnable streamed,
      Steps steps) {
    this.sourceCatalog = sourceCatalog;
    this.targetCatalog = targetCatalog;
    this.limit = limit;
    this.meter = meter;
    this.streamed = streamed;
    this.steps = steps;
  }

  /**
   * Copies a range.
   *
   * @param chunk of a hypertable, where neither side's chunk is compressed: the target's chunk of
   *     the same place; else null
   */
  Copied run(Connection source, Connection target, Task task, TableName chunk) throws SQLException {
    Sql.execute(source, Sessions.searchPath(null));
    Sql.execute(target, Sessions.searchPath(null));
    Optional<Table> found = sourceCatalog.table(source, chunk == null ? task.table() : task.from());
    Optional<Table> there = targetCatalog.table(target, chunk == null ? task.table() : chunk);
    if (found.isEmpty() || there.isEmpty()) {
      throw new BackfillException(
          "table "
              + task.table()
              + " no longer exists on the "
              + (found.isEmpty() ? "source" : "target"));
    }
    return new Chunk(source, target, task, found.get(), there.get()).copy();
  }

  private final class Chunk {
    private final Connection source;
    private final Connection target;
    private final Task task;
    private final Table from;
    private final Table into;
    private final TableName entry;
    private final List<String> columns;
    private final List<String> key;
    private final String version;
    private final String format;
    private final boolean deferrable;
    private final Set<TableName> cycle;
    private final String range;
    private final String part;
    private final Set<List<String>> pulled = new LinkedHashSet<>();
    private final Set<List<String>> resync = new LinkedHashSet<>();
    private String horizon;
    private CopyPipe.Moved moved = new CopyPipe.Moved(0, 0);

    Chunk(Connection source, Connection target, Task task, Table from, Table into)
        throws SQLException {
      this.source = source;
      this.target = target;
      this.task = task;
      this.from = from;
      this.into = into;
      entry = Chunks.entry(target, into);
      columns = Sql.writable(from);
      key = from.key();
      String v = "dualwrite_version";
      while (from.column(v).isPresent()) {
        v += "_";
      }
      version = v;
      Facts facts = known.get(from.name());
      String versions = from.version() + ";" + into.version();
      if (facts == null || !facts.versions.equals(versions)) {
        boolean binary =
            columns.stream()
                    .allMatch(c -> Sql.column(from, c).type().equals(Sql.column(into, c).type()))
                && Schema.binary(source, from.name(), columns)
                && Schema.binary(target, into.name(), columns);
        facts =
            new Facts(
                versions,
                binary,
                Schema.deferrableUnique(target, into.name()),
                task.cycle() == null ? Set.of() : TaskStore.cycle(target, task.cycle()));
        known.put(from.name(), facts);
      }
      deferrable = facts.deferrable;
      cycle = facts.cycle;
      format = facts.binary ? " (format binary)" : " (format text, encoding 'UTF8')";
      // a chunk that is compressed by now has no versions: an error here, where ONLY would hide
      // rows
      part = (task.kind() == Task.Kind.CHUNK ? "" : "only ") + task.from().sql();
      range = Sql.and(Sql.range(from, key, task.low(), task.high()), task.predicate());
    }

    Copied copy() throws SQLException {
      Sql.execute(source, Sessions.searchPath(from));
      Sql.execute(target, Sessions.searchPath(into));
      horizon =
          Sql.value(
              source, "select pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text");
      if (free()) {
        return straight();
      }
      Sql.execute(
          target,
          "create temporary table dualwrite_chunk on commit drop as select "
              + Sql.list(columns)
              + ", ''::text as "
              + TableName.quote(version)
              + " from "
              + into.name().sql()
              + " with no data");
      read("select " + Sql.list(columns) + ", xmin::text from " + part + " where " + range, CHUNK);
      long rows = moved.rows();
      steps.at(Steps.Step.READ, task);
      for (ForeignKey k : from.references()) {
        if (k.parent().equals(from.name())) {
          pullAncestors(k);
        }
      }
      for (ForeignKey k : from.references()) {
        if (cycle.contains(k.parent()) && !k.parent().equals(from.name())) {
          leaveOpen(k);
        }
      }
      if (task.attempts() >= CAREFUL) {
        holdBack();
      }
      long inserted = insert();
      steps.at(Steps.Step.INSERTED, task);
      List<List<String>> changed = List.of();
      if (!pulled.isEmpty() || !unmoved(rows)) {
        readAgain();
        changed = changed();
      }
      long corrected = changed.isEmpty() ? 0 : correct(changed);
      if (inserted < moved.rows()) {
        findStale(changed);
      }
      steps.at(Steps.Step.CORRECTED, task);
      return new Copied(rows, moved.bytes(), inserted, corrected, List.copyOf(resync), List.of());
    }

    /**
     * Whether the rows can go straight into the table: the target has none of the range, and
     * nothing has to be done to them first.
     */
    private boolean free() throws SQLException {
      if (task.kind() != Task.Kind.KEYED
          || task.attempts() > 0
          || deferrable
          || !cycle.isEmpty()
          || from.references().stream().anyMatch(k -> k.parent().equals(from.name()))) {
        return false;
      }
      TableName leaf =
          into.kind() == Table.Kind.PARTITIONED
                  && targetCatalog
                      .table(target, from.name())
                      .flatMap(Table::root)
                      .equals(Optional.of(into.name()))
              ? from.name()
              : into.name();
      // in the order of the key, so that its index is used whatever the statistics say
      return Sql.rows(
              target,
              "select from "
                  + leaf.sql()
                  + " where "
                  + Sql.range(into, key, task.low(), task.high())
                  + " order by "
                  + Sql.list(key)
                  + " limit 1")
          .isEmpty();
    }

    /**
     * Copies the range into the table itself. All its rows are ours then, locked by their keys
     * until the commit, and the source is read again as ever: how many of the rows are still the
     * versions that were there before the first read, which is all of them, or else which.
     */
    private Copied straight() throws SQLException {
      steps.at(Steps.Step.READ, task); // what is read is written at once
      moved =
          CopyPipe.run(
              source,
              "copy (select "
                  + Sql.list(columns)
                  + " from "
                  + part
                  + " where "
                  + range
                  + ") to stdout"
                  + format,
              target,
              "copy " + entry.sql() + " (" + Sql.list(columns) + ") from stdin" + format,
              Integer.MAX_VALUE,
              (rows, bytes) -> {
                limit.pass(bytes);
                meter.accept(bytes);
              });
      streamed.run();
      steps.at(Steps.Step.INSERTED, task);
      long corrected = 0;
      if (!unmoved(moved.rows())) {
        if (!Schema.ordered(into, key)) {
          // the target's range may not hold all rows that are ours; tried again the other way, that
          // needs none
          throw new SQLException(
              "rows changed while the chunk was copied, and the target may order their keys otherwise",
              "40001");
        }
        again();
        read(
            "select " + texts("t") + ", null from " + part + " t where " + Sql.and(range, old()),
            AGAIN);
        List<List<String>> changed =
            Sql.rows(
                target,
                "select "
                    + texts("t")
                    + " from "
                    + into.name().sql()
                    + " t where "
                    + Sql.and(
                        Sql.range(into, key, task.low(), task.high()),
                        "t.xmin = pg_catalog.pg_current_xact_id()::xid")
                    + " and not exists (select from "
                    + AGAIN
                    + " a where "
                    + sameKey("t")
                    + ")");
        corrected = changed.isEmpty() ? 0 : correct(changed);
      }
      steps.at(Steps.Step.CORRECTED, task);
      return new Copied(moved.rows(), moved.bytes(), moved.rows(), corrected, List.of(), List.of());
    }

    /**
     * Whether a row's version is older than every transaction that was under way before the first
     * read. An age that has wrapped around is negative: not old, which errs on the safe side.
     */
    private String old() {
      return "pg_catalog.age(xmin) > pg_catalog.age('" + horizon + "'::xid8::xid)";
    }

    /**
     * Whether the source still has exactly the versions that were read: those of old transactions
     * that are there now were there then, so that if they are as many, they are the same.
     */
    private boolean unmoved(long rows) throws SQLException {
      return Long.parseLong(
              Sql.value(source, "select count(*) from " + part + " where " + Sql.and(range, old())))
          == rows;
    }

    private void again() throws SQLException {
      Sql.execute(
          target,
          "create temporary table dualwrite_again ("
              + numbered("k# text")
              + ", version text) on commit drop");
    }

    private String sameKey(String alias) {
      return IntStream.range(0, key.size())
          .mapToObj(
              i -> "a.k" + (i + 1) + " = " + alias + "." + TableName.quote(key.get(i)) + "::text")
          .collect(Collectors.joining(" and "));
    }

    /** Reads from the source into a temporary table of the target. */
    private void read(String query, String temporary) throws SQLException {
      CopyPipe.Moved m =
          CopyPipe.run(
              source,
              "copy (" + query + ") to stdout" + format,
              target,
              "copy " + temporary + " from stdin" + format,
              Integer.MAX_VALUE,
              (rows, bytes) -> {
                limit.pass(bytes);
                meter.accept(bytes);
              });
      if (temporary.equals(CHUNK)) {
        moved = moved.plus(m);
      }
    }

    /** ON CONFLICT DO NOTHING, in the form that the table's constraints allow. */
    private long insert() throws SQLException {
      String override =
          into.columns().stream()
                  .anyMatch(
                      c -> c.identity() == Column.Identity.ALWAYS && columns.contains(c.name()))
              ? " overriding system value"
              : "";
      String head =
          "insert into "
              + entry.sql()
              + " ("
              + Sql.list(columns)
              + ")"
              + override
              + " select "
              + Sql.list("c", columns)
              + " from "
              + CHUNK
              + " c";
      if (!deferrable) {
        // no arbiter: a stale row that holds another unique key must not fail the whole chunk
        return Sql.update(target, head + " on conflict do nothing");
      }
      // a deferrable constraint may not be arbiter, and may not be silent until the commit
      Sql.execute(target, "set constraints all immediate");
      if (!keyDeferrable()) {
        return Sql.update(target, head + " on conflict (" + Sql.list(key) + ") do nothing");
      }
      return Sql.update(
          target,
          head
              + " where not exists (select from "
              + into.name().sql()
              + " t where "
              + equal("t", "c", key, key)
              + ")");
    }

    private boolean keyDeferrable() {
      return into.keyDeferrable() || !new HashSet<>(into.key()).equals(new HashSet<>(key));
    }

    /** Key and version of every row that the first read could have seen, as they are now. */
    private void readAgain() throws SQLException {
      again();
      String again = "select " + texts("t") + ", t.xmin::text from " + part + " t where ";
      read(again + range, AGAIN);
      if (!pulled.isEmpty()) {
        read(
            "select "
                + texts("t")
                + ", t.xmin::text from "
                + Sql.keys(from, key, List.copyOf(pulled))
                + " join "
                + from.name().sql()
                + " t on "
                + Sql.matches("t", key),
            AGAIN);
      }
    }

    /** The keys whose version is another one now, or that are gone. */
    private List<List<String>> changed() throws SQLException {
      return Sql.rows(
          target,
          "select distinct "
              + texts("c")
              + " from "
              + CHUNK
              + " c where not exists (select from "
              + AGAIN
              + " a where "
              + sameKey("c")
              + " and a.version = c."
              + TableName.quote(version)
              + ")");
    }

    /** Makes the rows that we inserted and that moved since what they are on the source now. */
    private long correct(List<List<String>> changed) throws SQLException {
      List<List<String>> ours =
          Sql.rows(
              target,
              "select "
                  + texts("t")
                  + " from "
                  + Sql.keys(into, key, changed)
                  + " join "
                  + into.name().sql()
                  + " t on "
                  + Sql.matches("t", key)
                  + " where t.xmin = pg_catalog.pg_current_xact_id()::xid");
      if (ours.isEmpty()) {
        return 0;
      }
      Sql.execute(
          target,
          "create temporary table dualwrite_fixed on commit drop as select "
              + Sql.list(columns)
              + " from "
              + into.name().sql()
              + " with no data");
      // through the root, without the range: a row may have moved to another partition
      read(
          "select "
              + Sql.list("t", columns)
              + " from "
              + Sql.keys(from, key, ours)
              + " join "
              + from.name().sql()
              + " t on "
              + Sql.matches("t", key),
          FIXED);
      List<String> set = new ArrayList<>();
      List<String> fixedByServer = new ArrayList<>();
      for (String c : columns) {
        if (Sql.column(into, c).identity() == Column.Identity.ALWAYS) {
          fixedByServer.add(c); // the server lets nobody assign it
        } else if (!key.contains(c)) {
          set.add(TableName.quote(c) + " = c." + TableName.quote(c));
        }
      }
      String join = equal("t", "c", key, key);
      for (String c : fixedByServer) {
        if (Sql.value(
                target,
                "select exists (select from "
                    + FIXED
                    + " c join "
                    + into.name().sql()
                    + " t on "
                    + join
                    + " where c."
                    + TableName.quote(c)
                    + " is distinct from t."
                    + TableName.quote(c)
                    + ")")
            .equals("t")) {
          throw new SQLException(
              "identity column " + c + " of a row changed while the chunk was copied", "40001");
        }
      }
      // updates first: a row that no longer refers to a deleted one must not go with it
      long n = 0;
      if (!set.isEmpty()) {
        n +=
            Sql.update(
                target,
                "update "
                    + into.name().sql()
                    + " t set "
                    + String.join(", ", set)
                    + " from "
                    + FIXED
                    + " c where "
                    + join);
      }
      n +=
          Sql.update(
              target,
              "delete from "
                  + into.name().sql()
                  + " t using "
                  + Sql.keys(into, key, ours)
                  + " where "
                  + Sql.matches("t", key)
                  + " and not exists (select from "
                  + FIXED
                  + " c where "
                  + join
                  + ")");
      return n;
    }

    /**
     * Rows that were not inserted and that the target does not have as the source has them, though
     * the source's row did not move: it was there before dual-write began, a unit of work on it is
     * pending, or another unique key held it off.
     */
    private void findStale(List<List<String>> changed) throws SQLException {
      // one look per row of the chunk, whatever the planner knows of the table
      Sql.execute(
          target,
          "set local enable_hashjoin = off; set local enable_mergejoin = off; set local enable_seqscan = off");
      List<List<String>> stale =
          Sql.rows(
              target,
              "select distinct "
                  + texts("c")
                  + " from "
                  + CHUNK
                  + " c left join "
                  + into.name().sql()
                  + " t on "
                  + equal("t", "c", key, key)
                  + " where (t.tableoid is null or t.xmin <> pg_catalog.pg_current_xact_id()::xid) and "
                  + rowText("t")
                  + " is distinct from "
                  + rowText("c"));
      Sql.execute(
          target,
          "set local enable_hashjoin = on; set local enable_mergejoin = on; set local enable_seqscan = on");
      if (!stale.isEmpty()) {
        stale.removeAll(new HashSet<>(changed));
        resync.addAll(stale);
      }
    }

    /**
     * Takes in the rows that rows of this chunk refer to, up to the top, where the target does not
     * have them yet.
     */
    private void pullAncestors(ForeignKey k) throws SQLException {
      List<List<String>> missing = missingParents(k, true);
      if (missing.isEmpty()) {
        return;
      }
      List<List<String>> ancestors =
          Sql.rows(
              source,
              "with recursive r("
                  + numbered("k#")
                  + ") as (select "
                  + Sql.list("t", key)
                  + " from "
                  + Sql.keys(from, k.parentColumns(), missing)
                  + " join "
                  + from.name().sql()
                  + " t on "
                  + Sql.matches("t", k.parentColumns())
                  + " union select "
                  + Sql.list("p", key)
                  + " from r join "
                  + from.name().sql()
                  + " c on "
                  + IntStream.range(0, key.size())
                      .mapToObj(i -> "c." + TableName.quote(key.get(i)) + " = r.k" + (i + 1))
                      .collect(Collectors.joining(" and "))
                  + " join "
                  + from.name().sql()
                  + " p on "
                  + equal("c", "p", k.childColumns(), k.parentColumns())
                  + ") select "
                  + numbered("k#::text")
                  + " from r");
      pulled.addAll(ancestors);
      if (!ancestors.isEmpty()) {
        read(
            "select "
                + Sql.list("t", columns)
                + ", t.xmin::text from "
                + Sql.keys(from, key, ancestors)
                + " join "
                + from.name().sql()
                + " t on "
                + Sql.matches("t", key),
            CHUNK);
      }
    }

    /** The parents' columns that rows of the chunk name and that nobody has. */
    private List<List<String>> missingParents(ForeignKey k, boolean self) throws SQLException {
      return Sql.rows(
          target,
          "select distinct "
              + k.childColumns().stream()
                  .map(c -> "c." + TableName.quote(c) + "::text")
                  .collect(Collectors.joining(", "))
              + " from "
              + CHUNK
              + " c where "
              + orphan(k, self));
    }

    private String orphan(ForeignKey k, boolean self) {
      String result =
          k.childColumns().stream()
                  .map(c -> "c." + TableName.quote(c) + " is not null")
                  .collect(Collectors.joining(" and "))
              + " and not exists (select from "
              + k.parent().sql()
              + " p where "
              + equal("p", "c", k.parentColumns(), k.childColumns())
              + ")";
      return self
          ? result
              + " and not exists (select from "
              + CHUNK
              + " p where "
              + equal("p", "c", k.parentColumns(), k.childColumns())
              + ")"
          : result;
    }

    /**
     * A foreign key within a cycle of tables: somebody has to go first. Rows whose parent is not
     * there yet go without it, and are resynced when all tables of the cycle are copied.
     */
    private void leaveOpen(ForeignKey k) throws SQLException {
      List<String> open =
          k.childColumns().stream()
              .filter(c -> !key.contains(c) && !Sql.column(into, c).notNull())
              .map(c -> TableName.quote(c) + " = null")
              .toList();
      if (!open.isEmpty()) {
        resync.addAll(
            Sql.rows(
                target,
                "update "
                    + CHUNK
                    + " c set "
                    + String.join(", ", open)
                    + " where "
                    + orphan(k, false)
                    + " returning "
                    + texts("c")));
      }
    }

    /**
     * After repeated failure: rows whose parents are still missing, and rows whose unique values
     * another row of the target has, are left to resync, which pulls in what they need.
     */
    private void holdBack() throws SQLException {
      List<String> why = new ArrayList<>();
      for (ForeignKey k : into.references()) {
        if (columns.containsAll(k.childColumns())) {
          why.add(orphan(k, k.parent().equals(into.name())));
        }
      }
      List<List<String>> uniques = new ArrayList<>(into.uniques());
      uniques.add(into.key());
      for (List<String> u : uniques) {
        if (columns.containsAll(u) && !new HashSet<>(u).equals(new HashSet<>(key))) {
          why.add(
              "exists (select from "
                  + into.name().sql()
                  + " p where "
                  + equal("p", "c", u, u)
                  + " and not ("
                  + equal("p", "c", key, key)
                  + "))");
        }
      }
      if (why.isEmpty()) {
        return;
      }
      String sql =
          "delete from "
              + CHUNK
              + " c where "
              + why.stream().map(w -> "(" + w + ")").collect(Collectors.joining(" or "))
              + " returning "
              + texts("c");
      // a row held back may be the parent of another
      List<List<String>> held = Sql.rows(target, sql);
      while (!held.isEmpty()) {
        resync.addAll(held);
        held = Sql.rows(target, sql);
      }
    }

    private String rowText(String alias) {
      return "row("
          + columns.stream()
              .map(c -> alias + "." + TableName.quote(c) + "::text")
              .collect(Collectors.joining(", "))
          + ")::text";
    }

    private String texts(String alias) {
      return key.stream()
          .map(c -> alias + "." + TableName.quote(c) + "::text")
          .collect(Collectors.joining(", "));
    }

    /** The pattern for each column of the key, {@code #} being its number. */
    private String numbered(String pattern) {
      return IntStream.rangeClosed(1, key.size())
          .mapToObj(i -> pattern.replace("#", Integer.toString(i)))
          .collect(Collectors.joining(", "));
    }

    private static String equal(String a, String b, List<String> left, List<String> right) {
      return IntStream.range(0, left.size())
          .mapToObj(
              i ->
                  a
                      + "."
                      + TableName.quote(left.get(i))
                      + " = "
                      + b
                      + "."
                      + TableName.quote(right.get(i)))
          .collect(Collectors.joining(" and "));
    }
  }
}
