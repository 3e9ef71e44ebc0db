package io.dualwrite.sql;

/**
 * The keywords that matter here: all that cannot be the name of a table, column or function, and
 * those of the others that begin a statement or a clause.
 *
 * <p>Keywords that only newer servers have (JSON_VALUE, MERGE_ACTION, …) are left out: on an older
 * server they are names like any other.
 */
enum Word {
  /** Not a keyword, or none that matters. */
  NONE(Use.FREE),
  ABORT(Use.FREE),
  ALL(Use.RESERVED),
  ALTER(Use.FREE),
  ANALYSE(Use.RESERVED),
  ANALYZE(Use.RESERVED),
  AND(Use.RESERVED),
  ANY(Use.RESERVED),
  ARRAY(Use.RESERVED),
  AS(Use.RESERVED),
  ASC(Use.RESERVED),
  ASYMMETRIC(Use.RESERVED),
  ATOMIC(Use.FREE),
  AUTHORIZATION(Use.JOINING),
  BEGIN(Use.FREE),
  BETWEEN(Use.SYNTAX),
  BIGINT(Use.SYNTAX),
  BINARY(Use.JOINING),
  BIT(Use.SYNTAX),
  BOOLEAN(Use.SYNTAX),
  BOTH(Use.RESERVED),
  BY(Use.FREE),
  CALL(Use.FREE),
  CASE(Use.RESERVED),
  CAST(Use.RESERVED),
  CATALOG(Use.FREE),
  CHAIN(Use.FREE),
  CHAR(Use.SYNTAX),
  CHARACTER(Use.SYNTAX),
  CHARACTERISTICS(Use.FREE),
  CHECK(Use.RESERVED),
  CHECKPOINT(Use.FREE),
  CLOSE(Use.FREE),
  CLUSTER(Use.FREE),
  COALESCE(Use.SYNTAX),
  COLLATE(Use.RESERVED),
  COLLATION(Use.JOINING),
  COLUMN(Use.RESERVED),
  COMMENT(Use.FREE),
  COMMIT(Use.FREE),
  CONCURRENTLY(Use.JOINING),
  CONFLICT(Use.FREE),
  CONSTRAINT(Use.RESERVED),
  CONSTRAINTS(Use.FREE),
  COPY(Use.FREE),
  CREATE(Use.RESERVED),
  CROSS(Use.JOINING),
  CURRENT(Use.FREE),
  CURRENT_CATALOG(Use.VALUE),
  CURRENT_DATE(Use.VALUE),
  CURRENT_ROLE(Use.VALUE),
  CURRENT_SCHEMA(Use.JOINING),
  CURRENT_TIME(Use.VALUE),
  CURRENT_TIMESTAMP(Use.VALUE),
  CURRENT_USER(Use.VALUE),
  CURSOR(Use.FREE),
  CYCLE(Use.FREE),
  DEALLOCATE(Use.FREE),
  DEC(Use.SYNTAX),
  DECIMAL(Use.SYNTAX),
  DECLARE(Use.FREE),
  DEFAULT(Use.RESERVED),
  DEFERRABLE(Use.RESERVED),
  DELETE(Use.FREE),
  DESC(Use.RESERVED),
  DISCARD(Use.FREE),
  DISTINCT(Use.RESERVED),
  DO(Use.RESERVED),
  DROP(Use.FREE),
  ELSE(Use.RESERVED),
  END(Use.RESERVED),
  EXCEPT(Use.RESERVED),
  EXECUTE(Use.FREE),
  EXISTS(Use.SYNTAX),
  EXPLAIN(Use.FREE),
  EXTRACT(Use.SYNTAX),
  FALSE(Use.RESERVED),
  FETCH(Use.RESERVED),
  FILTER(Use.FREE),
  FLOAT(Use.SYNTAX),
  FOR(Use.RESERVED),
  FOREIGN(Use.RESERVED),
  FREEZE(Use.JOINING),
  FROM(Use.RESERVED),
  FULL(Use.JOINING),
  FUNCTION(Use.FREE),
  GLOBAL(Use.FREE),
  GRANT(Use.RESERVED),
  GREATEST(Use.SYNTAX),
  GROUP(Use.RESERVED),
  GROUPING(Use.SYNTAX),
  HAVING(Use.RESERVED),
  HOLD(Use.FREE),
  IF(Use.FREE),
  ILIKE(Use.JOINING),
  IMPORT(Use.FREE),
  IN(Use.RESERVED),
  INITIALLY(Use.RESERVED),
  INNER(Use.JOINING),
  INOUT(Use.SYNTAX),
  INSERT(Use.FREE),
  INT(Use.SYNTAX),
  INTEGER(Use.SYNTAX),
  INTERSECT(Use.RESERVED),
  INTERVAL(Use.SYNTAX),
  INTO(Use.RESERVED),
  IS(Use.JOINING),
  ISNULL(Use.JOINING),
  JOIN(Use.JOINING),
  KEY(Use.FREE),
  LATERAL(Use.RESERVED),
  LEADING(Use.RESERVED),
  LEAST(Use.SYNTAX),
  LEFT(Use.JOINING),
  LIKE(Use.JOINING),
  LIMIT(Use.RESERVED),
  LISTEN(Use.FREE),
  LOAD(Use.FREE),
  LOCAL(Use.FREE),
  LOCALTIME(Use.VALUE),
  LOCALTIMESTAMP(Use.VALUE),
  LOCK(Use.FREE),
  MATERIALIZED(Use.FREE),
  MERGE(Use.FREE),
  MOVE(Use.FREE),
  NAMES(Use.FREE),
  NATIONAL(Use.SYNTAX),
  NATURAL(Use.JOINING),
  NCHAR(Use.SYNTAX),
  NO(Use.FREE),
  NOT(Use.RESERVED),
  NOTHING(Use.FREE),
  NOTIFY(Use.FREE),
  NOTNULL(Use.JOINING),
  NULL(Use.RESERVED),
  NULLIF(Use.SYNTAX),
  NUMERIC(Use.SYNTAX),
  OF(Use.FREE),
  OFF(Use.FREE),
  OFFSET(Use.RESERVED),
  ON(Use.RESERVED),
  ONLY(Use.RESERVED),
  OPTION(Use.FREE),
  OR(Use.RESERVED),
  ORDER(Use.RESERVED),
  OUT(Use.SYNTAX),
  OUTER(Use.JOINING),
  OVER(Use.FREE),
  OVERLAPS(Use.JOINING),
  OVERRIDING(Use.FREE),
  PARTITION(Use.FREE),
  PLACING(Use.RESERVED),
  POSITION(Use.SYNTAX),
  PRECISION(Use.SYNTAX),
  PREPARE(Use.FREE),
  PREPARED(Use.FREE),
  PRIMARY(Use.RESERVED),
  PROCEDURE(Use.FREE),
  REAL(Use.SYNTAX),
  REASSIGN(Use.FREE),
  RECURSIVE(Use.FREE),
  REFERENCES(Use.RESERVED),
  REFRESH(Use.FREE),
  REINDEX(Use.FREE),
  RELEASE(Use.FREE),
  REPLACE(Use.FREE),
  RESET(Use.FREE),
  RETURNING(Use.RESERVED),
  REVOKE(Use.FREE),
  RIGHT(Use.JOINING),
  ROLE(Use.FREE),
  ROLLBACK(Use.FREE),
  ROW(Use.SYNTAX),
  SAVEPOINT(Use.FREE),
  SCHEMA(Use.FREE),
  SEARCH(Use.FREE),
  SECURITY(Use.FREE),
  SELECT(Use.RESERVED),
  SESSION(Use.FREE),
  SESSION_USER(Use.VALUE),
  SET(Use.FREE),
  SETOF(Use.SYNTAX),
  SETS(Use.FREE),
  SHARE(Use.FREE),
  SHOW(Use.FREE),
  SIMILAR(Use.JOINING),
  SMALLINT(Use.SYNTAX),
  SOME(Use.RESERVED),
  START(Use.FREE),
  STDIN(Use.FREE),
  SYMMETRIC(Use.RESERVED),
  SYSTEM(Use.FREE),
  SYSTEM_USER(Use.VALUE),
  TABLE(Use.RESERVED),
  TABLESAMPLE(Use.JOINING),
  TEMP(Use.FREE),
  TEMPORARY(Use.FREE),
  THEN(Use.RESERVED),
  TIME(Use.SYNTAX),
  TIMESTAMP(Use.SYNTAX),
  TO(Use.RESERVED),
  TRAILING(Use.RESERVED),
  TRANSACTION(Use.FREE),
  TREAT(Use.SYNTAX),
  TRIM(Use.SYNTAX),
  TRUE(Use.RESERVED),
  TRUNCATE(Use.FREE),
  UESCAPE(Use.FREE),
  UNION(Use.RESERVED),
  UNIQUE(Use.RESERVED),
  UNLISTEN(Use.FREE),
  UNLOGGED(Use.FREE),
  UPDATE(Use.FREE),
  USER(Use.VALUE),
  USING(Use.RESERVED),
  VACUUM(Use.FREE),
  VALUE(Use.FREE),
  VALUES(Use.SYNTAX),
  VARCHAR(Use.SYNTAX),
  VARIADIC(Use.RESERVED),
  VARYING(Use.FREE),
  VERBOSE(Use.JOINING),
  VIEW(Use.FREE),
  WHEN(Use.RESERVED),
  WHERE(Use.RESERVED),
  WINDOW(Use.RESERVED),
  WITH(Use.RESERVED),
  WORK(Use.FREE),
  XML(Use.FREE),
  XMLATTRIBUTES(Use.SYNTAX),
  XMLCONCAT(Use.SYNTAX),
  XMLELEMENT(Use.SYNTAX),
  XMLEXISTS(Use.SYNTAX),
  XMLFOREST(Use.SYNTAX),
  XMLNAMESPACES(Use.SYNTAX),
  XMLPARSE(Use.SYNTAX),
  XMLPI(Use.SYNTAX),
  XMLROOT(Use.SYNTAX),
  XMLSERIALIZE(Use.SYNTAX),
  XMLTABLE(Use.SYNTAX),
  ZONE(Use.FREE);

