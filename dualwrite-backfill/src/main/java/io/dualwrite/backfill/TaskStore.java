package io.dualwrite.backfill;

import io.dualwrite.catalog.TableName;
import io.dualwrite.control.ControlSchema;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The tasks in the target's schema {@code dualwrite}. Every method works on the connection it is
 * given, inside that connection's transaction.
 *
 * <ul>
 *   <li>{@code backfill}: one row, what was staged and with which T.
 *   <li>{@code task}: one row per chunk or index, {@code priority} is its number. State {@code
 *       pending}, {@code done} or {@code failed} (parked). A chunk under way is pending and its row
 *       locked.
 *   <li>{@code task_after}: which tables' chunks have to be copied before a table's: foreign keys.
 * </ul>
 */
final class TaskStore {

  private static final String DDL =
      """
      create table if not exists dualwrite.backfill (
        one boolean primary key default true check (one),
        until text[] not null,
        since text[] not null default '{}',
        filter text,
        snapshot text not null,
        incarnation text not null,
        staged timestamptz not null default now());
      create table if not exists dualwrite.task (
        priority bigint generated always as identity primary key,
        table_schema text not null,
        table_name text not null,
        from_schema text not null,
        from_name text not null,
        kind text not null,
        low text[],
        high text[],
        predicate text not null,
        serial boolean not null,
        estimated_rows bigint not null,
        estimated_bytes bigint not null,
        level int not null,
        cycle text,
        state text not null default 'pending',
        attempts int not null default 0,
        not_before timestamptz not null default now(),
        error text,
        worker text,
        resync text[],
        finish text[],
        from_oid bigint,
        slices text,
        rows bigint not null default 0,
        bytes bigint not null default 0,
        inserted bigint not null default 0,
        corrected bigint not null default 0,
        started timestamptz,
        finished timestamptz,
        verified text,
        verified_at timestamptz);
      alter table dualwrite.backfill add column if not exists since text[] not null default '{}';
      alter table dualwrite.task add column if not exists finish text[];
      alter table dualwrite.task add column if not exists from_oid bigint;
      alter table dualwrite.task add column if not exists slices text;
      create index if not exists task_pending on dualwrite.task (priority) where state = 'pending';
      create index if not exists task_table on dualwrite.task (table_schema, table_name, priority) where state = 'pending';
      create table if not exists dualwrite.task_after (
        table_schema text not null,
        table_name text not null,
        parent_schema text not null,
        parent_name text not null,
        primary key (table_schema, table_name, parent_schema, parent_name));
      """;

  private static final String COLUMNS =
      "t.priority, t.table_schema, t.table_name, t.from_schema, t.from_name, t.kind, t.low, t.high, t.predicate,"
          + " t.estimated_rows, t.estimated_bytes, t.attempts, t.resync, t.cycle, t.finish, t.from_oid, t.slices";

  private static final String CLAIM =
      "select "
          + COLUMNS
          + " from dualwrite.task t where t.state = 'pending' and t.not_before <= pg_catalog.clock_timestamp()"
          // a table that refers to itself is copied in the order of its key; what is left open
          // because of a cycle waits for all of its tables, this one too
          + " and (not t.serial or not exists (select from dualwrite.task e where e.state = 'pending' and e.table_schema = t.table_schema"
          + " and e.table_name = t.table_name and e.priority < t.priority and e.resync is null))"
          // an index when its table is complete, one of a table at a time, as they would wait for
          // each other
          + " and (t.kind <> 'index' or not exists (select from dualwrite.task e where e.state = 'pending' and e.table_schema = t.table_schema"
          + " and e.table_name = t.table_name and (e.kind <> 'index' or e.priority < t.priority)))"
          // in a cycle of foreign keys, what was left open is put right once all its tables are
          // there
          + " and (t.resync is null or t.cycle is null or not exists (select from dualwrite.task e where e.state = 'pending'"
          + " and e.cycle = t.cycle and e.resync is null))"
          + " and not exists (select from dualwrite.task_after a join dualwrite.task p on p.table_schema = a.parent_schema"
          + " and p.table_name = a.parent_name where p.state = 'pending' and p.kind <> 'index' and a.table_schema = t.table_schema and a.table_name = t.table_name)"
          + " order by t.priority limit 1 for update of t skip locked";

  private TaskStore() {}

  static void install(Connection target) throws SQLException {
    ControlSchema.install(target);
    boolean auto = target.getAutoCommit();
    target.setAutoCommit(false);
    try {
      Sql.execute(target, "select pg_catalog.pg_advisory_xact_lock(7233178614550361961)");
      Sql.execute(target, DDL);
      target.commit();
    } catch (SQLException e) {
      target.rollback();
      throw e;
    } finally {
      target.setAutoCommit(auto);
    }
  }

