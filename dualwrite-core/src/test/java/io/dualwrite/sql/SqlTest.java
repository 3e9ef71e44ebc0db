package io.dualwrite.sql;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.sql.CopyFormat.Form;
import io.dualwrite.sql.Operand.Default;
import io.dualwrite.sql.Operand.Literal;
import io.dualwrite.sql.Operand.Other;
import io.dualwrite.sql.Operand.Parameter;
import io.dualwrite.sql.TransactionCommand.Action;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

/** The details of single statements. */
class SqlTest {

  private static final Operand OTHER = new Other();

  private static StatementInfo one(String text) {
    List<StatementInfo> statements = Sql.analyze(text).statements();
    assertEquals(1, statements.size(), text);
    return statements.get(0);
  }

  private static List<Operand> values(String list) {
    return one("INSERT INTO t VALUES (" + list + ")").values().get(0);
  }

  private static List<KeyTerm> where(String predicate) {
    return one("DELETE FROM t WHERE " + predicate).equalities();
  }

  private static KeyTerm term(String column, int parameter) {
    return new KeyTerm(column, new Parameter(parameter));
  }

  private static KeyTerm term(String column, String text, String type) {
    return new KeyTerm(column, new Literal(text, type));
  }

  @Test
  void splitsAndTellsOffsets() {
    String text = " ; /* a */ SELECT 1 -- ;\n ; ; DELETE FROM t WHERE a = ';' ; ";
    List<StatementInfo> statements = Sql.analyze(text).statements();
    assertEquals(
        List.of("SELECT 1", "DELETE FROM t WHERE a = ';'"),
        statements.stream().map(s -> text.substring(s.start(), s.end())).toList());
    assertEquals(List.of(), Sql.analyze("").statements());
    assertEquals(List.of(), Sql.analyze(" ;;/* ; */-- ;").statements());
  }

  @Test
  void aRoutinesBodyIsNotSplit() {
    String body =
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN (1) END; SELECT 2; END";
    assertEquals(
        List.of(Kind.DDL, Kind.DELETE),
        Sql.analyze(body + "; DELETE FROM t").statements().stream()
            .map(StatementInfo::kind)
            .toList());
    assertEquals(2, Sql.analyze("BEGIN; SELECT CASE WHEN a THEN 1 END").statements().size());
  }

  @Test
  void countsParameters() {
    Sql sql =
        Sql.analyze("UPDATE t SET a = ? WHERE b ?? '?' AND c = ?; DELETE FROM t WHERE id = ?");
    assertEquals(3, sql.parameters());
    assertEquals(1, sql.statements().get(0).firstParameter());
    assertEquals(2, sql.statements().get(0).parameters());
    assertEquals(3, sql.statements().get(1).firstParameter());
    assertEquals(1, sql.statements().get(1).parameters());
    assertEquals(List.of(term("id", 3)), sql.statements().get(1).equalities());
    assertEquals(7, Sql.analyze("SELECT $7, $2").parameters());
    assertEquals(
        0, Sql.analyze("SELECT '?', \"?\", $$?$$, $a$ $1 $a$, /* ? */ E'\\'?' -- ?").parameters());
    assertEquals(2, Sql.analyze("SELECT ????, ?, ???").parameters());
  }

  @Test
  void readsAnInsert() {
    StatementInfo s =
        one(
            "INSERT INTO \"S\" . Tab AS X (Id, \"B c\", d) VALUES (?, 'a''b', 1), (DEFAULT, NULL, ?::int)");
    assertEquals("\"S\".Tab", s.table());
    assertEquals("\"S\" . Tab", "INSERT INTO \"S\" . Tab".substring(s.tableStart(), s.tableEnd()));
    assertEquals(List.of("\"S\".Tab"), s.tables());
    assertEquals("x", s.alias());
    assertEquals(List.of("id", "B c", "d"), s.insertColumns());
    assertEquals(Source.VALUES, s.source());
    assertEquals(
        List.of(
            List.of(new Parameter(1), new Literal("a'b", null), new Literal("1", "int4")),
            List.of(new Default(), new Literal(null, null), OTHER)),
        s.values());
    assertFalse(s.onConflict() || s.overriding() || s.hiddenWrite() || s.with());
    assertEquals(-1, s.returning());
  }

