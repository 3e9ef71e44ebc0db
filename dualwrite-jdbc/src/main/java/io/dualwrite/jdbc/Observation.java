package io.dualwrite.jdbc;

import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.converge.OwnXids;
import io.dualwrite.journal.RowChange;
import io.dualwrite.sql.Kind;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What a transaction writes behind the text of its statements: triggers, routines, rules, COPY. The
 * primary itself is asked, twice.
 *
 * <p>PostgreSQL counts for each session and table how many rows the running transaction inserted,
 * updated and deleted, whoever did it ({@code pg_stat_get_xact_tuples_…}; no privilege needed). The
 * counts of transactions before may still be in them, so the difference between a reading before
 * the first such statement and one before the commit is taken. It is an upper bound: what a
 * savepoint took back is counted too. Tables that changed no more than what was captured need
 * nothing.
 *
 * <p>From the others the rows are read back by their {@code xmin}: rows whose current version this
 * transaction made. Those are all that changed if nothing was deleted and no key was updated, which
 * the counts tell too (an update that is HOT changes no indexed column). A large table is not read
 * as a whole: new rows most often are at its end, or have the highest keys, and the counts tell
 * whether all were found there. What cannot be told exactly makes the table a suspect.
 *
 * <p>The rows are locked by this transaction, so their images are as good as any captured one.
 */
final class Observation {

  /** A table of so many pages is read as a whole at once, */
  private static final int FEW_PAGES = 16;

  /** and one of so many if its new rows are not found otherwise. */
  private static final int SMALL_PAGES = 1024;

  private static final String NOT_FOUND = "its new rows could not be found among many others";

  private static final String COUNTS =
      "select c.oid::bigint, n.nspname, c.relname, c.ins, c.upd, c.del, c.hot, n.nspname = 'pg_catalog',"
          + " pg_catalog.current_setting('track_counts') = 'on', c.blocks"
          + " from (select c.oid, c.relname, c.relnamespace, pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) as ins,"
          + " pg_catalog.pg_stat_get_xact_tuples_updated(c.oid) as upd, pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) as del,"
          + " pg_catalog.pg_stat_get_xact_tuples_hot_updated(c.oid) as hot, pg_catalog.pg_stat_get_xact_blocks_fetched(c.oid) as blocks from pg_catalog.pg_class c"
          + " where c.relkind in ('r', 'm') and c.relpersistence <> 't' offset 0) c"
          + " join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.ins + c.upd + c.del > 0"
          + " and n.nspname not in ('information_schema', 'pg_toast', 'dualwrite')"
          // one row that is always there, for the settings
          + " union all select 0, '', pg_catalog.concat_ws(' ', pg_catalog.current_setting('search_path'), current_user, pg_catalog.pg_my_temp_schema()::oid), 0, 0, 0, 0, false,"
          + " pg_catalog.current_setting('track_counts') = 'on', 0";

  /** The same with the counts of all sessions added. */
  private static final String TOTALS =
      COUNTS.replaceAll(
          "pg_catalog\\.pg_stat_get_xact_(\\w+)\\(c\\.oid\\)",
          "$0 + pg_catalog.pg_stat_get_$1(c.oid)");

  /**
   * What the transaction made or changed that is not temporary, as a text that is another one after
   * any more of it; $ stands for the condition that a row is its own.
   */
  private static final String CATALOG_CHANGES =
      "with nsp as materialized (select n.oid, n.xmin, n.ctid from pg_catalog.pg_namespace n"
          + " where n.nspname not like 'pg\\_temp\\_%' and n.nspname not like 'pg\\_toast%' and n.nspname not like '\\_timescaledb\\_%')"
          + " select pg_catalog.md5(coalesce(pg_catalog.string_agg(k, ',' order by k), '')) from ("
          + "select 'class' || x.ctid::text from pg_catalog.pg_class x join nsp on nsp.oid = x.relnamespace where $ and x.relpersistence <> 't'"
          + " union all select 'type' || x.ctid::text from pg_catalog.pg_type x join nsp on nsp.oid = x.typnamespace where $"
          + " union all select 'proc' || x.ctid::text from pg_catalog.pg_proc x where $"
          + " union all select 'enum' || x.ctid::text from pg_catalog.pg_enum x where $"
          + " union all select 'constraint' || x.ctid::text from pg_catalog.pg_constraint x join nsp on nsp.oid = x.connamespace where $"
          + " union all select 'trigger' || x.ctid::text from pg_catalog.pg_trigger x join pg_catalog.pg_class c on c.oid = x.tgrelid join nsp on nsp.oid = c.relnamespace where $ and c.relpersistence <> 't'"
          + " union all select 'default' || x.ctid::text from pg_catalog.pg_attrdef x join pg_catalog.pg_class c on c.oid = x.adrelid join nsp on nsp.oid = c.relnamespace where $ and c.relpersistence <> 't'"
          + " union all select 'column' || x.ctid::text from pg_catalog.pg_attribute x join pg_catalog.pg_class c on c.oid = x.attrelid join nsp on nsp.oid = c.relnamespace where $ and c.relpersistence <> 't'"
          + " union all select 'index' || x.ctid::text from pg_catalog.pg_index x join pg_catalog.pg_class c on c.oid = x.indrelid join nsp on nsp.oid = c.relnamespace where $ and c.relpersistence <> 't'"
          + " union all select 'rule' || x.ctid::text from pg_catalog.pg_rewrite x join pg_catalog.pg_class c on c.oid = x.ev_class join nsp on nsp.oid = c.relnamespace where $ and c.relpersistence <> 't'"
          + " union all select 'policy' || x.ctid::text from pg_catalog.pg_policy x join pg_catalog.pg_class c on c.oid = x.polrelid join nsp on nsp.oid = c.relnamespace where $"
          + " union all select 'schema' || x.ctid::text from nsp x where $"
          + " union all select 'extension' || x.ctid::text from pg_catalog.pg_extension x where $) changes(k)";

