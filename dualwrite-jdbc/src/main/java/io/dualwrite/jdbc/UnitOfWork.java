package io.dualwrite.jdbc;

import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.journal.RowChange;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What one transaction wrote so far, in order. Belongs to one connection.
 *
 * <p>Memory is bounded: past {@code dualwrite.unit.max-bytes} what there is goes to the journal as
 * an intent of its own, undecided until the transaction ends. Such a unit is not flushed to the
 * mirror directly but left to the replayer, all of it.
 */
final class UnitOfWork {

  /** Where parts go that do not fit into memory. */
  @FunctionalInterface
  interface Spill {
    /** Appends an intent; returns its sequence, or -1 if tables were made suspects instead. */
    long append(UnitOfWork unit, List<RowChange> changes) throws SQLException;
  }

  /** A part in the journal: the changes with the numbers from (inclusive) to (exclusive). */
  record Part(long sequence, int from, int to, Set<TableName> tables) {}

  private static final long PART_BYTES = 8 << 20;

  private final long maxBytes;
  private final Spill spill;
  private final List<RowChange> changes = new ArrayList<>();
  private final List<Part> parts = new ArrayList<>();
  private final Map<TableName, String> suspects = new LinkedHashMap<>();
  private long bytes;
  private boolean oddFormats;

  /** The tables that rows were captured of, as they were known then, by ascending oid. */
  private final TreeMap<Long, Table> relied = new TreeMap<>();

  /** Those of them that are known to be still what they were. */
  private final Set<Long> proven = new HashSet<>(4);

  private final Map<TableName, Table> named = new HashMap<>(2);
  private Set<TableName> truncated = Set.of();

  private boolean doubted;
  private long xid;
  private int pid;
  private String incarnation;

  /** How many changes went to the journal already. */
  private int gone;

  UnitOfWork(long maxBytes, Spill spill) {
    this.maxBytes = maxBytes;
    this.spill = spill;
  }

  void add(RowChange change) throws SQLException {
    changes.add(change);
    if (change.kind() == RowChange.Kind.TRUNCATE) {
      truncated = new HashSet<>(truncated);
      truncated.add(change.table());
    }
    bytes += change.size();
    if (bytes > maxBytes) {
      spill();
    }
  }

  /** Rows of the table are captured as it is known now; the first that is known counts. */
  void rely(Table table) {
    Table first = relied.putIfAbsent(table.oid(), table);
    doubted |= first != null && !first.version().equals(table.version());
  }

  /**
   * As {@link #rely(Table)}, by a name without a schema.
   *
   * @param before what the name means instead if that exists
   */
  void rely(Table table, List<TableName> before) {
    rely(table);
    for (TableName n : before) {
      named.put(n, table);
    }
  }

  /** Tables that would have been written to instead of others, had they been there. */
  Map<TableName, Table> named() {
    return named;
  }

  /** Whether the next statement that writes to the table is to bring its proof along. */
  boolean wantsProof(Table table) {
    return !doubted && !proven.contains(table.oid());
  }

  /**
   * What {@link io.dualwrite.catalog.Catalog#proof} said: nothing of the table if the transaction's
   * snapshot is older than it.
   */
  void prove(Table table, String proof) {
    int pidAt = proof.indexOf(' ') + 1;
    int end = proof.indexOf(' ', pidAt);
    xid = Long.parseLong(proof, 0, pidAt - 1, 10);
    pid = Integer.parseInt(proof, pidAt, end, 10);
    if (proof.endsWith("t")) {
      proven.add(table.oid());
    } else {
      doubted = true;
    }
  }

  /**
   * What was proven may be so no more: locks were given up, or the transaction itself changes
   * tables.
   */
  void doubt() {
    doubted = true;
  }

  /** Whether every table is what it was taken for, so that nobody needs to ask again. */
  boolean proven() {
    return !doubted && named.isEmpty() && !proven.isEmpty() && proven.size() == relied.size();
  }

  /** What an intent needs to know, so that it can be appended while the connection is busy. */
  void identify(long xid, int pid, String incarnation) {
    this.xid = xid;
    this.pid = pid;
    this.incarnation = incarnation;
  }

  /** The primary's incarnation; null if it was not asked for. */
  String incarnation() {
    return incarnation;
  }

  /** The transaction's id; 0 if it is not known. */
  long xid() {
    return xid;
  }

  /** The primary's process, if the id is known. */
  int pid() {
    return pid;
  }

  /** Values were read as text in formats of the session's own. */
  void markOddFormats() {
    oddFormats = true;
  }

  boolean oddFormats() {
    return oddFormats;
  }

  /** See {@link #rely}. */
  SortedMap<Long, Table> relied() {
    return relied;
  }

