package io.dualwrite.converge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.fail;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.TableName;
import io.dualwrite.control.ControlSchema;
import io.dualwrite.control.Incarnation;
import io.dualwrite.embedded.PgPair;
import io.dualwrite.journal.Intent;
import io.dualwrite.journal.RowChange;
import io.dualwrite.journal.RowChange.Kind;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;

/** Two databases with an engine between them, and words for tests. */
final class Fixture implements AutoCloseable {

  /** A condition that takes its time. */
  interface Condition {
    boolean holds() throws SQLException;
  }

  /** What a thread does. */
  interface Action {
    void run() throws Exception;
  }

  final PgPair pair;
  final Catalog primaryCatalog = new Catalog();
  final Catalog mirrorCatalog = new Catalog();
  final Convergence engine;
  final MirrorWriter writer = new MirrorWriter(mirrorCatalog);
  final MemoryJournal journal = new MemoryJournal();
  private final List<Connection> connections = new ArrayList<>();
  private final List<HikariDataSource> pools = new ArrayList<>();
  private final ExecutorService threads =
      Executors.newCachedThreadPool(
          r -> {
            Thread t = new Thread(r, "test-actor");
            t.setDaemon(true);
            return t;
          });

  Fixture(PgPair pair) {
    this.pair = pair;
    engine =
        new Convergence(
            source(pair.sourceUrl()), source(pair.targetUrl()), primaryCatalog, mirrorCatalog);
    try (Connection c = pair.target()) {
      ControlSchema.install(c);
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }

  Fixture() {
    this(PgPair.shared());
  }

  Fixture with(String... ddl) throws SQLException {
    for (String s : ddl) {
      pair.execute(s);
    }
    return this;
  }

  /** Pooled, as the engine's connections are wherever it is used. */
  static HikariDataSource pool(String url, String user, String password) {
    HikariConfig c = new HikariConfig();
    c.setJdbcUrl(url);
    c.setUsername(user);
    c.setPassword(password);
    c.setMinimumIdle(0);
    c.setMaximumPoolSize(20);
    c.setConnectionTimeout(5000);
    c.setInitializationFailTimeout(-1);
    return new HikariDataSource(c);
  }

  private HikariDataSource source(String url) {
    HikariDataSource d = pool(url, pair.sourceServer().user(), pair.sourceServer().password());
    pools.add(d);
    return d;
  }

  /** A session on the primary, in a transaction. */
  Connection primary() throws SQLException {
    return session(pair.source());
  }

  /** A session on the mirror, in a transaction. */
  Connection mirror() throws SQLException {
    return session(pair.target());
  }

  private Connection session(Connection c) throws SQLException {
    c.setAutoCommit(false);
    connections.add(c);
    return c;
  }

  static long execute(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement()) {
      s.execute(sql);
      return s.getUpdateCount();
    }
  }

  static String value(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement();
        ResultSet r = s.executeQuery(sql)) {
      r.next();
      return r.getString(1);
    }
  }

  /** A table's rows on one side, as text, in order. */
  static List<String> rows(Connection c, String table) throws SQLException {
    List<String> result = new ArrayList<>();
    try (Statement s = c.createStatement()) {
      s.execute("set timezone to 'UTC'");
      try (ResultSet r = s.executeQuery("select to_jsonb(t)::text || '|' from " + table + " t")) {
        while (r.next()) {
          result.add(r.getString(1));
        }
      }
    }
    result.sort(null);
    return result;
  }

  /** The comparison of the tests: the multisets of rows, columns by name. */
  boolean equal(String table) throws SQLException {
    try (Connection p = pair.source();
        Connection m = pair.target()) {
      return rows(p, table).equals(rows(m, table));
    }
  }

  void assertEqual(String... tables) throws SQLException {
    for (String t : tables) {
      try (Connection p = pair.source();
          Connection m = pair.target()) {
        assertEquals(rows(p, t), rows(m, t), t);
      }
    }
  }

  Future<?> start(Action action) {
    return threads.submit(
        () -> {
          action.run();
          return null;
        });
  }

  static void finish(Future<?> f) throws Exception {
    try {
      f.get(30, TimeUnit.SECONDS);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof Exception c) {
        throw c;
      }
      throw e;
    } catch (TimeoutException e) {
      fail("it does not end", e);
    }
  }

  static void await(String what, Condition c) throws SQLException {
    long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
    while (!c.holds()) {
      if (System.nanoTime() > deadline) {
        fail("did not happen in 30 s: " + what);
      }
      LockSupport.parkNanos(1_000_000);
    }
  }

  /** Waits until a session of the mirror waits for a lock. */
  void awaitBlocked() throws SQLException {
    try (Connection m = pair.target()) {
      await(
          "a session of the mirror waits for a lock",
          () ->
              value(
                      m,
                      "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")
                  .equals("1"));
    }
  }

  static TableName table(String name) {
    return new TableName("public", name);
  }

  static RowChange change(
      Kind kind, String table, List<String> columns, List<String> key, String[]... rows) {
    return new RowChange(kind, table(table), columns, null, key, rows);
  }

  static RowChange upsert(String table, List<String> columns, String[]... rows) {
    return change(Kind.UPSERT, table, columns, List.of(columns.get(0)), rows);
  }

  static RowChange delete(String table, String key, String... values) {
    String[][] rows = Arrays.stream(values).map(v -> new String[] {v}).toArray(String[][]::new);
    return change(Kind.DELETE, table, List.of(key), List.of(key), rows);
  }

  static String[] row(String... values) {
    return values;
  }

  /** Appends an intent for the transaction that is open on the primary, as the writer would. */
  Intent intent(Connection primary, RowChange... changes) throws SQLException {
    Intent i =
        new Intent(
            journal.nextSequence(),
            0,
            0,
            Incarnation.of(primary),
            Long.parseLong(value(primary, "select pg_current_xact_id()")),
            Integer.parseInt(value(primary, "select pg_backend_pid()")),
            List.of(changes));
    journal.append(i);
    return i;
  }

  /** Applies changes to the mirror as the direct path does, without committing. */
  void flush(Connection mirror, Marker marker, RowChange... changes)
      throws SQLException, CountMismatchException {
    writer.apply(mirror, List.of(changes), marker, ApplyLimits.DEFAULT);
  }

  Replayer replayer() {
    return new Replayer(
        journal,
        () -> engine,
        new ReplayerOptions(500, 3, Duration.ofMillis(1), Duration.ofMillis(200)));
  }

  @Override
  public void close() throws SQLException {
    Rules.off();
    threads.shutdownNow();
    for (Connection c : connections) {
      try (c) {
        c.rollback();
      } catch (SQLException e) {
        // its server was killed
      }
    }
    pools.forEach(HikariDataSource::close);
    pair.close();
  }
}