  @Test
  void tellsAnInsertsSource() {
    assertNull(one("INSERT INTO t VALUES (1)").insertColumns());
    assertEquals(Source.DEFAULT_VALUES, one("INSERT INTO t DEFAULT VALUES").source());
    for (String query :
        List.of(
            "SELECT 1",
            "(SELECT 1)",
            "((SELECT 1))",
            "(VALUES (1))",
            "TABLE u",
            "(WITH x AS (SELECT 1) TABLE x)",
            "WITH x AS (SELECT 1) TABLE x",
            "VALUES (1) LIMIT 1",
            "VALUES (1) UNION SELECT 2",
            "VALUES (1), (2) ORDER BY 1")) {
      StatementInfo s = one("INSERT INTO t " + query + " ON CONFLICT DO NOTHING");
      assertEquals(Source.QUERY, s.source(), query);
      assertEquals(List.of(), s.values(), query);
      assertTrue(s.onConflictDoNothing(), query);
    }
    assertTrue(one("INSERT INTO t OVERRIDING SYSTEM VALUE VALUES (1)").overriding());
  }

  @Test
  void aPartOfAColumnIsNotItsValue() {
    StatementInfo s = one("INSERT INTO t (a[1], b.x, c) VALUES (?, ?, ?)");
    assertEquals(List.of("a", "b", "c"), s.insertColumns());
    assertEquals(List.of(List.of(OTHER, OTHER, new Parameter(3))), s.values());
  }

  @Test
  void readsConflictClauses() {
    StatementInfo s =
        one(
            "INSERT INTO t VALUES (?) ON CONFLICT (id) WHERE a > 1 DO UPDATE SET (b, C) = (1, 2), d[1] = 3 WHERE t.b <> 5 RETURNING id");
    assertTrue(s.onConflict());
    assertFalse(s.onConflictDoNothing());
    assertEquals(List.of("b", "c", "d"), s.setColumns());
    assertEquals(List.of(), s.functions());
    assertFalse(one("INSERT INTO t SELECT * FROM a JOIN b ON conflict (a.x)").onConflict());
    assertTrue(
        one("INSERT INTO t SELECT * FROM a JOIN b ON conflict (a.x) ON CONFLICT DO NOTHING")
            .onConflict());
  }

  @Test
  void typesLiterals() {
    assertEquals(
        List.of(
            new Literal("5", "int4"),
            new Literal("-5", "int4"),
            new Literal("5", "int4"),
            new Literal("2147483648", "int8"),
            new Literal("-2147483648", "int4"),
            new Literal("9223372036854775808", "numeric"),
            new Literal("1.50", "numeric"),
            new Literal("1e5", "numeric"),
            new Literal("1000", "int4"),
            new Literal("31", "int4"),
            new Literal("7", "int4"),
            new Literal("true", "bool"),
            new Literal("a\nb", null),
            new Literal("it's", null),
            new Literal("\\", null)),
        values(
            "5, -5, + 5, 2147483648, - 2147483648, 9223372036854775808, 1.50, 1e5, 1_000, 0x1F, 007,"
                + " TRUE, E'a\\nb', $q$it's$q$, '\\'"));
    for (String other :
        List.of(
            "5::int",
            "f()",
            "(5)",
            "1 + 1",
            "- -5",
            "-'5'",
            "-?",
            "DATE '2020-01-01'",
            "B'1'",
            "X'1'",
            "N'a'",
            "U&'a'",
            "'a'\n'b'",
            "E'\\xff'",
            "a",
            "current_date",
            "ARRAY[1, 2]",
            "(SELECT 1, 2)",
            "{d '2020-01-01'}",
            "? ?",
            "$0",
            "1".repeat(2000),
            "$1 COLLATE \"C\"")) {
      assertEquals(List.of(OTHER), values(other), other);
    }
    assertEquals(List.of(new Parameter(2), OTHER, new Parameter(1)), values("$2, f($1), $1"));
  }

  @Test
  void backslashesEscapeWhereTheSessionSaysSo() {
    String text = "INSERT INTO t VALUES ('a\\'; DELETE FROM t --')";
    assertEquals(Kind.UNKNOWN, Sql.analyze(text).statements().get(0).kind());
    Sql off = Sql.analyze(text, false);
    assertEquals(1, off.statements().size());
    assertEquals(
        List.of(List.of(new Literal("a'; DELETE FROM t --", null))),
        off.statements().get(0).values());
  }

