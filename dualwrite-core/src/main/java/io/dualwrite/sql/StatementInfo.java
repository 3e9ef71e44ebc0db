package io.dualwrite.sql;

import java.util.List;

/**
 * What the text of one statement tells. Immutable and thread-safe.
 *
 * <p>Offsets count the characters of the text that was analysed. Where a statement leaves the
 * grammar that is understood here its kind is {@link Kind#UNKNOWN}, and it has to be taken for a
 * write. {@link Kind#READ} and {@link Kind#PRIMARY_ONLY} write nothing except through {@link
 * #functions()}.
 */
public final class StatementInfo {

  // Set by Parser alone, before the object leaves it; final fields of Sql publish them.
  Kind kind = Kind.UNKNOWN;
  int start;
  int end;
  boolean mayWrite = true;
  boolean hiddenWrite;
  boolean rowLock;
  boolean volatileValue;
  List<String> functions = List.of();
  List<String> tables = List.of();
  String table;
  int tableStart = -1;
  int tableEnd = -1;
  String alias;
  boolean only;
  boolean temporary;
  boolean with;
  String name;
  List<String> insertColumns;
  Source source;
  List<List<Operand>> values = List.of();
  boolean onConflict;
  boolean onConflictDoNothing;
  boolean overriding;
  boolean fromStdin;
  CopyFormat copyFormat;
  List<String> setColumns = List.of();
  boolean from;
  boolean where;
  boolean currentOf;
  List<KeyTerm> equalities;
  int returning = -1;
  int returningInsertAt = -1;
  TransactionCommand transaction;
  String sessionSetting;
  boolean local;
  int firstParameter;
  int parameters;
  int whereBegin = -1;
  int clausesEnd = -1;
  int mainStart = -1;
  List<Cte> writingCtes = List.of();
  boolean concurrently;
  String detached;
  boolean clusterWide;
  List<String> objects = List.of();

  StatementInfo(int start, int end) {
    this.start = start;
    this.end = end;
  }

  /** What it is. */
  public Kind kind() {
    return kind;
  }

  /** Where it begins in the text, behind blanks, comments and semicolons. */
  public int start() {
    return start;
  }

  /** Where it ends in the text, before blanks, comments and its semicolon. */
  public int end() {
    return end;
  }

  /**
   * Whether it may write. False only when the grammar excludes it, apart from what {@link
   * #functions()} do; locks and the primary's own upkeep (ANALYZE, NOTIFY) are no writes.
   */
  public boolean mayWrite() {
    return mayWrite;
  }

  /**
   * Whether a write is wrapped in it that its kind does not tell: a data-modifying WITH, EXPLAIN
   * ANALYZE or PREPARE of a write, SELECT INTO, CREATE TABLE AS, COPY of a writing query. An
   * INSERT, UPDATE, DELETE or MERGE says so when it has a second write in a WITH.
   */
  public boolean hiddenWrite() {
    return hiddenWrite;
  }

  /** Whether it locks rows: FOR UPDATE, FOR NO KEY UPDATE, FOR SHARE, FOR KEY SHARE. */
  public boolean rowLock() {
    return rowLock;
  }

  /**
   * Whether it reads CURRENT_TIMESTAMP, CURRENT_USER or another value of the session or the clock
   * that is written without parentheses.
   */
  public boolean volatileValue() {
    return volatileValue;
  }

  /**
   * Every name that is called like a function or procedure, once, as written with schema and
   * quotes. May hold more: names of types, of column lists. A name that the catalog does not know
   * is no call. Not told: casts, operators, and functions called as {@code row.function}. Empty for
   * DDL and DO, which may write anyway.
   */
  public List<String> functions() {
    return functions;
  }

  /**
   * Every relation the statement writes by its grammar, once, as written: the target, those of
   * hidden writes, all of a TRUNCATE, the one that CREATE TABLE AS makes.
   */
  public List<String> tables() {
    return tables;
  }

  /**
   * The target of INSERT, UPDATE, DELETE, MERGE, COPY … FROM, CREATE TABLE AS and SELECT INTO, the
   * first of TRUNCATE, as written with schema and quotes; else null.
   */
  public String table() {
    return table;
  }

  /** Where {@link #table()} begins in the text; -1 if there is none. */
  public int tableStart() {
    return tableStart;
  }

  /** Where {@link #table()} ends in the text; -1 if there is none. */
  public int tableEnd() {
    return tableEnd;
  }

  /** The target's alias as the catalog would fold it, or null. */
  public String alias() {
    return alias;
  }

  /** Whether the target is {@code ONLY t}: without its children. */
  public boolean only() {
    return only;
  }

  /** Whether it creates something TEMPORARY. */
  public boolean temporary() {
    return temporary;
  }

  /** Whether it begins with WITH. */
  public boolean with() {
    return with;
  }

  /**
   * The name of the prepared statement or cursor that PREPARE, EXECUTE, DEALLOCATE or DECLARE
   * names, as the server compares it; else null, also for DEALLOCATE ALL.
   */
  public String name() {
    return name;
  }

