package io.dualwrite.backfill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.dualwrite.embedded.Installation;
import io.dualwrite.embedded.PgPair;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** What the tests with TimescaleDB share. */
final class Timescale {

  private Timescale() {}

  /** A session that loads TimescaleDB is not cheap: few of them. */
  private static final int PARALLELISM = 2;

  static final VerifyOptions QUICK =
      VerifyOptions.defaults().withParallelism(PARALLELISM).withRecheck(Duration.ofMillis(200));

  /** Whether hypertables can be divided by a uuid of version 7: since 2.22. */
  static final boolean UUID =
      !System.getProperty("dualwrite.test.timescaledb", "").matches("2\\.(1\\d|2[01])\\..*");

  /** Whether a hypertable can be unlogged: since 2.23. */
  static final boolean UNLOGGED =
      !System.getProperty("dualwrite.test.timescaledb", "").matches("2\\.(1\\d|2[0-2])\\..*");

  static void copyAll(Backfill b) {
    CopyResult r = b.copy(CopyOptions.defaults().withParallelism(PARALLELISM), Progress.none());
    assertEquals(List.of(), r.failed());
    assertEquals(0, r.left());
  }

  /** Hypertables of every kind, without rows. */
  static final List<String> SCHEMA =
      List.of(
          PgPair.CREATE_TIMESCALEDB,
          "create table devices(id int primary key, name text)",
          "create table metrics(gone text, ts timestamptz not null, device int not null references devices, v double precision, note jsonb, n bigserial, primary key (ts, device))",
          "alter table metrics drop column gone",
          "select create_hypertable('metrics', 'ts', 'device', 2, chunk_time_interval => interval '1 day')",
          "alter table metrics set (timescaledb.compress, timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 'ts')",
          "create schema app",
          "create table app.\"Events\"(\"At\" bigint not null, id bigint generated always as identity, \"weird \"\"name\" text, twice bigint generated always as (\"At\" * 2) stored, primary key (\"At\", id))",
          "select create_hypertable('app.\"Events\"', 'At', chunk_time_interval => 1000)",
          "create table log(at timestamp not null, line text)", // no key
          "select create_hypertable('log', 'at', chunk_time_interval => interval '1 day')",
          "alter table log set (timescaledb.compress)",
          "create table days(d date not null, v int, primary key (d))",
          "select create_hypertable('days', 'd', chunk_time_interval => interval '7 days')",
          "create table small(k int not null, v text, primary key (k))",
          "select create_hypertable('small', 'k', chunk_time_interval => 100)",
          "create table tiny(k smallint not null, v text)", // no key
          "select create_hypertable('tiny', 'k', chunk_time_interval => 10)",
          "create table ids(id uuid primary key, v int)",
          UUID
              ? "select create_hypertable('ids', 'id', chunk_time_interval => interval '1 day')"
              : "select 1");

  static final List<String> AGGREGATES =
      List.of(
          "create materialized view hourly with (timescaledb.continuous) as select time_bucket('1 hour', ts) b, device, avg(v) v, count(*) n from metrics group by 1, 2 with no data",
          "create materialized view daily with (timescaledb.continuous, timescaledb.materialized_only = false) as select time_bucket('1 day', b) d, device, sum(n) n from hourly group by 1, 2 with no data");

  /** From two days before 1970 to six days after. */
  static final List<String> ROWS =
      List.of(
          "insert into devices select i, 'd' || i from generate_series(1, 5) i",
          "insert into metrics(ts, device, v, note) select timestamptz '1969-12-30Z' + i * interval '5 minutes', 1 + i % 5, i / 7.0,"
              + " jsonb_build_object('i', i) from generate_series(0, 8 * 288 - 1) i",
          "insert into app.\"Events\"(\"At\", \"weird \"\"name\") select -3000 + i * 10, 'e' || i from generate_series(0, 599) i",
          "insert into log select timestamp '1969-12-30' + (i / 2) * interval '20 minutes', 'line ' || i / 3 from generate_series(0, 999) i",
          "insert into days select date '1969-12-01' + i, i from generate_series(0, 60) i",
          "insert into small select i, 's' || i from generate_series(-250, 250) i",
          "insert into tiny select i % 60 - 30, 't' from generate_series(0, 299) i",
          "insert into ids select "
              + (UUID
                  ? "to_uuidv7(timestamptz '2001-01-01Z' + i * interval '1 hour')"
                  : "gen_random_uuid()")
              + ", i from generate_series(0, 99) i",
          // compressed, partly compressed and frozen chunks
          "select compress_chunk(c) from show_chunks('metrics', older_than => timestamptz '1970-01-02Z') c",
          "insert into metrics(ts, device, v) values ('1969-12-31 00:00:01Z', 1, -1), ('1970-01-01 00:00:01Z', 1, null)",
          "select compress_chunk(c) from show_chunks('log', older_than => timestamp '1969-12-31') c",
          "select _timescaledb_functions.freeze_chunk(c) from show_chunks('days', older_than => date '1969-12-12') c");

  static Optional<PgPair> found() {
    return PgPair.timescale();
  }

  /** Two databases with these statements done on both, one by one. */
  static PgPair pair(List<String> statements) throws SQLException {
    Optional<PgPair> pair = PgPair.timescale();
    assumeTrue(pair.isPresent(), Installation.NO_TIMESCALEDB);
    run(pair.get(), true, statements);
    run(pair.get(), false, statements);
    return pair.get();
  }

  static void run(PgPair pair, boolean source, List<String> statements) throws SQLException {
    try (Connection c = source ? pair.source() : pair.target()) {
      Check.execute(c, "set timezone = 'UTC'");
      for (String sql : statements) {
        Check.execute(c, sql);
      }
    }
  }

  /** The same rows in each of these, whatever the chunks. */
  static void assertEqual(PgPair pair, String... tables) throws SQLException {
    try (Connection s = pair.source();
        Connection t = pair.target()) {
      for (String table : tables) {
        assertEqual(s, table, t, table);
      }
    }
  }

  /** The same rows in these two. */
  static void assertEqual(Connection s, String one, Connection t, String other)
      throws SQLException {
    List<String> mine = Check.rows(s, one);
    List<String> theirs = Check.rows(t, other);
    List<String> missing = new ArrayList<>(mine);
    theirs.forEach(missing::remove);
    List<String> extra = new ArrayList<>(theirs);
    mine.forEach(extra::remove);
    assertEquals(
        List.of(List.of(), List.of()),
        List.of(missing.stream().limit(5).toList(), extra.stream().limit(5).toList()),
        one + ": " + mine.size() + " rows on the source, " + theirs.size() + " on the target");
  }

  /** State of the chunks: place and status, comparable between databases. */
  static String chunks(PgPair pair, boolean source, String table) throws SQLException {
    try (Connection c = source ? pair.source() : pair.target()) {
      return Check.value(
          c,
          "select string_agg(k.slices::text || ' ' || _timescaledb_functions.chunk_status(c), ', ' order by k.slices::text)"
              + " from show_chunks('"
              + table
              + "') c, _timescaledb_functions.show_chunk(c) k");
    }
  }

  static final String[] TABLES = {
    "devices", "metrics", "app.\"Events\"", "log", "days", "small", "tiny", "ids"
  };
}
