package io.dualwrite.backfill;

import io.dualwrite.catalog.TableName;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Indexes of the target that nothing but queries needs. A row that is copied into a table with such
 * an index costs the server a search in it, and a page of it that is written to the log; to build
 * it from the finished table is one sort. They are dropped when the copy is staged, in the
 * transaction that writes their definitions into tasks, and built, while writers go on, by whoever
 * claims these.
 *
 * <p>Unique indexes stay, because the writers' rows are held to them; indexes under a foreign key
 * stay, because a delete of the parent would read the whole table without; so do those that are
 * more than their definition says (a comment, a tablespace, statistics, a replica identity), those
 * that a partition has for itself, and those of continuous aggregates.
 *
 * <p>The index of a partitioned table is as many tasks as it has parts, those of the partitions
 * before the one that they are parts of. Nothing can build it at once while writers go on: each
 * partition's is built for itself, and they become parts of the whole in one short transaction,
 * that either happened or did not. That of a hypertable is one task: TimescaleDB has a build of its
 * own, that holds up the writers of one chunk at a time.
 */
final class Indexes {

  /** A definition from its method on, which is the same for an index and all its parts. */
  private static final String BODY =
      "substr(pg_catalog.pg_get_indexdef(i.indexrelid), 1 + length(pg_catalog.format('CREATE INDEX %I ON %s%s ', c.relname,"
          + " case c.relkind when 'I' then 'ONLY ' else '' end, i.indrelid::regclass)))";

  private static final String BY_CHUNK = "timescaledb.transaction_per_chunk";

  private static final String IDENTIFIER = "(?:\"(?:[^\"]|\"\")*\"|[^\" .]+)";

  private static final Pattern DEFINITION =
      Pattern.compile(
          "CREATE INDEX $i ON (?:ONLY )?($i(?:\\.$i)?) (.*)".replace("$i", IDENTIFIER),
          Pattern.DOTALL);

  private static final String DEFERRABLE =
      """
      with recursive tree(root, index, level) as (
        select i.indexrelid, i.indexrelid, 0
          from pg_catalog.pg_index i
          join pg_catalog.pg_class t on t.oid = i.indrelid
          where i.indrelid = pg_catalog.to_regclass($table) and not t.relispartition
            and (t.relkind = 'p' and not exists (select from pg_catalog.pg_partition_tree(t.oid) p
                join pg_catalog.pg_class f on f.oid = p.relid where f.relkind = 'f')
              or t.relkind = 'r'
                and ($hypertable or not exists (select from pg_catalog.pg_inherits h where t.oid in (h.inhrelid, h.inhparent))))
        union all
        select tree.root, h.inhrelid, tree.level + 1 from tree join pg_catalog.pg_inherits h on h.inhparent = tree.index),
      part as (select tree.root, tree.level, n.nspname, c.relname,
        case when not $hypertable then says.definition
          when c.reloptions is null
            then left(says.definition, length(says.definition) - length(says.suffix)) || ' WITH ($bychunk)' || says.suffix
          else left(says.definition, length(says.definition) - length(says.suffix) - 1) || ', $bychunk)' || says.suffix
          end as definition,
        $body as body,
        (not $hypertable or right(says.definition, length(says.suffix)) = says.suffix)
          and i.indisvalid and not i.indisunique and not i.indisexclusion
          and not i.indisreplident and not i.indisclustered
          and c.reltablespace = 0
          and not exists (select from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attstattarget >= 0)
          and not exists (select from pg_catalog.pg_description d
            where d.classoid = 'pg_catalog.pg_class'::regclass and d.objoid = c.oid)
          and not exists (select from pg_catalog.pg_depend d
            where d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = c.oid and d.deptype not in ('P', 'S')
              or d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype in ('e', 'x'))
          and not exists (select from pg_catalog.pg_constraint k
            where k.conrelid = i.indrelid and k.contype = 'f' and i.indkey[0] = any(k.conkey)) as deferrable
        from tree
        join pg_catalog.pg_index i on i.indexrelid = tree.index
        join pg_catalog.pg_class c on c.oid = tree.index
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        cross join lateral (select pg_catalog.pg_get_indexdef(i.indexrelid) as definition,
          coalesce(' WHERE ' || pg_catalog.pg_get_expr(i.indpred, i.indrelid), '') as suffix) says)
      select p.nspname, p.relname, p.definition, p.level
        from part p
        join part whole on whole.root = p.root and whole.level = 0
        where not exists (select from part o where o.root = p.root and not (o.deferrable and o.body = p.body))
        order by whole.nspname, whole.relname, p.level desc, p.nspname, p.relname
      """
          .replace("$body", BODY)
          .replace("$bychunk", BY_CHUNK);

