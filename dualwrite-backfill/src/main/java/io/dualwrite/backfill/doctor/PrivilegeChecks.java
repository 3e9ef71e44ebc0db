package io.dualwrite.backfill.doctor;

import static io.dualwrite.backfill.doctor.Finding.Topic.PRIVILEGES;

import io.dualwrite.backfill.StageCheck;
import io.dualwrite.backfill.doctor.Finding.Severity;
import io.dualwrite.catalog.Table;
import io.dualwrite.control.Side;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** What the roles may do. */
final class PrivilegeChecks {

  private final Probe source;
  private final Probe target;
  private final Findings out;
  private final Set<String> scope = new HashSet<>();

  PrivilegeChecks(Probe source, Probe target, StageCheck stage, Findings out) {
    this.source = source;
    this.target = target;
    this.out = out;
    for (Table t : stage.tables()) {
      scope.add(t.name().toString());
    }
  }

  private static final String CONTROL_TABLES =
      "GRANT ALL ON ALL TABLES IN SCHEMA dualwrite TO the role, and as the role that runs the commands: ALTER DEFAULT PRIVILEGES IN SCHEMA dualwrite GRANT ALL ON TABLES TO it.";

  void run() {
    out.step(PRIVILEGES, Side.SOURCE, "privileges on tables", () -> tables(source));
    out.step(PRIVILEGES, Side.TARGET, "privileges on tables", () -> tables(target));
    out.step(PRIVILEGES, Side.SOURCE, "privileges on sequences", () -> sequences(source));
    out.step(PRIVILEGES, Side.TARGET, "privileges on sequences", () -> sequences(target));
    for (Probe p : List.of(source, target)) {
      out.step(PRIVILEGES, p.side(), "the schema dualwrite", () -> control(p));
      out.step(PRIVILEGES, p.side(), "row security", () -> rowSecurity(p));
      out.step(PRIVILEGES, p.side(), "what the role sees of others", () -> sight(p));
    }
  }

  private void tables(Probe p) throws SQLException {
    List<String> unreadable = new ArrayList<>();
    List<String> unwritable = new ArrayList<>();
    List<String> foreign = new ArrayList<>();
    for (List<String> r :
        p.rows(
            "select n.nspname || '.' || c.relname, coalesce(rn.nspname || '.' || rc.relname, n.nspname || '.' || c.relname),"
                + " has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT'),"
                + " concat_ws(', ', case when not has_table_privilege(c.oid, 'INSERT') then 'INSERT' end,"
                + " case when not has_table_privilege(c.oid, 'UPDATE') then 'UPDATE' end,"
                + " case when not has_table_privilege(c.oid, 'DELETE') then 'DELETE' end),"
                + " pg_has_role(c.relowner, 'USAGE')"
                + " from pg_class c join pg_namespace n on n.oid = c.relnamespace"
                + " left join pg_class rc on c.relispartition and rc.oid = pg_partition_root(c.oid)"
                + " left join pg_namespace rn on rn.oid = rc.relnamespace"
                + " where c.relkind in ('r', 'p') and c.relpersistence <> 't' and "
                + Probe.USERS
                + " and "
                + Probe.ownObject("pg_class", "c.oid")
                + " order by 1")) {
      if (!scope.contains(r.get(1))) {
        continue;
      }
      if (r.get(2).equals("f")) {
        unreadable.add(r.get(0));
      }
      if (!r.get(3).isEmpty()) {
        unwritable.add(r.get(0) + " (" + r.get(3) + ")");
      }
      if (p == target && r.get(4).equals("f")) {
        foreign.add(r.get(0));
      }
    }
    if (!unreadable.isEmpty()) {
      out.add(
          Severity.BLOCK,
          PRIVILEGES,
          p.side(),
          "no-select",
          "The role may not read "
              + Findings.count(unreadable.size(), "table")
              + ": rows are read back after writing, copied and compared.",
          "GRANT USAGE ON SCHEMA … and SELECT ON ALL TABLES IN SCHEMA … TO the role.",
          unreadable);
    }
    if (!unwritable.isEmpty()) {
      out.add(
          p == target ? Severity.BLOCK : Severity.WARN,
          PRIVILEGES,
          p.side(),
          "no-write",
          "The role may not write "
              + Findings.count(unwritable.size(), "table")
              + (p == target
                  ? ": what the application writes could not be mirrored."
                  : "; the application's role has to, and so has the mirror's after a cutover."),
          p == target
              ? "GRANT INSERT, UPDATE, DELETE ON … TO the role."
              : "Nothing, if the application has a role of its own.",
          unwritable);
    }
    if (!foreign.isEmpty()) {
      out.add(
          Severity.WARN,
          PRIVILEGES,
          p.side(),
          "not-owner",
          "The role does not own "
              + Findings.count(foreign.size(), "table")
              + ": it may not switch triggers off there, nor mirror DDL.",
          "ALTER TABLE … OWNER TO the role, or GRANT the owner's role to it.",
          foreign);
    }
  }

