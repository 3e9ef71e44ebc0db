package io.dualwrite.jdbc;

/**
 * Tables with something behind them: triggers, rules, views, cascades, partitions, inheritance; and
 * TRUNCATE.
 */
final class KindsOfRelation {

  private KindsOfRelation() {}

  private static final String BEFORE =
      """
      create table §t(id int primary key, v int, at timestamptz, n int default 0);
      insert into §t values (1, 1, '2001-01-01Z', 1), (2, 2, '2001-01-01Z', 1);
      create function §stamp() returns trigger language plpgsql as $$ begin new.at := clock_timestamp(); new.n := coalesce(old.n, 0) + 1; return new; end $$;
      create trigger stamp before insert or update on §t for each row execute function §stamp();
      """;

  private static final String KEYED_AUDIT =
      """
      create table §t(id int primary key, v int);
      create table §audit(id serial primary key, op text, row_id int, at timestamptz default clock_timestamp());
      insert into §t values (1, 1), (2, 2), (3, 3);
      create function §note() returns trigger language plpgsql as $$ begin insert into §audit(op, row_id) values (tg_op, coalesce(new.id, old.id)); return null; end $$;
      create trigger note after insert or update or delete on §t for each row execute function §note();
      """;

  private static final String KEYLESS_AUDIT =
      """
      create table §t(id int primary key, v int);
      create table §audit(op text, row_id int, at timestamptz default clock_timestamp());
      insert into §t values (1, 1), (2, 2), (3, 3);
      create function §note() returns trigger language plpgsql as $$ begin insert into §audit(op, row_id) values (tg_op, coalesce(new.id, old.id)); return null; end $$;
      create trigger note after insert or update or delete on §t for each row execute function §note();
      """;

  private static final String COUNTER =
      """
      create table §t(id int primary key, grp int);
      create table §total(grp int primary key, n int);
      insert into §total values (1, 1), (2, 0);
      insert into §t values (1, 1);
      create function §count() returns trigger language plpgsql as $$ begin
        if tg_op <> 'INSERT' then update §total set n = n - 1 where grp = old.grp; end if;
        if tg_op <> 'DELETE' then update §total set n = n + 1 where grp = new.grp; end if; return null; end $$;
      create trigger count after insert or update or delete on §t for each row execute function §count();
      """;

  private static final String VIEWS =
      """
      create table §t(id int primary key, v int, hidden text default 'h');
      insert into §t values (1, 1), (2, 2), (3, 30);
      create view §simple as select id, v from §t;
      create view §filtered as select id, v from §t where v < 10 with check option;
      create view §renamed as select id as key, v as value from §t;
      create view §joined as select a.id, b.v from §t a join §t b using (id);
      create function §through() returns trigger language plpgsql as $$ begin
        if tg_op = 'INSERT' then insert into §t(id, v) values (new.id, new.v); return new;
        elsif tg_op = 'UPDATE' then update §t set v = new.v where id = old.id; return new;
        else delete from §t where id = old.id; return old; end if; end $$;
      create trigger through instead of insert or update or delete on §joined for each row execute function §through();
      create materialized view §mat as select sum(v) as s from §t;
      """;

  private static final String RULES =
      """
      create table §t(id int primary key, v int);
      create table §log(id serial primary key, line text);
      create table §other(id int primary key, v int);
      insert into §t values (1, 1), (2, 2);
      create rule also as on insert to §t do also insert into §log(line) values ('ins ' || new.id);
      create rule soft as on delete to §t do instead update §t set v = -1 where id = old.id;
      create rule redirect as on update to §t where new.v > 100 do instead nothing;
      create view §v as select * from §other;
      create rule vi as on insert to §v do instead insert into §other values (new.id, new.v) returning other.*;
      """;

  private static final String INHERIT =
      """
      create table §base(id int primary key, v int);
      create table §kid(extra text, primary key (id)) inherits (§base);
      insert into §base values (1, 1);
      insert into §kid values (2, 2, 'x'), (3, 3, 'y');
      """;

  static void in(Kind.Table t) {
    triggers(t);
    cascades(t);
    views(t);
    rules(t);
    inheritance(t);
    truncate(t);
  }

