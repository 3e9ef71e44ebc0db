package io.dualwrite.jdbc;

import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.journal.RowChange;
import io.dualwrite.sql.Kind;
import io.dualwrite.sql.Operand;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.postgresql.util.GT;
import org.postgresql.util.PSQLException;
import org.postgresql.util.PSQLState;

/**
 * What the application gets to see of a captured write.
 *
 * @param result the rows of its own RETURNING list, or null
 * @param count how many rows were written
 * @param keys the generated keys that it asked for, or null
 */
record Executed(ResultSet result, long count, ResultSet keys) {

  /** For executeQuery: the driver's own complaint if there are no rows to return. */
  ResultSet query() throws SQLException {
    if (result == null) {
      throw new PSQLException(GT.tr("No results were returned by the query."), PSQLState.NO_DATA);
    }
    return result;
  }

  /** For executeUpdate: the driver's own complaint if there are. */
  long update() throws SQLException {
    if (result != null) {
      throw new PSQLException(
          GT.tr("A result was returned when none was expected."), PSQLState.TOO_MANY_RESULTS);
    }
    return count;
  }

  // ---- the two captures

  /** The rows as the statement's own values say; null if one of them has no exact text form. */
  static List<String[]> rows(Plan.Values plan, Parameters parameters, Parameters.Clock clock)
      throws SQLException {
    List<String[]> rows = new ArrayList<>(plan.rows().size());
    List<Column> columns = plan.columns();
    for (List<Operand> operands : plan.rows()) {
      String[] row = new String[columns.size()];
      for (int j = 0; j < row.length; j++) {
        Operand o = operands.get(j);
        if (o instanceof Operand.Literal l) {
          row[j] = l.text();
        } else if (parameters == null) {
          return null; // a plain statement has none
        } else {
          row[j] = parameters.text(((Operand.Parameter) o).index(), columns.get(j), clock);
          if (isUnknown(row[j])) {
            return null;
          }
        }
      }
      rows.add(row);
    }
    return rows;
  }

  @SuppressWarnings({"StringEquality", "ReferenceEquality"}) // an identity, not a text
  private static boolean isUnknown(String text) {
    return text == Parameters.UNKNOWN;
  }

  static RowChange change(Plan.Values plan, List<String[]> rows) {
    return new RowChange(
        plan.kind(),
        plan.table().name(),
        plan.columns().stream().map(Column::name).toList(),
        null,
        plan.table().key(),
        rows.toArray(new String[0][]));
  }

  /**
   * Reads our columns, which are the last ones, from every row, and tells the connection.
   *
   * @param proves whether the proof stands behind them
   * @return how many rows there were
   */
  static long read(Plan.Rows plan, ResultSet all, DwConnection to, boolean proves)
      throws SQLException {
    if (!Rules.KEYS_NOT_PREDICATES.on()
        && plan.statement() == Kind.UPDATE
        && plan.kind() == RowChange.Kind.UPSERT) {
      return predicate(plan, all, to);
    }
    int ours = plan.columns().size();
    int last = all.getMetaData().getColumnCount();
    int first = last - ours + (proves ? 0 : 1);
    long count = 0;
    List<String[]> rows = new ArrayList<>();
    Portions portions = new Portions(all);
    while (all.next()) {
      if (proves && count == 0) {
        to.prove(plan.table(), all.getString(last));
      }
      String[] row = new String[ours];
      for (int j = 0; j < ours; j++) {
        row[j] = all.getString(first + j);
      }
      rows.add(row);
      count++;
      // the rows of one REKEY change together: they may exchange keys
      if (portions.full(row) && plan.kind() != RowChange.Kind.REKEY) {
        tell(plan, rows, to);
        rows.clear();
      }
    }
    if (!rows.isEmpty()) {
      tell(plan, rows, to);
    }
    return count;
  }

