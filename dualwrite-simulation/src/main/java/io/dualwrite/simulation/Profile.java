package io.dualwrite.simulation;

import io.dualwrite.simulation.Chaos.Fault;
import io.dualwrite.simulation.Workload.Op;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What a run is most about: kinds of transactions, faults, and steps to linger at that together
 * make some interleavings likely which are rare among everything else. Everything else goes on
 * beside them.
 */
@SuppressWarnings("ImmutableEnumChecker") // nobody changes the maps and lists
enum Profile {
  /** Nothing in particular. */
  ALL(Map.of(), Map.of(), List.of(), List.of()),

  /** Rows that soon go again, or get another key, while the commits that brought them are late. */
  QUEUE(
      Map.of(Op.PUT, 70, Op.TAKE, 50, Op.REQUEUE, 50),
      Map.of(Fault.OUTLIVED_COMMIT, 25),
      List.of("PRIMARY_COMMITTED", "FLUSHED"),
      List.of("FIRST_READ", "WRITTEN")),

  /** Parents that go and come back with other children, and rows that everybody writes. */
  FAMILY(
      Map.of(Op.DROP_BASKET, 60, Op.FILL_BASKET, 120, Op.UPSERT, 20),
      Map.of(Fault.CUT_AT_COMMIT, 10),
      List.of("INTENT_APPENDED", "FLUSHED", "PRIMARY_COMMITTED"),
      List.of("FIRST_READ", "PARENTS_LOCKED")),

  /** Rows without a key, and what makes their tables suspect. */
  LOG(
      Map.of(Op.LOG, 60, Op.LOG_MANY, 20, Op.LOG_DELETE, 5, Op.AGE_LOG, 12),
      Map.of(Fault.OUTLIVED_COMMIT, 25),
      List.of("SUSPECTS_OPENED", "INTENT_APPENDED", "PRIMARY_COMMITTED"),
      List.of("RECOPY_LOCKED", "RECOPY_SNAPSHOT", "REPLAY_CLAIMED", "REPLAY_VISIBILITY")),

  /** Rows without a key and nothing that makes their tables suspect, with lost answers. */
  APPEND(
      Map.of(Op.LOG, 60, Op.LOG_MANY, 20, Op.COPY_KEYLESS, 10, Op.EVENT, 20),
      Map.of(Fault.OUTLIVED_COMMIT, 40, Fault.CUT_AT_COMMITTED, 20),
      List.of("MIRROR_COMMITTED", "PRIMARY_COMMITTED"),
      List.of("REPLAY_CLAIMED", "REPLAY_INSERTED")),

  /** Rows that nobody writes a second time, with commits that arrive late. */
  ONCE(
      Map.of(Op.COPY_KEYED, 40, Op.PUT, 40, Op.ORDER, 10),
      Map.of(Fault.OUTLIVED_COMMIT, 60, Fault.STALL_AT_COMMIT, 10),
      List.of("INTENT_APPENDED", "FLUSHED"),
      List.of("FIRST_READ", "WRITTEN")),

  /** Few rows that several processes write, one of them late. */
  CONTENDED(
      Map.of(Op.UPSERT, 60, Op.UPDATE, 60, Op.DELETE, 20, Op.READING, 30, Op.UPDATE_BY_VALUE, 40),
      Map.of(Fault.CUT_AT_COMMIT, 10),
      List.of("FLUSHED"),
      List.of("FIRST_READ")),

  /**
   * Nothing but parents that one process deletes and puts back while others give them children.
   * Nobody else touches the parents: that a replay waits for anything but these children would hide
   * whether it waits for them.
   */
  KIN(
      Map.of(Op.RENEW_BASKET, 1, Op.ADD_ENTRIES, 1),
      Map.of(Fault.OUTLIVED_COMMIT, 5),
      List.of("PRIMARY_COMMITTED"),
      List.of("PARENTS_LOCKED", "FIRST_READ")),

  /** Rows that a function changes, of which nobody knows which, and little else. */
  RIPENED(
      Map.of(Op.LOG, 60, Op.RIPEN_LOG, 3),
      Map.of(Fault.CUT_AT_COMMIT, 10),
      List.of("PRIMARY_COMMITTED", "SUSPECTS_OPENED"),
      List.of("RECOPY_SNAPSHOT")),

