package io.dualwrite.jdbc;

import io.dualwrite.catalog.Column;
import io.dualwrite.journal.RowChange;
import io.dualwrite.sql.Kind;
import io.dualwrite.sql.Operand;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
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

  /** How many rows one change holds at most, and how many are fetched at once. */
  static final int ROWS_AT_ONCE = 1000;

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
      if (rows.size() == ROWS_AT_ONCE && plan.kind() != RowChange.Kind.REKEY) {
        tell(plan, rows, to);
        rows.clear();
      }
    }
    if (!rows.isEmpty()) {
      tell(plan, rows, to);
    }
    return count;
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
    while (all.next()) {
      int query = all.getInt(tag);
      if (query != current || rows.size() == ROWS_AT_ONCE) {
        flush(plan, current, rows, to);
        current = query;
      }
      if (query == 0) {
        count++;
      }
      if (plan.queries().get(query) != null) {
        rows.add((String[]) all.getArray(tag + 1).getArray());
      }
    }
    flush(plan, current, rows, to);
    return count;
  }

  private static void flush(Plan.Ctes plan, int query, List<String[]> rows, DwConnection to)
      throws SQLException {
    if (!rows.isEmpty()) {
      tell(plan.queries().get(query), rows, to);
      rows.clear();
    }
  }

  private static void tell(Plan.Rows plan, List<String[]> rows, DwConnection to)
      throws SQLException {
    if (plan.statement() == Kind.MERGE) {
      merged(plan, rows, to);
    } else if (plan.columns().get(0).isEmpty()) {
      updated(plan, rows, to);
    } else if (plan.kind() == RowChange.Kind.REMOVE && plan.statement() == Kind.UPDATE) {
      replaced(plan, rows, to);
    } else if (plan.kind() == RowChange.Kind.REKEY && !Rules.REKEY_BY_OLD_KEY.on()) {
      int n = plan.key().size();
      to.wrote(
          plan.statement(),
          new RowChange(
              RowChange.Kind.UPSERT,
              plan.table().name(),
              plan.columns().subList(n, plan.columns().size()),
              null,
              plan.key(),
              rows.stream().map(r -> Arrays.copyOfRange(r, n, r.length)).toArray(String[][]::new)));
    } else {
      to.wrote(
          plan.statement(),
          new RowChange(
              plan.kind(),
              plan.table().name(),
              plan.columns(),
              null,
              plan.key(),
              rows.toArray(new String[0][])));
    }
  }

  /** An UPDATE's rows without a key: the old row, the new one. */
  private static void replaced(Plan.Rows plan, List<String[]> rows, DwConnection to)
      throws SQLException {
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
  private static void updated(Plan.Rows plan, List<String[]> rows, DwConnection to)
      throws SQLException {
    List<String[]> now = new ArrayList<>();
    for (String[] row : rows) {
      if (!row[0].equals("t")) {
        to.suspect(plan.table().name(), "the key of a row changed, and the old one is not known");
      }
      now.add(Arrays.copyOfRange(row, 1, row.length));
    }
    List<String> columns = plan.columns().subList(1, plan.columns().size());
    change(plan.statement(), plan.kind(), plan, columns, now, to);
  }

  /** A MERGE's rows: action, old key, new row. */
  private static void merged(Plan.Rows plan, List<String[]> rows, DwConnection to)
      throws SQLException {
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
      DwConnection to)
      throws SQLException {
    if (!rows.isEmpty()) {
      to.wrote(
          statement,
          new RowChange(
              kind, plan.table().name(), columns, null, plan.key(), rows.toArray(new String[0][])));
    }
  }
}
