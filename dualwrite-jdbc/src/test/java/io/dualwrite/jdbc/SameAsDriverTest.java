package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLClientInfoException;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.postgresql.util.PGobject;

/**
 * G1 and G4: each case runs once on the driver alone, on a database of its own, and once through
 * dualwrite. Everything that the application can observe is written down and has to be the same;
 * then source and target have to be equal.
 */
class SameAsDriverTest {

  private static final String DDL =
      """
      create type mood as enum ('sad', 'ok');
      create domain positive as int check (value > 0);
      create table item(id int primary key, name varchar(20) not null, price numeric(10,2), at timestamptz default now(), n int default 7);
      create table auto(id bigint generated always as identity primary key, v text unique, at timestamptz not null default clock_timestamp(), r float8 default random());
      create table pair(a int, b text, v int, primary key (a, b));
      create table parent(id int primary key, v int);
      create table child(id int primary key, parent int references parent on delete cascade, v int);
      create table log(at timestamptz, line text, v float8);
      create table late(id int primary key deferrable initially deferred, v text default clock_timestamp()::text);
      create function logs(n int) returns int language plpgsql as 'begin insert into log(v) values (n); return n; end';
      create table odd("Key" int primary key, "select" text, u uuid, j jsonb, ts timestamp, d date, b bytea, f real, g float8, arr int[], m mood, p positive,
        twice int generated always as ("Key" * 2) stored);
      create table nothing();
      create table texts(a text, b text, c text, d text, e timestamp, f int, g numeric, h text, i numeric);
      create table modified(id int primary key, c char(5), v varchar(3), n numeric(5,1), at timestamptz(0), p positive, r numeric);
      create function warned(n int) returns int stable language plpgsql as 'begin raise warning ''seen''; return n; end';
      create table part(id int, at date, v text, primary key (id, at)) partition by range (at);
      create table part_1 partition of part for values from ('2001-01-01') to ('2002-01-01');
      create table part_2 partition of part for values from ('2002-01-01') to ('2003-01-01');
      insert into item values (1,'one',1.00,'2001-01-01Z',1),(2,'two',2.00,'2001-01-01Z',2),(3,'three',3.00,'2001-01-01Z',3);
      insert into pair values (1,'x',1),(1,'y',2),(2,'x',3);
      insert into parent values (1,1),(2,2);
      insert into child values (1,1,1),(2,1,2),(3,2,3);
      insert into part values (1,'2001-05-01','a'),(2,'2002-05-01','b');
      """;

  private static Fixture fixture;
  private static io.dualwrite.embedded.PgPair alone;

  @BeforeAll
  static void start() throws SQLException {
    fixture = Fixture.shared(DDL).ready();
    alone = io.dualwrite.embedded.PgPair.shared();
    alone.executeSource(DDL);
  }

  @AfterAll
  static void stop() {
    fixture.close();
  }

  /** Something that an application does; it writes down what it sees. */
  @FunctionalInterface
  interface Case {
    void run(Connection c, List<Object> seen) throws SQLException;
  }

  private record Named(String name, Case body) {}

  private final List<Named> cases = new ArrayList<>();

  private void add(String name, Case body) {
    cases.add(new Named(name, body));
  }

  @TestFactory
  Stream<DynamicTest> cases() {
    define();
    return cases.stream().map(n -> DynamicTest.dynamicTest(n.name, () -> compare(n)));
  }

  private void compare(Named n) throws SQLException {
    List<Object> expected = new ArrayList<>();
    List<Object> actual = new ArrayList<>();
    try (Connection c = alone.source()) {
      observe(c, n, expected);
    }
    try (Connection c = fixture.connect()) {
      observe(c, n, actual);
    }
    assertEquals(expected, actual);
    fixture.assertEqual();
  }

  /** Some are of no interest to the driver, and what is not given is cleared. */
  @Test
  void clientInfo() throws SQLException {
    compare(
        new Named(
            "client info",
            (c, seen) -> {
              for (String given : new String[] {"ApplicationName", "ClientUser", null, ""}) {
                Properties p = new Properties();
                if (given == null) {
                  p = new Properties(p);
                  p.setProperty("ApplicationName", "c");
                  p = new Properties(p); // its defaults
                } else if (!given.isEmpty()) {
                  p.setProperty(given, "a");
                }
                c.setClientInfo(p);
                c.setClientInfo("ClientHostname", "d");
                for (SQLWarning w = c.getWarnings(); w != null; w = w.getNextWarning()) {
                  seen.add(w.getSQLState() + w.getMessage());
                }
                c.clearWarnings();
                seen.add(c.getClientInfo().toString());
                seen.add(Fixture.value(c, "show application_name"));
              }
              c.close();
              Properties p = new Properties();
              p.setProperty("ApplicationName", "e");
              for (boolean all : new boolean[] {false, true}) {
                try {
                  if (all) {
                    c.setClientInfo(p);
                  } else {
                    c.setClientInfo("ApplicationName", "e");
                  }
                } catch (SQLClientInfoException e) {
                  error(e, seen);
                  seen.add(e.getFailedProperties());
                }
              }
            }));
  }

  /** More entries than are executed at once. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "insert into parent values (?, ?)",
        "insert into parent values (?, ?) on conflict (id) do update set v = 10 * parent.v + excluded.v"
      })
  void largeBatches(String sql) throws SQLException {
    compare(
        new Named(
            sql,
            (c, seen) -> {
              c.setAutoCommit(false);
              for (int odd :
                  new int[] {
                    -1, 4998, 5002, 11_234
                  }) { // its key is there already, or its value too large
                try (PreparedStatement s = c.prepareStatement(sql)) {
                  for (int i = 0; i < 12_000; i++) {
                    s.setInt(1, 1000 + (i == odd ? i - 1 : i));
                    s.setInt(2, i == odd && sql.contains("conflict") ? Integer.MAX_VALUE : i % 10);
                    s.addBatch();
                  }
                  seen.add(Arrays.toString(s.executeBatch()));
                } catch (SQLException e) {
                  error(e, seen);
                  seen.add(e.getNextException().getMessage());
                  c.rollback();
                }
                try (Statement s = c.createStatement();
                    ResultSet r = s.executeQuery("select sum(v), count(*) from parent")) {
                  rows(r, seen);
                }
                c.rollback();
              }
              c.setAutoCommit(true);
            }));
  }

  /**
   * The driver then says only that an entry succeeded, and not how many rows it wrote. It does not
   * rewrite what returns rows, so that what is captured that way has exact counts.
   */
  @Test
  void batchesThatTheDriverRewrites() throws SQLException {
    List<Named> batches =
        List.of(
            batch("values", "insert into pair(a, b, v) values (?, ?, 7)"),
            batch("clock", "insert into item(id, name, n) values (?, ?, 7)"),
            batch("defaults", "insert into auto(id, v) overriding system value values (?, ?)"),
            batch("on conflict", "insert into item(id, name) values (?, ?) on conflict do nothing"),
            batch(
                "upsert",
                "insert into item(id, name) values (?, ?) on conflict (id) do update set name = excluded.name || '!'"),
            batch("no key", "insert into log(v, line) values (?, ?)"),
            batch("not an INSERT", "update item set n = n + ? where name = ?"),
            batch("fails", "insert into item(id, name) values (abs(?) / 0, ?)"));
    String option = "?reWriteBatchedInserts=true";
    try (Fixture f = Fixture.shared(DDL);
        io.dualwrite.embedded.PgPair other = io.dualwrite.embedded.PgPair.shared()) {
      other.executeSource(DDL);
      f.open(b -> b.source(f.pair.sourceUrl() + option, "postgres", "postgres")).ready();
      for (boolean autoCommit : new boolean[] {true, false}) {
        for (Named n : batches) {
          List<Object> expected = new ArrayList<>();
          List<Object> actual = new ArrayList<>();
          try (Connection a =
                  DriverManager.getConnection(
                      other.sourceUrl() + option, other.sourceServer().user(), "postgres");
              Connection b = f.connect()) {
            a.setAutoCommit(autoCommit);
            b.setAutoCommit(autoCommit);
            observe(a, n, expected);
            observe(b, n, actual);
          }
          if (!n.name.equals("values")) {
            expected.replaceAll(SameAsDriverTest::withoutCounts);
            actual.replaceAll(SameAsDriverTest::withoutCounts);
          }
          assertEquals(expected, actual, n.name);
          f.assertEqual();
        }
      }
    }
  }

  /** The driver then puts the names into the text as they are given. */
  @Test
  void generatedKeysThatAreNotQuoted() throws SQLException {
    String option = "?quoteReturningIdentifiers=false";
    try (Fixture f = Fixture.shared(DDL)) {
      f.open(b -> b.source(f.pair.sourceUrl() + option, "postgres", "postgres")).ready();
      try (Connection c = f.connect()) {
        for (String key : new String[] {"ID", "\"id\"", "id + 1 as id"}) {
          try (PreparedStatement s =
              c.prepareStatement("insert into auto(v) values (?)", new String[] {key})) {
            s.setString(1, key);
            assertEquals(1, s.executeUpdate());
            try (ResultSet r = s.getGeneratedKeys()) {
              assertEquals(true, r.next() && r.getLong("id") > 0);
            }
          }
        }
      }
    }
  }

