package io.dualwrite.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Limits, full disks, and giving space back. */
final class JournalSpaceTest {

  @TempDir Path dir;

  private static JournalOptions.Builder small() {
    return JournalOptions.builder().blockBytes(1 << 20).rollBytes(1 << 20);
  }

  @Test
  void budget() {
    JournalOptions options = small().maxBytes(12 << 20).build();
    List<Long> seqs = new ArrayList<>();
    try (ChronicleJournal j = ChronicleJournal.open(dir, options)) {
      long seq = j.nextSequence();
      while (j.append(Intents.keyed(seq, Intents.ORDERS, 50_000))) {
        seqs.add(seq);
        assertTrue(seqs.size() < 1000);
        seq = j.nextSequence();
      }
      assertTrue(seqs.size() > 50, "appended " + seqs.size());
      assertTrue(j.size() <= 12 << 20, "size " + j.size());
      Suspect s = j.suspects().get(0);
      assertEquals(Intents.ORDERS, s.table());
      assertEquals(1000 + seq, s.xid());
      assertEquals("1.5/1/2.5", s.incarnation());
      assertTrue(s.reason().contains("size budget of 12 MiB"), s.reason());
      assertEquals(seqs.size(), j.inFlightCount());
      assertEquals(seqs.get(0) - 1, j.resolvedThrough());
      for (long r : seqs) {
        j.resolved(r);
      }
      assertEquals(seq, j.resolvedThrough(), "what was refused is settled");
      assertTrue(j.append(Intents.keyed(j.nextSequence(), Intents.ORDERS, 50_000)));
    }
  }

  @Test
  void freeSpaceFloor() {
    AtomicLong free = new AtomicLong(1L << 40);
    JournalOptions options = small().minFreeBytes(100 << 20).freeSpace(free::get).build();
    try (ChronicleJournal j = ChronicleJournal.open(dir, options)) {
      assertTrue(j.append(Intents.keyed(j.nextSequence(), Intents.ORDERS, 100_000)));
      free.set(101 << 20);
      int accepted = 0;
      while (j.append(Intents.keyed(j.nextSequence(), Intents.ORDERS, 100_000))) {
        accepted++;
        assertTrue(accepted < 150, "noticed in time");
      }
      assertTrue(j.suspects().get(0).reason().contains("less than 100 MiB free"));
      free.set(1L << 40);
      long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
      while (!j.append(Intents.keyed(j.nextSequence(), Intents.ORDERS, 100_000))) {
        assertTrue(System.nanoTime() < deadline, "recovers when there is space again");
      }
    }
  }

  /** Many times the size of a file goes through; what stays is bounded. */
  @Test
  void filesAreGivenBack() throws IOException {
    ArrayDeque<Long> open = new ArrayDeque<>();
    Set<Long> stuck = new TreeSet<>();
    long parked;
    try (ChronicleJournal j = ChronicleJournal.open(dir, small().build())) {
      parked = j.nextSequence();
      assertTrue(j.append(Intents.keyed(parked, Intents.EVENTS, 1000)));
      j.release(parked, Outcome.COMMITTED);
      j.park(parked, "does not fit");
      long most = 0;
      for (int i = 0; i < 3000; i++) {
        long seq = j.nextSequence();
        assertTrue(j.append(Intents.keyed(seq, Intents.ORDERS, 20_000)));
        if (i % 300 == 7) {
          stuck.add(seq);
        } else {
          open.add(seq);
        }
        if (open.size() > 20) {
          j.resolved(open.poll());
        }
        most = Math.max(most, j.size());
      }
      assertTrue(most < 20 << 20, "at most " + most);
      assertTrue(onDisk() < 30 << 20, "on disk " + onDisk());
      assertEquals(parked - 1, j.resolvedThrough());
      assertTrue(deletedButOpen() < 10, "handles of deleted files: " + deletedButOpen());
    }
    Set<Long> want = new TreeSet<>(stuck);
    want.addAll(open);
    try (ChronicleJournal j = ChronicleJournal.open(dir, small().build())) {
      assertEquals(want, Intents.sequences(j), "neither lost nor pending again");
      assertEquals(List.of(new Journal.Parked(parked, "does not fit")), j.parked());
      j.unpark(parked);
      Pending p = j.pending(parked - 1, 1).get(0);
      assertEquals(Intents.keyed(parked, Intents.EVENTS, 1000), p.intent());
      assertEquals(Outcome.COMMITTED, p.outcome());
      for (long seq : want) {
        j.resolved(seq);
      }
      j.resolved(parked);
      assertEquals(0, j.pendingCount());
    }
    try (Stream<Path> runs = Files.list(dir.resolve("runs"))) {
      assertEquals(0, runs.count(), "nothing is left when nothing matters");
    }
    try (ChronicleJournal j = ChronicleJournal.open(dir, small().build())) {
      long through = j.resolvedThrough();
      assertTrue(j.nextSequence() > parked + 3000);
      assertTrue(through >= parked + 3000);
    }
  }

