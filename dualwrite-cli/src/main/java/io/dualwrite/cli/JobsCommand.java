package io.dualwrite.cli;

import io.dualwrite.backfill.jobs.Jobs;
import io.dualwrite.control.ControlSchema;
import io.dualwrite.control.Side;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code dualwrite jobs}. */
@Command(
    name = "jobs",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    synopsisSubcommandLabel = "COMMAND",
    header = "TimescaleDB's background jobs on the target: off during the copy, then back.",
    description = {
      "",
      "While chunks are copied, policies must not compress, refresh or drop them. 'schema migrate'"
          + " disables all jobs and notes which were scheduled. After the copy: 'jobs run' catches up"
          + " one by one, 'jobs enable' restores exactly what was noted. Jobs that run procedures of"
          + " your own stay off while the source is the primary, as what they write would be on the"
          + " target alone; after the cutover the same commands include them.",
    },
    optionListHeading = "%nOptions:%n",
    commandListHeading = "%nCommands:%n",
    footerHeading = "%nExamples:%n",
    footer = {"  dualwrite jobs run --pause 30s", "  dualwrite jobs enable --pace 1m"},
    subcommands = {
      JobsCommand.Status.class,
      JobsCommand.Disable.class,
      JobsCommand.Run.class,
      JobsCommand.Enable.class,
    })
final class JobsCommand implements Callable<Integer> {

  @Spec private CommandSpec spec;

  @Override
  public Integer call() {
    throw new ParameterException(
        spec.commandLine(), "which command? 'dualwrite jobs --help' lists them");
  }

  private interface Work {
    int on(Connection c, Terminal terminal) throws SQLException;
  }

  private static int onTarget(Databases databases, Work work) throws SQLException {
    Terminal terminal = Terminal.standard();
    try (Connection c = databases.dataSource(Side.TARGET).getConnection()) {
      if (!Jobs.available(c)) {
        terminal.println(
            "the target's database has no TimescaleDB, so it has no background jobs: nothing to do");
        return ExitCode.DONE;
      }
      return work.on(c, terminal);
    }
  }

  /** Whether procedures of the users' own may run: they write where the application does. */
  private static final class Actions {

    @Option(
        names = "--actions",
        description =
            "Also jobs that run procedures of your own, although the source is the primary.")
    private boolean actions;

    private boolean allowed(Connection c) throws SQLException {
      return actions || ControlSchema.targetIsPrimary(c);
    }
  }

  /** Names the jobs that stay off because of what they are. */
  private static void held(Terminal terminal, List<Jobs.Job> jobs) {
    if (!jobs.isEmpty()) {
      terminal.println(
          "left off until the target is the primary, as they run procedures of your own: "
              + jobs.stream()
                  .map(j -> j.id() + " " + j.describe())
                  .collect(Collectors.joining(", "))
              + "; --actions includes them");
    }
  }

  /** {@code dualwrite jobs status}. */
  @Command(
      name = "status",
      mixinStandardHelpOptions = true,
      sortOptions = false,
      usageHelpAutoWidth = true,
      header = "Lists the target's jobs: scheduled now, noted before, due.",
      optionListHeading = "%nOptions:%n")
  static final class Status implements Callable<Integer> {

    @Mixin private Databases databases;

    @Override
    public Integer call() throws SQLException {
      return onTarget(
          databases,
          (c, terminal) -> {
            List<Jobs.Job> all = Jobs.list(c);
            if (all.isEmpty()) {
              terminal.println("the target has no background jobs of its users");
              return ExitCode.DONE;
            }
            List<List<String>> rows =
                Terminal.rows("job", "what", "now", "noted", "due", "every", "last run");
            for (Jobs.Job j : all) {
              rows.add(
                  List.of(
                      Integer.toString(j.id()),
                      j.describe(),
                      onOff(j.scheduled()),
                      j.recorded().map(Status::onOff).orElse("-"),
                      j.due() ? "yes" : "",
                      j.every(),
                      j.lastRun().orElse("never")));
            }
            terminal.table(rows);
            return ExitCode.DONE;
          });
    }

    private static String onOff(boolean on) {
      return on ? "on" : "off";
    }
  }

  /** {@code dualwrite jobs disable}. */
  @Command(
      name = "disable",
      mixinStandardHelpOptions = true,
      sortOptions = false,
      usageHelpAutoWidth = true,
      header = "Notes which jobs are scheduled on the target, and takes them off the schedule.",
      description = {
        "",
        "What was noted before stays. A job that runs at the moment runs to its end.",
      },
      optionListHeading = "%nOptions:%n")
  static final class Disable implements Callable<Integer> {

    @Mixin private Databases databases;

