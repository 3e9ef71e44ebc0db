package io.dualwrite.backfill.doctor;

import static io.dualwrite.backfill.doctor.Finding.Topic.OBJECTS;

import io.dualwrite.backfill.StageCheck;
import io.dualwrite.backfill.doctor.Finding.Severity;
import io.dualwrite.catalog.Table;
import io.dualwrite.control.Side;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/** What there is in the source that is moved otherwise than one might think, or not at all. */
final class ObjectChecks {

  private final Probe source;
  private final Probe target;
  private final StageCheck stage;
  private final Findings out;

  ObjectChecks(Probe source, Probe target, StageCheck stage, Findings out) {
    this.source = source;
    this.target = target;
    this.stage = stage;
    this.out = out;
  }

  void run() {
    tables();
    out.step(OBJECTS, Side.SOURCE, "unlogged tables", this::unlogged);
    out.step(
        OBJECTS,
        Side.SOURCE,
        "foreign tables",
        () ->
            list(
                source,
                Severity.WARN,
                "foreign-tables",
                "Foreign tables are neither copied nor mirrored; their rows live elsewhere.",
                "Let the target reach that server too. Servers and user mappings come over with the schema, with the passwords that the role which dumps it may read.",
                relations("f")));
    out.step(
        OBJECTS,
        Side.SOURCE,
        "materialized views",
        () ->
            list(
                source,
                Severity.INFO,
                "materialized-views",
                "Materialized views are not copied: REFRESH MATERIALIZED VIEW fills them on the target before the cutover.",
                "",
                relations("m")));
    out.step(OBJECTS, Side.SOURCE, "large objects", this::largeObjects);
    out.step(
        OBJECTS,
        Side.SOURCE,
        "tablespaces",
        () ->
            list(
                source,
                Severity.INFO,
                "tablespaces",
                "Some of the source's tables and indexes lie in tablespaces; 'dualwrite schema migrate' puts everything into the target's default one.",
                "",
                "select t.spcname || ' (' || count(*) || ')' from pg_class c join pg_namespace n on n.oid = c.relnamespace"
                    + " join pg_tablespace t on t.oid = c.reltablespace where c.relkind in ('r', 'p', 'i', 'I', 'm') and "
                    + Probe.USERS
                    + " group by t.spcname order by 1"));
    out.step(
        OBJECTS,
        Side.SOURCE,
        "constraints that are not validated",
        () ->
            list(
                source,
                Severity.WARN,
                "not-valid",
                "Constraints are NOT VALID on the source: older rows may violate them, and the target, where every copied row is new, would refuse those.",
                "ALTER TABLE … VALIDATE CONSTRAINT on the source, or drop them on the target until the copy is done.",
                "select n.nspname || '.' || c.relname || ': ' || k.conname from pg_constraint k join pg_class c on c.oid = k.conrelid"
                    + " join pg_namespace n on n.oid = c.relnamespace where not k.convalidated and k.contype in ('c', 'f', 'n')"
                    // one that is NOT ENFORCED (from 18 on) refuses nothing
                    + " and coalesce(to_jsonb(k) ->> 'conenforced', 'true') = 'true' and "
                    + Probe.USERS
                    + " order by 1"));
    out.step(
        OBJECTS,
        Side.SOURCE,
        "publications",
        () ->
            list(
                source,
                Severity.WARN,
                "publications",
                "Somebody may follow the source by logical replication; after the cutover those changes are made on the target first.",
                "Plan where its subscribers go: CREATE PUBLICATION on the target, new subscriptions.",
                "select pubname from pg_publication order by 1"));
    for (Probe p : List.of(source, target)) {
      out.step(
          OBJECTS,
          p.side(),
          "indexes that are not valid",
          () ->
              list(
                  p,
                  Severity.WARN,
                  "invalid-indexes",
                  "Indexes are invalid, as a CREATE INDEX CONCURRENTLY that failed leaves them: they serve no query, and a unique one proves nothing.",
                  "REINDEX INDEX CONCURRENTLY, or DROP INDEX.",
                  "select i.indexrelid::regclass::text from pg_index i join pg_class c on c.oid = i.indrelid"
                      + " join pg_namespace n on n.oid = c.relnamespace where not i.indisvalid and c.relkind in ('r', 'm') and "
                      + Probe.USERS
                      + " order by 1"));
      out.step(
          OBJECTS,
          p.side(),
          "event triggers",
          () ->
              list(
                  p,
                  p == target ? Severity.WARN : Severity.INFO,
                  "event-triggers",
                  "Event triggers are enabled"
                      + (p == target
                          ? "; they fire when dualwrite creates its schema, and for DDL of a restore."
                          : "; what they write is mirrored. The target's schema is made without them: CREATE EVENT TRIGGER there after the cutover."),
                  p == target ? "ALTER EVENT TRIGGER … DISABLE for the time of the move." : "",
                  "select evtname from pg_event_trigger t where evtenabled in ('O', 'A') and "
                      + Probe.ownObject("pg_event_trigger", "t.oid")
                      + " order by 1"));
    }
    out.step(OBJECTS, Side.TARGET, "rows on the target", this::rowsThere);
  }

