package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.config.Setting;
import io.dualwrite.embedded.TcpProxy;
import java.io.IOException;
import java.nio.file.Files;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Statements whose text does not tell what they write, and which are captured exactly all the same.
 */
class CaptureTest {

  private static final String DDL =
      """
      create table t(id int primary key, v int);
      create table nokey(a int, b text, c numeric, d json);
      create table q(id serial primary key, payload text);
      create table log(id bigserial primary key, what text, at timestamptz default clock_timestamp());
      create table big(id bigserial primary key, v text);
      create table audited(id int primary key, v int, changed timestamptz);
      create function stamp() returns trigger language plpgsql as 'begin new.changed := clock_timestamp(); return new; end';
      create trigger stamp before insert or update on audited for each row execute function stamp();
      create function note() returns trigger language plpgsql as
        'begin insert into log(what) values (tg_op); return null; end';
      create trigger note after insert or update or delete on audited for each row execute function note();
      create table parent(id int primary key);
      create table child(id int primary key, p int references parent on delete cascade);
      create table parts(id int, k int, v text, primary key (id, k)) partition by range (k);
      create table parts_1 partition of parts for values from (0) to (100);
      create table parts_2 partition of parts for values from (100) to (200);
      create function add(n int) returns int language plpgsql as
        'begin insert into log(what) select ''f'' || g from generate_series(1, n) g; return n; end';
      create procedure work() language plpgsql as 'begin insert into log(what) values (''p''); end';
      create table base(id int primary key, v int);
      create table derived() inherits (base);
      create table padded(id int, c char(4), m money);
      create view seen as select * from t;
      create table ruled(id int primary key);
      create rule r as on insert to ruled do also insert into log(what) values ('rule');
      """;

  private static final String MORE =
      """
      create table fresh_copy(id int primary key, v int);
      create function refill() returns trigger language plpgsql as
        'begin truncate fresh_copy; insert into fresh_copy values (new.id, new.v); return null; end';
      create table feeds(id int primary key, v int);
      create trigger refill after insert on feeds for each row execute function refill();
      create function reload(n int) returns void language plpgsql as
        'begin truncate fresh_copy; insert into fresh_copy select g, g from generate_series(1, n) g; end';
      insert into fresh_copy select g, 0 from generate_series(100, 110) g;
      create function make() returns int language plpgsql as
        'begin create table by_function(id int primary key, v int); return 1; end';
      """;

  private static final String ROWS =
      """
      insert into t select g, g from generate_series(1, 20) g;
      insert into nokey select g % 3, case when g % 2 = 0 then 'x' end, g % 2, '{"a": 1}' from generate_series(1, 12) g;
      insert into q(payload) select 'job ' || g from generate_series(1, 10) g;
      insert into audited select g, g from generate_series(1, 5) g;
      insert into parent select g from generate_series(1, 5) g;
      insert into child select g, 1 + g % 5 from generate_series(1, 20) g;
      insert into parts select g, g * 20, 'x' from generate_series(1, 9) g;
      insert into base values (1, 1);
      insert into padded select g, 'ab', g + 0.5 from generate_series(1, 4) g;
      insert into derived values (2, 2);
      """;

  private static Fixture fixture;

  @BeforeAll
  static void start() throws SQLException {
    fixture = Fixture.shared(DDL + MORE);
    fixture.open(b -> b.set(Setting.RECONCILE, "manual")).ready();
    fixture.pair.executeTarget(
        "alter table audited disable trigger user; alter table ruled disable rule r");
    fixture.execute(ROWS);
    fixture.assertEqual();
  }

  @AfterAll
  static void stop() {
    fixture.close();
  }

