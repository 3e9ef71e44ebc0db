package io.dualwrite.backfill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.backfill.VerifyResult.Difference;
import io.dualwrite.backfill.VerifyResult.Kind;
import io.dualwrite.backfill.VerifyResult.TableResult;
import io.dualwrite.embedded.PgPair;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.ToIntFunction;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Every way in which rows go wrong, each planted by itself in every kind of table: what finds it,
 * that its rows and columns are named, and that it is healed. docs/VERIFY.md shows the same table.
 */
class CorruptionTest {

  private static final VerifyOptions QUICK =
      VerifyOptions.defaults().withParallelism(2).withRecheck(Duration.ofMillis(60));

  /**
   * A class of damage. Rows are numbered from 1 to 100 in each part of a table: a partition, a
   * chunk, a third of a plain table.
   *
   * @param sql one statement after the other; {@code #} is the table, {@code {n}} row n's id
   * @param keyed what verify says of a table with a key, as {@code KIND n [columns]}; null for a
   *     class that is none there
   * @param missing rows that a table without a key then lacks
   * @param extra rows that it has too many
   * @param counted whether a part has more rows or fewer
   * @param summarized whether count, minimum, maximum or sum of a column of a part changes
   */
  private record Damage(
      String name,
      List<String> sql,
      List<String> keyed,
      int missing,
      int extra,
      boolean counted,
      boolean summarized) {

    boolean none() {
      return missing + extra == 0;
    }

    String line() {
      String not = none() ? "no difference" : "**missed**";
      return "| "
          + name
          + " | "
          + (none() ? not : "found")
          + " | "
          + (counted ? "found" : not)
          + " | "
          + (summarized ? "found" : not)
          + " |";
    }
  }

  private static Damage row(String name, String sql, String keyed, int missing, int extra) {
    return new Damage(
        name, List.of(sql), keyed == null ? null : List.of(keyed), missing, extra, true, true);
  }

  /** One value of one row. */
  private static Damage value(String name, int row, String column, String value) {
    return new Damage(
        name,
        List.of("update # set " + column + " = " + value + " where id = {" + row + "}"),
        List.of("DIFFERENT " + row + " [" + column + "]"),
        1,
        1,
        false,
        false);
  }

  private static Damage summarized(Damage d) {
    return new Damage(d.name, d.sql, d.keyed, d.missing, d.extra, d.counted, true);
  }

  private static Damage values(String name, int row, int other, String columns, String sql) {
    return new Damage(
        name,
        List.of(sql),
        List.of("DIFFERENT " + row + " " + columns, "DIFFERENT " + other + " " + columns),
        2,
        2,
        false,
        false);
  }

  /** Takes rows out and puts them in again, changed: no update moves a row to another chunk. */
  private static List<String> moved(String rows, String change) {
    return List.of(
        "create temporary table moved as select * from # where " + rows,
        "update moved m set " + change,
        "delete from # where " + rows,
        "insert into # select * from moved");
  }

  private static final String OTHERS = " from (select * from moved) o where o.id <> m.id";

