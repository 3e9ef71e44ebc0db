package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tables that are changed by others, or behind a statement's text, while they are written to. */
class OthersDefinitionsTest {

  private static final String DDL =
      """
      create table t(id int primary key, v text, n int);
      create table other(id int primary key);
      insert into t select g, 'v', g from generate_series(1, 5) g;
      """;

  private static final String SET = "update t set n = n + 1 where n > ?";

  @ParameterizedTest
  @ValueSource(strings = {"alter table t drop column v", "alter table t rename column v to w"})
  void aColumnIsDroppedOrRenamedByOthers(String definition) throws SQLException {
    try (Fixture f = Fixture.shared(DDL).ready();
        Connection c = f.connect();
        Statement s = c.createStatement();
        PreparedStatement p = c.prepareStatement(SET)) {
      p.setInt(1, 0);
      assertEquals(5, p.executeUpdate());
      f.pair.execute(definition);
      assertEquals(5, p.executeUpdate());
      assertEquals(1, s.executeUpdate("insert into t(id, n) values (10, abs(-3))"));
      f.pair.execute("alter table t add column x int; alter table other add column x int");
      p.executeUpdate();
      f.pair.execute("alter table t drop column x");
      p.addBatch();
      p.addBatch();
      assertEquals(2, p.executeBatch().length);
      f.assertEqual();
      assertEquals(0, f.ds.status().suspects().size());
    }
  }

  /** What was done before would be lost: it fails as the primary says, and the next one works. */
  @Test
  void aTransactionThatMeetsItFails() throws SQLException {
    try (Fixture f = Fixture.shared(DDL).ready();
        Connection c = f.connect();
        Statement s = c.createStatement();
        PreparedStatement p = c.prepareStatement(SET)) {
      p.setInt(1, 0);
      p.executeUpdate();
      c.setAutoCommit(false);
      s.executeUpdate("insert into other values (1)");
      f.pair.execute("alter table t drop column v");
      assertEquals("42703", assertThrows(SQLException.class, p::executeUpdate).getSQLState());
      c.rollback();
      s.executeUpdate("insert into other values (2)");
      assertEquals(5, p.executeUpdate());
      c.commit();
      f.assertEqual();
    }
  }

  @Test
  void aSavepointOfTheDriversSavesTheTransaction() throws SQLException {
    try (Fixture f = Fixture.shared(DDL)) {
      f.open(b -> b.source(f.pair.sourceUrl() + "?autosave=always", "postgres", "postgres"))
          .ready();
      try (Connection c = f.connect();
          Statement s = c.createStatement();
          PreparedStatement p = c.prepareStatement(SET)) {
        p.setInt(1, 0);
        p.executeUpdate();
        c.setAutoCommit(false);
        s.executeUpdate("insert into other values (1)");
        f.pair.execute("alter table t drop column v");
        assertEquals(5, p.executeUpdate());
        c.commit();
        f.assertEqual();
        assertEquals("1", Fixture.value(c, "select count(*) from other"));
      }
    }
  }

  @Test
  void theApplicationsOwnMistakeIsNotTakenForIt() throws SQLException {
    try (Fixture f = Fixture.shared(DDL).ready();
        Connection c = f.connect();
        PreparedStatement p = c.prepareStatement("update t set n = 1 where nosuch = 1")) {
      int before = f.ds.writer().catalogVersion();
      assertEquals("42703", assertThrows(SQLException.class, p::executeUpdate).getSQLState());
      assertEquals(before, f.ds.writer().catalogVersion());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "alter table t rename column v to w | select string_agg(attname, ',' order by attnum) from pg_attribute where attrelid = 't'::regclass",
        "alter table t alter column v set not null | select bool_and(attnotnull) from pg_attribute where attrelid = 't'::regclass and attname = 'v'",
        "alter table t cluster on t_n | select indisclustered from pg_index where indexrelid = 't_n'::regclass",
        "create or replace view seen as select 2 as n | select pg_get_viewdef('seen'::regclass)",
        "alter policy p on t using (true) | select pg_get_expr(polqual, polrelid) from pg_policy where polname = 'p'",
      })
  void aRoutineChangesADefinition(String definition, String question) throws SQLException {
    try (Fixture f =
            Fixture.shared(
                    15,
                    DDL
                        + "create index t_n on t(n); create view seen as select 1 as n; create policy p on t using (false)",
                    b -> {})
                .ready();
        Connection source = f.pair.source();
        Connection target = f.pair.target();
        Connection c = f.connect();
        Statement s = c.createStatement();
        PreparedStatement p = c.prepareStatement(SET)) {
      p.setInt(1, 0);
      p.executeUpdate();
      String before = Fixture.value(source, question);
      s.execute("do $$ begin " + definition + "; end $$");
      assertNotEquals(before, Fixture.value(source, question));
      assertEquals(5, p.executeUpdate());
      f.assertEqual();
      assertEquals(Fixture.value(source, question), Fixture.value(target, question));
    }
  }
}
