package io.dualwrite.backfill.jobs;

import io.dualwrite.backfill.BackfillException;
import io.dualwrite.catalog.TableName;
import io.dualwrite.control.ControlSchema;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;

/**
 * The users' background jobs (ids from 1000 on; the others are TimescaleDB's own) of one database.
 * Every method takes a connection to it, in autocommit mode, and keeps nothing. Stateless.
 */
public final class Jobs {

  /** The table of what was noted; run by {@link #disable} too. */
  public static final String TABLE_SQL = ControlSchema.JOB_STATE;

  /**
   * Makes all jobs the role's own, as the hypertables are that it restored without their owners: a
   * job of another role may not work on them. Whoever may not do that is told by the doctor.
   */
  public static final String OWN_SQL =
      """
      do $$ begin
        update _timescaledb_config.bgw_job set owner = current_user::pg_catalog.regrole
          where id >= 1000 and owner <> current_user::pg_catalog.regrole;
      exception when insufficient_privilege then
        raise warning 'jobs keep the owners that they have on the source';
      end $$;
      """;

  /**
   * Where a continuous aggregate reads another, 2.22 counts the policy that is altered as a second
   * one of its hypertable, and refuses: then it is altered while it seems to have none.
   */
  private static final String DISABLE_SQL =
      """
      insert into dualwrite.job_state (job_id, proc, scheduled, next_start)
        select job_id, proc_schema || '.' || proc_name, scheduled, nullif(next_start, '-infinity')
        from timescaledb_information.jobs where job_id >= 1000
        on conflict do nothing;
      do $$ declare j record; begin
        for j in select job_id as id from timescaledb_information.jobs where job_id >= 1000 and scheduled loop
          begin
            perform $schema.alter_job(j.id, scheduled => false);
          exception when feature_not_supported then
            select id, hypertable_id into j from _timescaledb_config.bgw_job where id = j.id;
            update _timescaledb_config.bgw_job set hypertable_id = null where id = j.id;
            perform $schema.alter_job(j.id, scheduled => false);
            update _timescaledb_config.bgw_job set hypertable_id = j.hypertable_id where id = j.id;
          end;
        end loop;
      end $$;
      """;

  /**
   * Refreshes of continuous aggregates first, those that others are built upon before these; then
   * compression, so that it finds what they wrote; retention last, so that nothing is dropped
   * before it was aggregated.
   */
  private static final String LIST =
      """
      with recursive agg as (
        select view_schema, view_name, materialization_hypertable_schema as ms, materialization_hypertable_name as mn,
            hypertable_schema as hs, hypertable_name as hn
          from timescaledb_information.continuous_aggregates),
      level as (
        select a.*, 1 as depth from agg a where not exists (
          select from agg p where (p.ms, p.mn) = (a.hs, a.hn) or (p.view_schema, p.view_name) = (a.hs, a.hn))
        union all
        select a.*, l.depth + 1 from agg a join level l on (l.ms, l.mn) = (a.hs, a.hn) or (l.view_schema, l.view_name) = (a.hs, a.hn))
      select j.job_id, j.proc_schema || '.' || j.proc_name,
          coalesce(a.view_schema || '.' || a.view_name, j.hypertable_schema || '.' || j.hypertable_name),
          j.scheduled, s.scheduled, j.schedule_interval::text, s.last_run::timestamp(0)::text, s.last_error,
          s.scheduled and not j.scheduled and coalesce(s.last_run + j.schedule_interval, j.initial_start, now()) <= now(),
          x.last_run_started_at::timestamp(0)::text, x.last_run_status
        from timescaledb_information.jobs j
        left join STATE s on s.job_id = j.job_id and s.proc = j.proc_schema || '.' || j.proc_name
        left join timescaledb_information.job_stats x on x.job_id = j.job_id
        left join agg a on (a.ms, a.mn) = (j.hypertable_schema, j.hypertable_name)
        left join level l on (j.hypertable_schema, j.hypertable_name) in ((l.view_schema, l.view_name), (l.ms, l.mn))
        where j.job_id >= 1000
        order by case j.proc_name when 'policy_refresh_continuous_aggregate' then 0 when 'policy_compression' then 1
          when 'policy_recompression' then 2 when 'policy_reorder' then 3 when 'policy_retention' then 5 else 4 end,
          l.depth, j.job_id
      """;

  private static final String NO_STATE =
      "(select null::int as job_id, null::text as proc, null::boolean as scheduled, null::timestamptz as last_run, null::text as last_error where false)";

  private Jobs() {}

