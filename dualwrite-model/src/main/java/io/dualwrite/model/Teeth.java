package io.dualwrite.model;

import io.dualwrite.model.Explorer.Outcome;
import io.dualwrite.model.Rule.Style;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Every rule is needed: what is switched off, and the suites of which one must show it.
 *
 * @param off the rules that are switched off together
 * @param suites tried in this order
 */
record Teeth(Set<Rule> off, List<String> suites) {

  /** The faults that are enough to show each. */
  static final int FAULTS = 1;

  static List<Teeth> all() {
    List<String> any = List.of("direct", "backfill", "mixed");
    List<Teeth> l = new ArrayList<>();
    for (Rule r :
        List.of(
            Rule.FLUSH_BEFORE_COMMIT,
            Rule.INTENT_BEFORE_COMMIT,
            Rule.PULL_LATEST,
            Rule.RECHECK,
            Rule.WAIT_ENDED,
            Rule.WAIT_INFLIGHT)) {
      l.add(new Teeth(Set.of(r), any));
    }
    l.add(new Teeth(EnumSet.of(Rule.MISMATCH_ROLLS_BACK, Rule.ZERO_NOT_SHIPPED), any));
    add(l, "predicate", Rule.KEYS_NOT_PREDICATES);
    add(l, "foreign-key", Rule.CASCADE_CLOSURE, Rule.CHILDREN_UNDER_LOCK);
    add(l, "images", Rule.WHOLE_IMAGE);
    add(l, "savepoint", Rule.ROLLBACK_TO_TRUNCATES, Rule.ROLLBACK_TO_KEEPS);
    add(l, "rekey", Rule.REKEY_BY_OLD_KEY, Rule.REKEY_TAKES_BOTH);
    add(l, "unique", Rule.PULL_RIVALS, Rule.SWAP_IN_ONE_STATEMENT);
    add(l, "retry", Rule.RETRY_IS_FRESH);
    add(l, "large", Rule.SUSPECT_BEFORE_COMMIT, Rule.LIST_AFTER_INFLIGHT, Rule.SUSPECT_CARRIES_XID);
    add(l, "keyless", Rule.SUSPECT_CARRIES_XID);
    for (Rule r : Rule.values()) {
      if (r.style == Style.KEYLESS) {
        add(l, "keyless", r);
      } else if (r.style == Style.CUTOVER) {
        add(l, "cutover", r);
      }
    }
    return l;
  }

  private static void add(List<Teeth> l, String suite, Rule... rules) {
    for (Rule r : rules) {
      l.add(new Teeth(Set.of(r), List.of(suite)));
    }
  }

  /**
   * What goes wrong without the rules.
   *
   * @param suite the first suite that shows it
   * @param system the workload that shows it
   * @param states how many states were seen until then
   * @param what what is wrong
   */
  record Bite(String suite, TransitionSystem system, long states, String what) {}

  /** Looks for a violation; at first a little into every system, because most show it soon. */
  Optional<Bite> bite() {
    long states = 0;
    for (long limit : new long[] {100_000, Long.MAX_VALUE}) {
      for (String suite : suites) {
        for (TransitionSystem y : new Suites(off, FAULTS, false, false).systems(suite)) {
          Outcome o = Explorer.explore(y, limit);
          states += o.states();
          if (o.wrong() != null) {
            return Optional.of(new Bite(suite, y, states, o.wrong()));
          }
        }
      }
    }
    return Optional.empty();
  }
}
