package io.dualwrite.cli.demo;

import io.dualwrite.cli.demo.Dataset.Airport;
import io.dualwrite.cli.demo.Dataset.Flight;
import io.dualwrite.cli.demo.Dataset.Quake;
import io.dualwrite.cli.demo.Dataset.Report;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import javax.sql.DataSource;

/**
 * The application that moves: plain JDBC over a {@link DataSource}, which knows nothing of
 * dualwrite. Two threads record departures, two take in the earthquake feed and raise alerts, one
 * is a desk that acknowledges, revises, retracts and cleans up, also in old data, and one reads.
 * What each thread does next depends on the seed alone; how the threads interleave does not.
 */
final class Application implements AutoCloseable {

  /** One thing that a thread does, over and over. */
  private interface Work {
    void once() throws SQLException;
  }

  /** What runs inside one transaction. */
  private interface Body {
    void run(Connection connection) throws SQLException;
  }

  private static final String UPSERT_QUAKE =
      Schema.INSERT_QUAKE
          + " on conflict (id) do update set updated_at = excluded.updated_at,"
          + " magnitude = excluded.magnitude, magnitude_type = excluded.magnitude_type,"
          + " place = excluded.place, status = excluded.status, longitude = excluded.longitude,"
          + " latitude = excluded.latitude, depth_km = excluded.depth_km";

  private static final String UPDATE_QUAKE =
      "update earthquakes set updated_at = ?, magnitude = ?, status = ?, depth_km = ? where id = ?";

  private static final String INSERT_ALERT =
      "insert into alerts (earthquake_id, level, message) values (?, ?, ?)";

  /** Alerts are raised above, quakes retracted below: a retracted one never has an alert. */
  private static final BigDecimal ALERT_FROM = new BigDecimal("2.5");

  private static final BigDecimal RETRACT_BELOW = new BigDecimal("1.5");

  private final DataSource source;
  private final Dataset data;
  private final long seed;
  private final Meter meter;
  private final List<Thread> threads = new ArrayList<>();
  private final Queue<Long> raised = new ConcurrentLinkedQueue<>();
  private volatile boolean running = true;

  /**
   * @param source where it gets its connections
   * @param data what it brings
   * @param seed of all its decisions
   * @param scale multiplies the load
   * @param meter where it counts
   */
  Application(DataSource source, Dataset data, long seed, double scale, Meter meter) {
    this.source = source;
    this.data = data;
    this.seed = seed;
    this.meter = meter;
    for (int i = 0; i < 2; i++) {
      thread("departures-" + i, 22 * scale, new Departures(i));
      thread("feed-" + i, 16 * scale, new Feed(i));
    }
    thread("desk", 14 * scale, new Desk());
    thread("board", 30 * scale, new Board());
  }

  private void thread(String name, double perSecond, Work work) {
    threads.add(new Thread(() -> loop(perSecond, work), "app-" + name));
  }

  void start() {
    threads.forEach(Thread::start);
  }

  /** Lets every thread finish what it is at. */
  @Override
  public void close() {
    running = false;
    threads.forEach(LockSupport::unpark);
    for (Thread t : threads) {
      try {
        t.join(TimeUnit.SECONDS.toMillis(30));
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return;
      }
    }
  }

  /** Keeps a pace; what a slow database made it miss it does not make up for. */
  private void loop(double perSecond, Work work) {
    long interval = (long) (1e9 / perSecond);
    long next = System.nanoTime();
    while (running) {
      try {
        work.once();
      } catch (SQLException e) {
        meter.error(e);
      }
      next = Math.max(next + interval, System.nanoTime() - interval);
      for (long wait = next - System.nanoTime();
          wait > 0 && running;
          wait = next - System.nanoTime()) {
        LockSupport.parkNanos(wait);
      }
    }
  }

  // ----------------------------------------------------------------------------------------------
  // how it talks to the database

  /** One statement that commits by itself. */
  private void autocommit(Body body) throws SQLException {
    long start = System.nanoTime();
    try (Connection c = source.getConnection()) {
      body.run(c);
    }
    meter.wrote(System.nanoTime() - start);
  }

  private void transaction(Body body) throws SQLException {
    transaction(body, true);
  }

  private void transaction(Body body, boolean commit) throws SQLException {
    long start = System.nanoTime();
    try (Connection c = source.getConnection()) {
      c.setAutoCommit(false);
      try {
        body.run(c);
        if (commit) {
          c.commit();
        } else {
          c.rollback();
        }
      } catch (SQLException e) {
        c.rollback();
        throw e;
      } finally {
        c.setAutoCommit(true);
      }
    }
    meter.wrote(System.nanoTime() - start);
  }

