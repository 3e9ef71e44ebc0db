package io.dualwrite.jdbc;

import io.dualwrite.sql.RowOrder;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.StringReader;
import java.math.BigDecimal;
import java.net.URL;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.sql.Array;
import java.sql.BatchUpdateException;
import java.sql.Blob;
import java.sql.Clob;
import java.sql.Connection;
import java.sql.Date;
import java.sql.NClob;
import java.sql.ParameterMetaData;
import java.sql.PreparedStatement;
import java.sql.Ref;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.RowId;
import java.sql.SQLException;
import java.sql.SQLType;
import java.sql.SQLXML;
import java.sql.Statement;
import java.sql.Time;
import java.sql.Timestamp;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Calendar;
import java.util.List;
import org.postgresql.jdbc.AutoSave;
import org.postgresql.util.GT;
import org.postgresql.util.PGobject;
import org.postgresql.util.PSQLException;
import org.postgresql.util.PSQLState;

/**
 * A prepared statement of the application's. Its values are kept here and given to a statement of
 * the driver's when it is executed: which one, and with which text, depends on the roles and on the
 * capture that holds then.
 */
class DwPreparedStatement extends AbstractStatement implements PreparedStatement {

  /** Of a batch; its parts are of no more. */
  private static final int ENTRIES_AT_ONCE = 5000;

  private final Planned planned;
  private final Parameters parameters;

  /** Null until there is one. */
  private List<Parameters> batch;

  DwPreparedStatement(
      DwConnection connection, Planned planned, int type, int concurrency, int holdability) {
    super(connection, type, concurrency, holdability);
    this.planned = planned;
    this.parameters = new Parameters(planned.parameters);
  }

  /** The text with these values, for a server that gets it as it is. */
  String text(Parameters values) throws SQLException {
    return StatementState.text(connection, planned.sql, values);
  }

  @Override
  protected PreparedStatement raw() throws SQLException {
    return (PreparedStatement) super.raw();
  }

  @Override
  Statement open(Connection on) throws SQLException {
    if (planned.keys == null) {
      return holdability == 0
          ? on.prepareStatement(planned.sql, type, concurrency)
          : on.prepareStatement(planned.sql, type, concurrency, holdability);
    }
    return planned.keys.isEmpty()
        ? on.prepareStatement(planned.sql, Statement.RETURN_GENERATED_KEYS)
        : on.prepareStatement(planned.sql, planned.keys.toArray(new String[0]));
  }

  // ---- execution

  @FunctionalInterface
  interface OnDriver<T> {
    T call(PreparedStatement driver, Plan plan) throws SQLException;
  }

  @FunctionalInterface
  interface Outcome<T> {
    T of(Executed executed) throws SQLException;
  }

  /** One execution: on the driver as it is, or captured. */
  private final class Run<T> implements DwConnection.Execution<T> {
    private final OnDriver<T> asGiven;
    private Executed executed;
    private PSQLException complaint;

    Run(OnDriver<T> asGiven) {
      this.asGiven = asGiven;
    }

    @Override
    public T pass(Plan plan) throws SQLException {
      PreparedStatement s = raw();
      parameters.apply(s);
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
        List<String[]> rows = Executed.rows(v, parameters, connection.clock());
        if (rows != null) {
          executed =
              v.proving() != null && connection.wantsProof(v.table())
                  ? state.proven(connection, v, rows, parameters)
                  : values(v, rows);
          return null;
        }
        if (v.otherwise().sql() == null) {
          return pass(plan);
        }
        plan = v.otherwise();
      }
      if (plan instanceof Plan.Ctes ctes) {
        executed = state.ctes(connection, DwPreparedStatement.this, planned, ctes, parameters);
        return null;
      }
      executed =
          state.rows(connection, DwPreparedStatement.this, planned, (Plan.Rows) plan, parameters);
      return null;
    }

    @Override
    public T several(Plan.Several plan) throws SQLException {
      executed =
          state.several(connection, DwPreparedStatement.this, planned.keys, plan, parameters);
      return null;
    }

    @Override
    public T done() {
      executed = state.keep(new Executed(null, 0, null), null);
      return null;
    }

    @Override
    public String text() throws SQLException {
      return DwPreparedStatement.this.text(parameters);
    }