  private final Connection connection;
  private final Duration lockTimeout;

  private Indexes(Connection connection, Duration lockTimeout) {
    this.connection = connection;
    this.lockTimeout = lockTimeout;
  }

  /**
   * Drops what can wait of the tables of these tasks, in the transaction of the connection.
   *
   * @param hypertables those of the tables that are
   * @return a task for each; its level is 0 unless the index is a part of another
   */
  static List<TaskStore.Draft> defer(
      Connection target, List<TaskStore.Draft> drafts, Set<TableName> hypertables)
      throws SQLException {
    Sql.execute(target, Sessions.searchPath(null)); // definitions with every name qualified
    Set<TableName> tables = new LinkedHashSet<>();
    for (TaskStore.Draft d : drafts) {
      if (d.kind() != Task.Kind.CHUNK || hypertables.contains(d.table())) {
        tables.add(d.table());
      }
    }
    List<TaskStore.Draft> result = new ArrayList<>();
    for (TableName table : tables) {
      for (List<String> r :
          Sql.rows(
              target,
              DEFERRABLE
                  .replace("$hypertable", String.valueOf(hypertables.contains(table)))
                  .replace("$table", Sql.literal(table.sql())))) {
        TableName index = new TableName(r.get(0), r.get(1));
        int level = Integer.parseInt(r.get(3));
        if (level == 0) { // its parts go with it
          Sql.execute(target, "drop index " + index.sql());
        }
        result.add(
            new TaskStore.Draft(
                table,
                index,
                Task.Kind.INDEX,
                null,
                null,
                r.get(2),
                false,
                0,
                0,
                level,
                null,
                null,
                null));
      }
    }
    return result;
  }

  /**
   * Builds an index, on a connection of its own: most of it cannot be done in a transaction.
   *
   * @param claim holds the task until then
   * @param lockTimeout for locks that writers wait behind
   */
  static void build(Sessions targets, Connection claim, Task task, Duration lockTimeout)
      throws SQLException {
    // it is idle for as long as that takes
    Sql.execute(claim, "set local idle_in_transaction_session_timeout = 0");
    try (Connection c = targets.getConnection()) {
      // it waits for the transactions that are under way
      Sql.execute(c, "set lock_timeout = 0; set idle_in_transaction_session_timeout = 0");
      new Indexes(c, lockTimeout).build(task.from(), task.predicate());
    }
  }

  private void build(TableName index, String definition) throws SQLException {
    Matcher m = DEFINITION.matcher(definition);
    if (!m.matches()) {
      throw new BackfillException("not the definition of an index: " + definition);
    }
    String table = m.group(1);
    String body = m.group(2);
    String valid = valid(index);
    String kind =
        value(
            "select relkind from pg_catalog.pg_class where oid = pg_catalog.to_regclass("
                + Sql.literal(table)
                + ")");
    if (kind == null || "t".equals(valid)) {
      return;
    }
    if (kind.equals("p")) {
      String left = valid == null ? "" : "drop index " + index.sql() + "; ";
      whole(table, left + definition, body);
      return;
    }
    boolean byChunk = definition.contains(BY_CHUNK);
    if (valid != null) { // a build was cut short
      execute("drop index " + (byChunk ? "" : "concurrently ") + index.sql());
    }
    if (byChunk) {
      execute(definition);
    } else if (!partOfWhole(table, body)) {
      execute(definition.replaceFirst("^CREATE INDEX ", "CREATE INDEX CONCURRENTLY "));
    }
  }

