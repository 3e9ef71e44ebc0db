package io.dualwrite.backfill.jobs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.dualwrite.backfill.Backfill;
import io.dualwrite.backfill.BackfillException;
import io.dualwrite.backfill.CopyOptions;
import io.dualwrite.backfill.CopyResult;
import io.dualwrite.backfill.Progress;
import io.dualwrite.backfill.StageOptions;
import io.dualwrite.backfill.VerifyOptions;
import io.dualwrite.backfill.VerifyResult;
import io.dualwrite.backfill.doctor.Doctor;
import io.dualwrite.backfill.doctor.DoctorOptions;
import io.dualwrite.backfill.doctor.Finding;
import io.dualwrite.backfill.schema.SchemaDump;
import io.dualwrite.backfill.schema.SchemaFiles;
import io.dualwrite.backfill.schema.SchemaOptions;
import io.dualwrite.backfill.schema.SchemaRestore;
import io.dualwrite.backfill.schema.TargetTriggers;
import io.dualwrite.catalog.TableName;
import io.dualwrite.config.PgUri;
import io.dualwrite.embedded.Installation;
import io.dualwrite.embedded.PgPair;
import io.dualwrite.embedded.PgServer;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.postgresql.ds.PGSimpleDataSource;

/** With TimescaleDB: the schema's way over, and the jobs' state. */
class JobsTest {

  private static final Duration NOW = Duration.ofMillis(1);

  /** Each statement alone, as some of these do not run in a transaction. */
  private static final List<String> SCHEMA =
      List.of(
          PgPair.CREATE_TIMESCALEDB,
          "create table metrics(ts timestamptz not null, device int, v double precision, primary key (ts, device))",
          "select create_hypertable('metrics', 'ts', chunk_time_interval => interval '1 day')",
          "alter table metrics set (timescaledb.compress, timescaledb.compress_segmentby = 'device')",
          "insert into metrics select now() - i * interval '1 hour', 1, i from generate_series(1, 240) i",
          "select compress_chunk(c) from show_chunks('metrics', older_than => interval '5 days') c",
          "create materialized view hourly with (timescaledb.continuous) as select time_bucket('1 hour', ts) b, device, avg(v) v from metrics group by 1, 2 with no data",
          "create materialized view daily with (timescaledb.continuous) as select time_bucket('1 day', b) d, device, avg(v) v from hourly group by 1, 2 with no data",
          // the one that is built upon the other first: its number is lower, its turn comes later
          "select add_continuous_aggregate_policy('daily', interval '9 days', interval '1 day', interval '1 hour')",
          "select add_continuous_aggregate_policy('hourly', interval '8 days', interval '1 hour', interval '1 hour')",
          "select add_retention_policy('metrics', interval '300 days')",
          "select add_compression_policy('metrics', interval '7 days')",
          "create table ran(at timestamptz)",
          "create procedure nightly(job_id int, config jsonb) language plpgsql as 'begin insert into ran values (now()); end'",
          "create procedure broken(job_id int, config jsonb) language plpgsql as 'begin raise exception ''on purpose''; end'",
          "select add_job('nightly', interval '1 day')",
          "select add_job('nightly', interval '1 day', scheduled => false)",
          "create function f() returns trigger language plpgsql as 'begin raise exception ''fired''; end'",
          "create table plain(ts timestamptz not null)",
          "create trigger tr before insert on metrics for each row execute function f()");

  private static PgPair pair() throws SQLException {
    Optional<PgPair> pair = PgPair.timescale();
    assumeTrue(pair.isPresent(), Installation.NO_TIMESCALEDB);
    try (Connection c = pair.get().source();
        Statement s = c.createStatement()) {
      for (String sql : SCHEMA) {
        s.execute(sql);
      }
    }
    return pair.get();
  }

  private static PGSimpleDataSource database(PgServer server, PgPair pair) {
    PGSimpleDataSource d = new PGSimpleDataSource();
    d.setUrl(server.url(pair.database()));
    d.setUser(server.user());
    d.setPassword(server.password());
    return d;
  }

