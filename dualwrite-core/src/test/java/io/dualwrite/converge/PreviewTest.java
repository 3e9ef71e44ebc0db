package io.dualwrite.converge;

import static io.dualwrite.converge.Fixture.change;
import static io.dualwrite.converge.Fixture.delete;
import static io.dualwrite.converge.Fixture.execute;
import static io.dualwrite.converge.Fixture.row;
import static io.dualwrite.converge.Fixture.table;
import static io.dualwrite.converge.Fixture.upsert;
import static io.dualwrite.converge.Fixture.value;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.catalog.TableName;
import io.dualwrite.control.Incarnation;
import io.dualwrite.converge.Preview.Fate;
import io.dualwrite.converge.Preview.Verdict;
import io.dualwrite.journal.Intent;
import io.dualwrite.journal.Outcome;
import io.dualwrite.journal.RowChange;
import io.dualwrite.journal.RowChange.Kind;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class PreviewTest {

  private static final List<String> IV = List.of("id", "v");

  private Fixture f;

  @BeforeEach
  void open() {
    f = new Fixture();
  }

  @AfterEach
  void close() throws SQLException {
    f.close();
  }

  private static RowChange insert(String... values) {
    String[][] rows = new String[values.length][];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = row(values[i]);
    }
    return change(Kind.INSERT, "k", List.of("a"), List.of(), rows);
  }

  /** A unit that reached the primary only. */
  private Intent pending(String sql, Outcome outcome, RowChange... changes) throws SQLException {
    Connection p = f.primary();
    execute(p, sql);
    Intent i = f.intent(p, changes);
    p.commit();
    f.journal.release(i.sequence(), outcome);
    return i;
  }

  private List<Verdict> preview() throws SQLException {
    return new Preview(f.engine, f.journal.writer()).of(f.journal.pending(-1, 100));
  }

  private static Verdict verdict(
      Intent i, Fate fate, long equal, long keys, long rows, String why) {
    return new Verdict(i.sequence(), fate, false, equal, keys, rows, 0, List.of(), why);
  }

  private List<String> mirror() throws SQLException {
    try (Connection m = f.pair.target()) {
      return List.of(
          Fixture.rows(m, "t").toString(),
          Fixture.rows(m, "k").toString(),
          value(m, "select count(*) from dualwrite.marker"));
    }
  }

  @Test
  void whatAReplayWouldDoAndThenDoes() throws Exception {
    f.with(
        "create table t(id int primary key, v text unique)",
        "create table k(a int)",
        "insert into t values (1,'a'),(2,'b'),(3,'c')");
    Intent differs =
        pending(
            "update t set v = 'x' where id = 1; insert into t values (9, 'n')",
            Outcome.COMMITTED,
            upsert("t", IV, row("1", "x"), row("9", "n"), row("2", "b")));
    Intent equal = pending("select 1", Outcome.COMMITTED, upsert("t", IV, row("2", "b")));
    Intent gone = pending("delete from t where id = 3", Outcome.UNKNOWN, delete("t", "id", "3"));
    Intent keyless = pending("insert into k values (7),(8)", Outcome.COMMITTED, insert("7", "8"));
    Intent twice = pending("insert into k values (5)", Outcome.COMMITTED, insert("5"));
    f.pair.executeTarget(
        "insert into dualwrite.marker values ('"
            + f.journal.writer()
            + "', "
            + twice.sequence()
            + "); insert into k values (5)");
    Connection aborted = f.primary();
    execute(aborted, "insert into k values (6)");
    Intent nothing = f.intent(aborted, insert("6"));
    aborted.rollback();
    f.journal.release(nothing.sequence(), Outcome.UNKNOWN);
    Connection open = f.primary();
    execute(open, "update t set v = 'later' where id = 2");
    Intent waits = f.intent(open, upsert("t", IV, row("2", "later")));
    f.journal.release(waits.sequence(), Outcome.UNKNOWN);

    List<String> before = mirror();
    List<Verdict> want =
        List.of(
            verdict(differs, Fate.WRITES, 1, 2, 0, ""),
            verdict(equal, Fate.EQUAL, 1, 0, 0, ""),
            verdict(gone, Fate.WRITES, 0, 1, 0, ""),
            verdict(keyless, Fate.WRITES, 0, 0, 2, ""),
            verdict(twice, Fate.EQUAL, 0, 0, 0, ""),
            verdict(nothing, Fate.ABORTED, 0, 0, 0, ""),
            verdict(
                waits,
                Fate.WAITS,
                0,
                0,
                0,
                "its transaction on the primary, process " + waits.pid()));
    assertEquals(want, preview());
    assertEquals(want, preview(), "nothing was changed");
    assertEquals(before, mirror());
    assertEquals(7, f.journal.pendingCount());
    open.commit();
    try (Replayer r = f.replayer()) {
      assertTrue(r.drain(Duration.ofSeconds(30)), () -> "not drained: " + r.stats());
    }
    f.assertEqual("t", "k");
  }

  /** Among others that go through: only what the mirror refuses is said to fail, and why. */
  @Test
  void whatTheMirrorWouldRefuse() throws Exception {
    f.with("create table t(id int primary key, v text)", "create table k(a int)");
    f.pair.executeTarget("alter table t add check (v <> 'forbidden')");
    f.pair.executeSource("create table only_here(id int primary key, v text)");
    Intent good =
        pending("insert into t values (1,'a')", Outcome.COMMITTED, upsert("t", IV, row("1", "a")));
    Intent bad =
        pending(
            "insert into t values (2,'forbidden')",
            Outcome.COMMITTED,
            upsert("t", IV, row("2", "forbidden")));
    Intent missing =
        pending(
            "insert into only_here values (1,'a')",
            Outcome.COMMITTED,
            upsert("only_here", IV, row("1", "a")));
    Intent last =
        pending("insert into t values (3,'c')", Outcome.COMMITTED, upsert("t", IV, row("3", "c")));
    f.pair.executeTarget("alter table k add check (a < 10)");
    Intent large = pending("insert into k values (11)", Outcome.COMMITTED, insert("11"));
    List<Verdict> got = preview();
    assertEquals(verdict(good, Fate.WRITES, 0, 1, 0, ""), got.get(0));
    assertEquals(Fate.FAILS, got.get(1).fate());
    assertEquals(bad.sequence(), got.get(1).sequence());
    assertTrue(got.get(1).why().contains("t_v_check"), got.get(1).why());
    assertEquals(Fate.FAILS, got.get(2).fate());
    assertEquals(missing.sequence(), got.get(2).sequence());
    assertTrue(got.get(2).why().contains("only_here"), got.get(2).why());
    assertEquals(verdict(last, Fate.WRITES, 0, 1, 0, ""), got.get(3));
    assertEquals(large.sequence(), got.get(4).sequence());
    assertTrue(got.get(4).why().contains("k_a_check"), got.get(4).why());
    assertEquals("0", mirror().get(2));
  }

  /** A doubt across a crash, a TRUNCATE, a statement: what becomes of their tables. */
  @Test
  void whatEndsInSuspects() throws Exception {
    f.with("create table t(id int, v text primary key)", "create table k(a int)");
    Intent doubt =
        new Intent(f.journal.nextSequence(), 0, 0, "of another life", 5, 1, List.of(insert("1")));
    f.journal.append(doubt);
    f.journal.release(doubt.sequence(), Outcome.UNKNOWN);
    String incarnation;
    try (Connection p = f.pair.source()) {
      incarnation = Incarnation.of(p);
    }
    Intent truncated =
        pending(
            "truncate k",
            Outcome.COMMITTED,
            RowChange.truncate(table("k"), "1:1:", incarnation),
            insert("4"));
    Intent removed =
        pending(
            "delete from k where a = 4",
            Outcome.COMMITTED,
            change(Kind.REMOVE, "k", List.of("a"), List.of(), row("4")));
    Intent statement =
        pending(
            "create table fresh(id int primary key, v text)",
            Outcome.COMMITTED,
            RowChange.statement(
                "create table fresh(id int primary key, v text)", "public", null, false));
    Intent behind =
        pending(
            "insert into fresh values (1,'a')",
            Outcome.COMMITTED,
            upsert("fresh", IV, row("1", "a")));
    Intent former =
        pending("insert into t values (1,'a')", Outcome.COMMITTED, upsert("t", IV, row("1", "a")));
    List<TableName> k = List.of(table("k"));
    List<Verdict> got = preview();
    assertEquals(new Verdict(doubt.sequence(), Fate.WRITES, true, 0, 0, 0, 0, k, ""), got.get(0));
    assertEquals(
        new Verdict(truncated.sequence(), Fate.WRITES, false, 0, 0, 0, 0, k, ""), got.get(1));
    assertEquals(
        new Verdict(removed.sequence(), Fate.WRITES, false, 0, 0, 0, 0, k, ""), got.get(2));
    assertEquals(
        new Verdict(statement.sequence(), Fate.WRITES, false, 0, 0, 0, 1, List.of(), ""),
        got.get(3));
    assertEquals(Fate.WAITS, got.get(4).fate());
    assertEquals(behind.sequence(), got.get(4).sequence());
    assertTrue(
        got.get(4).why().startsWith("for the statements of unit " + statement.sequence()),
        got.get(4).why());
    assertEquals(
        new Verdict(former.sequence(), Fate.WRITES, false, 0, 0, 0, 0, List.of(table("t")), ""),
        got.get(5));
    assertEquals(List.of(), f.journal.suspects());
  }
}
