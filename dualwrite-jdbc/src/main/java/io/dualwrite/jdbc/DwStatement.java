package io.dualwrite.jdbc;

import io.dualwrite.sql.RowOrder;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.text.MessageFormat;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.regex.Pattern;
import org.postgresql.util.GT;
import org.postgresql.util.PSQLException;

/** A statement of the application's. */
final class DwStatement extends AbstractStatement {

  /** The last thing that was executed was a batch, which leaves no update count. */
  private boolean batched;

  private final List<String> batch = new ArrayList<>();

  /** In what the driver says of a batch, the first one is the entry's, as in 4,321. */
  private static final Pattern NUMBER = Pattern.compile("[0-9]{1,4}(?:[^0-9 ][0-9]{3})?");

  DwStatement(DwConnection connection, int type, int concurrency, int holdability) {
    super(connection, type, concurrency, holdability);
  }

  @Override
  Statement open(Connection on) throws SQLException {
    return holdability == 0
        ? on.createStatement(type, concurrency)
        : on.createStatement(type, concurrency, holdability);
  }

  // ---- execution

  /** What execution as the application gave it looks like. */
  @FunctionalInterface
  private interface OnDriver<T> {
    T call(Statement driver, Plan plan) throws SQLException;
  }

  /** How a captured write's outcome is handed to the application. */
  @FunctionalInterface
  private interface Outcome<T> {
    T of(Executed executed) throws SQLException;
  }

  /** One execution: on the driver as it is, or captured. */
  private final class Run<T> implements DwConnection.Execution<T> {
    private final Planned planned;
    private final OnDriver<T> asGiven;
    private Executed executed;
    private PSQLException complaint;

    Run(Planned planned, OnDriver<T> asGiven) {
      this.planned = planned;
      this.asGiven = asGiven;
    }

    @Override
    public T pass(Plan plan) throws SQLException {
      Statement s = raw();
      state.running(s);
      try {
        return state.whole(connection, s, () -> asGiven.call(s, plan));
      } catch (PSQLException e) {
        complaint = StatementState.complaint(e);
        return null;
      }
    }

    @Override
    public T captured(Plan plan) throws SQLException {
      if (plan instanceof Plan.Values v) {
        List<String[]> rows = Executed.rows(v, null, connection.clock());
        if (rows == null) {
          return pass(plan); // the primary refuses it in its own words
        }
        if (v.proving() != null && connection.wantsProof(v.table())) {
          executed = state.proven(connection, v, rows, null);
        } else {
          Statement s = raw();
          state.running(s);
          executed = values(v, rows, planned, s);
        }
      } else if (plan instanceof Plan.Ctes ctes) {
        executed = state.ctes(connection, DwStatement.this, planned, ctes, null);
      } else {
        executed = state.rows(connection, DwStatement.this, planned, (Plan.Rows) plan, null);
      }
      return null;
    }

    @Override
    public T several(Plan.Several plan) throws SQLException {
      executed = state.several(connection, DwStatement.this, planned.keys, plan, null);
      return null;
    }

    @Override
    public T done() {
      executed = state.keep(new Executed(null, 0, null), null);
      return null;
    }

    @Override
    public String text() {
      return planned.sql;
    }
  }

  private <T> T run(String sql, List<String> keys, OnDriver<T> asGiven, Outcome<T> outcome)
      throws SQLException {
    state.checkOpen();
    finishTee();
    state.forget();
    batched = false;
    Planned planned = new Planned(sql, keys);
    Run<T> run = new Run<>(planned, asGiven);
    T result = connection.run(planned, run);
    if (run.complaint != null) {
      throw run.complaint;
    }
    // outside of the transaction: the driver, too, complains only after the statement has taken
    // effect
    return run.executed == null ? result : outcome.of(run.executed);
  }

