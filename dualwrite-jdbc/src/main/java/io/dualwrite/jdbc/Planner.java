package io.dualwrite.jdbc;

import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.ForeignKey;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.journal.RowChange;
import io.dualwrite.sql.KeyTerm;
import io.dualwrite.sql.Kind;
import io.dualwrite.sql.Operand;
import io.dualwrite.sql.RowOrder;
import io.dualwrite.sql.Source;
import io.dualwrite.sql.Sql;
import io.dualwrite.sql.StatementInfo;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;

/**
 * Finds the plan of a text: what grammar says, completed by what the primary's catalog says.
 * Unknown means "may write" and is refused.
 */
final class Planner {

  private static final Plan ONCE = new Plan.PassOnce();
  private static final Plan PASS = new Plan.Pass(RowOrder.ARBITRARY, true);

  private final Catalog catalog;
  private final Predicate<TableName> sameOnMirror;

  /**
   * @param catalog the primary's
   * @param sameOnMirror whether the mirror's table is known to have the same columns of the same
   *     declared types, so that values convert there as they did here
   */
  Planner(Catalog catalog, Predicate<TableName> sameOnMirror) {
    this.catalog = catalog;
    this.sameOnMirror = sameOnMirror;
  }

  /**
   * @param keys what the application wants as generated keys: null for none, empty for all columns,
   *     else these columns
   */
  Plan plan(Sql sql, List<String> keys, Connection primary) throws SQLException {
    List<StatementInfo> statements = sql.statements();
    if (statements.isEmpty()) {
      return PASS;
    }
    if (statements.size() == 1) {
      return plan(sql, statements.get(0), keys, primary);
    }
    for (StatementInfo s : statements) {
      Plan p = plan(sql, s, null, primary);
      if (p instanceof Plan.Refuse) {
        return p;
      }
      if (!(p instanceof Plan.Pass)) {
        return refuse(
            Unmirrored.FORM,
            "a text with several statements of which one is "
                + s.kind()
                + " is not captured; send the statements one at a time");
      }
    }
    return PASS;
  }

  private Plan plan(Sql sql, StatementInfo s, List<String> keys, Connection primary)
      throws SQLException {
    switch (s.kind()) {
      case TRANSACTION:
        return new Plan.Transaction(s);
      case SESSION:
        return session(sql, s);
      case READ, PRIMARY_ONLY:
        break;
      case INSERT:
        return s.hiddenWrite()
            ? form("a writable CTE")
            : relation(sql, s, primary, t -> insert(sql, s, t, keys), primary);
      case UPDATE:
        return s.hiddenWrite()
            ? form("a writable CTE")
            : relation(sql, s, primary, t -> update(sql, s, t, keys, primary), primary);
      case DELETE:
        return s.hiddenWrite()
            ? form("a writable CTE")
            : relation(sql, s, primary, t -> delete(sql, s, t, keys), primary);
      case MERGE:
        return form("MERGE");
      case TRUNCATE:
        if (temporary(s.tables(), primary)) {
          return ONCE;
        }
        return refuse(
            Unmirrored.TRUNCATE,
            "TRUNCATE is not captured; DELETE the rows of a keyed table instead");
      case COPY_IN:
        return refuse(Unmirrored.COPY, "COPY … FROM is not captured; use batched INSERTs");
      case COPY_OUT:
        break;
      case CALL, DO:
        return refuse(
            Unmirrored.ROUTINE,
            s.kind() + " runs statements that are not captured; send them from the application");
      case DDL:
        if (s.temporary()) {
          Plan writing = functions(s, primary);
          // from here on a name may mean a temporary table to this connection
          return writing == null ? new Plan.Session(true, false, null) : writing;
        }
        return refuse(
            Unmirrored.DDL,
            "DDL is not mirrored; run it on both databases with your schema tool, past dualwrite");
      case PREPARE, EXECUTE:
        return form("SQL-level " + s.kind());
      default:
        parse(sql, primary);
        return form("a statement that is not understood");
    }
    if (s.hiddenWrite()) {
      return form("a write inside a " + s.kind());
    }
    Plan writing = functions(s, primary);
    if (writing != null) {
      return writing;
    }
    if (s.functions().stream()
        .anyMatch(
            f -> f.equalsIgnoreCase("set_config") || f.equalsIgnoreCase("pg_catalog.set_config"))) {
      return new Plan.Session(true, false, null);
    }
    if (s.kind() != Kind.READ || s.rowLock()) {
      return PASS;
    }
    boolean same = !s.volatileValue();
    boolean draws = false;
    for (String f : s.functions()) {
      same &= catalog.functionIsImmutable(primary, f);
      draws |= catalog.functionIsVolatile(primary, f);
    }
    return new Plan.Pass(
        same ? RowOrder.of(sql.text().substring(s.start(), s.end())) : RowOrder.ARBITRARY, draws);
  }

