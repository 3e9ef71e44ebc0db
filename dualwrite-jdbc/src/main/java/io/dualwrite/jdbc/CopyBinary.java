package io.dualwrite.jdbc;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.math.BigDecimal;
import java.sql.SQLException;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.UUID;
import org.postgresql.util.ByteConverter;

/**
 * Reads the binary form of a COPY: a signature, then of each row how many values it has and of each
 * value how long it is. The values become the texts that every server reads to the same values.
 * Memory: one row.
 */
final class CopyBinary implements CopyReader {

  private static final byte[] SIGNATURE = {
    'P', 'G', 'C', 'O', 'P', 'Y', '\n', (byte) 0xff, '\r', '\n', 0
  };

  private static final long MICROS = 1_000_000;
  private static final long DAY = 86_400 * MICROS;
  private static final LocalDate EPOCH = LocalDate.of(2000, 1, 1);

  /** What the next bytes are. */
  private enum Next {
    SIGNATURE,
    FLAGS,
    EXTENSION_LENGTH,
    EXTENSION,
    COUNT,
    LENGTH,
    VALUE,
    NOTHING
  }

  private final List<String> types;
  private final Sink sink;
  private final String[] values;
  private Next next = Next.SIGNATURE;
  private byte[] bytes = new byte[256];
  private int length;
  private int wanted = SIGNATURE.length;
  private int column;
  private boolean lost;
  private long rows;

  /**
   * @param types of a row's values
   */
  CopyBinary(List<String> types, Sink sink) {
    this.types = types;
    this.sink = sink;
    values = new String[types.size()];
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
  public void write(byte[] from, int offset, int size) throws SQLException {
    int at = offset;
    int end = offset + size;
    while (!lost && next != Next.NOTHING && (at < end || wanted == 0)) {
      int n = Math.min(wanted - length, end - at);
      if (bytes.length < length + n) { // by what is there, not by what is said to come
        bytes = Arrays.copyOf(bytes, Math.max(length + n, Math.min(wanted, bytes.length * 2)));
      }
      System.arraycopy(from, at, bytes, length, n);
      length += n;
      at += n;
      if (length == wanted) {
        complete();
        length = 0;
      }
    }
  }

  @Override
  public void end() {
    lost |= next != Next.NOTHING && !(next == Next.COUNT && length == 0);
  }

  private void then(Next what, int bytesOfIt) {
    next = what;
    wanted = bytesOfIt;
  }

  private void complete() throws SQLException {
    switch (next) {
      case SIGNATURE -> {
        lost = !Arrays.equals(bytes, 0, length, SIGNATURE, 0, length);
        then(Next.FLAGS, 4);
      }
      case FLAGS -> {
        lost = ByteConverter.int4(bytes, 0) != 0;
        then(Next.EXTENSION_LENGTH, 4);
      }
      case EXTENSION_LENGTH -> {
        int n = ByteConverter.int4(bytes, 0);
        lost = n < 0;
        then(Next.EXTENSION, n);
      }
      case EXTENSION -> then(Next.COUNT, 2);
      case COUNT -> {
        int count = ByteConverter.int2(bytes, 0);
        if (count == -1) {
          then(Next.NOTHING, 0);
        } else {
          lost = count != values.length;
          column = 0;
          value();
        }
      }
      case LENGTH -> {
        int n = ByteConverter.int4(bytes, 0);
        if (n < 0) {
          values[column++] = null;
          value();
        } else {
          lost = n > MAX_VALUE;
          then(Next.VALUE, n);
        }
      }
      case VALUE -> {
        try {
          values[column] = text(types.get(column), bytes, length);
        } catch (RuntimeException e) { // what the server has taken is none of these
          lost = true;
        }
        column++;
        value();
      }
      default -> throw new IllegalStateException(next.toString());
    }
  }

  /** The row's next value, or the next row. */
  private void value() throws SQLException {
    if (column < values.length) {
      then(Next.LENGTH, 4);
      return;
    }
    then(Next.COUNT, 2);
    if (!lost) {
      rows++;
      sink.row(values.clone());
    }
  }

  private static String text(String type, byte[] b, int length) {
    return switch (type) {
      case "smallint" -> Short.toString(ByteConverter.int2(b, 0));
      case "integer" -> Integer.toString(ByteConverter.int4(b, 0));
      case "bigint" -> Long.toString(ByteConverter.int8(b, 0));
      case "real" -> Float.toString(ByteConverter.float4(b, 0));
      case "double precision" -> Double.toString(ByteConverter.float8(b, 0));
      case "numeric" -> {
        Number n = ByteConverter.numeric(b, 0, length);
        yield n instanceof BigDecimal d ? d.toPlainString() : n.toString();
      }
      case "boolean" -> b[0] == 0 ? "f" : "t";
      case "uuid" -> new UUID(ByteConverter.int8(b, 0), ByteConverter.int8(b, 8)).toString();
      case "bytea" -> "\\x" + HexFormat.of().formatHex(b, 0, length);
      case "jsonb" -> {
        if (b[0] != 1) {
          throw new IllegalArgumentException("version " + b[0]);
        }
        yield new String(b, 1, length - 1, UTF_8);
      }
      case "date" -> date(ByteConverter.int4(b, 0));
      case "timestamp without time zone" -> timestamp(ByteConverter.int8(b, 0), "");
      case "timestamp with time zone" -> timestamp(ByteConverter.int8(b, 0), "+00");
      default -> new String(b, 0, length, UTF_8);
    };
  }

  private static String date(int days) {
    if (days == Integer.MAX_VALUE || days == Integer.MIN_VALUE) {
      return days > 0 ? "infinity" : "-infinity";
    }
    LocalDate d = EPOCH.plusDays(days);
    return day(d) + era(d);
  }

  private static String timestamp(long micros, String zone) {
    if (micros == Long.MAX_VALUE || micros == Long.MIN_VALUE) {
      return micros > 0 ? "infinity" : "-infinity";
    }
    long days = Math.floorDiv(micros, DAY);
    long rest = Math.floorMod(micros, DAY);
    LocalDateTime t = EPOCH.plusDays(days).atTime(LocalTime.ofNanoOfDay(rest * 1000));
    StringBuilder b = new StringBuilder(32);
    b.append(day(t.toLocalDate())).append(' ').append(two(t.getHour()));
    b.append(':').append(two(t.getMinute())).append(':').append(two(t.getSecond()));
    if (rest % MICROS != 0) {
      b.append('.').append(Long.toString(MICROS + rest % MICROS), 1, 7);
    }
    return b.append(zone).append(era(t.toLocalDate())).toString();
  }

  private static String day(LocalDate d) {
    int year = d.getYear() > 0 ? d.getYear() : 1 - d.getYear();
    return (year < 1000 ? Integer.toString(10_000 + year).substring(1) : Integer.toString(year))
        + '-'
        + two(d.getMonthValue())
        + '-'
        + two(d.getDayOfMonth());
  }

  private static String era(LocalDate d) {
    return d.getYear() > 0 ? "" : " BC";
  }

  private static String two(int n) {
    return n < 10 ? "0" + n : Integer.toString(n);
  }
}
