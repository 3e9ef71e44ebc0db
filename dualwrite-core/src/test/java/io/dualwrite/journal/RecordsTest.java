package io.dualwrite.journal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.catalog.TableName;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class RecordsTest {

  private static final List<RowChange.Kind> KINDS = List.of(RowChange.Kind.values());

  private static Intent roundTrip(Intent in) throws DamagedException {
    ByteWriter w = new ByteWriter();
    w.skip(13); // records need not begin at 0
    Records.intent(w, in);
    byte[] b = Arrays.copyOf(w.buffer(), w.position());
    Records.Header h = Records.header(b, 13, b.length);
    assertNotNull(h);
    assertEquals(b.length - 13, h.length());
    int body = 13 + Records.HEADER + h.headLength();
    assertTrue(Records.sound(h, b, body));
    Records.Head head = Records.head(b, 13 + Records.HEADER, body);
    return Records.intent(h.sequence(), head, b, body, b.length);
  }

  private static String value(Random r) {
    return switch (r.nextInt(8)) {
      case 0 -> null;
      case 1 -> "";
      case 2 -> "plain ascii " + r.nextInt();
      case 3 -> "grüße, 日本語, \uD83D\uDE00, \u0000, \u007f\u0080\u07ff\u0800\uffff";
      case 4 -> "\uD83D"; // a surrogate alone
      case 5 -> "\uDE00\uD83D x";
      case 6 -> "x".repeat(r.nextInt(300));
      default -> {
        char[] c = new char[r.nextInt(40)];
        for (int i = 0; i < c.length; i++) {
          c[i] = (char) r.nextInt(65536);
        }
        yield new String(c);
      }
    };
  }

  private static List<String> names(Random r, int n) {
    List<String> list = new ArrayList<>();
    for (int i = 0; i < n; i++) {
      list.add("c" + r.nextInt(1000) + (r.nextInt(5) == 0 ? "ä\"" : ""));
    }
    return list;
  }

  @Test
  void everyIntentComesBackAsItWas() throws DamagedException {
    long seed = System.nanoTime();
    System.out.println("seed " + seed);
    Random r = new Random(seed);
    for (int round = 0; round < 2000; round++) {
      List<RowChange> changes = new ArrayList<>();
      for (int c = r.nextInt(4); c > 0; c--) {
        int columns = r.nextInt(6);
        String[][] rows = new String[r.nextInt(4)][];
        for (int i = 0; i < rows.length; i++) {
          rows[i] = new String[columns];
          for (int j = 0; j < columns; j++) {
            rows[i][j] = value(r);
          }
        }
        List<String> types = null;
        if (r.nextBoolean()) {
          types = new ArrayList<>();
          for (int j = 0; j < columns; j++) {
            types.add(r.nextBoolean() ? null : "float8");
          }
        }
        changes.add(
            new RowChange(
                KINDS.get(r.nextInt(KINDS.size())),
                new TableName("s" + r.nextInt(2), "t" + r.nextInt(3)),
                names(r, columns),
                types,
                names(r, r.nextInt(3)),
                rows));
      }
      Intent in =
          new Intent(
              r.nextLong() & Long.MAX_VALUE,
              r.nextLong(),
              r.nextLong(),
              r.nextInt(10) == 0 ? "" : "1700000000.123456/1/1700000001.5",
              r.nextLong(),
              r.nextInt(),
              changes);
      assertEquals(in, roundTrip(in), () -> "seed " + seed);
    }
  }

  @Test
  void aValueOfAMebibyte() throws DamagedException {
    String big = "0123456789abcdeé".repeat(1 << 16);
    Intent in =
        new Intent(
            1,
            2,
            3,
            "i",
            4,
            5,
            List.of(
                new RowChange(
                    RowChange.Kind.UPSERT,
                    Intents.ORDERS,
                    List.of("id", "v"),
                    null,
                    List.of("id"),
                    new String[][] {{"1", big}, {"2", null}})));
    assertEquals(in, roundTrip(in));
  }

  /** Bytes whose sum happens to be right but which mean nothing are damage, not a crash. */
  @Test
  void garbageIsDamage() {
    long seed = System.nanoTime();
    System.out.println("seed " + seed);
    Random r = new Random(seed);
    ByteWriter w = new ByteWriter();
    Records.intent(w, Intents.keyed(7));
    byte[] sound = Arrays.copyOf(w.buffer(), w.position());
    Records.Header h = Records.header(sound, 0, sound.length);
    int damaged = 0;
    for (int round = 0; round < 5000; round++) {
      byte[] b = sound.clone();
      for (int n = 1 + r.nextInt(8); n > 0; n--) {
        b[Records.HEADER + r.nextInt(b.length - Records.HEADER)] = (byte) r.nextInt();
      }
      int body = Records.HEADER + h.headLength();
      try {
        Records.Head head = Records.head(b, Records.HEADER, body);
        Records.intent(7, head, b, body, b.length);
      } catch (DamagedException e) {
        damaged++;
      }
    }
    assertTrue(damaged > 100, "damaged " + damaged);
  }

  @Test
  void headersAreChecked() {
    ByteWriter w = new ByteWriter();
    Records.intent(w, Intents.keyed(7));
    byte[] b = Arrays.copyOf(w.buffer(), w.position());
    int headEnd = Records.HEADER + Records.header(b, 0, b.length).headLength();
    for (int i = 0; i < headEnd; i++) {
      for (int bit = 0; bit < 8; bit++) {
        byte[] c = b.clone();
        c[i] ^= (byte) (1 << bit);
        Records.Header h = Records.header(c, 0, c.length);
        if (i >= 28 && i < 32) { // the body's sum: noticed when the body is read
          assertNotNull(h);
          assertEquals(false, Records.sound(h, c, headEnd));
        } else {
          assertNull(h, "byte " + i);
        }
      }
    }
  }
}
