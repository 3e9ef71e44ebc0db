package io.dualwrite.jdbc;

import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.converge.OwnXids;
import io.dualwrite.journal.RowChange;
import io.dualwrite.sql.Kind;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * One DDL statement in a transaction. Its text travels; what it did to rows does not follow from
 * it: a table that it filled is shipped with its rows, and one whose rows it wrote anew (a default
 * that calls a clock, a conversion) becomes a suspect.
 */
final class DdlCapture {

  private static final String FILES =
      "select c.oid::bigint, c.relfilenode::bigint, coalesce(rn.nspname, n.nspname), coalesce(r.relname, c.relname),"
          + " pg_catalog.pg_relation_size(c.oid) > 0"
          + " from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
          + " left join pg_catalog.pg_class r on c.relispartition and r.oid = pg_catalog.pg_partition_root(c.oid)"
          + " left join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace"
          + " where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname not in ('pg_catalog', 'information_schema', 'dualwrite')"
          + " and n.nspname not like 'pg\\_%'";

  /** Tables that got a column whose rows share one value that may be the clock's. */
  private static final String FILLED =
      "select distinct coalesce(rn.nspname, n.nspname), coalesce(r.relname, c.relname)"
          + " from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid"
          + " join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
          + " join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum"
          + " left join pg_catalog.pg_class r on c.relispartition and r.oid = pg_catalog.pg_partition_root(c.oid)"
          + " left join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace"
          + " where a.atthasmissing and c.relpersistence <> 't' and pg_catalog.pg_relation_size(c.oid) > 0"
          + " and pg_catalog.pg_get_expr(d.adbin, d.adrelid) ~* '\\(|current|local|session|user' and ";

  /**
   * How many rows of which table, the system's above all, the transaction wrote so far; null if the
   * server does not count. A list and no sum: with a table that is dropped go its counts.
   */
  private static final String CHANGES =
      "select case when pg_catalog.current_setting('track_counts') = 'on' then coalesce((select pg_catalog.string_agg("
          + "pg_catalog.concat_ws(' ', c.oid, c.ins, c.upd, c.del), ',' order by c.oid) from (select c.oid,"
          + " pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) as ins, pg_catalog.pg_stat_get_xact_tuples_updated(c.oid) as upd,"
          + " pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) as del from pg_catalog.pg_class c"
          + " where c.relkind in ('r', 'm') offset 0) c where c.ins + c.upd + c.del > 0), '') end";

  /** What the session has of its own, as texts that say of views and functions how they are. */
  private static final String TEMPORARY =
      "select 'class ' || c.oid from pg_catalog.pg_class c where c.relnamespace = pg_catalog.pg_my_temp_schema()"
          + " union all select 'type ' || t.oid from pg_catalog.pg_type t where t.typnamespace = pg_catalog.pg_my_temp_schema()"
          + " union all select 'proc ' || p.oid || p.ctid from pg_catalog.pg_proc p where p.pronamespace = pg_catalog.pg_my_temp_schema()"
          + " union all select 'rule ' || r.oid || r.ctid from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid = r.ev_class"
          + " where c.relnamespace = pg_catalog.pg_my_temp_schema()";

  private record File(long node, TableName table, boolean rows) {}

  private final Map<Long, File> before;
  private final String changes;
  private final Set<String> temporary;
  private final String makes;
  private final boolean existed;

  private DdlCapture(
      Map<Long, File> before,
      String changes,
      Set<String> temporary,
      String makes,
      boolean existed) {
    this.before = before;
    this.changes = changes;
    this.temporary = temporary;
    this.makes = makes;
    this.existed = existed;
  }

  /**
   * Before the statement.
   *
   * @param makes the table that it makes and fills, as written; null if none
   */
  static DdlCapture begin(Connection raw, String makes) throws SQLException {
    boolean existed = false;
    if (makes != null) {
      try (PreparedStatement s =
          raw.prepareStatement("select pg_catalog.to_regclass(?) is not null")) {
        s.setString(1, makes);
        try (ResultSet r = s.executeQuery()) {
          r.next();
          existed = r.getBoolean(1);
        }
      }
    }
    return new DdlCapture(files(raw), changes(raw), temporary(raw), makes, existed);
  }

  /** How many of these names mean temporary relations. */
  static int temporary(Connection raw, List<String> objects) throws SQLException {
    return those(raw, objects, "c.relpersistence = 't'");
  }

  /** How many of them mean chunks, or what else TimescaleDB names by numbers of its own. */
  static int chunks(Connection raw, List<String> objects) throws SQLException {
    return those(
        raw, objects, "c.relnamespace = pg_catalog.to_regnamespace('_timescaledb_internal')");
  }

  private static int those(Connection raw, List<String> objects, String condition)
      throws SQLException {
    if (objects.isEmpty()) {
      return 0;
    }
    try (PreparedStatement s =
        raw.prepareStatement(
            "select count(*) from unnest(?::text[]) o join pg_catalog.pg_class c on c.oid = pg_catalog.to_regclass(o) where "
                + condition)) {
      s.setArray(1, raw.createArrayOf("text", objects.toArray()));
      try (ResultSet r = s.executeQuery()) {
        r.next();
        return r.getInt(1);
      }
    }
  }

  /** Whether DDL runs functions of the users' own, which may write. */
  static boolean fires(Connection raw) throws SQLException {
    try (Statement s = raw.createStatement();
        ResultSet r =
            s.executeQuery(
                "select exists (select from pg_catalog.pg_event_trigger e where e.evtenabled in ('O', 'A') and e.evtevent <> 'login'"
                    + " and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_event_trigger'::pg_catalog.regclass"
                    + " and d.objid = e.oid and d.deptype = 'e'))")) {
      r.next();
      return r.getBoolean(1);
    }
  }

