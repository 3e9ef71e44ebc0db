package io.dualwrite.jdbc;

import com.github.benmanes.caffeine.cache.Cache;
import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.journal.RowChange;
import io.dualwrite.sql.Kind;
import io.dualwrite.sql.Sql;
import io.dualwrite.sql.StatementInfo;
import io.dualwrite.sql.TransactionCommand;
import java.sql.BatchUpdateException;
import java.sql.CallableStatement;
import java.sql.ClientInfoStatus;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLClientInfoException;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyOperation;
import org.postgresql.core.BaseConnection;
import org.postgresql.core.TransactionState;
import org.postgresql.jdbc.AutoSave;
import org.postgresql.jdbc.PgConnection;
import org.postgresql.util.GT;
import org.postgresql.util.PSQLException;
import org.postgresql.util.PSQLState;

/**
 * A connection of the application: to the primary of the moment, with every write remembered until
 * the commit. Like the driver's own connection it is for one thread at a time.
 *
 * <p>The connection outlives a change of roles: at the next transaction (or, in autocommit, the
 * next statement) it takes a connection to the new primary and gives it the session state that was
 * set here.
 */
final class DwConnection extends ForwardingConnection {

  private final DualWriter writer;
  private final Gate.Pass pass;

  private Connection raw;
  private BaseConnection driver;
  private Parameters.Clock clock;

  /** Texts longer than this are not remembered by a connection. */
  private static final int REMEMBERED_LENGTH = 2000;

  /** A power of two. */
  private static final int REMEMBERED = 64;

  /** Texts that were prepared, by their hash: the latest of each. */
  private final Planned[] remembered = new Planned[REMEMBERED];

  private static final String DIRECT_INSERT = "timescaledb.enable_direct_compress_insert";
  private static final String DIRECT_COPY = "timescaledb.enable_direct_compress_copy";

  /**
   * How a session begins, which is not the same for all: roles and databases have settings that the
   * operator may change, a DataSource of the application's may set the schema of a tenant, and what
   * others have set stays with a pooled connection. What names mean, whether numbers lose digits as
   * text, and how many seconds a transaction may idle, or take. And TimescaleDB is not to compress
   * rows before they are written: then it returns none of them to RETURNING, and counts none.
   */
  private static final String SESSION =
      "select pg_catalog.concat_ws(' ', current_user, pg_catalog.current_schemas(true), pg_catalog.current_setting('search_path')),"
          + " pg_catalog.current_setting('extra_float_digits')::int < 1,"
          + " (select pg_catalog.min(nullif(extract(epoch from t::interval), 0)) from pg_catalog.unnest(array["
          + "pg_catalog.current_setting('idle_in_transaction_session_timeout'), pg_catalog.current_setting('transaction_timeout', true)]) t),"
          + " (select pg_catalog.count(pg_catalog.set_config(n, 'off', false)) from pg_catalog.unnest(array['"
          + (DIRECT_INSERT + "', '" + DIRECT_COPY)
          + "']) n where pg_catalog.current_setting(n, true) = 'on')";

  /** With {@link #impatient}, before a commit: the mirror's time is none of the primary's. */
  private static final String PATIENCE =
      "select pg_catalog.set_config('idle_in_transaction_session_timeout', '0', true),"
          + " case when pg_catalog.current_setting('transaction_timeout', true) <> '0'"
          + " then pg_catalog.set_config('transaction_timeout', '0', true) end";

  /** What names without a schema mean to this session, as long as it has no plans of its own. */
  private String names;

  /** What the raw connection belongs to; statements compare it with theirs. */
  private long rawEpoch;

  /** Roles and phase of the open transaction, or of the last statement. */
  private Epoch epoch;

  private boolean autoCommit;
  private boolean inTransaction;

  /** The open transaction was begun by a BEGIN in autocommit, and ends with a COMMIT as text. */
  private boolean textual;

  /**
   * A batch runs in autocommit: its statements share a transaction of ours wherever no BEGIN of
   * theirs has begun one.
   */
  private boolean together;

  /** As the application sees it; the driver has it for the application's own transactions only. */
  private boolean readOnly;

  private boolean closed;
  private UnitOfWork unit;

  /** Not null once the transaction ran a statement whose text does not tell what it writes. */
  private Observation observation;

  /** Not null once the transaction ran DDL: what others see of the catalog is not what it sees. */
  private Catalog ownCatalog;

  /** Whether the transaction changed it for sure. */
  private boolean catalogTouched;

  // for the audit
  private boolean accounted;
  private String lastText;

  /**
   * Savepoints by name, the youngest last: a name may be there twice, and the older one comes back
   * when the younger is released.
   */
  private final ArrayList<Named> namedSavepoints = new ArrayList<>();

  record Named(String name, int mark) {}

  /**
   * Not null while the search path is not the one that connections begin with: plans depend on it.
   */
  private Cache<Epoch.Key, Planned.Known> ownPlans;

  /** Whether that is so beyond the transaction. */
  private boolean ownPath;

  /** In this transaction: what is planned in it may not be so behind it. */
  private boolean pathTouched;

  /** A COPY in autocommit is under way: until it ends it is a transaction of ours. */
  private boolean copying;

  /** What the driver's own interface is unwrapped to; made when it is asked for. */
  private DwDriverConnection unwrapped;

  /** Whether numbers may be shown with fewer digits than they have. */
  private boolean oddFormats;

  /** Whether the session may end a transaction that waits for the mirror. */
  private boolean impatient;

  /** While an application waits for notifications the roles are looked at that often, in ms. */
  private static final long HEARD_WITHIN = 500;

  /** Whether the session had TimescaleDB compress rows before they are written. */
  private boolean directCompress;

  private static final String DIGITS = "extra_float_digits";

  // for the next primary: what is set in the driver, and on the server
  private final Map<String, Session> session = new LinkedHashMap<>();
  private final SessionState settings = new SessionState();

  @FunctionalInterface
  private interface Session {
    void apply(Connection to) throws SQLException;
  }

  DwConnection(DualWriter writer) throws SQLException {
    this.writer = writer;
    pass = writer.gate.register(this);
    Connection first = null;
    try {
      epoch = writer.serving();
      first = writer.connect(epoch);
      autoCommit = first.getAutoCommit(); // a DataSource of the application's may say so
      Boolean before = writer.source().autoCommit;
      if (before != null && before != autoCommit && epoch.primary() == writer.target()) {
        // the application was written for the source's, and would commit nothing, or too soon
        first.setAutoCommit(before);
        autoCommit = before;
      }
      use(first);
    } catch (SQLException | RuntimeException e) {
      writer.gate.unregister(pass);
      if (first != null) {
        closeQuietly(first, e);
      }
      throw e;
    }
  }

  private void use(Connection connection) throws SQLException {
    driver = connection.unwrap(BaseConnection.class);
    raw = connection;
    clock = new Parameters.Clock(driver);
    rawEpoch = epoch.roles().epoch();
    readOnly = raw.isReadOnly(); // a property may say so
    if (driver.getTransactionState() == TransactionState.IDLE && !autoCommit) {
      raw.setAutoCommit(true); // the application's first statement begins the transaction
      names = look();
      raw.setAutoCommit(false);
    } else {
      names = look();
      pathTouched = !autoCommit; // by a transaction that is open, and may be rolled back
    }
  }

  /** Asks how the session is; returns what names mean to it. */
  private String look() throws SQLException {
    try (PreparedStatement s = driver.prepareStatement(SESSION);
        ResultSet r = s.executeQuery()) {
      r.next();
      // else a transaction may only pass over what holds behind it
      boolean settled = driver.getTransactionState() == TransactionState.IDLE;
      oddFormats = r.getBoolean(2) || oddFormats && !settled;
      double patience = r.getDouble(3);
      impatient =
          !r.wasNull() && patience < writer.patience().toMillis() / 1e3 || impatient && !settled;
      if (r.getInt(4) > 0) {
        directCompress = true;
        writer.directCompressOff();
      }
      return r.getString(1);
    }
  }

