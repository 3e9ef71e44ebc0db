package io.dualwrite.model;

/** What a server knows of one transaction. Bytes of a state, hence numbers. */
final class ServerSide {

  static final int NONE = 0;
  static final int OPEN = 1;

  /** Its client is gone while COMMIT may be on its way. It holds its locks. */
  static final int ZOMBIE = 2;

  static final int COMMITTED = 3;
  static final int GONE = 4;

  /** Its client is gone before COMMIT. It holds its locks. */
  static final int ORPHAN = 5;

  private ServerSide() {}

  static boolean live(int state) {
    return state == OPEN || state == ZOMBIE || state == ORPHAN;
  }
}
