package io.dualwrite.model;

import io.dualwrite.model.KeylessTable.Kind;
import io.dualwrite.model.KeylessTable.Unit;
import io.dualwrite.model.Statement.Op;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * The workloads, by suite. Those that differ only by the names of the writers are taken once.
 *
 * @param off rules that are switched off
 * @param faults how many faults there may be
 * @param deep all workloads, where a part of them is taken else
 * @param patient no lock_timeout on the mirror anywhere
 */
record Suites(Set<Rule> off, int faults, boolean deep, boolean patient) {

  /** Those that ship statements, as the design had it first: the protocol at its barest. */
  static final List<String> KEYED =
      List.of("direct", "pairs", "early", "mixed", "backfill", "foreign-key", "predicate");

  /** Those that ship what the code ships. */
  static final List<String> EXTENDED =
      List.of("images", "savepoint", "rekey", "unique", "retry", "large");

  static final List<String> OTHER = List.of("keyless", "cutover");

  private static final Op[] SIMPLE = {Op.INSERT, Op.UPDATE, Op.DELETE, Op.UPSERT};

  /** For k0 on the primary, k0 on the mirror, k1 on the primary, k1 on the mirror. */
  private static final int[] K0 = {0, 0, -1, -1};

  private static final int[] NONE = {-1, -1, -1, -1};
  private static final int[] BOTH = {0, 0, 0, 0};
  private static final int[] K0_UNCOPIED = {0, -1, -1, -1};
  private static final int[] UNCOPIED = {0, -1, 0, -1};

  static List<String> all() {
    List<String> names = new ArrayList<>(KEYED);
    names.addAll(EXTENDED);
    names.addAll(OTHER);
    return names;
  }

  /**
   * The systems of a suite.
   *
   * @throws IllegalArgumentException if there is no such suite
   */
  List<TransitionSystem> systems(String name) {
    return switch (name) {
      case "keyless" -> keyless();
      case "cutover" -> cutover();
      default -> {
        List<TransitionSystem> systems = new ArrayList<>();
        for (Workload w : workloads(name)) {
          systems.add(new Keyed(patient ? w.patient() : w));
        }
        yield systems;
      }
    };
  }

  private List<Workload> workloads(String name) {
    return switch (name) {
      case "direct" -> direct();
      case "pairs" -> pairs(0);
      case "early" -> early();
      case "mixed" -> mixed();
      case "backfill" -> backfill();
      case "foreign-key" -> foreignKey();
      case "predicate" -> predicate();
      case "images" -> images();
      case "savepoint" -> savepoint();
      case "rekey" -> rekey();
      case "unique" -> unique();
      case "retry" -> retry();
      case "large" -> large();
      default ->
          throw new IllegalArgumentException(
              "there is no suite " + name + "; there are " + String.join(", ", all()));
    };
  }

  // ---- how a workload is written down

  private static Statement on0(Op op) {
    return Statement.of(op, 0);
  }

  private static Statement on1(Op op) {
    return Statement.of(op, 1);
  }

  private static Statement[] tx(Statement... statements) {
    return statements;
  }

  private Workload workload(int perWriter, int[] start, Statement[]... transactions) {
    return new Workload(transactions, perWriter, start, off, faults);
  }

  /** Two statements by number: two bits for the operation and one for the key of each. */
  private static Statement[] pair(int x) {
    return tx(
        Statement.of(SIMPLE[x & 3], (x >> 2) & 1), Statement.of(SIMPLE[(x >> 3) & 3], x >> 5));
  }

  // ---- keyed tables, statements travel

  /** One key; two writers, two transactions each. */
  private List<Workload> direct() {
    List<Workload> l = new ArrayList<>();
    for (int x = 0; x < 256; x++) {
      if ((x & 15) > x >> 4) {
        continue;
      }
      for (int[] start : List.of(K0, NONE)) {
        l.add(
            workload(
                2,
                start,
                tx(on0(SIMPLE[x & 3])),
                tx(on0(SIMPLE[(x >> 2) & 3])),
                tx(on0(SIMPLE[(x >> 4) & 3])),
                tx(on0(SIMPLE[x >> 6]))));
      }
    }
    return l;
  }