  /** {@link #CATALOG_CHANGES} of a transaction that changed nothing: the MD5 of no text. */
  private static final String NO_CHANGES = "d41d8cd98f00b204e9800998ecf8427e";

  /** System tables from which nothing is deleted but by DROP. */
  private static final Set<String> DROPS =
      Set.of("pg_class", "pg_proc", "pg_type", "pg_trigger", "pg_constraint", "pg_namespace");

  /** User tables whose catalog row the transaction wrote: truncated, altered or new. */
  private static final String TOUCHED_IN_CATALOG =
      "select x.oid::bigint from pg_catalog.pg_class x join pg_catalog.pg_namespace n on n.oid = x.relnamespace"
          + " where $ and x.relkind in ('r', 'm') and x.relpersistence <> 't' and n.nspname not in ('pg_catalog', 'information_schema', 'dualwrite')"
          + " and n.nspname not like 'pg\\_%' and n.nspname not like '\\_timescaledb\\_%'";

  /**
   * Where the rows in the catalog are of tables that are named in SQL text, and of their
   * partitions.
   */
  private static final String ROWS_OF =
      "select c.oid::bigint, c.ctid::text from unnest(?::text[]) n, lateral (select pg_catalog.to_regclass(n)::oid"
          + " union select p.relid from pg_catalog.pg_partition_tree(pg_catalog.to_regclass(n)) p) t(oid) join pg_catalog.pg_class c on c.oid = t.oid";

  /** Those of them that it made: a TRUNCATE or an ALTER leaves the row's type as it was. */
  private static final String MADE =
      TOUCHED_IN_CATALOG
          + " and exists (select from pg_catalog.pg_type t where t.oid = x.reltype and $t)";

  /** The table under whose name a partition's, or a hypertable's chunk's, rows are written. */
  private static final String ROOTS =
      "with recursive up(leaf, oid, n) as (select l, l, 0 from unnest(?::oid[]) l"
          + " union all select up.leaf, i.inhparent, up.n + 1 from up join pg_catalog.pg_inherits i on i.inhrelid = up.oid"
          + " join pg_catalog.pg_class c on c.oid = i.inhrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
          + " where c.relispartition or n.nspname like '\\_timescaledb\\_%')"
          + " select distinct on (up.leaf) up.leaf::bigint, ln.nspname, l.relname, n.nspname, c.relname,"
          + " pg_catalog.has_table_privilege(up.leaf, 'select'), pg_catalog.row_security_active(up.leaf),"
          + " pg_catalog.pg_relation_size(up.leaf) / pg_catalog.current_setting('block_size')::bigint"
          + " from up join pg_catalog.pg_class c on c.oid = up.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
          + " join pg_catalog.pg_class l on l.oid = up.leaf join pg_catalog.pg_namespace ln on ln.oid = l.relnamespace"
          + " order by up.leaf, up.n desc";

  private static final String OF_BATCHES =
      "select distinct h.schema_name, h.table_name from _timescaledb_catalog.chunk b"
          + " join _timescaledb_catalog.chunk k on k.compressed_chunk_id = b.id"
          + " join _timescaledb_catalog.hypertable h on h.id = k.hypertable_id"
          + " where b.schema_name || '.' || b.table_name = any(?)";

  /** What {@code create_hypertable}, {@code set_chunk_time_interval} and the like write to. */
  private static final Set<TableName> HYPERTABLES =
      Set.of(
          new TableName("_timescaledb_catalog", "hypertable"),
          new TableName("_timescaledb_catalog", "dimension"));

  private static final TableName CHUNK = new TableName("_timescaledb_catalog", "chunk");

  /** What the schemas of TimescaleDB's own tables begin with. */
  private static final String TIMESCALEDB = "_timescaledb_";

