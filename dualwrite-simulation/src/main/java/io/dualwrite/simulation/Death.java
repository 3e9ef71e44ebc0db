package io.dualwrite.simulation;

import java.util.List;

/** The named steps at which the product ends its process when a test property says so. */
final class Death {

  private Death() {}

  /** {@code dualwrite.test.die-at}: of a commit. */
  static final List<String> COMMIT_STEPS =
      List.of(
          "ASKED",
          "SUSPECTS_OPENED",
          "FLUSHED",
          "INTENT_APPENDED",
          "PRIMARY_COMMITTED",
          "MIRROR_COMMITTED",
          "RESOLVED_APPENDED");

  /** {@code dualwrite.test.die-in-convergence-at}: of replay, resync and recopy. */
  static final List<String> CONVERGENCE_STEPS =
      List.of(
          "FIRST_READ",
          "PARENTS_LOCKED",
          "WRITTEN",
          "SECOND_READ",
          "CHECKED",
          "COMMITTED",
          "RECOPY_LOCKED",
          "RECOPY_SNAPSHOT",
          "RECOPY_COPIED",
          "REPLAY_CLAIMED",
          "REPLAY_VISIBILITY",
          "REPLAY_INSERTED");
}
