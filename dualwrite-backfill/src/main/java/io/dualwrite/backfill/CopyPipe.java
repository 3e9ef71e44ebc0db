package io.dualwrite.backfill;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.function.LongConsumer;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyOut;

/**
 * Pipes a COPY TO STDOUT into a COPY FROM STDIN. The bytes are not looked at. Memory: one buffer,
 * or one row if it is larger; the sockets' buffers let both servers work at the same time.
 */
final class CopyPipe {

  /** One CopyData message per row is what the server sends; fewer, larger ones are sent on. */
  private static final int BUFFER = 1 << 18;

  private CopyPipe() {}

  /** What went through. */
  record Moved(long rows, long bytes) {
    Moved plus(Moved other) {
      return new Moved(rows + other.rows, bytes + other.bytes);
    }
  }

  /**
   * Runs both.
   *
   * @param meter told of the bytes as they go
   * @throws SQLException what either server said; both copies are then cancelled
   */
  static Moved run(
      Connection source,
      String out,
      Connection target,
      String in,
      RateLimit limit,
      LongConsumer meter)
      throws SQLException {
    // the target's side first: while it waits for data it is not idle in its transaction, however
    // long the source takes to find the first row
    CopyIn sink = target.unwrap(PGConnection.class).getCopyAPI().copyIn(in);
    CopyOut stream = null;
    try {
      stream = source.unwrap(PGConnection.class).getCopyAPI().copyOut(out);
      byte[] buffer = new byte[BUFFER];
      int used = 0;
      long bytes = 0;
      for (byte[] row = stream.readFromCopy(); row != null; row = stream.readFromCopy()) {
        if (used + row.length > BUFFER) {
          if (used > 0) {
            limit.pass(used);
            sink.writeToCopy(buffer, 0, used);
            meter.accept(used);
            bytes += used;
            used = 0;
          }
          if (row.length > BUFFER) {
            limit.pass(row.length);
            sink.writeToCopy(row, 0, row.length);
            meter.accept(row.length);
            bytes += row.length;
            continue;
          }
        }
        System.arraycopy(row, 0, buffer, used, row.length);
        used += row.length;
      }
      if (used > 0) {
        limit.pass(used);
        sink.writeToCopy(buffer, 0, used);
        meter.accept(used);
        bytes += used;
      }
      return new Moved(sink.endCopy(), bytes);
    } catch (SQLException | RuntimeException e) {
      cancel(stream, e);
      cancel(sink, e);
      throw e;
    }
  }

  private static void cancel(org.postgresql.copy.CopyOperation copy, Exception cause) {
    if (copy == null || !copy.isActive()) {
      return;
    }
    try {
      copy.cancelCopy();
    } catch (SQLException e) {
      cause.addSuppressed(e);
    }
  }
}
