package io.dualwrite.backfill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.fail;

import io.dualwrite.catalog.TableName;
import io.dualwrite.embedded.PgPair;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** What the tests share. Compares databases without any of the product's code for it. */
final class Check {

  private Check() {}

  static Backfill backfill(PgPair pair) {
    return backfill(pair, Steps.NONE);
  }

  static Backfill backfill(PgPair pair, Steps steps) {
    return Backfill.builder()
        .source(pair.sourceUrl(), pair.sourceServer().user(), pair.sourceServer().password())
        .target(pair.targetUrl(), pair.targetServer().user(), pair.targetServer().password())
        .build(steps);
  }

  /** Every row of a table as text, sorted: a multiset. */
  static List<String> rows(Connection c, String table) throws SQLException {
    List<String> result = new ArrayList<>();
    try (Statement s = c.createStatement()) {
      s.execute(
          "set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set extra_float_digits = 3; set intervalstyle = 'postgres'");
      try (ResultSet names =
          s.executeQuery(
              "select string_agg(quote_ident(attname), ', ' order by attname) from pg_attribute where attrelid = '"
                  + table.replace("'", "''")
                  + "'::regclass and attnum > 0 and not attisdropped")) {
        names.next();
        String columns = names.getString(1);
        try (Statement q = c.createStatement();
            ResultSet r = q.executeQuery("select row(" + columns + ")::text from " + table)) {
          while (r.next()) {
            result.add(r.getString(1));
          }
        }
      }
    }
    Collections.sort(result);
    return result;
  }

  /** The tables that hold the users' rows, by the source's catalog. */
  static List<String> tables(PgPair pair) throws SQLException {
    List<String> result = new ArrayList<>();
    try (Connection c = pair.source();
        Statement s = c.createStatement();
        ResultSet r =
            s.executeQuery(
                "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r','p')"
                    + " and not c.relispartition and n.nspname not in ('pg_catalog','information_schema') order by 1, 2")) {
      while (r.next()) {
        result.add(new TableName(r.getString(1), r.getString(2)).sql());
      }
    }
    return result;
  }

  static void assertEqual(PgPair pair) throws SQLException {
    assertEqual(pair, "");
  }

  static void assertEqual(PgPair pair, String what) throws SQLException {
    try (Connection s = pair.source();
        Connection t = pair.target()) {
      for (String table : tables(pair)) {
        List<String> mine = rows(s, table);
        List<String> theirs = rows(t, table);
        if (!mine.equals(theirs)) {
          List<String> missing = new ArrayList<>(mine);
          theirs.forEach(missing::remove);
          List<String> extra = new ArrayList<>(theirs);
          mine.forEach(extra::remove);
          fail(
              what
                  + table
                  + ": "
                  + missing.size()
                  + " missing "
                  + missing.stream().limit(5).toList()
                  + ", "
                  + extra.size()
                  + " extra "
                  + extra.stream().limit(5).toList());
        }
      }
    }
  }

  static String value(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement();
        ResultSet r = s.executeQuery(sql)) {
      r.next();
      return r.getString(1);
    }
  }

  static String source(PgPair pair, String sql) throws SQLException {
    try (Connection c = pair.source()) {
      return value(c, sql);
    }
  }

  static String target(PgPair pair, String sql) throws SQLException {
    try (Connection c = pair.target()) {
      return value(c, sql);
    }
  }

  static void execute(Connection c, String sql) throws SQLException {
    try (Statement s = c.createStatement()) {
      s.execute(sql);
    }
  }

  interface Condition {
    boolean holds() throws Exception;
  }

  /** Waits for something that will come, or fails after half a minute. */
  static void await(String what, Condition condition) throws Exception {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (!condition.holds()) {
      if (System.nanoTime() - deadline > 0) {
        fail("waited 30 s for: " + what);
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(10));
    }
  }

  static void copyAll(Backfill b) {
    CopyResult r = b.copy(CopyOptions.defaults(), Progress.none());
    assertEquals(List.of(), r.failed());
    assertEquals(0, r.left());
  }
}
