package io.dualwrite.backfill.doctor;

import static io.dualwrite.backfill.doctor.Finding.Topic.RESOURCES;

import io.dualwrite.backfill.doctor.Finding.Severity;
import io.dualwrite.control.Side;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.List;
import java.util.Locale;

/** Connections and disk, and what would hold the move up. */
final class ResourceChecks {

  /** What copy and verify open on each side with their default parallelism, and some to spare. */
  private static final int BACKFILL_CONNECTIONS = 12;

  private final Probe source;
  private final Probe target;
  private final DoctorOptions options;
  private final Findings out;

  ResourceChecks(Probe source, Probe target, DoctorOptions options, Findings out) {
    this.source = source;
    this.target = target;
    this.options = options;
    this.out = out;
  }

  void run() {
    for (Probe p : List.of(source, target)) {
      out.step(RESOURCES, p.side(), "connections", () -> connections(p));
      out.step(RESOURCES, p.side(), "replication slots", () -> slots(p));
      out.step(RESOURCES, p.side(), "locks", () -> locks(p));
      out.step(RESOURCES, p.side(), "subscriptions", () -> subscriptions(p));
    }
    out.step(RESOURCES, null, "sizes", this::disk);
    out.step(RESOURCES, Side.SOURCE, "open transactions", this::transactions);
    journal();
  }

  private void connections(Probe p) throws SQLException {
    long reserved = p.number("superuser_reserved_connections");
    if (p.setting("reserved_connections") != null) {
      reserved += p.number("reserved_connections");
    }
    List<String> r =
        p.rows(
                "select (select count(*) from pg_stat_activity where usesysid is not null),"
                    + " (select rolconnlimit from pg_roles where rolname = current_user),"
                    + " (select count(*) from pg_stat_activity where usename = current_user),"
                    + " datconnlimit, (select numbackends from pg_stat_database d where d.datid = b.oid)"
                    + " from pg_database b where datname = current_database()")
            .get(0);
    long free = p.number("max_connections") - reserved - Long.parseLong(r.get(0));
    String by = "max_connections";
    if (!r.get(1).equals("-1") && Long.parseLong(r.get(1)) - Long.parseLong(r.get(2)) < free) {
      free = Long.parseLong(r.get(1)) - Long.parseLong(r.get(2));
      by = "the role's CONNECTION LIMIT";
    }
    if (!r.get(3).equals("-1") && Long.parseLong(r.get(3)) - Long.parseLong(r.get(4)) < free) {
      free = Long.parseLong(r.get(3)) - Long.parseLong(r.get(4));
      by = "the database's CONNECTION LIMIT";
    }
    int need = BACKFILL_CONNECTIONS + (p == target ? options.poolSize() : 0);
    String budget =
        free
            + " connections are free (limited by "
            + by
            + "); copy and verify take about "
            + BACKFILL_CONNECTIONS
            + (p == target
                ? ", each process of the application up to " + options.poolSize() + " more."
                : ".");
    if (free < need) {
      out.warn(
          RESOURCES,
          p.side(),
          "connections",
          "Only " + budget,
          "Raise " + by + ", or use a lower --parallelism and dualwrite.mirror.pool-size.");
    } else {
      out.info(
          RESOURCES,
          p.side(),
          "connections",
          Character.toUpperCase(budget.charAt(0)) + budget.substring(1));
    }
  }

  /** A dump locks every table, a query of a partitioned table or hypertable every part of it. */
  private void locks(Probe p) throws SQLException {
    long tables =
        Long.parseLong(
            source.value(
                "select count(*) from pg_class where relkind in ('r', 'p') and oid >= 16384"));
    long room =
        p.number("max_locks_per_transaction")
            * (p.number("max_connections") + p.number("max_prepared_transactions"));
    if (tables > room) {
      out.warn(
          RESOURCES,
          p.side(),
          "locks",
          "The source has "
              + tables
              + " tables, partitions and chunks, and the "
              + p.side()
              + "'s lock table has room for "
              + room
              + " locks: a dump or restore of the schema, or a query of all parts, may end with 'out of shared memory'.",
          "Raise max_locks_per_transaction there (takes a restart).");
    }
  }

  private void disk() throws SQLException {
    long s = Long.parseLong(source.value("select pg_database_size(current_database())"));
    long t = Long.parseLong(target.value("select pg_database_size(current_database())"));
    out.info(
        RESOURCES,
        null,
        "disk",
        "The source's database takes "
            + bytes(s)
            + ", the target's "
            + bytes(t)
            + " so far. Free space of a server cannot be seen from here: the target needs about "
            + bytes(s + s / 5)
            + " in all, and room for its WAL (max_wal_size is "
            + target.value("select current_setting('max_wal_size')")
            + ").");
  }

