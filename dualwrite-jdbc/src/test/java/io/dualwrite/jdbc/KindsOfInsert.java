package io.dualwrite.jdbc;

import java.math.BigDecimal;
import java.sql.PreparedStatement;
import java.sql.Statement;

/** INSERT in all its forms, sequences, and values that the primary makes. */
final class KindsOfInsert {

  private KindsOfInsert() {}

  private static Object[] row(Object... values) {
    return values;
  }

  static void in(Kind.Table t) {
    values(t);
    made(t);
    queries(t);
    conflicts(t);
    keys(t);
    batches(t);
  }

  private static void values(Kind.Table t) {
    t.exact(
        "insert values",
        a ->
            a.sql(
                "insert into item(id, name, n, price, at) values (?, ?, ?, ?, '2001-01-01Z')",
                10,
                "ten",
                null,
                new BigDecimal("1.005")));
    t.exact("insert constant default", a -> a.sql("insert into pair(a, b) values (?, ?)", 10, "z"));
    t.exact(
        "insert DEFAULT keyword",
        a -> a.sql("insert into ser(id, v, n) values (?, ?, default)", 10, "z"));
    t.exact(
        "insert multi-row",
        a -> a.sql("insert into pair values (?, 'm', 1), (?, 'm', 2), (12, 'm', ?)", 10, 11, 3));
    t.exact("insert without column list", a -> a.sql("insert into pair values (10, ?, 1)", "q"));
    t.exact("insert fewer values than columns", "insert into pair values (10, 'q')");
    t.exact(
        "insert quoted names",
        "insert into odd(\"Key\", \"select\", \"with space\") values (2, 'it''s', 3)");
    t.exact("insert qualified table", "insert into public.pair values (10, 'q', 1)");
    t.exact("insert with alias", "insert into pair as p values (10, 'q', 1) returning p.a, p.*");
    t.exact("insert generated stored column", "insert into gen(id, a) values (3, 21) returning *");
    t.exact("insert generated column DEFAULT", "insert into gen values (3, 21, default)");
    t.exact(
        "insert into partitioned table",
        "insert into part values (10, '2001-07-07', 'x'), (11, '2002-07-07', 'y'), (12, '1990-01-01', 'z')");
    t.exact("insert into partition", "insert into part_1 values (10, '2001-07-07', 'x')");
    t.exact("insert into hash partitioned", "insert into hashed values (10, 'x'), (11, 'y')");
    t.exact("insert keyless", a -> a.sql("insert into log values ('2001-01-01Z', ?, ?)", "l", 1));
    t.exact(
        "insert keyless twice the same",
        "insert into log values ('2001-01-01Z', 's', 1), ('2001-01-01Z', 's', 1)");
    t.exact("insert keyless default", "insert into log(line) values ('l')");
    t.exact(
        "insert parent and child",
        "insert into parent values (10, 1)",
        "insert into child(parent, v) values (10, 1)");
    t.exact("insert child of a parent that is there", "insert into child(parent, v) values (2, 9)");
    t.exact(
        "insert deferred child before parent",
        a -> {
          boolean auto = a.c.getAutoCommit();
          if (auto) {
            a.c.setAutoCommit(false);
          }
          a.sql("insert into late values (10, 10)");
          a.sql("insert into parent values (10, 1)");
          if (auto) {
            a.c.commit();
            a.c.setAutoCommit(true);
          }
        });
    t.exact("insert duplicate key", "insert into pair values (1, 'x', 9)").fails();
    t.exact("insert null in not null", "insert into item(id) values (10)").fails();
    t.exact("insert missing parent", "insert into child(parent) values (99)").fails();
    t.exact("insert missing deferred parent", "insert into late values (10, 99)").fails();
    t.exact(
            "insert outside of check of partition",
            "insert into part_1 values (10, '2005-01-01', 'x')")
        .fails();
    t.exact("insert into missing table", "insert into nosuch values (1)").fails();
    t.exact("insert missing column", "insert into item(nosuch) values (1)").fails();
    t.exact("insert wrong type", "insert into pair values ('x', 'y', 1)").fails();
    t.exact("insert number out of range", "insert into pair values (99999999999, 'y', 1)").fails();
    t.exact("insert syntax error", "insert into pair valuess (1)").fails();
    t.exact(
            "insert error then goes on",
            "insert into pair values (10, 'x', 1)",
            "insert into pair values (10, 'x', 2)",
            "insert into pair values (11, 'x', 3)")
        .fails();
    t.exact(
        "insert comment and semicolon",
        "/* a */ insert -- b\n into pair values (10, 'q;', 1) /* c */ ;");
    t.exact(
        "insert expression",
        a -> a.sql("insert into pair values (? + 1, upper(?) || 'x', abs(-3))", 10, "b"));
    t.exact(
        "insert cast parameter",
        a -> a.bound("insert into pair values (?::int, ?::text, cast(? as int))", "10", "b", "3"));
    t.exact("insert dollar quoted", "insert into pair values (10, $q$it's; ? $q$, 1)");
    t.exact("insert escape string", "insert into pair values (10, E'a\\nb\\'c', 1)");
    t.exact("insert unicode", "insert into pair values (10, U&'\\0041\\+01F600é', 1)");
    t.exact(
        "insert empty string and null",
        a -> {
          a.sql("insert into odd values (?, ?, ?)", 10, "", null);
          a.sql("insert into odd values (?, ?, ?)", 11, null, 1);
        });
    t.exact(
        "insert of 1000 rows",
        "insert into pair select g, 'g', g from generate_series(1000, 1999) g");
    t.exact("insert a large value", "insert into odd values (10, repeat('x', 3000000), 1)").once();
  }

