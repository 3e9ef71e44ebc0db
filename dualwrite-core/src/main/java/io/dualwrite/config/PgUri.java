package io.dualwrite.config;

import java.net.URLEncoder;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.Set;
import java.util.StringJoiner;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.postgresql.Driver;
import org.postgresql.PGProperty;

/**
 * A connection string: libpq's {@code postgres://user:password@host:port/database?sslmode=…}, as
 * psql and hosting services write it, or a JDBC URL {@code jdbc:postgresql:…}, which is taken as it
 * is. Immutable.
 *
 * <p>libpq's parameters are given the names that pgjdbc has for them; parameters that only tune TCP
 * and that pgjdbc lacks are dropped; others that it lacks are an error. Files of the libpq world
 * ({@code ~/.pgpass}, {@code PGSSLMODE}, …) are not read beyond what pgjdbc reads itself.
 *
 * @see <a href="https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS">
 *     Connection URIs</a>
 */
public final class PgUri {

  private static final Pattern SCHEME =
      Pattern.compile("(?i)(postgres|postgresql)://.*", Pattern.DOTALL);
  private static final Pattern BEGIN =
      Pattern.compile("(?i)((?:postgres|postgresql)://|jdbc:postgresql:(?://)?).*", Pattern.DOTALL);

  /** What follows an & and is no parameter is the rest of a value that was not encoded. */
  private static final Pattern SECRET_PARAMETER =
      Pattern.compile("(?i)([?&][^=&]*(?:password|secret|token)[^=&]*=)[^&]*(?:&[^=&]*(?=&|$))*");

  private static final Pattern SECRET_NAME = Pattern.compile("(?i).*(password|secret|token).*");

  /** What libpq calls otherwise than pgjdbc, where the value is the same. */
  private static final Map<String, PGProperty> NAMES =
      Map.of(
          "application_name", PGProperty.APPLICATION_NAME,
          "fallback_application_name", PGProperty.APPLICATION_NAME,
          "connect_timeout", PGProperty.CONNECT_TIMEOUT,
          "options", PGProperty.OPTIONS,
          "gssencmode", PGProperty.GSS_ENC_MODE,
          "krbsrvname", PGProperty.KERBEROS_SERVER_NAME,
          "channel_binding", PGProperty.CHANNEL_BINDING,
          "require_auth", PGProperty.REQUIRE_AUTH);

  /** Only tune TCP: where and how safely is connected does not depend on them. */
  private static final Set<String> DROPPED =
      Set.of("keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout");

  /**
   * What an application may want for its statements, and ours are not to be sent by: one by one, in
   * portions, with savepoints, for so long at most, or not at all where they write.
   */
  private static final Set<String> OF_STATEMENTS =
      Set.of(
          "adaptiveFetch",
          "adaptiveFetchMaximum",
          "adaptiveFetchMinimum",
          "autosave",
          "binaryTransfer",
          "binaryTransferDisable",
          "binaryTransferEnable",
          "cleanupSavepoints",
          "convertBooleanToNumeric",
          "defaultRowFetchSize",
          "maxResultBuffer",
          "preferQueryMode",
          "queryTimeout",
          "readOnly",
          "readOnlyMode",
          "reWriteBatchedInserts",
          "reWriteBatchedInsertsSize",
          "stringtype");

  private final String jdbcUrl;
  private final String user;
  private final String password;

  private PgUri(String jdbcUrl, String user, String password) {
    this.jdbcUrl = jdbcUrl;
    this.user = user;
    this.password = password;
  }

  /**
   * Reads a connection string.
   *
   * @throws IllegalArgumentException if it is neither of the two kinds, or is malformed; the
   *     message shows no password
   */
  public static PgUri parse(String text) {
    String t = text.trim();
    if (t.regionMatches(true, 0, "jdbc:postgresql:", 0, 16)) {
      return jdbc(t);
    }
    if (SCHEME.matcher(t).matches()) {
      return libpq(t);
    }
    throw new IllegalArgumentException(
        "this is no connection string: it must begin with postgres:// or jdbc:postgresql:");
  }

