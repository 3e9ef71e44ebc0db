package io.dualwrite.converge;

import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.Chunks;
import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.ForeignKey;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.control.Direction;
import io.dualwrite.control.Incarnation;
import io.dualwrite.converge.Rules.Rule;
import io.dualwrite.journal.Suspect;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import java.util.stream.Collectors;
import javax.sql.DataSource;

/**
 * The one engine that makes the mirror equal to the primary: {@link #resync} by key, {@link
 * #recopy} by range. Thread-safe; each call takes a connection of its own from each side, and gives
 * it back as it came.
 */
public final class Convergence {

  /** Something a test does at a named step. */
  interface Hook {
    void at(Step step) throws SQLException;
  }

  /**
   * Keys that are absent on both sides, with the mirror transactions that were in flight when they
   * were looked at: settled once those have ended and a second look was taken.
   */
  record Unsettled(
      Map<TableName, List<List<String>>> keys, List<Long> oids, Map<String, Integer> inFlight) {

    /** As far as {@link #stillInFlight} knew when it was asked last. */
    boolean ended() {
      return inFlight.isEmpty();
    }
  }

  private final DataSource primary;
  private final DataSource mirror;
  private final Catalog primaryCatalog;
  private final Catalog mirrorCatalog;
  private final ConvergenceOptions options;
  private final MirrorWriter writer;
  private final SourceRate rate;
  private final Widths widths = new Widths();
  private final Direction direction;
  volatile Hook hook = Step.fromSystemProperty();

  /** With {@link ConvergenceOptions#DEFAULT}. */
  public Convergence(
      DataSource primary, DataSource mirror, Catalog primaryCatalog, Catalog mirrorCatalog) {
    this(primary, mirror, primaryCatalog, mirrorCatalog, ConvergenceOptions.DEFAULT);
  }

  /**
   * An engine for one direction.
   *
   * @param primary connections to the primary itself, never to a standby
   * @param mirror connections to the mirror
   * @param primaryCatalog the primary's catalog
   * @param mirrorCatalog the mirror's catalog
   */
  public Convergence(
      DataSource primary,
      DataSource mirror,
      Catalog primaryCatalog,
      Catalog mirrorCatalog,
      ConvergenceOptions options) {
    this(
        primary, mirror, primaryCatalog, mirrorCatalog, options, new SourceRate(options.maxRate()));
  }

  Convergence(
      DataSource primary,
      DataSource mirror,
      Catalog primaryCatalog,
      Catalog mirrorCatalog,
      ConvergenceOptions options,
      SourceRate rate) {
    this(primary, mirror, primaryCatalog, mirrorCatalog, options, rate, null);
  }

  private Convergence(
      DataSource primary,
      DataSource mirror,
      Catalog primaryCatalog,
      Catalog mirrorCatalog,
      ConvergenceOptions options,
      SourceRate rate,
      Direction direction) {
    this.primary = primary;
    this.mirror = mirror;
    this.primaryCatalog = primaryCatalog;
    this.mirrorCatalog = mirrorCatalog;
    this.options = options;
    this.writer = new MirrorWriter(mirrorCatalog);
    this.rate = rate;
    this.direction = direction;
  }

  /** The same, which asks before each transaction of the mirror whether it is still the way. */
  public Convergence in(Direction way) {
    return new Convergence(primary, mirror, primaryCatalog, mirrorCatalog, options, rate, way);
  }

  /**
   * The same, which makes nothing equal on the mirror unless that still holds when the primary was
   * read for the last time.
   */
  Convergence provided(BooleanSupplier holds) {
    Convergence c = in(direction);
    c.hook =
        step -> {
          hook.at(step);
          if ((step == Step.CHECKED || step == Step.RECOPY_COPIED) && !holds.getAsBoolean()) {
            throw new java.sql.SQLTransientException(
                "statements (DDL) of the journal come first", "40001");
          }
        };
    return c;
  }

  /** Null if nobody said. */
  Direction direction() {
    return direction;
  }

  private void check() throws SQLException {
    if (direction != null) {
      direction.check();
    }
  }

  /**
   * Lifts the bound on reads of the primary ({@link ConvergenceOptions#maxRate()}), or sets it
   * again: while the application is held back there is nobody to be spared, and every moment
   * counts.
   */
  public void liftRate(boolean lifted) {
    rate.lift(lifted);
  }

  SourceRate rate() {
    return rate;
  }

  // ----------------------------------------------------------------------------------------------
  // by key

  /**
   * Makes the mirror's rows for these keys equal the primary's current rows: upserted, or deleted
   * where the primary has none. Idempotent, in any order, no lock on the primary. Related rows are
   * taken in: what refers to a deleted row by a foreign key that acts, parents that the mirror
   * lacks, and rows that hold a value of a unique index.
   *
   * <p>The caller starts it only after the transactions that wrote these keys have ended.
   *
   * @param keys for each table, by its name on the primary, keys in the order of {@code
   *     Table.key()} there, as text; any number
   * @throws ConvergenceException if the mirror's schema or constraints forbid it
   * @throws SQLException if a database fails, or contention does not end
   */
  public ResyncResult resync(Map<TableName, ? extends Collection<List<String>>> keys)
      throws SQLException, ConvergenceException {
    return resync(keys, child -> {});
  }