  /** In one of them the driver executes what it is asked to describe. */
  @ParameterizedTest
  @ValueSource(strings = {"simple", "extendedForPrepared", "extendedCacheEverything"})
  void queryModes(String mode) throws SQLException {
    Named n =
        new Named(
            mode,
            (c, seen) -> {
              for (String sql :
                  new String[] {
                    "with gone as (delete from pair where a = 1 returning v) insert into log(v) select v from gone",
                    "with n as (insert into parent select max(id) + 1, 1 from parent returning id) select id from n",
                    "with n as (insert into log(line) values ('n')) insert into parent select max(id) + 1, 1 from parent",
                    "insert into parent select max(id) + 1, 1 from parent returning U&\"!0069!0064\" uescape '!'",
                    "insert into parent select max(id) + 1, 1 from parent returning id, v",
                    "insert into later values (1)",
                    "with w as (update parent set v = v + 1 where id = 2 returning v) select count(*) from later, w",
                    "with w as (insert into later values (1)) update parent set v = v + 1 where id = 2",
                    "update parent set v = v + 1 where id = 1",
                    "insert into auto(v) select 'auto ' || count(*) from auto",
                    "select id, v from parent order by id",
                    "select a, b, v from pair order by a, b",
                    "select line, v from log order by line, v",
                    "select id, v from auto order by id"
                  }) {
                for (boolean prepared : new boolean[] {false, true}) {
                  try (Statement s = prepared ? c.prepareStatement(sql) : c.createStatement()) {
                    boolean rows = s instanceof PreparedStatement p ? p.execute() : s.execute(sql);
                    if (rows) {
                      rows(s.getResultSet(), seen);
                      if (s instanceof PreparedStatement p) {
                        seen.add(p.getMetaData().getColumnLabel(1));
                      }
                    } else {
                      seen.add(s.getUpdateCount());
                    }
                  } catch (SQLException e) {
                    error(e, seen);
                  }
                }
              }
              try (PreparedStatement p =
                  c.prepareStatement("update parent set v = v + ? where id = ?")) {
                for (int i = 0; i < 3; i++) {
                  p.setInt(1, i);
                  p.setInt(2, 1);
                  p.addBatch();
                }
                seen.add(Arrays.toString(p.executeBatch()));
              }
            });
    String option = "?preferQueryMode=" + mode;
    try (Fixture f = Fixture.shared(DDL);
        io.dualwrite.embedded.PgPair other = io.dualwrite.embedded.PgPair.shared()) {
      other.executeSource(DDL);
      f.open(b -> b.source(f.pair.sourceUrl() + option, "postgres", "postgres")).ready();
      for (boolean autoCommit : new boolean[] {true, false}) {
        List<Object> expected = new ArrayList<>();
        List<Object> actual = new ArrayList<>();
        try (Connection a =
                DriverManager.getConnection(
                    other.sourceUrl() + option, other.sourceServer().user(), "postgres");
            Connection b = f.connect()) {
          for (Connection c : new Connection[] {a, b}) {
            c.setAutoCommit(autoCommit);
            if (!autoCommit) {
              c.unwrap(org.postgresql.PGConnection.class)
                  .setAutosave(org.postgresql.jdbc.AutoSave.ALWAYS);
            }
            observe(c, n, c == a ? expected : actual);
            if (!autoCommit) {
              c.commit();
            }
          }
        }
        assertEquals(expected, actual);
      }
      f.assertDrained();
      f.ds.reconcile();
      f.assertEqual();
    }
  }

  /** What read only means is an option of the driver's. */
  @ParameterizedTest
  @ValueSource(strings = {"ignore", "always"})
  void readOnlyConnections(String mode) throws SQLException {
    Named n =
        new Named(
            mode,
            (c, seen) -> {
              try (Statement s = c.createStatement()) {
                for (boolean autoCommit : new boolean[] {true, false, true}) {
                  c.setAutoCommit(autoCommit);
                  c.setReadOnly(true);
                  int id = autoCommit ? 400 : 401;
                  try {
                    seen.add(s.executeUpdate("insert into parent values (" + id + ", 1)"));
                  } catch (SQLException e) {
                    error(e, seen);
                  }
                  seen.add(c.isReadOnly());
                  if (!autoCommit) {
                    c.rollback();
                    continue;
                  }
                  s.addBatch("select 1");
                  s.addBatch("commit");
                  s.addBatch("update parent set v = v + 1");
                  try {
                    seen.add(Arrays.toString(s.executeBatch()));
                  } catch (SQLException e) {
                    error(e, seen);
                  }
                }
                c.setReadOnly(false);
                seen.add(s.executeUpdate("insert into parent values (402, 1)"));
              }
            });
    String option = "?readOnlyMode=" + mode;
    try (Fixture f = Fixture.shared(DDL);
        io.dualwrite.embedded.PgPair other = io.dualwrite.embedded.PgPair.shared()) {
      other.executeSource(DDL);
      f.open(b -> b.source(f.pair.sourceUrl() + option, "postgres", "postgres")).ready();
      List<Object> expected = new ArrayList<>();
      List<Object> actual = new ArrayList<>();
      try (Connection a =
              DriverManager.getConnection(
                  other.sourceUrl() + option, other.sourceServer().user(), "postgres");
          Connection b = f.connect()) {
        observe(a, n, expected);
        observe(b, n, actual);
      }
      assertEquals(expected, actual);
      f.assertEqual();
    }
  }

  /**
   * With an option of the driver's: in one transaction, and with every statement one of its own.
   */
  private static void same(String option, Named... all) throws SQLException {
    try (Fixture f = Fixture.shared(DDL);
        io.dualwrite.embedded.PgPair other = io.dualwrite.embedded.PgPair.shared()) {
      other.executeSource(DDL);
      f.open(b -> b.source(f.pair.sourceUrl() + option, "postgres", "postgres")).ready();
      for (boolean autoCommit : new boolean[] {true, false}) {
        List<Object> expected = new ArrayList<>();
        List<Object> actual = new ArrayList<>();
        try (Connection a =
                DriverManager.getConnection(
                    other.sourceUrl() + option, other.sourceServer().user(), "postgres");
            Connection b = f.connect()) {
          a.setAutoCommit(autoCommit);
          b.setAutoCommit(autoCommit);
          for (Named n : all) {
            observe(a, n, expected);
            observe(b, n, actual);
          }
        }
        assertEquals(expected, actual);
        f.assertEqual();
      }
    }
  }

  /** The driver's savepoint is one for the batch: what failed leaves nothing of it. */
  @ParameterizedTest
  @ValueSource(strings = {"always", "always&cleanupSavepoints=true", "conservative", "never"})
  void batchesThatFailBehindASavepointOfTheDrivers(String autosave) throws SQLException {
    List<Named> batches = new ArrayList<>();
    for (String sql :
        new String[] {
          "insert into auto(v) values (?)",
          "insert into auto(v) values (?) returning id",
          "with w as (insert into auto(v) values (?) returning v) insert into log(line) select v from w",
        }) {
      for (boolean keys : new boolean[] {false, true}) {
        batches.add(
            new Named(
                sql,
                (c, seen) -> {
                  try (PreparedStatement p =
                          keys
                              ? c.prepareStatement(sql, new String[] {"id"})
                              : c.prepareStatement(sql);
                      Statement s = c.createStatement()) {
                    if (!c.getAutoCommit()) {
                      seen.add(s.executeUpdate("insert into log(line) values ('before')"));
                    }
                    for (String v : new String[] {"a", "b", "c", "a"}) {
                      p.setString(1, v);
                      p.addBatch();
                      s.addBatch(sql.replace("?", "'plain " + v + "'"));
                    }
                    for (Statement t : List.of(p, s)) {
                      try {
                        seen.add(Arrays.toString(t.executeBatch()));
                      } catch (SQLException e) {
                        seen.add(e.getClass() + e.getSQLState());
                      }
                      if (c.getAutoCommit()) {
                        continue; // which entries stay is up to the driver's buffers
                      }
                      try (ResultSet r =
                          s.executeQuery(
                              "select v from auto union all select line from log union all select n::text from item order by 1")) {
                        rows(r, seen);
                      } catch (SQLException e) {
                        seen.add(e.getSQLState());
                      }
                    }
                    if (!c.getAutoCommit()) {
                      c.commit();
                    }
                  }
                }));
      }
    }
    same("?autosave=" + autosave, batches.toArray(new Named[0]));
  }

  private static Object withoutCounts(Object seen) {
    return seen.toString()
        .replaceAll("^\\[(-2|0|1)(, (-2|0|1))*\\]$", "(counts)")
        .replaceAll("(?s)Batch entry 0 .* was aborted", "Batch entry 0 was aborted");
  }

  /** Seven entries: the driver makes them one statement of four rows, one of two, one of one. */
  private static Named batch(String name, String sql) {
    return new Named(
        name,
        (c, seen) -> {
          for (int first : new int[] {1, 5}) { // some are there the second time
            try (PreparedStatement p = c.prepareStatement(sql)) {
              for (int i = first; i < first + 7; i++) {
                p.setInt(1, 100 + i);
                p.setString(2, "r" + i);
                p.addBatch();
              }
              seen.add(Arrays.toString(p.executeBatch()));
            } catch (SQLException e) {
              error(e, seen);
              if (!c.getAutoCommit()) {
                c.rollback();
              }
            }
          }
          try (Statement s = c.createStatement();
              ResultSet r =
                  s.executeQuery(
                      "select id, name, n from item union all select id, v, 0 from auto union all select a, b, v from pair order by 1, 2, 3")) {
            rows(r, seen);
          }
          if (!c.getAutoCommit()) {
            c.commit();
          }
        });
  }

  private static void observe(Connection c, Named n, List<Object> seen) {
    try {
      n.body.run(c, seen);
    } catch (SQLException e) {
      error(e, seen);
    }
    try {
      seen.add("autocommit " + c.getAutoCommit() + " warnings " + (c.getWarnings() != null));
    } catch (SQLException e) {
      error(e, seen);
    }
  }

