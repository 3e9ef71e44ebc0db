package io.dualwrite.embedded;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class PgServerTest {

  @Test
  void committedRowsSurviveAKillAndTheServerComesBackOnItsPort() throws SQLException {
    try (PgPair pair = PgPair.own()) {
      pair.execute("create table t(id int primary key)");
      try (Connection c = pair.source();
          Statement s = c.createStatement()) {
        s.execute("insert into t values (1)");
        pair.sourceServer().kill();
        assertThrows(SQLException.class, () -> s.execute("insert into t values (2)"));
      }
      assertThrows(SQLException.class, pair::source);
      pair.sourceServer().restart();
      try (Connection c = pair.source();
          Statement s = c.createStatement();
          ResultSet r = s.executeQuery("select count(*) from t")) {
        r.next();
        assertEquals(1, r.getInt(1));
      }
    }
  }

  /** As on a disk that is busy: the last checkpoint lasts longer than the library waits. */
  @Test
  void aServerThatIsSlowToStopHasStopped() throws Exception {
    try (PgServer server = PgServer.embedded()) {
      long checkpointer = checkpointer(server);
      run("kill", "-STOP", checkpointer);
      Thread later =
          new Thread(
              () -> {
                try {
                  Thread.sleep(6_000); // the fault itself, not a wait for anything
                  run("kill", "-CONT", checkpointer);
                } catch (Exception e) {
                  throw new IllegalStateException(e);
                }
              });
      later.start();
      server.stop();
      assertFalse(ProcessHandle.of(checkpointer).filter(ProcessHandle::isAlive).isPresent());
      later.join();
      server.restart();
    }
  }

  private static long checkpointer(PgServer server) throws SQLException {
    try (Connection c = server.connect("postgres");
        Statement s = c.createStatement();
        ResultSet r =
            s.executeQuery(
                "select pid from pg_stat_activity where backend_type = 'checkpointer'")) {
      r.next();
      return r.getLong(1);
    }
  }

  private static void run(String program, String signal, long pid) throws Exception {
    assertEquals(0, new ProcessBuilder(program, signal, Long.toString(pid)).start().waitFor());
  }

  @ParameterizedTest
  @MethodSource("io.dualwrite.embedded.PgServer#majors")
  void theServerIsOfTheMajorVersionThatWasAskedFor(int major) throws SQLException {
    PgPair pair = PgPair.shared(major);
    try (Connection s = pair.source();
        Connection t = pair.target()) {
      assertEquals(major, s.getMetaData().getDatabaseMajorVersion());
      assertEquals(major, t.getMetaData().getDatabaseMajorVersion());
    }
  }

  @Test
  void missingBinariesAreSaidToBeMissing() {
    assertTrue(
        assertThrows(IllegalStateException.class, () -> PgServer.start(7))
            .getMessage()
            .contains("no binaries of PostgreSQL 7"));
  }
}
