package io.dualwrite.backfill;

import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.TableName;
import io.dualwrite.converge.ApplyLimits;
import io.dualwrite.converge.Convergence;
import io.dualwrite.converge.ConvergenceException;
import io.dualwrite.converge.ConvergenceOptions;
import io.dualwrite.embedded.PgPair;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.postgresql.ds.PGSimpleDataSource;

/**
 * A dual-writer in its smallest form, in steps: run on the source; flush rows by key to the target
 * while the source's locks are held; commit the source; commit the target. What did not flush, or
 * with another count, is pending and healed by resync later.
 */
final class TestWriter implements AutoCloseable {

  /** One row: its values by column, or null for a delete. Single-column keys named {@code id}. */
  record Op(String table, String id, Map<String, Object> row) {}

  private final Connection source;
  private final Connection target;
  private final Convergence convergence;
  private final List<Op> ops = new ArrayList<>();
  private boolean flushed;
  private final Map<TableName, Set<List<String>>> pending = new HashMap<>();

  TestWriter(PgPair pair, int lockTimeoutMillis) throws SQLException {
    source = pair.source();
    target = pair.target();
    source.setAutoCommit(false);
    target.setAutoCommit(false);
    Check.execute(target, "set lock_timeout = " + lockTimeoutMillis);
    source.commit();
    target.commit();
    convergence = convergence(pair);
  }

  static Convergence convergence(PgPair pair) {
    return new Convergence(
        source(pair.sourceUrl(), pair),
        source(pair.targetUrl(), pair),
        new Catalog(),
        new Catalog(),
        new ConvergenceOptions(
            1000,
            new ApplyLimits(Duration.ofMillis(100), Duration.ofSeconds(60), Duration.ofSeconds(60)),
            Duration.ofMillis(100),
            50,
            Duration.ofSeconds(60)));
  }

  private static PGSimpleDataSource source(String url, PgPair pair) {
    PGSimpleDataSource d = new PGSimpleDataSource();
    d.setUrl(url);
    d.setUser(pair.sourceServer().user());
    d.setPassword(pair.sourceServer().password());
    return d;
  }

  /** Runs on the source. False if there was nothing to update or delete: the op is dropped. */
  boolean run(Op op, boolean insert) throws SQLException {
    String sql;
    List<Object> values = new ArrayList<>();
    if (op.row == null) {
      sql = "delete from " + op.table + " where id::text = ?";
      values.add(op.id);
    } else if (insert) {
      sql = insert(op);
      values.addAll(op.row.values());
    } else {
      sql =
          "update "
              + op.table
              + " set "
              + op.row.keySet().stream().map(c -> c + " = ?").collect(Collectors.joining(", "))
              + " where id::text = ?";
      values.addAll(op.row.values());
      values.add(op.id);
    }
    if (update(source, sql, values) == 0) {
      return false;
    }
    ops.add(op);
    return true;
  }

  private static String insert(Op op) {
    return "insert into "
        + op.table
        + " ("
        + String.join(", ", op.row.keySet())
        + ") values ("
        + IntStream.range(0, op.row.size()).mapToObj(i -> "?").collect(Collectors.joining(", "))
        + ")";
  }

  private static int update(Connection c, String sql, List<Object> values) throws SQLException {
    try (PreparedStatement s = c.prepareStatement(sql)) {
      for (int i = 0; i < values.size(); i++) {
        s.setObject(i + 1, values.get(i));
      }
      return s.executeUpdate();
    }
  }

  /** Sends the rows to the target, in order. */
  void flush() throws SQLException {
    flushed = true;
    try {
      for (Op op : ops) {
        int n =
            op.row == null
                ? update(target, "delete from " + op.table + " where id::text = ?", List.of(op.id))
                : update(
                    target,
                    insert(op)
                        + " on conflict (id) do update set "
                        + op.row.keySet().stream()
                            .filter(c -> !c.equals("id"))
                            .map(c -> c + " = excluded." + c)
                            .collect(Collectors.joining(", ")),
                    new ArrayList<>(op.row.values()));
        if (n != 1) {
          flushed = false;
        }
      }
    } catch (SQLException e) {
      flushed = false; // busy, or a parent is not there yet
    }
    if (!flushed) {
      target.rollback();
    }
  }

  void commitSource() throws SQLException {
    source.commit();
    if (!flushed) {
      for (Op op : ops) {
        pending
            .computeIfAbsent(TableName.parse(op.table), t -> new LinkedHashSet<>())
            .add(List.of(op.id));
      }
    }
  }

  void commitTarget() throws SQLException {
    if (flushed) {
      target.commit();
    }
    ops.clear();
    flushed = false;
  }

  void rollback() throws SQLException {
    source.rollback();
    target.rollback();
    ops.clear();
    flushed = false;
  }

  /** The whole of it. */
  void commit() throws SQLException {
    flush();
    commitSource();
    commitTarget();
  }

  int pending() {
    return pending.values().stream().mapToInt(Set::size).sum();
  }

  void heal() throws SQLException, ConvergenceException {
    if (!pending.isEmpty()) {
      convergence.resync(pending);
      pending.clear();
    }
  }

  @Override
  public void close() throws SQLException {
    source.close();
    target.close();
  }
}