  private static void error(SQLException e, List<Object> seen) {
    seen.add(
        e.getClass().getSimpleName()
            + " "
            + e.getSQLState()
            + " "
            + e.getMessage().replaceAll("\\d{4}-\\d\\d-\\d\\d [0-9:.]+[+0-9]*", "(a time)"));
    if (e instanceof java.sql.BatchUpdateException b) {
      seen.add(Arrays.toString(b.getUpdateCounts()));
    }
  }

  private static void rows(ResultSet r, List<Object> seen) throws SQLException {
    ResultSetMetaData m = r.getMetaData();
    List<String> head = new ArrayList<>();
    for (int i = 1; i <= m.getColumnCount(); i++) {
      head.add(m.getColumnLabel(i) + " " + m.getColumnTypeName(i));
    }
    seen.add(head);
    while (r.next()) {
      List<String> row = new ArrayList<>();
      for (int i = 1; i <= m.getColumnCount(); i++) {
        boolean clock = m.getColumnLabel(i).equals("at") || m.getColumnLabel(i).equals("r");
        row.add(clock ? Boolean.toString(r.getString(i) != null) : r.getString(i));
      }
      seen.add(row);
    }
  }

  private static void describe(ResultSet r, List<Object> seen) throws SQLException {
    ResultSetMetaData m = r.getMetaData();
    while (r.next()) {
      for (int i = 1; i <= m.getColumnCount(); i++) {
        Object o = r.getObject(i);
        seen.add(
            String.join(
                " ",
                m.getColumnLabel(i),
                m.getColumnTypeName(i),
                m.getColumnClassName(i),
                m.getTableName(i),
                o == null ? null : o.getClass().getName(),
                m.getColumnType(i)
                    + "/"
                    + m.getPrecision(i)
                    + "/"
                    + m.getScale(i)
                    + "/"
                    + m.getColumnDisplaySize(i)
                    + "/"
                    + m.isNullable(i)
                    + "/"
                    + m.isAutoIncrement(i)
                    + "/"
                    + m.isSigned(i)));
      }
    }
  }

  private void update(String name, String sql, Object... parameters) {
    add(
        name,
        (c, seen) -> {
          try (PreparedStatement s = c.prepareStatement(sql)) {
            for (int i = 0; i < parameters.length; i++) {
              s.setObject(i + 1, parameters[i]);
            }
            seen.add(s.executeUpdate());
            seen.add(s.getUpdateCount());
            seen.add(s.getMoreResults());
            seen.add(s.getUpdateCount());
          }
        });
  }

  private void statement(String name, String sql) {
    add(
        name,
        (c, seen) -> {
          try (Statement s = c.createStatement()) {
            boolean rows = s.execute(sql);
            seen.add(rows);
            if (rows) {
              try (ResultSet r = s.getResultSet()) {
                rows(r, seen);
              }
            } else {
              seen.add(s.getUpdateCount());
            }
            seen.add(s.getMoreResults() + " " + s.getUpdateCount());
          }
        });
  }

  /**
   * A batch in autocommit, in which {@code insert n} stands for a parent with that number from the
   * first on; and what there is of them afterwards.
   */
  private void control(int first, String... entries) {
    add(
        "batch: " + String.join(" | ", entries),
        (c, seen) -> {
          try (Statement s = c.createStatement()) {
            batch(s, seen, first, entries);
            s.execute("commit"); // of what a BEGIN has left open
          }
        });
  }

  private static void batch(Statement s, List<Object> seen, int first, String... entries)
      throws SQLException {
    for (String e : entries) {
      s.addBatch(e.replaceAll("insert (\\d)", "insert into parent values (" + first + " + $1, 1)"));
    }
    try {
      seen.add(Arrays.toString(s.executeBatch()));
    } catch (SQLException e) {
      error(e, seen);
    }
    try (ResultSet r =
        s.executeQuery("select id from parent where id >= " + first + " order by id")) {
      rows(r, seen);
    } catch (SQLException e) {
      error(e, seen);
    }
  }

  private static String text(java.io.Reader r) throws SQLException {
    StringBuilder all = new StringBuilder();
    try (r) {
      for (int c = r.read(); c >= 0; c = r.read()) {
        all.append((char) c);
      }
    } catch (java.io.IOException e) {
      throw new SQLException(e);
    }
    return all.toString();
  }

  private static int bytes(java.io.InputStream in) throws SQLException {
    try (in) {
      return in.readAllBytes().length;
    } catch (java.io.IOException e) {
      throw new SQLException(e);
    }
  }

  /** What the server makes of a text only when it knows the parameters. */
  private void parametersThatTell() {
    for (boolean autoCommit : new boolean[] {true, false}) {
      String of = autoCommit ? ", autocommit" : ", in a transaction";
      add(
          "unnest in WITH" + of,
          (c, seen) -> {
            c.setAutoCommit(autoCommit);
            try (PreparedStatement p =
                c.prepareStatement(
                    "with ins as (insert into pair(a, b) select unnest(?), 'w' returning a) select a from ins order by a")) {
              p.setArray(
                  1,
                  c.createArrayOf(
                      "int", autoCommit ? new Integer[] {901, 902} : new Integer[] {903}));
              rows(p.executeQuery(), seen);
            }
            try (PreparedStatement p =
                c.prepareStatement(
                    "with s(k) as (select ?), e as (insert into pair values (?, 'k', 1) returning a) select e.a, json_build_object('k', s.k)::text as j from e, s")) {
              p.setInt(1, 5);
              p.setInt(2, autoCommit ? 904 : 905);
              rows(p.executeQuery(), seen);
            }
            try (PreparedStatement p =
                c.prepareStatement(
                    "with e as (insert into pair values (?, 'd', 1) returning no_such_column) select * from e")) {
              p.setInt(1, 906);
              p.executeQuery();
            } catch (SQLException e) {
              error(e, seen);
            }
            if (!autoCommit) {
              c.commit();
            }
          });
      add(
          "keys asked of WITH and SELECT" + of,
          (c, seen) -> {
            c.setAutoCommit(autoCommit);
            String sql =
                "with e as (insert into pair values (%s, 'q', 1) returning a) select a + 1 as b from e";
            int first = autoCommit ? 910 : 920;
            try (PreparedStatement p = c.prepareStatement(sql.formatted(first), 1)) {
              rows(p.executeQuery(), seen);
              rows(p.getGeneratedKeys(), seen);
            }
            try (PreparedStatement p =
                c.prepareStatement(sql.formatted(first + 1), new String[] {"a"})) {
              seen.add(p.execute());
              rows(p.getResultSet(), seen);
              seen.add(p.getUpdateCount());
            }
            try (Statement p = c.createStatement()) {
              seen.add(p.execute(sql.formatted(first + 2), 1));
              rows(p.getResultSet(), seen);
            }
            if (!autoCommit) {
              c.commit();
            }
          });
      add(
          "several statements, and a fetch size" + of,
          (c, seen) -> {
            c.setAutoCommit(autoCommit);
            String sql =
                "insert into pair values (%s, 'f', 1) returning a; select g from generate_series(1, 5) g";
            int first = autoCommit ? 930 : 940;
            for (boolean prepared : new boolean[] {true, false}) {
              String text = sql.formatted(prepared ? first : first + 1);
              try (Statement p = prepared ? c.prepareStatement(text) : c.createStatement()) {
                p.setFetchSize(2);
                if (prepared) {
                  ((PreparedStatement) p).execute();
                } else {
                  p.execute(text);
                }
                rows(p.getResultSet(), seen);
                seen.add(p.getMoreResults());
                rows(p.getResultSet(), seen);
              }
            }
            if (!autoCommit) {
              c.commit();
            }
          });
      add(
          "several statements, and a parameter too few" + of,
          (c, seen) -> {
            c.setAutoCommit(autoCommit);
            try (PreparedStatement p =
                c.prepareStatement(
                    "insert into auto(v) values (?); insert into pair values (?, 'm', 1)")) {
              p.setString(1, "of several" + of);
              p.execute();
            } catch (SQLException e) {
              error(e, seen);
            }
            seen.add(Fixture.value(c, "select count(*) from auto where v like 'of several%'"));
            if (!autoCommit) {
              c.commit();
            }
          });
      add(
          "described with its parameters" + of,
          (c, seen) -> {
            c.setAutoCommit(autoCommit);
            try (PreparedStatement p =
                c.prepareStatement("select * from (select ? as k) s where s.k = 3")) {
              p.setInt(1, 3);
              seen.add(p.getMetaData().getColumnTypeName(1));
              seen.add(p.getParameterMetaData().getParameterTypeName(1));
              rows(p.executeQuery(), seen);
            }
          });
    }
  }

