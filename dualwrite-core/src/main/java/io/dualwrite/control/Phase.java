package io.dualwrite.control;

import java.util.Locale;

/** Where a migration stands. */
public enum Phase {
  /** The application writes to the source alone. */
  OFF,
  /** Every write reaches both; the source is primary. */
  DUAL_WRITE,
  /** As {@code DUAL_WRITE}; sampled reads run on the mirror too and are compared. */
  SHADOW,
  /** Every write reaches both; the target is primary and the source is kept as the way back. */
  TARGET_PRIMARY,
  /** The application writes to the target alone. The way back is closed. */
  TARGET_ONLY;

  /** Whether writes are mirrored. */
  public boolean mirrors() {
    return this != OFF && this != TARGET_ONLY;
  }

  /**
   * {@code off}, {@code dual-write}, {@code shadow}, {@code target-primary}, {@code target-only}.
   */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /**
   * Reads what {@link #toString()} writes.
   *
   * @throws IllegalArgumentException if it is none of them; the message lists them
   */
  public static Phase parse(String text) {
    for (Phase p : values()) {
      if (p.toString().equals(text.trim().toLowerCase(Locale.ROOT))) {
        return p;
      }
    }
    throw new IllegalArgumentException(
        "dualwrite.phase is '"
            + text
            + "'; it is one of off, dual-write, shadow, target-primary, target-only");
  }
}
