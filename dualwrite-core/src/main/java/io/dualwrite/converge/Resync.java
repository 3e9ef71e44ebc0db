package io.dualwrite.converge;

import io.dualwrite.catalog.Chunks;
import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.ForeignKey;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.converge.Rules.Rule;
import java.sql.Array;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/**
 * One mirror transaction of the locked form of resync, tried until it goes through: read the
 * primary, write the mirror, read the primary again under the mirror's row locks, correct, commit.
 *
 * <p>Why it is right: a writer changes a row on the mirror while it holds that row's lock on the
 * primary, before its primary commit. A change that committed on the primary before the second read
 * is in the second read. A change that commits later is flushed to the mirror after this
 * transaction, because it waits for this one's row locks, or is pending and gets a resync of its
 * own. What a row lock cannot hold, a row that is not there, is the {@code WAIT_INFLIGHT} rule's
 * business.
 *
 * <p>Not thread-safe; one per call.
 */
final class Resync {

  /** A key and what is known of it in this attempt. */
  private static final class Row {
    boolean deleted; // by a unit of work, even if it is back by now
    List<String> key;
    boolean read;
    String[] image; // null: absent on the primary
    boolean held; // its row on the mirror is locked by this transaction, or gone by it
    boolean zero; // a delete found nothing
    boolean done; // written by this attempt

    Row(List<String> key, boolean deleted) {
      this.key = key;
      this.deleted = deleted;
    }
  }

  /** A table's part of the work, with what its SQL needs. */
  private static final class Part {
    final Table primary;
    final Table mirror;
    final List<Column> columns; // of the primary, those that travel
    final List<Dml.In> in; // the same on the mirror
    final List<Dml.In> key; // on the mirror
    final List<Dml.In> primaryKey; // on the primary
    final int[] keyAt; // where the key's columns stand among the columns
    Map<List<String>, Row> rows = new LinkedHashMap<>();
    final Set<List<String>> swap = new LinkedHashSet<>(); // deleted and inserted
    final Set<List<String>> passing = new LinkedHashSet<>(); // updated, one after the other
    boolean restricted; // others may refer to its rows so that they cannot be deleted
    boolean stuck; // and yet they could not be updated
    private Boolean chunks;

    Part(Table primary, Table mirror) throws ConvergenceException {
      this.primary = primary;
      this.mirror = mirror;
      if (primary.key().isEmpty()) {
        throw new ConvergenceException(
            "the table " + primary.name() + " has no key on the primary; recopy it instead");
      }
      if (!Dml.unique(mirror, primary.key())) {
        throw new ConvergenceException(
            "the mirror's table "
                + mirror.name()
                + " has no unique index on "
                + primary.key()
                + ", the key that it has on the primary; create it there");
      }
      restricted =
          mirror.referencedBy().stream().anyMatch(f -> f.onDelete() == ForeignKey.Action.RESTRICT);
      columns = Columns.travelling(primary, mirror);
      in = columns.stream().map(c -> new Dml.In(mirror.column(c.name()).get(), null)).toList();
      key = primary.key().stream().map(k -> new Dml.In(mirror.column(k).get(), null)).toList();
      primaryKey =
          primary.key().stream().map(k -> new Dml.In(primary.column(k).get(), null)).toList();
      List<String> names = columns.stream().map(Column::name).toList();
      keyAt = primary.key().stream().mapToInt(names::indexOf).toArray();
    }

    /** {@code t.k = cast(u.a0 as …) and …}. */
    String join(List<Dml.In> by) {
      StringBuilder b = new StringBuilder();
      for (int i = 0; i < by.size(); i++) {
        b.append(i == 0 ? "t." : " and t.")
            .append(by.get(i).column().sql())
            .append(" = ")
            .append(by.get(i).cast("u.a" + i));
      }
      return b.toString();
    }

    String keys() {
      return Dml.unnest(key.size()) + Dml.alias(key.size(), true);
    }

    List<String> keyOf(String[] image) {
      String[] k = new String[keyAt.length];
      for (int i = 0; i < k.length; i++) {
        k[i] = image[keyAt[i]];
      }
      return List.of(k);
    }

    /** Whether it was not found to be another row's under another text of the key. */
    boolean alive(Row row) {
      return rows.get(row.key) == row;
    }

    /** Whether the mirror's rows are in chunks, which may be compressed. */
    boolean chunks(Connection mirrorConnection) throws SQLException {
      if (chunks == null) {
        chunks = Chunks.has(mirrorConnection, mirror);
      }
      return chunks;
    }

    List<ForeignKey> acting() {
      return mirror.referencedBy().stream().filter(f -> f.onDelete().changesChild()).toList();
    }
  }

  /** The attempt is thrown away and begun again. */
  private static final class Again extends Exception {
    Again(String why) {
      super(why, null, false, false);
    }
  }

  /**
   * More rows of the mirror refer to these than are held at a time: they are resynced by
   * themselves, page by page, before the attempt begins again.
   */
  private static final class Family extends Exception {
    final transient Part part;
    final transient ForeignKey key;
    final transient List<Row> rows;

    Family(Part part, ForeignKey key, List<Row> rows) {
      super("a large family", null, false, false);
      this.part = part;
      this.key = key;
      this.rows = rows;
    }
  }

  /** A row that others refer to. */
  private record Head(TableName table, List<String> key) {}

  private final Convergence engine;
  private final Connection primary;
  private final Connection mirror;
  private final Map<TableName, Part> parts = new TreeMap<>();
  private final Set<TableName> keyless = new TreeSet<>();
  private final Consumer<TableName> orphaned;
  private final Set<Head> heads; // whose families were gone through
  private final Map<TableName, List<List<String>>> unsettled = new TreeMap<>(); // of families
  private ResyncResult families = new ResyncResult(0, 0, 0, Set.of(), Set.of());
  private boolean upsertsFirst;
  private long upserted;
  private long deleted;

  /**
   * @param orphaned told of each table without a key whose rows may have gone with a row that they
   *     refer to, before the mirror commits that
   */
  Resync(Convergence engine, Connection primary, Connection mirror, Consumer<TableName> orphaned) {
    this(engine, primary, mirror, orphaned, new HashSet<>());
  }