  private Executed values(Plan.Values plan, List<String[]> rows, Planned planned, Statement s)
      throws SQLException {
    boolean result =
        state.whole(
            s,
            () ->
                planned.keys == null
                    ? s.execute(planned.sql)
                    : planned.keys.isEmpty()
                        ? s.execute(planned.sql, Statement.RETURN_GENERATED_KEYS)
                        : s.execute(planned.sql, planned.keys.toArray(new String[0])));
    ResultSet returned = result ? DwResultSet.of(s.getResultSet(), this) : null;
    long count = result ? rows.size() : s.getLargeUpdateCount();
    if (count > 0) {
      connection.wrote(plan.statement(), Executed.change(plan, rows));
    }
    connection.writer().counters.values.increment();
    return state.keep(
        new Executed(
            returned,
            count,
            planned.keys == null ? null : DwResultSet.of(s.getGeneratedKeys(), this)),
        null);
  }

  @Override
  public ResultSet executeQuery(String sql) throws SQLException {
    return run(sql, null, (d, p) -> query(sql, d, p), e -> state.query());
  }

  private ResultSet query(String sql, Statement s, Plan plan) throws SQLException {
    if (!samples(plan)) {
      return DwResultSet.of(s.executeQuery(sql), this);
    }
    long start = System.nanoTime();
    ResultSet rows = s.executeQuery(sql);
    boolean ordered = ((Plan.Pass) plan).shadow() == RowOrder.ORDERED;
    return tee(rows, connection.writer().shadow.capture(sql, null, ordered, start));
  }

  @Override
  public long executeLargeUpdate(String sql) throws SQLException {
    return run(sql, null, (d, p) -> d.executeLargeUpdate(sql), e -> state.update());
  }

  @Override
  public long executeLargeUpdate(String sql, int autoGeneratedKeys) throws SQLException {
    if (autoGeneratedKeys != RETURN_GENERATED_KEYS) {
      return executeLargeUpdate(sql);
    }
    return run(
        sql,
        List.of(),
        (d, p) -> d.executeLargeUpdate(sql, autoGeneratedKeys),
        e -> state.update());
  }

  @Override
  public long executeLargeUpdate(String sql, int[] columnIndexes) throws SQLException {
    if (columnIndexes == null || columnIndexes.length == 0) {
      return executeLargeUpdate(sql);
    }
    return raw()
        .executeLargeUpdate(sql, columnIndexes); // the driver does not know this either and says so
  }

  @Override
  public long executeLargeUpdate(String sql, String[] columnNames) throws SQLException {
    if (columnNames == null || columnNames.length == 0) {
      return executeLargeUpdate(sql);
    }
    return run(
        sql,
        List.copyOf(Arrays.asList(columnNames)),
        (d, p) -> d.executeLargeUpdate(sql, columnNames),
        e -> state.update());
  }

  @Override
  public int executeUpdate(String sql) throws SQLException {
    return Counts.toInt(executeLargeUpdate(sql));
  }

  @Override
  public int executeUpdate(String sql, int autoGeneratedKeys) throws SQLException {
    return Counts.toInt(executeLargeUpdate(sql, autoGeneratedKeys));
  }

  @Override
  public int executeUpdate(String sql, int[] columnIndexes) throws SQLException {
    return Counts.toInt(executeLargeUpdate(sql, columnIndexes));
  }

  @Override
  public int executeUpdate(String sql, String[] columnNames) throws SQLException {
    return Counts.toInt(executeLargeUpdate(sql, columnNames));
  }

  @Override
  public boolean execute(String sql) throws SQLException {
    return run(sql, null, (d, p) -> d.execute(sql), e -> e.result() != null);
  }

  @Override
  public boolean execute(String sql, int autoGeneratedKeys) throws SQLException {
    if (autoGeneratedKeys != RETURN_GENERATED_KEYS) {
      return execute(sql);
    }
    return run(
        sql, List.of(), (d, p) -> d.execute(sql, autoGeneratedKeys), e -> e.result() != null);
  }

  @Override
  public boolean execute(String sql, int[] columnIndexes) throws SQLException {
    if (columnIndexes == null || columnIndexes.length == 0) {
      return execute(sql);
    }
    return raw().execute(sql, columnIndexes); // the driver does not know this either and says so
  }

