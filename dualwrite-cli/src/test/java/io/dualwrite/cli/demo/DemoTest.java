package io.dualwrite.cli.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.cli.ExitCode;
import io.dualwrite.cli.Terminal;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

class DemoTest {

  /** The whole method with every part real; only the application is watched for less long. */
  @Test
  void endsIdenticalWithoutAnyErrorOfTheApplication() throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    Terminal terminal =
        new Terminal(new PrintStream(bytes, true, StandardCharsets.UTF_8), false, false);
    int code;
    try (Demo demo = new Demo(terminal, 42, 2, Duration.ofMillis(700))) {
      code = demo.run(false);
    } finally {
      System.out.println(bytes.toString(StandardCharsets.UTF_8)); // seed 42
    }
    List<String> lines = bytes.toString(StandardCharsets.UTF_8).lines().toList();
    assertEquals(ExitCode.DONE, code);
    assertTrue(lines.get(lines.size() - 1).startsWith("identical"), lines.toString());
    assertTrue(lines.stream().anyMatch(l -> l.contains(" 0 errors")), lines.toString());
  }
}
