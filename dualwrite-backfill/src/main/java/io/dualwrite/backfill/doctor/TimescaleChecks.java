package io.dualwrite.backfill.doctor;

import static io.dualwrite.backfill.doctor.Finding.Topic.TIMESCALEDB;

import io.dualwrite.backfill.doctor.Finding.Severity;
import io.dualwrite.control.Side;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;

/**
 * The extension TimescaleDB: which version has what is asked of functions and views, not of version
 * numbers, wherever the catalog tells.
 */
final class TimescaleChecks {

  private static final String VERSION =
      "select extversion from pg_extension where extname = 'timescaledb'";

  private final Probe source;
  private final Probe target;
  private final Findings out;

  TimescaleChecks(Probe source, Probe target, Findings out) {
    this.source = source;
    this.target = target;
    this.out = out;
  }

  void run() {
    out.step(TIMESCALEDB, null, "TimescaleDB", this::look);
  }

  private void look() throws SQLException {
    String s = source.value(VERSION);
    String t = target.value(VERSION);
    if (s == null) {
      if (t != null) {
        out.info(
            TIMESCALEDB,
            Side.TARGET,
            "timescaledb",
            "TimescaleDB " + t + ", and none on the source.");
        out.step(TIMESCALEDB, Side.TARGET, "background jobs", this::jobs);
        restoring();
      }
      return;
    }
    boolean used = false;
    if (source.exists("timescaledb_information.hypertables")) {
      out.step(TIMESCALEDB, Side.SOURCE, "hypertables", this::hypertables);
      used = source.is("exists (select from timescaledb_information.hypertables)");
    }
    if (t == null) {
      offered(s, used);
      return;
    }
    out.info(
        TIMESCALEDB,
        null,
        "timescaledb",
        "TimescaleDB " + s + " on the source, " + t + " on the target.");
    if (!s.equals(t)) {
      out.add(
          used ? Severity.BLOCK : Severity.WARN,
          TIMESCALEDB,
          null,
          "timescaledb-version",
          "TimescaleDB is "
              + s
              + " on the source and "
              + t
              + " on the target: its catalog cannot be restored across versions, and compressed chunks cannot be copied as they are.",
          "Bring both to one version: ALTER EXTENSION timescaledb UPDATE TO '…', first command of a session.",
          List.of());
    }
    license();
    restoring();
    out.step(TIMESCALEDB, Side.TARGET, "background jobs", this::jobs);
    out.step(TIMESCALEDB, null, "TimescaleDB's functions", this::gates);
    out.step(TIMESCALEDB, null, "decompression limits", this::limits);
  }

  private void offered(String version, boolean used) throws SQLException {
    boolean offers =
        target.is("exists (select from pg_available_extensions where name = 'timescaledb')");
    boolean same =
        target.is(
            "exists (select from pg_available_extension_versions where name = 'timescaledb' and version = "
                + ObjectChecks.literal(version)
                + ")");
    String preload = target.setting("shared_preload_libraries");
    if (!offers) {
      if (used) {
        out.block(
            TIMESCALEDB,
            Side.TARGET,
            "timescaledb-missing",
            "The source has hypertables and the target's server does not offer TimescaleDB.",
            "Install TimescaleDB " + version + " there, or move to a service that has it.");
      } // else SchemaChecks said that the extension is not there
    } else if (!same) {
      out.add(
          used ? Severity.BLOCK : Severity.WARN,
          TIMESCALEDB,
          Side.TARGET,
          "timescaledb-version",
          "The target's server offers TimescaleDB, but not the source's version " + version + ".",
          "Bring the source to a version that the target offers, or install that one there.",
          target.column(
              "select version from pg_available_extension_versions where name = 'timescaledb' order by 1"));
    } else if (preload != null && !preload.contains("timescaledb")) {
      out.block(
          TIMESCALEDB,
          Side.TARGET,
          "timescaledb-preload",
          "The target's server does not load TimescaleDB at its start.",
          "Add timescaledb to shared_preload_libraries and restart it.");
    } else {
      out.info(
          TIMESCALEDB,
          Side.TARGET,
          "timescaledb",
          "The target's server offers TimescaleDB "
              + version
              + "; 'dualwrite schema migrate' creates it.");
    }
  }

