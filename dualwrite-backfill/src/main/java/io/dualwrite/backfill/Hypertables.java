package io.dualwrite.backfill;

import io.dualwrite.catalog.TableName;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * What TimescaleDB says of one database's hypertables, by those of its functions and views that are
 * the same in all the versions that we know (2.17 to 2.28).
 */
final class Hypertables {

  private Hypertables() {}

  /**
   * A hypertable.
   *
   * @param name its name; of a continuous aggregate, that of the hypertable it is materialized in
   * @param view the continuous aggregate, or null
   * @param of the hypertable (of an aggregate on an aggregate: the other's materialization) that
   *     the continuous aggregate reads, or null
   * @param column the column of its first dimension
   * @param function whether a function of the user's makes that column's values into time
   * @param compression whether its chunks may be compressed
   */
  record Hypertable(
      TableName name,
      TableName view,
      TableName of,
      String column,
      boolean function,
      boolean compression) {

    /** The name that people know it by. */
    TableName known() {
      return view == null ? name : view;
    }
  }

  /**
   * A chunk.
   *
   * @param name its name, which differs between databases
   * @param slices its place, the same text in every database: by dimension, half-open
   * @param low where its first dimension begins, as TimescaleDB counts
   * @param high where it ends
   * @param status see {@link #compressed} and {@link #frozen}
   * @param bytes its size on the disk, roughly
   * @param rows how many rows it has, roughly; -1 if unknown
   */
  record Chunk(
      TableName name, String slices, long low, long high, int status, long bytes, long rows) {
    boolean compressed() {
      return (status & 1) != 0;
    }

    /** Whether it is compressed, and has neither rows beside that nor batches out of order. */
    boolean wholly() {
      return (status & (1 | 2 | 8)) == 1;
    }

    boolean frozen() {
      return (status & 4) != 0;
    }

    /** Whether its rows cannot be locked, or changed, one by one. */
    boolean closed() {
      return compressed() || frozen();
    }
  }

  /** Whether the database has TimescaleDB. */
  static boolean present(Connection c) throws SQLException {
    return Sql.value(c, "select pg_catalog.to_regclass('timescaledb_information.hypertables')")
        != null;
  }

  /** Whether it is one whose chunks we can list. */
  static boolean usable(Connection c) throws SQLException {
    return Sql.value(
            c,
            "select pg_catalog.to_regprocedure('_timescaledb_functions.show_chunk(regclass)') is not null"
                + " and pg_catalog.to_regprocedure('_timescaledb_functions.chunk_status(regclass)') is not null")
        .equals("t");
  }

  /** The names of the users' hypertables, without those of continuous aggregates. */
  static List<TableName> names(Connection c) throws SQLException {
    return Sql.rows(
            c,
            "select hypertable_schema, hypertable_name from timescaledb_information.hypertables order by 1, 2")
        .stream()
        .map(r -> new TableName(r.get(0), r.get(1)))
        .toList();
  }

  /** All, those of continuous aggregates too, those they read before them. */
  static List<Hypertable> all(Connection c) throws SQLException {
    List<Hypertable> result = new ArrayList<>();
    for (List<String> r :
        Sql.rows(
            c,
            "with recursive h as (select hypertable_schema s, hypertable_name n, null::name vs, null::name vn, null::name os, null::name o, compression_enabled z"
                + " from timescaledb_information.hypertables"
                + " union all select materialization_hypertable_schema, materialization_hypertable_name, view_schema, view_name,"
                + " hypertable_schema, hypertable_name, compression_enabled from timescaledb_information.continuous_aggregates),"
                + " l as (select h.*, 0 as level from h where vn is null"
                + " union all select h.*, l.level + 1 from h join l on (h.os, h.o) = (l.s, l.n))"
                + " select l.s, l.n, l.vs, l.vn, l.os, l.o, d.column_name, l.z,"
                + " exists (select from _timescaledb_catalog.hypertable x join _timescaledb_catalog.dimension y on y.hypertable_id = x.id"
                + " where (x.schema_name, x.table_name, y.column_name) = (l.s, l.n, d.column_name) and y.interval_length is not null"
                + " and y.partitioning_func is not null)"
                + " from l join timescaledb_information.dimensions d"
                + " on (d.hypertable_schema, d.hypertable_name, d.dimension_number) = (l.s, l.n, 1) order by l.level, 1, 2")) {
      result.add(
          new Hypertable(
              new TableName(r.get(0), r.get(1)),
              r.get(3) == null ? null : new TableName(r.get(2), r.get(3)),
              r.get(5) == null ? null : new TableName(r.get(4), r.get(5)),
              r.get(6),
              r.get(8).equals("t"),
              "t".equals(r.get(7))));
    }
    return result;
  }

  private static final String CHUNK =
      "k.schema_name, k.table_name, k.slices::text, (k.slices->(d.column_name::text)->>0)::bigint, (k.slices->(d.column_name::text)->>1)::bigint,"
          + " _timescaledb_functions.chunk_status(c.c)";

