package io.dualwrite.jdbc;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import io.dualwrite.catalog.Catalog;
import io.dualwrite.config.PgUri;
import io.dualwrite.config.Setting;
import io.dualwrite.config.Settings;
import io.dualwrite.control.Side;
import io.dualwrite.converge.MirrorWriter;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import javax.sql.DataSource;

/**
 * One of the two databases, and the ways to reach it: as primary for the application, as mirror
 * (pooled, with short deadlines), and for the engine in the background (unpooled, patient).
 */
final class Database implements AutoCloseable {

  final Side side;
  final Catalog catalog = new Catalog();
  final MirrorWriter writer = new MirrorWriter(catalog);

  private final Settings settings;
  private final PgUri uri;
  private final Properties properties;
  private final DataSource given;
  private final ReentrantLock lock = new ReentrantLock();
  private HikariDataSource mirrorPool;

  /** Whether the application gets connections in autocommit; null if that is not known yet. */
  volatile Boolean autoCommit;

  /**
   * Reached through a URL of our own, or, if there is none, through a DataSource of the
   * application's.
   */
  Database(Side side, Settings settings, DataSource given) {
    this.side = side;
    this.settings = settings;
    this.given = given;
    properties = new Properties();
    if (given == null) {
      uri = side == Side.SOURCE ? settings.source() : settings.target();
      autoCommit = true;
      properties.putAll(settings.driverProperties());
      properties.putAll(uri.credentials());
    } else {
      uri = null;
    }
  }

  /**
   * A connection for the application's own statements.
   *
   * @param loginTimeout how many seconds it may take, unless the settings say; 0 for the driver's
   *     default
   */
  Connection primary(int loginTimeout) throws SQLException {
    if (given != null) {
      Connection c = given.getConnection();
      autoCommit = c.getAutoCommit();
      return c;
    }
    if (loginTimeout <= 0) {
      return connect(uri.jdbcUrl(), properties);
    }
    Properties p = new Properties();
    p.putAll(properties);
    p.putIfAbsent("loginTimeout", Integer.toString(loginTimeout));
    return connect(uri.jdbcUrl(), p);
  }

  /**
   * A connection for the engine: deadlines of minutes, so that a dead peer is noticed in the end.
   */
  Connection engine() throws SQLException {
    return given != null ? given() : patient(uri.jdbcUrlOfOurOwn(Set.of()), ours());
  }

  /** The same for statements of the application's own, which may need its options. */
  Connection reader() throws SQLException {
    if (given != null) {
      return given();
    }
    Properties p = new Properties();
    p.putAll(properties);
    return patient(uri.jdbcUrl(), p);
  }

  private Connection patient(String url, Properties p) throws SQLException {
    p.setProperty("tcpKeepAlive", "true");
    p.setProperty("ApplicationName", "dualwrite");
    p.putIfAbsent("connectTimeout", "5");
    p.putIfAbsent("loginTimeout", "5");
    p.putIfAbsent("socketTimeout", "120");
    return connect(url, p);
  }

  /** Those for connections on which no statement of the application's runs. */
  private Properties ours() {
    Properties p = new Properties();
    for (String name : properties.stringPropertyNames()) {
      if (!PgUri.isOfStatements(name, properties.getProperty(name))) {
        p.setProperty(name, properties.getProperty(name));
      }
    }
    return p;
  }

  private Connection connect(String url, Properties p) throws SQLException {
    Connection c = new org.postgresql.Driver().connect(url, p);
    if (c == null) {
      throw new SQLException(
          "the "
              + side
              + "'s URL is not one of PostgreSQL's: dualwrite."
              + side
              + ".url has to begin with jdbc:postgresql:",
          "08001");
    }
    return c;
  }

  /** A pooled connection for flushing units of work: gives up soon. */
  Connection mirror() throws SQLException {
    return given != null ? given() : pool().getConnection();
  }

  /** As the driver's own: where a pool begins transactions, nobody here would end them. */
  private Connection given() throws SQLException {
    Connection c = given.getConnection();
    try {
      autoCommit = c.getAutoCommit();
      c.setAutoCommit(true);
      return c;
    } catch (SQLException e) {
      c.close();
      throw e;
    }
  }

  private HikariDataSource pool() {
    lock.lock();
    try {
      if (mirrorPool == null) {
        long flushMillis = settings.duration(Setting.MIRROR_FLUSH_TIMEOUT).toMillis();
        HikariConfig c = new HikariConfig();
        c.setPoolName("dualwrite-mirror-" + side);
        c.setMaximumPoolSize(settings.integer(Setting.MIRROR_POOL_SIZE));
        c.setMinimumIdle(1);
        c.setConnectionTimeout(
            Math.max(250, settings.duration(Setting.MIRROR_CONNECTION_TIMEOUT).toMillis()));
        c.setValidationTimeout(250);
        c.setInitializationFailTimeout(-1); // the mirror may be away when the application starts
        c.setAutoCommit(false);
        Properties p = new Properties();
        p.setProperty("tcpKeepAlive", "true");
        p.setProperty("ApplicationName", "dualwrite-mirror");
        p.setProperty("connectTimeout", "2");
        p.setProperty("loginTimeout", "2");
        // a mirror that takes the connection and never answers
        p.setProperty("socketTimeout", Long.toString(Math.max(1, (flushMillis + 999) / 1000)));
        p.setProperty("cancelSignalTimeout", "1");
        String url = uri.jdbcUrlOfOurOwn(p.stringPropertyNames());
        ours().forEach(p::putIfAbsent);
        // a wall between a unit's statements costs more than preparing them
        p.putIfAbsent("prepareThreshold", "3");
        c.setDataSource(new Connections(() -> connect(url, p)));
        mirrorPool = new HikariDataSource(c);
      }
      return mirrorPool;
    } finally {
      lock.unlock();
    }
  }

  /** The engine's connections as a DataSource. */
  DataSource engineDataSource() {
    return new Connections(this::engine);
  }

  /** The pooled connections as a DataSource. */
  DataSource mirrorDataSource() {
    return new Connections(this::mirror);
  }

  @Override
  public void close() {
    lock.lock();
    try {
      if (mirrorPool != null) {
        mirrorPool.close();
      }
    } finally {
      lock.unlock();
    }
  }
}
