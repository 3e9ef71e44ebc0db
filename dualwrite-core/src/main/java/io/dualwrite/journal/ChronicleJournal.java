package io.dualwrite.journal;

import io.dualwrite.catalog.TableName;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NavigableSet;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The journal on Chronicle Queue. Thread-safe.
 *
 * <p>The parts: {@link JournalDirectory} owns the directory, {@link QueueWriter} appends to the
 * queue of this run, {@link SegmentReader} reads the queues of all runs, {@link IntentIndex} knows
 * what is not settled, {@link StateFile} holds what must be recordable on a full disk.
 *
 * <p><b>Space</b> is given back by whole files, oldest first only: so the record that resolves an
 * intent is never deleted before the intent. A file that holds little that still matters has it
 * written once more at the end, and goes too.
 *
 * <p><b>Trouble on the device</b> costs units of work their records, not the application its
 * commits: what cannot be recorded becomes a suspect, durably, and only if that fails too does an
 * append throw.
 */
public final class ChronicleJournal implements Journal {

  private static final Logger LOG = LoggerFactory.getLogger(ChronicleJournal.class);

  /** So many sequences are taken from the state file at a time. */
  private static final long SEQUENCES = 1 << 16;

  /** Free space is asked for again after so many bytes or nanoseconds. */
  private static final long MEASURE_BYTES = 8L << 20;

  private static final long MEASURE_NANOS = TimeUnit.MILLISECONDS.toNanos(100);

  /** How long the journal waits before it tries again to begin a run. */
  private static final long RETRY_NANOS = TimeUnit.SECONDS.toNanos(5);

  /** How often tables are noted as written again, after everything before was made durable. */
  private static final long PERIOD_NANOS = TimeUnit.MINUTES.toNanos(15);

  /** A run is not begun with less space: the queue maps its own files. */
  private static final long BEGIN_BYTES = 4L << 20;

  private static final long PENDING_BYTES = 16L << 20;
  private static final int ERROR_CHARS = 4000;

  private static final String MOVED =
      "the journal was moved or copied, or lost its sequences, while it held this unit's statements:"
          + " look whether the target has what they do; then retry the unit, or skip it";

  private final JournalOptions options;
  private final JournalDirectory directory;
  private final FileStore store;
  private final StateFile state;
  private final AtomicReference<ByteWriter> spare = new AtomicReference<>();

  /** Guards the fields down to the next lock. */
  private final ReentrantLock lock = new ReentrantLock();

  private final IntentIndex index;
  private final TreeMap<Integer, Segment> segments;
  private final Map<Long, String> parkErrors;

  /** Every intent with {@link Intent#barrier}, parked or not. */
  private final Set<Long> statements = new HashSet<>();

  private final Set<Long> overtaken;

  /** Changed under the lock, read without. */
  private final ConcurrentSkipListSet<Long> barriers = new ConcurrentSkipListSet<>();

  private final ByteWriter noted = new ByteWriter();
  private QueueWriter queue;
  private volatile Segment current;
  private int nextOrdinal;
  private int lastRun;
  private long bytes;
  private long liveBytes;
  private Segment oldest;
  private int oldestSince;
  private long nextSequence;
  private long reservedTo;
  private long freeBytes;
  private long measuredAt;
  private long growthSinceMeasured = Long.MAX_VALUE / 2;
  private long retryAt;
  private boolean begun;
  private boolean refusing;
  private volatile boolean closed;
  private long periodStarted = System.nanoTime();
  private int periodOrdinal;

  /** Guards the group commit, where one thread synchronises for all that wait. */
  private final ReentrantLock syncLock = new ReentrantLock();

  private final Condition syncDone = syncLock.newCondition();
  private volatile long written;
  private long synced;
  private long failed;
  private long syncs;
  private boolean syncing;

  /** Held by whoever deletes files. */
  private final ReentrantLock reclaiming = new ReentrantLock();

  private ChronicleJournal(
      JournalDirectory directory, StateFile state, Scan scan, JournalOptions options)
      throws IOException {
    this.directory = directory;
    this.store = Files.getFileStore(directory.path);
    this.state = state;
    this.options = options;
    this.index = scan.index;
    this.segments = scan.segments;
    this.parkErrors = scan.parkErrors;
    this.overtaken = scan.overtaken;
    this.nextOrdinal = scan.segments.size();
    this.lastRun = scan.lastRun;
    for (Segment s : segments.values()) {
      bytes += s.bytes;
      liveBytes += s.liveBytes;
    }
    try (IntentReader reads = new IntentReader()) {
      for (long seq : scan.statements) {
        if (index.state(seq) > IntentIndex.RESERVED) {
          long location = index.location(seq);
          Intent i = reads.read(segments.get(Segment.ordinal(location)), location, seq).intent();
          // what cannot be read becomes suspect as soon as it is asked for
          if (i != null && i.barrier()) {
            statements.add(seq);
            barrier(seq);
          }
        }
      }
    }
  }

  /** Whether what comes later has to wait for the intent, in the state that it has now. */
  private void barrier(long sequence) {
    byte now = index.state(sequence);
    if (statements.contains(sequence)
        && now >= IntentIndex.IN_FLIGHT
        && now < IntentIndex.PARKED_UNKNOWN) {
      barriers.add(sequence);
    } else {
      barriers.remove(sequence);
    }
  }

  // ---- open and close ----

