package io.dualwrite.converge;

import java.sql.Connection;
import java.sql.SQLException;
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

  /** Told of what is about to be sent on; may wait. */
  @FunctionalInterface
  public interface Passing {
    /** So many rows of so many bytes, give or take a header. */
    void of(int rows, int bytes) throws SQLException;
  }

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
   * @param atOnce how many rows are sent on at once at most
   * @param passing told of what is sent on
   * @throws SQLException what either server said; both copies are then cancelled
   */
  public static Moved run(
      Connection source, String out, Connection target, String in, int atOnce, Passing passing)
      throws SQLException {
    // the target's side first: while it waits for data it is not idle in its transaction, however
    // long the source takes to find the first row
    CopyIn sink = target.unwrap(PGConnection.class).getCopyAPI().copyIn(in);
    CopyOut stream = null;
    try {
      stream = source.unwrap(PGConnection.class).getCopyAPI().copyOut(out);
      byte[] buffer = new byte[BUFFER];
      int used = 0;
      int rows = 0;
      long bytes = 0;
      for (byte[] row = stream.readFromCopy(); row != null; row = stream.readFromCopy()) {
        if (used + row.length > BUFFER || rows == atOnce) {
          bytes += send(sink, buffer, used, rows, passing);
          used = 0;
          rows = 0;
          if (row.length > BUFFER) {
            bytes += send(sink, row, row.length, 1, passing);
            continue;
          }
        }
        System.arraycopy(row, 0, buffer, used, row.length);
        used += row.length;
        rows++;
      }
      bytes += send(sink, buffer, used, rows, passing);
      return new Moved(sink.endCopy(), bytes);
    } catch (SQLException | RuntimeException e) {
      cancel(stream, e);
      cancel(sink, e);
      throw e;
    }
  }

  private static int send(CopyIn sink, byte[] bytes, int length, int rows, Passing passing)
      throws SQLException {
    if (length > 0) {
      passing.of(rows, length);
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
