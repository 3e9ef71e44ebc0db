package io.dualwrite.backfill.doctor;

import io.dualwrite.backfill.BackfillException;
import io.dualwrite.backfill.StageCheck;
import io.dualwrite.control.Side;
import java.sql.SQLException;
import java.util.List;
import javax.sql.DataSource;

/** Examines both databases before anything is touched. Stateless. */
public final class Doctor {

  private Doctor() {}

  /**
   * Looks at everything that a move depends on. Reads only, never for longer than half a minute at
   * a time and without waiting for locks; a check that is not allowed or fails becomes a finding
   * itself.
   *
   * @param source the source; each call opens one connection, and closes it
   * @param target the target
   * @return what was found, by topic and then by severity
   * @throws BackfillException if the filter is none, or a database does not answer
   */
  public static List<Finding> examine(DataSource source, DataSource target, DoctorOptions options) {
    Findings findings = new Findings(options.accepted());
    try (Probe s = Probe.open(source, Side.SOURCE);
        Probe t = Probe.open(target, Side.TARGET)) {
      new ServerChecks(s, t, findings).run();
      if (s.version() < Probe.OLDEST || t.version() < Probe.OLDEST) {
        return findings.all(); // the rest asks what they cannot answer
      }
      StageCheck stage = StageCheck.of(s.connection(), t.connection(), options.filter());
      new SettingChecks(s, t, options, findings).run();
      new PrivilegeChecks(s, t, stage, findings).run();
      new ResourceChecks(s, t, options, findings).run();
      new ObjectChecks(s, t, stage, findings).run();
      new SchemaChecks(s, t, stage, findings).run();
      new TimescaleChecks(s, t, findings).run();
      return findings.all();
    } catch (SQLException e) {
      throw new BackfillException("doctor failed: " + e.getMessage(), e);
    }
  }
}