  private void hypertables() throws SQLException {
    List<String> r =
        source
            .rows(
                "select (select count(*) from timescaledb_information.hypertables),"
                    + " (select count(*) from timescaledb_information.chunks),"
                    + " (select count(*) from timescaledb_information.chunks where is_compressed),"
                    + " (select count(*) from timescaledb_information.continuous_aggregates)")
            .get(0);
    out.info(
        TIMESCALEDB,
        Side.SOURCE,
        "hypertables",
        Findings.count(Integer.parseInt(r.get(0)), "hypertable")
            + ", "
            + Findings.count(Integer.parseInt(r.get(1)), "chunk")
            + " ("
            + r.get(2)
            + " compressed), "
            + Findings.count(Integer.parseInt(r.get(3)), "continuous aggregate")
            + ".");
    if (source.is(
        "exists (select from information_schema.columns where table_schema = 'timescaledb_information'"
            + " and table_name = 'continuous_aggregates' and column_name = 'finalized')")) {
      List<String> partial =
          source.column(
              "select view_schema || '.' || view_name from timescaledb_information.continuous_aggregates where not finalized order by 1");
      if (!partial.isEmpty()) {
        out.add(
            Severity.BLOCK,
            TIMESCALEDB,
            Side.SOURCE,
            "partial-aggregates",
            "Continuous aggregates have the form of before TimescaleDB 2.7, whose partial states another server cannot read.",
            "CALL cagg_migrate('…') for each on the source.",
            partial);
      }
    }
    List<String> tiered =
        source.column(
            "select extname from pg_extension where extname in ('timescaledb_osm', 'timescaledb_lake')");
    if (!tiered.isEmpty()) {
      out.add(
          Severity.WARN,
          TIMESCALEDB,
          Side.SOURCE,
          "tiered",
          "Chunks may be tiered to object storage; tiered chunks are not copied.",
          "Untier those that are to be moved: CALL untier_chunk('…').",
          tiered);
    }
    List<String> jobs =
        source.column(
            "select job_id || ' ' || proc_name || coalesce(' on ' || hypertable_schema || '.' || hypertable_name, '') from timescaledb_information.jobs"
                + " where job_id >= 1000 and scheduled and proc_name in ('policy_compression', 'policy_recompression', 'policy_retention') order by job_id");
    List<String> own =
        source.column(
            "select job_id || ' ' || proc_schema || '.' || proc_name from timescaledb_information.jobs"
                + " where job_id >= 1000 and scheduled and proc_schema !~ '^_timescaledb_' order by job_id");
    if (!own.isEmpty()) {
      out.add(
          Severity.WARN,
          TIMESCALEDB,
          Side.SOURCE,
          "user-jobs",
          "Jobs of the users' own run in the source's server, past the application: what they write is not mirrored.",
          "If they write to tables that are moved, let the application do it, or verify those with --repair when the jobs have stopped for the cutover.",
          own);
    }
    if (!jobs.isEmpty()) {
      out.add(
          Severity.INFO,
          TIMESCALEDB,
          Side.SOURCE,
          "source-jobs",
          "Compression and retention go on changing the source's chunks while they are copied; each chunk is looked at anew when its turn comes.",
          "",
          jobs);
    }
    List<String> actions =
        source.column(
            "select job_id || ' ' || proc_schema || '.' || proc_name from timescaledb_information.jobs"
                + " where job_id >= 1000 and scheduled and proc_schema not like '\\_timescaledb\\_%' order by job_id");
    if (!actions.isEmpty()) {
      out.add(
          Severity.WARN,
          TIMESCALEDB,
          Side.SOURCE,
          "source-actions",
          "Jobs run procedures of your own inside the source: what those write passes by the application, so that it is not mirrored.",
          "If they write into tables that are moved: 'dualwrite verify --repair' for these tables before the cutover, and at the cutover take them off the source's schedule (alter_job).",
          actions);
    }
  }

