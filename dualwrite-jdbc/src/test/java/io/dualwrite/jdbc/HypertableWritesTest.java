package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.dualwrite.embedded.Installation;
import io.dualwrite.embedded.PgPair;
import io.dualwrite.embedded.TcpProxy;
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
    assertMirrored("metrics", "events", "plain");
  }

  private void assertMirrored(String... tables) throws SQLException {
    fixture.assertDrained();
    assertEquals(List.of(), fixture.ds.status().parked());
    Fixture.await( // some cases make every hypertable suspect
        "reconciled", Duration.ofMinutes(4), () -> fixture.ds.status().suspects().isEmpty());
    for (String table : tables) {
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

  /** The second number of TimescaleDB's version. */
  private static int minor(Connection c) throws SQLException {
    return Integer.parseInt(Fixture.value(c, VERSION).replaceAll("^\\d+\\.(\\d+)\\..*", "$1"));
  }

  /** The name of the source's chunk that the row lies in; the target's has another one. */
  private String chunk(String table, String where) throws SQLException {
    try (Connection s = fixture.pair.source()) {
      return Fixture.value(
          s, "select tableoid::regclass::text from " + table + " where " + where + " limit 1");
    }
  }

  private String chunks(boolean source, String table) throws SQLException {
    try (Connection c = source ? fixture.pair.source() : fixture.pair.target()) {
      return Fixture.value(
          c,
          "select count(*) from timescaledb_information.chunks where hypertable_name = '"
              + table
              + "'");
    }
  }

  /**
   * A statement about chunks, and what it is to open: §m and §e are the source's names of the
   * chunks that hold the second day of two hypertables, one with a key and one without; §n that of
   * the third day; $m and $e the hypertables.
   *
   * @param suspects whether a hypertable is to become suspect; null if that does not matter
   * @param from the first version that has it, as its second number
   */
  private record About(String sql, Boolean suspects, int from) {}

  private static final List<About> ABOUT_CHUNKS =
      List.of(
          new About("drop table §m", false, 0),
          new About("drop table §e", false, 0),
          new About("drop table §m, §e", false, 0),
          new About("truncate §m", true, 0),
          new About("truncate §e", true, 0),
          new About("insert into §m values ('2026-01-02 05:30Z', 9, 9)", false, 0),
          new About("insert into §e values ('2026-01-02 05:30Z', 'x', 9)", false, 0),
          new About("update §m set v = 7", null, 0),
          new About("update §e set n = 7", true, 0),
          new About("delete from §m where device = 1", true, 0),
          new About("with x as (delete from §e returning 1) select * from x", true, 0),
          new About("alter table §m set (fillfactor = 50)", false, 0),
          new About("create index on §m(v)", false, 0),
          new About("comment on table §m is 'a chunk'", false, 0),
          new About("select compress_chunk('§m')", false, 0),
          new About("call detach_chunk('§m')", false, 22),
          new About("call detach_chunk('§m'); call attach_chunk('$m', '§m', '§slices')", null, 22),
          new About("call merge_chunks('§m', '§n')", false, 22),
          new About("select drop_chunks('$m', older_than => timestamptz '2026-01-03Z')", false, 0),
          new About("select drop_chunks('$e', older_than => timestamptz '2026-01-03Z')", false, 0),
          // the target's chunks are from tomorrow, as it says
          new About(
              "select drop_chunks('$m', created_before => now() + interval '1 h')", false, 13),
          new About(
              "do $$ begin perform drop_chunks('$m', timestamptz '2026-01-03Z'); end $$", false, 0),
          new About(
              "do $$ begin perform drop_chunks('$m', timestamptz '2026-01-03Z'); create table more(id int); end $$",
              true,
              0),
          new About(
              "do $$ begin perform drop_chunks('$m', timestamptz '2026-01-03Z'); commit; end $$",
              null,
              0),
          new About("select tidied('$m')", true, 0));

  /** Their names differ between the databases, and so does the time of which they are. */
  @Test
  void whatNamesOrDropsChunks() throws Exception {
    fixture.pair.execute(
        "create function tidied(t regclass) returns bigint language sql as 'select count(*) from drop_chunks(t, older_than => timestamptz ''2026-01-03Z'')'");
    fixture.pair.executeTarget(
        "insert into plain values ('2030-01-01Z', 1, 1); select drop_chunks('plain', newer_than => timestamptz '2029-01-01Z')");
    StringBuilder make = new StringBuilder();
    StringBuilder all = new StringBuilder("select md5(string_agg(x, ',' order by x)) from (");
    for (int i = 0; i < ABOUT_CHUNKS.size(); i++) {
      make.append(
          ("create table m$(at timestamptz not null, device int, v float8, primary key (at, device));"
                  + "select create_hypertable('m$', 'at', chunk_time_interval => interval '1 day');"
                  + "alter table m$ set (timescaledb.compress, timescaledb.compress_segmentby = 'device');"
                  + "create table e$(at timestamptz not null, line text, n float8);"
                  + "select create_hypertable('e$', 'at', chunk_time_interval => interval '1 day');")
              .replace("$", Integer.toString(i)));
      all.append(i == 0 ? "" : " union all ")
          .append(
              "select 'm$' || x from m$ x union all select 'e$' || x from e$ x"
                  .replace("$", Integer.toString(i)));
    }
    fixture.pair.execute(make.toString());
    fixture.open(b -> {}).ready();
    try (Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      for (int i = 0; i < ABOUT_CHUNKS.size(); i++) {
        About about = ABOUT_CHUNKS.get(i);
        if (minor(c) < about.from) {
          continue;
        }
        String rows =
            " select timestamptz '2026-01-01Z' + i * interval '2 hours', i % 3, i from generate_series(0, 40) i";
        s.executeUpdate("insert into m" + i + rows);
        s.executeUpdate("insert into e" + i + rows);
        assertMirrored("m" + i, "e" + i);
        fixture.pair.executeTarget(
            "update _timescaledb_catalog.chunk set creation_time = now() + interval '1 day'");
        long suspects = fixture.counter("suspects.opened");
        String sql =
            about
                .sql
                .replace("§m", chunk("m" + i, "at = '2026-01-02Z'"))
                .replace("§n", chunk("m" + i, "at = '2026-01-03Z'"))
                .replace("§e", chunk("e" + i, "at = '2026-01-02Z'"))
                .replace("§slices", "{\"at\": [1767312000000000, 1767398400000000]}")
                .replace("$m", "m" + i)
                .replace("$e", "e" + i);
        for (String one : sql.startsWith("call") ? sql.split("; ") : new String[] {sql}) {
          s.execute(one);
        }
        assertMirrored("m" + i, "e" + i);
        assertEquals(List.of(), fixture.ds.status().parked(), sql);
        if (about.suspects != null) {
          assertEquals(about.suspects, fixture.counter("suspects.opened") > suspects, sql);
        }
        if (sql.contains("drop") && Boolean.FALSE.equals(about.suspects)) { // else by its rows
          assertEquals(chunks(true, "m" + i), chunks(false, "m" + i), sql);
          assertEquals(chunks(true, "e" + i), chunks(false, "e" + i), sql);
        }
      }
    }
    // what happened to one happened to it alone
    try (Connection s = fixture.pair.source();
        Connection t = fixture.pair.target()) {
      assertEquals(Fixture.value(s, all + ") x(x)"), Fixture.value(t, all + ") x(x)"));
    }
  }

  /** The range goes, whatever chunks it lies in there; of each type that hypertables divide by. */
  @Test
  void whatIsDroppedGoesRowByRowFromChunksThatAreCutOtherwise() throws Exception {
    List<String> types =
        new ArrayList<>(
            List.of("timestamptz", "timestamp", "date", "bigint", "integer", "smallint"));
    try (Connection c = fixture.pair.source()) {
      if (minor(c) >= 22) {
        types.add("uuid");
      }
    }
    for (String type : types) {
      fixture.pair.execute("create table cut_" + type + "(\"the K\" " + type + " not null, v int)");
      String make =
          "select create_hypertable('cut_"
              + type
              + "', 'the K', chunk_time_interval => "
              + (type.endsWith("int") || type.equals("integer") ? "§ * 24)" : "interval '§ day')");
      fixture.pair.executeSource(make.replace("§", "1"));
      fixture.pair.executeTarget(make.replace("§", "2"));
    }
    fixture.open(b -> {}).ready();
    try (Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      for (String type : types) {
        String table = "cut_" + type;
        String value =
            switch (type) {
              case "bigint", "integer", "smallint" -> "(i * 6)::" + type;
              case "uuid" -> "to_uuidv7(timestamptz '2026-01-01Z' + i * interval '6 hours')";
              default -> "(timestamp '2026-01-01' + i * interval '6 hours')::" + type;
            };
        s.executeUpdate(
            "insert into " + table + " select " + value + ", i from generate_series(-7, 30) i");
        assertMirrored(table);
        long suspects = fixture.counter("suspects.opened");
        for (int v : new int[] {1, 6, 10, 18}) { // four rows in each
          s.execute("drop table " + chunk(table, "v = " + v));
        }
        assertMirrored(table);
        List<String> ends =
            switch (type) {
              case "bigint" -> List.of("9223372036854775807", "-9223372036854775808");
              case "integer" -> List.of("2147483647", "-2147483648");
              case "smallint" -> List.of("32767", "-32768");
              case "uuid" -> List.of();
              default -> List.of("infinity"); // it takes none as early
            };
        for (String end : ends) {
          s.execute("insert into " + table + " values ('" + end + "', 100)");
          assertMirrored(table);
          s.execute("drop table " + chunk(table, "v = 100"));
          assertMirrored(table);
        }
        assertEquals(suspects, fixture.counter("suspects.opened"), table);
        try (Connection t = fixture.pair.target()) {
          assertEquals("22", Fixture.value(t, "select count(*) from " + table), table);
          // rows that were written before do not come again
          assertNotEquals(
              "0",
              Fixture.value(
                  t,
                  "select count(*) from dualwrite.snapshot where predicate like '\"the K\" >=%' and table_name = '"
                      + table
                      + "'"));
        }
      }
    }
  }

  /** Others may write to the same range since, and the mirror hears of all of it later. */
  @Test
  void chunksThatWentWhileTheMirrorWasAway() throws Exception {
    for (String table : List.of("m", "e", "f", "g")) {
      fixture.pair.execute(
          ("create table $(at timestamptz not null, device int, v float8"
                  + (table.equals("m") ? ", primary key (at, device));" : ");")
                  + "select create_hypertable('$', 'at', chunk_time_interval => interval '1 day');"
                  + "insert into $ select timestamptz '2026-01-01Z' + i * interval '6 hours', 1, i from generate_series(0, 11) i")
              .replace("$", table));
    }
    try (TcpProxy network = new TcpProxy("localhost", fixture.pair.targetServer().port())) {
      fixture
          .openTo(
              "jdbc:postgresql://localhost:" + network.port() + "/" + fixture.pair.database(),
              b -> {})
          .ready();
      network.refuse();
      network.cut();
      try (Connection c = fixture.connect();
          Statement s = c.createStatement()) {
        for (String table : List.of("m", "e")) { // a chunk that comes again
          s.execute("insert into " + table + " values ('2026-01-01 01:00Z', 2, 1)");
          s.execute("select drop_chunks('" + table + "', timestamptz '2026-01-02Z')");
          s.execute("insert into " + table + " values ('2026-01-01 02:00Z', 2, 2)");
        }
        // by the clock of the primary, in one transaction with rows that go and that stay
        c.setAutoCommit(false);
        s.execute("insert into f values ('2026-01-01 01:00Z', 2, 1)");
        s.execute(
            "select drop_chunks('f', older_than => now() - timestamptz '2026-01-02Z', newer_than => timestamptz '2000-01-01Z')");
        c.commit();
        s.execute("insert into g values ('2026-01-01 01:00Z', 2, 1), ('2026-01-03 01:00Z', 2, 1)");
        c.commit();
        s.execute("select drop_chunks('g', timestamptz '2026-01-02Z')");
        c.commit();
      }
      // the way back goes by another writer's rows, which are there before
      fixture.pair.executeSource("insert into g values ('2026-01-05Z', 3, 3)");
      fixture.pair.executeTarget("insert into g values ('2026-01-05Z', 3, 3)");
      network.resume();
      assertMirrored("m", "e", "f", "g");
      assertEquals(chunks(true, "f"), chunks(false, "f"));
      try (Connection t = fixture.pair.target()) {
        assertEquals(
            "9 9 8 10",
            Fixture.value(
                t,
                "select concat_ws(' ', (select count(*) from m), (select count(*) from e), (select count(*) from f), (select count(*) from g))"));
      }
    }
  }

  /** Whoever writes elsewhere, as a copy of another chunk does, is not waited for. */
  @Test
  void whatIsDroppedWaitsForWritersOfItAlone() throws Exception {
    fixture.execute("insert into metrics values ('2026-01-01Z', 1, 1), ('2026-01-02Z', 1, 1)");
    assertMirrored("metrics");
    try (Connection other = fixture.pair.target();
        Statement o = other.createStatement()) {
      other.setAutoCommit(false);
      o.execute("insert into metrics values ('2026-01-02 01:00Z', 1, 1)");
      long flushed = fixture.counter("units.direct");
      fixture.execute("select drop_chunks('metrics', timestamptz '2026-01-02Z')");
      Fixture.await("flushed", () -> fixture.counter("units.direct") > flushed);
      other.rollback();
    }
    assertMirrored("metrics");
  }

  /** One of two that share a range of time, both, and those of an aggregate. */
  @Test
  void chunksOfSpacePartitionsAndAggregates() throws Exception {
    fixture.pair.execute(
        "create table spaced(at timestamptz not null, device int not null, v float8, primary key (at, device));"
            + "select create_hypertable('spaced', 'at', 'device', 4, chunk_time_interval => interval '1 day');"
            + "insert into spaced select timestamptz '2026-01-01Z' + i * interval '1 hours', i % 10, i from generate_series(0, 70) i;");
    fixture.execute("insert into metrics values ('2026-01-01Z', 1, 1), ('2026-03-02Z', 1, 1)");
    assertMirrored("metrics", "spaced");
    fixture.pair.execute("call refresh_continuous_aggregate('daily', null, null)");
    long suspects = fixture.counter("suspects.opened");
    fixture.execute("select drop_chunks('spaced', timestamptz '2026-01-02Z')");
    fixture.execute("select drop_chunks('daily', timestamptz '2026-02-01Z')");
    assertMirrored("metrics", "spaced");
    assertEquals(suspects, fixture.counter("suspects.opened"));
    assertEquals(chunks(true, "spaced"), chunks(false, "spaced"));
    try (Connection s = fixture.pair.source();
        Connection t = fixture.pair.target()) {
      assertEquals("1", Fixture.value(s, "select count(*) from daily"));
      assertEquals("1", Fixture.value(t, "select count(*) from daily"));
    }
    fixture.execute("drop table " + chunk("spaced", "at > '2026-01-02 12:00Z'"));
    assertMirrored("spaced");
    assertEquals(suspects + 1, fixture.counter("suspects.opened"));
  }

  /** TimescaleDB returns none of the rows to RETURNING that it compresses before it writes them. */
  @Test
  void rowsThatWouldBeCompressedBeforeTheyAreWritten() throws Exception {
    String setting = "timescaledb.enable_direct_compress_insert";
    String copy = "timescaledb.enable_direct_compress_copy";
    try (Connection c = fixture.pair.source()) {
      assumeTrue(
          Fixture.value(c, "select current_setting('" + setting + "', true)") // from 2.23 on
              != null,
          "this TimescaleDB compresses nothing before it is written");
    }
    fixture.pair.execute(
        "create table direct(at timestamptz not null default now(), device int, v float8, id bigserial);"
            + "select create_hypertable('direct', 'at', chunk_time_interval => interval '1 day', create_default_indexes => false);"
            + "alter table direct set (timescaledb.compress, timescaledb.compress_segmentby = 'device', timescaledb.compress_orderby = 'at');"
            + "create function direct_rows() returns void language sql as $$ insert into public.direct(at, device, v) select timestamptz '2026-01-05Z' + i * interval '1 s', 1, i from generate_series(1, 2000) i $$;");
    for (String s : List.of(setting, copy)) {
      fixture.pair.executeSource(
          "alter database " + fixture.pair.database() + " set " + s + " = on");
    }
    fixture.open(b -> {}).ready();
    String rows =
        "insert into direct(at, device, v) select timestamptz '2026-01-01Z' + i * interval '1 s', 1, i from generate_series(1, 2000) i";
    try (Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      assertEquals(2000, s.executeUpdate(rows));
      s.execute("select direct_rows()");
      StringBuilder lines = new StringBuilder();
      for (int i = 0; i < 2000; i++) {
        lines.append("2026-01-06 00:00:00+00\t1\t").append(i).append('\n');
      }
      c.unwrap(PGConnection.class)
          .getCopyAPI()
          .copyIn("copy direct(at, device, v) from stdin", new StringReader(lines.toString()));
      s.execute("set " + setting + " = on");
      assertEquals(2000, s.executeUpdate(rows));
      s.execute("select set_config('" + setting + "', 'on', false)");
      assertEquals(2000, s.executeUpdate(rows));
      c.setAutoCommit(false);
      for (String set :
          List.of("set local " + setting + " = on", "set " + setting + " to on", "reset all")) {
        s.execute(set);
        s.execute("set transaction isolation level repeatable read");
        assertEquals(
            "2000",
            Fixture.value(c, "with x as (" + rows + " returning 1) select count(*) from x"));
        c.commit();
      }
      s.execute("select set_config('" + setting + "', 'on', true)");
      assertEquals(2000, s.executeUpdate(rows));
      c.commit();
      c.setAutoCommit(true);
      s.execute("discard all");
      assertEquals(2000, s.executeUpdate(rows));
    }
    assertMirrored("direct");
    try (Connection t = fixture.pair.target()) {
      assertEquals("20000", Fixture.value(t, "select count(*) from direct"));
    }
  }

  /** Jobs that a statement makes beside what else it makes rest on the mirror, as all do. */
  @Test
  void jobsThatAStatementMakesRestOnTheMirror() throws Exception {
    boolean columnstore;
    try (Connection c = fixture.pair.source()) {
      columnstore = minor(c) >= 23;
    }
    fixture.execute(
        columnstore
            ? "create table own(at timestamptz not null, v int) with (tsdb.hypertable, tsdb.partition_column = 'at')"
            : "do $$ begin create table own(at timestamptz not null, v int); perform create_hypertable('own', 'at'); perform add_retention_policy('own', interval '100 years'); end $$");
    assertMirrored("own");
    String jobs =
        "select string_agg(proc_name || ' ' || scheduled, ',') from timescaledb_information.jobs where hypertable_name = 'own'";
    try (Connection s = fixture.pair.source();
        Connection t = fixture.pair.target()) {
      String there = Fixture.value(s, jobs);
      assertTrue(there.endsWith(" true"), there);
      assertEquals(there.replace("true", "false"), Fixture.value(t, jobs));
      assertEquals(
          "t",
          Fixture.value(
              t,
              "select s.scheduled from dualwrite.job_state s join timescaledb_information.jobs j using (job_id) where hypertable_name = 'own'"));
    }
  }

  /** Retention that the application runs by hand, in a transaction of its own or in ours. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aRetentionPolicyThatTheApplicationRuns(boolean autoCommit) throws Exception {
    fixture.execute("insert into metrics values ('2001-01-01Z', 1, 1), ('2101-01-01Z', 1, 1)");
    assertMirrored();
    try (Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      s.execute(
          "select add_retention_policy('metrics', interval '10 years', initial_start => now() + interval '1 day')");
      String job =
          Fixture.value(
              c,
              "select job_id from timescaledb_information.jobs where proc_name = 'policy_retention'");
      c.setAutoCommit(autoCommit);
      s.execute("call run_job(" + job + ")");
      if (!autoCommit) {
        c.commit();
      }
    }
    assertMirrored();
    assertEquals(chunks(true, "metrics"), chunks(false, "metrics"));
    try (Connection t = fixture.pair.target()) {
      assertEquals(
          "0",
          Fixture.value(t, "select count(*) from metrics where at < timestamptz '2002-01-01Z'"));
    }
  }
}
