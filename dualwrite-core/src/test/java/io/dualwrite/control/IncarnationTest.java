package io.dualwrite.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.control.Incarnation.Order;
import io.dualwrite.embedded.PgPair;
import java.sql.Connection;
import java.sql.Statement;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class IncarnationTest {

  @ParameterizedTest
  @CsvSource({
    "200.5/00000001/200.5, 200.5/00000001/200.5, SAME, itself",
    "100.5/00000001/100.5, 200.5/00000001/200.5, EARLIER, it was started again",
    "100.5/00000001/100.5, 100.5/00000001/200.5, EARLIER, it crashed and its postmaster did not",
    "100.5/00000001/, 200.5/00000001/, EARLIER, its statistics were never reset",
    "100.5/00000001/100.5, 200.5/00000002/200.5, EARLIER, a standby that started later took over",
    "200.5/00000009/200.5, 300.5/0000000A/300.5, EARLIER, timelines are hexadecimal",
    "200.5/00000001/200.5, 100.5/00000002/100.5, UNKNOWN, a standby that started before took over",
    "300.5/00000001/300.5, 200.5/00000002/200.5, UNKNOWN, the one that was left was started again",
    "200.5/00000001/100.5, 100.5/00000001/200.5, UNKNOWN, at the same time",
    "200.5//200.5, 100.5/00000001/100.5, UNKNOWN, a standby",
    "'', 100.5/00000001/100.5, UNKNOWN, of no server",
    // with the timeline of the last checkpoint
    "200.5/1/200.5, 200.5/00000001/200.5, SAME, the same server as it is called now",
    "200.5/1/200.5, 200.5/00000002/200.5, SAME, it was promoted a moment before",
    "200.5/1/200.5, 200.5/2/200.5, SAME, and called otherwise after its checkpoint",
    "100.5/1/100.5, 200.5/00000001/200.5, EARLIER, started again since",
    "100.5/1/100.5, 200.5/00000002/200.5, EARLIER, a standby that started later took over since",
    "200.5/1/200.5, 100.5/00000002/100.5, UNKNOWN, one that started before took over since",
    "100.5/1/100.5, 200.5/2/200.5, EARLIER, a standby that started later took over",
    "100.5/1/100.5, 200.5/1/200.5, UNKNOWN, either may have been promoted a moment before"
  })
  void order(String a, String b, Order order, String why) {
    assertEquals(order, Incarnation.order(a, b), why);
    Order reverse =
        switch (order) {
          case EARLIER -> Order.LATER;
          case LATER -> Order.EARLIER;
          default -> order;
        };
    assertEquals(reverse, Incarnation.order(b, a), why);
  }

  @ParameterizedTest
  @MethodSource("io.dualwrite.embedded.PgServer#majors")
  void anyRoleCanReadIt(int major) throws Exception {
    PgPair pair = PgPair.shared(major);
    try (Connection c = pair.source();
        Statement s = c.createStatement()) {
      String known = Incarnation.of(c);
      assertTrue(known.matches("[0-9]+\\.[0-9]{6}/0000000[0-9A-F]/([0-9]+\\.[0-9]{6})?"), known);
      s.execute("create role nobody_" + pair.database());
      s.execute("set role nobody_" + pair.database());
      assertEquals(known, Incarnation.of(c));
      s.execute("reset role");
      s.execute("drop role nobody_" + pair.database());
    }
  }
}
