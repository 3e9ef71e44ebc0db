package io.dualwrite.backfill.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.backfill.doctor.Finding.Severity;
import io.dualwrite.control.ControlSchema;
import io.dualwrite.embedded.PgPair;
import io.dualwrite.embedded.PgServer;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import javax.sql.DataSource;
import org.junit.jupiter.api.Test;
import org.postgresql.ds.PGSimpleDataSource;

class DoctorTest {

  static DataSource as(PgServer server, PgPair pair, String user, String options) {
    PGSimpleDataSource d = new PGSimpleDataSource();
    d.setUrl(server.url(pair.database()));
    d.setUser(user);
    d.setPassword(server.password());
    if (!options.isEmpty()) {
      d.setOptions(options);
    }
    return d;
  }

  static List<Finding> examine(PgPair pair, DoctorOptions options) {
    return Doctor.examine(
        as(pair.sourceServer(), pair, "postgres", ""),
        as(pair.targetServer(), pair, "postgres", ""),
        options);
  }

  private static List<Finding> examine(PgPair pair) {
    List<Finding> found = examine(pair, DoctorOptions.defaults());
    assertEquals(List.of(), of(found, "not-checked"), "a check failed");
    return found;
  }

  static List<Finding> of(List<Finding> found, String code) {
    return found.stream().filter(f -> f.code().equals(code)).toList();
  }

  static Finding one(List<Finding> found, String code) {
    List<Finding> some = of(found, code);
    assertEquals(1, some.size(), code + " in " + found);
    return some.get(0);
  }

  private static void assertFound(
      List<Finding> found, Severity severity, String code, String... objects) {
    Finding f = one(found, code);
    assertEquals(severity, f.severity(), f.toString());
    assertFalse(f.meaning().isEmpty());
    assertEquals(severity == Severity.INFO, f.action().isEmpty(), f.toString());
    for (String o : objects) {
      assertTrue(f.objects().stream().anyMatch(x -> x.contains(o)), o + " in " + f);
    }
  }

  private static Set<String> codes(List<Finding> found, Severity severity) {
    return found.stream()
        .filter(f -> f.severity() == severity)
        .map(Finding::code)
        .collect(Collectors.toSet());
  }

