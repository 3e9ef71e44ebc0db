package io.dualwrite.backfill;

import io.dualwrite.catalog.TableName;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * Indexes of the target that nothing but queries needs. A row that is copied into a table with such
 * an index costs the server a search in it, and a page of it that is written to the log; to build
 * it from the finished table is one sort. They are dropped when the copy is staged, in the
 * transaction that writes their definitions into tasks, and built, while writers go on, by whoever
 * claims these.
 *
 * <p>Unique indexes stay, because the writers' rows are held to them; indexes under a foreign key
 * stay, because a delete of the parent would read the whole table without; so do those that are
 * more than their definition says (a comment, a tablespace, statistics, a replica identity), and
 * those of partitions and hypertables, which belong to the whole.
 */
final class Indexes {

  private static final String DEFERRABLE =
      """
      select n.nspname, c.relname, pg_catalog.pg_get_indexdef(i.indexrelid)
        from pg_catalog.pg_index i
        join pg_catalog.pg_class c on c.oid = i.indexrelid
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        join pg_catalog.pg_class t on t.oid = i.indrelid
        where i.indrelid = pg_catalog.to_regclass($table)
          and t.relkind = 'r' and not t.relispartition
          and not exists (select from pg_catalog.pg_inherits h where t.oid in (h.inhrelid, h.inhparent))
          and i.indisvalid and not i.indisunique and not i.indisexclusion
          and not i.indisreplident and not i.indisclustered
          and c.reltablespace = 0
          and not exists (select from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attstattarget >= 0)
          and not exists (select from pg_catalog.pg_description d
            where d.classoid = 'pg_catalog.pg_class'::regclass and d.objoid = c.oid)
          and not exists (select from pg_catalog.pg_depend d
            where d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = c.oid
              or d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype in ('e', 'x'))
          and not exists (select from pg_catalog.pg_constraint k
            where k.conrelid = t.oid and k.contype = 'f' and i.indkey[0] = any(k.conkey))
        order by 1, 2
      """;

  private Indexes() {}

  /**
   * Drops what can wait of the tables of these tasks, in the transaction of the connection.
   *
   * @return a task for each
   */
  static List<TaskStore.Draft> defer(Connection target, List<TaskStore.Draft> drafts)
      throws SQLException {
    Sql.execute(target, Sessions.searchPath(null)); // definitions with every name qualified
    Set<TableName> tables = new LinkedHashSet<>();
    for (TaskStore.Draft d : drafts) {
      if (d.kind() != Task.Kind.CHUNK) {
        tables.add(d.table());
      }
    }
    List<TaskStore.Draft> result = new ArrayList<>();
    for (TableName table : tables) {
      for (List<String> r :
          Sql.rows(target, DEFERRABLE.replace("$table", Sql.literal(table.sql())))) {
        TableName index = new TableName(r.get(0), r.get(1));
        Sql.execute(target, "drop index " + index.sql());
        result.add(
            new TaskStore.Draft(
                table, index, Task.Kind.INDEX, null, null, r.get(2), false, 0, 0, 0, null));
      }
    }
    return result;
  }

  /**
   * Builds an index, on a connection of its own: it cannot be done in a transaction.
   *
   * @param claim holds the task until then
   */
  static void build(Sessions targets, Connection claim, Task task) throws SQLException {
    // it is idle for as long as that takes
    Sql.execute(claim, "set local idle_in_transaction_session_timeout = 0");
    try (Connection c = targets.getConnection()) {
      Sql.execute(c, "set lock_timeout = 0"); // it waits for the transactions that are under way
      String valid = valid(c, task);
      if ("t".equals(valid)
          || Sql.value(c, "select pg_catalog.to_regclass(" + Sql.literal(task.table().sql()) + ")")
              == null) {
        return;
      }
      if (valid != null) { // a build was cut short
        Sql.execute(c, "drop index concurrently " + task.from().sql());
      }
      Sql.execute(c, task.predicate().replaceFirst("^CREATE INDEX ", "CREATE INDEX CONCURRENTLY "));
    }
  }

  /** Null if there is no such index. */
  private static String valid(Connection c, Task task) throws SQLException {
    return Sql.value(
        c,
        "select (select i.indisvalid from pg_catalog.pg_index i where i.indexrelid = pg_catalog.to_regclass("
            + Sql.literal(task.from().sql())
            + "))");
  }

  /** The definitions of the indexes that were dropped and that nobody has built. */
  static List<String> missing(Connection target) throws SQLException {
    List<String> result = new ArrayList<>();
    for (List<String> r :
        Sql.rows(
            target,
            "select t.predicate from dualwrite.task t where t.kind = 'index' and t.state <> 'done'"
                + " and not exists (select from pg_catalog.pg_index i where i.indisvalid"
                + " and i.indexrelid = pg_catalog.to_regclass(pg_catalog.format('%I.%I', t.from_schema, t.from_name)))"
                + " order by t.priority")) {
      result.add(r.get(0));
    }
    return result;
  }
}
