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

  /**
   * @param keys the generated keys that the application wants: null for none, empty for all
   *     columns, else these
   */
  Planned(String sql, List<String> keys) {
    this.sql = sql;
    this.keys = keys;
  }

  Plan plan(Epoch epoch, Cache<Epoch.Key, Plan> cache, Connection primary, DualWriter writer)
      throws SQLException {
    if (plan == null || from != cache || plan instanceof Plan.PassOnce) {
      plan = writer.plan(epoch, sql, keys, primary, cache);
      from = cache;
    }
    return plan;
  }
}
