package io.dualwrite.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.catalog.TableName;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Bytes on disk that are not what was written. */
final class JournalDamageTest {

  private static final JournalOptions SMALL =
      JournalOptions.builder().blockBytes(1 << 20).rollBytes(1 << 20).build();

  @TempDir Path dir;

  private final Map<Long, Intent> all = new HashMap<>();

  private ChronicleJournal open() {
    return ChronicleJournal.open(dir, SMALL);
  }

  private List<Long> append(ChronicleJournal j, int n, int bytes) {
    List<Long> list = new ArrayList<>();
    for (int i = 0; i < n; i++) {
      Intent in =
          Intents.keyed(j.nextSequence(), i % 2 == 0 ? Intents.ORDERS : Intents.EVENTS, bytes);
      assertTrue(j.append(in));
      all.put(in.sequence(), in);
      list.add(in.sequence());
    }
    return list;
  }

  private List<Path> files() throws IOException {
    List<Path> files = new ArrayList<>();
    JournalDirectory d = JournalDirectory.view(dir);
    for (Path run : d.runDirectories()) {
      files.addAll(JournalDirectory.segments(run));
    }
    return files;
  }

  private static List<TableName> tables(List<Suspect> suspects) {
    return suspects.stream().map(Suspect::table).toList();
  }

