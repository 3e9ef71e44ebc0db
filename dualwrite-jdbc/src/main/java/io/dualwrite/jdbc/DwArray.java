package io.dualwrite.jdbc;

import java.sql.Array;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Map;

/** An array of the primary whose results do not lead to the raw connection. */
final class DwArray implements Array {

  private final Array raw;
  private final Connection owner;

  private DwArray(Array raw, Connection owner) {
    this.raw = raw;
    this.owner = owner;
  }

  /** The array, or null if there is none; a result within a result has made it ours already. */
  static Array of(Array raw, Connection owner) {
    return raw == null || raw instanceof DwArray ? raw : new DwArray(raw, owner);
  }

  /** The driver's own array, which it binds in binary. */
  static Array raw(Array array) {
    return array instanceof DwArray a ? a.raw : array;
  }

  /** The driver's own array, if the parameter is one. */
  static Object raw(Object parameter) {
    return parameter instanceof DwArray a ? a.raw : parameter;
  }

  private ResultSet result(ResultSet result) throws SQLException {
    return new DwResultSet(result, new DetachedStatement(result.getStatement(), owner));
  }

  @Override
  public String getBaseTypeName() throws SQLException {
    return raw.getBaseTypeName();
  }

  @Override
  public int getBaseType() throws SQLException {
    return raw.getBaseType();
  }

  @Override
  public Object getArray() throws SQLException {
    return raw.getArray();
  }

  @Override
  public Object getArray(Map<String, Class<?>> map) throws SQLException {
    return raw.getArray(map);
  }

  @Override
  public Object getArray(long index, int count) throws SQLException {
    return raw.getArray(index, count);
  }

  @Override
  public Object getArray(long index, int count, Map<String, Class<?>> map) throws SQLException {
    return raw.getArray(index, count, map);
  }

  @Override
  public ResultSet getResultSet() throws SQLException {
    return result(raw.getResultSet());
  }

  @Override
  public ResultSet getResultSet(Map<String, Class<?>> map) throws SQLException {
    return result(raw.getResultSet(map));
  }

  @Override
  public ResultSet getResultSet(long index, int count) throws SQLException {
    return result(raw.getResultSet(index, count));
  }

  @Override
  public ResultSet getResultSet(long index, int count, Map<String, Class<?>> map)
      throws SQLException {
    return result(raw.getResultSet(index, count, map));
  }

  @Override
  public void free() throws SQLException {
    raw.free();
  }

  @Override
  public boolean equals(Object o) {
    return o instanceof DwArray a && raw.equals(a.raw);
  }

  @Override
  public int hashCode() {
    return raw.hashCode();
  }

  /** The array as PostgreSQL writes it: {@code {1,2,3}}. */
  @Override
  public String toString() {
    return raw.toString();
  }
}
