package io.dualwrite.jdbc;

import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.journal.RowChange;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * A table is not any more what it was when rows of it were captured: somebody, perhaps another
 * process, has committed DDL meanwhile. A column that is new has values that were not captured. The
 * transaction holds the table's lock by now, so that it stays as it is until the commit: the
 * captured rows are read again, by key.
 */
final class Recapture {

  private static final int KEYS_AT_ONCE = 1000;

  private final DualWriter writer;
  private final Connection raw;
  private final UnitOfWork unit;

  Recapture(DualWriter writer, Connection raw, UnitOfWork unit) {
    this.writer = writer;
    this.raw = raw;
    this.unit = unit;
  }

  /**
   * Reads again.
   *
   * @param always also tables that are as they were, where values had an unusual format
   */
  void run(boolean always) throws SQLException {
    boolean any = false;
    Catalog now = new Catalog();
    try {
      for (Table then : List.copyOf(unit.relied().values())) {
        Optional<Table> t = now.table(raw, then.name());
        if (t.isEmpty()) {
          continue; // renamed or dropped by this transaction itself: that travels too
        }
        boolean changed = !t.get().version().equals(then.version());
        any |= changed;
        if (changed || always && t.get().columns().stream().anyMatch(Recapture::hasStyles)) {
          again(then, t.get(), always);
        }
      }
    } finally {
      if (any) { // or the next transaction would meet the same
        writer.catalogChanged();
      }
    }
  }

  /** Whether the session has a say in how a value reads as text. */
  private static boolean hasStyles(Column c) {
    return !CopyValues.readable(c.type())
        || c.type().equals("real")
        || c.type().equals("double precision");
  }

  private void again(Table then, Table now, boolean always) throws SQLException {
    TableName name = then.name();
    if (!now.userTriggers().equals(then.userTriggers()) || now.rules() != then.rules()) {
      writer.counters.suspects.increment();
      unit.suspect(
          RowChange.NO_TABLE,
          "triggers or rules of " + name + " came while a transaction was writing to it");
    }
    boolean spilled = unit.parts().stream().anyMatch(p -> p.tables().contains(name));
    boolean readable =
        Planner.readable(now, now.writableColumns().stream().map(Column::name).toList(), raw);
    if (!now.keyed()
        || !now.key().equals(then.key())
        // by the text of a key that lost digits nothing is found
        || always && now.key().stream().anyMatch(k -> hasStyles(now.column(k).orElseThrow()))
        || reordered(then, now)
        || spilled
        || !readable) {
      if (spilled || unit.changes().stream().anyMatch(c -> c.table().equals(name))) {
        writer.counters.suspects.increment();
        unit.suspect(
            name,
            "it was altered, or values had an unusual format, while a transaction was writing to it");
      }
      return;
    }
    Set<List<String>> keys = new LinkedHashSet<>();
    for (RowChange c : unit.changes()) {
      if (!c.table().equals(name)) {
        continue;
      }
      switch (c.kind()) {
        case UPSERT -> add(c, 0, keys);
        case REKEY -> add(c, c.keyColumns().size(), keys);
        default -> {}
      }
    }
    try (Statement s = raw.createStatement()) {
      s.execute(Observation.PINS + "; set local search_path = pg_catalog" + operators(now));
    }
    List<List<String>> all = new ArrayList<>(keys);
    for (int i = 0; i < all.size(); i += KEYS_AT_ONCE) {
      read(now, all.subList(i, Math.min(all.size(), i + KEYS_AT_ONCE)));
    }
  }

  /** The schemas of the key's types, whose operators compare keys. */
  private static String operators(Table t) {
    return t.key().stream()
        .flatMap(k -> t.column(k).orElseThrow().operators().stream())
        .distinct()
        .map(schema -> ", " + schema)
        .collect(Collectors.joining());
  }

  /** Then values that came without names were taken for others', keys among them. */
  private static boolean reordered(Table then, Table now) {
    List<String> before = then.columns().stream().map(Column::name).toList();
    List<String> after = now.columns().stream().map(Column::name).toList();
    return !before.stream()
        .filter(after::contains)
        .toList()
        .equals(after.stream().filter(before::contains).toList());
  }

  /** The keys that the rows have afterwards. */
  private static void add(RowChange c, int from, Set<List<String>> to) {
    List<String> columns = c.columns().subList(from, c.columns().size());
    int[] at =
        c.keyColumns().stream().mapToInt(k -> from + Math.max(0, columns.indexOf(k))).toArray();
    for (String[] row : c.rows()) {
      List<String> key = new ArrayList<>(at.length);
      for (int i : at) {
        key.add(row[i]);
      }
      to.add(key);
    }
  }

  private void read(Table t, List<List<String>> keys) throws SQLException {
    List<Column> columns = t.writableColumns();
    StringBuilder sql = new StringBuilder("select ");
    sql.append(
        columns.stream()
            .map(c -> Planner.text("t." + c.sql(), c))
            .collect(Collectors.joining(", ")));
    sql.append(" from ").append(t.own()).append(" t join unnest(");
    StringBuilder on = new StringBuilder();
    for (int i = 0; i < t.key().size(); i++) {
      Column c = t.column(t.key().get(i)).orElseThrow();
      sql.append(i == 0 ? "" : ", ").append("?::text[]");
      on.append(i == 0 ? "" : " and ").append("t.").append(c.sql()).append(" = cast(u.a");
      on.append(i).append(" as ").append(c.type()).append(')');
    }
    sql.append(") u(");
    for (int i = 0; i < t.key().size(); i++) {
      sql.append(i == 0 ? "a" : ", a").append(i);
    }
    sql.append(") on ").append(on);
    List<String[]> rows = new ArrayList<>();
    try (PreparedStatement s = raw.prepareStatement(sql.toString())) {
      for (int i = 0; i < t.key().size(); i++) {
        int k = i;
        s.setArray(
            i + 1,
            raw.createArrayOf("text", keys.stream().map(x -> x.get(k)).toArray(String[]::new)));
      }
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          String[] row = new String[columns.size()];
          for (int i = 0; i < row.length; i++) {
            row[i] = r.getString(i + 1);
          }
          rows.add(row);
        }
      }
    }
    if (!rows.isEmpty()) {
      unit.add(
          new RowChange(
              RowChange.Kind.UPSERT,
              t.name(),
              columns.stream().map(Column::name).toList(),
              null,
              t.key(),
              rows.toArray(new String[0][])));
    }
  }
}
