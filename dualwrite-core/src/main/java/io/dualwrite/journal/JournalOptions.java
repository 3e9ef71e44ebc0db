package io.dualwrite.journal;

import java.util.function.LongSupplier;

/**
 * How a {@link ChronicleJournal} keeps its records. Immutable.
 *
 * <p>{@code JournalOptions.builder().sync(Sync.COMMIT).build()}
 */
public final class JournalOptions {

  /** What {@link Journal#append} waits for. */
  public enum Sync {
    /**
     * The operating system has the record: it survives the process, not the machine. When the
     * machine stops, the tables written lately become suspects.
     */
    NONE,
    /** The device has the record. Appends of many threads share one synchronisation. */
    COMMIT
  }

  private static final long MIB = 1L << 20;

  private final Sync sync;
  private final long maxBytes;
  private final long minFreeBytes;
  private final int blockBytes;
  private final long rollBytes;
  private final LongSupplier freeSpace;
  private final String bootId;
  private final String machineId;
  private final LongSupplier millis;

  private JournalOptions(Builder b) {
    this.sync = b.sync;
    this.maxBytes = b.maxBytes;
    this.minFreeBytes = b.minFreeBytes;
    this.blockBytes = b.blockBytes;
    this.rollBytes = b.rollBytes;
    this.freeSpace = b.freeSpace;
    this.bootId = b.bootId;
    this.machineId = b.machineId;
    this.millis = b.millis;
  }

  /** The defaults. */
  public static JournalOptions defaults() {
    return builder().build();
  }

  /** A builder that holds the defaults. */
  public static Builder builder() {
    return new Builder();
  }

  /** What an append waits for. Default {@link Sync#NONE}. */
  public Sync sync() {
    return sync;
  }

  /** Size budget of the directory in bytes; past it units become suspects. Default 8 GiB. */
  public long maxBytes() {
    return maxBytes;
  }

  /**
   * Floor of the file system's free space in bytes; below it units become suspects. Default 256
   * MiB.
   */
  public long minFreeBytes() {
    return minFreeBytes;
  }

  /** Size of a mapped block in bytes. Default 8 MiB. */
  public int blockBytes() {
    return blockBytes;
  }

  /** Size in bytes at which a new file is begun. Default 64 MiB. */
  public long rollBytes() {
    return rollBytes;
  }

  /** Free bytes of the file system; null: ask the file system. */
  LongSupplier freeSpace() {
    return freeSpace;
  }

  /** This boot of the machine; null: ask the operating system. */
  String bootId() {
    return bootId;
  }

  /** This machine; null: ask the operating system. */
  String machineId() {
    return machineId;
  }

  /** The clock, in milliseconds since 1970. */
  LongSupplier millis() {
    return millis;
  }

  /** Builds {@link JournalOptions}. Not thread-safe. */
  public static final class Builder {
    private Sync sync = Sync.NONE;
    private long maxBytes = 8L << 30;
    private long minFreeBytes = 256 * MIB;
    private int blockBytes = (int) (8 * MIB);
    private long rollBytes = 64 * MIB;
    private LongSupplier freeSpace;
    private String bootId;
    private String machineId;
    private LongSupplier millis = System::currentTimeMillis;

    private Builder() {}

    /** What an append waits for; default {@link Sync#NONE}. */
    public Builder sync(Sync value) {
      this.sync = java.util.Objects.requireNonNull(value);
      return this;
    }

    /**
     * Size budget of the directory in bytes, at least 8 MiB; default 8 GiB.
     *
     * @throws IllegalArgumentException if it is less
     */
    public Builder maxBytes(long value) {
      this.maxBytes = atLeast("maxBytes", value, 8 * MIB);
      return this;
    }

    /**
     * Free space in bytes that appends leave on the file system; default 256 MiB.
     *
     * @throws IllegalArgumentException if it is negative
     */
    public Builder minFreeBytes(long value) {
      this.minFreeBytes = atLeast("minFreeBytes", value, 0);
      return this;
    }

    /**
     * Size of a mapped block in bytes, a power of two and at least 1 MiB; default 8 MiB. Memory
     * address space, not memory. Records longer than a quarter of it are written in parts.
     *
     * @throws IllegalArgumentException if it is neither
     */
    public Builder blockBytes(int value) {
      if (Integer.bitCount(value) != 1) {
        throw new IllegalArgumentException("blockBytes must be a power of two: " + value);
      }
      this.blockBytes = (int) atLeast("blockBytes", value, MIB);
      return this;
    }

    /**
     * Size in bytes at which a new file is begun, at least 1 MiB; default 64 MiB. Space is given
     * back by whole files.
     *
     * @throws IllegalArgumentException if it is less
     */
    public Builder rollBytes(long value) {
      this.rollBytes = atLeast("rollBytes", value, MIB);
      return this;
    }

    /** For tests: the free bytes of the file system. */
    Builder freeSpace(LongSupplier value) {
      this.freeSpace = value;
      return this;
    }

    /** For tests: the boot of the machine. */
    Builder bootId(String value) {
      this.bootId = value;
      return this;
    }

    /** For tests: the machine. */
    Builder machineId(String value) {
      this.machineId = value;
      return this;
    }

    /** For tests: the clock. */
    Builder millis(LongSupplier value) {
      this.millis = value;
      return this;
    }

    /** The options. */
    public JournalOptions build() {
      return new JournalOptions(this);
    }

    private static long atLeast(String name, long value, long least) {
      if (value < least) {
        throw new IllegalArgumentException(name + " must be at least " + least + ": " + value);
      }
      return value;
    }
  }
}
