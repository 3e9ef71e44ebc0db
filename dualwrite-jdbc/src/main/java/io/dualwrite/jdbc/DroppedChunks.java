package io.dualwrite.jdbc;

import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.converge.OwnXids;
import io.dualwrite.journal.RowChange;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.regex.Pattern;

/**
 * TimescaleDB's chunks that a statement takes away: {@code drop_chunks}, {@code detach_chunk}, DROP
 * TABLE of one. The mirror has other chunks, and another clock: what travels is the range of time
 * that the primary has nothing of any more, never the text. It goes there with whatever chunks lie
 * wholly in it, and what else there is of it row by row.
 */
final class DroppedChunks {

  /** What a text says that may be about chunks. */
  private static final Pattern ABOUT =
      Pattern.compile("chunk|columnstore|run_job", Pattern.CASE_INSENSITIVE);

  /** Chunks are named by their database, and otherwise by another. */
  private static final Pattern NAMED =
      Pattern.compile("\\b_hyper_\\d+_\\d+_chunk\\b|\\b_timescaledb_internal\\b");

  private static final String LOW =
      "case when k.range_start is null then k.range_start_integer"
          + " when not isfinite(k.range_start) then -9223372036854775808 else (extract(epoch from k.range_start) * 1000000)::bigint end";

  private static final String HIGH =
      "case when k.range_end is null then k.range_end_integer"
          + " when not isfinite(k.range_end) then 9223372036854775807 else (extract(epoch from k.range_end) * 1000000)::bigint end";

  /** A bound as a text that no setting changes; 2.22 shows those of uuids as it counts them. */
  private static String text(String end) {
    return """
        case when k.range_%1$s_integer is null then to_json(k.range_%1$s at time zone 'UTC') #>> '{}'
          when k.primary_dimension_type <> 'uuid'::regtype then k.range_%1$s_integer::text
          else to_json(timestamp '1970-01-01' + k.range_%1$s_integer * interval '1 microsecond') #>> '{}' end"""
        .formatted(end);
  }

  private static final String CHUNKS =
      "select k.hypertable_schema, k.hypertable_name, a.view_schema, a.view_name, k.chunk_schema, k.chunk_name, k.primary_dimension,"
          + " k.primary_dimension_type::text, "
          + LOW
          + ", "
          + HIGH
          + ", "
          + text("start")
          + ", "
          + text("end")
          + ","
          + " exists (select from _timescaledb_catalog.dimension d join _timescaledb_catalog.hypertable h on h.id = d.hypertable_id"
          + " where (h.schema_name, h.table_name, d.column_name) = (k.hypertable_schema, k.hypertable_name, k.primary_dimension)"
          + " and d.interval_length is not null and d.partitioning_func is not null)"
          + " from timescaledb_information.chunks k left join timescaledb_information.continuous_aggregates a"
          + " on (a.materialization_hypertable_schema, a.materialization_hypertable_name) = (k.hypertable_schema, k.hypertable_name)";

  /** Other text once something was dropped that is neither TimescaleDB's nor temporary. */
  private static final String NAMES =
      "with nsp as materialized (select n.oid from pg_catalog.pg_namespace n where n.nspname not like 'pg\\_temp\\_%'"
          + " and n.nspname not like 'pg\\_toast%' and n.nspname not like '\\_timescaledb\\_%')"
          + " select pg_catalog.md5(pg_catalog.string_agg(k, ',' order by k)) from ("
          + "select 'c' || x.oid from pg_catalog.pg_class x join nsp on nsp.oid = x.relnamespace"
          + " union all select 'p' || x.oid from pg_catalog.pg_proc x join nsp on nsp.oid = x.pronamespace"
          + " union all select 't' || x.oid from pg_catalog.pg_type x join nsp on nsp.oid = x.typnamespace"
          + " union all select 'k' || x.oid from pg_catalog.pg_constraint x join nsp on nsp.oid = x.connamespace"
          + " union all select 'g' || x.oid from pg_catalog.pg_trigger x join pg_catalog.pg_class c on c.oid = x.tgrelid join nsp on nsp.oid = c.relnamespace"
          + " union all select 'n' || oid from nsp) x(k)";

