package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertNull;

import io.dualwrite.embedded.PgServer;
import io.dualwrite.jdbc.KindStage.Variant;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.sql.Savepoint;
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
import java.util.function.BiFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
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
 *
 * <p>Then some of them, drawn by the same seed, share a transaction: what is captured of one must
 * not take the place of what is captured of another ({@code -Ddualwrite.test.kinds.mixes=N}).
 */
class KindsTest {

  private static final long DEADLINE_SECONDS = 90;

  /** One for each major version: they run side by side, and the tests wait for the results. */
  private static final List<ExecutorService> WORKERS = new ArrayList<>();

  private static final List<KindStage> STAGES = new ArrayList<>();

  private static final long SEED = Long.getLong("dualwrite.test.seed", System.nanoTime());
  private static final int MIXES = Integer.getInteger("dualwrite.test.kinds.mixes", 40);

  private static List<Kind> all() {
    Kind.Table all = new Kind.Table();
    KindsOfInsert.in(all);
    KindsOfChange.in(all);
    KindsOfRoutine.in(all);
    KindsOfRelation.in(all);
    KindsOfDefinition.in(all);
    KindsOfSession.in(all);
    KindsOfTransfer.in(all);
    KindsOfType.in(all);
    return all.kinds;
  }

  private static List<Kind> kinds() {
    String only = System.getProperty("dualwrite.test.kinds");
    if (only != null) {
      return all().stream().filter(k -> k.name.contains(only)).toList();
    }
    Random random = new Random(SEED);
    return all().stream().filter(k -> random.nextInt(4) == 0).toList();
  }

  /** Some at a time in one transaction, each in a savepoint, for one may be in another's way. */
  private static List<Kind> mixes(int major) {
    List<Kind> kinds =
        all().stream()
            .filter(k -> k.transactional && !k.fails && !k.structure && k.mode != Kind.Mode.REFUSED)
            .filter(k -> k.ddl == null && k.in.equals("public") && k.since <= major)
            .toList();
    Kind.Table table = new Kind.Table();
    Random random = new Random(SEED);
    for (int i = 0; i < MIXES; i++) {
      List<Kind> some =
          IntStream.range(0, 2 + random.nextInt(3))
              .mapToObj(x -> kinds.get(random.nextInt(kinds.size())))
              .toList();
      Kind mix =
          table
              .suspect(
                  some.stream().map(k -> k.name).collect(Collectors.joining(" + ")),
                  a -> {
                    for (Kind k : some) {
                      together(a, k);
                    }
                  })
              .only(MIXED.get(random.nextInt(MIXED.size())))
              .fails();
      if (some.stream().anyMatch(k -> k.cascades)) {
        mix.cascades();
      }
    }
    return table.kinds;
  }

  private static final List<Variant> MIXED =
      List.of(Variant.PREPARED_IN_TRANSACTION, Variant.AGAIN_AFTER_SAVEPOINT, Variant.TARGET_AWAY);

  private static void together(App a, Kind kind) throws Exception {
    Savepoint s = a.c.setSavepoint();
    boolean[] done = {false};
    a.attempt(
        x -> {
          try {
            kind.body.run(a);
            a.c.releaseSavepoint(s);
            done[0] = true;
          } catch (IOException e) {
            a.see("! " + e.getMessage());
          }
        });
    if (!done[0]) {
      a.c.rollback(s);
    }
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
    System.out.println("seed " + SEED);
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
    BiFunction<Kind, Variant, DynamicTest> test =
        (k, v) -> {
          CompletableFuture<String> result = new CompletableFuture<>();
          tasks.add(() -> complete(worker, stage, major, k, v, result));
          return DynamicTest.dynamicTest(k.name, () -> assertNull(result.get()));
        };
    for (Variant v : variants()) {
      variants.add(
          DynamicContainer.dynamicContainer(
              v.toString(),
              kinds.stream()
                  .filter(k -> k.since <= major && k.variants.contains(v))
                  .map(k -> test.apply(k, v))
                  .toList()));
    }
    variants.add(
        DynamicContainer.dynamicContainer(
            "MIXED",
            mixes(major).stream().map(k -> test.apply(k, k.variants.iterator().next())).toList()));
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
