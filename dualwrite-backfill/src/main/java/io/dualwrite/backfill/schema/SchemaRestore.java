package io.dualwrite.backfill.schema;

import io.dualwrite.backfill.BackfillException;
import io.dualwrite.backfill.jobs.Jobs;
import io.dualwrite.catalog.TableName;
import io.dualwrite.config.PgUri;
import io.dualwrite.sql.Sql;
import io.dualwrite.sql.StatementInfo;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import javax.sql.DataSource;

/**
 * Restores a dumped schema on the target. All of it is one transaction where the server has room
 * for the locks; whatever interrupts it, the same call goes on: what is done is noted in {@code
 * dualwrite.schema_restore}. Afterwards TimescaleDB's jobs and the users' triggers are disabled,
 * and how they were is noted. Stateless.
 */
public final class SchemaRestore {

  private static final String TABLE_SQL =
      """
      create schema if not exists dualwrite;
      create table if not exists dualwrite.schema_restore (
        digest text primary key,
        restored timestamptz not null default now(),
        finished boolean not null default false);
      """;

  private SchemaRestore() {}

  /**
   * What was done.
   *
   * @param already when a schema had been restored completely; then nothing was done
   * @param jobs how many background jobs were scheduled and are no longer
   * @param triggers how many user triggers were enabled and are no longer
   * @param notes what failed or was left out, and matters
   */
  public record Result(Optional<String> already, int jobs, int triggers, List<String> notes) {}

