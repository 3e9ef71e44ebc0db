package io.dualwrite.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.dualwrite.backfill.Backfill;
import io.dualwrite.backfill.BackfillStatus;
import io.dualwrite.backfill.FailedTask;
import io.dualwrite.control.Roles;
import io.dualwrite.control.Side;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.concurrent.Callable;
import javax.sql.DataSource;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code dualwrite status}. */
@Command(
    name = "status",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    usageHelpAutoWidth = true,
    header = "Shows where the move stands: phase, writers, suspects, backfill.",
    description = {
      "",
      "All of it is read from the target's schema 'dualwrite'. A writer is one process of the"
          + " application; what waits in its journal it tells with every heartbeat. What a journal"
          + " holds besides, suspects for one, 'dualwrite journal status' tells where it is. Nothing"
          + " is changed.",
    },
    optionListHeading = "%nOptions:%n",
    footerHeading = "%nExample:%n",
    footer = {"  dualwrite status --config application.properties"})
final class StatusCommand implements Callable<Integer> {

  private static final String ROLES =
      "select phase, epoch, paused, date_trunc('second', changed)::text from dualwrite.control";

  private static final String WRITERS =
      "select writer, host, pending, goodbye,"
          + " extract(epoch from now() - heartbeat)::bigint from dualwrite.writer order by started";

  private static final String SUSPECTS =
      "select table_schema || '.' || table_name, date_trunc('second', opened)::text, reason"
          + " from dualwrite.suspect order by 1, 2";

  @Mixin private Databases databases;

  @Mixin private Json json;

  @Override
  public Integer call() throws SQLException {
    Terminal terminal = Terminal.standard();
    DataSource target = databases.dataSource(Side.TARGET);
    try (Connection c = target.getConnection();
        Statement s = c.createStatement()) {
      try (ResultSet r = s.executeQuery("select to_regclass('dualwrite.control') is not null")) {
        r.next();
        if (!r.getBoolean(1) && json.wanted()) {
          terminal.println(Json.line(Json.object("status").put("installed", false)));
          return ExitCode.DONE;
        }
        if (!r.getBoolean(1)) {
          terminal.println(
              "the target has no schema 'dualwrite': no application dual-writes to it yet, and"
                  + " nothing was staged");
          return ExitCode.DONE;
        }
      }
      if (json.wanted()) {
        terminal.println(Json.line(object(s, Backfill.status(target))));
        return ExitCode.DONE;
      }
      roles(terminal, s);
      writers(terminal, s);
      suspects(terminal, s);
    }
    backfill(terminal, Backfill.status(target));
    return ExitCode.DONE;
  }

  private static void roles(Terminal terminal, Statement s) throws SQLException {
    try (ResultSet r = s.executeQuery(ROLES)) {
      while (r.next()) {
        terminal.println(
            "phase     "
                + r.getString(1)
                + ", the "
                + new Roles(r.getLong(2)).primary()
                + " is primary (since "
                + r.getString(4)
                + ")"
                + (r.getBoolean(3) ? terminal.bad(", writers are paused") : ""));
      }
    }
  }

  private static void writers(Terminal terminal, Statement s) throws SQLException {
    List<List<String>> rows = Terminal.rows("writer", "host", "pending", "heartbeat");
    try (ResultSet r = s.executeQuery(WRITERS)) {
      while (r.next()) {
        rows.add(
            List.of(
                r.getString(1),
                r.getString(2),
                Terminal.number(r.getLong(3)),
                r.getBoolean(4)
                    ? "said goodbye"
                    : Terminal.seconds(Math.max(0, r.getLong(5))) + " ago"));
      }
    }
    terminal.println("writers   " + (rows.size() == 1 ? "none yet" : rows.size() - 1));
    if (rows.size() > 1) {
      terminal.table(rows);
    }
  }

  private static void suspects(Terminal terminal, Statement s) throws SQLException {
    List<List<String>> rows = Terminal.rows("table", "since", "reason");
    try (ResultSet r = s.executeQuery(SUSPECTS)) {
      while (r.next()) {
        rows.add(List.of(r.getString(1), r.getString(2), r.getString(3)));
      }
    }
    if (rows.size() > 1) {
      terminal.println(terminal.bad("suspects  " + (rows.size() - 1)));
      terminal.table(rows);
    }
    terminal.println(
        terminal.dim(
            "suspects  are in each writer's journal: 'dualwrite journal status DIR' there"));
  }

  private static void backfill(Terminal terminal, BackfillStatus b) {
    if (!b.staged()) {
      terminal.println("backfill  nothing staged");
      return;
    }
    terminal.println(
        "backfill  "
            + Terminal.number(b.done())
            + " of "
            + Terminal.number(b.tasks())
            + " chunks copied, "
            + Terminal.number(b.rows())
            + " rows, "
            + Terminal.bytes(b.bytes())
            + (b.until().isEmpty() ? "" : ", until " + String.join(", ", b.until())));
    terminal.println(
        "verify    "
            + Terminal.number(b.verifiedEqual())
            + " chunks equal, "
            + Terminal.number(b.verifiedDifferent())
            + " different");
    for (FailedTask f : b.failed()) {
      terminal.println(terminal.bad("parked    ") + f.chunk() + ": " + f.error());
    }
  }

  private static ObjectNode object(Statement s, BackfillStatus b) throws SQLException {
    ObjectNode o = Json.object("status").put("installed", true);
    try (ResultSet r = s.executeQuery(ROLES)) {
      while (r.next()) {
        o.put("phase", r.getString(1))
            .put("primary", new Roles(r.getLong(2)).primary().toString())
            .put("paused", r.getBoolean(3))
            .put("since", r.getString(4));
      }
    }
    ArrayNode writers = o.putArray("writers");
    try (ResultSet r = s.executeQuery(WRITERS)) {
      while (r.next()) {
        writers
            .addObject()
            .put("writer", r.getString(1))
            .put("host", r.getString(2))
            .put("pending", r.getLong(3))
            .put("goodbye", r.getBoolean(4))
            .put("heartbeatSecondsAgo", Math.max(0, r.getLong(5)));
      }
    }
    ArrayNode suspects = o.putArray("suspects");
    try (ResultSet r = s.executeQuery(SUSPECTS)) {
      while (r.next()) {
        suspects
            .addObject()
            .put("table", r.getString(1))
            .put("since", r.getString(2))
            .put("reason", r.getString(3));
      }
    }
    ObjectNode backfill = o.putObject("backfill").put("staged", b.staged());
    if (b.staged()) {
      b.until().forEach(backfill.putArray("until")::add);
      backfill
          .put("chunks", b.tasks())
          .put("done", b.done())
          .put("rows", b.rows())
          .put("bytes", b.bytes())
          .put("verifiedEqual", b.verifiedEqual())
          .put("verifiedDifferent", b.verifiedDifferent());
      CopyCommand.parked(backfill, b.failed());
    }
    return o;
  }
}
