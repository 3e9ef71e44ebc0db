package io.dualwrite.jdbc;

import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.ForeignKey;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.journal.RowChange;
import io.dualwrite.sql.Cte;
import io.dualwrite.sql.KeyTerm;
import io.dualwrite.sql.Kind;
import io.dualwrite.sql.Operand;
import io.dualwrite.sql.RowOrder;
import io.dualwrite.sql.Source;
import io.dualwrite.sql.Sql;
import io.dualwrite.sql.StatementInfo;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import org.postgresql.core.BaseConnection;
import org.postgresql.core.TransactionState;
import org.postgresql.jdbc.PreferQueryMode;

/**
 * Finds the plan of a text: what grammar says, completed by what the primary's catalog says.
 * Unknown means "may write" and is refused.
 */
final class Planner {

  private static final Plan ONCE = new Plan.PassOnce();
  static final Plan PASS = new Plan.Pass(RowOrder.ARBITRARY, true);

  /** What begins, ends or undoes transactions, or parts of one, begins so. */
  private static final Pattern CONTROL =
      Pattern.compile(
          "(begin|start|commit|end|rollback|abort|savepoint|release)\\b", Pattern.CASE_INSENSITIVE);

  private final Catalog catalog;
  private final Predicate<TableName> sameOnMirror;
  private final boolean plain;

  /**
   * @param catalog the primary's
   * @param sameOnMirror whether the mirror's table is known to have the same columns of the same
   *     declared types, so that values convert there as they did here
   */
  Planner(Catalog catalog, Predicate<TableName> sameOnMirror) {
    this(catalog, sameOnMirror, false);
  }

  private Planner(Catalog catalog, Predicate<TableName> sameOnMirror, boolean plain) {
    this.catalog = catalog;
    this.sameOnMirror = sameOnMirror;
    this.plain = plain;
  }

  /** For the texts of plain Statements, where a {@code ?} is an operator. */
  Planner plain() {
    return new Planner(catalog, sameOnMirror, true);
  }