  private static void made(Kind.Table t) {
    t.exact("insert now()", a -> a.sql("insert into facts(id, at) values (?, now())", 1));
    t.exact(
        "insert current_timestamp, localtimestamp, current_date",
        "insert into facts(id, at) values (1, current_timestamp), (2, localtimestamp), (3, current_date)");
    t.exact(
        "insert clock_timestamp()",
        "insert into facts(id, at) values (1, clock_timestamp()), (2, clock_timestamp())");
    t.exact("insert 'now' literal", "insert into facts(id, at) values (1, 'now')");
    t.exact(
        "insert random() and gen_random_uuid()",
        "insert into facts(id, rnd, uid) values (1, random(), gen_random_uuid()) returning *");
    t.exact(
        "insert current_user and session functions",
        "insert into facts(id, who, line) values (1, current_user, current_schema() || current_setting('DateStyle') || session_user)");
    t.exact("insert pg_backend_pid()", "insert into facts(id, pid) values (1, pg_backend_pid())");
    t.exact(
        "insert txid_current()",
        "insert into facts(id, xid) values (1, txid_current()) returning xid");
    t.exact(
        "insert pg_current_xact_id()",
        "insert into facts(id, xid) values (1, pg_current_xact_id()::text::bigint)");
    t.exact(
        "insert version() and inet functions", "insert into facts(id, line) values (1, version())");
    t.exact("insert clock defaults", a -> a.sql("insert into auto(v) values (?)", "clock"));
    t.exact(
        "insert default values",
        "insert into ser default values",
        "insert into log default values");
    t.exact("insert serial", a -> a.sql("insert into ser(v) values (?)", "s"));
    t.exact("insert identity always", "insert into auto(v) values ('i') returning id");
    t.exact("insert identity always given", "insert into auto(id, v) values (9, 'i')").fails();
    t.exact(
        "insert overriding system value",
        "insert into auto(id, v) overriding system value values (9, 'i')");
    t.exact(
        "insert overriding user value",
        "insert into auto(id, v) overriding user value values (9, 'i') returning id");
    t.exact("insert identity by default", "insert into bydef(v) values ('i')");
    t.exact("insert identity by default given", "insert into bydef values (9, 'i')");
    t.exact(
        "insert identity by default overriding user value",
        "insert into bydef overriding user value values (9, 'i') returning id");
    t.exact(
        "insert nextval",
        a -> a.sql("insert into item(id, name) values (nextval('free') + 100, ?)", "n"));
    t.exact(
        "insert currval of the session",
        a -> {
          a.sql("insert into ser(v) values ('x')");
          a.sql("insert into pair values (currval('ser_id_seq')::int, 'c', 1)");
          a.sql("select currval('ser_id_seq') as c, lastval() as l");
        });
    t.exact(
        "insert lastval",
        a -> {
          a.sql("insert into ser(v) values ('x')");
          a.sql("insert into pair values (lastval()::int, 'l', 1)");
        });
    t.exact(
        "sequence functions",
        "select nextval('free') as n",
        "select setval('free', 50) as s",
        "select nextval('free') as n, currval('free') as c",
        "select setval('free', 7, false) as s");
    t.exact("currval before nextval", "select currval('free')").fails();
    t.exact(
        "select writes nothing",
        "select count(*) from item",
        "select now() as at, random() as rnd");
    t.exact("values statement and table statement", "values (1, 'a'), (2, 'b')", "table pair");
  }