  private Resync(
      Convergence engine,
      Connection primary,
      Connection mirror,
      Consumer<TableName> orphaned,
      Set<Head> heads) {
    this.engine = engine;
    this.primary = primary;
    this.mirror = mirror;
    this.orphaned = orphaned;
    this.heads = heads;
  }

  // ---- the work

  /**
   * Adds a key.
   *
   * @param wasDeleted whether a unit of work deleted it (or changed it to another key)
   * @return whether that is news
   */
  boolean add(TableName table, List<String> key, boolean wasDeleted)
      throws SQLException, ConvergenceException {
    Part part = part(table);
    if (key.size() != part.key.size()) {
      throw new ConvergenceException(
          "a key of "
              + table
              + " has "
              + key.size()
              + " values where "
              + part.primary.key()
              + " is the table's key");
    }
    return add(part, key, wasDeleted) != null;
  }

  private static Row add(Part part, List<String> key, boolean wasDeleted) {
    Row known = part.rows.get(key);
    if (known != null) {
      if (known.deleted || !wasDeleted) {
        return null;
      }
      known.deleted = true;
      known.done = false;
      return known;
    }
    Row row = new Row(List.copyOf(key), wasDeleted);
    part.rows.put(row.key, row);
    return row;
  }

  private Part part(TableName name) throws SQLException, ConvergenceException {
    Part part = parts.get(name);
    if (part != null) {
      return part;
    }
    Table p = engine.primaryTable(primary, name);
    if (p.root().isPresent()) { // foreign keys and locks are the root's
      Table root = engine.primaryTable(primary, p.root().get());
      if (root.key().equals(p.key())) {
        p = root;
      }
    }
    part = parts.get(p.name());
    if (part == null) {
      part = new Part(p, engine.mirrorTable(mirror, p));
      parts.put(p.name(), part);
    }
    parts.put(name, part);
    return part;
  }

  private Set<Part> all() {
    return new LinkedHashSet<>(parts.values());
  }

  // ---- attempts

  /** Runs until the mirror has committed. */
  void run() throws SQLException, ConvergenceException {
    for (int n = 1; ; n++) {
      try {
        attempt();
        return;
      } catch (Again e) {
        mirror.rollback();
        if (n >= engine.options().attempts()) {
          throw new java.sql.SQLTransientException(
              "resync was overtaken " + n + " times: " + e.getMessage(), "40001", e);
        }
      } catch (Family e) {
        each(e);
        continue;
      } catch (SQLException e) {
        Session.rollback(mirror);
        Failure f = Failure.of(e);
        boolean progress = false;
        if (f == Failure.CONFLICT) {
          try {
            progress = pull(e);
          } catch (Family large) {
            each(large);
            progress = true;
          }
        } else if (f == Failure.CATALOG && n == 1) {
          engine.invalidate();
          rebuild();
          progress = true;
        } else if (f != Failure.CONTENTION) {
          throw e;
        }
        if (n >= engine.options().attempts() || (f == Failure.CONFLICT && !progress && n >= 5)) {
          if (f == Failure.CONFLICT) {
            throw new ConvergenceException(
                "a constraint of the mirror forbids what the primary holds: "
                    + e.getMessage()
                    + stuck(),
                e);
          }
          throw e;
        }
      }
      Convergence.pause(Math.min(n, 10) * ThreadLocalRandom.current().nextLong(1, 5));
      engine.rate().await(); // nothing is locked between two attempts
    }
  }

  private String stuck() {
    return all().stream()
        .filter(p -> p.stuck)
        .map(
            p ->
                ". Rows of "
                    + p.mirror.name()
                    + " exchange unique values, and none of them can be deleted or take another value for a moment:"
                    + " exchange them on the mirror by hand, then try again")
        .collect(Collectors.joining());
  }

  /** Resyncs the mirror's rows that refer to these, in transactions of their own. */
  private void each(Family family) throws SQLException, ConvergenceException {
    mirror.rollback();
    Part part = family.part;
    family.rows.forEach(r -> heads.add(new Head(part.mirror.name(), r.key)));
    List<Dml.In> key = part(family.key.child()).key;
    String sql =
        "select "
            + key.stream()
                .map(k -> "c." + k.column().sql() + "::text")
                .collect(Collectors.joining(", "))
            + referred(part, family.key);
    List<String> last = null;
    int most = engine.options().family();
    int batch = engine.options().batchKeys();
    while (true) {
      List<List<String>> found = new ArrayList<>();
      String[][] arrays = keys(family.rows, part.key.size());
      begin();
      try (PreparedStatement s =
          mirror.prepareStatement(
              sql
                  + (last == null ? "" : " where " + Dml.after("c", key))
                  + Dml.page("c", key, most))) {
        bind(mirror, s, 1, arrays);
        for (int i = 0; last != null && i < last.size(); i++) {
          s.setString(arrays.length + 1 + i, last.get(i));
        }
        try (ResultSet r = s.executeQuery()) {
          while (r.next()) {
            found.add(key(r, key.size()));
          }
        }
      }
      mirror.rollback();
      for (int i = 0; i < found.size(); i += batch) {
        engine.rate().await();
        Resync some = new Resync(engine, primary, mirror, orphaned, heads);
        for (List<String> k : found.subList(i, Math.min(found.size(), i + batch))) {
          some.add(family.key.child(), k, true);
        }
        some.run();
        ResyncResult r = some.result();
        Set<TableName> tables = new HashSet<>(families.tables());
        tables.addAll(r.tables());
        families =
            new ResyncResult(
                families.keys() + r.keys(),
                families.upserted() + r.upserted(),
                families.deleted() + r.deleted(),
                Set.of(),
                tables);
        keyless.addAll(r.keylessChildren());
        some.unsettled()
            .forEach((t, k) -> unsettled.computeIfAbsent(t, x -> new ArrayList<>()).addAll(k));
        mirror.rollback();
      }
      if (found.size() < most) {
        return;
      }
      last = found.get(found.size() - 1);
    }
  }

  private void rebuild() throws SQLException, ConvergenceException {
    List<Part> old = new ArrayList<>(all());
    parts.clear();
    for (Part p : old) {
      Part fresh = part(p.primary.name());
      p.rows.values().forEach(r -> add(fresh, r.key, r.deleted));
    }
  }

