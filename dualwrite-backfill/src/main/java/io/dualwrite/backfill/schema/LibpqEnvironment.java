package io.dualwrite.backfill.schema;

import io.dualwrite.config.PgUri;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.postgresql.Driver;
import org.postgresql.PGProperty;

/** A connection string as the environment of a program that uses libpq. */
final class LibpqEnvironment {

  private static final Map<String, PGProperty> SAME =
      Map.of(
          "PGHOST", PGProperty.PG_HOST,
          "PGPORT", PGProperty.PG_PORT,
          "PGDATABASE", PGProperty.PG_DBNAME,
          "PGSSLMODE", PGProperty.SSL_MODE,
          "PGSSLROOTCERT", PGProperty.SSL_ROOT_CERT,
          "PGSSLCERT", PGProperty.SSL_CERT,
          "PGOPTIONS", PGProperty.OPTIONS,
          "PGGSSENCMODE", PGProperty.GSS_ENC_MODE,
          "PGCHANNELBINDING", PGProperty.CHANNEL_BINDING,
          "PGKRBSRVNAME", PGProperty.KERBEROS_SERVER_NAME);

  private LibpqEnvironment() {}

  static Map<String, String> of(PgUri uri) {
    Properties p = Driver.parseURL(uri.jdbcUrl(), new Properties());
    Map<String, String> result = new HashMap<>();
    SAME.forEach(
        (name, property) -> {
          String v = p.getProperty(property.getName());
          if (v != null) {
            result.put(name, v);
          }
        });
    result.computeIfPresent(
        "PGHOST", (name, hosts) -> hosts.replaceAll("[\\[\\]]", "")); // of IPv6, as in a URL
    if (uri.user() != null) {
      result.put("PGUSER", uri.user());
      result.putIfAbsent("PGDATABASE", uri.user());
    }
    if (uri.password() != null) {
      result.put("PGPASSWORD", uri.password());
    }
    String ssl = p.getProperty(PGProperty.SSL.getName());
    if (ssl != null && (ssl.isEmpty() || ssl.equals("true"))) {
      result.putIfAbsent("PGSSLMODE", "verify-full"); // what pgjdbc makes of it
    }
    // pgjdbc reads keys in DER, libpq in PEM: only what can be one is passed on
    String key = p.getProperty(PGProperty.SSL_KEY.getName());
    if (key != null && !key.endsWith(".pk8") && !key.endsWith(".p12")) {
      result.put("PGSSLKEY", key);
    }
    String server = p.getProperty(PGProperty.TARGET_SERVER_TYPE.getName());
    if ("primary".equals(server) || "master".equals(server)) {
      result.put("PGTARGETSESSIONATTRS", "read-write");
    }
    result.put("PGAPPNAME", "dualwrite");
    result.put("PGCONNECT_TIMEOUT", "10");
    return result;
  }
}
