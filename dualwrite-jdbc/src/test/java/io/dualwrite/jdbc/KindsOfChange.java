package io.dualwrite.jdbc;

import java.math.BigDecimal;

/** UPDATE, DELETE, MERGE, and writes inside of WITH. */
final class KindsOfChange {

  private KindsOfChange() {}

  static void in(Kind.Table t) {
    updates(t);
    keyChanges(t);
    deletes(t);
    keyless(t);
    merges(t);
    ctes(t);
  }

  private static void updates(Kind.Table t) {
    t.exact("update by key", a -> a.sql("update item set n = n * 2 where id = ?", 1));
    t.exact(
        "update by composite key",
        a -> a.sql("update pair set v = ? where a = ? and b = ?", 77, 1, "x"));
    t.exact(
        "update by predicate",
        a -> a.sql("update item set price = price + 1 where price < ?", new BigDecimal("5")));
    t.exact("update all rows", "update item set n = 0");
    t.exact("update nothing", "update item set n = 0 where id = -1");
    t.exact("update to the same value", "update item set n = n where id = 1");
    t.exact(
        "update volatile",
        "update auto set at = clock_timestamp(), rnd = random(), uid = gen_random_uuid() where id = 1 returning *");
    t.exact(
        "update to default", "update item set at = default, n = default where id = 1 returning n");
    t.exact(
        "update with subquery",
        "update item set n = (select count(*) from pair) where id in (select a from pair)");
    t.exact(
        "update with correlated subquery",
        "update item i set n = (select sum(v) from pair p where p.a = i.id)");
    t.exact("update row assignment", "update item set (name, n) = ('r', 5) where id = 1");
    t.exact(
        "update row from subquery",
        "update item set (name, n) = (select b, v from pair where a = 2) where id = 1");
    t.exact(
        "update from",
        a -> a.sql("update item i set n = p.v from pair p where p.a = i.id and p.b = ?", "x"));
    t.exact(
        "update from values",
        "update pair set v = x.v from (values (1, 'x', 41), (2, 'x', 42)) x(a, b, v) where pair.a = x.a and pair.b = x.b");
    t.exact(
        "update from, several matches", "update item i set n = 1000 from pair p where p.a = i.id");
    t.exact("update from itself", "update item a set n = b.n from item b where b.id = a.id + 1");
    t.exact(
        "update from returning the other table",
        "update item i set n = p.v from pair p where p.a = i.id and p.b = 'x' returning i.id, p.b, p.v");
    t.exact(
        "update with cte",
        "with x as (select a, max(v) m from pair group by a) update item set n = x.m from x where x.a = item.id");
    t.exact(
        "update limit by ctid",
        "update queue set done = true where ctid in (select ctid from queue where not done order by id limit 2)");
    t.exact(
        "update limit by key, skip locked",
        "update queue set done = true where id = (select id from queue where not done order by id limit 1 for update skip locked) returning *");
    t.exact("update only", "update only item set n = 1 where id = 1");
    t.exact(
        "update with alias and star", "update item * as i set n = 1 where i.id = 1 returning i.*");
    t.exact("update returning", "update item set n = n + 1 where id = 2 returning *");
    t.exact(
            "update returning old and new",
            "update item set n = n + 1 where id = 2 returning old.n as o, new.n as w, n")
        .since(18);
    t.exact(
            "update returning with (old as, new as)",
            "update item set n = n + 1 where id = 2 returning with (old as o, new as w) o.n, w.n")
        .since(18);
    t.exact(
        "update returning expressions",
        "update item set n = n + 1 where id < 3 returning id + 1 as x, upper(name), now() as at");
    t.exact(
        "update quoted",
        "update odd set \"select\" = 'c', \"with space\" = 3 where \"Key\" = 1 returning \"select\"");
    t.exact("update violates check or type", "update item set price = 99999999999 where id = 1")
        .fails();
    t.exact("update violates unique", "update uq set u = 20 where id = 1").fails();
    t.exact("update violates foreign key", "update child set parent = 99 where id = 1").fails();
    t.exact("update missing table", "update nosuch set n = 1").fails();
    t.exact("update missing column", "update item set nosuch = 1").fails();
    t.exact("update generated column", "update gen set a = 50 where id = 1 returning b");
    t.exact("update generated column directly", "update gen set b = 50 where id = 1").fails();
    t.exact("update identity always", "update auto set id = 50 where id = 1").fails();
    t.exact(
        "update the same row three times",
        a -> {
          for (int i = 0; i < 3; i++) {
            a.sql("update item set n = n + ? where id = 1 returning n", i);
          }
        });
    t.exact(
        "insert, update and delete the same row",
        "insert into pair values (10, 'x', 1)",
        "update pair set v = 2 where a = 10",
        "delete from pair where a = 10",
        "insert into pair values (10, 'x', 3)");
    t.exact(
        "select for update then update",
        a -> {
          a.sql("select id, n from item where id = 1 for update");
          a.sql("update item set n = n + 1 where id = 1");
        });
    t.exact(
            "update partition key moves rows",
            "update part set d = d + 365 where id = 1 returning tableoid::regclass::text as t, *")
        .suspectBefore(18);
    t.exact("update partitioned", "update part set v = v || '!'");
    t.exact("update partition", "update part_1 set v = 'direct'");
    t.exact("update partition out of its bounds", "update part_1 set d = '2005-01-01'").fails();
    t.exact("update hash partition key", "update hashed set id = id + 100").suspectBefore(18);
    t.exact(
        "update array element and json path",
        "update odd set \"select\" = \"select\" || \"with space\"::text where \"Key\" = 1");
    t.exact(
        "update of text with concat",
        a -> a.sql("update item set name = name || ? where id = ?", "+", 3));
  }

