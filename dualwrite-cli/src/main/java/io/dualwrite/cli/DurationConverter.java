package io.dualwrite.cli;

import io.dualwrite.config.Setting;
import io.dualwrite.config.Settings;
import java.time.Duration;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads times as the settings do: {@code 250ms}, {@code 30s}, {@code 2m}. */
final class DurationConverter implements ITypeConverter<Duration> {
  @Override
  public Duration convert(String text) {
    try {
      return Settings.builder()
          .set(Setting.SHADOW_TIMEOUT, text)
          .build()
          .duration(Setting.SHADOW_TIMEOUT);
    } catch (IllegalArgumentException e) {
      throw new TypeConversionException("'" + text + "' is not a time such as 250ms, 30s or 2m");
    }
  }
}
