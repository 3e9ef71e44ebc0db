package io.dualwrite.jdbc;

import io.dualwrite.catalog.Catalog;
import io.dualwrite.control.Incarnation;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

/**
 * When rows were taken away as a whole: what came before that must not come again.
 *
 * @param snapshot what the primary's transaction sees
 * @param incarnation see {@link Incarnation}
 * @param latest whether the transaction sees what others have committed by now
 */
record Moment(String snapshot, String incarnation, boolean latest) {

  static Moment of(Connection primary) throws SQLException {
    try (Statement s = primary.createStatement();
        ResultSet r =
            s.executeQuery(
                "select pg_catalog.pg_current_snapshot()::text, "
                    + Incarnation.SQL
                    + ", "
                    + Catalog.SEES_NOW)) {
      r.next();
      return new Moment(r.getString(1), r.getString(2), r.getBoolean(3));
    }
  }
}