  /** The text, or one made of it, for a PreparedStatement of ours. */
  private String prepared(Sql sql, String text) {
    return plain ? sql.doubled(text) : text;
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
      return plan(sql, statements.get(0), returned(keys, primary), primary);
    }
    boolean control = false;
    boolean pass = true;
    for (StatementInfo s : statements) {
      control |= s.kind() == Kind.TRANSACTION;
      pass = pass && (s.kind() == Kind.READ || s.kind() == Kind.PRIMARY_ONLY);
      // one may make what the next needs, so only reads are looked at beforehand
      pass = pass && plan(sql, s, null, primary) instanceof Plan.Pass;
    }
    if (pass) {
      return PASS;
    }
    List<Plan.Part> parts = new ArrayList<>(statements.size());
    int from = 0;
    for (StatementInfo s : statements) {
      parts.add(
          new Plan.Part(
              // with the blanks before it, as the driver sends it: errors are told by their
              // position
              sql.text().substring(blank(sql.text(), from, s.start()) ? from : s.start(), s.end()),
              s.firstParameter(),
              s.parameters()));
      from = Math.max(s.end(), sql.text().indexOf(';', s.end()) + 1);
    }
    return new Plan.Several(parts, control);
  }

  /** The columns as the driver puts them into RETURNING; empty for all. */
  private static List<String> returned(List<String> keys, Connection primary) throws SQLException {
    if (keys == null || keys.isEmpty()) {
      return keys;
    }
    if (keys.size() == 1 && keys.get(0).startsWith("*")) {
      return List.of();
    }
    return primary.unwrap(BaseConnection.class).getQueryExecutor().getQuoteReturningIdentifiers()
        ? keys.stream().map(TableName::quote).toList()
        : keys;
  }

  /**
   * @param keys as {@link #returned} has them
   */
  private Plan plan(Sql sql, StatementInfo s, List<String> keys, Connection primary)
      throws SQLException {
    if (s.functions().stream().anyMatch(Planner::largeObject)) {
      return new Plan.Refuse(
          Unmirrored.LARGE_OBJECT,
          "dualwrite refuses large objects: their numbers differ between the databases; use bytea or text columns ("
              + Unmirrored.LARGE_OBJECT.policy().key()
              + "=primary-only lets them pass)");
    }
    switch (s.kind()) {
      case TRANSACTION:
        return new Plan.Transaction(s, modes(sql.text().substring(s.start(), s.end())));
      case SESSION:
        return session(s);
      case READ, PRIMARY_ONLY, COPY_OUT:
        break;
      case INSERT, UPDATE, DELETE, MERGE:
        return s.hiddenWrite() ? with(sql, s, keys, primary) : write(sql, s, keys, primary);
      case TRUNCATE:
        return truncate(s, primary);
      case COPY_IN:
        return copy(s, primary);
      case CALL, DO:
        return new Plan.Observed(Unmirrored.ROUTINE, null, true);
      case DDL:
        return ddl(sql, s, primary);
      case PREPARE:
        return new Plan.Session(false, "");
      case EXECUTE:
        return new Plan.Observed(Unmirrored.FORM, null, false);
      default:
        boolean control = CONTROL.matcher(sql.text()).region(s.start(), s.end()).lookingAt();
        if (!s.writingCtes().isEmpty()) {
          return with(sql, s, keys, primary);
        }
        try {
          described(primary, prepared(sql, sql.text()), null);
        } catch (SQLException e) {
          if (!control || "42601".equals(e.getSQLState())) {
            throw e;
          } // else the transaction has failed, and this may undo that
        }
        if (control) {
          return new Plan.Refuse(
              Unmirrored.FORM,
              "dualwrite refuses this statement: it does not understand what becomes of the transaction");
        }
        return new Plan.Observed(Unmirrored.FORM, null, true);
    }
    if (s.hiddenWrite()) {
      return new Plan.Observed(Unmirrored.FORM, null, false);
    }
    if (writingFunction(s, primary) || sql.mentions(catalog.writingViews(primary))) {
      if (names(sql.text(), "declare") && names(sql.text(), "hold")) {
        // the server runs it within COMMIT, when everything has been looked at
        return new Plan.Refuse(
            Unmirrored.ROUTINE,
            "dualwrite refuses this statement: a cursor WITH HOLD of a query that may write runs when the transaction"
                + " commits; declare it without HOLD ("
                + Unmirrored.ROUTINE.policy().key()
                + "=primary-only lets it pass)");
      }
      return new Plan.Observed(Unmirrored.ROUTINE, null, true);
    }
    if (s.functions().stream()
        .anyMatch(
            f -> f.equalsIgnoreCase("set_config") || f.equalsIgnoreCase("pg_catalog.set_config"))) {
      return new Plan.Session(true, null);
    }
    if (s.functions().stream().anyMatch(Planner::sessionLock)) {
      return new Plan.Session(false, "");
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

  private static boolean blank(String text, int from, int to) {
    for (int i = from; i < to; i++) {
      if (!Character.isWhitespace(text.charAt(i))) {
        return false;
      }
    }
    return from <= to;
  }

  private static boolean largeObject(String function) {
    String name = function.toLowerCase(Locale.ROOT);
    name = name.startsWith("pg_catalog.") ? name.substring(11) : name;
    return switch (name) {
      case "lo_creat",
          "lo_create",
          "lo_from_bytea",
          "lo_import",
          "lo_open",
          "lo_put",
          "lo_unlink",
          "lo_truncate",
          "lo_truncate64",
          "lowrite",
          "loread" ->
          true;
      default -> false;
    };
  }

  /** Whether the function takes an advisory lock that the session keeps. */
  private static boolean sessionLock(String function) {
    String name = function.toLowerCase(Locale.ROOT);
    name = name.startsWith("pg_catalog.") ? name.substring(11) : name;
    return name.startsWith("pg_advisory_lock") || name.startsWith("pg_try_advisory_lock");
  }

  /** What follows BEGIN [WORK | TRANSACTION] or START TRANSACTION. */
  private static String modes(String text) {
    String[] words = text.strip().split("\\s+", 2);
    String rest = words.length < 2 ? "" : words[1].strip();
    words = rest.split("\\s+", 2);
    if (words[0].equalsIgnoreCase("work") || words[0].equalsIgnoreCase("transaction")) {
      rest = words.length < 2 ? "" : words[1].strip();
    }
    return rest;
  }

  private Plan write(Sql sql, StatementInfo s, List<String> keys, Connection primary)
      throws SQLException {
    return switch (s.kind()) {
      case INSERT -> relation(sql, s, primary, t -> insert(sql, s, t, keys));
      case UPDATE -> relation(sql, s, primary, t -> update(sql, s, t, keys, primary));
      case DELETE -> relation(sql, s, primary, t -> delete(sql, s, t, keys));
      default -> relation(sql, s, primary, t -> merge(sql, s, t, keys, primary));
    };
  }

  // ---- writes in a WITH

  /**
   * A statement with data-modifying queries in its WITH. Each is extended by a RETURNING list of
   * ours under a name of ours; under its own name the others find what it returned before. The
   * statement becomes one more of them, and the new one's result has the rows of all:
   *
   * <pre>
   * with gone as (delete from q where … returning id) insert into log select id from gone
   *
   * with dualwrite_1(a1, o1, o2) as (delete from q where … returning id, q.id::text, q.v::text),
   *   gone(id) as (select a1 from dualwrite_1),
   *   dualwrite_0(o1, o2) as (insert into log select id from gone returning log.id::text, …)
   * select 0, array[o1, o2] from dualwrite_0 union all select 1, array[o1, o2] from dualwrite_1
   * </pre>
   */
  private Plan with(Sql sql, StatementInfo s, List<String> keys, Connection primary)
      throws SQLException {
    Plan plan = null;
    if (s.mainStart() >= 0 && !s.writingCtes().isEmpty()) {
      plan = ctes(sql, s, keys, primary);
    }
    if (plan != null) {
      return plan;
    }
    // what the statement itself writes shows, the rest is looked for
    Plan main = s.kind() == Kind.UNKNOWN ? null : write(sql, s, keys, primary);
    return new Plan.Observed(
        Unmirrored.FORM,
        main instanceof Plan.Values || main instanceof Plan.Rows ? main : null,
        false);
  }

  private Plan ctes(Sql sql, StatementInfo s, List<String> keys, Connection primary)
      throws SQLException {
    String text = sql.text();
    List<Plan.Rows> queries = new ArrayList<>();
    boolean observed = writingFunction(s, primary);
    StringBuilder x = new StringBuilder(text.length() * 2);
    queries.add(null);
    int done = 0;
    for (Cte cte : s.writingCtes()) {
      StatementInfo body = cte.statement();
      Plan plan = write(sql, body, null, primary);
      if (plan instanceof Plan.Observed o && o.then() != null) {
        observed = true;
        plan = o.then();
      }
      Plan.Rows rows =
          plan instanceof Plan.Values v ? v.otherwise() : plan instanceof Plan.Rows r ? r : null;
      if (rows == null || rows.tail() == null || body.hiddenWrite() || body.with()) {
        return null;
      }
      int number = queries.size();
      queries.add(rows);
      List<String> returned = List.of();
      if (body.returning() >= 0) {
        returned =
            columns(
                primary,
                prepared(
                    sql,
                    text.substring(0, cte.bodyEnd())
                        + ") SELECT * FROM "
                        + TableName.quote(cte.name())));
        if (returned == null) {
          return null;
        }
      }
      int n = returned.size();
      x.append(text, done, cte.nameStart());
      x.append("dualwrite_").append(number).append('(');
      x.append(list("a", n)).append(n > 0 ? ", " : "").append(list("o", rows.columns().size()));
      x.append(") AS (").append(text, cte.bodyStart(), body.end());
      x.append(body.returning() >= 0 ? ", " : " RETURNING ").append(rows.tail()).append(')');
      if (body.returning() >= 0) {
        x.append(", ").append(TableName.quote(cte.name()));
        for (int i = 0; i < n; i++) { // those that the text gives names, too
          x.append(i == 0 ? "(" : ", ").append(TableName.quote(returned.get(i)));
        }
        x.append(n > 0 ? ") AS (SELECT " : " AS (SELECT ").append(list("a", n));
        x.append(" FROM dualwrite_").append(number).append(')');
      }
      done = cte.bodyEnd() + 1;
    }
    List<String> labels = List.of();
    boolean returning = s.kind() == Kind.UNKNOWN || s.returning() >= 0;
    Plan.Rows main = null;
    String list = "";
    if (s.kind() != Kind.UNKNOWN) {
      Plan plan = write(sql, s, keys, primary);
      if (plan instanceof Plan.Observed o && o.then() != null) {
        observed = true;
        plan = o.then();
      }
      main = plan instanceof Plan.Values v ? v.otherwise() : plan instanceof Plan.Rows r ? r : null;
      if (main == null || main.tail() == null) {
        return null;
      }
      queries.set(0, main);
      if (s.returning() < 0 && keys != null) {
        list = keys.isEmpty() ? "*" : String.join(", ", keys);
      }
    }
    if (returning || !list.isEmpty()) {
      labels =
          columns(
              primary,
              prepared(
                  sql,
                  list.isEmpty()
                      ? text
                      : text.substring(0, s.end())
                          + " RETURNING "
                          + list
                          + text.substring(s.end())));
      if (labels == null) {
        return null;
      }
    }
    int n = labels.size();
    x.append(text, done, s.mainStart());
    String columns = list("a", n);
    if (main != null) {
      columns += (n > 0 ? ", " : "") + list("o", main.columns().size());
    }
    x.append("\n, dualwrite_0"); // behind a comment, perhaps
    if (!columns.isEmpty()) {
      x.append('(').append(columns).append(')');
    }
    x.append(" AS (").append(text, s.mainStart(), s.end());
    if (main != null) {
      x.append(s.returning() >= 0 ? ", " : " RETURNING " + list + (list.isEmpty() ? "" : ", "));
      x.append(main.tail());
    }
    x.append(")");
    for (int q = 0; q < queries.size(); q++) {
      x.append(q == 0 ? " SELECT " : " UNION ALL SELECT ");
      for (int i = 0; i < n; i++) {
        x.append(q == 0 ? "a" + (i + 1) + " AS " + TableName.quote(labels.get(i)) : "NULL");
        x.append(", ");
      }
      Plan.Rows rows = queries.get(q);
      x.append(q);
      x.append(q == 0 ? " AS dualwrite_query, " : ", ");
      x.append(
          rows == null
              ? "NULL::text[]"
              : "ARRAY[" + list("o", rows.columns().size()) + "]::text[]");
      x.append(" FROM dualwrite_").append(q);
    }
    Plan plan = new Plan.Ctes(prepared(sql, x.toString()), queries, n, returning);
    return observed ? new Plan.Observed(Unmirrored.FORM, plan, false) : plan;
  }

  private static String list(String prefix, int n) {
    StringBuilder b = new StringBuilder();
    for (int i = 1; i <= n; i++) {
      b.append(i == 1 ? "" : ", ").append(prefix).append(i);
    }
    return b.toString();
  }

  /**
   * The labels of a query's columns; null if the primary does not tell them. It does not without
   * the types of parameters, where these say which function is meant.
   */
  private static List<String> columns(Connection primary, String query) throws SQLException {
    Savepoint here = primary.getAutoCommit() ? null : primary.setSavepoint();
    ResultSetMetaData m;
    try {
      m = described(primary, query, null);
    } catch (SQLException e) {
      if (e.getSQLState() == null || !e.getSQLState().startsWith("42")) {
        throw e;
      }
      if (here != null) {
        primary.rollback(here);
      }
      m = null; // what is wrong with the text itself its execution says
    }
    if (here != null) {
      primary.releaseSavepoint(here);
    }
    if (m == null) {
      return null;
    }
    List<String> labels = new ArrayList<>();
    for (int i = 1; i <= m.getColumnCount(); i++) {
      labels.add(m.getColumnLabel(i));
    }
    return labels;
  }

  /**
   * What the text returns, as the primary tells it without executing it; null if it returns no
   * rows, or if the primary cannot be asked.
   *
   * @param keys the generated keys that the application wants
   */
  static ResultSetMetaData described(Connection primary, String text, List<String> keys)
      throws SQLException {
    if (executesToDescribe(primary)) {
      return null;
    }
    BaseConnection driver = primary.unwrap(BaseConnection.class);
    if (!driver.getAutoCommit() && driver.getTransactionState() == TransactionState.IDLE) {
      // the driver begins no transaction for this; but it is to fail by an error
      try (Statement s = primary.createStatement()) {
        s.execute("select 1");
      }
    }
    try (PreparedStatement s =
        keys == null
            ? primary.prepareStatement(text)
            : keys.isEmpty()
                ? primary.prepareStatement(text, Statement.RETURN_GENERATED_KEYS)
                : primary.prepareStatement(text, keys.toArray(new String[0]))) {
      return s.getMetaData();
    }
  }

  /** The simple protocol cannot describe: asked to, the driver executes the text. */
  static boolean executesToDescribe(Connection primary) throws SQLException {
    return primary.unwrap(BaseConnection.class).getPreferQueryMode() == PreferQueryMode.SIMPLE;
  }

  private boolean writingFunction(StatementInfo s, Connection primary) throws SQLException {
    for (String f : s.functions()) {
      if (catalog.functionMayWrite(primary, f)) {
        return true;
      }
    }
    return false;
  }

  /** Whether the text names what others may replace, or make, without this being told. */
  boolean mayChange(Sql sql, Connection primary) throws SQLException {
    for (StatementInfo s : sql.statements()) {
      if (s.kind() == Kind.DDL || s.kind() == Kind.CALL) {
        continue; // whatever they are
      }
      for (String f : s.functions()) {
        if (catalog.functionMayChange(primary, f)) {
          return true;
        }
      }
      if (executesToDescribe(primary)) { // else nothing is planned for a table that is not there
        for (Cte c : s.writingCtes()) {
          if (table(c.statement().table(), primary).isEmpty()) {
            return true;
          }
        }
        if (s.table() != null && table(s.table(), primary).isEmpty()) {
          return true;
        }
      }
    }
    return false;
  }

  private boolean temporary(List<String> references, Connection primary) throws SQLException {
    for (String r : references) {
      if (!table(r, primary).map(Table::temporary).orElse(true)) {
        return false;
      }
    }
    return !references.isEmpty();
  }

  // ---- what is not made of rows

  private Plan ddl(Sql sql, StatementInfo s, Connection primary) throws SQLException {
    if (s.clusterWide() && !s.temporary()) {
      return new Plan.PrimaryOnly(Unmirrored.DDL);
    }
    Plan plan =
        s.temporary()
            // from here on a name may mean a temporary table to this connection
            ? new Plan.Session(true, "", true)
            : new Plan.Ddl(s.concurrently(), s.hiddenWrite() ? s.table() : null, s.objects());
    if (!s.hiddenWrite()) {
      return sql.text().regionMatches(true, s.start(), "refresh", 0, "refresh".length())
              && sql.mentions(catalog.writingMaterializedViews(primary))
          ? new Plan.Observed(Unmirrored.ROUTINE, null, false) // the mirror's has no data either
          : plan;
    }
    if (s.tables().size() > 1) {
      return new Plan.Observed(Unmirrored.FORM, plan, false);
    }
    return writingFunction(s, primary)
            || names(sql.text(), "execute") // of what is not known here
            || sql.mentions(catalog.writingViews(primary))
        ? new Plan.Observed(Unmirrored.ROUTINE, plan, false)
        : plan;
  }

  private Plan truncate(StatementInfo s, Connection primary) throws SQLException {
    if (temporary(s.tables(), primary)) {
      return ONCE;
    }
    Set<TableName> all = new LinkedHashSet<>();
    boolean observed = false;
    for (String r : s.tables()) {
      Optional<Table> t = table(r, primary);
      if (t.isEmpty()) {
        return new Plan.Observed(Unmirrored.TRUNCATE, null, true); // an error, most likely
      }
      if (chunk(t.get())) {
        all.add(t.get().name()); // what becomes of it is seen when it is executed
        continue;
      }
      if (t.get().kind() == Table.Kind.INHERITED || t.get().kind() == Table.Kind.FOREIGN) {
        return new Plan.Observed(Unmirrored.TRUNCATE, null, true);
      }
      if (!t.get().temporary()) {
        observed |= truncated(t.get(), all, primary);
      }
    }
    Plan plan = new Plan.Truncate(List.copyOf(all));
    return observed ? new Plan.Observed(Unmirrored.TRUNCATE, plan, false) : plan;
  }

  /**
   * The table and those that CASCADE takes along; without CASCADE there are none, or the primary
   * refuses.
   *
   * @return whether one of them has triggers
   */
  private boolean truncated(Table t, Set<TableName> all, Connection primary) throws SQLException {
    if (!all.add(t.name())) {
      return false;
    }
    boolean triggers = !t.userTriggers().isEmpty();
    for (TableName name : catalog.truncatedWith(primary, t)) {
      Optional<Table> child = catalog.table(primary, name);
      if (child.isPresent()) {
        triggers |= truncated(child.get(), all, primary);
      }
    }
    return triggers;
  }

  private Plan copy(StatementInfo s, Connection primary) throws SQLException {
    Optional<Table> t = table(s.table(), primary);
    if (t.isPresent() && t.get().temporary()) {
      return ONCE;
    }
    if (t.isPresent() && t.get().kind() == Table.Kind.FOREIGN) {
      return foreign(t.get());
    }
    Plan.Copy known = t.isPresent() ? copied(s, t.get()) : null;
    return known != null ? known : new Plan.Observed(Unmirrored.COPY, null, false);
  }

  /** Null if what is sent does not tell the rows. */
  private Plan.Copy copied(StatementInfo s, Table t) {
    boolean rows =
        switch (t.kind()) {
          case PLAIN, PARTITIONED, PARTITION, INHERITED -> true;
          default -> false;
        };
    if (s.copyFormat() == null
        || !rows
        || chunk(t)
        || t.rules()
        || !t.userTriggers().isEmpty()
        || stale(t, s)
        || !sameOnMirror.test(t.name())) {
      return null;
    }
    List<Column> columns = t.writableColumns();
    List<Column> given = columns;
    if (s.insertColumns() != null) {
      given = new ArrayList<>();
      for (String c : s.insertColumns()) {
        given.add(t.column(c).orElseThrow());
      }
    }
    for (Column c : columns) {
      boolean sent = given.contains(c);
      if (sent
          ? !CopyValues.readable(c.type())
          : c.def() == Column.Default.COMPUTED || c.def() == Column.Default.ROUTINE) {
        return null;
      }
    }
    return columns.containsAll(given) ? new Plan.Copy(s.copyFormat(), t, given, columns) : null;
  }

  private static Plan session(StatementInfo s) {
    String setting = s.sessionSetting();
    boolean path =
        setting == null
            || setting.equals("search_path")
            || setting.equals("schema")
            || setting.equals("role")
            || setting.equals("session_authorization")
            || setting.equals("all");
    return new Plan.Session(path, setting == null ? "" : setting);
  }

  @FunctionalInterface
  private interface ForTable {
    Plan plan(Table table) throws SQLException;
  }

  private Plan relation(Sql sql, StatementInfo s, Connection primary, ForTable then)
      throws SQLException {
    Optional<Table> table = table(s.table(), primary);
    if (table.isPresent() && stale(table.get(), s)) {
      catalog.invalidate();
      table = table(s.table(), primary);
    }
    if (table.isEmpty()) {
      // it does not exist: the primary says so itself, and nothing is remembered of a table that
      // may come
      if (executesToDescribe(primary)) {
        return new Plan.Observed(Unmirrored.FORM, null, false);
      }
      described(primary, prepared(sql, sql.text()), null);
      return new Plan.Refuse(
          Unmirrored.FORM,
          "dualwrite refuses this statement: "
              + s.table()
              + " appeared just now; execute it again");
    }
    Table t = table.get();
    boolean functions = writingFunction(s, primary) || sql.mentions(catalog.writingViews(primary));
    if (t.temporary()) {
      return functions ? new Plan.Observed(Unmirrored.ROUTINE, null, false) : ONCE;
    }
    if (chunk(t)) { // its rows go by the hypertable's name
      return new Plan.Observed(Unmirrored.RELATION, null, false);
    }
    switch (t.kind()) {
      case FOREIGN:
        return foreign(t);
      case VIEW:
        return new Plan.Observed(Unmirrored.RELATION, null, false);
      case INHERITED:
        if (s.kind() != Kind.INSERT && !s.only()) {
          return new Plan.Observed(Unmirrored.RELATION, null, false); // its children's rows too
        }
        break;
      default:
    }
    if (t.rules()) {
      return new Plan.Observed(Unmirrored.RELATION, null, false);
    }
    if (t.writableColumns().isEmpty()) {
      return new Plan.Refuse(
          Unmirrored.RELATION,
          "dualwrite refuses this statement: "
              + t.name()
              + " has no column that can be written, and so nothing that its rows could be mirrored by ("
              + Unmirrored.RELATION.policy().key()
              + "=primary-only lets it pass)");
    }
    Plan plan = then.plan(t);
    if (!(plan instanceof Plan.Values || plan instanceof Plan.Rows)) {
      return plan;
    }
    if (s.table().indexOf('.') < 0) {
      List<TableName> before = new ArrayList<>();
      for (String schema : catalog.schemasBefore(primary, t.name().schema())) {
        before.add(new TableName(schema, t.name().name()));
      }
      plan = plan instanceof Plan.Values v ? v.before(before) : ((Plan.Rows) plan).before(before);
    }
    List<String> returned =
        new ArrayList<>(
            (plan instanceof Plan.Values v ? v.otherwise() : (Plan.Rows) plan).columns());
    returned.remove("");
    if (!readable(t, returned, primary) || t.rowSecurity() && hidden(t, s, primary)) {
      // what the statement itself says is known all the same, unless a trigger says otherwise
      return new Plan.Observed(
          Unmirrored.RELATION,
          plan instanceof Plan.Values v && t.userTriggers().isEmpty() ? v.unseen() : null,
          false);
    }
    if (!t.userTriggers().isEmpty() || s.kind() != Kind.INSERT && cascades(t, primary)) {
      // BEFORE triggers have changed the row by the time that it is returned
      return new Plan.Observed(
          Unmirrored.RELATION, plan instanceof Plan.Values v ? v.otherwise() : plan, false);
    }
    boolean defaults =
        s.kind() == Kind.INSERT
            || s.kind() == Kind.MERGE
            || s.kind() == Kind.UPDATE && names(sql.text(), "default");
    return functions
            || defaults && t.columns().stream().anyMatch(c -> c.def() == Column.Default.ROUTINE)
        ? new Plan.Observed(Unmirrored.ROUTINE, plan, false)
        : plan;
  }

  /**
   * Whether the role may read these columns: else RETURNING fails. What others have dropped since
   * is for the statement itself to meet.
   */
  static boolean readable(Table t, List<String> columns, Connection primary) throws SQLException {
    try (PreparedStatement s =
        primary.prepareStatement(
            "select coalesce(pg_catalog.bool_and(pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'select')), true)"
                + " from pg_catalog.pg_attribute a where a.attrelid = ?::pg_catalog.oid and a.attname = any(?::text[])")) {
      s.setLong(1, t.oid());
      s.setArray(2, primary.createArrayOf("text", columns.toArray()));
      try (ResultSet r = s.executeQuery()) {
        r.next();
        return r.getBoolean(1);
      }
    }
  }

  /**
   * Whether row security may hide a row that the role may write: with RETURNING an INSERT of it
   * fails, and an UPDATE or DELETE passes it by. It does not where what lets the row be written is
   * what lets it be seen.
   */
  private static boolean hidden(Table t, StatementInfo s, Connection primary) throws SQLException {
    boolean update =
        s.kind() == Kind.UPDATE
            || s.kind() == Kind.MERGE
            || s.onConflict() && !s.onConflictDoNothing();
    List<String> commands = new ArrayList<>(List.of("*"));
    if (s.kind() == Kind.INSERT || s.kind() == Kind.MERGE) {
      commands.add("a");
    }
    if (update) {
      commands.add("w");
    }
    if (s.kind() == Kind.DELETE || s.kind() == Kind.MERGE) {
      commands.add("d");
    }
    try (PreparedStatement q =
        primary.prepareStatement(
            """
            with p as (
              select p.polcmd, p.polpermissive, pg_catalog.pg_get_expr(p.polqual, p.polrelid) as old,
                pg_catalog.pg_get_expr(coalesce(p.polwithcheck, p.polqual), p.polrelid) as new
                from pg_catalog.pg_policy p where p.polrelid = ?::pg_catalog.oid
                  and (p.polroles = '{0}' or exists (select from unnest(p.polroles) r where pg_catalog.pg_has_role(r, 'usage')))),
            shown as (select p.old from p where p.polpermissive and p.polcmd in ('r', '*'))
            select pg_catalog.row_security_active(?::pg_catalog.oid) and (
              not exists (select from shown)
              or not exists (select from shown where old = 'true') and exists (select from p
                where p.polpermissive and p.polcmd = any(?::"char"[])
                  and (? and p.old not in (select old from shown) or ? and p.new not in (select old from shown)))
              or exists (select from p where not p.polpermissive and (p.polcmd = 'r' or p.polcmd = '*' and p.old <> p.new)))
            """)) {
      q.setLong(1, t.oid());
      q.setLong(2, t.oid());
      q.setArray(3, primary.createArrayOf("text", commands.toArray()));
      q.setBoolean(4, update || s.kind() == Kind.DELETE);
      q.setBoolean(5, s.kind() != Kind.DELETE);
      try (ResultSet r = q.executeQuery()) {
        r.next();
        return r.getBoolean(1);
      }
    }
  }

  /** A hypertable's chunk, which is another one on the mirror, or what else TimescaleDB names. */
  private static boolean chunk(Table t) {
    return t.name().schema().startsWith("_timescaledb_");
  }

  private static Plan foreign(Table t) {
    return new Plan.Refuse(
        Unmirrored.RELATION,
        "dualwrite refuses this statement: "
            + t.name()
            + " is a foreign table, so both databases would write to the same place ("
            + Unmirrored.RELATION.policy().key()
            + "=primary-only lets it pass)");
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
  private boolean cascades(Table t, Connection primary) throws SQLException {
    return cascades(t, primary, new HashSet<>());
  }

  private boolean cascades(Table t, Connection primary, Set<TableName> seen) throws SQLException {
    for (ForeignKey k : t.referencedBy()) {
      if ((k.onDelete().changesChild() || k.onUpdate().changesChild()) && seen.add(k.child())) {
        Optional<Table> child = catalog.table(primary, k.child());
        if (child.isPresent()
            && (!child.get().userTriggers().isEmpty()
                || child.get().rules()
                || cascades(child.get(), primary, seen))) {
          return true;
        }
      }
    }
    return false;
  }

  // ---- INSERT

  private Plan insert(Sql sql, StatementInfo s, Table t, List<String> keys) {
    if (s.onConflict() && !s.onConflictDoNothing()) {
      if (!t.keyed()) {
        return new Plan.Observed(Unmirrored.KEYLESS, null, false);
      }
      for (String c : s.setColumns()) {
        if (t.key().contains(c)) {
          return new Plan.Observed(Unmirrored.FORM, null, false);
        }
      }
    }
    RowChange.Kind kind = t.keyed() ? RowChange.Kind.UPSERT : RowChange.Kind.INSERT;
    List<Column> columns = t.writableColumns();
    if (s.onConflict() && !s.onConflictDoNothing() && !t.userTriggers().isEmpty()) {
      List<String> all = new ArrayList<>(columns.size() + 1);
      all.add("");
      all.addAll(names(columns));
      return rows(sql, s, t, kind, all, keys, before(s, t));
    }
    Plan.Rows rows = rows(sql, s, t, kind, names(columns), keys, "");
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
    return new Plan.Values(kind, t, columns, values, proving(sql, s, t, keys), rows);
  }

  /**
   * Whether the key of the row was there before the statement, whose snapshot a query within it
   * has: if not, the row is new, or a trigger gave it another key.
   */
  private static String before(StatementInfo s, Table t) {
    StringBuilder b = new StringBuilder(", exists (select from ").append(t.name().sql());
    b.append(" dualwrite_old where ");
    for (int i = 0; i < t.key().size(); i++) {
      String k = TableName.quote(t.key().get(i));
      b.append(i == 0 ? "" : " and ").append("dualwrite_old.").append(k).append(" = ");
      b.append(qualifier(s)).append('.').append(k);
    }
    return b.append(")::text").toString();
  }

  private static String qualifier(StatementInfo s) {
    return s.alias() != null ? TableName.quote(s.alias()) : s.table();
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
      return keyless(sql, s, t, keys, primary);
    }
    boolean assigned = s.setColumns().stream().anyMatch(t.key()::contains);
    if (!assigned && t.userTriggers().isEmpty()) { // one before the row may assign it, too
      return rows(sql, s, t, RowChange.Kind.UPSERT, names(t.writableColumns()), keys, "");
    }
    if (primary.getMetaData().getDatabaseMajorVersion() < 18) {
      if (bindsKey(s, t)) {
        return rekeyed(sql, s, t, keys);
      }
      return assigned
          ? new Plan.Observed(Unmirrored.FORM, null, false)
          : rekeyedPerhaps(sql, s, t, keys);
    }
    if (namesOld(sql.text())) {
      return new Plan.Observed(Unmirrored.FORM, null, false);
    }
    List<String> columns = new ArrayList<>(t.key());
    columns.addAll(names(t.writableColumns()));
    StringBuilder old = new StringBuilder();
    for (String k : t.key()) {
      old.append(", old.").append(TableName.quote(k)).append("::text");
    }
    return rows(sql, s, t, RowChange.Kind.REKEY, columns, keys, old.toString());
  }

  /** Whether the WHERE clause gives the whole key. */
  private static boolean bindsKey(StatementInfo s, Table t) {
    List<KeyTerm> terms = s.equalities();
    return terms != null && terms.stream().map(KeyTerm::column).toList().containsAll(t.key());
  }

  /**
   * A trigger may assign the key. The statement says of each row whether there was one of the new
   * key before it: else its old key is not known.
   */
  private static Plan rekeyedPerhaps(Sql sql, StatementInfo s, Table t, List<String> keys) {
    String target = s.alias() != null ? TableName.quote(s.alias()) : s.table();
    StringBuilder there = new StringBuilder(", EXISTS (SELECT FROM ");
    there.append(s.only() ? "ONLY " : "").append(t.name().sql()).append(" dualwrite_old WHERE ");
    for (int i = 0; i < t.key().size(); i++) {
      String k = TableName.quote(t.key().get(i));
      there.append(i == 0 ? "" : " AND ").append("dualwrite_old.").append(k).append(" = ");
      there.append(target).append('.').append(k);
    }
    List<String> columns = new ArrayList<>();
    columns.add("");
    columns.addAll(names(t.writableColumns()));
    return withoutTail(
        rows(sql, s, t, RowChange.Kind.UPSERT, columns, keys, there.append(')').toString()));
  }

  /** Whether something may have the name by which RETURNING shows the old row; then it does not. */
  private static boolean namesOld(String text) {
    return names(text, "old");
  }

  /** Whether the word stands somewhere, be it in a comment. */
  private static boolean names(String text, String word) {
    int n = word.length();
    for (int i = 0; i + n <= text.length(); i++) {
      if (text.regionMatches(true, i, word, 0, n)
          && (i == 0 || !Character.isJavaIdentifierPart(text.charAt(i - 1)))
          && (i + n == text.length() || !Character.isJavaIdentifierPart(text.charAt(i + n)))) {
        return true;
      }
    }
    return false;
  }

  /** Old and new rows as a whole, where the primary shows the old ones. */
  private static Plan keyless(
      Sql sql, StatementInfo s, Table t, List<String> keys, Connection primary)
      throws SQLException {
    if (primary.getMetaData().getDatabaseMajorVersion() < 18 || namesOld(sql.text())) {
      return new Plan.Observed(Unmirrored.KEYLESS, null, false);
    }
    List<String> columns = new ArrayList<>(names(t.writableColumns()));
    StringBuilder old = new StringBuilder();
    for (Column c : t.writableColumns()) {
      old.append(", ").append(text("old." + TableName.quote(c.name()), c));
    }
    columns.addAll(names(t.writableColumns()));
    return rows(sql, s, t, RowChange.Kind.REMOVE, columns, keys, old.toString());
  }

  /**
   * Before PostgreSQL 18 RETURNING shows the new row only. The statement is joined with the table
   * itself, under names that nothing else has, so that the old key is there too. Only where the
   * statement gives the key: when it has waited for another transaction, the server looks at the
   * conditions again, and the join would miss a row whose key that one has changed.
   */
  private static Plan rekeyed(Sql sql, StatementInfo s, Table t, List<String> keys) {
    if (s.currentOf() || s.clausesEnd() < 0) {
      return new Plan.Observed(Unmirrored.FORM, null, false);
    }
    String text = sql.text();
    String target = s.alias() != null ? TableName.quote(s.alias()) : s.table();
    StringBuilder from = new StringBuilder(s.from() ? ", " : " FROM ").append("(SELECT ");
    StringBuilder join = new StringBuilder();
    StringBuilder old = new StringBuilder();
    for (int i = 0; i < t.key().size(); i++) {
      String k = TableName.quote(t.key().get(i));
      from.append(i == 0 ? "" : ", ").append(k).append(" AS dualwrite_old_").append(i);
      join.append(i == 0 ? "" : " AND ").append(target).append('.').append(k);
      join.append(" = dualwrite_old.dualwrite_old_").append(i);
      old.append(", dualwrite_old.dualwrite_old_").append(i).append("::text");
    }
    from.append(" FROM ").append(s.only() ? "ONLY " : "").append(t.name().sql()).append(")");
    from.append(" dualwrite_old WHERE ").append(join);
    int where = s.where() ? s.whereBegin() - "where".length() : s.clausesEnd();
    StringBuilder joined = new StringBuilder(text.substring(0, where));
    joined.append(' ').append(from);
    if (s.where()) {
      joined.append(" AND (").append(text, s.whereBegin(), s.clausesEnd()).append(") ");
    }
    joined.append(text.substring(s.clausesEnd()));
    Sql again = Sql.analyze(joined.toString());
    if (again.statements().size() != 1 || again.statements().get(0).kind() != Kind.UPDATE) {
      return new Plan.Observed(Unmirrored.FORM, null, false);
    }
    List<String> columns = new ArrayList<>(t.key());
    columns.addAll(names(t.writableColumns()));
    // its own RETURNING * would show the old key as well
    StatementInfo a = again.statements().get(0);
    if (keys != null && keys.isEmpty() || a.returning() >= 0) {
      Plan plan = star(again, a, t, columns, keys, old.toString());
      return plan instanceof Plan.Rows r ? withoutTail(r) : plan;
    }
    return withoutTail(rows(again, a, t, RowChange.Kind.REKEY, columns, keys, old.toString()));
  }

  /** Our list of columns does not fit to the statement as it was given. */
  private static Plan.Rows withoutTail(Plan.Rows r) {
    return new Plan.Rows(
        r.statement(),
        r.kind(),
        r.table(),
        r.key(),
        r.sql(),
        r.proving(),
        r.columns(),
        r.applicationReturning(),
        null,
        false,
        List.of());
  }

  /** As {@link #rows}, where a star in the application's list means the table's columns alone. */
  private static Plan star(
      Sql sql, StatementInfo s, Table t, List<String> columns, List<String> keys, String old) {
    String target = s.alias() != null ? TableName.quote(s.alias()) : s.table();
    if (s.returning() < 0) {
      Sql with =
          Sql.analyze(
              sql.text().substring(0, s.returningInsertAt())
                  + " RETURNING "
                  + target
                  + ".*"
                  + sql.text().substring(s.returningInsertAt()));
      Plan.Rows r =
          rows(with, with.statements().get(0), t, RowChange.Kind.REKEY, columns, keys, old);
      return new Plan.Rows(
          r.statement(),
          r.kind(),
          r.table(),
          r.key(),
          r.sql(),
          r.proving(),
          r.columns(),
          false,
          null,
          false,
          List.of());
    }
    String list = sql.text().substring(s.returning(), s.end()).strip();
    if (list.equals("*")) {
      Sql with =
          Sql.analyze(
              sql.text().substring(0, s.returning())
                  + " "
                  + target
                  + ".*"
                  + sql.text().substring(s.end()));
      return rows(with, with.statements().get(0), t, RowChange.Kind.REKEY, columns, keys, old);
    }
    return list.indexOf('*') >= 0
        ? new Plan.Observed(Unmirrored.FORM, null, false)
        : rows(sql, s, t, RowChange.Kind.REKEY, columns, keys, old);
  }

  // ---- MERGE

  /**
   * From PostgreSQL 18 on RETURNING tells action, old key and new row; before, what it did is read
   * back as far as that is possible.
   */
  private Plan merge(Sql sql, StatementInfo s, Table t, List<String> keys, Connection primary)
      throws SQLException {
    if (!t.keyed()
        || primary.getMetaData().getDatabaseMajorVersion() < 18
        || namesOld(sql.text())) {
      return new Plan.Observed(Unmirrored.FORM, null, false);
    }
    List<String> columns = new ArrayList<>();
    columns.add("");
    columns.addAll(t.key());
    columns.addAll(names(t.writableColumns()));
    StringBuilder old = new StringBuilder(", merge_action()");
    for (String k : t.key()) {
      old.append(", old.").append(TableName.quote(k)).append("::text");
    }
    return rows(sql, s, t, RowChange.Kind.REKEY, columns, keys, old.toString());
  }

  // ---- DELETE

  private Plan delete(Sql sql, StatementInfo s, Table t, List<String> keys) {
    if (!t.keyed()) {
      return rows(sql, s, t, RowChange.Kind.REMOVE, names(t.writableColumns()), keys, "");
    }
    Plan.Rows rows = rows(sql, s, t, RowChange.Kind.DELETE, t.key(), keys, "");
    List<KeyTerm> terms = s.equalities();
    // where it deletes nothing, a result does not tell that, and nothing may be shipped
    if (terms == null
        || s.returning() >= 0
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
    return new Plan.Values(
        RowChange.Kind.DELETE, t, columns, List.of(key), proving(sql, s, t, keys), rows);
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
    String qualifier = qualifier(s);
    StringBuilder ours = new StringBuilder();
    List<String> own =
        prefix.isEmpty()
            ? columns
            : columns.subList(columns.size() - t.writableColumns().size(), columns.size());
    ours.append(prefix);
    for (String c : own) {
      String value = qualifier + '.' + TableName.quote(c);
      ours.append(", ").append(text(value, t.column(c).orElseThrow()));
    }
    StringBuilder x = new StringBuilder(text.length() + ours.length() + 16);
    boolean has = s.returning() >= 0;
    int rest = has ? s.end() : s.returningInsertAt();
    if (has) {
      x.append(text, 0, rest).append(ours);
    } else {
      x.append(text, 0, s.returningInsertAt()).append(" RETURNING ");
      if (keys == null) {
        x.append(ours, 2, ours.length());
      } else if (keys.isEmpty()) {
        x.append('*').append(ours);
      } else {
        x.append(String.join(", ", keys)).append(ours);
      }
    }
    String proving = x + ", " + Catalog.proof(t) + text.substring(rest);
    return new Plan.Rows(
        s.kind(),
        kind,
        t,
        t.key(),
        x.append(text, rest, text.length()).toString(),
        proving,
        columns,
        has,
        ours.substring(2),
        s.source() == Source.VALUES,
        List.of());
  }

  /** A column's value as text. */
  static String text(String value, Column c) {
    return switch (c.type()) {
      case "money" -> value + "::numeric::text"; // as text it is in the session's currency
      case "bpchar" -> "pg_catalog.textin(pg_catalog.bpcharout(" + value + "))"; // blanks and all
      default -> value + "::text";
    };
  }

  /** The statement with nothing but the proof to return; null if it returns something else. */
  private static String proving(Sql sql, StatementInfo s, Table t, List<String> keys) {
    if (keys != null || s.returning() >= 0) {
      return null;
    }
    String text = sql.text();
    int at = s.returningInsertAt();
    return text.substring(0, at) + " RETURNING " + Catalog.proof(t) + text.substring(at);
  }

  private static List<String> names(List<Column> columns) {
    return columns.stream().map(Column::name).toList();
  }
}