  /**
   * A chunk.
   *
   * @param view the continuous aggregate that the hypertable is the materialization of, or null
   * @param type that of the column
   * @param low where it begins, as TimescaleDB counts
   * @param from where it begins, as a text: a timestamp in UTC, or a number
   * @param function whether a function of the users' makes the column's values into time
   */
  private record Chunk(
      TableName hypertable,
      TableName view,
      String column,
      String type,
      long low,
      long high,
      String from,
      String to,
      boolean function) {

    boolean meets(Chunk other) {
      return hypertable.equals(other.hypertable) && low < other.high && other.low < high;
    }

    boolean known() {
      return !function
          && switch (type) {
            case "timestamp with time zone",
                "timestamp without time zone",
                "date",
                "smallint",
                "integer",
                "bigint",
                "uuid" ->
                true;
            default -> false;
          };
    }

    Chunk upTo(Chunk last) {
      return new Chunk(hypertable, view, column, type, low, last.high, from, last.to, function);
    }

    /** A bound as drop_chunks takes it. */
    String bound(String at) {
      return switch (type) {
        case "smallint", "integer", "bigint" -> "'" + at + "'::" + type;
        case "timestamp without time zone", "date" -> "'" + at + "'::timestamp::" + type;
        default -> "('" + at + "'::timestamp at time zone 'UTC')";
      };
    }
  }

  private final Map<TableName, Chunk> before;
  private final String names;

  private DroppedChunks(Map<TableName, Chunk> before, String names) {
    this.before = before;
    this.names = names;
  }

  /** Whether the text may do something with chunks that it, or what it calls, names. */
  static boolean mayDrop(String text) {
    return ABOUT.matcher(text).find();
  }

  /** Whether the text names chunks, or what else has other names on the mirror. */
  static boolean names(String text) {
    return NAMED.matcher(text).find();
  }

  /** Before the statement; null where there is no TimescaleDB. */
  static DroppedChunks begin(Connection raw) throws SQLException {
    return there(raw) ? new DroppedChunks(chunks(raw), one(raw, NAMES)) : null;
  }

  private static boolean there(Connection raw) throws SQLException {
    return one(raw, "select pg_catalog.to_regclass('timescaledb_information.chunks')") != null;
  }

  /** All hypertables but those of continuous aggregates. */
  static Set<TableName> hypertables(Connection raw) throws SQLException {
    Set<TableName> result = new LinkedHashSet<>();
    try (Statement s = raw.createStatement();
        ResultSet r =
            s.executeQuery(
                "select hypertable_schema, hypertable_name from timescaledb_information.hypertables")) {
      while (r.next()) {
        result.add(new TableName(r.getString(1), r.getString(2)));
      }
    }
    return result;
  }

  /** The hypertables that the transaction gave tables to, as chunks with the rows they have. */
  static Set<TableName> attached(Connection raw) throws SQLException {
    OwnXids xids = new OwnXids(raw);
    Set<TableName> result = new LinkedHashSet<>();
    try (Statement s = raw.createStatement();
        ResultSet r =
            s.executeQuery(
                "select k.hypertable_schema, k.hypertable_name from timescaledb_information.chunks k"
                    + " join pg_catalog.pg_namespace n on n.nspname = k.chunk_schema"
                    + " join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = k.chunk_name"
                    + " join pg_catalog.pg_inherits x on x.inhrelid = c.oid join pg_catalog.pg_type t on t.oid = c.reltype"
                    + " where "
                    + xids.mineInCatalog("x.xmin")
                    + " and not ("
                    + xids.mineInCatalog("t.xmin")
                    + ")")) {
      while (r.next()) {
        result.add(new TableName(r.getString(1), r.getString(2)));
      }
    }
    return result;
  }

  /** The hypertable that a chunk belongs to; empty if that is a continuous aggregate's, or none. */
  static Optional<TableName> hypertable(Connection raw, TableName chunk) throws SQLException {
    Chunk c = chunks(raw).get(chunk);
    return c == null || c.view != null ? Optional.empty() : Optional.of(c.hypertable);
  }

  private static Map<TableName, Chunk> chunks(Connection raw) throws SQLException {
    Map<TableName, Chunk> result = new LinkedHashMap<>();
    try (Statement s = raw.createStatement();
        ResultSet r = s.executeQuery(CHUNKS)) {
      while (r.next()) {
        result.put(
            new TableName(r.getString(5), r.getString(6)),
            new Chunk(
                new TableName(r.getString(1), r.getString(2)),
                r.getString(4) == null ? null : new TableName(r.getString(3), r.getString(4)),
                r.getString(7),
                r.getString(8),
                r.getLong(9),
                r.getLong(10),
                r.getString(11),
                r.getString(12),
                r.getBoolean(13)));
      }
    }
    return result;
  }

