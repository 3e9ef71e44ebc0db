package io.dualwrite.jdbc;

import io.dualwrite.control.Roles;
import java.time.Duration;
import java.util.List;

/**
 * What an exchange of roles did.
 *
 * @param roles the roles from now on
 * @param pause how long transactions were held back
 * @param drained units of work that were still pending when the pause began
 * @param sequences how many sequences were set on the new primary
 * @param steps what was done, in order, for people
 */
public record CutoverReport(
    Roles roles, Duration pause, long drained, int sequences, List<String> steps) {
  /** Copies the list. */
  public CutoverReport {
    steps = List.copyOf(steps);
  }
}
