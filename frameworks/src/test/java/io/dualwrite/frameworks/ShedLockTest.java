package io.dualwrite.frameworks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import net.javacrumbs.shedlock.core.DefaultLockingTaskExecutor;
import net.javacrumbs.shedlock.core.LockConfiguration;
import net.javacrumbs.shedlock.core.LockProvider;
import net.javacrumbs.shedlock.core.SimpleLock;
import net.javacrumbs.shedlock.provider.jdbctemplate.JdbcTemplateLockProvider;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.support.JdbcTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * ShedLock: several processes, each with its own pool and journal, and one of them runs the job.
 */
class ShedLockTest {

  private TwoDatabases both;
  private final List<HikariDataSource> pools = new ArrayList<>();

  @BeforeEach
  void start() throws Exception {
    both =
        TwoDatabases.with(
            """
            create table shedlock(name varchar(64) not null, lock_until timestamp not null, locked_at timestamp not null,
              locked_by varchar(255) not null, primary key (name));
            create table run(job text, n int, primary key (job, n));
            """);
    for (int i = 0; i < 2; i++) {
      HikariConfig config = new HikariConfig();
      config.setDataSource(both.process());
      config.setMaximumPoolSize(4);
      pools.add(new HikariDataSource(config));
    }
  }

  @AfterEach
  void stop() {
    pools.forEach(HikariDataSource::close);
    both.close();
  }

  private static LockProvider provider(HikariDataSource pool, boolean dbTime) {
    var config =
        JdbcTemplateLockProvider.Configuration.builder()
            .withJdbcTemplate(new JdbcTemplate(pool))
            .withTransactionManager(new JdbcTransactionManager(pool));
    return new JdbcTemplateLockProvider((dbTime ? config.usingDbTime() : config).build());
  }

  private static LockConfiguration lock(String name, Duration most, Duration least) {
    return new LockConfiguration(Instant.now(), name, most, least);
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void oneOfAllRunsIt(boolean dbTime) throws Exception {
    int rounds = 15;
    int workers = 4;
    CyclicBarrier together = new CyclicBarrier(workers);
    AtomicInteger inside = new AtomicInteger();
    ExecutorService threads = Executors.newFixedThreadPool(workers);
    List<Future<Integer>> all = new ArrayList<>();
    for (int w = 0; w < workers; w++) {
      HikariDataSource pool = pools.get(w % 2);
      DefaultLockingTaskExecutor executor = new DefaultLockingTaskExecutor(provider(pool, dbTime));
      Callable<Integer> worker =
          () -> {
            int[] ran = new int[1];
            for (int round = 0; round < rounds; round++) {
              int n = round;
              together.await(60, TimeUnit.SECONDS);
              // held for a minute at least: nobody else gets it in this round
              executor.executeWithLock(
                  (Runnable)
                      () -> {
                        assertEquals(1, inside.incrementAndGet());
                        new JdbcTemplate(pool).update("insert into run values ('job', ?)", n);
                        ran[0]++;
                        inside.decrementAndGet();
                      },
                  lock("job" + n, Duration.ofMinutes(5), Duration.ofMinutes(1)));
            }
            return ran[0];
          };
      all.add(threads.submit(worker));
    }
    int ran = 0;
    for (Future<Integer> f : all) {
      ran += f.get(120, TimeUnit.SECONDS);
    }
    threads.shutdown();
    assertEquals(rounds, ran);
    assertEquals(List.of(Integer.toString(rounds)), both.stored("select count(*) from run"));
    both.assertEqual();
  }

  @Test
  void releasedExtendedAndInsideATransaction() throws Exception {
    LockProvider here = provider(pools.get(0), true);
    LockProvider there = provider(pools.get(1), true);
    SimpleLock first = here.lock(lock("x", Duration.ofMinutes(1), Duration.ZERO)).orElseThrow();
    assertEquals(Optional.empty(), there.lock(lock("x", Duration.ofMinutes(1), Duration.ZERO)));
    SimpleLock longer = first.extend(Duration.ofMinutes(2), Duration.ZERO).orElseThrow();
    longer.unlock();
    SimpleLock second = there.lock(lock("x", Duration.ofMinutes(1), Duration.ZERO)).orElseThrow();
    assertFalse(here.lock(lock("x", Duration.ofMinutes(1), Duration.ZERO)).isPresent());
    second.unlock();
    // the lock is taken in a transaction of its own: it stays when the job's is rolled back
    HikariDataSource pool = pools.get(0);
    assertThrows(
        IllegalStateException.class,
        () ->
            new TransactionTemplate(new JdbcTransactionManager(pool))
                .executeWithoutResult(
                    s -> {
                      new JdbcTemplate(pool).update("insert into run values ('never', 1)");
                      assertTrue(
                          here.lock(lock("y", Duration.ofMinutes(9), Duration.ofMinutes(9)))
                              .isPresent());
                      throw new IllegalStateException();
                    }));
    assertFalse(there.lock(lock("y", Duration.ofMinutes(1), Duration.ZERO)).isPresent());
    assertEquals(
        List.of("x f", "y t"),
        both.stored(
            "select name||' '||left((lock_until > (now() at time zone 'utc'))::text, 1) from shedlock order by 1"));
    assertEquals(List.of("0"), both.stored("select count(*) from run"));
    both.assertEqual();
  }
}