  private static PgUri jdbc(String text) {
    Properties p = Driver.parseURL(text, null);
    if (p == null) {
      throw new IllegalArgumentException(
          "'" + mask(text) + "' is malformed: the PostgreSQL driver does not understand it");
    }
    return new PgUri(text, PGProperty.USER.getOrNull(p), PGProperty.PASSWORD.getOrNull(p));
  }

  private static PgUri libpq(String text) {
    String rest = text.substring(text.indexOf("://") + 3);
    int fragment = rest.indexOf('#');
    int question = rest.indexOf('?');
    if (fragment >= 0 && (question < 0 || fragment < question)) {
      throw malformed(text, "a # must be written %23");
    }
    String query = question < 0 ? "" : rest.substring(question + 1);
    rest = question < 0 ? rest : rest.substring(0, question);

    Map<String, String> parameters = parameters(text, query);
    String user = parameters.remove("user");
    String password = parameters.remove("password");
    String database = parameters.remove("dbname");
    String hosts = parameters.remove("host");
    String hostaddr = parameters.remove("hostaddr");
    String ports = parameters.remove("port");

    int slash = rest.indexOf('/');
    String authority = slash < 0 ? rest : rest.substring(0, slash);
    String path = slash < 0 ? "" : rest.substring(slash + 1);
    if (path.indexOf('@') >= 0 && authority.indexOf('@') < 0 && authority.indexOf(':') >= 0) {
      throw malformed(text, "a / in the user name or password must be written %2F");
    }
    int at = authority.indexOf('@');
    if (at != authority.lastIndexOf('@')) {
      throw malformed(text, "an @ in the user name or password must be written %40");
    }
    if (at >= 0) {
      String userinfo = authority.substring(0, at);
      authority = authority.substring(at + 1);
      int colon = userinfo.indexOf(':');
      String u = decode(text, colon < 0 ? userinfo : userinfo.substring(0, colon));
      if (user == null && !u.isEmpty()) {
        user = u;
      }
      if (password == null && colon >= 0 && colon + 1 < userinfo.length()) {
        password = decode(text, userinfo.substring(colon + 1));
      }
    }
    if (database == null) {
      database = decode(text, path);
    }
    String servers =
        hosts == null && hostaddr == null && ports == null
            ? servers(text, authority)
            : servers(text, authority, hostaddr != null ? hostaddr : hosts, ports);

    StringJoiner more = new StringJoiner("&", "?", "").setEmptyValue("");
    parameters.forEach((k, v) -> more.add(encode(k) + "=" + encode(v)));
    return new PgUri(
        "jdbc:postgresql://" + servers + "/" + encode(database) + more, user, password);
  }

  /** {@code host:port,[v6]:port,…} as pgjdbc reads it. */
  private static String servers(String text, String authority) {
    StringJoiner all = new StringJoiner(",");
    for (String one : authority.split(",", -1)) {
      String host = one;
      String port = "";
      int bracket = one.startsWith("[") ? one.indexOf(']') : -1;
      if (one.startsWith("[") && bracket < 0) {
        throw malformed(text, "the [ of an IPv6 address is not closed");
      }
      int colon = one.indexOf(':', Math.max(bracket, 0));
      if (colon >= 0) {
        host = one.substring(0, colon);
        port = one.substring(colon + 1);
      }
      if (bracket >= 0 && host.length() != bracket + 1) {
        throw malformed(text, "only :port may follow the ] of an IPv6 address");
      }
      all.add(server(text, bracket >= 0 ? host : decode(text, host), port));
    }
    return all.toString();
  }

  /** libpq's parameters host, hostaddr and port go before what the authority says. */
  private static String servers(String text, String authority, String hosts, String ports) {
    if (hosts == null) {
      StringJoiner names = new StringJoiner(",");
      for (String s : servers(text, authority).split(",", -1)) {
        names.add(s.substring(0, s.lastIndexOf(':')));
      }
      hosts = names.toString();
    }
    if (ports == null) {
      ports = "";
    }
    String[] h = hosts.split(",", -1);
    String[] p = ports.split(",", -1);
    if (p.length != 1 && p.length != h.length) {
      throw malformed(text, "there are " + h.length + " hosts, but " + p.length + " ports");
    }
    StringJoiner all = new StringJoiner(",");
    for (int i = 0; i < h.length; i++) {
      boolean v6 = h[i].indexOf(':') >= 0 && !h[i].startsWith("[");
      all.add(server(text, v6 ? "[" + h[i] + "]" : h[i], p.length == 1 ? p[0] : p[i]));
    }
    return all.toString();
  }