  private static int update(Connection c, String sql, Object... parameters) throws SQLException {
    try (PreparedStatement s = c.prepareStatement(sql)) {
      for (int i = 0; i < parameters.length; i++) {
        s.setObject(i + 1, parameters[i]);
      }
      return s.executeUpdate();
    }
  }

  private static void insert(Connection c, Flight f) throws SQLException {
    try (PreparedStatement s = c.prepareStatement(Schema.INSERT_FLIGHT)) {
      Schema.bind(s, f);
      s.executeUpdate();
    }
  }

  private static void insert(Connection c, String sql, Quake q) throws SQLException {
    try (PreparedStatement s = c.prepareStatement(sql)) {
      Schema.bind(s, q);
      s.executeUpdate();
    }
  }

  // ----------------------------------------------------------------------------------------------
  // departures: a keyless time series

  private final class Departures implements Work {
    private final SplittableRandom random;
    private final List<Flight> mine = new ArrayList<>();
    private int next;
    private int quarter; // how often it went through its flights

    Departures(int number) {
      random = new SplittableRandom(seed + 11 + number);
      for (int i = number; i < data.liveFlights().size(); i += 2) {
        mine.add(data.liveFlights().get(i));
      }
    }

    private Flight flight() {
      Flight f = mine.get(next % mine.size());
      return quarter == 0
          ? f
          : new Flight(
              f.departedAt().plusDays(90L * quarter),
              f.origin(),
              f.destination(),
              f.miles(),
              f.delay());
    }

    private Flight take() {
      Flight f = flight();
      if (++next == mine.size()) {
        next = 0;
        quarter++;
      }
      return f;
    }

    @Override
    public void once() throws SQLException {
      int dice = random.nextInt(100);
      if (dice < 60) {
        Flight f = take();
        autocommit(c -> insert(c, f));
      } else if (dice < 85) {
        List<Flight> several = new ArrayList<>();
        for (int i = 5 + random.nextInt(16); i > 0; i--) {
          several.add(take());
        }
        transaction(
            c -> {
              try (PreparedStatement s = c.prepareStatement(Schema.INSERT_FLIGHT)) {
                for (Flight f : several) {
                  Schema.bind(s, f);
                  s.addBatch();
                }
                s.executeBatch();
              }
            });
      } else if (dice < 91) {
        Flight one = take();
        Flight two = take();
        transaction(
            c -> {
              insert(c, one);
              insert(c, two);
            });
      } else if (dice < 95) {
        Flight cancelled = flight();
        transaction(
            c -> {
              insert(c, cancelled);
              insert(c, cancelled);
            },
            false);
      } else {
        Flight one = take();
        Flight two = take();
        transaction(
            c -> {
              insert(c, one);
              Savepoint before = c.setSavepoint();
              insert(c, one);
              insert(c, two);
              c.rollback(before);
              insert(c, two);
            });
      }
    }
  }

  // ----------------------------------------------------------------------------------------------
  // the earthquake feed: reports, revisions, late ones, alerts

  private final class Feed implements Work {
    private final SplittableRandom random;
    private final List<Report> mine = new ArrayList<>();
    private int next;
    private boolean again; // it went through all of them once

    Feed(int number) {
      random = new SplittableRandom(seed + 21 + number);
      for (Report r : data.liveQuakes()) {
        if ((r.quake().id().hashCode() & 1) == number) {
          mine.add(r);
        }
      }
    }

    @Override
    public void once() throws SQLException {
      Report report = mine.get(next);
      if (++next == mine.size()) {
        next = 0;
        again = true;
      }
      Quake q = report.quake();
      int dice = random.nextInt(100);
      boolean alert = q.magnitude().compareTo(ALERT_FROM) >= 0;
      if (!alert && dice < 60) {
        autocommit(c -> store(c, report, dice));
        return;
      }
      if (dice < 5) { // half way it turns out that the message was garbled
        transaction(
            c -> {
              store(c, report, dice);
              if (alert) {
                alert(c, q, dice);
              }
            },
            false);
      }
      transaction(
          c -> {
            if (dice >= 90 && !report.first()) {
              insertElseUpdate(c, q);
            } else {
              store(c, report, dice);
            }
            if (alert) {
              alert(c, q, dice);
            }
          });
    }

