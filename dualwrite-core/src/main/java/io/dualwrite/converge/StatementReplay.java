package io.dualwrite.converge;

import io.dualwrite.catalog.TableName;
import io.dualwrite.journal.Intent;
import io.dualwrite.journal.RowChange;
import io.dualwrite.sql.Sql;
import io.dualwrite.sql.StatementInfo;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The statements of a pending unit that travel as text (DDL), in one mirror transaction that claims
 * their marker by inserting it: once, whatever became of the direct flush. Those that run in no
 * transaction have no marker: run twice, they do what the first time left to do.
 */
final class StatementReplay {

  private static final Logger LOG = LoggerFactory.getLogger(StatementReplay.class);

  /**
   * What the statements did.
   *
   * @param written tables whose rows they wrote here: they made other rows than on the primary, and
   *     not in its order
   * @param moved tables that some name leads to no more that did before, and those names: renamed,
   *     in another schema, or no partition any more
   * @param altered if asked for: tables that they made or moved, or whose columns they changed
   * @param renamed tables that have another name by now, or a column that has
   */
  record Effect(
      Set<TableName> written,
      Map<TableName, Set<TableName>> moved,
      Set<TableName> altered,
      Set<TableName> renamed) {}

  private StatementReplay() {}

  /**
   * Runs them, unless they ran.
   *
   * @param doubtful whether the primary's transaction may have aborted and nobody can tell any more
   * @param overtaken whether units that come later may have gone past it
   * @param did told, before the commit, what those did that run in a transaction
   * @throws ConvergenceException if that is so: only a person can tell
   * @throws SQLException if the mirror refuses one
   */
  static void run(
      Convergence engine,
      UUID writer,
      Intent unit,
      boolean doubtful,
      boolean overtaken,
      Consumer<Effect> did)
      throws SQLException, ConvergenceException {
    known(unit, doubtful);
    Connection m = Session.open(engine.mirror());
    try {
      Map<Long, Rows> first = null;
      Map<Long, Rows> before = null;
      Map<Attribute, Named> columns = Map.of();
      Set<TableName> written = new LinkedHashSet<>();
      for (RowChange c : unit.changes()) {
        if (c.kind() != RowChange.Kind.STATEMENT) {
          continue;
        }
        if (before == null) {
          try (Statement s = m.createStatement()) {
            // whoever reads the table there must not have the others wait behind a DROP
            s.execute(
                "set local lock_timeout = "
                    + engine.options().resyncLimits().lockTimeout().toMillis());
          }
          if (!claim(m, writer, unit.sequence())) {
            return;
          }
          before = rows(m);
          columns = columns(m);
          first = before;
        }
        if (c.rangeOf() != null) {
          written.addAll(written(m, before, rows(m)));
          MirrorWriter.statement(m, c);
          before = rows(m); // what went there is gone on the primary, too
          if (refilled(engine, c)) {
            written.add(c.rangeOf());
          }
          continue;
        }
        Savepoint here = m.setSavepoint();
        try {
          MirrorWriter.statement(m, c);
        } catch (SQLException e) {
          if (!done(e, c.rows()[0][0])) {
            throw e;
          }
          LOG.warn(
              "the mirror had what {} makes (or drops) already: {}",
              shortened(c.rows()[0][0]),
              e.getMessage());
          m.rollback(here);
        }
      }
      if (before != null) {
        Map<Long, Rows> after = rows(m);
        Map<TableName, Set<TableName>> moved = moved(first, after);
        Set<TableName> altered = new LinkedHashSet<>();
        if (overtaken) {
          altered.addAll(moved.keySet());
          altered.addAll(altered(m, after));
        }
        written.addAll(written(m, before, after));
        did.accept(new Effect(written, moved, altered, renamed(m, before, after, columns)));
      }
      MirrorWriter.commit(m);
    } finally {
      Session.close(m);
      engine.invalidate();
    }
  }

  private static void known(Intent unit, boolean doubtful) throws ConvergenceException {
    if (doubtful) {
      throw new ConvergenceException(
          "it is not known whether the transaction committed that ran "
              + shortened(first(unit))
              + " before the primary crashed; compare the schemas, then replay or skip the unit");
    }
  }

  /** Whether the unit is a statement that runs in no transaction. */
  static boolean isAlone(Intent unit) {
    return unit.changes().stream().anyMatch(RowChange::alone);
  }

  /** What is told of the connection that a statement runs on. */
  interface On {
    /**
     * Called before the statement, and with null before the connection is given back.
     *
     * @throws SQLException if the statement is not to run any more
     */
    void connection(Connection mirror) throws SQLException;
  }