  // ---- for the statements

  @Override
  protected Connection raw() throws SQLException {
    if (closed) {
      throw new PSQLException(
          GT.tr("This connection has been closed."), PSQLState.CONNECTION_DOES_NOT_EXIST);
    }
    return raw;
  }

  DualWriter writer() {
    return writer;
  }

  /** The driver's connection of the moment, open or not. */
  BaseConnection driver() {
    return driver;
  }

  Epoch epoch() {
    return epoch;
  }

  long rawEpoch() {
    return rawEpoch;
  }

  Parameters.Clock clock() {
    return clock;
  }

  boolean inTransaction() {
    return inTransaction;
  }

  private void begin() throws SQLException {
    writer.gate.enter(pass);
    try {
      followIfExchanged();
      if (readOnly) {
        hintReadOnly();
      }
      inTransaction = true;
    } finally {
      if (!inTransaction) {
        writer.gate.exit(pass);
      }
    }
  }

  /**
   * In autocommit the driver does not begin transactions, and so none that are read only; ours are
   * to be no different. Where it makes the session read only instead, the server says so.
   */
  private void hintReadOnly() throws SQLException {
    if (raw.isReadOnly() != autoCommit
        || alone() // a batch goes on
        || driver.getTransactionState() != TransactionState.IDLE) {
      return;
    }
    if (autoCommit) {
      try (Statement s = raw.createStatement();
          ResultSet r = s.executeQuery("show default_transaction_read_only")) {
        r.next();
        if (r.getString(1).equals("on")) {
          return;
        }
      }
    }
    raw.setReadOnly(!autoCommit);
  }

  /**
   * The roles were exchanged: takes a connection to the new primary and sets there what is set
   * here. Where that fails this connection is closed: in another session the application's
   * statements may mean something else.
   */
  private void follow() throws SQLException {
    Connection next = writer.connect(epoch);
    Connection old = raw;
    try {
      next.setAutoCommit(true); // what is set now is not the next transaction's to undo
      for (Session s : session.values()) {
        s.apply(next);
      }
      settings.carry(old, driver.getQueryExecutor().getUser(), next);
      next.setAutoCommit(autoCommit);
      use(next);
    } catch (SQLException | RuntimeException e) {
      SQLException sentence =
          new SQLException(
              "dualwrite closed this connection, since its session cannot be had on the new primary ("
                  + e.getMessage()
                  + "): take another one",
              "08006",
              e);
      closeQuietly(next, sentence);
      closeQuietly(this, sentence);
      throw sentence;
    }
    if (ownPath) {
      namesChanged();
    }
    closeQuietly(old, null);
  }

  /** For what begins no transaction. */
  private void followIfExchanged() throws SQLException {
    epoch = writer.serving();
    if (epoch.roles().epoch() != rawEpoch) {
      follow();
    }
  }

  /**
   * What the driver has heard. Who does nothing but listen hears the new primary, too.
   *
   * @param millis how long to wait; 0: until there is something; negative: not at all
   */
  PGNotification[] notifications(int millis) throws SQLException {
    long start = System.nanoTime();
    PGNotification[] heard = driver.getNotifications();
    while (heard.length == 0
        && !inTransaction
        && driver.getTransactionState() == TransactionState.IDLE) {
      followIfExchanged();
      long left = millis == 0 ? Long.MAX_VALUE : millis - (System.nanoTime() - start) / 1_000_000;
      if (left <= 0) {
        break;
      }
      heard = driver.getNotifications((int) Math.min(left, HEARD_WITHIN));
    }
    return heard;
  }

  private static void closeQuietly(Connection c, Throwable because) {
    try {
      c.close();
    } catch (SQLException e) {
      if (because != null) {
        because.addSuppressed(e);
      }
    }
  }

  /**
   * Whether a read is compared with the mirror: not in a transaction that has written, nor in one
   * that keeps an old snapshot, nor with a search path of its own.
   */
  boolean samples(Plan plan) throws SQLException {
    return writer.samples(epoch, plan)
        && (unit == null || unit.isEmpty())
        && ownPlans == null
        && (!inTransaction || raw.getTransactionIsolation() == TRANSACTION_READ_COMMITTED);
  }

  /** A statement about to be executed: as it is, or with its writes captured. */
  interface Execution<T> {
    /** Executes it as the application gave it. */
    T pass(Plan plan) throws SQLException;

    /** Executes it so that what it writes is known, and tells {@link #wrote}. */
    T captured(Plan plan) throws SQLException;

    /** Executes its statements one after the other, each by {@link #run}. */
    T several(Plan.Several plan) throws SQLException;

    /** It has been done by other means; there is no result. */
    T done() throws SQLException;

    /** The text with its values, for a server that gets it as it is. */
    String text() throws SQLException;

    /** Whether it can be executed once more if the server did not understand it. */
    default boolean repeatable() {
      return true;
    }

    /** Whether it goes on afterwards: the connection is taken, and nothing can be asked on it. */
    default boolean goesOn() {
      return false;
    }
  }

  /**
   * Finds the plan and executes the statement accordingly; in autocommit a captured write is a
   * transaction of its own.
   */
  <T> T run(Planned planned, Execution<T> x) throws SQLException {
    raw();
    if (!inTransaction) {
      if (autoCommit) {
        followIfExchanged();
        Plan plan = plan(planned);
        if (plan instanceof Plan.Pass p && !p.gated()) {
          return writer.audits() && epoch.capturing() ? audited(planned, x, plan) : x.pass(plan);
        }
        return alone(planned, x);
      }
      begin();
    }
    Plan plan = plan(planned);
    try {
      return dispatch(planned, plan, x);
    } catch (SQLException e) {
      if (outdated(plan, e)
          // the driver has gone back to a savepoint of its own
          && driver.getTransactionState() == TransactionState.OPEN
          && x.repeatable()) {
        return dispatch(planned, plan(planned), x);
      }
      throw e;
    }
  }

  /**
   * Whether the primary does not know what was added to a text, or the role may not read it: others
   * have renamed or dropped it, or revoked that, since the text was planned. Then the catalog is
   * read anew.
   */
  private boolean outdated(Plan plan, SQLException e) throws SQLException {
    SQLException server = e instanceof BatchUpdateException ? e.getNextException() : e;
    if (!(server instanceof PSQLException p) || p.getServerErrorMessage() == null) {
      return false;
    }
    boolean unknown = "42703".equals(p.getSQLState()) || "42P01".equals(p.getSQLState());
    if (unknown
        ? p.getServerErrorMessage().getPosition() == 0 // of a function's text, perhaps
        : !"42501".equals(p.getSQLState())) {
      return false;
    }
    SortedMap<Long, Table> tables = new TreeMap<>();
    for (Plan.Rows r : captures(plan instanceof Plan.Observed o ? o.then() : plan)) {
      tables.put(r.table().oid(), r.table());
    }
    boolean failed = driver.getTransactionState() == TransactionState.FAILED; // then nobody can ask
    if (tables.isEmpty() || !failed && DualWriter.asKnown(raw, tables)) {
      return false;
    }
    writer.catalogChanged();
    if (ownCatalog != null) {
      forgetCatalog();
    }
    return true;
  }

