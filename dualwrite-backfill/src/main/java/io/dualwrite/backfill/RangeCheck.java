package io.dualwrite.backfill;

import io.dualwrite.backfill.VerifyResult.Difference;
import io.dualwrite.backfill.VerifyResult.Kind;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;

/**
 * Compares one range: sums first; if they differ, sums by bucket of the key's hash; then the rows
 * of the differing buckets, merged in the order of the hash, which is the same whatever the
 * collations; then the keys that differ, again and again for a while, because a write may have been
 * on its way. Memory is bounded by the number of differences that are looked for at a time.
 */
final class RangeCheck {

  /**
   * What is compared.
   *
   * @param source the table on the source (the root, for a partition)
   * @param target the table on the target
   * @param sourceFrom what is read there, as it stands after FROM
   * @param targetFrom the same
   * @param sourceWhere which rows
   * @param targetWhere the same rows, with the target's types
   * @param relation keyless: what is recopied; {@code targetWhere} is the predicate
   * @param tasks the tasks it covers
   * @param hash how rows become hashes
   * @param chunks of a hypertable: the places that are compared, each with both sides' chunks; else
   *     empty
   */
  record Range(
      Table source,
      Table target,
      String sourceFrom,
      String targetFrom,
      String sourceWhere,
      String targetWhere,
      TableName relation,
      List<Long> tasks,
      RowHash hash,
      List<Place> chunks) {

    /** What keys are looked up in. */
    private String look(boolean there) {
      if (chunks.isEmpty()) {
        return (there ? target : source).name().sql();
      }
      Hypertables.Chunk only =
          chunks.size() > 1 ? null : there ? chunks.get(0).target() : chunks.get(0).source();
      return (only != null ? only.name() : (there ? target : source).name()).sql();
    }

    /** Whether some rows cannot be locked, or changed, one by one while they are repaired. */
    private boolean closed() {
      return chunks.stream().anyMatch(Place::closed);
    }

    /** Some places of a hypertable, all together. */
    static Range of(
        Table source, Table target, List<Place> places, List<Long> tasks, RowHash hash) {
      return new Range(
          source,
          target,
          union(source, hash, places.stream().map(Place::source).toList()),
          union(target, hash, places.stream().map(Place::target).toList()),
          "true",
          "true",
          target.name(),
          tasks,
          hash,
          places);
    }

    private static String union(Table root, RowHash hash, List<Hypertables.Chunk> chunks) {
      List<String> parts = new ArrayList<>();
      for (Hypertables.Chunk c : chunks) {
        if (c != null) {
          parts.add(c.name().sql());
        }
      }
      if (parts.size() == 1) {
        return parts.get(0);
      }
      if (parts.isEmpty()) {
        return "(select * from only " + root.name().sql() + " where false) c";
      }
      String columns = Sql.list(hash.columns());
      return parts.stream()
          .map(p -> "select " + columns + " from " + p)
          .collect(Collectors.joining(" union all ", "(", ") c"));
    }

    /** The same places with the chunks that are there now. */
    private Range now(Connection s, Connection t) throws SQLException {
      Map<String, Hypertables.Chunk> mine = bySlices(s, source);
      Map<String, Hypertables.Chunk> theirs = bySlices(t, target);
      return of(
          source,
          target,
          chunks.stream()
              .map(p -> new Place(p.slices, mine.get(p.slices), theirs.get(p.slices)))
              .toList(),
          tasks,
          hash);
    }

    private static Map<String, Hypertables.Chunk> bySlices(Connection c, Table root)
        throws SQLException {
      Map<String, Hypertables.Chunk> result = new HashMap<>();
      for (Hypertables.Chunk k : Hypertables.chunks(c, root.name())) {
        result.put(k.slices(), k);
      }
      return result;
    }
  }

  /**
   * A place in a hypertable, with what is there.
   *
   * @param slices the place
   * @param source the source's chunk, or null
   * @param target the target's chunk, or null
   */
  record Place(String slices, Hypertables.Chunk source, Hypertables.Chunk target) {
    private boolean closed() {
      return source != null && source.closed() || target != null && target.closed();
    }
  }

