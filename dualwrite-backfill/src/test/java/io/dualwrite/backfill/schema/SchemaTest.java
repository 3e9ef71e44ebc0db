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
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.postgresql.ds.PGSimpleDataSource;

/** On servers for which pg_dump of their version is installed. */
class SchemaTest {

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

  private static PgPair pair() {
    Optional<PgPair> pair = PgPair.local();
    assumeTrue(pair.isPresent(), Installation.NONE);
    return pair.get();
  }

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

  static SchemaDump.Result dump(PgPair pair, Path dir) throws SQLException {
    try (Connection c = pair.source()) {
      return SchemaDump.dump(
          c,
          uri(pair.sourceServer(), pair),
          c.getMetaData().getDatabaseMajorVersion(),
          dir,
          SchemaOptions.defaults());
    }
  }

  static SchemaRestore.Result restore(PgPair pair, SchemaFiles files) throws SQLException {
    return SchemaRestore.restore(
        target(pair), uri(pair.targetServer(), pair), files, SchemaOptions.defaults());
  }

  static String value(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement();
        ResultSet r = s.executeQuery(sql)) {
      r.next();
      return r.getString(1);
    }
  }

  @Test
  void theSchemaComesOverAndNoRow(@TempDir Path dir) throws SQLException, IOException {
    try (PgPair pair = pair();
        Connection s = pair.source();
        Connection t = pair.target()) {
      pair.executeSource(SCHEMA);
      pair.executeSource(
          """
          alter table customer disable trigger all; insert into customer(email) values ('a');
          alter table customer enable trigger all; alter table customer enable always trigger two; alter table customer disable trigger off;
          insert into "Odd.one"."T x"(customer) values (1); refresh materialized view mv""");
      SchemaDump.Result dumped = dump(pair, dir);
      assertTrue(
          dumped.notes().stream().anyMatch(n -> n.contains("event trigger left out: et")),
          dumped.notes().toString());
      assertEquals(
          "rw-------",
          PosixFilePermissions.toString(Files.getPosixFilePermissions(dir.resolve("roles.sql"))));
      SchemaFiles files = SchemaFiles.read(dir);
      assertEquals(dumped.files(), files);

      assertEquals(
          4, restore(pair, files).triggers()); // one, two, three, and three's of the partition
      StageCheck check = StageCheck.of(s, t, null);
      assertEquals(3, check.tables().size(), check.toString());
      assertEquals(List.of(), check.missing());
      assertTrue(check.problems().isEmpty() && check.triggers().isEmpty(), check.toString());
      assertEquals("0", value(t, "select count(*) from customer"));
      assertEquals("0", value(t, "select count(*) from \"Odd.one\".\"T x\""));
      assertEquals("f", value(t, "select is_called from \"Odd.one\".\"T x_id_seq\""));
      assertEquals("0", value(t, "select count(*) from pg_publication"));
      pair.executeTarget("insert into customer(email) values ('x')"); // no trigger fires

      // again: nothing is done
      SchemaRestore.Result again = restore(pair, dump(pair, dir).files());
      assertTrue(again.already().isPresent());
      assertEquals(List.of(), again.notes());
      pair.executeSource("create table later(id int)");
      again = restore(pair, dump(pair, dir).files());
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

  @Test
  void aFailureLeavesTheTargetAsItWas(@TempDir Path dir) throws SQLException {
    try (PgPair pair = pair();
        Connection t = pair.target()) {
      pair.executeSource("create table a(id int primary key); create table b(id int primary key)");
      pair.executeTarget("create table b(id int)");
      SchemaFiles files = dump(pair, dir).files();
      String m = assertThrows(BackfillException.class, () -> restore(pair, files)).getMessage();
      assertTrue(
          m.contains("psql failed: line ")
              && m.contains("relation \"b\" already exists")
              && m.contains("as it was before"),
          m);
      assertEquals("t", value(t, "select to_regclass('a') is null"));
      // the obstacle is gone: the same call goes through
      pair.executeTarget("drop table b");
      assertTrue(restore(pair, files).already().isEmpty());
      assertEquals("t", value(t, "select to_regclass('a') is not null"));
    }
  }

  @Test
  void rolesComeOverOnce(@TempDir Path dir) throws SQLException, IOException {
    try (PgPair pair = pair();
        Connection t = pair.target()) {
      String role = "role_of_" + pair.database();
      pair.executeSource(
          "create role "
              + role
              + " login superuser createdb password 'secret'; create table a(id int primary key)");
      SchemaDump.Result d = dump(pair, dir);
      assertFalse(Files.readString(d.files().roles()).contains("SCRAM"), "a password was dumped");
      assertTrue(d.notes().stream().anyMatch(n -> n.contains(role + " had SUPERUSER")));
      assertEquals(List.of(), restore(pair, d.files()).notes());
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

  @Test
  void theScriptIsWhatTheCommandDoes(@TempDir Path dir) throws SQLException, IOException {
    try (PgPair pair = pair();
        Connection t = pair.target()) {
      pair.executeSource(SCHEMA);
      SchemaFiles files = dump(pair, dir).files();
      StringWriter text = new StringWriter();
      SchemaRestore.script(files, SchemaOptions.defaults(), text);
      Path script = dir.resolve("all.sql");
      Files.writeString(script, text.toString());
      PgTools.find(Optional.empty(), files.sourceVersion(), files.sourceVersion())
          .run(
              LibpqEnvironment.of(uri(pair.targetServer(), pair)),
              "psql",
              List.of("-X", "-q", "-f", script.toString()));
      assertEquals("t", value(t, "select to_regclass('\"Odd.one\".\"T x\"') is not null"));
      // the command sees that it is there, and does what is left
      SchemaRestore.Result r = restore(pair, files);
      assertTrue(r.already().isEmpty());
      assertEquals(4, r.triggers());
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
