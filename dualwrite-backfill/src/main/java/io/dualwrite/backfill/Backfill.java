package io.dualwrite.backfill;

import io.dualwrite.catalog.Catalog;
import io.dualwrite.config.PgUri;
import io.dualwrite.control.ControlSchema;
import io.dualwrite.control.Side;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import javax.sql.DataSource;
import org.postgresql.ds.PGSimpleDataSource;

/**
 * Copies what was there before dual-write began, while the application goes on writing, and proves
 * that both sides are equal.
 *
 * <p>Order of use: every writer dual-writes; {@link #stage}; {@link #copy}, on as many machines as
 * wanted, again after any interruption; {@link #verify}; at the end {@link #clean}.
 *
 * <p>Opens connections of its own and keeps none between calls. The source is read only. The target
 * gets the schema {@code dualwrite}. Thread-safe. Every method throws {@link BackfillException},
 * whose message is meant for the operator.
 */
public final class Backfill {

  private final Sessions sources;
  private final Sessions targets;
  private final Catalog sourceCatalog = new Catalog();
  private final Catalog targetCatalog = new Catalog();
  private final Steps steps;

  private Backfill(Builder b, Steps steps) {
    sources = new Sessions(Objects.requireNonNull(b.source, "source"), Side.SOURCE);
    targets = new Sessions(Objects.requireNonNull(b.target, "target"), Side.TARGET);
    this.steps = steps;
  }

  /** Begins to configure one. */
  public static Builder builder() {
    return new Builder();
  }

  /** Says where the two databases are. Not thread-safe. */
  public static final class Builder {
    private DataSource source;
    private DataSource target;

    private Builder() {}

    /**
     * The source. Its connections must lead to PostgreSQL itself, by pgjdbc; session settings are
     * changed, so a pool is no good choice.
     */
    public Builder source(DataSource value) {
      source = value;
      return this;
    }

    /** The source, by JDBC URL; user and password may be null if the URL has them. */
    public Builder source(String url, String user, String password) {
      return source(plain(url, user, password));
    }

    /** The target; see {@link #source(DataSource)}. */
    public Builder target(DataSource value) {
      target = value;
      return this;
    }

    /** The target, by JDBC URL; user and password may be null if the URL has them. */
    public Builder target(String url, String user, String password) {
      return target(plain(url, user, password));
    }

    /**
     * The finished object; nothing is connected yet.
     *
     * @throws NullPointerException if a side is missing
     */
    public Backfill build() {
      return build(Steps.NONE);
    }

    Backfill build(Steps steps) {
      return new Backfill(this, steps);
    }

    private static DataSource plain(String url, String user, String password) {
      PGSimpleDataSource d = new PGSimpleDataSource();
      d.setConnectTimeout(10);
      // a peer that is gone is found by keepalives; a query may be silent for as long as it takes
      d.setTcpKeepAlive(true);
      d.setSocketTimeout(0);
      PgUri uri = PgUri.parse(url).withCredentials(user, password);
      d.setUrl(uri.jdbcUrlOfOurOwn(Set.of()));
      if (uri.user() != null) {
        d.setUser(uri.user());
      }
      if (uri.password() != null) {
        d.setPassword(uri.password());
      }
      return d;
    }
  }

  /**
   * Divides the source's tables into tasks, after every transaction that was open on the source
   * when it was called has ended. Idempotent: what is staged already is left alone.
   *
   * @throws BackfillException if a table cannot be backfilled, the target's schema does not fit, T
   *     is of the wrong type, old transactions do not end, or the target is primary; nothing is
   *     staged then
   */
  public StageResult stage(StageOptions options) {
    try (Connection s = sources.getConnection();
        Connection t = targets.getConnection()) {
      requireMirror(t);
      return new Stager(s, t, sourceCatalog, targetCatalog).stage(options);
    } catch (SQLException e) {
      throw failed("stage", e);
    }
  }

  /**
   * Copies until nothing is left that anybody could copy. An interrupt of the calling thread ends
   * it after the chunks under way.
   *
   * @throws BackfillException if nothing is staged, a database stays unreachable or the target is
   *     primary
   */
  public CopyResult copy(CopyOptions options, Progress listener) {
    sourceCatalog.invalidate();
    targetCatalog.invalidate();
    requireMirror();
    try (Healer healer = healer(options.parallelism(), true)) {
      return new Copier(sources, targets, sourceCatalog, targetCatalog, healer, options, steps)
          .copy(listener);
    } catch (SQLException e) {
      throw failed("copy", e);
    }
  }

