package io.dualwrite.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.catalog.TableName;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Journals that earlier versions wrote, kept as text: this version reads them, whole. When the
 * format changes, add one of the new version with {@code -Ddualwrite.test.fixture=FILE}, which
 * {@link #write} then writes, and leave those that are there as they are.
 */
final class JournalFixtureTest {

  private static final UUID WRITER = UUID.fromString("8d4a4a0e-5f6c-4e5a-9c5e-0b1f7f0c2a11");

  @TempDir Path dir;

  private static RowChange change(
      RowChange.Kind kind, String table, List<String> columns, List<String> key, String[]... rows) {
    return new RowChange(kind, new TableName("public", table), columns, null, key, rows);
  }

  private static String[] row(String... values) {
    return values;
  }

  /** One of each kind of change that there is in journals of the version. */
  private static List<Intent> intents(int version) {
    List<List<RowChange>> units = new ArrayList<>();
    units.addAll(
        List.of(
            List.of(
                change(
                    RowChange.Kind.UPSERT,
                    "orders",
                    List.of("id", "v"),
                    List.of("id"),
                    row("1", null),
                    row("2", "größer \uD83D\uDE00 \uD800"))),
            List.of(change(RowChange.Kind.INSERT, "events", List.of("at"), List.of(), row("x"))),
            List.of(
                change(RowChange.Kind.DELETE, "orders", List.of("id"), List.of("id"), row("3")),
                change(
                    RowChange.Kind.REKEY,
                    "orders",
                    List.of("id", "id", "v"),
                    List.of("id"),
                    row("4", "5", ""))),
            List.of(
                new RowChange(
                    RowChange.Kind.UPSERT,
                    new TableName("Über \"s\"", "t"),
                    List.of("k", "n"),
                    Arrays.asList(null, "double precision"),
                    List.of("k"),
                    new String[][] {{"a", "1e0"}})),
            List.of(
                change(
                    RowChange.Kind.UPSERT,
                    "large",
                    List.of("id", "v"),
                    List.of("id"),
                    row("1", "z".repeat(600_000)))), // in parts
            List.of(change(RowChange.Kind.INSERT, "events", List.of("at"), List.of(), row("y"))),
            List.of(RowChange.truncate(new TableName("public", "events"), "7:7:", "1.5/1/2.5")),
            List.of(RowChange.statement("create table n ()", "public", null, false))));
    if (version > 1) {
      units.add(
          List.of(
              change(RowChange.Kind.REMOVE, "events", List.of("at"), List.of(), row("x"), row("y")),
              RowChange.statement("create index concurrently i on n (a)", "a, b", "r", true)));
    }
    List<Intent> list = new ArrayList<>();
    for (int i = 0; i < units.size(); i++) {
      list.add(
          new Intent(
              i + 1,
              1_790_000_000_000_000L + i,
              i % 2,
              "1.5/1/2.5",
              1000L + i,
              40 + i,
              units.get(i)));
    }
    return list;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void journalsOfEveryVersionAreRead(int version) throws IOException {
    fixture(version);
    assertEquals(Set.of(version), versions(dir));
    List<Intent> all = intents(version);
    List<JournalUnit> want = new ArrayList<>();
    want.addAll(
        List.of(
            new JournalUnit(all.get(0), JournalUnit.State.PENDING, Outcome.COMMITTED, null),
            new JournalUnit(all.get(2), JournalUnit.State.PARKED, Outcome.COMMITTED, "why é"),
            new JournalUnit(all.get(3), JournalUnit.State.PENDING, Outcome.UNKNOWN, null),
            new JournalUnit(all.get(4), JournalUnit.State.PENDING, Outcome.COMMITTED, null),
            new JournalUnit(all.get(5), JournalUnit.State.PENDING, Outcome.UNKNOWN, null),
            new JournalUnit(all.get(6), JournalUnit.State.PENDING, Outcome.UNKNOWN, null),
            new JournalUnit(all.get(7), JournalUnit.State.PENDING, Outcome.UNKNOWN, null)));
    all.stream()
        .skip(8)
        .forEach(
            i -> want.add(new JournalUnit(i, JournalUnit.State.PENDING, Outcome.UNKNOWN, null)));
    Suspect suspect =
        new Suspect(new TableName("public", "s"), "it was before", 5, "1.5/1/2.5", 900, 0);
    try (JournalReader r = JournalReader.readOnly(dir)) {
      assertEquals(WRITER, r.writer());
      List<JournalUnit> got = new ArrayList<>();
      r.units(false, got::add);
      assertEquals(want, got);
      assertEquals(0, r.verify(d -> {}).damaged());
      assertEquals(List.of(suspect), withoutVersion(r.suspects()));
    }
    // and taken over; its lock file is another one here, so that keyless rows are given up
    try (ChronicleJournal j = ChronicleJournal.open(dir, JournalOptions.defaults())) {
      List<Intent> left =
          new ArrayList<>(List.of(all.get(0), all.get(3), all.get(4), all.get(6), all.get(7)));
      List<Long> parked = new ArrayList<>(List.of(3L));
      left.addAll(all.subList(8, all.size()));
      left.removeIf(i -> i.statements() && parked.add(i.sequence()));
      assertEquals(left, Intents.pending(j).stream().map(Pending::intent).toList());
      assertEquals(parked, j.parked().stream().map(Journal.Parked::sequence).toList());
      assertEquals("why é", j.parked().get(0).error());
      assertTrue(j.nextSequence() > all.size());
      List<Suspect> open = withoutVersion(j.suspects());
      assertEquals(2, open.size());
      assertEquals(Intents.EVENTS, open.get(0).table());
      assertEquals(suspect, open.get(1));
    }
  }

  /** What an earlier version wrote and what this one adds are read together. */
  @Test
  void aJournalOfTwoVersions() throws IOException {
    fixture(1);
    Intent more;
    try (ChronicleJournal j = ChronicleJournal.open(dir, JournalOptions.defaults())) {
      more = Intents.keyed(j.nextSequence());
      assertTrue(j.append(more));
    }
    assertEquals(Set.of(1, 2), versions(dir));
    try (ChronicleJournal j = ChronicleJournal.open(dir, JournalOptions.defaults())) {
      List<Intent> read = Intents.pending(j).stream().map(Pending::intent).toList();
      assertEquals(intents(1).get(0), read.get(0));
      assertEquals(more, read.get(read.size() - 1));
    }
  }

  private void fixture(int version) throws IOException {
    String name = "journal-" + version + ".txt";
    try (InputStream in = JournalFixtureTest.class.getResourceAsStream(name)) {
      assertNotNull(in, "no " + name + ": see write");
      restore(in, dir);
    }
  }

  /** The versions of the records in a directory's files. */
  private static Set<Integer> versions(Path of) throws IOException {
    Set<Integer> found = new TreeSet<>();
    try (Stream<Path> files = Files.walk(of)) {
      for (Path f : files.filter(f -> f.toString().endsWith(".cq4")).toList()) {
        byte[] b = Files.readAllBytes(f);
        for (int at = 0; at + Records.HEADER <= b.length; at += 4) {
          if (Records.u32(b, at) == Records.MAGIC) {
            found.add((int) b[at + 4]);
          }
        }
      }
    }
    return found;
  }

  private static List<Suspect> withoutVersion(List<Suspect> list) {
    return list.stream()
        .map(s -> new Suspect(s.table(), s.reason(), s.sinceMicros(), s.incarnation(), s.xid(), 0))
        .toList();
  }

  /**
   * Writes a fixture of the present version if asked to; checks in any case that it can be read.
   */
  @Test
  void write() throws IOException {
    Path from = dir.resolve("from");
    try (ChronicleJournal j =
        ChronicleJournal.open(
            from,
            JournalOptions.builder().blockBytes(1 << 20).bootId("boot").machineId("").build())) {
      List<Intent> all = intents(Records.VERSION);
      for (Intent i : all) {
        assertEquals(i.sequence(), j.nextSequence());
        assertTrue(j.append(i));
      }
      j.release(1, Outcome.COMMITTED);
      j.resolved(2);
      j.release(3, Outcome.COMMITTED);
      j.park(3, "why é");
      j.park(5, "not yet");
      j.unpark(5);
      j.release(5, Outcome.COMMITTED);
      j.suspect(new Suspect(new TableName("public", "s"), "it was before", 5, "1.5/1/2.5", 900));
    }
    Path properties = from.resolve("journal.properties");
    String text = Files.readString(properties);
    Files.writeString(properties, text.replaceAll("writer=.*", "writer=" + WRITER));
    StringBuilder dump = new StringBuilder();
    try (Stream<Path> files = Files.walk(from)) {
      for (Path f : files.filter(Files::isRegularFile).sorted().toList()) {
        String name = from.relativize(f).toString();
        if (!name.equals("journal.lock") && !name.equals("journal.owner")) {
          dump(dump, name, Files.readAllBytes(f));
        }
      }
    }
    String wanted = System.getProperty("dualwrite.test.fixture");
    if (wanted != null) {
      Files.writeString(Path.of(wanted), dump);
    }
    assertTrue(dump.length() < 20_000, "too large to keep: " + dump.length());
    Path to = dir.resolve("to");
    restore(new java.io.ByteArrayInputStream(dump.toString().getBytes(StandardCharsets.UTF_8)), to);
    try (JournalReader r = JournalReader.readOnly(to)) {
      assertEquals(8, r.pendingCount() + r.parked().size());
    }
    assertEquals(Set.of(Records.VERSION), versions(to));
    assertNotNull(
        JournalFixtureTest.class.getResource("journal-" + Records.VERSION + ".txt"),
        "a fixture of this version is missing: see above");
  }

  /** {@code offset bytes} for each 32 bytes that are not all zero; {@code *n} for n more alike. */
  private static void dump(StringBuilder to, String name, byte[] b) {
    to.append("file ").append(b.length).append(' ').append(name).append('\n');
    String last = "";
    int alike = 0;
    for (int at = 0; at < b.length; at += 32) {
      String line = HexFormat.of().formatHex(b, at, Math.min(b.length, at + 32));
      boolean zero = line.chars().allMatch(c -> c == '0');
      if (!zero && line.equals(last)) {
        alike++;
        continue;
      }
      if (alike > 0) {
        to.append('*').append(alike).append('\n');
        alike = 0;
      }
      last = zero ? "" : line;
      if (!zero) {
        to.append(Integer.toHexString(at)).append(' ').append(line).append('\n');
      }
    }
    if (alike > 0) {
      to.append('*').append(alike).append('\n');
    }
  }

  private static void restore(InputStream in, Path to) throws IOException {
    RandomAccessFile f = null;
    byte[] last = new byte[0];
    try (BufferedReader r = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8))) {
      for (String line : (Iterable<String>) r.lines()::iterator) {
        if (line.startsWith("file ")) {
          String[] words = line.split(" ", 3);
          if (f != null) {
            f.close();
          }
          Path p = to.resolve(words[2]);
          Files.createDirectories(p.getParent());
          f = new RandomAccessFile(p.toFile(), "rw");
          f.setLength(Long.parseLong(words[1]));
        } else if (line.startsWith("*")) {
          for (int n = Integer.parseInt(line.substring(1)); n > 0; n--) {
            f.write(last);
          }
        } else {
          String[] words = line.split(" ", 2);
          last = HexFormat.of().parseHex(words[1]);
          f.seek(Integer.parseInt(words[0], 16));
          f.write(last);
        }
      }
    } finally {
      if (f != null) {
        f.close();
      }
    }
    Files.createFile(to.resolve("journal.lock"));
  }
}
