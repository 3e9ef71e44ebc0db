package io.dualwrite.backfill;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dualwrite.control.ControlSchema;
import io.dualwrite.control.RolesHold;
import io.dualwrite.embedded.PgPair;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

/** Rows that are repaired while the roles are exchanged. */
class RepairAndCutoverTest {

  @Test
  void aRepairKeepsTheRolesAndAsksForThemAnew() throws SQLException {
    try (PgPair pair = PgPair.shared()) {
      pair.execute("create table a(id int primary key, v text); insert into a values (1, 'old')");
      pair.executeTarget("update a set v = 'newer'");
      try (Connection t = pair.target()) {
        ControlSchema.install(t);
      }
      AtomicBoolean held = new AtomicBoolean();
      VerifyResult r =
          Check.backfill(pair)
              .verify(
                  VerifyOptions.defaults().withRepair(true).withRecheck(Duration.ofSeconds(5)),
                  now -> {
                    // while the difference is looked at again
                    try (Connection t = pair.target();
                        Statement s = t.createStatement()) {
                      held.compareAndSet(false, !RolesHold.nobodys(t));
                      s.execute("update dualwrite.control set epoch = 1");
                    } catch (SQLException e) {
                      throw new IllegalStateException(e);
                    }
                  });
      assertTrue(held.get());
      assertFalse(r.equal());
      try (Connection t = pair.target();
          Statement s = t.createStatement();
          ResultSet rows = s.executeQuery("select v from a")) {
        rows.next();
        assertEquals("newer", rows.getString(1));
      }
    }
  }
}
