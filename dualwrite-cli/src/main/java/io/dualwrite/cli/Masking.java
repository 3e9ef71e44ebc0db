package io.dualwrite.cli;

import io.dualwrite.journal.RowChange;
import java.util.List;
import picocli.CommandLine.Option;

/**
 * Which values are shown. All of them unless asked otherwise: who can read the journal's files can
 * read the values in them, and looking at them is what the commands that have this option are for.
 * The commands that give an overview never show values.
 */
final class Masking {

  /** In place of a value. NULL stays NULL: that says what was written, not what with. */
  private static final String MASKED = "***";

  @Option(
      names = "--mask",
      order = 80,
      description = {
        "Show no value (default: values are shown, as who may read the journal's files may read them;"
            + " mask what you show to others)."
      })
  private boolean all;

  @Option(
      names = "--mask-columns",
      paramLabel = "COLUMN",
      split = ",",
      order = 81,
      description = "Show no value of these columns: name, or table.name.")
  private List<String> columns = List.of();

  /** Whether anything is masked. */
  boolean any() {
    return all || !columns.isEmpty();
  }

  /** For each column of the change whether its values are masked. */
  boolean[] masked(RowChange c) {
    boolean[] result = new boolean[c.columns().size()];
    for (int i = 0; i < result.length; i++) {
      result[i] = all || masked(c, c.columns().get(i));
    }
    return result;
  }

  private boolean masked(RowChange c, String column) {
    for (String m : columns) {
      String given = m.strip();
      if (given.equalsIgnoreCase(column)
          || given.equalsIgnoreCase(c.table().name() + "." + column)
          || given.equalsIgnoreCase(c.table() + "." + column)) {
        return true;
      }
    }
    return false;
  }

  /** The value as it may be shown. */
  static String value(String value, boolean masked) {
    return value == null ? null : masked ? MASKED : value;
  }

  /**
   * An error's text as it may be shown: servers quote values in theirs, in quotes, in parentheses
   * and in further lines.
   */
  String error(String error) {
    if (error == null || !any()) {
      return error;
    }
    StringBuilder b = new StringBuilder();
    String line = error.strip().split("\\R", 2)[0];
    char until = 0;
    for (int i = 0; i < line.length(); i++) {
      char c = line.charAt(i);
      if (until != 0) {
        if (c == until) {
          until = 0;
          b.append(MASKED).append(c);
        }
      } else {
        b.append(c);
        until = c == '"' ? '"' : c == '(' ? ')' : 0;
      }
    }
    return until == 0 ? b.toString() : b.append(MASKED).toString();
  }
}
