package io.dualwrite.backfill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.embedded.PgPair;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * One compressed chunk of the source's is copied while somebody works on that very chunk, at steps
 * that are forced; with TimescaleDB.
 */
@Timeout(120) // seconds: a writer that waits for ever is a defect
class LiveChunkTest {

  /** What the target has there, before the copy. */
  private enum There {
    /** An empty chunk. */
    NOTHING,
    /** An empty chunk that is compressed, as a restored schema has it. */
    COMPRESSED,
    /** A compressed chunk with rows: nothing travels as it is. */
    ROWS;

    /** Where the copy stands when what it read is not yet committed. */
    Steps.Step reading() {
      return this == ROWS ? Steps.Step.INSERTED : Steps.Step.READ;
    }
  }

  /** Whether partly compressed chunks travel as they are: since 2.23. */
  private static final boolean PARTLY =
      !System.getProperty("dualwrite.test.timescaledb", "").matches("2\\.(1\\d|2[012])\\..*");

  private static final List<String> SCHEMA =
      List.of(
          PgPair.CREATE_TIMESCALEDB,
          "create table acc(id int primary key, v text, u int)",
          "select create_hypertable('acc', 'id', chunk_time_interval => 1000)",
          "alter table acc set (timescaledb.compress)",
          "create table h(id int not null, v text)", // no key
          "select create_hypertable('h', 'id', chunk_time_interval => 1000)",
          "alter table h set (timescaledb.compress)");

  private final ExecutorService threads = Executors.newCachedThreadPool();

  @AfterEach
  void stop() {
    threads.shutdownNow();
  }

  private static PgPair filled(There there) throws SQLException {
    PgPair pair = Timescale.pair(SCHEMA);
    for (String table : List.of("acc", "h")) {
      pair.executeSource(
          "insert into "
              + table
              + " select i, 'old'"
              + (table.equals("acc") ? ", i / 10" : "")
              + " from generate_series(0, 99) i");
      pair.executeSource(compress(table));
      if (there != There.NOTHING) {
        pair.executeTarget("insert into " + table + " values (0, 'other'), (1, 'other')");
        if (there == There.COMPRESSED) {
          pair.executeTarget("delete from " + table);
        }
        pair.executeTarget(compress(table));
      }
    }
    return pair;
  }

  private static String compress(String table) {
    return "select compress_chunk(c) from show_chunks('" + table + "') c";
  }

  /** Sessions of that side that wait for a lock. */
  private static int blocked(PgPair pair, boolean source) throws SQLException {
    try (Connection c = source ? pair.source() : pair.target()) {
      return Integer.parseInt(
          Check.value(
              c,
              "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"));
    }
  }

  private static void copy(PgPair pair, Steps steps) throws SQLException {
    Backfill b = Check.backfill(pair, steps);
    b.stage(StageOptions.defaults());
    CopyResult r =
        b.copy(
            CopyOptions.defaults().withParallelism(1).withLockTimeout(Duration.ofSeconds(30)),
            Progress.none());
    assertTrue(r.complete(), r.toString());
  }

