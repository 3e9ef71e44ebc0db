package io.dualwrite.backfill;

import io.dualwrite.backfill.Hypertables.Chunk;
import io.dualwrite.backfill.Hypertables.Hypertable;
import io.dualwrite.backfill.RefreshResult.Aggregate;
import io.dualwrite.catalog.Catalog;
import io.dualwrite.catalog.TableName;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;

/**
 * Refreshes the target's continuous aggregates from where the copy of their materializations ends
 * up to where the source's are materialized; those that others read first.
 *
 * <p>Never where the rows to aggregate are no longer there: a refresh would remove buckets that
 * outlived them. From the last bucket that was copied on, both sides have them, because T lies
 * where writers dual-wrote.
 */
final class AggregateRefresh {

  private final Connection source;
  private final Connection target;
  private final Catalog sourceCatalog;
  private final Catalog targetCatalog;

  AggregateRefresh(
      Connection source, Connection target, Catalog sourceCatalog, Catalog targetCatalog) {
    this.source = source;
    this.target = target;
    this.sourceCatalog = sourceCatalog;
    this.targetCatalog = targetCatalog;
  }

  RefreshResult run(String filter, boolean up, boolean down) throws SQLException {
    Stager.Scope scope = Stager.look(source, sourceCatalog, TableFilter.of(filter), up, down);
    Map<TableName, TableName> there =
        new Stager(source, target, sourceCatalog, targetCatalog).targets(scope);
    List<Aggregate> result = new ArrayList<>();
    for (Hypertable h : scope.hypertables().values()) {
      if (h.view() != null) {
        TableName mine = there.get(h.name());
        if (mine == null) {
          throw new BackfillException(
              "continuous aggregate " + h.view() + " is missing on the target");
        }
        result.add(refresh(h, mine));
      }
    }
    return new RefreshResult(result);
  }

  private Aggregate refresh(Hypertable mine, TableName materialization) throws SQLException {
    Hypertable other =
        Hypertables.all(target).stream()
            .filter(h -> h.name().equals(materialization))
            .findFirst()
            .orElseThrow();
    TableName view = mine.view();
    OptionalLong end = watermark(mine.name());
    if (end.isEmpty()) {
      return new Aggregate(view, null, null, "nothing is materialized on the source");
    }
    OptionalLong rows = lowest(source, mine.of());
    OptionalLong theirs = lowest(target, other.of());
    if (rows.isEmpty() || theirs.isEmpty()) {
      return new Aggregate(
          view,
          null,
          null,
          mine.of() + " has no rows on the " + (rows.isEmpty() ? "source" : "target"));
    }
    long low = Math.max(rows.getAsLong(), theirs.getAsLong());
    String column = TableName.quote(other.column());
    String copied =
        Sql.value(
            target,
            "select _timescaledb_functions.time_to_internal(max("
                + column
                + ")) from "
                + materialization.sql());
    String note = "";
    if (copied != null && Long.parseLong(copied) >= low) {
      low = Long.parseLong(copied);
    } else if (copied != null) {
      note = "buckets before are no longer refreshed: " + mine.of() + " has no rows there any more";
    }
    if (low >= end.getAsLong()) {
      return new Aggregate(view, null, null, "up to date");
    }
    String type =
        Sql.column(
                Sql.known(targetCatalog.table(target, materialization), materialization),
                other.column())
            .type();
    String from = literal(low, type);
    String to = literal(end.getAsLong(), type);
    try {
      Sql.execute(
          target,
          "call "
              + Hypertables.function(target, "refresh_continuous_aggregate")
              + "("
              + Sql.literal(view.sql())
              + "::regclass, "
              + from
              + ", "
              + to
              + (force() ? ", force => true" : "")
              + ")");
    } catch (SQLException e) {
      // the rows begin within the last bucket: TimescaleDB refreshes whole ones only
      if (!"22023".equals(e.getSQLState()) || !e.getMessage().contains("window too small")) {
        throw e;
      }
      String none = "no whole bucket lies between " + text(from) + " and " + text(to);
      return new Aggregate(view, null, null, note.isEmpty() ? none : none + "; " + note);
    }
    return new Aggregate(view, text(from), text(to), note);
  }

  /** Up to where the source's is materialized. */
  private OptionalLong watermark(TableName materialization) throws SQLException {
    String w =
        Sql.value(
            source,
            "select w.w from _timescaledb_catalog.hypertable h cross join lateral _timescaledb_functions.cagg_watermark(h.id) w(w)"
                + " where (h.schema_name, h.table_name) = ("
                + Sql.literal(materialization.schema())
                + ", "
                + Sql.literal(materialization.name())
                // without a bucket the watermark is the type's least value
                + ") and exists (select from "
                + materialization.sql()
                + ")");
    return w == null ? OptionalLong.empty() : OptionalLong.of(Long.parseLong(w));
  }

  private static OptionalLong lowest(Connection c, TableName hypertable) throws SQLException {
    return Hypertables.chunks(c, hypertable).stream().mapToLong(Chunk::low).min();
  }

  /** TimescaleDB's count as a value of the column's type. */
  private String literal(long internal, String type) throws SQLException {
    String function =
        switch (type) {
          case "timestamp with time zone" -> "to_timestamp";
          case "timestamp without time zone" -> "to_timestamp_without_timezone";
          case "date" -> "to_date";
          default -> null;
        };
    return function == null
        ? internal + "::" + type
        : Sql.literal(
                Sql.value(
                    target, "select _timescaledb_functions." + function + "(" + internal + ")"))
            + "::"
            + type;
  }

  private static String text(String literal) {
    return literal.substring(0, literal.lastIndexOf("::")).replace("'", "");
  }

  /** Without it only what was logged as changed is refreshed, and the copy is not logged. */
  private boolean force() throws SQLException {
    return Sql.value(
            target,
            "select exists (select from pg_catalog.pg_proc p where p.proname = 'refresh_continuous_aggregate' and 'force' = any(p.proargnames))")
        .equals("t");
  }
}
