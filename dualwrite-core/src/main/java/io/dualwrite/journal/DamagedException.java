package io.dualwrite.journal;

/** Bytes on disk are not what was written. */
final class DamagedException extends Exception {
  private static final long serialVersionUID = 1;

  DamagedException(String what) {
    super(what);
  }
}
