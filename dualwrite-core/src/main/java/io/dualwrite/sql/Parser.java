package io.dualwrite.sql;

import io.dualwrite.sql.CopyFormat.Form;
import io.dualwrite.sql.TransactionCommand.Action;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * Parses one statement: the tokens from {@code from} to {@code to}. Each method leaves {@code at}
 * behind what it took; one that finds what it does not understand returns false, and the statement
 * is {@link Kind#UNKNOWN}. Groups in parentheses are stepped over by their links, so nothing here
 * recurses except a statement wrapped in EXPLAIN, PREPARE, DECLARE, COPY or CREATE, twice at most.
 */
final class Parser {

  /** EXPLAIN of DECLARE or CREATE TABLE AS of a query. */
  private static final int DEEPEST = 2;

  private static final int LONGEST_NUMBER = 1000;
  private static final Operand DEFAULT = new Operand.Default();
  private static final Operand OTHER = new Operand.Other();
  private static final Operand NULL = new Operand.Literal(null, null);
  private static final Operand TRUE = new Operand.Literal("true", "bool");
  private static final Operand FALSE = new Operand.Literal("false", "bool");

  private final Tokens t;
  private final int from;
  private final int to;
  private final int depth;
  private final StatementInfo s;
  private int at;

  /** The keyword of the INSERT, UPDATE, DELETE or MERGE that the statement is, or -1. */
  private int main = -1;

  /** INTO of a SELECT INTO, or -1. */
  private int selectInto = -1;

  /** Whether something was seen that this parser does not follow. */
  private boolean strange;

  /** Parentheses behind a name that are known to be no call. */
  private BitSet noCall; // null: none

  // most statements have one table, and call nothing; see with()
  private Set<String> functions = Set.of();
  private Set<String> tables = Set.of();

  private Parser(Tokens t, int from, int to, int depth) {
    this.t = t;
    this.from = from;
    this.to = to;
    this.depth = depth;
    this.at = from;
    this.s = new StatementInfo(t.start(from), t.end(to - 1));
  }

  /** The statements of a text. */
  static List<StatementInfo> statements(Tokens t) {
    List<StatementInfo> statements = new ArrayList<>(2);
    int parameters = 0;
    int begin = 0;
    while (begin < t.size) {
      int end = end(t, begin);
      if (end > begin) {
        StatementInfo s = new Parser(t, begin, end, 0).parse();
        s.firstParameter = parameters + 1;
        s.parameters = t.parameters(begin, end);
        if (begin == 0 && end >= t.size - 1) {
          return List.of(s);
        }
        parameters += t.questionMarks(begin, end);
        statements.add(s);
      }
      begin = end + 1;
    }
    return List.copyOf(statements);
  }

  /** The semicolon that ends the statement, or the end of the text. */
  private static int end(Tokens t, int begin) {
    boolean routine = isRoutine(t, begin);
    // How many BEGIN ATOMIC and, within, CASE are open. psql splits a text in the same way.
    int blocks = 0;
    for (int i = begin; i < t.size; i++) {
      i = t.skip(i);
      if (t.kind(i) == Token.SEMICOLON && blocks == 0) {
        return i;
      }
      if (routine && t.word(i) != Word.NONE && !(i > begin && t.word(i - 1) == Word.AS)) {
        switch (t.word(i)) {
          case ATOMIC -> {
            if (blocks == 0 && t.word(i - 1) == Word.BEGIN) {
              blocks = 1;
            }
          }
          case CASE -> blocks += blocks > 0 ? 1 : 0;
          case END -> blocks -= blocks > 0 ? 1 : 0;
          default -> {}
        }
      }
    }
    return t.size;
  }

  private static boolean isRoutine(Tokens t, int begin) {
    if (t.word(begin) != Word.CREATE) {
      return false;
    }
    for (int i = begin + 1; i < Math.min(begin + 4, t.size); i++) {
      switch (t.word(i)) {
        case OR, REPLACE -> {}
        case FUNCTION, PROCEDURE -> {
          return true;
        }
        default -> {
          return false;
        }
      }
    }
    return false;
  }

  private void isNoCall(int open) {
    if (noCall == null) {
      noCall = new BitSet();
    }
    noCall.set(open);
  }

  /** The names and one more, in their order: the first set that is not empty is immutable. */
  private static Set<String> with(Set<String> names, String name) {
    if (names.isEmpty()) {
      return Set.of(name);
    }
    Set<String> more = names;
    if (!(names instanceof LinkedHashSet)) {
      if (names.contains(name)) {
        return names;
      }
      more = new LinkedHashSet<>(names);
    }
    more.add(name);
    return more;
  }

  private StatementInfo parse() {
    boolean understood = !t.broken && dispatch() && !strange;
    if (understood && t.nestedSemicolon && s.kind != Kind.DDL) {
      // Only the actions of CREATE RULE are written so; anything else is for the server to refuse.
      understood = false;
    }
    s.functions = List.copyOf(functions);
    s.writingCtes = List.copyOf(s.writingCtes);
    if (s.table != null) {
      tables = with(tables, s.table);
    }
    s.tables = List.copyOf(tables);
    if (!understood) {
      s.kind = Kind.UNKNOWN;
    }
    s.mayWrite =
        switch (s.kind) {
          case READ, PRIMARY_ONLY -> false;
          case COPY_OUT, PREPARE -> s.hiddenWrite;
          // a constraint trigger that fires now may write
          case SESSION -> "constraints".equals(s.sessionSetting);
          case TRANSACTION ->
              s.transaction.action() == Action.COMMIT_PREPARED
                  || s.transaction.action() == Action.ROLLBACK_PREPARED
                  || s.transaction.action() == Action.PREPARE_TRANSACTION;
          default -> true;
        };
    switch (s.kind) {
      case INSERT, UPDATE, DELETE, MERGE -> s.returningInsertAt = s.returning < 0 ? s.end : -1;
      case UNKNOWN -> s.returning = -1;
      default -> {}
    }
    return s;
  }

  private boolean dispatch() {
    return switch (word()) {
      case SELECT, VALUES, TABLE, WITH -> query();
      case INSERT, UPDATE, DELETE, MERGE -> write();
      case TRUNCATE -> truncate();
      case COPY -> copy();
      case EXPLAIN -> explain();
      case CREATE -> create();
      case ALTER,
          DROP,
          COMMENT,
          GRANT,
          REVOKE,
          REINDEX,
          CLUSTER,
          REFRESH,
          SECURITY,
          IMPORT,
          REASSIGN ->
          ddl();
      case CALL -> call();
      case DO -> kind(Kind.DO);
      case SET -> set();
      case RESET -> reset();
      case DISCARD -> discard();
      case BEGIN, START, COMMIT, END, ROLLBACK, ABORT, SAVEPOINT, RELEASE -> transaction();
      case PREPARE -> prepare();
      case EXECUTE -> execute();
      case DECLARE -> declare();
      case DEALLOCATE -> deallocate();
      case LISTEN,
          NOTIFY,
          UNLISTEN,
          LOCK,
          VACUUM,
          ANALYZE,
          ANALYSE,
          SHOW,
          CHECKPOINT,
          LOAD,
          FETCH,
          MOVE,
          CLOSE ->
          kind(Kind.PRIMARY_ONLY);
      default -> {
        if (at == to || t.kind(at) != Token.OPEN) {
          yield false;
        }
        yield t.is(at, '(') ? query() : t.is(at, '{') && escape();
      }
    };
  }

  private boolean ddl() {
    boolean refresh = word() == Word.REFRESH;
    // the words that say what it is about stand first: CREATE UNIQUE INDEX CONCURRENTLY …
    for (int i = at + 1; i < Math.min(at + 5, to) && t.kind(i) == Token.WORD; i++) {
      String word = t.name(i);
      switch (word) {
        case "role", "user", "group", "database", "tablespace", "system", "subscription" -> {
          // REINDEX DATABASE is about this one; a table may be called so behind its kind
          s.clusterWide |= i == at + 1 && t.word(at) != Word.REINDEX;
          s.concurrently |= i == at + 1 && t.word(at) == Word.REINDEX;
        }
        case "concurrently" -> s.concurrently = !refresh;
        default -> {}
      }
    }
    objects();
    for (int i = at + 1; i < to && !refresh && t.word(at) == Word.ALTER; i++) {
      s.concurrently |= // ALTER TABLE … DETACH PARTITION … CONCURRENTLY
          t.kind(i) == Token.WORD && i == to - 1 && t.name(i).equals("concurrently");
      if (i + 3 < to
          && t.kind(i) == Token.WORD
          && t.name(i).equals("detach")
          && nameEnd(i + 2) == to - 1) {
        s.detached = join(i + 2, to - 1);
      }
    }
    return kind(Kind.DDL);
  }

  /** The relations that DDL is about: behind the kind of relation, or behind ON. */
  private void objects() {
    boolean on =
        switch (word()) {
          case DROP, ALTER -> false;
          case CREATE, GRANT, REVOKE -> true;
          default -> t.name(at).equals("comment");
        };
    boolean index = false;
    boolean relation = false;
    int i = at + 1;
    while (i < to && t.kind(i) == Token.WORD) {
      String word = t.name(i);
      switch (word) {
        case "index" -> {
          index = true;
          relation = !on;
        }
        case "table", "view", "sequence", "materialized" -> relation = true;
        default -> {}
      }
      if (on ? word.equals("on") : relation && !word.equals("materialized")) {
        break;
      }
      i++;
    }
    if (on) {
      if (t.word(at) == Word.CREATE && !index) {
        return;
      }
      i = find(at + 1, Word.ON);
    } else if (!relation) {
      return;
    }
    i++;
    boolean names = true;
    List<String> found = new ArrayList<>(1);
    while (names && i < to) {
      while (i < to
          && t.kind(i) == Token.WORD
          && switch (t.name(i)) {
            case "if",
                "not",
                "exists",
                "only",
                "concurrently",
                "table",
                "view",
                "index",
                "sequence" ->
                true;
            default -> false;
          }) {
        i++;
      }
      int end = nameEnd(i);
      if (end < 0) {
        break;
      }
      found.add(join(i, end));
      i = end;
      names = i < to && t.kind(i) == Token.COMMA;
      i++;
    }
    s.objects = List.copyOf(found);
  }

  // ---- the cursor

  private Word word() {
    return word(at);
  }

  private Word word(int i) {
    return i >= from && i < to ? t.word(i) : Word.NONE;
  }

  private Token token(int i) {
    return i >= from && i < to ? t.kind(i) : Token.END;
  }

  private boolean take(Word word) {
    if (word() != word) {
      return false;
    }
    at++;
    return true;
  }

  private boolean is(char c) {
    return at < to && t.is(at, c);
  }

  private boolean take(char c) {
    if (!is(c)) {
      return false;
    }
    at++;
    return true;
  }

  /** Whether the token names a table or a column: a quoted identifier, or no reserved word. */
  private boolean isName(int i) {
    return token(i) == Token.QUOTED || (token(i) == Token.WORD && t.word(i).isName());
  }

  private boolean isIdentifier(int i) {
    return i >= from && i < to && t.isIdentifier(i);
  }

  private boolean kind(Kind kind) {
    s.kind = kind;
    return true;
  }

  /** The first of these words outside of parentheses, or the end; behind AS it would be a label. */
  private int find(int begin, Word a, Word b) {
    for (int i = begin; i < to; i++) {
      i = t.skip(i);
      Word word = t.word(i);
      if (word != Word.NONE && (word == a || word == b) && word(i - 1) != Word.AS) {
        return i;
      }
    }
    return to;
  }

  private int find(int begin, Word word) {
    return find(begin, word, word);
  }

  /** A name with dots: where it ends, or -1 if there is none. */
  private int nameEnd(int begin) {
    if (!isName(begin)) {
      return -1;
    }
    int i = begin + 1;
    while (token(i) == Token.DOT && isIdentifier(i + 1)) {
      i += 2;
    }
    return i;
  }

  /** Tokens joined without what stands between them. */
  private String join(int begin, int end) {
    if (end - begin == 1) {
      return t.string(begin);
    }
    StringBuilder name = new StringBuilder(t.end(end - 1) - t.start(begin));
    for (int i = begin; i < end; i++) {
      name.append(t.text, t.start(i), t.end(i));
    }
    return name.toString();
  }

  // ---- queries

  /** SELECT, VALUES, TABLE, or what begins with WITH or a parenthesis. */
  private boolean query() {
    int begin = at;
    if (word() == Word.WITH) {
      s.with = true;
      if (!skipWith()) {
        return false;
      }
      s.mainStart = at < to ? t.start(at) : -1;
    }
    switch (word()) {
      case INSERT, UPDATE, DELETE, MERGE -> {
        return write();
      }
      case SELECT, VALUES, TABLE -> {}
      default -> {
        if (!isQuery(at)) {
          return false;
        }
      }
    }
    scan(begin, to);
    if (selectInto >= 0) {
      return selectInto();
    }
    // A kind of its own would have to be told from READ by everyone; that must not be forgotten.
    return kind(s.hiddenWrite ? Kind.UNKNOWN : Kind.READ);
  }

  /** Whether a query begins there, behind any number of parentheses. */
  private boolean isQuery(int i) {
    while (token(i) == Token.OPEN && t.is(i, '(')) {
      i++;
    }
    return switch (word(i)) {
      case SELECT, VALUES, TABLE, WITH -> true;
      default -> false;
    };
  }

  private boolean selectInto() {
    s.hiddenWrite = true;
    at = selectInto + 1;
    boolean unquoted = true;
    while (unquoted) {
      switch (word()) {
        case TEMP, TEMPORARY -> s.temporary = true;
        case LOCAL, GLOBAL, UNLOGGED, TABLE -> {}
        default -> unquoted = false;
      }
      if (unquoted) {
        at++;
      }
    }
    return target() && kind(Kind.DDL);
  }

  /** WITH and its queries. */
  private boolean skipWith() {
    take(Word.WITH);
    take(Word.RECURSIVE);
    do {
      if (!isName(at)) {
        return false;
      }
      int name = at++;
      if (is('(')) {
        isNoCall(at);
        at = t.link(at) + 1;
      }
      if (!take(Word.AS)) {
        return false;
      }
      take(Word.NOT);
      take(Word.MATERIALIZED);
      if (!is('(')) {
        return false;
      }
      int open = at;
      switch (word(open + 1)) {
        case INSERT, UPDATE, DELETE, MERGE, WITH -> {
          if (t.link(open) > open) {
            cte(name, open);
          }
        }
        default -> {}
      }
      at = t.link(at) + 1;
      if (word() == Word.SEARCH) {
        at = find(at, Word.SET) + 2;
      }
      if (word() == Word.CYCLE) {
        at = find(at, Word.SET) + 2;
        if (word() == Word.TO) {
          at = find(at, Word.USING);
        }
        if (word() == Word.USING) {
          at += 2;
        }
      }
    } while (take(','));
    return true;
  }

  private void cte(int name, int open) {
    StatementInfo body = new Parser(t, open + 1, t.link(open), 0).parse();
    switch (body.kind) {
      case INSERT, UPDATE, DELETE, MERGE -> {
        if (s.writingCtes.isEmpty()) {
          s.writingCtes = new ArrayList<>(2);
        }
        s.writingCtes.add(
            new Cte(t.name(name), t.start(name), t.end(open), t.start(t.link(open)), body));
      }
      default -> {}
    }
  }

  // ---- what may stand at any depth

  /** Looks at every token once for calls, hidden writes, row locks and values of the session. */
  private void scan(int begin, int end) {
    boolean anywhere = false;
    for (int i = begin; i < end; i++) {
      switch (t.kind(i)) {
        case OPEN -> {
          if (i > begin && t.isIdentifier(i - 1) && t.is(i, '(')) {
            call(begin, i);
          }
        }
        case WORD -> {
          Word word = t.word(i);
          switch (word) {
            case NONE -> {}
            case INSERT, UPDATE, DELETE, MERGE -> {
              if (i != main && isHiddenWrite(i, anywhere)) {
                s.hiddenWrite = true;
                hiddenTarget(i + 1);
              }
            }
            case INTO -> {
              Word before = i > begin ? t.word(i - 1) : Word.NONE;
              if (before != Word.INSERT && before != Word.MERGE && !isLabel(i) && selectInto < 0) {
                selectInto = i;
              }
            }
            case FOR -> {
              switch (word(i + 1)) {
                case UPDATE, SHARE -> s.rowLock = true;
                case NO, KEY -> s.rowLock = true;
                default -> {}
              }
            }
            // behind these a WITH goes on without a parenthesis before the statement
            case SEARCH, CYCLE -> anywhere = true;
            // a name or string that takes another escape character
            case UESCAPE -> strange = true;
            default -> s.volatileValue |= word.isValue() && !isLabel(i);
          }
        }
        default -> {}
      }
    }
  }

  private boolean isLabel(int i) {
    return word(i - 1) == Word.AS;
  }

  /**
   * Whether INSERT, UPDATE, DELETE or MERGE begins a statement there. It does so only at the
   * beginning of a parenthesis or behind the parenthesis of a WITH; elsewhere it is a name, a row
   * lock, or a part of ON CONFLICT or MERGE.
   */
  private boolean isHiddenWrite(int i, boolean anywhere) {
    boolean follows =
        switch (t.word(i)) {
          case INSERT, MERGE -> word(i + 1) == Word.INTO;
          case DELETE -> word(i + 1) == Word.FROM;
          default -> isName(i + 1) || word(i + 1) == Word.ONLY;
        };
    if (!follows) {
      return false;
    }
    return switch (token(i - 1)) {
      case OPEN, CLOSE -> true;
      case WORD, QUOTED ->
          switch (word(i - 1)) {
            case FOR, DO, THEN, AS, SELECT, WHEN -> false;
            case KEY -> anywhere && word(i - 2) != Word.NO;
            default -> anywhere || (token(i - 2) == Token.OPEN && t.is(i - 2, '{'));
          };
      default -> anywhere;
    };
  }

  private void hiddenTarget(int begin) {
    int i = begin;
    while (word(i) == Word.INTO || word(i) == Word.FROM || word(i) == Word.ONLY) {
      i++;
    }
    if (token(i) == Token.OPEN) {
      i++;
    }
    int end = nameEnd(i);
    if (end > 0) {
      tables = with(tables, join(i, end));
    }
  }

  /** Notes the name before a parenthesis, unless it is known to be no call. */
  private void call(int begin, int open) {
    int last = open - 1;
    int first = last;
    while (first - 2 >= begin && t.kind(first - 1) == Token.DOT && t.isIdentifier(first - 2)) {
      first -= 2;
    }
    Word name = first == last && t.kind(last) == Token.WORD ? t.word(last) : Word.NONE;
    if (!name.isFunction() || noCall != null && noCall.get(open)) {
      return;
    }
    Word before = first > begin ? t.word(first - 1) : Word.NONE;
    switch (before) {
      // a label, or a type with modifiers; a WITH's name; a table with its columns
      case AS, INTO, WITH -> {
        return;
      }
      case RECURSIVE -> {
        if (word(first - 2) == Word.WITH) {
          return;
        }
      }
      default -> {}
    }
    if (first > begin && t.kind(first - 1) == Token.CAST) {
      return;
    }
    boolean syntax =
        switch (name) {
          case OVER, FILTER -> first > begin && endsCall(first - 1);
          case SETS -> before == Word.GROUPING;
          case VARYING -> before == Word.CHARACTER || before == Word.CHAR || before == Word.BIT;
          case MATERIALIZED -> before == Word.NOT && word(first - 2) == Word.AS;
          case BY -> before == Word.GROUP || before == Word.ORDER || before == Word.PARTITION;
          case SET -> before == Word.UPDATE;
          case INSERT -> before == Word.THEN && main >= 0 && t.word(main) == Word.MERGE;
          case JOIN ->
              switch (before) {
                case INNER, CROSS, LEFT, RIGHT, FULL, OUTER, NATURAL -> true;
                default -> false;
              };
          default -> false;
        };
    if (!syntax) {
      functions = with(functions, join(first, open));
    }
  }

  /** Whether the token closes the arguments of a call, and not those of DISTINCT ON or the like. */
  private boolean endsCall(int i) {
    if (t.kind(i) != Token.CLOSE || t.link(i) <= from) {
      return false;
    }
    int before = t.link(i) - 1;
    return t.isIdentifier(before)
        && switch (t.word(before)) {
          case ON, WITH -> false;
          default -> !t.string(before).equalsIgnoreCase("operator");
        };
  }

  // ---- INSERT, UPDATE, DELETE, MERGE

  private boolean write() {
    main = at;
    boolean parsed =
        switch (word()) {
          case INSERT -> insert();
          case UPDATE -> update();
          case DELETE -> delete();
          default -> merge();
        };
    scan(from, to);
    // INTO belongs to INSERT and MERGE alone here: a query within may not have it
    return parsed && selectInto < 0;
  }

  /** The target of a statement. */
  private boolean target() {
    int end = nameEnd(at);
    if (end < 0) {
      return false;
    }
    s.table = join(at, end);
    s.tableStart = t.start(at);
    s.tableEnd = t.end(end - 1);
    at = end;
    return true;
  }

  /** {@code [ONLY] name [*] [[AS] alias]}. Without AS the word SET is no alias. */
  private boolean relation() {
    s.only = take(Word.ONLY);
    boolean parenthesis = s.only && take('(');
    if (!target() || (parenthesis && !take(')'))) {
      return false;
    }
    take('*');
    if (take(Word.AS)) {
      return isName(at) && alias();
    }
    return !isName(at) || word() == Word.SET || alias();
  }

  private boolean alias() {
    s.alias = t.name(at++);
    return true;
  }

  /** The list of RETURNING that begins at or behind the cursor. */
  private int returning(int begin) {
    int i = find(begin, Word.RETURNING);
    if (i < to) {
      s.returning = t.end(i);
    }
    return i;
  }

  private boolean insert() {
    at++;
    if (!take(Word.INTO) || !target()) {
      return false;
    }
    if (take(Word.AS) && !(isName(at) && alias())) {
      return false;
    }
    BitSet parts = null;
    if (is('(') && isColumnList(at)) {
      parts = new BitSet();
      if (!columns(parts)) {
        return false;
      }
    }
    if (take(Word.OVERRIDING)) {
      s.overriding = true;
      at++;
      if (!take(Word.VALUE)) {
        return false;
      }
    }
    s.kind = Kind.INSERT;
    int source = at;
    if (take(Word.DEFAULT)) {
      s.source = Source.DEFAULT_VALUES;
      if (!take(Word.VALUES)) {
        return false;
      }
    } else if (word() == Word.VALUES && rows(parts)) {
      s.source = Source.VALUES;
    } else if (isQuery(source)) {
      at = source;
      s.source = Source.QUERY;
      s.values = List.of();
    } else {
      return false;
    }
    int conflict = conflict(at);
    int end = returning(conflict < 0 ? at : conflict);
    return conflict < 0 || onConflict(conflict, end);
  }

  /** Whether a list of columns begins there, and not a query in parentheses. */
  private boolean isColumnList(int open) {
    if (!isName(open + 1)) {
      return false;
    }
    return switch (token(open + 2)) {
      case COMMA, CLOSE, DOT -> true;
      case OPEN -> t.is(open + 2, '[');
      default -> false;
    };
  }

  /** The list of columns; those of which only a part is named are added to {@code parts}. */
  private boolean columns(BitSet parts) {
    int close = t.link(at);
    List<String> columns = new ArrayList<>();
    at++;
    while (at < close) {
      if (!isName(at)) {
        return false;
      }
      columns.add(t.name(at++));
      if (indirection()) {
        parts.set(columns.size() - 1);
      }
      if (at < close && !take(',')) {
        return false;
      }
    }
    at = close + 1;
    s.insertColumns = List.copyOf(columns);
    return true;
  }

  /** Steps over {@code [1]} and {@code .field} behind a column. */
  private boolean indirection() {
    int begin = at;
    while (is('[') || token(at) == Token.DOT) {
      at = is('[') ? t.link(at) + 1 : at + 2;
    }
    return at > begin;
  }

  /** The rows of VALUES; false if anything but the end, ON or RETURNING follows. */
  private boolean rows(BitSet parts) {
    at++;
    List<List<Operand>> rows = new ArrayList<>(1);
    do {
      if (!is('(')) {
        return false;
      }
      rows.add(row(at + 1, t.link(at), parts));
      at = t.link(at) + 1;
    } while (take(','));
    s.values = Collections.unmodifiableList(rows);
    return at == to || word() == Word.ON || word() == Word.RETURNING;
  }

  private List<Operand> row(int begin, int end, BitSet parts) {
    List<Operand> row = new ArrayList<>();
    int item = begin;
    for (int i = begin; i <= end; i++) {
      if (i == end || t.kind(i) == Token.COMMA) {
        boolean part = parts != null && parts.get(row.size());
        row.add(part ? OTHER : operand(item, i));
        item = i + 1;
      } else {
        i = t.skip(i);
      }
    }
    return Collections.unmodifiableList(row);
  }

  /**
   * ON of ON CONFLICT, or -1. In a query {@code JOIN … ON conflict …} may precede it; only the last
   * one leads to DO.
   */
  private int conflict(int begin) {
    int action = find(begin, Word.DO);
    int conflict = -1;
    for (int i = begin; i < action && action < to; i++) {
      i = t.skip(i);
      if (t.word(i) == Word.ON && word(i + 1) == Word.CONFLICT) {
        conflict = i;
      }
    }
    return conflict;
  }

  private boolean onConflict(int conflict, int end) {
    s.onConflict = true;
    if (token(conflict + 2) == Token.OPEN) {
      isNoCall(conflict + 2);
    }
    at = find(conflict, Word.DO) + 1;
    if (take(Word.NOTHING)) {
      s.onConflictDoNothing = true;
      return at == end;
    }
    return take(Word.UPDATE) && take(Word.SET) && assignments();
  }

  private boolean update() {
    at++;
    if (!relation() || !take(Word.SET) || !assignments()) {
      return false;
    }
    s.kind = Kind.UPDATE;
    if (take(Word.FROM)) {
      s.from = true;
    }
    return predicate();
  }

  /** The assignments behind SET, up to FROM, WHERE, RETURNING or the end. */
  private boolean assignments() {
    Set<String> columns = new LinkedHashSet<>();
    do {
      if (is('(')) {
        isNoCall(at);
        int close = t.link(at);
        for (at++; at < close; ) {
          if (!isName(at)) {
            return false;
          }
          columns.add(t.name(at++));
          indirection();
          if (at < close && !take(',')) {
            return false;
          }
        }
        at = close + 1;
      } else if (isName(at)) {
        columns.add(t.name(at++));
        indirection();
      } else {
        return false;
      }
      if (!take('=')) {
        return false;
      }
      int value = at;
      while (at < to && t.kind(at) != Token.COMMA && !endsAssignment(at)) {
        at = t.skip(at) + 1;
      }
      if (at == value) {
        return false;
      }
    } while (take(','));
    s.setColumns = List.copyOf(columns);
    return true;
  }

  private boolean endsAssignment(int i) {
    return switch (t.word(i)) {
      case WHERE, RETURNING -> true;
      case FROM -> word(i - 1) != Word.DISTINCT;
      default -> false;
    };
  }

  private boolean delete() {
    at++;
    if (!take(Word.FROM) || !relation()) {
      return false;
    }
    s.kind = Kind.DELETE;
    if (take(Word.USING)) {
      s.from = true;
    }
    return predicate();
  }

  /** The rest of UPDATE and DELETE: the other tables, WHERE and RETURNING. */
  private boolean predicate() {
    int where = s.from ? find(at, Word.WHERE, Word.RETURNING) : at;
    if (where < to && t.word(where) != Word.WHERE && t.word(where) != Word.RETURNING) {
      return false;
    }
    int end = returning(where);
    s.clausesEnd = end < to ? t.start(end) : s.end;
    if (word(where) != Word.WHERE) {
      return true;
    }
    s.where = true;
    s.whereBegin = t.end(where);
    if (word(where + 1) == Word.CURRENT && word(where + 2) == Word.OF) {
      s.currentOf = true;
    } else if (!s.from) {
      s.equalities = equalities(where + 1, end);
    }
    return where + 1 < end;
  }

  /** The terms of a pure conjunction, or null. Parentheses around terms change nothing in one. */
  private List<KeyTerm> equalities(int begin, int end) {
    List<KeyTerm> terms = new ArrayList<>(2);
    Set<String> seen = new HashSet<>(4);
    int i = begin;
    while (true) {
      while (i < end && t.is(i, '(')) {
        i++;
      }
      int left = i;
      while (i < end && !t.is(i, '=')) {
        if (i - left > 6) {
          return null;
        }
        i++;
      }
      int right = i + 1;
      i = right;
      while (i < end && t.word(i) != Word.AND && t.kind(i) != Token.CLOSE) {
        if (i - right > 6) {
          return null;
        }
        i++;
      }
      if (right >= i) {
        return null;
      }
      String column = column(left, right - 1);
      Operand operand = column == null ? operand(left, right - 1) : operand(right, i);
      if (column == null) {
        column = column(right, i);
      }
      if (column == null
          || operand instanceof Operand.Other
          || operand instanceof Operand.Default
          || !seen.add(column)) {
        return null;
      }
      terms.add(new KeyTerm(column, operand));
      while (i < end && t.is(i, ')')) {
        i++;
      }
      if (i >= end) {
        return List.copyOf(terms);
      }
      if (t.word(i) != Word.AND) {
        return null;
      }
      i++;
    }
  }

  /** The target's column that these tokens name, or null. */
  private String column(int begin, int end) {
    int length = end - begin;
    if (length < 1 || !isName(begin) || nameEnd(begin) != end) {
      return null;
    }
    if (length == 1) {
      return t.name(begin);
    }
    if (s.alias != null) {
      return length == 3 && t.name(begin).equals(s.alias) ? t.name(begin + 2) : null;
    }
    List<String> table = Names.parts(s.table);
    int parts = (length - 1) / 2;
    if (parts > table.size()) {
      return null;
    }
    for (int i = 0; i < parts; i++) {
      if (!t.name(begin + 2 * i).equals(table.get(table.size() - parts + i))) {
        return null;
      }
    }
    return t.name(end - 1);
  }

  private boolean merge() {
    at++;
    if (!take(Word.INTO) || !relation() || !take(Word.USING)) {
      return false;
    }
    s.kind = Kind.MERGE;
    int when = find(at, Word.WHEN);
    returning(when);
    return when < to;
  }

  // ---- operands

  private Operand operand(int begin, int end) {
    if (end - begin == 2 && (t.is(begin, '-') || t.is(begin, '+'))) {
      return token(begin + 1) == Token.NUMBER ? number(begin + 1, t.is(begin, '-')) : OTHER;
    }
    if (end - begin != 1) {
      return OTHER;
    }
    int start = t.start(begin);
    int stop = t.end(begin);
    return switch (t.kind(begin)) {
      case PARAMETER, NUMBERED -> t.link(begin) > 0 ? new Operand.Parameter(t.link(begin)) : OTHER;
      case STRING -> new Operand.Literal(Names.string(t.text, start, stop), null);
      case DOLLAR -> new Operand.Literal(Names.dollar(t.text, start, stop), null);
      case ESCAPED -> {
        String value = Names.escaped(t.text, start, stop);
        yield value == null ? OTHER : new Operand.Literal(value, null);
      }
      case NUMBER -> number(begin, false);
      case WORD ->
          switch (t.word(begin)) {
            case NULL -> NULL;
            case TRUE -> TRUE;
            case FALSE -> FALSE;
            case DEFAULT -> DEFAULT;
            default -> OTHER;
          };
      default -> OTHER;
    };
  }

  /** A number, with its sign, typed as the server does. */
  private Operand number(int i, boolean negative) {
    String digits = t.string(i).replace("_", "");
    if (digits.length() > LONGEST_NUMBER) {
      return OTHER;
    }
    String sign = negative ? "-" : "";
    int radix = 10;
    if (digits.length() > 2 && digits.charAt(0) == '0') {
      radix =
          switch (digits.charAt(1)) {
            case 'x', 'X' -> 16;
            case 'o', 'O' -> 8;
            case 'b', 'B' -> 2;
            default -> 10;
          };
    }
    if (radix == 10 && !isInteger(digits)) {
      return new Operand.Literal(sign + digits, "numeric");
    }
    BigInteger value = new BigInteger(radix == 10 ? digits : digits.substring(2), radix);
    value = negative ? value.negate() : value;
    String type = value.bitLength() < 32 ? "int4" : value.bitLength() < 64 ? "int8" : "numeric";
    return new Operand.Literal(value.toString(), type);
  }

  private static boolean isInteger(String digits) {
    for (int i = 0; i < digits.length(); i++) {
      if (digits.charAt(i) < '0' || digits.charAt(i) > '9') {
        return false;
      }
    }
    return true;
  }

  // ---- TRUNCATE, COPY, CREATE

  private boolean truncate() {
    at++;
    take(Word.TABLE);
    do {
      take(Word.ONLY);
      boolean parenthesis = take('(');
      int end = nameEnd(at);
      if (end < 0) {
        return false;
      }
      tables = with(tables, join(at, end));
      if (s.table == null) {
        target();
      }
      at = end;
      if (parenthesis && !take(')')) {
        return false;
      }
      take('*');
    } while (take(','));
    return kind(Kind.TRUNCATE);
  }

  private boolean copy() {
    at++;
    if (is('(')) {
      int close = t.link(at);
      StatementInfo inner = inner(at + 1, close);
      if (inner == null) {
        return false;
      }
      s.hiddenWrite = inner.mayWrite;
      at = close + 1;
      return word() == Word.TO && kind(Kind.COPY_OUT);
    }
    boolean binary = take(Word.BINARY);
    if (!target()) {
      return false;
    }
    if (is('(') && !columns(new BitSet())) {
      return false;
    }
    if (take(Word.TO)) {
      s.table = null;
      s.tableStart = -1;
      s.tableEnd = -1;
      s.insertColumns = null;
      return kind(Kind.COPY_OUT);
    }
    if (!take(Word.FROM)) {
      return false;
    }
    s.fromStdin = word() == Word.STDIN;
    scan(at, to);
    if (s.fromStdin) {
      at++;
      s.copyFormat = copyFormat(binary ? Form.BINARY : Form.TEXT);
    }
    return kind(Kind.COPY_IN);
  }

  /** The options of a COPY, in parentheses or as before PostgreSQL 9; null if one is unusual. */
  private CopyFormat copyFormat(Form before) {
    take(Word.WITH);
    boolean list = take('(');
    if (list && t.link(at - 1) != to - 1) {
      return null; // WHERE
    }
    int end = list ? to - 1 : to;
    Form form = before;
    boolean header = false;
    String delimiter = null;
    String nullText = null;
    String quote = null;
    String escape = null;
    while (at < end) {
      if (!t.isIdentifier(at)) {
        return null;
      }
      String option = t.name(at++);
      String value = null;
      boolean flag = !list && List.of("csv", "binary", "header").contains(option);
      if (!flag && at < end && !is(',')) {
        if (!list) {
          take(Word.AS);
        }
        value =
            operand(at, at + 1) instanceof Operand.Literal l && l.text() != null
                ? l.text()
                : t.isIdentifier(at) ? t.name(at) : null;
        at++;
        if (value == null) {
          return null;
        }
      }
      if (list && at < end && !take(',')) {
        return null;
      }
      switch (option) {
        case "csv" -> form = Form.CSV;
        case "binary" -> form = Form.BINARY;
        case "format" -> {
          if (value == null || !List.of("text", "csv", "binary").contains(value)) {
            return null;
          }
          form = Form.valueOf(value.toUpperCase(Locale.ROOT));
        }
        case "header" -> {
          header =
              value == null
                  || !List.of("false", "off", "0").contains(value.toLowerCase(Locale.ROOT));
        }
        case "delimiter" -> delimiter = value;
        case "null" -> nullText = value;
        case "quote" -> quote = value;
        case "escape" -> escape = value;
        default -> {
          return null;
        }
      }
    }
    if (!isCharacter(delimiter) || !isCharacter(quote) || !isCharacter(escape)) {
      return null;
    }
    char quotes = quote == null ? '"' : quote.charAt(0);
    boolean csv = form == Form.CSV;
    return new CopyFormat(
        form,
        delimiter != null ? delimiter.charAt(0) : csv ? ',' : '\t',
        nullText != null ? nullText : csv ? "" : "\\N",
        quotes,
        escape == null ? quotes : escape.charAt(0),
        header);
  }

  private static boolean isCharacter(String option) {
    return option == null || option.length() == 1 && option.charAt(0) < 128;
  }

  private boolean create() {
    ddl();
    boolean relation = false;
    for (at++; at < to && !relation; at++) {
      switch (word()) {
        case TEMP, TEMPORARY -> s.temporary = true;
        case TABLE, VIEW -> {
          // CREATE VIEW makes no rows, CREATE MATERIALIZED VIEW does
          if (word() == Word.VIEW && word(at - 1) != Word.MATERIALIZED) {
            return true;
          }
          relation = true;
        }
        case GLOBAL, LOCAL, UNLOGGED, MATERIALIZED, RECURSIVE, OR, REPLACE -> {}
        default -> {
          return true;
        }
      }
    }
    int as = to;
    for (int i = at; i < to && as == to; i++) {
      i = t.skip(i);
      if (t.word(i) == Word.AS && (isQuery(i + 1) || word(i + 1) == Word.EXECUTE)) {
        as = i;
      }
    }
    if (as < to) {
      if (take(Word.IF)) {
        at += 2;
      }
      s.hiddenWrite = true;
      target();
      scan(as + 1, to);
    }
    return true;
  }

  // ---- statements around statements

  /** Parses what is wrapped and takes over what it calls and writes; null if that is too deep. */
  private StatementInfo inner(int begin, int end) {
    if (begin >= end || depth == DEEPEST) {
      return null;
    }
    StatementInfo inner = new Parser(t, begin, end, depth + 1).parse();
    for (String f : inner.functions) {
      functions = with(functions, f);
    }
    for (String x : inner.tables) {
      tables = with(tables, x);
    }
    s.rowLock = inner.rowLock;
    s.volatileValue = inner.volatileValue;
    return inner;
  }

  private boolean explain() {
    at++;
    boolean analyze = false;
    if (is('(') && !isQuery(at)) {
      analyze = analyzes(at + 1, t.link(at));
      at = t.link(at) + 1;
    } else {
      if (word() == Word.ANALYZE || word() == Word.ANALYSE) {
        analyze = true;
        at++;
      }
      take(Word.VERBOSE);
    }
    StatementInfo inner = inner(at, to);
    if (inner == null || !isExplained(inner)) {
      return false;
    }
    if (!analyze) {
      // it only plans; what is wrapped is not executed
      tables = Set.of();
      s.rowLock = false;
      return kind(Kind.PRIMARY_ONLY);
    }
    s.hiddenWrite = inner.mayWrite;
    return kind(inner.mayWrite ? Kind.UNKNOWN : Kind.READ);
  }

  private static boolean isExplained(StatementInfo inner) {
    return switch (inner.kind) {
      case READ, INSERT, UPDATE, DELETE, MERGE, DDL, EXECUTE, PRIMARY_ONLY -> true;
      default -> inner.hiddenWrite;
    };
  }

  /** Whether one of EXPLAIN's options is ANALYZE and not switched off. */
  private boolean analyzes(int begin, int end) {
    for (int i = begin; i < end; i++) {
      boolean first = i == begin || t.kind(i - 1) == Token.COMMA;
      if (first
          && (t.word(i) == Word.ANALYZE || t.word(i) == Word.ANALYSE || t.kind(i) == Token.QUOTED)
          && !(t.word(i + 1) == Word.OFF || t.word(i + 1) == Word.FALSE || t.is(i + 1, '0'))) {
        return true;
      }
    }
    return false;
  }

  private boolean prepare() {
    at++;
    if (take(Word.TRANSACTION)) {
      return command(Action.PREPARE_TRANSACTION, true);
    }
    if (!isName(at)) {
      return false;
    }
    s.name = t.name(at++);
    if (is('(')) {
      at = t.link(at) + 1;
    }
    StatementInfo inner = take(Word.AS) ? inner(at, to) : null;
    if (inner == null) {
      return false;
    }
    s.hiddenWrite = inner.mayWrite;
    return kind(Kind.PREPARE);
  }

  private boolean execute() {
    at++;
    if (!isName(at)) {
      return false;
    }
    s.name = t.name(at++);
    scan(at, to);
    return kind(Kind.EXECUTE);
  }

  private boolean declare() {
    at++;
    if (!isName(at)) {
      return false;
    }
    s.name = t.name(at);
    int query = find(at + 1, Word.FOR) + 1;
    StatementInfo inner = query < to ? inner(query, to) : null;
    if (inner == null) {
      return false;
    }
    s.hiddenWrite = inner.mayWrite;
    return kind(inner.mayWrite ? Kind.UNKNOWN : Kind.PRIMARY_ONLY);
  }

  private boolean deallocate() {
    at++;
    take(Word.PREPARE);
    if (token(at) == Token.WORD && t.word(at) == Word.ALL) {
      return kind(Kind.PRIMARY_ONLY);
    }
    if (!isName(at)) {
      return false;
    }
    s.name = t.name(at);
    return kind(Kind.PRIMARY_ONLY);
  }

  // ---- CALL

  private boolean call() {
    at++;
    int end = nameEnd(at);
    if (end < 0) {
      return false;
    }
    functions = with(functions, join(at, end));
    scan(at, to);
    return kind(Kind.CALL);
  }

  /** <code>{call f(?)}</code> and <code>{? = call f(?)}</code>. */
  private boolean escape() {
    if (t.link(at) != to - 1) {
      return false;
    }
    at++;
    if (token(at) == Token.PARAMETER) {
      at++;
      if (!take('=')) {
        return false;
      }
    }
    return word() == Word.CALL && call();
  }

  // ---- transaction and session

  private boolean transaction() {
    Word verb = word();
    at++;
    switch (verb) {
      case START -> {
        return take(Word.TRANSACTION) && command(Action.BEGIN, false);
      }
      case BEGIN -> {
        return command(Action.BEGIN, false);
      }
      case SAVEPOINT -> {
        return command(Action.SAVEPOINT, true);
      }
      case RELEASE -> {
        return savepoint(Action.RELEASE);
      }
      default -> {}
    }
    boolean commit = verb == Word.COMMIT || verb == Word.END;
    if (take(Word.PREPARED)) {
      return command(commit ? Action.COMMIT_PREPARED : Action.ROLLBACK_PREPARED, true);
    }
    if (!take(Word.WORK)) {
      take(Word.TRANSACTION);
    }
    if (!commit && take(Word.TO)) {
      return savepoint(Action.ROLLBACK_TO);
    }
    boolean chain = take(Word.AND) && !take(Word.NO);
    if (chain) {
      take(Word.CHAIN);
    } else if (word() == Word.CHAIN) {
      at++;
    }
    s.transaction = new TransactionCommand(commit ? Action.COMMIT : Action.ROLLBACK, null, chain);
    return at == to && kind(Kind.TRANSACTION);
  }

  /** The word may be missing, and is a name, too. */
  private boolean savepoint(Action action) {
    if (at + 1 < to) {
      take(Word.SAVEPOINT);
    }
    return command(action, true);
  }

  /** A command of the transaction, with a name or a quoted identifier if it takes one. */
  private boolean command(Action action, boolean named) {
    String name = null;
    if (named) {
      if (at + 1 != to) {
        return false;
      }
      if (t.isIdentifier(at)) {
        name = t.name(at);
      } else if (operand(at, to) instanceof Operand.Literal id && id.text() != null) {
        name = id.text();
      } else {
        return false;
      }
    }
    s.transaction = new TransactionCommand(action, name, false);
    return kind(Kind.TRANSACTION);
  }

  private boolean set() {
    at++;
    if (take(Word.LOCAL)) {
      s.local = true;
    } else if (word() == Word.SESSION && word(at + 1) != Word.NONE) {
      // SESSION AUTHORIZATION is a setting of its own
      at += word(at + 1) == Word.AUTHORIZATION ? 0 : 1;
    } else if (word() == Word.SESSION && isName(at + 1)) {
      at++;
    }
    switch (word()) {
      case TRANSACTION -> {
        return command(Action.SET_TRANSACTION, false);
      }
      case CHARACTERISTICS -> {
        return kind(Kind.SESSION);
      }
      case CONSTRAINTS -> {
        s.local = true;
        return setting("constraints");
      }
      default -> {
        return setting();
      }
    }
  }

  private boolean reset() {
    at++;
    return take(Word.ALL) ? setting("all") : setting();
  }

  private boolean discard() {
    at++;
    return take(Word.ALL) ? setting("all") : kind(Kind.SESSION);
  }

  private boolean setting() {
    boolean assigned = token(at + 1) == Token.OPERATOR || word(at + 1) == Word.TO;
    if (!assigned) {
      switch (word()) {
        case SESSION -> {
          return word(at + 1) == Word.AUTHORIZATION && setting("session_authorization");
        }
        case NAMES -> {
          return setting("client_encoding");
        }
        case SCHEMA -> {
          return setting("search_path");
        }
        case XML -> {
          return setting("xmloption");
        }
        case TRANSACTION -> {
          return setting("transaction_isolation");
        }
        default -> {
          if (word(at + 1) == Word.ZONE) {
            return setting("timezone");
          }
        }
      }
    }
    int end = nameEnd(at);
    if (end < 0) {
      return false;
    }
    StringBuilder name = new StringBuilder();
    for (; at < end; at++) {
      name.append(token(at) == Token.DOT ? "." : t.name(at));
    }
    return setting(Names.lower(name.toString()));
  }

  private boolean setting(String name) {
    s.sessionSetting = name;
    return kind(Kind.SESSION);
  }
}
