package io.dualwrite.cli;

import io.dualwrite.backfill.BackfillException;
import io.dualwrite.cli.demo.DemoCommand;
import io.dualwrite.config.PgUri;
import io.dualwrite.journal.JournalException;
import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The {@code dualwrite} command. */
@Command(
    name = "dualwrite",
    versionProvider = Main.Version.class,
    mixinStandardHelpOptions = true,
    sortOptions = false,
    synopsisSubcommandLabel = "COMMAND",
    usageHelpAutoWidth = true,
    header = "Moves a live PostgreSQL application to another database, without stopping it.",
    description = {
      "",
      "The application writes to both databases through dualwrite's DataSource; this command does"
          + " the rest: copies what was there before, proves that both are equal, and shows where"
          + " the move stands.",
      "",
    },
    commandListHeading = "%nCommands, in the order in which a move needs them:%n",
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExit codes:%n",
    footer = {
      "    0  done, nothing left to do",
      "    1  failed, or what was compared differs",
      "    2  the command line is wrong",
      "  130  interrupted with work left; the same command goes on",
      "",
      "See the whole method at work on two throw-away servers:  dualwrite demo",
      "Help for one command:                                    dualwrite copy --help",
    },
    subcommands = {
      DemoCommand.class,
      DoctorCommand.class,
      SchemaCommand.class,
      StageCommand.class,
      CopyCommand.class,
      RefreshCaggsCommand.class,
      VerifyCommand.class,
      JobsCommand.class,
      TriggersCommand.class,
      StatusCommand.class,
      ReconcileCommand.class,
      CleanCommand.class,
      JournalCommand.class,
      SimulateCommand.class,
    })
public final class Main implements Callable<Integer> {

  @Option(
      names = {"-v", "--verbose"},
      scope = ScopeType.INHERIT,
      description = "Also log what goes on, and show stack traces.")
  private boolean verbose;

  @Spec private CommandSpec spec;

  private static final Pattern URI = Pattern.compile("(?is)(?:jdbc:\\w+:|\\w+://).*");

  /** An option, or a part of a connection string in libpq's other form. */
  private static final Pattern SECRET =
      Pattern.compile("(?is)(?:password|secret|token)[^\\s=]*(?:\\s*=\\s*(.+))?");

  /** The process was told to end. */
  private static volatile boolean stopping;

  private Main() {}

  /** Runs the command and ends the process with its exit code. */
  public static void main(String[] args) {
    Runtime.getRuntime().addShutdownHook(new Thread(() -> stopping = true, "dualwrite-stopping"));
    if (List.of(args).contains("--json")) { // JSON is UTF-8 whatever the locale's encoding is
      System.setOut(
          new PrintStream(
              new BufferedOutputStream(new FileOutputStream(FileDescriptor.out)),
              true,
              StandardCharsets.UTF_8));
    }
    PrintWriter err = new PrintWriter(System.err, true, Charset.defaultCharset());
    int code = run(err, args);
    if (System.out.checkError() && code == ExitCode.DONE) { // flushes
      err.println("dualwrite: standard output could not be written to the end; is the disk full?");
      code = ExitCode.FAILED;
    }
    System.exit(code);
  }

  /** Runs the command; see {@link ExitCode}. What goes wrong is said on {@code err}. */
  static int run(PrintWriter err, String... args) {
    logging(args);
    Main main = new Main();
    CommandLine line = new CommandLine(main);
    line.setErr(err);
    line.setCaseInsensitiveEnumValuesAllowed(true);
    line.setExecutionExceptionHandler(
        (e, command, parsed) -> {
          if (stopping) {
            return ExitCode.INTERRUPTED; // what fails now fails because of that
          }
          err.println(
              command.getColorScheme().errorText("dualwrite: " + masked(sentence(e), args)));
          if (main.verbose) {
            StringWriter trace = new StringWriter();
            e.printStackTrace(new PrintWriter(trace, true));
            err.print(masked(trace.toString(), args));
            err.flush();
          } else if (!expected(e)) {
            err.println("(--verbose shows where that comes from)");
          }
          return ExitCode.FAILED;
        });
    line.setParameterExceptionHandler(
        (e, ignored) -> {
          CommandLine command = e.getCommandLine();
          command
              .getErr()
              .println(
                  command.getColorScheme().errorText("dualwrite: " + masked(e.getMessage(), args)));
          CommandLine.UnmatchedArgumentException.printSuggestions(e, command.getErr());
          command.getErr().println("Try: " + command.getCommandSpec().qualifiedName() + " --help");
          return ExitCode.USAGE;
        });
    return line.execute(args);
  }

