package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.config.Setting;
import io.dualwrite.control.Side;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** A change of roles that fails half way, and what each side is like afterwards. */
class CutoverFailureTest {

  private static final String WATCHED =
      "create table watched(id int primary key, v int); create table other(id int primary key);"
          + " create function stamp() returns trigger language plpgsql as 'begin new.v := 1; return new; end';"
          + " create trigger stamp before insert on watched for each row execute function stamp()";

  @Test
  void triggersStayOnIfTheTargetDiesWhileItsOwnAreSwitched() throws Exception {
    try (Fixture f = Fixture.own(WATCHED).ready()) {
      Future<CutoverReport> cutover;
      ExecutorService thread = Executors.newSingleThreadExecutor();
      try (Connection t = f.pair.target();
          Statement s = t.createStatement()) {
        t.setAutoCommit(false);
        s.execute("lock table watched in share update exclusive mode"); // as VACUUM does
        cutover = thread.submit(() -> f.ds.cutover(Duration.ofSeconds(60)));
        Fixture.await("the cutover waits for the lock", () -> waits(t, "watched"));
        f.pair.targetServer().kill();
      }
      assertThrows(ExecutionException.class, () -> cutover.get(60, TimeUnit.SECONDS));
      thread.shutdown();
      assertEquals(Side.SOURCE, f.ds.status().roles().primary());
      f.execute("insert into watched values (1)");
      assertEquals("O", enabled(f.pair.source()));
      assertEquals("1", onSource(f, "select v from watched"));
      f.pair.targetServer().restart();
      f.assertEqual();
    }
  }

  @Test
  void triggersOfThePrimaryAreOnBeforeTheFirstWriteAndWithoutTheMirror() throws SQLException {
    try (Fixture f = Fixture.own(WATCHED).ready()) {
      f.ds.close();
      f.pair.executeSource(
          "create schema dualwrite;"
              + " create table dualwrite.disabled_trigger(table_schema text, table_name text, trigger_name text, enabled \"char\", primary key (table_schema, table_name, trigger_name));"
              + " insert into dualwrite.disabled_trigger values ('public', 'watched', 'stamp', 'O');"
              + " alter table watched disable trigger stamp");
      f.pair.targetServer().stop();
      f.open(b -> {});
      f.execute("insert into watched values (1)");
      assertEquals("1", onSource(f, "select v from watched"));
    }
  }

  @Test
  void anotherProcessThatComesLateTouchesNothing() throws Exception {
    try (Fixture f = Fixture.shared(WATCHED).ready()) {
      Path second = Files.createTempDirectory("dualwrite-journal");
      try (DualWriteDataSource late =
          DualWriteDataSource.builder()
              .source(f.pair.sourceUrl(), "postgres", "postgres")
              .target(f.pair.targetUrl(), "postgres", "postgres")
              .journal(second)
              .set(Setting.JOURNAL_MIN_FREE_BYTES, "1MB")
              .build()) {
        Fixture.await("catalogs compared", () -> late.writer().ready());
        f.pair.executeTarget("update dualwrite.control set epoch = 1"); // a third one's cutover
        SQLException e =
            assertThrows(SQLException.class, () -> late.cutover(Duration.ofSeconds(10)));
        assertTrue(e.getMessage().contains("another process"), e.getMessage());
        assertEquals("O", enabled(f.pair.source()));
        assertEquals("D", enabled(f.pair.target()));
      }
    }
  }

  @Test
  void theDeadlineHoldsWhileAVacuumHasTheTable() throws Exception {
    try (Fixture f = Fixture.shared(WATCHED).ready()) {
      ExecutorService thread = Executors.newSingleThreadExecutor();
      for (Connection side : new Connection[] {f.pair.source(), f.pair.target()}) {
        try (side;
            Statement s = side.createStatement()) {
          side.setAutoCommit(false);
          s.execute("lock table watched in share update exclusive mode");
          Future<CutoverReport> cutover = thread.submit(() -> f.ds.cutover(Duration.ofSeconds(2)));
          ExecutionException e =
              assertThrows(ExecutionException.class, () -> cutover.get(60, TimeUnit.SECONDS));
          assertTrue(e.getMessage().contains("within 2000 ms"), e.getMessage());
          f.execute("insert into other select count(*) from other");
        }
      }
      thread.shutdown();
      assertEquals("O", enabled(f.pair.source()));
      assertEquals("D", enabled(f.pair.target()));
      assertEquals(Side.TARGET, f.ds.cutover(Duration.ofSeconds(20)).roles().primary());
      f.assertEqual();
    }
  }

  private static boolean waits(Connection c, String table) throws SQLException {
    return Fixture.value(
            c,
            "select count(*) from pg_locks where not granted and relation = '"
                + table
                + "'::regclass")
        .equals("1");
  }

  private static String enabled(Connection side) throws SQLException {
    try (side) {
      return Fixture.value(
          side, "select string_agg(tgenabled::text, '') from pg_trigger where tgname = 'stamp'");
    }
  }

  private static String onSource(Fixture f, String query) throws SQLException {
    try (Connection c = f.pair.source()) {
      return Fixture.value(c, query);
    }
  }
}
