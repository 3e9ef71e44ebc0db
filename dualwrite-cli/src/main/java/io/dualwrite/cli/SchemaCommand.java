package io.dualwrite.cli;

import io.dualwrite.backfill.schema.PgTools;
import io.dualwrite.backfill.schema.SchemaDump;
import io.dualwrite.backfill.schema.SchemaFiles;
import io.dualwrite.backfill.schema.SchemaOptions;
import io.dualwrite.backfill.schema.SchemaRestore;
import io.dualwrite.control.Side;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import javax.sql.DataSource;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code dualwrite schema}. */
@Command(
    name = "schema",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    synopsisSubcommandLabel = "COMMAND",
    header = "Brings the schema over: roles and all definitions, no rows.",
    description = {
      "",
      "Uses pg_dump, pg_dumpall, pg_restore and psql as they are installed on this machine. The"
          + " restore is one transaction, and running it again does no harm. Afterwards the target's"
          + " user triggers and TimescaleDB's background jobs are disabled, because they would work on"
          + " what the source has done already; which were enabled is noted, and 'dualwrite triggers"
          + " enable' and 'dualwrite jobs enable' restore exactly that.",
    },
    optionListHeading = "%nOptions:%n",
    commandListHeading = "%nCommands:%n",
    footerHeading = "%nExamples:%n",
    footer = {
      "  dualwrite schema migrate --source postgres://app@old/shop --target postgres://admin@new/shop",
      "  dualwrite schema dump --output shop-schema     then read it, then:",
      "  dualwrite schema restore --input shop-schema --target postgres://admin@new/shop",
    },
    subcommands = {
      SchemaCommand.Dump.class,
      SchemaCommand.Restore.class,
      SchemaCommand.Migrate.class,
    })
final class SchemaCommand implements Callable<Integer> {

  @Spec private CommandSpec spec;

  @Override
  public Integer call() {
    throw new ParameterException(
        spec.commandLine(), "which command? 'dualwrite schema --help' lists them");
  }

  /** What all three commands have. */
  static final class Common {

    @Option(
        names = "--pg-bin",
        paramLabel = "DIR",
        description =
            "Where pg_dump and psql are (else: the PATH and the usual places; the source's version"
                + " or a newer one).")
    private Path bin;

    @Option(names = "--no-roles", description = "Leave roles out.")
    private boolean noRoles;

    @Option(names = "--sql-only", description = "Only print the SQL; nothing is changed.")
    private boolean sqlOnly;

    private SchemaOptions options(boolean passwords, boolean owners) {
      return new SchemaOptions(Optional.ofNullable(bin), !noRoles, passwords, owners);
    }
  }

  /** What is decided when the schema is dumped. */
  static final class Contents {

    @Option(
        names = "--role-passwords",
        description = "Roles keep their passwords; needs a superuser on the source.")
    private boolean passwords;

    @Option(
        names = "--owners",
        description =
            "Keep owners and privileges of objects (else all belongs to the role that restores).")
    private boolean owners;
  }

  /** Whoever ends it leaves no program at work, and no file that was to be temporary. */
  private static int interruptibly(Callable<Integer> work) throws Exception {
    try (Interruption interruption = Interruption.stops(Thread.currentThread()::interrupt)) {
      return interruption.exitCode(work.call());
    }
  }

  private static SchemaDump.Result dump(
      Databases databases, int targetMajor, Path directory, Common common, Contents contents)
      throws SQLException {
    try (Connection c = databases.dataSource(Side.SOURCE).getConnection()) {
      int major = targetMajor > 0 ? targetMajor : c.getMetaData().getDatabaseMajorVersion();
      return SchemaDump.dump(
          c,
          databases.uri(Side.SOURCE),
          major,
          directory,
          common.options(contents.passwords, contents.owners));
    }
  }

  private static void script(SchemaFiles files, Common common, List<String> notes)
      throws IOException {
    PrintWriter out = new PrintWriter(System.out, false, StandardCharsets.UTF_8);
    SchemaRestore.script(files, common.options(false, false), notes, out);
    out.flush();
  }

  private static void notes(Terminal terminal, List<String> notes) {
    for (String n : notes) {
      List<String> lines = Terminal.wrap(n, Terminal.WIDTH - 8);
      for (int i = 0; i < lines.size(); i++) {
        terminal.println((i == 0 ? terminal.bold("note:") + "   " : " ".repeat(8)) + lines.get(i));
      }
    }
  }

  private static void dumped(Terminal terminal, SchemaDump.Result result) {
    PgTools tools = result.tools();
    terminal.println(
        "dumped by PostgreSQL "
            + tools.major()
            + " ("
            + tools.bin()
            + "): "
            + contents(result.files()));
  }

  private static int restore(
      Terminal terminal, Databases databases, SchemaFiles files, Common common)
      throws SQLException {
    DataSource target = databases.dataSource(Side.TARGET);
    SchemaRestore.Result r =
        SchemaRestore.restore(
            target, databases.uri(Side.TARGET), files, common.options(false, false));
    notes(terminal, r.notes());
    if (r.already().isPresent()) {
      terminal.println("the schema was restored on " + r.already().get() + "; nothing was changed");
      return ExitCode.DONE;
    }
    terminal.println(terminal.good("restored: ") + contents(files));
    if (r.triggers() > 0) {
      terminal.println(
          "disabled "
              + count(r.triggers(), "trigger")
              + "; 'dualwrite triggers enable' restores them");
    }
    if (r.jobs() > 0) {
      terminal.println(
          "disabled "
              + count(r.jobs(), "background job")
              + "; 'dualwrite jobs enable' restores them");
    }
    terminal.println(
        terminal.dim("next: deploy the application with dual-write, then dualwrite stage"));
    return ExitCode.DONE;
  }

