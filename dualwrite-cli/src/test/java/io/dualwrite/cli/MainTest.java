package io.dualwrite.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;

class MainTest {

  private final StringWriter err = new StringWriter();

  private int run(String... args) {
    return Main.run(new PrintWriter(err, true), args);
  }

  @Test
  void unknownCommandIsAUsageErrorThatNamesTheNearest() {
    assertEquals(ExitCode.USAGE, run("dmo"));
    assertTrue(err.toString().contains("Did you mean: dualwrite demo?"), err.toString());
  }

  @Test
  void noCommandIsAUsageError() {
    assertEquals(ExitCode.USAGE, run());
    assertTrue(err.toString().contains("dualwrite --help"), err.toString());
  }

  @Test
  void valueOutOfRangeIsAUsageErrorThatNamesTheOption() {
    assertEquals(ExitCode.USAGE, run("demo", "--scale", "0"));
    assertTrue(err.toString().contains("--scale is 0.0"), err.toString());
  }
}
