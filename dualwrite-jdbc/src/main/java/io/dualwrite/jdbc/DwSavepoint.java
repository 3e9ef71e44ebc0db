package io.dualwrite.jdbc;

import java.sql.SQLException;
import java.sql.Savepoint;

/** A savepoint, and the connection's own note of it. */
final class DwSavepoint implements Savepoint {
  final Savepoint raw;
  final DwConnection.Named named;

  DwSavepoint(Savepoint raw, DwConnection.Named named) {
    this.raw = raw;
    this.named = named;
  }

  @Override
  public int getSavepointId() throws SQLException {
    return raw.getSavepointId();
  }

  @Override
  public String getSavepointName() throws SQLException {
    return raw.getSavepointName();
  }
}
