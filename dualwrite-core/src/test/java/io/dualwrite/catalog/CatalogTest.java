package io.dualwrite.catalog;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.dualwrite.embedded.PgPair;
import io.dualwrite.embedded.PgServer;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What is known of a database, and how long. */
class CatalogTest {

  private static final TableName T = new TableName("public", "t");

  private final Catalog catalog = new Catalog();
  private PgPair pair;

  @BeforeEach
  void start() throws SQLException {
    pair = PgPair.shared();
    pair.executeSource(
        "create table t(id int primary key); create function f() returns int stable language sql as 'select 1';"
            + " create view v as select f()");
  }

  @AfterEach
  void stop() {
    pair.close();
  }

  /** What happens between a query's answer and its use. */
  @FunctionalInterface
  private interface Meanwhile {
    void happens() throws SQLException;
  }

  /** A connection whose next prepared query is answered just before something else happens. */
  private static Connection with(Connection real, Meanwhile meanwhile) {
    return proxy(
        Connection.class,
        real,
        answer ->
            answer instanceof PreparedStatement s
                ? proxy(
                    PreparedStatement.class,
                    s,
                    rows -> {
                      if (rows instanceof ResultSet) {
                        meanwhile.happens();
                      }
                      return rows;
                    })
                : answer);
  }

  @FunctionalInterface
  private interface Change {
    Object of(Object answer) throws SQLException;
  }

  private static <T> T proxy(Class<T> type, T real, Change change) {
    return type.cast(
        Proxy.newProxyInstance(
            type.getClassLoader(),
            new Class<?>[] {type},
            (p, method, args) -> {
              try {
                return change.of(method.invoke(real, args));
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            }));
  }

  /** Whoever reads while something is changed keeps what it read to itself. */
  @Test
  void whatWasReadDuringAChangeIsForgottenWithIt() throws SQLException {
    try (Connection c = pair.source()) {
      boolean[] done = {false};
      Meanwhile change =
          () -> {
            if (!done[0]) {
              done[0] = true;
              pair.executeSource(
                  "alter function f() volatile; alter table t add column v text default f()::text");
              catalog.invalidate();
            }
          };
      assertFalse(catalog.functionIsVolatile(with(c, change), "f"));
      assertTrue(done[0]);
      assertTrue(catalog.functionIsVolatile(c, "f"));

      catalog.invalidate();
      done[0] = false;
      pair.executeSource("alter function f() stable; alter table t drop column v");
      assertEquals(Set.of(), catalog.writingViews(with(c, change)));
      assertEquals(Set.of("v"), catalog.writingViews(c));

      for (int query = 1; done[0]; query++) { // a table is read by several
        pair.executeSource("alter function f() stable; alter table t drop column v");
        catalog.invalidate();
        done[0] = false;
        int[] left = {query};
        Meanwhile later =
            () -> {
              if (--left[0] == 0) {
                change.happens();
              }
            };
        catalog.table(with(c, later), T);
        assertEquals(
            done[0] ? 2 : 1, catalog.table(c, T).orElseThrow().columns().size(), "query " + query);
      }
    }
  }

  /** Unique indexes by which a row can be neither found again nor upserted. */
  @Test
  void whatPostgres18CallsUniqueIsNotAlwaysAKey() throws SQLException {
    assumeTrue(PgServer.majors().contains(18));
    try (PgPair newer = PgPair.shared(18);
        Connection c = newer.source()) {
      newer.executeSource(
          "create table t(a int unique, b int not null unique); insert into t values (null, 1);"
              + "alter table t add constraint later not null a not valid;"
              + "create table w(k int4range, during int4range, id int unique not null, primary key (k, during without overlaps))");
      Table t = catalog.table(c, T).orElseThrow();
      assertEquals(List.of("b"), t.key());
      assertEquals(List.of(List.of("a")), t.uniques());
      Table w = catalog.table(c, new TableName("public", "w")).orElseThrow();
      assertEquals(List.of("id"), w.key());
      assertEquals(List.of(), w.uniques());
      newer.executeSource(
          "delete from t; alter table t validate constraint later; alter table w drop column id");
      catalog.invalidate();
      assertEquals(List.of("a"), catalog.table(c, T).orElseThrow().key());
      assertFalse(catalog.table(c, w.name()).orElseThrow().keyed());
    }
  }

  /** The proof is true as long as nothing of the table, its columns and its triggers changes. */
  @Test
  void aProofFailsAfterAnyChangeOfTheTable() throws SQLException {
    pair.executeSource(
        "create function g() returns trigger language plpgsql as 'begin return new; end'");
    try (Connection c = pair.source()) {
      for (String change :
          new String[] {
            "alter table t add column v varchar(5) not null default 'x', add column w int",
            "alter table t alter v type varchar(9)",
            "alter table t alter v set default 'y'",
            "alter table t alter v drop default",
            "alter table t alter v drop not null",
            "create trigger b before insert on t for each row execute function g()",
            "create trigger a before insert on t for each row execute function g()",
            "alter table t disable trigger b",
            "drop trigger b on t",
            "alter table t rename v to u",
            "alter table t drop column u",
            "alter table t enable row level security",
            "alter table t replica identity full"
          }) {
        String proof = Catalog.proof(catalog.table(c, T).orElseThrow());
        assertTrue(says(c, proof).endsWith(" t"), "before " + change);
        pair.executeSource("vacuum analyze t");
        assertTrue(says(c, proof).endsWith(" t"), "after VACUUM, before " + change);
        pair.executeSource(change);
        assertTrue(says(c, proof).endsWith(" f"), change);
        catalog.invalidate();
      }
      String proof = Catalog.proof(catalog.table(c, T).orElseThrow());
      pair.executeSource("drop table t; create table t(id int primary key)");
      assertTrue(says(c, proof).endsWith(" "), "another table");
    }
  }

  private static String says(Connection c, String proof) throws SQLException {
    try (Statement s = c.createStatement();
        ResultSet r = s.executeQuery("select " + proof)) {
      r.next();
      return r.getString(1);
    }
  }
}
