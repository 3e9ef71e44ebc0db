package io.dualwrite.backfill.doctor;

import io.dualwrite.backfill.doctor.Finding.Severity;
import io.dualwrite.backfill.doctor.Finding.Topic;
import io.dualwrite.control.Side;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Collects what the checks find. Not thread-safe. */
final class Findings {

  /** A step that may fail on its own. */
  interface Step {
    void run() throws SQLException;
  }

  private final List<Finding> all = new ArrayList<>();
  private final Set<String> accepted;

  Findings(Set<String> accepted) {
    this.accepted = accepted;
  }

  /** By topic, what blocks first. */
  List<Finding> all() {
    return all.stream()
        .sorted(Comparator.comparing(Finding::topic).thenComparing(Finding::severity))
        .toList();
  }

  void add(
      Severity severity,
      Topic topic,
      Side side,
      String code,
      String meaning,
      String action,
      Collection<String> objects) {
    Finding f =
        new Finding(
            severity,
            topic,
            Optional.ofNullable(side),
            code,
            meaning,
            action,
            List.copyOf(objects));
    all.add(severity == Severity.BLOCK && accepted.contains(code) ? f.as(Severity.WARN) : f);
  }

  void block(Topic topic, Side side, String code, String meaning, String action) {
    add(Severity.BLOCK, topic, side, code, meaning, action, List.of());
  }

  void warn(Topic topic, Side side, String code, String meaning, String action) {
    add(Severity.WARN, topic, side, code, meaning, action, List.of());
  }

  void info(Topic topic, Side side, String code, String meaning) {
    add(Severity.INFO, topic, side, code, meaning, "", List.of());
  }

  /** Does a step; what it may not see is said, and the next one goes on. */
  void step(Topic topic, Side side, String what, Step step) {
    try {
      step.run();
    } catch (SQLException e) {
      String why = e.getMessage().strip().replaceAll("\\s*\\R\\s*", "; ");
      warn(
          topic,
          side,
          "not-checked",
          "Could not look at " + what + ": " + why + ".",
          "Give the role that right, or look yourself.");
    }
  }

  /** {@code 1 table}, {@code 2 tables}. */
  static String count(int n, String one) {
    return n + " " + (n == 1 ? one : one + "s");
  }
}
