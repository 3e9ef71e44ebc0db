package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.embedded.TcpProxy;
import io.dualwrite.embedded.TcpProxy.Direction;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import org.junit.jupiter.api.Test;

/** G2: the connection is gone while a COMMIT is asked or answered, on either side. */
class LostAnswerTest {

  private static final String DDL =
      "create table t(id int primary key, v text); create table line(n int, at timestamptz default clock_timestamp());";

  /** So that the text COMMIT is sent every time, and not only for the first time. */
  private static String url(TcpProxy proxy, Fixture f) {
    return "jdbc:postgresql://localhost:"
        + proxy.port()
        + "/"
        + f.pair.database()
        + "?prepareThreshold=0";
  }

  private static void write(Connection c, int n) throws SQLException {
    c.setAutoCommit(false);
    try (Statement s = c.createStatement()) {
      s.executeUpdate("insert into t values (" + n + ", 'new')");
      s.executeUpdate("insert into line(n) values (" + n + ")");
    }
  }

  /**
   * The application learns what the driver would have told it, and what became of the transaction
   * is the same on both sides: committed where only the answer was lost, aborted where the question
   * was.
   */
  @Test
  void theSources() throws SQLException {
    for (Direction direction : Direction.values()) {
      try (Fixture f = Fixture.shared(DDL);
          TcpProxy proxy = new TcpProxy("localhost", f.pair.sourceServer().port())) {
        f.open(b -> b.source(url(proxy, f), "postgres", "postgres")).ready();
        try (Connection c = f.connect()) {
          write(c, 1);
          proxy.onFirst(direction, "COMMIT", proxy::cut);
          assertEquals("08006", assertThrows(SQLException.class, c::commit).getSQLState());
        }
        f.assertEqual();
        int committed = direction == Direction.TO_CLIENT ? 1 : 0;
        try (Connection t = f.pair.target()) {
          Fixture.contents(t).forEach((n, rows) -> assertEquals(committed, rows.size(), n));
        }
        assertEquals(1, f.counter("commit.outcome-unknown"));
        assertEquals(List.of(), f.ds.status().suspects());
      }
    }
  }

  /** The application learns nothing of it, and rows without a key arrive exactly once. */
  @Test
  void theTargets() throws SQLException {
    for (Direction direction : Direction.values()) {
      try (Fixture f = Fixture.shared(DDL);
          TcpProxy proxy = new TcpProxy("localhost", f.pair.targetServer().port())) {
        f.openTo(url(proxy, f), b -> {}).ready();
        try (Connection c = f.connect()) {
          int n = 0;
          while (f.counter("units.left-to-replay") == 0) { // it may have been another one's COMMIT
            assertTrue(n < 100, "no COMMIT was lost");
            write(c, ++n);
            proxy.onFirst(direction, "COMMIT", proxy::cut);
            c.commit();
            f.assertDrained();
          }
        }
        f.assertEqual();
        assertEquals(List.of(), f.ds.status().suspects());
      }
    }
  }
}
