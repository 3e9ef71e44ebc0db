package io.dualwrite.backfill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.dualwrite.catalog.TableName;
import io.dualwrite.embedded.PgPair;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Hypertables, chunk by chunk; with TimescaleDB. */
class HypertableTest {

  private static final StageOptions ALL = StageOptions.defaults();

  private static PgPair filled() throws SQLException {
    PgPair pair = Timescale.pair(Timescale.SCHEMA);
    Timescale.run(pair, true, Timescale.ROWS);
    return pair;
  }

  @Test
  void everyKindOfHypertableIsCopiedAndEqual() throws SQLException {
    try (PgPair pair = filled()) {
      Backfill b = Check.backfill(pair);
      b.stage(ALL);
      Timescale.copyAll(b);
      Timescale.assertEqual(pair, Timescale.TABLES);
      for (String table : List.of("log", "days", "small")) {
        assertEquals(
            Timescale.chunks(pair, true, table), Timescale.chunks(pair, false, table), table);
      }
      // a chunk that was partly compressed is wholly compressed now
      assertEquals(
          Timescale.chunks(pair, true, "metrics").replace("} 9", "} 1"),
          Timescale.chunks(pair, false, "metrics"));
      VerifyResult v = b.verify(Timescale.QUICK, Progress.none());
      assertTrue(v.equal(), v.toString());
      assertEquals(8, v.tables().size());
      assertEquals(b.status().tasks(), b.status().verifiedEqual());
      // again: nothing new
      assertEquals(0, b.stage(ALL).tasks());
    }
  }

  @Test
  void untilAndFromCutEveryTypeOfTime() throws SQLException {
    try (PgPair pair = filled()) {
      Backfill b = Check.backfill(pair);
      StageResult staged =
          b.stage(
              ALL.withUntil(List.of("1970-01-01T06:00Z", "1970-01-02T03:00", "1969-12-25", "-17"))
                  .withFrom(List.of("1969-12-30T12:00Z", "1969-12-30T01:00", "1969-12-03", "-223"))
                  .withFilter("metrics|devices|log|days|small|tiny|Events"));
      assertFalse(staged.leftOut().isEmpty());
      Timescale.copyAll(b);
      try (Connection s = pair.source();
          Connection t = pair.target()) {
        Check.execute(s, "set timezone = 'UTC'");
        for (String part :
            List.of(
                "metrics where ts < '1970-01-01T06:00Z' and ts >= '1969-12-30T12:00Z'",
                "app.\"Events\" where \"At\" < -17 and \"At\" >= -223",
                "log where at < '1970-01-02T03:00' and at >= '1969-12-30T01:00'",
                "days where d < '1969-12-25' and d >= '1969-12-03'",
                "small where k < -17 and k >= -223",
                "tiny where k < -17 and k >= -223")) {
          String table = part.substring(0, part.indexOf(" where"));
          String n = Check.value(s, "select count(*) from " + part);
          assertEquals(n, Check.value(t, "select count(*) from " + part), part);
          assertEquals(n, Check.value(t, "select count(*) from " + table), table);
          assertTrue(Integer.parseInt(n) > 5, part + ": " + n);
        }
      }
      // what is outside is found, and can be made good
      assertFalse(b.verify(Timescale.QUICK, Progress.none()).equal());
      VerifyResult v = b.verify(Timescale.QUICK.withRepair(true), Progress.none());
      assertTrue(v.equal(), v.toString());
      Timescale.assertEqual(
          pair, "metrics", "app.\"Events\"", "log", "days", "small", "tiny", "devices");
    }
    if (!Timescale.UUID) {
      return;
    }
    try (PgPair pair = filled()) {
      Backfill b = Check.backfill(pair);
      b.stage(ALL.withFilter("ids").withUntil(List.of("2001-01-03T05:00Z")));
      Timescale.copyAll(b);
      assertEquals("53", Check.target(pair, "select count(*) from ids"));
      assertEquals("52", Check.target(pair, "select max(v) from ids"));
    }
  }