  /**
   * Runs the unit's statement, which runs in no transaction, for as long as it takes.
   *
   * @param on told of the connection, so that it can be cancelled
   * @throws ConvergenceException if nobody can tell whether it ran on the primary
   * @throws SQLException if the mirror refuses it
   */
  static void alone(Convergence engine, Intent unit, boolean doubtful, On on)
      throws SQLException, ConvergenceException {
    known(unit, doubtful);
    Connection m = Session.open(engine.mirror());
    int timeout = 0;
    try {
      timeout = m.getNetworkTimeout();
      m.setNetworkTimeout(Runnable::run, 0); // the server would go on, and nobody see its end
      on.connection(m);
      for (RowChange c : unit.changes()) {
        RowChange left = left(m, c);
        if (left != null) {
          alone(engine, m, left);
        }
      }
    } finally {
      on.connection(null);
      Session.networkTimeout(m, timeout);
      Session.close(m);
      engine.invalidate();
    }
  }

  /**
   * What is left to do of it: DETACH PARTITION CONCURRENTLY that was cut short is to be finished,
   * and is refused where it is done. Null if nothing is.
   */
  private static RowChange left(Connection m, RowChange c) throws SQLException {
    String[] row = c.rows()[0];
    List<StatementInfo> statements = Sql.analyze(row[0]).statements();
    if (statements.size() != 1
        || statements.get(0).detached() == null
        || statements.get(0).objects().size() != 1) {
      return c;
    }
    String table = statements.get(0).objects().get(0);
    String partition = statements.get(0).detached();
    MirrorWriter.set(m, "search_path", row[1], true);
    try (PreparedStatement s =
        m.prepareStatement(
            "select i.inhparent is not null, (pg_catalog.to_jsonb(i) ->> 'inhdetachpending')::boolean"
                + " from (select pg_catalog.to_regclass(?) p, pg_catalog.to_regclass(?) c) x"
                + " left join pg_catalog.pg_inherits i on i.inhparent = x.p and i.inhrelid = x.c"
                + " where x.p is not null and x.c is not null")) {
      s.setString(1, table);
      s.setString(2, partition);
      try (ResultSet r = s.executeQuery()) {
        if (!r.next()) {
          return c; // the server says which is missing
        }
        if (!r.getBoolean(1)) {
          return null;
        }
        return r.getBoolean(2)
            ? RowChange.statement(
                "alter table " + table + " detach partition " + partition + " finalize",
                row[1],
                row[2],
                true)
            : c;
      }
    } finally {
      m.commit();
    }
  }

  private static void alone(Convergence engine, Connection m, RowChange c) throws SQLException {
    dropUnfinished(engine, m, c);
    m.setAutoCommit(true);
    try {
      MirrorWriter.statement(m, c);
    } catch (SQLException e) {
      if (!done(e, c.rows()[0][0])) {
        try {
          m.setAutoCommit(false);
          dropUnfinished(engine, m, c);
        } catch (SQLException left) { // the next attempt does it
          e.addSuppressed(left);
        }
        throw e;
      }
    } finally {
      m.setAutoCommit(false);
    }
  }

  /**
   * Whether the primary has rows by now in a range that was taken away here, where those may have
   * been, too: whoever brought them had committed them there before.
   */
  private static boolean refilled(Convergence engine, RowChange c) throws SQLException {
    Connection p = Session.open(engine.primary());
    try (PreparedStatement s = p.prepareStatement("select pg_catalog.to_regclass(?) is null")) {
      s.setString(1, c.rangeOf().sql());
      try (ResultSet r = s.executeQuery()) {
        r.next();
        if (r.getBoolean(1)) {
          return false;
        }
      }
      try (Statement q = p.createStatement();
          ResultSet r =
              q.executeQuery(
                  "select exists (select from "
                      + c.rangeOf().sql()
                      + " where "
                      + c.rows()[0][6]
                      + ")")) {
        r.next();
        return r.getBoolean(1);
      }
    } finally {
      Session.close(p);
    }
  }

  /**
   * Drops the invalid indexes that CREATE INDEX CONCURRENTLY left on its table when it failed, or
   * its connection was lost: one of that name passes for what the statement makes, and a unique one
   * refuses rows already. Whoever builds one holds the lock under which they are looked for.
   */
  private static void dropUnfinished(Convergence engine, Connection m, RowChange c)
      throws SQLException {
    String text = c.rows()[0][0];
    List<StatementInfo> statements = Sql.analyze(text).statements();
    if (!begins(text, "create")
        || statements.size() != 1
        || statements.get(0).objects().isEmpty()) {
      return;
    }
    String table = statements.get(0).objects().get(0);
    MirrorWriter.set(m, "search_path", c.rows()[0][1], true);
    try (Statement s = m.createStatement()) {
      if (!invalid(m, table).isEmpty()) {
        s.execute(
            "set local lock_timeout = " + engine.options().resyncLimits().lockTimeout().toMillis());
        s.execute("lock table " + table + " in share update exclusive mode");
        for (String index : invalid(m, table)) {
          s.execute("drop index " + index);
          LOG.warn("the mirror's invalid index {} is dropped: its building was cut short", index);
        }
      }
    }
    m.commit();
  }

