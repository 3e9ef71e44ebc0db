package io.dualwrite.sql;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.embedded.PgPair;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The analysis against what a server does with the same text. */
class SqlServerTest {

  /** What the schema's functions and the server's own write, by name. */
  private static final Set<String> WRITING =
      Set.of(
          "f_write",
          "f_set",
          "over",
          "filter",
          "by",
          "insert",
          "set",
          "sets",
          "materialized",
          "conflict",
          "join",
          "like",
          "substring",
          "overlay",
          "rollup",
          "uescape",
          "temp",
          "F Write",
          "a\"b",
          "f_é",
          "lo_create",
          "nextval",
          "setval",
          "pg_current_xact_id");

  private static PgPair pair;
  private static Connection connection;

  @BeforeAll
  static void schema() throws SQLException {
    pair = PgPair.shared();
    Properties p = new Properties();
    p.setProperty("user", pair.sourceServer().user());
    p.setProperty("password", pair.sourceServer().password());
    // named statements of the driver would not survive the corpus' DEALLOCATE
    p.setProperty("prepareThreshold", "0");
    connection = DriverManager.getConnection(pair.sourceUrl(), p);
    execute(
        """
        create schema s;
        create type pair as (x int, y int);
        create table t(id int primary key, a int, b text, c int default 1, j jsonb,
            ts timestamptz default now(), arr int[]);
        create table child() inherits (t);
        create table u(id int primary key, t_id int references t on delete cascade, a int, note text);
        create table s.t(id int primary key, a int, v text);
        create table "T q"("select" int primary key, "Returning" text);
        create table kw(values int, key text, name text, "end" int, "set" int, flag boolean);
        create table comp(id int primary key, p pair, arr int[]);
        create table ident(id int generated always as identity primary key, a int);
        create table log(n int);
        create table uq(b text);
        create unique index on uq (lower(b));
        create view v as select id, a from t;
        create materialized view mv0 as select 1 as n;
        create sequence seq;
        create function f_read(n int) returns int immutable language sql return n;
        create function trg() returns trigger language plpgsql as 'begin return new; end';
        create function f_write(n int) returns int language plpgsql
            as 'begin insert into public.log values (n); return n; end';
        create function f_set() returns setof int language plpgsql
            as 'begin insert into public.log values (1); return next 1; end';
        create procedure p_write(n int) language plpgsql
            as 'begin insert into public.log values (n); end';
        insert into t(id, a, b, j, arr) select i, i, 'x', '{"a":1}', '{1,2}' from generate_series(1, 5) i;
        insert into u select i, i, i, 'n' from generate_series(1, 3) i;
        insert into s.t select i, i, 'v' from generate_series(1, 3) i;
        insert into "T q" values (1, 'r');
        insert into kw values (1, 'k', 'n', 1, 1);
        insert into comp values (1, (1, 2), '{1}');
        """);
    for (String name :
        List.of(
            "over",
            "filter",
            "by",
            "insert",
            "set",
            "sets",
            "\"join\"",
            "\"like\"",
            "\"substring\"",
            "\"overlay\"",
            "rollup",
            "uescape",
            "temp",
            "\"F Write\"",
            "\"a\"\"b\"",
            "f_é")) {
      execute(
          "create function public."
              + name
              + "(n int) returns int language plpgsql"
              + " as 'begin insert into public.log values (n); return n; end'");
    }
    for (String name : List.of("materialized", "conflict")) {
      execute(
          "create function public."
              + name
              + "(n int) returns boolean language plpgsql"
              + " as 'begin insert into public.log values (n); return true; end'");
    }
    connection.setAutoCommit(false);
  }

  @AfterAll
  static void close() throws SQLException {
    connection.close();
    pair.close();
  }

