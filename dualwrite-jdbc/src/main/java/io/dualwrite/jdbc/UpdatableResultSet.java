package io.dualwrite.jdbc;

import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.converge.OwnXids;
import io.dualwrite.journal.RowChange;
import io.dualwrite.sql.Kind;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.postgresql.PGResultSetMetaData;

/**
 * A result through which rows are changed. The driver does it, by the key that it finds in the row,
 * past any statement of ours; so the transaction is observed, and what the observation could not
 * tell exactly, the row's old key and its new image, is told by the result: it has the key's
 * columns before and after.
 */
final class UpdatableResultSet extends DwResultSet {

  private final DwConnection connection;
  private final long epoch;

  UpdatableResultSet(ResultSet raw, AbstractStatement owner) {
    super(raw, owner);
    connection = owner.connection;
    epoch = connection.rawEpoch();
  }

  @Override
  ResultSet writable() {
    return raw;
  }

  /** The raw result, if it still belongs to the primary. */
  private ResultSet current() throws SQLException {
    if (epoch != connection.rawEpoch()) {
      throw new SQLException(
          "the result was read from a database that is not the primary any more: read it again",
          "24000");
    }
    return raw;
  }

  @Override
  public void insertRow() throws SQLException {
    connection.observed(
        Unmirrored.FORM,
        () -> {
          current().insertRow();
          return null;
        },
        () -> {
          current().insertRow();
          Target target = target();
          if (target != null) {
            tell(target, Kind.INSERT, null, target.key(raw));
          }
          return null;
        });
  }

  @Override
  public void updateRow() throws SQLException {
    change(Kind.UPDATE, ResultSet::updateRow);
  }

  @Override
  public void deleteRow() throws SQLException {
    change(Kind.DELETE, ResultSet::deleteRow);
  }

  /** What the driver does with the current row. */
  @FunctionalInterface
  private interface Change {
    void make(ResultSet on) throws SQLException;
  }

  private void change(Kind kind, Change change) throws SQLException {
    connection.observed(
        Unmirrored.FORM,
        () -> {
          change.make(current());
          return null;
        },
        () -> {
          current();
          Target target = raw.getRow() == 0 ? null : target(); // 0: no row, as the driver will say
          String[] old = target == null ? null : target.key(raw);
          Place place = old == null ? null : target.place(old);
          change.make(raw);
          if (place == null || place.changes() == place.changes) {
            return null; // not there any more; or not to be told, which the observation will see
          }
          if (kind == Kind.DELETE) {
            connection.wrote(
                kind,
                new RowChange(
                    RowChange.Kind.DELETE,
                    target.table.name(),
                    target.table.key(),
                    null,
                    target.table.key(),
                    new String[][] {old}));
          } else {
            tell(target, kind, old, target.key(raw));
          }
          return null;
        });
  }

  /** Tells the row of that key, if this transaction made it. */
  private void tell(Target target, Kind kind, String[] old, String[] key) throws SQLException {
    String[] row = target.image(key);
    if (row == null) {
      return;
    }
    boolean rekeyed = old != null && !Arrays.equals(old, key);
    List<String> columns = new ArrayList<>();
    List<String> values = new ArrayList<>();
    if (rekeyed) {
      columns.addAll(target.table.key());
      values.addAll(Arrays.asList(old));
    }
    target.table.writableColumns().forEach(c -> columns.add(c.name()));
    values.addAll(Arrays.asList(row));
    connection.wrote(
        kind,
        new RowChange(
            rekeyed ? RowChange.Kind.REKEY : RowChange.Kind.UPSERT,
            target.table.name(),
            columns,
            null,
            target.table.key(),
            new String[][] {values.toArray(new String[0])}));
  }

