package io.dualwrite.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.dualwrite.catalog.TableName;
import io.dualwrite.journal.ChronicleJournal;
import io.dualwrite.journal.Intent;
import io.dualwrite.journal.JournalOptions;
import io.dualwrite.journal.JournalReader;
import io.dualwrite.journal.Outcome;
import io.dualwrite.journal.RowChange;
import io.dualwrite.journal.Suspect;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.RandomAccessFile;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The journal's commands that need no database. */
class JournalToolTest {

  private static final long DAY = 1_790_000_000_000_000L / 86_400_000_000L * 86_400_000_000L;
  private static final String ERROR =
      "ERROR: duplicate key value violates unique constraint \"orders_email_key\"\n"
          + "  Detail: Key (email)=(ada@example.com) already exists.";

  private final PrintStream standardOut = System.out;
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final StringWriter err = new StringWriter();

  @TempDir Path root;

  private Path journal;

  @BeforeEach
  void catchOutput() {
    System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
    journal = root.resolve("web-1");
  }

  @AfterEach
  void releaseOutput() {
    System.setOut(standardOut);
  }

  private String said() {
    return out.toString(StandardCharsets.UTF_8) + err;
  }

  private String out() {
    return out.toString(StandardCharsets.UTF_8);
  }

  private int run(Object... args) {
    out.reset();
    err.getBuffer().setLength(0);
    return Main.run(
        new PrintWriter(err, true),
        Stream.concat(Stream.of("journal"), Arrays.stream(args).map(Object::toString))
            .toArray(String[]::new));
  }

  private List<JsonNode> json() throws IOException {
    List<JsonNode> list = new ArrayList<>();
    for (String line : out().lines().toList()) {
      list.add(new ObjectMapper().readTree(line));
    }
    return list;
  }

  /** The numbers of the units that a command names, one JSON line each. */
  private List<Long> listed(Object... args) throws IOException {
    Object[] all = Arrays.copyOf(args, args.length + 1);
    all[args.length] = "--json";
    assertEquals(ExitCode.DONE, run(all), said());
    return json().stream().map(n -> n.get("sequence").asLong()).toList();
  }

  private static RowChange change(
      RowChange.Kind kind, String table, List<String> columns, List<String> key, String[]... rows) {
    return new RowChange(kind, new TableName("public", table), columns, null, key, rows);
  }

  private static String[] row(String... values) {
    return values;
  }

  /** Unit n is of hour n of the day. */
  private static void append(ChronicleJournal j, RowChange... changes) {
    long seq = j.nextSequence();
    assertTrue(
        j.append(
            new Intent(seq, DAY + seq * 3_600_000_000L, 0, "i", 1000 + seq, 42, List.of(changes))));
    j.release(seq, Outcome.COMMITTED);
  }

  private static final List<String> ORDER = List.of("id", "region", "email");
  private static final List<String> ORDER_KEY = List.of("id", "region");

  private static void fill(ChronicleJournal j) {
    append(j, change(RowChange.Kind.UPSERT, "orders", ORDER, ORDER_KEY, row("1", "eu", "a@b.c")));
    append(
        j,
        change(
            RowChange.Kind.UPSERT,
            "orders",
            ORDER,
            ORDER_KEY,
            row("1", "us", "it's"),
            row("2", "eu", null)),
        change(RowChange.Kind.DELETE, "lines", List.of("id"), List.of("id"), row("7")));
    append(
        j, change(RowChange.Kind.INSERT, "events", List.of("at", "n"), List.of(), row("x", "1")));
    append(
        j,
        change(
            RowChange.Kind.REKEY,
            "lines",
            List.of("id", "id", "v"),
            List.of("id"),
            row("8", "9", "z")));
    append(
        j,
        RowChange.statement("create table n (secret text default 'hush')", "public", null, false));
    append(j, RowChange.truncate(new TableName("audit", "log"), "5:5:", "i"));
    j.park(2, ERROR);
    j.resolved(3);
  }

  private void fill() {
    try (ChronicleJournal j = ChronicleJournal.open(journal, JournalOptions.defaults())) {
      fill(j);
    }
  }

