package io.dualwrite.backfill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.backfill.VerifyResult.Difference;
import io.dualwrite.backfill.VerifyResult.Kind;
import io.dualwrite.backfill.VerifyResult.TableResult;
import io.dualwrite.control.ControlSchema;
import io.dualwrite.embedded.PgPair;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class VerifyTest {

  /** A thread for each: the common pool has one on two processors, and what is run here blocks. */
  private static final java.util.concurrent.Executor THREADS = r -> new Thread(r, "test").start();

  private static final VerifyOptions QUICK =
      VerifyOptions.defaults().withRecheck(Duration.ofMillis(60));

  private static TableResult table(VerifyResult r, String name) {
    return r.tables().stream().filter(t -> t.table().name().equals(name)).findFirst().orElseThrow();
  }

  private static Set<String> found(TableResult t) {
    return t.differences().stream()
        .map(d -> d.kind() + " " + d.key() + " " + d.columns())
        .collect(Collectors.toSet());
  }

  private static final String KEYED =
      "(a int, b text, s text, n numeric, f float8, j json, jb jsonb, ok boolean, ts timestamptz, by bytea";

  private static void prepare(PgPair pair) throws SQLException {
    pair.execute(
        "create table k"
            + KEYED
            + ", primary key (b, a)); create table h"
            + KEYED
            + "); create table big(id int primary key, v int)");
    for (String t : List.of("k", "h")) {
      pair.execute(
          "insert into "
              + t
              + " select g, 'k'||g % 5, 's'||g, g / 7.0, g / 7.0::float8, '{\"a\": 1}', '{\"a\": 1}', g % 2 = 0,"
              + " timestamptz '2020-01-01Z' + g * interval '1 minute', decode(md5(g::text), 'hex') from generate_series(1, 2000) g;"
              + "insert into "
              + t
              + " values (7001, 'x', null), (7002, 'x', '')");
    }
    pair.execute("insert into big select g, g from generate_series(1, 20000) g");
  }

  /** Every way in which rows go wrong, one row each. */
  private static final List<String> DAMAGE =
      List.of(
          "update # set s = case a when 10 then 's20' else 's10' end where a in (10, 20)",
          "update # set s = '' where a = 7001",
          "update # set s = null where a = 7002",
          "delete from # where a = 30",
          "insert into # values (9999, 'extra', 'x')",
          "update # set f = f * (1 + 1e-15) where a = 40",
          "update # set j = '{\"a\":1}' where a = 50",
          "update # set jb = '{\"a\": 2}' where a = 60",
          "update # set ok = not ok where a = 70",
          "update # set n = n + 0.0000000000001 where a = 80",
          "update # set ts = ts + interval '1 microsecond' where a = 90",
          "update # set by = by || '\\x00' where a = 100",
          // values that cancel in a sum or an exclusive or
          "update # set n = n + case a when 110 then 1 else -1 end where a in (110, 120)");

  @Test
  void everyKindOfDamageIsFoundAndHealed() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      prepare(pair);
      Backfill b = Check.backfill(pair);
      assertTrue(b.verify(QUICK, Progress.none()).equal());
      for (String d : DAMAGE) {
        pair.executeTarget(d.replace("#", "k"));
        pair.executeTarget(d.replace("#", "h"));
      }
      pair.executeTarget("insert into h select * from h where a = 130");
      pair.executeTarget("update h set a = 140 where a = 150");
      VerifyResult r = b.verify(QUICK, Progress.none());
      assertFalse(r.equal());
      assertTrue(table(r, "big").equal());
      assertEquals(
          Set.of(
              "DIFFERENT [k0, 10] [s]",
              "DIFFERENT [k0, 20] [s]",
              "DIFFERENT [x, 7001] [s]",
              "DIFFERENT [x, 7002] [s]",
              "MISSING [k0, 30] []",
              "EXTRA [extra, 9999] []",
              "DIFFERENT [k0, 40] [f]",
              "DIFFERENT [k0, 50] [j]",
              "DIFFERENT [k0, 60] [jb]",
              "DIFFERENT [k0, 70] [ok]",
              "DIFFERENT [k0, 80] [n]",
              "DIFFERENT [k0, 90] [ts]",
              "DIFFERENT [k0, 100] [by]",
              "DIFFERENT [k0, 110] [n]",
              "DIFFERENT [k0, 120] [n]"),
          found(table(r, "k")));
      TableResult h = table(r, "h");
      // an update is a missing and an extra row; 13 updated, one deleted, one added, one doubled,
      // one moved
      assertEquals(
          13 + 1 + 1, h.differences().stream().filter(d -> d.kind() == Kind.MISSING).count());
      assertEquals(
          13 + 1 + 1 + 1, h.differences().stream().filter(d -> d.kind() == Kind.EXTRA).count());
      Difference extra =
          h.differences().stream()
              .filter(d -> d.key().get(0).contains("9999"))
              .findFirst()
              .orElseThrow();
      assertEquals(Kind.EXTRA, extra.kind());
      VerifyResult healed = b.verify(QUICK.withRepair(true), Progress.none());
      assertTrue(healed.equal(), healed.toString());
      assertEquals(15, table(healed, "k").repaired());
      Check.assertEqual(pair);
      assertTrue(b.verify(QUICK, Progress.none()).equal());
    }
  }

  @Test
  void whatThePrimaryHoldsIsNotOverwritten() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      prepare(pair);
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults());
      try (Connection t = pair.target()) {
        ControlSchema.install(t);
      }
      pair.executeTarget(
          "update dualwrite.control set epoch = 1; update k set s = 'newer' where a = 10");
      for (Runnable what :
          List.<Runnable>of(
              () -> b.verify(QUICK.withRepair(true), Progress.none()),
              () -> b.copy(CopyOptions.defaults(), Progress.none()),
              () -> b.stage(StageOptions.defaults()))) {
        BackfillException e = assertThrows(BackfillException.class, what::run);
        assertTrue(e.getMessage().contains("the target is the primary"), e.getMessage());
      }
      assertFalse(b.verify(QUICK, Progress.none()).equal());
    }
  }

  /** Each kind alone: none hides behind another. */
  @Test
  void eachKindOfDamageIsFoundByItself() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      prepare(pair);
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults().withChunkRows(700));
      Check.copyAll(b);
      for (String table : List.of("k", "h")) {
        for (String d : DAMAGE) {
          pair.executeTarget(d.replace("#", table));
          VerifyResult r =
              b.verify(QUICK.withRepair(true).withFilter("\\." + table + "$"), Progress.none());
          assertTrue(r.equal(), d);
          assertTrue(table(r, table).repaired() > 0, "not found: " + d);
        }
      }
      Check.assertEqual(pair);
    }
  }

  @Test
  void morethanTheBoundIsFoundAndAllOfItHealed() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      prepare(pair);
      pair.executeTarget("delete from big where id % 4 = 0; update big set v = 0 where id % 5 = 0");
      Backfill b = Check.backfill(pair);
      VerifyOptions few = QUICK.withMaxDifferences(300).withFilter("big");
      TableResult t = table(b.verify(few, Progress.none()), "big");
      assertEquals(300, t.differences().size());
      assertEquals(301, t.differing());
      assertEquals(20000, t.sourceRows());
      assertEquals(15000, t.targetRows());
      assertTrue(
          b.verify(
                  QUICK.withFilter("big").withRepair(true).withMaxDifferences(3000),
                  Progress.none())
              .equal());
      Check.assertEqual(pair);
    }
  }

  @Test
  void aMissingTableOrColumnIsADifference() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.executeSource(
          "create table a(id int primary key); create table b(id int primary key, v int)");
      pair.executeTarget("create table b(id int primary key)");
      VerifyResult r = Check.backfill(pair).verify(QUICK, Progress.none());
      assertFalse(r.equal());
      assertEquals("is missing on the target", table(r, "a").error().orElseThrow());
      assertEquals("column v is missing on the target", table(r, "b").error().orElseThrow());
    }
  }

  /** A row of its own beside one with the same key, as a damaged index lets it in: it finds one. */
  private static void again(PgPair pair, boolean source, String table, String values)
      throws SQLException {
    try (Connection c = source ? pair.source() : pair.target()) {
      String index = " where indrelid = '" + table + "'::regclass";
      Check.execute(c, "update pg_index set indisready = false" + index);
      Check.execute(c, "insert into " + table + " values " + values);
      Check.execute(c, "update pg_index set indisready = true" + index);
    }
  }

  @Test
  void aKeyThatOccursTwiceIsADifferenceThatIsNotRepaired() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      for (String t : List.of("source", "target", "alike")) {
        pair.execute(
            "create table "
                + t
                + "(id text primary key, v int); insert into "
                + t
                + " select 'k' || g, g from generate_series(1, 20000) g");
      }
      pair.execute("create table spelt(id numeric primary key, v int)");
      pair.execute("analyze"); // so that a key is looked up by the index
      again(pair, true, "source", "('k9', -9)");
      again(pair, true, "alike", "('k9', 9)");
      again(pair, false, "alike", "('k9', 9)");
      pair.executeSource("insert into spelt values (1, 1)");
      pair.executeTarget(
          "alter table target drop constraint target_pkey; insert into target values ('k9', 9);"
              + " alter table spelt drop constraint spelt_pkey; insert into spelt values (1.0, 2), (1, 1)");
      for (String t : List.of("source", "target", "alike")) {
        pair.executeTarget("update " + t + " set v = 0 where id = 'k7'");
      }
      Backfill b = Check.backfill(pair);
      VerifyResult r = b.verify(QUICK, Progress.none());
      Set<String> twice = Set.of("TWICE [k9] []", "DIFFERENT [k7] [v]");
      assertEquals(twice, found(table(r, "source")));
      assertEquals(twice, found(table(r, "target")));
      assertEquals(Set.of("DIFFERENT [k7] [v]"), found(table(r, "alike")));
      assertEquals(Set.of("TWICE [1.0] []"), found(table(r, "spelt")));
      assertEquals(
          "its key (id) is no key on the target", table(r, "target").error().orElseThrow());

      r = b.verify(QUICK.withRepair(true).withFilter("source|alike"), Progress.none());
      assertEquals(Set.of("TWICE [k9] []"), found(table(r, "source")));
      assertEquals(1, table(r, "source").repaired());
      String error = table(r, "source").error().orElseThrow();
      assertTrue(error.startsWith("a key occurs more than once on a side"), error);
      assertTrue(table(r, "alike").equal(), r.toString());

      // without its key, and equal for now
      pair.executeTarget("truncate spelt; insert into spelt values (1, 1)");
      assertEquals(
          "its key (id) is no key on the target",
          table(b.verify(QUICK.withFilter("spelt"), Progress.none()), "spelt")
              .error()
              .orElseThrow());
    }
  }

  /**
   * One side's rows take longer than the other's session may be idle in its transaction. The pin of
   * that is brought down to a second, in these databases, by what is called right after it; the
   * rows wait where nothing but their stream asks, in a cast of the key.
   */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void rowsAreComparedHoweverLongOneSideTakesToSortThem(boolean slowSource) throws Exception {
    try (PgPair pair = PgPair.shared();
        Connection slow = slowSource ? pair.source() : pair.target();
        Connection fast = slowSource ? pair.target() : pair.source()) {
      pair.execute(
          "create type color as enum ('red', 'blue'); create table t(c color primary key, v int); insert into t values ('red', 1), ('blue', 2);"
              + " set allow_system_table_mods = on; alter function pg_catalog.set_config(text, text, boolean) rename to set_config_before;"
              + " create function pg_catalog.set_config(text, text, boolean) returns text language sql as"
              + " $$ select pg_catalog.set_config_before('idle_in_transaction_session_timeout', '1s', false); select pg_catalog.set_config_before($1, $2, $3) $$");
      Check.execute(
          slow,
          "create function slowly(c color) returns text language plpgsql set lock_timeout = 0 as"
              + " $$ begin perform pg_advisory_xact_lock_shared(1); return enum_out(c); end $$;"
              + " create cast (color as text) with function slowly(color); select pg_advisory_lock(1)");
      pair.executeTarget("update t set v = 0 where c = 'red'");
      CompletableFuture<VerifyResult> verify =
          CompletableFuture.supplyAsync(
              () -> Check.backfill(pair).verify(QUICK, Progress.none()), THREADS);
      Check.await(
          "a session that is idle for longer than it may be",
          () ->
              verify.isDone()
                  || Check.value(
                          fast,
                          "select exists (select from pg_stat_activity where datname = current_database() and application_name = 'dualwrite backfill'"
                              + " and state = 'idle in transaction' and clock_timestamp() - state_change > interval '3 s')")
                      .equals("t"));
      Check.execute(slow, "select pg_advisory_unlock(1)");
      VerifyResult r = verify.get(60, TimeUnit.SECONDS);
      assertEquals(Set.of("DIFFERENT [red] [v]"), found(table(r, "t")), r.toString());
    }
  }

  @Test
  void databasesOfDifferentEncodingAreCompared() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.executeTarget("drop database if exists latin");
      pair.executeTarget("create database latin encoding 'LATIN1' locale 'C' template template0");
      String url = pair.targetServer().url("latin");
      String sql =
          "create table t(id int primary key, \"é\" text); insert into t values (1, 'übel'), (2, 'x')";
      pair.executeSource(sql);
      try (Connection c = pair.targetServer().connect("latin")) {
        Check.execute(c, sql);
        Backfill b =
            Backfill.builder()
                .source(pair.sourceUrl(), "postgres", "postgres")
                .target(url, "postgres", "postgres")
                .build();
        assertTrue(b.verify(QUICK, Progress.none()).equal());
        Check.execute(c, "update t set \"é\" = 'ubel' where id = 1");
        assertEquals(
            Set.of("DIFFERENT [1] [é]"), found(table(b.verify(QUICK, Progress.none()), "t")));
      }
    }
  }

  @Test
  void aWriteOnItsWayIsNoDifference() throws Exception {
    try (PgPair pair = PgPair.shared();
        TestWriter w = new TestWriter(pair, 1000)) {
      pair.execute(
          "create table t(id int primary key, v int); insert into t select g, 0 from generate_series(1, 100) g");
      Backfill b = Check.backfill(pair);
      // committed on the source, not yet on the target
      w.run(new TestWriter.Op("t", "7", java.util.Map.of("id", 7, "v", 1)), false);
      w.flush();
      w.commitSource();
      CountDownLatch found = new CountDownLatch(1);
      CompletableFuture<VerifyResult> verify =
          CompletableFuture.supplyAsync(
              () ->
                  b.verify(
                      VerifyOptions.defaults()
                          .withRecheck(Duration.ofSeconds(20))
                          .settled(
                              () -> {
                                found.countDown(); // nobody knows better: it is looked at at once
                                return true;
                              }),
                      Progress.none()),
              THREADS);
      assertTrue(found.await(30, TimeUnit.SECONDS), "the difference was not even seen");
      w.commitTarget();
      assertTrue(verify.get(30, TimeUnit.SECONDS).equal());
    }
  }

  @Test
  void differencesAreLookedAtOnceEverythingIsSettled() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(
          "create table t(id int primary key, v int); insert into t select g, 0 from generate_series(1, 100) g");
      pair.executeSource("update t set v = 1 where id = 3");
      AtomicBoolean asked = new AtomicBoolean();
      VerifyResult r =
          Check.backfill(pair)
              .verify(
                  QUICK.settled(
                      () -> {
                        if (asked.getAndSet(true)) {
                          return true;
                        }
                        try {
                          pair.executeTarget("update t set v = 1 where id = 3"); // the drain
                        } catch (SQLException e) {
                          throw new IllegalStateException(e);
                        }
                        return false;
                      }),
                  Progress.none());
      assertTrue(asked.get());
      assertTrue(r.equal());
    }
  }
}
