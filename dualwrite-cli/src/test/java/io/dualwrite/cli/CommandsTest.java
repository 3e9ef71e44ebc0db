package io.dualwrite.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.dualwrite.control.Side;
import io.dualwrite.embedded.PgPair;
import io.dualwrite.embedded.PgServer;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** The commands as a person calls them, on real servers: exit codes and what is said. */
class CommandsTest {

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

  private int run(String... args) {
    return Main.run(new PrintWriter(err, true), args);
  }

  private int run(PgPair pair, String... args) {
    List<String> all = new ArrayList<>(List.of(args));
    all.addAll(
        List.of(
            "--source",
            uri(pair.sourceServer(), pair.database()),
            "--target",
            uri(pair.targetServer(), pair.database())));
    return run(all.toArray(new String[0]));
  }

  private static String uri(PgServer server, String database) {
    return "postgres://"
        + server.user()
        + ":"
        + server.password()
        + "@localhost:"
        + server.port()
        + "/"
        + database;
  }

  /** One sentence, which holds all of these, and no stack trace. */
  private void assertSentence(String... parts) {
    assertEquals(1, err.toString().lines().count(), err.toString());
    assertTrue(err.toString().startsWith("dualwrite: "), err.toString());
    for (String p : parts) {
      assertTrue(err.toString().contains(p), err.toString());
    }
  }

