package io.dualwrite.cli;

import io.dualwrite.catalog.TableName;
import io.dualwrite.journal.JournalReader;
import io.dualwrite.journal.JournalUnit;
import io.dualwrite.journal.RowChange;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code dualwrite journal export}. */
@Command(
    name = "export",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header = "Writes units of work out: as JSON lines, or as statements to read.",
    description = {
      "",
      "With their values, to a file that only you may read, or to standard output. The statements of"
          + " --sql are for reading: run later they would overwrite newer rows; 'journal replay' does"
          + " not. Without --all only units that the mirror may lack. Changes nothing.",
    },
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExamples:%n",
    footer = {
      "  dualwrite journal export /var/lib/shop/journal --parked -o parked.jsonl",
      "  dualwrite journal export /var/lib/shop/journal 4711 --sql --mask-columns email",
    })
final class JournalExport implements Callable<Integer> {

  @Mixin private Selection selection;

  @Option(names = "--all", order = 20, description = "The resolved ones too.")
  private boolean all;

  @Option(names = "--sql", order = 21, description = "As statements instead of JSON.")
  private boolean sql;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      order = 22,
      description = "To this new file (default: standard output).")
  private Path output;

  @Mixin private Masking masking;

  @Option(
      names = "--json",
      order = 90,
      description =
          "As JSON lines, which is what it does without --sql; and what was done as JSON.")
  private boolean json;

  @Spec private CommandSpec spec;

  @Override
  public Integer call() throws SQLException {
    List<Path> journals = selection.journals(null);
    long[] n = {0};
    int code;
    try (PrintStream out = open()) {
      code =
          JournalCommand.each(
              spec,
              journals,
              directory -> {
                n[0] += export(directory, out);
                return ExitCode.DONE;
              });
      if (out.checkError()) {
        throw new UserError(
            "not all could be written"
                + (output == null ? "" : " to " + output)
                + "; is the disk full?");
      }
    }
    if (output != null) {
      Terminal terminal = Terminal.standard();
      terminal.println(
          json
              ? Json.line(Json.object("summary").put("file", output.toString()).put("units", n[0]))
              : "    " + Terminal.number(n[0]) + " units of work written to " + output);
    }
    return code;
  }

  private PrintStream open() {
    if (output == null) {
      return new PrintStream(new Unclosed(System.out), false, StandardCharsets.UTF_8);
    }
    try {
      // values may be secrets
      if (FileSystems.getDefault().supportedFileAttributeViews().contains("posix")) {
        Files.createFile(
            output,
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
      } else {
        Files.createFile(output);
      }
      return new PrintStream(
          new BufferedOutputStream(Files.newOutputStream(output), 1 << 16),
          false,
          StandardCharsets.UTF_8);
    } catch (FileAlreadyExistsException e) {
      throw new UserError("there is a file " + output + " already; name another", e);
    } catch (IOException e) {
      throw new UserError("the file " + output + " cannot be written; check the path", e);
    }
  }

  /** Standard output is not ours to close. */
  private static final class Unclosed extends BufferedOutputStream {
    Unclosed(OutputStream out) {
      super(out, 1 << 16);
    }

    @Override
    public void close() throws IOException {
      flush();
    }
  }

  private long export(Path directory, PrintStream out) {
    long[] n = {0};
    try (JournalReader reader = JournalReader.readOnly(directory)) {
      if (sql) {
        out.println(comment("journal " + directory));
      }
      reader.units(
          all,
          u -> {
            if (selection.test(u)) {
              n[0]++;
              if (sql) {
                sql(out, u);
              } else {
                out.println(Json.line(Units.json(directory, u, masking)));
              }
            }
            return !out.checkError();
          });
    } catch (UncheckedIOException e) {
      throw new UserError("the units cannot be written; check the output", e);
    }
    return n[0];
  }

  // ---- statements

  private void sql(PrintStream out, JournalUnit u) {
    out.println();
    out.println(
        comment(
            "unit "
                + u.intent().sequence()
                + " of "
                + Units.instant(u.intent().wallMicros())
                + ", transaction "
                + u.intent().xid()
                + ": "
                + Units.state(u)));
    if (u.error() != null) {
      masking.error(u.error()).lines().forEach(l -> out.println(comment("  " + l)));
    }
    for (RowChange c : u.intent().changes()) {
      boolean[] masked = masking.masked(c);
      for (String[] row : c.rows()) {
        out.println(statement(c, row, masked));
      }
      if (c.rows().length == 0) {
        out.println(comment(Units.what(c)));
      }
    }
  }

  /** Nothing that is written may end the comment. */
  private static String comment(String text) {
    return "-- " + String.join(" ", text.lines().toList());
  }

  private static String statement(RowChange c, String[] row, boolean[] masked) {
    int n = c.keyColumns().size();
    return switch (c.kind()) {
      case TRUNCATE -> "truncate " + c.table().sql() + ";";
      case STATEMENT ->
          masked[0]
              ? comment("a statement")
              : comment("search_path " + row[1] + (row[2] == null ? "" : ", role " + row[2]))
                  + "\n"
                  + row[0].strip()
                  + (row[0].strip().endsWith(";") ? "" : "\n;");
      case INSERT -> insert(c, row, masked) + ";";
      case UPSERT -> insert(c, row, masked) + conflict(c) + ";";
      case DELETE ->
          "delete from " + c.table().sql() + " where " + pairs(c, row, masked, 0, n) + ";";
      case REKEY ->
          "update "
              + c.table().sql()
              + " set "
              + list(c, row, masked, n, c.columns().size(), ", ", false)
              + " where "
              + pairs(c, row, masked, 0, n)
              + ";";
      default ->
          comment(
              Units.what(c)
                  + " "
                  + list(c, row, masked, 0, Math.min(row.length, c.columns().size()), ", ", false));
    };
  }

  private static String insert(RowChange c, String[] row, boolean[] masked) {
    List<String> names = new ArrayList<>();
    List<String> values = new ArrayList<>();
    for (int j = 0; j < row.length; j++) {
      names.add(TableName.quote(c.columns().get(j)));
      values.add(literal(c, row, masked, j));
    }
    return "insert into "
        + c.table().sql()
        + " ("
        + String.join(", ", names)
        + ") values ("
        + String.join(", ", values)
        + ")";
  }

  private static String conflict(RowChange c) {
    List<String> set = new ArrayList<>();
    for (String column : c.columns()) {
      if (!c.keyColumns().contains(column)) {
        set.add(TableName.quote(column) + " = excluded." + TableName.quote(column));
      }
    }
    return " on conflict ("
        + String.join(", ", c.keyColumns().stream().map(TableName::quote).toList())
        + ") do "
        + (set.isEmpty() ? "nothing" : "update set " + String.join(", ", set));
  }

  private static String pairs(RowChange c, String[] row, boolean[] masked, int from, int to) {
    return list(c, row, masked, from, to, " and ", true);
  }

  private static String list(
      RowChange c,
      String[] row,
      boolean[] masked,
      int from,
      int to,
      String between,
      boolean condition) {
    List<String> parts = new ArrayList<>();
    for (int j = from; j < to; j++) {
      parts.add(
          TableName.quote(c.columns().get(j))
              + (condition && row[j] == null ? " is null" : " = " + literal(c, row, masked, j)));
    }
    return String.join(between, parts);
  }

  private static String literal(RowChange c, String[] row, boolean[] masked, int j) {
    String v = Masking.value(row[j], masked[j]);
    if (v == null) {
      return "null";
    }
    String text = "'" + v.replace("'", "''") + "'";
    return c.type(j) == null ? text : text + "::" + c.type(j);
  }
}