  @Test
  void halfACharacterIsNoPartOfAName() {
    // sent as "?", which leaves E'…' a token of its own and the DELETE outside of it
    String text = "SELECT \uD800E'\\'' AS a; DELETE FROM t --'";
    assertTrue(Sql.analyze(text).statements().stream().allMatch(StatementInfo::mayWrite));
    assertEquals(Kind.UNKNOWN, one("SELECT $a\uDC00$ x $a\uDC00$").kind());
    assertEquals(
        Kind.READ, one("SELECT 1 AS \uD83D\uDE00, $\uD83D\uDE00$ x $\uD83D\uDE00$").kind());
  }

  @Test
  void findsKeys() {
    assertEquals(List.of(term("id", 1)), where("id = ?"));
    assertEquals(List.of(term("id", 1)), where("? = id"));
    assertEquals(List.of(term("id", 1)), where("\"id\"=?"));
    assertEquals(List.of(term("Id", 1)), where("T.\"Id\" = $1"));
    assertEquals(List.of(term("id", "-5", "int4")), where("id=-5"));
    assertEquals(
        List.of(term("a", 1), term("b", "x", null), term("c", null, null)),
        where("((a = ?) AND ((b = 'x' AND c = NULL)))"));
    assertEquals(List.of(term("values", 1)), where("values = ?"));
    assertEquals(List.of(term("select", 1)), where("t.select = ?"));
    assertEquals(
        List.of(term("id", 1)),
        one("UPDATE s.t SET a = 1 WHERE s.t.id = ? RETURNING a").equalities());
    assertEquals(
        List.of(term("id", 1)), one("DELETE FROM t AS \"X\" WHERE \"X\".id = ?").equalities());
    assertEquals(List.of(term("id", 2)), one("UPDATE t SET a = ? WHERE id = ?").equalities());
  }

  @Test
  void takesNothingElseForAKey() {
    for (String predicate :
        List.of(
            "id = ? OR a = 1",
            "id = ? AND a > 1",
            "NOT id = ?",
            "id = ?::int",
            "id = 1 + 1",
            "id = a",
            "id = f()",
            "(id, a) = (1, 2)",
            "id = ? AND id = ?",
            "id IN (?)",
            "id = ANY (?)",
            "u.id = ?",
            "x.t.id = ?",
            "(id) = ?",
            "(id = ?) = true",
            "(id = ?) IS NULL",
            "id = (SELECT 1)",
            "id <> ?",
            "id = ? COLLATE \"C\"",
            "user = 'x'",
            "current_user = ?",
            "true",
            "? = ?",
            "1 = 1",
            "id = ? AND",
            "AND id = ?",
            "id =",
            "= ?",
            "id = ? a = ?",
            "id == ?",
            "id = ? AND NOT a = ?",
            "lower(b) = ?",
            "arr[1] = ?",
            "id = DEFAULT",
            "a.b.c.d.e.f.g.h.i = ?",
            "EXISTS (SELECT 1)",
            "id = ? AND (a = 1 OR a = 2)",
            "id BETWEEN 1 AND ? AND a = 1",
            "U&\"id\" UESCAPE '!' = ?")) {
      assertNull(where(predicate), predicate);
    }
    assertNull(one("DELETE FROM t USING u WHERE id = ?").equalities());
    assertNull(one("UPDATE t SET a = 1 FROM u WHERE t.id = ?").equalities());
    assertNull(one("DELETE FROM t x WHERE t.id = ?").equalities());
    assertNull(one("DELETE FROM t").equalities());
    StatementInfo current = one("DELETE FROM t WHERE CURRENT OF c");
    assertTrue(current.where() && current.currentOf() && current.equalities() == null);
  }

  @Test
  void readsAnUpdate() {
    StatementInfo s =
        one(
            "UPDATE ONLY \"T\" x SET a = (SELECT 1 FROM u WHERE b = 1), (B, \"C\") = (1, 2), d[1].e = x.from IS DISTINCT FROM 1 FROM u WHERE u.id = x.id RETURNING *");
    assertEquals("\"T\"", s.table());
    assertTrue(s.only() && s.from() && s.where() && !s.currentOf());
    assertEquals("x", s.alias());
    assertEquals(List.of("a", "b", "C", "d"), s.setColumns());
    StatementInfo distinct = one("UPDATE t SET f = a IS NOT DISTINCT FROM b, g = 1 WHERE id = ?");
    assertFalse(distinct.from());
    assertEquals(List.of("f", "g"), distinct.setColumns());
    assertEquals(List.of(term("id", 1)), distinct.equalities());
    StatementInfo plain = one("UPDATE t SET a = 1");
    assertFalse(plain.only() || plain.from() || plain.where());
    assertNull(plain.alias());
  }

