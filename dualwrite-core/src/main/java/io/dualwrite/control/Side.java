package io.dualwrite.control;

/** One of the two databases, fixed for the whole migration. */
public enum Side {
  /** The database moved from. */
  SOURCE,
  /** The database moved to. */
  TARGET;

  /** The other one. */
  public Side other() {
    return this == SOURCE ? TARGET : SOURCE;
  }

  /** {@code source} or {@code target}. */
  @Override
  public String toString() {
    return this == SOURCE ? "source" : "target";
  }
}