  private static Set<String> temporary(Connection raw) throws SQLException {
    Set<String> result = new HashSet<>();
    try (Statement s = raw.createStatement();
        ResultSet r = s.executeQuery(TEMPORARY)) {
      while (r.next()) {
        result.add(r.getString(1));
      }
    }
    return result;
  }

  /**
   * After it: whether what it made is temporary though it does not say TEMPORARY: in the schema
   * pg_temp, or a view of a temporary table.
   */
  boolean madeTemporary(Connection raw) throws SQLException {
    return !temporary.containsAll(temporary(raw));
  }

  private static String changes(Connection raw) throws SQLException {
    try (Statement s = raw.createStatement();
        ResultSet r = s.executeQuery(CHANGES)) {
      r.next();
      return r.getString(1);
    }
  }

  private static Map<Long, File> files(Connection raw) throws SQLException {
    Map<Long, File> result = new HashMap<>();
    try (Statement s = raw.createStatement();
        ResultSet r = s.executeQuery(FILES)) {
      while (r.next()) {
        result.put(
            r.getLong(1),
            new File(r.getLong(2), new TableName(r.getString(3), r.getString(4)), r.getBoolean(5)));
      }
    }
    return result;
  }

  /** The search path, and the role that SET ROLE chose (or null). */
  static String[] session(Connection raw) throws SQLException {
    try (Statement s = raw.createStatement();
        ResultSet r =
            s.executeQuery(
                "select pg_catalog.current_setting('search_path'), nullif(pg_catalog.current_setting('role'), 'none')")) {
      r.next();
      return new String[] {r.getString(1), r.getString(2)};
    }
  }

  /**
   * After it: tells the connection what was written.
   *
   * @param calls whether it may call what writes, which is not to run on the mirror too
   */
  void complete(Connection raw, String text, boolean calls, Catalog catalog, DwConnection to)
      throws SQLException {
    if (changes != null && changes.equals(changes(raw))) {
      // IF NOT EXISTS of what exists. On the mirror, what made it may be still on its way, so that
      // this would make another one.
      return;
    }
    String[] session = session(raw);
    if (makes != null && !existed) {
      Optional<TableName> name = catalog.resolve(raw, makes);
      Optional<Table> made = name.isEmpty() ? Optional.empty() : catalog.table(raw, name.get());
      if (made.isPresent() && made.get().kind() != Table.Kind.VIEW) {
        to.wrote(
            Kind.DDL, RowChange.statement(definition(made.get()), session[0], session[1], false));
        rows(raw, made.get(), to);
        return;
      }
      if (made.isPresent() && calls) {
        to.wrote(
            Kind.DDL,
            RowChange.statement(withoutData(raw, made.get()), session[0], session[1], false));
        return;
      }
    }
    if (makes == null || !existed) {
      to.wrote(Kind.DDL, RowChange.statement(text, session[0], session[1], false));
    }
    for (Map.Entry<Long, File> e : files(raw).entrySet()) {
      File old = before.get(e.getKey());
      if (old != null && old.node != e.getValue().node && e.getValue().rows) {
        to.suspect(e.getValue().table, "a statement that changed it wrote its rows anew");
      }
    }
    try (Statement s = raw.createStatement();
        ResultSet r = s.executeQuery(FILLED + new OwnXids(raw).mineInCatalog("a.xmin"))) {
      while (r.next()) {
        to.suspect(
            new TableName(r.getString(1), r.getString(2)),
            "it got a column with a default that is not the same everywhere");
      }
    }
  }

  /** A materialized view as it was made, without running its query. */
  private static String withoutData(Connection raw, Table t) throws SQLException {
    try (PreparedStatement s =
        raw.prepareStatement(
            "select pg_catalog.concat('create materialized view ', ?, ' with (' || pg_catalog.array_to_string(c.reloptions, ', ') || ')',"
                + " ' as ', pg_catalog.rtrim(pg_catalog.pg_get_viewdef(c.oid), ';'), ' with no data') from pg_catalog.pg_class c where c.oid = ?::pg_catalog.oid")) {
      s.setString(1, t.name().sql());
      s.setLong(2, t.oid());
      try (ResultSet r = s.executeQuery()) {
        r.next();
        return r.getString(1);
      }
    }
  }

  private static String definition(Table t) {
    return "create table "
        + t.name().sql()
        + t.columns().stream()
            .map(c -> c.sql() + " " + c.declaredType())
            .collect(Collectors.joining(", ", " (", ")"));
  }

  private static void rows(Connection raw, Table t, DwConnection to) throws SQLException {
    List<String> columns = t.writableColumns().stream().map(Column::name).toList();
    if (columns.isEmpty()) {
      return;
    }
    String list =
        columns.stream().map(c -> TableName.quote(c) + "::text").collect(Collectors.joining(", "));
    try (Statement s = raw.createStatement()) {
      s.setFetchSize(Portions.FIRST);
      try (ResultSet r = s.executeQuery("select " + list + " from " + t.name().sql())) {
        List<String[]> rows = new ArrayList<>();
        Portions portions = new Portions(r);
        boolean more = r.next();
        while (more) {
          String[] row = new String[columns.size()];
          for (int i = 0; i < row.length; i++) {
            row[i] = r.getString(i + 1);
          }
          rows.add(row);
          boolean full = portions.full(row);
          more = r.next();
          if (full || !more) {
            to.wrote(
                Kind.INSERT,
                new RowChange(
                    RowChange.Kind.INSERT,
                    t.name(),
                    columns,
                    null,
                    List.of(),
                    rows.toArray(new String[0][])));
            rows.clear();
          }
        }
      }
    }
  }
}
