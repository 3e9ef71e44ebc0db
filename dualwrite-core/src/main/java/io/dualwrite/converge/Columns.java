package io.dualwrite.converge;

import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import java.util.ArrayList;
import java.util.List;

/** Which columns travel, and how. */
final class Columns {

  private Columns() {}

  /**
   * The primary's columns whose values go to the mirror, by name: all that the mirror can be given.
   *
   * @throws ConvergenceException if the mirror lacks one that the primary's application writes
   */
  static List<Column> travelling(Table primary, Table mirror) throws ConvergenceException {
    List<Column> result = new ArrayList<>();
    for (Column c : primary.columns()) {
      Column m = mirror.column(c.name()).orElse(null);
      if (m == null) {
        if (!c.generated()) {
          throw new ConvergenceException(
              "the mirror's table "
                  + mirror.name()
                  + " has no column "
                  + c.name()
                  + ", which the primary's has; add it there");
        }
      } else if (!m.generated()) {
        result.add(c);
      }
    }
    return result;
  }

  /**
   * A column's value as text that its type's input function reads back. The cast is the output
   * function's text but for bpchar, whose cast drops trailing blanks.
   */
  static String text(Column c) {
    String value = "t." + c.sql();
    return c.type().equals("bpchar") || c.type().equals("character")
        ? "textin(bpcharout(" + value + "))"
        : value + "::text";
  }
}
