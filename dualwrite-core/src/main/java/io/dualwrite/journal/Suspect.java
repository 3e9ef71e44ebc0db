package io.dualwrite.journal;

import io.dualwrite.catalog.TableName;

/**
 * A table that may differ between the databases, in rows whose keys are not known.
 *
 * @param table the table
 * @param reason why, in one sentence for the operator
 * @param sinceMicros when it was opened first, microseconds since 1970
 * @param incarnation of the primary's server in which {@code xid} means something; empty if no
 *     transaction opened it
 * @param xid the highest primary transaction that opened it. Several may have: only a snapshot
 *     whose {@code pg_snapshot_xmin} is above it sees the end of all of them and may close it. 0 if
 *     it is not known which ones did: then all that are under way may have. {@link #NOBODY} if none
 *     did
 * @param version tells this state of the suspect from a later one, to which was added: see {@link
 *     Journal#closeSuspect}. The journal sets it; 0 in one that is being opened
 */
public record Suspect(
    TableName table, String reason, long sinceMicros, String incarnation, long xid, long version) {

  /** No transaction has to be waited for: the number of one that has ended on every server. */
  public static final long NOBODY = 1;

  private static final String STATEMENTS = "statements of unit ";

  /**
   * Stands for the statements (DDL) of a unit of which no record is left: whether the mirror has
   * what they do only people can tell, and nothing but they close the suspect.
   *
   * @param unit its sequence; 0 for several units
   */
  public static TableName statements(long unit) {
    return new TableName("*", STATEMENTS + (unit == 0 ? "…" : unit));
  }

  /** Whether it stands for statements: see {@link #statements(long)}. */
  public boolean statements() {
    return table.schema().equals("*") && table.name().startsWith(STATEMENTS);
  }

  /** One to be opened. */
  public Suspect(TableName table, String reason, long sinceMicros, String incarnation, long xid) {
    this(table, reason, sinceMicros, incarnation, xid, 0);
  }
}