  /**
   * Restores.
   *
   * @param target the target
   * @param uri the same place, for psql
   * @throws BackfillException if the target cannot take the schema, psql is missing, or it fails;
   *     the message says what to do
   * @throws SQLException if the target refuses something else
   */
  public static Result restore(
      DataSource target, PgUri uri, SchemaFiles files, SchemaOptions options) throws SQLException {
    List<String> notes = new ArrayList<>();
    try (Connection c = target.getConnection()) {
      check(c, files);
      execute(c, "select pg_catalog.pg_advisory_lock(7233178614550361964)"); // one at a time
      execute(c, TABLE_SQL);
      // whichever it was: a dump of a live TimescaleDB differs from the next one in its catalog
      Optional<List<String>> before =
          SchemaDump.rows(
                  c,
                  "select date_trunc('second', restored)::text, finished, digest = "
                      + literal(files.digest())
                      + " from dualwrite.schema_restore order by restored desc limit 1")
              .stream()
              .findFirst();
      if (before.isPresent() && before.get().get(1).equals("t")) {
        if (before.get().get(2).equals("f")) {
          notes.add(
              "what was restored then is not what was dumped now; 'dualwrite doctor' shows where both sides differ");
        }
        return new Result(Optional.of(before.get().get(0)), 0, 0, notes);
      }
      int major = c.getMetaData().getDatabaseMajorVersion();
      PgTools tools = PgTools.find(options.bin(), files.sourceVersion(), major);
      if (options.roles() && Files.isRegularFile(files.roles())) {
        roles(c, files, notes);
      }
      int jobs = 0;
      if (files.timescale().isPresent()) {
        jobs =
            withTimescale(
                target, files, before.isPresent(), () -> psql(c, tools, uri, files, notes));
      } else if (before.isEmpty()) {
        psql(c, tools, uri, files, notes);
      }
      int triggers;
      // a new session: in one from restoring mode a hypertable's triggers would not reach its
      // chunks
      try (Connection fresh = target.getConnection()) {
        triggers = TargetTriggers.disable(fresh);
      }
      execute(c, "update dualwrite.schema_restore set finished = true");
      return new Result(Optional.empty(), jobs, triggers, notes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * The whole restore as a script for psql, for reading or for running by hand.
   *
   * @param notes what the dump left out; in comments
   */
  public static void script(
      SchemaFiles files, SchemaOptions options, List<String> notes, Writer out) throws IOException {
    out.write("-- For psql with ON_ERROR_STOP, on the target.\n\\set ON_ERROR_STOP on\n");
    for (String n : notes) {
      out.write("-- Note: " + n.replaceAll("\\R", "\n--   ") + "\n");
    }
    if (options.roles() && Files.isRegularFile(files.roles())) {
      out.write("\n-- Roles: those that exist stay.\n\n");
      out.write(Files.readString(files.roles()));
    }
    Optional<SchemaFiles.Extension> timescale =
        files.extensions().stream().filter(e -> e.name().equals("timescaledb")).findFirst();
    if (timescale.isPresent()) {
      out.write("\n-- TimescaleDB in the source's version, in restoring mode.\n\n");
      out.write(create(timescale.get()) + ";\n");
      out.write(
          "select " + TableName.quote(timescale.get().schema()) + ".timescaledb_pre_restore();\n");
    }
    out.write("\nbegin;\n\n");
    try (BufferedReader in = Files.newBufferedReader(files.schema(), StandardCharsets.UTF_8)) {
      in.transferTo(out);
    }
    out.write("\n-- Done; noted, so that 'dualwrite schema restore' does not do it again.\n\n");
    out.write(TABLE_SQL + noted(files) + ";\ncommit;\n");
    if (timescale.isPresent()) {
      out.write(
          "\n-- Jobs off the schedule, in the transaction that ends restoring mode.\n\nbegin;\n");
      out.write(
          "select " + TableName.quote(timescale.get().schema()) + ".timescaledb_post_restore();\n");
      out.write(Jobs.TABLE_SQL);
      if (!files.owners()) {
        out.write(Jobs.OWN_SQL);
      }
      out.write(Jobs.disableSql(timescale.get().schema()));
      out.write("commit;\n");
    }
    out.write("\n-- Then: 'dualwrite triggers disable', as triggers fire on the source already.\n");
    out.flush();
  }

  // ----------------------------------------------------------------------------------------------

  private static void check(Connection c, SchemaFiles files) throws SQLException {
    if (SchemaDump.is(c, "pg_catalog.pg_is_in_recovery()")) {
      throw new BackfillException("the target is a standby; give the primary");
    }
    if (!SchemaDump.is(c, "pg_catalog.has_database_privilege(current_database(), 'CREATE')")) {
      throw new BackfillException(
          "the role may not create schemas on the target; GRANT CREATE ON DATABASE to it there");
    }
    List<String> missing = new ArrayList<>();
    for (SchemaFiles.Extension e : files.extensions()) {
      if (!SchemaDump.is(
          c,
          "exists (select from pg_catalog.pg_available_extensions where name = "
              + literal(e.name())
              + ")")) {
        missing.add(e.name() + " " + e.version());
      }
    }
    if (!missing.isEmpty()) {
      throw new BackfillException(
          "the target's server does not offer extensions that the source uses: "
              + String.join(", ", missing)
              + "; install them there");
    }
    if (files.timescale().isPresent()) {
      String version = files.timescale().get();
      List<List<String>> there =
          SchemaDump.rows(
              c, "select extversion from pg_catalog.pg_extension where extname = 'timescaledb'");
      if (!there.isEmpty() && !there.get(0).get(0).equals(version)) {
        throw new BackfillException(
            "TimescaleDB is "
                + version
                + " on the source and "
                + there.get(0).get(0)
                + " on the target, and its catalog can only be restored into the same version; bring both to one (ALTER EXTENSION timescaledb UPDATE TO '…')");
      }
      if (there.isEmpty()
          && !SchemaDump.is(
              c,
              "exists (select from pg_catalog.pg_available_extension_versions where name = 'timescaledb' and version = "
                  + literal(version)
                  + ")")) {
        throw new BackfillException(
            "the target's server does not offer TimescaleDB "
                + version
                + ", the source's version; install that there, or update the source to one that both offer");
      }
    }
  }

  private static void roles(Connection c, SchemaFiles files, List<String> notes)
      throws IOException, SQLException {
    String sql = Files.readString(files.roles());
    List<String> stay = new ArrayList<>();
    for (StatementInfo s : Sql.analyze(sql).statements()) {
      String one = sql.substring(s.start(), s.end()).strip();
      if (one.isEmpty() || one.equals(";")) {
        continue;
      }
      try (Statement st = c.createStatement()) {
        st.execute(one);
        for (SQLWarning w = st.getWarnings(); w != null; w = w.getNextWarning()) {
          if (w.getMessage().startsWith(Roles.STAYS)) {
            stay.add(w.getMessage().substring(Roles.STAYS.length()));
          } else if ("01000".equals(w.getSQLState())) { // no notice
            notes.add(line(w));
          }
        }
      } catch (SQLException e) {
        // its text may hold a password; what the server says of it does not
        notes.add("a role was not set up completely: " + line(e));
      }
    }
    if (!stay.isEmpty()) {
      notes.add("roles that exist on the target stay as they are: " + String.join(", ", stay));
    }
  }

  private static String line(SQLException e) {
    return e.getMessage().strip().replaceAll("\\s*\\R\\s*", "; ");
  }

  private interface Step {
    void run() throws SQLException;
  }

  /**
   * Restoring mode around the step, each part idempotent; it is left whatever happens, with all
   * jobs off the schedule in the same transaction: else every policy would run once on empty
   * chunks.
   */
  private static int withTimescale(
      DataSource target, SchemaFiles files, boolean restored, Step step) throws SQLException {
    SchemaFiles.Extension e =
        files.extensions().stream()
            .filter(x -> x.name().equals("timescaledb"))
            .findFirst()
            .orElseThrow();
    // the first command of a session, as the library is loaded with it
    try (Connection c = target.getConnection()) {
      execute(c, create(e));
    }
    String schema;
    try (Connection c = target.getConnection()) {
      schema = Jobs.schema(c).orElseThrow();
      if (!restored) {
        execute(c, "select " + TableName.quote(schema) + ".timescaledb_pre_restore()");
      }
    } catch (SQLException x) {
      if ("42501".equals(x.getSQLState())) {
        throw new BackfillException(
            "the role may not put TimescaleDB into restoring mode ("
                + x.getMessage().strip()
                + "); use a superuser, or the administrator that the service gives you",
            x);
      }
      throw x;
    }
    try {
      if (!restored) {
        step.run();
      }
    } finally {
      try (Connection c = target.getConnection()) {
        c.setAutoCommit(false);
        execute(c, "select " + TableName.quote(schema) + ".timescaledb_post_restore()");
        execute(c, Jobs.TABLE_SQL);
        if (!files.owners()) {
          execute(c, Jobs.OWN_SQL);
        }
        execute(c, Jobs.disableSql(schema));
        c.commit();
      }
    }
    try (Connection c = target.getConnection()) {
      return Integer.parseInt(
          SchemaDump.rows(c, "select count(*) from dualwrite.job_state where scheduled")
              .get(0)
              .get(0));
    }
  }

  private static String create(SchemaFiles.Extension e) {
    return "create schema if not exists "
        + TableName.quote(e.schema())
        + ";\ncreate extension if not exists "
        + TableName.quote(e.name())
        + " with schema "
        + TableName.quote(e.schema())
        + " version "
        + literal(e.version());
  }

  private static String noted(SchemaFiles files) {
    return "insert into dualwrite.schema_restore (digest) values ("
        + literal(files.digest())
        + ") on conflict do nothing";
  }

  private static void psql(
      Connection c, PgTools tools, PgUri uri, SchemaFiles files, List<String> notes)
      throws SQLException {
    long locks =
        Long.parseLong(
            SchemaDump.rows(
                    c,
                    "select current_setting('max_locks_per_transaction')::bigint"
                        + " * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint)")
                .get(0)
                .get(0));
    List<String> arguments =
        new ArrayList<>(
            List.of("--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1"));
    // each table takes a lock, its TOAST table and that one's index too
    boolean whole = 3L * files.relations() < locks / 2;
    if (whole) {
      arguments.add("--single-transaction");
    } else {
      notes.add(
          "the schema was not restored in one transaction, because max_locks_per_transaction is too low for "
              + files.relations()
              + " relations");
    }
    arguments.add("--file=" + files.schema());
    arguments.add("--command=" + noted(files));
    try {
      tools.run(LibpqEnvironment.of(uri), "psql", arguments);
    } catch (BackfillException e) {
      // it may have lost its connection after the commit, or met what an earlier one left behind
      // that went on when its caller had died
      if (SchemaDump.is(c, "exists (select from dualwrite.schema_restore)")) {
        return;
      }
      throw new BackfillException(
          "the schema was not restored: "
              + e.getMessage()
              + (whole
                  ? ". The target is as it was before, but for roles that it lacked. Empty it (or create the database anew) if something of it is there already; 'dualwrite doctor' shows where both sides differ"
                  : ". What was created stays: create the target's database anew before the next attempt, or raise max_locks_per_transaction there"),
          e);
    }
  }

  private static void execute(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement()) {
      s.execute(sql);
    }
  }

  private static String literal(String value) {
    return "'" + value.replace("'", "''") + "'";
  }
}
