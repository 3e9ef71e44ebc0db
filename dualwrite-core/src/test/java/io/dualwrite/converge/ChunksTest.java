package io.dualwrite.converge;

import static io.dualwrite.converge.Fixture.await;
import static io.dualwrite.converge.Fixture.change;
import static io.dualwrite.converge.Fixture.execute;
import static io.dualwrite.converge.Fixture.finish;
import static io.dualwrite.converge.Fixture.row;
import static io.dualwrite.converge.Fixture.table;
import static io.dualwrite.converge.Fixture.value;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.zaxxer.hikari.HikariDataSource;
import io.dualwrite.catalog.TableName;
import io.dualwrite.control.Incarnation;
import io.dualwrite.embedded.Installation;
import io.dualwrite.embedded.PgPair;
import io.dualwrite.journal.Intent;
import io.dualwrite.journal.Outcome;
import io.dualwrite.journal.RowChange;
import io.dualwrite.journal.RowChange.Kind;
import io.dualwrite.journal.Suspect;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.SQLTransientException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Hypertables, some of whose chunks are compressed; with TimescaleDB. */
class ChunksTest {

  private Fixture f;

  @BeforeEach
  void open() throws SQLException {
    Optional<PgPair> pair = PgPair.timescale();
    assumeTrue(pair.isPresent(), Installation.NO_TIMESCALEDB);
    pair.get().execute(PgPair.CREATE_TIMESCALEDB);
    f = new Fixture(pair.get());
  }

  @AfterEach
  void close() throws SQLException {
    if (f != null) {
      f.close();
    }
  }

  /** A hypertable of these columns, in chunks of a thousand. */
  private void hypertable(String name, String columns, String orderBy) throws SQLException {
    f.with(
        "create table " + name + "(" + columns + ")",
        "select create_hypertable('" + name + "', 'id', chunk_time_interval => 1000)",
        "alter table " + name + " set (timescaledb.compress" + orderBy + ")");
  }

  private String primary(String sql) throws SQLException {
    try (Connection p = f.pair.source()) {
      return value(p, sql);
    }
  }

  private String mirror(String sql) throws SQLException {
    try (Connection m = f.pair.target()) {
      return value(m, sql);
    }
  }

  private static String compress(String table) {
    return "select count(compress_chunk(c)) from show_chunks('" + table + "') c";
  }

  /** As a backfill does, of the table's one chunk. */
  private void recopyChunk(String table) throws SQLException {
    String chunk = "select c from show_chunks('" + table + "') c";
    TableName from = TableName.parse(primary(chunk));
    Connection p = f.primary();
    Connection m = f.mirror();
    try {
      f.engine.recopy(p, m, TableName.parse(mirror(chunk)), "true", from, bytes -> {});
      m.commit();
    } finally {
      m.rollback();
      p.rollback();
    }
  }

  private void resync(String table, int... keys) throws Exception {
    f.engine.resync(
        Map.of(
            table(table), IntStream.of(keys).mapToObj(k -> List.of(Integer.toString(k))).toList()));
  }

  /** How many rows of the mirror's are in no batch. */
  private int loose(String table) throws SQLException {
    int n = 0;
    try (Connection m = f.pair.target()) {
      String chunks =
          value(m, "select string_agg(c::text, ',') from show_chunks('" + table + "') c");
      for (String chunk : chunks.split(",", -1)) {
        n += Integer.parseInt(value(m, "select count(*) from only " + chunk));
      }
    }
    return n;
  }

  // ----------------------------------------------------------------------------------------------
  // by key

  @Test
  void aKeyThatWentIsDeletedOfItsBatchAlone() throws Exception {
    hypertable("t", "id int primary key, v text", "");
    f.with("insert into t select i, 'v' from generate_series(0, 4999) i");
    mirror(compress("t"));
    f.pair.executeSource(
        "delete from t where id in (7, 2007, 2008); update t set v = 'new' where id = 3007");
    resync("t", 7, 2007, 2008, 3007, 99_999);
    f.assertEqual("t");
    assertTrue(loose("t") <= 3000, loose("t") + " rows were decompressed");
  }