  private static void triggers(Kind.Table t) {
    t.exact(
            "before trigger with clock, insert",
            a -> a.sql("insert into §t(id, v) values (?, 9)", 9))
        .on(BEFORE);
    t.exact("before trigger, insert returning", "insert into §t(id, v) values (9, 9) returning *")
        .on(BEFORE);
    t.exact("before trigger, update", "update §t set v = v + 1").on(BEFORE);
    t.exact(
            "before trigger, upsert",
            "insert into §t(id, v) values (1, 9), (9, 9) on conflict (id) do update set v = excluded.v")
        .on(BEFORE);
    t.exact("before trigger, delete", "delete from §t where id = 1").on(BEFORE);
    t.exact(
            "before trigger suppresses",
            "insert into §t values (9, 9), (10, 10)",
            "update §t set v = 5",
            "delete from §t")
        .on(
            """
        create table §t(id int primary key, v int); insert into §t values (1, 1), (2, 2);
        create function §no() returns trigger language plpgsql as $$ begin if coalesce(new.id, old.id) % 2 = 0 then return null; end if; return coalesce(new, old); end $$;
        create trigger no before insert or update or delete on §t for each row execute function §no();""");
    t.exact(
            "before trigger changes the key",
            "insert into §t values (9, 9) returning id",
            "update §t set v = 3 where id = 1")
        .on(
            """
        create table §t(id int primary key, v int); insert into §t values (1, 1), (2, 2);
        create function §rekey() returns trigger language plpgsql as $$ begin new.id := new.id + 1000; return new; end $$;
        create trigger rekey before insert or update on §t for each row execute function §rekey();""");
    t.suspect(
            "before trigger changes the key, upsert",
            "insert into §t values (1, 1, 5), (2, 1, 6), (3, 1, 7) on conflict (id, m) do update set v = excluded.v returning *",
            "with x as (insert into §t values (2, 2, 8) on conflict (id, m) do update set v = excluded.v returning *) select * from x")
        .on(
            """
        create table §t(id int, m int, v int, primary key (id, m));
        insert into §t values (1, 1, 1), (2, 1, 1);
        create function §move() returns trigger language plpgsql as $$ begin new.m := old.m + 1; return new; end $$;
        create trigger move before update on §t for each row execute function §move();""");
    t.exact(
            "before trigger changes another index, upsert",
            "insert into §t as x values (1, 5), (2, 6), (3, 7) on conflict (id) do update set v = excluded.v where x.v < 9",
            "insert into §t select id, 8 from §t on conflict (id) do update set v = excluded.v returning n")
        .on(
            """
        create table §t(id int primary key, v int, n int default 0);
        create index on §t(n);
        insert into §t values (1, 1), (2, 1);
        create function §count() returns trigger language plpgsql as $$ begin new.n := old.n + 1; return new; end $$;
        create trigger count before update on §t for each row execute function §count();""");
    t.exact("after trigger that writes nothing", "insert into §t values (9)")
        .on(
            """
        create table §t(id int primary key);
        create function §nothing() returns trigger language plpgsql as $$ begin perform pg_notify('x', 'y'); return null; end $$;
        create trigger n after insert on §t for each row execute function §nothing();""");
    t.exact(
            "moddatetime-like column trigger",
            "update §t set v = 9 where id = 1",
            "update §t set n = 5 where id = 2")
        .on(BEFORE.replace("before insert or update on", "before update of v on"));
    for (String how : new String[] {"keyed", "keyless"}) {
      String ddl = how.equals("keyed") ? KEYED_AUDIT : KEYLESS_AUDIT;
      t.suspect(how + " audit, insert", a -> a.sql("insert into §t values (?, 1)", 9)).on(ddl);
      t.suspect(
              how + " audit, insert serial returning",
              "insert into §t values (9, 1), (10, 1) returning *")
          .on(ddl);
      t.suspect(how + " audit, update", "update §t set v = v + 1 where id < 3").on(ddl);
      t.suspect(how + " audit, delete", a -> a.sql("delete from §t where id = ?", 1)).on(ddl);
      t.suspect(
              how + " audit, upsert",
              "insert into §t values (1, 9), (9, 9) on conflict (id) do update set v = excluded.v")
          .on(ddl);
      t.suspect(
              how + " audit, several statements",
              "insert into §t values (9, 1)",
              "update §t set v = 5 where id = 9",
              "delete from §t where id = 9",
              "update §t set v = 3 where id = 99")
          .on(ddl);
      t.suspect(
              how + " audit, batch",
              a -> a.batch("insert into §t values (?, 1)", new Object[] {9}, new Object[] {10}))
          .on(ddl);
      t.suspect(
              how + " audit, generated keys", a -> a.keys(null, "insert into §t values (?, 1)", 9))
          .on(ddl);
      t.suspect(
              how + " audit, application reads it",
              "insert into §t values (9, 1)",
              "select op, row_id from §audit")
          .on(ddl);
    }
    t.suspect(
            "trigger changes an existing row",
            "insert into §t values (9, 1), (10, 2)",
            "update §t set grp = 2 where id = 9",
            "delete from §t where id = 1")
        .on(COUNTER);
    t.suspect("trigger deletes rows of another table", "insert into §t values (1)")
        .on(
            """
        create table §t(id int primary key); create table §o(id int primary key); insert into §o values (1), (2);
        create function §purge() returns trigger language plpgsql as $$ begin delete from §o where id = new.id; return null; end $$;
        create trigger purge after insert on §t for each row execute function §purge();""");
    t.suspect("statement trigger with transition tables", "insert into §t values (9, 1), (10, 2)")
        .on(
            """
        create table §t(id int primary key, v int); create table §sum(id serial primary key, n bigint);
        create function §total() returns trigger language plpgsql as $$ begin insert into §sum(n) select sum(v) from new_rows; return null; end $$;
        create trigger total after insert on §t referencing new table as new_rows for each statement execute function §total();""");
    t.suspect(
            "constraint trigger deferred",
            "insert into §t values (9, 1)",
            "update §t set v = 2 where id = 9")
        .on(
            """
        create table §t(id int primary key, v int); create table §audit(id serial primary key, line text);
        create function §note() returns trigger language plpgsql as $$ begin insert into §audit(line) values (new.id || ' ' || new.v); return null; end $$;
        create constraint trigger note after insert or update on §t deferrable initially deferred for each row execute function §note();""");
    t.suspect("constraint trigger deferred changes the row itself", "insert into §t values (9, 1)")
        .on(
            """
        create table §t(id int primary key, v int);
        create function §bump() returns trigger language plpgsql as $$ begin update §t set v = v + 100 where id = new.id and v < 100; return null; end $$;
        create constraint trigger bump after insert on §t deferrable initially deferred for each row execute function §bump();""");
    t.suspect(
            "after trigger changes the row itself",
            "insert into §t values (9, 1) returning *",
            "select * from §t")
        .on(
            """
        create table §t(id int primary key, v int);
        create function §bump() returns trigger language plpgsql as $$ begin update §t set v = v + 100 where id = new.id; return null; end $$;
        create trigger bump after insert on §t for each row execute function §bump();""");
    t.exact("constraint trigger deferred that fails", "insert into §t values (9, 1)")
        .on(
            """
        create table §t(id int primary key, v int);
        create function §no() returns trigger language plpgsql as $$ begin raise exception 'not %', new.id; end $$;
        create constraint trigger no after insert on §t deferrable initially deferred for each row execute function §no();""")
        .fails();
    t.suspect("trigger cascade over three tables", "insert into §a values (1)")
        .on(
            """
        create table §a(id int primary key); create table §b(id serial primary key, a int); create table §c(id serial primary key, b int);
        create function §ab() returns trigger language plpgsql as $$ begin insert into §b(a) values (new.id); return null; end $$;
        create function §bc() returns trigger language plpgsql as $$ begin insert into §c(b) values (new.id); return null; end $$;
        create trigger ab after insert on §a for each row execute function §ab(); create trigger bc after insert on §b for each row execute function §bc();""");
    t.suspect("trigger on a partition", "insert into §p values (1), (150)")
        .on(
            """
        create table §p(id int primary key) partition by range (id); create table §p1 partition of §p for values from (0) to (100);
        create table §p2 partition of §p for values from (100) to (200); create table §audit(id serial primary key, p int);
        create function §note() returns trigger language plpgsql as $$ begin insert into §audit(p) values (new.id); return null; end $$;
        create trigger note after insert on §p1 for each row execute function §note();""");
    t.suspect("trigger on a child of a cascade", "delete from §p where id = 1")
        .on(
            """
        create table §p(id int primary key); create table §c(id int primary key, p int references §p on delete cascade); create table §audit(id serial primary key, c int);
        insert into §p values (1), (2); insert into §c values (1, 1), (2, 1), (3, 2);
        create function §note() returns trigger language plpgsql as $$ begin insert into §audit(c) values (old.id); return null; end $$;
        create trigger note after delete on §c for each row execute function §note();""");
    t.exact("disabled trigger", "insert into §t values (9, 1)")
        .on(KEYED_AUDIT + "alter table §t disable trigger note;");
    t.exact("replica trigger does not fire", "insert into §t values (9, 1)")
        .on(KEYED_AUDIT + "alter table §t enable replica trigger note;");
    t.suspect("pg_trigger_depth and when clause", "insert into §t values (9, 1), (10, -1)")
        .on(
            KEYED_AUDIT
                + "drop trigger note on §t; create trigger note after insert on §t for each row when (new.v > 0) execute function §note();");
  }