  private static List<Plan.Rows> captures(Plan plan) {
    if (plan instanceof Plan.Values v) {
      return List.of(v.otherwise());
    }
    if (plan instanceof Plan.Rows r) {
      return List.of(r);
    }
    return plan instanceof Plan.Ctes c
        ? c.queries().stream().filter(Objects::nonNull).toList()
        : List.of();
  }

  private Plan plan(Planned planned) throws SQLException {
    boolean failed = driver.getTransactionState() == TransactionState.FAILED;
    Plan plan;
    try {
      plan = found(planned);
    } catch (SQLException e) {
      if (failed
          // with autosave the driver has gone back to its savepoint by now
          && driver.getTransactionState() == TransactionState.FAILED
          && writer.texts.get(planned.sql).statements().size() == 1) {
        return Planner.PASS; // the server runs nothing now, and is to say so in its own way
      }
      throw e;
    }
    if (!epoch.capturing()) {
      return plan;
    }
    if (plan instanceof Plan.Observed o && o.then() instanceof Plan.Ddl d) {
      Plan named = named(d);
      return named == d ? plan : named;
    }
    if (plan instanceof Plan.Ddl d) {
      plan = named(d);
    }
    boolean defines =
        plan instanceof Plan.Ddl d && !d.alone() || plan instanceof Plan.Session s && s.defines();
    return defines && !failed && DdlCapture.fires(raw)
        ? new Plan.Observed(Unmirrored.DDL, plan, false)
        : plan;
  }

  /** What a name in DDL means can be told only when it is executed: a temporary table, perhaps. */
  private Plan named(Plan.Ddl plan) throws SQLException {
    int temporary = DdlCapture.temporary(raw, plan.objects());
    int chunks = DdlCapture.chunks(raw, plan.objects());
    if (temporary == 0 && chunks == 0) {
      return writer.byPolicy(plan, Unmirrored.DDL);
    }
    if (chunks == plan.objects().size()) { // where rows went with them the mirror is told
      return plan.alone()
          ? new Plan.PrimaryOnly(Unmirrored.DDL)
          : writer.byPolicy(new Plan.Observed(Unmirrored.DDL, null, true), Unmirrored.DDL);
    }
    return temporary == plan.objects().size()
        ? new Plan.Session(true, "", true) // the names may mean other tables from here on
        : new Plan.Refuse(
            Unmirrored.DDL,
            "dualwrite refuses this statement: it is about temporary tables, or chunks of hypertables, and other tables at once; send one statement for each");
  }

  private Plan found(Planned planned) throws SQLException {
    Planner planner = ownCatalog == null ? epoch.planner() : new Planner(ownCatalog, t -> false);
    // a prepared statement of the same text has another plan
    boolean operators =
        planned.plain
            && planned.sql.indexOf('?') >= 0
            && writer.texts.get(planned.sql).parameters() > 0;
    if (operators) {
      planner = planner.plain();
    }
    if (operators || !driver.getStandardConformingStrings()) {
      // a backslash means something else to the server than to everybody else's plans
      Sql text = Sql.analyze(planned.sql, driver.getStandardConformingStrings());
      return writer.byPolicy(planner.plan(text, planned.keys, raw));
    }
    Cache<Epoch.Key, Planned.Known> cache = ownPlans == null ? epoch.plans() : ownPlans;
    return planned.plan(planner, cache, names, raw, writer);
  }

  /** What the catalog says of a table to this transaction. */
  Optional<Table> table(TableName name) throws SQLException {
    return catalog().table(raw, name);
  }

  /** Rows of the table are captured as it is known now; checked again at the commit. */
  void rely(Table table) {
    unit.rely(table);
  }

  /** Whether the next statement that writes to the table is to return {@link Catalog#proof}. */
  boolean wantsProof(Table table) {
    return unit.wantsProof(table);
  }

  /** What it returned. */
  void prove(Table table, String proof) {
    unit.prove(table, proof);
  }

  /** A text to prepare: as it was known last time, if that is not long ago. */
  Planned prepared(String sql, List<String> keys) {
    if (sql.length() > REMEMBERED_LENGTH || !driver.getStandardConformingStrings()) {
      return new Planned(sql, keys, parameters(sql));
    }
    int hash = sql.hashCode();
    int i = (hash ^ hash >>> 16) & REMEMBERED - 1;
    Planned p = remembered[i];
    if (p == null || !p.is(sql, keys)) {
      p = new Planned(sql, keys, parameters(sql));
      remembered[i] = p;
    }
    return p;
  }

  /** How many parameters the driver finds in the text. */
  int parameters(String sql) {
    return driver.getStandardConformingStrings()
        ? writer.texts.get(sql).parameters()
        : Sql.analyze(sql, false).parameters();
  }

  private Catalog catalog() {
    return ownCatalog == null ? epoch.primary().catalog : ownCatalog;
  }

  private <T> T dispatch(Planned planned, Plan plan, Execution<T> x) throws SQLException {
    if (plan instanceof Plan.Values || plan instanceof Plan.Rows || plan instanceof Plan.Ctes) {
      return epoch.capturing() ? captured(plan, x) : x.pass(plan);
    }
    if (unit != null && !(plan instanceof Plan.Pass)) {
      unit.doubt();
    }
    if (epoch.capturing()) {
      if (plan instanceof Plan.Refuse r) {
        writer.counters.refused(r.kind());
        throw Refusal.of(r.sentence());
      }
      if (plan instanceof Plan.Observed o) {
        return observed(o, x);
      }
      if (plan instanceof Plan.Truncate t) {
        return truncate(t, x);
      }
      if (plan instanceof Plan.Ddl d && !d.alone()) {
        return ddl(d, x, false);
      }
    }
    // transactions begin and end by the gate, whether anything of them is captured or not
    if (plan instanceof Plan.Several s && (epoch.capturing() || s.control())) {
      return x.several(s);
    }
    if (plan instanceof Plan.PrimaryOnly p) {
      namesChanged(); // it may have been DDL
      if (epoch.capturing()) {
        writer.counters.primaryOnly(p.kind());
      }
    }
    if (plan instanceof Plan.Transaction t) {
      return control(t, x);
    }
    // row locks, sequences and what the operator lets pass get transaction ids of their own
    accounted |= !(plan instanceof Plan.Pass p) || p.gated();
    lastText = planned.sql;
    T result = x.pass(plan);
    if (plan instanceof Plan.Session s) {
      sessionChanged(s, planned.sql, x.goesOn());
      if (s.setting() == null || s.setting().isEmpty()) {
        settings.called(x.text());
      } else {
        settings.set(s.setting());
      }
    }
    return result;
  }

  /** The plan's knowledge of its tables is checked again at the commit. */
  private <T> T captured(Plan plan, Execution<T> x) throws SQLException {
    if (unit == null) {
      unit = writer.newUnit(epoch, raw);
    }
    if (observation != null) {
      observation.settle(raw, unit); // what a function made comes before its rows
    }
    if (plan instanceof Plan.Values v) {
      unit.rely(v.table(), v.otherwise().before());
    } else {
      captures(plan).forEach(r -> unit.rely(r.table(), r.before()));
    }
    return x.captured(plan);
  }