  /**
   * A job.
   *
   * @param id its number
   * @param procedure what it runs: {@code schema.name}
   * @param relation the hypertable or continuous aggregate that it is about
   * @param scheduled whether TimescaleDB runs it by itself now
   * @param recorded whether it did before it was disabled; empty if nothing was noted
   * @param every how often it is to run, as the server writes it
   * @param lastRun when, and how, it last ran: by {@link #run} or by itself
   * @param due whether {@link #run} would run it now
   */
  public record Job(
      int id,
      String procedure,
      Optional<String> relation,
      boolean scheduled,
      Optional<Boolean> recorded,
      String every,
      Optional<String> lastRun,
      boolean due) {

    /**
     * Whether it runs a procedure of the users' own, which may write anything: on the mirror it
     * would do so beside the primary's.
     */
    public boolean action() {
      return !procedure.startsWith("_timescaledb_");
    }

    /** {@code retention on public.metrics}. */
    public String describe() {
      String name = procedure.substring(procedure.indexOf('.') + 1);
      if (name.startsWith("policy_")) {
        name = name.substring(7).replace("_continuous_aggregate", "");
      }
      return name + relation.map(r -> " on " + r).orElse("");
    }
  }

  /**
   * Notes which jobs are scheduled and takes all of them off the schedule. Needs {@link
   * #TABLE_SQL}. What was noted before stays: it is the state from before the move. In one
   * transaction with {@code timescaledb_post_restore()}, no job runs in between.
   *
   * @param schema the schema that the extension is in
   */
  public static String disableSql(String schema) {
    return DISABLE_SQL.replace("$schema", TableName.quote(schema));
  }

  /** The schema that the extension is in, if the database has it. */
  public static Optional<String> schema(Connection connection) throws SQLException {
    try (Statement s = connection.createStatement();
        ResultSet r =
            s.executeQuery(
                "select n.nspname from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace"
                    + " where e.extname = 'timescaledb'")) {
      return r.next() ? Optional.of(r.getString(1)) : Optional.empty();
    }
  }

  /** A function of the extension, qualified: it need not be on the search path. */
  private static String function(Connection connection, String name) throws SQLException {
    return TableName.quote(schema(connection).orElse("public")) + "." + name;
  }

  /** Whether the database has TimescaleDB, and so jobs at all. */
  public static boolean available(Connection connection) throws SQLException {
    return schema(connection).isPresent();
  }

  /** All jobs, in the order in which {@link #run} would run them. */
  public static List<Job> list(Connection connection) throws SQLException {
    boolean noted = bool(connection, "pg_catalog.to_regclass('dualwrite.job_state') is not null");
    List<Job> result = new ArrayList<>();
    try (Statement s = connection.createStatement();
        ResultSet r =
            s.executeQuery(LIST.replace("STATE", noted ? "dualwrite.job_state" : NO_STATE))) {
      while (r.next()) {
        String recorded = r.getString(5);
        String ours = r.getString(7);
        String error = r.getString(8);
        String theirs = r.getString(10);
        Optional<String> last = Optional.empty();
        if (ours != null) {
          last = Optional.of(ours + (error == null ? ", by hand" : ", failed: " + error));
        } else if (theirs != null && !theirs.equals("-infinity")) {
          last = Optional.of(theirs + (r.getString(11) == null ? "" : ", " + r.getString(11)));
        }
        result.add(
            new Job(
                r.getInt(1),
                r.getString(2),
                Optional.ofNullable(r.getString(3)),
                r.getBoolean(4),
                recorded == null ? Optional.empty() : Optional.of(recorded.equals("t")),
                r.getString(6),
                last,
                r.getBoolean(9)));
      }
    }
    return result;
  }

  /**
   * Notes which jobs are scheduled and takes them off the schedule; idempotent.
   *
   * @return how many were scheduled until now
   * @throws SQLException if the role may not alter some job; nothing is changed then
   */
  public static int disable(Connection connection) throws SQLException {
    int before = (int) list(connection).stream().filter(Job::scheduled).count();
    transaction(
        connection,
        () -> {
          execute(connection, TABLE_SQL);
          execute(connection, disableSql(schema(connection).orElse("public")));
        });
    return before;
  }

  /**
   * Puts jobs back on the schedule: exactly those that were on it when {@link #disable} noted them.
   * Their noted state is forgotten then.
   *
   * @param pace between the first runs of two jobs, so that they do not all start at once
   * @param actions whether jobs that run procedures of the users' own are meant too
   * @return the jobs that are scheduled from now on because of this call
   * @throws SQLException if the role may not alter some job; nothing is changed then
   */
  public static List<Job> restore(Connection connection, Duration pace, boolean actions)
      throws SQLException {
    List<Job> all = list(connection);
    List<Job> noted =
        all.stream().filter(j -> !j.scheduled() && j.recorded().equals(Optional.of(true))).toList();
    List<Job> back = noted.stream().filter(j -> actions || !j.action()).toList();
    Integer[] held =
        noted.stream().filter(j -> !back.contains(j)).map(Job::id).toArray(Integer[]::new);
    transaction(
        connection,
        () -> {
          long at = pace.toMillis();
          for (Job j : back) {
            schedule(connection, j.id(), at);
            at += pace.toMillis();
          }
          if (all.stream().anyMatch(j -> j.recorded().isPresent())) {
            try (PreparedStatement s =
                connection.prepareStatement(
                    "delete from dualwrite.job_state where job_id <> all (?)")) {
              s.setArray(1, connection.createArrayOf("int4", held));
              s.executeUpdate();
            }
          }
        });
    return back;
  }

