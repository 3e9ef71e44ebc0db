package io.dualwrite.simulation;

import java.io.IOException;
import java.io.StringReader;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntSupplier;
import org.postgresql.PGConnection;

/**
 * The transactions of one thread of a writer. Each has a stream of decisions of its own, so that an
 * error in one does not change what the next does.
 */
final class Workload {

  /** What one transaction does. */
  enum Op {
    UPSERT(10),
    UPDATE(10),
    UPDATE_MANY(6),
    UPDATE_BY_VALUE(5),
    CHANGE_KEY(5),
    DELETE(6),
    DELETE_MANY(3),
    ORDER(8),
    CUSTOMER(5),
    DELETE_ORDER(4),
    CHANGE_ORDER_KEY(2),
    VISIT(4),
    HANDLE(6),
    SWAP(4),
    SEAT(3),
    LOG(14),
    LOG_MANY(6),
    LOG_DELETE(2),
    LOG_UPDATE(1),
    READING(8),
    MOVE_READING(4),
    EVENT(6),
    AUDITED(6),
    FUNCTION(2),
    COPY_KEYED(3),
    COPY_KEYLESS(3),
    BATCH(5),
    BULK(1),
    PUT(8),
    TAKE(6),
    REQUEUE(3),
    DROP_BASKET(3),
    FILL_BASKET(5),
    AGE_LOG(1),
    TRUNCATE(1),
    ALTER(1),
    CREATE(1),
    RENEW_BASKET(0),
    ADD_ENTRIES(0),
    PURGE(0),
    CLEAR_LOG(0),
    RIPEN_LOG(0);

    final int weight;

    Op(int weight) {
      this.weight = weight;
    }

    boolean ddl() {
      return this == ALTER || this == CREATE;
    }
  }

  /** Told what becomes of the transactions. */
  interface Told {
    /** It begins, and will do this. */
    void begins(String marker, String what);

    /** The commit was acknowledged. */
    void acknowledged(String marker);

    /** It was rolled back, or the server refused it. */
    void undone(String marker);

    /** A call took so long. */
    void took(String call, String marker, long nanos);
  }

  private final long seed;
  private final String name;
  private final boolean ddl;
  private final int[] weights;
  private final int hot;
  private final IntSupplier keys;
  private final Told told;
  private int n;
  private int first;

  /**
   * @param name of the thread: part of its markers and of its decisions
   * @param ddl whether it changes tables too
   * @param writer the number of the process that it belongs to
   * @param keys where the keys of the moment begin: they move on with what all writers have
   *     written, so that these meet there, and nobody writes over what went wrong
   */
  Workload(
      long seed,
      String name,
      boolean ddl,
      Profile profile,
      int writer,
      IntSupplier keys,
      Told told) {
    this.seed = seed;
    this.name = name;
    this.ddl = ddl;
    weights = profile.operations(writer);
    hot = profile.hot();
    this.keys = keys;
    this.told = told;
  }

  /**
   * One transaction.
   *
   * @throws SQLException what the application saw; the connection may be of no use any more
   */
  void transaction(Connection c) throws SQLException, IOException {
    n++;
    first = keys.getAsInt();
    String marker = marker();
    Dice dice = Dice.of(seed, name, n);
    if (dice.percent(15)) {
      autocommit(c, dice, marker);
      return;
    }
    List<Op> ops = new ArrayList<>();
    for (int i = dice.weighted(4, 4, 3, 1, 1) + 1; i > 0; i--) {
      Op op = draw(dice);
      if (ddl || !op.ddl()) {
        ops.add(op);
      }
    }
    boolean commits = !dice.percent(10);
    boolean markerFirst = dice.percent(50);
    boolean keylessMarker = dice.percent(50);
    int savepointAt = dice.percent(20) ? dice.below(ops.size() + 1) : -1;
    int pause = dice.percent(4) ? dice.between(10, dice.percent(8) ? 2000 : 150) : 0;
    told.begins(marker, ops + (savepointAt < 0 ? "" : " savepoint at " + savepointAt));
    boolean over = false;
    c.setAutoCommit(false);
    try {
      if (markerFirst) {
        mark(c, marker, keylessMarker);
      }
      for (int i = 0; i < ops.size(); i++) {
        Savepoint s = i == savepointAt ? c.setSavepoint() : null;
        timed(c, ops.get(i), dice, marker, marker + "-" + i);
        if (s != null) {
          c.rollback(s);
        }
      }
      if (!markerFirst) {
        mark(c, marker, keylessMarker);
      }
      pause(pause);
      over = true;
      end(c, marker, commits);
    } catch (SQLException e) {
      if (!over && !lost(e)) {
        end(c, marker, false);
      }
      throw e;
    }
  }

