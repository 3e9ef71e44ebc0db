package io.dualwrite.converge;

import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.converge.Rules.Rule;
import io.dualwrite.journal.Intent;
import io.dualwrite.journal.RowChange;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLTransientException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.function.Consumer;

/**
 * The keyless rows of pending units, in one mirror transaction: each unit claims its marker by
 * inserting it, so that it is applied once whatever became of its direct flush; rows that a recopy
 * brought already are passed over.
 */
final class KeylessReplay {

  /** How much text of values one statement carries. */
  private static final long STATEMENT_CHARACTERS = 4 << 20;

  /**
   * A unit.
   *
   * @param doubtful whether its primary transaction may have aborted and nobody can tell any more
   */
  record Unit(Intent intent, boolean doubtful) {}

  private record Recorded(TableName table, String predicate, PrimarySnapshot snapshot) {
    boolean of(Table t) {
      return table.equals(t.root().orElse(t.name()));
    }
  }

  /** Rows that one statement can insert: the same table, columns and recorded snapshots. */
  private record Group(
      Table table, List<String> columns, List<String> types, Set<String> predicates) {}

  private final Convergence engine;
  private final UUID writer;

  /** Rows that the present attempt inserted, before its commit: all that is known of one undone. */
  long inserted;

  KeylessReplay(Convergence engine, UUID writer) {
    this.engine = engine;
    this.writer = writer;
  }

  /**
   * Applies the units' keyless rows and commits.
   *
   * @param suspect told, before the commit, of each unit in doubt that the mirror does not hold,
   *     and of those of which nobody can tell whether a recopy brought their rows
   * @return how many rows were inserted
   */
  long apply(List<Unit> units, Consumer<Unit> suspect) throws SQLException {
    Connection m = null;
    Connection p = null;
    try {
      m = Session.open(engine.mirror());
      p = Session.open(engine.primary());
      for (int n = 1; ; n++) {
        long rows = attempt(m, p, units, suspect);
        if (rows >= 0) {
          return rows;
        }
        m.rollback();
        if (n >= engine.options().attempts()) {
          throw new SQLTransientException(
              "recopies of the same table overtook the replay " + n + " times", "40001");
        }
      }
    } finally {
      Session.close(p);
      Session.close(m);
    }
  }

  private long attempt(Connection m, Connection p, List<Unit> units, Consumer<Unit> suspect)
      throws SQLException {
    Map<TableName, Table> tables = new LinkedHashMap<>();
    for (Unit u : units) {
      for (RowChange c : u.intent.changes()) {
        if (c.keyless() && !tables.containsKey(c.table())) {
          tables.put(c.table(), engine.mirrorTable(m, engine.primaryTable(p, c.table())));
        }
      }
    }
    p.rollback();
    m.rollback();
    try (PreparedStatement s =
        m.prepareStatement("set transaction isolation level read committed;\n" + Session.PINS)) {
      MirrorWriter.pins(
          s, engine.options().resyncLimits(), Session.searchPath(new HashSet<>(tables.values())));
      s.execute();
    }
    Set<Long> claimed = claim(m, units);
    engine.at(Step.REPLAY_CLAIMED);
    List<Unit> todo = new ArrayList<>();
    for (Unit u : units) {
      if (claimed.contains(u.intent.sequence())) {
        if (u.doubtful) {
          suspect.accept(u); // durable in the journal before the marker is
        } else {
          todo.add(u);
        }
      }
    }
    Set<Table> written = new TreeSet<>((a, b) -> a.name().compareTo(b.name()));
    for (Unit u : todo) {
      for (RowChange c : u.intent.changes()) {
        if (c.keyless()) {
          written.add(tables.get(c.table()));
        }
      }
    }
    if (Rules.on(Rule.LOCK_BEFORE_VISIBILITY)) {
      lock(m, written);
    }
    Set<TableName> roots = new TreeSet<>();
    for (Table t : written) {
      roots.add(t.root().orElse(t.name()));
    }
    Set<Recorded> recorded = recorded(m, roots);
    engine.at(Step.REPLAY_VISIBILITY);
    List<Unit> certain = new ArrayList<>();
    for (Unit u : todo) {
      if (comparable(u.intent, tables, recorded)) {
        certain.add(u);
      } else {
        suspect.accept(u);
      }
    }
    long rows = insert(m, certain, tables, recorded);
    inserted = rows;
    engine.at(Step.REPLAY_INSERTED);
    // LOCK_BEFORE_VISIBILITY for tables with partitions or chunks: to lock them all beforehand
    // would wait for every recopy of any of them. The insert has locked those that its rows went
    // to; a recopy of one of these that committed between the look and the lock shows now.
    if (Rules.on(Rule.LOCK_BEFORE_VISIBILITY) && !recorded.containsAll(recorded(m, roots))) {
      return -1;
    }
    MirrorWriter.commit(m);
    return rows;
  }

