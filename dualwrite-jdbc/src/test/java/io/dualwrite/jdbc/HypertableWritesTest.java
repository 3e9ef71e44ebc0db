package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.dualwrite.embedded.Installation;
import io.dualwrite.embedded.PgPair;
import java.io.StringReader;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.postgresql.PGConnection;

/**
 * Writes to hypertables that their statements do not tell, with TimescaleDB: it writes to its own
 * tables meanwhile, which are none of the application's.
 */
class HypertableWritesTest {

  private static final List<String> DDL =
      List.of(
          PgPair.CREATE_TIMESCALEDB,
          "create table metrics(at timestamptz not null default clock_timestamp(), device int, v float8 default random(), primary key (at, device))",
          "select create_hypertable('metrics', 'at', chunk_time_interval => interval '1 day')",
          "alter table metrics set (timescaledb.compress, timescaledb.compress_segmentby = 'device')",
          "create table events(at timestamptz not null, line text, n float8 default random())",
          "select create_hypertable('events', 'at', chunk_time_interval => interval '1 day')",
          "alter table events set (timescaledb.compress)",
          "create table plain(at timestamptz not null, device int, v float8, primary key (at, device))",
          "select create_hypertable('plain', 'at')",
          "alter table plain set (timescaledb.compress, timescaledb.compress_segmentby = 'device')",
          "insert into plain select timestamptz '2026-01-01Z' + i * interval '1 minute', i % 5, i from generate_series(1, 100) i",
          // the first chunk changes the table's own entry in the catalog
          "insert into metrics values ('2025-12-31Z', 0, 0)",
          "insert into events values ('2025-12-31Z', 'first', 0)",
          "create materialized view daily with (timescaledb.continuous) as select time_bucket('1 day', at) d, device, sum(v) from metrics group by 1, 2 with no data",
          "create function add_rows(day timestamptz, d int) returns int language sql as 'insert into metrics(at, device) select day + i * interval ''1 minute'', d from generate_series(1, 5) i; insert into events(at, line) select day, i::text from generate_series(1, 3) i returning 1'",
          "create function change_rows(d int) returns int language sql as 'update metrics set v = v + 1 where device = d; select 1'",
          "create function remove_rows(d int) returns int language sql as 'delete from metrics where device = d; select 1'",
          "create function remove_events() returns int language sql as 'delete from events where line = ''2''; select 1'");

  private static final String VERSION =
      "select extversion from pg_extension where extname = 'timescaledb'";

  private Fixture fixture;

  @BeforeEach
  void start() throws SQLException {
    Optional<Fixture> found = Fixture.timescale(DDL);
    assumeTrue(found.isPresent(), Installation.NO_TIMESCALEDB);
    fixture = found.get().ready();
  }

  @AfterEach
  void stop() {
    if (fixture != null) {
      fixture.close();
    }
  }

  private void assertMirrored() throws SQLException {
    fixture.assertDrained();
    assertEquals(List.of(), fixture.ds.status().parked());
    Fixture.await("reconciled", () -> fixture.ds.status().suspects().isEmpty());
    for (String table : List.of("metrics", "events", "plain")) {
      String rows =
          "select count(*) || ' ' || coalesce(md5(string_agg(x::text, ',' order by x::text)), '') from "
              + table
              + " x";
      try (Connection s = fixture.pair.source();
          Connection t = fixture.pair.target()) {
        assertEquals(Fixture.value(s, rows), Fixture.value(t, rows), table);
      }
    }
  }

