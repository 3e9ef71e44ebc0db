package io.dualwrite.jdbc;

import java.io.Closeable;
import java.io.IOException;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TimeZone;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyOperation;
import org.postgresql.core.CachedQuery;
import org.postgresql.core.Encoding;
import org.postgresql.core.NativeQuery;
import org.postgresql.core.ParameterList;
import org.postgresql.core.ProtocolVersion;
import org.postgresql.core.Query;
import org.postgresql.core.QueryExecutor;
import org.postgresql.core.ReplicationProtocol;
import org.postgresql.core.ResultCursor;
import org.postgresql.core.ResultHandler;
import org.postgresql.core.TransactionState;
import org.postgresql.jdbc.AutoSave;
import org.postgresql.jdbc.BatchResultHandler;
import org.postgresql.jdbc.EscapeSyntaxCallMode;
import org.postgresql.jdbc.PreferQueryMode;
import org.postgresql.util.HostSpec;

/**
 * What the driver's {@code CopyManager} and its streams work with: COPY is captured, what else
 * could write is refused, the rest goes to the driver's connection of the moment.
 */
@SuppressWarnings("deprecation") // of the interface every method
final class DwQueryExecutor implements QueryExecutor {

  static final String REPLICATION =
      "dualwrite hands out no replication connection: open one with the driver";

  private static final String EXECUTE =
      "dualwrite refuses to execute queries through the driver's QueryExecutor: use a statement of the connection";

  private final DwConnection connection;

  DwQueryExecutor(DwConnection connection) {
    this.connection = connection;
  }

  private QueryExecutor raw() {
    return connection.driver().getQueryExecutor();
  }

