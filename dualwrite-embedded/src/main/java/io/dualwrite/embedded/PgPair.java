package io.dualwrite.embedded;

import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Two databases for one test, on two servers: one plays the source, the other the target. {@link
 * #shared()} uses two servers that live as long as the JVM and may not be killed; {@link #own()}
 * starts two of its own.
 */
public final class PgPair implements AutoCloseable {

  private static final AtomicInteger NUMBER = new AtomicInteger();

  private record Servers(PgServer source, PgServer target) {
    static Servers start(int major) {
      return new Servers(PgServer.start(major), PgServer.start(major));
    }
  }

  /** By major version. */
  private static final Map<Integer, Servers> SHARED = new ConcurrentHashMap<>();

  private final PgServer source;
  private final PgServer target;
  private final boolean own;
  private final String database = "t" + NUMBER.incrementAndGet();

  private PgPair(Servers servers, boolean own) {
    this.source = servers.source();
    this.target = servers.target();
    this.own = own;
    try {
      source.createDatabase(database);
      target.createDatabase(database);
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Two fresh databases on the two servers that all tests of this JVM share. */
  public static PgPair shared() {
    return shared(PgServer.majors().get(0));
  }

  /** Two fresh databases on the two servers of a major version that all tests of this JVM share. */
  public static PgPair shared(int major) {
    return new PgPair(SHARED.computeIfAbsent(major, Servers::start), false);
  }

  /** Two fresh databases on two servers of their own, which may be killed. */
  public static PgPair own() {
    return own(PgServer.majors().get(0));
  }

  /** Two fresh databases on two servers of a major version of their own, which may be killed. */
  public static PgPair own(int major) {
    return new PgPair(Servers.start(major), true);
  }

  /** The source's server. */
  public PgServer sourceServer() {
    return source;
  }

  /** The target's server. */
  public PgServer targetServer() {
    return target;
  }

  /** The name that both databases have. */
  public String database() {
    return database;
  }

  /** The source's JDBC URL. */
  public String sourceUrl() {
    return source.url(database);
  }

  /** The target's JDBC URL. */
  public String targetUrl() {
    return target.url(database);
  }

  /** A connection to the source, past dualwrite. */
  public Connection source() throws SQLException {
    return source.connect(database);
  }

  /** A connection to the target, past dualwrite. */
  public Connection target() throws SQLException {
    return target.connect(database);
  }

  /** Runs SQL on both. */
  public void execute(String sql) throws SQLException {
    executeSource(sql);
    executeTarget(sql);
  }

  /** Runs SQL on the source alone. */
  public void executeSource(String sql) throws SQLException {
    try (Connection c = source();
        Statement s = c.createStatement()) {
      s.execute(sql);
    }
  }

  /** Runs SQL on the target alone. */
  public void executeTarget(String sql) throws SQLException {
    try (Connection c = target();
        Statement s = c.createStatement()) {
      s.execute(sql);
    }
  }

  @Override
  public void close() {
    if (own) {
      source.close();
      target.close();
    }
  }
}
