package io.dualwrite.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.dualwrite.journal.JournalCheck;
import io.dualwrite.journal.JournalEntry;
import io.dualwrite.journal.JournalReader;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code dualwrite journal verify}. */
@Command(
    name = "verify",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header = "Checks every record of journals: checksums and structure.",
    description = {
      "",
      "Reads every byte and changes nothing; needs no database. Exit code 1 if anything is damaged."
          + " Damage that was found when the application started became suspects then, and is"
          + " reported as settled until its file is given back.",
    },
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExample:%n",
    footer = {"  dualwrite journal verify /var/lib/shop/journals"})
final class JournalVerify implements Callable<Integer> {

  @Parameters(
      paramLabel = "DIR",
      arity = "1..*",
      description = "Directories of journals, or directories that hold journals.")
  private List<Path> places;

  @Mixin private Json json;

  @Spec private CommandSpec spec;

  @Override
  public Integer call() throws SQLException {
    Terminal terminal = Terminal.standard();
    List<Path> journals = Selection.journalsAt(places);
    return JournalCommand.each(
        spec,
        journals,
        directory -> {
          try (JournalReader reader = JournalCommand.look(directory, terminal, json, true)) {
            JournalCheck check =
                reader.verify(
                    d ->
                        terminal.println(
                            json.wanted()
                                ? Json.line(json(directory, d))
                                : "    " + line(terminal, d)));
            if (json.wanted()) {
              ObjectNode o = Json.object("summary").put("journal", directory.toString());
              o.put("files", check.files()).put("bytes", check.bytes());
              o.put("records", check.records()).put("units", check.units());
              o.put("damaged", check.damaged());
              terminal.println(Json.line(o));
            } else {
              terminal.println(
                  "    "
                      + Terminal.count(check.files(), "file")
                      + ", "
                      + Terminal.bytes(check.bytes())
                      + ", "
                      + Terminal.count(check.records(), "record")
                      + ", "
                      + Terminal.count(check.units(), "unit")
                      + " of work: "
                      + (check.damaged() == 0
                          ? terminal.good("sound")
                          : terminal.bad(Terminal.number(check.damaged()) + " damaged")));
            }
            return check.damaged() == 0 ? ExitCode.DONE : ExitCode.FAILED;
          }
        });
  }

  private static String line(Terminal terminal, JournalEntry.Damaged d) {
    return terminal.bad("damaged ")
        + d.file()
        + " at byte "
        + d.position()
        + ": "
        + d.what()
        + "; "
        + (d.settled() ? "settled" : "may concern " + tables(d));
  }

  private static String tables(JournalEntry.Damaged d) {
    return Units.tables(d.tables());
  }

  static ObjectNode json(Path directory, JournalEntry.Damaged d) {
    ObjectNode o = Json.object("damage").put("journal", directory.toString());
    o.put("file", d.file()).put("position", d.position()).put("what", d.what());
    ArrayNode tables = o.putArray("tables");
    d.tables().forEach(t -> tables.add(t.toString()));
    o.put("settled", d.settled());
    return o;
  }
}