  @Test
  void filtersByTableTimeKeyAndError() throws IOException {
    fill();
    assertEquals(List.of(1L, 2L, 4L, 5L, 6L), listed("list", root));
    assertEquals(List.of(1L, 2L, 3L, 4L, 5L, 6L), listed("list", journal, "--all"));
    assertEquals(List.of(1L, 2L), listed("list", journal, "--table", "orders"));
    assertEquals(List.of(2L, 4L), listed("list", journal, "-t", "public.lines"));
    assertEquals(List.of(6L), listed("list", journal, "-t", "audit.log"));
    assertEquals(List.of(1L, 2L), listed("list", journal, "--key", "1"));
    assertEquals(List.of(2L), listed("list", journal, "--key", "id=1", "--key", "region=us"));
    assertEquals(List.of(), listed("list", journal, "--key", "id=2", "--key", "region=us"));
    assertEquals(List.of(), listed("list", journal, "--key", "email=a@b.c"), "no key column");
    assertEquals(List.of(4L), listed("list", journal, "--key", "id=8"), "the old key");
    assertEquals(List.of(4L), listed("list", journal, "--key", "9"), "the new key");
    assertEquals(List.of(3L), listed("list", journal, "--all", "--key", "at=x"), "has no key");
    assertEquals(List.of(2L), listed("list", journal, "--error", "DUPLICATE KEY"));
    assertEquals(List.of(), listed("list", journal, "--error", "deadlock"));
    assertEquals(List.of(2L), listed("list", journal, "--parked"));
    String day = Instant.EPOCH.plusMillis(DAY / 1000).toString().substring(0, 10);
    assertEquals(List.of(4L, 5L, 6L), listed("list", journal, "--since", day + "T04:00"));
    assertEquals(
        List.of(1L, 2L), listed("list", journal, "--until", day + "T05:00:00+02:00"), "not at");
    assertEquals(
        List.of(2L),
        listed("list", journal, "--since", day + " 02:00", "--until", day + "T02:00:01Z"));
    assertEquals(5, listed("list", journal, "--since", day).size());
    assertEquals(List.of(1L, 2L), listed("list", journal, "--limit", "2"));
    assertEquals(List.of(2L, 4L, 5L), listed("list", journal, "2-5"));
    assertEquals(ExitCode.USAGE, run("list", journal, "--since", "yesterday"));
    assertTrue(err.toString().contains("'yesterday' is no time"), said());
    assertEquals(ExitCode.USAGE, run("list", journal, "--table", "a.b.c"));
    assertEquals(ExitCode.USAGE, run("list"));
    assertEquals(ExitCode.FAILED, run("list", root.resolve("none")));
    assertTrue(err.toString().contains("there is no directory"), said());

    assertEquals(ExitCode.DONE, run("list", journal, "--limit", "2"), said());
    assertTrue(out().contains("... and 3 more"), said());
    assertTrue(out().contains("write orders x2"), said());
    assertFalse(out().contains("a@b.c") || out().contains("ada@"), said());
  }

  @Test
  void showsValuesUnlessTheyAreMasked() throws IOException {
    fill();
    assertEquals(ExitCode.DONE, run("show", journal, 1, 2, 4, 5, 6), said());
    for (String s :
        List.of(
            "a@b.c",
            "it's",
            "NULL",
            "old id",
            "ada@example.com",
            "create table n",
            "hush",
            "truncate audit.log")) {
      assertTrue(out().contains(s), () -> s + " in " + said());
    }
    assertEquals(ExitCode.DONE, run("show", journal, "1-6", "--mask"), said());
    for (String s : List.of("a@b.c", "it's", "hush", "ada@example.com", "orders_email_key")) {
      assertFalse(out().contains(s), () -> s + " in " + said());
    }
    assertTrue(out().contains("NULL") && out().contains("***"), said());
    assertEquals(
        ExitCode.DONE, run("show", journal, 1, 4, "--mask-columns", "EMAIL,lines.v"), said());
    assertFalse(out().contains("a@b.c") || out().contains(" z"), said());
    assertTrue(out().contains("eu") && out().contains(" 9"), said());

    assertEquals(ExitCode.DONE, run("show", journal, 2, "--json", "--mask-columns=email"), said());
    JsonNode unit = json().get(0);
    assertEquals("parked", unit.get("state").asText());
    assertFalse(unit.get("error").asText().contains("ada@"));
    JsonNode c = unit.get("changes").get(0);
    assertEquals("[[\"1\",\"us\",\"***\"],[\"2\",\"eu\",null]]", c.get("rows").toString());
    assertEquals("[\"id\",\"region\"]", c.get("key").toString());
    assertEquals(ExitCode.FAILED, run("show", journal, 99));
    assertEquals(1, err.toString().lines().count(), said());
    assertEquals(ExitCode.USAGE, run("show", journal));
  }

