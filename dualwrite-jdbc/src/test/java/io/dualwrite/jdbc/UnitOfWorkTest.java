package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.catalog.TableName;
import io.dualwrite.journal.RowChange;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class UnitOfWorkTest {

  private final List<List<RowChange>> written = new ArrayList<>();
  private final UnitOfWork unit =
      new UnitOfWork(
          20 << 20,
          (u, changes) -> {
            written.add(List.copyOf(changes));
            return written.size();
          });

  private void add(int megabytes) throws SQLException {
    unit.add(
        new RowChange(
            RowChange.Kind.INSERT,
            new TableName("public", "t"),
            List.of("v"),
            null,
            List.of(),
            new String[][] {{"v".repeat(megabytes << 20)}}));
  }

  private List<Integer> written() {
    return written.stream().map(List::size).toList();
  }

  @Test
  void whatIsTooLargeGoesInPartsThatANormalHeapCanHold() throws SQLException {
    for (int i = 0; i < 6; i++) {
      add(3);
    }
    assertEquals(List.of(), written, "18 MB of 20 MB");
    add(3);
    assertEquals(List.of(2, 2, 2, 1), written());
    assertTrue(unit.changes().isEmpty());
    add(1);
    add(25); // a change is not divided
    assertEquals(List.of(2, 2, 2, 1, 1, 1), written());
    assertEquals(
        List.of(0, 2, 4, 6, 7, 8), unit.parts().stream().map(UnitOfWork.Part::from).toList());
    assertEquals(9, unit.mark());
  }

  @Test
  void tablesOfOneTruncateStayTogether() throws SQLException {
    add(7);
    unit.add(RowChange.truncate(new TableName("public", "a"), "1:1:" + "x".repeat(2 << 20), "i"));
    unit.add(RowChange.truncate(new TableName("public", "b"), "1:1:" + "x".repeat(7 << 20), "i"));
    unit.spill();
    assertEquals(List.of(1, 2), written());
  }
}