    private void store(Connection c, Report report, int dice) throws SQLException {
      Quake q = report.quake();
      if (report.first() && !again) {
        insert(c, Schema.INSERT_QUAKE, q);
      } else if (dice % 3 == 0
          || update(c, UPDATE_QUAKE, q.updatedAt(), q.magnitude(), q.status(), q.depth(), q.id())
              == 0) {
        insert(c, UPSERT_QUAKE, q); // late: its first report never came
      }
    }

    /** The old way to write an upsert: try, and go back to a savepoint. */
    private void insertElseUpdate(Connection c, Quake q) throws SQLException {
      Savepoint before = c.setSavepoint("before_insert");
      try {
        insert(c, Schema.INSERT_QUAKE, q);
      } catch (SQLException e) {
        if (!"23505".equals(e.getSQLState())) {
          throw e;
        }
        c.rollback(before);
        update(c, UPDATE_QUAKE, q.updatedAt(), q.magnitude(), q.status(), q.depth(), q.id());
      }
    }

    private void alert(Connection c, Quake q, int dice) throws SQLException {
      String level = q.magnitude().compareTo(new BigDecimal("4.5")) >= 0 ? "major" : "minor";
      String message = "M " + q.magnitude() + ", " + q.place();
      long id;
      if (dice % 2 == 0) {
        try (PreparedStatement s =
            c.prepareStatement(INSERT_ALERT, Statement.RETURN_GENERATED_KEYS)) {
          bindAlert(s, q, level, message);
          s.executeUpdate();
          try (ResultSet keys = s.getGeneratedKeys()) {
            keys.next();
            id = keys.getLong("id");
          }
        }
      } else {
        try (PreparedStatement s = c.prepareStatement(INSERT_ALERT + " returning id")) {
          bindAlert(s, q, level, message);
          try (ResultSet r = s.executeQuery()) {
            r.next();
            id = r.getLong(1);
          }
        }
      }
      if (dice % 10 == 7) { // announced twice, and the second one taken back
        Savepoint before = c.setSavepoint();
        try (PreparedStatement s = c.prepareStatement(INSERT_ALERT)) {
          bindAlert(s, q, level, "again: " + message);
          s.executeUpdate();
        }
        c.rollback(before);
      }
      if (dice % 5 == 0) {
        update(c, "update alerts set message = ? where id = ?", message + " #" + id, id);
      }
      raised.add(id);
    }

    private void bindAlert(PreparedStatement s, Quake q, String level, String message)
        throws SQLException {
      s.setString(1, q.id());
      s.setString(2, level);
      s.setString(3, message);
    }
  }

  // ----------------------------------------------------------------------------------------------
  // the desk: people who change what is there, old data too

  private final class Desk implements Work {
    private final SplittableRandom random = new SplittableRandom(seed + 31);
    private final List<Airport> unused = new ArrayList<>();
    private int turn;

    Desk() {
      Set<String> used = new HashSet<>();
      for (Flight f : data.oldFlights()) {
        used.add(f.origin());
        used.add(f.destination());
      }
      for (Flight f : data.liveFlights()) {
        used.add(f.origin());
        used.add(f.destination());
      }
      for (Airport a : data.airports()) {
        if (!used.contains(a.iata())) {
          unused.add(a);
        }
      }
    }

    private Quake old() {
      return data.oldQuakes().get(random.nextInt(data.oldQuakes().size()));
    }

    @Override
    public void once() throws SQLException {
      switch (turn++ % 12) {
        case 0, 6 -> acknowledge();
        case 1 ->
            autocommit(
                c ->
                    update(
                        c,
                        "update alerts set acknowledged_at = now() where acknowledged_at is null"
                            + " and level = ?",
                        "digest"));
        case 2, 5, 8 -> review();
        case 3 -> {
          OffsetDateTime from = old().occurredAt();
          autocommit(
              c ->
                  update(
                      c,
                      "update earthquakes set status = ? where status = ? and occurred_at >= ?"
                          + " and occurred_at < ?",
                      "reviewed",
                      "automatic",
                      from,
                      from.plusMinutes(40)));
        }
        case 4 -> retract();
        case 7 -> {
          OffsetDateTime from = old().occurredAt();
          autocommit(
              c ->
                  update(
                      c,
                      "delete from earthquakes where magnitude < ? and occurred_at >= ?"
                          + " and occurred_at < ?",
                      new BigDecimal("0.8"),
                      from,
                      from.plusMinutes(20)));
        }
        case 9 -> airport();
        case 10 -> {
          OffsetDateTime from = old().occurredAt();
          autocommit(
              c ->
                  update(
                      c,
                      "insert into alerts (earthquake_id, level, message) select id, 'digest', place"
                          + " from earthquakes where magnitude >= ? and occurred_at >= ?"
                          + " and occurred_at < ?",
                      new BigDecimal("4"),
                      from,
                      from.plusHours(2)));
        }
        default -> cleanUp();
      }
    }

