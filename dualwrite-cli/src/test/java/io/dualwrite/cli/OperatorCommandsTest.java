package io.dualwrite.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.dualwrite.embedded.Installation;
import io.dualwrite.embedded.PgPair;
import io.dualwrite.embedded.PgServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** doctor, schema, triggers and jobs as a person calls them. */
class OperatorCommandsTest {

  private final PrintStream standardOut = System.out;
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final StringWriter err = new StringWriter();

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

  private int run(PgPair pair, String... args) {
    out.reset();
    err.getBuffer().setLength(0);
    return Main.run(
        new PrintWriter(err, true), arguments(pair, pair.database(), args).toArray(new String[0]));
  }

  private static List<String> arguments(PgPair pair, String database, String... args) {
    List<String> all = new ArrayList<>(List.of(args));
    if (args[0].equals("schema") && !all.contains("--pg-bin")) {
      Installation.given().ifPresent(bin -> all.addAll(List.of("--pg-bin", bin.toString())));
    }
    for (PgServer s : List.of(pair.sourceServer(), pair.targetServer())) {
      all.add(s == pair.sourceServer() ? "--source" : "--target");
      all.add(
          "postgres://postgres:postgres@localhost:"
              + s.port()
              + "/"
              + (s == pair.sourceServer() ? database : pair.database()));
    }
    return all;
  }

