package io.dualwrite.jdbc;

import java.sql.Array;
import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Map;
import java.util.TimerTask;
import java.util.logging.Logger;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;
import org.postgresql.core.BaseConnection;
import org.postgresql.core.CachedQuery;
import org.postgresql.core.Encoding;
import org.postgresql.core.QueryExecutor;
import org.postgresql.core.ReplicationProtocol;
import org.postgresql.core.TransactionState;
import org.postgresql.core.TypeInfo;
import org.postgresql.core.Version;
import org.postgresql.fastpath.Fastpath;
import org.postgresql.jdbc.AutoSave;
import org.postgresql.jdbc.FieldMetadata;
import org.postgresql.jdbc.PreferQueryMode;
import org.postgresql.jdbc.TimestampUtils;
import org.postgresql.largeobject.LargeObjectManager;
import org.postgresql.replication.PGReplicationConnection;
import org.postgresql.util.GT;
import org.postgresql.util.LruCache;
import org.postgresql.util.PGobject;
import org.postgresql.util.PSQLException;
import org.postgresql.util.PSQLState;
import org.postgresql.xml.PGXmlFactoryFactory;

/**
 * What {@code unwrap(PGConnection.class)} gives: the driver's own interface, of which nothing leads
 * past us. What is JDBC goes to the connection it was unwrapped from; what cannot write goes to the
 * driver's connection of the moment; COPY is captured; large objects go by their policy; the rest
 * is refused. As thread-safe as the driver's own.
 */
@SuppressWarnings("deprecation") // of the interface every method
final class DwDriverConnection extends ForwardingConnection implements BaseConnection {

  private final DwConnection connection;
  private final DwQueryExecutor executor;

  DwDriverConnection(DwConnection connection) {
    this.connection = connection;
    executor = new DwQueryExecutor(connection);
  }

  @Override
  protected Connection raw() {
    return connection;
  }

  // ---- the driver's

  @Override
  public void addDataType(String type, Class<? extends PGobject> klass) throws SQLException {
    connection.set(
        "addDataType." + type,
        c -> {
          c.addDataType(type, klass);
          return null;
        });
  }

  @Override
  public void addDataType(String type, String className) {
    connection.setQuietly("addDataType." + type, c -> c.addDataType(type, className));
  }

  @Override
  public void addTimerTask(TimerTask timerTask, long milliSeconds) {
    connection.driver().addTimerTask(timerTask, milliSeconds);
  }

  @Override
  public void alterUserPassword(String user, char[] newPassword, String encryptionType)
      throws SQLException {
    BaseConnection.super.alterUserPassword(
        user, newPassword, encryptionType); // a statement of ours
  }

  @Override
  public boolean binaryTransferSend(int oid) {
    return connection.driver().binaryTransferSend(oid);
  }

  @Override
  public void cancelQuery() throws SQLException {
    connection.driver().cancelQuery();
  }

  @Override
  public Array createArrayOf(String typeName, Object elements) throws SQLException {
    return DwArray.of(connection.driver().createArrayOf(typeName, elements), connection);
  }

  @Override
  public CachedQuery createQuery(
      String sql, boolean escapeProcessing, boolean isParameterized, String... columnNames)
      throws SQLException {
    return connection.driver().createQuery(sql, escapeProcessing, isParameterized, columnNames);
  }

  @Override
  public byte[] encodeString(String str) throws SQLException {
    return connection.driver().encodeString(str);
  }

  @Override
  public String escapeIdentifier(String identifier) throws SQLException {
    return connection.driver().escapeIdentifier(identifier);
  }

  @Override
  public String escapeLiteral(String literal) throws SQLException {
    return connection.driver().escapeLiteral(literal);
  }

  @Override
  public String escapeString(String str) throws SQLException {
    return connection.driver().escapeString(str);
  }

  @Override
  public ResultSet execSQLQuery(String s, int resultSetType, int resultSetConcurrency)
      throws SQLException {
    Statement statement = createStatement(resultSetType, resultSetConcurrency);
    boolean rows = statement.execute(s);
    while (!rows && statement.getUpdateCount() != -1) {
      rows = statement.getMoreResults();
    }
    if (!rows) {
      throw new PSQLException(GT.tr("No results were returned by the query."), PSQLState.NO_DATA);
    }
    return statement.getResultSet();
  }

