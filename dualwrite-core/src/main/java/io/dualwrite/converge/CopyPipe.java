package io.dualwrite.converge;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.function.IntConsumer;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyOperation;
import org.postgresql.copy.CopyOut;

/**
 * Pipes a COPY TO STDOUT into a COPY FROM STDIN. The bytes are not looked at. Memory: one buffer,
 * or one row if it is larger; the sockets' buffers let both servers work at the same time.
 */
public final class CopyPipe {

  /** One CopyData message per row is what the server sends; fewer, larger ones are sent on. */
  private static final int BUFFER = 1 << 18;

  private CopyPipe() {}

  /**
   * What went through.
   *
   * @param rows rows, as the server that took them counted
   * @param bytes bytes
   */
  public record Moved(long rows, long bytes) {
    /** Both together. */
    public Moved plus(Moved other) {
      return new Moved(rows + other.rows, bytes + other.bytes);
    }
  }

  /**
   * Runs both.
   *
   * @param passing told of bytes before they are sent on; may wait
   * @throws SQLException what either server said; both copies are then cancelled
   */
  public static Moved run(
      Connection source, String out, Connection target, String in, IntConsumer passing)
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
          bytes += send(sink, buffer, used, passing);
          used = 0;
          if (row.length > BUFFER) {
            bytes += send(sink, row, row.length, passing);
            continue;
          }
        }
        System.arraycopy(row, 0, buffer, used, row.length);
        used += row.length;
      }
      bytes += send(sink, buffer, used, passing);
      return new Moved(sink.endCopy(), bytes);
    } catch (SQLException | RuntimeException e) {
      cancel(stream, e);
      cancel(sink, e);
      throw e;
    }
  }

  private static int send(CopyIn sink, byte[] bytes, int length, IntConsumer passing)
      throws SQLException {
    if (length > 0) {
      passing.accept(length);
      sink.writeToCopy(bytes, 0, length);
    }
    return length;
  }

  private static void cancel(CopyOperation copy, Exception cause) {
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
