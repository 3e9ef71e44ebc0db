package io.dualwrite.jdbc;

import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.control.ControlSchema;
import io.dualwrite.control.Phase;
import io.dualwrite.control.RolesHold;
import io.dualwrite.control.Side;
import io.dualwrite.converge.Triggers;
import io.dualwrite.journal.Journal;
import io.dualwrite.journal.Suspect;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * Exchanges the roles within one process: checks, pause, drain, sequences, flip, resume. Any
 * failure before the flip leaves everything as it was.
 *
 * <p>Nobody writes while the roles change: new transactions wait at the gate, open ones are waited
 * for, and only with nothing in flight and nothing pending (ACK_WHEN_DRAINED) does the control row
 * change, by compare-and-set (RESUME_BY_WORD).
 */
final class Cutover {

  private static final Duration CATCH_UP = Duration.ofSeconds(30);

  /** Each sequence; whether this role may read it, and something else. */
  private static final String SEQUENCES =
      "select n.nspname, c.relname, has_schema_privilege(n.oid, 'USAGE') and has_sequence_privilege(c.oid, 'SELECT'), %s"
          + " from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
          + " where c.relkind = 'S' and c.relpersistence <> 't' and n.nspname <> 'dualwrite'"
          + " and not starts_with(n.nspname, '_timescaledb_') order by 1, 2";

  /** Whether this role may draw from it; for an identity it need not have the sequence's leave. */
  private static final String DRAWS =
      "has_schema_privilege(n.oid, 'USAGE') and has_sequence_privilege(c.oid, 'USAGE, UPDATE')"
          + " or exists (select from pg_catalog.pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid"
          + " and d.refclassid = 'pg_class'::regclass and d.deptype = 'i' and has_schema_privilege(n.oid, 'USAGE')"
          + " and has_any_column_privilege(d.refobjid, 'INSERT'))";

  private final DualWriter writer;
  private final Duration deadline;
  private final boolean back;
  private final List<String> steps = new ArrayList<>();

  Cutover(DualWriter writer, Duration deadline, boolean back) {
    this.writer = writer;
    this.deadline = deadline;
    this.back = back;
  }

  CutoverReport run() throws SQLException {
    Epoch old = writer.now();
    if (!old.capturing()) {
      throw refuse(
          "the phase is "
              + old.phase()
              + ", so the mirror does not have the writes; set it to "
              + Phase.DUAL_WRITE);
    }
    if ((old.roles().primary() == Side.TARGET) != back) {
      throw refuse("the " + old.roles().primary() + " is primary already");
    }
    nothingSuspect();
    boolean staged = checks(old);
    // most of what is pending is worked off before anybody has to wait
    if (!writer.drain(CATCH_UP)) {
      nothingSuspect(); // parked units keep it from being drained
      throw refuse(
          writer.journal.pendingCount()
              + " units of work are still pending after "
              + CATCH_UP.toSeconds()
              + " s; see status");
    }
    nothingSuspect();
    if (!back && !staged) {
      filled(old);
    }
    steps.add(
        "checked: nothing suspect, nothing parked, "
            + (staged
                ? "backfill complete, "
                : back ? "" : "no backfill was staged but the first rows of each table are there, ")
            + "caught up");
    // what is made equal meanwhile would be made so in the direction of before
    return writer.withoutHealing(deadline, () -> exchange(old));
  }

