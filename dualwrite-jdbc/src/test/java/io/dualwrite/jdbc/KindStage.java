package io.dualwrite.jdbc;

import io.dualwrite.config.Setting;
import io.dualwrite.embedded.PgPair;
import io.dualwrite.embedded.TcpProxy;
import io.dualwrite.journal.Suspect;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Three databases of one major version: one for the driver alone, a source and a target; a
 * DataSource over the latter two, which reaches the target through a proxy; and what it takes to
 * run a {@link Kind} on them.
 */
final class KindStage implements AutoCloseable {

  /** In what circumstances a kind runs. */
  enum Variant {
    /** As Statements, in autocommit. */
    STATEMENT,
    /** As PreparedStatements, in a transaction. */
    PREPARED_IN_TRANSACTION,
    /** In a savepoint that is rolled back, and then again. */
    AGAIN_AFTER_SAVEPOINT,
    /** As PreparedStatements in autocommit, while the mirror has none of the rows. */
    MIRROR_EMPTY,
    /** As Statements in a transaction, while the target is away. */
    TARGET_AWAY
  }

  private static final Duration PATIENCE = Duration.ofSeconds(20);

  private final int major;
  private final PgPair pair;
  private final PgPair apart;
  private final TcpProxy proxy;
  private final Connection alone;
  private final Connection source;
  private final Connection target;
  private final Map<String, String> dumps = new HashMap<>();
  private DualWriteDataSource ds;
  private int number;

  KindStage(int major) throws SQLException {
    this.major = major;
    pair = PgPair.shared(major);
    apart = PgPair.shared(major);
    proxy = new TcpProxy("localhost", pair.targetServer().port());
    alone = apart.source();
    source = pair.source();
    target = pair.target();
    for (Connection c : List.of(alone, source, target)) {
      execute(c, "set synchronous_commit = off");
      execute(c, "set client_min_messages = warning");
      execute(c, KindTables.DDL);
    }
    open();
  }

  private void open() throws SQLException {
    if (ds != null) {
      ds.close();
    }
    try {
      ds =
          DualWriteDataSource.builder()
              .source(pair.sourceUrl(), "postgres", "postgres")
              .target(
                  "jdbc:postgresql://localhost:" + proxy.port() + "/" + pair.database(),
                  "postgres",
                  "postgres")
              .journal(Files.createTempDirectory("dualwrite-kinds"))
              .set(Setting.JOURNAL_MIN_FREE_BYTES, "1MB")
              .set(Setting.MIRROR_CONNECTION_TIMEOUT, "2s")
              .set(Setting.MIRROR_FLUSH_TIMEOUT, "5s")
              .build();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Fixture.await("catalogs compared", () -> ds.writer().ready());
  }

  private static void execute(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement()) {
      s.execute(sql);
    }
  }

  /**
   * Runs a kind in a variant.
   *
   * @return null if everything is as promised, else what is not
   */
  String run(Kind kind, Variant variant) throws Exception {
    String schema = kind.in;
    if (kind.ddl != null) {
      schema = "k" + ++number;
    }
    List<Connection> all = List.of(alone, source, target);
    String prepare =
        kind.ddl == null
            ? KindTables.reset(schema)
            : "create schema " + schema + ";" + kind.ddl.replace("§", schema + ".");
    try {
      for (Connection c : all) {
        execute(c, prepare);
      }
    } catch (SQLException e) {
      if (kind.ddl != null) {
        throw e;
      }
      // a kind before this one has lost a table
      for (Connection c : all) {
        execute(c, "drop schema public cascade; drop schema ty cascade; create schema public");
        execute(c, KindTables.DDL);
        execute(c, prepare);
      }
      dumps.clear();
      open();
    }
    if (kind.ddl != null) {
      execute(target, KindTables.TRIGGERS_OFF.replace("$SCHEMA", "'" + schema + "'"));
    }
    boolean clean = false;
    try {
      if (variant == Variant.MIRROR_EMPTY) {
        empty(schema);
      }
      List<String> before = rows(source, schema, false);
      App expected;
      try (Connection c = apart.source()) {
        expected = observe(c, kind, variant, schema);
      }
      if (variant == Variant.TARGET_AWAY) {
        ds.writer().breaker.transitionToForcedOpenState(); // no time is lost on finding out
        proxy.refuse();
        proxy.cut();
      }
      App actual;
      try (Connection c = ds.getConnection()) {
        actual = observe(c, kind, variant, schema);
      } finally {
        if (variant == Variant.TARGET_AWAY) {
          proxy.resume();
          ds.writer().breaker.transitionToClosedState();
        }
      }
      String problem = judge(kind, variant, schema, before, expected, actual);
      Status after = ds.status();
      clean = after.pending() == 0 && after.parked().isEmpty() && after.suspects().isEmpty();
      return problem;
    } finally {
      if (!clean) {
        open();
      }
      if (kind.ddl != null) {
        for (Connection c : all) {
          execute(c, "drop schema if exists " + schema + " cascade");
        }
      }
    }
  }

