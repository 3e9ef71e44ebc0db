package io.dualwrite.jdbc;

import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.control.Side;
import java.util.Optional;

/** What would keep the mirror from taking a table's rows. */
final class Differences {

  private Differences() {}

  /** One clause that follows the table's name, or null. */
  static String of(Table primary, Table mirror, Side mirrorSide) {
    String there = " on the " + mirrorSide;
    for (Column c : primary.columns()) {
      Optional<Column> d = mirror.column(c.name());
      if (d.isEmpty()) {
        return "has no column " + c.name() + there + ", so its rows stay in the journal";
      }
      if (c.generated() != d.get().generated()) {
        return "has a column " + c.name() + " that is generated on one side only: make them alike";
      }
    }
    for (Column d : mirror.columns()) {
      if (primary.column(d.name()).isEmpty()
          && d.notNull()
          && d.def() == Column.Default.NULL
          && !d.generated()) {
        return "has a column "
            + d.name()
            + there
            + " only, which takes no NULL and has no default, so its rows stay in the journal";
      }
    }
    if (!primary.key().equals(mirror.key())) {
      return "has another key" + there + " (" + mirror.key() + " instead of " + primary.key() + ")";
    }
    return null;
  }
}
