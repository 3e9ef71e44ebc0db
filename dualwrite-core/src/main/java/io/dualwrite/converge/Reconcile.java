package io.dualwrite.converge;

import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.control.Incarnation;
import io.dualwrite.journal.Journal;
import io.dualwrite.journal.RowChange;
import io.dualwrite.journal.Suspect;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongConsumer;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import javax.sql.DataSource;

/**
 * Closes a journal's suspects: every row of a suspect table is made equal, by resync of all keys
 * that either side has, or, without a key, by recopy. The application may go on meanwhile.
 */
public final class Reconcile {

  private static final int BATCH = 2000;
  private static final long PATIENCE = TimeUnit.SECONDS.toNanos(30);

  private final Convergence convergence;
  private final Journal journal;
  private final Set<TableName> orphaned = new HashSet<>();
  private long waited;

  /** Is told how far it is, in the caller's thread. */
  public interface Progress {
    /**
     * At the beginning of a table, and after each batch of it.
     *
     * @param suspect what is worked on
     * @param table the table at hand, one of all for a suspect of {@code *.*}
     * @param rows keys resynced in this table so far; 0 when it is begun
     */
    void at(Suspect suspect, TableName table, long rows);
  }

  /**
   * For the suspects of one journal. While the mirror lacks statements (DDL) that the primary has,
   * nothing is made equal: they would do to it what they did to older rows there.
   */
  public Reconcile(Convergence convergence, Journal journal) {
    this.convergence = convergence.provided(() -> journal.barriers().isEmpty());
    this.journal = journal;
  }

  /**
   * Goes through the open suspects once. One whose transaction has not ended within half a minute
   * stays open; so do all while the journal holds statements (DDL) that the mirror may lack.
   *
   * @return how many were closed
   * @throws SQLException if a database fails or a table cannot be made equal
   */
  public int run() throws SQLException {
    return run(s -> true, (suspect, table, rows) -> {});
  }

  /**
   * As {@link #run()}, for some of the suspects.
   *
   * @param which which ones
   * @param progress is told
   */
  public int run(Predicate<Suspect> which, Progress progress) throws SQLException {
    orphaned.clear();
    int closed = close(which, progress);
    // tables without a key whose rows went with a row that had to go and come back
    return orphaned.isEmpty()
        ? closed
        : closed + close(s -> orphaned.contains(s.table()), progress);
  }

  private int close(Predicate<Suspect> which, Progress progress) throws SQLException {
    int closed = 0;
    SQLException failed = null;
    for (Suspect s : journal.suspects()) {
      try {
        if (which.test(s) && !s.statements() && journal.barriers().isEmpty() && ended(s)) {
          heal(s, progress);
          // one that was added to meanwhile stays
          closed += journal.closeSuspect(s) ? 1 : 0;
        }
      } catch (SQLException e) { // the others go on
        if (!journal.barriers().isEmpty()) {
          continue; // it is their turn
        }
        if (failed == null) {
          failed = e;
        } else {
          failed.addSuppressed(e);
        }
      }
    }
    if (failed != null) {
      throw failed;
    }
    return closed;
  }

  /** For how long this one's runs only waited for others' transactions to end. */
  public Duration waited() {
    return Duration.ofNanos(waited);
  }

  private void heal(Suspect s, Progress progress) throws SQLException {
    if (!s.table().equals(RowChange.NO_TABLE)) {
      Optional<Table> t = table(s.table());
      if (t.isPresent()) {
        heal(s, t.get(), progress);
        return;
      }
      // dropped, or it has another name now: which of the two nobody can tell
    }
    SQLException failed = null;
    for (Table t : all()) {
      try {
        heal(s, t, progress);
      } catch (SQLException e) {
        failed = failed == null ? e : failed;
      }
    }
    if (failed != null) {
      throw failed;
    }
  }

