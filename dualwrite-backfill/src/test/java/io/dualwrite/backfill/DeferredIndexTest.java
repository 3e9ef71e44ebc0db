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
      create table parts(id int primary key, v text, "W" int) partition by range (id);
      create table parts_1 partition of parts for values from (0) to (100);
      create table "Odd ""Schema"."Parts 2" partition of parts for values from (100) to (1000000) partition by range (id);
      create table "Odd ""Schema"."Parts 2 $table" partition of "Odd ""Schema"."Parts 2" for values from (100) to (200);
      create table others(x text, "W" int, id int not null primary key, v text);
      alter table others drop x;
      alter table "Odd ""Schema"."Parts 2" attach partition others for values from (200) to (1000000);
      create index of_parts on parts(v desc, ("W" + 1)) where v <> '$table on only';
      create index "For ""them"" ON ONLY" on parts using brin ("W") with (pages_per_range = 8);
      alter index parts_1_v_expr_idx rename to "Mine ""ON ONLY a.b (";
      create index stays_for_its_part on parts(v);
      alter index parts_1_v_idx set (fillfactor = 70);
      create index stays_of_part on parts_1("W");
      create table keyless(a int, b text);
      create index of_keyless on keyless(b);
      create table outside(id int primary key, v text);
      create index stays_outside on outside(v);
      """;

  private static final String DEFINITIONS =
      "select string_agg(pg_get_indexdef(indexrelid) || indisvalid, e'\\n' order by indexrelid::regclass::text)"
          + " || string_agg((select indexrelid::regclass || ' in ' || inhparent::regclass from pg_inherits where inhrelid = indexrelid), e'\\n' order by indexrelid::regclass::text)"
          + " from pg_index where indrelid > 16384 and indrelid::regclass::text !~ '^(pg_toast|dualwrite)'";

  @Test
  void whatOnlyQueriesNeedIsDroppedAndBuiltAgainAsItWas() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(SCHEMA);
      pair.executeSource(
          "insert into parent select g, 'v' || g from generate_series(1, 500) g;"
              + " insert into \"Odd \"\"Schema\".\"Child\"(parent, \"From\", v, w, at, u, d)"
              + " select 1 + g % 500, g % 10, 'v' || g, 'w', now(), g, g % 7 from generate_series(1, 2000) g;"
              + " insert into parts select g, 'v', g from generate_series(1, 500) g;"
              + " insert into keyless select g % 5, 'b' || g from generate_series(1, 500) g;");
      String before = Check.target(pair, DEFINITIONS);
      Backfill b = Check.backfill(pair);
      StageOptions options =
          StageOptions.defaults().withFilter("parent|child|parts|keyless").withChunkRows(300);
      StageResult staged = b.stage(options.withDeferIndexes(true));
      assertEquals(
          Set.of(
              "parent_v",
              "An \"Index",
              "expressions",
              "of_dates",
              "of_keyless",
              "of_parts",
              "For \"them\" ON ONLY"),
          staged.indexes().stream().map(TableName::name).collect(Collectors.toSet()));
      assertEquals(
          "stays_for_its_comment,stays_for_its_key,stays_for_its_part,stays_of_part,stays_outside,stays_unique",
          Check.target(
              pair,
              "select string_agg(relname, ',' order by relname collate \"C\") from pg_class where relkind in ('i', 'I') and (relname like 'stays%'"
                  + " or relname in ('parent_v', 'An \"Index', 'expressions', 'of_dates', 'of_keyless', 'of_parts', 'Mine \"ON ONLY a.b ('))"));
      assertEquals(List.of(), b.stage(options.withDeferIndexes(true)).indexes());
      BackfillException e = assertThrows(BackfillException.class, b::clean);
      assertTrue(e.getMessage().contains("CREATE INDEX parent_v ON public.parent"), e.getMessage());
      assertTrue(e.getMessage().contains("CREATE INDEX of_parts ON public.parts"), e.getMessage());
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

  private static final String PARTITIONED =
      """
      create table t(id int primary key, v text) partition by range (id);
      create table t_1 partition of t for values from (0) to (100);
      create table t_2 partition of t for values from (100) to (300) partition by range (id);
      create table t_21 partition of t_2 for values from (100) to (200);
      create table t_22 partition of t_2 for values from (200) to (300);
      create table t_3 partition of t for values from (300) to (400);
      create index t_v on t(v);
      """;

  private static final String ROWS =
      "insert into t select g, 'v' || g % 10 from generate_series(0, 399) g";

  /** The index of each partition and what it is part of; and those that are part of nothing. */
  private static final String PARTS =
      "select string_agg(i.indrelid::regclass || ':' || i.indisvalid || ':' || coalesce(h.inhparent::regclass::text, '-'), ' ' order by i.indrelid::regclass::text)"
          + " from pg_index i left join pg_inherits h on h.inhrelid = i.indexrelid where not i.indisunique and i.indrelid::regclass::text ~ '^t(_|$)'";

  private static final String WHOLE =
      "t:true:- t_1:true:t_v t_2:true:t_v t_21:true:t_2_v_idx t_22:true:t_2_v_idx t_3:true:t_v";

  @Test
  void partitionsThatComeAndGoMeanwhileGetTheirs() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(PARTITIONED);
      pair.executeSource(ROWS + " where g >= 100");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults().withDeferIndexes(true));
      pair.execute(
          "create table t_4 partition of t for values from (400) to (500);"
              + " create table t_5 partition of t for values from (500) to (600) partition by range (id);"
              + " create table t_51 partition of t_5 for values from (500) to (550);"
              + " create table t_52 partition of t_5 for values from (550) to (600) partition by range (id);"
              + " drop table t_3; alter table t detach partition t_1; alter table t_22 rename to t_23");
      pair.executeTarget("insert into t values (410, 'v'), (510, 'v')");
      assertTrue(b.copy(CopyOptions.defaults(), Progress.none()).complete());
      pair.executeTarget("create table t_6 partition of t for values from (600) to (700)");
      String parts = Check.target(pair, PARTS);
      assertEquals(
          "t:true:- t_1:true:- t_2:true:t_v t_21:true:t_2_v_idx t_23:true:t_2_v_idx t_4:true:t_v"
              + " t_5:true:t_v t_51:true:t_5_v_idx t_52:true:t_5_v_idx t_6:true:t_v",
          parts);
      b.clean();
    }
  }

  @Test
  void aPartitionedIndexIsMadeWholeFromWhateverWasLeft() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(PARTITIONED);
      pair.executeSource(ROWS);
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults().withDeferIndexes(true));
      pair.executeTarget(
          "create index t_1_v_idx on t_1(v);" // one is built, one was cut short
              + " create table t_4 partition of t for values from (400) to (500);"
              + " insert into t values (100, 'v'), (101, 'v'), (410, 'v'), (411, 'v')");
      try (Connection c = pair.target();
          Statement s = c.createStatement()) {
        for (String left : List.of("t_21_v_idx on t_21", "t_4_v_idx on t_4")) {
          assertThrows(
              SQLException.class,
              () -> s.execute("create unique index concurrently " + left + "(v)"));
        }
        // as a killed build leaves them; without a unique index this takes a kill in the right
        // place
        s.execute(
            "update pg_index set indisunique = false where indexrelid in ('t_21_v_idx'::regclass, 't_4_v_idx'::regclass)");
      }
      String built = Check.target(pair, "select 't_1_v_idx'::regclass::oid");
      assertThrows(BackfillException.class, b::clean);
      assertTrue(b.copy(CopyOptions.defaults(), Progress.none()).complete());
      assertEquals(
          WHOLE.replace("t_3:true:t_v", "t_3:true:t_v t_4:true:t_v"), Check.target(pair, PARTS));
      assertEquals(built, Check.target(pair, "select 't_1_v_idx'::regclass::oid"));
      b.clean();
    }
  }

  @Test
  void aPartitionedIndexBuiltByHandIsTakenAsItIs() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(PARTITIONED);
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults().withDeferIndexes(true));
      pair.executeTarget("create index on t_3(v); alter index t_3_v_idx rename to by_hand");
      String how = assertThrows(BackfillException.class, b::clean).getMessage();
      pair.executeTarget(how.substring(how.lastIndexOf("CREATE INDEX")));
      String oid = Check.target(pair, "select 't_v'::regclass::oid");
      assertTrue(b.copy(CopyOptions.defaults(), Progress.none()).complete());
      assertEquals(oid, Check.target(pair, "select 't_v'::regclass::oid"));
      assertEquals(WHOLE, Check.target(pair, PARTS));
    }
  }

  @Test
  void whatWasBegunByHandIsDoneAnew() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(PARTITIONED);
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults().withDeferIndexes(true));
      pair.executeTarget(
          "create index t_v on only t(v); create index t_3_v_idx on t_3(v); alter index t_v attach partition t_3_v_idx");
      assertThrows(BackfillException.class, b::clean);
      assertTrue(b.copy(CopyOptions.defaults(), Progress.none()).complete());
      assertEquals(WHOLE, Check.target(pair, PARTS));
    }
  }

  @Test
  void thePartsOfAnIndexAreJoinedAtOnceOrNotAtAll() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(PARTITIONED);
      pair.executeSource(ROWS);
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults().withDeferIndexes(true));
      pair.executeTarget("create index t_3_v_idx on t_3(v)");
      String joining =
          "select max(pid) from pg_stat_activity where query like 'alter index %t_v attach partition %t_3_v_idx' and wait_event_type = 'Lock'";
      CompletableFuture<CopyResult> copy;
      try (Connection reader = pair.target();
          Statement r = reader.createStatement();
          Connection writer = pair.target();
          Statement w = writer.createStatement()) {
        reader.setAutoCommit(false);
        r.execute("select from t_3 where v = 'v'"); // holds the index, which the join waits for
        r.execute("set local work_mem = '4MB'"); // and no snapshot, which every build waits for
        copy =
            CompletableFuture.supplyAsync(
                () -> b.copy(CopyOptions.defaults(), Progress.none()),
                t -> new Thread(t, "copy").start());
        Check.await("the join", () -> Check.target(pair, joining) != null);
        Check.target(pair, "select pg_terminate_backend(" + Check.target(pair, joining) + ")");
        w.execute("set statement_timeout = '20s'");
        w.execute("insert into t values (399, 'v') on conflict do nothing");
        assertEquals(
            "t_1:true:- t_2:true:- t_21:true:t_2_v_idx t_22:true:t_2_v_idx t_3:true:-",
            Check.target(pair, PARTS));
        assertThrows(BackfillException.class, b::clean);
        reader.commit();
      }
      assertTrue(copy.get(60, TimeUnit.SECONDS).complete());
      assertEquals(WHOLE, Check.target(pair, PARTS));
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
