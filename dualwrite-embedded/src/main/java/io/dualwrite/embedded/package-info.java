/**
 * Throw-away PostgreSQL servers (embedded binaries, containers, or given ones) and a TCP proxy that
 * breaks connections: for the demo, the examples and the tests. Nothing of dualwrite itself is
 * known here.
 */
package io.dualwrite.embedded;