  @Test
  void nothingBoundsHowManyRowsAreDecompressed() throws Exception {
    f.pair.executeTarget(
        "do $$ begin execute format('alter database %I set timescaledb.max_tuples_decompressed_per_dml_transaction = 10', current_database()); end $$");
    hypertable("t", "id int primary key, v text", "");
    f.with("insert into t select i, 'v' from generate_series(0, 4999) i");
    mirror(compress("t"));
    f.pair.executeSource("delete from t where id = 7; update t set v = 'new' where id = 3007");
    resync("t", 7, 3007);
    f.assertEqual("t");
    // without a key, through the root
    hypertable("k", "id int not null, v text", "");
    f.with("insert into k select i, 'v' from generate_series(0, 4999) i");
    mirror(compress("k"));
    f.pair.executeSource("delete from k where id = 7; update k set v = 'new' where id = 3007");
    f.engine.recopy(table("k"), "id >= 5 and id < 3500");
    f.assertEqual("k");
    f.engine.recopy(table("k"), "true");
    f.assertEqual("k");
  }

  @Test
  void rowsThatHaveNothingButTheirKey() throws Exception {
    hypertable("t", "id int primary key", "");
    f.with("insert into t select i from generate_series(0, 2999) i");
    mirror(compress("t"));
    f.pair.executeSource("delete from t where id = 1007; insert into t values (5000)");
    resync("t", 7, 1007, 1008, 5000);
    f.assertEqual("t");
    // they are locked: what a writer does to one of them comes after
    List<Future<?>> writer = new ArrayList<>();
    f.engine.hook =
        s -> {
          if (s == Step.WRITTEN && writer.isEmpty()) {
            Connection m = f.mirror();
            writer.add(
                f.start(
                    () -> {
                      execute(m, "delete from t where id = 8");
                      m.commit();
                    }));
            f.awaitBlocked();
          }
        };
    resync("t", 8, 9);
    try {
      finish(writer.get(0));
    } catch (SQLException e) {
      assertEquals("40001", e.getSQLState(), e.getMessage()); // its batch is another one now
    }
  }

  /** A hypertable that others refer to, whose chunk is compressed on the mirror. */
  private void parents() throws SQLException {
    assumeTrue(
        !System.getProperty("dualwrite.test.timescaledb", "").startsWith("2.17."),
        "TimescaleDB 2.17 does not find compressed parents");
    hypertable("p", "id int primary key, v text", "");
    f.with("insert into p select i, 'v' from generate_series(0, 9) i");
    // what others refer to is not truncated
    f.pair.executeTarget(
        "set timescaledb.compress_truncate_behaviour = truncate_disabled; " + compress("p"));
    f.with(
        "create table c(id int primary key, p int references p on delete cascade)",
        "insert into c select i, i % 10 from generate_series(0, 99) i");
  }

  @Test
  void parentsInACompressedChunk() throws Exception {
    parents();
    f.pair.executeSource("delete from p where id in (3, 4); insert into p values (4, 'again')");
    f.pair.executeSource("insert into c values (4, 4)");
    Map<List<String>, Boolean> keys =
        Map.of(List.of("3"), true, List.of("4"), true, List.of("5"), false);
    f.engine.look(Map.of(table("p"), keys), new ArrayList<>(), child -> {});
    f.assertEqual("p", "c");
  }

  @Test
  void childrenInFlightAreWaitedFor() throws Exception {
    parents();
    Connection m = f.mirror();
    execute(m, "insert into c values (1000, 3)"); // it went on the primary with its parent
    f.pair.executeSource("delete from p where id = 3");
    Future<?> resync = f.start(() -> resync("p", 3));
    try (Connection c = f.pair.target()) {
      await(
          "the resync is through or asks what is in flight",
          () ->
              resync.isDone()
                  || !value(
                          c,
                          "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
                              + " and query like '%RowExclusiveLock%'")
                      .equals("0"));
    }
    m.commit();
    finish(resync);
    f.assertEqual("p", "c");
  }