  /** Also if the last one that stood in the way was resolved, and not moved. */
  @Test
  void whatWasMovedIsOnTheDeviceBeforeItsFileGoes() throws IOException {
    Segment.Device device = Segment.device;
    Set<Path> forced = ConcurrentHashMap.newKeySet();
    try (ChronicleJournal j = ChronicleJournal.open(dir, small().build())) {
      List<Long> stay = new ArrayList<>();
      for (int i = 0; i < 2; i++) {
        stay.add(j.nextSequence());
        assertTrue(j.append(Intents.keyed(stay.get(i), Intents.EVENTS, 1000)));
      }
      Path first = j.current().path;
      long at =
          Files.readString(first, StandardCharsets.ISO_8859_1)
              .indexOf(Intents.text(stay.get(0), 1000));
      try (RandomAccessFile f = new RandomAccessFile(first.toFile(), "rw")) {
        f.seek(at);
        f.write('?'); // this one cannot be moved
      }
      Segment.device =
          (file, channel) -> {
            forced.add(file);
            device.force(file, channel);
          };
      for (int i = 0; i < 400; i++) {
        long seq = j.nextSequence();
        assertTrue(j.append(Intents.keyed(seq, Intents.ORDERS, 20_000)));
        j.resolved(seq);
      }
      assertTrue(Files.exists(first), "one record keeps it");
      forced.clear();
      j.resolved(stay.get(0));
      assertFalse(Files.exists(first));
      assertFalse(forced.isEmpty(), "the other's copy");
      assertEquals(Set.of(stay.get(1)), unresolved(j));
      j.letGo();
    } finally {
      Segment.device = device;
    }
  }

  /** What was moved there and is resolved since has no need of it. */
  @Test
  void aFileWhoseDeviceFailedDoesNotKeepThoseBeforeIt() throws IOException {
    Segment.Device device = Segment.device;
    try (ChronicleJournal j = ChronicleJournal.open(dir, small().build())) {
      List<Long> stay = new ArrayList<>();
      for (int i = 0; i < 2; i++) {
        stay.add(j.nextSequence());
        assertTrue(j.append(Intents.keyed(stay.get(i), Intents.EVENTS, 1000)));
      }
      Path first = j.current().path;
      long at =
          Files.readString(first, StandardCharsets.ISO_8859_1)
              .indexOf(Intents.text(stay.get(0), 1000));
      try (RandomAccessFile f = new RandomAccessFile(first.toFile(), "rw")) {
        f.seek(at);
        f.write('?'); // this one cannot be moved
      }
      for (int i = 0; i < 400; i++) {
        long seq = j.nextSequence();
        assertTrue(j.append(Intents.keyed(seq, Intents.ORDERS, 20_000)));
        j.resolved(seq);
      }
      Segment.device =
          (file, channel) -> {
            throw new IOException("Input/output error");
          };
      j.resolved(stay.get(1)); // its copy, too
      j.resolved(stay.get(0));
      assertFalse(Files.exists(first));
      j.letGo();
    } finally {
      Segment.device = device;
    }
  }

  private static Set<Long> unresolved(ChronicleJournal j) {
    return j.oldestInFlight() == Long.MAX_VALUE ? Set.of() : Set.of(j.oldestInFlight());
  }

  private long runs() throws IOException {
    try (Stream<Path> runs = Files.list(dir.resolve("runs"))) {
      return runs.count();
    }
  }

