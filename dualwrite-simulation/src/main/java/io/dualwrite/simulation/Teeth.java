package io.dualwrite.simulation;

import java.io.IOException;
import java.io.PrintWriter;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/**
 * Whether the simulation would notice: switches off one rule of the protocol after another and
 * counts the seeds until a run fails.
 */
public final class Teeth {

  /**
   * By the names that the protocol's model gives them; each with what its runs are most about, for
   * its absence to matter sooner. Runs in general are about one or another of these by chance.
   */
  private static final Map<String, Profile> PROFILES = new LinkedHashMap<>();

  static {
    PROFILES.put("INTENT_BEFORE_COMMIT", Profile.ALL);
    PROFILES.put("FLUSH_BEFORE_COMMIT", Profile.FAMILY);
    PROFILES.put("MISMATCH_ROLLS_BACK", Profile.QUEUE);
    PROFILES.put("KEYS_NOT_PREDICATES", Profile.ALL);
    PROFILES.put("ROLLBACK_TO_TRUNCATES", Profile.ALL);
    PROFILES.put("REKEY_TAKES_BOTH", Profile.QUEUE);
    PROFILES.put("RECHECK", Profile.FAMILY);
    PROFILES.put("WAIT_ENDED", Profile.QUEUE);
    PROFILES.put("WAIT_INFLIGHT", Profile.QUEUE);
    PROFILES.put("CASCADE_CLOSURE", Profile.FAMILY);
    PROFILES.put("CHILDREN_UNDER_LOCK", Profile.FAMILY);
    PROFILES.put("MARKER", Profile.LOG);
    PROFILES.put("MARKER_BY_INSERT", Profile.LOG);
    PROFILES.put("LOCK_THEN_DELETE_THEN_SNAPSHOT", Profile.LOG);
    PROFILES.put("SNAPSHOT_RECORDED", Profile.LOG);
    PROFILES.put("LOCK_BEFORE_VISIBILITY", Profile.LOG);
    PROFILES.put("SUSPECT_CARRIES_XID", Profile.LOG);
    PROFILES.put("INCARNATION", Profile.LONELY);
  }

  /** The rules' names. */
  public static final List<String> RULES = List.copyOf(PROFILES.keySet());

  private static final String NOTICED = "noticed in seed ";

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
   * Runs them. What counts is that rows differ, or that the application was answered what is not
   * so: a call or a drain that took too long may be a busy machine's.
   *
   * @param rules which; all if empty
   * @param sideBySide how many rules at a time
   * @return whether each rule's absence was noticed
   */
  public boolean run(List<String> rules, int sideBySide) throws InterruptedException {
    Queue<String> todo = new ConcurrentLinkedQueue<>(rules.isEmpty() ? RULES : rules);
    Queue<String> unnoticed = new ConcurrentLinkedQueue<>();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < sideBySide; i++) {
      Thread t =
          new Thread(
              () -> {
                String rule;
                while ((rule = todo.poll()) != null) {
                  String said = noticed(rule);
                  out.println(rule + ": " + said);
                  out.flush();
                  if (!said.startsWith(NOTICED)) {
                    unnoticed.add(rule);
                  }
                }
              },
              "teeth-" + i);
      t.start();
      threads.add(t);
    }
    for (Thread t : threads) {
      t.join();
    }
    return unnoticed.isEmpty();
  }

  private String noticed(String rule) {
    int failed = 0;
    for (int seed = 1; seed <= seeds; ) {
      try (Runs runs = new Runs(new PrintWriter(PrintWriter.nullWriter()), rule)) {
        for (; seed <= seeds; seed++) {
          boolean equal = runs.run(seed, length, PROFILES.get(rule));
          if (!runs.wrong().isEmpty()) {
            return NOTICED + seed + ": " + runs.wrong();
          }
          failed += equal ? 0 : 1;
        }
      } catch (IOException | SQLException | RuntimeException e) {
        failed++;
        seed++; // with other servers
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return "interrupted";
      }
    }
    return "not noticed in " + seeds + " seeds (" + failed + " failed otherwise)";
  }
}