  private Op draw(Dice dice) {
    return Op.values()[dice.weighted(weights)];
  }

  private void end(Connection c, String marker, boolean commits) throws SQLException {
    long start = System.nanoTime();
    if (!commits) {
      c.rollback();
      told.undone(marker);
      told.took("rollback", marker, System.nanoTime() - start);
      return;
    }
    try {
      c.commit();
      told.acknowledged(marker);
    } catch (SQLException e) {
      if (!lost(e)) {
        told.undone(marker);
      }
      throw e;
    } finally {
      told.took("commit", marker, System.nanoTime() - start);
    }
  }

  private void autocommit(Connection c, Dice dice, String marker) throws SQLException, IOException {
    boolean mark = dice.percent(50);
    Op op = draw(dice);
    if (op.ddl() && !ddl) {
      mark = true;
    }
    told.begins(marker, "autocommit " + (mark ? "marker" : op));
    c.setAutoCommit(true);
    if (mark) {
      mark(c, marker, dice.percent(50));
      told.acknowledged(marker);
    } else {
      timed(c, op, dice, marker, marker);
    }
  }

  /** The transaction at hand. */
  String marker() {
    return name + "." + n;
  }

  /** Whether the error leaves open what became of a commit. */
  static boolean lost(SQLException e) {
    String state = e.getSQLState();
    return state == null || state.isEmpty() || state.startsWith("08") || state.startsWith("57P");
  }

  private static void mark(Connection c, String marker, boolean keyless) throws SQLException {
    update(
        c,
        keyless ? "insert into done_log(marker) values (?)" : "insert into done(marker) values (?)",
        marker);
  }

