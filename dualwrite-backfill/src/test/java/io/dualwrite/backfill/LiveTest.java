package io.dualwrite.backfill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.embedded.PgPair;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** Writers write while chunks are copied. */
class LiveTest {

  private static final int ROWS = 4000;

  @Test
  void writersAndCopyEndEqual() throws Exception {
    long seed = System.nanoTime();
    System.out.println("seed " + seed);
    try (PgPair pair = PgPair.shared()) {
      pair.execute(
          """
          create table acc(id int primary key, v text, u int unique);
          create table part(id int primary key, v text, acc int references acc) partition by range (id);
          create table part_1 partition of part for values from (minvalue) to (2000);
          create table part_2 partition of part for values from (2000) to (maxvalue);
          """);
      pair.executeSource(
          "insert into acc select g, 'old', g from generate_series(1, "
              + ROWS
              + ") g; insert into part select g, 'old', g from generate_series(1, "
              + ROWS
              + ") g");
      AtomicBoolean over = new AtomicBoolean();
      AtomicInteger units = new AtomicInteger();
      ExecutorService pool = Executors.newCachedThreadPool();
      List<Future<Integer>> writers = new ArrayList<>();
      for (int w = 0; w < 3; w++) {
        Random random = new Random(seed + w);
        writers.add(pool.submit(() -> write(pair, random, over, units)));
      }
      Check.await(
          "the writers to write",
          () -> {
            for (Future<Integer> f : writers) {
              if (f.isDone()) {
                f.get(); // it failed, and says why
              }
            }
            return units.get() > 20;
          });
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults().withChunkRows(100));
      int before = units.get();
      CopyResult r =
          b.copy(
              CopyOptions.defaults()
                  .withParallelism(4)
                  .withLockTimeout(Duration.ofMillis(30))
                  .withMaxRate(1 << 20),
              Progress.none());
      int during = units.get() - before;
      over.set(true);
      int healed = 0;
      for (Future<Integer> f : writers) {
        healed += f.get(60, TimeUnit.SECONDS);
      }
      pool.shutdown();
      assertTrue(r.complete(), "seed " + seed + ": " + r);
      Check.assertEqual(pair, "seed " + seed + ", " + during + " units, " + healed + " healed: ");
      assertTrue(during > 20, "too little was written while copying: " + during);
      assertTrue(
          b.verify(VerifyOptions.defaults().withRecheck(Duration.ofMillis(100)), Progress.none())
              .equal());
      assertTrue(r.tasks() >= 2 * ROWS / 100 - 10, r.toString());
    }
  }

  private static int write(PgPair pair, Random random, AtomicBoolean over, AtomicInteger units)
      throws Exception {
    int pending = 0;
    try (TestWriter w = new TestWriter(pair, 200)) {
      while (!over.get()) {
        try {
          int n = 1 + random.nextInt(3);
          for (int i = 0; i < n; i++) {
            int id = 1 + random.nextInt(ROWS + 200);
            boolean acc = random.nextBoolean();
            Map<String, Object> row = new LinkedHashMap<>();
            row.put("id", id);
            row.put("v", "v" + random.nextInt(1_000_000));
            if (acc) {
              row.put("u", random.nextInt(4) == 0 ? -random.nextInt(100_000) : id);
            } else {
              row.put("acc", random.nextInt(3) == 0 ? null : 1 + random.nextInt(ROWS));
            }
            String table = acc ? "acc" : "part";
            int what = random.nextInt(10);
            if (what < 2) {
              w.run(new TestWriter.Op(table, "" + id, null), false);
            } else if (what < 4) {
              w.run(new TestWriter.Op(table, "" + id, row), true);
            } else {
              w.run(new TestWriter.Op(table, "" + id, row), false);
            }
          }
          w.commit();
          units.incrementAndGet();
        } catch (SQLException e) {
          w.rollback(); // the source refused: a duplicate, a missing parent, a deadlock
        }
        if (random.nextInt(20) == 0) {
          pending += w.pending();
          w.heal();
        }
      }
      pending += w.pending();
      w.heal();
    }
    return pending;
  }

  /** A keyless table: inserts under the same lock that the recopy takes. */
  @Test
  void insertsIntoAKeylessTable() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(
          "create table h(at int, v text) partition by range (at); create table h_1 partition of h for values from (0) to (50);"
              + "create table h_2 partition of h for values from (50) to (100); create table q(v text)");
      pair.executeSource(
          "insert into h select g % 100, 'old' from generate_series(1, 3000) g; insert into q select 'old' from generate_series(1, 3000)");
      insertWhileCopied(pair, 3);
      Check.assertEqual(pair);
    }
  }

  /** The same of a hypertable, one of whose chunks is compressed; with TimescaleDB. */
  @Test
  void insertsIntoAKeylessHypertable() throws Exception {
    try (PgPair pair =
        Timescale.pair(
            List.of(
                PgPair.CREATE_TIMESCALEDB,
                "create table h(at int not null, v text)",
                "select create_hypertable('h', 'at', chunk_time_interval => 50)",
                "alter table h set (timescaledb.compress)",
                "create table q(v text)"))) {
      pair.executeSource(
          "insert into h select g % 100, 'old' from generate_series(1, 3000) g; insert into q select 'old' from generate_series(1, 3000)");
      pair.executeSource("select compress_chunk(c) from show_chunks('h', older_than => 50) c");
      insertWhileCopied(pair, 3);
      Timescale.assertEqual(pair, "h", "q");
    }
  }

  private static void insertWhileCopied(PgPair pair, int snapshots) throws Exception {
    AtomicBoolean over = new AtomicBoolean();
    AtomicInteger n = new AtomicInteger();
    ExecutorService pool = Executors.newSingleThreadExecutor();
    Future<?> writer =
        pool.submit(
            () -> {
              try (Connection s = pair.source();
                  Connection t = pair.target()) {
                s.setAutoCommit(false);
                t.setAutoCommit(false);
                while (!over.get()) {
                  int i = n.incrementAndGet();
                  for (Connection c : List.of(s, t)) {
                    Check.execute(
                        c,
                        "insert into h values ("
                            + i % 100
                            + ", 'n"
                            + i
                            + "'); insert into q values ('n"
                            + i
                            + "')");
                  }
                  s.commit();
                  t.commit();
                }
              }
              return null;
            });
    Check.await("the writer", () -> n.get() > 10);
    Backfill b = Check.backfill(pair);
    b.stage(StageOptions.defaults());
    Check.copyAll(b);
    over.set(true);
    writer.get(30, TimeUnit.SECONDS);
    pool.shutdown();
    assertEquals(
        Integer.toString(snapshots), Check.target(pair, "select count(*) from dualwrite.snapshot"));
  }
}
