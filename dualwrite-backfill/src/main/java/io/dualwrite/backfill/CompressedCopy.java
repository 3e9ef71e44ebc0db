package io.dualwrite.backfill;

import io.dualwrite.catalog.Chunks;
import io.dualwrite.catalog.ForeignKey;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.converge.CopyPipe;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.stream.Collectors;

/**
 * Copies a compressed chunk as it is: the rows of the table that TimescaleDB keeps its compressed
 * batches in, none of which is decompressed on either side.
 *
 * <p>What goes into that table passes by every check of the hypertable's: keys, other constraints,
 * foreign keys, defaults of columns that were added later. So it is done only where none of them
 * could have refused a row or shown it otherwise: the same version of TimescaleDB, the same
 * columns, constraints, unique indexes and settings of compression on both sides, types whose
 * binary form means the same on another server, and a target's chunk that was emptied under a lock
 * in the same transaction. Foreign keys are looked at afterwards. Else rows travel, and {@link
 * #why} says why.
 *
 * <p>For one chunk, in the transaction that claimed it.
 */
final class CompressedCopy {

  private static final String CATALOG =
      "select count(*) = 4 from pg_catalog.pg_attribute where attrelid = pg_catalog.to_regclass('_timescaledb_catalog.chunk')"
          + " and attname in ('schema_name', 'table_name', 'compressed_chunk_id', 'status') and not attisdropped";

  /** Where batches can be in another order than the settings say. */
  private static final int UNORDERED = 2;

  /** In bytes: a batch is a row, and a row that travels is in memory as a whole. */
  private static final int WIDE = 4 << 20;

  private final Connection source;
  private final Connection target;
  private final TableName from;
  private final Table into;
  private final List<String> columns;
  private String why;
  private Facts facts;
  private TableName internal;
  private boolean made;

  /** What has to be the same on both sides; texts to compare. */
  private record Facts(String version, String hypertable) {}

  /**
   * A chunk's table of compressed batches.
   *
   * @param name its name
   * @param status the chunk's status
   * @param shape columns and settings; a text to compare
   */
  private record Internal(TableName name, int status, String shape) {}

  /**
   * For a chunk.
   *
   * @param source without a transaction
   * @param from the source's chunk
   * @param into the target's
   * @param columns all columns that are stored, generated ones too
   */
  CompressedCopy(
      Connection source, Connection target, TableName from, Table into, List<String> columns) {
    this.source = source;
    this.target = target;
    this.from = from;
    this.into = into;
    this.columns = columns;
  }

  /** Why rows have to travel; null if they have not. */
  String why() {
    return why;
  }

  /**
   * Looks whether it can be done, and if so empties the target's chunk under a lock and makes it a
   * compressed one.
   *
   * @param compressed whether the target's chunk is compressed
   */
  boolean prepare(boolean compressed) throws SQLException {
    why = obstacle();
    if (why != null) {
      return false;
    }
    Internal mine = internal(source, from);
    Sql.execute(target, "lock table only " + into.name().sql() + " in share row exclusive mode");
    if (compressed && some(target, internal(target, into.name()).name.sql())) {
      why = "the target has compressed rows there";
      return false;
    }
    Sql.execute(target, "delete from only " + into.name().sql());
    if (!compressed) {
      made = true;
      Sql.value(
          target,
          "select "
              + Hypertables.function(target, "compress_chunk")
              + "("
              + Sql.literal(into.name().sql())
              + ")");
    }
    Internal theirs = internal(target, into.name());
    if (theirs == null || !theirs.shape.equals(mine.shape)) {
      why = "the settings of compression differ";
      return false;
    }
    internal = theirs.name;
    return true;
  }

  /**
   * Moves the batches, in a snapshot that was taken while the source's chunk was locked.
   *
   * @return how many rows are in them
   */
  long transfer(Connection p, IntConsumer passing) throws SQLException {
    Internal mine = internal(p, from);
    if (mine == null
        || (mine.status & UNORDERED) != 0
        || !facts.equals(facts(p, from))
        || !mine.shape.equals(internal(target, into.name()).shape)
        || partly(p) && !intoCompressed(facts.version)) {
      throw new SQLException("chunk " + from + " changed meanwhile", "40001");
    }
    List<String> stored = columns(p, mine.name);
    pipe(p, mine.name.sql(), internal.sql(), stored, Schema.binary(p, mine.name, stored), passing);
    long rows =
        Long.parseLong(
            Sql.value(
                target, "select coalesce(sum(_ts_meta_count), 0)::bigint from " + internal.sql()));
    if (partly(p)) {
      List<String> writable = Sql.writable(into);
      rows +=
          pipe(p, "only " + from.sql(), Chunks.entry(target, into).sql(), writable, true, passing);
    }
    if (made) {
      sizes(p);
    }
    for (ForeignKey k : into.references()) {
      checkParents(k);
    }
    return rows;
  }