  private static boolean divided(Table t) {
    return t.kind() == Table.Kind.PARTITIONED || t.kind() == Table.Kind.INHERITED;
  }

  /**
   * LOCK_BEFORE_VISIBILITY: what INSERT takes anyway, taken before the recorded snapshots are read:
   * a recopy's lock conflicts with it, so none can come between.
   */
  private static void lock(Connection m, Set<Table> tables) throws SQLException {
    for (Table t : tables) {
      if (!divided(t)) {
        try (Statement s = m.createStatement()) {
          s.execute("lock table only " + t.name().sql() + " in row exclusive mode");
        }
      }
    }
  }

  /**
   * MARKER, MARKER_BY_INSERT: which units this transaction applies. The insert waits for a direct
   * flush whose COMMIT is still on its way.
   */
  private Set<Long> claim(Connection m, List<Unit> units) throws SQLException {
    Long[] sequences = units.stream().map(u -> u.intent.sequence()).toArray(Long[]::new);
    Set<Long> claimed = new LinkedHashSet<>(Arrays.asList(sequences));
    if (!Rules.on(Rule.MARKER)) {
      return claimed;
    }
    if (!Rules.on(Rule.MARKER_BY_INSERT)) {
      try (PreparedStatement s =
          m.prepareStatement(
              "select sequence from dualwrite.marker where writer = ?::text::uuid and sequence = any(?::bigint[])")) {
        s.setString(1, writer.toString());
        s.setArray(2, m.createArrayOf("bigint", sequences));
        try (ResultSet r = s.executeQuery()) {
          while (r.next()) {
            claimed.remove(r.getLong(1));
          }
        }
      }
      engine.at(Step.REPLAY_CLAIMED);
    }
    Set<Long> inserted = new HashSet<>();
    long through = 0;
    try (PreparedStatement s =
        m.prepareStatement(
            "insert into dualwrite.marker (writer, sequence) select ?::text::uuid, x from unnest(?::bigint[]) x order by x"
                + " on conflict do nothing returning sequence;\n"
                // markers up to here are gone (rule 10); read after the claim, which may have found
                // no marker because it went a moment ago
                + "select resolved_through from dualwrite.writer where writer = ?::text::uuid")) {
      s.setString(1, writer.toString());
      s.setArray(2, m.createArrayOf("bigint", sequences));
      s.setString(3, writer.toString());
      s.execute();
      try (ResultSet r = s.getResultSet()) {
        while (r.next()) {
          inserted.add(r.getLong(1));
        }
      }
      s.getMoreResults();
      try (ResultSet r = s.getResultSet()) {
        if (r.next()) {
          through = r.getLong(1);
        }
      }
    }
    if (Rules.on(Rule.MARKER_BY_INSERT)) {
      claimed.retainAll(inserted);
    }
    long resolved = through;
    claimed.removeIf(x -> x <= resolved);
    return claimed;
  }

