package io.dualwrite.backfill;

import io.dualwrite.catalog.TableName;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * What a verify found, after re-checks and repairs.
 *
 * @param tables one entry per table, by name
 * @param skipped ranges that were left out, because an earlier verify found them equal
 * @param elapsed how long it took
 */
public record VerifyResult(List<TableResult> tables, long skipped, Duration elapsed) {
  /** Copies the list. */
  public VerifyResult {
    tables = List.copyOf(tables);
  }

  /** Whether every table is equal: the one condition for exit status 0. */
  public boolean equal() {
    return tables.stream().allMatch(TableResult::equal);
  }

  /**
   * One table.
   *
   * @param table its name
   * @param sourceRows rows on the source, as counted while comparing
   * @param targetRows rows on the target
   * @param differing differences that remain, or the bound on them if there are more
   * @param repaired keys (keyless: ranges) that were repaired
   * @param differences the differences that remain, up to the bound
   * @param error why the table could not be compared or repaired, if so
   */
  public record TableResult(
      TableName table,
      long sourceRows,
      long targetRows,
      long differing,
      long repaired,
      List<Difference> differences,
      Optional<String> error) {
    /** Copies the list. */
    public TableResult {
      differences = List.copyOf(differences);
    }

    /** Whether it was compared and nothing differs. */
    public boolean equal() {
      return differing == 0 && error.isEmpty();
    }
  }

  /** How a row differs. */
  public enum Kind {
    /** On the source only. Keyless: more often on the source. */
    MISSING,
    /** On the target only. Keyless: more often on the target. */
    EXTRA,
    /** On both, with different values. Keyed tables only. */
    DIFFERENT,
    /** More than one row with that key on a side, and others on the other. Never repaired. */
    TWICE
  }

  /**
   * One differing row.
   *
   * @param kind how
   * @param key the key's values as text; of a keyless table the row itself, as text
   * @param columns for {@code DIFFERENT}: which columns
   * @param count keyless: by how many rows the counts differ; keyed: 1
   */
  public record Difference(Kind kind, List<String> key, List<String> columns, long count) {
    /** Copies the lists. */
    public Difference {
      key = List.copyOf(key);
      columns = List.copyOf(columns);
    }
  }
}
