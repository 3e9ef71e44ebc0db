package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import org.junit.jupiter.api.Test;

class DeadMirrorTest {

  private static void write(Connection c, int from, int count) throws SQLException {
    try (PreparedStatement s = c.prepareStatement("insert into t values (?)")) {
      for (int i = from; i < from + count; i++) {
        s.setInt(1, i);
        s.executeUpdate();
      }
    }
  }

  /** However many commits went well just before: only a handful waits for a dead target. */
  @Test
  void isLeftAloneAfterAFewCommits() throws SQLException {
    try (Fixture f = Fixture.own("create table t(id int primary key)").ready();
        Connection c = f.connect()) {
      write(c, 0, 200);
      assertEquals("closed", f.ds.status().breaker());
      f.pair.targetServer().kill();
      write(c, 1000, 10);
      assertEquals("open", f.ds.status().breaker());
      f.pair.targetServer().restart();
      f.assertEqual();
    }
  }
}