  private static void queries(Kind.Table t) {
    t.exact(
        "insert select",
        a ->
            a.sql(
                "insert into item(id, name) select id + ?, name from item where id <= ?", 100, 3));
    t.exact(
        "insert select volatile",
        "insert into facts(id, rnd, at) select g, random(), clock_timestamp() from generate_series(1, 5) g");
    t.exact(
        "insert select nothing",
        "insert into item(id, name) select id, name from item where false");
    t.exact(
        "insert select without order, limit",
        "insert into archive select id, payload from queue limit 2");
    t.exact("insert select keyless", "insert into log select at, line || '!', v from log");
    t.exact(
        "insert scalar subquery",
        "insert into pair values ((select max(a) + 10 from pair), 'sub', (select count(*) from item))");
    t.exact(
        "insert with cte",
        "with x as (select max(id) m from item) insert into item(id, name) select m + 1, 'cte' from x returning id, name");
    t.exact(
        "insert cte before values",
        "with x as (select 5 as five) insert into pair values (10, 'x', (select five from x))");
    t.exact(
        "insert recursive cte",
        "with recursive r(n) as (select 100 union all select n + 1 from r where n < 105) insert into pair select n, 'r', n from r");
    t.exact("insert table statement", "insert into log table log");
    t.exact(
        "insert values as rows",
        "insert into pair select x, y, 1 from (values (10, 'a'), (11, 'b')) v(x, y)");
    t.exact(
        "insert unnest of arrays",
        a ->
            a.bound(
                "insert into pair select * from unnest(?::int[], ?::text[], ?::int[])",
                "{10,11}",
                "{a,b}",
                "{1,2}"));
    t.exact(
        "insert json_to_recordset",
        "insert into pair select * from json_to_recordset('[{\"a\":10,\"b\":\"j\",\"v\":1}]') as x(a int, b text, v int)");
  }

