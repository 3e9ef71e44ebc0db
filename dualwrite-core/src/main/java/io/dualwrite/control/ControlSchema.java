package io.dualwrite.control;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Optional;

/**
 * The schema {@code dualwrite} on the database that is mirror (the target; after the first flip the
 * source too, because the target's keyless rows then need their markers there).
 *
 * <ul>
 *   <li>{@code marker}: one row per keyless unit of work that the mirror holds. A unit claims its
 *       row by inserting it, in the same mirror transaction as its rows: exactly once, directly or
 *       replayed. Never deleted singly.
 *   <li>{@code writer}: one row per writer. Units up to {@code resolved_through} are resolved; only
 *       their markers may go.
 *   <li>{@code timeline}: the timeline of this server that each writer saw last. Another one means
 *       that a standby was promoted, which may lack what was committed on the one before.
 *   <li>{@code snapshot}: one row per range of a keyless table that was copied as a whole: the
 *       primary's snapshot that the copy saw. A replayed row that meets {@code predicate} and whose
 *       transaction the snapshot sees is there already.
 *   <li>{@code suspect}: tables that may differ and whose keys are not known.
 *   <li>{@code disabled_trigger}: the triggers of the users' own that are switched off because this
 *       side is the mirror, and how they were enabled before.
 *   <li>{@code dropped_trigger}: those of hypertables, which are dropped for that time, and the
 *       statements that make them again.
 *   <li>{@code control}: one row: phase, epoch and the pause of a cutover, changed by
 *       compare-and-set only.
 * </ul>
 */
public final class ControlSchema {

  /** The schema's name. */
  public static final String NAME = "dualwrite";

  private static final String DDL =
      """
      create schema if not exists dualwrite;
      create table if not exists dualwrite.writer (
        writer uuid primary key,
        resolved_through bigint not null default 0,
        started timestamptz not null default now(),
        heartbeat timestamptz not null default now(),
        host text not null default '',
        pending bigint not null default 0,
        goodbye boolean not null default false);
      create table if not exists dualwrite.marker (
        writer uuid not null,
        sequence bigint not null,
        primary key (writer, sequence));
      create table if not exists dualwrite.timeline (
        writer uuid primary key,
        timeline text not null);
      create table if not exists dualwrite.snapshot (
        table_schema text not null,
        table_name text not null,
        predicate text not null,
        snapshot text not null,
        incarnation text not null,
        taken timestamptz not null default now(),
        primary key (table_schema, table_name, predicate));
      create table if not exists dualwrite.suspect (
        table_schema text not null,
        table_name text not null,
        writer uuid not null,
        reason text not null,
        incarnation text not null,
        xid text not null,
        opened timestamptz not null default now(),
        primary key (table_schema, table_name, writer));
      create table if not exists dualwrite.disabled_trigger (
        table_schema text not null,
        table_name text not null,
        trigger_name text not null,
        enabled "char" not null,
        primary key (table_schema, table_name, trigger_name));
      create table if not exists dualwrite.dropped_trigger (
        table_schema text not null,
        table_name text not null,
        trigger_name text not null,
        enabled "char" not null,
        definition text not null,
        primary key (table_schema, table_name, trigger_name));
      create table if not exists dualwrite.control (
        one boolean primary key default true check (one),
        phase text not null default 'dual-write',
        epoch bigint not null default 0,
        pause bigint not null default 0,
        paused boolean not null default false,
        changed timestamptz not null default now());
      insert into dualwrite.control default values on conflict do nothing;
      """;

  private ControlSchema() {}

  /**
   * Creates what is missing. Idempotent, and safe when several processes do it at once (an advisory
   * lock serialises them).
   *
   * @throws SQLException if the role may not create a schema, among other things
   */
  public static void install(Connection connection) throws SQLException {
    boolean auto = connection.getAutoCommit();
    connection.setAutoCommit(false);
    try (Statement s = connection.createStatement()) {
      s.execute("select pg_catalog.pg_advisory_xact_lock(7233178614550361960)");
      s.execute(DDL);
      connection.commit();
    } catch (SQLException e) {
      connection.rollback();
      throw e;
    } finally {
      connection.setAutoCommit(auto);
    }
  }

  /**
   * Whether a cutover made the target the primary, as far as its control row says. False where no
   * writer ever was.
   *
   * @param target a connection to the target
   * @throws SQLException if the row may not be read
   */
  public static boolean targetIsPrimary(Connection target) throws SQLException {
    return new Roles(Math.max(0, epoch(target))).primary() == Side.TARGET;
  }

  /**
   * The epoch in a side's control row; -1 if there is none. The target's is the word; the source
   * has one since a cutover, which says that it was left, or taken up again.
   *
   * @throws SQLException if the row may not be read
   */
  public static long epoch(Connection side) throws SQLException {
    try (Statement s = side.createStatement()) {
      try (ResultSet r =
          s.executeQuery("select pg_catalog.to_regclass('dualwrite.control') is not null")) {
        r.next();
        if (!r.getBoolean(1)) {
          return -1;
        }
      }
      try (ResultSet r = s.executeQuery("select epoch from dualwrite.control")) {
        return r.next() ? r.getLong(1) : -1;
      }
    }
  }

  /**
   * The phase in the target's control row; empty if there is none.
   *
   * @throws SQLException if the row may not be read
   */
  public static Optional<Phase> phase(Connection target) throws SQLException {
    if (epoch(target) < 0) {
      return Optional.empty();
    }
    try (Statement s = target.createStatement();
        ResultSet r = s.executeQuery("select phase from dualwrite.control")) {
      return r.next() ? Optional.of(Phase.parse(r.getString(1))) : Optional.empty();
    }
  }
}
