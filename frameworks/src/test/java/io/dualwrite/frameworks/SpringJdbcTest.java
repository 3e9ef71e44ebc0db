package io.dualwrite.frameworks;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.math.BigDecimal;
import java.sql.Timestamp;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.springframework.aop.framework.ProxyFactory;
import org.springframework.core.io.ByteArrayResource;
import org.springframework.dao.DataIntegrityViolationException;
import org.springframework.dao.DuplicateKeyException;
import org.springframework.dao.EmptyResultDataAccessException;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.core.namedparam.MapSqlParameterSource;
import org.springframework.jdbc.core.namedparam.NamedParameterJdbcTemplate;
import org.springframework.jdbc.core.namedparam.SqlParameterSource;
import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.jdbc.core.simple.SimpleJdbcCall;
import org.springframework.jdbc.core.simple.SimpleJdbcInsert;
import org.springframework.jdbc.datasource.DataSourceTransactionManager;
import org.springframework.jdbc.datasource.init.ScriptUtils;
import org.springframework.jdbc.support.GeneratedKeyHolder;
import org.springframework.jdbc.support.JdbcTransactionManager;
import org.springframework.jdbc.support.KeyHolder;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.TransactionDefinition;
import org.springframework.transaction.TransactionManager;
import org.springframework.transaction.UnexpectedRollbackException;
import org.springframework.transaction.interceptor.MatchAlwaysTransactionAttributeSource;
import org.springframework.transaction.interceptor.NoRollbackRuleAttribute;
import org.springframework.transaction.interceptor.RollbackRuleAttribute;
import org.springframework.transaction.interceptor.RuleBasedTransactionAttribute;
import org.springframework.transaction.interceptor.TransactionInterceptor;
import org.springframework.transaction.support.TransactionSynchronization;
import org.springframework.transaction.support.TransactionSynchronizationManager;
import org.springframework.transaction.support.TransactionTemplate;

/** Spring's JDBC templates and transactions, over HikariCP as Spring Boot sets it up. */
class SpringJdbcTest {

  private TwoDatabases both;
  private HikariDataSource pool;
  private JdbcTemplate jdbc;
  private NamedParameterJdbcTemplate named;
  private PlatformTransactionManager transactions;

  @BeforeEach
  void start() throws Exception {
    both =
        TwoDatabases.with(
            """
            create table customer(id bigint generated always as identity primary key, name text not null unique,
              born date, credit numeric(12,2) not null default 0, created timestamptz not null default now());
            create table purchase(id bigserial primary key, customer_id bigint not null references customer,
              item text not null, amount numeric(12,2) not null, tags text[] not null default '{}', at timestamp);
            create table log(at timestamptz not null default clock_timestamp(), line text);
            create function total(p_customer bigint) returns numeric language sql stable
              as 'select coalesce(sum(amount), 0) from purchase where customer_id = p_customer';
            """);
    HikariConfig config = new HikariConfig();
    config.setDataSource(both.process());
    config.setMaximumPoolSize(4);
    pool = new HikariDataSource(config);
    jdbc = new JdbcTemplate(pool);
    named = new NamedParameterJdbcTemplate(jdbc);
    transactions = new JdbcTransactionManager(pool);
  }

  @AfterEach
  void stop() {
    pool.close();
    both.close();
  }

  private long customer(String name) {
    KeyHolder key = new GeneratedKeyHolder();
    assertEquals(
        1,
        named.update(
            "insert into customer(name) values (:name)",
            new MapSqlParameterSource("name", name),
            key,
            new String[] {"id"}));
    return key.getKey().longValue();
  }

