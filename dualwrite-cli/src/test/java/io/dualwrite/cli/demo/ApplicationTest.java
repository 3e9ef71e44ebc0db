package io.dualwrite.cli.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.zaxxer.hikari.HikariDataSource;
import io.dualwrite.embedded.PgPair;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

class ApplicationTest {

  @Test
  void runsOnOneDatabaseWithoutAnyErrorAndChangesWhatWasThere() throws SQLException {
    try (PgPair pair = PgPair.shared();
        HikariDataSource pool = new HikariDataSource()) {
      pool.setJdbcUrl(pair.sourceUrl());
      pool.setUsername(pair.sourceServer().user());
      pool.setPassword(pair.sourceServer().password());
      Dataset data = Dataset.load(1);
      try (Connection c = pair.source()) {
        Schema.create(c);
        Schema.load(c, data);
      }
      Meter meter = new Meter();
      try (Application app = new Application(pool, data, 1, 20, meter)) {
        app.start();
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (meter.transactions() < 2500 && System.nanoTime() < deadline) {
          LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(20));
        }
      }
      assertEquals(0, meter.errors(), meter.firstError());
      assertTrue(meter.transactions() >= 2500, "transactions: " + meter.transactions());
      try (Connection c = pair.source()) {
        assertTrue(number(c, "select count(*) from flights") > 11_000);
        assertTrue(number(c, "select count(*) from alerts") > 20);
        assertTrue(number(c, "select count(*) from alerts where level = 'digest'") > 0);
        assertTrue(number(c, "select count(*) from earthquakes where status = 'reviewed'") > 0);
      }
    }
  }

  private static long number(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement();
        ResultSet r = s.executeQuery(sql)) {
      r.next();
      return r.getLong(1);
    }
  }
}
