package io.dualwrite.jdbc;

import io.dualwrite.catalog.Column;
import io.dualwrite.catalog.Table;
import io.dualwrite.catalog.TableName;
import io.dualwrite.journal.RowChange;
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

  /** Transaction control as text. */
  record Transaction(StatementInfo statement) implements Plan {}

  /**
   * Changes the session: handed on, remembered, and given to the new primary after a change of
   * roles.
   */
  record Session(boolean forgetPlans, boolean remember, String text) implements Plan {}

  /**
   * Written rows are known from the statement alone.
   *
   * @param kind UPSERT, INSERT or DELETE
   * @param columns the columns of a row as shipped
   * @param rows for each row and column where its value comes from
   * @param otherwise what to do when a parameter was set in a way whose text form is not exact
   */
  record Values(
      RowChange.Kind kind,
      Table table,
      List<Column> columns,
      List<List<Operand>> rows,
      Rows otherwise)
      implements Plan {}

  /**
   * Written rows are read back with RETURNING.
   *
   * @param kind UPSERT, INSERT, DELETE or REKEY
   * @param sql the extended text
   * @param columns the columns that were added at the end of the RETURNING list, as shipped
   * @param applicationReturning whether the application's own text has a RETURNING list
   */
  record Rows(
      RowChange.Kind kind,
      TableName table,
      List<String> key,
      String sql,
      List<String> columns,
      boolean applicationReturning)
      implements Plan {}
}
