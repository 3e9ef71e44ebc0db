package io.dualwrite.simulation;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.util.Map;

/**
 * A process that is a {@link Writer} or an {@link Operator}, one after another: a JVM takes longer
 * to start than a short run to end. Says {@link #IDLE} when it can be the next one.
 */
final class Host {

  static final String IDLE = "idle";

  /** Properties of one life; those of the JVM's own command line stay. */
  private static final String OF_A_LIFE = "dualwrite.test.";

  private static final String[] STEPS = {
    "die-at", "linger-at", "die-in-convergence-at", "linger-in-convergence-at", "healer-rest"
  };

  private Host() {}

  /** Lines as {@link Child#line} makes them, then what each is told. */
  public static void main(String[] args) throws IOException, InterruptedException, SQLException {
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    String line;
    while ((line = in.readLine()) != null) {
      Map<String, String> given = Child.arguments(line);
      for (String step : STEPS) {
        String name = OF_A_LIFE + step;
        if (given.containsKey(name)) {
          System.setProperty(name, given.get(name));
        } else {
          System.clearProperty(name);
        }
      }
      if (given.get("role").equals("writer")) {
        new Writer(given).run(in);
      } else {
        Operator.run(given, in);
      }
      say(IDLE);
    }
  }

  /** Ends the lingering. */
  static void hurry() {
    System.clearProperty(OF_A_LIFE + "linger-at");
    System.clearProperty(OF_A_LIFE + "linger-in-convergence-at");
  }

  static void say(String line) {
    System.out.println(line);
    System.out.flush();
  }
}
