package io.dualwrite.sql;

/**
 * How the rows of a {@code COPY … FROM STDIN} are written. Immutable.
 *
 * @param form the form
 * @param delimiter of text and CSV, between two values; ASCII
 * @param nullText of text and CSV: what stands for NULL
 * @param quote of CSV: around values; ASCII
 * @param escape of CSV: before a quote within a value; ASCII
 * @param header of text and CSV: whether the first line names the columns
 */
public record CopyFormat(
    Form form, char delimiter, String nullText, char quote, char escape, boolean header) {

  /** PostgreSQL's forms. */
  public enum Form {
    /** A line for a row, backslashes before what is special. */
    TEXT,
    /** Comma-separated values. */
    CSV,
    /** Lengths and bytes. */
    BINARY
  }
}
