package io.dualwrite.jdbc;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Statement;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;

/**
 * What depends on the session: transactions as text, savepoints, settings, cursors, PREPARE,
 * temporary tables, notifications.
 */
final class KindsOfSession {

  /** Of its own: in what order the rows of a table come that others changed depends on the past. */
  private static final String ROWS_IN_ORDER =
      "create table §m(id int primary key, n int, name text); insert into §m select g, g, 'n' || g from generate_series(1, 5) g;";

  private KindsOfSession() {}

  static void in(Kind.Table t) {
    transactions(t);
    texts(t);
    prepared(t);
    cursors(t);
    settings(t);
    temporary(t);
    channels(t);
    results(t);
  }

  private static void transactions(Kind.Table t) {
    t.exact(
            "commit and rollback by methods",
            a -> {
              a.c.setAutoCommit(false);
              a.sql("insert into parent values (10, 1)");
              a.c.commit();
              a.sql("insert into parent values (11, 1)");
              a.c.rollback();
              a.sql("insert into parent values (12, 1)");
              a.c.setAutoCommit(true);
            })
        .alone();
    t.exact(
            "savepoints by methods",
            a -> {
              a.c.setAutoCommit(false);
              a.sql("insert into parent values (10, 1)");
              var s = a.c.setSavepoint("s");
              a.sql("insert into parent values (11, 1)");
              var u = a.c.setSavepoint();
              a.sql("insert into parent values (10, 9)"); // duplicate
              a.c.rollback(u);
              a.sql("update parent set v = 99 where id = 11");
              a.c.releaseSavepoint(s);
              a.c.commit();
              a.c.setAutoCommit(true);
            })
        .alone()
        .fails();
    t.exact(
            "error aborts the transaction",
            a -> {
              a.c.setAutoCommit(false);
              a.sql("insert into parent values (10, 1)");
              a.sql("insert into parent values (10, 1)");
              a.sql("insert into parent values (11, 1)");
              a.attempt(x -> a.c.commit());
              a.attempt(x -> a.c.rollback());
              a.c.setAutoCommit(true);
            })
        .alone()
        .fails();
    t.exact(
            "read only transaction",
            a -> {
              a.c.setReadOnly(true);
              a.c.setAutoCommit(false);
              a.sql("insert into parent values (10, 1)");
              a.c.rollback();
              a.c.setAutoCommit(true);
              a.c.setReadOnly(false);
              a.sql("insert into parent values (11, 1)");
            })
        .alone()
        .fails();
    t.exact(
            "serializable",
            a -> {
              a.c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
              a.c.setAutoCommit(false);
              a.sql("select count(*) from parent");
              a.sql("insert into parent values (10, 1)");
              a.c.commit();
              a.c.setAutoCommit(true);
            })
        .alone();
    t.exact(
            "repeatable read",
            a -> {
              a.c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
              a.c.setAutoCommit(false);
              a.sql("update parent set v = v + 1");
              a.c.commit();
              a.c.setAutoCommit(true);
            })
        .alone();
    t.exact(
            "close without commit",
            a -> {
              a.c.setAutoCommit(false);
              a.sql("insert into parent values (10, 1)");
              a.c.rollback();
              a.c.setAutoCommit(true);
            })
        .alone();
    t.exact(
            "set constraints immediate",
            a -> {
              a.c.setAutoCommit(false);
              a.sql("insert into late values (10, 99)");
              a.sql("set constraints all immediate");
              a.c.rollback();
              a.c.setAutoCommit(true);
            })
        .alone()
        .fails();
    t.exact(
            "set constraints deferred",
            a -> {
              a.c.setAutoCommit(false);
              a.sql("set constraints all deferred");
              a.sql("insert into late values (10, 10)");
              a.sql("insert into parent values (10, 1)");
              a.c.commit();
              a.c.setAutoCommit(true);
            })
        .alone();
    t.exact(
            "large transaction of many statements",
            a -> {
              a.c.setAutoCommit(false);
              try (PreparedStatement s =
                  a.c.prepareStatement("insert into pair values (?, 't', ?)")) {
                for (int i = 0; i < 500; i++) {
                  s.setInt(1, 1000 + i);
                  s.setInt(2, i);
                  a.see(s.executeUpdate());
                }
              }
              a.c.commit();
              a.c.setAutoCommit(true);
            })
        .alone()
        .once();
  }

