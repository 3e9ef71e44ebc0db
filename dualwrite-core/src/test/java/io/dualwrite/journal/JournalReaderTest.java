package io.dualwrite.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What tools see of a journal. */
final class JournalReaderTest {

  @TempDir Path dir;

  private ChronicleJournal open() {
    return ChronicleJournal.open(
        dir, JournalOptions.builder().blockBytes(1 << 20).rollBytes(1 << 20).build());
  }

  private static List<JournalUnit> units(JournalReader r, boolean resolvedToo) {
    List<JournalUnit> list = new ArrayList<>();
    r.units(resolvedToo, list::add);
    return list;
  }

  @Test
  void unitsWithWhatBecameOfThem() {
    List<Intent> all = new ArrayList<>();
    try (ChronicleJournal j = open()) {
      for (int i = 0; i < 6; i++) {
        all.add(Intents.keyed(j.nextSequence()));
        assertTrue(j.append(all.get(i)));
      }
      j.release(all.get(0).sequence(), Outcome.COMMITTED);
      j.resolved(all.get(1).sequence());
      j.park(all.get(2).sequence(), "no");
      j.release(all.get(3).sequence(), Outcome.COMMITTED);
      j.park(all.get(3).sequence(), "never");
      j.park(all.get(4).sequence(), "for now");
      j.unpark(all.get(4).sequence());
      List<JournalUnit> want =
          List.of(
              new JournalUnit(all.get(0), JournalUnit.State.PENDING, Outcome.COMMITTED, null),
              new JournalUnit(all.get(1), JournalUnit.State.RESOLVED, Outcome.UNKNOWN, null),
              new JournalUnit(all.get(2), JournalUnit.State.PARKED, Outcome.UNKNOWN, "no"),
              new JournalUnit(all.get(3), JournalUnit.State.PARKED, Outcome.COMMITTED, "never"),
              new JournalUnit(all.get(4), JournalUnit.State.PENDING, Outcome.UNKNOWN, null),
              new JournalUnit(all.get(5), JournalUnit.State.PENDING, Outcome.UNKNOWN, null));
      List<JournalUnit> unresolved =
          want.stream().filter(u -> u.state() != JournalUnit.State.RESOLVED).toList();
      try (JournalReader r = JournalReader.readOnly(dir)) { // in use
        assertEquals(want, units(r, true));
        assertEquals(unresolved, units(r, false));
        List<JournalUnit> first = new ArrayList<>();
        r.units(
            false,
            u -> {
              first.add(u);
              return false;
            });
        assertEquals(1, first.size(), "it was enough");
      }
    }
    try (JournalReader r = JournalReader.open(dir)) { // taken over
      assertEquals(5, units(r, false).size());
      r.journal().resolved(all.get(0).sequence());
      assertEquals(4, units(r, false).size());
    }
  }

  /** While files are given back under the reader, no unit that is pending is passed over. */
  @Test
  void filesThatVanishWhileTheyAreRead() throws IOException {
    try (ChronicleJournal j = open()) {
      List<Long> seqs = new ArrayList<>();
      for (int i = 0; i < 400; i++) {
        seqs.add(j.nextSequence());
        assertTrue(j.append(Intents.keyed(seqs.get(i), Intents.ORDERS, 20_000)));
        j.release(seqs.get(i), Outcome.COMMITTED);
      }
      try (JournalReader r = JournalReader.readOnly(dir)) {
        long before = files();
        assertTrue(before > 5, "files " + before);
        List<Long> kept = new ArrayList<>();
        for (int i = 0; i < 400; i++) {
          if (i % 50 == 7) {
            kept.add(seqs.get(i)); // moved forward when its file is given back
          } else {
            j.resolved(seqs.get(i));
          }
        }
        assertTrue(files() < before, "files " + files());
        List<Long> seen = new ArrayList<>();
        r.units(false, u -> seen.add(u.intent().sequence()));
        assertTrue(seen.containsAll(kept), () -> seen + " lacks some of " + kept);
        assertEquals(seen.size(), new TreeSet<>(seen).size(), "each once");
      }
      try (JournalReader r = JournalReader.readOnly(dir)) {
        List<Long> every = new ArrayList<>();
        r.units(true, u -> every.add(u.intent().sequence()));
        assertEquals(every.size(), new TreeSet<>(every).size(), "what was moved is there once");
      }
    }
  }

  private long files() throws IOException {
    long n = 0;
    for (Path run : JournalDirectory.view(dir).runDirectories()) {
      n += JournalDirectory.segments(run).size();
    }
    return n;
  }

  @Test
  void everyByteIsChecked() throws IOException {
    List<Long> seqs = new ArrayList<>();
    try (ChronicleJournal j = open()) {
      for (int i = 0; i < 4; i++) {
        seqs.add(j.nextSequence());
        assertTrue(j.append(Intents.keyed(seqs.get(i), Intents.ORDERS, i == 2 ? 900_000 : 300)));
      }
      j.resolved(seqs.get(0));
      try (JournalReader r = JournalReader.readOnly(dir)) { // in use
        JournalCheck check = r.verify(d -> {});
        assertEquals(4, check.units());
        assertEquals(5, check.records(), "with that of what is resolved");
        assertEquals(0, check.damaged());
        assertTrue(check.bytes() > 900_000);
      }
    }
    damage(Intents.text(seqs.get(3), 300)); // pending
    damage(Intents.text(seqs.get(0), 300)); // resolved
    List<JournalEntry.Damaged> found = new ArrayList<>();
    try (JournalReader r = JournalReader.readOnly(dir)) {
      JournalCheck check = r.verify(found::add);
      assertEquals(2, check.damaged());
      assertEquals(2, check.units());
      assertEquals(1, r.damage().size(), "the resolved one matters to nobody");
    }
    assertEquals(List.of(true, false), found.stream().map(d -> d.settled()).toList());
    assertEquals(List.of(Intents.ORDERS), found.get(1).tables());
    open().close(); // made suspects of it
    found.clear();
    try (JournalReader r = JournalReader.readOnly(dir)) {
      assertEquals(2, r.verify(found::add).damaged(), "it is still there");
      assertEquals(List.of(), r.damage());
    }
    assertEquals(List.of(true, true), found.stream().map(d -> d.settled()).toList());
  }

  private void damage(String text) throws IOException {
    for (Path run : JournalDirectory.view(dir).runDirectories()) {
      for (Path file : JournalDirectory.segments(run)) {
        int at = Files.readString(file, StandardCharsets.ISO_8859_1).indexOf(text);
        if (at >= 0) {
          try (RandomAccessFile f = new RandomAccessFile(file.toFile(), "rw")) {
            f.seek(at + 20);
            f.write('#');
          }
          return;
        }
      }
    }
    throw new AssertionError("not there");
  }
}