  private String obstacle() throws SQLException {
    for (Connection c : List.of(source, target)) {
      if (!Sql.value(c, CATALOG).equals("t")) {
        return "the catalog of this version of TimescaleDB is another one";
      }
    }
    facts = facts(source, from);
    Facts theirs = facts(target, into.name());
    if (!facts.version.equals(theirs.version)) {
      return "TimescaleDB is "
          + facts.version
          + " on the source and "
          + theirs.version
          + " on the target";
    }
    if (!facts.hypertable.equals(theirs.hypertable)) {
      return "columns, constraints or unique indexes differ";
    }
    if (!Schema.binary(source, from, columns) || !Schema.binary(target, into.name(), columns)) {
      return "a column's type has no binary form, or one that is of its server";
    }
    Internal mine = internal(source, from);
    if (mine == null) {
      return "it is not compressed any more";
    }
    if ((mine.status & UNORDERED) != 0) {
      return "its batches are not in order";
    }
    if (wide(mine.name)) {
      return "its batches are larger than 4 MB";
    }
    if (later(source, from) || later(target, into.name())) {
      return "a column with a default was added after it was made";
    }
    if (partly(source) && !intoCompressed(facts.version)) {
      return "it is partly compressed";
    }
    if (Sql.value(
            target,
            "select exists (select from _timescaledb_catalog.dimension d where d.hypertable_id = h.id and pg_catalog.to_jsonb(d)->>'compress_interval_length' is not null)"
                + " or exists (select from _timescaledb_catalog.chunk_column_stats s where s.hypertable_id = h.id)"
                + " from _timescaledb_catalog.hypertable h join _timescaledb_catalog.chunk k on k.hypertable_id = h.id where "
                + is("k", into.name()))
        .equals("t")) {
      return "chunks are merged when they are compressed, or their columns have ranges";
    }
    return null;
  }

  private static String is(String alias, TableName chunk) {
    return "("
        + alias
        + ".schema_name, "
        + alias
        + ".table_name) = ("
        + Sql.literal(chunk.schema())
        + ", "
        + Sql.literal(chunk.name())
        + ")";
  }

  private static String oid(TableName table) {
    return Sql.literal(table.sql()) + "::regclass";
  }

  /** Columns, constraints and unique indexes of the chunk's hypertable, and the version. */
  private static Facts facts(Connection c, TableName chunk) throws SQLException {
    List<String> r =
        Sql.rows(
                c,
                "with h as (select inhparent as oid from pg_catalog.pg_inherits where inhrelid = "
                    + oid(chunk)
                    + ") select (select extversion from pg_catalog.pg_extension where extname = 'timescaledb'), string_agg(x, E'\\n' order by x) from ("
                    + "select pg_catalog.format('%s %s %s %s %s %s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attcollation::regcollation,"
                    + " a.attgenerated, case when a.attgenerated <> '' then pg_catalog.pg_get_expr(d.adbin, d.adrelid) end) as x"
                    + " from h join pg_catalog.pg_attribute a on a.attrelid = h.oid and a.attnum > 0 and not a.attisdropped"
                    + " left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum"
                    + " union all select pg_catalog.pg_get_constraintdef(k.oid) from h join pg_catalog.pg_constraint k on k.conrelid = h.oid where k.contype in ('c', 'x')"
                    + " union all select pg_catalog.regexp_replace(pg_catalog.pg_get_indexdef(i.indexrelid), ' INDEX .*? USING ', ' INDEX USING ')"
                    + " from h join pg_catalog.pg_index i on i.indrelid = h.oid where i.indisunique or i.indisexclusion"
                    + " union all select 'encoding ' || pg_catalog.pg_encoding_to_char(d.encoding) from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()) q")
            .get(0);
    return new Facts(r.get(0), r.get(1));
  }

  /** Null if the chunk is not compressed. By SQL, so that a transaction's snapshot holds. */
  private static Internal internal(Connection c, TableName chunk) throws SQLException {
    for (List<String> r :
        Sql.rows(
            c,
            "select z.schema_name, z.table_name, k.status from _timescaledb_catalog.chunk k"
                + " join _timescaledb_catalog.chunk z on z.id = k.compressed_chunk_id where "
                + is("k", chunk))) {
      TableName name = new TableName(r.get(0), r.get(1));
      return new Internal(
          name,
          Integer.parseInt(r.get(2)),
          Sql.value(
              c,
              "select string_agg(x, E'\\n' order by x) from (select pg_catalog.format('%s %s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)) as x"
                  + " from pg_catalog.pg_attribute a where a.attrelid = "
                  + oid(name)
                  + " and a.attnum > 0 and not a.attisdropped"
                  // before and after 2.20 the settings are found by one or the other
                  + " union all select (pg_catalog.to_jsonb(s) - 'relid' - 'compress_relid')::text from _timescaledb_catalog.compression_settings s where s.relid in ("
                  + oid(name)
                  + ", "
                  + oid(chunk)
                  + ")"
                  // smallest and greatest values depend on how texts are ordered
                  + " union all select pg_catalog.format('%s %s %s %s', d.datcollate, d.datctype, j->>'datlocprovider', j->>'datcollversion')"
                  + " from pg_catalog.pg_database d, pg_catalog.to_jsonb(d) j where d.datname = pg_catalog.current_database() and exists ("
                  + "select from pg_catalog.pg_attribute a where a.attrelid = "
                  + oid(name)
                  + " and a.attname like '\\_ts\\_meta\\_%' and a.attcollation <> 0)) q"));
    }
    return null;
  }

