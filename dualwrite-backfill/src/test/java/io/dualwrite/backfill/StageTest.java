package io.dualwrite.backfill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.dualwrite.catalog.TableName;
import io.dualwrite.control.ControlSchema;
import io.dualwrite.control.RolesHold;
import io.dualwrite.control.Side;
import io.dualwrite.embedded.PgPair;
import io.dualwrite.embedded.PgServer;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.postgresql.ds.PGSimpleDataSource;

class StageTest {

  /** A thread for each: the common pool has one on two processors, and what is run here blocks. */
  private static final java.util.concurrent.Executor THREADS = r -> new Thread(r, "test").start();

  private static String refusal(Backfill b, StageOptions o) {
    String message = assertThrows(BackfillException.class, () -> b.stage(o)).getMessage();
    assertFalse(b.status().staged(), "something was staged");
    return message;
  }

  private static String refusal(PgPair pair) {
    return refusal(Check.backfill(pair), StageOptions.defaults());
  }

  private static void contains(String text, String... parts) {
    for (String p : parts) {
      assertTrue(text.contains(p), "'" + p + "' is not in: " + text);
    }
  }

  @Test
  void aSchemaThatDoesNotFitIsListedTableByTable() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.executeSource(
          "create table missing(id int primary key); create table col(id int primary key, a int, b text);"
              + "create table typ(id int primary key, a varchar(10), w int); create table k(id int primary key);"
              + "create table extra(id int primary key); create table gen(id int primary key, g int);"
              + "create table trig(id int primary key); create table fine(id int primary key)");
      pair.executeTarget(
          "create table col(id int primary key, a int); create table typ(id int primary key, a varchar(5), w bigint);"
              + "create table k(id int); create table extra(id int primary key, more int not null);"
              + "create table gen(id int primary key, g int generated always as (1) stored);"
              + "create table trig(id int primary key); create table fine(id int primary key);"
              + "create function f() returns trigger language plpgsql as 'begin return new; end';"
              + "create trigger tr before insert on trig for each row execute function f()");
      String m = refusal(pair);
      contains(
          m,
          "public.missing: is missing",
          "public.col: column b (text) is missing",
          "public.typ: column a is character varying(10) on the source and character varying(5) on the target",
          "public.k: its key (id) is no key on the target",
          "public.extra: column more exists on the target only",
          "public.gen: column g is generated on the target only",
          "public.trig: trigger tr",
          "'dualwrite triggers disable'");
      assertFalse(m.contains("fine"), m);
      assertFalse(m.contains("column w"), m); // every int is a bigint
      // a filter leaves the others out
      assertEquals(
          List.of(new TableName("public", "fine")),
          Check.backfill(pair).stage(StageOptions.defaults().withFilter("\\.FINE$")).staged());
    }
  }

  @Test
  void whatACrashOfTheTargetWouldEmptyIsRefused() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      String parts =
          "create table p(id int primary key) partition by range (id); create table p_1 partition of p for values from (0) to (10);";
      pair.executeSource(
          "create table t(id int primary key); create unlogged table cache(id int primary key);"
              + parts
              + "create unlogged table p_2 partition of p for values from (10) to (20)");
      pair.executeTarget(
          "create unlogged table t(id int primary key); create unlogged table cache(id int primary key);"
              + parts
              + "create table p_2 partition of p for values from (10) to (20); alter table p_1 set unlogged");
      String m = refusal(pair);
      contains(
          m,
          "public.t: is unlogged on the target (public.t)",
          "public.p: is unlogged on the target (public.p_1)");
      assertFalse(m.contains("cache"), m);
      pair.executeTarget("alter table t set logged; alter table p_1 set logged");
      assertEquals(3, Check.backfill(pair).stage(StageOptions.defaults()).staged().size());
    }
  }

  @Test
  void whatCannotBeBackfilledIsNamed() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table base(id int primary key); create table kid() inherits (base)");
      contains(refusal(pair), "public.base uses table inheritance", "--filter");
    }
    try (PgPair pair = PgPair.shared()) {
      // what TimescaleDB shows of its hypertables, without TimescaleDB
      pair.execute(
          "create table metrics(id int); create table ordinary(id int primary key); create schema timescaledb_information;"
              + "create view timescaledb_information.hypertables as select 'public'::name hypertable_schema, 'metrics'::name hypertable_name");
      contains(refusal(pair), "public.metrics is a hypertable");
      assertEquals(
          1,
          Check.backfill(pair)
              .stage(StageOptions.defaults().withFilter("ordinary"))
              .staged()
              .size());
      assertThrows(
          BackfillException.class,
          () ->
              Check.backfill(pair)
                  .verify(VerifyOptions.defaults().withFilter("metrics"), Progress.none()));
    }
    try (PgPair pair = PgPair.shared()) {
      pair.execute(
          "create foreign data wrapper w; create server s foreign data wrapper w; create table p(id int) partition by list (id);"
              + "create foreign table pf partition of p for values in (1) server s");
      contains(refusal(pair), "foreign table public.pf");
    }
  }

  @Test
  void copyWithoutStageIsRefused() {
    try (PgPair pair = PgPair.shared()) {
      Backfill b = Check.backfill(pair);
      contains(
          assertThrows(
                  BackfillException.class, () -> b.copy(CopyOptions.defaults(), Progress.none()))
              .getMessage(),
          "run stage first");
    }
  }

  @Test
  void untilIsTypedByItsForm() {
    assertEquals(List.of("2001-03-01T00:00Z"), Until.parse(List.of("2001-03-01T00:00Z")).texts());
    assertEquals(
        List.of("2001-03-01T00:00Z", "2001-03-01 00:00", "2001-03-01", "-17"),
        Until.parse(List.of("-17", "2001-03-01", "2001-03-01 00:00", "2001-03-01T00:00Z")).texts());
    for (String bad : List.of("yesterday", "2001-02-30", "2001-03-01T25:00Z", "", "1.5")) {
      assertThrows(BackfillException.class, () -> Until.parse(List.of(bad)), bad);
    }
    contains(
        assertThrows(BackfillException.class, () -> Until.parse(List.of("1", "2"))).getMessage(),
        "twice");
  }

  private static final String PARTITIONED =
      """
      create table m(ts timestamptz not null, id int not null, v text, primary key (ts, id)) partition by range (ts);
      create table m_1 partition of m for values from ('2001-01-01Z') to ('2001-02-01Z');
      create table m_2 partition of m for values from ('2001-02-01Z') to ('2001-03-01Z');
      create table m_3 partition of m for values from ('2001-03-01Z') to ('2001-04-01Z') partition by hash (id);
      create table m_3a partition of m_3 for values with (modulus 2, remainder 0);
      create table m_3b partition of m_3 for values with (modulus 2, remainder 1);
      create table m_4 partition of m for values from ('2001-04-01Z') to (maxvalue);
      create table m_d partition of m default;
      create table log(id bigint, at timestamp, v text) partition by range (id, v);
      create table log_1 partition of log for values from (minvalue, minvalue) to (100, 'a');
      create table log_2 partition of log for values from (100, 'a') to (200, 'b');
      create table log_3 partition of log for values from (200, 'b') to (300, 'c');
      create table kinds(kind text not null, id int not null, primary key (kind, id)) partition by list (kind);
      create table kinds_a partition of kinds for values in ('a');
      create table kinds_b partition of kinds for values in ('b', 'c');
      create table heap(at date, v int);
      """;

  private static void fillPartitioned(PgPair pair) throws SQLException {
    pair.executeSource(
        "insert into m select timestamptz '2000-12-01Z' + g * interval '6 hours', g, 'v'||g from generate_series(1, 700) g;"
            + "insert into log select g, null, 'x' from generate_series(1, 260) g; insert into log values (100, null, '0'), (200, null, 'a');"
            + "insert into kinds select (array['a','b','c'])[1 + g % 3], g from generate_series(1, 100) g;"
            + "insert into heap select date '2001-01-01' + g, g from generate_series(1, 100) g; insert into heap values (null, 0)");
  }

  private static final StageOptions WITH_T =
      StageOptions.defaults()
          .withUntil(List.of("2001-03-10T00:00Z", "150", "2001-02-01"))
          .withTimeColumns(Map.of("heap", "at"))
          .withChunkRows(40);

  @Test
  void untilLimitsPartitionsAndDatedHeaps() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(PARTITIONED);
      fillPartitioned(pair);
      Backfill b = Check.backfill(pair);
      StageResult staged = b.stage(WITH_T);
      assertEquals(
          List.of("public.log_3", "public.m_4"),
          staged.leftOut().stream().map(TableName::toString).sorted().toList());
      Check.copyAll(b);
      try (Connection s = pair.source();
          Connection t = pair.target()) {
        Check.execute(s, "set timezone = 'UTC'");
        for (String part :
            List.of(
                "m where ts < '2001-03-10Z'",
                "log where id < 150",
                "kinds",
                "heap where at < '2001-02-01' or at is null")) {
          String table = part.split(" ", 2)[0];
          String n = Check.value(s, "select count(*) from " + part);
          assertEquals(n, Check.value(t, "select count(*) from " + table), table);
          assertTrue(Integer.parseInt(n) > 10);
        }
      }
      assertEquals(List.of("2001-03-10T00:00Z", "2001-02-01", "150"), b.status().until());
      // rows at and after T are the writers' business, and verify's
      VerifyResult v =
          b.verify(VerifyOptions.defaults().withRecheck(Duration.ofMillis(200)), Progress.none());
      assertFalse(v.equal());
      assertEquals(
          List.of("public.heap", "public.log", "public.m"),
          v.tables().stream().filter(x -> !x.equal()).map(x -> x.table().toString()).toList());
      assertTrue(
          b.verify(
                  VerifyOptions.defaults().withRepair(true).withRecheck(Duration.ofMillis(200)),
                  Progress.none())
              .equal());
      Check.assertEqual(pair);
      // the same T again is fine, another one is not
      assertEquals(0, b.stage(WITH_T).tasks());
      contains(
          assertThrows(BackfillException.class, () -> b.stage(WITH_T.withUntil(List.of("151"))))
              .getMessage(),
          "already staged with --until 150");
    }
  }

  @Test
  void withoutUntilEverythingIsCopied() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(PARTITIONED);
      fillPartitioned(pair);
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults());
      Check.copyAll(b);
      Check.assertEqual(pair);
      assertTrue(b.verify(VerifyOptions.defaults(), Progress.none()).equal());
    }
  }

  @Test
  void theTargetMayBeDividedInAnotherWay() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.executeSource(PARTITIONED);
      pair.executeTarget(
          "create table m(ts timestamptz not null, id int not null, v text, primary key (ts, id));"
              + "create table log(id bigint, at timestamp, v text) partition by list ((id % 2));"
              + "create table l_0 partition of log for values in (0);"
              + "create table l_1 partition of log for values in (1);"
              + "create table kinds(kind text not null, id int not null, primary key (kind, id)) partition by hash (id);"
              + "create table k_1 partition of kinds for values with (modulus 1, remainder 0);"
              + "create table heap(at date, v int)");
      fillPartitioned(pair);
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults());
      Check.copyAll(b);
      Check.assertEqual(pair);
      assertTrue(b.verify(VerifyOptions.defaults(), Progress.none()).equal());
    }
    try (PgPair pair = PgPair.shared()) {
      pair.executeSource("create table log(id int)");
      pair.executeTarget(
          "create table log(id int) partition by hash (id); create table l_0 partition of log for values with (modulus 1, remainder 0)");
      contains(refusal(pair), "public.l_0 is divided by hash on the target");
    }
    try (PgPair pair = PgPair.shared()) {
      pair.executeTarget("create table pad(id int)"); // other oids
      pair.execute(
          "create table log(id int) partition by hash (id);"
              + "create table l_0 partition of log for values with (modulus 2, remainder 0);"
              + "create table l_1 partition of log for values with (modulus 2, remainder 1)");
      pair.executeSource("insert into log select g from generate_series(1, 100) g");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults());
      Check.copyAll(b);
      Check.assertEqual(pair);
    }
  }

  @Test
  void aPartitionThatTheTargetLacksIsNamed() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(PARTITIONED);
      pair.executeTarget("drop table m_2, m_3b, m_d, kinds_b, log_3");
      String m = refusal(pair);
      contains(
          m,
          "public.m: no partition of the target takes the rows of public.m_2, public.m_3b, public.m_d;",
          "public.kinds: no partition of the target takes the rows of public.kinds_b;",
          "public.log: no partition of the target takes the rows of public.log_3;");
      // others that take them
      pair.executeTarget(
          "create table kinds_c partition of kinds for values in ('b', 'c');"
              + " create table m_rest partition of m default; create table m_3c partition of m_3 for values with (modulus 2, remainder 1);"
              + " create table log_more partition of log for values from (200, 'b') to (500, 'c')");
      assertEquals(4, Check.backfill(pair).stage(StageOptions.defaults()).staged().size());
    }
    try (PgPair pair = PgPair.shared()) {
      pair.execute(PARTITIONED);
      pair.executeTarget("drop table log_1");
      assertEquals(
          1,
          Check.backfill(pair)
              .stage(StageOptions.defaults().withFilter("log$").withFrom(List.of("150")))
              .staged()
              .size());
    }
  }

  @Test
  void rowsOfWritersAreExpectedAndUntilIsAfterThem() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(
          "create table t(id int primary key); insert into t values (1); create table log(at timestamptz)");
      StageOptions early =
          StageOptions.defaults()
              .withUntil(List.of("2001-03-01T00:00Z"))
              .withTimeColumns(Map.of("log", "at"));
      Backfill b = Check.backfill(pair);
      List<String> warnings = b.stage(early).warnings();
      assertEquals(1, warnings.size(), warnings.toString());
      contains(warnings.get(0), "public.t is not empty");
      b.clean();
      try (Connection t = pair.target()) {
        ControlSchema.install(t);
      }
      pair.executeTarget(
          "insert into dualwrite.writer(writer, started) values (gen_random_uuid(), '2001-03-01 00:00:01Z'), (gen_random_uuid(), 'infinity')");
      warnings = b.stage(early).warnings();
      assertEquals(1, warnings.size(), warnings.toString());
      contains(warnings.get(0), "before the first writer began");
      b.clean();
      assertEquals(List.of(), b.stage(early.withUntil(List.of("2001-03-01T00:00:02Z"))).warnings());
    }
  }

  @Test
  void untilOfTheWrongTypeStagesNothing() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(PARTITIONED);
      Backfill b = Check.backfill(pair);
      contains(
          refusal(b, StageOptions.defaults().withUntil(List.of("2001-03-01T00:00Z"))),
          "public.log is divided by id (bigint)",
          "--until of type integer");
      contains(
          refusal(
              b,
              StageOptions.defaults()
                  .withUntil(List.of("2001-03-01T00:00Z", "4711"))
                  .withTimeColumns(Map.of("heap", "at"))),
          "public.heap is divided by at (date)");
      assertEquals(
          List.of(
              "--until 2001-03-01 limits no table: none of those staged is divided by such a column"),
          Check.backfill(pair)
              .stage(StageOptions.defaults().withFilter("kinds").withUntil(List.of("2001-03-01")))
              .warnings());
      b.clean();
      contains(refusal(b, StageOptions.defaults().withTimeColumns(Map.of("m", "ts"))), "has a key");
      contains(
          refusal(b, StageOptions.defaults().withTimeColumns(Map.of("nosuch", "ts"))),
          "public.nosuch, which is not among");
      contains(
          refusal(b, StageOptions.defaults().withTimeColumns(Map.of("heap", "nosuch"))),
          "no column nosuch");
      contains(refusal(b, StageOptions.defaults().withFilter("(")), "not a regular expression");
    }
  }

  @Test
  void stageWaitsForEveryTransactionThatWasOpen() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key)");
      Backfill b = Check.backfill(pair);
      try (Connection idle = pair.source();
          Connection old = pair.source()) {
        old.setAutoCommit(false);
        Check.execute(old, "set application_name = 'old app'");
        Check.execute(old, "select 1"); // no transaction id yet: it may still write
        String m = refusal(b, StageOptions.defaults().withPatience(Duration.ofMillis(300)));
        contains(
            m, "pid " + Check.value(old, "select pg_backend_pid()"), "old app", "nothing staged");
        assertFalse(
            m.contains(Check.value(idle, "select pg_backend_pid()")),
            "an idle session was named: " + m);
        CompletableFuture<StageResult> staging =
            CompletableFuture.supplyAsync(() -> b.stage(StageOptions.defaults()), THREADS);
        Check.await(
            "stage to look at the open transactions",
            () ->
                !Check.value(
                        idle,
                        "select count(*) from pg_stat_activity where application_name = 'dualwrite backfill' and datname = current_database()")
                    .equals("0"));
        Check.execute(old, "insert into t values (1)");
        assertFalse(staging.isDone());
        // a transaction that began later is not waited for
        awaitSecondLook(idle);
        try (Connection young = pair.source()) {
          young.setAutoCommit(false);
          Check.execute(young, "insert into t values (2)");
          old.commit();
          assertEquals(1, staging.get(30, TimeUnit.SECONDS).tasks());
          young.rollback();
        }
      }
      Check.copyAll(b);
      Check.assertEqual(pair);
    }
  }

  /**
   * Later than stage's first look at the open transactions, which has ended once it looks again.
   */
  private static void awaitSecondLook(Connection c) throws Exception {
    Set<String> looks = new HashSet<>();
    Check.await(
        "stage to wait",
        () -> {
          looks.add(
              Check.value(
                  c,
                  "select max(query_start) from pg_stat_activity where query like '%pg_prepared_xacts%'"
                      + " and application_name = 'dualwrite backfill' and datname = current_database()"));
          looks.remove(null);
          return looks.size() > 1;
        });
  }

  @Test
  void whatATransactionThatWasOpenMakesIsStaged() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(
          "create table p(id int primary key, v text) partition by range (id);"
              + "create table p_1 partition of p for values from (0) to (10)");
      pair.executeTarget(
          "create table p_2 partition of p for values from (10) to (20);"
              + "create table n(id int primary key)");
      Backfill b = Check.backfill(pair);
      try (Connection watch = pair.source();
          Connection old = pair.source()) {
        old.setAutoCommit(false);
        Check.execute(old, "select 1");
        CompletableFuture<StageResult> staging =
            CompletableFuture.supplyAsync(() -> b.stage(StageOptions.defaults()), THREADS);
        awaitSecondLook(watch);
        Check.execute(
            old,
            "create table p_2 partition of p for values from (10) to (20); insert into p values (15, 'old');"
                + "create table n(id int primary key); insert into n values (1)");
        old.commit();
        staging.get(30, TimeUnit.SECONDS);
      }
      Check.copyAll(b);
      Check.assertEqual(pair);
    }
  }

  @Test
  void aPartitionThatIsDroppedMeanwhileIsNoFailure() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(PARTITIONED);
      fillPartitioned(pair);
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults());
      pair.execute("drop table m_1, kinds_a");
      Check.copyAll(b);
      Check.assertEqual(pair);
    }
  }

  @Test
  void aKeylessPartitionThatIsDroppedMeanwhileIsNoFailure() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(KEYLESS_PARTITIONS);
      pair.executeSource("insert into log select 1 + g % 2 from generate_series(1, 20) g");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults());
      pair.execute("drop table log_1");
      Check.copyAll(b);
      Check.assertEqual(pair);
    }
  }

  private static final String KEYLESS_PARTITIONS =
      "create table log(k int, v text) partition by list (k); create table log_1 partition of log for values in (1); create table log_2 partition of log for values in (2)";

  /** Its rows are in none of the target's ranges, which are what is copied. */
  @Test
  void rowsWithoutAKeyThatHaveNoPlaceOnTheTargetAreNotLeftOutInSilence() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(KEYLESS_PARTITIONS);
      pair.executeSource("insert into log select 1 + g % 2 from generate_series(1, 20) g");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults());
      pair.executeSource(
          "create table log_3 partition of log for values in (3); insert into log values (3)");
      CopyResult copied = b.copy(CopyOptions.defaults(), Progress.none());
      assertFalse(copied.complete());
      contains(copied.failed().toString(), "has no partition for some of the primary's rows");
      pair.executeTarget("create table log_3 partition of log for values in (3)");
      b.copy(CopyOptions.defaults().withRetryFailed(true), Progress.none());
      b.stage(StageOptions.defaults());
      Check.copyAll(b);
      Check.assertEqual(pair);
    }
  }

  @Test
  void moreIsStagedWhileACopyIsAtWork() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key)");
      PGSimpleDataSource target = new PGSimpleDataSource();
      target.setUrl(pair.targetUrl());
      target.setUser(pair.targetServer().user());
      target.setPassword(pair.targetServer().password());
      try (RolesHold copy = RolesHold.of(target, Side.SOURCE)) {
        assertEquals(1, Check.backfill(pair).stage(StageOptions.defaults()).tasks());
        copy.check();
      }
    }
  }

  @Test
  void partitionsOfWhatIsLeftBehindNeedNoPlace() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(
          "create table log(at date, v int) partition by range (at); create table log_2 partition of log for values from ('2026-01-01') to ('2027-01-01')");
      pair.executeSource(
          "create table log_1 partition of log for values from ('2025-01-01') to ('2026-01-01');"
              + " insert into log values ('2025-06-01', 1), ('2026-06-01', 2)");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults().withFrom(List.of("2026-01-01")));
      Check.copyAll(b);
      assertEquals("2", Check.target(pair, "select string_agg(v::text, ',') from log"));
    }
  }

  @Test
  void fromExcusesNoOtherPartition() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(
          "create table log(at int, v int) partition by range (at); create table log_2 partition of log for values from (1000) to (2000);"
              + " create table kinds(k text, v int) partition by list (k); create table kinds_a partition of kinds for values in ('a')");
      pair.executeSource(
          "create table log_1 partition of log for values from (0) to (1000); create table log_3 partition of log for values from (2000) to (3000);"
              + " create table kinds_b partition of kinds for values in ('b')");
      Backfill b = Check.backfill(pair);
      StageOptions from = StageOptions.defaults().withFrom(List.of("1000"));
      String m = refusal(b, from);
      contains(m, "takes the rows of public.kinds_b", "takes the rows of public.log_3");
      assertFalse(m.contains("log_1"), m);
      // cut otherwise, it shows when the rows are looked at
      pair.executeTarget(
          "create table kinds_c partition of kinds for values in ('b', 'c'); create table log_3 partition of log for values from (2000) to (2500)");
      pair.executeSource("insert into log select i, i from generate_series(0, 2999) i");
      b.stage(from);
      CopyResult r = b.copy(CopyOptions.defaults().withParallelism(1), Progress.none());
      contains(
          r.failed().toString(), "has no partition for some of the primary's rows in public.log_3");
      pair.executeTarget("create table log_4 partition of log for values from (2500) to (9000)");
      b.stage(from);
      r = b.copy(CopyOptions.defaults().withRetryFailed(true), Progress.none());
      assertTrue(r.complete(), r.toString());
      assertEquals("2000", Check.target(pair, "select count(*) from log"));
    }
  }

  /** A default partition is never alike where another partition is missing. */
  @Test
  void placesAreLookedForOnce() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      String parts =
          "create table log(at int, v int) partition by range (at); create table log_d partition of log default;"
              + IntStream.range(0, 8)
                  .mapToObj(
                      i ->
                          " create table log_"
                              + i
                              + " partition of log for values from ("
                              + i
                              + ") to ("
                              + (i + 1)
                              + ");")
                  .collect(Collectors.joining());
      pair.execute(parts);
      pair.executeTarget("create table log_x partition of log for values from (90) to (91)");
      pair.executeSource("insert into log select i % 10, i from generate_series(0, 999) i");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults());
      Check.copyAll(b);
      Check.assertEqual(pair);
      String scans =
          "select coalesce(sum(seq_scan), 0) from pg_stat_user_tables where relname = 'log_3'";
      Check.await("the servers' statistics", () -> Long.parseLong(Check.source(pair, scans)) > 0);
      // that of its own rows, and that of those that the target's default partition takes
      long n = Long.parseLong(Check.source(pair, scans));
      assertTrue(n <= 2, n + " scans");
    }
  }

  @Test
  void rowsOfNoColumnAreRefused() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(
          "create table none(); create table computed(n int generated always as (1) stored); create table empty()");
      pair.executeSource("insert into none default values; insert into computed default values");
      String m = refusal(pair);
      contains(
          m,
          "public.none has rows, but no column that can be written",
          "public.computed has rows, but no column that can be written");
      assertFalse(m.contains("empty"), m);
    }
  }

  @Test
  void rowsWithoutAKeyGoIntoThePartitionsOfTheTarget() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.executeSource("create table log(at int, v int); create index on log(at)");
      pair.executeTarget(
          "create table log(at int, v int) partition by range (at); create table log_1 partition of log for values from (0) to (10);"
              + " create table log_2 partition of log for values from (10) to (1000)");
      pair.executeSource("insert into log select i % 20, i from generate_series(0, 999) i");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults().withUntil(List.of("15"))); // limits what has partitions
      Check.copyAll(b);
      assertEquals("1000", Check.target(pair, "select count(*) from log"));
    }
  }

  @Test
  void tablesWithoutAKeyThatOthersReferTo() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(
          "create table kl(u int unique, v text); create table klc(id int primary key, u int references kl(u) on delete cascade)");
      pair.executeSource(
          "insert into kl values (1, 'a'), (2, 'b'), (null, 'c'), (null, 'c'); insert into klc values (1, 1), (2, 2)");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults());
      Check.copyAll(b);
      Check.assertEqual(pair);
    }
  }

  /** Its name says nothing of what it holds. */
  @Test
  void aTargetWithNothingButADefaultPartitionHasAllRowsThere() throws SQLException {
    for (String name : List.of("log_1", "rest")) {
      try (PgPair pair = PgPair.shared()) {
        pair.executeSource(KEYLESS_PARTITIONS);
        pair.executeTarget(
            "create table log(k int, v text) partition by list (k); create table "
                + name
                + " partition of log default");
        pair.executeSource("insert into log select 1 + g % 2 from generate_series(1, 20) g");
        Backfill b = Check.backfill(pair);
        b.stage(StageOptions.defaults());
        Check.copyAll(b);
        String rows = "select string_agg(k::text, ',' order by k) from log";
        assertEquals(Check.source(pair, rows), Check.target(pair, rows));
      }
    }
  }

  /** Its rows have the value that they got when it was added, and not what its default is now. */
  @Test
  void aColumnThatIsAddedMeanwhileIsCopied() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key); create table log(v int)");
      pair.executeSource(
          "insert into t select generate_series(1, 1000); insert into log select generate_series(1, 1000)");
      AtomicInteger claims = new AtomicInteger();
      Backfill b =
          Check.backfill(
              pair,
              (step, task) -> {
                if (step == Steps.Step.CLAIMED && claims.incrementAndGet() == 4) {
                  for (String table : List.of("t", "log")) {
                    pair.execute(
                        "alter table "
                            + table
                            + " add c text not null default 'old'; alter table "
                            + table
                            + " alter c set default 'new'");
                  }
                }
              });
      b.stage(StageOptions.defaults().withChunkRows(100));
      Check.copyAll(b);
      Check.assertEqual(pair);
    }
  }

  /** What was deleted since would come back from there. */
  @Test
  void copyAndVerifyReadFromNoStandby() throws Exception {
    assumeTrue(
        System.getProperty("dualwrite.test.postgres", "embedded").equals("embedded"),
        "skipped: only an embedded server has a standby");
    try (PgPair pair = PgPair.own()) {
      pair.execute("create table t(id int primary key)");
      pair.executeSource("insert into t select generate_series(1, 100)");
      Check.backfill(pair).stage(StageOptions.defaults());
      try (PgServer standby = pair.sourceServer().standby()) {
        Backfill b =
            Backfill.builder()
                .source(standby.url(pair.database()), standby.user(), standby.password())
                .target(pair.targetUrl(), "postgres", "postgres")
                .build(Steps.NONE);
        for (Executable run :
            List.<Executable>of(
                () -> b.stage(StageOptions.defaults()),
                () -> b.copy(CopyOptions.defaults(), Progress.none()),
                () -> b.verify(VerifyOptions.defaults(), Progress.none()))) {
          contains(assertThrows(BackfillException.class, run).getMessage(), "is a standby");
        }
      }
    }
  }

  private static void execute(PgPair pair, String sql) {
    try {
      pair.executeTarget(sql);
    } catch (SQLException e) {
      throw new AssertionError(e);
    }
  }

  /** Nobody will put that right while copy waits. */
  @Test
  @Timeout(60)
  void copyDoesNotWaitForTasksThatItMayNotTake() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key)");
      pair.executeSource("insert into t select generate_series(1, 1000)");
      AtomicInteger claims = new AtomicInteger();
      Backfill b =
          Check.backfill(
              pair,
              (step, task) -> {
                if (step == Steps.Step.CLAIMED && claims.incrementAndGet() == 2) {
                  THREADS.execute(() -> execute(pair, "alter table dualwrite.task rename to away"));
                  while (Check.target(pair, "select count(*) from pg_locks where not granted")
                      .equals("0")) {
                    Thread.onSpinWait(); // it has its turn when this chunk is done
                  }
                }
              });
      b.stage(StageOptions.defaults().withChunkRows(100));
      CopyOptions one = CopyOptions.defaults().withParallelism(1);
      contains(
          assertThrows(BackfillException.class, () -> b.copy(one, Progress.none())).getMessage(),
          "dualwrite.task");
    }
  }

  @Test
  void expressionsOfGeneratedColumnsAreCompared() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      String ddl = "create table t(id int primary key, g int generated always as (id * N) stored)";
      pair.executeSource(ddl.replace("N", "2"));
      pair.executeTarget(ddl.replace("N", "3"));
      contains(refusal(pair), "column g is generated as (id * 2) on the source", "as (id * 3)");
    }
  }

  @Test
  void typesOfTheUsersOwnAreComparedByWhatTheyAreMadeOf() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      String ddl =
          """
          create domain price as $price; create domain cheap as price; create domain label as varchar($length);
          create domain strict as int $strict; create domain free as int $free;
          create type inner_ as (x $x, p price); create type outer_ as (a int, i inner_[]);
          create type pair as ($pair); create type mood as enum ($mood);
          create type span as range (subtype = $span);
          create table t(id int primary key, p price, c cheap[], l label, s strict, f free, o outer_, ab pair, m mood[], r span, n numeric(5,1)[]);
          create table fine(id int primary key, l label, n numeric(5,1)[], m mood, f free)""";
      pair.executeSource(
          ddl.replace("$price", "numeric(12,4)")
              .replace("$length", "10")
              .replace("$strict", "check (value > 0)")
              .replace("$free", "not null check (value > 0)")
              .replace("$x", "numeric")
              .replace("$pair", "a int, b int")
              .replace("$mood", "'good', 'bad'")
              .replace("$span", "float8"));
      pair.executeTarget(
          ddl.replace("$price", "numeric(12,2)")
              .replace("$length", "20")
              .replace("$strict", "not null check (value > 0) check (value < 9)")
              .replace("$free", "")
              .replace("$x", "numeric(10,2)")
              .replace("$pair", "b int, a int")
              .replace("$mood", "'good', 'best'")
              .replace("$span", "numeric"));
      String m = refusal(pair);
      contains(
          m,
          "type public.price of column p is numeric(12,4) on the source and numeric(12,2) on the target",
          "type public.price of column c[] is numeric(12,4)",
          "type public.strict of column s has on the target only: CHECK ((VALUE < 9)), NOT NULL",
          "type public.inner_ of column o.i[] is (x numeric, p public.price) on the source and (x numeric(10,2), p public.price)",
          "type public.price of column o.i[].p is",
          "type public.pair of column ab is (a integer, b integer) on the source and (b integer, a integer)",
          "type public.mood of column m[] lacks on the target: bad",
          "type public.span of column r is a range of double precision by float8_ops on the source and a range of numeric");
      for (String name : List.of("column l", "column f", "column n", "column cheap")) {
        assertFalse(m.contains(name + " "), m);
      }
      // every value of these is one on the target
      pair.executeTarget("alter type mood add value 'bad'");
      assertEquals(
          List.of(new TableName("public", "fine")),
          Check.backfill(pair).stage(StageOptions.defaults().withFilter("fine")).staged());
    }
  }

  @Test
  void pointsOfNineteenDigits() {
    Until.parse(List.of("1750000000000000000"));
    assertThrows(BackfillException.class, () -> Until.parse(List.of("9999999999999999999")));
  }

  @Test
  void aPartitionThatIsRenamedOrReplacedMeanwhileIsCopied() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(PARTITIONED);
      fillPartitioned(pair);
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults());
      pair.executeSource(
          "create schema \"Else\"; alter table m_1 rename to \"M 1\"; alter table m_2 set schema \"Else\";"
              + "create table copy as table kinds_b; alter table kinds detach partition kinds_b; drop table kinds_b;"
              + "create table kinds_b partition of kinds for values in ('b', 'c'); insert into kinds_b table copy; drop table copy");
      Check.copyAll(b);
      Check.assertEqual(pair);
    }
  }

  /** On both sides, as the application's own DDL does it. */
  @Test
  void partitionsThatMoveOrAreDividedMeanwhileAreNotLeftOut() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(
          "create schema archive; create table ev(at int, v int) partition by range (at); create table ev_1 partition of ev for values from (0) to (10);"
              + " create table ev_2 partition of ev for values from (10) to (20);"
              + " create table od(at int, id int, primary key (at, id)) partition by range (at); create table od_1 partition of od for values from (0) to (10);"
              + " create table od_d partition of od default");
      pair.executeSource(
          "insert into ev select i % 20, i from generate_series(0, 99) i; insert into od select i % 20, i from generate_series(0, 99) i");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults());
      pair.execute(
          "alter table ev_1 set schema archive; alter table od detach partition od_d; create table od_2 partition of od for values from (10) to (100);"
              + " insert into od_2 table od_d; drop table od_d; create table od_3 partition of od for values from (100) to (200)");
      BackfillException e =
          assertThrows(
              BackfillException.class, () -> b.copy(CopyOptions.defaults(), Progress.none()));
      contains(e.getMessage(), "public.od_2", "run stage again");
      assertFalse(e.getMessage().contains("od_3"), e.getMessage()); // it is empty
      b.stage(StageOptions.defaults());
      Check.copyAll(b);
      Check.assertEqual(pair);
    }
  }

  @Test
  void aPartitionThatIsDetachedMeanwhileIsNoPartOfItsTable() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(PARTITIONED);
      fillPartitioned(pair);
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults());
      pair.executeSource("alter table kinds detach partition kinds_a");
      Check.copyAll(b);
      String rows = "select count(*) from kinds";
      assertEquals(Check.source(pair, rows), Check.target(pair, rows));
      pair.executeTarget("alter table kinds detach partition kinds_a");
      b.stage(StageOptions.defaults());
      Check.copyAll(b);
      Check.assertEqual(pair);
    }
  }

  @Test
  void tablesAreStagedOnceAndNewOnesLater() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table a(id int primary key)");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults());
      pair.execute("create table b(id int primary key)");
      StageResult again = b.stage(StageOptions.defaults());
      assertEquals(List.of(new TableName("public", "b")), again.staged());
      assertEquals(List.of(new TableName("public", "a")), again.already());
    }
  }
}