  @Override
  public boolean execute(String sql, String[] columnNames) throws SQLException {
    if (columnNames == null || columnNames.length == 0) {
      return execute(sql);
    }
    return run(
        sql,
        List.copyOf(Arrays.asList(columnNames)),
        (d, p) -> d.execute(sql, columnNames),
        e -> e.result() != null);
  }

  // ---- batches

  @Override
  public void addBatch(String sql) throws SQLException {
    state.checkOpen();
    batch.add(sql);
  }

  @Override
  public void clearBatch() throws SQLException {
    state.checkOpen();
    batch.clear();
  }

  @Override
  public int[] executeBatch() throws SQLException {
    return Counts.toInts(executeLargeBatch());
  }

  @Override
  public ResultSet getResultSet() throws SQLException {
    state.checkOpen();
    return batched ? null : super.getResultSet();
  }

  @Override
  public long getLargeUpdateCount() throws SQLException {
    state.checkOpen();
    return batched ? -1 : super.getLargeUpdateCount();
  }

  @Override
  public long[] executeLargeBatch() throws SQLException {
    state.checkOpen();
    List<String> texts = List.copyOf(batch);
    batch.clear();
    try {
      return connection.together(() -> connection.entries(() -> execute(texts)));
    } catch (PSQLException e) {
      throw failed(texts.size(), e);
    }
  }

  private long[] execute(List<String> texts) throws SQLException {
    long[] counts = new long[texts.size()];
    for (int i = 0; i < counts.length; i++) {
      String text = texts.get(i);
      try {
        counts[i] =
            // rows are of no interest to a batch
            this.<Long>run(
                text,
                null,
                (d, p) -> d.execute(text) ? 0 : d.getLargeUpdateCount(),
                e -> e.result() != null ? 0 : e.count());
      } catch (SQLException e) {
        throw failed(counts.length, i, e, text);
      }
    }
    batched = true;
    return counts;
  }

  /** As the driver says that what ends a batch in autocommit has failed. */
  static SQLException failed(int entries, PSQLException e) {
    return e.getServerErrorMessage() == null ? e : failed(entries, entries, e, "<unknown>");
  }

  /**
   * As the driver says it: a batch comes to nothing as a whole.
   *
   * @param entries how many there are
   * @param at the entry that failed
   */
  static BatchUpdateException failed(int entries, int at, SQLException e, String text) {
    if (e instanceof BatchUpdateException b) {
      return b;
    }
    long[] all = new long[entries];
    Arrays.fill(all, Statement.EXECUTE_FAILED);
    BatchUpdateException b =
        new BatchUpdateException(
            GT.tr(
                "Batch entry {0} {1} was aborted: {2}  Call getNextException to see other errors in the batch.",
                at, text, e.getMessage()),
            e.getSQLState(),
            e.getErrorCode(),
            all,
            e);
    b.setNextException(e);
    return b;
  }

  /**
   * What the driver says of a part of a batch, as of the whole.
   *
   * @param entries how many there are
   * @param from the part's first
   */
  static BatchUpdateException failedIn(int entries, int from, BatchUpdateException e) {
    if (from == 0 && e.getLargeUpdateCounts().length == entries) {
      return e;
    }
    long[] all = new long[entries];
    Arrays.fill(all, Statement.EXECUTE_FAILED);
    BatchUpdateException b =
        new BatchUpdateException(
            NUMBER
                .matcher(Objects.requireNonNullElse(e.getMessage(), ""))
                .replaceFirst(m -> MessageFormat.format("{0}", from + number(m.group()))),
            e.getSQLState(),
            e.getErrorCode(),
            all,
            e.getCause());
    if (e.getNextException() != null) {
      b.setNextException(e.getNextException());
    }
    return b;
  }

  private static int number(String shown) {
    return Integer.parseInt(shown.replaceAll("[^0-9]", ""));
  }
}
