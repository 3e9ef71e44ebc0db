package io.dualwrite.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.control.Phase;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Properties;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.postgresql.PGProperty;

class SettingsTest {

  private static Properties properties(String... keysAndValues) {
    Properties p = new Properties();
    for (int i = 0; i < keysAndValues.length; i += 2) {
      p.setProperty(keysAndValues[i], keysAndValues[i + 1]);
    }
    return p;
  }

  private static String refused(Setting setting, String value) {
    return assertThrows(
            IllegalArgumentException.class, () -> Settings.builder().set(setting, value))
        .getMessage();
  }

  @ParameterizedTest
  @EnumSource(Setting.class)
  void everySettingIsWellFormed(Setting s) {
    assertTrue(s.key().matches("dualwrite(\\.[a-z]+(-[a-z]+)*)+"), s.key());
    assertTrue(s.documentation().endsWith(".") || s.documentation().endsWith("…"), s.key());
    assertEquals(s.type() == Setting.Type.CHOICE, !s.choices().isEmpty());
    s.defaultValue()
        .ifPresent(
            d ->
                assertEquals(d, Settings.builder().set(s, d).build().string(s), "its own default"));
    assertEquals(s, Setting.valueOf(s.name()));
  }

  @Test
  void noKeyOfOursIsOneOfTheDriverWhenThePrefixIsLeftOut() {
    Set<String> keys = new HashSet<>();
    for (Setting s : Setting.values()) {
      assertTrue(keys.add(s.key()), s.key());
      assertNull(PGProperty.forName(s.shortKey()), s.key());
    }
    for (PGProperty p : PGProperty.values()) {
      assertFalse(p.getName().contains("."), p.getName());
    }
  }

  @Test
  void thePhasesAreThoseOfTheControlPlane() {
    assertEquals(
        Arrays.stream(Phase.values()).map(Phase::toString).toList(), Setting.PHASE.choices());
  }

