package io.dualwrite.converge;

import io.dualwrite.catalog.TableName;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Predicate;
import java.util.regex.Pattern;

/**
 * Rule 6: triggers (and rewrite rules) of the users' own never fire for mirrored writes, because
 * what they do on the primary travels as rows. They are off on the mirror, which remembers how each
 * was enabled, and on again as soon as it is primary. The server's own triggers, foreign keys among
 * them, stay on.
 *
 * <p>Those of hypertables are dropped there, and made again: TimescaleDB enables a hypertable's
 * disabled trigger in each new chunk (2.28), or disables none at all (up to 2.22). While they are
 * dropped, statements that travel as text find them all the same ({@link #restore}).
 */
public final class Triggers {

  private static final String OURS =
      " where c.relkind in ('r', 'p') and c.relpersistence <> 't'"
          + " and n.nspname not in ('dualwrite', 'information_schema') and n.nspname not like 'pg\\_%'"
          + " and n.nspname not like '\\_timescaledb\\_%'";

  private static final String HYPERTABLE =
      "exists (select from _timescaledb_catalog.hypertable h where (h.schema_name, h.table_name) = (n.nspname, c.relname))";

  /** What makes a trigger what it is. */
  private static final String DEFINITION =
      "pg_catalog.concat_ws(E';\\n', pg_catalog.pg_get_triggerdef(t.oid),"
          + " pg_catalog.format('comment on trigger %I on %I.%I is %L', t.tgname, n.nspname, c.relname, pg_catalog.obj_description(t.oid, 'pg_trigger')),"
          + " (select pg_catalog.string_agg(pg_catalog.format('alter trigger %I on %I.%I depends on extension %I', t.tgname, n.nspname, c.relname, e.extname), E';\\n')"
          + " from pg_catalog.pg_depend d join pg_catalog.pg_extension e on e.oid = d.refobjid where d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass"
          + " and d.objid = t.oid and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass and d.deptype = 'x'),"
          + " case s.enabled when 'O' then null else pg_catalog.format('alter table %I.%I %s trigger %I', n.nspname, c.relname,"
          + " case s.enabled when 'A' then 'enable always' when 'R' then 'enable replica' else 'disable' end, t.tgname) end)";

  /** $hypertable says whether it is one, $which which ones. */
  private static final String TRIGGERS =
      "select n.nspname, c.relname, t.tgname, s.enabled, case when $hypertable then "
          + DEFINITION
          + " end, pg_catalog.has_function_privilege(t.tgfoid, 'execute') and pg_catalog.has_schema_privilege(p.pronamespace, 'usage')"
          + " from pg_catalog.pg_trigger t join pg_catalog.pg_proc p on p.oid = t.tgfoid"
          + " join pg_catalog.pg_class c on c.oid = t.tgrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
          // a table may have become a hypertable since its triggers were disabled
          + " cross join lateral (select coalesce((select d.enabled from dualwrite.disabled_trigger d where $hypertable and t.tgenabled = 'D'"
          + " and (d.table_schema, d.table_name, d.trigger_name) = (n.nspname, c.relname, t.tgname)), t.tgenabled)) s(enabled)"
          + OURS
          + " and not t.tgisinternal and t.tgname not in ('ts_insert_blocker', 'ts_cagg_invalidation_trigger')"
          + " and ($hypertable or t.tgenabled in ('O', 'A') and $which)";

  private static final String RULES =
      " union all select n.nspname, c.relname, 'rule:' || t.rulename, t.ev_enabled, null, true from pg_catalog.pg_rewrite t"
          + " join pg_catalog.pg_class c on c.oid = t.ev_class join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
          + OURS
          + " and t.ev_enabled in ('O', 'A') and $which";

  /** By what stays the same when they are renamed, or their tables and schemas are. */
  private static final String NAMED =
      "select x.id, n.nspname, c.relname, x.name, %s from (select 't' || t.oid, t.tgrelid, t.tgname::text"
          + " from pg_catalog.pg_trigger t where not t.tgisinternal union all select 'r' || r.oid, r.ev_class, 'rule:' || r.rulename"
          + " from pg_catalog.pg_rewrite r where r.rulename <> '_RETURN') x(id, relation, name)"
          + " join pg_catalog.pg_class c on c.oid = x.relation join pg_catalog.pg_namespace n on n.oid = c.relnamespace%s";

  /** What the texts begin with that no trigger that is there already could make fail or act. */
  private static final Pattern REGARDLESS =
      Pattern.compile(
          "\\s*(create|grant|revoke|refresh|reindex)\\b.*",
          Pattern.CASE_INSENSITIVE | Pattern.DOTALL);

  private static final Pattern SWITCHES =
      Pattern.compile(
          "\\b(en|dis)able\\b.*\\b(trigger|rule)\\b", Pattern.CASE_INSENSITIVE | Pattern.DOTALL);

