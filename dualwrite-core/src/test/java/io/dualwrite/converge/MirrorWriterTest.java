package io.dualwrite.converge;

import static io.dualwrite.converge.Fixture.change;
import static io.dualwrite.converge.Fixture.delete;
import static io.dualwrite.converge.Fixture.execute;
import static io.dualwrite.converge.Fixture.row;
import static io.dualwrite.converge.Fixture.rows;
import static io.dualwrite.converge.Fixture.table;
import static io.dualwrite.converge.Fixture.upsert;
import static io.dualwrite.converge.Fixture.value;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.journal.RowChange;
import io.dualwrite.journal.RowChange.Kind;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class MirrorWriterTest {

  private Fixture f;
  private Connection m;

  @BeforeEach
  void open() throws SQLException {
    f = new Fixture();
    m = f.mirror();
  }

  @AfterEach
  void close() throws SQLException {
    f.close();
  }

  @Test
  void everyKindReachesTheMirror() throws Exception {
    f.with("create table t(id int primary key, v text, w int)", "create table k(a int, b text)");
    f.pair.executeTarget("insert into t values (1,'old',1),(2,'old',2),(3,'old',3)");
    List<String> cols = List.of("id", "v", "w");
    f.flush(
        m,
        new Marker(f.journal.writer(), 7),
        upsert("t", cols, row("1", "new", null)),
        upsert("t", cols, row("4", "it's \"x\" \\ {}", "4")),
        delete("t", "id", "2"),
        change(
            Kind.REKEY,
            "t",
            List.of("id", "id", "v", "w"),
            List.of("id"),
            row("3", "30", "r", "3")),
        change(Kind.INSERT, "k", List.of("a", "b"), List.of(), row("1", "x")),
        change(Kind.INSERT, "k", List.of("a", "b"), List.of(), row("1", "x"), row("2", null)));
    m.commit();
    assertEquals(
        List.of(
            "{\"v\": \"it's \\\"x\\\" \\\\ {}\", \"w\": 4, \"id\": 4}|",
            "{\"v\": \"new\", \"w\": null, \"id\": 1}|",
            "{\"v\": \"r\", \"w\": 3, \"id\": 30}|"),
        rows(m, "t").stream().sorted().toList());
    assertEquals(3, rows(m, "k").size());
    assertEquals(
        f.journal.writer() + ",7",
        value(m, "select writer || ',' || sequence from dualwrite.marker"));
  }

  @Test
  void settingsEndWithTheTransaction() throws Exception {
    f.with("create table t(id int primary key, v text)");
    execute(m, "set timezone to 'Asia/Tokyo'");
    m.commit();
    f.flush(m, null, upsert("t", List.of("id", "v"), row("1", "x")));
    assertEquals("1s", value(m, "show lock_timeout"));
    assertEquals("on", value(m, "show synchronous_commit"));
    m.commit();
    assertEquals("0", value(m, "show lock_timeout"));
    assertEquals("Asia/Tokyo", value(m, "show timezone"));
  }

  @Test
  void adjacentChangesOfOneShapeBecomeOneStatementAndTheLastOfAKeyWins() throws Exception {
    f.with("create table t(id int primary key, v text)");
    List<RowChange> changes = new ArrayList<>();
    for (int i = 0; i < 10_000; i++) {
      changes.add(upsert("t", List.of("id", "v"), row("" + i, "a" + i)));
    }
    for (int i = 0; i < 10_000; i += 2) {
      changes.add(upsert("t", List.of("id", "v"), row("" + i, "b" + i)));
    }
    f.writer.apply(m, changes, null, ApplyLimits.DEFAULT);
    assertEquals(
        "10000,5000",
        value(m, "select count(*) || ',' || count(*) filter (where v = 'b' || id) from public.t"));
    // one command: one command id for all rows
    assertEquals("1", value(m, "select count(distinct cmin::text) from public.t"));
    m.commit();
  }

  @Test
  void deleteThenInsertAndInsertThenDeleteKeepTheirOrder() throws Exception {
    f.with("create table t(id int primary key, v text)");
    f.pair.executeTarget("insert into t values (1,'x')");
    List<String> cols = List.of("id", "v");
    f.flush(
        m,
        null,
        delete("t", "id", "1"),
        upsert("t", cols, row("1", "y")),
        upsert("t", cols, row("2", "z")),
        delete("t", "id", "2"));
    assertEquals("1y", value(m, "select string_agg(id || v, ',') from public.t"));
    // and chained key changes, which are not one statement's
    List<String> re = List.of("id", "id");
    f.flush(
        m,
        null,
        change(Kind.REKEY, "t", re, List.of("id"), row("1", "5")),
        change(Kind.REKEY, "t", re, List.of("id"), row("5", "6")));
    assertEquals("6y", value(m, "select string_agg(id || v, ',') from public.t"));
    // the rows of one statement change together
    f.flush(
        m,
        null,
        upsert("t", cols, row("7", "q")),
        change(Kind.REKEY, "t", re, List.of("id"), row("7", "8"), row("6", "60")));
    assertEquals(
        "60y,8q", value(m, "select string_agg(id || v, ',' order by v desc) from public.t"));
  }

  @Test
  void anotherCountIsToldAndNothingIsRolledBack() throws Exception {
    f.with("create table t(id int primary key, v text)");
    f.pair.executeTarget("insert into t values (1,'x')");
    CountMismatchException e =
        assertThrows(
            CountMismatchException.class,
            () ->
                f.flush(
                    m,
                    null,
                    upsert("t", List.of("id", "v"), row("2", "y")),
                    delete("t", "id", "1", "3")));
    assertEquals(table("t"), e.table());
    assertEquals(2, e.expected());
    assertEquals(1, e.actual());
    assertEquals("2", value(m, "select string_agg(id::text, ',') from public.t"));
    m.rollback();
    assertEquals("1", value(m, "select string_agg(id::text, ',') from public.t"));
    assertThrows(
        CountMismatchException.class,
        () ->
            f.flush(
                m,
                null,
                change(Kind.REKEY, "t", List.of("id", "id"), List.of("id"), row("9", "8"))));
  }

  /** No UPDATE sets them; left as it was the row would differ in silence. */
  @Test
  void anotherNumberThatNoUpdateSetsIsToldAsACount() throws Exception {
    f.with(
        "create table t(k text primary key, n bigint generated always as identity, v text)",
        "create table bare(k text primary key, n bigint generated always as identity)",
        "create table d(k text primary key deferrable, n bigint generated always as identity, v text)",
        "create table own(id bigint generated always as identity primary key, v text)");
    f.pair.executeTarget(
        "insert into t(k, v) values ('a', 'x'); insert into bare(k) values ('a'); insert into d(k, v) values ('a', 'x'); insert into own(v) values ('x')");
    List<String> cols = List.of("k", "n", "v");
    for (String t : List.of("t", "d")) {
      f.flush(m, null, upsert(t, cols, row("a", "1", "y"), row("b", "7", "y")));
      m.commit();
      for (String[][] rows :
          List.of(
              new String[][] {row("a", "2", "z")},
              new String[][] {row("a", "2", "z"), row("b", "7", "z")})) {
        assertThrows(CountMismatchException.class, () -> f.flush(m, null, upsert(t, cols, rows)));
        m.rollback();
      }
      RowChange rekey =
          change(Kind.REKEY, t, List.of("k", "k", "n", "v"), List.of("k"), row("a", "c", "2", "z"));
      assertThrows(CountMismatchException.class, () -> f.flush(m, null, rekey));
      m.rollback();
      assertEquals("a1y b7y", value(m, "select string_agg(k || n || v, ' ' order by k) from " + t));
    }
    f.flush(m, null, upsert("bare", List.of("k", "n"), row("a", "1"), row("b", "5")));
    assertThrows(
        CountMismatchException.class,
        () -> f.flush(m, null, upsert("bare", List.of("k", "n"), row("a", "2"))));
    m.rollback();
    RowChange id =
        change(Kind.REKEY, "own", List.of("id", "id", "v"), List.of("id"), row("1", "2", "x"));
    assertThrows(CountMismatchException.class, () -> f.flush(m, null, id));
  }

  /** IS NULL is true of a composite value whose fields are NULL, which is not NULL. */
  @Test
  void ofCompositeValuesTheRightRowGoes() throws Exception {
    f.with("create type two as (a int, b int)", "create table k(c two)");
    f.pair.executeTarget("insert into k values (row(null, null)), (null)");
    f.flush(m, null, change(Kind.REMOVE, "k", List.of("c"), List.of(), row((String) null)));
    assertEquals(
        "(,)", value(m, "select string_agg(coalesce(c::text, 'null'), ' ') from public.k"));
  }

  @Test
  void ofTextsThatTheCollationTakesForEqualTheRightRowGoes() throws Exception {
    f.with(
        "create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
        "create table k(c text collate folded, d text collate folded)");
    f.pair.executeTarget("insert into k values ('A', 'x'), ('a', 'x'), ('a', 'X')");
    f.flush(m, null, change(Kind.REMOVE, "k", List.of("c", "d"), List.of(), row("a", "X")));
    assertEquals(
        "A x, a x",
        value(m, "select string_agg(c || ' ' || d, ', ' order by c collate \"C\") from public.k"));
  }

  @Test
  void whatTheMirrorLacksIsNamed() throws Exception {
    f.with("create table t(id int, v text)");
    SQLException column =
        assertThrows(
            SQLException.class,
            () -> f.flush(m, null, change(Kind.INSERT, "t", List.of("x"), List.of(), row("1"))));
    assertTrue(column.getMessage().contains("public.t has no column x"), column.getMessage());
    m.rollback();
    SQLException key =
        assertThrows(
            SQLException.class,
            () -> f.flush(m, null, upsert("t", List.of("id", "v"), row("1", "a"))));
    assertTrue(key.getMessage().contains("no unique index on [id]"), key.getMessage());
    m.rollback();
    SQLException none =
        assertThrows(
            SQLException.class,
            () -> f.flush(m, null, upsert("gone", List.of("id", "v"), row("1", "a"))));
    assertTrue(none.getMessage().contains("no table public.gone"), none.getMessage());
  }

  @Test
  void aColumnAddedLaterIsFoundAfterTheFirstError() throws Exception {
    f.with("create table t(id int primary key)");
    f.flush(m, null, upsert("t", List.of("id"), row("1")));
    m.commit();
    f.pair.executeTarget("alter table t add column v text");
    RowChange c = upsert("t", List.of("id", "v"), row("1", "a"));
    assertThrows(SQLException.class, () -> f.flush(m, null, c));
    m.rollback();
    f.mirrorCatalog.invalidate();
    f.flush(m, null, c);
    assertEquals("a", value(m, "select v from public.t"));
  }

  @Test
  void shippedTypesAreConvertedByTheServer() throws Exception {
    f.with("create table t(id bigint primary key, n numeric, d date)");
    f.flush(
        m,
        null,
        new RowChange(
            Kind.UPSERT,
            table("t"),
            List.of("id", "n", "d"),
            Arrays.asList("numeric", "double precision", "timestamp without time zone"),
            List.of("id"),
            new String[][] {row("1.0", "1e-3", "2024-02-29 23:59:59")}));
    assertEquals("1,0.001,2024-02-29", value(m, "select id || ',' || n || ',' || d from public.t"));
  }

  @Test
  void nothingIsCutSilently() throws Exception {
    f.with("create table t(id int primary key)");
    f.pair.executeSource("alter table t add v varchar(10), add b varbit(10)");
    f.pair.executeTarget("alter table t add v varchar(3), add b varbit(3)");
    for (RowChange c :
        List.of(
            upsert("t", List.of("id", "v"), row("1", "abcd")),
            upsert("t", List.of("id", "v"), row("1", "abcd"), row("2", "x")),
            upsert("t", List.of("id", "b"), row("1", "10101")))) {
      SQLException e = assertThrows(SQLException.class, () -> f.flush(m, null, c));
      assertTrue(e.getSQLState().startsWith("22"), e.getSQLState());
      m.rollback();
    }
  }

  @Test
  void aDeferrableKeyIsUpdatedThenInserted() throws Exception {
    f.with(
        "create table t(id int primary key deferrable, v text)",
        "create table o(id int primary key deferrable initially deferred)");
    f.pair.executeTarget("insert into t values (1,'x')");
    List<String> cols = List.of("id", "v");
    f.flush(m, null, upsert("t", cols, row("1", "a")));
    f.flush(m, null, upsert("t", cols, row("2", "b")));
    f.flush(m, null, upsert("t", cols, row("2", "c"), row("3", "d")));
    f.flush(m, null, upsert("o", List.of("id"), row("2")), upsert("o", List.of("id"), row("2")));
    m.commit();
    assertEquals("1a,2c,3d", value(m, "select string_agg(id || v, ',' order by id) from public.t"));
    assertEquals("1", value(m, "select count(*) from public.o"));
  }

  @Test
  void aTableOfKeysAloneAndCompositeKeysInAnyOrder() throws Exception {
    f.with(
        "create table o(a int, b int, primary key (b, a))",
        "create table t(v text, a int, b text, unique (a, b))",
        "alter table t alter a set not null, alter b set not null");
    List<String> ab = List.of("a", "b");
    for (int i = 0; i < 2; i++) {
      f.flush(
          m,
          null,
          change(Kind.UPSERT, "o", ab, ab, row("1", "2")),
          change(Kind.UPSERT, "o", ab, List.of("b", "a"), row("1", "2"), row("3", "4")),
          change(Kind.UPSERT, "t", List.of("a", "b", "v"), ab, row("1", "x", "p" + i)));
    }
    f.flush(m, null, change(Kind.DELETE, "o", ab, ab, row("3", "4")));
    assertEquals("1,2", value(m, "select string_agg(a || ',' || b, ';') from public.o"));
    assertEquals("1xp1", value(m, "select string_agg(a || b || v, ';') from public.t"));
  }

  @Test
  void upsertsDoNotLockTheKey() throws Exception {
    f.with(
        "create table par(id int primary key, v int)",
        "create table chi(id int primary key, p int references par)");
    f.pair.executeTarget("insert into par values (1,1)");
    f.flush(m, null, upsert("par", List.of("id", "v"), row("1", "2")));
    Connection other = f.mirror();
    f.flush(other, null, upsert("chi", List.of("id", "p"), row("1", "1"))); // does not wait
    other.commit();
    m.commit();
  }

  /** Every type on both ends, through single rows and through arrays. */
  @Test
  void oddTypes() throws Exception {
    String[] ddl = {
      "create type mood as enum ('sad', 'it''s', 'a,b\"c')",
      "create type pt as (x int, \"y z\" text)",
      "create domain pos as numeric check (value > 0)",
      "create schema \"Odd Schema\"",
      "create type \"Odd Schema\".\"Ty\"\"pe\" as enum ('?')",
    };
    f.with(ddl);
    String columns =
        "n numeric, n2 numeric(10,2), f8 float8, f4 float4, j json, jb jsonb, ia int[], ta text[], ba bytea, bi bit(5), vb varbit,"
            + " e mood, ea mood[], d pos, iv interval, ts timestamptz, t2 timestamp, dt date, ti time, tz timetz, c pt, ca pt[],"
            + " \"Quoted \"\"N?ame\" text, ch char(5), ch1 \"char\", nm name, u uuid, ine inet, ci cidr, ma macaddr, r int4range,"
            + " mr int4multirange, x xml, m money, p point, tv tsvector, tq tsquery, b bool, o \"Odd Schema\".\"Ty\"\"pe\", rc regclass,"
            + " oi oid, l pg_lsn, jp jsonpath, bp bpchar";
    f.pair.executeSource(
        "create table odd(id bigint generated always as identity primary key, dropped int, "
            + columns
            + ")");
    f.pair.executeTarget(
        "create table odd("
            + columns
            + ", g text generated always as (n::text) stored, id bigint generated always as identity primary key)");
    f.pair.executeSource("alter table odd drop column dropped");
    f.pair.executeSource("alter table odd add column g text generated always as (n::text) stored");
    f.pair.executeSource(
        "insert into odd(n,n2,f8,f4,j,jb,ia,ta,ba,bi,vb,e,ea,d,iv,ts,t2,dt,ti,tz,c,ca,\"Quoted \"\"N?ame\",ch,ch1,nm,u,ine,ci,ma,r,mr,x,m,p,"
            + "tv,tq,b,o,rc,oi,l,jp,bp) values"
            + " ('NaN', 1.5, '-Infinity', 'NaN', '{\"a\": 1,  \"a\":2}', '{\"b\":[1,null,\"\\u00e9\"]}', '{{1,2},{3,null}}',"
            + " array['', null, 'NULL', 'a\"b\\c', '{x}'], '\\x00ff27', B'10101', B'1', 'it''s', array['sad','a,b\"c']::mood[], 0.1,"
            + " '-1 mons +2 days -03:00:00.000001', '4714-11-24 00:00:00+00 BC', 'infinity', '-infinity', '24:00:00', '12:00+05:30',"
            + " row(1, 'a,\"b')::pt, array[row(null,'')::pt], 'q''?\\', 'ab', 'z', 'nom', gen_random_uuid(), '10.0.0.1/8', '10.0.0.0/8',"
            + " '08:00:2b:01:02:03', '[1,5)', '{[1,2),[5,7)}', '<a>b</a>', '12.34', '(1.1,-0)', 'a:1 b', 'a & b', true, '?', 'odd', 42,"
            + " '16/B374D848', '$.a[*] ? (@ > 1)', 'blanks  '),"
            + " ('Infinity', null, 0.1, 1e-40, 'null', 'null', '{}', '{}', '', B'00000', B'', null, '{}', 123456789012345678901234567890.5,"
            + " '178000000 years', '294276-12-31 23:59:59.999999+00', '4713-01-01 BC', '5874897-12-31', '00:00', '00:00-12', null, '{}', '',"
            + " '', '', '', null, '::1', '::/0', null, 'empty', '{}', null, null, null, '', '', null, null, null, null, null, null, null)");
    Connection p = f.primary();
    Connection target = m;
    // read as the primary's capture does: text under the pinned formats
    List<RowChange> changes = new ArrayList<>();
    io.dualwrite.catalog.Table t = f.primaryCatalog.table(p, table("odd")).orElseThrow();
    List<String> names =
        t.writableColumns().stream().map(io.dualwrite.catalog.Column::name).toList();
    p.rollback();
    try (PreparedStatement s =
        p.prepareStatement(
            Session.PINS
                + ";\nselect "
                + String.join(", ", t.writableColumns().stream().map(Columns::text).toList())
                + " from odd t order by id".replace("odd", "public.odd"))) {
      MirrorWriter.pins(s, ApplyLimits.DEFAULT, "pg_catalog");
      s.execute();
      s.getMoreResults();
      try (ResultSet r = s.getResultSet()) {
        while (r.next()) {
          String[] row = new String[names.size()];
          for (int i = 0; i < row.length; i++) {
            row[i] = r.getString(i + 1);
          }
          changes.add(upsert("odd", names, row));
        }
      }
    }
    p.rollback();
    assertEquals(2, changes.size());
    f.writer.apply(target, changes.subList(0, 1), null, ApplyLimits.DEFAULT);
    f.writer.apply(target, changes.subList(1, 2), null, ApplyLimits.DEFAULT);
    target.commit();
    assertOdd();
    execute(target, "truncate odd");
    f.writer.apply(target, changes, null, ApplyLimits.DEFAULT);
    target.commit();
    assertOdd();
    execute(target, "truncate odd");
    target.commit();
    f.engine.resync(java.util.Map.of(table("odd"), List.of(List.of("1"), List.of("2"))));
    assertOdd();
    f.engine.resync(java.util.Map.of(table("odd"), List.of(List.of("1"), List.of("2"))));
    assertOdd();
    execute(target, "truncate odd");
    target.commit();
    f.engine.recopy(table("odd"), "true");
    assertOdd();
  }

  /** Column by column through the types' own output, which tells -0 from 0 and blanks apart. */
  private void assertOdd() throws SQLException {
    String columns;
    try (Connection p = f.pair.source();
        Connection t = f.pair.target()) {
      columns =
          value(
              p,
              "select string_agg(format('textin(record_out(row(%I)))', attname), ' || ' order by attname) from pg_attribute where attrelid ="
                  + " 'odd'::regclass and attnum > 0 and not attisdropped");
      List<String> there = new ArrayList<>();
      List<String> here = new ArrayList<>();
      for (Connection c : List.of(p, t)) {
        try (Statement s = c.createStatement();
            ResultSet r = s.executeQuery("select " + columns + " from odd order by id")) {
          while (r.next()) {
            (c == p ? there : here).add(r.getString(1));
          }
        }
      }
      assertEquals(2, there.size());
      assertEquals(there, here);
    }
  }

  @Test
  void keysOfATypeWhoseOperatorsAreNotTheServersOwn() throws Exception {
    f.with(
        "create schema ext",
        "create extension if not exists citext schema ext",
        "create table t(id ext.citext primary key, v ext.citext)",
        "insert into t values ('Key', 'x'), ('Gone', 'x')");
    List<String> cols = List.of("id", "v");
    f.flush(m, null, upsert("t", cols, row("kEY", "y")));
    f.flush(m, null, delete("t", "id", "gONE"));
    m.commit();
    assertEquals("Key,y", value(m, "select string_agg(id || ',' || v, ';') from public.t"));
    m.rollback();
    f.pair.executeSource(
        "update t set v = 'z' where id = 'key'; insert into t values ('New', 'n')");
    f.engine.resync(
        java.util.Map.of(
            table("t"), List.of(List.of("KEY"), List.of("key"), List.of("new"), List.of("gone"))));
    f.assertEqual("t");
  }

  @Test
  void aCommitThatRollsBackIsAnError() throws Exception {
    f.with("create table t(id int primary key)");
    assertThrows(SQLException.class, () -> execute(m, "insert into t values (1), (1)"));
    m.commit(); // the driver does not mind
    assertThrows(SQLException.class, () -> execute(m, "insert into t values (1), (1)"));
    SQLException e = assertThrows(SQLException.class, () -> MirrorWriter.commit(m));
    assertEquals("25P02", e.getSQLState());
    execute(m, "insert into t values (1)");
    MirrorWriter.commit(m);
    f.pair.executeTarget("delete from t where id = 1");
  }

  @Test
  void theMarkerIsUniqueAmongUnits() throws Exception {
    f.with("create table k(a int)");
    UUID w = UUID.randomUUID();
    RowChange c = change(Kind.INSERT, "k", List.of("a"), List.of(), row("1"));
    f.flush(m, new Marker(w, 1), c);
    m.commit();
    SQLException e = assertThrows(SQLException.class, () -> f.flush(m, new Marker(w, 1), c));
    assertEquals("23505", e.getSQLState());
    m.rollback();
    assertEquals("1", value(m, "select count(*) from public.k"));
  }
}
