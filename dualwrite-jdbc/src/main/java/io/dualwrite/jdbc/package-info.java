/**
 * The library: a {@link javax.sql.DataSource} and a driver whose connections write to both
 * databases, and the few public types around them. Everything else is package-private. Comparison
 * of reads lives in {@link io.dualwrite.shadow}; what happens to a write after the journal has it,
 * in {@link io.dualwrite.converge}.
 */
package io.dualwrite.jdbc;