  /**
   * Lets the primary parse the text without executing it: if it is an error, then it is the
   * primary's to say so.
   */
  private static void parse(Sql sql, Connection primary) throws SQLException {
    try (PreparedStatement s = primary.prepareStatement(sql.text())) {
      s.getMetaData();
    }
  }

  private Plan functions(StatementInfo s, Connection primary) throws SQLException {
    for (String f : s.functions()) {
      if (catalog.functionMayWrite(primary, f)) {
        return refuse(
            Unmirrored.ROUTINE,
            "the function "
                + f
                + " may write, and what it writes is not captured; declare it STABLE if it does not write, or send its statements from the application");
      }
    }
    return null;
  }

  private boolean temporary(List<String> references, Connection primary) throws SQLException {
    for (String r : references) {
      if (!table(r, primary).map(Table::temporary).orElse(true)) {
        return false;
      }
    }
    return !references.isEmpty();
  }

  private static Plan session(Sql sql, StatementInfo s) {
    String setting = s.sessionSetting();
    boolean path =
        setting == null
            || setting.equals("search_path")
            || setting.equals("schema")
            || setting.equals("role");
    return new Plan.Session(path, !s.local() && !"constraints".equals(setting), sql.text());
  }

  @FunctionalInterface
  private interface ForTable {
    Plan plan(Table table) throws SQLException;
  }

  private Plan relation(
      Sql sql, StatementInfo s, Connection primary, ForTable then, Connection functions)
      throws SQLException {
    if (s.currentOf()) {
      return form(s.kind() + " … WHERE CURRENT OF");
    }
    Plan writing = functions(s, functions);
    if (writing != null) {
      return writing;
    }
    Optional<Table> table = table(s.table(), primary);
    if (table.isPresent() && stale(table.get(), s)) {
      catalog.invalidate();
      table = table(s.table(), primary);
    }
    if (table.isEmpty()) {
      // it does not exist: the primary says so itself, and nothing is remembered of a table that
      // may come
      parse(sql, primary);
      return form("a write to " + s.table() + ", which appeared just now,");
    }
    Table t = table.get();
    if (t.temporary()) {
      return ONCE;
    }
    String why =
        switch (t.kind()) {
          case PLAIN, PARTITIONED, PARTITION -> null;
          case VIEW -> "is a view";
          case FOREIGN -> "is a foreign table";
          case INHERITED -> "is part of a table inheritance";
        };
    if (why == null && t.rules()) {
      why = "has rewrite rules";
    }
    if (why == null && !t.userTriggers().isEmpty()) {
      why = "has triggers (" + String.join(", ", t.userTriggers()) + ")";
    }
    if (why == null && s.kind() != Kind.INSERT) {
      why = cascades(t, primary, new HashSet<>());
    }
    if (why == null
        && s.kind() == Kind.INSERT
        && t.columns().stream().anyMatch(c -> c.def() == Column.Default.ROUTINE)) {
      why =
          "has a default that calls a function of yours which may write (declare it STABLE if it does not)";
    }
    if (why != null) {
      return refuse(
          Unmirrored.RELATION,
          t.name() + " " + why + ", and writes that go through it are not captured");
    }
    return then.plan(t);
  }

  private Optional<Table> table(String reference, Connection primary) throws SQLException {
    Optional<TableName> name = catalog.resolve(primary, reference);
    return name.isPresent() ? catalog.table(primary, name.get()) : Optional.empty();
  }

  /**
   * Whether the statement names a column that the catalog does not: then it is older than the
   * table.
   */
  private static boolean stale(Table t, StatementInfo s) {
    for (List<String> columns : Arrays.asList(s.insertColumns(), s.setColumns())) {
      if (columns != null && columns.stream().anyMatch(c -> t.column(c).isEmpty())) {
        return true;
      }
    }
    return false;
  }