  @Test
  void findsTheStatementsOwnReturning() {
    String text =
        "WITH x AS (DELETE FROM u RETURNING id) INSERT INTO t (j) SELECT JSON_OBJECT('a' : 1 RETURNING text) AS returning FROM x RETURNING id, 'RETURNING' -- end";
    StatementInfo s = one(text);
    assertEquals(" id, 'RETURNING'", text.substring(s.returning(), s.end()));
    assertEquals(-1, s.returningInsertAt());
    assertTrue(s.with() && s.hiddenWrite());
    assertEquals(List.of("u", "t"), s.tables());
    StatementInfo none = one("WITH x AS (DELETE FROM u RETURNING id) UPDATE t SET a = 1 /* c */;");
    assertEquals(-1, none.returning());
    assertEquals(
        "WITH x AS (DELETE FROM u RETURNING id) UPDATE t SET a = 1".length(),
        none.returningInsertAt());
    assertEquals(-1, one("SELECT 1").returningInsertAt());
  }

  @Test
  void namesAllTablesWritten() {
    assertEquals(
        List.of("a", "s.b", "\"C\"", "d", "t"),
        one("WITH x AS (INSERT INTO a VALUES (1)), y AS (UPDATE ONLY s . b SET z = 1), w AS (DELETE FROM ONLY (\"C\")), v AS (MERGE INTO d USING e ON true WHEN MATCHED THEN DELETE) INSERT INTO t SELECT 1")
            .tables());
    assertEquals(List.of("a", "b.c"), one("TRUNCATE ONLY a, b.c *").tables());
    assertEquals(List.of("n"), one("CREATE TEMP TABLE IF NOT EXISTS n AS SELECT 1").tables());
    assertEquals(List.of("n"), one("SELECT 1 INTO n").tables());
    assertEquals(List.of("t"), one("EXPLAIN ANALYZE DELETE FROM t").tables());
    assertEquals(List.of("t"), one("PREPARE p AS DELETE FROM t").tables());
    assertEquals(List.of("t"), one("COPY (DELETE FROM t RETURNING *) TO STDOUT").tables());
    assertEquals(List.of(), one("SELECT * FROM t").tables());
    assertTrue(one("SELECT 1 INTO TEMP n").temporary());
    assertTrue(one("CREATE TEMPORARY TABLE n (a int)").temporary());
    assertFalse(one("CREATE TABLE n (temp int)").temporary());
  }

  @Test
  void readsHowTheRowsOfACopyAreWritten() {
    CopyFormat text = new CopyFormat(Form.TEXT, '\t', "\\N", '"', '"', false);
    CopyFormat csv = new CopyFormat(Form.CSV, ',', "", '"', '"', false);
    assertEquals(text, one("copy t from stdin").copyFormat());
    assertEquals(text, one("copy t (a, b) from stdin with (format text)").copyFormat());
    assertEquals(csv, one("copy t from stdin (format 'csv')").copyFormat());
    assertEquals(csv, one("copy t from stdin csv").copyFormat());
    assertEquals(csv, one("COPY t FROM STDIN WITH CSV; ").copyFormat());
    assertEquals(
        new CopyFormat(Form.CSV, ';', "x'y", '\'', '\\', true),
        one("copy t from stdin (format csv, delimiter ';', null 'x''y', quote '''', escape E'\\\\', header)")
            .copyFormat());
    assertEquals(
        new CopyFormat(Form.CSV, '\t', "N", 'q', 'e', true),
        one("copy t from stdin with delimiter as E'\t' null as 'N' csv header quote as 'q' escape as 'e'")
            .copyFormat());
    for (String binary :
        List.of(
            "copy binary t from stdin",
            "copy t from stdin binary",
            "copy t from stdin with (format 'binary')")) {
      assertEquals(Form.BINARY, one(binary).copyFormat().form(), binary);
    }
    assertTrue(one("copy t from stdin (header match)").copyFormat().header());
    assertFalse(one("copy t from stdin (header off)").copyFormat().header());
    for (String unusual :
        List.of(
            "copy t from stdin where a > 1",
            "copy t from stdin (format csv) where a > 1",
            "copy t from stdin (freeze)",
            "copy t from stdin (on_error ignore)",
            "copy t from stdin (encoding 'latin1')",
            "copy t from stdin (format csv, force_null (a))",
            "copy t from stdin csv force not null a",
            "copy t from stdin (default 'd')",
            "copy t from stdin (delimiter '--')",
            "copy t from 'rows.txt'",
            "copy t to stdout")) {
      assertNull(one(unusual).copyFormat(), unusual);
    }
  }

