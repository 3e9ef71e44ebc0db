package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.config.Setting;
import io.dualwrite.config.Settings;
import io.dualwrite.embedded.PgPair;
import io.dualwrite.embedded.TcpProxy;
import io.dualwrite.shadow.Capture;
import io.dualwrite.shadow.ShadowReads;
import io.dualwrite.shadow.ShadowReport;
import java.lang.management.ManagementFactory;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.function.Predicate;
import javax.sql.DataSource;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.postgresql.PGResultSetMetaData;
import org.postgresql.PGStatement;
import org.postgresql.ds.PGSimpleDataSource;

@Timeout(120)
class ShadowReadsTest {

  private final PgPair pair = PgPair.shared();
  private volatile boolean caughtUp = true;
  private Connection app;
  private ShadowReads reads;

  @BeforeEach
  void begin() throws SQLException {
    app = pair.source();
    reads = reads(b -> {});
    pair.execute("create table t(id int primary key, v text, f float8)");
    pair.execute("insert into t select i, 'v' || i, i / 7.0 from generate_series(1, 10) i");
  }

  @AfterEach
  void end() throws SQLException {
    reads.close();
    app.close();
  }

  private static DataSource at(String url) {
    PGSimpleDataSource d = new PGSimpleDataSource();
    d.setUrl(url);
    d.setUser("postgres");
    d.setPassword("postgres");
    return d;
  }

  private ShadowReads reads(Consumer<Settings.Builder> more) {
    return reads(at(pair.targetUrl()), more);
  }

  private ShadowReads reads(DataSource mirror, Consumer<Settings.Builder> more) {
    Settings.Builder b =
        Settings.builder()
            .set(Setting.SHADOW_SAMPLE_RATE, 1.0)
            .set(Setting.SHADOW_RECHECK_DELAY, Duration.ofMillis(20));
    more.accept(b);
    return new ShadowReads(at(pair.sourceUrl()), mirror, b.build(), () -> caughtUp);
  }

  private void with(Consumer<Settings.Builder> more) {
    reads.close();
    reads = reads(more);
  }

  /** Reads as an application does; at most so many rows. */
  private int read(String sql, boolean ordered, int rows, Object... parameters)
      throws SQLException {
    try (PreparedStatement s = app.prepareStatement(sql)) {
      ShadowReads.Binder binder =
          p -> {
            for (int i = 0; i < parameters.length; i++) {
              p.setObject(i + 1, parameters[i]);
            }
          };
      binder.bind(s);
      long start = System.nanoTime();
      int n = 0;
      try (ResultSet r =
          new TeeResultSet(s.executeQuery(), s, reads.capture(sql, binder, ordered, start))) {
        while (n < rows && r.next()) {
          n++;
        }
      }
      return n;
    }
  }

  private void read(String sql, boolean ordered) throws SQLException {
    read(sql, ordered, Integer.MAX_VALUE);
  }