  @Test
  void templatesWithAndWithoutNames() throws Exception {
    long ada = customer("Ada");
    KeyHolder keys = new GeneratedKeyHolder();
    jdbc.update(
        c -> {
          var s =
              c.prepareStatement(
                  "insert into customer(name, born, credit) values (?, ?, ?)",
                  java.sql.Statement.RETURN_GENERATED_KEYS);
          s.setString(1, "Grace");
          s.setObject(2, LocalDate.of(1906, 12, 9));
          s.setBigDecimal(3, new BigDecimal("10.50"));
          return s;
        },
        keys);
    Map<String, Object> grace = keys.getKeys();
    assertEquals(List.of("id", "name", "born", "credit", "created"), List.copyOf(grace.keySet()));
    assertEquals(new BigDecimal("10.50"), grace.get("credit"));
    assertEquals(
        grace.get("created"),
        jdbc.queryForObject(
            "select created from customer where name = ?", Timestamp.class, "Grace"));

    assertEquals(
        2,
        named.update(
            "update customer set credit = credit + :more where id in (:ids)",
            Map.of("more", 5, "ids", List.of(ada, grace.get("id")))));
    assertEquals(
        List.of("Ada=5.00", "Grace=15.50"),
        jdbc.query(
            "select name, credit from customer order by name",
            (r, n) -> r.getString(1) + "=" + r.getBigDecimal(2)));
    // a write that answers like a query
    assertEquals(
        List.of("Ada", "Grace"),
        jdbc.queryForList(
            "update customer set born = coalesce(born, current_date) where credit > ? returning name",
            String.class,
            1));
    assertThrows(
        EmptyResultDataAccessException.class,
        () -> jdbc.queryForObject("select id from customer where name = 'Nobody'", Long.class));
    assertEquals(
        1,
        JdbcClient.create(pool)
            .sql("delete from customer where id = :id")
            .param("id", ada)
            .update());
    jdbc.execute("insert into log(line) values ('deleted Ada')");
    assertEquals(1, jdbc.queryForObject("select count(*) from log", Integer.class));
    both.assertEqual();
  }

  @Test
  void batches() throws Exception {
    long ada = customer("Ada");
    OffsetDateTime at = OffsetDateTime.of(2026, 3, 29, 2, 30, 0, 0, ZoneOffset.UTC);
    int[][] counts =
        jdbc.batchUpdate(
            "insert into purchase(customer_id, item, amount, tags, at) values (?, ?, ?, ?, ?)",
            IntStream.range(0, 250).boxed().toList(),
            100,
            (s, i) -> {
              s.setLong(1, ada);
              s.setString(2, i % 7 == 0 ? "it's \"quoted\" \\ " + i : "item " + i);
              s.setBigDecimal(3, BigDecimal.valueOf(i, 2));
              s.setArray(
                  4, s.getConnection().createArrayOf("text", new String[] {"n" + i % 3, null}));
              s.setObject(5, i % 2 == 0 ? null : at.toLocalDateTime().plusSeconds(i));
            });
    assertEquals(
        List.of(100, 100, 50), java.util.Arrays.stream(counts).map(c -> c.length).toList());
    int[] one =
        named.batchUpdate(
            "update purchase set amount = amount * :by where item = :item",
            new SqlParameterSource[] {
              new MapSqlParameterSource(Map.of("by", 2, "item", "item 1")),
              new MapSqlParameterSource(Map.of("by", 3, "item", "item nowhere")),
              new MapSqlParameterSource(Map.of("by", new BigDecimal("0.5"), "item", "item 2"))
            });
    assertArrayEquals(new int[] {1, 0, 1}, one);
    assertArrayEquals(
        new int[] {1, 1},
        jdbc.batchUpdate(
            "insert into log(line) values ('a')", "delete from purchase where item = 'item 3'"));
    GeneratedKeyHolder keys = new GeneratedKeyHolder();
    named.batchUpdate(
        "insert into customer(name) values (:name)",
        new SqlParameterSource[] {
          new MapSqlParameterSource("name", "B"), new MapSqlParameterSource("name", "C")
        },
        keys,
        new String[] {"id", "name"});
    assertEquals(List.of("B", "C"), keys.getKeyList().stream().map(k -> k.get("name")).toList());
    for (Map<String, Object> k : keys.getKeyList()) {
      assertEquals(
          k.get("name"),
          jdbc.queryForObject("select name from customer where id = ?", String.class, k.get("id")));
    }
    // the whole batch goes if one of it is wrong, as it does in the driver
    assertThrows(
        DuplicateKeyException.class,
        () ->
            jdbc.batchUpdate(
                "insert into customer(name) values (?)",
                List.of(new Object[] {"D"}, new Object[] {"B"}, new Object[] {"E"})));
    assertEquals(List.of("Ada", "B", "C"), both.stored("select name from customer order by 1"));
    both.assertEqual();
  }

