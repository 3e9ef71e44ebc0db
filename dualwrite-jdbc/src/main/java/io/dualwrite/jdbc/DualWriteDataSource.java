package io.dualwrite.jdbc;

import io.dualwrite.config.Setting;
import io.dualwrite.config.Settings;
import io.dualwrite.control.Phase;
import io.dualwrite.control.Side;
import io.dualwrite.journal.ChronicleJournal;
import io.dualwrite.journal.JournalException;
import io.dualwrite.journal.JournalOptions;
import io.dualwrite.shadow.ShadowReport;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ConnectionBuilder;
import java.sql.SQLException;
import java.sql.SQLFeatureNotSupportedException;
import java.sql.ShardingKeyBuilder;
import java.time.Duration;
import java.util.UUID;
import java.util.logging.Logger;
import javax.sql.ConnectionPoolDataSource;
import javax.sql.DataSource;
import javax.sql.XADataSource;

/**
 * A {@link DataSource} whose connections write to two databases. The application sees the primary
 * alone: its results, its counts, its errors. The mirror gets every write, at once or, if it is
 * away, from the journal later.
 *
 * <pre>{@code
 * DualWriteDataSource ds =
 *     DualWriteDataSource.builder()
 *         .source("jdbc:postgresql://old/app", "app", password)
 *         .target("jdbc:postgresql://new/app", "app", password)
 *         .journal(Path.of("/var/lib/app/dualwrite"))
 *         .build();
 * }</pre>
 *
 * <p>It pools no connections to the primary: put the application's pool before it ({@code
 * hikariConfig.setDataSource(ds)}). One per process and journal directory. Thread-safe; close it
 * when the application stops, after its pool.
 */
public final class DualWriteDataSource implements DataSource, AutoCloseable {

  private final DualWriter writer;

  private DualWriteDataSource(DualWriter writer) {
    this.writer = writer;
  }

  /** Begins a configuration. */
  public static Builder builder() {
    return new Builder();
  }

  /** With settings from a file, the environment, a URL. */
  public static DualWriteDataSource of(Settings settings) {
    return builder().settings(settings).build();
  }

  /** Puts a {@link DualWriteDataSource} together. Not thread-safe. */
  public static final class Builder {
    private Settings.Builder settings = Settings.builder();
    private DataSource source;
    private DataSource target;

    private Builder() {}

    /** Takes over settings; what is set afterwards wins. */
    public Builder settings(Settings base) {
      settings = base.toBuilder();
      return this;
    }

    /** The database moved from. */
    public Builder source(String url, String username, String password) {
      settings.set(Setting.SOURCE_URL, url);
      setIfGiven(Setting.SOURCE_USERNAME, username);
      setIfGiven(Setting.SOURCE_PASSWORD, password);
      return this;
    }

    /**
     * The database moved from, through connections that the application makes. They must be
     * pgjdbc's, wrapped or not. Each time one is taken its session is asked how it begins, in one
     * query: a pool is better put before dualwrite than behind it. Whether connections are in
     * autocommit is as these are, after a cutover, too.
     */
    public Builder source(DataSource dataSource) {
      source = dataSource;
      return this;
    }

    /** The database moved to. */
    public Builder target(String url, String username, String password) {
      settings.set(Setting.TARGET_URL, url);
      setIfGiven(Setting.TARGET_USERNAME, username);
      setIfGiven(Setting.TARGET_PASSWORD, password);
      return this;
    }

    /**
     * The database moved to, through connections that the application makes. Then it is the
     * application's business that getting one, and the network, cannot block for long: prefer
     * {@link #target(String, String, String)}.
     */
    public Builder target(DataSource dataSource) {
      target = dataSource;
      return this;
    }

    /**
     * The journal's directory; made if it is missing. On a local disk that survives the process.
     */
    public Builder journal(Path directory) {
      settings.set(Setting.JOURNAL_DIR, directory);
      return this;
    }

    /** The phase to begin with; default {@link Phase#DUAL_WRITE}. */
    public Builder phase(Phase phase) {
      settings.set(Setting.PHASE, phase.toString());
      return this;
    }

    /**
     * {@code sync} (default): the mirror has the write when the commit returns, if it is well;
     * {@code async}: the journal has it, and the mirror follows.
     */
    public Builder mirror(String mode) {
      settings.set(Setting.MIRROR, mode);
      return this;
    }

    /** The share of reads, 0 to 1, that is compared with the mirror; default 0. */
    public Builder shadowSampleRate(double rate) {
      settings.set(Setting.SHADOW_SAMPLE_RATE, rate);
      return this;
    }

    /** Any other setting. */
    public Builder set(Setting setting, String value) {
      settings.set(setting, value);
      return this;
    }

    private void setIfGiven(Setting setting, String value) {
      if (value != null) {
        settings.set(setting, value);
      }
    }

    /**
     * Opens the journal and starts. A target that is away is no error.
     *
     * @throws IllegalArgumentException if a setting is missing or wrong; the message names it
     * @throws JournalException if the journal cannot be opened; the message says what to do
     */
    public DualWriteDataSource build() {
      Settings s = settings.build();
      if (source == null) {
        s.require(Setting.SOURCE_URL);
      }
      if (target == null) {
        s.require(Setting.TARGET_URL);
      }
      Path directory = Path.of(s.require(Setting.JOURNAL_DIR));
      ChronicleJournal journal = ChronicleJournal.open(directory, journalOptions(s));
      Database from = new Database(Side.SOURCE, s, source);
      Database to = new Database(Side.TARGET, s, target);
      try {
        return new DualWriteDataSource(new DualWriter(s, from, to, journal, directory));
      } catch (RuntimeException e) {
        journal.close();
        from.close();
        to.close();
        throw e;
      }
    }
  }

