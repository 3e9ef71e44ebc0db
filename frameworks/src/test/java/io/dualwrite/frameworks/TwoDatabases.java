package io.dualwrite.frameworks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.config.Setting;
import io.dualwrite.embedded.PgPair;
import io.dualwrite.jdbc.DualWriteDataSource;
import io.dualwrite.jdbc.Status;
import java.io.IOException;
import java.nio.file.Files;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import javax.sql.DataSource;
import org.postgresql.ds.PGSimpleDataSource;

/**
 * Two fresh databases, the DataSource that writes to both, and a comparison of rows and definitions
 * that knows nothing of the product's own.
 *
 * <p>With the system property {@code frameworks.plain} set to true the applications run on the
 * source alone, without dualwrite: a test that fails there too is itself wrong.
 */
final class TwoDatabases implements AutoCloseable {

  static final boolean PLAIN = Boolean.getBoolean("frameworks.plain");

  /** The application's own schemas. */
  private static final String MINE =
      " n.nspname not in ('pg_catalog','information_schema','pg_toast','dualwrite')"
          + " and n.nspname not like 'pg_temp%' and n.nspname not like 'pg_toast_temp%' ";

  /**
   * Everything that makes up a schema, one definition a line; what a sequence has reached is no
   * part of it.
   */
  private static final String DEFINITIONS =
      """
      select 'schema '||n.nspname||' '||coalesce(n.nspacl::text,'') from pg_namespace n where MINE
      union all
      select 'relation '||c.oid::regclass||' '||concat(c.relkind,c.relpersistence)||' '||coalesce(c.relacl::text,'')
             ||' '||coalesce(array_to_string(c.reloptions,','),'')||' '||coalesce(obj_description(c.oid),'')
             ||' '||coalesce(case when c.relkind in ('v','m') then pg_get_viewdef(c.oid) end,'')
             ||' '||coalesce(pg_get_partkeydef(c.oid),'')||' '||coalesce(pg_get_expr(c.relpartbound,c.oid),'')
        from pg_class c join pg_namespace n on n.oid=c.relnamespace where MINE
      union all
      select 'column '||c.oid::regclass||' '||a.attnum||' '||a.attname||' '||format_type(a.atttypid,a.atttypmod)||' '||a.attnotnull
             ||' '||concat(a.attidentity,a.attgenerated)||' '||coalesce(pg_get_expr(d.adbin,d.adrelid),'')
             ||' '||coalesce(col_description(c.oid,a.attnum),'')
        from pg_attribute a join pg_class c on c.oid=a.attrelid join pg_namespace n on n.oid=c.relnamespace
        left join pg_attrdef d on d.adrelid=a.attrelid and d.adnum=a.attnum
       where a.attnum>0 and not a.attisdropped and c.relkind in ('r','p','v','m','f') and MINE
      union all
      select 'constraint '||c.conrelid::regclass||' '||c.conname||' '||pg_get_constraintdef(c.oid)||' '||c.convalidated
        from pg_constraint c join pg_namespace n on n.oid=c.connamespace where MINE
      union all
      select 'index '||pg_get_indexdef(i.indexrelid)||' '||i.indisvalid
        from pg_index i join pg_class c on c.oid=i.indexrelid join pg_namespace n on n.oid=c.relnamespace where MINE
      union all
      select 'sequence '||s.seqrelid::regclass||' '||concat_ws(' ',format_type(s.seqtypid,null),s.seqstart,s.seqincrement,s.seqmin,s.seqmax,s.seqcache,s.seqcycle)
             ||' owned by '||coalesce((select d.refobjid::regclass||'.'||d.refobjsubid from pg_depend d where d.objid=s.seqrelid and d.classid='pg_class'::regclass and d.deptype in ('a','i')),'nobody')
        from pg_sequence s join pg_class c on c.oid=s.seqrelid join pg_namespace n on n.oid=c.relnamespace where MINE
      union all
      select 'routine '||case when p.prokind in ('f','p') then pg_get_functiondef(p.oid) else p.oid::regprocedure::text end
        from pg_proc p join pg_namespace n on n.oid=p.pronamespace where MINE
      union all
      select 'trigger '||pg_get_triggerdef(t.oid) from pg_trigger t join pg_class c on c.oid=t.tgrelid
        join pg_namespace n on n.oid=c.relnamespace where not t.tgisinternal and MINE
      union all
      select 'type '||t.typname||concat(' ',t.typtype,' ')||coalesce((select string_agg(e.enumlabel,',' order by e.enumsortorder) from pg_enum e where e.enumtypid=t.oid),'')
        from pg_type t join pg_namespace n on n.oid=t.typnamespace where t.typtype in ('e','d') and MINE
      union all
      select 'extension '||e.extname||' '||e.extversion from pg_extension e
      order by 1
      """
          .replace("MINE", MINE);

