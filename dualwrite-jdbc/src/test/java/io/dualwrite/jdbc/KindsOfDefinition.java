package io.dualwrite.jdbc;

/** DDL: what a schema tool, or an application that makes its own tables, executes. */
final class KindsOfDefinition {

  private KindsOfDefinition() {}

  private static final String DDL =
      """
      create table §t(id int primary key, v int, s text);
      create table §k(line text);
      create type §mood as enum ('a', 'b');
      insert into §t values (1, 1, 'one'), (2, 2, 'two');
      insert into §k values ('l');
      """;

  private static final String CLOCKS =
      "create table §c(id int primary key, at timestamptz, rnd int); insert into §c values (1, '2001-01-01Z', 1), (2, null, 2)";

  static void in(Kind.Table t) {
    define(
        t,
        "create table",
        "create table §n(id int primary key, v int)",
        "insert into §n values (1, 1), (2, 2)",
        "update §n set v = 3 where id = 1");
    define(t, "create table keyless", "create table §n(v int)", "insert into §n values (1), (1)");
    define(
        t,
        "create table if not exists",
        "create table if not exists §t(id int)",
        "create table if not exists §n(id serial primary key, v text default 'd')",
        "insert into §n(v) values ('x') returning *");
    define(
        t,
        "create table identity and checks",
        "create table §n(id bigint generated always as identity primary key, v int check (v > 0), w int generated always as (v * 2) stored, unique (v))",
        "insert into §n(v) values (5) returning *");
    define(
        t,
        "create table with foreign key",
        "create table §n(id int primary key, t int references §t on delete cascade)",
        "insert into §n values (1, 1)",
        "delete from §t where id = 1");
    define(
        t,
        "create table like",
        "create table §n(like §t including all)",
        "insert into §n select * from §t");
    define(
        t,
        "create table as",
        "create table §n as select id, v * 2 as w from §t",
        "insert into §n values (5, 5)");
    define(
        t,
        "create table as volatile",
        "create table §n as select id, random() as rnd, clock_timestamp() as at from §t");
    define(
        t,
        "create table as with parameters",
        "create table §n as select * from §t where id = 1 with no data");
    define(
        t,
        "create unlogged table",
        "create unlogged table §n(id int primary key)",
        "insert into §n values (1)");
    // what the query of it writes
    define(
        t,
        "table of a query that deletes",
        "create table §n as with d as (delete from §t where id = 1 returning *) select * from d");
    t.exact(
            "table of a query that inserts",
            "create table §n as with i as (insert into §t values (5, 5, 'five') returning *) select id from i")
        .on(DDL)
        .structure();
    define(
        t,
        "temporary table of a query that deletes",
        "create temp table n as with d as (delete from §t where id = 1 returning *) select * from d",
        "insert into §k select s from n",
        "drop table n");
    define(
        t,
        "table of a query that updates, select into",
        "with u as (update §t set v = 9, s = 'x' where id = 1 returning *) select id, v into §n from u");
    define(
        t,
        "temporary table of a query that updates, select into",
        "with u as (update §t set v = 9, s = 'x' where id = 1 returning *) select id, v into temp n from u",
        "drop table n");
    define(
        t,
        "table of a query with a function that deletes",
        "create function §f() returns int language sql as 'delete from §t where id = 1; select 1'",
        "create table §n as select §f() as f");
    define(
        t,
        "table of a query with a view that deletes",
        "create function §f() returns int language sql as 'delete from §t where id = 1; select 1'",
        "create view §v as select §f() as f",
        "create table §n as select f from §v");
    define(t, "select into", "select id, v into §n from §t");
    define(
        t,
        "create partitioned table",
        "create table §p(id int primary key) partition by range (id)",
        "create table §p1 partition of §p for values from (0) to (100)",
        "insert into §p values (5)");
    define(
        t,
        "attach and detach partition",
        "create table §p(id int primary key, v text) partition by range (id)",
        "create table §p1(id int primary key, v text)",
        "insert into §p1 values (5, 'x')",
        "alter table §p attach partition §p1 for values from (0) to (100)",
        "update §p set v = 'y' where id = 5",
        "alter table §p detach partition §p1",
        "insert into §p1 values (500, 'z')");
    define(t, "drop table", "insert into §t values (5, 5, 'five')", "drop table §t");
    define(
        t,
        "drop table and create another",
        "drop table §t",
        "create table §t(id text primary key, w int)",
        "insert into §t values ('a', 1)",
        "update §t set w = 2");
    define(t, "drop if exists", "drop table if exists §nosuch, §k");
    t.exact("drop missing", "drop table §nosuch").on(DDL).structure().fails();
    define(
        t,
        "add column",
        "alter table §t add column c int",
        "insert into §t values (5, 5, 'five', 55)",
        "update §t set c = 7 where id = 1 returning *");
    define(
        t,
        "add column with constant default",
        "alter table §t add column c int not null default 42",
        "insert into §t(id) values (5) returning c",
        "update §t set v = 9");
    define(
        t,
        "add column with volatile default",
        "alter table §t add column rnd float8 default random()",
        "insert into §t(id) values (5)");
    define(t, "add column with now()", "alter table §t add column at timestamptz default now()");
    define(
        t,
        "add column with clock",
        "alter table §t add column at timestamptz default clock_timestamp()");
    define(
        t,
        "add column uuid",
        "alter table §t add column uid uuid not null default gen_random_uuid()",
        "insert into §t(id) values (5)");
    define(t, "add serial column", "alter table §t add column c serial");
    define(
        t,
        "add identity column",
        "alter table §t add column c int generated by default as identity",
        "insert into §t(id) values (5) returning c");
    define(
        t,
        "add generated column",
        "alter table §t add column c int generated always as (v + 1) stored",
        "insert into §t(id, v) values (5, 5) returning c");
    define(
        t,
        "drop column",
        "alter table §t drop column s",
        "insert into §t values (5, 5)",
        "update §t set v = 1");
    define(
        t,
        "rename column",
        "alter table §t rename column v to w",
        "update §t set w = 5 where id = 1",
        "insert into §t(id, w) values (7, 7)");
    define(
        t, "rename table", "alter table §t rename to t2", "insert into §t2 values (5, 5, 'five')");
    define(
        t,
        "swap tables by rename",
        "alter table §t rename to t_old",
        "create table §t(id int primary key, v int)",
        "insert into §t select id, v from §t_old",
        "drop table §t_old");
    define(
        t,
        "alter type",
        "alter table §t alter column v type bigint",
        "insert into §t values (5, 5000000000, 'five')");
    define(
        t,
        "alter type using",
        "alter table §t alter column v type text using 'v' || v",
        "insert into §t values (5, 'x', 'y')");
    define(
            t,
            "alter type using volatile",
            "alter table §c alter column rnd type float8 using rnd + random()")
        .on(CLOCKS);
    define(
        t,
        "set and drop default",
        "alter table §t alter column v set default 77",
        "insert into §t(id) values (5)",
        "alter table §t alter column v drop default",
        "insert into §t(id) values (6)");
    define(
            t,
            "set default to the clock",
            "alter table §c alter column at set default clock_timestamp()",
            "insert into §c(id) values (5)")
        .on(CLOCKS);
    define(t, "set not null", "alter table §t alter column v set not null");
    t.exact(
            "set not null violated",
            "insert into §t(id) values (5)",
            "alter table §t alter column v set not null")
        .on(DDL)
        .structure()
        .fails();
    define(
        t,
        "add constraint",
        "alter table §t add constraint positive check (v > 0) not valid",
        "alter table §t validate constraint positive",
        "alter table §t add unique (v)",
        "alter table §t drop constraint positive");
    define(
        t,
        "add primary key to keyless",
        "alter table §k add column id serial primary key",
        "update §k set line = 'updated' where id = 1");
    define(
        t,
        "drop primary key",
        "alter table §t drop constraint t_pkey",
        "insert into §t values (1, 1, 'again')");
    define(
        t,
        "change primary key",
        "alter table §t drop constraint t_pkey, add primary key (v)",
        "update §t set s = 'x' where v = 1",
        "delete from §t where v = 2");
    define(
        t,
        "create index",
        "create index t_v on §t(v)",
        "create unique index t_s on §t(lower(s)) where v > 0",
        "drop index §t_v",
        "reindex table §t",
        "alter index §t_s rename to t_lower");
    t.exact(
            "create index concurrently",
            "create index concurrently t_v on §t(v)",
            "reindex index concurrently §t_v",
            "drop index concurrently §t_v",
            "create index concurrently on §t(s)")
        .on(DDL)
        .structure()
        .alone();
    define(
        t,
        "create type and domain",
        "create type §color as enum ('red', 'green')",
        "create type §pair as (a int, b text)",
        "create domain §pos as int check (value > 0)",
        "create table §n(id int primary key, c §color, p §pair, d §pos)",
        "insert into §n values (1, 'red', row(1, 'x'), 5)");
    t.exact(
            "add enum value",
            "alter type §mood add value 'c' after 'a'",
            "create table §n(id int primary key, m §mood)",
            "insert into §n values (1, 'c')")
        .on(DDL)
        .structure()
        .alone();
    define(t, "rename enum value", "alter type §mood rename value 'a' to 'z'");
    define(
        t,
        "create view",
        "create view §v as select id, v from §t",
        "create or replace view §v as select id, v, s from §t",
        "insert into §v values (5, 5, 'five')",
        "drop view §v");
    define(
        t,
        "create materialized view",
        "create materialized view §m as select count(*) as n from §t");
    define(
        t,
        "create function and use it",
        "create function §twice(n int) returns int language sql immutable as 'select n * 2'",
        "insert into §t(id, v) values (5, §twice(5))",
        "create or replace function §twice(n int) returns int language sql immutable as 'select n * 3'",
        "update §t set v = §twice(v)");
    define(
        t,
        "create function in dollars",
        "create function §f() returns void language plpgsql as $body$ begin insert into nosuch values (1); end; $body$");
    define(
            t,
            "create function with sql body",
            "create function §f(n int) returns int language sql return n + 1")
        .since(14);
    define(
            t,
            "create procedure",
            "create procedure §p() language sql begin atomic insert into §t(id) values (99); end")
        .since(14);
    define(
        t,
        "create trigger and fire it",
        "create function §f() returns trigger language plpgsql as $$ begin new.s := 'stamped'; return new; end $$",
        "create trigger f before insert on §t for each row execute function §f()",
        "insert into §t(id) values (5) returning s",
        "alter table §t disable trigger f",
        "drop trigger f on §t");
    define(t, "create rule", "create rule r as on delete to §k do instead nothing");
    define(
        t,
        "create sequence",
        "create sequence §s start 5 increment 2",
        "insert into §t(id) values (nextval('§s'))",
        "alter sequence §s increment 10",
        "drop sequence if exists §nosuch");
    t.exact(
            "create schema",
            a -> {
              String x = a.schema() + "x";
              a.sql("create schema " + x);
              a.sql("create table " + x + ".t(id int primary key)");
              a.sql("insert into " + x + ".t values (1)");
              a.sql("drop schema " + x + " cascade");
            })
        .on(DDL)
        .once();
    define(t, "create statistics", "create statistics §st on id, v from §t");
    define(
        t,
        "comment",
        "comment on table §t is 'it''s a table; really'",
        "comment on column §t.v is 'value'");
    define(
        t,
        "grant and revoke",
        "grant select, insert on §t to public",
        "revoke insert on §t from public");
    define(
        t,
        "row level security",
        "alter table §t enable row level security",
        "create policy p on §t using (v > 0)");
    define(
        t,
        "storage parameters",
        "alter table §t set (fillfactor = 70)",
        "alter table §t alter column s set storage external",
        "alter table §t replica identity full",
        "alter table §t set unlogged");
    define(
        t,
        "inherit",
        "create table §kid(extra int) inherits (§t)",
        "insert into §kid values (9, 9, 'kid', 9)");
    define(t, "vacuum-like maintenance", "analyze §t", "cluster §t using t_pkey");
    t.exact("vacuum", "vacuum §t").on(DDL).alone();
    define(
        t,
        "ddl between writes",
        "insert into §t values (5, 5, 'five')",
        "alter table §t add column c int default 1",
        "update §t set c = 2 where id = 5",
        "alter table §t drop column s",
        "insert into §t values (6, 6, 6)",
        "delete from §t where id = 1");
    t.exact(
            "ddl that is rolled back",
            a -> {
              boolean auto = a.c.getAutoCommit();
              a.c.setAutoCommit(false);
              var s = a.c.setSavepoint();
              a.sql("create table §n(id int primary key)");
              a.sql("insert into §n values (1)");
              a.c.rollback(s);
              a.sql("insert into §t values (9, 9, 'nine')");
              if (auto) {
                a.c.commit();
                a.c.setAutoCommit(true);
              }
            })
        .on(DDL)
        .structure();
    t.exact(
            "ddl fails in a transaction",
            "insert into §t values (9, 9, 'nine')",
            "create table §t(id int)")
        .on(DDL)
        .structure()
        .fails();
    define(
        t,
        "several ddl in one text",
        "create table §a(id int primary key); create table §b(id int references §a); create index on §b(id); insert into §a values (1)");
    define(
            t,
            "migration tool's history",
            "create table if not exists §history(rank int primary key, script text, at timestamp default now(), ok boolean)",
            "insert into §history(rank, script, ok) values (1, 'V1', true)")
        .alone();
  }

  private static Kind define(Kind.Table t, String name, String... texts) {
    return t.suspect(name, texts).on(DDL).structure();
  }
}
