package io.dualwrite.sql;

/**
 * One {@code column = operand} of a WHERE that is nothing but a conjunction of such terms.
 *
 * @param column the column's name as the catalog has it
 * @param operand a parameter or a literal
 */
public record KeyTerm(String column, Operand operand) {}
