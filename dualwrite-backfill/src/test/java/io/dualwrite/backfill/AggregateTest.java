package io.dualwrite.backfill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.catalog.TableName;
import io.dualwrite.embedded.PgPair;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Continuous aggregates, one on another and real-time; with TimescaleDB. */
class AggregateTest {

  private static final StageOptions ALL = StageOptions.defaults();

  private static final List<String> SCHEMA =
      List.of(
          PgPair.CREATE_TIMESCALEDB,
          "create table metrics(ts timestamptz not null, device int not null, v int, primary key (ts, device))",
          "select create_hypertable('metrics', 'ts', chunk_time_interval => interval '1 day')",
          "create table events(at bigint not null, v int)",
          "select create_hypertable('events', 'at', chunk_time_interval => 1000)",
          "create function clock() returns bigint language sql stable as 'select 9000::bigint'",
          "select set_integer_now_func('events', 'clock')",
          Timescale.AGGREGATES.get(0),
          Timescale.AGGREGATES.get(1),
          "create materialized view tens with (timescaledb.continuous, timescaledb.materialized_only = true) as"
              + " select time_bucket(10, at) b, sum(v) v from events group by 1 with no data");

  private static final String ROWS =
      "insert into metrics select timestamptz '1970-01-01Z' + i * interval '30 minutes', i % 3, i from generate_series(0, 356) i;"
          + " insert into events select i * 5 - 2000, i from generate_series(0, 1263) i";

  /** The writers' rows, at and after T. */
  private static final String NEW =
      "insert into metrics select timestamptz '1970-01-08 10:30Z' + i * interval '20 minutes', 7, i from generate_series(0, 99) i;"
          + " insert into events select i * 5 + 4321, i from generate_series(0, 99) i";

  private static final List<String> POINTS = List.of("1970-01-08T10:30Z", "4321");

  private static void call(PgPair pair, boolean source, String view, String from, String to)
      throws SQLException {
    Timescale.run(
        pair,
        source,
        List.of("call refresh_continuous_aggregate('" + view + "', " + from + ", " + to + ")"));
  }

  private static PgPair filled() throws SQLException {
    PgPair pair = Timescale.pair(SCHEMA);
    // the target's were refreshed before it had a row: all that comes is logged from here on
    call(pair, false, "hourly", "timestamptz '1970-01-01Z'", "timestamptz '1970-01-20Z'");
    pair.executeSource("set timezone = 'UTC'; " + ROWS);
    call(pair, true, "hourly", "null", "timestamptz '1970-01-09Z'");
    call(pair, true, "daily", "null", "timestamptz '1970-01-08Z'");
    call(pair, true, "tens", "null", "4000::bigint");
    // the aggregates outlive what they were made of
    pair.executeSource(
        "select drop_chunks('metrics', older_than => timestamptz '1970-01-03Z'); select drop_chunks('events', older_than => 0::bigint)");
    pair.execute("set timezone = 'UTC'; " + NEW);
    return pair;
  }

  private static String materialization(Connection c, String view) throws SQLException {
    return Check.value(
        c,
        "select format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)"
            + " from timescaledb_information.continuous_aggregates where view_name = '"
            + view
            + "'");
  }

  /** Both what is materialized and what the view shows. */
  private static void assertAggregatesEqual(PgPair pair) throws SQLException {
    try (Connection s = pair.source();
        Connection t = pair.target()) {
      for (String view : List.of("hourly", "daily", "tens")) {
        Timescale.assertEqual(s, view, t, view);
        Timescale.assertEqual(s, materialization(s, view), t, materialization(t, view));
      }
    }
  }

  @Test
  void whatIsMaterializedIsCopiedAndTheRestRefreshed() throws SQLException {
    try (PgPair pair = filled()) {
      Backfill b = Check.backfill(pair);
      StageResult staged = b.stage(ALL.withUntil(POINTS));
      assertTrue(
          staged
              .staged()
              .containsAll(
                  List.of(new TableName("public", "hourly"), new TableName("public", "daily"))),
          staged.toString());
      String log =
          "select count(*) from _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log";
      String before = Check.target(pair, log);
      Timescale.copyAll(b);
      Timescale.assertEqual(pair, "metrics", "events");
      // not one copied row was logged as changed, where the version lets one choose
      try (Connection c = pair.target()) {
        if (Hypertables.quiet(c)) {
          assertEquals(before, Check.target(pair, log));
        }
      }
      // the source's go on, as a policy would have them: not where retention was
      call(pair, true, "hourly", "timestamptz '1970-01-07Z'", "timestamptz '1970-01-10Z'");
      call(pair, true, "daily", "timestamptz '1970-01-07Z'", "timestamptz '1970-01-10Z'");
      call(pair, true, "tens", "3000::bigint", "4600::bigint");
      assertFalse(b.verify(Timescale.QUICK, Progress.none()).equal());
      RefreshResult r = b.refreshAggregates(null, false, false);
      assertEquals(
          List.of("public.hourly", "public.tens", "public.daily"),
          r.aggregates().stream().map(a -> a.view().toString()).toList());
      assertAggregatesEqual(pair);
      VerifyResult v = b.verify(Timescale.QUICK, Progress.none());
      assertTrue(v.equal(), v.toString());
      assertEquals(5, v.tables().size());
      // again: nothing changes, and what outlived its rows is still there
      b.refreshAggregates(null, false, false);
      assertAggregatesEqual(pair);
      assertEquals("96", Check.target(pair, "select count(*) from hourly where b < '1970-01-03Z'"));

      try (Connection t = pair.target()) {
        Check.execute(
            t,
            "update "
                + materialization(t, "hourly")
                + " set n = n + 1 where b = '1970-01-02 03:00Z'");
        Check.execute(t, "delete from " + materialization(t, "tens") + " where b = 100");
      }
      VerifyResult damaged = b.verify(Timescale.QUICK, Progress.none());
      assertEquals(
          List.of("public.hourly", "public.tens"),
          damaged.tables().stream()
              .filter(x -> !x.equal())
              .map(x -> x.table().toString())
              .sorted()
              .toList());
      assertTrue(b.verify(Timescale.QUICK.withRepair(true), Progress.none()).equal());
      assertAggregatesEqual(pair);
    }
  }

