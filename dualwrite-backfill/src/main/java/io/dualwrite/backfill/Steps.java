package io.dualwrite.backfill;

import java.sql.SQLException;

/** Called between the steps of a chunk, so that a test can put any event there. */
@FunctionalInterface
interface Steps {

  /** Where the worker is. */
  enum Step {
    /** The task is claimed; nothing is read. */
    CLAIMED,
    /**
     * The source was read for the first time, or, for what travels as it is, its snapshot is taken;
     * nothing is inserted.
     */
    READ,
    /** The rows are inserted on the target, uncommitted. */
    INSERTED,
    /** The source was read again and what moved is corrected; nothing is committed. */
    CORRECTED,
    /** The task is marked done, uncommitted. */
    MARKED
  }

  /** Does nothing. */
  Steps NONE = (step, task) -> {};

  /** The worker that copies {@code task} is at {@code step}. */
  void at(Step step, Task task) throws SQLException;
}
