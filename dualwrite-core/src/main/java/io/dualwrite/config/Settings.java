package io.dualwrite.config;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collections;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Values of the {@link Setting settings}, checked when they are set. Immutable.
 *
 * <p>A blank value means that the setting is not set (an environment variable that is not there
 * often arrives so); only a password may be empty.
 */
public final class Settings {

  private static final Map<String, Setting> BY_KEY =
      Stream.of(Setting.values()).collect(Collectors.toUnmodifiableMap(Setting::key, s -> s));

  /** The first parts of our keys of several parts: {@code source}, {@code journal}, …. */
  private static final Set<String> SECTIONS =
      Stream.of(Setting.values())
          .map(Setting::shortKey)
          .filter(k -> k.indexOf('.') > 0)
          .map(k -> k.substring(0, k.indexOf('.')))
          .collect(Collectors.toUnmodifiableSet());

  private static final Map<Setting, Object> DEFAULTS = defaults();

  private final Map<Setting, String> texts;
  private final Map<Setting, Object> values;
  private final Map<String, String> driver;

  private Settings(Builder b) {
    texts = new EnumMap<>(b.texts);
    values = new EnumMap<>(b.values);
    driver = Collections.unmodifiableMap(new TreeMap<>(b.driver));
  }

  private static Map<Setting, Object> defaults() {
    Map<Setting, Object> d = new EnumMap<>(Setting.class);
    for (Setting s : Setting.values()) {
      s.defaultValue().ifPresent(v -> d.put(s, Values.parse(s, v)));
    }
    return d;
  }

  /** A builder with nothing set. */
  public static Builder builder() {
    return new Builder();
  }

  /** A builder with everything set that is set here. */
  public Builder toBuilder() {
    Builder b = new Builder();
    b.texts.putAll(texts);
    b.values.putAll(values);
    b.driver.putAll(driver);
    return b;
  }

  /**
   * The settings among the properties.
   *
   * @param properties keys and values, defaults of the properties included
   * @param prefixOptional whether the properties are meant for dualwrite and the driver alone, as
   *     those of a JDBC URL are: then the prefix {@code dualwrite.} may be left out, and keys that
   *     are not ours become {@link #driverProperties()}. If false, only keys with the prefix are
   *     looked at
   * @throws IllegalArgumentException if a key with the prefix is unknown, if a key without it is
   *     obviously meant to be one of ours, or if a value is not allowed
   */
  public static Settings from(Properties properties, boolean prefixOptional) {
    Builder b = builder();
    for (String key : new java.util.TreeSet<>(properties.stringPropertyNames())) {
      String value = properties.getProperty(key);
      if (key.startsWith(Setting.PREFIX)) {
        b.set(key, value);
      } else if (prefixOptional) {
        if (BY_KEY.containsKey(Setting.PREFIX + key) || meantForUs(key)) {
          b.set(Setting.PREFIX + key, value);
        } else {
          b.driverProperty(key, value);
        }
      }
    }
    return b.build();
  }

  /** pgjdbc's keys have no dots, so a key in one of our sections is a misspelt one of ours. */
  private static boolean meantForUs(String key) {
    int dot = key.indexOf('.');
    return dot > 0 && SECTIONS.contains(key.substring(0, dot));
  }

