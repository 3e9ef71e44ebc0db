package io.dualwrite.converge;

import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.ForeignKey;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.control.ControlSchema;
import io.dualwrite.control.Incarnation;
import io.dualwrite.control.Roles;
import io.dualwrite.control.Side;
import io.dualwrite.converge.Convergence.Unsettled;
import io.dualwrite.converge.Rules.Rule;
import io.dualwrite.journal.Intent;
import io.dualwrite.journal.Journal;
import io.dualwrite.journal.Outcome;
import io.dualwrite.journal.Pending;
import io.dualwrite.journal.RowChange;
import io.dualwrite.journal.Suspect;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.postgresql.util.PSQLException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Drains a journal: takes pending intents whose primary transaction has ended, resyncs their keys,
 * inserts their keyless rows exactly once, and marks them resolved. In the background with {@link
 * #start}, or in the caller's thread with {@link #replayOnce} and {@link #drain}. Thread-safe; one
 * round at a time.
 *
 * <p>A unit that fails for a reason of its own is found by bisection, tried again with growing
 * delay, and parked at last; the rest goes on.
 *
 * <p>A statement that runs in no transaction (CREATE INDEX CONCURRENTLY) has a thread of its own,
 * one at a time: rounds go on meanwhile, without the statements that come after it.
 *
 * <p>Rows are read from the primary as they are after all its definitions. While statements of a
 * unit (DDL) have not run here, they would do to such rows what they did to older ones there: a
 * column that takes another's name would take its place over what was written to it by that name.
 * So nothing that comes after such a unit is replayed before its statements, and rows with a key
 * from before it, which are brought first, as it may need them, are brought once more at the end.
 */
public final class Replayer implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(Replayer.class);
  private static final int PAGE = 1000;
  private static final long MAX_BYTES = // of a round's units
      Math.min(32L << 20, Runtime.getRuntime().maxMemory() / 16);
  private static final int MAX_WAITING = 20_000; // units
  private static final long LONGEST = TimeUnit.MINUTES.toNanos(1);
  private static final long GRACE_MILLIS = 100; // for a statement that runs in no transaction

  /**
   * How long a round waits for what comes right behind: a round of one unit costs both databases
   * about as much as one of many, and it competes with the application for the primary.
   */
  private static final Duration GATHER = Duration.ofMillis(10);

  /** A pending unit that can be taken up. */
  record Unit(Intent intent, boolean doubtful) {}

  /** Rows that have a new key by now, which may have taken others along. */
  record Rekeyed(Table table, List<List<String>> keys) {}

  /** Is given keys, a page at a time. */
  private interface Page {
    void of(List<List<String>> keys) throws SQLException, ConvergenceException;
  }

  /** A unit that failed. */
  private record Failed(int attempts, long notBefore) {}

  /** Units that are done but for keys that wait for mirror transactions in flight. */
  private record Waiting(List<Long> units, List<Unsettled> unsettled) {}

  static final String ORPHANED =
      "rows without a key refer to rows that were deleted or took another key";

  private final Journal journal;
  private final Supplier<Convergence> engines;
  private final ReplayerOptions options;

  private final ReentrantLock round = new ReentrantLock(); // held for a round
  private final Map<Long, Failed> failed = new HashMap<>();
  private final List<Waiting> waiting = new ArrayList<>();
  private final Set<Integer> primaryPids = new HashSet<>();

  /** Units whose statements have run here, and whose rows are not done. */
  private final Set<Long> ran = new HashSet<>();

  /**
   * Up to here every pending unit whose transaction has ended was brought, as far as it could be,
   * before statements that come later; -1 if there are none.
   */
  private long brought = -1;

  /** Whether one of them could not be, and may be once the statements at hand have run. */
  private boolean inVain;

  /** Tables whose rows cannot be until then, and the barrier that this was found before. */
  private final Set<TableName> lacking = new HashSet<>();

  private long lackingBefore = Long.MAX_VALUE;

  /** Whether rows with a key were brought, and are to be once more. */
  private boolean again;

  /** The statement under way that runs in no transaction; changed while a round is held. */
  private volatile Alone alone;

  /** Tables in which other rows were taken along, which nobody may ask for once more. */
  private final Set<TableName> takenAlong = new HashSet<>();

  private long lastBeat;

  /** How many units the background thread takes in a round. */
  private int atOnce;

  private Convergence beaten; // whose mirror had the last heartbeat

  private final ReentrantLock state = new ReentrantLock(); // held for moments
  private final Condition changed = state.newCondition();
  private Thread thread;
  private volatile boolean awake;
  private boolean closed;

  private volatile ReplayStats stats = new ReplayStats(0, 0, 0, 0, 0, null, Set.of(), Set.of(), 0);

  /** With an engine that stays the same and the default options. */
  public Replayer(Journal journal, Convergence convergence) {
    this(journal, () -> convergence, ReplayerOptions.DEFAULT);
  }

  /**
   * A replayer; nothing runs yet.
   *
   * @param engines the engine for the roles of the moment, asked for once each round
   */
  public Replayer(Journal journal, Supplier<Convergence> engines, ReplayerOptions options) {
    this.journal = journal;
    this.engines = engines;
    this.options = options;
    atOnce = options.batchUnits();
  }

  // ----------------------------------------------------------------------------------------------
  // threads

  /** Starts the background thread, a daemon. Once only. */
  public void start() {
    state.lock();
    try {
      if (thread != null || closed) {
        throw new IllegalStateException("the replayer was started or closed before");
      }
      thread = Background.thread("dualwrite-replay", this::run);
      thread.start();
    } finally {
      state.unlock();
    }
  }

  /** Says that there is work: the background thread need not wait for its interval to end. */
  public void wake() {
    if (awake) {
      return; // it has not begun the round yet that this is for
    }
    state.lock();
    try {
      awake = true;
      changed.signalAll();
    } finally {
      state.unlock();
    }
  }

  /**
   * Ends the background thread after its round, waiting for it for at most ten seconds. A statement
   * under way that runs in no transaction is cancelled, and its unit stays pending.
   */
  @Override
  public void close() {
    Thread t;
    state.lock();
    try {
      closed = true;
      t = thread;
      changed.signalAll();
    } finally {
      state.unlock();
    }
    Alone underWay = alone;
    if (underWay != null) {
      underWay.cancel();
    }
    if (t != null && t != Thread.currentThread()) {
      t.interrupt();
      try {
        t.join(TimeUnit.SECONDS.toMillis(10));
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private boolean closed() {
    state.lock();
    try {
      return closed;
    } finally {
      state.unlock();
    }
  }

  private void run() {
    long delay = 0;
    while (!closed()) {
      long pause;
      boolean full = false;
      try {
        ReplayResult r = replayOnce(atOnce);
        heartbeat(false);
        delay = 0;
        full = r.resolved() > atOnce / 2;
        atOnce = Math.min(options.batchUnits(), atOnce * 2);
        int others = r.waiting() - (alone == null ? 0 : 1); // it says itself when it ends
        pause =
            r.resolved() + r.keys() > 0 && journal.pendingCount() > r.waiting()
                ? 0
                : others > 0 ? 50 : options.interval().toMillis();
      } catch (InterruptedException e) {
        break;
      } catch (SQLException | RuntimeException | Error e) {
        if (closed()) {
          break;
        }
        if (e instanceof Error) { // memory, most often: fewer units need less
          atOnce = Math.max(1, atOnce / 2);
        }
        delay = Math.min(5000, Math.max(100, delay * 2));
        pause = delay;
        if (delay == 100) {
          LOG.warn("replay stopped for now: {}", message(e));
        }
        error(e);
      }
      if (pause > 0 && !sleep(Duration.ofMillis(pause), true)) {
        break;
      }
      if (!full && !sleep(GATHER, false)) {
        break;
      }
    }
  }

  /** Waits, if wanted until it is woken; false if interrupted. What wakes it now is for later. */
  private boolean sleep(Duration atMost, boolean untilWoken) {
    state.lock();
    try {
      long left = atMost.toNanos();
      while (!(untilWoken && awake) && !closed && left > 0) {
        left = changed.awaitNanos(left);
      }
      awake = false;
      return true;
    } catch (InterruptedException e) {
      return false;
    } finally {
      state.unlock();
    }
  }

  /**
   * Replays in the caller's thread until nothing is pending and nothing is in flight.
   *
   * @return false if that was not so in time, or units are parked
   */
  public boolean drain(Duration timeout) throws InterruptedException {
    long deadline = System.nanoTime() + timeout.toNanos();
    long delay = 5;
    int units = options.batchUnits();
    while (true) {
      if (!round.tryLock(Math.max(0, deadline - System.nanoTime()), TimeUnit.NANOSECONDS)) {
        return false;
      }
      try {
        ReplayResult r = replayOnce(units);
        delay = r.resolved() + r.keys() > 0 ? 5 : Math.min(200, delay * 2);
        units = Math.min(options.batchUnits(), units * 2);
      } catch (SQLException | Error e) {
        if (e instanceof Error) {
          units = Math.max(1, units / 2);
        }
        error(e);
        delay = Math.min(1000, delay * 2);
      } finally {
        round.unlock();
      }
      if (journal.pendingCount() == 0 && journal.inFlightCount() == 0) {
        return journal.parked().isEmpty();
      }
      long left = deadline - System.nanoTime();
      if (left <= 0) {
        return false;
      }
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      java.util.concurrent.locks.LockSupport.parkNanos(
          Math.min(left, TimeUnit.MILLISECONDS.toNanos(delay)));
    }
  }

  /** What has been done so far. */
  public ReplayStats stats() {
    return stats;
  }

  /** An error's message may be the amount of memory alone. */
  private static String message(Throwable e) {
    return e instanceof Error ? e.toString() : e.getMessage();
  }

  private void error(Throwable e) {
    ReplayStats s = stats;
    stats =
        new ReplayStats(
            s.units(),
            s.keys(),
            s.rows(),
            s.parked(),
            s.unitsPerSecond(),
            message(e),
            s.waitingForPrimary(),
            s.waitingForMirror(),
            s.waitingForStatements());
  }

  // ----------------------------------------------------------------------------------------------
  // a round

  /** What a round adds up. */
  private static final class Round {
    final Convergence engine;
    int resolved;
    long keys;
    long rows;
    int parked;
    int notYet;

    /** The first unit that is in flight, or failed and is tried again: statements come after it. */
    long open = Long.MAX_VALUE;

    String error;

    Round(Convergence engine) {
      this.engine = engine;
    }
  }

  /**
   * One round.
   *
   * @param maxUnits at most so many units
   * @throws SQLException if a database cannot be reached or does not take part: back off
   */
  public ReplayResult replayOnce(int maxUnits) throws SQLException, InterruptedException {
    round.lockInterruptibly();
    try {
      long start = System.nanoTime();
      Round r = new Round(engines.get());
      if (r.engine.direction() != null) {
        r.engine.direction().check();
      }
      primaryPids.clear();
      if (alone != null && alone.ended(1)) {
        ended(r);
        inVain = false;
        brought = -1; // it may have been passed, and what waited for it
      }
      settle(r);
      List<Unit> units = collect(r, maxUnits);
      inOrder(r, units);
      if (!units.isEmpty()) {
        settle(r); // most often nothing was in flight
      }
      int open =
          r.notYet + waiting.stream().mapToInt(w -> w.units.size()).sum() + (alone == null ? 0 : 1);
      account(r, System.nanoTime() - start);
      return new ReplayResult(r.resolved, r.keys, r.rows, r.parked, open);
    } finally {
      round.unlock();
    }
  }

  /** The first unit whose statements have to run before anything that comes later. */
  private long barrier() {
    for (long unit : journal.barriers()) {
      if (!ran.contains(unit)) {
        return unit;
      }
    }
    return Long.MAX_VALUE;
  }

  private void inOrder(Round r, List<Unit> units) throws SQLException, InterruptedException {
    for (int n = 0; n < units.size(); ) {
      Unit u = units.get(n);
      long sequence = u.intent.sequence();
      // asked each time: one that came meanwhile is there before any unit that was behind it
      long barrier = barrier();
      boolean ordered = barrier < Long.MAX_VALUE;
      if (barrier != lackingBefore) {
        lacking.clear();
        lackingBefore = barrier;
      }
      if (sequence > barrier || (ordered && sequence > r.open)) {
        r.notYet += units.size() - n;
        return;
      }
      int to = n + 1;
      if (u.intent.statements() && (sequence > r.open || alone != null)) {
        // a DROP that waits for a lock would find what was made after it
        r.notYet++;
        n = to;
        continue;
      }
      // what failed before goes by itself, so that the rest need not be taken apart again
      if (!byItself(u)) {
        while (to < units.size()
            && !byItself(units.get(to))
            && units.get(to).intent.sequence() < barrier) {
          to++;
        }
      }
      if (StatementReplay.isAlone(u.intent)) {
        begin(r, u);
      } else {
        process(r, units.subList(n, to));
      }
      long last = units.get(to - 1).intent.sequence();
      if (ordered && r.open > last) {
        brought = last;
      }
      n = to;
      if (ordered && barrier() != barrier && inVain) { // once more, before what comes now
        inVain = false;
        brought = -1;
        r.notYet += units.size() - n;
        return;
      }
    }
  }

  /** Begins a statement that runs in no transaction; most often it ends as soon. */
  private void begin(Round r, Unit u) throws SQLException, InterruptedException {
    mayMove(u);
    alone = new Alone(r.engine, u, this::wake);
    if (closed()) { // and may not have seen it
      alone = null;
      r.notYet++;
      return;
    }
    alone.start();
    if (alone.ended(GRACE_MILLIS)) {
      ended(r);
    }
  }

  private void ended(Round r) {
    Unit u = alone.unit;
    Throwable error = alone.error();
    if (error == null) {
      mayMove(u); // of what came meanwhile
      resolved(r, u.intent.sequence());
    } else {
      Failure kind =
          error instanceof SQLException e
              ? Failure.of(e)
              : error instanceof Error ? Failure.CONTENTION : Failure.PERMANENT;
      r.error = message(error);
      fail(r, u.intent.sequence(), kind, error);
    }
    alone = null;
  }

  /** It commits before it could be seen what it did. */
  private void mayMove(Unit u) {
    if ((again || !waiting.isEmpty()) && u.intent.changes().stream().anyMatch(RowChange::alters)) {
      suspect(Set.of(RowChange.NO_TABLE), u.intent, "a partition was detached");
    }
  }

  private boolean byItself(Unit u) {
    return u.intent.statements() || failed.containsKey(u.intent.sequence());
  }

  private void account(Round r, long nanos) {
    ReplayStats s = stats;
    Set<Integer> mirrorPids = new HashSet<>();
    waiting.forEach(w -> w.unsettled.forEach(u -> mirrorPids.addAll(u.inFlight().values())));
    double rate = s.unitsPerSecond();
    if (r.resolved > 0) {
      double now = r.resolved * 1e9 / nanos;
      rate = rate == 0 ? now : 0.7 * rate + 0.3 * now;
    }
    stats =
        new ReplayStats(
            s.units() + r.resolved,
            s.keys() + r.keys,
            s.rows() + r.rows,
            s.parked() + r.parked,
            rate,
            r.error,
            primaryPids,
            mirrorPids,
            barrier() == Long.MAX_VALUE ? 0 : barrier());
  }

  /** Pending units whose primary transaction has ended, in order; those that aborted are done. */
  private List<Unit> collect(Round r, int max) throws SQLException {
    Set<Long> held = new HashSet<>();
    waiting.forEach(w -> held.addAll(w.units));
    if (alone != null) {
      held.add(alone.unit.intent.sequence());
    }
    if (held.size() > MAX_WAITING) {
      return List.of();
    }
    // read before the pending ones: what was in flight then is among those, or has ended
    r.open = journal.oldestInFlight();
    long barrier = barrier();
    boolean ordered = barrier < Long.MAX_VALUE;
    if (!ordered) {
      brought = -1;
      inVain = false;
      again = false;
      takenAlong.clear();
    }
    long bytes = 0;
    List<Unit> units = new ArrayList<>();
    long after = Math.min(brought, barrier - 1); // one that was parked may be pending again
    long now = System.nanoTime();
    boolean more = true;
    while (more && units.size() < max && bytes < MAX_BYTES) {
      List<Pending> page = journal.pending(after, Math.min(PAGE, max + held.size() + 1));
      if (page.isEmpty()) {
        break;
      }
      after = page.get(page.size() - 1).intent().sequence();
      List<Pending> candidates = new ArrayList<>();
      for (Pending p : page) {
        Failed f = failed.get(p.intent().sequence());
        if (held.contains(p.intent().sequence())) {
          continue;
        }
        String turned = turned(r.engine, p.intent());
        if (turned != null) {
          journal.park(p.intent().sequence(), turned);
          failed.remove(p.intent().sequence());
          ran.remove(p.intent().sequence());
          r.parked++;
          r.error = turned;
          continue;
        }
        if (f != null && f.notBefore - now > 0) {
          r.notYet++;
          r.open = Math.min(r.open, p.intent().sequence());
          if (ordered) {
            more = false; // nothing behind it can be taken up
            break;
          }
        } else {
          candidates.add(p);
        }
      }
      Map<Long, String> status = status(r.engine, candidates);
      for (Pending p : candidates) {
        Intent i = p.intent();
        if (units.size() == max || bytes >= MAX_BYTES) {
          break;
        }
        bytes += i.changes().stream().mapToLong(RowChange::size).sum();
        if (p.outcome() == Outcome.COMMITTED) {
          units.add(new Unit(i, false));
          continue;
        }
        switch (status.get(i.sequence())) {
          case "committed" -> units.add(new Unit(i, false));
          case "aborted" -> resolved(r, i.sequence());
          case "in progress" -> {
            if (Rules.on(Rule.WAIT_ENDED)) {
              primaryPids.add(i.pid());
              r.notYet++;
            } else {
              units.add(new Unit(i, false));
            }
          }
          default -> units.add(new Unit(i, true));
        }
      }
    }
    return units;
  }

  /**
   * Why a unit of other roles is not replayed: the mirror of now was its primary, and would be made
   * equal to the side that lacks it. Null if it is one of these roles.
   */
  static String turned(Convergence engine, Intent i) {
    Side then = new Roles(i.epoch()).primary();
    if (engine.direction() == null || engine.direction().primary() == then) {
      return null;
    }
    return "it was written while the "
        + then
        + " was primary, and the "
        + then.other()
        + " is now: replayed, it would undo on the "
        + then
        + " what the "
        + then.other()
        + " lacks. 'dualwrite journal show' has its rows; bring them over by hand, then skip it, or exchange"
        + " the roles back first";
  }

  /**
   * What became of the primary transactions nobody knows of. INCARNATION: the server is asked only
   * within the incarnation in which the id was given; a doubt across a crash stays one, as does an
   * id so old that the server has forgotten it. In both cases the transaction has ended.
   */
  static Map<Long, String> status(Convergence engine, List<Pending> pending) throws SQLException {
    List<Intent> unknown = new ArrayList<>();
    for (Pending p : pending) {
      if (p.outcome() == Outcome.UNKNOWN) {
        unknown.add(p.intent());
      }
    }
    Map<Long, String> result = new HashMap<>();
    if (unknown.isEmpty()) {
      return result;
    }
    Connection c = Session.open(engine.primary());
    try {
      String incarnation = Incarnation.of(c);
      Map<Long, String> byXid = new HashMap<>();
      Set<Long> xids = new LinkedHashSet<>();
      for (Intent i : unknown) {
        if (!Rules.on(Rule.INCARNATION) || Incarnation.same(i.incarnation(), incarnation)) {
          xids.add(i.xid());
        }
      }
      try {
        ask(c, XACT_STATUS, incarnation, xids, byXid);
      } catch (SQLException e) {
        if (!"22023".equals(e.getSQLState())) {
          throw e;
        }
        // one of them is in the future: the journal belongs to another history of this server
        if (!c.getAutoCommit()) {
          c.rollback();
        }
        ask(
            c,
            "case when x::text::xid8 < (select pg_catalog.pg_current_xact_id()) then "
                + XACT_STATUS
                + " else 'in the future' end",
            incarnation,
            xids,
            byXid);
      }
      for (Intent i : unknown) {
        result.put(
            i.sequence(),
            !Rules.on(Rule.INCARNATION) || Incarnation.same(i.incarnation(), incarnation)
                ? byXid.get(i.xid())
                : "crashed");
      }
    } finally {
      Session.close(c);
    }
    return result;
  }

  private static final String XACT_STATUS =
      "coalesce(pg_catalog.pg_xact_status(x::text::xid8), 'forgotten')";

  private static void ask(
      Connection c, String status, String incarnation, Set<Long> xids, Map<Long, String> to)
      throws SQLException {
    try (PreparedStatement s =
        c.prepareStatement(
            "select x::text, "
                + status
                + ", "
                + Incarnation.SQL
                + ", pg_is_in_recovery() from unnest(?::bigint[]) x")) {
      s.setArray(1, c.createArrayOf("bigint", xids.toArray()));
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          if (!r.getString(3).equals(incarnation) || r.getBoolean(4)) {
            throw new SQLException(
                "the primary restarted, or is a standby, while its transactions were asked for",
                "57P01");
          }
          to.put(Long.parseLong(r.getString(1)), r.getString(2));
        }
      }
    }
  }

  private void resolved(Round r, long unit) {
    journal.resolved(unit);
    failed.remove(unit);
    ran.remove(unit);
    r.resolved++;
  }

  /**
   * The unit is done, or is brought once more after a statement that has yet to run here, and may
   * already have run on the primary when that was read last.
   */
  private void done(Round r, long unit, boolean forGood) {
    if (forGood) {
      resolved(r, unit);
    } else {
      again = true;
      r.notYet++;
    }
  }

  /** Applies units; after an error halves of them, down to the one that fails. */
  private void process(Round r, List<Unit> units) throws SQLException, InterruptedException {
    if (Thread.interrupted()) {
      throw new InterruptedException();
    }
    if (background()) { // a round in which much fails may be long
      try {
        heartbeat(false);
      } catch (SQLException e) {
        r.error = e.getMessage();
      }
    }
    Throwable error;
    Failure kind = Failure.PERMANENT;
    try {
      apply(r, units);
      return;
    } catch (Error e) {
      if (units.size() > 1) {
        throw e; // with fewer, after a pause: what it lacks the application lacks, too
      }
      error = e;
      kind = Failure.CONTENTION; // nor is it the unit's fault
    } catch (ConvergenceException e) {
      error = e;
    } catch (SQLException e) {
      error = e;
      kind = Failure.of(e);
      if (kind == Failure.DOWN) {
        throw e;
      }
    }
    r.error = message(error);
    if (units.size() > 1) {
      process(r, units.subList(0, units.size() / 2));
      process(r, units.subList(units.size() / 2, units.size()));
      return;
    }
    fail(r, units.get(0).intent.sequence(), kind, error);
  }

  private void fail(Round r, long unit, Failure kind, Throwable error) {
    if (kind == Failure.CATALOG) {
      r.engine.invalidate();
    }
    Failed before = failed.getOrDefault(unit, new Failed(0, 0));
    // contention and outages are not the unit's fault: tried again for as long as it takes
    boolean own = kind != Failure.CONTENTION && kind != Failure.DOWN;
    int attempts = before.attempts + (own ? 1 : 0);
    if (attempts >= options.attempts() && waitsForSuspect(r, unit, error)) {
      attempts = before.attempts;
    }
    if (attempts >= options.attempts()) {
      LOG.warn("unit of work {} is parked: {}", unit, brief(error));
      journal.park(unit, error.getMessage());
      failed.remove(unit);
      ran.remove(unit);
      r.parked++;
    } else {
      long delay =
          error instanceof Error
              ? LONGEST
              : Math.min(
                  LONGEST,
                  options.firstDelay().toNanos() << Math.min(20, Math.max(0, attempts - 1)));
      failed.put(unit, new Failed(attempts, System.nanoTime() + delay));
      r.open = Math.min(r.open, unit);
      r.notYet++;
    }
  }

  /**
   * Whether a constraint of the mirror may be violated by rows that a suspect stands for: they go
   * when it is closed. A replay by hand ends without that, and the unit is parked.
   */
  private boolean waitsForSuspect(Round r, long unit, Throwable error) {
    Throwable cause = error instanceof ConvergenceException ? error.getCause() : error;
    if (!(cause instanceof SQLException e)
        || e.getSQLState() == null
        || !e.getSQLState().startsWith("23")
        || !background()
        // no suspect is closed while statements are pending, which would wait for the unit
        || !journal.barriers().isEmpty()) {
      return false;
    }
    List<Suspect> suspects = journal.suspects();
    List<Pending> its = journal.pending(unit - 1, 1);
    if (suspects.isEmpty() || its.isEmpty()) {
      return false;
    }
    Set<TableName> linked = new LinkedHashSet<>();
    Connection m = null;
    try {
      m = Session.open(r.engine.mirror());
      for (RowChange c : its.get(0).intent().changes()) {
        link(r.engine, m, c.table(), linked);
      }
      for (Suspect s : suspects) {
        Optional<Table> t = r.engine.mirrorCatalog().table(m, s.table());
        if (s.table().equals(RowChange.NO_TABLE)
            || linked.contains(t.flatMap(Table::root).orElse(s.table()))) {
          return true;
        }
      }
      return false;
    } catch (SQLException gone) {
      return true; // it is asked again
    } finally {
      Session.close(m);
    }
  }

  /** The table, and those whose rows foreign keys tie to its own, be it by others between. */
  private static void link(Convergence engine, Connection m, TableName name, Set<TableName> to)
      throws SQLException {
    if (to.add(name)) {
      Optional<Table> t = engine.mirrorCatalog().table(m, name);
      if (t.isPresent()) {
        if (t.get().root().isPresent()) {
          link(engine, m, t.get().root().get(), to);
        }
        for (ForeignKey f : t.get().references()) {
          link(engine, m, f.parent(), to);
        }
        for (ForeignKey f : t.get().referencedBy()) {
          link(engine, m, f.child(), to);
        }
      }
    }
  }

  private boolean background() {
    state.lock();
    try {
      return thread != null;
    } finally {
      state.unlock();
    }
  }

  /** Without the server's details, which may show the application's values. */
  private static String brief(Throwable e) {
    return e instanceof PSQLException p && p.getServerErrorMessage() != null
        ? p.getSQLState() + " " + p.getServerErrorMessage().getMessage()
        : message(e);
  }

  /** Applies the units; of tables that the primary has no more nothing is asked. */
  private void apply(Round r, List<Unit> units) throws SQLException, ConvergenceException {
    try {
      applyAll(r, units, false);
    } catch (SQLException e) {
      if (Failure.of(e) != Failure.CATALOG) {
        throw e;
      }
      r.engine.invalidate();
      List<Unit> left = withoutLostTables(r.engine, units);
      if (left == null && barrier() == Long.MAX_VALUE) {
        throw e;
      }
      applyAll(r, left == null ? units : left, true);
    }
  }

  /**
   * Without the changes of tables that were dropped since, or that have another name now: which of
   * the two nobody can tell, so that everything becomes suspect and their rows are found wherever
   * they are. Null if there is no such table.
   */
  private List<Unit> withoutLostTables(Convergence engine, List<Unit> units) throws SQLException {
    Set<TableName> lost = new LinkedHashSet<>();
    Connection c = Session.open(engine.primary());
    try (PreparedStatement s = c.prepareStatement("select pg_catalog.to_regclass(?) is null")) {
      for (TableName t : rowTables(units)) {
        s.setString(1, t.sql());
        try (ResultSet r = s.executeQuery()) {
          r.next();
          if (r.getBoolean(1)) {
            lost.add(t);
          }
        }
      }
    } finally {
      Session.close(c);
    }
    if (lost.isEmpty()) {
      return null;
    }
    List<Unit> result = new ArrayList<>();
    for (Unit u : units) {
      Intent i = u.intent;
      List<RowChange> rest =
          i.changes().stream()
              .filter(x -> x.kind() == RowChange.Kind.STATEMENT || !lost.contains(x.table()))
              .toList();
      if (rest.size() < i.changes().size()) {
        suspect(
            Set.of(RowChange.NO_TABLE),
            i,
            "rows were written to a table that the primary has no more: " + lost);
      }
      result.add(with(u, rest));
    }
    return result;
  }

  private static Set<TableName> rowTables(List<Unit> units) {
    Set<TableName> result = new LinkedHashSet<>();
    for (Unit u : units) {
      for (RowChange c : u.intent.changes()) {
        if (c.kind() != RowChange.Kind.STATEMENT) {
          result.add(c.table());
        }
      }
    }
    return result;
  }

  private void applyAll(Round r, List<Unit> given, boolean anew)
      throws SQLException, ConvergenceException {
    List<Unit> units = new ArrayList<>(given.size());
    for (Unit u : given) {
      if (u.intent.statements() && !ran.contains(u.intent.sequence())) {
        statements(r.engine, u);
        ran.add(u.intent.sequence());
      }
      boolean overtaken = journal.overtaken(u.intent.sequence());
      units.add(truncated(overtaken ? underItsNames(r.engine, u) : u));
    }
    units = keyedNow(r.engine, units);
    Set<TableName> suspects = new LinkedHashSet<>();
    List<Unsettled> unsettled = new ArrayList<>();
    boolean whole =
        units.stream().noneMatch(u -> u.intent.changes().stream().anyMatch(this::lacks));
    List<Unit> possible = whole ? units : units.stream().map(u -> without(u, this::lacks)).toList();
    inVain |= !whole;
    try {
      bring(r, possible, suspects, unsettled);
    } catch (SQLException | ConvergenceException e) {
      Failure kind = e instanceof SQLException s ? Failure.of(s) : Failure.PERMANENT;
      boolean own = kind != Failure.DOWN && kind != Failure.CONTENTION;
      if (!own
          || (given.size() > 1 && !ofTheTable(e))
          || (kind == Failure.CATALOG && !anew)
          || barrier() == Long.MAX_VALUE) {
        throw e;
      }
      // statements that come later may be all that is missing: a column, say
      r.error = message(e);
      inVain = true;
      whole = false;
      if (given.size() > 1) {
        bringByTable(r, possible, suspects, unsettled);
      }
    }
    insert(r, units);
    for (TableName t : suspects) {
      suspect(Set.of(t), units.get(units.size() - 1).intent, ORPHANED);
    }
    // asked once: without it, what is not settled yet has to wait
    boolean last = barrier() == Long.MAX_VALUE;
    if (whole && last && !unsettled.isEmpty()) {
      waiting.add(new Waiting(units.stream().map(u -> u.intent.sequence()).toList(), unsettled));
      return;
    }
    for (Unit u : units) {
      boolean keyed = u.intent.changes().stream().anyMatch(Replayer::keyed);
      done(r, u.intent.sequence(), (whole && last) || !keyed);
    }
  }

  private boolean lacks(RowChange c) {
    return keyed(c) && lacking.contains(c.table());
  }

  /** Whether it is none of a row's values, so that each of its rows would fail with it. */
  private static boolean ofTheTable(Exception e) {
    return e instanceof SQLException s ? Failure.of(s) == Failure.CATALOG : e.getCause() == null;
  }

  /**
   * Brings the rows of each table by themselves. Where that fails for what the table is, or those
   * that it refers to, its rows are not tried again before the statements at hand have run: each
   * would fail alike.
   */
  private void bringByTable(
      Round r, List<Unit> units, Set<TableName> suspects, List<Unsettled> unsettled)
      throws SQLException, ConvergenceException {
    for (TableName t : rowTables(units)) {
      try {
        bring(
            r,
            units.stream().map(u -> without(u, c -> !keyed(c) || !c.table().equals(t))).toList(),
            suspects,
            unsettled);
      } catch (SQLException | ConvergenceException e) {
        if (!ofTheTable(e)) {
          throw e;
        }
        lacking.add(t);
      }
    }
  }

  /** Whether its rows are found by their keys, and read from the primary. */
  private static boolean keyed(RowChange c) {
    return switch (c.kind()) {
      case UPSERT, DELETE, REKEY -> true;
      case INSERT, REMOVE, TRUNCATE, STATEMENT -> false;
    };
  }

  /** Runs the unit's statements, and sees to what they mean for what was done before them. */
  private void statements(Convergence engine, Unit u) throws SQLException, ConvergenceException {
    boolean held = again || !waiting.isEmpty();
    boolean overtaken = journal.overtaken(u.intent.sequence());
    StatementReplay.run(
        engine,
        journal.writer(),
        u.intent,
        u.doubtful,
        overtaken || !takenAlong.isEmpty(),
        effect -> {
          // those of the transaction itself may have been closed before this ran
          if (Rules.on(Rule.KEYS_NOT_PREDICATES)) {
            suspect(effect.written(), u.intent, "a statement that was replayed wrote to it");
          }
          Set<TableName> late = new LinkedHashSet<>(effect.altered());
          if (!overtaken) {
            late.retainAll(takenAlong);
          }
          suspect(late, u.intent, "a statement changed it that was overtaken by rows");
          // by their names: other processes, copy and 'verify --repair' do not wait for statements
          suspect(
              effect.renamed(),
              u.intent,
              "it, or a column of it, had another name while the statement had yet to reach the mirror");
          if (held) { // their keys were looked for where the name led on the primary
            suspect(
                effect.moved().keySet(),
                u.intent,
                "it changed its place while rows of it had yet to reach the mirror");
          }
          effect
              .moved()
              .forEach(
                  (now, before) -> {
                    for (Suspect s : journal.suspects()) {
                      boolean it = before.contains(s.table());
                      if (it) {
                        journal.suspect(
                            new Suspect(
                                now, s.reason(), s.sinceMicros(), s.incarnation(), s.xid()));
                      }
                      if (it || s.table().equals(RowChange.NO_TABLE)) {
                        journal.suspect(s); // anew: who makes it equal may be between the two
                      }
                    }
                  });
        });
  }

  /** Makes the rows equal that have keys. */
  private void bring(Round r, List<Unit> units, Set<TableName> suspects, List<Unsettled> unsettled)
      throws SQLException, ConvergenceException {
    List<Rekeyed> rekeyed = new ArrayList<>();
    Map<TableName, Unit> formerly = new LinkedHashMap<>();
    Map<TableName, Map<List<String>, Boolean>> keys = keys(r.engine, units, rekeyed, formerly);
    for (Map.Entry<TableName, Unit> e : formerly.entrySet()) {
      Intent i = e.getValue().intent;
      suspect(
          Set.of(same(r.engine, e.getKey(), i) ? e.getKey() : RowChange.NO_TABLE),
          i,
          "rows of " + e.getKey() + " were written while it had another key");
    }
    // those that went along come first, so that few are left under the old key when it is deleted
    for (Rekeyed x : rekeyed) {
      followers(r, x.table, x.keys, List.of(x), suspects, unsettled);
    }
    if (!keys.isEmpty()) {
      look(r, keys, unsettled);
    }
  }

  private void look(
      Round r, Map<TableName, Map<List<String>, Boolean>> keys, List<Unsettled> unsettled)
      throws SQLException, ConvergenceException {
    ResyncResult did = r.engine.look(keys, unsettled, this::orphaned);
    r.keys += did.keys();
    if (did.keys() > keys.values().stream().mapToLong(Map::size).sum()) {
      tookAlong(did);
    }
  }

  private void tookAlong(ResyncResult did) {
    if (barrier() < Long.MAX_VALUE) {
      again = true;
      takenAlong.addAll(did.tables());
    }
  }

  /** Inserts the rows that have none. */
  private void insert(Round r, List<Unit> units) throws SQLException, ConvergenceException {
    List<KeylessReplay.Unit> keyless = new ArrayList<>();
    for (Unit u : withoutNewTables(r.engine, units)) {
      if (u.intent.keyless()) {
        keyless.add(new KeylessReplay.Unit(u.intent, u.doubtful));
      }
    }
    if (keyless.isEmpty()) {
      return;
    }
    KeylessReplay replay = new KeylessReplay(r.engine, journal.writer());
    Consumer<KeylessReplay.Unit> doubt =
        u ->
            suspect(
                tables(u.intent()),
                u.intent(),
                "it is not known whether rows of transaction "
                    + u.intent().xid()
                    + (u.doubtful()
                        ? " committed before the primary crashed"
                        : " were copied before or after the primary failed over"));
    try {
      r.rows += replay.apply(keyless, doubt);
    } catch (SQLException e) {
      if (!"23503".equals(e.getSQLState())) {
        throw e;
      }
      // before the backfill the mirror has none of the parents: those needed now come first
      ResyncResult did = r.engine.resync(parents(r.engine, keyless), this::orphaned);
      r.keys += did.keys();
      tookAlong(did);
      try {
        r.rows += replay.apply(keyless, doubt);
      } catch (SQLException again) {
        Failed before = failed.get(units.get(0).intent.sequence());
        if (!"23503".equals(again.getSQLState())
            || units.size() > 1
            || (before == null ? 0 : before.attempts) + 1 < options.attempts()) {
          throw again; // each unit by itself, then; and the parents may be on their way
        }
        // the primary has deleted the parents since, and what became of these rows is not known
        Intent i = keyless.get(0).intent();
        suspect(tables(i), i, ORPHANED);
      }
    }
  }

  /**
   * A TRUNCATE is not done again over what others may have written since, and rows without a key
   * are not looked for among them: the table becomes suspect and is made equal as a whole, which
   * also brings the rows that the unit itself put there.
   */
  private Unit truncated(Unit u) {
    Set<TableName> tables = new LinkedHashSet<>();
    for (RowChange c : u.intent.changes()) {
      if (c.kind() == RowChange.Kind.TRUNCATE || c.kind() == RowChange.Kind.REMOVE) {
        tables.add(c.table());
      }
    }
    tables.addAll(refilled(u.intent));
    if (tables.isEmpty()) {
      return u;
    }
    suspect(
        tables,
        u.intent,
        "a TRUNCATE, or a change of rows without a key, did not reach the mirror at once");
    return without(
        u,
        c ->
            c.kind() == RowChange.Kind.TRUNCATE
                || c.kind() == RowChange.Kind.REMOVE
                || (c.keyless() && tables.contains(c.table())));
  }

  /**
   * Tables of which the unit took a range away, and into which it wrote rows without a key: before
   * that or after it is not asked, so they are not put back.
   */
  static Set<TableName> refilled(Intent i) {
    Set<TableName> tables = new LinkedHashSet<>();
    for (RowChange c : i.changes()) {
      if (c.rangeOf() != null) {
        tables.add(c.rangeOf());
      }
    }
    tables.removeIf(t -> i.changes().stream().noneMatch(c -> c.keyless() && c.table().equals(t)));
    return tables;
  }

  /**
   * Rows that were written before their table had a key, as in the transaction that made it, are
   * made equal by that key if both sides have it by now. A resync may have brought them already, as
   * the parents of others.
   */
  private static List<Unit> keyedNow(Convergence engine, List<Unit> units) throws SQLException {
    if (units.stream().noneMatch(u -> u.intent.keyless())) {
      return units;
    }
    List<Unit> result = new ArrayList<>(units.size());
    Connection p = null;
    Connection m = null;
    try {
      p = Session.open(engine.primary());
      m = Session.open(engine.mirror());
      for (Unit u : units) {
        List<RowChange> changes = new ArrayList<>();
        for (RowChange c : u.intent.changes()) {
          Optional<Table> here =
              c.keyless() ? engine.primaryCatalog().table(p, c.table()) : Optional.empty();
          Optional<Table> there =
              here.isPresent() && here.get().keyed()
                  ? engine.mirrorCatalog().table(m, c.table())
                  : Optional.empty();
          changes.add(
              there.isPresent() && Dml.unique(there.get(), here.get().key())
                  ? keyed(c, here.get().key())
                  : c);
        }
        result.add(with(u, changes));
      }
      return result;
    } finally {
      Session.close(p);
      Session.close(m);
    }
  }

  private static RowChange keyed(RowChange c, List<String> key) {
    for (String k : key) {
      int at = c.columns().indexOf(k);
      if (at < 0 || Arrays.stream(c.rows()).anyMatch(row -> row[at] == null)) {
        return c; // written when it was another table
      }
    }
    return new RowChange(RowChange.Kind.UPSERT, c.table(), c.columns(), c.types(), key, c.rows());
  }

  /**
   * Rows without a key belong to the table that had the name when they were written. Where the
   * primary's was made by a later transaction they are not inserted, and it becomes suspect.
   */
  private List<Unit> withoutNewTables(Convergence engine, List<Unit> units) throws SQLException {
    List<Unit> of = new ArrayList<>();
    List<TableName> tables = new ArrayList<>();
    for (Unit u : units) {
      for (TableName t : tables(u.intent)) {
        of.add(u);
        tables.add(t);
      }
    }
    if (tables.isEmpty()) {
      return units;
    }
    Map<Long, Set<TableName>> made = new HashMap<>();
    Connection c = Session.open(engine.primary());
    // a system column's row is as old as the table, whatever happens to the table
    try (PreparedStatement s =
        c.prepareStatement(
            "select x.n from unnest(?::text[], ?::bigint[]) with ordinality x(t, xid, n)"
                + " join pg_catalog.pg_attribute a on a.attrelid = pg_catalog.to_regclass(x.t)"
                + " and a.attname = 'tableoid'"
                // one of more transactions ago than a number tells apart is no later one
                + " where pg_catalog.age(a.xmin) >= 0 and pg_catalog.age(a.xmin) < pg_catalog.age(x.xid::text::xid8::xid)")) {
      s.setArray(1, c.createArrayOf("text", tables.stream().map(TableName::sql).toArray()));
      s.setArray(2, c.createArrayOf("bigint", of.stream().map(u -> u.intent.xid()).toArray()));
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          int n = r.getInt(1) - 1;
          made.computeIfAbsent(of.get(n).intent.sequence(), u -> new LinkedHashSet<>())
              .add(tables.get(n));
        }
      }
    } finally {
      Session.close(c);
    }
    List<Unit> result = new ArrayList<>();
    for (Unit u : units) {
      Set<TableName> later = made.getOrDefault(u.intent.sequence(), Set.of());
      suspect(later, u.intent, "rows without a key may be those of an earlier table of this name");
      result.add(later.isEmpty() ? u : without(u, x -> x.keyless() && later.contains(x.table())));
    }
    return result;
  }

  /**
   * What comes after a unit that was parked did not wait for it, and may have given the names of
   * its tables to others. Those that had them are among the tables that were altered since, or
   * whose schemas were; all of these become suspect, and rows without a key are not inserted.
   */
  private Unit underItsNames(Convergence engine, Unit u) throws SQLException {
    Set<TableName> since = new LinkedHashSet<>();
    Connection c = Session.open(engine.primary());
    try (PreparedStatement s =
        c.prepareStatement(
            "select n.nspname, c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
                + " cross join pg_catalog.age(?::text::xid8::xid) unit"
                + " where c.relkind in ('r', 'p') and c.relpersistence <> 't'"
                + " and n.nspname not in ('pg_catalog', 'information_schema', 'dualwrite') and n.nspname not like '\\_timescaledb\\_%'"
                + " and (pg_catalog.age(c.xmin) >= 0 and pg_catalog.age(c.xmin) < unit"
                + " or pg_catalog.age(n.xmin) >= 0 and pg_catalog.age(n.xmin) < unit)")) {
      s.setString(1, Long.toString(u.intent.xid()));
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          since.add(new TableName(r.getString(1), r.getString(2)));
        }
      }
    } finally {
      Session.close(c);
    }
    if (rowTables(List.of(u)).stream().noneMatch(since::contains)) {
      return u;
    }
    suspect(since, u.intent, "rows that were parked may be those of another table of the name");
    return without(u, x -> x.keyless() && since.contains(x.table()));
  }

  /** Whether the table of that name was made, and got its name, before the unit was written. */
  private static boolean same(Convergence engine, TableName table, Intent unit)
      throws SQLException {
    Connection c = Session.open(engine.primary());
    try (PreparedStatement s =
        c.prepareStatement(
            "select pg_catalog.age(xmin) >= pg_catalog.age(?::text::xid8::xid) from pg_catalog.pg_class"
                + " where oid = pg_catalog.to_regclass(?)")) {
      s.setString(1, Long.toString(unit.xid()));
      s.setString(2, table.sql());
      try (ResultSet r = s.executeQuery()) {
        return r.next() && r.getBoolean(1);
      }
    } finally {
      Session.close(c);
    }
  }

  private static Unit without(Unit u, Predicate<RowChange> which) {
    return with(u, u.intent.changes().stream().filter(which.negate()).toList());
  }

  private static Unit with(Unit u, List<RowChange> changes) {
    Intent i = u.intent;
    return new Unit(
        new Intent(
            i.sequence(), i.wallMicros(), i.epoch(), i.incarnation(), i.xid(), i.pid(), changes),
        u.doubtful);
  }

  /** The keys of the rows that keyless rows refer to. */
  private static Map<TableName, Set<List<String>>> parents(
      Convergence engine, List<KeylessReplay.Unit> units)
      throws SQLException, ConvergenceException {
    Map<TableName, Set<List<String>>> result = new TreeMap<>();
    Connection c = Session.open(engine.primary());
    try {
      for (KeylessReplay.Unit u : units) {
        for (RowChange change : u.intent().changes()) {
          if (!change.keyless()) {
            continue;
          }
          for (ForeignKey f : engine.primaryTable(c, change.table()).references()) {
            List<String> key = engine.primaryTable(c, f.parent()).key();
            int[] at = new int[key.size()];
            for (int i = 0; i < at.length; i++) {
              int n = f.parentColumns().indexOf(key.get(i));
              at[i] = n < 0 ? -1 : change.columns().indexOf(f.childColumns().get(n));
            }
            if (at.length == 0 || Arrays.stream(at).anyMatch(i -> i < 0)) {
              continue; // refers to another unique index than the key: comes with its own changes
            }
            Set<List<String>> of = result.computeIfAbsent(f.parent(), t -> new LinkedHashSet<>());
            for (String[] row : change.rows()) {
              if (Arrays.stream(at).allMatch(i -> row[i] != null)) {
                of.add(Arrays.stream(at).mapToObj(i -> row[i]).toList());
              }
            }
          }
        }
      }
    } finally {
      Session.close(c);
    }
    return result;
  }

  private static Set<TableName> tables(Intent i) {
    Set<TableName> result = new LinkedHashSet<>();
    i.changes().stream().filter(RowChange::keyless).forEach(c -> result.add(c.table()));
    return result;
  }

  /** No transaction has to be waited for: the one that was the cause holds the table's lock. */
  private void orphaned(TableName child) {
    journal.suspect(new Suspect(child, ORPHANED, now(), "", Suspect.NOBODY));
  }

  private static long now() {
    return TimeUnit.MILLISECONDS.toMicros(System.currentTimeMillis());
  }

  private void suspect(Set<TableName> tables, Intent by, String reason) {
    for (TableName t : tables) {
      journal.suspect(new Suspect(t, reason, now(), by.incarnation(), by.xid()));
    }
  }

  /** WAIT_INFLIGHT: a second look at keys whose transactions in flight have ended. */
  private void settle(Round r) throws SQLException {
    List<Unsettled> all = new ArrayList<>();
    waiting.forEach(w -> all.addAll(w.unsettled));
    if (all.isEmpty()) {
      return;
    }
    r.engine.stillInFlight(all);
    for (Waiting w : List.copyOf(waiting)) {
      if (!w.unsettled.stream().allMatch(Unsettled::ended)) {
        continue;
      }
      waiting.remove(w); // whatever fails begins anew, each unit by itself
      List<Unsettled> more = new ArrayList<>();
      try {
        for (Unsettled u : w.unsettled) {
          more.addAll(r.engine.settle(u, this::orphaned));
        }
        if (more.isEmpty()) {
          boolean last = barrier() == Long.MAX_VALUE;
          w.units.forEach(u -> done(r, u, last));
        } else {
          waiting.add(new Waiting(w.units, more));
        }
      } catch (ConvergenceException e) {
        failed(r, w.units, Failure.PERMANENT, e);
      } catch (SQLException e) {
        Failure kind = Failure.of(e);
        failed(r, w.units, kind, e);
        if (kind == Failure.DOWN) {
          throw e;
        }
      }
    }
  }

  private void failed(Round r, List<Long> units, Failure kind, Exception error) {
    r.error = error.getMessage();
    if (units.size() == 1) {
      fail(r, units.get(0), kind, error);
    } else {
      units.forEach(u -> failed.putIfAbsent(u, new Failed(0, System.nanoTime())));
    }
  }

  /**
   * The union of the units' keys, in the order of the primary's key columns.
   *
   * @param rekeyed gets the rows whose key was changed, by their new keys
   * @param formerly gets the tables that have another key by now, or none, and the first unit that
   *     has rows by the former one: there is no telling which rows those are
   */
  static Map<TableName, Map<List<String>, Boolean>> keys(
      Convergence engine, List<Unit> units, List<Rekeyed> rekeyed, Map<TableName, Unit> formerly)
      throws SQLException, ConvergenceException {
    Map<TableName, Map<List<String>, Boolean>> result = new TreeMap<>();
    boolean anew = false;
    Connection c = null;
    try {
      for (Unit u : units) {
        for (RowChange change : u.intent.changes()) {
          if (change.keyless()
              || change.rows().length == 0
              || change.kind() == RowChange.Kind.STATEMENT
              || change.kind() == RowChange.Kind.TRUNCATE) {
            continue;
          }
          if (c == null) {
            c = Session.open(engine.primary());
          }
          Table table = engine.primaryTable(c, change.table());
          if (!anew && !keyedBy(table, change)) {
            anew = true; // others may have given it that key since it was looked at
            engine.primaryCatalog().invalidate();
            table = engine.primaryTable(c, change.table());
          }
          if (!keyedBy(table, change)) {
            formerly.putIfAbsent(change.table(), u);
            continue;
          }
          Map<List<String>, Boolean> of =
              result.computeIfAbsent(change.table(), t -> new LinkedHashMap<>());
          int n = change.keyColumns().size();
          switch (change.kind()) {
            case DELETE -> add(of, c, table, change, positions(table, change, 0, n), true);
            case REKEY -> {
              if (Rules.on(Rule.REKEY_TAKES_BOTH)) {
                add(of, c, table, change, positions(table, change, 0, n), true);
              }
              Map<List<String>, Boolean> now = new LinkedHashMap<>();
              add(
                  now,
                  c,
                  table,
                  change,
                  positions(table, change, n, change.columns().size()),
                  false);
              now.forEach((k, deleted) -> of.merge(k, deleted, Boolean::logicalOr));
              rekeyed.add(new Rekeyed(table, List.copyOf(now.keySet())));
            }
            default ->
                add(
                    of,
                    c,
                    table,
                    change,
                    positions(table, change, 0, change.columns().size()),
                    false);
          }
        }
      }
    } finally {
      Session.close(c);
    }
    return result;
  }

  private static boolean keyedBy(Table table, RowChange change) {
    return new HashSet<>(table.key()).equals(new HashSet<>(change.keyColumns()));
  }

  /**
   * Resyncs the primary's rows that followed rows to their new keys by a foreign key that acts on a
   * change, and those that followed them: where that is part of their own key, the mirror has no
   * row under the new one that could be found there. A page at a time, as there may be many.
   *
   * @param chain the rows that these followed, themselves included: nothing goes round for ever
   * @param keyless gets the tables without a key among them
   */
  private void followers(
      Round r,
      Table parent,
      List<List<String>> keys,
      List<Rekeyed> chain,
      Set<TableName> keyless,
      List<Unsettled> unsettled)
      throws SQLException, ConvergenceException {
    for (ForeignKey f : parent.referencedBy()) {
      if (!f.onUpdate().changesChild() || !parent.key().containsAll(f.parentColumns())) {
        continue;
      }
      Table child = table(r.engine, f.child());
      referring(
          r.engine,
          f,
          parent,
          child,
          keys,
          page -> {
            if (child.key().isEmpty()) {
              keyless.add(child.name());
              return;
            }
            List<List<String>> fresh = new ArrayList<>(page);
            for (Rekeyed x : chain) {
              if (x.table.name().equals(child.name())) {
                fresh.removeAll(new HashSet<>(x.keys));
              }
            }
            if (fresh.isEmpty()) {
              return;
            }
            Map<List<String>, Boolean> these = new LinkedHashMap<>();
            fresh.forEach(k -> these.put(k, false));
            look(r, Map.of(child.name(), these), unsettled);
            List<Rekeyed> longer = new ArrayList<>(chain);
            longer.add(new Rekeyed(child, fresh));
            followers(r, child, fresh, longer, keyless, unsettled);
          });
    }
  }

  private static Table table(Convergence engine, TableName name) throws SQLException {
    Connection c = Session.open(engine.primary());
    try {
      return engine.primaryTable(c, name);
    } finally {
      Session.close(c);
    }
  }

  /**
   * The keys of the primary's rows that refer to rows with these keys, in pages; of a table without
   * a key one empty key if there are such rows.
   */
  private static void referring(
      Convergence engine,
      ForeignKey f,
      Table parent,
      Table child,
      List<List<String>> keys,
      Page page)
      throws SQLException, ConvergenceException {
    int most = engine.options().family();
    List<Dml.In> key = new ArrayList<>();
    for (String k : child.key()) {
      key.add(new Dml.In(child.column(k).orElseThrow(), null));
    }
    for (int from = 0; from < keys.size(); from += most) {
      List<List<String>> slice = keys.subList(from, Math.min(keys.size(), from + most));
      List<String> last = null;
      List<List<String>> found;
      do {
        engine.rate().await();
        found = referring(engine, f, parent, child, key, slice, last, most);
        engine.rate().book(found.size());
        if (!found.isEmpty()) {
          page.of(found); // with no connection held: what follows may go deep
          last = found.get(found.size() - 1);
        }
      } while (found.size() == most && !key.isEmpty());
    }
  }

  private static List<List<String>> referring(
      Convergence engine,
      ForeignKey f,
      Table parent,
      Table child,
      List<Dml.In> key,
      List<List<String>> keys,
      List<String> after,
      int most)
      throws SQLException {
    int n = parent.key().size();
    StringBuilder sql = new StringBuilder(Convergence.primaryRead()).append(";\nselect ");
    sql.append(
        key.stream()
            .map(k -> "t." + k.column().sql() + "::text")
            .collect(Collectors.joining(", ")));
    sql.append(" from ").append(Dml.unnest(n)).append(Dml.alias(n, true));
    sql.append(" join ").append(child.own()).append(" t on ");
    for (int i = 0; i < f.childColumns().size(); i++) {
      int at = parent.key().indexOf(f.parentColumns().get(i));
      Dml.In in = new Dml.In(parent.column(parent.key().get(at)).orElseThrow(), null);
      sql.append(i == 0 ? "t." : " and t.")
          .append(TableName.quote(f.childColumns().get(i)))
          .append(" = ")
          .append(in.cast("u.a" + at));
    }
    if (key.isEmpty()) {
      sql.append(" limit 1");
    } else {
      sql.append(after == null ? "" : " where " + Dml.after("t", key));
      sql.append(Dml.page("t", key, most));
    }
    List<List<String>> result = new ArrayList<>();
    Connection c = Session.open(engine.primary());
    try (PreparedStatement s = c.prepareStatement(sql.toString())) {
      int p =
          MirrorWriter.pins(
              s, engine.options().resyncLimits(), Session.searchPath(List.of(parent, child)));
      for (int i = 0; i < n; i++) {
        int k = i;
        s.setArray(
            p++, c.createArrayOf("text", keys.stream().map(x -> x.get(k)).toArray(String[]::new)));
      }
      for (int i = 0; after != null && i < key.size(); i++) {
        s.setString(p++, after.get(i));
      }
      s.execute();
      Convergence.checkPrimary(s);
      s.getMoreResults();
      try (ResultSet r = s.getResultSet()) {
        while (r.next()) {
          String[] k = new String[key.size()];
          for (int i = 0; i < k.length; i++) {
            k[i] = r.getString(i + 1);
          }
          result.add(List.of(k));
        }
      }
    } finally {
      Session.close(c);
    }
    return result;
  }

  /** Where each key column stands within a part of the change's columns. */
  private static int[] positions(Table table, RowChange change, int from, int to) {
    List<String> part = change.columns().subList(from, to);
    // a key column that a REKEY does not write stays as it was
    return table.key().stream()
        .mapToInt(k -> part.contains(k) ? from + part.indexOf(k) : change.columns().indexOf(k))
        .toArray();
  }

  private static void add(
      Map<List<String>, Boolean> to,
      Connection c,
      Table table,
      RowChange change,
      int[] at,
      boolean deleted)
      throws SQLException {
    boolean typed = false;
    for (int i = 0; i < at.length; i++) {
      Column k = table.column(table.key().get(i)).orElseThrow();
      // a parameter's text may be longer than what the column keeps of it
      typed |= change.type(at[i]) != null || !k.declaredType().equals(k.type());
    }
    List<List<String>> keys = new ArrayList<>();
    for (String[] row : change.rows()) {
      keys.add(Arrays.stream(at).mapToObj(j -> row[j]).toList());
    }
    if (typed) {
      keys = converted(c, table, change, at, keys);
    }
    for (List<String> k : keys) {
      to.merge(k, deleted, Boolean::logicalOr);
    }
  }

  /** Key values as the server converted them, to the column's type and length. */
  private static List<List<String>> converted(
      Connection c, Table table, RowChange change, int[] at, List<List<String>> keys)
      throws SQLException {
    StringBuilder sql = new StringBuilder(Session.PINS).append(";\nselect ");
    for (int i = 0; i < at.length; i++) {
      Dml.In in = new Dml.In(table.column(table.key().get(i)).orElseThrow(), change.type(at[i]));
      sql.append(i == 0 ? "" : ", ")
          .append("cast(")
          .append(in.cast("u.a" + i))
          .append(" as ")
          .append(in.column().declaredType())
          .append(")::text");
    }
    sql.append(" from ").append(Dml.unnest(at.length)).append(Dml.alias(at.length, true));
    List<List<String>> result = new ArrayList<>();
    try (PreparedStatement s = c.prepareStatement(sql.toString())) {
      int p = MirrorWriter.pins(s, ApplyLimits.DEFAULT, Session.searchPath(List.of(table)));
      for (int i = 0; i < at.length; i++) {
        int k = i;
        s.setArray(
            p + i,
            c.createArrayOf("text", keys.stream().map(x -> x.get(k)).toArray(String[]::new)));
      }
      s.execute();
      s.getMoreResults();
      try (ResultSet r = s.getResultSet()) {
        while (r.next()) {
          String[] k = new String[at.length];
          for (int i = 0; i < k.length; i++) {
            k[i] = r.getString(i + 1);
          }
          result.add(List.of(k));
        }
      }
    }
    return result;
  }

  // ----------------------------------------------------------------------------------------------
  // the watermark

  /**
   * Writes the writer's row on the mirror: heartbeat, pending count, and the watermark that the
   * journal says is durable (rule 10); markers up to it go in the same transaction. The background
   * thread does so at each interval.
   *
   * @param goodbye whether the writer ends; recorded only if nothing is owed to the mirror any
   *     more: nothing pending, in flight or parked, and no suspect open
   */
  public void heartbeat(boolean goodbye) throws SQLException {
    round.lock();
    try {
      long now = System.nanoTime();
      if (!goodbye && lastBeat != 0 && now - lastBeat < options.interval().toNanos()) {
        return;
      }
      long through = journal.resolvedThrough();
      long pending = journal.pendingCount() + journal.inFlightCount();
      String writer = journal.writer().toString();
      Convergence engine = engines.get();
      Connection m = Session.open(engine.mirror());
      try {
        try {
          promoted(m, writer, engine == beaten);
        } catch (SQLException e) {
          if (!"42P01".equals(e.getSQLState())) {
            throw e;
          }
          m.rollback(); // a former version's schema, in a replay by hand
        }
        beat(m, writer, through, pending, goodbye);
        MirrorWriter.commit(m);
        lastBeat = now;
        beaten = engine;
      } finally {
        Session.close(m);
      }
      if (goodbye && settled()) {
        Connection p = Session.open(engine.primary()); // whoever exchanges the roles asks both
        try {
          ControlSchema.goodbye(p, journal.writer());
          p.commit();
        } finally {
          Session.close(p);
        }
      }
    } finally {
      round.unlock();
    }
  }

  private boolean settled() {
    return journal.pendingCount() == 0
        && journal.inFlightCount() == 0
        && journal.parked().isEmpty()
        && journal.suspects().isEmpty();
  }

  private void beat(Connection m, String writer, long through, long pending, boolean goodbye)
      throws SQLException {
    try (PreparedStatement s =
        m.prepareStatement(
            Session.PINS
                + ";\ninsert into dualwrite.writer as w (writer, resolved_through, host, pending, goodbye)"
                + " values (?::text::uuid, ?, ?::text, ?, ?) on conflict (writer) do update set"
                + " resolved_through = greatest(w.resolved_through, excluded.resolved_through),"
                + " started = least(w.started, now()), heartbeat = now(), host = excluded.host, pending = excluded.pending, goodbye = excluded.goodbye;\n"
                + "delete from dualwrite.marker where writer = ?::text::uuid and abs(sequence) <= ?")) {
      int p = MirrorWriter.pins(s, ApplyLimits.DEFAULT, "pg_catalog");
      s.setString(p++, writer);
      s.setLong(p++, through);
      s.setString(p++, ControlSchema.host());
      s.setLong(p++, pending);
      s.setBoolean(p++, goodbye && settled());
      s.setString(p++, writer);
      s.setLong(p, through);
      s.execute();
    }
  }

  /**
   * Rule 4: a standby of the mirror that was promoted may lack what the mirror held, and which
   * units of work that were is known nowhere: everything becomes suspect, before the timeline is
   * noted.
   *
   * @param known whether this one has noted it there before
   */
  private void promoted(Connection m, String writer, boolean known) throws SQLException {
    String now;
    String before;
    try (PreparedStatement s =
        m.prepareStatement(
            "select "
                + Incarnation.TIMELINE
                + ", (select timeline from dualwrite.timeline where writer = ?::text::uuid)")) {
      s.setString(1, writer);
      try (ResultSet r = s.executeQuery()) {
        r.next();
        now = r.getString(1);
        before = r.getString(2);
      }
    }
    if (now.equals(before)) {
      return;
    }
    if (before != null || known) {
      LOG.warn("a standby of the mirror was promoted: all tables are suspect, as it may lack rows");
      long micros = TimeUnit.MILLISECONDS.toMicros(System.currentTimeMillis());
      journal.suspect(
          new Suspect(
              RowChange.NO_TABLE,
              "a standby of the mirror was promoted and may lack what the mirror held",
              micros,
              "",
              0));
    }
    try (PreparedStatement s =
        m.prepareStatement(
            "insert into dualwrite.timeline (writer, timeline) values (?::text::uuid, ?)"
                + " on conflict (writer) do update set timeline = excluded.timeline")) {
      s.setString(1, writer);
      s.setString(2, now);
      s.executeUpdate();
    }
  }
}
