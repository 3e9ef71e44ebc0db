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
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

class SimulationTest {

  /** Long enough for a handful of faults each. */
  private static final Duration SHORT =
      Duration.ofMillis(Long.getLong("dualwrite.test.simulation.millis", 10_000));

  private static final int SEEDS = Integer.getInteger("dualwrite.test.simulation.seeds", 2);
  private static final int AT_ONCE = 2;

  /** No run begins after so long: the build has little time, and more on another machine. */
  private static final Duration ENOUGH = Duration.ofSeconds(30);

  /** Two at a time: a run waits for much of its time. */
  @Test
  void shortRunsEndEqual() throws InterruptedException {
    AtomicInteger next = new AtomicInteger(1);
    long end = System.nanoTime() + ENOUGH.toNanos();
    StringWriter text = new StringWriter();
    PrintWriter out = new PrintWriter(text, true);
    Queue<Throwable> failures = new ConcurrentLinkedQueue<>();
    List<Thread> threads =
        IntStream.range(0, AT_ONCE)
            .mapToObj(
                i ->
                    new Thread(
                        () -> {
                          try (Runs runs = new Runs(out)) {
                            int s;
                            do {
                              s = next.getAndIncrement();
                              assertTrue(s > SEEDS || runs.run(s, SHORT), "seed " + s);
                            } while (s < SEEDS && System.nanoTime() - end < 0);
                          } catch (Exception | AssertionError e) {
                            failures.add(e);
                          }
                        },
                        "runs-" + i))
            .toList();
    threads.forEach(Thread::start);
    for (Thread t : threads) {
      t.join();
    }
    System.out.print(text);
    assertEquals(List.of(), List.copyOf(failures), text::toString);
  }

  /** On request: how many runs it takes depends on how much a machine gets done in each. */
  @Test
  @EnabledIfSystemProperty(named = "dualwrite.test.simulation.teeth", matches = "true")
  void aRuleThatIsSwitchedOffIsNoticed() throws Exception {
    StringWriter text = new StringWriter();
    assertTrue(
        new Teeth(new PrintWriter(text), SHORT, 10).run(List.of("ROLLBACK_TO_TRUNCATES")),
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