  /** After it: whether something else was dropped, too. */
  boolean others(Connection raw) throws SQLException {
    return !names.equals(one(raw, NAMES));
  }

  /** Which ranges of which hypertable have no chunk any more; null: some rows of it went. */
  private Map<TableName, List<Chunk>> gone(Connection raw) throws SQLException {
    Map<TableName, Chunk> after = chunks(raw);
    Map<TableName, List<Chunk>> result = new TreeMap<>();
    List<Chunk> lost = new ArrayList<>();
    for (Map.Entry<TableName, Chunk> e : before.entrySet()) {
      if (!after.containsKey(e.getKey())) {
        lost.add(e.getValue());
      }
    }
    lost.sort(Comparator.comparingLong(Chunk::low));
    for (Chunk c : lost) {
      boolean merged = false;
      boolean partly = false;
      for (Map.Entry<TableName, Chunk> e : after.entrySet()) {
        if (e.getValue().meets(c)) {
          Chunk was = before.get(e.getKey());
          merged |= was != null && !was.meets(c); // it has grown: its rows are there
          partly = true;
        }
      }
      if (merged) {
        continue;
      }
      if (partly || !c.known()) {
        result.put(c.hypertable, null);
      } else if (!result.containsKey(c.hypertable)) {
        result.put(c.hypertable, new ArrayList<>(List.of(c)));
      } else if (result.get(c.hypertable) != null) {
        List<Chunk> ranges = result.get(c.hypertable);
        Chunk last = ranges.get(ranges.size() - 1);
        if (c.low > last.high) {
          ranges.add(c);
        } else if (c.high > last.high) {
          ranges.set(ranges.size() - 1, last.upTo(c));
        }
      }
    }
    return result;
  }

  /** After it: the hypertables whose rows went, all or some. */
  Set<TableName> lost(Connection raw) throws SQLException {
    Set<TableName> result = new LinkedHashSet<>();
    gone(raw).keySet().stream().filter(t -> !internal(t)).forEach(result::add);
    return result;
  }

  /**
   * After it: adds to the unit what the mirror has to do.
   *
   * @param suspect told of hypertables that lost chunks, and of which it is not known what
   */
  void ship(Connection raw, UnitOfWork unit, Consumer<TableName> suspect) throws SQLException {
    Map<TableName, List<Chunk>> gone = gone(raw);
    if (gone.isEmpty()) {
      return;
    }
    Moment now = Moment.of(raw);
    Catalog catalog = new Catalog();
    for (Map.Entry<TableName, List<Chunk>> e : gone.entrySet()) {
      TableName h = e.getKey();
      Optional<Table> t = catalog.table(raw, h);
      boolean spilled =
          t.isPresent()
              && !t.get().keyed()
              && unit.parts().stream().anyMatch(p -> p.tables().contains(h));
      if (e.getValue() == null || t.isEmpty() || !now.latest() || spilled) {
        if (!internal(h)) { // that of an aggregate has another name on the mirror
          suspect.accept(h);
        }
        continue;
      }
      for (Chunk c : e.getValue()) {
        String range = range(raw, c);
        unit.add(
            RowChange.range(
                statement(c, range, t.get().keyed() ? null : now.snapshot(), now.incarnation()),
                c.view == null ? h : c.view,
                c.view == null ? range : RowChange.NO_ROWS));
      }
    }
  }

  private static boolean internal(TableName hypertable) {
    return hypertable.schema().startsWith("_timescaledb_");
  }

  private static String range(Connection raw, Chunk c) throws SQLException {
    String column = TableName.quote(c.column);
    List<String> conditions = new ArrayList<>();
    if (c.low != Long.MIN_VALUE) { // else whatever the type has there, and -infinity
      conditions.add(column + " >= " + value(raw, c, c.from));
    }
    if (c.high != Long.MAX_VALUE) {
      conditions.add(column + " < " + value(raw, c, c.to));
    }
    return conditions.isEmpty() ? "true" : String.join(" and ", conditions);
  }

  /** A bound as a value of the column. */
  private static String value(Connection raw, Chunk c, String at) throws SQLException {
    if (!c.type.equals("uuid")) {
      return c.bound(at);
    }
    return "'"
        + one(
            raw,
            "select "
                + one(
                    raw,
                    "select pg_catalog.quote_ident(n.nspname) from pg_catalog.pg_extension e join pg_catalog.pg_namespace n"
                        + " on n.oid = e.extnamespace where e.extname = 'timescaledb'")
                + ".to_uuidv7_boundary("
                + c.bound(at)
                + ")")
        + "'::uuid";
  }

