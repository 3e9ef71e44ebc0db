package io.dualwrite.backfill.doctor;

import static io.dualwrite.backfill.doctor.Finding.Topic.SCHEMA;

import io.dualwrite.backfill.StageCheck;
import io.dualwrite.backfill.doctor.Finding.Severity;
import io.dualwrite.catalog.Table;
import io.dualwrite.control.Side;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** Where the schemas of both sides differ. */
final class SchemaChecks {

  private final Probe source;
  private final Probe target;
  private final StageCheck stage;
  private final Findings out;

  /** The tables that both have; only these are compared in detail. */
  private final Set<String> both = new HashSet<>();

  SchemaChecks(Probe source, Probe target, StageCheck stage, Findings out) {
    this.source = source;
    this.target = target;
    this.stage = stage;
    this.out = out;
    for (Table t : stage.tables()) {
      if (!stage.missing().contains(t.name())) {
        both.add(t.name().toString());
      }
    }
  }

  void run() {
    boolean empty = both.isEmpty() && !stage.tables().isEmpty();
    out.step(SCHEMA, null, "extensions", () -> extensions(empty));
    out.step(SCHEMA, null, "roles", this::roles);
    if (empty) {
      out.info(
          SCHEMA,
          Side.TARGET,
          "empty",
          "The target has none of the source's tables yet: 'dualwrite schema migrate' brings the schema over.");
      return;
    }
    tables();
    out.step(SCHEMA, null, "columns", this::columns);
    out.step(SCHEMA, null, "constraints", this::constraints);
    out.step(SCHEMA, null, "indexes", this::indexes);
    out.step(SCHEMA, null, "sequences", this::sequences);
    out.step(SCHEMA, null, "views and routines", this::others);
  }

  private void add(
      Severity severity,
      Side side,
      String code,
      String meaning,
      String action,
      Collection<String> objects) {
    if (!objects.isEmpty()) {
      out.add(severity, SCHEMA, side, code, meaning, action, objects);
    }
  }

  private void extensions(boolean empty) throws SQLException {
    String installed =
        "select extname, extversion || ' in ' || n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace";
    Map<String, String> s = source.map(installed);
    Map<String, String> t = target.map(installed);
    Map<String, String> available =
        target.map("select name, default_version from pg_available_extensions");
    List<String> impossible = new ArrayList<>();
    List<String> missing = new ArrayList<>();
    List<String> other = new ArrayList<>();
    s.forEach(
        (name, v) -> {
          if (!t.containsKey(name)) {
            (available.containsKey(name) ? missing : impossible).add(name + " " + v);
          } else if (!t.get(name).equals(v) && !name.equals("timescaledb")) {
            other.add(name + ": " + v + " / " + t.get(name));
          }
        });
    add(
        Severity.BLOCK,
        Side.TARGET,
        "extension-unavailable",
        "The target's server does not offer extensions that the source uses.",
        "Install them on that server, or do without them on the source.",
        impossible);
    add(
        empty ? Severity.INFO : Severity.WARN,
        Side.TARGET,
        "extension-missing",
        "Extensions of the source are not created on the target"
            + (empty ? " yet; 'dualwrite schema migrate' does it." : "."),
        empty ? "" : "CREATE EXTENSION … WITH SCHEMA …, as on the source.",
        missing);
    add(
        Severity.WARN,
        null,
        "extension-version",
        "Extensions differ in version or schema (source / target).",
        "ALTER EXTENSION … UPDATE where the target's is older; a name in another schema is not found by SQL that qualifies it.",
        other);
    if (!s.isEmpty() && impossible.isEmpty() && missing.isEmpty() && other.isEmpty()) {
      out.info(
          SCHEMA,
          null,
          "extensions",
          "The target has the source's extensions: " + String.join(", ", s.keySet()) + ".");
    }
  }

  private void roles() throws SQLException {
    List<String> used =
        new ArrayList<>(
            source.column(
                "select r.rolname from pg_roles r where r.oid >= 16384 and exists (select from pg_shdepend d"
                    + " where d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid"
                    + " and d.dbid = (select oid from pg_database where datname = current_database())) order by 1"));
    used.removeAll(target.column("select rolname from pg_roles"));
    add(
        Severity.INFO,
        Side.TARGET,
        "roles",
        "Roles that own something or have privileges in the source's database do not exist on the target; 'dualwrite schema migrate' creates them.",
        "",
        used);
  }