  private static void texts(Kind.Table t) {
    t.exact(
            "begin, commit as text",
            "begin",
            "insert into parent values (10, 1)",
            "commit",
            "insert into parent values (11, 1)")
        .alone();
    t.exact(
            "start transaction, rollback as text",
            "start transaction isolation level repeatable read",
            "insert into parent values (10, 1)",
            "rollback")
        .alone();
    t.exact(
            "begin, error, commit as text",
            "begin work",
            "insert into parent values (1, 1)",
            "insert into parent values (11, 1)",
            "commit")
        .alone()
        .fails();
    t.exact(
            "begin; insert; commit in one text",
            "begin; insert into parent values (10, 1); insert into parent values (11, 1); commit")
        .alone();
    t.exact(
            "begin; error; commit in one text",
            "begin; insert into parent values (10, 1); insert into parent values (1, 1); commit",
            "rollback")
        .alone()
        .fails();
    t.exact(
            "begin; insert; rollback in one text",
            "begin; insert into parent values (10, 1); rollback; insert into parent values (11, 1)")
        .alone();
    t.exact(
            "commit and chain",
            "begin",
            "insert into parent values (10, 1)",
            "commit and chain",
            "insert into parent values (11, 1)",
            "rollback and chain",
            "insert into parent values (12, 1)",
            "end")
        .alone();
    t.exact(
            "savepoints as text",
            "begin",
            "insert into parent values (10, 1)",
            "savepoint a",
            "insert into parent values (11, 1)",
            "savepoint b",
            "insert into parent values (12, 1)",
            "rollback to savepoint b",
            "insert into parent values (13, 1)",
            "rollback to a",
            "insert into parent values (14, 1)",
            "release a",
            "commit")
        .alone();
    t.exact(
            "savepoints in one text",
            "begin; insert into parent values (10, 1); savepoint a; insert into parent values (11, 1); rollback to a; insert into parent values (12, 1); commit")
        .alone();
    t.exact(
            "commit as text with autocommit off",
            a -> {
              a.c.setAutoCommit(false);
              a.sql("insert into parent values (10, 1)");
              a.sql("commit");
              a.sql("insert into parent values (11, 1)");
              a.sql("rollback");
              a.sql("insert into parent values (12, 1)");
              a.c.commit();
              a.c.setAutoCommit(true);
            })
        .alone();
    t.exact("abort as text", "begin transaction", "delete from pair", "abort").alone();
    t.exact("commit without transaction", "commit", "rollback").alone();
    t.exact(
            "begin inside a transaction",
            a -> {
              a.c.setAutoCommit(false);
              a.sql("insert into parent values (10, 1)");
              a.sql("begin");
              a.sql("insert into parent values (11, 1)");
              a.c.commit();
              a.c.setAutoCommit(true);
            })
        .alone();
    t.exact(
        "several inserts in one text",
        "insert into parent values (10, 1); insert into parent values (11, 1)");
    t.exact(
        "several statements of all kinds in one text",
        "insert into parent values (10, 1); update parent set v = v + 1 where id = 10; delete from pair where a = 1; select count(*) from parent; insert into ser(v) values ('x') returning id");
    t.exact(
        "several statements, volatile",
        "insert into auto(v) values ('m'); insert into facts(id, at) values (1, clock_timestamp()); select 1");
    t.exact(
            "several statements, the second fails",
            "insert into parent values (10, 1); insert into parent values (1, 1); insert into parent values (12, 1)")
        .fails();
    t.exact(
        "several statements with parameters",
        a ->
            a.bound(
                "insert into parent values (?, 1); update parent set v = ? where id = ?",
                10,
                5,
                10));
    t.exact("empty statements", ";;", "", "insert into parent values (10, 1);;", "-- nothing");
    t.refused(
            "prepare transaction",
            a -> {
              a.c.setAutoCommit(false);
              a.sql("prepare transaction 'x'");
              a.c.rollback();
              a.c.setAutoCommit(true);
            })
        .alone();
  }