  @Test
  void exportsJsonLinesAndStatements() throws IOException {
    fill();
    Path file = root.resolve("units.jsonl");
    assertEquals(ExitCode.DONE, run("export", journal, "--all", "-o", file), said());
    assertTrue(out().contains("6 units of work written"), said());
    List<String> lines = Files.readAllLines(file);
    assertEquals(6, lines.size());
    JsonNode first = new ObjectMapper().readTree(lines.get(0));
    assertEquals("a@b.c", first.get("changes").get(0).get("rows").get(0).get(2).asText());
    assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
    assertEquals(ExitCode.FAILED, run("export", journal, "-o", file));
    assertTrue(err.toString().contains("already"), said());
    assertEquals(6, Files.readAllLines(file).size());

    assertEquals(ExitCode.DONE, run("export", journal, "--sql", "--table", "orders"), said());
    assertTrue(
        out()
            .contains(
                "insert into \"public\".\"orders\" (\"id\", \"region\", \"email\") values ('1', 'us',"
                    + " 'it''s') on conflict (\"id\", \"region\") do update set \"email\" ="
                    + " excluded.\"email\";"),
        said());
    assertTrue(out().contains("delete from \"public\".\"lines\" where \"id\" = '7';"), said());
    assertEquals(ExitCode.DONE, run("export", journal, "--sql", "4-6"), said());
    assertTrue(
        out()
            .contains(
                "update \"public\".\"lines\" set \"id\" = '9', \"v\" = 'z' where \"id\" = '8';"),
        said());
    assertTrue(out().contains("truncate \"audit\".\"log\";"), said());
    assertTrue(out().contains("create table n (secret text default 'hush')\n;"), said());
    assertEquals(ExitCode.DONE, run("export", journal, "--sql", "--mask"), said());
    assertFalse(
        out().contains("hush") || out().contains("it''s") || out().contains("ada@"), said());
  }

