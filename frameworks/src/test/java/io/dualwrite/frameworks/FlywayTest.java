package io.dualwrite.frameworks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import javax.sql.DataSource;
import org.flywaydb.core.Flyway;
import org.flywaydb.core.api.FlywayException;
import org.flywaydb.core.api.configuration.FluentConfiguration;
import org.flywaydb.core.api.migration.BaseJavaMigration;
import org.flywaydb.core.api.migration.Context;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Flyway, run by the application when it starts: everything it does goes through dualwrite. */
class FlywayTest {

  private TwoDatabases both;

  @BeforeEach
  void start() {
    both = TwoDatabases.empty();
  }

  @AfterEach
  void stop() {
    both.close();
  }

  private static FluentConfiguration flyway(DataSource ds, String... locations) {
    return Flyway.configure()
        .dataSource(ds)
        .locations(
            Arrays.stream(locations).map(l -> "classpath:flyway/" + l).toArray(String[]::new))
        // what Flyway's own documentation asks of those who create indexes concurrently
        .configuration(Map.of("flyway.postgresql.transactional.lock", "false"));
  }

  /** What the application does when it starts; returns how many migrations were executed. */
  static int migrate(DataSource ds) {
    return flyway(ds, "shop").load().migrate().migrationsExecuted;
  }

  private List<String> history() throws Exception {
    return both.stored(
        "select concat_ws(' ', version, type, success) from flyway_schema_history order by installed_rank");
  }

  /** Migrates in code, as some applications do. */
  static final class V4__Discounts extends BaseJavaMigration {
    @Override
    public void migrate(Context context) throws Exception {
      try (var s = context.getConnection().createStatement()) {
        s.execute(
            "create table discount(customer_id bigint primary key references customer, percent int)");
        assertEquals(
            25, s.executeUpdate("insert into discount select id, 5 from customer where id <= 25"));
      }
      try (var s =
          context
              .getConnection()
              .prepareStatement("update discount set percent = ? where customer_id = ?")) {
        for (int i = 1; i <= 10; i++) {
          s.setInt(1, i);
          s.setLong(2, i);
          s.addBatch();
        }
        s.executeBatch();
      }
    }
  }

  @Test
  void migratesAtTheStartAndHasNothingToDoAtTheNext() throws Exception {
    DataSource ds = both.process();
    assertEquals(4, migrate(ds));
    assertEquals(List.of("1 SQL t", "2 SQL t", "3 SQL t", "SQL t"), history());
    both.assertEqual();
    Map<String, List<String>> before = both.rows();
    assertEquals(0, migrate(ds));
    flyway(ds, "shop").load().validate();
    assertEquals(before, both.rows());
    assertEquals(
        List.of("45 45"),
        both.stored("select (select count(*) from open_orders)||' '||(select count(*) from line)"));
    // a later release
    assertEquals(
        1,
        flyway(ds, "shop").javaMigrations(new V4__Discounts()).load().migrate().migrationsExecuted);
    assertEquals(
        List.of("55"), both.stored("select sum(percent) from discount where customer_id <= 10"));
    both.assertEqual();
  }

  @Test
  void routinesTriggersAndCopy() throws Exception {
    DataSource ds = both.process();
    migrate(ds);
    assertEquals(2, flyway(ds, "shop", "routines").load().migrate().migrationsExecuted);
    assertEquals(List.of("11"), both.stored("select count(*) from audit"));
    assertEquals(
        List.of("EUR 1 the \\ euro", "GBP 0.86 tab\tin it", "USD 2.17"),
        both.stored("select concat_ws(' ', code, rate, note) from rate order by 1"));
    // the application goes on with the schema it made
    try (var c = ds.getConnection();
        var s = c.createStatement()) {
      s.executeUpdate("update customer set note = 'again' where id < 4");
      s.executeUpdate("insert into customer (name) values ('through a trigger')");
    }
    assertEquals(List.of("15"), both.stored("select count(*) from audit"));
    both.assertEqualOnceReconciled();
  }

  @Test
  void aMigrationThatFailsLeavesNothing() throws Exception {
    DataSource ds = both.process();
    migrate(ds);
    FlywayException e =
        assertThrows(FlywayException.class, () -> flyway(ds, "shop", "broken").load().migrate());
    assertTrue(e.getMessage().contains("23505"), e::getMessage);
    assertEquals(List.of("1 SQL t", "2 SQL t", "3 SQL t", "SQL t"), history());
    both.assertEqual();
    // out of a transaction the history keeps the failure, until it is repaired
    assertThrows(
        FlywayException.class,
        () -> flyway(ds, "shop", "broken").executeInTransaction(false).load().migrate());
    assertEquals(5, history().size());
    both.assertEqual();
    flyway(ds, "shop", "broken").load().repair();
    assertEquals(4, history().size());
    both.assertEqual();
    flyway(ds, "shop").cleanDisabled(false).load().clean();
    assertEquals(Map.of(), both.rows());
    both.assertEqual();
    assertEquals(4, migrate(ds));
    both.assertEqual();
  }

  @Test
  void baselineOfASchemaThatWasRestored() throws Exception {
    both.pair.execute("create table customer(id int primary key, name text)");
    DataSource ds = both.process();
    Flyway flyway =
        flyway(ds, "routines").baselineOnMigrate(true).baselineVersion("10").target("11").load();
    assertEquals(1, flyway.migrate().migrationsExecuted);
    assertEquals(List.of("10 BASELINE t", "11 SQL t"), history());
    both.assertEqual();
  }

  @Test
  void twoProcessesStartTogether() throws Exception {
    List<String> said = MigratingProcess.together(2, "flyway", both);
    int executed =
        said.stream()
            .flatMap(String::lines)
            .filter(l -> l.startsWith("executed "))
            .collect(Collectors.summingInt(l -> Integer.parseInt(l.substring(9))));
    assertEquals(4, executed, said::toString);
    assertEquals(List.of("1 SQL t", "2 SQL t", "3 SQL t", "SQL t"), history());
    both.assertEqual();
    for (String s : said) {
      assertTrue(TwoDatabases.PLAIN || s.contains("drained true") && !s.contains("left over"), s);
    }
  }
}
