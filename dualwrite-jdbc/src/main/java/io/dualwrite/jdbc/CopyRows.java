package io.dualwrite.jdbc;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.dualwrite.sql.CopyFormat;
import java.sql.SQLException;
import java.util.Arrays;

/**
 * Reads the rows of a {@code COPY … FROM STDIN} while they go by, as PostgreSQL's {@code
 * copyfromparse.c} does: in the client's encoding UTF-8, in pieces of any length. What the server
 * would refuse is not noticed here: the server refuses it. Memory: one row.
 */
final class CopyRows implements CopyReader {

  private static final byte[] END = {'\\', '.'};

  private final boolean csv;
  private final byte delimiter;
  private final byte quote;
  private final byte escape;
  private final byte[] nullText;
  private final Sink sink;
  private final String[] values;

  // of the value that is being read: as it stands there, for CSV without its quotes
  private byte[] raw = new byte[256];
  private int length;

  /** Whether a backslash, or for CSV a quote, was in it. */
  private boolean special;

  private int column;
  private boolean skip;
  private boolean begun;
  private boolean carriageReturn;
  private boolean quoted;

  /**
   * The last byte was a backslash, or for CSV an escape within quotes: what it means comes next.
   */
  private boolean escaped;

  /** Whether the line holds a backslash with a dot. */
  private boolean dot;

  private boolean ended;
  private boolean lost;
  private long rows;

  /**
   * @param columns how many values a row has
   */
  CopyRows(CopyFormat format, int columns, Sink sink) {
    csv = format.form() == CopyFormat.Form.CSV;
    delimiter = (byte) format.delimiter();
    quote = (byte) format.quote();
    escape = (byte) format.escape();
    nullText = format.nullText().getBytes(UTF_8);
    skip = format.header();
    values = new String[columns];
    this.sink = sink;
  }

  @Override
  public long rows() {
    return rows;
  }

  @Override
  public boolean lost() {
    return lost;
  }

  @Override
  public void write(byte[] bytes, int offset, int size) throws SQLException {
    for (int i = offset; i < offset + size && !ended && !lost; i++) {
      if (csv) {
        csv(bytes[i]);
      } else {
        text(bytes[i]);
      }
    }
  }

  /** The last line need not have an end. */
  @Override
  public void end() throws SQLException {
    if (begun && !ended && !lost) {
      if (escaped) {
        escaped = false;
        if (csv && escape != quote) {
          add(escape);
        }
      }
      line();
    }
  }

  private void text(byte b) throws SQLException {
    if (escaped) {
      escaped = false;
      add((byte) '\\');
      add(b);
      special = true;
      dot |= b == '.';
    } else if (b == '\n' && carriageReturn) {
      carriageReturn = false;
    } else {
      carriageReturn = false;
      begun = true;
      if (b == '\\') {
        escaped = true;
      } else if (b == delimiter) {
        value();
      } else if (b == '\n' || b == '\r') {
        carriageReturn = b == '\r';
        line();
      } else {
        add(b);
      }
    }
  }

  private void csv(byte b) throws SQLException {
    if (quoted) {
      if (escaped) {
        escaped = false;
        if (b == quote || b == escape) {
          add(b);
          return;
        }
        if (escape != quote) {
          add(escape);
        } else {
          quoted = false; // it was the closing one
          csv(b);
          return;
        }
      }
      if (b == escape) {
        escaped = true;
      } else if (b == quote) {
        quoted = false;
      } else {
        add(b);
      }
      return;
    }
    if (b == '\n' && carriageReturn) {
      carriageReturn = false;
      return;
    }
    carriageReturn = false;
    begun = true;
    if (b == delimiter) {
      value();
    } else if (b == quote) {
      quoted = true;
      special = true;
    } else if (b == '\n' || b == '\r') {
      carriageReturn = b == '\r';
      line();
    } else {
      add(b);
    }
  }

  private void add(byte b) {
    if (length == MAX_VALUE) {
      lost = true;
      return;
    }
    if (length == raw.length) {
      raw = Arrays.copyOf(raw, length * 2);
    }
    raw[length++] = b;
  }

  private boolean is(byte[] text) {
    return Arrays.equals(raw, 0, length, text, 0, text.length);
  }

  private void value() {
    if (column == values.length) {
      lost = !skip; // a header may name more than there is
    } else if (!skip) {
      values[column] =
          (!csv || !special) && is(nullText)
              ? null
              : new String(raw, 0, special && !csv ? unescape() : length, UTF_8);
      column++;
    }
    length = 0;
    special = false;
  }

  private void line() throws SQLException {
    begun = false;
    if (column == 0 && is(END) && (!csv || !special)) {
      ended = !csv; // the end of the data; in CSV of some versions only
      lost = csv;
      return;
    }
    if (dot) { // what that means depends on the version
      lost = true;
      return;
    }
    value();
    if (skip) {
      skip = false;
    } else if (column == values.length) {
      rows++;
      sink.row(values.clone());
    } else {
      lost = true;
    }
    column = 0;
  }

  /** Takes the backslashes out, in place; returns the new length. */
  private int unescape() {
    int to = 0;
    for (int i = 0; i < length; ) {
      byte b = raw[i++];
      if (b != '\\' || i == length) {
        raw[to++] = b;
        continue;
      }
      b = raw[i++];
      switch (b) {
        case 'b' -> raw[to++] = '\b';
        case 'f' -> raw[to++] = '\f';
        case 'n' -> raw[to++] = '\n';
        case 'r' -> raw[to++] = '\r';
        case 't' -> raw[to++] = '\t';
        case 'v' -> raw[to++] = 11;
        case '0', '1', '2', '3', '4', '5', '6', '7' -> {
          int n = b - '0';
          for (int digits = 1;
              digits < 3 && i < length && raw[i] >= '0' && raw[i] <= '7';
              digits++) {
            n = n * 8 + raw[i++] - '0';
          }
          raw[to++] = (byte) n;
        }
        case 'x' -> {
          int n = 0;
          int digits = 0;
          for (; digits < 2 && i < length && Character.digit(raw[i], 16) >= 0; digits++) {
            n = n * 16 + Character.digit(raw[i++], 16);
          }
          raw[to++] = digits == 0 ? (byte) 'x' : (byte) n;
        }
        default -> raw[to++] = b;
      }
    }
    return to;
  }
}