  /** A statement in autocommit that must not run while the roles change. */
  private <T> T alone(Planned planned, Execution<T> x) throws SQLException {
    begin();
    try {
      Plan plan = plan(planned); // the gate may have been shut a while: everything may be new
      if (plan instanceof Plan.Several s && s.control()) {
        leave(); // each of them begins by itself
        return x.several(s);
      }
      if (!epoch.capturing()) {
        return dispatch(planned, plan, x);
      }
      if (plan instanceof Plan.Ddl d && d.alone()) {
        return aloneOnServer(x, plan);
      }
      if (plan instanceof Plan.Values
          || plan instanceof Plan.Rows
          || plan instanceof Plan.Ctes
          || plan instanceof Plan.Observed
          || plan instanceof Plan.Ddl
          || plan instanceof Plan.Truncate
          || plan instanceof Plan.Several) {
        try {
          return transaction(() -> dispatch(planned, plan, x));
        } catch (SQLException e) {
          if (plan instanceof Plan.Observed o
              && o.kind() == Unmirrored.ROUTINE
              && endsTransactions(e)) {
            return committingRoutine(x, plan); // nothing has happened
          }
          boolean ddl =
              plan instanceof Plan.Ddl
                  || plan instanceof Plan.Observed o && o.then() instanceof Plan.Ddl;
          if (ddl && "25001".equals(e.getSQLState())) {
            return aloneOnServer(x, plan); // some extension's
          }
          if (outdated(plan, e) && x.repeatable()) {
            Plan anew = plan(planned);
            return transaction(() -> dispatch(planned, anew, x));
          }
          throw e;
        }
      }
      return dispatch(planned, plan, x);
    } finally {
      if (!textual) {
        leave();
      }
    }
  }

  /** Whether a routine complains that it is not alone: it begins and ends transactions itself. */
  private static boolean endsTransactions(SQLException e) {
    return "2D000".equals(e.getSQLState()) || "25001".equals(e.getSQLState());
  }

  // ---- what a statement's text does not tell

  /** From here to the commit the primary's own counts are watched. */
  void observe() throws SQLException {
    if (observation == null) {
      boolean truncated =
          unit != null
              && (!unit.parts().isEmpty()
                  || unit.changes().stream().anyMatch(c -> c.kind() == RowChange.Kind.TRUNCATE));
      observation = Observation.begin(writer, raw, unit, catalogTouched || truncated);
    }
    if (unit == null) {
      unit = writer.newUnit(epoch, raw);
    }
  }

  private <T> T observed(Plan.Observed plan, Execution<T> x) throws SQLException {
    boolean chunks = plan.kind() == Unmirrored.DDL && plan.then() == null;
    if (chunks) {
      writer.counters.primaryOnly(Unmirrored.DDL);
    } else {
      writer.counters.observed(plan.kind());
    }
    observe();
    String text = plan.text() ? x.text() : null;
    observation.runs(raw, unit, text);
    T result;
    if (plan.then() instanceof Plan.Truncate t) {
      result = truncate(t, x);
    } else if (plan.then() instanceof Plan.Ddl d) {
      result = ddl(d, x, plan.kind() == Unmirrored.ROUTINE);
    } else if (plan.then() instanceof Plan.Session s) {
      result = x.pass(s);
      sessionChanged(s, x.text(), x.goesOn());
      settings.called(x.text());
    } else if (plan.then() != null) {
      result = captured(plan.then(), x);
    } else {
      result = x.pass(plan);
    }
    if (!x.goesOn()) { // else it has yet to run
      observation.ran(raw);
    }
    if (text != null) {
      settings.called(text);
      observation.text(text, !chunks);
      forgetCatalog(); // a function may have made or changed tables
    }
    return result;
  }

  /** The transaction sees another catalog than before, and perhaps than others. */
  private void forgetCatalog() {
    ownCatalog = new Catalog();
    ownPlans = Epoch.cache(256);
  }

  /**
   * Something that the driver writes by itself, and not for a statement's text: as the policy of
   * its kind says. In autocommit it is a transaction of its own.
   *
   * @param asGiven does it
   * @param captured does it and tells {@link #wrote} what it can tell; the rest is observed
   */
  <T> T observed(Unmirrored kind, Work<T> asGiven, Work<T> captured) throws SQLException {
    raw();
    boolean alone = autoCommit && !inTransaction;
    if (!inTransaction) {
      begin();
    }
    try {
      accounted = true;
      if (!epoch.capturing()) {
        return asGiven.run();
      }
      switch (writer.settings.choice(kind.policy())) {
        case "reject":
          writer.counters.refused(kind);
          throw Refusal.of(
              "dualwrite refuses to change rows through a ResultSet ("
                  + kind.policy().key()
                  + "=reject): run an INSERT, UPDATE or DELETE statement instead");
        case "primary-only":
          writer.counters.primaryOnly(kind);
          return asGiven.run();
        default:
          writer.counters.observed(kind);
          Work<T> watched =
              () -> {
                observe();
                return captured.run();
              };
          return alone ? transaction(watched) : watched.run();
      }
    } finally {
      if (alone) {
        leave();
      }
    }
  }

  private <T> T truncate(Plan.Truncate plan, Execution<T> x) throws SQLException {
    writer.counters.observed(Unmirrored.TRUNCATE);
    if (unit == null) {
      unit = writer.newUnit(epoch, raw);
    }
    if (observation != null) {
      observation.settle(raw, unit);
    }
    T result = x.pass(plan);
    Moment now = Moment.of(raw);
    for (TableName t : plan.tables()) {
      if (t.schema().startsWith("_timescaledb_")) { // a chunk, which is another one on the mirror
        Optional<TableName> whole = DroppedChunks.hypertable(raw, t);
        if (whole.isPresent()) {
          suspect(whole.get(), "a TRUNCATE of a chunk");
        }
        continue;
      }
      wrote(Kind.TRUNCATE, RowChange.truncate(t, now.snapshot(), now.incarnation()));
      if (!now.latest()) {
        // rows that came after the snapshot went too, and it would bring them again
        suspect(t, "a TRUNCATE in a transaction with one snapshot for all its statements");
      }
      if (observation != null) {
        observation.rewritten(t); // the server's counts begin anew
      }
    }
    if (observation != null) {
      observation.known(raw); // it changed the catalog, and no function did
    }
    return result;
  }

  /**
   * @param calls whether it may call what writes
   */
  private <T> T ddl(Plan.Ddl plan, Execution<T> x, boolean calls) throws SQLException {
    writer.counters.observed(Unmirrored.DDL);
    if (unit == null) {
      unit = writer.newUnit(epoch, raw);
    }
    if (observation != null) {
      observation.settle(raw, unit);
    }
    DdlCapture capture = DdlCapture.begin(raw, plan.makes());
    Set<Long> altered = observation == null ? Set.of() : observation.altered(raw);
    T result = x.pass(plan);
    forgetCatalog();
    catalogTouched = true;
    if (capture.madeTemporary(raw)) {
      namesChanged();
    } else {
      capture.complete(raw, x.text(), calls, ownCatalog, this);
    }
    if (observation != null) {
      observation.known(raw);
      List<String> tables = new ArrayList<>(plan.objects());
      if (plan.makes() != null) {
        tables.add(plan.makes());
      }
      observation.defined(raw, tables, altered);
    }
    return result;
  }

  /** The table's rows may differ afterwards. */
  void suspect(TableName table, String why) {
    writer.counters.suspects.increment();
    unit.suspect(table, why);
  }

  /**
   * DDL that runs in no transaction: done first, then recorded; the replayer does it on the mirror.
   */
  private <T> T aloneOnServer(Execution<T> x, Plan plan) throws SQLException {
    writer.counters.observed(Unmirrored.DDL);
    T result = DdlCapture.fires(raw) ? committingRoutine(x, plan) : x.pass(plan);
    transaction(
        () -> {
          String[] session = DdlCapture.session(raw);
          wrote(Kind.DDL, RowChange.statement(x.text(), session[0], session[1], true));
          return null;
        });
    writer.catalogChanged();
    return result;
  }

