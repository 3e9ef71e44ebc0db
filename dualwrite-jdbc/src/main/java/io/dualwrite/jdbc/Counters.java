package io.dualwrite.jdbc;

import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;

/** What happened to units of work and statements, counted without contention. */
final class Counters {
  final LongAdder units = new LongAdder();
  final LongAdder direct = new LongAdder();
  final LongAdder left = new LongAdder();
  final LongAdder retried = new LongAdder();
  final LongAdder mismatched = new LongAdder();
  final LongAdder unknownOutcome = new LongAdder();
  final LongAdder values = new LongAdder();
  final LongAdder rows = new LongAdder();
  final LongAdder audited = new LongAdder();
  final LongAdder readBack = new LongAdder();
  final LongAdder suspects = new LongAdder();
  final LongAdder spilled = new LongAdder();
  private final Map<Unmirrored, LongAdder> observed = new EnumMap<>(Unmirrored.class);
  private final Map<Unmirrored, LongAdder> refused = new EnumMap<>(Unmirrored.class);
  private final Map<Unmirrored, LongAdder> primaryOnly = new EnumMap<>(Unmirrored.class);

  Counters() {
    for (Unmirrored u : Unmirrored.values()) {
      observed.put(u, new LongAdder());
      refused.put(u, new LongAdder());
      primaryOnly.put(u, new LongAdder());
    }
  }

  void observed(Unmirrored kind) {
    observed.get(kind).increment();
  }

  void refused(Unmirrored kind) {
    refused.get(kind).increment();
  }

  void primaryOnly(Unmirrored kind) {
    primaryOnly.get(kind).increment();
  }

  Map<String, Long> read() {
    Map<String, Long> m = new LinkedHashMap<>();
    m.put("units", units.sum());
    m.put("units.direct", direct.sum());
    m.put("units.left-to-replay", left.sum());
    m.put("flush.retried", retried.sum());
    m.put("flush.count-differed", mismatched.sum());
    m.put("commit.outcome-unknown", unknownOutcome.sum());
    m.put("captured.values", values.sum());
    m.put("captured.rows", rows.sum());
    m.put("captured.read-back", readBack.sum());
    m.put("suspects.opened", suspects.sum());
    m.put("unit.spilled", spilled.sum());
    m.put("audit.uncaptured", audited.sum());
    observed.forEach((k, v) -> m.put("mirrored." + k.key(), v.sum()));
    refused.forEach((k, v) -> m.put("refused." + k.key(), v.sum()));
    primaryOnly.forEach((k, v) -> m.put("primary-only." + k.key(), v.sum()));
    return m;
  }
}