  private CutoverReport exchange(Epoch old) throws SQLException {
    long start = System.nanoTime();
    long drained = 0;
    int sequences = 0;
    writer.gate.shut();
    try {
      if (!writer.gate.awaitThoseOpenNow(deadline)) {
        throw refuse(
            writer.gate.busy()
                + " transactions have not ended within "
                + deadline.toMillis()
                + " ms; the roles stay as they are");
      }
      drained = writer.journal.pendingCount();
      old.convergence().liftRate(true); // the application waits: there is no load to be spared
      if (!writer.drain(left(start))) {
        throw refuse(
            "the journal was not drained within "
                + deadline.toMillis()
                + " ms; the roles stay as they are");
      }
      // transactions that were open until now, and the drain itself, may have opened some
      nothingSuspect();
      steps.add("paused and drained " + drained + " units of work");
      try (Connection source = writer.source().engine();
          Connection target = writer.target().engine()) {
        boolean forth = old.roles().primary() == Side.SOURCE;
        Connection from = forth ? source : target;
        Connection to = forth ? target : source;
        try {
          // for a process that starts without the target, should this one die between the commits
          leaving(source, true);
          begin(source, start);
          begin(target, start);
          nobodyRepairs(target);
          writer.holdControlRows(source, target);
          noOtherWriter(source); // some may have begun since the checks
          noOtherWriter(target);
          sequences = sequences(from, to, start);
          steps.add("set " + sequences + " sequences on the " + old.roles().mirror());
          exchangeTriggers(from, to, start);
          left(start);
          writer.flip(source, target);
        } catch (SQLException e) {
          throw inTime(e, start);
        } finally {
          end(source);
          end(target);
          if (writer.now().roles().equals(old.roles()) && !writer.isHalted()) {
            stay(source);
          }
          writer.catalogChanged(); // what was known of triggers is from before the exchange
        }
      }
    } finally {
      old.convergence().liftRate(false);
      writer.gate.open();
    }
    Duration pause = Duration.ofNanos(System.nanoTime() - start);
    steps.add(
        "the "
            + writer.now().roles().primary()
            + " is primary, after a pause of "
            + pause.toMillis()
            + " ms");
    return new CutoverReport(writer.now().roles(), pause, drained, sequences, steps);
  }

  /** What is left of the time that transactions may be held back. */
  private Duration left(long start) throws SQLException {
    Duration left = deadline.minusNanos(System.nanoTime() - start);
    if (left.toMillis() <= 0) {
      throw late();
    }
    return left;
  }

  private SQLException late() {
    return refuse(
        "it could not be done within " + deadline.toMillis() + " ms; the roles stay as they are");
  }

  /** A statement that waited for a lock until the time was over says so in other words. */
  private SQLException inTime(SQLException e, long start) {
    boolean waited = "55P03".equals(e.getSQLState()) || "57014".equals(e.getSQLState());
    if (!waited || System.nanoTime() - start < deadline.toNanos() / 2) {
      return e;
    }
    SQLException late = late();
    late.initCause(e);
    return late;
  }

  private static void leaving(Connection source, boolean now) throws SQLException {
    try (Statement s = source.createStatement()) {
      s.execute("update dualwrite.control set paused = " + now);
    }
  }

  private static void stay(Connection source) {
    try {
      leaving(source, false);
    } catch (SQLException e) {
      // who can reach the target when it starts does it
    }
  }

  /** One transaction on each side: before they commit, nothing has changed on either. */
  private void begin(Connection c, long start) throws SQLException {
    c.setAutoCommit(false);
    try (Statement s = c.createStatement()) {
      s.execute(
          "set transaction isolation level read committed"); // to see who came while it waited
    }
    bound(c, start);
  }

  /** VACUUM, or an index that is built, may have what the exchange waits for. */
  private void bound(Connection c, long start) throws SQLException {
    long millis = left(start).toMillis();
    try (Statement s = c.createStatement()) {
      s.execute(
          "set local lock_timeout = "
              + millis
              + "; set local statement_timeout = "
              + millis
              + "; set local idle_in_transaction_session_timeout = "
              + (millis + 10_000));
    }
  }

  private static void end(Connection c) {
    try {
      c.rollback(); // nothing, if it has committed
      c.setAutoCommit(true);
    } catch (SQLException e) {
      // broken: the server rolls back
    }
  }

  /**
   * Rule 6: triggers fire on the primary only. Those of the old primary go off, those of the new
   * one on, with the transactions that exchange the roles.
   */
  private void exchangeTriggers(Connection from, Connection to, long start) throws SQLException {
    bound(to, start);
    int n = Triggers.enableAll(to);
    bound(from, start);
    DualWriter.disableTriggers(from);
    if (n > 0) {
      steps.add("switched " + n + " triggers and rules on on the new primary");
    }
  }

  private void nothingSuspect() throws SQLException {
    List<Suspect> suspects = writer.journal.suspects();
    if (!suspects.isEmpty()) {
      throw refuse(
          suspects.get(0).table()
              + " is suspect ("
              + suspects.get(0).reason()
              + "); "
              + (suspects.get(0).statements()
                  ? "do it there, then call DualWriteDataSource.statementsDone()"
                  : "DualWriteDataSource.reconcile() makes it equal and closes it"));
    }
    List<Journal.Parked> parked = writer.journal.parked();
    if (!parked.isEmpty()) {
      throw refuse(
          "unit of work " + parked.get(0).sequence() + " is parked: " + parked.get(0).error());
    }
  }

