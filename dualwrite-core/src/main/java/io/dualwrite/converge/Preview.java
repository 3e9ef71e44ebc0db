package io.dualwrite.converge;

import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.converge.Replayer.Unit;
import io.dualwrite.journal.Intent;
import io.dualwrite.journal.Outcome;
import io.dualwrite.journal.Pending;
import io.dualwrite.journal.RowChange;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.UUID;
import java.util.stream.Collectors;

/**
 * What a replay would do, found out by doing it: rows are compared, and what differs is written to
 * the mirror by the replay's own code, in transactions that are rolled back before their commit. So
 * it is also known what the mirror would refuse. Takes the mirror's row locks for moments, as a
 * replay does. Statements that travel as text are not tried: their locks would be felt; what comes
 * behind one may need what it makes, and is not said to fail. Not thread-safe; one for all pages of
 * a journal, in order.
 */
public final class Preview {

  /** What would become of a unit. */
  public enum Fate {
    /** Its primary transaction aborted: there is nothing to do. */
    ABORTED,
    /** Its primary transaction has not ended, or others were in the way for too long. */
    WAITS,
    /** The mirror has it all. */
    EQUAL,
    /** Rows would be written. */
    WRITES,
    /** It would fail, and be parked at last. */
    FAILS
  }

  /**
   * What would become of one unit.
   *
   * @param sequence the unit
   * @param fate in a word
   * @param doubtful whether nobody can tell any more if its primary transaction committed: keys are
   *     resynced all the same
   * @param equal keys whose rows are equal already
   * @param keys keys whose rows differ and would be resynced
   * @param rows rows without a key that would be inserted
   * @param statements statements that travel as text and would be run
   * @param suspects tables that would become suspects
   * @param why what it waits for, or why it fails; empty otherwise
   */
  public record Verdict(
      long sequence,
      Fate fate,
      boolean doubtful,
      long equal,
      long keys,
      long rows,
      int statements,
      List<TableName> suspects,
      String why) {}

  /** Why a unit would not go through, for good or for now. */
  private record Refusal(Fate fate, String why) {}

  /** Ends a transaction that was only tried. */
  private static final class Undone extends SQLException {
    Undone() {
      super("undone", "DW000");
    }
  }

  private static final int BATCH = 1000;

  private final Convergence engine;
  private final UUID writer;

  /** The last unit with statements that would run; 0 if there was none. */
  private long statements;

  /**
   * For one journal.
   *
   * @param like the engine that would replay; it is not changed
   * @param writer the journal's identity
   */
  public Preview(Convergence like, UUID writer) {
    this.engine =
        new Convergence(
                like.primary(),
                like.mirror(),
                like.primaryCatalog(),
                like.mirrorCatalog(),
                like.options(),
                like.rate())
            .in(like.direction());
    this.writer = writer;
    engine.hook =
        step -> {
          if (step == Step.CHECKED || step == Step.REPLAY_INSERTED) {
            throw new Undone();
          }
        };
  }