  @Test
  void readsCopy() {
    StatementInfo in = one("COPY s.t (A, \"B\") FROM STDIN WITH (FORMAT csv)");
    assertTrue(in.fromStdin());
    assertEquals("s.t", in.table());
    assertEquals(List.of("a", "B"), in.insertColumns());
    assertFalse(one("COPY t FROM '/tmp/x'").fromStdin());
    StatementInfo out = one("COPY t (a) TO STDOUT");
    assertNull(out.table());
    assertFalse(out.mayWrite());
    assertTrue(one("COPY (DELETE FROM t RETURNING *) TO STDOUT").mayWrite());
  }

  @Test
  void readsTransactionCommands() {
    assertEquals(
        new TransactionCommand(Action.BEGIN, null, false), one("begin read only").transaction());
    assertEquals(new TransactionCommand(Action.COMMIT, null, false), one("END WORK").transaction());
    assertEquals(
        new TransactionCommand(Action.COMMIT, null, true), one("COMMIT AND CHAIN").transaction());
    assertEquals(
        new TransactionCommand(Action.ROLLBACK, null, false),
        one("ABORT AND NO CHAIN").transaction());
    assertEquals(
        new TransactionCommand(Action.ROLLBACK, null, true),
        one("ROLLBACK TRANSACTION AND CHAIN").transaction());
    assertEquals(
        new TransactionCommand(Action.SAVEPOINT, "a", false), one("SAVEPOINT A").transaction());
    assertEquals(
        new TransactionCommand(Action.RELEASE, "A", false), one("RELEASE \"A\"").transaction());
    assertEquals(
        new TransactionCommand(Action.RELEASE, "savepoint", false),
        one("RELEASE SAVEPOINT savepoint").transaction());
    assertEquals(
        new TransactionCommand(Action.ROLLBACK_TO, "a", false), one("ROLLBACK TO a").transaction());
    assertEquals(
        new TransactionCommand(Action.ROLLBACK_TO, "a", false),
        one("ROLLBACK WORK TO SAVEPOINT a").transaction());
    for (String text : List.of("ROLLBACK TO savepoint", "ROLLBACK TO SAVEPOINT savepoint")) {
      assertEquals(
          new TransactionCommand(Action.ROLLBACK_TO, "savepoint", false), one(text).transaction());
    }
    assertEquals(
        new TransactionCommand(Action.RELEASE, "savepoint", false),
        one("RELEASE savepoint").transaction());
    assertEquals(
        new TransactionCommand(Action.PREPARE_TRANSACTION, "g'1", false),
        one("PREPARE TRANSACTION 'g''1'").transaction());
    assertEquals(
        new TransactionCommand(Action.COMMIT_PREPARED, "g", false),
        one("COMMIT PREPARED 'g'").transaction());
    assertEquals(
        new TransactionCommand(Action.ROLLBACK_PREPARED, "g", false),
        one("ROLLBACK PREPARED 'g'").transaction());
    assertEquals(
        new TransactionCommand(Action.SET_TRANSACTION, null, false),
        one("SET LOCAL TRANSACTION READ ONLY").transaction());
    assertTrue(one("COMMIT PREPARED 'g'").mayWrite());
    assertFalse(one("COMMIT").mayWrite());
    for (String wrong :
        List.of("COMMIT x", "SAVEPOINT", "ROLLBACK TO", "RELEASE a b", "PREPARE TRANSACTION ?")) {
      assertEquals(Kind.UNKNOWN, one(wrong).kind(), wrong);
    }
  }

