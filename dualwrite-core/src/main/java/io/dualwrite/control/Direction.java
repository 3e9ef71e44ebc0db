package io.dualwrite.control;

import java.sql.SQLException;

/** Which way rows are brought over, and whether that is still the way. */
public interface Direction {

  /** The side whose rows are read. */
  Side primary();

  /**
   * Asked before each transaction that writes rows to the mirror.
   *
   * @throws SQLException if the roles were exchanged since: nothing more may be written
   */
  void check() throws SQLException;

  /** One that whoever asks for it vouches for. */
  static Direction from(Side primary) {
    return new Direction() {
      @Override
      public Side primary() {
        return primary;
      }

      @Override
      public void check() {}
    };
  }
}
