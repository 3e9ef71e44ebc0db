package io.dualwrite.frameworks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.OutputStream;
import java.sql.Connection;
import java.util.List;
import java.util.Map;
import javax.sql.DataSource;
import liquibase.Scope;
import liquibase.changelog.FastCheckService;
import liquibase.command.CommandScope;
import liquibase.command.core.helpers.DbUrlConnectionArgumentsCommandStep;
import liquibase.database.Database;
import liquibase.database.DatabaseFactory;
import liquibase.database.jvm.JdbcConnection;
import liquibase.ui.LoggerUIService;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Liquibase, run by the application when it starts. Its own history has no primary key. */
class LiquibaseTest {

  private TwoDatabases both;

  @BeforeEach
  void start() {
    both = TwoDatabases.empty();
  }

  @AfterEach
  void stop() {
    both.close();
  }

  /** Runs a command of Liquibase's over a connection of the application's. */
  private static void run(DataSource ds, String command, Map<String, Object> arguments)
      throws Exception {
    try (Connection c = ds.getConnection()) {
      Database database =
          DatabaseFactory.getInstance().findCorrectDatabaseImplementation(new JdbcConnection(c));
      try {
        Scope.child(
            Map.of(Scope.Attr.ui.name(), new LoggerUIService()),
            () -> {
              CommandScope scope =
                  new CommandScope(command)
                      .addArgumentValue(DbUrlConnectionArgumentsCommandStep.DATABASE_ARG, database)
                      .setOutput(OutputStream.nullOutputStream());
              arguments.forEach(scope::addArgumentValue);
              scope.execute();
            });
      } finally {
        database.close();
      }
    }
  }

  /**
   * What the application does when it starts, as if in a process of its own; returns how many
   * change sets there were to do.
   */
  static int update(DataSource ds) throws Exception {
    Scope.getCurrentScope().getSingleton(FastCheckService.class).clearCache();
    int before = changeSets(ds);
    run(ds, "update", Map.of("changelogFile", "liquibase/changelog.xml"));
    return changeSets(ds) - before;
  }

  private static int changeSets(DataSource ds) throws Exception {
    try (Connection c = ds.getConnection();
        var there = c.getMetaData().getTables(null, "public", "databasechangelog", null)) {
      if (!there.next()) {
        return 0;
      }
      try (var s = c.createStatement();
          var r = s.executeQuery("select count(*) from databasechangelog")) {
        r.next();
        return r.getInt(1);
      }
    }
  }

  private List<String> history() throws Exception {
    return both.stored("select id||' '||exectype from databasechangelog order by orderexecuted");
  }

  private static final List<String> ALL =
      List.of("1 EXECUTED", "2 EXECUTED", "3 EXECUTED", "4 EXECUTED", "5 EXECUTED", "6 EXECUTED");

  @Test
  void updatesAtTheStartAndHasNothingToDoAtTheNext() throws Exception {
    DataSource ds = both.process();
    assertEquals(6, update(ds));
    assertEquals(ALL, history());
    both.assertEqual();
    Map<String, List<String>> before = both.rows();
    assertEquals(0, update(ds));
    assertEquals(before, both.rows());
    assertEquals(
        List.of("Ada 7", "Grace 7", "Marie 1"),
        both.stored("select name||' '||points from customer order by 1"));
    assertEquals(List.of("f"), both.stored("select locked from databasechangeloglock"));
    both.assertEqual();
  }

  @Test
  void tagsChecksumsAndRollback() throws Exception {
    DataSource ds = both.process();
    update(ds);
    run(ds, "tag", Map.of("tag", "v1"));
    both.assertEqual();
    run(ds, "clearChecksums", Map.of());
    assertEquals(List.of("0"), both.stored("select count(md5sum) from databasechangelog"));
    both.assertEqual();
    assertEquals(0, update(ds)); // computes them again
    assertEquals(List.of("6"), both.stored("select count(md5sum) from databasechangelog"));
    both.assertEqual();
    run(ds, "rollbackCount", Map.of("changelogFile", "liquibase/changelog.xml", "count", 4));
    assertEquals(ALL.subList(0, 2), history());
    both.assertEqual();
    assertEquals(4, update(ds));
    both.assertEqual();
    run(ds, "dropAll", Map.of());
    both.assertEqual();
    assertEquals(6, update(ds));
    assertEquals(ALL, history());
    both.assertEqual();
  }

  @Test
  void twoProcessesStartTogether() throws Exception {
    List<String> said = MigratingProcess.together(2, "liquibase", both);
    assertEquals(ALL, history());
    both.assertEqual();
    for (String s : said) {
      assertTrue(TwoDatabases.PLAIN || s.contains("drained true") && !s.contains("left over"), s);
    }
  }
}