  /** What a keyword may be besides syntax (PostgreSQL's keyword categories). */
  enum Use {
    /** Any name. */
    FREE,
    /** Neither table nor column, but a type or a function, like LEFT. */
    JOINING,
    /** A table or a column; followed by a parenthesis it is syntax or a built-in. */
    SYNTAX,
    /** No name at all. */
    RESERVED,
    /** Reserved, and a value that differs from session to session. */
    VALUE
  }

  private static final int LONGEST = 17;
  private static final int MASK = 1023;
  private static final Word[] SLOTS = new Word[MASK + 1];

  static {
    for (Word word : values()) {
      if (word != NONE) {
        int hash = 0;
        for (int i = 0; i < word.name().length(); i++) {
          hash = hash(hash, word.name().charAt(i));
        }
        int slot = slot(hash);
        while (SLOTS[slot] != null) {
          slot = (slot + 1) & MASK;
        }
        SLOTS[slot] = word;
      }
    }
  }

  private final Use use;

  Word(Use use) {
    this.use = use;
  }

  /** Whether it can name a table or, without qualification, a column. */
  boolean isName() {
    return use == Use.FREE || use == Use.SYNTAX;
  }

  /** Whether it can name a function that users may define. */
  boolean isFunction() {
    return use == Use.FREE || use == Use.JOINING;
  }

