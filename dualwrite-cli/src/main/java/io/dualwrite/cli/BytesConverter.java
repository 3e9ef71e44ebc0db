package io.dualwrite.cli;

import io.dualwrite.config.Setting;
import io.dualwrite.config.Settings;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads amounts of bytes as the settings do: {@code 512kB}, {@code 20MB}. */
final class BytesConverter implements ITypeConverter<Long> {
  @Override
  public Long convert(String text) {
    try {
      return Settings.builder()
          .set(Setting.JOURNAL_MAX_BYTES, text)
          .build()
          .bytes(Setting.JOURNAL_MAX_BYTES);
    } catch (IllegalArgumentException e) {
      throw new TypeConversionException(
          "'" + text + "' is not an amount of bytes such as 65536, 512kB, 64MB or 1GB");
    }
  }
}
