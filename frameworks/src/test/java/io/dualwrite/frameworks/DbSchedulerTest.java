package io.dualwrite.frameworks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.github.kagkarlsson.scheduler.Scheduler;
import com.github.kagkarlsson.scheduler.SchedulerBuilder;
import com.github.kagkarlsson.scheduler.SchedulerName;
import com.github.kagkarlsson.scheduler.task.FailureHandler;
import com.github.kagkarlsson.scheduler.task.TaskDescriptor;
import com.github.kagkarlsson.scheduler.task.helper.OneTimeTask;
import com.github.kagkarlsson.scheduler.task.helper.RecurringTask;
import com.github.kagkarlsson.scheduler.task.helper.Tasks;
import com.github.kagkarlsson.scheduler.task.schedule.FixedDelay;
import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.jdbc.core.JdbcTemplate;

/** Job queues in the database: db-scheduler, and one written by hand; several workers each. */
class DbSchedulerTest {

  private static final TaskDescriptor<Integer> SEND = TaskDescriptor.of("send", Integer.class);

  private TwoDatabases both;
  private final List<HikariDataSource> pools = new ArrayList<>();

  @BeforeEach
  void start() throws Exception {
    both =
        TwoDatabases.with(
            """
            create table scheduled_tasks(task_name text not null, task_instance text not null, task_data bytea,
              execution_time timestamptz not null, picked boolean not null, picked_by text, last_success timestamptz,
              last_failure timestamptz, consecutive_failures int, last_heartbeat timestamptz, version bigint not null,
              priority smallint, primary key (task_name, task_instance));
            create index execution_time_idx on scheduled_tasks(execution_time);
            create table sent(n int primary key, worker text);
            create table tick(id bigserial primary key, at timestamptz default now());
            create table job(id bigint generated always as identity primary key, payload jsonb, state text not null default 'new',
              worker int, tries int not null default 0, changed timestamptz);
            """);
    for (int i = 0; i < 2; i++) {
      HikariConfig config = new HikariConfig();
      config.setDataSource(both.process());
      config.setMaximumPoolSize(8);
      pools.add(new HikariDataSource(config));
    }
  }

  @AfterEach
  void stop() {
    pools.forEach(HikariDataSource::close);
    both.close();
  }