  private static void await(String what, Check.Condition c) throws SQLException {
    try {
      Check.await(what, c);
    } catch (SQLException | RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  /** Nobody waits any more, and everybody ended well. */
  private static void finish(List<Future<?>> all) throws Exception {
    assertFalse(all.isEmpty());
    for (Future<?> f : all) {
      f.get(60, TimeUnit.SECONDS);
    }
  }

  // ----------------------------------------------------------------------------------------------
  // writers

  /**
   * Two units of work on the chunks, with a key and without. Several would wait for each other: the
   * first to change a compressed chunk holds its state until it commits.
   */
  private static final class Writers implements AutoCloseable {
    final TestWriter keyed;
    final Connection source;
    final Connection target;
    private final int first;

    Writers(PgPair pair, int first) throws SQLException {
      this.first = first;
      keyed = new TestWriter(pair, 0);
      source = pair.source();
      target = pair.target();
      source.setAutoCommit(false);
      target.setAutoCommit(false);
    }

    void run() throws SQLException {
      change(30 * first + 1, false, "new");
      change(30 * first + 11, false, null);
      change(30 * first + 12, false, null);
      change(30 * first + 12, true, "again");
      change(200 + first, true, "new");
    }

    private void change(int id, boolean insert, String v) throws SQLException {
      Map<String, Object> values = null;
      if (v != null) {
        values = new LinkedHashMap<>();
        values.put("id", id);
        values.put("v", v);
        values.put("u", id / 10);
      }
      assertTrue(keyed.run(new TestWriter.Op("acc", Integer.toString(id), values), insert));
    }

    void insert(Connection c) throws SQLException {
      Check.execute(c, "insert into h values (" + (200 + first) + ", 'new'), (50, 'again')");
    }

    void commit() throws SQLException {
      keyed.commitSource();
      source.commit();
      keyed.commitTarget();
      target.commit();
    }

    @Override
    public void close() throws SQLException {
      keyed.close();
      source.close();
      target.close();
    }
  }

  /** Flushed, and not committed, when the copy begins: it waits for them before its snapshot. */
  @ParameterizedTest
  @EnumSource(There.class)
  void writersBeforeTheLock(There there) throws Exception {
    try (PgPair pair = filled(there);
        Writers writers = new Writers(pair, 1)) {
      List<Future<?>> commits = new ArrayList<>();
      copy(
          pair,
          (step, task) -> {
            if (step == Steps.Step.CLAIMED && commits.isEmpty()) {
              writers.run();
              writers.keyed.flush();
              writers.insert(writers.source);
              writers.insert(writers.target);
              commits.add(
                  threads.submit(
                      () -> {
                        await("the copy waits", () -> blocked(pair, false) > 0);
                        writers.commit();
                        return null;
                      }));
            }
          });
      finish(commits);
      writers.keyed.heal();
      Timescale.assertEqual(pair, "acc", "h");
    }
  }

  /** They wait for the copy with their flush, and go on where it left the chunk. */
  @ParameterizedTest
  @EnumSource(There.class)
  void writersWhileItIsLocked(There there) throws Exception {
    try (PgPair pair = filled(there);
        Writers writers = new Writers(pair, 1)) {
      List<Future<?>> flushes = new ArrayList<>();
      List<String> done = new ArrayList<>();
      copy(
          pair,
          (step, task) -> {
            if (step != there.reading() || done.contains(task.table().name())) {
              return;
            }
            done.add(task.table().name());
            int before = blocked(pair, false);
            boolean keyed = task.table().name().equals("acc");
            if (keyed) {
              writers.run();
            } else {
              writers.insert(writers.source);
            }
            flushes.add(
                threads.submit(
                    () -> {
                      if (keyed) {
                        writers.keyed.flush();
                        writers.keyed.commitSource();
                        writers.keyed.commitTarget();
                      } else {
                        writers.insert(writers.target);
                        writers.source.commit();
                        writers.target.commit();
                      }
                      return null;
                    }));
            await("the writer waits", () -> blocked(pair, false) == before + 1);
          });
      assertEquals(2, done.size());
      finish(flushes);
      assertEquals(2, flushes.size());
      writers.keyed.heal();
      Timescale.assertEqual(pair, "acc", "h");
    }
  }

  /** They give up and are pending: committed on the source before or after the snapshot. */
  @ParameterizedTest
  @EnumSource(There.class)
  void pendingWriters(There there) throws Exception {
    try (PgPair pair = filled(there);
        Writers before = new Writers(pair, 1);
        Writers after = new Writers(pair, 2)) {
      // rows without a key are left out: those that are pending need the journal's markers
      List<String> done = new ArrayList<>();
      copy(
          pair,
          (step, task) -> {
            if (!task.table().name().equals("acc")) {
              return;
            }
            if (step == Steps.Step.CLAIMED && done.isEmpty()) {
              before.run();
              before.commit();
              done.add("before");
            } else if (step == (PARTLY ? there.reading() : Steps.Step.INSERTED)
                && done.size() == 1) {
              after.run();
              after.commit();
              done.add("after");
            }
          });
      assertEquals(List.of("before", "after"), done);
      before.keyed.heal();
      after.keyed.heal();
      Timescale.assertEqual(pair, "acc", "h");
    }
  }

  // ----------------------------------------------------------------------------------------------
  // memory

  /** A copy in a process of its own. */
  public static final class Child {
    private Child() {}

    public static void main(String[] args) {
      Backfill b =
          Backfill.builder()
              .source(args[0], "postgres", "postgres")
              .target(args[1], "postgres", "postgres")
              .build();
      CopyResult r = b.copy(CopyOptions.defaults().withParallelism(2), Progress.none());
      System.exit(r.complete() ? 0 : 1);
    }
  }

  @Test
  void aBatchThatIsLargerThanTheHeap() throws Exception {
    try (PgPair pair =
        Timescale.pair(
            List.of(
                PgPair.CREATE_TIMESCALEDB,
                "create table w(id int not null, v text)",
                "select create_hypertable('w', 'id', chunk_time_interval => 1000)",
                "alter table w set (timescaledb.compress)"))) {
      pair.executeSource(
          "insert into w select i, (select string_agg(md5(i::text || j), '') from generate_series(1, 8000) j) from generate_series(1, 320) i");
      pair.executeSource(compress("w"));
      Check.backfill(pair).stage(StageOptions.defaults());
      Process child =
          new ProcessBuilder(
                  Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                  "-Xmx64m",
                  "-XX:TieredStopAtLevel=1",
                  "-cp",
                  System.getProperty("java.class.path"),
                  Child.class.getName(),
                  pair.sourceUrl(),
                  pair.targetUrl())
              .inheritIO()
              .start();
      assertEquals(0, child.waitFor());
      String sum = "select count(*) || ' ' || sum(hashtextextended(w::text, 0)::numeric) from w";
      try (Connection c = pair.source()) {
        assertEquals(Check.value(c, sum), Check.target(pair, sum));
      }
      assertEquals(Timescale.chunks(pair, true, "w"), Timescale.chunks(pair, false, "w"));
    }
  }

  // ----------------------------------------------------------------------------------------------
  // jobs

  /** A job on the source's chunk waits for the copy, or does it no harm. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "decompress_chunk(c)",
        "compress_chunk(c)",
        "compress_chunk(c, true, true)",
        "_timescaledb_functions.freeze_chunk(c)"
      })
  void jobsOnTheSourcesChunk(String job) throws Exception {
    for (String late : List.of("", "insert into %s values (10, 'late'), (300, 'late')")) {
      if (!late.isEmpty() && !PARTLY) {
        continue;
      }
      try (PgPair pair = filled(There.NOTHING)) {
        for (String table : List.of("acc", "h")) {
          if (!late.isEmpty()) {
            String key = table.equals("acc") ? " on conflict (id) do update set v = 'late'" : "";
            String columns = table.equals("acc") ? "acc(id, v)" : "h";
            pair.executeSource(String.format(late, columns) + key);
          }
        }
        List<Future<?>> jobs = new ArrayList<>();
        copy(
            pair,
            (step, task) -> {
              if (step == Steps.Step.READ) {
                Future<?> f =
                    threads.submit(
                        () -> {
                          pair.executeSource(
                              "select count("
                                  + job
                                  + ") from (select '"
                                  + task.from().sql()
                                  + "'::regclass) c(c)");
                          return null;
                        });
                jobs.add(f);
                await("the job is through or waits", () -> f.isDone() || blocked(pair, true) > 0);
              }
            });
        finish(jobs);
        assertEquals("0", Check.target(pair, "select sum(attempts) from dualwrite.task"));
        Timescale.assertEqual(pair, "acc", "h");
      }
    }
  }

  /** Retention drops the source's chunk once its snapshot is taken: it is copied, or is gone. */
  @Test
  void retentionMeanwhile() throws Exception {
    try (PgPair pair = filled(There.NOTHING)) {
      Map<String, List<String>> rows = new LinkedHashMap<>();
      List<Future<?>> jobs = new ArrayList<>();
      copy(
          pair,
          (step, task) -> {
            String table = task.table().name();
            if (step == Steps.Step.READ && !rows.containsKey(table)) {
              try (Connection c = pair.source()) {
                rows.put(table, Check.rows(c, table));
              }
              Future<?> f =
                  threads.submit(
                      () -> {
                        pair.executeSource(
                            "select drop_chunks('" + table + "', older_than => 1000)");
                        return null;
                      });
              jobs.add(f);
              await("retention is through or waits", () -> f.isDone() || blocked(pair, true) > 0);
            }
          });
      finish(jobs);
      for (String table : List.of("acc", "h")) {
        try (Connection c = pair.target()) {
          List<String> there = Check.rows(c, table);
          assertTrue(there.isEmpty() || there.equals(rows.get(table)), there.size() + " rows");
        }
      }
    }
  }
}
