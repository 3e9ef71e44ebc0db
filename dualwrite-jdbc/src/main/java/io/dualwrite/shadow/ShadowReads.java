package io.dualwrite.shadow;

import io.dualwrite.config.Setting;
import io.dualwrite.config.Settings;
import io.dualwrite.converge.Background;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs a sample of the application's reads on the mirror too and compares the results.
 *
 * <p>The application's thread never waits: it draws lots ({@link #sample()}), records the rows that
 * it reads anyway ({@link Capture}), and offers them to a bounded queue. One daemon thread does the
 * rest. A mirror that is slow or gone fills the queue, and while it is full nothing is sampled.
 *
 * <p>A mismatch is no difference yet. It is looked at again once nothing was pending and a delay
 * has passed since: the query is run on the mirror; if that does not show what the application saw,
 * it is run on the primary. Only if the primary still shows what the application saw, before and
 * after the mirror showed something else, the mirror is wrong. If the primary shows something new,
 * that is what the mirror is held against next time: it can be found wrong by that, but not right,
 * as the session here may be shown less than the application's is (row security that goes by a
 * setting of the application's own). The same rows in another order are skipped: whether rows tie
 * in an ORDER BY, the result does not tell.
 *
 * <p>Which reads may be compared is for the caller to know: no writes and no locks, no volatile
 * functions and no clock, no limit without an order (that a limit cuts rows which tie, or that an
 * aggregate such as array_agg has no order, cannot be seen: those are reported where both sides
 * store rows in different places), not in a transaction that has written or that keeps an old
 * snapshot, no table whose backfill is not complete, no search path that the server does not report
 * (before PostgreSQL 18).
 *
 * <p>Thread-safe.
 */
public final class ShadowReads implements AutoCloseable {

  /** Binds a read's parameters once more. */
  @FunctionalInterface
  public interface Binder {
    /** Binds the same values to the same statement on another connection. */
    void bind(PreparedStatement statement) throws SQLException;
  }

  private static final Logger LOG = LoggerFactory.getLogger(ShadowReads.class);

  /** So much of all results together waits at most, beside the bound on their number. */
  private static final long MAX_WAITING_BYTES = 64L << 20;

  private static final int MAX_DIFFERENCES = 5;
  private static final int MAX_ATTEMPTS = 5;

  /** In delays: after so long without the mirror catching up, a mismatch is given up. */
  private static final int PATIENCE = 60;

  private final DataSource primary;
  private final DataSource mirror;
  private final BooleanSupplier caughtUp;
  private final double rate;
  private final int maxRows;
  private final long maxBytes;
  private final Duration timeout;
  private final long delayNanos;
  private final double tolerance;
  private final int capacity;

  private final BlockingQueue<Capture> waiting;
  private final AtomicLong waitingBytes = new AtomicLong();
  private final Findings findings = new Findings();
  private final Thread worker;
  private volatile boolean closed;
  private volatile Connection running;

  /** Touched by the worker alone. */
  private final Queue<Mismatch> mismatches = new ArrayDeque<>();

  private long mismatchBytes;

  /**
   * Starts the thread.
   *
   * @param primary gives connections for looking at mismatches again; one at a time
   * @param mirror gives connections for everything else; one at a time
   * @param settings {@code dualwrite.shadow.*}
   * @param caughtUp whether the mirror has everything: no unit of work is in flight or pending
   */
  public ShadowReads(
      DataSource primary, DataSource mirror, Settings settings, BooleanSupplier caughtUp) {
    this.primary = primary;
    this.mirror = mirror;
    this.caughtUp = caughtUp;
    rate = settings.rate(Setting.SHADOW_SAMPLE_RATE);
    maxRows = settings.integer(Setting.SHADOW_MAX_ROWS);
    maxBytes = settings.bytes(Setting.SHADOW_MAX_BYTES);
    timeout = settings.duration(Setting.SHADOW_TIMEOUT);
    delayNanos = settings.duration(Setting.SHADOW_RECHECK_DELAY).toNanos();
    tolerance = settings.rate(Setting.SHADOW_FLOAT_TOLERANCE);
    capacity = settings.integer(Setting.SHADOW_QUEUE);
    waiting = new ArrayBlockingQueue<>(capacity);
    worker = Background.thread("dualwrite-shadow", this::work);
    worker.start();
  }

