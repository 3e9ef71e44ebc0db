package io.dualwrite.backfill.schema;

import io.dualwrite.catalog.TableName;
import io.dualwrite.control.ControlSchema;
import io.dualwrite.converge.Triggers;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The users' triggers of the target, as an operator switches them: {@link Triggers} in a
 * transaction of its own. Every method takes a connection in autocommit mode. Stateless.
 */
public final class TargetTriggers {

  private static final String LIST =
      """
      select n.nspname, c.relname, t.tgname, t.tgenabled, $noted
        from pg_catalog.pg_trigger t
        join pg_catalog.pg_class c on c.oid = t.tgrelid
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        $join
        where not t.tgisinternal and c.relpersistence <> 't' and c.relkind in ('r', 'p')
          and n.nspname not in ('pg_catalog', 'information_schema', 'dualwrite')
          and n.nspname !~ '^(pg_|_timescaledb_|timescaledb_)'
          and t.tgname not in ('ts_insert_blocker', 'ts_cagg_invalidation_trigger')
        $dropped
        order by 1, 2, 3
      """;

  private TargetTriggers() {}

  /**
   * A trigger.
   *
   * @param table its table
   * @param name its name
   * @param now when it fires
   * @param noted when it fired before it was disabled; empty if nothing was noted
   */
  public record Trigger(TableName table, String name, Fires now, Optional<Fires> noted) {}

  /** When a trigger fires. */
  public enum Fires {
    /** In ordinary sessions. */
    ENABLED,
    /** In sessions of replication only. */
    REPLICA,
    /** In both. */
    ALWAYS,
    /** Never. */
    DISABLED;

    private static Fires of(String code) {
      return switch (code) {
        case "O" -> ENABLED;
        case "R" -> REPLICA;
        case "A" -> ALWAYS;
        default -> DISABLED;
      };
    }
  }

  /** Every trigger of the users' tables, by table, those of hypertables that are dropped too. */
  public static List<Trigger> list(Connection target) throws SQLException {
    boolean noted =
        SchemaDump.is(target, "pg_catalog.to_regclass('dualwrite.disabled_trigger') is not null");
    boolean dropped =
        SchemaDump.is(target, "pg_catalog.to_regclass('dualwrite.dropped_trigger') is not null");
    List<Trigger> result = new ArrayList<>();
    for (List<String> r :
        SchemaDump.rows(
            target,
            LIST.replace(
                    "$dropped",
                    dropped
                        ? "union all select table_schema, table_name, trigger_name, 'D', enabled from dualwrite.dropped_trigger"
                        : "")
                .replace("$noted", noted ? "d.enabled" : "null")
                .replace(
                    "$join",
                    noted
                        ? "left join dualwrite.disabled_trigger d on (d.table_schema, d.table_name, d.trigger_name) = (n.nspname, c.relname, t.tgname)"
                        : ""))) {
      result.add(
          new Trigger(
              new TableName(r.get(0), r.get(1)),
              r.get(2),
              Fires.of(r.get(3)),
              Optional.ofNullable(r.get(4)).map(Fires::of)));
    }
    return result;
  }

  /**
   * Disables the triggers that are enabled and notes them, all or none. Waits for those who write
   * to their tables as long as the session's {@code lock_timeout} allows.
   *
   * @return how many
   * @throws SQLException if the role does not own one of the tables (42501) or a writer does not
   *     end (55P03)
   */
  public static int disable(Connection target) throws SQLException {
    ControlSchema.install(target);
    return transaction(target, Triggers::disableAll);
  }

  /**
   * Enables the triggers that were noted, each as it was, all or none, and forgets them.
   *
   * @return how many
   * @throws SQLException as {@link #disable}
   */
  public static int enable(Connection target) throws SQLException {
    return transaction(target, Triggers::enableAll);
  }

  private interface Work {
    int on(Connection c) throws SQLException;
  }

  private static int transaction(Connection target, Work work) throws SQLException {
    target.setAutoCommit(false);
    try {
      int n = work.on(target);
      target.commit();
      return n;
    } catch (SQLException e) {
      target.rollback();
      throw e;
    } finally {
      target.setAutoCommit(true);
    }
  }
}
