package io.dualwrite.simulation;

import io.dualwrite.embedded.PgServer;
import io.dualwrite.embedded.TcpProxy;
import io.dualwrite.embedded.TcpProxy.Direction;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Breaks one server and the ways to it, one fault after another, until it is told to stop. */
final class Chaos implements Runnable {

  /** What can go wrong with a server, or on the way to it. */
  enum Fault {
    CUT(6),
    REFUSE(4),
    STALL(4),
    STALL_ANSWERS(4),
    DELAY(4),
    BLACKHOLE(3),
    CUT_HALF_WAY(8),
    CUT_AT_COMMIT(5),
    CUT_AT_COMMITTED(5),
    STALL_AT_COMMIT(4),
    OUTLIVED_COMMIT(6),
    FREEZE(2),
    CRASH(3);

    final int weight;

    Fault(int weight) {
      this.weight = weight;
    }
  }

  private final String side;
  private final Dice dice;
  private final PgServer server;
  private final List<TcpProxy> ways;
  private final int[] weights;
  private final int gap;
  private final CountDownLatch stop;
  private final Machine machine;
  private final Timeline timeline;

  /**
   * @param side source or target
   * @param ways the proxies before the server, one for each client
   * @param weights how often each fault comes
   * @param gap milliseconds between faults, at most, on a machine with nothing else to do
   */
  Chaos(
      String side,
      Dice dice,
      PgServer server,
      List<TcpProxy> ways,
      int[] weights,
      int gap,
      CountDownLatch stop,
      Machine machine,
      Timeline timeline) {
    this.side = side;
    this.dice = dice;
    this.server = server;
    this.ways = ways;
    this.weights = weights;
    this.gap = gap;
    this.stop = stop;
    this.machine = machine;
    this.timeline = timeline;
  }

  /**
   * Where everything takes longer there is more time between faults too, for something to break.
   */
  private boolean pause() throws InterruptedException {
    long now = System.currentTimeMillis();
    double millis = dice.between(gap / 10, gap) * Math.min(2, machine.slowness(now - 5000, now));
    return stop.await((long) millis, TimeUnit.MILLISECONDS);
  }

  @Override
  public void run() {
    try {
      while (!pause()) {
        fault(Fault.values()[dice.weighted(weights)]);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void fault(Fault fault) throws InterruptedException {
    int one = dice.percent(60) ? dice.below(ways.size()) : -1;
    List<TcpProxy> hit = one < 0 ? ways : List.of(ways.get(one));
    int millis = dice.between(20, dice.percent(25) ? 1500 : 400);
    int late = dice.between(200, 1500);
    int bytes = dice.below(dice.percent(50) ? 300 : 6000);
    Direction direction = dice.percent(50) ? Direction.TO_SERVER : Direction.TO_CLIENT;
    String what = fault + (one < 0 ? " all" : " way " + one) + " " + millis + " ms " + direction;
    timeline.add(
        side,
        what
            + (fault == Fault.CUT_HALF_WAY ? " after " + bytes + " bytes" : "")
            + (fault == Fault.OUTLIVED_COMMIT ? " by " + late + " ms" : ""));
    Timeline.Window window = side.equals("source") ? timeline.sourceFault() : null;
    try {
      for (TcpProxy p : hit) {
        switch (fault) {
          case CUT -> p.cut();
          case REFUSE -> {
            p.refuse();
            p.cut();
          }
          case STALL -> p.stall();
          case STALL_ANSWERS -> p.stall(direction);
          case DELAY -> p.delay(direction, Duration.ofMillis(millis / 20));
          case BLACKHOLE -> p.blackhole();
          case CUT_HALF_WAY -> p.cutAfterBytes(direction, bytes);
          case CUT_AT_COMMIT -> p.onFirst(Direction.TO_SERVER, "COMMIT", p::cut);
          case CUT_AT_COMMITTED -> p.onFirst(Direction.TO_CLIENT, "COMMIT", p::cut);
          case STALL_AT_COMMIT -> p.onFirst(direction, "COMMIT", p::stall);
          case OUTLIVED_COMMIT -> p.outlive("COMMIT", Duration.ofMillis(late));
          case FREEZE, CRASH -> {}
        }
      }
      if (fault == Fault.FREEZE) {
        server.freeze();
      } else if (fault == Fault.CRASH) {
        server.kill();
        stop.await(dice.percent(50) ? 0 : millis, TimeUnit.MILLISECONDS);
        server.restart();
        return;
      }
      // somebody has to come by with a COMMIT
      stop.await(fault == Fault.OUTLIVED_COMMIT ? 1000 + millis : millis, TimeUnit.MILLISECONDS);
    } finally {
      if (fault == Fault.FREEZE) {
        server.thaw();
      }
      for (TcpProxy p : hit) {
        p.disarm();
        p.resume();
        if (fault == Fault.BLACKHOLE) {
          p.cut(); // what was swallowed is missed for ever
        }
      }
      if (window != null) {
        window.end();
      }
      timeline.add(side, "well");
    }
  }
}
