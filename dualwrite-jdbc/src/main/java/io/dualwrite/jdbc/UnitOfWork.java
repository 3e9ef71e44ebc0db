package io.dualwrite.jdbc;

import io.dualwrite.catalog.TableName;
import io.dualwrite.journal.RowChange;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** What one transaction wrote so far, in order. Belongs to one connection. */
final class UnitOfWork {

  private final long maxBytes;
  private final List<RowChange> changes = new ArrayList<>();
  private long bytes;

  /** Tables of which more was written than fits: they become suspects. */
  private Set<TableName> tooLarge = Set.of();

  UnitOfWork(long maxBytes) {
    this.maxBytes = maxBytes;
  }

  void add(RowChange change) {
    if (!tooLarge.isEmpty()) {
      tooLarge.add(change.table());
      return;
    }
    changes.add(change);
    bytes += change.size();
    if (bytes > maxBytes) {
      tooLarge = new LinkedHashSet<>();
      changes.forEach(c -> tooLarge.add(c.table()));
      changes.clear();
    }
  }

  /** Where {@link #truncate} goes back to. */
  int mark() {
    return changes.size();
  }

  /**
   * Forgets what came after the mark. What was too large stays a suspect: harmless, and its parts
   * are not known any more.
   */
  void truncate(int mark) {
    while (changes.size() > mark) {
      bytes -= changes.remove(changes.size() - 1).size();
    }
  }

  boolean isEmpty() {
    return changes.isEmpty() && tooLarge.isEmpty();
  }

  List<RowChange> changes() {
    return changes;
  }

  Set<TableName> tooLarge() {
    return tooLarge;
  }

  boolean keyless() {
    for (RowChange c : changes) {
      if (c.keyless()) {
        return true;
      }
    }
    return false;
  }
}
