/**
 * The simulation: writer processes with seeded random transactions, faults of every kind, and at
 * the end a comparison that shares no code with the product. What it finds is a defect of the
 * product; nothing of the product may depend on it.
 */
package io.dualwrite.simulation;
