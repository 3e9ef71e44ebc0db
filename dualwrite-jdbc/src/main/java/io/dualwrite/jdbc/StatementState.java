package io.dualwrite.jdbc;

import io.dualwrite.sql.Sql;
import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.postgresql.util.GT;
import org.postgresql.util.PSQLException;
import org.postgresql.util.PSQLState;

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

  // these are null as long as there are none: most statements are made, executed once and closed

  private Map<String, Option> options;
  private boolean closed;

  /** What the driver is executing now, for cancel() from another thread. */
  private volatile Statement running;

  /** The statements of the last captured writes: closed with the next execution. */
  private List<Statement> open;

  private Executed outcome;

  /** What further statements of the same text had as outcomes. */
  private Deque<Executed> further;

  // ---- options

  void option(String name, Option option, Statement now) throws SQLException {
    if (now != null) {
      option.set(now);
    }
    if (options == null) {
      options = new LinkedHashMap<>();
    }
    options.put(name, option);
  }

  <S extends Statement> S configure(S statement) throws SQLException {
    if (options != null) {
      for (Option o : options.values()) {
        o.set(statement);
      }
    }
    return statement;
  }

  /** For a captured write: what it returns is seen whole, and every row of it. */
  <S extends Statement> S configureWhole(S statement) throws SQLException {
    configure(statement);
    if (options != null) {
      statement.setMaxRows(0);
      statement.setMaxFieldSize(0);
    }
    return statement;
  }

  // ---- execution

  void checkOpen() throws SQLException {
    if (closed) {
      throw new PSQLException(
          GT.tr("This statement has been closed."), PSQLState.OBJECT_NOT_IN_STATE);
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
    further = null;
    if (open != null) {
      List<Statement> those = open;
      open = null;
      for (Statement s : those) {
        s.close();
      }
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
    if (statement != null) {
      if (open == null) {
        open = new ArrayList<>(1);
      }
      open.add(statement);
    }
    return executed;
  }

  /** The outcomes of all statements of a text; the first is the one to begin with. */
  Executed keepAll(List<Executed> all) {
    further = new ArrayDeque<>(all.subList(1, all.size()));
    outcome = all.get(0);
    return outcome;
  }

  /** The driver's statement of the last captured write, if its warnings are there; else null. */
  Statement last() {
    return open == null ? null : open.get(open.size() - 1);
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

  /** Whether a result of the last execution is open; those that were passed by are not asked. */
  boolean resultOpen() throws SQLException {
    if (isOpen(outcome)) {
      return true;
    }
    if (further != null) {
      for (Executed e : further) {
        if (isOpen(e)) {
          return true;
        }
      }
    }
    return false;
  }

  private static boolean isOpen(Executed e) throws SQLException {
    return e.result() != null && !e.result().isClosed();
  }

  ResultSet keys() {
    return outcome.keys();
  }

  /**
   * Goes to the outcome of the next statement of the text.
   *
   * @return whether that is a result
   */
  boolean moreResults(boolean close) throws SQLException {
    if (close && outcome.result() != null) {
      outcome.result().close();
    }
    Executed next = further == null ? null : further.poll();
    outcome = next == null ? new Executed(null, -1, outcome.keys()) : next;
    return outcome.result() != null;
  }

  /** For executeQuery of a captured write: as the driver complains. */
  ResultSet query() throws SQLException {
    ResultSet rows = outcome.query();
    if (further != null && !further.isEmpty()) {
      throw new PSQLException(
          GT.tr("Multiple ResultSets were returned by the query."), PSQLState.TOO_MANY_RESULTS);
    }
    return rows;
  }

  /** For executeUpdate: the driver looks at all statements of the text. */
  long update() throws SQLException {
    if (further != null) {
      for (Executed e : further) {
        e.update();
      }
    }
    return outcome.update();
  }

  /**
   * What the driver says of a statement that has done its work, but has rows for an update, or none
   * for a query: to be thrown when what it wrote is captured and, in autocommit, committed.
   *
   * @throws PSQLException the error itself if it is another
   */
  static PSQLException complaint(PSQLException e) throws PSQLException {
    String state = e.getSQLState();
    if (e.getServerErrorMessage() == null
        && (PSQLState.TOO_MANY_RESULTS.getState().equals(state)
            || PSQLState.NO_DATA.getState().equals(state))) {
      return e;
    }
    throw e;
  }

  // ---- several statements in one text

  /** One of several statements, as it is executed by itself. */
  private final class One implements DwConnection.Execution<Executed> {
    private final DwConnection connection;
    private final AbstractStatement owner;
    private final Planned planned;
    private final Parameters parameters;

    One(DwConnection c, AbstractStatement owner, Planned planned, Parameters parameters) {
      this.connection = c;
      this.owner = owner;
      this.planned = planned;
      this.parameters = parameters;
    }

    @Override
    public Executed pass(Plan plan) throws SQLException {
      Connection raw = connection.raw();
      Statement s;
      boolean rows;
      if (parameters == null) {
        s = configure(raw.createStatement(owner.type, owner.concurrency));
        inFull(s);
        running(s);
        rows = s.execute(planned.sql);
      } else {
        PreparedStatement p =
            configure(raw.prepareStatement(planned.sql, owner.type, owner.concurrency));
        inFull(p);
        parameters.apply(p);
        s = p;
        running(s);
        rows = p.execute();
      }
      return keep(
          new Executed(
              rows ? DwResultSet.of(s.getResultSet(), owner) : null,
              rows ? -1 : s.getLargeUpdateCount(),
              null),
          s);
    }

    /** In autocommit the driver fetches nothing in portions: the transaction is over before. */
    private void inFull(Statement s) throws SQLException {
      if (connection.alone()) {
        s.setFetchSize(0);
      }
    }

    @Override
    public Executed captured(Plan plan) throws SQLException {
      if (plan instanceof Plan.Ctes ctes) {
        return ctes(connection, owner, planned, ctes, parameters);
      }
      Plan.Rows rows = plan instanceof Plan.Values v ? v.otherwise() : (Plan.Rows) plan;
      if (rows.sql() == null) {
        return pass(plan);
      }
      return rows(connection, owner, planned, rows, parameters);
    }

    @Override
    public Executed several(Plan.Several plan) {
      throw new AssertionError("one statement: " + planned.sql);
    }

    @Override
    public Executed done() {
      return keep(new Executed(null, 0, null), null);
    }

    @Override
    public String text() throws SQLException {
      return StatementState.text(connection, planned.sql, parameters);
    }

    @Override
    public boolean repeatable() {
      return parameters == null || parameters.repeatable();
    }
  }

  /** Executes the statements of a text one after the other. */
  Executed several(
      DwConnection c,
      AbstractStatement owner,
      List<String> keys,
      Plan.Several plan,
      Parameters parameters)
      throws SQLException {
    if (parameters != null && !(owner instanceof CallableStatement)) { // that has OUT parameters
      for (Plan.Part part : plan.parts()) {
        parameters.slice(part.firstParameter(), part.parameters()).requireAll();
      }
    }
    List<Executed> all = new ArrayList<>(plan.parts().size());
    for (Plan.Part part : plan.parts()) {
      Parameters its =
          parameters == null ? null : parameters.slice(part.firstParameter(), part.parameters());
      Planned planned =
          parameters == null
              ? new Planned(part.sql(), keys)
              : new Planned(part.sql(), keys, part.parameters());
      all.add(c.run(planned, new One(c, owner, planned, its)));
    }
    return keepAll(all);
  }

  /** The text with its values as literals. */
  static String text(DwConnection c, String sql, Parameters parameters) throws SQLException {
    if (parameters == null) {
      return sql;
    }
    try (PreparedStatement p = c.raw().prepareStatement(sql)) {
      parameters.apply(p);
      return p.toString();
    }
  }

  /** A statement with data-modifying queries in its WITH. */
  Executed ctes(
      DwConnection c, Statement owner, Planned planned, Plan.Ctes plan, Parameters parameters)
      throws SQLException {
    Connection raw = c.raw();
    boolean seen = plan.visible() > 0 || plan.applicationReturning();
    int type = seen ? ResultSet.TYPE_SCROLL_INSENSITIVE : ResultSet.TYPE_FORWARD_ONLY;
    PreparedStatement s =
        configureWhole(raw.prepareStatement(plan.sql(), type, ResultSet.CONCUR_READ_ONLY));
    s.setFetchSize(seen ? 0 : Portions.FIRST);
    if (parameters != null) {
      parameters.apply(s);
    }
    running(s);
    ResultSet all = s.executeQuery();
    long count = Executed.read(plan, all, c);
    c.writer().counters.rows.increment();
    ResultSet ours = null;
    if (seen) {
      all.beforeFirst();
      long max = owner.getMaxRows();
      ours =
          new FirstRows(
              all,
              owner,
              plan.visible(),
              max > 0 ? Math.min(max, count) : count,
              // the rows of several queries come from no table's column any more
              () ->
                  Planner.described(
                      c.raw(),
                      parameters == null
                          ? Sql.analyze(planned.sql, c.driver().getStandardConformingStrings())
                              .doubled(planned.sql)
                          : planned.sql,
                      planned.keys));
    } else {
      all.close();
    }
    // the driver asks for no keys of what is a query in the end
    boolean keys = planned.keys != null && plan.queries().get(0) != null;
    return keep(new Executed(keys ? null : ours, count, keys ? ours : null), s);
  }

  // ---- captured writes

  /**
   * Executes without the limits that the application set: a statement that the driver executes in
   * portions is over only when the last one has been asked for, and does not tell how many rows it
   * wrote.
   */
  <T> T whole(Statement s, DwConnection.Work<T> execution) throws SQLException {
    return whole(s, true, execution);
  }

  /**
   * In portions only in the application's own transaction: the driver fetches none in autocommit.
   */
  <T> T whole(DwConnection c, Statement s, DwConnection.Work<T> execution) throws SQLException {
    return c.alone() ? whole(s, false, execution) : execution.run();
  }

  /** Gives the statement something back. */
  private interface Restore extends AutoCloseable {
    @Override
    void close() throws SQLException;
  }

  @SuppressWarnings("try") // it is to be closed, and nothing else
  private static <T> T whole(Statement s, boolean everyRow, DwConnection.Work<T> execution)
      throws SQLException {
    int fetchSize = s.getFetchSize();
    int maxRows = s.getMaxRows();
    if (fetchSize == 0 && (maxRows == 0 || !everyRow)) {
      return execution.run();
    }
    s.setFetchSize(0);
    s.setMaxRows(everyRow ? 0 : maxRows);
    try (Restore limits =
        () -> {
          s.setFetchSize(fetchSize);
          s.setMaxRows(maxRows);
        }) {
      return execution.run();
    }
  }

  /**
   * A text for the driver, executed; null parameters: it has none. Where the application sees
   * nothing of the rows they are fetched in portions, and never all of them in memory.
   */
  Executed rows(
      DwConnection c, Statement owner, Planned planned, Plan.Rows plan, Parameters parameters)
      throws SQLException {
    Connection raw = c.raw();
    Statement s;
    boolean rows;
    boolean proves = c.wantsProof(plan.table());
    String sql = proves ? plan.proving() : plan.sql();
    boolean seen = planned.keys != null || plan.applicationReturning();
    int type = seen ? ResultSet.TYPE_SCROLL_INSENSITIVE : ResultSet.TYPE_FORWARD_ONLY;
    // an INSERT of a few rows needs no portions, and no portal of its own that errors would name
    int portion = seen || plan.few() ? 0 : Portions.FIRST;
    if (parameters == null) {
      s = configureWhole(raw.createStatement(type, ResultSet.CONCUR_READ_ONLY));
      s.setFetchSize(portion);
      running(s);
      rows = s.execute(sql);
    } else {
      PreparedStatement p =
          configureWhole(raw.prepareStatement(sql, type, ResultSet.CONCUR_READ_ONLY));
      s = p;
      s.setFetchSize(portion);
      parameters.apply(p);
      running(s);
      rows = p.execute();
    }
    if (!rows) {
      s.close();
      throw new SQLException("RETURNING gave no rows for: " + sql, "XX000");
    }
    ResultSet all = s.getResultSet();
    int visible = all.getMetaData().getColumnCount() - plan.columns().size() - (proves ? 1 : 0);
    long count = Executed.read(plan, all, c, proves);
    c.writer().counters.rows.increment();
    ResultSet result = null;
    ResultSet keys = null;
    if (visible == 0) {
      all.close();
    } else {
      all.beforeFirst();
      long max = owner.getMaxRows();
      ResultSet ours = new FirstRows(all, owner, visible, max > 0 ? Math.min(max, count) : count);
      if (planned.keys != null) {
        keys = ours;
      } else {
        result = ours;
      }
    }
    return keep(new Executed(result, count, keys), s);
  }

  /**
   * As the statement's own values say, and proven: it returns nothing else. Null parameters: it has
   * none.
   */
  Executed proven(DwConnection c, Plan.Values plan, List<String[]> rows, Parameters parameters)
      throws SQLException {
    Statement s;
    ResultSet proofs;
    if (parameters == null) {
      s = configureWhole(c.raw().createStatement());
      s.setFetchSize(0);
      running(s);
      proofs = s.executeQuery(plan.proving());
    } else {
      PreparedStatement p = configureWhole(c.raw().prepareStatement(plan.proving()));
      s = p;
      s.setFetchSize(0);
      parameters.apply(p);
      running(s);
      proofs = p.executeQuery();
    }
    long count = 0;
    while (proofs.next()) {
      if (count++ == 0) {
        c.prove(plan.table(), proofs.getString(1));
      }
    }
    proofs.close();
    if (count > 0) { // ZERO_NOT_SHIPPED
      c.wrote(plan.statement(), Executed.change(plan, rows));
    }
    c.writer().counters.values.increment();
    return keep(new Executed(null, count, null), s);
  }
}