  static String count(int n, String one) {
    return Terminal.number(n) + " " + one + (n == 1 ? "" : "s");
  }

  private static String contents(SchemaFiles files) {
    return count(files.relations(), "relation")
        + (files.extensions().isEmpty()
            ? ""
            : ", "
                + count(files.extensions().size(), "extension")
                + files.timescale().map(v -> " (TimescaleDB " + v + ")").orElse(""));
  }

  /** {@code dualwrite schema dump}. */
  @Command(
      name = "dump",
      mixinStandardHelpOptions = true,
      sortOptions = false,
      usageHelpAutoWidth = true,
      header = "Writes the source's schema into a directory, for reading and changing.",
      description = {
        "",
        "The directory gets schema.sql and roles.sql (readable by you alone, as passwords may be in"
            + " them: of roles, of user mappings) and schema.properties. Rows of the users' tables are left out; they are the backfill's. The source is only"
            + " read.",
      },
      optionListHeading = "%nOptions:%n",
      footerHeading = "%nExample:%n",
      footer = {"  dualwrite schema dump --source postgres://app@old/shop --output shop-schema"})
  static final class Dump implements Callable<Integer> {

    @Mixin private Databases databases;
    @Mixin private Common common;
    @Mixin private Contents contents;

    @Option(
        names = {"-o", "--output"},
        paramLabel = "DIR",
        description = "Where to (default: ${DEFAULT-VALUE}).",
        defaultValue = "schema")
    private Path output;

    @Override
    public Integer call() throws Exception {
      return interruptibly(this::run);
    }

    private int run() throws SQLException, IOException {
      if (common.sqlOnly) {
        Path temporary = Files.createTempDirectory("dualwrite-schema");
        try {
          SchemaDump.Result result = dump(databases, 0, temporary, common, contents);
          script(result.files(), common, result.notes());
        } finally {
          SchemaDump.delete(temporary);
        }
        return ExitCode.DONE;
      }
      Terminal terminal = Terminal.standard();
      SchemaDump.Result result = dump(databases, 0, output, common, contents);
      notes(terminal, result.notes());
      dumped(terminal, result);
      terminal.println(
          "written to "
              + output
              + ": schema.sql"
              + (Files.exists(result.files().roles()) ? ", roles.sql" : ""));
      terminal.println(terminal.dim("next: dualwrite schema restore --input " + output));
      return ExitCode.DONE;
    }
  }

  /** {@code dualwrite schema restore}. */
  @Command(
      name = "restore",
      mixinStandardHelpOptions = true,
      sortOptions = false,
      usageHelpAutoWidth = true,
      header = "Restores a dumped schema on the target.",
      description = {
        "",
        "One transaction: if anything fails, the target is as it was, but for roles that it lacked;"
            + " those that exist stay as they are. With TimescaleDB, between"
            + " timescaledb_pre_restore() and timescaledb_post_restore(), which want a superuser or"
            + " the service's administrator.",
      },
      optionListHeading = "%nOptions:%n",
      footerHeading = "%nExample:%n",
      footer = {
        "  dualwrite schema restore --input shop-schema --target postgres://admin@new/shop"
      })
  static final class Restore implements Callable<Integer> {

    @Mixin private Databases databases;
    @Mixin private Common common;

    @Option(
        names = {"-i", "--input"},
        paramLabel = "DIR",
        description = "What 'schema dump' wrote (default: ${DEFAULT-VALUE}).",
        defaultValue = "schema")
    private Path input;

    @Override
    public Integer call() throws Exception {
      return interruptibly(this::run);
    }

    private int run() throws SQLException, IOException {
      SchemaFiles files = SchemaFiles.read(input);
      if (common.sqlOnly) {
        script(files, common, List.of());
        return ExitCode.DONE;
      }
      return restore(Terminal.standard(), databases, files, common);
    }
  }

  /** {@code dualwrite schema migrate}. */
  @Command(
      name = "migrate",
      mixinStandardHelpOptions = true,
      sortOptions = false,
      usageHelpAutoWidth = true,
      header = "Dumps the source's schema and restores it on the target.",
      description = {"", "Both other commands in one. --sql-only shows all that would be run."},
      optionListHeading = "%nOptions:%n",
      footerHeading = "%nExamples:%n",
      footer = {
        "  dualwrite schema migrate --config application.properties",
        "  dualwrite schema migrate --sql-only > review.sql",
      })
  static final class Migrate implements Callable<Integer> {

    @Mixin private Databases databases;
    @Mixin private Common common;
    @Mixin private Contents contents;

    @Option(
        names = {"-o", "--output"},
        paramLabel = "DIR",
        description = "Keep what was dumped there.")
    private Path output;

    @Override
    public Integer call() throws Exception {
      return interruptibly(this::run);
    }

    private int run() throws SQLException, IOException {
      Terminal terminal = Terminal.standard();
      int major;
      try (Connection c = databases.dataSource(Side.TARGET).getConnection()) {
        major = c.getMetaData().getDatabaseMajorVersion();
      }
      Path directory = output == null ? Files.createTempDirectory("dualwrite-schema") : output;
      try {
        SchemaDump.Result dumped = dump(databases, major, directory, common, contents);
        if (common.sqlOnly) {
          script(dumped.files(), common, dumped.notes());
          return ExitCode.DONE;
        }
        notes(terminal, dumped.notes());
        dumped(terminal, dumped);
        return restore(terminal, databases, dumped.files(), common);
      } finally {
        if (output == null) {
          SchemaDump.delete(directory);
        }
      }
    }
  }
}