  /**
   * Reads a properties file in UTF-8. The prefix {@code dualwrite.} may be left out in it, see
   * {@link #from}.
   *
   * @throws IllegalArgumentException if the file cannot be read, and as in {@link #from}; the
   *     message names the file
   */
  public static Settings load(Path file) {
    Properties p = new Properties();
    try (Reader r = Files.newBufferedReader(file)) {
      p.load(r);
    } catch (IOException e) {
      throw new IllegalArgumentException("cannot read the settings file " + file + ": " + e, e);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "the settings file " + file + " is malformed: " + e.getMessage(), e);
    }
    try {
      return from(p, true);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(file + ": " + e.getMessage(), e);
    }
  }

  /** Whether somebody set it; a default does not count. */
  public boolean isSet(Setting setting) {
    return values.containsKey(setting);
  }

  /** The value as text, or the default, or null if there is neither. For any type. */
  public String string(Setting setting) {
    String v = texts.get(setting);
    return v != null ? v : setting.defaultValue().orElse(null);
  }

  /**
   * The value of a setting that must be there.
   *
   * @throws IllegalArgumentException if it is not set; the message says what it is for
   */
  public String require(Setting setting) {
    String v = string(setting);
    if (v == null) {
      throw new IllegalArgumentException(setting.key() + " is not set: " + setting.documentation());
    }
    return v;
  }

  /** The value of a {@link Setting.Type#INT}. */
  public int integer(Setting setting) {
    return (Integer) value(setting, Setting.Type.INT);
  }

  /** The value of a {@link Setting.Type#BYTES}. */
  public long bytes(Setting setting) {
    return (Long) value(setting, Setting.Type.BYTES);
  }

  /** The value of a {@link Setting.Type#DURATION}; at least one millisecond. */
  public Duration duration(Setting setting) {
    return (Duration) value(setting, Setting.Type.DURATION);
  }

  /** The value of a {@link Setting.Type#BOOL}. */
  public boolean bool(Setting setting) {
    return (Boolean) value(setting, Setting.Type.BOOL);
  }

  /** The value of a {@link Setting.Type#RATE}, from 0 to 1. */
  public double rate(Setting setting) {
    return (Double) value(setting, Setting.Type.RATE);
  }

  /** The value of a {@link Setting.Type#CHOICE}: one of {@link Setting#choices()}. */
  public String choice(Setting setting) {
    return (String) value(setting, Setting.Type.CHOICE);
  }

  private Object value(Setting setting, Setting.Type type) {
    if (setting.type() != type) {
      throw new ClassCastException(setting + " is of type " + setting.type() + ", not " + type);
    }
    Object v = values.get(setting);
    return v != null ? v : DEFAULTS.get(setting);
  }

  /**
   * The source with its user and password: those of the settings go before those in the URL.
   *
   * @throws IllegalArgumentException if {@code dualwrite.source.url} is not set
   */
  public PgUri source() {
    return uri(Setting.SOURCE_URL, Setting.SOURCE_USERNAME, Setting.SOURCE_PASSWORD);
  }

  /**
   * The target with its user and password: those of the settings go before those in the URL.
   *
   * @throws IllegalArgumentException if {@code dualwrite.target.url} is not set
   */
  public PgUri target() {
    return uri(Setting.TARGET_URL, Setting.TARGET_USERNAME, Setting.TARGET_PASSWORD);
  }

  private PgUri uri(Setting url, Setting user, Setting password) {
    return PgUri.parse(require(url)).withCredentials(string(user), string(password));
  }

  /** The keys that are not ours, for pgjdbc. A new object with every call. */
  public Properties driverProperties() {
    Properties p = new Properties();
    p.putAll(driver);
    return p;
  }

  /** What is set, in the order of {@link Setting}, secrets masked. */
  @Override
  public String toString() {
    Map<String, String> shown = new java.util.LinkedHashMap<>();
    texts.forEach(
        (s, v) ->
            shown.put(
                s.key(),
                switch (s.type()) {
                  case SECRET -> "***";
                  case URL -> PgUri.mask(v);
                  default -> v;
                }));
    driver.forEach((k, v) -> shown.put(k, PgUri.isSecret(k) ? "***" : v));
    return shown.toString();
  }

  @Override
  public boolean equals(Object o) {
    return o instanceof Settings s && texts.equals(s.texts) && driver.equals(s.driver);
  }

  @Override
  public int hashCode() {
    return texts.hashCode() * 31 + driver.hashCode();
  }

  /** Collects values and checks each at once. Not thread-safe. */
  public static final class Builder {

    private final Map<Setting, String> texts = new EnumMap<>(Setting.class);
    private final Map<Setting, Object> values = new EnumMap<>(Setting.class);
    private final Map<String, String> driver = new HashMap<>();

    private Builder() {}

    /**
     * Sets a value, or unsets it if it is null or blank.
     *
     * @throws IllegalArgumentException if the value is not allowed; the message says what is
     */
    public Builder set(Setting setting, String value) {
      if (value == null || (value.isBlank() && setting.type() != Setting.Type.SECRET)) {
        texts.remove(setting);
        values.remove(setting);
      } else {
        values.put(setting, Values.parse(setting, value));
        texts.put(setting, setting.type() == Setting.Type.SECRET ? value : value.trim());
      }
      return this;
    }

    /** Sets a {@link Setting.Type#DURATION}. */
    public Builder set(Setting setting, Duration value) {
      return set(setting, value.toString());
    }

    /** Sets an {@link Setting.Type#INT} or {@link Setting.Type#BYTES}. */
    public Builder set(Setting setting, long value) {
      return set(setting, Long.toString(value));
    }

    /** Sets a {@link Setting.Type#RATE}. */
    public Builder set(Setting setting, double value) {
      return set(setting, Double.toString(value));
    }

    /** Sets a {@link Setting.Type#BOOL}. */
    public Builder set(Setting setting, boolean value) {
      return set(setting, Boolean.toString(value));
    }

    /** Sets a path. */
    public Builder set(Setting setting, Path value) {
      return set(setting, value.toString());
    }

    /**
     * Sets by key, with the prefix {@code dualwrite.}.
     *
     * @throws IllegalArgumentException if there is no such key (the message names the nearest one),
     *     or the value is not allowed
     */
    public Builder set(String key, String value) {
      Setting setting = BY_KEY.get(key);
      if (setting == null) {
        throw new IllegalArgumentException(
            "there is no setting '" + key + "'; the nearest is " + nearest(key));
      }
      return set(setting, value);
    }

    /** Sets a property for pgjdbc. */
    public Builder driverProperty(String key, String value) {
      driver.put(key, value);
      return this;
    }

    /** The settings. */
    public Settings build() {
      return new Settings(this);
    }
  }

  private static String nearest(String key) {
    String lower = key.toLowerCase(Locale.ROOT);
    String best = "";
    int least = Integer.MAX_VALUE;
    for (Setting s : Setting.values()) {
      int d = distance(lower, s.key());
      if (d < least) {
        least = d;
        best = s.key();
      }
    }
    return best;
  }

  /** Levenshtein's distance, by rows. */
  private static int distance(String a, String b) {
    int[] row = new int[b.length() + 1];
    for (int j = 0; j <= b.length(); j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int substituted = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(substituted, Math.min(row[j], row[j - 1]) + 1);
      }
    }
    return row[b.length()];
  }
}
