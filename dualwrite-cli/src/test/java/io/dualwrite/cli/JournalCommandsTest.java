package io.dualwrite.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.dualwrite.catalog.TableName;
import io.dualwrite.control.ControlSchema;
import io.dualwrite.control.Incarnation;
import io.dualwrite.embedded.PgPair;
import io.dualwrite.embedded.PgServer;
import io.dualwrite.jdbc.DualWriteDataSource;
import io.dualwrite.journal.ChronicleJournal;
import io.dualwrite.journal.Intent;
import io.dualwrite.journal.Journal;
import io.dualwrite.journal.JournalOptions;
import io.dualwrite.journal.Outcome;
import io.dualwrite.journal.RowChange;
import io.dualwrite.journal.Suspect;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The journal's commands on the journal of an application whose target went away. */
class JournalCommandsTest {

  private final PrintStream standardOut = System.out;
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final StringWriter err = new StringWriter();

  @TempDir Path directory;

  @BeforeEach
  void catchOutput() {
    System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
  }

  @AfterEach
  void releaseOutput() {
    System.setOut(standardOut);
  }

  private String said() {
    return out.toString(StandardCharsets.UTF_8) + err;
  }

  private int run(String... args) {
    out.reset();
    err.getBuffer().setLength(0);
    return Main.run(new PrintWriter(err, true), args);
  }

  private static String uri(PgServer server, String database) {
    return "postgres://postgres:postgres@localhost:" + server.port() + "/" + database;
  }

  private static void insert(DualWriteDataSource both, int id, String v) throws SQLException {
    try (Connection c = both.getConnection();
        PreparedStatement s = c.prepareStatement("insert into t (id, v) values (?, ?)")) {
      s.setInt(1, id);
      s.setString(2, v);
      s.executeUpdate();
    }
  }

  @Test
  void whatWaitsIsShownAndReplayed() throws SQLException {
    try (PgPair pair = PgPair.own()) {
      pair.execute("create table t(id int primary key, v text)");
      try (DualWriteDataSource both =
          DualWriteDataSource.builder()
              .source(pair.sourceUrl(), "postgres", "postgres")
              .target(pair.targetUrl(), "postgres", "postgres")
              .journal(directory)
              .build()) {
        insert(both, 1, "there in time");
        assertTrue(both.drain(Duration.ofSeconds(60)), () -> both.status().toString());
        pair.targetServer().kill();
        insert(both, 2, "must wait");
        insert(both, 3, "must wait too");

        assertEquals(ExitCode.FAILED, run("journal", "status", directory.toString()), said());
        assertTrue(said().contains("in use by pid " + ProcessHandle.current().pid()), said());
        assertEquals(
            ExitCode.FAILED,
            run(
                "journal",
                "replay",
                directory.toString(),
                "--source",
                uri(pair.sourceServer(), pair.database()),
                "--target",
                uri(pair.sourceServer(), pair.database())));
        assertTrue(err.toString().contains("in use"), said());
        assertEquals(1, err.toString().lines().count(), said());
      }

      assertEquals(ExitCode.FAILED, run("journal", "status", directory.toString()), said());
      assertTrue(said().contains("2 units of work"), said());

      assertEquals(ExitCode.DONE, run("journal", "list", directory.toString()), said());
      String line = said().lines().filter(l -> l.contains("write t")).findFirst().orElseThrow();
      assertTrue(!said().contains("must wait"), said());
      String sequence = line.strip().split("\\s+", 2)[0];

      assertEquals(ExitCode.DONE, run("journal", "show", directory.toString(), sequence), said());
      assertTrue(said().contains("must wait"), said());

      pair.targetServer().restart();
      assertEquals(
          ExitCode.DONE,
          run(
              "journal",
              "replay",
              directory.toString(),
              "--source",
              uri(pair.sourceServer(), pair.database()),
              "--target",
              uri(pair.targetServer(), pair.database())),
          said());
      assertTrue(said().contains("2 replayed, 0 parked, 0 left"), said());
      try (Connection c = pair.target();
          Statement s = c.createStatement();
          ResultSet r = s.executeQuery("select count(*) from t")) {
        r.next();
        assertEquals(3, r.getInt(1));
      }
      assertEquals(ExitCode.DONE, run("journal", "status", directory.toString()), said());
      assertTrue(said().contains("nothing is left to do"), said());
    }
  }

