package io.dualwrite.backfill;

import io.dualwrite.catalog.TableName;
import io.dualwrite.converge.Convergence;
import io.dualwrite.converge.ConvergenceException;
import io.dualwrite.converge.RecopyResult;
import io.dualwrite.converge.ResyncResult;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;

/** The convergence engine as copy and verify use it. Thread-safe. */
final class Healer {

  private final Convergence convergence;

  Healer(Convergence convergence) {
    this.convergence = convergence;
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

  /** Replaces a keyless range in a transaction of its own. */
  long recopy(TableName table, String predicate) throws SQLException {
    return convergence.recopy(table, predicate).rows();
  }

  /** Replaces a keyless range in the transaction that claimed it. */
  RecopyResult recopy(Connection target, TableName table, String predicate) throws SQLException {
    return convergence.recopy(target, table, predicate);
  }

  /**
   * The same of a hypertable's chunk, with a key or without.
   *
   * @param from the source's chunk of the same place
   * @param passing told of bytes before they are sent on; may wait
   */
  RecopyResult recopy(
      Connection target, TableName chunk, String predicate, TableName from, IntConsumer passing)
      throws SQLException {
    return convergence.recopy(target, chunk, predicate, from, passing);
  }
}