  @Override
  public ResultSet execSQLQuery(String s) throws SQLException {
    return execSQLQuery(s, ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY);
  }

  @Override
  public void execSQLUpdate(String s) throws SQLException {
    try (Statement statement = createStatement()) {
      statement.execute(s); // the driver, too, does not look at what it returns
    }
  }

  @Override
  public boolean getAdaptiveFetch() {
    return connection.driver().getAdaptiveFetch();
  }

  @Override
  public AutoSave getAutosave() {
    return connection.driver().getAutosave();
  }

  @Override
  public int getBackendPID() {
    return connection.driver().getBackendPID();
  }

  @Override
  public boolean getConvertBooleanToNumeric() {
    return connection.driver().getConvertBooleanToNumeric();
  }

  @Override
  public CopyManager getCopyAPI() throws SQLException {
    return new CopyManager(this);
  }

  @Override
  public int getDefaultFetchSize() {
    return connection.driver().getDefaultFetchSize();
  }

  @Override
  public Encoding getEncoding() throws SQLException {
    return connection.driver().getEncoding();
  }

  @Override
  public Fastpath getFastpathAPI() throws SQLException {
    return connection.largeObjects(c -> c.getFastpathAPI());
  }

  @Override
  public LruCache<FieldMetadata.Key, FieldMetadata> getFieldMetadataCache() {
    return connection.driver().getFieldMetadataCache();
  }

  @Override
  public LargeObjectManager getLargeObjectAPI() throws SQLException {
    return connection.largeObjects(BaseConnection::getLargeObjectAPI);
  }

  @Override
  public boolean getLogServerErrorDetail() {
    return connection.driver().getLogServerErrorDetail();
  }

  @Override
  public Logger getLogger() {
    return connection.driver().getLogger();
  }

  @Override
  public PGNotification[] getNotifications() throws SQLException {
    return connection.notifications(-1);
  }

  @Override
  public PGNotification[] getNotifications(int timeoutMillis) throws SQLException {
    return connection.notifications(timeoutMillis);
  }

  @Override
  public Object getObject(String type, String value, byte[] byteValue) throws SQLException {
    return connection.driver().getObject(type, value, byteValue);
  }

  @Override
  public String getParameterStatus(String parameterName) {
    return connection.driver().getParameterStatus(parameterName);
  }

  @Override
  public Map<String, String> getParameterStatuses() {
    return connection.driver().getParameterStatuses();
  }

  @Override
  public PreferQueryMode getPreferQueryMode() {
    return connection.driver().getPreferQueryMode();
  }

  @Override
  public int getPrepareThreshold() {
    return connection.driver().getPrepareThreshold();
  }

  @Override
  public QueryExecutor getQueryExecutor() {
    return executor;
  }

  @Override
  public int getQueryTimeout() {
    return connection.driver().getQueryTimeout();
  }

  @Override
  public PGReplicationConnection getReplicationAPI() {
    throw Refusal.unchecked(DwQueryExecutor.REPLICATION);
  }

  @Override
  public ReplicationProtocol getReplicationProtocol() {
    throw Refusal.unchecked(DwQueryExecutor.REPLICATION);
  }

  @Override
  public boolean getStandardConformingStrings() {
    return connection.driver().getStandardConformingStrings();
  }

  @Override
  public boolean getStringVarcharFlag() {
    return connection.driver().getStringVarcharFlag();
  }

  @Override
  public TimestampUtils getTimestampUtils() {
    return connection.driver().getTimestampUtils();
  }

  @Override
  public TransactionState getTransactionState() {
    return connection.driver().getTransactionState();
  }

  @Override
  public TypeInfo getTypeInfo() {
    return connection.driver().getTypeInfo();
  }

  @Override
  public PGXmlFactoryFactory getXmlFactoryFactory() throws SQLException {
    return connection.driver().getXmlFactoryFactory();
  }

