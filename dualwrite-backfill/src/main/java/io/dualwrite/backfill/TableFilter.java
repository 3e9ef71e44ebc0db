package io.dualwrite.backfill;

import io.dualwrite.catalog.TableName;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/** A regular expression on {@code schema.table}: case-insensitive, found anywhere. */
record TableFilter(Pattern pattern) implements Predicate<TableName> {

  static TableFilter of(String regex) {
    try {
      return new TableFilter(
          regex == null || regex.isEmpty()
              ? null
              : Pattern.compile(regex, Pattern.CASE_INSENSITIVE));
    } catch (PatternSyntaxException e) {
      throw new BackfillException(
          "--filter " + regex + " is not a regular expression: " + e.getDescription(), e);
    }
  }

  @Override
  public boolean test(TableName name) {
    return pattern == null || pattern.matcher(name.toString()).find();
  }
}
