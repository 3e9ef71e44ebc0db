package io.dualwrite.cli;

import java.io.PrintStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.StringTokenizer;
import java.util.concurrent.locks.ReentrantLock;
import picocli.CommandLine.Help.Ansi;

/**
 * What the command prints to standard output: lines, tables, and one line at the bottom that is
 * redrawn. Colours and redrawing only where a person looks at it. Thread-safe.
 */
public final class Terminal {

  /** What is printed is at most so wide, tables of long values aside. */
  public static final int WIDTH = 100;

  private final PrintStream out;
  private final boolean interactive;
  private final boolean colours;
  private final ReentrantLock lock = new ReentrantLock();
  private String status = "";
  private boolean muted;

  /**
   * @param out where to
   * @param interactive whether a person looks at it: one line may be redrawn
   * @param colours whether colours may be used
   */
  public Terminal(PrintStream out, boolean interactive, boolean colours) {
    this.out = out;
    this.interactive = interactive;
    this.colours = colours;
  }

  /**
   * Standard output. The launcher says whether it is a terminal; started without it, picocli
   * guesses. {@code NO_COLOR} and {@code TERM=dumb} are heeded.
   */
  public static Terminal standard() {
    String said = System.getProperty("dualwrite.terminal");
    if (said == null) {
      boolean ansi = Ansi.AUTO.enabled();
      return new Terminal(System.out, ansi, ansi);
    }
    boolean interactive = Boolean.parseBoolean(said) && !"dumb".equals(System.getenv("TERM"));
    return new Terminal(System.out, interactive, interactive && System.getenv("NO_COLOR") == null);
  }

  /** Whether one line may be redrawn. */
  public boolean interactive() {
    return interactive;
  }

  /** Prints a line, above the status line if there is one. */
  public void println(String line) {
    lock.lock();
    try {
      if (muted) {
        return;
      }
      erase();
      out.println(line);
      draw();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Prints a label and a text that may be long: on a terminal the text goes on below, indented, at
   * the ends of words.
   *
   * @param label may have colours
   * @param width the label's without them
   */
  public void println(String label, int width, String text) {
    if (!interactive || width + text.length() <= WIDTH) {
      println(label + text);
      return;
    }
    StringBuilder line = new StringBuilder(label);
    int used = width;
    for (String word : text.split(" ", -1)) {
      if (used + word.length() > WIDTH && used > 8) {
        println(line.toString().stripTrailing());
        line = new StringBuilder("      ");
        used = 6;
      }
      line.append(word).append(' ');
      used += word.length() + 1;
    }
    println(line.toString().stripTrailing());
  }

  /** Prints an empty line. */
  public void println() {
    println("");
  }

  /** Redraws the line at the bottom; does nothing where nobody looks. An empty one goes away. */
  public void status(String line) {
    if (!interactive) {
      return;
    }
    lock.lock();
    try {
      if (muted) {
        return;
      }
      erase();
      status = line.length() > WIDTH ? line.substring(0, WIDTH) : line;
      draw();
    } finally {
      lock.unlock();
    }
  }

  /** Prints nothing more: the process was interrupted, and what goes wrong now is no news. */
  public void mute() {
    status("");
    lock.lock();
    try {
      muted = true;
    } finally {
      lock.unlock();
    }
  }

  private void erase() {
    if (!status.isEmpty()) {
      out.print("\r\u001b[2K");
    }
  }

  private void draw() {
    if (!status.isEmpty()) {
      out.print(colours ? "\u001b[2m" + status + "\u001b[0m" : status);
    }
    out.flush();
  }

  /** Bold. */
  public String bold(String text) {
    return colour("1", text);
  }

  /** For what is good. */
  public String good(String text) {
    return colour("32", text);
  }

  /** For what is bad. */
  public String bad(String text) {
    return colour("31", text);
  }

  /** For what matters less. */
  public String dim(String text) {
    return colour("2", text);
  }

  private String colour(String code, String text) {
    return colours ? "\u001b[" + code + "m" + text + "\u001b[0m" : text;
  }

  /**
   * Prints rows in columns, indented: the first row is the heading; a column whose cells below it
   * all start with a digit (or are a dash) is aligned to the right.
   */
  public void table(List<List<String>> rows) {
    int columns = rows.stream().mapToInt(List::size).max().orElse(0);
    int[] width = new int[columns];
    boolean[] right = new boolean[columns];
    for (int c = 0; c < columns; c++) {
      right[c] = rows.size() > 1;
      for (int r = 0; r < rows.size(); r++) {
        String cell = c < rows.get(r).size() ? rows.get(r).get(c) : "";
        width[c] = Math.max(width[c], cell.length());
        right[c] &=
            r == 0 || cell.isEmpty() || Character.isDigit(cell.charAt(0)) || cell.equals("-");
      }
    }
    for (int r = 0; r < rows.size(); r++) {
      StringBuilder line = new StringBuilder("  ");
      for (int c = 0; c < rows.get(r).size(); c++) {
        String cell = rows.get(r).get(c);
        String pad = " ".repeat(width[c] - cell.length());
        line.append("  ").append(right[c] ? pad + cell : cell + pad);
      }
      String text = line.toString().stripTrailing();
      println(r == 0 ? dim(text) : text);
    }
  }

  /** The text in lines of at most that width; a word that is longer stands alone. */
  public static List<String> wrap(String text, int width) {
    List<String> lines = new ArrayList<>();
    StringBuilder line = new StringBuilder();
    StringTokenizer words = new StringTokenizer(text, " ");
    while (words.hasMoreTokens()) {
      String word = words.nextToken();
      if (!line.isEmpty() && line.length() + 1 + word.length() > width) {
        lines.add(line.toString());
        line.setLength(0);
      }
      line.append(line.isEmpty() ? "" : " ").append(word);
    }
    lines.add(line.toString());
    return lines;
  }

  /** Builds the rows of a {@link #table}. */
  public static List<List<String>> rows(String... heading) {
    List<List<String>> rows = new ArrayList<>();
    rows.add(List.of(heading));
    return rows;
  }

  /** A number with thousands separators. */
  public static String number(long n) {
    return String.format(Locale.ROOT, "%,d", n);
  }

  /** A number of things: {@code 1 key}, {@code 1,234 keys}. */
  public static String count(long n, String thing) {
    return number(n) + " " + thing + (n == 1 ? "" : "s");
  }

  /** Bytes in the unit that suits. */
  public static String bytes(long n) {
    if (n < 1024) {
      return n + " B";
    }
    double v = n / 1024.0;
    for (String unit : new String[] {"KiB", "MiB", "GiB"}) {
      if (v < 1024) {
        return String.format(Locale.ROOT, "%.1f %s", v, unit);
      }
      v /= 1024;
    }
    return String.format(Locale.ROOT, "%.1f TiB", v);
  }

  /** A time as a person writes it: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min. */
  public static String time(Duration time) {
    return time.toSeconds() < 10
        ? String.format(Locale.ROOT, "%.1f s", time.toNanos() / 1e9)
        : seconds(time.toSeconds());
  }

  /** Whole seconds as a person writes them: 4 s, 3 min 20 s, 2 h 5 min. */
  public static String seconds(long seconds) {
    if (seconds < 60) {
      return seconds + " s";
    }
    if (seconds < 3600) {
      return seconds / 60 + " min " + seconds % 60 + " s";
    }
    return seconds / 3600 + " h " + seconds % 3600 / 60 + " min";
  }
}