  /**
   * A routine that commits by itself. What it commits cannot wait for an intent, so everything is
   * suspect, durably, before it begins; when it is over the primary tells which tables are.
   */
  private <T> T committingRoutine(Execution<T> x, Plan plan) throws SQLException {
    writer.suspectEverything(raw);
    boolean told = false;
    try {
      Observation watch = Observation.watch(writer, raw);
      try {
        return x.pass(plan);
      } finally {
        if (!raw.isClosed()) { // else everything stays suspect
          writer.suspectOnly(watch.touched(raw), raw);
          told = true;
        }
      }
    } finally {
      writer.routineEnded(told);
    }
  }

  /** A read in autocommit, as a transaction, so that it can be asked whether it wrote. */
  private <T> T audited(Planned planned, Execution<T> x, Plan plan) throws SQLException {
    begin();
    try {
      lastText = planned.sql;
      return transaction(() -> x.pass(plan));
    } finally {
      leave();
    }
  }

  /**
   * With {@code dualwrite.audit}: a transaction of which nothing was captured must not have changed
   * anything.
   */
  private void audit() throws SQLException {
    try (Statement s = raw.createStatement();
        ResultSet r =
            s.executeQuery("select pg_catalog.pg_current_xact_id_if_assigned() is not null")) {
      r.next();
      if (r.getBoolean(1)) {
        writer.uncaptured(lastText);
      }
    }
  }

  /** In autocommit, past the gate: the work as one transaction. */
  private <T> T transaction(Work<T> work) throws SQLException {
    boolean done = false;
    raw.setAutoCommit(false);
    try {
      T result = work.run();
      done = true;
      if (!textual) { // else a BEGIN of a batch has made it the application's
        endTransaction();
      }
      return result;
    } catch (SQLException | RuntimeException | Error e) {
      if (!done && !textual) {
        undo(e);
      }
      throw e;
    } finally {
      if (!textual) {
        forgetUnit();
        if (!raw.isClosed()) {
          raw.setAutoCommit(true);
        }
      }
    }
  }

  /** Whether the application's statement runs in a transaction that it did not begin. */
  boolean alone() throws SQLException {
    return autoCommit && !raw.getAutoCommit();
  }

  /** Something that is done within one transaction. */
  @FunctionalInterface
  interface Work<T> {
    T run() throws SQLException;
  }

  /**
   * Runs several statements in the open transaction or, in autocommit, in one of their own: as the
   * driver does with a batch.
   */
  <T> T together(Work<T> work) throws SQLException {
    raw();
    if (!autoCommit || inTransaction && !textual) {
      return work.run();
    }
    if (!textual) {
      begin();
    }
    try {
      together = epoch.capturing();
      return together ? transaction(work) : work.run();
    } finally {
      together = false;
      if (!textual) {
        leave();
      }
    }
  }

  private static final String BATCH = "dualwrite_batch";

  /**
   * Runs the entries of a batch in the application's own transaction as the driver does: where it
   * sets savepoints by itself that is one for all of them, to which it goes back if one fails.
   */
  <T> T entries(Work<T> work) throws SQLException {
    if (driver.getAutosave() != AutoSave.ALWAYS || autoCommit && !textual) {
      return work.run();
    }
    if (driver.getTransactionState() == TransactionState.FAILED) {
      return work.run();
    }
    Savepoint before = withoutAutosave(() -> savepoint(BATCH));
    T result;
    try {
      result = work.run();
    } catch (SQLException | RuntimeException | Error e) {
      try {
        if (youngest(BATCH) >= 0) { // else an entry has ended the transaction
          withoutAutosave(
              () -> {
                rollback(before);
                return null;
              });
        }
      } catch (SQLException second) {
        e.addSuppressed(second);
      }
      throw e;
    }
    if (youngest(BATCH) >= 0) {
      withoutAutosave(
          () -> {
            releaseSavepoint(before);
            return null;
          });
    }
    return result;
  }

  /**
   * The driver releases its own savepoint behind each statement, and one set in between with it.
   */
  private <T> T withoutAutosave(Work<T> work) throws SQLException {
    BaseConnection d = driver;
    AutoSave as = d.getAutosave();
    d.setAutosave(AutoSave.NEVER);
    try {
      return work.run();
    } finally {
      d.setAutosave(as);
    }
  }

  // ---- COPY

  private static final Set<String> UTC = Set.of("UTC", "Etc/UTC", "GMT", "Etc/GMT");

  /** COPY has no result but a stream: there is nothing to capture in its statement. */
  private record Copy(BaseConnection driver, String text) implements Execution<CopyOperation> {
    @Override
    public CopyOperation pass(Plan plan) throws SQLException {
      return driver.getQueryExecutor().startCopy(text, driver.getAutoCommit());
    }

    @Override
    public CopyOperation captured(Plan plan) {
      throw new AssertionError("COPY: " + plan);
    }

    @Override
    public CopyOperation several(Plan.Several plan) {
      throw new AssertionError("COPY: " + plan);
    }

    @Override
    public CopyOperation done() {
      throw new AssertionError("COPY");
    }

    @Override
    public boolean goesOn() {
      return true;
    }
  }

  /**
   * Begins a COPY. Where it may write, and in autocommit, it is a transaction of its own that ends
   * with the stream: {@link #copied}. Until then the roles do not change.
   */
  CopyOperation copy(String sql) throws SQLException {
    raw();
    boolean alone = autoCommit && !inTransaction;
    if (!inTransaction) {
      begin();
    }
    copying = alone;
    try {
      Planned planned = new Planned(sql, null);
      Plan plan = plan(planned);
      List<StatementInfo> statements = writer.texts.get(sql).statements();
      if (epoch.capturing()
          && (statements.size() != 1
              || statements.get(0).kind() != Kind.COPY_IN
                  && statements.get(0).kind() != Kind.COPY_OUT)) {
        writer.counters.refused(Unmirrored.FORM);
        throw Refusal.of("dualwrite refuses to begin a COPY with a text that is not one COPY");
      }
      Plan.Copy known = plan instanceof Plan.Copy c && epoch.capturing() ? c : null;
      if (known != null
          && !(driver.getEncoding().name().equals("UTF-8")
              && "UTF8".equals(driver.getParameterStatus("server_encoding")))) {
        known = null;
        plan = new Plan.Observed(Unmirrored.COPY, null, false);
      }
      boolean observed = epoch.capturing() && plan instanceof Plan.Observed;
      if (alone && (observed || known != null)) {
        raw.setAutoCommit(false);
      } else if (driver.getAutosave() != AutoSave.NEVER) {
        // the driver sets no savepoint for a COPY: to the one before it goes back what fails next
        try (Statement s = raw.createStatement()) {
          s.execute("select 1");
        }
      }
      if (known != null) {
        return copy(known, sql);
      }
      CopyOperation copy = dispatch(planned, plan, new Copy(driver, sql));
      if (observed || copy instanceof CopyIn) {
        return DwCopy.of(copy, this);
      }
      copying = false;
      if (alone) {
        leave();
      }
      return copy;
    } catch (SQLException | RuntimeException | Error e) {
      copied(false, e);
      throw e;
    }
  }

  /** Begins a COPY that is captured from what it sends. */
  private CopyOperation copy(Plan.Copy plan, String sql) throws SQLException {
    writer.counters.observed(Unmirrored.COPY);
    if (unit == null) {
      unit = writer.newUnit(epoch, raw);
    }
    if (observation != null) {
      observation.settle(raw, unit);
    }
    unit.rely(plan.table());
    writer.identify(raw, unit);
    CopyIn copy = (CopyIn) new Copy(driver, sql).pass(plan);
    return DwCopy.of(
        copy,
        this,
        new CopyCapture(
            this, plan, unit.mark(), UTC.contains(driver.getParameterStatus("TimeZone"))));
  }