  /** Runs a text in a transaction that is rolled back; null, or what the server says against it. */
  private static String attempt(String text, Inside inside) throws SQLException {
    if (text.contains("PREPARE") || text.contains("EXECUTE") || text.contains("DEALLOCATE")) {
      execute(
          "deallocate all; prepare p_ins(int) as insert into t(id) values ($1);"
              + " prepare p_sel as select 1 as a");
    }
    connection.commit();
    try (PreparedStatement ps = connection.prepareStatement(text)) {
      for (int i = 1; i <= (text.contains("$1") ? 0 : Sql.analyze(text).parameters()); i++) {
        ps.setObject(i, "7", Types.OTHER);
      }
      ps.execute();
      while (ps.getMoreResults() || ps.getUpdateCount() >= 0) {
        // to the last result, so that every statement of the text has run
      }
      inside.run();
      return null;
    } catch (SQLException e) {
      return e.getMessage();
    } finally {
      connection.rollback();
    }
  }

  private interface Inside {
    void run() throws SQLException;
  }

  private static void execute(String sql) throws SQLException {
    try (Statement s = connection.createStatement()) {
      s.execute(sql);
    }
  }

  private static String query(String sql) throws SQLException {
    try (Statement s = connection.createStatement();
        ResultSet r = s.executeQuery(sql)) {
      r.next();
      return r.getString(1);
    }
  }

  @Test
  void noReadOfTheCorpusGetsATransactionId() throws SQLException {
    List<String> wrong = new ArrayList<>();
    int[] written = new int[1];
    for (Corpus.Entry entry : Corpus.entries()) {
      if (!entry.server() || entry.kinds().contains(Kind.TRANSACTION)) {
        continue;
      }
      String refused =
          attempt(
              entry.text(),
              () -> {
                if (query("select pg_current_xact_id_if_assigned()") != null) {
                  written[0]++;
                  List<StatementInfo> statements = Sql.analyze(entry.text()).statements();
                  if (statements.stream().noneMatch(s -> explained(entry.text(), s))) {
                    wrong.add("taken for a read, but wrote: " + entry);
                  }
                }
              });
      if (refused != null) {
        wrong.add(refused + " -- " + entry);
      }
    }
    assertEquals("", String.join("\n", wrong));
    assertTrue(written[0] > 150, () -> "only " + written[0] + " statements wrote");
  }

  /** Whether the analysis explains that the statement got a transaction id. */
  private static boolean explained(String text, StatementInfo s) {
    if (s.mayWrite() || s.rowLock()) {
      return true;
    }
    // these get one for what they write to the server's own catalog or log
    if (s.kind() == Kind.PRIMARY_ONLY
        && text.substring(s.start()).matches("(?s)(LOCK|ANALY[SZ]E).*")) {
      return true;
    }
    return s.functions().stream().map(SqlServerTest::lastPart).anyMatch(WRITING::contains);
  }

  private static String lastPart(String name) {
    List<String> parts = Sql.nameParts(name);
    return parts.isEmpty() ? "" : parts.get(parts.size() - 1);
  }