  private static PgUri uri(PgServer server, PgPair pair) {
    return PgUri.parse(server.url(pair.database()))
        .withCredentials(server.user(), server.password());
  }

  private static final SchemaOptions OPTIONS =
      new SchemaOptions(Installation.given(), true, false, false);

  private static SchemaFiles dump(PgPair pair, Path dir) throws SQLException {
    return dump(pair, dir, OPTIONS);
  }

  private static SchemaFiles dump(PgPair pair, Path dir, SchemaOptions options)
      throws SQLException {
    try (Connection c = pair.source()) {
      return SchemaDump.dump(
              c,
              uri(pair.sourceServer(), pair),
              c.getMetaData().getDatabaseMajorVersion(),
              dir,
              options)
          .files();
    }
  }

  private static SchemaRestore.Result migrate(PgPair pair, Path dir) throws SQLException {
    return SchemaRestore.restore(
        database(pair.targetServer(), pair),
        uri(pair.targetServer(), pair),
        dump(pair, dir),
        OPTIONS);
  }

  private static List<Finding> examine(PgPair pair) {
    return Doctor.examine(
        database(pair.sourceServer(), pair),
        database(pair.targetServer(), pair),
        DoctorOptions.defaults());
  }

  private static String value(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement();
        ResultSet r = s.executeQuery(sql)) {
      r.next();
      return r.getString(1);
    }
  }

  private static List<String> ranIn(List<Jobs.Job> jobs) {
    return jobs.stream().map(Jobs.Job::describe).toList();
  }

  private static final class Seen implements Jobs.Listener {
    final List<Jobs.Job> done = new ArrayList<>();
    final List<String> errors = new ArrayList<>();

    @Override
    public void begins(Jobs.Job job) {}

    @Override
    public void ended(Jobs.Job job, Duration took, String error) {
      if (error == null) {
        done.add(job);
      } else {
        errors.add(error);
      }
    }
  }

  private static final String CHUNKS =
      "select string_agg(range_start || ' ' || is_compressed, ', ' order by range_start) from timescaledb_information.chunks where hypertable_name = 'metrics'";

  @Test
  void noJobRunsBetweenRestoreAndDisable(@TempDir Path dir) throws SQLException {
    try (PgPair pair = pair();
        Connection s = pair.source()) {
      List<Finding> before = examine(pair);
      assertTrue(before.stream().anyMatch(f -> f.code().equals("empty")), before.toString());
      assertTrue(
          before.stream().noneMatch(f -> f.severity() == Finding.Severity.BLOCK),
          before.toString());
      assertTrue(
          before.stream().allMatch(f -> f.objects().stream().noneMatch(o -> o.contains("_hyper"))),
          before.toString());
      SchemaRestore.Result r = migrate(pair, dir);
      assertEquals(5, r.jobs());
      assertEquals(1, r.triggers());
      try (Connection t = pair.target()) {
        assertEquals(value(s, CHUNKS), value(t, CHUNKS));
        assertEquals("0", value(t, "select count(*) from metrics"));
        assertEquals("off", value(t, "show timescaledb.restoring"));
        assertTrue(Jobs.list(t).stream().noneMatch(Jobs.Job::scheduled));
        // a hypertable's are dropped, those of its chunks too
        assertEquals("0", value(t, "select count(*) from pg_trigger where tgname = 'tr'"));
        assertEquals(
            List.of(
                new TargetTriggers.Trigger(
                    new TableName("public", "metrics"),
                    "tr",
                    TargetTriggers.Fires.DISABLED,
                    Optional.of(TargetTriggers.Fires.ENABLED))),
            TargetTriggers.list(t));
        assertEquals(
            "0",
            value(
                t,
                "select count(*) from timescaledb_information.job_stats where job_id >= 1000 and total_runs > 0"));
        assertEquals("0", value(t, "select count(*) from ran"));
      }
      // the doctor is content with the jobs, and would not be if they ran
      List<Finding> found = examine(pair);
      assertTrue(
          found.stream()
              .noneMatch(f -> f.code().equals("jobs-running") || f.code().equals("not-checked")),
          found.toString());
      try (Connection t = pair.target()) {
        Jobs.restore(t, Duration.ofHours(1), true);
      }
      found = examine(pair);
      assertTrue(
          found.stream().anyMatch(f -> f.code().equals("jobs-running") && f.objects().size() == 5),
          found.toString());
      assertTrue(
          found.stream()
              .anyMatch(
                  f ->
                      f.code().equals("source-actions")
                          && f.objects().size() == 1
                          && f.objects().get(0).contains("public.nightly")),
          found.toString());
      assertTrue(migrate(pair, dir).already().isPresent());
    }
  }

  @Test
  void theExtensionInASchemaOfItsOwnComesOver(@TempDir Path dir) throws SQLException, IOException {
    Optional<PgPair> found = PgPair.timescale();
    assumeTrue(found.isPresent(), Installation.NO_TIMESCALEDB);
    try (PgPair pair = found.get();
        Connection s = pair.source();
        Statement st = s.createStatement()) {
      // a comment and a body that have the statement's text
      st.execute("create schema \"t s\"");
      st.execute(PgPair.CREATE_TIMESCALEDB.replaceFirst("(?i)timescaledb", "$0 schema \"t s\""));
      String text = "'\nCREATE SCHEMA \"t s\";\n'";
      st.execute("create schema a; comment on schema a is E" + text.replace("\n", "\\n"));
      st.execute("create function f() returns text language sql as $$select " + text + "$$");
      st.execute("create table m(ts timestamptz not null primary key, v int)");
      st.execute("select \"t s\".create_hypertable('m', 'ts')");
      st.execute("insert into m values (now(), 1)");
      StringWriter script = new StringWriter();
      SchemaRestore.script(dump(pair, dir), OPTIONS, List.of(), script);
      assertTrue(
          script
              .toString()
              .contains("create schema if not exists \"t s\";\ncreate extension if not exists"),
          script.toString());
      migrate(pair, dir);
      try (Connection t = pair.target()) {
        for (String sql :
            List.of(
                "select extnamespace::regnamespace from pg_extension where extname = 'timescaledb'",
                "select obj_description('a'::regnamespace)",
                "select prosrc from pg_proc where proname = 'f'",
                "select last_value from _timescaledb_catalog.hypertable_id_seq",
                "select count(*) from timescaledb_information.chunks")) {
          assertEquals(value(s, sql), value(t, sql), sql);
        }
      }
    }
  }

  /** A job may work on its owner's hypertables only. */
  @Test
  void jobsBelongToTheRoleThatRestoresTheTables(@TempDir Path dir) throws SQLException {
    try (PgPair pair = pair()) {
      pair.executeSource(
          "create role jobs_owner; update _timescaledb_config.bgw_job set owner = 'jobs_owner' where id >= 1000");
      try {
        migrate(pair, dir);
        try (Connection t = pair.target()) {
          assertEquals(
              value(t, "select current_user"),
              value(
                  t,
                  "select string_agg(distinct owner::text, ', ') from timescaledb_information.jobs where job_id >= 1000"));
        }
        List<Finding> found = examine(pair);
        assertTrue(found.stream().noneMatch(f -> f.code().equals("job-owner")), found.toString());
        pair.executeTarget(
            "update _timescaledb_config.bgw_job set owner = 'jobs_owner' where id >= 1000");
        found = examine(pair);
        assertTrue(
            found.stream().anyMatch(f -> f.code().equals("job-owner") && f.objects().size() == 4),
            found.toString());
      } finally {
        String mine =
            "update _timescaledb_config.bgw_job set owner = current_user::regrole where id >= 1000;";
        pair.execute(mine + "drop role if exists jobs_owner");
      }
    }
  }

  /** What the dump says of owners is what the restore goes by. */
  @Test
  void jobsKeepTheOwnersThatWereDumped(@TempDir Path dir) throws SQLException {
    try (PgPair pair = pair()) {
      pair.executeSource(
          "create role jobs_keeper; update _timescaledb_config.bgw_job set owner = 'jobs_keeper' where id >= 1000");
      try {
        dump(pair, dir, new SchemaOptions(Installation.given(), true, false, true));
        SchemaRestore.restore(
            database(pair.targetServer(), pair),
            uri(pair.targetServer(), pair),
            SchemaFiles.read(dir),
            OPTIONS);
        try (Connection t = pair.target()) {
          assertEquals(
              "jobs_keeper",
              value(
                  t,
                  "select string_agg(distinct owner::text, ', ') from timescaledb_information.jobs where job_id >= 1000"));
        }
      } finally {
        pair.execute(
            "update _timescaledb_config.bgw_job set owner = current_user::regrole where id >= 1000; drop role if exists jobs_keeper");
      }
    }
  }

  /** What those write would be on the mirror alone. */
  @Test
  void proceduresOfTheUsersOwnCanWaitForTheCutover(@TempDir Path dir) throws SQLException {
    try (PgPair pair = pair()) {
      migrate(pair, dir);
      try (Connection t = pair.target()) {
        assertEquals(new Jobs.Run(4, 0, 0), Jobs.run(t, NOW, false, new Seen()));
        assertEquals("0", value(t, "select count(*) from ran"));
        assertEquals(4, Jobs.restore(t, Duration.ofHours(1), false).size());
        assertEquals(List.of(), Jobs.restore(t, Duration.ofHours(1), false));
        List<Jobs.Job> left = Jobs.list(t).stream().filter(j -> j.recorded().isPresent()).toList();
        assertEquals(List.of("nightly"), ranIn(left));
        assertEquals(new Jobs.Run(1, 0, 0), Jobs.run(t, NOW, true, new Seen()));
        assertEquals(1, Jobs.restore(t, Duration.ofHours(1), true).size());
        try (Connection s = pair.source()) {
          assertEquals(value(s, SCHEDULED), value(t, SCHEDULED));
        }
      }
    }
  }

  @Test
  void exactlyWhatWasScheduledIsScheduledAgain(@TempDir Path dir) throws SQLException {
    try (PgPair pair = pair()) {
      migrate(pair, dir);
      try (Connection t = pair.target()) {
        assertEquals(0, Jobs.disable(t)); // again: what was noted stays
        List<Jobs.Job> back = Jobs.restore(t, Duration.ofMinutes(30), true);
        assertEquals(5, back.size());
        List<Jobs.Job> now = Jobs.list(t);
        assertEquals(5, now.stream().filter(Jobs.Job::scheduled).count());
        assertTrue(now.stream().allMatch(j -> j.recorded().isEmpty()));
        assertEquals(
            "5",
            value(
                t,
                "select count(distinct date_trunc('minute', next_start)) from timescaledb_information.jobs where job_id >= 1000 and scheduled"));
        assertEquals(
            "0",
            value(
                t,
                "select count(*) from timescaledb_information.jobs where job_id >= 1000 and scheduled and next_start < now() + interval '20 min'"));
        assertEquals(List.of(), Jobs.restore(t, NOW, true));
      }
    }
  }

  @Test
  void dueJobsRunInTheirOrderAndAFailureIsTriedAgain(@TempDir Path dir) throws SQLException {
    try (PgPair pair = pair()) {
      pair.executeSource("select add_job('broken', interval '1 day')");
      migrate(pair, dir);
      try (Connection t = pair.target()) {
        Seen seen = new Seen();
        Jobs.Run run = Jobs.run(t, NOW, true, seen);
        assertEquals(new Jobs.Run(5, 1, 0), run);
        assertEquals(
            List.of(
                "refresh on public.hourly",
                "refresh on public.daily",
                "compression on public.metrics",
                "nightly",
                "retention on public.metrics"),
            ranIn(seen.done));
        assertTrue(seen.errors.get(0).contains("on purpose"), seen.errors.toString());
        assertEquals("1", value(t, "select count(*) from ran"));
        Seen again = new Seen();
        assertEquals(new Jobs.Run(0, 1, 0), Jobs.run(t, NOW, true, again));
        // an interrupt leaves what is due
        Thread.currentThread().interrupt();
        assertEquals(new Jobs.Run(0, 0, 1), Jobs.run(t, NOW, true, again));
        assertTrue(Thread.interrupted());
      }
    }
  }

  /** The guide from its first step to its last, with what dualwrite has for each. */
  @Test
  void theWholeMove(@TempDir Path dir) throws SQLException {
    try (PgPair pair = pair();
        Connection s = pair.source();
        Connection t = pair.target()) {
      String until =
          value(
              s,
              "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')");
      pair.executeSource("drop trigger tr on metrics");
      // what the source's scheduler writes is not mirrored: not while this runs
      pair.executeSource(
          "select alter_job(job_id, next_start => now() + interval '1 day') from timescaledb_information.jobs where proc_name = 'nightly'");
      refresh(pair, "hourly", "null, now() - interval '1 day'");
      refresh(pair, "daily", "null, now() - interval '2 days'");
      migrate(pair, dir);
      // the application, from now on
      pair.execute(
          "insert into metrics select timestamptz '"
              + until
              + "' + i * interval '1 second', 2, i from generate_series(0, 50) i");
      Backfill b =
          Backfill.builder()
              .source(database(pair.sourceServer(), pair))
              .target(database(pair.targetServer(), pair))
              .build();
      b.stage(StageOptions.defaults().withUntil(List.of(until)));
      assertThrows(BackfillException.class, () -> Jobs.requireCopied(t));
      CopyResult copied = b.copy(CopyOptions.defaults().withParallelism(2), Progress.none());
      assertTrue(copied.complete(), copied.toString());
      assertEquals(value(s, CHUNKS), value(t, CHUNKS));
      // a policy of the source
      refresh(pair, "hourly", "now() - interval '3 days', now() + interval '2 hours'");
      refresh(pair, "daily", "now() - interval '3 days', now() + interval '2 days'");
      b.refreshAggregates(null, false, false);
      VerifyResult v = b.verify(VerifyOptions.defaults().withParallelism(2), Progress.none());
      assertTrue(v.equal(), v.toString());
      assertTrue(
          v.tables().stream().anyMatch(x -> x.table().name().equals("daily") && x.sourceRows() > 5),
          v.toString());
      Jobs.requireCopied(t);
      assertEquals(5, Jobs.restore(t, Duration.ofHours(1), true).size());
      assertEquals(
          value(s, SCHEDULED), value(t, SCHEDULED), "each job is on or off as on the source");
      List<Finding> found = examine(pair);
      assertTrue(found.stream().noneMatch(f -> f.code().equals("jobs-running")), found.toString());
    }
  }

  private static final String SCHEDULED =
      "select string_agg(job_id || ' ' || scheduled, ', ' order by job_id) from timescaledb_information.jobs where job_id >= 1000";

  private static void refresh(PgPair pair, String view, String range) throws SQLException {
    try (Connection c = pair.source();
        Statement s = c.createStatement()) {
      s.execute("call refresh_continuous_aggregate('" + view + "', " + range + ")");
    }
  }

  @Test
  void chunksLeftToCopyHoldJobsBack() throws SQLException {
    try (PgPair pair = PgPair.shared();
        Connection t = pair.target()) {
      assertFalse(Jobs.available(t));
      Jobs.requireCopied(t);
      pair.executeTarget(
          "create schema dualwrite; create table dualwrite.task(state text); insert into dualwrite.task values ('done'), ('pending')");
      assertThrows(BackfillException.class, () -> Jobs.requireCopied(t));
      pair.executeTarget("update dualwrite.task set state = 'done'");
      Jobs.requireCopied(t);
    }
  }
}
