package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.config.Setting;
import io.dualwrite.embedded.PgPair;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;

/**
 * Two real databases, a journal and a DataSource over them; and a comparison that knows nothing of
 * the product's own.
 */
final class Fixture implements AutoCloseable {

  final PgPair pair;
  final Path journal;
  DualWriteDataSource ds;

  private final boolean closesPair;

  private Fixture(PgPair pair, boolean closesPair) {
    this.pair = pair;
    this.closesPair = closesPair;
    try {
      journal = Files.createTempDirectory("dualwrite-journal");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** On the servers that all tests share. */
  static Fixture shared(String ddl) throws SQLException {
    Fixture f = new Fixture(PgPair.shared(), false);
    f.pair.execute(ddl);
    return f.open(b -> {});
  }

  /** On the servers of a major version that all tests share. */
  static Fixture shared(int major, String ddl, Consumer<DualWriteDataSource.Builder> more)
      throws SQLException {
    Fixture f = new Fixture(PgPair.shared(major), false);
    f.pair.execute(ddl);
    return f.open(more);
  }

  /** On servers of its own, which may be killed. */
  static Fixture own(String ddl) throws SQLException {
    Fixture f = new Fixture(PgPair.own(), true);
    f.pair.execute(ddl);
    return f.open(b -> {});
  }

  /** On servers with TimescaleDB, if there are any, in databases of its own. */
  static Optional<Fixture> timescale(List<String> ddl) throws SQLException {
    Optional<PgPair> pair = PgPair.timescale();
    if (pair.isEmpty()) {
      return Optional.empty();
    }
    Fixture f = new Fixture(pair.get(), true);
    for (String sql : ddl) { // most functions of TimescaleDB are to be alone
      f.pair.execute(sql);
    }
    return Optional.of(f.open(b -> {}));
  }

  /** Opens the DataSource (again). */
  Fixture open(Consumer<DualWriteDataSource.Builder> more) {
    return openTo(pair.targetUrl(), more);
  }

  Fixture openTo(String targetUrl, Consumer<DualWriteDataSource.Builder> more) {
    if (ds != null) {
      ds.close();
    }
    DualWriteDataSource.Builder b =
        DualWriteDataSource.builder()
            .source(pair.sourceUrl(), "postgres", "postgres")
            .target(targetUrl, "postgres", "postgres")
            .journal(journal)
            .set(Setting.JOURNAL_MIN_FREE_BYTES, "1MB");
    more.accept(b);
    ds = b.build();
    return this;
  }

  /**
   * Waits until both catalogs have been compared, so that values are captured where they can be.
   */
  Fixture ready() {
    await("catalogs compared", () -> ds.writer().ready());
    return this;
  }

  Connection connect() throws SQLException {
    return ds.getConnection();
  }

  void execute(String sql) throws SQLException {
    try (Connection c = connect();
        Statement s = c.createStatement()) {
      s.execute(sql);
    }
  }

  /** The query's only value. */
  static String value(Connection c, String query) throws SQLException {
    try (Statement s = c.createStatement();
        ResultSet r = s.executeQuery(query)) {
      r.next();
      return r.getString(1);
    }
  }

  void assertDrained() throws SQLException {
    assertTrue(ds.drain(Duration.ofSeconds(30)), () -> "not drained: " + ds.status());
  }

  long counter(String name) {
    return ds.status().counters().get(name);
  }

  /** Drains, then compares every table row by row as text. */
  void assertEqual() throws SQLException {
    assertDrained();
    assertEqualNow();
  }

  void assertEqualNow() throws SQLException {
    try (Connection s = pair.source();
        Connection t = pair.target()) {
      Map<String, List<String>> expected = contents(s);
      Map<String, List<String>> actual = contents(t);
      assertEquals(expected.keySet(), actual.keySet());
      expected.forEach(
          (table, rows) -> {
            List<String> missing = new ArrayList<>(rows);
            List<String> extra = new ArrayList<>(actual.get(table));
            actual.get(table).forEach(missing::remove);
            rows.forEach(extra::remove);
            assertTrue(
                missing.isEmpty() && extra.isEmpty(),
                () -> table + " lacks " + missing + " and has " + extra);
          });
    }
  }

  static Map<String, List<String>> contents(Connection c) throws SQLException {
    Map<String, List<String>> all = new TreeMap<>();
    List<String> tables = new ArrayList<>();
    try (Statement s = c.createStatement();
        ResultSet r =
            s.executeQuery(
                "select quote_ident(schemaname)||'.'||quote_ident(tablename) from pg_tables where schemaname in ('public','app') order by 1")) {
      while (r.next()) {
        tables.add(r.getString(1));
      }
    }
    for (String t : tables) {
      List<String> rows = new ArrayList<>();
      try (Statement s = c.createStatement();
          ResultSet r =
              s.executeQuery("select x::text from " + t + " x order by x::text collate \"C\"")) {
        while (r.next()) {
          rows.add(r.getString(1));
        }
      }
      all.put(t, rows);
    }
    return all;
  }

  static void await(String what, Callable<Boolean> condition) {
    await(what, Duration.ofSeconds(60), condition);
  }

  static void await(String what, Duration atMost, Callable<Boolean> condition) {
    long end = System.nanoTime() + atMost.toNanos();
    try {
      while (!condition.call()) {
        assertTrue(System.nanoTime() < end, "waited in vain for: " + what);
        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(5));
      }
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new AssertionError(what, e);
    }
  }

  @Override
  public void close() {
    if (ds != null) {
      ds.close();
    }
    if (closesPair) {
      pair.close();
    }
  }
}