  /**
   * Calls and writes put everywhere into the reads of the corpus: what the server accepts and what
   * got a transaction id has to be seen by the analysis.
   */
  @Test
  void nothingThatWritesIsOverlookedWhereverItStands() throws SQLException {
    long seed = System.nanoTime();
    Random random = new Random(seed);
    List<String> calls =
        List.of(
            "over(1)",
            "filter(1)",
            "by (1)",
            "insert(1)",
            "set(1)",
            "sets(1)",
            "materialized(1)",
            "conflict(1)",
            "join(1)",
            "like(1)",
            "rollup(1)",
            "temp(1)",
            "\"F Write\"(1)",
            "public.over(1)",
            "public . \"f_write\" /* */ (1)",
            "F_WRITE(n => 1)",
            "U&\"f\\005fwrite\"(1)",
            "(SELECT f_write(1))",
            "(1) + f_write(1)",
            "f_set()",
            "FROM f_write(1)",
            "f_write(1) AS f (a)");
    List<String> writes =
        List.of(
            "INTO n9",
            "INTO TEMP n9 ",
            "FOR UPDATE",
            "FOR KEY SHARE",
            "WITH zz AS (DELETE FROM log)",
            "WITH zz(a) AS (UPDATE t SET a = 1 RETURNING 1)",
            ", zz AS (INSERT INTO log VALUES (1))",
            "WITH zz AS MATERIALIZED (MERGE INTO t USING u ON true WHEN NOT MATCHED BY SOURCE THEN DELETE)",
            "WITH RECURSIVE q(n) AS (SELECT 1 UNION ALL SELECT n FROM q WHERE n > 9) CYCLE n SET key USING no,"
                + " zz AS (DELETE FROM log)");
    int accepted = 0;
    int wrote = 0;
    List<String> wrong = new ArrayList<>();
    // a call put into a recursive query may keep it from ending
    execute("set statement_timeout = '300ms'");
    connection.commit();
    for (Corpus.Entry entry : Corpus.entries()) {
      if (!entry.server() || !entry.kinds().equals(List.of(Kind.READ))) {
        continue;
      }
      Lexer lexer = new Lexer(entry.text(), true);
      for (lexer.next(); lexer.token != Token.END; lexer.next()) {
        if (lexer.token == Token.BLANK || lexer.token == Token.COMMENT || random.nextInt(3) > 0) {
          continue;
        }
        String before = entry.text().substring(0, lexer.start);
        String token = entry.text().substring(lexer.start, lexer.end);
        String after = entry.text().substring(lexer.end);
        List<String> texts =
            List.of(
                before + " f_write(1) " + after,
                before + calls.get(random.nextInt(calls.size())) + after,
                before + token + " " + calls.get(random.nextInt(calls.size())) + after,
                before + " " + writes.get(random.nextInt(writes.size())) + " " + token + after);
        for (String text : texts) {
          String[] outcome = new String[1];
          String refused =
              attempt(text, () -> outcome[0] = query("select pg_current_xact_id_if_assigned()"));
          if (refused == null) {
            accepted++;
            if (outcome[0] != null) {
              wrote++;
              if (Sql.analyze(text).statements().stream().noneMatch(s -> explained(text, s))) {
                wrong.add(text);
              }
            }
          }
        }
      }
    }
    execute("reset statement_timeout");
    connection.commit();
    assertEquals("", String.join("\n", wrong), "seed " + seed);
    int n = wrote;
    int of = accepted;
    assertTrue(n > 150, () -> "only " + n + " of " + of + " wrote, seed " + seed);
  }

