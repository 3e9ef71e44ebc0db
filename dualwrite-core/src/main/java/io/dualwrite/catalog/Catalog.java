package io.dualwrite.catalog;

import io.dualwrite.sql.Sql;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * What one database's catalog says of its tables, cached. One instance belongs to one database;
 * every method takes a connection to that database and uses it only for the duration of the call,
 * inside whatever transaction is open on it. Thread-safe.
 */
public final class Catalog {

  /** A default that is a literal with casts, and so the same value every time. */
  private static final Pattern CONSTANT =
      Pattern.compile(
          "\\(*-?('([^']|'')*'|\\d+(\\.\\d+)?|true|false|NULL)\\)*"
              + "(::[a-zA-Z_][a-zA-Z_0-9 \".]*(\\(\\d+(,\\d+)?\\))?( with(out)? time zone)?(\\[\\])*\\)*)*");

  /**
   * What is known since the last change. Whoever reads the catalog takes this first and adds to
   * that same one: if everything was forgotten meanwhile, what it read goes with the old one.
   */
  private static final class Known {
    final Map<TableName, Table> tables = new ConcurrentHashMap<>();
    final Map<String, Function> functions = new ConcurrentHashMap<>();
    final AtomicReference<Views> writingViews = new AtomicReference<>();

    void add(List<Table> found) {
      for (Table t : found) {
        tables.put(t.name(), t);
      }
    }
  }

  private volatile Known known = new Known();

  /**
   * Forgets everything: after DDL, or when a statement failed because a table is not what it was.
   */
  public void invalidate() {
    known = new Known();
  }

  /**
   * The table of that name, if it exists.
   *
   * @throws SQLException if the catalog cannot be read
   */
  public Optional<Table> table(Connection connection, TableName name) throws SQLException {
    Known now = known;
    Table table = now.tables.get(name);
    if (table != null) {
      return Optional.of(table);
    }
    List<Table> found =
        load(connection, "n.nspname = ? and c.relname = ?", List.of(name.schema(), name.name()));
    now.add(found);
    return found.stream().findFirst();
  }

  /**
   * The relation that a name in SQL text means to this connection, given its search path (and its
   * temporary tables).
   *
   * @param reference the name as it stands in the SQL text, with its quotes
   * @throws SQLException if the catalog cannot be read
   */
  public Optional<TableName> resolve(Connection connection, String reference) throws SQLException {
    try (PreparedStatement s =
        connection.prepareStatement(
            "select n.nspname, c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
                + " where c.oid = pg_catalog.to_regclass(?)")) {
      s.setString(1, decoded(reference));
      try (ResultSet r = s.executeQuery()) {
        return r.next()
            ? Optional.of(new TableName(r.getString(1), r.getString(2)))
            : Optional.empty();
      }
    }
  }