  /**
   * The table, if all columns of the result are columns of one keyed table, under their own names,
   * and its key is among them; else null.
   */
  private Target target() throws SQLException {
    ResultSetMetaData m = raw.getMetaData();
    PGResultSetMetaData base = m.unwrap(PGResultSetMetaData.class);
    TableName name = null;
    List<String> columns = new ArrayList<>();
    for (int i = 1; i <= m.getColumnCount(); i++) {
      TableName of = new TableName(base.getBaseSchemaName(i), base.getBaseTableName(i));
      if (name != null && !name.equals(of)
          || !base.getBaseColumnName(i).equals(m.getColumnLabel(i))) {
        return null;
      }
      name = of;
      columns.add(base.getBaseColumnName(i));
    }
    Optional<Table> table = name == null ? Optional.empty() : connection.table(name);
    if (table.isEmpty()
        || table.get().temporary()
        || !table.get().keyed()
        || !columns.containsAll(table.get().key())) {
      return null;
    }
    switch (table.get().kind()) {
      case PLAIN, PARTITIONED, PARTITION:
        connection.rely(table.get());
        return new Target(
            table.get(), table.get().key().stream().map(k -> columns.indexOf(k) + 1).toList());
      default:
        return null;
    }
  }

  /** The table that the driver writes to. */
  private final class Target {
    final Table table;

    /** Where the result has the columns of its key. */
    final List<Integer> indexes;

    final String condition;

    Target(Table table, List<Integer> indexes) {
      this.table = table;
      this.indexes = indexes;
      StringBuilder s = new StringBuilder();
      for (String k : table.key()) {
        Column c = table.column(k).orElseThrow();
        s.append(s.isEmpty() ? " where t." : " and t.").append(c.sql());
        s.append(" = ?::").append(c.type());
      }
      condition = s.toString();
    }

    /** The key of the current row. */
    String[] key(ResultSet r) throws SQLException {
      String[] key = new String[indexes.size()];
      for (int i = 0; i < key.length; i++) {
        key[i] = r.getString(indexes.get(i));
      }
      return key;
    }

    private PreparedStatement select(String what, String and, String[] key) throws SQLException {
      PreparedStatement s =
          connection
              .raw()
              .prepareStatement(
                  "select " + what + " from " + table.name().sql() + " t" + condition + and);
      for (int i = 0; i < key.length; i++) {
        s.setObject(i + 1, key[i], Types.OTHER);
      }
      return s;
    }

    /** Where the row of that key lies; null if it is not there. */
    Place place(String[] key) throws SQLException {
      try (PreparedStatement s = select("t.tableoid::bigint", "", key);
          ResultSet r = s.executeQuery()) {
        if (!r.next()) {
          return null;
        }
        long oid = r.getLong(1);
        return new Place(oid, changes(oid));
      }
    }

    /** The row of that key, if this transaction made it; else null. */
    String[] image(String[] key) throws SQLException {
      StringBuilder list = new StringBuilder();
      for (Column c : table.writableColumns()) {
        list.append("t.").append(c.sql()).append("::text, ");
      }
      OwnXids xids = new OwnXids(connection.raw());
      try (PreparedStatement s =
              select(list + "t.xmin::text", " and " + xids.maybe("t.xmin"), key);
          ResultSet r = s.executeQuery()) {
        if (!r.next()
            || xids.own(List.of(r.getString(table.writableColumns().size() + 1))).isEmpty()) {
          return null;
        }
        String[] row = new String[table.writableColumns().size()];
        for (int i = 0; i < row.length; i++) {
          row[i] = r.getString(i + 1);
        }
        return row;
      }
    }
  }

  /** The table that a row lies in, and how many rows of it this session had changed before. */
  private final class Place {
    final long oid;
    final long changes;

    Place(long oid, long changes) {
      this.oid = oid;
      this.changes = changes;
    }

    long changes() throws SQLException {
      return UpdatableResultSet.this.changes(oid);
    }
  }

  private long changes(long oid) throws SQLException {
    try (PreparedStatement s =
        connection
            .raw()
            .prepareStatement(
                "select pg_catalog.pg_stat_get_xact_tuples_updated(x) + pg_catalog.pg_stat_get_xact_tuples_deleted(x)"
                    + " from (select ?::bigint::oid as x) x")) {
      s.setLong(1, oid);
      try (ResultSet r = s.executeQuery()) {
        r.next();
        return r.getLong(1);
      }
    }
  }
}
