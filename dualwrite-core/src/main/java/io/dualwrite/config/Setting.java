package io.dualwrite.config;

import java.util.List;
import java.util.Optional;

/** Every setting of dualwrite: its key, its type, its default and what it does. */
public enum Setting {
  /** {@code dualwrite.source.url}. */
  SOURCE_URL(
      "dualwrite.source.url",
      Type.URL,
      null,
      "The database moved from, as jdbc:postgresql:… or postgres://…"),
  /** {@code dualwrite.source.username}. */
  SOURCE_USERNAME(
      "dualwrite.source.username",
      Type.STRING,
      null,
      "The role on the source; goes before one that the URL names."),
  /** {@code dualwrite.source.password}. */
  SOURCE_PASSWORD(
      "dualwrite.source.password",
      Type.SECRET,
      null,
      "Its password, unless the server asks for none; goes before one in the URL."),
  /** {@code dualwrite.target.url}. */
  TARGET_URL(
      "dualwrite.target.url",
      Type.URL,
      null,
      "The database moved to, as jdbc:postgresql:… or postgres://…"),
  /** {@code dualwrite.target.username}. */
  TARGET_USERNAME(
      "dualwrite.target.username",
      Type.STRING,
      null,
      "The role on the target; goes before one that the URL names."),
  /** {@code dualwrite.target.password}. */
  TARGET_PASSWORD(
      "dualwrite.target.password",
      Type.SECRET,
      null,
      "Its password, unless the server asks for none; goes before one in the URL."),

  /** {@code dualwrite.phase}. */
  PHASE(
      "dualwrite.phase",
      Type.CHOICE,
      "dual-write",
      "The phase to begin with. After a cutover it is target-primary, or target-only where that was the last.",
      "off",
      "dual-write",
      "shadow",
      "target-primary",
      "target-only"),

  /** {@code dualwrite.journal.dir}. */
  JOURNAL_DIR(
      "dualwrite.journal.dir",
      Type.STRING,
      null,
      "The directory of this process's journal, on a local disk; one process may use it."),
  /** {@code dualwrite.journal.sync}. */
  JOURNAL_SYNC(
      "dualwrite.journal.sync",
      Type.CHOICE,
      "none",
      "What an acknowledged write survives: the end of the process (none), or of the machine"
          + " (commit).",
      "none",
      "commit"),
  /** {@code dualwrite.journal.max-bytes}. */
  JOURNAL_MAX_BYTES(
      "dualwrite.journal.max-bytes",
      Type.BYTES,
      "10GB",
      "How large the journal may grow; past it, writes are noted as suspects only."),
  /** {@code dualwrite.journal.min-free-bytes}. */
  JOURNAL_MIN_FREE_BYTES(
      "dualwrite.journal.min-free-bytes",
      Type.BYTES,
      "1GB",
      "How much of the journal's disk stays free; past it, writes are noted as suspects only."),

  /** {@code dualwrite.mirror}. */
  MIRROR(
      "dualwrite.mirror",
      Type.CHOICE,
      "sync",
      "Whether a commit brings its writes to the mirror itself (sync) or leaves that to the"
          + " replayer (async).",
      "sync",
      "async"),
  /** {@code dualwrite.mirror.pool-size}. */
  MIRROR_POOL_SIZE(
      "dualwrite.mirror.pool-size",
      Type.INT,
      "10",
      "The most connections to the mirror that this process opens for its writes.",
      1,
      10_000),
  /** {@code dualwrite.mirror.connection-timeout}. */
  MIRROR_CONNECTION_TIMEOUT(
      "dualwrite.mirror.connection-timeout",
      Type.DURATION,
      "250ms",
      "How long a commit waits for a connection to the mirror before it leaves its writes to the"
          + " replayer; 250 ms at least."),
  /** {@code dualwrite.mirror.flush-timeout}. */
  MIRROR_FLUSH_TIMEOUT(
      "dualwrite.mirror.flush-timeout",
      Type.DURATION,
      "1s",
      "How long a commit waits for the mirror to take its writes before it leaves them to the"
          + " replayer. For one that does not answer at all it is rounded up to whole seconds."),
  /** {@code dualwrite.mirror.lock-timeout}. */
  MIRROR_LOCK_TIMEOUT(
      "dualwrite.mirror.lock-timeout",
      Type.DURATION,
      "500ms",
      "How long a commit's writes wait for a lock on the mirror."),

  /** {@code dualwrite.unit.max-bytes}. */
  UNIT_MAX_BYTES(
      "dualwrite.unit.max-bytes",
      Type.BYTES,
      "64MB",
      "How much of one transaction is kept in memory; an eighth of the heap at most."),

