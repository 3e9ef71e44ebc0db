package io.dualwrite.jdbc;

import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.journal.RowChange;
import io.dualwrite.sql.CopyFormat;
import io.dualwrite.sql.Kind;
import io.dualwrite.sql.Operand;
import io.dualwrite.sql.RowOrder;
import io.dualwrite.sql.StatementInfo;
import java.util.List;

/**
 * What is done with one SQL text: found once per text, kept in a bounded cache. Immutable.
 *
 * <p>Two captures, both exact, both shipping values and never the statement: {@link Values} takes
 * them from the statement's own parameters and literals, which costs nothing on the primary; {@link
 * Rows} extends the statement by RETURNING and takes what the primary says it wrote.
 */
sealed interface Plan {

  /**
   * Nothing to mirror: handed to the primary as it is.
   *
   * @param shadow what two executions of the query have in common; {@code ARBITRARY} if it cannot
   *     be compared with the mirror
   * @param gated whether it must not run while the roles change, because it draws from a sequence,
   *     say
   */
  record Pass(RowOrder shadow, boolean gated) implements Plan {}

  /**
   * As {@code Pass}, for this one execution: the name means a temporary table now, and may mean a
   * real one next time.
   */
  record PassOnce() implements Plan {}

  /** Refused, before the primary sees it, with this sentence. */
  record Refuse(Unmirrored kind, String sentence) implements Plan {}

  /** Not mirrored, and the operator said that this is wanted for the kind; counted. */
  record PrimaryOnly(Unmirrored kind) implements Plan {}

  /**
   * Transaction control as text.
   *
   * @param modes what follows BEGIN or START TRANSACTION; empty if nothing does
   */
  record Transaction(StatementInfo statement, String modes) implements Plan {}

  /**
   * What it writes does not show, or not all of it: the primary itself is asked before the commit
   * which tables the transaction changed, and what was not captured is read back. See {@link
   * Observation}.
   *
   * @param then how it is executed: the capture of what does show, or null: as it is
   * @param text whether the text is run on the mirror too if it changed the catalog (DO, CALL, a
   *     function)
   */
  record Observed(Unmirrored kind, Plan then, boolean text) implements Plan {}

  /**
   * COPY … FROM STDIN of rows that are known from what is sent. See {@link CopyCapture}.
   *
   * @param given the columns of a row as sent
   * @param columns the columns of a row as shipped; those that are not given have a constant
   */
  record Copy(CopyFormat format, Table table, List<Column> given, List<Column> columns)
      implements Plan {}

  /**
   * DDL: travels as text, in its order among the rows.
   *
   * @param alone whether the server runs it in no transaction
   * @param makes the table that it makes and fills (CREATE TABLE AS, SELECT INTO), as written; else
   *     null
   * @param objects the relations that it is about, as written, if the text tells
   */
  record Ddl(boolean alone, String makes, List<String> objects) implements Plan {}

  /** TRUNCATE of these tables and of all that goes with them. */
  record Truncate(List<TableName> tables) implements Plan {}

  /**
   * Several statements in one text, of which one may write: executed one after the other.
   *
   * @param parts where each stands, with the number of its first parameter and their count
   * @param control whether one of them begins or ends a transaction
   */
  record Several(List<Part> parts, boolean control) implements Plan {}

  /** One of several statements. */
  record Part(String sql, int firstParameter, int parameters) {}

  /**
   * Changes the session.
   *
   * @param forgetPlans whether names may mean other tables from here on
   * @param setting what is set; empty if it is something else, null if set_config sets it
   * @param defines whether it is the definition of something temporary
   */
  record Session(boolean forgetPlans, String setting, boolean defines) implements Plan {
    Session(boolean forgetPlans, String setting) {
      this(forgetPlans, setting, false);
    }
  }

  /**
   * Written rows are known from the statement alone.
   *
   * @param kind UPSERT, INSERT or DELETE
   * @param columns the columns of a row as shipped
   * @param rows for each row and column where its value comes from
   * @param proving the text with {@link io.dualwrite.catalog.Catalog#proof} as its RETURNING list;
   *     null if it has another or generated keys are asked for
   * @param otherwise what to do when a parameter was set in a way whose text form is not exact
   */
  record Values(
      RowChange.Kind kind,
      Table table,
      List<Column> columns,
      List<List<Operand>> rows,
      String proving,
      Rows otherwise)
      implements Plan {

    /** INSERT or DELETE. */
    Kind statement() {
      return otherwise.statement();
    }

    Values before(List<TableName> names) {
      return new Values(kind, table, columns, rows, proving, otherwise.before(names));
    }

    /** For a role that may not read the rows: otherwise nothing shows them. */
    Values unseen() {
      Rows r = otherwise;
      return new Values(
          kind,
          table,
          columns,
          rows,
          proving,
          new Rows(
              r.statement,
              r.kind,
              table,
              r.key,
              null,
              null,
              r.columns,
              r.applicationReturning,
              null,
              r.few,
              r.before));
    }
  }

  /**
   * Written rows are read back with RETURNING.
   *
   * @param kind UPSERT, INSERT, DELETE or REKEY
   * @param sql the extended text; null if the role may not read what it would return
   * @param proving as {@code sql}, with {@link io.dualwrite.catalog.Catalog#proof} behind our
   *     columns
   * @param columns the columns that were added at the end of the RETURNING list, as shipped
   * @param applicationReturning whether the application's own text has a RETURNING list
   * @param statement INSERT, UPDATE, DELETE or MERGE. For MERGE the first of our columns is the
   *     action, then come the key's old values, then the row's. Where the first one's name is empty
   *     it says, for an INSERT, whether the row's key was there before, for an UPDATE whether the
   *     key is as it was
   * @param tail our part of the RETURNING list; null if the statement had to be changed elsewhere
   *     too
   * @param before what the name as written would mean if it came
   */
  record Rows(
      Kind statement,
      RowChange.Kind kind,
      Table table,
      List<String> key,
      String sql,
      String proving,
      List<String> columns,
      boolean applicationReturning,
      String tail,
      boolean few,
      List<TableName> before)
      implements Plan {

    Rows before(List<TableName> names) {
      return new Rows(
          statement,
          kind,
          table,
          key,
          sql,
          proving,
          columns,
          applicationReturning,
          tail,
          few,
          names);
    }
  }

  /**
   * A statement with data-modifying queries in its WITH, rewritten so that its result has the rows
   * of all of them: first those of the statement itself, then each query's, behind the
   * application's columns the number of the query and its captured columns as an array.
   *
   * @param queries what each is; the statement itself is number 0, and null there if it is a SELECT
   * @param visible how many columns the application sees
   */
  record Ctes(String sql, List<Rows> queries, int visible, boolean applicationReturning)
      implements Plan {}
}