  private String[] databases(PgPair pair, String... command) {
    List<String> all = new ArrayList<>(List.of(command));
    all.addAll(
        List.of(
            "--source",
            uri(pair.sourceServer(), pair.database()),
            "--target",
            uri(pair.targetServer(), pair.database())));
    return all.toArray(String[]::new);
  }

  private static String rows(Connection connection, String table) throws SQLException {
    try (Connection c = connection;
        Statement s = c.createStatement();
        ResultSet r =
            s.executeQuery(
                "select string_agg(t::text, ' ' order by t::text) from " + table + " t")) {
      r.next();
      return r.getString(1);
    }
  }

  /** Two writers' journals, of which one holds what the mirror refuses at first. */
  @Test
  void journalsOfSeveralWritersAreTriedAndReplayed() throws Exception {
    try (PgPair pair = PgPair.own()) {
      pair.execute("create table t(id int primary key, v text)");
      pair.execute("create table k(v text)");
      try (Connection c = pair.target()) {
        ControlSchema.install(c);
      }
      pair.executeTarget("alter table t add constraint short check (length(v) < 10)");
      pair.executeSource("insert into t values (1, 'a'), (2, 'b'), (3, 'much too long')");
      pair.executeSource("insert into k values ('x')");
      String incarnation;
      long xid;
      try (Connection c = pair.source();
          Statement query = c.createStatement();
          ResultSet r = query.executeQuery("select pg_current_xact_id()::text")) {
        incarnation = Incarnation.of(c);
        r.next();
        xid = r.getLong(1);
      }
      int n = 0;
      for (String writer : List.of("web-1", "web-2")) {
        try (Journal j =
            ChronicleJournal.open(directory.resolve(writer), JournalOptions.defaults())) {
          for (String[] row :
              new String[][] {
                {"" + ++n, "old"}, n == 1 ? new String[] {"x"} : new String[] {"3", "x"}
              }) {
            boolean keyed = row.length == 2;
            long seq = j.nextSequence();
            RowChange c =
                new RowChange(
                    keyed ? RowChange.Kind.UPSERT : RowChange.Kind.INSERT,
                    new TableName("public", keyed ? "t" : "k"),
                    keyed ? List.of("id", "v") : List.of("v"),
                    null,
                    keyed ? List.of("id") : List.of(),
                    new String[][] {row});
            assertTrue(j.append(new Intent(seq, 0, 0, incarnation, xid, 1, List.of(c))));
            j.release(seq, Outcome.COMMITTED);
          }
        }
      }
      String all = directory.toString();
      String second = directory.resolve("web-2").toString();
      assertEquals(
          ExitCode.FAILED, run(databases(pair, "journal", "replay", all, "--dry-run")), said());
      assertTrue(said().contains("         1  1 key to resync"), said());
      assertTrue(said().contains("         2  1 keyless row to insert"), said());
      assertTrue(said().contains("fails, and would be parked: "), said());
      assertTrue(said().contains("2 units of work: 2 to write"), said());
      assertTrue(said().contains("2 units of work: 1 to write, 1 would be parked"), said());
      assertEquals(null, rows(pair.target(), "t"));
      assertEquals(null, rows(pair.target(), "k"));

      assertEquals(
          ExitCode.DONE, run(databases(pair, "journal", "replay", all, "--key", "2")), said());
      assertEquals("(2,b)", rows(pair.target(), "t"), "only that one");
      try (Connection c = pair.target();
          Statement query = c.createStatement();
          ResultSet r = query.executeQuery("select sum(pending) from dualwrite.writer")) {
        r.next();
        assertEquals(3, r.getInt(1), "what was not asked for waits");
      }

      assertEquals(ExitCode.FAILED, run(databases(pair, "journal", "replay", all)), said());
      assertTrue(said().contains("2 replayed, 0 parked, 0 left"), said());
      assertTrue(said().contains("0 replayed, 1 parked, 0 left"), said());
      assertEquals("(1,a) (2,b)", rows(pair.target(), "t"));
      assertEquals("(x)", rows(pair.target(), "k"));

      String[] again = databases(pair, "journal", "replay", second, "--retry-parked", "-n");
      assertEquals(ExitCode.FAILED, run(again), said());
      assertTrue(said().contains("parked again: "), said());
      pair.executeTarget("alter table t drop constraint short");
      assertEquals(ExitCode.DONE, run(again), said());
      assertTrue(said().contains("2  1 key to resync"), said());
      assertEquals(
          ExitCode.DONE,
          run(databases(pair, "journal", "replay", second, "--retry-parked", "--json")),
          said());
      JsonNode summary = new ObjectMapper().readTree(out.toString(StandardCharsets.UTF_8));
      assertEquals(1, summary.get("replayed").asInt());
      assertEquals("(1,a) (2,b) (3,\"much too long\")", rows(pair.target(), "t"));
      assertEquals(ExitCode.DONE, run("journal", "status", all), said());
    }
  }