  private ShadowReport.Query await(Predicate<ShadowReport.Query> condition) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (true) {
      List<ShadowReport.Query> all = reads.report().queries();
      if (all.size() == 1 && condition.test(all.get(0))) {
        return all.get(0);
      }
      assertTrue(System.nanoTime() < end, () -> "it did not come to pass: " + reads.report());
      LockSupport.parkNanos(1_000_000);
    }
  }

  /** Waits until a read is decided, and requires how: at the first look, if it is equal. */
  private ShadowReport.Query decided(long equal, long different) {
    return decided(equal, different, 0);
  }

  private ShadowReport.Query decided(long equal, long different, long late) {
    ShadowReport.Query q = await(x -> x.compared() + x.errors() > 0 || !x.skipped().isEmpty());
    assertEquals(
        List.of(equal, different, late, 0L, 0L, Map.of()),
        List.of(q.equal(), q.different(), q.late(), q.undecided(), q.errors(), q.skipped()),
        () -> reads.report().toString());
    return q;
  }

  private String difference() {
    ShadowReport.Query q = decided(0, 1);
    assertEquals(1, q.differences().size(), q.differences().toString());
    return q.differences().get(0).toString();
  }

  private static final String BY_ID = "select id, v from t order by id";
  private static final String UNORDERED = "select id, v from t";

  @Test
  void equalResultsAreEqual() throws Exception {
    read(BY_ID, true);
    ShadowReport.Query q = decided(1, 0);
    assertEquals(1, q.primary().count());
    assertEquals(1, q.mirror().count());
    assertTrue(q.mirror().p50().compareTo(Duration.ZERO) > 0);
    assertEquals(OptionalDouble.of(1.0), reads.report().consistency());
  }

  @Test
  void parametersAreBoundAgain() throws Exception {
    pair.executeTarget("update t set v = 'other' where id = 3");
    read("select v from t where id = ?", true, 9, 2);
    read("select v from t where id = ?", true, 9, 3);
    ShadowReport.Query q = await(x -> x.compared() == 2);
    assertEquals(1, q.equal());
    assertEquals("row 1: primary ('v3'), mirror ('other')", q.differences().get(0).toString());
  }

  @Test
  void aStatementWithoutParametersMayHaveQuestionMarks() throws Exception {
    String sql = "select '{\"a\":1}'::jsonb ? 'a', id from t where id = 1";
    try (Statement s = app.createStatement();
        ResultSet r =
            new TeeResultSet(
                s.executeQuery(sql), s, reads.capture(sql, null, true, System.nanoTime()))) {
      assertTrue(r.next());
      assertFalse(r.next());
    }
    decided(1, 0);
  }

  @Test
  void aMissingRowIsFound() throws Exception {
    pair.executeTarget("delete from t where id = 10");
    read(BY_ID, true);
    assertEquals("row 10: primary ('10', 'v10'), mirror has none", difference());
    assertEquals(OptionalDouble.of(0.0), reads.report().consistency());
  }

  @Test
  void anExtraRowIsFound() throws Exception {
    pair.executeTarget("insert into t values (11, null)");
    read(UNORDERED, false);
    assertEquals("a row: primary has none, mirror ('11', NULL)", difference());
  }

  @Test
  void anExtraRowAtTheEndOfAnOrderIsFound() throws Exception {
    pair.executeTarget("insert into t values (11, '')");
    read(BY_ID, true);
    assertEquals("row 11: primary has none, mirror ('11', '')", difference());
  }

  @Test
  void aChangedValueIsFound() throws Exception {
    pair.executeTarget("update t set v = 'x' where id = 4");
    read(BY_ID, true);
    assertEquals("row 4: primary ('4', 'v4'), mirror ('4', 'x')", difference());
  }

  @Test
  void aDuplicateIsFoundWithoutAnOrder() throws Exception {
    pair.execute("create table k(v int)");
    pair.executeSource("insert into k values (1), (2)");
    pair.executeTarget("insert into k values (1), (2), (2)");
    read("select v from k", false);
    assertEquals("a row: primary has none, mirror ('2')", difference());
  }

  @Test
  void nullIsNotTheEmptyText() throws Exception {
    pair.executeSource("update t set v = null where id = 1");
    pair.executeTarget("update t set v = '' where id = 1");
    read(BY_ID, true);
    assertEquals("row 1: primary ('1', NULL), mirror ('1', '')", difference());
  }

  @Test
  void anotherColumnIsFound() throws Exception {
    pair.executeTarget("alter table t rename column v to w");
    read("select * from t order by id", true);
    assertEquals("columns: primary ('id', 'v', 'f'), mirror ('id', 'w', 'f')", difference());
  }

  @Test
  void theOrderCountsOnlyWhereThereIsOne() throws Exception {
    pair.executeTarget("delete from t");
    pair.executeTarget(
        "insert into t select i, 'v' || i, i / 7.0 from generate_series(10, 1, -1) i");
    read(UNORDERED, false);
    decided(1, 0);
    for (int rows : new int[] {Integer.MAX_VALUE, 10}) { // to its end, and not
      with(b -> {});
      assertEquals(10, read("select id, v from t order by f > 100", true, rows));
      ShadowReport.Query q = await(x -> !x.skipped().isEmpty());
      assertEquals(
          Map.of("the mirror had the same rows in another order: ties, or another collation", 1L),
          q.skipped());
      assertEquals(0, q.equal() + q.different() + q.undecided(), q.toString());
    }
    pair.executeTarget("update t set v = 'x' where id = 4");
    with(b -> {});
    read("select id, v from t order by f > 100", true);
    assertEquals(5, decided(0, 1).differences().size());
  }

  @Test
  void floatsAreComparedWithTolerance() throws Exception {
    pair.executeTarget("update t set f = f * (1 + 1e-12)");
    for (boolean ordered : new boolean[] {true, false}) {
      String sql = ordered ? "select id, f from t order by id" : "select id, f from t";
      with(b -> b.set(Setting.SHADOW_FLOAT_TOLERANCE, 1e-9));
      read(sql, ordered);
      decided(1, 0);
      with(b -> b.set(Setting.SHADOW_FLOAT_TOLERANCE, 1e-15));
      read(sql, ordered);
      decided(0, 1);
      with(b -> {});
      read(sql, ordered);
      decided(0, 1);
    }
  }

  @Test
  void theToleranceIsNotForNumeric() throws Exception {
    with(b -> b.set(Setting.SHADOW_FLOAT_TOLERANCE, 0.5));
    pair.execute("create table n(v numeric)");
    pair.executeSource("insert into n values (1.0)");
    pair.executeTarget("insert into n values (1.00)");
    read("select v from n", true);
    assertEquals("row 1: primary ('1.0'), mirror ('1.00')", difference());
  }

  // ---------------------------------------------------------------- bounds

  @Test
  void onlyWhatTheApplicationReadIsCompared() throws Exception {
    pair.executeTarget("update t set v = 'x' where id = 5");
    assertEquals(4, read(BY_ID, true, 4));
    ShadowReport.Query q = decided(1, 0);
    assertEquals(0, q.primary().count(), "it did not run to the end, so times are not comparable");
    with(b -> {});
    assertEquals(5, read(BY_ID, true, 5));
    assertEquals("row 5: primary ('5', 'v5'), mirror ('5', 'x')", difference());
  }

  @Test
  void thePartOfAnUnorderedResultTellsNothing() throws Exception {
    read(UNORDERED, false, 4);
    assertEquals(
        Map.of("not read to its end within the bounds, and in no order", 1L),
        await(q -> !q.skipped().isEmpty()).skipped());
  }

  @Test
  void noMoreThanTheBoundsIsKept() throws Exception {
    pair.executeTarget("update t set v = 'x' where id = 5");
    with(b -> b.set(Setting.SHADOW_MAX_ROWS, 4L));
    assertEquals(10, read(BY_ID, true, 100));
    decided(1, 0);
    with(b -> b.set(Setting.SHADOW_MAX_BYTES, 4 * 40L));
    assertEquals(10, read(BY_ID, true, 100));
    decided(1, 0);
    with(b -> b.set(Setting.SHADOW_MAX_ROWS, 4L));
    read(UNORDERED, false);
    assertEquals(1, await(q -> !q.skipped().isEmpty()).skipped().size());
  }

  /** The application's thread makes no text of a value that is not kept. */
  @Test
  void aValueBeyondTheBoundsIsNotRead() throws Exception {
    var memory = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    int size = 8 << 20;
    pair.execute("create table large(id int primary key, v text, b bytea)");
    pair.execute("insert into large select 1, 'small'");
    pair.execute(
        "insert into large select 2, repeat('x', "
            + size
            + "), decode(repeat('ab', "
            + size / 2
            + "), 'hex')");
    with(b -> b.set(Setting.SHADOW_MAX_BYTES, 1L << 20));
    for (String column : List.of("v", "b")) {
      String sql = "select id, " + column + " from large order by id";
      try (Statement s = app.createStatement();
          ResultSet tee =
              new TeeResultSet(
                  s.executeQuery(sql), s, reads.capture(sql, null, true, System.nanoTime()))) {
        assertTrue(tee.next());
        long before = memory.getCurrentThreadAllocatedBytes();
        assertTrue(tee.next());
        long made = memory.getCurrentThreadAllocatedBytes() - before;
        assertTrue(made < size, made + " bytes for the text of " + size + " in " + column);
        assertEquals(
            size, column.equals("v") ? tee.getString(2).length() : 2 * tee.getBytes(2).length);
        assertFalse(tee.next());
      }
    }
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (reads.report().queries().stream().filter(q -> q.equal() == 1).count() < 2) {
      assertTrue(System.nanoTime() < end, () -> reads.report().toString()); // its first row is
      LockSupport.parkNanos(1_000_000);
    }
  }

  @Test
  void aResultCutBySetMaxRowsIsAPart() throws Exception {
    try (Statement s = app.createStatement()) {
      s.setMaxRows(3);
      try (ResultSet r =
          new TeeResultSet(
              s.executeQuery(BY_ID), s, reads.capture(BY_ID, null, true, System.nanoTime()))) {
        int n = 0;
        while (r.next()) {
          n++;
        }
        assertEquals(3, n);
      }
    }
    decided(1, 0);
  }

  @Test
  void aResultThatIsScrolledIsSkippedAndStillRight() throws Exception {
    try (Statement s =
            app.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY);
        ResultSet r =
            new TeeResultSet(
                s.executeQuery(BY_ID), s, reads.capture(BY_ID, null, true, System.nanoTime()))) {
      assertTrue(r.next());
      assertTrue(r.last());
      assertEquals(10, r.getInt(1));
      assertTrue(r.previous());
      assertEquals(9, r.getInt(1));
    }
    assertEquals(
        Map.of("the application scrolled in it", 1L), await(q -> !q.skipped().isEmpty()).skipped());
  }

  // ---------------------------------------------------------------- types and sessions

  /** The driver writes some types otherwise when they came in binary. */
  @Test
  void theSameValueIsEqualInTextAndInBinary() throws Exception {
    String sql =
        "select true as b, false as b2, 1::int2 as i2, -5 as i4, 9223372036854775807 as i8,"
            + " 1.5::float4 as f4, 0.1::float4 as f4b, 1e20::float8 as f8, 1e-7::float8 as f8b,"
            + " 2e-3::float8 as f8c, 5e-324::float8 as f8d, 'NaN'::float8 as nan,"
            + " '-Infinity'::float4 as inf, -0.0::float8 as zero, 100::numeric as n,"
            + " 1.10::numeric as n2, 1e30::numeric as n3, 0.0000000001::numeric as n4,"
            + " 'NaN'::numeric as n5, 12345678901234567890.123456789::numeric as n6, 'x'::text as t,"
            + " '\\xdeadbeef'::bytea as by, date '2024-02-29' as d, date 'infinity' as di,"
            + " date '0044-03-15 BC' as dbc, time '12:34:56.789' as tm, time '00:00' as tm0,"
            + " timetz '12:34:56.5+05:30' as tz, timestamp '2024-02-29 12:34:56.123456' as ts,"
            + " timestamp '2024-02-29 12:34:56' as ts0, timestamp '-infinity' as tsi,"
            + " timestamptz '2024-02-29 12:34:56.1+03' as tstz, timestamptz 'infinity' as tstzi,"
            + " timestamptz '0044-03-15 12:00 BC' as tstzbc, interval '1 day 2:03:04.5' as iv,"
            + " '00112233-4455-6677-8899-aabbccddeeff'::uuid as u, '{1,NULL,3}'::int[] as ia,"
            + " '{1.5,NULL,1e20,NaN}'::float8[] as fa, '{0.1,-Infinity}'::float4[] as fa4,"
            + " '{a,\"b c\",NULL,\"NULL\",\"q\\\"\\\\\",\"\"}'::text[] as ta, '{{1,2},{3,4}}'::int8[] as ia2,"
            + " '{}'::float8[] as none, '{1.50,NULL}'::numeric[] as na, '{t,f}'::bool[] as ba,"
            + " point '(1,2.5)' as p, box '(3,4),(1,2)' as bx, circle '<(1,2),3>' as c,"
            + " '{\"k\": 1.50}'::json as j, '{\"k\": 1.50}'::jsonb as jb, '1.2.3.4/32'::inet as ip,"
            + " '[1,5)'::int4range as r, B'101' as bits, 42::oid as o, null::int as nil"
            + " from t where id <= ? order by id";
    for (boolean ordered : new boolean[] {true, false}) {
      with(b -> {});
      try (PreparedStatement s = app.prepareStatement(sql)) {
        s.unwrap(PGStatement.class).setPrepareThreshold(-1); // binary from the first execution
        s.setInt(1, 2);
        try (ResultSet raw = s.executeQuery()) {
          PGResultSetMetaData m = (PGResultSetMetaData) raw.getMetaData();
          assertEquals(1, m.getFormat(3), "int2 comes in binary, so this tests what it says");
          ResultSet tee =
              new TeeResultSet(
                  raw, s, reads.capture(sql, p -> p.setInt(1, 2), ordered, System.nanoTime()));
          while (tee.next()) {
            assertEquals(-5, tee.getInt("i4"));
          }
        }
      }
      decided(1, 0);
    }
  }

  @Test
  void theSessionsTimeZoneAndIntervalStyleApply() throws Exception {
    try (Statement s = app.createStatement()) {
      s.execute("set timezone = 'Asia/Kathmandu'");
      s.execute("set intervalstyle = 'iso_8601'");
    }
    read(
        "select timestamptz '2024-01-01 00:00:00Z' as ts, interval '1 day' as i from t where id=1",
        true);
    decided(1, 0);
  }

  @Test
  void theSearchPathAppliesWhereTheServerReportsIt() throws Exception {
    pair.execute("create schema other");
    pair.execute("create table other.t(id int, v text)");
    pair.execute("insert into other.t values (77, 'in other')");
    try (Statement s = app.createStatement()) {
      s.execute("set search_path = other");
    }
    read(BY_ID, true);
    decided(1, 0);
  }

  // ---------------------------------------------------------------- a mirror that fails or lags

  @Test
  void aQueryThatFailsOnTheMirrorIsAnErrorThere() throws Exception {
    pair.executeTarget("drop table t");
    assertEquals(10, read(BY_ID, true, 100));
    ShadowReport.Query q = await(x -> x.errors() == 1);
    assertTrue(q.lastError().startsWith("42P01 "), q.lastError());
    assertEquals(OptionalDouble.empty(), reads.report().consistency());
  }

  @Test
  void nothingIsWrittenOnTheMirror() throws Exception {
    pair.execute(
        "create function w() returns int language sql as 'insert into t values (99) returning id'");
    read("select w() as w", true);
    ShadowReport.Query q = await(x -> x.errors() == 1);
    assertTrue(q.lastError().startsWith("25006 "), q.lastError());
    try (Connection c = pair.target();
        Statement s = c.createStatement();
        ResultSet r = s.executeQuery("select count(*) from t")) {
      assertTrue(r.next());
      assertEquals(10, r.getInt(1));
    }
  }

  @Test
  void aSlowQueryOnTheMirrorEndsByTheTimeout() throws Exception {
    with(b -> b.set(Setting.SHADOW_TIMEOUT, Duration.ofMillis(200)));
    pair.executeSource("create view slow as select 1 as one");
    pair.executeTarget("create view slow as select 1 as one from pg_sleep(100)");
    long start = System.nanoTime();
    read("select one from slow", true);
    ShadowReport.Query q = await(x -> x.errors() == 1);
    assertTrue(q.lastError().startsWith("57014 "), q.lastError());
    assertTrue(System.nanoTime() - start < TimeUnit.SECONDS.toNanos(20));
  }

  @Test
  void aMirrorThatIsDownCostsTheReaderNothing() throws Exception {
    reads.close();
    reads = reads(at("jdbc:postgresql://localhost:1/none"), b -> {});
    assertEquals(10, read(BY_ID, true, 100));
    ShadowReport.Query q = await(x -> x.errors() == 1);
    assertTrue(q.lastError().startsWith("08001 "), q.lastError());
  }

  @Test
  void aMirrorThatHangsDelaysNoReaderAndSamplingStops() throws Exception {
    reads.close();
    try (TcpProxy proxy = new TcpProxy("localhost", pair.targetServer().port())) {
      String url = "jdbc:postgresql://localhost:" + proxy.port() + "/" + pair.database();
      reads = reads(at(url), b -> b.set(Setting.SHADOW_QUEUE, 8L));
      read(BY_ID, true);
      decided(1, 0);
      proxy.stall();
      int sampled = 0;
      long slowest = 0;
      for (int i = 0; i < 200; i++) {
        long start = System.nanoTime();
        boolean sample = reads.sample();
        if (sample) {
          sampled++;
          assertEquals(10, read(BY_ID, true, 100));
        }
        slowest = Math.max(slowest, System.nanoTime() - start);
      }
      // one is with the worker, eight wait; everything after that is not sampled
      assertTrue(sampled >= 8 && sampled <= 10, sampled + " sampled");
      assertFalse(reads.sample());
      assertTrue(slowest < TimeUnit.SECONDS.toNanos(3), "no reader waited for the 5 s timeout");
      proxy.resume();
      long all = 1L + sampled;
      await(q -> q.equal() == all);
      assertTrue(reads.sample());
      proxy.stall();
      read(BY_ID, true);
      long start = System.nanoTime();
      reads.close();
      assertTrue(System.nanoTime() - start < TimeUnit.SECONDS.toNanos(4), "close waits a second");
    }
  }

  @Test
  void closeDoesNotWaitForAQueryOnAMirrorThatHangs() throws Exception {
    pair.executeSource("create view slow as select 1 as one");
    pair.executeTarget("create view slow as select 1 as one from pg_sleep(100)");
    reads.close();
    try (TcpProxy proxy = new TcpProxy("localhost", pair.targetServer().port());
        Connection target = pair.target();
        Statement s = target.createStatement()) {
      String url = "jdbc:postgresql://localhost:" + proxy.port() + "/" + pair.database();
      reads = reads(at(url), b -> b.set(Setting.SHADOW_TIMEOUT, Duration.ofSeconds(30)));
      read("select one from slow", true);
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
      boolean sleeping = false;
      while (!sleeping) {
        assertTrue(System.nanoTime() < end);
        try (ResultSet r =
            s.executeQuery(
                "select 1 from pg_stat_activity where wait_event = 'PgSleep'"
                    + " and datname = current_database()")) {
          sleeping = r.next();
        }
      }
      proxy.stall();
      long start = System.nanoTime();
      reads.close();
      assertTrue(System.nanoTime() - start < TimeUnit.SECONDS.toNanos(5));
      assertEquals(0, reads.report().queries().stream().mapToLong(q -> q.errors()).sum());
    }
  }

  @Test
  void whatWasOnlyLateIsNotReported() throws Exception {
    caughtUp = false;
    pair.executeTarget("delete from t where id = 10");
    read(BY_ID, true);
    ShadowReport.Query q = await(x -> x.undecided() == 1);
    assertEquals(0, q.different());
    pair.executeTarget("insert into t values (10, 'v10')");
    caughtUp = true;
    q = decided(1, 0, 1);
    assertEquals(List.of(), q.differences());
  }

  @Test
  void whatTheMirrorIsAheadOfTheCaptureInIsNotReported() throws Exception {
    pair.executeTarget("update t set v = 'new' where id = 1");
    caughtUp = false;
    read(BY_ID, true);
    await(x -> x.undecided() == 1);
    pair.executeSource("update t set v = 'new' where id = 1");
    caughtUp = true;
    assertUndecided();
  }

  /** Neither side shows to a session without it what the application saw. */
  @Test
  void whatASettingOfTheApplicationsOwnShowsIsNotEqual() throws Exception {
    pair.execute("create view w as select * from t where v = current_setting('app.tenant', true)");
    pair.executeTarget("delete from t where id = 1");
    try (Statement s = app.createStatement()) {
      s.execute("set app.tenant = 'v1'");
    }
    read("select * from w order by id", true);
    assertUndecided();
  }

  private void assertUndecided() {
    ShadowReport.Query q = await(x -> x.compared() > 0 || !x.skipped().isEmpty());
    assertEquals(
        List.of(
            0L,
            0L,
            0L,
            Map.of(
                "the mirror differed, and the primary shows other rows by now, or to the application's session alone",
                1L)),
        List.of(q.equal(), q.different(), q.undecided(), q.skipped()));
  }

  /** The primary shows a third state: the mirror is held against that from then on. */
  @Test
  void aDifferenceThatOutlivesAChangeOfThePrimaryIsReported() throws Exception {
    caughtUp = false;
    pair.executeTarget("update t set v = 'wrong' where id = 2");
    read(BY_ID, true);
    await(x -> x.undecided() == 1);
    pair.execute("update t set v = 'new' where id = 1");
    caughtUp = true;
    assertEquals("row 2: primary ('2', 'v2'), mirror ('2', 'wrong')", difference());
  }

  @Test
  void aMirrorThatNeverCatchesUpLeavesItOpen() throws Exception {
    caughtUp = false;
    pair.executeTarget("delete from t");
    read(UNORDERED, false);
    ShadowReport.Query q = await(x -> !x.skipped().isEmpty());
    assertEquals(Map.of("the mirror differed, and did not catch up", 1L), q.skipped());
    assertEquals(0, q.different() + q.undecided());
  }

  // ---------------------------------------------------------------- sampling and reporting

  @Test
  void theRateIsKept() {
    with(b -> b.set(Setting.SHADOW_SAMPLE_RATE, 0.0));
    assertFalse(reads.sample());
    with(b -> b.set(Setting.SHADOW_SAMPLE_RATE, 0.25));
    int n = 0;
    for (int i = 0; i < 40_000; i++) {
      n += reads.sample() ? 1 : 0;
    }
    assertTrue(n > 9_000 && n < 11_000, n + " of 40000"); // more than ten standard deviations
  }

  @Test
  void aReadThatFailsOnThePrimaryFailsAsItWouldAndIsSkipped() throws Exception {
    String sql = "select 1 / (3 - id) as q from t order by id";
    app.setAutoCommit(false);
    try (Statement s = app.createStatement()) {
      s.setFetchSize(1);
      try (ResultSet r =
          new TeeResultSet(
              s.executeQuery(sql), s, reads.capture(sql, null, true, System.nanoTime()))) {
        assertEquals(
            "22012",
            assertThrows(
                    SQLException.class,
                    () -> {
                      while (r.next()) {
                        assertEquals(0, r.getInt(1) / 2);
                      }
                    })
                .getSQLState());
      }
    }
    assertEquals(
        Map.of("it failed on the primary", 1L), await(q -> !q.skipped().isEmpty()).skipped());
  }

  @Test
  void theReportIsATableForPeople() throws Exception {
    pair.executeTarget("update t set v = null where id = 1");
    read(BY_ID, true);
    decided(0, 1);
    read("select  id\n from t order by id", true);
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (reads.report().queries().size() < 2) {
      assertTrue(System.nanoTime() < end);
      LockSupport.parkNanos(1_000_000);
    }
    String text = reads.report().toString();
    List<String> lines = text.lines().toList();
    assertEquals(
        "50.00 % of 2 reads are the same on the mirror; 1 different, 0 late, 0 undecided, 0 skipped,"
            + " 0 errors",
        lines.get(0));
    int column = lines.get(1).indexOf("query");
    assertTrue(lines.get(2).startsWith(BY_ID, column), text);
    assertTrue(lines.get(3).startsWith("select id from t order by id", column), text);
    assertTrue(text.contains("  row 1: primary ('1', 'v1'), mirror ('1', NULL)"), text);
    assertNull(reads.report().queries().get(0).lastError());
    assertEquals(lines.get(2).length() - BY_ID.length(), column);
    Capture unused = reads.capture("x", null, true, 0);
    unused.abandon("a test");
    assertTrue(reads.report().toString().contains("  skipped 1: a test"));
  }
}