  // ----------------------------------------------------------------------------------------------
  // by the flush

  private static RowChange delete(String table, List<String> key, String[]... rows) {
    return change(Kind.DELETE, table, key, key, rows);
  }

  /** Five thousand rows on the mirror, a batch for each thousand. */
  private void batches(String type, String id) throws SQLException {
    hypertable("t", "id " + type + " primary key, v text", "");
    try (Connection m = f.pair.target()) {
      // the writer learns of the table while it has no chunks
      assertTrue(f.mirrorCatalog.table(m, table("t")).orElseThrow().compresses());
    }
    f.pair.executeTarget(
        "insert into t select " + id + ", 'v' from generate_series(0, 4999) i; " + compress("t"));
    assertEquals(0, loose("t"));
  }

  @ParameterizedTest
  @CsvSource({
    "int, i, 7 2007 2008",
    "timestamptz, timestamptz '2026-01-01 00:00Z' + i * interval '1 microsecond',"
        + " 2026-01-01T00:00:00.000007Z 2026-01-01T00:00:00.002007Z 2026-01-01T00:00:00.002008Z"
  })
  void severalDeletesOfOneFlushTakeTheirBatchesApartAlone(String type, String id, String keys)
      throws Exception {
    batches(type, id);
    Connection m = f.mirror();
    f.flush(m, null, Fixture.delete("t", "id", keys.split(" ", -1)));
    m.commit();
    assertEquals("4997", mirror("select count(*) from t"));
    assertEquals(1997, loose("t"));
    // a row that is not there, among others
    assertThrows(
        CountMismatchException.class,
        () -> f.flush(m, null, Fixture.delete("t", "id", keys.split(" ", -1))));
  }

  @Test
  void manyDeletesOfOneFlush() throws Exception {
    batches("int", "i");
    // as many as are sent one by one, and more
    Connection m = f.mirror();
    for (int[] range : new int[][] {{0, 100}, {1000, 2500}}) {
      String[] keys =
          IntStream.range(range[0], range[1]).mapToObj(Integer::toString).toArray(String[]::new);
      f.flush(
          m,
          null,
          Fixture.upsert("t", List.of("id", "v"), row("4999", "new")),
          Fixture.delete("t", "id", keys),
          Fixture.upsert("t", List.of("id", "v"), row(keys[0], "back")));
      m.commit();
      assertTrue(keys.length > 100 || loose("t") == 1901, loose("t") + " rows are in no batch");
    }
    assertEquals(
        "3402 2 1",
        mirror(
            "select concat_ws(' ', count(*), count(*) filter (where v = 'back'), count(*) filter (where v = 'new')) from t"));
  }

  @Test
  void aStatementThatComesAgainAndAgainIsPlannedWithItsKey() throws Exception {
    // twenty batches in one chunk
    hypertable(
        "t",
        "id int, n int, v text, primary key (id, n)",
        ", timescaledb.compress_segmentby = '', timescaledb.compress_orderby = 'id, n'");
    f.pair.executeTarget(
        "insert into t select i / 20, i % 20, 'v' from generate_series(0, 19999) i; "
            + compress("t"));
    List<String> key = List.of("id", "n");
    Connection m = f.mirror();
    for (int n = 0; n < 15; n++) {
      f.flush(m, null, delete("t", key, row("5", "" + n)));
      m.commit();
    }
    assertEquals(985, loose("t"));
    for (int n = 0; n < 15; n++) {
      f.flush(
          m,
          null,
          change(
              Kind.REKEY,
              "t",
              List.of("id", "n", "id", "n", "v"),
              key,
              row("505", "" + n, "505", "10" + n, "new")));
      m.commit();
    }
    assertTrue(loose("t") <= 2985, loose("t") + " rows were decompressed");
    assertEquals("15", mirror("select count(*) from t where v = 'new'"));
  }

