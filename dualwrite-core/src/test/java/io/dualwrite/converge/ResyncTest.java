package io.dualwrite.converge;

import static io.dualwrite.converge.Fixture.execute;
import static io.dualwrite.converge.Fixture.finish;
import static io.dualwrite.converge.Fixture.row;
import static io.dualwrite.converge.Fixture.table;
import static io.dualwrite.converge.Fixture.upsert;
import static io.dualwrite.converge.Fixture.value;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.control.Incarnation;
import io.dualwrite.converge.Rules.Rule;
import io.dualwrite.journal.Suspect;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ResyncTest {

  private Fixture f;

  @BeforeEach
  void open() {
    f = new Fixture();
  }

  @AfterEach
  void close() throws SQLException {
    f.close();
  }

  private static List<List<String>> keys(String... keys) {
    List<List<String>> result = new ArrayList<>();
    for (String k : keys) {
      result.add(List.of(k));
    }
    return result;
  }

  private ResyncResult resync(String table, String... keys) throws Exception {
    return f.engine.resync(Map.of(table(table), keys(keys)));
  }

  // ----------------------------------------------------------------------------------------------
  // states

  @Test
  void changedMissingAndExtraRows() throws Exception {
    f.with("create table t(id int primary key, v text)");
    f.pair.executeSource("insert into t select i, 'p' || i from generate_series(1, 5000) i");
    f.pair.executeTarget("insert into t select i, 'm' || i from generate_series(3000, 8000) i");
    ResyncResult r =
        resync(
            "t", IntStream.rangeClosed(1, 8000).mapToObj(Integer::toString).toArray(String[]::new));
    assertEquals(
        new ResyncResult(8000, 5000, 3000, java.util.Set.of(), java.util.Set.of(table("t"))), r);
    f.assertEqual("t");
    resync("t", "1", "9999"); // again, and a key that nobody has
    f.assertEqual("t");
  }

  @Test
  void wideRowsGoFewAtATime() throws Exception {
    f.with("create table t(id int primary key, v text)");
    f.pair.executeSource(
        "insert into t select i, repeat('v', 1000000) from generate_series(0, 19) i;"
            + " insert into t select i, 'v' from generate_series(100, 3099) i");
    AtomicInteger commits = new AtomicInteger();
    f.engine.hook =
        s -> {
          if (s == Step.COMMITTED) {
            commits.incrementAndGet();
          }
        };
    resync("t", IntStream.range(0, 20).mapToObj(Integer::toString).toArray(String[]::new));
    assertEquals(7, commits.getAndSet(0)); // four to begin with, then three
    String[] narrow = IntStream.range(100, 3100).mapToObj(Integer::toString).toArray(String[]::new);
    resync("t", narrow);
    commits.set(0);
    resync("t", narrow);
    assertEquals(3, commits.get());
    f.assertEqual("t");
  }

  /** Of deleted rows nothing is held. */
  @Test
  void deletesGoManyAtATime() throws Exception {
    f.with("create table t(id int primary key, v text)");
    f.pair.executeTarget("insert into t select i, 'v' from generate_series(1, 1000) i");
    AtomicInteger commits = new AtomicInteger();
    f.engine.hook =
        s -> {
          if (s == Step.COMMITTED) {
            commits.incrementAndGet();
          }
        };
    resync("t", IntStream.rangeClosed(1, 1000).mapToObj(Integer::toString).toArray(String[]::new));
    f.assertEqual("t");
    assertTrue(commits.get() < 100, commits.toString());
  }

  /** An upsert leaves a key as it is written; rows that refer to it are not deleted with it. */
  @Test
  void keysThatAreEqualAndWrittenOtherwise() throws Exception {
    f.with(
        "create table t(id numeric, k char(4), v int, primary key (id, k)); create table deferred(id float8 primary key deferrable);"
            + " create extension citext; create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
            + " create table texts(id citext, x text collate folded, v int, primary key (id, x));"
            + " create table parent(id numeric primary key); create table child(id int primary key, p numeric references parent on delete cascade)");
    f.pair.executeSource(
        "insert into t values (1.0, 'a', 1), (2, 'b', 2); insert into deferred values ('-0'); insert into texts values ('Anna', 'Über', 1), ('Berta', 'x', 2); insert into parent values (1.00); insert into child values (1, 1)");
    f.pair.executeTarget(
        "insert into t values (1, 'a', 1), (2, 'b', 3); insert into deferred values (0); insert into texts values ('ANNA', 'Über', 1), ('Berta', 'X', 3); insert into parent values (1.0); insert into child values (1, 1)");
    f.engine.resync(
        Map.of(
            table("t"),
            List.of(List.of("1", "a"), List.of("1.0", "a"), List.of("2", "b")),
            table("deferred"),
            keys("0"),
            table("texts"),
            List.of(List.of("anna", "über"), List.of("Berta", "X")),
            table("parent"),
            keys("1.0")));
    for (String t : List.of("t", "deferred", "texts", "parent", "child")) {
      f.assertEqual(t);
    }
  }

  /** The operators of what a domain is made of are looked for by the search path. */
  @Test
  void keysOfADomainOverATypeOfAnotherSchema() throws Exception {
    f.with(
        "create schema x; create schema e; create extension citext schema x; create domain e.outer_ as x.citext; create domain e.cit as e.outer_;"
            + " create table parent(id e.cit primary key);"
            + " create table child(id int primary key, p e.cit references parent on update cascade on delete cascade)");
    f.pair.execute("insert into parent values ('ax1'); insert into child values (1, 'Ax1')");
    f.pair.executeSource("update parent set id = 'AX1' where id = 'ax1'");
    resync("parent", "ax1", "AX1");
    f.assertEqual("parent");
    f.assertEqual("child");
  }

  @Test
  void aKeyWrittenInTwoWaysIsOneRow() throws Exception {
    f.with("create table t(id int primary key, v text)");
    f.pair.executeSource("insert into t values (1,'x')");
    resync("t", "01", "1", "+1", "001");
    f.assertEqual("t");
  }

  @Test
  void columnsByNameNotByPlace() throws Exception {
    f.pair.executeSource(
        "create table t(a text, x int, b text, id int primary key, g int generated always as (id * 2) stored)");
    f.pair.executeSource("alter table t drop column x");
    f.pair.executeTarget("create table t(id int primary key, b text, a text, extra int default 7)");
    f.pair.executeSource("insert into t(a, b, id) values ('a', 'b', 1)");
    resync("t", "1");
    try (Connection m = f.pair.target()) {
      assertEquals("1,b,a,7", value(m, "select concat_ws(',', id, b, a, extra) from t"));
    }
    f.pair.executeSource("alter table t add column more text");
    f.primaryCatalog.invalidate();
    ConvergenceException e = assertThrows(ConvergenceException.class, () -> resync("t", "1"));
    assertTrue(e.getMessage().contains("public.t has no column more"), e.getMessage());
    f.pair.executeTarget("alter table t add column more text");
    resync("t", "1"); // the catalogs are read anew after the failure
  }

  @Test
  void whatCannotBeDoneIsSaid() throws Exception {
    f.with("create table k(id int)");
    ConvergenceException keyless = assertThrows(ConvergenceException.class, () -> resync("k", "1"));
    assertTrue(keyless.getMessage().contains("public.k has no key on the primary"));
    f.pair.executeSource("create table u(id int primary key)");
    f.pair.executeTarget("create table u(id int)");
    ConvergenceException none = assertThrows(ConvergenceException.class, () -> resync("u", "1"));
    assertTrue(none.getMessage().contains("no unique index on [id]"), none.getMessage());
    f.with("create table c(id int primary key, v int)");
    f.pair.executeTarget("alter table c add check (v > 0)");
    f.pair.executeSource("insert into c values (1, -1)");
    SQLException check = assertThrows(SQLException.class, () -> resync("c", "1"));
    assertEquals("23514", check.getSQLState());
  }

  @Test
  void deferrableKeysIdentitiesAndPartitions() throws Exception {
    f.with(
        "create table d(id int primary key deferrable initially deferred, v text)",
        "create table i(id int generated always as identity primary key, v text)",
        "create table p(id int, v text, primary key (id, v)) partition by hash (id)",
        "create table p0 partition of p for values with (modulus 2, remainder 0)",
        "create table p1 partition of p for values with (modulus 2, remainder 1)");
    f.pair.executeSource("insert into d values (1,'a'),(2,'b')");
    f.pair.executeTarget("insert into d values (2,'x'),(3,'x')");
    f.pair.executeSource("insert into i overriding system value values (1,'a'),(2,'b')");
    f.pair.executeTarget("insert into i overriding system value values (2,'x'),(3,'x')");
    f.pair.executeSource("insert into p values (1,'a'),(2,'b')");
    f.pair.executeTarget("insert into p values (3,'c'),(4,'d')");
    f.engine.resync(
        Map.of(
            table("d"), keys("1", "2", "3"),
            table("i"), keys("1", "2", "3"),
            table("p"), List.of(List.of("1", "a"), List.of("3", "c")),
            // a leaf's rows are the root's
            table("p0"), List.of(List.of("2", "b"), List.of("4", "d")),
            table("p1"), List.of(List.of("2", "b"), List.of("4", "d"))));
    f.assertEqual("d", "i", "p");
  }

  // ----------------------------------------------------------------------------------------------
  // foreign keys

  @Test
  void parentsThatAreMissingArePulledIn() throws Exception {
    f.with(
        "create table g(id int primary key, code text unique)",
        "create table par(id int primary key, g text references g(code))",
        "create table chi(id int primary key, p int references par, q int references par)");
    f.pair.executeSource("insert into g values (1,'one'),(2,'two')");
    f.pair.executeSource("insert into par values (1,'one'),(2,'two'),(3,null)");
    f.pair.executeSource("insert into chi values (1,1,2),(2,3,null)");
    resync("chi", "1", "2");
    f.assertEqual("g", "par", "chi");
  }

  @ParameterizedTest
  @ValueSource(strings = {"no action", "restrict"})
  void rowsThatReferToADeletedOneArePulledInWhereNothingActs(String action) throws Exception {
    f.with(
        "create table par(id int primary key)",
        "create table chi(id int primary key, p int references par on delete " + action + ")");
    f.with("insert into par values (1),(2)", "insert into chi values (1,1),(2,1),(3,2)");
    // on the primary one child moved, the other went, and the parent went
    f.pair.executeSource(
        "update chi set p = 2 where id = 1; delete from chi where id = 2; delete from par where id = 1");
    resync("par", "1");
    f.assertEqual("par", "chi");
  }

  @ParameterizedTest
  @ValueSource(strings = {"cascade", "set null", "set default"})
  void aDeletedParentTakesItsChildrenIn(String action) throws Exception {
    closure(action);
    f.assertEqual("par", "chi", "gra");
  }

  @Test
  void withoutCascadeClosureChildrenAreLost() throws Exception {
    Rules.off(Rule.CASCADE_CLOSURE);
    closure("cascade");
    assertFalse(f.equal("chi"), "the switch has no effect");
  }

  /** The child moved to another parent; the mirror still has it under the one that goes. */
  private void closure(String action) throws Exception {
    f.with(
        "create table par(id int primary key)",
        "create table chi(id int primary key, p int default 0 references par on delete "
            + action
            + ")",
        "create table gra(id int primary key, c int references chi on delete cascade)",
        "insert into par values (0),(1),(2)",
        "insert into chi values (1,1),(2,1),(3,2)",
        "insert into gra values (1,1),(2,2),(3,3)");
    f.pair.executeSource("update chi set p = 2 where id = 1; delete from par where id = 1");
    resync("par", "1");
  }

  @Test
  void aParentThatWasDeletedAndIsBackHasOtherChildren() throws Exception {
    f.with(
        "create table par(id int primary key, v int)",
        "create table chi(id int primary key, p int references par on delete cascade)",
        "create table gra(id int primary key, c int references chi on delete cascade)",
        "insert into par values (1,1)",
        "insert into chi values (1,1),(2,1)",
        "insert into gra values (1,1),(2,2)");
    f.pair.executeSource(
        "delete from par; insert into par values (1,2); insert into chi values (2,1)");
    List<Convergence.Unsettled> left = new ArrayList<>();
    f.engine.look(Map.of(table("par"), Map.of(List.of("1"), true)), left, child -> {});
    f.assertEqual("par", "chi", "gra");
  }

  /** The child's insert is in flight on the mirror when its parent is resynced as deleted. */
  private void childInFlight() throws Exception {
    f.with(
        "create table par(id int primary key)",
        "create table chi(id int primary key, p int references par on delete cascade)",
        "insert into par values (1),(2)");
    Connection p = f.primary();
    Connection m = f.mirror();
    execute(p, "insert into chi values (1,1)");
    f.flush(m, null, upsert("chi", List.of("id", "p"), row("1", "1")));
    p.commit();
    // pending from here on: the child moves, the parent goes
    f.pair.executeSource("update chi set p = 2 where id = 1; delete from par where id = 1");
    Future<?> r = f.start(() -> resync("par", "1"));
    f.awaitBlocked();
    m.commit();
    finish(r);
  }

  @Test
  void childrenInFlightAreWaitedFor() throws Exception {
    childInFlight();
    f.assertEqual("par", "chi");
  }

  @Test
  void withoutTheParentsLockAChildInFlightIsLost() throws Exception {
    Rules.off(Rule.CHILDREN_UNDER_LOCK);
    childInFlight();
    assertFalse(f.equal("chi"), "the switch has no effect");
  }

  @Test
  void keylessChildrenAreReported() throws Exception {
    f.with(
        "create table par(id int primary key)",
        "create table chi(p int references par on delete cascade)",
        "insert into par values (1)",
        "insert into chi values (1)");
    f.pair.executeSource("delete from par");
    assertEquals(java.util.Set.of(table("chi")), resync("par", "1").keylessChildren());
    f.assertEqual("par", "chi");
  }

  /** On the mirror they follow the row that had the value before; the primary's have moved. */
  @ParameterizedTest
  @ValueSource(strings = {"cascade", "set null"})
  void childrenOfAValueThatAnotherRowHasByNow(String action) throws Exception {
    f.with(
        "create table par(id int primary key, u text unique)",
        "create table chi(id int primary key, u text references par(u) on update " + action + ")",
        "create table log(u text references par(u) on update " + action + ")",
        "insert into par values (1, 'x'), (2, 'y')",
        "insert into chi values (1, 'x'), (2, 'y'), (3, 'x')",
        "insert into log values ('y')");
    f.pair.executeSource(
        "update par set u = 'z' where id = 1; insert into par values (3, 'x'); update chi set u = 'x' where id = 1");
    assertEquals(java.util.Set.of(), resync("par", "1", "3").keylessChildren());
    f.assertEqual("par", "chi", "log");
    f.pair.executeSource(
        "update par set u = 'w' where id = 2; insert into par values (4, 'y'); update log set u = 'y'");
    assertEquals(java.util.Set.of(table("log")), resync("par", "2", "4").keylessChildren());
    f.assertEqual("par", "chi");
  }

  @Test
  void rowsThatReferToOneAnother() throws Exception {
    f.with(
        "create table t(id int primary key, up int references t on delete cascade)",
        "create table a(id int primary key, b int)",
        "create table b(id int primary key, a int references a deferrable)",
        "alter table a add foreign key (b) references b deferrable");
    f.pair.executeSource("insert into t values (1,1),(2,3),(3,2)");
    f.pair.executeTarget("insert into t values (1,4),(4,1),(5,5)");
    f.pair.executeSource(
        "insert into a values (1,null); insert into b values (1,1); update a set b = 1");
    f.engine.resync(Map.of(table("t"), keys("1", "2", "3", "4", "5"), table("a"), keys("1")));
    f.assertEqual("t", "a", "b");
  }

  // ----------------------------------------------------------------------------------------------
  // unique values

  @Test
  void aValueThatMovedFromARowThatIsNotAskedFor() throws Exception {
    f.with(
        "create table t(id int primary key, u text unique, v int)",
        "insert into t values (1,'x',1),(2,'y',2)");
    f.pair.executeSource("update t set u = 'z' where id = 1; update t set u = 'x' where id = 2");
    resync("t", "2");
    f.assertEqual("t");
    f.pair.executeSource("delete from t where id = 1; update t set u = 'z' where id = 2");
    resync("t", "2");
    f.assertEqual("t");
  }

  @Test
  void valuesThatGoRound() throws Exception {
    f.with(
        "create table t(id int primary key, u text unique deferrable, e text, p int)",
        "create unique index on t (lower(e) text_pattern_ops)",
        "create unique index on t (p) where p > 0",
        "create table r(id int primary key, t int references t)",
        "create table c(id int primary key, t int references t on delete cascade)",
        "insert into t values (1,'a','A',1),(2,'b','B',2),(3,'c','C',3),(4,'d','D',0)",
        "insert into r values (1,1)",
        "insert into c values (1,1),(2,2)");
    f.pair.executeTarget("alter table t drop constraint t_u_key; alter table t add unique (u)");
    // a cycle of three in one index, a swap in another
    f.pair.executeSource(
        "update t set u = 't' || id; update t set u = chr(97 + id % 3) where id < 4; update t set u = 'd' where id = 4");
    resync("t", "1", "2");
    f.assertEqual("t", "r", "c");
    f.pair.executeSource(
        "update t set e = 'x' where id = 1; update t set e = 'a' where id = 2; update t set e = 'b' where id = 1");
    resync("t", "1");
    f.assertEqual("t", "r", "c");
    f.pair.executeSource(
        "update t set p = 0; update t set p = 3 - id where id < 3; update t set p = 3 where id = 3");
    resync("t", "1", "2", "3", "4");
    f.assertEqual("t", "r", "c");
  }

  /** Rows that are referred to so can neither be deleted nor hold the value for a moment longer. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "passed on | u text unique | 'a' | 'b' | 'c' | update par set u = null where id = 2; update par set u = 'b' where id = 1",
        "passed on by all | u int not null unique | 1 | 2 | 3 | update par set u = -u; update par set u = 1 - u",
        "passed on by what is computed | u text not null, g text generated always as (lower(u)) stored unique | 'a' | 'b' | 'c' | update par set u = 'D' where id = 3; update par set u = 'C' where id = 2; update par set u = 'B' where id = 1",
        "NULL | u text unique | 'a' | 'b' | 'c' | update par set u = null; update par set u = chr(97 + id % 3)",
        "text | u varchar(3) not null unique | 'a' | 'b' | 'c' | update par set u = concat('t', id); update par set u = chr(97 + id % 3)",
        "integer | u int not null unique check (u > 0) | 1 | 2 | 3 | update par set u = 10 + id; update par set u = id % 3 + 1",
        "uuid | u uuid not null unique | gen_random_uuid() | gen_random_uuid() | gen_random_uuid() | create temp table k as select * from par; update par set u = gen_random_uuid(); update par set u = k.u from k where k.id = par.id % 3 + 1; drop table k",
        "time | u timestamptz not null unique | '2026-01-01' | '2026-01-02' | '2026-01-03' | update par set u = 'infinity' where id = 1; update par set u = '2026-01-01' where id = 2; update par set u = '2026-01-02' where id = 1",
        "several | u text unique, w int not null unique generated by default as identity | 'a' | 'b' | 'c' | update par set u = null, w = -w; update par set u = chr(97 + id % 3), w = (id + 1) % 3 + 1",
        "an expression | u text not null, unique (u), x int generated always as (1) stored | 'a' | 'b' | 'c' | create unique index on par (lower(u)); update par set u = concat('t', id); update par set u = chr(97 + id % 3)",
      })
  void valuesThatPassBetweenRowsThatMayNotBeDeleted(
      String what, String columns, String a, String b, String c, String sql) throws Exception {
    f.with(
        "create table par(id int primary key, v text, " + columns + ")",
        "create table chi(id int primary key, p int references par on delete restrict)");
    f.pair.executeSource(
        "insert into par (id, u) values (1, " + a + "), (2, " + b + "), (3, " + c + ")");
    f.pair.executeSource("insert into chi values (1, 1), (2, 2), (3, 3)");
    resync("par", "1", "2", "3");
    resync("chi", "1", "2", "3");
    f.pair.executeSource(sql);
    resync("par", "1", "2", "3");
    f.assertEqual("par", "chi");
  }

  @ParameterizedTest
  @ValueSource(strings = {"no action", "restrict"})
  void aRowThatGoesGivesItsChildrenAndItsValueToAnother(String action) throws Exception {
    f.with(
        "create table par(id int primary key, u text unique)",
        "create table chi(id int primary key, p int references par on delete " + action + ")",
        "insert into par values (1, 'x'), (2, 'y')",
        "insert into chi values (1, 1), (2, 2)");
    f.pair.executeSource(
        "update chi set p = 2; delete from par where id = 1; update par set u = 'x' where id = 2");
    f.engine.resync(Map.of(table("par"), keys("1", "2"), table("chi"), keys("1")));
    f.assertEqual("par", "chi");
    f.pair.executeSource(
        "update par set u = 'z' where id = 2; insert into par values (3, 'x'); update chi set p = 3; delete from par where id = 2");
    f.engine.resync(Map.of(table("par"), keys("2", "3"), table("chi"), keys("1", "2")));
    f.assertEqual("par", "chi");
  }

  @Test
  void valuesThatGoRoundAndCannotBeLetGoOf() throws Exception {
    f.with(
        "create table par(id int primary key, u text not null unique check (u in ('a', 'b')))",
        "create table chi(id int primary key, p int references par on delete restrict)",
        "insert into par values (1, 'a'), (2, 'b')",
        "insert into chi values (1, 1)");
    f.pair.executeSource(
        "alter table par drop constraint par_u_check; update par set u = 'c' where id = 1; update par set u = 'a' where id = 2; update par set u = 'b' where id = 1");
    ConvergenceException e = assertThrows(ConvergenceException.class, () -> resync("par", "1"));
    assertTrue(e.getMessage().contains("exchange them on the mirror by hand"), e.getMessage());
    f.with("delete from chi");
    resync("par", "1");
    f.assertEqual("par", "chi");
  }

  /** Rows of other partitions may have the same values. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "list (r) | in (2) | in (3)",
        "hash (r) | with (modulus 2, remainder 0) | with (modulus 2, remainder 1)"
      })
  void valuesThatAreUniqueInOnePartitionAlone(String by, String two, String three)
      throws Exception {
    f.with(
        "create table t(id int, r int, v text, primary key (id, r)) partition by " + by,
        "create table t2 partition of t for values " + two,
        "create table t3(v text, r int not null, id int not null)",
        "alter table t attach partition t3 for values " + three,
        "create unique index on t3 (lower(v)) where id > 0",
        "insert into t select i, r, chr(96 + i) from generate_series(1, 3) i, generate_series(2, 3) r",
        "insert into t values (0, 2, 'd'), (0, 3, 'd')");
    f.pair.executeSource(
        "update t set v = 't' || id; update t set v = chr(97 + id % 3) where id > 0; update t set v = 'c' where id = 0");
    f.engine.resync(
        Map.of(table("t"), List.of(List.of("1", "3"), List.of("0", "2"), List.of("0", "3"))));
    try (Connection p = f.pair.source();
        Connection m = f.pair.target()) {
      assertEquals(Fixture.rows(p, "t3"), Fixture.rows(m, "t3"));
      assertEquals("a,b,c", value(m, "select string_agg(v, ',' order by id) from t2 where id > 0"));
    }
  }

  /** No UPDATE sets a column that is GENERATED ALWAYS AS IDENTITY; others may refer to the row. */
  @Test
  void numbersThatNoUpdateSets() throws Exception {
    String number = "n bigint generated always as identity";
    f.with(
        "create table t(k text primary key, " + number + ", v text)",
        "create table bare(k text primary key, " + number + ")",
        "create table d(k text primary key deferrable, " + number + ", v text)",
        "create table par(k text primary key, " + number + ", v text)",
        "create table chi(id int primary key, p text references par on delete cascade)");
    String rows =
        "insert into T(k, v) values ('a', 'x'), ('b', 'x'); delete from T where k = 'a'; insert into T(k, v) values ('a', 'y');";
    for (String t : List.of("t", "d", "par")) {
      f.pair.executeTarget("insert into " + t + "(k, v) values ('a', 'x'), ('b', 'x')");
      f.pair.executeSource(rows.replace("T", t));
    }
    f.pair.executeTarget("insert into bare(k) values ('a'), ('b')");
    f.pair.executeSource("insert into bare(k) values ('b'), ('a')");
    f.with("insert into chi values (1, 'a'), (2, 'b')");
    for (String t : List.of("t", "bare", "d", "par")) {
      resync(t, "a", "b");
    }
    f.assertEqual("t", "bare", "d", "par", "chi");
  }

  /** IS NULL is true of none of them, IS NOT NULL neither. */
  @Test
  void keysOfCompositeTypesWithFieldsThatAreNull() throws Exception {
    f.with(
        "create type pair as (a text, b int)",
        "create table t(k pair primary key, v text)",
        "insert into t values (('y', null), 'old')");
    f.pair.executeSource("update t set v = 'new'; insert into t values (('z', null), 'v')");
    resync("t", "(y,)", "(z,)");
    f.assertEqual("t");
  }

  @Test
  void placesThatRowsExcludeEachOtherFrom() throws Exception {
    f.with(
        "create table booking(id int primary key, room int4range, during tsrange, exclude using gist (room with &&, during with &&) where (id < 100))",
        "insert into booking values (1, '[1,1]', '[2026-01-01,2026-01-03)'), (2, '[1,1]', '[2026-01-05,2026-01-07)'), (3, '[1,1]', '[2026-02-01,2026-02-02)')");
    f.pair.executeSource(
        "update booking set during = '[2026-01-10,2026-01-12)' where id = 2; update booking set during = '[2026-01-04,2026-01-06)' where id = 1; delete from booking where id = 3; insert into booking values (0, '[1,2]', '[2026-02-01,2026-02-05)')");
    resync("booking", "1", "2"); // both are asked for
    resync("booking", "0"); // the one in its way is not
    f.assertEqual("booking");
  }

  @Test
  void uniqueValuesThatTheServerComputes() throws Exception {
    f.with(
        "create table t(id int primary key, name text, folded text generated always as (lower(name)) stored unique)",
        "insert into t(id, name) values (1, 'Anna'), (2, 'Berta')");
    f.pair.executeSource(
        "update t set name = 'x' where id = 1; update t set name = 'ANNA' where id = 2; update t set name = 'berta' where id = 1");
    resync("t", "1", "2");
    f.assertEqual("t");
  }

  // ----------------------------------------------------------------------------------------------
  // writers at work meanwhile

  /** A write of another writer commits on the primary between the reads; its flush had failed. */
  private void overtaken(String sql) throws Exception {
    f.with("create table t(id int primary key, v int)");
    f.with("insert into t values (1,1),(2,1)");
    f.pair.executeSource("update t set v = 2");
    AtomicInteger once = new AtomicInteger();
    f.engine.hook =
        s -> {
          if (s == Step.WRITTEN && once.getAndIncrement() == 0) {
            f.pair.executeSource(sql);
          }
        };
    resync("t", "1", "2", "3");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "update t set v = 3 where id = 1",
        "delete from t where id = 1",
        "insert into t values (3,3)",
        "delete from t where id = 1; insert into t values (3,3); update t set v = 9 where id = 2"
      })
  void whatMovedBetweenTheReadsIsCorrected(String sql) throws Exception {
    overtaken(sql);
    f.assertEqual("t");
  }

  @Test
  void withoutRecheckTheMirrorIsStale() throws Exception {
    Rules.off(Rule.RECHECK);
    overtaken("update t set v = 3 where id = 1");
    assertFalse(f.equal("t"), "the switch has no effect");
  }

  @Test
  void aWriterThatIsFlushingWaitsAndWins() throws Exception {
    f.with("create table t(id int primary key, v int)", "insert into t values (1,1)");
    f.pair.executeSource("update t set v = 2");
    List<Future<?>> writers = new ArrayList<>();
    f.engine.hook =
        s -> {
          if (s == Step.SECOND_READ) {
            Connection p = f.primary();
            Connection m = f.mirror();
            execute(p, "update t set v = 3");
            writers.add(
                f.start(
                    () -> {
                      f.flush(m, null, upsert("t", List.of("id", "v"), row("1", "3")));
                      p.commit();
                      m.commit();
                    }));
            f.awaitBlocked();
          }
        };
    resync("t", "1");
    finish(writers.get(0));
    f.assertEqual("t");
  }

  /** pgfacts: resurrected_row. */
  private void resurrected() throws Exception {
    f.with("create table t(id int primary key, v int)");
    Connection p0 = f.primary();
    Connection m0 = f.mirror();
    execute(p0, "insert into t values (1,0)");
    f.flush(m0, null, upsert("t", List.of("id", "v"), row("1", "0")));
    p0.commit();
    Connection m1 = f.mirror();
    f.pair.executeSource("delete from t where id = 1");
    assertThrows(
        CountMismatchException.class, () -> f.flush(m1, null, Fixture.delete("t", "id", "1")));
    m1.rollback();
    Future<?> r = f.start(() -> resync("t", "1"));
    if (Rules.on(Rule.WAIT_INFLIGHT)) {
      assertThrows(
          java.util.concurrent.TimeoutException.class,
          () -> r.get(300, java.util.concurrent.TimeUnit.MILLISECONDS));
    } else {
      finish(r);
    }
    m0.commit();
    finish(r);
  }

  @Test
  void aRowWhoseInsertIsInFlightDoesNotComeBack() throws Exception {
    resurrected();
    f.assertEqual("t");
  }

  @Test
  void withoutWaitingItComesBack() throws Exception {
    Rules.off(Rule.WAIT_INFLIGHT);
    resurrected();
    assertFalse(f.equal("t"), "the switch has no effect");
  }

  @Test
  void transactionsInFlightOnPartitionsAreWaitedForAndNamed() throws Exception {
    f.with(
        "create table t(id int primary key) partition by range (id)",
        "create table t0 partition of t for values from (0) to (10)");
    Connection m0 = f.mirror();
    execute(m0, "insert into t0 values (1)");
    ConvergenceOptions o = ConvergenceOptions.DEFAULT;
    Convergence hasty =
        new Convergence(
            f.engine.primary(),
            f.engine.mirror(),
            f.primaryCatalog,
            f.mirrorCatalog,
            new ConvergenceOptions(
                o.batchKeys(),
                o.resyncLimits(),
                o.recopyLockTimeout(),
                o.attempts(),
                java.time.Duration.ofMillis(50)));
    SQLException e =
        assertThrows(SQLException.class, () -> hasty.resync(Map.of(table("t"), keys("1"))));
    assertTrue(e.getMessage().contains(value(m0, "select pg_backend_pid()")), e.getMessage());
  }

  @Test
  void manyResyncsAndWritersAtOnce() throws Exception {
    long seed = System.nanoTime();
    System.out.println("seed " + seed);
    f.with("create table t(id int primary key, u int unique deferrable, v int)");
    java.util.Random seeds = new java.util.Random(seed);
    List<Future<?>> all = new ArrayList<>();
    for (int w = 0; w < 2; w++) {
      java.util.Random random = new java.util.Random(seeds.nextLong());
      Connection p = f.primary();
      all.add(
          f.start(
              () -> {
                for (int i = 0; i < 60; i++) {
                  int id = random.nextInt(10);
                  try {
                    execute(
                        p,
                        random.nextInt(3) == 0
                            ? "delete from t where id = " + id
                            : "insert into t values ("
                                + id
                                + ","
                                + random.nextInt(12)
                                + ",0)"
                                + " on conflict (id) do update set v = t.v + 1, u = excluded.u");
                    p.commit();
                  } catch (SQLException e) {
                    p.rollback(); // two rows wanted one value of u
                    continue;
                  }
                  resync("t", "" + id);
                }
              }));
    }
    for (Future<?> a : all) {
      a.get(60, java.util.concurrent.TimeUnit.SECONDS);
    }
    f.assertEqual("t");
  }

  // ----------------------------------------------------------------------------------------------
  // suspects

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aSuspectKnowsHowLongItOnlyWaited(boolean primary) throws Exception {
    // without a key nothing is waited for on the mirror
    f.with("create table t(id int" + (primary ? "" : " primary key") + ", v text)");
    Connection other = primary ? f.primary() : f.mirror();
    execute(other, "insert into t values (1, 'v')");
    try (Connection p = f.pair.source()) {
      long xid = primary ? Long.parseLong(value(other, "select pg_current_xact_id()::text")) : 0;
      f.journal.suspect(new Suspect(table("t"), "test", 1, Incarnation.of(p), xid));
    }
    Reconcile reconcile = new Reconcile(f.engine, f.journal);
    Future<?> run = f.start(() -> assertEquals(1, reconcile.run()));
    try (Connection c = primary ? f.pair.source() : f.pair.target()) {
      Fixture.await(
          "it looks and waits",
          () ->
              !value(
                      c,
                      "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and query ~ '"
                          + (primary ? "pg_snapshot_xmin" : "RowExclusiveLock")
                          + "'")
                  .equals("0"));
    }
    other.commit();
    finish(run);
    assertFalse(reconcile.waited().isZero());
  }

  /** What is equal already is not written again. */
  @Test
  void aSuspectThatIsEqualIsNotWritten() throws Exception {
    f.with(
        "create table t(id int primary key, v text)",
        "insert into t select i, 'v' from generate_series(1, 5000) i");
    f.pair.executeSource("update t set v = 'new' where id = 7");
    f.journal.suspect(new Suspect(table("t"), "test", 1, "", 0));
    String places =
        "select count(*) from t where ctid <= '(100,0)' and xmin = (select xmin from t where id = 8)";
    assertEquals(1, new Reconcile(f.engine, f.journal).run());
    f.assertEqual("t");
    try (Connection m = f.pair.target()) {
      assertEquals("4999", value(m, places));
    }
  }

  /** Their rows go with a row that is deleted and inserted, for a value that moved on. */
  @Test
  void rowsWithoutAKeyThatWentWithTheirParentAreBroughtAgain() throws Exception {
    f.with(
        "create table par(id int primary key, code text unique)",
        "create table log(p int references par on delete cascade, v text)",
        "insert into par values (1, 'a'), (2, 'b')",
        "insert into log values (1, 'x'), (2, 'y')");
    f.pair.executeSource(
        "update par set code = 'c' where id = 2; update par set code = 'b' where id = 1");
    f.journal.suspect(new Suspect(table("par"), "test", 1, "", 0));
    List<String> open = new ArrayList<>();
    f.engine.hook =
        s -> {
          if (s == Step.COMMITTED) { // durable by then
            f.journal.suspects().forEach(x -> open.add(x.table().name()));
          }
        };
    assertEquals(2, new Reconcile(f.engine, f.journal).run());
    assertTrue(open.contains("log"), open.toString());
    assertEquals(List.of(), f.journal.suspects());
    f.assertEqual("par", "log");
  }

  /** However long it takes, and whatever the connections' own limit is. */
  @Test
  void aRecopyOutlivesTheNetworkTimeout() throws Exception {
    f.with("create table k(n int)", "insert into k values (1)");
    f.pair.executeTarget(
        "create function late() returns trigger language plpgsql as 'begin perform pg_sleep(1.2); return old; end';"
            + " create trigger late before delete on k for each row execute function late()");
    try (Connection m = f.mirror()) {
      m.setNetworkTimeout(Runnable::run, 300);
      assertEquals(1, f.engine.recopy(m, table("k"), "true").rows());
      assertEquals(300, m.getNetworkTimeout());
      m.commit();
    }
  }

  /** Its process may be dead, and its COMMIT on the way nevertheless. */
  @Test
  void aSuspectThatNamesNoTransactionWaitsForAllThatAreUnderWay() throws Exception {
    f.with("create table t(id int primary key, v text)");
    Connection other = f.primary();
    execute(other, "insert into t values (1, 'v')");
    f.journal.suspect(new Suspect(table("t"), "test", 1, "", 0));
    Reconcile reconcile = new Reconcile(f.engine, f.journal);
    Future<?> run = f.start(() -> assertEquals(1, reconcile.run()));
    try (Connection c = f.pair.source()) {
      Fixture.await(
          "it looks and waits",
          () ->
              !value(
                      c,
                      "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and query ~ 'pg_snapshot_xmin'")
                  .equals("0"));
    }
    other.commit();
    finish(run);
    f.assertEqual("t");
  }

  /** Rows differ where the suspect's table went, whatever its name is by now. */
  @ParameterizedTest
  @ValueSource(strings = {"alter table t rename to t2", "alter table t set schema away"})
  void theRowsOfASuspectWhoseTableHasAnotherNameAreFound(String ddl) throws Exception {
    f.with("create schema away", "create table t(id int primary key, v text)");
    f.pair.executeSource("insert into t values (1, 'v')");
    try (Connection p = f.pair.source()) {
      f.journal.suspect(new Suspect(table("t"), "test", 1, Incarnation.of(p), 0));
    }
    f.with(ddl);
    assertEquals(1, new Reconcile(f.engine, f.journal).run());
    f.assertEqual(ddl.endsWith("t2") ? "t2" : "away.t");
  }
}