  private static void prepared(Kind.Table t) {
    t.exact(
            "prepare and execute insert",
            "prepare p(int) as insert into parent values ($1, 1)",
            "execute p(10)",
            "execute p(11)",
            "deallocate p",
            "execute p(12)")
        .fails();
    t.exact(
        "prepare and execute update returning",
        "prepare p2 as update item set n = n + $1 where id = $2 returning n",
        "execute p2(1, 2)",
        "deallocate prepare p2");
    t.exact(
        "prepare and execute volatile",
        "prepare p3 as insert into auto(v) values ($1)",
        "execute p3('e')",
        "deallocate all");
    t.suspect(
        "prepare and execute delete",
        "prepare p4 as delete from pair where a = $1",
        "execute p4(1)",
        "deallocate p4");
    t.exact(
        "prepare and execute select",
        "prepare p5 as select id from item where id < $1 order by id",
        "execute p5(3)",
        "deallocate p5");
    t.exact(
        "create table as execute",
        "prepare p6 as select 1 as id",
        "create temp table te as execute p6",
        "select * from te",
        "drop table te",
        "deallocate p6");
    t.exact(
        "prepared statement reused with other types",
        a ->
            a.attempt(
                x -> {
                  try (PreparedStatement s =
                      a.c.prepareStatement("insert into pair values (?, ?, ?)")) {
                    for (int i = 0; i < 10; i++) {
                      if (i % 2 == 0) {
                        s.setInt(1, 20 + i);
                      } else {
                        s.setLong(1, 20 + i);
                      }
                      s.setString(2, "r");
                      s.setObject(3, i % 3 == 0 ? null : i);
                      a.see(s.executeUpdate());
                    }
                  }
                }));
    t.exact(
        "server-prepared after the threshold",
        a ->
            a.attempt(
                x -> {
                  try (PreparedStatement s =
                      a.c.prepareStatement("insert into ser(v) values (?) returning id")) {
                    for (int i = 0; i < 8; i++) {
                      s.setString(1, "t" + i);
                      a.results(s, s.execute());
                    }
                  }
                }));
  }

  private static void cursors(Kind.Table t) {
    t.exact(
            "update where current of",
            "begin",
            "declare c cursor for select id from item order by id for update",
            "fetch 2 from c",
            "update item set n = 99 where current of c",
            "close c",
            "commit")
        .alone();
    t.exact(
            "delete where current of",
            a -> {
              a.c.setAutoCommit(false);
              a.sql("declare c cursor for select id from item order by id for update");
              a.sql("fetch c");
              a.sql("fetch c");
              a.sql("delete from item where current of c returning id");
              a.c.commit();
              a.c.setAutoCommit(true);
            })
        .alone();
    t.exact(
            "where current of, loop",
            a -> {
              a.c.setAutoCommit(false);
              a.sql("declare c cursor for select id from queue for update");
              for (int i = 0; i < 4; i++) {
                a.sql("fetch c");
                a.sql("update queue set payload = payload || '" + i + "' where current of c");
              }
              a.c.commit();
              a.c.setAutoCommit(true);
            })
        .alone();
    t.suspect(
            "keyless where current of",
            a -> {
              a.c.setAutoCommit(false);
              a.sql("declare c cursor for select line from log for update");
              a.sql("fetch c");
              a.sql("delete from log where current of c");
              a.c.commit();
              a.c.setAutoCommit(true);
            })
        .alone();
    t.exact(
            "cursor by name",
            a -> {
              a.c.setAutoCommit(false);
              try (Statement q = a.c.createStatement()) {
                q.setFetchSize(2);
                try (ResultSet r = q.executeQuery("select id, n from item order by id")) {
                  r.next();
                  r.next();
                  a.see(r.getInt(1));
                  a.sql("update item set n = 1000 where id = " + r.getInt(1));
                  while (r.next()) {
                    a.see(r.getInt(2));
                  }
                }
              }
              a.c.commit();
              a.c.setAutoCommit(true);
            })
        .alone();
    t.exact(
            "with hold cursor and moves",
            "begin",
            "declare h cursor with hold for select id from item order by id",
            "commit",
            "fetch 2 from h",
            "insert into parent values (10, 1)",
            "move 1 in h",
            "fetch all from h",
            "close h")
        .alone();
  }

