package io.dualwrite.jdbc;

import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;

/**
 * The generated keys of a batch whose entries were executed one by one, as one result that is read
 * forward.
 */
final class ChainedResultSet extends DwResultSet {

  private final List<ResultSet> parts;
  private int at;

  ChainedResultSet(List<ResultSet> parts, Statement owner) {
    super(parts.get(0), owner);
    this.parts = parts;
  }

  @Override
  public boolean next() throws SQLException {
    while (!raw.next()) {
      if (at + 1 == parts.size()) {
        return false;
      }
      raw = parts.get(++at);
    }
    return true;
  }

  @Override
  public void close() throws SQLException {
    for (ResultSet p : parts) {
      p.close();
    }
  }
}
