package io.dualwrite.converge;

import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A unique index or exclusion constraint of the mirror, expressions and predicates included: read
 * only when one was violated, to find the row that is in the way.
 *
 * @param relation the table in SQL, or the partition that alone has it
 * @param columns what it is on: column names or expressions, as {@code pg_get_indexdef} has them
 * @param predicate of a partial index, and which rows are in that partition; or null
 * @param nullsEqual whether it is NULLS NOT DISTINCT
 * @param operators by which two rows exclude each other; null if by equality
 * @param from the names of the table's columns that it comes from: those it is on first, then those
 *     that its expressions, its predicate and generated columns read
 */
record Unique(
    String relation,
    List<String> columns,
    String predicate,
    boolean nullsEqual,
    List<String> operators,
    List<String> from) {

  /** For a type another value ({@code $}: the column, {@code %}: the table), until the last one. */
  private static final Map<String, String> OTHERS =
      Map.of(
          "text", "pg_catalog.md5(pg_catalog.random()::text)",
          "character varying", "pg_catalog.md5(pg_catalog.random()::text)",
          "uuid", "pg_catalog.gen_random_uuid()",
          "smallint", "select max($) + 1 from %",
          "integer", "select max($) + 1 from %",
          "bigint", "select max($) + 1 from %",
          "numeric", "select max($) + 1 from % where $ < 'Infinity'",
          "date", "select max($) + 1 from % where isfinite($)",
          "timestamp without time zone",
              "select max($) + interval '1 day' from % where isfinite($)",
          "timestamp with time zone", "select max($) + interval '1 day' from % where isfinite($)");

  static List<Unique> of(Connection c, Table table) throws SQLException {
    List<Unique> result = new ArrayList<>();
    try (PreparedStatement s =
        c.prepareStatement(
            "select (select array_agg(pg_get_indexdef(i.indexrelid, n, false) order by n)"
                + " from generate_series(1, i.indnkeyatts) n),"
                + " nullif(concat_ws(' and ', '(' || pg_get_expr(i.indpred, i.indrelid) || ')',"
                + " case when i.indrelid <> ?::oid then '(' || pg_get_partition_constraintdef(i.indrelid) || ')' end), ''),"
                // since PostgreSQL 15
                + " coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false),"
                + " (select array_agg(format('operator(%I.%s)', n.nspname, o.oprname) order by e.n)"
                + " from pg_constraint k, unnest(k.conexclop) with ordinality as e(op, n), pg_operator o, pg_namespace n"
                + " where k.conindid = i.indexrelid and o.oid = e.op and n.oid = o.oprnamespace),"
                + " case when i.indrelid <> ?::oid then format('%I.%I', cn.nspname, c.relname) end,"
                + " (with f as (select n, 0 as place from unnest((i.indkey::int2[])[:i.indnkeyatts - 1]) n union all"
                + " select d.refobjsubid, 1 from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid"
                + " and d.refclassid = 'pg_class'::regclass and d.refobjid = i.indrelid), g as (select * from f union all"
                + " select d.refobjsubid, 2 from f join pg_attrdef e on e.adrelid = i.indrelid and e.adnum = f.n join pg_depend d"
                + " on d.classid = 'pg_attrdef'::regclass and d.objid = e.oid and d.refclassid = 'pg_class'::regclass and d.refobjid = i.indrelid)"
                + " select array_agg(a.attname::text order by g.place) from g join pg_attribute a on a.attrelid = i.indrelid"
                + " and a.attnum = g.n and g.n > 0)"
                + " from pg_index i join pg_class x on x.oid = i.indexrelid join pg_class c on c.oid = i.indrelid"
                + " join pg_namespace cn on cn.oid = c.relnamespace"
                // and those of partitions that are not a part of the table's own
                + " where (i.indrelid = ?::oid or not x.relispartition and i.indrelid in (select relid from pg_partition_tree(?::oid)))"
                + " and (i.indisunique or i.indisexclusion) and i.indisvalid")) {
      for (int n = 1; n <= 4; n++) {
        s.setLong(n, table.oid());
      }
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          result.add(
              new Unique(
                  r.getString(5) == null ? table.own() : r.getString(5),
                  strings(r, 1),
                  r.getString(2),
                  r.getBoolean(3),
                  r.getArray(4) == null ? null : strings(r, 4),
                  r.getArray(6) == null ? List.of() : strings(r, 6)));
        }
      }
    }
    return result;
  }

  private static List<String> strings(ResultSet r, int n) throws SQLException {
    return List.of((String[]) r.getArray(n).getArray());
  }

  /**
   * What an UPDATE sets so that a row is in no other's way for a moment: NULL, or a value that no
   * row has. Rows that refer to it by the column follow to such a value and on to the last one;
   * NULL they would keep.
   *
   * @return null if none of the columns can be set so
   */
  String aside(Table table, List<String> key) {
    List<Column> columns =
        from.stream()
            .filter(c -> !key.contains(c))
            .flatMap(c -> table.column(c).stream())
            .filter(c -> !c.generated() && c.identity() != Column.Identity.ALWAYS)
            .toList();
    for (Column c : columns) {
      if (!c.notNull()
          && !nullsEqual
          && table.referencedBy().stream().noneMatch(f -> f.parentColumns().contains(c.name()))) {
        return c.sql() + " = null";
      }
    }
    for (Column c : columns) {
      String other = OTHERS.get(c.type());
      if (other != null) {
        other = other.replace("%", table.own()).replace("$", c.sql());
        return c.sql() + " = cast((" + other + ") as " + c.declaredType() + ")";
      }
    }
    return null;
  }

  /** The rows with the columns that the server computes from them, which an index may be on. */
  static String withGenerated(Connection c, Table table, String rows) throws SQLException {
    StringBuilder b = new StringBuilder();
    try (PreparedStatement s =
        c.prepareStatement(
            "select quote_ident(a.attname), pg_get_expr(d.adbin, d.adrelid), format_type(a.atttypid, -1)"
                + " from pg_attribute a join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum"
                + " where a.attrelid = ?::oid and a.attgenerated <> '' and not a.attisdropped")) {
      s.setLong(1, table.oid());
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          b.append(", cast((").append(escape(r.getString(2))).append(") as ");
          b.append(r.getString(3)).append(") as ").append(r.getString(1));
        }
      }
    }
    return b.isEmpty() ? rows : "select x.*" + b + " from (" + rows + ") x";
  }

  /** Its values as columns e1, e2, …; the names in the expressions mean the only relation there. */
  String expressions(String relation) {
    StringBuilder b = new StringBuilder();
    for (int i = 0; i < columns.size(); i++) {
      b.append(i == 0 ? "(" : ", (").append(escape(columns.get(i))).append(") as ").append(name(i));
    }
    return b.toString();
  }

  private static String name(int i) {
    return "\"dualwrite:" + i + "\"";
  }

  String where() {
    return predicate == null ? "" : " where " + escape(predicate);
  }

  String match() {
    StringBuilder b = new StringBuilder();
    for (int i = 0; i < columns.size(); i++) {
      String e = name(i);
      b.append(i == 0 ? "" : " and ")
          .append("m.")
          .append(e)
          .append(
              operators != null
                  ? " " + operators.get(i) + " "
                  : nullsEqual ? " is not distinct from " : " = ")
          .append("v.")
          .append(e);
    }
    return b.toString();
  }

  /** For a prepared statement, where pgjdbc reads ?? as the operator ?. */
  private static String escape(String expression) {
    StringBuilder b = new StringBuilder();
    char quote = 0;
    for (int i = 0; i < expression.length(); i++) {
      char c = expression.charAt(i);
      if (quote != 0) {
        if (c == quote) {
          quote = 0;
        }
      } else if (c == '\'' || c == '"') {
        quote = c;
      } else if (c == '?') {
        b.append('?');
      }
      b.append(c);
    }
    return b.toString();
  }
}
