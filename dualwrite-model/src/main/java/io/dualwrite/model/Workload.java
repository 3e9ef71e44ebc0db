package io.dualwrite.model;

import io.dualwrite.model.Statement.Op;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Set;

/**
 * What the writers of a {@link Keyed} system do, and under which circumstances. Built by the
 * chained setters, then left alone.
 */
final class Workload {

  static final int WRITERS = 2;

  /** One or two statements for each transaction; transaction t belongs to writer t / perWriter. */
  final Statement[][] transactions;

  final int perWriter;
  final int[] start;
  final Set<Rule> off;
  final int faults;

  boolean backfill;
  boolean foreignKey;
  boolean early;
  boolean patient;
  boolean images;
  boolean uniqueValues;
  boolean retry;
  final boolean[] large;

  /**
   * A workload.
   *
   * @param start for k0 on the primary, k0 on the mirror, k1 on the primary, k1 on the mirror: the
   *     row's value, or -1 if it is absent
   * @param off rules that are switched off
   * @param faults how many faults there may be
   */
  Workload(Statement[][] transactions, int perWriter, int[] start, Set<Rule> off, int faults) {
    this.transactions = transactions;
    this.perWriter = perWriter;
    this.start = start;
    this.off = off.isEmpty() ? EnumSet.noneOf(Rule.class) : EnumSet.copyOf(off);
    this.faults = faults;
    large = new boolean[transactions.length];
  }

  /** A worker copies both keys meanwhile. */
  Workload backfill() {
    backfill = true;
    return this;
  }

  /** k1 refers to k0, ON DELETE CASCADE. */
  Workload foreignKey() {
    foreignKey = true;
    return this;
  }

  /** Each statement is shipped as soon as the primary has run it. */
  Workload early() {
    early = true;
    return this;
  }

  /** No lock_timeout on the mirror: a flush waits for as long as it takes. */
  Workload patient() {
    patient = true;
    return this;
  }

  /** Whole rows travel, and the mirror upserts them; else statements do. */
  Workload images() {
    images = true;
    return this;
  }

  /** The value is unique too, on both sides. */
  Workload uniqueValues() {
    uniqueValues = true;
    return images();
  }

  /** A flush that failed is tried once more. */
  Workload retry() {
    retry = true;
    return this;
  }

  /** This transaction writes more than is kept: it opens a suspect. */
  Workload large(int transaction) {
    large[transaction] = true;
    return this;
  }

  boolean on(Rule r) {
    return !off.contains(r);
  }

  boolean anyLarge() {
    for (boolean l : large) {
      if (l) {
        return true;
      }
    }
    return false;
  }

  int count() {
    return transactions.length;
  }

  int first(int writer) {
    return writer * perWriter;
  }

  int end(int writer) {
    return Math.min(count(), (writer + 1) * perWriter);
  }

  boolean two(int t) {
    return transactions[t].length == 2;
  }

  /** Which of the transaction's statements is undone; -1 if none. */
  int undone(int t) {
    for (int i = 0; i < transactions[t].length; i++) {
      if (transactions[t][i].undone()) {
        return i;
      }
    }
    return -1;
  }

  /** What the mirror runs for a statement. */
  Op shipped(Statement q) {
    return switch (q.op()) {
      case REKEY -> on(Rule.REKEY_BY_OLD_KEY) ? Op.REKEY : Op.UPSERT;
      case UPDATE -> !images ? Op.UPDATE : on(Rule.WHOLE_IMAGE) ? Op.UPSERT : Op.UPSERT_PART;
      case INSERT -> images ? Op.UPSERT : Op.INSERT;
      case READY -> images ? Op.UPSERT : Op.READY;
      case SET -> images ? Op.UPSERT : Op.SET;
      default -> q.op();
    };
  }

  String writer(int t) {
    return "W" + t / perWriter + (perWriter > 1 ? "." + t % perWriter : "");
  }

  String title() {
    StringBuilder x = new StringBuilder("keyed");
    add(x, backfill, "backfill");
    add(x, foreignKey, "foreign key k1->k0 cascade");
    add(x, early, "shipped early");
    add(x, patient, "no lock timeout");
    add(x, images, "rows travel");
    add(x, uniqueValues, "unique values");
    add(x, retry, "flush tried twice");
    for (int t = 0; t < count(); t++) {
      x.append("; ").append(writer(t)).append(large[t] ? " (too large): " : ": ");
      x.append(Arrays.toString(transactions[t]));
    }
    if (!off.isEmpty()) {
      x.append("; without ").append(off);
    }
    return x.toString();
  }

  private static void add(StringBuilder x, boolean is, String what) {
    x.append(is ? ", " + what : "");
  }
}