  /**
   * Sends what is in memory to the journal, in parts of a size that neither writing nor replaying
   * one needs much memory.
   */
  void spill() throws SQLException {
    while (!changes.isEmpty()) {
      Set<TableName> tables = new LinkedHashSet<>();
      long size = 0;
      int n = 0;
      for (RowChange previous = null; n < changes.size(); n++) {
        RowChange c = changes.get(n);
        if (previous != null
            && size + c.size() > PART_BYTES
            // one TRUNCATE of several tables
            && !(c.kind() == RowChange.Kind.TRUNCATE && previous.kind() == c.kind())) {
          break;
        }
        tables.add(c.table());
        size += c.size();
        previous = c;
      }
      List<RowChange> part = changes.subList(0, n);
      long sequence = spill.append(this, part);
      if (sequence >= 0) {
        parts.add(new Part(sequence, gone, gone + n, tables));
      }
      gone += n;
      bytes -= size;
      part.clear();
    }
  }

  /** A table that may differ afterwards in rows that are not known. */
  void suspect(TableName table, String reason) {
    suspects.putIfAbsent(table, reason);
  }

  /** Where {@link #truncate} goes back to. */
  int mark() {
    return gone + changes.size();
  }

  /**
   * ROLLBACK_TO_TRUNCATES: forgets what came after the mark. Suspects stay: harmless.
   *
   * @return the parts in the journal that come to nothing. One that the mark divides goes as a
   *     whole, and its tables become suspects
   */
  List<Part> truncate(int to) {
    doubt(); // the locks taken since are gone
    if (!Rules.ROLLBACK_TO_TRUNCATES.on()) {
      return List.of();
    }
    int mark = Rules.ROLLBACK_TO_KEEPS.on() ? to : 0;
    while (!changes.isEmpty() && gone + changes.size() > mark) {
      bytes -= changes.remove(changes.size() - 1).size();
    }
    List<Part> dropped = new ArrayList<>();
    for (Iterator<Part> i = parts.iterator(); i.hasNext(); ) {
      Part p = i.next();
      if (p.to > mark) {
        if (p.from < mark) {
          p.tables.forEach(t -> suspect(t, "a savepoint divided what a large transaction wrote"));
        }
        dropped.add(p);
        i.remove();
      }
    }
    gone = Math.min(gone, mark);
    return dropped;
  }

  /** The tables that it has rows of, by the names that they were captured under. */
  Set<TableName> tables() {
    Set<TableName> tables = new LinkedHashSet<>();
    for (RowChange c : changes) {
      if (c.kind() != RowChange.Kind.STATEMENT) {
        tables.add(c.table());
      }
    }
    return tables;
  }

  /** The tables that it truncated, be it taken back since. */
  Set<TableName> truncated() {
    return truncated;
  }

  /** Whether rows of one of these tables without a key were changed or deleted. */
  boolean removes(Set<TableName> tables) {
    return changes.stream()
        .anyMatch(
            c ->
                c.kind() == RowChange.Kind.REMOVE
                    && c.rows().length > 0
                    && tables.contains(c.table()));
  }

  /** Forgets all rows of these tables; only if no part went out. */
  void forget(Set<TableName> tables) {
    for (int i = 0; i < changes.size(); i++) {
      RowChange c = changes.get(i);
      if (tables.contains(c.table())
          && c.kind() != RowChange.Kind.TRUNCATE
          && c.kind() != RowChange.Kind.STATEMENT) {
        bytes -= c.size();
        // marks are numbers of changes: none may go
        changes.set(
            i,
            new RowChange(
                c.kind(), c.table(), c.columns(), c.types(), c.keyColumns(), new String[0][]));
      }
    }
  }

  boolean isEmpty() {
    return changes.isEmpty() && parts.isEmpty() && suspects.isEmpty();
  }

  List<RowChange> changes() {
    return changes;
  }

  List<Part> parts() {
    return parts;
  }

  Map<TableName, String> suspects() {
    return suspects;
  }

  /** Whether a replay must not apply it twice. */
  boolean marked() {
    for (RowChange c : changes) {
      if (c.keyless() || c.kind() == RowChange.Kind.STATEMENT) {
        return true;
      }
    }
    return false;
  }

  /** Whether it holds a statement that travels as text. */
  boolean statements() {
    for (RowChange c : changes) {
      if (c.kind() == RowChange.Kind.STATEMENT) {
        return true;
      }
    }
    return false;
  }

  /** Whether it holds a statement that cannot be flushed within a transaction. */
  boolean alone() {
    for (RowChange c : changes) {
      if (c.alone()) {
        return true;
      }
    }
    return false;
  }

  /** How many rows of the table it holds in memory. */
  long rows(TableName table) {
    long n = 0;
    for (RowChange c : changes) {
      if (c.table().equals(table)) {
        n += c.rows().length;
      }
    }
    return n;
  }
}