  @Test
  void simpleInsertAndCall() throws Exception {
    SimpleJdbcInsert insert =
        new SimpleJdbcInsert(pool).withTableName("customer").usingGeneratedKeyColumns("id");
    // every column of the table is in the statement, as the metadata names them
    Number id =
        insert.executeAndReturnKey(
            Map.of(
                "name", "Ada", "credit", 3, "created", Timestamp.valueOf("2026-01-01 00:00:00")));
    SimpleJdbcInsert some =
        new SimpleJdbcInsert(pool)
            .withSchemaName("public")
            .withTableName("purchase")
            .usingColumns("customer_id", "item", "amount")
            .usingGeneratedKeyColumns("id");
    List<Number> purchases = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      purchases.add(
          some.executeAndReturnKey(Map.of("customer_id", id, "item", "i" + i, "amount", 10 + i)));
    }
    assertEquals(purchases, jdbc.queryForList("select id from purchase order by item", Long.class));
    assertArrayEquals(
        new int[] {1, 1},
        new SimpleJdbcInsert(pool)
            .withTableName("log")
            .usingColumns("line")
            .executeBatch(
                new MapSqlParameterSource("line", "x"), new MapSqlParameterSource("line", "y")));
    BigDecimal total =
        new SimpleJdbcCall(pool)
            .withFunctionName("total")
            .executeFunction(BigDecimal.class, Map.of("p_customer", id.longValue()));
    assertEquals(new BigDecimal("60.00"), total);
    both.assertEqual();
  }

  @Test
  void nestedTransactionsAndPropagation() throws Exception {
    TransactionTemplate outer = new TransactionTemplate(transactions);
    TransactionTemplate nested = new TransactionTemplate(transactions);
    nested.setPropagationBehavior(TransactionDefinition.PROPAGATION_NESTED);
    TransactionTemplate apart = new TransactionTemplate(transactions);
    apart.setPropagationBehavior(TransactionDefinition.PROPAGATION_REQUIRES_NEW);

    List<String> after = new ArrayList<>();
    long ada =
        outer.execute(
            status -> {
              long id = customer("Ada");
              TransactionSynchronizationManager.registerSynchronization(
                  new TransactionSynchronization() {
                    @Override
                    public void afterCommit() {
                      after.add("committed");
                    }
                  });
              for (int i = 0; i < 4; i++) {
                int n = i;
                try {
                  nested.executeWithoutResult(
                      inner -> {
                        jdbc.update(
                            "insert into purchase(customer_id, item, amount) values (?, ?, 1)",
                            id,
                            "n" + n);
                        nested.executeWithoutResult(
                            deeper -> {
                              jdbc.update("insert into log(line) values (?)", "deep " + n);
                              if (n == 2) {
                                deeper.setRollbackOnly();
                              }
                            });
                        if (n % 2 == 1) {
                          jdbc.update(
                              "insert into purchase(customer_id, item, amount) values (-1, 'x', 1)");
                        }
                      });
                } catch (DataIntegrityViolationException e) {
                  apart.executeWithoutResult(
                      s -> jdbc.update("insert into log(line) values (?)", "failed " + n));
                }
              }
              jdbc.update("update customer set credit = 9 where id = ?", id);
              return id;
            });
    assertEquals(List.of("committed"), after);
    assertEquals(List.of("n0", "n2"), both.stored("select item from purchase order by 1"));
    assertEquals(
        List.of("deep 0", "failed 1", "failed 3"), both.stored("select line from log order by 1"));

    // what was committed apart stays when the outer one is rolled back
    assertThrows(
        IllegalStateException.class,
        () ->
            outer.executeWithoutResult(
                s -> {
                  jdbc.update("delete from purchase");
                  apart.executeWithoutResult(
                      x -> jdbc.update("insert into log(line) values ('apart')"));
                  throw new IllegalStateException();
                }));
    assertThrows(
        UnexpectedRollbackException.class,
        () ->
            outer.executeWithoutResult(
                s -> {
                  jdbc.update("delete from purchase");
                  outer.executeWithoutResult(x -> x.setRollbackOnly());
                }));
    assertEquals(
        2,
        jdbc.queryForObject(
            "select count(*) from purchase where customer_id = ?", Integer.class, ada));
    assertEquals(List.of("4"), both.stored("select count(*) from log"));
    both.assertEqual();
  }

  @Test
  void readOnlyIsolationAndTimeout() throws Exception {
    TransactionTemplate read = new TransactionTemplate(transactions);
    read.setReadOnly(true);
    read.setIsolationLevel(TransactionDefinition.ISOLATION_REPEATABLE_READ);
    assertThrows(
        org.springframework.dao.DataAccessException.class,
        () -> read.executeWithoutResult(s -> customer("Ada")));
    assertEquals(
        "repeatable read",
        read.execute(s -> jdbc.queryForObject("show transaction_isolation", String.class)));
    DataSourceTransactionManager enforcing = new DataSourceTransactionManager(pool);
    enforcing.setEnforceReadOnly(true); // sends SET TRANSACTION READ ONLY
    TransactionTemplate enforced = new TransactionTemplate(enforcing);
    enforced.setReadOnly(true);
    assertEquals(
        "on",
        enforced.execute(s -> jdbc.queryForObject("show transaction_read_only", String.class)));
    TransactionTemplate timed = new TransactionTemplate(transactions);
    timed.setTimeout(1);
    assertThrows(
        org.springframework.dao.DataAccessException.class,
        () ->
            timed.executeWithoutResult(
                s -> {
                  customer("Bob");
                  jdbc.queryForList("select pg_sleep(10)");
                }));
    TransactionTemplate serializable = new TransactionTemplate(transactions);
    serializable.setIsolationLevel(TransactionDefinition.ISOLATION_SERIALIZABLE);
    serializable.executeWithoutResult(s -> customer("Eve"));
    assertEquals(List.of("Eve"), both.stored("select name from customer"));
    both.assertEqual();
  }

  /** What a checked exception means. */
  static final class OutOfStock extends Exception {
    private static final long serialVersionUID = 1;
  }

  static final class Ignored extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  /** A service with declared transactions. */
  interface Shop {
    void buy(long customer, Exception then) throws Exception;
  }

  @Test
  void rollbackRules() throws Exception {
    long ada = customer("Ada");
    RuleBasedTransactionAttribute rules = new RuleBasedTransactionAttribute();
    rules.getRollbackRules().add(new RollbackRuleAttribute(OutOfStock.class));
    rules.getRollbackRules().add(new NoRollbackRuleAttribute(Ignored.class));
    MatchAlwaysTransactionAttributeSource source = new MatchAlwaysTransactionAttributeSource();
    source.setTransactionAttribute(rules);
    ProxyFactory factory =
        new ProxyFactory(
            Shop.class, new TransactionInterceptor((TransactionManager) transactions, source));
    factory.setTarget(
        (Shop)
            (customer, then) -> {
              jdbc.update(
                  "insert into purchase(customer_id, item, amount) values (?, ?, 1)",
                  customer,
                  then == null ? "nothing" : then.getClass().getSimpleName());
              if (then != null) {
                throw then;
              }
            });
    Shop shop = (Shop) factory.getProxy();
    shop.buy(ada, null);
    assertThrows(OutOfStock.class, () -> shop.buy(ada, new OutOfStock()));
    assertThrows(Ignored.class, () -> shop.buy(ada, new Ignored()));
    assertThrows(java.io.IOException.class, () -> shop.buy(ada, new java.io.IOException()));
    assertThrows(IllegalStateException.class, () -> shop.buy(ada, new IllegalStateException()));
    assertEquals(
        List.of("IOException", "Ignored", "nothing"),
        both.stored("select item from purchase order by item collate \"C\""));
    both.assertEqual();
  }

  @Test
  void schemaAndDataScripts() throws Exception {
    // spring.sql.init: schema.sql and data.sql at every start
    String script =
        """
        -- the shop's list of prices
        create table if not exists price(item text primary key, amount numeric not null);
        create index if not exists price_amount on price(amount);
        insert into price values ('tea', 2.5), ('milk; fresh', 1) on conflict do nothing;
        """;
    for (int start = 0; start < 2; start++) {
      try (var c = pool.getConnection()) {
        ScriptUtils.executeSqlScript(
            c, new ByteArrayResource(script.getBytes(java.nio.charset.StandardCharsets.UTF_8)));
      }
    }
    assertEquals(List.of("milk; fresh", "tea"), both.stored("select item from price order by 1"));
    assertTrue(jdbc.update("update price set amount = amount + 1") == 2);
    both.assertEqual();
  }
}
