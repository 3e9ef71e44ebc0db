package io.dualwrite.converge;

import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * SQL text for rows that come as parameters: one text parameter for each column of a single row, or
 * one text[] parameter for each column of many. Values are cast to the column's type without its
 * length, so that the assignment refuses what does not fit and nothing is cut.
 */
final class Dml {

  private Dml() {}

  /** One column as a statement gets it: the type that the text is of, or null for its own. */
  record In(Column column, String type) {
    String cast(String text) {
      if (type == null && NAMED.matcher(column.type()).matches()) {
        // the cast from text looks names up and takes no number; the type's input function does
        return "pg_catalog." + column.type() + "in(pg_catalog.textout(" + text + "))";
      }
      return "cast(" + text + " as " + (type == null ? column.type() : type) + ")";
    }
  }

  private static final Pattern NAMED = Pattern.compile("reg\\w+");

  private static final Pattern DIMENSION =
      Pattern.compile("smallint|integer|bigint|date|timestamp.*|uuid");

  /** {@code unnest(?::text[], …)}. */
  static String unnest(int columns) {
    return "unnest(" + "?::text[], ".repeat(columns - 1) + "?::text[])";
  }

  /** {@code u(a0, a1, …)}, with {@code o} for the ordinality if asked for. */
  static String alias(int columns, boolean ordinality) {
    StringBuilder b = new StringBuilder(ordinality ? " with ordinality as u(" : " as u(");
    for (int i = 0; i < columns; i++) {
      b.append(i == 0 ? "a" : ", a").append(i);
    }
    return b.append(ordinality ? ", o)" : ")").toString();
  }

  /** A page of keys after one that comes as parameters: {@code (t.a, …) > (…)}. */
  static String after(String alias, List<In> key) {
    return key.stream()
            .map(i -> alias + "." + i.column.sql())
            .collect(Collectors.joining(", ", "(", ") > ("))
        + single(key)
        + ")";
  }

  /** The order of such pages, and how long one is. */
  static String page(String alias, List<In> key, int most) {
    return key.stream()
            .map(i -> alias + "." + i.column.sql())
            .collect(Collectors.joining(", ", " order by ", " limit "))
        + most;
  }

  /**
   * A condition that is true of every row with one of the keys, and that tells TimescaleDB which
   * chunks have none: between the first and the last of a column of the types that it divides by.
   */
  static String chunks(List<In> key) {
    StringBuilder b = new StringBuilder();
    for (int i = 0; i < key.size(); i++) {
      if (DIMENSION.matcher(key.get(i).column.type()).matches()) {
        String value = "(select " + key.get(i).cast("a" + i) + " from u order by 1";
        b.append(" and t.").append(key.get(i).column.sql()).append(" between ").append(value);
        b.append(" limit 1) and ").append(value).append(" desc limit 1)");
      }
    }
    return b.toString();
  }

  private static String names(List<In> in) {
    return in.stream().map(i -> i.column.sql()).collect(Collectors.joining(", "));
  }

  private static String into(Table table, List<In> in) {
    boolean always = in.stream().anyMatch(i -> i.column.identity() == Column.Identity.ALWAYS);
    return "insert into "
        + table.name().sql()
        + " as t ("
        + names(in)
        + ")"
        + (always ? " overriding system value" : "");
  }

  private static String single(List<In> in) {
    return in.stream().map(i -> i.cast("?::text")).collect(Collectors.joining(", "));
  }

  /** The columns of unnested rows, cast. */
  static String casts(List<In> in) {
    StringBuilder b = new StringBuilder();
    for (int i = 0; i < in.size(); i++) {
      b.append(i == 0 ? "" : ", ").append(in.get(i).cast("u.a" + i));
    }
    return b.toString();
  }

  static String insert(Table table, List<In> in, boolean bulk) {
    return into(table, in)
        + (bulk
            ? " select " + casts(in) + " from " + unnest(in.size()) + alias(in.size(), false)
            : " values (" + single(in) + ")");
  }

  /**
   * The columns that an upsert sets: not the key's, and none that cannot be set. Naming a unique
   * column locks the row FOR UPDATE (rule 14), so the key is never among them.
   */
  static List<Column> settable(List<In> in, List<String> key) {
    List<Column> result = new ArrayList<>();
    for (In i : in) {
      if (!key.contains(i.column.name()) && i.column.identity() != Column.Identity.ALWAYS) {
        result.add(i.column);
      }
    }
    return result;
  }