  private static String server(String text, String host, String port) {
    if (host.startsWith("/") || host.startsWith("@")) {
      throw malformed(
          text, "a Unix socket is not supported, name a host (localhost for this machine)");
    }
    if (!host.startsWith("[") && !host.matches("[^\\s:/?#\\[\\]@,]*")) {
      throw malformed(text, "the host's name is not one");
    }
    int n = 5432;
    if (!port.isEmpty()) {
      // the message does not show what stands there: with a / in a password, it is the password
      n = port.matches("[0-9]{1,5}") ? Integer.parseInt(port) : 0;
      if (n < 1 || n > 65535) {
        throw malformed(text, "the port is not a number from 1 to 65535");
      }
    }
    return (host.isEmpty() ? "localhost" : host) + ":" + n;
  }

  private static Map<String, String> parameters(String text, String query) {
    Map<String, String> all = new LinkedHashMap<>();
    String fallbackName = null;
    for (String one : query.isEmpty() ? new String[0] : query.split("&", -1)) {
      int eq = one.indexOf('=');
      if (eq <= 0) {
        throw malformed(text, "a parameter is not written name=value");
      }
      String name = decode(text, one.substring(0, eq));
      String value = decode(text, one.substring(eq + 1));
      switch (name) {
        case "user", "password", "dbname", "host", "hostaddr", "port" -> all.put(name, value);
        case "target_session_attrs" ->
            all.put(
                PGProperty.TARGET_SERVER_TYPE.getName(),
                switch (value) {
                  case "any" -> "any";
                  case "primary", "read-write" -> "primary";
                  case "standby", "read-only" -> "secondary";
                  case "prefer-standby" -> "preferSecondary";
                  default -> throw malformed(text, "the value of target_session_attrs is unknown");
                });
        case "load_balance_hosts" ->
            all.put(
                PGProperty.LOAD_BALANCE_HOSTS.getName(), Boolean.toString(value.equals("random")));
        case "keepalives" ->
            all.put(PGProperty.TCP_KEEP_ALIVE.getName(), Boolean.toString(!value.equals("0")));
        case "client_encoding" -> {
          String e = value.toLowerCase(Locale.ROOT);
          if (!e.equals("auto") && !e.replace("-", "").equals("utf8")) {
            throw malformed(text, "client_encoding must be UTF8, the only one that JDBC has");
          }
        }
        case "ssl" -> {
          // as libpq reads what old JDBC strings have
          if (value.equals("true")) {
            all.putIfAbsent(PGProperty.SSL_MODE.getName(), "require");
          } else {
            throw malformed(text, "ssl must be true; for anything else use sslmode");
          }
        }
        // the URL made here has a host and a port, which would go before the service's
        case "service" ->
            throw malformed(
                text, "a service is read from a JDBC URL only: jdbc:postgresql:///?service=NAME");
        case "fallback_application_name" -> fallbackName = value;
        default -> {
          if (DROPPED.contains(name)) {
            continue;
          }
          PGProperty known = NAMES.get(name);
          if (known == null) {
            known = PGProperty.forName(name);
          }
          if (known == null) {
            throw malformed(
                text, "the PostgreSQL JDBC driver has no parameter '" + name + "', leave it out");
          }
          all.put(known.getName(), value);
        }
      }
    }
    if (fallbackName != null) {
      all.putIfAbsent(PGProperty.APPLICATION_NAME.getName(), fallbackName);
    }
    return all;
  }