  /**
   * SUSPECT_CARRIES_XID: what is read from now on has to see the end of every transaction that
   * opened it. Where it names none, as after the loss of what would have, every transaction that is
   * under way may have: a COMMIT whose process is dead may still wait for a replica.
   */
  private boolean ended(Suspect s) throws SQLException {
    boolean ended = !Rules.on(Rules.Rule.SUSPECT_CARRIES_XID) || s.xid() == Suspect.NOBODY;
    long horizon = 0; // above the number of every transaction that had begun at the first look
    Set<String> running = null;
    long end = System.nanoTime() + PATIENCE;
    do {
      try (Connection c = convergence.primary().getConnection();
          Statement q = c.createStatement()) {
        try (ResultSet r =
            q.executeQuery(
                "select pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text, "
                    + Incarnation.SQL
                    // a snapshot's xmax is below those of them that run
                    + (s.xid() == 0 && horizon == 0
                        ? ", pg_catalog.pg_current_xact_id()::text"
                        : ", '0'"))) {
          r.next();
          long xmin = Long.parseLong(r.getString(1));
          if (s.xid() == 0) {
            horizon = Math.max(horizon, Long.parseLong(r.getString(3)));
            ended |= xmin > horizon;
          } else {
            // the journal keeps the highest number of several transactions: all of them are over
            // only below xmin
            ended |= !Incarnation.same(r.getString(2), s.incarnation()) || xmin > s.xid();
          }
        }
        if (s.table().equals(RowChange.NO_TABLE)) {
          Set<String> now = running(q);
          if (running != null) {
            now.retainAll(running);
          }
          running = now;
        }
        if (ended && (running == null || running.isEmpty())) {
          return true;
        }
      }
      long asked = System.nanoTime();
      LockSupport.parkNanos(this, TimeUnit.MILLISECONDS.toNanos(50));
      waited += System.nanoTime() - asked;
    } while (System.nanoTime() - end < 0 && !Thread.currentThread().isInterrupted());
    return false;
  }

  /**
   * The statements that run on the primary. A routine that commits by itself goes on there when its
   * client is gone, and has a new transaction each time; its statement is the same. That of another
   * role is not to be seen, but then it is not the application's.
   */
  private static Set<String> running(Statement q) throws SQLException {
    Set<String> result = new HashSet<>();
    try (ResultSet r =
        q.executeQuery(
            "select pid || ' ' || query_start from pg_catalog.pg_stat_activity where state = 'active'"
                + " and datname = pg_catalog.current_database() and backend_type = 'client backend'"
                + " and pid <> pg_catalog.pg_backend_pid()")) {
      while (r.next()) {
        result.add(r.getString(1));
      }
    }
    return result;
  }

  private List<Table> all() throws SQLException {
    try (Connection c = convergence.primary().getConnection()) {
      List<Table> tables = new ArrayList<>();
      for (Table t : convergence.primaryCatalog().tables(c)) {
        if (t.kind() != Table.Kind.PARTITION) { // its root takes it along
          tables.add(t);
        }
      }
      return tables;
    }
  }

  private Optional<Table> table(TableName name) throws SQLException {
    try (Connection c = convergence.primary().getConnection()) {
      return convergence.primaryCatalog().table(c, name);
    }
  }

  private void heal(Suspect suspect, Table t, Progress progress) throws SQLException {
    if (t.temporary() || t.kind() == Table.Kind.VIEW || t.kind() == Table.Kind.FOREIGN) {
      return;
    }
    progress.at(suspect, t.name(), 0);
    try {
      if (!t.keyed() || !keyedThere(t)) {
        convergence.recopy(t.name(), "true", this::orphaned);
        return;
      }
      // LIST_AFTER_INFLIGHT: a row that is on its way to the mirror is in no list of keys yet
      if (Rules.on(Rules.Rule.LIST_AFTER_INFLIGHT)) {
        long asked = System.nanoTime();
        try {
          convergence.awaitInFlight(t.name());
        } finally {
          waited += System.nanoTime() - asked;
        }
      }
      long[] rows = {0};
      LongConsumer more = n -> progress.at(suspect, t.name(), rows[0] += n);
      everyKey(convergence.primary(), t, convergence.primaryCatalog(), more);
      everyKey(convergence.mirror(), t, convergence.mirrorCatalog(), more);
    } catch (ConvergenceException e) {
      throw new SQLException(t.name() + " cannot be made equal: " + e.getMessage(), "55000", e);
    }
  }