  /** What came out. {@code more}: there are more differences than were looked for. */
  record Outcome(
      long sourceRows,
      long targetRows,
      List<Difference> differences,
      boolean more,
      long repaired,
      String error) {
    boolean equal() {
      return differences.isEmpty() && error == null;
    }
  }

  private static final int ROWS_PER_BUCKET = 1000;
  private static final int KEYS_PER_LOOK = 500;
  private static final int SAMPLES = 100;
  private static final int SETTLED_AT_MOST = 20;
  private static final int COUNTED_AT_MOST = 6;
  private static final String TWICE =
      "a key occurs more than once on a side: nothing keeps it unique there, or its index is damaged, and --repair does not"
          + " choose between its rows; delete what is too many, then REINDEX, or make the key anew";

  private final Connection source;
  private final Connection target;
  private final Healer healer;
  private final VerifyOptions options;
  private final ExecutorService others;
  private final Turns turns;
  private Range range;
  private final RowHash hash;
  private long bytes;

  /** On these connections, which are in no transaction before and after. */
  RangeCheck(
      Connection source,
      Connection target,
      Healer healer,
      VerifyOptions options,
      ExecutorService others,
      Turns turns,
      Range range) {
    this.source = source;
    this.target = target;
    this.healer = healer;
    this.options = options;
    this.others = others;
    this.turns = turns;
    this.range = range;
    this.hash = range.hash();
  }

  /** One side's queries, so many at a time, in the order in which they came. */
  static final class Turn {
    private final Semaphore permits;

    Turn(int atOnce) {
      permits = new Semaphore(atOnce, true);
    }

    private interface Work<T> {
      T run() throws SQLException;
    }

    private <T> T take(Work<T> work) throws SQLException {
      permits.acquireUninterruptibly();
      try {
        return work.run();
      } finally {
        permits.release();
      }
    }
  }

  /** Each side has its own: the one that is done with a range need not wait for the other. */
  record Turns(Turn source, Turn target) {}

  /** How much text was hashed on the source, if that is limited. */
  long bytes() {
    return bytes;
  }

  private record Sums(long count, String first, String second) {}

  Outcome run() throws SQLException {
    source.setAutoCommit(false);
    target.setAutoCommit(false);
    while (true) {
      try {
        searchPaths();
        Outcome result = compare();
        source.setAutoCommit(true);
        target.setAutoCommit(true);
        return result;
      } catch (SQLException e) {
        if (!"42P01".equals(e.getSQLState()) || range.chunks.isEmpty()) {
          throw e;
        }
        // chunks that were dropped meanwhile (retention) have no rows
        lookAgain();
      }
    }
  }

  /** And no transaction is open afterwards: a turn may be a long time in coming. */
  private void searchPaths() throws SQLException {
    Sql.execute(source, Sessions.searchPath(range.source()));
    Sql.execute(target, Sessions.searchPath(range.target()));
    source.commit();
    target.commit();
  }

  private void lookAgain() throws SQLException {
    source.rollback();
    target.rollback();
    Sql.execute(source, Sessions.searchPath(null));
    Sql.execute(target, Sessions.searchPath(null));
    range = range.now(source, target);
    source.commit();
    target.commit();
  }