  private record Counts(
      TableName name, long ins, long upd, long del, long hot, boolean system, long blocks) {
    Counts minus(Counts before) {
      return before == null
          ? this
          : new Counts(
              name,
              ins - before.ins,
              upd - before.upd,
              del - before.del,
              hot - before.hot,
              system,
              blocks - before.blocks);
    }

    boolean any() {
      return ins != 0 || upd != 0 || del != 0;
    }

    /** A TRUNCATE lets them begin anew. */
    boolean fewer() {
      return ins < 0 || upd < 0 || del < 0;
    }

    Counts none() {
      return new Counts(name, 0, 0, 0, 0, system, 0);
    }
  }

  /** What was captured of one table since the first reading. */
  private static final class Captured {
    long written;
    long updated;
    long deleted;
    long before;
  }

  /** A table that rows go into, with all the tables that they lie in. */
  private static final class Place {
    final TableName root;
    final List<Leaf> leaves = new ArrayList<>();

    /** All under which its rows may have been captured. */
    final Set<TableName> names = new LinkedHashSet<>();

    long ins;
    long upd;
    long del;
    long hot;
    boolean readable = true;
    boolean emptied;

    Place(TableName root) {
      this.root = root;
      names.add(root);
    }
  }

  /**
   * @param altered whether its row in the catalog is the transaction's own: it was truncated (the
   *     counts then begin anew), altered, or made and filled
   */
  private record Leaf(TableName name, long ins, long pages, boolean altered) {}

  private final DualWriter writer;
  private final Map<Long, Counts> before;
  private final boolean counting;
  private final String path;
  private final Map<TableName, Captured> captured = new HashMap<>();
  private final List<Text> texts = new ArrayList<>();
  private final Set<TableName> rewritten = new LinkedHashSet<>();

  /**
   * Tables that DDL made or altered whose text travels: where it left their rows in the catalog.
   */
  private final Map<Long, String> defined = new HashMap<>();

  // before the statements of which texts has the texts
  private Map<Long, Counts> base;
  private String baseChanges = NO_CHANGES;

  /**
   * What the transaction truncated before: a second TRUNCATE of it changes nothing in the catalog.
   */
  private Set<TableName> truncated = Set.of();

  /** Before the statement that runs now; null if there is none, or nothing was truncated. */
  private Map<Long, Counts> running;

  /** What statements had to do with whose text does not tell what they do. */
  private final Set<Long> met = new LinkedHashSet<>();

  /** The chunks before the statement that runs now, or has run; null if it is not about them. */
  private DroppedChunks chunks;

  private boolean shipped;
  private boolean catalogChanged;
  private boolean namesChanged;

  /**
   * A statement that may have changed the catalog.
   *
   * @param ships whether it may run on the mirror
   */
  private record Text(String sql, boolean ships) {}

  private Observation(DualWriter writer, Map<Long, Counts> before) {
    this.writer = writer;
    this.before = before;
    Counts settings = before.remove(0L);
    this.counting = settings != null;
    this.path = settings == null ? null : settings.name.name();
    this.base = before;
  }

  /**
   * Takes the first reading.
   *
   * @param unit what the transaction wrote before; null if nothing
   * @param changed whether it changed the catalog before
   */
  static Observation begin(DualWriter writer, Connection raw, UnitOfWork unit, boolean changed)
      throws SQLException {
    Observation o = new Observation(writer, counts(raw, COUNTS));
    if (changed) {
      o.baseChanges = catalogChanges(raw);
    }
    if (unit != null) {
      for (RowChange c : unit.changes()) {
        o.of(c.table()).before += c.rows().length;
      }
      // how many rows of which table went to the journal is not known any more
      unit.parts().forEach(p -> p.tables().forEach(t -> o.of(t).before++));
      o.truncated = Set.copyOf(unit.truncated());
    }
    return o;
  }

  /**
   * Watches what is written outside of a transaction of ours, for {@link #touched}: the server may
   * add the session's counts to those of all sessions meanwhile, so both are read.
   */
  static Observation watch(DualWriter writer, Connection raw) throws SQLException {
    Observation o = new Observation(writer, counts(raw, TOTALS));
    o.chunks = DroppedChunks.begin(raw);
    return o;
  }

  private static Map<Long, Counts> counts(Connection raw, String query) throws SQLException {
    Map<Long, Counts> result = new HashMap<>();
    try (Statement s = raw.createStatement();
        ResultSet r = s.executeQuery(query)) {
      while (r.next()) {
        if (r.getLong(1) == 0 && !r.getBoolean(9)) {
          continue;
        }
        result.put(
            r.getLong(1),
            new Counts(
                new TableName(r.getString(2), r.getString(3)),
                r.getLong(4),
                r.getLong(5),
                r.getLong(6),
                r.getLong(7),
                r.getBoolean(8),
                r.getLong(10)));
      }
    }
    return result;
  }

  private Captured of(TableName table) {
    return captured.computeIfAbsent(table, t -> new Captured());
  }

