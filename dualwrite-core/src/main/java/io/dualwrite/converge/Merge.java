package io.dualwrite.converge;

import io.dualwrite.catalog.Chunks;
import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.ForeignKey;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/**
 * The rows of a range without a key that is recopied while others refer to its rows, by a unique
 * index that allows NULL: they come into a temporary table, rows that are too many and that nobody
 * refers to are deleted, those that others may refer to are updated, and of what differs then as
 * many rows are deleted and inserted as there are too many or too few of each. All in the caller's
 * transaction, which has the table locked against writers.
 */
final class Merge {

  private static final String ROWS = "pg_temp.\"dualwrite:rows\"";

  private final Table table;
  private final String own;
  private final String where;
  private final List<ForeignKey> references;
  private List<Column> columns;

  /**
   * For a range.
   *
   * @param only {@code only}, if the table's own rows are meant
   * @param references the foreign keys to it
   */
  Merge(Table table, String only, String predicate, List<ForeignKey> references) {
    this.table = table;
    this.own = only + table.name().sql();
    this.where = " where (" + predicate + ")";
    this.references = references;
  }

  /** Makes the table that the primary's rows are to be copied into. */
  String into(Connection mirror, List<Column> given) throws SQLException {
    columns = given.stream().map(c -> table.column(c.name()).orElseThrow()).toList();
    try (Statement s = mirror.createStatement()) {
      s.execute(
          "create temporary table \"dualwrite:rows\" on commit drop as select "
              + names("")
              + " from "
              + own
              + " with no data");
    }
    return ROWS;
  }

  /**
   * Makes the range equal to them.
   *
   * @param orphaned told of each table whose rows may go along with a row that is deleted; null if
   *     none may
   * @return null, or why rows that are too many are still there: others refer to them
   */
  SQLException run(Connection mirror, Consumer<TableName> orphaned) throws SQLException {
    SQLException refused = null;
    Set<TableName> along = new TreeSet<>();
    try (Statement s = mirror.createStatement()) {
      s.execute("set constraints all immediate");
      s.execute("analyze " + ROWS);
      deleteUnreferred(s);
      String set =
          columns.stream()
              .filter(c -> c.identity() != Column.Identity.ALWAYS)
              .map(c -> c.sql() + " = u." + c.sql())
              .collect(Collectors.joining(", "));
      s.execute(
          "update "
              + own
              + " t set "
              + set
              + " from "
              + ROWS
              + " u"
              + " where "
              + references.get(0).parentColumns().stream()
                  .map(TableName::quote)
                  .map(c -> "t." + c + " = u." + c)
                  .collect(Collectors.joining(" and "))
              + " and "
              + text("t")
              + " <> "
              + text("u"));
      Savepoint before = mirror.setSavepoint();
      try {
        String many =
            " from (select tableoid as o, ctid as c, "
                + text("t")
                + " as x, row_number() over (partition by "
                + text("t")
                + ") as n from "
                + own
                + " t"
                + where
                + ") v left join (select "
                + text("u")
                + " as x, count(*) as n from "
                + ROWS
                + " u group by 1) w on w.x = v.x where v.n > coalesce(w.n, 0)";
        for (ForeignKey f : references) {
          if (f.onDelete().changesChild() && refers(s, f, many)) {
            along.add(f.child());
          }
        }
        s.execute(
            "delete from "
                + own
                + " t using (select v.o, v.c"
                + many
                + ") v where t.tableoid = v.o and t.ctid = v.c");
        mirror.releaseSavepoint(before);
      } catch (SQLException e) {
        if (Failure.of(e) != Failure.CONFLICT) {
          throw e;
        }
        mirror.rollback(before);
        mirror.releaseSavepoint(before);
        along.clear();
        refused = e;
      }
      s.execute(
          "insert into "
              + Chunks.entry(mirror, table).sql()
              + " ("
              + names("")
              + ") overriding system value select "
              + names("v.")
              + " from (select u.*, "
              + text("u")
              + " as \"dualwrite:x\", row_number() over (partition by "
              + text("u")
              + ") as \"dualwrite:n\" from "
              + ROWS
              + " u) v left join (select "
              + text("t")
              + " as x, count(*) as n from "
              + own
              + " t"
              + where
              + " group by 1) w on w.x = v.\"dualwrite:x\" where v.\"dualwrite:n\" > coalesce(w.n, 0)");
      s.execute("drop table " + ROWS);
      for (TableName child : along) {
        if (orphaned == null) {
          throw new SQLException(
              "rows of "
                  + table.name()
                  + " that the primary has no more would take rows of "
                  + child
                  + " along; reconcile it instead",
              "0A000");
        }
        // whoever makes it equal, being told, waits for this transaction's end
        s.execute("lock table " + child.sql() + " in row exclusive mode");
        orphaned.accept(child);
      }
    }
    return refused;
  }

  /**
   * Deletes what is no row of the primary's, nor the former state of one, and that nobody refers
   * to: another row may have taken a unique value of it over.
   */
  private void deleteUnreferred(Statement s) throws SQLException {
    String gone =
        " t"
            + where
            + " and not exists (select from "
            + ROWS
            + " u where "
            + references.get(0).parentColumns().stream()
                .map(TableName::quote)
                .map(c -> "u." + c + " = t." + c)
                .collect(Collectors.joining(" and "))
            + ") and not exists (select from "
            + ROWS
            + " u where "
            + text("u")
            + " = "
            + text("t")
            + ")";
    if (references.stream().anyMatch(f -> f.onDelete().changesChild())) {
      // whoever begins to refer to one now is seen below, or waits
      s.execute("select from " + own + gone + " for update");
    }
    StringBuilder delete = new StringBuilder("delete from " + own + gone);
    for (ForeignKey f : references) {
      delete.append(" and not exists (select from ").append(f.child().sql()).append(" c where ");
      for (int i = 0; i < f.childColumns().size(); i++) {
        delete.append(i == 0 ? "c." : " and c.").append(TableName.quote(f.childColumns().get(i)));
        delete.append(" = t.").append(TableName.quote(f.parentColumns().get(i)));
      }
      delete.append(")");
    }
    s.execute(delete.toString());
  }

  /** Whether rows refer to those that are too many. */
  private boolean refers(Statement s, ForeignKey f, String many) throws SQLException {
    StringBuilder on = new StringBuilder("t.tableoid = v.o and t.ctid = v.c");
    for (int i = 0; i < f.childColumns().size(); i++) {
      on.append(" and t.").append(TableName.quote(f.parentColumns().get(i)));
      on.append(" = c.").append(TableName.quote(f.childColumns().get(i)));
    }
    try (ResultSet r =
        s.executeQuery(
            "select exists (select from "
                + own
                + " t, (select v.o, v.c"
                + many
                + ") v, "
                + f.child().sql()
                + " c where "
                + on
                + ")")) {
      r.next();
      return r.getBoolean(1);
    }
  }

  private String names(String of) {
    return columns.stream().map(c -> of + c.sql()).collect(Collectors.joining(", "));
  }

  /** A whole row as one text, which tells NULL from an empty one. */
  private String text(String of) {
    return "row(" + names(of + ".") + ")::text collate \"C\"";
  }
}