  /**
   * The schemas of the search path before the one that a name without a schema was found in: a
   * table that comes there takes the name over.
   *
   * @throws SQLException if the catalog cannot be read
   */
  public List<String> schemasBefore(Connection connection, String schema) throws SQLException {
    try (PreparedStatement s =
        connection.prepareStatement(
            "select n from unnest(pg_catalog.current_schemas(false)) with ordinality x(n, i)"
                + " where i < pg_catalog.array_position(pg_catalog.current_schemas(false), ?::name) order by i")) {
      s.setString(1, schema);
      List<String> found = new ArrayList<>();
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          found.add(r.getString(1));
        }
      }
      return found;
    }
  }

  /** Outside of SQL text the server does not know {@code U&"…"}. */
  private static String decoded(String reference) {
    if (reference.indexOf('&') < 0) {
      return reference;
    }
    List<String> parts = Sql.nameParts(reference);
    return parts.isEmpty()
        ? reference
        : parts.stream().map(TableName::quote).collect(Collectors.joining("."));
  }

  /**
   * Every table of the users' own schemas (not the system's, not temporary, not dualwrite's), by
   * name.
   *
   * @throws SQLException if the catalog cannot be read
   */
  public List<Table> tables(Connection connection) throws SQLException {
    Known now = known;
    List<Table> found =
        load(
            connection,
            "c.relkind in ('r','p') and c.relpersistence <> 't' and n.nspname not in ('pg_catalog','information_schema','dualwrite')"
                + " and n.nspname not like 'pg\\_toast%' and n.nspname not like 'pg\\_temp%'"
                + " and n.nspname not like '\\_timescaledb\\_%' and n.nspname not like 'timescaledb\\_%'"
                + " and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
                + " and d.objid = c.oid and d.deptype = 'e')",
            List.of());
    now.add(found);
    return found.stream().sorted(Comparator.comparing(Table::name)).toList();
  }

  /**
   * How long {@link Known#writingViews} and what others may replace of {@link Known#functions} are
   * believed: nothing tells.
   */
  public static final long BELIEVED = TimeUnit.SECONDS.toNanos(1);

  private record Views(Set<String> names, Set<String> materialized, long read) {}

  /**
   * The names (without schema) of views, and of tables with row security, through which a read may
   * call a function that may write: one of the users' own that is VOLATILE. What other sessions
   * change about that is seen within a second.
   *
   * @throws SQLException if the catalog cannot be read
   */
  public Set<String> writingViews(Connection connection) throws SQLException {
    return views(connection).names();
  }

  /**
   * The names (without schema) of materialized views whose REFRESH may call such a function.
   *
   * @throws SQLException if the catalog cannot be read
   */
  public Set<String> writingMaterializedViews(Connection connection) throws SQLException {
    return views(connection).materialized();
  }

  private Views views(Connection connection) throws SQLException {
    Known now = known;
    Views views = now.writingViews.get();
    long start = System.nanoTime();
    if (views != null && start - views.read() < BELIEVED) {
      return views;
    }
    if (views != null) { // one asks, the others need not wait for it
      now.writingViews.compareAndSet(views, new Views(views.names(), views.materialized(), start));
    }
    Set<String> found = new HashSet<>();
    Set<String> materialized = new HashSet<>();
    try (PreparedStatement s =
            connection.prepareStatement(
                "with recursive f as (select p.oid from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace"
                    + " where p.provolatile = 'v' and p.prokind = 'f' and n.nspname not in ('pg_catalog', 'information_schema')"
                    + " and not exists (select from pg_catalog.pg_depend e where e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass"
                    + " and e.objid = p.oid and e.deptype = 'e')), v(oid) as ("
                    + " select r.ev_class from pg_catalog.pg_depend d join f on f.oid = d.refobjid join pg_catalog.pg_rewrite r on r.oid = d.objid"
                    + " where d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass"
                    + " and r.rulename = '_RETURN'"
                    + " union select p.polrelid from pg_catalog.pg_depend d join f on f.oid = d.refobjid join pg_catalog.pg_policy p on p.oid = d.objid"
                    + " where d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass and d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass"
                    + " union select r.ev_class from v join pg_catalog.pg_depend d on d.refobjid = v.oid and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass"
                    + " join pg_catalog.pg_rewrite r on r.oid = d.objid and d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass"
                    + " where r.rulename = '_RETURN')"
                    + " select c.relname, c.relkind = 'm' from v join pg_catalog.pg_class c on c.oid = v.oid");
        ResultSet r = s.executeQuery()) {
      while (r.next()) {
        (r.getBoolean(2) ? materialized : found).add(r.getString(1));
      }
    }
    views = new Views(Set.copyOf(found), Set.copyOf(materialized), start);
    now.writingViews.set(views);
    return views;
  }

  /**
   * The tables that TRUNCATE … CASCADE of this one takes along, by their own foreign keys: those to
   * the partitioned table that it is a partition of, and those to its partitions, too.
   *
   * @throws SQLException if the catalog cannot be read
   */
  public List<TableName> truncatedWith(Connection connection, Table table) throws SQLException {
    List<TableName> result = new ArrayList<>();
    try (PreparedStatement s =
        connection.prepareStatement(
            // each partition has a copy of the foreign keys to its root, and of the root's own
            "with recursive k(parent, child) as (select k.conparentid, k.conrelid from pg_catalog.pg_constraint k"
                + " where k.contype = 'f' and k.confrelid in (select o.oid from (select ?::oid) o(oid)"
                + " union select p.relid from (select ?::oid) o(oid), pg_catalog.pg_partition_tree(o.oid) p)"
                + " union select u.conparentid, u.conrelid from k join pg_catalog.pg_constraint u on u.oid = k.parent)"
                + " select distinct n.nspname, c.relname from k join pg_catalog.pg_class c on c.oid = k.child"
                + " join pg_catalog.pg_namespace n on n.oid = c.relnamespace where k.parent = 0 order by 1, 2")) {
      s.setLong(1, table.oid());
      s.setLong(2, table.oid());
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          result.add(new TableName(r.getString(1), r.getString(2)));
        }
      }
    }
    return result;
  }

  // ---- loading

  private record Head(
      TableName name,
      Table.Kind kind,
      boolean temporary,
      Optional<TableName> root,
      Optional<String> predicate,
      boolean rules,
      boolean rowSecurity,
      String version,
      boolean deferrable) {}

  /**
   * An expression over {@code pg_class c}: other text after any change of the table, its columns,
   * their defaults or its triggers. What VACUUM and ANALYZE write there leaves it as it is.
   */
  private static final String VERSION =
      "c.xmin::text || '/' || array(select a.xmin from pg_catalog.pg_attribute a"
          + " where a.attrelid = c.oid and a.attnum > 0 order by a.attnum)::text"
          + " || '/' || array(select g.xmin from pg_catalog.pg_trigger g where g.tgrelid = c.oid order by g.tgname)::text";

  /**
   * A scalar query with one parameter, an array of oids: the versions of these tables by ascending
   * oid, separated by semicolons. See {@link Table#version}.
   */
  public static final String VERSIONS =
      "(select pg_catalog.string_agg("
          + VERSION
          + ", ';' order by c.oid) from pg_catalog.pg_class c where c.oid = any(?))";

  /**
   * An expression: whether each statement of the transaction sees the catalog as it is then. With
   * one snapshot for all of them it shows what tables were, while the server writes by what they
   * are.
   */
  public static final String SEES_NOW =
      "pg_catalog.current_setting('transaction_isolation') like 'read %'";

  /**
   * A scalar query without parameters: the transaction's id, the backend's process id, and {@code
   * t} if the table is still what it was when it was read, {@code f} if it is not, nothing if it
   * cannot be seen; separated by blanks. Whoever writes to a table holds a lock on it until the
   * transaction ends, so that what a statement that writes is told by this query in its RETURNING
   * list stays true.
   */
  public static String proof(Table table) {
    String oid = Long.toString(table.oid());
    return "(select pg_catalog.concat(pg_catalog.pg_current_xact_id()::text, ' ', pg_catalog.pg_backend_pid(), ' ', "
        // by its number, so that each part is looked up in an index
        + VERSION
            .replace(
                "c.xmin", "(select c.xmin from pg_catalog.pg_class c where c.oid = " + oid + ")")
            .replace("= c.oid", "= " + oid)
        + " = '"
        + table.version()
        + "' and "
        + SEES_NOW
        + "))";
  }

  private static List<Table> load(Connection connection, String where, List<String> parameters)
      throws SQLException {
    Map<Long, Head> heads = new LinkedHashMap<>();
    boolean chunks = false;
    try (PreparedStatement s =
        connection.prepareStatement(
            "select c.oid, n.nspname, c.relname, c.relkind, c.relpersistence = 't', c.relispartition,"
                + " pg_catalog.pg_get_partition_constraintdef(c.oid), rn.nspname, rc.relname,"
                + " exists (select from pg_catalog.pg_rewrite w where w.ev_class = c.oid and c.relkind in ('r','p')), c.relrowsecurity,"
                + " exists (select from pg_catalog.pg_inherits i where not c.relispartition and c.relkind = 'r'"
                + " and (i.inhrelid = c.oid or i.inhparent = c.oid"
                // a hypertable's chunks are its children, but nobody writes to them by name
                + " and not exists (select from pg_catalog.pg_class ch join pg_catalog.pg_namespace chn on chn.oid = ch.relnamespace"
                + " where ch.oid = i.inhrelid and chn.nspname like '\\_timescaledb\\_%'))), "
                + VERSION
                + ", exists (select from pg_catalog.pg_constraint k where k.conrelid = c.oid and k.condeferrable), "
                + Chunks.KNOWN
                + " from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
                + " left join pg_catalog.pg_class rc on c.relispartition and rc.oid = pg_catalog.pg_partition_root(c.oid)"
                + " left join pg_catalog.pg_namespace rn on rn.oid = rc.relnamespace"
                + " where c.relkind in ('r','p','v','m','f') and "
                + where)) {
      for (int i = 0; i < parameters.size(); i++) {
        s.setString(i + 1, parameters.get(i));
      }
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          chunks = r.getBoolean(15);
          boolean partition = r.getBoolean(6);
          Table.Kind kind =
              switch (r.getString(4)) {
                case "r" ->
                    partition
                        ? Table.Kind.PARTITION
                        : r.getBoolean(12) ? Table.Kind.INHERITED : Table.Kind.PLAIN;
                case "p" -> Table.Kind.PARTITIONED;
                case "f" -> Table.Kind.FOREIGN;
                default -> Table.Kind.VIEW;
              };
          heads.put(
              r.getLong(1),
              new Head(
                  new TableName(r.getString(2), r.getString(3)),
                  kind,
                  r.getBoolean(5),
                  r.getString(9) == null
                      ? Optional.empty()
                      : Optional.of(new TableName(r.getString(8), r.getString(9))),
                  Optional.ofNullable(r.getString(7)),
                  r.getBoolean(10),
                  r.getBoolean(11),
                  r.getString(13),
                  r.getBoolean(14)));
        }
      }
    }
    if (heads.isEmpty()) {
      return List.of();
    }
    Array oids = connection.createArrayOf("oid", heads.keySet().toArray());
    Map<Long, List<Column>> columns = columns(connection, oids);
    Map<Long, List<Index>> indexes = indexes(connection, oids);
    Map<Long, List<String>> triggers = triggers(connection, oids, chunks);
    Map<Long, List<ForeignKey>> children = foreignKeys(connection, oids, "k.conrelid");
    Map<Long, List<ForeignKey>> parents = foreignKeys(connection, oids, "k.confrelid");
    Set<Long> compressing = chunks ? Chunks.compressing(connection, oids) : Set.of();
    List<Table> result = new ArrayList<>();
    heads.forEach(
        (oid, h) -> {
          List<Column> cols = columns.getOrDefault(oid, List.of());
          List<Index> unique = indexes.getOrDefault(oid, List.of());
          Optional<Index> key =
              unique.stream()
                  .filter(x -> x.usableAsKey(cols))
                  .min(
                      Comparator.comparing((Index x) -> !x.primary)
                          .thenComparing(x -> x.deferrable)
                          .thenComparing(x -> x.columns.size())
                          .thenComparing(x -> String.join(",", x.columns)));
          List<List<String>> others = new ArrayList<>();
          for (Index x : unique) {
            if (key.isEmpty() || !x.equals(key.get())) {
              others.add(x.columns);
            }
          }
          result.add(
              new Table(
                  h.name,
                  oid,
                  h.kind,
                  h.temporary,
                  h.root,
                  h.predicate,
                  cols,
                  key.map(x -> x.columns).orElse(List.of()),
                  key.map(x -> x.deferrable).orElse(false),
                  others,
                  h.deferrable,
                  children.getOrDefault(oid, List.of()),
                  parents.getOrDefault(oid, List.of()),
                  triggers.getOrDefault(oid, List.of()),
                  h.rules,
                  h.rowSecurity,
                  compressing.contains(oid),
                  h.version));
        });
    return result;
  }

  private static Map<Long, List<Column>> columns(Connection connection, Array oids)
      throws SQLException {
    record Raw(long oid, Column column, String expression) {}
    List<Raw> raws = new ArrayList<>();
    try (PreparedStatement s =
        connection.prepareStatement(
            "select a.attrelid, a.attname,"
                // a type of the users' own is qualified whatever the search path says
                + " case when tn.nspname = 'pg_catalog' then pg_catalog.format_type(a.atttypid, -1)"
                + " else pg_catalog.quote_ident(tn.nspname) || '.' || pg_catalog.quote_ident(t.typname) end,"
                + " pg_catalog.format_type(a.atttypid, a.atttypmod),"
                + " a.attnotnull, a.attgenerated, a.attidentity, pg_catalog.pg_get_expr(d.adbin, d.adrelid), t.typdefault,"
                + " exists (select from pg_catalog.pg_depend dep join pg_catalog.pg_proc f on f.oid = dep.refobjid"
                // without a default of its own it has its domain's
                + " where (dep.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass and dep.objid = d.oid"
                + " or d.oid is null and t.typtype = 'd' and dep.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and dep.objid = t.oid)"
                + " and dep.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass and f.provolatile = 'v'),"
                + " coalesce(l.collisdeterministic, true),"
                // an operator of the base type of a domain is looked for by the search path too
                + " case when tn.nspname <> 'pg_catalog' then array(with recursive u(oid) as (select t.oid"
                + " union all select d.typbasetype from u join pg_catalog.pg_type d on d.oid = u.oid where d.typtype = 'd')"
                + " select distinct pg_catalog.quote_ident(n.nspname) from u join pg_catalog.pg_type d on d.oid = u.oid"
                + " join pg_catalog.pg_namespace n on n.oid = d.typnamespace where n.nspname <> 'pg_catalog' order by 1) end"
                + " from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid"
                + " left join pg_catalog.pg_collation l on l.oid = a.attcollation"
                + " join pg_catalog.pg_namespace tn on tn.oid = t.typnamespace"
                + " left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum"
                + " where a.attrelid = any(?) and a.attnum > 0 and not a.attisdropped order by a.attrelid, a.attnum")) {
      s.setArray(1, oids);
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          String generated = r.getString(6);
          String identity = r.getString(7);
          String expression = r.getString(8);
          boolean isGenerated = generated != null && !generated.isEmpty();
          Column.Identity id =
              identity == null || identity.isEmpty()
                  ? Column.Identity.NONE
                  : identity.equals("a") ? Column.Identity.ALWAYS : Column.Identity.BY_DEFAULT;
          boolean computed =
              expression != null || id != Column.Identity.NONE || r.getString(9) != null;
          raws.add(
              new Raw(
                  r.getLong(1),
                  new Column(
                      r.getString(2),
                      r.getString(3),
                      r.getString(4),
                      r.getBoolean(5),
                      isGenerated,
                      id,
                      r.getBoolean(10)
                          ? Column.Default.ROUTINE
                          : computed ? Column.Default.COMPUTED : Column.Default.NULL,
                      null,
                      r.getBoolean(11),
                      operators(r.getArray(12))),
                  isGenerated ? null : expression));
        }
      }
    }
    Map<String, String> constants =
        evaluate(
            connection,
            raws.stream().map(Raw::expression).filter(Catalog::constant).distinct().toList());
    Map<Long, List<Column>> result = new HashMap<>();
    for (Raw raw : raws) {
      Column c = raw.column;
      if (constants.containsKey(raw.expression)) {
        String value = constants.get(raw.expression);
        c =
            new Column(
                c.name(),
                c.type(),
                c.declaredType(),
                c.notNull(),
                false,
                c.identity(),
                value == null ? Column.Default.NULL : Column.Default.CONSTANT,
                value,
                c.deterministic(),
                c.operators());
      }
      result.computeIfAbsent(raw.oid, k -> new ArrayList<>()).add(c);
    }
    return result;
  }

  private static List<String> operators(Array schemas) throws SQLException {
    return schemas == null ? List.of() : List.of((String[]) schemas.getArray());
  }

  private static boolean constant(String expression) {
    if (expression == null || !CONSTANT.matcher(expression).matches()) {
      return false;
    }
    String lower = expression.toLowerCase(Locale.ROOT); // 'now'::text::timestamp is a clock
    return !(lower.contains("'now")
        || lower.contains("'today")
        || lower.contains("'tomorrow")
        || lower.contains("'yesterday"));
  }

  private static Map<String, String> evaluate(Connection connection, Collection<String> expressions)
      throws SQLException {
    Map<String, String> result = new HashMap<>();
    if (expressions.isEmpty()) {
      return result;
    }
    List<String> list = List.copyOf(expressions);
    StringBuilder sql = new StringBuilder("select ");
    for (int i = 0; i < list.size(); i++) {
      sql.append(i == 0 ? "(" : ", (").append(list.get(i).replace("?", "??")).append(")::text");
    }
    try (PreparedStatement s = connection.prepareStatement(sql.toString());
        ResultSet r = s.executeQuery()) {
      r.next();
      for (int i = 0; i < list.size(); i++) {
        result.put(list.get(i), r.getString(i + 1));
      }
    }
    return result;
  }

  /**
   * A unique index.
   *
   * @param doubtful whether a NOT NULL of its columns is NOT VALID: older rows may hold NULL
   */
  private record Index(
      List<String> columns, boolean primary, boolean deferrable, boolean doubtful) {
    boolean usableAsKey(List<Column> of) {
      return !doubtful
          && columns.stream()
              .allMatch(
                  k ->
                      of.stream()
                          .anyMatch(c -> c.name().equals(k) && c.notNull() && !c.generated()));
    }
  }

  private static Map<Long, List<Index>> indexes(Connection connection, Array oids)
      throws SQLException {
    Map<Long, List<Index>> result = new HashMap<>();
    try (PreparedStatement s =
        connection.prepareStatement(
            "select i.indrelid, i.indisprimary, not i.indimmediate,"
                + " (select pg_catalog.array_agg(a.attname::text order by u.n) from unnest(i.indkey::int2[]) with ordinality u(k, n)"
                + " join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.k where u.n <= i.indnkeyatts),"
                + " exists (select from pg_catalog.pg_constraint k where k.conrelid = i.indrelid and k.contype = 'n' and not k.convalidated"
                + " and k.conkey[1] = any((i.indkey::int2[])[:i.indnkeyatts - 1]))" // it counts
                // from 0
                // ON CONFLICT takes no WITHOUT OVERLAPS
                + " from pg_catalog.pg_index i where i.indrelid = any(?) and i.indisunique and not i.indisexclusion and i.indisvalid"
                + " and i.indpred is null and i.indexprs is null order by i.indrelid, i.indexrelid")) {
      s.setArray(1, oids);
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          result
              .computeIfAbsent(r.getLong(1), k -> new ArrayList<>())
              .add(
                  new Index(
                      strings(r.getArray(4)), r.getBoolean(2), r.getBoolean(3), r.getBoolean(5)));
        }
      }
    }
    return result;
  }

  private static Map<Long, List<String>> triggers(Connection connection, Array oids, boolean chunks)
      throws SQLException {
    Map<Long, List<String>> result = new HashMap<>();
    try (PreparedStatement s =
        connection.prepareStatement(
            "select o.oid, t.tgname from unnest(?::oid[]) o(oid) cross join lateral (select o.oid as relid"
                // a partition's own triggers fire for rows that are written through its root
                + " union select p.relid from pg_catalog.pg_partition_tree(o.oid) p) x"
                + " join pg_catalog.pg_trigger t on t.tgrelid = x.relid where not t.tgisinternal and (t.tgenabled in ('O','A')"
                // a hypertable's disabled trigger is enabled in each new chunk
                + (chunks
                    ? " or t.tgtype & 1 = 1 and exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
                        + " join _timescaledb_catalog.hypertable h on (h.schema_name, h.table_name) = (n.nspname, c.relname) where c.oid = o.oid)"
                    : "")
                + ")"
                + " and t.tgname <> 'ts_insert_blocker' and t.tgname <> 'ts_cagg_invalidation_trigger' group by 1, 2 order by 1, 2")) {
      s.setArray(1, oids);
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          result.computeIfAbsent(r.getLong(1), k -> new ArrayList<>()).add(r.getString(2));
        }
      }
    }
    return result;
  }

  private static Map<Long, List<ForeignKey>> foreignKeys(
      Connection connection, Array oids, String side) throws SQLException {
    Map<Long, List<ForeignKey>> result = new HashMap<>();
    try (PreparedStatement s =
        connection.prepareStatement(
            "select "
                + side
                + ", k.conname, cn.nspname, cc.relname, pn.nspname, pc.relname, k.confdeltype, k.confupdtype,"
                + " (select pg_catalog.array_agg(a.attname::text order by u.n) from unnest(k.conkey) with ordinality u(k, n)"
                + " join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.k),"
                + " (select pg_catalog.array_agg(a.attname::text order by u.n) from unnest(k.confkey) with ordinality u(k, n)"
                + " join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.k)"
                + " from pg_catalog.pg_constraint k"
                + " join pg_catalog.pg_class cc on cc.oid = k.conrelid join pg_catalog.pg_namespace cn on cn.oid = cc.relnamespace"
                + " join pg_catalog.pg_class pc on pc.oid = k.confrelid join pg_catalog.pg_namespace pn on pn.oid = pc.relnamespace"
                // the copies that the server keeps for each partition say nothing new
                + " where k.contype = 'f' and k.conparentid = 0 and "
                + side
                + " = any(?) order by k.oid")) {
      s.setArray(1, oids);
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          result
              .computeIfAbsent(r.getLong(1), k -> new ArrayList<>())
              .add(
                  new ForeignKey(
                      r.getString(2),
                      new TableName(r.getString(3), r.getString(4)),
                      strings(r.getArray(9)),
                      new TableName(r.getString(5), r.getString(6)),
                      strings(r.getArray(10)),
                      ForeignKey.Action.of(r.getString(7)),
                      ForeignKey.Action.of(r.getString(8))));
        }
      }
    }
    return result;
  }

  private static List<String> strings(Array array) throws SQLException {
    return List.of((String[]) array.getArray());
  }

  // ---- functions

  /**
   * @param until when others may have made or replaced one of that name; 0 if it is the server's
   *     own, or an extension's
   */
  private record Function(boolean mayWrite, boolean immutable, boolean isVolatile, long until) {}

  /**
   * Whether calling a function of that name may change the database: true unless every function of
   * the name is the server's own (and not one of those known to write) or is declared STABLE or
   * IMMUTABLE. A name that does not exist is no call: something that only looks like one, or an
   * error.
   *
   * @param reference the name as it stands in the SQL text
   * @throws SQLException if the catalog cannot be read
   */
  public boolean functionMayWrite(Connection connection, String reference) throws SQLException {
    return function(connection, reference).mayWrite;
  }

  /**
   * Whether every function of that name is IMMUTABLE, or an aggregate that is: the same values in,
   * the same out, on any server.
   *
   * @throws SQLException if the catalog cannot be read
   */
  public boolean functionIsImmutable(Connection connection, String reference) throws SQLException {
    return function(connection, reference).immutable;
  }

  /**
   * Whether some function of that name is VOLATILE: it may draw from a sequence, say.
   *
   * @throws SQLException if the catalog cannot be read
   */
  public boolean functionIsVolatile(Connection connection, String reference) throws SQLException {
    return function(connection, reference).isVolatile;
  }

  /**
   * Whether others may make or replace a function of that name: what a plan takes for granted of it
   * is to be looked at again after {@link #BELIEVED}.
   *
   * @throws SQLException if the catalog cannot be read
   */
  public boolean functionMayChange(Connection connection, String reference) throws SQLException {
    return function(connection, reference).until != 0;
  }

  private Function function(Connection connection, String reference) throws SQLException {
    Known now = known;
    Function function = now.functions.get(reference);
    if (function != null && (function.until == 0 || System.nanoTime() - function.until < 0)) {
      return function;
    }
    List<String> parts = Sql.nameParts(reference);
    String name = parts.isEmpty() ? reference : parts.get(parts.size() - 1);
    try (PreparedStatement s =
        connection.prepareStatement(
            "select count(*), count(*) filter (where p.provolatile = 'v' and (n.nspname <> 'pg_catalog' or p.proname ~"
                + " '^(lo_|lowrite|loread|dblink|query_to_xml|cursor_to_xml|table_to_xml|schema_to_xml|database_to_xml|ts_stat|pg_import|pg_replication|pg_logical|pg_create|pg_drop)'"
                + ")), count(*) filter (where p.provolatile = 'i'), count(*) filter (where p.provolatile = 'v'),"
                + " count(*) = 0 or bool_or(n.nspname <> 'pg_catalog' and not exists (select from pg_catalog.pg_depend e"
                + " where e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and e.objid = p.oid and e.deptype = 'e'))"
                + " from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace where p.proname = ?")) {
      s.setString(1, name);
      try (ResultSet r = s.executeQuery()) {
        r.next();
        int all = r.getInt(1);
        function =
            new Function(
                r.getInt(2) > 0,
                all > 0 && r.getInt(3) == all,
                r.getInt(4) > 0,
                r.getBoolean(5) ? System.nanoTime() + BELIEVED | 1 : 0);
      }
    }
    now.functions.put(reference, function);
    return function;
  }
}
