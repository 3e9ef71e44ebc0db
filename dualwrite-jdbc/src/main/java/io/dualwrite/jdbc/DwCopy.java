package io.dualwrite.jdbc;

import java.io.IOException;
import java.io.OutputStream;
import java.sql.SQLException;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyOperation;
import org.postgresql.copy.CopyOut;
import org.postgresql.util.ByteStreamWriter;

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
  void failed(Throwable because) throws SQLException {
    connection.copied(false, because);
  }

  final void notCopied(CopyCapture capture) {
    connection.notCopied(capture);
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

    /** Null when it is over, too. */
    private CopyCapture capture;

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
        Tee tee = new Tee(from, capture);
        step(
            () -> {
              raw.writeToCopy(tee);
              return null;
            });
        if (tee.failure != null) {
          cancel(tee.failure);
          tee.fail();
        }
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
        cancel(e);
        throw e;
      }
    }

    /** It could not be recorded: then it must not be. */
    private void cancel(Exception because) throws SQLException {
      try {
        raw.cancelCopy();
      } catch (SQLException second) {
        because.addSuppressed(second);
      }
      failed(because);
    }

    @Override
    void failed(Throwable because) throws SQLException {
      forget();
      super.failed(because);
    }

    @Override
    void cancelled() throws SQLException {
      forget();
      super.cancelled();
    }

    private void forget() {
      if (capture != null) {
        notCopied(capture);
        capture = null;
      }
    }

    /** Hands bytes to the primary and to the capture, which may fail: not in the middle of them. */
    private static final class Tee implements ByteStreamWriter {
      private final ByteStreamWriter from;
      private final CopyCapture capture;
      private Exception failure;

      Tee(ByteStreamWriter from, CopyCapture capture) {
        this.from = from;
        this.capture = capture;
      }

      private void fail() throws SQLException {
        if (failure instanceof SQLException e) {
          throw e;
        }
        throw (RuntimeException) failure;
      }

      @Override
      public int getLength() {
        return from.getLength();
      }

      @Override
      public void writeTo(ByteStreamTarget target) throws IOException {
        OutputStream out = target.getOutputStream();
        OutputStream both =
            new OutputStream() {
              @Override
              public void write(int b) throws IOException {
                write(new byte[] {(byte) b}, 0, 1);
              }

              @Override
              public void write(byte[] bytes, int offset, int size) throws IOException {
                out.write(bytes, offset, size);
                try {
                  if (failure == null) {
                    capture.write(bytes, offset, size);
                  }
                } catch (SQLException | RuntimeException e) {
                  failure = e;
                }
              }
            };
        from.writeTo(() -> both);
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
          capture = null;
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

  void cancelled() throws SQLException {
    connection.copied(false, null);
  }
}
