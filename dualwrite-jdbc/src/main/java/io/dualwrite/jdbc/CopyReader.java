package io.dualwrite.jdbc;

import java.sql.SQLException;

/** Reads the rows of a COPY while they go by, in pieces of any length. */
interface CopyReader {

  /** A value of so many bytes is not kept: what follows is not understood. */
  int MAX_VALUE = 64 << 20;

  /** Is given the rows. */
  @FunctionalInterface
  interface Sink {
    /** A row that stays the receiver's. */
    void row(String[] values) throws SQLException;
  }

  /** The next bytes. */
  void write(byte[] bytes, int offset, int size) throws SQLException;

  /** There are no more. */
  void end() throws SQLException;

  /** How many rows there were. */
  long rows();

  /** Whether there was something that is not understood. */
  boolean lost();
}
