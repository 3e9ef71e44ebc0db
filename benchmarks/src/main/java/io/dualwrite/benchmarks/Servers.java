package io.dualwrite.benchmarks;

import io.dualwrite.embedded.PgServer;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import javax.sql.DataSource;

/** The two servers of a run; the forks of JMH are told where their parent's are. */
final class Servers implements AutoCloseable {

  private static final String SOURCE = "dualwrite.benchmarks.source";
  private static final String TARGET = "dualwrite.benchmarks.target";

  final PgServer source;
  final PgServer target;

  /** Starts both; what a commit acknowledges is on the disk, as a server has it by default. */
  Servers() {
    source = PgServer.embedded("fsync=on");
    target = PgServer.embedded("fsync=on");
  }

  /** The servers' version. */
  String version() throws SQLException {
    try (Connection c = source.connect("postgres")) {
      return c.getMetaData().getDatabaseProductVersion();
    }
  }

  /** Makes a database on both. */
  void create(String database, String ddl) throws SQLException {
    for (PgServer s : new PgServer[] {source, target}) {
      s.createDatabase(database);
      try (Connection c = s.connect(database);
          Statement st = c.createStatement()) {
        st.execute(ddl);
      }
    }
  }

  /** What a fork has to be told, as options of its JVM. */
  String[] forFork(String database) {
    return new String[] {
      "-D" + SOURCE + "=" + source.url(database), "-D" + TARGET + "=" + target.url(database)
    };
  }

  /** In a fork: the source. */
  static DataSource sourceOfParent() {
    return fork(SOURCE);
  }

  /** In a fork: the target. */
  static DataSource targetOfParent() {
    return fork(TARGET);
  }

  private static DataSource fork(String property) {
    String url = System.getProperty(property);
    if (url == null) {
      throw new IllegalStateException(
          "the benchmarks are started by " + Main.class.getName() + ", which starts the servers");
    }
    return new Connecting(() -> DriverManager.getConnection(url, "postgres", "postgres"));
  }

  @Override
  public void close() {
    source.close();
    target.close();
  }
}