  /**
   * One of them; the name of a rule has a prefix.
   *
   * @param definition how to make it again; null if it is switched off and not dropped
   */
  record Trigger(TableName table, String name, String enabled, String definition) {
    String alter(String how) {
      boolean rule = name.startsWith("rule:");
      return "alter table "
          + table.sql()
          + how
          + (rule
              ? "rule " + TableName.quote(name.substring(5))
              : "trigger " + TableName.quote(name));
    }
  }

  private Triggers() {}

  /** Switches off those that the connection's own transaction made or enabled. */
  static void disableNew(Connection mirror) throws SQLException {
    disable(mirror, new OwnXids(mirror).mineInCatalog("t.xmin"));
  }

  /**
   * Switches off every enabled trigger and remembers it, in the connection's transaction, whose
   * search path is pg_catalog from here on.
   *
   * @return how many there were
   * @throws SQLException if the role does not own a table that has one, among other things
   */
  public static int disableAll(Connection mirror) throws SQLException {
    return disable(mirror, "true");
  }

  private static int disable(Connection mirror, String which) throws SQLException {
    try (Statement s = mirror.createStatement()) {
      s.execute("set local search_path = pg_catalog"); // definitions name everything in full
    }
    String hypertable =
        is(mirror, "pg_catalog.to_regclass('_timescaledb_catalog.hypertable') is not null")
            ? HYPERTABLE
            : "false";
    List<Trigger> found =
        read(
            mirror, (TRIGGERS + RULES).replace("$hypertable", hypertable).replace("$which", which));
    for (Trigger t : found) {
      if (t.definition == null) {
        alter(mirror, t, " disable ");
      } else {
        drop(mirror, t);
      }
      note(mirror, t);
    }
    return found.size();
  }

  /**
   * Those that are noted as switched off, for {@link #renamed}; none if the statement that is to
   * run next gives no other names to anything.
   */
  static Map<String, Trigger> noted(Connection mirror, String text) throws SQLException {
    return REGARDLESS.matcher(text).matches()
        ? Map.of()
        : named(
            mirror,
            NAMED.formatted(
                "d.enabled",
                " join dualwrite.disabled_trigger d on (d.table_schema, d.table_name, d.trigger_name) = (n.nspname, c.relname, x.name)"));
  }

  /** The notes go along with what the statement gave another name to. */
  static void renamed(Connection mirror, Map<String, Trigger> noted) throws SQLException {
    if (noted.isEmpty()) {
      return;
    }
    Map<String, Trigger> now = named(mirror, NAMED.formatted("null", ""));
    List<Trigger> under = new ArrayList<>();
    for (Map.Entry<String, Trigger> e : noted.entrySet()) {
      Trigger before = e.getValue();
      Trigger t = now.get(e.getKey());
      if (t != null && !(t.table.equals(before.table) && t.name.equals(before.name))) {
        forget(mirror, before);
        under.add(new Trigger(t.table, t.name, before.enabled, null));
      }
    }
    for (Trigger t : under) { // names may have been exchanged
      note(mirror, t);
    }
  }

  private static Map<String, Trigger> named(Connection c, String sql) throws SQLException {
    Map<String, Trigger> result = new HashMap<>();
    try (Statement s = c.createStatement();
        ResultSet r = s.executeQuery(sql)) {
      while (r.next()) {
        TableName table = new TableName(r.getString(2), r.getString(3));
        result.put(r.getString(1), new Trigger(table, r.getString(4), r.getString(5), null));
      }
    }
    return result;
  }

  private static void forget(Connection mirror, Trigger t) throws SQLException {
    try (PreparedStatement s =
        mirror.prepareStatement(
            "delete from dualwrite.disabled_trigger where (table_schema, table_name, trigger_name) = (?, ?, ?)")) {
      s.setString(1, t.table.schema());
      s.setString(2, t.table.name());
      s.setString(3, t.name);
      s.execute();
    }
  }

  private static void drop(Connection mirror, Trigger t) throws SQLException {
    try (Statement s = mirror.createStatement()) {
      s.execute("drop trigger " + TableName.quote(t.name) + " on " + t.table.sql());
    }
    forget(mirror, t);
  }

  private static void note(Connection mirror, Trigger t) throws SQLException {
    boolean dropped = t.definition != null;
    try (PreparedStatement s =
        mirror.prepareStatement(
            "insert into dualwrite."
                + (dropped
                    ? "dropped_trigger values (?, ?, ?, ?::text::\"char\", ?)"
                    : "disabled_trigger values (?, ?, ?, ?::text::\"char\")")
                + " on conflict (table_schema, table_name, trigger_name) do update set enabled = excluded.enabled"
                + (dropped ? ", definition = excluded.definition" : ""))) {
      s.setString(1, t.table.schema());
      s.setString(2, t.table.name());
      s.setString(3, t.name);
      s.setString(4, t.enabled);
      if (dropped) {
        s.setString(5, t.definition);
      }
      s.executeUpdate();
    }
  }