  @ParameterizedTest
  @ValueSource(strings = {"lock-and-fetch", "fetch"})
  void everyTaskIsExecutedOnce(String polling) throws Exception {
    int tasks = 60;
    AtomicInteger failures = new AtomicInteger();
    List<Scheduler> schedulers = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      JdbcTemplate jdbc = new JdbcTemplate(pools.get(i));
      String worker = "worker" + i;
      OneTimeTask<Integer> send =
          Tasks.oneTime(SEND)
              .onFailure(
                  new FailureHandler.MaxRetriesFailureHandler<>(
                      3, new FailureHandler.OnFailureRetryLater<>(Duration.ofMillis(50))))
              .execute(
                  (instance, context) -> {
                    if (instance.getData() % 10 == 3
                        && context.getExecution().consecutiveFailures == 0) {
                      failures.incrementAndGet();
                      throw new IllegalStateException("not the first time");
                    }
                    jdbc.update("insert into sent values (?, ?)", instance.getData(), worker);
                  });
      RecurringTask<Void> tick =
          Tasks.recurring("tick", FixedDelay.of(Duration.ofMillis(100)))
              .execute((instance, context) -> jdbc.update("insert into tick default values"));
      SchedulerBuilder b =
          Scheduler.create(pools.get(i), send)
              .startTasks(tick)
              .schedulerName(new SchedulerName.Fixed(worker))
              .threads(4)
              .pollingInterval(Duration.ofMillis(100))
              .heartbeatInterval(Duration.ofSeconds(1));
      schedulers.add(
          (polling.equals("fetch")
                  ? b.pollUsingFetchAndLockOnExecute(0.5, 3.0)
                  : b.pollUsingLockAndFetch(0.5, 1.0))
              .build());
    }
    for (int n = 0; n < tasks; n++) {
      schedulers.get(n % 2).schedule(SEND.instance("n" + n).data(n).scheduledTo(Instant.now()));
    }
    schedulers.forEach(Scheduler::start);
    TwoDatabases.await(
        "every task executed",
        () ->
            both.stored("select count(*) from sent").equals(List.of(Integer.toString(tasks)))
                && both.stored("select count(*) > 2 from tick").equals(List.of("t"))
                && both.stored("select count(*) from scheduled_tasks where task_name = 'send'")
                    .equals(List.of("0")));
    schedulers.forEach(Scheduler::stop);
    assertEquals(6, failures.get());
    assertEquals(List.of("tick"), both.stored("select task_name from scheduled_tasks"));
    both.assertEqual();
  }

  @Test
  void aQueueByHand() throws Exception {
    int jobs = 100;
    int workers = 4;
    try (Connection c = pools.get(0).getConnection();
        PreparedStatement add = c.prepareStatement("insert into job(payload) values (?::jsonb)")) {
      for (int i = 0; i < jobs; i++) {
        add.setString(1, "{\"n\": " + i + "}");
        add.addBatch();
      }
      add.executeBatch();
    }
    ExecutorService threads = Executors.newFixedThreadPool(workers);
    List<Future<Integer>> all = new ArrayList<>();
    for (int w = 0; w < workers; w++) {
      int me = w;
      all.add(threads.submit(() -> work(pools.get(me % 2), me)));
    }
    int done = 0;
    for (Future<Integer> f : all) {
      done += f.get(120, TimeUnit.SECONDS);
    }
    threads.shutdown();
    assertEquals(jobs, done);
    assertEquals(List.of(Integer.toString(jobs)), both.stored("select count(*) from sent"));
    assertEquals(List.of("0"), both.stored("select count(*) from job"));
    both.assertEqual();
  }

  /** Claims, works, gives up now and then, until nothing is left. */
  private static int work(HikariDataSource pool, int me) throws SQLException {
    int done = 0;
    Set<Long> gaveUp = new HashSet<>();
    while (true) {
      try (Connection c = pool.getConnection()) {
        c.setAutoCommit(false);
        List<Long> mine = new ArrayList<>();
        try (PreparedStatement claim =
            c.prepareStatement(
                "update job set state = 'taken', worker = ?, tries = tries + 1, changed = clock_timestamp() where id in"
                    + " (select id from job where state = 'new' order by id for update skip locked limit 3)"
                    + " returning id, (payload->>'n')::int")) {
          claim.setInt(1, me);
          List<Integer> numbers = new ArrayList<>();
          try (ResultSet r = claim.executeQuery()) {
            while (r.next()) {
              mine.add(r.getLong(1));
              numbers.add(r.getInt(2));
            }
          }
          if (mine.isEmpty()) {
            c.commit();
            try (PreparedStatement left = c.prepareStatement("select count(*) from job");
                ResultSet r = left.executeQuery()) {
              assertTrue(r.next());
              if (r.getInt(1) == 0) {
                return done;
              }
            }
            c.commit();
            continue;
          }
          try (PreparedStatement sent = c.prepareStatement("insert into sent values (?, ?)")) {
            for (int n : numbers) {
              sent.setInt(1, n);
              sent.setString(2, "w" + me);
              sent.addBatch();
            }
            sent.executeBatch();
          }
          if (numbers.get(0) % 7 == me && gaveUp.add(mine.get(0))) {
            c.rollback(); // it, or another, takes them again
            continue;
          }
          try (PreparedStatement delete =
              c.prepareStatement("delete from job where id = any (?)")) {
            delete.setArray(1, c.createArrayOf("bigint", mine.toArray()));
            assertEquals(mine.size(), delete.executeUpdate());
          }
          c.commit();
          done += mine.size();
        }
      }
    }
  }
}