  /** What exchanges two columns would exchange what is brought before it by their names. */
  @Test
  void aSelectionThatGoesPastStatements() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key, a text, b text)");
      try (Connection c = pair.target()) {
        ControlSchema.install(c);
      }
      String ddl =
          "alter table t rename a to c; alter table t rename b to a; alter table t rename c to b";
      pair.executeSource(ddl + "; insert into t values (1, 'b', 'a')");
      try (Connection c = pair.source();
          Journal j = ChronicleJournal.open(directory, JournalOptions.defaults())) {
        for (RowChange change :
            List.of(
                RowChange.statement(ddl, "public", null, false),
                new RowChange(
                    RowChange.Kind.UPSERT,
                    new TableName("public", "t"),
                    List.of("id", "b", "a"),
                    null,
                    List.of("id"),
                    new String[][] {{"1", "b", "a"}}))) {
          long seq = j.nextSequence();
          assertTrue(j.append(new Intent(seq, 0, 0, Incarnation.of(c), 3, 1, List.of(change))));
          j.release(seq, Outcome.COMMITTED);
        }
        j.suspect(new Suspect(new TableName("public", "other"), "for the test", 0, "", 0));
      }
      String dir = directory.toString();
      assertEquals(ExitCode.FAILED, run(databases(pair, "journal", "replay", dir, "2")), said());
      assertTrue(said().contains("1 replayed, 0 parked, 0 left"), said());
      assertEquals(ExitCode.FAILED, run(databases(pair, "reconcile", dir)), said());
      assertTrue(said().contains("left other: statements (DDL) of unit 1 come first"), said());
      assertEquals(ExitCode.FAILED, run(databases(pair, "journal", "replay", dir)), said());
      assertTrue(said().contains("1 replayed, 0 parked, 0 left"), said());
      assertEquals(ExitCode.DONE, run(databases(pair, "reconcile", dir)), said());
      assertTrue(said().contains("closed t: equal on both sides"), said());
      assertEquals(rows(pair.source(), "t"), rows(pair.target(), "t"));
    }
  }

  @Test
  void suspectTablesAreMadeEqual() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key, v text)");
      pair.execute("create table u(id int primary key, v text)");
      pair.executeSource("insert into t values (1, 'a'), (2, 'b'); insert into u values (1, 'a')");
      pair.executeTarget("insert into t values (2, 'stale'), (3, 'gone')");
      try (Connection c = pair.target()) {
        ControlSchema.install(c);
      }
      String dir = directory.toString();
      try (Journal journal = ChronicleJournal.open(directory, JournalOptions.defaults())) {
        journal.suspect(new Suspect(new TableName("public", "t"), "for the test", 0, "", 0));
        journal.suspect(new Suspect(new TableName("public", "u"), "for the test", 0, "", 0));
      }
      assertEquals(ExitCode.FAILED, run("journal", "status", dir), said());
      assertTrue(said().contains("suspect t since"), said());
      assertEquals(
          ExitCode.USAGE, run(databases(pair, "reconcile", dir, "--max-rate", "-1")), said());
      assertEquals(
          ExitCode.DONE,
          run(databases(pair, "reconcile", dir, "--table", "t", "--max-rate", "10000")),
          said());
      assertTrue(said().contains("closed t: equal on both sides"), said());
      assertTrue(said().contains("1 closed, 0 left"), said());
      assertEquals("(1,a) (2,b)", rows(pair.target(), "t"));
      assertEquals(null, rows(pair.target(), "u"));
      assertEquals("(f)", rows(pair.target(), "(select goodbye from dualwrite.writer)"));
      assertEquals(ExitCode.DONE, run(databases(pair, "reconcile", dir, "--table", "t")), said());
      assertTrue(said().contains("none of these tables is suspect"), said());

      pair.executeTarget("alter table u drop column v");
      assertEquals(ExitCode.FAILED, run(databases(pair, "reconcile", dir)), said());
      assertTrue(said().contains("left u: "), said());
      assertTrue(said().contains("0 closed, 1 left"), said());
      pair.executeTarget("alter table u add column v text");
      assertEquals(
          ExitCode.DONE, run(databases(pair, "journal", "reconcile", dir, "--json")), said());
      List<String> types = new ArrayList<>();
      for (String line : out.toString(StandardCharsets.UTF_8).lines().toList()) {
        types.add(new ObjectMapper().readTree(line).get("type").asText());
      }
      assertEquals(List.of("suspect", "closed", "summary"), types);
      assertEquals("(1,a)", rows(pair.target(), "u"));
      assertEquals("(t)", rows(pair.target(), "(select goodbye from dualwrite.writer)"));
      assertEquals(ExitCode.DONE, run(databases(pair, "reconcile", dir)), said());
      assertTrue(said().contains("no table is suspect"), said());
      assertEquals(ExitCode.USAGE, run("reconcile"), said());
    }
  }

  /** It passes over a journal in use, and closes its suspects when its process is gone. */
  @Test
  void whatIsOfOtherRolesIsLeftAlone() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key, v text)");
      pair.executeSource("insert into t values (1, 'the source alone has it')");
      try (Connection s = pair.source();
          Connection t = pair.target()) {
        ControlSchema.install(s);
        ControlSchema.install(t);
      }
      long sequence;
      try (Journal journal = ChronicleJournal.open(directory, JournalOptions.defaults())) {
        sequence = journal.nextSequence();
        journal.append(
            new Intent(
                sequence,
                0,
                0,
                "gone",
                1,
                1,
                List.of(
                    new RowChange(
                        RowChange.Kind.UPSERT,
                        new TableName("public", "t"),
                        List.of("id", "v"),
                        null,
                        List.of("id"),
                        new String[][] {{"1", "the source alone has it"}}))));
        journal.release(sequence, Outcome.COMMITTED);
        journal.suspect(new Suspect(new TableName("public", "t"), "for a test", 0, "", 0));
      }
      pair.executeTarget("update dualwrite.control set epoch = 1"); // another one's cutover
      String dir = directory.toString();
      assertEquals(ExitCode.FAILED, run(databases(pair, "reconcile", dir)), said());
      assertTrue(said().contains("became suspect while the source was primary"), said());
      assertEquals(
          ExitCode.FAILED, run(databases(pair, "journal", "replay", dir, "--dry-run")), said());
      assertTrue(said().contains("written while the source was primary"), said());
      assertEquals(ExitCode.FAILED, run(databases(pair, "journal", "replay", dir)), said());
      assertTrue(said().contains("1 parked, 0 left"), said());
      assertEquals("(1,\"the source alone has it\")", rows(pair.source(), "t"));
    }
  }

  @Test
  void suspectsAreWatchedFor() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key, v text)");
      pair.executeSource("insert into t values (1, 'a')");
      try (Connection c = pair.target()) {
        ControlSchema.install(c);
      }
      int[] code = {-1};
      Thread watch =
          new Thread(
              () ->
                  code[0] =
                      run(
                          databases(
                              pair, "reconcile", directory.toString(), "--watch", "--interval=1")));
      try (Journal journal = ChronicleJournal.open(directory, JournalOptions.defaults())) {
        journal.suspect(new Suspect(new TableName("public", "t"), "for the test", 0, "", 0));
        watch.start();
        await(() -> said().contains("passed over"));
        assertTrue(said().contains("in use by pid"), said());
        assertEquals(1, journal.suspects().size());
      }
      await(() -> said().contains("closed t"));
      assertEquals("(1,a)", rows(pair.target(), "t"));
      assertTrue(watch.isAlive(), "until it is interrupted");
      watch.interrupt();
      watch.join(30_000);
      assertEquals(ExitCode.DONE, code[0], said());
    }
  }

  private static void await(BooleanSupplier condition) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (!condition.getAsBoolean()) {
      assertTrue(System.nanoTime() < end, "did not happen in 30 s");
      LockSupport.parkNanos(1_000_000);
    }
  }

  @Test
  void directoryThatIsNoJournalIsLeftAlone() throws IOException {
    for (String command : new String[] {"status", "list"}) {
      assertEquals(ExitCode.FAILED, run("journal", command, directory.toString()), said());
      assertTrue(err.toString().contains("is not a journal"), said());
      assertEquals(1, err.toString().lines().count(), said());
    }
    assertEquals(0, directory.toFile().list().length);
  }
}
