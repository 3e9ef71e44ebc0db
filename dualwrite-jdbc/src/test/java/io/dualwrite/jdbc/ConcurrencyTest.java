package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.config.Setting;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Many connections that write the same rows at once. None of these workloads gives an error on the
 * driver alone, so none may here; and while the mirror is well, commits bring it their writes
 * themselves and leave next to nothing to the replayer.
 */
@Timeout(120)
class ConcurrencyTest {

  private static final int THREADS = 8;

  /** Deadlines that are about the other threads, not about a slow machine. */
  private static Fixture open(int major, String ddl) throws SQLException {
    return Fixture.shared(
            major,
            ddl,
            b ->
                b.set(Setting.MIRROR_CONNECTION_TIMEOUT, "20s")
                    .set(Setting.MIRROR_FLUSH_TIMEOUT, "20s")
                    .set(Setting.MIRROR_LOCK_TIMEOUT, "10s")
                    .set(Setting.BREAKER_SLOW_CALL, "20s")
                    .set(Setting.MIRROR_POOL_SIZE, "20"))
        .ready();
  }

  /** What one thread does with its connection. */
  @FunctionalInterface
  private interface Work {
    void run(Connection c, int thread, Random random) throws Exception;
  }

  /** Runs the work in threads that begin together; the first error ends the test. */
  private static void run(Fixture f, int threads, Work work) throws Exception {
    long seed = System.nanoTime();
    System.out.println("seed " + seed);
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    try {
      CountDownLatch begin = new CountDownLatch(threads);
      List<Callable<Void>> tasks = new ArrayList<>();
      for (int i = 0; i < threads; i++) {
        int n = i;
        tasks.add(
            () -> {
              try (Connection c = f.connect()) {
                begin.countDown();
                begin.await();
                work.run(c, n, new Random(seed + n));
              }
              return null;
            });
      }
      for (Future<Void> done : pool.invokeAll(tasks, 100, TimeUnit.SECONDS)) {
        done.get();
      }
    } finally {
      pool.shutdownNow();
    }
  }

  private static void assertEqualAndDirect(Fixture f) throws SQLException {
    f.assertEqual();
    assertEquals(List.of(), f.ds.status().suspects());
    long units = f.counter("units");
    long direct = f.counter("units.direct");
    assertTrue(direct > 0.95 * units, () -> direct + " of " + units + ": " + f.ds.status());
  }

  private static int number(Fixture f, String sql) throws SQLException {
    try (Connection c = f.pair.source();
        Statement s = c.createStatement();
        ResultSet r = s.executeQuery(sql)) {
      assertTrue(r.next());
      return r.getInt(1);
    }
  }

  @ParameterizedTest
  @MethodSource("io.dualwrite.embedded.PgServer#majors")
  void incrementsOfHotRows(int major) throws Exception {
    try (Fixture f =
        open(
            major,
            "create table hot(id int primary key, n int, at timestamptz); insert into hot values (1, 0), (2, 0)")) {
      int times = 60;
      run(
          f,
          THREADS,
          (c, thread, random) -> {
            try (PreparedStatement s =
                c.prepareStatement(
                    "update hot set n = n + 1, at = clock_timestamp() where id = ?")) {
              for (int i = 0; i < times; i++) {
                s.setInt(1, 1 + random.nextInt(2));
                assertEquals(1, s.executeUpdate());
              }
            }
          });
      assertEquals(THREADS * times, number(f, "select sum(n) from hot"));
      assertEqualAndDirect(f);
    }
  }

  @ParameterizedTest
  @MethodSource("io.dualwrite.embedded.PgServer#majors")
  void upsertsAndDeletesOfFewKeys(int major) throws Exception {
    try (Fixture f =
        open(
            major,
            "create table few(id int primary key, n int, who text, at timestamptz default clock_timestamp())")) {
      run(
          f,
          THREADS,
          (c, thread, random) -> {
            try (PreparedStatement upsert =
                    c.prepareStatement(
                        "insert into few(id, n, who) values (?, 1, ?) on conflict (id) do update set n = few.n + 1, who = excluded.who");
                PreparedStatement delete = c.prepareStatement("delete from few where id = ?");
                PreparedStatement update =
                    c.prepareStatement("update few set n = n * 2 where id between ? and ?")) {
              for (int i = 0; i < 60; i++) {
                c.setAutoCommit(random.nextBoolean());
                // several rows in the order of their keys, so that the primary knows no deadlock
                int statements = c.getAutoCommit() ? 1 : 3;
                int[] ids = random.ints(statements, 0, 8).sorted().toArray();
                for (int id : ids) {
                  switch (random.nextInt(4)) {
                    case 0 -> {
                      delete.setInt(1, id);
                      delete.executeUpdate();
                    }
                    case 1 -> {
                      update.setInt(1, id);
                      update.setInt(2, id);
                      update.executeUpdate();
                    }
                    default -> {
                      upsert.setInt(1, id);
                      upsert.setString(2, "thread " + thread);
                      upsert.executeUpdate();
                    }
                  }
                }
                if (!c.getAutoCommit()) {
                  if (random.nextInt(5) == 0) {
                    c.rollback();
                  } else {
                    c.commit();
                  }
                }
              }
            }
          });
      assertEqualAndDirect(f);
    }
  }