  private static final List<Damage> CLASSES =
      List.of(
          row("a row missing", "delete from # where id = {30}", "MISSING 30 []", 1, 0),
          row(
              "a row too many",
              "insert into #(at, id, s) select at + interval '1 second', id + 0.5, s from # where id = {31}",
              "EXTRA 31.5 []",
              0,
              1),
          row(
              "a row twice, without a key",
              "insert into # select * from # where id = {32}",
              null,
              0,
              1),
          new Damage(
              "one row missing and another one twice, without a key",
              List.of(
                  "delete from # where id = {33}", "insert into # select * from # where id = {34}"),
              null,
              1,
              1,
              false,
              true),
          new Damage(
              "another key in a row",
              moved("id = {35}", "id = id + 0.5"),
              List.of("MISSING 35 []", "EXTRA 35.5 []"),
              1,
              1,
              false,
              true),
          values(
              "the keys of two rows, exchanged",
              36,
              37,
              "[arr, by, f, j, jb, n, o, ok, pt, s, ts]",
              String.join(";", moved("id in ({36}, {37})", "(at, id) = (o.at, o.id)" + OTHERS))),
          new Damage(
              "a key that is equal and written otherwise (1 and 1.0)",
              moved("id = {38}", "id = id * 1.0"),
              List.of("DIFFERENT 38 [id]", "DIFFERENT 38.0 [id]"), // by either
              1,
              1,
              false,
              false),
          new Damage(
              "two rows in each other's partition or chunk",
              moved("id in ({-61}, {40})", "at = o.at" + OTHERS),
              List.of("MISSING -61 []", "MISSING 40 []", "EXTRA -61 []", "EXTRA 40 []"),
              2,
              2,
              false,
              true),
          values(
              "values of two rows, exchanged",
              41,
              42,
              "[s]",
              "update # x set s = (select y.s from # y where y.id = {41} + {42} - x.id) where id in ({41}, {42})"),
          new Damage(
              "values of two columns of a row, exchanged",
              List.of("update # set s = o, o = s where id = {43}"),
              List.of("DIFFERENT 43 [o, s]"),
              1,
              1,
              false,
              false),
          values(
              "numbers that cancel in a sum",
              44,
              45,
              "[n]",
              "update # set n = n + case id when {44} then 1 else -1 end where id in ({44}, {45})"),
          summarized(value("NULL for a text", 46, "s", "null")),
          summarized(value("an empty text for NULL", 19, "s", "''")),
          values(
              "NULL and an empty text, exchanged",
              20,
              21,
              "[s]",
              "update # set s = case id when {20} then '' end where id in ({20}, {21})"),
          value("a text in another order", 47, "s", "reverse(s)"),
          value("a blank at the end of a text", 48, "s", "s || ' '"),
          value("the same letters in another Unicode form", 22, "s", "normalize(s, NFD)"),
          value("a number in the ninth decimal", 49, "n", "n + 0.000000001"),
          value("the scale of a number (1.0 and 1.00)", 50, "n", "n * 1.0"),
          value(
              "the last bit of a float",
              51,
              "f",
              "f + case when id < 200 then 3.552713678800501e-15 else 7.105427357601002e-15 end"),
          value("-0 for 0 in a float", 52, "f", "'-0'"),
          value("a boolean", 53, "ok", "not ok"),
          value(
              "a time in another zone",
              54,
              "ts",
              "(ts at time zone 'UTC') at time zone 'Europe/Vienna'"),
          value("a microsecond", 55, "ts", "ts + interval '1 microsecond'"),
          value("a json value", 56, "j", "'{\"a\": 2, \"b\": [1, 2]}'"),
          value("the spaces or the order in a json", 57, "j", "'{\"b\":[1,2],\"a\":1}'"),
          value("a jsonb value", 58, "jb", "jb || '{\"a\": 2}'"),
          value("'NULL' for NULL in an array", 59, "arr", "array_replace(arr, null, 'NULL')"),
          value("the bounds of an array", 60, "arr", "('[0:2]=' || arr::text)::text[]"),
          value("a byte", 61, "by", "set_byte(by, 3, get_byte(by, 3) # 1)".replace("#", "##")),
          value("a field beside a NULL in a composite", 62, "pt", "row(-1, null)::pt"),
          new Damage(
              "blanks at the end of a char(n)",
              List.of("update # set fix = 'x   ' where id = {63}"),
              List.of(),
              0,
              0,
              false,
              false));

  private static final String COLUMNS =
      "(at timestamptz not null, id numeric not null, s text, o text, fix char(6), n numeric, f float8, j json, jb jsonb, ok boolean, ts timestamptz, arr text[], by bytea, pt pt";

  /** The first and the last row of a part hold what is least and greatest in it. */
  private static final String ROWS =
      """
      insert into # select timestamptz '2001-01-01Z' + (g - 1) / 100 * interval '1 day' + n * interval '1 minute', g,
        case n when 1 then '' when 19 then null when 20 then null when 21 then '' when 22 then U&'\\00e9' when 100 then U&'\\FFFD' else 's' || g end,
        case n when 1 then '' when 100 then U&'\\FFFD' else 'o' || g end, 'x',
        case n when 1 then -1e9 when 100 then 1e9 else g * 1.0 end,
        case n when 1 then -1e9 when 100 then 1e9 when 52 then 0 else g / 7.0 end,
        ('{"a": 1, "b": [1, 2], "c": ' || n || '}')::json, jsonb_build_object('a', 1, 'c', g), g % 2 = 0,
        timestamptz '2002-01-01Z' + case n when 1 then -100000 when 100 then 100000 else g end * interval '1 minute',
        array['x', null, g::text], case n when 1 then '\\x' when 100 then '\\xffff' else sha256(g::text::bytea) end, row(g, null)::pt
        from generate_series(1, 300) g, lateral (select (g - 1) % 100 + 1 as n) x""";

