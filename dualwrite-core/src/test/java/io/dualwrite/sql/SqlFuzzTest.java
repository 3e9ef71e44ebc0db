package io.dualwrite.sql;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

/** Texts made by chance, and what must hold for all of them. */
class SqlFuzzTest {

  private final long seed = System.nanoTime();
  private final Random random = new Random(seed);
  private final List<Corpus.Entry> corpus = Corpus.entries();

  private Corpus.Entry any() {
    return corpus.get(random.nextInt(corpus.size()));
  }

  /** Analyses, and checks what holds for any text. */
  private List<StatementInfo> check(String text) {
    try {
      assertEquals(text, CorpusTest.joined(text));
      Sql sql = Sql.analyze(text, random.nextInt(8) > 0);
      int before = 0;
      for (StatementInfo s : sql.statements()) {
        assertTrue(before <= s.start() && s.start() < s.end() && s.end() <= text.length());
        before = s.end();
        boolean read = s.kind() == Kind.READ || s.kind() == Kind.PRIMARY_ONLY;
        assertTrue(!read || (!s.mayWrite() && !s.hiddenWrite()));
        assertTrue(s.kind() != Kind.UNKNOWN || s.mayWrite());
        assertTrue(s.table() == null || (s.start() <= s.tableStart() && s.tableEnd() <= s.end()));
        assertTrue(s.returning() <= s.end() && s.returningInsertAt() <= s.end());
        assertTrue(s.returning() < 0 || s.returning() > s.start());
        assertTrue(s.firstParameter() >= 1 && s.parameters() >= 0);
        assertTrue(s.kind() != Kind.INSERT || s.source() != null);
        assertTrue(s.kind() != Kind.TRANSACTION || s.transaction() != null);
      }
      return sql.statements();
    } catch (RuntimeException | AssertionError e) {
      throw new AssertionError("seed " + seed + ": " + text, e);
    }
  }

  @Test
  void noTextThrowsOrContradictsItself() {
    String alphabet = "'\"$();,.-/*?:=[]{}\\ \n\tEeUuBbXxNn&0123_abé\uD83D\u0000+<>|@#~!%^`";
    for (int i = 0; i < 60_000; i++) {
      StringBuilder text = new StringBuilder();
      if (i % 3 == 0) {
        for (int k = random.nextInt(40); k >= 0; k--) {
          text.append(alphabet.charAt(random.nextInt(alphabet.length())));
        }
      } else {
        text.append(any().text());
        for (int k = random.nextInt(4); k >= 0; k--) {
          int at = random.nextInt(text.length() + 1);
          switch (random.nextInt(5)) {
            case 0 -> text.insert(at, alphabet.charAt(random.nextInt(alphabet.length())));
            case 1 -> text.delete(at, Math.min(text.length(), at + 1 + random.nextInt(4)));
            case 2 -> text.insert(at, part(any().text()));
            case 3 -> text.setLength(at);
            default -> text.append("; ").append(any().text());
          }
        }
      }
      check(text.toString());
    }
  }

  private String part(String text) {
    int from = random.nextInt(text.length() + 1);
    return text.substring(from, from + random.nextInt(text.length() - from + 1));
  }