  private void license() {
    String s = source.setting("timescaledb.license");
    String t = target.setting("timescaledb.license");
    if ("timescale".equals(s) && "apache".equals(t)) {
      out.warn(
          TIMESCALEDB,
          Side.TARGET,
          "license",
          "The target runs TimescaleDB's Apache edition: compression, continuous aggregates and policies are not in it.",
          "Use the community edition (timescaledb.license = timescale), or do without them on the source.");
    }
  }

  private void restoring() {
    if (target.on("timescaledb.restoring")) {
      out.block(
          TIMESCALEDB,
          Side.TARGET,
          "restoring",
          "The target is still in TimescaleDB's restoring mode: an earlier restore did not end.",
          "'dualwrite schema restore' ends it, or: select timescaledb_post_restore(). All jobs start then.");
    }
  }

  private void jobs() throws SQLException {
    List<String> on =
        target.column(
            "select job_id || ' ' || proc_name || coalesce(' on ' || hypertable_schema || '.' || hypertable_name, '')"
                + " from timescaledb_information.jobs where job_id >= 1000 and scheduled order by job_id");
    if (!on.isEmpty() && !copied()) {
      out.add(
          Severity.WARN,
          TIMESCALEDB,
          Side.TARGET,
          "jobs-running",
          "Background jobs run on the target: they compress, refresh and drop chunks that are not complete yet.",
          "'dualwrite jobs disable' notes which were on and disables them; 'dualwrite jobs enable' restores them after the copy.",
          on);
    }
    List<String> strangers =
        target.column(
            "select j.job_id || ' ' || j.proc_name || ' on ' || n.nspname || '.' || c.relname || ' (' || j.owner || ')' from timescaledb_information.jobs j"
                + " join pg_namespace n on n.nspname = j.hypertable_schema join pg_class c on c.relnamespace = n.oid and c.relname = j.hypertable_name"
                + " where j.job_id >= 1000 and not pg_has_role(j.owner::name, c.relowner, 'USAGE') order by j.job_id");
    if (!strangers.isEmpty()) {
      out.add(
          Severity.WARN,
          TIMESCALEDB,
          Side.TARGET,
          "job-owner",
          "Jobs of the target belong to roles that may not work on their tables, and will fail.",
          "UPDATE _timescaledb_config.bgw_job SET owner = … as a superuser, or ALTER TABLE … OWNER TO the jobs' role.",
          strangers);
    }
  }

  /** Whether everything that was staged is copied, so that jobs may run. */
  private boolean copied() throws SQLException {
    return target.exists("dualwrite.task")
        && target.is("has_table_privilege('dualwrite.task', 'SELECT')")
        && target.is(
            "exists (select from dualwrite.task) and not exists (select from dualwrite.task where state <> 'done')");
  }

  /** What the copy of chunks uses, asked of the functions themselves. */
  private void gates() throws SQLException {
    for (Probe p : List.of(source, target)) {
      List<String> lacking = new ArrayList<>();
      for (String f : List.of("show_chunk", "create_chunk", "chunk_status")) {
        if (!p.is(
            "exists (select from pg_proc where proname = '"
                + f
                + "' and pronamespace = to_regnamespace('_timescaledb_functions'))")) {
          lacking.add("_timescaledb_functions." + f);
        }
      }
      if (!lacking.isEmpty()) {
        out.add(
            Severity.BLOCK,
            TIMESCALEDB,
            p.side(),
            "timescaledb-functions",
            "This version of TimescaleDB lacks functions that tell about chunks.",
            "Update TimescaleDB to 2.17 or later.",
            lacking);
      }
    }
  }

  private void limits() throws SQLException {
    String name = "timescaledb.max_tuples_decompressed_per_dml_transaction";
    String limit = target.setting(name);
    if (limit != null
        && !limit.equals("0")
        && source.is("exists (select from timescaledb_information.chunks where is_compressed)")) {
      out.warn(
          TIMESCALEDB,
          Side.TARGET,
          "decompression-limit",
          "A transaction may touch at most "
              + limit
              + " rows of compressed chunks by UPDATE, DELETE or ON CONFLICT; a mirrored one that needs more fails and waits in the journal.",
          "ALTER DATABASE … SET " + name + " = 0 on the target for the time of the move.");
    }
  }
}
