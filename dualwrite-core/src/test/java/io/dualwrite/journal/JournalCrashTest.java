package io.dualwrite.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Processes that end without a goodbye. */
final class JournalCrashTest {

  @TempDir Path dir;

  /**
   * Killed again and again while it appends, in the same directory: all that was acknowledged and
   * not resolved is there, as it was, and numbers go on rising.
   */
  @Test
  void killedWhileAppending() throws Exception {
    long seed = System.nanoTime();
    System.out.println("seed " + seed);
    Random r = new Random(seed);
    Map<Long, Intent> want = new HashMap<>();
    Set<Long> mayBeGone = new HashSet<>();
    long highest = 0;
    for (int round = 0; round < 4; round++) {
      String sync = round % 2 == 0 ? "NONE" : "COMMIT";
      int killAfter = 1 + r.nextInt(sync.equals("NONE") ? 2500 : 60);
      Process child = ChildJvm.start(Writer.class, "append", dir.toString(), sync);
      try (BufferedReader in =
          new BufferedReader(
              new InputStreamReader(child.getInputStream(), StandardCharsets.UTF_8))) {
        int n = 0;
        for (String line : (Iterable<String>) in.lines()::iterator) {
          String[] word = line.split(" ", -1);
          if (word[0].equals("a") && word.length == 4) {
            long seq = Long.parseLong(word[1]);
            assertTrue(seq > highest || !want.containsKey(seq), "given twice: " + seq);
            want.put(
                seq,
                Intents.keyed(
                    seq, Writer.TABLES[Integer.parseInt(word[2])], Integer.parseInt(word[3])));
            if (++n == killAfter) {
              child.toHandle().destroyForcibly(); // the handle leaves the pipe open
            }
          } else if (word[0].equals("r") && word.length == 2) {
            mayBeGone.add(Long.parseLong(word[1]));
          } else if (child.isAlive() || word.length > 4) {
            throw new IOException("child said: " + line);
          }
        }
        assertTrue(n >= killAfter, "only " + n);
      }
      child.waitFor();
      highest = want.keySet().stream().mapToLong(Long::longValue).max().orElseThrow();

      Map<Long, Intent> got = new HashMap<>();
      try (ChronicleJournal j =
          ChronicleJournal.open(
              dir, JournalOptions.builder().blockBytes(1 << 20).rollBytes(2 << 20).build())) {
        for (Pending p : Intents.pending(j)) {
          got.put(p.intent().sequence(), p.intent());
        }
        assertEquals(List.of(), j.suspects());
        assertEquals(got.size(), j.pendingCount());
        assertTrue(j.nextSequence() > highest);
        for (Map.Entry<Long, Intent> e : want.entrySet()) {
          Intent found = got.remove(e.getKey());
          if (found != null) {
            assertEquals(e.getValue(), found);
          } else {
            assertTrue(mayBeGone.contains(e.getKey()), "lost: " + e.getKey() + " seed " + seed);
          }
        }
        // acknowledged, but the word did not get out: whole at least
        for (Intent i : got.values()) {
          RowChange c = i.changes().get(0);
          assertEquals(Intents.keyed(i.sequence(), c.table(), c.rows()[0][1].length()), i);
        }
        for (Intent i : got.values()) {
          j.resolved(i.sequence());
        }
        if (round == 2) { // and now resolve all: nothing may come back
          for (long seq : want.keySet()) {
            j.resolved(seq);
          }
          mayBeGone.addAll(want.keySet());
          assertEquals(0, j.pendingCount());
        }
      }
    }
  }

