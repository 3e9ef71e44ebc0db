package io.dualwrite.converge;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.journal.RowChange;
import io.dualwrite.journal.RowChange.Kind;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Stream;
import org.postgresql.PGStatement;
import org.postgresql.core.BaseConnection;
import org.postgresql.core.TransactionState;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Generates and runs the SQL that puts {@link RowChange}s on the mirror. One per mirror database;
 * thread-safe; SQL text is cached per shape.
 */
public final class MirrorWriter {

  private static final Logger LOG = LoggerFactory.getLogger(MirrorWriter.class);

  private static final String REST =
      """
      insert into dualwrite.job_state (job_id, proc, scheduled, next_start)
        select job_id, proc_schema || '.' || proc_name, true, nullif(next_start, '-infinity')
        from timescaledb_information.jobs where job_id > $after and scheduled
        on conflict do nothing;
      do $$ declare j record; begin
        for j in select x.job_id as id, n.nspname from timescaledb_information.jobs x, pg_catalog.pg_extension e
            join pg_catalog.pg_namespace n on n.oid = e.extnamespace
            where e.extname = 'timescaledb' and x.job_id > $after and x.scheduled loop
          execute pg_catalog.format('select %I.alter_job($1, scheduled => false)', j.nspname) using j.id;
        end loop;
      end $$
      """;

  private static final String MARKER =
      "insert into dualwrite.marker (writer, sequence) values (?::text::uuid, ?::text::bigint)";

  /** How many rows are deleted one by one at most: each is planned, with all chunks in view. */
  private static final int ONE_BY_ONE = 100;

  /** What the SQL text depends on, apart from the catalog. */
  private record Shape(
      Kind kind,
      TableName table,
      List<String> columns,
      List<String> types,
      List<String> key,
      boolean bulk) {}

  /**
   * The SQL for a shape.
   *
   * @param table the mirror's table as it was when the text was made
   * @param sql the statements; each takes the same parameters
   * @param take which of the row's values the statements take
   * @param counted whether the statements' counts add up to the number of rows
   * @param arrays whether they take arrays even for a single row
   * @param constants whether the server has to plan them with the values
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Text(
      Table table,
      List<String> sql,
      int[] take,
      boolean counted,
      boolean arrays,
      boolean constants) {}

  /** A text with its rows. */
  private record Step(Text text, List<String[]> rows) {}

  /** How many characters the arrays of one statement hold, about. */
  private static final long ARRAYS_LENGTH = 4 << 20;

  private final Catalog catalog;
  private final Cache<Shape, Text> texts =
      Caffeine.newBuilder().maximumSize(4096).executor(Runnable::run).build();

  /** For the database that this catalog describes. */
  public MirrorWriter(Catalog mirrorCatalog) {
    this.catalog = mirrorCatalog;
  }

  /**
   * Applies the changes in order in the connection's open transaction (autocommit is off), in one
   * round trip: one multi-statement prepared statement, which pgjdbc pipelines. It begins with the
   * settings of the transaction: limits, synchronous_commit=on, formats, search path. Adjacent
   * changes of one shape become one statement over arrays; of several upserts of one key among them
   * the last wins. Deletes in a hypertable that compresses stay statements of one row each.
   *
   * <p>Statements that travel as text, and TRUNCATE, cut that round trip: what stands before, they
   * themselves, what stands behind. Rows behind a statement meet the catalog as it left it.
   *
   * <p>Neither commits nor rolls back: after an exception the caller rolls back.
   *
   * @param marker the unit's marker, claimed by inserting it; null when the unit has neither
   *     keyless rows nor statements
   * @throws CountMismatchException if the mirror changed another number of rows than the changes
   *     hold
   * @throws SQLException if the mirror refuses, or lacks a table, a column or a key (SQLSTATE
   *     42P01, 42703, 42P10)
   */
  public void apply(Connection mirror, List<RowChange> changes, Marker marker, ApplyLimits limits)
      throws SQLException, CountMismatchException {
    int special = special(changes, 0);
    if (special == changes.size()) {
      rows(mirror, changes, marker, limits, true);
      return;
    }
    // the marker comes first, also if no row does
    rows(mirror, changes.subList(0, special), marker, limits, false);
    MirrorWriter after = this;
    for (int i = special; i < changes.size(); ) {
      int end = i + 1;
      switch (changes.get(i).kind()) {
        case TRUNCATE -> {
          while (end < changes.size() && changes.get(end).kind() == Kind.TRUNCATE) {
            end++;
          }
          truncate(mirror, changes.subList(i, end));
        }
        case STATEMENT -> {
          if (changes.get(i).alone()) {
            throw new SQLException("this statement runs in no transaction", "25001");
          }
          if (after == this && marker != null) {
            claim(mirror, new Marker(marker.writer(), -marker.sequence()));
          }
          statement(mirror, changes.get(i));
          // what others see is not changed yet, and may never be
          after = new MirrorWriter(new Catalog());
        }
        default -> {
          end = special(changes, i);
          after.rows(mirror, changes.subList(i, end), null, limits, false);
        }
      }
      i = end;
    }
  }

