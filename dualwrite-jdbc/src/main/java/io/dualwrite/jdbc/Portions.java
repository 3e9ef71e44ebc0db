package io.dualwrite.jdbc;

import java.sql.ResultSet;
import java.sql.SQLException;

/**
 * Rows that are fetched, and handed on, in portions of so many rows and so many bytes. How wide
 * they are shows only when they are there: few are fetched first, then as many as the widest so far
 * allows.
 */
final class Portions {

  /** How many rows are fetched first. */
  static final int FIRST = 16;

  /** How many rows a portion has at most. */
  static final int MOST = 1000;

  private static final long BYTES = 2 << 20;

  private final ResultSet from;
  private int fetched;
  private int read;
  private long widest = 1;
  private int rows;
  private long bytes;

  /** Of a result that nobody has read of yet; if all of it is there already it stays what it is. */
  Portions(ResultSet from) throws SQLException {
    this.from = from;
    fetched = from.getFetchSize();
  }

  /** A row was read; whether it and those since the last portion are the next one. */
  boolean full(String[] row) throws SQLException {
    long width = 24;
    for (String v : row) {
      width += v == null ? 4 : 60 + v.length();
    }
    widest = Math.max(widest, width);
    if (++read == fetched) {
      read = 0;
      fetched = (int) Math.max(1, Math.min(BYTES / widest, Math.min(MOST, 8 * fetched)));
      from.setFetchSize(fetched);
    }
    bytes += width;
    if (++rows < MOST && bytes < BYTES) {
      return false;
    }
    rows = 0;
    bytes = 0;
    return true;
  }
}