  private static void keyChanges(Kind.Table t) {
    t.exact("key change by key", a -> a.sql("update item set id = ? where id = ?", 50, 5));
    t.exact("key change computed", "update item set id = id + 100 where id > 3").suspectBefore(18);
    t.exact("key change of part of the key", "update pair set b = b || '2' where a = 1")
        .suspectBefore(18);
    t.exact("key change to the same", "update item set id = id, n = 5 where id = 1");
    t.exact("key change returning", "update item set id = 50 where id = 5 returning id, name");
    t.exact(
            "key change from another table",
            "update item set id = p.v + 1000 from pair p where p.a = item.id and p.b = 'x'")
        .suspectBefore(18);
    t.exact("key change with cascade", "update parent set id = id + 10 where id = 1").cascades();
    t.exact("key change referenced without cascade", "update parent set id = 33 where id = 3")
        .fails();
    t.exact("key change onto another", "update item set id = 1 where id = 2").fails();
    t.exact(
            "key shift deferrable",
            "insert into §d values (1, 'a'), (2, 'b'), (3, 'c')",
            "update §d set id = id + 1")
        .suspectBefore(18)
        .on("create table §d(id int primary key deferrable, v text)");
    t.exact(
            "key swap deferrable",
            "insert into §d values (1, 'a'), (2, 'b')",
            "update §d set id = 3 - id")
        .suspectBefore(18)
        .on("create table §d(id int primary key deferrable, v text)");
    t.exact(
        "key chain in one transaction",
        a -> {
          a.sql("update item set id = 50 where id = 5");
          a.sql("update item set id = 5 where id = 4");
          a.sql("update item set id = 4 where id = 50");
        });
    t.exact("unique swap in one statement", "update uq set w = 300 - w where id in (1, 2)");
    t.exact(
        "unique swap by a third value",
        a -> {
          a.sql("update uq set u = -1 where id = 1");
          a.sql("update uq set u = 10 where id = 2");
          a.sql("update uq set u = 20 where id = 1");
        });
    t.exact(
        "unique rotation deferrable",
        "update uq set w = case id when 1 then 200 when 2 then 300 else 100 end");
    t.exact(
        "delete and insert the same unique value",
        "delete from uq where id = 1",
        "insert into uq values (9, 10, 100)");
  }

  private static void deletes(Kind.Table t) {
    t.exact("delete by key", a -> a.sql("delete from item where id = ?", 1));
    t.exact(
        "delete by composite key", a -> a.sql("delete from pair where b = ? and a = ?", "x", 1));
    t.exact("delete by key, none", "delete from item where id = 99");
    t.exact("delete by predicate", "delete from item where n between 2 and 4");
    t.exact("delete all", "delete from item");
    t.exact("delete with subquery", "delete from item where id in (select a from pair)");
    t.exact("delete using", "delete from item i using pair p where p.a = i.id and p.b = 'y'");
    t.exact("delete using itself", "delete from log a using log b where false");
    t.exact(
        "delete limit by ctid",
        "delete from queue where ctid in (select ctid from queue order by id limit 2)");
    t.exact(
        "delete queue head",
        "delete from queue where id = (select id from queue order by id limit 1 for update skip locked) returning *");
    t.exact("delete returning", "delete from item where id < 3 returning *, now() as at");
    t.exact("delete only", "delete from only item where id = 1");
    t.exact(
        "delete with cte",
        "with x as (select max(id) m from item) delete from item using x where id = x.m");
    t.exact("delete cascade", "delete from parent where id = 1").cascades();
    t.exact(
            "delete cascade and set null of several",
            "delete from parent where id in (1, 2) returning id")
        .cascades();
    t.exact("delete referenced deferred", "delete from parent where id = 3").fails();
    t.exact("delete partitioned", "delete from part where v in ('a', 'c')");
    t.exact("delete from partition", "delete from part_2");
    t.exact(
        "delete and insert again",
        "delete from item where id = 1",
        "insert into item(id, name, at) values (1, 'reborn', '2001-01-01Z')");
    t.exact("delete missing table", "delete from nosuch").fails();
    t.exact("delete violates type", "delete from item where id = 'x'").fails();
    t.exact("delete with or", "delete from item where id = 1 or n = 3");
    t.exact(
        "delete by key with null", a -> a.sql("delete from item where id = ?::int", (Object) null));
  }