  /**
   * Opens the journal in a directory, creating both if they are not there.
   *
   * @throws JournalException in one sentence: JVM flags are missing; the directory cannot be
   *     written, is in use, is on a network file system, holds something else or a newer format
   */
  public static ChronicleJournal open(Path directory, JournalOptions options) {
    requireFlags();
    JournalDirectory d = JournalDirectory.own(directory.toAbsolutePath().normalize());
    StateFile state = null;
    ChronicleJournal journal = null;
    boolean opened = false;
    try {
      boolean nameless = !d.known() && used(d);
      boolean created = !d.known() && !nameless;
      boolean lost = !created && !Files.exists(d.state());
      String lostState = "journal.state, which names the suspects, was lost";
      state =
          created
              ? StateFile.create(d.state(), List.of())
              : lost
                  ? StateFile.create(
                      d.state(), List.of(new Suspect(StateFile.ALL, lostState, nowMicros(), "", 0)))
                  : StateFile.open(d.state(), false);
      String boot = options.bootId() != null ? options.bootId() : JournalDirectory.currentBoot();
      StateFile.Use use = state.use();
      // made anew for one that was lost, by a start that did not come to its end
      lost |=
          !created
              && use.sync().isEmpty()
              && (!state.suspects().isEmpty() || !d.runDirectories().isEmpty());
      boolean crashed = !created && use.crashed(boot);
      Scan scan = Scan.of(d, state.resolved(), crashed, false);
      journal = new ChronicleJournal(d, state, scan, options);
      journal.start(scan, created, nameless, lost, crashed, boot);
      opened = true;
      return journal;
    } catch (IOException e) {
      throw new JournalException(
          "The journal in "
              + d.path
              + " cannot be opened ("
              + JournalDirectory.reason(e)
              + "): check the disk's space and health.",
          e);
    } finally {
      if (!opened) {
        if (journal != null) {
          journal.letGo();
        } else {
          if (state != null) {
            closeQuietly(state);
          }
          d.close();
        }
      }
    }
  }

  /** Whether there was a journal; a first start that was cut off leaves nothing that matters. */
  private static boolean used(JournalDirectory d) throws IOException {
    if (!d.runDirectories().isEmpty()) {
      return true;
    }
    if (!Files.exists(d.state())) {
      return false;
    }
    try (StateFile s = StateFile.open(d.state(), true)) {
      return s.damaged(false) || !s.use().sync().isEmpty();
    }
  }

  private static void requireFlags() {
    Module base = Object.class.getModule();
    Module user = ChronicleJournal.class.getModule();
    if (!base.isOpen("java.lang.reflect", user) || !base.isOpen("sun.nio.ch", user)) {
      throw new JournalException(
          "The journal needs two JVM flags that this application was started without: add"
              + " --add-opens=java.base/java.lang.reflect=ALL-UNNAMED"
              + " --add-opens=java.base/sun.nio.ch=ALL-UNNAMED to the java command (or to the"
              + " environment variable JDK_JAVA_OPTIONS), or put the line 'Add-Opens:"
              + " java.base/java.lang.reflect java.base/sun.nio.ch' into the manifest of the jar"
              + " that java -jar starts.");
    }
  }

  private void start(
      Scan scan, boolean created, boolean nameless, boolean lost, boolean crashed, String boot)
      throws IOException {
    long now = nowMicros();
    String place =
        directory.currentPlace(
            options.machineId() != null ? options.machineId() : JournalDirectory.currentMachine());
    StateFile.Use last = state.use();
    boolean moved = !created && JournalDirectory.moved(last.place(), place);
    List<Suspect> suspects = new ArrayList<>();
    List<Long> settled = new ArrayList<>();
    List<Long> halted = new ArrayList<>();

    boolean sequencesLost = lost || state.sequencesLost(crashed);
    if (lost || state.damaged(crashed)) {
      String reason = "journal.state, which names the suspects, was damaged or lost";
      LOG.error("{}: {}; every table is a suspect now.", directory.path, reason);
      suspects.add(new Suspect(StateFile.ALL, reason, now, "", 0));
    }
    boolean excused = false;
    for (Scan.Damage d : scan.damages.values()) {
      if (d.excused() && d.sequence() < 0) {
        excused = true;
      } else {
        LOG.error(
            "{}: a damaged record: {} at position {} of {}; suspects now: {}.",
            directory.path,
            d.what(),
            d.position(),
            d.segment(),
            d.tables());
        suspects.addAll(d.suspects(now));
      }
    }
    List<TableName> lately = state.written();
    if (crashed && !lately.isEmpty() && (excused || !last.synced())) {
      LOG.warn(
          "{}: the machine stopped before the journal was on its device; tables written lately are"
              + " suspects now: {}.",
          directory.path,
          lately);
      for (TableName t : lately) {
        suspects.add(new Suspect(t, StateFile.LATELY, now, "", 0));
      }
    }
    if (created) {
      directory.writer = UUID.randomUUID();
      directory.created = Instant.now().truncatedTo(ChronoUnit.SECONDS).toString();
    } else if (moved || sequencesLost || nameless) {
      settled.addAll(giveUp(suspects, now, halted));
      UUID fresh = UUID.randomUUID();
      LOG.warn(
          "{}: {}; it continues as writer {} instead of {}.",
          directory.path,
          nameless
              ? "journal.properties was lost"
              : moved ? "the journal was moved or copied" : "the journal lost its sequences",
          fresh,
          nameless ? "the one that it named" : directory.writer);
      directory.writer = fresh;
      if (nameless) {
        directory.created = Instant.now().truncatedTo(ChronoUnit.SECONDS).toString();
      }
    }
    if (!suspects.isEmpty()) {
      state.open(suspects);
    }
    if (created || moved || sequencesLost || nameless) {
      directory.save();
    }
    state.heal();

    nextSequence = Math.max(state.reserved(), scan.highest + 1);
    reservedTo = nextSequence + SEQUENCES;
    state.sequences(reservedTo, 0);
    if (!created && !last.clean()) {
      // what is read back from here on is on the device, whatever the sync of its run was
      for (Segment s : segments.values()) {
        s.force();
        s.release();
      }
    }
    state.forgetWritten(state.nextPeriod());

    boolean notes = !scan.damages.isEmpty() || !settled.isEmpty() || !halted.isEmpty();
    if (notes) {
      lock.lock();
      try {
        beginFirst();
        for (Scan.Damage d : scan.damages.values()) {
          note(Records.NOTED, 0, d.id());
        }
        for (long seq : settled) {
          note(Records.RESOLVED, seq, null);
        }
        for (long seq : halted) {
          note(Records.PARK, seq, MOVED);
        }
      } finally {
        lock.unlock();
      }
    }
    // not before the notes: what was given up under the old name must not come back under the new
    state.use(new StateFile.Use(boot, options.sync().name(), place, false));
    if (notes) {
      reclaim();
    } else {
      boolean files = !segments.isEmpty();
      Thread beginning = new Thread(() -> beginAside(files), "dualwrite-journal-begin");
      beginning.setDaemon(true);
      beginning.start();
    }
  }

