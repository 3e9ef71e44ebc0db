package io.dualwrite.control;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Optional;
import java.util.UUID;

/**
 * The schema {@code dualwrite} on the database that is mirror (the target; after the first flip the
 * source too, because the target's keyless rows then need their markers there).
 *
 * <ul>
 *   <li>{@code marker}: one row per keyless unit of work that the mirror holds. A unit claims its
 *       row by inserting it, in the same mirror transaction as its rows: exactly once, directly or
 *       replayed. Never deleted singly.
 *   <li>{@code writer}: one row per writer. Units up to {@code resolved_through} are resolved; only
 *       their markers may go. While it runs, and until what its journal holds has been brought
 *       over, {@code goodbye} is false, and nobody may exchange the roles; {@code started} is
 *       infinity while nothing of it is mirrored.
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
 *   <li>{@code job_state}: TimescaleDB's jobs that rest because this side is the mirror, and how
 *       they were before.
 *   <li>{@code control}: one row: phase and epoch, changed by compare-and-set only. The target's is
 *       the word; on the source, {@code paused} says that an exchange began whose end the target
 *       knows.
 * </ul>
 */
public final class ControlSchema {

  /** The schema's name. */
  public static final String NAME = "dualwrite";

  /** The table of jobs that rest; also run where nothing of the other tables is there yet. */
  public static final String JOB_STATE =
      """
      create schema if not exists dualwrite;
      create table if not exists dualwrite.job_state (
        job_id int primary key,
        proc text not null,
        scheduled boolean not null,
        next_start timestamptz,
        recorded timestamptz not null default now(),
        last_run timestamptz,
        last_error text);
      """;

  private static final String DDL =
      JOB_STATE
          + """
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
   * A side's control row.
   *
   * @param epoch how often the roles were exchanged
   * @param phase the phase that was set last
   * @param paused on the source: whether an exchange began whose end it does not know
   */
  public record Row(long epoch, Phase phase, boolean paused) {}

  /**
   * A side's control row; empty if there is none. The target's is the word; the source has one
   * since a cutover, which says that it was left, or taken up again.
   *
   * @throws SQLException if the row may not be read
   */
  public static Optional<Row> row(Connection side) throws SQLException {
    return row(side, "");
  }

  /**
   * As {@link #row}, and holds it until the connection's transaction ends: who exchanges the roles
   * holds that of either side, and who is about to write does.
   */
  public static Optional<Row> hold(Connection side) throws SQLException {
    return row(side, " for update");
  }

  private static Optional<Row> row(Connection side, String how) throws SQLException {
    try (Statement s = side.createStatement()) {
      if (!exists(s)) {
        return Optional.empty();
      }
      try (ResultSet r =
          s.executeQuery("select epoch, phase, paused from dualwrite.control" + how)) {
        return r.next()
            ? Optional.of(new Row(r.getLong(1), Phase.parse(r.getString(2)), r.getBoolean(3)))
            : Optional.empty();
      }
    }
  }

  private static boolean exists(Statement s) throws SQLException {
    try (ResultSet r =
        s.executeQuery("select pg_catalog.to_regclass('dualwrite.control') is not null")) {
      r.next();
      return r.getBoolean(1);
    }
  }

  /**
   * The epoch in a side's control row; -1 if there is none.
   *
   * @throws SQLException if the row may not be read
   */
  public static long epoch(Connection side) throws SQLException {
    return row(side).map(Row::epoch).orElse(-1L);
  }

  /**
   * Says on a side that a writer runs, in the connection's transaction.
   *
   * @param mirrors whether what it writes is mirrored
   */
  public static void register(Connection side, UUID writer, boolean mirrors) throws SQLException {
    try (PreparedStatement s =
        side.prepareStatement(
            "insert into dualwrite.writer as w (writer, host, started)"
                + " values (?::text::uuid, ?, case when ? then now() else 'infinity' end)"
                + " on conflict (writer) do update set goodbye = false, heartbeat = now(),"
                + " host = excluded.host, started = least(w.started, excluded.started)")) {
      s.setString(1, writer.toString());
      s.setString(2, host());
      s.setBoolean(3, mirrors);
      s.executeUpdate();
    }
  }

  /**
   * Says on a side, if it has the tables, that nothing of that writer is owed any more.
   *
   * @return whether it was known there
   */
  public static boolean goodbye(Connection side, UUID writer) throws SQLException {
    try (Statement e = side.createStatement()) {
      if (!exists(e)) {
        return false;
      }
    }
    try (PreparedStatement s =
        side.prepareStatement(
            "update dualwrite.writer set goodbye = true where writer = ?::text::uuid")) {
      s.setString(1, writer.toString());
      return s.executeUpdate() > 0;
    }
  }

  /**
   * Whether a side heard of a writer within the last seconds; empty if it does not know it.
   *
   * @throws SQLException if the rows may not be read
   */
  public static Optional<Boolean> heard(Connection side, UUID writer) throws SQLException {
    try (Statement e = side.createStatement()) {
      if (!exists(e)) {
        return Optional.empty();
      }
    }
    try (PreparedStatement s =
        side.prepareStatement(
            "select not goodbye and heartbeat > now() - interval '15 s' from dualwrite.writer"
                + " where writer = ?::text::uuid")) {
      s.setString(1, writer.toString());
      try (ResultSet r = s.executeQuery()) {
        return r.next() ? Optional.of(r.getBoolean(1)) : Optional.empty();
      }
    }
  }

  /** The name of this machine; for people only. */
  public static String host() {
    try {
      return InetAddress.getLocalHost().getHostName();
    } catch (UnknownHostException e) {
      return "";
    }
  }
}