  /**
   * Looks at units.
   *
   * @param units a page of them, all in memory
   * @return their verdicts in the same order
   * @throws SQLException if a database cannot be reached or does not take part
   */
  public List<Verdict> of(List<Pending> units) throws SQLException {
    Map<Long, String> status = Replayer.status(engine, units);
    Map<Long, Verdict> verdicts = new HashMap<>();
    Map<Long, Map<TableName, Map<List<String>, Boolean>>> keys = new LinkedHashMap<>();
    Map<Long, Unit> taken = new HashMap<>();
    Map<Long, Refusal> early = new HashMap<>();
    Map<Long, Set<TableName>> formerly = new HashMap<>();
    Map<TableName, Set<List<String>>> all = new TreeMap<>();
    for (Pending p : units) {
      Intent i = p.intent();
      String turned = Replayer.turned(engine, i);
      if (turned != null) {
        verdicts.put(i.sequence(), verdict(i, Fate.FAILS, turned));
        continue;
      }
      String s = p.outcome() == Outcome.COMMITTED ? "committed" : status.get(i.sequence());
      if (s.equals("aborted")) {
        verdicts.put(i.sequence(), verdict(i, Fate.ABORTED, ""));
      } else if (s.equals("in progress")) {
        verdicts.put(
            i.sequence(),
            verdict(i, Fate.WAITS, "its transaction on the primary, process " + i.pid()));
      } else {
        Unit u = new Unit(i, !s.equals("committed"));
        taken.put(i.sequence(), u);
        try {
          Map<TableName, Unit> other = new HashMap<>();
          Map<TableName, Map<List<String>, Boolean>> of =
              Replayer.keys(
                  engine,
                  List.of(new Unit(without(i, truncated(i)), u.doubtful())),
                  new ArrayList<>(),
                  other);
          formerly.put(i.sequence(), other.keySet());
          keys.put(i.sequence(), of);
          of.forEach(
              (t, k) -> all.computeIfAbsent(t, x -> new LinkedHashSet<>()).addAll(k.keySet()));
        } catch (ConvergenceException e) {
          keys.put(i.sequence(), Map.of());
          early.put(i.sequence(), new Refusal(Fate.FAILS, e.getMessage()));
        } catch (SQLException e) {
          keys.put(i.sequence(), Map.of());
          early.put(i.sequence(), refusal(e));
        }
      }
    }
    Map<TableName, Set<List<String>>> differing = new TreeMap<>();
    Map<TableName, Refusal> broken = new TreeMap<>();
    for (Map.Entry<TableName, Set<List<String>>> e : all.entrySet()) {
      try {
        differing.put(e.getKey(), differing(e.getKey(), List.copyOf(e.getValue())));
      } catch (ConvergenceException x) {
        broken.put(e.getKey(), new Refusal(Fate.FAILS, x.getMessage()));
      } catch (SQLException x) {
        broken.put(e.getKey(), refusal(x));
      }
    }
    Map<Long, Refusal> refused = new HashMap<>(early);
    trial(
        List.copyOf(keys.keySet().stream().filter(s -> differs(keys.get(s), differing)).toList()),
        keys,
        refused);
    List<Verdict> result = new ArrayList<>();
    for (Pending p : units) {
      long seq = p.intent().sequence();
      Verdict v = verdicts.get(seq);
      result.add(
          v != null
              ? v
              : judge(
                  taken.get(seq),
                  keys.get(seq),
                  formerly.getOrDefault(seq, Set.of()),
                  differing,
                  broken,
                  refused.get(seq)));
    }
    return result;
  }

  private static Verdict verdict(Intent i, Fate fate, String why) {
    return new Verdict(i.sequence(), fate, false, 0, 0, 0, 0, List.of(), why);
  }

  /** A replay does not do these again, but makes their tables suspects. */
  private static boolean suspectInstead(RowChange c) {
    return c.kind() == RowChange.Kind.TRUNCATE || c.kind() == RowChange.Kind.REMOVE;
  }

  /** The tables that become suspects for what the unit did; its own rows there go with that. */
  private static Set<TableName> truncated(Intent i) {
    Set<TableName> tables = new TreeSet<>(Replayer.refilled(i));
    for (RowChange c : i.changes()) {
      if (suspectInstead(c)) {
        tables.add(c.table());
      }
    }
    return tables;
  }

  private static Intent without(Intent i, Set<TableName> truncated) {
    return new Intent(
        i.sequence(),
        i.wallMicros(),
        i.epoch(),
        i.incarnation(),
        i.xid(),
        i.pid(),
        i.changes().stream()
            .filter(c -> !suspectInstead(c))
            .filter(c -> !(c.keyless() && truncated.contains(c.table())))
            .toList());
  }

  /** How many of the unit's statements would run. */
  private int statements(Intent i) throws SQLException {
    int n = 0;
    boolean alone = false;
    for (RowChange c : i.changes()) {
      if (c.kind() == RowChange.Kind.STATEMENT) {
        n++;
        alone |= c.alone();
      }
    }
    if (n == 0 || alone) {
      return n;
    }
    Connection m = Session.open(engine.mirror());
    try (PreparedStatement s =
        m.prepareStatement(
            "select exists (select from dualwrite.marker where writer = ?::text::uuid and sequence = ?)"
                + " or exists (select from dualwrite.writer where writer = ?::text::uuid and resolved_through >= ?)")) {
      s.setString(1, writer.toString());
      s.setLong(2, -i.sequence());
      s.setString(3, writer.toString());
      s.setLong(4, i.sequence());
      try (ResultSet r = s.executeQuery()) {
        r.next();
        return r.getBoolean(1) ? 0 : n;
      }
    } finally {
      Session.close(m);
    }
  }

