package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertNull;

import io.dualwrite.embedded.PgServer;
import io.dualwrite.jdbc.KindStage.Variant;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.DynamicNode;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * G1 to G5 for every kind of write that PostgreSQL and its driver know: each runs on the driver
 * alone and through dualwrite, in every circumstance of {@link Variant}, on every major version of
 * {@code dualwrite.test.pg}. Whatever the application can observe has to be the same, and then both
 * databases have to be equal, row by row.
 *
 * <p>All of them take several minutes, so that a build draws a quarter, another one each time
 * ({@code dualwrite.test.seed} repeats it). {@code -Ddualwrite.test.kinds=} runs all, {@code =text}
 * those whose name contains the text. What was not as promised is also listed in {@code
 * target/kinds-<version>.txt}. Each kind runs as a plain statement; {@code
 * -Ddualwrite.test.kinds.variants=all}, or a list of them, runs the others.
 */
class KindsTest {

  private static final long DEADLINE_SECONDS = 90;

  /** One for each major version: they run side by side, and the tests wait for the results. */
  private static final List<ExecutorService> WORKERS = new ArrayList<>();

  private static final List<KindStage> STAGES = new ArrayList<>();

  private static List<Kind> kinds() {
    Kind.Table all = new Kind.Table();
    KindsOfInsert.in(all);
    KindsOfChange.in(all);
    KindsOfRoutine.in(all);
    KindsOfRelation.in(all);
    KindsOfDefinition.in(all);
    KindsOfSession.in(all);
    KindsOfTransfer.in(all);
    KindsOfType.in(all);
    String only = System.getProperty("dualwrite.test.kinds");
    if (only != null) {
      return all.kinds.stream().filter(k -> k.name.contains(only)).toList();
    }
    long seed = Long.getLong("dualwrite.test.seed", System.nanoTime());
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    return all.kinds.stream().filter(k -> random.nextInt(4) == 0).toList();
  }

  private static Set<Variant> variants() {
    String wanted = System.getProperty("dualwrite.test.kinds.variants", "STATEMENT");
    return wanted.equals("all")
        ? EnumSet.allOf(Variant.class)
        : Arrays.stream(wanted.split(",", -1))
            .map(Variant::valueOf)
            .collect(Collectors.toCollection(() -> EnumSet.noneOf(Variant.class)));
  }

  @TestFactory
  Stream<DynamicNode> kindsOfWrites() {
    List<Kind> kinds = kinds();
    return PgServer.majors().stream().map(m -> onMajor(m, kinds)).toList().stream();
  }

  private static DynamicNode onMajor(int major, List<Kind> kinds) {
    ExecutorService worker =
        Executors.newCachedThreadPool(
            r -> {
              Thread t = new Thread(r, "kinds-" + major);
              t.setDaemon(true);
              return t;
            });
    WORKERS.add(worker);
    List<DynamicNode> variants = new ArrayList<>();
    List<Runnable> tasks = new ArrayList<>();
    KindStage[] stage = {null};
    for (Variant v : variants()) {
      List<DynamicTest> tests = new ArrayList<>();
      for (Kind k : kinds) {
        if (k.since > major || !k.variants.contains(v)) {
          continue;
        }
        CompletableFuture<String> result = new CompletableFuture<>();
        tasks.add(() -> complete(worker, stage, major, k, v, result));
        tests.add(DynamicTest.dynamicTest(k.name, () -> assertNull(result.get())));
      }
      variants.add(DynamicContainer.dynamicContainer(v.toString(), tests));
    }
    worker.execute(
        () -> {
          Path list = Path.of("target", "kinds-" + major + ".txt");
          try {
            Files.deleteIfExists(list);
            stage[0] = new KindStage(major);
            STAGES.add(stage[0]);
            tasks.forEach(Runnable::run);
          } catch (Exception | Error e) {
            stage[0] = null;
            e.printStackTrace();
            tasks.forEach(Runnable::run);
          }
        });
    return DynamicContainer.dynamicContainer("PostgreSQL " + major, variants);
  }

  private static void complete(
      ExecutorService worker,
      KindStage[] stage,
      int major,
      Kind kind,
      Variant variant,
      CompletableFuture<String> result) {
    if (stage[0] == null) {
      result.complete("there is no stage: see the error of the first kind that was under way");
      return;
    }
    FutureTask<String> run = new FutureTask<>(() -> stage[0].run(kind, variant));
    worker.execute(run);
    long start = System.nanoTime();
    String problem;
    try {
      problem = run.get(DEADLINE_SECONDS, TimeUnit.SECONDS);
      result.complete(problem);
    } catch (TimeoutException e) {
      problem = "HANGS";
      result.complete(problem);
      stage[0] = null; // its connections are not to be trusted
    } catch (Exception e) {
      problem = "THREW " + e.getCause();
      result.completeExceptionally(e.getCause() == null ? e : e.getCause());
    }
    if (problem != null) {
      long millis = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start);
      String line = kind.name + "\t" + kind.mode + "\t" + variant + "\t" + problem + "\t" + millis;
      try {
        Files.writeString(
            Path.of("target", "kinds-" + major + ".txt"),
            line.replace('\n', ' ') + "\n",
            StandardOpenOption.CREATE,
            StandardOpenOption.APPEND);
      } catch (IOException e) {
        throw new java.io.UncheckedIOException(e);
      }
    }
  }

  @AfterAll
  static void stop() throws Exception {
    for (ExecutorService w : WORKERS) {
      w.shutdownNow();
    }
    for (KindStage s : STAGES) {
      s.close();
    }
  }
}
