package io.dualwrite.cli;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import io.dualwrite.backfill.Backfill;
import io.dualwrite.catalog.Catalog;
import io.dualwrite.config.PgUri;
import io.dualwrite.config.Setting;
import io.dualwrite.config.Settings;
import io.dualwrite.control.ControlSchema;
import io.dualwrite.control.Roles;
import io.dualwrite.control.RolesHold;
import io.dualwrite.control.Side;
import io.dualwrite.converge.Convergence;
import io.dualwrite.converge.ConvergenceOptions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;
import org.postgresql.ds.PGSimpleDataSource;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/**
 * The options that say where the two databases are. An option goes before the file, the file before
 * the environment.
 */
final class Databases {

  @Option(
      names = "--source",
      paramLabel = "URI",
      order = 1,
      description =
          "The database moved from: postgres://user:password@host:port/database or a JDBC URL"
              + " (else dualwrite.source.url of --config, else the environment's SOURCE).")
  private String source;

  @Option(
      names = "--target",
      paramLabel = "URI",
      order = 2,
      description = "The database moved to (else dualwrite.target.url, else TARGET).")
  private String target;

  @Option(
      names = "--config",
      paramLabel = "FILE",
      order = 3,
      description = "Properties file with the library's settings: the application's own will do.")
  private Path config;

  @Spec(Spec.Target.MIXEE)
  private CommandSpec spec;

  private final Map<String, String> environment = System.getenv();

  /**
   * The settings of the file with the options in them.
   *
   * @throws UserError if the file or a value is wrong
   */
  Settings settings() {
    Settings.Builder b = Settings.builder();
    if (config != null) {
      if (!Files.isRegularFile(config)) {
        throw new UserError(
            "there is no file " + config + "; --config names a file of settings (key = value)");
      }
      b = Settings.load(config).toBuilder();
    }
    Settings file = b.build();
    set(b, file, Side.SOURCE, source);
    set(b, file, Side.TARGET, target);
    return b.build();
  }

  private void set(Settings.Builder b, Settings file, Side side, String option) {
    Setting key = side == Side.SOURCE ? Setting.SOURCE_URL : Setting.TARGET_URL;
    String variable = variable(side);
    String name = "--" + side;
    String value = option;
    if (value == null && !file.isSet(key)) {
      value = environment.get(variable);
      name = "the environment's " + variable;
    }
    if (value == null) {
      return;
    }
    try {
      b.set(key, value);
    } catch (IllegalArgumentException e) {
      String message = e.getMessage();
      String prefix = key.key() + ": ";
      throw new ParameterException(
          spec.commandLine(),
          name
              + ": "
              + (message.startsWith(prefix) ? message.substring(prefix.length()) : message));
    }
    if (option != null) {
      credentials(b, file, side, PgUri.parse(option));
    }
  }

  /**
   * Settings of their own go before what the URL names, but not the file's before the option's URL;
   * and a password is its user's alone.
   */
  private static void credentials(Settings.Builder b, Settings file, Side side, PgUri option) {
    boolean source = side == Side.SOURCE;
    Setting user = source ? Setting.SOURCE_USERNAME : Setting.TARGET_USERNAME;
    String before = file.string(user);
    if (before == null && file.isSet(source ? Setting.SOURCE_URL : Setting.TARGET_URL)) {
      before = (source ? file.source() : file.target()).user();
    }
    boolean another = option.user() != null && !option.user().equals(before);
    if (another) {
      b.set(user, (String) null);
    }
    if (another || option.password() != null) {
      b.set(source ? Setting.SOURCE_PASSWORD : Setting.TARGET_PASSWORD, (String) null);
    }
  }

  private static String variable(Side side) {
    return side.name().toUpperCase(Locale.ROOT);
  }

  /**
   * Where a database is.
   *
   * @throws ParameterException if nobody said
   */
  PgUri uri(Side side) {
    Settings settings = settings();
    Setting key = side == Side.SOURCE ? Setting.SOURCE_URL : Setting.TARGET_URL;
    if (!settings.isSet(key)) {
      throw new ParameterException(
          spec.commandLine(),
          "no "
              + side
              + " is given: use --"
              + side
              + " postgres://user@host/database, or "
              + key.key()
              + " in a --config file, or the environment's "
              + variable(side));
    }
    return side == Side.SOURCE ? settings.source() : settings.target();
  }