  private static boolean differs(
      Map<TableName, Map<List<String>, Boolean>> keys,
      Map<TableName, Set<List<String>>> differing) {
    return keys.entrySet().stream()
        .anyMatch(
            e -> {
              Set<List<String>> d = differing.get(e.getKey());
              return d != null && e.getValue().keySet().stream().anyMatch(d::contains);
            });
  }

  private Verdict judge(
      Unit u,
      Map<TableName, Map<List<String>, Boolean>> keys,
      Set<TableName> formerly,
      Map<TableName, Set<List<String>>> differing,
      Map<TableName, Refusal> broken,
      Refusal refused)
      throws SQLException {
    long equal = 0;
    long differ = 0;
    Refusal why = refused;
    Set<TableName> suspects = truncated(u.intent());
    Intent rest = suspects.isEmpty() ? u.intent() : without(u.intent(), suspects);
    suspects.addAll(formerly);
    int run = statements(u.intent());
    if (run > 0 && u.doubtful()) {
      why = new Refusal(Fate.FAILS, "it is not known whether its transaction with DDL committed");
    } else if (run > 0) {
      statements = u.intent().sequence();
    }
    for (Map.Entry<TableName, Map<List<String>, Boolean>> e : keys.entrySet()) {
      if (broken.containsKey(e.getKey())) {
        why = broken.get(e.getKey());
        continue;
      }
      Set<List<String>> d = differing.get(e.getKey());
      long n = e.getValue().keySet().stream().filter(d::contains).count();
      differ += n;
      equal += e.getValue().size() - n;
    }
    long rows = 0;
    if (why == null && rest.keyless()) {
      KeylessReplay replay = new KeylessReplay(engine, writer);
      try {
        replay.apply(
            List.of(new KeylessReplay.Unit(rest, u.doubtful())),
            doubtful -> // those that the mirror does not hold
            doubtful.intent().changes().stream()
                    .filter(RowChange::keyless)
                    .forEach(c -> suspects.add(c.table())));
        rows = replay.inserted;
      } catch (Undone e) {
        rows = replay.inserted;
      } catch (SQLException e) {
        if ("23503".equals(e.getSQLState())) { // the rows that they refer to would come first
          rows =
              rest.changes().stream()
                  .filter(RowChange::keyless)
                  .mapToLong(c -> c.rows().length)
                  .sum();
        } else {
          why = refusal(e);
        }
      }
    }
    if (why != null && why.fate == Fate.FAILS && statements > 0 && run == 0) {
      why =
          new Refusal(
              Fate.WAITS, "for the statements of unit " + statements + ", perhaps: " + why.why);
    }
    boolean writes = differ > 0 || rows > 0 || run > 0 || !suspects.isEmpty();
    Fate fate = why != null ? why.fate : writes ? Fate.WRITES : Fate.EQUAL;
    String text = why == null ? "" : why.why;
    return new Verdict(
        u.intent().sequence(),
        fate,
        u.doubtful(),
        equal,
        differ,
        rows,
        run,
        List.copyOf(suspects),
        text);
  }

  /**
   * What an error says of a unit.
   *
   * @throws SQLException if it is not about the unit: a server is gone
   */
  private static Refusal refusal(SQLException e) throws SQLException {
    return switch (Failure.of(e)) {
      case DOWN -> throw e;
      case CONTENTION -> new Refusal(Fate.WAITS, e.getMessage());
      default -> new Refusal(Fate.FAILS, e.getMessage());
    };
  }

