package io.dualwrite.shadow;

import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.HdrHistogram.AbstractHistogram;
import org.HdrHistogram.IntCountsHistogram;

/** Counts per SQL text. Thread-safe; bounded: past so many texts the rest is counted as one. */
final class Findings {

  private static final int MAX_TEXTS = 500;
  private static final int MAX_DIFFERENCES = 10;
  private static final String OTHERS = "(other queries)";

  /** One SQL text; guarded by the lock. */
  static final class Entry {
    long equal;
    long late;
    long different;
    long undecided;
    long errors;
    String lastError;
    final Map<String, Long> skipped = new TreeMap<>();
    final List<ShadowReport.Difference> differences = new ArrayList<>();
    // microseconds, two digits: some kilobytes each
    private final AbstractHistogram primary = new IntCountsHistogram(2);
    private final AbstractHistogram mirror = new IntCountsHistogram(2);

    void latency(long primaryNanos, long mirrorNanos) {
      primary.recordValue(TimeUnit.NANOSECONDS.toMicros(primaryNanos));
      mirror.recordValue(TimeUnit.NANOSECONDS.toMicros(mirrorNanos));
    }

    void different(List<ShadowReport.Difference> rows) {
      different++;
      for (ShadowReport.Difference d : rows) {
        if (differences.size() < MAX_DIFFERENCES) {
          differences.add(d);
        }
      }
    }

    private static ShadowReport.Latency latency(AbstractHistogram h) {
      return new ShadowReport.Latency(
          h.getTotalCount(),
          Duration.of(h.getValueAtPercentile(50), ChronoUnit.MICROS),
          Duration.of(h.getValueAtPercentile(99), ChronoUnit.MICROS));
    }
  }

  private final ReentrantLock lock = new ReentrantLock();
  private final Map<String, Entry> entries = new LinkedHashMap<>();

  void update(String sql, Consumer<Entry> change) {
    lock.lock();
    try {
      Entry e = entries.get(sql);
      if (e == null) {
        e = entries.computeIfAbsent(entries.size() < MAX_TEXTS ? sql : OTHERS, k -> new Entry());
      }
      change.accept(e);
    } finally {
      lock.unlock();
    }
  }

  ShadowReport report() {
    lock.lock();
    try {
      List<ShadowReport.Query> queries = new ArrayList<>();
      entries.forEach(
          (sql, e) ->
              queries.add(
                  new ShadowReport.Query(
                      sql,
                      e.equal,
                      e.late,
                      e.different,
                      e.undecided,
                      Map.copyOf(e.skipped),
                      e.errors,
                      e.lastError,
                      List.copyOf(e.differences),
                      Entry.latency(e.primary),
                      Entry.latency(e.mirror))));
      queries.sort(Comparator.comparingLong(ShadowReport.Query::compared).reversed());
      return new ShadowReport(queries);
    } finally {
      lock.unlock();
    }
  }
}