  private static List<String> create(boolean hypertables) {
    List<String> sql = new ArrayList<>();
    if (hypertables) {
      sql.add(PgPair.CREATE_TIMESCALEDB);
    }
    sql.add("create type pt as (a int, b int)");
    for (String key : List.of("", ", primary key (id, at)")) {
      String k = key.isEmpty() ? "keyless" : "keyed";
      if (hypertables) {
        sql.add("create table " + k + "_chunks" + COLUMNS + key + ")");
        sql.add(
            "select create_hypertable('"
                + k
                + "_chunks', 'at', chunk_time_interval => interval '1 day')");
        sql.add(
            "alter table "
                + k
                + "_chunks set (timescaledb.compress, timescaledb.compress_segmentby = '', timescaledb.compress_orderby = 'at')");
      } else {
        sql.add("create table " + k + "_plain" + COLUMNS + key + ")");
        sql.add("create table " + k + "_parts" + COLUMNS + key + ") partition by range (at)");
        for (int day = 1; day <= 3; day++) {
          sql.add(
              "create table %s_%d partition of %s_parts for values from ('2001-01-0%dZ') to ('2001-01-0%dZ')"
                  .formatted(k, day, k, day, day + 1));
        }
      }
    }
    return sql;
  }

  private static List<String> tables(boolean hypertables, Damage d) {
    return tables(hypertables).stream()
        .filter(t -> d.keyed != null || t.startsWith("keyless"))
        .toList();
  }

  private static List<String> tables(boolean hypertables) {
    return Stream.of("keyless", "keyed")
        .flatMap(k -> Stream.of("plain", "parts", "chunks").map(t -> k + "_" + t))
        .filter(t -> t.endsWith("chunks") == hypertables)
        .toList();
  }

  /** The first two chunks of each hypertable, of which rows were changed or never, in batches. */
  private static void compress(Connection c, String table) throws SQLException {
    String closed = " from show_chunks('" + table + "', older_than => timestamptz '2001-01-03Z') c";
    Check.execute(c, "select compress_chunk(c, true)" + closed);
    assertEquals(
        "1 1",
        Check.value(
            c, "select string_agg(_timescaledb_functions.chunk_status(c)::text, ' ')" + closed));
  }

  private static void fill(PgPair pair, boolean hypertables) throws SQLException {
    for (Connection c : List.of(pair.source(), pair.target())) {
      try (c) {
        for (String sql : create(hypertables)) {
          Check.execute(c, sql);
        }
        for (String table : tables(hypertables)) {
          Check.execute(c, ROWS.replace("#", table));
          if (hypertables) {
            compress(c, table);
          }
        }
      }
    }
  }

  private static final Pattern NUMBER = Pattern.compile("\\{(-?\\d+)}");

  /** In the second part and in the third: a compressed chunk and an open one. */
  private static final List<Integer> PLACES = List.of(100, 200);

  private static void plant(Connection target, Damage d, String table) throws SQLException {
    for (int place : PLACES) {
      for (String sql : d.sql) {
        String s = sql.replace("##", "\0").replace("#", table).replace('\0', '#');
        Check.execute(
            target,
            NUMBER
                .matcher(s)
                .replaceAll(m -> String.valueOf(place + Integer.parseInt(m.group(1)))));
      }
      Check.execute(target, "drop table if exists moved");
    }
  }

