package io.dualwrite.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.backfill.Progress;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class TerminalTest {

  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
  private final PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);

  private String printed() {
    return bytes.toString(StandardCharsets.UTF_8);
  }

  @Test
  void tableAlignsNumbersToTheRightAndTextToTheLeft() {
    Terminal t = new Terminal(out, false, false);
    List<List<String>> rows = Terminal.rows("table", "rows", "result");
    rows.add(List.of("flights", Terminal.number(13_390), "identical"));
    rows.add(List.of("alerts", "7", "differs"));
    t.table(rows);
    assertEquals(
        """
            table      rows  result
            flights  13,390  identical
            alerts        7  differs
        """,
        printed());
  }

  @Test
  void logGetsNoEscapeSequenceAndNoRedrawnLine() {
    Terminal t = new Terminal(out, false, false);
    t.status("10 %");
    t.println(t.bold("title") + t.good("good") + t.bad("bad") + t.dim("dim"));
    assertEquals("titlegoodbaddim\n", printed());
  }

  @Test
  void linePrintedWhileAStatusIsShownStandsAboveIt() {
    Terminal t = new Terminal(out, true, false);
    t.status("10 %");
    t.println("line");
    t.status("");
    assertEquals("10 %\r\u001b[2Kline\n10 %\r\u001b[2K", printed());
  }

  private static Progress.Snapshot snapshot(long done, long total, long failed) {
    return new Progress.Snapshot(
        done,
        total,
        failed,
        100,
        1000,
        Duration.ofSeconds(70),
        9,
        90,
        Optional.of(Duration.ofSeconds(70)),
        Optional.empty());
  }

  @Test
  void whoWaitsSaysWhy() {
    Terminal t = new Terminal(out, true, false);
    new ProgressBar(t, "copy")
        .update(
            new Progress.Snapshot(
                1,
                4,
                0,
                100,
                1000,
                Duration.ofSeconds(70),
                9,
                90,
                Optional.of(Duration.ofSeconds(70)),
                Optional.of("2 sessions are active on the source")));
    assertEquals(
        "    copy  25 %  1 of 4 chunks  waits: 2 sessions are active on the source", printed());
  }

  @Test
  void progressInALogIsPlainAndRare() {
    Terminal t = new Terminal(out, false, false);
    ProgressBar bar = new ProgressBar(t, "copy");
    for (int i = 0; i < 100; i++) {
      bar.update(snapshot(i, 100, 0));
    }
    bar.close();
    assertEquals("", printed());
  }

  @Test
  void progressOnATerminalShowsShareAndWhatItIsAt() {
    Terminal t = new Terminal(out, true, false);
    ProgressBar bar = new ProgressBar(t, "copy");
    bar.update(snapshot(0, 4, 0));
    bar.update(snapshot(2, 4, 1));
    assertTrue(
        printed()
            .contains("[############............]  50 %  2 of 4 chunks  9 rows/s  1 min 10 s left"),
        printed());
    assertTrue(printed().endsWith("1 failed"), printed());
    bar.close();
    assertFalse(printed().endsWith("1 failed"), printed());
  }

  @Test
  void unitsSuitTheAmount() {
    assertEquals("512 B", Terminal.bytes(512));
    assertEquals("1.5 KiB", Terminal.bytes(1536));
    assertEquals("2.0 GiB", Terminal.bytes(2L << 30));
    assertEquals("59 s", Terminal.seconds(59));
    assertEquals("1 min 1 s", Terminal.seconds(61));
    assertEquals("2 h 5 min", Terminal.seconds(7500));
  }
}
