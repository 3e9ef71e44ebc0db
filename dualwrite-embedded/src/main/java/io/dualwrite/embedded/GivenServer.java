package io.dualwrite.embedded;

import java.util.Properties;
import org.postgresql.Driver;
import org.postgresql.PGProperty;

/** A server that runs already and that somebody named; it is neither stopped nor started. */
final class GivenServer extends PgServer {

  private final String url;
  private final Properties parts;

  /** {@code jdbc:postgresql://host:port/database?user=…&password=…}, of a superuser. */
  GivenServer(String url) {
    this.url = url;
    parts = Driver.parseURL(url, new Properties());
    if (parts == null) {
      throw new IllegalArgumentException(
          "a given test server is named by a URL jdbc:postgresql://host:port/database?user=…&password=…");
    }
  }

  @Override
  public int port() {
    return Integer.parseInt(parts.getProperty(PGProperty.PG_PORT.getName(), "5432"));
  }

  @Override
  public String user() {
    return parts.getProperty(PGProperty.USER.getName(), super.user());
  }

  @Override
  public String password() {
    return parts.getProperty(PGProperty.PASSWORD.getName(), super.password());
  }

  @Override
  public String url(String database) {
    return "jdbc:postgresql://"
        + parts.getProperty(PGProperty.PG_HOST.getName(), "localhost")
        + ":"
        + port()
        + "/"
        + database
        + (url.indexOf('?') < 0 ? "" : url.substring(url.indexOf('?')));
  }

  private static UnsupportedOperationException not() {
    return new UnsupportedOperationException("a given server is not stopped");
  }

  @Override
  public void kill() {
    throw not();
  }

  @Override
  public void stop() {
    throw not();
  }

  @Override
  public void restart() {
    throw not();
  }

  @Override
  public void freeze() {
    throw not();
  }

  @Override
  public void thaw() {
    throw not();
  }

  @Override
  public void close() {
    // it is not ours
  }
}
