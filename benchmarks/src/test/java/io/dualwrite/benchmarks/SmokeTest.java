package io.dualwrite.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.time.Duration;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

@EnabledIfSystemProperty(named = "benchmarks.smoke", matches = "true")
class SmokeTest {

  private static Servers servers;

  @BeforeAll
  static void start() {
    servers = new Servers();
  }

  @AfterAll
  static void stop() {
    servers.close();
  }

  /** The run itself fails if the contenders' rows are not on both servers in the end. */
  @Test
  void everyContenderRunsAndEveryTableIsMade() throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8)) {
      WholeRun run = new WholeRun(servers, Duration.ofMillis(5), 1, 0);
      run.run();
      run.print(out);
    }
    String tables = bytes.toString(StandardCharsets.UTF_8);
    for (Workload w : Workload.values()) {
      assertEquals(3, tables.split(w.label + " \\|", -1).length, tables);
    }
    assertFalse(tables.contains("NaN"), tables);
  }

  @Test
  void theStubAnswersWhatTheBenchmarksAskAndLeavesTheRest() throws Exception {
    Stub.rows = 3;
    try (Connection c =
            Stub.over(new Connecting(() -> servers.source.connect("postgres")), false)
                .getConnection();
        PreparedStatement s = c.prepareStatement(Stub.query(2));
        ResultSet r = s.executeQuery();
        PreparedStatement other = c.prepareStatement("select 17");
        ResultSet real = other.executeQuery();
        PreparedStatement write = c.prepareStatement(Stub.INSERT)) {
      for (int i = 0; i < 3; i++) {
        assertTrue(r.next());
      }
      assertFalse(r.next());
      assertTrue(real.next());
      assertEquals(17, real.getInt(1));
      assertEquals(1, write.executeUpdate());
    }
  }

  @Test
  void theCorpusHasEveryShape() {
    for (Corpus.Group g : Corpus.Group.values()) {
      assertTrue(Corpus.texts(g).size() >= 6, g + ": " + Corpus.texts(g).size());
    }
  }
}
