package io.dualwrite.backfill.doctor;

import io.dualwrite.control.Side;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * One thing that the examination found. Immutable.
 *
 * @param severity whether it is in the way
 * @param topic what it is about
 * @param side the database that it is about; empty for both
 * @param code a stable name for this kind of finding, such as {@code large-objects}
 * @param meaning what is the case and what it means, in a sentence or two
 * @param action what to do; empty where nothing is to be done
 * @param objects the tables, settings, … that it is about, all of them
 */
public record Finding(
    Severity severity,
    Topic topic,
    Optional<Side> side,
    String code,
    String meaning,
    String action,
    List<String> objects) {

  /** How much a finding matters. */
  public enum Severity {
    /** The move cannot go on, or would lose something. */
    BLOCK,
    /** The move can go on; somebody should decide that it may. */
    WARN,
    /** Good to know. */
    INFO
  }

  /** What a finding is about, in the order in which they are shown. */
  public enum Topic {
    /** Version, role, clock, encoding, collation. */
    SERVER,
    /** Settings of server, database and role. */
    SETTINGS,
    /** What the roles may do. */
    PRIVILEGES,
    /** Connections, disk, what holds things up. */
    RESOURCES,
    /** The source's tables and what else there is in it. */
    OBJECTS,
    /** Differences between both schemas. */
    SCHEMA,
    /** The extension TimescaleDB. */
    TIMESCALEDB
  }

  /** Copies the list. */
  public Finding {
    Objects.requireNonNull(severity, "severity");
    Objects.requireNonNull(topic, "topic");
    Objects.requireNonNull(side, "side");
    Objects.requireNonNull(code, "code");
    Objects.requireNonNull(meaning, "meaning");
    Objects.requireNonNull(action, "action");
    objects = List.copyOf(objects);
  }

  Finding as(Severity other) {
    return new Finding(other, topic, side, code, meaning, action, objects);
  }
}