  /**
   * As {@link #read(Plan.Rows, ResultSet, DwConnection, boolean)}, for a batch. One statement
   * changes no row twice, so that what it did may be told in an order of ours; what an entry does
   * to a row that one before it has changed has to come after that.
   *
   * @param entries how many rows each entry wrote
   */
  static void readBatch(Plan.Rows plan, ResultSet all, DwConnection to, long[] entries)
      throws SQLException {
    boolean ordered =
        plan.statement() != Kind.MERGE
            && plan.kind() != RowChange.Kind.REKEY
            && !(plan.statement() == Kind.INSERT && plan.columns().get(0).isEmpty())
            && !(plan.statement() == Kind.UPDATE && plan.kind() == RowChange.Kind.REMOVE);
    if (ordered) {
      read(plan, all, to, false);
      return;
    }
    int ours = plan.columns().size();
    int first = all.getMetaData().getColumnCount() - ours + 1;
    List<String[]> rows = new ArrayList<>();
    Set<List<String>> changed = new HashSet<>();
    boolean more = all.next();
    for (int e = 0; more; e++) {
      List<String[]> its = new ArrayList<>();
      Set<List<String>> changes = new HashSet<>();
      for (long n = e < entries.length ? entries[e] : 1; n > 0 && more; n--) {
        String[] row = new String[ours];
        for (int j = 0; j < ours; j++) {
          row[j] = all.getString(first + j);
        }
        its.add(row);
        identities(plan, row, changes);
        more = all.next();
      }
      if (rows.size() >= Portions.MOST || !Collections.disjoint(changed, changes)) {
        tell(plan, rows, to);
        rows.clear();
        changed.clear();
      }
      rows.addAll(its);
      changed.addAll(changes);
    }
    if (!rows.isEmpty()) {
      tell(plan, rows, to);
    }
  }

  /** What a changed row was and is known by: its key, or all of it. */
  private static void identities(Plan.Rows plan, String[] row, Set<List<String>> to) {
    List<String> all = Arrays.asList(row);
    int keys = plan.key().size();
    if (keys == 0) {
      to.add(all.subList(0, row.length / 2));
      to.add(all.subList(row.length / 2, row.length));
      return;
    }
    List<String> now = new ArrayList<>(keys);
    for (String k : plan.key()) {
      now.add(row[plan.columns().lastIndexOf(k)]);
    }
    to.add(now);
    if (plan.kind() == RowChange.Kind.REKEY) {
      int old = plan.statement() == Kind.MERGE ? 1 : 0;
      to.add(all.subList(old, old + keys));
    }
    to.remove(Collections.nCopies(keys, (String) null)); // of a row that came, or went
  }

  /** What would be without {@link Rules#KEYS_NOT_PREDICATES}. */
  private static long predicate(Plan.Rows plan, ResultSet all, DwConnection to)
      throws SQLException {
    long count = 0;
    while (all.next()) {
      count++;
    }
    if (count > 0) {
      // the driver's text of it has the parameters filled in
      String text = all.getStatement().toString();
      to.wrote(plan.statement(), RowChange.statement(text, "public", null, false));
    }
    return count;
  }

  /**
   * Reads the result of a {@link Plan.Ctes}: behind the application's columns the number of the
   * query and its row as an array.
   *
   * @return how many rows the statement itself has; they come first
   */
  static long read(Plan.Ctes plan, ResultSet all, DwConnection to) throws SQLException {
    int tag = all.getMetaData().getColumnCount() - 1;
    long count = 0;
    int current = 0;
    List<String[]> rows = new ArrayList<>();
    List<Written> last = new ArrayList<>();
    Portions portions = new Portions(all);
    boolean full = false;
    while (all.next()) {
      int query = all.getInt(tag);
      if (query != current || full && streams(plan, current)) {
        flush(plan, current, rows, last, to);
        current = query;
      }
      if (query == 0) {
        count++;
      }
      if (plan.queries().get(query) != null) {
        String[] row = (String[]) all.getArray(tag + 1).getArray();
        rows.add(row);
        full = portions.full(row);
      }
    }
    flush(plan, current, rows, last, to);
    tell(last, to);
    return count;
  }

  /** A change, and the statement that made it. */
  private record Written(Kind statement, RowChange change) {
    /** What goes makes room for what moves, and that for what comes. */
    int rank() {
      return switch (change.kind()) {
        case DELETE, REMOVE -> 0;
        case REKEY -> 1;
        default -> 2;
      };
    }
  }

