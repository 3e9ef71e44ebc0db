package io.dualwrite.sql;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** The statements of corpus.txt with what is expected of them. */
final class Corpus {

  /**
   * @param kinds the kinds of the text's statements
   * @param functions what they call, in order
   */
  record Entry(
      int line,
      List<Kind> kinds,
      boolean hidden,
      boolean lock,
      boolean server,
      List<String> functions,
      String text) {

    @Override
    public String toString() {
      return "corpus.txt:" + line + ": " + text;
    }
  }

  private Corpus() {}

  static List<Entry> entries() {
    List<Entry> entries = new ArrayList<>();
    List<String> lines;
    try (InputStream in = Corpus.class.getResourceAsStream("corpus.txt")) {
      lines = new String(in.readAllBytes(), StandardCharsets.UTF_8).lines().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    for (int i = 0; i < lines.size(); i++) {
      if (!lines.get(i).isEmpty() && !lines.get(i).startsWith("#")) {
        entries.add(entry(i + 1, lines.get(i)));
      }
    }
    return entries;
  }

  private static Entry entry(int line, String text) {
    int bar = text.indexOf(" | ");
    int kind = text.indexOf(' ');
    String sql = text.substring(bar + 3).replace('⏎', '\n');
    List<Kind> kinds =
        List.of(text.substring(0, kind).split("\\+")).stream().map(Kind::valueOf).toList();
    String rest = text.substring(kind, bar).strip();
    List<String> functions = List.of();
    int fn = rest.indexOf("fn=");
    if (fn >= 0) {
      functions = List.of(rest.substring(fn + 3).split(","));
      rest = rest.substring(0, fn);
    }
    Set<String> flags = rest.isBlank() ? Set.of() : Set.of(rest.strip().split(" "));
    for (String flag : flags) {
      if (!Set.of("hidden", "lock", "noserver").contains(flag)) {
        throw new IllegalStateException("corpus.txt:" + line + ": no flag " + flag);
      }
    }
    return new Entry(
        line,
        kinds,
        flags.contains("hidden"),
        flags.contains("lock"),
        !flags.contains("noserver"),
        functions,
        sql);
  }
}