  private void attempt() throws SQLException, ConvergenceException, Again, Family {
    mirror.rollback(); // reading the catalog may have begun a transaction
    begin();
    upserted = 0;
    deleted = 0;
    Map<Part, Set<Row>> fresh = new LinkedHashMap<>();
    for (Part p : all()) {
      for (Row r : p.rows.values()) {
        r.read = r.held = r.zero = r.done = false;
        r.image = null;
      }
      fresh.put(p, new LinkedHashSet<>(p.rows.values()));
    }
    while (!fresh.isEmpty()) {
      Map<Part, Set<Row>> todo = fresh;
      // rows of the mirror that refer to a deleted one join, and theirs, before anything is deleted
      for (Map<Part, Set<Row>> found = todo; !found.isEmpty(); ) {
        for (Map.Entry<Part, Set<Row>> e : found.entrySet()) {
          read(e.getKey(), e.getValue());
        }
        found = children(found, true);
        found.forEach(
            (p, rows) -> todo.computeIfAbsent(p, k -> new LinkedHashSet<>()).addAll(rows));
      }
      engine.at(Step.FIRST_READ);
      write(todo);
      // a row that was deleted and is back: its former children, with the row locked for certain
      // now
      fresh = children(todo, false);
    }
    engine.at(Step.WRITTEN);
    if (Rules.on(Rule.RECHECK)) {
      recheck();
    }
    engine.at(Step.SECOND_READ);
    try (PreparedStatement s = mirror.prepareStatement("set constraints all immediate")) {
      s.execute(); // deferred ones speak now, not in COMMIT
    }
    engine.at(Step.CHECKED);
    for (TableName child : keyless) {
      // whoever copies it anew, being told, waits for this transaction's end
      try (Statement s = mirror.createStatement()) {
        s.execute("lock table " + child.sql() + " in row exclusive mode");
      }
      orphaned.accept(child);
    }
    MirrorWriter.commit(mirror);
    engine.at(Step.COMMITTED);
  }

  private void begin() throws SQLException {
    try (PreparedStatement s =
        mirror.prepareStatement(
            "set transaction isolation level read committed;\n"
                + Session.PINS
                + Session.PLANNED_ANEW
                + Session.BY_KEY
                + ";\n"
                + Session.UNBOUNDED
                + ";\nset constraints all deferred")) {
      MirrorWriter.pins(
          s,
          engine.options().resyncLimits(),
          Session.searchPath(all().stream().map(p -> p.mirror).toList()));
      s.execute();
    }
  }

  // ---- reading the primary

  private interface Seen {
    void row(Row row, String[] image) throws Again;
  }

  private void read(Part part, Set<Row> rows) throws SQLException, Again {
    look(
        part,
        rows,
        (row, image) -> {
          row.read = true;
          row.image = image;
        });
    // one row under two texts of its key ('1' and '01'): the primary's own text is the one
    for (Row row : rows) {
      if (row.image != null && part.alive(row)) {
        List<String> canonical = part.keyOf(row.image);
        if (!canonical.equals(row.key)) {
          part.rows.remove(row.key);
          Row other = part.rows.get(canonical);
          if (other == null) {
            row.key = canonical;
            part.rows.put(canonical, row);
          } else {
            other.deleted |= row.deleted;
          }
        }
      }
    }
  }

  /** Reads the primary's rows for these keys under a new snapshot, in a transaction of its own. */
  private void look(Part part, Collection<Row> rows, Seen seen) throws SQLException, Again {
    look(primary, part.primary, part.columns, part.primaryKey, part, rows, seen);
  }

  private void look(
      Connection side,
      Table table,
      List<Column> columns,
      List<Dml.In> key,
      Part part,
      Collection<Row> rows,
      Seen seen)
      throws SQLException, Again {
    String sql =
        Convergence.primaryRead()
            // of batches that are compressed each row would be compared with each key
            + (table.compresses()
                ? ";\nwith u as materialized (select * from " + part.keys() + ") "
                : Session.BY_KEY + ";\n")
            + "select u.o, t."
            + key.get(0).column().sql()
            // IS NOT NULL is false of a composite value with a field that is NULL
            + " is distinct from null, "
            + columns.stream().map(Columns::text).collect(Collectors.joining(", "))
            + " from "
            + (table.compresses() ? "u" : part.keys())
            + " left join "
            + table.own()
            + " t on "
            + part.join(key)
            + (table.compresses() ? Dml.chunks(key) : "");
    side.rollback(); // reading the catalog may have begun a transaction
    try {
      for (List<Row> slice : slices(rows)) {
        try (PreparedStatement s = side.prepareStatement(sql)) {
          int p =
              MirrorWriter.pins(
                  s, engine.options().resyncLimits(), Session.searchPath(List.of(table)));
          bind(side, s, p, keys(slice, part.key.size()));
          s.execute();
          if (side == primary) {
            engine.rate().book(slice.size());
          }
          Convergence.checkPrimary(s);
          s.getMoreResults();
          try (ResultSet r = s.getResultSet()) {
            while (r.next()) {
              String[] image = null;
              if (r.getBoolean(2)) {
                image = new String[columns.size()];
                for (int i = 0; i < image.length; i++) {
                  image[i] = r.getString(i + 3);
                }
              }
              seen.row(slice.get(r.getInt(1) - 1), image);
            }
          }
        }
        side.rollback();
      }
    } catch (SQLException | Again e) {
      Session.rollback(side);
      throw e;
    }
  }

  /**
   * The keys whose rows were not seen to be the same on both sides. What was is equal from then on,
   * whichever side was read first: what changes it later is captured, and brings the mirror what it
   * brought the primary. A row that neither side has is not seen.
   */
  List<List<String>> differing() throws SQLException {
    List<List<String>> result = new ArrayList<>();
    try {
      for (Part part : all()) {
        Collection<Row> rows = part.rows.values();
        look(part, rows, (row, image) -> row.image = image);
        List<Column> there =
            part.columns.stream().map(c -> part.mirror.column(c.name()).orElseThrow()).toList();
        look(
            mirror,
            part.mirror,
            there,
            part.key,
            part,
            rows,
            (row, image) -> {
              if (image == null || !Arrays.equals(row.image, image)) {
                result.add(row.key);
              }
            });
      }
    } catch (Again e) {
      throw new IllegalStateException(e); // neither says so
    }
    return result;
  }