  private void define() {
    parametersThatTell();
    // inserts
    update(
        "insert values",
        "insert into item(id, name, price, at, n) values (?,?,?,'2001-01-01Z',?)",
        10,
        "ten",
        new BigDecimal("10.005"),
        1);
    update(
        "insert values with constant default",
        "insert into item(id, name, at) values (?,?,?)",
        11,
        "eleven",
        Timestamp.valueOf("2001-02-03 04:05:06.789"));
    update("insert clock default", "insert into item(id, name) values (?,?)", 12, "twelve");
    update(
        "insert DEFAULT", "insert into item(id, name, n) values (?, ?, default)", 13, "thirteen");
    update("insert clock", "insert into item(id, name, at) values (?, ?, now())", 14, "fourteen");
    update(
        "insert several rows",
        "insert into item(id, name, at, n) values (?,?,null,?), (16,'lit',null,-5)",
        15,
        "fifteen",
        3);
    update(
        "insert all columns without list",
        "insert into item values (?,?,?,?,?)",
        17,
        "x",
        BigDecimal.ONE,
        OffsetDateTime.parse("2001-01-01T00:00:00.123456789Z"),
        1);
    update("insert duplicate", "insert into item(id, name) values (?,?)", 1, "again");
    update("insert null into not null", "insert into item(id, name) values (?,?)", 18, null);
    update("insert too long", "insert into item(id, name) values (?,?)", 18, "a".repeat(30));
    update("insert wrong type", "insert into item(id, name) values (?,?)", "x", "y");
    update(
        "insert with double for numeric",
        "insert into item(id, name, price, at) values (?,?,?,null)",
        19,
        "d",
        0.1 + 0.2);
    update("insert int from long", "insert into item(id, name, at) values (?,?,null)", 20L, "long");
    update(
        "insert query",
        "insert into item(id, name, at) select id + 100, name, at from item where id <= ?",
        3);
    update("insert nothing", "insert into item(id, name) select id, name from item where false");
    update(
        "insert on conflict nothing, conflict",
        "insert into item(id, name) values (?,?) on conflict do nothing",
        1,
        "x");
    update(
        "insert on conflict nothing, none",
        "insert into item(id, name) values (?,?) on conflict do nothing",
        21,
        "x");
    update(
        "insert on conflict update",
        "insert into item(id, name) values (?,?) on conflict (id) do update set name = excluded.name || item.name, n = item.n + 1",
        1,
        "up-");
    update(
        "insert odd types",
        "insert into odd(\"Key\", \"select\", u, ts, d, f, g, p) values (?,?,?,?,?,?,?,?)",
        1,
        "q'\"",
        new UUID(1, 2),
        java.time.LocalDateTime.parse("2001-01-01T01:02:03.456789"),
        LocalDate.of(2001, 2, 3),
        1.5f,
        Double.NaN,
        3);
    update(
        "insert negative zero and infinity",
        "insert into odd(\"Key\", g, f) values (?,?,?)",
        2,
        -0.0,
        Float.POSITIVE_INFINITY);
    update("insert double for real", "insert into odd(\"Key\", f) values (?,?)", 3, 0.1);
    update("insert float for double", "insert into odd(\"Key\", g) values (?,?)", 4, 0.1f);
    update("insert domain violated", "insert into odd(\"Key\", p) values (?,?)", 5, -1);
    statement(
        "insert casts",
        "insert into odd(\"Key\", j, m, arr, b) values (6, '{\"a\": [1, null]}'::jsonb, 'ok', '{1,NULL,3}', '\\xdead')");
    statement("insert literal not cast", "insert into odd(\"Key\", j) values (7, '{\"b\":1.10}')");
    add(
        "insert bytes",
        (c, seen) -> {
          try (PreparedStatement s =
              c.prepareStatement("insert into odd(\"Key\", b) values (?,?)")) {
            s.setInt(1, 8);
            s.setBytes(2, new byte[] {0, -1, 127});
            seen.add(s.executeUpdate());
          }
        });
    add(
        "insert array",
        (c, seen) -> {
          try (PreparedStatement s =
              c.prepareStatement("insert into odd(\"Key\", arr) values (?,?)")) {
            s.setInt(1, 9);
            s.setArray(2, c.createArrayOf("int4", new Object[] {1, null, 2}));
            seen.add(s.executeUpdate());
          }
        });
    add(
        "insert stream",
        (c, seen) -> {
          try (PreparedStatement s =
              c.prepareStatement("insert into odd(\"Key\", b, \"select\") values (?,?,?)")) {
            s.setInt(1, 10);
            s.setBinaryStream(2, new java.io.ByteArrayInputStream(new byte[] {1, 2, 3}));
            s.setCharacterStream(3, new java.io.StringReader("streamed"));
            seen.add(s.executeUpdate());
          }
        });
    values();
    surface();
    // results
    for (String sql :
        new String[] {
          "insert into item(id, name, at) values (60, 'c', null) returning id, name",
          "with w as (insert into item(id, name, at) values (61, 'c', null) returning id) select name from item, w where item.id = 1",
          "insert into item(id, name) values (62, 'c')",
          "select id from item where id = 1",
          "insert into item(id, name) values (63, 'c') returning id; insert into item(id, name) values (64, 'c') returning name"
        }) {
      add(
          "close on completion: " + sql,
          (c, seen) -> {
            try (Statement s = c.createStatement()) {
              s.closeOnCompletion();
              seen.add(s.isCloseOnCompletion());
              for (int i = 0; i < 2; i++) { // an INSERT of the same key fails the second time
                boolean rows = s.execute(sql);
                while (rows) {
                  ResultSet r = s.getResultSet();
                  rows(r, seen);
                  seen.add(s.isClosed());
                  rows = s.getMoreResults(Statement.KEEP_CURRENT_RESULT);
                  seen.add(rows + " " + s.getUpdateCount());
                  r.close();
                  seen.add(s.isClosed());
                }
              }
            }
          });
    }
    add(
        "close on completion, generated keys",
        (c, seen) -> {
          try (Statement s = c.createStatement()) {
            s.closeOnCompletion();
            seen.add(
                s.executeUpdate(
                    "insert into auto(v) values ('completed')", Statement.RETURN_GENERATED_KEYS));
            ResultSet r = s.getGeneratedKeys();
            rows(r, seen);
            seen.add(s.isClosed());
            r.close();
            seen.add(s.isClosed());
          }
        });
    statement(
        "types of a WITH's rows",
        "with w as (insert into auto(v) values ('typed') returning id, v), x as (delete from log) select id, v, count(*) over () from w");
    add(
        "origins of a WITH's rows",
        (c, seen) -> {
          try (Statement s = c.createStatement()) {
            ResultSet r =
                s.executeQuery(
                    "with w as (insert into auto(v) values ('whence') returning id as n, v) select n, v, 1 as one from w");
            ResultSetMetaData m = r.getMetaData();
            for (int i = 1; i <= m.getColumnCount(); i++) {
              seen.add(
                  List.of(
                      m.isAutoIncrement(i),
                      m.isNullable(i),
                      m.getTableName(i),
                      m.getSchemaName(i),
                      m.getColumnName(i),
                      m.getColumnType(i),
                      m.getColumnClassName(i),
                      m.getPrecision(i)));
              org.postgresql.PGResultSetMetaData d =
                  m.unwrap(org.postgresql.PGResultSetMetaData.class);
              seen.add(
                  List.of(d.getBaseColumnName(i), d.getBaseTableName(i), d.getBaseSchemaName(i)));
            }
            r.close();
            rows(r, seen);
          }
        });
    statement(
        "a WITH that names some of its columns",
        "with w(a) as (insert into parent values (950, 1) returning id, v), x(b) as materialized (insert into parent values (951, 2) returning *) select a, w.v, x.* from w, x");
    statement(
        "a WITH whose SELECT has no columns",
        "with w as (insert into parent values (952, 1)) select");
    statement(
        "a WITH one of whose queries returns no columns",
        "with w as (insert into parent values (953, 1) returning id), x as (update parent set v = 2 from nothing where parent.id = 1 returning nothing.*) select w.id, (select count(*) from x) from w");
    add(
        "descriptions of a WITH's rows",
        (c, seen) -> {
          try (Statement s = c.createStatement()) {
            describe(
                s.executeQuery(
                    "with w as (insert into modified values (1, 'ab', 'abc', 1.25, '2001-01-01 00:00:00.6Z', 3, 1.5) returning *) select *, 1 as one, null as nothing, 'x' as text, now() as clock from w"),
                seen);
            s.executeUpdate(
                "with gone as (delete from modified returning c) insert into modified select 2, c, 'q', 1, now(), 4, 2.5 from gone",
                Statement.RETURN_GENERATED_KEYS);
            describe(s.getGeneratedKeys(), seen);
            s.executeUpdate(
                "with gone as (delete from modified returning c) insert into modified select 3, c, 'q', 1, now(), 5, 3.5 from gone",
                new String[] {"id", "n"});
            describe(s.getGeneratedKeys(), seen);
          }
          try (PreparedStatement s =
              c.prepareStatement(
                  "with gone as (delete from modified where id > ? returning c) insert into modified select 4, c, ?, 1, now(), 6, 4.5 from gone",
                  new String[] {"n"})) {
            s.setInt(1, 0);
            s.setString(2, "z");
            s.executeUpdate();
            describe(s.getGeneratedKeys(), seen);
          }
        });
    for (String sql :
        new String[] {
          "insert into auto(v) values (?) returning id, v",
          "with w as (insert into auto(v) values (?) returning id) select id from w",
          "with w as (insert into log(line) values ('batch')) insert into auto(v) values (?)",
          "with w as (insert into log(line) values ('batch')) insert into auto(v) values (?) returning v",
          "with w as (insert into log(line) values ('batch') returning v), x as (select ? as y) select v from w, x"
        }) {
      for (boolean keys : new boolean[] {false, true}) {
        add(
            "keys of a batch: " + keys + " " + sql,
            (c, seen) -> {
              try (PreparedStatement s =
                  keys
                      ? c.prepareStatement(sql, Statement.RETURN_GENERATED_KEYS)
                      : c.prepareStatement(sql)) {
                for (int i = 0; i < 3; i++) {
                  s.setString(1, "batch " + i + keys + sql);
                  s.addBatch();
                }
                seen.add(Arrays.toString(s.executeBatch()));
                seen.add(s.getUpdateCount());
                rows(s.getGeneratedKeys(), seen);
              }
            });
      }
    }
    // generated keys
    for (String how : new String[] {"flag", "names"}) {
      add(
          "generated keys by " + how,
          (c, seen) -> {
            String sql = "insert into auto(v) values (?)";
            try (PreparedStatement s =
                how.equals("flag")
                    ? c.prepareStatement(sql, Statement.RETURN_GENERATED_KEYS)
                    : c.prepareStatement(sql, new String[] {"id", "v"})) {
              s.setString(1, how);
              seen.add(s.executeUpdate());
              rows(s.getGeneratedKeys(), seen);
            }
          });
    }
    add(
        "generated keys without asking",
        (c, seen) -> {
          try (PreparedStatement s = c.prepareStatement("insert into auto(v) values ('unasked')")) {
            seen.add(s.executeUpdate());
            rows(s.getGeneratedKeys(), seen);
          }
        });
    add(
        "generated keys of a batch",
        (c, seen) -> {
          try (PreparedStatement s =
              c.prepareStatement(
                  "insert into auto(v) values (?)", Statement.RETURN_GENERATED_KEYS)) {
            for (int i = 0; i < 3; i++) {
              s.setString(1, "batch" + i);
              s.addBatch();
            }
            seen.add(Arrays.toString(s.executeBatch()));
            rows(s.getGeneratedKeys(), seen);
          }
        });
    add(
        "generated keys of a statement",
        (c, seen) -> {
          try (Statement s = c.createStatement()) {
            seen.add(
                s.executeUpdate(
                    "insert into auto(v) values ('st')", Statement.RETURN_GENERATED_KEYS));
            rows(s.getGeneratedKeys(), seen);
            seen.add(s.executeUpdate("insert into auto(v) values ('st2')", new String[] {"id"}));
            rows(s.getGeneratedKeys(), seen);
          }
        });
    add(
        "generated keys where values suffice",
        (c, seen) -> {
          try (PreparedStatement s =
              c.prepareStatement(
                  "insert into pair values (?,?,?)", Statement.RETURN_GENERATED_KEYS)) {
            s.setInt(1, 77);
            s.setString(2, "k");
            s.setInt(3, 1);
            seen.add(s.executeUpdate());
            rows(s.getGeneratedKeys(), seen);
          }
        });
    add(
        "returning by executeQuery",
        (c, seen) -> {
          try (PreparedStatement s =
              c.prepareStatement(
                  "insert into auto(v) values (?), ('second') returning v, length(v) as l")) {
            s.setString(1, "first");
            try (ResultSet r = s.executeQuery()) {
              rows(r, seen);
              seen.add(r.getStatement() == s);
              seen.add(r.getStatement().getConnection() == c);
            }
          }
        });
    statement("returning star", "update item set n = n + 1 where id = 2 returning *");
    add(
        "returning by executeUpdate is an error that comes too late",
        (c, seen) -> {
          try (Statement s = c.createStatement()) {
            seen.add(s.executeUpdate("insert into auto(v) values ('late') returning v"));
          } finally {
            try (Statement s = c.createStatement();
                ResultSet r = s.executeQuery("select count(*) from auto where v = 'late'")) {
              rows(r, seen);
            }
          }
        });
    add(
        "executeQuery of an update is an error that comes too late",
        (c, seen) -> {
          try (Statement s = c.createStatement()) {
            s.executeQuery("update item set n = 99 where id = 3");
          } finally {
            try (Statement s = c.createStatement();
                ResultSet r = s.executeQuery("select n from item where id = 3")) {
              rows(r, seen);
            }
          }
        });
    // updates
    update("update by key", "update item set n = n * 2, at = clock_timestamp() where id = ?", 1);
    update(
        "update by predicate",
        "update item set price = price + 1 where price < ?",
        new BigDecimal("3"));
    update("update nothing", "update item set n = 0 where id = ?", -1);
    update(
        "update from", "update item i set n = p.v from pair p where p.a = i.id and p.b = ?", "x");
    update("update subquery", "update item set n = (select max(id) from item) where id = ?", 2);
    update("update composite key", "update pair set v = v + 10 where a = ? and b = ?", 1, "x");
    update(
        "update key",
        "update parent set id = id + 100 where id = 2 and not exists (select from child where parent = 2 and id <> 3) and false");
    update("update key changes", "update pair set b = b || '2' where a = ?", 1);
    update(
        "update moves a row to another partition", "update part set at = at + 365 where id = ?", 1);
    update("update quoted", "update odd set \"select\" = ? where \"Key\" = ?", "changed", 1);
    update("update check violated", "update odd set p = -5 where \"Key\" = ?", 1);
    update("update syntax error", "update item sett n = 1");
    update("update missing table", "update nosuch set n = 1");
    update("update missing column", "update item set nosuch = 1");
    update("missing parameter", "update item set n = ? where id = 1");
    add(
        "parameter out of range",
        (c, seen) -> {
          try (PreparedStatement s = c.prepareStatement("update item set n = ? where id = 1")) {
            s.setInt(2, 1);
          }
        });
    // deletes
    update("delete by key", "delete from pair where a = ? and b = ?", 2, "x");
    update("delete by key, none", "delete from pair where a = ? and b = ?", 2, "nosuch");
    update("delete by predicate", "delete from item where id between ? and ?", 101, 102);
    update("delete using", "delete from item i using pair p where p.v = i.id and i.id > ?", 1000);
    update("delete with cascade", "delete from parent where id = ?", 1);
    statement("delete returning", "delete from item where id = 103 returning id, name");
    update("delete referenced", "delete from parent where id = ?", 2);
    // keyless
    update(
        "keyless insert",
        "insert into log values (?,?,?)",
        Timestamp.valueOf("2001-01-01 00:00:00"),
        "line",
        1.5);
    update(
        "keyless insert twice the same",
        "insert into log values (null,'same',1.5),(null,'same',1.5)");
    update("keyless clock", "insert into log values (now(), ?, random())", "clock");
    // transactions
    add(
        "several statements, commit",
        (c, seen) -> {
          c.setAutoCommit(false);
          try (Statement s = c.createStatement()) {
            seen.add(s.executeUpdate("insert into parent values (50, 1)"));
            seen.add(s.executeUpdate("insert into child values (50, 50, 1)"));
            seen.add(s.executeUpdate("update child set v = 2 where id = 50"));
          }
          c.commit();
          c.setAutoCommit(true);
        });
    add(
        "rollback",
        (c, seen) -> {
          c.setAutoCommit(false);
          try (Statement s = c.createStatement()) {
            seen.add(s.executeUpdate("insert into parent values (60, 1)"));
          }
          c.rollback();
          c.setAutoCommit(true);
        });
    add(
        "savepoints",
        (c, seen) -> {
          c.setAutoCommit(false);
          try (Statement s = c.createStatement()) {
            s.executeUpdate("insert into parent values (70, 1)");
            Savepoint a = c.setSavepoint("a");
            s.executeUpdate("insert into parent values (71, 1)");
            Savepoint b = c.setSavepoint();
            s.executeUpdate("insert into parent values (72, 1)");
            c.rollback(b);
            s.executeUpdate("insert into parent values (73, 1)");
            c.releaseSavepoint(a);
            s.execute("savepoint t");
            s.executeUpdate("insert into parent values (74, 1)");
            s.execute("rollback to savepoint t");
            try {
              s.executeUpdate("insert into parent values (70, 1)");
            } catch (SQLException e) {
              error(e, seen);
            }
            s.execute("rollback to t");
            seen.add(s.executeUpdate("insert into parent values (75, 1)"));
          }
          c.setAutoCommit(true); // commits
        });
    add(
        "warnings of a write",
        (c, seen) -> {
          try (Statement s = c.createStatement()) {
            s.executeUpdate("update item set n = warned(n) where id = 1");
            seen.add(s.getWarnings() == null ? "none" : s.getWarnings().getMessage());
            s.clearWarnings();
            seen.add(s.getWarnings() == null);
          }
        });
    add(
        "a savepoint whose name was released as text",
        (c, seen) -> {
          c.setAutoCommit(false);
          try (Statement s = c.createStatement()) {
            c.setSavepoint("a");
            s.executeUpdate("insert into parent values (181, 1)");
            Savepoint inner = c.setSavepoint("a");
            s.executeUpdate("insert into parent values (182, 1)");
            s.execute("release a");
            c.rollback(inner); // the server means the outer one
            seen.add(s.executeUpdate("insert into parent values (183, 1)"));
          }
          c.commit();
          c.setAutoCommit(true);
        });
    add(
        "savepoints of the same name",
        (c, seen) -> {
          c.setAutoCommit(false);
          try (Statement s = c.createStatement()) {
            s.executeUpdate("insert into parent values (170, 1)");
            s.execute("savepoint a");
            s.executeUpdate("insert into parent values (171, 1)");
            s.execute("savepoint a");
            s.executeUpdate("insert into parent values (172, 1)");
            s.execute("release a");
            s.execute("rollback to a");
            seen.add(s.executeUpdate("insert into parent values (173, 1)"));
            Savepoint nameless = c.setSavepoint();
            s.executeUpdate("insert into parent values (174, 1)");
            s.execute("rollback to \"JDBC_SAVEPOINT_" + nameless.getSavepointId() + "\"");
            try {
              s.execute("rollback to nosuch");
            } catch (SQLException e) {
              error(e, seen);
            }
            c.rollback(nameless);
            seen.add(s.executeUpdate("insert into parent values (175, 1)"));
          }
          c.commit();
          c.setAutoCommit(true);
        });
    add(
        "error aborts the transaction",
        (c, seen) -> {
          c.setAutoCommit(false);
          try (Statement s = c.createStatement()) {
            s.executeUpdate("insert into parent values (80, 1)");
            try {
              s.executeUpdate("insert into parent values (80, 2)");
            } catch (SQLException e) {
              error(e, seen);
            }
            try {
              s.executeUpdate("insert into parent values (81, 2)");
            } catch (SQLException e) {
              error(e, seen);
            }
            try {
              c.commit();
            } catch (SQLException e) {
              error(e, seen);
            }
          }
          c.rollback();
          c.setAutoCommit(true);
        });
    add(
        "delete and insert the same key",
        (c, seen) -> {
          c.setAutoCommit(false);
          try (Statement s = c.createStatement()) {
            s.executeUpdate("delete from item where id = 2");
            s.executeUpdate("insert into item(id, name) values (2, 'reborn')");
            s.executeUpdate("update item set n = 5 where id = 2");
            s.executeUpdate("delete from item where id = 2");
            s.executeUpdate("insert into item(id, name) values (2, 'again')");
          }
          c.commit();
          c.setAutoCommit(true);
        });
    // batches
    add(
        "batch of prepared inserts",
        (c, seen) -> {
          try (PreparedStatement s = c.prepareStatement("insert into pair values (?,?,?)")) {
            for (int i = 0; i < 100; i++) {
              s.setInt(1, 1000 + i);
              s.setString(2, "b");
              if (i == 0) {
                s.setInt(3, i); // parameters persist
              }
              s.addBatch();
            }
            seen.add(Arrays.toString(s.executeBatch()));
            seen.add(Arrays.toString(s.executeBatch()));
          }
        });
    add(
        "batch of prepared updates and deletes",
        (c, seen) -> {
          try (PreparedStatement s = c.prepareStatement("update pair set v = v + ? where a = ?")) {
            for (int i = 0; i < 5; i++) {
              s.setInt(1, i);
              s.setInt(2, 1000 + i % 3);
              s.addBatch();
            }
            seen.add(Arrays.toString(s.executeBatch()));
          }
          try (PreparedStatement s =
              c.prepareStatement("delete from pair where a = ? and b = 'b'")) {
            for (int i = 0; i < 4; i++) {
              s.setInt(1, 1098 + i);
              s.addBatch();
            }
            seen.add(Arrays.toString(s.executeBatch()));
          }
        });
    add(
        "batch of statements",
        (c, seen) -> {
          try (Statement s = c.createStatement()) {
            s.addBatch("insert into parent values (90, 1)");
            s.addBatch("update parent set v = 3 where id = 90");
            s.addBatch("delete from parent where id = 90");
            seen.add(Arrays.toString(s.executeBatch()));
          }
        });
    add(
        "batch that fails leaves nothing",
        (c, seen) -> {
          try (PreparedStatement s = c.prepareStatement("insert into parent values (?,1)")) {
            for (int i : new int[] {91, 92, 91, 93}) {
              s.setInt(1, i);
              s.addBatch();
            }
            try {
              s.executeBatch();
            } catch (java.sql.BatchUpdateException e) {
              seen.add(e.getSQLState() + " " + Arrays.toString(e.getUpdateCounts()));
            }
          }
        });
    // batches with transaction control
    control(200, "insert 1", "commit", "insert 1");
    control(210, "insert 1", "rollback", "insert 2");
    control(220, "begin", "insert 1", "commit");
    control(230, "begin", "insert 1", "rollback", "insert 2");
    control(240, "insert 1", "begin", "insert 2");
    control(250, "insert 1", "begin", "insert 1");
    control(260, "begin", "insert 1", "commit", "insert 2", "insert 2");
    control(270, "begin", "insert 1", "commit and chain", "insert 2", "rollback", "insert 3");
    control(280, "insert 1", "commit and chain", "insert 2");
    control(290, "insert 1", "begin isolation level serializable", "insert 2");
    add(
        "batch that ends the transaction before it",
        (c, seen) -> {
          try (Statement s = c.createStatement()) {
            s.execute("begin");
            s.executeUpdate("insert into parent values (320, 1)");
            batch(s, seen, 320, "insert 1", "commit", "insert 2", "insert 2");
            s.execute("begin");
            s.executeUpdate("insert into parent values (323, 1)");
            batch(s, seen, 320, "insert 4", "rollback", "insert 5");
          }
        });
    // limits
    add(
        "field size",
        (c, seen) -> {
          String long1 = "a long name".repeat(20);
          for (int size : new int[] {30, 1}) {
            try (Statement s = c.createStatement()) {
              s.setMaxFieldSize(size);
              seen.add(s.executeUpdate("insert into odd(\"Key\") values (" + (50 + size) + ")"));
              seen.add(
                  s.executeUpdate(
                      "update odd set \"select\" = repeat('a long text', 20) where \"Key\" > 50"));
              try (ResultSet r =
                  s.executeQuery(
                      "update odd set b = convert_to(\"select\", 'UTF8'), j = to_jsonb(\"select\") where \"Key\" > 50 returning \"Key\", \"select\", b, j")) {
                while (r.next()) {
                  seen.add(r.getString(1) + r.getString(2) + r.getString("select"));
                  seen.add(r.getObject(2) + " " + r.getObject("select"));
                  seen.add(r.getObject(2, String.class) + r.getBytes("b").length);
                  seen.add(r.getBytes(3).length + " " + ((byte[]) r.getObject(3)).length);
                  seen.add(r.getString(4) + r.getObject(4) + r.wasNull());
                  seen.add(text(r.getCharacterStream(2)) + text(r.getCharacterStream("select")));
                  seen.add(bytes(r.getBinaryStream(3)) + " " + bytes(r.getAsciiStream(2)));
                }
              }
            }
            try (PreparedStatement s =
                c.prepareStatement(
                    "update odd set \"select\" = ? where \"Key\" > ?",
                    Statement.RETURN_GENERATED_KEYS)) {
              s.setMaxFieldSize(size);
              s.setString(1, long1);
              s.setInt(2, 50);
              seen.add(s.executeUpdate());
              try (ResultSet r = s.getGeneratedKeys()) {
                while (r.next()) {
                  seen.add(r.getString("select") + r.getMetaData().getColumnLabel(2));
                }
              }
              s.addBatch();
              seen.add(Arrays.toString(s.executeBatch()));
              try (ResultSet r = s.getGeneratedKeys()) {
                while (r.next()) {
                  seen.add(r.getString("select"));
                }
              }
            }
            try (PreparedStatement s =
                c.prepareStatement("update odd set \"select\" = ? where \"Key\" > ?")) {
              s.setMaxFieldSize(size);
              s.setString(1, long1 + "!");
              s.setInt(2, 50);
              s.addBatch();
              s.addBatch();
              seen.add(Arrays.toString(s.executeBatch()));
              seen.add(s.executeUpdate());
            }
            try (Statement s = c.createStatement()) {
              s.setMaxFieldSize(size);
              s.setMaxRows(1);
              try (ResultSet r =
                  s.executeQuery("update odd set p = 1 where \"Key\" > 50 returning \"select\"")) {
                rows(r, seen);
              } catch (SQLException e) {
                error(e, seen);
              }
            }
          }
        });
    add(
        "limit of rows for a WITH that writes",
        (c, seen) -> {
          try (Statement s = c.createStatement()) {
            s.setMaxRows(1);
            try (ResultSet r =
                s.executeQuery(
                    "with x as (update item set n = n + 1 returning id, n) select * from x order by 1")) {
              rows(r, seen);
            }
          }
        });
    add(
        "read only is for transactions",
        (c, seen) -> {
          c.setReadOnly(true);
          try (Statement s = c.createStatement()) {
            seen.add(s.executeUpdate("insert into parent values (330, 1)"));
            s.addBatch("insert into parent values (331, 1)");
            s.addBatch("update parent set v = 2 where id = 331");
            seen.add(Arrays.toString(s.executeBatch()));
            s.execute("begin");
            seen.add(c.isReadOnly());
            seen.add(s.executeUpdate("insert into parent values (332, 1)"));
            c.setAutoCommit(false); // goes on
            seen.add(s.executeUpdate("insert into parent values (333, 1)"));
            c.commit();
            try {
              s.executeUpdate("insert into parent values (334, 1)");
            } catch (SQLException e) {
              error(e, seen);
            }
            c.rollback();
            c.setAutoCommit(true);
            seen.add(c.isReadOnly() + " " + c.getMetaData().isReadOnly());
            seen.add(s.executeUpdate("insert into parent values (335, 1)"));
            c.setReadOnly(false);
            c.setAutoCommit(false);
            seen.add(s.executeUpdate("insert into parent values (336, 1)"));
            c.commit();
            c.setReadOnly(true);
            seen.add(c.isReadOnly());
            try {
              s.executeUpdate("insert into parent values (337, 1)");
            } catch (SQLException e) {
              error(e, seen);
            }
            try {
              c.setReadOnly(false);
            } catch (SQLException e) {
              error(e, seen);
            }
            c.rollback();
            c.setAutoCommit(true);
            seen.add(s.executeUpdate("insert into parent values (338, 1)"));
          }
        });
    add(
        "a savepoint named savepoint",
        (c, seen) -> {
          c.setAutoCommit(false);
          try (Statement s = c.createStatement()) {
            s.execute("savepoint savepoint");
            s.executeUpdate("insert into parent values (340, 1)");
            s.execute("rollback to savepoint");
            s.executeUpdate("insert into parent values (341, 1)");
            s.execute("rollback to savepoint savepoint");
            s.executeUpdate("insert into parent values (342, 1)");
            s.execute("release savepoint");
          }
          c.commit();
          c.setAutoCommit(true);
        });
    for (String end : new String[] {"rollback and chain", "commit and chain"}) {
      add(
          end + " after an error",
          (c, seen) -> {
            c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            for (String begin : new String[] {"", "begin isolation level repeatable read"}) {
              c.setAutoCommit(!begin.isEmpty());
              try (Statement s = c.createStatement()) {
                s.execute(begin);
                s.executeUpdate("insert into parent values (350, 1)");
                try {
                  s.execute("select 1 / 0");
                } catch (SQLException e) {
                  error(e, seen);
                }
                try {
                  s.execute(end);
                } catch (SQLException e) {
                  error(e, seen);
                  s.execute("rollback");
                }
                try (ResultSet r = s.executeQuery("show transaction_isolation")) {
                  rows(r, seen);
                }
                s.executeUpdate("insert into parent values (351, 1) on conflict do nothing");
                s.execute("commit");
              }
            }
            c.setAutoCommit(true);
          });
    }
    // reads
    statement("select", "select id, name from item order by id");
    statement("select function", "select length('abc'), now() is not null as x");
    statement("nextval", "select nextval('auto_id_seq') > 0 as x");
    add(
        "cursor",
        (c, seen) -> {
          c.setAutoCommit(false);
          try (PreparedStatement s = c.prepareStatement("select id from item order by id")) {
            s.setFetchSize(2);
            try (ResultSet r = s.executeQuery()) {
              rows(r, seen);
            }
          }
          c.commit();
          c.setAutoCommit(true);
        });
    add(
        "session state",
        (c, seen) -> {
          try (Statement s = c.createStatement()) {
            s.execute("set time zone 'Asia/Tokyo'");
            s.execute("set search_path = pg_catalog, public");
            s.executeUpdate(
                "insert into item(id, name, at) values (30, 'tokyo', '2001-01-01 09:00')");
            try (ResultSet r =
                s.executeQuery("select extract(epoch from at) e from item where id = 30")) {
              rows(r, seen);
            }
            s.execute("reset search_path");
          }
        });
  }

