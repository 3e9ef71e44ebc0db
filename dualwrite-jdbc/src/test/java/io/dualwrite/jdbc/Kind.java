package io.dualwrite.jdbc;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * A kind of write: what an application does, and what is promised of it. Rows of the table that
 * {@link KindsTest} runs.
 */
final class Kind {

  /** What is promised. */
  enum Mode {
    /** Both databases are equal once nothing is pending, and no suspect was opened. */
    EXACT,
    /** Both are equal once nothing is pending and suspects have been reconciled. */
    SUSPECT,
    /** One clear sentence with 0A000, and nothing is written. */
    REFUSED
  }

  /** What the application does. */
  @FunctionalInterface
  interface Body {
    void run(App app) throws Exception;
  }

  final String name;
  final Mode mode;
  final Body body;

  /** What is promised where the mirror lacked rows or was away. */
  Mode later;

  /**
   * Tables of its own, in a schema that {@code §} stands for; else it uses those of {@link #in}.
   */
  String ddl;

  String in = "public";
  int since = 13;
  boolean transactional = true;
  boolean fails;
  boolean structure;
  boolean cascades;
  int exactSince;
  Set<KindStage.Variant> variants = EnumSet.allOf(KindStage.Variant.class);

  private Kind(String name, Mode mode, Body body) {
    this.name = name;
    this.mode = mode;
    this.later = mode;
    this.body = body;
  }

  /** From this major version on. */
  Kind since(int major) {
    since = major;
    return this;
  }

  /** On tables of its own. */
  Kind on(String ownTables) {
    ddl = ownTables;
    return this;
  }

  /** On the tables of another schema that exists from the beginning. */
  Kind in(String schema) {
    in = schema;
    return this;
  }

  /** Begins and ends transactions itself, or cannot be in one. */
  Kind alone() {
    transactional = false;
    return this;
  }

  /** The server reports errors, and that is what it is about. */
  Kind fails() {
    fails = true;
    return this;
  }

  /** The structure of both databases is compared too. */
  Kind structure() {
    structure = true;
    return this;
  }

  /**
   * The server itself changes rows of other tables: where the mirror has none of them, the backfill
   * brings them, and only stale rows are wrong.
   */
  Kind cascades() {
    cascades = true;
    return this;
  }

  /** Before this major version the server does not tell enough, and a suspect is opened. */
  Kind suspectBefore(int major) {
    exactSince = major;
    return this;
  }

  /** What is promised in these circumstances. */
  Mode promise(int major, KindStage.Variant variant) {
    boolean late =
        variant == KindStage.Variant.MIRROR_EMPTY || variant == KindStage.Variant.TARGET_AWAY;
    Mode m = late ? later : mode;
    return m == Mode.EXACT && major < exactSince ? Mode.SUSPECT : m;
  }

  /** Expensive, or no different in others: in these variants only. */
  Kind only(KindStage.Variant first, KindStage.Variant... more) {
    variants = EnumSet.of(first, more);
    return this;
  }

  /** Expensive: in one variant only. */
  Kind once() {
    return only(KindStage.Variant.STATEMENT);
  }

  /** What is promised where the mirror lacked rows or was away, if that is less. */
  Kind later(Mode promise) {
    later = promise;
    return this;
  }

  /** A table of kinds under construction. */
  static final class Table {
    final List<Kind> kinds = new ArrayList<>();

    Kind exact(String name, Body body) {
      return add(name, Mode.EXACT, body);
    }

    Kind exact(String name, String... texts) {
      return add(name, Mode.EXACT, all(texts));
    }

    Kind suspect(String name, Body body) {
      return add(name, Mode.SUSPECT, body);
    }

    Kind suspect(String name, String... texts) {
      return add(name, Mode.SUSPECT, all(texts));
    }

    Kind refused(String name, Body body) {
      return add(name, Mode.REFUSED, body);
    }

    Kind refused(String name, String... texts) {
      return add(name, Mode.REFUSED, all(texts));
    }

    private static Body all(String[] texts) {
      return a -> {
        for (String t : texts) {
          a.sql(t);
        }
      };
    }

    private Kind add(String name, Mode mode, Body body) {
      Kind k = new Kind(name, mode, body);
      kinds.add(k);
      return k;
    }
  }
}