  @Test
  void defaultsAreThoseOfTheDesign() {
    Settings s = Settings.builder().build();
    assertEquals(Duration.ofMillis(250), s.duration(Setting.MIRROR_CONNECTION_TIMEOUT));
    assertEquals(Duration.ofSeconds(1), s.duration(Setting.MIRROR_FLUSH_TIMEOUT));
    assertEquals(64L << 20, s.bytes(Setting.UNIT_MAX_BYTES));
    assertEquals(10, s.integer(Setting.MIRROR_POOL_SIZE));
    assertEquals(4096, s.integer(Setting.STATEMENT_CACHE));
    assertEquals(0.0, s.rate(Setting.SHADOW_SAMPLE_RATE));
    assertEquals("none", s.choice(Setting.JOURNAL_SYNC));
    assertEquals("dual-write", s.choice(Setting.PHASE));
    assertFalse(s.bool(Setting.AUDIT));
    assertFalse(s.isSet(Setting.AUDIT));
    assertNull(s.string(Setting.SOURCE_URL));
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0",
    "65536, 65536",
    "1B, 1",
    "512kB, 524288",
    "64MB, 67108864",
    "64 mb, 67108864",
    "1GB, 1073741824",
    "2TB, 2199023255552"
  })
  void bytes(String text, long expected) {
    assertEquals(
        expected,
        Settings.builder().set(Setting.UNIT_MAX_BYTES, text).build().bytes(Setting.UNIT_MAX_BYTES));
  }

  @ParameterizedTest
  @CsvSource({
    "250ms, 250",
    "5s, 5000",
    "5 s, 5000",
    "2m, 120000",
    "2min, 120000",
    "1h, 3600000",
    "1d, 86400000",
    "PT0.25S, 250"
  })
  void durations(String text, long millis) {
    assertEquals(
        Duration.ofMillis(millis),
        Settings.builder().set(Setting.BREAKER_OPEN, text).build().duration(Setting.BREAKER_OPEN));
  }

  @Test
  void aBadValueIsNamedTogetherWithWhatIsAllowed() {
    assertEquals(
        "dualwrite.shadow.sample-rate is '1.5'; it must be a number from 0 to 1",
        refused(Setting.SHADOW_SAMPLE_RATE, "1.5"));
    assertEquals(
        "dualwrite.shadow.sample-rate is 'NaN'; it must be a number from 0 to 1",
        refused(Setting.SHADOW_SAMPLE_RATE, "NaN"));
    assertEquals(
        "dualwrite.mirror is 'fast'; it must be one of sync, async",
        refused(Setting.MIRROR, "fast"));
    assertEquals(
        "dualwrite.mirror.pool-size is '0'; it must be a whole number from 1 to 10000",
        refused(Setting.MIRROR_POOL_SIZE, "0"));
    assertEquals("dualwrite.audit is '1'; it must be true or false", refused(Setting.AUDIT, "1"));
    for (String bad :
        new String[] {"250", "0s", "-1s", "5 parsecs", "ms", "PT0S", "99999999999999d"}) {
      assertEquals(
          "dualwrite.breaker.open is '"
              + bad
              + "'; it must be a time above zero with its unit, such as 250ms, 5s, 2m or 1h",
          refused(Setting.BREAKER_OPEN, bad));
    }
    for (String bad :
        new String[] {"-1", "1.5GB", "64 megs", "99999999999TB", "9223372036854775808"}) {
      assertEquals(
          "dualwrite.unit.max-bytes is '"
              + bad
              + "'; it must be a number of bytes such as 65536, 512kB, 64MB or 1GB",
          refused(Setting.UNIT_MAX_BYTES, bad));
    }
    assertEquals(
        "dualwrite.source.url: this is no connection string: it must begin with postgres:// or"
            + " jdbc:postgresql:",
        refused(Setting.SOURCE_URL, "mysql://h/d"));
  }

  @Test
  void anUnknownKeyIsRefusedAndTheNearestNamed() {
    for (boolean prefixOptional : new boolean[] {true, false}) {
      assertEquals(
          "there is no setting 'dualwrite.jounal.dir'; the nearest is dualwrite.journal.dir",
          assertThrows(
                  IllegalArgumentException.class,
                  () -> Settings.from(properties("dualwrite.jounal.dir", "/j"), prefixOptional))
              .getMessage());
    }
    assertEquals(
        "there is no setting 'dualwrite.source.ulr'; the nearest is dualwrite.source.url",
        assertThrows(
                IllegalArgumentException.class,
                () -> Settings.from(properties("source.ulr", "jdbc:postgresql:x"), true))
            .getMessage());
  }

  @Test
  void withoutThePrefixKeysThatAreNotOursReachTheDriver() {
    Properties p =
        properties(
            "source.url",
            "jdbc:postgresql://a/b",
            "mirror",
            "async",
            "prepareThreshold",
            "3",
            "password",
            "hunter2");
    Settings s = Settings.from(p, true);
    assertEquals("async", s.choice(Setting.MIRROR));
    assertEquals("jdbc:postgresql://a/b", s.source().jdbcUrl());
    assertEquals(properties("prepareThreshold", "3", "password", "hunter2"), s.driverProperties());
    Settings strict = Settings.from(p, false);
    assertEquals("sync", strict.choice(Setting.MIRROR));
    assertTrue(strict.driverProperties().isEmpty());
  }

  @Test
  void inheritedDefaultsOfThePropertiesCount() {
    Properties p = new Properties(properties("dualwrite.mirror", "async"));
    assertEquals("async", Settings.from(p, true).choice(Setting.MIRROR));
  }

  @Test
  void credentialsOfTheSettingsGoBeforeThoseOfTheUrl() {
    Settings s =
        Settings.builder()
            .set(Setting.SOURCE_URL, "postgres://u:p@h/d")
            .set(Setting.SOURCE_USERNAME, "v")
            .set(Setting.TARGET_URL, "postgres://u:p@h/d")
            .set(Setting.TARGET_PASSWORD, "")
            .build();
    assertEquals(properties("user", "v", "password", "p"), s.source().credentials());
    assertEquals(properties("user", "u", "password", ""), s.target().credentials());
  }

  @Test
  void whatIsRequiredAndMissingIsNamed() {
    assertEquals(
        "dualwrite.journal.dir is not set: The directory of this process's journal, on a local"
            + " disk; one process may use it.",
        assertThrows(
                IllegalArgumentException.class,
                () ->
                    Settings.builder()
                        .set(Setting.JOURNAL_DIR, " ")
                        .build()
                        .require(Setting.JOURNAL_DIR))
            .getMessage());
  }

  @Test
  void noSecretIsShown() {
    Settings s =
        Settings.from(
            properties(
                "source.url", "postgres://u:hunter2@h/d",
                "target.url", "jdbc:postgresql://h/d?user=u&password=hunter2",
                "target.password", "hunter2",
                "sslpassword", "hunter2",
                "sslmode", "require"),
            true);
    assertFalse(s.toString().contains("hunter2"), s.toString());
    assertTrue(s.toString().contains("postgres://u:***@h/d"), s.toString());
    assertTrue(s.toString().contains("sslmode=require"), s.toString());
  }

  @Test
  void aFileIsReadInUtf8AndNamedInErrors(@TempDir Path dir) throws Exception {
    Path file = dir.resolve("x.properties");
    Files.writeString(file, "dualwrite.journal.dir=/tmp/jö\nsource.url=postgres://h/d\n");
    Settings s = Settings.load(file);
    assertEquals("/tmp/jö", s.string(Setting.JOURNAL_DIR));
    assertEquals("postgres://h/d", s.string(Setting.SOURCE_URL));
    Files.writeString(file, "mirror=maybe");
    assertEquals(
        file + ": dualwrite.mirror is 'maybe'; it must be one of sync, async",
        assertThrows(IllegalArgumentException.class, () -> Settings.load(file)).getMessage());
    Path missing = dir.resolve("none.properties");
    assertTrue(
        assertThrows(IllegalArgumentException.class, () -> Settings.load(missing))
            .getMessage()
            .startsWith("cannot read the settings file " + missing));
  }

  @Test
  void aBuilderFromSettingsChangesACopy() {
    Settings a = Settings.builder().set(Setting.AUDIT, true).driverProperty("k", "v").build();
    Settings b = a.toBuilder().set(Setting.SHADOW_QUEUE, 7L).build();
    assertFalse(a.isSet(Setting.SHADOW_QUEUE));
    assertEquals(7, b.integer(Setting.SHADOW_QUEUE));
    assertTrue(b.bool(Setting.AUDIT));
    assertEquals(a, b.toBuilder().set(Setting.SHADOW_QUEUE, (String) null).build());
  }
}
