package io.dualwrite.journal;

import io.dualwrite.catalog.TableName;
import java.util.List;

/** One thing that a journal's files say, for tools: see {@link JournalReader#forEach}. */
public sealed interface JournalEntry {

  /**
   * A unit of work.
   *
   * @param intent the unit
   */
  record Appended(Intent intent) implements JournalEntry {}

  /**
   * A unit is resolved.
   *
   * @param sequence its sequence
   */
  record Resolved(long sequence) implements JournalEntry {}

  /**
   * A unit's primary transaction is known to have committed.
   *
   * @param sequence its sequence
   */
  record Committed(long sequence) implements JournalEntry {}

  /**
   * A unit was set aside.
   *
   * @param sequence its sequence
   * @param error why
   */
  record Parked(long sequence, String error) implements JournalEntry {}

  /**
   * A unit that was set aside is pending again.
   *
   * @param sequence its sequence
   */
  record Unparked(long sequence) implements JournalEntry {}

  /**
   * A suspect that is open.
   *
   * @param suspect the suspect
   */
  record Open(Suspect suspect) implements JournalEntry {}

  /**
   * Bytes that are not what was written. They became suspects when the application started, or will
   * when it starts next.
   *
   * @param file the file, below the journal's directory {@code runs}; or {@code journal.state},
   *     {@code journal.properties}
   * @param position where in it
   * @param what is wrong
   * @param tables that the lost records named; {@code *.*} if that cannot be read
   * @param settled whether nothing is left to do about it: its tables were made suspects when the
   *     application started, or what was lost does not matter any more
   */
  record Damaged(String file, long position, String what, List<TableName> tables, boolean settled)
      implements JournalEntry {}
}
