package io.dualwrite.backfill.schema;

import io.dualwrite.sql.Sql;
import io.dualwrite.sql.StatementInfo;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What {@code pg_dumpall --roles-only --quote-all-identifiers} wrote, without what a managed
 * service refuses: its own roles and the server's, SUPERUSER, REPLICATION, BYPASSRLS, and who
 * granted. Roles and memberships that exist already stay as they are; what cannot be done is a
 * warning.
 *
 * @param statements the statements, without semicolons
 * @param notes what was left out, and matters
 */
record Roles(List<String> statements, List<String> notes) {

  /** How the warning about a role begins that exists already; its name follows. */
  static final String STAYS = "role that exists stays as it is: ";

  private static final String NAME = "\"((?:[^\"]|\"\")+)\"";
  private static final Pattern ROLE =
      Pattern.compile("(?s)(CREATE|ALTER|COMMENT ON) ROLE " + NAME + ".*");
  private static final Pattern GRANT =
      Pattern.compile("(?s)GRANT " + NAME + " TO " + NAME + "(.*?)(?: GRANTED BY " + NAME + ")?");
  private static final Pattern POWER =
      Pattern.compile(" (NO)?(SUPERUSER|REPLICATION|BYPASSRLS)(?= |$)");
  private static final Pattern RESTRICT = Pattern.compile("(?md)^\\\\restrict (\\w+)$");

  /** The server's own and those of the services that run servers for others. */
  private static final Pattern SYSTEM =
      Pattern.compile(
          "pg_.*|postgres|tsdbadmin|tsdbexplorer"
              + "|rds_.*|rdsadmin|rdsrepladmin|rdstopmgr|rdsproxyadmin|rdswriteforwarduser"
              + "|azure_.*|azuresu|cloudsql.*|alloydb.*|neon_superuser|supabase_.*|doadmin|avnadmin");

  /** A membership, whoever granted it: what any of them gave is there. */
  private static final class Membership {
    private boolean admin;
    private boolean inherit;
    private boolean set;

    /** Whether the server has the other options: from 16 on. */
    private boolean options;

    void add(String with) {
      admin |= with.contains("ADMIN OPTION");
      options |= with.contains("INHERIT ");
      inherit |= with.contains("INHERIT TRUE");
      set |= !with.contains("SET FALSE");
    }
  }

  /** Reads the program's output; {@code superuser} is the role that owns the source's server. */
  static Roles clean(String dumped, String superuser) {
    String sql = dumped;
    Matcher restrict = RESTRICT.matcher(dumped);
    if (restrict.find()) { // these two lines are psql's; a comment may have others of that look
      sql = sql.replaceAll("(?md)^\\\\(un)?restrict " + restrict.group(1) + "$", "");
    }
    Map<String, List<String>> roles = new LinkedHashMap<>();
    Map<List<String>, Membership> memberships = new LinkedHashMap<>();
    List<String> notes = new ArrayList<>();
    List<String> left = new ArrayList<>();
    for (StatementInfo s : Sql.analyze(sql).statements()) {
      String one = withoutComments(sql.substring(s.start(), s.end()));
      if (one.endsWith(";")) {
        one = one.substring(0, one.length() - 1).strip();
      }
      Matcher role = ROLE.matcher(one);
      Matcher grant = GRANT.matcher(one);
      if (role.matches()) {
        String name = role.group(2);
        if (!system(name, superuser)) {
          roles
              .computeIfAbsent(name, n -> new ArrayList<>())
              .add(role.group(1).equals("ALTER") ? altered(one, name, notes) : one);
        } else if (role.group(1).equals("CREATE") && !name.matches("pg_.*|postgres")) {
          left.add(name);
        }
      } else if (grant.matches()) {
        if (system(grant.group(2), superuser)) {
          continue;
        }
        // pg_… roles exist everywhere; those of a service exist there only
        if (system(grant.group(1), superuser) && !grant.group(1).startsWith("pg_")) {
          notes.add(lost(grant.group(2) + " was a member of " + grant.group(1)));
          continue;
        }
        memberships
            .computeIfAbsent(List.of(grant.group(1), grant.group(2)), p -> new Membership())
            .add(grant.group(3));
      }
    }
    if (!left.isEmpty()) {
      notes.add(
          "roles of the server's or of a service's own are left out: " + String.join(", ", left));
    }
    List<String> out = new ArrayList<>();
    roles.forEach((name, statements) -> out.add(role(name, statements)));
    memberships.forEach((pair, m) -> out.add(membership(pair.get(0), pair.get(1), m)));
    return new Roles(out, notes);
  }

  private static String lost(String what) {
    return "role " + what + ", which the target does not give it";
  }

  private static boolean system(String quoted, String superuser) {
    String name = quoted.replace("\"\"", "\"");
    return name.equals(superuser) || SYSTEM.matcher(name).matches();
  }

  /** Each of a role's statements may be refused without the others. */
  private static String role(String quoted, List<String> statements) {
    String failed = failed("role \"" + quoted + "\" was not set up completely: ");
    StringBuilder b = new StringBuilder();
    b.append("IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = ")
        .append(literal(quoted.replace("\"\"", "\"")))
        .append(") THEN RAISE WARNING '%', ")
        .append(literal(STAYS + quoted))
        .append("; ELSE ")
        .append(statements.get(0))
        .append(";");
    for (String s : statements.subList(1, statements.size())) {
      b.append("\n  BEGIN ").append(s).append(";").append(failed).append(" END;");
    }
    return block(b.append("\nEND IF;").append(failed).toString());
  }

  /**
   * Who made the role has ADMIN OPTION, and the server refuses it from those who have it of him.
   */
  private static String membership(String role, String member, Membership m) {
    String grant = "GRANT \"" + role + "\" TO \"" + member + "\"";
    return block(
        "IF current_user = "
            + literal(member.replace("\"\"", "\""))
            + " OR NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members WHERE roleid = "
            + literal("\"" + role + "\"")
            + "::regrole AND member = "
            + literal("\"" + member + "\"")
            + "::regrole) THEN\n  "
            + grant
            + (m.options ? " WITH INHERIT " + word(m.inherit) + ", SET " + word(m.set) : "")
            + ";"
            + (m.admin
                ? "\n  BEGIN "
                    + grant
                    + " WITH ADMIN OPTION; EXCEPTION WHEN invalid_grant_operation THEN NULL; END;"
                : "")
            + "\nEND IF;"
            + failed("\"" + member + "\" was not made a member of \"" + role + "\": "));
  }

  private static String word(boolean value) {
    return value ? "TRUE" : "FALSE";
  }

  private static String failed(String what) {
    return " EXCEPTION WHEN OTHERS THEN RAISE WARNING '%', " + literal(what) + " || SQLERRM;";
  }

  private static String block(String body) {
    String tag = "$dualwrite$";
    while (body.contains(tag)) { // of a comment or a password
      tag = tag.substring(0, tag.length() - 1) + "_$";
    }
    return "DO " + tag + " BEGIN " + body + " END " + tag;
  }

  private static String literal(String value) {
    return "'" + value.replace("'", "''") + "'";
  }

  private static String altered(String one, String quoted, List<String> notes) {
    int with = one.indexOf("\" WITH ");
    if (with < 0) {
      return one; // a setting of the role's
    }
    // attributes are words; behind them come a password and a date, which are not to be touched
    int end = one.indexOf('\'', with);
    String attributes = end < 0 ? one.substring(with) : one.substring(with, end);
    Matcher m = POWER.matcher(attributes);
    while (m.find()) {
      if (m.group(1) == null) {
        notes.add(lost(quoted + " had " + m.group(2)));
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
