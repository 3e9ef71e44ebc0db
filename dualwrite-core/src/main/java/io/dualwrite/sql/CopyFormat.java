package io.dualwrite.sql;

/**
 * How the rows of a {@code COPY … FROM STDIN} are written. Immutable.
 *
 * @param csv CSV, or PostgreSQL's own text form
 * @param delimiter between two values; ASCII
 * @param nullText what stands for NULL
 * @param quote of CSV: around values; ASCII
 * @param escape of CSV: before a quote within a value; ASCII
 * @param header whether the first line names the columns
 */
public record CopyFormat(
    boolean csv, char delimiter, String nullText, char quote, char escape, boolean header) {}
