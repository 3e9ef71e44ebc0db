package io.dualwrite.benchmarks;

import io.dualwrite.catalog.TableName;
import io.dualwrite.journal.ChronicleJournal;
import io.dualwrite.journal.Intent;
import io.dualwrite.journal.Journal;
import io.dualwrite.journal.JournalOptions;
import io.dualwrite.journal.JournalOptions.Sync;
import io.dualwrite.journal.RowChange;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** An intent of one row in the journal, from its number to its resolution: two records. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class JournalBenchmark {

  /** Columns of the row, ten characters each. */
  @Param({"3", "50"})
  public int columns;

  /** What the append waits for. */
  @Param({"NONE", "COMMIT"})
  public Sync sync;

  private Journal journal;
  private List<RowChange> changes;

  /** Opens the journal. */
  @Setup
  public void open() {
    journal =
        ChronicleJournal.open(
            sync == Sync.NONE ? Scratch.memory() : Scratch.directory(),
            JournalOptions.builder().sync(sync).build());
    String[] row = IntStream.range(0, columns).mapToObj(i -> "0123456789").toArray(String[]::new);
    changes =
        List.of(
            new RowChange(
                RowChange.Kind.UPSERT,
                new TableName("public", "written"),
                IntStream.range(0, columns).mapToObj(i -> "column" + i).toList(),
                null,
                List.of("column0"),
                new String[][] {row}));
  }

  /** Closes the journal. */
  @TearDown
  public void close() {
    journal.close();
  }

  /** One intent. */
  @Benchmark
  public boolean append() {
    long sequence = journal.nextSequence();
    boolean recorded =
        journal.append(new Intent(sequence, 1, 0, "7300000000000000000/1", 1000, 1, changes));
    journal.resolved(sequence);
    return recorded;
  }
}