    private void acknowledge() throws SQLException {
      Long id = raised.poll();
      if (id != null) {
        autocommit(c -> update(c, "update alerts set acknowledged_at = now() where id = ?", id));
      }
    }

    private void review() throws SQLException {
      Quake q = old();
      autocommit(
          c ->
              update(
                  c,
                  "update earthquakes set status = ?, depth_km = ?, updated_at = ? where id = ?",
                  "reviewed",
                  q.depth() + random.nextInt(100) / 100.0,
                  q.updatedAt().plusMinutes(random.nextInt(10_000)),
                  q.id()));
    }

    private void retract() throws SQLException {
      Quake q = old();
      if (q.magnitude().compareTo(RETRACT_BELOW) < 0) {
        autocommit(c -> update(c, "delete from earthquakes where id = ?", q.id()));
      }
    }

    /** An airport is renamed, or closes and opens again; now and then nothing comes of it. */
    private void airport() throws SQLException {
      Airport a = unused.get(random.nextInt(unused.size()));
      int dice = random.nextInt(10);
      transaction(
          c -> {
            update(
                c, "update airports set name = ? where iata = ?", a.name() + " " + dice, a.iata());
            if (dice < 5) {
              update(c, "delete from airports where iata = ?", a.iata());
              try (PreparedStatement s = c.prepareStatement(Schema.INSERT_AIRPORT)) {
                Schema.bind(s, a);
                s.executeUpdate();
              }
            }
          },
          dice != 9);
    }

    private void cleanUp() throws SQLException {
      transaction(
          c -> {
            update(c, "delete from alerts where acknowledged_at < now() - interval '10 seconds'");
            update(
                c,
                "update alerts set acknowledged_at = now() where acknowledged_at is null"
                    + " and raised_at < now() - interval '20 seconds'");
          });
    }
  }

  // ----------------------------------------------------------------------------------------------
  // the board: reads

  private final class Board implements Work {
    private final SplittableRandom random = new SplittableRandom(seed + 41);
    private int turn;

    @Override
    public void once() throws SQLException {
      long start = System.nanoTime();
      Flight f = data.oldFlights().get(random.nextInt(data.oldFlights().size()));
      Quake q = data.oldQuakes().get(random.nextInt(data.oldQuakes().size()));
      switch (turn++ % 5) {
        case 0 -> rows("select name, city, state from airports where iata = ?", f.origin());
        case 1 ->
            rows(
                "select destination, departed_at, delay_minutes from flights where origin = ?"
                    + " and departed_at >= ? and departed_at < ?"
                    + " order by departed_at, destination, delay_minutes",
                f.origin(),
                f.departedAt().minusHours(12),
                f.departedAt().plusHours(12));
        case 2 ->
            rows(
                "select origin, count(*), avg(delay_minutes) from flights where departed_at >= ?"
                    + " and departed_at < ? group by origin",
                f.departedAt().minusDays(1),
                f.departedAt().plusDays(1));
        case 3 ->
            rows(
                "select id, magnitude, place, status from earthquakes where occurred_at >= ?"
                    + " and occurred_at < ? order by magnitude desc, id limit 20",
                q.occurredAt().minusHours(6),
                q.occurredAt().plusHours(6));
        default -> rows("select id, level, message from alerts where acknowledged_at is null");
      }
      meter.read(System.nanoTime() - start);
    }

    private void rows(String sql, Object... parameters) throws SQLException {
      try (Connection c = source.getConnection();
          PreparedStatement s = c.prepareStatement(sql)) {
        for (int i = 0; i < parameters.length; i++) {
          s.setObject(i + 1, parameters[i]);
        }
        try (ResultSet r = s.executeQuery()) {
          int columns = r.getMetaData().getColumnCount();
          while (r.next()) {
            for (int i = 1; i <= columns; i++) {
              r.getObject(i);
            }
          }
        }
      }
    }
  }
}