  private static void conflicts(Kind.Table t) {
    t.exact(
        "on conflict do nothing, conflict",
        "insert into pair values (1, 'x', 9) on conflict do nothing");
    t.exact(
        "on conflict do nothing, some",
        "insert into pair values (1, 'x', 9), (10, 'x', 9) on conflict do nothing returning *");
    t.exact(
        "on conflict do nothing, target",
        "insert into pair values (1, 'x', 9), (10, 'x', 9) on conflict (a, b) do nothing");
    t.exact(
        "on conflict do update excluded",
        a ->
            a.sql(
                "insert into item(id, name) values (?, ?) on conflict (id) do update set name = excluded.name || item.name, n = item.n + 1",
                1,
                "up"));
    t.exact(
        "on conflict do update, none",
        "insert into item(id, name) values (10, 'new') on conflict (id) do update set name = 'old'");
    t.exact(
        "on conflict do update volatile",
        "insert into item(id, name) values (1, 'x') on conflict (id) do update set at = clock_timestamp() returning at, n");
    t.exact(
        "on conflict do update where true",
        "insert into item(id, name) values (1, 'x'), (2, 'x') on conflict (id) do update set n = 99 where item.id = 2 returning id");
    t.exact(
        "on conflict do update where false",
        "insert into item(id, name) values (1, 'x') on conflict (id) do update set n = 99 where item.n > 1000");
    t.exact(
        "on conflict on constraint",
        "insert into item(id, name) values (1, 'x') on conflict on constraint item_pkey do update set n = 99");
    t.exact(
        "on conflict by another unique column",
        "insert into auto(v) values ('a') on conflict (v) do update set v = excluded.v, rnd = 2 returning id, v");
    t.exact(
        "on conflict on another unique column, of the key given",
        "insert into uq values (9, 10, 900) on conflict (u) do update set u = excluded.u + 1000 returning id, u");
    t.exact(
        "on conflict partial index",
        "insert into soft values (9, 'a@x') on conflict (email) where not deleted do update set deleted = true returning id");
    t.exact(
        "on conflict partial index, do nothing",
        "insert into soft values (9, 'a@x'), (10, 'c@x') on conflict (email) where not deleted do nothing");
    t.exact(
        "on conflict select",
        "insert into item(id, name) select id + 3, name from item on conflict (id) do update set name = item.name || excluded.name");
    t.exact(
            "on conflict twice the same row",
            "insert into item(id, name) values (1, 'x'), (1, 'y') on conflict (id) do update set n = 1")
        .fails();
    t.suspect(
        "on conflict changes the key",
        "insert into item(id, name) values (1, 'x') on conflict (id) do update set id = 901");
    t.exact(
        "on conflict partitioned",
        "insert into part values (1, '2001-05-01', 'z') on conflict (id, d) do update set v = excluded.v");
    t.exact("on conflict keyless", "insert into log(line) values ('x') on conflict do nothing");
    t.exact(
        "on conflict in row assignment",
        "insert into item(id, name) values (1, 'x') on conflict (id) do update set (name, n) = (excluded.name, 55)");
    t.exact(
        "upsert counter ten times",
        a -> {
          for (int i = 0; i < 10; i++) {
            a.sql(
                "insert into pair values (50, 'cnt', 1) on conflict (a, b) do update set v = pair.v + 1 returning v");
          }
        });
  }

