package io.dualwrite.simulation;

import io.dualwrite.config.Setting;
import io.dualwrite.jdbc.DualWriteDataSource;
import io.dualwrite.jdbc.Status;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * An application: writes through a {@link DualWriteDataSource} on several threads until it is told
 * to stop, or killed. Says {@code ready}, how many transactions began, {@code stopped}, and at last
 * {@code drained} or what was left; told {@code keys}, {@code stop} and {@code drain}.
 */
final class Writer {

  /** Milliseconds from the beginning of one burst of transactions to that of the next. */
  private static final int CYCLE = 600;

  /** How long a call took before it is noted. */
  private static final long NOTED = TimeUnit.MILLISECONDS.toNanos(500);

  private static final String WRITTEN = "written ";

  /** Where the keys of the moment begin. */
  static final String KEYS = "keys ";

  private final AtomicInteger written = new AtomicInteger();
  private final Map<String, String> args;
  private final Notes notes;
  private final CountDownLatch stop = new CountDownLatch(1);
  private volatile int keys;

  /** Arguments as {@link Simulation} gives them. */
  Writer(Map<String, String> args) {
    this.args = args;
    keys = Integer.parseInt(args.get("keys"));
    notes = new Notes(Path.of(args.get("notes")));
  }

  /** Writes, until it is told to drain. */
  void run(BufferedReader in) throws InterruptedException, IOException, SQLException {
    DualWriteDataSource.Builder builder =
        DualWriteDataSource.builder()
            .source(args.get("source"), "postgres", "postgres")
            .target(args.get("target"), "postgres", "postgres")
            .journal(Path.of(args.get("journal")))
            .mirror(args.get("mirror"))
            .set(Setting.JOURNAL_MIN_FREE_BYTES, args.get("free-bytes"))
            .set(Setting.UNIT_MAX_BYTES, args.get("unit-bytes"))
            .set(Setting.MIRROR_FLUSH_TIMEOUT, Bounds.FLUSH.toMillis() + "ms")
            .set(Setting.MIRROR_LOCK_TIMEOUT, "250ms")
            .set(Setting.MIRROR_CONNECTION_TIMEOUT, Bounds.CONNECTION.toMillis() + "ms")
            .set(Setting.BREAKER_OPEN, "300ms");
    try (notes;
        DualWriteDataSource ds = builder.build()) {
      Host.say("ready");
      List<Thread> threads = new ArrayList<>();
      for (int i = 0; i < Integer.parseInt(args.get("threads")); i++) {
        String name = args.get("name") + "." + i;
        Thread t = new Thread(() -> work(ds, name), "writer-" + name);
        t.setDaemon(true);
        t.start();
        threads.add(t);
      }
      String line;
      while ((line = in.readLine()) != null) {
        if (line.equals("stop")) {
          stop.countDown();
          for (Thread t : threads) {
            t.join();
          }
          Host.say("stopped");
        } else if (line.equals("drain")) {
          Host.hurry(); // nobody is left to come in between
          Host.say(drain(ds));
          break;
        } else if (line.startsWith(KEYS)) {
          keys = Integer.parseInt(line.substring(KEYS.length()));
        }
      }
    }
  }

  /** How many transactions there were, if that is what the line says; negative if not. */
  static int written(String line) {
    return line.startsWith(WRITTEN) ? Integer.parseInt(line.substring(WRITTEN.length())) : -1;
  }

  private void work(DualWriteDataSource ds, String name) {
    Workload work =
        new Workload(
            Long.parseLong(args.get("seed")),
            name,
            Boolean.parseBoolean(args.get("ddl")),
            Profile.valueOf(args.get("profile")),
            Integer.parseInt(args.get("number")),
            () -> keys,
            told());
    Dice dice = Dice.of(Long.parseLong(args.get("seed")), name, "connections");
    while (stop.getCount() > 0) {
      long opened = System.currentTimeMillis();
      long start = System.nanoTime();
      try (Connection c = ds.getConnection()) {
        told().took("connect", work.marker(), System.nanoTime() - start);
        for (int n = dice.between(5, 60); n > 0 && stop.getCount() > 0; n--) {
          rest();
          try {
            Host.say(WRITTEN + written.incrementAndGet());
            work.transaction(c);
          } catch (SQLException e) {
            notes.add(
                "error",
                e.getSQLState() + " " + opened + " " + work.marker() + " " + e.getMessage());
            if (Workload.lost(e)) {
              break;
            }
          }
        }
      } catch (SQLException e) {
        notes.add(
            "error",
            e.getSQLState()
                + " "
                + opened
                + " "
                + work.marker()
                + " connecting: "
                + e.getMessage());
        pause(20);
      } catch (IOException | RuntimeException | Error e) {
        notes.add(
            "broken",
            work.marker()
                + " "
                + e
                + " "
                + List.of(e.getStackTrace()).subList(0, Math.min(4, e.getStackTrace().length)));
        pause(20);
      }
    }
  }

  /** Until the next burst, if writers write for a part of the time only. */
  private void rest() {
    int busy = Integer.parseInt(args.get("busy")) * CYCLE / 100;
    long seed = Long.parseLong(args.get("seed")); // runs side by side have theirs at other times
    long into = (System.currentTimeMillis() + seed * 97) % CYCLE;
    if (into >= busy) {
      pause(CYCLE - into);
    }
  }

  private void pause(long millis) {
    try {
      stop.await(millis, TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private Workload.Told told() {
    return new Workload.Told() {
      @Override
      public void begins(String marker, String what) {
        notes.add("begins", marker + " " + what);
      }

      @Override
      public void acknowledged(String marker) {
        notes.add("acknowledged", marker);
      }

      @Override
      public void undone(String marker) {
        notes.add("undone", marker);
      }

      @Override
      public void took(String call, String marker, long nanos) {
        if (nanos > NOTED) {
          notes.add("slow", TimeUnit.NANOSECONDS.toMillis(nanos) + " " + marker + " " + call);
        }
      }
    };
  }

  /** Everything that the mirror lacks is brought to it; says what could not be. */
  private static String drain(DualWriteDataSource ds) throws InterruptedException {
    long end = System.nanoTime() + Bounds.DRAIN.toNanos();
    String left;
    do {
      try {
        ds.drain(Duration.ofSeconds(5));
        ds.reconcile();
        ds.retryParked();
        ds.drain(Duration.ofSeconds(5));
        left = "";
      } catch (SQLException e) {
        left = " " + e.getMessage();
      }
      Status s = ds.status();
      if (s.pending() == 0 && s.inFlight() == 0 && s.parked().isEmpty() && s.suspects().isEmpty()) {
        return "drained " + s.counters();
      }
      left = ("left " + s + left).replace('\n', ' ');
      TimeUnit.MILLISECONDS.sleep(50);
    } while (System.nanoTime() - end < 0);
    return left;
  }
}
