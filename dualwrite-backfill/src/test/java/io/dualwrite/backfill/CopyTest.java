package io.dualwrite.backfill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.embedded.PgPair;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class CopyTest {

  private static final String EVERY_KIND =
      """
      create schema "Odd ""Schema";
      create type mood as enum ('sad', 'ok', 'happy');
      create type pair as (a int, b text);
      create domain positive as int check (value > 0);
      create table plain(id bigint primary key, t text, n numeric, f float8, r real, b boolean, j json, jb jsonb, by bytea, ts timestamptz,
        d date, i interval, u uuid, a int[], ta text[], m mood, ma mood[], p pair, pos positive, mo money, x xml, rc regclass, inet inet, rng int4range);
      create table "Odd ""Schema"."Select From"("Key ""1" int, "order" text, "group" text, primary key ("order", "Key ""1"));
      create table generated(id int generated always as identity primary key, a int, b int generated always as (a * 2) stored);
      create table identity_elsewhere(k text primary key, n int generated always as identity, v text);
      create table keyless(a int, b text, ts timestamptz);
      create table unique_key(a int not null, b text not null, v text, unique (a, b));
      create table empty(id int primary key);
      create table empty_keyless(a int);
      create table dropped(id int primary key, gone text, v text);
      alter table dropped drop column gone;
      create table deferred(id int primary key deferrable initially deferred, v text);
      create table second(id int primary key, u text unique, w int, constraint w_unique unique (w) deferrable initially deferred);
      """;

  private static void fill(PgPair pair, int n) throws SQLException {
    pair.executeSource(
        "insert into plain select g, case g % 7 when 0 then null when 1 then '' else 'té\\xt '||g end, g / 3.0, g * 0.1, g * 0.1, g % 2 = 0,"
            + " '{\"b\": 1,  \"a\": 2}', '{\"b\": 1,  \"a\": 2}', decode(md5(g::text), 'hex'), timestamptz '2020-01-01 00:00Z' + g * interval '1 hour',"
            + " date '2020-01-01' + g, g * interval '1 day 2 hours', md5(g::text)::uuid, array[g, null, 3], array['a', null, ''],"
            + " (array['sad', 'ok', 'happy'])[1 + g % 3]::mood, array['ok']::mood[], row(g, 'x,\"y')::pair, g, g::money, '<a>b</a>', 'plain', '10.0.0.1',"
            + " int4range(g, g + 5) from generate_series(1, "
            + n
            + ") g;"
            + "insert into \"Odd \"\"Schema\".\"Select From\" select g % 100, 'k'||(g / 100), 'v'||g from generate_series(1, "
            + n
            + ") g;"
            + "insert into generated(a) select g from generate_series(1, "
            + n
            + ") g;"
            + "insert into identity_elsewhere(k, v) select 'k'||g, 'v'||g from generate_series(1, "
            + n
            + ") g;"
            + "insert into keyless select g % 10, 'b', timestamptz '2020-01-01 00:00Z' + (g % 100) * interval '1 hour' from generate_series(1, "
            + n
            + ") g; insert into keyless values (null, null, null), (null, null, null);"
            + "insert into unique_key select g, 'x', 'y' from generate_series(1, "
            + n
            + ") g;"
            + "insert into dropped select g, 'y' from generate_series(1, "
            + n
            + ") g;"
            + "insert into deferred select g, 'y' from generate_series(1, "
            + n
            + ") g;"
            + "insert into second select g, 'u'||g, g from generate_series(1, "
            + n
            + ") g");
  }

  @Test
  void everyKindOfPlainTableArrives() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(EVERY_KIND);
      fill(pair, 5000);
      Backfill b = Check.backfill(pair);
      StageResult staged = b.stage(StageOptions.defaults().withChunkRows(700));
      assertEquals(11, staged.staged().size(), staged.toString());
      List<Progress.Snapshot> seen = new ArrayList<>();
      CopyResult copied = b.copy(CopyOptions.defaults(), seen::add);
      assertEquals(List.of(), copied.failed());
      assertTrue(copied.complete());
      assertEquals(staged.tasks(), copied.tasks());
      assertEquals(8 * 5000 + 5002, copied.rows());
      Check.assertEqual(pair);
      Progress.Snapshot last = seen.get(seen.size() - 1);
      assertEquals(staged.tasks(), last.done());
      assertEquals(Duration.ZERO, last.remaining().orElseThrow());
      assertTrue(last.bytes() > 0);
      assertTrue(b.status().complete());
      assertTrue(
          Integer.parseInt(
                  Check.target(
                      pair,
                      "select count(*) from pg_stat_user_tables where last_analyze is not null and n_live_tup > 0"))
              >= 8);
      VerifyResult v = b.verify(VerifyOptions.defaults(), Progress.none());
      assertTrue(v.equal(), v.toString());
      assertEquals(staged.tasks(), b.status().verifiedEqual());
      // again: nothing to do, nothing doubled
      assertEquals(0, b.stage(StageOptions.defaults()).tasks());
      assertEquals(0, b.copy(CopyOptions.defaults(), Progress.none()).tasks());
      Check.assertEqual(pair);
      b.clean();
      assertFalse(b.status().staged());
      assertEquals("t", Check.target(pair, "select to_regclass('dualwrite.marker') is not null"));
      // all of it copied a second time changes nothing
      b.stage(StageOptions.defaults().withChunkRows(2000));
      Check.copyAll(b);
      Check.assertEqual(pair);
    }
  }

  /** In the target's order none of the chunk's rows lies in the chunk's range. */
  @Test
  void aRowThatIsDeletedUnderAnotherCollationDoesNotComeBack() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.executeSource("create table t(k text collate \"en-x-icu\" primary key)");
      pair.executeTarget("create table t(k text collate \"C\" primary key)");
      pair.executeSource("insert into t values ('a'), ('b'), ('M'), ('n')");
      Backfill b =
          Check.backfill(
              pair,
              (step, task) -> {
                if (step == Steps.Step.INSERTED && task.describe().equals("public.t to M")) {
                  // a writer whose delete on the target came before the copy's row did
                  pair.executeSource("delete from t where k = 'b'");
                }
              });
      assertEquals(2, b.stage(StageOptions.defaults().withChunkRows(2)).tasks());
      Check.copyAll(b);
      Check.assertEqual(pair);
      assertEquals("3", Check.target(pair, "select count(*) from t"));
    }
  }
}
