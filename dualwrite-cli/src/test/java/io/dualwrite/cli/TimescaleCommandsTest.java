package io.dualwrite.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.dualwrite.embedded.Installation;
import io.dualwrite.embedded.PgPair;
import io.dualwrite.embedded.PgServer;
import io.dualwrite.jdbc.DualWriteDataSource;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The move of a database with TimescaleDB, by its commands alone. */
class TimescaleCommandsTest {

  /** Each statement alone, as some of these do not run in a transaction. */
  private static final List<String> SCHEMA =
      List.of(
          PgPair.CREATE_TIMESCALEDB,
          "create table devices(id int primary key, name text)",
          "create table metrics(ts timestamptz not null, device int not null references devices, v double precision, primary key (ts, device))",
          "select create_hypertable('metrics', 'ts', chunk_time_interval => interval '1 day')",
          "alter table metrics set (timescaledb.compress, timescaledb.compress_segmentby = 'device')",
          "create materialized view hourly with (timescaledb.continuous) as select time_bucket('1 hour', ts) b, device, avg(v) v from metrics group by 1, 2 with no data",
          "create table ran(at timestamptz)",
          "create procedure nightly(job_id int, config jsonb) language plpgsql as 'begin insert into ran values (now()); end'",
          "create function f() returns trigger language plpgsql as 'begin return new; end'",
          "create trigger tr before insert on devices for each row execute function f()",
          "insert into devices values (1, 'one'), (2, 'two')",
          "insert into metrics select timestamptz '2026-03-01Z' - i * interval '1 hour', 1 + i % 2, i from generate_series(1, 120) i",
          "select compress_chunk(c) from show_chunks('metrics', older_than => timestamptz '2026-02-26Z') c",
          "call refresh_continuous_aggregate('hourly', null, '2026-02-28Z')",
          "select add_continuous_aggregate_policy('hourly', null, interval '1 hour', interval '1 hour', initial_start => now() + interval '1 day')",
          "select add_compression_policy('metrics', interval '100 years', initial_start => now() + interval '1 day')",
          "select add_job('nightly', interval '1 day', initial_start => now() + interval '1 day')",
          "select add_job('nightly', interval '1 day', scheduled => false)");

  private final PrintStream standardOut = System.out;
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final StringWriter err = new StringWriter();

  @BeforeEach
  void catchOutput() {
    System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
  }

  @AfterEach
  void releaseOutput() {
    System.setOut(standardOut);
  }

  private String said() {
    return out.toString(StandardCharsets.UTF_8) + err;
  }

  /** Runs a command, which has to end so and to say all of this. */
  private void run(PgPair pair, int exitCode, String command, String... parts) {
    out.reset();
    err.getBuffer().setLength(0);
    List<String> all = new ArrayList<>(List.of(command.split(" ")));
    if (all.get(0).equals("schema")) {
      Installation.given().ifPresent(bin -> all.addAll(List.of("--pg-bin", bin.toString())));
    }
    for (PgServer s : List.of(pair.sourceServer(), pair.targetServer())) {
      all.add(s == pair.sourceServer() ? "--source" : "--target");
      all.add("postgres://postgres:postgres@localhost:" + s.port() + "/" + pair.database());
    }
    int code = Main.run(new PrintWriter(err, true), all.toArray(new String[0]));
    assertEquals(exitCode, code, command + ": " + said());
    for (String p : parts) {
      assertTrue(said().contains(p), command + ": '" + p + "' is not in: " + said());
    }
  }

  private static List<String> rows(Connection c, String sql) throws SQLException {
    List<String> result = new ArrayList<>();
    try (Statement s = c.createStatement();
        ResultSet r = s.executeQuery(sql)) {
      while (r.next()) {
        result.add(r.getString(1));
      }
    }
    return result;
  }