  private void tables() {
    add(
        Severity.BLOCK,
        Side.TARGET,
        "table-missing",
        "The target has some of the source's tables and lacks others.",
        "Create them ('dualwrite schema migrate --sql-only' shows how), or leave them out with --filter.",
        stage.missing().stream().map(Object::toString).toList());
    List<String> problems = new ArrayList<>();
    stage.problems().forEach((table, all) -> problems.add(table + ": " + String.join("; ", all)));
    add(
        Severity.BLOCK,
        Side.TARGET,
        "table-differs",
        "Tables of the target could not take the source's rows; stage refuses them.",
        "Change the target's tables.",
        problems);
    List<String> triggers = new ArrayList<>();
    stage
        .triggers()
        .forEach((table, names) -> triggers.add(table + " (" + String.join(", ", names) + ")"));
    add(
        Severity.BLOCK,
        Side.TARGET,
        "target-triggers",
        "Triggers are enabled on the target; they would fire a second time for every row that is mirrored or copied.",
        "'dualwrite triggers disable' notes which were enabled and disables them.",
        triggers);
  }

  /** Entries of the tables that both have, by their first column. */
  private Map<String, List<String>> of(Probe p, String sql) throws SQLException {
    Map<String, List<String>> result = new TreeMap<>();
    for (List<String> r : p.rows(sql)) {
      if (both.contains(r.get(0))) {
        result.put(r.get(0) + "." + r.get(1), r);
      }
    }
    return result;
  }

  private void columns() throws SQLException {
    String sql =
        "select n.nspname || '.' || c.relname, a.attname, coalesce(pg_get_expr(d.adbin, d.adrelid), ''), a.attnotnull,"
            + " a.attidentity, coalesce(l.collname, '') from pg_attribute a join pg_class c on c.oid = a.attrelid"
            + " join pg_namespace n on n.oid = c.relnamespace left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum"
            + " left join pg_collation l on l.oid = a.attcollation where c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped and "
            + Probe.USERS;
    Map<String, List<String>> s = of(source, sql);
    Map<String, List<String>> t = of(target, sql);
    List<String> defaults = new ArrayList<>();
    List<String> strict = new ArrayList<>();
    List<String> loose = new ArrayList<>();
    List<String> collations = new ArrayList<>();
    s.forEach(
        (name, a) -> {
          List<String> b = t.get(name);
          if (b == null) {
            return; // stage's check says it
          }
          if (!a.get(2).equals(b.get(2)) || !a.get(4).equals(b.get(4))) {
            defaults.add(name + ": " + made(a) + " / " + made(b));
          }
          if (!a.get(3).equals(b.get(3))) {
            (a.get(3).equals("f") ? strict : loose).add(name);
          }
          if (!a.get(5).equals(b.get(5))) {
            collations.add(name + ": " + a.get(5) + " / " + b.get(5));
          }
        });
    add(
        Severity.WARN,
        null,
        "defaults",
        "Defaults or identities differ (source / target). Values made by the source are shipped, so it matters from the cutover on.",
        "ALTER TABLE … ALTER COLUMN … SET DEFAULT on the target.",
        defaults);
    add(
        Severity.BLOCK,
        Side.TARGET,
        "not-null",
        "Columns are NOT NULL on the target only: rows with NULL there would be refused.",
        "ALTER TABLE … ALTER COLUMN … DROP NOT NULL on the target, or SET it on the source.",
        strict);
    add(
        Severity.WARN,
        Side.TARGET,
        "nullable",
        "Columns are NOT NULL on the source and may be NULL on the target.",
        "ALTER TABLE … ALTER COLUMN … SET NOT NULL on the target before the cutover.",
        loose);
    add(
        Severity.WARN,
        null,
        "column-collation",
        "Columns have other collations (source / target): order and, if nondeterministic, equality differ.",
        "ALTER TABLE … ALTER COLUMN … TYPE … COLLATE … on the target.",
        collations);
  }

  private static String made(List<String> column) {
    return switch (column.get(4)) {
      case "a" -> "identity always";
      case "d" -> "identity by default";
      default -> column.get(2).isEmpty() ? "none" : column.get(2);
    };
  }

  private void constraints() throws SQLException {
    String sql =
        "select n.nspname || '.' || c.relname, k.contype::text || ' ' || replace(pg_get_constraintdef(k.oid), ' NOT VALID', '')"
            + " from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace"
            + " where k.contype in ('c', 'f', 'u', 'x') and k.conparentid = 0 and "
            + Probe.USERS;
    Map<String, List<String>> s = of(source, sql);
    Map<String, List<String>> t = of(target, sql);
    List<String> stricter = new ArrayList<>();
    List<String> checks = new ArrayList<>();
    List<String> lacking = new ArrayList<>();
    t.forEach(
        (key, r) -> {
          if (!s.containsKey(key)) {
            (r.get(1).startsWith("c") ? checks : stricter)
                .add(r.get(0) + ": " + r.get(1).substring(2));
          }
        });
    s.forEach(
        (key, r) -> {
          if (!t.containsKey(key)) {
            lacking.add(r.get(0) + ": " + r.get(1).substring(2));
          }
        });
    add(
        Severity.BLOCK,
        Side.TARGET,
        "stricter",
        "The target has constraints that the source lacks: rows that the source takes would be refused.",
        "Drop them on the target until the cutover, or add them to the source.",
        stricter);
    add(
        Severity.WARN,
        Side.TARGET,
        "checks-differ",
        "CHECK constraints of the target are not the source's, or read otherwise in its version.",
        "Compare them; a stricter one refuses rows that the source takes.",
        checks);
    add(
        Severity.WARN,
        Side.TARGET,
        "constraint-missing",
        "The target lacks constraints of the source.",
        "Add them before the cutover.",
        lacking);
  }