  /**
   * Whether a batch is a large row, by what is stored of it, or by the rows that it was made of.
   */
  private boolean wide(TableName batches) throws SQLException {
    return Sql.value(
            source,
            "select coalesce(max("
                + columns(source, batches).stream()
                    .map(
                        c ->
                            "coalesce(pg_catalog.pg_column_size("
                                + TableName.quote(c)
                                + "), 0)::bigint")
                    .collect(Collectors.joining(" + "))
                + "), 0) > "
                + WIDE
                + " or exists (select from _timescaledb_catalog.compression_chunk_size s join _timescaledb_catalog.chunk k on k.id = s.chunk_id"
                + " where (s.uncompressed_heap_size + s.uncompressed_toast_size) / greatest(s.numrows_post_compression, 1) > "
                + WIDE
                + " and "
                + is("k", from)
                + ") from "
                + batches.sql())
        .equals("t");
  }

  /** Whether the chunk has values that are stored nowhere: those of a column added later. */
  private static boolean later(Connection c, TableName chunk) throws SQLException {
    return Sql.value(
            c,
            "select exists (select from pg_catalog.pg_attribute where attrelid = "
                + oid(chunk)
                + " and atthasmissing and not attisdropped)")
        .equals("t");
  }

  private static boolean some(Connection c, String relation) throws SQLException {
    return Sql.value(c, "select exists (select from " + relation + ")").equals("t");
  }

  private boolean partly(Connection c) throws SQLException {
    return some(c, "only " + from.sql());
  }

  /** Before 2.23 rows that are copied into a compressed chunk are not seen afterwards. */
  private static boolean intoCompressed(String version) {
    String[] parts = version.split("[^0-9]+", -1);
    int major = Integer.parseInt(parts[0]);
    return major > 2 || major == 2 && parts.length > 1 && Integer.parseInt(parts[1]) >= 23;
  }

  private static List<String> columns(Connection c, TableName table) throws SQLException {
    List<String> result = new ArrayList<>();
    for (List<String> r :
        Sql.rows(
            c,
            "select attname from pg_catalog.pg_attribute where attrelid = "
                + oid(table)
                + " and attnum > 0 and not attisdropped order by attnum")) {
      result.add(r.get(0));
    }
    return result;
  }

  private long pipe(
      Connection p,
      String relation,
      String to,
      List<String> names,
      boolean binary,
      IntConsumer passing)
      throws SQLException {
    String format = binary ? " (format binary)" : " (format text, encoding 'UTF8')";
    return CopyPipe.run(
            p,
            "copy (select " + Sql.list(names) + " from " + relation + ") to stdout" + format,
            target,
            "copy " + to + " (" + Sql.list(names) + ") from stdin" + format,
            Integer.MAX_VALUE,
            (rows, bytes) -> passing.accept(bytes))
        .rows();
  }

  /** What the statistics of compression are made of, where the role may write it. */
  private void sizes(Connection p) throws SQLException {
    if (!Sql.value(
            target,
            "select pg_catalog.has_table_privilege('_timescaledb_catalog.compression_chunk_size', 'update')")
        .equals("t")) {
      return;
    }
    List<String> names =
        columns(p, new TableName("_timescaledb_catalog", "compression_chunk_size")).stream()
            .filter(n -> n.endsWith("_size") || n.startsWith("numrows_p"))
            .toList();
    for (List<String> r :
        Sql.rows(
            p,
            "select "
                + Sql.list("s", names)
                + " from _timescaledb_catalog.compression_chunk_size s join _timescaledb_catalog.chunk k on k.id = s.chunk_id where "
                + is("k", from))) {
      Sql.execute(
          target,
          "update _timescaledb_catalog.compression_chunk_size s set ("
              + Sql.list(names)
              + ") = row("
              + r.stream().map(v -> v == null ? "null" : v).collect(Collectors.joining(", "))
              + ") from _timescaledb_catalog.chunk k where k.id = s.chunk_id and "
              + is("k", into.name()));
    }
  }

  private void checkParents(ForeignKey k) throws SQLException {
    List<String> present = new ArrayList<>();
    List<String> equal = new ArrayList<>();
    for (int i = 0; i < k.childColumns().size(); i++) {
      String child = "c." + TableName.quote(k.childColumns().get(i));
      present.add(child + " is not null");
      equal.add("p." + TableName.quote(k.parentColumns().get(i)) + " = " + child);
    }
    if (Sql.value(
            target,
            "select exists (select from (select distinct "
                + Sql.list(k.childColumns())
                + " from "
                + into.name().sql()
                + ") c where "
                + String.join(" and ", present)
                + " and not exists (select from "
                + k.parent().sql()
                + " p where "
                + String.join(" and ", equal)
                + "))")
        .equals("t")) {
      throw new SQLException(
          "rows of chunk " + from + " refer to rows of " + k.parent() + " that the target lacks",
          "23503");
    }
  }
}
