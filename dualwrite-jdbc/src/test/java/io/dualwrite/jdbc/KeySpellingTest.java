package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.dualwrite.embedded.TcpProxy;
import java.io.StringReader;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.OffsetDateTime;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.postgresql.PGConnection;

/**
 * A key whose text is not always the same: the one that a parameter gave and the one that the
 * server gives.
 */
class KeySpellingTest {

  private Fixture fixture;

  @BeforeEach
  void start() throws SQLException {
    fixture =
        Fixture.shared(
                """
                create table at_time(t timestamptz primary key, v int);
                create table priced(p numeric(10, 2) primary key, v int);
                create table floats(f real primary key, v int);
                create table cut(t timestamptz(3), n numeric(10, 2), s varchar(5), v int, primary key (t, n, s));
                create table padded(k char(4) primary key, v int);
                """)
            .ready();
  }

  @AfterEach
  void stop() {
    fixture.close();
  }

  private void twice(String table, Object... keys) throws SQLException {
    try (Connection c = fixture.ds.getConnection()) {
      c.setAutoCommit(false);
      try (PreparedStatement insert =
              c.prepareStatement("insert into " + table + " values (?, 1)");
          Statement update = c.createStatement()) {
        for (Object k : keys) {
          insert.setObject(1, k);
          insert.executeUpdate();
        }
        update.executeUpdate("update " + table + " set v = 2");
      }
      c.commit();
    }
    fixture.assertEqual();
    assertEquals(0, fixture.counter("units.left-to-replay"), table);
  }

  @Test
  void aTransactionThatInsertsARowAndUpdatesIt() throws SQLException {
    twice("priced", new BigDecimal("1"), new BigDecimal("2.5"));
    twice("floats", 1.0f, 1e10f);
    twice(
        "at_time",
        OffsetDateTime.parse("2026-01-01T00:00:00+05:30"),
        OffsetDateTime.parse("2026-01-01T00:00:00.500-03:00"));
  }

  /** The primary keeps less of them than was given. */
  @Test
  void keysThatThePrimaryCutsAreReplayed() throws Exception {
    OffsetDateTime t = OffsetDateTime.parse("2026-01-01T00:00:00.678912+05:30");
    try (TcpProxy proxy = new TcpProxy("localhost", fixture.pair.targetServer().port())) {
      fixture
          .openTo(
              fixture.pair.targetUrl().replaceFirst(":\\d+/", ":" + proxy.port() + "/"), b -> {})
          .ready();
      proxy.refuse();
      proxy.cut();
      try (Connection c = fixture.ds.getConnection();
          PreparedStatement s = c.prepareStatement("insert into cut values (?, ?, ?, 1)")) {
        s.setObject(1, t);
        s.setBigDecimal(2, new BigDecimal("1.234"));
        s.setString(3, "abcde  ");
        s.executeUpdate();
        c.unwrap(PGConnection.class)
            .getCopyAPI()
            .copyIn(
                "copy cut from stdin",
                new StringReader("2026-01-01 00:00:00.678912+00\t1.236\tabcde \t2\n"));
      }
      proxy.resume();
      fixture.assertEqual();
    }
  }

  @Test
  void keysThatAreNotEqualAreTwo() throws Exception {
    try (Connection c = fixture.ds.getConnection();
        Statement s = c.createStatement()) {
      s.executeUpdate("insert into padded values ('a', 1), (E'a\\t', 2), (E'a\\n', 3)");
      s.executeUpdate(
          "insert into at_time values ('2026-01-01 00:00:00.123456Z', 1), ('2026-01-01 00:00:00.123457Z', 2)");
      s.executeUpdate("delete from at_time");
      c.unwrap(PGConnection.class)
          .getCopyAPI()
          .copyIn(
              "copy at_time from stdin",
              new StringReader(
                  "2026-01-01 00:00:00.123456Z\t1\n2026-01-01 00:00:00.1234567Z\t2\n"));
    }
    fixture.assertEqual();
  }
}
