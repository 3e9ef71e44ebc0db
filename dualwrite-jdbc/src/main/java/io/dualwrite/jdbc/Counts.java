package io.dualwrite.jdbc;

/** Row counts, from long to int as the driver does it. */
final class Counts {
  private Counts() {}

  static int toInt(long count) {
    return count > Integer.MAX_VALUE ? java.sql.Statement.SUCCESS_NO_INFO : (int) count;
  }

  static int[] toInts(long[] counts) {
    int[] ints = new int[counts.length];
    for (int i = 0; i < ints.length; i++) {
      ints[i] = toInt(counts[i]);
    }
    return ints;
  }
}
