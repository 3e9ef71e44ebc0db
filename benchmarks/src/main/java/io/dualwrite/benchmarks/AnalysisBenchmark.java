package io.dualwrite.benchmarks;

import io.dualwrite.sql.Sql;
import java.sql.SQLException;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.infra.Blackhole;
import org.postgresql.core.Parser;

/** What the first execution of a text costs before it runs: every statement of a group once. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class AnalysisBenchmark {

  /** Who analyses. */
  public enum Analyzer {
    /** This product: kind, table, columns, operands, keys, functions, hidden writes. */
    DUALWRITE,
    /** The driver's own: parameters and the leading keyword. */
    PGJDBC
  }

  /** Who analyses. */
  @Param public Analyzer analyzer;

  /** Which statements. */
  @Param public Corpus.Group group;

  private List<String> texts;

  /** Reads the corpus. */
  @Setup
  public void read() {
    texts = Corpus.texts(group);
  }

  /** Every statement of the group. */
  @Benchmark
  public void analyze(Blackhole sink) throws SQLException {
    for (String text : texts) {
      sink.consume(
          analyzer == Analyzer.DUALWRITE
              ? Sql.analyze(text)
              : Parser.parseJdbcSql(text, true, true, true, false, true));
    }
  }
}