  private static void keyless(Kind.Table t) {
    t.suspect("keyless update", "update log set v = v + 1 where line = 'one'");
    t.suspect("keyless update of equal rows", "update log set v = 3 where line = 'two'");
    t.suspect(
        "keyless update of one of equal rows",
        "update log set v = 9 where ctid = (select min(ctid) from log where line = 'two')");
    t.suspect("keyless update volatile", "update log set at = clock_timestamp()");
    t.suspect(
        "keyless update returning", "update log set v = 8 where line = 'one' returning line, v");
    t.suspect("keyless update nothing", "update log set v = 8 where false");
    t.suspect("keyless delete", "delete from log where line = 'one'");
    t.suspect("keyless delete of equal rows", "delete from log where line = 'two'");
    t.suspect(
        "keyless delete of one of equal rows",
        "delete from log where ctid = (select min(ctid) from log where line = 'two')");
    t.suspect("keyless delete returning", "delete from log returning *");
    t.suspect(
        "keyless insert, update, delete",
        "insert into log values ('2001-01-01Z', 'x', 1)",
        "update log set v = 2 where line = 'x'",
        "insert into log values ('2001-01-01Z', 'y', 1)",
        "delete from log where line = 'x'");
    t.suspect(
        "keyless update with null values",
        "insert into log values (null, null, null)",
        "update log set v = 1 where line is null");
    t.suspect(
            "keyless with nullable unique index",
            "insert into §u values (1, 'a'), (null, 'b'), (null, 'b')",
            "update §u set v = 'c' where id is null",
            "delete from §u where id = 1")
        .on("create table §u(id int unique, v text)");
    t.suspect(
            "keyless replica identity full",
            "update §f set v = 2",
            "delete from §f where v = 2 and id = 1")
        .on(
            "create table §f(id int, v int); alter table §f replica identity full; insert into §f values (1, 1), (1, 1), (2, 1)");
  }

  private static void merges(Kind.Table t) {
    t.exact(
            "merge matched and not matched",
            "merge into item t using (values (1, 'one'), (10, 'ten')) s(id, name) on t.id = s.id when matched then update set name = s.name when not matched then insert (id, name) values (s.id, s.name)")
        .since(15)
        .suspectBefore(17); // no RETURNING, and not every update is HOT
    t.exact(
            "merge delete",
            "merge into item t using pair s on t.id = s.v when matched and t.n > 1 then delete when matched then do nothing")
        .since(15)
        .suspectBefore(18);
    t.exact(
            "merge do nothing",
            "merge into item t using pair s on t.id = s.v when matched then do nothing when not matched then do nothing")
        .since(15);
    t.exact(
            "merge volatile",
            "merge into facts t using (select 1 as id) s on t.id = s.id when not matched then insert (id, at, rnd) values (s.id, clock_timestamp(), random())")
        .since(15);
    t.exact(
            "merge serial",
            "merge into ser t using (select 'z' as v) s on t.v = s.v when not matched then insert (v) values (s.v)")
        .since(15);
    t.exact(
            "merge with cte and parameters",
            a ->
                a.sql(
                    "with s as (select ?::int as id, ?::text as name) merge into item t using s on t.id = s.id when matched then update set name = s.name when not matched then insert (id, name) values (s.id, s.name)",
                    2,
                    "two!"))
        .since(15)
        .suspectBefore(17);
    t.suspect(
            "merge keyless",
            "merge into log t using (select 'one' as line) s on t.line = s.line when matched then update set v = 50 when not matched then insert (line) values (s.line)")
        .since(15);
    t.exact(
            "merge changes key",
            "merge into item t using (select 5 as id) s on t.id = s.id when matched then update set id = 55")
        .since(15)
        .suspectBefore(18);
    t.exact(
            "merge partitioned",
            "merge into part t using (values (1, date '2001-05-01')) s(id, d) on t.id = s.id when matched then update set d = '2002-02-02'")
        .since(15)
        .suspectBefore(18);
    t.exact(
            "merge twice the same row",
            "merge into item t using (values (1), (1)) s(id) on t.id = s.id when matched then update set n = 1")
        .since(15)
        .fails();
    t.exact(
            "merge returning",
            "merge into item t using (values (1, 'one'), (10, 'ten')) s(id, name) on t.id = s.id when matched then update set name = s.name when not matched then insert (id, name) values (s.id, s.name) returning merge_action(), t.id, s.name")
        .since(17);
    t.exact(
            "merge not matched by source",
            "merge into item t using (values (1), (2)) s(id) on t.id = s.id when not matched by source then delete")
        .since(17)
        .suspectBefore(18);
    t.exact(
            "merge in cte",
            "with m as (merge into item t using (values (1), (20)) s(id) on t.id = s.id when matched then update set n = 0 when not matched then insert (id, name) values (s.id, 'm') returning t.id) select count(*) from m")
        .since(17);
    t.exact(
            "merge before it existed",
            "merge into item t using (values (1)) s(id) on t.id = s.id when matched then delete; select 1 from nosuch")
        .fails();
  }

