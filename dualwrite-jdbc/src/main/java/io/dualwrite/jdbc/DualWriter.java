package io.dualwrite.jdbc;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.config.Setting;
import io.dualwrite.config.Settings;
import io.dualwrite.control.ControlSchema;
import io.dualwrite.control.Direction;
import io.dualwrite.control.Incarnation;
import io.dualwrite.control.Phase;
import io.dualwrite.control.Roles;
import io.dualwrite.control.RolesFile;
import io.dualwrite.control.Side;
import io.dualwrite.converge.ApplyLimits;
import io.dualwrite.converge.Background;
import io.dualwrite.converge.Convergence;
import io.dualwrite.converge.ConvergenceOptions;
import io.dualwrite.converge.CountMismatchException;
import io.dualwrite.converge.Marker;
import io.dualwrite.converge.MirrorWriter;
import io.dualwrite.converge.Replayer;
import io.dualwrite.converge.Triggers;
import io.dualwrite.journal.Intent;
import io.dualwrite.journal.Journal;
import io.dualwrite.journal.JournalException;
import io.dualwrite.journal.Outcome;
import io.dualwrite.journal.RowChange;
import io.dualwrite.journal.Suspect;
import io.dualwrite.shadow.ShadowReads;
import io.dualwrite.sql.RowOrder;
import io.dualwrite.sql.Sql;
import io.dualwrite.sql.SqlCache;
import io.github.resilience4j.circuitbreaker.CircuitBreaker;
import java.io.IOException;
import java.nio.file.Path;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.SortedMap;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.postgresql.PGConnection;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The write path behind the wrappers; one per DataSource.
 *
 * <p>A commit, and why no crash between two of its steps loses or doubles anything (guarantee G2,
 * and the rules' names in the protocol's model):
 *
 * <ol>
 *   <li>The unit of work is flushed to the mirror, in a transaction that stays open, while the
 *       primary's transaction still holds its row locks (FLUSH_BEFORE_COMMIT). Whoever writes one
 *       of these rows next gets it on the primary only after step 3 and so arrives at the mirror
 *       later: the order per row is the same on both, without any coordination. A count that
 *       differs rolls the mirror back (MISMATCH_ROLLS_BACK).
 *   <li>The intent is appended to the journal (INTENT_BEFORE_COMMIT). From here on a crash leaves a
 *       pending intent.
 *   <li>The primary commits; its answer is the application's.
 *   <li>The mirror commits, on another thread.
 *   <li>The intent is resolved.
 * </ol>
 *
 * Whatever did not go this way (the mirror was away, slow, disagreed, or its COMMIT was not
 * answered) stays pending and is made equal from the primary's current state by the {@link
 * Replayer}; nothing is ever replayed over newer rows.
 */
