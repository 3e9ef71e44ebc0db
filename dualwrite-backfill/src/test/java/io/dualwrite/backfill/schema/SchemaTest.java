package io.dualwrite.backfill.schema;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.dualwrite.backfill.BackfillException;
import io.dualwrite.backfill.StageCheck;
import io.dualwrite.config.PgUri;
import io.dualwrite.embedded.Installation;
import io.dualwrite.embedded.PgPair;
import io.dualwrite.embedded.PgServer;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.postgresql.ds.PGSimpleDataSource;

/** From and to every version of the server for which a pg_dump is installed, by each of those. */
class SchemaTest {

  /**
   * A move.
   *
   * @param tools null if none can dump the source
   */
  private record Move(int source, int target, PgTools tools) {
    @Override
    public String toString() {
      return source
          + " to "
          + target
          + (tools == null ? ", which nothing here can dump" : " by pg_dump " + tools.major());
    }

    PgPair begin() {
      assumeTrue(
          tools != null,
          "skipped: no pg_dump of PostgreSQL "
              + source
              + " or later on the PATH, in the usual places or in -Ddualwrite.test.bin=DIR");
      return PgPair.shared(source, target);
    }

    SchemaOptions options() {
      return new SchemaOptions(Optional.of(tools.bin()), true, false, false);
    }

    SchemaDump.Result dump(PgPair pair, Path dir) throws SQLException {
      try (Connection c = pair.source()) {
        return SchemaDump.dump(c, uri(pair.sourceServer(), pair), target, dir, options());
      }
    }

    SchemaRestore.Result restore(PgPair pair, SchemaFiles files) throws SQLException {
      return SchemaRestore.restore(
          SchemaTest.target(pair), uri(pair.targetServer(), pair), files, options());
    }
  }

  static List<Move> moves() {
    Map<Integer, PgTools> tools = new TreeMap<>();
    Installation.given()
        .map(bin -> PgTools.find(Optional.of(bin), 0, 0))
        .ifPresent(t -> tools.put(t.major(), t));
    PgTools.installed().forEach(t -> tools.putIfAbsent(t.major(), t));
    List<Integer> majors = PgServer.majors().stream().sorted().toList();
    List<Move> result = new ArrayList<>();
    for (int source : majors) {
      for (int target : new TreeSet<>(List.of(source, majors.get(majors.size() - 1)))) {
        List<PgTools> able = tools.values().stream().filter(t -> t.major() >= source).toList();
        able.forEach(t -> result.add(new Move(source, target, t)));
        if (able.isEmpty()) {
          result.add(new Move(source, target, null));
        }
      }
    }
    return result;
  }

  private static final String SCHEMA =
      """
      create schema "Odd.one"; create extension citext;
      create type mood as enum ('good', 'bad');
      create table customer(id bigint generated always as identity primary key, email citext unique, m mood);
      create table "Odd.one"."T x"(id serial primary key, customer bigint references customer, at timestamptz default now());
      create index on "Odd.one"."T x"(at);
      create table part(id int primary key) partition by range (id);
      create table part_1 partition of part for values from (0) to (100);
      create materialized view mv as select count(*) from customer;
      comment on extension citext is 'ours';
      create function f() returns trigger language plpgsql as 'begin raise exception ''fired''; end';
      create trigger one before insert on customer for each row execute function f();
      create trigger two before insert on customer for each row execute function f();
      create trigger off before insert on customer for each row execute function f();
      create trigger three before insert on part for each row execute function f();
      alter table customer enable always trigger two; alter table customer disable trigger off;
      create function e() returns event_trigger language plpgsql as 'begin end';
      create event trigger et on ddl_command_start execute function e();
      create publication p for table customer
      """;

  private static final String SCHEMA_18 =
      """
      ;create table virt(id int primary key, a int constraint a_is_there not null, b int generated always as (a * 2) virtual);
      alter table virt add c int, add constraint c_later not null c not valid;
      create table loose(id int primary key, v int check (v > 0) not enforced, c bigint references customer not enforced);
      create table temporal(k int4range, during daterange, primary key (k, during without overlaps));
      create table refers(k int4range, during daterange, foreign key (k, period during) references temporal (k, period during));
      insert into virt(id, a, c) values (1, 1, 1)
      """;