  /**
   * A source of connections to a database that answered just now.
   *
   * @throws UserError if it did not: what, where, why
   */
  DataSource dataSource(Side side) {
    PgUri uri = uri(side);
    PGSimpleDataSource d = new PGSimpleDataSource();
    d.setUrl(uri.jdbcUrlOfOurOwn(Set.of()));
    if (uri.user() != null) {
      d.setUser(uri.user());
    }
    if (uri.password() != null) {
      d.setPassword(uri.password());
    }
    d.setApplicationName("dualwrite");
    d.setConnectTimeout(10);
    d.setTcpKeepAlive(true);
    try (Connection c = d.getConnection()) {
      c.isReadOnly();
    } catch (SQLException e) {
      throw unreachable(side, uri, e);
    }
    return d;
  }

  /**
   * The backfill between both.
   *
   * @throws UserError if one of them does not answer
   */
  Backfill backfill() {
    return Backfill.builder()
        .source(dataSource(Side.SOURCE))
        .target(dataSource(Side.TARGET))
        .build();
  }

  /**
   * The engine that makes the mirror equal to the primary, for the roles that the target's control
   * row tells.
   *
   * @param rate what {@code --max-rate} says; null if nothing
   * @throws UserError if one of them does not answer, or no application ever dual-wrote to the
   *     target
   */
  Engine engine(Integer rate) throws SQLException {
    if (rate != null && rate < 0) {
      throw new ParameterException(
          spec.commandLine(), "--max-rate: rows a second, or 0 for no limit");
    }
    ConvergenceOptions options =
        ConvergenceOptions.DEFAULT.withMaxRate(
            rate != null ? rate : settings().integer(Setting.RECONCILE_MAX_RATE));
    DataSource source = dataSource(Side.SOURCE);
    DataSource target = dataSource(Side.TARGET);
    Side primary = primary(target);
    RolesHold hold = RolesHold.of(target, primary);
    HikariDataSource from = pool(source, Side.SOURCE);
    HikariDataSource to = pool(target, Side.TARGET);
    Convergence convergence =
        primary == Side.SOURCE
            ? new Convergence(from, to, new Catalog(), new Catalog(), options)
            : new Convergence(to, from, new Catalog(), new Catalog(), options);
    return new Engine(convergence.in(hold), hold, List.of(from, to));
  }

  /**
   * The engine with its connections, which are kept from one step to the next.
   *
   * @param convergence the engine
   * @param roles which no cutover exchanges until it is closed
   * @param pools its connections
   */
  record Engine(Convergence convergence, RolesHold roles, List<HikariDataSource> pools)
      implements AutoCloseable {
    @Override
    public void close() {
      pools.forEach(HikariDataSource::close);
      roles.close();
    }
  }

  private static HikariDataSource pool(DataSource from, Side side) {
    HikariConfig c = new HikariConfig();
    c.setPoolName("dualwrite-" + side);
    c.setDataSource(from);
    c.setMaximumPoolSize(4);
    c.setMinimumIdle(0);
    c.setConnectionTimeout(TimeUnit.SECONDS.toMillis(10));
    c.setInitializationFailTimeout(-1); // that it answers was seen just now
    return new HikariDataSource(c);
  }

  /** The journal's directory that the settings name, or null. */
  Path journal() {
    String dir = settings().string(Setting.JOURNAL_DIR);
    return dir == null || dir.isBlank() ? null : Path.of(dir);
  }

  private static Side primary(DataSource target) throws SQLException {
    try (Connection c = target.getConnection()) {
      long epoch = ControlSchema.epoch(c);
      if (epoch < 0) {
        throw new UserError(
            "the target has no schema 'dualwrite'; is --target the database that the application"
                + " dual-writes to?");
      }
      return new Roles(epoch).primary();
    }
  }

  static UserError unreachable(Side side, PgUri uri, SQLException e) {
    String state = e.getSQLState() == null ? "" : e.getSQLState();
    String why =
        switch (state) {
          case "28P01", "28000" ->
              "it refuses the user '" + uri.user() + "'; check user and password in --" + side;
          case "3D000" -> "there is no such database on that server; check --" + side;
          case "53300" -> "it has no connection left; raise max_connections or close some";
          case "57P03" -> "it is starting up or shutting down; try again in a moment";
          default ->
              firstSentence(e.getMessage())
                  + "; check --"
                  + side
                  + ", that the server runs, and that this machine may reach it";
        };
    return new UserError("cannot connect to the " + side + " " + uri + ": " + why, e);
  }

  private static String firstSentence(String message) {
    String first = message.strip().split("\\R", 2)[0];
    int dot = first.indexOf(". ");
    String s = dot > 0 ? first.substring(0, dot) : first;
    return s.endsWith(".") ? s.substring(0, s.length() - 1) : s;
  }
}