  private Outcome compare() throws SQLException {
    long repaired = 0;
    String error = null;
    Set<List<String>> before = null;
    for (int settled = 0; ; ) {
      Pair<Sums> sums = both(side -> sums(side));
      if (sums.source.equals(sums.target)) {
        return new Outcome(sums.source.count, sums.target.count, List.of(), false, repaired, null);
      }
      if (options.method() == VerifyOptions.Method.COUNT) {
        if (++settled < COUNTED_AT_MOST) {
          delay(settled, COUNTED_AT_MOST);
          continue;
        }
        return new Outcome(
            sums.source.count,
            sums.target.count,
            List.of(),
            false,
            0,
            range.sourceFrom()
                + " has "
                + sums.source.count
                + " rows, on the target "
                + sums.target.count);
      }
      Found found = find(Math.max(sums.source.count, sums.target.count));
      List<Difference> left = recheck(found.suspected);
      if (left.isEmpty()) {
        if (found.more) {
          if (++settled == SETTLED_AT_MOST) {
            throw new BackfillException(
                "rows change faster than they can be compared; verify again at a quieter time");
          }
          continue; // all that were looked at settled; look at the next ones
        }
        return new Outcome(sums.source.count, sums.target.count, List.of(), false, repaired, null);
      }
      Set<List<String>> now = new HashSet<>();
      for (Difference d : left) {
        if (d.kind() != Kind.TWICE) {
          now.add(d.key());
        }
      }
      if (!options.repair() || error != null || now.isEmpty() || now.equals(before)) {
        if (error == null && left.stream().anyMatch(d -> d.kind() == Kind.TWICE)) {
          error = TWICE;
        }
        return new Outcome(sums.source.count, sums.target.count, left, found.more, repaired, error);
      }
      before = now;
      try {
        if (!range.chunks().isEmpty() && (!range.source().keyed() || range.closed())) {
          repairChunks();
          repaired += range.source().keyed() ? now.size() : 1;
        } else if (range.source().keyed()) {
          healer.resync(range.source().name(), List.copyOf(now));
          repaired += now.size();
        } else {
          healer.recopy(range.relation(), range.targetWhere());
          repaired++;
        }
      } catch (SQLException | BackfillException e) {
        error = "repair failed: " + e.getMessage();
        target.rollback();
      }
      if (!range.chunks().isEmpty()) {
        lookAgain(); // the repair may have made some
        searchPaths();
      }
    }
  }

  private void repairChunks() throws SQLException {
    for (Place p : range.chunks()) {
      source.commit();
      ChunkCopy.repair(
          source,
          target,
          healer,
          range.source().name(),
          range.target().name(),
          p.slices(),
          p.source() == null ? null : p.source().name());
    }
  }

  // ----------------------------------------------------------------------------------------------
  // both sides at once

  private record Pair<T>(T source, T target) {}

  private record OneSide(
      Connection connection, Table table, String from, String where, boolean there) {}

  private interface Query<T> {
    T run(OneSide side) throws SQLException;
  }

  private OneSide sourceSide() {
    return new OneSide(source, range.source(), range.sourceFrom(), range.sourceWhere(), false);
  }

  private OneSide targetSide() {
    return new OneSide(target, range.target(), range.targetFrom(), range.targetWhere(), true);
  }

  private <T> Pair<T> both(Query<T> query) throws SQLException {
    return both(query, true);
  }

  private <T> Pair<T> both(Query<T> query, boolean commit) throws SQLException {
    Future<T> other =
        others.submit(
            () -> {
              T result = turns.target.take(() -> query.run(targetSide()));
              if (commit) {
                target.commit();
              }
              return result;
            });
    SQLException failure = null;
    T mine = null;
    try {
      mine = turns.source.take(() -> query.run(sourceSide()));
      if (commit) {
        source.commit();
      }
    } catch (SQLException e) {
      failure = e;
    }
    try {
      T theirs = other.get(); // always: the connection must not be in two hands
      if (failure != null) {
        throw failure;
      }
      return new Pair<>(mine, theirs);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new BackfillException("verify was interrupted", e);
    } catch (ExecutionException e) {
      if (failure != null) {
        failure.addSuppressed(e.getCause());
        throw failure;
      }
      if (e.getCause() instanceof SQLException s) {
        throw s;
      }
      throw new BackfillException("verify failed: " + e.getCause(), e.getCause());
    }
  }

  private Sums sums(OneSide side) throws SQLException {
    List<String> r =
        Sql.rows(
                side.connection,
                options.method() == VerifyOptions.Method.COUNT
                    ? hash.count(side.from, side.where)
                    : hash.sums(side.from, side.where, options.maxRate() > 0))
            .get(0);
    if (!side.there) {
      bytes += Long.parseLong(r.get(3));
    }
    return new Sums(Long.parseLong(r.get(0)), r.get(1), r.get(2));
  }

  // ----------------------------------------------------------------------------------------------
  // from sums to rows

  /** Hashes of a keyless row. */
  private record Hashes(long first, long second) {}

  /** What one side holds under a key: the sums of the rows' hashes, and how many rows. */
  private record Held(long first, long second, long times) {
    private Held and(Held other) {
      return new Held(first + other.first, second + other.second, times + other.times);
    }

