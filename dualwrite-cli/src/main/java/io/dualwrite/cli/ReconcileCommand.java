package io.dualwrite.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.dualwrite.catalog.TableName;
import io.dualwrite.control.RolesFile;
import io.dualwrite.control.Side;
import io.dualwrite.converge.Reconcile;
import io.dualwrite.journal.JournalException;
import io.dualwrite.journal.JournalReader;
import io.dualwrite.journal.Suspect;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code dualwrite reconcile}. */
@Command(
    name = "reconcile",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header =
        "Makes the suspect tables of stopped applications' journals equal; closes the suspects.",
    description = {
      "",
      "A suspect is a table that may differ in rows whose keys are not known: after a machine's crash"
          + " with dualwrite.journal.sync=none, or a skipped unit, for instance. Its rows are all"
          + " compared by key, or copied anew where there is no key, while other processes go on"
          + " writing. A running application does the same with DualWriteDataSource.reconcile(), and"
          + " holds its journal locked. Replay first what is pending: 'dualwrite journal replay'.",
      "",
      "Exit code 0 if no suspect is left, 1 if one is, 130 if interrupted. --watch goes on until it is"
          + " interrupted, holds a journal only while it has suspects, and passes over those in use.",
    },
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExamples:%n",
    footer = {
      "  dualwrite reconcile /var/lib/shop/journals --config app.properties",
      "  dualwrite reconcile /var/lib/shop/journal --table orders",
    })
final class ReconcileCommand implements Callable<Integer> {

  private static final long PLAIN_NANOS = TimeUnit.SECONDS.toNanos(10);

  @Parameters(
      paramLabel = "DIR",
      arity = "0..*",
      description =
          "Directories of journals, or directories that hold journals (default:"
              + " dualwrite.journal.dir of --config).")
  private List<Path> places = List.of();

  @Mixin private Databases databases;

  @Option(
      names = {"-t", "--table"},
      paramLabel = "TABLE",
      order = 10,
      description = "Only this table's suspect (schema.table; schema public if not given).")
  private List<String> tables = List.of();

  @Option(
      names = {"-w", "--watch"},
      order = 20,
      description = "Look again and again for suspects, until interrupted.")
  private boolean watch;

  @Option(
      names = "--interval",
      paramLabel = "SECONDS",
      order = 21,
      defaultValue = "5",
      description = "How often --watch looks (default: ${DEFAULT-VALUE}).")
  private int interval;

  @Option(
      names = "--max-rate",
      paramLabel = "ROWS",
      order = 22,
      description =
          "Rows a second to read from the primary at most (else dualwrite.reconcile.max-rate of"
              + " --config; default: no limit).")
  private Integer maxRate;

  @Mixin private Json json;

  @Spec private CommandSpec spec;

  private Terminal terminal;
  private Set<TableName> names;
  private boolean several;
  private volatile boolean stopped;
  private long said = System.nanoTime();
  private final Set<String> passedOver = new HashSet<>();

  /** What is left of one journal, and what was closed. */
  private record Round(int closed, int left) {}

  @Override
  public Integer call() throws SQLException {
    terminal = Terminal.standard();
    names = new HashSet<>();
    for (String t : tables) {
      try {
        names.add(TableName.parse(t));
      } catch (IllegalArgumentException e) {
        throw new ParameterException(spec.commandLine(), "--table: " + e.getMessage());
      }
    }
    if (interval < 1) {
      throw new ParameterException(spec.commandLine(), "--interval: at least 1 second");
    }
    List<Path> journals = journals();
    several = journals.size() > 1;
    Thread worker = Thread.currentThread();
    try (Interruption interruption =
            Interruption.stops(
                () -> {
                  stopped = true;
                  worker.interrupt();
                });
        Engines engines = new Engines()) {
      if (!watch) {
        return interruption.exitCode(JournalCommand.each(spec, journals, j -> once(j, engines)));
      }
      while (true) {
        int left = 0;
        for (Path j : journals()) {
          left += look(j);
        }
        if (!stopped) {
          LockSupport.parkNanos(this, TimeUnit.SECONDS.toNanos(interval));
        }
        if (stopped || Thread.currentThread().isInterrupted()) {
          return interruption.exitCode(left == 0 ? ExitCode.DONE : ExitCode.INTERRUPTED);
        }
      }
    }
  }

  private List<Path> journals() {
    if (!places.isEmpty()) {
      return Selection.journalsAt(places);
    }
    Path configured = databases.journal();
    if (configured == null) {
      throw new ParameterException(
          spec.commandLine(),
          "which journal? Name its directory, or --config a file that has dualwrite.journal.dir");
    }
    return Selection.journalsAt(List.of(configured));
  }

  /** Connected when there is something to do. */
  private final class Engines implements AutoCloseable {
    private Databases.Engine engine;

    Databases.Engine get() throws SQLException {
      if (engine == null) {
        engine = databases.engine(maxRate);
      }
      return engine;
    }

    @Override
    public void close() {
      if (engine != null) {
        engine.close();
      }
    }
  }

  private int once(Path directory, Engines engines) throws SQLException {
    try (JournalReader reader = JournalReader.open(directory)) {
      if (several && !json.wanted()) {
        terminal.println(terminal.bold(directory.toString()));
      }
      Round r = reconcile(directory, reader, engines);
      if (json.wanted()) {
        ObjectNode o = Json.object("summary").put("journal", directory.toString());
        terminal.println(Json.line(o.put("closed", r.closed).put("left", r.left)));
      } else if (r.closed + r.left == 0) {
        terminal.println(
            "    " + (names.isEmpty() ? "no table is suspect" : "none of these tables is suspect"));
      } else {
        terminal.println("    " + Terminal.number(r.closed) + " closed, " + r.left + " left");
      }
      return stopped && r.left > 0
          ? ExitCode.INTERRUPTED
          : r.left == 0 ? ExitCode.DONE : ExitCode.FAILED;
    }
  }