  /**
   * Enables those that were switched off, as they were, and makes those again that were dropped, in
   * the connection's transaction, and forgets them. One that is gone is passed over.
   *
   * @return how many
   * @throws SQLException if the role does not own a table that has one, among other things
   */
  public static int enableAll(Connection side) throws SQLException {
    int n = restore(side);
    if (is(side, "pg_catalog.to_regclass('dualwrite.disabled_trigger') is null")) {
      return n;
    }
    n += enable(side, t -> true);
    try (Statement s = side.createStatement()) {
      s.execute("delete from dualwrite.disabled_trigger");
    }
    return n;
  }

  private static int enable(Connection side, Predicate<Trigger> which) throws SQLException {
    List<Trigger> found =
        read(
            side,
            "select d.table_schema, d.table_name, d.trigger_name, d.enabled, null, true from dualwrite.disabled_trigger d"
                + " join pg_catalog.pg_namespace n on n.nspname = d.table_schema"
                + " join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = d.table_name"
                + " where exists (select from pg_catalog.pg_trigger t where t.tgrelid = c.oid and t.tgname = d.trigger_name)"
                + " or exists (select from pg_catalog.pg_rewrite r where r.ev_class = c.oid and 'rule:' || r.rulename = d.trigger_name)");
    int n = 0;
    for (Trigger t : found) {
      if (which.test(t)) {
        alter(side, t, t.enabled.equals("A") ? " enable always " : " enable ");
        forget(side, t);
        n++;
      }
    }
    return n;
  }

  /**
   * Makes those again that were dropped, as they were, where the statement that is to run next may
   * be about them, or about what they need; and enables those of its tables that it may switch off
   * or on, as how they are to be from then on does not show on those that rest.
   *
   * @param text the statement
   */
  static void restoreFor(Connection mirror, String text) throws SQLException {
    if (!REGARDLESS.matcher(text).matches()) {
      restore(mirror);
      if (SWITCHES.matcher(text).find()) {
        String lower = text.toLowerCase(Locale.ROOT);
        enable(mirror, t -> lower.contains(t.table.name().toLowerCase(Locale.ROOT)));
      }
    }
  }

  private static int restore(Connection side) throws SQLException {
    if (is(side, "pg_catalog.to_regclass('dualwrite.dropped_trigger') is null")) {
      return 0;
    }
    List<Trigger> found =
        read(
            side,
            "select d.table_schema, d.table_name, d.trigger_name, d.enabled, d.definition, true from dualwrite.dropped_trigger d"
                + " join pg_catalog.pg_namespace n on n.nspname = d.table_schema"
                + " join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = d.table_name"
                + " where not exists (select from pg_catalog.pg_trigger t where t.tgrelid = c.oid and t.tgname = d.trigger_name)");
    for (Trigger t : found) {
      try (Statement s = side.createStatement()) {
        s.setEscapeProcessing(false);
        s.execute(t.definition);
      } catch (SQLException e) {
        throw new SQLException(
            "the trigger "
                + t.name
                + " of the hypertable "
                + t.table
                + ", which was dropped while that was the mirror's, cannot be made again ("
                + e.getMessage()
                + "); do what is missing, or delete its row from dualwrite.dropped_trigger to go without it",
            e.getSQLState(),
            e);
      }
    }
    try (Statement s = side.createStatement()) {
      s.execute("delete from dualwrite.dropped_trigger");
    }
    return found.size();
  }

  private static void alter(Connection c, Trigger t, String how) throws SQLException {
    try (Statement s = c.createStatement()) {
      s.execute(t.alter(how));
    }
  }

  private static boolean is(Connection c, String question) throws SQLException {
    try (Statement s = c.createStatement();
        ResultSet r = s.executeQuery("select " + question)) {
      r.next();
      return r.getBoolean(1);
    }
  }

  private static List<Trigger> read(Connection c, String sql) throws SQLException {
    List<Trigger> found = new ArrayList<>();
    try (Statement s = c.createStatement();
        ResultSet r = s.executeQuery(sql)) {
      while (r.next()) {
        Trigger t =
            new Trigger(
                new TableName(r.getString(1), r.getString(2)),
                r.getString(3),
                r.getString(4),
                r.getString(5));
        if (t.definition != null && !r.getBoolean(6)) {
          throw new SQLException(
              "the trigger "
                  + t.name
                  + " of the hypertable "
                  + t.table
                  + " has to be dropped while that is the mirror's, and this role could not make it again: GRANT EXECUTE on its function",
              "42501");
        }
        found.add(t);
      }
    }
    return found;
  }
}
