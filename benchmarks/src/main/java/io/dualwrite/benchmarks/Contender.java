package io.dualwrite.benchmarks;

import io.dualwrite.config.Setting;
import io.dualwrite.embedded.TcpProxy;
import io.dualwrite.jdbc.Assembled;
import io.dualwrite.jdbc.DualWriteDataSource;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.time.Duration;

/** One way to write, with its connections, its table and its client, which is one thread. */
final class Contender implements AutoCloseable {

  /** The ways to write. */
  enum Way {
    /** The application as it was. */
    SOURCE("source alone"),
    /** Each statement on both connections, both committed: what one would write by hand. */
    NAIVE("by hand"),
    /** dualwrite, its default. */
    SYNC("sync"),
    /** dualwrite, the mirror written by the replayer alone. */
    ASYNC("async"),
    /** The same while the target is away: what is left is what the application itself pays. */
    AWAY("async");

    /** As the tables name it, and the settings. */
    final String label;

    Way(String label) {
      this.label = label;
    }
  }

  final Way way;
  final String table;
  private final DualWriteDataSource dual;
  private final Connection[] connections;
  private TcpProxy path;
  private long id = 1000;

  Contender(Way way, String sourceUrl, String targetUrl) throws SQLException {
    this.way = way;
    table = table(way);
    switch (way) {
      case SOURCE -> {
        dual = null;
        connections = new Connection[] {connect(sourceUrl)};
      }
      case NAIVE -> {
        dual = null;
        connections = new Connection[] {connect(sourceUrl), connect(targetUrl)};
      }
      default -> {
        String url = targetUrl;
        if (way == Way.AWAY) {
          java.net.URI at = java.net.URI.create(targetUrl.substring("jdbc:".length()));
          path = new TcpProxy(at.getHost(), at.getPort());
          url = targetUrl.replace(":" + at.getPort() + "/", ":" + path.port() + "/");
        }
        dual =
            DualWriteDataSource.builder()
                .source(sourceUrl, "postgres", "postgres")
                .target(url, "postgres", "postgres")
                .mirror(way.label)
                .journal(Scratch.directory())
                .set(Setting.JOURNAL_MIN_FREE_BYTES, "1MB")
                .build();
        CommitBenchmark.await(() -> Assembled.ready(dual));
        connections = new Connection[] {dual.getConnection()};
        if (path != null) {
          path.refuse();
          path.cut();
        }
      }
    }
  }

  private static Connection connect(String url) throws SQLException {
    return DriverManager.getConnection(url, "postgres", "postgres");
  }

  static String table(Way way) {
    return "orders_" + way.name().toLowerCase(java.util.Locale.ROOT);
  }

  /** Before transactions of that kind. */
  void begin(Workload workload) throws SQLException {
    for (Connection c : connections) {
      c.setAutoCommit(workload == Workload.AUTOCOMMIT);
    }
  }

  /** One transaction. */
  void transaction(Workload workload) throws SQLException {
    long first = id;
    id += workload.rows;
    workload.run(connections, table, first);
  }

  /** Leaves a transaction that was refused. */
  void rollback() throws SQLException {
    for (Connection c : connections) {
      if (!c.getAutoCommit()) {
        c.rollback();
      }
    }
  }

  /** Waits until no commit of the mirror's is under way any more; what was left to replay stays. */
  void settle() {
    if (way == Way.SYNC) {
      CommitBenchmark.await(() -> dual.status().inFlight() == 0);
    }
  }

  /** Waits until the target has everything. */
  void drain() throws SQLException {
    if (dual != null && !dual.drain(Duration.ofMinutes(2))) {
      throw new SQLException(way.label + " did not drain: " + dual.status());
    }
  }

  /** Lets the target be there, if it was not. */
  void back() {
    if (path != null) {
      path.resume();
    }
  }

  /** How many units of work were left to the replayer. */
  long left() {
    return dual == null ? 0 : dual.status().counters().getOrDefault("units.left-to-replay", 0L);
  }

  @Override
  public void close() throws SQLException {
    for (Connection c : connections) {
      c.close();
    }
    if (dual != null) {
      dual.close();
    }
    if (path != null) {
      path.close();
    }
  }
}