  /** The next change from there on that is not made of rows. */
  private static int special(List<RowChange> changes, int from) {
    int i = from;
    while (i < changes.size()
        && changes.get(i).kind() != Kind.TRUNCATE
        && changes.get(i).kind() != Kind.STATEMENT) {
      i++;
    }
    return i;
  }

  private static void claim(Connection mirror, Marker marker) throws SQLException {
    try (PreparedStatement s = mirror.prepareStatement(MARKER)) {
      s.setString(1, marker.writer().toString());
      s.setString(2, Long.toString(marker.sequence()));
      s.executeUpdate();
    }
  }

  /** TRUNCATE_RECORDS_SNAPSHOT: a keyless row that was written before must not come again. */
  private void truncate(Connection mirror, List<RowChange> tables) throws SQLException {
    StringBuilder sql = new StringBuilder("truncate ");
    for (int i = 0; i < tables.size(); i++) {
      sql.append(i == 0 ? "" : ", ").append(tables.get(i).table().sql());
    }
    try (Statement s = mirror.createStatement()) {
      s.execute(sql.toString());
    }
    for (RowChange c : tables) {
      Optional<Table> t = catalog.table(mirror, c.table());
      if (t.isPresent() && !t.get().keyed() && Rules.on(Rules.Rule.TRUNCATE_RECORDS_SNAPSHOT)) {
        Convergence.recordSnapshot(
            mirror,
            t.get().root().orElse(c.table()),
            t.get().partitionPredicate().orElse("true"),
            c.rows()[0][0],
            c.rows()[0][1]);
      }
    }
  }

  /**
   * Runs a statement that travels as text, under the search path and role that it ran under, in the
   * connection's transaction (or, in autocommit, alone). Triggers that it creates are switched off:
   * rule 6, what they do on the primary travels as rows.
   */
  static void statement(Connection mirror, RowChange change) throws SQLException {
    String[] row = change.rows()[0];
    boolean alone = mirror.getAutoCommit();
    Map<String, Triggers.Trigger> noted = Map.of();
    try (Statement s = mirror.createStatement()) {
      s.setEscapeProcessing(false);
      if (!alone && change.rangeOf() == null) {
        Triggers.restoreFor(mirror, row[0]);
        noted = Triggers.noted(mirror, row[0]);
      }
      long job = alone ? -1 : lastJob(s);
      try {
        set(mirror, "search_path", row[1], !alone);
        if (row[2] != null) {
          set(mirror, "role", row[2], !alone);
        }
        s.execute(row[0]);
      } finally {
        if (alone) {
          s.execute("reset search_path; reset role");
        }
      }
      if (!alone) {
        s.execute("reset role; set local search_path = pg_catalog");
        Triggers.renamed(mirror, noted);
        Triggers.disableNew(mirror);
        if (job >= 0 && job < lastJob(s)) {
          rest(s, job);
        }
      }
    }
  }