  /** Rows that go by. */
  void copied(Plan.Copy plan, List<String[]> rows) throws SQLException {
    marked();
    unit.add(CopyCapture.change(plan, rows));
  }

  /** The primary has all that was sent. */
  void sent(CopyCapture capture, long rows) throws SQLException {
    String why = "it is not known what a COPY sent";
    try {
      why = capture.end(raw, rows);
    } finally {
      if (why == null) {
        writer.counters.values.add(rows);
        if (observation != null) {
          observation.captured(capture.table(), rows);
        }
      } else {
        notCopied(capture);
        suspect(capture.table(), why);
      }
    }
  }

  /** Rows that went by have come to nothing, or are not known. */
  void notCopied(CopyCapture capture) {
    if (unit != null) {
      writer.dropped(unit.truncate(capture.mark()));
    }
  }

  /**
   * The COPY is over; nothing to do if the application's own transaction goes on.
   *
   * @param because why it failed, or null
   */
  void copied(boolean done, Throwable because) throws SQLException {
    if (done && observation != null) {
      observation.ran(raw);
    }
    if (!copying) {
      return;
    }
    copying = false;
    try {
      if (closed || raw.isClosed() || raw.getAutoCommit()) {
        return;
      }
      if (done) {
        endTransaction();
      } else if (because != null) {
        undo(because);
      } else {
        raw.rollback();
        dropUnit();
      }
    } finally {
      forgetUnit();
      if (!closed && !raw.isClosed()) {
        raw.setAutoCommit(autoCommit);
      }
      leave();
    }
  }

  // ---- large objects

  /** Something that the driver does by itself. */
  @FunctionalInterface
  interface OnDriver<T> {
    T on(BaseConnection driver) throws SQLException;
  }

  /**
   * Large objects live in a catalog of their own and have other numbers on every server: refused,
   * or left to the primary.
   */
  <T> T largeObjects(OnDriver<T> what) throws SQLException {
    raw();
    if (!inTransaction && !autoCommit) {
      begin();
    }
    if ((inTransaction ? epoch : writer.now()).capturing()) {
      if (writer.settings.choice(Unmirrored.LARGE_OBJECT.policy()).equals("reject")) {
        writer.counters.refused(Unmirrored.LARGE_OBJECT);
        throw Refusal.of(
            "dualwrite refuses large objects: their numbers differ between the databases; use bytea"
                + " or text columns ("
                + Unmirrored.LARGE_OBJECT.policy().key()
                + "=primary-only leaves them to the primary)");
      }
      writer.counters.primaryOnly(Unmirrored.LARGE_OBJECT);
    }
    accounted = true;
    return what.on(driver);
  }

  private void undo(Throwable because) {
    try {
      raw.rollback();
      dropUnit();
    } catch (SQLException e) {
      because.addSuppressed(e);
    }
  }

  /** Remembers what a statement wrote; it is shipped when the transaction commits. */
  void wrote(Kind statement, RowChange change) throws SQLException {
    if (unit == null) {
      unit = writer.newUnit(epoch, raw);
    }
    if (observation != null) {
      observation.captured(statement, change);
    }
    marked();
    unit.add(change);
  }

  /** The style may be another one when the transaction ends. */
  private void marked() {
    if (!"postgres".equals(driver.getParameterStatus("IntervalStyle"))) {
      unit.markOddFormats();
    }
  }

  /** The transaction came to nothing: its parts in the journal do too. */
  private void dropUnit() {
    UnitOfWork u = unit;
    unit = null;
    observation = null;
    ended(false);
    if (u != null) {
      writer.dropped(u.parts());
    }
  }

  /** Whatever became of the transaction. */
  private void forgetUnit() {
    UnitOfWork u = unit;
    unit = null;
    observation = null;
    ended(false);
    if (u != null) {
      writer.unknown(u);
    }
  }

  /** A name may mean another table from here on, to this connection alone. */
  private void namesChanged() {
    ownPath = true;
    pathTouched |= inTransaction || !autoCommit;
    ownPlans = Epoch.cache(256);
  }

  /** After a transaction: what only it saw of the catalog is gone, or everybody sees it. */
  private void ended(boolean committed) {
    if (ownCatalog != null) {
      ownCatalog = null;
      ownPlans = ownPath ? Epoch.cache(256) : null;
    }
    if (pathTouched) {
      namesChanged();
      pathTouched = false;
    }
    if (catalogTouched) {
      catalogTouched = false;
      if (committed) {
        writer.catalogChanged();
      }
    }
  }

  /** Commits the primary's transaction; what it answers goes to the caller. */
  private void endTransaction() throws SQLException {
    namedSavepoints.clear();
    boolean failed =
        driver.getTransactionState() == TransactionState.FAILED; // COMMIT will answer ROLLBACK
    boolean done = false;
    try {
      if (!failed && observation != null) {
        observation.complete(raw, catalog(), unit);
        catalogTouched |= observation.catalogChanged();
        if (observation.namesChanged()) {
          namesChanged();
        }
      }
      UnitOfWork u = unit;
      if (u == null || u.isEmpty() || failed) {
        if (writer.audits() && epoch.capturing() && !failed && !accounted && observation == null) {
          audit();
        }
        raw.commit();
        done = true;
        if (failed) {
          dropUnit();
        }
      } else {
        unit = null; // the commit sees to its parts, whatever happens
        if (ownCatalog != null || observation != null) {
          u.doubt();
        }
        if (oddFormats) {
          u.markOddFormats();
        }
        if (impatient) {
          try (Statement s = raw.createStatement()) {
            s.execute(PATIENCE);
          }
        }
        writer.commit(epoch, raw, u);
        done = true;
      }
    } finally {
      // it failed before the primary was asked: a second commit() would commit what is not
      // shipped any more
      if (!done && !raw.isClosed() && driver.getTransactionState() != TransactionState.IDLE) {
        raw.rollback();
        dropUnit();
      }
      UnitOfWork left = unit;
      unit = null;
      observation = null;
      ended(done && !failed);
      if (left != null) {
        writer.unknown(left);
      }
    }
  }

  private void leave() {
    if (inTransaction) {
      accounted = false;
      inTransaction = false;
      writer.gate.exit(pass);
    }
  }

  // ---- transactions

  @Override
  public void setAutoCommit(boolean on) throws SQLException {
    raw();
    if (on == autoCommit) {
      return;
    }
    if (on) {
      try {
        endTransaction();
      } finally {
        leave();
      }
    }
    raw.setAutoCommit(on);
    autoCommit = on;
    textual = false; // a transaction that a BEGIN began goes on as one of the connection's own
  }

  @Override
  public boolean getAutoCommit() throws SQLException {
    raw();
    return autoCommit;
  }

  @Override
  public void commit() throws SQLException {
    raw();
    if (autoCommit) {
      throw new PSQLException(
          GT.tr("Cannot commit when autoCommit is enabled."), PSQLState.NO_ACTIVE_SQL_TRANSACTION);
    }
    try {
      endTransaction();
    } finally {
      leave();
    }
  }

  @Override
  public void rollback() throws SQLException {
    raw();
    if (autoCommit) {
      throw new PSQLException(
          GT.tr("Cannot rollback when autoCommit is enabled."),
          PSQLState.NO_ACTIVE_SQL_TRANSACTION);
    }
    rollbackTransaction();
  }

  private void rollbackTransaction() throws SQLException {
    namedSavepoints.clear();
    try {
      raw.rollback();
      dropUnit();
    } finally {
      forgetUnit();
      leave();
    }
  }

  @Override
  public Savepoint setSavepoint() throws SQLException {
    return savepoint(null);
  }

  @Override
  public Savepoint setSavepoint(String name) throws SQLException {
    return savepoint(name);
  }