  /** {@code KIND n columns} of a keyed table for each place. */
  private static Set<String> expected(List<Damage> round) {
    Set<String> result = new TreeSet<>();
    for (Damage d : round) {
      for (String k : d.keyed == null ? List.<String>of() : d.keyed) {
        String[] part = k.split(" ", 3);
        for (int place : PLACES) {
          result.add(
              part[0]
                  + " "
                  + new BigDecimal(part[1]).add(BigDecimal.valueOf(place))
                  + " "
                  + part[2]);
        }
      }
    }
    return result;
  }

  private static long rows(TableResult t, Kind kind) {
    return t.differences().stream()
        .filter(d -> d.kind() == kind)
        .mapToLong(Difference::count)
        .sum();
  }

  private static TableResult table(VerifyResult v, String name) {
    return v.tables().stream().filter(t -> t.table().name().equals(name)).findFirst().orElseThrow();
  }

  /** Planted by itself, and taken back. */
  private static void summarize(PgPair pair, boolean hypertables) throws SQLException {
    try (Connection s = pair.source();
        Connection t = pair.target()) {
      t.setAutoCommit(false);
      for (Damage d : CLASSES) {
        for (String table : tables(hypertables, d)) {
          if (table.endsWith("plain")) {
            continue; // nothing that it would look at
          }
          plant(t, d, table);
          assertEquals(d.summarized, Summary.differs(s, t, table), d.name + " in " + table);
          t.rollback();
        }
      }
    }
  }

  private static void find(PgPair pair, boolean hypertables, List<Damage> round)
      throws SQLException {
    Backfill b = Check.backfill(pair);
    Set<String> tables = new TreeSet<>();
    try (Connection t = pair.target()) {
      for (Damage d : round) {
        for (String table : tables(hypertables, d)) {
          plant(t, d, table);
          tables.add(table);
        }
      }
      for (String table : tables) {
        if (hypertables) {
          compress(t, table);
        }
      }
    }
    VerifyResult v = b.verify(QUICK, Progress.none());
    VerifyResult count = b.verify(QUICK.withMethod(VerifyOptions.Method.COUNT), Progress.none());
    for (String table : tables) {
      String what = round.stream().map(Damage::name).toList() + " in " + table;
      TableResult t = table(v, table);
      if (table.startsWith("keyless")) {
        assertEquals(rows(round, Damage::missing), rows(t, Kind.MISSING), what + ": " + t);
        assertEquals(rows(round, Damage::extra), rows(t, Kind.EXTRA), what + ": " + t);
      } else {
        assertEquals(
            expected(round),
            t.differences().stream()
                .map(x -> x.kind() + " " + x.key().get(0) + " " + x.columns())
                .collect(Collectors.toCollection(TreeSet::new)),
            what);
      }
      assertEquals(round.stream().allMatch(Damage::none), t.equal(), what + ": " + t);
      assertEquals(
          round.stream()
              .noneMatch(d -> d.counted && (d.keyed != null || table.startsWith("keyless"))),
          table(count, table).equal(),
          what);
    }
    VerifyResult healed = b.verify(QUICK.withRepair(true), Progress.none());
    assertTrue(healed.equal(), round + ": " + healed);
    try (Connection s = pair.source();
        Connection t = pair.target()) {
      for (String table : tables) {
        assertEquals(Check.rows(s, table), Check.rows(t, table), table);
      }
    }
  }

  private static long rows(List<Damage> round, ToIntFunction<Damage> how) {
    return round.stream().mapToLong(how::applyAsInt).sum() * PLACES.size();
  }