  @Test
  void theTargetsBoundHoldsForEachDeleteOfAFlush() throws Exception {
    batches("int", "i");
    Connection m = f.mirror();
    execute(m, "set timescaledb.max_tuples_decompressed_per_dml_transaction = 1500");
    m.commit();
    f.flush(m, null, Fixture.delete("t", "id", "7", "1007", "2007"));
    m.commit();
    assertEquals(2997, loose("t"));
    execute(m, "set timescaledb.max_tuples_decompressed_per_dml_transaction = 500");
    m.commit();
    SQLException e =
        assertThrows(
            SQLException.class, () -> f.flush(m, null, Fixture.delete("t", "id", "3007", "3008")));
    assertEquals("53400", e.getSQLState(), e.getMessage());
  }

  // ----------------------------------------------------------------------------------------------
  // by range

  /** A unit that reached the primary only. */
  private void pending(String sql, String... values) throws SQLException {
    Connection p = f.primary();
    execute(p, sql);
    Intent i =
        f.intent(
            p,
            change(Kind.INSERT, "k", List.of("id", "v"), List.of(), new String[][] {row(values)}));
    p.commit();
    f.journal.release(i.sequence(), Outcome.COMMITTED);
  }

  @Test
  void aRecopyOfAChunkBetweenLookAndInsertDoesNotDoubleTheRow() throws Exception {
    hypertable("k", "id int not null, v text", "");
    f.with("insert into k values (0, 'edge')");
    pending("insert into k values (1, 'new')", "1", "new");
    AtomicInteger once = new AtomicInteger();
    f.engine.hook =
        s -> {
          if (s == Step.REPLAY_VISIBILITY && once.getAndIncrement() == 0) {
            recopyChunk("k");
          }
        };
    try (Replayer r = f.replayer()) {
      assertTrue(r.drain(Duration.ofSeconds(30)), () -> "not drained: " + r.stats());
    }
    assertTrue(once.get() > 0);
    f.assertEqual("k");
  }

