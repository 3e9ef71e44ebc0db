package io.dualwrite.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.catalog.TableName;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class StateFileTest {

  @TempDir Path dir;
  private Path file;

  @BeforeEach
  void create() throws IOException {
    file = dir.resolve("state");
    StateFile.create(file, List.of()).close();
    assertEquals(StateFile.BYTES, Files.size(file));
  }

  private StateFile open() throws IOException {
    return StateFile.open(file, false);
  }

  private static Suspect suspect(TableName t, String reason, long since, long xid) {
    return new Suspect(t, reason, since, "i", xid);
  }

  @Test
  void suspectsAreKeptAndAddedTo() throws IOException {
    Suspect first;
    try (StateFile s = open()) {
      s.open(List.of(suspect(Intents.ORDERS, "a", 10, 100)));
      first = s.suspects().get(0);
      s.open(List.of(suspect(Intents.ORDERS, "b", 20, 90), suspect(Intents.EVENTS, "c", 5, 0)));
    }
    try (StateFile s = open()) {
      assertFalse(s.damaged(false));
      List<Suspect> all = s.suspects();
      assertEquals(2, all.size());
      assertEquals(Intents.EVENTS, all.get(0).table());
      Suspect merged = all.get(1);
      assertEquals("b", merged.reason());
      assertEquals(10, merged.sinceMicros());
      assertEquals(100, merged.xid());
      assertFalse(s.close(first), "it was added to");
      assertTrue(s.close(merged));
      assertFalse(s.close(merged));
      // opened again it is another one, even if it looks the same
      s.open(List.of(suspect(Intents.ORDERS, "b", 10, 100)));
      assertFalse(s.close(merged));
    }
    try (StateFile s = open()) {
      assertEquals(2, s.suspects().size());
    }
  }

  /** Adding the very same again must be noticed by who is about to close it. */
  @Test
  void theSameAgainIsAddedTo() throws IOException {
    try (StateFile s = open()) {
      s.open(List.of(suspect(Intents.ORDERS, "a", 10, 0)));
      Suspect seen = s.suspects().get(0);
      s.open(List.of(suspect(Intents.ORDERS, "a", 10, 0)));
      assertFalse(s.close(seen));
      assertEquals(1, s.suspects().size());
    }
  }

  /** Whatever of a slot's half reaches the disk, the value before or the new one is read. */
  @Test
  void aTornWriteLeavesTheValueBefore() throws IOException {
    try (StateFile s = open()) {
      s.open(List.of(suspect(Intents.ORDERS, "the old reason", 10, 1)));
      s.sequences(500, 400);
    }
    byte[] before = Files.readAllBytes(file);
    try (StateFile s = open()) {
      s.open(List.of(suspect(Intents.ORDERS, "the new reason", 10, 2)));
      s.sequences(900, 800);
    }
    byte[] after = Files.readAllBytes(file);
    List<Integer> changed = new ArrayList<>();
    for (int i = 0; i < after.length; i++) {
      if (after[i] != before[i]) {
        changed.add(i);
      }
    }
    assertTrue(changed.size() > 20);
    for (int upTo = 0; upTo <= changed.size(); upTo++) {
      for (boolean fromEnd : new boolean[] {false, true}) {
        byte[] torn = before.clone();
        for (int i = 0; i < upTo; i++) {
          int at = changed.get(fromEnd ? changed.size() - 1 - i : i);
          torn[at] = after[at];
        }
        try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
          f.write(Arrays.copyOf(torn, 1024 * 5));
        }
        try (StateFile s = StateFile.open(file, true)) {
          assertFalse(s.damaged(true));
          String reason = s.suspects().get(0).reason();
          assertTrue(
              Set.of("the old reason", "the new reason").contains(reason), reason + " at " + upTo);
          assertTrue(Set.of(500L, 900L).contains(s.reserved()));
          assertTrue(Set.of(400L, 800L).contains(s.resolved()));
        }
      }
    }
  }

  /** The half before it says less than what was lost. */
  @Test
  void noByteOfASlotIsMissedUnlessTheMachineStopped() throws IOException {
    try (StateFile s = open()) {
      s.written(Set.of(Intents.ORDERS));
      s.open(List.of(suspect(Intents.ORDERS, "why", 10, 1)));
      s.sequences(500, 400);
    }
    byte[] sound = Files.readAllBytes(file);
    for (int slot : new int[] {0, 3}) {
      for (int at = slot * 1024; at < (slot + 1) * 1024; at += 3) {
        try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
          f.seek(at);
          f.write(sound[at] ^ 4);
        }
        try (StateFile s = open()) {
          assertTrue(s.damaged(false), "at " + at);
          assertEquals(slot == 0, s.sequencesLost(false));
          assertFalse(s.damaged(true));
          s.heal();
        }
        try (StateFile s = open()) {
          assertFalse(s.damaged(false), "healed");
        }
        try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
          f.seek(slot * 1024L);
          f.write(sound, slot * 1024, 1024);
        }
      }
    }
  }

  /** A transaction of the server's earlier life is over, the one that goes on is waited for. */
  @Test
  void aSuspectKeepsTheLaterIncarnationsTransaction() throws IOException {
    String before = "1700000000.000000/00000001/";
    String after = "1700000500.000000/00000001/";
    for (boolean laterFirst : new boolean[] {true, false}) {
      try (StateFile s = open()) {
        Suspect old = new Suspect(Intents.ORDERS, "a", 10, before, 9000);
        Suspect now = new Suspect(Intents.ORDERS, "b", 10, after, 50);
        s.open(List.of(laterFirst ? now : old));
        s.open(List.of(laterFirst ? old : now));
        assertEquals(after, s.suspects().get(0).incarnation());
        assertEquals(50, s.suspects().get(0).xid());
        s.close(s.suspects().get(0));
      }
    }
  }

  /** What may have been written by anybody is not closed before everybody has ended. */
  @Test
  void aSuspectThatMayBeAnybodysStaysThat() throws IOException {
    for (boolean unknownFirst : new boolean[] {true, false}) {
      for (long xid : new long[] {0, Suspect.NOBODY}) {
        try (StateFile s = open()) {
          Suspect other = new Suspect(Intents.ORDERS, "a", 10, "", xid);
          Suspect known = new Suspect(Intents.ORDERS, "b", 10, "1700000000.0/00000001/", 50);
          s.open(List.of(unknownFirst ? other : known));
          s.open(List.of(unknownFirst ? known : other));
          assertEquals(xid == 0 ? 0 : 50, s.suspects().get(0).xid());
          assertEquals(xid == 0 ? "" : known.incarnation(), s.suspects().get(0).incarnation());
          s.close(s.suspects().get(0));
        }
      }
    }
  }

  @Test
  void lostSlotsAreNoticed() throws IOException {
    try (StateFile s = open()) {
      s.open(List.of(suspect(Intents.ORDERS, "a", 10, 1)));
    }
    try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
      f.seek(3 * 1024 + 100);
      f.write(new byte[] {1, 2, 3});
      f.seek(3 * 1024 + 512 + 100);
      f.write(new byte[] {1, 2, 3});
    }
    try (StateFile s = open()) {
      assertTrue(s.damaged(false));
    }
    try (StateFile s = open()) {
      assertTrue(s.damaged(false), "until it was dealt with");
      s.heal();
    }
    try (StateFile s = open()) {
      assertFalse(s.damaged(false));
    }
    try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
      f.setLength(2500);
    }
    try (StateFile s = open()) {
      assertTrue(s.damaged(false));
      s.open(List.of(suspect(Intents.ORDERS, "a", 10, 1)));
    }
    try (StateFile s = open()) {
      assertTrue(s.damaged(false), "until it was dealt with");
      assertEquals(1, s.suspects().size());
      s.heal();
      assertEquals(StateFile.BYTES, Files.size(file));
    }
    try (StateFile s = open()) {
      assertFalse(s.damaged(false));
      assertEquals(1, s.suspects().size());
    }
  }

  @Test
  void whatHasNoSlotStandsForEveryTable() throws IOException {
    TableName longName = new TableName("s", "n".repeat(300));
    try (StateFile s = open()) {
      s.open(List.of(suspect(longName, "why", 1, 0)));
      assertEquals(StateFile.ALL, s.suspects().get(0).table());
      assertTrue(s.suspects().get(0).reason().contains("n".repeat(100)));
      assertTrue(s.close(s.suspects().get(0)));
      List<Suspect> many = new ArrayList<>();
      for (int i = 0; i < 4200; i++) {
        many.add(suspect(new TableName("s", "t" + i), "full ".repeat(200), 1, 0));
      }
      s.open(many);
    }
    try (StateFile s = open()) {
      assertFalse(s.damaged(false));
      List<Suspect> all = s.suspects();
      assertEquals(4094, all.size());
      assertEquals(StateFile.ALL, all.get(0).table());
      assertTrue(s.close(all.get(7)));
      s.open(List.of(suspect(Intents.ORDERS, "a", 1, 0), suspect(Intents.EVENTS, "b", 1, 0)));
    }
    try (StateFile s = open()) {
      List<TableName> tables = s.suspects().stream().map(Suspect::table).toList();
      assertEquals(4094, tables.size());
      assertTrue(tables.contains(Intents.ORDERS), "took the slot that was freed");
      assertFalse(tables.contains(Intents.EVENTS), "found none");
    }
  }

  /** However many there are, they do not end up in what stands for tables and is made equal. */
  @Test
  void statementsStayStatements() throws IOException {
    List<Suspect> many = new ArrayList<>();
    for (int i = 1; i < 4200; i++) {
      many.add(suspect(Suspect.statements(i), "text", 1, 0));
    }
    many.add(suspect(Intents.ORDERS, "a", 1, 0));
    try (StateFile s = open()) {
      s.open(many);
      List<Suspect> all = s.suspects();
      assertEquals(
          List.of(Intents.ORDERS),
          all.stream().filter(x -> !x.statements()).map(Suspect::table).toList());
      assertTrue(all.size() > 3000);
    }
  }

  @Test
  void tablesWrittenLeaveSlotsForSuspects() throws IOException {
    Set<TableName> many = new HashSet<>();
    for (int i = 0; i < 5000; i++) {
      many.add(new TableName("s", "t" + i));
    }
    try (StateFile s = open()) {
      s.written(many);
      assertTrue(s.written().contains(StateFile.ALL));
      s.open(List.of(suspect(Intents.ORDERS, "a", 1, 0)));
      assertEquals(Intents.ORDERS, s.suspects().get(0).table());
    }
  }

  @Test
  void tablesWrittenLately() throws IOException {
    try (StateFile s = open()) {
      s.written(Set.of(Intents.ORDERS));
      s.open(List.of(suspect(Intents.EVENTS, "a", 1, 0)));
    }
    try (StateFile s = open()) {
      assertEquals(List.of(Intents.ORDERS), s.written());
      long p = s.written(Set.of(Intents.EVENTS));
      assertEquals(p, s.nextPeriod());
      long q = s.written(Set.of(Intents.ORDERS));
      assertTrue(q > p);
      s.forgetWritten(p);
      assertEquals(List.of(Intents.ORDERS), s.written());
    }
    try (StateFile s = open()) {
      assertEquals(List.of(Intents.ORDERS), s.written());
      s.forgetWritten(s.nextPeriod());
      assertEquals(List.of(), s.written());
      assertEquals(Intents.EVENTS, s.suspects().get(0).table());
    }
  }
}