  @Test
  void inTablesAndPartitions() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      fill(pair, false);
      summarize(pair, false);
      for (Damage d : CLASSES) {
        find(pair, false, List.of(d));
      }
      assertTrue(Check.backfill(pair).verify(QUICK, Progress.none()).equal());
    }
  }

  /** Some at a time: that none hides behind another, the test above shows. */
  @Test
  void inOpenAndCompressedChunks() throws SQLException {
    try (PgPair pair = Timescale.pair(List.of())) {
      fill(pair, true);
      summarize(pair, true);
      int rounds = 4;
      for (int i = 0; i < rounds; i++) {
        int round = i;
        find(
            pair,
            true,
            IntStream.range(0, CLASSES.size())
                .filter(n -> n % rounds == round)
                .mapToObj(CLASSES::get)
                .toList());
      }
      assertTrue(Check.backfill(pair).verify(QUICK, Progress.none()).equal());
    }
  }

  /** All of it together is less than a tenth. */
  @Test
  void anEstimateSeesNoneOfIt() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      fill(pair, false);
      try (Connection t = pair.target()) {
        for (Damage d : CLASSES) {
          plant(t, d, "keyless_plain");
        }
      }
      pair.execute("analyze");
      assertTrue(
          Check.backfill(pair)
              .verify(QUICK.withMethod(VerifyOptions.Method.ESTIMATE), Progress.none())
              .equal());
    }
  }

  @Test
  void theDocumentSaysSo() throws IOException {
    String table =
        CLASSES.stream()
            .map(Damage::line)
            .collect(Collectors.joining("\n", "|---|---|---|---|\n", "\n"));
    String doc = Files.readString(Path.of("..", "docs", "VERIFY.md"));
    assertTrue(doc.contains(table), table);
  }

  /**
   * What timescaledb-backfill compares of a chunk: the number of rows, and of each column count,
   * minimum, maximum and, but of floats, sum, with a tolerance.
   */
  private static final class Summary {

    private Summary() {}

    static boolean differs(Connection s, Connection t, String table) throws SQLException {
      List<String> mine = parts(s, table);
      List<String> theirs = parts(t, table);
      assertEquals(mine.size(), theirs.size());
      for (int i = 0; i < mine.size(); i++) {
        if (differs(s, mine.get(i), t, theirs.get(i))) {
          return true;
        }
      }
      return false;
    }

    private static List<String> parts(Connection c, String table) throws SQLException {
      return Sql.rows(
              c,
              table.endsWith("chunks")
                  ? "select c from show_chunks('"
                      + table
                      + "') c, _timescaledb_functions.show_chunk(c) k order by k.slices::text"
                  : "select relid::regclass from pg_partition_tree('"
                      + table
                      + "') where isleaf order by 1::text")
          .stream()
          .map(r -> r.get(0))
          .toList();
    }

    /** Each with whether there is a min and an exact sum of it. */
    private static List<List<String>> columns(Connection c, String table) throws SQLException {
      return Sql.rows(
          c,
          "select quote_ident(attname) || case when attcollation <> 0 then ' collate \"C\"' else '' end,"
              + " exists (select from pg_proc where proname = 'min' and pronamespace = 'pg_catalog'::regnamespace and proargtypes[0] = atttypid),"
              + " exists (select from pg_proc where proname = 'sum' and pronamespace = 'pg_catalog'::regnamespace and proargtypes[0] = atttypid)"
              + " and atttypid not in ('float4'::regtype, 'float8'::regtype) from pg_attribute where attrelid = '"
              + table
              + "'::regclass and attnum > 0 and not attisdropped order by attnum");
    }

    private static boolean differs(Connection s, String mine, Connection t, String theirs)
        throws SQLException {
      List<String> exact = new ArrayList<>(List.of("count(*)"));
      List<String> sums = new ArrayList<>();
      List<List<String>> here = columns(s, mine);
      // min and max of bytea are 18's
      for (List<String> column : columns(t, theirs)) {
        boolean both = here.contains(column);
        String c = column.get(0);
        exact.add("count(" + c + ")");
        if (both && column.get(1).equals("t")) {
          exact.add("min(" + c + ")::text");
          exact.add("max(" + c + ")::text");
        }
        if (both && column.get(2).equals("t")) {
          sums.add("sum(" + c + ")::float8");
        }
      }
      String select = "select " + String.join(", ", exact) + " from ";
      List<String> a = Sql.rows(s, select + mine).get(0);
      if (!a.equals(Sql.rows(t, select + theirs).get(0))) {
        return true;
      }
      double tolerance = Math.ulp(1f) * Double.parseDouble(a.get(0));
      select = "select " + String.join(", ", sums) + " from ";
      List<String> x = Sql.rows(s, select + mine).get(0);
      List<String> y = Sql.rows(t, select + theirs).get(0);
      for (int i = 0; i < x.size(); i++) {
        if (Math.abs(Double.parseDouble(x.get(i)) - Double.parseDouble(y.get(i))) > tolerance) {
          return true;
        }
      }
      return false;
    }
  }
}
