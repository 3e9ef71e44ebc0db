package io.dualwrite.benchmarks;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** A query in autocommit, prepared, executed, read to its end and closed. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class ReadBenchmark {

  /** Who stands before the driver. */
  @Param public Peer peer;

  /** Columns of the result, every other one a number. */
  @Param({"2", "10"})
  public int columns;

  /** Rows of the result. */
  @Param({"1", "100", "1000"})
  public int rows;

  private String sql;
  private Connection connection;

  /** Connects. */
  @Setup
  public void open() throws SQLException {
    sql = Stub.query(columns);
    Stub.rows = rows;
    connection = peer.over(Stub.over(Servers.sourceOfParent(), false)).getConnection();
  }

  /** Disconnects. */
  @TearDown
  public void close() throws SQLException {
    connection.close();
  }

  /** One query. */
  @Benchmark
  public long read() throws SQLException {
    long sum = 0;
    try (PreparedStatement s = connection.prepareStatement(sql)) {
      s.setLong(1, 7);
      try (ResultSet r = s.executeQuery()) {
        while (r.next()) {
          for (int i = 1; i < columns; i += 2) {
            sum += r.getLong(i) + r.getString(i + 1).length();
          }
        }
      }
    }
    return sum;
  }
}
