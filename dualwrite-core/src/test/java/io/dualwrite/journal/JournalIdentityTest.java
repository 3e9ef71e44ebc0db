package io.dualwrite.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.catalog.TableName;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipal;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Whose journal it is, of which version, and who may have it: directories that were meddled with.
 */
final class JournalIdentityTest {

  private static final JournalOptions.Builder SMALL =
      JournalOptions.builder().blockBytes(1 << 20).rollBytes(1 << 20);

  @TempDir Path dir;

  private ChronicleJournal open() {
    return ChronicleJournal.open(dir, SMALL.machineId("here").build());
  }

  private static Set<TableName> suspected(Journal j) {
    Set<TableName> set = new TreeSet<>();
    j.suspects().forEach(s -> set.add(s.table()));
    return set;
  }

  private static Path file(Path dir) throws IOException {
    return JournalDirectory.segments(JournalDirectory.view(dir).runDirectories().get(0)).get(0);
  }

  /**
   * On a file system as new as the first one's the copy's files have the same inodes: the machine
   * tells them apart. Where a machine has no identity, nothing is made of that.
   */
  @Test
  void copiedToAnotherMachine() {
    UUID first;
    long keyed;
    try (ChronicleJournal j = open()) {
      first = j.writer();
      keyed = j.nextSequence();
      assertTrue(j.append(Intents.keyed(keyed)));
      assertTrue(j.append(Intents.keyless(j.nextSequence(), Intents.EVENTS)));
    }
    for (String same : List.of("", "here")) {
      try (ChronicleJournal j = ChronicleJournal.open(dir, SMALL.machineId(same).build())) {
        assertEquals(first, j.writer());
        assertEquals(2, j.pendingCount());
      }
    }
    for (int i = 0; i < 2; i++) {
      try (ChronicleJournal j = ChronicleJournal.open(dir, SMALL.machineId("there").build())) {
        assertNotEquals(first, j.writer());
        assertEquals(Set.of(keyed), Intents.sequences(j), "it could be inserted by both");
        assertEquals(Set.of(Intents.EVENTS), suspected(j));
        j.letGo();
      }
    }
  }

  /** Only people can tell whether the mirror has done what they say. */
  @ParameterizedTest
  @CsvSource({"false,false", "true,false", "true,true"})
  void statementsOfACopyWaitForPeople(boolean keyless, boolean stateLost) throws IOException {
    long seq;
    try (ChronicleJournal j = open()) {
      seq = j.nextSequence();
      List<RowChange> changes = new ArrayList<>();
      changes.add(RowChange.statement("drop table t", "public", null, false));
      if (keyless) {
        changes.addAll(Intents.keyless(seq, Intents.EVENTS).changes());
      }
      assertTrue(j.append(new Intent(seq, 0, 0, "1.5/1/2.5", 7, 4711, changes)));
      j.release(seq, Outcome.COMMITTED);
    }
    if (stateLost) {
      Files.delete(dir.resolve("journal.state"));
    }
    for (int i = 0; i < 2; i++) {
      try (ChronicleJournal j = ChronicleJournal.open(dir, SMALL.machineId("there").build())) {
        assertEquals(Set.of(), Intents.sequences(j));
        assertEquals(List.of(seq), j.parked().stream().map(Journal.Parked::sequence).toList());
        assertEquals(Set.of(), j.barriers());
        Set<TableName> suspected = new HashSet<>(suspected(j));
        assertEquals(keyless, suspected.remove(Intents.EVENTS));
        assertEquals(stateLost ? Set.of(StateFile.ALL) : Set.of(), suspected);
        j.letGo();
      }
    }
  }

  /** The first start after the loss dies before the new name is written. */
  @Test
  void theStateIsLostAndTheStartToo() throws IOException {
    UUID before;
    try (ChronicleJournal j = open()) {
      before = j.writer();
      assertTrue(j.append(Intents.keyless(j.nextSequence(), Intents.EVENTS)));
      j.letGo();
    }
    Path state = dir.resolve("journal.state");
    Files.delete(state);
    StateFile.create(state, List.of(new Suspect(StateFile.ALL, "lost", 1, "", 0))).close();
    try (ChronicleJournal j = open()) {
      assertNotEquals(before, j.writer());
      assertTrue(suspected(j).contains(StateFile.ALL));
    }
  }

