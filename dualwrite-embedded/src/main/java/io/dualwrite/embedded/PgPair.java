package io.dualwrite.embedded;

import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Two databases for one test, on two servers: one plays the source, the other the target. {@link
 * #shared()} uses two servers that live as long as the JVM and may not be killed; {@link #own()}
 * starts two of its own.
 */
public final class PgPair implements AutoCloseable {

  private static final AtomicInteger NUMBER = new AtomicInteger();

  private record Servers(PgServer source, PgServer target) {
    static Servers start(int major, String... settings) {
      CompletableFuture<PgServer> target =
          CompletableFuture.supplyAsync(() -> PgServer.start(major, settings));
      PgServer source = PgServer.start(major, settings);
      return new Servers(source, target.join());
    }

    /** A new database's name. */
    String create() {
      while (true) {
        String database = "t" + NUMBER.incrementAndGet();
        try {
          source.createDatabase(database);
          target.createDatabase(database);
          return database;
        } catch (SQLException e) {
          if (!"42P04".equals(e.getSQLState())) { // a given server has those of earlier runs
            throw new IllegalStateException(e);
          }
        }
      }
    }
  }

  /** Servers of this JVM, and the next test's databases, which are made while this one runs. */
  private static final class Shared {
    private final Servers servers;
    private final AtomicReference<CompletableFuture<String>> next = new AtomicReference<>();

    Shared(Servers servers) {
      this.servers = servers;
    }

    PgPair take() {
      CompletableFuture<String> ready =
          next.getAndSet(CompletableFuture.supplyAsync(servers::create));
      return new PgPair(servers, ready == null ? servers.create() : ready.join(), false);
    }
  }

  /** One visit to each of hundreds of databases a minute is what autovacuum would be busy with. */
  private static final String QUIET = "autovacuum=off";

  /**
   * Creates the extension, in the version that the system property {@code
   * dualwrite.test.timescaledb} names (default: the server's), as a session's first statement.
   */
  public static final String CREATE_TIMESCALEDB =
      "create extension timescaledb"
          + (System.getProperty("dualwrite.test.timescaledb", "").isBlank()
              ? ""
              : " version '" + System.getProperty("dualwrite.test.timescaledb") + "'");

  /** By major version. */
  private static final Map<Integer, Shared> SHARED = new ConcurrentHashMap<>();

  private final PgServer source;
  private final PgServer target;
  private final boolean own;
  private final String database;

  private PgPair(Servers servers, String database, boolean own) {
    this.source = servers.source();
    this.target = servers.target();
    this.database = database;
    this.own = own;
  }

  /** Two fresh databases on the two servers that all tests of this JVM share. */
  public static PgPair shared() {
    return shared(PgServer.majors().get(0));
  }

  /** Two fresh databases on the two servers of a major version that all tests of this JVM share. */
  public static PgPair shared(int major) {
    return ofMajor(major).take();
  }

  /**
   * Two fresh databases on two servers, of a major version each, that all tests of this JVM share.
   */
  public static PgPair shared(int source, int target) {
    return with(new Servers(ofMajor(source).servers.source(), ofMajor(target).servers.target()));
  }

  private static Shared ofMajor(int major) {
    return SHARED.computeIfAbsent(major, m -> new Shared(Servers.start(m, QUIET)));
  }

  /** Two fresh databases on two servers of their own, which may be killed. */
  public static PgPair own() {
    return own(PgServer.majors().get(0));
  }

  /**
   * Two fresh databases on two servers of a major version of their own, which may be killed.
   *
   * @param settings as {@code name=value}
   */
  public static PgPair own(int major, String... settings) {
    Servers servers = Servers.start(major, settings);
    return new PgPair(servers, servers.create(), true);
  }

  private static final class Timescale {
    static final Optional<PgServer[]> SERVERS = servers();

    private static Optional<PgServer[]> servers() {
      String source = System.getProperty("dualwrite.test.source");
      String target = System.getProperty("dualwrite.test.target");
      if (source != null && target != null) {
        return Optional.of(new PgServer[] {new GivenServer(source), new GivenServer(target)});
      }
      String[] settings = {
        "shared_preload_libraries=timescaledb", "timescaledb.telemetry_level=off", "fsync=off"
      };
      return Installation.offering("timescaledb")
          .map(i -> new PgServer[] {i.start(settings), i.start(settings)});
    }
  }

  /**
   * Two fresh databases on servers that offer TimescaleDB: those that the system properties {@code
   * dualwrite.test.source} and {@code dualwrite.test.target} name (JDBC URLs of a superuser), or
   * two of a PostgreSQL installation on this machine, which live as long as the JVM. Empty if there
   * are none; {@link Installation#NO_TIMESCALEDB} says so. The extension is not created.
   */
  public static Optional<PgPair> timescale() {
    return Timescale.SERVERS.map(s -> with(new Servers(s[0], s[1])));
  }

  private static final class Local {
    static final Optional<PgServer[]> SERVERS =
        Installation.any().map(i -> new PgServer[] {i.start("fsync=off"), i.start("fsync=off")});
  }

  /**
   * Two fresh databases on two servers of a PostgreSQL installation on this machine, which live as
   * long as the JVM: pg_dump of their version is there. Empty if there is none; {@link
   * Installation#NONE} says so.
   */
  public static Optional<PgPair> local() {
    return Local.SERVERS.map(s -> with(new Servers(s[0], s[1])));
  }

  private static PgPair with(Servers servers) {
    return new PgPair(servers, servers.create(), false);
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