  private static void settings(Kind.Table t) {
    t.exact(
            "search_path",
            a -> {
              a.sql("set search_path = §".replace("§", a.schema()));
              a.sql("insert into t values (1, 'here')");
              a.sql("update t set v = 'there' where id = 1");
              a.sql("insert into public.pair values (50, 'sp', 1)");
              a.sql("delete from public.pair where a = 50");
              a.sql("reset search_path");
              a.sql("select current_schemas(false)::text as s");
            })
        .on("create table §t(id int primary key, v text)");
    t.exact(
            "setSchema",
            a -> {
              a.c.setSchema(a.schema());
              a.sql("insert into t values (1, 'here') returning *");
              a.c.setSchema("public");
            })
        .on("create table §t(id int primary key, v text)");
    t.exact(
            "set_config search_path",
            a -> {
              a.sql("select set_config('search_path', '" + a.schema() + "', false)");
              a.sql("insert into t values (1, 'here')");
              a.sql("select set_config('search_path', 'public', false)");
            })
        .on("create table §t(id int primary key, v text)");
    t.exact(
            "search_path hides a table",
            a -> {
              a.sql("insert into item(id, name) values (50, 'public')");
              a.sql("set search_path = " + a.schema() + ", public");
              a.sql("insert into item values (50, 'own')");
              a.sql("update item set name = 'mine'");
              a.sql("set search_path = public");
              a.sql("delete from item where id = 50");
            })
        .on("create table §item(id int primary key, name text)");
    t.exact(
            "set local search_path",
            a -> {
              a.c.setAutoCommit(false);
              a.sql("set local search_path = " + a.schema());
              a.sql("insert into t values (1, 'local')");
              a.c.commit();
              a.sql("insert into t values (2, 'no')");
              a.c.rollback();
              a.c.setAutoCommit(true);
            })
        .on("create table §t(id int primary key, v text)")
        .alone()
        .fails();
    t.exact(
            "search_path rolled back",
            a -> {
              a.c.setAutoCommit(false);
              a.sql("set search_path = " + a.schema());
              a.sql("insert into t values (1, 'gone')");
              a.c.rollback();
              a.sql("insert into t values (2, 'no')");
              a.c.rollback();
              a.c.setAutoCommit(true);
            })
        .on("create table §t(id int primary key, v text)")
        .alone()
        .fails();
    t.exact(
        "time zone",
        "set time zone 'Asia/Tokyo'",
        "insert into facts(id, at) values (1, '2001-01-01 09:00')",
        "insert into facts(id, at) select 2, timestamp '2001-07-01 00:00'",
        "select at::text as x from facts where id = 1",
        "reset timezone");
    t.exact(
            "set local time zone",
            a -> {
              a.c.setAutoCommit(false);
              a.sql("set local timezone = 'America/New_York'");
              a.sql("insert into facts(id, at) values (1, '2001-01-01 09:00')");
              a.c.commit();
              a.sql("insert into facts(id, at) values (2, '2001-01-01 09:00')");
              a.c.commit();
              a.c.setAutoCommit(true);
            })
        .alone();
    t.exact(
        "interval style and extra digits",
        "set intervalstyle = 'sql_standard'",
        "insert into odd values (10, (interval '1 day -2 hours')::text, 1)",
        "set extra_float_digits = 0",
        "insert into odd values (11, (0.1::float8 + 0.2)::text, 1)",
        "reset all");
    t.exact(
        "datestyle in the server's own text",
        "set datestyle = 'ISO, DMY'",
        "insert into facts(id, at) values (1, '03/04/2001')",
        "set datestyle = 'ISO, MDY'",
        "insert into facts(id, at) values (2, '03/04/2001')");
    t.exact(
            "datestyle German",
            "set datestyle = 'German'",
            "insert into facts(id, at) values (1, '03.04.2001')")
        .fails();
    t.exact(
            "bytea_output escape",
            "set bytea_output = 'escape'",
            "insert into ty.t_bytea values (1, '\\x00ff41') returning v::text as x",
            "update ty.t_bytea set v = v || '\\x01' returning id")
        .in("ty");
    t.exact(
            "xmloption and standard strings",
            "set xmloption = document",
            "set standard_conforming_strings = on",
            "insert into ty.t_xml values (1, '<a/>')")
        .in("ty");
    t.exact(
            "standard_conforming_strings off",
            "set standard_conforming_strings = off",
            "set escape_string_warning = off",
            "insert into odd values (10, 'a\\\\b', 1)")
        .once();
    t.exact(
            "lc_monetary",
            "insert into ty.t_money values (1, '12.34')",
            "update ty.t_money set v = v * 2 returning v::numeric as x")
        .in("ty");
    t.exact("role", "set role postgres", "insert into parent values (10, 1)", "reset role");
    t.exact(
        "session authorization",
        "set session authorization postgres",
        "insert into parent values (10, 1)",
        "reset session authorization");
    t.exact(
        "application's own setting",
        "select set_config('app.user', 'me', false)",
        "insert into facts(id, who) values (1, current_setting('app.user'))");
    t.exact(
            "set local own setting",
            a -> {
              a.c.setAutoCommit(false);
              a.sql("set local app.tenant = '7'");
              a.sql("insert into facts(id, who) values (1, current_setting('app.tenant'))");
              a.c.commit();
              a.c.setAutoCommit(true);
            })
        .alone();
    t.exact(
            "statement_timeout",
            "set statement_timeout = 100",
            "select pg_sleep(5)",
            "set statement_timeout = 0",
            "insert into parent values (10, 1)")
        .fails()
        .once();
    t.exact(
            "query timeout of a statement",
            a ->
                a.attempt(
                    x -> {
                      try (Statement s = a.c.createStatement()) {
                        s.setQueryTimeout(1);
                        s.execute("insert into parent select 10, 1 from pg_sleep(5)");
                      }
                    }))
        .fails()
        .once();
    t.exact("discard all", "set app.x = '1'", "discard all", "insert into parent values (10, 1)")
        .alone();
    t.exact("show", "show server_version_num", "show timezone");
    t.exact(
        "client info and network timeout",
        a -> {
          a.c.setClientInfo("ApplicationName", "kinds");
          a.sql("insert into facts(id, who) values (1, current_setting('application_name'))");
          a.see(a.c.getNetworkTimeout());
          a.see(a.c.getSchema());
          a.see(a.c.getCatalog() != null);
          a.see(a.c.getHoldability());
        });
    t.exact(
        "escapes and processing",
        a ->
            a.attempt(
                x -> {
                  try (Statement s = a.c.createStatement()) {
                    a.results(
                        s,
                        s.execute(
                            "insert into facts(id, at, line) values (1, {ts '2001-01-01 01:02:03'}, {fn ucase('x')})"));
                    s.setEscapeProcessing(false);
                    a.results(s, s.execute("insert into facts(id, line) values (2, 'x {d}')"));
                  }
                }));
  }