  // ---- writing the mirror

  /**
   * CASCADE_CLOSURE and CHILDREN_UNDER_LOCK: the mirror's rows that refer to the given ones by a
   * foreign key that acts, and that have to be written yet.
   *
   * @param before before the write: those that go, or may have gone meanwhile. After it: those that
   *     were deleted by a unit of work and are back
   */
  private Map<Part, Set<Row>> children(Map<Part, Set<Row>> of, boolean before)
      throws SQLException, ConvergenceException, Family {
    Map<Part, Set<Row>> found = new LinkedHashMap<>();
    if (!Rules.on(Rule.CASCADE_CLOSURE)) {
      return found;
    }
    for (Map.Entry<Part, Set<Row>> e : of.entrySet()) {
      Part part = e.getKey();
      for (ForeignKey f : before ? part.mirror.referencedBy() : List.<ForeignKey>of()) {
        if (f.onUpdate().changesChild() && !part.primary.key().containsAll(f.parentColumns())) {
          passedOn(part, f, e.getValue(), found);
        }
      }
      List<ForeignKey> acting = part.acting();
      if (acting.isEmpty()) {
        continue;
      }
      List<Row> rows =
          e.getValue().stream()
              .filter(
                  r ->
                      part.alive(r)
                          && (before
                              ? r.image == null || r.deleted || part.swap.contains(r.key)
                              : r.image != null && r.deleted))
              .toList();
      for (List<Row> slice : slices(rows)) {
        if (Rules.on(Rule.CHILDREN_UNDER_LOCK)) {
          // waits for children in flight, whose check holds FOR KEY SHARE on the parent
          if (part.chunks(mirror)) {
            awaitInFlight(acting);
          }
          lock(part, slice);
        }
        engine.at(Step.PARENTS_LOCKED);
        for (ForeignKey f : acting) {
          referring(part, f, slice, found, true, before);
        }
      }
    }
    return found;
  }

  /**
   * The mirror's rows that refer to these by values which other rows have on the primary by now.
   * The foreign key will take them along as these get their new ones, as it took the primary's, but
   * for those that refer to the others since.
   */
  private void passedOn(Part part, ForeignKey f, Set<Row> of, Map<Part, Set<Row>> found)
      throws SQLException, ConvergenceException, Family {
    List<Row> present = of.stream().filter(r -> part.alive(r) && r.image != null).toList();
    for (List<Row> slice : slices(present)) {
      List<Row> rows = List.copyOf(leaving(part, f, slice).keySet());
      lock(part, rows); // waits for those that come to refer to them
      Map<Row, List<String>> values = leaving(part, f, rows);
      if (values.isEmpty()) {
        continue;
      }
      List<Row> left = List.copyOf(values.keySet());
      Set<Row> heads = new LinkedHashSet<>();
      for (List<String> n :
          onPrimary(
              part,
              List.of("u.o::text"),
              f.parentColumns(),
              left.stream().map(r -> new Row(values.get(r), false)).toList())) {
        heads.add(left.get(Integer.parseInt(n.get(0)) - 1));
      }
      if (!heads.isEmpty()) {
        referring(part, f, List.copyOf(heads), found, true, true);
      }
    }
  }

  /**
   * Those of the rows that have other values of the columns referred to on the mirror, with them.
   */
  private Map<Row, List<String>> leaving(Part part, ForeignKey f, List<Row> rows)
      throws SQLException {
    Map<Row, List<String>> result = new LinkedHashMap<>();
    if (rows.isEmpty()) {
      return result;
    }
    List<String> names = part.columns.stream().map(Column::name).toList();
    int[] at = f.parentColumns().stream().mapToInt(names::indexOf).toArray();
    query(
        "select u.o, "
            + f.parentColumns().stream()
                .map(c -> "t." + TableName.quote(c) + "::text")
                .collect(Collectors.joining(", "))
            + " from "
            + part.keys()
            + " join "
            + part.mirror.own()
            + " t on "
            + part.join(part.key),
        keys(rows, part.key.size()),
        r -> {
          Row row = rows.get(r.getInt(1) - 1);
          boolean leaves = false;
          for (int i = 0; i < at.length; i++) {
            String value = r.getString(i + 2);
            if (value == null) {
              return; // nobody refers to it
            }
            leaves |= at[i] < 0 || !value.equals(row.image[at[i]]);
          }
          if (leaves) {
            String[] values = new String[at.length];
            for (int i = 0; i < at.length; i++) {
              values[i] = r.getString(i + 2);
            }
            result.put(row, List.of(values));
          }
        });
    return result;
  }

  /**
   * Waits for the children in flight: the check of a foreign key to a hypertable locks no parent.
   * Those that the primary deleted with their parent were flushed before it was read.
   */
  private void awaitInFlight(List<ForeignKey> keys) throws SQLException, ConvergenceException {
    List<Long> oids = new ArrayList<>();
    for (ForeignKey f : keys) {
      oids.add(engine.mirrorTable(mirror, f.child()).oid());
    }
    Set<String> then = Convergence.inFlight(mirror, oids).keySet();
    long end = System.nanoTime() + engine.options().resyncLimits().lockTimeout().toNanos();
    while (!then.isEmpty()) {
      if (System.nanoTime() - end > 0) {
        throw new java.sql.SQLTransientException(
            "children of deleted rows are in flight on the mirror", "55P03");
      }
      Convergence.pause(1);
      then.retainAll(Convergence.inFlight(mirror, oids).keySet());
    }
  }