  /** Rows that are brought over from the old primary would overwrite those of the new one. */
  private static void nobodyRepairs(Connection target) throws SQLException {
    if (!RolesHold.nobodys(target)) {
      throw refuse(
          "a copy, 'verify --repair', 'reconcile' or 'journal replay' is at work; let it end");
    }
  }

  /** Returns whether a backfill was staged; it is complete then. */
  private boolean checks(Epoch old) throws SQLException {
    boolean staged = false;
    try (Connection t = writer.target().engine()) {
      nobodyRepairs(t);
      Optional<ControlSchema.Row> there = ControlSchema.row(t);
      if (there.isPresent()) {
        writer.mirroredByAll(there.get());
      }
    }
    try (Connection m = old.mirror().engine();
        Statement s = m.createStatement()) {
      boolean tasks;
      try (ResultSet r = s.executeQuery("select to_regclass('dualwrite.task') is not null")) {
        r.next();
        tasks = r.getBoolean(1);
      }
      if (tasks) {
        try (ResultSet r =
            s.executeQuery(
                "select count(*) filter (where state <> 'done'), count(*) > 0 from dualwrite.task")) {
          r.next();
          staged = r.getBoolean(2);
          if (r.getLong(1) > 0) {
            throw refuse("the backfill has " + r.getLong(1) + " tasks left; run copy");
          }
        }
      }
      noOtherWriter(m);
      alike(old, m);
      // from the flip on this side is primary and the other is mirror: keyless rows need their
      // markers there
      try (Connection p = old.primary().engine()) {
        ControlSchema.install(p);
      } catch (SQLException e) {
        throw refuse(
            "the schema dualwrite cannot be created on the "
                + old.roles().primary()
                + ", which is mirror afterwards: "
                + e.getMessage());
      }
      try (Connection p = old.primary().engine()) {
        noOtherWriter(p); // one that could reach only this
        carried(p, m);
      }
    }
    return staged;
  }

  /**
   * What another writer's journal still holds would be missing on the new primary, and one that
   * runs would go on writing to the old: only a goodbye tells that there is neither (rule 17). How
   * long it has been silent tells nothing, nor what it had pending when it was heard of last.
   */
  private void noOtherWriter(Connection side) throws SQLException {
    try (PreparedStatement s =
        side.prepareStatement(
            "select writer::text, host, pending, heartbeat > now() - interval '15 s',"
                + " date_trunc('second', heartbeat)::text from dualwrite.writer"
                + " where writer <> ?::text::uuid and not goodbye order by heartbeat desc limit 1")) {
      s.setString(1, writer.journal.writer().toString());
      try (ResultSet r = s.executeQuery()) {
        if (!r.next()) {
          return;
        }
        String who = "the writer " + r.getString(1) + " on host " + r.getString(2);
        throw refuse(
            r.getBoolean(4)
                ? who + " is running; the roles are exchanged by one process: stop the others first"
                : who
                    + " has not said goodbye; it had "
                    + r.getLong(3)
                    + " units of work pending when it was heard of last, at "
                    + r.getString(5)
                    + ", and may have more. If it runs, stop it; else run 'dualwrite journal replay' and 'dualwrite reconcile' on its journal. If that is lost, DualWriteDataSource.writeOff makes all tables equal instead");
      }
    }
  }

  /**
   * What the old primary, as mirror, could not take, or would answer with triggers of its own, is
   * found now and not after the flip.
   */
  private static void alike(Epoch old, Connection newPrimary) throws SQLException {
    Side side = old.roles().mirror();
    try (Connection oldPrimary = old.primary().engine()) {
      old.primary().catalog.invalidate();
      old.mirror().catalog.invalidate();
      Set<TableName> there = new HashSet<>();
      for (Table t : old.mirror().catalog.tables(newPrimary)) {
        there.add(t.name());
        Optional<Table> here = old.primary().catalog.table(oldPrimary, t.name());
        String problem = here.isEmpty() ? null : Differences.of(t, here.get(), side.other());
        if (problem != null) {
          throw refuse(t.name() + " " + problem);
        }
      }
      for (Table t : used(old, oldPrimary)) {
        if (!there.contains(t.name())) {
          throw refuse(
              t.name() + " is missing on the " + side + "; create it and bring its rows over");
        }
      }
      Set<TableName> logged = persistence(oldPrimary, 'p');
      for (TableName t : persistence(newPrimary, 'u')) {
        if (logged.contains(t)) {
          throw refuse(
              t
                  + " is UNLOGGED on the "
                  + side
                  + " alone, where a crash would empty it: ALTER TABLE … SET LOGGED");
        }
      }
    }
  }

