package io.dualwrite.jdbc;

import static java.util.stream.Collectors.joining;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.config.Setting;
import io.dualwrite.embedded.PgPair;
import io.dualwrite.journal.JournalException;
import io.dualwrite.journal.RowChange;
import io.dualwrite.journal.Suspect;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLTransientConnectionException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Properties;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The ways to configure it, and what is said when that is wrong: one sentence that names the
 * setting and the way out.
 */
class ConfigurationTest {

  private static final String DDL = "create table t(id int primary key, v int)";

  private static Properties properties(PgPair pair, Path journal) {
    Properties p = new Properties();
    p.setProperty("source.url", pair.sourceUrl());
    p.setProperty("source.username", "postgres");
    p.setProperty("source.password", "postgres");
    p.setProperty(
        "dualwrite.target.url",
        "postgres://postgres:postgres@localhost:"
            + pair.targetServer().port()
            + "/"
            + pair.database());
    p.setProperty("journal.dir", journal.toString());
    p.setProperty("journal.min-free-bytes", "1MB");
    return p;
  }

  private static void writeThrough(Connection c) throws SQLException {
    try (c;
        Statement s = c.createStatement()) {
      s.executeUpdate("insert into t select coalesce(max(id), 0) + 1, 1 from t");
    }
  }

  private static void assertEqualAfterDrain(PgPair pair, Path journal, int rows)
      throws SQLException {
    DualWriteDataSource ds = DualWriteDriver.dataSource(journal);
    assertNotNull(ds);
    assertTrue(ds.drain(java.time.Duration.ofSeconds(30)));
    try (Connection s = pair.source();
        Connection t = pair.target()) {
      assertEquals(rows, Fixture.contents(s).get("public.t").size());
      assertEquals(Fixture.contents(s), Fixture.contents(t));
    }
    ds.close();
  }

  @Test
  void urlWithProperties(@TempDir Path dir) throws SQLException {
    PgPair pair = PgPair.shared();
    pair.execute(DDL);
    Properties p = new Properties(properties(pair, dir.resolve("j"))); // as defaults
    p.setProperty("ApplicationName", "shop"); // not ours: the driver's
    writeThrough(DriverManager.getConnection("jdbc:dualwrite:", p));
    try (Connection c = DriverManager.getConnection("jdbc:dualwrite:", p);
        Statement s = c.createStatement();
        ResultSet r = s.executeQuery("select current_setting('application_name')")) {
      r.next();
      assertEquals("shop", r.getString(1));
    }
    assertEqualAfterDrain(pair, dir.resolve("j"), 1);
  }

  @Test
  void urlOfAFileAndOfTheClassPath(@TempDir Path dir) throws SQLException, IOException {
    PgPair pair = PgPair.shared();
    pair.execute(DDL);
    Path file = dir.resolve("x.properties");
    try (var out = Files.newBufferedWriter(file)) {
      properties(pair, dir.resolve("j")).store(out, null);
    }
    writeThrough(DriverManager.getConnection("jdbc:dualwrite:file:" + file));
    writeThrough(DriverManager.getConnection("jdbc:dualwrite:file:" + file));
    assertEqualAfterDrain(pair, dir.resolve("j"), 2);

    ClassLoader before = Thread.currentThread().getContextClassLoader();
    try (java.net.URLClassLoader loader =
        new java.net.URLClassLoader(new java.net.URL[] {dir.toUri().toURL()}, before)) {
      Files.writeString(
          dir.resolve("y.properties"),
          Files.readString(file).replace(dir.resolve("j").toString(), dir.resolve("k").toString()));
      Thread.currentThread().setContextClassLoader(loader);
      writeThrough(DriverManager.getConnection("jdbc:dualwrite:classpath:y.properties"));
      assertEqualAfterDrain(pair, dir.resolve("k"), 3);
    } finally {
      Thread.currentThread().setContextClassLoader(before);
    }
  }

  /** Its connections would lead to the first one's databases. */
  @Test
  void aJournalIsSharedByTheSameSettingsOnly(@TempDir Path dir) throws SQLException {
    PgPair pair = PgPair.shared();
    PgPair another = PgPair.shared();
    pair.execute(DDL);
    Properties p = properties(pair, dir.resolve("j"));
    writeThrough(DriverManager.getConnection("jdbc:dualwrite:", p));
    p.setProperty("ApplicationName", "tool"); // of no consequence
    writeThrough(DriverManager.getConnection("jdbc:dualwrite:", p));
    Properties other = properties(another, dir.resolve("j"));
    assertSays(
        "dualwrite.source.url",
        assertThrows(
            SQLException.class, () -> DriverManager.getConnection("jdbc:dualwrite:", other)));
    p.setProperty("user", "somebody");
    assertSays(
        "another user",
        assertThrows(SQLException.class, () -> DriverManager.getConnection("jdbc:dualwrite:", p)));
    assertEqualAfterDrain(pair, dir.resolve("j"), 2);
  }