  /** As many new rows of the table. */
  void captured(TableName table, long rows) {
    of(table).written += rows;
  }

  /** Rows of which no more needs to be found out. */
  void captured(Kind statement, RowChange change) {
    Captured c = of(change.table());
    switch (change.kind()) {
      case DELETE -> c.deleted += change.rows().length;
      case REMOVE -> {
        if (statement == Kind.DELETE) { // else it comes with the row that takes its place
          c.deleted += change.rows().length;
        }
      }
      case TRUNCATE, STATEMENT -> {}
      default -> {
        c.written += change.rows().length;
        if (statement == Kind.UPDATE || statement == Kind.MERGE) {
          c.updated += change.rows().length;
        }
      }
    }
  }

  /**
   * A statement runs now whose text does not tell what it does.
   *
   * @param text its text, if {@link #text} is to be told of it
   */
  void runs(Connection raw, UnitOfWork unit, String text) throws SQLException {
    if (text != null && counting && DroppedChunks.mayDrop(text)) {
      Map<Long, Counts> now = counts(raw, COUNTS);
      settle(raw, now, unit); // what others did, too, whose texts are not told
      base = now;
      chunks = DroppedChunks.begin(raw);
    }
    running = truncated.isEmpty() ? null : counts(raw, COUNTS);
  }

  /** It has run. */
  void ran(Connection raw) throws SQLException {
    if (running != null) {
      for (Map.Entry<Long, Counts> e : counts(raw, COUNTS).entrySet()) {
        Counts d = e.getValue().minus(running.get(e.getKey()));
        if (!d.system && d.blocks != 0) {
          met.add(e.getKey());
        }
      }
      running = null;
    }
  }

  /**
   * A statement that has to run on the mirror too if something in the catalog changed.
   *
   * @param ships false: it must not, as it is about what has another name there
   */
  void text(String sql, boolean ships) {
    texts.add(new Text(sql, ships && !DroppedChunks.names(sql)));
  }

  /**
   * Finds out whether the statements that were told to {@link #text} changed something in the
   * catalog, and ships them if so. To be called before something else changes it, and before a
   * savepoint, whose rollback would not take them back.
   */
  void settle(Connection raw, UnitOfWork unit) throws SQLException {
    if (texts.isEmpty() || !counting) {
      return;
    }
    Map<Long, Counts> now = counts(raw, COUNTS);
    settle(raw, now, unit);
    base = now;
  }

  /** What changed the catalog since is known: it is not told from what comes now. */
  void known(Connection raw) throws SQLException {
    base = counts(raw, COUNTS);
    baseChanges = catalogChanges(raw);
  }