  @Test
  void statusAndVerifyOfSeveralJournals() throws IOException {
    fill();
    Path second = root.resolve("web-2");
    ChronicleJournal.open(second, JournalOptions.defaults()).close();
    Files.createDirectories(root.resolve("not-a-journal"));
    assertEquals(ExitCode.FAILED, run("status", root), said());
    assertTrue(out().contains("4 units of work, the oldest of"), said());
    assertTrue(out().contains("nothing is left to do"), said());
    assertEquals(ExitCode.DONE, run("status", second), said());
    assertEquals(ExitCode.FAILED, run("status", journal, second, "--json"), said());
    JsonNode s = json().get(0);
    assertEquals(4, s.get("pending").asInt());
    assertEquals(1, s.get("parked").asInt());
    assertEquals(2, s.get("tables").get("public.orders").asInt());
    assertTrue(s.get("inUseBy").isNull());
    assertTrue(json().get(1).get("clean").asBoolean());

    assertEquals(ExitCode.DONE, run("verify", root), said());
    assertTrue(out().contains("6 units of work: sound"), said());
    Path file;
    try (Stream<Path> files = Files.walk(journal)) {
      file = files.filter(f -> f.toString().endsWith(".cq4")).findFirst().orElseThrow();
    }
    int at = Files.readString(file, StandardCharsets.ISO_8859_1).indexOf("a@b.c");
    try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
      f.seek(at);
      f.write('#');
    }
    assertEquals(ExitCode.FAILED, run("verify", root), said());
    assertTrue(out().contains("may concern orders"), said());
    assertTrue(out().contains("1 damaged"), said());
    assertEquals(ExitCode.FAILED, run("verify", journal, "--json"), said());
    assertEquals("damage", json().get(0).get("type").asText());
    assertEquals("[\"public.orders\"]", json().get(0).get("tables").toString());
    assertEquals(1, json().get(1).get("damaged").asInt());
    Files.delete(journal.resolve("journal.state"));
    assertEquals(ExitCode.FAILED, run("status", journal), said());
    assertTrue(out().contains("journal.state"), said());
  }

  @Test
  void skippedUnitsLeaveSuspects() throws IOException {
    fill();
    assertEquals(ExitCode.USAGE, run("skip", journal, "--yes"), said());
    assertEquals(ExitCode.USAGE, run("skip", journal, 2), said());
    assertTrue(out().contains("1 unit would be skipped; suspects then: lines, orders"), said());
    assertTrue(err.toString().contains("--yes"), said());
    assertEquals(List.of(1L, 2L, 4L, 5L, 6L), listed("list", journal));
    assertEquals(ExitCode.FAILED, run("skip", journal, 3, "--yes"), "it is resolved");

    assertEquals(ExitCode.DONE, run("skip", journal, 2, "--yes", "--reason", "by hand"), said());
    assertTrue(out().contains("1 unit skipped; suspect now: lines, orders"), said());
    assertEquals(List.of(1L, 4L, 5L, 6L), listed("list", journal));
    try (JournalReader r = JournalReader.readOnly(journal)) {
      Map<TableName, Suspect> open = new TreeMap<>();
      r.suspects().forEach(s -> open.put(s.table(), s));
      assertEquals(2, open.size());
      Suspect s = open.get(new TableName("public", "orders"));
      assertEquals(1002, s.xid());
      assertEquals("i", s.incarnation());
      assertTrue(s.reason().endsWith("by the operator: by hand"), s.reason());
    }
    assertEquals(
        ExitCode.DONE, run("skip", journal, "--table", "lines", "--yes", "--json"), said());
    assertTrue(json().get(0).get("skipped").asBoolean());
    assertEquals(List.of(1L, 5L, 6L), listed("list", journal));
    assertEquals(ExitCode.DONE, run("skip", journal, 5, "--yes"), said());
    assertTrue(out().contains("every table"), "who knows what a statement did");
  }

  /** Their suspects are closed by whoever has done them, and by nothing else. */
  @Test
  void statementsThatWereDoneByHand() {
    try (ChronicleJournal j =
        ChronicleJournal.open(journal, JournalOptions.builder().minFreeBytes(1L << 60).build())) {
      RowChange c = RowChange.statement("create view v as\n select 1", "public", null, false);
      assertFalse(j.append(new Intent(j.nextSequence(), 0, 0, "i", 7, 42, List.of(c))));
    }
    assertEquals(ExitCode.FAILED, run("status", journal), said());
    assertTrue(out().contains("create view v as  select 1;"), said());
    assertEquals(ExitCode.USAGE, run("skip", journal, 1, "--statements"), said());
    assertEquals(ExitCode.USAGE, run("skip", journal, "--statements"), said());
    assertTrue(out().contains("create view v as  select 1;"), said());
    assertEquals(ExitCode.DONE, run("skip", journal, "--statements", "--yes"), said());
    try (JournalReader r = JournalReader.readOnly(journal)) {
      assertEquals(List.of(RowChange.NO_TABLE), r.suspects().stream().map(Suspect::table).toList());
    }
    assertEquals(ExitCode.FAILED, run("skip", journal, "--statements", "--yes"), said());
  }

  /** What only looks works beside the owner; what changes something is refused and names it. */
  @Test
  void aJournalInUse() throws IOException {
    try (ChronicleJournal j = ChronicleJournal.open(journal, JournalOptions.defaults())) {
      fill(j);
      String owner = "in use by pid " + ProcessHandle.current().pid() + " since ";
      for (List<Object> command :
          List.<List<Object>>of(
              List.of("list", journal), List.of("show", journal, 1), List.of("verify", journal))) {
        assertEquals(ExitCode.DONE, run(command.toArray()), said());
        assertTrue(out().contains(owner), said());
      }
      assertEquals(ExitCode.FAILED, run("status", journal), said());
      assertTrue(out().contains(owner), said());
      assertEquals(ExitCode.DONE, run("export", journal), said());
      assertEquals(5, out().lines().count(), said());
      for (List<Object> command :
          List.<List<Object>>of(
              List.of("replay", journal),
              List.of("skip", journal, 1),
              List.of("skip", journal, 1, "--yes"),
              List.of("reconcile", journal))) {
        assertEquals(ExitCode.FAILED, run(command.toArray()), said());
        assertTrue(err.toString().contains(owner), said());
        assertEquals(1, err.toString().lines().count(), said());
        assertEquals("", out(), "nothing else is said");
      }
      assertEquals(List.of(1L, 2L, 4L, 5L, 6L), listed("list", journal));
      assertTrue(j.append(new Intent(j.nextSequence(), 0, 0, "i", 1, 1, List.of())));
    }
    // one of several in use does not keep the others from it
    Path second = root.resolve("web-2");
    try (ChronicleJournal j = ChronicleJournal.open(second, JournalOptions.defaults())) {
      append(j, change(RowChange.Kind.DELETE, "lines", List.of("id"), List.of("id"), row("7")));
      assertEquals(ExitCode.FAILED, run("skip", root, "-t", "lines", "--yes"), said());
      assertTrue(err.toString().contains(second + " is in use by"), said());
      assertEquals(List.of(1L, 5L, 6L, 7L), listed("list", journal));
      assertEquals(1, j.pendingCount());
    }
  }
}
