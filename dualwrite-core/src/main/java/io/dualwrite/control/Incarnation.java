package io.dualwrite.control;

import java.math.BigDecimal;
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
 * <p>{@code start/timeline/reset}. The timeline is that of the log being written, eight hexadecimal
 * digits as in its files' names, and empty on a standby. Names made before it was read there have
 * that of the last checkpoint, in decimal, which is the old one until the first checkpoint after a
 * promotion has ended; journals and control tables may hold them for long.
 *
 * @see <a href="https://www.postgresql.org/docs/current/functions-admin.html">pg_current_wal_lsn,
 *     pg_walfile_name</a>
 */
public final class Incarnation {

  /** An expression of SQL whose text value is the server's timeline; empty on a standby. */
  public static final String TIMELINE =
      "case when pg_catalog.pg_is_in_recovery() then ''"
          + " else pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) end";

  /**
   * An expression of SQL whose text value is the incarnation, cheap enough to be asked with every
   * new connection.
   */
  public static final String SQL =
      "(extract(epoch from pg_catalog.pg_postmaster_start_time())::numeric(20,6)::text || '/' || "
          + TIMELINE
          + " || '/' ||"
          + " coalesce((select extract(epoch from stats_reset)::numeric(20,6)::text from pg_catalog.pg_stat_bgwriter), ''))";

  /** How two incarnations of a primary stand to each other. */
  public enum Order {
    /** One and the same. */
    SAME,
    /** The first was over before the second began. */
    EARLIER,
    /** The first began after the second was over. */
    LATER,
    /** What the names say does not go together: nobody can tell. */
    UNKNOWN
  }

  private static final int DIGITS = 8;

  private Incarnation() {}

  /** The incarnation of the server that the connection leads to. */
  public static String of(Connection connection) throws SQLException {
    try (Statement s = connection.createStatement();
        ResultSet r = s.executeQuery("select " + SQL)) {
      r.next();
      return r.getString(1);
    }
  }

  /** Whether both name the same incarnation. */
  public static boolean same(String a, String b) {
    return order(a, b) == Order.SAME;
  }

  /** Whether {@code a} was over before {@code b} began, as far as that can be told. */
  public static boolean earlier(String a, String b) {
    return order(a, b) == Order.EARLIER;
  }

  /**
   * How {@code a} stands to {@code b}.
   *
   * <p>Ordered by the timelines, and within one by the latest of the two moments each name
   * contains. A server that was promoted may have started long before the one it took over from
   * did, and one that was left may be started again: where timelines and moments disagree nobody
   * can tell.
   */
  public static Order order(String a, String b) {
    if (a.equals(b)) {
      return Order.SAME;
    }
    String[] x = a.split("/", -1);
    String[] y = b.split("/", -1);
    if (x.length != 3 || y.length != 3) {
      return Order.UNKNOWN;
    }
    if (x[0].equals(y[0]) && x[2].equals(y[2])) {
      return Order.SAME; // a postmaster has one timeline for as long as it is a primary
    }
    if (x[1].isEmpty() || y[1].isEmpty()) {
      return Order.UNKNOWN;
    }
    int moments = moment(x).compareTo(moment(y));
    int timelines = Long.compare(timeline(x[1]), timeline(y[1]));
    if (timelines == 0 && x[1].length() != DIGITS && y[1].length() != DIGITS) {
      return Order.UNKNOWN; // one of them may have been promoted a moment before
    }
    if (moments == 0 || timelines * moments < 0) {
      return Order.UNKNOWN;
    }
    return moments < 0 ? Order.EARLIER : Order.LATER;
  }

  private static long timeline(String text) {
    return Long.parseLong(text, text.length() == DIGITS ? 16 : 10);
  }

  private static BigDecimal moment(String[] incarnation) {
    BigDecimal start = new BigDecimal(incarnation[0]);
    return incarnation[2].isEmpty() ? start : start.max(new BigDecimal(incarnation[2]));
  }
}
