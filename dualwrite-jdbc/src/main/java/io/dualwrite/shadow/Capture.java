package io.dualwrite.shadow;

import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.postgresql.PGConnection;

/**
 * What the application read of one sampled result: recorded row by row while it iterates, at most
 * {@code dualwrite.shadow.max-rows} rows and {@code dualwrite.shadow.max-bytes}. No method throws:
 * what cannot be recorded is not compared. Used by one thread at a time, as its result is.
 */
public final class Capture {

  /** Settings of a session that change how results look, which the server tells its clients. */
  private static final String[] SESSION = {"TimeZone", "DateStyle", "IntervalStyle", "search_path"};

  private final ShadowReads reads;
  final String sql;
  final ShadowReads.Binder binder;
  final boolean ordered;
  final long primaryNanos;

  private final int maxRows;
  private final long maxBytes;
  private boolean done;
  private boolean bounded;
  private int statementMaxRows;
  private Rows columns;

  List<String[]> rows = new ArrayList<>();
  String[] labels = {};
  Map<String, String> session = Map.of();
  int fetchSize;
  long bytes;

  /** Whether the rows are the whole result, not only its beginning. */
  boolean complete;

  Capture(
      ShadowReads reads,
      String sql,
      ShadowReads.Binder binder,
      boolean ordered,
      long primaryNanos,
      int maxRows,
      long maxBytes) {
    this.reads = reads;
    this.sql = sql;
    this.binder = binder;
    this.ordered = ordered;
    this.primaryNanos = primaryNanos;
    this.maxRows = maxRows;
    this.maxBytes = maxBytes;
  }

  /** The result as the driver gave it, before its first row. Asks the server nothing. */
  public void open(ResultSet raw) {
    try {
      columns = new Rows(raw.getMetaData());
      labels = columns.labels;
      fetchSize = raw.getFetchSize();
      Statement s = raw.getStatement();
      if (s.getMaxFieldSize() != 0) {
        abandon("setMaxFieldSize shortens its values");
        return;
      }
      statementMaxRows = s.getMaxRows();
      if (s.getConnection().isWrapperFor(PGConnection.class)) {
        Map<String, String> all =
            s.getConnection().unwrap(PGConnection.class).getParameterStatuses();
        session = new HashMap<>();
        for (String name : SESSION) {
          String value = all.get(name);
          if (value != null) {
            session.put(name, value);
          }
        }
      }
    } catch (SQLException | RuntimeException e) {
      abandon("its description could not be read");
    }
  }

  /** The result stands on a row that the application has not seen before. */
  public void row(ResultSet raw) {
    if (done || bounded) {
      return;
    }
    if (rows.size() == maxRows) {
      bounded = true;
      return;
    }
    try {
      if (bytes + columns.bytes(raw) > maxBytes) {
        bounded = true;
        return;
      }
      String[] row = columns.read(raw);
      long size = 16;
      for (String v : row) {
        size += 8 + (v == null ? 0 : v.length());
      }
      if (bytes + size > maxBytes) {
        bounded = true;
        return;
      }
      bytes += size;
      rows.add(row);
    } catch (SQLException | RuntimeException e) {
      abandon("a row could not be read as text");
    }
  }

  /** There is no further row. */
  public void exhausted() {
    complete = !bounded && (statementMaxRows == 0 || rows.size() < statementMaxRows);
    finish();
  }

  /** The application is done with the result, whether it has read all of it or not. */
  public void closed() {
    finish();
  }

  private void finish() {
    if (done) {
      return;
    }
    done = true;
    if (!complete && !ordered) {
      reads.skipped(this, "not read to its end within the bounds, and in no order");
    } else if (!complete && rows.isEmpty()) {
      reads.skipped(this, "no row was read");
    } else {
      reads.submit(this);
    }
  }

  /** The result is not compared, for the reason given. */
  public void abandon(String why) {
    if (!done) {
      done = true;
      rows = List.of();
      reads.skipped(this, why);
    }
  }
}