  @ParameterizedTest
  @MethodSource("io.dualwrite.embedded.PgServer#majors")
  void childrenOfParentsThatAnotherConnectionJustCommitted(int major) throws Exception {
    try (Fixture f =
        open(
            major,
            "create table parent(id serial primary key, v int); create table child(id serial primary key, parent int references parent on delete cascade, v int)")) {
      int each = 40;
      BlockingQueue<Integer> parents = new LinkedBlockingQueue<>();
      run(
          f,
          THREADS,
          (c, thread, random) -> {
            for (int i = 0; i < each; i++) {
              if (thread % 2 == 0) {
                try (PreparedStatement s =
                        c.prepareStatement("insert into parent(v) values (?) returning id");
                    ResultSet r = query(s, i)) {
                  assertTrue(r.next());
                  parents.add(r.getInt(1));
                }
              } else {
                Integer parent = parents.poll(60, TimeUnit.SECONDS);
                try (PreparedStatement s =
                    c.prepareStatement("insert into child(parent, v) values (?, ?), (?, ?)")) {
                  s.setInt(1, parent);
                  s.setInt(2, i);
                  s.setInt(3, parent);
                  s.setInt(4, -i);
                  assertEquals(2, s.executeUpdate());
                }
                if (i % 7 == 0) {
                  try (PreparedStatement s =
                      c.prepareStatement("delete from parent where id = ?")) {
                    s.setInt(1, parent);
                    assertEquals(1, s.executeUpdate());
                  }
                }
              }
            }
          });
      assertEqualAndDirect(f);
    }
  }

  private static ResultSet query(PreparedStatement s, int value) throws SQLException {
    s.setInt(1, value);
    return s.executeQuery();
  }

  @ParameterizedTest
  @MethodSource("io.dualwrite.embedded.PgServer#majors")
  void swapsOfUniqueValues(int major) throws Exception {
    try (Fixture f =
        open(
            major,
            "create table seat(id int primary key, place int unique, rank int unique deferrable initially deferred);"
                + " insert into seat select g, g, g from generate_series(1, 10) g")) {
      run(
          f,
          THREADS,
          (c, thread, random) -> {
            c.setAutoCommit(false);
            try (PreparedStatement lock =
                    c.prepareStatement(
                        "select id, place from seat where id in (?, ?) order by id for update");
                PreparedStatement rank =
                    c.prepareStatement(
                        "update seat s set rank = o.rank from seat o where s.id in (?, ?) and o.id in (?, ?) and o.id <> s.id");
                PreparedStatement place =
                    c.prepareStatement("update seat set place = ? where id = ?")) {
              for (int i = 0; i < 30; i++) {
                int a = 1 + random.nextInt(10);
                int b = 1 + (a + random.nextInt(9)) % 10;
                lock.setInt(1, a);
                lock.setInt(2, b);
                int[] places = new int[11];
                try (ResultSet r = lock.executeQuery()) {
                  while (r.next()) {
                    places[r.getInt(1)] = r.getInt(2);
                  }
                }
                if (random.nextBoolean()) {
                  rank.setInt(1, a);
                  rank.setInt(2, b);
                  rank.setInt(3, a);
                  rank.setInt(4, b);
                  assertEquals(2, rank.executeUpdate());
                } else {
                  for (int[] change :
                      new int[][] {{-thread - 1, a}, {places[a], b}, {places[b], a}}) {
                    place.setInt(1, change[0]);
                    place.setInt(2, change[1]);
                    assertEquals(1, place.executeUpdate());
                  }
                }
                c.commit();
              }
            }
          });
      assertEquals(55, number(f, "select sum(place) from seat"));
      assertEquals(55, number(f, "select sum(rank) from seat"));
      assertEqualAndDirect(f);
    }
  }

