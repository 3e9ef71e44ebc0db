package io.dualwrite.catalog;

import java.util.Locale;

/**
 * A table's schema-qualified name, as the catalog stores it (no quotes, case as is).
 *
 * @param schema the schema's name
 * @param name the table's name
 */
public record TableName(String schema, String name) implements Comparable<TableName> {

  /**
   * The name for use in SQL: both parts quoted, so that no search path and no case folding matters.
   */
  public String sql() {
    return quote(schema) + "." + quote(name);
  }

  /** Quotes one identifier for use in SQL. */
  public static String quote(String identifier) {
    return '"' + identifier.replace("\"", "\"\"") + '"';
  }

  /**
   * Reads {@code name}, {@code schema.name}, {@code "Quoted"."Name"}; a missing schema is {@code
   * public}, unquoted parts are folded to lower case as the server does.
   *
   * @throws IllegalArgumentException if the text is not one or two identifiers
   */
  public static TableName parse(String text) {
    String[] parts = new String[2];
    int n = 0;
    int i = 0;
    while (true) {
      StringBuilder part = new StringBuilder();
      if (i < text.length() && text.charAt(i) == '"') {
        i++;
        while (true) {
          if (i >= text.length()) {
            throw new IllegalArgumentException("unterminated quote in table name: " + text);
          }
          char c = text.charAt(i++);
          if (c != '"') {
            part.append(c);
          } else if (i < text.length() && text.charAt(i) == '"') {
            part.append('"');
            i++;
          } else {
            break;
          }
        }
      } else {
        while (i < text.length() && text.charAt(i) != '.') {
          part.append(text.charAt(i++));
        }
        part = new StringBuilder(part.toString().trim().toLowerCase(Locale.ROOT));
      }
      if (part.isEmpty() || n == 2) {
        throw new IllegalArgumentException("not a table name (schema.table): " + text);
      }
      parts[n++] = part.toString();
      if (i == text.length()) {
        break;
      }
      if (text.charAt(i++) != '.') {
        throw new IllegalArgumentException("not a table name (schema.table): " + text);
      }
    }
    return n == 1 ? new TableName("public", parts[0]) : new TableName(parts[0], parts[1]);
  }

  @Override
  public int compareTo(TableName other) {
    int c = schema.compareTo(other.schema);
    return c != 0 ? c : name.compareTo(other.name);
  }

  /** {@code schema.name}, for people; not for SQL. */
  @Override
  public String toString() {
    return schema + "." + name;
  }
}