  /**
   * Adds the mirror's rows that refer to these by the foreign key.
   *
   * @param acts whether it may change them
   * @param again also those that were written before: the delete of their parent is to come
   */
  private void referring(
      Part part,
      ForeignKey f,
      List<Row> rows,
      Map<Part, Set<Row>> found,
      boolean acts,
      boolean again)
      throws SQLException, ConvergenceException, Family {
    String from = referred(part, f);
    Table child = engine.primaryTable(primary, f.child());
    if (child.key().isEmpty()) {
      if (!acts) {
        return;
      }
      query(
          "select 1" + from + " limit 1", keys(rows, part.key.size()), r -> keyless.add(f.child()));
      return;
    }
    Part to = part(f.child());
    // a family that was gone through before is taken as it is: what is left belongs to it
    boolean known =
        rows.stream().allMatch(r -> heads.contains(new Head(part.mirror.name(), r.key)));
    int most = engine.options().family();
    Set<List<String>> keys = new LinkedHashSet<>();
    query(
        "select distinct "
            + child.key().stream()
                .map(k -> "c." + TableName.quote(k) + "::text")
                .collect(Collectors.joining(", "))
            + from
            + (known ? "" : " limit " + (most + 1)),
        keys(rows, part.key.size()),
        r -> keys.add(key(r, child.key().size())));
    if (!known && keys.size() > most) {
      throw new Family(part, f, rows);
    }
    for (List<String> key : keys) {
      Row row = add(to, key, true);
      if (row == null && again && to.rows.get(key).done) {
        row = to.rows.get(key);
        row.done = false;
      }
      if (row != null) {
        found.computeIfAbsent(to, x -> new LinkedHashSet<>()).add(row);
      }
    }
  }

  /** From these rows of the mirror to those, {@code c}, that refer to them. */
  private static String referred(Part part, ForeignKey f) {
    StringBuilder on = new StringBuilder();
    for (int i = 0; i < f.childColumns().size(); i++) {
      on.append(i == 0 ? "c." : " and c.")
          .append(TableName.quote(f.childColumns().get(i)))
          .append(" = t.")
          .append(TableName.quote(f.parentColumns().get(i)));
    }
    return " from "
        + part.keys()
        + " join "
        + part.mirror.own()
        + " t on "
        + part.join(part.key)
        + " join "
        + f.child().sql()
        + " c on "
        + on;
  }

  private static List<String> key(ResultSet r, int columns) throws SQLException {
    String[] k = new String[columns];
    for (int i = 0; i < k.length; i++) {
      k[i] = r.getString(i + 1);
    }
    return List.of(k);
  }

  private void write(Map<Part, Set<Row>> todo) throws SQLException, Again {
    List<Part> order = parentsFirst(todo.keySet());
    List<Part> reverse = new ArrayList<>(order);
    Collections.reverse(reverse);
    for (Part p : reverse) {
      if (upsertsFirst) {
        makeWay(p, some(p, todo, false));
      } else {
        delete(p, some(p, todo, false));
      }
    }
    for (Part p : order) {
      upsert(p, some(p, todo, true));
    }
    if (upsertsFirst) {
      for (Part p : reverse) {
        delete(p, some(p, todo, false));
      }
    }
    todo.values().forEach(rows -> rows.forEach(r -> r.done = true));
  }

  private static List<Row> some(Part part, Map<Part, Set<Row>> of, boolean present) {
    return of.get(part).stream()
        .filter(r -> part.alive(r) && (r.image != null) == present)
        .toList();
  }

  private void upsert(Part part, List<Row> rows) throws SQLException, Again {
    List<String> key = part.primary.key();
    List<Row> sorted = new ArrayList<>(rows);
    sorted.sort(BY_KEY); // one lock order for all resyncs
    List<Row> swapped = sorted.stream().filter(r -> part.swap.contains(r.key)).toList();
    if (!swapped.isEmpty()) {
      update(Dml.swap(part.mirror, part.in, key), images(swapped, part.in.size()));
    }
    List<Row> passing = sorted.stream().filter(r -> part.passing.contains(r.key)).toList();
    if (!passing.isEmpty()) {
      oneAfterTheOther(part, passing);
    }
    for (List<Row> slice : slices(sorted)) {
      String[][] images = images(slice, part.in.size());
      put(part, images);
      if (Dml.settable(part.in, key).isEmpty() && !Dml.deferrable(part.mirror, key)) {
        // DO NOTHING locks nothing, and another transaction may be deleting the row
        lock(part, slice);
      }
      String numbered = Dml.numberedOtherwise(part.mirror, part.in, key);
      if (numbered != null) {
        List<Row> some = new ArrayList<>();
        query(numbered, images, r -> some.add(slice.get(r.getInt(1) - 1)));
        if (part.mirror.referencedBy().isEmpty()) {
          if (!some.isEmpty()) {
            update(Dml.swap(part.mirror, part.in, key), images(some, part.in.size()));
          }
        } else if (some.stream().map(r -> part.swap.add(r.key)).reduce(false, Boolean::logicalOr)) {
          throw new Again("rows that others refer to have to go and come back");
        }
      }
      String misspelt = Dml.misspelt(part.mirror, part.in, key);
      if (misspelt != null) {
        List<Row> some = new ArrayList<>();
        query(misspelt, images, r -> some.add(slice.get(r.getInt(1) - 1)));
        if (!some.isEmpty()) {
          // an UPDATE keeps the rows that refer to it; TimescaleDB takes none of a key's column
          boolean alone = part.mirror.referencedBy().isEmpty();
          update(
              alone ? Dml.swap(part.mirror, part.in, key) : Dml.spell(part.mirror, part.in, key),
              images(some, part.in.size()));
        }
      }
      slice.forEach(r -> r.held = true);
      upserted += slice.size();
    }
  }

  private void put(Part part, String[][] images) throws SQLException {
    List<String> key = part.primary.key();
    if (Dml.deferrable(part.mirror, key)) {
      update(Dml.updateByKey(part.mirror, part.in, key, true), images);
      update(Dml.insertMissing(part.mirror, part.in, key, true), images);
    } else {
      update(Dml.upsert(part.mirror, part.in, key, true), images);
    }
  }

