package io.dualwrite.converge;

/**
 * What one round of replay did.
 *
 * @param resolved units resolved
 * @param keys keys resynced
 * @param rows keyless rows inserted
 * @param parked units parked
 * @param waiting units that have to wait: their primary transaction has not ended, mirror
 *     transactions in flight may yet bring a key, or they failed a moment ago
 */
public record ReplayResult(int resolved, long keys, long rows, int parked, int waiting) {}
