package io.dualwrite.backfill.schema;

import io.dualwrite.backfill.BackfillException;
import io.dualwrite.catalog.TableName;
import io.dualwrite.config.PgUri;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Dumps the source's schema: everything but the rows of the users' tables. Rows of extensions' own
 * configuration tables come along, TimescaleDB's catalog among them. Stateless.
 */
public final class SchemaDump {

  /** A condition on {@code n}: a schema of the users' own. */
  private static final String USERS =
      "n.nspname not in ('pg_catalog', 'information_schema', 'dualwrite') and n.nspname !~ '^(pg_toast|pg_temp_|_timescaledb_|timescaledb_)'";

  private static final Pattern RELATION =
      Pattern.compile(
          "\\d+; \\d+ \\d+ (TABLE|INDEX|CONSTRAINT|FK CONSTRAINT|SEQUENCE|VIEW|MATERIALIZED VIEW) .*");

  /**
   * Of an archive's list: what only an extension's owner may, and what would fire for a restore.
   */
  private static final Pattern OF_EXTENSION =
      Pattern.compile("\\d+; \\d+ \\d+ COMMENT - EXTENSION .*");

  private static final Pattern OF_EVENT_TRIGGER =
      Pattern.compile("\\d+; \\d+ \\d+ (COMMENT - |SECURITY LABEL - )?EVENT TRIGGER .*");

  private static final Pattern EVENT_TRIGGER =
      Pattern.compile("\\d+; \\d+ \\d+ EVENT TRIGGER - (.*)");

  /** Rows, or a query for them; the number is their table's. */
  private static final Pattern DATA =
      Pattern.compile("\\d+; 0 (\\d+) (?:TABLE|MATERIALIZED VIEW) DATA .*");

  private static final Pattern COLUMN_OPTIONS =
      Pattern.compile("(?s)(ALTER (?:FOREIGN )?TABLE ONLY .* ALTER COLUMN .* SET \\()(.*)(\\);)");

  private SchemaDump() {}

  /**
   * What came out.
   *
   * @param files the dumped schema
   * @param tools the programs that were used
   * @param notes what was left out, and matters
   */
  public record Result(SchemaFiles files, PgTools tools, List<String> notes) {}

