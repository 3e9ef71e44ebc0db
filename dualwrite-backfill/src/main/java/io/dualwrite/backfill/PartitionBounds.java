package io.dualwrite.backfill;

import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Where the partitions of a table lie along its time: the first level, from the top, that is
 * partitioned by range and whose first column can be compared with T.
 */
final class PartitionBounds {

  /** How a partition lies to T. */
  enum Side {
    /** All its rows are before T. */
    BEFORE,
    /** It may hold rows on both sides. */
    STRADDLES,
    /** All its rows are at or after T. */
    AFTER
  }

  /** The first value of FROM and of TO: a quoted literal, a bare number or MINVALUE/MAXVALUE. */
  private static final String VALUE = "('(?:[^']|'')*'|[^,()']+)";

  private static final Pattern RANGE =
      Pattern.compile("FOR VALUES FROM \\(" + VALUE + "[,)].*?TO \\(" + VALUE + "[,)].*");

  private final Column column;
  private final String level;

  private PartitionBounds(Column column, String level) {
    this.column = column;
    this.level = level;
  }

  Column column() {
    return column;
  }

  /** Of a partitioned table; empty if no level is divided by something that T can limit. */
  static Optional<PartitionBounds> of(Connection source, Table root) throws SQLException {
    // every level has the same columns; one that is reached through several parents is looked at
    // only where all partitions of that depth are divided alike
    for (List<String> r :
        Sql.rows(
            source,
            "select p.level, min(a.attname::text), count(distinct coalesce(a.attname::text, '')), bool_and(k.partstrat = 'r')"
                + " from pg_catalog.pg_partition_tree("
                + Sql.literal(root.name().sql())
                + ") p join pg_catalog.pg_partitioned_table k on k.partrelid = p.relid"
                + " left join pg_catalog.pg_attribute a on a.attrelid = k.partrelid and a.attnum = k.partattrs[0] and a.attnum > 0"
                + " group by 1 order by 1")) {
      if (r.get(3).equals("t") && r.get(2).equals("1") && r.get(1) != null) {
        Column column = Sql.column(root, r.get(1));
        if (Until.Kind.of(column).isPresent()) {
          return Optional.of(new PartitionBounds(column, r.get(0)));
        }
      }
    }
    return Optional.empty();
  }

  /** Where a leaf lies to T. */
  Side side(Connection source, TableName leaf, String until) throws SQLException {
    String bound =
        Sql.value(
            source,
            "select pg_catalog.pg_get_expr(c.relpartbound, c.oid) from pg_catalog.pg_partition_ancestors("
                + Sql.literal(leaf.sql())
                + ") with ordinality a(relid, n) join pg_catalog.pg_class c on c.oid = a.relid"
                // counted from the top: level 0 is the root's division, so that of its children
                + " where c.relispartition order by a.n desc offset "
                + level
                + " limit 1");
    Matcher m = bound == null ? null : RANGE.matcher(bound);
    if (m == null || !m.matches()) {
      return Side.STRADDLES; // DEFAULT, or a leaf above that level
    }
    String low = comparable(m.group(1));
    String high = comparable(m.group(2));
    // a range of several columns may hold rows that equal its upper bound in the first
    boolean single = !bound.substring(bound.indexOf(" TO (")).contains(", ");
    if (high != null
        && Sql.value(source, "select " + high + (single ? " <= " : " < ") + until).equals("t")) {
      return Side.BEFORE;
    }
    if (low != null && Sql.value(source, "select " + low + " >= " + until).equals("t")) {
      return Side.AFTER;
    }
    return Side.STRADDLES;
  }

  private String comparable(String value) {
    if (value.equals("MINVALUE") || value.equals("MAXVALUE")) {
      return null;
    }
    return value + "::" + column.type();
  }
}
