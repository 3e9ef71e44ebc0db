package io.dualwrite.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.catalog.TableName;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class ChronicleJournalTest {

  @TempDir Path dir;

  private static JournalOptions.Builder small() {
    return JournalOptions.builder().blockBytes(1 << 20).rollBytes(1 << 20);
  }

  private ChronicleJournal open() {
    return ChronicleJournal.open(dir, small().build());
  }

  private static List<TableName> suspected(Journal j) {
    return j.suspects().stream().map(Suspect::table).toList();
  }

  /** On every commit: nothing may be allocated that is larger than the unit itself. */
  @Test
  void littleGarbage() {
    var thread =
        (com.sun.management.ThreadMXBean) java.lang.management.ManagementFactory.getThreadMXBean();
    try (ChronicleJournal j = open()) {
      long before = 0;
      for (int i = -1000; i < 1000; i++) {
        if (i == 0) {
          before = thread.getCurrentThreadAllocatedBytes();
        }
        Intent in = Intents.keyed(j.nextSequence());
        assertTrue(j.append(in));
        j.resolved(in.sequence());
      }
      long each = (thread.getCurrentThreadAllocatedBytes() - before) / 1000;
      assertTrue(each < 3000, each + " bytes a unit");
    }
  }

  @Test
  void reopened() {
    List<Intent> all = new ArrayList<>();
    java.util.UUID writer;
    try (ChronicleJournal j = open()) {
      writer = j.writer();
      for (int i = 0; i < 10; i++) {
        Intent in = Intents.keyed(j.nextSequence());
        assertTrue(j.append(in));
        all.add(in);
      }
      assertEquals(10, j.inFlightCount());
      assertEquals(0, j.pendingCount());
      assertEquals(List.of(), j.pending(0, 100), "a commit works on them");
      j.resolved(all.get(3).sequence());
      j.resolved(all.get(3).sequence());
      j.release(all.get(0).sequence(), Outcome.COMMITTED);
      j.release(all.get(1).sequence(), Outcome.UNKNOWN);
      j.park(all.get(5).sequence(), "no");
      assertEquals(
          List.of(
              new Pending(all.get(0), Outcome.COMMITTED), new Pending(all.get(1), Outcome.UNKNOWN)),
          j.pending(0, 100));
      assertEquals(1, j.pending(all.get(0).sequence(), 100).size());
      assertEquals(1, j.pending(0, 1).size());
      assertEquals(2, j.pendingCount());
      assertEquals(6, j.inFlightCount());
      assertEquals(all.get(0).sequence() - 1, j.resolvedThrough());
    }
    try (ChronicleJournal j = open()) {
      assertEquals(writer, j.writer());
      List<Pending> want = new ArrayList<>();
      for (int i : new int[] {0, 1, 2, 4, 6, 7, 8, 9}) {
        want.add(new Pending(all.get(i), i == 0 ? Outcome.COMMITTED : Outcome.UNKNOWN));
      }
      assertEquals(want, j.pending(0, 100));
      assertEquals(8, j.pendingCount());
      assertEquals(0, j.inFlightCount());
      assertEquals(List.of(new Journal.Parked(all.get(5).sequence(), "no")), j.parked());
      assertTrue(j.nextSequence() > all.get(9).sequence());
      j.unpark(all.get(5).sequence());
      j.release(all.get(5).sequence(), Outcome.COMMITTED);
      j.release(all.get(5).sequence(), Outcome.UNKNOWN);
    }
    try (ChronicleJournal j = open()) {
      Pending p = j.pending(all.get(4).sequence(), 1).get(0);
      assertEquals(new Pending(all.get(5), Outcome.COMMITTED), p, "what is known stays known");
      assertEquals(List.of(), j.parked());
    }
  }

  /** What comes after them waits, and those that others went past stay known for it. */
  @Test
  void statementsThatTheMirrorMayLack() {
    long add;
    long drop;
    try (ChronicleJournal j = open()) {
      add = statement(j, "alter table t add c int", false);
      assertEquals(Set.of(add), j.barriers(), "from the append on");
      assertTrue(j.append(Intents.keyed(j.nextSequence())));
      drop = statement(j, "drop table u", false);
      statement(j, "create index concurrently i on t(c)", true);
      long detach = statement(j, "Alter table p detach partition q concurrently", true);
      assertEquals(Set.of(add, drop, detach), j.barriers());
      j.resolved(detach);
      j.park(add, "no");
      j.release(drop, Outcome.COMMITTED);
      assertEquals(Set.of(drop), j.barriers());
      assertFalse(j.overtaken(drop));
      j.letGo();
    }
    try (ChronicleJournal j = open()) {
      assertEquals(Set.of(drop), j.barriers());
      j.unpark(add);
      assertEquals(Set.of(add, drop), j.barriers());
      assertTrue(j.overtaken(add));
      String file = j.current().path.toString();
      for (int i = 0; i < 40; i++) { // their files are given back
        Intent in = Intents.keyed(j.nextSequence(), Intents.ORDERS, 200_000);
        assertTrue(j.append(in));
        j.resolved(in.sequence());
      }
      assertFalse(Files.exists(Path.of(file)));
      assertEquals(Set.of(add, drop), j.barriers());
      j.letGo();
    }
    try (ChronicleJournal j = open()) {
      assertEquals(Set.of(add, drop), j.barriers());
      assertTrue(j.overtaken(add));
      assertFalse(j.overtaken(drop));
      j.resolved(add);
      j.resolved(drop);
      assertEquals(Set.of(), j.barriers());
      assertFalse(j.overtaken(add));
    }
  }

  private static long statement(ChronicleJournal j, String sql, boolean alone) {
    long seq = j.nextSequence();
    RowChange c = RowChange.statement(sql, "public", null, alone);
    assertTrue(j.append(new Intent(seq, 0, 0, "1.5/1/2.5", 7, 4711, List.of(c))));
    return seq;
  }

  @Test
  void sequencesAreSettledOneByOne() {
    long last;
    try (ChronicleJournal j = open()) {
      long a = j.nextSequence();
      long b = j.nextSequence();
      long c = j.nextSequence();
      assertTrue(j.append(Intents.keyed(c)));
      j.resolved(c);
      assertEquals(a - 1, j.resolvedThrough(), "a and b may still be appended");
      j.resolved(b);
      assertEquals(a - 1, j.resolvedThrough());
      assertTrue(j.append(Intents.keyed(a)));
      assertThrows(IllegalArgumentException.class, () -> j.append(Intents.keyed(a)));
      assertThrows(IllegalArgumentException.class, () -> j.append(Intents.keyed(b)));
      assertThrows(IllegalArgumentException.class, () -> j.append(Intents.keyed(c + 1)));
      j.resolved(a);
      assertEquals(c, j.resolvedThrough());
      last = j.nextSequence(); // never appended: settled by the end of the process
      j.letGo();
    }
    try (ChronicleJournal j = open()) {
      long next = j.nextSequence();
      assertTrue(next > last);
      assertEquals(next - 1, j.resolvedThrough());
    }
  }

  /** The number of a unit that goes past what was taken in advance, and over many starts. */
  @Test
  void sequencesNeverRepeat() {
    Set<Long> given = new HashSet<>();
    for (int start = 0; start < 4; start++) {
      try (ChronicleJournal j = open()) {
        for (int i = 0; i < (start == 1 ? 140_000 : 10); i++) {
          long seq = j.nextSequence();
          assertTrue(given.add(seq), "given twice: " + seq);
          j.resolved(seq);
        }
        if (start % 2 == 0) {
          j.letGo();
        }
      }
    }
  }

  @Test
  void whatIsResolvedThroughStaysResolved() {
    long through;
    try (ChronicleJournal j = open()) {
      List<Long> seqs = new ArrayList<>();
      for (int i = 0; i < 5; i++) {
        seqs.add(j.nextSequence());
        assertTrue(j.append(Intents.keyed(seqs.get(i))));
      }
      for (int i = 0; i < 3; i++) {
        j.resolved(seqs.get(i));
      }
      through = j.resolvedThrough();
      assertEquals(seqs.get(2), through);
      j.letGo();
    }
    try (ChronicleJournal j = open()) {
      assertEquals(through, j.resolvedThrough());
      assertEquals(2, j.pendingCount());
    }
  }

  @Test
  void recordsOfManySizes() {
    List<Intent> all = new ArrayList<>();
    int[] sizes = {0, 1, 127, 128, 5000, 200_000, 261_000, 262_144, 300_000, 1_048_576, 5_000_000};
    try (ChronicleJournal j = open()) {
      for (int size : sizes) {
        for (int k = -1; k <= 1; k++) {
          Intent in = Intents.keyed(j.nextSequence(), Intents.ORDERS, Math.max(0, size + k * 1000));
          assertTrue(j.append(in));
          all.add(in);
        }
      }
      j.letGo();
    }
    for (int start = 0; start < 2; start++) {
      try (ChronicleJournal j = open()) {
        List<Intent> got = new ArrayList<>();
        for (Pending p : Intents.pending(j)) {
          got.add(p.intent());
        }
        assertEquals(all, got);
        assertEquals(List.of(), j.suspects());
        // resolve what is small: the rest is moved when the files are given back
        for (Intent in : List.copyOf(all)) {
          if (start == 0 && in.changes().get(0).size() < 200_000) {
            j.resolved(in.sequence());
            all.remove(in);
          }
        }
      }
    }
  }

  @Test
  void pendingIsGivenInPortions() {
    try (ChronicleJournal j = open()) {
      for (int i = 0; i < 9; i++) {
        long seq = j.nextSequence();
        assertTrue(j.append(Intents.keyed(seq, Intents.ORDERS, 5_000_000)));
        j.release(seq, Outcome.COMMITTED);
      }
      assertEquals(3, j.pending(0, 100).size(), "about 16 MiB");
    }
  }

  @Test
  void theClockGoesBack() {
    AtomicReference<Long> now = new AtomicReference<>(1_790_000_000_000L);
    List<Intent> all = new ArrayList<>();
    for (int start = 0; start < 3; start++) {
      try (ChronicleJournal j = ChronicleJournal.open(dir, small().millis(now::get).build())) {
        for (int i = 0; i < 60; i++) {
          Intent in = Intents.keyed(j.nextSequence(), Intents.ORDERS, 50_000);
          assertTrue(j.append(in));
          all.add(in);
          now.set(now.get() - 3_600_000L * 10);
        }
      }
      now.set(now.get() - 3_600_000L * 24 * 400);
    }
    try (ChronicleJournal j = open()) {
      List<Intent> got = new ArrayList<>();
      for (Pending p : j.pending(0, 1000)) {
        got.add(p.intent());
      }
      assertEquals(all, got);
      assertEquals(List.of(), j.suspects());
    }
  }

  // ---- the machine ----

  @Test
  void aMachinesCrashMakesSuspectsOfWhatWasWrittenLately() {
    JournalOptions first = small().bootId("first").build();
    JournalOptions second = small().bootId("second").build();
    List<Long> seqs = new ArrayList<>();
    try (ChronicleJournal j = ChronicleJournal.open(dir, first)) {
      for (TableName t : List.of(Intents.ORDERS, Intents.ORDERS, Intents.EVENTS)) {
        seqs.add(j.nextSequence());
        assertTrue(j.append(Intents.keyed(seqs.get(seqs.size() - 1), t, 100)));
      }
      j.letGo();
    }
    try (ChronicleJournal j = ChronicleJournal.open(dir, first)) {
      assertEquals(List.of(), j.suspects(), "only the process ended: nothing is lost");
      seqs.add(j.nextSequence());
      assertTrue(j.append(Intents.keyed(seqs.get(3), Intents.ORDERS, 100)));
      j.resolved(seqs.get(3)); // its record may be lost, and that it was resolved
      j.letGo();
    }
    try (JournalReader r = JournalReader.readOnly(dir)) {
      assertEquals(
          List.of(List.of(Intents.ORDERS)),
          r.damage().stream().map(JournalEntry.Damaged::tables).toList(),
          "whoever only looks is told too");
    }
    try (ChronicleJournal j = ChronicleJournal.open(dir, second)) {
      assertEquals(
          List.of(Intents.ORDERS),
          suspected(j),
          "what was written before the last start is on the device since");
      assertEquals(new TreeSet<>(seqs.subList(0, 3)), Intents.sequences(j));
      assertTrue(j.closeSuspect(j.suspects().get(0)));
    }
    try (ChronicleJournal j = ChronicleJournal.open(dir, first)) {
      assertEquals(List.of(), j.suspects(), "closed with a goodbye");
      j.letGo();
    }
    try (ChronicleJournal j = ChronicleJournal.open(dir, second)) {
      assertEquals(List.of(), j.suspects(), "nothing was written");
    }
  }

  @Test
  void aMachinesCrashLosesNothingThatWasSynchronised() {
    JournalOptions.Builder o = small().sync(JournalOptions.Sync.COMMIT);
    long seq;
    try (ChronicleJournal j = ChronicleJournal.open(dir, o.bootId("first").build())) {
      seq = j.nextSequence();
      assertTrue(j.append(Intents.keyed(seq)));
      j.letGo();
    }
    try (ChronicleJournal j = ChronicleJournal.open(dir, o.bootId("second").build())) {
      assertEquals(List.of(), j.suspects());
      assertEquals(Set.of(seq), Intents.sequences(j));
    }
  }

  // ---- many threads ----

  @Test
  void oneSynchronisationForManyAppends() throws Exception {
    Set<Long> all = ConcurrentHashMap.newKeySet();
    int threads = 8;
    int each = 60;
    long syncs;
    try (ChronicleJournal j =
        ChronicleJournal.open(dir, small().sync(JournalOptions.Sync.COMMIT).build())) {
      List<Throwable> failures = Collections.synchronizedList(new ArrayList<>());
      CyclicBarrier start = new CyclicBarrier(threads);
      List<Thread> list = new ArrayList<>();
      for (int t = 0; t < threads; t++) {
        Thread x =
            new Thread(
                () -> {
                  try {
                    start.await();
                    for (int i = 0; i < each; i++) {
                      long seq = j.nextSequence();
                      if (!j.append(Intents.keyed(seq, Intents.ORDERS, 3000))) {
                        throw new IllegalStateException("refused");
                      }
                      all.add(seq);
                    }
                  } catch (Throwable e) {
                    failures.add(e);
                  }
                });
        list.add(x);
        x.start();
      }
      for (Thread x : list) {
        x.join();
      }
      assertEquals(List.of(), failures);
      syncs = j.syncs();
      assertTrue(syncs > 0);
      assertTrue(syncs <= threads * each / 2, "syncs " + syncs);
      j.letGo();
    }
    try (ChronicleJournal j = open()) {
      assertEquals(new TreeSet<>(all), Intents.sequences(j));
    }
  }

  /** An interrupt closes files under those who use them: no append may be lost by it. */
  @Test
  void interrupted() throws Exception {
    for (JournalOptions.Sync sync : JournalOptions.Sync.values()) {
      Path d = dir.resolve(sync.name());
      Set<Long> all = ConcurrentHashMap.newKeySet();
      List<Throwable> failures = Collections.synchronizedList(new ArrayList<>());
      try (ChronicleJournal j = ChronicleJournal.open(d, small().sync(sync).build())) {
        List<Thread> list = new ArrayList<>();
        for (int t = 0; t < 3; t++) {
          Thread x =
              new Thread(
                  () -> {
                    try {
                      for (int i = 0; i < 60; i++) {
                        long seq = j.nextSequence();
                        if (!j.append(Intents.keyed(seq, Intents.ORDERS, 60_000))) {
                          throw new IllegalStateException("refused: " + j.suspects());
                        }
                        all.add(seq);
                        if (i % 2 == 0) {
                          Thread.currentThread().interrupt();
                        }
                      }
                    } catch (Throwable e) {
                      failures.add(e);
                    }
                  });
          list.add(x);
          x.start();
        }
        while (list.stream().anyMatch(Thread::isAlive)) {
          for (Thread x : list) {
            x.interrupt();
          }
          list.get(0).join(1);
        }
        assertEquals(List.of(), failures);
        assertEquals(List.of(), j.suspects());
        assertEquals(180, all.size());
        for (long seq : all) {
          j.release(seq, Outcome.UNKNOWN);
        }
        assertEquals(new TreeSet<>(all), Intents.sequences(j));
        j.letGo();
      }
      try (ChronicleJournal j = ChronicleJournal.open(d, small().build())) {
        assertEquals(new TreeSet<>(all), Intents.sequences(j));
        assertEquals(List.of(), j.suspects());
      }
    }
  }

  /** The queue breaks while it is used: another is begun, nothing is lost or refused. */
  @Test
  void theQueueBreaks() {
    Set<Long> all = new TreeSet<>();
    try (ChronicleJournal j = open()) {
      for (int i = 0; i < 10; i++) {
        long seq = j.nextSequence();
        all.add(seq);
        if (i == 5) {
          j.queue().appender().close();
        }
        if (i == 8) {
          j.queue().appender().queue().close();
        }
        assertTrue(j.append(Intents.keyed(seq)));
      }
      assertEquals(List.of(), j.suspects());
      j.letGo();
    }
    try (ChronicleJournal j = open()) {
      assertEquals(all, Intents.sequences(j));
      assertEquals(List.of(), j.suspects());
    }
  }

  /** The device fails once: who waited for it is told so, and the next one is not. */
  @Test
  void theDeviceFails() throws IOException {
    JournalOptions options = small().sync(JournalOptions.Sync.COMMIT).build();
    Intent first;
    Intent last;
    try (ChronicleJournal j = ChronicleJournal.open(dir, options)) {
      Intent before = Intents.keyed(j.nextSequence());
      assertTrue(j.append(before));
      j.resolved(before.sequence());
      j.current().release();
      Files.delete(j.current().path);
      first = Intents.keyed(j.nextSequence());
      assertFalse(j.append(first));
      assertEquals(List.of(Intents.ORDERS), suspected(j));
      assertEquals(first.xid(), j.suspects().get(0).xid());
      last = Intents.keyed(j.nextSequence());
      assertTrue(j.append(last), "in another file");
      assertEquals(1, j.inFlightCount());
      j.letGo();
    }
    try (ChronicleJournal j = open()) {
      assertEquals(Set.of(last.sequence()), Intents.sequences(j));
    }
  }

  /** After a failure the system takes the lost pages for clean: the next one to ask is told so. */
  @Test
  void theDeviceFailsForThoseThatWroteMeanwhileToo() throws Exception {
    Segment.Device device = Segment.device;
    CountDownLatch asked = new CountDownLatch(1);
    CountDownLatch answer = new CountDownLatch(1);
    JournalOptions options = small().sync(JournalOptions.Sync.COMMIT).build();
    try (ChronicleJournal j = ChronicleJournal.open(dir, options)) {
      assertTrue(j.append(Intents.keyed(j.nextSequence())));
      AtomicBoolean fails = new AtomicBoolean(true);
      Segment.device =
          (file, channel) -> {
            if (fails.getAndSet(false)) {
              asked.countDown();
              await(answer);
              throw new IOException("Input/output error");
            }
            device.force(file, channel);
          };
      Intent first = Intents.keyed(j.nextSequence());
      Intent second = Intents.keyed(j.nextSequence());
      CompletableFuture<Boolean> one = CompletableFuture.supplyAsync(() -> j.append(first));
      asked.await();
      CompletableFuture<Boolean> two = CompletableFuture.supplyAsync(() -> j.append(second));
      while (j.inFlightCount() < 3) {
        Thread.onSpinWait();
      }
      answer.countDown();
      assertFalse(one.get(30, TimeUnit.SECONDS));
      assertFalse(two.get(30, TimeUnit.SECONDS));
      assertTrue(j.append(Intents.keyed(j.nextSequence())), "in another file");
    } finally {
      Segment.device = device;
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** That a file cannot be opened says nothing of what is in it. */
  @Test
  void whatCannotBeReadNowIsNotTakenForLost() throws IOException {
    try (ChronicleJournal j = open()) {
      long seq = j.nextSequence();
      assertTrue(j.append(Intents.keyed(seq)));
      j.release(seq, Outcome.UNKNOWN);
      Path file = j.current().path;
      Path aside = dir.resolve("aside");
      Files.move(file, aside);
      Files.createDirectory(file);
      assertThrows(JournalException.class, () -> j.pending(0, 10));
      Files.delete(file);
      Files.move(aside, file);
      assertEquals(Set.of(seq), Intents.sequences(j));
      assertEquals(List.of(), j.suspects());
    }
  }

  @Test
  void aUnitThatNamesTooManyTables() {
    List<RowChange> changes = new ArrayList<>();
    for (int i = 0; i < 6000; i++) {
      changes.add(
          new RowChange(
              RowChange.Kind.DELETE,
              new TableName("s", "table_with_quite_a_long_name_so_that_they_fill_the_head_" + i),
              List.of("id"),
              null,
              List.of("id"),
              new String[][] {{"1"}}));
    }
    try (ChronicleJournal j = open()) {
      long seq = j.nextSequence();
      assertFalse(j.append(new Intent(seq, 0, 0, "i", 77, 1, changes)));
      assertTrue(suspected(j).contains(StateFile.ALL), "more tables than slots");
      assertEquals(seq, j.resolvedThrough());
      assertTrue(j.append(Intents.keyed(j.nextSequence())));
    }
  }

  // ---- suspects ----

  @Test
  void suspects() {
    try (ChronicleJournal j = open()) {
      j.suspect(new Suspect(Intents.ORDERS, "a", 5, "i", 7));
      j.letGo();
    }
    try (ChronicleJournal j = open()) {
      Suspect s = j.suspects().get(0);
      assertEquals("a", s.reason());
      assertEquals(5, s.sinceMicros());
      assertEquals("i", s.incarnation());
      assertEquals(7, s.xid());
      j.suspect(new Suspect(Intents.ORDERS, "a", 9, "i", 7));
      assertFalse(j.closeSuspect(s));
      assertTrue(j.closeSuspect(j.suspects().get(0)));
      assertEquals(List.of(), j.suspects());
    }
  }

  // ---- reader ----

  @Test
  void readFromOutside() {
    assertTrue(
        assertThrows(JournalException.class, () -> JournalReader.readOnly(dir))
            .getMessage()
            .contains("is not a journal"));
    List<Intent> all = new ArrayList<>();
    try (ChronicleJournal j = open()) {
      for (int i = 0; i < 50; i++) {
        Intent in = Intents.keyed(j.nextSequence(), Intents.ORDERS, 50_000);
        all.add(in);
        assertTrue(j.append(in));
      }
      j.resolved(all.get(0).sequence());
      j.release(all.get(1).sequence(), Outcome.COMMITTED);
      j.park(all.get(2).sequence(), "e\u00e9");
      j.suspect(new Suspect(Intents.EVENTS, "why", 5, "", 0));
      try (JournalReader r = JournalReader.readOnly(dir)) {
        assertNotNull(r.usedBy());
        assertNull(r.journal());
        assertEquals(48, r.pendingCount());
        check(r, all);
      }
    }
    try (JournalReader r = JournalReader.open(dir)) {
      assertNull(r.usedBy());
      assertEquals(48, r.pendingCount());
      check(r, all);
      r.journal().resolved(all.get(2).sequence());
      assertEquals(List.of(), r.parked());
      assertThrows(JournalException.class, this::open);
    }
    try (ChronicleJournal j = open()) {
      assertEquals(List.of(), j.parked());
      assertEquals(48, j.pendingCount());
    }
  }

  private static void check(JournalReader r, List<Intent> all) {
    List<JournalEntry> entries = new ArrayList<>();
    r.forEach(entries::add);
    List<JournalEntry> want = new ArrayList<>();
    all.forEach(i -> want.add(new JournalEntry.Appended(i)));
    want.add(new JournalEntry.Resolved(all.get(0).sequence()));
    want.add(new JournalEntry.Committed(all.get(1).sequence()));
    want.add(new JournalEntry.Parked(all.get(2).sequence(), "e\u00e9"));
    r.suspects().forEach(s -> want.add(new JournalEntry.Open(s)));
    assertEquals(want, entries);
    assertEquals(Intents.EVENTS, r.suspects().get(0).table());
    assertEquals(List.of(new Journal.Parked(all.get(2).sequence(), "e\u00e9")), r.parked());
    assertTrue(r.size() > 50 * 50_000);
  }

  @Test
  void closedIsClosed() {
    ChronicleJournal j = open();
    j.close();
    j.close();
    assertThrows(JournalException.class, j::nextSequence);
    assertThrows(JournalException.class, () -> j.append(Intents.keyed(1)));
    assertThrows(JournalException.class, () -> j.pending(0, 1));
  }
}