  /** Rows that a function deletes, of which nobody knows which, while others bring new ones. */
  PURGED(
      Map.of(Op.PUT, 10, Op.PURGE, 10),
      Map.of(Fault.OUTLIVED_COMMIT, 5),
      List.of("PRIMARY_COMMITTED"),
      List.of("FIRST_READ")),

  /** Tables without a key that one process empties while others fill them. */
  CLEARED(
      Map.of(Op.CLEAR_LOG, 5, Op.LOG, 60, Op.LOG_MANY, 20),
      Map.of(Fault.OUTLIVED_COMMIT, 5),
      List.of("PRIMARY_COMMITTED"),
      List.of("REPLAY_CLAIMED")),

  /** One thread alone with a source that crashes: it gives transaction ids out again. */
  LONELY(
      Map.of(Op.LOG, 200),
      Map.of(Fault.CRASH, 60),
      List.of("INTENT_APPENDED"),
      List.of("REPLAY_CLAIMED"));

  private final Map<Op, Integer> operations;
  private final Map<Fault, Integer> faults;
  private final List<String> commitSteps;
  private final List<String> convergenceSteps;

  Profile(
      Map<Op, Integer> operations,
      Map<Fault, Integer> faults,
      List<String> commitSteps,
      List<String> convergenceSteps) {
    this.operations = operations;
    this.faults = faults;
    this.commitSteps = commitSteps;
    this.convergenceSteps = convergenceSteps;
  }

  /** How often each operation comes in that writer, in their order. */
  int[] operations(int writer) {
    Set<Op> leaves =
        switch (this) {
          case KIN -> Set.of(writer == 1 ? Op.ADD_ENTRIES : Op.RENEW_BASKET);
          case PURGED -> Set.of(writer == 1 ? Op.PUT : Op.PURGE);
          case CLEARED -> writer == 1 ? Set.of(Op.CLEAR_LOG) : Set.of();
          default -> Set.of();
        };
    return Arrays.stream(Op.values())
        .mapToInt(o -> leaves.contains(o) ? 0 : others(o) + operations.getOrDefault(o, 0))
        .toArray();
  }

  /** How often each fault comes, in their order. */
  int[] faults(boolean crashes) {
    return Arrays.stream(Fault.values())
        .mapToInt(
            f -> f == Fault.CRASH && !crashes ? 0 : share(f.weight) + faults.getOrDefault(f, 0))
        .toArray();
  }

  /** Where what went wrong must stay, nothing may come by that puts it right. */
  private int others(Op o) {
    return List.of(APPEND, ONCE, CONTENDED, KIN, RIPENED, PURGED, CLEARED).contains(this)
        ? 0
        : share(o.weight);
  }

  private int share(int weight) {
    return this == ALL ? weight : (weight + 3) / 4;
  }

  /**
   * Whether a writer leaves everything to its replayer, while others write directly to the same
   * rows; null: by chance.
   */
  Boolean async(int writer) {
    return this == ALL || this == LONELY ? null : Boolean.valueOf(writer == 1);
  }

  /**
   * After how many transactions the keys move on: the fewer, the more is left of what went wrong.
   */
  int window() {
    return this == ALL ? 150 : 50;
  }

  /** How many of a hundred operations are about one of very few keys. */
  int hot() {
    return this == ALL ? 40 : 80;
  }

  /** How often a process dies at a step of a commit, of convergence, at once, later or not. */
  int[] deaths() {
    return this == ALL ? new int[] {5, 4, 2, 2} : new int[] {2, 2, 1, 5};
  }

  /** Of a run. */
  static Profile draw(Dice dice) {
    return values()[dice.weighted(6, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1)];
  }

  /** A step of a commit, more often one of those that matter here. */
  String commitStep(Dice dice) {
    return dice.of(commitSteps.isEmpty() || dice.percent(25) ? Death.COMMIT_STEPS : commitSteps);
  }

  /** A step of replay, resync or recopy, likewise. */
  String convergenceStep(Dice dice) {
    return dice.of(
        convergenceSteps.isEmpty() || dice.percent(25)
            ? Death.CONVERGENCE_STEPS
            : convergenceSteps);
  }
}
