package io.dualwrite.backfill.doctor;

import static io.dualwrite.backfill.doctor.Finding.Topic.SERVER;

import io.dualwrite.backfill.doctor.Finding.Severity;
import io.dualwrite.control.Side;
import java.sql.SQLException;
import java.util.List;
import java.util.Locale;

/** What both servers are: version, role in a cluster, clock, encoding, collation. */
final class ServerChecks {

  private static final double SKEW_SECONDS = 1;

  private final Probe source;
  private final Probe target;
  private final Findings out;

  ServerChecks(Probe source, Probe target, Findings out) {
    this.source = source;
    this.target = target;
    this.out = out;
  }

  void run() {
    for (Probe p : List.of(source, target)) {
      out.step(SERVER, p.side(), "the server", () -> version(p));
      out.step(SERVER, p.side(), "whether it is a standby", () -> standby(p));
      if (p.version() >= 150000) {
        out.step(SERVER, p.side(), "collation versions", () -> collationVersions(p));
      }
    }
    if (source.major() > target.major()) {
      out.warn(
          SERVER,
          null,
          "older-target",
          "The target's PostgreSQL "
              + target.major()
              + " is older than the source's "
              + source.major()
              + ": the schema may use what it does not know, and pg_dump does not promise that the older reads it.",
          "Move to the same major version or a newer one.");
    }
    out.step(SERVER, null, "whether both are one database", this::same);
    out.step(SERVER, null, "the clocks", this::clocks);
    out.step(SERVER, null, "encodings and collations", this::encodings);
  }

  private void version(Probe p) throws SQLException {
    if (p.version() < Probe.OLDEST) {
      out.block(
          SERVER,
          p.side(),
          "too-old",
          "PostgreSQL "
              + p.setting("server_version")
              + " is older than 13 and lacks functions that tell how a transaction ended.",
          "Upgrade the server first.");
      return;
    }
    out.info(
        SERVER,
        p.side(),
        "version",
        "PostgreSQL "
            + p.setting("server_version")
            + ", database "
            + p.value("select current_database()")
            + ", as "
            + p.value("select current_user")
            + (p.is("(select rolsuper from pg_roles where rolname = current_user)")
                ? " (superuser)"
                : "")
            + ".");
  }

  private void standby(Probe p) throws SQLException {
    if (p.is("pg_is_in_recovery()")) {
      out.block(
          SERVER,
          p.side(),
          "standby",
          "The "
              + p.side()
              + " is a standby: it may lag behind what was committed, and takes no writes.",
          "Give the primary (a connection string may ask for it: target_session_attrs=primary).");
    } else if (p.on("default_transaction_read_only")) {
      out.add(
          p.side() == Side.TARGET ? Severity.BLOCK : Severity.WARN,
          SERVER,
          p.side(),
          "read-only",
          "New transactions of this role are read only there (default_transaction_read_only).",
          "Switch it off for the role: ALTER ROLE … IN DATABASE … RESET default_transaction_read_only. "
              + "If a cutover fenced this side, that is what it is for.",
          List.of());
    }
  }

  private void same() throws SQLException {
    String which =
        "select (select system_identifier from pg_control_system()) || '/' || pg_postmaster_start_time() || '/' || current_database()";
    if (source.value(which).equals(target.value(which))) {
      out.block(
          SERVER,
          null,
          "same-database",
          "Source and target are the same database.",
          "Check --source and --target.");
    }
  }

  private void clocks() throws SQLException {
    // the answer's moment lies between question and answer; the shortest round trip tells best
    double best = Double.MAX_VALUE;
    double skew = 0;
    for (int i = 0; i < 5; i++) {
      long began = System.nanoTime();
      double s = clock(source);
      double t = clock(target);
      double took = (System.nanoTime() - began) / 1e9;
      if (took < best) {
        best = took;
        skew = t - s - took / 2;
      }
    }
    String ahead =
        String.format(
            Locale.ROOT,
            "The target's clock is %.1f s %s the source's",
            Math.abs(skew),
            skew > 0 ? "ahead of" : "behind");
    if (Math.abs(skew) - best > SKEW_SECONDS) {
      out.warn(
          SERVER,
          null,
          "clock-skew",
          ahead + ": heartbeats and the completion point read wrong.",
          "Synchronise both clocks (NTP).");
    } else {
      out.info(
          SERVER,
          null,
          "clock-skew",
          String.format(
              Locale.ROOT,
              "Both clocks agree within %.2f s.",
              Math.max(0.01, Math.abs(skew) + best)));
    }
  }