  @Test
  void dressingUpAWriteDoesNotMakeItARead() {
    List<UnaryOperator<String>> dresses =
        List.of(
            s -> "EXPLAIN ANALYZE " + s,
            s -> "explain (costs off, analyze) " + s,
            s -> "EXPLAIN (ANALYZE true, FORMAT json)/* */" + s,
            s -> "PREPARE px AS " + s,
            s -> "COPY (" + s + ") TO STDOUT",
            s -> "WITH w AS (" + s + " RETURNING 1) SELECT * FROM w",
            s -> "WITH w AS MATERIALIZED (" + s + "), v AS (SELECT 1) TABLE w",
            s -> "WITH v(a) AS (SELECT 1), w AS(" + s + ")SELECT 1",
            s -> "SELECT 1 FROM (WITH w AS (" + s + ") SELECT 1) x",
            s -> "DECLARE c CURSOR FOR WITH w AS (" + s + ") SELECT 1",
            s -> "CREATE TABLE n AS WITH w AS (" + s + ") SELECT 1",
            s -> "INSERT INTO t WITH w AS (" + s + ") SELECT 1",
            s -> "/* SELECT */ " + s,
            s -> "--\n" + s,
            s -> "SELECT 1; " + s,
            s -> s + "; SELECT 1",
            s -> s + " -- SELECT");
    int writes = 0;
    for (Corpus.Entry entry : corpus) {
      List<StatementInfo> plain = Sql.analyze(entry.text()).statements();
      if (plain.size() != 1 || entry.text().contains("--")) {
        continue;
      }
      StatementInfo s = plain.get(0);
      boolean write =
          switch (s.kind()) {
            case INSERT, UPDATE, DELETE, MERGE -> true;
            case UNKNOWN -> s.hiddenWrite() && entry.text().matches("(?is)\\W*WITH.*");
            default -> false;
          };
      if (!write) {
        continue;
      }
      writes++;
      String bare = entry.text().substring(s.start(), s.end());
      for (UnaryOperator<String> dress : dresses) {
        String text = dress.apply(bare);
        assertTrue(
            check(text).stream().anyMatch(StatementInfo::mayWrite),
            () -> "seed " + seed + ": " + text);
        // and once more around it
        String twice = "EXPLAIN ANALYZE " + text;
        assertTrue(
            check(twice).stream().anyMatch(StatementInfo::mayWrite),
            () -> "seed " + seed + ": " + twice);
      }
    }
    assertTrue(writes > 130);
  }

  @Test
  void aWriteAmongTheQueriesOfAReadIsSeen() {
    int tried = 0;
    for (Corpus.Entry entry : corpus) {
      List<StatementInfo> plain = Sql.analyze(entry.text()).statements();
      if (plain.size() != 1 || plain.get(0).mayWrite()) {
        continue;
      }
      for (int i : tokens(entry.text())) {
        // in front of each query of the text: a data-modifying WITH may stand there by the grammar
        if (entry.text().regionMatches(true, i, "SELECT ", 0, 7)
            && plain.get(0).kind() != Kind.PRIMARY_ONLY
            && !entry
                .text()
                .substring(0, i)
                .matches("(?is).*(UNION|UNION ALL|EXCEPT|INTERSECT|AS|\\.)\\s*")) {
          tried++;
          String write = random.nextBoolean() ? "DELETE FROM t RETURNING 1" : "UPDATE t SET a = 1";
          String text =
              new StringBuilder(entry.text()).insert(i, "WITH zz AS (" + write + ") ").toString();
          assertTrue(check(text).get(0).mayWrite(), () -> "seed " + seed + ": " + text);
        }
      }
    }
    int count = tried;
    assertTrue(count > 150, () -> "only " + count);
  }

  @Test
  void commentsAndBlanksChangeNothing() {
    String[] trivia = {
      " ",
      "\n",
      "/**/",
      " /* ; ' \" $$ DELETE FROM t */ ",
      "\n--\n",
      " -- ' ; (\r\n",
      "\t/* /* */ */\f"
    };
    for (Corpus.Entry entry : corpus) {
      List<StatementInfo> plain = Sql.analyze(entry.text()).statements();
      if (plain.stream().anyMatch(s -> s.kind() == Kind.UNKNOWN && !s.hiddenWrite())) {
        continue;
      }
      StringBuilder text = new StringBuilder();
      Lexer lexer = new Lexer(entry.text(), true);
      for (lexer.next(); lexer.token != Token.END; lexer.next()) {
        text.append(entry.text(), lexer.start, lexer.end);
        text.append(trivia[random.nextInt(trivia.length)]);
      }
      List<StatementInfo> dressed = Sql.analyze(text.toString()).statements();
      assertEquals(describe(plain), describe(dressed), () -> "seed " + seed + ": " + text);
    }
  }

