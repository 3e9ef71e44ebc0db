package io.dualwrite.control;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

/**
 * Names the span of a server's life in which its transaction ids are not handed out twice.
 *
 * <p>A crash hands the ids of transactions that were not flushed to others, and {@code kill -9} of
 * a single backend is a crash of the whole server although the postmaster's start time stays: hence
 * the reset time of the statistics, which a crash recovery resets, and the timeline, which a
 * promotion changes. All readable by any role.
 *
 * @see <a href="https://www.postgresql.org/docs/current/functions-info.html">pg_control_checkpoint,
 *     pg_postmaster_start_time</a>
 */
public final class Incarnation {

  /**
   * An expression of SQL whose text value is the incarnation, cheap enough to be asked with every
   * new connection.
   */
  public static final String SQL =
      "(extract(epoch from pg_catalog.pg_postmaster_start_time())::numeric(20,6)::text || '/' ||"
          + " (select timeline_id from pg_catalog.pg_control_checkpoint())::text || '/' ||"
          + " coalesce((select extract(epoch from stats_reset)::numeric(20,6)::text from pg_catalog.pg_stat_bgwriter), ''))";

  private Incarnation() {}

  /** The incarnation of the server that the connection leads to. */
  public static String of(Connection connection) throws SQLException {
    try (Statement s = connection.createStatement();
        ResultSet r = s.executeQuery("select " + SQL)) {
      r.next();
      return r.getString(1);
    }
  }

  /**
   * Whether {@code a} is an earlier incarnation of the same server than {@code b}.
   *
   * <p>Ordered by the latest of the two moments each name contains.
   */
  public static boolean earlier(String a, String b) {
    if (a.equals(b)) {
      return false;
    }
    return moment(a).compareTo(moment(b)) < 0;
  }

  private static java.math.BigDecimal moment(String incarnation) {
    String[] parts = incarnation.split("/", -1);
    java.math.BigDecimal start = new java.math.BigDecimal(parts[0]);
    return parts[2].isEmpty() ? start : start.max(new java.math.BigDecimal(parts[2]));
  }
}