  private void surface() {
    for (String sql :
        new String[] {
          "insert into nowhere values (1)",
          "with e as (insert into nowhere values (1) returning *) select * from e",
          "with e as (delete from item where nowhere = 1 returning *) select * from e",
          "merge into nowhere using (values (1)) s(k) on true when matched then delete",
          "nonsense",
          "commit nonsense"
        }) {
      add(
          "the first statement of a transaction fails: " + sql,
          (c, seen) -> {
            c.setAutoCommit(false);
            for (boolean prepared : new boolean[] {false, true}) {
              try (Statement s = prepared ? c.prepareStatement(sql) : c.createStatement()) {
                seen.add(s instanceof PreparedStatement p ? p.execute() : s.execute(sql));
              } catch (SQLException e) {
                error(e, seen);
              }
              try (Statement s = c.createStatement()) {
                seen.add(s.executeUpdate("insert into log(line) values ('not to be')"));
              } catch (SQLException e) {
                error(e, seen);
              }
              try {
                c.commit();
              } catch (SQLException e) {
                error(e, seen);
              }
            }
            logged(c, "not to be", seen);
            c.rollback();
          });
    }
    for (String sql :
        new String[] {
          "insert into log(line) values ('mistaken') returning v",
          "insert into log(line) values ('mistaken')",
          "select logs(77)",
          "explain (analyze, costs off, timing off, summary off, buffers off) insert into log(line) values ('mistaken')",
          "with w as (insert into log(line) values ('mistaken') returning line) select line from w",
          "insert into log(line) values ('mistaken'); select 1",
          "select 1; insert into log(line) values ('mistaken')",
          "select 1; select logs(77)",
          "truncate log",
          "create table if not exists log(id int)",
          "do $$ begin perform logs(77); end $$",
          "select set_config('app.x', 'y', true)"
        }) {
      add(
          "the wrong method: " + sql,
          (c, seen) -> {
            for (boolean autoCommit : new boolean[] {true, false}) {
              c.setAutoCommit(autoCommit);
              for (boolean query : new boolean[] {true, false}) {
                try (PreparedStatement p = c.prepareStatement(sql);
                    Statement s = c.createStatement()) {
                  for (Statement t : List.of(s, p)) {
                    try {
                      if (query) {
                        seen.add((t == p ? p.executeQuery() : s.executeQuery(sql)).next());
                      } else {
                        seen.add(t == p ? p.executeUpdate() : s.executeUpdate(sql));
                      }
                    } catch (SQLException e) {
                      error(e, seen);
                    }
                  }
                }
              }
              if (!autoCommit) {
                c.commit();
              }
            }
            logged(c, "mistaken", seen);
            c.commit();
            c.setAutoCommit(true);
          });
    }
    for (String sql :
        new String[] {
          "insert into late(id, v) values (?, 'x')",
          "insert into late(id) values (?)",
          "insert into late(id) values (?) returning id",
          "insert into nowhere values (?)"
        }) {
      for (boolean autoCommit : new boolean[] {true, false}) {
        add(
            "a batch that fails in the end: " + sql + autoCommit,
            (c, seen) -> {
              c.setAutoCommit(autoCommit);
              try (PreparedStatement p = c.prepareStatement(sql);
                  Statement s = c.createStatement()) {
                for (int i : new int[] {1, 1}) {
                  p.setInt(1, i);
                  p.addBatch();
                  s.addBatch(sql.replace("?", "" + i));
                }
                for (Statement t : List.of(p, s)) {
                  try {
                    seen.add(Arrays.toString(t.executeBatch()));
                  } catch (SQLException e) {
                    error(e, seen);
                  }
                  if (!autoCommit) {
                    c.rollback();
                  }
                }
              }
              c.setAutoCommit(true);
            });
      }
    }
    add(
        "values of a type that is not known",
        (c, seen) -> {
          for (String sql :
              new String[] {
                "insert into auto(v) values (?)",
                "insert into pair(a, b, v) values (?, lower('U'), 1)",
                "insert into pair(a, b, v) values (?, 'u', 1)"
              }) {
            try (PreparedStatement s = c.prepareStatement(sql)) {
              for (int i = 401; i < 406; i++) {
                PGobject value = new PGobject();
                value.setType("unknown");
                value.setValue("" + (i + sql.length()));
                if (i == 404) {
                  s.setObject(1, value, Types.OTHER);
                } else {
                  s.setObject(1, value);
                }
                s.addBatch();
              }
              seen.add(Arrays.toString(s.executeBatch()));
              s.setNull(1, Types.OTHER, "unknown");
              s.addBatch();
              s.addBatch();
              seen.add(Arrays.toString(s.executeBatch()));
            } catch (SQLException e) {
              error(e, seen);
            }
          }
        });
    add(
        "parameters that were cleared",
        (c, seen) -> {
          try (PreparedStatement s =
              c.prepareStatement("insert into item(id, name) values (?, ?)")) {
            s.setInt(1, 300);
            s.setString(2, "x");
            seen.add(s.executeUpdate());
            s.clearParameters();
            s.setInt(1, 301);
            seen.add(s.executeUpdate());
          }
        });
    add(
        "parameters of a query that were cleared",
        (c, seen) -> {
          try (PreparedStatement s = c.prepareStatement("select name from item where id = ?")) {
            s.setInt(1, 1);
            seen.add(s.executeQuery().next());
            s.clearParameters();
            seen.add(s.executeQuery().next());
          }
        });
    add(
        "parameters of a batch that were cleared",
        (c, seen) -> {
          try (PreparedStatement s =
              c.prepareStatement("insert into item(id, name) values (?, ?)")) {
            s.setInt(1, 302);
            s.setString(2, "x");
            s.addBatch();
            s.clearParameters();
            s.setInt(1, 303);
            s.addBatch();
            seen.add(Arrays.toString(s.executeBatch()));
          }
        });
    for (String[] keys : new String[][] {{"*"}, {"id", "v"}, {"v"}}) {
      add(
          "generated keys " + Arrays.toString(keys),
          (c, seen) -> {
            try (PreparedStatement s =
                    c.prepareStatement("insert into auto(v) values (?), (lower('X'))", keys);
                Statement plain = c.createStatement()) {
              s.setString(1, "key" + keys.length + keys[0].length());
              seen.add(s.executeUpdate());
              try (ResultSet r = s.getGeneratedKeys()) {
                seen.add(r.getMetaData().getColumnCount() + " " + r.getType());
                seen.add(r.next() + " " + r.getString("v"));
              }
              plain.execute(
                  "delete from auto where v in ('x', '"
                      + "key"
                      + keys.length
                      + keys[0].length()
                      + "')");
              plain.executeUpdate("insert into auto(v) values ('plain')", keys);
              try (ResultSet r = plain.getGeneratedKeys()) {
                seen.add(r.getMetaData().getColumnCount() + " " + r.next());
              }
              plain.execute("delete from auto where v = 'plain'");
            }
          });
    }
    for (String sql :
        new String[] {
          "insert into item(id, name, at) values (?, 'a', null)",
          "insert into item(id, name, at) values ($1, 'a', null)",
          "insert into item(id, name) values (?, 'a')",
          "delete from item where id = ?",
          "delete from item where id = $1"
        }) {
      statement("parameter in a plain statement: " + sql, sql);
    }
    for (int type : new int[] {ResultSet.TYPE_FORWARD_ONLY, ResultSet.TYPE_SCROLL_INSENSITIVE}) {
      add(
          "the rows of RETURNING, " + type,
          (c, seen) -> {
            try (PreparedStatement s =
                c.prepareStatement(
                    "update item set n = n + 1 where id < 3 returning id",
                    type,
                    ResultSet.CONCUR_READ_ONLY)) {
              try (ResultSet r = s.executeQuery()) {
                seen.add(r.getType() + " " + r.isBeforeFirst());
                seen.add(r.next() + " " + r.next() + " " + r.getRow() + " " + r.isLast());
                seen.add(r.previous());
              }
            }
          });
    }
    add(
        "update count behind a batch",
        (c, seen) -> {
          try (Statement s = c.createStatement()) {
            s.addBatch("update item set n = 1 where id = 1");
            s.addBatch("update item set n = 1 where id = 2");
            seen.add(Arrays.toString(s.executeBatch()));
            seen.add(s.getUpdateCount());
            seen.add(s.getMoreResults() + " " + s.getUpdateCount());
            seen.add(s.getGeneratedKeys().next());
          }
        });
  }

