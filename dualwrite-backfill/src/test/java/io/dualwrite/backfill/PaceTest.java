package io.dualwrite.backfill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.control.Side;
import io.dualwrite.embedded.PgPair;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.postgresql.PGConnection;
import org.postgresql.PGProperty;
import org.postgresql.ds.PGSimpleDataSource;
import org.postgresql.replication.LogSequenceNumber;
import org.postgresql.replication.PGReplicationStream;

/** What copy and verify leave to others: the source's other work, and what was done before. */
class PaceTest {

  private static final Executor THREADS = r -> new Thread(r, "test").start();

  private static SourceLoad load(PgPair pair, CopyOptions options) {
    PGSimpleDataSource d = new PGSimpleDataSource();
    d.setUrl(pair.sourceUrl());
    d.setUser(pair.sourceServer().user());
    d.setPassword(pair.sourceServer().password());
    return new SourceLoad(new Sessions(d, Side.SOURCE), options);
  }

  /** What counts them is what holds them back. */
  @Test
  void rowsWithoutAKeyAreCountedToo() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table log(v text)");
      pair.executeSource("insert into log select repeat('v', 1000) from generate_series(1, 1000)");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults());
      List<Progress.Snapshot> seen = new ArrayList<>();
      b.copy(CopyOptions.defaults(), seen::add);
      Check.assertEqual(pair);
      assertTrue(seen.get(seen.size() - 1).bytes() >= 1_000_000);
    }
  }

  @Test
  void copyWaitsWhileOthersAreActiveOnTheSource() throws Exception {
    try (PgPair pair = PgPair.own()) {
      pair.execute("create table t(id int primary key)");
      pair.executeSource("insert into t select g from generate_series(1, 100) g");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults());
      List<CompletableFuture<Void>> others = new ArrayList<>();
      for (int i = 0; i < 2; i++) {
        others.add(
            CompletableFuture.runAsync(
                () -> {
                  try (Connection c = pair.source();
                      Statement s = c.createStatement()) {
                    s.execute("select pg_sleep(300)");
                  } catch (SQLException e) {
                    // cancelled, as it is to be
                  }
                },
                THREADS));
      }
      String sleeping =
          "select count(*) from pg_stat_activity where query = 'select pg_sleep(300)' and state = 'active'";
      Check.await("two sessions", () -> Check.source(pair, sleeping).equals("2"));
      ConcurrentLinkedQueue<String> reasons = new ConcurrentLinkedQueue<>();
      CompletableFuture<CopyResult> copy =
          CompletableFuture.supplyAsync(
              () ->
                  b.copy(
                      CopyOptions.defaults().withParallelism(2).withSourceLoad(1, 0, false),
                      now -> now.waiting().ifPresent(reasons::add)),
              THREADS);
      Check.await("the reason", () -> !reasons.isEmpty());
      assertEquals("2 sessions are active on the source", reasons.peek());
      assertEquals(0, b.status().done());
      assertFalse(copy.isDone());
      Check.source(
          pair,
          "select count(pg_cancel_backend(pid)) from pg_stat_activity where query = 'select pg_sleep(300)'");
      assertTrue(copy.get(60, TimeUnit.SECONDS).complete());
      for (CompletableFuture<Void> o : others) {
        o.get(60, TimeUnit.SECONDS);
      }
      Check.assertEqual(pair);
    }
  }

  @Test
  void aRoleThatCannotSeeTheLoadIsRefused() throws Exception {
    try (PgPair pair = PgPair.own()) {
      pair.execute("create table t(id int primary key)");
      Check.backfill(pair).stage(StageOptions.defaults());
      pair.executeSource("create role poor login password 'poor'; grant select on t to poor");
      Backfill b =
          Backfill.builder()
              .source(pair.sourceUrl(), "poor", "poor")
              .target(pair.targetUrl(), pair.targetServer().user(), pair.targetServer().password())
              .build();
      BackfillException e =
          assertThrows(
              BackfillException.class,
              () -> b.copy(CopyOptions.defaults().withSourceLoad(1, 0, false), Progress.none()));
      assertTrue(e.getMessage().contains("GRANT pg_read_all_stats"), e.getMessage());
      assertTrue(b.copy(CopyOptions.defaults(), Progress.none()).complete());
    }
  }

  @Test
  void whoWaitsForATurnHoldsNoTransaction() throws Exception {
    try (PgPair pair = PgPair.own()) {
      pair.execute("create table a(id int primary key); create table b(id int primary key)");
      pair.execute("insert into a select 1; insert into b select 1");
      try (Connection holder = pair.target();
          Statement h = holder.createStatement()) {
        holder.setAutoCommit(false);
        h.execute("lock table a, b");
        CompletableFuture<VerifyResult> verify =
            CompletableFuture.supplyAsync(
                () ->
                    Check.backfill(pair)
                        .verify(VerifyOptions.defaults().withParallelism(1), Progress.none()),
                THREADS);
        String of = " from pg_stat_activity where application_name = 'dualwrite backfill' and ";
        Check.await(
            "one that is at it, and one that waits for it",
            () ->
                Check.target(pair, "select count(*)" + of + "state = 'active'").equals("1")
                    && Check.target(
                            pair,
                            "select count(*)" + of + "query ilike '%commit%' and state = 'idle'")
                        .equals("1"));
        assertEquals(
            "0", Check.target(pair, "select count(*)" + of + "state like 'idle in transaction%'"));
        holder.rollback();
        assertTrue(verify.get(60, TimeUnit.SECONDS).equal());
      }
    }
  }

  @Test
  void aReplicaThatIsBehindIsAReason() throws Exception {
    try (PgPair pair = PgPair.own();
        SourceLoad load = load(pair, CopyOptions.defaults().withSourceLoad(0, 100_000, false))) {
      assertNull(load.reason());
      Properties p = new Properties();
      PGProperty.USER.set(p, pair.sourceServer().user());
      PGProperty.PASSWORD.set(p, pair.sourceServer().password());
      PGProperty.REPLICATION.set(p, "true");
      PGProperty.ASSUME_MIN_SERVER_VERSION.set(p, "10");
      PGProperty.PREFER_QUERY_MODE.set(p, "simple");
      String now = "select pg_current_wal_lsn()";
      LogSequenceNumber start = LogSequenceNumber.valueOf(Check.source(pair, now));
      try (Connection c = DriverManager.getConnection(pair.sourceUrl(), p);
          PGReplicationStream stream =
              c.unwrap(PGConnection.class)
                  .getReplicationAPI()
                  .replicationStream()
                  .physical()
                  .withStartPosition(start)
                  .start()) {
        stream.setAppliedLSN(start);
        stream.setFlushedLSN(start);
        stream.forceUpdateStatus();
        pair.executeSource(
            "create table t as select g, repeat('x', 100) as v from generate_series(1, 5000) g");
        Check.await("the reason", () -> load.reason() != null);
        assertTrue(
            load.reason().matches("a replica of the source is \\d+ bytes behind"), load.reason());
        Check.await(
            "the replica",
            () -> {
              while (stream.readPending() != null) {
                // read, as a replica does
              }
              LogSequenceNumber latest = LogSequenceNumber.valueOf(Check.source(pair, now));
              stream.setAppliedLSN(latest);
              stream.setFlushedLSN(latest);
              stream.forceUpdateStatus();
              return load.reason() == null;
            });
      }
    }
  }

  @Test
  void aCheckpointThatWasAskedForIsAReason() throws Exception {
    try (PgPair pair = PgPair.own();
        SourceLoad load = load(pair, CopyOptions.defaults().withSourceLoad(0, 0, true))) {
      pair.executeSource("checkpoint");
      Check.await("quiet", () -> load.reason() == null);
      // a tenth of a second for each page that it writes
      pair.executeSource(
          "create table t as select g, repeat('x', 2000) as v from generate_series(1, 200) g");
      CompletableFuture<Void> backup =
          CompletableFuture.runAsync(
              () -> {
                try (Connection c = pair.source()) {
                  Check.execute(
                      c,
                      c.getMetaData().getDatabaseMajorVersion() >= 15
                          ? "select pg_backup_start('a backup')"
                          : "select pg_start_backup('a backup', false, false)");
                } catch (SQLException e) {
                  throw new IllegalStateException(e);
                }
              },
              THREADS);
      Check.await("the reason", () -> load.reason() != null);
      assertEquals("a checkpoint that was asked for is under way on the source", load.reason());
      pair.executeSource("checkpoint"); // which takes no time, and ends the other one
      backup.get(60, TimeUnit.SECONDS);
      Check.await("its end", () -> load.reason() == null);
    }
  }

  @Test
  void verifyHashesNoMoreThanItMay() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key, v text)");
      pair.execute("insert into t select g, repeat('x', 100) from generate_series(1, 1000) g");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults().withChunkRows(100));
      VerifyResult r = b.verify(VerifyOptions.defaults().withMaxRate(50_000), Progress.none());
      assertTrue(r.equal(), r.toString());
      assertTrue(r.elapsed().compareTo(Duration.ofSeconds(2)) >= 0, r.toString()); // 106 kB
    }
  }

  @Test
  void verifyGoesOnWhereItWasInterrupted() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key, v text); create table unstaged(v int)");
      pair.execute("insert into t select g, 'v' from generate_series(1, 300) g");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults().withFilter("\\.t$").withChunkRows(100));
      VerifyOptions o = VerifyOptions.defaults().withFilter("t").withRecheck(Duration.ofMillis(1));
      assertTrue(b.verify(o, Progress.none()).equal());
      assertEquals(0, b.verify(o.withResume(true), Progress.none()).skipped(), "not copied yet");
      assertTrue(b.copy(CopyOptions.defaults(), Progress.none()).complete());
      assertEquals(0, b.verify(o.withResume(true), Progress.none()).skipped());
      pair.executeTarget("update t set v = 'spoilt' where id = 7; insert into unstaged values (1)");
      // what was found equal is not looked at again; what was not staged is
      VerifyResult r = b.verify(o.withResume(true), Progress.none());
      assertEquals(3, r.skipped());
      assertEquals(
          List.of("unstaged"),
          r.tables().stream().filter(t -> !t.equal()).map(t -> t.table().name()).toList());
      // a new one looks at everything
      r = b.verify(o, Progress.none());
      assertEquals(0, r.skipped());
      assertEquals(2, r.tables().stream().filter(t -> !t.equal()).count());
      // of another method nothing is known
      assertEquals(
          0,
          b.verify(o.withResume(true).withMethod(VerifyOptions.Method.COUNT), Progress.none())
              .skipped());
      b.verify(o, Progress.none());
      pair.executeTarget("update t set v = 'v'; delete from unstaged");
      r = b.verify(o.withResume(true), Progress.none());
      assertEquals(2, r.skipped());
      assertTrue(r.equal(), r.toString());
      // what an earlier one found does not count once a new one has begun
      pair.executeTarget("update dualwrite.backfill set verify_began = clock_timestamp()");
      assertEquals(0, b.verify(o.withResume(true), Progress.none()).skipped());
    }
  }

  @Test
  void chunksOfATableAreComparedTogether() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key, v text)");
      pair.execute("insert into t select g, 'v' from generate_series(1, 160) g");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults().withChunkRows(10));
      assertTrue(b.copy(CopyOptions.defaults(), Progress.none()).complete());
      pair.executeTarget(
          "update t set v = 'spoilt' where id in (63, 111); delete from t where id = 160");
      VerifyOptions o =
          VerifyOptions.defaults().withParallelism(1).withRecheck(Duration.ofMillis(1));
      List<Long> totals = new ArrayList<>();
      VerifyResult r = b.verify(o, now -> totals.add(now.total()));
      assertEquals(4, totals.get(0)); // for sixteen chunks
      assertEquals(160, r.tables().get(0).sourceRows());
      assertEquals(159, r.tables().get(0).targetRows());
      assertEquals(
          List.of("[111]DIFFERENT", "[160]MISSING", "[63]DIFFERENT"),
          r.tables().get(0).differences().stream()
              .map(d -> d.key().toString() + d.kind())
              .sorted()
              .toList());
      assertEquals(4, b.status().verifiedEqual());
      assertEquals(12, b.status().verifiedDifferent());
      r = b.verify(o.withResume(true).withRepair(true), Progress.none());
      assertEquals(1, r.skipped());
      assertTrue(r.equal(), r.toString());
      assertEquals(16, b.status().verifiedEqual());
      Check.assertEqual(pair);
    }
  }

  @Test
  void theOldestChunksOfAHypertableComeFirstIfTheyAreTo() throws Exception {
    for (StageOptions.First first : StageOptions.First.values()) {
      try (PgPair pair =
          Timescale.pair(
              List.of(
                  PgPair.CREATE_TIMESCALEDB,
                  "create table h(at int not null)",
                  "select create_hypertable('h', 'at', chunk_time_interval => 10)"))) {
        pair.executeSource("insert into h select g from generate_series(0, 49) g");
        Check.backfill(pair).stage(StageOptions.defaults().withFirst(first));
        List<Integer> lows = new ArrayList<>();
        try (Connection s = pair.source();
            Connection t = pair.target()) {
          for (List<String> r :
              Sql.rows(t, "select from_schema, from_name from dualwrite.task order by priority")) {
            lows.add(
                Integer.valueOf(Sql.value(s, "select min(at) from " + r.get(0) + "." + r.get(1))));
          }
        }
        assertEquals(
            first == StageOptions.First.OLDEST
                ? List.of(0, 10, 20, 30, 40)
                : List.of(40, 30, 20, 10, 0),
            lows);
      }
    }
  }
}
