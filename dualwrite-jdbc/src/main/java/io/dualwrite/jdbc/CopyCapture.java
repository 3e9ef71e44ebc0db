package io.dualwrite.jdbc;

import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.TableName;
import io.dualwrite.journal.RowChange;
import io.dualwrite.sql.CopyFormat;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;

/**
 * Captures a COPY from what it sends. A value whose text the mirror reads to what the primary
 * stored travels as it is; of others ({@code now}, a time without a zone, {@code 1e3} in a numeric
 * column) the primary is asked, after the last row and in the same transaction, how it reads them.
 * How many rows the primary says it got decides whether all were understood.
 */
final class CopyCapture {

  private static final int ROWS_AT_ONCE = 1000;
  private static final int MAX_LENGTH = 1 << 20;
  private static final int VALUES_AT_ONCE = 10_000;

  /** Rows that wait for the primary's reading: so many characters at most. */
  private static final long MAX_HELD = 8 << 20;

  private final DwConnection connection;
  private final Plan.Copy plan;
  private final int mark;
  private final boolean utc;
  private final boolean binary;
  private final CopyReader reader;
  private final List<String> columns;
  private final String[] template;
  private final int[] places;

  /** For each value that is given the rows where it is to be asked for. */
  private final List<List<String[]>> odd = new ArrayList<>();

  private final List<String[]> held = new ArrayList<>();
  private List<String[]> ready = new ArrayList<>(ROWS_AT_ONCE);
  private long readyLength;
  private long heldLength;
  private boolean lost;

  /**
   * @param mark what the unit held before
   * @param utc whether the session reads times without a zone as those of UTC
   */
  CopyCapture(DwConnection connection, Plan.Copy plan, int mark, boolean utc) {
    this.utc = utc;
    this.mark = mark;
    this.connection = connection;
    this.plan = plan;
    columns = plan.columns().stream().map(Column::name).toList();
    template = plan.columns().stream().map(Column::defaultText).toArray(String[]::new);
    places = plan.given().stream().mapToInt(c -> columns.indexOf(c.name())).toArray();
    for (int i = 0; i < places.length; i++) {
      odd.add(new ArrayList<>());
    }
    binary = plan.format().form() == CopyFormat.Form.BINARY;
    reader =
        binary
            ? new CopyBinary(plan.given().stream().map(Column::type).toList(), this::row)
            : new CopyRows(plan.format(), places.length, this::row);
  }

  /** What is sent to the primary. */
  void write(byte[] bytes, int offset, int size) throws SQLException {
    if (!lost) {
      reader.write(bytes, offset, size);
    }
  }

  /** What the unit held before. */
  int mark() {
    return mark;
  }

  /** The table that the rows go into. */
  TableName table() {
    return plan.table().name();
  }

  /**
   * The primary has everything.
   *
   * @param rows how many rows it says
   * @return why it is not known what was sent; null if it is
   */
  String end(Connection raw, long rows) throws SQLException {
    if (lost) {
      return "a COPY of many rows had values that only the primary can read";
    }
    reader.end();
    if (reader.lost() || reader.rows() != rows) {
      return "a COPY was not understood";
    }
    for (int i = 0; i < places.length; i++) {
      ask(raw, plan.given().get(i), places[i], odd.get(i));
    }
    for (String[] row : held) {
      ready(row);
    }
    flush();
    return null;
  }

  private void row(String[] given) throws SQLException {
    String[] row = template.clone();
    boolean exact = true;
    for (int i = 0; i < places.length; i++) {
      row[places[i]] = given[i];
      if (!binary && given[i] != null && !CopyValues.exact(plan.given().get(i).type(), given[i])) {
        if (utc
            && plan.given().get(i).type().equals("timestamp with time zone")
            && CopyValues.isWithoutZone(given[i])) {
          row[places[i]] = given[i] + "+00";
        } else {
          exact = false;
          odd.get(i).add(row);
        }
      }
    }
    if (exact) {
      ready(row);
      return;
    }
    held.add(row);
    for (String value : given) {
      heldLength += 16 + (value == null ? 0 : value.length());
    }
    if (heldLength > MAX_HELD) {
      lost = true;
      held.clear();
      odd.forEach(List::clear);
    }
  }

  private void ready(String[] row) throws SQLException {
    ready.add(row);
    for (String value : row) {
      readyLength += value == null ? 0 : value.length();
    }
    if (ready.size() == ROWS_AT_ONCE || readyLength > MAX_LENGTH) {
      flush();
    }
  }

  private void flush() throws SQLException {
    if (!ready.isEmpty()) {
      connection.copied(plan, ready);
      ready = new ArrayList<>(ROWS_AT_ONCE);
      readyLength = 0;
    }
  }

  /** How the primary reads the values: as the type's input function did a moment ago. */
  private static void ask(Connection raw, Column column, int place, List<String[]> odd)
      throws SQLException {
    if (odd.isEmpty()) {
      return;
    }
    try (PreparedStatement s =
        raw.prepareStatement(
            "select array(select cast(v as "
                + column.type()
                + ")::text from unnest(?::text[]) with ordinality u(v, n) order by n)")) {
      for (int from = 0; from < odd.size(); from += VALUES_AT_ONCE) {
        List<String[]> some = odd.subList(from, Math.min(odd.size(), from + VALUES_AT_ONCE));
        s.setArray(
            1,
            raw.createArrayOf("text", some.stream().map(row -> row[place]).toArray(String[]::new)));
        try (ResultSet r = s.executeQuery()) {
          r.next();
          Array all = r.getArray(1);
          String[] texts = (String[]) all.getArray();
          for (int i = 0; i < texts.length; i++) {
            some.get(i)[place] = texts[i];
          }
        }
      }
    }
  }

  /** The rows as a change. */
  static RowChange change(Plan.Copy plan, List<String[]> rows) {
    return new RowChange(
        plan.table().keyed() ? RowChange.Kind.UPSERT : RowChange.Kind.INSERT,
        plan.table().name(),
        plan.columns().stream().map(Column::name).toList(),
        null,
        plan.table().key(),
        rows.toArray(new String[0][]));
  }
}