  private void call(Statement s, String function) throws SQLException {
    s.execute("select " + function);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void whatFunctionsWriteThere(boolean compressed) throws Exception {
    try (Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      for (int d = 1; d <= 3; d++) {
        call(s, "add_rows('2026-01-0" + d + "Z', " + d + ")"); // makes chunks
      }
      assertMirrored();
      assertEquals(0, fixture.counter("suspects.opened"), "new chunks");
      if (compressed) {
        fixture.pair.execute("select compress_chunk(c) from show_chunks('metrics') c");
        fixture.pair.execute("select compress_chunk(c) from show_chunks('events') c");
        fixture.pair.execute("select compress_chunk(c) from show_chunks('plain') c");
      }
      call(s, "add_rows('2026-01-01 12:00Z', 1)");
      call(s, "change_rows(2)");
      call(s, "remove_rows(3)");
      call(s, "remove_events()");
      // whole batches, without a look into them
      s.execute("do $$ begin delete from plain where device = 2; end $$");
    }
    assertMirrored();
  }

  @Test
  void whatACopyWithDefaultsWritesThere() throws Exception {
    try (Connection c = fixture.connect()) {
      for (int i = 0; i < 2; i++) {
        c.unwrap(PGConnection.class)
            .getCopyAPI()
            .copyIn(
                "copy metrics(at, device) from stdin",
                new StringReader("2026-01-02 00:0" + i + ":00+00\t1\n"));
        c.unwrap(PGConnection.class)
            .getCopyAPI()
            .copyIn(
                "copy events(at, line) from stdin",
                new StringReader("2026-01-02 00:00:00+00\tx\n"));
        fixture.pair.execute("select compress_chunk(c, true) from show_chunks('metrics') c");
      }
    }
    assertMirrored();
    assertEquals(0, fixture.counter("suspects.opened"));
  }

  /** By the name of a chunk, which is another one on the mirror; and what rows go with. */
  @Test
  void chunksThatTheApplicationCompressesAndDrops() throws Exception {
    try (Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      for (int d = 1; d <= 3; d++) {
        s.executeUpdate("insert into metrics values ('2026-01-0" + d + "Z', 1, 1)");
      }
      for (int i = 0; i < 4; i++) {
        String chunk =
            Fixture.value(
                c, "select c::text from show_chunks('metrics') c order by 1 limit 1 offset " + i);
        s.execute("select compress_chunk('" + chunk + "')");
      }
      assertMirrored();
      s.execute("select drop_chunks('metrics', older_than => timestamptz '2026-01-02Z')");
      assertMirrored();
      assertEquals("2", Fixture.value(c, "select count(*) from metrics"));
    }
    assertEquals(0, fixture.counter("suspects.opened"));
  }

  /** Statements of every kind, each in autocommit and in a transaction with others. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void whatStatementsWriteThere(boolean compressed) throws Exception {
    String rows = " from generate_series(0, 99) i";
    fixture.execute(
        "insert into metrics select timestamptz '2026-01-01Z' + i * interval '1 hour', i % 3, i"
            + rows);
    fixture.execute(
        "insert into events select timestamptz '2026-01-01Z' + i * interval '1 hour', i % 7, i"
            + rows);
    assertMirrored();
    if (compressed) {
      fixture.pair.execute("select compress_chunk(c) from show_chunks('metrics') c");
      fixture.pair.execute("select compress_chunk(c) from show_chunks('events') c");
    }
    List<String> statements =
        new ArrayList<>(
            List.of(
                "insert into metrics values ('2026-01-01 00:30Z', 1, 1), ('2026-02-01Z', 1, 1)",
                "insert into metrics values ('2026-01-01Z', 0, -1) on conflict (at, device) do update set v = excluded.v",
                "insert into metrics values ('2026-01-01Z', 0, -2) on conflict do nothing",
                "update metrics set v = v * 2 where at = '2026-01-01 01:00Z' and device = 1",
                "update metrics set v = 0 where device = 2 and at < '2026-01-02Z'",
                "update metrics set device = 5 where device = 1 and at = '2026-01-01 04:00Z'",
                "delete from metrics where at = '2026-01-02 00:00Z' and device = 0",
                "delete from metrics where device = 0 and at < '2026-01-01 12:00Z'",
                "with gone as (delete from metrics where device = 1 and at < '2026-01-01 06:00Z' returning *) insert into events select at, 'gone', v from gone",
                "insert into events select at, line, n + 1000 from events where line = '3'",
                "update events set n = -1 where line = '4'",
                "delete from events where line = '5'",
                "truncate events",
                "insert into events values ('2026-01-01Z', 'again', 1)"));
    try (Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      if (Fixture.value(c, VERSION).startsWith("2.22.")) {
        // refuses this on a compressed chunk: "attempted to delete invisible tuple"
        statements.removeIf(sql -> sql.startsWith("with gone"));
      }
      for (String sql : statements) {
        s.execute(sql);
        assertEquals(List.of(), fixture.ds.status().parked(), sql);
      }
      assertMirrored();
      c.setAutoCommit(false);
      fixture.pair.execute("select compress_chunk(c, true) from show_chunks('metrics') c");
      for (String sql : statements) {
        if (!sql.contains("values ('2026-01-01 00:30Z'")) { // they are there
          s.execute(sql);
        }
      }
      c.commit();
    }
    assertMirrored();
  }

  /** As a tool for schema migrations does it, in a transaction and without one. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void hypertablesThatTheApplicationMakes(boolean autoCommit) throws Exception {
    try (Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      c.setAutoCommit(autoCommit);
      s.execute("create table own(at timestamptz not null, v float8, primary key (at))");
      s.execute("select create_hypertable('own', 'at')");
      s.execute(
          "insert into own select timestamptz '2026-01-01Z' + i * interval '5 days', i from generate_series(1, 5) i");
      s.execute("alter table own set (timescaledb.compress)");
      s.execute("alter table own add w int default 7");
      if (autoCommit) {
        s.execute(
            "create materialized view weekly with (timescaledb.continuous) as select time_bucket('7 days', at) b, sum(v) from own group by 1");
      } else {
        s.execute(
            "create materialized view weekly with (timescaledb.continuous) as select time_bucket('7 days', at) b, sum(v) from own group by 1 with no data");
        c.commit();
      }
      c.setAutoCommit(true);
      s.executeUpdate("insert into own values ('2026-03-01Z', 6, 8)");
    }
    assertMirrored();
    for (String what :
        List.of(
            "select string_agg(x::text, ',' order by x::text) from own x",
            "select count(*)::text from timescaledb_information.hypertables where hypertable_name = 'own' and compression_enabled",
            "select count(*)::text from timescaledb_information.continuous_aggregates where view_name = 'weekly'")) {
      try (Connection s = fixture.pair.source();
          Connection t = fixture.pair.target()) {
        assertEquals(Fixture.value(s, what), Fixture.value(t, what), what);
        assertNotEquals("0", Fixture.value(s, what), what);
      }
    }
  }

  @Test
  void policiesAreNotMirroredAndSaidSo() throws Exception {
    try (Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      s.execute("select add_retention_policy('metrics', interval '100 years')");
    }
    assertMirrored();
    assertEquals(1, fixture.counter("primary-only.routine"));
    assertEquals(0, fixture.counter("suspects.opened"));
  }

  /** Procedures of TimescaleDB that commit by themselves. */
  @Test
  void aRefreshThroughTheApplicationLeavesTheTablesAlone() throws Exception {
    try (Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      call(s, "add_rows('2026-01-01Z', 1)");
      s.execute("call refresh_continuous_aggregate('daily', null, '2026-02-01Z')");
      assertEquals("2", Fixture.value(c, "select count(*) from daily"));
      TreeSet<String> suspects = new TreeSet<>();
      fixture.ds.status().suspects().forEach(x -> suspects.add(x.table().toString()));
      suspects.removeIf(x -> !x.contains("_timescaledb"));
      assertEquals(new TreeSet<>(), suspects);
    }
    assertMirrored();
  }

  /** What is made of a trigger, on either side. */
  private static final String TRIGGERS =
      "select coalesce(string_agg(concat_ws(' ', pg_get_triggerdef(oid), tgenabled, obj_description(oid, 'pg_trigger')), ', ' order by tgname), 'none')"
          + " from pg_trigger where not tgisinternal and tgrelid = 'metrics'::regclass and tgname not like 'ts\\_%'";

  private void assertAudited(String... expected) throws SQLException {
    assertMirrored();
    Fixture.await("mirrored", () -> fixture.ds.status().pending() == 0);
    for (String table : List.of("audit", "total")) {
      String rows =
          "select coalesce(string_agg(x::text, ' ' order by x::text), '') from " + table + " x";
      try (Connection s = fixture.pair.source();
          Connection t = fixture.pair.target()) {
        assertEquals(Fixture.value(s, rows), Fixture.value(t, rows), table);
      }
    }
    try (Connection c = fixture.pair.source()) {
      assertEquals(
          List.of(expected),
          List.of(
              Fixture.value(c, "select string_agg(what, ' ' order by what) from audit")
                  .split(" ")));
    }
  }

  /** TimescaleDB enables a disabled trigger in each chunk that is new, or disables none at all. */
  @Test
  void triggersFireOnThePrimaryAloneAndInNewChunksToo() throws Exception {
    List<String> ddl =
        List.of(
            "create table audit(what text)",
            "create table total(d int primary key, n int)",
            "create function ten() returns trigger language plpgsql as $$ begin new.v := new.v * 10; return new; end $$",
            "create function audited() returns trigger language plpgsql as $$ begin insert into public.audit values (tg_argv[0] || new.device);"
                + " insert into public.total values (new.device, 1) on conflict (d) do update set n = public.total.n + 1; return new; end $$",
            "create trigger a before insert on metrics for each row when (new.device > 0) execute function ten()",
            "comment on trigger a on metrics is 'it''s ten'",
            "create trigger b after insert on metrics for each row execute function audited('b')");
    for (String sql : ddl) {
      fixture.pair.execute(sql);
    }
    String before;
    boolean switches;
    try (Connection c = fixture.pair.source()) {
      switches = !Fixture.value(c, VERSION).matches("2\\.(1\\d|2[0-2])\\..*");
      if (switches) {
        fixture.pair.execute("alter table metrics enable always trigger a");
      }
      before = Fixture.value(c, TRIGGERS);
    }
    fixture.open(b -> {}).ready();
    fixture.execute("insert into metrics values ('2026-03-01Z', 1, 1)");
    assertAudited("b1");
    // one that the application makes, one that it disables, one that it renames
    fixture.execute(
        "create trigger d after insert on metrics for each row execute function audited('d')");
    if (switches) {
      fixture.execute("alter table metrics disable trigger d");
    }
    fixture.execute("alter trigger b on metrics rename to c");
    fixture.execute("insert into metrics values ('2026-03-02Z', 2, 1)");
    assertAudited("b1", "b2", "d2"); // a chunk that is new
    fixture.execute("drop trigger d on metrics");
    fixture.execute("alter function audited() rename to watched");
    // what travels as text and writes rows, too, writes them without triggers there
    fixture.execute(
        "do $$ begin create table made(id int); insert into metrics values ('2026-03-03Z', 3, 1); end $$");
    assertAudited("b1", "b2", "b3", "d2");
    try (Connection t = fixture.pair.target()) {
      assertEquals("none", Fixture.value(t, TRIGGERS));
    }

    fixture.ds.cutover(Duration.ofSeconds(20));
    try (Connection s = fixture.pair.source();
        Connection t = fixture.pair.target()) {
      assertEquals(
          before.replace("TRIGGER b", "TRIGGER c").replace("audited(", "watched("),
          Fixture.value(t, TRIGGERS));
      assertEquals("none", Fixture.value(s, TRIGGERS));
    }
    fixture.execute("insert into metrics values ('2026-03-04Z', 4, 1)");
    assertAudited("b1", "b2", "b3", "b4", "d2");
    fixture.execute("create table late(id int)"); // nothing comes back by it
    fixture.ds.cutoverBack(Duration.ofSeconds(20));
    fixture.execute("insert into metrics values ('2026-03-05Z', 5, 1)");
    assertAudited("b1", "b2", "b3", "b4", "b5", "d2");
    try (Connection s = fixture.pair.source();
        Connection t = fixture.pair.target()) {
      assertEquals("10", Fixture.value(t, "select v from metrics where device = 5"));
      assertEquals("none", Fixture.value(t, TRIGGERS));
      assertNotEquals("none", Fixture.value(s, TRIGGERS));
    }
  }
}