  private static Set<TableName> persistence(Connection c, char what) throws SQLException {
    Set<TableName> result = new TreeSet<>();
    try (Statement s = c.createStatement();
        ResultSet r =
            s.executeQuery(
                "select n.nspname, c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
                    + " where c.relkind = 'r' and c.relpersistence = '"
                    + what
                    + "' and n.nspname not in ('dualwrite', 'pg_catalog', 'information_schema')")) {
      while (r.next()) {
        result.add(new TableName(r.getString(1), r.getString(2)));
      }
    }
    return result;
  }

  /** The old primary's tables that this role may use, but for partitions, which may be others. */
  private static List<Table> used(Epoch old, Connection oldPrimary) throws SQLException {
    Set<Long> may = new HashSet<>();
    try (Statement s = oldPrimary.createStatement();
        ResultSet r =
            s.executeQuery(
                "select oid::bigint from pg_catalog.pg_class where relkind in ('r', 'p')"
                    + " and pg_catalog.has_table_privilege(oid, 'SELECT')"
                    + " and pg_catalog.has_schema_privilege(relnamespace, 'USAGE')")) {
      while (r.next()) {
        may.add(r.getLong(1));
      }
    }
    return old.primary().catalog.tables(oldPrimary).stream()
        .filter(t -> t.kind() != Table.Kind.PARTITION && may.contains(t.oid()))
        .toList();
  }

  /**
   * Where nothing was staged, the rows of before may have come by other means, or not at all: those
   * with the lowest keys, which most often are the oldest, have to be there.
   */
  private void filled(Epoch old) throws SQLException {
    try (Connection from = old.primary().engine();
        Connection to = old.mirror().engine()) {
      try {
        lockTimeout(from, "'1s'");
        lockTimeout(to, "'1s'");
        for (Table t : used(old, from)) {
          filled(t, from, to, old.roles().mirror());
        }
      } catch (SQLException e) {
        throw "55P03".equals(e.getSQLState())
            ? refuse(
                "a transaction has a table locked; try again when it is over: " + e.getMessage())
            : e;
      } finally {
        lockTimeout(from, "default");
        lockTimeout(to, "default");
      }
    }
  }

  private void filled(Table t, Connection from, Connection to, Side side) throws SQLException {
    // again: rows that came, or went, just now
    for (int tries = 1; lacking(t, from, to); tries++) {
      if (tries == 5 || !writer.drain(CATCH_UP)) {
        throw refuse(
            t.name()
                + " has rows that are missing on the "
                + side
                + ", and no backfill was staged; run stage and copy, or restore a dump and run 'verify --repair'");
      }
    }
  }

  private static void lockTimeout(Connection c, String value) throws SQLException {
    try (Statement s = c.createStatement()) {
      s.execute("set lock_timeout = " + value);
    }
  }

  private static boolean lacking(Table t, Connection from, Connection to) throws SQLException {
    int n = t.key().size();
    if (n == 0) {
      String any = "select exists (select from " + t.own() + ")";
      return any(from, any) && !any(to, any);
    }
    // qualified: a bare name in ORDER BY would be the output column, a text
    String key =
        t.key().stream().map(k -> "t." + TableName.quote(k)).collect(Collectors.joining(", "));
    List<List<String>> first = new ArrayList<>();
    try (Statement s = from.createStatement();
        ResultSet r =
            s.executeQuery(
                "select "
                    + t.key().stream()
                        .map(k -> "t." + TableName.quote(k) + "::text")
                        .collect(Collectors.joining(", "))
                    + " from "
                    + t.own()
                    + " t order by "
                    + key
                    + " limit 10")) {
      while (r.next()) {
        List<String> row = new ArrayList<>();
        for (int i = 1; i <= n; i++) {
          row.add(r.getString(i));
        }
        first.add(row);
      }
    }
    StringBuilder sql = new StringBuilder("select exists (select from unnest(");
    StringBuilder names = new StringBuilder();
    StringBuilder same = new StringBuilder();
    for (int i = 0; i < n; i++) {
      sql.append(i == 0 ? "?::text[]" : ", ?::text[]");
      names.append(i == 0 ? "a" : ", a").append(i);
      same.append(i == 0 ? "t." : " and t.")
          .append(TableName.quote(t.key().get(i)))
          .append(" = u.a")
          .append(i)
          .append("::")
          .append(t.column(t.key().get(i)).orElseThrow().type());
    }
    sql.append(") u(").append(names).append(") where not exists (select from ");
    sql.append(t.own()).append(" t where ").append(same).append("))");
    try (PreparedStatement s = to.prepareStatement(sql.toString())) {
      for (int i = 0; i < n; i++) {
        int k = i;
        s.setArray(i + 1, to.createArrayOf("text", first.stream().map(x -> x.get(k)).toArray()));
      }
      try (ResultSet r = s.executeQuery()) {
        r.next();
        return r.getBoolean(1);
      }
    }
  }