  /** Whether there is a task table at all. */
  static boolean installed(Connection target) throws SQLException {
    return Sql.value(target, "select pg_catalog.to_regclass('dualwrite.task')") != null
        && Sql.value(target, "select pg_catalog.to_regclass('dualwrite.backfill')") != null;
  }

  static void drop(Connection target) throws SQLException {
    Sql.execute(
        target,
        "drop table if exists dualwrite.task_after; drop table if exists dualwrite.task; drop table if exists dualwrite.backfill");
  }

  /** What was staged. */
  record Staged(List<String> until, List<String> since, String filter) {}

  static Optional<Staged> staged(Connection target) throws SQLException {
    try (PreparedStatement s =
            target.prepareStatement("select until, since, filter from dualwrite.backfill");
        ResultSet r = s.executeQuery()) {
      return r.next()
          ? Optional.of(new Staged(strings(r.getArray(1)), strings(r.getArray(2)), r.getString(3)))
          : Optional.empty();
    }
  }

  static void saveStaged(
      Connection target,
      List<String> until,
      List<String> since,
      String filter,
      String snapshot,
      String incarnation)
      throws SQLException {
    try (PreparedStatement s =
        target.prepareStatement(
            "insert into dualwrite.backfill(until, since, filter, snapshot, incarnation) values (?, ?, ?, ?, ?)"
                + " on conflict (one) do update set until = excluded.until, since = excluded.since, filter = excluded.filter,"
                + " snapshot = excluded.snapshot, incarnation = excluded.incarnation, staged = now()")) {
      s.setArray(1, target.createArrayOf("text", until.toArray()));
      s.setArray(2, target.createArrayOf("text", since.toArray()));
      s.setString(3, filter);
      s.setString(4, snapshot);
      s.setString(5, incarnation);
      s.executeUpdate();
    }
  }

  /** A task to be; see {@link Task}. */
  record Draft(
      TableName table,
      TableName from,
      Task.Kind kind,
      List<String> low,
      List<String> high,
      String predicate,
      boolean serial,
      long rows,
      long bytes,
      int level,
      String cycle,
      Long oid,
      String slices) {}

  static void add(Connection target, List<Draft> drafts) throws SQLException {
    try (PreparedStatement s =
        target.prepareStatement(
            "insert into dualwrite.task(table_schema, table_name, from_schema, from_name, kind, low, high, predicate, serial,"
                + " estimated_rows, estimated_bytes, level, cycle, from_oid, slices) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")) {
      for (Draft d : drafts) {
        s.setString(1, d.table.schema());
        s.setString(2, d.table.name());
        s.setString(3, d.from.schema());
        s.setString(4, d.from.name());
        s.setString(5, d.kind.label());
        s.setArray(6, d.low == null ? null : target.createArrayOf("text", d.low.toArray()));
        s.setArray(7, d.high == null ? null : target.createArrayOf("text", d.high.toArray()));
        s.setString(8, d.predicate);
        s.setBoolean(9, d.serial);
        s.setLong(10, d.rows);
        s.setLong(11, d.bytes);
        s.setInt(12, d.level);
        s.setString(13, d.cycle);
        s.setObject(14, d.oid, Types.BIGINT);
        s.setString(15, d.slices);
        s.addBatch();
      }
      s.executeBatch();
    }
  }

  static void addAfter(Connection target, TableName table, TableName parent) throws SQLException {
    try (PreparedStatement s =
        target.prepareStatement(
            "insert into dualwrite.task_after values (?, ?, ?, ?) on conflict do nothing")) {
      s.setString(1, table.schema());
      s.setString(2, table.name());
      s.setString(3, parent.schema());
      s.setString(4, parent.name());
      s.executeUpdate();
    }
  }

  /** The relations that have tasks: table and what is read on the source. */
  static List<List<TableName>> relations(Connection target) throws SQLException {
    List<List<TableName>> result = new ArrayList<>();
    for (List<String> row :
        Sql.rows(
            target,
            "select distinct table_schema, table_name, from_schema, from_name from dualwrite.task order by 1, 2, 3, 4")) {
      result.add(
          List.of(new TableName(row.get(0), row.get(1)), new TableName(row.get(2), row.get(3))));
    }
    return result;
  }

  /**
   * What was staged of a table that is no hypertable: its relations, by name and by what they were.
   */
  record Parts(TableName table, boolean keyed, Set<TableName> relations, Set<Long> oids) {}