  @Override
  public boolean haveMinimumServerVersion(int ver) {
    return connection.driver().haveMinimumServerVersion(ver);
  }

  @Override
  public boolean haveMinimumServerVersion(Version ver) {
    return connection.driver().haveMinimumServerVersion(ver);
  }

  @Override
  public boolean hintReadOnly() {
    return connection.driver().hintReadOnly();
  }

  @Override
  public boolean isColumnSanitiserDisabled() {
    return connection.driver().isColumnSanitiserDisabled();
  }

  @Override
  public void purgeTimerTasks() {
    connection.driver().purgeTimerTasks();
  }

  @Override
  public void setAdaptiveFetch(boolean adaptiveFetch) {
    connection.setQuietly("setAdaptiveFetch", c -> c.setAdaptiveFetch(adaptiveFetch));
  }

  @Override
  public void setAutosave(AutoSave autoSave) {
    connection.setQuietly("setAutosave", c -> c.setAutosave(autoSave));
  }

  @Override
  public void setDefaultFetchSize(int fetchSize) throws SQLException {
    connection.set(
        "setDefaultFetchSize",
        c -> {
          c.setDefaultFetchSize(fetchSize);
          return null;
        });
  }

  @Override
  public void setFlushCacheOnDeallocate(boolean flushCacheOnDeallocate) {
    connection.setQuietly(
        "setFlushCacheOnDeallocate", c -> c.setFlushCacheOnDeallocate(flushCacheOnDeallocate));
  }

  @Override
  public void setPrepareThreshold(int threshold) {
    connection.setQuietly("setPrepareThreshold", c -> c.setPrepareThreshold(threshold));
  }

  @Override
  public void setQueryTimeout(int seconds) throws SQLException {
    connection.set(
        "setQueryTimeout",
        c -> {
          c.setQueryTimeout(seconds);
          return null;
        });
  }

  // ---- JDBC's

  @Override
  public Array createArrayOf(String typeName, Object[] elements) throws SQLException {
    return connection.createArrayOf(typeName, elements);
  }

  @Override
  public Statement createStatement() throws SQLException {
    return connection.createStatement();
  }

  @Override
  public Statement createStatement(int arg0, int arg1, int arg2) throws SQLException {
    return connection.createStatement(arg0, arg1, arg2);
  }

  @Override
  public Statement createStatement(int arg0, int arg1) throws SQLException {
    return connection.createStatement(arg0, arg1);
  }

  @Override
  public DatabaseMetaData getMetaData() throws SQLException {
    return connection.getMetaData();
  }

  @Override
  public CallableStatement prepareCall(String arg0, int arg1, int arg2, int arg3)
      throws SQLException {
    return connection.prepareCall(arg0, arg1, arg2, arg3);
  }

  @Override
  public CallableStatement prepareCall(String arg0, int arg1, int arg2) throws SQLException {
    return connection.prepareCall(arg0, arg1, arg2);
  }

  @Override
  public CallableStatement prepareCall(String arg0) throws SQLException {
    return connection.prepareCall(arg0);
  }

  @Override
  public PreparedStatement prepareStatement(String arg0, int[] arg1) throws SQLException {
    return connection.prepareStatement(arg0, arg1);
  }

  @Override
  public PreparedStatement prepareStatement(String arg0, String[] arg1) throws SQLException {
    return connection.prepareStatement(arg0, arg1);
  }

  @Override
  public PreparedStatement prepareStatement(String arg0, int arg1, int arg2, int arg3)
      throws SQLException {
    return connection.prepareStatement(arg0, arg1, arg2, arg3);
  }

  @Override
  public PreparedStatement prepareStatement(String arg0, int arg1, int arg2) throws SQLException {
    return connection.prepareStatement(arg0, arg1, arg2);
  }

  @Override
  public PreparedStatement prepareStatement(String arg0, int arg1) throws SQLException {
    return connection.prepareStatement(arg0, arg1);
  }

  @Override
  public PreparedStatement prepareStatement(String arg0) throws SQLException {
    return connection.prepareStatement(arg0);
  }
}
