package io.dualwrite.catalog;

import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashSet;
import java.util.Set;

/**
 * TimescaleDB's chunks as PostgreSQL's own catalog shows them, whatever the version of the
 * extension: children by inheritance in one of its schemas.
 */
public final class Chunks {

  private static final String OF =
      " from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid"
          + " join pg_catalog.pg_namespace cn on cn.oid = c.relnamespace and cn.nspname like '\\_timescaledb\\_%'";

  /** A scalar query: whether {@link #compressing} knows this catalog and may read it. */
  static final String KNOWN =
      "(select count(*) = 3 from pg_catalog.pg_attribute a join pg_catalog.pg_class h on h.oid = a.attrelid"
          + " join pg_catalog.pg_namespace hn on hn.oid = h.relnamespace"
          + " where hn.nspname = '_timescaledb_catalog' and h.relname = 'hypertable'"
          + " and a.attname in ('schema_name', 'table_name', 'compression_state') and not a.attisdropped"
          + " and pg_catalog.has_schema_privilege(hn.oid, 'usage') and pg_catalog.has_table_privilege(h.oid, 'select'))";

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

  /** The oids of those hypertables whose chunks may be compressed, with chunks or without. */
  static Set<Long> compressing(Connection c, Array oids) throws SQLException {
    Set<Long> result = new HashSet<>();
    try (PreparedStatement s =
        c.prepareStatement(
            "select c.oid from _timescaledb_catalog.hypertable h join pg_catalog.pg_namespace n on n.nspname = h.schema_name"
                + " join pg_catalog.pg_class c on (c.relnamespace, c.relname) = (n.oid, h.table_name)"
                + " where h.compression_state = 1 and c.oid = any(?)")) {
      s.setArray(1, oids);
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          result.add(r.getLong(1));
        }
      }
    }
    return result;
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

  /**
   * The partly compressed ones among a relation and its chunks, as the transaction's snapshot shows
   * them; another text each time that one was compressed again. Empty where there is no TimescaleDB
   * whose catalog we know.
   */
  public static Set<String> partly(Connection c, TableName relation) throws SQLException {
    Set<String> result = new HashSet<>();
    try (Statement s = c.createStatement()) {
      try (ResultSet r =
          s.executeQuery(
              "select count(*) = 4 from pg_catalog.pg_attribute where attrelid = pg_catalog.to_regclass('_timescaledb_catalog.chunk')"
                  + " and attname in ('id', 'schema_name', 'table_name', 'status') and not attisdropped")) {
        r.next();
        if (!r.getBoolean(1)) {
          return result;
        }
      }
      String name = "'" + relation.sql().replace("'", "''") + "'::regclass";
      try (ResultSet r =
          s.executeQuery(
              "select k.id || ' ' || k.xmin from _timescaledb_catalog.chunk k"
                  + " join pg_catalog.pg_namespace n on n.nspname = k.schema_name"
                  + " join pg_catalog.pg_class c on (c.relnamespace, c.relname) = (n.oid, k.table_name)"
                  + " where k.status & 8 <> 0 and (c.oid = "
                  + name
                  + " or exists (select from pg_catalog.pg_inherits i where (i.inhrelid, i.inhparent) = (c.oid, "
                  + name
                  + ")))")) {
        while (r.next()) {
          result.add(r.getString(1));
        }
      }
    }
    return result;
  }
}
