package io.dualwrite.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.dualwrite.catalog.TableName;
import io.dualwrite.control.Incarnation;
import io.dualwrite.journal.Intent;
import io.dualwrite.journal.JournalReader;
import io.dualwrite.journal.JournalUnit;
import io.dualwrite.journal.RowChange;
import io.dualwrite.journal.Suspect;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.stream.LongStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code dualwrite journal skip}. */
@Command(
    name = "skip",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header =
        "Drops units of work from a stopped application's journal; their tables become suspects.",
    description = {
      "",
      "The last resort, for a unit that fails for good. What it wrote may be missing on the mirror"
          + " from then on, so its tables are noted as suspects before it goes: 'dualwrite reconcile'"
          + " makes them equal, and until then cutover refuses. Needs sequences or a filter, and"
          + " --yes; without it the units are listed and nothing is changed. Needs no database.",
    },
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExamples:%n",
    footer = {
      "  dualwrite journal skip /var/lib/shop/journal 4711 --yes",
      "  dualwrite journal skip /var/lib/shop/journal --parked --table audit_log",
    })
final class JournalSkip implements Callable<Integer> {

  private static final int SHOWN = 20;

  @Mixin private Selection selection;

  @Option(
      names = "--statements",
      order = 19,
      description =
          "Instead of units: what stands for statements (DDL) that the journal could not record. You"
              + " have done them on the target; all tables are to be compared then.")
  private boolean statements;

  @Option(names = "--yes", order = 20, description = "Do it.")
  private boolean yes;

  @Option(
      names = "--reason",
      paramLabel = "TEXT",
      order = 21,
      description = "Why, for whoever reads the suspects later.")
  private String reason;

  @Mixin private Json json;

  @Spec private CommandSpec spec;

  private Terminal terminal;

  /** The units, and the last transaction that wrote to each of their tables. */
  private static final class Chosen {
    long units;
    final LongStream.Builder sequences = LongStream.builder();
    final Map<TableName, Intent> tables = new TreeMap<>();
  }

  @Override
  public Integer call() throws SQLException {
    terminal = Terminal.standard();
    if (selection.any() == statements) {
      throw new ParameterException(
          spec.commandLine(),
          "which units? Name their sequences, as 'journal list' shows them, or a filter such as"
              + " --parked, or else --statements");
    }
    List<Path> journals = selection.journals(null);
    if (journals.size() > 1 && selection.sequences()) {
      throw new ParameterException(
          spec.commandLine(),
          "each journal counts its units by itself: name one journal with sequences");
    }
    long[] chosen = {0};
    int code =
        JournalCommand.each(
            spec,
            journals,
            directory -> {
              long n = yes ? skip(directory) : list(directory);
              chosen[0] += n;
              return ExitCode.DONE;
            });
    if (code != ExitCode.DONE) {
      return code;
    }
    if (chosen[0] == 0) {
      throw new UserError(
          "no unit of work that the mirror may lack is among those asked for; 'dualwrite journal list "
              + journals.get(0)
              + "' lists them");
    }
    if (!yes) {
      throw new ParameterException(
          spec.commandLine(),
          "nothing was changed; --yes skips " + (chosen[0] == 1 ? "this unit" : "these units"));
    }
    return code;
  }

  private long list(Path directory) {
    try (JournalReader reader = JournalReader.readOnly(directory)) {
      if (reader.usedBy() != null) {
        throw new UserError(
            "the journal in "
                + directory
                + " is in use by "
                + reader.usedBy()
                + ": stop that process first");
      }
      Chosen c = choose(reader);
      if (c.units > 0) {
        say(directory, c, false);
      }
      return c.units;
    }
  }

  private long skip(Path directory) {
    try (JournalReader reader = JournalReader.open(directory)) {
      Chosen c = choose(reader);
      if (c.units == 0) {
        return 0;
      }
      // first: whatever happens now, nothing is lost in silence
      long now = ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now());
      String why =
          "a unit of work that wrote to it was skipped by the operator"
              + (reason == null ? "" : ": " + reason);
      if (statements) {
        reader.journal().statementsDone();
      } else {
        c.tables.forEach(
            (t, i) -> reader.journal().suspect(new Suspect(t, why, now, i.incarnation(), i.xid())));
        c.sequences.build().forEach(reader.journal()::resolved);
      }
      say(directory, c, true);
      return c.units;
    }
  }

  private Chosen choose(JournalReader reader) {
    Chosen c = new Chosen();
    if (statements) {
      for (Suspect s : reader.suspects()) {
        if (s.statements()) {
          c.units++;
          c.tables.put(RowChange.NO_TABLE, null);
          if (!json.wanted()) {
            Units.print(terminal, "suspect", s.table().name(), s.reason());
          }
        }
      }
      return c;
    }
    reader.units(
        false,
        u -> {
          if (!selection.test(u)) {
            return true;
          }
          c.units++;
          c.sequences.add(u.intent().sequence());
          for (RowChange change : u.intent().changes()) {
            // an incarnation that came later ended all transactions of those before it
            c.tables.merge(
                change.table(),
                u.intent(),
                (a, b) ->
                    Incarnation.same(a.incarnation(), b.incarnation()) && a.xid() > b.xid()
                        ? a
                        : b);
          }
          show(u, c.units);
          return true;
        });
    if (c.units > SHOWN && !json.wanted()) {
      terminal.println("    ... and " + Terminal.number(c.units - SHOWN) + " more");
    }
    return c;
  }

  private void show(JournalUnit u, long n) {
    if (!json.wanted() && n <= SHOWN) {
      JournalList.row(terminal, u);
    }
  }

  private void say(Path directory, Chosen c, boolean done) {
    if (json.wanted()) {
      ObjectNode o = Json.object("summary").put("journal", directory.toString());
      o.put("skipped", done).put("units", c.units);
      c.tables.keySet().forEach(x -> o.withArray("suspects").add(x.toString()));
      terminal.println(Json.line(o));
      return;
    }
    String tables = Units.tables(c.tables.keySet());
    terminal.println(
        "    "
            + Terminal.count(c.units, "unit")
            + (done ? " skipped; suspect now: " : " would be skipped; suspects then: ")
            + tables);
    if (done) {
      terminal.println("    next: dualwrite reconcile " + directory);
    }
  }
}
