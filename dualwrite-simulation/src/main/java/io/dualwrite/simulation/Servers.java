package io.dualwrite.simulation;

import io.dualwrite.embedded.PgServer;
import java.sql.SQLException;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Two servers for one run after another. They do without fsync, because what is killed here are
 * processes: the operating system keeps what they wrote.
 */
final class Servers implements AutoCloseable {

  private final AtomicInteger databases = new AtomicInteger();
  final PgServer source = start();
  final PgServer target = start();

  private static PgServer start() {
    return PgServer.embedded(
        "fsync=off",
        "full_page_writes=off",
        "deadlock_timeout=100ms",
        "shared_buffers=32MB",
        "max_wal_size=256MB",
        "wal_writer_delay=10s"); // what has not committed is lost in a crash, its transaction id
    // too
  }

  /** A new database on both; its name. */
  String database() throws SQLException {
    String name = "s" + databases.incrementAndGet();
    source.createDatabase(name);
    target.createDatabase(name);
    return name;
  }

  @Override
  public void close() {
    source.close();
    target.close();
  }
}