  /** Two keys; two writers, one transaction of two statements each; a fifth of them by default. */
  private List<Workload> pairs(int fifth) {
    List<Workload> l = new ArrayList<>();
    for (int a = 0; a < 64; a++) {
      for (int c = a; c < 64; c++) {
        Statement[] x = pair(a);
        boolean twin = x[0].key() == 1 && x[1].key() == 1;
        if ((deep || (a * 64 + c) % 5 == fifth) && !twin) {
          l.add(workload(1, K0, x, pair(c)));
        }
      }
    }
    return l;
  }

  /** The same, shipped early. */
  private List<Workload> early() {
    List<Workload> l = pairs(1);
    for (Op o : SIMPLE) {
      l.add(
          workload(
              2, BOTH, tx(on0(Op.UPDATE), on1(o)), tx(on0(Op.DELETE)), tx(on1(o), on0(Op.UPSERT))));
    }
    l.forEach(Workload::early);
    return l;
  }

  /** A transaction of two statements, then one of one; against two single ones. */
  private List<Workload> mixed() {
    List<Statement[]> first =
        List.of(
            tx(on0(Op.DELETE), on0(Op.INSERT)),
            tx(on1(Op.INSERT), on0(Op.UPDATE)),
            tx(on0(Op.UPSERT), on0(Op.DELETE)),
            tx(on0(Op.UPDATE), on1(Op.UPSERT)));
    List<Workload> l = new ArrayList<>();
    for (Statement[] f : first) {
      for (Op o : SIMPLE) {
        for (Op p : SIMPLE) {
          if (deep || (p != Op.UPSERT && o != Op.UPSERT)) {
            l.add(workload(2, K0, f, tx(on0(o)), tx(on0(p)), tx(on0(Op.DELETE))));
          }
        }
      }
    }
    return l;
  }

  /** The mirror starts empty; a worker copies while two writers write. */
  private List<Workload> backfill() {
    List<Workload> l = new ArrayList<>();
    for (int x = 0; x < 64; x++) {
      Op last = SIMPLE[x >> 4];
      if (deep || last != Op.UPSERT) {
        l.add(
            workload(
                2,
                K0_UNCOPIED,
                tx(on0(SIMPLE[x & 3])),
                tx(on0(SIMPLE[(x >> 2) & 3])),
                tx(on0(last))));
      }
    }
    for (Op o : SIMPLE) {
      for (Op p : SIMPLE) {
        l.add(workload(1, UNCOPIED, tx(on0(o), on1(p)), tx(on0(Op.DELETE))));
      }
    }
    l.forEach(Workload::backfill);
    return l;
  }

  /** k1 refers to k0, ON DELETE CASCADE. */
  private List<Workload> foreignKey() {
    List<Statement[]> a =
        List.of(
            tx(on0(Op.DELETE)),
            tx(on0(Op.DELETE), on0(Op.UPSERT)),
            tx(on1(Op.DELETE)),
            tx(on1(Op.UPDATE)));
    List<Statement[]> b =
        List.of(
            tx(on0(Op.UPSERT)),
            tx(on0(Op.INSERT)),
            tx(on0(Op.UPSERT), on1(Op.UPSERT)),
            tx(on0(Op.DELETE)));
    List<Statement[]> c =
        List.of(tx(on1(Op.UPSERT)), tx(on1(Op.INSERT)), tx(on0(Op.UPDATE)), tx(on0(Op.DELETE)));
    List<Workload> l = new ArrayList<>();
    for (Statement[] x : a) {
      for (Statement[] y : b) {
        for (Statement[] z : c) {
          for (int[] start : List.of(BOTH, K0)) {
            l.add(workload(2, start, y, z, x).foreignKey());
          }
        }
      }
    }
    return l;
  }

