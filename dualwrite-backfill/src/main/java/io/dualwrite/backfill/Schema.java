package io.dualwrite.backfill;

import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Compares a table's definition on both sides, as far as copying it depends on it. */
final class Schema {

  private static final Pattern VARCHAR = Pattern.compile("character varying\\((\\d+)\\)");

  /** Types whose order does not depend on a collation or on the server's version. */
  private static final Set<String> ORDERED =
      Set.of(
          "smallint",
          "integer",
          "bigint",
          "numeric",
          "uuid",
          "date",
          "timestamp without time zone",
          "timestamp with time zone",
          "boolean",
          "bytea");

  /**
   * What types of the users' own are made of, through every level, from one table's columns down: a
   * way, how deep it is, the type, and then what it is, or a value that it has, or a reason for
   * which it refuses one. The server's own types are what their names say.
   */
  private static final String TYPES =
      """
      with recursive t(path, depth, oid) as (
        select a.attname::text, 0, a.atttypid from pg_catalog.pg_attribute a
          where a.attrelid = $oid::oid and a.attnum > 0 and not a.attisdropped
        union all
        select t.path || p.step, t.depth + 1, p.oid
          from t join pg_catalog.pg_type y on y.oid = t.oid, lateral (
            select '' as step, y.typbasetype as oid where y.typtype = 'd'
            union all select '[]', y.typelem where y.typcategory = 'A'
            union all select '.' || a.attname, a.atttypid from pg_catalog.pg_attribute a
              where y.typtype = 'c' and a.attrelid = y.typrelid and a.attnum > 0 and not a.attisdropped
            union all select '', r.rngsubtype from pg_catalog.pg_range r where r.rngtypid = y.oid
            union all select '', r.rngtypid from pg_catalog.pg_range r
              where (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::oid = y.oid) p -- from 14 on
          where y.oid >= 16384)
      select t.path, t.depth, pg_catalog.format_type(t.oid, null), x.what, x.value
        from t join pg_catalog.pg_type y on y.oid = t.oid, lateral (
          select 'is' as what, pg_catalog.format_type(y.typbasetype, y.typtypmod) as value where y.typtype = 'd'
          union all select 'is', '(' || pg_catalog.string_agg(
              pg_catalog.quote_ident(a.attname) || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod), ', ' order by a.attnum) || ')'
            from pg_catalog.pg_attribute a
            where y.typtype = 'c' and a.attrelid = y.typrelid and a.attnum > 0 and not a.attisdropped
            having pg_catalog.count(*) > 0
          union all select 'is', pg_catalog.concat('a range of ', pg_catalog.format_type(r.rngsubtype, null), ' by ', o.opcname,
              ' ' || pg_catalog.quote_ident(l.collname), ', ' || nullif(r.rngcanonical::oid, 0)::regproc)
            from pg_catalog.pg_range r join pg_catalog.pg_opclass o on o.oid = r.rngsubopc
            left join pg_catalog.pg_collation l on l.oid = r.rngcollation where r.rngtypid = y.oid
          union all select 'has', e.enumlabel from pg_catalog.pg_enum e where e.enumtypid = y.oid
          union all select 'refuses', 'NOT NULL' where y.typtype = 'd' and y.typnotnull
          union all select 'refuses', pg_catalog.replace(pg_catalog.pg_get_constraintdef(k.oid), ' NOT VALID', '')
            from pg_catalog.pg_constraint k where k.contypid = y.oid and k.contype = 'c') x
        where y.oid >= 16384
        order by 1, 2, 3, 4, 5
      """;

  private Schema() {}

  /** Whether a range of these columns means the same rows on every server. */
  static boolean ordered(Table table, List<String> columns) {
    return columns.stream().allMatch(c -> ORDERED.contains(Sql.column(table, c).type()));
  }

  /**
   * The generated columns that the servers compute otherwise, by the text of their expressions.
   *
   * @return empty if there are none
   */
  static List<String> computedOtherwise(
      Connection source, Table from, Connection target, Table into) throws SQLException {
    List<String> result = new ArrayList<>();
    if (from.columns().stream().noneMatch(Column::generated)) {
      return result;
    }
    Map<String, String> there = expressions(target, into);
    expressions(source, from)
        .forEach(
            (column, expression) -> {
              String other = there.get(column);
              if (other != null && !other.equals(expression)) {
                result.add(
                    "column "
                        + column
                        + " is generated as "
                        + expression
                        + " on the source and as "
                        + other
                        + " on the target");
              }
            });
    return result;
  }

