package io.dualwrite.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.dualwrite.backfill.Progress;
import java.util.Locale;
import java.util.concurrent.TimeUnit;

/**
 * Progress of something whose size is known: one redrawn line on a terminal, a plain line every ten
 * seconds elsewhere. Not thread-safe.
 */
public final class ProgressBar {

  private static final int CELLS = 24;
  private static final long PLAIN_EVERY_NANOS = TimeUnit.SECONDS.toNanos(10);

  private final Terminal terminal;
  private final String verb;
  private final boolean json;
  private long lastPlain = System.nanoTime();

  /**
   * @param terminal where to
   * @param verb what is going on: {@code copy}
   * @param json an object for programs, as often as a line would be written
   */
  ProgressBar(Terminal terminal, String verb, boolean json) {
    this.terminal = terminal;
    this.verb = verb;
    this.json = json;
  }

  /**
   * @param terminal where to
   * @param verb what is going on: {@code copy}
   */
  public ProgressBar(Terminal terminal, String verb) {
    this(terminal, verb, false);
  }

  /** Says how far it is; fits where a {@link Progress} is asked for. */
  public void update(Progress.Snapshot now) {
    if (json) {
      if (System.nanoTime() - lastPlain >= PLAIN_EVERY_NANOS) {
        lastPlain = System.nanoTime();
        terminal.println(Json.line(object(now)));
      }
    } else if (terminal.interactive()) {
      terminal.status(line(now));
    } else if (System.nanoTime() - lastPlain >= PLAIN_EVERY_NANOS) {
      lastPlain = System.nanoTime();
      terminal.println(line(now));
    }
  }

  /** Takes the redrawn line away. */
  public void close() {
    if (!json) {
      terminal.status("");
    }
  }

  private String line(Progress.Snapshot now) {
    double share = now.total() == 0 ? 1 : Math.min(1, (double) now.done() / now.total());
    int full = (int) (share * CELLS);
    StringBuilder line = new StringBuilder("    ").append(verb).append(' ');
    if (terminal.interactive() && now.waiting().isEmpty()) {
      line.append('[').append("#".repeat(full)).append(".".repeat(CELLS - full)).append("] ");
    }
    line.append(
        String.format(
            Locale.ROOT,
            "%3.0f %%  %s of %s chunks",
            share * 100,
            Terminal.number(now.done()),
            Terminal.number(now.total())));
    if (now.waiting().isPresent()) {
      line.append("  waits: ").append(now.waiting().get());
    } else {
      line.append("  ").append(Terminal.number(Math.round(now.rowsPerSecond()))).append(" rows/s");
      now.remaining()
          .ifPresent(
              d -> line.append("  ").append(Terminal.seconds(d.toSeconds())).append(" left"));
    }
    if (now.failed() > 0) {
      line.append("  ").append(Terminal.number(now.failed())).append(" failed");
    }
    return line.toString();
  }

  private ObjectNode object(Progress.Snapshot now) {
    ObjectNode o =
        Json.object("progress")
            .put("of", verb)
            .put("done", now.done())
            .put("total", now.total())
            .put("failed", now.failed())
            .put("rows", now.rows())
            .put("bytes", now.bytes())
            .put("rowsPerSecond", Math.round(now.rowsPerSecond()))
            .put("bytesPerSecond", Math.round(now.bytesPerSecond()));
    now.remaining().ifPresent(d -> o.put("secondsLeft", d.toSeconds()));
    now.waiting().ifPresent(w -> o.put("waits", w));
    return o;
  }
}