  /**
   * Begins the run on a thread of its own: Chronicle Queue takes most of a second to load, in which
   * the application can connect to its databases. Whoever writes earlier begins the run itself.
   *
   * @param files whether there are files of earlier runs, which may be given back
   */
  private void beginAside(boolean files) {
    lock.lock();
    try {
      if (closed) {
        return;
      }
      beginFirst();
    } finally {
      lock.unlock();
    }
    if (files) {
      reclaim();
    }
  }

  private void beginFirst() {
    if (!begun) {
      try {
        begin();
      } catch (IOException e) {
        noRun(e);
      }
    }
  }

  /**
   * Under another writer's name a row of a keyless table could be inserted twice: by this journal
   * and by the one it was copied from. Such intents become suspects. Returns their sequences.
   *
   * @param halted gets those of intents with statements that might be executed twice: they are
   *     parked, as only people can tell whether the mirror has them
   */
  private List<Long> giveUp(List<Suspect> suspects, long now, List<Long> halted) {
    List<Long> gone = new ArrayList<>();
    try (IntentReader reads = new IntentReader()) {
      for (long seq = index.next(-1); seq >= 0; seq = index.next(seq)) {
        long location = index.location(seq);
        IntentReader.Found f = reads.read(segments.get(Segment.ordinal(location)), location, seq);
        if (f.damage() != null) {
          suspects.addAll(f.damage().suspects(now));
        } else {
          boolean statements = f.intent().statements();
          if (f.intent().keyless()) {
            for (Suspect s :
                suspects(
                    f.intent(),
                    "the journal was moved or copied, or lost its sequences, while it held rows of"
                        + " this table that must not be inserted twice")) {
              if (!s.statements()) { // these are not gone
                suspects.add(s);
              }
            }
          }
          if (statements) {
            index.state(seq, Scan.parked(index.state(seq)));
            parkErrors.put(seq, MOVED);
            barrier(seq);
            halted.add(seq);
          }
          if (statements || !f.intent().keyless()) {
            continue;
          }
        }
        gone.add(seq);
      }
    }
    for (long seq : gone) {
      drop(seq);
    }
    return gone;
  }

  @Override
  public void close() {
    lock.lock();
    try {
      if (closed) {
        return;
      }
      closed = true;
    } finally {
      lock.unlock();
    }
    reclaiming.lock();
    lock.lock();
    try {
      for (Segment s : segments.tailMap(periodOrdinal).values()) {
        s.force();
      }
      state.forgetWritten(state.nextPeriod());
      long first = index.next(-1, IntentIndex.IN_FLIGHT, IntentIndex.PARKED_COMMITTED);
      if (queue != null) {
        QueueWriter q = queue;
        queue = null;
        q.close();
      }
      current = null;
      if (first < 0) {
        for (Segment s : segments.values()) {
          s.release();
        }
        segments.clear();
        for (Path run : directory.runDirectories()) {
          JournalDirectory.deleteRun(run);
        }
      }
      StateFile.Use use = state.use();
      state.use(new StateFile.Use(use.boot(), use.sync(), use.place(), true));
    } catch (IOException e) {
      throw new JournalException(
          "The journal in "
              + directory.path
              + " could not be closed cleanly ("
              + JournalDirectory.reason(e)
              + "); nothing acknowledged is lost, the next start reads it again.",
          e);
    } finally {
      letGo();
      lock.unlock();
      reclaiming.unlock();
    }
  }

  /** Gives everything back as it is, without a goodbye: as if the process had ended. */
  void letGo() {
    closed = true;
    reclaiming.lock();
    lock.lock();
    try {
      if (queue != null) {
        closeQuietly(queue);
        queue = null;
      }
      for (Segment s : segments.values()) {
        s.release();
      }
      closeQuietly(state);
      directory.close();
    } finally {
      lock.unlock();
      reclaiming.unlock();
    }
  }