  /** A predicate that is said to be a key chooses the rows that its terms choose. */
  @Test
  void equalitiesChooseTheRowsOfThePredicate() throws SQLException {
    execute(
        """
        create table eq(id int, a int, "A" int, "user" text, "select" int, values int, f boolean, eq int);
        insert into eq select i, i % 2, i % 3, case i % 2 when 0 then 'x' else user end, i % 2, 1, i % 2 = 0, 1
          from generate_series(0, 7) i;
        """);
    connection.commit();
    long seed = System.nanoTime();
    Random random = new Random(seed);
    String[] tokens = {
      "id",
      "a",
      "\"A\"",
      "A",
      "user",
      "\"user\"",
      "eq.select",
      "values",
      "f",
      "eq.a",
      "x.id",
      "public.eq.id",
      "EQ.\"A\"",
      "eq",
      "eq.eq",
      "=",
      "=",
      "=",
      "=",
      "AND",
      "AND",
      "AND",
      "OR",
      "NOT",
      "(",
      ")",
      "1",
      "0",
      "-1",
      "'1'",
      "2",
      "NULL",
      "true",
      "FALSE",
      "'x'",
      "E'\\x31'",
      "::int",
      "+",
      "IS",
      "<>",
      ",",
      "<",
      "0x1",
      "1.0",
      "$$1$$",
      "1e0"
    };
    int keys = 0;
    int rows = 0;
    for (int i = 0; i < 6_000; i++) {
      StringBuilder predicate = new StringBuilder();
      if (i % 2 == 0) {
        for (int k = 1 + random.nextInt(3); k > 0; k--) {
          boolean parenthesis = random.nextInt(3) == 0;
          predicate
              .append(parenthesis ? "(" : "")
              .append(tokens[random.nextInt(15)])
              .append(" = ")
              .append(tokens[26 + random.nextInt(tokens.length - 26)])
              .append(parenthesis ? ")" : "")
              .append(k > 1 ? " AND " : "");
        }
      } else {
        for (int k = 3 + random.nextInt(8); k > 0; k--) {
          predicate.append(' ').append(tokens[random.nextInt(tokens.length)]);
        }
      }
      String alias = random.nextInt(4) == 0 ? " x" : "";
      String text = "DELETE FROM eq" + alias + " WHERE " + predicate;
      StatementInfo s = Sql.analyze(text).statements().get(0);
      if (s.equalities() == null) {
        continue;
      }
      String chosen;
      try {
        chosen =
            query(
                "with d as ("
                    + text
                    + " returning ctid) select array_agg(ctid order by ctid) from d");
      } catch (SQLException e) {
        continue; // the server takes it for no statement at all: nothing can be wrong
      } finally {
        connection.rollback();
      }
      StringBuilder terms = new StringBuilder("true");
      for (KeyTerm term : s.equalities()) {
        Operand.Literal literal = (Operand.Literal) term.operand();
        String value =
            literal.text() == null ? "NULL" : "'" + literal.text().replace("'", "''") + "'";
        terms
            .append(" and \"")
            .append(term.column())
            .append("\" = ")
            .append(value)
            .append(literal.type() == null ? "" : "::" + literal.type());
      }
      keys++;
      rows += chosen == null ? 0 : 1;
      assertEquals(
          query("select array_agg(ctid order by ctid) from eq where " + terms),
          chosen,
          () -> text + " is " + s.equalities() + ", seed " + seed);
    }
    int n = keys;
    int found = rows;
    assertTrue(
        n > 150 && found > 50, () -> n + " predicates, " + found + " with rows, seed " + seed);
  }

  @Test
  void returningCanBeInsertedWhereTheAnalysisSays() throws SQLException {
    List<String> wrong = new ArrayList<>();
    int tried = 0;
    for (Corpus.Entry entry : Corpus.entries()) {
      List<StatementInfo> statements = Sql.analyze(entry.text()).statements();
      if (!entry.server() || statements.isEmpty()) {
        continue;
      }
      StatementInfo last = statements.get(statements.size() - 1);
      boolean write =
          switch (last.kind()) {
            case INSERT, UPDATE, DELETE, MERGE -> true;
            default -> false;
          };
      assertTrue(
          write
              ? (last.returning() >= 0) != (last.returningInsertAt() >= 0)
              : last.returningInsertAt() < 0,
          entry::toString);
      if (last.returningInsertAt() >= 0) {
        tried++;
        String text =
            new StringBuilder(entry.text())
                .insert(last.returningInsertAt(), " RETURNING 1")
                .toString();
        String refused = attempt(text, () -> {});
        if (refused != null) {
          wrong.add(refused + " -- " + text);
        }
        StatementInfo again = Sql.analyze(text).statements().get(statements.size() - 1);
        assertEquals(last.kind(), again.kind());
        assertEquals(" 1", text.substring(again.returning(), again.end()), text);
      } else if (last.returning() >= 0) {
        tried++;
        String text = new StringBuilder(entry.text()).insert(last.end(), ", 1 AS extra").toString();
        String refused = attempt(text, () -> {});
        if (refused != null) {
          wrong.add(refused + " -- " + text);
        }
      }
    }
    assertEquals("", String.join("\n", wrong));
    int count = tried;
    assertTrue(count > 130, () -> "only " + count);
  }