  /** One parked unit must not keep what every start leaves. */
  @Test
  void startedAgainAndAgain() throws IOException {
    long parked = 0;
    for (int start = 0; start < 12; start++) {
      try (ChronicleJournal j = ChronicleJournal.open(dir, small().build())) {
        if (start == 0) {
          parked = j.nextSequence();
          assertTrue(j.append(Intents.keyed(parked)));
          j.park(parked, "x");
        }
        long seq = j.nextSequence();
        assertTrue(j.append(Intents.keyed(seq)));
        j.resolved(seq);
        // a start makes room aside, when it is not over before
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (runs() >= 6) {
          assertTrue(System.nanoTime() - end < 0, "files of " + start + " starts");
          LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(1));
        }
        if (start % 2 == 0) {
          j.letGo();
        }
      }
    }
    try (ChronicleJournal j = ChronicleJournal.open(dir, small().build())) {
      assertEquals(List.of(new Journal.Parked(parked, "x")), j.parked());
      assertEquals(0, j.pendingCount());
    }
  }

  private long onDisk() throws IOException {
    long n = 0;
    try (Stream<Path> files = Files.walk(dir)) {
      for (Path f : files.filter(Files::isRegularFile).toList()) {
        n += Files.size(f);
      }
    }
    return n;
  }

  private static long deletedButOpen() throws IOException {
    Path fds = Path.of("/proc/self/fd");
    if (!Files.isDirectory(fds)) {
      return 0;
    }
    long n = 0;
    try (Stream<Path> files = Files.list(fds)) {
      for (Path f : files.toList()) {
        try {
          String target = Files.readSymbolicLink(f).toString();
          if (target.contains(".cq4") && target.endsWith("(deleted)")) {
            n++;
          }
        } catch (IOException e) {
          // closed meanwhile
        }
      }
    }
    return n;
  }

  @Test
  void aRealDiskThatIsFull() throws Exception {
    Path disk = Files.createDirectory(dir.resolve("disk"));
    assumeTrue(
        mount(disk, "size=24m"), "no file system can be mounted here (needs Linux and root)");
    try {
      String said =
          ChildJvm.output(ChildJvm.start(Writer.class, "fill", disk.resolve("journal").toString()));
      assertTrue(said.matches("(?s).*accepted \\d{4,} refused 51 suspects 2\\n.*"), said);
      try (JournalReader reader = JournalReader.readOnly(disk.resolve("journal"))) {
        assertEquals(
            List.of(Intents.EVENTS, Intents.ORDERS),
            reader.suspects().stream().map(Suspect::table).toList());
        int[] damaged = new int[1];
        reader.forEach(e -> damaged[0] += e instanceof JournalEntry.Damaged ? 1 : 0);
        assertEquals(0, damaged[0]);
        assertTrue(reader.pendingCount() > 1000);
      }
      // it starts on the full disk too, and can still note suspects and resolve
      try (ChronicleJournal j =
          ChronicleJournal.open(
              disk.resolve("journal"), small().minFreeBytes(0).rollBytes(4 << 20).build())) {
        assertFalse(j.append(Intents.keyed(j.nextSequence(), Writer.TABLES[2], 2_000_000)));
        assertEquals(3, j.suspects().size());
        for (long seq : Intents.sequences(j)) {
          j.resolved(seq);
        }
        assertEquals(0, j.pendingCount());
      }
    } finally {
      new ProcessBuilder("umount", disk.toString()).inheritIO().start().waitFor();
    }
  }

  @Test
  void aReadOnlyDirectory() throws Exception {
    Path disk = Files.createDirectory(dir.resolve("disk"));
    assumeTrue(mount(disk, "ro"), "no file system can be mounted here (needs Linux and root)");
    try {
      JournalException e =
          assertThrows(
              JournalException.class, () -> ChronicleJournal.open(disk, JournalOptions.defaults()));
      assertTrue(e.getMessage().contains(disk + " cannot be written"), e.getMessage());
      e =
          assertThrows(
              JournalException.class,
              () -> ChronicleJournal.open(disk.resolve("sub"), JournalOptions.defaults()));
      assertTrue(
          e.getMessage().contains("cannot be written (Read-only file system)"), e.getMessage());
    } finally {
      new ProcessBuilder("umount", disk.toString()).inheritIO().start().waitFor();
    }
  }

  @Test
  void aFileInTheWay() throws IOException {
    Path file = Files.writeString(dir.resolve("file"), "");
    JournalException e =
        assertThrows(
            JournalException.class, () -> ChronicleJournal.open(file, JournalOptions.defaults()));
    assertTrue(e.getMessage().contains("cannot be written"), e.getMessage());
  }

  private static boolean mount(Path at, String options) throws InterruptedException {
    try {
      Process p =
          new ProcessBuilder("mount", "-t", "tmpfs", "-o", options, "tmpfs", at.toString())
              .redirectErrorStream(true)
              .start();
      return p.waitFor(10, TimeUnit.SECONDS) && p.exitValue() == 0;
    } catch (IOException e) {
      return false;
    }
  }
}