  final PgPair pair = PgPair.shared();
  private final List<DualWriteDataSource> writers = new ArrayList<>();

  /** Both databases with the application's schema on them, restored past dualwrite. */
  static TwoDatabases with(String ddl) throws SQLException {
    TwoDatabases d = new TwoDatabases();
    d.pair.execute(ddl);
    return d;
  }

  /** Both databases, empty. */
  static TwoDatabases empty() {
    return new TwoDatabases();
  }

  /** The DataSource of one more process of the application, with a journal of its own. */
  DataSource process() {
    if (PLAIN) {
      PGSimpleDataSource plain = new PGSimpleDataSource();
      plain.setUrl(pair.sourceUrl());
      plain.setUser("postgres");
      plain.setPassword("postgres");
      return plain;
    }
    try {
      DualWriteDataSource ds =
          DualWriteDataSource.builder()
              .source(pair.sourceUrl(), "postgres", "postgres")
              .target(pair.targetUrl(), "postgres", "postgres")
              .journal(Files.createTempDirectory("dualwrite-journal"))
              .set(Setting.JOURNAL_MIN_FREE_BYTES, "1MB")
              .build();
      writers.add(ds);
      return ds;
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  /**
   * Waits until the target has what was written: what is replayed after statements may be suspect.
   */
  void caughtUp() throws SQLException {
    for (DualWriteDataSource w : writers) {
      assertTrue(w.drain(Duration.ofSeconds(60)), () -> "not drained: " + w.status());
    }
  }

  /**
   * Drains, asks for nothing left over, then compares every definition and every row: each write
   * was captured as it happened.
   */
  void assertEqual() throws Exception {
    assertEqual(false);
  }

  /**
   * As {@link #assertEqual()}, but some of what was written inside the server, or to tables without
   * a key, may have made tables suspects, which dualwrite closes in the background.
   */
  void assertEqualOnceReconciled() throws Exception {
    assertEqual(true);
  }

  private void assertEqual(boolean suspects) throws Exception {
    if (PLAIN) {
      return;
    }
    for (DualWriteDataSource ds : writers) {
      assertTrue(ds.drain(Duration.ofSeconds(60)), () -> "not drained: " + ds.status());
      if (suspects) {
        await("suspects closed", () -> ds.status().suspects().isEmpty());
      }
    }
    for (DualWriteDataSource ds : writers) {
      Status s = ds.status();
      assertEquals(List.of(), s.parked());
      assertEquals(List.of(), s.suspects());
      s.counters()
          .forEach(
              (name, n) -> {
                if (name.startsWith("refused")
                    || name.startsWith("primary-only")
                    || name.equals("suspects.opened") && !suspects) {
                  assertEquals(0, n, name);
                }
              });
    }
    try (Connection s = pair.source();
        Connection t = pair.target()) {
      assertEquals(
          String.join("\n", column(s, DEFINITIONS)), String.join("\n", column(t, DEFINITIONS)));
      assertEquals(rows(s), rows(t));
    }
  }

  /** Every row of every table of the source, as text: what the application has stored. */
  Map<String, List<String>> rows() throws SQLException {
    try (Connection s = pair.source()) {
      return rows(s);
    }
  }

  /** The first column of a query on the source, past dualwrite, as text. */
  List<String> stored(String query) throws SQLException {
    try (Connection s = pair.source()) {
      return column(s, query);
    }
  }

  private static Map<String, List<String>> rows(Connection c) throws SQLException {
    Map<String, List<String>> all = new TreeMap<>();
    for (String t :
        column(
            c,
            "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid=c.relnamespace"
                + " where c.relkind='r' and "
                + MINE)) {
      all.put(t, column(c, "select x::text from " + t + " x order by x::text collate \"C\""));
    }
    return all;
  }

  private static List<String> column(Connection c, String query) throws SQLException {
    List<String> all = new ArrayList<>();
    try (Statement s = c.createStatement();
        ResultSet r = s.executeQuery(query)) {
      while (r.next()) {
        all.add(r.getString(1));
      }
    }
    return all;
  }

  static void await(String what, Callable<Boolean> condition) throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (!condition.call()) {
      assertTrue(System.nanoTime() < end, "waited in vain for: " + what);
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(5));
    }
  }

  @Override
  public void close() {
    writers.forEach(DualWriteDataSource::close);
    pair.close();
  }
}