  /** UPDATE … WHERE ready, beside rows that become ready. */
  private List<Workload> predicate() {
    int t = KeyedLayout.TAKEN;
    List<Workload> l = new ArrayList<>();
    for (int[] start : List.of(new int[] {t, t, t, t}, new int[] {0, 0, t, t}, BOTH)) {
      for (Op o : List.of(Op.READY, Op.UPDATE, Op.DELETE)) {
        l.add(workload(2, start, tx(on0(Op.READY)), tx(on1(o)), tx(on0(Op.TAKE_READY))));
      }
    }
    return l;
  }

  // ---- keyed tables, what the code does

  /**
   * Whole rows travel: what {@link #direct}, {@link #backfill}, {@link #foreignKey} and {@link
   * #predicate} have, a part of each by default, and rows of two columns that are not copied yet.
   */
  private List<Workload> images() {
    int t = KeyedLayout.TAKEN;
    int[] start = {t, -1, -1, -1};
    List<Workload> l = new ArrayList<>();
    l.add(workload(1, start, tx(on0(Op.UPDATE)), tx(on1(Op.DELETE))).backfill());
    for (Op o : List.of(Op.READY, Op.UPDATE, Op.DELETE)) {
      l.add(workload(2, start, tx(on0(Op.UPDATE)), tx(on0(o)), tx(on0(Op.READY))).backfill());
    }
    part(l, direct(), 4);
    part(l, backfill(), 2);
    part(l, foreignKey(), 2);
    l.addAll(predicate());
    l.forEach(Workload::images);
    return l;
  }

  private void part(List<Workload> l, List<Workload> from, int nth) {
    for (int i = 0; i < from.size(); i++) {
      if (deep || i % nth == 0) {
        l.add(from.get(i));
      }
    }
  }

  /** Two statements, one of them rolled back to a savepoint; against one or two single ones. */
  private List<Workload> savepoint() {
    List<Workload> l = new ArrayList<>();
    for (int x = 0; x < 64; x++) {
      Statement[] both = pair(x);
      if (both[0].key() == 1) {
        continue;
      }
      List<Statement[]> undone =
          List.of(tx(both[0].thenUndone(), both[1]), tx(both[0], both[1].thenUndone()));
      for (Statement[] f : undone) {
        for (Op o : SIMPLE) {
          l.add(workload(2, K0, f, tx(on0(o)), tx(on0(Op.UPSERT))).images());
        }
        if (deep) {
          for (Op o : SIMPLE) {
            l.add(workload(2, BOTH, f, tx(on1(o)), tx(on0(Op.DELETE), on1(o))).images());
          }
        }
      }
    }
    return l;
  }

  /** k0 becomes k1, or k1 becomes k0, while others write either; with and without a backfill. */
  private List<Workload> rekey() {
    List<Workload> l = new ArrayList<>();
    Op[] others = {Op.INSERT, Op.UPDATE, Op.DELETE, Op.UPSERT, Op.REKEY};
    for (Op o : others) {
      for (Op p : others) {
        l.add(workload(2, K0, tx(on0(Op.REKEY)), tx(on1(o)), tx(on0(p))));
        l.add(workload(2, K0, tx(on0(Op.REKEY)), tx(on0(o)), tx(on1(p))));
        l.add(workload(1, K0, tx(on0(Op.REKEY), on1(o)), tx(on0(p))));
        l.add(workload(1, BOTH, tx(on1(Op.DELETE), on0(Op.REKEY)), tx(on1(p), on0(o))));
        l.add(workload(1, K0_UNCOPIED, tx(on0(Op.REKEY)), tx(on0(o), on1(p))).backfill());
      }
    }
    l.forEach(Workload::images);
    return l;
  }