  private static void temporary(Kind.Table t) {
    t.exact(
        "temporary table",
        "create temp table tt(id int primary key, v int)",
        "insert into tt values (1, 1), (2, 2)",
        "update tt set v = v + 1",
        "delete from tt where id = 1",
        "select * from tt",
        "drop table tt");
    t.exact(
        "temporary table feeds a real one",
        "create temp table tf(id int, v text)",
        "insert into tf values (20, 'a'), (21, 'b')",
        "insert into item(id, name) select id, v from tf",
        "update item set name = tf.v || '!' from tf where tf.id = item.id",
        "delete from item using tf where tf.id = item.id and tf.id = 21",
        "truncate tf",
        "drop table tf");
    t.exact(
        "temporary table of the same name",
        "create temp table item(id int, x int)",
        "insert into item values (1, 1)",
        "drop table item",
        "insert into item(id, name) values (30, 'real')");
    t.exact(
            "temporary table on commit drop",
            a -> {
              a.c.setAutoCommit(false);
              a.sql("create temp table tc(id int) on commit drop");
              a.sql("insert into tc values (40)");
              a.sql("insert into parent select id, 1 from tc");
              a.c.commit();
              a.sql("select * from tc");
              a.c.rollback();
              a.c.setAutoCommit(true);
            })
        .alone()
        .fails();
    t.exact(
            "temporary table on commit delete rows",
            a -> {
              a.c.setAutoCommit(false);
              a.sql("create temporary table td(id int) on commit delete rows");
              a.sql("insert into td values (40)");
              a.c.commit();
              a.sql("select count(*) from td");
              a.sql("drop table td");
              a.c.commit();
              a.c.setAutoCommit(true);
            })
        .alone();
    t.exact(
        "temporary table as",
        "create temp table ta as select * from item",
        "create index on ta(id)",
        "alter table ta add column z int default 5",
        "select sum(z) from ta",
        "insert into parent select id + 70, z from ta where id < 3",
        "drop table ta");
    t.exact(
        "temporary view, sequence and function",
        "create temp view tv as select id from item",
        "select count(*) from tv",
        "create temp sequence tq",
        "insert into parent values (nextval('tq') + 80, 1)",
        "drop view tv",
        "drop sequence tq");
    t.exact(
        "select into temp",
        "select id, n into temp ti from item",
        "insert into parent select id + 90, n from ti",
        "drop table ti");
    t.exact(
        "pg_temp qualified",
        "create table pg_temp.tp(id int)",
        "insert into pg_temp.tp values (1)",
        "drop table pg_temp.tp");
    t.exact(
        "writable cte from temporary into real",
        "create temp table tw(id int)",
        "insert into tw values (60), (61)",
        "with d as (delete from tw returning id) insert into parent select id, 1 from d",
        "drop table tw");
  }

