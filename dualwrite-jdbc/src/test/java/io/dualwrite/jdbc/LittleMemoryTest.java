package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.config.Setting;
import io.dualwrite.embedded.PgPair;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What an application can do with a small heap it can do through dualwrite, too. */
class LittleMemoryTest {

  static final String DDL =
      "create table wide(id int primary key, flag boolean default false, doc text);"
          + " alter table wide alter doc set storage external;"
          + " create table small(id int primary key, v text)";

  private static int id;

  /** As an application does it, in a process with little memory. */
  enum Work {
    /** The primary sends what it wrote, which raw it does not. */
    WIDE_ROWS(96) {
      @Override
      void on(Connection c) throws SQLException {
        try (Statement s = c.createStatement()) {
          s.executeUpdate("update wide set flag = not flag");
          s.executeUpdate(
              "with w as (delete from small returning id) update wide set flag = not flag where id > 20");
        }
      }
    },

    LARGE_BATCH(80) {
      @Override
      void on(Connection c) throws SQLException {
        for (String sql :
            List.of("insert into small values (?, ?)", "insert into small select ?, ?")) {
          try (PreparedStatement s = c.prepareStatement(sql)) {
            for (int i = 0; i < 100_000; i++) {
              s.setInt(1, ++id);
              s.setString(2, "x" + i);
              s.addBatch();
            }
            assertEquals(100_000, s.executeBatch().length);
          }
        }
      }
    },

    /** That are remembered with what they do. */
    TEXTS(128) {
      @Override
      void on(Connection c) throws SQLException {
        c.setAutoCommit(false);
        try (Statement s = c.createStatement()) {
          for (int length : new int[] {200_000, 20_000}) {
            for (int i = 0; i < 30_000_000 / length; i++) {
              s.executeUpdate(
                  "insert into small values (" + ++id + ", '" + "x".repeat(length) + "')");
              c.rollback();
            }
          }
        }
        c.setAutoCommit(true);
      }
    };

    private final int megabytes;

    Work(int megabytes) {
      this.megabytes = megabytes;
    }

    abstract void on(Connection c) throws SQLException;
  }

  /** The process. Arguments: the work, source URL, target URL, journal. */
  public static void main(String[] args) throws Exception {
    try (DualWriteDataSource ds =
            DualWriteDataSource.builder()
                .source(args[1], "postgres", "postgres")
                .target(args[2], "postgres", "postgres")
                .journal(Path.of(args[3]))
                .set(Setting.JOURNAL_MIN_FREE_BYTES, "1MB")
                .build();
        Connection c = ds.getConnection()) {
      Fixture.await("catalogs compared", () -> ds.writer().ready());
      Work.valueOf(args[0]).on(c);
      assertTrue(ds.drain(Duration.ofMinutes(2)), () -> "not drained: " + ds.status());
    }
  }

  @ParameterizedTest
  @EnumSource(Work.class)
  void suffices(Work work) throws Exception {
    PgPair pair = PgPair.shared();
    pair.execute(DDL);
    if (work == Work.WIDE_ROWS) {
      pair.execute(
          "insert into wide select g, false, repeat('x', 1000000) from generate_series(1, 50) g");
    }
    Process p =
        CrashTest.java(
            List.of("-Xmx" + work.megabytes + "m"),
            LittleMemoryTest.class,
            work.name(),
            pair.sourceUrl(),
            pair.targetUrl(),
            Files.createTempDirectory("dualwrite-journal").toString());
    String out = new String(p.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertTrue(p.waitFor(60, TimeUnit.SECONDS), "the process does not end");
    assertEquals(0, p.exitValue(), out);
    try (Connection s = pair.source();
        Connection t = pair.target()) {
      for (String sums :
          List.of(
              "select count(*) || ' ' || sum(hashtext(w::text)) from wide w",
              "select count(*) || ' ' || sum(hashtext(s::text)) from small s")) {
        assertEquals(Fixture.value(s, sums), Fixture.value(t, sums));
      }
    }
  }
}
