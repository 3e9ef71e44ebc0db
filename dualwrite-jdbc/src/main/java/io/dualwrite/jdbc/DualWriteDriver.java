package io.dualwrite.jdbc;

import io.dualwrite.config.Setting;
import io.dualwrite.config.Settings;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.Driver;
import java.sql.DriverManager;
import java.sql.DriverPropertyInfo;
import java.sql.SQLException;
import java.sql.SQLFeatureNotSupportedException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.logging.Logger;

/**
 * For applications that know nothing but a JDBC URL: {@code jdbc:dualwrite:} with the settings
 * among the properties (the prefix {@code dualwrite.} may be left out; what is not ours goes to
 * pgjdbc), {@code jdbc:dualwrite:file:/path/x.properties}, or {@code
 * jdbc:dualwrite:classpath:x.properties}.
 *
 * <p>Connections with the same journal directory share one {@link DualWriteDataSource}, which lives
 * as long as the JVM and is closed when it shuts down. They have to have the same settings; what
 * goes to pgjdbc is the first one's.
 */
public final class DualWriteDriver implements Driver {

  private static final String PREFIX = "jdbc:dualwrite:";

  /** One per journal directory. */
  private static final Map<String, DualWriteDataSource> OPEN = new ConcurrentHashMap<>();

  static {
    try {
      DriverManager.registerDriver(new DualWriteDriver());
    } catch (SQLException e) {
      throw new ExceptionInInitializerError(e);
    }
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> OPEN.values().forEach(DualWriteDataSource::close), "dualwrite-shutdown"));
  }

  /** For the service loader. */
  public DualWriteDriver() {}

  @Override
  public boolean acceptsURL(String url) {
    return url != null && url.startsWith(PREFIX);
  }

  @Override
  public Connection connect(String url, Properties info) throws SQLException {
    if (!acceptsURL(url)) {
      return null;
    }
    try {
      Settings s = settings(url.substring(PREFIX.length()), info == null ? new Properties() : info);
      String directory =
          Path.of(s.require(Setting.JOURNAL_DIR)).toAbsolutePath().normalize().toString();
      DualWriteDataSource shared =
          OPEN.compute(
              directory,
              (d, ds) -> ds == null || ds.writer().closed() ? DualWriteDataSource.of(s) : ds);
      String other = difference(s, shared.writer().settings);
      if (other != null) {
        throw new SQLException(
            "the journal in "
                + directory
                + " is in use with another "
                + other
                + ": what differs needs a journal of its own",
            "08001");
      }
      return shared.getConnection();
    } catch (IllegalArgumentException | io.dualwrite.journal.JournalException e) {
      throw new SQLException(e.getMessage(), "08001", e);
    }
  }

  /** A setting, or part of who connects, that is not the same; null if there is none. */
  private static String difference(Settings a, Settings b) {
    for (Setting s : Setting.values()) {
      if (s != Setting.JOURNAL_DIR && !Objects.equals(a.string(s), b.string(s))) {
        return s.key();
      }
    }
    for (String key : List.of("user", "password")) {
      if (!Objects.equals(
          a.driverProperties().getProperty(key), b.driverProperties().getProperty(key))) {
        return key;
      }
    }
    return null;
  }

  /**
   * The DataSource behind the URLs with this journal directory, if there is one: for status, phase
   * and cutover.
   */
  public static DualWriteDataSource dataSource(Path journal) {
    return OPEN.get(journal.toAbsolutePath().normalize().toString());
  }

  private static Settings settings(String where, Properties info) throws SQLException {
    Properties all = new Properties();
    if (where.startsWith("file:")) {
      return Settings.load(Path.of(where.substring("file:".length())));
    }
    if (where.startsWith("classpath:")) {
      String name = where.substring("classpath:".length());
      ClassLoader loader = Thread.currentThread().getContextClassLoader();
      try (InputStream in =
          (loader == null ? DualWriteDriver.class.getClassLoader() : loader)
              .getResourceAsStream(name)) {
        if (in == null) {
          throw new SQLException(
              PREFIX + where + ": there is no " + name + " on the class path", "08001");
        }
        all.load(in);
      } catch (IOException e) {
        throw new SQLException(PREFIX + where + " cannot be read: " + e.getMessage(), "08001", e);
      }
    } else if (!where.isEmpty()) {
      throw new SQLException(
          "the URL "
              + PREFIX
              + where
              + " is not understood; it is jdbc:dualwrite:, jdbc:dualwrite:file:PATH or jdbc:dualwrite:classpath:NAME",
          "08001");
    }
    info.stringPropertyNames()
        .forEach(n -> all.setProperty(n, info.getProperty(n))); // defaults too
    info.forEach((k, v) -> all.setProperty(k.toString(), v.toString()));
    return Settings.from(all, true);
  }

  @Override
  public DriverPropertyInfo[] getPropertyInfo(String url, Properties info) {
    List<DriverPropertyInfo> all = new ArrayList<>();
    for (Setting s : Setting.values()) {
      DriverPropertyInfo i =
          new DriverPropertyInfo(s.key(), info == null ? null : info.getProperty(s.key()));
      i.description = s.documentation();
      i.choices = s.choices().isEmpty() ? null : s.choices().toArray(new String[0]);
      all.add(i);
    }
    return all.toArray(new DriverPropertyInfo[0]);
  }

  @Override
  public int getMajorVersion() {
    return 0;
  }

  @Override
  public int getMinorVersion() {
    return 1;
  }

  @Override
  public boolean jdbcCompliant() {
    return false;
  }

  @Override
  public Logger getParentLogger() throws SQLFeatureNotSupportedException {
    throw Refusal.of("dualwrite logs with SLF4J");
  }
}