  /**
   * Columns that no UPDATE sets to a value, the key's aside: a row that has another one there is
   * not changed and so not counted.
   */
  private static List<Column> numbered(List<In> in, List<String> key) {
    return in.stream()
        .map(In::column)
        .filter(c -> c.identity() == Column.Identity.ALWAYS && !key.contains(c.name()))
        .toList();
  }

  /** For a key that can be an arbiter. */
  static String upsert(Table table, List<In> in, List<String> key, boolean bulk) {
    List<Column> set = new ArrayList<>(settable(in, key));
    List<Column> numbered = numbered(in, key);
    if (set.isEmpty() && !numbered.isEmpty()) {
      set.add(in.stream().map(In::column).filter(c -> c.name().equals(key.get(0))).findAny().get());
    }
    return insert(table, in, bulk)
        + " on conflict ("
        + key.stream().map(TableName::quote).collect(Collectors.joining(", "))
        + ") do "
        + (set.isEmpty()
            ? "nothing"
            : "update set "
                + set.stream()
                    .map(c -> c.sql() + " = excluded." + c.sql())
                    .collect(Collectors.joining(", ")))
        + (numbered.isEmpty()
            ? ""
            : numbered.stream()
                .map(c -> "t." + c.sql() + " = excluded." + c.sql())
                .collect(Collectors.joining(" and ", " where ", "")));
  }

  /** Whether an upsert's count says how many rows it wrote. */
  static boolean counted(List<In> in, List<String> key) {
    return !settable(in, key).isEmpty() || !numbered(in, key).isEmpty();
  }

  private static String source(int columns, boolean bulk) {
    return bulk
        ? unnest(columns) + alias(columns, false)
        : "(values (" + "?::text, ".repeat(columns - 1) + "?::text))" + alias(columns, false);
  }

  private static String match(List<In> in, List<String> key) {
    StringBuilder b = new StringBuilder();
    for (String k : key) {
      for (int i = 0; i < in.size(); i++) {
        if (in.get(i).column.name().equals(k)) {
          b.append(b.isEmpty() ? "" : " and ")
              .append("t.")
              .append(TableName.quote(k))
              .append(" = ")
              .append(in.get(i).cast("u.a" + i));
          break;
        }
      }
    }
    return b.toString();
  }

  /** First half of an upsert by a deferrable key, which can be no arbiter (rule 15). */
  static String updateByKey(Table table, List<In> in, List<String> key, boolean bulk) {
    List<String> set = new ArrayList<>();
    StringBuilder same = new StringBuilder();
    for (int i = 0; i < in.size(); i++) {
      Column c = in.get(i).column;
      if (key.contains(c.name())) {
        continue;
      }
      String value = c.sql() + " = " + in.get(i).cast("u.a" + i);
      if (c.identity() == Column.Identity.ALWAYS) {
        same.append(" and t.").append(value);
      } else {
        set.add(value);
      }
    }
    if (set.isEmpty()) {
      set.add(TableName.quote(key.get(0)) + " = t." + TableName.quote(key.get(0)));
    }
    return "update "
        + table.own()
        + " t set "
        + String.join(", ", set)
        + " from "
        + source(in.size(), bulk)
        + " where "
        + match(in, key)
        + same;
  }

  /**
   * Which rows ({@code o}, from 1) have another value on the mirror in a column that no UPDATE
   * sets: an upsert leaves them as they are.
   *
   * @return null if there is no such column
   */
  static String numberedOtherwise(Table table, List<In> in, List<String> key) {
    StringBuilder otherwise = new StringBuilder();
    for (int i = 0; i < in.size(); i++) {
      Column c = in.get(i).column;
      if (c.identity() == Column.Identity.ALWAYS && !key.contains(c.name())) {
        otherwise.append(otherwise.isEmpty() ? "" : " or ");
        otherwise.append("t.").append(c.sql()).append(" <> ").append(in.get(i).cast("u.a" + i));
      }
    }
    return otherwise.isEmpty() ? null : there(table, in, key, otherwise.toString());
  }

  private static String there(Table table, List<In> in, List<String> key, String condition) {
    return "select u.o from "
        + unnest(in.size())
        + alias(in.size(), true)
        + " join "
        + table.own()
        + " t on "
        + match(in, key)
        + " where "
        + condition;
  }