  /** A job compresses, decompresses or compresses again the chunk that is read. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "compress_chunk",
        "decompress_chunk",
        "compress_chunk again",
        "decompress, compress_chunk"
      })
  void aChunkIsNotCompressedBetweenItsSnapshotAndItsRows(String job) throws Exception {
    hypertable("k", "id int not null, v text", "");
    f.pair.executeSource("insert into k select i, 'v' from generate_series(0, 99) i");
    if (!job.equals("compress_chunk")) {
      primary(compress("k"));
    }
    if (job.equals("compress_chunk again")) {
      f.pair.executeSource("insert into k select i, 'late' from generate_series(0, 9) i");
    }
    f.pair.executeTarget("insert into k values (0, 'other')");
    List<Future<?>> jobs = new ArrayList<>();
    f.engine.hook =
        s -> {
          if (s == Step.RECOPY_SNAPSHOT && jobs.isEmpty()) {
            jobs.add(
                f.start(
                    () -> {
                      String[] parts = job.split("[ ,]+", -1);
                      if (parts[0].equals("decompress")) {
                        primary("select count(decompress_chunk(c)) from show_chunks('k') c");
                        primary(compress("k"));
                      } else {
                        primary("select count(" + parts[0] + "(c)) from show_chunks('k') c");
                      }
                    }));
            try (Connection p = f.pair.source()) {
              await(
                  "the job is through or waits",
                  () ->
                      jobs.get(0).isDone()
                          || !value(
                                  p,
                                  "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")
                              .equals("0"));
            }
          }
        };
    try {
      recopyChunk("k");
    } catch (SQLTransientException e) {
      assertEquals("compress_chunk again", job, e.getMessage());
      recopyChunk("k");
    }
    finish(jobs.get(0));
    f.assertEqual("k");
  }

  // ----------------------------------------------------------------------------------------------
  // suspects

  @Test
  void aSuspectLeavesTheBatchesOfEqualRowsAlone() throws Exception {
    hypertable("k", "id int primary key, v text, n numeric", "");
    f.pair.execute("insert into k select i, 'v' || i, i / 7.0 from generate_series(0, 3999) i");
    f.pair.execute(compress("k"));
    f.pair.executeTarget(
        "update k set v = 'other' where id = 5; delete from k where id = 1007;"
            + " insert into k values (2500, 'extra', 0) on conflict do nothing; insert into k values (-7, 'extra', 0)");
    f.pair.executeSource("delete from k where id = 3000");
    f.pair.executeTarget(compress("k"));
    f.pair.executeSource(compress("k"));
    List<Step> looks = new ArrayList<>();
    f.engine.hook = looks::add;
    suspect(RowChange.NO_TABLE);
    f.assertEqual("k");
    assertEquals(3, looks.stream().filter(s -> s == Step.FIRST_READ).count()); // of 4 pages
    // those that were written
    assertEquals("1", mirror("select count(*) from only " + chunk("k", 5) + " where id = 5"));
    looks.clear();
    f.pair.executeTarget(compress("k"));
    suspect(table("k"));
    assertEquals(List.of(), looks);
    assertEquals(0, loose("k"));
  }

  @Test
  void keysAreLookedForInTheirOwnChunksAlone() throws Exception {
    hypertable("k", "id int primary key, v text", "");
    f.pair.execute("insert into k select i, 'v' || i from generate_series(0, 3999) i");
    f.pair.executeSource(compress("k"));
    String scans =
        "select string_agg((coalesce(seq_scan, 0) + coalesce(idx_scan, 0))::text, ',' order by h.id)"
            + " from _timescaledb_catalog.chunk h join _timescaledb_catalog.chunk d on d.id = h.compressed_chunk_id"
            + " join pg_stat_all_tables s on (s.schemaname, s.relname) = (d.schema_name, d.table_name)";
    String[] before = primary(scans).split(",", -1);
    resync("k", 1005, 1500, 2999);
    ((HikariDataSource) f.engine.primary()).getHikariPoolMXBean().softEvictConnections();
    try (Connection p = f.pair.source()) { // what a session did counts for others when it ends
      await(
          "the end of its session",
          () ->
              value(
                      p,
                      "select count(*) from pg_stat_activity where datname = current_database()"
                          + " and backend_type = 'client backend' and pid <> pg_backend_pid()")
                  .equals("0"));
      String[] after = value(p, scans).split(",", -1);
      assertEquals(
          List.of(true, false, false, true),
          IntStream.range(0, 4).mapToObj(i -> before[i].equals(after[i])).toList());
    }
  }

  /** Found by a plan that the server keeps from before the first one left its batch. */
  @Test
  void rowsThatLeftTheirBatchAreNotTakenForGone() throws Exception {
    hypertable("k", "id int primary key, v text", "");
    f.pair.execute("insert into k select i, 'v' || i from generate_series(0, 99) i");
    f.pair.execute(compress("k"));
    int[] all = IntStream.range(0, 100).toArray();
    for (int i = 0; i < 20; i++) { // prepared after five, with one plan for all values after ten
      resync("k", all);
    }
    f.pair.executeSource("delete from k where id = 0");
    resync("k", all);
    f.assertEqual("k");
  }

  private String chunk(String table, int id) throws SQLException {
    return mirror("select tableoid::regclass from " + table + " where id = " + id);
  }

  private void suspect(TableName table) throws SQLException {
    try (Connection p = f.pair.source()) {
      f.journal.suspect(new Suspect(table, "test", 1, Incarnation.of(p), 0));
    }
    assertEquals(1, new Reconcile(f.engine, f.journal).run());
  }
}
