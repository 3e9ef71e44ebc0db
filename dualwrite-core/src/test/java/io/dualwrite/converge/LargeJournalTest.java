package io.dualwrite.converge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.zaxxer.hikari.HikariDataSource;
import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.TableName;
import io.dualwrite.control.ControlSchema;
import io.dualwrite.control.Incarnation;
import io.dualwrite.embedded.PgPair;
import io.dualwrite.embedded.PgServer;
import io.dualwrite.embedded.TcpProxy;
import io.dualwrite.journal.ChronicleJournal;
import io.dualwrite.journal.Intent;
import io.dualwrite.journal.Journal;
import io.dualwrite.journal.JournalOptions;
import io.dualwrite.journal.JournalReader;
import io.dualwrite.journal.Outcome;
import io.dualwrite.journal.RowChange;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Many pending units, in a process whose heap could not hold them: written, looked at, replayed.
 * The build does it with a few thousand; a million in 256 MiB, and how fast that is beside one
 * statement after the other, on this machine and with a network of one millisecond in between:
 *
 * <pre>
 * ./mvnw test -pl dualwrite-core -am -Dtest=LargeJournalTest -Dsurefire.failIfNoSpecifiedTests=false \
 *     -Ddualwrite.test.journal.units=1000000 -Ddualwrite.test.journal.heap=256m
 * </pre>
 */
@Tag("heavy")
class LargeJournalTest {

  private static final int UNITS = Integer.getInteger("dualwrite.test.journal.units", 6_000);
  private static final String HEAP = System.getProperty("dualwrite.test.journal.heap", "48m");

  /** So large that the heap of the reduced test cannot hold all units: 16 kB each, 96 MB. */
  private static final boolean MANY = UNITS > 100_000;

  private static final int VALUE_BYTES = MANY ? 400 : 16_000;

  @TempDir Path dir;

  @Test
  void moreThanTheHeapHolds() throws Exception {
    try (PgPair pair = MANY ? asInstalled() : PgPair.own()) {
      pair.execute("create table t(id int primary key, v text)");
      pair.execute("create table k(a int)");
      try (Connection c = pair.target()) {
        ControlSchema.install(c);
      }
      pair.executeSource(
          "insert into t select i, i::text from generate_series(1, " + UNITS + ") i");
      String said = child("write", dir.toString(), incarnation(pair));
      assertTrue(said.contains("written " + UNITS), said);
      said = child("look", dir.toString());
      System.out.println(said.strip());
      assertTrue(said.contains("pending " + UNITS + " read " + UNITS), said);
      long millis = Long.parseLong(said.replaceAll("(?s).*looked (\\d+) ms.*", "$1"));
      assertTrue(millis < 30_000, said);
      try (TcpProxy network = new TcpProxy("localhost", pair.targetServer().port())) {
        network.delay(TcpProxy.Direction.TO_SERVER, Duration.ofMillis(1));
        String far =
            pair.targetUrl().replace(":" + pair.targetServer().port(), ":" + network.port());
        pair.executeTarget("create table one(id int primary key, v text)");
        said = child("replay", dir.toString(), pair.sourceUrl(), pair.targetUrl(), far);
      }
      System.out.println(said.strip());
      assertTrue(said.contains("left 0 parked 0"), said);
      if (MANY) { // a measurement: not on a machine that builds
        for (String where : List.of("near", "far")) {
          String times = said.replaceAll("(?s).*" + where + ": ([0-9.]+) times.*", "$1");
          assertTrue(Double.parseDouble(times) >= 10, said);
        }
      }
      try (Connection c = pair.target();
          Statement s = c.createStatement();
          ResultSet r =
              s.executeQuery(
                  "select (select count(*) from t where v = id::text), (select count(*) from k),"
                      + " (select count(distinct a) from k)")) {
        r.next();
        assertEquals(UNITS - UNITS / 10, r.getInt(1));
        assertEquals(UNITS / 10, r.getInt(2));
        assertEquals(UNITS / 10, r.getInt(3));
      }
    }
  }

  /** What a commit costs belongs to the comparison. */
  private static PgPair asInstalled() {
    return PgPair.own(PgServer.majors().get(0), "fsync=on", "full_page_writes=on");
  }

  private static String incarnation(PgPair pair) throws Exception {
    try (Connection c = pair.source()) {
      return Incarnation.of(c);
    }
  }

