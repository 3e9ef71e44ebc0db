package io.dualwrite.sql;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Each statement of the corpus is what corpus.txt says it is. */
class CorpusTest {

  @TestFactory
  Stream<DynamicTest> isWhatTheCorpusSays() {
    return Corpus.entries().stream()
        .map(entry -> DynamicTest.dynamicTest(entry.toString(), () -> check(entry)));
  }

  private static void check(Corpus.Entry entry) {
    List<StatementInfo> statements = Sql.analyze(entry.text()).statements();
    assertEquals(entry.kinds(), statements.stream().map(StatementInfo::kind).toList());
    assertEquals(
        entry.hidden(), statements.stream().anyMatch(StatementInfo::hiddenWrite), "hiddenWrite");
    assertEquals(entry.lock(), statements.stream().anyMatch(StatementInfo::rowLock), "rowLock");
    Set<String> functions = new LinkedHashSet<>();
    statements.forEach(s -> functions.addAll(s.functions()));
    if (!entry.kinds().contains(Kind.UNKNOWN) || entry.hidden()) {
      assertEquals(new LinkedHashSet<>(entry.functions()), functions, "functions");
    }
    for (StatementInfo s : statements) {
      if (s.kind() == Kind.READ || s.kind() == Kind.PRIMARY_ONLY) {
        assertTrue(!s.mayWrite() && !s.hiddenWrite(), "a read must not write");
      }
    }
  }

  @TestFactory
  Stream<DynamicTest> theTokensJoinToTheText() {
    return Corpus.entries().stream()
        .map(
            entry ->
                DynamicTest.dynamicTest(
                    entry.toString(), () -> assertEquals(entry.text(), joined(entry.text()))));
  }

  /** The tokens of a text, joined; fails if one is empty. */
  static String joined(String text) {
    StringBuilder joined = new StringBuilder();
    Lexer lexer = new Lexer(text, true);
    for (lexer.next(); lexer.token != Token.END; lexer.next()) {
      assertTrue(lexer.end > lexer.start, () -> "an empty token at " + lexer.start);
      joined.append(text, lexer.start, lexer.end);
    }
    return joined.toString();
  }
}
