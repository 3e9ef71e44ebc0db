package io.dualwrite.jdbc;

import com.github.benmanes.caffeine.cache.Cache;
import io.dualwrite.control.Phase;
import io.dualwrite.control.Roles;
import io.dualwrite.converge.Convergence;
import io.dualwrite.converge.Replayer;
import io.dualwrite.sql.SqlCache;
import java.util.List;

/**
 * Everything that holds between two changes of roles or phase, read with one volatile access.
 * Immutable but for its cache of plans.
 *
 * @param capturing whether writes are mirrored in this phase
 */
record Epoch(
    Roles roles,
    Phase phase,
    boolean capturing,
    Database primary,
    Database mirror,
    Planner planner,
    Cache<Key, Planned.Known> plans,
    Convergence convergence,
    Replayer replayer) {

  /**
   * What a plan depends on besides the catalog: the text, what the application wants as generated
   * keys, and what names mean to the session.
   *
   * @param names the session's schemas and role, when the connection was taken; see {@link
   *     DwConnection}
   */
  record Key(String sql, List<String> keys, String names) {}

  static Cache<Key, Planned.Known> cache(int entries) {
    return SqlCache.<Key, Planned.Known>bounded(entries, (key, known) -> size(key, known.plan()))
        .build();
  }

  /** In bytes, about: a plan holds its text in several forms. */
  private static int size(Key key, Plan plan) {
    int values = plan instanceof Plan.Values v ? v.rows().size() * v.columns().size() : 0;
    return 6 * key.sql.length() + 100 * values;
  }
}