  /** The number of the newest of TimescaleDB's jobs; -1 where there are none. */
  private static long lastJob(Statement s) throws SQLException {
    for (String query :
        List.of(
            "select pg_catalog.to_regclass('timescaledb_information.jobs')",
            "select coalesce(pg_catalog.max(job_id), 0) from timescaledb_information.jobs")) {
      try (ResultSet r = s.executeQuery(query)) {
        r.next();
        if (r.getString(1) == null) {
          return -1;
        }
        if (query.contains("max")) {
          return r.getLong(1);
        }
      }
    }
    return -1;
  }

  /**
   * Takes the jobs off the schedule that a statement made here, as jobs rest on the mirror until
   * {@code jobs enable}. Where that is not possible they run, and the log says so.
   */
  private static void rest(Statement s, long after) throws SQLException {
    try (ResultSet r =
        s.executeQuery(
            "select pg_catalog.to_regclass('dualwrite.job_state') is not null and pg_catalog.has_table_privilege('dualwrite.job_state', 'insert')"
                + " from pg_catalog.pg_namespace where nspname = 'dualwrite'")) {
      if (!r.next() || !r.getBoolean(1)) {
        LOG.warn(
            "a statement made jobs of TimescaleDB on the mirror, and the role may not note them in"
                + " dualwrite.job_state, so that they are scheduled there: dualwrite jobs disable");
        return;
      }
    }
    Savepoint before = s.getConnection().setSavepoint();
    try {
      s.execute(REST.replace("$after", Long.toString(after)));
    } catch (SQLException e) {
      s.getConnection().rollback(before);
      LOG.warn(
          "a statement made jobs of TimescaleDB that are scheduled on the mirror ({}): dualwrite jobs disable",
          e.getMessage());
    }
  }

  static void set(Connection c, String what, String value, boolean local) throws SQLException {
    try (PreparedStatement s = c.prepareStatement("select pg_catalog.set_config(?, ?, ?)")) {
      s.setString(1, what);
      s.setString(2, value);
      s.setBoolean(3, local);
      s.execute();
    }
  }

  /**
   * @param whole whether these are all changes of the unit: then its deferred constraints are
   *     checked now. The primary has not committed yet, so nobody can have built upon the unit, and
   *     a conflict can be waited for; at the mirror's COMMIT it would be with whoever has.
   */
  private void rows(
      Connection mirror, List<RowChange> changes, Marker marker, ApplyLimits limits, boolean whole)
      throws SQLException, CountMismatchException {
    List<Step> steps = new ArrayList<>();
    Set<Table> tables = new HashSet<>();
    for (int i = 0; i < changes.size(); ) {
      int j = i + 1;
      Set<List<String>> keys = uniqueKeys(mirror, changes.get(i));
      while (j < changes.size()
          && mergeable(changes.get(i), changes.get(j))
          && (keys == null || disjoint(mirror, keys, changes.get(j)))) {
        j++;
      }
      List<String[]> rows = rows(mirror, changes.subList(i, j));
      if (changes.get(i).kind() == Kind.REMOVE) {
        for (Step step : removals(mirror, changes.get(i), rows)) {
          steps.add(step);
          tables.add(step.text.table);
        }
      } else if (!rows.isEmpty()) {
        for (List<String[]> some : divided(mirror, changes.get(i), rows)) {
          Step step = new Step(text(mirror, changes.get(i), some.size() > 1), some);
          steps.add(step);
          tables.add(step.text.table);
        }
      }
      i = j;
    }
    StringBuilder sql = new StringBuilder(Session.PINS);
    if (steps.stream().anyMatch(s -> s.rows.size() > 1)) {
      sql.append(Session.BY_KEY);
    }
    if (marker != null) {
      sql.append(";\n").append(MARKER);
    }
    for (Step step : steps) {
      for (String s : step.text.sql) {
        sql.append(";\n").append(s);
      }
    }
    if (whole && tables.stream().anyMatch(Table::deferrable)) {
      sql.append(";\nset constraints all immediate");
    }
    try (PreparedStatement s = mirror.prepareStatement(sql.toString())) {
      if (steps.stream().anyMatch(step -> step.text.constants)) {
        // a named statement gets a plan for all values after a while
        s.unwrap(PGStatement.class).setPrepareThreshold(0);
      }
      int p = pins(s, limits, Session.searchPath(tables));
      if (marker != null) {
        s.setString(p++, marker.writer().toString());
        s.setString(p++, Long.toString(marker.sequence()));
      }
      for (Step step : steps) {
        for (int k = 0; k < step.text.sql.size(); k++) {
          p = bind(mirror, s, p, step);
        }
      }
      s.execute();
      if (marker != null) {
        next(s);
      }
      for (Step step : steps) {
        long count = 0;
        for (int k = 0; k < step.text.sql.size(); k++) {
          count += next(s);
        }
        if (step.text.counted
            && count != step.rows.size()
            && Rules.on(Rules.Rule.MISMATCH_ROLLS_BACK)) {
          throw new CountMismatchException(step.text.table.name(), step.rows.size(), count);
        }
      }
    } catch (SQLException e) {
      if (Failure.of(e) == Failure.CATALOG) {
        catalog.invalidate();
      }
      throw e;
    }
  }