  /** {@code dualwrite.shadow.sample-rate}. */
  SHADOW_SAMPLE_RATE(
      "dualwrite.shadow.sample-rate",
      Type.RATE,
      "0",
      "The share of reads that run on the mirror too and are compared."),
  /** {@code dualwrite.shadow.max-rows}. */
  SHADOW_MAX_ROWS(
      "dualwrite.shadow.max-rows",
      Type.INT,
      "1000",
      "How many rows of a sampled read are compared.",
      1,
      10_000_000),
  /** {@code dualwrite.shadow.max-bytes}. */
  SHADOW_MAX_BYTES(
      "dualwrite.shadow.max-bytes",
      Type.BYTES,
      "1MB",
      "How much of a sampled read's result is kept for the comparison."),
  /** {@code dualwrite.shadow.timeout}. */
  SHADOW_TIMEOUT(
      "dualwrite.shadow.timeout",
      Type.DURATION,
      "5s",
      "How long a sampled read may take on the mirror."),
  /** {@code dualwrite.shadow.queue}. */
  SHADOW_QUEUE(
      "dualwrite.shadow.queue",
      Type.INT,
      "256",
      "How many sampled reads may wait for their comparison; while it is full none is sampled.",
      1,
      1_000_000),
  /** {@code dualwrite.shadow.recheck-delay}. */
  SHADOW_RECHECK_DELAY(
      "dualwrite.shadow.recheck-delay",
      Type.DURATION,
      "1s",
      "How long a difference waits, once nothing is pending, before it is looked at again."),
  /** {@code dualwrite.shadow.float-tolerance}. */
  SHADOW_FLOAT_TOLERANCE(
      "dualwrite.shadow.float-tolerance",
      Type.RATE,
      "0",
      "The relative difference up to which two values of type real or double precision count as"
          + " equal."),

  /** {@code dualwrite.statement-cache}. */
  STATEMENT_CACHE(
      "dualwrite.statement-cache",
      Type.INT,
      "4096",
      "How many SQL texts are remembered with what they do; long ones count as several.",
      1,
      10_000_000),
  /** {@code dualwrite.audit}. */
  AUDIT(
      "dualwrite.audit",
      Type.BOOL,
      "false",
      "Asks the primary after every transaction of which nothing was captured whether it changed"
          + " anything, and reports it."),

  /** {@code dualwrite.breaker.window}. */
  BREAKER_WINDOW(
      "dualwrite.breaker.window",
      Type.INT,
      "10",
      "Of how many last calls of the mirror the failures are counted.",
      1,
      1000),
  /** {@code dualwrite.breaker.min-calls}. */
  BREAKER_MIN_CALLS(
      "dualwrite.breaker.min-calls",
      Type.INT,
      "5",
      "How many calls there must be in the window before the mirror can be given up.",
      1,
      1_000_000),
  /** {@code dualwrite.breaker.failure-rate}. */
  BREAKER_FAILURE_RATE(
      "dualwrite.breaker.failure-rate",
      Type.INT,
      "50",
      "The percentage of failed calls from which on the mirror is left alone for a while.",
      1,
      100),
  /** {@code dualwrite.breaker.slow-call}. */
  BREAKER_SLOW_CALL(
      "dualwrite.breaker.slow-call", Type.DURATION, "500ms", "From when on a call is a slow one."),
  /** {@code dualwrite.breaker.slow-rate}. */
  BREAKER_SLOW_RATE(
      "dualwrite.breaker.slow-rate",
      Type.INT,
      "80",
      "The percentage of slow calls from which on the mirror is left alone for a while.",
      1,
      100),
  /** {@code dualwrite.breaker.open}. */
  BREAKER_OPEN(
      "dualwrite.breaker.open", Type.DURATION, "5s", "How long the mirror is then left alone."),