  /**
   * Dumps into a directory, which is created if need be; what an earlier dump left there is
   * replaced.
   *
   * @param connection to the source; is read from only
   * @param uri the same place, for pg_dump
   * @param targetMajor the target's major version, or the source's if nobody knows
   * @throws BackfillException if pg_dump is missing or fails
   * @throws SQLException if the catalog cannot be read
   */
  public static Result dump(
      Connection connection, PgUri uri, int targetMajor, Path directory, SchemaOptions options)
      throws SQLException {
    int major = connection.getMetaData().getDatabaseMajorVersion();
    PgTools tools = PgTools.find(options.bin(), major, targetMajor);
    List<SchemaFiles.Extension> extensions = new ArrayList<>();
    for (List<String> r :
        rows(
            connection,
            "select extname, extversion, n.nspname from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace"
                + " where extname <> 'plpgsql' order by 1")) {
      extensions.add(new SchemaFiles.Extension(r.get(0), r.get(1), r.get(2)));
    }
    Optional<String> timescale =
        extensions.stream()
            .filter(e -> e.name().equals("timescaledb"))
            .map(SchemaFiles.Extension::version)
            .findFirst();
    List<String> notes = new ArrayList<>();
    Map<String, String> environment = LibpqEnvironment.of(uri);
    Path work = null;
    try {
      Files.createDirectories(directory);
      work = Files.createTempDirectory("dualwrite-schema");
      Path archive = work.resolve("archive");
      List<String> arguments =
          new ArrayList<>(
              List.of(
                  "--format=custom",
                  "--encoding=UTF8", // whatever the source's is: it is read and changed here
                  "--file=" + archive,
                  "--quote-all-identifiers",
                  "--no-tablespaces",
                  "--no-publications",
                  "--no-subscriptions",
                  "--no-blobs",
                  "--exclude-schema=dualwrite",
                  // do not stand in a queue in front of the application
                  "--lock-wait-timeout=30s",
                  "--no-password"));
      if (!options.owners()) {
        arguments.add("--no-owner");
        arguments.add("--no-privileges");
      }
      for (String pattern : noRows(connection, timescale.isPresent())) {
        arguments.add("--exclude-table-data=" + pattern);
      }
      tools.run(environment, "pg_dump", arguments);

      List<String> kept = new ArrayList<>();
      int relations = 0;
      Set<String> configuration =
          rows(connection, "select unnest(extconfig) from pg_catalog.pg_extension").stream()
              .map(r -> r.get(0))
              .collect(Collectors.toSet());
      for (String line :
          tools
              .run(Map.of(), "pg_restore", List.of("--list", archive.toString()))
              .lines()
              .toList()) {
        Matcher data = DATA.matcher(line);
        Matcher trigger = EVENT_TRIGGER.matcher(line);
        if (trigger.matches()) {
          notes.add("event trigger left out: " + trigger.group(1));
        } else if (!OF_EVENT_TRIGGER.matcher(line).matches()
            && !OF_EXTENSION.matcher(line).matches()
            // rows that no pattern named, as in a table made meanwhile, stay behind as well
            && !(data.matches() && !configuration.contains(data.group(1)))) {
          kept.add(line);
          relations += RELATION.matcher(line).matches() ? 1 : 0;
        }
      }
      Path list = work.resolve("list");
      Files.write(list, kept);
      Path raw = work.resolve("schema.sql");
      List<String> back =
          new ArrayList<>(List.of("--use-list=" + list, "--file=" + raw, "--no-tablespaces"));
      if (!options.owners()) {
        back.add("--no-owner");
        back.add("--no-privileges");
      }
      back.add(archive.toString());
      tools.run(Map.of(), "pg_restore", back);

      SchemaFiles nameless =
          new SchemaFiles(directory, "", major, relations, timescale, extensions, options.owners());
      SchemaFiles files =
          new SchemaFiles(
              directory,
              clean(
                  raw,
                  nameless.schema(),
                  extensions.stream().filter(e -> e.name().equals("timescaledb")).findFirst()),
              major,
              relations,
              timescale,
              extensions,
              options.owners());
      Files.deleteIfExists(files.roles());
      if (options.roles()) {
        roles(connection, tools, environment, options, files, notes);
      }
      files.write();
      return new Result(files, tools, notes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      delete(work);
    }
  }

  /** Patterns for pg_dump: the tables whose rows, and sequences whose values, stay behind. */
  private static List<String> noRows(Connection connection, boolean timescale) throws SQLException {
    List<String> result = new ArrayList<>();
    if (timescale) {
      result.add("_timescaledb_internal.*");
    }
    // jobs of pg_cron would begin to run on the target
    result.add("cron.*");
    // a whole schema where that is all the same; else table by table, and the extensions' stay
    String config =
        "exists (select from pg_catalog.pg_extension e cross join unnest(e.extconfig) x(oid) join pg_catalog.pg_class k on k.oid = x.oid"
            + " where k.relnamespace = n.oid)";
    for (List<String> r :
        rows(
            connection,
            "select n.nspname from pg_catalog.pg_namespace n where "
                + USERS
                + " and not "
                + config)) {
      result.add(pattern(r.get(0)) + ".*");
    }
    for (List<String> r :
        rows(
            connection,
            "select n.nspname, c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where "
                + USERS
                + " and "
                + config
                + " and c.relkind in ('r', 'p', 'm', 'S') and not exists (select from pg_catalog.pg_depend d"
                + " where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e')")) {
      result.add(pattern(r.get(0)) + "." + pattern(r.get(1)));
    }
    return result;
  }

  /**
   * A pattern that means the name whatever the locale: in arguments, what its encoding lacks would
   * become question marks.
   */
  private static String pattern(String name) {
    return TableName.quote(name).replaceAll("[^ -~]+", "\"[^ -~]+\"");
  }

  /**
   * Leaves out what another version of the server does not know, and takes the digest of what does
   * not change from dump to dump.
   *
   * @param timescale which is created before all this, in its schema
   */
  private static String clean(Path from, Path to, Optional<SchemaFiles.Extension> timescale)
      throws IOException {
    String schema =
        timescale.map(e -> "CREATE SCHEMA " + TableName.quote(e.schema()) + ";").orElse("");
    String named = timescale.map(e -> "-- Name: " + e.schema() + "; Type: SCHEMA; ").orElse("");
    boolean itsSchema = false;
    MessageDigest digest;
    try {
      digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
    SchemaFiles.createPrivately(to); // user mappings may have passwords
    boolean header = true;
    try (BufferedReader in = Files.newBufferedReader(from, StandardCharsets.UTF_8);
        BufferedWriter out = Files.newBufferedWriter(to, StandardCharsets.UTF_8)) {
      String line;
      while ((line = line(in)) != null) {
        header &= !line.startsWith("-- Name: ");
        line = withoutMark(line);
        if (line == null || header && line.startsWith("SET transaction_timeout")) {
          continue;
        }
        if (itsSchema && line.equals(schema)) {
          line = line.replaceFirst(" SCHEMA ", "$0IF NOT EXISTS ");
          itsSchema = false;
        }
        itsSchema |= !schema.isEmpty() && line.startsWith(named);
        out.write(line);
        out.write('\n');
        // a random word, against commands in a name; the comments tell versions
        if (!line.startsWith("\\restrict ")
            && !line.startsWith("\\unrestrict ")
            && !line.startsWith("-- Dumped ")) {
          digest.update(line.getBytes(StandardCharsets.UTF_8));
          digest.update((byte) '\n');
        }
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  /** Up to the next line feed: a carriage return may be part of a literal or a function's body. */
  private static String line(BufferedReader in) throws IOException {
    StringBuilder b = new StringBuilder();
    int c;
    while ((c = in.read()) >= 0 && c != '\n') {
      b.append((char) c);
    }
    return c < 0 && b.isEmpty() ? null : b.toString();
  }

  /**
   * PostgreSQL 17.12 keeps a mark of its own among a column's options, which other servers refuse;
   * its own pg_dump leaves it out, that of 18.6 does not.
   *
   * @return null if nothing is left
   */
  private static String withoutMark(String line) {
    Matcher m = line.contains("pg_attver=") ? COLUMN_OPTIONS.matcher(line) : null;
    if (m == null || !m.matches()) {
      return line;
    }
    String rest =
        Stream.of(m.group(2).split(", ", -1))
            .filter(o -> !o.matches("pg_attver='?\\d+'?"))
            .collect(Collectors.joining(", "));
    return rest.isEmpty() ? null : m.group(1) + rest + m.group(3);
  }

  private static void roles(
      Connection connection,
      PgTools tools,
      Map<String, String> environment,
      SchemaOptions options,
      SchemaFiles files,
      List<String> notes)
      throws SQLException, IOException {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "--roles-only",
                "--encoding=UTF8",
                "--quote-all-identifiers",
                "--no-password",
                // what has a = in it would be read as a connection string
                "--database=dbname='"
                    + connection.getCatalog().replaceAll("['\\\\]", "\\\\$0")
                    + "'"));
    if (!options.passwords()) {
      arguments.add("--no-role-passwords");
    }
    String dumped = tools.run(environment, "pg_dumpall", arguments);
    String superuser =
        rows(connection, "select rolname from pg_catalog.pg_roles where oid = 10").get(0).get(0);
    Roles roles = Roles.clean(dumped, superuser);
    StringBuilder text = new StringBuilder();
    roles.statements().forEach(s -> text.append(s).append(";\n"));
    SchemaFiles.createPrivately(files.roles());
    Files.writeString(files.roles(), text.toString());
    notes.addAll(roles.notes());
    if (!options.passwords() && !roles.statements().isEmpty()) {
      notes.add("roles have no passwords on the target; set them there, or use --role-passwords");
    }
  }

  static List<List<String>> rows(Connection connection, String sql) throws SQLException {
    List<List<String>> result = new ArrayList<>();
    try (Statement s = connection.createStatement();
        ResultSet r = s.executeQuery(sql)) {
      int n = r.getMetaData().getColumnCount();
      while (r.next()) {
        List<String> row = new ArrayList<>(n);
        for (int i = 1; i <= n; i++) {
          row.add(r.getString(i));
        }
        result.add(row);
      }
    }
    return result;
  }

  static boolean is(Connection connection, String condition) throws SQLException {
    return rows(connection, "select " + condition).get(0).get(0).equals("t");
  }

  /** Deletes a directory without directories in it. */
  public static void delete(Path directory) {
    if (directory == null || !Files.isDirectory(directory)) {
      return;
    }
    try (var files = Files.list(directory)) {
      for (Path f : files.toList()) {
        Files.deleteIfExists(f);
      }
      Files.deleteIfExists(directory);
    } catch (IOException e) {
      // a temporary directory: the operating system's business from here on
    }
  }
}
