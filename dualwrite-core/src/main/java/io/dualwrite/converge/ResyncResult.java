package io.dualwrite.converge;

import io.dualwrite.catalog.TableName;
import java.util.Set;

/**
 * What a resync did.
 *
 * @param keys how many keys were looked at, those pulled in by foreign keys and unique indexes
 *     included
 * @param upserted rows written
 * @param deleted rows deleted
 * @param keylessChildren tables without a key whose rows refer to a deleted row by a foreign key
 *     that changes them: the server changed them on the mirror as it did on the primary, but not
 *     provably the same rows; the caller opens a suspect for each
 * @param tables those that the keys are of
 */
public record ResyncResult(
    long keys, long upserted, long deleted, Set<TableName> keylessChildren, Set<TableName> tables) {

  /** Copies the sets. */
  public ResyncResult {
    keylessChildren = Set.copyOf(keylessChildren);
    tables = Set.copyOf(tables);
  }
}
