package io.dualwrite.benchmarks;

import io.dualwrite.jdbc.Assembled;
import io.dualwrite.jdbc.DualWriteDataSource;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * An INSERT of three values, prepared, executed and closed, and its transaction rolled back: what
 * dualwrite does here is the capture, which the others have not.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class WriteBenchmark {

  /** Who stands before the driver. */
  @Param public Peer peer;

  private Connection connection;
  private long id;

  /** Connects. */
  @Setup
  public void open() throws SQLException {
    DataSource ds = peer.over(Stub.over(Servers.sourceOfParent(), false));
    if (ds instanceof DualWriteDataSource d) {
      CommitBenchmark.await(() -> Assembled.ready(d));
    }
    connection = ds.getConnection();
    connection.setAutoCommit(false);
  }

  /** Disconnects. */
  @TearDown
  public void close() throws SQLException {
    connection.close();
  }

  /** One transaction. */
  @Benchmark
  public int write() throws SQLException {
    int count;
    try (PreparedStatement s = connection.prepareStatement(Stub.INSERT)) {
      s.setLong(1, id++);
      s.setString(2, "a name of some length");
      s.setDouble(3, 1.5);
      count = s.executeUpdate();
    }
    connection.rollback();
    return count;
  }
}
