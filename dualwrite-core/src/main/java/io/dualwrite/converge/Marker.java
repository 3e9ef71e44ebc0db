package io.dualwrite.converge;

import java.util.UUID;

/**
 * A row of {@code dualwrite.marker} that a unit of work with keyless rows claims by inserting it,
 * in the mirror transaction that holds its rows. A unit's statements that travel as text (DDL) have
 * a marker of their own, the negative of the number, because a replay runs them in another
 * transaction than the rows.
 *
 * @param writer the journal's identity
 * @param sequence the intent's sequence, or its negative for the unit's statements
 */
public record Marker(UUID writer, long sequence) {}