  private static void pause(int millis) {
    if (millis > 0) {
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(millis));
    }
  }

  // ---- the operations

  private void timed(Connection c, Op op, Dice dice, String marker, String tag)
      throws SQLException, IOException {
    long start = System.nanoTime();
    try {
      run(c, op, dice, tag);
    } finally {
      told.took(op.toString(), marker, System.nanoTime() - start);
    }
  }

  private void run(Connection c, Op op, Dice dice, String tag) throws SQLException, IOException {
    int k = first + (dice.percent(hot) ? dice.between(1, 4) : dice.between(1, Tables.KEYS));
    int l = first + dice.between(1, Tables.KEYS);
    int many = dice.between(2, 12);
    boolean other = dice.percent(50);
    String log = Tables.log(first);
    switch (op) {
      case UPSERT ->
          update(
              c,
              "insert into account(id, owner, balance, data) values (?, ?, ?, ?::jsonb) on conflict (id) do update"
                  + " set balance = account.balance + excluded.balance * random()::numeric, note = excluded.owner, data = excluded.data",
              k,
              tag,
              l,
              "{\"k\": " + k + ", \"t\": \"ü'\\\\ \"}");
      case UPDATE ->
          update(
              c,
              "update account set balance = balance + 1, note = ?, version = version + 1 where id = ?",
              other ? tag : null,
              k);
      case UPDATE_MANY ->
          update(
              c,
              "update account set version = version + 1, note = ? where id % 7 = ? and id > ?",
              tag,
              k % 7,
              first);
      case UPDATE_BY_VALUE ->
          update(
              c,
              "update account set balance = balance - 7, note = ? where balance > ? and balance < ? and id > ?",
              tag,
              (k - first) * 10,
              (k - first) * 10 + 120,
              first);
      case CHANGE_KEY -> update(c, "update account set id = ?, note = ? where id = ?", l, tag, k);
      case DELETE -> update(c, "delete from account where id = ?", k);
      case DELETE_MANY ->
          update(
              c, "delete from account where id % 19 = ? and version > 0 and id > ?", k % 19, first);
      case ORDER -> order(c, k % 100, many, tag);
      case CUSTOMER -> {
        if (other) {
          update(
              c,
              "insert into customer values (?, ?) on conflict (id) do update set name = excluded.name",
              k % 100,
              tag);
        } else {
          update(c, "delete from customer where id = ?", k % 100);
        }
      }
      case DELETE_ORDER ->
          update(
              c,
              "delete from orders where id = (select id from orders order by id offset ? limit 1)",
              k % 40);
      case CHANGE_ORDER_KEY ->
          update(
              c,
              "update orders set id = nextval('orders_id_seq'), n = random() where id = (select id from orders order by id offset ? limit 1)",
              k % 40);
      case VISIT ->
          update(
              c,
              "insert into visit(customer, n) select id, ? from customer where id between ? and ?",
              l,
              k % 100,
              k % 100 + 2);
      case HANDLE ->
          update(
              c,
              "insert into handle values (?, ?, ?) on conflict (id) do update set name = excluded.name, v = handle.v + 1",
              first + k % 25,
              "name " + (first + l % 40),
              k);
      case SWAP -> swap(c, first + k % 25, first + l % 25, tag);
      case SEAT ->
          update(
              c,
              "update seat set pos = case id when ? then (select pos from seat where id = ?) else (select pos from seat where id = ?) end where id in (?, ?)",
              k % 20 + 1,
              l % 20 + 1,
              k % 20 + 1,
              k % 20 + 1,
              l % 20 + 1);
      case LOG -> update(c, "insert into " + log + "(n, message) values (?, ?)", k, tag);
      case LOG_MANY ->
          update(
              c,
              "insert into " + log + "(n, message) select g, ? from generate_series(1, ?) g",
              tag,
              many);
      case LOG_DELETE -> update(c, "delete from " + log + " where n = ? and r < 0.3", k);
      case LOG_UPDATE ->
          update(c, "update " + log + " set message = ? where n = ? and r < 0.1", tag, k);
      case READING ->
          update(
              c,
              "insert into reading values (?, ?, ?) on conflict (id) do update set v = excluded.v || reading.v",
              k,
              "v".repeat(k % 5) + tag,
              new byte[] {(byte) k, 0, (byte) l});
      case MOVE_READING -> {
        if (other) {
          update(c, "update reading set id = ?, v = ? where id = ?", l, tag, k);
        } else {
          update(c, "delete from reading where id between ? and ?", k, k + 1);
        }
      }
      case EVENT ->
          update(
              c,
              "insert into event(kind, v) select g % 3, ? from generate_series(1, ?) g",
              tag,
              many);
      case AUDITED -> {
        if (other) {
          update(
              c,
              "insert into audited(id, v) values (?, ?) on conflict (id) do update set v = excluded.v",
              k,
              tag);
        } else {
          update(c, "delete from audited where id between ? and ?", k, k + 3);
        }
      }
      case FUNCTION -> query(c, "select bump(?)", k);
      case COPY_KEYED -> copy(c, "item(k, v, n)", many, tag, true);
      case COPY_KEYLESS -> copy(c, log + "(n, message)", many, tag, false);
      case BATCH -> batch(c, k, many, tag);
      case BULK ->
          update(
              c,
              "insert into item select ? || ':' || g, repeat(md5(g::text), 4), g from generate_series(1, ?) g",
              tag,
              many * 12);
      case PUT ->
          update(
              c,
              "insert into queue(payload) select ? from generate_series(1, ?)",
              tag,
              other ? 1 : many / 3 + 1);
      case TAKE ->
          update(
              c,
              "delete from queue where id in (select id from queue order by id desc limit ? for update skip locked)",
              other ? 1 : many / 3 + 1);
      case REQUEUE ->
          update(
              c,
              "update queue set id = nextval('queue_id_seq'), payload = ? where id in (select id from queue order by id desc limit ? for update skip locked)",
              tag,
              other ? 1 : 2);
      case DROP_BASKET -> {
        int basket = basket(k);
        update(c, "delete from basket where id = ?", basket);
        if (other) {
          basketIsBack(c, basket, tag);
        }
      }
      case FILL_BASKET -> {
        int basket = basket(k);
        if (other) {
          update(
              c,
              "insert into basket values (?, ?) on conflict (id) do update set v = excluded.v",
              basket,
              tag);
        }
        entries(c, basket, l, many, tag);
      }
      case RENEW_BASKET -> {
        update(c, "delete from basket where id = ?", basket(k));
        basketIsBack(c, basket(k), tag);
      }
      case PURGE -> query(c, "select purge()");
      case RIPEN_LOG -> query(c, "select ripen_" + log + "(?)", k);
      // the one before: whoever writes to a table that was truncated meanwhile makes it suspect
      case CLEAR_LOG -> update(c, "truncate " + Tables.log(first + 5 * Tables.KEYS / 2));
      case ADD_ENTRIES -> entries(c, basket(k), l, many, tag);
      case AGE_LOG -> query(c, "select age_" + log + "(?)", k);
      case TRUNCATE -> {
        update(c, "truncate scratch");
        update(c, "insert into scratch select g, ? from generate_series(1, ?) g", tag, many);
      }
      case ALTER -> {
        update(c, "alter table wide add column if not exists c" + k % 8 + " int default " + l);
        update(c, "update wide set c" + k % 8 + " = v + ? where id % 5 = ?", l, k % 5);
      }
      case CREATE -> {
        String table = "made_" + name.replace('.', '_');
        if (other) {
          update(c, "create table if not exists " + table + "(id int primary key, v text)");
          update(c, "insert into " + table + " values (?, ?) on conflict (id) do nothing", k, tag);
        } else {
          update(c, "drop table if exists " + table);
        }
      }
    }
  }

  private int basket(int k) {
    return first / 6 + k % 5;
  }

  /** Without its entries. */
  private static void basketIsBack(Connection c, int basket, String tag) throws SQLException {
    update(c, "insert into basket values (?, ?) on conflict (id) do nothing", basket, tag);
  }

  private static void entries(Connection c, int basket, int from, int many, String tag)
      throws SQLException {
    update(
        c,
        "insert into entry select id, g, ? from basket, generate_series(?, ?) g where id = ? on conflict (basket, n) do update set v = excluded.v",
        tag,
        from % 20,
        from % 20 + many / 4,
        basket);
  }

  private static void order(Connection c, int customer, int lines, String tag) throws SQLException {
    long id;
    try (PreparedStatement s =
        c.prepareStatement(
            "insert into orders(customer, n) values ((select max(id) from customer where id <= ?), random())",
            Statement.RETURN_GENERATED_KEYS)) {
      s.setInt(1, customer);
      s.executeUpdate();
      try (ResultSet r = s.getGeneratedKeys()) {
        r.next();
        id = r.getLong("id");
      }
    }
    try (PreparedStatement s = c.prepareStatement("insert into line values (?, ?, ?)")) {
      for (int i = 0; i < lines / 2; i++) {
        s.setLong(1, id);
        s.setInt(2, i);
        s.setString(3, tag);
        s.addBatch();
      }
      s.executeBatch();
    }
  }

  /** Two names change places, with a third in between. */
  private static void swap(Connection c, int a, int b, String tag) throws SQLException {
    update(c, "update handle set name = ? where id = ?", "tmp " + tag, a);
    update(
        c,
        "update handle set name = coalesce((select 'was ' || v from handle where id = ?), 'gone') || ? where id = ?",
        a,
        tag,
        b);
    update(c, "update handle set name = ?, v = v + 1 where id = ?", "name " + b, a);
  }

  private static void copy(Connection c, String into, int rows, String tag, boolean keyed)
      throws SQLException, IOException {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < rows; i++) {
      text.append(keyed ? tag + "/" + i + "\tcopied\t" + i : i + "\t" + tag).append('\n');
    }
    c.unwrap(PGConnection.class)
        .getCopyAPI()
        .copyIn("copy " + into + " from stdin", new StringReader(text.toString()));
  }

  private static void batch(Connection c, int k, int many, String tag) throws SQLException {
    try (PreparedStatement s =
        c.prepareStatement(
            "insert into account(id, owner) values (?, ?) on conflict (id) do update set owner = excluded.owner")) {
      for (int i = 0; i < many; i++) {
        s.setInt(1, k + i);
        s.setString(2, tag + "#" + i);
        s.addBatch();
      }
      s.executeBatch();
    }
  }

  private static void update(Connection c, String sql, Object... parameters) throws SQLException {
    try (PreparedStatement s = c.prepareStatement(sql)) {
      bind(s, parameters);
      s.executeUpdate();
    }
  }

  private static void query(Connection c, String sql, Object... parameters) throws SQLException {
    try (PreparedStatement s = c.prepareStatement(sql)) {
      bind(s, parameters);
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          r.getObject(1);
        }
      }
    }
  }

  private static void bind(PreparedStatement s, Object... parameters) throws SQLException {
    for (int i = 0; i < parameters.length; i++) {
      if (parameters[i] instanceof String t) {
        s.setString(i + 1, t);
      } else {
        s.setObject(i + 1, parameters[i]);
      }
    }
  }
}
