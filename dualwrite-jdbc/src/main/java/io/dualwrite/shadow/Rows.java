package io.dualwrite.shadow;

import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.util.HexFormat;
import org.postgresql.PGResultSetMetaData;

/** Reads rows as text without asking the server anything. */
final class Rows {

  final String[] labels;
  private final boolean[] binary;

  Rows(ResultSetMetaData m) throws SQLException {
    labels = new String[m.getColumnCount()];
    binary = new boolean[labels.length];
    PGResultSetMetaData driver =
        m.isWrapperFor(PGResultSetMetaData.class) ? m.unwrap(PGResultSetMetaData.class) : null;
    for (int i = 0; i < labels.length; i++) {
      labels[i] = m.getColumnLabel(i + 1);
      binary[i] = driver != null && driver.getFormat(i + 1) == 1;
    }
  }

  /**
   * How many bytes the current row's values have, before any of them is made a text: that of a
   * bytea would be twice its bytes.
   */
  long bytes(ResultSet r) throws SQLException {
    long n = 0;
    for (int i = 1; i <= labels.length; i++) {
      byte[] value = r.getBytes(i); // the driver's own array, but for a bytea that came as text
      n += value == null ? 0 : value.length;
    }
    return n;
  }

  /** The current row. */
  String[] read(ResultSet r) throws SQLException {
    String[] row = new String[labels.length];
    for (int i = 0; i < row.length; i++) {
      row[i] = r.getString(i + 1);
      // what the driver makes of a bytea that came in binary is the address of an array
      if (binary[i] && row[i] != null && row[i].startsWith("[B@")) {
        row[i] = "\\x" + HexFormat.of().formatHex(r.getBytes(i + 1));
      }
    }
    return row;
  }
}