  /**
   * Compares content, range by range, and repairs if asked to. Ranges: those staged, and everything
   * else of every table, rows at and after T too.
   *
   * @throws BackfillException if a database cannot be reached, the source has tables that cannot be
   *     compared, or it is to repair and the target is primary
   */
  public VerifyResult verify(VerifyOptions options, Progress listener) {
    sourceCatalog.invalidate();
    targetCatalog.invalidate();
    if (options.repair()) {
      requireMirror();
    }
    try (Healer healer = healer(options.parallelism(), options.repair())) {
      return new Verifier(sources, targets, sourceCatalog, targetCatalog, healer, options)
          .verify(listener);
    } catch (SQLException e) {
      throw failed("verify", e);
    }
  }

  /**
   * Refreshes the target's continuous aggregates as far as the source's are materialized, those
   * that others read first. Where their materializations were copied it begins with the last bucket
   * copied. Idempotent.
   *
   * @param filter as {@link StageOptions#filter()}, on the names of the aggregates and hypertables
   * @param up as {@link StageOptions#cascadeUp()}
   * @param down as {@link StageOptions#cascadeDown()}
   * @throws BackfillException if an aggregate is missing on the target or a refresh fails
   */
  public RefreshResult refreshAggregates(String filter, boolean up, boolean down) {
    sourceCatalog.invalidate();
    targetCatalog.invalidate();
    try (Connection s = sources.getConnection();
        Connection t = targets.getConnection()) {
      return new AggregateRefresh(s, t, sourceCatalog, targetCatalog).run(filter, up, down);
    } catch (SQLException e) {
      throw failed("refresh", e);
    }
  }

  /**
   * Drops the backfill's own tables on the target. What the writers need (markers, snapshots,
   * suspects, the control row) stays.
   *
   * @throws BackfillException if indexes that were dropped for the copy are not built yet: their
   *     definitions would be lost
   */
  public void clean() {
    clean(targets);
  }

  /** {@link #clean()} where the source is not there any more. */
  public static void clean(DataSource target) {
    clean(new Sessions(target, Side.TARGET));
  }

  private static void clean(Sessions targets) {
    try (Connection t = targets.getConnection()) {
      List<String> missing = TaskStore.installed(t) ? Indexes.missing(t) : List.of();
      if (!missing.isEmpty()) {
        throw new BackfillException(
            "indexes of the target that were dropped for the copy are not built yet; run copy, or build them by hand: "
                + String.join("; ", missing));
      }
      TaskStore.drop(t);
    } catch (SQLException e) {
      throw failed("clean", e);
    }
  }

  /** Where the backfill stands. */
  public BackfillStatus status() {
    return status(targets);
  }

  /** {@link #status()} where the source is not there, or not now. */
  public static BackfillStatus status(DataSource target) {
    return status(new Sessions(target, Side.TARGET));
  }

  private static BackfillStatus status(Sessions targets) {
    try (Connection t = targets.getConnection()) {
      if (!TaskStore.installed(t)) {
        return new BackfillStatus(false, List.of(), 0, 0, List.of(), 0, 0, 0, 0);
      }
      Optional<TaskStore.Staged> staged = TaskStore.staged(t);
      TaskStore.Totals n = TaskStore.totals(t);
      return new BackfillStatus(
          staged.isPresent(),
          staged.map(TaskStore.Staged::until).orElse(List.of()),
          n.tasks(),
          n.done(),
          TaskStore.failedTasks(t),
          n.equal(),
          n.different(),
          n.rows(),
          n.bytes());
    } catch (SQLException e) {
      throw failed("status", e);
    }
  }

  private void requireMirror() {
    try (Connection t = targets.getConnection()) {
      requireMirror(t);
    } catch (SQLException e) {
      throw failed("connecting", e);
    }
  }

  /** Since a cutover the target's rows are the newer ones, which the source's must not replace. */
  private static void requireMirror(Connection target) throws SQLException {
    if (ControlSchema.targetIsPrimary(target)) {
      throw new BackfillException(
          "the target is the primary since a cutover, and what it holds must not be overwritten with the source's rows; differences are for the writers to mend: DualWriteDataSource.reconcile(), or 'dualwrite reconcile DIR'");
    }
  }

  /** For copy and verify, which have one worker more than they do at a time. */
  private Healer healer(int parallelism, boolean writes) throws SQLException {
    return new Healer(sources, targets, sourceCatalog, targetCatalog, parallelism + 1, writes);
  }

  private static BackfillException failed(String what, SQLException e) {
    return new BackfillException(what + " failed: " + e.getMessage(), e);
  }
}
