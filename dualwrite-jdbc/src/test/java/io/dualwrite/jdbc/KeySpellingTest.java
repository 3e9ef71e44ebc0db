package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.OffsetDateTime;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

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
}