  private static void ctes(Kind.Table t) {
    t.exact(
        "queue into archive",
        "with d as (delete from queue where id <= 2 returning id, payload) insert into archive select id, payload from d");
    t.exact(
        "queue into archive, head",
        "with d as (delete from queue where id = (select min(id) from queue) returning *) insert into archive(id, payload) select id, payload from d returning *");
    t.exact(
        "insert in cte, select",
        "with x as (insert into ser(v) values ('c') returning id, v) select id + 0 as id, v from x");
    t.exact("insert in cte, unread", "with x as (insert into ser(v) values ('c')) select 1 as one");
    t.exact(
        "update in cte, select count",
        "with x as (update item set n = n + 1 where id < 4 returning id) select count(*) from x");
    t.exact(
        "parent and children by cte",
        "with p as (insert into parent values (10, 1) returning id) insert into child(parent, v) select id, g from p, generate_series(1, 3) g");
    t.exact(
        "several levels",
        "with d as (delete from queue where id = 1 returning id, payload), a as (insert into archive select id, payload from d returning id), i as (insert into item(id, name) select id + 500, 'lvl' from a returning id) select id from i");
    t.exact(
        "writes to the same table by cte and main",
        "with d as (delete from pair where a = 1 returning a, b, v) insert into pair select a + 50, b, v from d");
    t.exact(
        "three writes in one statement",
        "with x as (update item set n = 1 where id = 1), y as (delete from item where id = 2), z as (insert into item(id, name) values (10, 'z')) update item set n = 3 where id = 3");
    t.exact(
        "cte update, main insert on conflict",
        "with u as (update item set n = 50 where id = 99 returning id) insert into item(id, name) select 99, 'new' where not exists (select from u)");
    t.suspect(
        "cte from keyless",
        "with d as (delete from log where line = 'two' returning v) insert into pair select 60 + row_number() over (), 'k', v from d");
    t.exact(
        "cte into keyless",
        "with d as (delete from queue where id = 1 returning payload) insert into log(line) select payload from d");
    t.exact(
        "cte volatile",
        "with x as (insert into facts(id, at, rnd) values (1, clock_timestamp(), random()) returning at, rnd) insert into facts(id, at, rnd) select 2, at, rnd from x");
    t.exact(
        "cte with parameters in both",
        a ->
            a.sql(
                "with d as (delete from queue where id = ? returning id, payload) insert into archive(id, payload) select id, payload || ? from d",
                1,
                "!"));
    t.exact(
            "cte key change",
            "with u as (update item set id = 55 where id = 5 returning id) select id from u")
        .suspectBefore(18);
    t.exact(
        "same keys: cte deletes, main inserts",
        "with d as (delete from pair where a = 1 returning *) insert into pair select a, b, v + 10 from d");
    t.exact(
        "same keys: main deletes, cte inserts",
        "with i as (insert into pair values (1, 'x', 9)) delete from pair where a = 1 and b = 'x'");
    t.exact(
            "same keys: cte moves, main inserts",
            "with u as (update item set id = 40 where id = 4 returning *) insert into item(id, name) select 4, name from u returning name")
        .suspectBefore(18);
    t.exact(
            "same keys: ctes move one after the other",
            "with u as (update item set id = 40 where id = 4 returning id), w as (update item set id = 4 where id = 5 and exists (select from u) returning id), d as (delete from item where id = 3 returning id), x as (update item set id = 3 where id = 2 and (select count(*) from d) = 0) select w.id from w")
        .suspectBefore(18);
    t.exact("cte fails", "with x as (insert into pair values (1, 'x', 9)) select 1").fails();
    t.exact(
            "explain analyze of an insert",
            "explain (analyze, costs off, timing off, summary off, buffers off) insert into pair values (10, 'e', 1)")
        .since(16);
    t.exact("explain of an insert", "explain (costs off) insert into pair values (10, 'e', 1)");
  }
}