  /**
   * The columns that an INSERT or COPY … FROM lists, as the catalog names them; null if there is no
   * list.
   */
  public List<String> insertColumns() {
    return insertColumns;
  }

  /** Where an INSERT takes its rows from; null for other kinds. */
  public Source source() {
    return source;
  }

  /** The rows of {@link Source#VALUES}, else empty. */
  public List<List<Operand>> values() {
    return values;
  }

  /** See {@link Sql#size}. */
  long size() {
    return 500 + (values.isEmpty() ? 0 : 100L * values.size() * values.get(0).size());
  }

  /** Whether an INSERT has ON CONFLICT. */
  public boolean onConflict() {
    return onConflict;
  }

  /** Whether that is ON CONFLICT DO NOTHING. */
  public boolean onConflictDoNothing() {
    return onConflictDoNothing;
  }

  /** Whether an INSERT has OVERRIDING SYSTEM VALUE or OVERRIDING USER VALUE. */
  public boolean overriding() {
    return overriding;
  }

  /** Whether a COPY … FROM reads the connection and not a file or program of the server. */
  public boolean fromStdin() {
    return fromStdin;
  }

  /**
   * How the rows of a COPY … FROM STDIN are written; null if it has an option that changes more
   * than where values begin and end (WHERE, ON_ERROR, ENCODING, …).
   */
  public CopyFormat copyFormat() {
    return copyFormat;
  }

  /**
   * The columns that UPDATE or ON CONFLICT DO UPDATE assigns, as the catalog names them; {@code
   * a[1]} and {@code a.b} assign {@code a}.
   */
  public List<String> setColumns() {
    return setColumns;
  }

  /** Whether it is UPDATE … FROM or DELETE … USING. */
  public boolean from() {
    return from;
  }

  /** Whether UPDATE or DELETE has a WHERE. */
  public boolean where() {
    return where;
  }

  /** Where the condition begins, right behind WHERE, of an UPDATE or DELETE; else -1. */
  public int whereBegin() {
    return whereBegin;
  }

  /**
   * Where the condition of an UPDATE or DELETE ends, or where one could be inserted: before its
   * RETURNING, or at {@link #end()}; else -1.
   */
  public int clausesEnd() {
    return clausesEnd;
  }

  /** Where the statement behind its WITH begins; -1 if there is no WITH. */
  public int mainStart() {
    return mainStart;
  }

  /** The data-modifying queries of its WITH, in their order. Those deeper inside are not told. */
  public List<Cte> writingCtes() {
    return writingCtes;
  }

  /** Whether a DDL statement has CONCURRENTLY, or else is one that the server runs alone. */
  public boolean concurrently() {
    return concurrently;
  }

  /** The partition of ALTER TABLE … DETACH PARTITION … CONCURRENTLY, as written; else null. */
  public String detached() {
    return detached;
  }

  /**
   * The relations that a DDL statement is about, as written: all that DROP TABLE, VIEW, INDEX or
   * SEQUENCE lists, the one of ALTER, COMMENT ON, GRANT … ON and CREATE INDEX … ON. Empty for other
   * DDL.
   */
  public List<String> objects() {
    return objects;
  }

  /** Whether a DDL statement is about roles, databases, tablespaces or the server itself. */
  public boolean clusterWide() {
    return clusterWide;
  }

  /** Whether that is WHERE CURRENT OF a cursor. */
  public boolean currentOf() {
    return currentOf;
  }

  /**
   * The terms of a WHERE that is nothing but a conjunction of {@code column = operand}, each column
   * once and no other table to take it from; else null.
   */
  public List<KeyTerm> equalities() {
    return equalities;
  }

  /**
   * Where the list of its own RETURNING begins, right behind the keyword, or -1. Ends at {@link
   * #end()}. Since PostgreSQL 18 it may begin with {@code WITH (OLD AS …)}.
   */
  public int returning() {
    return returning;
  }

  /**
   * Where {@code " RETURNING …"} can be inserted into an INSERT, UPDATE, DELETE or MERGE (of
   * PostgreSQL 17 or later) that has none; else -1.
   */
  public int returningInsertAt() {
    return returningInsertAt;
  }

  /** What a {@link Kind#TRANSACTION} does, else null. */
  public TransactionCommand transaction() {
    return transaction;
  }

  /**
   * The setting that SET or RESET changes, in lower case ({@code timezone}, {@code role}, {@code
   * session_authorization}, {@code client_encoding}, {@code search_path}, …); {@code constraints}
   * for SET CONSTRAINTS; {@code all} for RESET ALL and DISCARD ALL; null when it names none.
   */
  public String sessionSetting() {
    return sessionSetting;
  }

  /** Whether that lasts only to the end of the transaction. */
  public boolean local() {
    return local;
  }

  /**
   * The number, counted from 1 over the whole text, of the first {@code ?} at or behind its start.
   */
  public int firstParameter() {
    return firstParameter;
  }

  /** How many {@code ?} it has, or its highest {@code $n}. */
  public int parameters() {
    return parameters;
  }

  @Override
  public String toString() {
    return kind + (table == null ? "" : " " + table) + " [" + start + ", " + end + ")";
  }
}
