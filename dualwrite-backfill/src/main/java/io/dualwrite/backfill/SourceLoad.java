package io.dualwrite.backfill;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Whether the source has enough to do without us: asked before a chunk is claimed, so that whoever
 * waits holds no lock and no snapshot. Looks once a second at most, for all workers, on a
 * connection of its own. Thread-safe.
 */
final class SourceLoad implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(SourceLoad.class);
  private static final long EVERY = TimeUnit.SECONDS.toNanos(1);

  private static final String LOOK =
      """
      select (select count(*) from pg_catalog.pg_stat_activity
               where state = 'active' and backend_type in ('client backend', 'parallel worker')
                 and pid <> pg_catalog.pg_backend_pid() and application_name <> 'dualwrite backfill'),
             (select coalesce(max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), replay_lsn)), 0)::bigint
                from pg_catalog.pg_stat_replication),
             (select $requested),
             (select coalesce(bool_or(wait_event is distinct from 'CheckpointerMain'), false)
                from pg_catalog.pg_stat_activity where backend_type = 'checkpointer')
      """;

  private final Sessions sources;
  private final CopyOptions options;
  private final ReentrantLock lock = new ReentrantLock();
  private Connection connection;
  private long looked;
  private long requested = -1;
  private boolean forced;
  private volatile String reason;

  SourceLoad(Sessions sources, CopyOptions options) {
    this.sources = sources;
    this.options = options;
  }

  private boolean asked() {
    return options.maxActive() > 0 || options.maxLag() > 0 || options.yieldToCheckpoints();
  }

  /**
   * Looks for the first time.
   *
   * @throws BackfillException if the role may not see what it is to look at
   */
  void check() throws SQLException {
    if (!asked()) {
      return;
    }
    lock.lock();
    try {
      connection = sources.getConnection();
      // else the server shows other roles' sessions and replicas without their state
      if (Sql.value(
              connection,
              "select pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'usage')")
          .equals("f")) {
        throw new BackfillException(
            "the role may not see what other sessions do on the source, so that their load cannot be waited for; GRANT pg_read_all_stats to it there, or leave out --max-active, --max-lag and --yield-to-checkpoints");
      }
      reason = look();
      looked = System.nanoTime();
    } finally {
      lock.unlock();
    }
  }

  /** Why there is nothing to be copied just now; null if there is no reason. */
  String reason() {
    if (!asked()) {
      return null;
    }
    lock.lock();
    try {
      if (requested < 0 || System.nanoTime() - looked >= EVERY) {
        String before = reason;
        reason = look();
        looked = System.nanoTime();
        if (reason != null && before == null) {
          LOG.info("copy waits: {}", reason);
        } else if (reason == null && before != null) {
          LOG.info("copy goes on");
        }
      }
      return reason;
    } catch (SQLException e) {
      close();
      LOG.debug("the source's load is unknown: {}", e.getMessage());
      reason = null; // the workers will find out why, and give up when they must
      return null;
    } finally {
      lock.unlock();
    }
  }

  /** As it was when somebody looked last. */
  String latest() {
    return reason;
  }

  private String look() throws SQLException {
    if (connection == null) {
      connection = sources.getConnection();
    }
    List<String> r =
        Sql.rows(
                connection,
                LOOK.replace(
                    "$requested",
                    connection.getMetaData().getDatabaseMajorVersion() >= 17
                        ? "num_requested from pg_catalog.pg_stat_checkpointer"
                        : "checkpoints_req from pg_catalog.pg_stat_bgwriter"))
            .get(0);
    long active = Long.parseLong(r.get(0));
    long lag = Long.parseLong(r.get(1));
    long checkpoints = Long.parseLong(r.get(2));
    // one that the clock asked for is spread over most of the time there is; one that was asked for
    // because so much was written says that the source is busy
    forced = r.get(3).equals("t") && (forced || requested >= 0 && checkpoints > requested);
    requested = checkpoints;
    if (options.maxActive() > 0 && active > options.maxActive()) {
      return active + " sessions are active on the source";
    }
    if (options.maxLag() > 0 && lag > options.maxLag()) {
      return "a replica of the source is " + lag + " bytes behind";
    }
    if (options.yieldToCheckpoints() && forced) {
      return "a checkpoint that was asked for is under way on the source";
    }
    return null;
  }

  @Override
  public void close() {
    lock.lock();
    try {
      if (connection != null) {
        connection.close();
      }
    } catch (SQLException e) {
      LOG.debug("closing: {}", e.getMessage());
    } finally {
      connection = null;
      lock.unlock();
    }
  }
}