  @Test
  void fromDoctorToJobs() throws SQLException, IOException {
    Optional<PgPair> found = PgPair.timescale();
    assumeTrue(found.isPresent(), Installation.NO_TIMESCALEDB);
    try (PgPair pair = found.get();
        Connection s = pair.source()) {
      for (String sql : SCHEMA) {
        try (Statement statement = s.createStatement()) {
          statement.execute(sql);
        }
      }
      run(
          pair,
          ExitCode.DONE,
          "doctor",
          "The target has none of the source's tables yet",
          "3 tables to move",
          "public.nightly",
          "nothing blocks");
      run(
          pair,
          ExitCode.DONE,
          "schema migrate",
          "restored: ",
          "disabled 1 trigger;",
          "disabled 3 background jobs;",
          "next: deploy the application");
      run(pair, ExitCode.DONE, "schema migrate", "nothing was changed");
      run(pair, ExitCode.DONE, "jobs status", "refresh on public.hourly", "off  on");
      run(pair, ExitCode.DONE, "jobs disable", "no job was scheduled");
      // the application, from now on; a late row among its own
      pair.execute(
          "insert into devices values (3, 'three'); insert into metrics values ('2026-03-01 12:00Z', 3, 3), ('2026-02-27 12:30Z', 3, 4)");
      run(
          pair,
          ExitCode.FAILED,
          "stage --until 4711",
          "is divided by",
          "for example 2001-03-01T00:00Z");
      run(
          pair,
          ExitCode.DONE,
          "stage --until 2026-03-01T00:00Z",
          "public.hourly",
          "next: dualwrite copy");
      run(pair, ExitCode.FAILED, "jobs enable", "finish with 'dualwrite copy'");
      run(pair, ExitCode.DONE, "copy --parallelism 2", "0 left", "refresh-caggs");
      // what the source's policy does next
      pair.executeSource(
          "call refresh_continuous_aggregate('hourly', '2026-02-27Z', '2026-03-02Z')");
      run(pair, ExitCode.FAILED, "verify --recheck 10ms", "public.hourly missing on the target");
      run(pair, ExitCode.DONE, "refresh-caggs", "public.hourly", "next: dualwrite verify");
      run(pair, ExitCode.DONE, "verify --recheck 10ms --repair", "equal: every table");
      run(pair, ExitCode.DONE, "verify --recheck 10ms", "equal: every table", "public.hourly");
      run(pair, ExitCode.DONE, "status", "chunks copied");
      run(pair, ExitCode.DONE, "doctor --json");
      JsonNode json = new ObjectMapper().readTree(out.toString(StandardCharsets.UTF_8));
      assertEquals(0, json.get("block").asInt(), json.toString());

      pair.executeTarget(
          "select alter_job(job_id, initial_start => now() - interval '1 hour') from timescaledb_information.jobs where job_id >= 1000");
      run(
          pair,
          ExitCode.DONE,
          "jobs run --pause 1ms",
          "refresh on public.hourly: done in ",
          "compression on public.metrics: done in ",
          "1002 nightly; --actions");
      run(
          pair,
          ExitCode.DONE,
          "jobs enable",
          "scheduled again: 2 jobs",
          "left off until the target is the primary",
          "1002 nightly");
      pair.executeTarget("update dualwrite.control set epoch = 1");
      run(pair, ExitCode.FAILED, "verify --repair", "the target is the primary since a cutover");
      run(pair, ExitCode.DONE, "jobs run", "1002 nightly: done in ");
      run(pair, ExitCode.DONE, "jobs enable", "scheduled again: 1 job");
      run(pair, ExitCode.DONE, "jobs status", "off      -");
      run(pair, ExitCode.DONE, "clean");

      try (Connection t = pair.target()) {
        for (String sql :
            List.of(
                "select x::text from devices x order by 1",
                "select x::text from metrics x order by 1",
                "select x::text from hourly x order by 1",
                "select range_start || ' ' || is_compressed from timescaledb_information.chunks order by 1",
                "select job_id || ' ' || scheduled from timescaledb_information.jobs order by 1")) {
          assertEquals(rows(s, sql), rows(t, sql), sql);
        }
      }
    }
  }

  /** The application drops old chunks while they are copied, and late rows bring some again. */
  @Test
  void chunksThatGoWhileTheyAreCopied(@TempDir Path journal) throws Exception {
    Optional<PgPair> found = PgPair.timescale();
    assumeTrue(found.isPresent(), Installation.NO_TIMESCALEDB);
    try (PgPair pair = found.get()) {
      pair.execute(PgPair.CREATE_TIMESCALEDB);
      for (String t : List.of("m", "k")) {
        pair.execute(
            ("create table $(at timestamptz not null, device int, v float8"
                    + (t.equals("m") ? ", primary key (at, device));" : ");")
                    + "select create_hypertable('$', 'at', chunk_time_interval => interval '1 day');"
                    + "alter table $ set (timescaledb.compress, timescaledb.compress_segmentby = 'device');")
                .replace("$", t));
        pair.executeSource(
            ("insert into $ select timestamptz '2026-01-01Z' + i * interval '1 hour', i % 3, i from generate_series(0, 24 * 30 - 1) i;"
                    + "select count(compress_chunk(c)) from show_chunks('$', older_than => timestamptz '2026-01-12Z') c;")
                .replace("$", t));
      }
      try (DualWriteDataSource ds =
          DualWriteDataSource.builder()
              .source(pair.sourceUrl(), "postgres", "postgres")
              .target(pair.targetUrl(), "postgres", "postgres")
              .journal(journal)
              .build()) {
        try (Connection c = ds.getConnection();
            Statement st = c.createStatement()) {
          st.execute("insert into m values ('2026-03-01Z', 1, 1)");
          run(pair, ExitCode.DONE, "stage --until 2026-02-01T00:00Z");
          List<Throwable> failed = new ArrayList<>();
          Thread application =
              new Thread(
                  () -> {
                    try {
                      for (int day = 2; day <= 25; day++) {
                        for (String t : List.of("m", "k")) {
                          String at = "timestamptz '2026-01-01Z' + interval '" + (day - 1);
                          st.execute(
                              "select drop_chunks('" + t + "', older_than => " + at + " days')");
                          if (day % 4 == 0) {
                            st.execute(
                                "insert into "
                                    + t
                                    + " values ("
                                    + at
                                    + " days' - interval '1 h', 9, 9)");
                          }
                        }
                      }
                    } catch (SQLException | RuntimeException e) {
                      failed.add(e);
                    }
                  });
          application.start();
          run(pair, ExitCode.DONE, "copy --parallelism 2", "0 left");
          application.join();
          assertEquals(List.of(), failed);
        }
        assertTrue(ds.drain(Duration.ofMinutes(2)), () -> ds.status().toString());
        long end = System.nanoTime() + Duration.ofMinutes(3).toNanos();
        while (!ds.status().suspects().isEmpty()) {
          assertTrue(System.nanoTime() < end, () -> ds.status().toString());
          LockSupport.parkNanos(10_000_000);
        }
        assertEquals(List.of(), ds.status().parked());
        run(pair, ExitCode.DONE, "verify --recheck 10ms", "equal: every table");
      }
    }
  }
}
