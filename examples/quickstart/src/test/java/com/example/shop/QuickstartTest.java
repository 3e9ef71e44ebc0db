package com.example.shop;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.zaxxer.hikari.HikariDataSource;
import io.dualwrite.embedded.PgServer;
import io.dualwrite.jdbc.DualWriteDataSource;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.Statement;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class QuickstartTest {

  @Test
  void orderIsInBothDatabases(@TempDir Path journal) throws Exception {
    try (PgServer oldServer = PgServer.start();
        PgServer newServer = PgServer.start()) {
      for (PgServer server : new PgServer[] {oldServer, newServer}) {
        try (Connection c = server.connect("postgres");
            Statement s = c.createStatement()) {
          s.execute(Shop.SCHEMA);
        }
      }
      try (DualWriteDataSource both = Quickstart.dualWriting(oldServer, newServer, journal);
          HikariDataSource pool = Quickstart.pool(both)) {
        assertEquals(1, new Shop(pool).sell("umbrella", 2));
        assertEquals(true, both.drain(Duration.ofSeconds(30)));
      }
      assertEquals("1: 2 umbrella", Quickstart.orders(oldServer));
      assertEquals("1: 2 umbrella", Quickstart.orders(newServer));
    }
  }
}