  /**
   * Writes rows that pass unique values on: first those that nobody is in the way of, then those
   * whose values these gave up. Where they go round, one of them is set aside for a moment.
   */
  private void oneAfterTheOther(Part part, List<Row> rows) throws SQLException, Again {
    for (List<Row> slice : slices(rows)) {
      lock(part, slice); // in the one order
    }
    // for each row those that are in its way, by which indexes
    Map<List<String>, Map<List<String>, Set<Unique>>> rivals = new HashMap<>();
    rivals(
        part,
        rows,
        (row, rival, index) ->
            rivals
                .computeIfAbsent(row.key, k -> new LinkedHashMap<>())
                .computeIfAbsent(rival, k -> new LinkedHashSet<>())
                .add(index));
    List<Row> left = new ArrayList<>(rows);
    Set<List<String>> holding = left.stream().map(r -> r.key).collect(Collectors.toSet());
    while (!left.isEmpty()) {
      List<Row> ready = new ArrayList<>();
      List<Row> later = new ArrayList<>();
      for (Row r : left) {
        boolean free = Collections.disjoint(rivals.getOrDefault(r.key, Map.of()).keySet(), holding);
        (free ? ready : later).add(r);
      }
      if (ready.isEmpty()) {
        List<String> at = left.get(0).key;
        for (int n = 0; n < left.size(); n++) { // from one that is in the way to the next: round
          at = rivals.get(at).keySet().stream().filter(holding::contains).findFirst().get();
        }
        Set<Unique> by = new LinkedHashSet<>();
        for (Map<List<String>, Set<Unique>> of : rivals.values()) {
          by.addAll(of.getOrDefault(at, Set.of()));
        }
        setAside(part, at, by);
        holding.remove(at);
      }
      for (List<Row> slice : slices(ready)) {
        put(part, images(slice, part.in.size()));
      }
      ready.forEach(r -> holding.remove(r.key));
      left = later;
    }
  }

  /** Rows that are to go once others do not refer to them any more give up values before. */
  private void makeWay(Part part, List<Row> gone) throws SQLException, Again {
    if (gone.stream().noneMatch(r -> part.swap.contains(r.key) || part.passing.contains(r.key))) {
      return;
    }
    Set<List<String>> keys = gone.stream().map(r -> r.key).collect(Collectors.toSet());
    Map<List<String>, Set<Unique>> found = new LinkedHashMap<>();
    rivals(
        part,
        part.rows.values().stream().filter(r -> r.image != null).toList(),
        (row, rival, index) -> {
          if (keys.contains(rival)) {
            found.computeIfAbsent(rival, k -> new LinkedHashSet<>()).add(index);
          }
        });
    for (Map.Entry<List<String>, Set<Unique>> e : found.entrySet()) {
      setAside(part, e.getKey(), e.getValue());
    }
  }

  /** Makes a row of the mirror give up its values of these indexes. */
  private void setAside(Part part, List<String> key, Set<Unique> indexes)
      throws SQLException, Again {
    if (part.stuck) {
      return; // as far as it comes
    }
    Set<String> set = new LinkedHashSet<>();
    indexes.forEach(x -> set.add(x.aside(part.mirror, part.primary.key())));
    boolean possible = !set.contains(null);
    try {
      if (possible) {
        update(
            "update "
                + part.mirror.own()
                + " t set "
                + String.join(", ", set)
                + " from "
                + part.keys()
                + " where "
                + part.join(part.key),
            keys(List.of(new Row(key, false)), part.key.size()));
      }
    } catch (SQLException e) {
      Failure f = Failure.of(e);
      if (f != Failure.CONFLICT && f != Failure.PERMANENT) {
        throw e;
      }
      possible = false; // a CHECK, say
    }
    if (!possible) {
      part.stuck = true;
      part.restricted = false;
      part.swap.addAll(part.passing);
      part.passing.clear();
      throw new Again("a row of " + part.mirror.name() + " cannot give up a value for a moment");
    }
  }

  /** Locks the mirror's rows FOR UPDATE. */
  private void lock(Part part, List<Row> rows) throws SQLException {
    String from =
        " from " + part.keys() + " join " + part.mirror.own() + " t on " + part.join(part.key);
    String[][] keys = keys(rows, part.key.size());
    if (part.chunks(mirror)) {
      update(Dml.lock(part.mirror, part.in, part.primary.key(), from), keys);
    } else {
      query("select 1" + from + " order by u.o for update of t", keys, r -> {});
    }
  }

  private void delete(Part part, List<Row> rows) throws SQLException {
    List<Row> sorted = new ArrayList<>(rows);
    sorted.sort(BY_KEY);
    for (List<Row> slice : slices(sorted)) {
      slice.forEach(r -> r.zero = !r.held);
      if (part.chunks(mirror)) {
        deleteOneByOne(part, slice);
        continue;
      }
      query(
          "delete from "
              + part.mirror.own()
              + " t using "
              + part.keys()
              + " where "
              + part.join(part.key)
              + " returning u.o",
          keys(slice, part.key.size()),
          r -> {
            Row row = slice.get(r.getInt(1) - 1);
            row.held = true;
            row.zero = false;
            deleted++;
          });
    }
  }

  private void deleteOneByOne(Part part, List<Row> rows) throws SQLException {
    try (Statement s = mirror.createStatement()) {
      for (Row row : rows) {
        s.addBatch(Dml.delete(part.mirror, part.key, row.key));
      }
      int[] counts = s.executeBatch();
      for (int i = 0; i < counts.length; i++) {
        if (counts[i] > 0) {
          rows.get(i).held = true;
          rows.get(i).zero = false;
          deleted++;
        }
      }
    } catch (BatchUpdateException e) {
      // its own message is the statement, with the key
      throw e.getNextException() == null ? e : e.getNextException();
    }
  }

  private static final Comparator<Row> BY_KEY =
      (a, b) -> {
        for (int i = 0; i < a.key.size(); i++) {
          int c = a.key.get(i).compareTo(b.key.get(i));
          if (c != 0) {
            return c;
          }
        }
        return 0;
      };

  private List<Part> parentsFirst(Collection<Part> of) {
    List<Part> result = new ArrayList<>();
    Set<Part> visited = new HashSet<>();
    for (Part p : of) {
      visit(p, of, visited, result);
    }
    return result;
  }

  private void visit(Part p, Collection<Part> of, Set<Part> visited, List<Part> result) {
    if (visited.add(p)) {
      for (ForeignKey f : p.mirror.references()) {
        Part parent = parts.get(f.parent());
        if (parent != null && of.contains(parent)) {
          visit(parent, of, visited, result);
        }
      }
      result.add(p);
    }
  }

  // ---- RECHECK