  /** {@code dualwrite.reconcile}. */
  RECONCILE(
      "dualwrite.reconcile",
      Type.CHOICE,
      "auto",
      "Whether tables that may differ (suspects) are made equal in the background as they come up,"
          + " or when reconcile is called.",
      "auto",
      "manual"),
  /** {@code dualwrite.reconcile.max-rate}. */
  RECONCILE_MAX_RATE(
      "dualwrite.reconcile.max-rate",
      Type.INT,
      "0",
      "How many rows per second replay and reconcile read from the primary at most; 0 for no limit."
          + " Below what the application writes, what is pending grows.",
      0,
      Integer.MAX_VALUE),
  /** {@code dualwrite.readback.max-rows}. */
  READBACK_MAX_ROWS(
      "dualwrite.readback.max-rows",
      Type.INT,
      "1000000",
      "How many rows that a transaction wrote behind a statement's back (triggers, routines, COPY)"
          + " are read back from the primary at most; past that their table becomes a suspect.",
      0,
      Integer.MAX_VALUE),
  /** {@code dualwrite.policy.large-object}. */
  POLICY_LARGE_OBJECT(
      "dualwrite.policy.large-object",
      Type.CHOICE,
      "reject",
      "What becomes of large objects, whose numbers differ between servers: refused, or kept on the primary alone.",
      "primary-only",
      "reject"),
  /** {@code dualwrite.policy.ddl}. */
  POLICY_DDL(
      "dualwrite.policy.ddl",
      Type.CHOICE,
      "mirror",
      "What becomes of CREATE, ALTER, DROP and the like: run on the mirror too, in their order; or they run on the primary alone, which the mirror then lacks; or are refused.",
      "mirror",
      "primary-only",
      "reject"),
  /** {@code dualwrite.policy.truncate}. */
  POLICY_TRUNCATE(
      "dualwrite.policy.truncate",
      Type.CHOICE,
      "mirror",
      "What becomes of TRUNCATE: done on the mirror too; or they run on the primary alone, which the mirror then lacks; or are refused.",
      "mirror",
      "primary-only",
      "reject"),
  /** {@code dualwrite.policy.copy}. */
  POLICY_COPY(
      "dualwrite.policy.copy",
      Type.CHOICE,
      "mirror",
      "What becomes of COPY … FROM: its rows are mirrored, as they are sent or, where these do not say what is stored, read back; or they run on the primary alone, which the mirror then lacks; or are refused.",
      "mirror",
      "primary-only",
      "reject"),
  /** {@code dualwrite.policy.routine}. */
  POLICY_ROUTINE(
      "dualwrite.policy.routine",
      Type.CHOICE,
      "mirror",
      "What becomes of CALL, DO and functions that may write: what they wrote is read back and mirrored; or they run on the primary alone, which the mirror then lacks; or are refused.",
      "mirror",
      "primary-only",
      "reject"),
  /** {@code dualwrite.policy.keyless}. */
  POLICY_KEYLESS(
      "dualwrite.policy.keyless",
      Type.CHOICE,
      "mirror",
      "What becomes of UPDATE and DELETE of a table without a key: rows that cannot be told apart make the table a suspect; or they run on the primary alone, which the mirror then lacks; or are refused.",
      "mirror",
      "primary-only",
      "reject"),
  /** {@code dualwrite.policy.relation}. */
  POLICY_RELATION(
      "dualwrite.policy.relation",
      Type.CHOICE,
      "mirror",
      "What becomes of writes to views, foreign or inherited tables and tables with triggers or rules: what they wrote is read back and mirrored; or they run on the primary alone, which the mirror then lacks; or are refused.",
      "mirror",
      "primary-only",
      "reject"),
  /** {@code dualwrite.policy.form}. */
  POLICY_FORM(
      "dualwrite.policy.form",
      Type.CHOICE,
      "mirror",
      "What becomes of writes in a form that is not captured as it is (MERGE before PostgreSQL 18, SQL-level PREPARE, …): what they wrote is read back and mirrored; or they run on the primary alone, which the mirror then lacks; or are refused.",
      "mirror",
      "primary-only",
      "reject");

  /** How a value is written. */
  public enum Type {
    /** Any text. */
    STRING,
    /** Any text; never shown. */
    SECRET,
    /** {@code jdbc:postgresql:…} or {@code postgres://…}, see {@link PgUri}. */
    URL,
    /** A whole number. */
    INT,
    /** Bytes: {@code 65536}, {@code 512kB}, {@code 64MB}, {@code 1GB}; 1 kB is 1024 bytes. */
    BYTES,
    /** A time: {@code 250ms}, {@code 5s}, {@code 2m}, {@code 1h}, {@code 7d}; ISO-8601 too. */
    DURATION,
    /** {@code true} or {@code false}. */
    BOOL,
    /** A number from 0 to 1. */
    RATE,
    /** One of {@link Setting#choices()}. */
    CHOICE
  }

  /** What every key begins with. */
  public static final String PREFIX = "dualwrite.";

  private final String key;
  private final Type type;
  private final String defaultValue;
  private final String documentation;

  @SuppressWarnings("ImmutableEnumChecker") // made by List.of
  private final List<String> choices;

  private final int min;
  private final int max;

  Setting(String key, Type type, String defaultValue, String documentation, String... choices) {
    this.key = key;
    this.type = type;
    this.defaultValue = defaultValue;
    this.documentation = documentation;
    this.choices = List.of(choices);
    this.min = 0;
    this.max = Integer.MAX_VALUE;
  }

  Setting(String key, Type type, String defaultValue, String documentation, int min, int max) {
    this.key = key;
    this.type = type;
    this.defaultValue = defaultValue;
    this.documentation = documentation;
    this.choices = List.of();
    this.min = min;
    this.max = max;
  }

  /** The key, {@code dualwrite.…}. */
  public String key() {
    return key;
  }

  /** The key without {@link #PREFIX}. */
  public String shortKey() {
    return key.substring(PREFIX.length());
  }

  /** How its values are written. */
  public Type type() {
    return type;
  }

  /** What it is when nobody sets it; empty if there is no default. */
  public Optional<String> defaultValue() {
    return Optional.ofNullable(defaultValue);
  }

  /** What it does, in one sentence. */
  public String documentation() {
    return documentation;
  }

  /** The values that a {@link Type#CHOICE} has; empty for other types. */
  public List<String> choices() {
    return choices;
  }

  int min() {
    return min;
  }

  int max() {
    return max;
  }

  /** The key. */
  @Override
  public String toString() {
    return key;
  }
}