  private void empty(String schema) throws SQLException {
    StringBuilder b = new StringBuilder();
    for (String t : tables(target, schema)) {
      b.append(b.isEmpty() ? "truncate " : ", ").append(t);
    }
    while (!b.isEmpty()) {
      try {
        execute(target, b + " cascade");
        return;
      } catch (SQLException e) {
        if (!"40P01".equals(e.getSQLState())) { // what the kind before left is still brought over
          throw e;
        }
      }
    }
  }

  private App observe(Connection c, Kind kind, Variant variant, String schema) throws Exception {
    boolean prepared =
        variant == Variant.PREPARED_IN_TRANSACTION || variant == Variant.MIRROR_EMPTY;
    App a = new App(c, prepared, schema);
    boolean transaction =
        kind.transactional && variant != Variant.STATEMENT && variant != Variant.MIRROR_EMPTY;
    a.attempt(
        x -> {
          if (!transaction) {
            kind.body.run(a);
            return;
          }
          c.setAutoCommit(false);
          if (variant == Variant.AGAIN_AFTER_SAVEPOINT) {
            var savepoint = c.setSavepoint();
            kind.body.run(a);
            c.rollback(savepoint);
          }
          kind.body.run(a);
        });
    if (transaction) {
      a.attempt(x -> c.commit());
      a.attempt(x -> c.setAutoCommit(true));
    }
    a.attempt(
        x -> a.see("autocommit " + c.getAutoCommit() + " warnings " + (c.getWarnings() != null)));
    return a;
  }

  private String judge(
      Kind kind, Variant variant, String schema, List<String> before, App expected, App actual)
      throws Exception {
    Kind.Mode mode = kind.promise(major, variant);
    if (mode == Kind.Mode.REFUSED) {
      boolean refused =
          actual.seen.stream().anyMatch(s -> s.contains("0AD01") && s.contains("dualwrite"));
      if (!refused) {
        return "IS NOT REFUSED: " + actual.seen;
      }
      return difference("WRITTEN THOUGH REFUSED", before, rows(source, schema, false));
    }
    if (!kind.fails && expected.sawError()) {
      return "THE ROW ITSELF IS WRONG: " + expected.seen;
    }
    for (String s : actual.seen) {
      if (s.contains("dualwrite refuses")) {
        return "REFUSED: " + s;
      }
    }
    String observed = difference("OBSERVED", expected.seen, actual.seen);
    if (observed != null) {
      return observed;
    }
    boolean drained = ds.drain(PATIENCE);
    Status status = ds.status();
    if (!drained) {
      return "NOT DRAINED: pending "
          + status.pending()
          + ", parked "
          + status.parked().stream().map(p -> p.error()).toList();
    }
    List<Suspect> suspects = status.suspects();
    if (!suspects.isEmpty()) {
      if (mode == Kind.Mode.EXACT) {
        return "SUSPECT: " + suspects.stream().map(s -> s.table() + ": " + s.reason()).toList();
      }
      try {
        ds.reconcile();
      } catch (SQLException e) {
        return "NOT RECONCILED: " + e.getMessage();
      }
      if (!ds.status().suspects().isEmpty()) {
        return "SUSPECTS STAY OPEN: " + ds.status().suspects();
      }
    }
    String primary = difference("PRIMARY", rows(alone, schema, true), rows(source, schema, true));
    if (primary != null) {
      return primary;
    }
    List<String> here = rows(source, schema, false);
    List<String> there = rows(target, schema, false);
    String mirror = null;
    if (variant != Variant.MIRROR_EMPTY) {
      mirror = difference("MIRROR", here, there);
    } else {
      // what was written is there, and nothing else; DDL changes how rows look that nobody wrote
      List<String> written = minus(here, before);
      List<String> missing = minus(written, there);
      List<String> surplus = minus(there, here);
      if (!missing.isEmpty() && !kind.cascades && !kind.structure || !surplus.isEmpty()) {
        mirror = "MIRROR lacks " + missing + ", has besides " + surplus;
      }
    }
    if (mirror != null) {
      return mirror;
    }
    return kind.structure
        ? difference("STRUCTURE", structure(source, schema), structure(target, schema))
        : null;
  }

