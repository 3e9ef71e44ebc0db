package io.dualwrite.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** A part of what {@link Main} explores, small enough for every build. */
class ModelTest {

  private static final int THREADS = 2;

  private static final Suites EVERY_RULE = new Suites(Set.of(), Teeth.FAULTS, false, false);

  /** Some of a suite's systems. */
  @ParameterizedTest
  @CsvSource({
    "direct, 90", "pairs, 8", "early, 8", "mixed, 40", "backfill, 50", "foreign-key, 16",
    "predicate, 2", "images, 60", "savepoint, 16", "rekey, 16", "unique, 4", "retry, 14",
    "large, 12", "keyless, 6", "cutover, 3"
  })
  void everyInterleavingEndsEqual(String suite, int nth) {
    List<TransitionSystem> all = EVERY_RULE.systems(suite);
    List<TransitionSystem> some = new ArrayList<>();
    for (int i = 0; i < all.size(); i += nth) {
      some.add(all.get(i));
    }
    Check c = Check.of(some, THREADS, false);
    assertNull(c.found(), () -> c.found().what() + "\n" + String.join("\n", c.found().trace()));
    assertEquals(some.size(), c.systems());
  }

  static Stream<Teeth> teeth() {
    return Teeth.all().stream();
  }

  @ParameterizedTest
  @MethodSource("teeth")
  void everyRuleIsNeeded(Teeth teeth) {
    assertTrue(teeth.bite().isPresent(), () -> "nothing goes wrong without " + teeth.off());
  }

  @Test
  void everyRuleHasATooth() {
    Set<Rule> off = EnumSet.noneOf(Rule.class);
    Teeth.all().forEach(x -> off.addAll(x.off()));
    assertEquals(EnumSet.allOf(Rule.class), off);
  }

  @Test
  void theDocumentHasEveryRuleAndSuite() throws IOException {
    String text = Files.readString(Path.of("..", "docs", "MODEL.md"));
    for (Rule r : Rule.values()) {
      assertTrue(text.contains("| `" + r + "` | " + r.text + " |"), r::name);
    }
    for (String suite : Suites.all()) {
      int systems = EVERY_RULE.systems(suite).size();
      assertTrue(text.contains("| `" + suite + "` | " + systems + " |"), suite);
    }
  }

  /** The numbers of the first, unsplit model: a change of the protocol's barest form is meant. */
  @ParameterizedTest
  @CsvSource({"pairs, 389, 385005", "predicate, 9, 117783"})
  void statesAreAsManyAsEver(String suite, int systems, long states) {
    Check c = Check.of(EVERY_RULE.systems(suite), THREADS, false);
    assertEquals(systems, c.systems());
    assertEquals(states, c.states());
  }
}
