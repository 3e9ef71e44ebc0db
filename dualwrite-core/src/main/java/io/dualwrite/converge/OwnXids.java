package io.dualwrite.converge;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Which rows the running transaction wrote, told by their {@code xmin}: its own number, or that of
 * one of its subtransactions (savepoints, exception blocks of routines), which the server lists
 * nowhere. A subtransaction's number is higher than its transaction's and still in progress. For
 * one transaction of one connection, right before its end.
 */
public final class OwnXids {

  private final Connection connection;
  private final String top;
  private final Map<String, Boolean> known = new HashMap<>();

  /**
   * For the transaction that is open on the connection.
   *
   * @throws SQLException if the server cannot be asked
   */
  public OwnXids(Connection connection) throws SQLException {
    this.connection = connection;
    try (Statement s = connection.createStatement();
        ResultSet r = s.executeQuery("select pg_catalog.pg_current_xact_id_if_assigned()::text")) {
      r.next();
      top = r.getString(1);
    }
  }

  /**
   * The condition that a row is of the transaction's own, and not of one of its savepoints. Cheaper
   * than the others.
   *
   * @param xmin the column, for instance {@code t.xmin}
   */
  public String top(String xmin) {
    return top == null
        ? "false" // it has written nothing
        : xmin + " = '" + (Long.parseLong(top) & 0xFFFFFFFFL) + "'::pg_catalog.xid";
  }

  /**
   * A condition that holds for every row of the transaction's own, and hardly any other.
   *
   * @param xmin the column, for instance {@code t.xmin}
   */
  public String maybe(String xmin) {
    if (top == null) {
      return "false"; // it has written nothing
    }
    long top32 = Long.parseLong(top) & 0xFFFFFFFFL;
    return "("
        + xmin
        + "::text::bigint - "
        + top32
        + " + 4294967296) % 4294967296 < 2147483648 and "
        + xmin
        + "::text::bigint > 2";
  }

  /**
   * The condition that a row is the transaction's own.
   *
   * @param xmin the column
   * @param numbers values of it for which {@link #maybe} held
   */
  public String mine(String xmin, List<String> numbers) throws SQLException {
    List<String> own = own(numbers);
    return own.isEmpty()
        ? "false"
        : xmin + "::text = any('{" + String.join(",", own) + "}'::text[])";
  }

  /** Those of the numbers that are the transaction's own. */
  public List<String> own(List<String> numbers) throws SQLException {
    List<String> result = new ArrayList<>();
    for (String n : numbers) {
      Boolean own = known.get(n);
      if (own == null) {
        own = inProgress(n);
        known.put(n, own);
      }
      if (own) {
        result.add(n);
      }
    }
    return result;
  }

  /** The condition for the system's tables. */
  public String mineInCatalog(String xmin) throws SQLException {
    List<String> numbers = new ArrayList<>();
    StringBuilder sql = new StringBuilder();
    for (String table :
        List.of(
            "pg_class",
            "pg_attribute",
            "pg_type",
            "pg_proc",
            "pg_enum",
            "pg_constraint",
            "pg_trigger",
            "pg_rewrite",
            "pg_attrdef",
            "pg_index",
            "pg_rewrite",
            "pg_policy",
            "pg_namespace",
            "pg_extension")) {
      sql.append(sql.isEmpty() ? "" : " union ")
          .append("select xmin::text from pg_catalog.")
          .append(table)
          .append(" where ")
          .append(maybe("xmin"));
    }
    try (Statement s = connection.createStatement();
        ResultSet r = s.executeQuery(sql.toString())) {
      while (r.next()) {
        numbers.add(r.getString(1));
      }
    }
    return mine(xmin, numbers);
  }

  private boolean inProgress(String number) throws SQLException {
    long top64 = Long.parseLong(top);
    long offset = (Long.parseLong(number) - (top64 & 0xFFFFFFFFL)) & 0xFFFFFFFFL;
    if (offset == 0) {
      return true;
    }
    // a row that was frozen ages ago may have any number, one of the future among them, which is
    // an error to ask for
    boolean auto = connection.getAutoCommit();
    Savepoint before = auto ? null : connection.setSavepoint();
    try (PreparedStatement s =
        connection.prepareStatement(
            "select pg_catalog.pg_xact_status(?::text::pg_catalog.xid8) = 'in progress'")) {
      s.setString(1, Long.toString(top64 + offset));
      try (ResultSet r = s.executeQuery()) {
        r.next();
        return r.getBoolean(1);
      }
    } catch (SQLException e) {
      if (before == null || !"22023".equals(e.getSQLState())) {
        throw e;
      }
      connection.rollback(before);
      return false;
    } finally {
      if (before != null) {
        connection.releaseSavepoint(before);
      }
    }
  }
}