  private void sequences(Probe p) throws SQLException {
    String right = p == source ? "SELECT" : "UPDATE";
    List<String> not =
        p.column(
            "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'S' and "
                + Probe.USERS
                // a CASE, as conditions are tried in any order and the function throws for a table
                + " and case when c.relkind = 'S' then not has_sequence_privilege(c.oid, '"
                + right
                + "') end and "
                + Probe.ownObject("pg_class", "c.oid")
                + " order by 1");
    if (!not.isEmpty()) {
      out.add(
          Severity.WARN,
          PRIVILEGES,
          p.side(),
          "sequence-privilege",
          "The cutover "
              + (p == source ? "reads the source's sequences" : "sets the target's sequences")
              + ", and the role may not ("
              + right
              + ").",
          "GRANT " + right + " ON ALL SEQUENCES IN SCHEMA … TO the role before the cutover.",
          not);
    }
  }

  private void control(Probe p) throws SQLException {
    boolean exists = p.is("exists (select from pg_namespace where nspname = 'dualwrite')");
    if (exists
        ? p.is("has_schema_privilege('dualwrite', 'CREATE')")
        : p.is("has_database_privilege(current_database(), 'CREATE')")) {
      if (exists) {
        controlTables(p);
      }
      return;
    }
    String right =
        exists
            ? "GRANT USAGE, CREATE ON SCHEMA dualwrite TO the role. " + CONTROL_TABLES
            : "GRANT CREATE ON DATABASE … TO the role, or create a schema dualwrite that it owns.";
    if (p == target) {
      out.block(
          PRIVILEGES,
          Side.TARGET,
          "control-schema",
          "Tasks, markers and the phase live in the target's schema dualwrite, and the role may not create "
              + (exists ? "tables in it." : "it."),
          right);
    } else {
      out.warn(
          PRIVILEGES,
          Side.SOURCE,
          "control-schema",
          "After a cutover the source is the mirror and gets a schema dualwrite for its markers; the role may not create it.",
          right + " In time for the cutover.");
    }
  }

  /** Those that another role made: {@code schema migrate} and {@code stage} create some. */
  private void controlTables(Probe p) throws SQLException {
    List<String> not =
        p.column(
            "select 'dualwrite.' || c.relname from pg_class c where c.relnamespace = 'dualwrite'::regnamespace and c.relkind = 'r'"
                + " and not (has_schema_privilege('dualwrite', 'USAGE') and has_table_privilege(c.oid, 'SELECT') and has_table_privilege(c.oid, 'INSERT')"
                + " and has_table_privilege(c.oid, 'UPDATE') and has_table_privilege(c.oid, 'DELETE')) order by 1");
    if (!not.isEmpty()) {
      out.add(
          p == target ? Severity.BLOCK : Severity.WARN,
          PRIVILEGES,
          p.side(),
          "control-tables",
          "Another role created tables of the schema dualwrite, and this one may not use them: nothing is mirrored, and the cutover is refused.",
          CONTROL_TABLES,
          not);
    }
  }

  private void rowSecurity(Probe p) throws SQLException {
    List<String> active =
        p.column(
            "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
                + " where c.relkind in ('r', 'p') and c.relrowsecurity and row_security_active(c.oid) and "
                + Probe.USERS
                + " order by 1");
    if (!active.isEmpty()) {
      out.add(
          Severity.BLOCK,
          PRIVILEGES,
          p.side(),
          "row-security",
          "Row security limits what the role sees of "
              + Findings.count(active.size(), "table")
              + ": a copy would lack rows, so it is refused.",
          "Use the tables' owner, or a role with BYPASSRLS.",
          active);
    }
  }

  private void sight(Probe p) throws SQLException {
    if (!p.is("pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')")) {
      out.warn(
          PRIVILEGES,
          p.side(),
          "no-stats",
          "The role does not see what sessions of other roles do: long transactions and writers that bypass dualwrite cannot be named.",
          "GRANT pg_read_all_stats (or pg_monitor) TO the role.");
    }
  }
}