  private static void assertSays(String expected, Exception e) {
    assertTrue(e.getMessage().contains(expected), e.getMessage());
    assertFalse(e.getMessage().contains("\n"), e.getMessage());
    assertFalse(e.getMessage().contains("s3cret"), e.getMessage());
  }

  @Test
  void wrongInputIsOneSentence(@TempDir Path dir) {
    Properties none = new Properties();
    assertSays(
        "dualwrite.journal.dir",
        assertThrows(
            SQLException.class, () -> DriverManager.getConnection("jdbc:dualwrite:", none)));
    assertSays(
        "jdbc:dualwrite:file:PATH",
        assertThrows(SQLException.class, () -> DriverManager.getConnection("jdbc:dualwrite:what")));
    assertSays(
        "no.properties",
        assertThrows(
            SQLException.class,
            () -> DriverManager.getConnection("jdbc:dualwrite:classpath:no.properties")));
    Properties typo = new Properties();
    typo.setProperty("dualwrite.source.ulr", "x");
    assertSays(
        "dualwrite.source.url",
        assertThrows(
            SQLException.class, () -> DriverManager.getConnection("jdbc:dualwrite:", typo)));
    assertSays(
        "dualwrite.target.url",
        assertThrows(
            IllegalArgumentException.class,
            () ->
                DualWriteDataSource.builder()
                    .source("jdbc:postgresql://localhost/x", "u", "s3cret")
                    .journal(dir)
                    .build()));
    assertSays(
        "dualwrite.source.url",
        assertThrows(
            IllegalArgumentException.class,
            () ->
                DualWriteDataSource.builder()
                    .source("jdbc:mysql://u:s3cret@localhost/x", "u", "s3cret")));
    assertSays(
        "one of sync, async",
        assertThrows(
            IllegalArgumentException.class, () -> DualWriteDataSource.builder().mirror("later")));
  }

  @Test
  void journalThatIsInUseOrCannotBeWritten(@TempDir Path dir) throws SQLException, IOException {
    try (Fixture f = Fixture.shared(DDL)) {
      JournalException e = assertThrows(JournalException.class, () -> build(f.pair, f.journal));
      assertSays("in use", e);
    }
    Path file = Files.writeString(dir.resolve("file"), "x");
    assertSays(
        file.toString(), assertThrows(JournalException.class, () -> build(PgPair.shared(), file)));
  }

  private static DualWriteDataSource build(PgPair pair, Path journal) {
    return DualWriteDataSource.builder()
        .source(pair.sourceUrl(), "postgres", "postgres")
        .target(pair.targetUrl(), "postgres", "postgres")
        .journal(journal)
        .build();
  }

  @Test
  void sourceThatCannotBeReachedIsTheDriversOwnError(@TempDir Path dir) throws SQLException {
    PgPair pair = PgPair.shared();
    try (DualWriteDataSource ds =
        DualWriteDataSource.builder()
            .source("jdbc:postgresql://localhost:1/x", "postgres", "postgres")
            .target(pair.targetUrl(), "postgres", "postgres")
            .journal(dir)
            .build()) {
      SQLException ours = assertThrows(SQLException.class, ds::getConnection);
      SQLException theirs =
          assertThrows(
              SQLException.class,
              () ->
                  DriverManager.getConnection(
                      "jdbc:postgresql://localhost:1/x", "postgres", "postgres"));
      assertEquals(
          theirs.getSQLState() + theirs.getMessage(), ours.getSQLState() + ours.getMessage());
    }
  }

  @Test
  void aPoolMaySayHowLongConnectingMayTake(@TempDir Path dir) throws Exception {
    PgPair pair = PgPair.shared();
    try (ServerSocket silent = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        DualWriteDataSource ds =
            DualWriteDataSource.builder()
                .source(
                    "jdbc:postgresql://localhost:" + silent.getLocalPort() + "/x", "postgres", "p")
                .target(pair.targetUrl(), "postgres", "postgres")
                .journal(dir)
                .build()) {
      assertEquals(0, ds.getLoginTimeout());
      ds.setLoginTimeout(1);
      assertEquals(1, ds.getLoginTimeout());
      SQLException e =
          assertTimeoutPreemptively(
              Duration.ofSeconds(30), () -> assertThrows(SQLException.class, ds::getConnection));
      assertEquals("08001", e.getSQLState());
    }
  }

  @Test
  void targetWithAMissingColumnKeepsItsRowsInTheJournal() throws SQLException {
    try (Fixture f =
        Fixture.shared(
            "create table t(id int primary key, v int); create table ok(id int primary key)")) {
      f.pair.executeTarget("alter table t drop column v");
      f.open(b -> b.set(Setting.JOURNAL_SYNC, "commit")).ready();
      f.execute("insert into t values (1, 1)");
      f.execute("insert into ok values (1)");
      Fixture.await("parked", () -> f.ds.status().parked().size() == 1);
      assertTrue(
          f.ds.status().parked().get(0).error().contains("column"),
          f.ds.status().parked().toString());
      f.pair.executeTarget("alter table t add column v int");
      f.ds.retryParked();
      f.assertEqual();
    }
  }

