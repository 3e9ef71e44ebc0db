package io.dualwrite.backfill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.embedded.PgPair;
import java.io.BufferedReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class KillTest {

  /** A thread for each: the common pool has one on two processors, and what is run here blocks. */
  private static final java.util.concurrent.Executor THREADS = r -> new Thread(r, "test").start();

  /** A worker in a process of its own: copies one chunk, stops in the middle of the second. */
  public static final class Child {
    private Child() {}

    public static void main(String[] args) throws Exception {
      Steps.Step stop = Steps.Step.valueOf(args[2]);
      boolean[] first = {true};
      Backfill b =
          Backfill.builder()
              .source(args[0], "postgres", "postgres")
              .target(args[1], "postgres", "postgres")
              .build(
                  (step, task) -> {
                    if (step == stop) {
                      if (first[0]) {
                        first[0] = false;
                        return;
                      }
                      System.out.println("stopped");
                      System.out.flush();
                      try {
                        new CountDownLatch(1).await();
                      } catch (InterruptedException e) {
                        throw new IllegalStateException(e);
                      }
                    }
                  });
      b.copy(CopyOptions.defaults().withParallelism(1), Progress.none());
    }
  }

  @ParameterizedTest
  @EnumSource(Steps.Step.class)
  void aWorkerKilledAtAnyStepCostsOneChunk(Steps.Step step) throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key, v text); create table h(v int)");
      pair.executeSource(
          "insert into t select g, 'v'||g from generate_series(1, 1000) g; insert into h select g from generate_series(1, 1000) g");
      Backfill b = Check.backfill(pair);
      // the keyless table has no steps in between
      boolean all = step == Steps.Step.CLAIMED || step == Steps.Step.MARKED;
      b.stage(StageOptions.defaults().withChunkRows(500).withFilter(all ? null : "\\.t$"));
      killAt(pair, step);
      assertEquals(1, b.status().done());
      CopyResult r = b.copy(CopyOptions.defaults().withParallelism(2), Progress.none());
      assertTrue(r.complete(), r.toString());
      assertEquals(all ? 2 : 1, r.tasks());
      b.stage(StageOptions.defaults());
      Check.copyAll(b);
      Check.assertEqual(pair);
    }
  }

  /** Copies one chunk, and is killed in the middle of what comes then. */
  private static void killAt(PgPair pair, Steps.Step step) throws Exception {
    Process child =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                Child.class.getName(),
                pair.sourceUrl(),
                pair.targetUrl(),
                step.name())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try (BufferedReader out = child.inputReader(StandardCharsets.UTF_8)) {
      assertEquals("stopped", out.readLine());
    } finally {
      child.destroyForcibly().waitFor();
    }
  }

  /**
   * Between a chunk, whose rows travel because of a type that is of its server, and its
   * compression; and in the middle of one that travels compressed; with TimescaleDB.
   */
  @ParameterizedTest
  @EnumSource(
      value = Steps.Step.class,
      names = {"CLAIMED", "INSERTED"})
  void aWorkerKilledInAHypertableLeavesItToTheNext(Steps.Step step) throws Exception {
    try (PgPair pair =
        Timescale.pair(
            List.of(
                PgPair.CREATE_TIMESCALEDB,
                "create table h(at int not null, v text"
                    + (step == Steps.Step.CLAIMED ? ", r regtype)" : ")"),
                "select create_hypertable('h', 'at', chunk_time_interval => 100)",
                "alter table h set (timescaledb.compress)"))) {
      pair.executeSource("insert into h(at, v) select g, 'v' || g from generate_series(0, 299) g");
      pair.executeSource("select compress_chunk(c) from show_chunks('h') c");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults());
      killAt(pair, step);
      assertEquals(step == Steps.Step.CLAIMED ? 0 : 1, b.status().done());
      Timescale.copyAll(b);
      Timescale.assertEqual(pair, "h");
      assertEquals(Timescale.chunks(pair, true, "h"), Timescale.chunks(pair, false, "h"));
    }
  }

  @Test
  void eitherServerMayCrashWhileWeCopy() throws Exception {
    try (PgPair pair = PgPair.own()) {
      pair.execute("create table t(id int primary key, v text); create table h(v int)");
      pair.executeSource(
          "insert into t select g, 'v'||g from generate_series(1, 3000) g; insert into h select g from generate_series(1, 1000) g");
      AtomicBoolean target = new AtomicBoolean();
      AtomicBoolean source = new AtomicBoolean();
      Backfill b =
          Check.backfill(
              pair,
              (step, task) -> {
                if (step == Steps.Step.INSERTED && task.id() == 3 && !target.getAndSet(true)) {
                  pair.targetServer().kill();
                  pair.targetServer().restart();
                }
                if (step == Steps.Step.READ && task.id() == 5 && !source.getAndSet(true)) {
                  pair.sourceServer().kill();
                  pair.sourceServer().restart();
                }
              });
      b.stage(StageOptions.defaults().withChunkRows(300));
      CopyResult r = b.copy(CopyOptions.defaults().withParallelism(1), Progress.none());
      assertTrue(r.complete(), r.toString());
      assertTrue(target.get() && source.get());
      Check.assertEqual(pair);
    }
  }

  @Test
  void anUnreachableTargetEndsTheRun() throws Exception {
    try (PgPair pair = PgPair.own()) {
      pair.execute("create table t(id int primary key)");
      pair.executeSource("insert into t select g from generate_series(1, 300) g");
      Backfill b =
          Check.backfill(
              pair,
              (step, task) -> {
                if (step == Steps.Step.READ) {
                  pair.targetServer().kill();
                }
              });
      b.stage(StageOptions.defaults().withChunkRows(100));
      BackfillException e =
          org.junit.jupiter.api.Assertions.assertThrows(
              BackfillException.class,
              () ->
                  b.copy(
                      CopyOptions.defaults()
                          .withParallelism(1)
                          .withPatience(Duration.ofMillis(500)),
                      Progress.none()));
      assertTrue(e.getMessage().contains("could not be reached"), e.getMessage());
      pair.targetServer().restart();
      Check.copyAll(Check.backfill(pair));
      Check.assertEqual(pair);
    }
  }

  /** The patience begins when the target was last there, not when the chunk began. */
  @Test
  void aShortOutageAfterALongChunkIsWaitedFor() throws Exception {
    try (PgPair pair = PgPair.own()) {
      pair.execute("create table t(id int primary key)");
      pair.executeSource("insert into t select g from generate_series(1, 300) g");
      Duration patience = Duration.ofSeconds(8);
      AtomicBoolean killed = new AtomicBoolean();
      FutureTask<Void> back =
          new FutureTask<>(
              () -> {
                pair.targetServer().restart();
                return null;
              });
      Backfill b =
          Check.backfill(
              pair,
              (step, task) -> {
                if (step == Steps.Step.READ && killed.compareAndSet(false, true)) {
                  LockSupport.parkNanos(patience.plusMillis(100).toNanos());
                  pair.targetServer().kill();
                  new Thread(back).start();
                }
              });
      b.stage(StageOptions.defaults().withChunkRows(100));
      CopyResult r =
          b.copy(CopyOptions.defaults().withParallelism(1).withPatience(patience), Progress.none());
      back.get();
      assertTrue(r.complete(), r.toString());
      Check.assertEqual(pair);
    }
  }

  @Test
  void anInterruptEndsTheRunAfterTheChunksUnderWay() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key)");
      pair.executeSource("insert into t select g from generate_series(1, 1000) g");
      Thread caller = Thread.currentThread();
      Backfill b =
          Check.backfill(
              pair,
              (step, task) -> {
                if (step == Steps.Step.READ) {
                  caller.interrupt();
                }
              });
      b.stage(StageOptions.defaults().withChunkRows(100));
      CopyResult r = b.copy(CopyOptions.defaults().withParallelism(1), Progress.none());
      assertTrue(Thread.interrupted());
      assertFalse(r.complete());
      assertTrue(r.tasks() >= 1 && r.left() > 0, r.toString());
      assertEquals(10, r.tasks() + r.left());
      Check.copyAll(Check.backfill(pair));
      Check.assertEqual(pair);
    }
  }

  @Test
  void twoProcessesShareTheWork() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key, v text)");
      pair.executeSource(
          "insert into t select g, repeat('x', 100) from generate_series(1, 4000) g");
      Backfill stage = Check.backfill(pair);
      stage.stage(StageOptions.defaults().withChunkRows(100));
      CountDownLatch both = new CountDownLatch(2);
      Steps meet =
          (step, task) -> {
            if (step == Steps.Step.READ) {
              both.countDown();
              try {
                assertTrue(both.await(30, TimeUnit.SECONDS), "only one process got work");
              } catch (InterruptedException e) {
                throw new IllegalStateException(e);
              }
            }
          };
      List<CompletableFuture<CopyResult>> runs =
          List.of(
              CompletableFuture.supplyAsync(
                  () ->
                      Check.backfill(pair, meet)
                          .copy(CopyOptions.defaults().withParallelism(1), Progress.none()),
                  THREADS),
              CompletableFuture.supplyAsync(
                  () ->
                      Check.backfill(pair, meet)
                          .copy(CopyOptions.defaults().withParallelism(1), Progress.none()),
                  THREADS));
      long tasks = 0;
      for (CompletableFuture<CopyResult> run : runs) {
        CopyResult r = run.get(60, TimeUnit.SECONDS);
        assertTrue(r.complete());
        assertTrue(r.tasks() > 0);
        tasks += r.tasks();
      }
      assertEquals(40, tasks);
      try (Connection t = pair.target()) {
        assertEquals("4000", Check.value(t, "select sum(inserted) from dualwrite.task"));
      }
      Check.assertEqual(pair);
    }
  }
}
