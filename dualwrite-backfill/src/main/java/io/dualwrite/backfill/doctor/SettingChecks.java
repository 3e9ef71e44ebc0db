package io.dualwrite.backfill.doctor;

import static io.dualwrite.backfill.doctor.Finding.Topic.SETTINGS;

import io.dualwrite.backfill.doctor.Finding.Severity;
import io.dualwrite.control.Side;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** Settings as a new session of the role would have them. */
final class SettingChecks {

  /**
   * What changes the meaning of a statement or the form of a result; not what the driver sets for
   * itself whatever the server says (time zone, date style, digits of floats).
   */
  private static final List<String> MEANING =
      List.of(
          "IntervalStyle",
          "bytea_output",
          "xmlbinary",
          "xmloption",
          "lc_messages",
          "lc_monetary",
          "lc_numeric",
          "lc_time",
          "search_path",
          "default_text_search_config",
          "default_transaction_isolation",
          "standard_conforming_strings",
          "backslash_quote",
          "array_nulls",
          "transform_null_equals",
          "quote_all_identifiers",
          "row_security");

  private static final List<String> TIMEOUTS =
      List.of(
          "statement_timeout",
          "lock_timeout",
          "idle_in_transaction_session_timeout",
          "transaction_timeout",
          "idle_session_timeout");

  private final Probe source;
  private final Probe target;
  private final DoctorOptions options;
  private final Findings out;

  SettingChecks(Probe source, Probe target, DoctorOptions options, Findings out) {
    this.source = source;
    this.target = target;
    this.options = options;
    this.out = out;
  }

  void run() {
    for (Probe p : List.of(source, target)) {
      durability(p);
      timeouts(p);
    }
    out.step(SETTINGS, null, "the databases' settings", this::ofTheDatabase);
    if (!source.on("standard_conforming_strings")) {
      out.block(
          SETTINGS,
          Side.SOURCE,
          "standard-strings",
          "standard_conforming_strings is off: dualwrite reads a backslash in '…' as itself, the server does not, and a statement may be taken for another.",
          "Switch it on for the application's role, after a look at literals with backslashes.");
    }
    if (!source.on("track_counts")) {
      out.warn(
          SETTINGS,
          Side.SOURCE,
          "track-counts",
          "track_counts is off: what a transaction wrote behind the application's back (cascades, functions) cannot be told, and autovacuum sleeps.",
          "Switch track_counts on.");
    }
    if (target.setting("synchronous_standby_names") != null
        && !target.setting("synchronous_standby_names").isEmpty()) {
      out.warn(
          SETTINGS,
          Side.TARGET,
          "synchronous-standby",
          "Commits on the target wait for a standby (synchronous_standby_names): while it is away, mirrored commits hang until their timeout and pile up in the journal.",
          "Watch that standby as you watch the target, or add a second one.");
    }
    long prepared = source.number("max_prepared_transactions");
    if (prepared > target.number("max_prepared_transactions")) {
      out.warn(
          SETTINGS,
          Side.TARGET,
          "prepared-transactions",
          "The source allows "
              + Findings.count((int) prepared, "prepared transaction")
              + " at a time, the target "
              + target.number("max_prepared_transactions")
              + ": an application that uses two-phase commit would fail there after the cutover.",
          "Set max_prepared_transactions alike if the application uses PREPARE TRANSACTION.");
    }
    List<String> differing = new ArrayList<>();
    for (String name : MEANING) {
      String s = source.setting(name);
      String t = target.setting(name);
      if (!Objects.equals(s, t)) {
        differing.add(name + ": " + shown(s) + " / " + shown(t));
      }
    }
    if (!differing.isEmpty()) {
      out.add(
          Severity.WARN,
          SETTINGS,
          null,
          "settings-differ",
          "For this role, settings that change the meaning of statements or the form of results differ (source / target). Copy and dual-write pin their own; the application meets the others after the cutover.",
          "Set them alike: ALTER DATABASE … SET, or ALTER ROLE … IN DATABASE … SET.",
          differing);
    }
  }

  /** What ALTER DATABASE and ALTER ROLE … IN DATABASE have set: no dump of a schema has it. */
  private void ofTheDatabase() throws SQLException {
    String sql =
        "select case when setrole = 0 then 'database: ' else 'role: ' end || unnest(setconfig) from pg_db_role_setting"
            + " where setdatabase = (select oid from pg_database where datname = current_database())"
            + " and (setrole = 0 or pg_get_userbyid(setrole) = current_user) order by 1";
    List<String> lacking = new ArrayList<>(source.column(sql));
    lacking.removeAll(target.column(sql));
    if (!lacking.isEmpty()) {
      out.add(
          Severity.WARN,
          SETTINGS,
          Side.TARGET,
          "database-settings",
          "The target's database, or the role in it, lacks settings that the source's has; they do not come with the schema.",
          "ALTER DATABASE … SET, or ALTER ROLE … IN DATABASE … SET, on the target.",
          lacking);
    }
  }

  private static String shown(String value) {
    return value == null ? "(unknown)" : value.isEmpty() ? "''" : value;
  }

  private void durability(Probe p) {
    List<String> off = new ArrayList<>();
    for (String name : List.of("fsync", "full_page_writes", "synchronous_commit")) {
      if ("off".equals(p.setting(name))) {
        off.add(name);
      }
    }
    if (!off.isEmpty()) {
      out.add(
          Severity.WARN,
          SETTINGS,
          p.side(),
          "not-durable",
          "A crash of the "
              + p.side()
              + " may lose what it acknowledged; after one, tables written lately have to be reconciled.",
          "Switch on what is off, for the time of the move at least. (Connections of dualwrite to the mirror set synchronous_commit themselves.)",
          off);
    }
  }

  private void timeouts(Probe p) {
    List<String> set = new ArrayList<>();
    for (String name : TIMEOUTS) {
      String v = p.setting(name);
      if (v != null && !v.equals("0")) {
        set.add(name + " = " + v + " ms");
      }
    }
    long idle = p.number("idle_in_transaction_session_timeout");
    if (p == source && idle > 0 && idle < 3 * options.flushTimeout().toMillis()) {
      out.warn(
          SETTINGS,
          Side.SOURCE,
          "idle-timeout",
          "idle_in_transaction_session_timeout is "
              + idle
              + " ms. A commit may wait "
              + options.flushTimeout().toMillis()
              + " ms for the mirror, and the source sees it idle: it would end such sessions when the mirror is slow.",
          "Raise it to three times dualwrite.mirror.flush-timeout, or lower that.");
    } else if (!set.isEmpty()) {
      out.info(
          SETTINGS,
          p.side(),
          "timeouts",
          "Timeouts of this role: "
              + String.join(", ", set)
              + ". Copy and verify lift them for themselves.");
    }
  }
}
