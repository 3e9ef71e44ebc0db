package io.dualwrite.jdbc;

import java.sql.CallableStatement;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Types;

/** What server-side code writes: DO, CALL, functions. */
final class KindsOfRoutine {

  private KindsOfRoutine() {}

  private static final String DDL =
      """
      create table §t(id int primary key, v int, at timestamptz default clock_timestamp());
      create table §s(id serial primary key, v int);
      create table §k(v int);
      insert into §t values (1, 1, '2001-01-01Z'), (2, 2, '2001-01-01Z');
      create function §put(n int) returns int language plpgsql as $$ begin insert into §t(id, v) values (n, n); return n * 2; end $$;
      create function §put_sql(n int) returns int language sql as 'insert into §t(id, v) values (n, n) returning v';
      create function §many(n int) returns setof int language sql as 'insert into §t(id, v) select g, g from generate_series(100, 99 + n) g returning id';
      create function §rows_of() returns setof §t language sql as 'update §t set v = v + 1 returning *';
      create function §nested(n int) returns void language plpgsql as $$ begin perform §put(n); perform §put(n + 1); update §t set v = 0 where id = 1; delete from §t where id = 2; end $$;
      create function §keyless(n int) returns void language sql as 'insert into §k values (n)';
      create function §change_key(o int, n int) returns void language sql as 'update §t set id = n where id = o';
      create function §outs(i int, out a int, out b text) language plpgsql as $$ begin insert into §t(id, v) values (i, i); a := i + 1; b := 'out'; end $$;
      create function §secure(n int) returns int language plpgsql security definer set search_path = pg_catalog as $$ begin insert into §t(id, v) values (n, n); return n; end $$;
      create function §dynamic(n int) returns void language plpgsql as $$ begin execute format('insert into §s(v) values (%s)', n); end $$;
      create function §caught(n int) returns text language plpgsql as $$ begin insert into §t(id, v) values (n, 1); begin insert into §t(id, v) values (n, 2); exception when unique_violation then return 'caught'; end; return 'no'; end $$;
      create function §fails(n int) returns void language plpgsql as $$ begin insert into §t(id, v) values (n, 1); raise exception 'sorry %', n using errcode = 'P0042'; end $$;
      create function §notices(n int) returns int language plpgsql as $$ begin raise warning 'wrote %', n; insert into §t(id, v) values (n, n); return n; end $$;
      create function §cursor_of() returns refcursor language plpgsql as $$ declare c refcursor := 'mycursor'; begin insert into §t(id, v) values (70, 70); open c for select id, v from §t order by id; return c; end $$;
      create function §reads() returns bigint stable language sql as 'select count(*) from §t';
      create function §reads_volatile() returns bigint language sql as 'select count(*) from §t';
      create procedure §work(n int) language plpgsql as $$ begin insert into §t(id, v) values (n, n); update §t set v = v + 1 where id = 1; end $$;
      create procedure §work_sql(n int) language sql as 'insert into §s(v) values (n); insert into §t(id, v) values (n, n)';
      create procedure §inout(inout n int) language plpgsql as $$ begin insert into §t(id, v) values (n, n); n := n + 1; end $$;
      create procedure §commits() language plpgsql as $$ begin for i in 10..13 loop insert into §t(id, v) values (i, i); if i % 2 = 1 then commit; else rollback; end if; end loop; end $$;
      """;