  private static String difference(String what, List<String> expected, List<String> actual) {
    if (expected.equals(actual)) {
      return null;
    }
    List<String> missing = minus(expected, actual);
    List<String> surplus = minus(actual, expected);
    return what
        + (missing.isEmpty() && surplus.isEmpty()
            ? " in another order: " + actual + " instead of " + expected
            : " lacks " + missing + ", has instead " + surplus);
  }

  private static List<String> minus(List<String> a, List<String> b) {
    List<String> rest = new ArrayList<>(a);
    b.forEach(rest::remove);
    return rest;
  }

  // ---- what a database holds

  private static List<String> tables(Connection c, String schema) throws SQLException {
    return strings(
        c,
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = '"
            + schema
            + "' and c.relkind = 'r' order by 1");
  }

  private static List<String> strings(Connection c, String sql) throws SQLException {
    List<String> all = new ArrayList<>();
    try (Statement s = c.createStatement();
        ResultSet r = s.executeQuery(sql)) {
      while (r.next()) {
        all.add(r.getString(1));
      }
    }
    return all;
  }

  /**
   * Every row of a schema as text.
   *
   * @param apart for the comparison of two primaries: without what differs from run to run, and
   *     with sequences, which are the primary's alone
   */
  private List<String> rows(Connection c, String schema, boolean apart) throws SQLException {
    boolean fixed = schema.equals("public") || schema.equals("ty");
    String sql = fixed ? dumps.get(schema + apart) : null;
    if (sql == null) {
      String row =
          apart
              ? "(to_jsonb(whole) - array["
                  + App.VOLATILE.stream().sorted().collect(Collectors.joining("','", "'", "'"))
                  + "])::text"
              : "whole::text";
      List<String> parts = new ArrayList<>();
      for (String t : tables(c, schema)) {
        parts.add(
            "select '"
                + t.replace("'", "''")
                + ": ' || "
                + row
                + " as r from only "
                + t
                + " whole");
      }
      if (apart) {
        for (String s :
            strings(
                c,
                "select format('%I.%I', schemaname, sequencename) from pg_sequences where schemaname = '"
                    + schema
                    + "'")) {
          parts.add(
              "select '"
                  + s.replace("'", "''")
                  + ": ' || last_value || ' ' || is_called from "
                  + s);
        }
      }
      if (parts.isEmpty()) {
        return List.of();
      }
      sql = "select r from (" + String.join(" union all ", parts) + ") x order by r collate \"C\"";
      if (fixed) {
        dumps.put(schema + apart, sql);
      }
    }
    return strings(c, sql);
  }

  private static List<String> structure(Connection c, String schema) throws SQLException {
    return strings(c, KindTables.STRUCTURE.replace("$SCHEMA", "'" + schema + "'"));
  }

  @Override
  public void close() throws SQLException {
    ds.close();
    proxy.close();
    alone.close();
    source.close();
    target.close();
  }

  @Override
  public String toString() {
    return "PostgreSQL " + major;
  }
}