  static List<Parts> parts(Connection target) throws SQLException {
    Map<List<String>, Parts> result = new LinkedHashMap<>();
    for (List<String> r :
        Sql.rows(
            target,
            "select distinct table_schema, table_name, kind, from_schema, from_name, from_oid from dualwrite.task where kind in ('keyed', 'keyless') order by 1, 2, 3, 4, 5")) {
      Parts parts =
          result.computeIfAbsent(
              r.subList(0, 3),
              k ->
                  new Parts(
                      new TableName(k.get(0), k.get(1)),
                      k.get(2).equals("keyed"),
                      new HashSet<>(),
                      new HashSet<>()));
      parts.relations().add(new TableName(r.get(3), r.get(4)));
      if (r.get(5) != null) {
        parts.oids().add(Long.valueOf(r.get(5)));
      }
    }
    return List.copyOf(result.values());
  }

  /** The tables of a cycle. */
  static Set<TableName> cycle(Connection target, String cycle) throws SQLException {
    Set<TableName> result = new HashSet<>();
    for (List<String> row :
        Sql.rows(
            target,
            "select distinct table_schema, table_name from dualwrite.task where cycle = "
                + Sql.literal(cycle))) {
      result.add(new TableName(row.get(0), row.get(1)));
    }
    return result;
  }

  /** Claims the next task that may be copied now; it is locked until the transaction ends. */
  static Optional<Task> claim(Connection target) throws SQLException {
    try (PreparedStatement s = target.prepareStatement(CLAIM);
        ResultSet r = s.executeQuery()) {
      return r.next() ? Optional.of(task(r)) : Optional.empty();
    }
  }

  static List<Task> all(Connection target) throws SQLException {
    List<Task> result = new ArrayList<>();
    try (PreparedStatement s =
            target.prepareStatement(
                "select " + COLUMNS + " from dualwrite.task t order by t.priority");
        ResultSet r = s.executeQuery()) {
      while (r.next()) {
        result.add(task(r));
      }
    }
    return result;
  }

  private static Task task(ResultSet r) throws SQLException {
    Array resync = r.getArray(13);
    List<List<String>> keys = new ArrayList<>();
    if (resync != null) {
      for (String[] key : (String[][]) resync.getArray()) {
        keys.add(Arrays.asList(key));
      }
    }
    return new Task(
        r.getLong(1),
        new TableName(r.getString(2), r.getString(3)),
        new TableName(r.getString(4), r.getString(5)),
        Task.Kind.valueOf(r.getString(6).toUpperCase(Locale.ROOT)),
        strings(r.getArray(7)),
        strings(r.getArray(8)),
        r.getString(9),
        r.getLong(10),
        r.getLong(11),
        r.getInt(12),
        keys,
        r.getString(14),
        r.getArray(15) == null ? List.of() : strings(r.getArray(15)),
        r.getObject(16, Long.class),
        r.getString(17));
  }

  /**
   * Marks a claimed task copied. With keys to resync, or something to finish, it stays pending
   * until that is done: the claim after this one does that and nothing else.
   */
  static void copied(Connection target, Task task, Copied copied, String worker, long nanos)
      throws SQLException {
    boolean done = copied.resync().isEmpty() && copied.finish().isEmpty();
    try (PreparedStatement s =
        target.prepareStatement(
            "update dualwrite.task set state = ?, resync = ?, finish = ?, rows = rows + ?, bytes = bytes + ?, inserted = inserted + ?,"
                + " corrected = corrected + ?, worker = ?, error = null,"
                + " started = coalesce(started, clock_timestamp() - ? * interval '1 microsecond'),"
                + " finished = case when ? then clock_timestamp() end where priority = ?")) {
      s.setString(1, done ? "done" : "pending");
      s.setArray(
          2,
          copied.resync().isEmpty()
              ? null
              : target.createArrayOf(
                  "text",
                  copied.resync().stream()
                      .map(k -> k.toArray(new String[0]))
                      .toArray(String[][]::new)));
      s.setArray(
          3,
          copied.finish().isEmpty()
              ? null
              : target.createArrayOf("text", copied.finish().toArray()));
      s.setLong(4, copied.rows());
      s.setLong(5, copied.bytes());
      s.setLong(6, copied.inserted());
      s.setLong(7, copied.corrected());
      s.setString(8, worker);
      s.setLong(9, nanos / 1000);
      s.setBoolean(10, done);
      s.setLong(11, task.id());
      s.executeUpdate();
    }
  }