  private static String child(String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED",
            "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
            "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
            "-Xmx" + HEAP,
            "-XX:+UseSerialGC",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Ddualwrite.test.journal.units=" + UNITS,
            "-cp",
            System.getProperty("java.class.path"),
            LargeJournalTest.class.getName()));
    command.addAll(List.of(arguments));
    Process p = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said = new String(p.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertTrue(p.waitFor(1, TimeUnit.MINUTES), said); // its output has ended
    assertEquals(0, p.exitValue(), said);
    return said;
  }

  /** What the other processes do. */
  public static void main(String[] a) throws Exception {
    Path dir = Path.of(a[1]);
    long start = System.nanoTime();
    switch (a[0]) {
      case "write" -> {
        String value = "v".repeat(VALUE_BYTES);
        try (Journal j =
            ChronicleJournal.open(dir, JournalOptions.builder().minFreeBytes(0).build())) {
          for (int i = 1; i <= UNITS; i++) {
            Intent unit =
                new Intent(j.nextSequence(), 0, 0, a[2], 1000 + i, 1, List.of(change(i, value)));
            if (!j.append(unit)) {
              throw new IllegalStateException("refused: " + j.suspects());
            }
            j.release(unit.sequence(), Outcome.COMMITTED);
          }
        }
        System.out.println("written " + UNITS);
      }
      case "look" -> {
        try (JournalReader r = JournalReader.readOnly(dir)) {
          System.out.println("opened in " + millis(start) + " ms");
          long[] n = {0};
          r.units(
              false,
              u -> {
                n[0]++;
                return true;
              });
          System.out.println("pending " + r.pendingCount() + " read " + n[0]);
        }
        System.out.println("looked " + millis(start) + " ms");
      }
      default -> {
        try (JournalReader r = JournalReader.open(dir)) {
          System.out.println("opened in " + millis(start) + " ms");
          measured("near", r.journal(), a[2], a[3], UNITS / 2);
          measured("far", r.journal(), a[2], a[4], 0);
          System.out.println(
              "left " + r.journal().pendingCount() + " parked " + r.journal().parked().size());
        }
        System.out.println("replayed in " + millis(start) + " ms");
      }
    }
  }

  /** Replays until so many are left, beside one statement after the other. */
  private static void measured(String what, Journal j, String source, String target, long left)
      throws Exception {
    double one = oneByOne(target);
    long before = j.pendingCount();
    long start = System.nanoTime();
    try (HikariDataSource from = database(source);
        HikariDataSource to = database(target);
        Replayer r = new Replayer(j, new Convergence(from, to, new Catalog(), new Catalog()))) {
      while (j.pendingCount() > left) {
        r.replayOnce(ReplayerOptions.DEFAULT.batchUnits());
      }
    }
    double all = (before - j.pendingCount()) * 1e9 / (System.nanoTime() - start);
    System.out.printf(
        Locale.ROOT,
        "%s: %.1f times: %.0f rows/s, a statement at a time %.0f rows/s%n",
        what,
        all / one,
        all,
        one);
  }

  /** Rows per second, each by a prepared statement of its own. */
  private static double oneByOne(String target) throws Exception {
    int n = MANY ? 2000 : 20;
    try (HikariDataSource to = database(target);
        Connection c = to.getConnection();
        PreparedStatement s =
            c.prepareStatement(
                "insert into one values (?, ?) on conflict (id) do update set v = excluded.v")) {
      long start = System.nanoTime();
      for (int i = 0; i < n; i++) {
        s.setInt(1, i);
        s.setString(2, Integer.toString(i));
        s.executeUpdate();
      }
      return n * 1e9 / (System.nanoTime() - start);
    }
  }

  private static long millis(long since) {
    return TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - since);
  }

  private static RowChange change(int i, String value) {
    return i % 10 == 0
        ? new RowChange(
            RowChange.Kind.INSERT,
            new TableName("public", "k"),
            List.of("a"),
            null,
            List.of(),
            new String[][] {{Integer.toString(i)}})
        : new RowChange(
            RowChange.Kind.UPSERT,
            new TableName("public", "t"),
            List.of("id", "v"),
            null,
            List.of("id"),
            new String[][] {{Integer.toString(i), value}});
  }

  private static HikariDataSource database(String url) {
    return Fixture.pool(url, "postgres", "postgres");
  }
}