  private static void flip(Path file, long position, int mask) throws IOException {
    try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
      f.seek(position);
      int b = f.read();
      f.seek(position);
      f.write(b ^ mask);
    }
  }

  /** Where a text of one record is in its file. */
  private static long find(Path file, String text) throws IOException {
    String s = Files.readString(file, java.nio.charset.StandardCharsets.ISO_8859_1);
    long at = s.indexOf(text);
    assertTrue(at > 0);
    return at;
  }

  @Test
  void flippedInTheRows() throws IOException {
    List<Long> seqs;
    try (ChronicleJournal j = open()) {
      seqs = append(j, 10, 300);
    }
    flip(files().get(0), find(files().get(0), Intents.text(seqs.get(3), 300)) + 77, 1);
    try (ChronicleJournal j = open()) {
      Set<Long> want = new TreeSet<>(seqs);
      want.remove(seqs.get(3));
      assertEquals(want, Intents.sequences(j));
      assertEquals(List.of(Intents.EVENTS), tables(j.suspects()), "only the table that it named");
      assertEquals(1000 + seqs.get(3), j.suspects().get(0).xid());
      assertTrue(j.closeSuspect(j.suspects().get(0)));
    }
    try (ChronicleJournal j = open()) {
      assertEquals(List.of(), j.suspects(), "the same damage is not reported again");
      assertEquals(9, j.pendingCount());
    }
  }

  /** What its process had not said to be there, nobody relied on. */
  @Test
  void diedInTheMiddleOfAPart() throws IOException {
    List<Long> seqs;
    try (ChronicleJournal j = open()) {
      seqs = append(j, 3, 300);
      append(j, 1, 900_000);
    }
    Path file = null;
    int part = -1;
    for (Path f : files()) {
      byte[] bytes = Files.readAllBytes(f);
      for (int i = 0; i + Records.HEADER < bytes.length; i += 4) {
        if (Records.u32(bytes, i) == Records.MAGIC
            && Records.header(bytes, i, bytes.length) != null) {
          file = f;
          part = i;
        }
      }
    }
    byte[] bytes = Files.readAllBytes(file);
    Records.Header h = Records.header(bytes, part, bytes.length);
    assertEquals(Records.PART, h.type());
    flip(file, part - 1, 0x80); // of the document's header: not complete
    try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
      f.seek(part + h.length() / 2);
      f.write(new byte[h.length() - h.length() / 2]);
    }
    try (ChronicleJournal j = open()) {
      assertEquals(List.of(), j.suspects());
      assertEquals(new TreeSet<>(seqs), Intents.sequences(j));
    }
  }

  /** One bit makes a record one of the queue's own, which are passed over. */
  @Test
  void flippedInWhoseItIs() throws IOException {
    List<Long> seqs;
    try (ChronicleJournal j = open()) {
      seqs = append(j, 5, 60);
    }
    Path file = files().get(0);
    byte[] bytes = Files.readAllBytes(file);
    int record = (int) find(file, Intents.text(seqs.get(2), 60));
    while (Records.u32(bytes, record) != Records.MAGIC) {
      record--;
    }
    flip(file, record - 1, 0x40);
    try (ChronicleJournal j = open()) {
      assertEquals(new TreeSet<>(seqs), Intents.sequences(j));
      assertEquals(List.of(), j.suspects());
    }
  }

  @Test
  void flippedInTheNames() throws IOException {
    List<Long> seqs;
    try (ChronicleJournal j = open()) {
      seqs = append(j, 10, 300);
    }
    flip(files().get(0), find(files().get(0), "events") + 2, 16);
    try (ChronicleJournal j = open()) {
      Set<Long> want = new TreeSet<>(seqs);
      want.remove(seqs.get(1));
      assertEquals(want, Intents.sequences(j));
      assertEquals(List.of(StateFile.ALL), tables(j.suspects()), "it may have named any table");
      assertTrue(j.closeSuspect(j.suspects().get(0)));
    }
    try (ChronicleJournal j = open()) {
      assertEquals(List.of(), j.suspects());
    }
  }

  @Test
  void damagedWhileOpen() throws IOException {
    try (ChronicleJournal j = open()) {
      List<Long> seqs = append(j, 10, 300);
      for (long s : seqs) {
        j.release(s, Outcome.COMMITTED);
      }
      flip(files().get(0), find(files().get(0), Intents.text(seqs.get(4), 300)), 1);
      Set<Long> want = new TreeSet<>(seqs);
      want.remove(seqs.get(4));
      assertEquals(want, Intents.sequences(j));
      assertEquals(9, j.pendingCount());
      assertEquals(List.of(Intents.ORDERS), tables(j.suspects()));
      assertTrue(j.closeSuspect(j.suspects().get(0)));
    }
    try (ChronicleJournal j = open()) {
      assertEquals(List.of(), j.suspects());
      assertEquals(9, j.pendingCount());
    }
  }

  @Test
  void truncated() throws IOException {
    List<Long> seqs;
    try (ChronicleJournal j = open()) {
      seqs = append(j, 10, 300);
    }
    try (RandomAccessFile f = new RandomAccessFile(files().get(0).toFile(), "rw")) {
      f.setLength(find(files().get(0), Intents.text(seqs.get(6), 300)) + 100);
    }
    List<Long> later;
    try (ChronicleJournal j = open()) {
      assertEquals(new TreeSet<>(seqs.subList(0, 6)), Intents.sequences(j));
      assertTrue(tables(j.suspects()).contains(StateFile.ALL) || !j.suspects().isEmpty());
      later = append(j, 3, 300);
    }
    try (ChronicleJournal j = open()) {
      Set<Long> want = new TreeSet<>(seqs.subList(0, 6));
      want.addAll(later);
      assertEquals(want, Intents.sequences(j));
    }
  }

  @Test
  void aFileInTheMiddleIsEmptied() throws IOException {
    List<Long> seqs;
    try (ChronicleJournal j = open()) {
      seqs = append(j, 300, 10_000);
    }
    List<Path> files = files();
    assertTrue(files.size() >= 3, "files " + files.size());
    try (RandomAccessFile f = new RandomAccessFile(files.get(1).toFile(), "rw")) {
      f.setLength(0);
    }
    try (ChronicleJournal j = open()) {
      Set<Long> left = Intents.sequences(j);
      assertTrue(left.size() > 100 && left.size() < 280, "left " + left.size());
      assertTrue(left.contains(seqs.get(0)));
      assertTrue(left.contains(seqs.get(299)));
      assertEquals(List.of(StateFile.ALL), tables(j.suspects()));
    }
  }

  @Test
  void anUnknownVersionOfARecord() throws IOException {
    List<Long> seqs;
    try (ChronicleJournal j = open()) {
      seqs = append(j, 3, 300);
    }
    Path file = files().get(0);
    long position = find(file, "DWJL") + 4; // the first record's version
    flip(file, position, 8);
    try (ChronicleJournal j = open()) {
      assertEquals(new TreeSet<>(seqs.subList(1, 3)), Intents.sequences(j));
      assertEquals(List.of(StateFile.ALL), tables(j.suspects()));
    }
  }

  /** Its length has no sum: with one bit more it ends where a record further on begins. */
  @Test
  void theLengthOfTheQueuesOwnDocuments() throws IOException {
    try (ChronicleJournal j = open()) {
      append(j, 300, 60);
      j.letGo();
    }
    Path file = files().get(0);
    byte[] b = Files.readAllBytes(file);
    ByteBuffer words = ByteBuffer.wrap(b).order(ByteOrder.LITTLE_ENDIAN);
    int meta = -1; // the last document of the queue's own before the records
    int at = 0;
    for (; (words.getInt(at) & 0x40000000) != 0; at = end(words, at)) {
      meta = at;
    }
    for (int n = 0; n < 10; n++) {
      at = end(words, at);
    }
    words.putInt(meta, 0x40000000 | (at - meta - 4));
    Files.write(file, b);
    try (ChronicleJournal j = open()) {
      assertEquals(all.keySet(), Intents.sequences(j));
      assertEquals(List.of(StateFile.ALL), tables(j.suspects()), "and it is said");
    }
  }

  private static int end(ByteBuffer words, int document) {
    return (document + 4 + (words.getInt(document) & 0x3FFFFFFF) + 3) & ~3;
  }

  /**
   * Any single byte changed anywhere in a file: nothing is thrown, every other record is read as it
   * was, and the one that was hit is reported with its table or with every table.
   */
  @Test
  void anyByte() throws IOException {
    long seed = System.nanoTime();
    System.out.println("seed " + seed);
    Random r = new Random(seed);
    List<Long> seqs;
    try (ChronicleJournal j = open()) {
      seqs = append(j, 12, 60);
    }
    Path file = files().get(0);
    byte[] sound = Files.readAllBytes(file);
    int end = (int) find(file, Intents.text(seqs.get(11), 60)) + 80;
    Set<Integer> positions = new HashSet<>();
    for (int i = 0; i < 200; i++) {
      positions.add(r.nextInt(end)); // the queue's own data too
    }
    int first = (int) find(file, "DWJL") - 4;
    for (int i = first; i < end; i++) {
      positions.add(i);
    }
    int hits = 0;
    for (int position : positions) {
      byte[] b = sound.clone();
      b[position] ^= (byte) (1 + r.nextInt(255));
      try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
        f.seek(position);
        f.write(b, position, 1);
      }
      Map<Long, Intent> got = new HashMap<>();
      List<TableName> suspects = new ArrayList<>();
      Segment s = new Segment(file, 0);
      try (SegmentReader reader = new SegmentReader(file)) {
        reader.scan(
            true,
            true,
            new SegmentReader.Visitor() {
              @Override
              public void record(
                  long p, int length, Records.Header h, byte[] head, int from, byte[] body) {
                try {
                  Intent in =
                      Records.intent(
                          h.sequence(),
                          Records.head(head, from, from + h.headLength()),
                          body,
                          0,
                          body.length);
                  got.put(in.sequence(), in);
                } catch (DamagedException e) {
                  throw new AssertionError(e);
                }
              }

              @Override
              public void damaged(long p, String what, Records.Header h, byte[] head, int from) {
                suspects.addAll(Scan.damage(s, p, what, h, head, from, false).tables());
              }
            });
      }
      String where = "position " + position + ", seed " + seed + ", suspects " + suspects;
      assertTrue(got.size() >= 11, where + ", read " + got.keySet());
      for (Intent in : got.values()) {
        assertEquals(all.get(in.sequence()), in, where);
      }
      if (got.size() == 11) {
        hits++;
        Set<Long> lost = new HashSet<>(seqs);
        lost.removeAll(got.keySet());
        TableName table = all.get(lost.iterator().next()).changes().get(0).table();
        assertTrue(suspects.contains(table) || suspects.contains(StateFile.ALL), where);
      }
      try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
        f.seek(position);
        f.write(sound, position, 1);
      }
    }
    assertTrue(hits > 500, "hits " + hits);
  }

  @Test
  void theStateFileIsLost() throws IOException {
    List<Long> seqs;
    java.util.UUID before;
    try (ChronicleJournal j = open()) {
      before = j.writer();
      seqs = append(j, 4, 100);
      Intent keyless = Intents.keyless(j.nextSequence(), Intents.EVENTS);
      assertTrue(j.append(keyless));
    }
    Files.delete(dir.resolve("journal.state"));
    try (ChronicleJournal j = open()) {
      assertEquals(
          new TreeSet<>(seqs), Intents.sequences(j), "a keyless one could be inserted twice");
      assertEquals(List.of(StateFile.ALL, Intents.EVENTS), tables(j.suspects()));
      assertFalse(j.writer().equals(before), "its sequences may have been given before");
    }
  }

  @Test
  void movedOrCopied() throws IOException {
    List<Long> seqs;
    java.util.UUID before;
    try (ChronicleJournal j = open()) {
      before = j.writer();
      seqs = append(j, 4, 100);
      assertTrue(j.append(Intents.keyless(j.nextSequence(), Intents.EVENTS)));
    }
    Path lock = dir.resolve("journal.lock");
    Files.copy(lock, dir.resolve("copy"));
    Files.move(dir.resolve("copy"), lock, java.nio.file.StandardCopyOption.REPLACE_EXISTING);
    try (ChronicleJournal j = open()) {
      assertFalse(j.writer().equals(before));
      assertEquals(new TreeSet<>(seqs), Intents.sequences(j));
      assertEquals(List.of(Intents.EVENTS), tables(j.suspects()));
      before = j.writer();
    }
    try (ChronicleJournal j = open()) {
      assertEquals(before, j.writer());
      assertEquals(new TreeSet<>(seqs), Intents.sequences(j));
    }
  }

  @Test
  void foreignDirectories() throws IOException {
    Files.writeString(dir.resolve("data.txt"), "mine");
    assertTrue(refused().contains("holds other files (data.txt)"));
    Files.delete(dir.resolve("data.txt"));
    open().close();
    Path properties = dir.resolve("journal.properties");
    String good = Files.readString(properties);
    Files.writeString(properties, good.replace("format=1", "format=7"));
    assertTrue(refused().contains("has format 7, newer than this version"));
    Files.writeString(properties, good.replaceAll("writer=.*", "writer=x"));
    assertTrue(refused().contains("is damaged"));
    Files.writeString(properties, "");
    assertTrue(refused().contains("is damaged"));
    Files.writeString(properties, good);
    open().close();
  }

  private String refused() {
    return assertThrows(JournalException.class, this::open).getMessage();
  }
}
