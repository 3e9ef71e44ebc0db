package io.dualwrite.cli;

import io.dualwrite.control.Roles;
import io.dualwrite.journal.Intent;
import io.dualwrite.journal.JournalReader;
import io.dualwrite.journal.JournalUnit;
import io.dualwrite.journal.RowChange;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code dualwrite journal show}. */
@Command(
    name = "show",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header = "Shows units of work with their rows.",
    description = {
      "",
      "The values of the rows are printed: mind who reads along, or mask them. Resolved units are"
          + " shown too while they are in the files. Changes nothing.",
    },
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExamples:%n",
    footer = {
      "  dualwrite journal show /var/lib/shop/journal 4711",
      "  dualwrite journal show /var/lib/shop/journal --parked --mask-columns email,card_number",
    })
final class JournalShow implements Callable<Integer> {

  private static final int MAX_CHARS = 60;
  private static final int WIDTH = 100;

  @Mixin private Selection selection;

  @Option(
      names = "--limit",
      paramLabel = "N",
      order = 21,
      defaultValue = "20",
      description = "At most so many units of each journal; 0: all (default: ${DEFAULT-VALUE}).")
  private int limit;

  @Option(names = "--full", order = 22, description = "Long values in full.")
  private boolean full;

  @Mixin private Masking masking;

  @Mixin private Json json;

  @Spec private CommandSpec spec;

  @Override
  public Integer call() throws SQLException {
    Terminal terminal = Terminal.standard();
    List<Path> journals = selection.journals(null);
    if (!selection.any()) {
      throw new ParameterException(
          spec.commandLine(),
          "which units? Name their sequences, as 'journal list' shows them, or a filter such as"
              + " --parked");
    }
    long[] shown = {0};
    int code =
        JournalCommand.each(
            spec,
            journals,
            directory -> {
              try (JournalReader reader =
                  JournalCommand.look(directory, terminal, json, journals.size() > 1)) {
                shown[0] += show(terminal, directory, reader);
              }
              return ExitCode.DONE;
            });
    if (code == ExitCode.DONE && shown[0] == 0) {
      throw new UserError(
          "there is no such unit of work any more, or never was; 'dualwrite journal list --all "
              + journals.get(0)
              + "' lists those that there are");
    }
    return code;
  }

  private long show(Terminal terminal, Path directory, JournalReader reader) {
    long[] n = {0, 0}; // shown, left
    reader.units(
        true,
        u -> {
          if (!selection.test(u)) {
            return true;
          }
          if (limit > 0 && n[0] == limit) {
            n[1]++;
            return true;
          }
          if (json.wanted()) {
            terminal.println(Json.line(Units.json(directory, u, masking)));
          } else {
            if (n[0] > 0) {
              terminal.println();
            }
            print(terminal, u);
          }
          n[0]++;
          return true;
        });
    if (n[1] > 0 && !json.wanted()) {
      terminal.println();
      terminal.println("    ... and " + Terminal.number(n[1]) + " more; --limit 0 shows all");
    }
    return n[0];
  }

  private void print(Terminal terminal, JournalUnit u) {
    Intent i = u.intent();
    List<List<String>> rows = Terminal.rows("sequence", Long.toString(i.sequence()));
    rows.add(List.of("when", Units.instant(i.wallMicros()).toString()));
    rows.add(
        List.of("state", Units.state(u).equals("unknown") ? "outcome unknown" : Units.state(u)));
    rows.add(List.of("primary", new Roles(i.epoch()).primary().toString()));
    rows.add(List.of("transaction", i.xid() + " of process " + i.pid()));
    terminal.table(rows);
    if (u.error() != null) {
      terminal.println("    " + terminal.bad("error"));
      masking.error(u.error()).lines().forEach(l -> terminal.println("      " + l));
    }
    for (RowChange c : i.changes()) {
      terminal.println();
      terminal.println(
          "  "
              + terminal.bold(Units.what(c))
              + (c.rows().length == 1 ? "" : "  " + Terminal.number(c.rows().length) + " rows"));
      rows(terminal, c);
    }
  }

  private void rows(Terminal terminal, RowChange c) {
    boolean[] masked = masking.masked(c);
    List<String> names = new ArrayList<>();
    for (int j = 0; j < c.columns().size(); j++) {
      // the old key stands first where it is changed
      boolean old = c.kind() == RowChange.Kind.REKEY && j < c.keyColumns().size();
      names.add(old ? "old " + c.columns().get(j) : c.columns().get(j));
    }
    List<List<String>> table = new ArrayList<>();
    table.add(names);
    for (String[] row : c.rows()) {
      List<String> cells = new ArrayList<>();
      for (int j = 0; j < row.length; j++) {
        cells.add(shown(Masking.value(row[j], j >= masked.length || masked[j])));
      }
      table.add(cells);
    }
    if (width(table) <= WIDTH) {
      terminal.table(table);
      return;
    }
    for (int r = 1; r < table.size(); r++) {
      List<List<String>> upright = new ArrayList<>();
      upright.add(List.of(table.size() == 2 ? "column" : "row " + r, "value"));
      for (int j = 0; j < table.get(r).size(); j++) {
        upright.add(List.of(j < names.size() ? names.get(j) : "", table.get(r).get(j)));
      }
      terminal.table(upright);
    }
  }

  private static int width(List<List<String>> table) {
    int sum = 2;
    for (int j = 0; j < table.get(0).size(); j++) {
      int w = 0;
      for (List<String> row : table) {
        w = Math.max(w, j < row.size() ? row.get(j).length() : 0);
      }
      sum += w + 2;
    }
    return sum;
  }

  private String shown(String value) {
    if (value == null) {
      return "NULL";
    }
    String line = String.join(" ", value.lines().toList());
    return full || line.length() <= MAX_CHARS ? line : line.substring(0, MAX_CHARS - 3) + "...";
  }
}