  @Test
  void indexesThatOnlyQueriesNeedAreBuiltWhenTheChunksAreThere() throws SQLException {
    try (PgPair pair =
        Timescale.pair(
            List.of(
                PgPair.CREATE_TIMESCALEDB,
                "create table devices(id int primary key)",
                "create table h(gone int, \"At\" timestamptz not null, id int not null, d int references devices, v float8, w text, primary key (id, \"At\"))",
                "select create_hypertable('h', 'At', chunk_time_interval => interval '1 day')",
                "alter table h drop gone",
                "create index some_rows on h(v, \"At\" desc) where v > 0 and w <> ' WHERE $table'",
                "create index \"Stored \"\"$hypertable\" on h(v) include (w) with (fillfactor = 70)",
                "create index stored_too on h using brin (\"At\") with (pages_per_range = 8) where v > 0",
                "create index expressions on h((v + 1), lower(w))",
                "create index stays_for_its_key on h(d)",
                "create index stays_for_its_comment on h(w, v)",
                "comment on index stays_for_its_comment is 'for the report'",
                "alter table h set (timescaledb.compress, timescaledb.compress_segmentby = 'd')",
                "create materialized view sums with (timescaledb.continuous) as select time_bucket('1 day', \"At\") as day, d, sum(v) from h group by 1, 2 with no data"))) {
      Timescale.run(
          pair,
          true,
          List.of(
              "insert into devices select generate_series(0, 2)",
              "insert into h select '2024-01-01'::timestamptz + g * interval '1 hour', g, g % 3, g, 'w' from generate_series(1, 100) g",
              "call refresh_continuous_aggregate('sums', null, null)",
              "select compress_chunk(c) from show_chunks('h', older_than => '2024-01-03'::timestamptz) c"));
      Backfill b = Check.backfill(pair);
      StageResult staged = b.stage(ALL.withDeferIndexes(true));
      assertEquals(
          List.of("Stored \"$hypertable", "expressions", "h_At_idx", "some_rows", "stored_too"),
          staged.indexes().stream().map(TableName::name).sorted().toList());
      String indexes =
          "select string_agg(pg_get_indexdef(indexrelid) || indisvalid, E'\n' order by indexrelid::regclass::text)"
              + " from pg_index where indrelid = 'h'::regclass";
      String ofChunks =
          "select string_agg(n || ' ' || def, E'\n' order by def) from (select count(*) as n, def from (select"
              + " regexp_replace(pg_get_indexdef(indexrelid), '^.* USING ', '') || indisvalid as def"
              + " from pg_index i join show_chunks('h') c on i.indrelid = c) q group by def) q";
      assertFalse(Check.target(pair, indexes).contains("some_rows"));
      // a build that was cut short
      Timescale.run(
          pair,
          false,
          List.of(
              "create index some_rows on h(v)",
              "update pg_index set indisvalid = false where indexrelid = 'some_rows'::regclass"));
      Timescale.copyAll(b);
      assertEquals(Check.source(pair, indexes), Check.target(pair, indexes));
      assertEquals(Check.source(pair, ofChunks), Check.target(pair, ofChunks));
      Timescale.assertEqual(pair, "h", "sums");
      // they belong to the whole, as before
      Timescale.run(pair, false, List.of("drop index some_rows"));
      assertFalse(Check.target(pair, ofChunks).contains("(v, "), Check.target(pair, ofChunks));
      b.clean();
    }
  }

  @Test
  void aHypertableThatNoUntilFitsIsAnErrorOrLeftOut() throws SQLException {
    try (PgPair pair = filled()) {
      Backfill b = Check.backfill(pair);
      StageOptions o = ALL.withUntil(List.of("1970-01-01T00:00Z"));
      String m = assertThrows(BackfillException.class, () -> b.stage(o)).getMessage();
      assertTrue(m.contains("add --until of type"), m);
      assertFalse(b.status().staged());
      StageResult r = b.stage(o.withSkipUntyped(true));
      assertEquals(
          List.of("public.devices", "public.metrics"),
          r.staged().stream()
              .map(TableName::toString)
              .filter(t -> Timescale.UUID || !t.equals("public.ids"))
              .sorted()
              .toList());
      assertEquals(5, r.warnings().stream().filter(w -> w.contains("is left out")).count());
    }
    try (PgPair pair =
        Timescale.pair(
            List.of(
                PgPair.CREATE_TIMESCALEDB,
                "create function f(x text) returns timestamptz immutable language sql as 'select to_timestamp(x::bigint)'",
                "create table odd(x text not null, v int)",
                "select create_hypertable('odd', 'x', time_partitioning_func => 'f', chunk_time_interval => interval '1 day')"))) {
      pair.executeSource("insert into odd select i * 10000, i from generate_series(1, 100) i");
      Backfill b = Check.backfill(pair);
      String m =
          assertThrows(
                  BackfillException.class,
                  () -> b.stage(ALL.withUntil(List.of("1970-01-01T00:00Z"))))
              .getMessage();
      assertTrue(m.contains("by a function of its own"), m);
      b.stage(ALL);
      Timescale.copyAll(b);
      Timescale.assertEqual(pair, "odd");
    }
  }