  /** Tries to write the units' keys; after an error halves of them, down to the one that fails. */
  private void trial(
      List<Long> units,
      Map<Long, Map<TableName, Map<List<String>, Boolean>>> keys,
      Map<Long, Refusal> refused)
      throws SQLException {
    if (units.isEmpty()) {
      return;
    }
    engine.rate().await();
    Refusal error;
    Connection p = null;
    Connection m = null;
    try {
      p = Session.open(engine.primary());
      m = Session.open(engine.mirror());
      Resync resync = new Resync(engine, p, m, child -> {});
      for (long u : units) {
        for (Map.Entry<TableName, Map<List<String>, Boolean>> e : keys.get(u).entrySet()) {
          for (Map.Entry<List<String>, Boolean> k : e.getValue().entrySet()) {
            resync.add(e.getKey(), k.getKey(), k.getValue());
          }
        }
      }
      resync.run();
      throw new IllegalStateException("a preview reached its commit");
    } catch (Undone e) {
      return;
    } catch (ConvergenceException e) {
      engine.invalidate();
      error = new Refusal(Fate.FAILS, e.getMessage());
    } catch (SQLException e) {
      error = refusal(e);
    } finally {
      Session.close(p);
      Session.close(m);
    }
    if (units.size() == 1) {
      refused.put(units.get(0), error);
    } else {
      trial(units.subList(0, units.size() / 2), keys, refused);
      trial(units.subList(units.size() / 2, units.size()), keys, refused);
    }
  }

  /** The keys whose rows are not the same on both sides now. */
  private Set<List<String>> differing(TableName name, List<List<String>> keys)
      throws SQLException, ConvergenceException {
    Set<List<String>> result = new HashSet<>();
    Connection p = null;
    Connection m = null;
    try {
      p = Session.open(engine.primary());
      m = Session.open(engine.mirror());
      Table here = engine.primaryTable(p, name);
      Table there = engine.mirrorTable(m, here);
      List<Column> columns = Columns.travelling(here, there);
      List<Column> same = columns.stream().map(c -> there.column(c.name()).orElseThrow()).toList();
      for (int i = 0, end; i < keys.size(); i = end) {
        engine.rate().await();
        end = Math.min(keys.size(), i + engine.rate().batch(BATCH));
        List<List<String>> slice = keys.subList(i, end);
        engine.rate().book(slice.size());
        String[][] a = rows(p, here, here.key(), columns, slice);
        String[][] b = rows(m, there, here.key(), same, slice);
        for (int k = 0; k < slice.size(); k++) {
          if (!Arrays.equals(a[k], b[k])) {
            result.add(slice.get(k));
          }
        }
      }
    } finally {
      Session.close(p);
      Session.close(m);
    }
    return result;
  }

  /** The rows with these keys, as text; null where there is none. */
  private String[][] rows(
      Connection c, Table table, List<String> key, List<Column> columns, List<List<String>> keys)
      throws SQLException {
    StringBuilder join = new StringBuilder();
    for (int i = 0; i < key.size(); i++) {
      Column k = table.column(key.get(i)).orElseThrow();
      join.append(i == 0 ? "t." : " and t.")
          .append(k.sql())
          .append(" = ")
          .append(new Dml.In(k, null).cast("u.a" + i));
    }
    c.rollback(); // reading the catalog may have begun a transaction
    String[][] result = new String[keys.size()][];
    try (PreparedStatement s =
        c.prepareStatement(
            "set transaction isolation level read committed read only;\n"
                + Session.PINS
                + Session.BY_KEY
                + ";\nselect u.o, "
                + columns.stream().map(Columns::text).collect(Collectors.joining(", "))
                + " from "
                + Dml.unnest(key.size())
                + Dml.alias(key.size(), true)
                + " join "
                + table.name().sql()
                + " t on "
                + join)) {
      int p =
          MirrorWriter.pins(s, engine.options().resyncLimits(), Session.searchPath(List.of(table)));
      for (int i = 0; i < key.size(); i++) {
        int k = i;
        s.setArray(
            p + i,
            c.createArrayOf("text", keys.stream().map(x -> x.get(k)).toArray(String[]::new)));
      }
      s.execute();
      s.getMoreResults();
      s.getMoreResults();
      try (ResultSet r = s.getResultSet()) {
        while (r.next()) {
          String[] row = new String[columns.size()];
          for (int i = 0; i < row.length; i++) {
            row[i] = r.getString(i + 2);
          }
          result[r.getInt(1) - 1] = row;
        }
      }
    }
    c.rollback();
    return result;
  }
}