  private static final String CONSTRAINTS =
      "select string_agg(concat_ws(' ', conrelid::regclass, conname, contype, convalidated, pg_get_constraintdef(oid)), '; ' order by conrelid::regclass::text, conname)"
          + " from pg_constraint where connamespace::regnamespace::text in ('public', '\"Odd.one\"') and contype in ('c', 'f', 'p', 'u'";

  static PgUri uri(PgServer server, PgPair pair) {
    return PgUri.parse(server.url(pair.database()))
        .withCredentials(server.user(), server.password());
  }

  static PGSimpleDataSource target(PgPair pair) {
    PGSimpleDataSource d = new PGSimpleDataSource();
    d.setUrl(pair.targetUrl());
    d.setUser(pair.targetServer().user());
    d.setPassword(pair.targetServer().password());
    return d;
  }

  static String value(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement();
        ResultSet r = s.executeQuery(sql)) {
      r.next();
      return r.getString(1);
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("moves")
  void theSchemaComesOverAndNoRow(Move move, @TempDir Path dir) throws SQLException, IOException {
    try (PgPair pair = move.begin();
        Connection s = pair.source();
        Connection t = pair.target()) {
      pair.executeSource(move.source < 18 ? SCHEMA : SCHEMA + SCHEMA_18);
      pair.executeSource(
          """
          alter table customer disable trigger all; insert into customer(email) values ('a');
          alter table customer enable trigger all; alter table customer enable always trigger two; alter table customer disable trigger off;
          insert into "Odd.one"."T x"(customer) values (1); refresh materialized view mv; analyze""");
      SchemaDump.Result dumped = move.dump(pair, dir);
      assertTrue(
          dumped.notes().stream().anyMatch(n -> n.contains("event trigger left out: et")),
          dumped.notes().toString());
      for (String file : List.of("roles.sql", "schema.sql")) { // user mappings may have passwords
        assertEquals(
            "rw-------",
            PosixFilePermissions.toString(Files.getPosixFilePermissions(dir.resolve(file))));
      }
      SchemaFiles files = SchemaFiles.read(dir);
      assertEquals(dumped.files(), files);

      assertEquals(
          4, move.restore(pair, files).triggers()); // one, two, three, and three's of the partition
      StageCheck check = StageCheck.of(s, t, null);
      assertEquals(move.source < 18 ? 3 : 7, check.tables().size(), check.toString());
      assertEquals(List.of(), check.missing());
      assertTrue(check.problems().isEmpty() && check.triggers().isEmpty(), check.toString());
      assertEquals("0", value(t, "select count(*) from customer"));
      assertEquals("0", value(t, "select count(*) from \"Odd.one\".\"T x\""));
      assertEquals("f", value(t, "select is_called from \"Odd.one\".\"T x_id_seq\""));
      assertEquals("0", value(t, "select count(*) from pg_publication"));
      assertEquals("0", value(t, "select count(*) from pg_stats where schemaname = 'public'"));
      // NOT NULL is one from 18 on
      String constraints = CONSTRAINTS + (move.source < 18 ? ")" : ", 'n')");
      assertEquals(value(s, constraints), value(t, constraints));
      if (move.source >= 18) {
        assertEquals(
            "v (a * 2)",
            value(
                t,
                "select concat(attgenerated, ' ', pg_get_expr(adbin, adrelid)) from pg_attribute join pg_attrdef on adrelid = attrelid and adnum = attnum"
                    + " where attrelid = 'virt'::regclass and attname = 'b'"));
      }
      pair.executeTarget("insert into customer(email) values ('x')"); // no trigger fires

      // again: nothing is done
      SchemaRestore.Result again = move.restore(pair, move.dump(pair, dir).files());
      assertTrue(again.already().isPresent());
      assertEquals(List.of(), again.notes());
      pair.executeSource("create table later(id int)");
      again = move.restore(pair, move.dump(pair, dir).files());
      assertTrue(again.already().isPresent() && again.notes().get(0).contains("doctor"));
      assertEquals(4, TargetTriggers.enable(t));
      assertEquals(
          "ADOOO",
          value(
              t,
              "select string_agg(tgenabled::text, '' order by tgenabled) from pg_trigger where not tgisinternal"));
      assertEquals("A", value(t, "select tgenabled from pg_trigger where tgname = 'two'"));
      assertEquals("D", value(t, "select tgenabled from pg_trigger where tgname = 'off'"));
      assertEquals(0, TargetTriggers.enable(t));
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("moves")
  void aFailureLeavesTheTargetAsItWas(Move move, @TempDir Path dir) throws SQLException {
    try (PgPair pair = move.begin();
        Connection t = pair.target()) {
      pair.executeSource("create table a(id int primary key); create table b(id int primary key)");
      pair.executeTarget("create table b(id int)");
      SchemaFiles files = move.dump(pair, dir).files();
      String m =
          assertThrows(BackfillException.class, () -> move.restore(pair, files)).getMessage();
      assertTrue(
          m.contains("psql failed: line ")
              && m.contains("relation \"b\" already exists")
              && m.contains("as it was before"),
          m);
      assertEquals("t", value(t, "select to_regclass('a') is null"));
      // the obstacle is gone: the same call goes through
      pair.executeTarget("drop table b");
      assertTrue(move.restore(pair, files).already().isEmpty());
      assertEquals("t", value(t, "select to_regclass('a') is not null"));
    }
  }

  /** A psql whose caller died goes on, and the next one meets what it commits. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("moves")
  void whatAnotherRestoredMeanwhileIsRestored(Move move, @TempDir Path dir) throws Exception {
    try (PgPair pair = move.begin();
        Connection t = pair.target();
        Connection other = pair.target()) {
      pair.executeSource("create table a(id int primary key)");
      SchemaFiles files = move.dump(pair, dir).files();
      pair.executeTarget(
          "create schema dualwrite; create table dualwrite.schema_restore (digest text primary key, restored timestamptz not null default now(), finished boolean not null default false)");
      other.setAutoCommit(false);
      try (Statement s = other.createStatement()) {
        s.execute("create table a(id int primary key)");
        s.execute("insert into dualwrite.schema_restore(digest) values ('" + files.digest() + "')");
      }
      CompletableFuture<SchemaRestore.Result> restore =
          CompletableFuture.supplyAsync(
              () -> {
                try {
                  return move.restore(pair, files);
                } catch (SQLException e) {
                  throw new IllegalStateException(e);
                }
              });
      while (!restore.isDone()
          && value(
                  t,
                  "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()")
              .equals("0")) {
        Thread.sleep(20);
      }
      other.commit();
      assertTrue(restore.get().already().isEmpty());
      assertEquals("t", value(t, "select bool_and(finished) from dualwrite.schema_restore"));
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("moves")
  void rolesComeOverOnce(Move move, @TempDir Path dir) throws SQLException, IOException {
    try (PgPair pair = move.begin();
        Connection t = pair.target()) {
      String role = "role_of_" + pair.database();
      pair.executeSource(
          "create role "
              + role
              + " login superuser createdb password 'secret'; create table a(id int primary key)");
      SchemaDump.Result d = move.dump(pair, dir);
      assertFalse(Files.readString(d.files().roles()).contains("SCRAM"), "a password was dumped");
      assertTrue(d.notes().stream().anyMatch(n -> n.contains(role + " had SUPERUSER")));
      SchemaRestore.Result r = move.restore(pair, d.files());
      assertTrue(r.notes().stream().noneMatch(n -> n.contains(role)), r.notes().toString());
      assertEquals(
          "f t t",
          value(
              t,
              "select concat_ws(' ', rolsuper, rolcreatedb, rolcanlogin) from pg_roles where rolname = '"
                  + role
                  + "'"));
      pair.executeTarget("drop role " + role);
      pair.executeSource("drop role " + role);
    }
  }

  /** Those of who restores, too; and what two have granted is what both have. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("moves")
  void rolesThatExistStayAsTheyAre(Move move, @TempDir Path dir) throws SQLException {
    try (PgPair pair = move.begin();
        Connection t = pair.target()) {
      String dba = "dba_of_" + pair.database();
      String team = "team_of_" + pair.database();
      String rds = "rdsapp_of_" + pair.database();
      pair.executeSource(
          """
          create role $d login password 'src'; create role $t; create role $r;
          comment on role $t is E'a\\n\\\\b\\n\\\\restrict c'; $grant;
          create table a(id int primary key); alter table a enable row level security; create policy p on a to $r"""
              .replace(
                  "$grant",
                  move.source < 16
                      ? "grant $t to $d with admin option"
                      : "grant $t to $d with admin true, inherit false, set false; set role $d;"
                          + "grant $t to $d with inherit true, set true; reset role")
              .replace("$d", dba)
              .replace("$t", team)
              .replace("$r", rds));
      pair.executeTarget(
          "create role $d login createrole createdb password 'tgt'; grant create on database $b to $d; alter schema public owner to $d"
              .replace("$d", dba)
              .replace("$b", pair.database()));
      SchemaOptions options = new SchemaOptions(Optional.of(move.tools.bin()), true, true, false);
      PGSimpleDataSource as = target(pair);
      as.setUser(dba);
      as.setPassword("tgt");
      SchemaRestore.Result r;
      try (Connection s = pair.source()) {
        SchemaFiles files =
            SchemaDump.dump(s, uri(pair.sourceServer(), pair), move.target, dir, options).files();
        r =
            SchemaRestore.restore(
                as, uri(pair.targetServer(), pair).withCredentials(dba, "tgt"), files, options);
      }
      assertTrue(
          r.notes().stream()
              .anyMatch(
                  n ->
                      n.matches(
                          "roles that exist on the target stay as they are:.* " + dba + "(,.*)?")),
          r.notes().toString());
      assertTrue(
          r.notes().stream().noneMatch(n -> n.contains("\"" + team) || n.contains("\"" + dba)),
          r.notes().toString());
      assertEquals(
          "t t",
          value(
              t,
              "select concat_ws(' ', rolcreaterole, rolcreatedb) from pg_roles where rolname = '"
                  + dba
                  + "'"));
      try (Connection c = as.getConnection()) { // by the password that it had
        assertEquals(
            "a\n\\b\n\\restrict c",
            value(c, "select shobj_description('" + team + "'::regrole, 'pg_authid')"));
        assertEquals(
            "t", value(c, "select pg_has_role('" + team + "', 'member with admin option')"));
        try (Statement st = c.createStatement()) {
          st.execute("set role " + team);
        }
      }
      pair.executeTarget("reassign owned by $d to postgres; drop owned by $d".replace("$d", dba));
      pair.execute("drop table a; drop role " + String.join(", ", team, rds, dba));
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("moves")
  void theScriptIsWhatTheCommandDoes(Move move, @TempDir Path dir)
      throws SQLException, IOException {
    try (PgPair pair = move.begin();
        Connection t = pair.target()) {
      pair.executeSource(SCHEMA);
      SchemaFiles files = move.dump(pair, dir).files();
      StringWriter text = new StringWriter();
      SchemaRestore.script(
          files, SchemaOptions.defaults(), List.of("one\ntwo; drop schema public"), text);
      assertTrue(text.toString().contains("\n-- Note: one\n--   two"), text.toString());
      Path script = dir.resolve("all.sql");
      Files.writeString(script, text.toString());
      move.tools.run(
          LibpqEnvironment.of(uri(pair.targetServer(), pair)),
          "psql",
          List.of("-X", "-q", "-f", script.toString()));
      assertEquals("t", value(t, "select to_regclass('\"Odd.one\".\"T x\"') is not null"));
      // the command sees that it is there, and does what is left
      SchemaRestore.Result r = move.restore(pair, files);
      assertTrue(r.already().isEmpty());
      assertEquals(4, r.triggers());
    }
  }

  /** A column's mark that PostgreSQL 17.12 makes is put there by hand. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("moves")
  void theServersOwnMarksOfColumnsStayBehind(Move move, @TempDir Path dir) throws SQLException {
    try (PgPair pair = move.begin();
        Connection t = pair.target()) {
      pair.executeSource(
          "create table \"o)dd\"(a int primary key, \"b SET (\" int, c text); alter table \"o)dd\" alter \"b SET (\" set (n_distinct = 5);"
              + "create function f() returns text language sql as $$select 'pg_attver=1);'$$;"
              + "set allow_system_table_mods = on; update pg_attribute set attoptions = array['pg_attver=27406960'] || coalesce(attoptions, '{}')"
              + " where attrelid = '\"o)dd\"'::regclass and attnum > 0");
      move.restore(pair, move.dump(pair, dir).files());
      assertEquals(
          "b SET ( {n_distinct=5}",
          value(
              t,
              "select string_agg(attname || ' ' || attoptions::text, '; ') from pg_attribute where attrelid = '\"o)dd\"'::regclass"));
      assertEquals("pg_attver=1);", value(t, "select f()"));
    }
  }

  /** In every place of a definition that keeps a text. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("moves")
  void carriageReturnsInDefinitionsStayWhatTheyAre(Move move, @TempDir Path dir)
      throws SQLException {
    try (PgPair pair = move.begin();
        Connection s = pair.source();
        Connection t = pair.target()) {
      pair.executeSource(
          """
          create table a(id int primary key, body text default E'a\\r\\nb' check (body !~ E'\\r[^\\n]'),
            g text generated always as (replace(body, E'\\r', E'\\n')) stored);
          create index i on a((body || E'\\r')) where body <> E'\\r\\n';
          create view v as select E'x\\ry' as x;
          create function f() returns text language sql as E'select 1;\\r\\nselect ''\\r''';
          comment on table a is E'one\\r\\ntwo\\rthree'""");
      String role = "role_of_" + pair.database();
      pair.executeSource("create role " + role + "; comment on role " + role + " is E'a\\rb'");
      move.restore(pair, move.dump(pair, dir).files());
      String definitions =
          "select string_agg(encode(convert_to(d, 'UTF8'), 'escape'), '; ' order by d) from ("
              + "select pg_get_constraintdef(oid) d from pg_constraint where conrelid = 'a'::regclass and contype = 'c'"
              + " union all select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = 'a'::regclass"
              + " union all select pg_get_indexdef('i'::regclass)"
              + " union all select pg_get_viewdef('v'::regclass)"
              + " union all select prosrc from pg_proc where proname = 'f'"
              + " union all select obj_description('a'::regclass)"
              + " union all select shobj_description('"
              + role
              + "'::regrole, 'pg_authid')) x";
      assertEquals(value(s, definitions), value(t, definitions));
      pair.executeTarget("insert into a(id) values (1)"); // the default and the constraint agree
      pair.executeTarget("drop role " + role);
      pair.executeSource("drop role " + role);
    }
  }

  @Test
  void anAddressOfIPv6IsToldAsLibpqReadsIt() {
    assertEquals(
        "::1,2001:db8::1,h",
        LibpqEnvironment.of(PgUri.parse("postgres://u@[::1],[2001:db8::1]:5433,h/d"))
            .get("PGHOST"));
    Installation installation = Installation.any().orElse(null);
    assumeTrue(installation != null, Installation.NONE);
    PgTools tools = PgTools.find(Optional.of(installation.bin()), 0, 0);
    try (PgServer server = installation.start("listen_addresses=localhost,::1", "fsync=off")) {
      PgUri uri = PgUri.parse("postgres://postgres@[::1]:" + server.port() + "/postgres");
      try (Connection c = DriverManager.getConnection(uri.jdbcUrl(), uri.credentials())) {
        assertTrue(c.isValid(0));
      } catch (SQLException e) {
        assumeTrue(false, "skipped: this machine has no address [::1]: " + e.getMessage());
      }
      assertEquals(
          "1", tools.run(LibpqEnvironment.of(uri), "psql", List.of("-XAtc", "select 1")).strip());
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("moves")
  void namesOfASourceInAnotherEncodingComeOver(Move move, @TempDir Path dir) throws SQLException {
    try (PgPair pair = move.begin();
        Connection t = pair.target()) {
      String database = pair.database() + "_latin=1";
      pair.executeSource(
          "create database \"" + database + "\" encoding latin1 template template0 locale 'C'");
      String role = "rôle_of_" + pair.database();
      PgUri uri =
          PgUri.parse(pair.sourceServer().url(database))
              .withCredentials(pair.sourceServer().user(), pair.sourceServer().password());
      SchemaFiles files;
      try (Connection s = pair.sourceServer().connect(database);
          Statement st = s.createStatement()) {
        st.execute("create table \"größe\"(id int primary key, v text default 'é')");
        st.execute("comment on table \"größe\" is 'naïve'");
        st.execute("create role \"" + role + "\"");
        files = SchemaDump.dump(s, uri, move.target, dir, move.options()).files();
        st.execute("drop role \"" + role + "\"");
      }
      move.restore(pair, files);
      assertEquals(
          "größe 'é'::text naïve",
          value(
              t,
              "select concat_ws(' ', c.relname, pg_get_expr(d.adbin, d.adrelid), obj_description(c.oid))"
                  + " from pg_class c join pg_attrdef d on d.adrelid = c.oid where c.relname = 'größe'"));
      pair.executeTarget("drop role \"" + role + "\""); // it is there
      pair.executeSource("drop database \"" + database + "\"");
    }
  }

  /** The list of an archive is text. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("moves")
  void whateverATableIsCalledItComesOverAndItsRowsStay(Move move, @TempDir Path dir)
      throws SQLException {
    try (PgPair pair = move.begin();
        Connection t = pair.target()) {
      List<String> names =
          List.of(
              "a COMMENT - EXTENSION b",
              "an EVENT TRIGGER - c",
              "1; 0 2 TABLE DATA x",
              "gr\"öße.*",
              "$a[b]+?",
              "zwei\nZeilen");
      List<String> sql = new ArrayList<>();
      for (String n : names) {
        for (String schema : List.of("DATA", n)) {
          String s = "\"" + schema.replace("\"", "\"\"") + "\"";
          String table = s + ".\"" + n.replace("\"", "\"\"") + "\"";
          sql.add(
              "create schema if not exists "
                  + s
                  + "; create table "
                  + table
                  + "(id serial primary key)");
          sql.add("insert into " + table + " default values");
        }
      }
      pair.executeSource(String.join(";", sql));
      move.restore(pair, move.dump(pair, dir).files());
      for (String n : names) {
        for (String schema : List.of("DATA", n)) {
          String table =
              "\"" + schema.replace("\"", "\"\"") + "\".\"" + n.replace("\"", "\"\"") + "\"";
          assertEquals("0", value(t, "select count(*) from " + table), table);
        }
      }
      assertEquals("0", value(t, "select count(*) from pg_sequences where last_value is not null"));
    }
  }

  @Test
  void programsThatAreTooOldAreNamed() {
    for (PgTools old : PgTools.installed()) {
      String m =
          assertThrows(
                  BackfillException.class,
                  () -> PgTools.find(Optional.of(old.bin()), old.major() + 1, old.major() + 1))
              .getMessage();
      assertTrue(
          m.contains("of PostgreSQL " + (old.major() + 1) + " or later are needed; --pg-bin")
              && m.contains(" has PostgreSQL " + old.major() + " in " + old.bin()),
          m);
    }
  }

  @Test
  void programsThatAreMissingAreNamed(@TempDir Path dir) {
    String m =
        assertThrows(BackfillException.class, () -> PgTools.find(Optional.of(dir), 15, 15))
            .getMessage();
    assertTrue(
        m.contains("--pg-bin " + dir + " has none") && m.contains("postgresql-client-15"), m);
    m =
        assertThrows(BackfillException.class, () -> PgTools.find(Optional.empty(), 99, 99))
            .getMessage();
    assertTrue(m.contains("PostgreSQL 99 or later"), m);
    assertTrue(
        assertThrows(BackfillException.class, () -> SchemaFiles.read(dir))
            .getMessage()
            .contains("dualwrite schema dump"));
  }
}