  private static void keys(Kind.Table t) {
    t.exact("generated keys, flag", a -> a.keys(null, "insert into ser(v) values (?)", "k"));
    t.exact(
        "generated keys, names",
        a -> a.keys(new String[] {"id", "v"}, "insert into ser(v) values (?)", "k"));
    t.exact("generated keys, volatile", a -> a.keys(null, "insert into auto(v) values (?)", "k"));
    t.exact(
        "generated keys of several rows",
        a -> a.keys(new String[] {"id"}, "insert into ser(v) values (?), ('l')", "k"));
    t.exact(
        "generated keys where values suffice",
        a -> a.keys(null, "insert into pair values (?, 'k', 1)", 10));
    t.exact(
            "generated keys, wrong name",
            a -> a.keys(new String[] {"nosuch"}, "insert into ser(v) values (?)", "k"))
        .fails();
    t.exact(
        "generated keys, quoted name",
        a -> a.keys(new String[] {"Key"}, "insert into odd values (?, 'k', 1)", 10));
    t.exact(
        "generated keys of update", a -> a.keys(null, "update pair set v = v + 1 where a = ?", 1));
    t.exact(
        "generated keys of delete",
        a -> a.keys(new String[] {"a", "b"}, "delete from pair where a = ?", 1));
    t.exact(
        "generated keys on conflict",
        a ->
            a.keys(
                new String[] {"id"},
                "insert into auto(v) values (?) on conflict (v) do update set rnd = 9",
                "a"));
    t.exact("generated keys of select", a -> a.keys(null, "insert into ser(v) select v from ser"));
    t.exact(
        "generated keys of a batch",
        a ->
            a.attempt(
                x -> {
                  try (PreparedStatement s =
                      a.c.prepareStatement(
                          "insert into auto(v) values (?)", Statement.RETURN_GENERATED_KEYS)) {
                    for (int i = 0; i < 3; i++) {
                      s.setString(1, "batch" + i);
                      s.addBatch();
                    }
                    a.see(s.executeBatch());
                    a.rows(s.getGeneratedKeys());
                  }
                }));
    t.exact(
        "generated keys of a batch, names",
        a ->
            a.attempt(
                x -> {
                  try (PreparedStatement s =
                      a.c.prepareStatement("insert into ser(v) values (?)", new String[] {"id"})) {
                    for (int i = 0; i < 3; i++) {
                      s.setString(1, "batch" + i);
                      s.addBatch();
                    }
                    a.see(s.executeBatch());
                    a.rows(s.getGeneratedKeys());
                    s.setString(1, "after");
                    a.see(s.executeUpdate());
                    a.rows(s.getGeneratedKeys());
                  }
                }));
    t.exact(
        "generated keys without asking",
        a ->
            a.attempt(
                x -> {
                  try (Statement s = a.c.createStatement()) {
                    a.see(s.executeUpdate("insert into ser(v) values ('k')"));
                    a.rows(s.getGeneratedKeys());
                  }
                }));
    t.exact(
            "generated keys by index",
            a ->
                a.attempt(
                    x -> {
                      try (PreparedStatement s =
                          a.c.prepareStatement("insert into ser(v) values ('k')", new int[] {1})) {
                        a.see(s.executeUpdate());
                      }
                    }))
        .fails();
    t.exact(
        "insert returning",
        a -> a.sql("insert into ser(v) values (?) returning id, v as label, n * 2", "r"));
    t.exact("insert returning star", "insert into auto(v) values ('r') returning *");
    t.exact(
        "insert returning expression of several tables",
        "insert into ser(v) values ('r') returning id, (select count(*) from item) as c");
    t.exact(
        "insert returning volatile",
        "insert into ser(v) values ('r') returning id, random() as rnd, now() as at");
    t.exact(
        "insert returning the same column twice",
        "insert into pair values (10, 'r', 1) returning a, a, b as a");
    t.exact(
            "insert returning by executeUpdate",
            a ->
                a.attempt(
                    x -> {
                      try (Statement s = a.c.createStatement()) {
                        a.see(s.executeUpdate("insert into ser(v) values ('late') returning id"));
                      }
                    }))
        .fails();
    t.exact(
            "executeQuery of an insert",
            a ->
                a.attempt(
                    x -> {
                      try (Statement s = a.c.createStatement()) {
                        s.executeQuery("insert into ser(v) values ('late')").close();
                      }
                    }))
        .fails();
    t.exact(
        "insert returning with column aliases of the table's columns",
        "insert into pair values (10, 'r', 1) returning v as a, a as v");
    t.exact(
        "executeLargeUpdate",
        a ->
            a.attempt(
                x -> {
                  try (PreparedStatement s =
                      a.c.prepareStatement("update item set n = n + 1 where id < ?")) {
                    s.setInt(1, 3);
                    a.see(s.executeLargeUpdate());
                    a.see(s.getLargeUpdateCount());
                  }
                }));
  }