  /**
   * The same.
   *
   * @param orphaned told of each of {@link ResyncResult#keylessChildren()} before the mirror
   *     commits what makes it one, and its table is locked against a recopy until then
   */
  ResyncResult resync(
      Map<TableName, ? extends Collection<List<String>>> keys, Consumer<TableName> orphaned)
      throws SQLException, ConvergenceException {
    Map<TableName, Map<List<String>, Boolean>> work = new TreeMap<>();
    keys.forEach(
        (table, ks) -> {
          Map<List<String>, Boolean> of = work.computeIfAbsent(table, t -> new LinkedHashMap<>());
          ks.forEach(k -> of.put(k, false));
        });
    List<Unsettled> unsettled = new ArrayList<>();
    ResyncResult result = look(work, unsettled, orphaned);
    long deadline = System.nanoTime() + options.settleTimeout().toNanos();
    while (!unsettled.isEmpty()) {
      stillInFlight(unsettled);
      List<Unsettled> now = unsettled.stream().filter(Unsettled::ended).toList();
      if (now.isEmpty()) {
        if (System.nanoTime() - deadline > 0) {
          throw new java.sql.SQLTransientException(
              "keys absent on both sides wait for transactions of the mirror that do not end, process ids "
                  + unsettled.get(0).inFlight.values(),
              "57014");
        }
        pause(5);
      }
      unsettled.removeAll(now);
      for (Unsettled u : now) {
        unsettled.addAll(settle(u, orphaned));
      }
    }
    return result;
  }

  /** Those of these keys of a table that {@link #resync} may have something to do for. */
  List<List<String>> differing(TableName table, List<List<String>> keys)
      throws SQLException, ConvergenceException {
    Connection p = null;
    Connection m = null;
    try {
      p = Session.open(primary);
      m = Session.open(mirror);
      List<List<String>> result = new ArrayList<>();
      for (int i = 0, end; i < keys.size(); i = end) {
        end = Math.min(keys.size(), i + Math.max(1, Widths.BATCH / widths.of(table)));
        Resync resync = new Resync(this, p, m, child -> {});
        for (List<String> k : keys.subList(i, end)) {
          resync.add(table, k, false);
        }
        result.addAll(resync.differing());
        resync.measure(widths);
      }
      return result;
    } finally {
      Session.close(p);
      Session.close(m);
    }
  }

  /**
   * First look at keys. What a delete did not find is left over, in {@code unsettled}, with the
   * mirror transactions that may yet bring it.
   *
   * @param keys for each key whether a unit of work deleted it
   */
  ResyncResult look(
      Map<TableName, Map<List<String>, Boolean>> keys,
      List<Unsettled> unsettled,
      Consumer<TableName> orphaned)
      throws SQLException, ConvergenceException {
    long looked = 0;
    long upserted = 0;
    long deleted = 0;
    Set<TableName> keyless = new HashSet<>();
    Set<TableName> tables = new HashSet<>();
    Connection p = null;
    Connection m = null;
    try {
      p = Session.open(primary);
      m = Session.open(mirror);
      record Key(TableName table, List<String> key, boolean deleted) {}
      List<Key> flat = new ArrayList<>();
      for (TableName t : parentsFirst(p, keys.keySet())) {
        keys.get(t).forEach((k, d) -> flat.add(new Key(t, k, d)));
      }
      for (int i = 0, end; i < flat.size(); i = end) {
        rate.await(); // before the mirror's rows are locked, never while
        check();
        int most = rate.batch(options.batchKeys());
        int room = Widths.BATCH;
        for (end = i; end < flat.size() && end - i < most && room > 0; end++) {
          room -= widths.of(flat.get(end).table);
        }
        Resync resync = new Resync(this, p, m, orphaned);
        for (Key k : flat.subList(i, end)) {
          resync.add(k.table, k.key, k.deleted);
        }
        resync.run();
        resync.measure(widths);
        ResyncResult r = resync.result();
        looked += r.keys();
        upserted += r.upserted();
        deleted += r.deleted();
        keyless.addAll(r.keylessChildren());
        tables.addAll(r.tables());
        unsettled.addAll(unsettled(resync, m, resync.unsettled()));
        m.rollback();
      }
    } catch (ConvergenceException e) {
      invalidate(); // help from outside may be there by the next time
      throw e;
    } finally {
      Session.close(p);
      Session.close(m);
    }
    return new ResyncResult(looked, upserted, deleted, keyless, tables);
  }

  /** Takes the mirror transactions that have ended off the lists of what is waited for. */
  void stillInFlight(Collection<Unsettled> unsettled) throws SQLException {
    Set<Long> oids = new HashSet<>();
    for (Unsettled u : unsettled) {
      if (!u.ended()) {
        oids.addAll(u.oids);
      }
    }
    if (oids.isEmpty()) {
      return;
    }
    Connection m = Session.open(mirror);
    try {
      Set<String> now = inFlight(m, oids).keySet();
      unsettled.forEach(u -> u.inFlight.keySet().retainAll(now));
    } finally {
      Session.close(m);
    }
  }