  private static List<String> describe(List<StatementInfo> statements) {
    List<String> all = new ArrayList<>();
    for (StatementInfo s : statements) {
      all.add(
          List.of(
                  s.kind(),
                  s.mayWrite(),
                  s.hiddenWrite(),
                  s.rowLock(),
                  s.functions(),
                  s.tables(),
                  String.valueOf(s.table()),
                  String.valueOf(s.alias()),
                  s.only(),
                  s.with(),
                  String.valueOf(s.insertColumns()),
                  String.valueOf(s.source()),
                  s.values(),
                  s.onConflict(),
                  s.overriding(),
                  s.setColumns(),
                  s.from(),
                  s.where(),
                  s.currentOf(),
                  String.valueOf(s.equalities()),
                  s.returning() < 0,
                  String.valueOf(s.transaction()),
                  String.valueOf(s.sessionSetting()),
                  s.parameters(),
                  s.volatileValue())
              .toString());
    }
    return all;
  }

  private static List<Integer> tokens(String text) {
    List<Integer> starts = new ArrayList<>();
    Lexer lexer = new Lexer(text, true);
    for (lexer.next(); lexer.token != Token.END; lexer.next()) {
      if (lexer.token == Token.WORD) {
        starts.add(lexer.start);
      }
    }
    return starts;
  }

  @Test
  void hostileTextsTakeLinearTime() {
    int n = 200_000;
    List<String> hostile =
        List.of(
            "(".repeat(n),
            "SELECT " + "(".repeat(n) + "1" + ")".repeat(n),
            "/*".repeat(n),
            "'a' \n".repeat(n),
            "'a' -- c\n".repeat(n) + ",",
            "$a$".repeat(n + 1),
            "$" + "a".repeat(n) + "$ $" + "a".repeat(n),
            "$a".repeat(n),
            "EXPLAIN ".repeat(n),
            "EXPLAIN ANALYZE ".repeat(n) + "DELETE FROM t",
            "PREPARE p AS ".repeat(n),
            "a.".repeat(n) + "b(",
            "SELECT " + "f(".repeat(n) + ")".repeat(n),
            "SELECT " + "a.b(c.d(),".repeat(n) + "1" + ")".repeat(n),
            "+-".repeat(n),
            "-+".repeat(n) + "-",
            "?".repeat(n),
            ";".repeat(n),
            "SELECT 1;".repeat(n),
            "WITH " + "a AS (DELETE FROM t),".repeat(n) + "b AS (SELECT 1) SELECT 1",
            "DELETE FROM t WHERE " + "(".repeat(n) + "a = 1" + ")".repeat(n),
            "DELETE FROM t WHERE a = 1" + " AND a = 1".repeat(n),
            "UPDATE t SET " + "a = 1,".repeat(n) + "b = 2",
            "INSERT INTO t VALUES " + "(1, 2, 'a'),".repeat(n) + "(1, 2, 'a')",
            "INSERT INTO t SELECT 1 " + "ON CONFLICT (a) ".repeat(n),
            "INSERT INTO t VALUES (" + "9".repeat(n) + ")",
            "CREATE FUNCTION f() BEGIN ATOMIC " + "CASE;".repeat(n),
            "TRUNCATE " + "a,".repeat(n) + "b",
            "0x".repeat(n),
            "1_".repeat(n),
            "E'\\".repeat(n),
            "{".repeat(n) + "call f()" + "}".repeat(n));
    for (String text : hostile) {
      String head = text.substring(0, 30);
      // What is quadratic takes minutes here; what is linear some hundredths of a second.
      assertTimeoutPreemptively(Duration.ofSeconds(20), () -> check(text), head);
    }
  }
}
