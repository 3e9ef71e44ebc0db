package io.dualwrite.backfill.schema;

import io.dualwrite.sql.Sql;
import io.dualwrite.sql.StatementInfo;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What {@code pg_dumpall --roles-only --quote-all-identifiers} wrote, without what a managed
 * service refuses: its own roles and the server's, SUPERUSER, REPLICATION, BYPASSRLS, and who
 * granted. Roles that exist already are no error.
 *
 * @param statements the statements, without semicolons
 * @param notes what was left out, and matters
 */
record Roles(List<String> statements, List<String> notes) {

  private static final String NAME = "\"((?:[^\"]|\"\")+)\"";
  private static final Pattern ROLE =
      Pattern.compile("(?s)(CREATE|ALTER|COMMENT ON) ROLE " + NAME + ".*");
  private static final Pattern GRANT =
      Pattern.compile("(?s)GRANT " + NAME + " TO " + NAME + "(.*)");
  private static final Pattern GRANTED_BY = Pattern.compile(" GRANTED BY " + NAME);
  private static final Pattern POWER =
      Pattern.compile(" (NO)?(SUPERUSER|REPLICATION|BYPASSRLS)(?= |$)");

  /** The server's own and those of the services that run servers for others. */
  private static final Pattern SYSTEM =
      Pattern.compile(
          "pg_.*|postgres|tsdbadmin|tsdbexplorer|rds.*|azure.*|cloudsql.*|alloydb.*|neon_superuser|supabase_.*|doadmin|avnadmin");

  /** Reads the program's output; {@code superuser} is the role that owns the source's server. */
  static Roles clean(String dumped, String superuser) {
    StringBuilder text = new StringBuilder();
    for (String l : dumped.split("\n", -1)) { // not at a carriage return, which a comment may have
      if (!l.startsWith("\\")) {
        text.append(l).append('\n');
      }
    }
    List<String> out = new ArrayList<>();
    List<String> notes = new ArrayList<>();
    String sql = text.toString();
    for (StatementInfo s : Sql.analyze(sql).statements()) {
      String one = withoutComments(sql.substring(s.start(), s.end()));
      if (one.endsWith(";")) {
        one = one.substring(0, one.length() - 1).strip();
      }
      Matcher role = ROLE.matcher(one);
      Matcher grant = GRANT.matcher(one);
      if (role.matches()) {
        if (!system(role.group(2), superuser)) {
          out.add(role(one, role.group(1), role.group(2), notes));
        }
      } else if (grant.matches()) {
        if (system(grant.group(2), superuser)) {
          continue;
        }
        // pg_… roles exist everywhere; those of a service exist there only
        if (system(grant.group(1), superuser) && !grant.group(1).startsWith("pg_")) {
          notes.add(grant.group(2) + " was a member of " + grant.group(1));
          continue;
        }
        out.add(GRANTED_BY.matcher(one).replaceAll(""));
      }
    }
    return new Roles(out, notes);
  }

  private static boolean system(String quoted, String superuser) {
    String name = quoted.replace("\"\"", "\"");
    return name.equals(superuser) || SYSTEM.matcher(name).matches();
  }

  private static String role(String one, String verb, String quoted, List<String> notes) {
    if (verb.equals("CREATE")) {
      return "DO $dualwrite$ BEGIN "
          + one
          + "; EXCEPTION WHEN duplicate_object THEN NULL; END $dualwrite$";
    }
    int with = one.indexOf("\" WITH ");
    if (!verb.equals("ALTER") || with < 0) {
      return one; // a setting of the role's, or a comment
    }
    // attributes are words; behind them come a password and a date, which are not to be touched
    int end = one.indexOf('\'', with);
    String attributes = end < 0 ? one.substring(with) : one.substring(with, end);
    Matcher m = POWER.matcher(attributes);
    while (m.find()) {
      if (m.group(1) == null) {
        notes.add(quoted + " had " + m.group(2));
      }
    }
    return one.substring(0, with)
        + POWER.matcher(attributes).replaceAll("")
        + (end < 0 ? "" : one.substring(end));
  }

  private static String withoutComments(String statement) {
    StringBuilder b = new StringBuilder();
    boolean begun = false;
    for (String line : statement.split("\n", -1)) {
      if (begun || !line.startsWith("--") && !line.isBlank()) {
        begun = true;
        b.append(b.isEmpty() ? "" : "\n").append(line);
      }
    }
    return b.toString().strip();
  }
}
