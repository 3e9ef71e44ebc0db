package io.dualwrite.jdbc;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What a statement of ours has beside the driver's: its options, which every driver's statement
 * that stands in for it gets, and the outcome of the last captured write. Belongs to one statement.
 */
final class StatementState {

  /** Something that was set on the statement. */
  @FunctionalInterface
  interface Option {
    void set(Statement on) throws SQLException;
  }

  private final Map<String, Option> options = new LinkedHashMap<>();
  private boolean closed;

  /** What the driver is executing now, for cancel() from another thread. */
  private volatile Statement running;

  /** The statement of the last captured write: closed with the next execution. */
  private Statement last;

  private Executed outcome;

  // ---- options

  void option(String name, Option option, Statement now) throws SQLException {
    if (now != null) {
      option.set(now);
    }
    options.put(name, option);
  }

  <S extends Statement> S configure(S statement) throws SQLException {
    for (Option o : options.values()) {
      o.set(statement);
    }
    return statement;
  }

  // ---- execution

  void checkOpen() throws SQLException {
    if (closed) {
      throw new SQLException("This statement has been closed.", "55000");
    }
  }

  boolean closed() {
    return closed;
  }

  void running(Statement statement) {
    running = statement;
  }

  void cancel() throws SQLException {
    Statement s = running;
    if (s != null) {
      s.cancel();
    }
  }

  /** Before every execution: the results of the one before go. */
  void forget() throws SQLException {
    outcome = null;
    Statement s = last;
    last = null;
    if (s != null) {
      s.close();
    }
  }

  void close() throws SQLException {
    closed = true;
    forget();
  }

  /**
   * Keeps a captured write's outcome; its statement stays open as long as its results may be read.
   */
  Executed keep(Executed executed, Statement statement) {
    outcome = executed;
    last = statement;
    return executed;
  }

  /** The driver's statement of the last captured write, if its warnings are there; else null. */
  Statement last() {
    return last;
  }

  boolean captured() {
    return outcome != null;
  }

  ResultSet result() {
    return outcome.result();
  }

  long updateCount() {
    return outcome.result() != null ? -1 : outcome.count();
  }

  ResultSet keys() {
    return outcome.keys();
  }

  /** There is never a second result. */
  void noMoreResults() throws SQLException {
    if (outcome.result() != null) {
      outcome.result().close();
    }
    outcome = new Executed(null, -1, outcome.keys());
  }

  // ---- captured writes

  /** A text for the driver, executed; null parameters: it has none. */
  Executed rows(
      DwConnection c, Statement owner, Planned planned, Plan.Rows plan, Parameters parameters)
      throws SQLException {
    Connection raw = c.raw();
    Statement s;
    boolean rows;
    if (parameters == null) {
      s =
          configure(
              raw.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY));
      s.setMaxRows(0); // every row that was written has to be seen
      running(s);
      rows = s.execute(plan.sql());
    } else {
      PreparedStatement p =
          configure(
              raw.prepareStatement(
                  plan.sql(), ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY));
      s = p;
      s.setMaxRows(0);
      parameters.apply(p);
      running(s);
      rows = p.execute();
    }
    if (!rows) {
      s.close();
      throw new SQLException("RETURNING gave no rows for: " + plan.sql(), "XX000");
    }
    ResultSet all = s.getResultSet();
    var written = Executed.rows(plan, all);
    if (!written.isEmpty()) {
      c.wrote(Executed.change(plan, written));
    }
    c.writer().counters.rows.increment();
    int visible = all.getMetaData().getColumnCount() - plan.columns().size();
    ResultSet result = null;
    ResultSet keys = null;
    if (visible == 0) {
      all.close();
    } else {
      all.beforeFirst();
      ResultSet ours = DwResultSet.of(all, owner, visible);
      if (planned.keys != null) {
        keys = ours;
      } else {
        result = ours;
      }
    }
    return keep(new Executed(result, written.size(), keys), s);
  }
}