  @Test
  void namesSessionSettings() {
    List<String[]> settings =
        List.of(
            new String[] {"SET Search_Path = a", "search_path"},
            new String[] {"SET \"TimeZone\" TO 'UTC'", "timezone"},
            new String[] {"SET TIME ZONE LOCAL", "timezone"},
            new String[] {"SET SESSION TIME ZONE 'UTC'", "timezone"},
            new String[] {"SET ROLE x", "role"},
            new String[] {"SET role = x", "role"},
            new String[] {"SET SESSION AUTHORIZATION x", "session_authorization"},
            new String[] {"SET LOCAL SESSION AUTHORIZATION x", "session_authorization"},
            new String[] {"SET SESSION SESSION AUTHORIZATION x", "session_authorization"},
            new String[] {"SET NAMES 'x'", "client_encoding"},
            new String[] {"SET SCHEMA 'x'", "search_path"},
            new String[] {"SET My.\"Var\".x = 1", "my.var.x"},
            new String[] {"SET SESSION DateStyle = ISO", "datestyle"},
            new String[] {"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", null},
            new String[] {"SET CONSTRAINTS a, b DEFERRED", "constraints"},
            new String[] {"RESET ALL", "all"},
            new String[] {"RESET \"all\"", "all"},
            new String[] {"RESET Role", "role"},
            new String[] {"RESET SESSION AUTHORIZATION", "session_authorization"},
            new String[] {"DISCARD ALL", "all"},
            new String[] {"DISCARD TEMP", null});
    for (String[] setting : settings) {
      StatementInfo s = one(setting[0]);
      assertEquals(Kind.SESSION, s.kind(), setting[0]);
      assertEquals(setting[1], s.sessionSetting(), setting[0]);
      assertEquals(
          setting[0].contains("LOCAL S") || setting[0].contains("CONSTR"), s.local(), setting[0]);
    }
    assertTrue(one("SET LOCAL x = 1").local());
    assertTrue(one("SET CONSTRAINTS ALL IMMEDIATE").mayWrite());
  }

  @Test
  void namesStatementsAndCursors() {
    assertEquals("p", one("PREPARE P (int) AS SELECT 1").name());
    assertEquals("P", one("EXECUTE \"P\" (1)").name());
    assertEquals("p", one("DEALLOCATE PREPARE p").name());
    assertNull(one("DEALLOCATE ALL").name());
    assertEquals("all", one("DEALLOCATE \"all\"").name());
    assertEquals("c", one("DECLARE c NO SCROLL CURSOR FOR SELECT 1").name());
  }

  @Test
  void seesValuesOfTheSession() {
    assertTrue(one("SELECT CURRENT_TIMESTAMP").volatileValue());
    assertTrue(one("INSERT INTO t VALUES (current_date)").volatileValue());
    assertTrue(one("SELECT 1 WHERE user = 'x'").volatileValue());
    assertFalse(one("SELECT t.current_date, \"user\", 1 AS user FROM t").volatileValue());
  }

  @Test
  void keepsAnalysesByText() {
    SqlCache cache = new SqlCache(1000);
    Sql first = cache.get("SELECT 1");
    assertSame(first, cache.get(new String("SELECT 1")));
    // "Aa" and "BB" have the same hash code
    assertNotSame(cache.get("SELECT 'Aa'"), cache.get("SELECT 'BB'"));
    assertEquals("SELECT 'Aa'", cache.get("SELECT 'Aa'").text());
    assertEquals("SELECT 'BB'", cache.get("SELECT 'BB'").text());
    String large = "SELECT '" + "x".repeat(100_000) + "'";
    assertNotSame(cache.get(large), cache.get(large));
    assertEquals(Kind.READ, cache.get(large).statements().get(0).kind());
  }

  @Test
  void longTextsCountAsSeveral() {
    SqlCache cache = new SqlCache(100);
    String x = "x".repeat(20_000);
    for (int i = 0; i < 100; i++) {
      cache.get("INSERT INTO t VALUES (" + i + ", '" + x + "')");
    }
    assertTrue(cache.size() <= 20, () -> cache.size() + " texts are kept");
  }

  @Test
  void theCacheIsBoundedAndRightUnderConcurrency() throws InterruptedException {
    SqlCache cache = new SqlCache(16);
    AtomicReference<String> wrong = new AtomicReference<>();
    Thread[] threads = new Thread[4];
    for (int i = 0; i < threads.length; i++) {
      int offset = i * 7;
      threads[i] =
          new Thread(
              () -> {
                for (int k = 0; k < 5_000; k++) {
                  String text = "SELECT " + (k + offset) % 1000;
                  Sql sql = cache.get(text);
                  if (!sql.text().equals(text) || sql.statements().get(0).end() != text.length()) {
                    wrong.set(text);
                  }
                }
              });
      threads[i].start();
    }
    for (Thread thread : threads) {
      thread.join();
    }
    assertNull(wrong.get());
    assertTrue(cache.size() <= 16, () -> cache.size() + " entries");
  }
}
