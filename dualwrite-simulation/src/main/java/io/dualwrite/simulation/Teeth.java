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
   * What runs are about that show the absence of a rule soon. Runs in general are about one or
   * another of these by chance.
   *
   * @param commitStep where writers linger in a commit; null: by chance
   * @param convergenceStep where they linger in replay, resync or recopy; null: by chance
   */
  record Aim(Profile profile, String commitStep, String convergenceStep) {}

  /** By the names that the protocol's model gives them. */
  private static final Map<String, Aim> AIMS = new LinkedHashMap<>();

  private static void aim(String rule, Profile profile, String commitStep, String convergenceStep) {
    AIMS.put(rule, new Aim(profile, commitStep, convergenceStep));
  }

  static {
    aim("INTENT_BEFORE_COMMIT", Profile.ALL, null, null);
    aim("FLUSH_BEFORE_COMMIT", Profile.FAMILY, "PRIMARY_COMMITTED", null);
    aim("MISMATCH_ROLLS_BACK", Profile.QUEUE, null, null);
    aim("KEYS_NOT_PREDICATES", Profile.ALL, null, null);
    aim("ROLLBACK_TO_TRUNCATES", Profile.ALL, null, null);
    aim("REKEY_TAKES_BOTH", Profile.QUEUE, null, null);
    aim("RECHECK", Profile.FAMILY, null, "FIRST_READ");
    aim("WAIT_ENDED", Profile.QUEUE, null, null);
    aim("WAIT_INFLIGHT", Profile.QUEUE, "PRIMARY_COMMITTED", "RECOPY_COPIED");
    aim("CASCADE_CLOSURE", Profile.FAMILY, null, "FIRST_READ");
    aim("CHILDREN_UNDER_LOCK", Profile.FAMILY, "INTENT_APPENDED", "PARENTS_LOCKED");
    aim("MARKER", Profile.ALL, null, null);
    aim("MARKER_BY_INSERT", Profile.LOG, null, "REPLAY_CLAIMED");
    aim("LOCK_THEN_DELETE_THEN_SNAPSHOT", Profile.LOG, "INTENT_APPENDED", null);
    aim("SNAPSHOT_RECORDED", Profile.LOG, null, null);
    aim("LOCK_BEFORE_VISIBILITY", Profile.LOG, null, "REPLAY_VISIBILITY");
    aim("SUSPECT_CARRIES_XID", Profile.LOG, "INTENT_APPENDED", null);
    aim("INCARNATION", Profile.LONELY, "INTENT_APPENDED", null);
  }

  /** The rules' names. */
  public static final List<String> RULES = List.copyOf(AIMS.keySet());

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
          boolean equal = runs.run(seed, length, AIMS.get(rule));
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