  /** The statement that gives the mirror's table its key may wait for what is healed here. */
  private boolean keyedThere(Table t) throws SQLException {
    try (Connection c = convergence.mirror().getConnection()) {
      for (boolean anew : List.of(false, true)) {
        if (anew) {
          convergence.mirrorCatalog().invalidate();
        }
        if (Dml.unique(convergence.mirrorTable(c, t), t.key())) {
          return true;
        }
      }
      return false;
    }
  }

  private void orphaned(TableName child) {
    orphaned.add(child);
    long micros = TimeUnit.MILLISECONDS.toMicros(System.currentTimeMillis());
    journal.suspect(new Suspect(child, Replayer.ORPHANED, micros, "", Suspect.NOBODY));
  }

  private void everyKey(DataSource side, Table t, Catalog catalog, LongConsumer progress)
      throws SQLException, ConvergenceException {
    Table there;
    try (Connection c = side.getConnection()) {
      there =
          catalog
              .table(c, t.name())
              .orElseThrow(
                  () -> new ConvergenceException(t.name() + " is missing on one side; create it"));
    }
    SourceRate rate = convergence.rate();
    List<String> last = null;
    while (true) {
      rate.await();
      int most = rate.batch(BATCH);
      List<List<String>> keys = page(side, there, t, last, most);
      if (side == convergence.primary()) {
        rate.book(keys.size());
      }
      if (!keys.isEmpty()) {
        last = keys.get(keys.size() - 1);
        // a resync writes its rows, be they equal or not
        List<List<String>> some = convergence.differing(t.name(), keys);
        if (!some.isEmpty()) {
          convergence.resync(Map.of(t.name(), some), this::orphaned);
        }
        progress.accept(keys.size());
      }
      if (keys.size() < most) {
        return;
      }
    }
  }

  /**
   * The next keys in their own order, each page under a snapshot of its own: one that was kept for
   * all of them would keep the primary from vacuuming for as long.
   *
   * @param after the last key of the page before; null for the first
   */
  private List<List<String>> page(
      DataSource side, Table there, Table t, List<String> after, int most) throws SQLException {
    List<Dml.In> key = new ArrayList<>();
    for (String k : t.key()) {
      key.add(new Dml.In(there.column(k).orElseThrow(), null));
    }
    String sql =
        Session.PINS
            + Session.PLANNED_ANEW
            + ";\nselect "
            + key.stream()
                .map(k -> "t." + k.column().sql() + "::text")
                .collect(Collectors.joining(", "))
            + " from "
            + t.own()
            + " t"
            + (after == null ? "" : " where " + Dml.after("t", key))
            + Dml.page("t", key, most);
    Connection c = Session.open(side);
    try (PreparedStatement s = c.prepareStatement(sql)) {
      Duration lock = convergence.options().resyncLimits().lockTimeout();
      int p =
          MirrorWriter.pins(
              s,
              new ApplyLimits(lock, Duration.ZERO, Duration.ZERO),
              Session.searchPath(List.of(there)));
      for (int i = 0; after != null && i < key.size(); i++) {
        s.setString(p + i, after.get(i));
      }
      s.execute();
      s.getMoreResults();
      List<List<String>> keys = new ArrayList<>();
      try (ResultSet r = s.getResultSet()) {
        while (r.next()) {
          String[] values = new String[key.size()];
          for (int i = 0; i < values.length; i++) {
            values[i] = r.getString(i + 1);
          }
          keys.add(List.of(values));
        }
      }
      return keys;
    } finally {
      Session.close(c);
    }
  }
}