  /**
   * A table whose rows the server itself changes when rows of this one go or get another key, and
   * that runs code of its own then: what that writes is not captured, and the mirror's triggers are
   * off.
   */
  private String cascades(Table t, Connection primary, Set<TableName> seen) throws SQLException {
    for (ForeignKey k : t.referencedBy()) {
      if ((k.onDelete().changesChild() || k.onUpdate().changesChild()) && seen.add(k.child())) {
        Optional<Table> child = catalog.table(primary, k.child());
        if (child.isEmpty()) {
          continue;
        }
        if (!child.get().userTriggers().isEmpty() || child.get().rules()) {
          return "is referred to by "
              + k.child()
              + ", which has triggers or rules and is changed along with it";
        }
        String further = cascades(child.get(), primary, seen);
        if (further != null) {
          return further;
        }
      }
    }
    return null;
  }

  // ---- INSERT

  private Plan insert(Sql sql, StatementInfo s, Table t, List<String> keys) {
    if (s.onConflict() && !s.onConflictDoNothing()) {
      if (!t.keyed()) {
        return refuse(
            Unmirrored.KEYLESS,
            t.name()
                + " has no primary key, so INSERT … ON CONFLICT DO UPDATE cannot be mirrored; give it one");
      }
      for (String c : s.setColumns()) {
        if (t.key().contains(c)) {
          return form("INSERT … ON CONFLICT DO UPDATE of the key column " + c + " of " + t.name());
        }
      }
    }
    RowChange.Kind kind = t.keyed() ? RowChange.Kind.UPSERT : RowChange.Kind.INSERT;
    Plan.Rows rows = rows(sql, s, t, kind, names(t.writableColumns()), keys, "");
    List<Column> columns = t.writableColumns();
    if (s.source() != Source.VALUES
        || s.onConflict()
        || s.overriding()
        || s.with()
        || !sameOnMirror.test(t.name())) {
      return rows;
    }
    List<String> given = s.insertColumns();
    if (given == null) {
      given = names(t.columns());
    }
    List<List<Operand>> values = new ArrayList<>();
    for (List<Operand> row : s.values()) {
      List<Operand> shipped = new ArrayList<>();
      if (row.size() > given.size()) {
        return rows;
      }
      for (Column c : columns) {
        int at = given.indexOf(c.name());
        Operand o = at < 0 || at >= row.size() ? new Operand.Default() : row.get(at);
        if (o instanceof Operand.Default) {
          if (c.def() == Column.Default.COMPUTED || c.def() == Column.Default.ROUTINE) {
            return rows;
          }
          o = new Operand.Literal(c.defaultText(), null);
        } else if (o instanceof Operand.Literal l && !exact(l, c) || o instanceof Operand.Other) {
          return rows;
        }
        if (c.identity() == Column.Identity.ALWAYS) {
          return rows;
        }
        shipped.add(o);
      }
      values.add(shipped);
    }
    for (String c : given) {
      if (t.column(c).isEmpty()) {
        return rows; // the primary will say so
      }
    }
    return new Plan.Values(kind, t, columns, values, rows);
  }

  /**
   * Whether the literal's own text, read by the column's type, gives what the server stores for the
   * literal.
   */
  private static boolean exact(Operand.Literal literal, Column column) {
    if (literal.text() == null) {
      return true;
    }
    if (literal.type() == null) {
      return Parameters.readsTextAlike(column.type());
    }
    return switch (literal.type()) {
      case "int4", "int8" ->
          switch (column.type()) {
            case "smallint", "integer", "bigint", "numeric" -> true;
            default -> false;
          };
      case "numeric" -> column.type().equals("numeric");
      case "bool" -> column.type().equals("boolean");
      default -> false;
    };
  }

  // ---- UPDATE

