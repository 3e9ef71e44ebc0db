package io.dualwrite.journal;

import java.util.List;

/**
 * The journal record of one unit of work, written before the primary commits.
 *
 * @param sequence its number, unique and rising within the writer; taken with {@link
 *     Journal#nextSequence()} before the flush, because the mirror's marker row carries it
 * @param wallMicros the writer's clock when it was made, microseconds since 1970, for people only
 * @param epoch the roles that held: see {@code io.dualwrite.control.Roles}; even: the source was
 *     primary, odd: the target was
 * @param incarnation of the primary's server, in which {@code xid} means something: see {@code
 *     io.dualwrite.control.Incarnation}
 * @param xid the primary transaction's top-level {@code pg_current_xact_id()}
 * @param pid the primary backend's process id, so that {@code status} can name a transaction that
 *     does not end
 * @param changes what the unit wrote, in order
 */
public record Intent(
    long sequence,
    long wallMicros,
    long epoch,
    String incarnation,
    long xid,
    int pid,
    List<RowChange> changes) {

  /** Copies the list. */
  public Intent {
    changes = List.copyOf(changes);
  }

  /**
   * Whether it holds rows of a table without a key, and so needs its marker to be applied exactly
   * once.
   */
  public boolean keyless() {
    for (RowChange c : changes) {
      if (c.keyless()) {
        return true;
      }
    }
    return false;
  }

  /**
   * Whether it holds statements that may give rows another place or another meaning, so that what
   * comes later in the journal must not reach the mirror before them. Those that run in no
   * transaction do not (CREATE INDEX CONCURRENTLY, which may take hours), but for ALTER TABLE …
   * DETACH PARTITION … CONCURRENTLY.
   */
  public boolean barrier() {
    for (RowChange c : changes) {
      if (c.kind() == RowChange.Kind.STATEMENT && (!c.alone() || c.alters())) {
        return true;
      }
    }
    return false;
  }

  /** Whether it holds statements that travel as text. */
  public boolean statements() {
    for (RowChange c : changes) {
      if (c.kind() == RowChange.Kind.STATEMENT) {
        return true;
      }
    }
    return false;
  }
}
