package io.dualwrite.journal;

/**
 * What {@link JournalReader#verify} went through.
 *
 * @param files files of the queue
 * @param bytes their bytes up to the last record
 * @param records records whose sums are right; the parts of a large unit count as one
 * @param units those of them that are units of work and can be read whole
 * @param damaged places that are not what was written
 */
public record JournalCheck(long files, long bytes, long records, long units, long damaged) {}