  private Plan update(Sql sql, StatementInfo s, Table t, List<String> keys, Connection primary)
      throws SQLException {
    if (!t.keyed()) {
      return refuse(
          Unmirrored.KEYLESS,
          t.name() + " has no primary key, so UPDATE cannot be mirrored row by row; give it one");
    }
    boolean rekeys = false;
    for (String c : s.setColumns()) {
      rekeys |= t.key().contains(c);
    }
    if (!rekeys) {
      return rows(sql, s, t, RowChange.Kind.UPSERT, names(t.writableColumns()), keys, "");
    }
    if (primary.getMetaData().getDatabaseMajorVersion() < 18) {
      return form(
          "an UPDATE that assigns the key of "
              + t.name()
              + " (before PostgreSQL 18 the old key cannot be read back)");
    }
    List<String> columns = new ArrayList<>(t.key());
    columns.addAll(names(t.writableColumns()));
    StringBuilder old = new StringBuilder();
    for (String k : t.key()) {
      old.append(", old.").append(TableName.quote(k)).append("::text");
    }
    return rows(sql, s, t, RowChange.Kind.REKEY, columns, keys, old.toString());
  }

  // ---- DELETE

  private Plan delete(Sql sql, StatementInfo s, Table t, List<String> keys) {
    if (!t.keyed()) {
      return refuse(
          Unmirrored.KEYLESS,
          t.name() + " has no primary key, so DELETE cannot be mirrored row by row; give it one");
    }
    Plan.Rows rows = rows(sql, s, t, RowChange.Kind.DELETE, t.key(), keys, "");
    List<KeyTerm> terms = s.equalities();
    if (terms == null
        || s.from()
        || s.with()
        || terms.size() != t.key().size()
        || !sameOnMirror.test(t.name())) {
      return rows;
    }
    List<Operand> key = new ArrayList<>();
    List<Column> columns = new ArrayList<>();
    for (String k : t.key()) {
      Column c = t.column(k).orElseThrow();
      Operand found = null;
      for (KeyTerm term : terms) {
        if (term.column().equals(k)) {
          found = term.operand();
        }
      }
      if (found == null
          || !(found instanceof Operand.Parameter || found instanceof Operand.Literal)
          || found instanceof Operand.Literal l && !exact(l, c)) {
        return rows;
      }
      key.add(found);
      columns.add(c);
    }
    return new Plan.Values(RowChange.Kind.DELETE, t, columns, List.of(key), rows);
  }

  // ---- RETURNING

  /**
   * The statement extended by RETURNING: first what the application wants to see (its own list, or
   * its generated keys), then ours.
   *
   * @param prefix columns that come before the table's own in our part, each with a leading comma
   */
  private static Plan.Rows rows(
      Sql sql,
      StatementInfo s,
      Table t,
      RowChange.Kind kind,
      List<String> columns,
      List<String> keys,
      String prefix) {
    String text = sql.text();
    String qualifier = s.alias() != null ? s.alias() : s.table();
    StringBuilder ours = new StringBuilder();
    List<String> own = prefix.isEmpty() ? columns : columns.subList(t.key().size(), columns.size());
    ours.append(prefix);
    for (String c : own) {
      ours.append(", ").append(qualifier).append('.').append(TableName.quote(c)).append("::text");
    }
    StringBuilder x = new StringBuilder(text.length() + ours.length() + 16);
    boolean has = s.returning() >= 0;
    if (has) {
      x.append(text, 0, s.end()).append(ours).append(text, s.end(), text.length());
    } else {
      x.append(text, 0, s.returningInsertAt()).append(" RETURNING ");
      if (keys == null) {
        x.append(ours, 2, ours.length());
      } else if (keys.isEmpty()) {
        x.append('*').append(ours);
      } else {
        Set<String> seen = new HashSet<>();
        for (String k : keys) {
          x.append(seen.isEmpty() ? "" : ", ").append(TableName.quote(k));
          seen.add(k);
        }
        x.append(ours);
      }
      x.append(text, s.returningInsertAt(), text.length());
    }
    return new Plan.Rows(kind, t.name(), t.key(), x.toString(), columns, has);
  }

  private static List<String> names(List<Column> columns) {
    return columns.stream().map(Column::name).toList();
  }

  private static Plan form(String what) {
    return refuse(
        Unmirrored.FORM, what + " is not captured; use plain INSERT, UPDATE or DELETE statements");
  }

  private static Plan refuse(Unmirrored kind, String sentence) {
    return new Plan.Refuse(
        kind,
        "dualwrite refuses this statement: " + sentence + " (" + kind.policy().key() + "=reject)");
  }
}
