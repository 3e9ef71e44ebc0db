package io.dualwrite.cli;

import io.dualwrite.backfill.schema.TargetTriggers;
import io.dualwrite.backfill.schema.TargetTriggers.Fires;
import io.dualwrite.control.Side;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code dualwrite triggers}. */
@Command(
    name = "triggers",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    synopsisSubcommandLabel = "COMMAND",
    header = "The target's user triggers: off while it is the mirror, then back as they were.",
    description = {
      "",
      "What a trigger writes on the source reaches the target as rows; on the target it would write"
          + " them a second time. Foreign keys are not touched.",
    },
    optionListHeading = "%nOptions:%n",
    commandListHeading = "%nCommands:%n",
    subcommands = {
      TriggersCommand.Status.class,
      TriggersCommand.Disable.class,
      TriggersCommand.Enable.class,
    })
final class TriggersCommand implements Callable<Integer> {

  @Spec private CommandSpec spec;

  @Override
  public Integer call() {
    throw new ParameterException(
        spec.commandLine(), "which command? 'dualwrite triggers --help' lists them");
  }

  private interface Work {
    int on(Connection c) throws SQLException;
  }

  /** Waits a little for writers of the tables, not longer: others would wait behind it. */
  private static int change(Databases databases, Work work) throws SQLException {
    try (Connection c = databases.dataSource(Side.TARGET).getConnection()) {
      try (Statement s = c.createStatement()) {
        s.execute("set lock_timeout = '5s'");
      }
      return work.on(c);
    } catch (SQLException e) {
      if ("55P03".equals(e.getSQLState())) {
        throw new UserError(
            "a transaction on the target holds one of the tables; nothing was changed, try again",
            e);
      }
      if ("42501".equals(e.getSQLState())) {
        throw new UserError(
            "only the owner of a table may change its triggers ("
                + e.getMessage().strip()
                + "); nothing was changed, use that role in --target",
            e);
      }
      throw e;
    }
  }

  /** {@code dualwrite triggers status}. */
  @Command(
      name = "status",
      mixinStandardHelpOptions = true,
      sortOptions = false,
      usageHelpAutoWidth = true,
      header = "Lists the target's user triggers: how they are, how they were.",
      optionListHeading = "%nOptions:%n")
  static final class Status implements Callable<Integer> {

    @Mixin private Databases databases;

    @Override
    public Integer call() throws SQLException {
      Terminal terminal = Terminal.standard();
      List<TargetTriggers.Trigger> all;
      try (Connection c = databases.dataSource(Side.TARGET).getConnection()) {
        all = TargetTriggers.list(c);
      }
      if (all.isEmpty()) {
        terminal.println("the target has no user triggers");
        return ExitCode.DONE;
      }
      List<List<String>> rows = Terminal.rows("table", "trigger", "now", "noted");
      for (TargetTriggers.Trigger t : all) {
        rows.add(
            List.of(
                t.table().toString(),
                t.name(),
                word(t.now()),
                t.noted().map(Status::word).orElse("-")));
      }
      terminal.table(rows);
      return ExitCode.DONE;
    }

    private static String word(Fires f) {
      return f.name().toLowerCase(Locale.ROOT);
    }
  }

  /** {@code dualwrite triggers disable}. */
  @Command(
      name = "disable",
      mixinStandardHelpOptions = true,
      sortOptions = false,
      usageHelpAutoWidth = true,
      header = "Notes which triggers are enabled on the target, and disables them.",
      description = {
        "",
        "A second run disables only what is new. 'schema migrate' does this itself."
      },
      optionListHeading = "%nOptions:%n")
  static final class Disable implements Callable<Integer> {

    @Mixin private Databases databases;

    @Override
    public Integer call() throws SQLException {
      int n = change(databases, TargetTriggers::disable);
      Terminal.standard()
          .println(
              n == 0
                  ? "no user trigger was enabled on the target"
                  : "disabled " + SchemaCommand.count(n, "trigger"));
      return ExitCode.DONE;
    }
  }

  /** {@code dualwrite triggers enable}. */
  @Command(
      name = "enable",
      mixinStandardHelpOptions = true,
      sortOptions = false,
      usageHelpAutoWidth = true,
      header = "Enables exactly the triggers that were noted, each as it was.",
      description = {
        "",
        "When the target is the primary: until then every mirrored row would fire them.",
      },
      optionListHeading = "%nOptions:%n")
  static final class Enable implements Callable<Integer> {

    @Mixin private Databases databases;

    @Override
    public Integer call() throws SQLException {
      int n = change(databases, TargetTriggers::enable);
      Terminal.standard()
          .println(
              n == 0
                  ? "nothing was noted: no trigger was changed"
                  : "enabled " + SchemaCommand.count(n, "trigger") + " again, as noted");
      return ExitCode.DONE;
    }
  }
}
