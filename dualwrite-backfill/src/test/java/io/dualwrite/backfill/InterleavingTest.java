package io.dualwrite.backfill;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.converge.ConvergenceException;
import io.dualwrite.embedded.PgPair;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;
import org.junit.jupiter.api.Test;

/**
 * Every order of a writer's steps and a chunk's steps, for one row: the writer's are run, flush,
 * commit of the source, commit of the target, and the resync of what did not flush. Each order has
 * a chunk of its own. The build takes a third of them, another one each time; {@code
 * -Ddualwrite.test.orders=all} takes all.
 */
class InterleavingTest {

  private enum Change {
    UPDATE,
    DELETE,
    INSERT,
    REPLACE
  }

  /**
   * Writer step {@code i} happens when the chunk is at step {@code at[i]}; 5 is after its commit.
   */
  private record Order(Change change, boolean there, List<Integer> at) {}

  private static final int AFTER = Steps.Step.values().length;

  /** With hypertables, which cost more, some of them each time. */
  private static final int EVERY = 41;

  private static List<Order> orders() {
    List<Order> result = new ArrayList<>();
    for (int run = 0; run <= AFTER; run++) {
      for (int flush = run; flush <= AFTER; flush++) {
        for (int source = flush; source <= AFTER; source++) {
          for (int target = source; target <= AFTER; target++) {
            for (int heal : new int[] {0, 1, AFTER}) {
              // while the chunk holds its rows a resync can only wait for them
              if (heal < target) {
                continue;
              }
              for (Change c : Change.values()) {
                if ((c == Change.INSERT || c == Change.REPLACE) && flush > run + 1) {
                  continue; // as the others, for the chunk
                }
                result.add(new Order(c, false, List.of(run, flush, source, target, heal)));
                if (c == Change.DELETE || c == Change.UPDATE) {
                  result.add(new Order(c, true, List.of(run, flush, source, target, heal)));
                }
              }
            }
          }
        }
      }
    }
    return result;
  }

  private static final class Run {
    final Order order;
    final TestWriter writer;
    final int id;
    int next;

    Run(Order order, TestWriter writer, int id) {
      this.order = order;
      this.writer = writer;
      this.id = id;
    }

    void upTo(int step) throws SQLException {
      while (next < 5 && order.at.get(next) <= step) {
        switch (next++) {
          case 0 -> change();
          case 1 -> writer.flush();
          case 2 -> writer.commitSource();
          case 3 -> writer.commitTarget();
          default -> {
            try {
              writer.heal();
            } catch (ConvergenceException e) {
              throw new SQLException(e);
            }
          }
        }
      }
    }

    private void change() throws SQLException {
      Map<String, Object> row = new LinkedHashMap<>();
      row.put("id", id);
      row.put("v", "new");
      row.put("u", id);
      TestWriter.Op upsert = new TestWriter.Op("acc", Integer.toString(id), row);
      TestWriter.Op delete = new TestWriter.Op("acc", Integer.toString(id), null);
      switch (order.change) {
        case UPDATE -> assertTrue(writer.run(upsert, false));
        case INSERT -> assertTrue(writer.run(upsert, true));
        case DELETE -> assertTrue(writer.run(delete, false));
        case REPLACE -> {
          assertTrue(writer.run(delete, false));
          assertTrue(writer.run(upsert, true));
        }
      }
    }
  }

  @Test
  void everyOrderEndsEqual() throws Exception {
    List<Order> orders = orders();
    if (!"all".equals(System.getProperty("dualwrite.test.orders"))) {
      long seed = Long.getLong("dualwrite.test.seed", System.nanoTime());
      System.out.println("seed " + seed);
      Random random = new Random(seed);
      orders.removeIf(o -> random.nextInt(3) != 0);
    }
    try (PgPair pair = PgPair.shared();
        TestWriter writer = new TestWriter(pair, 5)) {
      pair.execute("create table acc(id int primary key, v text, u int unique)");
      StringBuilder source = new StringBuilder("insert into acc values (-1, 'edge', -1)");
      StringBuilder target = new StringBuilder("insert into acc values (-1, 'edge', -1)");
      for (int i = 0; i < orders.size(); i++) {
        // each chunk is one row that is always there and one that changes
        source.append(", (").append(2 * i).append(", 'old', ").append(2 * i).append(")");
        if (orders.get(i).change != Change.INSERT) {
          source.append(", (").append(2 * i + 1).append(", 'old', ").append(2 * i + 1).append(")");
        }
        if (orders.get(i).there) {
          target.append(", (").append(2 * i + 1).append(", 'old', ").append(2 * i + 1).append(")");
        }
      }
      pair.executeSource(source.toString());
      pair.executeTarget(target.toString());
      Map<Long, Run> runs = new LinkedHashMap<>();
      List<Run> all = new ArrayList<>();
      Check.backfill(pair).stage(StageOptions.defaults());
      // chunks by the row that is always there, whatever stage would have chosen
      pair.executeTarget(
          "delete from dualwrite.task; insert into dualwrite.task(table_schema, table_name, from_schema, from_name, kind, low, high,"
              + " predicate, serial, estimated_rows, estimated_bytes, level) select 'public', 'acc', 'public', 'acc', 'keyed',"
              + " case when g > 0 then array[(2 * g)::text] end, case when g < "
              + (orders.size() - 1)
              + " then array[(2 * g + 2)::text] end, 'true', false, 2, 1, 0 from generate_series(0, "
              + (orders.size() - 1)
              + ") g order by g");
      long first = Long.parseLong(Check.target(pair, "select min(priority) from dualwrite.task"));
      for (int i = 0; i < orders.size(); i++) {
        Run run = new Run(orders.get(i), writer, 2 * i + 1);
        runs.put(first + i, run);
        all.add(run);
      }
      copy(pair, all, task -> runs.get(task.id()));
      Check.assertEqual(pair);
      // it was worth it: rows were corrected, and chunks gave way
      assertTrue(
          Integer.parseInt(Check.target(pair, "select sum(corrected) from dualwrite.task")) > 5);
      assertTrue(
          Integer.parseInt(Check.target(pair, "select sum(attempts) from dualwrite.task")) > 5);
    }
  }