  @Override
  public Integer call() {
    throw new ParameterException(
        spec.commandLine(), "which command? 'dualwrite --help' lists them");
  }

  /** Before anything logs: the logging library reads its settings once. */
  private static void logging(String... args) {
    boolean loud = isVerbose(args);
    String prefix = "org.slf4j.simpleLogger.";
    setDefault(prefix + "defaultLogLevel", loud ? "info" : "warn");
    setDefault(prefix + "showThreadName", "false");
    setDefault(prefix + "showShortLogName", "true");
    setDefault(prefix + "showDateTime", "true");
    setDefault(prefix + "dateTimeFormat", "HH:mm:ss");
    if (!loud) {
      // Each connection to a dead database is reported by the pool; the command says it once.
      setDefault(prefix + "log.com.zaxxer.hikari", "error");
      setDefault(prefix + "log.io.zonky", "off");
      setDefault(prefix + "log.net.openhft", "error");
      if (args.length > 0 && args[0].equals("demo")) {
        setDefault(prefix + "log.io.dualwrite", "error"); // it kills the target itself
      }
    }
  }

  private static void setDefault(String key, String value) {
    if (System.getProperty(key) == null) {
      System.setProperty(key, value);
    }
  }

  private static boolean isVerbose(String... args) {
    for (String a : args) {
      if (a.equals("-v") || a.equals("--verbose")) {
        return true;
      }
    }
    return false;
  }

  /**
   * What is wrong with an argument is told with it, also where it is a password in a wrong place.
   */
  private static String masked(String message, String... args) {
    String result = message;
    for (int i = 0; i < args.length; i++) {
      Matcher uri = URI.matcher(args[i]);
      Matcher secret = SECRET.matcher(args[i]);
      if (uri.find()) {
        String text = uri.group();
        String instead = PgUri.mask(text);
        result = result.replace(text, instead).replace(text.replace("//", "/"), instead); // a path
      } else if (secret.find()) {
        if (secret.group(1) != null) {
          result = result.replace(secret.group(1), "***");
        } else if (i + 1 < args.length) { // the next one is its value
          result = result.replace("'" + args[i + 1] + "'", "'***'");
        }
      }
    }
    return result;
  }

  private static boolean expected(Throwable e) {
    return e instanceof UserError
        || e instanceof JournalException
        || e instanceof BackfillException
        || e instanceof IllegalArgumentException
        || e instanceof SQLException;
  }

  private static String sentence(Throwable e) {
    String message = e.getMessage();
    if (message == null || message.isBlank()) {
      return "unexpected: " + e.getClass().getSimpleName();
    }
    message = message.strip().replaceAll("\\s*\\R\\s*", "; ");
    if (e instanceof SQLException s && s.getSQLState() != null) {
      return message + " [" + s.getSQLState() + "]";
    }
    return expected(e) ? message : "unexpected: " + message;
  }

  /** The version, from the build. */
  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      Properties p = new Properties();
      try (InputStream in = Main.class.getResourceAsStream("version.properties")) {
        p.load(in);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
      return new String[] {
        "dualwrite " + p.getProperty("version"),
        "Java " + Runtime.version() + ", " + System.getProperty("os.name")
      };
    }
  }
}