  private static void cascades(Kind.Table t) {
    String ddl =
        """
        create table §p(id int primary key, v int); create table §c(id int primary key, p int references §p on delete cascade on update cascade);
        create table §g(id int primary key, c int references §c on delete cascade on update cascade); create table §n(id int primary key, p int default 1 references §p on delete set default on update set null);
        create table §kl(p int references §p on delete cascade on update cascade, v int);
        insert into §p values (1, 1), (2, 2), (3, 3); insert into §c values (1, 1), (2, 2), (3, 2); insert into §g values (1, 1), (2, 2), (3, 3); insert into §n values (1, 2), (2, 3);
        """;
    t.exact("cascade over two levels, delete", "delete from §p where id = 2").on(ddl).cascades();
    t.exact("cascade, key update", "update §p set id = id + 10 where id = 2").on(ddl).cascades();
    t.exact("cascade set default", "delete from §p where id = 3").on(ddl).cascades();
    t.exact(
            "cascade, delete and insert the same key",
            "delete from §p where id = 2",
            "insert into §p values (2, 9)",
            "insert into §c values (2, 2)")
        .on(ddl)
        .cascades();
    t.suspect(
            "cascade into keyless, delete",
            "insert into §kl values (2, 1), (2, 1), (3, 1)",
            "delete from §p where id = 2")
        .on(ddl)
        .cascades();
    t.suspect(
            "cascade into keyless, key update",
            "insert into §kl values (2, 1), (2, 1), (3, 1)",
            "update §p set id = 20 where id = 2")
        .on(ddl)
        .cascades();
    t.exact("self reference cascade", "delete from §s where id = 1")
        .on(
            "create table §s(id int primary key, up int references §s on delete cascade); insert into §s values (1, null), (2, 1), (3, 2), (4, null)")
        .cascades();
    t.exact("self reference insert in one statement", "insert into §s values (3, 4), (4, 3)")
        .on("create table §s(id int primary key, up int references §s)");
    t.exact(
            "circular references deferred",
            "insert into §x values (1, 1)",
            "insert into §y values (1, 1)")
        .on(
            "create table §x(id int primary key, y int); create table §y(id int primary key, x int references §x deferrable initially deferred); alter table §x add foreign key (y) references §y deferrable initially deferred")
        .fails();
  }