  @Test
  void aTargetWhoseTableIsNoHypertableIsRefused() throws SQLException {
    try (PgPair pair = Timescale.pair(List.of(PgPair.CREATE_TIMESCALEDB))) {
      pair.execute("create table m(ts timestamptz not null)");
      pair.executeSource("select create_hypertable('m', 'ts')");
      String m =
          assertThrows(BackfillException.class, () -> Check.backfill(pair).stage(ALL)).getMessage();
      assertTrue(m.contains("public.m: is no hypertable on the target"), m);
      pair.executeTarget(
          "select create_hypertable('m', 'ts', chunk_time_interval => interval '1 hour'); insert into m values ('2001-01-01 12:30Z')");
      pair.executeSource("insert into m values ('2001-01-01 12:30Z')");
      m = assertThrows(BackfillException.class, () -> Check.backfill(pair).stage(ALL)).getMessage();
      assertTrue(m.contains("takes no chunk"), m);
    }
  }

  @Test
  void chunksThatAreDroppedMeanwhileAreNothingToCopy() throws SQLException {
    try (PgPair pair = filled()) {
      Steps steps =
          (step, task) -> {
            if (step == Steps.Step.CLAIMED && task.table().name().equals("small")) {
              pair.executeSource("select drop_chunks('small', older_than => -100)");
            }
          };
      Backfill b = Check.backfill(pair, steps);
      b.stage(ALL.withFilter("small"));
      assertTrue(b.copy(CopyOptions.defaults().withParallelism(1), Progress.none()).complete());
      Timescale.assertEqual(pair, "small");
      assertTrue(b.verify(Timescale.QUICK, Progress.none()).equal());
    }
  }

  /** Makes one of the source's chunks of that range; the table's are of 100 or 10. */
  private static void merge(PgPair pair, String table, int from, int to) throws SQLException {
    String bound = table.equals("small") ? "00::int" : "0::smallint";
    pair.executeSource(
        "do $$ begin execute (select format('call merge_chunks(%L, %L)', min(c::text), max(c::text)) from show_chunks('"
            + table
            + "', newer_than => "
            + from
            + bound
            + ", older_than => "
            + to
            + bound
            + ") c); end $$");
  }

  @Test
  void chunksThatAreMergedMeanwhileAreCopied() throws SQLException {
    try (PgPair pair = filled()) {
      assumeFalse(
          Check.source(pair, "select count(*) from pg_proc where proname = 'merge_chunks'")
              .equals("0"),
          "this version has no merge_chunks");
      List<String> claimed = new ArrayList<>();
      Steps steps =
          (step, task) -> {
            String table = task.table().name();
            if (step == Steps.Step.CLAIMED) {
              claimed.add(table);
              if (Collections.frequency(claimed, table) == 5) {
                merge(pair, table, -2, 0); // the newer one is copied, the older one is claimed
              }
            }
          };
      Backfill b = Check.backfill(pair, steps);
      b.stage(ALL.withFilter("small|tiny"));
      for (String table : List.of("small", "tiny")) {
        merge(pair, table, 0, 2); // neither is copied
      }
      assertTrue(b.copy(CopyOptions.defaults().withParallelism(1), Progress.none()).complete());
      Timescale.assertEqual(pair, "small", "tiny");
      assertTrue(b.verify(Timescale.QUICK, Progress.none()).equal());
    }
  }

  @Test
  void aChunkThatIsCompressedWhileItIsReadIsReadAgain() throws SQLException {
    try (PgPair pair = filled()) {
      List<String> done = new ArrayList<>();
      Steps steps =
          (step, task) -> {
            if (step == Steps.Step.READ && task.kind() == Task.Kind.CHUNK && done.isEmpty()) {
              done.add(task.from().sql());
              pair.executeSource("select compress_chunk('" + task.from().sql() + "')");
            }
          };
      Backfill b = Check.backfill(pair, steps);
      b.stage(ALL.withFilter("metrics|devices"));
      // came by dual-write: where the target has rows, a chunk is not replaced but read by key
      try (Connection c = pair.source()) {
        pair.executeTarget(
            "set session_replication_role = replica; insert into metrics(ts, device, v, note, n) values ("
                + Sql.value(
                    c,
                    "select format('%L, %L, %L, %L, %L', ts, device, v, note, n) from metrics where ts >= '1970-01-04Z' order by ts limit 1")
                + ")");
      }
      Timescale.copyAll(b);
      assertEquals(1, done.size());
      Timescale.assertEqual(pair, "metrics");
      assertTrue(b.verify(Timescale.QUICK, Progress.none()).equal());
    }
  }