  /**
   * The driver reads a value when it is set: what becomes of the object afterwards is of no
   * interest.
   */
  @SuppressWarnings("JavaUtilDate") // applications use it
  private void values() {
    add(
        "values that change after they were set",
        (c, seen) -> {
          try (PreparedStatement s =
              c.prepareStatement(
                  "insert into odd(\"Key\", j, b, arr, d, ts, \"select\", g) values (?,?,?,?,?,?,?,?)")) {
            PGobject json = new PGobject();
            json.setType("jsonb");
            byte[] bytes = new byte[1];
            Integer[] numbers = new Integer[1];
            java.sql.Date day = new java.sql.Date(0);
            java.util.Date time = new java.util.Date(0);
            StringBuilder text = new StringBuilder();
            java.util.concurrent.atomic.AtomicInteger number =
                new java.util.concurrent.atomic.AtomicInteger();
            for (int i = 1; i <= 3; i++) {
              json.setValue("{\"n\": " + i + "}");
              bytes[0] = (byte) i;
              numbers[0] = i;
              day.setTime(i * 86_400_000L);
              time.setTime(i * 1000L);
              text.append(i);
              number.set(i);
              s.setInt(1, 200 + i);
              s.setObject(2, json);
              s.setObject(3, bytes, Types.BINARY);
              s.setObject(4, numbers);
              s.setObject(5, day);
              s.setObject(6, time, Types.TIMESTAMP);
              s.setObject(7, text, Types.OTHER);
              s.setObject(8, number);
              s.addBatch();
            }
            seen.add(Arrays.toString(s.executeBatch()));
          }
          odd(c, 200, seen);
        });
    add(
        "texts that change after they were set",
        (c, seen) -> {
          try (PreparedStatement s =
              c.prepareStatement("insert into texts values (?,?,?,?,?,?,?,?,?)")) {
            StringBuilder builder = new StringBuilder();
            java.io.StringWriter writer = new java.io.StringWriter();
            StringBuilder day = new StringBuilder("2001-01-01");
            java.nio.CharBuffer chars = java.nio.CharBuffer.allocate(4);
            List<Integer> list = new ArrayList<>();
            java.util.concurrent.atomic.LongAdder number =
                new java.util.concurrent.atomic.LongAdder();
            for (int i = 1; i <= 3; i++) {
              builder.append(i);
              writer.append('w');
              day.setCharAt(9, (char) ('0' + i));
              chars.clear().put("c" + i).flip();
              list.add(i);
              number.increment();
              s.setObject(1, builder, Types.VARCHAR);
              s.setObject(2, writer, Types.CHAR);
              s.setObject(3, chars, Types.LONGVARCHAR);
              s.setObject(4, list, Types.VARCHAR);
              s.setObject(5, day, Types.TIMESTAMP);
              s.setObject(6, number, Types.BIGINT);
              s.setObject(7, number);
              s.setObject(8, list, Types.DISTINCT);
              s.setObject(9, java.math.BigInteger.valueOf(i), Types.NUMERIC);
              s.addBatch();
            }
            seen.add(Arrays.toString(s.executeBatch()));
          }
          try (Statement s = c.createStatement();
              ResultSet r = s.executeQuery("select * from texts order by f")) {
            rows(r, seen);
          }
        });
    add(
        "an array that is freed after it was set",
        (c, seen) -> {
          try (PreparedStatement s =
              c.prepareStatement("insert into odd(\"Key\", arr) values (?,?)")) {
            for (Object[] elements : new Object[][] {{1, 2}, {"3", null}}) {
              java.sql.Array array =
                  c.createArrayOf(elements[0] instanceof String ? "text" : "int4", elements);
              s.setInt(1, 210 + elements.length);
              s.setArray(2, array);
              array.free();
              seen.add(s.executeUpdate());
            }
          } finally {
            odd(c, 210, seen);
          }
        });
    add(
        "streams with a length, executed several times",
        (c, seen) -> {
          try (PreparedStatement s =
              c.prepareStatement("insert into odd(\"Key\", \"select\") values (?,?)")) {
            s.setCharacterStream(2, new java.io.StringReader("abcd"), 3);
            for (int i = 220; i < 223; i++) {
              s.setInt(1, i);
              seen.add(s.executeUpdate());
            }
            s.setAsciiStream(2, new java.io.ByteArrayInputStream(new byte[] {'x', 'y'}), 9);
            for (int i = 223; i < 225; i++) {
              s.setInt(1, i);
              seen.add(s.executeUpdate());
            }
            s.setCharacterStream(2, new java.io.StringReader("shown"), 5);
            s.setInt(1, 225);
            seen.add(s.toString().contains("shown"));
            seen.add(s.executeUpdate());
          }
          odd(c, 220, seen);
        });
    add(
        "streams that are closed before the execution",
        (c, seen) -> {
          try (PreparedStatement s =
              c.prepareStatement("insert into odd(\"Key\", \"select\", b) values (?,?,?)")) {
            for (int length : new int[] {10, 100_000}) { // in memory; in a file
              s.setInt(1, 230 + length % 7);
              java.io.InputStream b =
                  new java.io.BufferedInputStream(
                      new java.io.ByteArrayInputStream(new byte[length]));
              try (java.io.StringReader r = new java.io.StringReader("r".repeat(length))) {
                s.setCharacterStream(2, r);
                s.setBinaryStream(3, b);
                b.close();
              } catch (java.io.IOException e) {
                throw new AssertionError(e);
              }
              seen.add(s.executeUpdate());
            }
          }
          odd(c, 230, seen);
        });
    add(
        "XML that is freed after it was set",
        (c, seen) -> {
          try (PreparedStatement s =
              c.prepareStatement(
                  "insert into odd(\"Key\", \"select\") values (?, xmlserialize(content ?::xml as text))")) {
            java.sql.SQLXML xml = c.createSQLXML();
            xml.setString("<a/>");
            s.setInt(1, 245);
            s.setSQLXML(2, xml);
            xml.free();
            seen.add(s.executeUpdate());
          }
          odd(c, 240, seen);
        });
    add(
        "a stream for a routine that commits",
        (c, seen) -> {
          try (Statement s = c.createStatement()) {
            s.execute(
                "create procedure committing(inout a text) language plpgsql as 'begin commit; a := a || ''!''; end'");
          }
          try (PreparedStatement s = c.prepareStatement("call committing(?)")) {
            s.setCharacterStream(1, new java.io.StringReader("given"), 5);
            try (ResultSet r = s.executeQuery()) {
              rows(r, seen);
            }
          }
        });
    List<Case> refused =
        List.of(
            (c, seen) -> set(c, s -> s.setObject(1, new Object())),
            (c, seen) -> set(c, s -> s.setObject(1, new Object(), Types.INTEGER)),
            (c, seen) -> set(c, s -> s.setObject(1, "x", Types.INTEGER)),
            (c, seen) -> set(c, s -> s.setObject(1, java.nio.CharBuffer.wrap("1"), Types.INTEGER)),
            (c, seen) -> set(c, s -> s.setObject(1, java.nio.CharBuffer.wrap("1"))),
            (c, seen) ->
                set(
                    c,
                    s ->
                        s.setObject(
                            1, new java.util.concurrent.atomic.AtomicInteger(), Types.NUMERIC)),
            (c, seen) -> set(c, s -> s.setObject(1, 1, Types.REF)),
            (c, seen) -> set(c, s -> s.setObject(1, java.util.Map.of("a", "b"))),
            (c, seen) -> set(c, s -> s.setObject(1, 1, java.sql.JDBCType.INTEGER)),
            (c, seen) -> set(c, s -> s.setAsciiStream(1, java.io.InputStream.nullInputStream())),
            (c, seen) -> set(c, s -> s.setCharacterStream(1, java.io.Reader.nullReader(), -1)),
            (c, seen) -> set(c, s -> s.setObject(9, new int[1])),
            (c, seen) -> {
              PGobject unknown = new PGobject();
              unknown.setType("of_no_type");
              set(c, s -> s.setObject(1, unknown));
            });
    for (int i = 0; i < refused.size(); i++) {
      add("refused when it is set: " + i, refused.get(i));
    }
  }

  private static void logged(Connection c, String line, List<Object> seen) throws SQLException {
    try (PreparedStatement s =
        c.prepareStatement("select count(*) from log where line = ? or v = 77")) {
      s.setString(1, line);
      try (ResultSet r = s.executeQuery()) {
        rows(r, seen);
      }
    }
  }

  @FunctionalInterface
  private interface Setting {
    void of(PreparedStatement s) throws SQLException;
  }

  private static void set(Connection c, Setting setting) throws SQLException {
    try (PreparedStatement s = c.prepareStatement("select ?")) {
      setting.of(s);
    }
  }

  private static void odd(Connection c, int from, List<Object> seen) throws SQLException {
    try (Statement s = c.createStatement();
        ResultSet r =
            s.executeQuery(
                "select \"Key\", \"select\", j, ts, d, b, g, arr from odd where \"Key\" between "
                    + from
                    + " and "
                    + (from + 9)
                    + " order by 1")) {
      rows(r, seen);
    }
  }
}