  private void tables() {
    if (!stage.refused().isEmpty()) {
      out.add(
          Severity.BLOCK,
          OBJECTS,
          Side.SOURCE,
          "not-copied",
          "'dualwrite stage' refuses " + Findings.count(stage.refused().size(), "table") + ".",
          "Leave them out with --filter (here and for stage) and move them by other means.",
          stage.refused());
    }
    List<Table> tables = stage.tables();
    if (tables.isEmpty()) {
      out.warn(
          OBJECTS,
          Side.SOURCE,
          "nothing",
          "There is no table to move that this role can see.",
          "Check --source and --filter.");
    } else {
      long partitioned = tables.stream().filter(t -> t.kind() == Table.Kind.PARTITIONED).count();
      out.info(
          OBJECTS,
          Side.SOURCE,
          "tables",
          Findings.count(tables.size(), "table")
              + " to move"
              + (partitioned == 0 ? "." : ", " + partitioned + " of them partitioned."));
    }
    names(
        tables.stream().filter(t -> !t.keyed()).toList(),
        "keyless",
        " no primary key and no usable unique index: rows cannot be told apart. INSERT is mirrored; UPDATE and DELETE make the table a suspect that has to be copied again (dualwrite.policy.keyless).",
        "Add a primary key where rows are updated or deleted.");
    List<String> triggers =
        tables.stream()
            .filter(t -> !t.userTriggers().isEmpty())
            .map(t -> t.name() + " (" + String.join(", ", t.userTriggers()) + ")")
            .toList();
    if (!triggers.isEmpty()) {
      out.add(
          Severity.WARN,
          OBJECTS,
          Side.SOURCE,
          "triggers",
          have(triggers)
              + " triggers. What those write is not in the statement and is read back, which costs (dualwrite.policy.relation); what they do outside the database is not mirrored.",
          "Look at them. On the target they stay disabled until it is the primary ('dualwrite triggers disable').",
          triggers);
    }
    names(
        tables.stream().filter(Table::rules).toList(),
        "rules",
        " rewrite rules: what they write is read back, which costs (dualwrite.policy.relation); on the target they must not be there.",
        "Drop the rules on the target until the cutover, or replace them for good.");
  }

  private void names(List<Table> tables, String code, String meaning, String action) {
    if (!tables.isEmpty()) {
      out.add(
          Severity.WARN,
          OBJECTS,
          Side.SOURCE,
          code,
          have(tables) + meaning,
          action,
          tables.stream().map(t -> t.name().toString()).toList());
    }
  }

  private static String have(Collection<?> tables) {
    return Findings.count(tables.size(), "table") + (tables.size() == 1 ? " has" : " have");
  }

  private static String relations(String kind) {
    return "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = '"
        + kind
        + "' and "
        + Probe.USERS
        + " and "
        + Probe.ownObject("pg_class", "c.oid")
        + " order by 1";
  }

  private void list(
      Probe p, Severity severity, String code, String meaning, String action, String sql)
      throws SQLException {
    List<String> found = p.column(sql);
    if (!found.isEmpty()) {
      out.add(severity, OBJECTS, p.side(), code, meaning, action, found);
    }
  }

  private void unlogged() throws SQLException {
    Set<String> scope =
        stage.tables().stream().map(t -> t.name().toString()).collect(Collectors.toSet());
    List<String> found =
        new ArrayList<>(
            source.column(
                "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
                    + " where c.relkind = 'r' and c.relpersistence = 'u' order by 1"));
    found.retainAll(new HashSet<>(scope));
    if (!found.isEmpty()) {
      out.add(
          Severity.WARN,
          OBJECTS,
          Side.SOURCE,
          "unlogged",
          "Unlogged tables are emptied by a crash of their server, each side on its own: then the other side's rows are no longer wanted or no longer there.",
          "Make them LOGGED on the target, or leave them out with --filter if they are only caches.",
          found);
    }
  }

  private void largeObjects() throws SQLException {
    int n = Integer.parseInt(source.value("select count(*) from pg_largeobject_metadata"));
    if (n > 0) {
      out.block(
          OBJECTS,
          Side.SOURCE,
          "large-objects",
          Findings.count(n, "large object")
              + (n == 1 ? " exists" : " exist")
              + "; large objects are neither copied nor mirrored.",
          "Move them into bytea columns, or move them by other means while nobody changes them, and say so with --accept large-objects.");
    }
  }

  private void rowsThere() throws SQLException {
    List<String> there = new ArrayList<>();
    for (Table t : stage.tables()) {
      if (!stage.missing().contains(t.name())
          && target.is(
              "has_table_privilege("
                  + literal(t.name().sql())
                  + ", 'SELECT') and has_schema_privilege("
                  + literal(t.name().schema())
                  + ", 'USAGE')")
          && target.is("exists (select from " + t.name().sql() + ")")) {
        there.add(t.name().toString());
      }
    }
    if (!there.isEmpty() && !dualWriteBegan()) {
      out.add(
          Severity.WARN,
          OBJECTS,
          Side.TARGET,
          "not-empty",
          Findings.count(there.size(), "table")
              + (there.size() == 1 ? " of the target has" : " of the target have")
              + " rows already, and no writer ever dual-wrote here. Rows that differ are made equal; rows that only the target has are found by verify.",
          "TRUNCATE them if nobody needs these rows.",
          there);
    }
  }

  private boolean dualWriteBegan() throws SQLException {
    return target.exists("dualwrite.writer")
        && target.is("has_schema_privilege('dualwrite', 'USAGE')")
        && target.is("has_table_privilege('dualwrite.writer', 'SELECT')")
        && target.is("exists (select from dualwrite.writer where isfinite(started))");
  }

  static String literal(String value) {
    return "'" + value.replace("'", "''") + "'";
  }
}
