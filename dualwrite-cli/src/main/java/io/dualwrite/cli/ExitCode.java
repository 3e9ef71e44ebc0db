package io.dualwrite.cli;

/** The command's exit codes, also part of its help. */
public final class ExitCode {
  /** Done, and nothing is left to do. */
  public static final int DONE = 0;

  /** It failed, or what it compared differs. */
  public static final int FAILED = 1;

  /** The command line is wrong. */
  public static final int USAGE = 2;

  /** Interrupted with work left; the same command goes on where it stopped. */
  public static final int INTERRUPTED = 130;

  private ExitCode() {}
}