  /** Whether somebody built the index of the partitioned table by hand, this part with it. */
  private boolean partOfWhole(String table, String body) throws SQLException {
    return "t"
        .equals(
            value(
                "select exists (select from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid"
                    + " where c.relispartition and i.indisvalid and i.indrelid = pg_catalog.to_regclass("
                    + Sql.literal(table)
                    + ") and "
                    + BODY
                    + " = "
                    + Sql.literal(body)
                    + ")"));
  }

  /**
   * The index of a partitioned table. Partitions may have come since their indexes were noted, so
   * the catalog says which there are, before and again under the lock that holds others back; those
   * that come later get theirs by themselves.
   */
  private void whole(String table, String create, String body) throws SQLException {
    do {
      for (List<String> p : partitions(table, body)) {
        if (p.get(3).equals("t")) {
          continue;
        }
        if (p.get(1).equals("p")) {
          whole(p.get(0), "create index on only " + p.get(0) + " " + body, body);
          continue;
        }
        if (p.get(2) != null) { // a build was cut short
          execute("drop index concurrently " + p.get(2));
        }
        execute("create index concurrently on " + p.get(0) + " " + body);
      }
    } while (!joined(table, create, body));
  }

  /** False, and nothing has happened, if a partition has no index yet. */
  private boolean joined(String table, String create, String body) throws SQLException {
    connection.setAutoCommit(false);
    try {
      execute("set local lock_timeout = " + lockTimeout.toMillis());
      execute(create);
      String index =
          value(
              "select indexrelid::regclass from pg_catalog.pg_index where indrelid = pg_catalog.to_regclass("
                  + Sql.literal(table)
                  + ") and xmin = pg_catalog.pg_current_xact_id()::xid");
      List<List<String>> parts = partitions(table, body);
      if (parts.stream().anyMatch(p -> p.get(3).equals("f"))) {
        return false;
      }
      for (List<String> p : parts) {
        execute("alter index " + index + " attach partition " + p.get(2));
      }
      connection.commit();
      return true;
    } finally {
      connection.rollback();
      connection.setAutoCommit(true);
    }
  }

  /**
   * The partitions of a table, each with what it is, its index of that body that is part of no
   * other yet, or null, and whether that is valid.
   */
  private List<List<String>> partitions(String table, String body) throws SQLException {
    return Sql.rows(
        connection,
        "select t.oid::regclass, t.relkind, x.name, coalesce(x.indisvalid, false)"
            + " from pg_catalog.pg_inherits h join pg_catalog.pg_class t on t.oid = h.inhrelid"
            + " left join lateral (select c.oid::regclass as name, i.indisvalid"
            + " from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid"
            + " where i.indrelid = t.oid and not c.relispartition and "
            + BODY
            + " = "
            + Sql.literal(body)
            + " order by i.indisvalid desc, c.oid limit 1) x on true where h.inhparent = pg_catalog.to_regclass("
            + Sql.literal(table)
            + ") order by t.oid");
  }

  /** Null if there is no such index. */
  private String valid(TableName index) throws SQLException {
    return value(
        "select (select i.indisvalid from pg_catalog.pg_index i where i.indexrelid = pg_catalog.to_regclass("
            + Sql.literal(index.sql())
            + "))");
  }

  private String value(String sql) throws SQLException {
    return Sql.value(connection, sql);
  }

  private void execute(String sql) throws SQLException {
    Sql.execute(connection, sql);
  }

  /**
   * What would build the indexes that were dropped and that nobody has built, in this order; that
   * of a partitioned table takes in what there is of its parts.
   */
  static List<String> missing(Connection target) throws SQLException {
    List<String> result = new ArrayList<>();
    for (List<String> r :
        Sql.rows(
            target,
            "select t.predicate from dualwrite.task t where t.kind = 'index' and t.state <> 'done'"
                + " and not exists (select from pg_catalog.pg_index i where i.indisvalid"
                + " and i.indexrelid = pg_catalog.to_regclass(pg_catalog.format('%I.%I', t.from_schema, t.from_name)))"
                + " order by t.priority")) {
      result.add(r.get(0).replaceFirst("^(CREATE INDEX " + IDENTIFIER + " ON) ONLY ", "$1 "));
    }
    return result;
  }
}