    @Override
    public boolean repeatable() {
      return parameters.repeatable();
    }
  }

  final <T> T run(OnDriver<T> asGiven, Outcome<T> outcome) throws SQLException {
    state.checkOpen();
    finishTee();
    state.forget();
    Run<T> run = new Run<>(asGiven);
    T result = connection.run(planned, run);
    if (run.complaint != null) {
      throw run.complaint;
    }
    // outside of the transaction: the driver, too, complains only after the statement has taken
    // effect
    return run.executed == null ? result : outcome.of(run.executed);
  }

  private Executed values(Plan.Values plan, List<String[]> rows) throws SQLException {
    PreparedStatement s = raw();
    parameters.apply(s);
    state.running(s);
    boolean result = state.whole(s, s::execute);
    ResultSet returned = result ? DwResultSet.of(s.getResultSet(), this) : null;
    long count = result ? rows.size() : s.getLargeUpdateCount();
    if (count > 0) { // ZERO_NOT_SHIPPED
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
  public ResultSet executeQuery() throws SQLException {
    return run(this::query, e -> state.query());
  }

  private ResultSet query(PreparedStatement s, Plan plan) throws SQLException {
    if (!samples(plan)) {
      return DwResultSet.of(s.executeQuery(), this);
    }
    long start = System.nanoTime();
    ResultSet raw = s.executeQuery();
    Parameters bound = parameters.copy();
    boolean ordered = ((Plan.Pass) plan).shadow() == RowOrder.ORDERED;
    return tee(raw, connection.writer().shadow.capture(planned.sql, bound::apply, ordered, start));
  }

  @Override
  public long executeLargeUpdate() throws SQLException {
    return run((s, plan) -> s.executeLargeUpdate(), e -> state.update());
  }

  @Override
  public int executeUpdate() throws SQLException {
    return Counts.toInt(executeLargeUpdate());
  }

  @Override
  public boolean execute() throws SQLException {
    return run((s, plan) -> s.execute(), e -> e.result() != null);
  }

  // ---- batches

  @Override
  public void addBatch() throws SQLException {
    state.checkOpen();
    if (batch == null) {
      batch = new ArrayList<>();
    }
    batch.add(parameters.copy());
  }

  @Override
  public void clearBatch() throws SQLException {
    state.checkOpen();
    batch = null;
  }

  @Override
  public int[] executeBatch() throws SQLException {
    return Counts.toInts(executeLargeBatch());
  }

  @Override
  public long[] executeLargeBatch() throws SQLException {
    state.checkOpen();
    finishTee();
    state.forget();
    if (batch == null) {
      return new long[0];
    }
    List<Parameters> all = batch;
    batch = null;
    Batch run = new Batch(all);
    try {
      return connection.run(planned, run);
    } catch (PSQLException e) {
      throw run.begun
          ? DwStatement.failed(all.size(), e)
          : e.getServerErrorMessage() == null ? e : failed(new long[all.size()], 0, e, all.get(0));
    }
  }

  /** All entries of a batch. */
  private final class Batch implements DwConnection.Execution<long[]> {
    private final List<Parameters> all;
    private boolean begun;

    Batch(List<Parameters> all) {
      this.all = all;
    }

    @Override
    public long[] pass(Plan plan) throws SQLException {
      begun = true;
      return onDriver(raw(), all);
    }

    @Override
    public long[] captured(Plan plan) throws SQLException {
      begun = true;
      if (!divisible(plan, all.size())) {
        return batch(plan, all);
      }
      long[] counts = new long[all.size()];
      for (int from = 0; from < counts.length; from += ENTRIES_AT_ONCE) {
        int to = Math.min(counts.length, from + ENTRIES_AT_ONCE);
        try {
          System.arraycopy(batch(plan, all.subList(from, to)), 0, counts, from, to - from);
        } catch (BatchUpdateException e) {
          throw DwStatement.failedIn(counts.length, from, e);
        }
      }
      return counts;
    }

    @Override
    public long[] several(Plan.Several plan) throws SQLException {
      begun = true;
      return connection.entries(
          () -> {
            long[] counts = new long[all.size()];
            for (int i = 0; i < counts.length; i++) {
              try {
                StatementState one = new StatementState();
                counts[i] =
                    one.several(connection, DwPreparedStatement.this, null, plan, all.get(i))
                        .count();
                one.forget();
              } catch (SQLException e) {
                throw failed(counts, i, e, all.get(i));
              }
            }
            return counts;
          });
    }

    @Override
    public long[] done() {
      return new long[all.size()];
    }

    @Override
    public String text() throws SQLException {
      StringBuilder texts = new StringBuilder();
      for (Parameters p : all) {
        texts.append(DwPreparedStatement.this.text(p)).append(";\n");
      }
      return texts.toString();
    }

    @Override
    public boolean repeatable() {
      return all.stream().allMatch(Parameters::repeatable);
    }
  }

  /**
   * Whether a batch is executed in parts: what the driver and we keep of each entry, beside its
   * values, is more than the entry itself. Not where the application is handed something of all
   * entries, where it bounds the time for all, nor where the driver undoes what it was given at
   * once.
   */
  private boolean divisible(Plan plan, int entries) throws SQLException {
    return entries > ENTRIES_AT_ONCE
        && planned.keys == null
        && (plan instanceof Plan.Values || plan instanceof Plan.Rows r && !r.applicationReturning())
        && raw().getQueryTimeout() == 0
        && connection.driver().getAutosave() == AutoSave.NEVER;
  }

  private long[] batch(Plan plan, List<Parameters> all) throws SQLException {
    if (plan instanceof Plan.Values v) {
      List<List<String[]>> rows = new ArrayList<>(all.size());
      for (Parameters p : all) {
        List<String[]> r = Executed.rows(v, p, connection.clock());
        if (r == null) {
          return rowsBatch(v.otherwise(), all);
        }
        rows.add(r);
      }
      return valuesBatch(v, rows, all);
    }
    return plan instanceof Plan.Ctes ctes
        ? connection.entries(
            () ->
                oneByOne(
                    all,
                    (one, p) -> one.ctes(connection, this, planned, ctes, p),
                    ctes.queries().get(0) == null))
        : rowsBatch((Plan.Rows) plan, all);
  }

  private long[] onDriver(PreparedStatement s, List<Parameters> all) throws SQLException {
    for (Parameters p : all) {
      p.apply(s);
      s.addBatch();
    }
    state.running(s);
    try {
      return s.executeLargeBatch();
    } finally {
      s.clearBatch();
    }
  }

  private long[] valuesBatch(Plan.Values plan, List<List<String[]>> rows, List<Parameters> all)
      throws SQLException {
    long[] counts = onDriver(raw(), all);
    List<String[]> written = new ArrayList<>();
    for (int i = 0; i < counts.length; i++) {
      // with reWriteBatchedInserts the driver does not tell how many, nor does it where an entry
      // returns rows; an INSERT that did not fail wrote them
      if (counts[i] != 0 || plan.otherwise().applicationReturning()) {
        written.addAll(rows.get(i));
      }
    }
    if (!written.isEmpty()) {
      connection.wrote(plan.statement(), Executed.change(plan, written));
    }
    connection.writer().counters.values.increment();
    if (planned.keys != null) {
      state.keep(new Executed(null, -1, DwResultSet.of(raw().getGeneratedKeys(), this)), null);
    }
    return counts;
  }

  /** The driver's message shows the text, which is not the application's. */
  private static BatchUpdateException asGiven(BatchUpdateException e, Plan.Rows plan) {
    if (plan.tail() == null || e.getMessage() == null) {
      return e;
    }
    BatchUpdateException ours =
        new BatchUpdateException(
            e.getMessage().replace(" RETURNING " + plan.tail(), ""),
            e.getSQLState(),
            e.getErrorCode(),
            e.getLargeUpdateCounts(),
            e.getCause());
    if (e.getNextException() != null) {
      ours.setNextException(e.getNextException());
    }
    return ours;
  }

  private SQLException failed(long[] counts, int i, SQLException e, Parameters parameters) {
    String text;
    try {
      text = StatementState.text(connection, planned.sql, parameters);
    } catch (SQLException gone) {
      text = planned.sql;
    }
    return DwStatement.failed(counts.length, i, e, text);
  }

  private long[] rowsBatch(Plan.Rows plan, List<Parameters> all) throws SQLException {
    if (plan.sql() == null) {
      return onDriver(raw(), all);
    }
    if (planned.keys != null || plan.applicationReturning()) {
      return connection.entries(
          () -> oneByOne(all, (one, p) -> one.rows(connection, this, planned, plan, p), false));
    }
    // as generated keys the driver collects our columns of all entries and still tells each one's
    // count
    try (PreparedStatement s =
        state.configureWhole(
            connection.raw().prepareStatement(plan.sql(), Statement.RETURN_GENERATED_KEYS))) {
      s.setFetchSize(0);
      long[] counts;
      try {
        counts = onDriver(s, all);
      } catch (BatchUpdateException e) {
        throw asGiven(e, plan);
      }
      try (ResultSet r = s.getGeneratedKeys()) {
        Executed.readBatch(plan, r, connection, counts);
      }
      connection.writer().counters.rows.increment();
      return counts;
    }
  }

  @FunctionalInterface
  private interface Entry {
    Executed execute(StatementState state, Parameters parameters) throws SQLException;
  }

  /**
   * The application wants generated keys of every entry as well as we do: each entry keeps its own
   * result.
   *
   * @param query whether it is a SELECT, of which neither rows nor their count interest a batch
   */
  private long[] oneByOne(List<Parameters> all, Entry entry, boolean query) throws SQLException {
    long[] counts = new long[all.size()];
    List<ResultSet> keys = new ArrayList<>();
    for (int i = 0; i < counts.length; i++) {
      try {
        StatementState one = new StatementState();
        Executed e = entry.execute(one, all.get(i));
        counts[i] = query || e.result() != null ? 0 : e.count();
        if (e.keys() != null && !query) {
          keys.add(e.keys());
        } else {
          one.forget();
        }
      } catch (SQLException e) {
        throw failed(counts, i, e, all.get(i));
      }
    }
    state.keep(
        new Executed(null, -1, keys.isEmpty() ? null : new ChainedResultSet(keys, this)), null);
    return counts;
  }

  // ---- parameters

  @Override
  public void clearParameters() throws SQLException {
    state.checkOpen();
    parameters.clear();
  }

  /** What the driver does not implement fails here already, as with the driver alone. */
  private void rare(int i, Parameters.Setter setter) throws SQLException {
    open();
    setter.set(raw(), i);
    parameters.setOther(i, setter);
  }

  private Parameters open() throws SQLException {
    state.checkOpen();
    return parameters;
  }

  @Override
  public void setNull(int i, int sqlType) throws SQLException {
    open().setNull(i, sqlType);
  }

  @Override
  public void setNull(int i, int sqlType, String typeName) throws SQLException {
    if ("unknown".equals(typeName)) {
      unknown(i, null);
      return;
    }
    open().setOther(i, (s, j) -> s.setNull(j, sqlType, typeName));
  }

  @Override
  public void setBoolean(int i, boolean x) throws SQLException {
    open().setBoolean(i, x);
  }

  @Override
  public void setByte(int i, byte x) throws SQLException {
    open().setShort(i, x); // as the driver does
  }

  @Override
  public void setShort(int i, short x) throws SQLException {
    open().setShort(i, x);
  }

  @Override
  public void setInt(int i, int x) throws SQLException {
    open().setInt(i, x);
  }

  @Override
  public void setLong(int i, long x) throws SQLException {
    open().setLong(i, x);
  }

  @Override
  public void setFloat(int i, float x) throws SQLException {
    open().setFloat(i, x);
  }

  @Override
  public void setDouble(int i, double x) throws SQLException {
    open().setDouble(i, x);
  }

  @Override
  public void setBigDecimal(int i, BigDecimal x) throws SQLException {
    open().setDecimal(i, x);
  }

  @Override
  public void setString(int i, String x) throws SQLException {
    open().setString(i, x);
  }

  @Override
  public void setBytes(int i, byte[] x) throws SQLException {
    open().setBytes(i, x);
  }

  @Override
  public void setDate(int i, Date x) throws SQLException {
    open().setDate(i, x);
  }

  @Override
  public void setTimestamp(int i, Timestamp x) throws SQLException {
    open().setTimestamp(i, x);
  }

  /** Sets a value as the driver is to get it. */
  @FunctionalInterface
  private interface Bound {
    void set(PreparedStatement on, int index, Object value) throws SQLException;
  }

  /**
   * Not a usual value. The driver reads what it is given at once; what the application makes of the
   * object afterwards must not show. And what it cannot take it says now.
   */
  private void other(int i, Object x, int sqlType, Bound as) throws SQLException {
    open();
    if (x instanceof PGobject o
        && "unknown".equals(o.getType())
        && (sqlType == Types.NULL || sqlType == Types.OTHER)) {
      unknown(i, o.getValue());
      return;
    }
    Object given = DwArray.raw(x);
    as.set(raw(), i, given);
    Object now = Snapshot.of(given, sqlType, connection.driver());
    parameters.setOther(i, (s, j) -> as.set(s, j, now));
  }

  /**
   * To the server the type "unknown" is none. To the driver it is one, and where it has a batch
   * described, as with rows to return, it fails to let it become that of the column.
   */
  private void unknown(int i, String text) throws SQLException {
    open().setOther(i, (s, j) -> s.setObject(j, text, Types.OTHER));
  }

  @Override
  public void setObject(int i, Object x) throws SQLException {
    if (open().setObject(i, x)) {
      return;
    }
    if (x instanceof SQLXML v) {
      setSQLXML(i, v);
    } else if (x instanceof Blob v) {
      setBlob(i, v);
    } else if (x instanceof Clob v) {
      setClob(i, v);
    } else {
      other(i, x, Types.NULL, PreparedStatement::setObject);
    }
  }

  @Override
  public void setTime(int i, Time x) throws SQLException {
    Time t = x == null ? null : (Time) x.clone();
    open().setOther(i, (s, j) -> s.setTime(j, t));
  }

  @Override
  public void setTime(int i, Time x, Calendar cal) throws SQLException {
    Time t = x == null ? null : (Time) x.clone();
    Calendar c = cal == null ? null : (Calendar) cal.clone();
    open().setOther(i, (s, j) -> s.setTime(j, t, c));
  }

  @Override
  public void setDate(int i, Date x, Calendar cal) throws SQLException {
    Date d = x == null ? null : (Date) x.clone();
    Calendar c = cal == null ? null : (Calendar) cal.clone();
    open().setOther(i, (s, j) -> s.setDate(j, d, c));
  }

  @Override
  public void setTimestamp(int i, Timestamp x, Calendar cal) throws SQLException {
    Timestamp t = x == null ? null : (Timestamp) x.clone();
    Calendar c = cal == null ? null : (Calendar) cal.clone();
    open().setOther(i, (s, j) -> s.setTimestamp(j, t, c));
  }

  @Override
  public void setObject(int i, Object x, int sqlType) throws SQLException {
    if (!open().setObject(i, x, sqlType)) {
      setObject(i, x, sqlType, (s, j, v) -> s.setObject(j, v, sqlType));
    }
  }

  @Override
  public void setObject(int i, Object x, int sqlType, int scale) throws SQLException {
    setObject(i, x, sqlType, (s, j, v) -> s.setObject(j, v, sqlType, scale));
  }

  private void setObject(int i, Object x, int sqlType, Bound as) throws SQLException {
    if (sqlType == Types.BLOB || sqlType == Types.CLOB) {
      connection.largeObjects(c -> null);
      open().setOther(i, (s, j) -> as.set(s, j, x));
    } else if (sqlType == Types.LONGVARCHAR && x instanceof InputStream stream) {
      byte[] all = Snapshot.bytes(stream);
      open().setOther(i, (s, j) -> as.set(s, j, new ByteArrayInputStream(all)));
    } else if (x instanceof String && (sqlType == Types.OTHER || sqlType == Types.CHAR)) {
      open().setOther(i, (s, j) -> as.set(s, j, x)); // what many give for jsonb and enums
    } else {
      other(i, x, sqlType, as);
    }
  }

  @Override
  public void setObject(int i, Object x, SQLType type) throws SQLException {
    rare(i, (s, j) -> s.setObject(j, DwArray.raw(x), type));
  }

  @Override
  public void setObject(int i, Object x, SQLType type, int scale) throws SQLException {
    rare(i, (s, j) -> s.setObject(j, DwArray.raw(x), type, scale));
  }

  @Override
  public void setAsciiStream(int i, InputStream x) throws SQLException {
    rare(i, (s, j) -> s.setAsciiStream(j, x));
  }

  @Override
  public void setAsciiStream(int i, InputStream x, int length) throws SQLException {
    if (x == null || length < 0) {
      rare(i, (s, j) -> s.setAsciiStream(j, x, length));
    } else {
      text(i, x, length, StandardCharsets.US_ASCII);
    }
  }

  @Override
  public void setAsciiStream(int i, InputStream x, long length) throws SQLException {
    rare(i, (s, j) -> s.setAsciiStream(j, x, length));
  }

  @Override
  @Deprecated
  @SuppressWarnings("deprecation") // part of the interface
  public void setUnicodeStream(int i, InputStream x, int length) throws SQLException {
    if (x == null || length < 0) {
      rare(i, (s, j) -> s.setUnicodeStream(j, x, length));
    } else {
      text(i, x, length, StandardCharsets.UTF_8);
    }
  }

  /** As the driver: a varchar, whatever it makes of strings otherwise. */
  private void text(int i, InputStream x, int length, Charset charset) throws SQLException {
    String text = Snapshot.text(new InputStreamReader(x, charset), length, Snapshot.STREAM);
    PGobject varchar = new PGobject();
    varchar.setType("varchar");
    varchar.setValue(text);
    open().setOther(i, (s, j) -> s.setObject(j, varchar));
  }

  @Override
  public void setBinaryStream(int i, InputStream x) throws SQLException {
    if (x == null) {
      open().setOther(i, (s, j) -> s.setBinaryStream(j, null));
      return;
    }
    open().setBytes(i, Snapshot.bytes(x));
  }

  // those of a given length the driver, too, reads when it executes

  @Override
  public void setBinaryStream(int i, InputStream x, int length) throws SQLException {
    open().setStream(i, (s, j) -> s.setBinaryStream(j, x, length));
  }

  @Override
  public void setBinaryStream(int i, InputStream x, long length) throws SQLException {
    open().setStream(i, (s, j) -> s.setBinaryStream(j, x, length));
  }

  @Override
  public void setCharacterStream(int i, Reader x) throws SQLException {
    if (x == null) {
      open().setOther(i, (s, j) -> s.setCharacterStream(j, null));
      return;
    }
    String all = Snapshot.text(x, Integer.MAX_VALUE, Snapshot.READER);
    open().setOther(i, (s, j) -> s.setCharacterStream(j, new StringReader(all)));
  }

  @Override
  public void setCharacterStream(int i, Reader x, int length) throws SQLException {
    if (x == null || length < 0) {
      rare(i, (s, j) -> s.setCharacterStream(j, x, length));
    } else {
      open().setString(i, Snapshot.text(x, length, Snapshot.READER));
    }
  }

  @Override
  public void setCharacterStream(int i, Reader x, long length) throws SQLException {
    rare(i, (s, j) -> s.setCharacterStream(j, x, length));
  }

  @Override
  public void setNCharacterStream(int i, Reader x) throws SQLException {
    rare(i, (s, j) -> s.setNCharacterStream(j, x));
  }

  @Override
  public void setNCharacterStream(int i, Reader x, long length) throws SQLException {
    rare(i, (s, j) -> s.setNCharacterStream(j, x, length));
  }

  @Override
  public void setNString(int i, String x) throws SQLException {
    rare(i, (s, j) -> s.setNString(j, x));
  }

  @Override
  public void setRef(int i, Ref x) throws SQLException {
    rare(i, (s, j) -> s.setRef(j, x));
  }

  @Override
  public void setArray(int i, Array x) throws SQLException {
    other(i, x, Types.ARRAY, (s, j, v) -> s.setArray(j, (Array) v));
  }

  @Override
  public void setURL(int i, URL x) throws SQLException {
    rare(i, (s, j) -> s.setURL(j, x));
  }

  @Override
  public void setRowId(int i, RowId x) throws SQLException {
    rare(i, (s, j) -> s.setRowId(j, x));
  }

  @Override
  public void setSQLXML(int i, SQLXML x) throws SQLException {
    String text = x == null ? null : x.getString();
    other(i, text, Types.SQLXML, (s, j, v) -> s.setObject(j, v, Types.SQLXML));
  }

  // large objects live in a catalog of their own, and their numbers differ between servers

  @Override
  public void setBlob(int i, Blob x) throws SQLException {
    connection.largeObjects(c -> null);
    open().setOther(i, (s, j) -> s.setBlob(j, x));
  }

  @Override
  public void setBlob(int i, InputStream x) throws SQLException {
    connection.largeObjects(c -> null);
    open().setOther(i, (s, j) -> s.setBlob(j, x));
  }

  @Override
  public void setBlob(int i, InputStream x, long length) throws SQLException {
    connection.largeObjects(c -> null);
    open().setOther(i, (s, j) -> s.setBlob(j, x, length));
  }

  @Override
  public void setClob(int i, Clob x) throws SQLException {
    connection.largeObjects(c -> null);
    open().setOther(i, (s, j) -> s.setClob(j, x));
  }

  @Override
  public void setClob(int i, Reader x) throws SQLException {
    connection.largeObjects(c -> null);
    open().setOther(i, (s, j) -> s.setClob(j, x));
  }

  @Override
  public void setClob(int i, Reader x, long length) throws SQLException {
    connection.largeObjects(c -> null);
    open().setOther(i, (s, j) -> s.setClob(j, x, length));
  }

  @Override
  public void setNClob(int i, NClob x) throws SQLException {
    connection.largeObjects(c -> null);
    rare(i, (s, j) -> s.setNClob(j, x));
  }

  @Override
  public void setNClob(int i, Reader x) throws SQLException {
    connection.largeObjects(c -> null);
    rare(i, (s, j) -> s.setNClob(j, x));
  }

  @Override
  public void setNClob(int i, Reader x, long length) throws SQLException {
    connection.largeObjects(c -> null);
    rare(i, (s, j) -> s.setNClob(j, x, length));
  }

  // ---- about the statement

  @Override
  public ResultSetMetaData getMetaData() throws SQLException {
    state.checkOpen();
    if (state.captured() && state.result() != null && !state.result().isClosed()) {
      return state.result().getMetaData();
    }
    return Planner.executesToDescribe(connection.raw())
        ? run(
            (s, plan) -> s.getMetaData(), e -> e.result() == null ? null : e.query().getMetaData())
        : told().getMetaData();
  }

  @Override
  public ParameterMetaData getParameterMetaData() throws SQLException {
    state.checkOpen();
    if (Planner.executesToDescribe(connection.raw())) {
      throw Refusal.of(
          "dualwrite refuses to describe parameters: with preferQueryMode=simple the driver executes the statement for that");
    }
    return told().getParameterMetaData();
  }

  /** The driver's, with the types of the parameters. */
  private PreparedStatement told() throws SQLException {
    PreparedStatement s = raw();
    if (parameters.repeatable()) {
      parameters.apply(s);
    }
    return s;
  }

  /** The text with its values, as the driver shows it. */
  @Override
  public String toString() {
    try {
      PreparedStatement s = raw();
      parameters.apply(s);
      return s.toString();
    } catch (SQLException e) {
      return planned.sql;
    }
  }

  // ---- not on a prepared statement

  private static SQLException noText() {
    return new PSQLException(
        GT.tr("Can''t use query methods that take a query string on a PreparedStatement."),
        PSQLState.WRONG_OBJECT_TYPE);
  }

  @Override
  public ResultSet executeQuery(String sql) throws SQLException {
    throw noText();
  }

  @Override
  public int executeUpdate(String sql) throws SQLException {
    throw noText();
  }

  @Override
  public int executeUpdate(String sql, int autoGeneratedKeys) throws SQLException {
    throw noText();
  }

  @Override
  public int executeUpdate(String sql, int[] columnIndexes) throws SQLException {
    throw noText();
  }

  @Override
  public int executeUpdate(String sql, String[] columnNames) throws SQLException {
    throw noText();
  }

  @Override
  public long executeLargeUpdate(String sql) throws SQLException {
    throw noText();
  }

  @Override
  public long executeLargeUpdate(String sql, int autoGeneratedKeys) throws SQLException {
    throw noText();
  }

  @Override
  public long executeLargeUpdate(String sql, int[] columnIndexes) throws SQLException {
    throw noText();
  }

  @Override
  public long executeLargeUpdate(String sql, String[] columnNames) throws SQLException {
    throw noText();
  }

  @Override
  public boolean execute(String sql) throws SQLException {
    throw noText();
  }

  @Override
  public boolean execute(String sql, int autoGeneratedKeys) throws SQLException {
    throw noText();
  }

  @Override
  public boolean execute(String sql, int[] columnIndexes) throws SQLException {
    throw noText();
  }

  @Override
  public boolean execute(String sql, String[] columnNames) throws SQLException {
    throw noText();
  }

  @Override
  public void addBatch(String sql) throws SQLException {
    throw noText();
  }
}