  private static boolean any(Connection c, String question) throws SQLException {
    try (Statement s = c.createStatement();
        ResultSet r = s.executeQuery(question)) {
      r.next();
      return r.getBoolean(1);
    }
  }

  /**
   * Sets every sequence of the new primary past the old one's. Nobody draws from either meanwhile.
   */
  private int sequences(Connection from, Connection to, long start) throws SQLException {
    record Sequence(TableName name, BigDecimal value, boolean called, boolean rising) {}
    List<Sequence> all = new ArrayList<>();
    for (TableName n : carried(from, to)) {
      left(start);
      try (Statement s = from.createStatement();
          ResultSet r =
              s.executeQuery(
                  "select last_value, is_called, (select increment_by > 0 from pg_catalog.pg_sequences where schemaname = '"
                      + n.schema().replace("'", "''")
                      + "' and sequencename = '"
                      + n.name().replace("'", "''")
                      + "') from "
                      + n.sql())) {
        r.next();
        all.add(new Sequence(n, r.getBigDecimal(1), r.getBoolean(2), r.getBoolean(3)));
      }
    }
    int set = 0;
    for (Sequence q : all) {
      left(start);
      try (PreparedStatement s =
          to.prepareStatement(
              "select pg_catalog.setval(to_regclass(?)::regclass, ?, ?) from "
                  + q.name.sql()
                  + " where last_value "
                  + (q.rising ? "<" : ">")
                  + " ? or last_value = ? and is_called < ?")) {
        s.setString(1, q.name.sql());
        s.setLong(2, q.value.longValueExact());
        s.setBoolean(3, q.called);
        s.setLong(4, q.value.longValueExact());
        s.setLong(5, q.value.longValueExact());
        s.setBoolean(6, q.called);
        try (ResultSet r = s.executeQuery()) {
          set += r.next() ? 1 : 0;
        }
      }
    }
    return set;
  }

  /**
   * The old primary's sequences that this role may read: of the others it draws no value, but for
   * those that it may use without reading them, and then it has to.
   */
  private static List<TableName> carried(Connection from, Connection to) throws SQLException {
    Set<TableName> there = new HashSet<>();
    Set<TableName> writable = new HashSet<>();
    try (Statement s = to.createStatement();
        ResultSet r =
            s.executeQuery(SEQUENCES.formatted("has_sequence_privilege(c.oid, 'UPDATE')"))) {
      while (r.next()) {
        TableName name = new TableName(r.getString(1), r.getString(2));
        there.add(name);
        if (r.getBoolean(3) && r.getBoolean(4)) {
          writable.add(name);
        }
      }
    }
    List<TableName> result = new ArrayList<>();
    try (Statement s = from.createStatement();
        ResultSet r = s.executeQuery(SEQUENCES.formatted(DRAWS))) {
      while (r.next()) {
        TableName name = new TableName(r.getString(1), r.getString(2));
        if (r.getBoolean(3)) {
          if (!there.contains(name)) {
            throw refuse("the sequence " + name + " is missing on the new primary; create it");
          }
          if (!writable.contains(name)) {
            throw refuse(
                "the sequence "
                    + name
                    + " cannot be set on the new primary; GRANT ALL on it there");
          }
          result.add(name);
        } else if (r.getBoolean(4)) {
          throw refuse(
              "the sequence "
                  + name
                  + " cannot be read, but values are drawn from it; GRANT SELECT on it, and USAGE on its schema");
        }
      }
    }
    return result;
  }

  private static SQLException refuse(String sentence) {
    return new SQLException("no change of roles: " + sentence, "55000");
  }
}