    private static boolean twice(Held one, Held other) {
      return one != null && one.times > 1 || other != null && other.times > 1;
    }
  }

  /** Keyed: keys, and the places of those that a side holds twice. Keyless: hashes. */
  private record Suspected(List<List<String>> keys, List<Long> twice, Set<Hashes> rows) {}

  private record Found(Suspected suspected, boolean more) {}

  private Found find(long count) throws SQLException {
    long mask = Math.max(1, Math.min(1 << 16, Long.highestOneBit(count / ROWS_PER_BUCKET) * 2)) - 1;
    Pair<Map<Long, Sums>> buckets = both(side -> buckets(side, mask));
    Set<Long> all = new HashSet<>(buckets.source.keySet());
    all.addAll(buckets.target.keySet());
    List<Long> differing =
        all.stream()
            .filter(b -> !Objects.equals(buckets.source.get(b), buckets.target.get(b)))
            .sorted()
            .toList();
    List<List<String>> keys = new ArrayList<>();
    List<Long> twice = new ArrayList<>();
    Set<Hashes> rows = new HashSet<>();
    boolean more = false;
    if (!differing.isEmpty()) {
      Pair<Rows> streams = both(side -> new Rows(side, mask, differing), false);
      try (Rows a = streams.source;
          Rows b = streams.target) {
        while (a.more() || b.more()) {
          long h = !b.more() || a.more() && a.place() <= b.place() ? a.place() : b.place();
          Map<List<String>, Held> mine = a.take(h);
          Map<List<String>, Held> theirs = b.take(h);
          for (List<String> key : differing(mine, theirs)) {
            if (!range.source().keyed()) {
              rows.add(new Hashes(h, Long.parseLong(key.get(0))));
            } else if (Held.twice(mine.get(key), theirs.get(key))) {
              twice.add(h);
            } else {
              keys.add(key);
            }
          }
          if (keys.size() + twice.size() + rows.size() >= options.maxDifferences()) {
            more = a.more() || b.more();
            break;
          }
        }
      }
      source.commit();
      target.commit();
    }
    return new Found(new Suspected(keys, twice, rows), more);
  }

  private static List<List<String>> differing(
      Map<List<String>, Held> mine, Map<List<String>, Held> theirs) {
    Set<List<String>> all = new HashSet<>(mine.keySet());
    all.addAll(theirs.keySet());
    return all.stream().filter(k -> !Objects.equals(mine.get(k), theirs.get(k))).toList();
  }

  private Map<Long, Sums> buckets(OneSide side, long mask) throws SQLException {
    Map<Long, Sums> result = new HashMap<>();
    for (List<String> r : Sql.rows(side.connection, hash.buckets(side.from, side.where, mask))) {
      result.put(Long.parseLong(r.get(0)), new Sums(Long.parseLong(r.get(1)), r.get(2), r.get(3)));
    }
    return result;
  }

  /** The rows of one side in the order of the hash, a screenful at a time. */
  private final class Rows implements AutoCloseable {
    private final Statement statement;
    private final ResultSet rows;
    private boolean more;

    Rows(OneSide side, long mask, List<Long> buckets) throws SQLException {
      // the other side may take much longer to sort
      Sql.execute(side.connection, "set local idle_in_transaction_session_timeout = 0");
      statement = side.connection.createStatement();
      statement.setFetchSize(2000);
      rows = statement.executeQuery(hash.stream(side.from, side.where, mask, buckets));
      more = rows.next();
    }

    boolean more() {
      return more;
    }

    long place() throws SQLException {
      return rows.getLong(1);
    }

    /** All rows at that place: usually one. Keyed: by key. Keyless: by the second hash. */
    Map<List<String>, Held> take(long place) throws SQLException {
      Map<List<String>, Held> result = new HashMap<>();
      while (more && rows.getLong(1) == place) {
        if (range.source().keyed()) {
          List<String> key = new ArrayList<>();
          for (int i = 0; i < hash.key().size(); i++) {
            key.add(rows.getString(4 + i));
          }
          result.merge(key, new Held(rows.getLong(2), rows.getLong(3), 1), Held::and);
        } else {
          result.put(List.of(rows.getString(2)), new Held(0, 0, rows.getLong(3)));
        }
        more = rows.next();
      }
      return result;
    }

