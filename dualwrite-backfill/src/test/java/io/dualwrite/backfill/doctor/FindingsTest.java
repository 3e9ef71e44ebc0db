package io.dualwrite.backfill.doctor;

import static io.dualwrite.backfill.doctor.DoctorTest.as;
import static io.dualwrite.backfill.doctor.DoctorTest.examine;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.dualwrite.backfill.doctor.Finding.Severity;
import io.dualwrite.control.Side;
import io.dualwrite.embedded.Installation;
import io.dualwrite.embedded.PgPair;
import io.dualwrite.embedded.PgServer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import javax.sql.DataSource;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.postgresql.ds.PGSimpleDataSource;

/** Findings that take a server, or a database, of a certain kind: each is provoked on real ones. */
class FindingsTest {

  private static final Side BOTH = null;

  /**
   * What provokes a finding.
   *
   * @param side what it is about; null for both
   * @param object what it names; empty if its sentence does, or nothing
   * @param source statements for the source
   * @param target statements for the target
   */
  private record Case(
      Severity severity, Side side, String code, String object, String source, String target) {
    @Override
    public String toString() {
      return code + " " + severity + (side == null ? "" : " " + side);
    }

    void check(List<Finding> found) {
      List<Finding> same =
          DoctorTest.of(found, code).stream()
              .filter(f -> f.severity() == severity && f.side().equals(Optional.ofNullable(side)))
              .toList();
      assertEquals(1, same.size(), this + " in " + found);
      Finding f = same.get(0);
      assertEquals(severity == Severity.INFO, f.action().isEmpty(), f.toString());
      assertTrue(f.meaning().endsWith("."), f.toString());
      assertTrue(
          object.isEmpty()
              || f.meaning().contains(object)
              || f.objects().stream().anyMatch(o -> o.contains(object)),
          object + " in " + f);
    }
  }

  private static Case info(Side side, String code, String object, String source, String target) {
    return new Case(Severity.INFO, side, code, object, source, target);
  }

  private static Case warn(Side side, String code, String object, String source, String target) {
    return new Case(Severity.WARN, side, code, object, source, target);
  }

  private static Case block(Side side, String code, String object, String source, String target) {
    return new Case(Severity.BLOCK, side, code, object, source, target);
  }

  /** Puts another function in the place of one of the server's, in this database alone. */
  private static String instead(String name, String arguments, String returns, String sql) {
    return "alter function pg_catalog.%1$s(%2$s) rename to %1$s_before; create function pg_catalog.%1$s(%2$s) returns %3$s language sql as $$ select %4$s $$;"
        .formatted(name, arguments, returns, sql);
  }

  private static final String T = "create table t(id int primary key, v text);";

  private static final String EVENT_TRIGGER =
      T
          + " create function e() returns event_trigger language plpgsql as 'begin end'; create event trigger et on ddl_command_end execute function e()";

  static List<Case> databases() {
    return List.of(
        block(
            Side.TARGET,
            "too-old",
            "older than 13",
            "",
            "set allow_system_table_mods = on;"
                + instead(
                    "current_setting",
                    "text",
                    "text",
                    "case $1 when 'server_version_num' then '120009' else pg_catalog.current_setting_before($1) end")),
        warn(
            BOTH,
            "clock-skew",
            "ahead of the source's",
            T,
            T
                + instead(
                    "clock_timestamp",
                    "",
                    "timestamptz",
                    "pg_catalog.clock_timestamp_before() + interval '1 hour'")),
        warn(
            Side.SOURCE,
            "old-transactions",
            "open for",
            T + instead("now", "", "timestamptz", "pg_catalog.now_before() + interval '1 hour'"),
            T),
        block(
            Side.TARGET,
            "collation-missing",
            "pg_catalog.zz",
            "create collation pg_catalog.zz (locale = 'C'); create table t(id int primary key, v text collate pg_catalog.zz)",
            T),
        warn(
            Side.TARGET,
            "collation-version",
            "database t",
            T,
            T + "update pg_database set datcollversion = '0' where datname = current_database()"),
        warn(
            Side.SOURCE,
            "collation-version",
            "public.mine",
            "create collation mine (provider = icu, locale = 'de'); update pg_collation set collversion = '0' where collname = 'mine';"
                + "create table t(id int primary key, v text collate mine)",
            T),
        info(
            Side.TARGET,
            "timeouts",
            "lock_timeout = 7000 ms",
            T,
            T
                + "do $$ begin execute format('alter database %I set lock_timeout = 7000', current_database()); end $$"),
        warn(Side.SOURCE, "nothing", "", "", ""),
        info(Side.SOURCE, "event-triggers", "et", EVENT_TRIGGER, T),
        warn(Side.TARGET, "event-triggers", "et", T, EVENT_TRIGGER),
        info(
            Side.SOURCE,
            "materialized-views",
            "public.mv",
            T + "create materialized view mv as select 1",
            T),
        warn(
            Side.SOURCE,
            "not-valid",
            "public.t: positive",
            T + "alter table t add constraint positive check (id > 0) not valid",
            T),
        warn(
            Side.SOURCE,
            "invalid-indexes",
            "public.by_v",
            T
                + "create index by_v on t(v); update pg_index set indisvalid = false where indexrelid = 'by_v'::regclass",
            T + "create index by_v on t(v)"),
        warn(Side.TARGET, "extension-missing", "citext", T + "create extension citext", T),
        warn(
            BOTH,
            "extension-version",
            "citext: ",
            T + "create extension citext",
            T + "create schema x; create extension citext schema x"),
        info(BOTH, "extensions", "plpgsql", T, T),
        warn(
            BOTH,
            "column-collation",
            "public.t.v: C / default",
            "create table t(id int primary key, v text collate \"C\")",
            T),
        info(
            BOTH,
            "sequences",
            "the source's 1 sequence;",
            T + "create sequence s",
            T + "create sequence s"));
  }

