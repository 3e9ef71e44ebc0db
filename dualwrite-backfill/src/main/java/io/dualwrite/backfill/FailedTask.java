package io.dualwrite.backfill;

/**
 * A chunk that was parked after repeated failure.
 *
 * @param id its number in {@code dualwrite.task}
 * @param chunk which rows, for people
 * @param attempts how often it was tried
 * @param error the last error
 */
public record FailedTask(long id, String chunk, int attempts, String error) {}
