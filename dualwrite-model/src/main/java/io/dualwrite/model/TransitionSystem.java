package io.dualwrite.model;

/**
 * What can be explored: states as bytes, whose length is a multiple of eight, and their successors.
 * Implementations keep nothing but their configuration, so that one can be explored from any
 * thread.
 */
interface TransitionSystem {

  /** The state it begins in. */
  byte[] init();

  /** Tells every state that can follow; must not change {@code s}. */
  void next(byte[] s, Successors out);

  /** Null if fine, else what is wrong; asked when nothing but faults can happen any more. */
  String judge(byte[] s);

  /** Forgets what no later step can read, so that more states are equal. */
  default void canon(byte[] s) {}

  /** Null if fine, else what is wrong; asked in every state. */
  default String invariant(byte[] s) {
    return null;
  }

  /** A state for people. */
  String show(byte[] s);

  /** The configuration for people. */
  String title();
}
