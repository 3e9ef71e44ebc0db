package io.dualwrite.catalog;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;

/**
 * TimescaleDB's chunks as PostgreSQL's own catalog shows them, whatever the version of the
 * extension: children by inheritance in one of its schemas.
 */
public final class Chunks {

  private static final String OF =
      " from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid"
          + " join pg_catalog.pg_namespace cn on cn.oid = c.relnamespace and cn.nspname like '\\_timescaledb\\_%'";

  private Chunks() {}

  /** Whether the table is a hypertable that has chunks. */
  public static boolean has(Connection c, Table table) throws SQLException {
    try (PreparedStatement s =
        c.prepareStatement("select exists (select" + OF + " where i.inhparent = ?::oid)")) {
      s.setLong(1, table.oid());
      try (ResultSet r = s.executeQuery()) {
        r.next();
        return r.getBoolean(1);
      }
    }
  }

  /**
   * The name under which rows are put into a relation: its own. For a chunk whose columns do not
   * stand where the hypertable's do, because one was dropped, the hypertable's: TimescaleDB takes
   * such rows for those of another chunk if the chunk is named (2.23 to 2.28 at least).
   */
  public static TableName entry(Connection c, Table relation) throws SQLException {
    try (PreparedStatement s =
        c.prepareStatement(
            "select n.nspname, p.relname"
                + OF
                + " join pg_catalog.pg_class p on p.oid = i.inhparent join pg_catalog.pg_namespace n on n.oid = p.relnamespace"
                + " where i.inhrelid = ?::oid and exists (select from pg_catalog.pg_attribute a"
                + " join pg_catalog.pg_attribute b on b.attrelid = i.inhrelid and b.attname = a.attname"
                + " where a.attrelid = i.inhparent and a.attnum > 0 and not a.attisdropped and a.attnum <> b.attnum)")) {
      s.setLong(1, relation.oid());
      try (ResultSet r = s.executeQuery()) {
        return r.next() ? new TableName(r.getString(1), r.getString(2)) : relation.name();
      }
    }
  }
}