  @Test
  void rowsOfATableThatAFunctionMadeComeBehindIt() throws SQLException {
    long left = fixture.counter("units.left-to-replay");
    try (Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      c.setAutoCommit(false);
      s.execute("select make()");
      s.executeUpdate("insert into by_function values (1, 1), (2, 2)");
      s.executeUpdate("update by_function set v = 3 where id = 2");
      c.commit();
    }
    fixture.assertEqual();
    assertEquals(left, fixture.counter("units.left-to-replay"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "with gone as (delete from q where id <= 2 returning *) insert into log(what) select payload from gone",
        "with gone as (delete from q where id <= 4 returning id, payload || '!') select * from gone order by 1 desc",
        "with a as (insert into t values (101, 1) returning id), b as (update t set v = 0 where id = 3 returning v), c as (delete from t where id = 4) select a.id, b.v from a, b -- end",
        "with moved(x, y) as materialized (delete from t where id in (5, 6) returning *) insert into t select x + 200, y from moved returning id",
        "with one as (select 7 as n), u as (update t set v = -1 from one where id = n returning t.id as \"The Id\") select \"The Id\" from u /* x */;",
        "delete from nokey where a = 1",
        "update nokey set c = c + 1.50 where a = 2",
        "update nokey set b = b || 'y', d = '{\"b\": 2}' where a = 0",
        "delete from padded where id < 3",
        "update padded set c = 'zz' where id > 2",
        "insert into audited values (100, 1)",
        "update audited set v = v + 1 where id < 3",
        "delete from audited where id = 4",
        "delete from parent where id = 2",
        "select add(3)",
        "select add(1500)",
        "call work()",
        "do $$ begin insert into log(what) values ('do'); insert into big(v) values ('do'); end $$",
        "merge into t using (values (1), (2), (500)) s(id) on t.id = s.id when matched and t.id = 1 then delete when matched then update set v = 9 when not matched then insert values (s.id, 5)",
        "update t set id = id + 1000 where id in (10, 11)",
        "update parts set k = k + 100 where k < 100",
        "insert into base values (10, 10)",
        "update only base set v = 7",
        "insert into derived values (11, 11)",
        "insert into seen values (700, 7)",
        "insert into ruled values (1)",
        "truncate child",
        "truncate parent cascade",
        "create table made as select g as id, clock_timestamp() as at, 'x' || g as v from generate_series(1, 10) g",
        "select id, v into made2 from t",
        "create table fresh(id int primary key, v text); insert into fresh values (1, 'a'); alter table fresh add column w int default 5; update fresh set w = 6",
        // a function that only wrote is not run on the mirror, whatever else changed the catalog
        "begin; create table own1(id int primary key); select add(11); create temp table tmp1(a int); select add(11); commit",
        "begin; select add(11); create table own2(id int primary key); savepoint s; select add(11); rollback to s; select add(11); commit",
        "begin; savepoint s; create table own3(id int primary key); select add(11); rollback to s; create temp table tmp3(a int); select add(11); commit",
        "begin; select add(11); savepoint s; do $$ begin drop table log cascade; end $$; rollback to s; select add(11); commit",
        "create index concurrently on t(v)",
        "create type mood as enum ('good', 'bad'); create table moods(id int primary key, m mood); insert into moods values (1, 'good')",
        "do $$ begin create table in_do(id int primary key); exception when duplicate_table then null; end $$",
        "prepare p(int) as insert into t values ($1, $1); execute p(801)",
        "begin; insert into t values (901, 1); savepoint s; insert into t values (902, 1); rollback to s; commit",
        "insert into t values (903, 1); begin; insert into t values (904, 1); rollback; insert into t values (905, 1)",
      })
  void exactlyAndWithoutSuspects(String sql) throws SQLException {
    try (Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      s.execute(sql);
    }
    assertEquals("[]", fixture.ds.status().suspects().toString());
    fixture.assertEqual();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "update seen set id = id + 5000 where id = 12",
        "insert into feeds values (1, 1)",
        "select reload(3)",
        "begin; insert into t(id, v) select g, g from generate_series(30000, 30100) g; select reload(2); commit",
        "delete from seen where id = 13",
        "do $$ begin delete from t where id = 14; end $$",
        "update base set v = 8",
        "alter table t add column r double precision default random()",
        "with gone as (delete from seen where id = 15 returning id) insert into log(what) select id from gone",
      })
  void asSuspectsThatReconcileCloses(String sql) throws SQLException {
    try (Connection c = fixture.connect();
        Statement s = c.createStatement()) {
      s.execute(sql);
    }
    assertTrue(fixture.ds.status().suspects().size() > 0);
    fixture.assertDrained();
    fixture.ds.reconcile();
    assertEquals("[]", fixture.ds.status().suspects().toString());
    fixture.assertEqual();
  }