  /** The chunks of metrics and log that had to be compressed after they were copied. */
  private static int compressedAfterwards(PgPair pair) throws SQLException {
    List<String> chunks = new ArrayList<>();
    Backfill b =
        Check.backfill(
            pair,
            (step, task) -> {
              if (step == Steps.Step.CLAIMED && task.finish().contains("compress")) {
                chunks.add(task.from().sql());
              }
            });
    b.stage(ALL.withFilter("metrics|devices|log"));
    CopyResult r = b.copy(CopyOptions.defaults().withParallelism(1), Progress.none());
    assertTrue(r.complete(), r.toString());
    Timescale.assertEqual(pair, "metrics", "log");
    VerifyResult v = b.verify(Timescale.QUICK, Progress.none());
    assertTrue(v.equal(), v.toString());
    return chunks.size();
  }

  private static int compressed(PgPair pair, int status) throws SQLException {
    try (Connection c = pair.source()) {
      return Integer.parseInt(
          Check.value(
              c,
              "select count(*) from (select show_chunks('metrics') union all select show_chunks('log')) c(c) where _timescaledb_functions.chunk_status(c) & "
                  + status
                  + " > 0"));
    }
  }

  @Test
  void compressedChunksTravelAsTheyAre() throws SQLException {
    try (PgPair pair = filled()) {
      // came by dual-write before: one as the source has it, one that is gone there
      pair.executeTarget(
          "set timezone = 'UTC'; insert into devices select i, 'd' || i from generate_series(1, 5) i;"
              + " insert into metrics(ts, device, v) values ('1969-12-30 00:00Z', 1, 0), ('1969-12-30 00:00:01Z', 2, 0);"
              + " insert into log values ('1969-12-30 00:00:01', 'gone')");
      assertTrue(compressed(pair, 1) >= 6);
      // what had rows beside its batches is compressed once more, or was copied as rows
      assertEquals(compressed(pair, 8), compressedAfterwards(pair));
      assertEquals(
          Timescale.chunks(pair, true, "metrics").replace("} 9", "} 1"),
          Timescale.chunks(pair, false, "metrics"));
      // they are as any others
      for (boolean side : new boolean[] {true, false}) {
        Timescale.run(
            pair,
            side,
            List.of(
                "update metrics set v = -5 where ts = '1969-12-30 12:00Z'",
                "delete from metrics where ts = '1969-12-30 13:00Z'",
                "delete from log where at = '1969-12-30 12:00'"));
      }
      Timescale.assertEqual(pair, "metrics", "log");
      pair.executeTarget(
          "select decompress_chunk(c, true) from show_chunks('metrics') c; select decompress_chunk(c, true) from show_chunks('log') c");
      Timescale.assertEqual(pair, "metrics", "log");
    }
  }

  @Test
  void whereThatIsNotSafeRowsTravel() throws SQLException {
    if (!Timescale.UUID) {
      return; // such versions do not let the definition of a compressed hypertable differ
    }
    try (PgPair pair = filled()) {
      // a check that the source has not; values of a column that no batch has
      pair.executeTarget("alter table metrics add check (n > 0)");
      pair.execute("alter table log add column later int default 7");
      assertEquals(compressed(pair, 1), compressedAfterwards(pair));
    }
    try (PgPair pair = filled()) {
      pair.executeTarget(
          "alter table metrics set (timescaledb.compress, timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 'ts desc');"
              + " alter table log set (timescaledb.compress, timescaledb.compress_orderby = 'line')");
      assertEquals(compressed(pair, 1), compressedAfterwards(pair));
    }
  }

