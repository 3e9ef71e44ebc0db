package io.dualwrite.jdbc;

import java.sql.Array;
import java.sql.Blob;
import java.sql.Clob;
import java.sql.Connection;
import java.sql.NClob;
import java.sql.SQLClientInfoException;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.SQLXML;
import java.sql.Savepoint;
import java.sql.ShardingKey;
import java.sql.Struct;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Executor;

/**
 * Every method of a connection handed on to another, except those that hand out statements or
 * metadata: left to the subclass, so that none that writes past us can be forgotten.
 */
abstract class ForwardingConnection implements Connection {

  /** The connection that everything is handed on to; throws if this one is closed. */
  protected abstract Connection raw() throws SQLException;

  @Override
  public String nativeSQL(String sql) throws SQLException {
    return raw().nativeSQL(sql);
  }

  @Override
  public void setAutoCommit(boolean autoCommit) throws SQLException {
    raw().setAutoCommit(autoCommit);
  }

  @Override
  public boolean getAutoCommit() throws SQLException {
    return raw().getAutoCommit();
  }

  @Override
  public void commit() throws SQLException {
    raw().commit();
  }

  @Override
  public void rollback() throws SQLException {
    raw().rollback();
  }

  @Override
  public void close() throws SQLException {
    raw().close();
  }

  @Override
  public boolean isClosed() throws SQLException {
    return raw().isClosed();
  }

  @Override
  public void setReadOnly(boolean readOnly) throws SQLException {
    raw().setReadOnly(readOnly);
  }

  @Override
  public boolean isReadOnly() throws SQLException {
    return raw().isReadOnly();
  }

  @Override
  public void setCatalog(String catalog) throws SQLException {
    raw().setCatalog(catalog);
  }

  @Override
  public String getCatalog() throws SQLException {
    return raw().getCatalog();
  }

  @Override
  public void setTransactionIsolation(int level) throws SQLException {
    raw().setTransactionIsolation(level);
  }

  @Override
  public int getTransactionIsolation() throws SQLException {
    return raw().getTransactionIsolation();
  }

  @Override
  public SQLWarning getWarnings() throws SQLException {
    return raw().getWarnings();
  }

  @Override
  public void clearWarnings() throws SQLException {
    raw().clearWarnings();
  }

  @Override
  public Map<String, Class<?>> getTypeMap() throws SQLException {
    return raw().getTypeMap();
  }

  @Override
  public void setTypeMap(Map<String, Class<?>> map) throws SQLException {
    raw().setTypeMap(map);
  }

  @Override
  public void setHoldability(int holdability) throws SQLException {
    raw().setHoldability(holdability);
  }

  @Override
  public int getHoldability() throws SQLException {
    return raw().getHoldability();
  }

  @Override
  public Savepoint setSavepoint() throws SQLException {
    return raw().setSavepoint();
  }

  @Override
  public Savepoint setSavepoint(String name) throws SQLException {
    return raw().setSavepoint(name);
  }

  @Override
  public void rollback(Savepoint savepoint) throws SQLException {
    raw().rollback(savepoint);
  }

  @Override
  public void releaseSavepoint(Savepoint savepoint) throws SQLException {
    raw().releaseSavepoint(savepoint);
  }

  @Override
  public Clob createClob() throws SQLException {
    return raw().createClob();
  }

  @Override
  public Blob createBlob() throws SQLException {
    return raw().createBlob();
  }

  @Override
  public NClob createNClob() throws SQLException {
    return raw().createNClob();
  }

  @Override
  public SQLXML createSQLXML() throws SQLException {
    return raw().createSQLXML();
  }

  @Override
  public boolean isValid(int timeout) throws SQLException {
    return raw().isValid(timeout);
  }

  @Override
  public void setClientInfo(String name, String value) throws SQLClientInfoException {
    Connection c;
    try {
      c = raw();
    } catch (SQLClientInfoException e) {
      throw e;
    } catch (SQLException e) {
      throw new SQLClientInfoException(
          e.getMessage(), e.getSQLState(), e.getErrorCode(), Map.of(), e);
    }
    c.setClientInfo(name, value);
  }

  @Override
  public void setClientInfo(Properties properties) throws SQLClientInfoException {
    Connection c;
    try {
      c = raw();
    } catch (SQLClientInfoException e) {
      throw e;
    } catch (SQLException e) {
      throw new SQLClientInfoException(
          e.getMessage(), e.getSQLState(), e.getErrorCode(), Map.of(), e);
    }
    c.setClientInfo(properties);
  }

  @Override
  public String getClientInfo(String name) throws SQLException {
    return raw().getClientInfo(name);
  }

  @Override
  public Properties getClientInfo() throws SQLException {
    return raw().getClientInfo();
  }

  @Override
  public Array createArrayOf(String typeName, Object[] elements) throws SQLException {
    return DwArray.of(raw().createArrayOf(typeName, elements), this);
  }

  @Override
  public Struct createStruct(String typeName, Object[] attributes) throws SQLException {
    return raw().createStruct(typeName, attributes);
  }

  @Override
  public void setSchema(String schema) throws SQLException {
    raw().setSchema(schema);
  }

  @Override
  public String getSchema() throws SQLException {
    return raw().getSchema();
  }

  @Override
  public void abort(Executor executor) throws SQLException {
    raw().abort(executor);
  }

  @Override
  public void setNetworkTimeout(Executor executor, int milliseconds) throws SQLException {
    raw().setNetworkTimeout(executor, milliseconds);
  }

  @Override
  public int getNetworkTimeout() throws SQLException {
    return raw().getNetworkTimeout();
  }

  @Override
  public void beginRequest() throws SQLException {
    raw().beginRequest();
  }

  @Override
  public void endRequest() throws SQLException {
    raw().endRequest();
  }

  @Override
  public boolean setShardingKeyIfValid(
      ShardingKey shardingKey, ShardingKey superShardingKey, int timeout) throws SQLException {
    return raw().setShardingKeyIfValid(shardingKey, superShardingKey, timeout);
  }

  @Override
  public boolean setShardingKeyIfValid(ShardingKey shardingKey, int timeout) throws SQLException {
    return raw().setShardingKeyIfValid(shardingKey, timeout);
  }

  @Override
  public void setShardingKey(ShardingKey shardingKey, ShardingKey superShardingKey)
      throws SQLException {
    raw().setShardingKey(shardingKey, superShardingKey);
  }

  @Override
  public void setShardingKey(ShardingKey shardingKey) throws SQLException {
    raw().setShardingKey(shardingKey);
  }

  @Override
  public <T> T unwrap(Class<T> iface) throws SQLException {
    return iface.isInstance(this) ? iface.cast(this) : raw().unwrap(iface);
  }

  @Override
  public boolean isWrapperFor(Class<?> iface) throws SQLException {
    return iface.isInstance(this) || raw().isWrapperFor(iface);
  }
}