  /**
   * In a container the application always is process 1: what the one before left must not look as
   * if this one held it.
   */
  @Test
  void diedInsideADocumentAsProcessOne() throws Exception {
    List<String> namespace = List.of("unshare", "--pid", "--fork", "--mount-proc");
    boolean possible;
    try {
      Process p =
          new ProcessBuilder("unshare", "--pid", "--fork", "--mount-proc", "true")
              .redirectErrorStream(true)
              .start();
      possible = p.waitFor(10, TimeUnit.SECONDS) && p.exitValue() == 0;
    } catch (IOException e) {
      possible = false;
    }
    assumeTrue(possible, "no process namespaces here (needs Linux and root)");
    String said =
        ChildJvm.output(
            ChildJvm.start(namespace, ChildJvm.FLAGS, Writer.class, "die-inside", dir.toString()));
    assertTrue(said.contains("pid 1\n"), said);
    said =
        ChildJvm.output(
            ChildJvm.start(namespace, ChildJvm.FLAGS, Writer.class, "open", dir.toString()));
    assertTrue(said.contains("pending 10\n"), said);
    long millis = Long.parseLong(said.replaceAll("(?s).*millis (\\d+).*", "$1"));
    assertTrue(millis < 10_000, "took " + millis + " ms");
  }

  @Test
  void diedInsideADocument() throws Exception {
    ChildJvm.output(ChildJvm.start(Writer.class, "die-inside", dir.toString()));
    try (ChronicleJournal j = ChronicleJournal.open(dir, JournalOptions.defaults())) {
      assertEquals(10, j.pendingCount());
      assertEquals(List.of(), j.suspects());
      Intent in = Intents.keyed(j.nextSequence());
      assertTrue(j.append(in));
    }
    try (ChronicleJournal j = ChronicleJournal.open(dir, JournalOptions.defaults())) {
      assertEquals(11, j.pending(0, 100).size());
    }
  }

  @Test
  void inUseByAnotherProcess() throws Exception {
    Process holder = ChildJvm.start(Writer.class, "hold", dir.toString());
    BufferedReader in =
        new BufferedReader(new InputStreamReader(holder.getInputStream(), StandardCharsets.UTF_8));
    try (in) {
      assertEquals("ready", in.readLine());
      JournalException e =
          assertThrows(
              JournalException.class, () -> ChronicleJournal.open(dir, JournalOptions.defaults()));
      assertTrue(
          e.getMessage().contains("is in use by pid " + holder.pid() + " since "), e.getMessage());
      try (JournalReader reader = JournalReader.readOnly(dir)) {
        assertNotNull(reader.usedBy());
        assertTrue(reader.usedBy().startsWith("pid " + holder.pid()));
      }
    } finally {
      holder.destroyForcibly().waitFor();
    }
    ChronicleJournal.open(dir, JournalOptions.defaults()).close();
  }

  /** Who is refused in the owner's own process must not give the owner's lock away. */
  @Test
  void inUseByThisProcess() throws Exception {
    try (ChronicleJournal j = ChronicleJournal.open(dir, JournalOptions.defaults())) {
      for (int i = 0; i < 2; i++) {
        JournalException e =
            assertThrows(
                JournalException.class,
                () -> ChronicleJournal.open(dir, JournalOptions.defaults()));
        assertTrue(
            e.getMessage().contains("in use by pid " + ProcessHandle.current().pid()),
            e.getMessage());
        try (JournalReader reader = JournalReader.readOnly(dir)) {
          assertNotNull(reader.usedBy());
        }
      }
      String said = ChildJvm.output(ChildJvm.start(Writer.class, "open", dir.toString()));
      assertTrue(said.contains("is in use by pid " + ProcessHandle.current().pid()), said);
      assertTrue(j.append(Intents.keyed(j.nextSequence())));
    }
  }

  @Test
  void withoutTheFlags() throws Exception {
    for (List<String> flags :
        List.of(List.<String>of(), ChildJvm.FLAGS.subList(0, 1), ChildJvm.FLAGS.subList(1, 2))) {
      String said =
          ChildJvm.output(ChildJvm.start(List.of(), flags, Writer.class, "open", dir.toString()));
      for (String flag : ChildJvm.FLAGS) {
        assertTrue(said.contains(flag), said);
      }
      assertTrue(
          said.contains("Add-Opens: java.base/java.lang.reflect java.base/sun.nio.ch"), said);
    }
  }
}