  /** One worker, one writer: the next chunk's claim ends the writer's part of the one before. */
  private static void copy(PgPair pair, List<Run> all, Function<Task, Run> of) throws SQLException {
    CopyResult r =
        Check.backfill(
                pair,
                (step, task) -> {
                  Run run = of.apply(task);
                  for (Run other : all) {
                    if (other.next > 0 && other != run) {
                      other.upTo(AFTER);
                    }
                  }
                  if (step == Steps.Step.CLAIMED
                      && (task.attempts() > 0
                          || !task.resync().isEmpty()
                          || !task.finish().isEmpty())) {
                    run.upTo(AFTER);
                  } else {
                    run.upTo(List.of(Steps.Step.values()).indexOf(step));
                  }
                })
            .copy(
                CopyOptions.defaults().withParallelism(1).withLockTimeout(Duration.ofMillis(5)),
                Progress.none());
    assertTrue(r.complete(), r.toString());
    for (Run run : all) {
      run.upTo(AFTER);
    }
  }

  /** Chunks of a hypertable: open, compressed and partly compressed ones; with TimescaleDB. */
  @Test
  void ordersOfHypertablesEndEqual() throws Exception {
    List<Order> orders = orders();
    int offset = new Random().nextInt(EVERY);
    System.out.println("every " + EVERY + "th order from " + offset);
    List<Order> some = new ArrayList<>();
    for (int i = offset; i < orders.size(); i += EVERY) {
      some.add(orders.get(i));
    }
    try (PgPair pair =
            Timescale.pair(
                List.of(
                    PgPair.CREATE_TIMESCALEDB,
                    "create table acc(id int primary key, v text, u int)",
                    "select create_hypertable('acc', 'id', chunk_time_interval => 4)",
                    "alter table acc set (timescaledb.compress)"));
        TestWriter writer = new TestWriter(pair, 5)) {
      StringBuilder source = new StringBuilder();
      StringBuilder target = new StringBuilder();
      List<Run> all = new ArrayList<>();
      for (int i = 0; i < some.size(); i++) {
        Order order = some.get(i);
        int id = 4 * i + 1;
        source.append("insert into acc values (").append(4 * i).append(", 'edge', 0);");
        if (order.change != Change.INSERT) {
          source.append("insert into acc values (").append(id).append(", 'old', 0);");
        }
        if (i % 3 > 0) {
          source
              .append("select compress_chunk(c) from show_chunks('acc', newer_than => ")
              .append(4 * i)
              .append(", older_than => ")
              .append(4 * i + 4)
              .append(") c;");
        }
        if (i % 3 > 1) {
          source.append("insert into acc values (").append(4 * i + 2).append(", 'late', 0);");
        }
        if (order.there) {
          target.append("insert into acc values (").append(id).append(", 'old', 0);");
        }
        all.add(new Run(order, writer, id));
      }
      pair.executeSource(source.toString());
      pair.executeTarget(target.toString());
      Map<String, Run> runs = new LinkedHashMap<>();
      try (Connection c = pair.source()) {
        for (List<String> r :
            Sql.rows(
                c,
                "select k.table_name, (k.slices->'id'->>0)::int / 4 from show_chunks('acc') c, _timescaledb_functions.show_chunk(c) k")) {
          runs.put(r.get(0), all.get(Integer.parseInt(r.get(1))));
        }
      }
      Check.backfill(pair).stage(StageOptions.defaults());
      copy(pair, all, task -> runs.get(task.from().name()));
      Timescale.assertEqual(pair, "acc");
      assertTrue(
          Integer.parseInt(Check.target(pair, "select sum(attempts) from dualwrite.task")) > 0);
    }
  }
}
