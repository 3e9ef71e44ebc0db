/**
 * What a statement's text alone says: a lexer for PostgreSQL's SQL and what can be told from its
 * tokens. No database is asked here.
 */
package io.dualwrite.sql;