  private Savepoint savepoint(String name) throws SQLException {
    if (!autoCommit && !inTransaction) {
      raw();
      begin();
    }
    Savepoint s = name == null ? raw().setSavepoint() : raw().setSavepoint(name);
    // the driver names the nameless ones itself, and text can refer to that name
    Named named = new Named(name == null ? "JDBC_SAVEPOINT_" + s.getSavepointId() : name, mark());
    namedSavepoints.add(named);
    return new DwSavepoint(s, named);
  }

  private int mark() throws SQLException {
    if (observation != null && driver.getTransactionState() == TransactionState.OPEN) {
      observation.settle(raw, unit);
    }
    return unit == null ? 0 : unit.mark();
  }

  @Override
  public void rollback(Savepoint savepoint) throws SQLException {
    if (!(savepoint instanceof DwSavepoint s)) {
      throw new SQLException("the savepoint was not made by this connection", "3B001");
    }
    raw().rollback(s.raw);
    backTo(youngest(s.named.name)); // the server, too, goes by the name
  }

  @Override
  public void releaseSavepoint(Savepoint savepoint) throws SQLException {
    if (!(savepoint instanceof DwSavepoint s)) {
      throw new SQLException("the savepoint was not made by this connection", "3B001");
    }
    raw().releaseSavepoint(s.raw);
    forget(youngest(s.named.name));
  }

  /**
   * The youngest savepoint of that name: the one that the server means; -1 if it was made behind
   * our back.
   */
  private int youngest(String name) {
    for (int i = namedSavepoints.size() - 1; i >= 0; i--) {
      if (namedSavepoints.get(i).name.equals(name)) {
        return i;
      }
    }
    return -1;
  }

  /**
   * ROLLBACK_TO_TRUNCATES: what came after the savepoint is not shipped, and younger savepoints are
   * gone.
   */
  private void backTo(int at) throws SQLException {
    if (at < 0) {
      raw.rollback(); // the server has undone we know not how much: nothing of this transaction
      // may be shipped
      dropUnit();
      throw new SQLException(
          "the transaction was rolled back: dualwrite does not know the savepoint, and so not what was undone",
          "3B001");
    }
    if (unit != null) {
      writer.dropped(unit.truncate(namedSavepoints.get(at).mark));
    }
    if (pathTouched) {
      namesChanged();
    }
    namedSavepoints.subList(at + 1, namedSavepoints.size()).clear();
    if (observation != null) {
      observation.undone(raw);
    }
    if (ownCatalog != null) {
      forgetCatalog();
    }
  }

  /** The savepoint and the younger ones are released. */
  private void forget(int at) {
    if (at >= 0) {
      namedSavepoints.subList(at, namedSavepoints.size()).clear();
    }
  }

  /** Transaction control as text: the same state machine as the methods above. */
  private <T> T control(Plan.Transaction plan, Execution<T> x) throws SQLException {
    TransactionCommand command = plan.statement().transaction();
    switch (command.action()) {
      case SAVEPOINT -> {
        T result = x.pass(plan);
        namedSavepoints.add(new Named(command.name(), mark()));
        return result;
      }
      case ROLLBACK_TO -> {
        T result = x.pass(plan);
        backTo(youngest(command.name()));
        return result;
      }
      case RELEASE -> {
        T result = x.pass(plan);
        forget(youngest(command.name()));
        return result;
      }
      case SET_TRANSACTION -> {
        return x.pass(plan);
      }
      case BEGIN -> {
        if (textual || !autoCommit) {
          return x.pass(plan); // there is a transaction: the server warns
        }
        raw.setAutoCommit(false);
        textual = true;
        try (Statement s = raw.createStatement()) {
          String modes = plan.modes();
          s.execute(modes.isEmpty() ? "show transaction_isolation" : "set transaction " + modes);
        } catch (SQLException e) {
          endOfText();
          throw e;
        }
        return x.done();
      }
      case COMMIT, ROLLBACK -> {
        if (!together && autoCommit && !textual) {
          return x.pass(plan); // there is no transaction
        }
        if (together && !textual && command.chain()) {
          throw new PSQLException(
              "ERROR: " + command.action() + " AND CHAIN can only be used in transaction blocks",
              PSQLState.NO_ACTIVE_SQL_TRANSACTION);
        }
        // a failed one tells nothing of itself, but what the server has follow it does
        boolean rolledBack =
            command.chain() && driver.getTransactionState() == TransactionState.FAILED;
        if (rolledBack) {
          try (Statement s = raw.createStatement()) {
            s.execute("rollback and chain");
          }
        }
        String modes = command.chain() ? modes() : null;
        boolean text = textual;
        try {
          if (command.action() == TransactionCommand.Action.COMMIT && !rolledBack) {
            endTransaction();
          } else {
            rollbackTransaction();
          }
        } finally {
          if (text) {
            endOfText();
          }
          leave();
        }
        if (together || command.chain()) {
          begin();
          raw.setAutoCommit(false);
        }
        if (command.chain()) {
          textual = text;
          try (Statement s = raw.createStatement()) {
            s.execute("set transaction " + modes);
          }
        }
        return x.done();
      }
      default -> throw refuse(command, "two-phase commit cannot be mirrored");
    }
  }

  private void endOfText() throws SQLException {
    textual = false;
    if (!raw.isClosed() && !together) {
      raw.setAutoCommit(true);
    }
  }

  /** The characteristics of the transaction, for the one that AND CHAIN begins. */
  private String modes() throws SQLException {
    try (Statement s = raw.createStatement();
        ResultSet r =
            s.executeQuery(
                "select 'isolation level ' || current_setting('transaction_isolation') ||"
                    + " case when current_setting('transaction_read_only') = 'on' then ', read only' else ', read write' end")) {
      r.next();
      return r.getString(1);
    }
  }

  private SQLException refuse(TransactionCommand command, String why) {
    writer.counters.refused(Unmirrored.FORM);
    return Refusal.of("dualwrite refuses " + command.action() + ": " + why);
  }

  /** Settings that {@link #look} asks for, beside the search path. */
  private static final Set<String> MINDED =
      Set.of(
          DIGITS,
          "idle_in_transaction_session_timeout",
          "transaction_timeout",
          DIRECT_INSERT,
          DIRECT_COPY);

  /**
   * Whether the text says by literals, wherever it calls set_config, that it is another setting.
   */
  static boolean namesOtherSettings(String lower) {
    String call = "set_config";
    for (int i = lower.indexOf(call); i >= 0; i = lower.indexOf(call, i)) {
      i += call.length();
      int end = lower.startsWith("('", i) ? lower.indexOf('\'', i + 2) : -1;
      if (end < 0
          || !lower.startsWith(",", end + 1)
          || MINDED.contains(lower.substring(i + 2, end).strip())) {
        return false;
      }
    }
    return true;
  }

  /**
   * A SET or its like has run on the primary.
   *
   * @param taken whether nothing can be asked on the connection
   */
  void sessionChanged(Plan.Session plan, String sql, boolean taken) throws SQLException {
    String setting = plan.setting();
    if (setting == null
        ? !namesOtherSettings(sql.toLowerCase(Locale.ROOT))
        : MINDED.contains(setting) || setting.equals("all")) {
      if (!taken && (setting == null || driver.getTransactionState() == TransactionState.IDLE)) {
        look();
      } else { // no query, with which a transaction's characteristics would be fixed
        oddFormats |= setting == null || setting.equals(DIGITS) || setting.equals("all");
        impatient |= setting == null || !setting.equals(DIGITS);
        directCompressOff(setting, taken);
      }
    }
    if (plan.forgetPlans()) {
      namesChanged();
    }
  }