  /**
   * Second look, when what was in flight has ended: final for these keys.
   *
   * @return what joined them and was not found either
   */
  List<Unsettled> settle(Unsettled u, Consumer<TableName> orphaned)
      throws SQLException, ConvergenceException {
    rate.await();
    check();
    Connection p = null;
    Connection m = null;
    try {
      p = Session.open(primary);
      m = Session.open(mirror);
      Resync resync = new Resync(this, p, m, orphaned);
      for (Map.Entry<TableName, List<List<String>>> e : u.keys.entrySet()) {
        for (List<String> k : e.getValue()) {
          resync.add(e.getKey(), k, true);
        }
      }
      resync.run();
      Map<TableName, List<List<String>>> left = resync.unsettled();
      u.keys.forEach(
          (t, keys) ->
              left.computeIfPresent(
                  t,
                  (x, of) -> {
                    Set<List<String>> more = new LinkedHashSet<>(of);
                    more.removeAll(new HashSet<>(keys));
                    return more.isEmpty() ? null : List.copyOf(more);
                  }));
      return unsettled(resync, m, left);
    } finally {
      Session.close(p);
      Session.close(m);
    }
  }

  private static List<Unsettled> unsettled(
      Resync resync, Connection m, Map<TableName, List<List<String>>> left) throws SQLException {
    if (left.isEmpty() || !Rules.on(Rule.WAIT_INFLIGHT)) {
      return List.of();
    }
    // listed after the look: what was in flight then is in the list, or has ended
    List<Long> oids = resync.oids(left.keySet());
    return List.of(new Unsettled(left, oids, inFlight(m, oids)));
  }