  private static void views(Kind.Table t) {
    t.exact("insert through view", "insert into §simple values (9, 9)").on(VIEWS);
    t.exact(
            "insert through view returning",
            "insert into §renamed values (9, 9) returning key, value")
        .on(VIEWS);
    t.exact("update through view", a -> a.sql("update §simple set v = v + 1 where id = ?", 1))
        .on(VIEWS);
    t.exact(
            "update through renamed view",
            "update §renamed set value = 50 where key = 1 returning *")
        .on(VIEWS);
    t.suspect("delete through view", "delete from §filtered").on(VIEWS);
    t.exact(
            "upsert through view",
            "insert into §simple values (1, 9), (9, 9) on conflict (id) do update set v = excluded.v")
        .on(VIEWS);
    t.exact("check option violated", "insert into §filtered values (9, 99)").on(VIEWS).fails();
    t.exact(
            "generated keys through view",
            a -> a.keys(new String[] {"id"}, "insert into §simple values (?, 9)", 9))
        .on(VIEWS);
    t.suspect("key change through view", "update §simple set id = 10 where id = 1")
        .on(VIEWS)
        .suspectBefore(18);
    t.suspect("instead of insert", "insert into §joined values (9, 9)").on(VIEWS);
    t.suspect("instead of insert returning", "insert into §joined values (9, 9) returning *")
        .on(VIEWS);
    t.suspect("instead of update", "update §joined set v = v + 5 where id < 3").on(VIEWS);
    t.suspect("instead of delete", "delete from §joined where id = 2").on(VIEWS);
    t.exact("view that is not updatable", "insert into §w values (1)")
        .on(VIEWS + "create view §w as select sum(v) as s from §t;")
        .fails();
    t.suspect(
            "refresh materialized view",
            "insert into §t values (9, 9)",
            "refresh materialized view §mat",
            "select * from §mat")
        .on(VIEWS);
    t.suspect(
            "refresh materialized view concurrently", "refresh materialized view concurrently §m2")
        .on(
            VIEWS
                + "create materialized view §m2 as select id, v from §t; create unique index on §m2(id); insert into §t values (20, 20);");
    t.suspect(
            "view of a partitioned table",
            "insert into §v values (5), (105)",
            "delete from §v where id = 5")
        .on(
            "create table §p(id int primary key) partition by range (id); create table §p1 partition of §p for values from (0) to (100); create table §p2 partition of §p default; create view §v as select * from §p");
    t.exact(
            "row level security, superuser",
            "insert into §r values (1, 'x')",
            "update §r set v = 'y'")
        .on(
            "create table §r(id int primary key, v text); alter table §r enable row level security; create policy p on §r using (v = 'x')");
  }