  private static void closeQuietly(AutoCloseable c) {
    try {
      c.close();
    } catch (Exception e) {
      LOG.debug("close failed", e); // on the way out of a failure that is reported
    }
  }

  // ---- sequences ----

  @Override
  public UUID writer() {
    return directory.writer;
  }

  @Override
  public long nextSequence() {
    lock.lock();
    try {
      requireOpen();
      if (nextSequence >= reservedTo) {
        state.sequences(reservedTo + SEQUENCES, 0);
        reservedTo += SEQUENCES;
      }
      index.put(nextSequence, 0, 0, IntentIndex.RESERVED);
      return nextSequence++;
    } catch (IOException e) {
      throw cannotRecord(e);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public long resolvedThrough() {
    long through;
    lock.lock();
    try {
      requireOpen();
      long first = index.next(-1);
      through = first < 0 ? nextSequence - 1 : first - 1;
    } finally {
      lock.unlock();
    }
    try {
      if (through > state.resolved()) {
        state.sequences(0, through);
      }
    } catch (IOException e) {
      // then it stays where it was, which is true as well
      LOG.warn("{}: {}", directory.path, JournalDirectory.reason(e));
    }
    period();
    return state.resolved();
  }

  /**
   * From time to time makes everything durable, so that a machine's crash makes suspects only of
   * the tables that were written lately.
   */
  private void period() {
    long ended;
    List<Segment> dirty;
    int ordinal;
    lock.lock();
    try {
      if (closed || System.nanoTime() - periodStarted < PERIOD_NANOS) {
        return;
      }
      periodStarted = System.nanoTime();
      ended = state.nextPeriod();
      dirty = List.copyOf(segments.tailMap(periodOrdinal).values());
      ordinal = current == null ? periodOrdinal : current.ordinal;
    } finally {
      lock.unlock();
    }
    try {
      for (Segment s : dirty) {
        if (Files.exists(s.path)) {
          s.force();
        }
      }
      state.forgetWritten(ended);
      lock.lock();
      try {
        periodOrdinal = ordinal;
      } finally {
        lock.unlock();
      }
    } catch (IOException e) {
      // the tables stay noted as written lately
      LOG.warn("{}: {}", directory.path, JournalDirectory.reason(e));
    }
  }

  // ---- append ----

  @Override
  public boolean append(Intent intent) {
    requireOpen();
    ByteWriter w = spare.getAndSet(null);
    if (w == null) {
      w = new ByteWriter();
    }
    // The queue opens and maps files, which an interrupt would close under it.
    boolean interrupted = Thread.interrupted();
    String refusal;
    try {
      refusal = record(intent, w);
    } finally {
      w.clear();
      spare.set(w);
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
    if (refusal == null) {
      return true;
    }
    try {
      state.open(suspects(intent, refusal));
    } catch (IOException e) {
      throw cannotRecord(e);
    } finally {
      resolved(intent.sequence());
    }
    return false;
  }

  /** Returns null, or why the intent is not recorded. */
  private String record(Intent intent, ByteWriter w) {
    try {
      Records.intent(w, intent);
    } catch (ByteWriter.TooLargeException e) {
      return "a unit of work exceeded the journal's largest record of "
          + Records.LARGEST / (1 << 20)
          + " MiB";
    }
    Set<TableName> tables = tables(intent);
    long ticket;
    while (true) {
      long period;
      try {
        period = state.written(tables);
      } catch (IOException e) {
        return refuse("the disk failed (" + JournalDirectory.reason(e) + ")");
      }
      lock.lock();
      try {
        requireOpen();
        if (index.state(intent.sequence()) != IntentIndex.RESERVED) {
          throw new IllegalArgumentException(
              "sequence " + intent.sequence() + " was not handed out, or is used already");
        }
        if (period != state.period()) {
          continue; // what was noted may be forgotten before the record is durable
        }
        String refusal = obstacle(w.position());
        if (refusal == null) {
          refusal = write(intent.sequence(), IntentIndex.IN_FLIGHT, w);
        }
        if (refusal == null && intent.barrier()) {
          statements.add(intent.sequence());
          barrier(intent.sequence());
        }
        if (refusal != null) {
          return refuse(refusal);
        }
        accept();
        ticket = written + 1;
        written = ticket;
        break;
      } finally {
        lock.unlock();
      }
    }
    if (options.sync() == JournalOptions.Sync.COMMIT && !awaitSync(ticket)) {
      return "the disk failed to synchronise";
    }
    return null;
  }

  private static Set<TableName> tables(Intent intent) {
    List<RowChange> changes = intent.changes();
    if (changes.size() == 1) {
      return Set.of(changes.get(0).table());
    }
    Set<TableName> set = new HashSet<>();
    for (RowChange c : changes) {
      set.add(c.table());
    }
    return set;
  }

  /** Why no record of this size may be written now, or null. */
  private String obstacle(int length) {
    if (queue == null) {
      if (System.nanoTime() - retryAt < 0) {
        return "the journal cannot write to its disk";
      }
      try {
        begin();
      } catch (IOException e) {
        noRun(e);
        return "the journal cannot write to its disk";
      }
    }
    long growth = queue.growth(length);
    if (growth == 0) {
      return null; // the space is ours already
    }
    if (size() + growth > options.maxBytes()) {
      return "the journal reached its size budget of " + megabytes(options.maxBytes());
    }
    long now = System.nanoTime();
    if (growthSinceMeasured > MEASURE_BYTES || now - measuredAt > MEASURE_NANOS) {
      try {
        freeBytes =
            options.freeSpace() != null ? options.freeSpace().getAsLong() : store.getUsableSpace();
      } catch (IOException e) {
        return "the free space of the journal's disk cannot be read";
      }
      measuredAt = now;
      growthSinceMeasured = 0;
    }
    if (freeBytes - growthSinceMeasured - growth < options.minFreeBytes()) {
      return "the journal's disk has less than " + megabytes(options.minFreeBytes()) + " free";
    }
    growthSinceMeasured += growth;
    return null;
  }

  private static String megabytes(long n) {
    return String.format(Locale.ROOT, "%,d MiB", n >> 20);
  }

  /** Writes an intent that is encoded; returns null, or why that failed. */
  private String write(long sequence, byte newState, ByteWriter w) {
    for (int attempt = 0; queue != null; attempt++) {
      try {
        int length = w.position();
        if (queue.full(length)) {
          roll();
        }
        queue.reserve(length + length / 1024L);
        long position =
            length <= queue.largest()
                ? queue.write(w.buffer(), 0, length)
                : writeParts(sequence, w);
        place(sequence, position, length, newState);
        return null;
      } catch (IOException e) {
        return "the journal's disk is full or failed (" + JournalDirectory.reason(e) + ")";
      } catch (ByteWriter.TooLargeException e) {
        return "a unit of work named too many tables for one record";
      } catch (RuntimeException | LinkageError | AssertionError | InternalError e) {
        // An interrupt may have closed a file under the queue, or its mapping hit a full disk.
        breakRun(e);
        if (attempt > 0) {
          break;
        }
      }
    }
    return "the journal cannot write to its disk";
  }

  private long writeParts(long sequence, ByteWriter w) {
    byte[] all = w.buffer();
    Records.Header h = Records.header(all, 0, w.position());
    int largest = queue.largest();
    int first = largest - Records.HEADER - h.headLength();
    if (first <= 0) {
      throw new ByteWriter.TooLargeException();
    }
    int end = w.position();
    Records.seal(all, 0, Records.INTENT, true, sequence, h.headLength(), first);
    long position = queue.write(all, 0, largest);
    byte[] part = new byte[largest];
    for (int at = largest; at < end; ) {
      int n = Math.min(largest - Records.HEADER, end - at);
      System.arraycopy(all, at, part, Records.HEADER, n);
      at += n;
      Records.seal(part, 0, Records.PART, at < end, sequence, 0, n);
      queue.write(part, 0, Records.HEADER + n);
    }
    // whole again, in case it has to be written once more
    Records.seal(all, 0, Records.INTENT, false, sequence, h.headLength(), h.bodyLength());
    return position;
  }

  private void place(long sequence, long position, int length, byte newState) {
    Segment s = current;
    index.put(sequence, s.location(position), length, newState);
    s.live++;
    s.liveBytes += length;
    liveBytes += length;
    grown();
  }

  private void grown() {
    bytes += queue.fileBytes() - current.bytes;
    current.bytes = queue.fileBytes();
  }

  /** Writes a small record if there is space: whoever calls can do without. */
  private void note(byte type, long sequence, String text) {
    beginFirst();
    if (queue == null) {
      return;
    }
    ByteWriter w = noted;
    w.clear();
    Records.note(w, type, sequence, text);
    try {
      if (!queue.fits(w.position())) {
        queue.reserve(w.position());
      }
      queue.write(w.buffer(), 0, w.position());
      grown();
    } catch (IOException e) {
      // no space: at the next start the intent is pending as it was before
      LOG.debug("{}: {}", directory.path, JournalDirectory.reason(e));
    } catch (RuntimeException | LinkageError | AssertionError | InternalError e) {
      breakRun(e);
    }
  }

  private void roll() throws IOException {
    if (options.sync() == JournalOptions.Sync.COMMIT) {
      try {
        current.force();
      } catch (IOException e) {
        // Asked again, the system would say that all is well: whoever waits has to know now.
        syncFailed();
        throw new UncheckedIOException(e);
      }
    }
    queue.roll();
    current = add(queue.file());
    grown();
    if (options.sync() == JournalOptions.Sync.COMMIT) {
      JournalDirectory.forceDirectory(queue.file().getParent());
    }
  }

  /** Begins a run; the last one's file was made durable before. */
  private void begin() throws IOException {
    begun = true;
    QueueWriter.prepare();
    if (store.getUsableSpace() < BEGIN_BYTES) {
      throw new IOException("No space left on device");
    }
    Path run = directory.runs().resolve(String.format(Locale.ROOT, "%08d", lastRun + 1));
    queue = new QueueWriter(run, options);
    lastRun++;
    current = add(queue.file());
    grown();
    JournalDirectory.forceDirectory(run);
    JournalDirectory.forceDirectory(directory.runs());
    JournalDirectory.forceDirectory(directory.path);
  }

  private Segment add(Path file) {
    Segment s = new Segment(file, nextOrdinal++);
    segments.put(s.ordinal, s);
    return s;
  }

  /** Leaves a queue that failed and begins another. */
  private void breakRun(Throwable why) {
    LOG.warn("{}: the queue failed ({}); beginning another.", directory.path, why.toString());
    LOG.debug("the queue failed", why);
    try {
      current.force();
    } catch (IOException e) {
      syncFailed();
    }
    endRun();
    try {
      begin();
    } catch (IOException e) {
      noRun(e);
    }
  }

  private void endRun() {
    QueueWriter q = queue;
    queue = null;
    current = null;
    if (q != null) {
      closeQuietly(q);
    }
  }

  private void noRun(IOException e) {
    LOG.error(
        "{}: the journal cannot write to its disk ({}); what the application writes becomes"
            + " suspect until it can.",
        directory.path,
        JournalDirectory.reason(e));
    endRun();
    retryAt = System.nanoTime() + RETRY_NANOS;
  }

  private String refuse(String why) {
    if (!refusing) {
      refusing = true;
      LOG.warn("{}: {}; units of work become suspects until that is over.", directory.path, why);
    }
    return why;
  }

  private void accept() {
    if (refusing) {
      refusing = false;
      LOG.info("{}: units of work are recorded again.", directory.path);
    }
  }

  /**
   * What stands for an intent that is not kept. Statements are nothing that could be made equal:
   * their text is left for people, as far as there is room.
   */
  private static List<Suspect> suspects(Intent intent, String reason) {
    List<Suspect> list = new ArrayList<>();
    long now = nowMicros();
    for (TableName t : tables(intent)) {
      list.add(new Suspect(t, reason, now, intent.incarnation(), intent.xid()));
    }
    list.removeIf(s -> s.table().equals(RowChange.NO_TABLE));
    for (RowChange c : intent.changes()) {
      if (c.rangeOf() != null && !forPeople(c)) {
        list.add(new Suspect(c.rangeOf(), reason, now, intent.incarnation(), intent.xid()));
      }
    }
    if (intent.changes().stream().anyMatch(ChronicleJournal::forPeople)) {
      StringBuilder texts = new StringBuilder(reason).append("; to be done on the target:");
      for (RowChange c : intent.changes()) {
        if (forPeople(c)) {
          texts.append(' ').append(c.rows()[0][0].strip().replace('\n', ' ')).append(';');
        }
      }
      list.add(
          new Suspect(
              Suspect.statements(intent.sequence()),
              texts.toString(),
              now,
              intent.incarnation(),
              intent.xid()));
    }
    return list;
  }

  /** A range that went is seen by the table's rows, if it is one of rows. */
  private static boolean forPeople(RowChange c) {
    return c.kind() == RowChange.Kind.STATEMENT
        && (c.rangeOf() == null || RowChange.NO_ROWS.equals(c.rows()[0][6]));
  }

  // ---- group commit ----

  /**
   * Returns when the record with this ticket is on the device: one thread synchronises, for all
   * that were written before it began; the others wait for it.
   *
   * @return false if the device failed
   */
  private boolean awaitSync(long ticket) {
    syncLock.lock();
    try {
      while (synced < ticket && failed < ticket) {
        if (syncing) {
          syncDone.awaitUninterruptibly();
        } else {
          lead();
        }
      }
      return failed < ticket;
    } finally {
      syncLock.unlock();
    }
  }

  private void lead() {
    syncing = true;
    syncLock.unlock();
    // In this order: what has a ticket by now is in this file, or in one that was made durable when
    // it was left.
    long target = written;
    Segment s = current;
    IOException failure = null;
    try {
      if (s != null) {
        s.force();
      }
    } catch (IOException e) {
      failure = e;
    } finally {
      syncLock.lock();
      syncing = false;
      syncs++;
      if (failure == null) {
        synced = Math.max(synced, target);
      } else {
        failed = Math.max(failed, target);
      }
      syncDone.signalAll();
    }
    if (failure != null) {
      // After a failed synchronisation the system may take the lost pages for clean: the file is
      // not to be trusted with anything more.
      syncLock.unlock();
      try {
        lock.lock();
        try {
          if (current == s && s != null) {
            breakRun(failure);
          }
        } finally {
          lock.unlock();
        }
      } finally {
        syncLock.lock();
      }
    }
  }

  private void syncFailed() {
    syncLock.lock();
    try {
      failed = Math.max(failed, written);
      syncDone.signalAll();
    } finally {
      syncLock.unlock();
    }
  }

  /** For tests; begins the run if need be. */
  QueueWriter queue() {
    lock.lock();
    try {
      beginFirst();
      return queue;
    } finally {
      lock.unlock();
    }
  }

  /** For tests. */
  Segment current() {
    return current;
  }

  /** How often the device was waited for. */
  long syncs() {
    syncLock.lock();
    try {
      return syncs;
    } finally {
      syncLock.unlock();
    }
  }

  // ---- life of an intent ----

  @Override
  public void resolved(long sequence) {
    boolean space;
    lock.lock();
    try {
      requireOpen();
      byte old = index.state(sequence);
      if (old == IntentIndex.NONE) {
        return;
      }
      drop(sequence);
      if (old != IntentIndex.RESERVED) {
        note(Records.RESOLVED, sequence, null);
      }
      space = reclaimable() != null;
    } finally {
      lock.unlock();
    }
    if (space) {
      reclaim();
    }
  }

  /** Forgets an entry. */
  private void drop(long sequence) {
    byte old = index.state(sequence);
    if (old > IntentIndex.RESERVED) {
      Segment s = segments.get(Segment.ordinal(index.location(sequence)));
      s.live--;
      s.liveBytes -= index.length(sequence);
      liveBytes -= index.length(sequence);
      parkErrors.remove(sequence);
      overtaken.remove(sequence);
    }
    index.remove(sequence);
    if (statements.remove(sequence)) {
      barriers.remove(sequence);
    }
  }

  @Override
  public void release(long sequence, Outcome outcome) {
    lock.lock();
    try {
      requireOpen();
      byte old = index.state(sequence);
      boolean committed = outcome == Outcome.COMMITTED;
      byte now =
          switch (old) {
            case IntentIndex.IN_FLIGHT, IntentIndex.PENDING_UNKNOWN ->
                committed ? IntentIndex.PENDING_COMMITTED : IntentIndex.PENDING_UNKNOWN;
            case IntentIndex.PARKED_UNKNOWN ->
                committed ? IntentIndex.PARKED_COMMITTED : IntentIndex.PARKED_UNKNOWN;
            default -> old;
          };
      if (now == old) {
        return;
      }
      index.state(sequence, now);
      if (committed) {
        note(Records.OUTCOME, sequence, null);
      }
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void park(long sequence, String error) {
    lock.lock();
    try {
      requireOpen();
      byte old = index.state(sequence);
      if (old < IntentIndex.IN_FLIGHT) {
        return;
      }
      String text = error == null ? "" : error;
      if (text.length() > ERROR_CHARS) {
        text = text.substring(0, ERROR_CHARS);
      }
      index.state(sequence, Scan.parked(old));
      parkErrors.put(sequence, text);
      barrier(sequence);
      note(Records.PARK, sequence, text);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void unpark(long sequence) {
    lock.lock();
    try {
      requireOpen();
      byte old = index.state(sequence);
      if (old < IntentIndex.PARKED_UNKNOWN) {
        return;
      }
      index.state(sequence, Scan.unparked(old));
      parkErrors.remove(sequence);
      overtaken.add(sequence);
      barrier(sequence);
      note(Records.UNPARK, sequence, null);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public List<Parked> parked() {
    lock.lock();
    try {
      List<Parked> list = new ArrayList<>();
      new TreeMap<>(parkErrors).forEach((seq, error) -> list.add(new Parked(seq, error)));
      return list;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public long pendingCount() {
    lock.lock();
    try {
      return index.count(IntentIndex.PENDING_UNKNOWN) + index.count(IntentIndex.PENDING_COMMITTED);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public long inFlightCount() {
    lock.lock();
    try {
      return index.count(IntentIndex.IN_FLIGHT);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public long oldestInFlight() {
    lock.lock();
    try {
      long first = index.next(-1, IntentIndex.IN_FLIGHT, IntentIndex.IN_FLIGHT);
      return first < 0 ? Long.MAX_VALUE : first;
    } finally {
      lock.unlock();
    }
  }

  @Override
  public NavigableSet<Long> barriers() {
    return barriers;
  }

  @Override
  public boolean overtaken(long sequence) {
    lock.lock();
    try {
      return overtaken.contains(sequence);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public List<Pending> pending(long afterSequence, int limit) {
    try (IntentReader reads = new IntentReader()) {
      return pending(afterSequence, limit, reads);
    }
  }

  private List<Pending> pending(long afterSequence, int limit, IntentReader reads) {
    List<Pending> list = new ArrayList<>();
    long total = 0;
    long seq = afterSequence;
    while (list.size() < limit) {
      Segment s;
      long location;
      Outcome outcome;
      lock.lock();
      try {
        requireOpen();
        seq = index.next(seq, IntentIndex.PENDING_UNKNOWN, IntentIndex.PENDING_COMMITTED);
        if (seq < 0) {
          return list;
        }
        total += index.length(seq);
        if (total > PENDING_BYTES && !list.isEmpty()) {
          return list;
        }
        location = index.location(seq);
        s = segments.get(Segment.ordinal(location));
        outcome =
            index.state(seq) == IntentIndex.PENDING_COMMITTED ? Outcome.COMMITTED : Outcome.UNKNOWN;
      } finally {
        lock.unlock();
      }
      IntentReader.Found f = reads.read(s, location, seq);
      if (f.intent() != null) {
        list.add(new Pending(f.intent(), outcome));
      } else if (!lost(seq, location, f.damage())) {
        seq--; // it was written elsewhere or resolved meanwhile
      }
    }
    return list;
  }

  /**
   * A pending intent cannot be read: its tables become suspects instead.
   *
   * @return false if it is not there any more, or elsewhere
   */
  private boolean lost(long sequence, long location, Scan.Damage damage) {
    lock.lock();
    try {
      if (index.state(sequence) <= IntentIndex.RESERVED || index.location(sequence) != location) {
        return false;
      }
      LOG.error(
          "{}: a damaged record: {} at position {} of {}; suspects now: {}.",
          directory.path,
          damage.what(),
          damage.position(),
          damage.segment(),
          damage.tables());
      state.open(damage.suspects(nowMicros()));
      drop(sequence);
      note(Records.NOTED, 0, damage.id());
      note(Records.RESOLVED, sequence, null);
      return true;
    } catch (IOException e) {
      throw cannotRecord(e);
    } finally {
      lock.unlock();
    }
  }

  // ---- suspects ----

  @Override
  public void suspect(Suspect suspect) {
    try {
      state.open(List.of(suspect));
    } catch (IOException e) {
      throw cannotRecord(e);
    }
  }

  @Override
  public List<Suspect> suspects() {
    return state.suspects();
  }

  @Override
  public boolean closeSuspect(Suspect suspect) {
    try {
      return state.close(suspect);
    } catch (IOException e) {
      throw cannotRecord(e);
    }
  }

  // ---- space ----

  @Override
  public long size() {
    lock.lock();
    try {
      return bytes + StateFile.BYTES;
    } finally {
      lock.unlock();
    }
  }

  /**
   * The oldest file, if it can be given back: when nothing there is live, or when it has stood in
   * the way for two files and moving what is live there is worth what it frees, here or behind it.
   */
  private Segment reclaimable() {
    if (closed || segments.isEmpty()) {
      return null;
    }
    Segment s = segments.firstEntry().getValue();
    if (s != oldest) {
      oldestSince = oldest == null ? s.ordinal : nextOrdinal;
      oldest = s;
    }
    if (s == current) {
      return null;
    }
    boolean move =
        queue != null
            && nextOrdinal - oldestSince >= 2
            && s.movedInVain != nextOrdinal
            && (s.liveBytes * 4 <= s.bytes || liveBytes * 2 <= bytes);
    return s.live == 0 || move ? s : null;
  }

  private void reclaim() {
    if (!reclaiming.tryLock()) {
      return; // whoever has it looks again after each file
    }
    try {
      boolean more;
      do {
        more = reclaimOldest();
      } while (more);
    } catch (IOException e) {
      // the space stays taken until the next try, which the next resolved intent brings
      LOG.warn("{}: space cannot be given back: {}", directory.path, JournalDirectory.reason(e));
    } finally {
      reclaiming.unlock();
    }
  }

  private boolean reclaimOldest() throws IOException {
    Segment s;
    boolean move;
    lock.lock();
    try {
      s = reclaimable();
      if (s == null) {
        return false;
      }
      move = s.live > 0;
    } finally {
      lock.unlock();
    }
    if (move && !moveForward(s)) {
      return false;
    }
    if (s.movedTo >= 0) { // now or earlier, and the rest was resolved since
      List<Segment> targets;
      lock.lock();
      try {
        // what is resolved by now need not be there; nor must a file that failed keep all before it
        targets = segments.tailMap(s.movedTo).values().stream().filter(t -> t.live > 0).toList();
      } finally {
        lock.unlock();
      }
      for (Segment t : targets) {
        t.force();
      }
    }
    // Files go before the journal forgets them: if that fails, the next ones must stay.
    s.release();
    Files.deleteIfExists(s.path);
    Path run = s.path.getParent();
    lock.lock();
    try {
      segments.remove(s.ordinal);
      bytes -= s.bytes;
      boolean lastOfRun = true;
      for (Segment other : segments.values()) {
        lastOfRun &= !other.path.getParent().equals(run);
      }
      if (lastOfRun) {
        JournalDirectory.deleteRun(run);
      } else if (queue != null && run.equals(queue.file().getParent())) {
        queue.refresh();
      }
    } finally {
      lock.unlock();
    }
    return true;
  }

  /**
   * Writes what still matters in the file once more at the end.
   *
   * @return whether nothing is left there that matters
   */
  private boolean moveForward(Segment s) throws IOException {
    lock.lock();
    try {
      if (current == null) {
        return false;
      }
      if (s.movedTo < 0) {
        s.movedTo = current.ordinal;
      }
    } finally {
      lock.unlock();
    }
    ByteWriter w = new ByteWriter();
    try (SegmentReader reader = new SegmentReader(s.path)) {
      reader.scan(
          true,
          true,
          new SegmentReader.Visitor() {
            @Override
            public void record(
                long position, int length, Records.Header h, byte[] head, int at, byte[] body) {
              if (h.type() == Records.INTENT) {
                Records.again(w, h.sequence(), head, at, h.headLength(), body);
                move(s, position, h.sequence(), w);
                w.clear();
              }
            }

            @Override
            public void damaged(long position, String what, Records.Header h, byte[] b, int at) {
              // What is live and cannot be read keeps the file: pending() will deal with it.
            }
          });
    }
    lock.lock();
    try {
      if (s.live > 0) {
        s.movedInVain = nextOrdinal;
        return false;
      }
      return true;
    } finally {
      lock.unlock();
    }
  }

  private void move(Segment s, long position, long sequence, ByteWriter w) {
    lock.lock();
    try {
      byte old = index.state(sequence);
      if (closed
          || old <= IntentIndex.RESERVED
          || index.location(sequence) != s.location(position)) {
        return;
      }
      int length = index.length(sequence);
      if (write(sequence, old, w) != null) {
        return;
      }
      s.live--;
      s.liveBytes -= length;
      liveBytes -= length;
      if (old == IntentIndex.PENDING_COMMITTED || old == IntentIndex.PARKED_COMMITTED) {
        note(Records.OUTCOME, sequence, null);
      }
      if (old >= IntentIndex.PARKED_UNKNOWN) {
        note(Records.PARK, sequence, parkErrors.get(sequence));
      } else if (overtaken.contains(sequence)) {
        note(Records.PARK, sequence, "");
        note(Records.UNPARK, sequence, null);
      }
    } finally {
      lock.unlock();
    }
  }

  // ---- small things ----

  private void requireOpen() {
    if (closed) {
      throw new JournalException("The journal in " + directory.path + " is closed.");
    }
  }

  private JournalException cannotRecord(IOException e) {
    return new JournalException(
        "The journal in "
            + directory.path
            + " can record nothing any more, not even suspects ("
            + JournalDirectory.reason(e)
            + "): check the disk's health.",
        e);
  }

  private static long nowMicros() {
    return ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now());
  }
}
