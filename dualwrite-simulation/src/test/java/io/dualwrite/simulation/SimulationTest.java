package io.dualwrite.simulation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.embedded.PgPair;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.sql.Connection;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

class SimulationTest {

  /** A handful of faults each; the processes that were not killed go on from run to run. */
  private static final Duration SHORT =
      Duration.ofMillis(Long.getLong("dualwrite.test.simulation.millis", 2_500));

  private static final int SEEDS = Integer.getInteger("dualwrite.test.simulation.seeds", 20);
  private static final int SIDE_BY_SIDE =
      Integer.getInteger("dualwrite.test.simulation.side-by-side", 3);

  /** Where they take longer than this there are fewer: a build has to end. */
  private static final Duration ENOUGH =
      Duration.ofSeconds(Long.getLong("dualwrite.test.simulation.enough", 240));

  @Test
  void shortRunsEndEqual() throws InterruptedException {
    StringWriter text = new StringWriter();
    PrintWriter out = new PrintWriter(text, true);
    int failed = Runs.all(out, 1, SEEDS, SIDE_BY_SIDE, SHORT, Runs.ALWAYS, ENOUGH);
    System.out.print(text);
    assertEquals(0, failed, text::toString);
  }

  /** On request: how many runs it takes depends on how much a machine gets done in each. */
  @Test
  @EnabledIfSystemProperty(named = "dualwrite.test.simulation.teeth", matches = "true")
  void aRuleThatIsSwitchedOffIsNoticed() throws Exception {
    StringWriter text = new StringWriter();
    assertTrue(
        new Teeth(new PrintWriter(text), Duration.ofSeconds(15), 10).run(List.of(), SIDE_BY_SIDE),
        text::toString);
  }

  @Test
  void theSameSeedDecidesTheSame() {
    assertEquals(draws(Dice.of(5, "writer", 1)), draws(Dice.of(5, "writer", 1)));
    assertNotEquals(draws(Dice.of(5, "writer", 1)), draws(Dice.of(5, "writer", 2)));
    assertNotEquals(draws(Dice.of(5, "writer", 1)), draws(Dice.of(6, "writer", 1)));
  }

  private static List<Integer> draws(Dice dice) {
    return IntStream.range(0, 20).mapToObj(i -> dice.between(0, 1000)).toList();
  }

  /** Every way in which two databases can differ is seen. */
  @Test
  void theComparisonSeesWhatDiffers() throws Exception {
    try (PgPair pair = PgPair.shared();
        Connection s = pair.source();
        Connection t = pair.target()) {
      pair.execute(
          "create table done(marker text); create table done_log(marker text);"
              + " create table a(x int, y text); insert into a values (1, null), (1, null), (2, '')");
      assertEquals(List.of(), Comparison.differences(s, t));
      for (String change :
          List.of(
              "update a set y = '' where ctid = '(0,1)'",
              "delete from a where ctid = '(0,1)'",
              "insert into a values (2, '')",
              "alter table a add z int",
              "create table b()",
              "drop table a")) {
        t.setAutoCommit(false);
        Tables.run(t, change);
        assertFalse(Comparison.differences(s, t).isEmpty(), change);
        t.rollback();
      }
      Tables.run(s, "insert into done values ('m'); insert into done_log values ('n')");
      assertEquals(Set.of("o"), Comparison.markers(s, List.of("m", "n", "o"), false));
      assertEquals(Set.of("m", "n"), Comparison.markers(s, List.of("m", "n", "o"), true));
    }
  }
}
