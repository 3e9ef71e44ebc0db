package io.dualwrite.sql;

import com.github.benmanes.caffeine.cache.Caffeine;
import com.github.benmanes.caffeine.cache.LoadingCache;
import com.github.benmanes.caffeine.cache.Weigher;

/** Analyses by text, bounded in number and size. Thread-safe; nothing blocks on the hot path. */
public final class SqlCache {

  /** Longer texts are made by programs, seldom twice, and would fill the cache's memory. */
  private static final int LONGEST = 32_768;

  /** So many bytes an entry may have on average. */
  private static final int ENTRY = 8192;

  private static final int RECENT = 256;

  private final LoadingCache<String, Sql> cache;

  /**
   * The last analysis of each hash. Read and written without a lock: Sql is immutable, so a reader
   * sees either a whole one or none, and a lost write costs one look-up in the cache.
   */
  private final Sql[] recent = new Sql[RECENT];

  /**
   * Makes an empty cache.
   *
   * @param maxEntries how many texts are kept, fewer if they are large; 0 keeps only the most
   *     recent ones
   */
  public SqlCache(int maxEntries) {
    cache =
        SqlCache.<String, Sql>bounded(maxEntries, (text, sql) -> sql.size()).build(Sql::analyze);
  }

  /**
   * A cache of what is known by text.
   *
   * @param maxEntries how many entries it has, fewer if they are large
   * @param size an entry's, in bytes, about
   */
  public static <K, V> Caffeine<K, V> bounded(int maxEntries, Weigher<K, V> size) {
    return Caffeine.newBuilder()
        .maximumWeight((long) maxEntries * ENTRY)
        .weigher((K key, V value) -> Math.max(ENTRY, size.weigh(key, value)))
        .executor(Runnable::run);
  }

  /**
   * The analysis of a text, for sessions in which standard_conforming_strings is on, as it is
   * unless someone switched it off.
   */
  public Sql get(String text) {
    int hash = text.hashCode();
    int slot = (hash ^ hash >>> 16) & (RECENT - 1);
    Sql hot = recent[slot];
    if (hot != null && hot.text().equals(text)) {
      return hot;
    }
    if (text.length() > LONGEST) {
      return Sql.analyze(text);
    }
    Sql sql = cache.get(text);
    if (sql.size() <= ENTRY) {
      recent[slot] = sql;
    }
    return sql;
  }

  /** How many texts are kept. */
  long size() {
    cache.cleanUp();
    return cache.estimatedSize();
  }
}