  /**
   * DDL that travels as text was about these tables.
   *
   * @param before what {@link #altered} said before it
   */
  void defined(Connection raw, List<String> tables, Set<Long> before) throws SQLException {
    try (PreparedStatement s = raw.prepareStatement(ROWS_OF)) {
      s.setArray(1, raw.createArrayOf("text", tables.toArray()));
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          if (!before.contains(r.getLong(1))) {
            defined.put(r.getLong(1), r.getString(2));
          }
        }
      }
    }
  }

  /** Tables that the transaction truncated, altered or made, other than {@link #defined} says. */
  Set<Long> altered(Connection raw) throws SQLException {
    String mine = new OwnXids(raw).mineInCatalog("x.xmin");
    Set<Long> result = oids(raw, TOUCHED_IN_CATALOG.replace("$", mine));
    if (!defined.isEmpty()) {
      try (PreparedStatement s =
          raw.prepareStatement(
              "select c.oid::bigint, c.ctid::text from pg_catalog.pg_class c where c.oid = any(?)")) {
        s.setArray(1, raw.createArrayOf("oid", defined.keySet().toArray()));
        try (ResultSet r = s.executeQuery()) {
          while (r.next()) {
            if (defined.get(r.getLong(1)).equals(r.getString(2))) {
              result.remove(r.getLong(1));
            }
          }
        }
      }
    }
    return result;
  }

  /** A savepoint took back what was told to {@link #text} since {@link #settle}, and more. */
  void undone(Connection raw) throws SQLException {
    defined.clear(); // their rows in the catalog are what they were before
    chunks = null;
    if (!texts.isEmpty() || !baseChanges.equals(NO_CHANGES)) {
      texts.clear();
      known(raw);
    }
  }

  private void settle(Connection raw, Map<Long, Counts> now, UnitOfWork unit) throws SQLException {
    boolean system = false;
    boolean dropped = false;
    boolean hypertables = false;
    boolean chunksGone = false;
    boolean chunksCame = false;
    for (Map.Entry<Long, Counts> e : now.entrySet()) {
      Counts d = e.getValue().minus(base.get(e.getKey()));
      if (e.getKey() != 0 && d.any()) {
        system |= d.system && structural(d);
        dropped |= d.system && drops(d);
        hypertables |= HYPERTABLES.contains(d.name);
        // up to 2.25 the row of one that aggregates were made of stays, marked as dropped
        chunksGone |= d.name.equals(CHUNK) && (d.del > 0 || d.upd > 0);
        chunksCame |= d.name.equals(CHUNK) && d.ins > 0;
      }
    }
    chunksGone &= dropped;
    if (system || hypertables) {
      String changes = catalogChanges(raw);
      boolean ships =
          !changes.equals(baseChanges)
              || hypertables
              || dropped && droppedForGood(raw) && (chunks == null || chunks.others(raw));
      if (ships && !texts.isEmpty()) {
        ship(raw, unit);
      }
      if (chunksGone && chunks == null) {
        for (TableName t : DroppedChunks.hypertables(raw)) {
          suspect(unit, t, "a statement took chunks away, and its text does not say of what");
        }
      } else if (chunksGone && ships) {
        for (TableName t : chunks.lost(raw)) {
          suspect(unit, t, "a statement took chunks of it away, and did more than that");
        }
      } else if (chunksGone) {
        chunks.ship(
            raw,
            unit,
            t ->
                suspect(unit, t, "a statement took chunks of it away, and not all of their range"));
      }
      if (chunksCame) {
        for (TableName t : DroppedChunks.attached(raw)) {
          suspect(unit, t, "a table became a chunk of it");
        }
      }
      baseChanges = changes;
    }
    texts.clear();
    chunks = null;
  }

  private void ship(Connection raw, UnitOfWork unit) throws SQLException {
    String[] session = DdlCapture.session(raw);
    for (Text t : texts) {
      if (t.ships) {
        unit.add(RowChange.statement(t.sql, session[0], session[1], false));
        shipped = true;
      } else {
        suspect(
            unit,
            RowChange.NO_TABLE,
            "a statement that names chunks changed the catalog, and was not repeated on the mirror");
      }
    }
  }

  private static boolean structural(Counts system) {
    String name = system.name.name();
    return !name.equals("pg_statistic") && !name.startsWith("pg_largeobject");
  }

  private static boolean drops(Counts system) {
    return system.del > 0 && DROPS.contains(system.name.name());
  }

  private static String catalogChanges(Connection raw) throws SQLException {
    try (Statement s = raw.createStatement();
        ResultSet r =
            s.executeQuery(
                CATALOG_CHANGES.replace("$", new OwnXids(raw).mineInCatalog("x.xmin")))) {
      r.next();
      return r.getString(1);
    }
  }

  /** What was dropped leaves no trace; but temporary tables come and go. */
  private static boolean droppedForGood(Connection raw) throws SQLException {
    return is(raw, "select pg_catalog.pg_my_temp_schema() = 0");
  }

  /** Whether {@link #complete} found that something in the catalog changed. */
  boolean catalogChanged() {
    return catalogChanged;
  }

  /** Whether {@link #complete} found that names may mean other tables than before. */
  boolean namesChanged() {
    return namesChanged;
  }

  /** DDL rewrote the table's rows, and may have made values anew. */
  void rewritten(TableName table) {
    rewritten.add(table);
  }

  /**
   * Takes the second reading and completes the unit of work, right before the commit. Deferred
   * triggers have run by then; if one fails, its error is the commit's.
   */
  void complete(Connection raw, Catalog catalog, UnitOfWork unit) throws SQLException {
    try (Statement s = raw.createStatement()) {
      s.execute("set constraints all immediate");
    }
    if (!counting) {
      unit.suspect(
          RowChange.NO_TABLE, "track_counts is off, so it is not known what a statement wrote");
      return;
    }
    Map<Long, Counts> after = counts(raw, COUNTS);
    Counts settings = after.remove(0L);
    if (settings == null) {
      namesChanged = true;
      unit.suspect(RowChange.NO_TABLE, "a statement switched track_counts off");
      return;
    }
    before.forEach((oid, c) -> after.putIfAbsent(oid, c.none()));
    Map<Long, Counts> changed = new LinkedHashMap<>();
    boolean system = false;
    boolean dropped = false;
    boolean hypertables = false;
    for (Map.Entry<Long, Counts> e : after.entrySet()) {
      Counts d = e.getValue().minus(before.get(e.getKey()));
      if (!d.any() && !met.contains(e.getKey())) {
        continue;
      }
      if (d.system) {
        system |= structural(d);
        dropped |= drops(d);
      } else if (HYPERTABLES.contains(d.name)) {
        hypertables = true;
      } else if (d.name.schema().startsWith(TIMESCALEDB) && d.name.name().equals("bgw_job")) {
        writer.jobsChanged();
      } else {
        changed.put(e.getKey(), d);
      }
    }
    // a temporary table that came may have another's name
    String names = settings.name.name();
    namesChanged = !names.equals(path) || system && !names.endsWith(" 0");
    Set<Long> touched = Set.of();
    Set<Long> made = Set.of();
    OwnXids xids = new OwnXids(raw);
    if (system || hypertables) {
      settle(raw, after, unit);
    }
    if (system) {
      String mine = xids.mineInCatalog("x.xmin");
      catalogChanged = !catalogChanges(raw).equals(NO_CHANGES) || dropped && droppedForGood(raw);
      touched = altered(raw);
      if (!touched.isEmpty()) {
        made = oids(raw, MADE.replace("$t", xids.mineInCatalog("t.xmin")).replace("$", mine));
      }
    }
    for (TableName t : rewritten) {
      suspect(unit, t, "a statement rewrote its rows");
    }
    Set<Long> oids = new LinkedHashSet<>(changed.keySet());
    oids.addAll(touched);
    if (oids.isEmpty()) {
      return;
    }
    Map<TableName, Place> places = places(raw, oids, changed, touched, made);
    for (TableName t : unit.tables()) { // partitions that are divided again, too
      Place p = catalog.table(raw, t).flatMap(Table::root).map(places::get).orElse(null);
      if (p != null) {
        p.names.add(t);
      }
    }
    for (TableName t : decompressed(raw, changed.values())) {
      suspect(
          unit,
          t,
          "compressed batches of it were deleted or taken apart by a statement whose text does not say which");
    }
    boolean pinned = false;
    for (Place p : places.values()) {
      p.emptied &= !rewritten.contains(p.root);
      Optional<Table> table = catalog.table(raw, p.root);
      if (explained(p)
          && !p.emptied
          && p.leaves.stream().noneMatch(Leaf::altered)
          && !(table.isPresent() && mayHaveMoved(table.get(), p))) {
        continue;
      }
      if (table.isEmpty()) {
        continue; // dropped since
      }
      if (table.get().temporary() || table.get().kind() == Table.Kind.VIEW) {
        continue;
      }
      if (!pinned) {
        pin(raw);
        pinned = true;
      }
      String why =
          shipped
              ? "a statement that changed the catalog wrote to it"
              : readBack(raw, xids, table.get(), p, unit);
      if (why != null) {
        suspect(unit, p.root, why);
      }
    }
  }

  /** The tables that changed since the first reading, whoever changed them. */
  Set<TableName> touched(Connection raw) throws SQLException {
    // before PostgreSQL 15 counts reach those of all sessions at some later time
    if (!counting || raw.getMetaData().getDatabaseMajorVersion() < 15) {
      return Set.of(RowChange.NO_TABLE);
    }
    Map<Long, Counts> changed = new LinkedHashMap<>();
    for (Map.Entry<Long, Counts> e : counts(raw, TOTALS).entrySet()) {
      Counts d = e.getValue().minus(before.get(e.getKey()));
      if (e.getKey() != 0 && d.any() && !d.system) {
        changed.put(e.getKey(), d);
      }
    }
    Set<TableName> result =
        new LinkedHashSet<>(chunks == null ? Set.of() : chunks.lost(raw)); // with their counts
    if (!changed.isEmpty()) {
      result.addAll(places(raw, changed.keySet(), changed, Set.of(), Set.of()).keySet());
      result.addAll(decompressed(raw, changed.values()));
    }
    return result;
  }

  /**
   * Hypertables of whose compressed batches some are gone: TimescaleDB may delete them as they are,
   * and then no row of a chunk counts as deleted.
   */
  private static Set<TableName> decompressed(Connection raw, Collection<Counts> changed)
      throws SQLException {
    List<String> batches =
        changed.stream()
            .filter(c -> c.del > 0 && c.name.schema().startsWith(TIMESCALEDB))
            .map(c -> c.name.schema() + '.' + c.name.name())
            .toList();
    if (batches.isEmpty()) {
      return Set.of();
    }
    Set<TableName> result = new LinkedHashSet<>();
    try (PreparedStatement s = raw.prepareStatement(OF_BATCHES)) {
      s.setArray(1, raw.createArrayOf("text", batches.toArray()));
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          result.add(new TableName(r.getString(1), r.getString(2)));
        }
      }
    }
    return result;
  }

  private void suspect(UnitOfWork unit, TableName table, String why) {
    writer.counters.suspects.increment();
    unit.suspect(table, why);
  }

  private static boolean is(Connection raw, String question) throws SQLException {
    try (Statement s = raw.createStatement();
        ResultSet r = s.executeQuery(question)) {
      r.next();
      return r.getBoolean(1);
    }
  }

  private static Set<Long> oids(Connection raw, String question) throws SQLException {
    Set<Long> result = new LinkedHashSet<>();
    try (Statement s = raw.createStatement();
        ResultSet r = s.executeQuery(question)) {
      while (r.next()) {
        result.add(r.getLong(1));
      }
    }
    return result;
  }

  private Map<TableName, Place> places(
      Connection raw, Set<Long> oids, Map<Long, Counts> changed, Set<Long> altered, Set<Long> made)
      throws SQLException {
    Map<TableName, Place> result = new LinkedHashMap<>();
    try (PreparedStatement s = raw.prepareStatement(ROOTS)) {
      s.setArray(1, raw.createArrayOf("oid", oids.toArray()));
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          if (r.getString(4).startsWith(TIMESCALEDB)) {
            continue; // its own books, and compressed batches, whose rows are the chunk's
          }
          Place p =
              result.computeIfAbsent(new TableName(r.getString(4), r.getString(5)), Place::new);
          Counts c = changed.get(r.getLong(1));
          p.names.add(new TableName(r.getString(2), r.getString(3)));
          p.leaves.add(
              new Leaf(
                  new TableName(r.getString(2), r.getString(3)),
                  c == null ? 0 : c.ins,
                  r.getLong(8),
                  altered.contains(r.getLong(1))
                      && !(made.contains(r.getLong(1)) && r.getLong(8) == 0)));
          p.readable &= r.getBoolean(6) && !r.getBoolean(7);
          if (c != null) {
            p.ins += c.ins;
            p.upd += c.upd;
            p.del += c.del;
            p.hot += c.hot;
            p.emptied |=
                c.fewer()
                    || met.contains(r.getLong(1)) && p.names.stream().anyMatch(truncated::contains);
          }
        }
      }
    }
    return result;
  }

  private Captured capturedAt(Place p) {
    Captured sum = new Captured();
    for (TableName t : p.names) {
      Captured c = captured.get(t);
      if (c != null) {
        sum.written += c.written;
        sum.updated += c.updated;
        sum.deleted += c.deleted;
        sum.before += c.before;
      }
    }
    return sum;
  }

  private boolean explained(Place p) {
    Captured c = capturedAt(p);
    return p.ins + p.upd <= c.written && deleted(p, c) <= c.deleted;
  }

  /**
   * Whether an INSERT may have updated a row whose key a trigger changed: then the old one stays
   * where the new one is written. An update that is HOT changes no key.
   */
  private boolean mayHaveMoved(Table t, Place p) {
    return !t.userTriggers().isEmpty() && p.upd > capturedAt(p).updated && p.hot < p.upd;
  }

  /** An update that moves a row to another partition counts as a delete and an insert. */
  private static long deleted(Place p, Captured c) {
    long moved = p.leaves.size() > 1 ? Math.max(0, c.updated - p.upd) : 0;
    return p.del - Math.min(p.del, moved);
  }

  /** The formats under which values travel; for the rest of the transaction, which ends now. */
  static final String PINS =
      "set local datestyle = iso; set local intervalstyle = postgres; set local timezone = utc;"
          + " set local extra_float_digits = 3; set local bytea_output = hex; set local xmloption = content;"
          + " set local lc_monetary = 'C'; set local search_path = pg_catalog;"
          // see Session.PLANNED_ANEW
          + " set local plan_cache_mode = force_custom_plan";

  private static void pin(Connection raw) throws SQLException {
    try (Statement s = raw.createStatement()) {
      s.execute(PINS);
    }
  }

  /** Reads what is not captured into the unit; the reason why not if it cannot be told exactly. */
  private String readBack(Connection raw, OwnXids xids, Table t, Place p, UnitOfWork unit)
      throws SQLException {
    Captured c = capturedAt(p);
    if (p.emptied || p.leaves.stream().anyMatch(Leaf::altered)) {
      return "it was truncated or altered by a statement whose text does not say so";
    }
    if (!p.readable) {
      return "the role may not read what was written to it";
    }
    if (t.writableColumns().isEmpty()) {
      return "it has no column that can be written";
    }
    if (t.kind() == Table.Kind.INHERITED && p.leaves.size() > 1 || t.kind() == Table.Kind.FOREIGN) {
      return "it was written by a statement that is not captured";
    }
    if (deleted(p, c) > c.deleted) {
      return "rows of it were deleted by a statement whose text does not say which";
    }
    if (p.upd > c.updated) {
      if (!t.keyed()) {
        return "rows of it were updated, and it has no key";
      }
      if (p.hot < p.upd) {
        return "rows of it were updated by a statement whose text does not say which";
      }
    }
    if (!t.keyed() && !unit.parts().isEmpty()) {
      return "a large transaction wrote to it behind a statement's text";
    }
    if (!t.keyed() && unit.removes(p.names)) {
      // those rows are not among what is found, and which of them were the transaction's own is not
      // known
      return "rows of it were changed or deleted, others written by a statement that is not captured, and it has no key";
    }
    if (p.ins + p.upd > writer.readBackMaxRows) {
      return "more rows were written to it than are read back";
    }
    List<String> queries = new ArrayList<>();
    List<Long> atLeast = new ArrayList<>();
    for (Leaf leaf : p.leaves) {
      String all = " from only " + leaf.name.sql() + " t where ";
      String found =
          leaf.pages <= FEW_PAGES || c.before > 0 || p.upd > 0
              ? null
              : partly(raw, xids, t, leaf, all);
      if (found != null) {
        queries.add(found);
        atLeast.add(leaf.ins);
      } else if (leaf.pages <= Math.max(SMALL_PAGES, leaf.ins / 4)) {
        queries.add(all + xids.mine("t.xmin", List.copyOf(counts(raw, all, xids).keySet())));
        atLeast.add(0L);
      } else {
        return NOT_FOUND;
      }
    }
    if (!t.keyed()) {
      unit.forget(p.names); // what was captured of it is among what is found
    }
    StringBuilder list = new StringBuilder("select ");
    List<String> columns = t.writableColumns().stream().map(Column::name).toList();
    for (Column k : t.writableColumns()) {
      list.append(list.length() == 7 ? "" : ", ")
          .append(Planner.text(TableName.quote(k.name()), k));
    }
    for (int i = 0; i < queries.size(); i++) {
      long rows = rows(raw, list + queries.get(i), t, columns, unit);
      if (rows < atLeast.get(i)) {
        return NOT_FOUND;
      }
      writer.counters.readBack.add(rows);
    }
    return null;
  }

  /**
   * FROM and WHERE that find the leaf's new rows without a look at every row, and all of them, as
   * the count says; null if there is none.
   */
  private static String partly(Connection raw, OwnXids xids, Table t, Leaf leaf, String all)
      throws SQLException {
    List<String> ways = new ArrayList<>();
    if (raw.getMetaData().getDatabaseMajorVersion() >= 14) { // scans a range of ctid
      // as many pages as small rows fill, then as many as large ones do
      for (long end : new long[] {8 + leaf.ins / 64, 64 + leaf.ins / 4}) {
        long first = leaf.pages - Math.min(leaf.pages, end);
        ways.add(all + "t.ctid >= '(" + first + ",0)'::pg_catalog.tid and ");
      }
    }
    if (t.keyed()) {
      StringBuilder order = new StringBuilder();
      for (String k : t.key()) {
        order.append(order.isEmpty() ? "" : ", ").append(TableName.quote(k)).append(" desc");
      }
      ways.add(
          " from (select *, xmin as dualwrite_xmin from only "
              + leaf.name.sql()
              + " order by "
              + order
              + " limit "
              + (2 * leaf.ins + 1000)
              + ") t where ");
    }
    for (String way : ways) {
      String top = way + xids.top(xmin(way));
      if (count(raw, top) >= leaf.ins) {
        return top;
      }
      Map<String, Long> counts = counts(raw, way, xids);
      List<String> numbers = List.copyOf(counts.keySet());
      long mine = 0;
      for (String own : xids.own(numbers)) {
        mine += counts.get(own);
      }
      if (mine >= leaf.ins) {
        return way + xids.mine(xmin(way), numbers);
      }
    }
    return null;
  }

  private static long count(Connection raw, String from) throws SQLException {
    try (Statement s = raw.createStatement();
        ResultSet r = s.executeQuery("select count(*)" + from)) {
      r.next();
      return r.getLong(1);
    }
  }

  private static String xmin(String way) {
    return way.contains("dualwrite_xmin") ? "t.dualwrite_xmin" : "t.xmin";
  }

  /** How many rows there are of each number that may be the transaction's own. */
  private static Map<String, Long> counts(Connection raw, String from, OwnXids xids)
      throws SQLException {
    Map<String, Long> result = new HashMap<>();
    String xmin = xmin(from);
    try (Statement s = raw.createStatement();
        ResultSet r =
            s.executeQuery(
                "select " + xmin + "::text, count(*)" + from + xids.maybe(xmin) + " group by 1")) {
      while (r.next()) {
        result.put(r.getString(1), r.getLong(2));
      }
    }
    return result;
  }

  /** Streams rows into the unit. */
  private static long rows(
      Connection raw, String sql, Table t, List<String> columns, UnitOfWork unit)
      throws SQLException {
    long n = 0;
    try (Statement s = raw.createStatement()) {
      s.setFetchSize(Portions.FIRST);
      try (ResultSet r = s.executeQuery(sql)) {
        List<String[]> rows = new ArrayList<>();
        Portions portions = new Portions(r);
        boolean more = r.next();
        while (more) {
          String[] row = new String[columns.size()];
          for (int i = 0; i < row.length; i++) {
            row[i] = r.getString(i + 1);
          }
          rows.add(row);
          n++;
          boolean full = portions.full(row);
          more = r.next();
          if (full || !more) {
            unit.add(change(t, columns, rows));
            rows.clear();
          }
        }
      }
    }
    return n;
  }

  private static RowChange change(Table t, List<String> columns, List<String[]> rows) {
    return new RowChange(
        t.keyed() ? RowChange.Kind.UPSERT : RowChange.Kind.INSERT,
        t.name(),
        columns,
        null,
        t.key(),
        rows.toArray(new String[0][]));
  }
}