  /** One look of {@code --watch}; returns how many suspects are left. */
  private int look(Path directory) {
    try (JournalReader view = JournalReader.readOnly(directory)) {
      int open = (int) view.suspects().stream().filter(this::wanted).count();
      if (view.usedBy() != null) {
        if (open > 0) {
          passOver(
              directory,
              "in use by "
                  + view.usedBy()
                  + ", which reconciles it; "
                  + open
                  + " suspects are open");
        }
        return open;
      }
      if (open == 0) {
        return 0;
      }
    } catch (JournalException e) {
      passOver(directory, e.getMessage());
      return 0;
    }
    // the roles of now, and held only while there is something to do
    try (JournalReader reader = JournalReader.open(directory);
        Engines engines = new Engines()) {
      return reconcile(directory, reader, engines).left;
    } catch (JournalException | SQLException e) {
      passOver(directory, e.getMessage());
      return 1;
    }
  }

  /** Said once, not at every look. */
  private void passOver(Path directory, String why) {
    if (passedOver.add(directory + " " + why)) {
      say("passed over", directory, null, why);
    }
  }

  /** It stands for every table: some of them being equal says nothing of the others. */
  private static boolean every(Suspect s) {
    return s.table().name().equals("*");
  }

  private boolean wanted(Suspect s) {
    return names.isEmpty() || names.contains(s.table());
  }

  private Round reconcile(Path directory, JournalReader reader, Engines engines)
      throws SQLException {
    if (!names.isEmpty() && reader.suspects().stream().anyMatch(ReconcileCommand::every)) {
      say("left", directory, null, "every table is suspect there; run this without --table");
      return new Round(0, 1);
    }
    List<Suspect> open = reader.suspects().stream().filter(this::wanted).toList();
    if (open.isEmpty()) {
      return new Round(0, 0);
    }
    Databases.Engine engine = engines.get();
    // a journal without the file is of before any cutover
    Side then = RolesFile.read(directory).map(f -> f.roles().primary()).orElse(Side.SOURCE);
    if (then != engine.roles().primary()) {
      say(
          "left",
          directory,
          null,
          "its tables became suspect while the "
              + then
              + " was primary, and the "
              + engine.roles().primary()
              + " is now: made equal, they would lose what the "
              + then
              + " alone has. Compare them by 'dualwrite verify', and bring over by hand what is missing");
      return new Round(0, open.size());
    }
    Reconcile reconcile = new Reconcile(engine.convergence(), reader.journal());
    int closed = 0;
    for (Suspect s : open) {
      if (stopped) {
        break;
      }
      say("suspect", directory, s.table(), s.reason());
      if (s.statements()) {
        say(
            "left",
            directory,
            s.table(),
            "do it there, then 'dualwrite journal skip --statements " + directory + "'");
        continue;
      }
      try {
        int n =
            reconcile.run(
                x -> x.table().equals(s.table()),
                (x, table, rows) -> progress(directory, table, rows));
        terminal.status("");
        if (n > 0) {
          closed += n;
          say("closed", directory, s.table(), "equal on both sides");
        } else if (!stopped) {
          say(
              "left",
              directory,
              s.table(),
              reader.journal().barriers().isEmpty()
                  ? "a transaction that opened it has not ended, or it was opened again meanwhile; run this"
                      + " again"
                  : "statements (DDL) of unit "
                      + reader.journal().barriers().first()
                      + " come first; run 'dualwrite journal replay', then this again");
        }
      } catch (SQLException e) {
        terminal.status("");
        if (stopped) {
          break;
        }
        say("left", directory, s.table(), Units.firstLine(e.getMessage()));
      }
    }
    if (closed > 0) {
      JournalReplay.goodbye(reader, engine.convergence());
    }
    int left = (int) reader.suspects().stream().filter(this::wanted).count();
    return new Round(closed, left);
  }

  private void progress(Path directory, TableName table, long rows) {
    if (stopped) {
      return;
    }
    String line =
        "    reconcile "
            + table
            + (rows == 0 ? "" : ": " + Terminal.number(rows) + " keys compared");
    if (terminal.interactive() && !json.wanted()) {
      terminal.status(line);
    } else if (System.nanoTime() - said > PLAIN_NANOS) {
      said = System.nanoTime();
      if (json.wanted()) {
        ObjectNode o = Json.object("progress").put("journal", directory.toString());
        terminal.println(Json.line(o.put("table", table.toString()).put("keys", rows)));
      } else {
        terminal.println(line);
      }
    }
  }

  private void say(String what, Path directory, TableName table, String text) {
    if (json.wanted()) {
      ObjectNode o = Json.object(what.replace(" ", "-")).put("journal", directory.toString());
      if (table != null) {
        o.put("table", table.toString());
      }
      terminal.println(Json.line(o.put("text", text)));
      return;
    }
    boolean bad = what.equals("left") || what.equals("passed over");
    String label = what.equals("closed") ? terminal.good(what) : bad ? terminal.bad(what) : what;
    terminal.println(
        "    " + label + " " + (table == null ? directory : Units.name(table)) + ": " + text);
  }
}