  private static List<Finding> provoked(PgPair pair, Case c) throws SQLException {
    for (boolean source : List.of(true, false)) {
      try (Connection x = source ? pair.source() : pair.target();
          Statement s = x.createStatement()) {
        String sql = source ? c.source : c.target;
        if (!sql.isEmpty()) {
          s.execute(sql);
        }
      }
    }
    return examine(pair, DoctorOptions.defaults());
  }

  @ParameterizedTest
  @MethodSource("databases")
  void ofDatabases(Case c) throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      // somebody whose transaction is open
      try (Connection open = pair.source();
          Statement s = open.createStatement()) {
        open.setAutoCommit(false);
        s.execute("select pg_current_xact_id()");
        c.check(provoked(pair, c));
      }
    }
  }

  @Test
  void rolesThatTheTargetLacks() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(T);
      pair.executeSource("create role doctor_absent; grant select on t to doctor_absent");
      try {
        info(Side.TARGET, "roles", "doctor_absent", "", "")
            .check(examine(pair, DoctorOptions.defaults()));
      } finally {
        pair.executeSource("drop owned by doctor_absent; drop role doctor_absent");
      }
    }
  }

  @Test
  void aRoleWithFewConnectionsThatMayNotLookEverywhere() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(T);
      pair.execute(
          """
          do $$ begin create role doctor_few login password 'postgres' connection limit 3; exception when duplicate_object then null; end $$;
          create schema dualwrite;
          revoke execute on function pg_database_size(name) from public""");
      List<Finding> found =
          Doctor.examine(
              as(pair.sourceServer(), pair, "doctor_few", ""),
              as(pair.targetServer(), pair, "doctor_few", ""),
              DoctorOptions.defaults());
      for (Case c :
          List.of(
              warn(Side.SOURCE, "connections", "the role's CONNECTION LIMIT", "", ""),
              block(Side.TARGET, "control-schema", "create tables in it", "", ""),
              warn(BOTH, "not-checked", "Could not look at sizes: ", "", ""))) {
        c.check(found);
      }
      String action = DoctorTest.of(found, "control-schema").get(0).action();
      assertTrue(action.startsWith("GRANT USAGE, CREATE ON SCHEMA dualwrite TO the role."), action);
    }
  }

  private static DataSource database(PgServer server, String name) {
    PGSimpleDataSource d = new PGSimpleDataSource();
    d.setUrl(server.url(name));
    d.setUser(server.user());
    d.setPassword(server.password());
    return d;
  }

  @Test
  void constraintsThatAreNotEnforcedAreNotNotValid() throws SQLException {
    assumeTrue(PgServer.majors().contains(18));
    try (PgPair pair = PgPair.shared(18)) {
      pair.execute(
          "create table t(id int primary key, v int constraint unenforced check (v > 0) not enforced);"
              + "alter table t add constraint later not null v not valid");
      DataSource source = as(pair.sourceServer(), pair, "postgres", "");
      DataSource target = as(pair.targetServer(), pair, "postgres", "");
      List<Finding> found =
          DoctorTest.of(Doctor.examine(source, target, DoctorOptions.defaults()), "not-valid");
      assertEquals(1, found.size(), found.toString());
      assertEquals(List.of("public.t: later"), found.get(0).objects());
    }
  }

  @Test
  void otherVersionsEncodingsAndLocales() throws SQLException {
    assumeTrue(PgServer.majors().containsAll(List.of(18, 15)));
    try (PgPair pair = PgPair.shared(18);
        PgPair older = PgPair.shared(15)) {
      for (String[] d :
          new String[][] {
            {"latin", "encoding 'LATIN1' locale 'C'"},
            {"ascii", "encoding 'SQL_ASCII' locale 'C'"},
            {
              "builtin",
              "encoding 'UTF8' locale_provider builtin builtin_locale 'C.UTF-8' locale 'C'"
            }
          }) {
        pair.executeTarget(
            "create database " + d[0] + "_" + pair.database() + " " + d[1] + " template template0");
      }
      DataSource here = as(pair.sourceServer(), pair, "postgres", "");
      DataSource latin = database(pair.targetServer(), "latin_" + pair.database());
      DataSource ascii = database(pair.targetServer(), "ascii_" + pair.database());
      DataSource builtin = database(pair.targetServer(), "builtin_" + pair.database());
      DoctorOptions o = DoctorOptions.defaults();
      block(BOTH, "encoding", "is UTF8, the target's LATIN1", "", "")
          .check(Doctor.examine(here, latin, o));
      warn(BOTH, "encoding", "is LATIN1, the target's UTF8", "", "")
          .check(Doctor.examine(latin, here, o));
      block(BOTH, "encoding", "is SQL_ASCII, the target's UTF8", "", "")
          .check(Doctor.examine(ascii, here, o));
      warn(BOTH, "collation", "C.UTF-8 (builtin", "", "").check(Doctor.examine(here, builtin, o));
      warn(BOTH, "older-target", "PostgreSQL 15 is older than the source's 18", "", "")
          .check(Doctor.examine(here, as(older.targetServer(), older, "postgres", ""), o));
    }
  }

  private static void execute(PgServer server, String... statements) throws SQLException {
    try (Connection c = server.connect("postgres");
        Statement s = c.createStatement()) {
      for (String sql : statements) {
        s.execute(sql);
      }
    }
  }

  @Test
  void whatAServerIsSetTo() throws SQLException, IOException {
    try (PgServer source =
            PgServer.start(
                15,
                "max_prepared_transactions=5",
                "max_connections=20",
                "max_locks_per_transaction=10",
                "wal_level=logical");
        PgServer target =
            PgServer.start(15, "synchronous_standby_names=nobody", "synchronous_commit=local")) {
      String subscription =
          "create subscription sub connection 'host=127.0.0.1 port=1 dbname=x' publication p with (connect = false)";
      for (PgServer server : List.of(source, target)) {
        execute(
            server,
            T,
            "select pg_create_physical_replication_slot('idle', true)",
            subscription,
            "alter subscription sub enable");
      }
      execute(
          source,
          "set allow_in_place_tablespaces = on",
          "create tablespace elsewhere location ''",
          "alter table t set tablespace elsewhere",
          "do $$ begin for i in 1..130 loop execute 'create table a' || i || '(id int)'; end loop; end $$",
          "do $$ begin for i in 1..130 loop execute 'create table b' || i || '(id int)'; end loop; end $$",
          "begin",
          "insert into t values (1)",
          "prepare transaction 'forgotten'");
      List<Finding> found =
          Doctor.examine(
              database(source, "postgres"),
              database(target, "postgres"),
              new DoctorOptions("\\.t$", Set.of(), 10, Duration.ofSeconds(1), Optional.empty(), 0));
      for (Case c :
          List.of(
              warn(Side.TARGET, "prepared-transactions", "5 prepared transactions", "", ""),
              warn(Side.SOURCE, "open-prepared", "forgotten", "", ""),
              warn(Side.TARGET, "synchronous-standby", "", "", ""),
              warn(Side.SOURCE, "idle-slots", "idle, keeps ", "", ""),
              warn(Side.TARGET, "idle-slots", "idle, keeps ", "", ""),
              block(Side.SOURCE, "source-subscriptions", "sub", "", ""),
              warn(Side.TARGET, "subscriptions", "sub", "", ""),
              info(Side.SOURCE, "tablespaces", "elsewhere (1)", "", ""),
              warn(Side.SOURCE, "locks", "has room for 250 locks", "", ""))) {
        c.check(found);
      }
      // the same server as a standby of nobody
      String data;
      try (Connection c = target.connect("postgres");
          Statement s = c.createStatement();
          ResultSet r = s.executeQuery("show data_directory")) {
        r.next();
        data = r.getString(1);
      }
      target.stop();
      Files.createFile(Path.of(data, "standby.signal"));
      target.restart();
      block(Side.TARGET, "standby", "", "", "")
          .check(
              Doctor.examine(
                  database(source, "postgres"),
                  database(target, "postgres"),
                  DoctorOptions.defaults()));
    }
  }

  @Test
  void theJournalsDisk(@TempDir Path dir) throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(T);
      Optional<Path> journal = Optional.of(dir.resolve("not/there/yet"));
      for (Case c :
          List.of(
              info(BOTH, "journal-disk", "1.0 KiB", "1024", ""),
              warn(BOTH, "journal-disk", dir.toString(), "" + Long.MAX_VALUE, ""))) {
        c.check(
            examine(
                pair,
                new DoctorOptions(
                    null, Set.of(), 10, Duration.ofSeconds(1), journal, Long.parseLong(c.source))));
      }
    }
  }

  // ----------------------------------------------------------------------------------------------
  // TimescaleDB

  private static final String HYPERTABLE =
      "create table m(ts timestamptz not null, v int); select create_hypertable('m', 'ts', chunk_time_interval => interval '1 day');"
          + " alter table m set (timescaledb.compress); insert into m values ('2001-01-01Z', 1);";

  private static final String RETENTION =
      HYPERTABLE + "select add_retention_policy('m', interval '1000 years');";

  static List<Case> extensions() {
    return List.of(
        info(BOTH, "timescaledb", " on the source, ", HYPERTABLE, HYPERTABLE),
        info(
            Side.SOURCE,
            "hypertables",
            "1 hypertable, 1 chunk (1 compressed), 0 continuous aggregates.",
            HYPERTABLE + "select compress_chunk(c) from show_chunks('m') c",
            HYPERTABLE),
        info(Side.SOURCE, "source-jobs", "policy_retention on public.m", RETENTION, HYPERTABLE),
        warn(Side.TARGET, "jobs-running", "policy_retention on public.m", HYPERTABLE, RETENTION),
        warn(
            Side.SOURCE,
            "user-jobs",
            "public.fill",
            HYPERTABLE
                + "create procedure fill(job_id int, config jsonb) language plpgsql as 'begin end'; select add_job('fill', '1 week', initial_start => now() + interval '1 week')",
            HYPERTABLE),
        warn(
            Side.TARGET,
            "decompression-limit",
            "at most 100000 rows",
            HYPERTABLE + "select compress_chunk(c) from show_chunks('m') c",
            HYPERTABLE),
        block(
            Side.TARGET,
            "restoring",
            "",
            HYPERTABLE,
            HYPERTABLE + "select timescaledb_pre_restore()"),
        block(
            Side.SOURCE,
            "timescaledb-functions",
            "_timescaledb_functions.chunk_status",
            HYPERTABLE + "alter function _timescaledb_functions.chunk_status rename to gone",
            HYPERTABLE),
        warn(
            Side.SOURCE,
            "tiered",
            "timescaledb_osm",
            HYPERTABLE
                + "insert into pg_extension select 1, 'timescaledb_osm', extowner, extnamespace, false, '1', null, null from pg_extension where extname = 'plpgsql'",
            HYPERTABLE));
  }

  private static PgPair timescale() {
    Optional<PgPair> pair = PgPair.timescale();
    assumeTrue(pair.isPresent(), Installation.NO_TIMESCALEDB);
    return pair.get();
  }

  @ParameterizedTest
  @MethodSource("extensions")
  void ofTimescale(Case c) throws SQLException {
    try (PgPair pair = timescale()) {
      pair.execute(PgPair.CREATE_TIMESCALEDB);
      c.check(provoked(pair, c));
    }
  }

  @Test
  void timescaleOnOneSide() throws SQLException {
    try (PgPair pair = timescale();
        PgPair plain = PgPair.shared()) {
      DataSource with = as(pair.sourceServer(), pair, "postgres", "");
      DataSource without = as(pair.targetServer(), pair, "postgres", "");
      DataSource never = as(plain.targetServer(), plain, "postgres", "");
      DoctorOptions o = DoctorOptions.defaults();
      pair.executeSource(PgPair.CREATE_TIMESCALEDB);
      List<Finding> found = Doctor.examine(without, with, o);
      info(Side.TARGET, "timescaledb", "and none on the source", "", "").check(found);
      info(Side.TARGET, "timescaledb", "'dualwrite schema migrate' creates it", "", "")
          .check(Doctor.examine(with, without, o));
      pair.executeSource(HYPERTABLE);
      found = Doctor.examine(with, never, o);
      block(Side.TARGET, "timescaledb-missing", "has hypertables", "", "").check(found);
      block(Side.TARGET, "extension-unavailable", "timescaledb", "", "").check(found);
    }
  }

  /** The oldest version that the server offers beside the one it creates by default. */
  private static String other(PgPair pair) throws SQLException {
    try (Connection c = pair.target();
        Statement s = c.createStatement();
        ResultSet r =
            s.executeQuery(
                "select version from pg_available_extension_versions v where name = 'timescaledb'"
                    + " and version <> (select default_version from pg_available_extensions e where e.name = v.name)"
                    + " order by string_to_array(split_part(version, '-', 1), '.')::int[] limit 1")) {
      assumeTrue(r.next(), "skipped: only one version of TimescaleDB is installed");
      return r.getString(1);
    }
  }

  /** As an upgrade from before 2.7 has them; no version that could make them runs here. */
  @Test
  void aggregatesOfPartialStates() throws SQLException {
    try (PgPair pair = timescale()) {
      pair.execute("create extension timescaledb version '" + other(pair) + "'");
      pair.execute(HYPERTABLE);
      pair.executeSource(
          "create materialized view a with (timescaledb.continuous) as select time_bucket('1 hour', ts) b, count(*) from m group by 1 with no data");
      try (Connection c = pair.source();
          ResultSet r =
              c.getMetaData()
                  .getColumns(null, "_timescaledb_catalog", "continuous_agg", "finalized")) {
        assumeTrue(r.next(), "skipped: this version of TimescaleDB reads no partial states");
      }
      pair.executeSource("update _timescaledb_catalog.continuous_agg set finalized = false");
      block(Side.SOURCE, "partial-aggregates", "public.a", "", "")
          .check(examine(pair, DoctorOptions.defaults()));
    }
  }

  @Test
  void timescaleInOtherVersions() throws SQLException {
    try (PgPair pair = timescale()) {
      pair.executeSource("create extension timescaledb");
      String other = other(pair);
      // the other one is not offered
      pair.executeTarget(
          "set allow_system_table_mods = on; alter view pg_catalog.pg_available_extension_versions rename to versions_before;"
              + " create view pg_catalog.pg_available_extension_versions as select * from versions_before where name <> 'timescaledb' or version = '"
              + other
              + "'");
      warn(Side.TARGET, "timescaledb-version", other, "", "")
          .check(examine(pair, DoctorOptions.defaults()));
      pair.executeTarget("create extension timescaledb version '" + other + "'");
      warn(BOTH, "timescaledb-version", other, "", "")
          .check(examine(pair, DoctorOptions.defaults()));
      pair.executeSource(HYPERTABLE);
      block(BOTH, "timescaledb-version", other, "", "")
          .check(examine(pair, DoctorOptions.defaults()));
    }
  }

  @Test
  void serversThatRunTimescaleOtherwise() throws SQLException {
    Optional<Installation> installation = Installation.offering("timescaledb");
    assumeTrue(installation.isPresent(), Installation.NO_TIMESCALEDB);
    try (PgPair pair = timescale();
        PgServer bare = installation.get().start();
        PgServer apache =
            installation
                .get()
                .start("shared_preload_libraries=timescaledb", "timescaledb.license=apache")) {
      pair.executeSource(PgPair.CREATE_TIMESCALEDB);
      DataSource source = as(pair.sourceServer(), pair, "postgres", "");
      DoctorOptions o = DoctorOptions.defaults();
      block(Side.TARGET, "timescaledb-preload", "", "", "")
          .check(Doctor.examine(source, database(bare, "postgres"), o));
      apache.createDatabase("edition");
      try (Connection c = apache.connect("edition");
          Statement s = c.createStatement()) {
        s.execute(PgPair.CREATE_TIMESCALEDB);
      }
      warn(Side.TARGET, "license", "Apache edition", "", "")
          .check(Doctor.examine(source, database(apache, "edition"), o));
    }
  }
}