  /**
   * In an open transaction, by a statement that fixes none of its characteristics. Where it may not
   * be run, as in the midst of a COPY, nothing can be set either.
   */
  private void directCompressOff(String setting, boolean taken) throws SQLException {
    if (taken) {
      return;
    }
    for (String s : List.of(DIRECT_INSERT, DIRECT_COPY)) {
      // RESET ALL goes back to what look() found when the session began, perhaps
      if (s.equals(setting) || "all".equals(setting) && directCompress) {
        try (Statement off = raw.createStatement()) {
          off.execute("set " + s + " = off");
        }
        writer.directCompressOff();
      }
    }
  }

  // ---- session state

  private void remember(String what, Session how) throws SQLException {
    how.apply(raw());
    session.put(what, how);
  }

  /** A setting of the driver's, for this primary and the next. */
  void set(String what, OnDriver<Void> how) throws SQLException {
    remember("driver." + what, c -> how.on(c.unwrap(BaseConnection.class)));
  }

  /** As {@link #set}, where the driver throws nothing and sets it on a closed connection, too. */
  void setQuietly(String what, Consumer<BaseConnection> how) {
    how.accept(driver);
    session.put("driver." + what, c -> how.accept(c.unwrap(BaseConnection.class)));
  }

  @Override
  public void setReadOnly(boolean on) throws SQLException {
    remember(
        "readOnly",
        c -> {
          c.setReadOnly(on);
          readOnly = on;
        });
  }

  @Override
  public boolean isReadOnly() throws SQLException {
    raw().isReadOnly(); // complains if it is closed
    return readOnly;
  }

  @Override
  public void setCatalog(String catalog) throws SQLException {
    remember("catalog", c -> c.setCatalog(catalog));
  }

  @Override
  public void setTransactionIsolation(int level) throws SQLException {
    raw().setTransactionIsolation(level);
    settings.touched();
  }

  @Override
  public void setTypeMap(Map<String, Class<?>> map) throws SQLException {
    remember("typeMap", c -> c.setTypeMap(map));
  }

  @Override
  public void setHoldability(int holdability) throws SQLException {
    remember("holdability", c -> c.setHoldability(holdability));
  }

  @Override
  public void setClientInfo(String name, String value) throws SQLClientInfoException {
    informed(Collections.singleton(name)).setClientInfo(name, value);
    settings.touched();
  }

  @Override
  public void setClientInfo(Properties properties) throws SQLClientInfoException {
    Connection c = informed(properties.keySet());
    settings.touched();
    c.setClientInfo(properties); // what they do not have it clears
  }

  /** The connection, for the client's properties of these names. */
  private Connection informed(Set<?> names) throws SQLClientInfoException {
    try {
      return raw();
    } catch (SQLException e) {
      Map<String, ClientInfoStatus> failed = new HashMap<>();
      names.forEach(n -> failed.put((String) n, ClientInfoStatus.REASON_UNKNOWN));
      throw new SQLClientInfoException(GT.tr("This connection has been closed."), failed, e);
    }
  }

  @Override
  public void setSchema(String schema) throws SQLException {
    raw().setSchema(schema);
    settings.touched();
    namesChanged();
  }

  @Override
  public void setNetworkTimeout(Executor executor, int milliseconds) throws SQLException {
    remember("networkTimeout", c -> c.setNetworkTimeout(executor, milliseconds));
  }

  // ---- statements

  @Override
  public Statement createStatement() throws SQLException {
    raw();
    return new DwStatement(this, ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY, 0);
  }

  @Override
  public Statement createStatement(int type, int concurrency) throws SQLException {
    raw();
    return new DwStatement(this, type, concurrency, 0);
  }

  @Override
  public Statement createStatement(int type, int concurrency, int holdability) throws SQLException {
    raw();
    return new DwStatement(this, type, concurrency, holdability);
  }

  @Override
  public PreparedStatement prepareStatement(String sql) throws SQLException {
    return prepare(sql, null, ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY, 0);
  }

  @Override
  public PreparedStatement prepareStatement(String sql, int type, int concurrency)
      throws SQLException {
    return prepare(sql, null, type, concurrency, 0);
  }

  @Override
  public PreparedStatement prepareStatement(String sql, int type, int concurrency, int holdability)
      throws SQLException {
    return prepare(sql, null, type, concurrency, holdability);
  }

  @Override
  public PreparedStatement prepareStatement(String sql, int autoGeneratedKeys) throws SQLException {
    List<String> keys = autoGeneratedKeys == Statement.RETURN_GENERATED_KEYS ? List.of() : null;
    return prepare(sql, keys, ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY, 0);
  }

  @Override
  public PreparedStatement prepareStatement(String sql, int[] columnIndexes) throws SQLException {
    if (columnIndexes != null && columnIndexes.length > 0) {
      return raw()
          .prepareStatement(sql, columnIndexes); // the driver does not know this either and says so
    }
    return prepareStatement(sql);
  }

  @Override
  public PreparedStatement prepareStatement(String sql, String[] columnNames) throws SQLException {
    List<String> keys =
        columnNames == null || columnNames.length == 0
            ? null
            : List.copyOf(Arrays.asList(columnNames));
    return prepare(sql, keys, ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY, 0);
  }

  private PreparedStatement prepare(
      String sql, List<String> keys, int type, int concurrency, int holdability)
      throws SQLException {
    raw();
    return new DwPreparedStatement(this, prepared(sql, keys), type, concurrency, holdability);
  }

  @Override
  public CallableStatement prepareCall(String sql) throws SQLException {
    return prepareCall(sql, ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY, 0);
  }

  @Override
  public CallableStatement prepareCall(String sql, int type, int concurrency) throws SQLException {
    return prepareCall(sql, type, concurrency, 0);
  }

  @Override
  public CallableStatement prepareCall(String sql, int type, int concurrency, int holdability)
      throws SQLException {
    return DwCallableStatement.of(this, sql, type, concurrency, holdability);
  }

  @Override
  public DatabaseMetaData getMetaData() throws SQLException {
    return new DwDatabaseMetaData(raw().getMetaData(), this);
  }

  // ---- the end

  @Override
  public void close() throws SQLException {
    if (closed) {
      return;
    }
    closed = true;
    copying = false;
    try {
      raw.close();
    } finally {
      forgetUnit();
      leave();
      writer.gate.unregister(pass);
    }
  }

  @Override
  public boolean isClosed() throws SQLException {
    return closed || raw.isClosed();
  }

  @Override
  public boolean isValid(int timeout) throws SQLException {
    return !closed && raw.isValid(timeout);
  }

  @Override
  public void abort(Executor executor) throws SQLException {
    if (closed) {
      return;
    }
    closed = true;
    try {
      raw.abort(executor);
    } finally {
      forgetUnit();
      writer.gate.unregister(pass);
    }
  }

  /** This connection, or the driver's own interface with nothing in it that leads past us. */
  @Override
  public <T> T unwrap(Class<T> type) throws SQLException {
    if (type.isInstance(this)) {
      return type.cast(this);
    }
    if (type.isAssignableFrom(DwDriverConnection.class)) {
      raw();
      if (unwrapped == null) {
        unwrapped = new DwDriverConnection(this);
      }
      return type.cast(unwrapped);
    }
    if (type == PgConnection.class) {
      throw Refusal.of(
          "dualwrite does not hand out the driver's own connection, since what is written through it"
              + " would not be mirrored: unwrap PGConnection or BaseConnection, which are interfaces");
    }
    throw Refusal.handOut(type);
  }

  @Override
  public boolean isWrapperFor(Class<?> type) {
    return type.isInstance(this) || type.isAssignableFrom(DwDriverConnection.class);
  }
}
