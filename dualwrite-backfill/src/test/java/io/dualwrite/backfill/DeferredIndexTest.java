package io.dualwrite.backfill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.catalog.TableName;
import io.dualwrite.embedded.PgPair;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** Indexes that are dropped for the copy and built after it. */
class DeferredIndexTest {

  private static final String SCHEMA =
      """
      create schema "Odd ""Schema";
      create function "Odd ""Schema".twice(int) returns int immutable language sql as 'select 2 * $1';
      create table parent(id int primary key, v text);
      create index parent_v on parent(v);
      create table "Odd ""Schema"."Child"(id bigint generated always as identity primary key, parent int references parent,
        "From" int, v text collate "C", w text, at timestamptz, u int unique, d int);
      create index "An ""Index" on "Odd ""Schema"."Child" ("From" desc nulls last, v text_pattern_ops) include (w) with (fillfactor = 70)
        where "From" > 3;
      create index expressions on "Odd ""Schema"."Child" ("Odd ""Schema".twice("From"), lower(v));
      create index of_dates on "Odd ""Schema"."Child" using brin (at);
      create index stays_for_its_key on "Odd ""Schema"."Child" (parent, at);
      create index stays_for_its_comment on "Odd ""Schema"."Child" (d);
      comment on index "Odd ""Schema".stays_for_its_comment is 'for the report';
      create unique index stays_unique on "Odd ""Schema"."Child" (d, id);
      create table parts(id int primary key, v text) partition by range (id);
      create table parts_1 partition of parts for values from (0) to (1000000);
      create index stays_partitioned on parts(v);
      create table keyless(a int, b text);
      create index of_keyless on keyless(b);
      create table outside(id int primary key, v text);
      create index stays_outside on outside(v);
      """;

  private static final String DEFINITIONS =
      "select string_agg(pg_get_indexdef(indexrelid) || indisvalid, e'\\n' order by indexrelid::regclass::text)"
          + " from pg_index where indrelid > 16384 and indrelid::regclass::text !~ '^(pg_toast|dualwrite)'";