  @ParameterizedTest
  @MethodSource("io.dualwrite.embedded.PgServer#majors")
  void queueWorkersAndKeylessRows(int major) throws Exception {
    try (Fixture f =
        open(
            major,
            "create table job(id serial primary key, state text default 'new', taken_by int, at timestamptz); create table done(job int, at timestamptz default clock_timestamp());"
                + " insert into job(state) select 'new' from generate_series(1, 200)")) {
      AtomicInteger taken = new AtomicInteger();
      run(
          f,
          THREADS + 4,
          (c, thread, random) -> {
            c.setAutoCommit(false);
            try (PreparedStatement take =
                    c.prepareStatement(
                        "update job set state = 'taken', taken_by = ?, at = now() where id = (select id from job where state = 'new' order by id limit 1 for update skip locked) returning id");
                PreparedStatement note = c.prepareStatement("insert into done(job) values (?)")) {
              while (true) {
                int id;
                try (ResultSet r = query(take, thread)) {
                  if (!r.next()) {
                    c.commit();
                    return;
                  }
                  id = r.getInt(1);
                }
                note.setInt(1, id);
                note.executeUpdate();
                c.commit();
                taken.incrementAndGet();
              }
            }
          });
      assertEquals(200, taken.get());
      assertEquals(200, number(f, "select count(distinct job) from done"));
      assertEqualAndDirect(f);
    }
  }

  @ParameterizedTest
  @MethodSource("io.dualwrite.embedded.PgServer#majors")
  void keyChangesOfRowsThatOthersUpdate(int major) throws Exception {
    try (Fixture f =
        open(
            major,
            "create table k(id int primary key, n int); insert into k select g, 0 from generate_series(1, 4) g")) {
      AtomicInteger[] updated = {new AtomicInteger()};
      run(
          f,
          THREADS,
          (c, thread, random) -> {
            try (PreparedStatement move =
                    c.prepareStatement("update k set id = id + 100 where id = ?");
                PreparedStatement back =
                    c.prepareStatement("update k set id = id - 100 where id = ?");
                PreparedStatement count =
                    c.prepareStatement("update k set n = n + 1 where id = ? or id = ?")) {
              for (int i = 0; i < 40; i++) {
                int id = 1 + random.nextInt(4);
                switch (random.nextInt(4)) {
                  case 0 -> {
                    move.setInt(1, id);
                    move.executeUpdate();
                  }
                  case 1 -> {
                    back.setInt(1, id + 100);
                    back.executeUpdate();
                  }
                  default -> {
                    count.setInt(1, id);
                    count.setInt(2, id + 100);
                    updated[0].addAndGet(count.executeUpdate());
                  }
                }
              }
            }
          });
      assertEquals(updated[0].get(), number(f, "select sum(n) from k"), Arrays.toString(updated));
      f.assertEqual(); // before PostgreSQL 18 key changes may be left to the replayer
    }
  }

  /** It waits for another transaction, and then the server looks whether the row is still meant. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "update t set id = id + 100 where name = 'a'",
        "update t set n = n + 1 where name = 'a'",
        "update t set id = id + 100 where id = 1"
      })
  void anUpdateOfARowWhoseKeyAnotherTransactionHasChanged(String sql) throws Exception {
    try (Fixture f =
            Fixture.shared(
                15,
                "create table t(id int primary key, name text, n int); insert into t values (1, 'a', 0), (2, 'b', 0);"
                    + " create function same() returns trigger language plpgsql as 'begin return new; end';"
                    + " create trigger same before update on t for each row execute function same()",
                b -> b.set(Setting.RECONCILE, "manual"));
        Connection plain = f.pair.target()) {
      f.ready();
      long expected;
      try (Connection a = f.connect();
          Connection b = f.connect();
          Connection watch = f.pair.source();
          Statement first = a.createStatement();
          Statement second = b.createStatement()) {
        a.setAutoCommit(false);
        first.executeUpdate("update t set id = id + 100 where id = 1");
        CompletableFuture<Integer> waiting =
            CompletableFuture.supplyAsync(
                () -> {
                  try {
                    return second.executeUpdate(sql);
                  } catch (SQLException e) {
                    throw new AssertionError(e);
                  }
                });
        Fixture.await(
            "it waits",
            () ->
                "1"
                    .equals(
                        Fixture.value(
                            watch,
                            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")));
        a.commit();
        expected = sql.endsWith("id = 1") ? 0 : 1; // as the server alone
        assertEquals(expected, (int) waiting.get());
      }
      f.ds.reconcile();
      f.assertEqual();
      assertEquals(
          expected == 0 ? "101 0" : sql.contains("n = n") ? "101 1" : "201 0",
          Fixture.value(plain, "select id || ' ' || n from t where name = 'a'"));
    }
  }
}