  /** Percent-decoding as libpq does it: a plus is a plus. */
  private static String decode(String text, String part) {
    if (part.indexOf('%') < 0) {
      return part;
    }
    byte[] in = part.getBytes(StandardCharsets.UTF_8);
    ByteBuffer out = ByteBuffer.allocate(in.length);
    for (int i = 0; i < in.length; i++) {
      if (in[i] != '%') {
        out.put(in[i]);
        continue;
      }
      int high = i + 1 < in.length ? Character.digit(in[i + 1], 16) : -1;
      int low = i + 2 < in.length ? Character.digit(in[i + 2], 16) : -1;
      if (high < 0 || low < 0) {
        throw malformed(text, "two hexadecimal digits must follow a %; a % itself is %25");
      }
      if (high + low == 0) {
        throw malformed(text, "%00 is not allowed");
      }
      out.put((byte) (high * 16 + low));
      i += 2;
    }
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(out.flip()).toString();
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException(
          malformed(text, "what is percent-encoded must be UTF-8").getMessage(), e);
    }
  }

  /** pgjdbc decodes with {@link java.net.URLDecoder}. */
  private static String encode(String part) {
    return URLEncoder.encode(part, StandardCharsets.UTF_8);
  }

  private static IllegalArgumentException malformed(String text, String why) {
    return new IllegalArgumentException(
        "the connection string '" + mask(text) + "' is malformed: " + why);
  }

  /** Whether a parameter of this name should not be shown. */
  static boolean isSecret(String name) {
    return SECRET_NAME.matcher(name).matches();
  }

  /**
   * The text with every password in it replaced by {@code ***}, also where it is malformed; nothing
   * of it if it does not begin as a connection string does, as nobody knows where its password is.
   */
  public static String mask(String text) {
    Matcher begin = BEGIN.matcher(text);
    if (!begin.matches()) {
      return "***";
    }
    String t = SECRET_PARAMETER.matcher(text).replaceAll("$1***");
    int start = begin.end(1);
    int at = t.lastIndexOf('@');
    int colon = t.indexOf(':', start);
    return colon < 0 || at < colon ? t : t.substring(0, colon + 1) + "***" + t.substring(at);
  }

  /** The JDBC URL. It has no user and no password, unless a JDBC URL was given that has them. */
  public String jdbcUrl() {
    return jdbcUrl;
  }

  /**
   * The JDBC URL for connections on which no statement of the application's runs: without options
   * of the driver's that say how its statements are sent. What a URL says goes before properties.
   *
   * @param more other parameters that it is to be without
   */
  public String jdbcUrlOfOurOwn(Set<String> more) {
    int question = jdbcUrl.indexOf('?');
    if (question < 0) {
      return jdbcUrl;
    }
    StringJoiner rest = new StringJoiner("&", "?", "").setEmptyValue("");
    for (String one : jdbcUrl.substring(question + 1).split("&", -1)) {
      int eq = one.indexOf('=');
      String name = eq < 0 ? one : one.substring(0, eq);
      if (!more.contains(name) && !isOfStatements(name, eq < 0 ? "" : one.substring(eq + 1))) {
        rest.add(one);
      }
    }
    return jdbcUrl.substring(0, question) + rest;
  }

  /** Whether an option of the driver's says how the application's statements are sent. */
  public static boolean isOfStatements(String name, String value) {
    return OF_STATEMENTS.contains(name)
        // 0 is for poolers between, -1 has all that the driver knows sent in binary form
        || name.equals("prepareThreshold") && value.startsWith("-");
  }

  /** The user's name, or null. */
  public String user() {
    return user;
  }

  /** The password, or null. */
  public String password() {
    return password;
  }

  /** The same place with another user and password; what is null stays. */
  public PgUri withCredentials(String newUser, String newPassword) {
    return new PgUri(
        jdbcUrl, newUser == null ? user : newUser, newPassword == null ? password : newPassword);
  }

  /** User and password, as far as they are known, under the names that a driver expects. */
  public Properties credentials() {
    Properties p = new Properties();
    if (user != null) {
      p.setProperty("user", user);
    }
    if (password != null) {
      p.setProperty("password", password);
    }
    return p;
  }

  @Override
  public boolean equals(Object o) {
    return o instanceof PgUri p
        && jdbcUrl.equals(p.jdbcUrl)
        && Objects.equals(user, p.user)
        && Objects.equals(password, p.password);
  }

  @Override
  public int hashCode() {
    return Objects.hash(jdbcUrl, user, password);
  }

  /** The JDBC URL without secrets. */
  @Override
  public String toString() {
    return mask(jdbcUrl);
  }
}