  private static double clock(Probe p) throws SQLException {
    return Double.parseDouble(p.value("select extract(epoch from clock_timestamp())"));
  }

  private void encodings() throws SQLException {
    String s = source.setting("server_encoding");
    String t = target.setting("server_encoding");
    if (!s.equals(t)) {
      out.add(
          t.equals("UTF8") && !s.equals("SQL_ASCII") ? Severity.WARN : Severity.BLOCK,
          SERVER,
          null,
          "encoding",
          "The source's encoding is "
              + s
              + ", the target's "
              + t
              + ": "
              + (t.equals("UTF8") && !s.equals("SQL_ASCII")
                  ? "texts take another number of bytes there."
                  : "texts of the source may not exist there."),
          "Create the target database with ENCODING '"
              + (s.equals("SQL_ASCII") ? "SQL_ASCII" : "UTF8")
              + "' (TEMPLATE template0).",
          List.of());
    }
    String cs = locale(source);
    String ct = locale(target);
    if (!cs.equals(ct)) {
      out.warn(
          SERVER,
          null,
          "collation",
          "Text sorts by "
              + cs
              + " on the source and by "
              + ct
              + " on the target: ORDER BY, ranges of text and unique rules of upper and lower case may differ after the cutover.",
          "Create the target database with the source's locale (TEMPLATE template0), or accept the other order.");
    }
    List<String> missing =
        source
            .column(
                "select distinct cn.nspname || '.' || l.collname from pg_attribute a join pg_class c on c.oid = a.attrelid"
                    + " join pg_namespace n on n.oid = c.relnamespace join pg_collation l on l.oid = a.attcollation"
                    + " join pg_namespace cn on cn.oid = l.collnamespace"
                    + " where c.relkind in ('r', 'p', 'm') and not a.attisdropped and cn.nspname = 'pg_catalog' and "
                    + Probe.USERS
                    + " order by 1")
            .stream()
            .toList();
    List<String> there =
        target.column(
            "select n.nspname || '.' || l.collname from pg_collation l join pg_namespace n on n.oid = l.collnamespace"
                + " where l.collencoding in (-1, (select encoding from pg_database where datname = current_database()))");
    missing = missing.stream().filter(c -> !there.contains(c)).toList();
    if (!missing.isEmpty()) {
      out.add(
          Severity.BLOCK,
          SERVER,
          Side.TARGET,
          "collation-missing",
          "Columns of the source use collations that the target's server does not have.",
          "Install the locales there and run pg_import_system_collations, or create collations of these names.",
          missing);
    }
  }

  /** Provider, locale and version of the database's collation. */
  private static String locale(Probe p) throws SQLException {
    String name =
        p.version() >= 170000
            ? "coalesce(datlocale, datcollate)"
            : p.version() >= 150000 ? "coalesce(daticulocale, datcollate)" : "datcollate::text";
    String provider =
        p.version() >= 150000
            ? "case datlocprovider when 'i' then 'ICU' when 'b' then 'builtin' else 'libc' end"
            : "'libc'";
    String version =
        p.version() >= 150000
            ? "coalesce(' ' || nullif(pg_database_collation_actual_version(oid), ''), '')"
            : "''";
    return p.value(
        "select "
            + name
            + " || ' (' || "
            + provider
            + " || "
            + version
            + " || ')' || case when datctype <> datcollate then ', ctype ' || datctype else '' end"
            + " from pg_database where datname = current_database()");
  }

  private void collationVersions(Probe p) throws SQLException {
    List<String> changed =
        p.column(
            "select 'database ' || datname from pg_database where datname = current_database() and datcollversion is not null"
                + " and datcollversion is distinct from pg_database_collation_actual_version(oid)"
                + " union all select 'collation ' || n.nspname || '.' || l.collname from pg_collation l join pg_namespace n on n.oid = l.collnamespace"
                + " where l.collversion is not null and l.collencoding in (-1, (select encoding from pg_database where datname = current_database()))"
                + " and exists (select from pg_attribute a where a.attcollation = l.oid and a.attrelid >= 16384)"
                + " and l.collversion is distinct from pg_collation_actual_version(l.oid)");
    if (!changed.isEmpty()) {
      out.add(
          Severity.WARN,
          SERVER,
          p.side(),
          "collation-version",
          "The library that sorts text has another version than when indexes were built: indexes on text may be wrong, and a copy that reads by them too.",
          "REINDEX what uses them, then ALTER DATABASE (or COLLATION) … REFRESH VERSION.",
          changed);
    }
  }
}