  @Test
  void literalsHaveTheValueAndTypeThatTheServerSees() throws SQLException {
    long seed = System.nanoTime();
    Random random = new Random(seed);
    String[] pieces = {
      "0",
      "1",
      "7",
      "9",
      "_",
      ".",
      "e",
      "E",
      "+",
      "-",
      "x",
      "o",
      "b",
      "F",
      "''",
      "\\",
      "\\'",
      "n",
      "u0041",
      "x41",
      "101",
      "$",
      "$$",
      "$a$",
      "'",
      " ",
      "é",
      "😀",
      "\n",
      "00",
      "2147483647",
      "2147483648",
      "9223372036854775807",
      "9223372036854775808",
      "abc",
      "\"",
      "--",
      "/*"
    };
    String[] openings = {
      "", "", "-", "+", "'", "'", "E'", "e'", "$$", "$a$", "- ", "0x", "0b", "-0o"
    };
    int checked = 0;
    for (int i = 0; i < 2000; i++) {
      String opening = openings[random.nextInt(openings.length)];
      StringBuilder literal = new StringBuilder(opening);
      for (int k = random.nextInt(5); k >= 0; k--) {
        literal.append(pieces[random.nextInt(pieces.length)]);
      }
      if (opening.contains("'")) {
        literal.append('\'');
      } else if (opening.contains("$")) {
        literal.append(opening);
      }
      checked += checkLiteral(literal.toString(), seed) ? 1 : 0;
    }
    for (String literal :
        List.of("TRUE", "false", "NULL", "''", "E''", "$$$$", "1e400", "-9223372036854775808")) {
      assertTrue(checkLiteral(literal, seed), literal);
    }
    int count = checked;
    assertTrue(count > 250, () -> "only " + count + " literals were comparable, seed " + seed);
  }

  /** Whether both know the literal; fails if they see different values. */
  private static boolean checkLiteral(String literal, long seed) throws SQLException {
    List<StatementInfo> statements =
        Sql.analyze("INSERT INTO t VALUES (" + literal + ")").statements();
    if (statements.size() != 1
        || statements.get(0).source() != Source.VALUES
        || statements.get(0).values().get(0).size() != 1
        || !(statements.get(0).values().get(0).get(0) instanceof Operand.Literal ours)) {
      return false;
    }
    String theirs;
    String type;
    try (Statement s = connection.createStatement();
        ResultSet r =
            s.executeQuery(
                "select (x)::text, pg_typeof(x)::text from (select " + literal + ") as y(x)")) {
      r.next();
      theirs = r.getString(1);
      type = r.getString(2);
    } catch (SQLException e) {
      connection.rollback();
      return false;
    }
    String expected =
        switch (type) {
          case "integer" -> "int4";
          case "bigint" -> "int8";
          case "numeric" -> "numeric";
          case "boolean" -> "bool";
          default -> null;
        };
    String message = literal + " is " + ours + ", seed " + seed;
    assertEquals(expected, ours.type(), message);
    if ("numeric".equals(expected)) {
      assertEquals(query("select '" + ours.text() + "'::numeric::text"), theirs, message);
    } else {
      assertEquals(theirs, ours.text(), message);
    }
    return true;
  }

  @Test
  void namesAreFoldedAndCutAsTheServerDoes() throws SQLException {
    List<String> names =
        List.of(
            "Abc",
            "\"Abc\"",
            "\"a\"\"b\"",
            "ÀÉ",
            "İI",
            "\"İ\"",
            "K",
            "a$B",
            "_X",
            "U&\"d\\0061\"",
            "u&\"\\+01F600\\\\\"",
            "X".repeat(63),
            "X".repeat(64),
            "é".repeat(40),
            "a" + "é".repeat(40),
            "😀".repeat(20),
            "a" + "😀".repeat(20),
            "\"" + "Q".repeat(70) + "\"",
            "\"select\"",
            "\" \"");
    for (String name : names) {
      String theirs;
      try (Statement s = connection.createStatement();
          ResultSet r = s.executeQuery("select 1 as " + name)) {
        theirs = r.getMetaData().getColumnLabel(1);
      }
      assertEquals(List.of(theirs), Sql.nameParts(name), name);
    }
    assertEquals(List.of("s", "Tab", "x"), Sql.nameParts("S . \"Tab\"/**/.X"));
    for (String none : List.of("", "a.", ".a", "a b", "1", "a..b", "a,b", "'a'", "\"a")) {
      assertEquals(List.of(), Sql.nameParts(none), none);
    }
  }
}