  @Test
  void onlyItsOwnerMayOpenTheFiles() throws IOException {
    Path journal = dir.resolve("a/b");
    ChronicleJournal.open(journal, SMALL.build()).close();
    assertEquals(
        "rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(journal)));
    UserPrincipal other;
    try {
      other =
          journal.getFileSystem().getUserPrincipalLookupService().lookupPrincipalByName("nobody");
      Files.setOwner(journal, other);
    } catch (IOException e) {
      Assumptions.abort("only root gives a directory away: " + e);
      return;
    }
    JournalException e = assertThrows(JournalException.class, () -> JournalReader.open(journal));
    assertTrue(e.getMessage().contains("belongs to nobody"), e.getMessage());
    JournalReader.readOnly(journal).close();
  }

  /** What the directory is called by is gone, what is in it is not. */
  @Test
  void propertiesAreLost() throws IOException {
    UUID before;
    long keyed;
    try (ChronicleJournal j = open()) {
      before = j.writer();
      keyed = j.nextSequence();
      assertTrue(j.append(Intents.keyed(keyed)));
      assertTrue(j.append(Intents.keyless(j.nextSequence(), Intents.EVENTS)));
      j.suspect(new Suspect(new TableName("public", "old"), "it was before", 5, "", 0));
    }
    Files.delete(dir.resolve("journal.properties"));
    try (JournalReader r = JournalReader.readOnly(dir)) {
      assertNull(r.writer());
      assertEquals(2, r.pendingCount());
      assertEquals(List.of("journal.properties"), r.damage().stream().map(d -> d.file()).toList());
    }
    try (ChronicleJournal j = open()) {
      assertNotEquals(before, j.writer());
      assertEquals(Set.of(keyed), Intents.sequences(j));
      assertEquals(Set.of(Intents.EVENTS, new TableName("public", "old")), suspected(j));
      assertTrue(j.nextSequence() > keyed + 1);
      j.resolved(keyed);
    }
    assertEquals(List.of(), JournalDirectory.view(dir).runDirectories());
    Files.delete(dir.resolve("journal.properties"));
    try (ChronicleJournal j = open()) {
      assertEquals(2, j.suspects().size(), "nothing is pending, and yet they are open");
    }
  }

  @Test
  void aFirstStartThatWasCutOffIsNoJournalYet() throws IOException {
    Files.createDirectories(dir);
    StateFile.create(dir.resolve("journal.state"), List.of()).close();
    try (ChronicleJournal j = open()) {
      assertEquals(List.of(), j.suspects());
      assertEquals(1, j.nextSequence());
    }
  }

  /** A record of a later version is not damage: nothing is given up, the start is refused. */
  @Test
  void aRecordOfALaterVersion() throws IOException {
    try (ChronicleJournal j = open()) {
      for (int i = 0; i < 3; i++) {
        assertTrue(j.append(Intents.keyed(j.nextSequence())));
      }
    }
    Path file = file(dir);
    byte[] sound = Files.readAllBytes(file);
    byte[] b = sound.clone();
    int at = new String(b, java.nio.charset.StandardCharsets.ISO_8859_1).indexOf("DWJL");
    at = at < 0 ? index(b) : at;
    b[at + 4] = (byte) (Records.VERSION + 1);
    CRC32C crc = new CRC32C();
    crc.update(b, at, 24);
    crc.update(b, at + Records.HEADER, Records.u32(b, at + 16));
    Records.u32(b, at + 24, (int) crc.getValue());
    Files.write(file, b);
    for (int i = 0; i < 2; i++) {
      String said = assertThrows(JournalException.class, this::open).getMessage();
      assertTrue(
          said.contains("version " + (Records.VERSION + 1) + ", newer than this version"), said);
      assertTrue(
          assertThrows(JournalException.class, () -> JournalReader.readOnly(dir))
              .getMessage()
              .contains("newer than this version"));
    }
    Files.write(file, sound);
    try (ChronicleJournal j = open()) {
      assertEquals(3, j.pendingCount());
      assertEquals(List.of(), j.suspects());
    }
  }

  private static int index(byte[] b) {
    for (int i = 0; i < b.length - 4; i += 4) {
      if (Records.u32(b, i) == Records.MAGIC) {
        return i;
      }
    }
    throw new AssertionError("no record");
  }

  /** Files of others, in places where only ours belong. */
  @Test
  void foreignFilesAmongTheRuns() throws IOException {
    List<Long> seqs = new ArrayList<>();
    try (ChronicleJournal j = open()) {
      for (int i = 0; i < 5; i++) {
        seqs.add(j.nextSequence());
        assertTrue(j.append(Intents.keyed(seqs.get(i))));
      }
    }
    Path run = JournalDirectory.view(dir).runDirectories().get(0);
    Files.createDirectories(run.resolve("kept"));
    Files.writeString(run.resolve("notes.txt"), "mine");
    Files.writeString(dir.resolve("runs/README"), "mine");
    Files.writeString(run.resolve("00000000.cq4"), "this is no queue, and it is first of all");
    try (ChronicleJournal j = open()) {
      assertEquals(new TreeSet<>(seqs), Intents.sequences(j));
      assertEquals(Set.of(StateFile.ALL), suspected(j), "who knows what it was");
      assertTrue(j.closeSuspect(j.suspects().get(0)));
      seqs.forEach(j::resolved);
    }
    assertEquals("mine", Files.readString(run.resolve("notes.txt")));
    try (ChronicleJournal j = open()) {
      assertEquals(List.of(), j.suspects());
      assertEquals(0, j.pendingCount());
    }
  }

  /**
   * The process that the owner file names has another's number now, or lives and is not the owner.
   */
  @Test
  void theOwnersNumberIsAnothersNow() throws IOException {
    open().close();
    Files.writeString(dir.resolve("journal.owner"), "pid " + ProcessHandle.current().pid() + "\n");
    try (JournalReader r = JournalReader.readOnly(dir)) {
      assertNull(r.usedBy(), "the lock tells, not the name");
    }
    open().close();
    Files.write(dir.resolve("journal.owner"), new byte[] {(byte) 0xff, 0, 7});
    try (ChronicleJournal j = open()) {
      String owner = Files.readString(dir.resolve("journal.owner"));
      assertTrue(owner.startsWith("pid " + ProcessHandle.current().pid() + " since "), owner);
      assertFalse(j.writer() == null);
    }
  }

  /** journal.state comes from a backup that is older than the records. */
  @Test
  void theStateIsOlderThanTheRecords() throws IOException {
    long last = 0;
    open().close();
    byte[] old = Files.readAllBytes(dir.resolve("journal.state"));
    try (ChronicleJournal j = open()) {
      for (int i = 0; i < 70_000; i++) { // past what was taken in advance
        last = j.nextSequence();
        if (i < 69_999) {
          j.resolved(last);
        }
      }
      assertTrue(j.append(Intents.keyed(last)));
      j.letGo();
    }
    Files.write(dir.resolve("journal.state"), old);
    try (JournalReader r = JournalReader.readOnly(dir)) {
      List<String> damage = new ArrayList<>();
      assertEquals(1, r.verify(d -> damage.add(d.file() + ": " + d.what())).damaged());
      assertTrue(damage.get(0).startsWith("journal.state: older than the records"), damage.get(0));
    }
    try (ChronicleJournal j = open()) {
      assertTrue(j.nextSequence() > last, "no number twice");
      assertEquals(Set.of(last), Intents.sequences(j));
    }
  }

  @Test
  void truncatedState() throws IOException {
    open().close();
    try (RandomAccessFile f = new RandomAccessFile(dir.resolve("journal.state").toFile(), "rw")) {
      f.setLength(StateFile.BYTES / 2);
    }
    try (JournalReader r = JournalReader.readOnly(dir)) {
      assertEquals("journal.state", r.damage().get(0).file());
    }
    try (ChronicleJournal j = open()) {
      assertEquals(Set.of(StateFile.ALL), suspected(j));
    }
    assertEquals(StateFile.BYTES, Files.size(dir.resolve("journal.state")));
    Files.delete(dir.resolve("journal.state"));
    try (JournalReader r = JournalReader.readOnly(dir)) {
      assertTrue(r.damage().get(0).what().startsWith("missing"));
    }
  }

  /** Killed between two files: the next one is prepared, the queue has not said a word of it. */
  @Test
  void diedAtTheRoll() throws Exception {
    String said = ChildJvm.output(ChildJvm.start(Writer.class, "die-at-roll", dir.toString()));
    assertEquals("", said);
    Path run = JournalDirectory.view(dir).runDirectories().get(0);
    assertEquals(2, JournalDirectory.segments(run).size());
    for (int i = 0; i < 2; i++) {
      try (JournalReader r = JournalReader.readOnly(dir)) {
        assertEquals(0, r.verify(d -> {}).damaged());
      }
      try (ChronicleJournal j = ChronicleJournal.open(dir, SMALL.machineId(null).build())) {
        assertEquals(10 + i, j.pendingCount());
        assertEquals(List.of(), j.suspects());
        assertTrue(j.append(Intents.keyed(j.nextSequence())));
      }
    }
  }

  /** The queue is begun beside the start: whoever is faster, nothing is left out. */
  @Test
  void closedOrKilledBeforeItBegan() {
    for (int i = 0; i < 5; i++) {
      open().close();
    }
    long seq;
    try (ChronicleJournal j = open()) {
      seq = j.nextSequence();
      assertTrue(j.append(Intents.keyed(seq)));
      j.letGo();
    }
    open().letGo();
    try (ChronicleJournal j = open()) {
      j.park(seq, "at once");
    }
    try (ChronicleJournal j = open()) {
      assertEquals(List.of(new Journal.Parked(seq, "at once")), j.parked());
    }
  }
}
