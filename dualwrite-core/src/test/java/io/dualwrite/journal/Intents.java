package io.dualwrite.journal;

import io.dualwrite.catalog.TableName;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/** Intents for tests. */
final class Intents {

  static final TableName ORDERS = new TableName("public", "orders");
  static final TableName EVENTS = new TableName("public", "events");

  private Intents() {}

  /** One keyed row; its text tells the sequence, so that a garbled one is noticed. */
  static Intent keyed(long sequence, TableName table, int bytes) {
    return new Intent(
        sequence,
        1_700_000_000_000_000L + sequence,
        0,
        "1.5/1/2.5",
        1000 + sequence,
        4711,
        List.of(
            new RowChange(
                RowChange.Kind.UPSERT,
                table,
                List.of("id", "name", "note"),
                null,
                List.of("id"),
                new String[][] {{Long.toString(sequence), text(sequence, bytes), null}})));
  }

  static Intent keyed(long sequence) {
    return keyed(sequence, ORDERS, 400);
  }

  static Intent keyless(long sequence, TableName table) {
    return new Intent(
        sequence,
        0,
        0,
        "1.5/1/2.5",
        1000 + sequence,
        4711,
        List.of(
            new RowChange(
                RowChange.Kind.INSERT,
                table,
                List.of("at"),
                null,
                List.of(),
                new String[][] {{text(sequence, 40)}})));
  }

  /** All that is pending, in portions. */
  static List<Pending> pending(Journal j) {
    List<Pending> list = new ArrayList<>();
    List<Pending> some = j.pending(0, 1000);
    while (!some.isEmpty()) {
      list.addAll(some);
      some = j.pending(some.get(some.size() - 1).intent().sequence(), 1000);
    }
    return list;
  }

  /** The sequences of all that is pending. */
  static Set<Long> sequences(Journal j) {
    Set<Long> set = new TreeSet<>();
    for (Pending p : pending(j)) {
      set.add(p.intent().sequence());
    }
    return set;
  }

  static String text(long sequence, int bytes) {
    StringBuilder b = new StringBuilder(bytes + 20);
    while (b.length() < bytes) {
      b.append(sequence).append('/');
    }
    b.setLength(bytes);
    return b.toString();
  }
}