  private void transactions() throws SQLException {
    List<String> old =
        source.column(
            "select 'pid ' || pid || ' (' || coalesce(nullif(application_name, ''), usename, '?') || '), open for '"
                + " || date_trunc('second', now() - xact_start) from pg_stat_activity where usesysid is not null"
                + " and datname = current_database() and xact_start < now() - interval '1 minute' order by xact_start");
    if (!old.isEmpty()) {
      out.add(
          Severity.WARN,
          RESOURCES,
          Side.SOURCE,
          "old-transactions",
          "Transactions have been open for more than a minute; stage waits until those open at its start have ended.",
          "Let them end, or pg_terminate_backend them, before stage.",
          old);
    }
    List<String> prepared =
        source.column(
            "select gid || ', since ' || date_trunc('second', prepared) from pg_prepared_xacts where database = current_database()");
    if (!prepared.isEmpty()) {
      out.add(
          Severity.WARN,
          RESOURCES,
          Side.SOURCE,
          "open-prepared",
          "Prepared transactions wait for their end; stage waits for them too.",
          "COMMIT PREPARED or ROLLBACK PREPARED them before stage.",
          prepared);
    }
  }

  private void slots(Probe p) throws SQLException {
    List<String> idle =
        p.column(
            "select slot_name || coalesce(', keeps ' || pg_size_pretty(pg_wal_lsn_diff(case when pg_is_in_recovery()"
                + " then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, restart_lsn)), '')"
                + " from pg_replication_slots where not active order by 1");
    if (!idle.isEmpty()) {
      out.add(
          Severity.WARN,
          RESOURCES,
          p.side(),
          "idle-slots",
          "Replication slots that nobody reads keep WAL, and "
              + (p == target
                  ? "the copy writes much of it: the disk may fill."
                  : "the disk may fill."),
          "Drop those that are not needed: select pg_drop_replication_slot(…).",
          idle);
    }
  }

  private void subscriptions(Probe p) throws SQLException {
    List<String> on =
        p.column(
            "select subname from pg_subscription where subenabled and subdbid ="
                + " (select oid from pg_database where datname = current_database()) order by 1");
    if (on.isEmpty()) {
      return;
    }
    if (p == source) {
      out.add(
          Severity.BLOCK,
          RESOURCES,
          Side.SOURCE,
          "source-subscriptions",
          "The source takes rows by logical replication: those come past the application, so that none of them is mirrored.",
          "Let the target subscribe instead once the copy is done, or leave the tables out with --filter and say so with --accept source-subscriptions.",
          on);
    } else {
      out.add(
          Severity.WARN,
          RESOURCES,
          Side.TARGET,
          "subscriptions",
          "The target takes rows by logical replication too: a second writer, whose rows collide with mirrored ones.",
          "ALTER SUBSCRIPTION … DISABLE for the tables that are moved.",
          on);
    }
  }

  private void journal() {
    if (options.journal().isEmpty()) {
      return;
    }
    Path there = options.journal().get().toAbsolutePath();
    while (there != null && !Files.isDirectory(there)) {
      there = there.getParent();
    }
    if (there == null) {
      return;
    }
    try {
      long free = Files.getFileStore(there).getUsableSpace();
      if (free < options.journalBytes()) {
        out.warn(
            RESOURCES,
            null,
            "journal-disk",
            "On this machine the journal's disk ("
                + there
                + ") has "
                + bytes(free)
                + " free, less than the journal may take ("
                + bytes(options.journalBytes())
                + "): in a long outage of the target it would name whole tables instead of rows.",
            "Make room, or lower dualwrite.journal.max-bytes knowingly.");
      } else {
        out.info(
            RESOURCES,
            null,
            "journal-disk",
            "On this machine the journal's disk has "
                + bytes(free)
                + " free; it may take "
                + bytes(options.journalBytes())
                + ".");
      }
    } catch (IOException e) {
      out.warn(
          RESOURCES,
          null,
          "journal-disk",
          "The journal's disk (" + there + ") cannot be looked at: " + e.getMessage() + ".",
          "Check dualwrite.journal.dir.");
    }
  }

  private static String bytes(long n) {
    double v = n;
    String unit = "B";
    for (String u : new String[] {"KiB", "MiB", "GiB", "TiB"}) {
      if (v < 1024) {
        break;
      }
      v /= 1024;
      unit = u;
    }
    return String.format(Locale.ROOT, "%.1f %s", v, unit);
  }
}