  @Override
  public void abort() {
    try {
      connection.abort(Runnable::run);
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void addBinaryReceiveOid(int oid) {
    raw().addBinaryReceiveOid(oid);
  }

  @Override
  public void addBinarySendOid(int oid) {
    raw().addBinarySendOid(oid);
  }

  @Override
  public void addQueryToAdaptiveFetchCache(boolean adaptiveFetch, ResultCursor cursor) {
    raw().addQueryToAdaptiveFetchCache(adaptiveFetch, cursor);
  }

  @Override
  public CachedQuery borrowCallableQuery(String sql) throws SQLException {
    return raw().borrowCallableQuery(sql);
  }

  @Override
  public CachedQuery borrowQuery(String sql) throws SQLException {
    return raw().borrowQuery(sql);
  }

  @Override
  public CachedQuery borrowQueryByKey(Object key) throws SQLException {
    return raw().borrowQueryByKey(key);
  }

  @Override
  public CachedQuery borrowReturningQuery(String sql, String[] columnNames) throws SQLException {
    return raw().borrowReturningQuery(sql, columnNames);
  }

  @Override
  public void close() {
    try {
      connection.close();
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public ParameterList createFastpathParameters(int count) {
    return raw().createFastpathParameters(count);
  }

  @Override
  public CachedQuery createQuery(
      String sql, boolean escapeProcessing, boolean isParameterized, String... columnNames)
      throws SQLException {
    return raw().createQuery(sql, escapeProcessing, isParameterized, columnNames);
  }

  @Override
  public CachedQuery createQueryByKey(Object key) throws SQLException {
    return raw().createQueryByKey(key);
  }

  @Override
  public Object createQueryKey(
      String sql, boolean escapeProcessing, boolean isParameterized, String... columnNames) {
    return raw().createQueryKey(sql, escapeProcessing, isParameterized, columnNames);
  }

  @Override
  public Query createSimpleQuery(String sql) throws SQLException {
    return raw().createSimpleQuery(sql);
  }

  @Override
  public void execute(
      Query[] queries,
      ParameterList[] parameterLists,
      BatchResultHandler handler,
      int maxRows,
      int fetchSize,
      int flags,
      boolean adaptiveFetch)
      throws SQLException {
    throw Refusal.of(EXECUTE);
  }

  @Override
  public void execute(
      Query[] queries,
      ParameterList[] parameterLists,
      BatchResultHandler handler,
      int maxRows,
      int fetchSize,
      int flags)
      throws SQLException {
    throw Refusal.of(EXECUTE);
  }

  @Override
  public void execute(
      Query query,
      ParameterList parameters,
      ResultHandler handler,
      int maxRows,
      int fetchSize,
      int flags,
      boolean adaptiveFetch)
      throws SQLException {
    throw Refusal.of(EXECUTE);
  }

  @Override
  public void execute(
      Query query,
      ParameterList parameters,
      ResultHandler handler,
      int maxRows,
      int fetchSize,
      int flags)
      throws SQLException {
    throw Refusal.of(EXECUTE);
  }

  @Override
  public byte[] fastpathCall(int fnid, ParameterList params, boolean suppressBegin)
      throws SQLException {
    return connection.largeObjects(
        c -> c.getQueryExecutor().fastpathCall(fnid, params, suppressBegin));
  }

  @Override
  public void fetch(
      ResultCursor cursor, ResultHandler handler, int fetchSize, boolean adaptiveFetch)
      throws SQLException {
    raw().fetch(cursor, handler, fetchSize, adaptiveFetch);
  }

  @Override
  public boolean getAdaptiveFetch() {
    return raw().getAdaptiveFetch();
  }

  @Override
  public int getAdaptiveFetchSize(boolean adaptiveFetch, ResultCursor cursor) {
    return raw().getAdaptiveFetchSize(adaptiveFetch, cursor);
  }

  @Override
  public String getApplicationName() {
    return raw().getApplicationName();
  }

  @Override
  public AutoSave getAutoSave() {
    return raw().getAutoSave();
  }

  @Override
  public int getBackendPID() {
    return raw().getBackendPID();
  }

  @Override
  public Set<? extends Integer> getBinaryReceiveOids() {
    return raw().getBinaryReceiveOids();
  }

  @Override
  public Set<? extends Integer> getBinarySendOids() {
    return raw().getBinarySendOids();
  }

  @Override
  public Closeable getCloseAction() {
    return raw().getCloseAction();
  }

  @Override
  public String getDatabase() {
    return raw().getDatabase();
  }

  @Override
  public Encoding getEncoding() {
    return raw().getEncoding();
  }

  @Override
  public EscapeSyntaxCallMode getEscapeSyntaxCallMode() {
    return raw().getEscapeSyntaxCallMode();
  }

  @Override
  public HostSpec getHostSpec() {
    return raw().getHostSpec();
  }

  @Override
  public boolean getIntegerDateTimes() {
    return raw().getIntegerDateTimes();
  }

  @Override
  public int getNetworkTimeout() throws IOException {
    return raw().getNetworkTimeout();
  }

  @Override
  public PGNotification[] getNotifications() throws SQLException {
    return raw().getNotifications();
  }

  @Override
  public String getParameterStatus(String parameterName) {
    return raw().getParameterStatus(parameterName);
  }

  @Override
  public Map<String, String> getParameterStatuses() {
    return raw().getParameterStatuses();
  }

  @Override
  public PreferQueryMode getPreferQueryMode() {
    return raw().getPreferQueryMode();
  }

  @Override
  public ProtocolVersion getProtocolVersion() {
    return raw().getProtocolVersion();
  }

  @Override
  public boolean getQuoteReturningIdentifiers() {
    return raw().getQuoteReturningIdentifiers();
  }

  @Override
  public int getReWriteBatchedInsertsSize() {
    return raw().getReWriteBatchedInsertsSize();
  }

  @Override
  public ReplicationProtocol getReplicationProtocol() {
    throw Refusal.unchecked(REPLICATION);
  }

  @Override
  public String getServerVersion() {
    return raw().getServerVersion();
  }

  @Override
  public int getServerVersionNum() {
    return raw().getServerVersionNum();
  }

  @Override
  public boolean getStandardConformingStrings() {
    return raw().getStandardConformingStrings();
  }

  @Override
  public TimeZone getTimeZone() {
    return raw().getTimeZone();
  }

  @Override
  public TransactionState getTransactionState() {
    return raw().getTransactionState();
  }

  @Override
  public String getUser() {
    return raw().getUser();
  }

  @Override
  public SQLWarning getWarnings() {
    return raw().getWarnings();
  }

  @Override
  public boolean isClosed() {
    return raw().isClosed();
  }

  @Override
  public boolean isColumnSanitiserDisabled() {
    return raw().isColumnSanitiserDisabled();
  }

  @Override
  public boolean isFlushCacheOnDdl() {
    return raw().isFlushCacheOnDdl();
  }

  @Override
  public boolean isReWriteBatchedInsertsEnabled() {
    return raw().isReWriteBatchedInsertsEnabled();
  }

  @Override
  public void processNotifies() throws SQLException {
    raw().processNotifies();
  }

  @Override
  public void processNotifies(int timeoutMillis) throws SQLException {
    raw().processNotifies(timeoutMillis);
  }

  @Override
  public void releaseQuery(CachedQuery cachedQuery) {
    raw().releaseQuery(cachedQuery);
  }

  @Override
  public void removeBinaryReceiveOid(int oid) {
    raw().removeBinaryReceiveOid(oid);
  }

  @Override
  public void removeBinarySendOid(int oid) {
    raw().removeBinarySendOid(oid);
  }

  @Override
  public void removeQueryFromAdaptiveFetchCache(boolean adaptiveFetch, ResultCursor cursor) {
    raw().removeQueryFromAdaptiveFetchCache(adaptiveFetch, cursor);
  }

  @Override
  public void sendQueryCancel() throws SQLException {
    raw().sendQueryCancel();
  }

  @Override
  public void setAdaptiveFetch(boolean adaptiveFetch) {
    raw().setAdaptiveFetch(adaptiveFetch);
  }

  @Override
  public void setAutoSave(AutoSave autoSave) {
    raw().setAutoSave(autoSave);
  }

  @Override
  public void setBinaryReceiveOids(Set<Integer> useBinaryForOids) {
    raw().setBinaryReceiveOids(useBinaryForOids);
  }

  @Override
  public void setBinarySendOids(Set<Integer> useBinaryForOids) {
    raw().setBinarySendOids(useBinaryForOids);
  }

  @Override
  public void setFlushCacheOnDdl(boolean flushCacheOnDdl) {
    raw().setFlushCacheOnDdl(flushCacheOnDdl);
  }

  @Override
  public void setFlushCacheOnDeallocate(boolean flushCacheOnDeallocate) {
    raw().setFlushCacheOnDeallocate(flushCacheOnDeallocate);
  }

  @Override
  public void setNetworkTimeout(int milliseconds) throws IOException {
    raw().setNetworkTimeout(milliseconds);
  }

  @Override
  public void setPreferQueryMode(PreferQueryMode mode) {
    raw().setPreferQueryMode(mode);
  }

  @Override
  public CopyOperation startCopy(String sql, boolean suppressBegin) throws SQLException {
    return connection.copy(sql);
  }

  @Override
  public boolean useBinaryForReceive(int oid) {
    return raw().useBinaryForReceive(oid);
  }

  @Override
  public boolean useBinaryForSend(int oid) {
    return raw().useBinaryForSend(oid);
  }

  @Override
  public boolean willHealOnRetry(SQLException e) {
    return raw().willHealOnRetry(e);
  }

  @Override
  public Query wrap(List<NativeQuery> queries) {
    return raw().wrap(queries);
  }
}
