package io.dualwrite.simulation;

import io.dualwrite.backfill.Backfill;
import io.dualwrite.backfill.BackfillException;
import io.dualwrite.backfill.CopyOptions;
import io.dualwrite.backfill.CopyResult;
import io.dualwrite.backfill.Progress;
import io.dualwrite.backfill.StageOptions;
import io.dualwrite.backfill.VerifyOptions;
import io.dualwrite.backfill.VerifyResult;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * The operator's side: {@code stage}, {@code copy}, {@code repair} and {@code verify}, one for each
 * line that it is told, answered by {@code done} or {@code failed}.
 */
final class Operator {

  private Operator() {}

  /** Arguments as {@link Simulation} gives them; until {@code end}. */
  static void run(Map<String, String> given, BufferedReader in) throws IOException {
    Backfill backfill =
        Backfill.builder()
            .source(given.get("source"), "postgres", "postgres")
            .target(given.get("target"), "postgres", "postgres")
            .build();
    Duration patience = Duration.ofSeconds(3);
    try (Notes notes = new Notes(Path.of(given.get("notes")))) {
      String line;
      while ((line = in.readLine()) != null && !line.equals("end")) {
        String answer;
        notes.add("begins", line);
        try {
          answer =
              switch (line) {
                case "stage" -> {
                  backfill.stage(StageOptions.defaults().withPatience(patience).withChunkRows(50));
                  yield "done";
                }
                case "copy" -> {
                  CopyResult r =
                      backfill.copy(
                          CopyOptions.defaults()
                              .withParallelism(2)
                              .withRetryFailed(true)
                              .withLockTimeout(Duration.ofMillis(100))
                              .withPatience(patience),
                          Progress.none());
                  yield r.complete() ? "done" : "failed " + r;
                }
                default -> {
                  VerifyResult r =
                      backfill.verify(
                          VerifyOptions.defaults()
                              .withParallelism(2)
                              .withRepair(line.equals("repair"))
                              .withRecheck(Duration.ofMillis(300)),
                          Progress.none());
                  yield r.equal() ? "done" : "failed differing: " + differing(r);
                }
              };
        } catch (BackfillException e) {
          answer = "failed " + e.getMessage();
        } catch (RuntimeException e) {
          answer = "broken " + e + " " + List.of(e.getStackTrace());
        }
        answer = answer.replace('\n', ' ');
        notes.add("ends", line + " " + answer);
        Host.say(answer);
      }
    }
  }

  private static String differing(VerifyResult r) {
    return r.tables().stream()
        .filter(t -> !t.equal())
        .map(t -> t.table() + " " + t.differing() + t.error().map(e -> " " + e).orElse(""))
        .collect(Collectors.joining(", "));
  }
}