  @Test
  void everyCorruptionIsFoundAndRepaired() throws SQLException {
    // each in a table of its own, so that one look finds them all
    List<List<String>> rounds =
        List.of(
            List.of(
                // in an open chunk
                "update metrics set v = v + 1e-9 where ts = '1970-01-05 12:00Z'",
                // swapped between rows: no count, minimum, maximum or sum of a column changes
                "update small a set v = b.v from small b where (a.k, b.k) in ((3, 4), (4, 3))",
                // one of two equal rows
                "delete from log where ctid = (select min(ctid) from log where at = '1970-01-02 12:00') and at = '1970-01-02 12:00'",
                "update app.\"Events\" set \"weird \"\"name\" = '' where \"At\" = -20",
                "insert into tiny values (29, 'more'), (-300, 'alone')",
                "delete from ids where v = 50"),
            List.of(
                // in compressed chunks
                "update metrics set note = note || '{\"j\": true}' where ts = '1969-12-31 12:00Z'",
                "insert into log select * from log where at = '1969-12-30 12:00' limit 1",
                // in a chunk that the source does not have
                "insert into app.\"Events\"(\"At\") values (77777)"),
            List.of(
                "delete from metrics where ts = '1969-12-31 13:00Z';"
                    + " insert into metrics(ts, device, v) values ('1969-12-31 13:00:01Z', 2, 3);"
                    + " update metrics set v = 0 where v is null"));
    try (PgPair pair = filled()) {
      Backfill b = Check.backfill(pair);
      b.stage(ALL);
      Timescale.copyAll(b);
      String sums =
          Check.target(pair, "select row(count(v), min(v), max(v), sum(k))::text from small");
      for (List<String> damages : rounds) {
        for (String damage : damages) {
          pair.executeTarget("set timezone = 'UTC'; " + damage);
        }
        VerifyResult v = b.verify(Timescale.QUICK, Progress.none());
        assertEquals(
            damages.size(), v.tables().stream().filter(t -> !t.equal()).count(), v.toString());
        assertEquals(
            sums,
            Check.target(pair, "select row(count(v), min(v), max(v), sum(k))::text from small"));
        VerifyResult w = b.verify(Timescale.QUICK.withRepair(true), Progress.none());
        assertTrue(w.equal(), w.toString());
        Timescale.assertEqual(pair, Timescale.TABLES);
      }
    }
  }

  @Test
  void countsAndEstimatesAreCheaperAndWeaker() throws SQLException {
    try (PgPair pair = filled()) {
      Backfill b = Check.backfill(pair);
      b.stage(ALL);
      Timescale.copyAll(b);
      pair.execute("analyze");
      VerifyOptions count = Timescale.QUICK.withMethod(VerifyOptions.Method.COUNT);
      VerifyOptions estimate = Timescale.QUICK.withMethod(VerifyOptions.Method.ESTIMATE);
      assertTrue(b.verify(count, Progress.none()).equal());
      VerifyResult e = b.verify(estimate, Progress.none());
      assertTrue(e.equal(), e.toString());
      pair.executeTarget("update small set v = 'x' where k = 3");
      assertTrue(b.verify(count, Progress.none()).equal());
      assertFalse(b.verify(Timescale.QUICK, Progress.none()).equal());
      pair.executeTarget("delete from small where k = 3");
      VerifyResult c = b.verify(count, Progress.none());
      assertFalse(c.equal());
      assertTrue(
          c.tables().stream().anyMatch(t -> t.error().orElse("").contains("on the target 99")),
          c.toString());
      pair.executeTarget("delete from small where k < 0; analyze small");
      assertFalse(b.verify(estimate, Progress.none()).equal());
      assertThrows(IllegalArgumentException.class, () -> count.withRepair(true));
    }
  }

  @Test
  void chunksThatAreUnloggedOnTheTargetAloneAreRefused() throws SQLException {
    String hypertable =
        "create %s table h(at bigint primary key); select create_hypertable('h', 'at', chunk_time_interval => 1000);"
            + " insert into h values (1), (1001)";
    assumeTrue(Timescale.UNLOGGED, "this version of TimescaleDB has no unlogged hypertables");
    try (PgPair pair = Timescale.pair(List.of(PgPair.CREATE_TIMESCALEDB))) {
      pair.executeSource(hypertable.formatted(""));
      pair.executeTarget(hypertable.formatted("unlogged"));
      String m =
          assertThrows(
                  BackfillException.class,
                  () -> Check.backfill(pair).stage(StageOptions.defaults()))
              .getMessage();
      assertTrue(m.contains("public.h: is unlogged on the target (_timescaledb_internal."), m);
    }
  }
}