final class DualWriter implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(DualWriter.class);
  private static final Duration CATALOG_RETRY = Duration.ofSeconds(2);
  private static final Duration PREPARED = Duration.ofSeconds(30);

  /** A role that may not write there, or a server that takes no writes. */
  private static final Set<String> MAY_NOT = Set.of("42501", "25006", "0A000");

  /** How often the control row is looked at. */
  private static final Duration LOOK = Duration.ofSeconds(5);

  final Settings settings;
  final SqlCache texts;
  final Gate gate = new Gate();
  final Journal journal;
  final Counters counters = new Counters();
  final CircuitBreaker breaker;
  final ShadowReads shadow;

  private final Database source;
  private final Database target;
  private final boolean async;
  private final boolean audit;
  private final long unitMaxBytes;
  final int readBackMaxRows;
  private final Healer healer;
  private final ApplyLimits limits;
  private final Duration flushTimeout;
  private final Path directory;
  private final CommitStep.Listener steps;
  private final ExecutorService commits;

  /** How many commits are under way, up to the primary's answer. */
  private final AtomicInteger committing = new AtomicInteger();

  /** Mirror commits that have been handed on and are not answered. */
  private final Set<OpenCommit> open = ConcurrentHashMap.newKeySet();

  private final Cache<Object, String> incarnations =
      Caffeine.newBuilder().weakKeys().executor(Runnable::run).build();
  private final ReentrantLock changing = new ReentrantLock();
  private final Thread checker;
  private final ReentrantLock catalogs = new ReentrantLock();
  private final AtomicInteger routines = new AtomicInteger();
  private final AtomicInteger catalogVersion = new AtomicInteger();
  private volatile boolean compared;

  /** Whether the mirror has the control schema, and no triggers that fire. */
  private volatile boolean prepared;

  /** Whether the replayer of these roles runs. */
  private final AtomicBoolean started = new AtomicBoolean();

  private final AtomicBoolean saidDirect = new AtomicBoolean();

  /** Where others can see that this process writes: see {@link #register}. */
  private final Set<Side> registered = ConcurrentHashMap.newKeySet();

  /** The roles whose primary has been looked at: see {@link #preparePrimary}. */
  private volatile Roles servable;

  private final ReentrantLock preparing = new ReentrantLock();

  private volatile Map<TableName, Boolean> sameOnBoth = Map.of();
  private volatile boolean closed;
  private volatile Epoch epoch;

  /** Whether writes have ever been mirrored. */
  private boolean mirrored;

  /** Why nothing is begun any more; null if all is well. */
  private volatile String halted;

  /** How many seconds connecting to the primary may take; 0 for the driver's default. */
  volatile int loginTimeout;

  DualWriter(Settings settings, Database source, Database target, Journal journal, Path directory) {
    this.settings = settings;
    this.source = source;
    this.target = target;
    this.journal = journal;
    texts = new SqlCache(settings.integer(Setting.STATEMENT_CACHE));
    async = settings.choice(Setting.MIRROR).equals("async");
    audit = settings.bool(Setting.AUDIT);
    unitMaxBytes =
        Math.min(settings.bytes(Setting.UNIT_MAX_BYTES), Runtime.getRuntime().maxMemory() / 8);
    readBackMaxRows = settings.integer(Setting.READBACK_MAX_ROWS);
    flushTimeout = settings.duration(Setting.MIRROR_FLUSH_TIMEOUT);
    limits =
        new ApplyLimits(
            settings.duration(Setting.MIRROR_LOCK_TIMEOUT),
            flushTimeout,
            flushTimeout.multipliedBy(10));
    this.directory = directory;
    steps = CommitStep.fromSystemProperty();
    breaker = Breaker.of(settings);
    int threads = settings.integer(Setting.MIRROR_POOL_SIZE);
    AtomicInteger n = new AtomicInteger();
    ThreadPoolExecutor pool =
        new ThreadPoolExecutor(
            threads,
            threads,
            30,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            r -> {
              Thread t = new Thread(r, "dualwrite-mirror-commit-" + n.incrementAndGet());
              t.setDaemon(true);
              return t;
            });
    pool.allowCoreThreadTimeOut(true);
    commits = pool;
    Optional<RolesFile> before = RolesFile.read(directory);
    OptionalLong word = epochOf(target);
    Roles roles = readRoles(before, word);
    Phase phase = beginWith(roles, before);
    mirrored = phase.mirrors() || before.isPresent() && before.get().mirrored();
    if (phase.mirrors() && before.isPresent() && before.get().phase() != null) {
      suspectAfter(before.get().phase(), before.get().mirrored());
    }
    RolesFile now = new RolesFile(roles, false, phase, mirrored);
    if (before.isEmpty() || !before.get().equals(now)) {
      try {
        writeRoles(now);
      } catch (SQLException e) {
        throw new JournalException(e.getMessage(), e);
      }
    }
    epoch = epoch(roles, phase);
    if (word.isPresent()) {
      enter();
    }
    shadow =
        new ShadowReads(
            new Connections(() -> now().primary().reader()),
            new Connections(() -> now().mirror().reader()),
            settings,
            this::caughtUp);
    checker = Background.thread("dualwrite-mirror-check", this::prepareMirror);
    checker.start();
    healer = new Healer(this, settings.choice(Setting.RECONCILE).equals("auto"));
  }

  /** Before anything is written. */
  private void enter() {
    try (Connection c = target.engine()) {
      register(epoch, target, c);
    } catch (SQLException e) {
      if (halted != null || "55P03".equals(e.getSQLState())) {
        throw new JournalException(e.getMessage(), e);
      }
      log.debug("the target is not told yet that this process writes", e);
    }
  }

  Epoch now() {
    return epoch;
  }

  private boolean caughtUp() {
    return journal.pendingCount() == 0 && journal.inFlightCount() == 0;
  }

  private Epoch epoch(Roles roles, Phase phase) {
    Database primary = roles.primary() == Side.SOURCE ? source : target;
    Database mirror = roles.primary() == Side.SOURCE ? target : source;
    Convergence convergence =
        new Convergence(
                primary.engineDataSource(),
                mirror.engineDataSource(),
                primary.catalog,
                mirror.catalog,
                ConvergenceOptions.DEFAULT.withMaxRate(
                    settings.integer(Setting.RECONCILE_MAX_RATE)))
            .in(direction(roles));
    return new Epoch(
        roles,
        phase,
        phase.mirrors(),
        primary,
        mirror,
        new Planner(primary.catalog, t -> sameOnBoth.getOrDefault(t, false)),
        Epoch.cache(settings.integer(Setting.STATEMENT_CACHE)),
        convergence,
        new Replayer(journal, convergence));
  }

  /** For as long as this process has these roles. */
  private Direction direction(Roles roles) {
    return new Direction() {
      @Override
      public Side primary() {
        return roles.primary();
      }

      @Override
      public void check() throws SQLException {
        Epoch e = epoch; // none yet while the first is made
        if (e != null && !e.roles().equals(roles)) {
          throw new SQLException("the roles were exchanged meanwhile", "55000");
        }
      }
    };
  }

  // ---- plans

  /**
   * The plan for a text.
   *
   * @param names what the connection's names mean; see {@link Epoch.Key}
   * @param cache where it is kept: the epoch's, or the connection's own while its search path is
   *     its own
   */
  Planned.Known plan(
      Planner planner,
      String sql,
      List<String> keys,
      String names,
      Connection primary,
      Cache<Epoch.Key, Planned.Known> cache)
      throws SQLException {
    Epoch.Key key = new Epoch.Key(sql, keys, names);
    int version = catalogVersion.get(); // first: what is planned during a change is old after it
    Planned.Known known = cache.getIfPresent(key);
    if (known == null || known.old(version)) {
      Sql text = texts.get(sql);
      Plan plan = byPolicy(planner.plan(text, keys, primary));
      long until = planner.mayChange(text, primary) ? System.nanoTime() + Catalog.BELIEVED | 1 : 0;
      known = new Planned.Known(plan, version, cache, until);
      if (!known.once()) {
        cache.put(key, known);
      }
    }
    return known;
  }

  /** What the operator wants done with a statement whose text does not tell what it writes. */
  Plan byPolicy(Plan plan) {
    Unmirrored kind =
        plan instanceof Plan.Observed o
            ? o.kind()
            : plan instanceof Plan.Truncate
                ? Unmirrored.TRUNCATE
                : plan instanceof Plan.Copy
                    ? Unmirrored.COPY
                    : plan instanceof Plan.Refuse r ? r.kind() : null;
    return kind == null ? plan : byPolicy(plan, kind);
  }

  /** As {@link #byPolicy(Plan)}, for a statement of that kind. */
  Plan byPolicy(Plan plan, Unmirrored kind) {
    return switch (settings.choice(kind.policy())) {
      case "primary-only" -> new Plan.PrimaryOnly(kind);
      case "reject" ->
          plan instanceof Plan.Refuse
              ? plan
              : new Plan.Refuse(
                  kind,
                  "dualwrite refuses this statement: its text does not tell every row that it writes ("
                      + kind.policy().key()
                      + "=reject)");
      default -> plan;
    };
  }

  UnitOfWork newUnit(Epoch epoch, Connection primary) {
    return new UnitOfWork(unitMaxBytes, (unit, changes) -> spill(epoch, primary, unit, changes));
  }

  /** See {@link UnitOfWork}: a part of a large transaction, which is still open. */
  private long spill(Epoch epoch, Connection primary, UnitOfWork unit, List<RowChange> changes)
      throws SQLException {
    Xact x =
        unit.incarnation() == null
            ? xact(primary)
            : new Xact(unit.xid(), unit.pid(), unit.incarnation(), true);
    long sequence = nextSequence();
    try {
      if (journal.append(intent(epoch, sequence, x, changes))) {
        counters.spilled.increment();
        if (unit.parts().isEmpty()) { // the first: the connection may be lost, and all with it
          List<UnitOfWork.Part> parts = unit.parts();
          Gate.onceLost(unit, () -> unknown(parts));
        }
        return sequence;
      }
      return -1;
    } catch (JournalException e) {
      throw unrecorded(e);
    }
  }

  /** The large transaction was rolled back, or a savepoint was that came before these parts. */
  void dropped(List<UnitOfWork.Part> parts) {
    parts.forEach(p -> resolved(p.sequence()));
  }

  /** The connection is gone, and with it what became of the transaction. */
  void unknown(UnitOfWork unit) {
    unknown(unit.parts());
  }

  /** Changes nothing of those of which it is known. */
  private void unknown(List<UnitOfWork.Part> parts) {
    parts.forEach(p -> release(p.sequence(), Outcome.UNKNOWN));
    if (!parts.isEmpty()) {
      now().replayer().wake();
    }
  }

  // ---- commit

  /** A commit of the mirror's that has been handed on and is not answered. */
  private static final class OpenCommit {
    final CompletableFuture<Void> ended = new CompletableFuture<>();
    final boolean statements;
    private final AtomicBoolean begun = new AtomicBoolean();

    OpenCommit(boolean statements) {
      this.statements = statements;
    }

    /** Whether nobody else works on it. */
    boolean begin() {
      return begun.compareAndSet(false, true);
    }
  }

  /** The mirror's half of a commit in progress. */
  private static final class Flushed {
    final Connection mirror;

    Flushed(Connection mirror) {
      this.mirror = mirror;
    }

    void rollback() {
      try (mirror) {
        mirror.rollback();
      } catch (SQLException e) {
        log.debug(
            "the mirror's transaction could not be rolled back; its connection is dropped", e);
      }
    }
  }

  /**
   * Commits the primary's transaction and sees to it that the mirror gets the unit of work.
   *
   * @throws SQLException what the primary answered; never anything of the mirror's
   */
  void commit(Epoch epoch, Connection primary, UnitOfWork unit) throws SQLException {
    committing.incrementAndGet();
    try {
      commitUnit(epoch, primary, unit);
    } finally {
      committing.decrementAndGet();
    }
  }

  private void commitUnit(Epoch epoch, Connection primary, UnitOfWork unit) throws SQLException {
    counters.units.increment();
    steps.at(CommitStep.ASKED);
    Xact x;
    try {
      x = complete(primary, unit);
    } catch (SQLException | RuntimeException | Error e) {
      dropped(unit.parts()); // the primary was not asked to commit, and never will be
      throw e;
    }
    if (unit.changes().isEmpty()) {
      commitParts(epoch, primary, unit, x);
      return;
    }
    long sequence = nextSequence();
    Flushed flushed;
    try {
      flushed =
          async || unit.alone() || !Rules.FLUSH_BEFORE_COMMIT.on()
              ? null
              : flush(epoch, unit, sequence);
    } catch (Error e) {
      resolved(sequence); // a number that was handed out has to come to an end
      throw e;
    }
    steps.at(CommitStep.FLUSHED);
    boolean recorded = false;
    try {
      if (Rules.INTENT_BEFORE_COMMIT.on()) {
        recorded = journal.append(intent(epoch, sequence, x, unit.changes()));
      }
    } catch (RuntimeException | Error e) {
      if (flushed != null) {
        flushed.rollback();
      }
      rollbackQuietly(primary);
      if (e instanceof JournalException j) {
        throw unrecorded(j);
      }
      resolved(sequence); // recorded or not, it comes to nothing
      throw e;
    }
    steps.at(CommitStep.INTENT_APPENDED);
    try {
      primary.commit();
    } catch (SQLException | RuntimeException | Error e) {
      if (flushed != null) {
        flushed.rollback();
      }
      Optional<Outcome> outcome = outcome(primary, e);
      if (recorded) {
        ended(epoch, List.of(sequence), outcome);
      } else if (outcome.isEmpty()) {
        notLacking(sequence);
      }
      throw e;
    }
    steps.at(CommitStep.PRIMARY_COMMITTED);
    if (!Rules.SUSPECT_BEFORE_COMMIT.on()) {
      suspects(primary, unit, x);
    }
    if (!Rules.INTENT_BEFORE_COMMIT.on()) {
      recorded = journal.append(intent(epoch, sequence, x, unit.changes()));
    }
    if (!Rules.FLUSH_BEFORE_COMMIT.on() && !async && !unit.alone()) {
      flushed = flush(epoch, unit, sequence);
    }
    if (flushed == null) {
      counters.left.increment();
      if (recorded) {
        ended(epoch, List.of(sequence), Optional.of(Outcome.COMMITTED));
      }
      return;
    }
    OpenCommit done = new OpenCommit(unit.statements());
    open.add(done);
    Flushed half = flushed;
    boolean noted = recorded;
    Runnable rest = () -> commitMirror(epoch, half, sequence, noted, done);
    try {
      commits.execute(rest);
    } catch (RejectedExecutionException | OutOfMemoryError e) {
      rest.run(); // closing, or there can be no more threads: perhaps nobody else will
    }
  }

  /** What has to be known, and durable, before anything is flushed. */
  private Xact complete(Connection primary, UnitOfWork unit) throws SQLException {
    Xact x = xact(primary, unit);
    if (!unit.named().isEmpty()) {
      taken(primary, unit);
    }
    if (!x.asKnown || unit.oddFormats()) {
      new Recapture(this, primary, unit).run(unit.oddFormats());
    }
    if (Rules.SUSPECT_BEFORE_COMMIT.on()) {
      suspects(primary, unit, x);
    }
    if (!unit.parts().isEmpty()) {
      unit.spill(); // the last part joins the others
    }
    return x;
  }

  /** A table has come that took over the name of another: which of them was written to? */
  private void taken(Connection primary, UnitOfWork unit) throws SQLException {
    List<TableName> names = List.copyOf(unit.named().keySet());
    try (PreparedStatement s =
        primary.prepareStatement(
            // to_regclass sees what is there now, in any transaction, but may not look everywhere
            "select x.i from unnest(?::text[], ?::text[]) with ordinality x(s, n, i)"
                + " join pg_catalog.pg_namespace n on n.nspname = x.s"
                + " where case when pg_catalog.has_schema_privilege(n.oid, 'usage')"
                + " then pg_catalog.to_regclass(pg_catalog.format('%I.%I', x.s, x.n)) is not null else false end")) {
      s.setArray(1, primary.createArrayOf("text", names.stream().map(TableName::schema).toArray()));
      s.setArray(2, primary.createArrayOf("text", names.stream().map(TableName::name).toArray()));
      boolean any = false;
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          any = true;
          TableName now = names.get(r.getInt(1) - 1);
          TableName then = unit.named().get(now).name();
          counters.suspects.add(2);
          unit.suspect(
              now, "it took over the name of " + then + " while a transaction was writing");
          unit.suspect(then, now + " took over its name while a transaction was writing");
        }
      }
      if (any) {
        catalogChanged();
      }
    }
  }

  private void commitMirror(
      Epoch epoch, Flushed flushed, long sequence, boolean recorded, OpenCommit done) {
    if (!done.begin()) {
      return;
    }
    try {
      try (Connection mirror = flushed.mirror) {
        MirrorWriter.commit(mirror); // only the tag COMMIT counts
      }
      steps.at(CommitStep.MIRROR_COMMITTED);
      counters.direct.increment();
      if (recorded) {
        resolved(sequence);
      } else {
        notLacking(sequence);
      }
      steps.at(CommitStep.RESOLVED_APPENDED);
    } catch (SQLException | RuntimeException | Error e) {
      // it may have committed all the same: the replayer makes sure, and keyless rows have their
      // marker
      if (recorded) {
        release(sequence, Outcome.COMMITTED);
        epoch.replayer().wake();
      }
      counters.left.increment();
      log.debug("the mirror did not confirm a commit; the unit of work stays pending", e);
    } finally {
      open.remove(done);
      done.ended.complete(null);
    }
  }

  /** A unit of which everything is in the journal already, or that only opened suspects. */
  private void commitParts(Epoch epoch, Connection primary, UnitOfWork unit, Xact x)
      throws SQLException {
    List<Long> sequences = unit.parts().stream().map(UnitOfWork.Part::sequence).toList();
    steps.at(CommitStep.INTENT_APPENDED);
    try {
      primary.commit();
    } catch (SQLException | RuntimeException | Error e) {
      ended(epoch, sequences, outcome(primary, e));
      throw e;
    }
    steps.at(CommitStep.PRIMARY_COMMITTED);
    if (!Rules.SUSPECT_BEFORE_COMMIT.on()) {
      suspects(primary, unit, x);
    }
    if (!sequences.isEmpty()) {
      counters.left.increment();
      ended(epoch, sequences, Optional.of(Outcome.COMMITTED));
    }
  }

  /** What the primary's failure to answer COMMIT says of the transaction: empty if it aborted. */
  private Optional<Outcome> outcome(Connection primary, Throwable e) {
    if (e instanceof SQLException s && aborted(primary, s)) {
      return Optional.empty();
    }
    counters.unknownOutcome.increment();
    return Optional.of(Outcome.UNKNOWN);
  }

  private long nextSequence() throws SQLException {
    try {
      return journal.nextSequence();
    } catch (JournalException e) {
      throw unrecorded(e);
    }
  }

  /**
   * The application learns what became of its transaction, and nothing of the journal: what cannot
   * be noted any more is found out by whoever opens it next.
   */
  private void resolved(long sequence) {
    try {
      journal.resolved(sequence);
    } catch (JournalException e) {
      log.debug("an intent stays pending that is resolved", e);
    }
  }

  /**
   * The mirror has the statements of a unit that the journal could not record, if there were any.
   */
  private void notLacking(long sequence) {
    try {
      for (Suspect s : journal.suspects()) {
        if (s.table().equals(Suspect.statements(sequence))) {
          journal.closeSuspect(s);
        }
      }
    } catch (JournalException e) {
      log.debug("a suspect stays open that stands for nothing", e);
    }
  }

  /** As {@link #resolved}. */
  private void release(long sequence, Outcome outcome) {
    try {
      journal.release(sequence, outcome);
    } catch (JournalException e) {
      log.debug("what became of an intent's transaction cannot be noted", e);
    }
  }

  /** No commit works on these intents any more. */
  private void ended(Epoch epoch, List<Long> sequences, Optional<Outcome> outcome) {
    for (long s : sequences) {
      if (outcome.isEmpty()) {
        resolved(s);
      } else {
        release(s, outcome.get());
      }
    }
    if (outcome.isPresent()) {
      epoch.replayer().wake();
    }
  }

  /** The unit's suspects, durably and before the primary commits (rule 8). */
  private void suspects(Connection primary, UnitOfWork unit, Xact x) throws SQLException {
    if (unit.suspects().isEmpty()) {
      return;
    }
    try {
      for (Map.Entry<TableName, String> s : unit.suspects().entrySet()) {
        journal.suspect(
            new Suspect(
                s.getKey(), s.getValue(), System.currentTimeMillis() * 1000, x.incarnation, x.xid));
      }
    } catch (JournalException e) {
      rollbackQuietly(primary);
      throw unrecorded(e);
    }
    healer.wake();
    steps.at(CommitStep.SUSPECTS_OPENED);
  }

  private static SQLException unrecorded(JournalException e) {
    return new SQLException(
        "the transaction was rolled back, because it could not be recorded: " + e.getMessage(),
        "58030",
        e);
  }

  /**
   * The primary's transaction.
   *
   * @param asKnown whether the tables are still what they were when rows of them were captured
   */
  private record Xact(long xid, int pid, String incarnation, boolean asKnown) {}

  private Xact xact(Connection primary) throws SQLException {
    return xact(primary, new UnitOfWork(unitMaxBytes, (u, c) -> -1));
  }

  /** Asks now for what an intent needs to know: later the connection may be busy with a COPY. */
  void identify(Connection primary, UnitOfWork unit) throws SQLException {
    if (unit.incarnation() == null) {
      Xact x = xact(primary);
      unit.identify(x.xid, x.pid, x.incarnation);
    }
  }

  private Xact xact(Connection primary, UnitOfWork unit) throws SQLException {
    if (unit.proven()) {
      return new Xact(unit.xid(), unit.pid(), incarnation(primary), true);
    }
    try (PreparedStatement s =
        primary.prepareStatement(
            "select pg_catalog.pg_current_xact_id()::text, pg_catalog.pg_backend_pid(), "
                + Catalog.SEES_NOW
                + ", "
                + Catalog.VERSIONS)) {
      s.setArray(1, oids(primary, unit.relied()));
      try (ResultSet r = s.executeQuery()) {
        r.next();
        boolean known =
            versions(unit.relied()).equals(Objects.requireNonNullElse(r.getString(4), ""));
        if (!r.getBoolean(3) && !unit.relied().isEmpty()) {
          knownNow(unit);
        }
        return new Xact(Long.parseLong(r.getString(1)), r.getInt(2), incarnation(primary), known);
      }
    }
  }

  /**
   * A transaction with one snapshot cannot see what its tables are now, nor read its rows by that:
   * another one looks, and tables that it does not know become suspects. The transaction's own DDL
   * is not to be seen there, which makes suspects, too.
   */
  private void knownNow(UnitOfWork unit) {
    boolean known;
    try (Connection c = now().primary().engineDataSource().getConnection()) {
      known = asKnown(c, unit.relied());
    } catch (SQLException e) {
      log.debug("what the tables of a transaction are now cannot be told", e);
      known = false;
    }
    if (!known) {
      unit.relied()
          .values()
          .forEach(
              t ->
                  unit.suspect(
                      t.name(), "a transaction wrote to it whose snapshot was older than it"));
      catalogChanged();
    }
  }

  /** As the tables were when rows of them were captured. */
  private static String versions(SortedMap<Long, Table> tables) {
    return tables.values().stream().map(Table::version).collect(Collectors.joining(";"));
  }

  private static Array oids(Connection c, SortedMap<Long, Table> tables) throws SQLException {
    return c.unwrap(PGConnection.class)
        .createArrayOf("oid", tables.keySet().stream().mapToLong(Long::longValue).toArray());
  }

  /** Whether these tables are what the catalog says. */
  static boolean asKnown(Connection c, SortedMap<Long, Table> tables) throws SQLException {
    try (PreparedStatement s = c.prepareStatement("select " + Catalog.VERSIONS)) {
      s.setArray(1, oids(c, tables));
      try (ResultSet r = s.executeQuery()) {
        r.next();
        return versions(tables).equals(Objects.requireNonNullElse(r.getString(1), ""));
      }
    }
  }

  private static Intent intent(Epoch epoch, long sequence, Xact x, List<RowChange> changes) {
    return new Intent(
        sequence,
        System.currentTimeMillis() * 1000,
        epoch.roles().epoch(),
        x.incarnation,
        x.xid,
        x.pid,
        changes);
  }

  private static void rollbackQuietly(Connection primary) {
    try {
      primary.rollback();
    } catch (SQLException e) {
      log.debug("the primary's transaction could not be rolled back; its connection is gone", e);
    }
  }

  /**
   * Whether the primary's answer to COMMIT proves that the transaction is not committed. Anything
   * else is unknown.
   */
  static boolean aborted(Connection primary, SQLException e) {
    String state = e.getSQLState();
    try {
      return state != null
          && !primary.isClosed()
          && !state.equals("25P01") // there was no transaction: each statement has committed
          && (state.startsWith("23") || state.startsWith("25") || state.startsWith("40"));
    } catch (SQLException closed) {
      return false;
    }
  }

  // ---- flush

  /** The unit on the mirror, uncommitted; null if it stays pending. */
  private Flushed flush(Epoch epoch, UnitOfWork unit, long sequence) {
    if (!prepared
        || (unit.statements() ? !caughtUpInTime() : behindStatements())
        || !breaker.tryAcquirePermission()) {
      return null;
    }
    long start = System.nanoTime();
    Marker marker = unit.marked() ? new Marker(journal.writer(), sequence) : null;
    for (int attempt = 0; ; attempt++) {
      Connection mirror = null;
      boolean kept = false;
      try {
        mirror = epoch.mirror().mirror();
        mirror.setAutoCommit(false);
        epoch.mirror().writer.apply(mirror, unit.changes(), marker, limits);
        kept = true;
        breaker.onSuccess(System.nanoTime() - start, TimeUnit.NANOSECONDS);
        return new Flushed(mirror);
      } catch (CountMismatchException e) {
        if (attempt == 0 && retry(mirror)) {
          continue;
        }
        counters.mismatched.increment();
        breaker.onSuccess(System.nanoTime() - start, TimeUnit.NANOSECONDS);
        log.debug("a unit of work stays pending: {}", e.getMessage());
        return null;
      } catch (SQLException e) {
        if (attempt == 0 && Breaker.transientConflict(e) && retry(mirror)) {
          continue;
        }
        if (attempt == 0
            && mirror != null
            && Breaker.staleConnection(e, System.nanoTime() - start)) {
          continue; // RETRY_IS_FRESH: another connection, another transaction
        }
        if (Breaker.counts(e)) {
          breaker.onError(System.nanoTime() - start, TimeUnit.NANOSECONDS, e);
        } else {
          breaker.onSuccess(System.nanoTime() - start, TimeUnit.NANOSECONDS);
        }
        log.debug("a unit of work stays pending", e);
        return null;
      } catch (RuntimeException | OutOfMemoryError e) {
        breaker.onError(System.nanoTime() - start, TimeUnit.NANOSECONDS, e);
        log.warn("a unit of work could not be put on the mirror and stays pending", e);
        return null;
      } finally {
        if (!kept && mirror != null) {
          new Flushed(mirror).rollback();
        }
      }
    }
  }

  /**
   * Whether the mirror has all that was written before: statements go in their order, and a DROP
   * may be pending, or in flight, of what the one at hand makes.
   */
  private boolean caughtUpInTime() {
    return caughtUp() || (awaitOpenCommits(flushTimeout) && caughtUp());
  }

  /**
   * Whether statements (DDL) have not reached the mirror: what was written after them must not
   * arrive before them. Their intent is in the journal before the primary commits them, and until
   * then whoever is affected waits for the locks that they hold there.
   */
  private boolean behindStatements() {
    return !journal.barriers().isEmpty()
        && !(await(open.stream().filter(o -> o.statements), flushTimeout)
            && journal.barriers().isEmpty());
  }

  /**
   * A parent row, or the row itself, may be on its way: committed on the primary, while the
   * mirror's commit is still in some other thread. Lets those commits end before the second and
   * last try.
   */
  private boolean retry(Connection mirror) {
    counters.retried.increment();
    try {
      mirror.rollback();
    } catch (SQLException e) {
      return false;
    }
    return awaitOpenCommits(flushTimeout);
  }

  private boolean awaitOpenCommits(Duration timeout) {
    return await(open.stream(), timeout);
  }

  private static boolean await(Stream<OpenCommit> commits, Duration timeout) {
    try {
      CompletableFuture.allOf(commits.map(o -> o.ended).toArray(CompletableFuture<?>[]::new))
          .get(timeout.toMillis(), TimeUnit.MILLISECONDS);
      return true;
    } catch (TimeoutException e) {
      return false;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    } catch (java.util.concurrent.ExecutionException e) {
      throw new AssertionError(e); // they are only ever completed normally
    }
  }

  /**
   * The incarnation of the server that the connection leads to: asked once per connection, which
   * cannot outlive it.
   */
  private String incarnation(Connection primary) throws SQLException {
    Object physical = primary.unwrap(PGConnection.class);
    String known = incarnations.getIfPresent(physical);
    if (known == null) {
      known = Incarnation.of(primary);
      incarnations.put(physical, known);
    }
    return known;
  }

  // ---- the catalog

  int catalogVersion() {
    return catalogVersion.get();
  }

  /** The mirror numbers its jobs otherwise, and they rest until it is the primary. */
  void jobsChanged() {
    counters.primaryOnly(Unmirrored.ROUTINE);
    log.warn(
        "a transaction added, changed or deleted jobs or policies of TimescaleDB; that is not mirrored:"
            + " do the same on the target");
  }

  /** Said once: TimescaleDB would return no rows, by which they are captured. */
  void directCompressOff() {
    if (saidDirect.compareAndSet(false, true)) {
      log.warn(
          "timescaledb.enable_direct_compress_insert and …_copy are switched off in the application's"
              + " sessions: the server returns and counts no rows that are compressed before they are written");
    }
  }

  /** DDL has been committed: what is known of the tables, and every plan, is old. */
  void catalogChanged() {
    Epoch e = now();
    catalogs.lock();
    try {
      sameOnBoth = Map.of();
      compared = false;
      e.primary().catalog.invalidate();
      e.mirror().catalog.invalidate();
      catalogVersion.incrementAndGet(); // last: a plan of this version knows nothing older
    } finally {
      catalogs.unlock();
    }
    LockSupport.unpark(checker);
  }

  // ---- routines that commit by themselves

  /**
   * The suspect that stands for every table while routines run that commit by themselves, as the
   * last of them opened it; null if it stands for more. Guarded by {@link #routinesBegin}.
   */
  private Suspect everything;

  private final ReentrantLock routinesBegin = new ReentrantLock();

  void suspectEverything(Connection primary) throws SQLException {
    routines.incrementAndGet();
    routinesBegin.lock();
    try {
      Xact x = xact(primary);
      Optional<Suspect> before = suspectOfAll();
      journal.suspect(
          new Suspect(
              RowChange.NO_TABLE,
              "a routine that commits by itself was running",
              System.currentTimeMillis() * 1000,
              x.incarnation,
              x.xid));
      everything =
          before.isEmpty() || before.get().equals(everything) ? suspectOfAll().orElse(null) : null;
    } catch (SQLException | RuntimeException e) {
      routines.decrementAndGet();
      throw e;
    } finally {
      routinesBegin.unlock();
    }
  }

  /** It is over: only these tables are suspect. */
  void suspectOnly(Set<TableName> tables, Connection primary) throws SQLException {
    Xact x = xact(primary);
    for (TableName t : tables) {
      counters.suspects.increment();
      journal.suspect(
          new Suspect(
              t,
              "a routine that commits by itself wrote to it",
              System.currentTimeMillis() * 1000,
              x.incarnation,
              x.xid));
    }
    routinesBegin.lock();
    try {
      // no other one runs, for which it would stand too
      if (routines.get() == 1 && everything != null) {
        journal.closeSuspect(everything); // unless something was added to it
        everything = null;
      }
    } finally {
      routinesBegin.unlock();
    }
  }

  private Optional<Suspect> suspectOfAll() {
    return journal.suspects().stream().filter(s -> s.table().equals(RowChange.NO_TABLE)).findAny();
  }

  /**
   * Whatever became of it.
   *
   * @param told whether {@link #suspectOnly} was called; else everything stays suspect
   */
  void routineEnded(boolean told) {
    if (!told) {
      routinesBegin.lock();
      try {
        everything = null;
      } finally {
        routinesBegin.unlock();
      }
    }
    routines.decrementAndGet();
    healer.wake();
  }

  /** Whether such a routine runs now: what it writes is not all there yet. */
  boolean routineRuns() {
    return routines.get() > 0;
  }

  // ---- the mirror, prepared in the background

  /**
   * Whether the primary of these roles may be written to: once, before anything is, it is asked
   * whether it is the primary at all, and those of its triggers are switched on that a process left
   * off which died, or was cut off, in a cutover.
   */
  private void preparePrimary(Epoch e, Connection primary) throws SQLException {
    // a connection that was asked for during an exchange follows to the new primary later
    if (e.roles().equals(servable) || !e.roles().equals(now().roles())) {
      return;
    }
    preparing.lock();
    try {
      if (!e.roles().equals(servable)) {
        register(e, e.primary(), primary);
        triggersOn(primary);
        servable = e.roles();
      }
    } finally {
      preparing.unlock();
    }
  }

  /**
   * Says on a side, where it has the tables for it, that this process writes, before it does: who
   * exchanges the roles holds the control row of either side, so that this one finds the roles
   * exchanged, or is seen and in the way. Also tells the side what it does not know: of an exchange
   * whose commit failed there, or, being another target than before, of those that were.
   */
  private void register(Epoch e, Database side, Connection c) throws SQLException {
    boolean auto = c.getAutoCommit();
    c.setAutoCommit(false);
    try {
      Optional<ControlSchema.Row> there;
      try {
        there = ControlSchema.row(c);
      } finally {
        c.rollback();
      }
      if (there.isPresent()) {
        compareEpochs(e, side, there.get().epoch());
        tell(e, side, c);
      }
    } finally {
      c.setAutoCommit(auto);
    }
  }

  private void tell(Epoch e, Database side, Connection c) throws SQLException {
    try {
      try (Statement s = c.createStatement()) {
        s.execute("set transaction read write; set local lock_timeout = '30s'");
      }
      ControlSchema.Row there = ControlSchema.hold(c).orElseThrow();
      compareEpochs(e, side, there.epoch());
      if (there.paused() && !registered.contains(Side.TARGET)) {
        throw new SQLException(
            "whether the roles were exchanged when a process ended is not known, and the target, which knows, cannot be reached",
            "55000");
      }
      ControlSchema.register(c, journal.writer(), e.capturing());
      if (there.epoch() < e.roles().epoch() || there.paused()) {
        record(c, e.roles(), e.phase());
      }
      if (side == target) {
        agree(c, there.phase(), e.phase());
      }
      c.commit();
      registered.add(side.side);
    } catch (SQLException x) {
      c.rollback();
      if ("55P03".equals(x.getSQLState())) {
        throw new SQLException(
            "another process exchanges the roles just now; try again when it is over", "55P03", x);
      }
      if (!MAY_NOT.contains(x.getSQLState())) {
        throw x;
      }
      log.debug("the {} cannot be told that this process writes", side.side, x);
    }
  }

  /**
   * The control row's phase is one that does not mirror from when the first process writes in one
   * until somebody has made everything suspect: no cutover before that.
   */
  private void agree(Connection target, Phase there, Phase here) throws SQLException {
    if (here.mirrors() && !there.mirrors()) {
      suspectAfter(there, true);
    }
    if (here.mirrors() ? !there.mirrors() : owes(here, mirrored)) {
      setPhase(target, here);
    }
  }

  private static void setPhase(Connection target, Phase phase) throws SQLException {
    try (Statement s = target.createStatement()) {
      s.execute("update dualwrite.control set phase = '" + phase + "'");
    }
  }

  /** A connection to the primary, for the application. */
  Connection connect(Epoch e) throws SQLException {
    Connection c = e.primary().primary(loginTimeout);
    try {
      preparePrimary(e, c);
      return c;
    } catch (SQLException | RuntimeException x) {
      c.close();
      throw x;
    }
  }

  /**
   * As soon as both databases can be reached: compares the catalogs and, once writes are captured,
   * installs the control schema and starts the replayer.
   */
  private void prepareMirror() {
    boolean told = false;
    while (!closed && halted == null) {
      boolean well = ready() && now().roles().equals(servable);
      if (well) {
        LockSupport.parkNanos(this, LOOK.toNanos());
      }
      try {
        Epoch e = now();
        if (!e.roles().equals(servable)) { // whether or not the mirror can be reached
          try (Connection c = e.primary().engine()) {
            preparePrimary(e, c);
          }
        }
        look();
        if (!compared) {
          try (Connection t = target.engine();
              Connection s = source.engine()) {
            compare(s, t);
          }
        }
        if (!prepared && now().capturing()) {
          prepareMirror(now());
        }
        continue;
      } catch (SQLException | RuntimeException e) {
        if (!told && !closed && !well && halted == null) {
          log.warn(
              "the mirror is not ready, units of work stay in the journal: {}", e.getMessage());
          told = true;
        }
      }
      LockSupport.parkNanos(this, CATALOG_RETRY.toNanos());
    }
  }

  private void prepareMirror(Epoch e) throws SQLException {
    try (Connection mirror = e.mirror().engine()) {
      ControlSchema.install(mirror);
      register(e, e.mirror(), mirror);
      triggersOff(mirror);
    }
    if (!started.getAndSet(true)) {
      e.replayer().start();
    }
    prepared = true; // last: the roles may be exchanged from here on
  }

  /**
   * Whether somebody else has exchanged the roles. Who cannot reach the target, whose word it is,
   * may hear of it from the source, which was told.
   */
  private void look() throws SQLException {
    try {
      look(target);
    } catch (SQLException e) {
      if (halted == null) {
        look(source);
      }
      throw e;
    }
  }

  private void look(Database side) throws SQLException {
    try (Connection c = side.engine()) {
      if (registered.contains(side.side) && ControlSchema.epoch(c) == now().roles().epoch()) {
        return;
      }
    }
    changing.lock(); // unless it is this process that exchanges them just now
    try (Connection c = side.engine()) {
      register(now(), side, c);
    } finally {
      changing.unlock();
    }
  }

  /** Waits until the mirror can be written to; false if it could not in time. */
  boolean awaitPrepared(Duration timeout) {
    long end = System.nanoTime() + timeout.toNanos();
    while (!prepared) {
      if (System.nanoTime() - end > 0 || Thread.currentThread().isInterrupted()) {
        return false;
      }
      LockSupport.parkNanos(this, TimeUnit.MILLISECONDS.toNanos(10));
    }
    return true;
  }

  /**
   * Rule 6: those that were switched off while this side was the mirror, in the connection's
   * transaction.
   */
  private static void triggersOn(Connection primary) throws SQLException {
    boolean auto = primary.getAutoCommit();
    primary.setAutoCommit(false);
    try {
      try (Statement s = primary.createStatement()) {
        s.execute("set local lock_timeout = '10s'"); // the application waits
      }
      int n = Triggers.enableAll(primary);
      primary.commit();
      if (n > 0) {
        log.info("{} triggers and rules of the primary, which were off, are switched on", n);
      }
    } catch (SQLException e) {
      primary.rollback();
      throw e;
    } finally {
      primary.setAutoCommit(auto);
    }
  }

  /**
   * Rule 6: on the mirror, triggers would do again what they did on the primary. In the
   * connection's transaction.
   */
  static int disableTriggers(Connection mirror) throws SQLException {
    try {
      return Triggers.disableAll(mirror);
    } catch (SQLException e) {
      throw new SQLException(
          "the mirror's triggers would fire for mirrored rows and cannot be switched off by this role ("
              + e.getMessage()
              + "); let it own the tables, or run 'dualwrite triggers disable' as their owner",
          e.getSQLState(),
          e);
    }
  }

  private static void triggersOff(Connection mirror) throws SQLException {
    mirror.setAutoCommit(false);
    try {
      int n = disableTriggers(mirror);
      mirror.commit();
      if (n > 0) {
        log.info("{} triggers and rules are switched off while this side is the mirror", n);
      }
    } catch (SQLException e) {
      mirror.rollback();
      throw e;
    } finally {
      mirror.setAutoCommit(true);
    }
  }

  private void compare(Connection s, Connection t) throws SQLException {
    int version = catalogVersion.get();
    Map<TableName, Boolean> same = new HashMap<>();
    Map<TableName, Table> there = new HashMap<>();
    for (Table x : target.catalog.tables(t)) {
      there.put(x.name(), x);
    }
    for (Table x : source.catalog.tables(s)) {
      Table y = there.get(x.name());
      String problem =
          y == null
              ? "is missing on the target, so its rows stay in the journal"
              : Differences.of(x, y, Side.TARGET);
      if (problem != null) {
        log.warn("{} {}", x.name(), problem);
      }
      same.put(x.name(), y != null && sameColumns(x, y));
    }
    catalogs.lock();
    try {
      if (version == catalogVersion.get()) {
        sameOnBoth = Map.copyOf(same);
        catalogVersion.incrementAndGet(); // plans that were made without knowing are old
        compared = true;
      }
    } finally {
      catalogs.unlock();
    }
  }

  private static boolean sameColumns(Table a, Table b) {
    if (!a.key().equals(b.key()) || a.columns().size() != b.columns().size()) {
      return false;
    }
    for (Column c : a.columns()) {
      Optional<Column> d = b.column(c.name());
      if (d.isEmpty()
          || !d.get().declaredType().equals(c.declaredType())
          || d.get().generated() != c.generated()) {
        return false;
      }
    }
    return true;
  }

  // ---- phases and roles

  boolean closed() {
    return closed;
  }

  boolean audits() {
    return audit;
  }

  /** The audit found a transaction that changed something past every capture. */
  void uncaptured(String lastText) {
    counters.audited.increment();
    log.warn(
        "a transaction changed the primary and nothing of it was captured; its last statement was: {}",
        lastText);
  }

  /** Whether this read is compared with the mirror. On the hot path: mostly one comparison. */
  boolean samples(Epoch epoch, Plan plan) {
    return epoch.phase() == Phase.SHADOW
        && plan instanceof Plan.Pass p
        && p.shadow() != RowOrder.ARBITRARY
        && shadow.sample();
  }

  /**
   * Changes the phase; returns when every transaction that began under the old one has ended.
   *
   * @throws SQLException if the control schema cannot be installed or the old transactions do not
   *     end in time
   */
  void phase(Phase to, Duration timeout) throws SQLException {
    changing.lock();
    try {
      Epoch old = serving();
      if (old.phase() == to) {
        phaseRow(to, to, old.roles()); // another process may have set another one
        return;
      }
      boolean targetPrimary = old.roles().primary() == Side.TARGET;
      boolean wantsTarget = to == Phase.TARGET_PRIMARY || to == Phase.TARGET_ONLY;
      if (targetPrimary != wantsTarget) {
        throw new SQLException(
            "the phase is "
                + old.phase()
                + "; "
                + to
                + " needs the roles exchanged: use cutover or its way back",
            "55000");
      }
      if (to == Phase.OFF && !caughtUp()) {
        throw new SQLException(
            "dual-write cannot be switched off while units of work are pending", "55000");
      }
      boolean before = mirrored;
      if (to.mirrors()) {
        mirrored = true;
        if (!old.capturing()) {
          suspectAfter(old.phase(), before);
        }
      }
      try {
        writeRoles(new RolesFile(old.roles(), false, to, mirrored));
        phaseRow(old.phase(), to, old.roles());
      } catch (SQLException e) {
        mirrored = before;
        throw e;
      }
      Epoch next =
          new Epoch(
              old.roles(),
              to,
              to.mirrors(),
              old.primary(),
              old.mirror(),
              old.planner(),
              old.plans(),
              old.convergence(),
              old.replayer());
      epoch = next;
      LockSupport.unpark(checker);
      if (!gate.awaitThoseOpenNow(timeout)) {
        throw new SQLException(
            "the phase is "
                + to
                + ", but transactions that began before have not ended within "
                + timeout.toSeconds()
                + " s",
            "55000");
      }
      if (to.mirrors() && !old.capturing()) {
        suspectAfter(old.phase(), before); // what those wrote that have ended only now
        healer.wake();
      }
    } finally {
      changing.unlock();
    }
  }

  /** For the other processes, and for those to come. */
  private void phaseRow(Phase from, Phase to, Roles roles) throws SQLException {
    try (Connection c = target.engine()) {
      c.setAutoCommit(false);
      try {
        Optional<ControlSchema.Row> there = ControlSchema.hold(c);
        if (there.isPresent() && there.get().epoch() == roles.epoch()) {
          if (to.mirrors() && !there.get().phase().mirrors()) {
            suspectAfter(there.get().phase(), true);
          }
          setPhase(c, to);
        }
        c.commit();
      } finally {
        c.rollback(); // nothing, if it has committed
        c.setAutoCommit(true);
      }
      healer.wake();
    } catch (SQLException e) {
      if (from != to && (from == Phase.TARGET_ONLY || to == Phase.TARGET_ONLY)) {
        throw e; // whoever starts next has to know whether there is a way back
      }
      log.debug("the phase is not in the target's control row", e);
    }
  }

  /** Exchanges the roles. See {@link Cutover}. */
  CutoverReport cutover(Duration deadline, boolean back) throws SQLException {
    if (now().capturing() && !awaitPrepared(PREPARED)) {
      throw new SQLException(
          "no change of roles: the "
              + now().roles().mirror()
              + " has not been ready for writes within "
              + PREPARED.toSeconds()
              + " s; see the log",
          "55000");
    }
    changing.lock();
    try {
      serving();
      return new Cutover(this, deadline, back).run();
    } finally {
      changing.unlock();
    }
  }

  /** Nothing in flight and nothing pending; false if that was not so in time. */
  boolean drain(Duration timeout) throws SQLException {
    long end = System.nanoTime() + timeout.toNanos();
    if (!awaitOpenCommits(timeout)) {
      return false;
    }
    if (!now().capturing()) {
      return caughtUp();
    }
    // until then the mirror's triggers would fire for what is replayed
    if (!caughtUp() && !awaitPrepared(Duration.ofNanos(Math.max(0, end - System.nanoTime())))) {
      return false;
    }
    try {
      return now().replayer().drain(Duration.ofNanos(Math.max(0, end - System.nanoTime())));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  /** Makes every parked unit of work pending again. */
  int retryParked() {
    List<Journal.Parked> parked = journal.parked();
    for (Journal.Parked p : parked) {
      journal.unpark(p.sequence());
    }
    if (!parked.isEmpty()) {
      now().replayer().wake();
    }
    return parked.size();
  }

  /** See {@link DualWriteDataSource#statementsDone}. */
  int statementsDone() {
    int n = journal.statementsDone();
    healer.wake();
    return n;
  }

  /** Makes every suspect table equal and closes its suspect. */
  int reconcile() throws SQLException {
    serving();
    return healer.run();
  }

  /** See {@link DualWriteDataSource#writeOff}. */
  void writeOff(UUID lost) throws SQLException {
    changing.lock();
    try {
      Epoch e = serving();
      try (Connection m = e.mirror().engine();
          Connection p = e.primary().engine()) {
        Optional<Boolean> there = ControlSchema.heard(m, lost);
        Optional<Boolean> here = ControlSchema.heard(p, lost);
        if (there.or(() -> here).isEmpty()) {
          throw new SQLException("there is no writer " + lost, "02000");
        }
        if (there.orElse(false) || here.orElse(false) || lost.equals(journal.writer())) {
          throw new SQLException("the writer " + lost + " is running; stop it first", "55000");
        }
        // first: whatever happens now, nothing is lost in silence
        journal.suspect(
            new Suspect(
                RowChange.NO_TABLE,
                "the journal of the writer " + lost + " was written off",
                System.currentTimeMillis() * 1000,
                "",
                0));
        healer.wake();
        ControlSchema.goodbye(m, lost);
        ControlSchema.goodbye(p, lost);
      }
    } finally {
      changing.unlock();
    }
  }

  /** See {@link Healer#without}. */
  <T> T withoutHealing(Duration patience, Healer.Exchange<T> work) throws SQLException {
    return healer.without(patience, work);
  }

  /** One cutover at a time, of all processes; and none that begins to write meanwhile. */
  void holdControlRows(Connection source, Connection target) throws SQLException {
    Optional<ControlSchema.Row> there = ControlSchema.hold(target);
    if (there.isEmpty() || there.get().epoch() != now().roles().epoch()) {
      throw exchangedElsewhere();
    }
    mirroredByAll(there.get());
    ControlSchema.hold(source);
  }

  /** Not if a process writes, or wrote, what is not mirrored, and nobody has made up for it. */
  void mirroredByAll(ControlSchema.Row target) throws SQLException {
    if (!target.phase().mirrors()) {
      throw new SQLException(
          "no change of roles: another process set the phase to "
              + target.phase()
              + ", and what it wrote then the mirror does not have. When it has ended, DualWriteDataSource.phase("
              + now().phase()
              + ") makes all tables suspect, and they are made equal",
          "55000");
    }
  }

  private static SQLException exchangedElsewhere() {
    return new SQLException(
        "no change of roles: another process has exchanged the roles meanwhile; restart this one",
        "55000");
  }

  /**
   * The roles exchanged: called by {@link Cutover} with the gate shut and everything drained, with
   * the transactions that switch the triggers. That of the target has the control row, whose word
   * holds: up to its commit nothing has changed.
   */
  void flip(Connection source, Connection target) throws SQLException {
    Epoch old = now();
    Roles roles = old.roles().flipped();
    Phase phase = roles.primary() == Side.TARGET ? Phase.TARGET_PRIMARY : Phase.DUAL_WRITE;
    // first: a process that starts without the target has to know that it is to be asked
    writeRoles(new RolesFile(old.roles(), true, old.phase(), mirrored));
    try {
      flipControlRow(target, old.roles(), roles, phase);
      record(source, roles, phase);
    } catch (SQLException e) {
      stay(old);
      throw e;
    }
    try {
      MirrorWriter.commit(target);
    } catch (SQLException e) {
      if (!word(roles, e)) {
        stay(old);
        throw e;
      }
    }
    try {
      writeRoles(new RolesFile(roles, false, phase, mirrored));
    } catch (SQLException e) {
      log.warn("{}; at the next start the target has to be reachable", e.getMessage());
    }
    boolean both = true;
    try {
      MirrorWriter.commit(source);
    } catch (SQLException e) {
      both = false;
      log.warn("the triggers of the source are switched as soon as it answers: {}", e.getMessage());
    }
    Epoch next = epoch(roles, phase);
    started.set(both || roles.primary() == Side.SOURCE);
    epoch = next; // before what is told of it
    // else, before anything is written to that side
    servable = both || roles.primary() == Side.TARGET ? roles : null;
    prepared = both || roles.primary() == Side.SOURCE;
    if (prepared) {
      next.replayer().start();
    }
    old.replayer().close();
    LockSupport.unpark(checker);
  }

  /** The roles were not exchanged after all. */
  private void stay(Epoch old) {
    try {
      writeRoles(new RolesFile(old.roles(), false, old.phase(), mirrored));
    } catch (SQLException e) {
      log.warn("{}; at the next start the target has to be reachable", e.getMessage());
    }
  }

  /**
   * RESUME_BY_WORD: whether the control row says that the roles were exchanged, where its commit
   * was not answered. Until it can be read nobody knows on which side the next write belongs, and
   * the gate stays shut: safety before availability.
   */
  private boolean word(Roles exchanged, SQLException unanswered) throws SQLException {
    log.warn(
        "the commit of the exchange was not answered ({}); the application waits until the target tells",
        unanswered.getMessage());
    while (!closed && !Thread.currentThread().isInterrupted()) {
      try (Connection c = target.engine();
          Statement s = c.createStatement();
          // waits for that transaction, should it still be open
          ResultSet r = s.executeQuery("select epoch from dualwrite.control for update")) {
        r.next();
        return r.getLong(1) == exchanged.epoch();
      } catch (SQLException e) {
        LockSupport.parkNanos(this, TimeUnit.MILLISECONDS.toNanos(500));
      }
    }
    halt(
        "whether the roles were exchanged is not known, because the target could not be asked; restart this process when it can be reached");
    throw unanswered;
  }

  /** On the source, too, which is all that a process without the target can ask. */
  private static void record(Connection side, Roles roles, Phase phase) throws SQLException {
    try (PreparedStatement s =
        side.prepareStatement(
            "update dualwrite.control set epoch = ?, phase = ?, paused = false, changed = now()")) {
      s.setLong(1, roles.epoch());
      s.setString(2, phase.toString());
      s.executeUpdate();
    }
  }

  /** RESUME_BY_WORD: the control row is changed by compare-and-set, and its word holds. */
  private static void flipControlRow(Connection target, Roles from, Roles to, Phase phase)
      throws SQLException {
    try (PreparedStatement s =
        target.prepareStatement(
            "update dualwrite.control set epoch = ?, phase = ?, changed = now() where epoch = ?")) {
      s.setLong(1, to.epoch());
      s.setString(2, phase.toString());
      s.setLong(3, from.epoch());
      if (s.executeUpdate() != 1) {
        throw exchangedElsewhere();
      }
    }
  }

  /**
   * The roles to begin with. The target's word holds; where it cannot be reached, the source's, and
   * what the journal's directory knows.
   */
  private Roles readRoles(Optional<RolesFile> file, OptionalLong word) {
    long local = file.map(f -> f.roles().epoch()).orElse(0L);
    Roles roles;
    if (word.isPresent()) {
      roles = new Roles(Math.max(0, word.getAsLong()));
      // another target than before
      roles = roles.orLater(local);
      if (roles.primary() == Side.SOURCE) {
        roles = roles.orLater(epochOf(source).orElse(-1));
      }
    } else if (file.isPresent() && file.get().leaving()) {
      throw new JournalException(
          "whether the roles were exchanged when this process ended is not known, and the target, which knows, cannot be reached; start it when the target can be reached");
    } else {
      roles = new Roles(Math.max(local, epochOf(source).orElse(-1)));
    }
    Side then = new Roles(local).primary();
    if (roles.primary() != then
        && (journal.pendingCount() > 0
            || !journal.parked().isEmpty()
            || !journal.suspects().isEmpty())) {
      throw new JournalException(
          "the roles were exchanged while this journal held "
              + journal.pendingCount()
              + " units of work pending, "
              + journal.parked().size()
              + " parked and "
              + journal.suspects().size()
              + " suspects of the time when the "
              + then
              + " was primary; brought over now, they would undo on the "
              + then
              + " what the "
              + then.other()
              + " lacks. Start with another dualwrite.journal.dir; 'dualwrite journal list' and 'dualwrite verify' tell what is missing");
    }
    return roles;
  }

  /** What was last, where that closed the way back; else what the settings say. */
  private Phase beginWith(Roles roles, Optional<RolesFile> before) {
    Phase phase = Phase.parse(settings.choice(Setting.PHASE));
    if (roles.primary() == Side.SOURCE) {
      return phase == Phase.TARGET_PRIMARY || phase == Phase.TARGET_ONLY ? Phase.DUAL_WRITE : phase;
    }
    Phase last = before.map(RolesFile::phase).orElse(null);
    try (Connection c = target.engine()) {
      last =
          ControlSchema.row(c)
              .map(ControlSchema.Row::phase)
              .orElse(last); // another process may have changed it
    } catch (SQLException e) {
      log.debug("the target's phase cannot be read", e);
    }
    return phase == Phase.TARGET_ONLY || last == Phase.TARGET_ONLY
        ? Phase.TARGET_ONLY
        : Phase.TARGET_PRIMARY;
  }

  /**
   * What was written in a phase that mirrors nothing is missing on the mirror: everything is
   * suspect. Not if nothing has been mirrored before: then it is the backfill's.
   */
  private void suspectAfter(Phase phase, boolean mirroredBefore) {
    if (owes(phase, mirroredBefore)) {
      journal.suspect(
          new Suspect(
              RowChange.NO_TABLE,
              "nothing was mirrored in phase " + phase,
              System.currentTimeMillis() * 1000,
              "",
              0));
    }
  }

  private static boolean owes(Phase phase, boolean mirroredBefore) {
    return phase == Phase.TARGET_ONLY || (phase == Phase.OFF && mirroredBefore);
  }

  /** What the side's control row says: -1 if it has none, empty if it cannot be asked. */
  private static OptionalLong epochOf(Database side) {
    try (Connection c = side.engine()) {
      return OptionalLong.of(ControlSchema.epoch(c));
    } catch (SQLException e) {
      log.debug("the control row of the {} cannot be read", side.side, e);
      return OptionalLong.empty();
    }
  }

  private void writeRoles(RolesFile roles) throws SQLException {
    try {
      roles.write(directory);
    } catch (IOException e) {
      throw new SQLException(
          "the roles could not be written to " + directory + ": " + e, "58030", e);
    }
  }

  // ---- roles that another process exchanged

  /** Nothing is begun any more: this process does not know who is primary. */
  private void halt(String why) {
    if (halted == null) {
      log.error("{}", why);
      halted = why;
      now().replayer().close();
    }
  }

  private SQLException halted() {
    return new SQLException(halted, "55000");
  }

  boolean isHalted() {
    return halted != null;
  }

  /** What new transactions begin with. */
  Epoch serving() throws SQLException {
    if (halted != null) {
      throw halted();
    }
    return epoch;
  }

  /** Stops if a side's control row knows of an exchange that this process does not know of. */
  private void compareEpochs(Epoch e, Database side, long there) throws SQLException {
    Roles here = e.roles();
    if (there > here.epoch()
        || (side == target && there >= 0 && new Roles(there).primary() != here.primary())) {
      halt(
          "another process has exchanged the roles: the "
              + side.side
              + " knows epoch "
              + there
              + ", and this process has the "
              + here.primary()
              + " as primary, of epoch "
              + here.epoch()
              + "; restart it when the target can be reached");
      throw halted();
    }
  }

  /** How long the primary's transaction may have to wait for the mirror, in its commit. */
  Duration patience() {
    return limits.idleTimeout();
  }

  /** Whether both catalogs have been compared, and the mirror can be written to. */
  boolean ready() {
    return compared && (prepared || !now().capturing());
  }

  Database source() {
    return source;
  }

  Database target() {
    return target;
  }

  Status status() {
    Epoch e = now();
    return new Status(
        e.phase(),
        e.roles(),
        journal.pendingCount(),
        journal.inFlightCount(),
        journal.barriers().size(),
        journal.parked(),
        journal.suspects(),
        journal.size(),
        Objects.toString(breaker.getState()).toLowerCase(java.util.Locale.ROOT).replace('_', '-'),
        gate.busy(),
        e.replayer().stats(),
        counters.read());
  }

  /**
   * Says that nothing of this writer is owed any more, if that is so: a cutover by another need not
   * wonder.
   */
  private void goodbye() {
    if (registered.isEmpty() || halted != null || !caughtUp()) {
      return;
    }
    Epoch last = now();
    Thread t =
        new Thread(
            () -> {
              try {
                if (last.capturing()) {
                  last.replayer().heartbeat(true);
                } else if (journal.parked().isEmpty() && journal.suspects().isEmpty()) {
                  leave(last.phase());
                }
              } catch (SQLException | RuntimeException e) {
                log.debug("it is not known on both sides that this writer has ended", e);
              }
            },
            "dualwrite-goodbye");
    t.setDaemon(true);
    t.start();
    try {
      t.join(flushTimeout.toMillis() * 2);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** A goodbye of one whose last writes were not mirrored. */
  private void leave(Phase phase) throws SQLException {
    try (Connection c = target.engine()) {
      c.setAutoCommit(false);
      Optional<ControlSchema.Row> there = ControlSchema.hold(c);
      if (there.isPresent()) {
        agree(c, there.get().phase(), phase);
        ControlSchema.goodbye(c, journal.writer());
      }
      c.commit();
      c.setAutoCommit(true);
    }
    try (Connection c = source.engine()) {
      ControlSchema.goodbye(c, journal.writer());
    }
  }

  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    LockSupport.unpark(checker);
    long end = System.nanoTime() + flushTimeout.multipliedBy(10).toNanos();
    while (committing.get() > 0
        && System.nanoTime() - end < 0
        && !Thread.currentThread().isInterrupted()) {
      LockSupport.parkNanos(this, TimeUnit.MILLISECONDS.toNanos(1));
    }
    awaitOpenCommits(flushTimeout.multipliedBy(2));
    commits.shutdown();
    try {
      if (!commits.awaitTermination(flushTimeout.toMillis() * 2, TimeUnit.MILLISECONDS)) {
        commits.shutdownNow();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    shadow.close();
    healer.close();
    now().replayer().close();
    goodbye();
    journal.close();
    source.close();
    target.close();
  }
}
