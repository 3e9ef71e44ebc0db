package io.dualwrite.backfill.schema;

import java.nio.file.Path;
import java.util.Optional;

/**
 * How the schema is brought over. Immutable.
 *
 * @param bin where PostgreSQL's client programs are; empty for the PATH and the usual places
 * @param roles whether roles come along
 * @param passwords whether their passwords do; needs a superuser on the source. A dump asks, a
 *     restore has what was dumped
 * @param owners whether owners and privileges of objects come along; else everything belongs to the
 *     role that restores. A dump asks, too
 */
public record SchemaOptions(Optional<Path> bin, boolean roles, boolean passwords, boolean owners) {

  /** Roles without passwords, no owners. */
  public static SchemaOptions defaults() {
    return new SchemaOptions(Optional.empty(), true, false, false);
  }
}