  private static void channels(Kind.Table t) {
    t.exact(
            "listen and notify",
            a ->
                a.attempt(
                    x -> {
                      a.sql("listen ch");
                      a.sql("notify ch, 'hello'");
                      a.sql("select pg_notify('ch', 'world')");
                      a.sql("select 1");
                      PGNotification[] all = a.c.unwrap(PGConnection.class).getNotifications();
                      for (PGNotification n : all == null ? new PGNotification[0] : all) {
                        a.see(n.getName() + " " + n.getParameter());
                      }
                      a.sql("unlisten *");
                    }))
        .alone();
    t.exact(
        "notify with a write",
        "insert into parent values (10, 1)",
        "select pg_notify('ch', 'x')",
        "notify ch");
    t.exact(
        "advisory locks",
        "select pg_advisory_lock(42)",
        "select pg_try_advisory_lock(42)",
        "insert into parent values (10, 1)",
        "select pg_advisory_unlock(42)",
        "select pg_advisory_unlock_all()");
    t.exact(
        "transaction advisory lock",
        "select pg_advisory_xact_lock(43)",
        "insert into parent values (10, 1)");
    t.exact(
            "lock table",
            a -> {
              a.c.setAutoCommit(false);
              a.sql("lock table pair in exclusive mode");
              a.sql("insert into pair values (20, 'l', 1)");
              a.c.commit();
              a.c.setAutoCommit(true);
            })
        .alone();
    t.refused("large object by function", "select lo_from_bytea(0, '\\x01')");
    t.refused("large object create", "select lo_creat(-1)");
    t.refused(
        "large object in an insert",
        "insert into facts(id, pid) values (1, lo_from_bytea(0, '\\x01')::int)");
    t.exact(
        "administration functions",
        "select pg_backend_pid() as pid, pg_size_pretty(1024::bigint)",
        "select pg_stat_clear_snapshot()",
        "select txid_current_if_assigned() as xid");
  }

