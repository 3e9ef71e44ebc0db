package io.dualwrite.backfill;

import java.time.Duration;
import java.util.function.BooleanSupplier;

/**
 * How to verify. Immutable.
 *
 * @param parallelism ranges at a time; each uses one connection to each side
 * @param repair whether differences are repaired and what was repaired is verified again
 * @param filter a regular expression on {@code schema.table} as for stage; null for the filter that
 *     was staged with
 * @param maxDifferences differing keys looked for per range, and kept per table in the result
 * @param recheck over how long a differing key is looked at again before it is reported
 * @param settled says that no write is pending; differing keys are looked at again only once it is
 *     true, or after ten times {@code recheck}. Null if nobody knows
 * @param method how
 * @param maxRate bytes of rows' text per second and side that are hashed, over all ranges; 0 for no
 *     limit. A range is compared at once, and those after it wait
 * @param resume whether ranges that were found equal since the last verify without it are left out.
 *     Tables that were not staged are compared anyway
 */
public record VerifyOptions(
    int parallelism,
    boolean repair,
    String filter,
    int maxDifferences,
    Duration recheck,
    BooleanSupplier settled,
    Method method,
    long maxRate,
    boolean resume) {

  /** How tables are compared. */
  public enum Method {
    /** By the servers' statistics, with a tolerance: seconds for any size, and no proof. */
    ESTIMATE,
    /** By the number of rows. */
    COUNT,
    /** By content. */
    CHECKSUM
  }

  /** Checks the ranges. */
  public VerifyOptions {
    if (repair && method != Method.CHECKSUM) {
      throw new IllegalArgumentException(
          "only a comparison by checksum knows what to repair; leave out the other method");
    }
    if (maxRate < 0) {
      throw new IllegalArgumentException("maxRate is " + maxRate + "; it is 0 (no limit) or more");
    }
    if (parallelism < 1) {
      throw new IllegalArgumentException("parallelism is " + parallelism + "; it is at least 1");
    }
    if (maxDifferences < 1) {
      throw new IllegalArgumentException(
          "maxDifferences is " + maxDifferences + "; it is at least 1");
    }
  }

  /** Eight at a time, no repair, 10 000 differences, looked at again over five seconds. */
  public static VerifyOptions defaults() {
    return new VerifyOptions(
        8, false, null, 10_000, Duration.ofSeconds(5), null, Method.CHECKSUM, 0, false);
  }

  /** With this many ranges at a time. */
  public VerifyOptions withParallelism(int value) {
    return new VerifyOptions(
        value, repair, filter, maxDifferences, recheck, settled, method, maxRate, resume);
  }

  /** With repair, or without. */
  public VerifyOptions withRepair(boolean value) {
    return new VerifyOptions(
        parallelism, value, filter, maxDifferences, recheck, settled, method, maxRate, resume);
  }

  /** With this table filter. */
  public VerifyOptions withFilter(String value) {
    return new VerifyOptions(
        parallelism, repair, value, maxDifferences, recheck, settled, method, maxRate, resume);
  }

  /** With this bound on differences. */
  public VerifyOptions withMaxDifferences(int value) {
    return new VerifyOptions(
        parallelism, repair, filter, value, recheck, settled, method, maxRate, resume);
  }

  /** With this time over which differences are looked at again. */
  public VerifyOptions withRecheck(Duration value) {
    return new VerifyOptions(
        parallelism, repair, filter, maxDifferences, value, settled, method, maxRate, resume);
  }

  /** With this word on whether writes are pending. */
  public VerifyOptions settled(BooleanSupplier value) {
    return new VerifyOptions(
        parallelism, repair, filter, maxDifferences, recheck, value, method, maxRate, resume);
  }

  /** With this method. */
  public VerifyOptions withMethod(Method value) {
    return new VerifyOptions(
        parallelism, repair, filter, maxDifferences, recheck, settled, value, maxRate, resume);
  }

  /** With this limit in bytes per second. */
  public VerifyOptions withMaxRate(long value) {
    return new VerifyOptions(
        parallelism, repair, filter, maxDifferences, recheck, settled, method, value, resume);
  }

  /** From where an earlier one stopped, or all of it. */
  public VerifyOptions withResume(boolean value) {
    return new VerifyOptions(
        parallelism, repair, filter, maxDifferences, recheck, settled, method, maxRate, value);
  }
}