  static void in(Kind.Table t) {
    t.suspect(
            "do",
            "do $$ begin insert into §t(id, v) values (9, 9); update §t set v = 5 where id = 1; delete from §t where id = 2; end $$")
        .on(DDL);
    t.suspect(
            "do loop",
            "do $$ declare i int; begin for i in 10..15 loop insert into §s(v) values (i); end loop; end $$")
        .on(DDL);
    t.suspect("do that writes nothing", "do $$ begin perform 1; end $$").on(DDL);
    t.suspect(
            "do raises",
            "do $$ begin insert into §t(id, v) values (9, 9); raise exception 'no'; end $$")
        .on(DDL)
        .fails();
    t.suspect(
            "do with ddl",
            "do $$ begin create table §made(id int primary key); insert into §made values (1); end $$")
        .on(DDL)
        .structure();
    t.suspect(
            "do that commits",
            "do $$ begin insert into §t(id, v) values (9, 9); commit; insert into §t(id, v) values (10, 9); end $$")
        .on(DDL)
        .alone();
    t.suspect(
            "do with a write before and after",
            "insert into §t(id, v) values (20, 1)",
            "do $$ begin update §t set v = v * 10; end $$",
            "update §t set v = v + 1 where id = 20")
        .on(DDL);
    t.suspect("call", "call §work(9)").on(DDL);
    t.suspect("call sql procedure", a -> a.sql("call §work_sql(?)", 9)).on(DDL);
    t.suspect("call inout", a -> a.sql("call §inout(?)", 9)).on(DDL);
    t.suspect("call that commits", "call §commits()").on(DDL).alone();
    t.suspect("call fails", "call §work(1)").on(DDL).fails();
    t.suspect("select function that writes", "select §put(9) as p").on(DDL);
    t.suspect("select sql function that writes", a -> a.sql("select §put_sql(?)", 9)).on(DDL);
    t.suspect("select from set-returning function that writes", "select * from §many(4)").on(DDL);
    t.suspect("function that returns rows", "select id, v from §rows_of()").on(DDL);
    t.suspect("nested functions", "select §nested(20)").on(DDL);
    t.suspect("function writes keyless", "select §keyless(20)").on(DDL);
    t.suspect("function changes key", "select §change_key(1, 50)").on(DDL);
    t.suspect("function with out parameters", "select * from §outs(9)").on(DDL);
    t.suspect("security definer", "select §secure(9)").on(DDL);
    t.suspect("dynamic sql in function", "select §dynamic(9)").on(DDL);
    t.suspect("function that catches", "select §caught(9)").on(DDL);
    t.suspect("function that fails", "select §fails(9)").on(DDL).fails();
    t.suspect("function that warns", "select §notices(9)").on(DDL);
    t.suspect(
            "function in insert values",
            a -> a.sql("insert into §s(v) values (§put(?)) returning *", 9))
        .on(DDL);
    t.suspect("function in where of update", "update §s set v = 1 where id = §put(9)").on(DDL);
    t.suspect("function per row", "select §put(g) from generate_series(10, 12) g").on(DDL);
    t.exact("function that reads, stable", "select §reads()").on(DDL);
    t.suspect("function that reads, volatile", "select §reads_volatile()").on(DDL);
    t.suspect("function in default", "insert into §d(id) values (1)")
        .on(DDL + "create table §d(id int primary key, v int default §put(30));");
    t.suspect("function in lateral", "select * from (values (40), (41)) x(n), lateral §put(n) p")
        .on(DDL);
    t.suspect(
            "writing view of a function",
            "create view §w as select §put(55) as p",
            "select * from §w")
        .on(DDL)
        .structure();
    t.suspect(
            "callable call",
            a ->
                a.attempt(
                    x -> {
                      try (CallableStatement s = a.c.prepareCall(a.text("{call §work(?)}"))) {
                        s.setInt(1, 9);
                        a.see(s.execute());
                        a.see(s.getUpdateCount());
                      }
                    }))
        .on(
            DDL.replace(
                "create procedure §work(n int) language plpgsql as $$ begin",
                "create function §work(n int) returns void language plpgsql as $$ begin"));
    t.suspect(
            "callable function result",
            a ->
                a.attempt(
                    x -> {
                      try (CallableStatement s = a.c.prepareCall(a.text("{? = call §put(?)}"))) {
                        s.registerOutParameter(1, Types.INTEGER);
                        s.setInt(2, 9);
                        a.see(s.execute());
                        a.see(s.getInt(1));
                        a.see(s.getObject(1));
                        a.see(s.wasNull());
                      }
                    }))
        .on(DDL);
    t.suspect(
            "callable out parameters",
            a ->
                a.attempt(
                    x -> {
                      try (CallableStatement s = a.c.prepareCall(a.text("{call §outs(?, ?, ?)}"))) {
                        s.setInt(1, 9);
                        s.registerOutParameter(2, Types.INTEGER);
                        s.registerOutParameter(3, Types.VARCHAR);
                        a.see(s.execute());
                        a.see(s.getInt(2) + s.getString(3));
                      }
                    }))
        .on(DDL);
    t.suspect(
            "callable text call",
            a ->
                a.attempt(
                    x -> {
                      try (CallableStatement s = a.c.prepareCall(a.text("call §work(?)"))) {
                        s.setInt(1, 9);
                        a.see(s.execute());
                      }
                    }))
        .on(DDL);
    t.suspect(
            "callable batch",
            a ->
                a.attempt(
                    x -> {
                      try (CallableStatement s = a.c.prepareCall(a.text("call §work(?)"))) {
                        for (int i = 10; i < 13; i++) {
                          s.setInt(1, i);
                          s.addBatch();
                        }
                        a.see(s.executeBatch());
                      }
                    }))
        .on(DDL);
    t.exact(
        "callable that reads",
        a ->
            a.attempt(
                x -> {
                  try (CallableStatement s = a.c.prepareCall("{? = call abs(?)}")) {
                    s.registerOutParameter(1, Types.INTEGER);
                    s.setInt(2, -9);
                    a.see(s.execute());
                    a.see(s.getInt(1));
                  }
                }));
    t.exact(
        "callable of a plain insert",
        a ->
            a.attempt(
                x -> {
                  try (CallableStatement s =
                      a.c.prepareCall("insert into pair values (?, 'c', 1)")) {
                    s.setInt(1, 9);
                    a.see(s.executeUpdate());
                  }
                }));
    t.suspect(
            "refcursor by callable",
            a ->
                a.attempt(
                    x -> {
                      boolean auto = a.c.getAutoCommit();
                      a.c.setAutoCommit(false);
                      try (CallableStatement s =
                          a.c.prepareCall(a.text("{? = call §cursor_of()}"))) {
                        s.registerOutParameter(1, Types.REF_CURSOR);
                        a.see(s.execute());
                        a.rows((ResultSet) s.getObject(1));
                      }
                      if (auto) {
                        a.c.commit();
                        a.c.setAutoCommit(true);
                      }
                    }))
        .on(DDL);
    t.suspect(
            "refcursor by select and fetch",
            a ->
                a.attempt(
                    x -> {
                      boolean auto = a.c.getAutoCommit();
                      a.c.setAutoCommit(false);
                      a.sql("select §cursor_of()");
                      a.sql("fetch all in mycursor");
                      a.sql("close mycursor");
                      if (auto) {
                        a.c.commit();
                        a.c.setAutoCommit(true);
                      }
                    }))
        .on(DDL);
    t.suspect(
            "prepared function executed six times",
            a ->
                a.attempt(
                    x -> {
                      try (PreparedStatement s = a.c.prepareStatement(a.text("select §put(?)"))) {
                        for (int i = 10; i < 16; i++) {
                          s.setInt(1, i);
                          a.results(s, s.execute());
                        }
                      }
                    }))
        .on(DDL);
    t.suspect(
        "function as escape",
        a ->
            a.attempt(
                x -> {
                  try (PreparedStatement s =
                      a.c.prepareStatement("select {fn abs(-1)} as a, {fn now()} as at")) {
                    a.results(s, s.execute());
                  }
                }));
  }
}
