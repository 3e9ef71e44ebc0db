package io.dualwrite.converge;

import io.dualwrite.catalog.Table;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;

/**
 * A unique index or exclusion constraint of the mirror, expressions and predicates included: read
 * only when one was violated, to find the row that is in the way.
 *
 * @param columns what it is on: column names or expressions, as {@code pg_get_indexdef} has them
 * @param predicate of a partial index, or null
 * @param nullsEqual whether it is NULLS NOT DISTINCT
 * @param operators by which two rows exclude each other; null if by equality
 */
record Unique(List<String> columns, String predicate, boolean nullsEqual, List<String> operators) {

  static List<Unique> of(Connection c, Table table) throws SQLException {
    List<Unique> result = new ArrayList<>();
    try (PreparedStatement s =
        c.prepareStatement(
            "select (select array_agg(pg_get_indexdef(i.indexrelid, n, false) order by n)"
                + " from generate_series(1, i.indnkeyatts) n), pg_get_expr(i.indpred, i.indrelid),"
                // since PostgreSQL 15
                + " coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false),"
                + " (select array_agg(format('operator(%I.%s)', n.nspname, o.oprname) order by e.n)"
                + " from pg_constraint k, unnest(k.conexclop) with ordinality as e(op, n), pg_operator o, pg_namespace n"
                + " where k.conindid = i.indexrelid and o.oid = e.op and n.oid = o.oprnamespace)"
                + " from pg_index i where i.indrelid = ?::oid and (i.indisunique or i.indisexclusion) and i.indisvalid")) {
      s.setLong(1, table.oid());
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          result.add(
              new Unique(
                  List.of((String[]) r.getArray(1).getArray()),
                  r.getString(2),
                  r.getBoolean(3),
                  r.getArray(4) == null ? null : List.of((String[]) r.getArray(4).getArray())));
        }
      }
    }
    return result;
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
