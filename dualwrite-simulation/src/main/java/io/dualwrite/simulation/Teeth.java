package io.dualwrite.simulation;

import java.io.IOException;
import java.io.PrintWriter;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * Whether the simulation would notice: switches off one rule of the protocol after another and
 * counts the seeds until a run fails.
 */
public final class Teeth {

  /** By the names that the protocol's model gives them. */
  public static final List<String> RULES =
      List.of(
          "INTENT_BEFORE_COMMIT",
          "FLUSH_BEFORE_COMMIT",
          "MISMATCH_ROLLS_BACK",
          "KEYS_NOT_PREDICATES",
          "ROLLBACK_TO_TRUNCATES",
          "REKEY_TAKES_BOTH",
          "RECHECK",
          "WAIT_ENDED",
          "WAIT_INFLIGHT",
          "CASCADE_CLOSURE",
          "CHILDREN_UNDER_LOCK",
          "MARKER",
          "MARKER_BY_INSERT",
          "LOCK_THEN_DELETE_THEN_SNAPSHOT",
          "SNAPSHOT_RECORDED",
          "LOCK_BEFORE_VISIBILITY",
          "SUSPECT_CARRIES_XID",
          "INCARNATION");

  private final PrintWriter out;
  private final Duration length;
  private final int seeds;

  /**
   * Nothing runs yet.
   *
   * @param length of each run
   * @param seeds after how many that all passed a rule is given up
   */
  public Teeth(PrintWriter out, Duration length, int seeds) {
    this.out = out;
    this.length = length;
    this.seeds = seeds;
  }

  /**
   * Runs them.
   *
   * @param rules which; all if empty
   * @return whether each rule's absence was noticed
   */
  public boolean run(List<String> rules) throws IOException, SQLException, InterruptedException {
    List<String> unnoticed = new ArrayList<>();
    for (String rule : rules.isEmpty() ? RULES : rules) {
      int seed = 1;
      String noticed = null;
      try (Runs runs = new Runs(new PrintWriter(PrintWriter.nullWriter()), rule)) {
        for (; noticed == null && seed <= seeds; seed++) {
          noticed = runs.run(seed, length) ? null : runs.reason();
        }
      }
      out.println(
          rule
              + (noticed == null
                  ? ": not noticed in " + seeds + " seeds"
                  : ": noticed in seed " + (seed - 1) + ": " + noticed));
      out.flush();
      if (noticed == null) {
        unnoticed.add(rule);
      }
    }
    return unnoticed.isEmpty();
  }
}