  /**
   * Whether rows of the query can be told before all of them are known. Two queries that write to
   * the same table may use each other's keys, in whichever order the server ran them.
   */
  private static boolean streams(Plan.Ctes plan, int query) {
    Plan.Rows q = plan.queries().get(query);
    return q == null || q.kind() != RowChange.Kind.REKEY && !shares(plan, query);
  }

  private static boolean shares(Plan.Ctes plan, int query) {
    TableName table = top(plan.queries().get(query).table());
    for (int i = 0; i < plan.queries().size(); i++) {
      Plan.Rows other = plan.queries().get(i);
      if (i != query && other != null && top(other.table()).equals(table)) {
        return true;
      }
    }
    return false;
  }

  private static TableName top(Table table) {
    return table.root().orElse(table.name());
  }

  private static void flush(
      Plan.Ctes plan, int query, List<String[]> rows, List<Written> last, DwConnection to)
      throws SQLException {
    if (!rows.isEmpty()) {
      Plan.Rows q = plan.queries().get(query);
      if (shares(plan, query)) {
        int portion = q.kind() == RowChange.Kind.REKEY ? rows.size() : Portions.MOST;
        for (int i = 0; i < rows.size(); i += portion) {
          last.addAll(changes(q, rows.subList(i, Math.min(i + portion, rows.size())), to));
        }
      } else {
        tell(q, rows, to);
      }
      rows.clear();
    }
  }

  /**
   * Changes of one statement to tables that several of its queries write to. No row is changed
   * twice by one statement, so that the kind of change tells their order. Rows that get other keys
   * do so together: they may exchange them.
   */
  private static void tell(List<Written> changes, DwConnection to) throws SQLException {
    changes.sort(Comparator.comparingInt(Written::rank)); // stable
    for (int i = 0; i < changes.size(); i++) {
      Written w = changes.get(i);
      RowChange c = w.change;
      List<String[]> rows = new ArrayList<>(Arrays.asList(c.rows()));
      for (int j = i + 1; c.kind() == RowChange.Kind.REKEY && j < changes.size(); j++) {
        RowChange d = changes.get(j).change;
        if (d.kind() == c.kind() && d.table().equals(c.table())) {
          rows.addAll(Arrays.asList(d.rows()));
          changes.remove(j--);
        }
      }
      to.wrote(w.statement, change(c.kind(), c.table(), c.columns(), c.keyColumns(), rows));
    }
  }

  private static void tell(Plan.Rows plan, List<String[]> rows, DwConnection to)
      throws SQLException {
    for (Written w : changes(plan, rows, to)) {
      to.wrote(w.statement, w.change);
    }
  }

  /** In the order in which they are to be told. */
  private static List<Written> changes(Plan.Rows plan, List<String[]> rows, DwConnection to)
      throws SQLException {
    List<Written> changes = new ArrayList<>(3);
    if (plan.statement() == Kind.MERGE) {
      merged(plan, rows, changes);
    } else if (plan.statement() == Kind.INSERT && plan.columns().get(0).isEmpty()) {
      inserted(plan, rows, changes);
    } else if (plan.columns().get(0).isEmpty()) {
      updated(plan, rows, changes, to);
    } else if (plan.kind() == RowChange.Kind.REMOVE && plan.statement() == Kind.UPDATE) {
      replaced(plan, rows, changes);
    } else if (plan.kind() == RowChange.Kind.REKEY && !Rules.REKEY_BY_OLD_KEY.on()) {
      int n = plan.key().size();
      change(
          plan.statement(),
          RowChange.Kind.UPSERT,
          plan,
          plan.columns().subList(n, plan.columns().size()),
          rows.stream().map(r -> Arrays.copyOfRange(r, n, r.length)).toList(),
          changes);
    } else {
      change(plan.statement(), plan.kind(), plan, plan.columns(), rows, changes);
    }
    return changes;
  }