  private static void results(Kind.Table t) {
    t.exact(
            "max rows and fetch size",
            a ->
                a.attempt(
                    x -> {
                      try (PreparedStatement s =
                          a.c.prepareStatement(a.text("update §m set n = n + 1 returning id"))) {
                        s.setMaxRows(2);
                        a.results(s, s.execute());
                      }
                    }))
        .on(ROWS_IN_ORDER);
    t.exact(
            "fetch size with returning",
            a ->
                a.attempt(
                    x -> {
                      try (PreparedStatement s =
                          a.c.prepareStatement(a.text("update §m set n = n + 1 returning id"))) {
                        s.setFetchSize(2);
                        a.results(s, s.execute());
                      }
                    }))
        .on(ROWS_IN_ORDER);
    t.exact(
            "scrollable result of returning",
            a ->
                a.attempt(
                    x -> {
                      try (Statement s =
                              a.c.createStatement(
                                  ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY);
                          ResultSet r =
                              s.executeQuery(
                                  a.text("update §m set n = n + 1 returning id, name"))) {
                        a.see(r.last());
                        a.see(r.getRow());
                        a.see(r.first());
                        a.see(r.getString("name"));
                        a.see(r.isBeforeFirst());
                        a.see(r.findColumn("id"));
                        a.see(r.getMetaData().getColumnCount());
                      }
                    }))
        .on(ROWS_IN_ORDER);
    t.exact(
        "metadata before execution",
        a ->
            a.attempt(
                x -> {
                  try (PreparedStatement s =
                      a.c.prepareStatement("insert into ser(v) values (?) returning id, v")) {
                    a.see(s.getMetaData().getColumnLabel(2));
                    a.see(s.getMetaData().getColumnCount());
                    a.see(s.getParameterMetaData().getParameterCount());
                    a.see(s.getParameterMetaData().getParameterTypeName(1));
                  }
                  try (PreparedStatement s =
                      a.c.prepareStatement("insert into ser(v) values (?)")) {
                    a.see(s.getMetaData() == null);
                  }
                }));
    t.exact(
        "statement after its result",
        a ->
            a.attempt(
                x -> {
                  try (Statement s = a.c.createStatement()) {
                    a.see(s.execute("insert into ser(v) values ('x') returning id"));
                    ResultSet r = s.getResultSet();
                    a.see(r.next());
                    a.see(s.executeUpdate("insert into ser(v) values ('y')"));
                    a.see(r.isClosed());
                    a.see(s.getResultSet() == null);
                    a.see(s.getUpdateCount());
                  }
                }));
    t.exact(
            "closed statement and connection",
            a ->
                a.attempt(
                    x -> {
                      Statement s = a.c.createStatement();
                      s.close();
                      s.execute("insert into ser(v) values ('x')");
                    }))
        .fails();
    t.exact(
        "cancel of nothing",
        a ->
            a.attempt(
                x -> {
                  try (Statement s = a.c.createStatement()) {
                    s.cancel();
                    a.see(s.executeUpdate("insert into ser(v) values ('x')"));
                  }
                }));
    t.exact(
        "warnings of statements",
        "drop table if exists nosuch_temp",
        "insert into parent values (10, 1)");
  }
}