  private static JournalOptions journalOptions(Settings s) {
    return JournalOptions.builder()
        .sync(
            s.choice(Setting.JOURNAL_SYNC).equals("commit")
                ? JournalOptions.Sync.COMMIT
                : JournalOptions.Sync.NONE)
        .maxBytes(s.bytes(Setting.JOURNAL_MAX_BYTES))
        .minFreeBytes(s.bytes(Setting.JOURNAL_MIN_FREE_BYTES))
        .build();
  }

  // ---- the application's side

  @Override
  public Connection getConnection() throws SQLException {
    return new DwConnection(writer);
  }

  @Override
  public Connection getConnection(String username, String password) throws SQLException {
    throw Refusal.of(
        "user and password of both databases are part of dualwrite's settings; call getConnection()");
  }

  // ---- the operator's side

  /** How things stand. */
  public Status status() {
    return writer.status();
  }

  /**
   * Changes the phase of this process between {@code off}, {@code dual-write} and {@code shadow},
   * or {@code target-primary} and {@code target-only}; returns when every transaction that began
   * before has ended, so that from then on every commit is dual-written. After a phase that does
   * not mirror, be it another process's, every table is suspect.
   *
   * @throws SQLException if the phase needs the roles exchanged, or old transactions do not end
   *     within 30 s; the message says which
   */
  public void phase(Phase phase) throws SQLException {
    writer.phase(phase, Duration.ofSeconds(30));
  }

  /**
   * Waits until the mirror has everything that has been committed so far.
   *
   * @return false if it did not within that time
   */
  public boolean drain(Duration timeout) throws SQLException {
    return writer.drain(timeout);
  }

  /**
   * Makes the rows of every suspect table equal to the primary's, while the application goes on,
   * and closes the suspects.
   *
   * @return how many suspects were closed; what is still open {@link #status()} shows
   * @throws SQLException if one of the databases cannot be reached, or a table cannot be made
   *     equal; the message says which
   */
  public int reconcile() throws SQLException {
    return writer.reconcile();
  }

  /**
   * Makes parked units of work pending again, once what stood in their way has been mended.
   *
   * @return how many there were
   */
  public int retryParked() {
    return writer.retryParked();
  }

  /**
   * Gives up what the journal of another process holds, which is lost with its disk: from then on
   * it is in no cutover's way. What it held nobody can tell, so every table becomes suspect, and is
   * made equal before the roles can be exchanged.
   *
   * @param writer its name, as {@link #cutover} and {@code dualwrite status} say it
   * @throws SQLException if there is no such writer, it runs, or a database cannot be reached
   */
  public void writeOff(UUID writer) throws SQLException {
    this.writer.writeOff(writer);
  }

  /**
   * Closes the suspects that stand for statements (DDL) which neither the target nor the journal
   * got, as {@link #status()} shows them ({@code Suspect.statements()}): to be called once somebody
   * has done them on the target. Every table is compared then, as what they did to its rows there
   * nobody can tell.
   *
   * @return how many were closed
   */
  public int statementsDone() {
    return writer.statementsDone();
  }

  /**
   * Makes the target primary: checks, pauses new transactions, lets open ones end, drains the
   * journal, sets the target's sequences past the source's, exchanges the roles and goes on. The
   * source goes on getting every write.
   *
   * @param deadline how long transactions may be held back; if it does not suffice the roles stay
   *     as they are
   * @throws SQLException if something forbids it; nothing has changed then, and the message says
   *     what to do
   */
  public CutoverReport cutover(Duration deadline) throws SQLException {
    return writer.cutover(deadline, false);
  }

  /** The way back: makes the source primary again. As {@link #cutover}. */
  public CutoverReport cutoverBack(Duration deadline) throws SQLException {
    return writer.cutover(deadline, true);
  }

  /** What the comparison of sampled reads has found so far. */
  public ShadowReport shadowReport() {
    return writer.shadow.report();
  }

  /**
   * Flushes what is under way and closes. What the mirror lacks stays in the journal for the next
   * start.
   */
  @Override
  public void close() {
    writer.close();
  }

  /** The machinery behind it. */
  DualWriter writer() {
    return writer;
  }

  // ---- the rest of DataSource

  @Override
  public ConnectionBuilder createConnectionBuilder() throws SQLException {
    throw Refusal.of(
        "dualwrite builds no connections for other users or shards; call getConnection()");
  }

  @Override
  public ShardingKeyBuilder createShardingKeyBuilder() throws SQLException {
    throw Refusal.of("PostgreSQL has no sharding keys");
  }

  @Override
  public PrintWriter getLogWriter() {
    return null;
  }

  @Override
  public void setLogWriter(PrintWriter out) {}

  /**
   * How long connecting to the primary may take, for connections made from now on; the driver's
   * {@code loginTimeout} among the settings wins, and so does a DataSource that the application
   * gave. Pools call it.
   */
  @Override
  public void setLoginTimeout(int seconds) {
    writer.loginTimeout = seconds;
  }

  @Override
  public int getLoginTimeout() {
    return writer.loginTimeout;
  }

  @Override
  public Logger getParentLogger() throws SQLFeatureNotSupportedException {
    throw Refusal.of("dualwrite logs with SLF4J");
  }

  @Override
  public <T> T unwrap(Class<T> type) throws SQLException {
    if (type.isInstance(this)) {
      return type.cast(this);
    }
    if (type == XADataSource.class || type == ConnectionPoolDataSource.class) {
      throw Refusal.of(
          "dualwrite offers no "
              + type.getName()
              + ": two-phase commit cannot be mirrored, and pools take this DataSource as it is");
    }
    throw new SQLException("this DataSource wraps no " + type.getName());
  }

  @Override
  public boolean isWrapperFor(Class<?> type) {
    return type.isInstance(this);
  }
}