  /**
   * What the mirror does: chunks as a whole, and what lies in others row by row. Whoever writes
   * there now committed on the primary before the chunks went; he is waited for: by the
   * hypertable's lock if he makes a chunk, by that of the chunk otherwise. Who writes elsewhere, or
   * copies, is not.
   */
  private static String statement(Chunk c, String range, String snapshot, String incarnation) {
    String table = (c.view == null ? c.hypertable : c.view).sql();
    String of =
        "("
            + literal((c.view == null ? c.hypertable : c.view).schema())
            + ", "
            + literal((c.view == null ? c.hypertable : c.view).name())
            + ")";
    StringBuilder drop = new StringBuilder();
    if (c.high != Long.MAX_VALUE) {
      drop.append(", older_than => ").append(c.bound(c.to));
    }
    if (c.low != Long.MIN_VALUE) {
      drop.append(", newer_than => ").append(c.bound(c.from));
    }
    if (!drop.isEmpty()) {
      String call =
          "execute 'select ' || f || '.drop_chunks('"
              + (" || quote_literal(" + literal(table) + ") || ")
              + (literal(drop + ")") + ";\n");
      drop.setLength(0);
      // 2.22 knows no time for uuids, and none a time next to infinity: these go row by row
      drop.append("begin\n" + call)
          .append("exception when invalid_parameter_value or datetime_field_overflow then null;\n")
          .append("end;\n");
    } else {
      drop.append("null;\n");
    }
    StringBuilder b =
        new StringBuilder("do $dualwrite$\ndeclare f text;\nc record;\nbegin\n")
            .append("perform set_config(s.name, '0', true) from pg_settings s where s.name = ")
            .append("'timescaledb.max_tuples_decompressed_per_dml_transaction';\n")
            .append("select quote_ident(n.nspname) into f from pg_extension e join pg_namespace n")
            .append(" on n.oid = e.extnamespace where e.extname = 'timescaledb';\n");
    if (c.view != null) {
      return b.append("if f is not null then\nif exists (select from ")
          .append("timescaledb_information.continuous_aggregates where (view_schema, view_name) = ")
          .append(of + ") then\n" + drop + "end if;\nend if;\nend $dualwrite$")
          .toString();
    }
    b.append("if f is not null then\nif exists (select from timescaledb_information.hypertables")
        .append(" where (hypertable_schema, hypertable_name) = " + of + ") then\n")
        .append("lock table only " + table + " in share update exclusive mode;\n" + drop)
        .append("for c in select chunk_schema, chunk_name from timescaledb_information.chunks k")
        .append(" where (hypertable_schema, hypertable_name) = " + of)
        .append(
            " and " + LOW + " < " + c.high + " and " + HIGH + " > (" + c.low + ")::bigint loop\n")
        .append(
            "execute format('lock table only %I.%I in share row exclusive mode', c.chunk_schema, c.chunk_name);\n")
        .append("end loop;\nelse\nf := null;\nend if;\nend if;\n")
        .append(
            "if f is null then\nlock table " + table + " in share row exclusive mode;\nend if;\n")
        .append("delete from " + table + " where " + range + ";\n");
    if (snapshot != null) {
      // TRUNCATE_RECORDS_SNAPSHOT: a keyless row that was written before must not come again, nor
      // one that was written before a later one was taken, which others recorded
      b.append("insert into dualwrite.snapshot as s (table_schema, table_name, predicate,")
          .append(" snapshot, incarnation) values (" + literal(c.hypertable.schema()) + ", ")
          .append(literal(c.hypertable.name()) + ", " + literal(range) + ", " + literal(snapshot))
          .append(", " + literal(incarnation) + ") on conflict (table_schema, table_name,")
          .append(" predicate) do update set snapshot = excluded.snapshot, incarnation =")
          .append(
              " excluded.incarnation, taken = now() where s.incarnation <> excluded.incarnation")
          .append(" or pg_snapshot_xmax(s.snapshot::pg_snapshot) <=")
          .append(" pg_snapshot_xmax(excluded.snapshot::pg_snapshot);\n");
    }
    return b.append("end $dualwrite$").toString();
  }

  private static String literal(String text) {
    return "'" + text.replace("'", "''") + "'";
  }

  private static String one(Connection raw, String query) throws SQLException {
    try (Statement s = raw.createStatement();
        ResultSet r = s.executeQuery(query)) {
      return r.next() ? r.getString(1) : null;
    }
  }
}