  /**
   * Commits, and is sure of it. The server answers COMMIT of a failed transaction with ROLLBACK and
   * no error (rule 16), and pgjdbc's {@code commit()} returns as if nothing was: but it does so
   * only if the transaction had failed before, and that the driver knows.
   *
   * @param connection leads to pgjdbc by {@code unwrap}
   * @throws SQLException if the transaction had failed (SQLSTATE 25P02; it is rolled back), or
   *     COMMIT fails
   */
  public static void commit(Connection connection) throws SQLException {
    if (connection.unwrap(BaseConnection.class).getTransactionState() == TransactionState.FAILED) {
      connection.rollback();
      throw new SQLException(
          "the transaction had failed before its COMMIT and was rolled back", "25P02");
    }
    connection.commit();
  }

  /** Binds the parameters of {@link Session#PINS}; returns the next parameter's number. */
  static int pins(PreparedStatement s, ApplyLimits limits, String searchPath) throws SQLException {
    s.setString(1, millis(limits.lockTimeout()));
    s.setString(2, millis(limits.statementTimeout()));
    s.setString(3, millis(limits.idleTimeout()));
    s.setString(4, searchPath);
    return 5;
  }

  private static String millis(Duration d) {
    return Long.toString(Math.min(d.toMillis(), Integer.MAX_VALUE));
  }

  private static long next(PreparedStatement s) throws SQLException {
    s.getMoreResults();
    return s.getLargeUpdateCount();
  }

  private static int bind(Connection c, PreparedStatement s, int from, Step step)
      throws SQLException {
    int p = from;
    if (step.rows.size() == 1 && !step.text.arrays) {
      String[] row = step.rows.get(0);
      for (int j : step.text.take) {
        if (step.text.constants) {
          s.setObject(p++, row[j], Types.OTHER); // text of whatever type the statement has there
        } else {
          s.setString(p++, row[j]);
        }
      }
    } else {
      for (int j : step.text.take) {
        String[] column = new String[step.rows.size()];
        for (int i = 0; i < column.length; i++) {
          column[i] = step.rows.get(i)[j];
        }
        s.setArray(p++, c.createArrayOf("text", column));
      }
    }
    return p;
  }

  private static boolean mergeable(RowChange a, RowChange b) {
    // the rows of one REKEY change together; those of two, one after the other
    return a.kind() == b.kind()
        && a.kind() != Kind.REKEY
        && a.table().equals(b.table())
        && a.columns().equals(b.columns())
        && java.util.Objects.equals(a.types(), b.types())
        && a.keyColumns().equals(b.keyColumns());
  }

