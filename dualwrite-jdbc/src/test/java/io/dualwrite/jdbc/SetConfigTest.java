package io.dualwrite.jdbc;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** G1: numbers are captured with all their digits, whatever set_config did to the session. */
class SetConfigTest {

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      quoteCharacter = '"',
      value = {
        "select set_config('app.user', ?, true);true",
        "select pg_catalog.set_config('a.b', 'x', true), set_config('c', 'y', false);true",
        "select set_config('extra_float_digits', '0', false);false",
        "select set_config('extra_float_digits ', '0', false);false",
        "select set_config('extra_' || 'float_digits', '0', false);false",
        "select set_config('a', 'b', true), set_config(?, ?, false);false",
        "select set_config ('a', 'b', true);false",
      })
  void onlyWhatTheTextNamesIsBelieved(String sql, boolean other) {
    assertEquals(other, DwConnection.namesOtherSettings(sql));
  }
}