  /** Whether this read is to be compared: by lot, and while the queue has room. */
  public boolean sample() {
    return rate > 0
        && ThreadLocalRandom.current().nextDouble() < rate
        && waiting.remainingCapacity() > 0
        && waitingBytes.get() < MAX_WAITING_BYTES;
  }

  /**
   * Begins to record a read. Called when the primary has answered.
   *
   * @param sql the statement's text as the application gave it
   * @param binder binds the parameters; null if the statement was not a prepared one
   * @param ordered whether the order of the rows is determined
   * @param startNanos {@link System#nanoTime()} before the primary was asked
   */
  public Capture capture(String sql, Binder binder, boolean ordered, long startNanos) {
    return new Capture(
        this, sql, binder, ordered, System.nanoTime() - startNanos, maxRows, maxBytes);
  }

  /** What was found so far. */
  public ShadowReport report() {
    return findings.report();
  }

  void skipped(Capture c, String why) {
    findings.update(c.sql, e -> e.skipped.merge(why, 1L, Long::sum));
  }

  void submit(Capture c) {
    if (!closed && waiting.offer(c)) {
      waitingBytes.addAndGet(c.bytes);
    } else {
      skipped(c, "the queue was full");
    }
  }

  /** Ends the thread; what waits is not compared any more. Returns within about a second. */
  @Override
  public void close() {
    closed = true;
    worker.interrupt();
    Connection c = running;
    if (c != null) {
      // not cancel(): that asks the server, which may not answer; it ends by its own timeout
      abort(c);
    }
    try {
      worker.join(1000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  // ---- the worker

  /** A result that the mirror did not give; what it is held against may become newer. */
  private static final class Mismatch {
    final Capture capture;
    final long since = System.nanoTime();
    List<String[]> expected;
    boolean mirrorCaughtUp;
    long dueAt;
    int attempts;

    Mismatch(Capture capture) {
      this.capture = capture;
      this.expected = capture.rows;
    }
  }

  /** What one side answered. */
  private static final class Result {
    final String[] labels;
    final String[] types;
    final List<String[]> rows = new ArrayList<>();
    final long nanos;

    Result(String[] labels, String[] types, long nanos) {
      this.labels = labels;
      this.types = types;
      this.nanos = nanos;
    }
  }

  private void work() {
    while (!closed) {
      try {
        Capture c =
            mismatches.isEmpty()
                ? waiting.take()
                : waiting.poll(Math.min(delayNanos / 4, 50_000_000L), TimeUnit.NANOSECONDS);
        if (c != null) {
          waitingBytes.addAndGet(-c.bytes);
          first(c);
        }
        again();
      } catch (InterruptedException e) {
        LOG.debug("interrupted, since close() was called", e);
      } catch (RuntimeException e) {
        LOG.warn("a shadow read could not be compared", e);
      }
    }
  }

  private void first(Capture c) {
    Result r;
    try {
      r = run(mirror, c);
    } catch (SQLException | RuntimeException e) {
      failed(c, e);
      return;
    }
    boolean equal = differences(c, c.rows, r).isEmpty();
    boolean later =
        !equal && mismatches.size() < capacity && mismatchBytes + c.bytes <= MAX_WAITING_BYTES;
    findings.update(
        c.sql,
        e -> {
          if (c.complete) {
            e.latency(c.primaryNanos, r.nanos);
          }
          if (equal) {
            e.equal++;
          } else if (later) {
            e.undecided++;
          }
        });
    if (later) {
      mismatches.add(new Mismatch(c));
      mismatchBytes += c.bytes;
    } else if (!equal) {
      skipped(c, "too many mismatches wait already");
    }
  }

  private void again() {
    if (mismatches.isEmpty()) {
      return;
    }
    boolean now = caughtUp();
    for (Iterator<Mismatch> i = mismatches.iterator(); i.hasNext() && !closed; ) {
      Mismatch m = i.next();
      if (now && !m.mirrorCaughtUp) {
        m.mirrorCaughtUp = true;
        m.dueAt = System.nanoTime() + delayNanos;
      }
      boolean decided;
      if (m.mirrorCaughtUp && System.nanoTime() - m.dueAt >= 0) {
        m.mirrorCaughtUp = false;
        decided = decideSafely(m);
      } else {
        decided = false;
      }
      if (!decided && System.nanoTime() - m.since > PATIENCE * delayNanos) {
        decided = undecidable(m, "the mirror differed, and did not catch up");
      }
      if (decided) {
        i.remove();
        mismatchBytes -= m.capture.bytes;
      }
    }
  }

  private boolean decideSafely(Mismatch m) {
    try {
      return decide(m);
    } catch (RuntimeException e) {
      LOG.warn("a mismatch of a shadow read could not be looked at again", e);
      return undecidable(m, "the mirror differed, and looking at it again failed");
    }
  }

  private boolean caughtUp() {
    try {
      return caughtUp.getAsBoolean();
    } catch (RuntimeException e) {
      return false; // a journal that cannot be asked has not drained
    }
  }

  /** Looks at a mismatch again; false if it remains one. */
  private boolean decide(Mismatch m) {
    Capture c = m.capture;
    m.attempts++;
    Result theirs;
    try {
      theirs = run(mirror, c);
    } catch (SQLException | RuntimeException e) {
      findings.update(c.sql, f -> f.undecided--);
      failed(c, e);
      return true;
    }
    List<ShadowReport.Difference> differences = differences(c, m.expected, theirs);
    if (differences.isEmpty()) {
      return m.expected == c.rows ? late(c) : changed(m);
    }
    Result ours;
    try {
      ours = run(primary, c);
    } catch (SQLException | RuntimeException e) {
      return undecidable(m, "the mirror differed, and the primary could not be asked again");
    }
    if (differences(c, m.expected, ours).isEmpty()) {
      if (c.ordered && differences(c, m.expected, theirs, false).isEmpty()) {
        return undecidable(
            m, "the mirror had the same rows in another order: ties, or another collation");
      }
      findings.update(
          c.sql,
          f -> {
            f.undecided--;
            f.different(differences);
          });
      return true;
    }
    if (!c.ordered && ours.rows.size() > maxRows) {
      return undecidable(m, "the mirror differed, and the result has grown beyond the bounds");
    }
    if (differences(c, ours.rows, theirs).isEmpty()) {
      return changed(m);
    }
    m.expected = ours.rows;
    return m.attempts >= MAX_ATTEMPTS
        && undecidable(m, "the mirror differed, but the rows keep changing");
  }

  private boolean late(Capture c) {
    findings.update(
        c.sql,
        f -> {
          f.undecided--;
          f.equal++;
          f.late++;
        });
    return true;
  }

  /** Both sides are the same by now, but what the application saw neither showed. */
  private boolean changed(Mismatch m) {
    return undecidable(
        m,
        "the mirror differed, and the primary shows other rows by now, or to the application's session alone");
  }

  private boolean undecidable(Mismatch m, String why) {
    findings.update(m.capture.sql, f -> f.undecided--);
    skipped(m.capture, why);
    return true;
  }

  private void failed(Capture c, Exception cause) {
    if (closed) {
      return;
    }
    String message =
        cause instanceof SQLException s && s.getSQLState() != null
            ? s.getSQLState() + " " + s.getMessage()
            : cause.toString();
    findings.update(
        c.sql,
        e -> {
          e.errors++;
          e.lastError = message;
        });
  }

  private List<ShadowReport.Difference> differences(
      Capture c, List<String[]> expected, Result actual) {
    return differences(c, expected, actual, c.ordered);
  }

  private List<ShadowReport.Difference> differences(
      Capture c, List<String[]> expected, Result actual, boolean ordered) {
    if (!Arrays.equals(c.labels, actual.labels)) {
      return List.of(new ShadowReport.Difference(-1, c.labels, actual.labels));
    }
    return new Comparison(actual.types, tolerance)
        .differences(expected, actual.rows, ordered, c.complete, MAX_DIFFERENCES);
  }

  /** The query's result on one side, in a read-only transaction, as far as it is to be compared. */
  private Result run(DataSource side, Capture c) throws SQLException {
    try (Connection connection = side.getConnection()) {
      boolean auto = connection.getAutoCommit();
      boolean readOnly = connection.isReadOnly();
      int network = connection.getNetworkTimeout();
      running = connection;
      try {
        if (closed) {
          throw new SQLException("the shadow reads were closed");
        }
        // the server's own timeout does not help where the network is gone
        connection.setNetworkTimeout(
            Runnable::run, (int) Math.min(timeout.toMillis() + 2000, Integer.MAX_VALUE));
        connection.setReadOnly(true);
        connection.setAutoCommit(false);
        prepareSession(connection, c.session);
        return c.binder == null ? plain(connection, c) : prepared(connection, c);
      } finally {
        running = null;
        giveBack(connection, auto, readOnly, network);
      }
    }
  }

  private static void giveBack(Connection c, boolean auto, boolean readOnly, int network) {
    try {
      c.rollback();
      c.setAutoCommit(auto);
      c.setReadOnly(readOnly);
      c.setNetworkTimeout(Runnable::run, network);
    } catch (SQLException e) {
      abort(c); // it is broken, and no pool is to have it again
    }
  }

  private static void abort(Connection c) {
    try {
      c.abort(Runnable::run);
    } catch (SQLException e) {
      LOG.debug("a broken connection could not be aborted", e);
    }
  }

  private void prepareSession(Connection connection, Map<String, String> session)
      throws SQLException {
    List<String> parameters = new ArrayList<>();
    StringBuilder sql =
        new StringBuilder("select pg_catalog.set_config('statement_timeout', ?, true)");
    parameters.add(Long.toString(timeout.toMillis()));
    session.forEach(
        (name, value) -> {
          sql.append(", pg_catalog.set_config(?, ?, true)");
          parameters.add(name);
          parameters.add(value);
        });
    try (PreparedStatement s = connection.prepareStatement(sql.toString())) {
      for (int i = 0; i < parameters.size(); i++) {
        s.setString(i + 1, parameters.get(i));
      }
      s.execute();
    }
  }

  private Result plain(Connection connection, Capture c) throws SQLException {
    try (Statement s = connection.createStatement()) {
      bound(s, c);
      long start = System.nanoTime();
      try (ResultSet r = s.executeQuery(c.sql)) {
        return read(r, System.nanoTime() - start, limit(c));
      }
    }
  }

  private Result prepared(Connection connection, Capture c) throws SQLException {
    try (PreparedStatement s = connection.prepareStatement(c.sql)) {
      c.binder.bind(s);
      bound(s, c);
      long start = System.nanoTime();
      try (ResultSet r = s.executeQuery()) {
        return read(r, System.nanoTime() - start, limit(c));
      }
    }
  }

  /**
   * How many rows are asked for. In order, one more than the application saw is enough to see that
   * there are more; without an order only the whole result tells anything.
   */
  private int limit(Capture c) {
    return c.ordered ? c.rows.size() + (c.complete ? 1 : 0) : maxRows + 1;
  }

  private void bound(Statement s, Capture c) throws SQLException {
    s.setMaxRows(limit(c));
    s.setFetchSize(c.fetchSize);
  }

  private static Result read(ResultSet r, long nanos, int limit) throws SQLException {
    ResultSetMetaData m = r.getMetaData();
    Rows columns = new Rows(m);
    String[] types = new String[columns.labels.length];
    for (int i = 0; i < types.length; i++) {
      types[i] = m.getColumnTypeName(i + 1);
    }
    Result result = new Result(columns.labels, types, nanos);
    while (result.rows.size() < limit && r.next()) {
      result.rows.add(columns.read(r));
    }
    return result;
  }
}