  @Test
  void backfillFromStageToClean() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(
          "create table keyed(id int primary key, v text); create table log(at timestamptz, v text)");
      pair.executeSource(
          """
          insert into keyed select i, 'v' || i from generate_series(1, 1000) i;
          insert into log select timestamptz '2001-01-01Z' + i * interval '1 hour', 'v' || i
            from generate_series(1, 1000) i""");
      assertEquals(
          ExitCode.DONE,
          run(
              pair,
              "stage",
              "--until",
              "2001-06-01T00:00Z",
              "--time-column",
              "public.log=at",
              "--chunk-rows",
              "100"),
          said());
      assertEquals(ExitCode.FAILED, run(pair, "verify", "--recheck", "10ms"), said());
      assertTrue(said().contains("DIFFERENT"), said());
      assertEquals(ExitCode.DONE, run(pair, "copy", "--parallelism", "2"), said());
      assertTrue(said().contains("2,000 rows"), said());
      assertEquals(ExitCode.DONE, run(pair, "verify", "--recheck", "10ms"), said());
      assertTrue(said().contains("equal: every table holds the same rows"), said());
      pair.executeTarget("update keyed set v = 'spoilt' where id = 7");
      assertEquals(ExitCode.FAILED, run(pair, "verify", "--recheck", "10ms"), said());
      assertTrue(said().contains("public.keyed different on the target: 7 (v)"), said());
      assertTrue(said().contains("'dualwrite verify --repair' makes the target equal"), said());
      pair.executeTarget("update dualwrite.control set epoch = 1");
      assertEquals(ExitCode.FAILED, run(pair, "verify", "--recheck", "10ms"), said());
      assertTrue(said().contains("'dualwrite reconcile' makes the source equal"), said());
      pair.executeTarget("update dualwrite.control set epoch = 0");
      assertEquals(ExitCode.DONE, run(pair, "verify", "--method", "count"), said());
      assertTrue(said().contains("values were not compared"), said());
      assertTrue(
          Pattern.compile("public\\.keyed .* as many rows\\R").matcher(said()).find(), said());
      assertEquals(ExitCode.DONE, run(pair, "verify", "--recheck", "10ms", "--repair"), said());
      assertEquals(ExitCode.DONE, run(pair, "status"), said());
      assertTrue(said().contains("chunks copied"), said());
      assertEquals(ExitCode.DONE, run(pair, "clean"), said());
      assertEquals("", err.toString());
    }
  }

  @Test
  void forProgramsEachCommandSaysItInJson() throws Exception {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key, v text); create index t_v on t(v)");
      pair.executeSource("insert into t select i, 'v' from generate_series(1, 10) i");
      assertEquals(ExitCode.DONE, run(pair, "status", "--json"), said());
      assertEquals("{\"type\":\"status\",\"installed\":false}", lines().get(0).toString());
      assertEquals(ExitCode.DONE, run(pair, "stage", "--defer-indexes", "--json"), said());
      JsonNode staged = lines().get(0);
      assertEquals("staged", staged.get("type").asText());
      assertEquals("[\"public.t\"]", staged.get("tables").toString());
      assertEquals("[\"public.t_v\"]", staged.get("indexes").toString());
      assertEquals(
          ExitCode.DONE,
          run(pair, "copy", "--json", "--max-lag", "1GB", "--yield-to-checkpoints"),
          said());
      JsonNode copied = lines().get(0);
      assertEquals("copied", copied.get("type").asText());
      assertEquals(10, copied.get("rows").asInt());
      assertTrue(copied.get("complete").asBoolean());
      pair.executeTarget("update t set v = 'spoilt' where id = 7");
      assertEquals(ExitCode.FAILED, run(pair, "verify", "--json", "--recheck", "1ms"), said());
      List<JsonNode> verified = lines();
      assertEquals(
          List.of("table", "difference", "verified"),
          verified.stream().map(o -> o.get("type").asText()).toList());
      assertEquals("[\"7\"]", verified.get(1).get("key").toString());
      assertEquals("[\"v\"]", verified.get(1).get("columns").toString());
      assertFalse(verified.get(2).get("equal").asBoolean());
      pair.executeTarget("update t set v = 'v'");
      assertEquals(
          ExitCode.DONE,
          run(pair, "verify", "--json", "--resume", "--max-rate", "10MB", "--recheck", "1ms"),
          said());
      lines();
      assertEquals(ExitCode.DONE, run(pair, "status", "--json"), said());
      JsonNode status = lines().get(0);
      assertEquals("source", status.get("primary").asText());
      assertEquals(2, status.get("backfill").get("done").asInt());
      assertEquals(1, status.get("backfill").get("verifiedEqual").asInt());
      assertEquals("", err.toString());
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void ctrlCOnceEndsTheChunkAtHandAndTwiceAbortsIt(int times) throws Exception {
    assumeTrue(!interruptIgnored(), "SIGINT is ignored here");
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key, v text)");
      pair.executeSource(
          "insert into t select i, repeat('x', 1000) from generate_series(1, 300) i");
      assertEquals(ExitCode.DONE, run(pair, "stage", "--chunk-rows", "100"), said());
      Process p =
          start(pair, "copy", "--parallelism", "1", "--max-rate", times == 1 ? "100kB" : "1kB");
      try (BufferedReader said = p.inputReader(StandardCharsets.UTF_8);
          Connection c = pair.target();
          Statement s = c.createStatement()) {
        boolean copying = false;
        while (!copying) { // a chunk is under way
          assertTrue(p.isAlive());
          try (ResultSet r =
              s.executeQuery(
                  "select exists (select from pg_stat_activity where datname = current_database() and state = 'active' and query like 'copy \"public\".\"t\"%')")) {
            r.next();
            copying = r.getBoolean(1);
          }
        }
        List<String> lines = new ArrayList<>();
        interrupt(p);
        lines.add(said.readLine());
        assertEquals("ending what is at hand; Ctrl-C once more aborts it", lines.get(0));
        if (times == 2) {
          interrupt(p);
        }
        said.lines().forEach(lines::add);
        assertEquals(ExitCode.INTERRUPTED, p.waitFor(), lines.toString());
        assertEquals(
            times == 2 ? "aborted" : "interrupted; the same command goes on",
            lines.get(lines.size() - 1));
        try (ResultSet r =
            s.executeQuery("select count(*) from dualwrite.task where state = 'done'")) {
          r.next();
          assertEquals(times == 2, r.getInt(1) == 0, lines.toString());
        }
        assertEquals(ExitCode.DONE, run(pair, "copy"), said());
      } finally {
        p.destroyForcibly();
      }
    }
  }

  @Test
  void ctrlCEndsAVerifyThatTheSameCommandResumes() throws Exception {
    assumeTrue(!interruptIgnored(), "SIGINT is ignored here");
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key, v text)");
      pair.execute("insert into t select i, repeat('x', 1000) from generate_series(1, 300) i");
      assertEquals(ExitCode.DONE, run(pair, "stage", "--chunk-rows", "10"), said());
      assertEquals(ExitCode.DONE, run(pair, "copy"), said());
      Process p = start(pair, "verify", "--parallelism", "1", "--max-rate", "10kB");
      try (BufferedReader said = p.inputReader(StandardCharsets.UTF_8);
          Connection c = pair.target();
          Statement s = c.createStatement()) {
        boolean some = false;
        while (!some) { // ranges are compared
          assertTrue(p.isAlive());
          try (ResultSet r =
              s.executeQuery(
                  "select exists (select from dualwrite.task where verified = 'equal')")) {
            r.next();
            some = r.getBoolean(1);
          }
        }
        interrupt(p);
        List<String> lines = said.lines().toList();
        assertEquals(ExitCode.INTERRUPTED, p.waitFor(), lines.toString());
        assertEquals(
            "interrupted; 'dualwrite verify --resume' goes on", lines.get(lines.size() - 1));
      } finally {
        p.destroyForcibly();
      }
      assertEquals(ExitCode.DONE, run(pair, "verify", "--resume"), said());
      assertTrue(said().contains("found equal by the verify that is resumed"), said());
    }
  }

  private static Process start(PgPair pair, String... arguments) throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                "io.dualwrite.cli.Main"));
    command.addAll(List.of(arguments));
    command.addAll(
        List.of(
            "--source",
            uri(pair.sourceServer(), pair.database()),
            "--target",
            uri(pair.targetServer(), pair.database())));
    return new ProcessBuilder(command).redirectErrorStream(true).start();
  }

  /** Who started us in the background may have had it ignored, and that is inherited. */
  private static boolean interruptIgnored() throws IOException {
    String ignored =
        Files.readAllLines(Path.of("/proc/self/status")).stream()
            .filter(l -> l.startsWith("SigIgn:"))
            .findFirst()
            .orElseThrow()
            .substring(7)
            .strip();
    return (Long.parseUnsignedLong(ignored, 16) & 2) != 0;
  }

  private static void interrupt(Process p) throws Exception {
    assertEquals(0, new ProcessBuilder("kill", "-INT", Long.toString(p.pid())).start().waitFor());
  }

  /** The objects that were said since this was asked last. */
  private List<JsonNode> lines() throws IOException {
    List<JsonNode> result = new ArrayList<>();
    for (String line : out.toString(StandardCharsets.UTF_8).lines().toList()) {
      result.add(new ObjectMapper().readTree(line));
    }
    out.reset();
    return result;
  }

  @Test
  void copyWithoutStageSaysWhatToDo() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      assertEquals(ExitCode.FAILED, run(pair, "copy"), said());
      assertSentence("stage");
    }
  }

  @Test
  void completionPointOfTheWrongTypeNamesTheColumn() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table log(at timestamptz, v text)");
      assertEquals(
          ExitCode.FAILED,
          run(pair, "stage", "--until", "4711", "--time-column", "public.log=at"),
          said());
      assertSentence("public.log", "timestamp with time zone", "4711");
    }
  }

  @Test
  void missingTableAndColumnAreNamed() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.executeSource("create table t(id int primary key, v text)");
      assertEquals(ExitCode.FAILED, run(pair, "stage"), said());
      assertTrue(err.toString().contains("public.t"), err.toString());
      pair.executeTarget("create table t(id int primary key)");
      err.getBuffer().setLength(0);
      assertEquals(ExitCode.FAILED, run(pair, "stage"), said());
      assertTrue(
          err.toString().contains("public.t") && err.toString().contains("v"), err.toString());
    }
  }

  @Test
  void unreachableSourceNamesItAndTheOption() throws IOException {
    int nobody;
    try (ServerSocket s = new ServerSocket(0)) {
      nobody = s.getLocalPort();
    }
    String there = "postgres://me:secret@localhost:" + nobody + "/shop";
    assertEquals(ExitCode.FAILED, run("stage", "--source", there, "--target", there));
    assertSentence("cannot connect to the source", "localhost:" + nobody, "--source");
    assertFalse(err.toString().contains("secret"), err.toString());
  }

  @Test
  void statusAndCleanNeedTheTargetAlone() throws SQLException, IOException {
    int nobody;
    try (ServerSocket s = new ServerSocket(0)) {
      nobody = s.getLocalPort();
    }
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key)");
      assertEquals(ExitCode.DONE, run(pair, "stage"), said());
      String target = uri(pair.targetServer(), pair.database());
      assertEquals(ExitCode.DONE, run("status", "--target", target), said());
      assertTrue(said().contains("of 1 chunks copied"), said());
      String gone = "postgres://me@localhost:" + nobody + "/shop";
      assertEquals(
          ExitCode.DONE, run("status", "--json", "--source", gone, "--target", target), said());
      assertTrue(said().contains("\"chunks\":1,"), said());
      assertEquals(ExitCode.DONE, run("clean", "--target", target), said());
      assertEquals(ExitCode.DONE, run("status", "--source", gone, "--target", target), said());
      assertTrue(said().contains("nothing staged"), said());
      assertEquals("", err.toString());
    }
  }

  @Test
  void wrongPasswordAndDatabaseAreToldApart() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      String good = uri(pair.sourceServer(), pair.database());
      assertEquals(
          ExitCode.FAILED,
          run("stage", "--source", uri(pair.sourceServer(), "nothing_here"), "--target", good));
      assertSentence("no such database", "--source");
    }
  }

  @Test
  void connectionStringThatIsNoneIsAUsageError() {
    assertEquals(
        ExitCode.USAGE, run("copy", "--source", "mysql://a/b", "--target", "postgres://a/b"));
    assertTrue(err.toString().contains("--source: this is no connection string"), err.toString());
    assertTrue(err.toString().contains("postgres://"), err.toString());
    assertEquals(ExitCode.USAGE, run("status", "--target", "host=h user=app password=hunter2"));
    assertFalse(err.toString().contains("hunter2"), err.toString());
  }

  @Test
  void settingsFileIsReadAndItsMistakesAreNamed(@TempDir Path dir)
      throws SQLException, IOException {
    Path file = dir.resolve("app.properties");
    try (PgPair pair = PgPair.shared()) {
      Files.writeString(
          file,
          "dualwrite.source.url=%s\ndualwrite.target.url=%s\n"
              .formatted(
                  uri(pair.sourceServer(), pair.database()),
                  uri(pair.targetServer(), pair.database())));
      assertEquals(ExitCode.DONE, run("status", "--config", file.toString()), said());
      Files.writeString(file, "dualwrite.jurnal.dir=/x\n");
      assertEquals(ExitCode.FAILED, run("status", "--config", file.toString()), said());
      assertSentence("dualwrite.jurnal.dir", "dualwrite.journal.dir", file.toString());
    }
    err.getBuffer().setLength(0);
    assertEquals(ExitCode.FAILED, run("status", "--config", dir.resolve("none").toString()));
    assertSentence("there is no file", "--config");
  }

  @Test
  void anOptionsUserGoesBeforeTheFilesAndTakesNotItsPassword(@TempDir Path dir)
      throws SQLException, IOException {
    Path file = dir.resolve("app.properties");
    try (PgPair pair = PgPair.shared()) {
      Files.writeString(
          file,
          "source.username=not_there\nsource.password=theirs\ntarget.username=not_there\ntarget.password=theirs\n");
      assertEquals(ExitCode.DONE, run(pair, "status", "--config", file.toString()), said());
      assertEquals(ExitCode.DONE, run(pair, "stage", "--config", file.toString()), said());
    }
    Files.writeString(
        file,
        "source.username=app\nsource.password=theirs\ntarget.username=app\ntarget.password=theirs\n");
    for (Side side : Side.values()) {
      assertEquals("app theirs", credentials(side, file, "postgres://h/d"));
      assertEquals("app theirs", credentials(side, file, "postgres://app@h/d"));
      assertEquals("app mine", credentials(side, file, "postgres://app:mine@h/d"));
      assertEquals("app mine", credentials(side, file, "postgres://h/d?password=mine"));
      assertEquals("other null", credentials(side, file, "postgres://other@h/d"));
      assertEquals(
          "other mine", credentials(side, file, "jdbc:postgresql:d?user=other&password=mine"));
    }
    Files.writeString(file, "source.url=postgres://app@h/d\nsource.password=theirs\n");
    assertEquals("app theirs", credentials(Side.SOURCE, file, "postgres://app@tunnel/d"));
    assertEquals("other null", credentials(Side.SOURCE, file, "postgres://other@h/d"));
  }

  private static String credentials(Side side, Path file, String option) {
    Databases d = new Databases();
    new CommandLine(d).parseArgs("--config", file.toString(), "--" + side, option);
    return d.uri(side).user() + " " + d.uri(side).password();
  }

  @Test
  void rateThatIsNoneIsAUsageError() {
    assertEquals(ExitCode.USAGE, run("copy", "--max-rate", "fast"));
    assertTrue(err.toString().contains("64MB"), err.toString());
  }
}
