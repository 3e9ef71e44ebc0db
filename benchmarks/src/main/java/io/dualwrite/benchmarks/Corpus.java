package io.dualwrite.benchmarks;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** The statements of corpus.sql: what applications send, by shape. */
public final class Corpus {

  /** A shape. */
  public enum Group {
    /** Reads and writes of one row by key. */
    KEY,
    /** Joins, aggregates, windows, CTEs. */
    QUERY,
    /** Upserts, RETURNING, DELETE … USING, MERGE. */
    WRITE,
    /** Many rows or many values in one text. */
    BULK,
    /** Comments, dollar quotes, escapes, DDL, sessions. */
    ODD
  }

  private Corpus() {}

  /** The statements of a group. */
  static List<String> texts(Group group) {
    List<String> texts = new ArrayList<>();
    String[] parts;
    try (InputStream in = Corpus.class.getResourceAsStream("corpus.sql")) {
      parts = new String(in.readAllBytes(), StandardCharsets.UTF_8).split("\n--- ");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    for (String part : parts) {
      int line = part.indexOf('\n');
      if (line > 0 && part.substring(0, line).equals(group.name().toLowerCase(Locale.ROOT))) {
        texts.add(part.substring(line + 1).strip());
      }
    }
    if (group == Group.BULK) {
      texts.add(
          repeated(
              "insert into orders (id, customer_id, placed_at, total, note) values ",
              "(?, ?, ?, ?, ?)",
              100));
      texts.add(
          repeated(
              "insert into reading values ", "(17, '2026-03-01 12:00:00+00', 21.5, null)", 200));
      texts.add(repeated("select id, name from customer where id in (", "?", 500) + ")");
      texts.add(repeated("delete from cart_item where id in (", "12345678", 200) + ")");
    }
    return texts;
  }

  private static String repeated(String head, String part, int times) {
    return head + String.join(", ", java.util.Collections.nCopies(times, part));
  }

  static int characters(Group group) {
    return texts(group).stream().mapToInt(String::length).sum();
  }
}