  private static Map<String, String> expressions(Connection c, Table table) throws SQLException {
    Map<String, String> result = new TreeMap<>();
    for (List<String> row :
        Sql.rows(
            c,
            "select a.attname, pg_catalog.pg_get_expr(d.adbin, d.adrelid) from pg_catalog.pg_attribute a"
                + " join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum"
                + " where a.attrelid = "
                + table.oid()
                + "::oid and a.attgenerated <> '' and not a.attisdropped")) {
      result.put(row.get(0), row.get(1));
    }
    return result;
  }

  /** A type at a place in a table's columns; the same place on both sides, whatever its name. */
  private record Place(String path, int depth) {}

  private static final class Type {
    private String name;
    private String is;
    private final Set<String> has = new LinkedHashSet<>();
    private final Set<String> refuses = new LinkedHashSet<>();
  }

  /**
   * The types of the users' own, in both tables' columns, of which the target's does not take every
   * value of the source's, or takes it as another one.
   *
   * @param checks whether a CHECK of a domain that only the target has counts; another version may
   *     write the same one otherwise
   * @return empty if there are none
   */
  static List<String> typesOtherwise(
      Connection source, Table from, Connection target, Table into, boolean checks)
      throws SQLException {
    List<String> result = new ArrayList<>();
    if (from.columns().stream().noneMatch(c -> c.type().indexOf('.') >= 0)) {
      return result; // all are the server's own
    }
    Map<Place, Type> there = types(target, into);
    types(source, from)
        .forEach(
            (place, s) -> {
              Type t = there.get(place);
              if (t == null) {
                return; // what it is a part of differs, and is named
              }
              String type = "type " + s.name + " of column " + place.path;
              // exactly, but for a length: the binary form of a wider base is another one
              if (s.is != null
                  && !s.is.equals(t.is)
                  && !(t.is != null && VARCHAR.matcher(s.is).matches() && holds(s.is, t.is))) {
                result.add(type + " is " + s.is + " on the source and " + t.is + " on the target");
              }
              Set<String> lacks = new LinkedHashSet<>(s.has);
              lacks.removeAll(t.has);
              if (!lacks.isEmpty()) {
                result.add(type + " lacks on the target: " + String.join(", ", lacks));
              }
              Set<String> refuses = new LinkedHashSet<>(t.refuses);
              refuses.removeAll(s.refuses);
              refuses.removeIf(r -> !checks && !r.equals("NOT NULL"));
              if (!refuses.isEmpty()) {
                result.add(type + " has on the target only: " + String.join(", ", refuses));
              }
            });
    return result;
  }

  private static Map<Place, Type> types(Connection c, Table table) throws SQLException {
    Map<Place, Type> result = new LinkedHashMap<>();
    for (List<String> row : Sql.rows(c, TYPES.replace("$oid", Long.toString(table.oid())))) {
      Type t =
          result.computeIfAbsent(
              new Place(row.get(0), Integer.parseInt(row.get(1))), p -> new Type());
      t.name = row.get(2);
      switch (row.get(3)) {
        case "is" -> t.is = row.get(4);
        case "has" -> t.has.add(row.get(4));
        default -> t.refuses.add(row.get(4));
      }
    }
    return result;
  }

  /**
   * The names of these relations' columns as they are now, in their order; empty if one is gone.
   */
  static Map<TableName, List<String>> columns(Connection c, Set<TableName> names)
      throws SQLException {
    Map<TableName, List<String>> result = new TreeMap<>();
    List<TableName> all = List.copyOf(names);
    StringBuilder values = new StringBuilder();
    for (int i = 0; i < all.size(); i++) {
      result.put(all.get(i), new ArrayList<>());
      values.append(i == 0 ? "(" : ", (").append(i).append(", pg_catalog.to_regclass(");
      values.append(Sql.literal(all.get(i).sql())).append("))");
    }
    for (List<String> row :
        Sql.rows(
            c,
            "select x.n, a.attname from (values "
                + values
                + ") x(n, oid) join pg_catalog.pg_attribute a on a.attrelid = x.oid"
                + " where a.attnum > 0 and not a.attisdropped order by x.n, a.attnum")) {
      result.get(all.get(Integer.parseInt(row.get(0)))).add(row.get(1));
    }
    return result;
  }