    @Override
    public Integer call() throws SQLException {
      return onTarget(
          databases,
          (c, terminal) -> {
            int n = Jobs.disable(c);
            terminal.println(
                n == 0
                    ? "no job was scheduled on the target"
                    : "disabled " + SchemaCommand.count(n, "job"));
            return ExitCode.DONE;
          });
    }
  }

  /** {@code dualwrite jobs run}. */
  @Command(
      name = "run",
      mixinStandardHelpOptions = true,
      sortOptions = false,
      usageHelpAutoWidth = true,
      header = "Runs the jobs that are due, one after another.",
      description = {
        "",
        "After the copy, before 'jobs enable': refreshes of continuous aggregates, then"
            + " compression, retention last. Jobs that were not scheduled are not run. Ctrl-C ends it"
            + " after the job at hand; the same command goes on with those that are left.",
      },
      optionListHeading = "%nOptions:%n")
  static final class Run implements Callable<Integer> {

    @Mixin private Databases databases;

    @Option(
        names = "--pause",
        paramLabel = "TIME",
        defaultValue = "5s",
        converter = DurationConverter.class,
        description = "Between two jobs (default: ${DEFAULT-VALUE}).")
    private Duration pause;

    @Mixin private Actions actions;

    @Option(names = "--force", description = "Even if the copy has work left.")
    private boolean force;

    @Override
    public Integer call() throws SQLException {
      return onTarget(databases, this::run);
    }

    private int run(Connection c, Terminal terminal) throws SQLException {
      if (!force) {
        Jobs.requireCopied(c);
      }
      try (Interruption interruption = Interruption.stops(Thread.currentThread()::interrupt)) {
        boolean all = actions.allowed(c);
        List<Jobs.Job> held =
            Jobs.list(c).stream().filter(j -> j.due() && j.action() && !all).toList();
        Jobs.Run r = Jobs.run(c, pause, all, new Shown(terminal));
        if (r.left() > 0) {
          terminal.println(
              "interrupted; "
                  + SchemaCommand.count(r.left(), "job")
                  + " left, the same command goes on");
          return interruption.exitCode(ExitCode.INTERRUPTED);
        }
        held(terminal, held);
        if (r.done() + r.failed() == 0 && held.isEmpty()) {
          terminal.println(
              "no job is due: disabled ones that were scheduled are run, 'dualwrite jobs status' shows them");
        }
        return interruption.exitCode(r.failed() == 0 ? ExitCode.DONE : ExitCode.FAILED);
      }
    }
  }

  private record Shown(Terminal terminal) implements Jobs.Listener {
    @Override
    public void begins(Jobs.Job job) {
      terminal.status(job.id() + " " + job.describe() + " ...");
    }

    @Override
    public void ended(Jobs.Job job, Duration took, String error) {
      terminal.status("");
      terminal.println(
          job.id()
              + " "
              + job.describe()
              + ": "
              + (error == null
                  ? "done in " + Terminal.time(took)
                  : terminal.bad("failed: ") + error));
    }
  }

  /** {@code dualwrite jobs enable}. */
  @Command(
      name = "enable",
      mixinStandardHelpOptions = true,
      sortOptions = false,
      usageHelpAutoWidth = true,
      header = "Puts exactly those jobs back on the schedule that were on it.",
      optionListHeading = "%nOptions:%n")
  static final class Enable implements Callable<Integer> {

    @Mixin private Databases databases;

    @Option(
        names = "--pace",
        paramLabel = "TIME",
        defaultValue = "30s",
        converter = DurationConverter.class,
        description = "Between the first runs of two jobs (default: ${DEFAULT-VALUE}).")
    private Duration pace;

    @Mixin private Actions actions;

    @Option(names = "--force", description = "Even if the copy has work left.")
    private boolean force;

    @Override
    public Integer call() throws SQLException {
      return onTarget(
          databases,
          (c, terminal) -> {
            if (!force) {
              Jobs.requireCopied(c);
            }
            List<Jobs.Job> back = Jobs.restore(c, pace, actions.allowed(c));
            List<Jobs.Job> held =
                Jobs.list(c).stream()
                    .filter(j -> !j.scheduled() && j.recorded().equals(Optional.of(true)))
                    .toList();
            if (!back.isEmpty()) {
              terminal.println(
                  "scheduled again: "
                      + SchemaCommand.count(back.size(), "job")
                      + ", the first runs "
                      + Terminal.time(pace)
                      + " apart");
            } else if (held.isEmpty()) {
              terminal.println("nothing was noted as scheduled: no job was changed");
            }
            held(terminal, held);
            return ExitCode.DONE;
          });
    }
  }
}
