package io.dualwrite.jdbc;

import io.dualwrite.config.Setting;
import java.util.Locale;

/**
 * The kinds of statement whose text does not tell what they write; each has a policy, {@code
 * dualwrite.policy.<kind>}.
 */
enum Unmirrored {
  /** CREATE, ALTER, DROP, GRANT and the like. */
  DDL,
  /** TRUNCATE. */
  TRUNCATE,
  /** COPY … FROM. */
  COPY,
  /** CALL, DO, and functions that may write. */
  ROUTINE,
  /** UPDATE and DELETE of a table without a key. */
  KEYLESS,
  /** A table with user triggers or rules, a view, a foreign or an inherited table. */
  RELATION,
  /**
   * MERGE, writable CTEs, several statements in one text, cursors, PREPARE: writes in a form that
   * is not captured.
   */
  FORM,
  /** Large objects. */
  LARGE_OBJECT;

  /** The setting that says what becomes of it. */
  Setting policy() {
    return switch (this) {
      case DDL -> Setting.POLICY_DDL;
      case TRUNCATE -> Setting.POLICY_TRUNCATE;
      case COPY -> Setting.POLICY_COPY;
      case ROUTINE -> Setting.POLICY_ROUTINE;
      case KEYLESS -> Setting.POLICY_KEYLESS;
      case RELATION -> Setting.POLICY_RELATION;
      case FORM -> Setting.POLICY_FORM;
      case LARGE_OBJECT -> Setting.POLICY_LARGE_OBJECT;
    };
  }

  /** Its name in counters. */
  String key() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
