package io.dualwrite.jdbc;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a connection has set on its server, for the next primary. The server is asked, while the old
 * connection lives: it knows what was rolled back, reset and deallocated. Only settings of the
 * application's own making ({@code app.user}) it does not list; their names are remembered here.
 */
final class SessionState {

  /** A call that names its setting, or one that is over with the transaction, or neither. */
  private static final Pattern SET_CONFIG =
      Pattern.compile(
          "set_config\\s*\\((?:[\\s(]*'([^']+)'|([^()]*,\\s*true\\s*\\)))?",
          Pattern.CASE_INSENSITIVE);

  /** Parameters: the names that are remembered; the user of the login, or null. */
  private static final String SETTINGS =
      "select s.name, s.setting from pg_catalog.pg_settings s"
          + " where s.source = 'session' and s.context <> 'internal'"
          + " and s.name not in ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable')"
          + " union all select x.name, pg_catalog.current_setting(x.name, true) from ("
          + "select unnest(?::text[]) as name union select m.name[1]"
          + " from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace,"
          + " pg_catalog.regexp_matches(p.prosrc, 'set_config[[:space:]]*[(][[:space:]]*''([^'']+)''', 'gi') m(name)"
          + " where n.nspname not in ('pg_catalog', 'information_schema')) x"
          + " where pg_catalog.strpos(x.name, '.') > 0 and pg_catalog.current_setting(x.name, true) is not null"
          + " and not exists (select from pg_catalog.pg_settings s where s.name = pg_catalog.lower(x.name))"
          // last: what a role may not set was set before it was taken
          + " union all select 'session_authorization', session_user::text where session_user <> ?"
          + " union all select 'role', pg_catalog.current_setting('role') where pg_catalog.current_setting('role') <> 'none'";

  private static final String STATEMENTS =
      "select 'listen ' || pg_catalog.quote_ident(c) from pg_catalog.pg_listening_channels() c"
          + " union all (select p.statement from pg_catalog.pg_prepared_statements p where p.from_sql order by p.prepare_time)";

  /** What the session has that no other one can be given, in words. */
  private static final String OWN =
      "select pg_catalog.concat_ws(' and ',"
          + " case when exists (select from pg_catalog.pg_depend d where d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass"
          + " and d.refobjid = pg_catalog.pg_my_temp_schema()) then 'temporary tables' end,"
          + " case when exists (select from pg_catalog.pg_locks l where l.locktype = 'advisory' and l.granted"
          + " and l.pid = pg_catalog.pg_backend_pid()) then 'advisory locks' end,"
          + " case when exists (select from pg_catalog.pg_cursors c where c.is_holdable) then 'cursors WITH HOLD' end)";

  private static final String SET =
      "select pg_catalog.set_config(x.name, x.setting, false) from unnest(?::text[], ?::text[]) x(name, setting)";

  private final Set<String> names = new LinkedHashSet<>();
  private boolean touched;
  private boolean computed;

  /** The session may not be as connections begin. */
  void touched() {
    touched = true;
  }

  /** A SET or RESET has run. */
  void set(String name) {
    touched = true;
    if (name.indexOf('.') >= 0 || name.equals("session_authorization")) {
      names.add(name);
    } else if (name.equals("all")) {
      computed = false;
    }
  }

  /** A text has run that may have called set_config. */
  void called(String text) {
    touched = true;
    Matcher m = SET_CONFIG.matcher(text);
    while (m.find()) {
      if (m.group(1) != null) {
        set(m.group(1));
      } else {
        computed |= m.group(2) == null;
      }
    }
  }

  /**
   * Sets on the new connection what the old one has set.
   *
   * @param user of the old one's login
   * @throws SQLException if that cannot be told, or cannot be done there
   */
  void carry(Connection old, String user, Connection next) throws SQLException {
    if (computed) {
      throw new SQLException("the name of a setting that set_config was given is not known");
    }
    List<String> settings = new ArrayList<>();
    List<String> values = new ArrayList<>();
    List<String> statements = new ArrayList<>();
    String own;
    try (PreparedStatement s = old.prepareStatement(SETTINGS);
        PreparedStatement t = old.prepareStatement(STATEMENTS);
        PreparedStatement o = old.prepareStatement(OWN)) {
      s.setArray(1, old.createArrayOf("text", names.toArray()));
      s.setString(2, names.contains("session_authorization") ? user : null);
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          settings.add(r.getString(1));
          values.add(r.getString(2));
        }
      }
      try (ResultSet r = t.executeQuery()) {
        while (r.next()) {
          statements.add(r.getString(1));
        }
      }
      try (ResultSet r = o.executeQuery()) {
        r.next();
        own = r.getString(1);
      }
    } catch (SQLException e) {
      if (touched) {
        throw e;
      }
      return; // a server that is gone, and nothing was set there
    }
    if (!own.isEmpty()) {
      // a name would mean a permanent table, and what the lock keeps apart would meet
      throw new SQLException("it has " + own);
    }
    try (PreparedStatement s = next.prepareStatement(SET)) {
      s.setArray(1, next.createArrayOf("text", settings.toArray()));
      s.setArray(2, next.createArrayOf("text", values.toArray()));
      s.execute();
    }
    try (Statement s = next.createStatement()) {
      s.setEscapeProcessing(false);
      for (String statement : statements) {
        s.execute(statement);
      }
    }
  }
}
