package io.dualwrite.jdbc;

import com.github.benmanes.caffeine.cache.Cache;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;

/**
 * A text and its plan, kept with a statement so that executing it again needs no look-up. Belongs
 * to one statement.
 */
final class Planned {

  final String sql;
  final List<String> keys;
  private Cache<Epoch.Key, Plan> from;
  private Plan plan;
  private int version;

  /**
   * @param keys the generated keys that the application wants: null for none, empty for all
   *     columns, else these
   */
  Planned(String sql, List<String> keys) {
    this.sql = sql;
    this.keys = keys;
  }

  Plan plan(Planner planner, Cache<Epoch.Key, Plan> cache, Connection primary, DualWriter writer)
      throws SQLException {
    int now = writer.catalogVersion();
    if (plan == null || from != cache || version != now || plan instanceof Plan.PassOnce) {
      plan = writer.plan(planner, sql, keys, primary, cache);
      from = cache;
      version = now;
    }
    return plan;
  }
}
