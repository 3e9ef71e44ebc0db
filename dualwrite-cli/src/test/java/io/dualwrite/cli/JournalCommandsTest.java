package io.dualwrite.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.catalog.TableName;
import io.dualwrite.control.ControlSchema;
import io.dualwrite.embedded.PgPair;
import io.dualwrite.embedded.PgServer;
import io.dualwrite.jdbc.DualWriteDataSource;
import io.dualwrite.journal.ChronicleJournal;
import io.dualwrite.journal.Journal;
import io.dualwrite.journal.JournalOptions;
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
      String line =
          said().lines().filter(l -> l.contains("write public.t")).findFirst().orElseThrow();
      assertTrue(!said().contains("must wait"), said());
      String sequence = line.strip().split("\\s+", 2)[0];

      assertEquals(ExitCode.DONE, run("journal", "show", directory.toString(), sequence), said());
      assertTrue(said().contains("must wait"), said());
      assertEquals(ExitCode.FAILED, run("journal", "show", directory.toString(), "99999999"));
      assertTrue(err.toString().contains("99999999"), said());

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
      assertTrue(said().contains("2 replayed, 0 set aside, 0 left"), said());
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

  @Test
  void suspectTablesAreMadeEqual() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key, v text)");
      pair.executeSource("insert into t values (1, 'a'), (2, 'b')");
      pair.executeTarget("insert into t values (2, 'stale'), (3, 'gone')");
      try (Connection c = pair.target()) {
        ControlSchema.install(c);
      }
      try (Journal journal = ChronicleJournal.open(directory, JournalOptions.defaults())) {
        journal.suspect(new Suspect(new TableName("public", "t"), "for the test", 0, "", 0));
      }
      assertEquals(ExitCode.FAILED, run("journal", "status", directory.toString()), said());
      assertTrue(said().contains("suspect public.t"), said());
      String[] command = {
        "journal",
        "reconcile",
        directory.toString(),
        "--source",
        uri(pair.sourceServer(), pair.database()),
        "--target",
        uri(pair.targetServer(), pair.database())
      };
      assertEquals(ExitCode.DONE, run(command), said());
      assertTrue(said().contains("1 closed, 0 left"), said());
      try (Connection c = pair.target();
          Statement s = c.createStatement();
          ResultSet r = s.executeQuery("select string_agg(id || v, ',' order by id) from t")) {
        r.next();
        assertEquals("1a,2b", r.getString(1));
      }
      assertEquals(ExitCode.DONE, run(command), said());
      assertTrue(said().contains("no table is suspect"), said());
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