  private static void batches(Kind.Table t) {
    t.exact(
        "batch insert",
        a ->
            a.batch(
                "insert into pair values (?, ?, ?)",
                row(10, "b", 1),
                row(11, "b", 2),
                row(12, "b", null)));
    t.exact(
        "batch insert serial",
        a -> a.batch("insert into ser(v) values (?)", row("a"), row("b"), row("c")));
    t.exact(
        "batch insert keyless",
        a -> a.batch("insert into log(line, v) values (?, ?)", row("a", 1), row("a", 1)));
    t.exact(
        "batch upsert",
        a ->
            a.batch(
                "insert into pair values (?, 'u', ?) on conflict (a, b) do update set v = pair.v + excluded.v",
                row(10, 1),
                row(10, 2),
                row(10, 3)));
    t.exact(
        "batch update",
        a -> a.batch("update item set n = n + ? where id = ?", row(1, 1), row(2, 2), row(3, 99)));
    t.exact(
        "batch delete",
        a ->
            a.batch(
                "delete from pair where a = ? and b = ?", row(1, "x"), row(1, "x"), row(2, "x")));
    t.exact(
        "batch of mixed statements",
        a ->
            a.attempt(
                x -> {
                  try (Statement s = a.c.createStatement()) {
                    s.addBatch("insert into parent values (10, 1)");
                    s.addBatch("update parent set v = 5 where id = 10");
                    s.addBatch("insert into child(parent) values (10)");
                    s.addBatch("delete from pair where a = 1");
                    a.see(s.executeBatch());
                  }
                }));
    t.exact(
            "batch that fails in the middle",
            a -> a.batch("insert into pair values (?, 'f', 1)", row(10), row(11), row(10), row(12)))
        .fails();
    t.exact(
            "batch of statements that fails in the middle",
            a ->
                a.attempt(
                    x -> {
                      try (Statement s = a.c.createStatement()) {
                        s.addBatch("insert into parent values (10, 1)");
                        s.addBatch("insert into parent values (10, 1)");
                        s.addBatch("insert into parent values (11, 1)");
                        s.executeBatch();
                      }
                    }))
        .fails();
    t.exact(
            "batch with a select",
            a ->
                a.attempt(
                    x -> {
                      try (Statement s = a.c.createStatement()) {
                        s.addBatch("insert into parent values (10, 1)");
                        s.addBatch("select 1");
                        a.see(s.executeBatch());
                      }
                    }))
        .fails();
    t.exact(
            "batch in a failed transaction",
            a -> {
              a.sql("select 1 / 0");
              a.batch("insert into §b values (?, 1)", row(1), row(2));
              a.sql("insert into §b values (3, 3); select 1");
            })
        .on("create table §b(id int primary key, v int);")
        .fails();
    t.exact(
            "batch returning",
            a -> a.batch("insert into ser(v) values (?) returning id", row("a"), row("b")))
        .fails();
    t.exact(
        "batch of values returning, known before",
        a -> {
          a.batch("insert into pair values (?, 'r', ?) returning a", row(20, 1), row(21, 2));
          a.batch("insert into log(line, v) values (?, ?) returning v", row("r", 1), row("r", 1));
        });
    t.exact(
            "batch of values returning",
            a -> {
              a.batch("insert into §r values (?, ?) returning id", row(1, "a"), row(2, "b"));
              a.batch("insert into §n values (?, ?) returning *", row(1, "a"), row(1, "a"));
              a.batch(
                  "insert into §r values (?, 'c') on conflict do nothing returning v",
                  row(2),
                  row(3));
            })
        .on("create table §r(id int primary key, v text); create table §n(id int, v text)");
    t.exact(
            "batch large",
            a ->
                a.attempt(
                    x -> {
                      try (PreparedStatement s =
                          a.c.prepareStatement("insert into pair values (?, 'l', ?)")) {
                        for (int i = 0; i < 2000; i++) {
                          s.setInt(1, 1000 + i);
                          s.setInt(2, i);
                          s.addBatch();
                        }
                        a.see(s.executeLargeBatch().length);
                      }
                    }))
        .once();
    t.exact(
        "batch empty and cleared",
        a ->
            a.attempt(
                x -> {
                  try (PreparedStatement s =
                      a.c.prepareStatement("insert into pair values (?, 'l', ?)")) {
                    a.see(s.executeBatch());
                    s.setInt(1, 10);
                    s.setInt(2, 10);
                    s.addBatch();
                    s.clearBatch();
                    a.see(s.executeBatch());
                  }
                }));
  }
}