  /**
   * Which rows ({@code o}, from 1) have a key that is the same on the mirror and written otherwise,
   * 1 and 1.0: an upsert leaves it so.
   *
   * @return null if no type of the key has such values
   */
  static String misspelt(Table table, List<In> in, List<String> key) {
    List<String> otherwise = new ArrayList<>();
    for (int i = 0; i < in.size(); i++) {
      Column c = in.get(i).column;
      if (key.contains(c.name()) && !oneText(c)) {
        otherwise.add(Columns.text(c) + " <> u.a" + i + " collate \"C\"");
      }
    }
    return otherwise.isEmpty() ? null : there(table, in, key, String.join(" or ", otherwise));
  }

  /** Writes the keys of such rows as they come; locks them FOR UPDATE (rule 14). */
  static String spell(Table table, List<In> in, List<String> key) {
    List<String> set = new ArrayList<>();
    for (int i = 0; i < in.size(); i++) {
      Column c = in.get(i).column;
      if (key.contains(c.name()) && !oneText(c)) {
        set.add(c.sql() + " = " + in.get(i).cast("u.a" + i));
      }
    }
    return "update "
        + table.own()
        + " t set "
        + String.join(", ", set)
        + " from "
        + source(in.size(), true)
        + " where "
        + match(in, key);
  }

  /** Whether equal values of a column have the same text. */
  private static boolean oneText(Column c) {
    return comparable(c.type()) && !c.type().equals("numeric") && c.deterministic();
  }

  /** Second half of it. */
  static String insertMissing(Table table, List<In> in, List<String> key, boolean bulk) {
    return into(table, in)
        + " select "
        + casts(in)
        + " from "
        + source(in.size(), bulk)
        + " where not exists (select from "
        + table.own()
        + " t where "
        + match(in, key)
        + ")";
  }

  /**
   * {@code in}: the key's columns. Where chunks may be compressed a single row's parameters have
   * the columns' own types: with a cast from text to a timestamp no chunk is left out of the plan.
   */
  static String delete(Table table, List<In> in, boolean bulk) {
    String single = table.compresses() ? "?" : "?::text";
    StringBuilder where = new StringBuilder();
    for (int i = 0; i < in.size(); i++) {
      where
          .append(i == 0 ? "" : " and ")
          .append("t.")
          .append(in.get(i).column.sql())
          .append(" = ")
          .append(in.get(i).cast(bulk ? "u.a" + i : single));
    }
    return "delete from "
        + table.own()
        + " t"
        + (bulk ? " using " + unnest(in.size()) + alias(in.size(), false) : "")
        + " where "
        + where;
  }

  /**
   * Deletes one row. With the key in the text: TimescaleDB looks into those batches alone that can
   * hold constants, and takes all others of the table apart for a join's sake.
   */
  static String delete(Table table, List<In> in, List<String> key) {
    StringBuilder where = new StringBuilder();
    for (int i = 0; i < in.size(); i++) {
      where
          .append(i == 0 ? " where t." : " and t.")
          .append(in.get(i).column.sql())
          .append(" = ")
          .append(in.get(i).cast("'" + key.get(i).replace("'", "''") + "'"));
    }
    return "delete from " + table.own() + " t" + where;
  }

  /**
   * Deletes as many rows as there are equal ones among those given. Values are compared as text
   * too, because {@code =} holds for numbers of different scale; and with {@code =} where the type
   * has it beyond doubt, because that can use an index.
   *
   * @param given the columns that are not NULL, one array parameter each
   * @param empty those that are NULL in all of the rows
   * @param rows how many rows there are
   */
  static String remove(Table table, List<Column> given, List<Column> empty, int rows) {
    StringBuilder on = new StringBuilder();
    StringBuilder partition = new StringBuilder();
    for (int i = 0; i < given.size(); i++) {
      Column c = given.get(i);
      on.append(i == 0 ? "" : " and ");
      if (comparable(c.type())) {
        on.append("t.").append(c.sql()).append(" = cast(w.a").append(i).append(" as ");
        on.append(c.type()).append(") and ");
      }
      // of a nondeterministic collation other texts are equal; money comes without its currency
      on.append(c.type().equals("money") ? "t." + c.sql() + "::numeric::text" : Columns.text(c));
      on.append(" = w.a").append(i).append(" collate \"C\"");
      partition.append(i == 0 ? "a" : ", a").append(i);
    }
    for (Column c : empty) {
      // IS NULL is true of a composite value whose fields are NULL
      on.append(on.isEmpty() ? "t." : " and t.")
          .append(c.sql())
          .append(" is not distinct from null");
    }
    return "with w as materialized ("
        + (given.isEmpty()
            ? "select " + rows + "::bigint as n"
            : "select "
                + partition
                + ", count(*) as n from "
                + unnest(given.size())
                + alias(given.size(), false)
                + " group by "
                + partition)
        + "), v as materialized (select t.tableoid as o, t.ctid as c, w.n, row_number() over ("
        + (given.isEmpty() ? "" : "partition by w." + partition.toString().replace(", a", ", w.a"))
        + ") as k from w join "
        + table.own()
        + " t on "
        + on
        + ") delete from "
        + table.own()
        + " t using v where t.tableoid = v.o and t.ctid = v.c and v.k <= v.n";
  }

