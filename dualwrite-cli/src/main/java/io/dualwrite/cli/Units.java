package io.dualwrite.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.dualwrite.catalog.TableName;
import io.dualwrite.control.Roles;
import io.dualwrite.journal.Intent;
import io.dualwrite.journal.JournalUnit;
import io.dualwrite.journal.Outcome;
import io.dualwrite.journal.RowChange;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Collection;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** Units of work in words and as JSON. */
final class Units {

  private Units() {}

  /** What the change does to what. */
  static String what(RowChange c) {
    return c.table().equals(RowChange.NO_TABLE)
        ? verb(c.kind())
        : verb(c.kind()) + " " + name(c.table());
  }

  /** The table as people name it. */
  static String name(TableName t) {
    return t.equals(RowChange.NO_TABLE)
        ? "every table"
        : t.schema().equals("public") ? t.name() : t.toString();
  }

  /** Tables as people name them. */
  static String tables(Collection<TableName> tables) {
    return tables.stream().map(Units::name).collect(Collectors.joining(", "));
  }

  /** What the change does, in a word or two. */
  static String verb(RowChange.Kind kind) {
    return switch (kind) {
      case UPSERT -> "write";
      case INSERT -> "insert";
      case DELETE -> "delete";
      case REKEY -> "change key";
      default -> kind.name().toLowerCase(Locale.ROOT).replace('_', ' ');
    };
  }

  /** What the unit wrote, without values: {@code write orders x2, delete lines}. */
  static String wrote(Intent i) {
    Map<String, Integer> counts = new TreeMap<>();
    for (RowChange c : i.changes()) {
      counts.merge(what(c), Math.max(1, c.rows().length), Integer::sum);
    }
    return counts.entrySet().stream()
        .map(e -> e.getKey() + (e.getValue() == 1 ? "" : " x" + e.getValue()))
        .collect(Collectors.joining(", "));
  }

  /** The state in a word or two. */
  static String state(JournalUnit u) {
    return switch (u.state()) {
      case PARKED -> "parked";
      case RESOLVED -> "resolved";
      case PENDING -> u.outcome() == Outcome.COMMITTED ? "committed" : "unknown";
    };
  }

  /** A time to the second, UTC. */
  static String time(long micros) {
    return instant(micros).truncatedTo(ChronoUnit.SECONDS).toString();
  }

  /** A line under a label such as {@code parked}. */
  static void print(Terminal terminal, String label, String of, String text) {
    terminal.println(
        "    " + terminal.bad(label) + " " + of + ": ",
        7 + label.length() + of.length(),
        firstLine(text));
  }

  static Instant instant(long micros) {
    return Instant.EPOCH.plus(micros, ChronoUnit.MICROS);
  }

  /** The first line of an error. */
  static String firstLine(String error) {
    return error == null ? "" : error.strip().split("\\R", 2)[0].strip();
  }

  /**
   * The unit as JSON.
   *
   * @param masking of the values, or null: no rows at all
   */
  static ObjectNode json(Path journal, JournalUnit u, Masking masking) {
    Intent i = u.intent();
    ObjectNode o = Json.object("unit").put("journal", journal.toString());
    o.put("sequence", i.sequence());
    o.put("time", instant(i.wallMicros()).toString());
    o.put("state", u.state().name().toLowerCase(Locale.ROOT));
    if (u.state() != JournalUnit.State.RESOLVED) {
      o.put("outcome", u.outcome().name().toLowerCase(Locale.ROOT));
    }
    if (u.error() != null) {
      o.put("error", masking == null ? firstLine(u.error()) : masking.error(u.error()));
    }
    o.put("primary", new Roles(i.epoch()).primary().toString());
    o.put("transaction", i.xid());
    o.put("incarnation", i.incarnation());
    o.put("process", i.pid());
    ArrayNode changes = o.putArray("changes");
    for (RowChange c : i.changes()) {
      ObjectNode n = changes.addObject();
      n.put("kind", c.kind().name().toLowerCase(Locale.ROOT));
      n.put("table", c.table().toString());
      n.put("count", c.rows().length);
      if (masking != null) {
        rows(n, c, masking);
      }
    }
    return o;
  }

  private static void rows(ObjectNode n, RowChange c, Masking masking) {
    c.keyColumns().forEach(n.putArray("key")::add);
    c.columns().forEach(n.putArray("columns")::add);
    if (c.types() != null) {
      c.types().forEach(n.putArray("types")::add);
    }
    boolean[] masked = masking.masked(c);
    ArrayNode rows = n.putArray("rows");
    for (String[] row : c.rows()) {
      ArrayNode r = rows.addArray();
      for (int j = 0; j < row.length; j++) {
        r.add(Masking.value(row[j], j >= masked.length || masked[j]));
      }
    }
  }
}