  /**
   * RECHECK: the second read of the primary, while the mirror's rows are held; what moved is
   * corrected in place, or the attempt begins again where that cannot be right.
   */
  private void recheck() throws SQLException, Again {
    for (Part part : parentsFirst(all())) {
      List<Row> changed = new ArrayList<>();
      List<Row> gone = new ArrayList<>();
      look(
          part,
          part.rows.values(),
          (row, image) -> {
            boolean was = row.image != null;
            boolean is = image != null;
            if (was && is) {
              if (!Arrays.equals(row.image, image)) {
                if (part.swap.contains(row.key)) {
                  throw new Again("a row of " + part.mirror.name() + " that goes round changed");
                }
                row.image = image;
                changed.add(row);
              }
            } else if (is) {
              // deleted here, or not even there: there is no lock that speaks for it
              throw new Again("a row of " + part.mirror.name() + " is back on the primary");
            } else if (was) {
              if (!part.mirror.referencedBy().isEmpty()) {
                throw new Again("a row of " + part.mirror.name() + " went, which others refer to");
              }
              row.image = null;
              gone.add(row);
            }
          });
      if (!gone.isEmpty()) {
        delete(part, gone);
      }
      if (!changed.isEmpty()) {
        upsert(part, changed);
      }
    }
  }

  // ---- conflicts with stale rows

  /**
   * After a foreign key's or a unique index's error: pulls in the keys that may be in the way.
   *
   * @return whether that changed anything
   */
  private boolean pull(SQLException cause) throws SQLException, ConvergenceException, Family {
    boolean progress = false;
    try {
      mirror.rollback();
      begin();
      if (!Set.of("23505", "23P01").contains(cause.getSQLState())) {
        progress = !upsertsFirst;
        upsertsFirst = true;
        for (Part p : all()) {
          progress |= pullParents(p);
          progress |= pullChildren(p);
        }
      } else {
        // a rival that the primary has no more must go before the row that takes its value
        progress = upsertsFirst;
        upsertsFirst = false;
        for (Part p : all()) {
          progress |= pullRivals(p);
        }
      }
      return progress;
    } finally {
      Session.rollback(mirror);
    }
  }

  /** The parents that the primary's rows refer to and the mirror lacks. */
  private boolean pullParents(Part part) throws SQLException, ConvergenceException {
    boolean progress = false;
    List<String> names = part.columns.stream().map(Column::name).toList();
    for (ForeignKey f : part.mirror.references()) {
      int[] at = f.childColumns().stream().mapToInt(names::indexOf).toArray();
      if (Arrays.stream(at).anyMatch(i -> i < 0)) {
        continue; // a generated column: its parents are found by their own changes only
      }
      Set<List<String>> wanted = new LinkedHashSet<>();
      for (Row r : part.rows.values()) {
        if (r.image != null && Arrays.stream(at).allMatch(i -> r.image[i] != null)) {
          wanted.add(Arrays.stream(at).mapToObj(i -> r.image[i]).toList());
        }
      }
      if (wanted.isEmpty()) {
        continue;
      }
      Table parent = engine.primaryTable(primary, f.parent());
      if (parent.key().isEmpty()) {
        continue;
      }
      List<Dml.In> by = new ArrayList<>();
      for (String c : f.parentColumns()) {
        by.add(new Dml.In(parent.column(c).orElseThrow(), null));
      }
      List<String> key =
          parent.key().stream().map(k -> "t." + TableName.quote(k) + "::text").toList();
      List<Row> probe = wanted.stream().map(k -> new Row(k, false)).toList();
      Part to = part(f.parent());
      String from = Dml.unnest(by.size()) + Dml.alias(by.size(), true);
      List<Row> missing = new ArrayList<>();
      for (List<Row> slice : slices(probe)) {
        query(
            "select u.o from "
                + from
                + " where not exists (select from "
                + f.parent().sql()
                + " t where "
                + part.join(by)
                + ")",
            keys(slice, by.size()),
            r -> missing.add(slice.get(r.getInt(1) - 1)));
      }
      for (List<Row> slice : slices(missing)) {
        for (List<String> k : onPrimary(to, key, f.parentColumns(), slice)) {
          progress |= add(to, k, false) != null;
        }
      }
    }
    return progress;
  }

  /**
   * What the primary's rows are that have these values of some columns.
   *
   * @param what expressions over the row {@code t}, and over {@code u.o}, the value's number from 1
   */
  private Set<List<String>> onPrimary(
      Part part, List<String> what, List<String> by, List<Row> values) throws SQLException {
    List<Dml.In> in = new ArrayList<>();
    for (String c : by) {
      in.add(new Dml.In(part.primary.column(c).orElseThrow(), null));
    }
    Set<List<String>> result = new LinkedHashSet<>();
    primary.rollback();
    try (PreparedStatement s =
        primary.prepareStatement(
            Convergence.primaryRead()
                + Session.BY_KEY
                + ";\nselect "
                + String.join(", ", what)
                + " from "
                + Dml.unnest(in.size())
                + Dml.alias(in.size(), true)
                + " join "
                + part.primary.own()
                + " t on "
                + part.join(in))) {
      int p =
          MirrorWriter.pins(
              s, engine.options().resyncLimits(), Session.searchPath(List.of(part.primary)));
      bind(primary, s, p, keys(values, in.size()));
      s.execute();
      Convergence.checkPrimary(s);
      s.getMoreResults();
      try (ResultSet r = s.getResultSet()) {
        while (r.next()) {
          result.add(key(r, what.size()));
          engine.rate().book(1);
        }
      }
    } finally {
      Session.rollback(primary);
    }
    return result;
  }

  /** The mirror's rows that refer to rows which the primary has no more. */
  private boolean pullChildren(Part part) throws SQLException, ConvergenceException, Family {
    List<Row> rows = part.rows.values().stream().filter(r -> r.read && r.image == null).toList();
    Map<Part, Set<Row>> found = new HashMap<>();
    for (ForeignKey f : part.mirror.referencedBy()) {
      for (List<Row> slice : slices(rows)) {
        referring(part, f, slice, found, f.onDelete().changesChild(), false);
      }
    }
    return !found.isEmpty();
  }