  private static boolean comparable(String type) {
    return switch (type) {
      case "smallint",
          "integer",
          "bigint",
          "numeric",
          "text",
          "character varying",
          "uuid",
          "boolean",
          "date",
          "timestamp without time zone",
          "timestamp with time zone",
          "bytea",
          "oid" ->
          true;
      default -> false;
    };
  }

  /**
   * {@code in}: {@code keys} columns of the old key, then the columns written. A row whose new
   * value no UPDATE can set is not changed and so not counted.
   */
  static String rekey(Table table, List<In> in, int keys, boolean bulk) {
    StringBuilder set = new StringBuilder();
    StringBuilder where = new StringBuilder();
    StringBuilder same = new StringBuilder();
    for (int i = 0; i < in.size(); i++) {
      Column c = in.get(i).column;
      if (i < keys) {
        where
            .append(i == 0 ? "t." : " and t.")
            .append(c.sql())
            .append(" = ")
            .append(in.get(i).cast("u.a" + i));
      } else if (c.identity() == Column.Identity.ALWAYS) {
        same.append(" and t.").append(c.sql()).append(" = ").append(in.get(i).cast("u.a" + i));
      } else {
        set.append(set.isEmpty() ? "" : ", ")
            .append(c.sql())
            .append(" = ")
            .append(in.get(i).cast("u.a" + i));
      }
    }
    if (set.isEmpty()) {
      set.append(in.get(0).column.sql()).append(" = default");
    }
    return "update "
        + table.own()
        + " t set "
        + set
        + " from "
        + source(in.size(), bulk)
        + " where "
        + where
        + same;
  }

  /**
   * Locks the rows with these keys, {@code from … t}, as FOR UPDATE would, where they may be
   * compressed: TimescaleDB locks no such row, but an upsert takes it out of its batch first.
   */
  static String lock(Table table, List<In> in, List<String> key, String from) {
    List<Column> set = settable(in, List.of());
    String column =
        set.stream().filter(c -> key.contains(c.name())).findFirst().orElse(set.get(0)).sql();
    return into(table, in)
        + " select "
        + in.stream().map(i -> "t." + i.column.sql()).collect(Collectors.joining(", "))
        + from
        + " order by u.o on conflict ("
        + key.stream().map(TableName::quote).collect(Collectors.joining(", "))
        + ") do update set "
        + column
        + " = excluded."
        + column
        + " where false";
  }

  /**
   * Deletes the rows' old versions and inserts them in one statement, the insert depending on the
   * delete's count: rule 15, for rows that exchange unique values.
   */
  static String swap(Table table, List<In> in, List<String> key) {
    return "with u as materialized (select * from "
        + unnest(in.size())
        + alias(in.size(), false)
        + "), d as (delete from "
        + table.own()
        + " t using u where "
        + match(in, key)
        + " returning 1) "
        + into(table, in)
        + " select "
        + casts(in)
        + " from u, (select count(*) from d) as gone";
  }

  /** Whether the table has a unique index on exactly these columns. */
  static boolean unique(Table table, List<String> key) {
    HashSet<String> k = new HashSet<>(key);
    return !k.isEmpty()
        && (k.equals(new HashSet<>(table.key()))
            || table.uniques().stream().anyMatch(u -> k.equals(new HashSet<>(u))));
  }

  /** Whether ON CONFLICT cannot be used: a deferrable key, or rules (even disabled ones). */
  static boolean deferrable(Table table, List<String> key) {
    return table.rules()
        || table.keyDeferrable() && new HashSet<>(key).equals(new HashSet<>(table.key()));
  }
}