  private static void rules(Kind.Table t) {
    t.suspect("rule also", "insert into §t values (9, 9)").on(RULES);
    t.suspect("rule instead update", "delete from §t where id = 1").on(RULES);
    t.suspect(
            "rule instead nothing",
            "update §t set v = 500 where id = 1",
            "update §t set v = 50 where id = 2")
        .on(RULES);
    t.suspect("rule on a view", "insert into §v values (9, 9)").on(RULES);
    t.suspect("rule on a view returning", "insert into §v values (9, 9) returning *").on(RULES);
  }

  private static void inheritance(Kind.Table t) {
    t.exact("insert into parent of inheritance", "insert into §base values (9, 9)").on(INHERIT);
    t.exact("insert into child of inheritance", "insert into §kid values (9, 9, 'z') returning *")
        .on(INHERIT);
    t.exact("update parent of inheritance", "update §base set v = v + 10").on(INHERIT);
    t.exact("update only parent", "update only §base set v = v + 10").on(INHERIT);
    t.suspect("delete from parent of inheritance", "delete from §base where id > 1").on(INHERIT);
    t.exact("update child of inheritance", "update §kid set extra = 'new' where id = 2")
        .on(INHERIT);
    t.exact(
            "same key in parent and child",
            "insert into §base values (2, 50)",
            "update §base set v = v + 1 where id = 2",
            "delete from only §base where id = 2")
        .on(INHERIT);
  }

  private static final String REFERENCED =
      """
      create table §p(id int primary key) partition by range (id);
      create table §p1 partition of §p for values from (0) to (10);
      create table §p2 partition of §p for values from (10) to (20);
      create table §a(id int primary key, p int references §p);
      create table §b(id int primary key, p int references §p) partition by range (id);
      create table §b1 partition of §b for values from (0) to (100);
      create table §c(id int primary key, p1 int references §p1);
      create table §d(id int primary key, a int references §a);
      insert into §p values (1), (11); insert into §a values (1, 1), (2, 11); insert into §b values (1, 11);
      insert into §c values (1, 1); insert into §d values (1, 2);
      """;

  private static void truncate(Kind.Table t) {
    t.suspect("truncate", "truncate pair");
    t.suspect("truncate table keyless", "truncate table log");
    t.suspect(
        "truncate restart identity",
        "truncate ser restart identity",
        "insert into ser(v) values ('first') returning id");
    t.suspect(
        "truncate continue identity",
        "truncate only ser continue identity",
        "insert into ser(v) values ('next') returning id");
    t.suspect("truncate cascade", "truncate parent cascade");
    t.suspect("truncate referenced", "truncate parent").fails();
    t.suspect("truncate several", "truncate pair, item, log");
    t.suspect("truncate partitioned", "truncate part");
    t.suspect("truncate partition", "truncate part_1");
    t.suspect("truncate partition cascade", "truncate §p1 cascade").on(REFERENCED);
    t.suspect("truncate partitioned cascade", "truncate §p cascade").on(REFERENCED);
    t.suspect(
        "truncate and insert",
        "insert into pair values (20, 'gone', 1)",
        "truncate pair",
        "insert into pair values (1, 'x', 5), (21, 'kept', 1)",
        "update pair set v = 6 where a = 1");
    t.suspect(
        "truncate keyless and insert",
        "insert into log(line) values ('gone')",
        "truncate log",
        "insert into log(line) values ('kept')");
    t.suspect("truncate with trigger", "truncate §t")
        .on(
            "create table §t(id int primary key); insert into §t values (1); create table §audit(id serial primary key, x text); create function §n() returns trigger language plpgsql as $$ begin insert into §audit(x) values (tg_op); return null; end $$; create trigger n after truncate on §t for each statement execute function §n()");
    t.suspect("truncate missing", "truncate nosuch").fails();
    t.suspect("truncate inheritance", "truncate §base").on(INHERIT);
  }
}
