package io.dualwrite.converge;

import java.util.UUID;

/**
 * The row of {@code dualwrite.marker} that a unit of work with keyless rows claims by inserting it,
 * in the mirror transaction that holds its rows.
 *
 * @param writer the journal's identity
 * @param sequence the intent's sequence
 */
public record Marker(UUID writer, long sequence) {}