  /**
   * WAIT_INFLIGHT: the mirror's transactions that may have written to these tables or their
   * partitions and have not ended: holders of RowExclusiveLock, which any role sees. By virtual
   * transaction, which is not given twice, with the process id for people.
   */
  static Map<String, Integer> inFlight(Connection m, Collection<Long> oids) throws SQLException {
    Map<String, Integer> result = new TreeMap<>();
    try (PreparedStatement s =
        m.prepareStatement(
            "with recursive tree(oid) as (select unnest(?::oid[]) union select i.inhrelid from pg_catalog.pg_inherits i"
                + " join tree on i.inhparent = tree.oid)"
                + " select distinct l.virtualtransaction, coalesce(l.pid, 0) from pg_catalog.pg_locks l join tree on l.relation = tree.oid"
                + " where l.locktype = 'relation' and l.mode = 'RowExclusiveLock' and l.granted"
                + " and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())"
                + " and l.pid is distinct from pg_catalog.pg_backend_pid()")) {
      s.setArray(1, m.createArrayOf("oid", oids.toArray()));
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          result.put(r.getString(1), r.getInt(2));
        }
      }
    }
    return result;
  }

  /**
   * Waits until every transaction of the mirror that may have written to the table by now has
   * ended.
   *
   * @throws SQLException if they do not end in time; the message names their processes
   */
  void awaitInFlight(TableName table) throws SQLException {
    Connection m = Session.open(mirror);
    try {
      Optional<Table> there = mirrorCatalog.table(m, table);
      if (there.isEmpty()) {
        return;
      }
      List<Long> oids = List.of(there.get().oid());
      Map<String, Integer> then = inFlight(m, oids);
      m.rollback();
      long deadline = System.nanoTime() + options.settleTimeout().toNanos();
      while (!then.isEmpty()) {
        if (System.nanoTime() - deadline > 0) {
          throw new java.sql.SQLTransientException(
              table
                  + " waits for transactions of the mirror that do not end, process ids "
                  + then.values(),
              "57014");
        }
        pause(5);
        then.keySet().retainAll(inFlight(m, oids).keySet());
        m.rollback();
      }
    } finally {
      Session.close(m);
    }
  }

  private List<TableName> parentsFirst(Connection p, Set<TableName> tables) throws SQLException {
    List<TableName> result = new ArrayList<>();
    Set<TableName> visited = new HashSet<>();
    for (TableName t : tables) {
      visit(p, t, tables, visited, result);
    }
    p.rollback();
    return result;
  }

  private void visit(
      Connection p, TableName t, Set<TableName> of, Set<TableName> visited, List<TableName> result)
      throws SQLException {
    if (visited.add(t)) {
      Optional<Table> table = primaryCatalog.table(p, t);
      if (table.isPresent()) {
        for (ForeignKey f : table.get().references()) {
          visit(p, f.parent(), of, visited, result);
        }
      }
      if (of.contains(t)) {
        result.add(t);
      }
    }
  }

  // ----------------------------------------------------------------------------------------------
  // by range

  /**
   * Replaces the mirror's rows of a range by the primary's, in a mirror transaction of its own,
   * tried again after contention. Records the primary's snapshot that the copy saw, so that a
   * pending unit's keyless rows are not inserted twice. Of a partitioned table each leaf is copied,
   * one transaction each.
   *
   * <p>Rows go with binary COPY where the column types are equal and mean the same on both servers,
   * else as text, through bounded memory.
   *
   * @param table its name on both sides
   * @param predicate a condition over the table's columns that means the same on both sides, under
   *     TimeZone UTC and a search path of {@code pg_catalog}; {@code true} for all
   *     <p>A table that has a unique index but no key, and that others refer to by it, is not
   *     replaced as a whole: rows that they may refer to are updated, and deleted only if the
   *     primary has none.
   * @return of several leaves: the sum of rows and the earliest snapshot
   * @throws SQLException if a database fails, or the range cannot be replaced because other tables
   *     refer to it (SQLSTATE 0A000): by its key, which is to be resynced instead, or so that rows
   *     of theirs would go along
   */
  public RecopyResult recopy(TableName table, String predicate) throws SQLException {
    return recopy(table, predicate, null);
  }

  /**
   * The same.
   *
   * @param orphaned told of each table whose rows may go with a row that they refer to, before the
   *     mirror commits that; null if none may
   */
  RecopyResult recopy(TableName table, String predicate, Consumer<TableName> orphaned)
      throws SQLException {
    List<TableName> leaves;
    Connection m = Session.open(mirror);
    try {
      Table t = mirrorTable(m, table);
      leaves = t.kind() == Table.Kind.PARTITIONED ? leaves(m, t) : List.of(t.name());
    } finally {
      Session.close(m);
    }
    if (!leaves.equals(List.of(table))) {
      checkPlaces(table, leaves, predicate);
    }
    RecopyResult total = null;
    for (TableName leaf : leaves) {
      RecopyResult r = recopyLeaf(leaf, predicate, orphaned);
      total =
          total == null
              ? r
              : new RecopyResult(total.rows() + r.rows(), total.snapshot(), total.incarnation());
    }
    if (total == null) {
      throw new SQLException(
          "the mirror's table " + table + " is partitioned and has no partition; create it",
          "42P01");
    }
    return total;
  }

  /**
   * Looks whether each row of the primary's table has its place in the mirror's. Reads those of the
   * primary's partitions that the mirror has none alike of.
   *
   * @param predicate which rows, as in {@link #recopy}
   * @throws SQLException if one of the mirror's partitions is missing (SQLSTATE 23514), or a
   *     database fails
   */
  public void checkPlaces(TableName table, String predicate) throws SQLException {
    Connection m = Session.open(mirror);
    Table t;
    List<TableName> leaves;
    try {
      t = mirrorTable(m, table);
      leaves = t.kind() == Table.Kind.PARTITIONED ? leaves(m, t) : List.of();
    } finally {
      Session.close(m);
    }
    if (!leaves.isEmpty()) {
      checkPlaces(table, leaves, predicate);
    }
  }

  /**
   * Rows of the primary that none of the mirror's partitions takes would be left out in silence.
   */
  private void checkPlaces(TableName table, List<TableName> leaves, String predicate)
      throws SQLException {
    List<String> constraints = new ArrayList<>();
    Connection m = Session.open(mirror);
    Connection p = null;
    try {
      try (PreparedStatement s = m.prepareStatement(Session.PINS)) {
        MirrorWriter.pins(s, options.resyncLimits(), "pg_catalog");
        s.execute();
      }
      for (TableName leaf : leaves) {
        String constraint = place(m, mirrorTable(m, leaf)).constraint;
        if (constraint == null) {
          return; // the only partition, and that for all that others do not take
        }
        constraints.add(constraint);
      }
      p = Session.open(primary);
      try (PreparedStatement s = p.prepareStatement(Session.PINS)) {
        MirrorWriter.pins(
            s,
            new ApplyLimits(options.recopyLockTimeout(), Duration.ZERO, Duration.ZERO),
            "pg_catalog");
        s.execute();
      }
      Table root = primaryTable(p, table);
      List<TableName> elsewhere = new ArrayList<>();
      if (root.kind() == Table.Kind.PARTITIONED) {
        Set<String> here = new HashSet<>();
        constraints.forEach(c -> here.add(parentless(c)));
        for (TableName leaf : leaves(p, root)) {
          String constraint = place(p, primaryTable(p, leaf)).constraint;
          if (constraint == null || !here.contains(parentless(constraint))) {
            elsewhere.add(leaf);
          }
        }
      } else {
        elsewhere.add(root.name());
      }
      for (TableName part : elsewhere) {
        try (Statement s = p.createStatement();
            ResultSet r =
                s.executeQuery(
                    "select exists (select from "
                        + part.sql()
                        + " where ("
                        + predicate
                        + ") and not coalesce("
                        + String.join(" or ", constraints.stream().map(c -> "(" + c + ")").toList())
                        + ", false))")) {
          r.next();
          if (r.getBoolean(1)) {
            throw new SQLException(
                "the mirror's table "
                    + table
                    + " has no partition for some of the primary's rows in "
                    + part
                    + "; create it",
                "23514");
          }
        }
      }
    } finally {
      Session.close(p);
      Session.close(m);
    }
  }

  private static boolean hasChildren(Connection c, Table table) throws SQLException {
    try (PreparedStatement s =
        c.prepareStatement(
            "select exists (select from pg_catalog.pg_inherits where inhparent = ?::oid)")) {
      s.setLong(1, table.oid());
      try (ResultSet r = s.executeQuery()) {
        r.next();
        return r.getBoolean(1);
      }
    }
  }

  private RecopyResult recopyLeaf(TableName leaf, String predicate, Consumer<TableName> orphaned)
      throws SQLException {
    for (int n = 1; ; n++) {
      Connection m = Session.open(mirror);
      Connection p = Session.open(primary);
      try {
        try (Statement s = m.createStatement()) {
          s.execute("set transaction isolation level read committed");
        }
        SQLException[] refused = new SQLException[1];
        Refused later = e -> refused[0] = e;
        RecopyResult r = recopy(p, m, leaf, predicate, null, bytes -> {}, null, orphaned, later);
        MirrorWriter.commit(m);
        if (refused[0] != null) {
          throw refused[0]; // rows that refer to those may move by now to rows that are there
        }
        return r;
      } catch (SQLException e) {
        if (Failure.of(e) != Failure.CONTENTION || n >= options.attempts()) {
          throw e;
        }
      } finally {
        Session.close(p);
        Session.close(m);
      }
      pause(Math.min(1000, 20L << Math.min(n, 6)));
    }
  }

  private static List<TableName> leaves(Connection m, Table t) throws SQLException {
    List<TableName> leaves = new ArrayList<>();
    try (PreparedStatement s =
        m.prepareStatement(
            "select n.nspname, c.relname from pg_catalog.pg_partition_tree(?::oid::regclass) p"
                + " join pg_catalog.pg_class c on c.oid = p.relid join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
                + " where p.isleaf and c.relkind = 'r' order by 1, 2")) {
      s.setLong(1, t.oid());
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          leaves.add(new TableName(r.getString(1), r.getString(2)));
        }
      }
    }
    return leaves;
  }

  /**
   * The same in the caller's mirror transaction, for one table that holds rows itself, or a
   * hypertable. The caller commits with {@link MirrorWriter#commit}, and rolls back after an
   * exception (55P03: the lock was not to be had in time).
   *
   * <p>Sets lock_timeout, search_path and the formats for the transaction.
   */
  public RecopyResult recopy(Connection mirrorConnection, TableName table, String predicate)
      throws SQLException {
    Connection p = Session.open(primary);
    try {
      return recopy(p, mirrorConnection, table, predicate, null, bytes -> {});
    } finally {
      Session.close(p);
    }
  }

  /**
   * The same, where the caller knows which relation of the primary holds the rows of that range.
   *
   * @param p a connection to the primary without autocommit and in no transaction; the caller rolls
   *     back what is left open on it
   * @param from that relation: all its rows that meet the predicate belong to the range. Null: the
   *     primary's of the same name and range, else its table at the top
   * @param passing told of bytes before they are sent on; may wait
   */
  public RecopyResult recopy(
      Connection p,
      Connection mirrorConnection,
      TableName table,
      String predicate,
      TableName from,
      IntConsumer passing)
      throws SQLException {
    return recopy(
        p, mirrorConnection, table, predicate, from, passing, null, null, Convergence::refuse);
  }

  /** How a range's rows come to the mirror. */
  @FunctionalInterface
  public interface Transfer {
    /**
     * Brings them, as the primary's connection sees them in its transaction.
     *
     * @return how many
     */
    long rows(Connection primary) throws SQLException;
  }

  /**
   * The same, of a whole table or chunk, where the caller knows a better way than rows.
   *
   * @param transfer brings the rows once the mirror's are deleted and the primary's snapshot is
   *     taken
   */
  public RecopyResult recopy(
      Connection p, Connection mirrorConnection, TableName table, TableName from, Transfer transfer)
      throws SQLException {
    return recopy(
        p, mirrorConnection, table, "true", from, bytes -> {}, transfer, null, Convergence::refuse);
  }

  /** What becomes of an error that says that others refer to rows which are to go. */
  @FunctionalInterface
  private interface Refused {
    void by(SQLException e) throws SQLException;
  }

  private static void refuse(SQLException e) throws SQLException {
    throw e;
  }

  /** A DELETE of a large table answers late: only the peer's death ends it. */
  private RecopyResult recopy(
      Connection p,
      Connection mirrorConnection,
      TableName table,
      String predicate,
      TableName from,
      IntConsumer passing,
      Transfer transfer,
      Consumer<TableName> orphaned,
      Refused refused)
      throws SQLException {
    int primaryTimeout = p.getNetworkTimeout();
    int mirrorTimeout = mirrorConnection.getNetworkTimeout();
    try {
      p.setNetworkTimeout(Runnable::run, 0);
      mirrorConnection.setNetworkTimeout(Runnable::run, 0);
      return replace(
          p, mirrorConnection, table, predicate, from, passing, transfer, orphaned, refused);
    } finally {
      Session.networkTimeout(p, primaryTimeout);
      Session.networkTimeout(mirrorConnection, mirrorTimeout);
    }
  }

  private RecopyResult replace(
      Connection p,
      Connection mirrorConnection,
      TableName table,
      String predicate,
      TableName from,
      IntConsumer passing,
      Transfer transfer,
      Consumer<TableName> orphaned,
      Refused refused)
      throws SQLException {
    check();
    Table m = mirrorTable(mirrorConnection, table);
    // a hypertable's rows are in its chunks, whose writers all lock it, too
    String only = Chunks.has(mirrorConnection, m) ? "" : "only ";
    if (m.kind() == Table.Kind.PARTITIONED) {
      throw new SQLException(
          "the mirror's table " + table + " is partitioned; recopy its partitions one by one",
          "0A000");
    }
    List<ForeignKey> references = m.referencedBy();
    if (references.isEmpty() && m.root().isPresent()) {
      references = mirrorTable(mirrorConnection, m.root().get()).referencedBy();
    }
    if (!references.isEmpty() && (m.keyed() || transfer != null)) {
      throw new SQLException(
          "the mirror's table "
              + table
              + " cannot be replaced as a whole because "
              + references.get(0).child()
              + " refers to it; resync its keys instead",
          "0A000");
    }
    try (PreparedStatement s =
        mirrorConnection.prepareStatement(
            Session.PINS + ", current_setting('transaction_isolation') as isolation")) {
      MirrorWriter.pins(
          s,
          new ApplyLimits(
              options.recopyLockTimeout(), Duration.ZERO, options.resyncLimits().idleTimeout()),
          Session.searchPath(List.of(m)));
      try (ResultSet r = s.executeQuery()) {
        r.next();
        if (!r.getString("isolation").equals("read committed")) {
          // an older snapshot would not see the rows that came while the lock was waited for
          throw new SQLException(
              "a recopy's mirror transaction is READ COMMITTED; it is " + r.getString("isolation"),
              "25001");
        }
      }
    }
    PrimarySnapshot snapshot = null;
    Place place = place(mirrorConnection, m);
    if (!Rules.on(Rule.LOCK_THEN_DELETE_THEN_SNAPSHOT)) {
      snapshot = snapshot(p, m, from == null ? place.root : from);
    }
    TableName read = from == null ? place.root : from;
    try (Statement s = mirrorConnection.createStatement()) {
      s.execute(Session.UNBOUNDED);
      // LOCK_THEN_DELETE_THEN_SNAPSHOT: what the mirror's writers brought until now has committed
      // on the primary too and is in the snapshot; what they bring later waits for this lock
      s.execute("lock table " + only + m.name().sql() + " in share row exclusive mode");
      at(Step.RECOPY_LOCKED);
      if (references.isEmpty()) {
        s.execute("delete from " + only + m.name().sql() + " where (" + predicate + ")");
      }
    }
    if (snapshot == null) {
      snapshot = snapshot(p, m, read);
    }
    Merge merge = references.isEmpty() ? null : new Merge(m, only, predicate, references);
    Set<String> partly = transfer == null ? Chunks.partly(p, read) : Set.of();
    at(Step.RECOPY_SNAPSHOT);
    long rows =
        transfer != null
            ? transfer.rows(p)
            : copy(p, mirrorConnection, m, place, predicate, from, passing, merge);
    if (merge != null) {
      SQLException e = merge.run(mirrorConnection, orphaned);
      if (e != null) {
        refused.by(e);
      }
    }
    if (!partly.isEmpty()) {
      // what is in no batch yet takes no lock that ours would keep out to get into one, and is
      // where a chunk that is wholly compressed by now is not looked for
      p.rollback();
      if (!Chunks.partly(p, read).containsAll(partly)) {
        throw new java.sql.SQLTransientException(
            read + " was compressed again while it was read", "40001");
      }
    }
    recordSnapshot(
        mirrorConnection,
        place.root,
        place.constraint == null
            ? predicate
            : predicate.strip().equalsIgnoreCase("true")
                ? place.constraint
                : "(" + place.constraint + ") and (" + predicate + ")",
        snapshot.text(),
        snapshot.incarnation());
    at(Step.RECOPY_COPIED);
    return new RecopyResult(rows, snapshot.text(), snapshot.incarnation());
  }

  /**
   * Records that the mirror's rows of a range are those that a snapshot of the primary saw: a
   * recopy, or a TRUNCATE ({@code TRUNCATE_RECORDS_SNAPSHOT}). In the mirror transaction that made
   * it so, while it holds the table's lock.
   *
   * @param table the table, or the partitioned table at the top
   * @param predicate a condition over the table's columns; {@code true} for all
   */
  public static void recordSnapshot(
      Connection mirror, TableName table, String predicate, String snapshot, String incarnation)
      throws SQLException {
    boolean whole = predicate.strip().equalsIgnoreCase("true");
    try (PreparedStatement s =
        mirror.prepareStatement(
            (whole
                    // a later snapshot of the whole table says all that the others said
                    ? "delete from dualwrite.snapshot where table_schema = ?::text and table_name = ?::text;\n"
                    : "")
                + "insert into dualwrite.snapshot (table_schema, table_name, predicate, snapshot, incarnation)"
                + " values (?::text, ?::text, ?::text, ?::text, ?::text) on conflict (table_schema, table_name, predicate)"
                + " do update set snapshot = excluded.snapshot, incarnation = excluded.incarnation, taken = now()")) {
      int i = 1;
      if (whole) {
        s.setString(i++, table.schema());
        s.setString(i++, table.name());
      }
      s.setString(i++, table.schema());
      s.setString(i++, table.name());
      s.setString(i++, predicate);
      s.setString(i++, snapshot);
      s.setString(i, incarnation);
      s.execute();
    }
  }

  Catalog primaryCatalog() {
    return primaryCatalog;
  }

  Catalog mirrorCatalog() {
    return mirrorCatalog;
  }

  /**
   * Closes a suspect on the mirror after a recopy of the whole table, or of its suspect range: only
   * if the recopy's snapshot sees the end of the transaction that opened it ({@code
   * SUSPECT_CARRIES_XID}), and only if it is still the one given.
   *
   * @param mirrorConnection the suspect's row goes in its open transaction
   * @param writer the writer that opened it
   * @return whether the suspect may be closed in the writer's journal too
   */
  public boolean closeSuspect(
      Connection mirrorConnection, UUID writer, Suspect suspect, RecopyResult recopy)
      throws SQLException {
    if (Rules.on(Rule.SUSPECT_CARRIES_XID) && !recopy.sees(suspect.xid(), suspect.incarnation())) {
      return false;
    }
    try (PreparedStatement s =
        mirrorConnection.prepareStatement(
            "delete from dualwrite.suspect where table_schema = ?::text and table_name = ?::text and writer = ?::text::uuid"
                + " and incarnation = ?::text and xid = ?::text")) {
      s.setString(1, suspect.table().schema());
      s.setString(2, suspect.table().name());
      s.setString(3, writer.toString());
      s.setString(4, suspect.incarnation());
      s.setString(5, Long.toString(suspect.xid()));
      s.executeUpdate();
    }
    return true;
  }

  /**
   * Where a table that holds rows stands.
   *
   * @param root the table under whose name the application writes its rows
   * @param constraint which of its rows are here; null if all
   */
  private record Place(TableName root, String constraint) {}

  private static Place place(Connection m, Table leaf) throws SQLException {
    try (PreparedStatement s =
        m.prepareStatement(
            // a hypertable's chunk is a child by inheritance whose CHECK constraints are its range
            "with recursive up(oid, n, chunk) as (select ?::oid, 0, false union all select i.inhparent, up.n + 1,"
                + " not c.relispartition from pg_inherits i join up on i.inhrelid = up.oid"
                + " join pg_class c on c.oid = i.inhrelid join pg_namespace cn on cn.oid = c.relnamespace"
                + " where c.relispartition or cn.nspname like '\\_timescaledb\\_%')"
                + " select n.nspname, c.relname, up.n, case when up.chunk then"
                + " (select string_agg('(' || pg_get_expr(k.conbin, k.conrelid) || ')', ' and ' order by k.conname)"
                + " from pg_constraint k where k.conrelid = ?::oid and k.contype = 'c' and k.conislocal and k.coninhcount = 0)"
                + " else pg_get_partition_constraintdef(?::oid) end"
                + " from up join pg_class c on c.oid = up.oid join pg_namespace n on n.oid = c.relnamespace order by up.n desc limit 1")) {
      s.setLong(1, leaf.oid());
      s.setLong(2, leaf.oid());
      s.setLong(3, leaf.oid());
      try (ResultSet r = s.executeQuery()) {
        r.next();
        return new Place(
            new TableName(r.getString(1), r.getString(2)),
            r.getInt(3) == 0 ? null : r.getString(4));
      }
    }
  }

  /**
   * A snapshot, taken while the relation that is to be read is locked: one that is compressed or
   * rewritten between the two would be empty, or without what came by it, for the snapshot.
   */
  private PrimarySnapshot snapshot(Connection p, Table m, TableName read) throws SQLException {
    try (PreparedStatement s =
        p.prepareStatement(
            "set transaction isolation level repeatable read read only;\nset local lock_timeout = "
                + options.recopyLockTimeout().toMillis()
                + ";\nlock table "
                + read.sql()
                + " in access share mode;\n"
                + Session.PINS
                + ", pg_is_in_recovery() as standby, pg_current_snapshot()::text as snapshot, "
                + Incarnation.SQL
                + " as incarnation")) {
      MirrorWriter.pins(
          s,
          new ApplyLimits(options.recopyLockTimeout(), Duration.ZERO, Duration.ZERO),
          Session.searchPath(List.of(m)));
      s.execute();
      for (int settings = 0; settings < 3; settings++) {
        s.getMoreResults();
      }
      try (ResultSet r = s.getResultSet()) {
        r.next();
        standby(r.getBoolean("standby"));
        return new PrimarySnapshot(r.getString("snapshot"), r.getString("incarnation"));
      }
    }
  }

  private long copy(
      Connection p,
      Connection m,
      Table leaf,
      Place place,
      String predicate,
      TableName told,
      IntConsumer passing,
      Merge merge)
      throws SQLException {
    Optional<Table> same = primaryCatalog.table(p, leaf.name());
    Table from;
    String where = predicate;
    if (told != null) {
      from = primaryTable(p, told);
    } else if (same.isPresent()
        && (leaf.name().equals(place.root)
            || place.constraint != null && sameRange(p, same.get(), place))) {
      from = same.get();
    } else if (place.constraint == null) {
      from = primaryTable(p, place.root); // all its rows are there
    } else if (place.constraint.contains("satisfies_hash_partition")) {
      throw new SQLException(
          "the mirror's table "
              + leaf.name()
              + " is a hash partition and the primary has no such one, so its rows cannot be told there;"
              + " partition the table alike on both sides",
          "0A000");
    } else {
      from = primaryTable(p, place.root);
      where = "(" + place.constraint + ") and (" + predicate + ")";
    }
    List<Column> columns;
    try {
      columns = Columns.travelling(from, leaf);
    } catch (ConvergenceException e) {
      throw new SQLException(e.getMessage(), "42703", e);
    }
    String names = columns.stream().map(Column::sql).collect(Collectors.joining(", "));
    boolean binary = columns.stream().allMatch(c -> binary(c, leaf.column(c.name()).get()));
    String format = binary ? " with (format binary)" : "";
    return CopyPipe.run(
            p,
            "copy (select "
                + names
                + " from "
                // a hypertable's chunk has compressed rows that are nobody's own
                + (hasChildren(p, from) ? from.own() : from.name().sql())
                + " where "
                + where
                + ") to stdout"
                + format,
            m,
            "copy "
                + (merge == null ? Chunks.entry(m, leaf).sql() : merge.into(m, columns))
                + (names.isEmpty() ? "" : " (" + names + ")")
                + " from stdin"
                + format,
            rate.batch(Integer.MAX_VALUE),
            (n, bytes) -> {
              passing.accept(bytes);
              // the lock is held for longer, which nothing helps: writers are left to the replayer
              rate.book(n);
              rate.await();
            })
        .rows();
  }

  private static boolean sameRange(Connection p, Table table, Place place) throws SQLException {
    Place there = place(p, table);
    return there.root.equals(place.root)
        && there.constraint != null
        && parentless(there.constraint).equals(parentless(place.constraint));
  }

  /** A hash partition's constraint names its parent by oid. */
  private static String parentless(String constraint) {
    return constraint.replaceAll(
        "satisfies_hash_partition\\('\\d+'", "satisfies_hash_partition('0'");
  }

  /** Whether the type's binary form means the same on another server: no oids in it. */
  private static boolean binary(Column a, Column b) {
    return a.declaredType().equals(b.declaredType())
        && a.type().equals(b.type())
        && a.type().indexOf('.') < 0
        && !a.type().startsWith("reg");
  }

  // ----------------------------------------------------------------------------------------------
  // what the package shares

  ConvergenceOptions options() {
    return options;
  }

  DataSource primary() {
    return primary;
  }

  DataSource mirror() {
    return mirror;
  }

  MirrorWriter writer() {
    return writer;
  }

  void invalidate() {
    primaryCatalog.invalidate();
    mirrorCatalog.invalidate();
  }

  /** The primary's table. */
  Table primaryTable(Connection p, TableName name) throws SQLException {
    Optional<Table> t = primaryCatalog.table(p, name);
    return t.orElseThrow(
        () -> new SQLException("the primary has no table " + name + " any more", "42P01"));
  }

  Table mirrorTable(Connection m, TableName name) throws SQLException {
    return mirrorCatalog
        .table(m, name)
        .orElseThrow(
            () ->
                new SQLException("the mirror has no table " + name + "; create it there", "42P01"));
  }

  /** The mirror's table for one of the primary's: of that name, or the root of that partition. */
  Table mirrorTable(Connection m, Table of) throws SQLException {
    Optional<Table> t = mirrorCatalog.table(m, of.name());
    return t.isEmpty() && of.root().isPresent()
        ? mirrorTable(m, of.root().get())
        : mirrorTable(m, of.name());
  }

  /**
   * How a read of the primary begins: READ COMMITTED, so that each sees what has committed by then,
   * and a question whether it is the primary at all.
   */
  static String primaryRead() {
    return "set transaction isolation level read committed read only;\n"
        + Session.PINS
        + Session.PLANNED_ANEW
        + ", pg_is_in_recovery() as standby";
  }

  /** Reads the first answers of {@link #primaryRead()}. */
  static void checkPrimary(PreparedStatement s) throws SQLException {
    s.getMoreResults();
    try (ResultSet r = s.getResultSet()) {
      r.next();
      standby(r.getBoolean("standby"));
    }
  }

  private static void standby(boolean is) throws SQLException {
    if (is) {
      throw new SQLException(
          "the primary's address leads to a standby, whose rows may be old; name the primary itself",
          "25006");
    }
  }

  void at(Step step) throws SQLException {
    hook.at(step);
  }

  /** Waits a little; an interrupt is an SQLException, because nobody below waits for one. */
  static void pause(long millis) throws SQLException {
    LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(millis));
    if (Thread.currentThread().isInterrupted()) {
      throw new java.sql.SQLTransientException("interrupted", "57014");
    }
  }
}