  @Test
  void nothingBlocksWhereNothingIsWrong() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute(
          """
          create table customer(id bigint generated always as identity primary key, name text not null unique);
          create table orders(id serial primary key, customer bigint references customer, total numeric check (total > 0));
          create index on orders(customer);
          create table event(at timestamptz, id int, primary key (at, id)) partition by range (at);
          create table event_1 partition of event for values from ('2001-01-01Z') to ('2002-01-01Z');
          create type mood as enum ('good', 'bad'); create view v as select * from orders""");
      List<Finding> found = examine(pair);
      assertEquals(Set.of(), codes(found, Severity.BLOCK), found.toString());
      // both test servers are alike in everything; for speed they may run without fsync
      assertTrue(Set.of("not-durable").containsAll(codes(found, Severity.WARN)), found.toString());
      assertTrue(
          one(found, "tables").meaning().contains("3 tables to move, 1 of them partitioned"));
      assertEquals(2, of(found, "version").size());
      assertTrue(one(found, "clock-skew").meaning().contains("agree"));
      assertEquals(1, of(found, "disk").size());
    }
  }

  @Test
  void anEmptyTargetIsNoObstacle() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.executeSource(
          "create table a(id int primary key); create table b(id int primary key); create extension citext");
      List<Finding> found = examine(pair);
      assertEquals(Set.of(), codes(found, Severity.BLOCK), found.toString());
      assertFound(found, Severity.INFO, "empty");
      pair.executeTarget("create table a(id int primary key)");
      assertFound(examine(pair), Severity.BLOCK, "table-missing", "public.b");
    }
  }

  @Test
  void whatIsNotMovedIsNamedAndCanBeAccepted() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.executeSource(
          """
          create table base(id int primary key); create table kid() inherits (base);
          select lo_create(0);
          create table log(v text); create unlogged table cache(k int primary key);
          create table t(id int primary key);
          create function f() returns trigger language plpgsql as 'begin return new; end';
          create trigger tr before insert on t for each row execute function f();
          create table ruled(id int primary key);
          create rule r as on insert to ruled do also nothing;
          create foreign data wrapper w; create server s foreign data wrapper w;
          create foreign table ft(id int) server s;
          create materialized view mv as select 1;
          create publication p for table t""");
      List<Finding> found = examine(pair);
      assertFound(found, Severity.BLOCK, "not-copied", "public.base", "public.kid");
      assertFound(found, Severity.BLOCK, "large-objects");
      assertFound(found, Severity.WARN, "keyless", "public.log");
      assertFound(found, Severity.WARN, "unlogged", "public.cache");
      assertFound(found, Severity.WARN, "triggers", "public.t (tr)");
      assertFound(found, Severity.WARN, "rules", "public.ruled");
      assertFound(found, Severity.WARN, "foreign-tables", "public.ft");
      assertFound(found, Severity.WARN, "publications", "p");
      assertFound(found, Severity.INFO, "materialized-views", "public.mv");
      DoctorOptions o =
          new DoctorOptions(
              "^public\\.t$",
              Set.of("large-objects"),
              10,
              Duration.ofSeconds(1),
              Optional.empty(),
              0);
      found = examine(pair, o);
      assertEquals(Set.of(), codes(found, Severity.BLOCK), found.toString());
      assertFound(found, Severity.WARN, "large-objects");
      assertEquals(List.of(), of(found, "keyless"));
      pair.executeSource("select lo_unlink(oid) from pg_largeobject_metadata");
    }
  }

  @Test
  void differencesOfTheSchemasAreFound() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.executeSource(
          """
          create type mood as enum ('good', 'bad'); create domain price as numeric(12,4);
          create table t(id int primary key, a text, b int default 7, c int not null, m mood, d price);
          create table p(id int primary key);
          create index by_b on t(b); create sequence s; create sequence q;
          alter table t add constraint ref foreign key (c) references p;
          create table k(id int primary key); create table light(id int primary key);
          create table parted(id int primary key) partition by range (id);
          create table first partition of parted for values from (0) to (10);
          create table second partition of parted for values from (10) to (20);
          create function helper() returns int language sql as 'select 1'""");
      pair.executeTarget(
          """
          create type mood as enum ('good'); create domain price as numeric(12,2);
          create table t(id int primary key, a text not null, b int default 8, c int, m mood, d price);
          create table p(id int primary key);
          create unique index only_here on t(a); create sequence s increment 2;
          alter table t add constraint u unique (b); alter table t add check (b < 100);
          create table k(id int); create unlogged table light(id int primary key);
          create table parted(id int primary key) partition by range (id);
          create table first partition of parted for values from (0) to (10);
          create function f() returns trigger language plpgsql as 'begin return new; end';
          create trigger tr before insert on p for each row execute function f();
          insert into p values (1)""");
      List<Finding> found = examine(pair);
      assertFound(found, Severity.BLOCK, "not-null", "public.t.a");
      assertFound(found, Severity.WARN, "nullable", "public.t.c");
      assertFound(found, Severity.WARN, "defaults", "public.t.b: 7 / 8");
      assertFound(found, Severity.BLOCK, "stricter", "UNIQUE (b)");
      assertFound(found, Severity.BLOCK, "stricter-index", "unique USING btree (a)");
      assertFound(found, Severity.WARN, "checks-differ", "(b < 100)");
      assertFound(found, Severity.WARN, "constraint-missing", "FOREIGN KEY (c)");
      assertFound(found, Severity.WARN, "index-missing", "public.t: USING btree (b)");
      assertFound(found, Severity.BLOCK, "sequence-missing", "public.q");
      assertFound(found, Severity.WARN, "sequence-differs", "public.s");
      assertFound(found, Severity.WARN, "routine-missing", "function public.helper()");
      assertFound(
          found,
          Severity.BLOCK,
          "table-differs",
          "public.k: its key (id)",
          "public.t: type public.price of column d is numeric(12,4) on the source and numeric(12,2) on the target; type public.mood of column m lacks on the target: bad",
          "public.light: is unlogged",
          "takes the rows of public.second");
      assertFound(found, Severity.BLOCK, "target-triggers", "public.p (tr)");
      assertFound(found, Severity.WARN, "not-empty", "public.p");
    }
  }

  @Test
  void whatARoleMayNotDoIsNamed() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      for (PgServer server : List.of(pair.sourceServer(), pair.targetServer())) {
        try (Connection c = server.connect(pair.database());
            Statement s = c.createStatement()) {
          s.execute(
              """
              do $$ begin create role doctor_poor login password 'postgres'; exception when duplicate_object then null; end $$;
              create table hidden(id int primary key); create table seen(id int primary key);
              create table guarded(id int primary key); alter table guarded enable row level security;
              create sequence s; grant select on seen, guarded to doctor_poor""");
        }
      }
      List<Finding> found =
          Doctor.examine(
              as(pair.sourceServer(), pair, "doctor_poor", ""),
              as(pair.targetServer(), pair, "doctor_poor", ""),
              DoctorOptions.defaults());
      assertEquals(List.of(), of(found, "not-checked"));
      for (String code : List.of("no-select", "row-security")) {
        assertEquals(2, of(found, code).size(), code);
        assertEquals(Severity.BLOCK, of(found, code).get(0).severity());
      }
      assertEquals(List.of("public.hidden"), of(found, "no-select").get(0).objects());
      assertEquals(List.of("public.guarded"), of(found, "row-security").get(0).objects());
      // what blocks on the target is for later on the source
      for (String code : List.of("no-write", "control-schema")) {
        assertEquals(
            List.of("target BLOCK", "source WARN"),
            of(found, code).stream().map(f -> f.side().get() + " " + f.severity()).toList(),
            code);
      }
      assertEquals(2, of(found, "sequence-privilege").size());
      assertEquals(2, of(found, "no-stats").size());
      assertFound(found, Severity.WARN, "not-owner", "public.hidden", "public.guarded");
      // what another role's commands left there is the writers' business too
      try (Connection t = pair.target()) {
        ControlSchema.install(t);
      }
      pair.executeTarget("grant usage, create on schema dualwrite to doctor_poor");
      found =
          Doctor.examine(
              as(pair.sourceServer(), pair, "doctor_poor", ""),
              as(pair.targetServer(), pair, "doctor_poor", ""),
              DoctorOptions.defaults());
      assertFound(found, Severity.BLOCK, "control-tables", "dualwrite.control");
      pair.executeTarget("grant all on all tables in schema dualwrite to doctor_poor");
      found =
          Doctor.examine(
              as(pair.sourceServer(), pair, "doctor_poor", ""),
              as(pair.targetServer(), pair, "doctor_poor", ""),
              DoctorOptions.defaults());
      assertEquals(List.of(), of(found, "control-tables"));
    }
  }

  @Test
  void settingsOfTheRoleCount() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key)");
      pair.executeSource("alter database \"" + pair.database() + "\" set timezone = 'Asia/Tokyo'");
      List<Finding> found =
          Doctor.examine(
              as(
                  pair.sourceServer(),
                  pair,
                  "postgres",
                  "-c standard_conforming_strings=off -c synchronous_commit=off -c track_counts=off -c idle_in_transaction_session_timeout=1500 -c IntervalStyle=iso_8601"),
              as(pair.targetServer(), pair, "postgres", "-c default_transaction_read_only=on"),
              DoctorOptions.defaults());
      assertFound(found, Severity.BLOCK, "standard-strings");
      assertFound(found, Severity.BLOCK, "read-only");
      assertFound(found, Severity.WARN, "track-counts");
      assertTrue(
          of(found, "not-durable").stream()
              .anyMatch(f -> f.objects().contains("synchronous_commit")));
      assertFound(found, Severity.WARN, "idle-timeout");
      assertFound(found, Severity.WARN, "database-settings", "database: TimeZone=Asia/Tokyo");
      assertFound(found, Severity.WARN, "settings-differ", "IntervalStyle: iso_8601 / postgres");
    }
  }

  @Test
  void oneDatabaseTwiceIsNoPair() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      DataSource d = as(pair.sourceServer(), pair, "postgres", "");
      assertFound(Doctor.examine(d, d, DoctorOptions.defaults()), Severity.BLOCK, "same-database");
    }
  }

  @Test
  void openTransactionsAndFewConnectionsAreSeen() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table t(id int primary key)");
      pair.executeSource("alter database \"" + pair.database() + "\" connection limit 5");
      List<Finding> found = examine(pair);
      assertEquals(
          List.of(Severity.WARN, Severity.INFO),
          of(found, "connections").stream().map(Finding::severity).toList());
      assertTrue(of(found, "connections").get(0).meaning().contains("database's CONNECTION LIMIT"));
    }
  }
}
