package io.dualwrite.converge;

/**
 * What a recopy did.
 *
 * @param rows how many rows were copied
 * @param snapshot the primary's snapshot that the copy saw ({@code pg_current_snapshot()}); of
 *     several leaves the earliest
 * @param incarnation of the primary's server, in which the snapshot means something
 */
public record RecopyResult(long rows, String snapshot, String incarnation) {

  /**
   * Whether the copy saw the end of a transaction of the primary: see {@link
   * PrimarySnapshot#sees(long, String)}.
   */
  public boolean sees(long xid, String of) {
    return new PrimarySnapshot(snapshot, incarnation).sees(xid, of);
  }
}