  /** Two rows with a unique value each, which move to others, to each other's, or go. */
  private List<Workload> unique() {
    int[] start = {1, 1, 2, 2};
    List<Statement> a = values(0);
    List<Statement> b = values(1);
    List<Workload> l = new ArrayList<>();
    Statement away = Statement.of(Op.SET, 0, 3);
    Statement two = Statement.of(Op.SET, 0, 2);
    Statement one = Statement.of(Op.SET, 1, 1);
    l.add(workload(2, start, tx(away), tx(two), tx(one)));
    l.add(workload(1, start, tx(away, one), tx(two)));
    l.add(workload(1, start, tx(one.thenUndone(), away), tx(one, two)));
    l.add(workload(2, start, tx(away, one), tx(two), tx(Statement.of(Op.SET, 1, 3)), tx(one)));
    for (int i = 0; i < a.size(); i++) {
      for (int j = 0; j < a.size(); j++) {
        for (int k = 0; k < b.size(); k++) {
          if (deep || (i * 25 + j * 5 + k) % 2 == 0) {
            l.add(workload(2, start, tx(a.get(i)), tx(a.get(j)), tx(b.get(k))));
          }
        }
      }
    }
    l.forEach(Workload::uniqueValues);
    return l;
  }

  private static List<Statement> values(int key) {
    List<Statement> l = new ArrayList<>();
    for (int v = 1; v <= 3; v++) {
      l.add(Statement.of(Op.SET, key, v));
    }
    l.add(Statement.of(Op.DELETE, key));
    l.add(Statement.of(Op.UPSERT, key, 3));
    return l;
  }

  /** Flushes of one and two changes that are tried twice; one fault more, to lose both tries. */
  private List<Workload> retry() {
    List<Workload> l = new ArrayList<>();
    Suites more = new Suites(off, faults + 1, deep, patient);
    part(l, more.pairs(2), 4);
    for (Op o : SIMPLE) {
      for (Op p : SIMPLE) {
        l.add(more.workload(2, K0, tx(on0(o)), tx(on0(p)), tx(on0(Op.UPSERT), on1(o))));
      }
      l.add(more.workload(1, BOTH, tx(on0(Op.DELETE)), tx(on1(o), on0(Op.UPSERT))).foreignKey());
    }
    l.forEach(w -> w.images().retry());
    return l;
  }

  /** Units that are too large, beside others that are not; the table is resynced as a whole. */
  private List<Workload> large() {
    List<Workload> l = new ArrayList<>();
    for (Op o : SIMPLE) {
      for (Op p : SIMPLE) {
        for (int[] start : List.of(K0, BOTH)) {
          l.add(workload(2, start, tx(on0(o)), tx(on0(p)), tx(on0(Op.DELETE))).large(2));
          l.add(workload(2, start, tx(on0(o)), tx(on1(p)), tx(on0(Op.UPSERT), on1(o))).large(2));
          l.add(workload(1, start, tx(on0(o), on1(p)), tx(on1(o), on0(p))).large(0).large(1));
        }
      }
    }
    l.forEach(Workload::images);
    return l;
  }

  // ---- keyless tables and cutover

  private List<TransitionSystem> keyless() {
    Unit i0 = new Unit(0, Kind.INSERT);
    Unit i1 = new Unit(1, Kind.INSERT);
    Unit t1 = new Unit(1, Kind.TRUNCATE);
    List<TransitionSystem> l = new ArrayList<>();
    l.add(new Keyless(List.of(i0, t1), off, 1, faults + 1));
    l.add(new Keyless(List.of(i0, i1), off, 1, faults + 1));
    l.add(new Keyless(List.of(i0, i0, i1), off, 1, faults));
    l.add(new Keyless(List.of(i0, i1), off, 2, faults + 1));
    l.add(new Keyless(List.of(i0, i0, t1), off, 0, faults + 1));
    l.add(new Keyless(List.of(i0, t1, i1), off, 1, faults));
    if (deep) {
      l.add(new Keyless(List.of(i0, t1, i0), off, 1, faults + 1));
    }
    return l;
  }

  private List<TransitionSystem> cutover() {
    List<TransitionSystem> l = new ArrayList<>();
    for (int writes = 1; writes <= (deep ? 3 : 2); writes++) {
      for (int f = 0; f <= faults + 2; f++) {
        l.add(new Cutover(off, writes, f));
      }
    }
    return l;
  }
}
