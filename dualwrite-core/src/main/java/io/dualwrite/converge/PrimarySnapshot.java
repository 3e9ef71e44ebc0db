package io.dualwrite.converge;

import io.dualwrite.control.Incarnation;

/**
 * A snapshot of the primary.
 *
 * @param text as {@code pg_current_snapshot()} writes it: {@code xmin:xmax:xip,xip,…}
 * @param incarnation of the server it was taken on
 */
public record PrimarySnapshot(String text, String incarnation) {

  /**
   * Whether a top-level transaction was over when the snapshot was taken.
   *
   * <p>{@code INCARNATION}: transaction ids are compared only within one incarnation of the server.
   * A transaction of an earlier one was over; one of a later one cannot have been. Meaningless
   * where the two are not {@link #comparable}.
   *
   * @param xid its top-level {@code pg_current_xact_id()}; 0, no transaction, is always over
   * @param of the incarnation of the server it ran on
   */
  public boolean sees(long xid, String of) {
    if (xid == 0) {
      return true;
    }
    if (Rules.on(Rules.Rule.INCARNATION) && !Incarnation.same(of, incarnation)) {
      return Incarnation.earlier(of, incarnation);
    }
    // what pg_visible_in_snapshot does
    int a = text.indexOf(':');
    int b = text.indexOf(':', a + 1);
    if (xid < Long.parseUnsignedLong(text.substring(0, a))) {
      return true;
    }
    if (xid >= Long.parseUnsignedLong(text.substring(a + 1, b))) {
      return false;
    }
    return !("," + text.substring(b + 1) + ",").contains("," + xid + ",");
  }

  /** Whether it can be told if {@link #sees} transactions of another incarnation. */
  public boolean comparable(String other) {
    return !Rules.on(Rules.Rule.INCARNATION)
        || Incarnation.order(other, incarnation) != Incarnation.Order.UNKNOWN;
  }
}