  private static void schedule(Connection connection, int job, long millis) throws SQLException {
    String sql =
        "select "
            + function(connection, "alter_job")
            + "(job_id, scheduled => true, next_start => greatest(next_start, now() + "
            + millis
            + " * interval '1 ms')) from dualwrite.job_state where job_id = "
            + job;
    Savepoint before = connection.setSavepoint();
    try {
      execute(connection, sql);
    } catch (SQLException e) {
      if (!"0A000".equals(e.getSQLState())) {
        throw e;
      }
      connection.rollback(before); // as in DISABLE_SQL
      String hypertable =
          "update _timescaledb_config.bgw_job set hypertable_id = %s where id = " + job + ";";
      try (Statement s = connection.createStatement();
          ResultSet r =
              s.executeQuery(
                  "select hypertable_id from _timescaledb_config.bgw_job where id = " + job)) {
        r.next();
        execute(
            connection,
            hypertable.formatted("null") + sql + ";" + hypertable.formatted(r.getInt(1)));
      }
    }
  }

  /** What {@link #run} tells while it works. */
  public interface Listener {
    /** A job begins. */
    void begins(Job job);

    /** It ended: after how long, and with which error, or null. */
    void ended(Job job, Duration took, String error);
  }

  /**
   * How {@link #run} ended.
   *
   * @param done jobs that ran
   * @param failed jobs that failed; they stay due
   * @param left jobs that were due and did not have their turn: the thread was interrupted
   */
  public record Run(int done, int failed, int left) {}

  /**
   * Runs the jobs that are due, one after another: disabled ones that were scheduled, and that did
   * not run within their interval. An interrupt of the calling thread ends it after the job at
   * hand.
   *
   * @param pause after each job, so that the application gets its breath
   * @param actions whether jobs that run procedures of the users' own are meant too
   */
  public static Run run(Connection connection, Duration pause, boolean actions, Listener listener)
      throws SQLException {
    List<Job> due =
        list(connection).stream().filter(j -> j.due() && (actions || !j.action())).toList();
    int done = 0;
    int failed = 0;
    for (Job j : due) {
      if (done + failed > 0 && pause.toNanos() > 0) {
        LockSupport.parkNanos(pause.toNanos());
      }
      if (Thread.currentThread().isInterrupted()) {
        return new Run(done, failed, due.size() - done - failed);
      }
      listener.begins(j);
      long began = System.nanoTime();
      String error = null;
      try {
        execute(connection, "call " + function(connection, "run_job") + "(" + j.id() + ")");
      } catch (SQLException e) {
        if (connection.isClosed() || !connection.isValid(5)) {
          throw e;
        }
        error = e.getMessage().strip().replaceAll("\\s*\\R\\s*", "; ");
      }
      listener.ended(j, Duration.ofNanos(System.nanoTime() - began), error);
      try (PreparedStatement s =
          connection.prepareStatement(
              "update dualwrite.job_state set last_run = case when ?::text is null then now() else last_run end, last_error = ?"
                  + " where job_id = ?")) {
        s.setString(1, error);
        s.setString(2, error);
        s.setInt(3, j.id());
        s.executeUpdate();
      }
      if (error == null) {
        done++;
      } else {
        failed++;
      }
    }
    return new Run(done, failed, 0);
  }

  /**
   * Refuses while the copy has work left: a refresh would aggregate what is not there yet, and
   * compression and retention would work on half-filled chunks.
   *
   * @throws BackfillException if chunks are staged and not copied
   */
  public static void requireCopied(Connection connection) throws SQLException {
    if (bool(connection, "pg_catalog.to_regclass('dualwrite.task') is not null")
        && bool(connection, "exists (select from dualwrite.task where state <> 'done')")) {
      throw new BackfillException(
          "chunks are staged and not copied yet, and jobs would work on half of the data; finish with 'dualwrite copy', or say --force");
    }
  }

  private interface Work {
    void run() throws SQLException;
  }

  private static void transaction(Connection connection, Work work) throws SQLException {
    connection.setAutoCommit(false);
    try {
      execute(connection, "select pg_catalog.pg_advisory_xact_lock(7233178614550361963)");
      work.run();
      connection.commit();
    } catch (SQLException e) {
      connection.rollback();
      throw e;
    } finally {
      connection.setAutoCommit(true);
    }
  }

  private static void execute(Connection connection, String sql) throws SQLException {
    try (Statement s = connection.createStatement()) {
      s.execute(sql);
    }
  }

  private static boolean bool(Connection connection, String condition) throws SQLException {
    try (Statement s = connection.createStatement();
        ResultSet r = s.executeQuery("select " + condition)) {
      r.next();
      return r.getBoolean(1);
    }
  }
}