  /** The chunks of a hypertable, newest first. */
  static List<Chunk> chunks(Connection c, TableName hypertable) throws SQLException {
    String root = Sql.literal(hypertable.sql());
    List<Chunk> result = new ArrayList<>();
    for (List<String> r :
        Sql.rows(
            c,
            "select "
                + CHUNK
                + ", coalesce(z.total_bytes, 0), p.reltuples::bigint from "
                + showChunks(c, root)
                + " c(c) cross join lateral _timescaledb_functions.show_chunk(c.c) k"
                + " join timescaledb_information.dimensions d on (d.hypertable_schema, d.hypertable_name, d.dimension_number) = ("
                + Sql.literal(hypertable.schema())
                + ", "
                + Sql.literal(hypertable.name())
                + ", 1) join pg_catalog.pg_class p on p.oid = c.c left join "
                + function(c, "chunks_detailed_size")
                + "("
                + root
                + ") z on (z.chunk_schema, z.chunk_name) = (k.schema_name, k.table_name)"
                + " order by 4 desc, 1, 2")) {
      result.add(chunk(r));
    }
    return result;
  }

  /** One chunk as it is now; empty if it is gone. */
  static Optional<Chunk> chunk(Connection c, TableName chunk) throws SQLException {
    for (List<String> r :
        Sql.rows(
            c,
            "select k.schema_name, k.table_name, k.slices::text, 0, 0, _timescaledb_functions.chunk_status(c.c), 0, -1"
                + " from (select pg_catalog.to_regclass("
                + Sql.literal(chunk.sql())
                + ") as c) c cross join lateral _timescaledb_functions.show_chunk(c.c) k where c.c is not null")) {
      return Optional.of(chunk(r));
    }
    return Optional.empty();
  }

  /** Which rows of a hypertable the chunk takes, as a condition over its columns. */
  static String range(Connection c, TableName chunk) throws SQLException {
    return Sql.value(
        c,
        "select pg_catalog.string_agg('(' || pg_catalog.pg_get_expr(conbin, conrelid) || ')', ' and ') from pg_catalog.pg_constraint"
            + " where conrelid = "
            + Sql.literal(chunk.sql())
            + "::pg_catalog.regclass and contype = 'c' and conislocal and coninhcount = 0");
  }

  /** The chunks of a hypertable that lie, wholly or in part, in that place. */
  static List<Chunk> overlapping(Connection c, TableName hypertable, String slices)
      throws SQLException {
    List<Chunk> result = new ArrayList<>();
    for (List<String> r :
        Sql.rows(
            c,
            "select k.schema_name, k.table_name, k.slices::text, 0, 0, _timescaledb_functions.chunk_status(c.c), 0, -1 from "
                + showChunks(c, Sql.literal(hypertable.sql()))
                + " c(c) cross join lateral _timescaledb_functions.show_chunk(c.c) k"
                + " where not exists (select from pg_catalog.jsonb_each(k.slices) a join pg_catalog.jsonb_each("
                + Sql.literal(slices)
                + ") b on a.key = b.key where (a.value->>0)::bigint >= (b.value->>1)::bigint or (a.value->>1)::bigint <= (b.value->>0)::bigint)")) {
      result.add(chunk(r));
    }
    return result;
  }

  /** Whether the hypertable's chunks may be compressed. */
  static boolean compression(Connection c, TableName hypertable) throws SQLException {
    return all(c).stream().anyMatch(h -> h.name().equals(hypertable) && h.compression());
  }

  private static Chunk chunk(List<String> r) {
    return new Chunk(
        new TableName(r.get(0), r.get(1)),
        r.get(2),
        Long.parseLong(r.get(3)),
        Long.parseLong(r.get(4)),
        Integer.parseInt(r.get(5)),
        Long.parseLong(r.get(6)),
        Long.parseLong(r.get(7)));
  }

  /** The chunk of that place, made if there is none. */
  static TableName create(Connection c, TableName hypertable, String slices) throws SQLException {
    List<String> r =
        Sql.rows(
                c,
                "select schema_name, table_name from _timescaledb_functions.create_chunk("
                    + Sql.literal(hypertable.sql())
                    + ", "
                    + Sql.literal(slices)
                    + ")")
            .get(0);
    return new TableName(r.get(0), r.get(1));
  }

  private static String showChunks(Connection c, String root) throws SQLException {
    return function(c, "show_chunks") + "(" + root + "::regclass)";
  }

  /** A function of the extension's own schema, qualified: it may be installed anywhere. */
  static String function(Connection c, String name) throws SQLException {
    return Sql.value(
            c,
            "select pg_catalog.quote_ident(n.nspname) from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace"
                + " where e.extname = 'timescaledb'")
        + "."
        + name;
  }

  private static final String INVALIDATION =
      " from pg_catalog.pg_settings where name = 'timescaledb.skip_cagg_invalidation'";

  /**
   * Whether the version can write rows without logging them as changed for continuous aggregates.
   */
  static boolean quiet(Connection c) throws SQLException {
    return Sql.value(c, "select exists (select" + INVALIDATION + ")").equals("t");
  }

  /**
   * Whether writes are logged as changed for continuous aggregates, where the version lets one
   * choose. The copy is not: the materializations are copied, too.
   */
  static void invalidation(Connection c, boolean on) throws SQLException {
    Sql.execute(
        c,
        "select pg_catalog.set_config(name, "
            + (on ? "'off'" : "'on'")
            + ", false)"
            + INVALIDATION);
  }
}
