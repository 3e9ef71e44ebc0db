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