  /** All rows of changes of one shape; of several with one key the last, in its first's place. */
  private List<String[]> rows(Connection mirror, List<RowChange> changes) throws SQLException {
    RowChange first = changes.get(0);
    if ((changes.size() == 1 && first.rows().length <= 1)
        || first.kind() == Kind.INSERT
        || first.kind() == Kind.REMOVE
        || first.kind() == Kind.REKEY) {
      if (changes.size() == 1) {
        return Arrays.asList(first.rows());
      }
      List<String[]> all = new ArrayList<>();
      changes.forEach(c -> all.addAll(Arrays.asList(c.rows())));
      return all;
    }
    Function<String[], List<String>> key = key(mirror, first);
    Map<List<String>, String[]> byKey = new LinkedHashMap<>();
    for (RowChange c : changes) {
      for (String[] row : c.rows()) {
        byKey.put(key.apply(row), row);
      }
    }
    return new ArrayList<>(byKey.values());
  }

  /**
   * The keys of a change to a table with a second unique index: a row that changes twice there must
   * do so in both steps, since a value that another row takes over is free only in between. Null if
   * that does not matter.
   */
  private Set<List<String>> uniqueKeys(Connection mirror, RowChange change) throws SQLException {
    if (change.kind() != Kind.UPSERT) {
      return null;
    }
    Table t = table(mirror, change.table());
    if (t.uniques().isEmpty()) {
      return null;
    }
    Set<List<String>> keys = new HashSet<>();
    disjoint(mirror, keys, change);
    return keys;
  }

  /** Adds the change's keys; false, and nothing is added, if one is there already. */
  private boolean disjoint(Connection mirror, Set<List<String>> keys, RowChange change)
      throws SQLException {
    List<List<String>> its = Stream.of(change.rows()).map(key(mirror, change)).toList();
    if (its.stream().anyMatch(keys::contains)) {
      return false;
    }
    keys.addAll(its);
    return true;
  }

  /** What the rows' keys are compared by. */
  private Function<String[], List<String>> key(Connection mirror, RowChange change)
      throws SQLException {
    Table table = table(mirror, change.table());
    int n = change.keyColumns().size();
    int[] at = new int[n];
    Column[] spelt = new Column[n];
    for (int i = 0; i < n; i++) {
      at[i] = change.columns().indexOf(change.keyColumns().get(i));
      Column c = table.column(change.keyColumns().get(i)).orElse(null);
      spelt[i] = c == null || KeyText.unique(c.type()) ? null : c;
    }
    return row -> {
      String[] key = new String[n];
      for (int i = 0; i < n; i++) {
        Column c = spelt[i];
        String text = row[at[i]];
        key[i] = c == null ? text : KeyText.of(c.type(), c.declaredType(), text);
      }
      return Arrays.asList(key);
    };
  }

  /**
   * The rows as statements take them: as many in one as its arrays can hold without much memory.
   * Those that get other keys, or go, do so together. But where chunks may be compressed they are
   * deleted one by one: TimescaleDB looks into those batches alone that can hold constants, and
   * takes all others of the table apart for a join's sake. Its rows cannot refer to each other.
   */
  private List<List<String[]>> divided(Connection mirror, RowChange change, List<String[]> rows)
      throws SQLException {
    if (rows.size() == 1 || change.kind() == Kind.REKEY) {
      return List.of(rows);
    }
    if (change.kind() == Kind.DELETE) {
      return rows.size() <= ONE_BY_ONE && table(mirror, change.table()).compresses()
          ? rows.stream().map(Collections::singletonList).toList()
          : List.of(rows);
    }
    List<List<String[]>> all = new ArrayList<>(1);
    int from = 0;
    long length = 0;
    for (int i = 0; i < rows.size(); i++) {
      for (String v : rows.get(i)) {
        length += v == null ? 0 : v.length();
      }
      if (length > ARRAYS_LENGTH || i == rows.size() - 1) {
        all.add(rows.subList(from, i + 1));
        from = i + 1;
        length = 0;
      }
    }
    return all;
  }