  /** What an application wants for its statements is not to change how ours are sent. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "prepareThreshold=-1",
        "preferQueryMode=simple&prepareThreshold=0",
        "readOnly=true&readOnlyMode=always",
        "autosave=always&cleanupSavepoints=true&reWriteBatchedInserts=true&defaultRowFetchSize=1"
            + "&adaptiveFetch=true&maxResultBuffer=2000&stringtype=unspecified&binaryTransfer=false"
            + "&queryTimeout=60&socketTimeout=600&ApplicationName=app"
      })
  void optionsOfTheDriverAreForTheApplication(String options) throws SQLException {
    String columns =
        IntStream.rangeClosed(1, 15).mapToObj(i -> ", c" + i + " int").collect(joining());
    try (Fixture f =
        Fixture.shared(
            "create table wide(id int primary key, v text"
                + columns
                + "); create table child(id int primary key, w int references wide on delete cascade on update cascade);"
                + " create table nokey(a int, b text, at timestamptz);")) {
      for (String mode : new String[] {"sync", "async"}) {
        f.openTo(
            f.pair.targetUrl() + "?" + options,
            b ->
                b.source(f.pair.sourceUrl() + "?" + options, "postgres", "postgres")
                    .mirror(mode)
                    .set(Setting.RECONCILE, "manual"));
        Fixture.await(
            "a connection that gives up soon",
            () -> {
              try (Connection m = f.ds.writer().target().mirror()) {
                return m.getNetworkTimeout() == 1000; // dualwrite.mirror.flush-timeout
              } catch (SQLTransientConnectionException e) {
                return false; // a machine that is busy
              }
            });
        try (Connection c = f.connect();
            Statement s = c.createStatement()) {
          c.setReadOnly(false);
          for (int i = 0; i < 8; i++) {
            c.setAutoCommit(i % 2 == 0);
            s.executeUpdate(
                "insert into wide(id, v) select coalesce(max(id), 0) + 1, now()::text from wide");
            s.executeUpdate("insert into child select max(id), max(id) from wide");
            s.executeUpdate("update wide set v = v || 'x', id = id + 1000 where id % 7 = 3");
            s.executeUpdate("insert into nokey select g, 'x', now() from generate_series(1, 3) g");
            s.executeUpdate("delete from wide where id % 5 = 4");
            if (i % 2 == 1) {
              c.commit();
            }
          }
          c.setAutoCommit(true);
          f.assertEqual();
          s.executeUpdate("truncate nokey");
          s.executeUpdate("insert into nokey values (1, 'y', now())");
          f.ds.writer().journal.suspect(new Suspect(RowChange.NO_TABLE, "test", 1, "", 0));
        }
        f.assertDrained();
        f.pair.executeTarget(
            "delete from child; insert into wide(id) values (-1); insert into nokey values (9)");
        assertEquals(f.ds.status().suspects().size(), f.ds.reconcile());
        f.assertEqual();
      }
    }
  }

  @Test
  void anApplicationsOwnDataSources(@TempDir Path dir) throws SQLException {
    PgPair pair = PgPair.shared();
    pair.execute(DDL);
    try (com.zaxxer.hikari.HikariDataSource from = pool(pair.sourceUrl());
        com.zaxxer.hikari.HikariDataSource to = pool(pair.targetUrl());
        DualWriteDataSource ds =
            DualWriteDataSource.builder().source(from).target(to).journal(dir).build()) {
      for (int i = 0; i < 30; i++) {
        writeThrough(ds.getConnection());
      }
      assertTrue(ds.drain(java.time.Duration.ofSeconds(30)));
      try (Connection s = pair.source();
          Connection t = pair.target()) {
        assertEquals(Fixture.contents(s), Fixture.contents(t));
      }
      ds.cutover(java.time.Duration.ofSeconds(10));
      writeThrough(ds.getConnection());
      assertTrue(ds.drain(java.time.Duration.ofSeconds(30)));
      try (Connection s = pair.source();
          Connection t = pair.target()) {
        assertEquals(31, Fixture.contents(t).get("public.t").size());
        assertEquals(Fixture.contents(s), Fixture.contents(t));
      }
    }
  }

  private static com.zaxxer.hikari.HikariDataSource pool(String url) {
    com.zaxxer.hikari.HikariConfig c = new com.zaxxer.hikari.HikariConfig();
    c.setJdbcUrl(url);
    c.setUsername("postgres");
    c.setPassword("postgres");
    c.setMaximumPoolSize(12);
    return new com.zaxxer.hikari.HikariDataSource(c);
  }
}