  private static final String MERGE =
      "merge into t using (values (?, ?)) s(id, v) on t.id = s.id when matched and s.v = 0 then delete"
          + " when matched and s.v = 1 then update set id = t.id + 2000"
          + " when matched then update set v = s.v when not matched then insert values (s.id, s.v)";

  /** What an entry does to a row comes behind what those before it did. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "insert into audited values (?, ?) on conflict (id) do update set v = excluded.v| 50 1| 51 1| 50 2| 51 3| 52 4",
        MERGE + "| 1050 5| 1050 6| 1050 0",
        MERGE + "| 1051 5| 1051 1| 1051 7| 3051 8| 1052 9",
        MERGE + "| 1053 5| 1053 0| 1053 6| 1053 1| 1053 7",
        "update t set id = ? where id = ?| 4001 16| 4002 4001| 4001 17",
        "update audited set v = ? where id = ?| 6 3| 7 3| 8 5",
        "update nokey set a = ? where a = ?| 71 2| 72 71| 2 72",
      })
  void whatEntriesOfABatchDoToOneRow(String batch) throws SQLException {
    String[] entries = batch.split("\\| ", -1);
    long left = fixture.counter("units.left-to-replay");
    try (Connection c = fixture.connect();
        PreparedStatement s = c.prepareStatement(entries[0])) {
      for (int i = 1; i < entries.length; i++) {
        String[] values = entries[i].split(" ", -1);
        s.setInt(1, Integer.parseInt(values[0]));
        s.setInt(2, Integer.parseInt(values[1]));
        s.addBatch();
      }
      s.executeBatch();
    }
    assertEquals("[]", fixture.ds.status().suspects().toString());
    assertEquals(left, fixture.counter("units.left-to-replay"));
    fixture.assertEqual();
  }

  /** Beside the statement and COMMIT nothing crosses the network to the source. */
  @Test
  void whatACommitHasToKnowComesWithTheStatements() throws SQLException, IOException {
    try (Fixture f =
            Fixture.shared(
                "create table t(id int primary key, v int); create table u(id serial primary key, v int)");
        TcpProxy proxy = new TcpProxy("localhost", f.pair.sourceServer().port());
        DualWriteDataSource ds =
            DualWriteDataSource.builder()
                .source(
                    "jdbc:postgresql://localhost:" + proxy.port() + "/" + f.pair.database(),
                    "postgres",
                    "postgres")
                .target(f.pair.targetUrl(), "postgres", "postgres")
                .journal(Files.createTempDirectory("dualwrite-journal"))
                .build()) {
      Fixture.await("catalogs compared", () -> ds.writer().ready());
      AtomicBoolean asked = new AtomicBoolean();
      proxy.onFirst(
          TcpProxy.Direction.TO_SERVER,
          "select pg_catalog.pg_current_xact_id()",
          () -> asked.set(true));
      try (Connection c = ds.getConnection();
          Statement s = c.createStatement();
          PreparedStatement p = c.prepareStatement("insert into t values (?, ?)");
          PreparedStatement k =
              c.prepareStatement("insert into u(v) values (?)", Statement.RETURN_GENERATED_KEYS)) {
        p.setInt(1, 1);
        p.setInt(2, 1);
        assertEquals(1, p.executeUpdate());
        assertEquals(2, s.executeUpdate("insert into t values (2, 2), (3, 3)"));
        assertEquals(3, s.executeUpdate("update t set v = v + 1 where v > 0"));
        assertEquals(1, s.executeUpdate("delete from t where id = 3"));
        assertEquals(0, s.executeUpdate("delete from t where id = 3"));
        c.setAutoCommit(false);
        k.setInt(1, 1);
        assertEquals(1, k.executeUpdate());
        try (ResultSet r = k.getGeneratedKeys()) {
          assertTrue(r.next());
          assertEquals(2, r.getMetaData().getColumnCount());
        }
        assertEquals(1, s.executeUpdate("update t set v = v + 1 where id = 1"));
        assertEquals(1, s.executeUpdate("update t set v = v + 1 where id = 2"));
        c.commit();
        assertFalse(asked.get());
        p.setInt(1, 5);
        p.addBatch();
        p.setInt(1, 6);
        p.addBatch();
        p.executeBatch();
        c.commit();
        assertTrue(asked.get(), "nobody would have noticed");
      }
      assertTrue(ds.drain(Duration.ofSeconds(60)));
      f.assertEqual();
    }
  }
}
