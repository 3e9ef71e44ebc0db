package io.dualwrite.converge;

import io.dualwrite.catalog.TableName;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;

/**
 * Rule 6: triggers (and rewrite rules) of the users' own never fire for mirrored writes, because
 * what they do on the primary travels as rows. They are off on the mirror, which remembers how each
 * was enabled, and on again as soon as it is primary. The server's own triggers, foreign keys among
 * them, stay on.
 */
public final class Triggers {

  private static final String ENABLED =
      "select n.nspname, c.relname, t.tgname, t.tgenabled from pg_catalog.pg_trigger t"
          + " join pg_catalog.pg_class c on c.oid = t.tgrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
          + " where not t.tgisinternal and t.tgenabled in ('O', 'A') and c.relkind in ('r', 'p') and c.relpersistence <> 't'"
          + " and n.nspname not in ('dualwrite', 'information_schema') and n.nspname not like 'pg\\_%'"
          + " and n.nspname not like '\\_timescaledb\\_%' and t.tgname not in ('ts_insert_blocker', 'ts_cagg_invalidation_trigger')";

  private static final String RULES =
      " union all select n.nspname, c.relname, 'rule:' || t.rulename, t.ev_enabled from pg_catalog.pg_rewrite t"
          + " join pg_catalog.pg_class c on c.oid = t.ev_class join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
          + " where t.ev_enabled in ('O', 'A') and c.relkind in ('r', 'p') and c.relpersistence <> 't'"
          + " and n.nspname not in ('dualwrite', 'information_schema') and n.nspname not like 'pg\\_%'"
          + " and n.nspname not like '\\_timescaledb\\_%'";

  /** One of them; the name of a rule has a prefix. */
  private record Trigger(TableName table, String name, String enabled) {
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
    disable(mirror, " and " + new OwnXids(mirror).mineInCatalog("t.xmin"));
  }

  /**
   * Switches off every enabled trigger and remembers it, in the connection's transaction.
   *
   * @return how many there were
   * @throws SQLException if the role does not own a table that has one, among other things
   */
  public static int disableAll(Connection mirror) throws SQLException {
    return disable(mirror, "");
  }

  private static int disable(Connection mirror, String which) throws SQLException {
    List<Trigger> found = read(mirror, ENABLED + which + RULES + which);
    for (Trigger t : found) {
      alter(mirror, t, " disable ");
      try (PreparedStatement s =
          mirror.prepareStatement(
              "insert into dualwrite.disabled_trigger values (?, ?, ?, ?::text::\"char\") on conflict (table_schema, table_name, trigger_name)"
                  + " do update set enabled = excluded.enabled")) {
        s.setString(1, t.table.schema());
        s.setString(2, t.table.name());
        s.setString(3, t.name);
        s.setString(4, t.enabled);
        s.executeUpdate();
      }
    }
    return found.size();
  }

  /**
   * Enables those that were switched off, as they were, in the connection's transaction, and
   * forgets them. One that is gone is passed over.
   *
   * @return how many
   * @throws SQLException if the role does not own a table that has one, among other things
   */
  public static int enableAll(Connection side) throws SQLException {
    List<Trigger> found =
        read(
            side,
            "select d.table_schema, d.table_name, d.trigger_name, d.enabled from dualwrite.disabled_trigger d"
                + " join pg_catalog.pg_namespace n on n.nspname = d.table_schema"
                + " join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = d.table_name"
                + " where exists (select from pg_catalog.pg_trigger t where t.tgrelid = c.oid and t.tgname = d.trigger_name)"
                + " or exists (select from pg_catalog.pg_rewrite r where r.ev_class = c.oid and 'rule:' || r.rulename = d.trigger_name)");
    for (Trigger t : found) {
      alter(side, t, t.enabled.equals("A") ? " enable always " : " enable ");
    }
    try (Statement s = side.createStatement()) {
      s.execute("delete from dualwrite.disabled_trigger");
    }
    return found.size();
  }

  private static void alter(Connection c, Trigger t, String how) throws SQLException {
    try (Statement s = c.createStatement()) {
      s.execute(t.alter(how));
    } catch (SQLException e) {
      if (!"0A000".equals(e.getSQLState())) {
        throw e;
      }
      throw new SQLException(
          "'"
              + t.alter(how)
              + "' is refused, as older versions of TimescaleDB do for hypertables ("
              + e.getMessage()
              + "); DROP TRIGGER where the table is the mirror's, and create it again once that is the primary's",
          e.getSQLState(),
          e);
    }
  }

  private static List<Trigger> read(Connection c, String sql) throws SQLException {
    List<Trigger> found = new ArrayList<>();
    try (Statement s = c.createStatement();
        ResultSet r = s.executeQuery(sql)) {
      while (r.next()) {
        found.add(
            new Trigger(
                new TableName(r.getString(1), r.getString(2)), r.getString(3), r.getString(4)));
      }
    }
    return found;
  }
}