  private static Set<Recorded> recorded(Connection m, Set<TableName> tables) throws SQLException {
    Set<Recorded> result = new LinkedHashSet<>();
    if (!Rules.on(Rule.SNAPSHOT_RECORDED) || tables.isEmpty()) {
      return result;
    }
    try (PreparedStatement s =
        m.prepareStatement(
            "select table_schema, table_name, predicate, snapshot, incarnation from dualwrite.snapshot"
                + " where (table_schema, table_name) in (select * from unnest(?::text[], ?::text[]))"
                + " order by 1, 2, 3")) {
      s.setArray(
          1,
          m.createArrayOf("text", tables.stream().map(TableName::schema).toArray(String[]::new)));
      s.setArray(
          2, m.createArrayOf("text", tables.stream().map(TableName::name).toArray(String[]::new)));
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          result.add(
              new Recorded(
                  new TableName(r.getString(1), r.getString(2)),
                  r.getString(3),
                  new PrimarySnapshot(r.getString(4), r.getString(5))));
        }
      }
    }
    return result;
  }

  /** INCARNATION: whether it can be told which of the recorded snapshots see the unit. */
  private static boolean comparable(
      Intent unit, Map<TableName, Table> tables, Set<Recorded> recorded) {
    for (RowChange c : unit.changes()) {
      if (c.keyless()) {
        Table t = tables.get(c.table());
        for (Recorded r : recorded) {
          if (r.of(t) && !r.snapshot.comparable(unit.incarnation())) {
            return false;
          }
        }
      }
    }
    return true;
  }

  private static long insert(
      Connection m, List<Unit> units, Map<TableName, Table> tables, Set<Recorded> recorded)
      throws SQLException {
    Map<Group, List<String[]>> groups = new LinkedHashMap<>();
    for (Unit u : units) {
      for (RowChange c : u.intent.changes()) {
        if (c.keyless()) {
          Table t = tables.get(c.table());
          Set<String> predicates = new LinkedHashSet<>();
          for (Recorded r : recorded) {
            if (r.of(t) && r.snapshot.sees(u.intent.xid(), u.intent.incarnation())) {
              predicates.add(r.predicate);
            }
          }
          groups
              .computeIfAbsent(
                  new Group(t, c.columns(), c.types(), predicates), g -> new ArrayList<>())
              .addAll(Arrays.asList(c.rows()));
        }
      }
    }
    long rows = 0;
    for (Map.Entry<Group, List<String[]>> e : groups.entrySet()) {
      List<String[]> all = e.getValue();
      for (int from = 0; from < all.size(); ) {
        int to = from;
        for (long size = 0; to < all.size() && size < STATEMENT_CHARACTERS; to++) {
          for (String value : all.get(to)) {
            size += value == null ? 4 : value.length();
          }
        }
        rows += insert(m, e.getKey(), all.subList(from, to));
        from = to;
      }
    }
    return rows;
  }

  /**
   * Inserts rows unless they meet a predicate. The predicates are text that others wrote, so
   * nothing here may be a parameter: pgjdbc would read their question marks as such.
   */
  private static long insert(Connection m, Group g, List<String[]> rows) throws SQLException {
    if (rows.isEmpty() || g.predicates.contains("true")) {
      return 0;
    }
    List<String> names = new ArrayList<>();
    List<String> values = new ArrayList<>();
    List<String> arrays = new ArrayList<>();
    for (int j = 0; j < g.columns.size(); j++) {
      String name = g.columns.get(j);
      Column c =
          g.table
              .column(name)
              .orElseThrow(
                  () ->
                      new SQLException(
                          "the mirror's table "
                              + g.table.name()
                              + " has no column "
                              + name
                              + "; add it there",
                          "42703"));
      if (c.generated()) {
        continue;
      }
      names.add(c.sql());
      String type = g.types == null ? null : g.types.get(j);
      String value = new Dml.In(c, type).cast("u.a" + arrays.size());
      values.add((type == null ? value : new Dml.In(c, null).cast(value)) + " as " + c.sql());
      StringBuilder array = new StringBuilder("'{");
      for (int i = 0; i < rows.size(); i++) {
        array.append(i == 0 ? "" : ",");
        element(array, rows.get(i)[j]);
      }
      arrays.add(array.append("}'::text[]").toString());
    }
    // a predicate may be about a column that the application left to its default
    List<String> omitted = new ArrayList<>();
    for (Column c : g.table.writableColumns()) {
      if (!names.contains(c.sql()) && c.def() != Column.Default.COMPUTED) {
        omitted.add(
            "cast("
                + (c.def() == Column.Default.NULL ? "null" : literal(c.defaultText()))
                + " as "
                + c.type()
                + ") as "
                + c.sql());
      }
    }
    StringBuilder sql = new StringBuilder("insert into ").append(g.table.name().sql()).append(" (");
    sql.append(String.join(", ", names)).append(")");
    if (g.table.columns().stream().anyMatch(c -> c.identity() == Column.Identity.ALWAYS)) {
      sql.append(" overriding system value");
    }
    sql.append(" select ").append(String.join(", ", names)).append(" from (select ");
    sql.append(String.join(", ", values));
    omitted.forEach(o -> sql.append(", ").append(o));
    sql.append(" from unnest(").append(String.join(", ", arrays)).append(")");
    sql.append(Dml.alias(arrays.size(), false)).append(") as r");
    String and = " where ";
    for (String predicate : g.predicates) {
      sql.append(and).append("not coalesce((").append(predicate).append("), false)");
      and = " and ";
    }
    try (Statement s = m.createStatement()) {
      return s.executeLargeUpdate(sql.toString());
    }
  }

  private static String literal(String text) {
    return "'" + text.replace("'", "''") + "'";
  }

  private static void element(StringBuilder to, String value) {
    if (value == null) {
      to.append("NULL");
      return;
    }
    to.append('"');
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      if (c == '"' || c == '\\') {
        to.append('\\');
      } else if (c == '\'') {
        to.append('\'');
      }
      to.append(c);
    }
    to.append('"');
  }
}