  private static List<String> invalid(Connection m, String table) throws SQLException {
    List<String> result = new ArrayList<>();
    try (PreparedStatement s =
        m.prepareStatement(
            "select i.indexrelid::pg_catalog.regclass::text from pg_catalog.pg_index i"
                + " join pg_catalog.pg_class c on c.oid = i.indexrelid"
                + " where i.indrelid = pg_catalog.to_regclass(?) and not i.indisvalid and c.relkind = 'i'")) {
      s.setString(1, table);
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          result.add(r.getString(1));
        }
      }
    }
    return result;
  }

  private static boolean claim(Connection m, UUID writer, long sequence) throws SQLException {
    try (PreparedStatement s =
        m.prepareStatement(
            "insert into dualwrite.marker (writer, sequence) values (?::text::uuid, ?) on conflict do nothing returning 1;\n"
                // markers up to here are gone (rule 10); read after the claim
                + "select resolved_through from dualwrite.writer where writer = ?::text::uuid")) {
      s.setString(1, writer.toString());
      s.setLong(2, -sequence);
      s.setString(3, writer.toString());
      s.execute();
      boolean claimed;
      try (ResultSet r = s.getResultSet()) {
        claimed = r.next();
      }
      s.getMoreResults();
      try (ResultSet r = s.getResultSet()) {
        return claimed && !(r.next() && r.getLong(1) >= sequence);
      }
    }
  }

  /**
   * What the transaction has done to a table's rows.
   *
   * @param names those under which they are written: of the table, of that which it is a part of,
   *     and so on; the last one first
   * @param file where they lie: another one after a rewrite or a TRUNCATE
   * @param changes how many it wrote, at least
   */
  private record Rows(List<TableName> names, long file, long changes) {
    TableName name() {
      return names.get(0);
    }

    TableName own() {
      return names.get(names.size() - 1);
    }
  }

  private static Map<Long, Rows> rows(Connection m) throws SQLException {
    Map<Long, Rows> result = new HashMap<>();
    try (PreparedStatement s =
            m.prepareStatement(
                "with recursive up(leaf, oid, n) as (select c.oid, c.oid, 0 from pg_catalog.pg_class c"
                    + " join pg_catalog.pg_namespace s on s.oid = c.relnamespace where c.relkind = 'r' and c.relpersistence <> 't'"
                    + " and s.nspname not in ('pg_catalog', 'information_schema', 'dualwrite')"
                    + " union all select up.leaf, i.inhparent, up.n + 1 from up join pg_catalog.pg_inherits i on i.inhrelid = up.oid"
                    + " join pg_catalog.pg_class c on c.oid = i.inhrelid join pg_catalog.pg_namespace s on s.oid = c.relnamespace"
                    + " where c.relispartition or s.nspname like '\\_timescaledb\\_%')"
                    + " select up.leaf::bigint, s.nspname, c.relname,"
                    + " coalesce(pg_catalog.pg_relation_filenode(up.leaf), 0)::bigint,"
                    + " pg_catalog.pg_stat_get_xact_tuples_inserted(up.leaf) + pg_catalog.pg_stat_get_xact_tuples_updated(up.leaf)"
                    + " + pg_catalog.pg_stat_get_xact_tuples_deleted(up.leaf)"
                    + " from up join pg_catalog.pg_class c on c.oid = up.oid join pg_catalog.pg_namespace s on s.oid = c.relnamespace"
                    + " order by up.leaf, up.n desc");
        ResultSet r = s.executeQuery()) {
      while (r.next()) {
        long file = r.getLong(4);
        long changes = r.getLong(5);
        result
            .computeIfAbsent(r.getLong(1), x -> new Rows(new ArrayList<>(1), file, changes))
            .names
            .add(new TableName(r.getString(2), r.getString(3)));
      }
    }
    return result;
  }

  private static Set<TableName> written(Connection m, Map<Long, Rows> before, Map<Long, Rows> after)
      throws SQLException {
    Set<TableName> result = new LinkedHashSet<>();
    Map<Long, TableName> moved = new HashMap<>();
    after.forEach(
        (oid, now) -> {
          Rows then = before.get(oid);
          if (now.name().schema().startsWith("_timescaledb_")) {
            return; // its own books
          }
          if (now.changes > (then == null ? 0 : then.changes)) {
            result.add(now.name());
          } else if (then != null && now.file != then.file) {
            moved.put(oid, now.name());
          }
        });
    if (moved.isEmpty()) {
      return result;
    }
    // somebody else's TRUNCATE may have come to its end meanwhile
    try (PreparedStatement s =
        m.prepareStatement(
            "select x.oid::bigint from pg_catalog.pg_class x where x.oid = any(?) and "
                + new OwnXids(m).mineInCatalog("x.xmin"))) {
      s.setArray(1, m.createArrayOf("oid", moved.keySet().toArray()));
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          result.add(moved.get(r.getLong(1)));
        }
      }
    }
    return result;
  }

  private static Map<TableName, Set<TableName>> moved(
      Map<Long, Rows> before, Map<Long, Rows> after) {
    Map<TableName, Set<TableName>> result = new LinkedHashMap<>();
    after.forEach(
        (oid, now) -> {
          Rows then = before.get(oid);
          if (then == null || now.names.containsAll(then.names)) {
            return;
          }
          Set<TableName> gone = new LinkedHashSet<>(then.names);
          now.names.forEach(gone::remove);
          result.computeIfAbsent(now.name(), t -> new LinkedHashSet<>()).addAll(gone);
        });
    return result;
  }

  /** A column, whatever its name. */
  private record Attribute(long table, int number) {}

  private record Named(TableName table, String column) {}

  private static Map<Attribute, Named> columns(Connection m) throws SQLException {
    Map<Attribute, Named> result = new HashMap<>();
    try (PreparedStatement s =
            m.prepareStatement(
                "select a.attrelid::bigint, a.attnum, s.nspname, c.relname, a.attname from pg_catalog.pg_attribute a"
                    + " join pg_catalog.pg_class c on c.oid = a.attrelid join pg_catalog.pg_namespace s on s.oid = c.relnamespace"
                    + " where c.relkind in ('r', 'p') and c.relpersistence <> 't' and not c.relispartition"
                    + " and s.nspname not in ('pg_catalog', 'information_schema', 'dualwrite') and s.nspname not like '\\_timescaledb\\_%'"
                    + " and a.attnum > 0 and not a.attisdropped");
        ResultSet r = s.executeQuery()) {
      while (r.next()) {
        result.put(
            new Attribute(r.getLong(1), r.getInt(2)),
            new Named(new TableName(r.getString(3), r.getString(4)), r.getString(5)));
      }
    }
    return result;
  }

  private static Set<TableName> renamed(
      Connection m, Map<Long, Rows> before, Map<Long, Rows> after, Map<Attribute, Named> columns)
      throws SQLException {
    Set<TableName> result = new LinkedHashSet<>();
    after.forEach(
        (oid, now) -> {
          Rows then = before.get(oid);
          if (then != null && !now.own().equals(then.own())) {
            result.add(now.name());
          }
        });
    columns(m)
        .forEach(
            (attribute, now) -> {
              Named then = columns.get(attribute);
              if (then != null && !now.column.equals(then.column)) {
                result.add(now.table);
              }
            });
    return result;
  }

  private static Set<TableName> altered(Connection m, Map<Long, Rows> after) throws SQLException {
    Set<TableName> result = new LinkedHashSet<>();
    try (PreparedStatement s =
            m.prepareStatement(
                "select distinct x.attrelid::bigint from pg_catalog.pg_attribute x where x.attnum > 0 and "
                    + new OwnXids(m).mineInCatalog("x.xmin"));
        ResultSet r = s.executeQuery()) {
      while (r.next()) {
        Rows of = after.get(r.getLong(1));
        if (of != null) {
          result.add(of.name());
        }
      }
    }
    return result;
  }

  /**
   * Whether the error says that somebody did the same there by hand: then there is nothing left to
   * do. Only for what makes or drops whole things: an ALTER may do several.
   */
  private static boolean done(SQLException e, String text) {
    String state = e.getSQLState() == null ? "" : e.getSQLState();
    if (begins(text, "create")) {
      return switch (state) {
        case "42P07", "42710", "42P06", "42723" -> true; // there is one of that name
        default -> false;
      };
    }
    if (begins(text, "drop")) {
      return switch (state) {
        case "42P01", "42704", "42883", "3F000" -> true; // there is none
        default -> false;
      };
    }
    return false;
  }

  private static boolean begins(String text, String word) {
    return text.stripLeading().regionMatches(true, 0, word, 0, word.length());
  }

  private static String first(Intent unit) {
    for (RowChange c : unit.changes()) {
      if (c.kind() == RowChange.Kind.STATEMENT) {
        return c.rows()[0][0];
      }
    }
    throw new IllegalArgumentException("no statement in unit " + unit.sequence());
  }

  private static String shortened(String sql) {
    String one = sql.strip().replace('\n', ' ');
    return '“' + (one.length() > 80 ? one.substring(0, 79) + "…" : one) + '”';
  }
}