  private void indexes() throws SQLException {
    String sql =
        "select n.nspname || '.' || c.relname, i.indisunique || substring(pg_get_indexdef(i.indexrelid) from ' USING .*')"
            + " from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace"
            + " where i.indisvalid and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x')) and "
            + Probe.USERS;
    Map<String, List<String>> s = of(source, sql);
    Map<String, List<String>> t = of(target, sql);
    List<String> lacking = new ArrayList<>();
    List<String> unique = new ArrayList<>();
    s.forEach(
        (key, r) -> {
          if (!t.containsKey(key)) {
            lacking.add(r.get(0) + ":" + definition(r.get(1)));
          }
        });
    t.forEach(
        (key, r) -> {
          if (!s.containsKey(key) && r.get(1).startsWith("true")) {
            unique.add(r.get(0) + ":" + definition(r.get(1)));
          }
        });
    add(
        Severity.BLOCK,
        Side.TARGET,
        "stricter-index",
        "The target has unique indexes that the source lacks: rows that the source takes would be refused.",
        "Drop them on the target until the cutover, or add them to the source.",
        unique);
    add(
        Severity.WARN,
        Side.TARGET,
        "index-missing",
        "The target lacks indexes of the source: queries, and foreign keys, would be slow there.",
        "Create them; after the copy if that is to be fast, before the cutover at the latest.",
        lacking);
  }

  private static String definition(String text) {
    return (text.startsWith("true") ? " unique" : "") + text.substring(text.indexOf(' '));
  }

  private void sequences() throws SQLException {
    String sql =
        "select schemaname || '.' || sequencename, data_type || ', increment ' || increment_by || ', ' || min_value || ' to ' || max_value"
            + " || case when cycle then ', cycles' else '' end from pg_sequences n where schemaname !~ '^(_timescaledb_|timescaledb_|dualwrite$)'";
    Map<String, String> s = source.map(sql);
    Map<String, String> t = target.map(sql);
    List<String> missing = new ArrayList<>();
    List<String> other = new ArrayList<>();
    s.forEach(
        (name, definition) -> {
          if (!t.containsKey(name)) {
            missing.add(name);
          } else if (!t.get(name).equals(definition)) {
            other.add(name + ": " + definition + " / " + t.get(name));
          }
        });
    add(
        Severity.BLOCK,
        Side.TARGET,
        "sequence-missing",
        "The target lacks sequences of the source; the cutover, which sets them past the source's, would refuse.",
        "CREATE SEQUENCE them on the target.",
        missing);
    add(
        Severity.WARN,
        null,
        "sequence-differs",
        "Sequences are defined otherwise (source / target).",
        "ALTER SEQUENCE on the target.",
        other);
    if (!s.isEmpty() && missing.isEmpty()) {
      out.info(
          SCHEMA,
          null,
          "sequences",
          "The target has the source's "
              + Findings.count(s.size(), "sequence")
              + "; the cutover sets "
              + (s.size() == 1 ? "it" : "them")
              + " past the source's values.");
    }
  }

  private void others() throws SQLException {
    String sql =
        "select case c.relkind when 'm' then 'materialized view ' else 'view ' end || n.nspname || '.' || c.relname"
            + " from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('v', 'm') and "
            + Probe.USERS
            + " and "
            + Probe.ownObject("pg_class", "c.oid")
            + " union all select case p.prokind when 'p' then 'procedure ' when 'a' then 'aggregate ' else 'function ' end || n.nspname || '.' || p.proname || '('"
            + " || pg_get_function_identity_arguments(p.oid) || ')' from pg_proc p join pg_namespace n on n.oid = p.pronamespace where "
            + Probe.USERS
            + " and "
            + Probe.ownObject("pg_proc", "p.oid")
            + " order by 1";
    List<String> lacking = new ArrayList<>(source.column(sql));
    lacking.removeAll(new HashSet<>(target.column(sql)));
    add(
        Severity.WARN,
        Side.TARGET,
        "routine-missing",
        "The target lacks views, functions or procedures of the source.",
        "Create them before the cutover ('dualwrite schema migrate --sql-only' shows how).",
        lacking);
  }
}
