package io.dualwrite.journal;

import io.dualwrite.catalog.TableName;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import net.openhft.chronicle.wire.DocumentContext;

/** What {@link ChildJvm}s do. */
final class Writer {

  static final TableName[] TABLES = {
    Intents.ORDERS, Intents.EVENTS, new TableName("public", "überschrift")
  };

  private Writer() {}

  public static void main(String[] arguments) throws Exception {
    // After this nothing but acknowledgements may be on the pipe.
    PrintStream out = System.out;
    Path dir = Path.of(arguments[1]);
    switch (arguments[0]) {
      case "append" -> append(out, dir, JournalOptions.Sync.valueOf(arguments[2]));
      case "die-inside" -> dieInside(out, dir);
      case "open" -> {
        long t = System.nanoTime();
        try (ChronicleJournal j = ChronicleJournal.open(dir, JournalOptions.defaults())) {
          out.println("pending " + j.pending(0, 1000).size());
        } catch (JournalException e) {
          out.println(e.getMessage());
        }
        out.println("millis " + (System.nanoTime() - t) / 1_000_000);
      }
      case "hold" -> {
        ChronicleJournal j = ChronicleJournal.open(dir, JournalOptions.defaults());
        out.println("ready");
        System.in.read();
        j.letGo();
      }
      case "fill" -> fill(out, dir);
      case "die-at-roll" -> {
        ChronicleJournal j = ChronicleJournal.open(dir, JournalOptions.defaults());
        for (int i = 0; i < 10; i++) {
          j.append(Intents.keyed(j.nextSequence()));
        }
        j.queue().roll();
        Runtime.getRuntime().halt(9);
      }
      default -> throw new IllegalArgumentException(Arrays.toString(arguments));
    }
  }

  /** Several threads append and say what was acknowledged, until they are killed. */
  private static void append(PrintStream out, Path dir, JournalOptions.Sync sync) throws Exception {
    ChronicleJournal j =
        ChronicleJournal.open(
            dir,
            JournalOptions.builder().sync(sync).blockBytes(1 << 20).rollBytes(2 << 20).build());
    List<Thread> threads = new ArrayList<>();
    for (int t = 0; t < 3; t++) {
      int thread = t;
      Thread x =
          new Thread(
              () -> {
                for (int i = 0; ; i++) {
                  long seq = j.nextSequence();
                  int bytes = i % 97 == 5 ? 700_000 : 20 + i % 1500;
                  boolean ok = j.append(Intents.keyed(seq, TABLES[thread], bytes));
                  if (!ok) {
                    throw new IllegalStateException("refused");
                  }
                  synchronized (out) {
                    out.println("a " + seq + " " + thread + " " + bytes);
                  }
                  if (i % 3 == 0) {
                    synchronized (out) { // said first: once it is written nobody will find it
                      out.println("r " + seq);
                    }
                    j.resolved(seq);
                  }
                }
              });
      threads.add(x);
      x.start();
    }
    for (Thread x : threads) {
      x.join();
    }
  }

  private static void dieInside(PrintStream out, Path dir) {
    ChronicleJournal j = ChronicleJournal.open(dir, JournalOptions.defaults());
    for (int i = 0; i < 10; i++) {
      j.append(Intents.keyed(j.nextSequence()));
    }
    out.println("pid " + ProcessHandle.current().pid());
    out.flush();
    try (DocumentContext d = j.queue().appender().writingDocument()) {
      ByteWriter w = new ByteWriter();
      Records.intent(w, Intents.keyed(j.nextSequence()));
      d.wire().bytes().write(w.buffer(), 0, w.position() - 5);
      Runtime.getRuntime().halt(9);
    }
  }

  /** Appends until the disk is full, and goes on: nothing may kill this process. */
  private static void fill(PrintStream out, Path dir) {
    ChronicleJournal j =
        ChronicleJournal.open(
            dir,
            JournalOptions.builder()
                .minFreeBytes(0)
                .blockBytes(1 << 20)
                .rollBytes(4 << 20)
                .freeSpace(() -> Long.MAX_VALUE / 4)
                .build());
    long accepted = 0;
    long refused = 0;
    for (int i = 0; i < 60_000; i++) {
      long seq = j.nextSequence();
      if (j.append(Intents.keyed(seq, TABLES[i % 2], 1000))) {
        accepted++;
      } else {
        refused++;
      }
      if (refused > 50) {
        break;
      }
    }
    for (Pending p : j.pending(0, 10)) {
      j.resolved(p.intent().sequence());
    }
    out.println(
        "accepted " + accepted + " refused " + refused + " suspects " + j.suspects().size());
    j.letGo();
  }
}
