package io.dualwrite.converge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class KeyTextTest {

  private static String of(String type, String text) {
    int parenthesis = type.indexOf('(');
    return KeyText.of(parenthesis < 0 ? type : type.substring(0, parenthesis), type, text);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          numeric                     | 1                             | 1.00
          numeric                     | 1e2                           | 100.0
          numeric                     | -0.0                          | 0
          'numeric(10,2)'             | 1.005                         | 1.01
          'numeric(10,2)'             | -1.005                        | -1.01
          real                        | 1e10                          | 1.0E10
          double precision            | 0.1                           | 0.10
          double precision            | -0                            | 0
          boolean                     | t                             | true
          uuid                        | A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11 | a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11
          date                        | 2001-02-03 +01                | 2001-02-03
          timestamp without time zone | 2001-02-03 04:05:06.500       | 2001-02-03 04:05:06.5
          timestamp without time zone | 2001-02-03 24:00:00           | 2001-02-04 00:00:00
          timestamp with time zone    | 2001-02-03 04:05:06+05:30     | 2001-02-02 22:35:06+00
          timestamp with time zone    | 2001-02-03T04:05Z             | 2001-02-03 04:05:00+00
          timestamp without time zone | 2001-02-03T04:05              | 2001-02-03 04:05:00
          timestamp with time zone    | 1937-01-01 00:00:00+00:19:32  | 1936-12-31 23:40:28+00
          timestamp with time zone    | 1969-12-31 23:59:59.9-03      | 1970-01-01 02:59:59.900000+00
          """)
  void equalValuesAreSpeltAlike(String type, String one, String other) {
    assertEquals(of(type, one), of(type, other));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          numeric                     | 1                              | 1.01
          numeric                     | NaN                            | Infinity
          real                        | 1                              | 2
          boolean                     | true                           | false
          date                        | 0044-03-15 BC                  | 0044-03-15
          timestamp without time zone | 2001-02-03 04:05:06            | 2001-02-03 04:05:06.000001
          timestamp without time zone | 0044-03-15 00:00:00 BC         | 0044-03-15 00:00:00
          timestamp with time zone    | 2001-02-03 04:05:06+01         | 2001-02-03 04:05:06-01
          timestamp with time zone    | 0044-03-15 00:00:00+00 BC      | 0044-03-15 00:00:00+00
          timestamp with time zone    | infinity                       | -infinity
          timestamp with time zone    | 12001-02-03 04:05:06+01        | 2001-02-03 04:05:06+01
          """)
  void othersAreNot(String type, String one, String other) {
    assertNotEquals(of(type, one), of(type, other));
  }

  @Test
  void whatIsNotUnderstoodStaysAsItIs() {
    for (String type :
        new String[] {
          "numeric", "real", "double precision", "date", "timestamp with time zone", "text"
        }) {
      for (String text :
          new String[] {
            "x",
            "-",
            "1e",
            "1e99999999999",
            ".",
            "2001-02-30 04:05:06+00",
            "2001-02-03 04:05:06+1",
            "NaN"
          }) {
        if (!(type.equals("date") && text.startsWith("2001"))) {
          assertEquals(text, of(type, text), type);
        }
      }
    }
  }
}
