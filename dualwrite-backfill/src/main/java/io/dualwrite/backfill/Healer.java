package io.dualwrite.backfill;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.TableName;
import io.dualwrite.control.RolesHold;
import io.dualwrite.control.Side;
import io.dualwrite.converge.Convergence;
import io.dualwrite.converge.ConvergenceException;
import io.dualwrite.converge.RecopyResult;
import io.dualwrite.converge.ResyncResult;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;

/**
 * The convergence engine as one run of copy or verify uses it, with connections of its own that are
 * kept from one use to the next: those to a large catalog, or to TimescaleDB, are not cheap to
 * open. Thread-safe.
 */
final class Healer implements AutoCloseable {

  private final HikariDataSource sources;
  private final HikariDataSource targets;
  private final RolesHold hold;
  private final Convergence convergence;

  /**
   * Opens nothing yet.
   *
   * @param users how many threads will use it
   * @param writes whether rows may be written: keeps the roles as they are for as long as it is
   *     open
   */
  Healer(
      Sessions source,
      Sessions target,
      Catalog sourceCatalog,
      Catalog targetCatalog,
      int users,
      boolean writes)
      throws SQLException {
    hold = writes ? RolesHold.of(target, Side.SOURCE) : null;
    sources = pool(source, users);
    targets = pool(target, users);
    Convergence engine = new Convergence(sources, targets, sourceCatalog, targetCatalog);
    convergence = hold == null ? engine : engine.in(hold);
  }

  private static HikariDataSource pool(Sessions sessions, int users) {
    HikariConfig c = new HikariConfig();
    c.setPoolName("dualwrite-heal-" + sessions.side());
    c.setDataSource(sessions);
    // a resync holds one to each side, and looks at both catalogs beside it
    c.setMaximumPoolSize(2 * users);
    c.setMinimumIdle(0);
    c.setInitializationFailTimeout(-1); // whoever uses it first says what is wrong
    return new HikariDataSource(c);
  }

  @Override
  public void close() {
    sources.close();
    targets.close();
    if (hold != null) {
      hold.close();
    }
  }

  /** Before rows are written by another way than this: throws if the target is primary by now. */
  void check() throws SQLException {
    hold.check();
  }

  /** Makes the target's rows for these keys what the source's are. */
  void resync(TableName table, List<List<String>> keys) throws SQLException {
    try {
      ResyncResult result = convergence.resync(Map.of(table, keys));
      // rows without a key that went with a deleted parent: which ones, only the source knows
      for (TableName child : result.keylessChildren()) {
        convergence.recopy(child, "true");
      }
    } catch (ConvergenceException e) {
      throw new BackfillException(e.getMessage(), e);
    }
  }

  /**
   * A row of the source's table that none of the target's partitions takes would be in none of the
   * ranges that are copied.
   */
  void requirePlaces(TableName table, String predicate) throws SQLException {
    convergence.checkPlaces(table, predicate);
  }

  /** Replaces a keyless range in a transaction of its own. */
  long recopy(TableName table, String predicate) throws SQLException {
    return convergence.recopy(table, predicate).rows();
  }

  /** Replaces a keyless range in the transaction that claimed it. */
  RecopyResult recopy(Connection target, TableName table, String predicate) throws SQLException {
    return convergence.recopy(target, table, predicate);
  }

  /**
   * The same, at a pace, also of a hypertable's chunk with a key.
   *
   * @param source a connection without autocommit and in no transaction, and so afterwards
   * @param from the source's chunk of the same place; null for a table or partition
   * @param passing told of bytes before they are sent on; may wait
   */
  RecopyResult recopy(
      Connection source,
      Connection target,
      TableName chunk,
      String predicate,
      TableName from,
      IntConsumer passing)
      throws SQLException {
    RecopyResult result = convergence.recopy(source, target, chunk, predicate, from, passing);
    source.rollback();
    return result;
  }

  /**
   * The same, where the caller brings the rows.
   *
   * @param source as above
   */
  RecopyResult recopy(
      Connection source,
      Connection target,
      TableName chunk,
      TableName from,
      Convergence.Transfer transfer)
      throws SQLException {
    RecopyResult result = convergence.recopy(source, target, chunk, from, transfer);
    source.rollback();
    return result;
  }
}
