package io.dualwrite.simulation;

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;

/** For work on the simulation itself: {@code first-seed count seconds [rules-off]}. */
final class Main {

  private Main() {}

  public static void main(String[] args) throws Exception {
    if (args[0].equals("teeth")) {
      PrintWriter out = new PrintWriter(System.out, true, StandardCharsets.UTF_8);
      Duration length = Duration.ofMillis((long) (Double.parseDouble(args[2]) * 1000));
      System.exit(
          new Teeth(out, length, Integer.parseInt(args[1]))
                  .run(List.of(args).subList(3, args.length))
              ? 0
              : 1);
    }
    boolean equal = true;
    try (Runs runs =
        new Runs(new PrintWriter(System.out, true, StandardCharsets.UTF_8), args.length > 3 ? args[3] : "")) {
      for (long s = Long.parseLong(args[0]), n = Long.parseLong(args[1]); n > 0; s++, n--) {
        equal &= runs.run(s, Duration.ofMillis((long) (Double.parseDouble(args[2]) * 1000)));
      }
    }
    System.exit(equal ? 0 : 1);
  }
}
