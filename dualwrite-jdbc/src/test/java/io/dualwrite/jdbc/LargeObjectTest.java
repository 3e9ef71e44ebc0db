package io.dualwrite.jdbc;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.config.Setting;
import java.io.ByteArrayInputStream;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import javax.sql.XADataSource;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.postgresql.PGConnection;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;

/** Large objects are refused, or left to the primary, as the operator says; never half mirrored. */
class LargeObjectTest {

  private static final byte[] CONTENT = "content".getBytes(UTF_8);

  @Test
  void refusedByDefault() throws SQLException {
    try (Fixture f = Fixture.shared("create table t(id int primary key, o oid)").ready();
        Connection c = f.connect();
        Statement s = c.createStatement()) {
      s.execute("insert into t values (1, 1)");
      c.setAutoCommit(false);
      try (PreparedStatement p = c.prepareStatement("insert into t values (2, ?)");
          ResultSet r = s.executeQuery("select o from t")) {
        assertTrue(r.next());
        Executable[] doors = {
          () -> p.setBlob(1, new ByteArrayInputStream(CONTENT)),
          () -> p.setBlob(1, (java.sql.Blob) null),
          () -> p.setClob(1, (java.sql.Clob) null),
          () -> r.getBlob(1),
          () -> r.getClob("o"),
          () -> c.unwrap(PGConnection.class).getLargeObjectAPI()
        };
        for (Executable door : doors) {
          assertEquals(Refusal.SQLSTATE, assertThrows(SQLException.class, door).getSQLState());
        }
        assertEquals(doors.length, f.counter("refused.large-object"));
      }
      c.rollback();
      f.assertEqual();
      assertThrows(SQLException.class, () -> f.ds.unwrap(XADataSource.class));
    }
  }

  @Test
  void leftToThePrimaryIfTheOperatorWants() throws SQLException {
    try (Fixture f = Fixture.shared("create table t(id int primary key, o oid)")) {
      f.open(b -> b.set(Setting.POLICY_LARGE_OBJECT, "primary-only")).ready();
      try (Connection c = f.connect()) {
        c.setAutoCommit(false);
        try (PreparedStatement p = c.prepareStatement("insert into t values (1, ?)")) {
          p.setBlob(1, new ByteArrayInputStream(CONTENT), CONTENT.length);
          assertEquals(1, p.executeUpdate());
        }
        LargeObjectManager m = c.unwrap(PGConnection.class).getLargeObjectAPI();
        long oid = m.createLO();
        try (LargeObject o = m.open(oid)) {
          o.write(CONTENT);
        }
        try (PreparedStatement p = c.prepareStatement("insert into t values (2, ?)")) {
          p.setLong(1, oid);
          p.executeUpdate();
        }
        c.commit();
        try (Statement s = c.createStatement();
            ResultSet r = s.executeQuery("select o from t order by id")) {
          for (int i = 0; i < 2; i++) {
            assertTrue(r.next());
            assertArrayEquals(CONTENT, r.getBlob(1).getBytes(1, CONTENT.length));
          }
        }
        c.commit();
      }
      assertEquals(4, f.counter("primary-only.large-object"));
      f.assertEqual(); // of the rows
    }
  }
}