    @Override
    public void close() throws SQLException {
      statement.close();
    }
  }

  // ----------------------------------------------------------------------------------------------
  // looking again

  private List<Difference> recheck(Suspected suspected) throws SQLException {
    awaitSettled();
    if (!range.source().keyed()) {
      return recheckRows(suspected.rows);
    }
    Set<List<String>> keys = new LinkedHashSet<>(suspected.keys);
    List<Difference> result = recheckTwice(suspected.twice, keys);
    result.addAll(recheckKeys(keys));
    return result;
  }

  /**
   * Looks for them where the rows are: an index that let a key in twice may find one of its rows,
   * or none. What differs there and is no longer twice becomes one of {@code keys}.
   */
  private List<Difference> recheckTwice(List<Long> places, Set<List<String>> keys)
      throws SQLException {
    List<Difference> twice = new ArrayList<>();
    if (places.isEmpty()) {
      return twice;
    }
    int looks = 3;
    int n = 0;
    do {
      delay(n, looks);
      Pair<Map<List<String>, Held>> held = both(side -> held(side, places));
      twice.clear();
      for (List<String> key : differing(held.source, held.target)) {
        if (Held.twice(held.source.get(key), held.target.get(key))) {
          twice.add(new Difference(Kind.TWICE, key, List.of(), 1));
        } else {
          keys.add(key);
        }
      }
    } while (!twice.isEmpty() && ++n < looks);
    return twice;
  }

  private Map<List<String>, Held> held(OneSide side, List<Long> places) throws SQLException {
    Map<List<String>, Held> result = new HashMap<>();
    try (Rows rows = new Rows(side, -1, places)) {
      while (rows.more()) {
        result.putAll(rows.take(rows.place()));
      }
    }
    return result;
  }

  private void awaitSettled() {
    if (options.settled() == null) {
      return;
    }
    long deadline = System.nanoTime() + 10 * options.recheck().toNanos();
    while (!options.settled().getAsBoolean() && System.nanoTime() - deadline < 0) {
      pause(TimeUnit.MILLISECONDS.toNanos(20));
    }
  }

  private static void pause(long nanos) {
    LockSupport.parkNanos(nanos);
    if (Thread.currentThread().isInterrupted()) {
      throw new BackfillException("verify was interrupted");
    }
  }

  /** Waits for the part of the whole time that stands before look {@code n} of {@code looks}. */
  private void delay(int n, int looks) {
    if (n == 0) {
      return;
    }
    long nanos = options.recheck().toNanos() * (1L << (n - 1)) / ((1L << (looks - 1)) - 1);
    long end = System.nanoTime() + nanos;
    for (long left = nanos; left > 0; left = end - System.nanoTime()) {
      pause(left);
    }
  }

  private List<Difference> recheckKeys(Set<List<String>> keys) throws SQLException {
    int looks = 6;
    Map<List<String>, Difference> left = new LinkedHashMap<>();
    for (List<String> k : keys) {
      left.put(k, new Difference(Kind.DIFFERENT, k, List.of(), 1));
    }
    for (int n = 0; n < looks && !left.isEmpty(); n++) {
      delay(n, looks);
      List<List<String>> todo = new ArrayList<>(left.keySet());
      left.clear();
      for (int i = 0; i < todo.size(); i += KEYS_PER_LOOK) {
        List<List<String>> some = todo.subList(i, Math.min(todo.size(), i + KEYS_PER_LOOK));
        Pair<List<List<List<String>>>> rows = n < looks - 1 ? look(some) : lookUnderLock(some);
        for (int k = 0; k < some.size(); k++) {
          Difference d = difference(some.get(k), rows.source.get(k), rows.target.get(k));
          if (d != null) {
            left.put(some.get(k), d);
          }
        }
      }
    }
    return List.copyOf(left.values());
  }

  private Pair<List<List<List<String>>>> look(List<List<String>> keys) throws SQLException {
    return both(side -> look(side, keys, false));
  }

