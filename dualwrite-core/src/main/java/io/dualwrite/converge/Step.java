package io.dualwrite.converge;

/**
 * The named steps at which a test may do something of its own, or end the process; and at which a
 * {@link Preview} leaves.
 */
enum Step {
  FIRST_READ,
  PARENTS_LOCKED,
  WRITTEN,
  SECOND_READ,
  CHECKED,
  COMMITTED,
  RECOPY_LOCKED,
  RECOPY_SNAPSHOT,
  RECOPY_COPIED,
  REPLAY_CLAIMED,
  REPLAY_VISIBILITY,
  REPLAY_INSERTED
}
