package io.dualwrite.jdbc;

import com.github.benmanes.caffeine.cache.Cache;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.Objects;

/**
 * A text and its plan, so that executing it again needs no look-up. Belongs to one connection; its
 * statements of the same text share it.
 */
final class Planned {

  final String sql;
  final List<String> keys;

  /** How many parameters the text has, if it is prepared. */
  final int parameters;

  /** A plain Statement's: a {@code ?} in it is an operator. */
  final boolean plain;

  /** Replaced as a whole: a connection may be used by one thread after another. */
  private Known known;

  /**
   * A plan, the version of the catalog that it holds for, and the cache that it is from.
   *
   * @param until when it is to be made anew, since nothing tells whether it still holds; or 0
   */
  record Known(Plan plan, int version, Cache<Epoch.Key, Known> from, long until) {

    /** Whether it is for one execution only. */
    boolean once() {
      return plan instanceof Plan.PassOnce || plan instanceof Plan.Refuse;
    }

    /** Whether it holds no longer. */
    boolean old(int now) {
      return version != now || until != 0 && System.nanoTime() - until >= 0;
    }
  }

  /**
   * @param keys the generated keys that the application wants: null for none, empty for all
   *     columns, else these
   */
  Planned(String sql, List<String> keys) {
    this(sql, keys, 0, true);
  }

  Planned(String sql, List<String> keys, int parameters) {
    this(sql, keys, parameters, false);
  }

  private Planned(String sql, List<String> keys, int parameters, boolean plain) {
    this.sql = sql;
    this.keys = keys;
    this.parameters = parameters;
    this.plain = plain;
  }

  boolean is(String sql, List<String> keys) {
    return this.sql.equals(sql) && Objects.equals(this.keys, keys);
  }

  Plan plan(
      Planner planner,
      Cache<Epoch.Key, Known> cache,
      String names,
      Connection primary,
      DualWriter writer)
      throws SQLException {
    Known k = known;
    if (k == null || k.old(writer.catalogVersion()) || k.from != cache || k.once()) {
      k = writer.plan(planner, sql, keys, names, primary, cache);
      known = k;
    }
    return k.plan;
  }
}
