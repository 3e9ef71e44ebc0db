package io.dualwrite.benchmarks;

import io.dualwrite.config.Setting;
import io.dualwrite.config.Settings;
import io.dualwrite.jdbc.Assembled;
import io.dualwrite.jdbc.DualWriteDataSource;
import io.dualwrite.journal.ChronicleJournal;
import io.dualwrite.journal.JournalOptions;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
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
 * A transaction of one INSERT, committed: everything that dualwrite does for it while both
 * databases answer in no time. The journal is a real one, not synchronised.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class CommitBenchmark {

  /** What a commit does. */
  public enum Way {
    /** Nothing. */
    RAW,
    /** Appends the intent; nothing is replayed. */
    ASYNC,
    /** Appends the intent, flushes to the mirror, whose commit another thread brings. */
    SYNC
  }

  /** What a commit does. */
  @Param public Way way;

  private Connection connection;
  private long id;

  /** Connects. */
  @Setup
  public void open() throws SQLException {
    DataSource source = Stub.over(Servers.sourceOfParent(), false);
    DataSource target = Stub.over(Servers.targetOfParent(), true);
    Path journal = Scratch.memory();
    DataSource ds;
    switch (way) {
      case RAW -> ds = source;
      case ASYNC -> {
        Settings settings =
            Settings.builder()
                .set(Setting.MIRROR, "async")
                .set(Setting.JOURNAL_DIR, journal)
                .build();
        Assembled a =
            new Assembled(
                settings,
                source,
                target,
                new ForgetfulJournal(ChronicleJournal.open(journal, JournalOptions.defaults())),
                journal);
        await(a::ready);
        ds = a.dataSource();
      }
      case SYNC -> {
        DualWriteDataSource d =
            DualWriteDataSource.builder()
                .source(source)
                .target(target)
                .journal(journal)
                .set(Setting.JOURNAL_MIN_FREE_BYTES, "1MB")
                .build();
        await(() -> Assembled.ready(d));
        ds = d;
      }
      default -> throw new AssertionError(way);
    }
    connection = ds.getConnection();
    connection.setAutoCommit(false);
  }

  static void await(BooleanSupplier ready) {
    while (!ready.getAsBoolean()) {
      LockSupport.parkNanos(1_000_000);
    }
  }

  /** Disconnects. */
  @TearDown
  public void close() throws SQLException {
    connection.close();
  }

  /** One transaction. */
  @Benchmark
  public int commit() throws SQLException {
    int count;
    try (PreparedStatement s = connection.prepareStatement(Stub.INSERT)) {
      s.setLong(1, id++);
      s.setString(2, "a name of some length");
      s.setDouble(3, 1.5);
      count = s.executeUpdate();
    }
    connection.commit();
    return count;
  }
}
