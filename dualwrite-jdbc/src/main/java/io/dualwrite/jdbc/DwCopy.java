package io.dualwrite.jdbc;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.sql.SQLException;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyOperation;
import org.postgresql.copy.CopyOut;
import org.postgresql.util.ByteStreamWriter;
import org.postgresql.util.PSQLException;
import org.postgresql.util.PSQLState;

/**
 * A COPY that may write. In autocommit it is a transaction of ours, which ends when the copy does:
 * committed, with all that the rows need on the mirror, or rolled back.
 */
abstract class DwCopy<C extends CopyOperation> implements CopyOperation {

  final C raw;
  private final DwConnection connection;

  DwCopy(C raw, DwConnection connection) {
    this.raw = raw;
    this.connection = connection;
  }

  static CopyOperation of(CopyOperation raw, DwConnection connection) throws SQLException {
    if (raw instanceof CopyIn in && raw instanceof CopyOut) {
      in.cancelCopy();
      throw Refusal.of(DwQueryExecutor.REPLICATION);
    }
    return raw instanceof CopyIn in
        ? new In(in, connection, null)
        : new Out((CopyOut) raw, connection);
  }

  /** Of a COPY that is captured from what it sends. */
  static CopyOperation of(CopyIn raw, DwConnection connection, CopyCapture capture) {
    return new In(raw, connection, capture);
  }

  /** One step of the protocol. */
  @FunctionalInterface
  interface Step<T> {
    T take() throws SQLException;
  }

  /** A step after which the copy may have failed, and its transaction with it. */
  final <T> T step(Step<T> step) throws SQLException {
    try {
      return step.take();
    } catch (SQLException | RuntimeException e) {
      if (!raw.isActive()) {
        failed(e);
      }
      throw e;
    }
  }

  /** It came to nothing. */
  final void failed(Throwable because) throws SQLException {
    connection.copied(false, because);
  }

  final void sent(CopyCapture capture, long rows) throws SQLException {
    connection.sent(capture, rows);
  }

  /** The copy is over. */
  final void end() throws SQLException {
    connection.copied(true, null);
  }

  @Override
  public int getFieldCount() {
    return raw.getFieldCount();
  }

  @Override
  public int getFormat() {
    return raw.getFormat();
  }

  @Override
  public int getFieldFormat(int field) {
    return raw.getFieldFormat(field);
  }

  @Override
  public boolean isActive() {
    return raw.isActive();
  }

  @Override
  public long getHandledRowCount() {
    return raw.getHandledRowCount();
  }

  /** COPY … FROM STDIN. */
  private static final class In extends DwCopy<CopyIn> implements CopyIn {

    private final CopyCapture capture;

    In(CopyIn raw, DwConnection connection, CopyCapture capture) {
      super(raw, connection);
      this.capture = capture;
    }

    @Override
    public void writeToCopy(byte[] buffer, int offset, int size) throws SQLException {
      step(
          () -> {
            raw.writeToCopy(buffer, offset, size);
            return null;
          });
      if (capture != null) {
        capture(buffer, offset, size);
      }
    }

    @Override
    public void writeToCopy(ByteStreamWriter from) throws SQLException {
      if (capture != null) {
        Bytes all = new Bytes();
        try {
          from.writeTo(() -> all);
        } catch (IOException e) {
          throw new PSQLException(
              "the rows of a COPY could not be written", PSQLState.CONNECTION_FAILURE, e);
        }
        writeToCopy(all.array(), 0, all.size());
        return;
      }
      step(
          () -> {
            raw.writeToCopy(from);
            return null;
          });
    }

    private void capture(byte[] buffer, int offset, int size) throws SQLException {
      try {
        capture.write(buffer, offset, size);
      } catch (SQLException | RuntimeException e) {
        // it could not be recorded: then it must not be
        try {
          raw.cancelCopy();
        } catch (SQLException second) {
          e.addSuppressed(second);
        }
        failed(e);
        throw e;
      }
    }

    /** Its own array, not a copy of it. */
    private static final class Bytes extends ByteArrayOutputStream {
      byte[] array() {
        return buf;
      }
    }

    @Override
    public void flushCopy() throws SQLException {
      step(
          () -> {
            raw.flushCopy();
            return null;
          });
    }

    @Override
    public long endCopy() throws SQLException {
      long rows = step(raw::endCopy);
      if (capture != null) {
        try {
          sent(capture, rows);
        } catch (SQLException | RuntimeException e) {
          failed(e);
          throw e;
        }
      }
      end();
      return rows;
    }

    @Override
    public void cancelCopy() throws SQLException {
      step(
          () -> {
            raw.cancelCopy();
            return null;
          });
      cancelled();
    }
  }

  /** COPY … TO STDOUT of a query that may write. */
  private static final class Out extends DwCopy<CopyOut> implements CopyOut {

    Out(CopyOut raw, DwConnection connection) {
      super(raw, connection);
    }

    @Override
    public byte[] readFromCopy() throws SQLException {
      return readFromCopy(true);
    }

    @Override
    public byte[] readFromCopy(boolean block) throws SQLException {
      byte[] data = step(() -> raw.readFromCopy(block));
      if (data == null && !raw.isActive()) {
        end();
      }
      return data;
    }

    /** The server is asked to stop; that it did shows when one reads on. */
    @Override
    public void cancelCopy() throws SQLException {
      step(
          () -> {
            raw.cancelCopy();
            return null;
          });
      if (!raw.isActive()) {
        cancelled();
      }
    }
  }

  final void cancelled() throws SQLException {
    connection.copied(false, null);
  }
}