  /**
   * The last look: the source is read while the target's rows are locked, so that no writer is
   * between its two commits, and what differs now is either pending or wrong.
   */
  private Pair<List<List<List<String>>>> lookUnderLock(List<List<String>> keys)
      throws SQLException {
    List<List<List<String>>> theirs;
    try {
      theirs = look(targetSide(), keys, true);
    } catch (SQLException e) {
      target.rollback();
      if (!Set.of("55P03", "40P01", "42501", "0A000").contains(String.valueOf(e.getSQLState()))) {
        throw e;
      }
      // a writer holds on to a row, the role may not lock, the row is compressed: a plain look
      return look(keys);
    }
    try {
      List<List<List<String>>> mine = look(sourceSide(), keys, false);
      source.commit();
      return new Pair<>(mine, theirs);
    } finally {
      target.rollback();
    }
  }

  /** For each key its rows, in one order: more than one only where nothing keeps a key unique. */
  private List<List<List<String>>> look(OneSide side, List<List<String>> keys, boolean lock)
      throws SQLException {
    List<List<List<String>>> result = new ArrayList<>();
    for (int i = 0; i < keys.size(); i++) {
      result.add(new ArrayList<>(1));
    }
    for (List<String> r :
        Sql.rows(side.connection, hash.look(side.table, range.look(side.there), keys, lock))) {
      result.get(Integer.parseInt(r.get(0)) - 1).add(r.subList(1, r.size()));
    }
    result.forEach(rows -> rows.sort(Comparator.comparing(List::toString)));
    return result;
  }

  private Difference difference(
      List<String> key, List<List<String>> mine, List<List<String>> theirs) {
    if (mine.equals(theirs)) {
      return null;
    }
    if (mine.size() > 1 || theirs.size() > 1) {
      return new Difference(Kind.TWICE, key, List.of(), 1);
    }
    if (mine.isEmpty()) {
      return new Difference(Kind.EXTRA, key, List.of(), 1);
    }
    if (theirs.isEmpty()) {
      return new Difference(Kind.MISSING, key, List.of(), 1);
    }
    List<String> columns = new ArrayList<>();
    for (int i = 0; i < hash.columns().size(); i++) {
      if (!mine.get(0).get(i).equals(theirs.get(0).get(i))) {
        columns.add(hash.columns().get(i));
      }
    }
    return new Difference(Kind.DIFFERENT, key, columns, 1);
  }

  private List<Difference> recheckRows(Set<Hashes> rows) throws SQLException {
    int looks = 3;
    Map<Hashes, Long> left = new LinkedHashMap<>();
    rows.forEach(r -> left.put(r, 0L));
    for (int n = 0; n < looks && !left.isEmpty(); n++) {
      delay(n, looks);
      List<Long> firsts = left.keySet().stream().map(Hashes::first).distinct().toList();
      Pair<Map<Hashes, Long>> counts =
          both(
              side -> {
                Map<Hashes, Long> result = new HashMap<>();
                for (List<String> r :
                    Sql.rows(side.connection, hash.counts(side.from, side.where, firsts))) {
                  result.put(hashes(r), Long.parseLong(r.get(2)));
                }
                return result;
              });
      left.replaceAll(
          (r, old) -> counts.source.getOrDefault(r, 0L) - counts.target.getOrDefault(r, 0L));
      left.values().removeIf(delta -> delta == 0);
    }
    if (left.isEmpty()) {
      return List.of();
    }
    List<Long> some = left.keySet().stream().limit(SAMPLES).map(Hashes::first).distinct().toList();
    Pair<Map<Hashes, String>> samples =
        both(
            side -> {
              Map<Hashes, String> result = new HashMap<>();
              for (List<String> r :
                  Sql.rows(side.connection, hash.samples(side.from, side.where, some))) {
                result.put(hashes(r), r.get(2));
              }
              return result;
            });
    List<Difference> result = new ArrayList<>();
    left.forEach(
        (r, delta) -> {
          String text = samples.source.getOrDefault(r, samples.target.get(r));
          result.add(
              new Difference(
                  delta > 0 ? Kind.MISSING : Kind.EXTRA,
                  List.of(text != null ? text : "hash " + r.first + "/" + r.second),
                  List.of(),
                  Math.abs(delta)));
        });
    return result;
  }

  private static Hashes hashes(List<String> row) {
    return new Hashes(Long.parseLong(row.get(0)), Long.parseLong(row.get(1)));
  }
}