  /** Rows without a key: one statement for each combination of columns that are NULL. */
  private List<Step> removals(Connection mirror, RowChange change, List<String[]> rows)
      throws SQLException {
    if (rows.isEmpty()) {
      return List.of();
    }
    Table table = table(mirror, change.table());
    Map<BitSet, List<String[]>> byNulls = new LinkedHashMap<>();
    for (String[] row : rows) {
      BitSet nulls = new BitSet();
      for (int j = 0; j < row.length; j++) {
        nulls.set(j, row[j] == null);
      }
      byNulls.computeIfAbsent(nulls, k -> new ArrayList<>()).add(row);
    }
    List<Step> steps = new ArrayList<>();
    for (Map.Entry<BitSet, List<String[]>> e : byNulls.entrySet()) {
      List<Column> given = new ArrayList<>();
      List<Column> empty = new ArrayList<>();
      List<Integer> take = new ArrayList<>();
      for (int j = 0; j < change.columns().size(); j++) {
        Column c = column(table, change.columns().get(j));
        if (e.getKey().get(j)) {
          empty.add(c);
        } else {
          given.add(c);
          take.add(j);
        }
      }
      steps.add(
          new Step(
              new Text(
                  table,
                  List.of(Dml.remove(table, given, empty, e.getValue().size())),
                  take.stream().mapToInt(Integer::intValue).toArray(),
                  true,
                  true,
                  false),
              e.getValue()));
    }
    return steps;
  }

  private Table table(Connection mirror, TableName name) throws SQLException {
    return catalog
        .table(mirror, name)
        .orElseThrow(
            () ->
                new SQLException("the mirror has no table " + name + "; create it there", "42P01"));
  }

  private static Column column(Table table, String name) throws SQLException {
    return table
        .column(name)
        .orElseThrow(
            () ->
                new SQLException(
                    "the mirror's table "
                        + table.name()
                        + " has no column "
                        + name
                        + "; add it there",
                    "42703"));
  }

  @SuppressWarnings("ReferenceEquality") // the catalog hands out one instance until it reads anew
  private Text text(Connection mirror, RowChange change, boolean bulk) throws SQLException {
    Table table = table(mirror, change.table());
    Shape shape =
        new Shape(
            change.kind(),
            change.table(),
            change.columns(),
            change.types(),
            change.keyColumns(),
            bulk);
    Text known = texts.getIfPresent(shape);
    if (known != null && known.table == table) {
      return known;
    }
    Text made = make(table, change, bulk);
    texts.put(shape, made);
    return made;
  }

  private static Text make(Table table, RowChange change, boolean bulk) throws SQLException {
    List<Dml.In> in = new ArrayList<>();
    List<Integer> take = new ArrayList<>();
    for (int j = 0; j < change.columns().size(); j++) {
      Column c = column(table, change.columns().get(j));
      if (!c.generated()) {
        in.add(new Dml.In(c, change.type(j)));
        take.add(j);
      }
    }
    List<String> key = change.keyColumns();
    if (change.kind() == Kind.UPSERT && !Dml.unique(table, key)) {
      throw new SQLException(
          "the mirror's table "
              + table.name()
              + " has no unique index on "
              + key
              + " without a predicate; create it there",
          "42P10");
    }
    boolean counted = true;
    List<String> sql;
    switch (change.kind()) {
      case INSERT -> sql = List.of(Dml.insert(table, in, bulk));
      case DELETE -> sql = List.of(Dml.delete(table, in, bulk));
      case REKEY -> sql = List.of(Dml.rekey(table, in, key.size(), bulk));
      default -> {
        if (Dml.deferrable(table, key)) {
          sql =
              List.of(
                  Dml.updateByKey(table, in, key, bulk), Dml.insertMissing(table, in, key, bulk));
        } else {
          sql = List.of(Dml.upsert(table, in, key, bulk));
          counted = Dml.counted(in, key); // DO NOTHING counts only what was missing
        }
      }
    }
    return new Text(
        table,
        sql,
        take.stream().mapToInt(Integer::intValue).toArray(),
        counted,
        false,
        table.compresses() && (change.kind() == Kind.DELETE || change.kind() == Kind.REKEY));
  }
}
