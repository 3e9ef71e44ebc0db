package io.dualwrite.sql;

/**
 * A data-modifying query of a WITH.
 *
 * @param name its name, as the catalog would fold it
 * @param nameStart where the name begins in the text
 * @param bodyStart where the query begins, right behind its parenthesis
 * @param bodyEnd where the parenthesis closes
 * @param statement the query
 */
public record Cte(
    String name, int nameStart, int bodyStart, int bodyEnd, StatementInfo statement) {}
