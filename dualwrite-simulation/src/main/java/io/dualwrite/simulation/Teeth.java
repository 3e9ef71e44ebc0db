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
   * @param commitSteps where writers linger in a commit, with or without how long and how often:
   *     one for all, or one for each, empty if it does not; none: by chance
   * @param convergenceStep where they linger in replay, resync or recopy; null: by chance
   * @param left whether what goes wrong is left as it is: no backfill, no repair and no damage
   *     after which tables are made equal as a whole
   * @param full the writer whose journal has no room, so that everything it writes is suspect;
   *     negative if none
   * @param dieAt the step of a commit where every process dies sooner or later; null: by chance
   */
  record Aim(
      Profile profile,
      List<String> commitSteps,
      String convergenceStep,
      boolean left,
      int full,
      String dieAt) {

    Aim(Profile profile) {
      this(profile, List.of(), null, false, -1, null);
    }

    Aim commit(String... steps) {
      return new Aim(profile, List.of(steps), convergenceStep, left, full, dieAt);
    }

    Aim converge(String step) {
      return new Aim(profile, commitSteps, step, left, full, dieAt);
    }

    Aim leave() {
      return new Aim(profile, commitSteps, convergenceStep, true, full, dieAt);
    }

    Aim fill(int writer) {
      return new Aim(profile, commitSteps, convergenceStep, left, writer, dieAt);
    }

    Aim die(String step) {
      return new Aim(profile, commitSteps, convergenceStep, left, full, step);
    }

    /** Where that writer lingers in a commit; null: by chance. */
    String commitStep(int writer) {
      return commitSteps.isEmpty()
          ? null
          : commitSteps.get(Math.min(writer, commitSteps.size() - 1));
    }
  }

  /** By the names that the protocol's model gives them. */
  private static final Map<String, Aim> AIMS = new LinkedHashMap<>();

  static {
    Aim all = new Aim(Profile.ALL);
    Aim queue = new Aim(Profile.QUEUE);
    Aim family = new Aim(Profile.FAMILY);
    Aim log = new Aim(Profile.LOG);
    Aim append = new Aim(Profile.APPEND).leave();
    AIMS.put("INTENT_BEFORE_COMMIT", all);
    AIMS.put("FLUSH_BEFORE_COMMIT", family.commit("PRIMARY_COMMITTED"));
    AIMS.put("MISMATCH_ROLLS_BACK", queue);
    AIMS.put("KEYS_NOT_PREDICATES", new Aim(Profile.CONTENDED).leave());
    AIMS.put("ROLLBACK_TO_TRUNCATES", all);
    AIMS.put("ROLLBACK_TO_KEEPS", all);
    AIMS.put("REKEY_BY_OLD_KEY", queue);
    AIMS.put("REKEY_TAKES_BOTH", queue);
    AIMS.put("RECHECK", new Aim(Profile.CONTENDED).leave().converge("FIRST_READ"));
    AIMS.put("WAIT_ENDED", new Aim(Profile.ONCE).leave());
    AIMS.put("WAIT_INFLIGHT", queue.leave().commit("PRIMARY_COMMITTED"));
    AIMS.put("CASCADE_CLOSURE", family.converge("FIRST_READ"));
    // the replay has to come by while the other's child is in flight
    AIMS.put(
        "CHILDREN_UNDER_LOCK",
        new Aim(Profile.KIN)
            .leave()
            .commit("PRIMARY_COMMITTED:200:1", "ASKED:40:1")
            .converge("RECOPY_LOCKED"));
    // few of them, and made equal soon: a suspect that is open stands for what is lost, too
    AIMS.put(
        "SUSPECT_BEFORE_COMMIT",
        new Aim(Profile.RIPENED)
            .leave()
            .commit("")
            .converge("FIRST_READ")
            .die("PRIMARY_COMMITTED"));
    // the suspect is made equal while what was purged is in flight
    AIMS.put(
        "LIST_AFTER_INFLIGHT",
        new Aim(Profile.PURGED)
            .leave()
            .commit("PRIMARY_COMMITTED:300:1", "ASKED:40:1")
            .converge("REPLAY_CLAIMED"));
    AIMS.put(
        "TRUNCATE_RECORDS_SNAPSHOT",
        new Aim(Profile.CLEARED).leave().commit("").converge("REPLAY_CLAIMED"));
    AIMS.put("MARKER", append.commit("MIRROR_COMMITTED"));
    AIMS.put("MARKER_BY_INSERT", append);
    AIMS.put("LOCK_THEN_DELETE_THEN_SNAPSHOT", log.commit("INTENT_APPENDED"));
    AIMS.put("SNAPSHOT_RECORDED", log);
    AIMS.put("LOCK_BEFORE_VISIBILITY", append.fill(0).converge("REPLAY_VISIBILITY"));
    // the other's flush must not hold up the recopy
    AIMS.put(
        "SUSPECT_CARRIES_XID",
        append.fill(1).commit("", "INTENT_APPENDED:600:1").converge("REPLAY_INSERTED"));
    AIMS.put("INCARNATION", new Aim(Profile.LONELY).leave().commit("INTENT_APPENDED"));
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
          boolean equal = runs.run(seed, length, Runs.ALWAYS, AIMS.get(rule));
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