  /**
   * The command as a process of its own, in a locale without UTF-8; all that it says goes there.
   */
  private static Process start(Path said, Path temporary, List<String> arguments)
      throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-Djava.io.tmpdir=" + temporary,
                "-cp",
                System.getProperty("java.class.path"),
                "io.dualwrite.cli.Main"));
    command.addAll(arguments);
    ProcessBuilder b = new ProcessBuilder(command).redirectOutput(said.toFile());
    b.environment().put("LC_ALL", "C");
    return (said.startsWith("/dev") ? b : b.redirectErrorStream(true)).start();
  }

  private static PgPair local() {
    Optional<PgPair> pair = PgPair.local();
    assumeTrue(pair.isPresent(), Installation.NONE);
    return pair.get();
  }

  private void assertSaid(String... parts) {
    for (String p : parts) {
      assertTrue(said().contains(p), "'" + p + "' is not in: " + said());
    }
  }

  @Test
  void doctorExitsByWhatBlocks() throws SQLException, IOException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key)");
      assertEquals(ExitCode.DONE, run(pair, "doctor"), said());
      assertSaid("nothing blocks", "Servers", "1 table to move.");
      pair.executeSource("select lo_create(0)");
      assertEquals(ExitCode.FAILED, run(pair, "doctor"), said());
      assertSaid("  block  source  1 large object exists", "[large-objects]", "1 finding blocks");
      for (String line : out.toString(StandardCharsets.UTF_8).lines().toList()) {
        assertTrue(line.length() <= Terminal.WIDTH, line);
      }
      assertEquals(ExitCode.DONE, run(pair, "doctor", "--accept", "large-objects"), said());

      assertEquals(ExitCode.FAILED, run(pair, "doctor", "--json"), said());
      JsonNode json = new ObjectMapper().readTree(out.toString(StandardCharsets.UTF_8));
      assertEquals(1, json.get("block").asInt());
      assertEquals("large-objects", blocking(json).get("code").asText());
      assertEquals("source", blocking(json).get("side").asText());
      assertEquals("objects", blocking(json).get("topic").asText());
      pair.executeSource("select lo_unlink(oid) from pg_largeobject_metadata");
    }
  }

  private static JsonNode blocking(JsonNode json) {
    for (JsonNode f : json.get("findings")) {
      if (f.get("severity").asText().equals("block")) {
        return f;
      }
    }
    throw new AssertionError("nothing blocks in " + json);
  }

  @Test
  void aLongListIsCutAndJsonHasAllOfIt() throws SQLException, IOException {
    try (PgPair pair = PgPair.shared()) {
      StringBuilder sql = new StringBuilder();
      for (int i = 10; i < 20; i++) {
        sql.append("create table log_").append(i).append("(v text);");
      }
      pair.execute(sql.toString());
      assertEquals(ExitCode.DONE, run(pair, "doctor"), said());
      assertSaid("- public.log_14", "and 5 more; --json has all");
      assertFalse(said().contains("public.log_15"), said());
      assertEquals(ExitCode.DONE, run(pair, "doctor", "--json"), said());
      assertSaid("public.log_19");
    }
  }

  @Test
  void schemaMigrateThenTriggersAndDoctor(@TempDir Path dir) throws SQLException, IOException {
    try (PgPair pair = local()) {
      pair.executeSource(
          "create table t(id int primary key, v text); insert into t values (1, 'x');"
              + "create function f() returns trigger language plpgsql as 'begin return new; end';"
              + "create trigger tr before insert on t for each row execute function f();"
              + "create function e() returns event_trigger language plpgsql as 'begin end';"
              + "create event trigger et on ddl_command_end execute function e()");
      assertEquals(ExitCode.DONE, run(pair, "schema", "migrate", "--sql-only"), said());
      assertSaid(
          "CREATE TABLE \"public\".\"t\"",
          "triggers disable",
          "-- Note: event trigger left out: et");
      assertEquals(ExitCode.DONE, run(pair, "triggers", "status"), said());
      assertSaid("no user triggers"); // nothing was changed
      Path kept = dir.resolve("kept");
      assertEquals(
          ExitCode.DONE, run(pair, "schema", "migrate", "--output", kept.toString()), said());
      assertSaid("restored: ", "disabled 1 trigger;");
      assertTrue(Files.exists(kept.resolve("schema.sql")));
      assertEquals(
          ExitCode.DONE, run(pair, "schema", "restore", "--input", kept.toString()), said());
      assertSaid("nothing was changed");
      assertEquals(ExitCode.DONE, run(pair, "triggers", "status"), said());
      assertSaid("public.t", "disabled", "enabled");
      assertEquals(ExitCode.DONE, run(pair, "doctor"), said());
      assertSaid("nothing blocks");
      assertEquals(ExitCode.DONE, run(pair, "triggers", "enable"), said());
      assertSaid("enabled 1 trigger again");
      assertEquals(ExitCode.FAILED, run(pair, "doctor"), said());
      assertSaid("[target-triggers]");
      assertEquals(ExitCode.DONE, run(pair, "triggers", "disable"), said());
      assertSaid("disabled 1 trigger");
    }
  }

  @Test
  void namesAreThemselvesInALocaleWithoutUtf8(@TempDir Path dir) throws Exception {
    try (PgPair pair = local();
        Connection t = pair.target()) {
      pair.executeSource(
          "create schema \"größe\"; create table \"größe\".\"表\"(id serial, v text);"
              + "insert into \"größe\".\"表\"(v) values ('x')");
      Path said = dir.resolve("said");
      Process p =
          start(said, dir, arguments(pair, pair.database(), "schema", "migrate", "--no-roles"));
      assertEquals(ExitCode.DONE, p.waitFor(), () -> text(said));
      assertEquals( // definitions, and no row
          "0 false",
          value(
              t,
              "select (select count(*) from \"größe\".\"表\") || ' ' || (select is_called from \"größe\".\"表_id_seq\")"));
      p = start(said, dir, arguments(pair, pair.database(), "doctor", "--json"));
      assertEquals(ExitCode.DONE, p.waitFor(), () -> text(said));
      assertTrue(text(said).contains("größe.表"), text(said));

      String database = pair.database() + "_größe";
      pair.executeSource("create database \"" + database + "\"");
      p =
          start(
              said,
              dir,
              arguments(pair, database.replace("öß", "%C3%B6%C3%9F"), "schema", "migrate"));
      assertEquals(ExitCode.FAILED, p.waitFor(), () -> text(said));
      assertTrue(text(said).contains("PGDATABASE cannot be told to pg_dump"), text(said));
      assertEquals(1, text(said).lines().count(), text(said));
      pair.executeSource("drop database \"" + database + "\"");
    }
  }

  @Test
  void whoEndsSchemaLeavesNothingBehind(@TempDir Path dir) throws Exception {
    try (PgPair pair = local();
        Connection t = pair.target();
        Statement st = t.createStatement()) {
      pair.executeSource("create schema zz");
      t.setAutoCommit(false);
      st.execute("create schema zz"); // psql waits for what becomes of it
      Path temporary = Files.createDirectory(dir.resolve("tmp"));
      Path said = dir.resolve("said");
      Process p = start(said, temporary, arguments(pair, pair.database(), "schema", "migrate"));
      String waiting =
          "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
      try (Connection c = pair.target()) {
        while (!value(c, waiting).equals("1")) {
          assertTrue(p.isAlive(), () -> text(said));
          Thread.sleep(20);
        }
        List<ProcessHandle> programs = p.descendants().toList();
        assertEquals(1, programs.size());
        p.destroy(); // SIGTERM
        assertEquals(ExitCode.INTERRUPTED, p.waitFor(), () -> text(said));
        assertFalse(programs.get(0).isAlive());
        try (Stream<Path> files = Files.list(temporary)) {
          assertEquals(List.of(), files.toList());
        }
        t.rollback();
        assertEquals(ExitCode.DONE, run(pair, "schema", "migrate"), said());
        assertEquals("1", value(c, "select count(*) from pg_namespace where nspname = 'zz'"));
      }
    }
  }

  private static String value(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement();
        ResultSet r = s.executeQuery(sql)) {
      r.next();
      return r.getString(1);
    }
  }

  private static String text(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void outputThatCannotBeWrittenIsAFailure(@TempDir Path dir) throws Exception {
    Path full = Path.of("/dev/full");
    assumeTrue(Files.exists(full), "skipped: this system has no /dev/full");
    try (PgPair pair = local()) {
      pair.execute("create table t(id int primary key)");
      for (List<String> command :
          List.of(
              List.of("status", "--json"),
              List.of("doctor", "--json"),
              List.of("doctor"),
              List.of("schema", "dump", "--sql-only"))) {
        Process p =
            start(full, dir, arguments(pair, pair.database(), command.toArray(new String[0])));
        String errors = new String(p.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(ExitCode.FAILED, p.waitFor(), command + ": " + errors);
        assertTrue(errors.contains("standard output could not be written"), errors);
      }
    }
  }

  @Test
  void schemaMistakesAreOneSentence(@TempDir Path dir) throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      assertEquals(
          ExitCode.FAILED, run(pair, "schema", "restore", "--input", dir.toString()), said());
      assertSaid("holds no dumped schema");
      assertEquals(ExitCode.USAGE, run(pair, "schema", "restore", "--owners"), said());
      err.getBuffer().setLength(0);
      assertEquals(
          ExitCode.FAILED, run(pair, "schema", "restore", "--input", dir.toString()), said());
      assertEquals(1, err.toString().lines().count(), err.toString());
      assertEquals(
          ExitCode.FAILED, run(pair, "schema", "dump", "--pg-bin", dir.toString()), said());
      assertSaid("--pg-bin " + dir + " has none", "Install postgresql-client-");
      assertEquals(1, err.toString().lines().count(), err.toString());
    }
  }

  @Test
  void withoutTimescaledbThereAreNoJobs() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      for (String what : List.of("status", "disable", "run", "enable")) {
        assertEquals(ExitCode.DONE, run(pair, "jobs", what), said());
        assertSaid("the target's database has no TimescaleDB");
        assertEquals(1, said().lines().count(), said());
      }
      assertEquals(ExitCode.USAGE, run(pair, "jobs", "run", "--pause", "soon"), said());
      assertSaid("'soon' is not a time");
      assertEquals(ExitCode.USAGE, run(pair, "jobs"), said());
    }
  }

  @Test
  void jobsFromStatusToEnable() throws SQLException {
    Optional<PgPair> found = PgPair.timescale();
    assumeTrue(found.isPresent(), Installation.NO_TIMESCALEDB);
    try (PgPair pair = found.get()) {
      pair.execute(PgPair.CREATE_TIMESCALEDB);
      pair.executeTarget(
          "create procedure p(job_id int, config jsonb) language plpgsql as 'begin end'");
      pair.executeTarget(
          "select add_job('p', interval '1 day', initial_start => now() + interval '1 day')");
      assertEquals(ExitCode.DONE, run(pair, "jobs", "disable"), said());
      assertSaid("disabled 1 job");
      assertEquals(ExitCode.DONE, run(pair, "jobs", "status"), said());
      assertSaid("off", "never");
      assertEquals(ExitCode.DONE, run(pair, "jobs", "run"), said());
      assertSaid("no job is due"); // its first turn is tomorrow
      pair.executeTarget(
          "select alter_job(job_id, initial_start => now() - interval '1 hour') from timescaledb_information.jobs where job_id >= 1000");
      assertEquals(ExitCode.DONE, run(pair, "jobs", "run"), said());
      assertSaid("left off until the target is the primary", "1000 p;");
      assertEquals(ExitCode.DONE, run(pair, "jobs", "run", "--actions"), said());
      assertSaid(" p: done in ");
      assertEquals(ExitCode.DONE, run(pair, "jobs", "run"), said());
      assertSaid("no job is due");
      assertEquals(ExitCode.DONE, run(pair, "jobs", "enable", "--actions"), said());
      assertSaid("scheduled again: 1 job");
      pair.executeTarget(
          "create table if not exists dualwrite.task(state text); insert into dualwrite.task values ('pending')");
      assertEquals(ExitCode.FAILED, run(pair, "jobs", "run"), said());
      assertSaid("dualwrite copy");
      assertEquals(ExitCode.DONE, run(pair, "jobs", "run", "--force"), said());
    }
  }
}