  /** What is wrong with the target's table, besides its triggers; empty if nothing. */
  static List<String> problems(Table source, Table target) {
    List<String> result = new ArrayList<>();
    if (target == null) {
      return List.of("is missing on the target");
    }
    if (target.kind() != Table.Kind.PLAIN && target.kind() != Table.Kind.PARTITIONED) {
      return List.of("is no ordinary or partitioned table on the target");
    }
    for (Column s : source.columns()) {
      Column t = target.column(s.name()).orElse(null);
      if (t == null) {
        result.add("column " + s.name() + " (" + s.declaredType() + ") is missing on the target");
      } else if (s.generated() != t.generated()) {
        result.add(
            "column "
                + s.name()
                + " is generated on the "
                + (s.generated() ? "source" : "target")
                + " only");
      } else if (!holds(s.declaredType(), t.declaredType())) {
        result.add(
            "column "
                + s.name()
                + " is "
                + s.declaredType()
                + " on the source and "
                + t.declaredType()
                + " on the target");
      }
    }
    for (Column t : target.columns()) {
      if (source.column(t.name()).isEmpty()
          && t.notNull()
          && !t.generated()
          && t.identity() == Column.Identity.NONE
          && t.def() == Column.Default.NULL) {
        result.add(
            "column " + t.name() + " exists on the target only and is NOT NULL without a default");
      }
    }
    if (!sameKey(source, target)) {
      result.add(
          source.keyed()
              ? noKey(source)
              : "it has a key on the target ("
                  + String.join(", ", target.key())
                  + ") and none on the source");
    }
    if (target.rules()) {
      result.add("it has rewrite rules on the target; drop them there until the cutover");
    }
    return result;
  }

  /** Whether the target keeps the source's key unique; without one, whether it has none either. */
  static boolean sameKey(Table source, Table target) {
    Set<String> key = new HashSet<>(source.key());
    return key.equals(new HashSet<>(target.key()))
        || target.keyed() && target.uniques().stream().anyMatch(u -> key.equals(new HashSet<>(u)));
  }

  static String noKey(Table source) {
    return "its key (" + String.join(", ", source.key()) + ") is no key on the target";
  }

  static String triggers(TableName table, List<String> names) {
    return "trigger "
        + String.join(", ", names)
        + " of "
        + table
        + " would fire on the target for copied rows; run 'dualwrite triggers disable'";
  }

  /** Whether every value of the one type is a value of the other, with the same text. */
  static boolean holds(String source, String target) {
    if (source.equals(target)) {
      return true;
    }
    Matcher from = VARCHAR.matcher(source);
    if (from.matches()) {
      Matcher to = VARCHAR.matcher(target);
      return target.equals("text")
          || target.equals("character varying")
          || to.matches() && Integer.parseInt(to.group(1)) >= Integer.parseInt(from.group(1));
    }
    return switch (source) {
      case "smallint" ->
          target.equals("integer") || target.equals("bigint") || target.equals("numeric");
      case "integer" -> target.equals("bigint") || target.equals("numeric");
      case "bigint" -> target.equals("numeric");
      case "character varying" -> target.equals("text");
      case "text" -> target.equals("character varying");
      default -> false;
    };
  }

  /**
   * Whether the binary form of the table's values means the same on another server: not so for
   * types that carry oids in it (regclass and its kin, composites, arrays of user types) or that
   * have no binary form at all.
   */
  static boolean binary(Connection connection, TableName table, List<String> columns)
      throws SQLException {
    try (PreparedStatement s =
        connection.prepareStatement(
            "with recursive base(name, oid) as ("
                + " select a.attname, a.atttypid from pg_catalog.pg_attribute a where a.attrelid = ?::regclass and a.attname = any(?)"
                + " union all select b.name, t.typbasetype from base b join pg_catalog.pg_type t on t.oid = b.oid where t.typtype = 'd')"
                + " select coalesce(bool_and(case"
                + " when t.typtype = 'd' or t.typtype = 'e' then true"
                + " when t.typsend = 0 or t.typreceive = 0 or t.typname like 'reg%' or t.typname like '\\_reg%' then false"
                + " when t.typtype = 'b' and t.typcategory = 'A' then t.oid < 16384"
                + " when t.typtype = 'b' then true"
                + " else t.typtype in ('r', 'm') and t.oid < 16384 end), true)"
                + " from base b join pg_catalog.pg_type t on t.oid = b.oid")) {
      s.setString(1, table.sql());
      s.setArray(2, connection.createArrayOf("text", columns.toArray()));
      try (ResultSet r = s.executeQuery()) {
        r.next();
        return r.getBoolean(1);
      }
    }
  }

  /** Whether a unique or exclusion constraint of the table, or of a partition, is deferrable. */
  static boolean deferrableUnique(Connection connection, TableName table) throws SQLException {
    try (PreparedStatement s =
        connection.prepareStatement(
            "select exists (select from pg_catalog.pg_index i where (i.indisunique or i.indisexclusion) and not i.indimmediate"
                + " and (i.indrelid = ?::regclass or i.indrelid in (select relid from pg_catalog.pg_partition_tree(?::regclass))))")) {
      s.setString(1, table.sql());
      s.setString(2, table.sql());
      try (ResultSet r = s.executeQuery()) {
        r.next();
        return r.getBoolean(1);
      }
    }
  }
}
