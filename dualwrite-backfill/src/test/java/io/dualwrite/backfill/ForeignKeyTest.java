package io.dualwrite.backfill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.embedded.PgPair;
import java.sql.Connection;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class ForeignKeyTest {

  @Test
  void parentsGoFirst() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(
          """
          create table z_country(code text primary key);
          create table m_town(id int primary key, country text not null references z_country);
          create table a_person(id int primary key, town int references m_town, born text references z_country(code));
          create table part(id int, town int references m_town, primary key (id)) partition by range (id);
          create table part_1 partition of part for values from (0) to (1000);
          create table part_2 partition of part for values from (1000) to (maxvalue);
          create table a_keyless(person int references a_person);
          create table to_part(id int primary key, p int references part);
          """);
      pair.executeSource(
          "insert into z_country select 'c'||g from generate_series(1, 200) g;"
              + "insert into m_town select g, 'c'||(1 + g % 200) from generate_series(1, 1000) g;"
              + "insert into a_person select g, 1 + g % 1000, 'c'||(1 + g % 200) from generate_series(1, 3000) g;"
              + "insert into part select g, 1 + g % 1000 from generate_series(1, 2000) g;"
              + "insert into to_part select g, g from generate_series(1, 2000) g;"
              + "insert into a_keyless select g from generate_series(1, 3000) g");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults().withChunkRows(100));
      Check.copyAll(b);
      Check.assertEqual(pair);
      assertEquals("0", Check.target(pair, "select sum(attempts) from dualwrite.task"));
      assertTrue(b.verify(VerifyOptions.defaults(), Progress.none()).equal());
    }
  }

  /** What a chunk leaves open waits for the whole cycle, the table's own next chunks too. */
  @Test
  @Timeout(120)
  void aCycleWithATableThatRefersToItself() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(
          "create table emp(id int primary key, boss int references emp, dept int); create table dept(id int primary key, head int references emp);"
              + " alter table emp add foreign key (dept) references dept");
      pair.executeSource(
          "insert into emp select g, case when g > 1 then g / 2 end from generate_series(1, 500) g; insert into dept select g, g from generate_series(1, 50) g;"
              + " update emp set dept = 1 + id % 50");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults().withChunkRows(50));
      Check.copyAll(b);
      Check.assertEqual(pair);
    }
  }

  @Test
  void aTreeWhoseParentsAreAnywhere() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(
          "create table tree(id uuid primary key, n int unique, parent uuid references tree, boss int references tree(n))");
      pair.executeSource(
          "insert into tree select md5(g::text)::uuid, g, case when g > 1 then md5((g / 2)::text)::uuid end,"
              + " case when g > 10 then g % 10 + 1 end from generate_series(1, 3000) g;"
              // and a long chain, upwards in the order of the key
              + "insert into tree select ('ffffffff-0000-0000-0000-'||lpad(g::text, 12, '0'))::uuid, 10000 + g from generate_series(1, 500) g;"
              + "update tree set parent = ('ffffffff-0000-0000-0000-'||lpad((n - 9999)::text, 12, '0'))::uuid where n between 10001 and 10499");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults().withChunkRows(50));
      Check.copyAll(b);
      Check.assertEqual(pair);
      assertEquals("0", Check.target(pair, "select sum(attempts) from dualwrite.task"));
    }
  }

  @Test
  void tablesThatReferToEachOther() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(
          "create table dept(id int primary key, head int); create table emp(id int primary key, dept int not null references dept);"
              + "alter table dept add foreign key (head) references emp deferrable initially deferred");
      pair.executeSource(
          "insert into dept select g from generate_series(1, 40) g; insert into emp select g, 1 + g % 40 from generate_series(1, 400) g;"
              + "update dept set head = id * 10");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults().withChunkRows(25));
      Check.copyAll(b);
      Check.assertEqual(pair);
    }
  }

  /** A parent that the source has and the target has not, though its chunk is done. */
  @Test
  void aParentThatIsPendingIsFetched() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(
          "create table p(id int primary key); create table c(id int primary key, p int references p)");
      pair.executeSource(
          "insert into p select g from generate_series(1, 10) g; insert into c select g, 1 + g % 10 from generate_series(1, 50) g");
      AtomicInteger once = new AtomicInteger();
      Backfill b =
          Check.backfill(
              pair,
              (step, task) -> {
                if (step == Steps.Step.CLAIMED
                    && task.table().name().equals("c")
                    && once.getAndIncrement() == 0) {
                  // dual-written, but the unit of work is still pending on the target
                  pair.executeSource(
                      "insert into p values (99); insert into c values (98, 99), (99, 99)");
                }
              });
      b.stage(StageOptions.defaults());
      Check.copyAll(b);
      Check.assertEqual(pair);
      assertTrue(once.get() > 3, "the chunk was not tried again");
    }
  }

  @Test
  void aRowThatHoldsAnotherUniqueValueIsPutRight() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(
          "create table u(id int primary key, v text unique);"
              + "create table d(id int primary key, v text, constraint dv unique (v) deferrable)");
      pair.executeSource(
          "insert into u values (1, 'a'), (2, 'b'), (3, 'c'); insert into d values (1, 'a'), (2, 'b'), (3, 'c')");
      // left over from before dual-write: values and keys exchanged, and a row that is gone
      pair.executeTarget(
          "insert into u values (1, 'b'), (9, 'c'); insert into d values (1, 'b'), (9, 'c')");
      Backfill b = Check.backfill(pair);
      StageResult staged = b.stage(StageOptions.defaults());
      assertEquals(2, staged.warnings().size());
      Check.copyAll(b);
      Check.assertEqual(pair);
    }
  }

  @Test
  void aChunkThatCannotBeCopiedIsParkedAndTheRestGoesOn() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table a(id int primary key, v int); create table b(id int primary key)");
      pair.executeSource(
          "insert into a select g, g from generate_series(1, 100) g; insert into b select g from generate_series(1, 100) g");
      pair.executeTarget("alter table a add check (v <> 55)");
      Backfill b = Check.backfill(pair);
      b.stage(StageOptions.defaults().withChunkRows(10));
      CopyResult r = b.copy(CopyOptions.defaults(), Progress.none());
      assertEquals(1, r.failed().size());
      assertEquals(0, r.left());
      assertTrue(!r.complete());
      FailedTask f = r.failed().get(0);
      assertTrue(f.error().contains("a_v_check"), f.error());
      assertEquals("public.a from 51 to 61", f.chunk());
      assertTrue(f.attempts() >= 5);
      try (Connection t = pair.target()) {
        assertEquals("90", Check.value(t, "select count(*) from a"));
        assertEquals("100", Check.value(t, "select count(*) from b"));
      }
      assertEquals(1, b.status().failed().size());
      // still parked, then mended
      assertTrue(!b.copy(CopyOptions.defaults(), Progress.none()).complete());
      pair.executeTarget("alter table a drop constraint a_v_check");
      assertTrue(b.copy(CopyOptions.defaults().withRetryFailed(true), Progress.none()).complete());
      Check.assertEqual(pair);
      assertEquals(List.of(), b.status().failed());
    }
  }
}
