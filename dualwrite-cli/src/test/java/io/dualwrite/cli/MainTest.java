package io.dualwrite.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

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

  @ParameterizedTest
  @ValueSource(
      strings = {
        "status --targt postgres://u:topsecret@h/d",
        "status postgres://u:topsecret@h/d",
        "statsu --target postgres://u:topsecret@h/d",
        "status postgre://u:topsecret@h/d",
        "status --target=x -x jdbc:postgresql://h/d?user=u&password=topsecret",
        "copy --parallelism=postgres://u:topsecret@h/d",
        "status --config postgres://u:topsecret@h/d",
        "status -v --config postgres://u:topsecret@h/d",
        "journal list postgres://u:topsecret@h/d",
        "status --target host=h password=topsecret",
        "status --source host=h --target host=h user=u PASSWORD='topsecret'",
        "status --password topsecret",
        "copy --max-rate sslpassword=topsecret"
      })
  void aPasswordInAWrongPlaceIsNotShown(String line) {
    assertNotEquals(ExitCode.DONE, run(line.split(" ")));
    assertFalse(err.toString().contains("topsecret"), err.toString());
    assertTrue(err.toString().startsWith("dualwrite: "), err.toString());
  }
}
