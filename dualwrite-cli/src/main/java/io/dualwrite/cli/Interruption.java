package io.dualwrite.cli;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jline.utils.Signals;

/**
 * Ctrl-C, or another polite signal, while something long runs: it is asked to stop, ends what it is
 * at, and the process ends with the exit code that it then gives. A second Ctrl-C ends the process
 * at once: the servers roll back what was under way.
 */
final class Interruption implements AutoCloseable {

  /** How long what is at hand may take to end; then the process is gone, as after a crash. */
  private static final long PATIENCE_SECONDS = 60;

  private final CountDownLatch ended = new CountDownLatch(1);
  private volatile boolean signalled;
  private volatile int code = ExitCode.INTERRUPTED;
  private volatile boolean told;
  private final Thread hook;
  private final Object before;

  private Interruption(Runnable stop) {
    hook =
        new Thread(
            () -> {
              signalled = true;
              stop.run();
              try {
                if (!ended.await(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
                  code = ExitCode.INTERRUPTED;
                }
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
              System.out.flush();
              Runtime.getRuntime().halt(code);
            },
            "dualwrite-interrupted");
    Runtime.getRuntime().addShutdownHook(hook);
    // left to the virtual machine, a second one is ignored once the first has begun to end it
    before =
        Signals.register(
            "INT",
            () -> {
              if (signalled) {
                System.err.println("aborted");
                Runtime.getRuntime().halt(ExitCode.INTERRUPTED);
              }
              signalled = true;
              System.err.println("ending what is at hand; Ctrl-C once more aborts it");
              stop.run();
            });
  }

  /** Calls {@code stop} when the process is asked to end. */
  static Interruption stops(Runnable stop) {
    return new Interruption(stop);
  }

  /** Whether the process was asked to end. */
  boolean signalled() {
    return signalled;
  }

  /** The exit code, should the process be on its way out. Returns it. */
  int exitCode(int value) {
    code = value;
    told = true;
    return value;
  }

  @Override
  public void close() {
    ended.countDown();
    if (signalled && !told) { // what it failed with is that it was interrupted
      System.err.println("interrupted");
      System.out.flush();
      Runtime.getRuntime().halt(ExitCode.INTERRUPTED);
    }
    Signals.unregister("INT", before);
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // the JVM is on its way out and the hook ends it
    }
  }
}