  @Test
  void whatOnlyQueriesNeedIsDroppedAndBuiltAgainAsItWas() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(SCHEMA);
      pair.executeSource(
          "insert into parent select g, 'v' || g from generate_series(1, 500) g;"
              + " insert into \"Odd \"\"Schema\".\"Child\"(parent, \"From\", v, w, at, u, d)"
              + " select 1 + g % 500, g % 10, 'v' || g, 'w', now(), g, g % 7 from generate_series(1, 2000) g;"
              + " insert into parts select g, 'v' from generate_series(1, 500) g;"
              + " insert into keyless select g % 5, 'b' || g from generate_series(1, 500) g;");
      String before = Check.target(pair, DEFINITIONS);
      Backfill b = Check.backfill(pair);
      StageOptions options =
          StageOptions.defaults().withFilter("parent|child|parts|keyless").withChunkRows(300);
      StageResult staged = b.stage(options.withDeferIndexes(true));
      assertEquals(
          Set.of("parent_v", "An \"Index", "expressions", "of_dates", "of_keyless"),
          staged.indexes().stream().map(TableName::name).collect(Collectors.toSet()));
      assertEquals(
          "stays_for_its_comment,stays_for_its_key,stays_outside,stays_partitioned,stays_unique",
          Check.target(
              pair,
              "select string_agg(relname, ',' order by relname collate \"C\") from pg_class where relkind in ('i', 'I') and (relname like 'stays%'"
                  + " or relname in ('parent_v', 'An \"Index', 'expressions', 'of_dates', 'of_keyless'))"));
      assertEquals(List.of(), b.stage(options.withDeferIndexes(true)).indexes());
      BackfillException e = assertThrows(BackfillException.class, b::clean);
      assertTrue(e.getMessage().contains("CREATE INDEX parent_v ON public.parent"), e.getMessage());
      CopyResult copied = b.copy(CopyOptions.defaults().withParallelism(3), Progress.none());
      assertTrue(copied.complete(), copied.toString());
      assertEquals(before, Check.target(pair, DEFINITIONS));
      Check.assertEqual(pair);
      VerifyResult v = b.verify(VerifyOptions.defaults(), Progress.none());
      assertTrue(v.equal(), v.toString());
      b.clean();
    }
  }

  @Test
  void anIndexComesAfterTheLastChunkOfItsTableAndOneAtATime() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(
          "create table t(id int primary key, v text); create index t_v on t(v); create index t_w on t(v, id);"
              + " create table u(id int primary key references t); create index u_t on u((id + 1))");
      Check.backfill(pair).stage(StageOptions.defaults().withDeferIndexes(true));
      try (Connection one = pair.target();
          Connection two = pair.target()) {
        one.setAutoCommit(false);
        two.setAutoCommit(false);
        Task chunk = TaskStore.claim(one).orElseThrow();
        assertEquals("t", chunk.from().name());
        assertEquals(Optional.empty(), TaskStore.claim(two));
        TaskStore.copied(one, chunk, Copied.NOTHING, "a worker", 0);
        one.commit();
        Task child = TaskStore.claim(one).orElseThrow();
        assertEquals("u", child.from().name()); // it waits for no index of its parent
        assertEquals("t_v", TaskStore.claim(two).orElseThrow().from().name());
        TaskStore.copied(one, child, Copied.NOTHING, "a worker", 0);
        one.commit();
        assertEquals("u_t", TaskStore.claim(one).orElseThrow().from().name()); // not t_w
      }
    }
  }

  @Test
  void anIndexBuiltByHandIsTakenAsItIs() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key, v text); create index t_v on t(v)");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults().withDeferIndexes(true));
      assertThrows(BackfillException.class, b::clean);
      pair.executeTarget("create index t_v on t(v)");
      String oid = Check.target(pair, "select 't_v'::regclass::oid");
      assertTrue(b.copy(CopyOptions.defaults(), Progress.none()).complete());
      assertEquals(oid, Check.target(pair, "select 't_v'::regclass::oid"));
      b.clean();
    }
  }

  @Test
  void aBuildThatWasCutShortIsDoneAnewWhileWritersGoOn() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key, v text); create index t_v on t(v)");
      pair.executeSource("insert into t select g, 'v' || g % 10 from generate_series(1, 1000) g");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults().withDeferIndexes(true).withChunkRows(100));
      String building =
          "select max(pid) from pg_stat_activity where query ilike '% index concurrently %t_v%' and pid <> pg_backend_pid() and state = 'active'";
      CompletableFuture<CopyResult> copy;
      try (Connection writer = pair.target();
          Statement w = writer.createStatement();
          Connection other = pair.target();
          Statement o = other.createStatement()) {
        writer.setAutoCommit(false);
        w.execute("insert into t values (5000, 'a writer')"); // the build waits for it
        copy =
            CompletableFuture.supplyAsync(
                () -> b.copy(CopyOptions.defaults().withParallelism(2), Progress.none()),
                r -> new Thread(r, "copy").start());
        Check.await("the build", () -> Check.target(pair, building) != null);
        String first = Check.target(pair, building);
        Check.target(pair, "select pg_terminate_backend(" + first + ")");
        Check.await( // which first drops what the first one left
            "the next build",
            () -> {
              String now = Check.target(pair, building);
              return now != null && !now.equals(first);
            });
        o.execute("set statement_timeout = '5s'");
        o.execute("insert into t values (5001, 'another')");
        assertEquals(
            "0",
            Check.target(
                pair,
                "select count(*) from pg_index where indexrelid = to_regclass('t_v') and indisvalid"));
        writer.commit();
      }
      assertTrue(copy.get(60, TimeUnit.SECONDS).complete());
      assertEquals(
          "t",
          Check.target(pair, "select indisvalid from pg_index where indexrelid = 't_v'::regclass"));
      assertEquals("1002", Check.target(pair, "select count(*) from t"));
    }
  }

  @Test
  void anInvalidIndexOfTheNameIsReplaced() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key, v text); create index t_v on t(v)");
      pair.executeSource("insert into t select g, 'v' from generate_series(1, 10) g");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults().withDeferIndexes(true));
      pair.executeTarget("insert into t values (1, 'v'), (2, 'v')");
      try (Connection c = pair.target();
          Statement s = c.createStatement()) {
        assertThrows(
            SQLException.class, () -> s.execute("create unique index concurrently t_v on t(v)"));
      }
      assertEquals(
          "f",
          Check.target(pair, "select indisvalid from pg_index where indexrelid = 't_v'::regclass"));
      assertTrue(b.copy(CopyOptions.defaults(), Progress.none()).complete());
      assertEquals(
          "true CREATE INDEX t_v ON public.t USING btree (v)",
          Check.target(
              pair,
              "select indisvalid || ' ' || pg_get_indexdef(indexrelid) from pg_index where indexrelid = 't_v'::regclass"));
    }
  }

  @Test
  void withoutTheOptionNothingIsDropped() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key, v text); create index t_v on t(v)");
      Backfill b = Check.backfill(pair);
      assertEquals(List.of(), b.stage(StageOptions.defaults()).indexes());
      assertEquals("t", Check.target(pair, "select to_regclass('t_v') is not null"));
    }
  }
}
