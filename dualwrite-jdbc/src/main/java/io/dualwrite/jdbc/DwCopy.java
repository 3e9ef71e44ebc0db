package io.dualwrite.jdbc;

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
    return raw instanceof CopyIn in ? new In(in, connection) : new Out((CopyOut) raw, connection);
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
        connection.copied(false, e);
      }
      throw e;
    }
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

    In(CopyIn raw, DwConnection connection) {
      super(raw, connection);
    }

    @Override
    public void writeToCopy(byte[] buffer, int offset, int size) throws SQLException {
      step(
          () -> {
            raw.writeToCopy(buffer, offset, size);
            return null;
          });
    }

    @Override
    public void writeToCopy(ByteStreamWriter from) throws SQLException {
      step(
          () -> {
            raw.writeToCopy(from);
            return null;
          });
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