  /** A month of which the first days never had rows: the bucket begins before the first chunk. */
  @Test
  void anAggregateWithoutAWholeBucketDoesNotKeepTheOthersFromBeingRefreshed() throws SQLException {
    try (PgPair pair =
        Timescale.pair(
            List.of(
                PgPair.CREATE_TIMESCALEDB,
                "create table m(ts timestamptz not null, v int, primary key (ts))",
                "select create_hypertable('m', 'ts', chunk_time_interval => interval '7 days')",
                "create materialized view a_month with (timescaledb.continuous, timescaledb.materialized_only = true) as"
                    + " select time_bucket('1 month', ts) b, sum(v) v from m group by 1 with no data",
                "create materialized view b_day with (timescaledb.continuous, timescaledb.materialized_only = true) as"
                    + " select time_bucket('1 day', ts) b, sum(v) v from m group by 1 with no data"))) {
      String rows =
          "insert into m select ts, 1 from generate_series(timestamptz '%sZ', '%sZ', interval '6 hours') ts";
      pair.executeSource(rows.formatted("2001-01-10", "2001-02-14 18:00"));
      for (String view : List.of("a_month", "b_day")) {
        call(pair, true, view, "null", "timestamptz '2001-02-15Z'");
      }
      Backfill b = Check.backfill(pair);
      b.stage(ALL.withUntil(List.of("2001-02-15T00:00Z")));
      Timescale.copyAll(b);
      pair.execute(rows.formatted("2001-02-15", "2001-02-20"));
      call(pair, true, "b_day", "null", "timestamptz '2001-02-19Z'");
      RefreshResult r = b.refreshAggregates(null, false, false);
      RefreshResult.Aggregate month = r.aggregates().get(0);
      assertEquals("a_month", month.view().name());
      assertNull(month.from());
      assertTrue(month.note().startsWith("no whole bucket lies between 2001-01-"), month.note());
      assertEquals("b_day", r.aggregates().get(1).view().name());
      VerifyResult v = b.verify(Timescale.QUICK, Progress.none());
      assertTrue(v.equal(), v.toString());
    }
  }

  /**
   * Two aggregates that were made in another order on the target: what either is materialized in
   * has the other's name there.
   */
  @Test
  void aRepairReadsTheAggregateThatHasAnotherNumberOnTheSource() throws SQLException {
    String sum =
        "create materialized view sums with (timescaledb.continuous, timescaledb.materialized_only = true) as select time_bucket('1 hour', ts) b, sum(v) v from m group by 1 with no data";
    String max =
        "create materialized view maxima with (timescaledb.continuous, timescaledb.materialized_only = true) as select time_bucket('1 hour', ts) b, max(v)::bigint v from m group by 1 with no data";
    try (PgPair pair =
        Timescale.pair(
            List.of(
                PgPair.CREATE_TIMESCALEDB,
                "create table m(ts timestamptz not null, v int, primary key (ts))",
                "select create_hypertable('m', 'ts', chunk_time_interval => interval '1 day')"))) {
      Timescale.run(pair, true, List.of(sum, max));
      Timescale.run(pair, false, List.of(max, sum));
      pair.execute(
          "insert into m select ts, 1 from generate_series(timestamptz '2001-01-01Z', '2001-03-01Z', interval '10 minutes') ts");
      call(pair, true, "sums", "null", "timestamptz '2001-01-20Z'");
      call(pair, true, "maxima", "null", "null");
      // what only the target has, where the source has rows of the other
      call(pair, false, "sums", "timestamptz '2001-02-10Z'", "null");
      Backfill b = Check.backfill(pair);
      VerifyResult v = b.verify(Timescale.QUICK.withRepair(true), Progress.none());
      assertTrue(v.equal(), v.toString());
      try (Connection s = pair.source();
          Connection t = pair.target()) {
        for (String view : List.of("sums", "maxima")) {
          Timescale.assertEqual(s, view, t, view);
        }
      }
    }
  }

  @Test
  void cascadesFollowAggregatesBothWays() throws SQLException {
    try (PgPair pair = filled()) {
      assertEquals(List.of("daily", "hourly", "metrics"), staged(pair, "metrics$", true, false));
      assertEquals(List.of("metrics"), staged(pair, "metrics$", false, false));
      assertEquals(List.of("daily", "hourly", "metrics"), staged(pair, "daily", false, true));
      assertEquals(List.of("daily"), staged(pair, "DAILY", false, false));
      assertEquals(List.of("daily", "hourly"), staged(pair, "hourly", true, false));
      assertEquals(List.of("events", "tens"), staged(pair, "tens", true, true));
      assertEquals(
          List.of("hourly", "daily"),
          Check.backfill(pair).refreshAggregates("hourly", true, false).aggregates().stream()
              .map(a -> a.view().name())
              .toList());
    }
  }

  private static List<String> staged(PgPair pair, String filter, boolean up, boolean down) {
    Backfill b = Check.backfill(pair);
    List<String> names = new ArrayList<>();
    b.stage(ALL.withFilter(filter).withCascade(up, down))
        .staged()
        .forEach(t -> names.add(t.name()));
    b.clean();
    names.sort(null);
    return names;
  }
}