  /** Notes a failure: the task waits, or is parked. Nothing if it is no longer pending. */
  static void failed(Connection target, long id, String error, boolean park, long delayMillis)
      throws SQLException {
    try (PreparedStatement s =
        target.prepareStatement(
            "update dualwrite.task set attempts = attempts + 1, error = ?, state = case when ? then 'failed' else state end,"
                + " not_before = clock_timestamp() + ? * interval '1 millisecond' where priority = ? and state = 'pending'")) {
      s.setString(1, error);
      s.setBoolean(2, park);
      s.setLong(3, delayMillis);
      s.setLong(4, id);
      s.executeUpdate();
    }
  }

  static void retryFailed(Connection target) throws SQLException {
    Sql.execute(
        target,
        "update dualwrite.task set state = 'pending', attempts = 0, not_before = now() where state = 'failed'");
  }

  /**
   * Notes that a verify begins, unless one of the same method is resumed.
   *
   * @return the tasks that need not be looked at: those found equal since the one that is resumed
   *     began
   */
  static Set<Long> beginVerify(Connection target, String method, boolean resume)
      throws SQLException {
    Sql.execute(
        target,
        "alter table dualwrite.backfill add column if not exists verify_began timestamptz, add column if not exists verify_method text");
    Set<Long> result = new HashSet<>();
    if (resume) {
      for (List<String> r :
          Sql.rows(
              target,
              "select t.priority from dualwrite.task t, dualwrite.backfill b where t.verified = 'equal' and t.state = 'done'"
                  // what was copied since has to be looked at again
                  + " and t.verified_at >= t.finished and t.verified_at >= b.verify_began and b.verify_method = "
                  + Sql.literal(method))) {
        result.add(Long.parseLong(r.get(0)));
      }
    }
    if (result.isEmpty()) {
      Sql.execute(
          target,
          "update dualwrite.backfill set verify_began = clock_timestamp(), verify_method = "
              + Sql.literal(method));
    }
    return result;
  }

  /** Notes what verify found. A crash may forget it, so that no range has to wait for the disk. */
  static void verified(Connection target, List<Long> ids, boolean equal) throws SQLException {
    try (PreparedStatement s =
        target.prepareStatement(
            "update dualwrite.task set verified = ?, verified_at = clock_timestamp() where priority = any(?)"
                + " and pg_catalog.set_config('synchronous_commit', 'off', true) = 'off'")) {
      s.setString(1, equal ? "equal" : "different");
      s.setArray(2, target.createArrayOf("bigint", ids.toArray()));
      s.executeUpdate();
    }
  }

  /** Counts over all tasks. */
  record Totals(
      long tasks,
      long done,
      long failed,
      long rows,
      long bytes,
      long equal,
      long different,
      double share) {
    long pending() {
      return tasks - done - failed;
    }
  }

  static Totals totals(Connection target) throws SQLException {
    try (PreparedStatement s =
            target.prepareStatement(
                "select count(*), count(*) filter (where state = 'done'), count(*) filter (where state = 'failed'),"
                    + " coalesce(sum(rows), 0), coalesce(sum(bytes), 0), count(*) filter (where verified = 'equal'),"
                    + " count(*) filter (where verified = 'different'),"
                    // every chunk costs something, be it empty
                    + " coalesce(sum(estimated_bytes + 8192) filter (where state <> 'pending') / sum(estimated_bytes + 8192), 0)"
                    + " from dualwrite.task");
        ResultSet r = s.executeQuery()) {
      r.next();
      return new Totals(
          r.getLong(1),
          r.getLong(2),
          r.getLong(3),
          r.getLong(4),
          r.getLong(5),
          r.getLong(6),
          r.getLong(7),
          r.getDouble(8));
    }
  }

  static List<FailedTask> failedTasks(Connection target) throws SQLException {
    List<FailedTask> result = new ArrayList<>();
    try (PreparedStatement s =
            target.prepareStatement(
                "select "
                    + COLUMNS
                    + ", t.error from dualwrite.task t where t.state = 'failed' order by t.priority");
        ResultSet r = s.executeQuery()) {
      while (r.next()) {
        Task t = task(r);
        result.add(new FailedTask(t.id(), t.describe(), t.attempts(), r.getString(18)));
      }
    }
    return result;
  }

  /** Whether a table has no chunk left that is neither done nor parked. */
  static boolean finished(Connection target, TableName table) throws SQLException {
    try (PreparedStatement s =
        target.prepareStatement(
            "select not exists (select from dualwrite.task where table_schema = ? and table_name = ? and state = 'pending')")) {
      s.setString(1, table.schema());
      s.setString(2, table.name());
      try (ResultSet r = s.executeQuery()) {
        r.next();
        return r.getBoolean(1);
      }
    }
  }

  private static List<String> strings(Array array) throws SQLException {
    return array == null ? null : Arrays.asList((String[]) array.getArray());
  }
}