  /** An UPDATE's rows without a key: the old row, the new one. */
  private static void replaced(Plan.Rows plan, List<String[]> rows, List<Written> to) {
    int n = plan.columns().size() / 2;
    List<String[]> old = new ArrayList<>();
    List<String[]> now = new ArrayList<>();
    for (String[] row : rows) {
      old.add(Arrays.copyOfRange(row, 0, n));
      now.add(Arrays.copyOfRange(row, n, 2 * n));
    }
    List<String> columns = plan.columns().subList(0, n);
    change(plan.statement(), RowChange.Kind.REMOVE, plan, columns, old, to);
    change(plan.statement(), RowChange.Kind.INSERT, plan, columns, now, to);
  }

  /** An UPDATE's rows: whether there was one of the same key, the new row. */
  private static void updated(
      Plan.Rows plan, List<String[]> rows, List<Written> changes, DwConnection to)
      throws SQLException {
    List<String[]> now = new ArrayList<>();
    for (String[] row : rows) {
      if (!row[0].equals("t")) {
        to.suspect(plan.table().name(), "the key of a row changed, and the old one is not known");
      }
      now.add(Arrays.copyOfRange(row, 1, row.length));
    }
    List<String> columns = plan.columns().subList(1, plan.columns().size());
    change(plan.statement(), plan.kind(), plan, columns, now, changes);
  }

  /**
   * Rows of INSERT … ON CONFLICT DO UPDATE into a table with triggers: whether the key was there
   * before, the row. If it was, the row was updated; {@link Observation} makes sure of the others.
   */
  private static void inserted(Plan.Rows plan, List<String[]> rows, List<Written> to) {
    List<String> columns = plan.columns().subList(1, plan.columns().size());
    for (Kind statement : List.of(Kind.UPDATE, Kind.INSERT)) {
      List<String[]> of = new ArrayList<>();
      for (String[] row : rows) {
        if (row[0].equals("true") == (statement == Kind.UPDATE)) {
          of.add(Arrays.copyOfRange(row, 1, row.length));
        }
      }
      if (!of.isEmpty()) {
        to.add(
            new Written(
                statement, change(plan.kind(), plan.table().name(), columns, plan.key(), of)));
      }
    }
  }

  /** A MERGE's rows: action, old key, new row. */
  private static void merged(Plan.Rows plan, List<String[]> rows, List<Written> to) {
    int keys = plan.key().size();
    List<String> columns = plan.columns().subList(1 + keys, plan.columns().size());
    List<String[]> gone = new ArrayList<>();
    List<String[]> moved = new ArrayList<>();
    List<String[]> made = new ArrayList<>();
    List<String[]> there = new ArrayList<>();
    for (String[] row : rows) {
      String[] old = Arrays.copyOfRange(row, 1, 1 + keys);
      String[] now = Arrays.copyOfRange(row, 1 + keys, row.length);
      switch (row[0]) {
        case "DELETE" -> gone.add(old);
        case "INSERT" -> made.add(now);
        default -> {
          boolean same = true;
          for (int i = 0; i < keys; i++) {
            same &= old[i].equals(now[columns.indexOf(plan.key().get(i))]);
          }
          if (same) {
            there.add(now);
          } else {
            moved.add(Arrays.copyOfRange(row, 1, row.length));
          }
        }
      }
    }
    List<String> both = plan.columns().subList(1, plan.columns().size());
    change(Kind.MERGE, RowChange.Kind.DELETE, plan, plan.key(), gone, to);
    change(Kind.MERGE, RowChange.Kind.REKEY, plan, both, moved, to);
    // as updates they would hide those that a function makes
    change(Kind.INSERT, RowChange.Kind.UPSERT, plan, columns, made, to);
    change(Kind.MERGE, RowChange.Kind.UPSERT, plan, columns, there, to);
  }

  private static void change(
      Kind statement,
      RowChange.Kind kind,
      Plan.Rows plan,
      List<String> columns,
      List<String[]> rows,
      List<Written> to) {
    if (!rows.isEmpty()) {
      to.add(new Written(statement, change(kind, plan.table().name(), columns, plan.key(), rows)));
    }
  }

  private static RowChange change(
      RowChange.Kind kind,
      TableName table,
      List<String> columns,
      List<String> key,
      List<String[]> rows) {
    return new RowChange(kind, table, columns, null, key, rows.toArray(new String[0][]));
  }
}