  /**
   * The mirror's rows that hold a value which the primary gives to another row. Both are deleted
   * and inserted by one statement from then on (rule 15), or, where that would be refused, updated
   * one after the other.
   */
  private boolean pullRivals(Part part) throws SQLException {
    List<Row> rows = part.rows.values().stream().filter(r -> r.image != null).toList();
    boolean[] progress = new boolean[1];
    rivals(
        part,
        rows,
        (row, rival, index) -> {
          Set<List<String>> of = part.restricted ? part.passing : part.swap;
          progress[0] |= add(part, rival, false) != null;
          progress[0] |= of.add(rival);
          progress[0] |= of.add(row.key);
        });
    return progress[0];
  }

  private interface Rival {
    void of(Row row, List<String> rival, Unique index) throws SQLException;
  }

  /**
   * The other rows of the mirror that hold a value of a unique index, or exclude one by an
   * exclusion constraint, which one of these rows is to have.
   */
  private void rivals(Part part, List<Row> rows, Rival each) throws SQLException {
    if (rows.isEmpty()) {
      return;
    }
    List<Unique> indexes = Unique.of(mirror, part.mirror);
    String typed =
        Unique.withGenerated(
            mirror,
            part.mirror,
            "select u.o as \"dualwrite:o\", "
                + part.in.stream()
                    .map(i -> i.cast("u.a" + part.in.indexOf(i)) + " as " + i.column().sql())
                    .collect(Collectors.joining(", "))
                + " from "
                + Dml.unnest(part.in.size())
                + Dml.alias(part.in.size(), true));
    String keyText =
        part.primary.key().stream()
            .map(k -> "m." + TableName.quote(k) + "::text")
            .collect(Collectors.joining(", "));
    String sameKey =
        part.primary.key().stream()
            .map(k -> "m." + TableName.quote(k) + " = v." + TableName.quote(k))
            .collect(Collectors.joining(" and "));
    for (Unique x : indexes) {
      String sql =
          "select v.\"dualwrite:o\", "
              + keyText
              + " from (select x.*, "
              + x.expressions("x")
              + " from ("
              + typed
              + ") x"
              + x.where()
              + ") v join (select x.*, "
              + x.expressions("x")
              + " from "
              + x.relation()
              + " x"
              + x.where()
              + ") m on "
              + x.match()
              + " where not ("
              + sameKey
              + ")";
      for (List<Row> slice : slices(rows)) {
        query(
            sql,
            images(slice, part.in.size()),
            r -> {
              String[] k = new String[part.key.size()];
              for (int i = 0; i < k.length; i++) {
                k[i] = r.getString(i + 2);
              }
              each.of(slice.get(r.getInt(1) - 1), List.of(k), x);
            });
      }
    }
  }

  /** Notes how wide the rows were. */
  void measure(Widths widths) {
    for (Part p : all()) {
      long rows = 0;
      long chars = 0;
      for (Row r : p.rows.values()) {
        if (r.image != null) {
          rows++;
          for (String value : r.image) {
            chars += value == null ? 0 : value.length();
          }
        }
      }
      if (rows > 0) {
        widths.note(p.primary.name(), rows, chars);
      } else {
        widths.noteAbsent(p.primary.name());
      }
    }
  }

  // ---- what is left

  /** The keys that a delete did not find, and which are absent on the primary. */
  Map<TableName, List<List<String>>> unsettled() {
    Map<TableName, List<List<String>>> result = new TreeMap<>();
    unsettled.forEach((t, k) -> result.put(t, new ArrayList<>(k)));
    for (Part p : all()) {
      List<List<String>> keys =
          p.rows.values().stream().filter(r -> r.zero && r.image == null).map(r -> r.key).toList();
      if (!keys.isEmpty()) {
        result.computeIfAbsent(p.primary.name(), t -> new ArrayList<>()).addAll(keys);
      }
    }
    return result;
  }

  /** The mirror's oids of the tables in question, by their names on the primary. */
  List<Long> oids(Collection<TableName> of) {
    return of.stream().map(t -> parts.get(t).mirror.oid()).toList();
  }

  ResyncResult result() {
    long keys = all().stream().mapToLong(p -> p.rows.size()).sum();
    Set<TableName> tables = new HashSet<>(families.tables());
    all().forEach(p -> tables.add(p.mirror.name()));
    return new ResyncResult(
        keys + families.keys(),
        upserted + families.upserted(),
        deleted + families.deleted(),
        keyless,
        tables);
  }

  // ---- JDBC

  private interface Each {
    void row(ResultSet r) throws SQLException;
  }

  private void query(String sql, String[][] arrays, Each each) throws SQLException {
    try (PreparedStatement s = mirror.prepareStatement(sql)) {
      bind(mirror, s, 1, arrays);
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          each.row(r);
        }
      }
    }
  }

  private void update(String sql, String[][] arrays) throws SQLException {
    try (PreparedStatement s = mirror.prepareStatement(sql)) {
      bind(mirror, s, 1, arrays);
      s.executeUpdate();
    }
  }

  private static void bind(Connection c, PreparedStatement s, int from, String[][] arrays)
      throws SQLException {
    for (int i = 0; i < arrays.length; i++) {
      Array a = c.createArrayOf("text", arrays[i]);
      s.setArray(from + i, a);
    }
  }

  private static String[][] keys(List<Row> rows, int width) {
    String[][] columns = new String[width][rows.size()];
    for (int i = 0; i < rows.size(); i++) {
      for (int j = 0; j < width; j++) {
        columns[j][i] = rows.get(i).key.get(j);
      }
    }
    return columns;
  }

  private static String[][] images(List<Row> rows, int width) {
    String[][] columns = new String[width][rows.size()];
    for (int i = 0; i < rows.size(); i++) {
      for (int j = 0; j < width; j++) {
        columns[j][i] = rows.get(i).image[j];
      }
    }
    return columns;
  }

  private List<List<Row>> slices(Collection<Row> rows) {
    List<Row> list = List.copyOf(rows);
    List<List<Row>> result = new ArrayList<>();
    int size = engine.options().batchKeys();
    for (int i = 0; i < list.size(); i += size) {
      result.add(list.subList(i, Math.min(list.size(), i + size)));
    }
    return result;
  }
}
