package io.dualwrite.control;

/**
 * Who is primary. The epoch rises by one with every flip: even epochs have the source as primary,
 * odd ones the target.
 *
 * @param epoch how often the roles were exchanged since dual-write began
 */
public record Roles(long epoch) {
  /** The side whose answers the application sees. */
  public Side primary() {
    return (epoch & 1) == 0 ? Side.SOURCE : Side.TARGET;
  }

  /** The other side. */
  public Side mirror() {
    return primary().other();
  }

  /** Those of a later epoch with the same primary, if this is one; else these. */
  public Roles orLater(long other) {
    return other > epoch && new Roles(other).primary() == primary() ? new Roles(other) : this;
  }

  /** The roles exchanged. */
  public Roles flipped() {
    return new Roles(epoch + 1);
  }
}