  /** Whether it stands for a value that no text tells, like CURRENT_USER. */
  boolean isValue() {
    return use == Use.VALUE || this == CURRENT_SCHEMA;
  }

  /** The hash of a text that goes on with that character. */
  static int hash(int before, char c) {
    return before * 31 + (c & ~32); // the cases of a letter differ in that bit
  }

  /**
   * The keyword that the characters from {@code start} to {@code end} are, in any case, or NONE.
   *
   * @param hash their {@link #hash(int, char)}, begun with 0
   */
  static Word of(char[] text, int start, int end, int hash) {
    if (end - start > LONGEST) {
      return NONE;
    }
    for (int slot = slot(hash); SLOTS[slot] != null; slot = (slot + 1) & MASK) {
      if (matches(SLOTS[slot].name(), text, start, end)) {
        return SLOTS[slot];
      }
    }
    return NONE;
  }

  private static int slot(int hash) {
    return (hash ^ hash >>> 10) & MASK;
  }

  private static boolean matches(String name, char[] text, int start, int end) {
    if (name.length() != end - start) {
      return false;
    }
    for (int i = 0; i < name.length(); i++) {
      if (name.charAt(i) != upper(text[start + i])) {
        return false;
      }
    }
    return true;
  }

  /** Only ASCII: the server folds keywords so in every locale and encoding. */
  private static char upper(char c) {
    return c >= 'a' && c <= 'z' ? (char) (c - 32) : c;
  }
}
