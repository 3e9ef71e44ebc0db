package com.example.shop;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import io.dualwrite.embedded.PgServer;
import io.dualwrite.jdbc.DualWriteDataSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import javax.sql.DataSource;

/** The smallest program that dual-writes: everything but {@link #dualWriting} is as it was. */
public final class Quickstart {

  private Quickstart() {}

  /** Starts two throw-away servers, sells something, and looks at both. */
  public static void main(String[] args) throws SQLException, IOException {
    try (PgServer oldServer = PgServer.embedded();
        PgServer newServer = PgServer.embedded()) {
      execute(oldServer, Shop.SCHEMA);
      execute(newServer, Shop.SCHEMA);

      Path journal = Files.createTempDirectory("shop-journal");
      try (DualWriteDataSource both = dualWriting(oldServer, newServer, journal);
          HikariDataSource pool = pool(both)) {
        long number = new Shop(pool).sell("umbrella", 2);
        System.out.println("sold as order " + number);
        System.out.println("pending for the new database: " + both.status().pending());
      }
      System.out.println("old database: " + orders(oldServer));
      System.out.println("new database: " + orders(newServer));
    }
  }

  /** What changes in an application that moves. */
  static DualWriteDataSource dualWriting(PgServer source, PgServer target, Path journal) {
    return DualWriteDataSource.builder()
        .source(source.url("postgres"), source.user(), source.password())
        .target(target.url("postgres"), target.user(), target.password())
        .journal(journal)
        .build();
  }

  static HikariDataSource pool(DataSource of) {
    HikariConfig config = new HikariConfig();
    config.setDataSource(of);
    config.setMaximumPoolSize(4);
    return new HikariDataSource(config);
  }

  private static void execute(PgServer server, String sql) throws SQLException {
    try (Connection c = server.connect("postgres");
        Statement s = c.createStatement()) {
      s.execute(sql);
    }
  }

  static String orders(PgServer server) throws SQLException {
    try (Connection c = server.connect("postgres");
        PreparedStatement s =
            c.prepareStatement("select number || ': ' || amount || ' ' || article from orders");
        ResultSet r = s.executeQuery()) {
      return r.next() ? r.getString(1) : "no order";
    }
  }
}
